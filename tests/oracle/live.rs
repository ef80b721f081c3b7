//! Logs that real servers have just written: every type with its edges, NULLs and random values,
//! inserted with full images, changed with minimal ones, deleted with full ones.

use crate::binlog::{Catalogue, frames};
use crate::cells::{Cell, ours};
use crate::client::Client;
use crate::decoded::{PACKED, TENTHS};
use crate::server::{Family, Server};
use crate::specs::{Random, Spec, numbers, own, shapes, strings, times};
use crate::{decoded, equal, printed};

/// Tables by name. Columns that the other decoder is lost at stand in tables of their own.
fn tables(family: Family) -> [(&'static str, Vec<Spec>); 7] {
    let (short, long) = times().into_iter().partition(|spec| {
        let ddl = spec.ddl.as_str();
        ddl == "time(1)" || ddl == "time(2)"
    });
    let (packed, own) = own(family).into_iter().partition(|spec| spec.ddl.contains("compressed"));
    [
        ("numbers", numbers()),
        ("times", long),
        ("tenths", short),
        ("strings", strings()),
        ("shapes", shapes(family == Family::MySql97)),
        ("own", own),
        ("packed", packed),
    ]
}

fn fill(client: &mut Client, table: &str, specs: &[Spec], random: &mut Random) {
    let columns = specs.iter().enumerate().map(|(i, spec)| format!("c{i} {}", spec.ddl));
    let columns = columns.collect::<Vec<_>>().join(",");
    client.exec(&format!("create table {table} (id int primary key, {columns}) charset utf8mb4"));
    let edges = specs.iter().map(|spec| spec.edges.len()).max().unwrap_or(0);
    let row = |row: usize| {
        let value = |spec: &Spec| match spec.edges.get(row) {
            Some(edge) => edge.clone(),
            None if row == edges => "null".into(),
            None => (spec.random)(random),
        };
        let values = specs.iter().map(value).collect::<Vec<_>>().join(",");
        format!("({row},{values})")
    };
    let rows = (0..edges + 40).map(row).collect::<Vec<_>>().join(",");
    for statement in [
        &format!("insert ignore into {table} values {rows}"),
        "set session binlog_row_image = 'MINIMAL'",
        &format!("update {table} set id = id + 1000, c0 = null"),
        "set session binlog_row_image = 'FULL'",
        &format!("delete from {table} where id > 1005"),
    ] {
        client.exec(statement);
    }
}

/// `lost`: tables that mysql_common cannot read, and why; `unprinted`: those that the tool cannot print.
fn check(family: Family, lost: &[(&str, &str)], unprinted: &[&str]) {
    let server = Server::start(family);
    let mut client = Client::connect(&server);
    client.rotate();
    let mut random = Random(85);
    for (table, specs) in tables(family).iter().filter(|(_, specs)| !specs.is_empty()) {
        fill(&mut client, table, specs, &mut random);
    }
    let log = client.binlog();
    let rows = ours(&log, &frames(&log, "binlog.000001", &Catalogue::default()));
    let name = format!("{family:?}").to_lowercase();
    let (mut cells, mut other, mut refused) = (0, Vec::new(), Vec::new());
    let decoded = decoded::decode(&log, &rows);
    assert_eq!(decoded.len(), rows.len());
    for (rows, decoded) in rows.iter().zip(decoded) {
        match decoded {
            Ok(theirs) => cells += equal("mysql_common", rows, &theirs, &mut other),
            Err(why) => refused.push((rows.schema.name.table.as_str(), why)),
        }
    }
    refused.dedup();
    assert_eq!(other, [""; 0]);
    let refused: Vec<_> = refused.iter().map(|(table, why)| (*table, why.as_str())).collect();
    assert_eq!(refused, lost);
    let images = printed::images(&name, &log, &rows);
    let (mut printed, mut given_up, mut theirs) = (0, Vec::new(), images.as_slice());
    for rows in &rows {
        let (these, rest) = theirs.split_at(rows.images.len());
        printed += equal("tool", rows, these, &mut other);
        if these.iter().flatten().any(|cell| *cell == Cell::Unprinted) {
            given_up.push(rows.schema.name.table.as_str());
        }
        theirs = rest;
    }
    assert_eq!(other, [""; 0]);
    given_up.dedup();
    assert_eq!(given_up, unprinted);
    println!("{name}: {cells} cells of mysql_common, {printed} of the tool");
    assert!(cells > 10_000 && printed > 10_000, "{cells}, {printed}");
}

#[test]
fn every_type_of_mysql_97_by_two_others() {
    // Goal: mysql_common and the server's tool read the same cells of a log that was just written.
    // Method: every type; full and minimal images; inserts, updates, deletes.
    check(Family::MySql97, &[("tenths", TENTHS)], &["shapes"]);
}

#[test]
fn every_type_of_mariadb_1011_by_two_others() {
    // Goal, method: as for MySQL.
    check(Family::MariaDb1011, &[("tenths", TENTHS), ("packed", PACKED)], &[]);
}

#[test]
fn every_type_of_mariadb_118_by_two_others() {
    // Goal, method: as for MySQL.
    check(Family::MariaDb118, &[("tenths", TENTHS), ("packed", PACKED)], &[]);
}
