//! A toy row format and its encoder: small, but with everything that a real one does to a shard:
//! several rows a frame, "full" in the middle of one, filters, rows that cannot be encoded, and a
//! plan per schema version that must fit the row.
//!
//! A row is 16 bytes: version 2, flags 2 (1 poison, 2 delete), key 4, value 8. So is an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{Column, ColumnType, TableName, TableSchema};
use penstock_shards::annex::{Annex, Order};
use penstock_shards::batch::{Batch, EventRef, KeyChange, Op};
use penstock_shards::encode::{EncodeError, Encoded, Resume, RowEncoder};
use penstock_shards::hop::{Frame, TxnHead};
use penstock_shards::segment::Segment;

use crate::source::{Change, FILTERED_TABLE, Row, TABLES};

const ROW: usize = 16;

/// Appends the rows of a frame to a segment under construction.
pub fn write_frame(rows: &[Row], kind: FrameKind, position: u64, bytes: &mut Vec<u8>) -> FrameHead {
    let offset = bytes.len() as u32;
    for row in rows {
        let flags = u16::from(row.poison) | u16::from(row.change == Change::Delete) << 1;
        bytes.extend_from_slice(&row.version.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&row.key.to_le_bytes());
        bytes.extend_from_slice(&row.value.to_le_bytes());
    }
    let (table, len) = (TableId(rows[0].table), (rows.len() * ROW) as u32);
    let marker = match kind {
        FrameKind::SnapshotRow => SnapshotMarker::True,
        _ => SnapshotMarker::Streaming,
    };
    FrameHead { kind, marker, format: 0, table, offset, len, position }
}

pub fn kind_of(change: Change) -> FrameKind {
    match change {
        Change::Put => FrameKind::Update,
        Change::Delete => FrameKind::Delete,
    }
}

pub fn table_name(table: u32) -> TableName {
    TableName { database: "sim".into(), schema: String::new(), table: format!("t{table}") }
}

/// A schema whose number of columns is the version that rows carry.
pub fn schema(table: u32, sent: u32, version: u16) -> Arc<TableSchema> {
    let column = Column {
        name: "c".into(),
        ty: ColumnType::Bool,
        nullable: false,
        default: None,
        included: true,
    };
    Arc::new(TableSchema {
        table: TableId(table),
        version: sent,
        name: table_name(table),
        columns: vec![column; usize::from(version)],
        key: vec![0],
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    })
}

/// An event as sinks read it.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    pub key: u32,
    pub value: u64,
    pub change: Change,
}

pub fn decode(bytes: &[u8]) -> Decoded {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let change = if bytes[2] & 2 == 0 { Change::Put } else { Change::Delete };
    Decoded { key: word(4), value: u64::from(word(8)) | u64::from(word(12)) << 32, change }
}

pub struct SimEncoder {
    plans: BTreeMap<TableId, u16>,
    topics: Arc<Vec<Arc<str>>>,
    events_max: usize,
}

impl SimEncoder {
    pub fn new(events_max: usize) -> Self {
        let topics = (0..TABLES).map(|t| Arc::from(format!("sim.t{t}"))).collect();
        Self { plans: BTreeMap::new(), topics: Arc::new(topics), events_max }
    }
}

impl RowEncoder for SimEncoder {
    fn handle_schema(&mut self, schema: Arc<TableSchema>) {
        self.plans.insert(schema.table, schema.columns.len() as u16);
    }

    fn encode(
        &mut self,
        segment: &Segment,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        _now_us: i64,
        resume: &mut Resume,
        batch: &mut Batch,
    ) -> Result<Encoded, EncodeError> {
        let FrameHead { table, offset, len, kind, .. } = frame.head;
        let body = &segment.data()[offset as usize..(offset + len) as usize];
        for row in body.chunks_exact(ROW).skip(resume.row as usize) {
            let version = u16::from_le_bytes([row[0], row[1]]);
            let plan = self.plans.get(&table);
            assert_eq!(plan, Some(&version), "SCHEMA: {table:?} is not in the version of its row");
            if row[2] & 1 != 0 {
                return Err(EncodeError { reason: "poison".into() });
            }
            if batch.events.len() >= self.events_max {
                return Ok(Encoded::Full);
            }
            resume.row += 1;
            if table.0 == FILTERED_TABLE {
                continue;
            }
            let value = Some(batch.append(row));
            let op = match kind {
                FrameKind::SnapshotRow => Op::Read,
                FrameKind::Delete => Op::Delete,
                _ => Op::Update,
            };
            let (topic, key, key_change) = (table.0, None, KeyChange::No);
            let (seq, ordinal) = (txn.seq, resume.row - 1);
            let event = EventRef { topic, op, key, value, key_change, seq, ordinal, table };
            batch.events.push(event);
        }
        Ok(Encoded::Done)
    }

    fn encode_annex(
        &mut self,
        _annex: &Annex,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        _now_us: i64,
        _order: Option<Order>,
        batch: &mut Batch,
    ) -> Encoded {
        if batch.events.len() >= self.events_max {
            return Encoded::Full;
        }
        let value = Some(batch.append(&[0; ROW]));
        let (topic, key, key_change, op) = (0, None, KeyChange::No, Op::Annex);
        let (seq, ordinal, table) = (txn.seq, 0, frame.head.table);
        batch.events.push(EventRef { topic, op, key, value, key_change, seq, ordinal, table });
        Encoded::Done
    }

    fn topics(&self) -> Arc<Vec<Arc<str>>> {
        Arc::clone(&self.topics)
    }
}
