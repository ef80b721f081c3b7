//! The main job on every server family: first snapshot, then the stream, then a restart.

use std::time::Duration;

use crate::pipe::{Config, Pipe, until};
use crate::records::{read, replay};
use crate::server::{Family, Server};
use crate::workload::{Workload, captured, topic};

/// Goal: every row of the snapshot, then every change, in order, exactly once, over a clean stop
/// and a restart. Method: a writer that knows its history.
fn snapshot_then_stream(family: Family) {
    let server = Server::start(family);
    server.grant_cdc();
    let mut load = Workload::new(&server, 1, 40);
    let first: String = (0..30).map(|_| load.transaction()).collect();
    server.sql(&first);
    let config = Config::new("smoke", &server, &[&captured(family, "load_t")]).set(
        "sink",
        "delivery",
        "\"exactly_once\"",
    );
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    let topic = topic("smoke", family, "load_t");
    let records = read(&pipe.out(), &topic);
    assert_eq!(records.len(), load.alive().len(), "one r a living row");
    assert!(records.iter().all(|r| r.op() == "r"));
    assert_eq!(records.first().map(|r| r.snapshot().to_owned()).as_deref(), Some("first"));
    assert_eq!(records.last().map(|r| r.snapshot().to_owned()).as_deref(), Some("last"));

    let running = pipe.start(&[]);
    for _ in 0..20 {
        let sql: String = (0..10).map(|_| load.transaction()).collect();
        server.sql(&sql);
    }
    let rows = || replay(&read(&pipe.out(), &topic)).len() == load.alive().len();
    until(Duration::from_secs(20), || rows().then_some(())).expect("the changes arrive");
    running.stop();

    let sql: String = (0..50).map(|_| load.transaction()).collect();
    server.sql(&sql);
    pipe.catch_up();
    load.verify(&read(&pipe.out(), &topic), true);
}

#[test]
fn smoke_mysql97() {
    snapshot_then_stream(Family::MySql97);
}

#[test]
fn smoke_mariadb1011() {
    snapshot_then_stream(Family::MariaDb1011);
}

#[test]
fn smoke_mariadb118() {
    snapshot_then_stream(Family::MariaDb118);
}

#[test]
fn smoke_postgres15() {
    snapshot_then_stream(Family::Postgres15);
}

#[test]
fn smoke_postgres18() {
    snapshot_then_stream(Family::Postgres18);
}
