//! Options, filters and limits of the encoder, on captured rows.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{Charset, Column, ColumnType, SourceKind, TableName, TableSchema};
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{
    BinaryHandling, Connector, ConvertingFailure, DecimalHandling, EncodeOptions, NameAdjustment,
    TimePrecision,
};
use penstock_shards::encode::rules::{CellRule, ColumnPattern, ColumnRules, HashAlgorithm};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

use crate::binlog::{CATALOGUE, Input, NOW_US, encode, frames, line};
use crate::mysql::read;

fn options() -> EncodeOptions {
    EncodeOptions::new("shop", Connector::MySql)
}

/// The first insert of the MySQL capture, its columns narrowed to `columns`; its `after`.
fn after(columns: &[&str], options: EncodeOptions) -> Result<String, String> {
    let bytes = read("mysql97.bin");
    let mut inputs = frames(&bytes, "binlog.000001", &CATALOGUE);
    inputs.truncate(1);
    let mut schema = TableSchema::clone(inputs[0].schema.as_ref().expect("a schema"));
    for column in &mut schema.columns {
        column.included = columns.contains(&column.name.as_str());
    }
    inputs[0].schema = Some(Arc::new(schema));
    let lines = encode(&bytes, &inputs, SourceKind::MySql, options).map_err(|e| e.reason)?;
    assert!(lines[0].starts_with("{\"topic\":\"shop.test.types\",\"key\":{\"id\":1},"));
    let (_, rest) = lines[0].split_once("\"after\":").expect("an after");
    Ok(rest.split_once(",\"source\"").expect("a source").0.into())
}

#[test]
fn decimal_modes() {
    // Goal: decimal_handling_mode, 64-bit and long. Method: exact text of known values.
    let columns = ["dc", "dl", "d9", "dz", "dy"];
    let with = |decimal| EncodeOptions { decimal, ..options() };
    assert_eq!(
        after(&columns, with(DecimalHandling::String)).unwrap(),
        "{\"dc\":\"-1234567890.12\",\
         \"dl\":\"12345678901234567890123456789012345.123456789012345678901234567890\",\
         \"d9\":\"-123456789.987654321\",\"dz\":\"12345678901234567890\",\"dy\":\"0.12345\"}"
    );
    assert_eq!(
        after(&columns, with(DecimalHandling::Double)).unwrap(),
        "{\"dc\":-1.23456789012E9,\"dl\":1.234567890123457E34,\"d9\":-1.2345678998765433E8,\
         \"dz\":1.2345678901234567E19,\"dy\":0.12345}"
    );
}

#[test]
fn binary_modes() {
    // Goal: binary_handling_mode, BINARY padded. Method: exact text of known values.
    let columns = ["bi", "vb", "bl"];
    let with = |binary| EncodeOptions { binary, ..options() };
    assert_eq!(
        after(&columns, with(BinaryHandling::Hex)).unwrap(),
        "{\"bi\":\"0102000000000000\",\"vb\":\"0062696e\",\"bl\":\"00ff10\"}"
    );
    let base64 = "{\"bi\":\"AQIAAAAAAAA=\",\"vb\":\"AGJpbg==\",\"bl\":\"AP8Q\"}";
    assert_eq!(after(&columns, with(BinaryHandling::Base64)).unwrap(), base64);
    assert_eq!(after(&columns, with(BinaryHandling::Base64UrlSafe)).unwrap(), base64);
}

#[test]
fn time_precision_modes() {
    // Goal: every time_precision_mode of MySQL. Method: exact text; what a mode cannot tell is an
    // error that names the column.
    let columns = ["da", "t0", "dt", "dt3", "dt6"];
    let with = |mode| EncodeOptions { time_precision: Some(mode), ..options() };
    for (mode, wanted) in [
        (
            TimePrecision::AdaptiveTimeMicroseconds,
            "{\"da\":19782,\"t0\":45296000000,\"dt\":1709210096000,\"dt3\":1709210096789,\
             \"dt6\":1709210096123456}",
        ),
        (
            TimePrecision::Microseconds,
            "{\"da\":19782,\"t0\":45296000000,\"dt\":1709210096000000,\"dt3\":1709210096789000,\
             \"dt6\":1709210096123456}",
        ),
        (
            TimePrecision::Nanoseconds,
            "{\"da\":19782,\"t0\":45296000000000,\"dt\":1709210096000000000,\
             \"dt3\":1709210096789000000,\"dt6\":1709210096123456000}",
        ),
        (
            TimePrecision::Connect,
            "{\"da\":19782,\"t0\":45296000,\"dt\":1709210096000,\"dt3\":1709210096789,\
             \"dt6\":1709210096123}",
        ),
        (
            TimePrecision::IsoString,
            "{\"da\":\"2024-02-29Z\",\"t0\":\"12:34:56Z\",\"dt\":\"2024-02-29T12:34:56Z\",\
             \"dt3\":\"2024-02-29T12:34:56.789Z\",\"dt6\":\"2024-02-29T12:34:56.123456Z\"}",
        ),
    ] {
        assert_eq!(after(&columns, with(mode)).unwrap(), wanted, "{mode:?}");
    }
    // By default a value that cannot be converted is null, as in Debezium.
    assert_eq!(after(&["t3"], with(TimePrecision::Connect)).unwrap(), "{\"t3\":null}");
    let failing = EncodeOptions {
        converting_failure: ConvertingFailure::Fail,
        ..with(TimePrecision::Connect)
    };
    let error = after(&["t3"], failing).unwrap_err();
    assert!(error.starts_with("column \"t3\" holds a TIME outside"), "{error}");
}

#[test]
fn bigint_unsigned_modes_and_filters() {
    // Goal: bigint_unsigned_handling_mode; excluded columns leave the value, never the key. Method:
    // the greatest BIGINT UNSIGNED; a value without the key column.
    assert_eq!(after(&["bu"], options()).unwrap(), "{\"bu\":-1}");
    let precise = EncodeOptions { bigint_unsigned_precise: true, ..options() };
    assert_eq!(after(&["bu", "id"], precise).unwrap(), "{\"id\":1,\"bu\":\"AP//////////\"}");
    assert_eq!(after(&[], options()).unwrap(), "{}");
}

#[test]
fn nulls_without_their_defaults() {
    // Goal: replace_null_with_default = false. Method: the row with NULL in columns with defaults.
    let bytes = read("mysql97.bin");
    let inputs = frames(&bytes, "binlog.000001", &CATALOGUE);
    let options = EncodeOptions { replace_null_with_default: false, ..options() };
    let lines = encode(&bytes, &inputs[..3], SourceKind::MySql, options).expect("rows");
    assert!(lines[2].contains(",\"dflt\":null,\"dstr\":null},\"source\""), "{}", lines[2]);
}

/// The MySQL capture as one transaction.
fn one_transaction() -> (Vec<u8>, Vec<Input>) {
    let bytes = read("mysql97.bin");
    let mut inputs = frames(&bytes, "binlog.000001", &CATALOGUE);
    for input in &mut inputs {
        input.txn = Arc::new(TxnHead { seq: Seq(1), ..TxnHead::clone(&input.txn) });
    }
    (bytes, inputs)
}

#[test]
fn l14_ordinals_count_rows_that_are_skipped() {
    // Goal: an event's ordinal does not depend on filters. Method: with and without inserts, the
    // other events have the same ordinals; key changes are updates, their three events share one.
    let (bytes, inputs) = one_transaction();
    let all = encode(&bytes, &inputs, SourceKind::MySql, options()).expect("rows");
    let skipped = EncodeOptions { skipped_operations: vec![b'c'], ..options() };
    let some = encode(&bytes, &inputs, SourceKind::MySql, skipped).expect("rows");
    let rest: Vec<_> = all
        .iter()
        .filter(|line| !line.contains("\"op\":\"c\"") || line.contains("\"oldkey\":"))
        .cloned()
        .collect();
    assert!(rest.len() < all.len());
    assert_eq!(some, rest);
    let none = EncodeOptions { skipped_operations: b"cudr".to_vec(), ..options() };
    assert!(encode(&bytes, &inputs, SourceKind::MySql, none).expect("rows").is_empty());
    let of = |line: &String| line.rsplit_once("\"at\":\"1.").expect("an ordinal").1.to_string();
    let keyed: Vec<_> =
        all.iter().filter(|line| line.contains("shop.test.keyed")).map(of).collect();
    let wanted = [0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 5, 6, 6, 7].map(|n| format!("{n}\"}}"));
    assert_eq!(keyed, wanted);
}

#[test]
fn tombstones_are_an_option() {
    // Goal: tombstones_on_delete = false. Method: the same records without them.
    let (bytes, inputs) = one_transaction();
    let all = encode(&bytes, &inputs, SourceKind::MySql, options()).expect("rows");
    let without = EncodeOptions { tombstones_on_delete: false, ..options() };
    let some = encode(&bytes, &inputs, SourceKind::MySql, without).expect("rows");
    let rest: Vec<_> =
        all.iter().filter(|line| !line.contains("\"value\":null")).cloned().collect();
    assert!(rest.len() < all.len());
    assert_eq!(some, rest);
}

/// A table made for one test.
fn table(name: &str, columns: &[(&str, ColumnType, bool)], key: &[u16]) -> Arc<TableSchema> {
    let column = |(name, ty, nullable): &(&str, ColumnType, bool)| Column {
        name: (*name).into(),
        ty: ty.clone(),
        nullable: *nullable,
        default: None,
        included: true,
    };
    Arc::new(TableSchema {
        table: TableId(3),
        version: 1,
        name: TableName { database: "d b".into(), schema: String::new(), table: name.into() },
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    })
}

/// One frame around `body`.
fn input(schema: &Arc<TableSchema>, kind: FrameKind, format: u8, body: &[u8]) -> Input {
    let head = FrameHead {
        kind,
        marker: SnapshotMarker::Streaming,
        format,
        table: schema.table,
        offset: 0,
        len: body.len() as u32,
        position: 4_294_967_300,
    };
    let origin = TxnOrigin::Binlog {
        gtid: None,
        file: "mysql-bin.000009".into(),
        server_id: 1,
        thread: None,
        query: Some("update \"x\"".into()),
    };
    let txn = TxnHead { seq: Seq(9), commit_us: 999, origin, id: None };
    Input { schema: Some(Arc::clone(schema)), frame: Frame { head, txn: 0 }, txn: Arc::new(txn) }
}

const INT: ColumnType = ColumnType::Int { bits: 32, unsigned: false };
const TEXT: ColumnType = ColumnType::Text { length_bytes: 2, charset: Charset::Utf8 };

#[test]
fn truncate_and_the_parts_of_a_source_block() {
    // Goal: TRUNCATE's envelope, a topic that needs sanitising, times before 1000 µs, positions
    // beyond 4 GiB, a query with quotes. Method: exact text.
    let schema = table("tä", &[("a", INT, true)], &[]);
    let inputs = [input(&schema, FrameKind::Truncate, 0, b"")];
    assert!(encode(b"", &inputs, SourceKind::MySql, options()).expect("skipped").is_empty());
    let wanted = EncodeOptions { skipped_operations: Vec::new(), ..options() };
    assert_eq!(
        encode(b"", &inputs, SourceKind::MySql, wanted).expect("a truncation"),
        ["{\"topic\":\"shop.d_b.t_\",\"key\":null,\"value\":{\"before\":null,\"after\":null,\
          \"source\":{\"version\":\"VERSION\",\"connector\":\"mysql\",\"name\":\"shop\",\"ts_ms\":0,\
          \"snapshot\":\"false\",\"db\":\"d b\",\"sequence\":null,\"ts_us\":0,\"ts_ns\":0,\
          \"table\":\"tä\",\"server_id\":1,\"gtid\":null,\"file\":\"mysql-bin.000009\",\
          \"pos\":4294967300,\"row\":0,\"thread\":null,\"query\":\"update \\\"x\\\"\"},\
          \"transaction\":null,\"op\":\"t\",\"ts_ms\":1795555555123,\"ts_us\":1795555555123456,\
          \"ts_ns\":1795555555123456000},\"at\":\"9.0\"}"]
    );
}

#[test]
fn a_transaction_read_again_from_another_file_names_that_file() {
    // Goal: cached text of a source block never outlives what it was drawn from. Method: two frames
    // with the same number and time, from two files, then with another statement's text.
    let schema = table("t", &[("a", INT, true)], &[]);
    let body = [1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1, 0, 7, 0, 0, 0];
    let mut inputs: Vec<_> = (0..3).map(|_| input(&schema, FrameKind::Insert, 30, &body)).collect();
    for (i, (name, text)) in [("a.1", "one"), ("b.1", "one"), ("b.1", "two")].iter().enumerate() {
        let mut txn = TxnHead::clone(&inputs[i].txn);
        if let TxnOrigin::Binlog { file, query, .. } = &mut txn.origin {
            (*file, *query) = ((*name).into(), Some((*text).into()));
        }
        inputs[i].txn = Arc::new(txn);
        inputs[i].schema = inputs[i].schema.take().filter(|_| i == 0);
    }
    let lines = encode(&body, &inputs, SourceKind::MySql, options()).expect("rows");
    for (line, (file, query)) in lines.iter().zip([("a.1", "one"), ("b.1", "one"), ("b.1", "two")])
    {
        assert!(line.contains(&format!("\"file\":\"{file}\",")), "{line}");
        assert!(line.contains(&format!("\"query\":\"{query}\"")), "{line}");
    }
    assert_eq!(lines.len(), 3);
}

#[test]
fn images_without_all_columns() {
    // Goal: a column that only the old image has stands in the new one, too; without its key a row
    // is refused, and so is one of no bytes. Method: hand-made MINIMAL images.
    let schema = table("t", &[("a", INT, false), ("b", TEXT, true), ("c", INT, false)], &[0]);
    let body =
        [1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0b101, 0b110, 0, 7, 0, 0, 0, 8, 0, 0, 0, 1, 9, 0, 0, 0];
    let inputs = [input(&schema, FrameKind::Update, 31, &body)];
    let lines = encode(&body, &inputs, SourceKind::MySql, options()).expect("rows");
    let images = "\"before\":{\"a\":7,\"b\":null,\"c\":8},\"after\":{\"a\":7,\"b\":null,\"c\":9}";
    assert!(lines[0].contains(images), "{}", lines[0]);
    let keyless = [1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0b100, 0b110, 0, 8, 0, 0, 0, 1, 9, 0, 0, 0];
    let inputs = [input(&schema, FrameKind::Update, 31, &keyless)];
    let error = encode(&keyless, &inputs, SourceKind::MySql, options()).unwrap_err();
    assert_eq!(
        error.reason,
        "a row image without its key (set binlog_row_image = FULL, also where sessions set it, \
         then take a new snapshot) in column \"a\" at byte 13 of its event"
    );
    let empty = [1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0, 7, 7];
    let inputs = [input(&schema, FrameKind::Insert, 30, &empty)];
    let error = encode(&empty, &inputs, SourceKind::MySql, options()).unwrap_err();
    assert_eq!(error.reason, "a row image without columns at byte 12 of its event");
}

#[test]
fn what_is_not_decoded_is_refused_by_name() {
    // Goal: HAZARDS L21, never a guess. Method: an unsupported column, an unknown character set,
    // compressed events, another number of columns, a table without schema.
    let geometry = ColumnType::Unsupported { name: "GEOMETRY".into() };
    let sjis = ColumnType::Text { length_bytes: 1, charset: Charset::Other(13) };
    let body = [1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1, 0, 7, 0, 0, 0];
    let plain = table("t", &[("a", INT, true)], &[]);
    let two = table("t", &[("a", INT, true), ("b", INT, true)], &[]);
    for (schema, format, wanted) in [
        (table("t", &[("g", geometry, true)], &[]), 30, "column \"g\" has type GEOMETRY"),
        (
            table("t", &[("s", sjis, true)], &[]),
            30,
            "column \"s\" has a character set that is not decoded (collation id 13)",
        ),
        (
            Arc::clone(&plain),
            166,
            "a compressed rows event (log_bin_compress) at byte 0 of its event",
        ),
        (two, 30, "a number of columns that is not the table's at byte 12 of its event"),
    ] {
        let inputs = [input(&schema, FrameKind::Insert, format, &body)];
        let error = encode(&body, &inputs, SourceKind::MySql, options()).unwrap_err();
        assert_eq!(error.reason, wanted);
    }
    let mut unknown = input(&plain, FrameKind::Insert, 30, &body);
    unknown.schema = None;
    assert!(encode(&body, &[unknown], SourceKind::MySql, options()).is_err());
}

#[test]
fn l31_an_event_of_any_length_is_cut_into_batches_and_resumed() {
    // Goal: bounded batches, every row once, in order. Method: one event of 20,000 rows; batches
    // stay in their bounds and together hold rows 0 to 19,999 with their ordinals.
    let schema = table("t", &[("a", INT, true), ("b", TEXT, true)], &[0]);
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3];
    for row in 0..20_000u32 {
        body.push(0);
        body.extend(row.to_le_bytes());
        body.extend([4, 0]);
        body.extend(b"text");
    }
    let one = input(&schema, FrameKind::Insert, 30, &body);
    let segment = Segment::freeze(body.clone(), body.len(), None);
    let mut encoder = JsonEncoder::new(options(), SourceKind::MySql);
    encoder.handle_schema(schema);
    let (mut batch, mut resume, mut next, mut batches) =
        (Batch::default(), Resume::default(), 0, 0);
    loop {
        let (frame, txn) = (&one.frame, &one.txn);
        let done = encoder
            .encode(&segment, frame, txn, NOW_US, &mut resume, &mut batch)
            .expect("well-formed rows");
        assert!(batch.used() < BATCH_BYTES_MAX + 1024 && batch.events.len() <= BATCH_EVENTS_MAX);
        for event in &batch.events {
            assert_eq!(event.ordinal, next);
            let line = line(&batch, event, "t");
            let start = format!(
                "{{\"topic\":\"t\",\"key\":{{\"a\":{next}}},\"value\":{{\"before\":null,\
                 \"after\":{{\"a\":{next},\"b\":\"text\"}},"
            );
            assert!(line.starts_with(&start) && line.contains(&format!(",\"row\":{next},")));
            next += 1;
        }
        batch.clear();
        batches += 1;
        if done == Encoded::Done {
            break;
        }
    }
    assert_eq!(next, 20_000);
    assert!(batches > 20, "{batches} batches");
}

#[test]
fn a_row_that_fails_leaves_the_rows_before_it_and_nothing_else() {
    // Goal: no half row in a batch. Method: the second of two rows holds a day that does not exist.
    let schema = table("t", &[("d", ColumnType::Date, true)], &[0]);
    let day = |y: u32, m: u32, d: u32| (y << 9 | m << 5 | d).to_le_bytes();
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1];
    for (y, m, d) in [(2024, 2, 29), (2023, 2, 30)] {
        body.push(0);
        body.extend(&day(y, m, d)[..3]);
    }
    let one = input(&schema, FrameKind::Delete, 32, &body);
    let segment = Segment::freeze(body.clone(), body.len(), None);
    let mut encoder = JsonEncoder::new(options(), SourceKind::MySql);
    encoder.handle_schema(schema);
    let (mut batch, mut resume) = (Batch::default(), Resume::default());
    let error = encoder
        .encode(&segment, &one.frame, &one.txn, NOW_US, &mut resume, &mut batch)
        .unwrap_err();
    assert_eq!(
        error.reason,
        "a truncated value or a day that does not exist in column \"d\" at byte 17 of its event"
    );
    assert_eq!(batch.events.len(), 2);
    let key = batch.bytes(batch.events[1].key.expect("a key"));
    assert_eq!(key, b"{\"d\":19782}");
    assert_eq!(batch.used(), {
        let key = batch.events[0].key.expect("a key");
        (key.at + key.len) as usize
    });
}

/// Rules over columns of `d b.t`.
fn rules(cells: &[(&str, CellRule)], keys: &[&str]) -> EncodeOptions {
    let pattern = |text: &str| {
        ColumnPattern(regex::Regex::new(&format!("^(?:d b.t.{text})$")).expect("a pattern"))
    };
    let cells = cells.iter().map(|(text, rule)| (pattern(text), rule.clone())).collect();
    let keys = keys.iter().map(|text| pattern(text)).collect();
    EncodeOptions { columns: ColumnRules { keys, cells }, ..options() }
}

#[test]
fn masked_cut_and_hashed_columns() {
    // Goal: each rule on a value, on NULL and on an empty text; the key of a masked column is told as
    // it is; numbers have no rule. Method: two rows by hand, exact text; hashes by `md5sum`.
    let columns = [
        ("k", TEXT, false),
        ("cut", TEXT, true),
        ("mask", TEXT, true),
        ("hash", TEXT, true),
        ("n", INT, true),
    ];
    let schema = table("t", &columns, &[0]);
    let body: Vec<u8> = [
        &[9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5, 0xFF][..],
        &[
            0b1110_0000,
            2,
            0,
            b'i',
            b'd',
            4,
            0,
            b'a',
            b'"',
            b'b',
            b'c',
            1,
            0,
            b'x',
            3,
            0,
            b'a',
            b'b',
            b'c',
        ],
        &[7, 0, 0, 0],
        &[0b1111_1110, 0, 0],
    ]
    .concat();
    let inputs = [input(&schema, FrameKind::Insert, 30, &body)];
    let hash = |v2| CellRule::Hash { algorithm: HashAlgorithm::Md5, salt: String::new(), v2 };
    let options = rules(
        &[
            ("k", CellRule::Mask(3)),
            ("cut", CellRule::Truncate(2)),
            ("mask", CellRule::Mask(1)),
            ("hash", hash(true)),
            ("n", CellRule::Mask(9)),
        ],
        &[],
    );
    let lines = encode(&body, &inputs, SourceKind::MySql, options).expect("two rows");
    let told: Vec<&str> = lines
        .iter()
        .map(|line| {
            let (_, rest) = line.split_once("\"key\":").expect("a key");
            rest.split_once(",\"source\"").expect("a source").0
        })
        .collect();
    assert_eq!(
        told,
        [
            "{\"k\":\"id\"},\"value\":{\"before\":null,\"after\":{\"k\":\"***\",\"cut\":\"a\\\"\",\
             \"mask\":\"*\",\"hash\":\"900150983cd24fb0d6963f7d28e17f72\",\"n\":7}",
            "{\"k\":\"\"},\"value\":{\"before\":null,\"after\":{\"k\":\"***\",\"cut\":null,\
             \"mask\":\"*\",\"hash\":null,\"n\":null}",
        ]
    );
}

#[test]
fn message_keys_and_adjusted_names() {
    // Goal: `message_key_columns` in the order that is listed, also of a column that is not in the
    // value; `field_name_adjustment_mode` in value and key; `skip_messages_without_change`. Method:
    // rows by hand, exact text.
    let columns = [("a", INT, true), ("1-b", INT, true)];
    let mut schema = TableSchema::clone(&table("t", &columns, &[0]));
    schema.columns[0].included = false;
    let schema = Arc::new(schema);
    let insert: Vec<u8> =
        [&[9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3][..], &[0b1111_1100, 1, 0, 0, 0, 2, 0, 0, 0]]
            .concat();
    let inputs = [input(&schema, FrameKind::Insert, 30, &insert)];
    let with = |mode| EncodeOptions { field_name_adjustment: mode, ..rules(&[], &["1-b", "a"]) };
    for (mode, name) in [
        (NameAdjustment::None, "1-b"),
        (NameAdjustment::Avro, "_1_b"),
        (NameAdjustment::AvroUnicode, "_u0031_u002db"),
    ] {
        let lines = encode(&insert, &inputs, SourceKind::MySql, with(mode)).expect("a row");
        let start = format!(
            "{{\"topic\":\"shop.d_b.t\",\"key\":{{\"{name}\":2,\"a\":1}},\"value\":{{\"before\":null,\
             \"after\":{{\"{name}\":2}},\"source\""
        );
        assert!(lines[0].starts_with(&start), "{}", lines[0]);
    }
    // Two updates: of the column that is left out alone, and of the other one.
    let update: Vec<u8> = [
        &[9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 3][..],
        &[0b1111_1100, 1, 0, 0, 0, 2, 0, 0, 0, 0b1111_1100, 3, 0, 0, 0, 2, 0, 0, 0],
        &[0b1111_1100, 3, 0, 0, 0, 2, 0, 0, 0, 0b1111_1100, 3, 0, 0, 0, 4, 0, 0, 0],
    ]
    .concat();
    let inputs = [input(&schema, FrameKind::Update, 31, &update)];
    let skipping = EncodeOptions { skip_messages_without_change: true, ..options() };
    let lines = encode(&update, &inputs, SourceKind::MySql, skipping).expect("rows");
    assert_eq!(lines.len(), 1, "the key changed in the first one, and nothing that is told");
    assert!(lines[0].contains("\"key\":{\"a\":3},\"value\":{\"before\":{\"1-b\":2},"));
    assert!(lines[0].ends_with("\"at\":\"9.1\"}"), "ordinals count what is left out (L14)");
    let lines = encode(&update, &inputs, SourceKind::MySql, options()).expect("rows");
    assert_eq!(lines.len(), 4, "d, tombstone, c, u");
}
