//! A batch: one arena of encoded bytes and an event record a row. Encoded once; sinks read it.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use penstock_protocol::frame::TableId;

use crate::annex::AnnexKind;
use crate::limits::BATCH_BYTES_MAX;
use crate::seq::{BatchId, Epoch, LaneId, Seq, ShardId};

/// Bytes of a batch's arena: `arena[at..at + len]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset.
    pub at: u32,
    /// Length, bytes.
    pub len: u32,
}

/// What an event is; the letter is the envelope's `op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// `c`
    Create = b'c',
    /// `u`
    Update = b'u',
    /// `d`
    Delete = b'd',
    /// `r`
    Read = b'r',
    /// `t`
    Truncate = b't',
    /// A tombstone: key and null.
    Tombstone = 0,
    /// No row: `annex::AnnexKind::of(event.table)` says what.
    Annex = 1,
}

/// The extra header that a primary-key change puts on its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// None.
    No,
    /// `__debezium.newkey`, its JSON.
    NewKey(Span),
    /// `__debezium.oldkey`, its JSON.
    OldKey(Span),
}

/// One event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// Topic: index into `SealedBatch::topics`.
    pub topic: u32,
    /// What it is.
    pub op: Op,
    /// Key text; `None`: the table has no key.
    pub key: Option<Span>,
    /// Value text; `None`: null (tombstone).
    pub value: Option<Span>,
    /// Header of a key change.
    pub key_change: KeyChange,
    /// Source transaction.
    pub seq: Seq,
    /// n-th row of its table in the transaction, from 0, counted before filters (HAZARDS L14).
    pub ordinal: u32,
    /// The table.
    pub table: TableId,
}

impl EventRef {
    /// Debezium's extended headers (`__debezium.context.…`) stand on it: on rows, their tombstones
    /// and schema changes, not on the other records beside rows.
    pub fn has_context_headers(&self) -> bool {
        self.op != Op::Annex || AnnexKind::of(self.table).is_some_and(AnnexKind::has_headers)
    }
}

/// A batch that is being filled, then sealed.
///
/// The arena's memory is zeroed when it grows and never again: encoders write with constant-size
/// stores past the end of what counts, so the bytes that count are told apart by `used` and not by
/// the length of the `Vec`.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    used: usize,
    /// Events in order.
    pub events: Vec<EventRef>,
}

impl Batch {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.events.clear();
    }

    /// Encoded bytes.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Memory held for encoded bytes, used or not.
    pub fn capacity(&self) -> usize {
        self.arena.capacity()
    }

    /// True without events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.arena[span.at as usize..span.at as usize + span.len as usize]
    }

    /// Appends bytes as they are. For encoders that are not on the fast path, and for tests.
    pub fn append(&mut self, bytes: &[u8]) -> Span {
        let (at, len) = (self.used, bytes.len());
        if self.arena.len() < at + len {
            self.arena.resize(at + len, 0);
        }
        self.arena[at..at + len].copy_from_slice(bytes);
        self.used = at + len;
        Span {
            at: u32::try_from(at).expect("invariant: a batch is smaller than 4 GiB"),
            len: u32::try_from(len).expect("invariant: a batch is smaller than 4 GiB"),
        }
    }

    /// Takes the arena out for writing from `used()` on; `put_back` must follow. It has room for a
    /// whole batch from the start: rows that fit never move it.
    pub(crate) fn take_arena(&mut self) -> Vec<u8> {
        let mut arena = std::mem::take(&mut self.arena);
        if arena.len() < ARENA_BYTES {
            arena.reserve_exact(ARENA_BYTES - arena.len());
            arena.resize(ARENA_BYTES, 0);
        }
        arena
    }

    /// Gives the arena back with `used` bytes that count.
    pub(crate) fn put_back(&mut self, arena: Vec<u8>, used: usize) {
        debug_assert!(used <= arena.len());
        self.arena = arena;
        self.used = used;
    }
}

/// A sealed batch: immutable.
#[derive(Debug)]
pub struct SealedBatch {
    /// Number, dense per (shard, encoding, epoch).
    pub id: BatchId,
    /// Incarnation that made it.
    pub epoch: Epoch,
    /// Shard that made it.
    pub shard: ShardId,
    /// Ordered path that it takes.
    pub lane: LaneId,
    /// Which encoding of the pipeline it is in (sinks with equal formats share one).
    pub encoding: u16,
    /// Least transaction in it.
    pub seq_min: Seq,
    /// Greatest transaction in it.
    pub seq_max: Seq,
    /// Punctuation that fell inside: (through, number of events of this batch with seq ≤ through),
    /// both strictly ascending, numbers from 1 on: of several punctuations without an event
    /// between them the first stands for all. How many events are ≤ a committed `Seq`: all if
    /// `seq_max` is, else the number of the greatest mark ≤ it, else none (`events_through`).
    /// A sink that remembers lengths needs them at these points and at the batch's end only.
    pub marks: Vec<(Seq, u32)>,
    /// Topic names by `EventRef::topic`.
    pub topics: Arc<Vec<Arc<str>>>,
    /// Bytes and events.
    pub body: Batch,
    /// Where the memory goes when the last holder lets go; `Default`: nowhere.
    pub home: BatchHome,
}

/// Takes the memory of batches back to the shard that fills them. Never blocks.
#[derive(Clone, Debug, Default)]
pub struct BatchHome(pub(crate) Option<SyncSender<Batch>>);

/// Bytes of an arena: a batch is sealed once it is full, a row ends beyond.
const ARENA_BYTES: usize = BATCH_BYTES_MAX * 5 / 4;
/// Memory of a batch that is worth keeping, bytes: one large row must not stay for ever.
const KEPT_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX;

impl Drop for SealedBatch {
    fn drop(&mut self) {
        if let Some(home) = self.home.0.take()
            && self.body.capacity() <= KEPT_BYTES_MAX
        {
            self.body.clear();
            // Full, or the shard is gone: the memory is freed instead.
            home.try_send(std::mem::take(&mut self.body)).unwrap_or_default();
        }
    }
}

impl SealedBatch {
    /// Number of events, from the first, whose transaction is `through` or older. Only a `through`
    /// that a shard was punctuated with (as every commit's is) has an exact answer.
    pub fn events_through(&self, through: Seq) -> u32 {
        if self.seq_max <= through {
            return self.body.events.len() as u32;
        }
        let at = self.marks.partition_point(|mark| mark.0 <= through);
        at.checked_sub(1).and_then(|at| self.marks.get(at)).map_or(0, |mark| mark.1)
    }

    /// Bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.body.bytes(span)
    }
}
