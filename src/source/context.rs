//! What a reader is given: its configuration, the router, the way to the shards and the
//! coordinator, and the word of what is durable.
//!
//! Enters: calls of a source's reader. Leaves: frames into the rings, commit points to the
//! coordinator. Keeps: a full ring makes the reader wait; whole transactions only are punctuated;
//! after `finish` nothing more is routed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use penstock_protocol::position::Position;
use penstock_protocol::schema::TableName;
use penstock_shards::annex::{Annex, AnnexKind};
use penstock_shards::hop::{ShardInput, TableStop, TxnOrigin};
use penstock_shards::router::{Router, RouterError, RouterOutput};
use penstock_shards::seq::PointId;

use super::heartbeat::Heartbeat;
use super::{Start, TableDirectory};
use crate::config::{self, OnTableError};
use crate::error::{Error, Result};
use crate::pipeline::Notice;
use crate::progress::ProgressSink;
use crate::runtime::{blocking, mailbox, ring, segments, sleep, watch, yield_now};
use crate::store::{History, SchemaRecord};

/// Records of the schema history that are written together.
const RECORDS_MAX: usize = 64;
/// Between two tries to write the schema history to a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

/// Outputs of the router that are handed on before others of the core get their turn.
const OUTPUTS_PER_STEP: u32 = 64;

/// What is durable so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flushed {
    /// Everything before this position is in a durable checkpoint.
    pub position: Option<Position>,
    /// The commit point of that checkpoint.
    pub point: PointId,
    /// Version of the schema history that this checkpoint needs.
    pub schema_version: u64,
    /// No checkpoint will follow: the reader tells the source and ends.
    pub last: bool,
}

/// What a reader works with. It lives on the reader's core.
pub struct ReaderContext {
    /// The pipeline's name.
    pub name: String,
    /// The source as configured.
    pub source: config::Source,
    /// The first snapshot as configured.
    pub snapshot: config::Snapshot,
    /// Where to begin.
    pub start: Start,
    /// `--exit-when-caught-up`: end once everything committed at the start is routed.
    pub catch_up: bool,
    /// Numbers of tables.
    pub tables: TableDirectory,
    /// Takes groups and frames; `flush` and `drain` hand on what it gives.
    pub router: Router,
    /// Buffers for the source's bytes.
    pub pool: Arc<segments::Pool>,
    /// What is durable.
    pub flushed: watch::Receiver<Flushed>,
    /// True once the pipeline is asked to stop: read no more, then `finish`.
    pub stop: watch::Receiver<bool>,
    /// Heartbeats; a reader starts them with its stream, and wakes when one is due.
    pub heartbeat: Heartbeat,
    /// Progress of the snapshot.
    pub progress: ProgressSink,
    /// Tables that were stopped for good (HAZARDS L21): captured no more.
    pub stopped: BTreeSet<TableName>,
    /// Version of the schema history that holds where the reader stands; 0: none.
    pub schema_version: u64,
    /// Absent in sources that keep none, and while a housekeeping thread has it.
    pub(crate) history: Option<History>,
    pub(crate) rings: Vec<ring::Producer<ShardInput>>,
    pub(crate) notices: mailbox::Sender<Notice>,
}

impl ReaderContext {
    /// Whether rows of this table are wanted.
    pub fn captured(&self, name: &TableName) -> bool {
        !self.stopped.contains(name) && self.source.filter.table(&name.to_string())
    }

    /// Punctuates, then hands on all that the router has. Waits while a ring is full.
    pub async fn flush(&mut self) -> Result<()> {
        if self.flushed.has_changed() {
            let durable = self.flushed.take();
            self.router.handle_durable(durable.point).map_err(router_error)?;
            if self.history.as_ref().is_some_and(History::wants_compaction) {
                let version = durable.schema_version;
                self.with_history(move |history| history.compact(version)).await?;
            }
        }
        if self.heartbeat.take() {
            self.router.heartbeat();
        }
        self.router.flush().map_err(router_error)?;
        self.drain().await
    }

    /// A record beside rows, at this place of the log (`Router::annex`), unless the configuration
    /// leaves its kind out.
    pub fn annex(&mut self, annex: Annex, origin: TxnOrigin, commit_us: i64) -> Result<()> {
        if annex.kind() == AnnexKind::SchemaChange && !self.source.include_schema_changes {
            return Ok(());
        }
        self.router.annex(annex, origin, commit_us).map_err(router_error)
    }

    /// Hands on what is ready, without punctuation: inside a transaction, when
    /// `router.pending_bytes()` grows. A long way, such as a transaction that is read back from the
    /// spill store, is walked in steps: others of this core get their turn (HAZARDS H2).
    pub async fn drain(&mut self) -> Result<()> {
        let mut steps = 0_u32;
        while let Some(output) = self.router.poll().map_err(router_error)? {
            steps += 1;
            if steps.is_multiple_of(OUTPUTS_PER_STEP) {
                yield_now().await;
            }
            let sent = match output {
                RouterOutput::ToShard(shard, input) => {
                    let ring = &mut self.rings[usize::from(shard.0)];
                    ring.push(input).await.is_ok()
                }
                RouterOutput::Point(point) => self.notices.send(Notice::Point(point)).await.is_ok(),
            };
            if !sent {
                return Err(ended());
            }
        }
        Ok(())
    }

    /// A table that the reader cannot go on with. By `on_table_error` this ends the pipeline (the
    /// error comes back) or records the stop in-band and captures the table no more.
    pub async fn stop_table(
        &mut self,
        name: &TableName,
        position: u64,
        error: Error,
    ) -> Result<()> {
        if self.source.on_table_error == OnTableError::Fail {
            return Err(error);
        }
        let (table, reason) = (self.tables.id(name), error.what);
        tracing::error!(table = %name, position, reason, "this table stops here; the rest goes on");
        self.stopped.insert(name.clone());
        let seq = self.router.whole();
        self.router.stop_table(TableStop { table, name: name.clone(), seq, position, reason });
        Ok(())
    }

    /// Makes what became of tables durable, from `position` on, as one new version of the schema
    /// history: it goes into every checkpoint from the end of the open group on. A full disk is
    /// waited for, and the source with us.
    pub async fn record_schemas(
        &mut self,
        position: &Position,
        changes: impl IntoIterator<Item = (String, serde_json::Value)>,
    ) -> Result<()> {
        let version = self.schema_version + 1;
        let position = serde_json::to_value(position).expect("invariant: positions serialise");
        let mut records = changes.into_iter().map(|(table, schema)| {
            let position = position.clone();
            SchemaRecord { version, position, table, schema }
        });
        // A few at a time: those of a whole server take room.
        loop {
            let some: Arc<[SchemaRecord]> = records.by_ref().take(RECORDS_MAX).collect();
            if some.is_empty() {
                break;
            }
            self.append_schemas(some).await?;
        }
        self.schema_version = version;
        self.router.handle_schema_version(version);
        Ok(())
    }

    async fn append_schemas(&mut self, records: Arc<[SchemaRecord]>) -> Result<()> {
        loop {
            let ours = Arc::clone(&records);
            match self.with_history(move |history| history.append(&ours)).await {
                Err(e) if e.code == "state-disk-full" && !self.stop.get() => {
                    tracing::warn!(pipeline = %self.name, "{}: waiting for room", e.what);
                    sleep(FULL_DISK_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Works with the schema history on a housekeeping thread: it reads and syncs files.
    pub async fn with_history<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut History) -> T + Send + 'static,
    ) -> T {
        let mut history = self.history.take().expect("invariant: this source keeps a history");
        let (history, done) = blocking(move || {
            let done = work(&mut history);
            (history, done)
        })
        .await;
        self.history = Some(history);
        done
    }

    /// Ends the stream: flushes, closes the rings and waits until the last checkpoint is durable.
    /// A source that must be told (`Flushed::position`) is told after this; it goes on answering
    /// its server's keepalives meanwhile by running this beside them.
    pub async fn finish(&mut self) -> Result<Flushed> {
        self.flush().await?;
        self.rings.clear();
        self.notices.send(Notice::EndOfStream).await.map_err(|_| ended())?;
        self.flushed.wait_for(|flushed| flushed.last).await.ok_or_else(ended)
    }
}

/// A router's error as the user reads it.
pub fn router_error(error: RouterError) -> Error {
    Error::fatal("pipeline-router", error.to_string())
}

/// Another part of the pipeline has ended; its own error is the one that is reported.
fn ended() -> Error {
    Error::fatal("pipeline-ended", "the pipeline ended while its reader was at work")
}
