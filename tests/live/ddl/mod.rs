//! The schema history against real servers: what it makes of a log's statements is what the server
//! itself says of its tables.
//!
//! A server executes random statements, refused ones among them; its own binlog then goes through
//! the history, QUERY event by QUERY event. Every TABLE_MAP must agree with the history at its
//! place, and at the end every table with `information_schema` and with SHOW CREATE TABLE read
//! afresh. `PENSTOCK_DDL_SEEDS` (a count) and `PENSTOCK_DDL_FROM` make it long.

mod compare;
mod generate;
mod log;
#[path = "../../sim/rng.rs"]
#[allow(dead_code)]
mod rng;

use generate::Generator;
use penstock_shards::history::Server as Kind;

use crate::pipe::{Config, Pipe};
use crate::records::read;
use crate::server::{Family, Server};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Goal: the history equals the server, for every seed. Method: as above.
fn differential(family: Family) {
    let server = Server::start(family);
    let version = server.sql("select version()");
    let mut numbers = version.split(['.', '-']).map(|part| part.trim().parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version = (next(), next(), next());
    let kind = Kind { mariadb: family.kind() == "mariadb", version, fold_names: false };
    let (from, count) = (number("PENSTOCK_DDL_FROM", 0), number("PENSTOCK_DDL_SEEDS", 24));
    let mut faults = Vec::new();
    for first in (from..from + count).step_by(40) {
        let seeds = first..(first + 40).min(from + count);
        faults.extend(batch(&server, kind, seeds));
        assert!(faults.len() < 40, "{}", faults.join("\n"));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Runs some seeds, a database each; gives what disagrees.
fn batch(server: &Server, kind: Kind, seeds: std::ops::Range<u64>) -> Vec<String> {
    server.sql(if kind.mariadb { "reset master" } else { "reset binary logs and gtids" });
    let mut script = String::new();
    let mut databases = Vec::new();
    for seed in seeds {
        let mut generator = Generator::new(seed, kind.mariadb, kind.version);
        databases.push(generator.database.clone());
        script += "set sql_mode=default, explicit_defaults_for_timestamp=default, \
                   collation_server=default;\n";
        if kind.mariadb {
            script += "set system_versioning_alter_history=keep;\n";
        } else {
            script += "set sql_generate_invisible_primary_key=default;\n";
        }
        if kind.mariadb && kind.version >= (11, 4, 0) {
            script += "set character_set_collations=default;\n";
        }
        for statement in generator.statements(30) {
            script += &statement;
            script += "\n;\n";
        }
    }
    if let Some(path) = std::env::var_os("PENSTOCK_DDL_SCRIPT") {
        std::fs::write(path, &script).expect("written");
    }
    server.sql_force(&script);
    let replayed = log::replay(server, kind);
    let mut faults = replayed.faults;
    for database in &databases {
        faults.extend(compare::database(server, kind, &replayed.catalogue, database));
        server.sql(&format!("drop database {database}"));
    }
    // Enough of them were accepted for the comparison to mean something.
    let few = databases.len() < 8;
    assert!(few || replayed.maps > databases.len(), "{} maps", replayed.maps);
    assert!(few || replayed.changes > 5 * databases.len(), "{} changes", replayed.changes);
    faults
}

/// Goal: MariaDB's hash column of a long unique key is decoded and never shown. Method: snapshot and
/// stream of such a table, the log with names and without.
#[test]
fn l09_a_hashed_unique_key_adds_no_field() {
    for metadata in ["FULL", "NO_LOG"] {
        let options = format!("--binlog-row-metadata={metadata}");
        let server = Server::start_with(Family::MariaDb118, &[&options], &[]);
        server.sql(
            "create table h (id int primary key, t text not null, b int, unique (t), unique (b));
             insert into h values (1, 'a', 2)",
        );
        let pipe = Pipe::new(&Config::new("h", &server, &["test.h"]));
        pipe.catch_up();
        server.sql("insert into h values (2, 'b', 3); update h set b = 4 where id = 1");
        pipe.catch_up();
        let rows =
            read(&pipe.out(), "h.test.h").iter().map(|r| r.after().to_string()).collect::<Vec<_>>();
        let expected =
            [r#"{"id":1,"t":"a","b":2}"#, r#"{"id":2,"t":"b","b":3}"#, r#"{"id":1,"t":"a","b":4}"#];
        let sorted = |text: &str| {
            let value: std::collections::BTreeMap<String, serde_json::Value> =
                serde_json::from_str(text).expect("a row");
            value
        };
        let rows = rows.iter().map(|row| sorted(row)).collect::<Vec<_>>();
        assert_eq!(rows, expected.map(sorted), "{metadata}");
    }
}

#[test]
fn l24_history_equals_server_mysql97() {
    differential(Family::MySql97);
}

#[test]
fn l24_history_equals_server_mariadb1011() {
    differential(Family::MariaDb1011);
}

#[test]
fn l24_history_equals_server_mariadb118() {
    differential(Family::MariaDb118);
}
