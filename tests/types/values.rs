//! Values of every type: the log against SELECT, and the log against a snapshot's row.
//!
//! A table has a column of every type of its server. Rows: each type's edges, NULLs, and random
//! values. The server itself says in SQL what a record must show; a snapshot's row of the same table
//! must give the same bytes (invariant 8).

use std::sync::Arc;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{BinaryHandling, Connector, DecimalHandling, EncodeOptions};
use serde_json::Value;

use crate::binlog::{Catalogue, encode, frames, snapshot};
use crate::client::Client;
use crate::server::{Family, Server};
use crate::specs::{Random, Same, Spec, numbers, own, shapes, strings, times};

/// Columns that need the catalogue's word, by the names that `table` gives them.
const CATALOGUE: Catalogue = Catalogue {
    widened: &["float_7_3"],
    extensions: &[("uuid", "uuid"), ("inet6", "inet6"), ("inet4", "inet4"), ("vector_2", "vector")],
    old: &[],
    defaults: &[],
    generated: &[],
    period: &[],
};

/// A column's name: its type's first word where it needs the catalogue, else a number.
fn name(i: usize, spec: &Spec) -> String {
    match spec.ddl.as_str() {
        "float(7,3)" => "float_7_3".into(),
        "vector(2)" => "vector_2".into(),
        "uuid" | "inet6" | "inet4" => spec.ddl.clone(),
        _ => format!("c{i}"),
    }
}

fn same(kind: Same, value: &Value, text: &str) -> bool {
    let number = || value.as_f64();
    match kind {
        Same::Text => value.as_str() == Some(text),
        Same::Digits => {
            let digits = value.to_string();
            digits == wrapped(text)
        }
        Same::Single => number().map(|x| x as f32) == text.parse::<f64>().ok().map(|x| x as f32),
        Same::Double => number().map(f64::to_bits) == text.parse::<f64>().ok().map(f64::to_bits),
        Same::Json => serde_json::from_str::<Value>(text).is_ok_and(|wanted| wanted == *value),
        Same::Document => {
            let of = |text: &str| serde_json::from_str::<Value>(text).map(plain).ok();
            let own = value.as_str().map_or_else(|| Some(plain(value.clone())), of);
            own.is_some() && own == of(text)
        }
        Same::Floats => {
            let bytes = text.as_bytes().chunks(2).map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
            });
            let bytes = bytes.collect::<Vec<_>>();
            let floats = bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four));
            let own = value
                .as_array()
                .expect("an array")
                .iter()
                .map(|x| x.as_f64().unwrap_or(f64::NAN) as f32);
            own.map(f32::to_bits).eq(floats.map(f32::to_bits))
        }
    }
}

/// BIGINT UNSIGNED wraps by default.
fn wrapped(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(n) => n.cast_signed().to_string(),
        Err(_) => text.into(),
    }
}

/// Numbers as doubles; the server's opaque values and times in the log's form.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(n) => serde_json::json!(n.as_f64()),
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, plain(v))).collect(),
        Value::String(text) => {
            match text.strip_prefix("base64:type").and_then(|t| t.split_once(':')) {
                Some((_, data)) => Value::String(data.into()),
                None if text.contains(".") && text.contains(':') => {
                    Value::String(text.trim_end_matches('0').trim_end_matches('.').into())
                }
                None => Value::String(text),
            }
        }
        other => other,
    }
}

fn options(family: Family) -> (SourceKind, EncodeOptions) {
    let (kind, connector) = match family {
        Family::MySql97 => (SourceKind::MySql, Connector::MySql),
        _ => (SourceKind::MariaDb, Connector::MariaDb),
    };
    let options = EncodeOptions {
        decimal: DecimalHandling::String,
        binary: BinaryHandling::Hex,
        ..EncodeOptions::new("shop", connector)
    };
    (kind, options)
}

/// One table of these columns, filled, read from the log, by SELECT and as a snapshot.
fn check(client: &mut Client, family: Family, specs: &[Spec], random: &mut Random, rows: u64) {
    let names = specs.iter().enumerate().map(|(i, spec)| name(i, spec)).collect::<Vec<_>>();
    let columns = names.iter().zip(specs).map(|(name, spec)| format!("`{name}` {}", spec.ddl));
    let columns = columns.collect::<Vec<_>>().join(",");
    client.rotate();
    client.exec("drop table if exists t");
    client.exec(&format!("create table t (id int primary key, {columns}) charset utf8mb4"));
    let edges = specs.iter().map(|spec| spec.edges.len()).max().unwrap_or(0) as u64;
    // Rows of edges, one of NULLs, and random ones.
    let row = |row: u64| {
        let value = |spec: &Spec| match spec.edges.get(row as usize) {
            Some(edge) => edge.clone(),
            None if row <= edges => "null".into(),
            None => (spec.random)(random),
        };
        let values = specs.iter().map(value).collect::<Vec<_>>().join(",");
        format!("({row},{values})")
    };
    let all = (0..edges + 1 + rows).map(row).collect::<Vec<_>>().join(",");
    client.exec(&format!("insert ignore into t values {all}"));
    let log = client.binlog();
    let expected = names
        .iter()
        .zip(specs)
        .map(|(name, spec)| spec.expected.replace("{}", &format!("`{name}`")));
    let expected = expected.collect::<Vec<_>>().join(",");
    let wanted = client.query(&format!("select {expected} from t order by id"));
    let packets = client.binary_rows("select * from t order by id");
    let (kind, options) = options(family);
    let inputs = frames(&log, "binlog.000001", &CATALOGUE);
    let lines = encode(&log, &inputs, kind, options.clone()).expect("every row decodes");
    assert_eq!(lines.len(), wanted.len());
    for (row, (line, wanted)) in lines.iter().zip(&wanted).enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        for ((name, spec), text) in names.iter().zip(specs).zip(wanted) {
            let value = &line["value"]["after"][name];
            let text = text.as_deref().map(|text| std::str::from_utf8(text).expect("UTF-8"));
            let equal = match text {
                None => value.is_null(),
                Some(text) => same(spec.same, value, text),
            };
            assert!(equal, "{family:?} row {row} {}: {value} is not {text:?}", spec.ddl);
        }
    }
    // Invariant 8.
    let schema = Arc::clone(inputs[0].schema.as_ref().expect("a schema"));
    let mut captured = Vec::new();
    for packet in &packets {
        captured.extend((packet.len() as u32).to_le_bytes());
        captured.extend(packet);
    }
    let (bytes, inputs) = snapshot(&captured, schema);
    let read = encode(&bytes, &inputs, kind, options).expect("every snapshot row decodes");
    assert_eq!(read.len(), lines.len());
    for (row, (read, line)) in read.iter().zip(&lines).enumerate() {
        let (read, line) = (after(read), after(line));
        if read != line {
            let (read, line): (Value, Value) = (
                serde_json::from_str(read).expect("JSON"),
                serde_json::from_str(line).expect("JSON"),
            );
            for (name, spec) in names.iter().zip(specs) {
                assert_eq!(
                    read[name], line[name],
                    "{family:?} row {row} {} (snapshot, log)",
                    spec.ddl
                );
            }
            panic!("{family:?} row {row}: equal values, other spelling: {read} {line}");
        }
    }
}

fn after(line: &str) -> &str {
    let (_, rest) = line.split_once("\"after\":").expect("an after");
    rest.split_once(",\"source\":").expect("a source").0
}

fn check_all(family: Family) {
    let server = Server::start(family);
    let mut client = Client::connect(&server);
    let rows = crate::setting("TYPES_ROWS", 40);
    let mut random = Random(crate::setting("TYPES_SEED", 42) << 1 | 1);
    for specs in [numbers(), times(), strings(), shapes(family == Family::MySql97), own(family)] {
        check(&mut client, family, &specs, &mut random, rows);
    }
}

#[test]
fn every_type_of_mysql_97() {
    // Goal: a value from the log is what SELECT says, and a snapshot gives the same bytes. Method:
    // every type with its edges, NULLs and random values; the server's own SQL as the oracle.
    check_all(Family::MySql97);
}

#[test]
fn every_type_of_mariadb_1011() {
    // Goal, method: as for MySQL.
    check_all(Family::MariaDb1011);
}

#[test]
fn every_type_of_mariadb_118() {
    // Goal, method: as for MySQL.
    check_all(Family::MariaDb118);
}
