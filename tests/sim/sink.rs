//! Sinks: one that upserts by key, at least once, remote, on several lanes; and one of files,
//! exactly once, cut back on restart to the lengths in the checkpoint.
//!
//! Enters: batches, in lane order, with failures, lost answers and zombies by chance. Leaves:
//! answers. Checks, as it goes: nothing is skipped, nothing comes that was not committed, order
//! per table, nothing twice in a file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use penstock_shards::batch::{Op, SealedBatch};
use penstock_shards::hop::{AckOutcome, SinkAck};
use penstock_shards::seq::{BatchId, Epoch, Seq, SinkId};

use crate::encoder::{Decoded, decode};
use crate::plant::{Plant, WorldBug};
use crate::rng::Rng;
use crate::source::{Change, Expected, TABLES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Upsert,
    File,
}

pub struct Sink {
    pub id: SinkId,
    pub kind: Kind,
    pub lanes: u16,
    pub encoding: u16,
    plant: Plant,
    /// Newer writers fence older ones.
    epoch: Epoch,
    /// On their way, by (shard, lane).
    pub wire: BTreeMap<(u16, u16), VecDeque<Arc<SealedBatch>>>,
    /// Sent by a dead incarnation, still on their way.
    pub zombies: Vec<Arc<SealedBatch>>,
    lanes_seen: BTreeMap<(u16, u16), LaneSeen>,
    /// Upserts: what each table holds.
    pub state: [BTreeMap<u32, u64>; TABLES],
    /// Upserts: number of the last event, and the greatest so far, by table.
    at: [usize; TABLES],
    pub most: [usize; TABLES],
    fresh: [bool; TABLES],
    /// Events that the snapshot of this run stands for, by table.
    pub floor: [usize; TABLES],
    files: Vec<File>,
    /// Written and not synced: answered at the next sync.
    unsynced: Vec<(u16, SinkAck)>,
    pub delivered: u64,
}

#[derive(Clone, Default)]
struct LaneSeen {
    last: BatchId,
    /// Failed, and not delivered again yet.
    broken: Option<BatchId>,
}

#[derive(Clone, Default)]
struct File {
    lines: Vec<Line>,
    durable: usize,
    /// (seq, length behind its last line), ascending.
    lengths: Vec<(Seq, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Read,
    /// Number of the event in its table.
    Event(usize),
}

impl Sink {
    pub fn new(id: u16, kind: Kind, lanes: u16, encoding: u16, plant: Plant) -> Self {
        Self {
            id: SinkId(id),
            kind,
            lanes,
            encoding,
            plant,
            epoch: Epoch(0),
            wire: BTreeMap::new(),
            zombies: Vec::new(),
            lanes_seen: BTreeMap::new(),
            state: Default::default(),
            at: [0; TABLES],
            most: [0; TABLES],
            fresh: [true; TABLES],
            floor: [0; TABLES],
            files: vec![File::default(); TABLES],
            unsynced: Vec::new(),
            delivered: 0,
        }
    }

    /// A new incarnation begins: `state` is what the checkpoint holds of this sink. Without one
    /// everything begins anew, the first snapshot too.
    pub fn open(&mut self, epoch: Epoch, state: Option<&serde_json::Value>) {
        self.epoch = epoch;
        self.lanes_seen.clear();
        self.wire.clear();
        self.unsynced.clear();
        self.fresh = [true; TABLES];
        if state.is_none() {
            self.state = Default::default();
            self.most = [0; TABLES];
            self.floor = [0; TABLES];
        }
        if self.kind == Kind::Upsert {
            return;
        }
        for (table, file) in self.files.iter_mut().enumerate() {
            let length = state.map_or(0, |state| {
                state[table].as_u64().expect("STATE: a length of each file") as usize
            });
            assert!(length <= file.durable, "LOSS: t{table} is shorter than its checkpoint");
            file.lines.truncate(length);
            file.durable = length;
            file.lengths = vec![(Seq(0), length)];
        }
    }

    /// The process dies: remote requests may still arrive, unsynced bytes may be lost.
    pub fn crash(&mut self, rng: &mut Rng) {
        for (_, queue) in std::mem::take(&mut self.wire) {
            for batch in queue {
                if self.kind == Kind::Upsert && rng.one_in(2) && self.zombies.len() < 20 {
                    self.zombies.push(batch);
                }
            }
        }
        for file in &mut self.files {
            let left = file.lines.len() - file.durable;
            file.lines.truncate(file.durable + rng.below(left + 1));
            file.durable = file.lines.len();
        }
    }

    /// The oldest request of some lane is worked on. Answers of (shard, ack); perhaps none.
    pub fn step(&mut self, rng: &mut Rng, expected: &Expected) -> Vec<(u16, SinkAck)> {
        let waiting: Vec<(u16, u16)> =
            self.wire.iter().filter(|(_, queue)| !queue.is_empty()).map(|(at, _)| *at).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let at = waiting[rng.below(waiting.len())];
        let queue = self.wire.get_mut(&at).expect("invariant: listed just above");
        let batch = queue.pop_front().expect("invariant: not empty");
        let answer = |outcome| (at.0, SinkAck { sink: self.id, batch: batch.id, outcome });
        let transient = answer(AckOutcome::Transient);
        let durable = answer(AckOutcome::Durable);
        let seen = self.lanes_seen.entry(at).or_default().clone();
        let again = seen.broken == Some(batch.id);
        let refuses = self.kind == Kind::File && seen.broken.is_some() && !again;
        if refuses && !self.plant.has(WorldBug::WritesBehindFailure) {
            return vec![transient];
        }
        if rng.one_in(12) {
            let lane = self.lanes_seen.entry(at).or_default();
            let first = lane.broken.is_none_or(|broken| broken >= batch.id);
            if first {
                lane.broken = Some(batch.id);
            }
            return vec![transient];
        }
        let lane = self.lanes_seen.entry(at).or_default();
        if again {
            lane.broken = None;
        }
        let repeated = batch.id <= lane.last;
        // Behind a failure a remote sink may be ahead for a moment: it comes again, in order.
        let ahead = lane.broken.is_some();
        if !ahead {
            lane.last = lane.last.max(batch.id);
        }
        match self.kind {
            Kind::Upsert => self.upsert(&batch, repeated, ahead, expected),
            Kind::File if !repeated => self.write(&batch, expected),
            Kind::File => {}
        }
        // The answer is lost on the way: the handle was dropped.
        if rng.one_in(25) {
            let lane = self.lanes_seen.entry(at).or_default();
            lane.broken = Some(lane.broken.map_or(batch.id, |broken| broken.min(batch.id)));
            return vec![transient];
        }
        if self.kind == Kind::File && !self.plant.has(WorldBug::AckBeforeSync) {
            self.unsynced.push(durable);
            return Vec::new();
        }
        vec![durable]
    }

    /// fsync: what is written survives, and is answered.
    pub fn sync(&mut self) -> Vec<(u16, SinkAck)> {
        for file in &mut self.files {
            file.durable = file.lines.len();
        }
        std::mem::take(&mut self.unsynced)
    }

    /// Something of a dead incarnation arrives.
    pub fn zombie(&mut self, rng: &mut Rng, expected: &Expected) {
        if self.zombies.is_empty() {
            return;
        }
        let batch = self.zombies.swap_remove(rng.below(self.zombies.len()));
        if batch.epoch < self.epoch && !self.plant.has(WorldBug::EpochUnchecked) {
            return;
        }
        self.upsert(&batch, true, true, expected);
    }

    /// Events of rows, each with its place among all of the batch.
    fn events(batch: &SealedBatch) -> impl Iterator<Item = (usize, (usize, Op, Seq, Decoded))> {
        // Heartbeats have a place in the batch, and no row.
        let rows = batch.body.events.iter().enumerate().filter(|(_, event)| event.op != Op::Annex);
        rows.map(|(i, event)| {
            let bytes = batch.bytes(event.value.expect("invariant: every event has a value"));
            (i, (event.table.0 as usize, event.op, event.seq, decode(bytes)))
        })
    }

    fn upsert(&mut self, batch: &SealedBatch, repeated: bool, ahead: bool, expected: &Expected) {
        for (_, (table, op, _, event)) in Self::events(batch) {
            self.delivered += 1;
            match event.change {
                Change::Put => self.state[table].insert(event.key, event.value),
                Change::Delete => self.state[table].remove(&event.key),
            };
            if op == Op::Read {
                continue;
            }
            let n = place(expected, table, &event);
            if ahead {
                continue;
            }
            let most = self.most[table].max(self.floor[table]);
            let next = n == self.at[table] + 1 && !self.fresh[table];
            let back = (repeated || self.fresh[table]) && n <= most + 1;
            assert!(next || back, "LOSS or ORDER: t{table} {n} after {}", self.at[table]);
            self.fresh[table] = false;
            self.at[table] = n;
            self.most[table] = most.max(n);
        }
    }

    fn write(&mut self, batch: &SealedBatch, expected: &Expected) {
        let mut marks = batch.marks.iter().peekable();
        let mut touched = [false; TABLES];
        for (i, (table, op, seq, event)) in Self::events(batch) {
            while let Some(&(through, _)) = marks.next_if(|mark| mark.1 as usize <= i) {
                self.note_lengths(&mut touched, through);
            }
            assert!(batch.seq_min <= seq && seq <= batch.seq_max, "SEQ: outside its batch");
            self.delivered += 1;
            let file = &mut self.files[table];
            let before = match file.lines.last() {
                Some(Line::Event(n)) => *n,
                _ => self.floor[table],
            };
            let line = match op {
                Op::Read => Line::Read,
                _ => Line::Event(place(expected, table, &event)),
            };
            if let Line::Event(n) = line {
                assert_eq!(n, before + 1, "LOSS or DUPLICATE: file of t{table}");
            }
            file.lines.push(line);
            touched[table] = true;
        }
        marks.for_each(|&(through, _)| self.note_lengths(&mut touched, through));
        self.note_lengths(&mut touched, batch.seq_max);
    }

    fn note_lengths(&mut self, touched: &mut [bool; TABLES], through: Seq) {
        for (table, touched) in touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                let file = &mut self.files[table];
                file.lengths.push((through, file.lines.len()));
            }
        }
    }

    /// What a checkpoint at this watermark must hold.
    pub fn state_at(&self, seq: Seq) -> serde_json::Value {
        if self.kind == Kind::Upsert {
            return serde_json::Value::Null;
        }
        let lengths = self.files.iter().map(|file| {
            if self.plant.has(WorldBug::LengthsOfNow) {
                return file.durable;
            }
            let at = file.lengths.partition_point(|length| length.0 <= seq);
            file.lengths[at.saturating_sub(1)].1
        });
        lengths.collect::<Vec<usize>>().into()
    }

    /// A checkpoint at the end of entry `entry` is durable, with this state: all that it covers
    /// must be here for good, and a file's length must be exactly that.
    pub fn check_durable(&self, entry: usize, state: &serde_json::Value, expected: &Expected) {
        for table in 0..TABLES {
            let count = expected.count(table, entry);
            let stopped = expected.stops[table].filter(|stop| stop.entry <= entry);
            let least = stopped.map_or(count, |stop| stop.least);
            if self.kind == Kind::Upsert {
                let most = self.most[table].max(self.floor[table]);
                assert!(most >= least, "LOSS: t{table}: {most} of {least} at checkpoint {entry}");
                continue;
            }
            let length = state[table].as_u64().expect("STATE: a length") as usize;
            let file = &self.files[table];
            assert!(length <= file.durable, "LOSS: t{table} is checkpointed and not durable");
            let last = file.lines[..length].iter().rev().find_map(|line| match line {
                Line::Event(n) => Some(*n),
                Line::Read => None,
            });
            let last = last.unwrap_or(self.floor[table]);
            assert!(
                (least..=count).contains(&last),
                "EXACTLY ONCE: t{table} is cut at {last}, not {count}, at checkpoint {entry}"
            );
        }
    }

    pub fn quiet(&self) -> bool {
        self.zombies.is_empty()
            && self.unsynced.is_empty()
            && self.wire.values().all(VecDeque::is_empty)
    }

    /// The end: everything is here, nothing else, and the last word on every key is right.
    pub fn check_end(&self, reads: &[usize; TABLES], entries: usize, expected: &Expected) {
        for (table, reads) in reads.iter().enumerate() {
            let stop = expected.stops[table];
            let events = &expected.tables[table];
            if self.kind == Kind::Upsert {
                if stop.is_none() {
                    let want = expected.state(table, entries);
                    assert_eq!(self.state[table], want, "END: t{table} of sink {}", self.id);
                }
                continue;
            }
            let lines = &self.files[table].lines;
            let read = lines.iter().filter(|line| **line == Line::Read).count();
            assert_eq!(read, *reads, "END: snapshot rows of t{table}");
            let floor = self.floor[table];
            let streamed = lines.len() - read + floor;
            let least = stop.map_or(events.len(), |stop| stop.least);
            assert!((least..=events.len()).contains(&streamed), "END: lines of t{table}");
        }
    }
}

/// Number of an event in its table. One that was never committed has none.
fn place(expected: &Expected, table: usize, event: &Decoded) -> usize {
    let (of, n) = *expected
        .places
        .get(&event.value)
        .unwrap_or_else(|| panic!("PHANTOM: value {} was never committed", event.value));
    assert_eq!(of as usize, table, "TABLE: an event in another table's topic");
    n
}
