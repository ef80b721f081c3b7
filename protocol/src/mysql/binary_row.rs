//! Rows of the binary resultset (COM_STMT_EXECUTE), which snapshots read: the same cells as the
//! log's rows give, through the same visitor, so that both encode to the same bytes (invariant 8).
//!
//! ```text
//!  0x00 | null bitmap (columns + 2 bits, the first two unused) | values
//!  integers 1, 2, 4, 8 | float 4 | double 8 | date and time: length 1, then that many | else lenenc
//! ```
//! (MySQL: "Binary Protocol Resultset Row".) The session must read with `character_set_results`
//! utf8mb4 and `time_zone` +00:00: text arrives as UTF-8 whatever the column's character set, ENUM
//! and SET as labels, JSON as the server's text, TIMESTAMP in UTC.
//!
//! Enters: a row packet's payload inside a segment. Leaves: calls of a [`RowVisitor`].
//! Keeps: every read is checked; nothing is allocated.

use super::rows::{Kind, RowError, RowOp, RowOps};
use super::temporal::{Moment, date};
use crate::cursor::{Cursor, WireError};
use crate::value::RowVisitor;

/// Walks the row `seg[start..end]`.
pub fn walk_binary_row<V: RowVisitor>(
    ops: &RowOps,
    seg: &[u8],
    start: usize,
    end: usize,
    visitor: &mut V,
) -> Result<(), RowError> {
    let Some(row) = seg.get(..end) else { return Err(RowError::past_the_end(end)) };
    let mut c = Cursor::new(row);
    c.skip(start)?;
    if c.u8()? != 0 {
        return Ok(c.invalid("row packet header")?);
    }
    let nulls = c.bytes((ops.len() + 9) / 8)?;
    for (col, op) in ops.ops.iter().enumerate() {
        let bit = col + 2;
        let null = nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        if null {
            if op.wanted {
                visitor.null(col);
            }
            continue;
        }
        let at = c.offset();
        cell(op, col, seg, &mut c, visitor).map_err(|e| {
            let error = RowError::from(e);
            RowError { offset: at, column: Some(col), ..error }
        })?;
    }
    if c.is_empty() { Ok(()) } else { Ok(c.invalid("row packet length")?) }
}

/// A length-encoded integer (not NULL's 0xFB, which binary rows do not use).
fn lenenc(c: &mut Cursor) -> Result<usize, WireError> {
    let len = match c.u8()? {
        short @ 0..=250 => u64::from(short),
        252 => u64::from(c.u16_le()?),
        253 => c.uint_le(3)?,
        254 => c.u64_le()?,
        _ => return c.invalid("length"),
    };
    usize::try_from(len).or_else(|_| c.invalid("length"))
}

fn cell<V: RowVisitor>(
    op: &RowOp,
    col: usize,
    seg: &[u8],
    c: &mut Cursor,
    v: &mut V,
) -> Result<(), WireError> {
    if !op.wanted {
        return skip(op, c);
    }
    match op.kind {
        Kind::Int | Kind::Uint => {
            let size = binary_size(op.size);
            let shift = 64 - 8 * size as u32;
            let value = c.uint_le(size)?;
            if op.kind == Kind::Uint {
                v.uint(col, value);
            } else {
                v.int(col, (value << shift).cast_signed() >> shift);
            }
        }
        Kind::Year => match c.u16_le()? {
            0 => v.int(col, 1900),
            year => v.int(col, i64::from(year)),
        },
        Kind::Float => v.float(col, f32::from_bits(c.u32_le()?)),
        Kind::Double => v.double(col, f64::from_bits(c.u64_le()?)),
        Kind::Date => match read_datetime(c)? {
            None => v.zero_date(col),
            Some((days, _)) => v.date(col, days as i32),
        },
        Kind::DateTime | Kind::OldDateTime => match read_datetime(c)? {
            None => v.zero_date(col),
            Some((days, micros)) => v.datetime(col, days * 86_400_000_000 + micros),
        },
        Kind::Timestamp | Kind::OldTimestamp => match read_datetime(c)? {
            None => v.zero_date(col),
            Some((days, micros)) => v.timestamp(col, days * 86_400_000_000 + micros),
        },
        Kind::Time | Kind::OldTime => v.time(col, read_time(c)?),
        Kind::Decimal | Kind::LongDecimal => {
            let len = lenenc(c)?;
            let at = c.offset();
            let text = c.bytes(len)?;
            match short_decimal(op, text) {
                Some(value) => v.decimal(col, value, u32::from(op.scale)),
                None => v.decimal_text(col, seg, at, len),
            }
        }
        Kind::Bit => {
            let len = lenenc(c)?;
            let bytes = c.bytes(len)?;
            if len > 8 {
                return c.invalid("BIT length");
            }
            v.uint(col, bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)));
        }
        Kind::Text
        | Kind::PackedText
        | Kind::Mask
        | Kind::Address
        | Kind::Bytes
        | Kind::PackedBytes
        | Kind::Json => {
            let len = lenenc(c)?;
            let at = c.offset();
            c.skip(len)?;
            match op.kind {
                Kind::Bytes | Kind::PackedBytes => v.bytes(col, seg, at, len),
                Kind::Json => v.json_text(col, seg, at, len),
                _ => v.text(col, seg, at, len),
            }
        }
        Kind::Skip | Kind::SkipLong | Kind::Unsupported => {
            return c.invalid("a type that is not decoded");
        }
    }
    Ok(())
}

/// MEDIUMINT travels as four bytes.
fn binary_size(size: u8) -> usize {
    if size == 3 { 4 } else { usize::from(size) }
}

/// Steps over a column that is not wanted: `RowOps` keeps its type for that.
fn skip(op: &RowOp, c: &mut Cursor) -> Result<(), WireError> {
    let len = match op.binary_len() {
        Some(len) => len,
        None => lenenc(c)?,
    };
    c.skip(len)
}

/// `None`: a zero or zero-part date; else days and microseconds of the day.
fn read_datetime(c: &mut Cursor) -> Result<Option<(i64, i64)>, WireError> {
    let len = c.u8()?;
    if !matches!(len, 0 | 4 | 7 | 11) {
        return c.invalid("date length");
    }
    if len == 0 {
        return Ok(None);
    }
    let (year, month, day) = (i64::from(c.u16_le()?), i64::from(c.u8()?), i64::from(c.u8()?));
    let mut micros = 0;
    if len >= 7 {
        let (hour, minute, second) = (i64::from(c.u8()?), i64::from(c.u8()?), i64::from(c.u8()?));
        micros = (hour * 3600 + minute * 60 + second) * 1_000_000;
    }
    if len == 11 {
        micros += i64::from(c.u32_le()?);
    }
    match date(year, month, day) {
        Some(Moment::At(days)) => Ok(Some((days, micros))),
        Some(Moment::Zero) => Ok(None),
        None => c.invalid("a day that does not exist"),
    }
}

fn read_time(c: &mut Cursor) -> Result<i64, WireError> {
    let len = c.u8()?;
    if !matches!(len, 0 | 8 | 12) {
        return c.invalid("time length");
    }
    if len == 0 {
        return Ok(0);
    }
    let negative = c.u8()? != 0;
    let days = i64::from(c.u32_le()?);
    let (hour, minute, second) = (i64::from(c.u8()?), i64::from(c.u8()?), i64::from(c.u8()?));
    let mut micros = (days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000;
    if len == 12 {
        micros += i64::from(c.u32_le()?);
    }
    Ok(if negative { -micros } else { micros })
}

/// Decimal text of at most 18 digits with as many fractional digits as the column has; `None`
/// otherwise.
fn short_decimal(op: &RowOp, text: &[u8]) -> Option<i64> {
    if op.precision > 18 {
        return None;
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let fraction = digits.iter().rev().position(|&b| b == b'.');
    if fraction.unwrap_or(0) != usize::from(op.scale) || digits.len() > 20 {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits.iter().filter(|&&b| b != b'.') {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some(if negative { -value } else { value })
}
