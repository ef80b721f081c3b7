//! The source: a log whose entries are logged, durable and visible at three different times.
//!
//! Enters: chance, and "flushed" from the pipeline. Leaves: the log's entries as far as they may
//! be read, snapshot views, and what the destination must hold in the end. A crash of the source
//! loses what is logged and not durable; other transactions follow in its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use penstock_protocol::position::{BinlogPosition, Gtid, LsnPosition, Position, PositionDelta};

use crate::rng::Rng;

pub const TABLES: usize = 8;
/// Tables 0 to 5 have rows; 6 is idle, 7 is filtered out by the encoder.
pub const FILTERED_TABLE: u32 = 7;
const KEYS: usize = 5;

/// How positions look, and whether groups may roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL with GTIDs.
    Gtid,
    /// MySQL by file and offset.
    File,
    /// MariaDB.
    Domain,
    /// PostgreSQL: only whole, committed transactions, streamed at once.
    Wal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Put,
    Delete,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub table: u32,
    pub key: u32,
    /// Unique in the run.
    pub value: u64,
    pub change: Change,
    /// Schema version that it is written in.
    pub version: u16,
    /// No encoder can take it.
    pub poison: bool,
}

#[derive(Clone, Debug)]
pub enum Item {
    /// Rows of one table and one kind.
    Frame(Vec<Row>),
    Savepoint(u8),
    RollbackTo(u8),
}

#[derive(Clone, Debug)]
pub enum Entry {
    Group {
        items: Vec<Item>,
        end: End,
    },
    XaCommit(u8),
    XaRollback(u8),
    /// A transaction on tables that are not captured.
    Filtered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Commit,
    Rollback,
    Prepare(u8),
}

/// One committed change of a table, in commit order.
#[derive(Clone, Debug)]
pub struct Event {
    /// Entry (from 1) that committed it.
    pub entry: usize,
    pub key: u32,
    pub value: u64,
    pub change: Change,
}

/// Where a table must stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub entry: usize,
    /// Events before its transaction: these must arrive.
    pub least: usize,
}

/// What the destination must hold: grows with the durable log.
#[derive(Default)]
pub struct Expected {
    pub tables: [Vec<Event>; TABLES],
    pub stops: [Option<Stop>; TABLES],
    /// value → (table, number from 1)
    pub places: BTreeMap<u64, (u32, usize)>,
}

impl Expected {
    /// Events of a table that were committed by the first `entry` entries.
    pub fn count(&self, table: usize, entry: usize) -> usize {
        self.tables[table].partition_point(|event| event.entry <= entry)
    }

    /// Rows of a table as of an entry.
    pub fn state(&self, table: usize, entry: usize) -> BTreeMap<u32, u64> {
        let mut rows = BTreeMap::new();
        for event in &self.tables[table][..self.count(table, entry)] {
            match event.change {
                Change::Put => rows.insert(event.key, event.value),
                Change::Delete => rows.remove(&event.key),
            };
        }
        rows
    }
}

pub struct Source {
    pub flavour: Flavour,
    /// Groups that may roll back: they must be held.
    pub undecided: bool,
    /// Transactions come in pieces while they are in progress; they and parts of them may be
    /// aborted, with the schema changes in them.
    pub streams: bool,
    /// Poison rows and table stops.
    pub poison: bool,
    /// It is the reader who cannot go on with a poisoned table, not a shard.
    pub reader_stops: bool,
    pub entries_max: usize,
    pub log: Vec<Entry>,
    pub durable: usize,
    pub visible: usize,
    /// Entries that the source has dropped because the pipeline said "flushed".
    pub floor: usize,
    pub expected: Expected,
    /// Rises at a failover: another identity with the same log.
    pub identity: u32,
    next_value: u64,
    /// Schema version of each table at the end of the log.
    versions: [u16; TABLES],
    large: bool,
}

impl Source {
    pub fn new(rng: &mut Rng) -> Self {
        let flavours = [Flavour::Gtid, Flavour::Gtid, Flavour::File, Flavour::Domain, Flavour::Wal];
        let flavour = flavours[rng.below(flavours.len())];
        let mut source = Self {
            flavour,
            streams: false,
            undecided: flavour != Flavour::Wal && !rng.one_in(4),
            poison: rng.one_in(3),
            reader_stops: rng.one_in(2),
            entries_max: rng.range(10, 60),
            log: Vec::new(),
            durable: 0,
            visible: 0,
            floor: 0,
            expected: Expected::default(),
            identity: 1,
            next_value: 0,
            versions: [1; TABLES],
            large: rng.one_in(3),
        };
        source.streams = flavour == Flavour::Wal && rng.one_in(2);
        // The reader does not look at rows that may be aborted.
        source.reader_stops &= !source.streams;
        source
    }

    /// An entry as it comes when it is whole: what was aborted does not come at all.
    pub fn whole(&self, entry: usize) -> Cow<'_, Entry> {
        match &self.log[entry] {
            Entry::Group { end: End::Rollback, .. } if self.streams => Cow::Owned(Entry::Filtered),
            Entry::Group { items, end } if self.streams => {
                let items = frames_of(items).into_iter().cloned().map(Item::Frame).collect();
                Cow::Owned(Entry::Group { items, end: *end })
            }
            entry => Cow::Borrowed(entry),
        }
    }

    pub fn finished(&self) -> bool {
        self.durable == self.entries_max && self.visible == self.durable
    }

    /// XIDs prepared and not ended by the first `entries` entries, with the tables that their
    /// metadata locks hold.
    pub fn open_xids(&self, entries: usize) -> BTreeMap<u8, Vec<u32>> {
        let mut open = BTreeMap::new();
        for entry in &self.log[..entries] {
            match entry {
                Entry::Group { items, end: End::Prepare(xid) } => {
                    open.insert(*xid, rows_of(items).iter().map(|row| row.table).collect());
                }
                Entry::XaCommit(xid) | Entry::XaRollback(xid) => {
                    open.remove(xid);
                }
                _ => {}
            }
        }
        open
    }

    /// The server writes one more entry.
    pub fn append(&mut self, rng: &mut Rng) {
        if self.log.len() >= self.entries_max {
            return;
        }
        let open = self.open_xids(self.log.len());
        let left = self.entries_max - self.log.len();
        let entry = if !open.is_empty() && (open.len() >= left || rng.one_in(5)) {
            let xid = *open.keys().nth(rng.below(open.len())).expect("invariant: not empty");
            if rng.one_in(3) { Entry::XaRollback(xid) } else { Entry::XaCommit(xid) }
        } else if rng.one_in(6) {
            Entry::Filtered
        } else {
            self.group(rng, &open, left)
        };
        self.log.push(entry);
    }

    fn group(&mut self, rng: &mut Rng, open: &BTreeMap<u8, Vec<u32>>, left: usize) -> Entry {
        let parts = self.undecided || self.streams;
        let before = self.versions;
        let end = match rng.below(8) {
            0 | 1 if parts => End::Rollback,
            2 | 3 if self.undecided && open.len() + 2 <= left && open.len() < 3 => {
                let free = (0..8).find(|xid| !open.contains_key(xid));
                End::Prepare(free.expect("invariant: at most three are open"))
            }
            _ => End::Commit,
        };
        let frames = match self.large && rng.one_in(6) {
            true => rng.range(20, 60),
            false => rng.range(1, 6),
        };
        // DDL waits for metadata locks: prepared tables keep their schema, XA makes none.
        let locked: Vec<u32> = open.values().flatten().copied().collect();
        let mut items = Vec::new();
        let mut savepoints = Vec::new();
        for _ in 0..frames {
            if parts && rng.one_in(6) {
                let name = rng.below(2) as u8;
                savepoints.retain(|(s, _)| *s != name);
                savepoints.push((name, self.versions));
                items.push(Item::Savepoint(name));
            }
            let ddl = !matches!(end, End::Prepare(_));
            items.push(self.frame(rng, &locked, ddl));
            if !savepoints.is_empty() && rng.one_in(6) {
                let (to, versions) = savepoints[rng.below(savepoints.len())];
                // What was set after the last savepoint of that name is gone with it.
                let last = savepoints.iter().rposition(|(s, _)| *s == to);
                savepoints.truncate(last.expect("invariant: taken from the list") + 1);
                items.push(Item::RollbackTo(to));
                // PostgreSQL takes schema changes back too.
                self.versions = if self.streams { versions } else { self.versions };
            }
        }
        if self.streams && end == End::Rollback {
            self.versions = before;
        }
        Entry::Group { items, end }
    }

    fn frame(&mut self, rng: &mut Rng, locked: &[u32], ddl: bool) -> Item {
        let table = if rng.one_in(12) { FILTERED_TABLE } else { rng.below(6) as u32 };
        let change = if rng.one_in(5) { Change::Delete } else { Change::Put };
        let mut version = self.versions[table as usize];
        if ddl && !locked.contains(&table) && rng.one_in(10) {
            version += 1;
        }
        let rows = (0..rng.range(1, 3)).map(|_| {
            self.next_value += 1;
            // Few, and late enough that something stands before.
            let poison = self.poison && table < 2 && self.next_value > 20 && rng.one_in(25);
            let (key, value) = (rng.below(KEYS) as u32, self.next_value);
            Row { table, key, value, change, version, poison }
        });
        let rows: Vec<Row> = rows.collect();
        self.versions[table as usize] = version;
        Item::Frame(rows)
    }

    /// The log is flushed a bit further; this is what replication reads.
    pub fn flush(&mut self, rng: &mut Rng) {
        let left = self.log.len() - self.durable;
        if left > 0 {
            for _ in 0..rng.range(1, left) {
                self.durable += 1;
                self.expect(self.durable);
            }
        }
    }

    /// Transactions become visible to queries, later than durable (a standby was waited for).
    pub fn show(&mut self, rng: &mut Rng) {
        let left = self.durable - self.visible;
        if left > 0 {
            self.visible += rng.range(1, left);
        }
    }

    /// The server crashes: what was not durable never was.
    pub fn crash(&mut self) {
        self.log.truncate(self.durable);
        self.visible = self.durable;
        self.versions = [1; TABLES];
        for entry in &self.log {
            let Entry::Group { items, end } = entry else { continue };
            if self.streams {
                let committed = if *end == End::Commit { rows_of(items) } else { Vec::new() };
                for row in committed {
                    self.versions[row.table as usize] = row.version;
                }
                continue;
            }
            for item in items {
                if let Item::Frame(rows) = item {
                    self.versions[rows[0].table as usize] = rows[0].version;
                }
            }
        }
    }

    /// Entry `n` (from 1) is durable: what it commits is expected.
    fn expect(&mut self, n: usize) {
        let committed = match &self.log[n - 1] {
            Entry::Group { items, end: End::Commit } => rows_of(items),
            Entry::XaCommit(xid) => {
                let prepared = self.log[..n - 1].iter().rev().find_map(|entry| match entry {
                    Entry::Group { items, end: End::Prepare(x) } if x == xid => Some(items),
                    _ => None,
                });
                rows_of(prepared.expect("invariant: ended after it was prepared"))
            }
            _ => Vec::new(),
        };
        let mut before = [0; TABLES];
        for (table, events) in self.expected.tables.iter().enumerate() {
            before[table] = events.len();
        }
        let mut met = [None; TABLES];
        if let (true, Entry::Group { items, .. }) = (self.reader_stops, &self.log[n - 1]) {
            for item in items {
                if let Item::Frame(rows) = item
                    && rows.iter().any(|row| row.poison)
                {
                    let table = rows[0].table as usize;
                    met[table] = Some(Stop { entry: n, least: before[table] });
                }
            }
        }
        let mut ended = [false; TABLES];
        for row in committed {
            let table = row.table as usize;
            let stopped = self.expected.stops[table].is_some() || ended[table];
            if row.table == FILTERED_TABLE || stopped {
                continue;
            }
            let number = self.expected.tables[table].len() + 1;
            if row.poison {
                ended[table] = true;
                met[table] = Some(Stop { entry: n, least: before[table] });
                continue;
            }
            let Row { key, value, change, .. } = row;
            self.expected.tables[table].push(Event { entry: n, key, value, change });
            self.expected.places.insert(value, (row.table, number));
        }
        for (known, met) in self.expected.stops.iter_mut().zip(met) {
            *known = known.or(met);
        }
    }

    /// The position behind the first `n` entries.
    pub fn position(&self, n: usize) -> Position {
        let binlog = |gtids: Option<String>| BinlogPosition {
            server_uuid: format!("server-{}", self.identity),
            file: "b.000001".into(),
            pos: n as u64,
            gtids,
        };
        match self.flavour {
            Flavour::Gtid if n == 0 => Position::MySql(binlog(Some(String::new()))),
            Flavour::Gtid if n == 1 => Position::MySql(binlog(Some(format!("{UUID}:1")))),
            Flavour::Gtid => Position::MySql(binlog(Some(format!("{UUID}:1-{n}")))),
            Flavour::File => Position::MySql(binlog(None)),
            Flavour::Domain if n == 0 => Position::MariaDb(binlog(Some(String::new()))),
            Flavour::Domain => Position::MariaDb(binlog(Some(format!("0-1-{n}")))),
            Flavour::Wal => Position::Postgres(LsnPosition {
                system_id: format!("server-{}", self.identity),
                timeline: self.identity,
                lsn: n as u64,
                last_commit_lsn: n as u64,
            }),
        }
    }

    /// What entry `n` moves.
    pub fn delta(&self, n: usize) -> PositionDelta {
        let number = n as u64;
        let gtids = match self.flavour {
            Flavour::Gtid => vec![Gtid::MySql { uuid: [0x11; 16], tag: "".into(), number }],
            Flavour::Domain => vec![Gtid::MariaDb { domain: 0, server: 1, seq: number }],
            Flavour::File => Vec::new(),
            Flavour::Wal => return PositionDelta::Lsn { lsn: number, commit_lsn: number },
        };
        PositionDelta::Binlog { at: Some(("b.000001".into(), number)), gtids }
    }

    /// A delta that moves nothing: the end of a snapshot's transaction, at entry `n`.
    pub fn delta_none(&self, n: usize) -> PositionDelta {
        match self.flavour {
            Flavour::Wal => PositionDelta::Lsn { lsn: n as u64, commit_lsn: 0 },
            _ => {
                let at = Some(("b.000001".into(), n as u64));
                PositionDelta::Binlog { at, gtids: Vec::new() }
            }
        }
    }

    /// How many entries a position covers. A position that does not cover a prefix of the log is
    /// a violation: a restart there would lose or repeat.
    pub fn entries_before(&self, position: &Position) -> usize {
        let n = match position {
            Position::MySql(at) | Position::MariaDb(at) => at.pos as usize,
            Position::Postgres(at) => at.lsn as usize,
        };
        let mut same = self.position(n);
        match (&mut same, position) {
            (Position::MySql(a), Position::MySql(b))
            | (Position::MariaDb(a), Position::MariaDb(b)) => {
                a.server_uuid.clone_from(&b.server_uuid);
            }
            (Position::Postgres(a), Position::Postgres(b)) => {
                a.system_id.clone_from(&b.system_id);
                a.timeline = b.timeline;
            }
            _ => {}
        }
        assert_eq!(&same, position, "POSITION: not the end of any transaction");
        n
    }
}

const UUID: &str = "11111111-1111-1111-1111-111111111111";

/// Rows of a group that its own savepoints leave.
pub fn rows_of(items: &[Item]) -> Vec<Row> {
    frames_of(items).into_iter().flatten().cloned().collect()
}

/// The same as frames.
fn frames_of(items: &[Item]) -> Vec<&Vec<Row>> {
    let mut frames = Vec::new();
    let mut savepoints: Vec<(u8, usize)> = Vec::new();
    for item in items {
        match item {
            Item::Frame(rows) => frames.push(rows),
            Item::Savepoint(name) => {
                savepoints.retain(|(n, _)| n != name);
                savepoints.push((*name, frames.len()));
            }
            Item::RollbackTo(name) => {
                let at = savepoints.iter().position(|(n, _)| n == name);
                let at = at.expect("invariant: the log rolls back to savepoints that it has set");
                frames.truncate(savepoints[at].1);
                savepoints.truncate(at + 1);
            }
        }
    }
    frames
}
