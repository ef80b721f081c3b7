//! What a binlog may hold beside whole rows: images that sessions cut down, changes of documents,
//! compressed transactions, statements, history of versioned tables; and a change of server.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::jobs::rolled_back;
use crate::pipe::{Config, Pipe, until};
use crate::records::{Record, read, replay};
use crate::server::{Family, Server};
use crate::workload::topic;

/// The records of a table.
fn records(pipe: &Pipe, family: Family, table: &str) -> Vec<Record> {
    read(&pipe.out(), &topic(&pipe.name, family, table))
}

/// Before and after of each record but tombstones.
fn images(records: &[Record]) -> Vec<(Value, Value)> {
    let rows = records.iter().filter(|r| !r.value.is_null());
    rows.map(|r| (r.value["before"].clone(), r.after().clone())).collect()
}

/// Goal: sessions that set their own row image are noticed; a server with FULL says nothing of
/// them. Method: one row under each image, exact values.
fn row_images(family: Family) {
    let server = Server::start(family);
    server.sql("create table t (id int primary key, a int default 7, s varchar(9), b text);");
    let pipe = Pipe::new(&Config::new("images", &server, &["test.t"]));
    pipe.catch_up();
    server.sql(
        "set session binlog_row_image = minimal; insert into t (id, b) values (1, 'x'); \
         update t set s = 'y' where id = 1; \
         set session binlog_row_image = noblob; update t set a = 8 where id = 1; \
         set session binlog_row_image = full; update t set a = null where id = 1;",
    );
    if family != Family::MySql97 {
        server.sql("set session binlog_row_image = full_nodup; update t set s = 'z';");
    }
    server.sql("delete from t;");
    pipe.catch_up();
    let gone = "__debezium_unavailable_value";
    let mut want = vec![
        (Value::Null, json!({"id": 1, "a": 7, "s": null, "b": "x"})),
        (
            json!({"id": 1, "a": 7, "s": null, "b": null}),
            json!({"id": 1, "a": null, "s": "y", "b": gone}),
        ),
        (
            json!({"id": 1, "a": 7, "s": "y", "b": null}),
            json!({"id": 1, "a": 8, "s": "y", "b": gone}),
        ),
        (
            json!({"id": 1, "a": 8, "s": "y", "b": "x"}),
            json!({"id": 1, "a": 7, "s": "y", "b": "x"}),
        ),
    ];
    let mut last = "y";
    if family != Family::MySql97 {
        last = "z";
        want.push((
            json!({"id": 1, "a": 7, "s": "y", "b": "x"}),
            json!({"id": 1, "a": 7, "s": "z", "b": "x"}),
        ));
    }
    want.push((json!({"id": 1, "a": 7, "s": last, "b": "x"}), Value::Null));
    assert_eq!(images(&records(&pipe, family, "t")), want);
}

#[test]
fn row_images_mysql97() {
    row_images(Family::MySql97);
}

#[test]
fn row_images_mariadb118() {
    row_images(Family::MariaDb118);
}

/// A small generator, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn document(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => json!(self.below(200)),
            1 => json!(-(self.below(1 << 40) as i64)),
            2 => json!(self.below(1000) as f64 / 8.0),
            3 => json!("x\"\\é€😀".repeat(self.below(12) as usize)),
            4 => json!(self.below(2) == 0),
            5 => Value::Null,
            6 => (0..self.below(7)).map(|_| self.document(depth - 1)).collect(),
            _ => {
                let names = ["a", "b", "longer name", "q\"uote", "back\\slash", "é", "c1"];
                let mut object = serde_json::Map::new();
                for _ in 0..1 + self.below(6) {
                    let name = names[self.below(7) as usize];
                    object.insert(name.into(), self.document(depth - 1));
                }
                Value::Object(object)
            }
        }
    }

    /// A path into the document, perhaps one step beyond it.
    fn path(&mut self, document: &Value) -> String {
        let (mut path, mut at) = (String::from("$"), document);
        loop {
            match at {
                Value::Object(members) if self.below(8) > 0 => {
                    let n = self.below(members.len() as u64 + 1) as usize;
                    let Some((name, value)) = members.iter().nth(n) else {
                        return path + ".fresh";
                    };
                    let _ = write!(path, ".{}", json!(name));
                    at = value;
                }
                Value::Array(values) if self.below(8) > 0 => {
                    let n = self.below(values.len() as u64 + 1) as usize;
                    let _ = write!(path, "[{n}]");
                    let Some(value) = values.get(n) else { return path };
                    at = value;
                }
                _ => return path,
            }
        }
    }
}

/// A JSON text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Goal: changes of documents give the records that whole documents give. Method: the same random
/// updates of two tables, one by a session with PARTIAL_JSON, records compared one by one.
#[test]
fn partial_documents_equal_whole_ones_mysql97() {
    let family = Family::MySql97;
    let server = Server::start(family);
    let table = "(id int primary key, n int, d json, e json)";
    server.sql(&format!("create table whole {table}; create table part {table};"));
    let pipe = Pipe::new(&Config::new("json", &server, &["test.whole", "test.part"]));
    pipe.catch_up();
    let mut dice = Dice(0x5eed_0001);
    let mut sql = String::new();
    for id in 0..150 {
        let documents = [dice.document(4), dice.document(3)];
        let texts = documents.each_ref().map(|d| literal(&d.to_string()));
        let mut changes = Vec::new();
        for (column, document) in ["d", "e"].into_iter().zip(&documents) {
            if dice.below(4) == 0 {
                continue;
            }
            let mut value = column.to_owned();
            for _ in 0..1 + dice.below(3) {
                let path = literal(&dice.path(document));
                let new = literal(&dice.document(1).to_string());
                value = match dice.below(5) {
                    0 | 1 => format!("json_set({value}, {path}, cast({new} as json))"),
                    2 => format!("json_replace({value}, {path}, cast({new} as json))"),
                    3 if path != "'$'" => format!("json_remove({value}, {path})"),
                    _ => format!("json_set({value}, {path}, {})", dice.below(9)),
                };
            }
            changes.push(format!("{column} = {value}"));
        }
        changes.push("n = 1".into());
        let changes = changes.join(", ");
        for (table, options) in [("whole", ""), ("part", "PARTIAL_JSON")] {
            let _ = writeln!(
                sql,
                "set session binlog_row_value_options = '{options}'; \
                 insert into {table} values ({id}, 0, {}, {}); \
                 update {table} set {changes} where id = {id};",
                texts[0], texts[1]
            );
        }
    }
    server.sql(&sql);
    pipe.catch_up();
    let [whole, part] = ["whole", "part"].map(|table| images(&records(&pipe, family, table)));
    assert_eq!(whole.len(), 300);
    for (whole, part) in whole.iter().zip(&part) {
        assert_eq!(whole, part);
    }
    assert_eq!(part.len(), 300);
}

/// Goal: compressed transactions are read as any, large ones too, with flat memory, and each
/// statement's text stands at its own rows. Method: many small ones and one of 200,000 rows, which
/// comes in pieces; the process's peak; several statements in one transaction.
#[test]
fn compressed_transactions_and_statements_mysql97() {
    let family = Family::MySql97;
    let options = ["--binlog-transaction-compression=ON", "--binlog-rows-query-log-events=ON"];
    let server = Server::start_with(family, &options, &[]);
    server.sql("create table t (id int primary key, s varchar(200)); create table u like t;");
    let config = Config::new("packed", &server, &["test.t"]);
    let pipe = Pipe::new(&config.set("source", "include_query", "true"));
    pipe.catch_up();
    let running = pipe.start(&[]);
    server.sql(
        "start transaction; insert into t values (1, 'a'); insert into u values (1, 'u'); \
         update t set s = 'b'; insert into t values (2, 'c'), (3, 'd'); commit;",
    );
    server.sql(
        "set session cte_max_recursion_depth = 200000; insert into t with recursive n (i) as \
         (select 1000 union all select i + 1 from n where i < 200999) \
         select i, concat(uuid(), uuid(), uuid()) from n;",
    );
    server.sql("delete from t where id = 1;");
    let done = || {
        let rows = records(&pipe, family, "t");
        rows.last().is_some_and(|r| r.value.is_null()).then_some(rows)
    };
    let rows = until(Duration::from_secs(60), done).expect("everything arrives");
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid()));
    let status = status.expect("a process");
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 200 << 10, "{peak} KiB for a transaction of 200,000 rows");
    running.stop();
    let told: Vec<_> = rows[..4]
        .iter()
        .map(|r| (r.op().to_owned(), r.value["source"]["query"].as_str().unwrap_or("").to_owned()))
        .collect();
    let of = |op: &str, sql: &str| (op.to_owned(), sql.to_owned());
    let both = "insert into t values (2, 'c'), (3, 'd')";
    assert_eq!(
        told,
        [
            of("c", "insert into t values (1, 'a')"),
            of("u", "update t set s = 'b'"),
            of("c", both),
            of("c", both)
        ]
    );
    let ids: Vec<_> = rows[4..200_004].iter().map(|r| r.after()["id"].as_u64()).collect();
    assert!(ids.into_iter().eq((1000..201_000).map(Some)), "each row once, in order");
    assert_eq!(replay(&rows).len(), 200_002);
    // the same log again, for whom it is all in the past
    let again = Pipe::new(&Config::new("again", &server, &["test.t"]));
    again.catch_up();
    assert_eq!(records(&again, family, "t").len(), 200_002);
}

/// Goal: MariaDB's compressed events, statements and versioned tables. Method: a server that
/// compresses; one record a statement, with its text.
#[test]
fn compressed_events_statements_and_history_mariadb118() {
    let family = Family::MariaDb118;
    let options = ["--log-bin-compress=ON", "--log-bin-compress-min-len=10"];
    let server = Server::start_with(family, &options, &[]);
    server.sql(
        "create table t (id int primary key, s varchar(200)); \
         create table v (id int primary key, n int) with system versioning; \
         insert into v values (7, 0); create sequence q;",
    );
    let config = Config::new("packed", &server, &["test.*"]);
    let pipe = Pipe::new(&config.set("source", "include_query", "true"));
    pipe.catch_up();
    server.sql(
        "start transaction; insert into t values (1, repeat('a', 100)); update t set s = 'b'; \
         insert into v values (1, 1); commit; select nextval(q); update v set n = 2 where id = 1; \
         update v set id = 3 where id = 1; delete from v where id = 3; delete from v where id = 7;",
    );
    pipe.catch_up();
    let told = |table: &str| {
        let rows = records(&pipe, family, table).into_iter().filter(|r| !r.value.is_null());
        let query = |r: &Record| r.value["source"]["query"].as_str().unwrap_or("").to_owned();
        rows.map(|r| (r.op().to_owned(), r.key.to_string(), query(&r))).collect::<Vec<_>>()
    };
    let of = |op: &str, key: &str, sql: &str| (op.to_owned(), key.to_owned(), sql.to_owned());
    assert_eq!(
        told("t"),
        [
            of("c", r#"{"id":1}"#, "insert into t values (1, repeat('a', 100))"),
            of("u", r#"{"id":1}"#, "update t set s = 'b'"),
        ]
    );
    assert_eq!(
        told("v"),
        [
            of("r", r#"{"id":7}"#, ""),
            of("c", r#"{"id":1}"#, "insert into v values (1, 1)"),
            of("u", r#"{"id":1}"#, "update v set n = 2 where id = 1"),
            of("d", r#"{"id":1}"#, "update v set id = 3 where id = 1"),
            of("c", r#"{"id":3}"#, "update v set id = 3 where id = 1"),
            of("d", r#"{"id":3}"#, "delete from v where id = 3"),
            of("d", r#"{"id":7}"#, "delete from v where id = 7"),
        ]
    );
    assert!(replay(&records(&pipe, family, "v")).is_empty());
}

/// Goal: when the first server is lost the stream goes on at its replica, by GTID, each row once; a
/// server with another past is refused (HAZARDS L10, L13). Method: two servers that replicate, the
/// first one killed; then a third that never knew them.
fn failover(family: Family) {
    let mysql = family == Family::MySql97;
    // MariaDB's replicas log what they replicate if they are told to.
    let options: &[&str] = if mysql { &[] } else { &["--log-slave-updates=ON"] };
    let start = || Server::start_with(family, options, &[]);
    let (first, second) = (start(), start());
    // What each did on its own before is forgotten: the replica has the first one's past.
    let reset = if mysql { "reset binary logs and gtids;" } else { "reset master;" };
    second.sql(reset);
    if !mysql {
        second.sql("set global gtid_slave_pos = '';");
    }
    first.sql(reset);
    second.sql(&match mysql {
        true => format!(
            "change replication source to source_host = '127.0.0.1', source_port = {}, \
             source_user = 'cdc', source_password = 'cdc', source_auto_position = 1, \
             source_ssl = 1; start replica;",
            first.port
        ),
        false => format!(
            "change master to master_host = '127.0.0.1', master_port = {}, master_user = 'cdc', \
             master_password = 'cdc', master_use_gtid = slave_pos, master_ssl = 0; start slave;",
            first.port
        ),
    });
    first.sql("create table f (id int primary key, v int); insert into f values (0, 0);");
    let hosts = [first.dir(), second.dir()].map(|dir| format!("{:?}", dir.display().to_string()));
    let mut config = Config::new("failover", &first, &["test.f"])
        .set("source", "hosts", &format!("[{}]", hosts.join(", ")))
        .set("sink", "delivery", "\"exactly_once\"");
    config.source.retain(|(key, _)| key != "host");
    let pipe = Pipe::new(&config);
    let count = |server: &Server, sql: &str| server.sql(sql).trim().parse::<usize>().unwrap_or(0);
    pipe.catch_up();
    let running = pipe.start(&[]);
    for id in 1..=50 {
        first.sql(&format!(
            "insert into f values ({id}, {id}); update f set v = v + 1 where id = 0;"
        ));
    }
    let (pipe_of, family_of) = (&pipe, family);
    let arrived =
        |rows: usize| move || (records(pipe_of, family_of, "f").len() == rows).then_some(());
    until(Duration::from_secs(30), arrived(101))
        .unwrap_or_else(|| panic!("the first server's changes: {}", running.log()));
    let replicated = || (count(&second, "select v from f where id = 0;") == 50).then_some(());
    until(Duration::from_secs(30), replicated).expect("the replica has them");
    first.down();
    second.sql(if mysql {
        "stop replica; reset replica all;"
    } else {
        "stop slave; reset slave all;"
    });
    for id in 51..=60 {
        second.sql(&format!("insert into f values ({id}, {id});"));
    }
    until(Duration::from_secs(60), arrived(111))
        .unwrap_or_else(|| panic!("the stream goes on at the second one: {}", running.log()));
    running.stop();
    let ids: Vec<_> = records(&pipe, family, "f")
        .iter()
        .filter(|r| r.op() == "c")
        .map(|r| r.after()["id"].as_u64())
        .collect();
    assert!(ids.into_iter().eq((1..=60).map(Some)), "each row once, in order");
    // a server that never had what we delivered
    let other = Server::start(family);
    other.sql("create table f (id int primary key, v int);");
    let mut config =
        Config::new("failover", &other, &["test.f"]).set("sink", "delivery", "\"exactly_once\"");
    config.name = pipe.name.clone();
    pipe.configure(&config);
    pipe.refuses("my-other-past");
}

#[test]
fn l10_l13_failover_mysql97() {
    failover(Family::MySql97);
}

#[test]
fn l10_l13_failover_mariadb118() {
    failover(Family::MariaDb118);
}

#[test]
fn l05_rolled_back_groups_mysql97() {
    rolled_back(Family::MySql97);
}

#[test]
fn l05_rolled_back_groups_mariadb118() {
    rolled_back(Family::MariaDb118);
}
