//! What must not lose or repeat anything: kill -9 of us, a crash of the server, a cut network, a
//! transaction larger than memory.

use std::time::Duration;

use crate::jobs::{TABLE, exactly_once, kill9, under_load};
use crate::pipe::{Pipe, until};
use crate::proxy::Proxy;
use crate::records::read;
use crate::server::{Family, Server};
use crate::workload::{Workload, topic};

#[test]
fn kill9_mysql97() {
    kill9(Family::MySql97);
}

#[test]
fn kill9_mariadb1011() {
    kill9(Family::MariaDb1011);
}

#[test]
fn kill9_mariadb118() {
    kill9(Family::MariaDb118);
}

#[test]
fn kill9_postgres15() {
    kill9(Family::Postgres15);
}

#[test]
fn kill9_postgres18() {
    kill9(Family::Postgres18);
}

/// Goal: a server that crashes and comes back, and a network that is cut in mid stream, are ridden
/// out by the running process. Method: both, under a proxy, then the history is compared.
fn outage(family: Family) {
    let server = Server::start(family);
    server.grant_cdc();
    let mut load = Workload::new(&server, 5, 60);
    let first: String = (0..50).map(|_| load.transaction()).collect();
    server.sql(&first);
    let proxy = Proxy::new(server.port);
    let config = exactly_once("outage", &server)
        .set("source", "port", &proxy.port.to_string())
        .set("source", "tls", "{ mode = \"off\" }");
    let pipe = Pipe::new(&config);
    let mut running = pipe.start(&[]);
    let topic = topic("outage", family, TABLE);
    until(Duration::from_secs(20), || (!read(&pipe.out(), &topic).is_empty()).then_some(()))
        .expect("the snapshot arrives");
    load = under_load(&server, load, || {
        for _ in 0..2 {
            proxy.cut();
            std::thread::park_timeout(Duration::from_millis(300));
            proxy.mend();
            let before = read(&pipe.out(), &topic).len();
            until(Duration::from_secs(30), || {
                (read(&pipe.out(), &topic).len() > before).then_some(())
            })
            .unwrap_or_else(|| panic!("nothing after a cut: {}", running.log()));
        }
    });
    server.down();
    let before = read(&pipe.out(), &topic).len();
    server.up();
    let sql: String = (0..50).map(|_| load.transaction()).collect();
    server.sql(&sql);
    until(Duration::from_secs(40), || (read(&pipe.out(), &topic).len() > before).then_some(()))
        .unwrap_or_else(|| panic!("nothing after a restart of the server: {}", running.log()));
    assert!(running.alive());
    running.stop();
    pipe.catch_up();
    load.verify(&read(&pipe.out(), &topic), true);
}

#[test]
fn outage_mysql97() {
    outage(Family::MySql97);
}

#[test]
fn outage_mariadb1011() {
    outage(Family::MariaDb1011);
}

#[test]
fn outage_mariadb118() {
    outage(Family::MariaDb118);
}

#[test]
fn outage_postgres15() {
    outage(Family::Postgres15);
}

#[test]
fn outage_postgres18() {
    outage(Family::Postgres18);
}

/// Goal: one transaction of a million rows passes in flat memory. Method: peak resident memory
/// of the process, by the kernel's own count.
fn large_transaction(family: Family) {
    const ROWS: usize = 1_000_000;
    const PEAK_KIB_MAX: u64 = 64 << 10;
    let server = Server::start(family);
    server.grant_cdc();
    drop(Workload::new(&server, 1, 1));
    let pipe = Pipe::new(&exactly_once("large", &server));
    pipe.catch_up();
    server.sql(&match family.is_postgres() {
        true => format!(
            "insert into {TABLE} select n, n, 'row ' || n from generate_series(1, {ROWS}) n;"
        ),
        false => {
            let digits = "(select 0 d union all select 1 union all select 2 union all select 3 \
                union all select 4 union all select 5 union all select 6 union all select 7 \
                union all select 8 union all select 9)";
            let n = "a.d + b.d * 10 + c.d * 100 + e.d * 1000 + f.d * 10000 + g.d * 100000 + 1";
            format!(
                "insert into {TABLE} select {n}, {n}, concat('row ', {n}) from {digits} a, \
                 {digits} b, {digits} c, {digits} e, {digits} f, {digits} g;"
            )
        }
    });
    let mut running = pipe.start(&["--exit-when-caught-up"]);
    let status = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    let ended = until(Duration::from_secs(120), || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        (!running.alive()).then_some(())
    });
    ended.expect("it ends");
    assert!(running.wait(Duration::from_secs(1)).success(), "{}", running.log());
    let records = read(&pipe.out(), &topic("large", family, TABLE));
    assert_eq!(records.iter().filter(|r| r.op() == "c").count(), ROWS);
    assert!(peak <= PEAK_KIB_MAX, "peak {peak} KiB");
    assert!(peak > 1 << 10, "the peak was read");
}

#[test]
fn large_transaction_mysql97() {
    large_transaction(Family::MySql97);
}

#[test]
fn large_transaction_mariadb1011() {
    large_transaction(Family::MariaDb1011);
}

#[test]
fn large_transaction_mariadb118() {
    large_transaction(Family::MariaDb118);
}

#[test]
fn large_transaction_postgres15() {
    large_transaction(Family::Postgres15);
}

#[test]
fn large_transaction_postgres18() {
    large_transaction(Family::Postgres18);
}
