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
