//! Records beside rows: exact texts, field by field as ENVELOPE (sections 1, 2, 3 and 6) has them.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{Column, ColumnType, SourceKind, TableName, TableSchema};
use penstock_shards::annex::{
    Annex, ChangeKind, ColumnShape, Message, Order, SchemaChange, TableChange, TableShape,
    TransactionRecord,
};
use penstock_shards::batch::{Batch, Op};
use penstock_shards::encode::options::{BinaryHandling, Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder, SOURCE_VERSION};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

const NOW_US: i64 = 1_795_555_555_123_456;

fn wal(id: Option<&str>) -> Arc<TxnHead> {
    let origin = TxnOrigin::Wal { xid: 773, last_commit_lsn: 29_181_968, replicated: None };
    let (seq, commit_us) = (Seq(7), 1_795_561_498_013_651);
    Arc::new(TxnHead { seq, commit_us, origin, id: id.map(Arc::from) })
}

fn binlog(id: Option<&str>) -> Arc<TxnHead> {
    let origin = TxnOrigin::Binlog {
        gtid: Some("cdc6ae44-e858-11f1-a954-02fc00000001:23".into()),
        file: "binlog.000002".into(),
        server_id: 6001,
        thread: None,
        query: None,
    };
    let (seq, commit_us) = (Seq(7), 1_795_561_498_013_651);
    Arc::new(TxnHead { seq, commit_us, origin, id: id.map(Arc::from) })
}

/// `topic key value`, with the version left out.
fn line(options: EncodeOptions, annex: &Annex, txn: &Arc<TxnHead>, order: Option<Order>) -> String {
    let kind = match options.connector {
        Connector::Postgres => SourceKind::Postgres,
        Connector::MySql => SourceKind::MySql,
        Connector::MariaDb => SourceKind::MariaDb,
    };
    let mut encoder = JsonEncoder::new(options, kind);
    let mut batch = Batch::default();
    let head = FrameHead {
        kind: FrameKind::Annex,
        marker: SnapshotMarker::Streaming,
        format: 0,
        table: annex.kind().table(),
        offset: 0,
        len: 0,
        position: annex.position(),
    };
    let frame = Frame { head, txn: 0 };
    assert_eq!(encoder.encode_annex(annex, &frame, txn, NOW_US, order, &mut batch), Encoded::Done);
    let [event] = &batch.events[..] else { panic!("one event") };
    assert_eq!((event.op, event.seq, event.ordinal), (Op::Annex, txn.seq, 0));
    let text = |span| String::from_utf8(batch.bytes(span).to_vec()).expect("UTF-8");
    let (key, value) = (text(event.key.expect("a key")), text(event.value.expect("a value")));
    let topic = &encoder.topics()[event.topic as usize];
    format!("{topic} {key} {value}").replace(SOURCE_VERSION, "VERSION")
}

fn postgres() -> EncodeOptions {
    EncodeOptions::new("shop", Connector::Postgres)
}

fn mysql() -> EncodeOptions {
    EncodeOptions::new("shop", Connector::MySql)
}

#[test]
fn heartbeats() {
    // Goal: topic, key and value of a heartbeat, and the options of its topic. Method: exact text.
    let beat = |options| line(options, &Annex::Heartbeat, &wal(None), None);
    let texts = r#"{"serverName":"shop"} {"ts_ms":1795555555123}"#;
    assert_eq!(beat(postgres()), format!("__debezium-heartbeat.shop {texts}"));
    let options = EncodeOptions {
        topic_heartbeat_prefix: "beat".into(),
        topic_delimiter: "-".into(),
        ..mysql()
    };
    assert_eq!(beat(options.clone()), format!("beat-shop {texts}"));
    let options = EncodeOptions { topic_heartbeat_name: Some("all.beats".into()), ..options };
    assert_eq!(beat(options), format!("all.beats {texts}"));
}

#[test]
fn transactions() {
    // Goal: BEGIN and END, the id's form by source, the order of `data_collections` (Java's
    // HashMap), the topic's options. Method: exact text; "p" comes before "a" there, by its hash.
    let record = |position, counts| {
        Annex::Transaction(TransactionRecord { position, ts_us: 1_795_561_498_013_999, counts })
    };
    assert_eq!(
        line(postgres(), &record(29_182_000, None), &wal(Some("773")), None),
        "shop.transaction {\"id\":\"773:29182000\"} {\"status\":\"BEGIN\",\
         \"id\":\"773:29182000\",\"event_count\":null,\"data_collections\":null,\
         \"ts_ms\":1795561498013}"
    );
    let counts = vec![("p".into(), 2), ("a".into(), 40)];
    let options =
        EncodeOptions { topic_delimiter: "_".into(), topic_transaction: "tx".into(), ..mysql() };
    assert_eq!(
        line(options, &record(5, Some(counts)), &binlog(Some("cdc6:23")), None),
        "shop_tx {\"id\":\"cdc6:23\"} {\"status\":\"END\",\"id\":\"cdc6:23\",\"event_count\":42,\
         \"data_collections\":[{\"data_collection\":\"p\",\"event_count\":2},\
         {\"data_collection\":\"a\",\"event_count\":40}],\"ts_ms\":1795561498013}"
    );
    assert_eq!(
        line(postgres(), &record(9, Some(Vec::new())), &wal(Some("773")), None),
        "shop.transaction {\"id\":\"773:9\"} {\"status\":\"END\",\"id\":\"773:9\",\
         \"event_count\":0,\"data_collections\":[],\"ts_ms\":1795561498013}"
    );
}

#[test]
fn logical_messages() {
    // Goal: both kinds of message, content by `binary_handling_mode`, the transaction block.
    // Method: exact text.
    let message = |transactional| {
        Annex::Message(Message {
            database: "shop".into(),
            prefix: "a\"b".into(),
            content: vec![0xFB, 0xEF, 0xBE],
            transactional,
            position: 29_182_024,
        })
    };
    let source = |xid| {
        format!(
            "\"source\":{{\"version\":\"VERSION\",\"connector\":\"postgresql\",\"name\":\"shop\",\
             \"ts_ms\":1795561498013,\"snapshot\":\"false\",\"db\":\"shop\",\
             \"sequence\":\"[\\\"29181968\\\",\\\"29182024\\\"]\",\"ts_us\":1795561498013651,\
             \"ts_ns\":1795561498013651000,\"schema\":\"\",\"table\":\"\",\"txId\":{xid},\
             \"lsn\":29182024,\"xmin\":null,\"origin\":null,\"origin_lsn\":null}}"
        )
    };
    let start = "shop.message {\"prefix\":\"a\\\"b\"} {\"op\":\"m\",\"ts_ms\":1795555555123,";
    let end = |content: &str| {
        format!("\"message\":{{\"prefix\":\"a\\\"b\",\"content\":\"{content}\"}}}}")
    };
    assert_eq!(
        line(postgres(), &message(false), &wal(None), None),
        format!("{start}{},\"transaction\":null,{}", source("null"), end("++++"))
    );
    let order = Some(Order { total: 3, collection: 1 });
    let options = EncodeOptions { binary: BinaryHandling::Hex, ..postgres() };
    let block = "\"transaction\":{\"id\":\"773:29182024\",\"total_order\":3,\
                 \"data_collection_order\":1}";
    assert_eq!(
        line(options, &message(true), &wal(Some("773")), order),
        format!("{start}{},{block},{}", source("773"), end("fbefbe"))
    );
    let options = EncodeOptions { binary: BinaryHandling::Base64UrlSafe, ..postgres() };
    assert_eq!(
        line(options, &message(true), &wal(None), None),
        format!("{start}{},\"transaction\":null,{}", source("773"), end("----"))
    );
}

#[test]
fn schema_changes() {
    // Goal: key, value and every field of `tableChanges`, set and not set. Method: exact text.
    let column = ColumnShape {
        name: "e".into(),
        jdbc_type: 1,
        native_type: Some(-3),
        type_name: "ENUM".into(),
        type_expression: Some("ENUM".into()),
        charset: Some("utf8mb4".into()),
        length: Some(1),
        scale: Some(0),
        position: 2,
        optional: true,
        auto_incremented: false,
        generated: true,
        comment: Some("c".into()),
        default_value: Some("a".into()),
        enum_values: vec!["'a'".into(), "'b'".into()],
    };
    let bare = ColumnShape {
        name: "id".into(),
        jdbc_type: 4,
        type_name: "INT".into(),
        position: 1,
        auto_incremented: true,
        ..ColumnShape::default()
    };
    let shape = TableShape {
        default_charset: Some("utf8mb4".into()),
        primary_key: vec!["id".into()],
        columns: vec![bare, column],
        comment: None,
    };
    let id = "\"db\".\"t\"".to_owned();
    let change = SchemaChange {
        source_db: "db".into(),
        source_table: Some("t".into()),
        position: 219,
        database: Some("db".into()),
        ddl: Some("ALTER TABLE t ADD e ENUM(\"a\",'b')".into()),
        changes: vec![
            TableChange { kind: ChangeKind::Alter, id: id.clone(), table: Some(shape) },
            TableChange { kind: ChangeKind::Drop, id, table: None },
        ],
        ..SchemaChange::default()
    };
    assert_eq!(
        line(mysql(), &Annex::SchemaChange(change.into()), &binlog(None), None),
        "shop {\"databaseName\":\"db\"} {\"source\":{\"version\":\"VERSION\",\
         \"connector\":\"mysql\",\"name\":\"shop\",\"ts_ms\":1795561498013,\"snapshot\":\"false\",\
         \"db\":\"db\",\"sequence\":null,\"ts_us\":1795561498013000,\
         \"ts_ns\":1795561498013000000,\"table\":\"t\",\"server_id\":6001,\
         \"gtid\":\"cdc6ae44-e858-11f1-a954-02fc00000001:23\",\"file\":\"binlog.000002\",\
         \"pos\":219,\"row\":0,\"thread\":null,\"query\":null},\"ts_ms\":1795555555123,\
         \"databaseName\":\"db\",\"schemaName\":null,\
         \"ddl\":\"ALTER TABLE t ADD e ENUM(\\\"a\\\",'b')\",\"tableChanges\":[\
         {\"type\":\"ALTER\",\"id\":\"\\\"db\\\".\\\"t\\\"\",\"table\":{\
         \"defaultCharsetName\":\"utf8mb4\",\"primaryKeyColumnNames\":[\"id\"],\"columns\":[\
         {\"name\":\"id\",\"jdbcType\":4,\"nativeType\":null,\"typeName\":\"INT\",\
         \"typeExpression\":null,\"charsetName\":null,\"length\":null,\"scale\":null,\
         \"position\":1,\"optional\":false,\"autoIncremented\":true,\"generated\":false,\
         \"comment\":null,\"defaultValueExpression\":null,\"enumValues\":null},\
         {\"name\":\"e\",\"jdbcType\":1,\"nativeType\":-3,\"typeName\":\"ENUM\",\
         \"typeExpression\":\"ENUM\",\"charsetName\":\"utf8mb4\",\"length\":1,\"scale\":0,\
         \"position\":2,\"optional\":true,\"autoIncremented\":false,\"generated\":true,\
         \"comment\":\"c\",\"defaultValueExpression\":\"a\",\"enumValues\":[\"'a'\",\"'b'\"]}],\
         \"comment\":null}},{\"type\":\"DROP\",\"id\":\"\\\"db\\\".\\\"t\\\"\",\"table\":null}]}"
    );
    let nowhere = SchemaChange { marker: SnapshotMarker::True, ..SchemaChange::default() };
    let origin = TxnOrigin::BinlogSnapshot { file: "binlog.000001".into(), pos: 157 };
    let txn = Arc::new(TxnHead { seq: Seq(1), commit_us: 1_000_000, origin, id: None });
    assert_eq!(
        line(mysql(), &Annex::SchemaChange(nowhere.into()), &txn, None),
        "shop {\"databaseName\":\"\"} {\"source\":{\"version\":\"VERSION\",\
         \"connector\":\"mysql\",\"name\":\"shop\",\"ts_ms\":1000,\"snapshot\":\"true\",\
         \"db\":\"\",\"sequence\":null,\"ts_us\":1000000,\"ts_ns\":1000000000,\"table\":null,\
         \"server_id\":0,\"gtid\":null,\"file\":\"binlog.000001\",\"pos\":157,\"row\":0,\
         \"thread\":null,\"query\":null},\"ts_ms\":1795555555123,\"databaseName\":null,\
         \"schemaName\":null,\"ddl\":null,\"tableChanges\":[]}"
    );
}

/// The `source` block of a TRUNCATE of table `t` in database `db` at `position`.
fn row_source(
    options: EncodeOptions,
    kind: SourceKind,
    txn: &Arc<TxnHead>,
    position: u64,
) -> String {
    let (database, table) = ("db".into(), "t".into());
    let column = Column {
        name: "a".into(),
        ty: ColumnType::Bool,
        nullable: true,
        default: None,
        included: true,
    };
    let table = TableSchema {
        table: TableId(0),
        version: 1,
        name: TableName { database, schema: String::new(), table },
        columns: vec![column],
        key: Vec::new(),
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    };
    let options = EncodeOptions { skipped_operations: Vec::new(), ..options };
    let mut encoder = JsonEncoder::new(options, kind);
    encoder.handle_schema(Arc::new(table));
    let head = FrameHead {
        kind: FrameKind::Truncate,
        marker: SnapshotMarker::Streaming,
        format: 0,
        table: TableId(0),
        offset: 0,
        len: 0,
        position,
    };
    let (frame, mut batch) = (Frame { head, txn: 0 }, Batch::default());
    let segment = Segment::freeze(Vec::new(), 0, None);
    let resume = &mut Resume::default();
    let done = encoder.encode(&segment, &frame, txn, NOW_US, resume, &mut batch);
    assert_eq!(done, Ok(Encoded::Done));
    let value = batch.bytes(batch.events[0].value.expect("a value")).to_vec();
    source_of(&String::from_utf8(value).expect("UTF-8"))
}

fn source_of(value: &str) -> String {
    let from = value.find("\"source\":{").expect("a source block");
    let end = value[from..].find('}').expect("its end");
    value[from..=from + end].to_owned()
}

#[test]
fn the_source_block_is_that_of_rows() {
    // Goal: two writers of one block never part. Method: the block of a TRUNCATE on the row path
    // against that of a record beside rows, same transaction, table and position.
    let change = |position| SchemaChange {
        source_db: "db".into(),
        source_table: Some("t".into()),
        position,
        ..SchemaChange::default()
    };
    let beside = line(mysql(), &Annex::SchemaChange(change(4711).into()), &binlog(None), None);
    let row = row_source(mysql(), SourceKind::MySql, &binlog(None), 4711);
    assert_eq!(source_of(&beside), row.replace(SOURCE_VERSION, "VERSION"));
    let message = Annex::Message(Message {
        database: "db".into(),
        prefix: String::new(),
        content: Vec::new(),
        transactional: true,
        position: 4711,
    });
    let beside = line(postgres(), &message, &wal(None), None);
    let row = row_source(postgres(), SourceKind::Postgres, &wal(None), 4711);
    let row = row.replace("\"table\":\"t\"", "\"table\":\"\"");
    assert_eq!(source_of(&beside), row.replace(SOURCE_VERSION, "VERSION"));
}
