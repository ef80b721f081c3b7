//! The batches that shards get next: frames of one segment per shard, annex records, punctuation.
//!
//! Enters: frames of transactions that leave. Leaves: `FrameBatch`es in the output queue. Keeps:
//! a batch has one segment; `through` never goes back.

use std::collections::VecDeque;
use std::sync::Arc;

use penstock_protocol::frame::FrameHead;

use crate::annex::{Annex, Order};
use crate::hop::{Frame, FrameBatch, ShardInput, TxnHead};
use crate::router::{Out, RouterOutput};
use crate::segment::Segment;
use crate::seq::{Seq, ShardId};

/// The batch that each shard will get next.
pub(super) struct OpenBatches {
    shards: Vec<OpenBatch>,
    /// Bytes of frames in open and queued batches.
    pub(super) bytes: usize,
}

#[derive(Default)]
struct OpenBatch {
    segment: Option<Arc<Segment>>,
    txns: Vec<Arc<TxnHead>>,
    frames: Vec<Frame>,
    annexes: Vec<Arc<Annex>>,
    orders: Vec<Order>,
    /// Last punctuation given.
    through: Seq,
}

impl OpenBatches {
    pub(super) fn new(shards: u16) -> Self {
        Self { shards: (0..shards).map(|_| OpenBatch::default()).collect(), bytes: 0 }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn push(
        &mut self,
        shard: ShardId,
        segment: &Arc<Segment>,
        head: FrameHead,
        txn: &Arc<TxnHead>,
        order: Option<Order>,
        through: Seq,
        max: usize,
        out: &mut VecDeque<Out>,
    ) {
        let open = &mut self.shards[usize::from(shard.0)];
        let same = open.segment.as_ref().is_some_and(|held| Arc::ptr_eq(held, segment));
        if !open.frames.is_empty() && (!same && open.segment.is_some() || open.frames.len() >= max)
        {
            open.seal(shard, through, out);
        }
        if open.segment.is_none() {
            open.segment = Some(Arc::clone(segment));
        }
        open.push(head, txn, order);
        self.bytes += head.len as usize;
    }

    /// A record beside rows: it needs no segment, and takes its place among the frames.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn push_annex(
        &mut self,
        shard: ShardId,
        annex: &Arc<Annex>,
        txn: &Arc<TxnHead>,
        order: Option<Order>,
        through: Seq,
        max: usize,
        out: &mut VecDeque<Out>,
    ) {
        let open = &mut self.shards[usize::from(shard.0)];
        if open.frames.len() >= max {
            open.seal(shard, through, out);
        }
        let index = u32::try_from(open.annexes.len()).expect("invariant: at most one a frame");
        open.annexes.push(Arc::clone(annex));
        open.push(annex.head(index), txn, order);
        self.bytes += annex.weight() as usize;
    }

    pub(super) fn seal(&mut self, shard: ShardId, through: Seq, out: &mut VecDeque<Out>) {
        let open = &mut self.shards[usize::from(shard.0)];
        if !open.frames.is_empty() {
            open.seal(shard, through, out);
        }
    }

    pub(super) fn seal_all(&mut self, through: Seq, out: &mut VecDeque<Out>) {
        for shard in 0..self.shards.len() {
            self.seal(ShardId(shard as u16), through, out);
        }
    }

    pub(super) fn punctuate(&mut self, through: Seq, idle_too: bool, out: &mut VecDeque<Out>) {
        for (shard, open) in self.shards.iter_mut().enumerate() {
            let idle = open.frames.is_empty();
            if !idle || (open.through < through && idle_too) {
                open.seal(ShardId(shard as u16), through, out);
            }
        }
    }

    /// A batch has left the router.
    pub(super) fn left(&mut self, batch: &FrameBatch) {
        let bytes: usize = batch.frames.iter().map(|frame| frame.head.len as usize).sum();
        let annexes: usize = batch.annexes.iter().map(|annex| annex.weight() as usize).sum();
        let bytes = bytes + annexes;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl OpenBatch {
    /// `order`: with transaction metadata always, else never.
    fn push(&mut self, head: FrameHead, txn: &Arc<TxnHead>, order: Option<Order>) {
        if !self.txns.last().is_some_and(|last| Arc::ptr_eq(last, txn)) {
            self.txns.push(Arc::clone(txn));
        }
        let index = self.txns.len() as u32 - 1;
        self.frames.push(Frame { head, txn: index });
        self.orders.extend(order);
        debug_assert!(self.orders.is_empty() || self.orders.len() == self.frames.len());
    }

    fn seal(&mut self, shard: ShardId, through: Seq, out: &mut VecDeque<Out>) {
        assert!(through >= self.through, "punctuation went back");
        self.through = through;
        let batch = FrameBatch {
            segment: self.segment.take(),
            txns: std::mem::take(&mut self.txns),
            frames: std::mem::take(&mut self.frames),
            annexes: std::mem::take(&mut self.annexes),
            orders: std::mem::take(&mut self.orders),
            through,
        };
        let input = ShardInput::Frames(batch);
        out.push_back(Out::Ready(RouterOutput::ToShard(shard, input)));
    }
}
