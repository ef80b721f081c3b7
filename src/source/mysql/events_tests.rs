//! The group machine on events made by hand: what it routes, what it drops, what it refuses.

use std::collections::BTreeSet;

use penstock_protocol::position::{Gtid, Position, PositionDelta};
use penstock_protocol::schema::SourceKind;
use penstock_shards::bucket::BucketMap;
use penstock_shards::history::{ColumnDefinition, TableDefinition};
use penstock_shards::hop::ShardInput;
use penstock_shards::router::{Router, RouterOutput};
use penstock_shards::spill::MemorySpill;

use super::*;
use crate::config::{
    OnTableError, Secret, Snapshot, SnapshotMode, Source, TableFilter, Tls, TlsMode,
};
use crate::progress::ProgressSink;
use crate::runtime::{block_on, mailbox, ring, segments, watch};
use crate::source::heartbeat::Heartbeat;
use crate::source::mysql::{schema::Schemas, stream::Clash};
use crate::source::{ReaderContext, Start, TableDirectory};
use crate::store::State;

fn name(table: &str) -> TableName {
    TableName { database: "d".into(), schema: String::new(), table: table.into() }
}

/// Where a reader's output goes: the ring of its only shard, the coordinator's mailbox.
type Ends = (ring::Consumer<ShardInput>, mailbox::Receiver<crate::pipeline::Notice>);

fn reader() -> (Reader, Ends) {
    let source = Source {
        kind: SourceKind::MySql,
        hosts: vec!["127.0.0.1".into()],
        port: 1,
        user: "u".into(),
        password: Secret(String::new()),
        database: String::new(),
        filter: TableFilter {
            tables: vec![regex::Regex::new("^d\\.t$").expect("a pattern")],
            ..TableFilter::default()
        },
        tls: Tls { mode: TlsMode::Off, ca: None, cert: None, key: None },
        slot: String::new(),
        publication: String::new(),
        postgres: crate::config::Postgres::default(),
        server_id: None,
        on_table_error: OnTableError::Fail,
        include_query: false,
        provide_transaction_metadata: false,
        include_schema_changes: false,
        store_only_captured_tables: false,
        heartbeat_interval_ms: 0,
        heartbeat_action_query: None,
    };
    let (_, flushed) = watch::channel(crate::source::context::Flushed::default());
    let (_, stop) = watch::channel(false);
    let (notices, mailbox) = mailbox(64);
    let snapshot = Snapshot {
        mode: SnapshotMode::Never,
        parallelism: 1,
        chunk_rows: 1,
        rows_per_second: 0,
        pause_ms: 0,
    };
    let (shard, ring) = ring::channel(64);
    let reader = Reader {
        ctx: ReaderContext {
            name: "p".into(),
            heartbeat: Heartbeat::new(&source),
            source,
            snapshot,
            start: Start::Fresh,
            catch_up: false,
            tables: TableDirectory::default(),
            router: Router::new(BucketMap::round_robin(1), Box::new(MemorySpill::default())),
            pool: segments::Pool::new(64, 1024),
            flushed,
            stop,
            progress: ProgressSink::none(),
            stopped: BTreeSet::new(),
            schema_version: 0,
            history: None,
            rings: vec![shard],
            notices,
        },
        server_id: 1,
        place: Some(place()),
        goal: None,
        schemas: Schemas::new(SourceKind::MySql),
        history: None,
        alive: false,
        streamed: false,
        clash: Clash::default(),
        warned: true,
        damage: None,
    };
    (reader, (ring, mailbox))
}

fn place() -> Place {
    Place {
        kind: SourceKind::MySql,
        uuid: String::new(),
        file: "b.1".into(),
        pos: 4,
        gtids: Gtids::MySql(Default::default()),
    }
}

use crate::source::mysql::place::Gtids;

#[path = "payload_tests.rs"]
mod payload;

/// A log of a server of this kind, and its events with rising offsets.
struct Tape {
    reader: Reader,
    ends: Ends,
    _state: (State, tempfile::TempDir),
    log: Log,
    pos: u64,
    number: u64,
}

impl Tape {
    fn new(kind: SourceKind, version: &str) -> Self {
        let (mut reader, ends) = reader();
        reader.ctx.router.rebase(Position::MySql(penstock_protocol::position::BinlogPosition {
            server_uuid: String::new(),
            file: "b.1".into(),
            pos: 4,
            gtids: Some(String::new()),
        }));
        let server = Server::of(kind, version, &[("binlog_row_metadata", "MINIMAL")]);
        let column = ColumnDefinition { name: "a".into(), ..ColumnDefinition::default() };
        let table = TableDefinition { columns: vec![column], ..TableDefinition::default() };
        let mut history = TableHistory::new(&server);
        drop(history.learn(&name("t"), table.into()));
        reader.history = Some(history);
        let log = Log::new(server, &place());
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), "p").expect("a state");
        reader.ctx.history = Some(state.history().expect("a history"));
        Self { reader, ends, _state: (state, folder), log, pos: 4, number: 0 }
    }

    fn mysql() -> Self {
        Self::new(SourceKind::MySql, "9.7.4")
    }

    fn event(&mut self, code: u8, body: &[u8]) -> Result<Step> {
        self.event_with(code, body, 0)
    }

    fn event_with(&mut self, code: u8, body: &[u8], flags: u16) -> Result<Step> {
        let len = event::HEADER_BYTES + body.len();
        self.pos += len as u64;
        let mut bytes = vec![0];
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.push(code);
        bytes.extend_from_slice(&1u32.to_le_bytes());
        bytes.extend_from_slice(&(len as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.pos as u32).to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(body);
        let segment = Segment::freeze(bytes.clone(), bytes.len(), None);
        block_on(self.reader.event(&mut self.log, &segment, 0..bytes.len()))
    }

    fn gtid(&mut self) {
        self.number += 1;
        let mut body = vec![1];
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&self.number.to_le_bytes());
        self.event(ty::GTID, &body).expect("a GTID");
    }

    fn query(&mut self, sql: &str) -> Result<Step> {
        let mut body = vec![9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, b'd', 0];
        body.extend_from_slice(sql.as_bytes());
        self.event(ty::QUERY, &body)
    }

    /// TABLE_MAP of `d.t (a int)` and one row.
    fn row(&mut self, value: u8) -> Result<Step> {
        let map = [5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 1, 3, 0, 0];
        self.event(ty::TABLE_MAP, &map)?;
        let row = [5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, value, 0, 0, 0];
        self.event(ty::WRITE_ROWS, &row)
    }

    /// The schema version of the last point.
    fn version(&mut self) -> u64 {
        self.reader.ctx.router.flush().expect("a flush");
        let mut version = None;
        while let Some(output) = self.reader.ctx.router.poll().expect("an output") {
            if let RouterOutput::Point(point) = output {
                version = Some(point.schema_version);
            }
        }
        version.expect("a point")
    }

    /// Values of the rows that were routed, and the last point's end.
    fn routed(&mut self) -> (Vec<u8>, Option<PositionDelta>) {
        self.reader.ctx.router.flush().expect("a flush");
        let (mut inputs, mut at) = (Vec::new(), None);
        while let Some(input) = self.ends.0.try_pop() {
            inputs.push(input);
        }
        while let Some(output) = self.reader.ctx.router.poll().expect("an output") {
            match output {
                RouterOutput::ToShard(_, input) => inputs.push(input),
                RouterOutput::Point(point) => at = point.delta,
            }
        }
        let mut values = Vec::new();
        for input in inputs {
            let ShardInput::Frames(batch) = input else { continue };
            for frame in &batch.frames {
                let segment = batch.segment.as_ref().expect("a segment");
                let end = (frame.head.offset + frame.head.len) as usize;
                values.push(segment.data()[end - 4]);
            }
        }
        (values, at)
    }
}

fn end(delta: &Option<PositionDelta>) -> Option<u64> {
    match delta {
        Some(PositionDelta::Binlog { at, .. }) => at.as_ref().map(|(_, pos)| *pos),
        _ => None,
    }
}

#[test]
fn l05_a_group_that_rolls_back_leaves_nothing() {
    // Goal: rows before ROLLBACK are dropped, those since a savepoint too, the position moves.
    // Method: MariaDB's forms, whose groups are held.
    let mut tape = Tape::new(SourceKind::MariaDb, "11.8.9-MariaDB");
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    tape.row(1).expect("a row");
    assert_eq!(tape.routed().0, [0u8; 0], "held until its end");
    tape.query("ROLLBACK").expect("a query");
    let (values, at) = tape.routed();
    assert_eq!((values, end(&at)), (vec![], Some(tape.pos)));
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    tape.query("SAVEPOINT s").expect("a query");
    tape.row(2).expect("a row");
    tape.query("ROLLBACK TO s").expect("a query");
    tape.row(3).expect("a row");
    tape.event(ty::XID, &[0; 8]).expect("an XID");
    assert_eq!(tape.routed().0, [3]);
}

#[test]
fn l05_groups_stream_only_where_a_live_test_allows_it() {
    // Goal: MySQL from 8.0.33 on routes at once, older ones at the end. Method: a group without its
    // end.
    for (version, want) in [("9.7.4", vec![1]), ("8.0.33", vec![1]), ("8.0.32", vec![])] {
        let mut tape = Tape::new(SourceKind::MySql, version);
        tape.gtid();
        tape.query("BEGIN").expect("a query");
        tape.row(1).expect("a row");
        let (values, at) = tape.routed();
        assert_eq!((values, end(&at)), (want, None), "{version}");
    }
}

#[test]
fn l05_xa_waits_for_its_commit() {
    // Goal: prepared rows leave at XA COMMIT, never at XA ROLLBACK; an unknown XID is Fatal.
    // Method: the events of MySQL.
    let mut tape = Tape::mysql();
    let prepare = |tape: &mut Tape, id: u8, value: u8| {
        tape.gtid();
        tape.query(&format!("XA START X'{id:02x}',X'',1")).expect("a query");
        tape.row(value).expect("a row");
        tape.query(&format!("XA END X'{id:02x}',X'',1")).expect("a query");
        let body = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, id];
        tape.event(ty::XA_PREPARE, &body).expect("a prepare");
    };
    prepare(&mut tape, 0x61, 1);
    prepare(&mut tape, 0x62, 2);
    assert_eq!(tape.routed().0, [0u8; 0]);
    tape.gtid();
    tape.query("XA COMMIT X'61',X'',1").expect("a commit");
    assert_eq!(tape.routed().0, [1]);
    tape.gtid();
    tape.query("XA ROLLBACK X'62',X'',1").expect("a rollback");
    let (values, at) = tape.routed();
    assert_eq!((values, end(&at)), (vec![], Some(tape.pos)));
    tape.gtid();
    assert_eq!(tape.query("XA COMMIT X'63',X'',1").unwrap_err().code, "my-xa-unknown");
}

#[test]
fn l27_after_a_wrap_no_checkpoint_until_the_next_file() {
    // Goal: offsets past 4 GiB are not offered; a Rotate mends it. Method: a log that stands just
    // below the limit, of a server without GTIDs.
    let mut tape = Tape::mysql();
    tape.reader.place.as_mut().expect("a place").gtids = Gtids::None;
    tape.routed();
    tape.pos = u64::from(u32::MAX) - 60;
    tape.log.last_pos = tape.pos;
    for value in [1, 2] {
        tape.gtid();
        tape.query("BEGIN").expect("a query");
        tape.row(value).expect("a row");
        tape.event(ty::XID, &[0; 8]).expect("an XID");
        assert_eq!(tape.routed(), (vec![value], None), "in the wrapped file");
    }
    let rotate = [&4u64.to_le_bytes()[..], b"b.2"].concat();
    tape.event(ty::ROTATE, &rotate).expect("a rotate");
    let (_, at) = tape.routed();
    let Some(PositionDelta::Binlog { at: Some((file, pos)), .. }) = at else { panic!() };
    assert_eq!((&*file, pos), ("b.2", 4));
}

#[test]
fn l27_gtids_say_where_we_are_when_offsets_do_not() {
    // Goal: a wrapped offset is never in a point, its GTID is. Method: one group over the limit.
    let mut tape = Tape::mysql();
    tape.routed();
    tape.pos = u64::from(u32::MAX) - 60;
    tape.log.last_pos = tape.pos;
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    tape.row(1).expect("a row");
    tape.event(ty::XID, &[0; 8]).expect("an XID");
    let Some(PositionDelta::Binlog { at, gtids }) = tape.routed().1 else { panic!() };
    assert_eq!((at, gtids.len()), (None, 1));
}

#[test]
fn l28_nothing_is_skipped_silently() {
    // Goal: each gap in the log is an error with its code. Method: one tape a gap.
    let code = |result: Result<Step>| result.unwrap_err().code;
    let mut tape = Tape::mysql();
    assert_eq!(code(tape.event(ty::INCIDENT, &[1, 0, 1, b'x'])), "my-incident");
    assert_eq!(code(tape.event(99, &[])), "my-unknown-event");
    assert!(tape.event_with(99, &[], FLAG_IGNORABLE).is_ok());
    assert_eq!(code(tape.event(ty::TRANSACTION_PAYLOAD, &[])), "my-protocol");
    let rows = [6, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, 1, 0, 0, 0];
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    assert_eq!(code(tape.event(ty::WRITE_ROWS, &rows)), "my-rows-without-table-map");
    assert_eq!(code(tape.query("INSERT INTO t VALUES (1)")), "my-statement-format");
    assert!(tape.query("INSERT INTO other VALUES (1)").is_ok());
    let mut body = vec![1];
    body.extend_from_slice(&[0; 24]);
    assert_eq!(code(tape.event(ty::GTID, &body)), "my-log-order");
}

/// Names of the columns that the next TABLE_MAP of `d.t` with `count` INT columns stands for.
fn columns_behind(tape: &mut Tape, count: u8) -> Result<Vec<String>> {
    let mut map = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, count];
    map.extend(std::iter::repeat_n(3, usize::from(count)));
    // No metadata; the first column is NOT NULL, the others are not.
    map.extend([0, 0xfe & ((1 << count) - 1)]);
    tape.gtid();
    tape.query("BEGIN")?;
    tape.event(ty::TABLE_MAP, &map)?;
    tape.event(ty::XID, &[0; 8])?;
    let schema = tape.reader.schemas.current(&name("t")).expect("a schema");
    Ok(schema.columns.iter().map(|column| column.name.clone()).collect())
}

#[test]
fn l24_each_row_has_the_shape_of_its_place() {
    // Goal: DDL on any table passes and holds from its place on, also where the log names no
    // columns; what a checkpoint needs is durable before its point; a map that does not agree is
    // Definite. Method: statements and TABLE_MAPs of MINIMAL in turn.
    let mut tape = Tape::mysql();
    assert_eq!(columns_behind(&mut tape, 1).expect("known"), ["a"]);
    let run = |tape: &mut Tape, sql: &str| {
        tape.gtid();
        tape.query(sql).expect("no statement stops anything");
    };
    run(&mut tape, "ALTER TABLE other ADD COLUMN t int");
    run(&mut tape, "ALTER TABLE d.t ADD COLUMN b int, RENAME COLUMN a TO c");
    assert_eq!(columns_behind(&mut tape, 2).expect("known"), ["c", "b"]);
    assert_eq!(tape.version(), 1);
    let e = columns_behind(&mut tape, 1).unwrap_err();
    assert_eq!((e.code, e.class), ("my-schema-disagrees", crate::error::Class::Definite));
    tape.log.group = None;
    run(&mut tape, "CREATE TABLE t2 (x int NOT NULL, y int)");
    run(&mut tape, "RENAME TABLE t TO t3, t2 TO t");
    assert_eq!(columns_behind(&mut tape, 2).expect("known"), ["x", "y"]);
    assert_eq!(tape.version(), 2);
}

#[test]
fn l23_a_group_that_comes_again_is_applied_once() {
    // Goal: a lost connection inside a group repeats no statement, though the same statement in
    // another group counts. Method: the group twice, under one GTID and under two.
    let mut tape = Tape::mysql();
    let add = |tape: &mut Tape, name: &str| {
        tape.gtid();
        tape.query("BEGIN").expect("a query");
        tape.query(&format!(
            "ALTER TABLE t ADD COLUMN {name} int, DROP COLUMN a, ADD COLUMN a int"
        ))
        .expect("a statement");
    };
    add(&mut tape, "b");
    tape.reader.ctx.router.interrupted().expect("a cut");
    (tape.log.group, tape.number) = (None, tape.number - 1);
    add(&mut tape, "b");
    tape.event(ty::XID, &[0; 8]).expect("an XID");
    assert_eq!(tape.reader.ctx.schema_version, 1);
    let table = tape.reader.history.as_ref().and_then(|h| h.definition(&name("t")));
    let names = table.expect("known").columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn truncate_is_a_frame_of_its_own() {
    // Goal: TRUNCATE of a captured table reaches the shard. Method: after a row, count frames.
    let mut tape = Tape::mysql();
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    tape.row(1).expect("a row");
    tape.event(ty::XID, &[0; 8]).expect("an XID");
    tape.routed();
    tape.gtid();
    tape.query("TRUNCATE TABLE t").expect("a truncate");
    tape.reader.ctx.router.flush().expect("a flush");
    let mut kinds = Vec::new();
    while let Some(output) = tape.reader.ctx.router.poll().expect("an output") {
        if let RouterOutput::ToShard(_, ShardInput::Frames(batch)) = output {
            kinds.extend(batch.frames.iter().map(|frame| frame.head.kind));
        }
    }
    assert_eq!(kinds, [FrameKind::Truncate]);
}

#[test]
fn h02_an_idle_log_moves_the_position() {
    // Goal: heartbeats and rotates move the place between groups, never inside one. Method: both.
    let mut tape = Tape::mysql();
    tape.pos = 500 - 19 - 3;
    tape.event(ty::HEARTBEAT, b"b.1").expect("a heartbeat");
    assert_eq!(end(&tape.routed().1), Some(500));
    tape.gtid();
    tape.query("BEGIN").expect("a query");
    tape.event(ty::HEARTBEAT, b"b.1").expect("a heartbeat");
    assert_eq!(tape.routed().1, None);
}

#[test]
fn l28_a_log_that_is_damaged_twice_at_one_place_is_fatal() {
    // Goal: bytes changed on the way are read again, a damaged log is not read for ever. Method:
    // the judge alone.
    let (mut reader, _ends) = reader();
    let error = |at: &str| Error::transient("my-checksum", "wrong").at(at);
    assert!(reader.judge_damage(error("b.1:4")).is_ok());
    assert!(reader.judge_damage(error("b.1:900")).is_ok());
    let twice = reader.judge_damage(error("b.1:900")).unwrap_err();
    assert_eq!(twice.class, crate::error::Class::Fatal);
    let lost = || Error::transient("net-unreachable", "gone").at("b.1:900");
    assert!(reader.judge_damage(lost()).is_ok() && reader.judge_damage(lost()).is_ok());
}

#[test]
fn positions_without_gtids_stay_without() {
    // Goal: a set that begins in mid history is never made. Method: a place without GTIDs.
    let mut tape = Tape::mysql();
    tape.reader.place.as_mut().expect("a place").gtids = Gtids::None;
    tape.gtid();
    tape.query("FLUSH TABLES").expect("a query");
    let Some(PositionDelta::Binlog { gtids, .. }) = tape.routed().1 else { panic!() };
    assert_eq!(gtids, Vec::<Gtid>::new());
}
