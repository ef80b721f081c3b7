//! Schemas as of their place in the log, on servers whose log names no columns (the servers'
//! defaults: MySQL MINIMAL, MariaDB NO_LOG): DDL of every kind, before, during and between runs.
//!
//! The writer puts into every value the name of the column that it is for, and into every row the
//! number of the table's shape: a row that is read with another shape than that of its time cannot
//! look right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::pipe::{Config, Pipe, until};
use crate::records::{Record, read};
use crate::server::{Family, Server};
use crate::workload::Rng;

/// A server with its own default of `binlog_row_metadata`.
fn plain(family: Family, options: &[&str]) -> Server {
    let metadata = match family.kind() {
        "mariadb" => "NO_LOG",
        _ => "MINIMAL",
    };
    Server::start_with(family, options, &[("MYSQL_ROW_METADATA", metadata)])
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// TINYINT UNSIGNED above 127: wrong without its sign.
    Tiny,
    /// VARCHAR(40) with an é: wrong in another character set.
    Text(&'static str),
    /// As `Text`, in the table's default character set.
    Inherited,
    /// ENUM: wrong with other labels.
    Enum,
    /// DATETIME NULL: its own width.
    Moment,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    kind: Kind,
}

impl Column {
    fn ddl(&self) -> String {
        let Self { name, kind } = self;
        match kind {
            Kind::Tiny => format!("{name} tinyint unsigned null"),
            Kind::Text(charset) => format!("{name} varchar(40) character set {charset} null"),
            Kind::Inherited => format!("{name} varchar(40) null"),
            Kind::Enum => format!("{name} enum('x','é{name}','z{name}') null"),
            Kind::Moment => format!("{name} datetime null"),
        }
    }

    /// A number that is the name's.
    fn number(&self) -> u64 {
        self.name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0) % 100
    }

    /// As SQL, and as the record has it.
    fn value(&self) -> (String, Value) {
        let Self { name, kind } = self;
        match kind {
            Kind::Tiny => {
                let n = 128 + self.number();
                (n.to_string(), n.into())
            }
            Kind::Text(_) | Kind::Inherited => (format!("'é{name}'"), format!("é{name}").into()),
            Kind::Enum => (format!("'é{name}'"), format!("é{name}").into()),
            Kind::Moment => {
                let s = self.number();
                (
                    format!("'2020-01-01 00:{:02}:{:02}'", s / 60, s % 60),
                    (1_577_836_800_000 + s * 1000).into(),
                )
            }
        }
    }
}

/// The writer: one table, its shape, and every shape that it ever had.
struct Writer {
    rng: Rng,
    mariadb: bool,
    table: &'static str,
    columns: Vec<Column>,
    shapes: Vec<Vec<Column>>,
    next_name: u64,
    next_id: u64,
    /// Rows committed by shape.
    rows: BTreeMap<usize, u64>,
}

impl Writer {
    fn new(family: Family, table: &'static str, seed: u64) -> Self {
        let mut writer = Self {
            rng: Rng::new(seed),
            mariadb: family.kind() == "mariadb",
            table,
            columns: vec![],
            shapes: vec![],
            next_name: 0,
            next_id: 0,
            rows: BTreeMap::new(),
        };
        writer.columns = (0..3).map(|_| writer.fresh()).collect();
        writer
    }

    fn fresh(&mut self) -> Column {
        self.next_name += 1;
        let kind = match self.rng.below(6) {
            0 => Kind::Tiny,
            1 => Kind::Text("latin1"),
            2 => Kind::Text("utf8mb4"),
            3 => Kind::Inherited,
            4 => Kind::Enum,
            _ => Kind::Moment,
        };
        Column { name: format!("c{}", self.next_name), kind }
    }

    fn create(&self, table: &str) -> String {
        let columns: String = self.columns.iter().map(|c| format!(", {}", c.ddl())).collect();
        format!("create table {table} (id bigint primary key, shape int not null{columns});\n")
    }

    /// Rows of the shape as it is now.
    fn insert(&mut self, count: u64) -> String {
        if self.shapes.last() != Some(&self.columns) {
            self.shapes.push(self.columns.clone());
        }
        let shape = self.shapes.len() - 1;
        let names: String = self.columns.iter().map(|c| format!(", {}", c.name)).collect();
        let values: String = self.columns.iter().map(|c| format!(", {}", c.value().0)).collect();
        let rows = (0..count).map(|n| format!("({}, {shape}{values})", self.next_id + n));
        let rows = rows.collect::<Vec<_>>().join(", ");
        self.next_id += count;
        *self.rows.entry(shape).or_default() += count;
        format!("insert into {} (id, shape{names}) values {rows};\n", self.table)
    }

    /// DDL of some kind; empty if it does not fit the shape.
    fn change(&mut self) -> String {
        let table = self.table;
        let at = self.rng.below(self.columns.len() as u64) as usize;
        match self.rng.below(14) {
            0 if self.columns.len() < 9 => {
                let column = self.fresh();
                let ddl = format!("alter table {table} add column {} first;\n", column.ddl());
                // `id` and `shape` are behind it now: names tell, positions do not
                self.columns.insert(0, column);
                ddl
            }
            1 if self.columns.len() < 9 => {
                let (column, after) = (self.fresh(), self.columns[at].name.clone());
                let ddl = format!("alter table {table} add {} after {after};\n", column.ddl());
                self.columns.insert(at + 1, column);
                ddl
            }
            2 if self.columns.len() > 2 => {
                let gone = self.columns.remove(at);
                format!("alter table {table} drop column {};\n", gone.name)
            }
            3 => {
                let old = self.columns[at].name.clone();
                self.next_name += 1;
                self.columns[at].name = format!("c{}", self.next_name);
                if self.columns[at].kind == Kind::Enum {
                    let ddl = self.columns[at].ddl();
                    return format!(
                        "delete from {table};\nalter table {table} change {old} {ddl};\n"
                    );
                }
                format!("alter table {table} rename column {old} to c{};\n", self.next_name)
            }
            4 => {
                let other = (at + 1) % self.columns.len();
                let (a, b) = (self.columns[at].clone(), self.columns[other].clone());
                if a.kind != b.kind || a.kind == Kind::Enum || at == other {
                    return String::new();
                }
                self.columns[at].name.clone_from(&b.name);
                self.columns[other].name.clone_from(&a.name);
                format!(
                    "alter table {table} rename column {} to {}, rename column {} to {};\n",
                    a.name, b.name, b.name, a.name
                )
            }
            5 => {
                let kinds = [Kind::Text("utf8mb4"), Kind::Text("latin1"), Kind::Inherited];
                let kind = kinds[self.rng.below(3) as usize];
                if !matches!(self.columns[at].kind, Kind::Text(_) | Kind::Inherited) {
                    return String::new();
                }
                self.columns[at].kind = kind;
                format!("alter table {table} modify {};\n", self.columns[at].ddl())
            }
            6 => {
                let charset = ["latin1", "utf8mb4"][self.rng.below(2) as usize];
                if self.columns.iter().any(|c| c.kind == Kind::Enum) {
                    return String::new();
                }
                for column in &mut self.columns {
                    if matches!(column.kind, Kind::Text(_)) {
                        column.kind = Kind::Inherited;
                    }
                }
                format!("alter table {table} convert to character set {charset};\n")
            }
            7 => {
                let charset = ["latin1", "utf8mb4"][self.rng.below(2) as usize];
                let made = self.create(table);
                format!("alter database test character set {charset};\ndrop table {table};\n{made}")
            }
            8 => {
                // gh-ost: a table that is not captured takes the place of the captured one
                let column = self.fresh();
                let ddl = column.ddl();
                self.columns.push(column);
                format!(
                    "create table _gho like {table};\nalter table _gho add column {ddl};\n\
                     rename table {table} to _del, _gho to {table};\ndrop table _del;\n"
                )
            }
            9 => format!(
                "rename table {table} to aside;\ncreate table {table} (z int);\n\
                 drop table {table};\nrename table aside to {table};\n"
            ),
            10 => {
                let default = ["", " if exists"][usize::from(self.mariadb)];
                format!(
                    "alter table{default} {table} comment = 'it''s (a, b) `c`', engine = innodb;\n"
                )
            }
            11 => format!(
                "create unique index u on {table} (shape, id);\nalter table {table} drop index u;\n"
            ),
            12 => {
                self.columns = (0..3).map(|_| self.fresh()).collect();
                let made = self.create(table);
                format!("drop table if exists {table}, nowhere;\n{made}")
            }
            _ => "create table if not exists other.o (a int, b text);\n\
                  alter table other.o add unique key (a), add column if_ int, drop column b;\n\
                  create or replace view other.v as select 1 as one;\n\
                  drop table other.o;\n"
                .into(),
        }
    }

    /// Every record has the shape of its time, and every row arrived once.
    fn verify(&self, records: &[Record]) {
        assert_eq!(self.verify_shapes(records), self.rows, "rows by shape");
    }

    /// Every record has the shape of its time; gives the rows by shape.
    fn verify_shapes(&self, records: &[Record]) -> BTreeMap<usize, u64> {
        let mut seen = BTreeMap::new();
        for record in records.iter().filter(|r| r.op() == "c") {
            let after = record.after().as_object().expect("a row");
            let shape = after["shape"].as_u64().expect("a shape") as usize;
            let columns = &self.shapes[shape];
            assert_eq!(after.len(), columns.len() + 2, "shape {shape}: {}", record.value);
            for column in columns {
                let value = after.get(&column.name);
                assert_eq!(
                    value,
                    Some(&column.value().1),
                    "{} of shape {shape}: {columns:?}",
                    column.name
                );
            }
            *seen.entry(shape).or_default() += 1;
        }
        seen
    }
}

/// Statements, or groups of them, that a test makes.
const CHANGES: usize = 60;

/// Goal: DDL of every kind under load, with kill -9 in between: every record has the shape of its time, each row arrives once. Method: a writer whose values name
/// their columns.
fn ddl_under_kills(family: Family, seed: u64) {
    let server = plain(family, &[]);
    server.sql("create database other;");
    let mut writer = Writer::new(family, "gen_t", seed);
    server.sql(&writer.create("gen_t"));
    let config =
        Config::new("ddl", &server, &["test\\.gen_t"]).set("sink", "delivery", "\"exactly_once\"");
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    let mut moments = Rng::new(u64::from(std::process::id()));
    let done = AtomicBool::new(false);
    let writer = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut session = server.session();
            for _ in 0..CHANGES {
                let sql = writer.change() + &writer.insert(3);
                session.run(&sql);
            }
            done.store(true, Ordering::SeqCst);
            writer
        });
        let mut kills = 0;
        while !done.load(Ordering::SeqCst) || kills < 3 {
            kills += 1;
            let running = pipe.start(&[]);
            // the moment itself is what varies: no condition to wait for
            std::thread::park_timeout(Duration::from_millis(100 + moments.below(700)));
            running.kill();
        }
        thread.join().expect("the writer ends")
    });
    pipe.catch_up();
    writer.verify(&read(&pipe.out(), "ddl.test.gen_t"));
    assert!(writer.shapes.len() > 12, "{} shapes", writer.shapes.len());
}

#[test]
fn l24_ddl_under_kills_mysql97() {
    ddl_under_kills(Family::MySql97, 1);
}

#[test]
fn l24_ddl_under_kills_mariadb118() {
    ddl_under_kills(Family::MariaDb118, 2);
}

#[test]
fn l24_ddl_under_kills_mariadb1011() {
    ddl_under_kills(Family::MariaDb1011, 3);
}

/// Goal: a first snapshot while tables change: the stream behind it has the shapes of its places
/// and misses no row. Method: pipelines that begin in the middle of the writer's work; the rows of
/// each stream are the writer's last ones, without a gap.
fn ddl_races_at_start(family: Family, seed: u64) {
    let server = plain(family, &[]);
    server.sql("create database other;");
    let mut writer = Writer::new(family, "gen_t", seed);
    server.sql(&writer.create("gen_t"));
    let pipes = ["one", "two", "three"];
    let pipes = pipes.map(|name| Pipe::new(&Config::new(name, &server, &["test\\.gen_t"])));
    let done = AtomicBool::new(false);
    let writer = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut session = server.session();
            while !done.load(Ordering::SeqCst) {
                let sql = writer.change() + &writer.insert(3);
                session.run(&sql);
                // a view needs a moment in which the catalogue stands still
                std::thread::park_timeout(Duration::from_millis(400));
            }
            writer
        });
        pipes.iter().for_each(Pipe::catch_up);
        done.store(true, Ordering::SeqCst);
        thread.join().expect("the writer ends")
    });
    for pipe in &pipes {
        pipe.catch_up();
        let records = read(&pipe.out(), &format!("{}.test.gen_t", pipe.name));
        writer.verify_shapes(&records);
        let streamed = records.iter().filter(|r| r.op() == "c");
        let ids = streamed.map(|r| r.after()["id"].as_u64().expect("an id")).collect::<Vec<_>>();
        let first = ids.first().copied().unwrap_or(writer.next_id);
        assert_eq!(ids, (first..writer.next_id).collect::<Vec<_>>());
    }
}

#[test]
fn l23_ddl_races_at_start_mysql97() {
    ddl_races_at_start(Family::MySql97, 4);
}

#[test]
fn l23_ddl_races_at_start_mariadb118() {
    ddl_races_at_start(Family::MariaDb118, 5);
}

/// Values of `after` of the inserts, as JSON text.
fn inserted(pipe: &Pipe, topic: &str) -> Vec<String> {
    let records = read(&pipe.out(), topic);
    records.iter().filter(|r| r.op() == "c").map(|r| r.after().to_string()).collect()
}

/// Goal: while nobody reads, columns swap names, tables swap names, a table is made and altered:
/// each row has the names of its time. Method: the log of a pause, read at once.
fn changes_while_down(family: Family) {
    let server = plain(family, &[]);
    server.sql(
        "create table t (id int primary key, a varchar(9), b varchar(9));
         create table x (id int primary key, of_x int);
         create table y (id int primary key, of_y int);",
    );
    let pipe = Pipe::new(&Config::new("down", &server, &["test\\.(t|x|y|late)"]));
    pipe.catch_up();
    server.sql(
        "insert into t values (1, 'a', 'b');
         alter table t rename column a to b, rename column b to a;
         insert into t (id, a, b) values (2, 'a', 'b');
         insert into x values (1, 1);
         rename table x to aside, y to x, aside to y;
         insert into x (id, of_y) values (2, 2);
         insert into y (id, of_x) values (3, 3);
         create table late (id int primary key, u int unsigned);
         insert into late values (1, 4294967295);
         alter table late drop column u;
         insert into late values (2);",
    );
    pipe.catch_up();
    let of = |table: &str| inserted(&pipe, &format!("down.test.{table}"));
    assert_eq!(of("t"), [r#"{"a":"a","b":"b","id":1}"#, r#"{"a":"a","b":"b","id":2}"#]);
    assert_eq!(of("x"), [r#"{"id":1,"of_x":1}"#, r#"{"id":2,"of_y":2}"#]);
    assert_eq!(of("y"), [r#"{"id":3,"of_x":3}"#]);
    assert_eq!(of("late"), [r#"{"id":1,"u":4294967295}"#, r#"{"id":2}"#]);
}

#[test]
fn l22_changes_while_down_mysql97() {
    changes_while_down(Family::MySql97);
}

#[test]
fn l22_changes_while_down_mariadb1011() {
    changes_while_down(Family::MariaDb1011);
}

/// Goal: a state without history (of an older build, or a position set by hand) begins with a
/// proved catalogue: a table without DDL since is read, one that only DDL since explains is
/// Definite, and so is never guessed; one that the log makes anew is read. Method: `offsets set` to
/// a place before the DDL, with the history removed.
fn without_history(family: Family) {
    let server = plain(family, &[]);
    server.sql(
        "create table t (id int primary key, a int, b int);
         create table calm (id int primary key, u tinyint unsigned);",
    );
    let config = Config::new("bare", &server, &["test\\.(t|calm|made)"]);
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    server.sql(
        "insert into calm values (1, 200);
         create table made (id int primary key, e enum('x', 'y'));
         insert into made values (1, 'y');",
    );
    let history = pipe.dir().join("state/bare/history");
    forget(&pipe, &history);
    pipe.catch_up();
    assert_eq!(inserted(&pipe, "bare.test.calm"), [r#"{"id":1,"u":200}"#]);
    assert_eq!(inserted(&pipe, "bare.test.made"), [r#"{"e":"y","id":1}"#]);
    server.sql(
        "insert into t values (1, 2, 3);
         alter table t rename column a to b, rename column b to a;",
    );
    forget(&pipe, &history);
    let log = pipe.refuses("my-schema-unknown");
    assert!(log.contains("test.t"), "{log}");
    server.sql("insert into calm values (2, 201);");
    pipe.configure(&config.set("source", "on_table_error", "\"stop_table\""));
    pipe.catch_up();
    assert_eq!(inserted(&pipe, "bare.test.t"), [""; 0]);
    assert_eq!(
        inserted(&pipe, "bare.test.calm").last().map(String::as_str),
        Some(r#"{"id":2,"u":201}"#)
    );
}

/// The state as if no history had ever been kept.
fn forget(pipe: &Pipe, history: &std::path::Path) {
    let (status, text) = pipe.output(&["offsets", "show"], &["--json"]);
    assert_eq!(status, Some(0), "{text}");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    let position = shown[0]["checkpoint"]["position"].to_string();
    std::fs::remove_file(history).expect("there is a history");
    let (status, text) = pipe.output(&["offsets", "set"], &[&position]);
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn l23_without_history_mysql97() {
    without_history(Family::MySql97);
}

#[test]
fn l23_without_history_mariadb118() {
    without_history(Family::MariaDb118);
}

/// Goal: with `lower_case_table_names = 1` names in DDL and log are the same whatever their case.
/// Method: DDL in capitals.
#[test]
fn l24_lower_case_table_names() {
    let server = plain(Family::MariaDb118, &["--lower-case-table-names=1"]);
    server.sql("create table Gen_T (Id int primary key, A int);");
    let pipe = Pipe::new(&Config::new("case", &server, &["test\\.gen_t"]));
    pipe.catch_up();
    server.sql("alter table TEST.GEN_T add column B tinyint unsigned; insert into Gen_t values (1, 2, 200);");
    pipe.catch_up();
    assert_eq!(inserted(&pipe, "case.test.gen_t"), [r#"{"A":2,"B":200,"Id":1}"#]);
}

/// Goal: DDL that nobody can foresee on tables that are not captured stops nothing. Method: odd
/// statements, then a row of a captured table arrives in the running pipeline.
fn odd_statements(family: Family, odd: &[&str]) {
    let server = plain(family, &[]);
    server.sql("create table t (id int primary key); create table u (id int, a int);");
    let pipe = Pipe::new(&Config::new("odd", &server, &["test\\.t"]));
    pipe.catch_up();
    let mut running = pipe.start(&[]);
    for (n, sql) in odd.iter().enumerate() {
        server.sql(&format!("{sql};"));
        server.sql(&format!("insert into t values ({n});"));
    }
    let all = || (inserted(&pipe, "odd.test.t").len() == odd.len()).then_some(());
    let came = until(Duration::from_secs(30), all);
    assert!(came.is_some() && running.alive(), "{}", running.log());
    running.stop();
}

#[test]
fn l24_odd_statements_mysql97() {
    let odd = [
        "create table p (id int primary key, v json) partition by hash (id) partitions 3",
        "alter table p add index ((cast(v->'$.a' as unsigned array)))",
        "alter table u add column z int generated always as (a + 1) virtual invisible",
        "create /*!50000 table */ w /* x */ (`a``b` int -- c\n, key (`a``b`) /*!80000 invisible */)",
        "create trigger g before insert on u for each row set new.a = 1",
        "create procedure q() alter table t drop column a",
        "create table s engine=innodb as select 1 as one",
        "alter database test character set latin1",
        "create undo tablespace ut add datafile 'ut.ibu'",
        "create user o@localhost identified by 'alter table t drop column id'",
        "alter table p truncate partition p0",
    ];
    odd_statements(Family::MySql97, &odd);
}

#[test]
fn l24_odd_statements_mariadb118() {
    let odd = [
        "create sequence s start with 5",
        "create table v (a int) with system versioning",
        "set statement system_versioning_alter_history = keep for alter table v add column b int without system versioning",
        "create or replace table w (u uuid default uuid(), i inet6, c text compressed)",
        "create table r (d1 date, d2 date, period for p (d1, d2), id int, unique (id, p without overlaps))",
        "create table o as select 1 as one",
    ];
    odd_statements(Family::MariaDb118, &odd);
}

/// Goal: the schema change topic tells how the captured tables are made before the snapshot's rows,
/// then each statement that changes them, with the table as it is then; nothing of other tables.
/// Method: Debezium's order of statements; a table from its making to its end.
#[test]
fn schema_changes_mysql97() {
    let server = plain(Family::MySql97, &[]);
    server.sql("create table t (id int primary key, e enum('a','b') default 'a');");
    let pipe = Pipe::new(&Config::new("told", &server, &["test\\.t.*"]));
    pipe.catch_up();
    server.sql(
        "alter table t add column u int unsigned not null default 7 after id;
         create table other (id int);
         rename table t to t2;
         drop table t2;
         alter database test character set latin1;",
    );
    pipe.catch_up();
    let records = read(&pipe.out(), "told");
    let ddl = |r: &Record| r.value["ddl"].as_str().unwrap_or_default().to_owned();
    let told = records.iter().map(ddl).collect::<Vec<_>>();
    assert_eq!(told[0], "SET character_set_server=utf8mb4, collation_server=utf8mb4_0900_ai_ci");
    assert_eq!(told[1], "DROP TABLE IF EXISTS `test`.`t`");
    assert_eq!(told[2], "DROP DATABASE IF EXISTS `test`");
    assert_eq!(told[3], "CREATE DATABASE `test` CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci");
    assert_eq!(told[4], "USE `test`");
    assert!(told[5].starts_with("CREATE TABLE `t` ("), "{}", told[5]);
    assert!(records[..6].iter().all(|r| r.snapshot() == "true"));
    assert_eq!(
        told[6..],
        [
            "alter table t add column u int unsigned not null default 7 after id",
            "rename table t to t2",
            "DROP TABLE `test`.`t2`",
            "alter database test character set latin1",
        ]
    );
    let kinds = |r: &Record| r.value["tableChanges"][0]["type"].as_str().map(str::to_owned);
    let kinds = records[5..].iter().map(kinds).collect::<Vec<_>>();
    let of = |word: &str| Some(word.to_owned());
    assert_eq!(kinds, [of("CREATE"), of("ALTER"), of("ALTER"), of("DROP"), None]);
    let altered = &records[6];
    assert_eq!(altered.key, serde_json::json!({ "databaseName": "test" }));
    assert_eq!(altered.value["source"]["table"], "t");
    let column = &altered.value["tableChanges"][0]["table"]["columns"][1];
    assert_eq!(
        column,
        &serde_json::json!({
            "name": "u", "jdbcType": 4, "nativeType": null, "typeName": "INT UNSIGNED",
            "typeExpression": "INT UNSIGNED", "charsetName": null, "length": null, "scale": null,
            "position": 2, "optional": false, "autoIncremented": false, "generated": false,
            "comment": null, "defaultValueExpression": "7", "enumValues": null
        })
    );
    assert_eq!(records[7].value["tableChanges"][0]["id"], "\"test\".\"t2\"");
}

/// Goal: `offsets set` back to a place before DDL finds the schemas of that place in the history.
/// Method: the position of a stop, DDL that swaps two names, the rows before and behind again.
#[test]
fn l23_back_to_an_earlier_position_mysql97() {
    let server = plain(Family::MySql97, &[]);
    server.sql("create table t (id int primary key, a int, b int);");
    let pipe = Pipe::new(&Config::new("back", &server, &["test\\.t"]));
    pipe.catch_up();
    let (_, shown) = pipe.output(&["offsets", "show"], &["--json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    server.sql(
        "insert into t values (1, 10, 20);
         alter table t rename column a to b, rename column b to a;
         insert into t (id, a, b) values (2, 10, 20);",
    );
    pipe.catch_up();
    let first = inserted(&pipe, "back.test.t");
    assert_eq!(first, [r#"{"a":10,"b":20,"id":1}"#, r#"{"a":10,"b":20,"id":2}"#]);
    let position = shown[0]["checkpoint"]["position"].to_string();
    let (status, text) = pipe.output(&["offsets", "set"], &[&position]);
    assert_eq!(status, Some(0), "{text}");
    pipe.catch_up();
    assert_eq!(inserted(&pipe, "back.test.t"), [first.clone(), first].concat());
}

/// Goal: a damaged history is refused, and `recovery` makes it anew from the catalogue. Method:
/// bytes in the middle overwritten.
#[test]
fn a_damaged_history_is_recovered_mysql97() {
    let server = plain(Family::MySql97, &[]);
    server.sql("create table t (id int primary key, u tinyint unsigned);");
    let config = Config::new("heal", &server, &["test\\.t"]);
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    let history = pipe.dir().join("state/heal/history");
    let mut bytes = std::fs::read(&history).expect("there is a history");
    bytes[40] ^= 1;
    std::fs::write(&history, bytes).expect("it is written");
    server.sql("insert into t values (1, 200);");
    pipe.refuses("state-history-damaged");
    pipe.configure(&config.set("snapshot", "mode", "\"recovery\""));
    pipe.catch_up();
    assert_eq!(inserted(&pipe, "heal.test.t"), [r#"{"id":1,"u":200}"#]);
}
