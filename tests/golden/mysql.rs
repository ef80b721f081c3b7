//! MySQL 9.7, MariaDB 10.11 and 11.8: captured binlog files to exact envelopes.
//!
//! The files in `captures/` were written by those servers running `captures/rows.sql` (and
//! `captures/extra.sql`) in FULL row images and metadata. Each expected line was compared with what the server's own SELECT gives for
//! the row, column by column, before it was committed.

use std::path::PathBuf;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{Connector, EncodeOptions};

use crate::binlog::{CATALOGUE, Catalogue, IMAGES, Input, encode, frames, snapshot};

fn folder() -> PathBuf {
    crate::folder().join("captures")
}

pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect("a capture")
}

/// Compares with the expected file, line by line; with PENSTOCK_GOLDEN_WRITE set it writes it.
fn check(name: &str, kind: SourceKind, connector: Connector) {
    check_with(name, kind, connector, &CATALOGUE);
}

fn check_with(name: &str, kind: SourceKind, connector: Connector, catalogue: &Catalogue) {
    let bytes = read(&format!("{name}.bin"));
    let inputs = frames(&bytes, "binlog.000001", catalogue);
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

#[test]
fn row_images_of_every_kind_become_these_envelopes() {
    // Goal: absent, NULL and value stay apart under MINIMAL, NOBLOB and FULL_NODUP; defaults where
    // they are certain, placeholders where nothing is. Method: one session that sets each image.
    check_with("images-mysql97", SourceKind::MySql, Connector::MySql, &IMAGES);
    check_with("images-mariadb118", SourceKind::MariaDb, Connector::MariaDb, &IMAGES);
}

#[test]
fn partial_documents_become_the_text_of_whole_ones() {
    // Goal: changes laid over the document before, mixed with whole columns, and without the
    // document (MINIMAL) the placeholder. Method: PARTIAL_JSON updates of MySQL 9.7.
    check_with("documents-mysql97", SourceKind::MySql, Connector::MySql, &IMAGES);
}

#[test]
fn l24_history_rows_of_versioned_tables_are_no_events() {
    // Goal: one event a statement: c, u, key change, d; the last record of a key is its last state.
    // Method: an implicit and an explicit period on MariaDB 11.8.
    check_with("versioned-mariadb118", SourceKind::MariaDb, Connector::MariaDb, &IMAGES);
}

#[test]
fn every_other_type_and_character_set() {
    // Goal: spatial types, vectors, addresses, COMPRESSED, character sets, times before 5.6, the
    // ends of every range, keys of many types. Method: captured files of all servers.
    check("all-mysql97", SourceKind::MySql, Connector::MySql);
    check("all-mariadb1011", SourceKind::MariaDb, Connector::MariaDb);
    check("all-mariadb118", SourceKind::MariaDb, Connector::MariaDb);
}

/// The value of a record's line as JSON text: `after` of the first image, key.
fn after_and_key(line: &str) -> (&str, &str) {
    let (_, rest) = line.split_once("\"key\":").expect("a key");
    let (key, rest) = rest.split_once(",\"value\":{\"before\":null,\"after\":").expect("a value");
    (rest.split_once(",\"source\":").expect("a source").0, key)
}

#[test]
fn snapshot_rows_encode_to_the_bytes_of_the_log() {
    // Goal: invariant 8. Method: rows of COM_STMT_EXECUTE captured from the same tables right after
    // the inserts; each `after` and key equals that of the insert in the log, to the byte.
    for (name, kind, connector, rows) in [
        ("mysql97", SourceKind::MySql, Connector::MySql, 4),
        ("mariadb1011", SourceKind::MariaDb, Connector::MariaDb, 4),
        ("mariadb118", SourceKind::MariaDb, Connector::MariaDb, 4),
        ("extra-mysql97", SourceKind::MySql, Connector::MySql, 1),
        ("extra-mariadb1011", SourceKind::MariaDb, Connector::MariaDb, 1),
        ("extra-mariadb118", SourceKind::MariaDb, Connector::MariaDb, 1),
        ("all-mysql97", SourceKind::MySql, Connector::MySql, 3),
        ("all-mariadb1011", SourceKind::MariaDb, Connector::MariaDb, 3),
        ("all-mariadb118", SourceKind::MariaDb, Connector::MariaDb, 3),
    ] {
        let log = read(&format!("{name}.bin"));
        let inputs = frames(&log, "binlog.000001", &CATALOGUE);
        let options = EncodeOptions::new("shop", connector);
        let lines = encode(&log, &inputs[..rows], kind, options.clone()).expect("log rows");
        let schema = inputs[0].schema.clone().expect("the first table's schema");
        let (bytes, snapshot) = snapshot(&read(&format!("{name}.rows")), schema);
        let read = encode(&bytes, &snapshot, kind, options).expect("snapshot rows");
        assert_eq!(read.len(), rows);
        for (read, line) in read.iter().zip(&lines) {
            assert_eq!(after_and_key(read), after_and_key(line), "{name}");
        }
        assert_eq!(
            read[0].split_once(",\"source\":").expect("a source").1,
            format!(
                "{{\"version\":\"VERSION\",\"connector\":\"{}\",\"name\":\"shop\",\
                 \"ts_ms\":1795560000000,\"snapshot\":\"first\",\"db\":\"test\",\"sequence\":null,\
                 \"ts_us\":1795560000000000,\"ts_ns\":1795560000000000000,\"table\":\"{}\",\
                 \"server_id\":0,\"gtid\":null,\"file\":\"binlog.000001\",\"pos\":157,\"row\":0,\
                 \"thread\":null,\"query\":null}},\"transaction\":null,\"op\":\"r\",\
                 \"ts_ms\":1795555555123,\"ts_us\":1795555555123456,\"ts_ns\":1795555555123456000}},\
                 \"at\":\"1.0\"}}",
                if kind == SourceKind::MySql { "mysql" } else { "mariadb" },
                ["", "extra", "", "every_type", "types"][rows],
            )
        );
    }
}

/// Every capture with its frames.
fn captures() -> Vec<(Vec<u8>, Vec<Input>, SourceKind, Connector)> {
    let of = |name: &str, catalogue| {
        let (kind, connector) = match name.contains("mysql") {
            true => (SourceKind::MySql, Connector::MySql),
            false => (SourceKind::MariaDb, Connector::MariaDb),
        };
        let bytes = read(&format!("{name}.bin"));
        let inputs = frames(&bytes, "binlog.000001", catalogue);
        (bytes, inputs, kind, connector)
    };
    vec![
        of("mysql97", &CATALOGUE),
        of("mariadb118", &CATALOGUE),
        of("extra-mysql97", &CATALOGUE),
        of("images-mysql97", &IMAGES),
        of("images-mariadb118", &IMAGES),
        of("documents-mysql97", &IMAGES),
        of("versioned-mariadb118", &IMAGES),
        of("all-mysql97", &CATALOGUE),
        of("all-mariadb118", &CATALOGUE),
    ]
}

#[test]
fn frames_cut_at_every_byte_are_errors_or_whole_rows() {
    // Goal: a truncated event is an error with its place, never a panic or half a row. Method: each
    // captured rows event, cut at every length; what comes out is a prefix of the whole.
    for (bytes, inputs, kind, connector) in captures() {
        let schemas: Vec<_> = inputs.iter().filter_map(|input| input.schema.clone()).collect();
        for input in &inputs {
            let options = EncodeOptions::new("shop", connector);
            let whole = one(&bytes, input, &schemas, kind, &options, input.frame.head.len);
            let whole = whole.expect("the whole event");
            for len in 0..input.frame.head.len {
                match one(&bytes, input, &schemas, kind, &options, len) {
                    Ok(lines) => assert_eq!(lines, whole[..lines.len()]),
                    Err(error) => assert!(error.reason.contains("at byte"), "{}", error.reason),
                }
            }
        }
    }
}

/// One frame alone, cut to `len`.
fn one(
    bytes: &[u8],
    input: &Input,
    schemas: &[std::sync::Arc<penstock_protocol::schema::TableSchema>],
    kind: SourceKind,
    options: &EncodeOptions,
    len: u32,
) -> Result<Vec<String>, penstock_shards::encode::EncodeError> {
    let schema = schemas.iter().find(|schema| schema.table == input.frame.head.table).cloned();
    let mut frame = input.frame;
    frame.head.len = len;
    let input = Input { schema, frame, txn: std::sync::Arc::clone(&input.txn) };
    encode(bytes, &[input], kind, options.clone())
}

#[test]
fn changed_bytes_never_panic_and_never_make_broken_json() {
    // Goal: hostile rows. Method: seeded single- and multi-byte changes of captured events; what is
    // still accepted must be well-formed JSON in well-formed UTF-8.
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % n as u64) as usize
    };
    let (mut accepted, mut refused) = (0, 0);
    for (bytes, inputs, kind, connector) in captures() {
        let schemas: Vec<_> = inputs.iter().filter_map(|input| input.schema.clone()).collect();
        for input in &inputs {
            let (at, len) = (input.frame.head.offset as usize, input.frame.head.len);
            for _ in 0..120 {
                let mut bytes = bytes.clone();
                for _ in 0..=next(4) {
                    bytes[at + next(len as usize)] = next(256) as u8;
                }
                let options = EncodeOptions::new("shop", connector);
                match one(&bytes, input, &schemas, kind, &options, len) {
                    Err(_) => refused += 1,
                    Ok(lines) => {
                        accepted += 1;
                        for line in lines {
                            serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
                        }
                    }
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn table_maps_cut_at_every_byte_never_panic() {
    // Goal: hostile TABLE_MAP events. Method: each captured one at every length; cut inside its
    // mandatory part it is an error.
    use penstock_protocol::mysql::table_map::TableMap;
    for name in ["mysql97", "mariadb118", "all-mysql97", "all-mariadb118"] {
        let bytes = read(&format!("{name}.bin"));
        let family = crate::binlog::family(&bytes);
        let mut at = 4;
        while at < bytes.len() {
            let len = u32::from_le_bytes(bytes[at + 9..at + 13].try_into().expect("four")) as usize;
            if bytes[at + 4] == 19 {
                let body = &bytes[at + 19..at + len - 4];
                let whole = TableMap::parse(family, body).expect("the whole event");
                for cut in 0..body.len() {
                    if let Ok(map) = TableMap::parse(family, &body[..cut]) {
                        assert_eq!(map.table, whole.table);
                        assert_eq!(map.columns.len(), whole.columns.len());
                    }
                }
                assert!(TableMap::parse(family, &body[..20]).is_err());
            }
            at += len;
        }
    }
}

#[test]
fn snapshot_rows_cut_at_every_byte_are_errors() {
    // Goal: a damaged row packet is an error, never a panic or half a row; columns that are left out
    // are stepped over. Method: each captured row at every length, with all columns and with two.
    for (name, kind, connector) in [
        ("mysql97", SourceKind::MySql, Connector::MySql),
        ("mariadb118", SourceKind::MariaDb, Connector::MariaDb),
        ("extra-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
        ("all-mysql97", SourceKind::MySql, Connector::MySql),
        ("all-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
    ] {
        let log = read(&format!("{name}.bin"));
        let inputs = frames(&log, "binlog.000001", &CATALOGUE);
        let whole = inputs[0].schema.clone().expect("the first table's schema");
        let mut narrow = penstock_protocol::schema::TableSchema::clone(&whole);
        let last = narrow.columns.len() - 1;
        for (i, column) in narrow.columns.iter_mut().enumerate() {
            column.included = i == 0 || i == last;
        }
        for schema in [whole, std::sync::Arc::new(narrow)] {
            let (bytes, rows) =
                snapshot(&read(&format!("{name}.rows")), std::sync::Arc::clone(&schema));
            let schemas = [schema];
            for row in &rows {
                let options = EncodeOptions::new("shop", connector);
                let len = row.frame.head.len;
                let lines = one(&bytes, row, &schemas, kind, &options, len).expect("the whole row");
                let (after, key) = after_and_key(&lines[0]);
                assert!(after.starts_with(&key[..key.len() - 1]), "{after} {key}");
                for cut in 0..len {
                    assert!(one(&bytes, row, &schemas, kind, &options, cut).is_err(), "{cut}");
                }
            }
        }
    }
}
