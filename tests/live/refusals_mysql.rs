//! Bad input of MySQL and MariaDB sources: what the binary says, its status, and that nothing is
//! lost once the cause is mended.

use std::time::Duration;

use crate::pipe::{Config, Pipe, assert_explained, until};
use crate::records::{Record, read, replay};
use crate::refusals::{SECRET, assert_secret_kept};
use crate::server::{Family, Server};
use crate::workload::{Workload, topic};

const TABLE: &str = "load_t";

/// A pipeline of the user `keeper`, whose password is the secret.
fn config(name: &str, server: &Server, tables: &[&str]) -> Config {
    Config::new(name, server, tables)
        .set("source", "user", "\"keeper\"")
        .set("source", "password", &format!("{SECRET:?}"))
        .set("sink", "delivery", "\"exactly_once\"")
}

/// A server with a table under load and the user `keeper`, who has these privileges.
fn start(family: Family, grants: &str, options: &[&str], env: &[(&str, &str)]) -> Server {
    let server = Server::start_with(family, options, env);
    server.sql(&format!(
        "create user keeper@'%' identified by '{SECRET}'; grant {grants} on *.* to keeper@'%';"
    ));
    server
}

fn all_grants(family: Family) -> &'static str {
    match family {
        Family::MySql97 => "select, reload, replication slave, replication client",
        _ => "select, reload, replication slave, binlog monitor",
    }
}

fn run(server: &Server, load: &mut Workload, transactions: usize) {
    let sql: String = (0..transactions).map(|_| load.transaction()).collect();
    server.sql(&sql);
}

fn records(pipe: &Pipe, family: Family, table: &str) -> Vec<Record> {
    read(&pipe.out(), &topic(&pipe.name, family, table))
}

/// Fails unless a consumer of the records holds the rows that the table has.
fn assert_held(pipe: &Pipe, family: Family, load: &Workload) {
    let rows = replay(&records(pipe, family, TABLE));
    let held: Vec<_> = rows.values().map(|r| (r["id"].as_u64(), r["v"].as_u64())).collect();
    let mut want: Vec<_> = load.alive().iter().map(|(&k, &v)| (Some(k), Some(v))).collect();
    want.sort_by_key(|(k, _)| format!("{{\"id\":{}}}", k.unwrap_or(0)));
    assert_eq!(held, want);
}

/// Goal: a login that cannot work and a missing privilege end the run with status 1 and say what
/// to do; once mended, all that was written meanwhile arrives. Method: each in turn, one pipeline.
fn logins(family: Family) {
    let server = start(family, "select, reload, replication client", &[], &[]);
    let mut load = Workload::new(&server, 3, 30);
    run(&server, &mut load, 20);
    let good = || config("login", &server, &["test.load_t"]);
    let pipe = Pipe::new(&good().set("source", "password", "\"wrong\""));
    pipe.refuses("my-access-denied");
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("my-access-denied"), "{text}");

    pipe.configure(&good().set("source", "tls", "{ mode = \"verify-full\" }"));
    pipe.refuses("tls-untrusted");
    if family == Family::MySql97 {
        // its own CA mends that; the certificate that it makes for itself names no host
        let ca = server.dir().join("data/ca.pem");
        let tls = format!("{{ mode = \"verify-full\", ca = {ca:?} }}");
        pipe.configure(&good().set("source", "tls", &tls));
        pipe.refuses("tls-name-mismatch");
        let tls = tls.replace("full", "ca");
        pipe.configure(&good().set("source", "tls", &tls));
        let (_, text) = pipe.output(&["check"], &[]);
        assert!(text.contains("the connection is encrypted"), "{text}");
    }

    pipe.configure(&good());
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("lacks REPLICATION SLAVE"), "{text}");
    // the log is needed from the beginning: it proves that the schemas are those of the snapshot
    pipe.refuses("my-missing-grant");
    server.sql("grant replication slave on *.* to keeper@'%';");
    pipe.catch_up();
    load.verify(&records(&pipe, family, TABLE), true);

    // without SELECT the table is not even seen: check fails, the run says so
    server.sql("revoke select, reload on *.* from keeper@'%';");
    let unseen = Pipe::new(&config("unseen", &server, &["test.load_t"]));
    let (status, text) = unseen.output(&["check"], &[]);
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("my-no-tables") && text.contains("lacks SELECT"), "{text}");
    unseen.catch_up();
    let log = std::fs::read_to_string(unseen.dir().join("log")).expect("a log");
    assert!(log.contains("no table of the server is captured"), "{log}");
    server.sql(&format!("grant {} on *.* to keeper@'%';", all_grants(family)));
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = pipe.output(&["offsets", "show"], &[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("the first snapshot is whole"), "{text}");
    assert_secret_kept(&pipe);
    assert_secret_kept(&unseen);
}

#[test]
fn logins_mysql97() {
    logins(Family::MySql97);
}

#[test]
fn logins_mariadb118() {
    logins(Family::MariaDb118);
}

/// Goal: what the log does not hold as rows is an error, never skipped; less than whole rows are
/// announced. Method: a session that logs statements, then row images cut down.
fn poor_log(family: Family) {
    let server = start(family, all_grants(family), &[], &[]);
    let mut load = Workload::new(&server, 4, 30);
    run(&server, &mut load, 20);
    let pipe = Pipe::new(&config("poor", &server, &["test.load_t"]));
    pipe.catch_up();
    server.sql("set session binlog_format = statement; update load_t set note = 'lost';");
    let log = pipe.refuses("my-statement-format");
    assert!(log.contains("test.load_t") && log.contains("  at: binlog.00000"), "{log}");
    // not passed by a second start either
    pipe.refuses("my-statement-format");
    let (status, text) = pipe.output(&["offsets", "delete"], &[]);
    assert_eq!(status, Some(0), "{text}");
    std::fs::remove_dir_all(pipe.out()).expect("the output is there");
    run(&server, &mut load, 5);
    pipe.catch_up();
    assert_held(&pipe, family, &load);

    server.sql("set global binlog_row_image = minimal;");
    run(&server, &mut load, 20);
    let before = records(&pipe, family, TABLE).len();
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(0), "a warning only: {text}");
    assert!(text.contains("warning  my-row-image"), "{text}");
    let mut running = pipe.start(&["--exit-when-caught-up"]);
    let ended = running.wait(Duration::from_secs(60));
    assert!(ended.success(), "{}", running.log());
    let log = running.log();
    assert!(log.contains("binlog_row_image is MINIMAL: updates and deletes do not carry"), "{log}");
    assert!(records(&pipe, family, TABLE).len() > before, "the records come all the same");
    assert_secret_kept(&pipe);
}

#[test]
fn poor_log_mysql97() {
    poor_log(Family::MySql97);
}

#[test]
fn poor_log_mariadb118() {
    poor_log(Family::MariaDb118);
}

/// Goal: a log that was purged past us, and one that never held what we delivered, are errors; the
/// mode `when_needed` takes a new snapshot. Method: both on one server, the rows compared.
fn lost_log(family: Family) {
    let server = start(family, all_grants(family), &[], &[]);
    if family != Family::MySql97 {
        server.sql("set global slave_connections_needed_for_purge = 0;");
    }
    let mut load = Workload::new(&server, 5, 30);
    run(&server, &mut load, 20);
    let again = |pipe: &Pipe, name: &str| {
        let mode = config(name, &server, &["test.load_t"]);
        pipe.configure(&mode.set("snapshot", "mode", "\"when_needed\""));
        pipe.catch_up();
    };
    let purged = Pipe::new(&config("purged", &server, &["test.load_t"]));
    purged.catch_up();
    run(&server, &mut load, 20);
    server.sql("flush binary logs;");
    run(&server, &mut load, 5);
    server.sql("flush binary logs;");
    let newest = server.sql("show binary logs;");
    let newest = newest.lines().last().and_then(|l| l.split('\t').next()).expect("a log");
    // MariaDB keeps a log until the engine no longer needs it for recovery
    let only_one = || {
        let left = server.sql(&format!("purge binary logs to '{newest}'; show binary logs;"));
        (left.lines().count() == 1).then_some(())
    };
    until(Duration::from_secs(20), only_one).expect("the others are gone");
    run(&server, &mut load, 5);
    purged.refuses("my-binlog-purged");
    again(&purged, "purged");
    let rows = records(&purged, family, TABLE);
    let fresh = rows.iter().rposition(|r| r.op() != "r").map_or(0, |n| n + 1);
    let first = rows.iter().rposition(|r| r.snapshot() == "first").expect("a second snapshot");
    assert!(first >= fresh && first > 0, "the second snapshot stands last");
    assert_eq!(replay(&rows[first..]).len(), load.alive().len());

    let reset = Pipe::new(&config("reset", &server, &["test.load_t"]));
    reset.catch_up();
    run(&server, &mut load, 5);
    reset.catch_up();
    server.sql(match family {
        Family::MySql97 => "reset binary logs and gtids;",
        _ => "reset master;",
    });
    run(&server, &mut load, 1);
    reset.refuses("my-other-past");
    again(&reset, "reset");
    run(&server, &mut load, 5);
    reset.catch_up();
    let rows = records(&reset, family, TABLE);
    let first = rows.iter().rposition(|r| r.snapshot() == "first").expect("a second snapshot");
    assert_eq!(replay(&rows[first..]).len(), load.alive().len());
    assert_secret_kept(&purged);
    assert_secret_kept(&reset);
}

#[test]
fn lost_log_mysql97() {
    lost_log(Family::MySql97);
}

#[test]
fn lost_log_mariadb118() {
    lost_log(Family::MariaDb118);
}

/// Goal: tables that are altered, renamed and dropped between two runs, with names in the log, go
/// on without an error; each row has the columns that it had. Method: one log read at one go.
fn ddl(family: Family) {
    let server = start(family, all_grants(family), &[], &[]);
    server.sql("create table a (id int primary key, v int); create table b like a;");
    let pipe = Pipe::new(&config("ddl", &server, &["test.*"]));
    pipe.catch_up();
    server.sql(
        "insert into a values (1, 1); alter table a add column w int default 5; \
         insert into a values (2, 2, 7); insert into b values (1, 1); rename table b to c; \
         insert into c values (2, 2); drop table c; alter table a drop column v; \
         insert into a values (3, 9);",
    );
    pipe.catch_up();
    let rows = |table| {
        let rows = records(&pipe, family, table);
        rows.iter().map(|r| r.after().to_string()).collect::<Vec<_>>()
    };
    let want = [r#"{"id":1,"v":1}"#, r#"{"id":2,"v":2,"w":7}"#, r#"{"id":3,"w":9}"#];
    assert_eq!(rows("a"), want);
    assert_eq!(rows("b"), [r#"{"id":1,"v":1}"#]);
    assert_eq!(rows("c"), [r#"{"id":2,"v":2}"#]);
    assert_secret_kept(&pipe);
}

#[test]
fn ddl_mysql97() {
    ddl(Family::MySql97);
}

#[test]
fn ddl_mariadb118() {
    ddl(Family::MariaDb118);
}

/// Goal: DDL stops nothing where the log names no columns; TLS that the server has not is an error.
/// Method: one server with neither.
#[test]
fn ddl_without_names_and_no_tls_mysql97() {
    let family = Family::MySql97;
    let env = [("MYSQL_ROW_METADATA", "MINIMAL")];
    let server = start(family, all_grants(family), &["--tls-version="], &env);
    server.sql("create table a (id int primary key, v int); create table b like a;");
    let tls = config("tls", &server, &[]).set("source", "tls", "{ mode = \"require\" }");
    let tls = Pipe::new(&tls);
    tls.refuses("tls-not-offered");

    let pipe = Pipe::new(&config("goes", &server, &["test.*"]));
    pipe.catch_up();
    server.sql(
        "alter table a add column w int default 5; insert into a values (4, 4, 4); \
         insert into b values (1, 1);",
    );
    pipe.catch_up();
    let after = |table: &str| {
        let records = records(&pipe, family, table);
        records.iter().map(|r| r.after().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after("a"), [r#"{"id":4,"v":4,"w":4}"#]);
    assert_eq!(after("b"), [r#"{"id":1,"v":1}"#]);
    for pipe in [&tls, &pipe] {
        assert_secret_kept(pipe);
    }
}

/// Goal: of two pipelines with one server id, one ends with the reason and the other goes on
/// (HAZARDS H8). Method: both run until one of them has ended.
fn server_id_clash(family: Family) {
    let server = start(family, all_grants(family), &[], &[]);
    let mut load = Workload::new(&server, 8, 30);
    run(&server, &mut load, 5);
    let id = |name| config(name, &server, &["test.load_t"]).set("source", "server_id", "777");
    let pipes = [Pipe::new(&id("one")), Pipe::new(&id("two"))];
    let mut runs = pipes.each_ref().map(|pipe| pipe.start(&[]));
    let ended = until(Duration::from_secs(60), || runs.iter_mut().position(|r| !r.alive()));
    let ended = ended.expect("one of them gives up");
    assert_eq!(runs[ended].wait(Duration::from_secs(1)).code(), Some(1));
    assert_explained(&runs[ended].log(), "my-server-id-clash");
    run(&server, &mut load, 5);
    let [first, second] = runs;
    let mut other = if ended == 0 { second } else { first };
    let arrived = || {
        let rows = replay(&records(&pipes[1 - ended], family, TABLE));
        let v = |r: &serde_json::Value| (r["id"].as_u64(), r["v"].as_u64());
        let mut rows: Vec<_> = rows.values().map(v).collect();
        rows.sort_unstable();
        let want = load.alive().into_iter().map(|(k, v)| (Some(k), Some(v)));
        rows.into_iter().eq(want).then_some(())
    };
    until(Duration::from_secs(30), arrived).expect("the other goes on");
    assert!(other.alive());
    other.stop();
    // with an id of its own nothing is lost
    pipes[ended].configure(&id(&pipes[ended].name).set("source", "server_id", "778"));
    for pipe in &pipes {
        pipe.catch_up();
        load.verify(&records(pipe, family, TABLE), true);
        assert_secret_kept(pipe);
    }
}

#[test]
fn h08_server_id_clash_mysql97() {
    server_id_clash(Family::MySql97);
}

#[test]
fn h08_server_id_clash_mariadb118() {
    server_id_clash(Family::MariaDb118);
}
