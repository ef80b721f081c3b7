//! What only PostgreSQL's stream can meet.

use std::time::Duration;

use crate::pipe::{Config, Pipe, until};
use crate::proxy::Proxy;
use crate::records::read;
use crate::server::{Family, Server};

/// A server with a table `t (id, v)`.
fn start(family: Family, options: &[&str]) -> Server {
    let server = Server::start_with(family, options, &[]);
    server.grant_cdc();
    server.sql("create table t (id bigint primary key, v text);");
    server
}

/// Goal: a peer that is dead and closes nothing is noticed in the time that follows from
/// `wal_sender_timeout`, and nothing is lost. Method: a timeout of 2 s, a proxy that freezes, a row
/// meanwhile; silence is borne for six seconds then.
#[test]
fn h02_a_dead_peer_is_noticed() {
    let server = start(Family::Postgres15, &["-c", "wal_sender_timeout=2s"]);
    let proxy = Proxy::new(server.port);
    let config = Config::new("dead", &server, &["public.t"])
        .set("source", "port", &proxy.port.to_string())
        .set("source", "tls", "{ mode = \"off\" }");
    let pipe = Pipe::new(&config);
    let running = pipe.start(&[]);
    let rows = || read(&pipe.out(), "dead.public.t").len();
    server.sql("insert into t values (1, 'a');");
    until(Duration::from_secs(60), || (rows() == 1).then_some(()))
        .unwrap_or_else(|| panic!("no first row: {}", running.log()));
    until(Duration::from_secs(60), || running.log().contains("streaming from slot").then_some(()))
        .expect("it streams");
    proxy.freeze();
    server.sql("insert into t values (2, 'b');");
    until(Duration::from_secs(40), || {
        running.log().contains("nothing from the server for 6 s").then_some(())
    })
    .unwrap_or_else(|| panic!("the silence is not noticed: {}", running.log()));
    assert_eq!(rows(), 1);
    proxy.mend();
    until(Duration::from_secs(60), || (rows() == 2).then_some(()))
        .unwrap_or_else(|| panic!("no row after it: {}", running.log()));
    running.stop();
}

/// A pipeline that reads by its own slot, without a first snapshot.
fn reader(server: &Server, slot: &str, tables: &[&str], params: &str) -> Pipe {
    let config = Config::new("same", server, tables)
        .set("source", "slot", &format!("{slot:?}"))
        .set("source", "publication", "\"p\"")
        .set("source", "slot_stream_params", &format!("{params:?}"))
        .set("source", "provide_transaction_metadata", "true")
        .set("snapshot", "mode", "\"never\"")
        .set("sink", "delivery", "\"exactly_once\"");
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    pipe
}

/// Records of a topic without the times of their processing.
fn timeless(pipe: &Pipe, topic: &str) -> Vec<serde_json::Value> {
    let records = read(&pipe.out(), topic).into_iter().map(|record| {
        let mut value = record.value;
        // A transaction record's time is the source's.
        if let (Some(fields), false) = (value.as_object_mut(), topic.ends_with(".transaction")) {
            for time in ["ts_ms", "ts_us", "ts_ns"] {
                fields.remove(time);
            }
        }
        serde_json::json!([record.key, value])
    });
    records.collect()
}

/// Statistics of a slot: how many transactions were streamed.
fn streamed(server: &Server, slot: &str) -> u32 {
    let sql = format!(
        "select coalesce(sum(stream_txns), 0) from pg_stat_replication_slots \
         where slot_name = '{slot}'"
    );
    server.sql(&sql).trim().parse().expect("a number")
}

/// Goal: the same log read with and without streaming of transactions in progress gives equal
/// records, positions, orders and transaction metadata included. Method: two pipelines on two
/// slots; interleaved transactions of 64 kB and more with aborted parts, DDL, TRUNCATE, logical
/// messages, and some that change nothing captured.
#[test]
fn streamed_or_not_the_records_are_equal() {
    let server = start(Family::Postgres18, &["-c", "logical_decoding_work_mem=64kB"]);
    server.sql("create table o (id int primary key, v text); create table x (v text);");
    let tables = ["public.[to]"];
    let on = reader(&server, "a", &tables, "streaming=on");
    let off = reader(&server, "b", &tables, "streaming=off");
    let rows = |table: &str, from: u32, to: u32| {
        format!(
            "insert into {table} (id, v) select g, repeat('x', 100) \
             from generate_series({from}, {to}) g;"
        )
    };
    let (mut a, mut c) = (server.session(), server.session());
    a.run(&format!("begin; {} savepoint s;", rows("t", 1, 2000)));
    server.sql("insert into x select repeat('x', 100) from generate_series(1, 3000);");
    a.run(&format!("{} rollback to s;", rows("t", 3000, 3500)));
    c.run(&format!("begin; {}", rows("o", 1, 1500)));
    c.run("select pg_logical_emit_message(true, 'inside', 'of c');");
    server.sql("insert into o values (5000, 'single');");
    a.run("select pg_logical_emit_message(true, 'early', 'of a');");
    a.run(&format!("alter table t add w int default 5; {}", rows("t", 4000, 4500)));
    server.sql("select pg_logical_emit_message(false, 'alone', 'x');");
    c.run("commit;");
    a.run("update t set w = 6, v = 'short' where id < 50; delete from t where id > 4400;");
    a.run("truncate o; update t set id = 10000 where id = 50; commit;");
    c.run(&format!("begin; savepoint z; {} rollback to z;", rows("o", 1, 2000)));
    c.run("insert into x values ('not captured'); commit;");
    c.run(&format!("begin; {} savepoint y; {}", rows("o", 1, 1000), rows("o", 1001, 2000)));
    c.run("release y; commit; insert into o values (9000, 'last');");
    on.catch_up();
    off.catch_up();
    for (topic, count) in [
        ("same.public.t", 2000 + 501 + 49 + 100 + 100 + 2 + 1),
        ("same.public.o", 1500 + 1 + 2000 + 1),
        ("same.message", 3),
        ("same.transaction", 10),
    ] {
        let (streamed, whole) = (timeless(&on, topic), timeless(&off, topic));
        for (n, (a, b)) in streamed.iter().zip(&whole).enumerate() {
            assert_eq!(a, b, "{topic}, record {n}");
        }
        assert_eq!((streamed.len(), whole.len()), (count, count), "{topic}");
    }
    until(Duration::from_secs(20), || (streamed(&server, "a") >= 3).then_some(()))
        .expect("three transactions were streamed");
    assert_eq!(streamed(&server, "b"), 0);
}

/// Goal: kill -9 in the middle of a streamed transaction: its spilled pieces are dropped at the
/// next start and come again; every row once. Method: a transaction of 20 MB that is open at the
/// kill and committed afterwards; the spill folder before and after.
#[test]
fn kill9_in_a_streamed_transaction() {
    let server = start(Family::Postgres15, &["-c", "logical_decoding_work_mem=64kB"]);
    let pipe = reader(&server, "a", &["public.t"], "");
    let running = pipe.start(&[]);
    let mut a = server.session();
    let insert = |from: u32, to: u32| {
        format!("insert into t select g, repeat('x', 200) from generate_series({from}, {to}) g;")
    };
    a.run(&format!("begin; {}", insert(1, 60_000)));
    let spilled = || -> u64 {
        let folders = walk(pipe.dir());
        folders.iter().filter(|(path, _)| path.contains("/spill/")).map(|(_, len)| len).sum()
    };
    until(Duration::from_secs(60), || (spilled() > 1 << 20).then_some(()))
        .unwrap_or_else(|| panic!("nothing is spilled: {}", running.log()));
    running.kill();
    a.run(&format!("{} commit;", insert(60_001, 61_000)));
    pipe.catch_up();
    let records = read(&pipe.out(), "same.public.t");
    let ids: Vec<u64> = records.iter().filter_map(|r| r.key["id"].as_u64()).collect();
    assert_eq!(ids, (1..=61_000).collect::<Vec<u64>>());
    assert_eq!(spilled(), 0);
}

/// All files below a folder, with their lengths.
fn walk(folder: &std::path::Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => files.extend(walk(&entry.path())),
            Ok(meta) => files.push((entry.path().to_string_lossy().into_owned(), meta.len())),
            Err(_) => {}
        }
    }
    files
}

/// Goal: `source.origin` and `origin_lsn` tell where a replicated transaction came from, of a large
/// one too (which is not streamed then), and `origin=none` leaves such transactions out. Method: a
/// session with a replication origin beside one without.
#[test]
fn origins_are_told_or_left_out() {
    let server = start(Family::Postgres18, &["-c", "logical_decoding_work_mem=64kB"]);
    let any = reader(&server, "a", &["public.t"], "");
    let none = reader(&server, "b", &["public.t"], "origin=none");
    server.sql(
        "insert into t values (1, 'here');
         select pg_replication_origin_create('else\"where');
         select pg_replication_origin_session_setup('else\"where');
         begin; select pg_replication_origin_xact_setup('1/A', now());
         insert into t values (2, 'there'); commit;
         begin; select pg_replication_origin_xact_setup('1/B', now());
         insert into t select g, repeat('x', 100) from generate_series(3, 3000) g; commit;
         select pg_replication_origin_session_reset();
         insert into t values (3001, 'here');",
    );
    any.catch_up();
    none.catch_up();
    let origins = |pipe: &Pipe| -> Vec<(u64, serde_json::Value, serde_json::Value)> {
        let records = read(&pipe.out(), "same.public.t").into_iter();
        let told = |r: crate::records::Record| {
            let source = &r.value["source"];
            (
                r.key["id"].as_u64().unwrap_or(0),
                source["origin"].clone(),
                source["origin_lsn"].clone(),
            )
        };
        records.map(told).collect()
    };
    let null = serde_json::Value::Null;
    let from = |lsn: u64| (serde_json::json!("else\"where"), serde_json::json!(lsn));
    let mut want = vec![(1, null.clone(), null.clone())];
    want.push((2, from(0x1_0000_000A).0, from(0x1_0000_000A).1));
    want.extend((3..=3000).map(|id| (id, from(0x1_0000_000B).0, from(0x1_0000_000B).1)));
    want.push((3001, null.clone(), null.clone()));
    assert_eq!(origins(&any), want);
    assert_eq!(origins(&none), [want[0].clone(), want[want.len() - 1].clone()]);
}
