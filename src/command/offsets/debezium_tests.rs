//! Tests of `debezium`: each form in which Connect's offsets come, and each refusal.

use penstock_protocol::position::{BinlogPosition, LsnPosition, Position};
use penstock_protocol::schema::SourceKind;

use super::debezium::{Taken, read, take};

const POSTGRES: &[u8] = include_bytes!("../../../tests/golden/offsets/postgres.dat");
const SEVERAL: &[u8] = include_bytes!("../../../tests/golden/offsets/several.dat");

const VALUE: &str = r#"{"lsn_proc":26523000,"lsn_commit":26522832,"lsn":26523000,"txId":771}"#;

fn taken(bytes: &[u8], server: &str, kind: SourceKind) -> std::result::Result<Taken, String> {
    read(bytes).and_then(|stored| take(&stored, server, kind)).map_err(|error| error.to_string())
}

fn wal(lsn: u64, last_commit_lsn: u64) -> Position {
    Position::Postgres(LsnPosition { system_id: String::new(), timeline: 0, lsn, last_commit_lsn })
}

#[test]
fn every_form_gives_the_same_position() {
    // Goal: file, topic, REST and bare value are read alike. Method: one offset in all forms.
    let key = r#"["shop-connector",{"server":"shop"}]"#;
    let older = VALUE.replace("26523000", "26522900");
    let rest = format!(r#"{{"offsets":[{{"partition":{{"server":"shop"}},"offset":{VALUE}}}]}}"#);
    let forms: [Vec<u8>; 5] = [
        POSTGRES.to_vec(),
        format!("{key}\t{older}\n[\"x\",{{\"server\":\"y\"}}]\tnull\n{key}\t{VALUE}\n").into(),
        rest.into(),
        VALUE.into(),
        format!("{older}\n{VALUE}\n").into(),
    ];
    for form in forms {
        let taken = taken(&form, "shop", SourceKind::Postgres).expect("an offset");
        assert_eq!(taken.position, wal(26_522_832, 26_522_832));
    }
}

#[test]
fn binlog_offsets_keep_file_pos_and_gtids() {
    // Goal: a position at the transaction's start, and word of what is repeated. Method: a file of
    // several servers, and an offset between transactions.
    let inside = taken(SEVERAL, "inventory", SourceKind::MySql).expect("an offset");
    let position = BinlogPosition {
        server_uuid: String::new(),
        file: "binlog.000003".into(),
        pos: 805,
        gtids: Some("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-17".into()),
    };
    assert_eq!(inside.position, Position::MySql(position));
    assert_eq!(inside.notes.len(), 1);
    let between = br#"{"file":"m.000001","pos":4,"gtids":"0-1-7,1-1-9","event":0,"row":0}"#;
    let between = taken(between, "shop", SourceKind::MariaDb).expect("an offset");
    let position = BinlogPosition {
        server_uuid: String::new(),
        file: "m.000001".into(),
        pos: 4,
        gtids: Some("0-1-7,1-1-9".into()),
    };
    assert_eq!(between, Taken { position: Position::MariaDb(position), notes: Vec::new() });
}

#[test]
fn refusals_say_what_to_do() {
    // Goal: exact text of each error. Method: a table.
    let none = |why: &str| {
        format!(
            "error[state-offset-unreadable]: no offset of Debezium: {why}\n  do: give Connect's \
             offset file, a record of its offset topic (key, tab, value), or the answer of GET \
             /connectors/NAME/offsets"
        )
    };
    let pg = SourceKind::Postgres;
    let cases: &[(&[u8], &str, SourceKind, String)] = &[
        (
            SEVERAL,
            "shop",
            SourceKind::MySql,
            "error[state-offset-unreadable]: there is no offset of a server called \
             \"shop\"\n  do: choose with --server: inventory, orders"
                .into(),
        ),
        (
            b"",
            "shop",
            pg,
            "error[state-offset-unreadable]: there is no offset of a server called \
             \"shop\"\n  do: there is none at all: is it the right file?"
                .into(),
        ),
        (b"[1]", "shop", pg, none("the JSON is not an object")),
        (b"hello", "shop", pg, none("a line is neither an offset nor key, tab and offset")),
        (b"\xff\xfe", "shop", pg, none("it is neither text nor Java")),
        (
            &SEVERAL[..100],
            "shop",
            pg,
            "error[state-offset-unreadable]: this is a Java object stream, but no offset file of \
             Kafka Connect: 4 more bytes wanted at offset 100\n  do: give the file that \
             offset.storage.file.filename names"
                .into(),
        ),
    ];
    for (bytes, server, kind, expected) in cases {
        assert_eq!(taken(bytes, server, *kind).expect_err("refused"), *expected);
    }
}
