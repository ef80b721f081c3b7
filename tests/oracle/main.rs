//! Our row decoder against others: mysql_common's, and the tools that the servers bring.
//!
//! Enters: every capture of `tests/golden`, and logs that real servers write of every type. Leaves:
//! equal cells. A package of its own, so that no other build carries the other decoder.

#[allow(dead_code)]
#[path = "../golden/binlog.rs"]
mod binlog;
mod cells;
#[allow(dead_code)]
#[path = "../types/client.rs"]
mod client;
mod decoded;
mod live;
mod printed;
#[allow(dead_code)]
#[path = "../live/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../types/specs.rs"]
mod specs;

use std::path::PathBuf;

use binlog::{CATALOGUE, frames};
use cells::{Cell, Image, Rows, alike, ours};
use decoded::{PACKED, TENTHS};

fn read(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../golden/captures");
    std::fs::read(folder.join(format!("{name}.bin"))).expect("a capture")
}

/// Compares images; how many cells were equal. `other`: those that were not.
fn equal(name: &str, rows: &Rows, theirs: &[Image], other: &mut Vec<String>) -> usize {
    let table = &rows.schema.name.table;
    assert_eq!(rows.images.len(), theirs.len(), "{name} {table}: images");
    let mut cells = 0;
    for (number, (ours, theirs)) in rows.images.iter().zip(theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "{name} {table}: columns");
        for (column, (ours, theirs)) in rows.schema.columns.iter().zip(ours.iter().zip(theirs)) {
            let of = &column.name;
            if alike(ours, theirs) {
                cells += usize::from(*ours != Cell::Absent && *theirs != Cell::Unprinted);
            } else {
                let cells = format!("{name} {table}.{of}, {number}: {ours:?}, {theirs:?}");
                other.push(cells.chars().take(400).collect());
            }
        }
    }
    cells
}

/// Captures with FULL metadata, and the server that each is of.
const CAPTURES: [(&str, &str); 13] = [
    ("mysql97", "mysql97"),
    ("mariadb1011", "mariadb1011"),
    ("mariadb118", "mariadb118"),
    ("extra-mysql97", "mysql97"),
    ("extra-mariadb1011", "mariadb1011"),
    ("extra-mariadb118", "mariadb118"),
    ("all-mysql97", "mysql97"),
    ("all-mariadb1011", "mariadb1011"),
    ("all-mariadb118", "mariadb118"),
    ("images-mysql97", "mysql97"),
    ("images-mariadb118", "mariadb118"),
    ("documents-mysql97", "mysql97"),
    ("versioned-mariadb118", "mariadb118"),
];

#[test]
fn captures_are_what_mysql_common_reads() {
    // Goal: a second decoder reads the same cells. Method: every capture with FULL metadata; events
    // that the other cannot read are of one table, and counted (`decoded`).
    let (mut cells, mut lost, mut other) = (0, Vec::new(), Vec::new());
    for (name, _) in CAPTURES {
        let bytes = read(name);
        let rows = ours(&bytes, &frames(&bytes, "binlog.000001", &CATALOGUE));
        let decoded = decoded::decode(&bytes, &rows);
        assert_eq!(rows.len(), decoded.len(), "{name}: rows events");
        for (rows, decoded) in rows.iter().zip(decoded) {
            match decoded {
                Ok(theirs) => cells += equal(name, rows, &theirs, &mut other),
                Err(why) => lost.push((name, rows.schema.name.table.clone(), why)),
            }
        }
    }
    let lost: Vec<_> =
        lost.iter().map(|(n, table, why)| (*n, table.as_str(), why.as_str())).collect();
    assert_eq!(
        lost,
        [
            ("all-mysql97", "every_type", TENTHS),
            ("all-mariadb1011", "every_type", TENTHS),
            ("all-mariadb1011", "every_type", PACKED),
            ("all-mariadb1011", "every_type", PACKED),
            ("all-mariadb118", "every_type", TENTHS),
            ("all-mariadb118", "every_type", PACKED),
            ("all-mariadb118", "every_type", PACKED),
        ]
    );
    // Without its sign, and of 839 hours modulo 256.
    let old =
        |name| format!("{name} old_times.o_time, 0: Time(-3020399000000), Time(256377000000)");
    assert_eq!(other, [old("all-mariadb1011"), old("all-mariadb118")]);
    assert_eq!(cells, 2405);
}

#[test]
fn captures_are_what_the_servers_tools_print() {
    // Goal: the server's own tool reads the same cells. Method: each capture by the tool of its
    // server; cells that it cannot print are counted.
    let (mut cells, mut unprinted, mut other) = (0, Vec::new(), Vec::new());
    for (name, server) in CAPTURES {
        let bytes = read(name);
        let rows = ours(&bytes, &frames(&bytes, "binlog.000001", &CATALOGUE));
        let images = printed::images(server, &bytes, &rows);
        let mut theirs = images.as_slice();
        for rows in &rows {
            let (these, rest) = theirs.split_at(rows.images.len());
            cells += equal(name, rows, these, &mut other);
            theirs = rest;
        }
        let count = images.iter().flatten().filter(|cell| **cell == Cell::Unprinted).count();
        if count > 0 {
            unprinted.push((name, count));
        }
    }
    assert_eq!(other, [""; 0]);
    assert_eq!(unprinted, [("all-mysql97", 45)]);
    assert_eq!(cells, 2651);
}
