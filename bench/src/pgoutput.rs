//! pgoutput messages and snapshot rows of one table, made by a seeded generator: the table of
//! `binlog` in PostgreSQL's types, the same spread of values, NULLs and escapes.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{Charset, Column, ColumnType, TableName, TableSchema};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::limits::SEGMENT_BYTES;
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

use crate::binlog::{Load, Random};

/// The table. Its replica identity only says what the loads hold.
pub fn schema() -> Arc<TableSchema> {
    let text = || ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    let int = |bits| ColumnType::Int { bits, unsigned: false };
    let column = |(name, ty): (&str, ColumnType)| Column {
        name: name.into(),
        nullable: name != "id",
        ty,
        default: None,
        included: true,
    };
    let columns = [
        ("id", int(64)),
        ("a", int(32)),
        ("b", int(64)),
        ("c", ColumnType::Decimal { precision: 12, scale: 2 }),
        ("e", text()),
        ("f", text()),
        ("ts", ColumnType::DateTime { digits: 6 }),
    ];
    Arc::new(TableSchema {
        table: TableId(0),
        version: 1,
        name: TableName {
            database: "test".into(),
            schema: "public".into(),
            table: "rows100".into(),
        },
        columns: columns.into_iter().map(column).collect(),
        key: vec![0],
        identity: vec![0],
        replica_identity: b'd',
        period: None,
    })
}

/// One row's cells as text; `None` is NULL.
fn cells(random: &mut Random, id: u64) -> [Option<String>; 7] {
    let mut cells = [
        Some(id.to_string()),
        Some((random.next() as i32).to_string()),
        Some((random.next().cast_signed() >> random.below(40)).to_string()),
        Some(decimal(random)),
        Some(string(random, 8, 24)),
        Some(string(random, 16, 48)),
        Some(stamp(random)),
    ];
    for cell in &mut cells[1..] {
        if random.below(100) < 4 {
            *cell = None;
        }
    }
    cells
}

fn decimal(random: &mut Random) -> String {
    let sign = if random.below(2) == 0 { "" } else { "-" };
    format!("{sign}{}.{:02}", random.below(10_000_000_000), random.below(100))
}

fn string(random: &mut Random, least: u64, spread: u64) -> String {
    let len = least + random.below(spread);
    let mut text: Vec<u8> = (0..len).map(|_| b'a' + random.below(26) as u8).collect();
    if random.below(50) == 0 {
        text[len as usize / 2] = b'"';
    }
    String::from_utf8(text).expect("ASCII")
}

/// As the server prints a timestamp: without trailing zeros of the fraction.
fn stamp(random: &mut Random) -> String {
    let (year, month, day) = (1990 + random.below(40), 1 + random.below(12), 1 + random.below(28));
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    let whole = format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    let fraction = format!(".{:06}", random.below(1_000_000));
    whole + fraction.trim_end_matches('0').trim_end_matches('.')
}

fn tuple(cells: &[Option<String>; 7], out: &mut Vec<u8>) {
    out.extend(7_u16.to_be_bytes());
    for cell in cells {
        match cell {
            None => out.push(b'n'),
            Some(cell) => {
                out.push(b't');
                out.extend((cell.len() as u32).to_be_bytes());
                out.extend(cell.as_bytes());
            }
        }
    }
}

fn data_row(cells: &[Option<String>; 7], out: &mut Vec<u8>) {
    out.extend(7_u16.to_be_bytes());
    for cell in cells {
        let len = cell.as_ref().map_or(-1, |cell| cell.len() as i32);
        out.extend(len.to_be_bytes());
        out.extend(cell.iter().flat_map(|cell| cell.as_bytes()));
    }
}

/// What an update's old row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// None: the key did not change.
    No,
    /// Whole (REPLICA IDENTITY FULL).
    Whole,
}

/// Fills one segment with messages of `kind`, `rows` a transaction, each in its CopyData frame.
pub fn load(kind: FrameKind, rows: usize, old: Old) -> Load {
    let mut random = Random(42);
    let (mut bytes, mut frames, mut txns, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while bytes.len() + rows * 600 < SEGMENT_BYTES {
        let number = txns.len() as u64 + 1;
        let origin = TxnOrigin::Wal {
            xid: 700 + number as u32,
            last_commit_lsn: 0x1_6000_0000 + 24_000 * (number - 1),
            replicated: None,
        };
        let commit_us = 1_795_555_555_000_000 + number.cast_signed() * 37;
        txns.push(Arc::new(TxnHead { seq: Seq(number), commit_us, origin, id: None }));
        for row in 0..rows {
            total += 1;
            let new = cells(&mut random, 1_000_000 + total);
            let position = 0x1_6000_0000 + 24_000 * number + 230 * row as u64;
            bytes.extend([0; 30]); // heads of CopyData and XLogData
            bytes.extend([b'I', 0, 0, 0x40, 0]);
            let offset = match kind {
                FrameKind::Insert => {
                    bytes.push(b'N');
                    bytes.len()
                }
                _ => bytes.len(),
            };
            match kind {
                FrameKind::SnapshotRow => data_row(&new, &mut bytes),
                FrameKind::Delete => {
                    bytes.push(b'K');
                    let mut key = <[Option<String>; 7]>::default();
                    key[0] = new[0].clone();
                    tuple(&key, &mut bytes);
                }
                FrameKind::Update => {
                    if old == Old::Whole {
                        bytes.push(b'O');
                        tuple(&cells(&mut random, 1_000_000 + total), &mut bytes);
                    }
                    bytes.push(b'N');
                    tuple(&new, &mut bytes);
                }
                _ => tuple(&new, &mut bytes),
            }
            let marker = match kind {
                FrameKind::SnapshotRow => SnapshotMarker::True,
                _ => SnapshotMarker::Streaming,
            };
            let (len, txn) = ((bytes.len() - offset) as u32, txns.len() as u32 - 1);
            let (table, offset) = (TableId(0), offset as u32);
            let head = FrameHead { kind, marker, format: 0, table, offset, len, position };
            frames.push(Frame { head, txn });
        }
    }
    let len = bytes.len();
    Load { segment: Segment::freeze(bytes, len, None), frames, txns, rows: total }
}
