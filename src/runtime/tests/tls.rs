//! TLS, against a rustls server on a plain thread.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::super::net::{Wire, connect, explain};
use super::super::*;
use super::net::serve;
use super::{LIMIT, on_each};
use crate::config::{Tls, TlsMode};
use crate::error::{Class, Result};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/runtime/tests/certs").join(name)
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(file(name)).unwrap()]
}

fn key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file(name)).unwrap()
}

/// What the server shows, whether or not key and certificate go together.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

struct Server {
    cert: &'static str,
    key: &'static str,
    version: &'static SupportedProtocolVersion,
    asks_for_client: bool,
}

const GOOD: Server = Server {
    cert: "server.pem",
    key: "server.key",
    version: &rustls::version::TLS13,
    asks_for_client: false,
};

impl Server {
    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let signing = provider.key_provider.load_private_key(key(self.key)).unwrap();
        let shown = Shows(Arc::new(CertifiedKey::new(chain(self.cert), signing)));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = if self.asks_for_client {
            let mut roots = RootCertStore::empty();
            roots.add(chain("ca.pem").remove(0)).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        builder.with_cert_resolver(Arc::new(shown))
    }

    /// Connects to this server as `tls` says, and has 100 kB echoed.
    async fn talk(&self, tls: Tls, host: &str) -> Result<Wire> {
        let client = tls::Client::new(&tls)?;
        let config = Arc::new(self.config());
        let (endpoint, server) = serve(move |mut stream| {
            let mut session = rustls::ServerConnection::new(config).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = tls.read(&mut buffer) {
                if tls.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            // Closing over unread bytes resets the connection, and the alert with it.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let stream = connect(&endpoint, LIMIT).await.unwrap();
        let mut wire = client.upgrade(stream, host).await?;
        let echoed = async {
            let mut got = [0; 5000];
            for i in 0..20 {
                wire.write_all(&[i; 5000]).await?;
                wire.flush().await?;
                wire.read_exact(&mut got).await?;
                assert_eq!(got, [i; 5000]);
            }
            wire.close().await
        };
        echoed.await.map_err(|e| explain(&endpoint, &e))?;
        server.join().unwrap();
        Ok(wire)
    }
}

fn with(mode: TlsMode, ca: Option<&str>) -> Tls {
    Tls { mode, ca: ca.map(file), cert: None, key: None }
}

async fn code(server: &Server, tls: Tls, host: &str) -> &'static str {
    match server.talk(tls, host).await {
        Ok(wire) => {
            assert!(wire.is_tls() && wire.is_private());
            let shown = wire.peer_certificate_der().unwrap();
            assert_eq!(shown, chain(server.cert)[0].as_ref());
            "ok"
        }
        Err(error) => {
            assert_eq!(error.class, Class::Fatal);
            assert!(error.hint.is_some());
            error.code
        }
    }
}

/// Goal: each mode accepts what it should and refuses the rest with its own code. Method: servers
/// that are good, of another CA, of another name, expired, self-signed as a CA, of version 1 and
/// without the key of what they show.
#[test]
fn modes_accept_and_refuse() {
    use TlsMode::{Prefer, Require, VerifyCa, VerifyFull};
    on_each(|| async {
        let shows = |cert, key| Server { cert, key, ..GOOD };
        let good = shows("server.pem", "server.key");
        let wrong_name = shows("wrongname.pem", "wrongname.key");
        let expired = shows("expired.pem", "expired.key");
        let self_signed = shows("selfsigned.pem", "selfsigned.key");
        let version1 = shows("version1.pem", "version1.key");
        let thief = shows("server.pem", "client.key");
        let ours = Some("ca.pem");
        for (server, mode, ca, host, expected) in [
            (&good, Prefer, None, "localhost", "ok"),
            (&good, Require, None, "no_name!", "ok"),
            (&good, VerifyCa, ours, "elsewhere.example", "ok"),
            (&good, VerifyFull, ours, "localhost", "ok"),
            (&good, VerifyFull, ours, "127.0.0.1", "ok"),
            (&good, VerifyFull, ours, "elsewhere.example", "tls-name-mismatch"),
            (&good, VerifyFull, Some("other.pem"), "localhost", "tls-untrusted"),
            (&good, VerifyCa, Some("other.pem"), "localhost", "tls-untrusted"),
            (&wrong_name, VerifyCa, ours, "localhost", "ok"),
            (&wrong_name, VerifyFull, ours, "localhost", "tls-name-mismatch"),
            (&expired, Require, None, "localhost", "ok"),
            (&expired, VerifyCa, ours, "localhost", "tls-expired"),
            (&self_signed, Require, None, "localhost", "ok"),
            (&self_signed, VerifyFull, ours, "localhost", "tls-untrusted"),
            (&self_signed, VerifyFull, Some("selfsigned.pem"), "localhost", "ok"),
            (&self_signed, VerifyFull, Some("selfsigned.pem"), "other", "tls-name-mismatch"),
            (&expired, VerifyCa, Some("expired.pem"), "localhost", "tls-expired"),
            (&version1, Require, None, "localhost", "ok"),
            (&version1, VerifyCa, ours, "localhost", "tls-untrusted"),
            (&thief, Require, None, "localhost", "tls-untrusted"),
            (&thief, VerifyFull, ours, "localhost", "tls-untrusted"),
        ] {
            let got = code(server, with(mode, ca), host).await;
            assert_eq!(got, expected, "{} as {host} with {mode:?} and {ca:?}", server.cert);
        }
    });
}

/// Goal: TLS 1.2 serves as well, with certificates of version 1 too. Method: a server of that
/// version only.
#[test]
fn tls12_serves() {
    on_each(|| async {
        let version = &rustls::version::TLS12;
        let good = Server { version, ..GOOD };
        let tls = with(TlsMode::VerifyFull, Some("ca.pem"));
        assert_eq!(code(&good, tls, "localhost").await, "ok");
        let old = Server { cert: "version1.pem", key: "version1.key", version, ..GOOD };
        assert_eq!(code(&old, with(TlsMode::Require, None), "localhost").await, "ok");
        let thief = Server { key: "client.key", ..old };
        let refused = code(&thief, with(TlsMode::Require, None), "localhost").await;
        assert_eq!(refused, "tls-untrusted");
    });
}

/// Goal: a client certificate is shown where it is asked for, and its lack explained. Method: a
/// server that demands one, of TLS 1.2 and 1.3.
#[test]
fn client_certificates() {
    on_each(|| async {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let server = Server { version, asks_for_client: true, ..GOOD };
            let mut tls = with(TlsMode::VerifyFull, Some("ca.pem"));
            assert_eq!(code(&server, tls.clone(), "localhost").await, "tls-refused");
            tls.cert = Some(file("client.pem"));
            tls.key = Some(file("client.key"));
            assert_eq!(code(&server, tls, "localhost").await, "ok");
        }
    });
}

/// Goal: a server that speaks no TLS, or hangs up, is told from one that refuses. Method: plain
/// text, and a closed connection, in place of the handshake.
#[test]
fn servers_that_speak_no_tls() {
    on_each(|| async {
        let client = tls::Client::new(&with(TlsMode::Require, None)).unwrap();
        assert!(client.wants_tls() && client.requires_tls());
        for (says, expected) in
            [(&b"HTTP/1.1 400 no\r\n"[..], "tls-refused"), (b"", "tls-handshake")]
        {
            let (endpoint, server) = serve(move |mut stream| {
                stream.write_all(says).unwrap();
                let mut hello = [0; 5];
                stream.read_exact(&mut hello).unwrap();
            });
            let stream = connect(&endpoint, LIMIT).await.unwrap();
            let error = client.upgrade(stream, "localhost").await.err().unwrap();
            assert_eq!(error.code, expected);
            server.join().unwrap();
        }
    });
}

/// Goal: with TLS off nothing is read and nothing is encrypted. Method: files that do not exist.
#[test]
fn off_is_off() {
    on_each(|| async {
        let client = tls::Client::new(&with(TlsMode::Off, Some("missing.pem"))).unwrap();
        assert!(!client.wants_tls() && !client.requires_tls());
        let (endpoint, server) = serve(drop);
        let stream = connect(&endpoint, LIMIT).await.unwrap();
        assert!(!client.upgrade(stream, "localhost").await.unwrap().is_tls());
        server.join().unwrap();
    });
}

/// Goal: each unusable file is refused at start with its own code and a way out. Method: a missing
/// file, one that is no PEM, a key with a passphrase, a key of another certificate, one of two.
#[test]
fn files_are_checked_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("noise.pem");
    std::fs::write(&noise, [0x30, 0x82, 1, 2, 3]).unwrap();
    let client = |cert: &str, key: &str| Tls {
        cert: (!cert.is_empty()).then(|| file(cert)),
        key: (!key.is_empty()).then(|| file(key)),
        ..with(TlsMode::Require, None)
    };
    let noisy = Tls { ca: Some(noise), ..with(TlsMode::VerifyCa, None) };
    for (tls, expected) in [
        (with(TlsMode::VerifyFull, Some("missing.pem")), "tls-file-missing"),
        (with(TlsMode::VerifyCa, Some("client.key")), "tls-not-pem"),
        (noisy, "tls-not-pem"),
        (client("client.pem", "missing.key"), "tls-file-missing"),
        (client("client.pem", "encrypted.key"), "tls-not-pem"),
        (client("client.pem", "server.key"), "tls-key-mismatch"),
        (client("client.pem", ""), "tls-key-mismatch"),
        (client("", "client.key"), "tls-key-mismatch"),
    ] {
        let error = tls::Client::new(&tls).err().unwrap();
        assert_eq!((error.code, error.class), (expected, Class::Usage), "{tls:?}");
        assert!(error.hint.is_some());
    }
}

/// Goal: the halves of an encrypted wire work in two tasks. Method: 2 MB there and back.
#[test]
fn halves_work_under_tls() {
    on_each(|| async {
        let config = Arc::new(GOOD.config());
        let (endpoint, server) = serve(move |mut stream| {
            let mut session = rustls::ServerConnection::new(config).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut stream);
            let mut buffer = [0; 16384];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..n]).unwrap();
            }
        });
        let client = tls::Client::new(&with(TlsMode::VerifyFull, Some("ca.pem"))).unwrap();
        let stream = connect(&endpoint, LIMIT).await.unwrap();
        let (mut reader, mut writer) = client.upgrade(stream, "localhost").await.unwrap().split();
        let writing = spawn_local(async move {
            for _ in 0..128 {
                writer.write_all(&[7; 16384]).await.unwrap();
            }
            writer.flush().await.unwrap();
            writer
        });
        let mut buffer = vec![0; 128 * 16384];
        reader.read_exact(&mut buffer).await.unwrap();
        assert!(buffer.iter().all(|&byte| byte == 7));
        writing.await.close().await.unwrap();
        server.join().unwrap();
    });
}
