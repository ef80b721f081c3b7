//! MySQL 9.7, MariaDB 10.11 and 11.8: captured binlog files to exact envelopes.
//!
//! The files in `captures/` were written by those servers running `captures/rows.sql` (and
//! `captures/extra.sql`) in FULL row images and metadata. Each expected line was compared with what the server's own SELECT gives for
//! the row, column by column, before it was committed.

use std::path::PathBuf;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{Connector, EncodeOptions};

use crate::binlog::{Catalogue, encode, frames};

const CATALOGUE: Catalogue = Catalogue {
    widened: &["fm"],
    uuids: &["uu", "u2"],
    defaults: &[("dflt", "5"), ("dstr", "x\"y"), ("v", "dv")],
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/captures")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect("a capture")
}

/// Compares with the expected file, line by line; with PENSTOCK_GOLDEN_WRITE set it writes it.
fn check(name: &str, kind: SourceKind, connector: Connector) {
    let bytes = read(&format!("{name}.bin"));
    let inputs = frames(&bytes, "binlog.000001", &CATALOGUE);
    let options = EncodeOptions::new("shop", connector);
    let lines = encode(&bytes, &inputs, kind, options).expect("every row decodes");
    let path = folder().join(format!("{name}.jsonl"));
    if std::env::var_os("PENSTOCK_GOLDEN_WRITE").is_some() {
        std::fs::write(&path, lines.join("\n") + "\n").expect("written");
        return;
    }
    let expected = std::fs::read_to_string(path).expect("the expected lines");
    for (i, (line, expected)) in lines.iter().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {}", i + 1);
    }
    assert_eq!(lines.len(), expected.lines().count());
}

#[test]
fn mysql_97_rows_become_these_envelopes() {
    // Goal: every type of this version, inserts, updates, deletes, key changes, tables without key.
    // Method: a captured file, expected lines to the byte.
    check("mysql97", SourceKind::MySql, Connector::MySql);
}

#[test]
fn mariadb_1011_rows_become_these_envelopes() {
    // Goal: as for MySQL. Method: the same statements on MariaDB 10.11.
    check("mariadb1011", SourceKind::MariaDb, Connector::MariaDb);
}

#[test]
fn mariadb_118_rows_become_these_envelopes() {
    // Goal: as for MySQL. Method: the same statements on MariaDB 11.8.
    check("mariadb118", SourceKind::MariaDb, Connector::MariaDb);
}

#[test]
fn long_prefixes_uuid_and_the_signedness_of_year() {
    // Goal: two- and four-byte length prefixes, latin1 TEXT, MariaDB's UUID with its zeros stripped,
    // and a YEAR that takes no bit of the signedness field. Method: captured files of all servers.
    check("extra-mysql97", SourceKind::MySql, Connector::MySql);
    check("extra-mariadb1011", SourceKind::MariaDb, Connector::MariaDb);
    check("extra-mariadb118", SourceKind::MariaDb, Connector::MariaDb);
}
