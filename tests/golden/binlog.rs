//! A binlog file as the reader would frame it: captured bytes in, frames and schemas to an encoder,
//! events out as lines.

use std::collections::HashMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::mysql::event::{self, Checksum, EventHeader, ty};
use penstock_protocol::mysql::group::GroupStart;
use penstock_protocol::mysql::gtid::uuid_text;
use penstock_protocol::mysql::table_map::{ColumnFacts, TableMap, column_type};
use penstock_protocol::position::Gtid;
use penstock_protocol::schema::{Column, DefaultValue, SourceKind, TableName, TableSchema};
use penstock_shards::batch::{Batch, EventRef, KeyChange};
use penstock_shards::encode::options::EncodeOptions;
use penstock_shards::encode::{
    EncodeError, Encoded, JsonEncoder, Resume, RowEncoder, SOURCE_VERSION,
};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

/// Processing time of every record.
pub const NOW_US: i64 = 1_795_555_555_123_456;

/// What the catalogue knows and the log does not: columns declared FLOAT(m,d), those of MariaDB's own
/// types, times in the format before 5.6, and defaults.
#[derive(Default)]
pub struct Catalogue {
    pub widened: &'static [&'static str],
    pub extensions: &'static [(&'static str, &'static str)],
    pub old: &'static [&'static str],
    pub defaults: &'static [(&'static str, &'static str)],
    /// Generated columns.
    pub generated: &'static [&'static str],
    /// Start and end of the period of versioned tables.
    pub period: &'static [[&'static str; 2]],
}

/// Of the tables in `rows.sql`, `extra.sql` and `all.sql`.
pub const CATALOGUE: Catalogue = Catalogue {
    widened: &["fm"],
    extensions: &[
        ("uu", "uuid"),
        ("u2", "uuid"),
        ("i6", "inet6"),
        ("i7", "inet6"),
        ("i4", "inet4"),
        ("vm", "vector"),
    ],
    old: &["o_time", "o_dt", "o_ts"],
    defaults: &[("dflt", "5"), ("dstr", "x\"y"), ("v", "dv"), ("iv", "7")],
    generated: &[],
    period: &[],
};

/// Of the tables in `images.sql`, `documents.sql` and `versioned.sql`.
pub const IMAGES: Catalogue = Catalogue {
    widened: &[],
    extensions: &[],
    old: &[],
    defaults: &[("a", "7"), ("b", "d\"d"), ("en", "q"), ("de", "1.50")],
    generated: &["j"],
    period: &[["row_start", "row_end"], ["s", "e"]],
};

/// One frame with what it belongs to.
pub struct Input {
    pub schema: Option<Arc<TableSchema>>,
    pub frame: Frame,
    pub txn: Arc<TxnHead>,
}

/// Whose file it is, by the version in its format description.
pub fn family(bytes: &[u8]) -> SourceKind {
    let maria =
        bytes.get(25..75).is_some_and(|version| version.windows(7).any(|w| w == b"MariaDB"));
    if maria { SourceKind::MariaDb } else { SourceKind::MySql }
}

/// Frames of a binlog file. `file` is its name in `source.file`.
pub fn frames(bytes: &[u8], file: &str, catalogue: &Catalogue) -> Vec<Input> {
    let family = family(bytes);
    let mut inputs = Vec::new();
    let mut tables: HashMap<u64, (TableId, Option<Arc<TableSchema>>)> = HashMap::new();
    let mut names: HashMap<String, (TableId, u32)> = HashMap::new();
    let (mut seq, mut gtid, mut commit_us, mut thread) = (0, None, 0u64, None);
    let mut at = 4;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 9..at + 13].try_into().expect("four bytes"));
        let raw = &bytes[at..at + len as usize];
        let header = EventHeader::parse(raw).expect("a header");
        assert!(event::crc_matches(raw), "CRC of the event at {at}");
        let body = event::body(raw, Checksum::Crc32).expect("a body");
        match header.ty {
            ty::GTID | ty::ANONYMOUS_GTID | ty::GTID_TAGGED | ty::MARIADB_GTID => {
                let start = GroupStart::parse(&header, body).expect("a group");
                (seq, thread) = (seq + 1, None);
                commit_us = start.commit_us;
                gtid = start.gtid.map(|gtid| gtid_text(&gtid));
            }
            ty::QUERY => {
                let query = event::Query::parse(header.ty, body).expect("a query");
                let maria = matches!(&gtid, Some(gtid) if !gtid.contains(':'));
                thread = (!maria).then_some(query.thread_id);
            }
            ty::TABLE_MAP => {
                let map = TableMap::parse(family, body).expect("a table map");
                let name = format!("{}.{}", map.database, map.table);
                let next = TableId(names.len() as u32);
                let (table, version) = *names.entry(name).or_insert((next, 1));
                let schema = schema_of(&map, table, version, catalogue);
                tables.insert(map.table_id, (table, Some(Arc::new(schema))));
            }
            code @ (23..=25 | 30..=32 | 39) => {
                let id = u64::from_le_bytes([
                    body[0], body[1], body[2], body[3], body[4], body[5], 0, 0,
                ]);
                let (table, schema) = tables.get_mut(&id).expect("a table map before its rows");
                let kind = match code {
                    23 | 30 => FrameKind::Insert,
                    24 | 31 | 39 => FrameKind::Update,
                    _ => FrameKind::Delete,
                };
                let time = i64::from(header.timestamp) * 1_000_000;
                let txn = TxnHead {
                    seq: Seq(seq),
                    commit_us: if commit_us == 0 { time } else { commit_us as i64 },
                    origin: TxnOrigin::Binlog {
                        gtid: gtid.as_deref().map(Arc::from),
                        file: file.into(),
                        server_id: header.server_id,
                        thread,
                        query: None,
                    },
                    id: None,
                };
                let head = FrameHead {
                    kind,
                    marker: SnapshotMarker::Streaming,
                    format: code,
                    table: *table,
                    offset: at as u32 + 19,
                    len: body.len() as u32,
                    position: at as u64,
                };
                let frame = Frame { head, txn: 0 };
                inputs.push(Input { schema: schema.take(), frame, txn: Arc::new(txn) });
            }
            _ => {}
        }
        at += len as usize;
    }
    inputs
}

/// Captured rows of a binary resultset (length 4, packet)* as snapshot frames; the segment's bytes.
pub fn snapshot(captured: &[u8], schema: Arc<TableSchema>) -> (Vec<u8>, Vec<Input>) {
    let origin = TxnOrigin::BinlogSnapshot { file: "binlog.000001".into(), pos: 157 };
    let txn = Arc::new(TxnHead { seq: Seq(1), commit_us: 1_795_560_000_000_000, origin, id: None });
    let (mut inputs, mut at) = (Vec::new(), 0);
    while at < captured.len() {
        let len = u32::from_le_bytes(captured[at..at + 4].try_into().expect("four bytes"));
        let first = inputs.is_empty();
        let head = FrameHead {
            kind: FrameKind::SnapshotRow,
            marker: if first { SnapshotMarker::First } else { SnapshotMarker::True },
            format: 0,
            table: schema.table,
            offset: at as u32 + 4,
            len,
            position: 0,
        };
        inputs.push(Input {
            schema: first.then(|| Arc::clone(&schema)),
            frame: Frame { head, txn: 0 },
            txn: Arc::clone(&txn),
        });
        at += 4 + len as usize;
    }
    (captured.to_vec(), inputs)
}

fn gtid_text(gtid: &Gtid) -> String {
    match gtid {
        Gtid::MySql { uuid, number, .. } => format!("{}:{number}", uuid_text(uuid)),
        Gtid::MariaDb { domain, server, seq } => format!("{domain}-{server}-{seq}"),
    }
}

fn schema_of(map: &TableMap, table: TableId, version: u32, catalogue: &Catalogue) -> TableSchema {
    let column = |column: &penstock_protocol::mysql::table_map::MapColumn| {
        let name = column.name.clone().expect("FULL metadata");
        let mut facts = ColumnFacts::of(column);
        facts.float_widened = catalogue.widened.contains(&name.as_str());
        let extension = catalogue.extensions.iter().find(|(of, _)| *of == name);
        facts.extension = extension.map(|(_, ty)| (*ty).into());
        facts.old_digits = catalogue.old.contains(&name.as_str()).then_some(0);
        let default = catalogue.defaults.iter().find(|(of, _)| *of == name);
        Column {
            ty: column_type(column, &facts),
            nullable: column.nullable,
            default: match catalogue.generated.contains(&name.as_str()) {
                true => Some(DefaultValue::Unknown),
                false => default.map(|(_, text)| DefaultValue::Text((*text).into())),
            },
            included: true,
            name,
        }
    };
    let columns: Vec<_> = map.columns.iter().map(column).collect();
    let at = |name: &str| columns.iter().position(|c| c.name == name).map(|at| at as u16);
    let period = catalogue.period.iter().find_map(|[start, end]| Some([at(start)?, at(end)?]));
    let key = map.primary_key.iter().flatten().map(|&(col, _)| col);
    TableSchema {
        table,
        version,
        name: TableName {
            database: map.database.clone(),
            schema: String::new(),
            table: map.table.clone(),
        },
        key: key.filter(|&col| period.is_none_or(|[_, end]| col != end)).collect(),
        columns,
        identity: Vec::new(),
        replica_identity: b'f',
        period,
    }
}

/// Encodes frames into one batch after another; every event as a line.
pub fn encode(
    bytes: &[u8],
    inputs: &[Input],
    kind: SourceKind,
    options: EncodeOptions,
) -> Result<Vec<String>, EncodeError> {
    let segment = Segment::freeze(bytes.to_vec(), bytes.len(), None);
    let mut encoder = JsonEncoder::new(options, kind);
    // A batch's arena is a megabyte: one for all calls, of which there are tens of thousands.
    thread_local! {
        static BATCH: std::cell::RefCell<Batch> = std::cell::RefCell::default();
    }
    let mut batch = BATCH.take();
    batch.clear();
    let outcome = encode_into(&mut encoder, &segment, inputs, &mut batch);
    BATCH.set(batch);
    outcome
}

fn encode_into(
    encoder: &mut JsonEncoder,
    segment: &Arc<Segment>,
    inputs: &[Input],
    batch: &mut Batch,
) -> Result<Vec<String>, EncodeError> {
    let mut lines = Vec::new();
    for input in inputs {
        if let Some(schema) = &input.schema {
            encoder.handle_schema(Arc::clone(schema));
        }
        let mut resume = Resume::default();
        loop {
            let (frame, txn) = (&input.frame, &input.txn);
            let done = encoder.encode(segment, frame, txn, NOW_US, &mut resume, batch)?;
            let topics = encoder.topics();
            lines.extend(batch.events.iter().map(|e| line(batch, e, &topics[e.topic as usize])));
            batch.clear();
            if done == Encoded::Done {
                break;
            }
        }
    }
    Ok(lines)
}

/// One event as a line: all that an `EventRef` says, the product's own version left out.
pub fn line(batch: &Batch, event: &EventRef, topic: &str) -> String {
    let text = |span| std::str::from_utf8(batch.bytes(span)).expect("UTF-8");
    let key = event.key.map_or("null", text);
    let value = event.value.map_or("null", text);
    let version = format!("\"version\":\"{SOURCE_VERSION}\"");
    let value = value.replacen(&version, "\"version\":\"VERSION\"", 1);
    let header = match event.key_change {
        KeyChange::No => String::new(),
        KeyChange::NewKey(span) => format!(",\"newkey\":{}", text(span)),
        KeyChange::OldKey(span) => format!(",\"oldkey\":{}", text(span)),
    };
    let (seq, ordinal) = (event.seq, event.ordinal);
    format!(
        "{{\"topic\":\"{topic}\",\"key\":{key},\"value\":{value}{header},\"at\":\"{seq}.{ordinal}\"}}"
    )
}
