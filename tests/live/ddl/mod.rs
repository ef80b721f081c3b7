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
