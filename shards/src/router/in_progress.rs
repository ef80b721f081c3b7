//! Transactions in progress: their frames wait by xid until the end of each is known.
//!
//! Enters: frames of several transactions, interleaved, each with the sub-transaction that wrote
//! it; sub-transactions that were aborted. Leaves: at its commit one transaction's frames, in
//! order, without those of aborted parts. Keeps: the memory of all together at one bound, behind
//! it the largest go to the spill store; no segment of the reader's pool is pinned (HAZARDS H5);
//! a failed spill loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};
use penstock_protocol::position::PositionDelta;

use crate::bugs::Bug;
use crate::hop::TxnOrigin;
use crate::limits::Limits;
use crate::router::numbers::{Mark, Numbering, Tally};
use crate::router::replay::Replay;
use crate::router::{Beside, Group, GroupId, Mode, Router, RouterError};
use crate::segment::Segment;
use crate::spill::{self, SpillError, SpillId, SpillStore};

/// Records of a spilled transaction are gathered up to this size before they are written, bytes.
const WRITE_BYTES: usize = 64 << 10;

/// The calls for transactions in progress; each transaction is named by its xid.
impl Router {
    /// One row of transaction `xid`, written by its sub-transaction `part` (`xid` itself if none).
    /// Its table's schema may come as late as the commit. On `Spill(Full)` nothing was taken.
    pub fn handle_part(
        &mut self,
        xid: u32,
        part: u32,
        segment: &Segment,
        head: &FrameHead,
    ) -> Result<(), RouterError> {
        let FrameHead { offset, len, .. } = *head;
        let end = u64::from(offset) + u64::from(len);
        let body =
            usize::try_from(end).ok().and_then(|end| segment.data().get(offset as usize..end));
        let body = body.ok_or(RouterError::FrameOutsideSegment { offset, len })?;
        let (spill, next) = (self.spill.as_mut(), &mut self.spill_next);
        self.in_progress.push((xid, part), head, body, &self.limits, spill, next)?;
        Ok(())
    }

    /// Rows of transaction `xid` so far, those of aborted parts included: the place at which a
    /// schema stands that comes now.
    pub fn parts(&self, xid: u32) -> u64 {
        self.in_progress.frames(xid)
    }

    /// The sub-transaction `part` of `xid` was aborted: its rows will not leave.
    pub fn abort_part(&mut self, xid: u32, part: u32) {
        if !self.bugs.has(Bug::AbortedPartRouted) {
            self.in_progress.abort_part(xid, part);
        }
    }

    /// Transaction `xid` was aborted, or nobody wants it: its rows are dropped.
    pub fn abort_parts(&mut self, xid: u32) -> Result<(), RouterError> {
        Ok(self.in_progress.abort(xid, self.spill.as_mut())?)
    }

    /// Transaction `xid` is committed: it gets its `Seq` and its rows leave. `beside`: schemas and
    /// annex records that came with it, each with the number of rows before it, in order. `delta`:
    /// the position behind it. On `Spill(Full)` nothing has happened.
    pub fn commit_parts(
        &mut self,
        xid: u32,
        origin: TxnOrigin,
        commit_us: i64,
        beside: Vec<(u64, Beside)>,
        delta: PositionDelta,
    ) -> Result<(), RouterError> {
        if self.in_group() {
            return Err(RouterError::GroupOpen);
        }
        let taken = self.in_progress.take(xid, self.spill.as_mut(), &mut self.spill_next)?;
        let txn = taken.unwrap_or_default();
        let (mode, begin) = (Mode::Held, self.begin_mark.take());
        let id = GroupId::Wal(xid, 0);
        let group = Group { id, origin, commit_us, mode, begin };
        let end = self.end_of(&group, &delta);
        let schemas_alone = beside.iter().all(|(_, beside)| beside.is_schema());
        if txn.frames == 0 && schemas_alone && group.begin.is_none() {
            for (_, beside) in beside {
                if let Beside::Schema(schema) = beside {
                    self.send_schema(schema);
                }
            }
        } else {
            self.route_parts(txn, &group, beside, end)?;
        }
        self.ended(delta)
    }

    fn route_parts(
        &mut self,
        txn: Txn,
        group: &Group,
        beside: Vec<(u64, Beside)>,
        end: Mark,
    ) -> Result<(), RouterError> {
        let (head, begin) = self.head_of(group);
        if let Some(begin) = begin {
            self.tell_begin(&head, begin);
        }
        // Rows are counted by the versions that stand when they come, so before those of `beside`.
        let numbering = begin.map(|_| {
            let table = |id: &TableId| self.tables.get(id.0 as usize)?.as_ref();
            let known = |id: &TableId| Some((*id, Arc::clone(&table(id)?.schema)));
            let schemas = txn.tables.iter().filter_map(known).collect();
            Numbering { tally: Tally::default(), end, schemas }
        });
        let owned = beside.into_iter().map(|(before, beside)| {
            if let Beside::Schema(schema) = &beside {
                self.note_schema(Arc::clone(schema));
            }
            let at = if self.bugs.has(Bug::PartSchemasFirst) { 0 } else { before };
            (at, self.owner_of(&beside), beside)
        });
        let owned = owned.collect();
        let owners = self.owners_of(&txn.tables);
        let (shards, limits) = (self.map.shards(), self.limits);
        let (spill, bytes) =
            txn.spilled.as_ref().map_or((SpillId(0), 0), |spilled| (spilled.id, spilled.bytes));
        let replay = Replay::new(spill, bytes, head, owners, owned, shards, limits);
        let mut replay = replay.without(txn.aborted);
        replay.number(numbering, self.counter.is_some(), self.annex_owners);
        let replay = match txn.spilled {
            Some(_) => replay,
            None => replay.of_memory(txn.records, self.counter.as_mut())?,
        };
        self.queue_replay(replay);
        Ok(())
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct InProgress {
    txns: BTreeMap<u32, Txn>,
    /// Bytes of records in memory, all together.
    memory_bytes: usize,
}

/// One transaction.
#[derive(Default)]
pub(super) struct Txn {
    /// Records as the spill store has them: those that are not stored.
    pub(super) records: Vec<u8>,
    pub(super) spilled: Option<Spilled>,
    pub(super) frames: u64,
    /// Its tables, by the index that records use.
    pub(super) tables: Vec<TableId>,
    index: BTreeMap<TableId, u32>,
    /// Aborted sub-transactions, as they came.
    pub(super) aborted: Vec<u32>,
}

/// What of a transaction is in the store.
pub(super) struct Spilled {
    pub(super) id: SpillId,
    /// Bytes that count.
    pub(super) bytes: u64,
    /// The store may hold more: an append failed half way.
    torn: bool,
}

impl InProgress {
    /// One more frame of `xid`, written by its sub-transaction `part` (itself, if none). After
    /// `Full` the frame was not taken.
    pub(super) fn push(
        &mut self,
        (xid, part): (u32, u32),
        head: &FrameHead,
        body: &[u8],
        limits: &Limits,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<(), SpillError> {
        self.make_room(xid, spill::RECORD_HEAD_MAX + body.len(), limits, store, spill_next)?;
        let txn = self.txns.entry(xid).or_default();
        let table = txn.index_of(head.table);
        let before = txn.records.len();
        spill::write_record(&mut txn.records, head, table, part, body);
        txn.frames += 1;
        self.memory_bytes += txn.records.len() - before;
        Ok(())
    }

    /// Writes what is largest until `more` bytes fit, and the records of a transaction that is
    /// stored already once they are worth a write.
    fn make_room(
        &mut self,
        xid: u32,
        more: usize,
        limits: &Limits,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<(), SpillError> {
        let write_bytes = WRITE_BYTES.min(limits.group_bytes);
        let worth_it = |txn: &&mut Txn| txn.spilled.is_some() && txn.records.len() >= write_bytes;
        if let Some(txn) = self.txns.get_mut(&xid).filter(worth_it) {
            self.memory_bytes -= txn.write(store, spill_next)?;
        }
        while self.memory_bytes > 0 && self.memory_bytes + more > limits.group_bytes {
            let largest = self.txns.values_mut().max_by_key(|txn| txn.records.len());
            let largest = largest.expect("invariant: somebody has the bytes");
            self.memory_bytes -= largest.write(store, spill_next)?;
        }
        Ok(())
    }

    /// Frames of `xid` so far.
    pub(super) fn frames(&self, xid: u32) -> u64 {
        self.txns.get(&xid).map_or(0, |txn| txn.frames)
    }

    /// A sub-transaction of `xid` was aborted.
    pub(super) fn abort_part(&mut self, xid: u32, part: u32) {
        if let Some(txn) = self.txns.get_mut(&xid) {
            txn.aborted.push(part);
        }
    }

    /// The whole transaction was aborted; also one that has no frames.
    pub(super) fn abort(&mut self, xid: u32, store: &mut dyn SpillStore) -> Result<(), SpillError> {
        let Some(txn) = self.txns.remove(&xid) else { return Ok(()) };
        self.memory_bytes -= txn.records.len();
        match txn.spilled {
            Some(spilled) => store.remove(spilled.id),
            None => Ok(()),
        }
    }

    /// Everything is dropped: the source sends it again.
    pub(super) fn forget(&mut self, store: &mut dyn SpillStore) -> Result<(), SpillError> {
        while let Some((&xid, _)) = self.txns.first_key_value() {
            self.abort(xid, store)?;
        }
        Ok(())
    }

    /// Takes a transaction out, at its commit. One that is spilled is wholly in the store then.
    /// After an error it is still here.
    pub(super) fn take(
        &mut self,
        xid: u32,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<Option<Txn>, SpillError> {
        let Some(txn) = self.txns.get_mut(&xid) else { return Ok(None) };
        if txn.spilled.is_some() {
            self.memory_bytes -= txn.write(store, spill_next)?;
        }
        let Some(mut txn) = self.txns.remove(&xid) else { return Ok(None) };
        self.memory_bytes -= txn.records.len();
        txn.aborted.sort_unstable();
        txn.aborted.dedup();
        Ok(Some(txn))
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl Txn {
    fn index_of(&mut self, table: TableId) -> u32 {
        if let Some(&index) = self.index.get(&table) {
            return index;
        }
        let index = self.tables.len() as u32;
        self.tables.push(table);
        self.index.insert(table, index);
        index
    }

    /// Moves the records to the store; returns how many bytes of memory that frees.
    fn write(
        &mut self,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<usize, SpillError> {
        let spilled = self.spilled.get_or_insert_with(|| {
            *spill_next += 1;
            Spilled { id: SpillId(*spill_next - 1), bytes: 0, torn: false }
        });
        if spilled.torn {
            store.truncate(spilled.id, spilled.bytes)?;
        }
        spilled.torn = true;
        store.append(spilled.id, &self.records)?;
        spilled.torn = false;
        spilled.bytes += self.records.len() as u64;
        let freed = self.records.len();
        self.records.clear();
        self.records.shrink_to(WRITE_BYTES + (WRITE_BYTES >> 1));
        Ok(freed)
    }
}
