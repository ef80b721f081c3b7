//! Records beside rows on real servers: heartbeats with their statement, transaction metadata.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pipe::{Config, Pipe, until};
use crate::records::{Record, read};
use crate::server::{Family, Server};
use crate::workload::topic;

const DEADLINE: Duration = Duration::from_secs(60);

/// Blocks of a topic's streamed events: op, id, total order, order in the table.
fn blocks(records: &[Record]) -> Vec<(String, String, u64, u64)> {
    let streamed = records.iter().filter(|r| !r.value.is_null() && r.op() != "r");
    let block = |record: &Record| {
        let block = &record.value["transaction"];
        let number = |key: &str| block[key].as_u64().expect("a number");
        let id = block["id"].as_str().expect("an id").to_owned();
        (record.op().to_owned(), id, number("total_order"), number("data_collection_order"))
    };
    streamed.map(block).collect()
}

/// Goal: heartbeats run their statement and come as Debezium's records; its failure is a warning;
/// `check` looks at it; a transaction over two tables is numbered, with a BEGIN and an END. Method:
/// one pipeline at work, exact values.
fn heartbeat_and_transaction(family: Family) {
    let server = Server::start(family);
    server.grant_cdc();
    server.sql(
        "create table ta (id int primary key, n int); create table tb (id int primary key, n int);
         create table beats (at int); insert into ta values (100, 0);",
    );
    let postgres = family.is_postgres();
    server.sql(if postgres {
        "grant insert on beats to cdc;"
    } else {
        "grant insert on test.beats to cdc;"
    });
    let schema = if postgres { "public" } else { "test" };
    let tables = [format!("{schema}.ta"), format!("{schema}.tb")];
    let config = Config::new("beside", &server, &[&tables[0], &tables[1]])
        .set("sink", "delivery", "\"exactly_once\"")
        .set("source", "heartbeat_interval_ms", "100")
        .set(
            "source",
            "heartbeat_action_query",
            &format!("\"insert into {schema}.beats values (1)\""),
        )
        .set("source", "provide_transaction_metadata", "true");
    let pipe = Pipe::new(&config);
    let (_, text) = pipe.output(&["check"], &["--json"]);
    let code = if postgres { "pg-heartbeat" } else { "my-heartbeat" };
    assert!(text.contains(code), "check looks at the statement: {text}");

    let running = pipe.start(&[]);
    let beats =
        || server.sql("select count(*) from beats;").trim().parse::<u64>().expect("a count");
    until(DEADLINE, || (beats() >= 2).then_some(())).expect("the statement runs");
    server.sql(
        "begin; insert into ta values (1, 1); insert into tb values (1, 1);
         update ta set id = 2 where id = 1; commit; insert into ta values (3, 3);",
    );
    let (a, b) = (topic("beside", family, "ta"), topic("beside", family, "tb"));
    // One snapshot row, four events and a tombstone of ours.
    let arrived = || read(&pipe.out(), &a).len() >= 6;
    until(DEADLINE, || arrived().then_some(())).expect("the changes arrive");
    server.sql("drop table beats;");
    let warned = || running.log().contains("heartbeat_action_query failed");
    until(DEADLINE, || warned().then_some(())).expect("the failure is a warning");
    running.stop();

    let records = read(&pipe.out(), &a);
    assert_eq!((records[0].op(), &records[0].value["transaction"]), ("r", &Value::Null));
    let of_a = blocks(&records);
    let shape: Vec<_> = of_a.iter().map(|(op, _, n, m)| (op.as_str(), *n, *m)).collect();
    assert_eq!(shape, [("c", 1, 1), ("d", 3, 2), ("c", 4, 3), ("c", 1, 1)]);
    let of_b = blocks(&read(&pipe.out(), &b));
    assert_eq!((of_b.len(), of_b[0].2, of_b[0].3), (1, 2, 1));
    // PostgreSQL: the xid, then each record's own position.
    let half = |id: &str| match postgres {
        true => id.split(':').next().unwrap_or_default().to_owned(),
        false => id.to_owned(),
    };
    let id = half(&of_a[0].1);
    assert!(of_a[..3].iter().chain(&of_b).all(|block| half(&block.1) == id));

    let told: Vec<Record> = read(&pipe.out(), "beside.transaction")
        .into_iter()
        .filter(|r| half(r.value["id"].as_str().expect("an id")) == id)
        .collect();
    let [begin, end] = &told[..] else { panic!("a BEGIN and an END: {told:?}") };
    for record in [begin, end] {
        assert_eq!(record.key, json!({"id": record.value["id"]}));
        assert!(record.value["ts_ms"].as_i64().expect("a time") > 1_600_000_000_000);
    }
    assert_eq!((&begin.value["status"], &end.value["status"]), (&json!("BEGIN"), &json!("END")));
    assert_eq!((&begin.value["event_count"], &end.value["event_count"]), (&Value::Null, &json!(4)));
    let mut collections = end.value["data_collections"].as_array().expect("a list").clone();
    collections.sort_by_key(Value::to_string);
    let one = |table: &str, events: u64| json!({"data_collection": format!("{schema}.{table}"), "event_count": events});
    assert_eq!(collections, [one("ta", 3), one("tb", 1)]);

    let beat = read(&pipe.out(), "__debezium-heartbeat.beside").pop().expect("heartbeats");
    let ts_ms = beat.value["ts_ms"].as_i64().expect("a time");
    assert_eq!((beat.key, beat.value), (json!({"serverName": "beside"}), json!({"ts_ms": ts_ms})));
}

#[test]
fn beside_mysql97() {
    heartbeat_and_transaction(Family::MySql97);
}

#[test]
fn beside_mariadb118() {
    heartbeat_and_transaction(Family::MariaDb118);
}

#[test]
fn beside_postgres18() {
    heartbeat_and_transaction(Family::Postgres18);
}
