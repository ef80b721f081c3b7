//! `check` and `offsets` against real servers, and slots that the server gave up.

use super::super::{check, offsets};
use super::rig::{Options, Rig, backend, shop, source};
use super::server::{Family, Server};
use crate::check::Level;
use crate::config::{Snapshot, SnapshotMode, Source};
use crate::error::Class;
use crate::runtime::run_alone;

/// Findings worse than ok: level, code and what mends it.
fn bad(source: &Source) -> Vec<(&'static str, &'static str, String)> {
    let (source, mode) = (source.clone(), SnapshotMode::Initial);
    let snapshot =
        Snapshot { mode, parallelism: 1, chunk_rows: 0, rows_per_second: 0, pause_ms: 0 };
    let found =
        run_alone(
            backend(),
            move || async move { check::check(&source, &snapshot, "checks").await },
        );
    let found = found.expect("a core serves");
    for finding in &found {
        assert!(crate::error::codes::find(finding.code).is_some(), "{}", finding.code);
    }
    let bad = found.into_iter().filter(|finding| finding.level > Level::Ok);
    bad.map(|f| (f.level.word(), f.code, f.mend.unwrap_or_default())).collect()
}

#[test]
fn what_is_missing_is_named_with_the_statement() {
    // Goal: a fresh server's lacks are each found with a statement that mends it, and after the
    // statements nothing is left. Method: check, run what it says, check again.
    for family in [Family::Postgres15, Family::Postgres18] {
        let server = Server::start(family);
        server.sql(
            "revoke pg_read_all_data from cdc; create table t (id int primary key);
             create table log (n int); create table silent (id int primary key);
             alter table silent replica identity nothing;",
        );
        let source = source(&server, &[]);
        let found = bad(&source);
        let codes: Vec<_> = found.iter().map(|(level, code, _)| (*level, *code)).collect();
        assert_eq!(
            codes,
            [
                ("failure", "pg-select"),
                ("warning", "pg-replica-identity"),
                ("failure", "pg-select"),
                ("warning", "pg-replica-identity"),
                ("failure", "pg-select"),
                ("failure", "pg-publication-right"),
            ]
        );
        let identity =
            "ALTER TABLE \"public\".\"silent\" REPLICA IDENTITY FULL; or add a primary key";
        assert_eq!(found[3].2, identity);
        for (_, code, mend) in &found {
            if *code != "pg-replica-identity" {
                server.sql(mend);
            }
        }
        server.sql(
            "alter table log replica identity full; alter table silent replica identity full;",
        );
        // They belong into the main publication now.
        let add = "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"public\".\"log\", \
                   ONLY \"public\".\"silent\";";
        assert_eq!(bad(&source), [("failure", "pg-publication-right", add.to_owned())]);
        server.sql(add);
        assert_eq!(bad(&source), []);
        let rig = Rig::start(&source, Options::default());
        rig.wait("the end of the snapshot", || rig.snapshot_done());
        let active = "select active_pid is not null from pg_replication_slots";
        rig.wait("the walsender", || server.sql(active) == "t\n");
        let in_use: Vec<_> = bad(&source).iter().map(|(_, code, _)| *code).collect();
        assert_eq!(in_use, ["pg-slot-in-use"]);
        assert!(rig.stop().0.is_ok());
    }
}

#[test]
fn settings_that_forbid_a_run() {
    // Goal: wal_level, the missing attribute, full slots, the bounded log and a wrong password are
    // findings. Method: servers with such settings.
    let options = ["-c", "wal_level=replica", "-c", "max_replication_slots=0"];
    let server = Server::start_with(Family::Postgres15, &options, &[]);
    server.sql("create table t (id int primary key); alter role cdc noreplication;");
    server.grant_cdc();
    let source = source(&server, &[]);
    let codes = |source: &Source| bad(source).iter().map(|f| f.1).collect::<Vec<_>>();
    assert_eq!(codes(&source), ["pg-wal-level", "pg-permission", "pg-slots-full"]);
    let wrong = Source { user: "app".into(), ..source };
    assert_eq!(codes(&wrong), ["pg-login"]);
}

#[test]
fn a_slot_that_the_server_gave_up() {
    // Goal: a lost slot is Fatal with its code, `check` says so, `offsets delete --drop-slot` drops
    // it, `when_needed` begins again by itself. Method: WAL beyond max_slot_wal_keep_size.
    let options = ["-c", "max_slot_wal_keep_size=1MB", "-c", "max_wal_size=32MB"];
    let server = Server::start_with(Family::Postgres18, &options, &[]);
    shop(&server);
    let source = source(&server, &["public.t"]);
    let rig = Rig::start(&source, Options::default());
    rig.wait("the end of the snapshot", || rig.snapshot_done());
    let start = rig.restart();
    assert!(rig.stop().0.is_ok());
    let lose = || {
        for _ in 0..6 {
            server.sql(
                "insert into t select g from generate_series(1000, 1010) g;
                 delete from t where id >= 1000;",
            );
            server.sql("select pg_switch_wal();");
        }
        server.sql("checkpoint;");
        assert_eq!(server.sql("select wal_status from pg_replication_slots"), "lost\n");
    };
    lose();
    let options = Options { start: start.clone(), ..Options::default() };
    let error = Rig::start(&source, options).error();
    assert_eq!((error.code, error.class), ("pg-slot-lost", Class::Fatal));
    let codes: Vec<_> = bad(&source).iter().map(|f| f.1).collect();
    assert_eq!(codes, ["pg-retention", "pg-slot-lost"]);
    let mode = SnapshotMode::WhenNeeded;
    let rig = Rig::start(&source, Options { mode, start, ..Options::default() });
    rig.wait("a new snapshot", || rig.snapshot_done());
    assert_eq!(rig.stop().1, ["r t 1|a", "r t 2|b"]);
    lose();
    let drop = || {
        let source = source.clone();
        let dropping =
            run_alone(
                backend(),
                move || async move { offsets::drop_slot(&source, "checks").await },
            );
        dropping.expect("a core serves").expect("the server drops it")
    };
    assert!(drop());
    assert!(!drop());
}
