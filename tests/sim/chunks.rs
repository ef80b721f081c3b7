//! Concurrent snapshots against a source whose log runs ahead of what its readers see: the real
//! chunk machine and the real windows, crashes at any step, and a destination that must end equal. Beyond that, each row of a chunk must
//! be the source's row at the very place in the log where it leaves.
//!
//! The source gives each transaction three times: logged (the stream may read it), visible (views
//! see it; its locks are held until then), and ended (the same). An update may log an image without
//! its document, as unchanged TOAST does. The destination is fed in order, keeps what it got over
//! crashes, and takes a record without document as a consumer does: the old one stays.

use std::collections::{BTreeMap, BTreeSet};

use penstock_protocol::frame::TableId;
use penstock_protocol::schema::TableName;
use penstock_shards::bugs::{Bug, Bugs};
use penstock_shards::seq::Seq;
use penstock_shards::snapshot::{
    Bound, Change, ChunkRange, ChunkRead, Chunks, Image, LogAt, Next, ReadId, TableChunks, Tuning,
    WindowLimits, Windows,
};

use crate::rng::Rng;

const KEYS: usize = 12;
const TABLE: TableId = TableId(0);

/// (rule, bug, seeds within which it is caught)
const MACHINE_BUGS: &[(&str, Bug, u64)] = &[
    ("L15: chunk skipped at resume", Bug::ChunkDoneAtLeave, 500),
    ("L1: window closed early", Bug::WindowClosedEarly, 500),
    ("L1: a late chunk row resurrects", Bug::LateRowResurrects, 500),
    ("L8: matched by the new key only", Bug::WindowNewKeyOnly, 500),
    ("L6: an incomplete image replaces the row", Bug::IncompleteReplaces, 500),
    ("L7: truncate keeps the window", Bug::TruncateKeepsWindow, 500),
];

/// What the source's reader may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReaderBug {
    None,
    /// L1: the view is taken as it comes.
    ViewNotAccepted,
    /// L2: reads begin without the barrier.
    BarrierSkipped,
    /// L6: the new key of an incomplete image is not asked for.
    KeyNotAsked,
}

const READER_BUGS: &[(ReaderBug, u64)] = &[
    (ReaderBug::ViewNotAccepted, 500),
    (ReaderBug::BarrierSkipped, 2000),
    (ReaderBug::KeyNotAsked, 500),
];

/// A row: a number, and a document that an image may lack.
type Row = (u64, Option<u64>);
type Rows = BTreeMap<u8, Row>;

#[derive(Clone, Debug)]
enum Event {
    Put {
        old: Option<u8>,
        key: u8,
        row: Row,
    },
    Delete(u8),
    Truncate,
    /// A new version of the schema; no row changes.
    Ddl,
}

#[derive(Clone, Debug)]
struct Txn {
    events: Vec<Event>,
    /// As the log has them, documents left out; `events` has them whole.
    logged: Vec<Event>,
}

struct Reader {
    read: ChunkRead,
    /// Transactions that were routed before the low mark.
    low: usize,
    view: Option<View>,
}

struct View {
    /// Of the log: read after the view was opened.
    high: usize,
    rows: Vec<(u8, Row)>,
    cut: Option<Bound>,
    handed: u64,
}

struct World {
    rng: Rng,
    log: Vec<Txn>,
    /// By transaction of the log.
    visible: Vec<bool>,
    /// Of the table when all of the log is applied; and as a view sees it.
    newest: Rows,
    seen: Rows,
    /// The slot begins here.
    start: usize,
    /// Transactions of the log that the stream has given, and the table at that place.
    routed: usize,
    at: Rows,
    /// The most that any incarnation has routed: perhaps it is in the destination.
    furthest: usize,
    /// Last number given out in this incarnation, and the place in the log of each.
    seq: u64,
    points: Vec<(u64, usize)>,
    bugs: Bugs,
    reader_bug: ReaderBug,
    chunks: Chunks,
    windows: Windows<Row, Row>,
    readers: Vec<Reader>,
    /// Who is waited for.
    barrier: Option<(u64, Vec<usize>)>,
    /// What left and is not yet in the destination: (Seq, event).
    out: Vec<(u64, Event)>,
    destination: Rows,
    /// (transaction, chunks): the durable checkpoint.
    saved: (usize, Vec<TableChunks>),
    crashes: u64,
    /// Of these: with a checkpoint in which the run is over.
    over: u64,
    discards: u64,
    resumed_done: u64,
}

/// What a seed came to.
#[derive(Debug, Default)]
struct Reached {
    crashes: u64,
    over: u64,
    discards: u64,
    resumed_done: u64,
}

fn tuning(rng: &mut Rng) -> Tuning {
    Tuning {
        parallelism: rng.range(1, 3),
        rows_per_s: 0,
        pause_us: 0,
        rows_max: rng.range(1, 6) as u64,
        chunk_bytes: 64,
        budget_bytes: 64 * rng.range(1, 4),
        paused: false,
    }
}

fn windows(rng: &mut Rng, bugs: Bugs) -> Windows<Row, Row> {
    let limits = WindowLimits { row_bytes: 64, log_bytes: rng.range(4, 40) };
    Windows::with_bugs(limits, bugs)
}

impl World {
    fn new(seed: u64, bugs: Bugs, reader_bug: ReaderBug) -> Self {
        let mut rng = Rng::new(seed);
        let chunks = Chunks::resume(Vec::new(), tuning(&mut rng)).expect("an empty list");
        let windows = windows(&mut rng, bugs);
        let mut world = Self {
            rng,
            log: Vec::new(),
            visible: Vec::new(),
            newest: Rows::new(),
            seen: Rows::new(),
            start: 0,
            routed: 0,
            at: Rows::new(),
            furthest: 0,
            seq: 0,
            points: Vec::new(),
            bugs,
            reader_bug,
            chunks,
            windows,
            readers: Vec::new(),
            barrier: None,
            out: Vec::new(),
            destination: Rows::new(),
            saved: (0, Vec::new()),
            crashes: 0,
            over: 0,
            discards: 0,
            resumed_done: 0,
        };
        // The table has a past that no stream gives; its last commits may still wait (L2).
        for _ in 0..world.rng.range(5, 25) {
            world.commit();
            world.show();
        }
        (0..world.rng.below(3)).for_each(|_| world.commit());
        (world.start, world.routed) = (world.log.len(), world.log.len());
        world.furthest = world.routed;
        world.new_run();
        world.go_on();
        let first = world.chunks.record(Seq(0));
        world.saved = (world.start, first);
        world
    }

    /// The run begins, with sampled bounds that need not fit the table.
    fn new_run(&mut self) {
        let list = Vec::new();
        let tuning = tuning(&mut self.rng);
        self.chunks = Chunks::with_bugs(list, tuning, self.bugs).expect("an empty list");
        let bounds: BTreeSet<u8> =
            (0..self.rng.below(4)).map(|_| self.rng.below(KEYS) as u8).collect();
        let name = TableName { database: "d".into(), schema: "s".into(), table: "t".into() };
        let bounds = bounds.into_iter().map(|key| Bound(vec![key])).collect();
        self.chunks.add_table(name, bounds, 0);
    }

    /// An incarnation begins at `routed`.
    fn go_on(&mut self) {
        (self.seq, self.points) = (0, vec![(0, self.routed)]);
        self.at.clear();
        for event in self.log[..self.routed].iter().flat_map(|txn| &txn.events) {
            apply(&mut self.at, event);
        }
    }

    /// The next number, at this place in the log.
    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.points.push((self.seq, self.routed));
        self.seq
    }

    /// A transaction on rows that nobody has locked, logged and not yet visible.
    fn commit(&mut self) {
        let mut locked = BTreeSet::new();
        let mut whole_table = false;
        for (txn, _) in self.log.iter().zip(&self.visible).filter(|(_, seen)| !**seen) {
            for event in &txn.events {
                match event {
                    Event::Put { old, key, .. } => locked.extend(old.iter().chain([key])),
                    Event::Delete(key) => _ = locked.insert(key),
                    Event::Truncate | Event::Ddl => whole_table = true,
                }
            }
        }
        if whole_table {
            return;
        }
        let locked: BTreeSet<u8> = locked.into_iter().copied().collect();
        let (mut events, mut logged) = (Vec::new(), Vec::new());
        if locked.is_empty() && self.rng.one_in(10) {
            let event = if self.rng.one_in(2) { Event::Truncate } else { Event::Ddl };
            if matches!(event, Event::Truncate) {
                self.newest.clear();
            }
            logged.push(event.clone());
            events.push(event);
        } else {
            for _ in 0..self.rng.range(1, 3) {
                let [key, other] = [(); 2].map(|()| self.rng.below(KEYS) as u8);
                if locked.contains(&key) || locked.contains(&other) {
                    continue;
                }
                let number = self.rng.next() >> 1;
                let (event, log) = match self.newest.get(&key).copied() {
                    None => {
                        let row = (number, Some(number + 1));
                        let put = Event::Put { old: None, key, row };
                        (put.clone(), put)
                    }
                    Some(_) if self.rng.one_in(3) => (Event::Delete(key), Event::Delete(key)),
                    Some((_, document)) => {
                        let moves = self.rng.one_in(2) && !self.newest.contains_key(&other);
                        let to = if moves { other } else { key };
                        let old = Some(key);
                        let whole = self.rng.one_in(2);
                        let new = if whole { Some(number + 1) } else { document };
                        let image = if whole { new } else { None };
                        (
                            Event::Put { old, key: to, row: (number, new) },
                            Event::Put { old, key: to, row: (number, image) },
                        )
                    }
                };
                apply(&mut self.newest, &event);
                events.push(event);
                logged.push(log);
            }
        }
        if !events.is_empty() {
            self.log.push(Txn { events, logged });
            self.visible.push(false);
        }
    }

    /// One logged transaction becomes visible: any, they lock different rows.
    fn show(&mut self) {
        let waiting: Vec<usize> = (0..self.log.len()).filter(|&n| !self.visible[n]).collect();
        if waiting.is_empty() {
            return;
        }
        let n = waiting[self.rng.below(waiting.len())];
        self.visible[n] = true;
        for event in &self.log[n].events {
            apply(&mut self.seen, event);
        }
    }

    /// The stream comes to the next transaction.
    fn route(&mut self) {
        let Some(txn) = self.log.get(self.routed).cloned() else { return };
        self.routed += 1;
        self.furthest = self.furthest.max(self.routed);
        let seq = self.next_seq();
        txn.events.iter().for_each(|event| apply(&mut self.at, event));
        for event in txn.logged {
            match &event {
                Event::Put { old, key, row } => {
                    let image = match row.1 {
                        Some(_) => Image::Complete,
                        None => Image::Incomplete(*row, 1),
                    };
                    let old = old.map(|old| [old]);
                    let (old, key) = (old.as_ref().map(<[u8; 1]>::as_slice), [*key]);
                    self.windows.handle_change(TABLE, &Change { old, new: Some((&key, image)) });
                    let moved = old.is_some_and(|old| old != key);
                    if row.1.is_none() && moved && self.reader_bug != ReaderBug::KeyNotAsked {
                        self.chunks.handle_key(0, Bound(key.to_vec()), Seq(seq));
                    }
                }
                Event::Delete(key) => {
                    let old = Some([*key]);
                    let old = old.as_ref().map(<[u8; 1]>::as_slice);
                    self.windows.handle_change(TABLE, &Change { old, new: None });
                }
                Event::Truncate | Event::Ddl => self.windows.handle_removal(TABLE),
            }
            self.out.push((seq, event));
        }
    }

    /// Windows that end where the stream is, and those that were discarded.
    fn resolve(&mut self) -> Result<(), String> {
        while let Some(discard) = self.windows.poll_discard() {
            self.chunks.handle_discarded(discard.read, discard.too_large);
            self.discards += 1;
        }
        while let Some(ended) = self.windows.poll_end(LogAt(self.routed as u64)) {
            let seq = self.next_seq();
            self.chunks.handle_left(ended.read, Seq(seq), ended.rows.len() as u64);
            for leaving in ended.rows {
                let laid = leaving.laid.iter();
                let row = laid.fold(leaving.row, |row, image| (image.0, image.1.or(row.1)));
                let key = leaving.key[0];
                if self.at.get(&key) != Some(&row) {
                    let there = self.at.get(&key);
                    return Err(format!("key {key} leaves as {row:?}, the source has {there:?}"));
                }
                self.out.push((seq, Event::Put { old: None, key, row }));
            }
        }
        Ok(())
    }

    /// A free reader asks, or the barrier's transactions are looked at.
    fn ask(&mut self) {
        if let Some((barrier, running)) = &self.barrier {
            if running.iter().all(|&n| self.visible[n]) {
                self.chunks.handle_barrier(*barrier);
                self.barrier = None;
            }
            return;
        }
        match self.chunks.poll_next(0) {
            Next::Barrier(barrier) => {
                let skip = self.reader_bug == ReaderBug::BarrierSkipped;
                let running = (0..self.log.len()).filter(|&n| !self.visible[n] && !skip);
                self.barrier = Some((barrier, running.collect()));
            }
            Next::Read(read) => {
                self.windows.handle_low(read.id, TABLE);
                self.readers.push(Reader { read, low: self.routed, view: None });
            }
            Next::At(_) | Next::Wait | Next::Done => {}
        }
    }

    /// A reader opens its view, hands a row over, or puts the high mark.
    fn read(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let at = self.rng.below(self.readers.len());
        let id = self.readers[at].read.id;
        if !self.chunks.is_live(id) {
            self.readers.swap_remove(at);
            return;
        }
        let Reader { read, low, view } = &mut self.readers[at];
        let Some(open) = view else {
            let accepted = self.visible[self.start..*low].iter().all(|&seen| seen);
            if accepted || self.reader_bug == ReaderBug::ViewNotAccepted {
                let (rows, cut) = select(&self.seen, read);
                *view = Some(View { high: self.log.len(), rows, cut, handed: 0 });
            }
            return;
        };
        if open.rows.is_empty() {
            let high = LogAt(open.high as u64);
            self.chunks.handle_read(id, open.cut.take(), 0);
            self.windows.handle_high(id, high);
            self.readers.swap_remove(at);
        } else {
            let (key, row) = open.rows.remove(0);
            self.windows.handle_row(id, &[key], row, 8);
            open.handed += 1;
            assert!(open.handed <= read.rows_max, "more rows than asked for");
        }
    }

    fn deliver(&mut self, events: usize) {
        for (_, event) in self.out.drain(..events) {
            consume(&mut self.destination, &event);
        }
    }

    /// All of this number and of those before is in the destination.
    fn acked(&self) -> u64 {
        self.out.first().map_or(self.seq, |(seq, _)| seq - 1)
    }

    fn checkpoint(&mut self) {
        let acked = self.acked();
        self.chunks.handle_acked(Seq(acked));
        let passed = self.points.partition_point(|(seq, _)| *seq <= acked);
        self.saved = (self.points[passed - 1].1, self.chunks.record(Seq(acked)));
    }

    fn crash(&mut self) {
        self.crashes += 1;
        let lost = self.rng.below(self.out.len() + 1);
        self.deliver(lost);
        self.out.clear();
        self.readers.clear();
        self.barrier = None;
        let (at, list) = self.saved.clone();
        self.over += u64::from(list.is_empty());
        self.routed = at;
        self.go_on();
        let done = list.iter().flat_map(|table| &table.pieces).filter(|piece| piece.done);
        self.resumed_done += done.count() as u64;
        self.windows = windows(&mut self.rng, self.bugs);
        let tuning = tuning(&mut self.rng);
        self.chunks = Chunks::with_bugs(list, tuning, self.bugs).expect("our own list");
    }

    /// Whether the consumer bears a replay from the checkpoint. A row that moved without its document
    /// takes the one that its old key has: moved twice, it takes none. While the run goes on its
    /// new key is read once more; when it is over in the checkpoint nothing asks for it, and that
    /// is no matter of chunks.
    fn replays(&self) -> bool {
        let moved = |event: &Event| match event {
            Event::Put { old: Some(old), key, row: (_, None) } => old != key,
            _ => false,
        };
        let mut again = self.log[self.saved.0..self.furthest].iter().flat_map(|txn| &txn.logged);
        !self.saved.1.is_empty() || !again.any(moved)
    }

    fn run(mut self) -> Result<Reached, String> {
        let steps = self.rng.range(50, 400);
        let mut left = steps;
        let mut quiet = 0;
        loop {
            match self.rng.below(12) {
                0 | 1 if left > 0 => self.commit(),
                2 => self.show(),
                3 | 4 => self.route(),
                5 | 6 => self.ask(),
                7 | 8 => self.read(),
                9 => {
                    let some = self.rng.below(self.out.len() + 1);
                    self.deliver(some);
                }
                10 => self.checkpoint(),
                11 if left > 0 && self.replays() && self.rng.one_in(8) => self.crash(),
                _ => {}
            }
            self.resolve()?;
            left = left.saturating_sub(1);
            let all = self.routed == self.log.len() && self.visible.iter().all(|&seen| seen);
            // A reader whose read was discarded notices when it is next asked.
            let idle = self.readers.is_empty() && self.out.is_empty();
            if left == 0 && all && idle && self.chunks.is_done() {
                break;
            }
            quiet += u32::from(left == 0);
            if quiet > 50_000 {
                return Err("the run does not end".into());
            }
        }
        assert!(!self.windows.is_open(), "a window is left open");
        match self.destination == self.newest {
            true => Ok(Reached {
                crashes: self.crashes,
                over: self.over,
                discards: self.discards,
                resumed_done: self.resumed_done,
            }),
            false => Err(format!("destination {:?}, source {:?}", self.destination, self.newest)),
        }
    }
}

/// The server's part: it alone compares ranges.
fn select(seen: &Rows, read: &ChunkRead) -> (Vec<(u8, Row)>, Option<Bound>) {
    let inside = |key: u8| match &read.range {
        ChunkRange::Key(one) => one.0 == [key],
        ChunkRange::Keys { after, through } => {
            after.as_ref().is_none_or(|after| key > after.0[0])
                && through.as_ref().is_none_or(|through| key <= through.0[0])
        }
    };
    let all = seen.iter().filter(|(key, _)| inside(**key)).map(|(key, row)| (*key, *row));
    let rows: Vec<_> = all.take(read.rows_max as usize).collect();
    let full = rows.len() as u64 == read.rows_max;
    let cut = rows.last().filter(|_| full).map(|(key, _)| Bound(vec![*key]));
    (rows, cut)
}

fn apply(rows: &mut Rows, event: &Event) {
    match event {
        Event::Put { old, key, row } => {
            if let Some(old) = old {
                rows.remove(old);
            }
            rows.insert(*key, *row);
        }
        Event::Delete(key) => _ = rows.remove(key),
        Event::Truncate => rows.clear(),
        Event::Ddl => {}
    }
}

/// As `apply`, but a record without document keeps the one that is there: under the old key, else
/// under the new one.
fn consume(rows: &mut Rows, event: &Event) {
    let Event::Put { old, key, row: (number, None) } = event else { return apply(rows, event) };
    let moved = old.and_then(|old| rows.remove(&old)).and_then(|row| row.1);
    let there = rows.get(key).and_then(|row| row.1);
    rows.insert(*key, (*number, moved.or(there)));
}

fn run(seed: u64, bugs: Bugs, reader: ReaderBug) -> Result<Reached, String> {
    World::new(seed, bugs, reader).run()
}

#[test]
fn l01_l02_l06_l07_l08_l15_chunks_end_equal_on_every_seed() {
    // Goal: whatever races a window and whenever it crashes, the destination ends equal, deletes
    // included; method: many seeds, every one to its quiet end, and each kind of trouble reached.
    let mut sum = Reached::default();
    for seed in crate::seeds() {
        match run(seed, Bugs::NONE, ReaderBug::None) {
            Ok(reached) => {
                sum.crashes += reached.crashes;
                sum.over += reached.over;
                sum.discards += reached.discards;
                sum.resumed_done += reached.resumed_done;
            }
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    eprintln!("seeds {:?}: {sum:?}", crate::seeds());
    assert!(sum.over > 0 && sum.crashes > sum.over, "{sum:?}");
    assert!(sum.discards > 0 && sum.resumed_done > 0, "{sum:?}");
}

#[test]
fn l01_l02_l06_l07_l08_l15_every_planted_bug_of_chunks_is_caught() {
    // Goal: each rule broken is seen; method: plant each bug, run up to its seeds.
    let machine = MACHINE_BUGS
        .iter()
        .map(|(rule, bug, seeds)| ((*rule).to_owned(), Bugs::plant(*bug), ReaderBug::None, *seeds));
    let readers =
        READER_BUGS.iter().map(|(bug, seeds)| (format!("{bug:?}"), Bugs::NONE, *bug, *seeds));
    let mut missed = Vec::new();
    for (rule, bugs, reader, seeds) in machine.chain(readers) {
        match (1..=seeds).find_map(|seed| run(seed, bugs, reader).err().map(|why| (seed, why))) {
            Some((seed, why)) => eprintln!("{rule}: seed {seed}: {why}"),
            None => missed.push(rule),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

#[test]
fn h05_a_window_beyond_its_bounds_is_discarded_and_one_large_row_is_not() {
    // Goal: the stream never waits for a window's memory, and a row that is larger than all of it
    // still gets through; method: each bound passed by one byte.
    let limits = WindowLimits { row_bytes: 10, log_bytes: 2 };
    let mut windows: Windows<u8, u8> = Windows::new(limits);
    windows.handle_low(ReadId(1), TABLE);
    windows.handle_row(ReadId(1), b"a", 1, 99);
    assert_eq!(windows.poll_discard(), None);
    windows.handle_row(ReadId(1), b"b", 1, 1);
    assert!(windows.poll_discard().is_some_and(|d| d.read == ReadId(1) && d.too_large));
    windows.handle_low(ReadId(2), TABLE);
    for (key, fits) in [(b"a", true), (b"b", true), (b"c", false)] {
        windows.handle_change(TABLE, &Change { old: Some(key.as_slice()), new: None });
        assert_eq!(windows.is_open(), fits);
    }
}
