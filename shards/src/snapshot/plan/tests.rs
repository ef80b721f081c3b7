use super::*;

const TUNING: Tuning = Tuning {
    parallelism: 2,
    rows_per_s: 0,
    pause_us: 0,
    rows_max: 8,
    chunk_bytes: 100,
    budget_bytes: 1000,
    paused: false,
};

fn name(table: &str) -> TableName {
    TableName { database: "d".into(), schema: "s".into(), table: table.into() }
}

fn bound(key: u8) -> Bound {
    Bound(vec![key])
}

/// A run of one table with pieces that end at 10, 20 and the end; its barrier is passed.
fn run(tuning: Tuning) -> Chunks {
    let mut run = Chunks::resume(Vec::new(), tuning).unwrap();
    run.add_table(name("t"), vec![bound(10), bound(20)], 30);
    pass_barrier(&mut run);
    run
}

fn pass_barrier(run: &mut Chunks) {
    let Next::Barrier(barrier) = run.poll_next(0) else { panic!("no barrier") };
    run.handle_barrier(barrier);
}

fn read(run: &mut Chunks) -> ChunkRead {
    match run.poll_next(0) {
        Next::Read(read) => read,
        next => panic!("no read: {next:?}"),
    }
}

fn keys(after: Option<u8>, through: Option<u8>) -> ChunkRange {
    ChunkRange::Keys { after: after.map(bound), through: through.map(bound) }
}

fn piece(through: Option<u8>, done: bool, rows: u64) -> Piece {
    Piece { through: through.map(bound), done, rows }
}

#[test]
fn l02_l03_nothing_is_read_before_the_barrier_also_of_a_table_that_joins() {
    // Goal: each table waits for the transactions that ran when it joined, the others go on;
    // method: a run, a second table, each barrier passed late.
    let mut run = Chunks::resume(Vec::new(), TUNING).unwrap();
    run.add_table(name("t"), Vec::new(), 0);
    assert_eq!(run.poll_next(0), Next::Barrier(1));
    assert_eq!(run.poll_next(0), Next::Wait);
    run.handle_barrier(1);
    run.add_table(name("joins"), Vec::new(), 0);
    assert_eq!(run.poll_next(0), Next::Barrier(2));
    assert_eq!(read(&mut run).table, 0);
    assert_eq!(run.poll_next(0), Next::Wait);
    run.handle_barrier(2);
    assert_eq!(read(&mut run).table, 1);
}

#[test]
fn l15_a_chunk_is_done_when_its_rows_are_acknowledged_and_not_read_again() {
    // Goal: a checkpoint before the rows' `Seq` does not list the chunk, one behind it does, and a
    // resumed run reads the others alone; method: one chunk leaves at 5, records at 4 and 5.
    let mut run = run(TUNING);
    let (first, second) = (read(&mut run), read(&mut run));
    assert_eq!(second.range, keys(Some(10), Some(20)));
    run.handle_read(first.id, None, 0);
    run.handle_left(first.id, Seq(5), 7);
    let none_done = [piece(Some(10), false, 0), piece(Some(20), false, 0), piece(None, false, 0)];
    assert_eq!(run.record(Seq(4))[0].pieces, none_done);
    let record = run.record(Seq(5));
    let pieces = [piece(Some(10), true, 7), piece(Some(20), false, 0), piece(None, false, 0)];
    assert_eq!(record[0].pieces, pieces);
    let mut again = Chunks::resume(record, TUNING).unwrap();
    pass_barrier(&mut again);
    assert_eq!(read(&mut again).range, keys(Some(10), Some(20)));
    assert_eq!(read(&mut again).range, keys(Some(20), None));
}

#[test]
fn a_run_is_over_when_all_is_acknowledged() {
    // Goal: done neighbours are one piece, a whole run leaves nothing in the checkpoint; method:
    // three chunks in turn.
    let mut run = run(TUNING);
    for seq in 1..=3 {
        let chunk = read(&mut run);
        run.handle_read(chunk.id, None, 0);
        run.handle_left(chunk.id, Seq(seq), seq);
    }
    let record = run.record(Seq(2));
    assert_eq!(record[0].pieces, [piece(Some(20), true, 3), piece(None, false, 0)]);
    assert_eq!((run.poll_next(0), run.is_done()), (Next::Wait, false));
    run.handle_acked(Seq(3));
    assert_eq!((run.poll_next(0), run.record(Seq(3))), (Next::Done, Vec::new()));
    let whole = Progress { rows: 6, rows_estimated: 30, done: 3, in_flight: 0, chunks: 3 };
    assert_eq!(run.progress(0), whole);
}

#[test]
fn l07_a_discarded_chunk_is_read_again_and_late_reports_change_nothing() {
    // Goal: the second attempt is another read, smaller if the first did not fit; method: discard,
    // then all reports of the first.
    let mut run = run(Tuning { parallelism: 1, ..TUNING });
    let first = read(&mut run);
    run.handle_discarded(first.id, true);
    assert!(!run.is_live(first.id));
    let second = read(&mut run);
    assert_eq!((second.range, second.rows_max), (keys(None, Some(10)), 4));
    run.handle_read(first.id, Some(bound(3)), 0);
    run.handle_left(first.id, Seq(1), 1);
    run.handle_discarded(first.id, true);
    assert!(run.is_live(second.id));
    assert_eq!(run.progress(0).chunks, 3);
    run.handle_key_changed(0);
    assert!(!run.is_live(second.id));
    assert_eq!(read(&mut run).range, keys(None, None));
    run.handle_dropped(0);
    assert_eq!((run.poll_next(0), run.record(Seq(9))), (Next::Done, Vec::new()));
}

#[test]
fn a_chunk_that_is_cut_leaves_its_rest() {
    // Goal: no key between the last that was read and the chunk's end is lost; method: a read ends
    // at 4 of 10.
    let mut run = run(Tuning { parallelism: 1, ..TUNING });
    let first = read(&mut run);
    run.handle_read(first.id, Some(bound(4)), 0);
    assert_eq!(read(&mut run).range, keys(Some(4), Some(10)));
    let ends: Vec<_> = run.record(Seq(0))[0].pieces.iter().map(|p| p.through.clone()).collect();
    assert_eq!(ends, [Some(bound(4)), Some(bound(10)), Some(bound(20)), None]);
}

#[test]
fn l06_a_key_is_read_once_more_and_listed_from_its_transaction_on() {
    // Goal: a one-key chunk survives a restart behind its event, and a replay asks again before it;
    // asked twice it is read once; method: a key at 7, records at 6 and 7.
    let mut run = run(TUNING);
    run.handle_key(0, bound(15), Seq(7));
    run.handle_key(0, bound(15), Seq(8));
    assert_eq!(run.record(Seq(6))[0].keys, []);
    let record = run.record(Seq(7));
    assert_eq!(record[0].keys, [bound(15)]);
    let mut again = Chunks::resume(record, TUNING).unwrap();
    pass_barrier(&mut again);
    let key = read(&mut again);
    assert_eq!(key.range, ChunkRange::Key(bound(15)));
    // While it is read its view may be too old for the next event: asked again, read again.
    again.handle_key(0, bound(15), Seq(1));
    assert_eq!(read(&mut again).range, ChunkRange::Key(bound(15)));
}

#[test]
fn h05_no_read_without_its_bytes_and_the_throttle_holds() {
    // Goal: reserved bytes stay below the budget until windows end, but one chunk is always let in;
    // rows, pauses and the operator hold reads back; method: each bound alone.
    let mut narrow = run(Tuning { budget_bytes: 150, ..TUNING });
    let first = read(&mut narrow);
    narrow.handle_read(first.id, None, 0);
    assert_eq!(narrow.poll_next(0), Next::Wait);
    narrow.handle_left(first.id, Seq(1), 1);
    assert_eq!(read(&mut narrow).range, keys(Some(10), Some(20)));
    read(&mut run(Tuning { budget_bytes: 0, ..TUNING }));

    let mut slow = run(Tuning { rows_per_s: 100, pause_us: 5, ..TUNING });
    let first = read(&mut slow);
    slow.handle_rows(3, 1000);
    assert_eq!(slow.poll_next(1000), Next::At(31_000));
    slow.handle_read(first.id, None, 40_000);
    assert_eq!(slow.poll_next(40_000), Next::At(40_005));
    slow.set_tuning(Tuning { paused: true, ..TUNING });
    assert_eq!(slow.poll_next(50_000), Next::Wait);
    slow.set_tuning(Tuning { rows_max: 3, ..TUNING });
    assert_eq!(read(&mut run(TUNING)).rows_max, 8);
    assert!(matches!(slow.poll_next(50_000), Next::Read(ChunkRead { rows_max: 3, .. })));
}

#[test]
fn a_list_that_does_not_cover_its_table_is_refused() {
    // Goal: no key is skipped by a damaged list; method: no piece, no end, an end in the middle.
    for pieces in [
        vec![],
        vec![piece(Some(1), true, 1)],
        vec![piece(None, true, 1), piece(Some(2), true, 1)],
        vec![piece(None, true, 1), piece(None, false, 0)],
    ] {
        let list = vec![TableChunks { name: name("t"), pieces, keys: Vec::new() }];
        let refused = Chunks::resume(list, TUNING).err();
        assert_eq!(refused, Some(ChunksError { table: name("t") }));
    }
}
