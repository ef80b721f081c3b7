//! Sources: one folder each. A source's reader runs as one task on the reader's core: it frames
//! the log, never decodes a row, and hands frames to the `Router` through its `ReaderContext`.
//!
//! Keeps: nothing is told to the server as flushed before its checkpoint is durable
//! (`ReaderContext::flushed`); full rings make the reader wait, and waiting reaches the socket.

pub mod context;
pub mod heartbeat;
pub mod marks;
pub mod mysql;
pub mod postgres;

use std::collections::BTreeMap;

use penstock_protocol::frame::TableId;
use penstock_protocol::position::Position;
use penstock_protocol::schema::{SourceKind, TableName};

pub use self::context::ReaderContext;
use crate::error::Result;

/// Why a reader ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// It was asked to stop; everything read in whole transactions is routed.
    Stopped,
    /// `--exit-when-caught-up`: the goal taken at the start is routed.
    CaughtUp,
    /// `initial_only`: the snapshot is routed.
    SnapshotTaken,
}

impl SourceEnd {
    /// In a log line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::CaughtUp => "caught up",
            Self::SnapshotTaken => "snapshot taken",
        }
    }
}

/// Runs the reader of a pipeline to its end. It reconnects by itself; an error is final.
pub async fn run(context: ReaderContext) -> Result<SourceEnd> {
    match context.source.kind {
        SourceKind::Postgres => Box::pin(postgres::run(context)).await,
        SourceKind::MySql | SourceKind::MariaDb => Box::pin(mysql::run(context)).await,
    }
}

/// Where a run begins, from the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// No checkpoint, or one that was made before the first snapshot ended: begin as
    /// `snapshot.mode` says.
    Fresh,
    /// Stream from here.
    Resume(Position),
}

/// Gives each table of a pipeline its dense number. Numbers hold for the life of the reader, over
/// reconnects, also when a table is dropped and made again under its old name.
#[derive(Debug, Default)]
pub struct TableDirectory {
    by_name: BTreeMap<TableName, TableId>,
}

impl TableDirectory {
    /// The number of this table; a new one at its first mention.
    pub fn id(&mut self, name: &TableName) -> TableId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let next = u32::try_from(self.by_name.len()).expect("invariant: fewer than 2^32 tables");
        self.by_name.insert(name.clone(), TableId(next));
        TableId(next)
    }
}
