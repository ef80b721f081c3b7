//! Tests of the router: what the simulator does not show by itself.

use std::sync::{Arc, Mutex};

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::position::{BinlogPosition, Position, PositionDelta};
use penstock_protocol::schema::{TableName, TableSchema};

use super::*;
use crate::hop::FrameBatch;
use crate::spill::{MemorySpill, SpillError};

/// A spill store that a test can look into and fill up.
#[derive(Clone, Default)]
struct Spill(Arc<Mutex<MemorySpill>>);

impl Spill {
    fn with<T>(&self, f: impl FnOnce(&mut MemorySpill) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }
}

impl SpillStore for Spill {
    fn append(&mut self, group: SpillId, bytes: &[u8]) -> Result<(), SpillError> {
        self.with(|spill| spill.append(group, bytes))
    }

    fn read(&mut self, group: SpillId, at: u64, into: &mut [u8]) -> Result<usize, SpillError> {
        self.with(|spill| spill.read(group, at, into))
    }

    fn truncate(&mut self, group: SpillId, len: u64) -> Result<(), SpillError> {
        self.with(|spill| spill.truncate(group, len))
    }

    fn sync(&mut self, group: SpillId) -> Result<(), SpillError> {
        self.with(|spill| spill.sync(group))
    }

    fn remove(&mut self, group: SpillId) -> Result<(), SpillError> {
        self.with(|spill| spill.remove(group))
    }

    fn groups(&mut self) -> Result<Vec<SpillId>, SpillError> {
        self.with(MemorySpill::groups)
    }

    fn bytes(&self) -> u64 {
        self.with(|spill| spill.bytes())
    }
}

mod annexes;

fn table_name(table: u32) -> TableName {
    TableName { database: "db".into(), schema: String::new(), table: format!("t{table}") }
}

fn schema(table: u32) -> Arc<TableSchema> {
    Arc::new(TableSchema {
        table: TableId(table),
        version: 1,
        name: table_name(table),
        columns: Vec::new(),
        key: Vec::new(),
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    })
}

fn router(shards: u16, spill: &Spill, group_bytes: usize) -> Router {
    let limits = Limits { group_bytes, spill_piece_bytes: 64, ..Limits::default() };
    let map = BucketMap::round_robin(shards);
    let mut router = Router::with_limits(map, Box::new(spill.clone()), limits, Bugs::NONE);
    (0..4).for_each(|table| router.handle_schema(schema(table)));
    drain(&mut router);
    router
}

fn origin() -> TxnOrigin {
    TxnOrigin::Wal { xid: 1, last_commit_lsn: 0, replicated: None }
}

fn id(n: u32) -> GroupId {
    GroupId::Wal(n, u64::from(n))
}

fn lsn(lsn: u64) -> PositionDelta {
    PositionDelta::Lsn { lsn, commit_lsn: lsn }
}

fn binlog(pos: Option<u64>) -> PositionDelta {
    PositionDelta::Binlog { at: pos.map(|pos| ("b.1".into(), pos)), gtids: Vec::new() }
}

/// A segment of one frame per body, all of one table.
fn segment(table: u32, bodies: &[&[u8]]) -> (Arc<Segment>, Vec<FrameHead>) {
    let mut bytes = Vec::new();
    let heads = bodies.iter().map(|body| {
        let (offset, len) = (bytes.len() as u32, body.len() as u32);
        bytes.extend_from_slice(body);
        FrameHead {
            kind: FrameKind::Insert,
            marker: SnapshotMarker::Streaming,
            format: 30,
            table: TableId(table),
            offset,
            len,
            position: 7,
        }
    });
    let heads = heads.collect();
    let len = bytes.len();
    (Segment::freeze(bytes, len, None), heads)
}

fn give(router: &mut Router, table: u32, bodies: &[&[u8]]) -> Result<(), RouterError> {
    let (segment, heads) = segment(table, bodies);
    heads.into_iter().try_for_each(|head| router.handle_frame(&segment, head))
}

/// Everything that the router has: frame batches by shard, and points.
#[derive(Default)]
struct Drained {
    batches: Vec<(u16, FrameBatch)>,
    points: Vec<CommitPoint>,
    schemas: usize,
}

impl Drained {
    /// Bodies in order, with their `Seq`.
    fn bodies(&self) -> Vec<(u64, String)> {
        let all = self.batches.iter().flat_map(|(_, batch)| {
            batch.frames.iter().map(move |frame| {
                let FrameHead { offset, len, .. } = frame.head;
                let data = batch.segment.as_ref().unwrap().data();
                let body = &data[offset as usize..(offset + len) as usize];
                let seq = batch.txns[frame.txn as usize].seq.0;
                (seq, String::from_utf8(body.to_vec()).unwrap())
            })
        });
        all.collect()
    }
}

fn drain(router: &mut Router) -> Drained {
    let mut drained = Drained::default();
    while let Some(output) = router.poll().unwrap() {
        match output {
            RouterOutput::Point(point) => drained.points.push(point),
            RouterOutput::ToShard(_, ShardInput::Schema(_)) => drained.schemas += 1,
            RouterOutput::ToShard(shard, ShardInput::Frames(batch)) => {
                drained.batches.push((shard.0, batch));
            }
        }
    }
    drained
}

#[test]
fn a_flush_punctuates_every_shard_once() {
    // Goal: invariant 3, idle shards included, and no punctuation that says nothing new; method:
    // one transaction for one of four shards, two flushes.
    let mut router = router(4, &Spill::default(), 1 << 20);
    router.begin(origin(), 0, false, id(1)).unwrap();
    give(&mut router, 0, &[b"a", b"b"]).unwrap();
    router.commit(lsn(10)).unwrap();
    router.flush().unwrap();
    let drained = drain(&mut router);
    let through: Vec<(u16, u64)> =
        drained.batches.iter().map(|(shard, batch)| (*shard, batch.through.0)).collect();
    assert_eq!(through, [(0, 1), (1, 1), (2, 1), (3, 1)]);
    assert_eq!(drained.bodies(), [(1, "a".into()), (1, "b".into())]);
    assert_eq!((drained.points.len(), drained.points[0].seq), (1, Seq(1)));
    router.flush().unwrap();
    assert_eq!(drain(&mut router).batches.len(), 0);
    assert_eq!(router.pending_bytes(), 0);
}

#[test]
fn several_transactions_share_a_flush() {
    // Goal: one point for many transactions, one batch per segment and shard; method: three in one
    // segment, the last one open.
    let mut router = router(1, &Spill::default(), 1 << 20);
    let (segment, heads) = segment(0, &[b"a", b"b", b"c"]);
    for (n, head) in heads.into_iter().enumerate() {
        router.begin(origin(), 0, false, id(n as u32)).unwrap();
        router.handle_frame(&segment, head).unwrap();
        if n < 2 {
            router.commit(lsn(n as u64 + 1)).unwrap();
        }
    }
    router.flush().unwrap();
    let drained = drain(&mut router);
    assert_eq!(drained.batches.len(), 1);
    assert_eq!(drained.batches[0].1.through, Seq(2));
    assert_eq!(drained.bodies(), [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    let point = &drained.points[0];
    assert_eq!((point.seq, point.delta.clone()), (Seq(2), Some(lsn(2))));
}

#[test]
fn l27_an_unknown_place_is_no_checkpoint() {
    // Goal: a log without GTIDs and without an offset gives no point until it has one again;
    // method: known, unknown, known.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.advance(binlog(Some(10)));
    router.advance(binlog(None));
    router.flush().unwrap();
    assert_eq!(drain(&mut router).points, []);
    router.advance(binlog(Some(30)));
    router.flush().unwrap();
    let points = drain(&mut router).points;
    assert_eq!((points.len(), points[0].delta.clone()), (1, Some(binlog(Some(30)))));
}

#[test]
fn l23_a_point_has_the_schema_version_of_its_position() {
    // Goal: DDL inside an open group counts from the group's end on, also after a flush in
    // between; a stop moves no version; what the checkpoint had holds until then. Method: versions
    // of the points around each.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.restore_schema_version(4);
    let versions = |router: &mut Router| {
        router.flush().unwrap();
        drain(router).points.iter().map(|p| p.schema_version).collect::<Vec<_>>()
    };
    router.advance(lsn(1));
    router.begin(origin(), 0, false, id(1)).unwrap();
    router.handle_schema_version(5);
    let (table, name, reason) = (TableId(7), table_name(1), "unreadable".to_owned());
    router.stop_table(TableStop { table, name, seq: Seq(0), position: 9, reason });
    assert_eq!(versions(&mut router), [4]);
    give(&mut router, 0, &[b"a"]).unwrap();
    assert_eq!(versions(&mut router), [0u64; 0]);
    router.commit(lsn(2)).unwrap();
    assert_eq!(versions(&mut router), [5]);
    router.advance(lsn(3));
    assert_eq!(versions(&mut router), [5]);
}

#[test]
fn l28_rows_without_a_schema_or_a_group_are_refused() {
    // Goal: nothing in the log is passed over in silence; method: each wrong call.
    let mut router = router(1, &Spill::default(), 1 << 20);
    assert_eq!(give(&mut router, 0, &[b"a"]), Err(RouterError::NoGroup));
    router.begin(origin(), 0, true, id(1)).unwrap();
    assert_eq!(give(&mut router, 99, &[b"a"]), Err(RouterError::UnknownTable(TableId(99))));
    assert_eq!(router.begin(origin(), 0, true, id(2)), Err(RouterError::GroupOpen));
    let (segment, heads) = segment(0, &[b"abc"]);
    let outside = FrameHead { offset: u32::MAX, len: u32::MAX, ..heads[0] };
    let refused = router.handle_frame(&segment, outside);
    assert!(matches!(refused, Err(RouterError::FrameOutsideSegment { .. })));
    assert_eq!(router.rollback_to(b"s"), Err(RouterError::UnknownSavepoint));
    router.commit(lsn(1)).unwrap();
    assert_eq!(router.commit(lsn(1)), Err(RouterError::NoGroup));
    let unknown = router.commit_prepared(b"x", origin(), 0, lsn(2));
    assert_eq!(unknown, Err(RouterError::UnknownXid));
    router.begin(origin(), 0, false, id(3)).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    assert_eq!(router.rollback(lsn(3)), Err(RouterError::GroupStreams));
    assert_eq!(router.savepoint(b"s"), Err(RouterError::GroupStreams));
}

#[test]
fn l05_savepoints_cut_in_memory_and_in_the_spill() {
    // Goal: ROLLBACK TO leaves exactly what stands before the savepoint, whether it was set before
    // or after the group went to the spill; method: the same group under three bounds.
    for bound in [1 << 20, 12, 1] {
        let spill = Spill::default();
        let mut router = router(1, &spill, bound);
        router.begin(origin(), 0, true, id(1)).unwrap();
        give(&mut router, 0, &[b"one"]).unwrap();
        router.savepoint(b"s").unwrap();
        give(&mut router, 1, &[b"two", b"three"]).unwrap();
        router.savepoint(b"t").unwrap();
        give(&mut router, 1, &[b"four four four four four"]).unwrap();
        router.rollback_to(b"S").unwrap();
        assert_eq!(router.rollback_to(b"t"), Err(RouterError::UnknownSavepoint));
        give(&mut router, 2, &[b"five"]).unwrap();
        router.commit(lsn(1)).unwrap();
        router.flush().unwrap();
        assert_eq!(drain(&mut router).bodies(), [(1, "one".into()), (1, "five".into())]);
        assert_eq!(spill.bytes(), 0, "bound {bound}");
    }
}

#[test]
fn h05_small_frames_do_not_pin_segments() {
    // Goal: a held group of few bytes in many segments keeps its memory at the bound without a
    // spill; method: 100 segments of 1000 bytes with one frame of 4 bytes each.
    let spill = Spill::default();
    let mut router = router(1, &spill, 5000);
    router.begin(origin(), 0, true, id(1)).unwrap();
    for n in 0..100 {
        let body = format!("{n:04}");
        let mut bytes = vec![b' '; 1000];
        bytes[500..504].copy_from_slice(body.as_bytes());
        let (_, heads) = segment(0, &[b"1234"]);
        let head = FrameHead { offset: 500, ..heads[0] };
        router.handle_frame(&Segment::freeze(bytes, 1000, None), head).unwrap();
        assert!(router.held_bytes() <= 5000);
    }
    assert_eq!(spill.bytes(), 0);
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    let want: Vec<(u64, String)> = (0..100).map(|n| (1, format!("{n:04}"))).collect();
    assert_eq!(drain(&mut router).bodies(), want);
}

#[test]
fn h05_a_held_group_lets_the_large_buffer_go() {
    // Goal: the reader's one buffer for large rows comes home before the group's end, or the next
    // large row of the group waits for ever. Method: two large rows in one held group.
    struct Home(std::sync::atomic::AtomicUsize);
    impl crate::segment::SegmentHome for Home {
        fn give_back(&self, _: Vec<u8>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let home = Arc::new(Home(Default::default()));
    let mut router = router(1, &Spill::default(), 4 << 20);
    router.begin(origin(), 0, true, id(1)).unwrap();
    let (_, heads) = segment(0, &[b"x"]);
    let len = crate::limits::SEGMENT_BYTES + 1;
    for n in 1..=2 {
        let large = Segment::freeze(vec![b'a' + n; len], len, Some(home.clone()));
        router.handle_frame(&large, FrameHead { len: len as u32, ..heads[0] }).unwrap();
        drop(large);
        assert_eq!(home.0.load(std::sync::atomic::Ordering::Relaxed), usize::from(n));
    }
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    let bodies = drain(&mut router).bodies();
    assert_eq!(bodies, [(1, "b".repeat(len)), (1, "c".repeat(len))]);
}

#[test]
fn h05_a_frame_larger_than_a_piece_comes_back_whole() {
    // Goal: an oversize row gets a buffer of its own; method: pieces of 64 bytes, a row of 5000.
    let mut router = router(1, &Spill::default(), 100);
    router.begin(origin(), 0, true, id(1)).unwrap();
    let large = "x".repeat(5000);
    give(&mut router, 0, &[b"a", large.as_bytes(), b"z"]).unwrap();
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    let drained = drain(&mut router);
    assert_eq!(drained.bodies(), [(1, "a".into()), (1, large), (1, "z".into())]);
    let last = drained.batches.last().unwrap();
    assert_eq!(last.1.through, Seq(1));
    let inside = drained.batches.iter().filter(|(_, batch)| !batch.frames.is_empty());
    assert!(inside.into_iter().all(|(_, batch)| batch.through == Seq(0)), "whole at its end only");
}

#[test]
fn h11_a_full_disk_loses_nothing() {
    // Goal: `Full` means "again later", at a frame and at the end; method: a store without room
    // until the test gives it some.
    let spill = Spill::default();
    spill.with(|memory| memory.bytes_max = 1);
    let mut router = router(1, &spill, 8);
    router.begin(origin(), 0, true, id(1)).unwrap();
    give(&mut router, 0, &[b"first"]).unwrap();
    let full = Err(RouterError::Spill(SpillError::Full));
    let (segment, heads) = segment(0, &[b"second"]);
    assert_eq!(router.handle_frame(&segment, heads[0]), full);
    assert_eq!(router.handle_frame(&segment, heads[0]), full);
    spill.with(|memory| memory.bytes_max = 0);
    router.handle_frame(&segment, heads[0]).unwrap();
    spill.with(|memory| memory.bytes_max = 1);
    assert_eq!(router.commit(lsn(1)), full);
    spill.with(|memory| memory.bytes_max = 0);
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    assert_eq!(drain(&mut router).bodies(), [(1, "first".into()), (1, "second".into())]);
}

#[test]
fn a_cut_group_must_go_on_as_it_began() {
    // Goal: after a lost connection only the same transaction with the same frames goes on;
    // method: another id, other frames, fewer frames, then the right ones.
    let begun = || {
        let mut router = router(1, &Spill::default(), 1 << 20);
        router.begin(origin(), 0, false, id(1)).unwrap();
        give(&mut router, 0, &[b"a", b"bb"]).unwrap();
        router.interrupted().unwrap();
        assert!(router.in_group());
        router
    };
    let mut router = begun();
    assert_eq!(router.begin(origin(), 0, false, id(2)), Err(RouterError::AnotherGroup));
    let mut router = begun();
    router.begin(origin(), 0, false, id(1)).unwrap();
    assert_eq!(give(&mut router, 0, &[b"a", b"other"]), Err(RouterError::AnotherGroup));
    let mut router = begun();
    router.begin(origin(), 0, false, id(1)).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    assert_eq!(router.commit(lsn(1)), Err(RouterError::AnotherGroup));
    let mut router = begun();
    router.begin(origin(), 0, false, id(1)).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    router.interrupted().unwrap();
    router.begin(origin(), 0, false, id(1)).unwrap();
    give(&mut router, 0, &[b"a", b"bb", b"c"]).unwrap();
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    let bodies = drain(&mut router).bodies();
    assert_eq!(bodies, [(1, "a".into()), (1, "bb".into()), (1, "c".into())]);
}

#[test]
fn a_snapshot_that_is_cut_is_never_resumed() {
    // Goal: a new run takes the first snapshot whole, and nothing before its end is a checkpoint;
    // method: flush inside, then lose the connection.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.rebase(Position::MySql(BinlogPosition {
        server_uuid: "u".into(),
        file: "b.1".into(),
        pos: 4,
        gtids: None,
    }));
    let snapshot = || TxnOrigin::BinlogSnapshot { file: "b.1".into(), pos: 4 };
    router.begin(snapshot(), 0, false, GroupId::Snapshot).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    router.commit(binlog(Some(4))).unwrap();
    router.flush().unwrap();
    assert_eq!(drain(&mut router).points, []);
    router.begin(snapshot(), 0, false, GroupId::Snapshot).unwrap();
    give(&mut router, 0, &[b"b"]).unwrap();
    router.interrupted().unwrap();
    let again = router.begin(snapshot(), 0, false, GroupId::Snapshot);
    assert_eq!(again, Err(RouterError::AnotherGroup));
}

#[test]
fn l05_a_parked_transaction_survives_a_restart() {
    // Goal: XA PREPARE, restart of the machine, XA COMMIT: its rows come then, under the new
    // numbers of its tables, with their schemas; method: two routers over one store.
    let spill = Spill::default();
    let mut first = router(2, &spill, 1 << 20);
    first.begin(origin(), 0, true, id(1)).unwrap();
    give(&mut first, 3, &[b"a"]).unwrap();
    give(&mut first, 1, &[b"b"]).unwrap();
    first.prepare(b"x1", binlog(Some(10))).unwrap();
    first.begin(origin(), 0, true, id(2)).unwrap();
    give(&mut first, 1, &[b"never ends"]).unwrap();
    first.flush().unwrap();
    let points = drain(&mut first).points;
    assert_eq!(points[0].seq, Seq(0));
    let [ParkedChange::Parked(group)] = &points[0].parked[..] else { panic!("not parked") };
    assert_eq!(group.frames, 2);

    let after = spill.with(|memory| memory.crashed());
    let spill = Spill(Arc::new(Mutex::new(after)));
    let limits = Limits::default();
    let map = BucketMap::round_robin(3);
    let mut second = Router::with_limits(map, Box::new(spill.clone()), limits, Bugs::NONE);
    let number = |name: &TableName| match name.table.as_str() {
        "t1" => TableId(0),
        "t3" => TableId(1),
        other => panic!("{other} is not in the group"),
    };
    second.restore_parked(vec![ParkedGroup::clone(group)], number).unwrap();
    assert!(second.is_parked(b"x1"));
    second.commit_prepared(b"x1", origin(), 5, binlog(Some(20))).unwrap();
    second.flush().unwrap();
    let drained = drain(&mut second);
    assert_eq!(drained.schemas, 2);
    let mut bodies = drained.bodies();
    bodies.sort();
    assert_eq!(bodies, [(1, "a".into()), (1, "b".into())]);
    let heads = drained.batches.iter().flat_map(|(_, batch)| &batch.frames);
    let mut tables: Vec<u32> = heads.map(|frame| frame.head.table.0).collect();
    tables.sort_unstable();
    assert_eq!(tables, [0, 1]);
    assert!(spill.bytes() > 0, "a checkpoint may still list it");
    second.handle_durable(drained.points[0].point).unwrap();
    assert_eq!(spill.bytes(), 0);
}

#[test]
fn l05_a_parked_transaction_names_the_tables_of_its_rows_alone() {
    // Goal: a table whose rows ROLLBACK TO took away is not the group's, since no lock keeps its
    // schema until the end (found by the simulator); method: park under two bounds, look.
    for bound in [1 << 20, 1] {
        let mut router = router(1, &Spill::default(), bound);
        router.begin(origin(), 0, true, id(1)).unwrap();
        give(&mut router, 0, &[b"a"]).unwrap();
        router.savepoint(b"s").unwrap();
        give(&mut router, 2, &[b"b"]).unwrap();
        router.rollback_to(b"s").unwrap();
        give(&mut router, 1, &[b"c"]).unwrap();
        router.prepare(b"x", lsn(1)).unwrap();
        router.flush().unwrap();
        let points = drain(&mut router).points;
        let [ParkedChange::Parked(group)] = &points[0].parked[..] else { panic!("not parked") };
        let tables: Vec<u32> = group.tables.iter().map(|schema| schema.table.0).collect();
        assert_eq!((tables, group.frames), (vec![0, 1], 2));
        router.commit_prepared(b"x", origin(), 0, lsn(2)).unwrap();
        router.flush().unwrap();
        assert_eq!(drain(&mut router).bodies(), [(1, "a".into()), (1, "c".into())]);
    }
}

#[test]
fn l05_a_damaged_parked_transaction_is_never_delivered() {
    // Goal: bytes that rotted are Fatal, not rows; method: one bit in the store.
    let spill = Spill::default();
    let mut router = router(1, &spill, 1 << 20);
    router.begin(origin(), 0, true, id(1)).unwrap();
    give(&mut router, 0, &[b"abc"]).unwrap();
    router.prepare(b"x", lsn(1)).unwrap();
    spill.with(|memory| {
        let bytes = memory.bytes_mut(SpillId(1)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
    });
    router.commit_prepared(b"x", origin(), 0, lsn(2)).unwrap();
    let damaged = SpillError::Damaged { group: SpillId(1), offset: 0 };
    while let Ok(output) = router.poll() {
        assert!(output.is_some(), "the damage was not seen");
    }
    assert_eq!(router.poll().err(), Some(RouterError::Spill(damaged)));
}

#[test]
fn schemas_stay_in_order_with_held_frames() {
    // Goal: invariant 7 inside a group, in memory and spilled, and after a rollback; method: a
    // schema between two frames.
    for bound in [1 << 20, 1] {
        let mut router = router(1, &Spill::default(), bound);
        router.begin(origin(), 0, true, id(1)).unwrap();
        give(&mut router, 0, &[b"old"]).unwrap();
        router.handle_schema(schema(0));
        give(&mut router, 0, &[b"new"]).unwrap();
        router.commit(lsn(1)).unwrap();
        let mut order = String::new();
        while let Some(output) = router.poll().unwrap() {
            match output {
                RouterOutput::ToShard(_, ShardInput::Schema(_)) => order.push('s'),
                RouterOutput::ToShard(_, ShardInput::Frames(batch)) => {
                    batch.frames.iter().for_each(|_| order.push('f'));
                }
                RouterOutput::Point(_) => {}
            }
        }
        router.flush().unwrap();
        drain(&mut router).bodies().iter().for_each(|_| order.push('f'));
        assert_eq!(order, "fsf", "bound {bound}");
        router.begin(origin(), 0, true, id(2)).unwrap();
        router.handle_schema(schema(0));
        give(&mut router, 0, &[b"gone"]).unwrap();
        router.rollback(lsn(2)).unwrap();
        router.flush().unwrap();
        let drained = drain(&mut router);
        assert_eq!((drained.schemas, drained.bodies().len()), (1, 0), "bound {bound}");
    }
}

#[test]
fn l21_a_stop_by_the_reader_goes_with_the_point() {
    // Goal: the stop is in the point that moves the position past it, and held rows of the table
    // do not leave; method: a group with rows of the table before the one that cannot be read.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.begin(origin(), 0, true, id(1)).unwrap();
    give(&mut router, 0, &[b"before"]).unwrap();
    give(&mut router, 1, &[b"other"]).unwrap();
    let (table, name, reason) = (TableId(0), table_name(0), "unreadable".to_owned());
    router.stop_table(TableStop { table, name, seq: Seq(0), position: 9, reason });
    router.commit(lsn(1)).unwrap();
    router.flush().unwrap();
    let drained = drain(&mut router);
    assert_eq!(drained.bodies(), [(1, "other".into())]);
    assert_eq!(drained.points[0].stops.len(), 1);
    assert_eq!(drained.points[0].stops[0].seq, Seq(1));
}

#[test]
fn h05_a_held_group_counts_the_buffers_that_it_pins() {
    // Goal: short reads in large buffers cannot pin the whole pool. Method: 64 frames of one byte,
    // each in a buffer of 1 KiB, under a bound of 16 KiB: what is pinned stays below it.
    let spill = Spill::default();
    let mut router = router(1, &spill, 16 << 10);
    router.begin(origin(), 0, true, id(1)).unwrap();
    for _ in 0..64 {
        let (_, heads) = segment(0, &[b"x"]);
        let mut buffer = vec![0; 1 << 10];
        buffer[0] = b'x';
        let wide = Segment::freeze(buffer, 1, None);
        router.handle_frame(&wide, heads[0]).unwrap();
        assert!(router.pending_bytes() <= 16 << 10, "{} bytes pinned", router.pending_bytes());
    }
    router.commit(lsn(9)).unwrap();
    router.flush().unwrap();
    assert_eq!(drain(&mut router).bodies().len(), 64);
}
