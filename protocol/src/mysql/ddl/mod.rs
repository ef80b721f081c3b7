//! Statements of the log: what they do, and how they change tables.
//!
//! Enters: the text of a QUERY event with its `sql_mode`. Leaves: a verb with the tables that it
//! names ([`classify`], for the reader's groups), or the whole change of a schema ([`parse`], for
//! the schema history). Keeps: quotes, comments and version comments are read as the server reads
//! them (`sql/sql_lex.cc`); what does not matter is stepped over by balanced tokens, so that only
//! what cannot be understood *and* matters is an error, and that error names its tables alone
//! (HAZARDS L24). Memory stays small for a statement of any size: tokens are made one at a time.

mod alter;
pub mod change;
mod classify;
mod column;
mod create;
mod key;
mod parser;
mod statement;
mod tokens;
mod types;

use alloc::string::String;

pub use classify::{Statement, XaVerb, classify};
pub use statement::parse;

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Database; `None`: the session's.
    pub database: Option<String>,
    /// Table.
    pub table: String,
}

/// Bits of `sql_mode` that decide how DDL reads.
pub mod sql_mode {
    pub use crate::mysql::event::{
        SQL_MODE_ANSI_QUOTES as ANSI_QUOTES, SQL_MODE_NO_BACKSLASH_ESCAPES as NO_BACKSLASH_ESCAPES,
    };
    /// REAL is FLOAT.
    pub const REAL_AS_FLOAT: u64 = 1;
    /// MariaDB: Oracle's words and types.
    pub const ORACLE: u64 = 1 << 9;
    /// MySQL 5.7, MariaDB: TIMESTAMP is DATETIME.
    pub const MAXDB: u64 = 1 << 12;
    /// Errors instead of silent changes, for transactional tables.
    pub const STRICT_TRANS_TABLES: u64 = 1 << 21;
    /// Errors instead of silent changes, for all tables.
    pub const STRICT_ALL_TABLES: u64 = 1 << 22;
}
