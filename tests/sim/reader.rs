//! The reader: takes the source's entries to the router, as the readers in `src/source` do.
//!
//! Enters: the source's log. Leaves: calls of the router. It cuts segments anywhere, loses its
//! connection anywhere (also inside a frame's transaction), takes the first snapshot, and begins
//! again at the last entry whose end it gave to the router.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameKind, TableId};
use penstock_protocol::position::Gtid;
use penstock_shards::hop::{TableStop, TxnOrigin};
use penstock_shards::router::{GroupId, Router, RouterError};
use penstock_shards::segment::Segment;
use penstock_shards::spill::SpillError;

use crate::encoder::{kind_of, schema, table_name, write_frame};
use crate::pieces::Piece;
use crate::plant::{Plant, WorldBug};
use crate::rng::Rng;
use crate::source::{Change, End, Entry, Flavour, Item, Row, Source, TABLES};

pub struct Reader {
    pub(crate) plant: Plant,
    /// Entries whose end the router has.
    pub next: usize,
    /// Items of the next entry that were given.
    item: usize,
    begun: bool,
    connected: bool,
    /// Rows of the first snapshot that are still to come, and the view's position.
    snapshot: Option<(Vec<Vec<Row>>, usize)>,
    /// Last schema version handed over, by table, and how many.
    pub(crate) versions: [u16; TABLES],
    pub(crate) sent: u32,
    /// What came of transactions in progress, by entry.
    pub(crate) pieces: BTreeMap<usize, Piece>,
    /// The source keeps transactions until they are whole.
    pub(crate) unstreamed: bool,
    /// Transactions that were routed from pieces.
    pub streamed: u32,
    pub snapshot_done: bool,
    /// Tables that it does not read any more.
    pub(crate) stopped: [bool; TABLES],
    pub connects: u32,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was given to the router.
    Moved,
    /// Nothing to read, or the spill store is full.
    Waits,
    /// The connection is lost in a way that only a new incarnation mends.
    Restart,
}

impl Reader {
    pub fn new(plant: Plant, start: Option<usize>, stopped: [bool; TABLES]) -> Self {
        Self {
            plant,
            next: start.unwrap_or(0),
            item: 0,
            begun: false,
            connected: true,
            snapshot: None,
            versions: [0; TABLES],
            sent: 0,
            pieces: BTreeMap::new(),
            unstreamed: false,
            streamed: 0,
            snapshot_done: start.is_some(),
            stopped,
            connects: 0,
        }
    }

    /// A new pipeline: where it begins, and what the first snapshot reads. The view must not hold
    /// a prepared transaction whose rows it would miss. `None`: wait.
    pub fn begin(&mut self, source: &Source, snapshot: bool, router: &mut Router) -> Option<usize> {
        let view = if snapshot { source.visible } else { 0 };
        if !source.open_xids(view).is_empty() {
            return None;
        }
        let at = match self.plant.has(WorldBug::PositionAheadOfView) && snapshot {
            true => source.durable,
            false => view,
        };
        router.rebase(source.position(at));
        self.next = at;
        let mut frames = Vec::new();
        for table in 0..TABLES {
            let rows: Vec<Row> = source
                .expected
                .state(table, view)
                .iter()
                .map(|(key, value)| {
                    let (table, change) = (table as u32, Change::Put);
                    Row { table, key: *key, value: *value, change, version: 1, poison: false }
                })
                .collect();
            frames.extend(rows.chunks(2).map(<[Row]>::to_vec));
        }
        frames.reverse();
        self.snapshot = Some((frames, at));
        Some(view)
    }

    /// Reads on a bit.
    pub fn step(&mut self, rng: &mut Rng, source: &Source, router: &mut Router) -> Step {
        if !self.connected {
            self.connect(rng, source, router);
            return Step::Moved;
        }
        let mut bytes = Vec::new();
        let items = rng.range(1, 8);
        if self.snapshot.is_some() {
            return self.read_snapshot(items, source, router);
        }
        let end = match self.plant.has(WorldBug::ReadsUndurable) {
            true => source.log.len(),
            false => source.durable,
        };
        if self.next < end && !self.begun {
            let step = self.step_pieces(rng, source, router, end);
            if step != Step::Waits {
                return step;
            }
        }
        // One segment holds what is given in this step: bodies first, then the calls.
        let mut heads = Vec::new();
        let (mut entry, mut item) = (self.next, self.item);
        for _ in 0..items {
            if entry >= end || item == 0 && self.in_pieces(source, entry) {
                break;
            }
            match &*source.whole(entry) {
                Entry::Group { items, .. } if item < items.len() => {
                    if let Item::Frame(rows) = &items[item] {
                        let position = entry as u64 + 1;
                        let kind = kind_of(rows[0].change);
                        heads.push(write_frame(rows, kind, position, &mut bytes));
                    }
                    item += 1;
                }
                _ => (entry, item) = (entry + 1, 0),
            }
        }
        let len = bytes.len();
        let segment = Segment::freeze(bytes, len, None);
        let mut heads = heads.into_iter();
        let mut moved = false;
        while (self.next, self.item) != (entry, item) {
            match self.give(source, router, &segment, &mut heads) {
                Ok(()) => moved = true,
                Err(RouterError::Spill(SpillError::Full)) => return Step::Waits,
                Err(error) => panic!("ROUTER: {error}"),
            }
        }
        if moved { Step::Moved } else { Step::Waits }
    }

    /// Gives the next item, or the end, of the next entry.
    fn give(
        &mut self,
        source: &Source,
        router: &mut Router,
        segment: &Arc<Segment>,
        heads: &mut impl Iterator<Item = penstock_protocol::frame::FrameHead>,
    ) -> Result<(), RouterError> {
        let n = self.next + 1;
        let delta = source.delta(n);
        match &*source.whole(self.next) {
            Entry::Filtered => {
                // A record beside rows, with a number of its own, at a place without one.
                router.heartbeat();
                router.advance(delta);
            }
            Entry::XaCommit(xid) => {
                router.commit_prepared(&[*xid], self.origin(source), n as i64, delta)?;
            }
            Entry::XaRollback(xid) => router.rollback_prepared(&[*xid], delta)?,
            Entry::Group { items, end } => {
                if !self.begun {
                    let hold = source.undecided;
                    router.begin(self.origin(source), n as i64, hold, group_id(source, n))?;
                    self.begun = true;
                    if self.plant.has(WorldBug::PositionAtBegin) {
                        router.advance(source.delta(n));
                    }
                }
                match items.get(self.item) {
                    Some(Item::Frame(rows)) => {
                        let head = heads.next().expect("invariant: a head was made for it");
                        let poison = source.reader_stops && rows.iter().any(|row| row.poison);
                        if poison && !self.stopped[rows[0].table as usize] {
                            self.stop_table(rows[0].table, n, router);
                        }
                        if !self.stopped[rows[0].table as usize] {
                            self.give_schema(&rows[0], router);
                            router.handle_frame(segment, head)?;
                        }
                    }
                    Some(Item::Savepoint(name)) => {
                        // The same inside of a group that waits.
                        router.heartbeat();
                        router.savepoint(&[*name])?;
                    }
                    Some(Item::RollbackTo(name)) => router.rollback_to(&[*name])?,
                    None => match end {
                        End::Commit => router.commit(delta)?,
                        End::Rollback => router.rollback(delta)?,
                        End::Prepare(xid) => router.prepare(&[*xid], delta)?,
                    },
                }
                if self.item < items.len() {
                    self.item += 1;
                    return Ok(());
                }
            }
        }
        (self.next, self.item, self.begun) = (n, 0, false);
        Ok(())
    }

    fn stop_table(&mut self, table: u32, n: usize, router: &mut Router) {
        self.stopped[table as usize] = true;
        let (seq, name) = (router.whole(), table_name(table));
        let (position, reason) = (n as u64, "unreadable".into());
        let stop = TableStop { table: TableId(table), name, seq, position, reason };
        router.stop_table(stop);
    }

    fn give_schema(&mut self, row: &Row, router: &mut Router) {
        let known = &mut self.versions[row.table as usize];
        if *known != row.version {
            *known = row.version;
            self.sent += 1;
            router.handle_schema(schema(row.table, self.sent, row.version));
        }
    }

    pub(crate) fn origin(&self, source: &Source) -> TxnOrigin {
        match source.flavour {
            Flavour::Wal => {
                TxnOrigin::Wal { xid: self.next as u32, last_commit_lsn: 0, replicated: None }
            }
            _ => TxnOrigin::Binlog {
                gtid: None,
                file: "b.000001".into(),
                server_id: 1,
                thread: None,
                query: None,
            },
        }
    }

    fn read_snapshot(&mut self, items: usize, source: &Source, router: &mut Router) -> Step {
        let Some((frames, at)) = &mut self.snapshot else { return Step::Waits };
        let at = *at;
        let batch: Vec<Vec<Row>> = frames.split_off(frames.len().saturating_sub(items));
        if batch.is_empty() && !self.begun {
            router.snapshot_done(source.delta_none(at)).expect("ROUTER: end of the snapshot");
            (self.snapshot, self.snapshot_done) = (None, true);
            return Step::Moved;
        }
        let mut bytes = Vec::new();
        let rows = batch.iter().rev();
        let heads: Vec<_> = rows
            .map(|rows| write_frame(rows, FrameKind::SnapshotRow, at as u64, &mut bytes))
            .collect();
        let len = bytes.len();
        let segment = Segment::freeze(bytes, len, None);
        if !self.begun {
            let origin = TxnOrigin::BinlogSnapshot { file: "b.000001".into(), pos: at as u64 };
            router.begin(origin, 0, false, GroupId::Snapshot).expect("ROUTER: begin");
            self.begun = true;
        }
        for (rows, head) in batch.iter().rev().zip(heads) {
            self.give_schema(&rows[0], router);
            router.handle_frame(&segment, head).expect("ROUTER: a snapshot's frame");
        }
        if self.snapshot.as_ref().is_some_and(|(left, _)| left.is_empty()) {
            router.commit(source.delta_none(at)).expect("ROUTER: commit");
            self.begun = false;
        }
        Step::Moved
    }

    /// The connection is lost, wherever it is.
    pub fn lose_connection(&mut self, router: &mut Router) -> Step {
        if self.snapshot.is_some() {
            return Step::Restart;
        }
        router.interrupted().expect("ROUTER: interrupted");
        (self.item, self.begun, self.connected) = (0, false, false);
        self.pieces.clear();
        // A transaction that was cut comes as a whole one.
        self.unstreamed |= router.in_group();
        Step::Moved
    }

    fn connect(&mut self, rng: &mut Rng, source: &Source, router: &mut Router) {
        self.connected = true;
        self.connects += 1;
        // After a failover the same place has another name.
        if rng.one_in(2) && !router.in_group() {
            router.rebase(source.position(self.next));
        }
    }
}

fn group_id(source: &Source, n: usize) -> GroupId {
    match source.flavour {
        Flavour::Wal => GroupId::Wal(n as u32, n as u64),
        Flavour::Gtid => {
            let number = n as u64;
            GroupId::Gtid(Gtid::MySql { uuid: [0x11; 16], tag: "".into(), number })
        }
        _ => GroupId::Binlog("b.000001".into(), n as u64),
    }
}
