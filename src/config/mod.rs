//! A pipeline's configuration, resolved: every default applied, every secret read, every path
//! absolute. Parsing, validation and messages are in the files beside.

mod columns;
mod filter;
mod load;
mod names;
mod pipeline;
mod postgres;
mod secret;
mod section;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use load::{load, load_file};
pub use postgres::{Autocreate, Postgres};

use std::path::PathBuf;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::EncodeOptions;

/// One pipeline: one source, one or more sinks.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Topic prefix, and the key of its state.
    pub name: String,
    /// Where the configuration came from, for messages.
    pub origin: PathBuf,
    /// Where rows come from.
    pub source: Source,
    /// How the first snapshot is taken.
    pub snapshot: Snapshot,
    /// Where records go; at least one.
    pub sinks: Vec<Sink>,
    /// Folder of checkpoints and schema history.
    pub state: PathBuf,
    /// Cores and backend.
    pub runtime: Runtime,
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Family.
    pub kind: SourceKind,
    /// Hosts in order of preference: a name, an address, or a folder with a Unix socket (starts
    /// with `/`; MySQL: the socket file itself too).
    pub hosts: Vec<String>,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// PostgreSQL: database.
    pub database: String,
    /// What is captured.
    pub filter: TableFilter,
    /// TLS.
    pub tls: Tls,
    /// PostgreSQL: slot name.
    pub slot: String,
    /// PostgreSQL: publication name.
    pub publication: String,
    /// PostgreSQL: the rest of what only it has.
    pub postgres: Postgres,
    /// MySQL, MariaDB: our server id; `None`: from a hash of host and name (HAZARDS H8).
    pub server_id: Option<u32>,
    /// Policy for Definite errors.
    pub on_table_error: OnTableError,
    /// `source.query` is filled.
    pub include_query: bool,
    /// `provide_transaction_metadata`.
    pub provide_transaction_metadata: bool,
    /// `include_schema_changes`.
    pub include_schema_changes: bool,
    /// MySQL, MariaDB: the schema history on disk holds captured tables alone.
    pub store_only_captured_tables: bool,
    /// `heartbeat_interval_ms`; 0: no heartbeat records.
    pub heartbeat_interval_ms: u64,
    /// `heartbeat_action_query`.
    pub heartbeat_action_query: Option<String>,
}

/// A string that never reaches a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Anchored, case-insensitive regular expressions over `schema.table` or `db.table`, and over
/// `schema.table.column` for columns. Built by `config::filter`.
#[derive(Clone, Debug, Default)]
pub struct TableFilter {
    /// Captured tables; empty: all.
    pub tables: Vec<regex::Regex>,
    /// Excluded tables.
    pub exclude_tables: Vec<regex::Regex>,
    /// Only these columns, if not empty.
    pub include_columns: Vec<regex::Regex>,
    /// Not these columns.
    pub exclude_columns: Vec<regex::Regex>,
}

impl TableFilter {
    /// Whether the table (`schema.table` or `db.table`) is captured.
    pub fn table(&self, name: &str) -> bool {
        let matches = |list: &[regex::Regex]| list.iter().any(|r| r.is_match(name));
        (self.tables.is_empty() || matches(&self.tables)) && !matches(&self.exclude_tables)
    }

    /// Whether the column (`schema.table.column`) is in the value.
    pub fn column(&self, name: &str) -> bool {
        let matches = |list: &[regex::Regex]| list.iter().any(|r| r.is_match(name));
        (self.include_columns.is_empty() || matches(&self.include_columns))
            && !matches(&self.exclude_columns)
    }
}

/// TLS towards the source.
#[derive(Clone, Debug)]
pub struct Tls {
    /// How much is asked for.
    pub mode: TlsMode,
    /// Trusted certificates, PEM; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Client certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Client key, PEM.
    pub key: Option<PathBuf>,
}

/// `tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Off,
    /// If the server offers it, unverified (default on loopback).
    Prefer,
    /// Always, unverified.
    Require,
    /// Always; the chain is verified.
    VerifyCa,
    /// Always; chain and host name are verified (default elsewhere).
    VerifyFull,
}

/// `on_table_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTableError {
    /// The pipeline stops, status 1.
    Fail,
    /// That table stops, recorded; the rest goes on.
    StopTable,
}

/// The first snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Mode.
    pub mode: SnapshotMode,
    /// Readers, at most (this build uses one).
    pub parallelism: u16,
    /// Rows of a chunk (or of a fetch).
    pub chunk_rows: u32,
    /// Over all readers; 0: no limit.
    pub rows_per_second: u64,
    /// Between chunks.
    pub pause_ms: u64,
}

/// `snapshot.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotMode {
    /// All rows first, then the stream.
    Initial,
    /// The snapshot, then the end.
    InitialOnly,
    /// As `initial` if there is no usable offset.
    WhenNeeded,
    /// Neither rows nor schema: the stream from the log's current end.
    Never,
    /// Schema only, then the stream (`no_data`).
    SchemaOnly,
    /// MySQL, MariaDB: from the offset, with the schema history made anew from the catalogue.
    Recovery,
}

/// A sink.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Kind and what only it knows.
    pub kind: SinkKind,
    /// Exactly once.
    pub exactly_once: bool,
    /// `headers` are printed.
    pub headers: bool,
    /// Form of records.
    pub encode: EncodeOptions,
}

/// Kinds of sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Lines on standard output.
    Stdout,
    /// One JSON-lines file a topic in this folder; `rotate_bytes` 0: never rotated.
    File { path: PathBuf, rotate_bytes: u64 },
    /// Full encoding, then dropped: for measuring.
    Null,
}

impl SinkKind {
    /// `sink.kind`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File { .. } => "file",
            Self::Null => "null",
        }
    }
}

/// Where the work runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Backend; `None`: io_uring if it serves here, else epoll.
    pub backend: Option<Backend>,
    /// `cores = "auto"` (`None`) or an explicit list of CPUs.
    pub cores: Option<Vec<usize>>,
}

/// Event loop of the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// glommio.
    IoUring,
    /// tokio's current-thread runtime.
    Epoll,
}

/// What a topic may be made of (ENVELOPE, section 1); names and delimiters become parts of topics.
fn is_topic_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}
