//! The first snapshot with several readers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::jobs::under_writes;
use crate::pipe::{Config, Pipe, Running, until};
use crate::records::{Record, read, replay};
use crate::server::{Family, Server};

/// Tables of the snapshot: a large one, and small ones of which one is empty.
const TABLES: [(&str, u64); 5] =
    [("big", 200_000), ("mid", 20_000), ("two", 2), ("one", 1), ("none", 0)];

/// A server with these tables; about 40 MB in `big`.
fn start(family: Family) -> Server {
    let server = Server::start(family);
    server.grant_cdc();
    for (table, rows) in TABLES {
        server.sql(&format!(
            "create table {table} (id bigint primary key, v bigint not null, pad text); \
             insert into {table} select n, 0, repeat('x', 150) from generate_series(1, {rows}) n;"
        ));
    }
    server
}

/// Transactions that move rows of `big` and `mid` about: updates write new row versions to other
/// pages, deletes and inserts change which rows there are.
fn churn(n: u64) -> String {
    let (hit, gone, new) = (n * 37 % 1000, 1 + n * 7919 % 200_000, 1_000_000 + n);
    format!(
        "begin; update big set v = v + 1 where id % 1000 = {hit}; \
         delete from big where id = {gone}; insert into big values ({new}, {n}, 'new'); \
         update mid set v = v + 1 where id = {}; commit;\n",
        1 + n % 20_000
    )
}

fn configuration(server: &Server, rows_per_second: u64) -> Config {
    Config::new("par", server, &["public\\..*"])
        .set("snapshot", "parallelism", "3")
        .set("snapshot", "rows_per_second", &rows_per_second.to_string())
        .set("sink", "delivery", "\"exactly_once\"")
}

fn topic(table: &str) -> String {
    format!("par.public.{table}")
}

/// Rows of the server and rows that a consumer holds: id → v.
fn same_rows(server: &Server, pipe: &Pipe, table: &str) {
    let text = server.sql(&format!("select id, v from {table};"));
    let row = |line: &str| {
        let (id, v) = line.split_once('\t').expect("two columns");
        (id.parse::<u64>().expect("id"), v.parse::<u64>().expect("v"))
    };
    let wanted: BTreeMap<u64, u64> = text.lines().map(row).collect();
    let held = replay(&read(&pipe.out(), &topic(table)));
    let number = |row: &serde_json::Value, name: &str| row[name].as_u64().expect("a number");
    let held: BTreeMap<u64, u64> =
        held.values().map(|row| (number(row, "id"), number(row, "v"))).collect();
    assert_eq!(held.len(), wanted.len(), "{table}");
    let differ = wanted.iter().find(|(id, v)| held.get(id) != Some(v));
    assert_eq!(differ, None, "{table}");
}

/// Every `r` before every change, each key once; the markers by table. Returns how many rows of all
/// tables are marked `first` and `last`.
fn right_markers(records: &[Record], table: &str) -> (usize, usize) {
    let rows: Vec<&Record> = records.iter().take_while(|r| r.op() == "r").collect();
    assert_eq!(records.iter().filter(|r| r.op() == "r").count(), rows.len(), "{table}: r first");
    let mut ids: Vec<u64> = rows.iter().filter_map(|r| r.key["id"].as_u64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "{table}: each row once");
    let count = |marker: &str| rows.iter().filter(|r| r.snapshot() == marker).count();
    let (first, last) = (count("first"), count("last"));
    if let [begin, .., end] = rows.as_slice() {
        let begins = ["first", "first_in_data_collection"];
        let ends = ["last", "last_in_data_collection"];
        assert!(begins.contains(&begin.snapshot()), "{table}: {}", begin.snapshot());
        assert!(ends.contains(&end.snapshot()), "{table}: {}", end.snapshot());
        assert_eq!(first + count("first_in_data_collection"), 1, "{table}");
        assert_eq!(last + count("last_in_data_collection"), 1, "{table}");
        assert_eq!(count("true"), rows.len() - 2, "{table}");
    }
    (first, last)
}

fn rows(pipe: &Pipe, table: &str) -> usize {
    let file = pipe.out().join(format!("{}.jsonl", topic(table)));
    std::fs::read(file).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

fn readers(running: &Running) {
    assert!(running.log().contains("readers=3"), "one view, three readers: {}", running.log());
}

/// Goal: three readers under one view give every row once, the markers once, all `r` before the
/// changes, and with these the source's rows; also when the first try is killed in its midst.
/// Method: writers on the large table from before the start to after the end, a throttled first run
/// that is killed at 10,000 rows, then the whole.
fn parallel(family: Family) {
    let server = start(family);
    let pipe = Pipe::new(&configuration(&server, 60_000));
    under_writes(&server, churn, || {
        let running = pipe.start(&[]);
        until(Duration::from_secs(60), || (rows(&pipe, "big") > 10_000).then_some(()))
            .unwrap_or_else(|| panic!("no rows: {}", running.log()));
        readers(&running);
        assert!(!running.log().contains("streaming from slot"), "killed in the snapshot");
        running.kill();
        pipe.configure(&configuration(&server, 0));
        let running = pipe.start(&[]);
        let file = pipe.out().join(format!("{}.jsonl", topic("big")));
        until(Duration::from_secs(90), || {
            let text = std::fs::read(&file).unwrap_or_default();
            let end = text.len().saturating_sub(1 << 16);
            String::from_utf8_lossy(&text[end..]).contains("\"op\":\"u\"").then_some(())
        })
        .unwrap_or_else(|| panic!("no stream: {}", running.log()));
        running.stop();
    });
    pipe.catch_up();
    let (mut firsts, mut lasts) = (0, 0);
    for (table, _) in TABLES {
        same_rows(&server, &pipe, table);
        let records = read(&pipe.out(), &topic(table));
        let (first, last) = right_markers(&records, table);
        (firsts, lasts) = (firsts + first, lasts + last);
    }
    assert_eq!((firsts, lasts), (1, 1));
    let changes = read(&pipe.out(), &topic("big")).iter().filter(|r| r.op() == "u").count();
    assert!(changes > 0, "written meanwhile");
}

#[test]
fn parallel_snapshot_postgres15() {
    parallel(Family::Postgres15);
}

#[test]
fn parallel_snapshot_postgres18() {
    parallel(Family::Postgres18);
}

/// Goal: a reader whose session dies ends its siblings; the snapshot starts over under one new view
/// and is whole, each row once. Method: a throttled snapshot, one of three sessions terminated.
#[test]
fn parallel_snapshot_starts_over_when_a_reader_is_lost() {
    let server = start(Family::Postgres18);
    let pipe = Pipe::new(&configuration(&server, 60_000));
    let mut running = pipe.start(&["--exit-when-caught-up"]);
    until(Duration::from_secs(60), || (rows(&pipe, "big") > 10_000).then_some(()))
        .unwrap_or_else(|| panic!("no rows: {}", running.log()));
    readers(&running);
    let sessions = server.sql(
        "select pid from pg_stat_activity where application_name = 'penstock par' \
         and backend_xmin is not null and query like 'SELECT % FROM ONLY %';",
    );
    let pids: Vec<&str> = sessions.lines().collect();
    assert_eq!(pids.len(), 3, "{}", running.log());
    assert_eq!(server.sql(&format!("select pg_terminate_backend({});", pids[1])).trim(), "t");
    let left = format!("select count(*) from pg_stat_activity where pid in ({})", pids.join(","));
    until(Duration::from_secs(20), || (server.sql(&left).trim() == "0").then_some(()))
        .expect("the siblings end");
    let status = running.wait(Duration::from_secs(60));
    assert!(status.success(), "{}", running.log());
    assert!(running.log().contains("the first snapshot was cut"), "{}", running.log());
    let (mut firsts, mut lasts) = (0, 0);
    for (table, count) in TABLES {
        same_rows(&server, &pipe, table);
        let records = read(&pipe.out(), &topic(table));
        assert_eq!(records.len() as u64, count, "{table}");
        let (first, last) = right_markers(&records, table);
        (firsts, lasts) = (firsts + first, lasts + last);
    }
    assert_eq!((firsts, lasts), (1, 1));
}

/// Rows that no segment holds, one after another, in a snapshot and then from the log.
fn large_rows(family: Family) {
    // Goal: each needs the buffer that the row before it let go. Method: rows of 700 KB, of three
    // tables; whole and in order at the other end.
    let server = Server::start(family);
    server.grant_cdc();
    let (text, space) = match family.is_postgres() {
        true => ("text", "public"),
        false => ("longtext", "test"),
    };
    for table in ["a", "b", "c"] {
        server.sql(&format!("create table {table} (id bigint primary key, pad {text});"));
        for id in 1..=3 {
            server.sql(&format!("insert into {table} values ({id}, repeat('x', 700000 + {id}));"));
        }
    }
    let pipe = Pipe::new(&Config::new("large", &server, &[&format!("{space}\\..*")]));
    pipe.catch_up();
    for table in ["a", "b", "c"] {
        server.sql(&format!("update {table} set pad = repeat('y', 700000) where id < 3;"));
    }
    pipe.catch_up();
    for table in ["a", "b", "c"] {
        let records = read(&pipe.out(), &format!("large.{space}.{table}"));
        let lengths: Vec<(&str, usize)> = records
            .iter()
            .map(|r| (r.op(), r.value["after"]["pad"].as_str().map_or(0, str::len)))
            .collect();
        let read = [("r", 700_001), ("r", 700_002), ("r", 700_003)];
        assert_eq!(lengths, [&read[..], &[("u", 700_000); 2]].concat(), "{table}");
    }
}

#[test]
fn h05_large_rows_mysql97() {
    large_rows(Family::MySql97);
}

#[test]
fn h05_large_rows_mariadb118() {
    large_rows(Family::MariaDb118);
}

#[test]
fn h05_large_rows_postgres18() {
    large_rows(Family::Postgres18);
}
