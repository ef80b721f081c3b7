//! Logging in: methods, TLS, sockets, refusals.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::auth::{Login, Secrecy};
use super::super::connection::{Connection, Purpose};
use super::rig::{backend, source};
use super::server::{Family, Server};
use crate::config::{Secret, Source, TlsMode};
use crate::error::{Class, Error, Result};
use crate::runtime::run_alone;

/// Connects and asks which way we came in.
fn login(source: &Source, purpose: Purpose) -> Result<String> {
    let source = source.clone();
    let asked = run_alone(backend(), move || async move {
        let mut connection = Connection::open(&source, purpose, "logins").await?;
        let sql = "SELECT current_user || ' ' || coalesce((SELECT version FROM pg_stat_ssl \
            WHERE pid = pg_backend_pid() AND ssl), 'clear')";
        let rows = connection.query("asking", sql).await?;
        connection.close().await;
        Ok(rows.first().map(|row| row.text(0).to_owned()).unwrap_or_default())
    });
    asked.expect("a core serves")
}

fn refusal(source: &Source) -> Error {
    login(source, Purpose::Catalogue).expect_err("the server refuses")
}

/// An authority and a certificate for `localhost` that it signed: (authority, certificate, key).
fn certificates(folder: &Path) -> [PathBuf; 3] {
    let files = ["ca.crt", "server.crt", "server.key"].map(|name| folder.join(name));
    let script = "set -e; cd \"$1\"
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\\n' >server.ext
        openssl x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
            -extfile server.ext -out server.crt
        chmod 600 server.key";
    let made = Command::new("sh").args(["-c", script, "sh"]).arg(folder).output();
    let made = made.expect("a shell runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    files
}

/// Replaces the server's rules of who may log in how.
fn rules(server: &Server, rules: &str) {
    let file = server.dir().join("data/pg_hba.conf");
    std::fs::write(file, format!("local all postgres trust\n{rules}\n")).expect("writable");
    server.sql("select pg_reload_conf()");
    let loaded = "select count(*) from pg_hba_file_rules where error is not null";
    assert_eq!(server.sql(loaded), "0\n");
}

#[test]
fn methods_with_and_without_tls() {
    // Goal: SCRAM, md5 and cleartext, over TLS and without, sessions and walsenders; SCRAM over TLS
    // is bound to the channel. Method: one server, a rule file per method.
    let folder = tempfile::tempdir().expect("a folder");
    let [authority, cert, key] = certificates(folder.path());
    let options = [
        "-c",
        "ssl=on",
        "-c",
        &format!("ssl_cert_file={}", cert.display()),
        "-c",
        &format!("ssl_key_file={}", key.display()),
    ];
    let pem = std::fs::read(&cert).expect("a certificate");
    let der = CertificateDer::from_pem_slice(&pem).expect("PEM").to_vec();
    let mut first = Vec::new();
    let mut bound = Login::new("cdc", "cdc", Secrecy::Tls(Some(der)));
    let offer = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    assert!(bound.handle(offer, &mut first).is_ok());
    assert_eq!(&first[5..24], b"SCRAM-SHA-256-PLUS\0", "what the logins below do over TLS");
    assert_eq!(&first[28..52], b"p=tls-server-end-point,,");
    let server = Server::start_with(Family::Postgres15, &options, &[]);
    server.sql("set password_encryption = md5; create role old login replication password 'old';");
    let mut scram = source(&server, &[]);
    let mut md5 = Source { user: "old".into(), password: Secret("old".into()), ..scram.clone() };
    rules(&server, "host all cdc all scram-sha-256\nhost all old all md5");
    for purpose in [Purpose::Catalogue, Purpose::Walsender, Purpose::Snapshot] {
        for (mode, how) in
            [(TlsMode::Off, "clear"), (TlsMode::Prefer, "TLSv1.3"), (TlsMode::Require, "TLSv1.3")]
        {
            (scram.tls.mode, md5.tls.mode) = (mode, mode);
            assert_eq!(login(&scram, purpose).ok(), Some(format!("cdc {how}")));
            assert_eq!(login(&md5, purpose).ok(), Some(format!("old {how}")));
        }
    }
    scram.hosts = vec!["localhost".into()];
    (scram.tls.mode, scram.tls.ca) = (TlsMode::VerifyFull, Some(authority));
    assert_eq!(login(&scram, Purpose::Catalogue).ok().as_deref(), Some("cdc TLSv1.3"));
    scram.hosts = vec!["127.0.0.1".into()];
    assert_eq!(refusal(&scram).code, "tls-name-mismatch");
    scram.tls.mode = TlsMode::VerifyCa;
    assert_eq!(login(&scram, Purpose::Catalogue).ok().as_deref(), Some("cdc TLSv1.3"));
    scram.tls.ca = None;
    assert_eq!(refusal(&scram).code, "tls-untrusted");
    rules(&server, "host all cdc all password");
    scram.tls.mode = TlsMode::Require;
    assert_eq!(login(&scram, Purpose::Catalogue).ok().as_deref(), Some("cdc TLSv1.3"));
    scram.tls.mode = TlsMode::Off;
    let error = refusal(&scram);
    assert_eq!((error.code, error.class), ("pg-cleartext-password", Class::Fatal));
}

#[test]
fn refusals_are_explained_and_classed() {
    // Goal: wrong password, unknown database, no rule, no password, no TLS at the server are Fatal;
    // an unreachable host is Transient, and the next host is tried. Method: one login each.
    let server = Server::start(Family::Postgres15);
    let good = source(&server, &[]);
    let code = |source: Source| {
        let error = refusal(&source);
        assert!(!error.to_string().contains("swordfish"), "{error}");
        (error.code, error.class)
    };
    let wrong = Secret("swordfish".into());
    assert_eq!(code(Source { password: wrong, ..good.clone() }), ("pg-login", Class::Fatal));
    let none = Secret::default();
    assert_eq!(code(Source { password: none, ..good.clone() }), ("pg-login", Class::Fatal));
    let database = Source { database: "nowhere".into(), ..good.clone() };
    assert_eq!(code(database), ("pg-database", Class::Fatal));
    let mut tls = good.clone();
    tls.tls.mode = TlsMode::Require;
    assert_eq!(code(tls), ("tls-not-offered", Class::Fatal));
    let nobody = Source { port: 1, ..good.clone() };
    assert_eq!(code(nobody), ("net-unreachable", Class::Transient));
    rules(&server, "host all app all scram-sha-256");
    assert_eq!(code(good.clone()), ("pg-login", Class::Fatal));
    rules(&server, "host all all all scram-sha-256\nlocal all cdc trust");
    let folder = server.dir().display().to_string();
    let hosts = Source { hosts: vec!["/nowhere".into(), folder.clone()], ..good.clone() };
    assert_eq!(login(&hosts, Purpose::Walsender).ok().as_deref(), Some("cdc clear"));
    let socket = Source { hosts: vec![folder], password: Secret::default(), ..good };
    assert_eq!(login(&socket, Purpose::Catalogue).ok().as_deref(), Some("cdc clear"));
}
