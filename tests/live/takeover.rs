//! A move from Debezium without a new snapshot: its stored offset, and on PostgreSQL its slot.

use std::process::Stdio;

use crate::pipe::{Config, Pipe};
use crate::records::read;
use crate::server::{Family, Server};

/// Runs `offsets` to its end, which must be status 0; its standard output.
fn offsets(pipe: &Pipe, verb: &str, more: &[&str]) -> String {
    let mut command = pipe.command(&["offsets", verb], more);
    let output = command.stdin(Stdio::null()).output().expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "offsets {verb}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Keys and operations of a topic, in order.
fn changes(pipe: &Pipe, topic: &str) -> Vec<(String, i64)> {
    let change = |record: &crate::records::Record| {
        let id = record.after()["id"].as_i64().expect("an id");
        (record.op().to_owned(), id)
    };
    read(&pipe.out(), topic).iter().map(change).collect()
}

#[test]
fn takeover_of_a_postgres_slot() {
    // Goal: what Debezium delivered does not come again, what it did not comes, no row is read by a
    // snapshot, and `delete --drop-slot` leaves no slot. Method: a slot and a publication as
    // Debezium makes them, an offset as its connector stores it, changes before and after.
    let server = Server::start(Family::Postgres15);
    server.grant_cdc();
    server.sql("create table moved (id int primary key); insert into moved values (1);");
    server.sql("create publication dbz_publication for table moved;");
    server.sql("select pg_create_logical_replication_slot('debezium', 'pgoutput');");
    server.sql("insert into moved values (2);");
    let lsn = server.sql("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn;");
    server.sql("insert into moved values (3);");
    let config = Config::new("taken", &server, &["public.moved"])
        .set("source", "slot", "\"debezium\"")
        .set("source", "publication", "\"dbz_publication\"");
    let pipe = Pipe::new(&config);
    let lsn = lsn.trim();
    let offset = format!(r#"{{"lsn_proc":{lsn},"lsn_commit":{lsn},"lsn":{lsn},"txId":7}}"#);
    offsets(&pipe, "set", &[&offset]);
    pipe.catch_up();
    assert_eq!(changes(&pipe, "taken.public.moved"), [("c".to_owned(), 3)]);

    let words = offsets(&pipe, "delete", &["--drop-slot"]);
    assert!(words.contains("the replication slot debezium is dropped"), "{words}");
    assert_eq!(server.sql("select count(*) from pg_replication_slots;").trim(), "0");
    assert!(offsets(&pipe, "show", &[]).contains("nothing yet"));
}

#[test]
fn takeover_of_a_mysql_offset() {
    // Goal: the stream goes on behind the GTIDs that Debezium delivered, without a snapshot.
    // Method: an offset with the set of a moment, changes before and after.
    let server = Server::start(Family::MySql97);
    server.grant_cdc();
    server.sql("create table moved (id int primary key); insert into moved values (1);");
    let status = server.sql("show binary log status;");
    let mut fields = status.trim().split('\t');
    let (file, pos) = (fields.next().expect("a file"), fields.next().expect("a position"));
    let gtids = server.sql("select replace(@@gtid_executed, '\\n', '');");
    server.sql("insert into moved values (2);");
    let pipe = Pipe::new(&Config::new("taken", &server, &["test.moved"]));
    let gtids = gtids.trim();
    let offset = format!(r#"{{"ts_sec":1,"file":"{file}","pos":{pos},"gtids":"{gtids}"}}"#);
    offsets(&pipe, "set", &[&offset]);
    pipe.catch_up();
    assert_eq!(changes(&pipe, "taken.test.moved"), [("c".to_owned(), 2)]);
}
