//! A group of records on its way out: read in pieces from the spill store into fresh segments, or
//! at once from memory.
//!
//! Enters: records. Leaves: frame batches and schemas, in the group's order, without the frames of
//! aborted parts. Keeps: one piece in memory at a time; a record that does not check is Fatal,
//! never a guess.

use std::collections::VecDeque;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};
use penstock_protocol::schema::TableSchema;

use crate::hop::{ParkedGroup, ShardInput, TxnHead};
use crate::limits::{Limits, SEGMENT_SLACK};
use crate::router::held::through_of;
use crate::router::open::OpenBatches;
use crate::router::{Out, RouterError, RouterOutput};
use crate::segment::{Segment, SegmentHome, Shelf};
use crate::seq::ShardId;
use crate::spill::{Record, SpillError, SpillId, SpillStore, read_record};

/// (frames before it, who owns it, schema), in order.
pub(super) type Schemas = VecDeque<(u64, ShardId, Arc<TableSchema>)>;

/// What becomes of a table's frames.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// They go to this shard.
    Shard(TableId, ShardId),
    /// The table has stopped: they are dropped.
    Stopped,
    /// It has no schema: there must be none but those of aborted parts.
    Unknown(TableId),
}

pub(super) struct Replay {
    spill: SpillId,
    /// Bytes that count.
    bytes: u64,
    offset: u64,
    frames: u64,
    txn: Arc<TxnHead>,
    /// By the index that records use.
    owners: Vec<Owner>,
    /// Parts whose frames are dropped, ascending.
    aborted: Vec<u32>,
    schemas: Schemas,
    shards: u16,
    limits: Limits,
    /// The store's bytes are of no use once read.
    remove: bool,
    ready: VecDeque<Out>,
}

impl Replay {
    pub(super) fn new(
        spill: SpillId,
        bytes: u64,
        txn: Arc<TxnHead>,
        owners: Vec<Owner>,
        schemas: Schemas,
        shards: u16,
        limits: Limits,
    ) -> Self {
        Self {
            spill,
            bytes,
            offset: 0,
            frames: 0,
            txn,
            owners,
            aborted: Vec::new(),
            schemas,
            shards,
            limits,
            remove: true,
            ready: VecDeque::new(),
        }
    }

    /// Without the frames of these parts (ascending).
    pub(super) fn without(self, aborted: Vec<u32>) -> Self {
        Self { aborted, ..self }
    }

    /// A group whose records are all in memory: nothing is read from a store.
    pub(super) fn of_memory(self, mut records: Vec<u8>) -> Result<Self, RouterError> {
        let mut replay = Self { spill: SpillId(0), bytes: 0, remove: false, ..self };
        let len = records.len();
        records.resize(len + SEGMENT_SLACK, 0);
        let segment = Segment::freeze(records, len, None);
        let (heads, end) = replay.heads(segment.data())?;
        if !matches!(end, End::At(at) if at == len) {
            return Err(replay.damaged(0).into());
        }
        replay.route(&segment, heads)?;
        Ok(replay)
    }

    /// A parked group: its bytes stay until a checkpoint no longer lists it.
    pub(super) fn of_parked(
        group: &ParkedGroup,
        txn: Arc<TxnHead>,
        owners: Vec<Owner>,
        shards: u16,
        limits: Limits,
    ) -> Self {
        let (spill, bytes) = (group.spill, group.bytes);
        let replay = Self::new(spill, bytes, txn, owners, VecDeque::new(), shards, limits);
        Self { remove: false, ..replay }
    }

    /// The group to remove when this is done.
    pub(super) fn removable(&self) -> Option<SpillId> {
        self.remove.then_some(self.spill)
    }

    pub(super) fn reads(&self, spill: SpillId) -> bool {
        self.spill == spill
    }

    /// The next output; `None`: all is read.
    pub(super) fn poll(
        &mut self,
        store: &mut dyn SpillStore,
        shelf: &Arc<Shelf>,
    ) -> Result<Option<RouterOutput>, RouterError> {
        // A piece gives nothing if its tables have stopped.
        while self.ready.is_empty() && self.offset < self.bytes {
            self.read_piece(store, shelf)?;
        }
        if self.ready.is_empty() {
            while let Some((_, owner, schema)) = self.schemas.pop_front() {
                self.push_schema(owner, schema);
            }
        }
        match self.ready.pop_front() {
            Some(Out::Ready(output)) => Ok(Some(output)),
            _ => Ok(None),
        }
    }

    fn read_piece(
        &mut self,
        store: &mut dyn SpillStore,
        shelf: &Arc<Shelf>,
    ) -> Result<(), RouterError> {
        let mut want = self.limits.spill_piece_bytes;
        let (buffer, len, heads) = loop {
            let left = usize::try_from(self.bytes - self.offset).unwrap_or(usize::MAX);
            let mut buffer = shelf.take(want.min(left) + SEGMENT_SLACK);
            let len = want.min(left);
            self.fill(store, &mut buffer[..len])?;
            let (heads, end) = self.heads(&buffer[..len])?;
            match end {
                End::At(at) => break (buffer, at, heads),
                End::Longer(needed) if needed <= left && needed > want => want = needed,
                End::Longer(_) => return Err(self.damaged(0).into()),
            }
        };
        // An oversize record's buffer is not kept.
        let usual = buffer.len() <= self.limits.spill_piece_bytes + SEGMENT_SLACK;
        let home = usual.then(|| shelf.clone() as Arc<dyn SegmentHome>);
        let segment = Segment::freeze(buffer, len, home);
        self.offset += len as u64;
        self.route(&segment, heads)
    }

    fn fill(&self, store: &mut dyn SpillStore, into: &mut [u8]) -> Result<(), SpillError> {
        let mut at = 0;
        while at < into.len() {
            match store.read(self.spill, self.offset + at as u64, &mut into[at..])? {
                0 => return Err(self.damaged(at as u64)),
                read => at += read,
            }
        }
        Ok(())
    }

    fn damaged(&self, at: u64) -> SpillError {
        SpillError::Damaged { group: self.spill, offset: self.offset + at }
    }

    /// The whole records of a piece, each with its part.
    fn heads(&self, piece: &[u8]) -> Result<(Vec<(FrameHead, u32)>, End), SpillError> {
        let (mut heads, mut at) = (Vec::new(), 0);
        while at < piece.len() {
            match read_record(piece, at) {
                Record::Whole(head, part, len) => {
                    heads.push((head, part));
                    at += len;
                }
                Record::Longer(needed) if at == 0 => return Ok((heads, End::Longer(needed))),
                Record::Longer(_) => break,
                Record::Damaged => return Err(self.damaged(at as u64)),
            }
        }
        let known = |(head, _): &(FrameHead, u32)| (head.table.0 as usize) < self.owners.len();
        match heads.iter().all(known) {
            true => Ok((heads, End::At(at))),
            false => Err(self.damaged(0)),
        }
    }

    fn route(
        &mut self,
        segment: &Arc<Segment>,
        heads: Vec<(FrameHead, u32)>,
    ) -> Result<(), RouterError> {
        let mut open = OpenBatches::new(self.shards);
        let through = through_of(&self.txn);
        for (mut head, part) in heads {
            while self.schemas.front().is_some_and(|(before, ..)| *before <= self.frames) {
                let Some((_, owner, schema)) = self.schemas.pop_front() else { break };
                open.seal(owner, through, &mut self.ready);
                self.push_schema(owner, schema);
            }
            self.frames += 1;
            if part != 0 && self.aborted.binary_search(&part).is_ok() {
                continue;
            }
            let owner = match self.owners[head.table.0 as usize] {
                Owner::Shard(table, owner) => {
                    head.table = table;
                    owner
                }
                Owner::Stopped => continue,
                Owner::Unknown(table) => return Err(RouterError::UnknownTable(table)),
            };
            let (txn, out) = (&self.txn, &mut self.ready);
            open.push(owner, segment, head, txn, through, self.limits.frames_per_batch, out);
        }
        open.seal_all(through, &mut self.ready);
        Ok(())
    }

    fn push_schema(&mut self, owner: ShardId, schema: Arc<TableSchema>) {
        let input = ShardInput::Schema(schema);
        self.ready.push_back(Out::Ready(RouterOutput::ToShard(owner, input)));
    }
}

enum End {
    /// The whole records end here.
    At(usize),
    /// The first record has this many bytes.
    Longer(usize),
}
