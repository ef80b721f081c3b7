//! How a pipeline begins: snapshot modes, publications, slots, positions.

use penstock_protocol::frame::SnapshotMarker;
use penstock_protocol::position::{LsnPosition, Position};

use super::rig::{Options, Rig, confirmed, shop, source};
use super::server::{Family, Server};
use crate::config::{Autocreate, SnapshotMode};
use crate::error::Class;
use crate::source::{SourceEnd, Start};

#[test]
fn rows_first_then_the_stream_from_one_view() {
    // Goal: `initial` on 15 and 18: every row once as r, then what was committed later, in order;
    // a restart goes on behind it. Method: a snapshot, changes, a stop, changes, a catch-up.
    for family in [Family::Postgres15, Family::Postgres18] {
        let server = Server::start(family);
        shop(&server);
        server.sql(
            "create table log (at int, what text); insert into log values (1, null);
             create table empty (id int primary key);",
        );
        let source = source(&server, &["public.t", "public.log", "public.empty"]);
        let rig = Rig::start(&source, Options::default());
        rig.wait("the end of the snapshot", || rig.snapshot_done());
        assert_eq!(rig.lines(), ["r t 1|a", "r t 2|b", "r log 1|∅"]);
        let markers: Vec<SnapshotMarker> = rig.events().iter().map(|e| e.marker).collect();
        use SnapshotMarker::{First, Last, LastInTable};
        assert_eq!(markers, [First, LastInTable, Last]);
        server.sql(
            "begin; insert into t values (3, 'c'); update t set v = 'A' where id = 1; commit;
             delete from t where id = 2; insert into log values (2, 'x'); truncate log;
             update t set id = 4 where id = 3;",
        );
        rig.wait_events(9);
        let streamed = ["c t 3|c", "u t 1|A", "d t 2|∅", "c log 2|x", "t log ", "u t 4|c"];
        assert_eq!(rig.lines()[3..], streamed);
        let versions: Vec<u32> = rig.schemas().iter().map(|schema| schema.version).collect();
        assert_eq!(versions, [1, 1, 1], "snapshot and log give one schema (invariant 8)");
        rig.wait("the slot to follow", || {
            rig.position().is_some_and(|p| {
                confirmed(&server).trim()
                    == penstock_protocol::postgres::replication::lsn_text(p.lsn)
            })
        });
        let restart = rig.restart();
        let (end, _) = rig.stop();
        assert_eq!(end.ok(), Some(SourceEnd::Stopped));
        server.sql("insert into t values (5, 'e');");
        let rig =
            Rig::start(&source, Options { start: restart, catch_up: true, ..Options::default() });
        let (end, lines) = rig.end();
        assert_eq!((end.ok(), lines), (Some(SourceEnd::CaughtUp), vec!["c t 5|e".to_owned()]));
    }
}

#[test]
fn h01_tables_without_identity_go_on_working() {
    // Goal: no update of the customer's fails after we start; inserts of such a table come, its
    // updates do not. Method: a keyless table beside one with a key; the publications' contents.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    server.sql("create table log (n int);");
    let rig = Rig::start(&source(&server, &[]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server.sql(
        "insert into log values (1); update log set n = 2; delete from log;
         insert into t values (3, 'c');",
    );
    rig.wait_events(4);
    assert_eq!(rig.lines()[2..], ["c log 1", "c t 3|c"]);
    let published = "select pubname, tablename from pg_publication_tables order by 1, 2";
    assert_eq!(server.sql(published), "p\tt\np_insert\tlog\n");
    assert_eq!(server.sql("select count(*) from pg_publication where puballtables"), "0\n");
    assert!(rig.stop().0.is_ok());
}

#[test]
fn l26_publications_come_before_the_slot() {
    // Goal: an empty second publication is made too, and a publication that was dropped and made
    // again is Fatal with its code, not retried. Method: make, stop, drop, make, change, start.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let rig = Rig::start(&source, Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    assert_eq!(server.sql("select pubname from pg_publication order by 1"), "p\np_insert\n");
    let start = rig.restart();
    assert!(rig.stop().0.is_ok());
    server.sql(
        "drop publication p; insert into t values (3, 'c'); create publication p for table t;",
    );
    let error = Rig::start(&source, Options { start, ..Options::default() }).error();
    assert_eq!((error.code, error.class), ("pg-publication-lost", Class::Fatal));
}

#[test]
fn l02_an_idle_slot_is_taken_over_after_the_start_barrier() {
    // Goal: with a slot of another's making no change is lost or told twice: what the view sees is
    // dropped from the stream, what runs meanwhile is waited for. Method: a slot made by hand,
    // changes after it, a transaction that stays open over the start.
    let server = Server::start(Family::Postgres18);
    shop(&server);
    server.sql("create publication p for table t; create publication p_insert;");
    server.sql("select pg_create_logical_replication_slot('s', 'pgoutput');");
    server.sql(
        "insert into t values (3, 'c'); update t set v = 'A' where id = 1;
         delete from t where id = 2;",
    );
    let mut open = server.session();
    open.run("begin; insert into t values (4, 'd');");
    let rig = Rig::start(&source(&server, &["public.t"]), Options::default());
    let waits = "select count(*) from pg_stat_activity where application_name like 'penstock%'";
    rig.wait("the reader", || server.sql(waits) != "0\n");
    server.sql("insert into t values (5, 'e');");
    open.run("commit;");
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server.sql("insert into t values (6, 'f');");
    rig.wait("the last row", || rig.lines().contains(&"c t 6|f".to_owned()));
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["c t 6|f", "r t 1|A", "r t 3|c", "r t 4|d", "r t 5|e"]);
    assert!(rig.stop().0.is_ok());
}

#[test]
fn modes_without_rows_and_without_a_stream() {
    // Goal: `never` and `schema_only` stream from the log's end, `initial_only` ends after the
    // rows and leaves no slot. Method: one run each.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let only = Options { mode: SnapshotMode::InitialOnly, ..Options::default() };
    let rig = Rig::start(&source, only);
    let (end, lines) = rig.end();
    assert_eq!(end.ok(), Some(SourceEnd::SnapshotTaken));
    assert_eq!(lines, ["r t 1|a", "r t 2|b"]);
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "0\n");
    for (mode, id) in [(SnapshotMode::Never, 3), (SnapshotMode::SchemaOnly, 4)] {
        let rig = Rig::start(&source, Options { mode, ..Options::default() });
        rig.wait("the start", || rig.snapshot_done());
        server.sql(&format!("insert into t values ({id}, 'x')"));
        rig.wait_events(1);
        assert_eq!(rig.stop().1, [format!("c t {id}|x")]);
        server.sql("select pg_drop_replication_slot('s')");
    }
}

#[test]
fn l10_a_slot_or_server_that_is_not_ours_is_refused() {
    // Goal: a dropped slot, a slot made again, another server and a position beyond the log are
    // Fatal with their codes; `when_needed` takes a new snapshot. Method: one start each.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let rig = Rig::start(&source, Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let position = rig.position().expect("a position");
    let start = rig.restart();
    assert!(rig.stop().0.is_ok());
    let refused = |start: Start| {
        let error = Rig::start(&source, Options { start, ..Options::default() }).error();
        assert_eq!(error.class, Class::Fatal);
        error.code
    };
    let resume = |position: LsnPosition| Start::Resume(Position::Postgres(position));
    let other = LsnPosition { system_id: "1".into(), ..position.clone() };
    assert_eq!(refused(resume(other)), "pg-other-server");
    let beyond = LsnPosition { lsn: position.lsn + (1 << 40), ..position.clone() };
    assert_eq!(refused(resume(beyond)), "pg-log-behind");
    let older = LsnPosition { timeline: 9, ..position };
    assert_eq!(refused(resume(older)), "pg-timeline");
    server.sql("select pg_drop_replication_slot('s');");
    assert_eq!(refused(start.clone()), "pg-slot-missing");
    server.sql("insert into t values (3, 'c');");
    server.sql("select pg_create_logical_replication_slot('s', 'pgoutput');");
    assert_eq!(refused(start.clone()), "pg-slot-ahead");
    let mode = SnapshotMode::WhenNeeded;
    let rig = Rig::start(&source, Options { mode, start, ..Options::default() });
    rig.wait("a new snapshot", || rig.snapshot_done());
    server.sql("insert into t values (4, 'd');");
    rig.wait_events(4);
    assert_eq!(rig.stop().1, ["r t 1|a", "r t 2|b", "r t 3|c", "c t 4|d"]);
}

#[test]
fn what_the_server_lacks_is_explained() {
    // Goal: wal_level replica, no right to publish, a foreign slot, no table: each Fatal with its
    // code and a statement. Method: one start each.
    let server = Server::start_with(Family::Postgres15, &["-c", "wal_level=replica"], &[]);
    server.sql("create table t (id int primary key);");
    let all = source(&server, &[]);
    let refused = |source: &crate::config::Source| {
        let error = Rig::start(source, Options::default()).error();
        assert_eq!(error.class, Class::Fatal);
        (error.code, error.hint.unwrap_or_default())
    };
    let (code, hint) = refused(&all);
    assert_eq!(code, "pg-wal-level");
    assert!(hint.starts_with("ALTER SYSTEM SET wal_level = 'logical';"), "{hint}");
    drop(server);
    let server = Server::start(Family::Postgres15);
    server.sql("create table t (id int primary key);");
    let all = source(&server, &[]);
    let (code, hint) = refused(&all);
    assert_eq!(code, "pg-publication-right");
    assert!(hint.contains("CREATE PUBLICATION \"p\" FOR TABLE ONLY \"public\".\"t\";"), "{hint}");
    server.grant_cdc();
    server.sql("select pg_create_logical_replication_slot('s', 'test_decoding');");
    assert_eq!(refused(&all).0, "pg-slot-foreign");
    assert_eq!(refused(&source(&server, &["public.nothing"])).0, "pg-no-tables");
}

#[test]
fn slots_and_publications_as_the_options_say() {
    // Goal: publication_autocreate_mode, slot_failover, slot_drop_on_stop do what Debezium's do; a
    // two-phase slot is refused. Method: each, and what the server's catalogue shows.
    let server = Server::start(Family::Postgres18);
    shop(&server);
    let mut source = source(&server, &["public.t"]);
    source.postgres.autocreate = Autocreate::Disabled;
    let never = || Options { mode: SnapshotMode::Never, ..Options::default() };
    assert_eq!(Rig::start(&source, never()).error().code, "pg-publication-missing");
    source.postgres.autocreate = Autocreate::NoTables;
    source.postgres.failover = true;
    source.postgres.drop_on_stop = true;
    let rig = Rig::start(&source, never());
    rig.wait("the start", || rig.snapshot_done());
    assert_eq!(server.sql("select failover from pg_replication_slots"), "t\n");
    assert_eq!(server.sql("select count(*) from pg_publication_tables"), "0\n");
    server.sql("alter publication p add table t; insert into t values (3, 'c');");
    rig.wait_events(1);
    assert_eq!(rig.stop().1, ["c t 3|c"]);
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "0\n");
    server.sql("select pg_create_logical_replication_slot('s', 'pgoutput', false, true)");
    let refused = Rig::start(&source, never()).error();
    assert_eq!(refused.code, "pg-slot-foreign");
    let why = "slot \"s\" decodes two-phase transactions: it tells them at PREPARE, before they are \
        committed";
    assert_eq!(refused.what, why);
}
