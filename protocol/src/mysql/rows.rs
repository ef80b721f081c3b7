//! Rows events (WRITE, UPDATE, DELETE_ROWS, versions 1 and 2): from the body to cells, row by row.
//!
//! ```text
//!  v1  table id 6 | flags 2 | columns lenenc | present bitmap (two of an update) | rows
//!  v2  table id 6 | flags 2 | extra length 2 (itself included) | extra | as v1
//!  row null bitmap over the present columns | their values; of an update: before, then after
//! ```
//! (MySQL: `rows_event.h`, `Rows_event`; values: `field.cc`, `Field_*::pack`.)
//!
//! Enters: an event's body inside a segment, the ops of its table version. Leaves: calls of a
//! [`RowVisitor`], with static dispatch, inlined. Keeps: every read is checked, a malformed row is
//! an error with its offset; loads of constant size may run up to 16 bytes past the event, so give
//! a slice that has them; nothing is allocated.

use alloc::vec::Vec;

use super::decimal;
use super::temporal::{
    Moment, fraction_bytes, old_datetime, old_time, old_timestamp, packed_date, packed_datetime,
    packed_time, packed_timestamp,
};
use crate::cursor::{Cursor, WireError};
use crate::schema::{ColumnType, OldTemporal};
use crate::value::RowVisitor;

/// Why a row cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Offset in the slice that was given.
    pub offset: usize,
    /// Column, where it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: &'static str,
}

impl RowError {
    /// A row whose last cell ends behind its event.
    pub fn past_the_end(offset: usize) -> Self {
        Self { offset, column: None, what: "a row that ends behind its event" }
    }

    /// A row of no bytes, as images without any column have: how many there are cannot be known.
    pub fn empty(offset: usize) -> Self {
        Self { offset, column: None, what: "a row image without columns" }
    }
}

impl RowOp {
    /// Bytes of the value in the binary protocol; `None`: as many as its length says.
    pub(super) fn binary_len(&self) -> Option<usize> {
        (self.binary != BINARY_LENENC).then_some(usize::from(self.binary))
    }

    /// Whether a length stands before the value.
    pub(super) fn is_prefixed(&self) -> bool {
        use Kind::{Address, Bytes, Json, PackedBytes, PackedText, SkipLong, Text};
        matches!(self.kind, Text | Bytes | Json | Address | PackedText | PackedBytes | SkipLong)
    }
}

impl From<WireError> for RowError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated { offset, .. } => {
                Self { offset, column: None, what: "a truncated rows event" }
            }
            WireError::Invalid { offset, what } => Self { offset, column: None, what },
        }
    }
}

/// How the bytes of one column become a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Uint,
    Float,
    Double,
    /// Of at most 18 digits.
    Decimal,
    LongDecimal,
    Text,
    Bytes,
    Date,
    Time,
    DateTime,
    Timestamp,
    Year,
    /// ENUM index, SET mask: little-endian.
    Mask,
    /// BIT: big-endian.
    Bit,
    Json,
    /// MariaDB's UUID and INET: BINARY(n) here, text in the binary protocol.
    Address,
    /// MariaDB's COMPRESSED text …
    PackedText,
    /// … and binary data, both plain in the binary protocol.
    PackedBytes,
    OldTime,
    OldDateTime,
    OldTimestamp,
    /// Stepped over: a constant size …
    Skip,
    /// … or a length prefix of `size` bytes.
    SkipLong,
    Unsupported,
}

/// One column: its kind, and the numbers that cut its value out of a constant-size load.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowOp {
    pub kind: Kind,
    /// Whether a visitor hears of it.
    pub wanted: bool,
    /// A JSON document, wanted or not: partial updates count them.
    pub json: bool,
    /// Bytes of the value, or of its length prefix.
    pub size: u8,
    /// 64 − 8·size.
    shift: u8,
    /// Fractional digits of a decimal; bytes of a time's fraction.
    pub scale: u8,
    /// Digits before and after the point of a long decimal.
    pub precision: u8,
    /// Bytes in the binary protocol, or [`BINARY_LENENC`] (dates and times have one length byte,
    /// which reads as a length-encoded integer too).
    binary: u8,
    /// Decimal: (bytes, digits) of each group.
    groups: [(u8, u8); 4],
}

/// Length-encoded in the binary protocol.
const BINARY_LENENC: u8 = 255;

/// The ops of a table version, in column order.
#[derive(Clone, Debug)]
pub struct RowOps {
    pub(super) ops: Vec<RowOp>,
}

impl RowOps {
    /// Compiles types; a column that is not `wanted` is stepped over.
    pub fn new<'a>(
        types: impl Iterator<Item = &'a ColumnType>,
        wanted: impl Fn(usize) -> bool,
    ) -> Self {
        let op = |(col, ty)| {
            let mut op = compile(ty);
            op.binary = match op.kind {
                Kind::Int | Kind::Uint if op.size == 3 => 4,
                Kind::Int | Kind::Uint | Kind::Float | Kind::Double => op.size,
                Kind::Year => 2,
                _ => BINARY_LENENC,
            };
            op.wanted = wanted(col);
            op.json = matches!(ty, ColumnType::Json { .. });
            if !op.wanted {
                op.kind = match op.kind {
                    Kind::Unsupported => Kind::Unsupported,
                    Kind::Text | Kind::Bytes | Kind::Json | Kind::Address => Kind::SkipLong,
                    Kind::PackedText | Kind::PackedBytes => Kind::SkipLong,
                    _ => Kind::Skip,
                };
            }
            op
        };
        Self { ops: types.enumerate().map(op).collect() }
    }

    /// Columns.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True without columns.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Whether a visitor hears of this column.
    pub fn is_wanted(&self, col: usize) -> bool {
        self.ops.get(col).is_some_and(|op| op.wanted)
    }
}

fn compile(ty: &ColumnType) -> RowOp {
    let op = |kind, size: u8, scale: u8| RowOp {
        kind,
        wanted: true,
        json: false,
        size,
        shift: 64 - 8 * size.clamp(1, 8),
        scale,
        precision: 0,
        binary: BINARY_LENENC,
        groups: [(0, 0); 4],
    };
    let unsupported = op(Kind::Unsupported, 0, 0);
    match ty {
        ColumnType::Int { bits, unsigned } => match bits {
            8 | 16 | 24 | 32 | 64 => {
                op(if *unsigned { Kind::Uint } else { Kind::Int }, bits / 8, 0)
            }
            _ => unsupported,
        },
        ColumnType::Float { .. } => op(Kind::Float, 4, 0),
        ColumnType::Double => op(Kind::Double, 8, 0),
        ColumnType::Decimal { precision, scale } => {
            let (Some(size), Some(groups)) =
                (decimal::size(*precision, *scale), decimal::groups(*precision, *scale))
            else {
                return unsupported;
            };
            let short = *precision <= 18;
            let kind = if short { Kind::Decimal } else { Kind::LongDecimal };
            let mut op = op(kind, size as u8, *scale as u8);
            op.precision = *precision as u8;
            if short {
                op.groups.iter_mut().zip(groups).for_each(|(slot, group)| *slot = group);
            }
            op
        }
        ColumnType::Text { length_bytes, .. } => prefixed(op(Kind::Text, *length_bytes, 0)),
        ColumnType::Bytes { length_bytes, .. } => prefixed(op(Kind::Bytes, *length_bytes, 0)),
        ColumnType::Json { length_bytes } => prefixed(op(Kind::Json, *length_bytes, 0)),
        ColumnType::Geometry { length_bytes, .. } | ColumnType::Vector { length_bytes } => {
            prefixed(op(Kind::Bytes, *length_bytes, 0))
        }
        ColumnType::Compressed { length_bytes, charset, .. } => {
            let kind = if charset.is_some() { Kind::PackedText } else { Kind::PackedBytes };
            prefixed(op(kind, *length_bytes, 0))
        }
        ColumnType::Uuid | ColumnType::Inet { .. } => op(Kind::Address, 1, 0),
        ColumnType::Old(OldTemporal::Time) => op(Kind::OldTime, 3, 0),
        ColumnType::Old(OldTemporal::DateTime) => op(Kind::OldDateTime, 8, 0),
        ColumnType::Old(OldTemporal::Timestamp) => op(Kind::OldTimestamp, 4, 0),
        ColumnType::Date => op(Kind::Date, 3, 0),
        ColumnType::Time { digits } if *digits <= 6 => {
            let fraction = fraction_bytes(*digits) as u8;
            op(Kind::Time, 3 + fraction, fraction)
        }
        ColumnType::DateTime { digits } if *digits <= 6 => {
            let fraction = fraction_bytes(*digits) as u8;
            op(Kind::DateTime, 5 + fraction, fraction)
        }
        ColumnType::Timestamp { digits } if *digits <= 6 => {
            let fraction = fraction_bytes(*digits) as u8;
            op(Kind::Timestamp, 4 + fraction, fraction)
        }
        ColumnType::Year => op(Kind::Year, 1, 0),
        ColumnType::Enum { bytes, .. } if matches!(bytes, 1 | 2) => op(Kind::Mask, *bytes, 0),
        ColumnType::Set { bytes, .. } if matches!(bytes, 1..=8) => op(Kind::Mask, *bytes, 0),
        ColumnType::Bit { bits } if matches!(bits, 1..=64) => {
            op(Kind::Bit, bits.div_ceil(8) as u8, 0)
        }
        _ => unsupported,
    }
}

/// A length prefix has one to four bytes.
fn prefixed(op: RowOp) -> RowOp {
    let kind = if matches!(op.size, 1..=4) { op.kind } else { Kind::Unsupported };
    RowOp { kind, ..op }
}

/// What precedes the rows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsHead {
    /// Number of the table in the log: that of the TABLE_MAP before it.
    pub table_id: u64,
    /// The event's flags; bit 0: last of its statement.
    pub flags: u16,
    /// Columns of the table, by this event.
    pub columns: usize,
    /// Images a row has: 2 of an update, else 1.
    pub images: usize,
    /// Whether each image has every column.
    pub whole: [bool; 2],
    /// The after images may hold changes of documents (PARTIAL_UPDATE_ROWS).
    pub partial: bool,
    /// Offset of each image's present bitmap.
    pub present_at: [usize; 2],
    /// Offset of the first row.
    pub rows_at: usize,
}

impl RowsHead {
    /// Reads the head of the body `seg[start..]`, which ends with the event. `code`: its type.
    /// Refuses MariaDB's compressed rows: they are inflated before.
    pub fn parse(code: u8, seg: &[u8], start: usize) -> Result<Self, RowError> {
        let (version, images) = match code {
            23 | 25 => (1, 1),
            24 => (1, 2),
            30 | 32 => (2, 1),
            31 | 39 => (2, 2),
            166..=171 => return Err(refuse(start, "a compressed rows event (log_bin_compress)")),
            _ => return Err(refuse(start, "an event that holds no rows")),
        };
        let mut c = Cursor::new(seg);
        c.skip(start)?;
        let table_id = c.uint_le(6)?;
        let flags = c.u16_le()?;
        if version == 2 {
            let extra = usize::from(c.u16_le()?);
            let Some(rest) = extra.checked_sub(2) else { return Ok(c.invalid("extra length")?) };
            c.skip(rest)?;
        }
        let columns = lenenc(&mut c)?;
        let bitmap = columns.div_ceil(8);
        let (mut whole, mut present_at) = ([true; 2], [0; 2]);
        for image in 0..images {
            present_at[image] = c.offset();
            let present = c.bytes(bitmap)?;
            whole[image] = all_set(present, columns);
        }
        let rows_at = c.offset();
        let partial = code == 39;
        Ok(Self { table_id, flags, columns, images, whole, partial, present_at, rows_at })
    }

    /// Whether every image of its rows can be walked by [`walk_image`].
    pub fn is_whole(&self) -> bool {
        self.whole == [true; 2] && !self.partial
    }

    /// That the event has as many columns as the table version has.
    pub fn matches(&self, ops: &RowOps) -> Result<(), RowError> {
        if self.columns == ops.len() {
            return Ok(());
        }
        Err(refuse(self.rows_at, "a number of columns that is not the table's"))
    }
}

#[cold]
fn refuse(offset: usize, what: &'static str) -> RowError {
    RowError { offset, column: None, what }
}

/// A length-encoded integer that counts columns.
fn lenenc(c: &mut Cursor) -> Result<usize, RowError> {
    let first = c.u8()?;
    let value = match first {
        0..=250 => usize::from(first),
        252 => usize::from(c.u16_le()?),
        _ => return Ok(c.invalid("column count")?),
    };
    Ok(value)
}

/// Whether the first `bits` bits are all set.
fn all_set(bitmap: &[u8], bits: usize) -> bool {
    let (full, rest) = (bits / 8, bits % 8);
    let last = bitmap.get(full).map_or(0, |byte| !byte & ((1 << rest) - 1));
    bitmap.iter().take(full).fold(last, |missing, byte| missing | !byte) == 0
}

#[inline(always)]
pub(super) fn is_set(bitmap: &[u8], bit: usize) -> bool {
    bitmap.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}

#[inline(always)]
fn load<const N: usize>(seg: &[u8], at: usize) -> Option<&[u8; N]> {
    seg.get(at..)?.first_chunk()
}

#[inline(always)]
fn le(seg: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*load(seg, at)?))
}

#[inline(always)]
fn be(seg: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*load(seg, at)?))
}

/// Walks one image that has every column, from its null bitmap at `at`; where it ends, which may be
/// behind the event: the caller compares.
#[inline(always)]
pub fn walk_image<V: RowVisitor>(
    ops: &RowOps,
    seg: &[u8],
    at: usize,
    visitor: &mut V,
) -> Result<usize, RowError> {
    let mut p = at + ops.ops.len().div_ceil(8);
    for (word, ops) in ops.ops.chunks(64).enumerate() {
        let Some(nulls) = le(seg, at + 8 * word) else { return Err(truncated(at)) };
        let first = 64 * word;
        // Most rows have no NULL: a loop of their own has one branch fewer a cell.
        if nulls & (!0 >> (64 - ops.len())) == 0 {
            for (col, op) in ops.iter().enumerate() {
                match cell(op, first + col, seg, p, visitor) {
                    Some(next) => p = next,
                    None => return Err(malformed(op, first + col, p)),
                }
            }
            continue;
        }
        for (col, op) in ops.iter().enumerate() {
            if nulls >> col & 1 == 1 {
                if op.wanted {
                    visitor.null(first + col);
                }
                continue;
            }
            match cell(op, first + col, seg, p, visitor) {
                Some(next) => p = next,
                None => return Err(malformed(op, first + col, p)),
            }
        }
    }
    Ok(p)
}

/// Steps over one image that has every column.
pub fn skip_image(ops: &RowOps, seg: &[u8], at: usize) -> Result<usize, RowError> {
    let Some(nulls) = seg.get(at..at + ops.len().div_ceil(8)) else { return Err(truncated(at)) };
    let mut p = at + nulls.len();
    for (col, op) in ops.ops.iter().enumerate().filter(|&(col, _)| !is_set(nulls, col)) {
        p = step(op, seg, p).ok_or_else(|| malformed(op, col, p))?;
    }
    Ok(p)
}

/// Where the cell at `p` ends.
#[inline(always)]
pub(super) fn step(op: &RowOp, seg: &[u8], p: usize) -> Option<usize> {
    let size = usize::from(op.size);
    match op.kind {
        Kind::Text
        | Kind::Bytes
        | Kind::Json
        | Kind::Address
        | Kind::PackedText
        | Kind::PackedBytes
        | Kind::SkipLong => {
            let len = (le(seg, p)? << op.shift) >> op.shift;
            Some(p + size + len as usize).filter(|&end| end <= seg.len())
        }
        Kind::Unsupported => None,
        _ => Some(p + size).filter(|&end| end <= seg.len()),
    }
}

#[cold]
pub(super) fn truncated(offset: usize) -> RowError {
    refuse(offset, "a truncated row")
}

#[cold]
pub(super) fn malformed(op: &RowOp, col: usize, offset: usize) -> RowError {
    let what = match op.kind {
        Kind::Unsupported => "a type that is not decoded",
        Kind::Date | Kind::DateTime | Kind::OldDateTime => {
            "a truncated value or a day that does not exist"
        }
        _ => "a truncated value",
    };
    RowError { offset, column: Some(col), what }
}

/// Reads the cell at `p` and hands it to the visitor; where it ends.
#[inline(always)]
pub(super) fn cell<V: RowVisitor>(
    op: &RowOp,
    col: usize,
    seg: &[u8],
    p: usize,
    v: &mut V,
) -> Option<usize> {
    let size = usize::from(op.size);
    let fraction = usize::from(op.scale);
    match op.kind {
        Kind::Int => {
            let value = (le(seg, p)? << op.shift).cast_signed() >> op.shift;
            v.int(col, value);
        }
        Kind::Uint => v.uint(col, (le(seg, p)? << op.shift) >> op.shift),
        Kind::Mask => v.uint(col, (le(seg, p)? << op.shift) >> op.shift),
        Kind::Bit => v.uint(col, be(seg, p)? >> op.shift),
        Kind::Float => v.float(col, f32::from_bits(u32::from_le_bytes(*load(seg, p)?))),
        Kind::Double => v.double(col, f64::from_bits(le(seg, p)?)),
        Kind::Decimal => v.decimal(col, short_decimal(op, seg, p)?, u32::from(op.scale)),
        Kind::LongDecimal => return long_decimal(op, col, seg, p, v),
        Kind::Text
        | Kind::Bytes
        | Kind::Json
        | Kind::Address
        | Kind::PackedText
        | Kind::PackedBytes => {
            let len = ((le(seg, p)? << op.shift) >> op.shift) as usize;
            let at = p + size;
            if at + len > seg.len() {
                return None;
            }
            match op.kind {
                Kind::Text => v.text(col, seg, at, len),
                Kind::Json => v.json_binary(col, seg, at, len),
                Kind::PackedText | Kind::PackedBytes => v.packed(col, seg, at, len),
                _ => v.bytes(col, seg, at, len),
            }
            return Some(at + len);
        }
        Kind::Date => {
            let value = le(seg, p)? as u32 & 0xFF_FFFF;
            match packed_date(value)? {
                Moment::At(days) => v.date(col, days as i32),
                Moment::Zero => v.zero_date(col),
            }
        }
        Kind::Time => v.time(col, packed_time(be(seg, p)?, fraction)),
        Kind::DateTime => match packed_datetime(be(seg, p)?, fraction)? {
            Moment::At(micros) => v.datetime(col, micros),
            Moment::Zero => v.zero_date(col),
        },
        Kind::Timestamp => match packed_timestamp(be(seg, p)?, fraction) {
            Moment::At(micros) => v.timestamp(col, micros),
            Moment::Zero => v.zero_date(col),
        },
        // 0 is 1900, as Debezium's log reader has it.
        Kind::Year => v.int(col, 1900 + i64::from(*seg.get(p)?)),
        Kind::OldTime | Kind::OldDateTime | Kind::OldTimestamp => old(op, col, le(seg, p)?, v)?,
        Kind::Skip | Kind::SkipLong => return step(op, seg, p),
        Kind::Unsupported => return None,
    }
    Some(p + size)
}

/// A temporal value in the format before 5.6; `None`: no such time.
#[cold]
fn old<V: RowVisitor>(op: &RowOp, col: usize, word: u64, v: &mut V) -> Option<()> {
    let value = (word << op.shift) >> op.shift;
    match op.kind {
        Kind::OldTime => v.time(col, old_time((word << op.shift).cast_signed() >> op.shift)?),
        Kind::OldDateTime => match old_datetime(value)? {
            Moment::At(micros) => v.datetime(col, micros),
            Moment::Zero => v.zero_date(col),
        },
        _ => match old_timestamp(value) {
            Moment::At(micros) => v.timestamp(col, micros),
            Moment::Zero => v.zero_date(col),
        },
    }
    Some(())
}

/// A decimal of at most 18 digits: the groups by constant-size loads.
#[inline(always)]
fn short_decimal(op: &RowOp, seg: &[u8], p: usize) -> Option<i64> {
    let negative = !(i64::from(seg.get(p)?.cast_signed()) >> 7);
    let (mut value, mut at, mut top) = (0i64, p, 1u64 << 63);
    for &(bytes, digits) in op.groups.iter().take_while(|group| group.0 > 0) {
        let word = be(seg, at)? ^ top ^ negative.cast_unsigned();
        let group = (word >> (64 - 8 * u32::from(bytes))).cast_signed();
        // At most 18 digits, but a hostile group may hold more than its digits.
        value = value.wrapping_mul(TEN[usize::from(digits)]).wrapping_add(group);
        (at, top) = (at + usize::from(bytes), 0);
    }
    Some((value ^ negative).wrapping_sub(negative))
}

const TEN: [i64; 10] =
    [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

#[cold]
fn long_decimal<V: RowVisitor>(
    op: &RowOp,
    col: usize,
    seg: &[u8],
    p: usize,
    v: &mut V,
) -> Option<usize> {
    let end = p + usize::from(op.size);
    let mut text = [0; decimal::TEXT_BYTES_MAX];
    let (precision, scale) = (u16::from(op.precision), u16::from(op.scale));
    let len = decimal::to_text(seg.get(p..end)?, precision, scale, &mut text)?;
    v.decimal_text(col, &text, 0, len);
    Some(end)
}
