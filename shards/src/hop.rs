//! What passes from hop to hop between the machines (DESIGN.md, "What passes from hop to hop").

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};
use penstock_protocol::position::{Position, PositionDelta};
use penstock_protocol::schema::{TableName, TableSchema};
use serde::{Deserialize, Serialize};

use crate::annex::{Annex, Order};
use crate::batch::SealedBatch;
use crate::segment::Segment;
use crate::seq::{BatchId, PointId, Seq, ShardId, SinkId};
use crate::spill::SpillId;

/// A source transaction, as far as envelopes need it. Shared by all its frames.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnHead {
    /// Its dense number.
    pub seq: Seq,
    /// `source.ts_us`: commit time by the source's clock (of a snapshot: the database's clock).
    pub commit_us: i64,
    /// What only one kind of source says.
    pub origin: TxnOrigin,
    /// With `provide_transaction_metadata`, but for snapshots: its `id` (PostgreSQL: the part
    /// before the colon). Without: none, and `transaction` is null.
    pub id: Option<Arc<str>>,
}

/// The parts of the source block that are the transaction's.
#[derive(Clone, Debug, PartialEq)]
pub enum TxnOrigin {
    /// A binlog group.
    Binlog {
        /// `source.gtid` as text; none without GTIDs.
        gtid: Option<Arc<str>>,
        /// `source.file`.
        file: Arc<str>,
        /// `source.server_id`.
        server_id: u32,
        /// `source.thread`; MariaDB: none.
        thread: Option<u32>,
        /// `source.query`, with `include_query`.
        query: Option<Arc<str>>,
    },
    /// A WAL transaction.
    Wal {
        /// Top-level transaction id.
        xid: u32,
        /// LSN of the last COMMIT message before this transaction; 0: none.
        last_commit_lsn: u64,
        /// `source.origin` and `origin_lsn`, of a transaction that was replicated to here.
        replicated: Option<Arc<Replicated>>,
    },
    /// Snapshot rows of MySQL or MariaDB: file and offset of the view.
    BinlogSnapshot { file: Arc<str>, pos: u64 },
    /// Snapshot rows of PostgreSQL.
    WalSnapshot { xid: u32, lsn: u64, last_commit_lsn: u64 },
}

/// Where a replicated transaction was committed first (replication origins of PostgreSQL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicated {
    /// Name of the origin.
    pub origin: String,
    /// LSN of its commit there.
    pub lsn: u64,
}

/// One frame of a batch: its head, and which transaction of the batch it belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Where the body is and what it is.
    pub head: FrameHead,
    /// Index into `FrameBatch::txns`.
    pub txn: u32,
}

/// Frames of one segment for one shard. `through`: every frame of every transaction up to and
/// including this number has now been handed to this shard (whole transactions only).
pub struct FrameBatch {
    /// Bytes that the frames point into; none in a pure punctuation.
    pub segment: Option<Arc<Segment>>,
    /// Transactions that the frames belong to, ascending.
    pub txns: Vec<Arc<TxnHead>>,
    /// Frames in log order.
    pub frames: Vec<Frame>,
    /// Records beside rows, in order: frames of the kind `Annex` point at them by `offset`.
    pub annexes: Vec<Arc<Annex>>,
    /// With `provide_transaction_metadata`, one for each frame: numbers of its first event, zero
    /// where it has none. Else empty.
    pub orders: Vec<Order>,
    /// Punctuation; also sent to idle shards.
    pub through: Seq,
}

/// What a shard takes, in order, through its ring.
pub enum ShardInput {
    /// Rows and punctuation.
    Frames(FrameBatch),
    /// A new version of a table, in-band: holds for every later frame of it.
    Schema(Arc<TableSchema>),
}

/// A place at which a checkpoint may stand: the end of a source transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitPoint {
    /// Its own number, dense from 1 in a run: several points may have one `seq`, because a
    /// keepalive, a rollback or an XA PREPARE moves the position without a row.
    pub point: PointId,
    /// Last whole transaction before it.
    pub seq: Seq,
    /// The position is this one before `delta` moves it: the start of a new pipeline, or the
    /// source's new identity after a failover.
    pub base: Option<Position>,
    /// What moved since the commit point before; `None`: nothing but what the other fields say.
    pub delta: Option<PositionDelta>,
    /// XA transactions that were parked or released since the commit point before, in order.
    pub parked: Vec<ParkedChange>,
    /// Tables that the reader stopped since the commit point before.
    pub stops: Vec<TableStop>,
    /// True at the end of the first snapshot: from here on a restart streams.
    pub snapshot_done: bool,
    /// Version of the schema history that holds at the position; 0: none is kept.
    pub schema_version: u64,
}

/// What happened to a parked (prepared) transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum ParkedChange {
    /// XA PREPARE: its rows wait in the spill store, synced.
    Parked(Arc<ParkedGroup>),
    /// XA COMMIT or XA ROLLBACK of this xid.
    Released(Vec<u8>),
}

/// A prepared transaction that waits for its end, over restarts: named in the checkpoint, its
/// rows in the spill store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParkedGroup {
    /// The XID as the source gives it: opaque bytes.
    pub xid: Vec<u8>,
    /// Where its rows are.
    pub spill: SpillId,
    /// Bytes in the spill store.
    pub bytes: u64,
    /// Row frames in it.
    pub frames: u64,
    /// Its tables, by the index that spill records use. The schemas hold at its end, too: the
    /// source's metadata locks keep them until then.
    pub tables: Vec<TableSchema>,
}

/// Everything up to `through` is received, encoded and durable in this sink, as far as this shard
/// is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardProgress {
    /// Who reports.
    pub shard: ShardId,
    /// For which sink.
    pub sink: SinkId,
    /// Watermark of this shard and sink.
    pub through: Seq,
}

/// A batch on its way to one sink.
#[derive(Clone)]
pub struct Delivery {
    /// For which sink.
    pub sink: SinkId,
    /// The batch, shared between the sinks that take the same encoding.
    pub batch: Arc<SealedBatch>,
}

/// A sink's answer for one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkAck {
    /// Who answers.
    pub sink: SinkId,
    /// For which batch.
    pub batch: BatchId,
    /// How it went.
    pub outcome: AckOutcome,
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// It survives a crash of everything.
    Durable,
    /// Not delivered; deliver again (also the answer of a handle that was dropped, HAZARDS H9).
    Transient,
    /// Cannot be delivered. The text names the reason without cell values.
    Definite(String),
}

/// A table that cannot go on, in-band (HAZARDS L21): recorded before the watermark passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStop {
    /// Which.
    pub table: TableId,
    /// Its name.
    pub name: TableName,
    /// First transaction that is not delivered for this table.
    pub seq: Seq,
    /// Source position of the frame.
    pub position: u64,
    /// Why, without cell values.
    pub reason: String,
}
