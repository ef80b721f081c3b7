//! Tables that change under the reader, partitions, generated columns, idle servers.

use super::rig::{Options, Rig, confirmed, shop, source};
use super::server::{Family, Server};
use crate::source::SourceEnd;

#[test]
fn m04_tables_altered_renamed_and_dropped_while_running() {
    // Goal: each row comes with the schema of its time, in order; a new name is a new table; a
    // dropped table ends nothing. Method: DDL between changes, then the schemas.
    let server = Server::start(Family::Postgres18);
    shop(&server);
    let rig = Rig::start(&source(&server, &["public.(t|u)"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server.sql(
        "insert into t values (3, 'c'); alter table t add n int default 7;
         insert into t values (4, 'd'); alter table t drop v; insert into t values (5, 8);
         alter table t drop constraint t_pkey, add primary key (n, id); insert into t values (6, 9);
         alter table t rename to u; update u set id = 60 where n = 9;
         create table other (id int); insert into other values (1);",
    );
    rig.wait_events(7);
    assert_eq!(rig.lines()[2..], ["c t 3|c", "c t 4|d|7", "c t 5|8", "c t 6|9", "u u 60|9"]);
    let shapes: Vec<String> = rig
        .schemas()
        .iter()
        .map(|s| {
            let names: Vec<&str> = s.columns.iter().map(|c| c.name.as_str()).collect();
            let key: Vec<&str> = s.key.iter().map(|&k| names[usize::from(k)]).collect();
            format!("{} {} {} key {}", s.name.table, s.version, names.join(","), key.join(","))
        })
        .collect();
    server.sql("insert into u values (7, 10); drop table u; create table after_it (id int);");
    rig.wait_events(8);
    assert_eq!(rig.lines()[7..], ["c u 7|10"]);
    assert_eq!(shapes[0], "t 1 id,v key id");
    assert_eq!(shapes.last().map(String::as_str), Some("u 1 id,n key n,id"));
    assert!(rig.stop().0.is_ok());
}

#[test]
fn l09_the_snapshot_reads_the_columns_of_the_log() {
    // Goal: generated and unpublished columns are in neither, children of a table in neither
    // twice, values are spelled alike. Method: one row before, the same row after the snapshot.
    let server = Server::start(Family::Postgres18);
    server.grant_cdc();
    server.sql(
        "create table g (id int primary key, a float8, b timestamptz, c bytea, d interval,
             twice int generated always as (id * 2) stored, secret text);
         create table child () inherits (g);
         create function fill(n int) returns void language sql as $$
             insert into g (id, a, b, c, d, secret) values
                 (n, 0.1::float8 + 0.2, '2026-01-01 12:00:00.5+02', '\\x00ff',
                     '1 day 2 hours', 'x') $$;
         select fill(1); insert into child (id) values (9);
         create publication p for table only g (id, a, b, c, d) where (id < 100);
         create publication p_insert;
         alter role cdc set timezone = 'Asia/Tokyo'; alter role cdc set datestyle = 'German';
         alter role cdc set bytea_output = 'escape'; alter role cdc set extra_float_digits = 0;
         insert into g (id) values (100);",
    );
    let rig = Rig::start(&source(&server, &["public.g"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server
        .sql("select fill(2); insert into g (id) values (101); insert into child (id) values (3);");
    rig.wait_events(2);
    let cells = "0.30000000000000004|2026-01-01 10:00:00.5+00|\\x00ff|1 day 02:00:00";
    assert_eq!(rig.lines(), [format!("r g 1|{cells}"), format!("c g 2|{cells}")]);
    assert_eq!(rig.schemas().len(), 1);
    assert!(rig.stop().0.is_ok());
}

#[test]
fn partitions_come_under_the_name_that_is_captured() {
    // Goal: naming only the partitioned table gives all rows under its name, in snapshot and
    // stream. Method: a row in each partition before and after.
    let server = Server::start(Family::Postgres15);
    server.grant_cdc();
    server.sql(
        "create table o (id int primary key, v text) partition by range (id);
         create table o_1 partition of o for values from (0) to (10);
         create table o_2 partition of o for values from (10) to (20);
         insert into o values (1, 'a'), (11, 'b');",
    );
    let rig = Rig::start(&source(&server, &["public.o"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server.sql("insert into o values (2, 'c'), (12, 'd'); update o set v = 'e' where id = 11;");
    rig.wait_events(5);
    let lines = rig.stop().1;
    assert_eq!(lines, ["r o 1|a", "r o 11|b", "c o 2|c", "c o 12|d", "u o 11|e"]);
}

#[test]
fn h04_an_idle_server_is_caught_up_behind_a_page_header() {
    // Goal: a catch-up ends on an idle server whose log was just switched (insert LSN behind a page
    // header that keepalives never reach). Method: pg_switch_wal, then a run that must end.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let rig = Rig::start(&source, Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let start = rig.restart();
    assert!(rig.stop().0.is_ok());
    server.sql("checkpoint;");
    server.sql("select pg_switch_wal();");
    let (end, _) =
        Rig::start(&source, Options { start, catch_up: true, ..Options::default() }).end();
    assert_eq!(end.ok(), Some(SourceEnd::CaughtUp));
}

#[test]
fn an_idle_slot_holds_no_log_and_only_durable_positions_are_told() {
    // Goal: invariant 4: other tables' traffic moves the slot of an idle pipeline, and nothing that
    // is not durable is ever confirmed. Method: changes while nothing becomes durable, then traffic
    // on a table that is not captured.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    server.sql("create table busy (n int);");
    let options = Options { undurable: true, ..Options::default() };
    let rig = Rig::start(&source(&server, &["public.t"]), options);
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let at_start = confirmed(&server);
    server.sql("insert into t values (3, 'c');");
    rig.wait_events(3);
    rig.wait("a keepalive to move the position", || {
        server.sql("insert into busy select generate_series(1, 1000);");
        let before = rig.position();
        server.sql("select pg_sleep(0.2);");
        rig.position() != before
    });
    assert_eq!(confirmed(&server), at_start, "what is not durable is not confirmed");
    rig.let_durable();
    server.sql("insert into busy select generate_series(1, 1000);");
    let behind = "select pg_current_wal_insert_lsn() - confirmed_flush_lsn < 4096 \
        from pg_replication_slots where slot_name = 's'";
    rig.wait("the slot to follow the log's end", || server.sql(behind) == "t\n");
    assert!(rig.stop().0.is_ok());
}

#[test]
fn an_idle_slot_follows_writes_in_another_database() {
    // Goal: a slot whose own database is quiet holds no log of the others'. Method: writes in
    // another database; the slot's confirmed position passes the end that the log had behind them.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let rig = Rig::start(&source(&server, &["public.t"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server.sql(
        "create database other;
         \\c other
         create table z as select g from generate_series(1, 10000) g;",
    );
    let end = server.sql("select pg_current_wal_lsn()").trim().to_owned();
    let passed = format!(
        "select confirmed_flush_lsn >= '{end}' from pg_replication_slots where slot_name = 's'"
    );
    rig.wait("the slot behind the other's writes", || server.sql(&passed) == "t\n");
    assert_eq!(rig.stop().1, ["r t 1|a", "r t 2|b"]);
}
