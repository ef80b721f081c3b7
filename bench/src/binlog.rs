//! Rows events of one table, made by a seeded generator: `id bigint primary key, a int, b bigint,
//! c decimal(12,2), e varchar(64), f text, ts datetime(6)`, about 100 bytes a row, 4 % NULLs, 2 % of
//! the strings with something to escape.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{Charset, Column, ColumnType, TableName, TableSchema};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::limits::SEGMENT_BYTES;
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

/// One segment of frames with their transactions.
pub struct Load {
    pub segment: Arc<Segment>,
    pub frames: Vec<Frame>,
    pub txns: Vec<Arc<TxnHead>>,
    pub rows: u64,
}

/// xorshift64*: the same rows every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The table.
pub fn schema() -> Arc<TableSchema> {
    let text = |length_bytes| ColumnType::Text { length_bytes, charset: Charset::Utf8 };
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
        ("e", text(2)),
        ("f", text(2)),
        ("ts", ColumnType::DateTime { digits: 6 }),
    ];
    Arc::new(TableSchema {
        table: TableId(0),
        version: 1,
        name: TableName { database: "test".into(), schema: String::new(), table: "rows100".into() },
        columns: columns.into_iter().map(column).collect(),
        key: vec![0],
        identity: Vec::new(),
        replica_identity: b'f',
        period: None,
    })
}

fn image(random: &mut Random, id: u64, out: &mut Vec<u8>) {
    // NULLs: 4 % of the columns that may be NULL.
    let nulls = (1..7).filter(|_| random.below(100) < 4).fold(0u8, |bits, col| bits | 1 << col);
    out.push(nulls | 0x80);
    let has = |col: u32| nulls >> col & 1 == 0;
    out.extend(id.to_le_bytes());
    if has(1) {
        out.extend((random.next() as i32).to_le_bytes());
    }
    if has(2) {
        out.extend((random.next().cast_signed() >> random.below(40)).to_le_bytes());
    }
    if has(3) {
        decimal(random, out);
    }
    if has(4) {
        let len = 8 + random.below(24) as usize;
        string(random, len, out);
    }
    if has(5) {
        let len = 16 + random.below(48) as usize;
        string(random, len, out);
    }
    if has(6) {
        datetime(random, out);
    }
}

/// DATETIME(6).
fn datetime(random: &mut Random, out: &mut Vec<u8>) {
    let (year, month, day) = (1990 + random.below(40), 1 + random.below(12), 1 + random.below(28));
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    let whole =
        (1 << 39) | ((year * 13 + month) << 22 | day << 17 | hour << 12 | minute << 6 | second);
    out.extend(&whole.to_be_bytes()[3..]);
    out.extend(&(random.below(1_000_000) as u32).to_be_bytes()[1..]);
}

/// DECIMAL(12,2): ten digits (1 + 9) in 1 + 4 bytes, two in one.
fn decimal(random: &mut Random, out: &mut Vec<u8>) {
    let mut bytes = [0u8; 6];
    bytes[0] = random.below(10) as u8;
    bytes[1..5].copy_from_slice(&(random.below(1_000_000_000) as u32).to_be_bytes());
    bytes[5] = random.below(100) as u8;
    if random.below(2) == 0 {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    bytes[0] ^= 0x80;
    out.extend(bytes);
}

fn string(random: &mut Random, len: usize, out: &mut Vec<u8>) {
    out.extend((len as u16).to_le_bytes());
    let start = out.len();
    out.extend((0..len).map(|_| b'a' + random.below(26) as u8));
    if random.below(50) == 0 {
        out[start + len / 2] = b'"';
    }
}

/// A table of thirty mixed columns, about 250 bytes a row.
pub fn mixed_schema() -> Arc<TableSchema> {
    let columns = (0..MIXED_COLUMNS).map(|col| Column {
        name: format!("column_{col}"),
        nullable: col > 0,
        ty: match col {
            0 | 9..=11 => ColumnType::Int { bits: 64, unsigned: false },
            1..=8 => ColumnType::Int { bits: 32, unsigned: false },
            12..=15 => ColumnType::Decimal { precision: 12, scale: 2 },
            16..=21 => ColumnType::Text { length_bytes: 2, charset: Charset::Utf8 },
            22..=24 => ColumnType::DateTime { digits: 6 },
            25 => ColumnType::Date,
            26 => ColumnType::Timestamp { digits: 3 },
            27 => ColumnType::Double,
            28 => ColumnType::Enum {
                bytes: 1,
                labels: ["new", "paid", "sent"].map(String::from).into(),
            },
            _ => ColumnType::Bytes { length_bytes: 1, fixed: None },
        },
        default: None,
        included: true,
    });
    let mut schema = TableSchema::clone(&schema());
    schema.name.table = "mixed".into();
    schema.columns = columns.collect();
    Arc::new(schema)
}

const MIXED_COLUMNS: u64 = 30;

fn mixed_image(random: &mut Random, id: u64, out: &mut Vec<u8>) {
    let null = |bits: u64, col: u64, random: &mut Random| {
        bits | u64::from(col > 0 && random.below(100) < 4) << col
    };
    let nulls = (0..MIXED_COLUMNS).fold(0, |bits, col| null(bits, col, random));
    out.extend(&(nulls | 3 << 30).to_le_bytes()[..4]);
    for col in (0..MIXED_COLUMNS).filter(|col| nulls >> col & 1 == 0) {
        match col {
            0 => out.extend(id.to_le_bytes()),
            1..=8 => out.extend((random.next() as i32).to_le_bytes()),
            9..=11 => out.extend((random.next().cast_signed() >> random.below(40)).to_le_bytes()),
            12..=15 => decimal(random, out),
            16..=21 => {
                let len = 4 + random.below(20) as usize;
                string(random, len, out);
            }
            22..=24 => datetime(random, out),
            25 => {
                let (year, month, day) =
                    (1990 + random.below(40), 1 + random.below(12), 1 + random.below(28));
                out.extend(&(year << 9 | month << 5 | day).to_le_bytes()[..3]);
            }
            26 => {
                out.extend((1_600_000_000 + random.below(1 << 27) as u32).to_be_bytes());
                out.extend((random.below(1000) as u16 * 10).to_be_bytes());
            }
            27 => out.extend((random.below(1 << 40) as f64 / 1000.0).to_le_bytes()),
            28 => out.push(1 + random.below(3) as u8),
            _ => {
                out.push(12);
                out.extend((0..12).map(|_| random.below(256) as u8));
            }
        }
    }
}

/// Fills one segment with events of `kind`, `rows` rows each, one event a transaction.
pub fn load(kind: FrameKind, rows: usize) -> Load {
    fill(kind, rows, 7, image)
}

/// The same of the table of thirty columns.
pub fn mixed_load(kind: FrameKind, rows: usize) -> Load {
    fill(kind, rows, MIXED_COLUMNS as u8, mixed_image)
}

fn fill(
    kind: FrameKind,
    rows: usize,
    columns: u8,
    image: fn(&mut Random, u64, &mut Vec<u8>),
) -> Load {
    let mut random = Random(42);
    let (mut bytes, mut frames, mut txns, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let images = if kind == FrameKind::Update { 2 } else { 1 };
    while bytes.len() + rows * images * 500 < SEGMENT_BYTES {
        let position = 4 + bytes.len() as u64;
        bytes.extend([0; 19]);
        let offset = bytes.len();
        bytes.extend([1, 0, 0, 0, 0, 0, 1, 0, 2, 0, columns]);
        bytes.extend(std::iter::repeat_n(0xFF, images * usize::from(columns).div_ceil(8)));
        for _ in 0..rows {
            total += 1;
            let id = 1_000_000 + total;
            (0..images).for_each(|_| image(&mut random, id, &mut bytes));
        }
        let number = txns.len() as u64 + 1;
        txns.push(Arc::new(TxnHead {
            seq: Seq(number),
            commit_us: 1_795_555_555_000_000 + number.cast_signed() * 37,
            origin: TxnOrigin::Binlog {
                gtid: Some(format!("cdc6ae44-e858-11f1-a954-02fc00000001:{number}").into()),
                file: "binlog.000002".into(),
                server_id: 6001,
                thread: Some(17),
                query: None,
            },
            id: None,
        }));
        let format = match kind {
            FrameKind::Update => 31,
            FrameKind::Delete => 32,
            _ => 30,
        };
        frames.push(Frame {
            head: FrameHead {
                kind,
                marker: SnapshotMarker::Streaming,
                format,
                table: TableId(0),
                offset: offset as u32,
                len: (bytes.len() - offset) as u32,
                position,
            },
            txn: txns.len() as u32 - 1,
        });
    }
    let len = bytes.len();
    Load { segment: Segment::freeze(bytes, len, None), frames, txns, rows: total }
}
