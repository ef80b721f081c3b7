//! Captures of `tests/golden/captures/all.sql`: made from real servers, and proved to be what those
//! servers still write.

use std::path::PathBuf;
use std::sync::Arc;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{Connector, EncodeOptions};

use crate::binlog::{Catalogue, encode, frames, snapshot};
use crate::client::Client;
use crate::server::{Family, Server};

/// As the golden test has it.
const CATALOGUE: Catalogue = Catalogue {
    widened: &["fm"],
    extensions: &[
        ("uu", "uuid"),
        ("i6", "inet6"),
        ("i7", "inet6"),
        ("i4", "inet4"),
        ("vm", "vector"),
    ],
    old: &["o_time", "o_dt", "o_ts"],
    defaults: &[("iv", "7")],
    generated: &[],
    period: &[],
};

/// The statements of a file that are for this server.
fn statements(sql: &str, server: &str) -> Vec<String> {
    let (mut ours, mut text) = (true, String::new());
    for line in sql.lines() {
        match line.strip_prefix("-- only ") {
            Some(list) => ours = list.split(' ').any(|name| name == server),
            None if ours && !line.starts_with("--") => text.extend([line, "\n"]),
            None => {}
        }
    }
    let whole = text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty());
    whole.map(str::to_owned).collect()
}

/// A record without what differs from run to run: its source and times.
fn lasting(line: &str) -> &str {
    line.split_once(",\"source\":").map_or(line, |(before, _)| before)
}

fn check(family: Family, name: &str, kind: SourceKind, connector: Connector) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/captures");
    let sql = std::fs::read_to_string(folder.join("all.sql")).expect("the statements");
    let server = Server::start(family);
    let mut client = Client::connect(&server);
    client.rotate();
    statements(&sql, name).iter().for_each(|statement| client.exec(statement));
    let log = client.binlog();
    let columns = client.text(
        "select group_concat('`', column_name, '`' order by ordinal_position) from \
         information_schema.columns where table_schema = 'test' and table_name = 'every_type'",
    );
    let mut rows = Vec::new();
    for packet in client.binary_rows(&format!("select {columns} from every_type order by id")) {
        rows.extend((packet.len() as u32).to_le_bytes());
        rows.extend(packet);
    }
    if crate::writes() {
        std::fs::write(folder.join(format!("all-{name}.bin")), &log).expect("written");
        std::fs::write(folder.join(format!("all-{name}.rows")), &rows).expect("written");
        return;
    }
    let inputs = frames(&log, "binlog.000001", &CATALOGUE);
    let options = EncodeOptions::new("shop", connector);
    let lines = encode(&log, &inputs, kind, options.clone()).expect("every row decodes");
    let golden = std::fs::read_to_string(folder.join(format!("all-{name}.jsonl"))).expect("lines");
    assert_eq!(lines.len(), golden.lines().count());
    for (line, golden) in lines.iter().zip(golden.lines()) {
        assert_eq!(lasting(line), lasting(golden));
    }
    let schema = Arc::clone(inputs[0].schema.as_ref().expect("a schema"));
    let (bytes, inputs) = snapshot(&rows, schema);
    assert_eq!(encode(&bytes, &inputs, kind, options).expect("rows").len(), 3);
}

#[test]
fn captures_are_what_the_servers_still_write() {
    // Goal: golden files come from real servers and can be made again. Method: the statements on
    // each server; records but for source and times; PENSTOCK_GOLDEN_WRITE=1 writes the captures.
    check(Family::MySql97, "mysql97", SourceKind::MySql, Connector::MySql);
    check(Family::MariaDb1011, "mariadb1011", SourceKind::MariaDb, Connector::MariaDb);
    check(Family::MariaDb118, "mariadb118", SourceKind::MariaDb, Connector::MariaDb);
}
