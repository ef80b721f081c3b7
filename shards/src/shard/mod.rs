//! Shard: owns tables; encodes their frames, batches, delivers, and says how far it is.
//!
//! Enters: frames, punctuation and schemas from its ring; acks from sinks; the time, as numbers.
//! Leaves: deliveries, progress per sink, table stops. Keeps: `done_through` of a sink is the
//! least of what was received and encoded, every unacknowledged batch's `seq_min` − 1 and every
//! unsealed `Seq` − 1 (invariants 1 and 2); received moves after the last frame of a `FrameBatch`
//! is encoded (HAZARDS L31); a lane stops at its first failure and is delivered again in order
//! (HAZARDS L18); a table that stops is reported before progress passes it (HAZARDS L21).
//!
//! How a core drives it, in any order and as often as it likes: `can_accept` and `handle_input`
//! from the ring; `poll_encode` until it makes no progress; `poll_delivery` until `None`;
//! `handle_ack`; then every `poll_stop`, then every `poll_progress`, both into the one queue to
//! the coordinator, in this order. It may sleep until input, an ack, or `next_deadline_ms`.

mod delivery;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use penstock_protocol::frame::{FrameKind, TableId};
use penstock_protocol::schema::{TableName, TableSchema};

use crate::annex::{ANNEX_KINDS, AnnexKind};
use crate::batch::{Batch, BatchHome, SealedBatch};
use crate::bucket::{lane_of, table_hash};
use crate::bugs::{Bug, Bugs};
use crate::encode::{EncodeError, Encoded, Resume, RowEncoder};
use crate::hop::{FrameBatch, ShardInput, ShardProgress, TableStop};
use crate::limits::Limits;
use crate::seq::{BatchId, Epoch, LaneId, Seq, ShardId, SinkId};

use delivery::SinkLanes;

/// One sink, as a shard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkDecl {
    /// Its number.
    pub sink: SinkId,
    /// Which of the shard's encoders it takes: an index.
    pub encoding: u16,
    /// Ordered paths per shard, at least 1; a table takes one of them. Sinks that share an
    /// encoding have the same number.
    pub lanes: u16,
}

/// What a row that cannot be delivered does (`on_table_error`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTableError {
    /// The pipeline stops: Debezium's `fail`.
    #[default]
    Fail,
    /// The table stops, recorded; the rest goes on.
    StopTable,
}

/// What a shard is made of.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number.
    pub id: ShardId,
    /// This incarnation.
    pub epoch: Epoch,
    /// The pipeline's sinks.
    pub sinks: Vec<SinkDecl>,
    /// Policy.
    pub on_table_error: OnTableError,
    /// Tables that the checkpoint lists as stopped: their frames are passed over.
    pub stopped: Vec<TableName>,
    /// Bounds.
    pub limits: Limits,
}

/// Why a shard cannot go on. Fatal for the pipeline, but for what the operator decides on tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardError {
    /// A row cannot be encoded, and the policy is to fail.
    Table(TableStop),
    /// A sink answered Definite.
    Sink {
        /// Which sink.
        sink: SinkId,
        /// Which batch.
        batch: BatchId,
        /// Its reason.
        reason: String,
    },
    /// A sink has not answered for `ACK_AGE_MS_MAX` (HAZARDS H9).
    NoAnswer {
        /// Which sink.
        sink: SinkId,
        /// Which batch.
        batch: BatchId,
    },
    /// A frame of a table that was never introduced by a schema.
    UnknownTable(TableId),
    /// The encoder refuses a row even in an empty batch.
    RowTooLarge(TableName),
}

impl fmt::Display for ShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(stop) => write!(f, "table {} cannot go on: {}", stop.name, stop.reason),
            Self::Sink { sink, batch, reason } => {
                write!(f, "sink {sink} refuses batch {batch}: {reason}")
            }
            Self::NoAnswer { sink, batch } => {
                write!(f, "sink {sink} does not answer for batch {batch}")
            }
            Self::UnknownTable(table) => write!(f, "a row of table {} without schema", table.0),
            Self::RowTooLarge(name) => write!(f, "a row of {name} fits no batch"),
        }
    }
}

impl std::error::Error for ShardError {}

/// A shard of a pipeline.
pub struct Shard<E> {
    id: ShardId,
    epoch: Epoch,
    limits: Limits,
    bugs: Bugs,
    on_table_error: OnTableError,
    stopped: Vec<TableName>,
    /// By `TableId`.
    tables: Vec<Option<Table>>,
    /// By `AnnexKind`: of its pseudo-table's name.
    annex_hashes: [u64; ANNEX_KINDS],
    input: Option<FrameBatch>,
    encodings: Vec<Encoding<E>>,
    sinks: Vec<SinkLanes>,
    /// Table stops that nobody has polled, with the encoding that met them.
    stops: VecDeque<(usize, TableStop)>,
    /// A table has stopped inside the current input.
    stopped_now: bool,
    error: Option<ShardError>,
    pool: Pool,
    turn: usize,
}

struct Table {
    name: TableName,
    /// Of its name: chooses the lane.
    hash: u64,
    /// From this frame of the current input on its rows are passed over. Another encoder may be
    /// behind that frame still: what stands before it is delivered.
    stopped: Option<usize>,
}

/// One encoder and the batches that it fills.
struct Encoding<E> {
    encoder: E,
    lanes: u16,
    open: Vec<Open>,
    batches: u64,
    /// All whole transactions up to here were received and encoded.
    received: Seq,
    /// Next frame of the current input.
    cursor: usize,
    resume: Resume,
    /// The current input is done.
    done: bool,
}

/// A batch that is being filled.
#[derive(Default)]
struct Open {
    body: Batch,
    marks: Vec<(Seq, u32)>,
    /// The encoder said that nothing more fits.
    full: bool,
    since_ms: Option<u64>,
}

impl Open {
    fn first(&self) -> Option<Seq> {
        self.body.events.first().map(|event| event.seq)
    }

    /// Remembers how many events are ≤ `through`, unless the last mark says the same.
    fn mark(&mut self, through: Seq) {
        let events = self.body.events.partition_point(|event| event.seq <= through) as u32;
        if events > self.marks.last().map_or(0, |mark| mark.1) {
            self.marks.push((through, events));
        }
    }
}

impl<E: RowEncoder> Shard<E> {
    /// A shard that has everything up to `start`. `encoders` by `SinkDecl::encoding`.
    pub fn new(config: ShardConfig, encoders: Vec<E>, start: Seq) -> Self {
        Self::with_bugs(config, encoders, start, Bugs::NONE)
    }

    /// The same with planted bugs.
    #[doc(hidden)]
    pub fn with_bugs(config: ShardConfig, encoders: Vec<E>, start: Seq, bugs: Bugs) -> Self {
        let lanes_of = |encoding: usize| {
            let mut of = config.sinks.iter().filter(|s| usize::from(s.encoding) == encoding);
            let lanes = of.next().expect("invariant: every encoding has a sink").lanes;
            assert!(lanes > 0 && of.all(|s| s.lanes == lanes), "lanes of one encoding differ");
            lanes
        };
        let encodings: Vec<Encoding<E>> = encoders
            .into_iter()
            .enumerate()
            .map(|(n, encoder)| Encoding::new(encoder, lanes_of(n), start))
            .collect();
        assert!(config.sinks.iter().all(|s| usize::from(s.encoding) < encodings.len()));
        let most = config.limits.in_flight_batches * encodings.len().max(1);
        Self {
            id: config.id,
            epoch: config.epoch,
            limits: config.limits,
            bugs,
            on_table_error: config.on_table_error,
            stopped: config.stopped,
            tables: Vec::new(),
            annex_hashes: AnnexKind::ALL.map(|kind| table_hash(&kind.name())),
            input: None,
            encodings,
            sinks: config.sinks.iter().map(|s| SinkLanes::new(*s, start)).collect(),
            stops: VecDeque::new(),
            stopped_now: false,
            error: None,
            pool: Pool::new(most),
            turn: 0,
        }
    }

    /// True if `handle_input` may be called: the last input is encoded.
    pub fn can_accept(&self) -> bool {
        self.input.is_none()
    }

    /// The next message of the ring. Only if `can_accept`.
    pub fn handle_input(&mut self, input: ShardInput) {
        assert!(self.input.is_none(), "input handed over while the last one waits");
        match input {
            ShardInput::Schema(schema) => self.handle_schema(schema),
            ShardInput::Frames(batch) => {
                if std::mem::take(&mut self.stopped_now) {
                    for table in self.tables.iter_mut().flatten() {
                        table.stopped = table.stopped.map(|_| 0);
                    }
                }
                let needs_bytes = batch.frames.len() > batch.annexes.len();
                assert!(!needs_bytes || batch.segment.is_some(), "frames need bytes");
                for encoding in &mut self.encodings {
                    assert!(batch.through >= encoding.received, "punctuation went back");
                    (encoding.cursor, encoding.resume) = (0, Resume::default());
                    encoding.done = false;
                    if self.bugs.has(Bug::ReceivedBeforeEncode) {
                        encoding.received = batch.through;
                    }
                }
                self.input = Some(batch);
            }
        }
    }

    fn handle_schema(&mut self, schema: Arc<TableSchema>) {
        let at = schema.table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, || None);
        }
        let stopped = self.stopped.contains(&schema.name).then_some(0);
        self.tables[at] =
            Some(Table { name: schema.name.clone(), hash: table_hash(&schema.name), stopped });
        for encoding in &mut self.encodings {
            encoding.encoder.handle_schema(Arc::clone(&schema));
        }
    }

    /// Encodes some frames. True if anything moved; false: input or room is missing. `now_us`:
    /// wall clock, for the records' processing time. An error is final.
    pub fn poll_encode(&mut self, now_us: i64) -> Result<bool, ShardError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let Some(input) = self.input.take() else { return Ok(false) };
        let mut moved = false;
        for at in 0..self.encodings.len() {
            if self.encodings[at].done {
                continue;
            }
            match self.encode_some(at, &input, now_us) {
                Ok(some) => moved |= some,
                Err(error) => {
                    self.error = Some(error.clone());
                    return Err(error);
                }
            }
        }
        if !self.encodings.iter().all(|encoding| encoding.done) {
            self.input = Some(input);
        }
        Ok(moved)
    }

    fn encode_some(
        &mut self,
        at: usize,
        input: &FrameBatch,
        now_us: i64,
    ) -> Result<bool, ShardError> {
        let mut moved = false;
        for _ in 0..self.limits.frames_per_poll {
            let Some(frame) = input.frames.get(self.encodings[at].cursor) else { break };
            let hash = if frame.head.kind == FrameKind::Annex {
                self.annex_hash(frame.head.table)?
            } else {
                let table = self.tables.get(frame.head.table.0 as usize).and_then(Option::as_ref);
                let table = table.ok_or(ShardError::UnknownTable(frame.head.table))?;
                if table.stopped.is_some_and(|from| self.encodings[at].cursor >= from) {
                    self.encodings[at].next_frame();
                    moved = true;
                    continue;
                }
                table.hash
            };
            let lane = lane_of(hash, self.encodings[at].lanes);
            if self.is_full(at, lane) && !self.seal(at, lane, Some(input.through)) {
                return Ok(moved);
            }
            let encoding = &mut self.encodings[at];
            let open = &mut encoding.open[usize::from(lane)];
            let encoded = encode_frame(
                &mut encoding.encoder,
                (input, encoding.cursor),
                now_us,
                &mut encoding.resume,
                &mut open.body,
            );
            match encoded {
                Ok(Encoded::Done) => encoding.next_frame(),
                Ok(Encoded::Full) if open.body.is_empty() => {
                    return Err(self.too_large(frame.head.table));
                }
                Ok(Encoded::Full) => {
                    open.full = true;
                    if self.bugs.has(Bug::FrameAgainFromStart) {
                        encoding.resume = Resume::default();
                    }
                }
                Err(error) => {
                    let seq = input.txns[frame.txn as usize].seq;
                    self.stop_table(at, frame, seq, error)?;
                }
            }
            moved = true;
        }
        let encoding = &mut self.encodings[at];
        if encoding.cursor == input.frames.len() {
            encoding.received = encoding.received.max(input.through);
            encoding.done = true;
            encoding.open.iter_mut().for_each(|open| open.mark(input.through));
            moved = true;
        }
        Ok(moved)
    }

    fn annex_hash(&self, id: TableId) -> Result<u64, ShardError> {
        let kind = AnnexKind::of(id).ok_or(ShardError::UnknownTable(id))?;
        Ok(self.annex_hashes[kind as usize])
    }

    fn too_large(&self, id: TableId) -> ShardError {
        match self.tables.get(id.0 as usize) {
            Some(Some(table)) => ShardError::RowTooLarge(table.name.clone()),
            _ => ShardError::UnknownTable(id),
        }
    }

    fn stop_table(
        &mut self,
        encoding: usize,
        frame: &crate::hop::Frame,
        seq: Seq,
        error: EncodeError,
    ) -> Result<(), ShardError> {
        let id = frame.head.table;
        let Some(Some(table)) = self.tables.get_mut(id.0 as usize) else {
            return Err(ShardError::UnknownTable(id));
        };
        let (name, position) = (table.name.clone(), frame.head.position);
        let stop = TableStop { table: id, name, seq, position, reason: error.reason };
        if self.on_table_error == OnTableError::Fail {
            return Err(ShardError::Table(stop));
        }
        table.stopped = Some(self.encodings[encoding].cursor);
        self.stopped_now = true;
        self.stopped.push(stop.name.clone());
        self.stops.push_back((encoding, stop));
        Ok(())
    }

    fn is_full(&self, encoding: usize, lane: u16) -> bool {
        let open = &self.encodings[encoding].open[usize::from(lane)];
        let body = &open.body;
        open.full
            || body.used() >= self.limits.batch_bytes
            || body.events.len() >= self.limits.batch_events
    }

    /// Seals a lane's open batch, if its sinks have room. `through`: punctuation of the input that
    /// is being encoded; the batch may end in the transaction behind it.
    fn seal(&mut self, at: usize, lane: u16, through: Option<Seq>) -> bool {
        let room = |sink: &SinkLanes| sink.in_flight() < self.limits.in_flight_batches;
        let of = |sink: &SinkLanes| usize::from(sink.decl.encoding) == at;
        let unbounded = self.bugs.has(Bug::InFlightUnbounded);
        if !unbounded && !self.sinks.iter().all(|sink| !of(sink) || room(sink)) {
            return false;
        }
        let encoding = &mut self.encodings[at];
        let open = &mut encoding.open[usize::from(lane)];
        let (Some(seq_min), Some(last)) = (open.first(), open.body.events.last()) else {
            return true;
        };
        let seq_max = last.seq;
        if let Some(through) = through
            && through < seq_max
            && !self.bugs.has(Bug::MarkLostAtSeal)
        {
            open.mark(through);
        }
        encoding.batches += 1;
        let batch = Arc::new(SealedBatch {
            id: BatchId(encoding.batches),
            epoch: self.epoch,
            shard: self.id,
            lane: LaneId(lane),
            encoding: at as u16,
            seq_min,
            seq_max,
            marks: std::mem::take(&mut open.marks),
            topics: encoding.encoder.topics(),
            body: std::mem::replace(&mut open.body, self.pool.take()),
            home: self.pool.home(),
        });
        (open.full, open.since_ms) = (false, None);
        for sink in self.sinks.iter_mut().filter(|sink| of(sink)) {
            sink.push(Arc::clone(&batch));
        }
        true
    }

    /// Punctuation of the current input, for a batch that is sealed while it is being encoded.
    fn current_through(&self, encoding: usize) -> Option<Seq> {
        let input = self.input.as_ref()?;
        (!self.encodings[encoding].done).then_some(input.through)
    }

    /// Seals every open batch that has room, whatever its age: before a drain, or when the ring is
    /// empty and latency counts. True if nothing is left open.
    pub fn seal_now(&mut self) -> bool {
        let mut all = true;
        for at in 0..self.encodings.len() {
            for lane in 0..self.encodings[at].lanes {
                all &= self.seal(at, lane, self.current_through(at));
            }
        }
        all
    }

    /// What an encoder wants an operator to hear of.
    pub fn poll_note(&mut self) -> Option<String> {
        self.encodings.iter_mut().find_map(|encoding| encoding.encoder.take_note())
    }

    /// The next table stop: hand it to the coordinator before any later progress.
    pub fn poll_stop(&mut self) -> Option<TableStop> {
        self.stops.pop_front().map(|(_, stop)| stop)
    }

    /// The next progress of some sink, to the coordinator.
    pub fn poll_progress(&mut self) -> Option<ShardProgress> {
        for at in 0..self.sinks.len() {
            let through = self.done_through(at);
            let sink = &mut self.sinks[at];
            if through > sink.reported {
                sink.reported = through;
                return Some(ShardProgress { shard: self.id, sink: sink.decl.sink, through });
            }
        }
        None
    }

    /// Everything ≤ this is received, encoded and durable in this sink (invariant 1).
    fn done_through(&self, at: usize) -> Seq {
        let sink = &self.sinks[at];
        let encoding = usize::from(sink.decl.encoding);
        let unsealed = self.encodings[encoding].open.iter().filter_map(Open::first);
        let unsealed = unsealed.filter(|_| !self.bugs.has(Bug::ForgetUnsealed));
        let stops = self.stops.iter().filter(|(met, _)| *met == encoding);
        let stops = stops.filter(|_| !self.bugs.has(Bug::StopBehindWatermark));
        let held = unsealed.chain(sink.unacked_min(self.bugs)).chain(stops.map(|(_, s)| s.seq));
        let received = self.encodings[encoding].received;
        held.map(Seq::before).min().map_or(received, |held| held.min(received))
    }

    /// True if nothing waits here: no input, no open batch, no batch in flight, no stop that nobody
    /// has polled.
    pub fn is_idle(&self) -> bool {
        self.input.is_none()
            && self.stops.is_empty()
            && self.encodings.iter().all(|e| e.open.iter().all(|open| open.body.is_empty()))
            && self.sinks.iter().all(|sink| sink.in_flight() == 0)
    }

    /// Batches of this sink that are not acknowledged, for metrics and tests.
    pub fn in_flight(&self, sink: SinkId) -> usize {
        let found = self.sinks.iter().find(|lanes| lanes.decl.sink == sink);
        found.map_or(0, SinkLanes::in_flight)
    }
}

impl<E> Encoding<E> {
    fn new(encoder: E, lanes: u16, start: Seq) -> Self {
        Self {
            encoder,
            lanes,
            open: (0..lanes).map(|_| Open::default()).collect(),
            batches: 0,
            received: start,
            cursor: 0,
            resume: Resume::default(),
            done: true,
        }
    }

    fn next_frame(&mut self) {
        self.cursor += 1;
        self.resume = Resume::default();
    }
}

/// Encodes what the frame at `cursor` points at: rows of the segment, or a record beside rows.
fn encode_frame<E: RowEncoder>(
    encoder: &mut E,
    (input, cursor): (&FrameBatch, usize),
    now_us: i64,
    resume: &mut Resume,
    body: &mut Batch,
) -> Result<Encoded, EncodeError> {
    let frame = &input.frames[cursor];
    let txn = &input.txns[frame.txn as usize];
    if *resume == Resume::default() {
        resume.order = input.orders.get(cursor).copied().filter(|order| order.total > 0);
    }
    if frame.head.kind == FrameKind::Annex {
        let annex = &input.annexes[frame.head.offset as usize];
        return Ok(encoder.encode_annex(annex, frame, txn, now_us, resume.order, body));
    }
    let segment = input.segment.as_ref().expect("invariant: looked at when the input came");
    encoder.encode(segment, frame, txn, now_us, resume, body)
}

/// Memory of batches, back from the sinks.
struct Pool {
    home: SyncSender<Batch>,
    back: Receiver<Batch>,
}

impl Pool {
    fn new(most: usize) -> Self {
        let (home, back) = sync_channel(most);
        Self { home, back }
    }

    fn take(&self) -> Batch {
        self.back.try_recv().unwrap_or_default()
    }

    fn home(&self) -> BatchHome {
        BatchHome(Some(self.home.clone()))
    }
}

#[cfg(test)]
mod tests;
