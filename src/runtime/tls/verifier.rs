//! Whom we believe. Enters: what the server shows in the handshake. Leaves: yes, or why not.
//! Keeps: in every mode the server proves that it holds the key of the certificate it shows.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

type Verdict<T> = std::result::Result<T, Error>;

/// `prefer` and `require`: any certificate, but the server must own its key.
#[derive(Debug)]
pub(super) struct Unverified {
    pub provider: Arc<CryptoProvider>,
}

impl Unverified {
    /// A certificate of version 1, as `openssl x509 -req` makes it and databases' manuals show it,
    /// is none to webpki; here only its key counts.
    fn or_by_key(
        &self,
        verdict: Verdict<HandshakeSignatureValid>,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        match verdict {
            Err(Error::InvalidCertificate(
                CertificateError::BadEncoding | CertificateError::Other(_),
            )) => by_key(&self.provider, message, cert, dss),
            verdict => verdict,
        }
    }
}

/// Verifies a signature by the certificate's bare key.
fn by_key(
    provider: &CryptoProvider,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Verdict<HandshakeSignatureValid> {
    let bad = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let parsed = Certificate::from_der(cert).map_err(bad)?;
    let info = &parsed.tbs_certificate.subject_public_key_info;
    // What an AlgorithmIdentifier holds: the identifier, and its parameters if there are any.
    let mut algorithm = info.algorithm.oid.to_der().map_err(bad)?;
    if let Some(parameters) = &info.algorithm.parameters {
        algorithm.extend(parameters.to_der().map_err(bad)?);
    }
    let algorithms = provider.signature_verification_algorithms.mapping;
    let candidates = algorithms.iter().filter(|(scheme, _)| *scheme == dss.scheme);
    for candidate in candidates.flat_map(|(_, candidates)| candidates.iter()) {
        if candidate.public_key_alg_id().as_ref() == algorithm {
            let key = info.subject_public_key.raw_bytes();
            return candidate
                .verify_signature(key, message, dss.signature())
                .map(|()| HandshakeSignatureValid::assertion())
                .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature));
        }
    }
    Err(Error::InvalidCertificate(CertificateError::BadSignature))
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Verdict<ServerCertVerified> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verdict = verify_tls12_signature(message, cert, dss, algorithms);
        self.or_by_key(verdict, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verdict = verify_tls13_signature(message, cert, dss, algorithms);
        self.or_by_key(verdict, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca` and `verify-full`.
#[derive(Debug)]
pub(super) struct Verified {
    pub chain: Arc<WebPkiServerVerifier>,
    /// The name counts too.
    pub names: bool,
    /// Certificates of `tls.ca`: a server that shows one of them is trusted by itself, also where
    /// webpki lets no CA be a server (self-signed certificates are CAs by default).
    pub pinned: Vec<CertificateDer<'static>>,
}

impl Verified {
    /// The rest of the checks for a server whose very certificate is trusted.
    fn verify_pinned(
        &self,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict<ServerCertVerified> {
        let bad = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
        let validity = Certificate::from_der(end_entity).map_err(bad)?.tbs_certificate.validity;
        let now = now.as_secs();
        if now > validity.not_after.to_unix_duration().as_secs() {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        if now < validity.not_before.to_unix_duration().as_secs() {
            return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
        }
        if self.names {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verdict<ServerCertVerified> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return self.verify_pinned(end_entity, server_name, now);
        }
        let verdict = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // The name is looked at last: everything else has passed.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
