//! Router: gives every source transaction its `Seq` and hands row frames to the shard that owns
//! the table, by reference into their segment.
//!
//! Enters: the reader's calls, in log order: schemas, begin, frames, savepoints, ends, position
//! moves, `flush`. Leaves, through `poll`: inputs for shards and commit points for the
//! coordinator, in the order in which they must be handed over. Keeps: nothing uncommitted leaves
//! (invariant 10, HAZARDS L5); `through` moves at whole transactions only and reaches idle shards
//! (invariant 3); schemas stay in order with the frames of their table (invariant 7); a point is
//! behind all frames that it covers; what waits is bounded (a held group: memory, then spill).
//!
//! Transactions in progress come interleaved, by xid (`handle_part` and its kin): those wait beside
//! the one open group.
//!
//! How a reader drives it: `handle_schema` before the first frame of a table; `begin`,
//! `handle_frame` …, `commit` (or another end); `flush` once for every segment or read from the
//! socket, and before it waits for more; then `poll` until it gives nothing, waiting wherever a
//! ring is full. When the connection is lost: `interrupted`, reconnect at the last position that
//! was given to the router, go on.

mod annexes;
mod error;
mod held;
mod in_progress;
mod leave;
mod numbers;
mod open;
mod point;
mod replay;
mod streamed;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};
use penstock_protocol::position::{Gtid, Position, PositionDelta};
use penstock_protocol::schema::{TableName, TableSchema};

use crate::annex::{ANNEX_KINDS, AnnexKind, Order};
use crate::bucket::BucketMap;
use crate::bugs::{Bug, Bugs};
use crate::encode::EventCounter;
use crate::hop::{
    CommitPoint, ParkedChange, ParkedGroup, ShardInput, TableStop, TxnHead, TxnOrigin,
};
use crate::limits::{Limits, RING_BATCHES_MAX};
use crate::segment::{Segment, Shelf};
use crate::seq::{PointId, Seq, ShardId};
use crate::spill::{SpillId, SpillStore};

pub use annexes::Beside;
pub use error::RouterError;
use held::Held;
use in_progress::InProgress;
use numbers::{Mark, Tally};
use open::OpenBatches;
use point::NextPoint;
use replay::Replay;
use streamed::Streamed;

/// Names a source transaction over reconnects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupId {
    /// Where a binlog group starts: its file, and the offset of its GTID (or BEGIN) event.
    Binlog(Arc<str>, u64),
    /// A binlog group by its GTID.
    Gtid(Gtid),
    /// A WAL transaction: top-level xid and final LSN (of Begin).
    Wal(u32, u64),
    /// Rows of the first snapshot. It cannot be resumed: a new run takes it again.
    Snapshot,
}

/// What the router hands on.
pub enum RouterOutput {
    /// Into the ring of this shard.
    ToShard(ShardId, ShardInput),
    /// To the coordinator, after everything before it went into the rings.
    Point(CommitPoint),
}

/// The router of a pipeline. Pure: it waits for nothing (but its spill store may touch a disk).
pub struct Router {
    map: BucketMap,
    /// By `AnnexKind`: who owns its pseudo-table.
    annex_owners: [ShardId; ANNEX_KINDS],
    limits: Limits,
    bugs: Bugs,
    spill: Box<dyn SpillStore>,
    /// Buffers of what is read back from it.
    shelf: Arc<Shelf>,
    spill_next: u64,
    /// By `TableId`.
    tables: Vec<Option<Table>>,
    /// Last number given.
    last: Seq,
    /// Last whole transaction.
    whole: Seq,
    group: Option<Group>,
    /// The streaming group that a lost connection has cut.
    cut: Option<GroupId>,
    streamed: Streamed,
    held: Held,
    in_progress: InProgress,
    /// Tables that the reader has stopped: their frames are dropped.
    stopped: BTreeSet<TableId>,
    open: OpenBatches,
    out: VecDeque<Out>,
    point: NextPoint,
    /// Version of the schema history behind the open group.
    schema_version: u64,
    txns_since_flush: usize,
    /// Inside the first snapshot: no point, because a restart begins it anew.
    snapshot: bool,
    parked: BTreeMap<Vec<u8>, ParkedGroup>,
    /// Spilled bytes that a checkpoint may still need, by the point that frees them.
    removable: VecDeque<(PointId, SpillId)>,
    unsynced: Vec<SpillId>,
    /// With transaction metadata.
    counter: Option<EventCounter>,
    begin_mark: Option<Mark>,
    end_us: Option<i64>,
}

struct Table {
    owner: ShardId,
    schema: Arc<TableSchema>,
}

struct Group {
    id: GroupId,
    origin: TxnOrigin,
    commit_us: i64,
    mode: Mode,
    /// With transaction metadata: where it begins, if it is numbered.
    begin: Option<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Frames go at once; `Router::streamed` counts them.
    Streaming,
    /// Frames wait in `Router::held`.
    Held,
}

// A queue of some dozens: a box for each batch would cost more than the room.
#[allow(clippy::large_enum_variant)]
enum Out {
    Ready(RouterOutput),
    Replay(Box<Replay>),
}

impl Router {
    /// A router at `Seq` 0. `spill`: this pipeline's own store.
    pub fn new(map: BucketMap, spill: Box<dyn SpillStore>) -> Self {
        Self::with_limits(map, spill, Limits::default(), Bugs::NONE)
    }

    /// The same with other bounds (tests), and planted bugs.
    #[doc(hidden)]
    pub fn with_limits(
        map: BucketMap,
        spill: Box<dyn SpillStore>,
        limits: Limits,
        bugs: Bugs,
    ) -> Self {
        Self {
            open: OpenBatches::new(map.shards()),
            annex_owners: AnnexKind::ALL.map(|kind| map.owner(&kind.name())),
            map,
            limits,
            bugs,
            spill,
            shelf: Shelf::new(RING_BATCHES_MAX),
            spill_next: 1,
            tables: Vec::new(),
            last: Seq(0),
            whole: Seq(0),
            group: None,
            cut: None,
            streamed: Streamed::default(),
            held: Held::default(),
            in_progress: InProgress::default(),
            stopped: BTreeSet::new(),
            out: VecDeque::new(),
            point: NextPoint::new(PointId(1), 0),
            schema_version: 0,
            txns_since_flush: 0,
            snapshot: false,
            parked: BTreeMap::new(),
            removable: VecDeque::new(),
            unsynced: Vec::new(),
            counter: None,
            begin_mark: None,
            end_us: None,
        }
    }

    /// At start, before all else: the XA transactions that the checkpoint lists as parked
    /// (possibly none). `table_id` gives the reader's number for a name. Whatever else the spill
    /// store holds from an earlier run is removed: the source sends it again.
    pub fn restore_parked(
        &mut self,
        parked: Vec<ParkedGroup>,
        mut table_id: impl FnMut(&TableName) -> TableId,
    ) -> Result<(), RouterError> {
        for spilled in self.spill.groups()? {
            self.spill_next = self.spill_next.max(spilled.0 + 1);
            if !parked.iter().any(|group| group.spill == spilled) {
                self.spill.remove(spilled)?;
            }
        }
        for mut group in parked {
            self.spill_next = self.spill_next.max(group.spill.0 + 1);
            // What was appended after the sync that the checkpoint knows of does not count.
            self.spill.truncate(group.spill, group.bytes)?;
            for schema in &mut group.tables {
                schema.table = table_id(&schema.name);
            }
            self.parked.insert(group.xid.clone(), group);
        }
        Ok(())
    }

    /// The position as of now is this one: the start of a new pipeline (before its snapshot), or
    /// the source's identity after a failover. The next point carries it.
    pub fn rebase(&mut self, position: Position) {
        self.point.base = Some(position);
        self.point.delta = None;
        self.point.blind = false;
        self.point.dirty = true;
        self.point.schema_version = self.schema_version;
    }

    /// The schema history has this version from the end of the open group on, or from the next
    /// move of the position: its records are durable already (invariant 7).
    pub fn handle_schema_version(&mut self, version: u64) {
        self.schema_version = version;
    }

    /// At start: the version that the checkpoint has.
    pub fn restore_schema_version(&mut self, version: u64) {
        self.schema_version = version;
        self.point.schema_version = version;
    }

    /// A whole group, or nothing of one, is behind us.
    fn moved(&mut self, delta: PositionDelta) {
        self.point.add(delta);
        self.point.schema_version = self.schema_version;
    }

    /// A new version of a table, in order with its frames. The shard of the table's name owns it.
    pub fn handle_schema(&mut self, schema: Arc<TableSchema>) {
        let held = self.is_held() && !self.bugs.has(Bug::SchemaOvertakesHeld);
        if held {
            let beside = Beside::Schema(Arc::clone(&schema));
            self.held.beside.push((self.held.frames(), beside));
            self.keep_version(&schema);
            self.note_schema(schema);
        } else {
            self.send_schema(schema);
        }
    }

    /// With transaction metadata: the version that frames of the open group have had so far.
    fn keep_version(&mut self, schema: &TableSchema) {
        let known = self.tables.get(schema.table.0 as usize).and_then(Option::as_ref);
        if let (Some(known), Some(_)) = (known, &self.counter) {
            let before = self.held.before.entry(schema.table);
            before.or_insert_with(|| Arc::clone(&known.schema));
        }
    }

    /// A table that the reader cannot go on with: recorded in every checkpoint from the next point
    /// on, so before any position behind it (HAZARDS L21). Its frames that wait here, parked ones
    /// too, are dropped; the reader gives no more of them. `stop.seq` is set here.
    pub fn stop_table(&mut self, mut stop: TableStop) {
        stop.seq = Seq(self.whole.0 + 1);
        self.stopped.insert(stop.table);
        self.point.stops.push(stop);
        self.point.dirty = true;
    }

    /// Remembers owner and schema, without sending.
    fn note_schema(&mut self, schema: Arc<TableSchema>) -> ShardId {
        let owner = self.map.owner(&schema.name);
        let at = schema.table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, || None);
        }
        self.tables[at] = Some(Table { owner, schema });
        owner
    }

    fn send_schema(&mut self, schema: Arc<TableSchema>) {
        let owner = self.note_schema(Arc::clone(&schema));
        self.open.seal(owner, self.whole, &mut self.out);
        self.out.push_back(Out::Ready(RouterOutput::ToShard(owner, ShardInput::Schema(schema))));
    }

    /// Opens a source transaction. `hold`: its frames wait until its end is known (MySQL and
    /// MariaDB groups that may roll back); else they go at once. Its `Seq` is given with the first
    /// frame that leaves: a transaction without frames only moves the position. After
    /// `interrupted` in a streaming group the same `id` must come again; frames that were routed
    /// are skipped by count.
    pub fn begin(
        &mut self,
        origin: TxnOrigin,
        commit_us: i64,
        hold: bool,
        id: GroupId,
    ) -> Result<(), RouterError> {
        if self.group.is_some() {
            return Err(RouterError::GroupOpen);
        }
        let mode = match self.cut.take() {
            Some(cut) => {
                if cut != id || hold || id == GroupId::Snapshot {
                    return Err(RouterError::AnotherGroup);
                }
                if !self.bugs.has(Bug::InterruptedRoutedAgain) {
                    self.streamed.resume();
                }
                Mode::Streaming
            }
            None if hold => Mode::Held,
            None => {
                self.streamed.start();
                Mode::Streaming
            }
        };
        if matches!(origin, TxnOrigin::BinlogSnapshot { .. } | TxnOrigin::WalSnapshot { .. })
            && !self.bugs.has(Bug::SnapshotCheckpointed)
        {
            self.snapshot = true;
        }
        let begin = self.begin_mark.take();
        self.group = Some(Group { id, origin, commit_us, mode, begin });
        Ok(())
    }

    /// One row frame of the open group; its table's schema was handed over before. On
    /// `Spill(Full)` the frame was not taken: call again with it later (HAZARDS H11).
    pub fn handle_frame(
        &mut self,
        segment: &Arc<Segment>,
        head: FrameHead,
    ) -> Result<(), RouterError> {
        let table = self.tables.get(head.table.0 as usize).and_then(Option::as_ref);
        let owner = table.ok_or(RouterError::UnknownTable(head.table))?.owner;
        if u64::from(head.offset) + u64::from(head.len) > segment.data().len() as u64 {
            let FrameHead { offset, len, .. } = head;
            return Err(RouterError::FrameOutsideSegment { offset, len });
        }
        match self.group.as_ref().ok_or(RouterError::NoGroup)?.mode {
            Mode::Held => {
                let bound = match self.bugs.has(Bug::GroupUnbounded) {
                    true => usize::MAX,
                    false => self.limits.group_bytes,
                };
                let (spill, next) = (self.spill.as_mut(), &mut self.spill_next);
                self.held.push(segment, head, bound, spill, next)?;
            }
            Mode::Streaming => {
                if !self.streamed.take(&head)? {
                    return Ok(());
                }
                if self.streamed.head.is_none() {
                    self.streaming_head();
                }
                let order = self.streaming_order(segment, &head);
                let Some(txn) = &self.streamed.head else { return Err(RouterError::NoGroup) };
                let through = match self.bugs.has(Bug::PunctuateInTransaction) {
                    true => self.last,
                    false => self.whole,
                };
                let max = self.limits.frames_per_batch;
                self.open.push(owner, segment, head, txn, order, through, max, &mut self.out);
            }
        }
        Ok(())
    }

    /// Head of the open streaming group, made with its `Seq` when its first frame leaves.
    fn streaming_head(&mut self) -> Arc<TxnHead> {
        if let Some(head) = &self.streamed.head {
            return Arc::clone(head);
        }
        let group = self.group.take().expect("invariant: called inside a group alone");
        let (head, begin) = self.head_of(&group);
        self.group = Some(group);
        if let Some(begin) = begin {
            self.streamed.tally = Some(Tally::default());
            self.tell_begin(&head, begin);
        }
        self.streamed.head.insert(head).clone()
    }

    /// Numbers of a frame of the streaming group; `None`: metadata is off.
    #[inline]
    fn streaming_order(&mut self, segment: &Segment, head: &FrameHead) -> Option<Order> {
        let counter = self.counter.as_mut()?;
        let table = self.tables.get(head.table.0 as usize).and_then(Option::as_ref);
        Some(match (&mut self.streamed.tally, table) {
            (Some(tally), Some(table)) => tally.rows(counter, &table.schema, segment, head),
            _ => Order::default(),
        })
    }

    /// SAVEPOINT in a held group. A name that is set again moves. Names compare without ASCII
    /// case, as the servers do.
    pub fn savepoint(&mut self, name: &[u8]) -> Result<(), RouterError> {
        self.need_held()?;
        self.held.savepoint(name);
        Ok(())
    }

    /// ROLLBACK TO: the frames since that savepoint are dropped.
    pub fn rollback_to(&mut self, name: &[u8]) -> Result<(), RouterError> {
        if self.bugs.has(Bug::RollbackToIgnored) {
            return Ok(());
        }
        self.need_held()?;
        self.held.rollback_to(name, self.spill.as_mut())
    }

    fn is_held(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.mode == Mode::Held)
    }

    fn need_held(&self) -> Result<(), RouterError> {
        match &self.group {
            Some(group) if group.mode == Mode::Held => Ok(()),
            Some(_) => Err(RouterError::GroupStreams),
            None => Err(RouterError::NoGroup),
        }
    }

    /// The open group is committed; `delta`: the position behind it.
    pub fn commit(&mut self, delta: PositionDelta) -> Result<(), RouterError> {
        match self.group.as_ref().ok_or(RouterError::NoGroup)?.mode {
            Mode::Streaming if self.streamed.is_whole(&self.stopped) => self.end_streaming(&delta),
            Mode::Streaming => return Err(RouterError::AnotherGroup),
            Mode::Held => {
                self.held.flush_spill(self.spill.as_mut())?;
                let group = self.group.take().expect("invariant: looked at just above");
                let mut held = std::mem::take(&mut self.held);
                let end = self.end_of(&group, &delta);
                self.route_held(group, &held, end);
                held.reset();
                self.held = held;
            }
        }
        self.ended(delta)
    }

    /// A transaction is whole.
    fn ended(&mut self, delta: PositionDelta) -> Result<(), RouterError> {
        self.whole = self.last;
        self.moved(delta);
        self.txns_since_flush += 1;
        if self.txns_since_flush >= self.limits.txns_per_flush {
            self.flush()?;
        }
        Ok(())
    }

    /// The streaming group is committed.
    fn end_streaming(&mut self, delta: &PositionDelta) {
        if self.group.as_ref().is_some_and(|group| group.begin.is_some()) {
            // A transaction without events has its two records all the same.
            self.streaming_head();
        }
        let group = self.group.take().expect("invariant: looked at by the caller");
        let end = self.end_of(&group, delta);
        if let (Some(tally), Some(head)) = (self.streamed.tally.take(), self.streamed.head.clone())
        {
            self.push_annex(&Arc::new(tally.end(end)), &head, Order::default());
        }
    }

    /// The open group is rolled back: its frames are dropped, its schemas hold, the position
    /// moves.
    pub fn rollback(&mut self, delta: PositionDelta) -> Result<(), RouterError> {
        if self.bugs.has(Bug::RolledBackRouted) {
            return self.commit(delta);
        }
        self.drop_group(true)?;
        self.moved(delta);
        Ok(())
    }

    /// Says more of where the open group came from, before its first frame.
    pub fn amend(&mut self, origin: TxnOrigin) -> Result<(), RouterError> {
        let group = self.group.as_mut().ok_or(RouterError::NoGroup)?;
        debug_assert!(self.streamed.head.is_none() || self.streamed.resumed(), "frames are out");
        group.origin = origin;
        Ok(())
    }

    /// Drops the frames of the open group and sends its schemas. `annexes`: also its records beside
    /// rows, which no rollback takes back (a group that is read again gives them again).
    fn drop_group(&mut self, annexes: bool) -> Result<(), RouterError> {
        match self.group.as_ref().ok_or(RouterError::NoGroup)?.mode {
            Mode::Streaming if self.streamed.head.is_some() => {
                return Err(RouterError::GroupStreams);
            }
            Mode::Streaming => {}
            Mode::Held => {
                self.held.forget(self.spill.as_mut())?;
                self.leave_held(annexes);
            }
        }
        self.group = None;
        Ok(())
    }

    /// The held group's frames are gone elsewhere; its schemas hold.
    fn leave_held(&mut self, annexes: bool) {
        let beside = std::mem::take(&mut self.held.beside);
        self.held.reset();
        let group = self.group.take();
        for (_, beside) in beside {
            match (beside, &group) {
                (Beside::Schema(schema), _) => self.send_schema(schema),
                (Beside::Annex(annex), Some(group)) if annexes => {
                    self.annex_alone(&annex, group.origin.clone(), group.commit_us);
                }
                (Beside::Annex(_), _) => {}
            }
        }
    }

    /// XA PREPARE: the open group waits, over restarts if need be, until its end comes under
    /// `xid` (opaque bytes). Its rows are synced to the spill store before any point behind it.
    pub fn prepare(&mut self, xid: &[u8], delta: PositionDelta) -> Result<(), RouterError> {
        if self.bugs.has(Bug::XaRoutedAtPrepare) {
            return self.commit(delta);
        }
        self.need_held()?;
        let held = &mut self.held;
        held.park(self.spill.as_mut(), &mut self.spill_next)?;
        let tables = held.tables().iter();
        let schema = |t: &TableId| {
            let table = self.tables[t.0 as usize].as_ref();
            TableSchema::clone(&table.expect("invariant: frames have a schema").schema)
        };
        let parked = ParkedGroup {
            xid: xid.to_vec(),
            spill: held.spill_id(),
            bytes: held.spilled_bytes(),
            frames: held.frames(),
            tables: tables.map(schema).collect(),
        };
        self.leave_held(true);
        self.unsynced.push(parked.spill);
        if !self.bugs.has(Bug::ParkedUnlisted) {
            self.point.parked.push(ParkedChange::Parked(Arc::new(parked.clone())));
        }
        if let Some(old) = self.parked.insert(parked.xid.clone(), parked) {
            self.removable.push_back((self.point.id, old.spill));
        }
        self.moved(delta);
        Ok(())
    }

    /// XA COMMIT of a parked transaction: it gets its `Seq` here.
    pub fn commit_prepared(
        &mut self,
        xid: &[u8],
        origin: TxnOrigin,
        commit_us: i64,
        delta: PositionDelta,
    ) -> Result<(), RouterError> {
        if self.bugs.has(Bug::XaRoutedAtPrepare) {
            self.moved(delta);
            return Ok(());
        }
        let group = self.release(xid)?;
        if group.frames > 0 {
            for schema in &group.tables {
                // After a restart the shards may not have seen this table, or as another parked
                // transaction left it.
                let known = self.tables.get(schema.table.0 as usize).and_then(Option::as_ref);
                if !known.is_some_and(|known| same_shape(&known.schema, schema)) {
                    self.send_schema(Arc::new(schema.clone()));
                }
            }
            self.last.0 += 1;
            let txn = Arc::new(TxnHead { seq: self.last, commit_us, origin, id: None });
            let tables: Vec<TableId> = group.tables.iter().map(|schema| schema.table).collect();
            let owners = self.owners_of(&tables);
            let (shards, limits) = (self.map.shards(), self.limits);
            let mut replay = Replay::of_parked(&group, txn, owners, shards, limits);
            replay.number(None, self.counter.is_some(), self.annex_owners);
            self.queue_replay(replay);
            self.whole = self.last;
        }
        self.moved(delta);
        Ok(())
    }

    /// XA ROLLBACK of a parked transaction.
    pub fn rollback_prepared(
        &mut self,
        xid: &[u8],
        delta: PositionDelta,
    ) -> Result<(), RouterError> {
        if !self.bugs.has(Bug::XaRoutedAtPrepare) {
            self.release(xid)?;
        }
        self.moved(delta);
        Ok(())
    }

    /// Takes a group out of the parked ones. Its bytes stay until a checkpoint without it is
    /// durable: a restart before that needs them again.
    fn release(&mut self, xid: &[u8]) -> Result<ParkedGroup, RouterError> {
        if self.group.is_some() {
            return Err(RouterError::GroupOpen);
        }
        let group = self.parked.remove(xid).ok_or(RouterError::UnknownXid)?;
        self.point.parked.push(ParkedChange::Released(xid.to_vec()));
        let point = match self.bugs.has(Bug::ParkedRemovedAtCommit) {
            true => PointId(0),
            false => self.point.id,
        };
        self.removable.push_back((point, group.spill));
        Ok(group)
    }

    /// True if this XID is parked.
    pub fn is_parked(&self, xid: &[u8]) -> bool {
        self.parked.contains_key(xid)
    }

    /// A keepalive, a filtered transaction, a rotate: the position moves without a row.
    pub fn advance(&mut self, delta: PositionDelta) {
        self.moved(delta);
    }

    /// The first snapshot is whole: from the next point on a restart streams. No group may be
    /// open.
    pub fn snapshot_done(&mut self, delta: PositionDelta) -> Result<(), RouterError> {
        if self.group.is_some() {
            return Err(RouterError::GroupOpen);
        }
        self.snapshot = false;
        self.point.snapshot_done = true;
        self.moved(delta);
        Ok(())
    }

    /// The connection is lost, perhaps inside a group. A held group and those in progress are
    /// dropped (the source sends them again), its schemas hold; a streaming one waits for its rest.
    pub fn interrupted(&mut self) -> Result<(), RouterError> {
        self.in_progress.forget(self.spill.as_mut())?;
        if self.is_held() {
            return self.drop_group(false);
        }
        if let Some(group) = self.group.take()
            && self.streamed.head.is_some()
        {
            self.cut = Some(group.id);
        }
        Ok(())
    }

    /// Punctuates: makes batches of what is queued, for every shard, idle ones too, and a commit
    /// point if the position moved. Parked groups are synced first.
    pub fn flush(&mut self) -> Result<(), RouterError> {
        while let Some(&id) = self.unsynced.last() {
            if !self.bugs.has(Bug::ParkedUnsynced) {
                self.spill.sync(id)?;
            }
            self.unsynced.pop();
        }
        self.txns_since_flush = 0;
        let idle_too = !self.bugs.has(Bug::IdleShardsUnpunctuated);
        let through = match self.bugs.has(Bug::PunctuateInTransaction) {
            true => self.last,
            false => self.whole,
        };
        self.open.punctuate(through, idle_too, &mut self.out);
        if self.point.dirty && !self.point.blind && !self.snapshot {
            let next = NextPoint::new(PointId(self.point.id.0 + 1), self.point.schema_version);
            let done = std::mem::replace(&mut self.point, next);
            let NextPoint { id: point, base, delta, parked, stops, .. } = done;
            let NextPoint { snapshot_done, schema_version, .. } = done;
            let seq = self.whole;
            let point = CommitPoint {
                point,
                seq,
                base,
                delta,
                parked,
                stops,
                snapshot_done,
                schema_version,
            };
            self.out.push_back(Out::Ready(RouterOutput::Point(point)));
        }
        Ok(())
    }

    /// The next output, in order; `None`: nothing is left. A spilled group is read back in pieces,
    /// one a call: wait for room in the rings between calls and memory stays flat.
    pub fn poll(&mut self) -> Result<Option<RouterOutput>, RouterError> {
        loop {
            match self.out.front_mut() {
                None => return Ok(None),
                Some(Out::Ready(_)) => {
                    let Some(Out::Ready(output)) = self.out.pop_front() else { return Ok(None) };
                    if let RouterOutput::ToShard(_, ShardInput::Frames(batch)) = &output {
                        self.open.left(batch);
                    }
                    return Ok(Some(output));
                }
                Some(Out::Replay(replay)) => {
                    let counter = self.counter.as_mut();
                    if let Some(output) = replay.poll(self.spill.as_mut(), &self.shelf, counter)? {
                        return Ok(Some(output));
                    }
                    let removable = replay.removable();
                    self.out.pop_front();
                    if let Some(spill) = removable {
                        self.spill.remove(spill)?;
                    }
                    self.remove_released(PointId(0))?;
                }
            }
        }
    }

    /// The checkpoint made at this point is durable: what only earlier ones needed is removed
    /// from the spill store.
    pub fn handle_durable(&mut self, point: PointId) -> Result<(), RouterError> {
        self.remove_released(point)
    }

    fn remove_released(&mut self, durable: PointId) -> Result<(), RouterError> {
        while let Some(&(point, spill)) = self.removable.front()
            && point <= durable
            && !self.replays(spill)
        {
            self.spill.remove(spill)?;
            self.removable.pop_front();
        }
        Ok(())
    }

    fn replays(&self, spill: SpillId) -> bool {
        self.out.iter().any(|out| matches!(out, Out::Replay(replay) if replay.reads(spill)))
    }

    /// Bytes of rows that wait here: queued for shards, or held in memory until their group's end.
    pub fn pending_bytes(&self) -> usize {
        self.held_bytes() + self.in_progress.memory_bytes() + self.open.bytes
    }

    /// Bytes of memory that the open group holds until its end.
    pub fn held_bytes(&self) -> usize {
        self.held.memory_bytes()
    }

    /// Bytes in the spill store: undecided and parked transactions. At `SPILL_BYTES_MAX` the
    /// reader pauses and names the transaction (HAZARDS H11).
    pub fn spilled_bytes(&self) -> u64 {
        self.spill.bytes()
    }

    /// Last whole transaction.
    pub fn whole(&self) -> Seq {
        self.whole
    }

    /// True inside a group, also one that a lost connection has cut.
    pub fn in_group(&self) -> bool {
        self.group.is_some() || self.cut.is_some()
    }
}

/// True if rows of one decode by the other.
fn same_shape(a: &TableSchema, b: &TableSchema) -> bool {
    a.name == b.name
        && a.columns == b.columns
        && a.key == b.key
        && a.identity == b.identity
        && a.replica_identity == b.replica_identity
        && a.period == b.period
}

#[cfg(test)]
mod tests;
