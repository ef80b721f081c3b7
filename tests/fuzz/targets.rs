//! Fuzz targets of every decoder: hostile bytes in; no panic, no endless loop, and where a decoder
//! takes a stream, what it consumed and what it kept are the input.
//!
//! Two drivers share this list: `main.rs` (the smoke run of CI: corpus and mutations, with a bound
//! on every allocation) and `libfuzzer/` (coverage-guided, by `tests/fuzz/run`).

use std::collections::HashMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::mysql::event::{self, Checksum, EventHeader, ty};
use penstock_protocol::mysql::group::{self, GroupStart};
use penstock_protocol::mysql::gtid::{self, GtidList, GtidSet};
use penstock_protocol::mysql::handshake::{AuthReply, HandshakeV10};
use penstock_protocol::mysql::packet::{HEAD_BYTES, PacketReader};
use penstock_protocol::mysql::payload::PayloadHead;
use penstock_protocol::mysql::resultset::{self, Answer, ColumnDefinition, Prepared, ServerError};
use penstock_protocol::mysql::table_map::{ColumnFacts, TableMap, column_type};
use penstock_protocol::mysql::{charset, ddl, json};
use penstock_protocol::postgres::{message, pgoutput, replication, types};
use penstock_protocol::schema::{Column, SourceKind, TableName, TableSchema};
use penstock_shards::batch::Batch;
use penstock_shards::checkpoint::Checkpoint;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::history::{Catalogue, Server, Statement};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

use crate::seeds;

/// A target: its name, which is its corpus' folder, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("mysql_packets", mysql_packets),
    ("mysql_session", mysql_session),
    ("mysql_events", mysql_events),
    ("mysql_json", mysql_json),
    ("mysql_statement", mysql_statement),
    ("mysql_ddl", mysql_ddl),
    ("mysql_charset", mysql_charset),
    ("mysql_gtid", mysql_gtid),
    ("postgres_frames", postgres_frames),
    ("postgres_stream", postgres_stream),
    ("checkpoint", checkpoint),
];

/// A text that nobody reads.
struct Nowhere;

impl json::TextSink for Nowhere {
    fn put(&mut self, text: &[u8]) {
        std::hint::black_box(text);
    }
}

/// The packet layer, fed in chunks whose sizes the input gives: the same packets as in one piece.
fn mysql_packets(data: &[u8]) {
    const BYTES_MAX: usize = 1 << 20;
    let Some((&first, rest)) = data.split_first() else { return };
    let whole = {
        let mut reader = PacketReader::default();
        reader.feed(rest);
        packets(&mut reader, BYTES_MAX)
    };
    let mut reader = PacketReader::default();
    let mut pieces = Vec::new();
    let mut failed = false;
    for chunk in rest.chunks(usize::from(first).max(1)) {
        reader.feed(chunk);
        let (mut some, broken) = packets(&mut reader, BYTES_MAX);
        pieces.append(&mut some);
        failed |= broken;
        if failed {
            break;
        }
    }
    assert_eq!((&pieces, failed), (&whole.0, whole.1), "any chunking gives the same packets");
    if !failed {
        let kept = reader.take_rest();
        let taken: usize = pieces.iter().map(|p| p.len() + HEAD_BYTES).sum();
        assert!(taken + kept.len() <= rest.len() + HEAD_BYTES, "no byte is made up");
        assert!(rest.ends_with(&kept), "what is kept is the end of the input");
    }
}

/// Every packet that is whole, and whether an error came.
fn packets(reader: &mut PacketReader, bytes_max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut out = Vec::new();
    loop {
        match reader.poll(bytes_max) {
            Ok(Some(packet)) => out.push(packet),
            Ok(None) => return (out, false),
            Err(_) => return (out, true),
        }
    }
}

/// What a server says before and beside the log.
fn mysql_session(data: &[u8]) {
    let _ = HandshakeV10::parse(data);
    let _ = AuthReply::parse(data);
    let _ = ServerError::parse(data);
    let _ = Answer::parse(data);
    let _ = ColumnDefinition::parse(data);
    let _ = Prepared::parse(data);
    for columns in [0, 1, 7] {
        if let Ok(row) = resultset::text_row(data, columns) {
            assert_eq!(row.len(), columns);
        }
    }
}

/// A binlog as the reader walks it: heads, checksums, control events, table maps, rows to records.
fn mysql_events(data: &[u8]) {
    binlog(data, SourceKind::MySql, Connector::MySql);
    binlog(data, SourceKind::MariaDb, Connector::MariaDb);
}

fn binlog(data: &[u8], kind: SourceKind, connector: Connector) {
    let mut encoder = JsonEncoder::new(EncodeOptions::new("fuzz", connector), kind);
    let mut tables: HashMap<u64, TableId> = HashMap::new();
    let mut at = 0;
    while let Some(raw) = data.get(at..).filter(|raw| !raw.is_empty()) {
        let Ok(header) = EventHeader::parse(raw) else { return };
        let Some(raw) = raw.get(..header.len as usize) else { return };
        let sum = if event::crc_matches(raw) { Checksum::Crc32 } else { Checksum::Off };
        let Ok(body) = event::body(raw, sum) else { return };
        mysql_control(&header, raw, body);
        match header.ty {
            ty::TABLE_MAP => {
                if let Ok(map) = TableMap::parse(kind, body) {
                    let id = TableId(u32::try_from(tables.len()).expect("few"));
                    tables.insert(map.table_id, id);
                    encoder.handle_schema(Arc::new(mysql_schema(&map, id)));
                }
            }
            ty::WRITE_ROWS_V1..=ty::DELETE_ROWS_V1
            | ty::WRITE_ROWS..=ty::DELETE_ROWS
            | ty::PARTIAL_UPDATE_ROWS => {
                let Ok(head) = event::RowsHead::parse(body) else { return };
                let Some(&table) = tables.get(&head.table_id) else { return };
                mysql_rows(&mut encoder, &header, table, body);
            }
            _ => {}
        }
        at += raw.len().max(1);
    }
}

fn mysql_control(header: &EventHeader, raw: &[u8], body: &[u8]) {
    let _ = event::FormatDescription::parse(raw);
    let _ = event::Rotate::parse(body);
    let _ = event::Heartbeat::parse(header, body);
    let _ = event::incident(body);
    let _ = event::rows_query(header.ty, body);
    let _ = event::XaPrepare::parse(body);
    let _ = PayloadHead::parse(body);
    let _ = event::TableMapNames::parse(body);
    let _ = GroupStart::parse(header, body);
    let _ = group::gtid_list(body);
    if let Ok(query) = event::Query::parse(header.ty, body) {
        let text = String::from_utf8_lossy(query.sql);
        let mode = query.vars.sql_mode.unwrap_or_default();
        std::hint::black_box(ddl::classify(&text, mode, false));
    }
}

fn mysql_schema(map: &TableMap, table: TableId) -> TableSchema {
    let columns = map.columns.iter().enumerate().map(|(n, column)| Column {
        name: column.name.clone().unwrap_or_else(|| format!("c{n}")),
        ty: column_type(column, &ColumnFacts::of(column)),
        nullable: column.nullable,
        default: None,
        included: true,
    });
    let count = map.columns.len();
    let key = map.primary_key.iter().flatten().map(|&(column, _)| column);
    TableSchema {
        table,
        version: 1,
        name: TableName { database: "d".into(), schema: String::new(), table: "t".into() },
        columns: columns.collect(),
        key: key.filter(|&column| usize::from(column) < count).collect(),
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    }
}

fn mysql_rows(encoder: &mut JsonEncoder, header: &EventHeader, table: TableId, body: &[u8]) {
    let kind = match header.ty {
        ty::WRITE_ROWS_V1 | ty::WRITE_ROWS => FrameKind::Insert,
        ty::DELETE_ROWS_V1 | ty::DELETE_ROWS => FrameKind::Delete,
        _ => FrameKind::Update,
    };
    let origin = TxnOrigin::Binlog {
        gtid: None,
        file: "f".into(),
        server_id: header.server_id,
        thread: None,
        query: None,
    };
    encode(encoder, kind, header.ty, table, body, origin);
}

/// One frame through the encoder. Bytes before and behind it are no part of it.
fn encode(
    encoder: &mut JsonEncoder,
    kind: FrameKind,
    format: u8,
    table: TableId,
    body: &[u8],
    origin: TxnOrigin,
) {
    let mut bytes = b"before".to_vec();
    bytes.extend(body);
    bytes.extend(b"behind");
    let len = bytes.len();
    let segment = Segment::freeze(bytes, len, None);
    let marker = SnapshotMarker::Streaming;
    let len = u32::try_from(body.len()).expect("small");
    let head = FrameHead { kind, marker, format, table, offset: 6, len, position: 4 };
    let txn = Arc::new(TxnHead { seq: Seq(1), commit_us: 0, origin, id: None });
    let (mut resume, mut batch) = (Resume::default(), Batch::default());
    let frame = Frame { head, txn: 0 };
    loop {
        match encoder.encode(&segment, &frame, &txn, 0, &mut resume, &mut batch) {
            Ok(Encoded::Done) | Err(_) => return,
            Ok(_) => batch.clear(),
        }
    }
}

fn mysql_json(data: &[u8]) {
    let _ = json::binary_to_text(data, &mut Nowhere);
    let _ = json::normalize_text(data, &mut Nowhere);
}

fn mysql_statement(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for mode in [0, event::SQL_MODE_ANSI_QUOTES, event::SQL_MODE_NO_BACKSLASH_ESCAPES] {
        for mariadb in [false, true] {
            std::hint::black_box(ddl::classify(&text, mode, mariadb));
        }
    }
}

/// Statements, parted by zero bytes, applied to the schema history one after another.
fn mysql_ddl(data: &[u8]) {
    for mariadb in [false, true] {
        let version = if mariadb { (11, 8, 9) } else { (9, 7, 4) };
        let mut catalogue = Catalogue::new(Server { mariadb, version, fold_names: false });
        catalogue.put_database("d", "utf8mb4", "utf8mb4_bin");
        for sql in data.split(|&byte| byte == 0) {
            let sql = String::from_utf8_lossy(sql);
            catalogue.apply(&Statement { sql: &sql, database: "d", ..Statement::default() });
        }
        for (_, table) in catalogue.tables() {
            let columns = table.schema_columns(mariadb, |_| true);
            assert!(table.key().iter().all(|&column| usize::from(column) < columns.len()));
        }
    }
}

/// Text of any character set, named by its collation's number in the first two bytes: never more
/// characters than bytes.
fn mysql_charset(data: &[u8]) {
    let Some((id, text)) = data.split_first_chunk::<2>() else { return };
    let Some(charset) = charset::of_collation(u16::from_le_bytes(*id) % 2560) else { return };
    let mut characters = 0;
    charset::decode(charset, text, |_| characters += 1);
    assert!(characters <= text.len());
}

/// GTID sets as text and bytes: what is read is written back and read as the same.
fn mysql_gtid(data: &[u8]) {
    if let Ok(set) = GtidSet::decode(data) {
        assert_eq!(GtidSet::decode(&set.encode()).as_ref(), Ok(&set));
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(set) = GtidSet::parse(&text) {
        assert_eq!(GtidSet::parse(&set.to_string()).as_ref(), Ok(&set));
    }
    let _ = GtidList::parse(&text);
    let _ = gtid::parse_mariadb(&text);
}

/// The message layer: frames cover the input without gap or overlap.
fn postgres_frames(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((kind, body))) = message::next_frame(rest) {
        assert!(body.start <= body.end && body.end <= rest.len());
        let bytes = rest.get(body.clone()).expect("checked above");
        postgres_message(kind, bytes);
        rest = rest.get(body.end..).expect("checked above");
    }
}

fn postgres_message(kind: u8, body: &[u8]) {
    let _ = message::server_message(body);
    let _ = message::authentication(body);
    let _ = message::parameter_status(body);
    let _ = message::backend_key_data(body);
    let _ = message::ready_for_query(body);
    let _ = message::command_complete(body);
    let _ = message::row_description(body);
    if let Ok(cells) = message::data_row(body) {
        for cell in cells {
            std::hint::black_box(cell.is_ok());
        }
    }
    if kind == b'd' {
        let _ = replication::parse(body);
    }
}

/// pgoutput messages, each behind its length as 16 bits: relations to schemas, rows to records.
fn postgres_stream(data: &[u8]) {
    let mut encoder =
        JsonEncoder::new(EncodeOptions::new("fuzz", Connector::Postgres), SourceKind::Postgres);
    let mut tables: HashMap<u32, TableId> = HashMap::new();
    let mut rest = data;
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*head));
        let Some((message, tail)) = tail.split_at_checked(len) else { return };
        rest = tail;
        let (kind, row) = match pgoutput::parse(message) {
            Ok(pgoutput::Message::Relation(relation)) => {
                let id = TableId(u32::try_from(tables.len()).expect("few"));
                tables.insert(relation.oid, id);
                encoder.handle_schema(Arc::new(postgres_schema(&relation, id)));
                continue;
            }
            Ok(pgoutput::Message::Insert(row)) => (FrameKind::Insert, row),
            Ok(pgoutput::Message::Update(row)) => (FrameKind::Update, row),
            Ok(pgoutput::Message::Delete(row)) => (FrameKind::Delete, row),
            _ => continue,
        };
        let Some(&table) = tables.get(&row.relation) else { continue };
        let body = message.get(row.body..).expect("the parser's own offset");
        let origin = TxnOrigin::Wal { xid: 7, last_commit_lsn: 0, replicated: None };
        encode(&mut encoder, kind, 0, table, body, origin);
    }
}

fn postgres_schema(relation: &pgoutput::Relation<'_>, table: TableId) -> TableSchema {
    let columns = relation.columns.iter().map(|column| Column {
        name: column.name.into(),
        ty: types::column_type(column.type_oid, column.typmod, |oid| seeds::types().get(&oid)),
        nullable: true,
        default: None,
        included: true,
    });
    let number = |n: usize| u16::try_from(n).expect("pgoutput counts columns in 16 bits");
    let identity = || relation.columns.iter().enumerate().filter(|(_, c)| c.identity);
    TableSchema {
        table,
        version: 1,
        name: TableName { database: "d".into(), schema: "s".into(), table: "t".into() },
        columns: columns.collect(),
        key: identity().map(|(n, _)| number(n)).collect(),
        identity: identity().map(|(n, _)| number(n)).collect(),
        replica_identity: relation.replica_identity,
        period: None,
    }
}

/// A checkpoint slot: damage is seen. Its JSON behind a right checksum: what is read is written
/// back and read as the same.
fn checkpoint(data: &[u8]) {
    let _ = Checkpoint::decode(data);
    if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(data) {
        assert_eq!(Checkpoint::decode(&checkpoint.encode(7)).ok(), Some((7, checkpoint)));
    }
}
