//! Jobs that every server family and version is put through: the main one, and kill -9 in its midst.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::pipe::{Config, Pipe, until};
use crate::records::{read, replay};
use crate::server::{Family, Server};
use crate::workload::{Rng, Workload, captured, topic};

pub const TABLE: &str = "load_t";

pub fn exactly_once(name: &str, server: &Server) -> Config {
    Config::new(name, server, &[&captured(server.family, TABLE)]).set(
        "sink",
        "delivery",
        "\"exactly_once\"",
    )
}

/// Runs a writer beside `body` until `body` returns; gives the writer back.
pub fn under_load(server: &Server, mut load: Workload, body: impl FnOnce()) -> Workload {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut session = server.session();
            while !done.load(Ordering::SeqCst) {
                let sql: String = (0..10).map(|_| load.transaction()).collect();
                session.run(&sql);
            }
            load
        });
        body();
        done.store(true, Ordering::SeqCst);
        writer.join().expect("the writer ends")
    })
}

/// Runs the n-th statement of `write`, n from 0, beside `body` until `body` returns.
pub fn under_writes(server: &Server, write: fn(u64) -> String, body: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = server.session();
            for n in 0.. {
                session.run(&write(n));
                if done.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        body();
        done.store(true, Ordering::SeqCst);
    });
}

/// `PENSTOCK_KILLS=1000 tests/run live kill9` is the long run.
fn kills() -> usize {
    std::env::var("PENSTOCK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// Goal: kill -9 at random moments, the first snapshot included, loses and repeats nothing with
/// the exactly-once file sink. Method: kills under load, then the whole history is compared.
pub fn kill9(family: Family) {
    let server = Server::start(family);
    server.grant_cdc();
    let mut load = Workload::new(&server, 9, 60);
    let first: String = (0..200).map(|_| load.transaction()).collect();
    server.sql(&first);
    let pipe = Pipe::new(&exactly_once("kill", &server).set("sink", "rotate_bytes", "200000"));
    let mut moments = Rng::new(u64::from(std::process::id()));
    let load = under_load(&server, load, || {
        for _ in 0..kills() {
            let running = pipe.start(&[]);
            // the moment itself is what varies: no condition to wait for
            std::thread::park_timeout(Duration::from_millis(50 + moments.below(900)));
            running.kill();
        }
    });
    pipe.catch_up();
    load.verify(&read(&pipe.out(), &topic("kill", family, TABLE)), true);
}

/// Goal: every row of the snapshot, then every change, in order, exactly once, over a clean stop
/// and a restart. Method: a writer that knows its history.
pub fn snapshot_then_stream(family: Family) {
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

/// Goal: what was rolled back leaves nothing, whatever the log holds of it; of MySQL, which versions
/// log it at all (HAZARDS L5: those that do not may stream before a group's end). Method: groups with
/// savepoints, temporary tables and a table without transactions, rolled back whole or in part.
pub fn rolled_back(family: Family) {
    let mysql = family.kind() == "mysql";
    let options: &[&str] = match mysql {
        true => &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
        false => &[],
    };
    let server = Server::start_with(family, options, &[]);
    server.sql(
        "create table a (id int primary key) engine = innodb; \
         create table m (id int primary key) engine = myisam;",
    );
    let pipe = Pipe::new(&Config::new("undone", &server, &["test.a"]));
    pipe.catch_up();
    server.sql(
        "begin; insert into a values (1); insert into m values (1); insert into a values (2); \
         rollback; \
         begin; insert into a values (3); savepoint s; insert into a values (4); \
         insert into m values (2); rollback to s; insert into a values (5); commit; \
         begin; insert into a values (6); savepoint s; insert into a values (7); rollback to s; \
         insert into a values (8); commit; \
         begin; insert into m values (3); insert into a values (9); rollback; \
         begin; insert into a values (20); create temporary table x (n int); \
         insert into x values (1); insert into a values (21); drop temporary table x; rollback; \
         begin; insert into a values (30); create temporary table y (n int); savepoint z; \
         insert into a values (31); rollback to z; commit;",
    );
    pipe.catch_up();
    let rows = replay(&read(&pipe.out(), &topic("undone", family, "a")));
    let mut ids: Vec<_> = rows.values().filter_map(|row| row["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [3, 5, 6, 8, 30]);
    if mysql {
        let logs = server.sql("show binary logs;");
        let files = logs.lines().filter_map(|line| line.split('\t').next());
        let events: String =
            files.map(|file| server.sql(&format!("show binlog events in '{file}';"))).collect();
        let undone = |line: &str| line.rsplit('\t').next().is_some_and(|i| i.contains("ROLLBACK"));
        assert_eq!(events.lines().any(undone), family == Family::MySql57, "{events}");
    }
}
