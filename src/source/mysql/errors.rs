//! What the servers' refusals mean to a user.
//!
//! Enters: error numbers and broken bytes. Leaves: errors with a class, a code and a hint. Keeps:
//! no cell value and no secret is in any of them (the servers' own texts hold names only).

use penstock_protocol::cursor::WireError;
use penstock_protocol::mysql::resultset::ServerError;

use crate::error::{Error, Result};
use crate::runtime::net::{self, Endpoint};

/// Bytes that no server of these kinds sends.
pub fn broken(e: WireError) -> Error {
    Error::transient("my-protocol", format!("the server's answer cannot be read: {e}"))
        .hint("is there a MySQL or MariaDB server at this address, and no proxy that alters bytes?")
}

/// An event whose checksum is not that of its bytes.
pub fn wrong_checksum(code: u8) -> Error {
    let what = format!("the checksum of an event of type {code} is wrong");
    Error::transient("my-checksum", what).hint(
        "bytes changed on the way or on the server's disk: mysqlbinlog --verify-binlog-checksum \
         tells which",
    )
}

/// A packet in the wrong place.
pub fn unexpected(what: &str) -> Error {
    Error::transient("my-protocol", format!("the server sent unexpected {what}"))
        .hint("is there a MySQL or MariaDB server at this address, and no proxy that alters bytes?")
}

/// The connection ended.
pub fn lost(endpoint: &Endpoint, e: &std::io::Error) -> Error {
    net::explain(endpoint, e)
}

/// The server refused a login.
pub fn login(e: &ServerError, user: &str, endpoint: &Endpoint) -> Error {
    let what = format!("{endpoint} refused the login of {user:?}: {} ({})", e.message, e.code);
    match e.code {
        2061 => login_needs_tls(user),
        1044 | 1045 | 1698 => Error::fatal("my-access-denied", what).hint(
            "check source.user and source.password, and that the user may come from this host",
        ),
        1130 | 1129 => Error::fatal("my-host-refused", what).hint(
            "let this host in: CREATE USER 'user'@'host' …, or FLUSH HOSTS after too many errors",
        ),
        1820 | 1862 | 3118 | 4151 => Error::fatal("my-account", what)
            .hint("renew the password or unlock the account: ALTER USER … IDENTIFIED BY …"),
        1251 | 1275 | 2059 | 1524 => Error::fatal("my-auth-plugin", what)
            .hint("give the user a supported plugin: caching_sha2_password, ed25519 or native"),
        3159 => Error::fatal("my-tls-required", what).hint("set tls.mode to require or more"),
        _ => Error::transient("my-login", what),
    }
}

/// caching_sha2_password without a safe way for the password.
pub fn login_needs_tls(user: &str) -> Error {
    Error::fatal(
        "my-needs-tls",
        format!(
            "the server has to see the password of {user:?} once (caching_sha2_password), and \
             offers neither TLS nor its RSA public key"
        ),
    )
    .hint("set tls.mode to require; or have the server make RSA keys (caching_sha2_password_auto_generate_rsa_keys)")
}

/// The server refused a statement of ours.
pub fn refused(e: &ServerError, sql: &str) -> Error {
    let verb = sql.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let what = format!("the server refused {verb:?}: {} ({})", e.message, e.code);
    match e.code {
        // access denied for database, command, table, operation; column; routine
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => Error::fatal("my-missing-grant", what).hint(
            "GRANT SELECT, RELOAD, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the \
             user (penstock check names what is missing)",
        ),
        // lock wait, deadlock, shutdown, too many connections, interrupted, lost, killed, timeout
        1205 | 1213 | 1053 | 1040 | 1317 | 1927 | 1152 | 1158 | 1159 | 1160 | 1161 | 3024 | 1969
        | 1180 | 1290 | 1836 | 1412 => Error::transient("my-server-busy", what),
        1146 | 1049 => Error::transient("my-table-gone", what),
        1236 => dump(&e.message),
        _ => Error::fatal("my-refused", what)
            .hint("the server's manual explains the number; `penstock check` names what is missing"),
    }
}

/// What ended a dump; its errors have many numbers, the text tells.
pub fn dump_ended(e: &ServerError) -> Error {
    match e.code {
        // shutdown, killed, interrupted, aborted: the connection, not the log
        1053 | 1927 | 1317 | 1152 | 1158..=1161 => {
            Error::transient("my-dump-ended", format!("the server ended the dump: {}", e.message))
        }
        1227 | 1045 => refused(e, "COM_BINLOG_DUMP"),
        _ => dump(&e.message),
    }
}

/// The dump cannot go on.
fn dump(message: &str) -> Error {
    let what = format!("the server cannot send its log: {message}");
    let lower = message.to_ascii_lowercase();
    if lower.contains("same server_uuid/server_id") || lower.contains("same server_id") {
        return Error::transient("my-server-id-clash", what)
            .hint("another replica uses our server_id: set source.server_id to a free number");
    }
    if lower.contains("purged") || lower.contains("could not find first log") {
        return Error::fatal("my-binlog-purged", what).hint(purged_hint());
    }
    if lower.contains("not in the master's binlog")
        || lower.contains("not in the source's binlog")
        || lower.contains("has more gtids than")
        || lower.contains("could not find gtid state")
        || lower.contains("impossible position")
        || lower.contains("exceeds file size")
    {
        return Error::fatal("my-other-past", what).hint(other_past_hint());
    }
    if lower.contains("max_allowed_packet") {
        return Error::fatal("my-event-too-large", what)
            .hint("SET GLOBAL max_allowed_packet = 1073741824 on the server");
    }
    Error::fatal("my-dump-refused", what)
        .hint("the text is the server's; its error log may say more")
}

/// What to do when the log no longer reaches back to our position.
pub fn purged_hint() -> &'static str {
    "what was purged cannot be had from this server any more: run with snapshot.mode = \
     \"when_needed\", or remove the state folder to take a new snapshot; then raise \
     binlog_expire_logs_seconds"
}

/// What to do when the server has another past than our position.
pub fn other_past_hint() -> &'static str {
    "the server never had what this pipeline has delivered (a failover lost it, or it is another \
     server): connect to the right server, or take a new snapshot (snapshot.mode = \"when_needed\")"
}

/// Makes the server's number of an attempt an `Option`: `None` if it refused with one of `codes`.
pub fn tolerate<T>(
    answer: std::result::Result<T, ServerError>,
    codes: &[u16],
    sql: &str,
) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(e) if codes.contains(&e.code) => Ok(None),
        Err(e) => Err(refused(&e, sql)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn server(code: u16, message: &str) -> ServerError {
        ServerError { code, state: "HY000".into(), message: message.into() }
    }

    #[test]
    fn l10_refused_dumps_are_explained() {
        // Goal: purged, foreign and clashing are told apart. Method: the servers' texts.
        for (text, code, class) in [
            (
                "Could not find first log file name in binary log index file",
                "my-binlog-purged",
                Class::Fatal,
            ),
            (
                "Cannot replicate because the source purged required binary logs.",
                "my-binlog-purged",
                Class::Fatal,
            ),
            (
                "Error: connecting slave requested to start from GTID 0-1-99, which is not in the master's binlog",
                "my-other-past",
                Class::Fatal,
            ),
            (
                "A slave with the same server_uuid/server_id as this slave has connected to the master",
                "my-server-id-clash",
                Class::Transient,
            ),
            (
                "A slave with the same server_id is already connected; the first event '.' at 4",
                "my-server-id-clash",
                Class::Transient,
            ),
        ] {
            let e = dump_ended(&server(1236, text));
            assert_eq!((e.code, e.class), (code, class), "{text}");
            assert!(e.hint.is_some());
        }
        let killed = dump_ended(&server(1053, "Server shutdown in progress"));
        assert_eq!((killed.code, killed.class), ("my-dump-ended", Class::Transient));
    }

    #[test]
    fn logins() {
        // Goal: a wrong password is not retried, a full server is. Method: numbers.
        let endpoint = Endpoint::Tcp { host: "h".into(), port: 1 };
        let denied = login(&server(1045, "Access denied for user 'u'@'h'"), "u", &endpoint);
        assert_eq!((denied.code, denied.class), ("my-access-denied", Class::Fatal));
        let slave = refused(&server(1045, "Access denied for user 'u'@'h'"), "COM_REGISTER_SLAVE");
        assert_eq!((slave.code, slave.class), ("my-missing-grant", Class::Fatal));
        let full = login(&server(1040, "Too many connections"), "u", &endpoint);
        assert_eq!(full.class, Class::Transient);
    }
}
