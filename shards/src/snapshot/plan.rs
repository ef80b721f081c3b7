//! Which chunk is read next, and which are done.
//!
//! Enters: tables (new ones, or as a checkpoint lists them), the tuning, the time as a number, and
//! what readers and shards report of a read. Leaves: reads; the list for a checkpoint; figures.
//! Keeps: the pieces of a table cover its keys from end to end, in order; a chunk is done only when
//! a checkpoint's `Seq` has passed its rows (HAZARDS L15); a discarded one is read again under a new
//! `ReadId`, so that a late report about the old read changes nothing (L7); no read before the start
//! barrier (L2, L3), and none whose bytes are not reserved (H5). Bounds are opaque: the source makes
//! them and the server alone compares them (L8).

use std::fmt;

use penstock_protocol::schema::TableName;
use serde::{Deserialize, Serialize};

use crate::bugs::{Bug, Bugs};
use crate::seq::Seq;

/// One attempt at a chunk; dense from 1 in a run, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadId(pub u64);

/// A key as the source writes it for its server: opaque.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bound(pub Vec<u8>);

/// A table of a run, as a checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChunks {
    /// Which.
    pub name: TableName,
    /// All keys, in order: each piece begins behind the one before.
    pub pieces: Vec<Piece>,
    /// Single keys that are read once more (HAZARDS L6).
    #[serde(default)]
    pub keys: Vec<Bound>,
}

/// Some neighbouring keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Last key; `None`: the end of the table, in the last piece and no other.
    pub through: Option<Bound>,
    /// Read, delivered and acknowledged.
    pub done: bool,
    /// Rows that were read; 0 if not done.
    pub rows: u64,
}

/// What a read reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkRange {
    /// Keys behind `after` up to and with `through`; `None`: no bound on that side.
    Keys { after: Option<Bound>, through: Option<Bound> },
    /// One key.
    Key(Bound),
}

/// A chunk to read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRead {
    /// This attempt.
    pub id: ReadId,
    /// Index of the table in the run.
    pub table: usize,
    /// What.
    pub range: ChunkRange,
    /// Rows at most, at least 1.
    pub rows_max: u64,
    /// Bytes that are reserved for its rows.
    pub bytes_max: usize,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// List the running transactions; `handle_barrier` with this number when all have ended.
    Barrier(u64),
    /// Read this.
    Read(ChunkRead),
    /// Ask again at this time, µs.
    At(u64),
    /// Ask again after a report.
    Wait,
    /// Every chunk is done.
    Done,
}

/// Numbers from outside; they may change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Chunks that are being read at once.
    pub parallelism: usize,
    /// Rows a second over all readers; 0: no bound.
    pub rows_per_s: u64,
    /// Between the end of a read and the next, µs.
    pub pause_us: u64,
    /// Rows of a chunk.
    pub rows_max: u64,
    /// Bytes of a chunk, reserved before its query is sent.
    pub chunk_bytes: usize,
    /// Bytes of all chunks between their query and the end of their window. One chunk is read even
    /// if this is less than `chunk_bytes`.
    pub budget_bytes: usize,
    /// The operator, or the source's lag, says: begin nothing.
    pub paused: bool,
}

/// Figures of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of chunks that left or are done.
    pub rows: u64,
    /// Rows that the source estimates; 0: unknown.
    pub rows_estimated: u64,
    /// Chunks that are done.
    pub done: usize,
    /// Chunks that are being read or whose window is open.
    pub in_flight: usize,
    /// Chunks in all.
    pub chunks: usize,
}

/// Why a checkpoint's list is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunksError {
    /// The table whose pieces do not cover it.
    pub table: TableName,
}

impl fmt::Display for ChunksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the chunks of {} do not end where the table ends", self.table)
    }
}

impl std::error::Error for ChunksError {}

/// A run: its tables and chunks.
#[derive(Debug)]
pub struct Chunks {
    tables: Vec<Table>,
    tuning: Tuning,
    bugs: Bugs,
    reads: u64,
    /// Barriers that tables need, that were asked for, and that were passed.
    barriers: u64,
    barriers_asked: u64,
    barriers_passed: u64,
    /// No read begins earlier, µs.
    next_at_us: u64,
}

#[derive(Debug)]
struct Table {
    name: TableName,
    pieces: Vec<Chunk>,
    keys: Vec<Chunk>,
    barrier: u64,
    rows_max: u64,
    rows_estimated: u64,
    /// Dropped: nothing is read, nothing recorded.
    gone: bool,
}

#[derive(Debug)]
struct Chunk {
    /// Of a piece: its last key; of a key: itself.
    bound: Option<Bound>,
    state: State,
    rows: u64,
    /// A key: the transaction that asked for it.
    since: Seq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Planned,
    Reading(ReadId),
    Window(ReadId),
    Left(Seq),
    Done,
}

impl State {
    fn is(self, id: ReadId) -> bool {
        self == Self::Reading(id) || self == Self::Window(id)
    }

    fn in_flight(self) -> bool {
        matches!(self, Self::Reading(_) | Self::Window(_))
    }

    fn done_at(self, through: Seq, bugs: Bugs) -> bool {
        match self {
            Self::Done => true,
            Self::Left(at) => at <= through || bugs.has(Bug::ChunkDoneAtLeave),
            _ => false,
        }
    }
}

impl Chunk {
    fn planned(bound: Option<Bound>, since: Seq) -> Self {
        Self { bound, state: State::Planned, rows: 0, since }
    }
}

impl Chunks {
    /// A run that goes on with what a checkpoint lists (nothing: a new run without tables).
    pub fn resume(tables: Vec<TableChunks>, tuning: Tuning) -> Result<Self, ChunksError> {
        Self::with_bugs(tables, tuning, Bugs::NONE)
    }

    /// The same with planted bugs.
    #[doc(hidden)]
    pub fn with_bugs(
        tables: Vec<TableChunks>,
        tuning: Tuning,
        bugs: Bugs,
    ) -> Result<Self, ChunksError> {
        let mut run = Self {
            tables: Vec::new(),
            tuning,
            bugs,
            reads: 0,
            barriers: 0,
            barriers_asked: 0,
            barriers_passed: 0,
            next_at_us: 0,
        };
        for table in tables {
            let ends = table.pieces.iter().position(|piece| piece.through.is_none());
            if ends.is_none_or(|at| at + 1 != table.pieces.len()) {
                return Err(ChunksError { table: table.name });
            }
            let pieces = table.pieces.into_iter().map(|piece| Chunk {
                bound: piece.through,
                state: if piece.done { State::Done } else { State::Planned },
                rows: piece.rows,
                since: Seq(0),
            });
            let keys = table.keys.into_iter().map(|key| Chunk::planned(Some(key), Seq(0)));
            run.push(table.name, pieces.collect(), keys.collect(), 0);
        }
        Ok(run)
    }

    /// Adds a table: pieces end at `bounds`, sampled in the order of the key, and at its end. Its
    /// index in the run. Tables that are added before the next `poll_next` share a barrier.
    pub fn add_table(&mut self, name: TableName, bounds: Vec<Bound>, estimate: u64) -> usize {
        let bounds = bounds.into_iter().map(Some).chain([None]);
        let pieces = bounds.map(|bound| Chunk::planned(bound, Seq(0))).collect();
        self.push(name, pieces, Vec::new(), estimate)
    }

    fn push(
        &mut self,
        name: TableName,
        pieces: Vec<Chunk>,
        keys: Vec<Chunk>,
        rows_estimated: u64,
    ) -> usize {
        if self.barriers == self.barriers_asked {
            self.barriers += 1;
        }
        let (barrier, rows_max) = (self.barriers, self.tuning.rows_max.max(1));
        let gone = false;
        self.tables.push(Table { name, pieces, keys, barrier, rows_max, rows_estimated, gone });
        self.tables.len() - 1
    }

    /// New numbers. Chunks that are being read keep theirs.
    pub fn set_tuning(&mut self, tuning: Tuning) {
        for table in &mut self.tables {
            table.rows_max = tuning.rows_max.max(1);
        }
        self.tuning = tuning;
    }

    /// What a free reader does now. `now_us`: any clock that does not go back.
    pub fn poll_next(&mut self, now_us: u64) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        if self.barriers_asked < self.barriers {
            self.barriers_asked = self.barriers;
            return Next::Barrier(self.barriers);
        }
        let reading = self.count(|state| matches!(state, State::Reading(_)));
        let in_flight = self.count(State::in_flight);
        let reserved = (in_flight + 1).saturating_mul(self.tuning.chunk_bytes);
        let has_room = in_flight == 0 || reserved <= self.tuning.budget_bytes;
        if self.tuning.paused || reading >= self.tuning.parallelism.max(1) || !has_room {
            return Next::Wait;
        }
        let passed = self.barriers_passed;
        let may = |table: &Table| !table.gone && table.barrier <= passed;
        let planned = |chunk: &Chunk| chunk.state == State::Planned;
        let at = self
            .tables
            .iter()
            .position(|table| may(table) && table.keys.iter().chain(&table.pieces).any(planned));
        let Some(at) = at else { return Next::Wait };
        if now_us < self.next_at_us {
            return Next::At(self.next_at_us);
        }
        self.reads += 1;
        let (id, bytes_max) = (ReadId(self.reads), self.tuning.chunk_bytes);
        let table = &mut self.tables[at];
        let rows_max = table.rows_max;
        let range = if let Some(key) = table.keys.iter_mut().find(|chunk| planned(chunk)) {
            key.state = State::Reading(id);
            ChunkRange::Key(key.bound.clone().expect("invariant: a single key has a bound"))
        } else {
            let n = table.pieces.iter().position(planned);
            let n = n.expect("invariant: the table has a planned chunk");
            table.pieces[n].state = State::Reading(id);
            let after = n.checked_sub(1).and_then(|n| table.pieces[n].bound.clone());
            ChunkRange::Keys { after, through: table.pieces[n].bound.clone() }
        };
        Next::Read(ChunkRead { id, table: at, range, rows_max, bytes_max })
    }

    /// All transactions that ran when this barrier was given out have ended.
    pub fn handle_barrier(&mut self, barrier: u64) {
        assert!(barrier <= self.barriers_asked, "a barrier that was never asked for");
        self.barriers_passed = self.barriers_passed.max(barrier);
    }

    /// False: the read was discarded, the reader may stop.
    pub fn is_live(&self, id: ReadId) -> bool {
        self.tables.iter().flat_map(Table::chunks).any(|chunk| chunk.state.is(id))
    }

    /// The reader has `rows` more rows: what the throttle counts.
    pub fn handle_rows(&mut self, rows: u64, now_us: u64) {
        if let Some(us) = rows.saturating_mul(1_000_000).checked_div(self.tuning.rows_per_s) {
            self.next_at_us = self.next_at_us.max(now_us).saturating_add(us);
        }
    }

    /// All rows of the read were handed over. `cut`: the reader ended at `rows_max`, or where the
    /// next row would not have fitted, and this is the last key that it read: what is behind it
    /// becomes a chunk of its own.
    pub fn handle_read(&mut self, id: ReadId, cut: Option<Bound>, now_us: u64) {
        self.next_at_us = self.next_at_us.max(now_us.saturating_add(self.tuning.pause_us));
        for table in &mut self.tables {
            let pieces = table.pieces.iter_mut();
            let Some(chunk) = pieces.chain(&mut table.keys).find(|c| c.state.is(id)) else {
                continue;
            };
            chunk.state = State::Window(id);
            let n = table.pieces.iter().position(|chunk| chunk.state.is(id));
            if let (Some(n), Some(cut)) = (n, cut) {
                let rest = table.pieces[n].bound.replace(cut);
                table.pieces.insert(n + 1, Chunk::planned(rest, Seq(0)));
            }
            return;
        }
    }

    /// The window has ended and the rows left under `at`. Comes before the progress of that shard
    /// passes `at`.
    pub fn handle_left(&mut self, id: ReadId, at: Seq, rows: u64) {
        if let Some((chunk, _)) = self.find(id) {
            assert!(matches!(chunk.state, State::Window(_)), "rows left before all were read");
            (chunk.state, chunk.rows) = (State::Left(at), rows);
        }
    }

    /// The read came to nothing: it is read again, in halves if it was too large (HAZARDS L7).
    pub fn handle_discarded(&mut self, id: ReadId, too_large: bool) {
        if let Some((chunk, rows_max)) = self.find(id) {
            chunk.state = State::Planned;
            if too_large {
                *rows_max = (*rows_max / 2).max(1);
            }
        }
    }

    /// The key's columns changed: bounds mean nothing any more, the table is read from its start.
    /// The reads that are thereby discarded are in nobody's list any more.
    pub fn handle_key_changed(&mut self, table: usize) {
        if let Some(table) = self.tables.get_mut(table) {
            table.pieces = vec![Chunk::planned(None, Seq(0))];
            table.keys.clear();
        }
    }

    /// The table is no more.
    pub fn handle_dropped(&mut self, table: usize) {
        if let Some(table) = self.tables.get_mut(table) {
            table.gone = true;
            table.pieces.clear();
            table.keys.clear();
        }
    }

    /// An incomplete image whose key changed, at `since`: its new key is read once more (L6).
    pub fn handle_key(&mut self, table: usize, key: Bound, since: Seq) {
        let Some(table) = self.tables.get_mut(table).filter(|table| !table.gone) else { return };
        let waits = |c: &Chunk| c.state == State::Planned && c.bound.as_ref() == Some(&key);
        if !table.keys.iter().any(waits) {
            table.keys.push(Chunk::planned(Some(key), since));
        }
    }

    /// Everything up to `through` is acknowledged by every sink.
    pub fn handle_acked(&mut self, through: Seq) {
        for table in &mut self.tables {
            for chunk in table.pieces.iter_mut().chain(&mut table.keys) {
                if matches!(chunk.state, State::Left(at) if at <= through) {
                    chunk.state = State::Done;
                }
            }
            table.keys.retain(|key| key.state != State::Done);
        }
    }

    /// True if every chunk of every table is done.
    pub fn is_done(&self) -> bool {
        self.count(|state| state != State::Done) == 0
    }

    /// The list for a checkpoint at `through`; empty: the run is over. Neighbours that are done
    /// stand as one piece.
    pub fn record(&self, through: Seq) -> Vec<TableChunks> {
        let done = |chunk: &Chunk| chunk.state.done_at(through, self.bugs);
        let live = self.tables.iter().filter(|table| !table.gone);
        if live.clone().flat_map(Table::chunks).all(done) {
            return Vec::new();
        }
        live.map(|table| {
            let mut pieces: Vec<Piece> = Vec::new();
            for chunk in &table.pieces {
                let done = done(chunk);
                let (through, rows) = (chunk.bound.clone(), if done { chunk.rows } else { 0 });
                match pieces.last_mut() {
                    Some(last) if last.done && done => {
                        (last.through, last.rows) = (through, last.rows.saturating_add(rows));
                    }
                    _ => pieces.push(Piece { through, done, rows }),
                }
            }
            // A key that was asked for behind `through` is asked for again when the log is.
            let keys = table.keys.iter().filter(|key| key.since <= through && !done(key));
            let keys = keys.filter_map(|key| key.bound.clone()).collect();
            TableChunks { name: table.name.clone(), pieces, keys }
        })
        .collect()
    }

    /// Figures of a table, by its index.
    pub fn progress(&self, table: usize) -> Progress {
        let Some(table) = self.tables.get(table) else { return Progress::default() };
        let count = |is: fn(State) -> bool| table.chunks().filter(|c| is(c.state)).count();
        Progress {
            rows: table.pieces.iter().map(|chunk| chunk.rows).sum(),
            rows_estimated: table.rows_estimated,
            done: count(|state| state == State::Done),
            in_flight: count(State::in_flight),
            chunks: table.chunks().count(),
        }
    }

    fn count(&self, is: impl Fn(State) -> bool) -> usize {
        self.tables.iter().flat_map(Table::chunks).filter(|chunk| is(chunk.state)).count()
    }

    fn find(&mut self, id: ReadId) -> Option<(&mut Chunk, &mut u64)> {
        self.tables.iter_mut().find_map(|table| {
            let mut chunks = table.pieces.iter_mut().chain(&mut table.keys);
            chunks.find(|chunk| chunk.state.is(id)).map(|chunk| (chunk, &mut table.rows_max))
        })
    }
}

impl Table {
    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.pieces.iter().chain(&self.keys)
    }
}

#[cfg(test)]
mod tests;
