//! Records beside rows as Debezium's JSON (ENVELOPE sections 1, 2 and 6).
//!
//! Enters: an annex record with the head of its transaction. Leaves: one event, its texts appended
//! to the batch. Keeps: fields in schema order, nulls included; the `source` block is the row
//! path's, field by field (a test compares them). Rare records: clear code, not fast code.

use std::sync::Arc;

use penstock_protocol::frame::SnapshotMarker;

use super::debezium_json::{SOURCE_VERSION, marker_text, of_statement};
use super::java_map;
use super::options::{BinaryHandling, Connector, EncodeOptions};
use super::text::{Binary, Out, escaped, put_binary};
use crate::annex::{
    Annex, AnnexKind, ChangeKind, ColumnShape, Message, Order, SchemaChange, TableChange,
    TableShape, TransactionRecord,
};
use crate::hop::{TxnHead, TxnOrigin};

/// The key's and the value's text.
pub(super) struct Texts {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// The topic of a kind.
pub(super) fn topic(kind: AnnexKind, options: &EncodeOptions) -> String {
    let EncodeOptions { name, topic_delimiter: delimiter, .. } = options;
    match kind {
        AnnexKind::Heartbeat => match &options.topic_heartbeat_name {
            Some(name) => name.clone(),
            None => format!("{}{delimiter}{name}", options.topic_heartbeat_prefix),
        },
        AnnexKind::SchemaChange => name.clone(),
        AnnexKind::Transaction => format!("{name}{delimiter}{}", options.topic_transaction),
        // Debezium joins these two with a dot, whatever the delimiter.
        AnnexKind::Message => format!("{name}.message"),
    }
}

/// Key and value of a record.
pub(super) fn texts(
    options: &EncodeOptions,
    annex: &Annex,
    txn: &TxnHead,
    order: Order,
    now_us: i64,
) -> Texts {
    let now_ms = now_us.div_euclid(1000);
    match annex {
        Annex::Heartbeat => Texts {
            key: object(&[("serverName", string(&options.name))]),
            value: object(&[("ts_ms", number(now_ms))]),
        },
        Annex::Transaction(record) => transaction(record, txn),
        Annex::Message(message) => message_texts(options, message, txn, order, now_ms),
        Annex::SchemaChange(change) => schema_change(options, change, txn, now_ms),
    }
}

/// `transaction.id` of a record at `position`.
pub(super) fn transaction_id(txn: &TxnHead, position: u64) -> Option<String> {
    let id = txn.id.as_deref()?;
    Some(match txn.origin {
        TxnOrigin::Wal { .. } | TxnOrigin::WalSnapshot { .. } => format!("{id}:{position}"),
        TxnOrigin::Binlog { .. } | TxnOrigin::BinlogSnapshot { .. } => id.to_owned(),
    })
}

fn transaction(record: &TransactionRecord, txn: &TxnHead) -> Texts {
    let id = string(&transaction_id(txn, record.position).unwrap_or_default());
    let (count, collections) = match &record.counts {
        None => (null(), null()),
        Some(counts) => {
            // Debezium keeps them in a `HashMap`, and lists them in its order.
            let mut counts: Vec<&(Arc<str>, u64)> = counts.iter().collect();
            let hash = |(name, _): &&(Arc<str>, u64)| {
                java_map::spread(java_map::string_hash(name.bytes()))
            };
            java_map::sort(&mut counts, java_map::CAPACITY, hash);
            let collection = |&&(ref name, count): &&(Arc<str>, u64)| {
                object(&[
                    ("data_collection", string(name)),
                    ("event_count", number(count.cast_signed())),
                ])
            };
            let total: u64 = counts.iter().map(|(_, count)| count).sum();
            (number(total.cast_signed()), array(counts.iter().map(collection)))
        }
    };
    let status = if record.counts.is_some() { "END" } else { "BEGIN" };
    let value = object(&[
        ("status", string(status)),
        ("id", id.clone()),
        ("event_count", count),
        ("data_collections", collections),
        ("ts_ms", number(record.ts_us.div_euclid(1000))),
    ]);
    Texts { key: object(&[("id", id)]), value }
}

fn message_texts(
    options: &EncodeOptions,
    message: &Message,
    txn: &TxnHead,
    order: Order,
    now_ms: i64,
) -> Texts {
    let place = Place {
        db: &message.database,
        schema: Some(""),
        table: Some(""),
        marker: SnapshotMarker::Streaming,
        position: message.position,
        in_transaction: message.transactional,
    };
    let id = transaction_id(txn, message.position).filter(|_| message.transactional);
    let transaction = id.map_or_else(null, |id| {
        object(&[
            ("id", string(&id)),
            ("total_order", number(order.total.cast_signed())),
            ("data_collection_order", number(order.collection.cast_signed())),
        ])
    });
    let prefix = string(&message.prefix);
    let content =
        object(&[("prefix", prefix.clone()), ("content", binary(options, &message.content))]);
    let value = object(&[
        ("op", string("m")),
        ("ts_ms", number(now_ms)),
        ("source", source(options, txn, &place)),
        ("transaction", transaction),
        ("message", content),
    ]);
    Texts { key: object(&[("prefix", prefix)]), value }
}

fn schema_change(
    options: &EncodeOptions,
    change: &SchemaChange,
    txn: &TxnHead,
    now_ms: i64,
) -> Texts {
    let place = Place {
        db: &change.source_db,
        schema: change.schema.as_deref(),
        table: change.source_table.as_deref(),
        marker: change.marker,
        position: change.position,
        in_transaction: true,
    };
    let value = object(&[
        ("source", source(options, txn, &place)),
        ("ts_ms", number(now_ms)),
        ("databaseName", optional(change.database.as_deref())),
        ("schemaName", optional(change.schema.as_deref())),
        ("ddl", optional(change.ddl.as_deref())),
        ("tableChanges", array(change.changes.iter().map(table_change))),
    ]);
    let database = change.database.as_deref().unwrap_or_default();
    Texts { key: object(&[("databaseName", string(database))]), value }
}

fn table_change(change: &TableChange) -> Vec<u8> {
    let kind = match change.kind {
        ChangeKind::Create => "CREATE",
        ChangeKind::Alter => "ALTER",
        ChangeKind::Drop => "DROP",
    };
    object(&[
        ("type", string(kind)),
        ("id", string(&change.id)),
        ("table", change.table.as_ref().map_or_else(null, table_shape)),
    ])
}

fn table_shape(table: &TableShape) -> Vec<u8> {
    object(&[
        ("defaultCharsetName", optional(table.default_charset.as_deref())),
        ("primaryKeyColumnNames", array(table.primary_key.iter().map(|name| string(name)))),
        ("columns", array(table.columns.iter().map(column_shape))),
        ("comment", optional(table.comment.as_deref())),
    ])
}

fn column_shape(column: &ColumnShape) -> Vec<u8> {
    let integer = |value: Option<i32>| value.map_or_else(null, |value| number(value.into()));
    let labels = match column.enum_values.is_empty() {
        true => null(),
        false => array(column.enum_values.iter().map(|label| string(label))),
    };
    object(&[
        ("name", string(&column.name)),
        ("jdbcType", number(column.jdbc_type.into())),
        ("nativeType", integer(column.native_type)),
        ("typeName", string(&column.type_name)),
        ("typeExpression", optional(column.type_expression.as_deref())),
        ("charsetName", optional(column.charset.as_deref())),
        ("length", integer(column.length)),
        ("scale", integer(column.scale)),
        ("position", number(column.position.into())),
        ("optional", boolean(column.optional)),
        ("autoIncremented", boolean(column.auto_incremented)),
        ("generated", boolean(column.generated)),
        ("comment", optional(column.comment.as_deref())),
        ("defaultValueExpression", optional(column.default_value.as_deref())),
        ("enumValues", labels),
    ])
}

// ------------------------------------------------------------------------------ source block

/// What a record says of its own place.
struct Place<'a> {
    db: &'a str,
    schema: Option<&'a str>,
    table: Option<&'a str>,
    marker: SnapshotMarker,
    position: u64,
    /// PostgreSQL: else `txId` is null.
    in_transaction: bool,
}

/// The `source` block (ENVELOPE section 3).
fn source(options: &EncodeOptions, txn: &TxnHead, place: &Place) -> Vec<u8> {
    let connector = match options.connector {
        Connector::MySql => "mysql",
        Connector::MariaDb => "mariadb",
        Connector::Postgres => "postgresql",
    };
    let marker = marker_text(place.marker, options);
    let txn = &of_statement(txn);
    let us = txn.commit_us;
    let mut fields = vec![
        ("version", string(SOURCE_VERSION)),
        ("connector", string(connector)),
        ("name", string(&options.name)),
        ("ts_ms", number(us.div_euclid(1000))),
        ("snapshot", marker.to_vec()),
        ("db", string(place.db)),
        ("sequence", sequence(txn, place)),
        ("ts_us", number(us)),
        ("ts_ns", number(us.saturating_mul(1000))),
    ];
    fields.extend(match options.connector {
        Connector::Postgres => wal_fields(txn, place),
        Connector::MySql | Connector::MariaDb => binlog_fields(txn, place),
    });
    object(&fields)
}

/// PostgreSQL: position of the last COMMIT and of the record, as JSON text.
fn sequence(txn: &TxnHead, place: &Place) -> Vec<u8> {
    let (last, lsn) = match txn.origin {
        TxnOrigin::Wal { last_commit_lsn, .. } => (last_commit_lsn, place.position),
        TxnOrigin::WalSnapshot { last_commit_lsn, lsn, .. } => (last_commit_lsn, lsn),
        TxnOrigin::Binlog { .. } | TxnOrigin::BinlogSnapshot { .. } => return null(),
    };
    match last {
        0 => string(&format!("[null,\"{lsn}\"]")),
        last => string(&format!("[\"{last}\",\"{lsn}\"]")),
    }
}

fn wal_fields(txn: &TxnHead, place: &Place) -> Vec<(&'static str, Vec<u8>)> {
    let (xid, lsn) = match txn.origin {
        TxnOrigin::Wal { xid, .. } => (xid, place.position),
        TxnOrigin::WalSnapshot { xid, lsn, .. } => (xid, lsn),
        TxnOrigin::Binlog { .. } | TxnOrigin::BinlogSnapshot { .. } => (0, place.position),
    };
    let xid = if place.in_transaction { number(xid.into()) } else { null() };
    let from = super::postgres::replicated(txn);
    vec![
        ("schema", optional(place.schema)),
        ("table", optional(place.table)),
        ("txId", xid),
        ("lsn", number(lsn.cast_signed())),
        ("xmin", null()),
        ("origin", optional(from.map(|from| from.origin.as_str()))),
        ("origin_lsn", from.map_or_else(null, |from| number(from.lsn.cast_signed()))),
    ]
}

fn binlog_fields(txn: &TxnHead, place: &Place) -> Vec<(&'static str, Vec<u8>)> {
    let (server_id, gtid, file, position) = match &txn.origin {
        TxnOrigin::Binlog { server_id, gtid, file, .. } => {
            (*server_id, gtid.as_deref(), &**file, place.position)
        }
        TxnOrigin::BinlogSnapshot { file, pos } => (0, None, &**file, *pos),
        TxnOrigin::Wal { .. } | TxnOrigin::WalSnapshot { .. } => (0, None, "", place.position),
    };
    let (thread, query) = match &txn.origin {
        TxnOrigin::Binlog { thread, query, .. } => (*thread, query.as_deref()),
        _ => (None, None),
    };
    vec![
        ("table", optional(place.table)),
        ("server_id", number(server_id.into())),
        ("gtid", optional(gtid)),
        ("file", string(file)),
        ("pos", number(position.cast_signed())),
        ("row", number(0)),
        ("thread", thread.map_or_else(null, |thread| number(thread.into()))),
        ("query", optional(query)),
    ]
}

// ------------------------------------------------------------------------------ JSON

fn null() -> Vec<u8> {
    b"null".to_vec()
}

fn number(value: i64) -> Vec<u8> {
    itoa::Buffer::new().format(value).as_bytes().to_vec()
}

fn boolean(value: bool) -> Vec<u8> {
    if value { b"true".to_vec() } else { b"false".to_vec() }
}

fn string(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    out.extend(escaped(text));
    out.push(b'"');
    out
}

fn optional(text: Option<&str>) -> Vec<u8> {
    text.map_or_else(null, string)
}

fn object(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend(name.as_bytes());
        out.extend(b"\":");
        out.extend(value);
    }
    out.push(b'}');
    out
}

fn array(elements: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, element) in elements.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend(element);
    }
    out.push(b']');
    out
}

/// Bytes as `binary_handling_mode` says.
fn binary(options: &EncodeOptions, bytes: &[u8]) -> Vec<u8> {
    let form = match options.binary {
        BinaryHandling::Bytes | BinaryHandling::Base64 => Binary::Base64,
        BinaryHandling::Base64UrlSafe => Binary::Base64Url,
        BinaryHandling::Hex => Binary::Hex,
    };
    let mut out = Out::small(2 * bytes.len() + 64);
    put_binary(&mut out, bytes, 0, form);
    let (mut text, end) = out.finish();
    text.truncate(end);
    text
}
