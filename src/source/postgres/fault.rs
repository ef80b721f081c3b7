//! What the server says when it refuses, and how the pipeline takes it.
//!
//! Enters: ErrorResponse bodies, I/O errors. Leaves: `penstock::error::Error` with a stable code, a
//! class and what to do. Keeps: no text that may hold a cell value (class 22, data exceptions)
//! and no secret is passed on.

use penstock_protocol::cursor::WireError;
use penstock_protocol::postgres::message::server_message;

use crate::error::Error;

/// What the server refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE, five characters.
    pub sqlstate: String,
    /// The message. The detail is not kept: it may quote cells.
    pub message: String,
}

impl ServerError {
    /// Reads the body of an ErrorResponse.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let fields = server_message(body)?;
        Ok(Self { sqlstate: fields.code, message: fields.message })
    }

    /// True if the SQLSTATE is this one.
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate == sqlstate
    }

    /// Message and SQLSTATE, without what could hold a cell's value.
    pub fn text(&self) -> String {
        if self.sqlstate.starts_with("22") {
            return format!("the server reports a data exception (SQLSTATE {})", self.sqlstate);
        }
        format!("{} (SQLSTATE {})", self.message, self.sqlstate)
    }

    /// The error in the pipeline's terms. `doing` says what was being done ("reading the
    /// catalogue"). SQLSTATE classes: PostgreSQL documentation, appendix "Error Codes".
    pub fn into_error(self, doing: &str) -> Error {
        let what = format!("{doing}: {}", self.text());
        match self.sqlstate.as_str() {
            "28P01" => Error::fatal("pg-login", what).hint(
                "correct source.user and source.password, or set the role's password: \
                 ALTER ROLE … PASSWORD '…'",
            ),
            "28000" => Error::fatal("pg-login", what).hint(
                "let the host in: add a line for this user, database and address to pg_hba.conf \
                 and run SELECT pg_reload_conf(); the role also needs LOGIN and REPLICATION",
            ),
            "3D000" => Error::fatal("pg-database", what).hint("correct source.database"),
            "42501" => Error::fatal("pg-permission", what)
                .hint("`penstock check CONFIG` names each missing right with the statement for it"),
            "55006" => Error::transient("pg-slot-in-use", what),
            "42704" | "55000" | "58P01" if doing == STREAMING => stream_refused(self, what),
            // Lock not available, query cancelled.
            "55P03" | "57014" => Error::transient("pg-busy", what),
            code if RETRIED.iter().any(|class| code.starts_with(class)) => {
                Error::transient("pg-server", what)
            }
            "42704" | "42P01" | "42703" | "3F000" => Error::fatal("pg-missing", what)
                .hint("`penstock check CONFIG` says what is missing"),
            _ => Error::fatal("pg-refused", what),
        }
    }
}

/// SQLSTATE classes that are worth another try: broken connections, transaction state,
/// serialization and deadlock, resources, server going away, system errors, internal errors.
const RETRIED: [&str; 7] = ["08", "25", "40", "53", "57", "58", "XX"];

/// What the stream says it is doing when the server refuses it; selects the longer explanations.
pub const STREAMING: &str = "streaming from the slot";

/// Refusals of START_REPLICATION and of the output plugin: none is cured by another try.
fn stream_refused(error: ServerError, what: String) -> Error {
    if error.message.starts_with("publication ") {
        // HAZARDS L26: the plugin looks the publication up as of the WAL that it decodes.
        return Error::fatal("pg-publication-lost", what).hint(
            "the publication did not exist yet (or no longer) where the slot stands, so no retry \
             can help: drop the slot (`penstock offsets delete --drop-slot CONFIG`) and run again \
             to make both and take a new snapshot",
        );
    }
    if error.message.starts_with("replication slot ") && error.is("42704") {
        return Error::fatal("pg-slot-missing", what).hint(
            "the slot was dropped, so the changes since then are gone: \
             `penstock offsets delete CONFIG` and run again for a new snapshot, \
             or set snapshot.mode = \"when_needed\"",
        );
    }
    Error::fatal("pg-slot-lost", what).hint(
        "the server has removed WAL that the slot needed: drop the slot \
         (`penstock offsets delete --drop-slot CONFIG`) and run again for a new snapshot, or set \
         snapshot.mode = \"when_needed\"; raise max_slot_wal_keep_size to keep more",
    )
}

/// A malformed message: the connection cannot be trusted any further. Transient: a new connection
/// starts at the last durable position.
pub fn malformed(error: WireError, doing: &str) -> Error {
    Error::transient(
        "pg-protocol",
        format!("{doing}: the server sent a malformed message: {error}"),
    )
}

/// A connection that broke.
pub fn broken(error: &std::io::Error, doing: &str) -> Error {
    Error::transient("pg-connection", format!("{doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn body(fields: &[(u8, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (field, text) in fields {
            body.push(*field);
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        body
    }

    fn error(sqlstate: &str, message: &str, doing: &str) -> Error {
        ServerError::parse(&body(&[(b'S', "ERROR"), (b'C', sqlstate), (b'M', message)]))
            .expect("a well-formed body")
            .into_error(doing)
    }

    #[test]
    fn refusals_are_classed() {
        // Goal: what a retry cannot cure is Fatal, what it may is Transient. Method: SQLSTATEs.
        let class = |state, message| {
            let error = error(state, message, STREAMING);
            (error.code, error.class)
        };
        assert_eq!(class("28P01", "no"), ("pg-login", Class::Fatal));
        assert_eq!(class("57P03", "starting up"), ("pg-server", Class::Transient));
        assert_eq!(class("55006", "slot is active"), ("pg-slot-in-use", Class::Transient));
        assert_eq!(
            class("42704", "replication slot \"s\" does not exist"),
            ("pg-slot-missing", Class::Fatal)
        );
        assert_eq!(class("58P01", "requested WAL segment"), ("pg-slot-lost", Class::Fatal));
    }

    #[test]
    fn l26_a_lost_publication_is_fatal_and_says_what_to_do() {
        // Goal: the error that a retry meets for ever ends the pipeline. Method: its text.
        let error = error("42704", "publication \"p\" does not exist", STREAMING);
        assert_eq!((error.code, error.class), ("pg-publication-lost", Class::Fatal));
        assert!(error.hint.is_some_and(|hint| hint.contains("drop the slot")));
    }

    #[test]
    fn cell_values_do_not_leave() {
        // Goal: a data exception's text, which may quote a cell, is not passed on.
        let error = error("22P02", "invalid input syntax for type integer: \"secret\"", "reading");
        assert_eq!(error.what, "reading: the server reports a data exception (SQLSTATE 22P02)");
    }

    #[test]
    fn truncated_errors_are_errors() {
        // Goal: no panic on any prefix of an ErrorResponse. Method: all of them.
        let body = body(&[(b'C', "42704"), (b'M', "m")]);
        for end in 0..body.len() {
            assert!(ServerError::parse(&body[..end]).is_err(), "prefix of {end} bytes");
        }
    }
}
