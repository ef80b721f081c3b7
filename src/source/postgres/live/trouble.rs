//! Lost connections, slow consumers, slots in use.

use super::rig::{Options, Rig, shop, source};
use super::server::{Family, Server};
use crate::source::SourceEnd;

/// Ids of the inserted rows, in order.
fn inserted(lines: &[String]) -> Vec<u32> {
    let id = |line: &String| line.strip_prefix("c t ")?.split('|').next()?.parse().ok();
    lines.iter().filter_map(id).collect()
}

#[test]
fn lost_connections_lose_and_repeat_nothing() {
    // Goal: a walsender that is ended again and again, in the middle of a large transaction too,
    // and a server restart: every row once, in order. Method: kills under a load of 60 rows a
    // transaction and one of 60,000.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let rig = Rig::start(&source(&server, &["public.t"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let kill = "select count(pg_terminate_backend(active_pid)) from pg_replication_slots \
        where active_pid is not null";
    let mut next = 10_u32;
    let mut insert = |count: u32| {
        let last = next + count - 1;
        let rows = format!("select g, repeat('x', 100) from generate_series({next}, {last}) g");
        server.sql(&format!("insert into t {rows}"));
        next = last + 1;
        last
    };
    for _ in 0..3 {
        insert(60);
        server.sql(kill);
        insert(60);
    }
    rig.block(true);
    let last = insert(60_000);
    // The rings and segments of the rig are full long before its end.
    let held_up = "select count(*) from pg_stat_activity where wait_event = 'WalSenderWriteData'";
    rig.wait("the walsender to wait for us", || server.sql(held_up) == "1\n");
    server.sql(kill);
    rig.block(false);
    rig.wait("the large transaction", || inserted(&rig.lines()).len() as u32 == last - 9);
    server.down();
    server.up();
    let last = insert(5);
    rig.wait("the last row", || inserted(&rig.lines()).last() == Some(&last));
    let (end, lines) = rig.stop();
    assert_eq!(end.ok(), Some(SourceEnd::Stopped));
    assert_eq!(inserted(&lines), (10..=last).collect::<Vec<_>>());
}

#[test]
fn h02_backpressure_does_not_cost_the_connection() {
    // Goal: a reader that cannot hand on for longer than wal_sender_timeout keeps its walsender.
    // Method: a limit of two seconds, a consumer that takes nothing for five; the same process
    // serves before and after.
    let server = Server::start_with(Family::Postgres15, &["-c", "wal_sender_timeout=2s"], &[]);
    shop(&server);
    let rig = Rig::start(&source(&server, &["public.t"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let pid = "select active_pid from pg_replication_slots";
    rig.wait("the walsender", || server.sql(pid) != "\n");
    let before = server.sql(pid);
    rig.block(true);
    server.sql("insert into t select g, repeat('x', 1000) from generate_series(10, 40009) g");
    let waited = std::time::Instant::now();
    rig.wait("five seconds of nothing", || waited.elapsed().as_secs() >= 5);
    rig.block(false);
    rig.wait("all rows", || inserted(&rig.lines()).len() == 40_000);
    assert_eq!(server.sql(pid), before);
    assert_eq!(inserted(&rig.stop().1), (10..40_010).collect::<Vec<_>>());
}

#[test]
fn h07_a_slot_in_use_is_waited_for() {
    // Goal: an active slot is Transient: once its reader is gone the stream goes on by itself.
    // Method: two rigs on one slot; the first stops, the second then gets the next row.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let first = Rig::start(&source, Options::default());
    first.wait("the end of the snapshot", || first.snapshot_done());
    let pid = "select active_pid is not null from pg_replication_slots";
    first.wait("the walsender", || server.sql(pid) == "t\n");
    let second = Rig::start(&source, Options { start: first.restart(), ..Options::default() });
    let sessions = "select count(*) from pg_stat_activity where application_name = 'penstock rig'";
    second.wait("the second reader", || {
        server.sql(sessions).trim().parse::<u32>().is_ok_and(|count| count > 2)
    });
    assert!(first.stop().0.is_ok());
    server.sql("insert into t values (3, 'c');");
    second.wait_events(1);
    assert_eq!(second.stop().1, ["c t 3|c"]);
}

#[test]
fn rows_larger_than_a_segment_come_whole() {
    // Goal: a row that no segment holds gets its own buffer, in snapshot and stream. Method: rows
    // of 300 kB between small ones, segments of 64 KiB.
    let server = Server::start(Family::Postgres15);
    shop(&server);
    server.sql("insert into t values (3, repeat('y', 300000)), (4, 'z');");
    let rig = Rig::start(&source(&server, &["public.t"]), Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    server
        .sql("insert into t values (5, repeat('w', 300000)), (6, 'v'), (7, repeat('u', 200000));");
    rig.wait_events(7);
    let lengths: Vec<usize> = rig.stop().1.iter().map(String::len).collect();
    let head = "r t 1|".len();
    assert_eq!(lengths, [1, 1, 300_000, 1, 300_000, 1, 200_000].map(|len: usize| len + head));
}
