//! Source positions. Opaque to shards and coordinator, which compare `Seq` only; each carries
//! the identity of its source (HAZARDS L10). Serialised into the checkpoint as JSON.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Where a pipeline stands in its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Position {
    /// MySQL.
    MySql(BinlogPosition),
    /// MariaDB.
    MariaDb(BinlogPosition),
    /// PostgreSQL.
    Postgres(LsnPosition),
}

/// A position in a binary log: where the next transaction starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// Identity: MySQL `server_uuid`; MariaDB has none, empty.
    pub server_uuid: String,
    /// Log file's base name.
    pub file: String,
    /// Offset of the next transaction's first event in `file`.
    pub pos: u64,
    /// MySQL: the set of all GTIDs before this position (`uuid:1-5:7,uuid2:1`, tags included).
    /// MariaDB: `domain-server-seq,…`, one a domain. `None`: the server has no GTIDs.
    pub gtids: Option<String>,
}

/// A position in the WAL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LsnPosition {
    /// `IDENTIFY_SYSTEM` systemid.
    pub system_id: String,
    /// Timeline.
    pub timeline: u32,
    /// Everything that commits before this LSN is delivered (end LSN of the last commit, or the
    /// WAL end of a keepalive with nothing in flight).
    pub lsn: u64,
    /// LSN of the last COMMIT message delivered, for `source.sequence` after a restart; 0: none.
    #[serde(default)]
    pub last_commit_lsn: u64,
}

/// What moved since the last commit point. A delta, never a whole GTID set (HAZARDS H6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionDelta {
    /// MySQL and MariaDB.
    Binlog {
        /// File and offset after the last transaction; `None`: unknown (HAZARDS L27), keep the old.
        at: Option<(Arc<str>, u64)>,
        /// GTIDs since the last point, as the server writes them (`uuid:n`, `uuid:tag:n`,
        /// `domain-server-seq`), in log order.
        gtids: Vec<Gtid>,
    },
    /// PostgreSQL.
    Lsn {
        /// New `LsnPosition::lsn`.
        lsn: u64,
        /// New `LsnPosition::last_commit_lsn`; 0: unchanged.
        commit_lsn: u64,
    },
}

/// One GTID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gtid {
    /// MySQL: source id, tag (empty: none), number.
    MySql { uuid: [u8; 16], tag: Arc<str>, number: u64 },
    /// MariaDB.
    MariaDb { domain: u32, server: u32, seq: u64 },
}
