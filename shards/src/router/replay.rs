//! A group of records on its way out: read in pieces from the spill store into fresh segments, or
//! at once from memory.
//!
//! Enters: records. Leaves: frame batches and schemas, in the group's order, without the frames of
//! aborted parts. Keeps: one piece in memory at a time; a record that does not check is Fatal,
//! never a guess.

use std::collections::VecDeque;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};

use crate::annex::{ANNEX_KINDS, AnnexKind, Order};
use crate::encode::EventCounter;
use crate::hop::{ParkedGroup, ShardInput, TxnHead};
use crate::limits::{Limits, SEGMENT_SLACK};
use crate::router::annexes::Beside;
use crate::router::held::through_of;
use crate::router::numbers::{self, Numbering};
use crate::router::open::OpenBatches;
use crate::router::{Out, RouterError, RouterOutput};
use crate::segment::{Segment, SegmentHome, Shelf};
use crate::seq::ShardId;
use crate::spill::{Record, SpillError, SpillId, SpillStore, read_record};

/// (frames before it, who owns it, schema or annex record), in order.
pub(super) type Besides = VecDeque<(u64, ShardId, Beside)>;

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
    beside: Besides,
    shards: u16,
    limits: Limits,
    /// The store's bytes are of no use once read.
    remove: bool,
    ready: VecDeque<Out>,
    /// Every frame has numbers (`FrameBatch::orders`), those of a group that has none are zero.
    with_orders: bool,
    numbering: Option<Numbering>,
    annex_owners: [ShardId; ANNEX_KINDS],
}

impl Replay {
    pub(super) fn new(
        spill: SpillId,
        bytes: u64,
        txn: Arc<TxnHead>,
        owners: Vec<Owner>,
        beside: Besides,
        shards: u16,
        limits: Limits,
    ) -> Self {
        let (offset, frames, ready, remove) = (0, 0, VecDeque::new(), true);
        let (with_orders, numbering, annex_owners) = (false, None, [ShardId(0); ANNEX_KINDS]);
        Self {
            spill,
            bytes,
            offset,
            frames,
            txn,
            owners,
            aborted: Vec::new(),
            beside,
            shards,
            limits,
            remove,
            ready,
            with_orders,
            numbering,
            annex_owners,
        }
    }

    /// Without the frames of these parts (ascending).
    pub(super) fn without(self, aborted: Vec<u32>) -> Self {
        Self { aborted, ..self }
    }

    /// A group whose records are all in memory: nothing is read from a store.
    pub(super) fn of_memory(
        self,
        mut records: Vec<u8>,
        counter: Option<&mut EventCounter>,
    ) -> Result<Self, RouterError> {
        let mut replay = Self { spill: SpillId(0), bytes: 0, remove: false, ..self };
        let len = records.len();
        records.resize(len + SEGMENT_SLACK, 0);
        let segment = Segment::freeze(records, len, None);
        let (heads, end) = replay.heads(segment.data())?;
        if !matches!(end, End::At(at) if at == len) {
            return Err(replay.damaged(0).into());
        }
        replay.route(&segment, heads, counter)?;
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

    /// Transaction metadata: `with_orders` while it is on, `numbering` of a group that is numbered.
    pub(super) fn number(
        &mut self,
        numbering: Option<Numbering>,
        with_orders: bool,
        annex_owners: [ShardId; ANNEX_KINDS],
    ) {
        (self.numbering, self.with_orders) = (numbering, with_orders);
        self.annex_owners = annex_owners;
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
        mut counter: Option<&mut EventCounter>,
    ) -> Result<Option<RouterOutput>, RouterError> {
        // A piece gives nothing if its tables have stopped.
        while self.ready.is_empty() && self.offset < self.bytes {
            self.read_piece(store, shelf, counter.as_deref_mut())?;
        }
        if self.ready.is_empty() {
            let mut open = OpenBatches::new(self.shards);
            while let Some((_, owner, beside)) = self.beside.pop_front() {
                self.push_beside(&mut open, owner, beside);
            }
            if let Some(Numbering { tally, end, .. }) = self.numbering.take() {
                let owner = self.annex_owners[AnnexKind::Transaction as usize];
                self.push_beside(&mut open, owner, Beside::Annex(Arc::new(tally.end(end))));
            }
            open.seal_all(through_of(&self.txn), &mut self.ready);
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
        counter: Option<&mut EventCounter>,
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
        self.route(&segment, heads, counter)
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
        mut counter: Option<&mut EventCounter>,
    ) -> Result<(), RouterError> {
        let mut open = OpenBatches::new(self.shards);
        let through = through_of(&self.txn);
        for (mut head, part) in heads {
            while self.beside.front().is_some_and(|(before, ..)| *before <= self.frames) {
                let Some((_, owner, beside)) = self.beside.pop_front() else { break };
                self.push_beside(&mut open, owner, beside);
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
            let order = counter.as_deref_mut().filter(|_| self.with_orders);
            let order = order.map(|c| numbers::order(&mut self.numbering, c, segment, &head));
            let (txn, out) = (&self.txn, &mut self.ready);
            open.push(owner, segment, head, txn, order, through, self.limits.frames_per_batch, out);
        }
        open.seal_all(through, &mut self.ready);
        Ok(())
    }

    fn push_beside(&mut self, open: &mut OpenBatches, owner: ShardId, beside: Beside) {
        let (through, max) = (through_of(&self.txn), self.limits.frames_per_batch);
        let numbering = self.numbering.as_mut();
        let order = numbering.map_or_else(Order::default, |numbering| numbering.pass(&beside));
        match beside {
            Beside::Schema(schema) => {
                open.seal(owner, through, &mut self.ready);
                let input = ShardInput::Schema(schema);
                self.ready.push_back(Out::Ready(RouterOutput::ToShard(owner, input)));
            }
            Beside::Annex(annex) => {
                let order = self.with_orders.then_some(order);
                open.push_annex(owner, &annex, &self.txn, order, through, max, &mut self.ready);
            }
        }
    }
}

enum End {
    /// The whole records end here.
    At(usize),
    /// The first record has this many bytes.
    Longer(usize),
}
