//! Column defaults as the values that Debezium prints for NULL: the literal of the catalogue, in
//! the column's own form.
//!
//! Enters: the literal's text as the source writes it. Leaves: the JSON text of the value, made by
//! the very visitor that writes rows. Keeps: a literal that cannot be read gives none, never another
//! value.

use penstock_protocol::mysql::temporal::{Moment, date};
use penstock_protocol::schema::{Column, ColumnType, OldTemporal};
use penstock_protocol::value::RowVisitor;

use super::cells::{CellWriter, Spans};
use super::number::decimal_parts;
use super::options::{Connector, EncodeOptions};
use super::plan::{Cell, Format, NO_SLOT};
use super::text::Out;

/// JSON text of the default `text`; `None` if it has no value (a zero date) or cannot be read.
pub(crate) fn render(
    column: &Column,
    cell: &Cell,
    text: &str,
    options: &EncodeOptions,
) -> Option<Vec<u8>> {
    // Debezium's schema holds no default of a decimal that brings its own scale.
    if matches!(cell.format, Format::Unsupported | Format::DecimalVariable) {
        return None;
    }
    let mut cell = cell.clone();
    cell.slot = NO_SLOT;
    let mut spans = Spans::default();
    let mut w: CellWriter<'_, true> = CellWriter {
        out: Out::small(6 * text.len() + 256),
        cells: std::slice::from_ref(&cell),
        spans: &mut spans,
        base: 0,
        fault: None,
        noted: None,
    };
    match options.connector {
        Connector::MySql | Connector::MariaDb => {
            let text = saturated(&column.ty, text, options);
            mysql(&column.ty, text, &mut w)?;
        }
        Connector::Postgres => super::postgres::default(&column.ty, text, &mut w)?,
    }
    if w.fault.is_some() || w.noted.is_some() {
        return None;
    }
    let (buf, end) = w.out.finish();
    Some(buf[..end].to_vec())
}

/// A default beyond what a BIGINT UNSIGNED is emitted in stops at its end (a value wraps).
fn saturated<'t>(ty: &ColumnType, text: &'t str, options: &EncodeOptions) -> &'t str {
    let wraps = matches!(ty, ColumnType::Int { bits: 64, unsigned: true });
    let beyond = || text.parse::<u64>().is_ok_and(|n| i64::try_from(n).is_err());
    match wraps && !options.bigint_unsigned_precise && beyond() {
        true => "9223372036854775807",
        false => text,
    }
}

/// A MySQL literal to a cell.
fn mysql<V: RowVisitor>(ty: &ColumnType, text: &str, v: &mut V) -> Option<()> {
    let bytes = text.as_bytes();
    match ty {
        ColumnType::Int { unsigned: true, .. } => v.uint(0, number(text)?.parse().ok()?),
        ColumnType::Int { .. } | ColumnType::Year => v.int(0, number(text)?.parse().ok()?),
        ColumnType::Bool => v.bool(0, text == "1" || text.eq_ignore_ascii_case("true")),
        ColumnType::Float { .. } => v.float(0, text.parse().ok()?),
        ColumnType::Double => v.double(0, text.parse().ok()?),
        ColumnType::Decimal { scale, .. } => {
            let text = at_scale(text, usize::from(*scale))?;
            v.decimal_text(0, text.as_bytes(), 0, text.len());
        }
        ColumnType::Text { .. }
        | ColumnType::Compressed { charset: Some(_), .. }
        | ColumnType::Uuid
        | ColumnType::Inet { .. }
        | ColumnType::Enum { .. }
        | ColumnType::Set { .. } => {
            v.text(0, bytes, 0, bytes.len());
        }
        ColumnType::Bytes { .. } | ColumnType::Compressed { charset: None, .. } => {
            v.bytes(0, bytes, 0, bytes.len());
        }
        ColumnType::Bit { .. } => v.uint(0, bits(text)?),
        ColumnType::Date => match parse_date(text)? {
            Moment::At(days) => v.date(0, i32::try_from(days).ok()?),
            Moment::Zero => return None,
        },
        ColumnType::Time { .. } | ColumnType::Old(OldTemporal::Time) => {
            v.time(0, parse_time(text)?)
        }
        ColumnType::DateTime { .. } | ColumnType::Old(OldTemporal::DateTime) => {
            v.datetime(0, parse_datetime(text)?);
        }
        ColumnType::Timestamp { .. } | ColumnType::Old(OldTemporal::Timestamp) => {
            v.timestamp(0, parse_datetime(text)?);
        }
        ColumnType::TimeTz { .. }
        | ColumnType::Json { .. }
        | ColumnType::DecimalVariable
        | ColumnType::NamedText { .. }
        | ColumnType::Money { .. }
        | ColumnType::Interval
        | ColumnType::Hstore
        | ColumnType::PgPoint
        | ColumnType::PgGeometry { .. }
        | ColumnType::PgVector { .. }
        | ColumnType::SparseVector
        | ColumnType::Array { .. }
        | ColumnType::Unknown { .. }
        | ColumnType::Geometry { .. }
        | ColumnType::Vector { .. }
        | ColumnType::Unsupported { .. } => return None,
    }
    Some(())
}

/// An integer literal; the catalogue may show `0.0` for what was written so.
fn number(text: &str) -> Option<&str> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|b| b == b'0').then_some(whole)
}

/// Decimal text with exactly `scale` fractional digits.
fn at_scale(text: &str, scale: usize) -> Option<String> {
    let text = text.trim();
    decimal_parts(text.as_bytes())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = if whole.is_empty() || whole == "-" { format!("{whole}0") } else { whole.into() };
    if scale == 0 {
        return Some(whole);
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(scale).collect();
    Some(format!("{whole}.{fraction}"))
}

/// `b'101'`, or a plain number.
fn bits(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\''));
    match digits {
        Some(digits) => u64::from_str_radix(digits, 2).ok(),
        None => text.parse().ok(),
    }
}

/// `2024-01-31`.
fn parse_date(text: &str) -> Option<Moment> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    date(parts.next()??, parts.next()??, parts.next()??)
}

/// `[-]838:59:59[.123456]`, in microseconds.
fn parse_time(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if !(0..=838).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + digits.parse::<i64>().ok()?;
    Some(if negative { -micros } else { micros })
}

/// `2024-01-31 12:00:00[.123456]`, read as UTC, in microseconds.
fn parse_datetime(text: &str) -> Option<i64> {
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let Moment::At(days) = parse_date(day)? else { return None };
    Some(days * 86_400_000_000 + parse_time(time)?)
}
