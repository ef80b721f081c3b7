//! Rows in text format: pgoutput's TupleData and a snapshot's DataRow, cell by cell into a visitor.
//!
//! Enters: the bytes of a frame's body and the table's columns. Leaves: calls of the visitor, one a
//! column, in column order. Keeps: both forms of one value make the same call (invariant 8); NULL,
//! absent and unchanged are three calls (invariant 9); the walk never leaves the body.
//!
//! ```text
//! TupleData | n i16 | n × ( 'n' | 'u' | 't' len i32 text | 'b' len i32 binary )
//! DataRow   | n i16 | n × ( −1 i32 | len i32 text )
//! ```

use alloc::vec::Vec;

use super::text::{self, Moment};
use crate::cursor::WireError;
use crate::schema::{ColumnType, TableSchema};
use crate::value::RowVisitor;

/// A decimal that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalSpecial {
    /// NaN
    NaN,
    /// Infinity
    Infinity,
    /// -Infinity
    MinusInfinity,
}

/// What a PostgreSQL row says beyond `RowVisitor`. Spans as there.
pub trait TextVisitor: RowVisitor {
    /// An integer, checked: its shortest decimal text.
    fn int_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// A finite float, checked: its shortest digits in plain notation, zero or of magnitude in
    /// [10^-3, 10^7). `whole`: it has no point.
    fn float_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize, whole: bool);
    /// NaN or infinite `numeric`.
    fn decimal_special(&mut self, col: usize, special: DecimalSpecial);
    /// Infinite date, timestamp or timestamptz.
    fn infinite(&mut self, col: usize, negative: bool);
    /// `timetz`: microseconds since midnight in UTC, below 24 h.
    fn time_tz(&mut self, col: usize, micros: i64);
    /// Binary data as pairs of hexadecimal digits, checked.
    fn bytes_hex(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// Bits as `0` and `1`, the highest first, checked.
    fn bits_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// UUID text.
    fn uuid_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// A value of a type that the visitor itself reads, with `array`, `hstore` and `values`: arrays,
    /// intervals, money and others. Offsets in errors count from the start of `seg`.
    fn special(&mut self, col: usize, seg: &[u8], at: usize, len: usize) -> Result<(), WireError>;
}

/// Which columns of a tuple hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// All: a new row, or the old one under replica identity FULL ('N', 'O').
    Whole,
    /// Those of the replica identity ('K'); the others are sent as NULL and are absent.
    Identity,
}

/// How a column's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Float,
    Double,
    Decimal { scale: u16 },
    DecimalVariable,
    Text,
    Bytes,
    Date,
    Time,
    TimeTz,
    DateTime,
    Timestamp,
    Json,
    Uuid,
    Bits,
    Special,
    Unsupported,
}

#[derive(Clone, Copy, Debug)]
struct Reader {
    kind: Kind,
    /// False: the cell is stepped over and the visitor does not hear of it.
    visited: bool,
    identity: bool,
}

/// A table's columns, compiled once a version.
#[derive(Clone, Debug, Default)]
pub struct RowReader {
    columns: Vec<Reader>,
}

impl RowReader {
    /// Compiles `schema`. Columns that are not `wanted` are stepped over.
    pub fn new(schema: &TableSchema, wanted: impl Fn(usize) -> bool) -> Self {
        let identity = |col: usize| schema.identity.iter().any(|&c| usize::from(c) == col);
        let reader = |(col, column): (usize, &crate::schema::Column)| Reader {
            kind: kind(&column.ty),
            visited: wanted(col),
            identity: identity(col),
        };
        Self { columns: schema.columns.iter().enumerate().map(reader).collect() }
    }
}

fn kind(ty: &ColumnType) -> Kind {
    match ty {
        ColumnType::Bool => Kind::Bool,
        ColumnType::Int { .. } => Kind::Int,
        ColumnType::Float { .. } => Kind::Float,
        ColumnType::Double => Kind::Double,
        ColumnType::Decimal { scale, .. } => Kind::Decimal { scale: *scale },
        ColumnType::DecimalVariable => Kind::DecimalVariable,
        ColumnType::Text { .. } | ColumnType::NamedText { .. } => Kind::Text,
        ColumnType::Bytes { .. } => Kind::Bytes,
        ColumnType::Date => Kind::Date,
        ColumnType::Time { .. } => Kind::Time,
        ColumnType::TimeTz { .. } => Kind::TimeTz,
        ColumnType::DateTime { .. } => Kind::DateTime,
        ColumnType::Timestamp { .. } => Kind::Timestamp,
        ColumnType::Json { .. } => Kind::Json,
        ColumnType::Uuid => Kind::Uuid,
        ColumnType::Bit { .. } => Kind::Bits,
        ColumnType::Enum { bytes: 0, .. } => Kind::Text,
        ColumnType::Money { .. }
        | ColumnType::Interval
        | ColumnType::Hstore
        | ColumnType::PgPoint
        | ColumnType::PgGeometry { .. }
        | ColumnType::PgVector { .. }
        | ColumnType::SparseVector
        | ColumnType::Array { .. }
        | ColumnType::Unknown { .. } => Kind::Special,
        ColumnType::Year
        | ColumnType::Enum { .. }
        | ColumnType::Set { .. }
        | ColumnType::Geometry { .. }
        | ColumnType::Vector { .. }
        | ColumnType::Inet { .. }
        | ColumnType::Compressed { .. }
        | ColumnType::Old(_)
        | ColumnType::Unsupported { .. } => Kind::Unsupported,
    }
}

/// The old row of an update: where unchanged TOAST values of the new one stand. Reads it forward
/// once, however many columns are asked for.
#[derive(Clone, Copy, Debug)]
pub struct OldRow {
    at: usize,
    end: usize,
    col: usize,
}

impl OldRow {
    /// The TupleData at `seg[at..end]`.
    pub fn new(at: usize, end: usize) -> Self {
        Self { at: at.saturating_add(2), end, col: 0 }
    }

    /// The text of column `col` as a span of `seg`, if the old row has it. Columns must rise.
    #[cold]
    fn cell(&mut self, seg: &[u8], col: usize) -> Option<(usize, usize)> {
        while self.at < self.end {
            let (tag, len) = tuple_head(seg, self.at);
            let text = (self.at + 5, len);
            let next = if tag == b't' { text.0.saturating_add(len) } else { self.at + 1 };
            if next > self.end {
                return None;
            }
            let found = self.col == col;
            (self.at, self.col) = (next, self.col + 1);
            if found {
                return (tag == b't').then_some(text);
            }
        }
        None
    }
}

/// Walks one TupleData at `seg[at..end]`; gives the offset behind it. Offsets in errors count from
/// the start of `seg`, which may hold more bytes behind `end`. `old`: takes the place of unchanged
/// values.
#[inline(always)]
pub fn walk_tuple<V: TextVisitor>(
    rows: &RowReader,
    seg: &[u8],
    at: usize,
    end: usize,
    image: Image,
    mut old: Option<OldRow>,
    visitor: &mut V,
) -> Result<usize, WireError> {
    let mut at = count(rows, seg, at, end)?;
    for (col, column) in rows.columns.iter().enumerate() {
        let (tag, len) = tuple_head(seg, at);
        let (mut cell, mut next) = ((at + 5, len), at.saturating_add(5).saturating_add(len));
        if tag != b't' {
            next = at + 1;
            if at >= end {
                return truncated(at, next, end);
            }
            let found = match tag {
                b'u' => old.as_mut().and_then(|old| old.cell(seg, col)),
                b'n' => None,
                b'b' => return invalid(at, "binary cell in a text stream"),
                _ => return invalid(at, "cell kind"),
            };
            match found {
                Some(found) => cell = found,
                None => {
                    if column.visited {
                        no_value(tag, image == Image::Whole || column.identity, col, visitor);
                    }
                    at = next;
                    continue;
                }
            }
        }
        if next > end {
            return truncated(at, next, end);
        }
        if column.visited {
            value(column.kind, col, seg, cell.0, cell.1, visitor)?;
        }
        at = next;
    }
    Ok(at)
}

#[inline(always)]
fn no_value<V: TextVisitor>(tag: u8, present: bool, col: usize, visitor: &mut V) {
    match (tag, present) {
        (b'u', _) => visitor.unchanged(col),
        (_, true) => visitor.null(col),
        (_, false) => visitor.absent(col),
    }
}

/// Walks one DataRow body at `seg[at..end]`, which it must fill.
#[inline(always)]
pub fn walk_data_row<V: TextVisitor>(
    rows: &RowReader,
    seg: &[u8],
    at: usize,
    end: usize,
    visitor: &mut V,
) -> Result<(), WireError> {
    let mut at = count(rows, seg, at, end)?;
    for (col, column) in rows.columns.iter().enumerate() {
        let Some(&head) = seg.get(at..end).and_then(<[u8]>::first_chunk::<4>) else {
            return truncated(at, at + 4, end);
        };
        let from = at + 4;
        match i32::from_be_bytes(head) {
            -1 => {
                if column.visited {
                    visitor.null(col);
                }
                at = from;
            }
            len => {
                let Ok(len) = usize::try_from(len) else { return invalid(at, "cell length") };
                let next = from.saturating_add(len);
                if next > end {
                    return truncated(at, next, end);
                }
                if column.visited {
                    value(column.kind, col, seg, from, len, visitor)?;
                }
                at = next;
            }
        }
    }
    if at == end { Ok(()) } else { invalid(at, "bytes behind a row") }
}

/// Gives one value in its text form, `seg[at..at + len]`, to the visitor: a default, or an element
/// of an array.
pub fn walk_value<V: TextVisitor>(
    ty: &ColumnType,
    col: usize,
    seg: &[u8],
    at: usize,
    len: usize,
    visitor: &mut V,
) -> Result<(), WireError> {
    value(kind(ty), col, seg, at, len, visitor)
}

/// Reads and checks the number of columns; gives where the first cell starts.
#[inline(always)]
fn count(rows: &RowReader, seg: &[u8], at: usize, end: usize) -> Result<usize, WireError> {
    let Some(&count) = seg.get(at..end).and_then(<[u8]>::first_chunk::<2>) else {
        return truncated(at, at.saturating_add(2), end.min(seg.len()));
    };
    if usize::from(u16::from_be_bytes(count)) != rows.columns.len() {
        return invalid(at, "number of columns");
    }
    Ok(at + 2)
}

/// Kind and length of a cell in one load; the length means something for text only. A cell cut off
/// gives what makes the caller's bound check fail.
#[inline(always)]
fn tuple_head(seg: &[u8], at: usize) -> (u8, usize) {
    match seg.get(at..).and_then(<[u8]>::first_chunk::<5>) {
        Some(&[tag, a, b, c, d]) => (tag, u32::from_be_bytes([a, b, c, d]) as usize),
        None => (seg.get(at).copied().unwrap_or(0), usize::MAX),
    }
}

/// One cell that is not NULL: `at + len` lies in the body.
#[inline(always)]
fn value<V: TextVisitor>(
    kind: Kind,
    col: usize,
    seg: &[u8],
    at: usize,
    len: usize,
    visitor: &mut V,
) -> Result<(), WireError> {
    match kind {
        Kind::Int if text::is_int(seg, at, len) => visitor.int_text(col, seg, at, len),
        Kind::Text => visitor.text(col, seg, at, len),
        Kind::Decimal { scale } => match text::decimal_16(seg, at, len, usize::from(scale)) {
            Some(unscaled) => visitor.decimal(col, unscaled, u32::from(scale)),
            None => rarely(rare(kind, seg, at, len)?, col, seg, at, len, visitor),
        },
        Kind::DateTime => match text::timestamp(seg, at, len) {
            Some(Moment::At(micros)) => visitor.datetime(col, micros),
            other => visitor.infinite(col, is_minus(at, other)?),
        },
        Kind::Timestamp => match text::timestamp_tz(seg, at, len) {
            Some(Moment::At(micros)) => visitor.timestamp(col, micros),
            other => visitor.infinite(col, is_minus(at, other)?),
        },
        Kind::Date => match text::date(seg, at, len) {
            Some(Moment::At(days)) => visitor.date(col, days),
            other => visitor.infinite(col, is_minus(at, other)?),
        },
        Kind::Bool => match text::bool(seg, at, len) {
            Some(value) => visitor.bool(col, value),
            None => return invalid(at, "boolean"),
        },
        Kind::Float | Kind::Double => match text::plain_float(seg, at, len) {
            Some(whole) => visitor.float_text(col, seg, at, len, whole),
            None => rarely(rare(kind, seg, at, len)?, col, seg, at, len, visitor),
        },
        Kind::Json => visitor.json_text(col, seg, at, len),
        Kind::Uuid => visitor.uuid_text(col, seg, at, len),
        Kind::Special => return visitor.special(col, seg, at, len),
        _ => rarely(rare(kind, seg, at, len)?, col, seg, at, len, visitor),
    }
    Ok(())
}

/// What a cell is that the common loop does not read itself. The visitor must not pass through a
/// call that is not inlined: its cursor would leave the registers (`shards::encode::text`).
enum Rare {
    Float(f32),
    Double(f64),
    Decimal(i64, u32),
    LongDecimal,
    Special(DecimalSpecial),
    Time(i64),
    TimeTz(i64),
    Hex,
    Bits,
}

#[inline(always)]
fn rarely<V: TextVisitor>(
    rare: Rare,
    col: usize,
    seg: &[u8],
    at: usize,
    len: usize,
    visitor: &mut V,
) {
    match rare {
        Rare::Float(value) => visitor.float(col, value),
        Rare::Double(value) => visitor.double(col, value),
        Rare::Decimal(unscaled, scale) => visitor.decimal(col, unscaled, scale),
        Rare::LongDecimal => visitor.decimal_text(col, seg, at, len),
        Rare::Special(special) => visitor.decimal_special(col, special),
        Rare::Time(micros) => visitor.time(col, micros),
        Rare::TimeTz(micros) => visitor.time_tz(col, micros),
        Rare::Hex => visitor.bytes_hex(col, seg, at + 2, len - 2),
        Rare::Bits => visitor.bits_text(col, seg, at, len),
    }
}

#[inline(never)]
fn rare(kind: Kind, seg: &[u8], at: usize, len: usize) -> Result<Rare, WireError> {
    let Some(cell) = text::cell(seg, at, len) else {
        return truncated(at, at.saturating_add(len), seg.len());
    };
    let (read, what) = match kind {
        Kind::Float => (text::float(cell).map(Rare::Float), "float"),
        Kind::Double => (text::double(cell).map(Rare::Double), "float"),
        Kind::Decimal { scale } => return long_decimal(cell, at, Some(scale)),
        Kind::DecimalVariable => match text::decimal_free_16(seg, at, len) {
            Some((unscaled, scale)) => (Some(Rare::Decimal(unscaled, scale as u32)), ""),
            None => return long_decimal(cell, at, None),
        },
        Kind::Time => (text::time(seg, at, len).map(Rare::Time), "time"),
        Kind::TimeTz => (text::time_tz(seg, at, len).map(Rare::TimeTz), "time with time zone"),
        Kind::Bytes => {
            let hex = cell.strip_prefix(b"\\x").filter(|hex| hex.len().is_multiple_of(2));
            let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
            (hex.map(|_| Rare::Hex), "bytea, or bytea_output is not hex")
        }
        Kind::Bits => {
            let ok = cell.iter().all(|b| matches!(b, b'0' | b'1'));
            (ok.then_some(Rare::Bits), "bit string")
        }
        Kind::Int => (None, "integer"),
        _ => (None, "value of a type that is not decoded yet"),
    };
    read.ok_or(WireError::Invalid { offset: at, what })
}

/// Decimals that are long, of another scale than the column's, or no numbers.
fn long_decimal(cell: &[u8], at: usize, scale: Option<u16>) -> Result<Rare, WireError> {
    match (cell, text::decimal_scale(cell), scale) {
        (b"NaN", ..) => Ok(Rare::Special(DecimalSpecial::NaN)),
        (b"Infinity", ..) => Ok(Rare::Special(DecimalSpecial::Infinity)),
        (b"-Infinity", ..) => Ok(Rare::Special(DecimalSpecial::MinusInfinity)),
        (_, None, _) => invalid(at, "numeric"),
        (_, Some(found), Some(scale)) if found != usize::from(scale) => {
            invalid(at, "numeric of another scale than its column's")
        }
        _ => Ok(Rare::LongDecimal),
    }
}

#[cold]
fn is_minus<T>(at: usize, moment: Option<Moment<T>>) -> Result<bool, WireError> {
    match moment {
        Some(Moment::Infinity) => Ok(false),
        Some(Moment::MinusInfinity) => Ok(true),
        _ => invalid(at, "date or timestamp, or DateStyle is not ISO"),
    }
}

#[cold]
fn invalid<T>(offset: usize, what: &'static str) -> Result<T, WireError> {
    Err(WireError::Invalid { offset, what })
}

#[cold]
fn truncated<T>(offset: usize, next: usize, end: usize) -> Result<T, WireError> {
    Err(WireError::Truncated { offset, wanted: next.saturating_sub(end).max(1) })
}
