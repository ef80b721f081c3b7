//! TLS towards sources. Enters: the configuration and a connected stream on which the server has
//! agreed to TLS. Leaves: the encrypted stream. Keeps: a signature is verified in every mode; the
//! chain from `verify-ca` on, the name with `verify-full`; nothing falls back by itself.

mod verifier;

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_rustls::TlsConnector;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use self::verifier::{Unverified, Verified};
use super::net::{Stream, Wire};
use crate::config::{Tls, TlsMode};
use crate::error::{Error, Result};

/// A stream under TLS.
pub type TlsStream = futures_rustls::client::TlsStream<Stream>;

/// What is ready to speak TLS: files read, certificates parsed.
#[derive(Clone)]
pub struct Client {
    mode: TlsMode,
    config: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Reads the files and builds the verifier. With `mode` off nothing is read.
    ///
    /// Errors (Usage): `tls-file-missing`, `tls-not-pem`, `tls-key-mismatch`, `tls-no-roots`.
    pub fn new(tls: &Tls) -> Result<Self> {
        let config = match tls.mode {
            TlsMode::Off => None,
            _ => Some(Arc::new(client_config(tls)?)),
        };
        Ok(Self { mode: tls.mode, config })
    }

    /// Whether the server is asked for TLS at all.
    pub fn wants_tls(&self) -> bool {
        self.config.is_some()
    }

    /// Whether a server without TLS is refused.
    pub fn requires_tls(&self) -> bool {
        !matches!(self.mode, TlsMode::Off | TlsMode::Prefer)
    }

    /// The handshake, on a stream on which the server has agreed to TLS. `host` is the name that
    /// was connected to.
    ///
    /// Errors (Fatal): `tls-untrusted`, `tls-name-mismatch`, `tls-expired`, `tls-refused`;
    /// `tls-handshake` is Transient (the connection broke).
    pub async fn upgrade(&self, stream: Stream, host: &str) -> Result<Wire> {
        let Some(config) = &self.config else {
            return Ok(Wire::Plain(stream));
        };
        let name = server_name(host, self.mode)?;
        let connector = TlsConnector::from(config.clone());
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Wire::Tls(Box::new(stream))),
            Err(e) => Err(explain(&e, host)),
        }
    }
}

/// The error for a server that offers no TLS where the mode asks for it.
pub fn not_offered(host: &str) -> Error {
    Error::fatal("tls-not-offered", format!("{host} does not offer TLS"))
        .hint("switch TLS on in the server, or set `source.tls.mode` to \"prefer\" or \"off\"")
}

/// The server's own certificate, DER.
pub(super) fn peer_certificate(stream: &TlsStream) -> Option<Vec<u8>> {
    let (_, connection) = stream.get_ref();
    connection.peer_certificates()?.first().map(|certificate| certificate.as_ref().to_vec())
}

fn server_name(host: &str, mode: TlsMode) -> Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    match ServerName::try_from(bare.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if mode == TlsMode::VerifyFull => Err(Error::usage(
            "tls-name-mismatch",
            format!("`{host}` is no name that a certificate can hold"),
        )
        .hint("use the name in the server's certificate, or `tls.mode` = \"verify-ca\"")),
        // The name is not looked at in these modes; it only has to be well-formed.
        Err(_) => Ok(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())),
    }
}

fn client_config(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(tls, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::fatal("tls-refused", format!("TLS cannot be set up: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let (Some(cert), Some(key)) = (&tls.cert, &tls.key) else {
        return match (&tls.cert, &tls.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            _ => Err(Error::usage("tls-key-mismatch", "`tls.cert` and `tls.key` go together")
                .hint("give both, or neither")),
        };
    };
    let chain = certificates(cert, "tls.cert")?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| pem_error(&e, key, "tls.key"))?;
    builder.with_client_auth_cert(chain, key_der).map_err(|e| {
        let files = format!("{} and {}", cert.display(), key.display());
        Error::usage("tls-key-mismatch", format!("{files} do not fit together: {e}"))
            .hint("`tls.key` must be the private key of the first certificate in `tls.cert`")
    })
}

fn certificates(path: &Path, option: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| pem_error(&e, path, option))?;
    if certificates.is_empty() {
        return Err(pem_error(&pem::Error::NoItemsFound, path, option));
    }
    Ok(certificates)
}

fn pem_error(error: &pem::Error, path: &Path, option: &str) -> Error {
    let file = path.display();
    match error {
        pem::Error::Io(e) => {
            Error::usage("tls-file-missing", format!("cannot read {file} (`{option}`): {e}"))
                .hint("check the path and its permissions; it is relative to the configuration")
        }
        pem::Error::NoItemsFound if option == "tls.key" => {
            Error::usage("tls-not-pem", format!("{file} (`{option}`) holds no usable private key"))
                .hint(
                    "a PEM key without a passphrase is needed: \
                     `openssl pkey -in KEY -out KEY.pem` removes one and converts DER",
                )
        }
        pem::Error::NoItemsFound => {
            Error::usage("tls-not-pem", format!("{file} (`{option}`) holds no PEM certificate"))
                .hint("convert DER: `openssl x509 -inform der -in FILE -out FILE.pem`")
        }
        other => Error::usage(
            "tls-not-pem",
            format!("{file} (`{option}`) is no well-formed PEM file: {other}"),
        )
        .hint("look for a cut-off line or a missing END line"),
    }
}

fn roots(tls: &Tls) -> Result<Vec<CertificateDer<'static>>> {
    if let Some(ca) = &tls.ca {
        return certificates(ca, "tls.ca");
    }
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let why = loaded.errors.first().map(|e| format!(": {e}")).unwrap_or_default();
        return Err(Error::usage("tls-no-roots", format!("the system has no trusted CAs{why}"))
            .hint("set `source.tls.ca`, or install the system's CA certificates"));
    }
    Ok(loaded.certs)
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let names = match tls.mode {
        TlsMode::VerifyFull => true,
        TlsMode::VerifyCa => false,
        _ => return Ok(Arc::new(Unverified { provider })),
    };
    let trusted = roots(tls)?;
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(trusted.iter().cloned());
    let source =
        tls.ca.as_ref().map_or_else(|| "the system".to_owned(), |p| p.display().to_string());
    if added == 0 {
        return Err(Error::usage("tls-no-roots", format!("{source} holds no usable CA"))
            .hint("set `source.tls.ca` to the PEM file of the CA that signed the server"));
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|e| Error::usage("tls-no-roots", format!("{source}: {e}")))?;
    let pinned = if tls.ca.is_some() { trusted } else { Vec::new() };
    Ok(Arc::new(Verified { chain, names, pinned }))
}

/// Whether an I/O error is TLS's own.
pub(super) fn is_tls(error: &io::Error) -> bool {
    inner(error).is_some()
}

fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a failed handshake means, or a later error: a server that speaks TLS 1.3 refuses a
/// client's certificate only after the client's side of the handshake has ended.
pub(super) fn explain(error: &io::Error, host: &str) -> Error {
    match inner(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => explain_certificate(reason, host),
        Some(rustls::Error::AlertReceived(alert)) => Error::fatal(
            "tls-refused",
            format!("{host} refused the TLS handshake with the alert {alert:?}"),
        )
        .hint(
            "if the server asks for a client certificate, set `source.tls.cert` and \
             `source.tls.key`; its log says more",
        ),
        Some(other) => Error::fatal("tls-refused", format!("TLS with {host} failed: {other}"))
            .hint("the server must speak TLS 1.2 or 1.3; its log says more"),
        None => Error::transient("tls-handshake", format!("TLS with {host} broke off: {error}"))
            .hint("the server closed the connection during the handshake; its log says more"),
    }
}

fn explain_certificate(reason: &CertificateError, host: &str) -> Error {
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Error::fatal(
                "tls-name-mismatch",
                format!("the certificate of {host} is for another name"),
            )
            .hint(
                "connect by a name in the certificate's subjectAltName (the common name does not \
                 count), or set `source.tls.mode` to \"verify-ca\"",
            )
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Error::fatal(
            "tls-expired",
            format!("the certificate of {host} is not valid at this time: {reason}"),
        )
        .hint("renew the server's certificate, and check this host's clock"),
        CertificateError::Other(_) => Error::fatal(
            "tls-untrusted",
            format!("the certificate of {host} cannot be verified: {reason}"),
        )
        .hint(
            "have it issued as an X.509 certificate of version 3 that is no CA itself; or give \
             it as `source.tls.ca`, which trusts exactly this one",
        ),
        other => Error::fatal(
            "tls-untrusted",
            format!("the certificate of {host} is not trusted: {other}"),
        )
        .hint("set `source.tls.ca` to the PEM file of the CA that signed the server's certificate"),
    }
}
