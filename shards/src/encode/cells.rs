//! The visitor that writes cells: what a walker of `protocol` reads becomes JSON text at once.
//!
//! Enters: cells of one row image, in column order, by static dispatch. Leaves: `,"name":value`
//! per column that is part of the value, and the spans of the key's texts, from which the key is
//! copied. Keeps: everything is inlined into the walk (see `text::Out`); a fault is remembered and
//! ends the row, nothing of which is then handed on.

use std::fmt;

use penstock_protocol::mysql;
use penstock_protocol::mysql::json_diff::changed_to_text;
use penstock_protocol::value::RowVisitor;

use super::number::{
    decimal_parts, parse_f64, put_decimal_base64, put_decimal_double, put_decimal_string, put_f32,
    put_f64, put_i64, put_text_base64, put_u64,
};
use super::plan::{Cell, Format};
use super::spatial::{put_geometry, put_inet, put_point, put_vector};
use super::temporal::{
    DAY_US, Fraction, adjusted, put_iso_date, put_iso_stamp, put_iso_time, within_a_day,
};
use super::text::{
    ARENA_BYTES_MAX, Binary, High, Out, put_binary, put_escaped, put_string, put_wide,
};

/// What cells need beside the arena, kept from row to row.
pub(crate) struct Spans {
    /// Spans of the key's texts, `start | end << 32`: slots of the first image, then of the second.
    pub slots: [u64; 128],
    /// A value of a COMPRESSED column, unpacked.
    unpacked: Vec<u8>,
}

impl Default for Spans {
    fn default() -> Self {
        Self { slots: [0; 128], unpacked: Vec::new() }
    }
}

/// Values of PostgreSQL's rarer types that records cannot tell. One byte: a fault goes with the
/// writer by value, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    InfiniteInterval,
    BitArray,
    InnerArray,
    NullElement,
    WideSparseVector,
    NoForm,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InfiniteInterval => "an infinite interval",
            Self::BitArray => "an array of bits",
            Self::InnerArray => "an array in an array",
            Self::NullElement => "NULL in an array of a type whose elements cannot be null",
            Self::WideSparseVector => "a sparse vector of more than 32767 dimensions",
            Self::NoForm => "a type without a form",
        })
    }
}

/// Why a cell cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// An ENUM index or a SET mask without a label.
    Label,
    /// A JSON document that is damaged, or larger than a batch may be.
    Json,
    /// Text that is no decimal.
    Decimal,
    /// A duration where the chosen mode knows only times of day.
    Duration,
    /// A timestamp beyond what nanoseconds can tell.
    Nanoseconds,
    /// A value of a COMPRESSED column that cannot be unpacked.
    Packed,
    /// Spatial data without its SRID, or a POINT that is none.
    Spatial,
    /// Bytes that are no whole number of floats, or no address.
    Length,
    /// NaN or infinity where neither decimals nor NULL can tell it.
    NotANumber,
    /// A value that its type's form cannot tell.
    Unconvertible(Untold),
    /// An unchanged value that is not in the log and has no placeholder.
    Unchanged,
    /// A value whose text would be larger than a batch may be.
    TooLarge,
}

impl FaultKind {
    /// A failure that `event_converting_failure_handling_mode` decides about.
    fn is_conversion(self) -> bool {
        match self {
            Self::Duration
            | Self::Nanoseconds
            | Self::NotANumber
            | Self::Unconvertible(_)
            | Self::Unchanged => true,
            Self::Label
            | Self::Json
            | Self::Decimal
            | Self::Packed
            | Self::Spatial
            | Self::Length
            | Self::TooLarge => false,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "holds an ENUM or SET value that has no label",
            Self::Json => "holds a JSON document that is damaged or too large",
            Self::Decimal => "holds a number that is no decimal",
            Self::Duration => {
                "holds a TIME outside 0 to 24 hours, which this time_precision_mode cannot tell"
            }
            Self::Nanoseconds => "holds a timestamp outside 1677 to 2262, beyond nanoseconds",
            Self::Packed => "holds a compressed value that is damaged or longer than the column",
            Self::Spatial => "holds spatial data that is damaged",
            Self::Length => "holds a value of a length that its type does not have",
            Self::NotANumber => {
                "holds NaN or infinity, which decimal_handling_mode = precise cannot tell; use \
                 string or double"
            }
            Self::Unconvertible(what) => {
                return write!(f, "holds {what}, which a record cannot tell");
            }
            Self::Unchanged => {
                "holds an unchanged value that is not in the log (TOAST) and that no placeholder \
                 can stand for; set REPLICA IDENTITY FULL on the table"
            }
            Self::TooLarge => "holds a value whose text is larger than a batch may be",
        })
    }
}

/// A fault and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub col: usize,
    pub kind: FaultKind,
}

/// Writes the cells of row images. `SNAPSHOT`: text arrives as UTF-8 whatever the column's
/// character set, ENUM and SET as labels.
pub(crate) struct CellWriter<'p, const SNAPSHOT: bool> {
    /// The cursor.
    pub out: Out,
    /// Cells by column.
    pub cells: &'p [Cell],
    /// Spans of the key's texts.
    pub spans: &'p mut Spans,
    /// 0 for the first image, 64 for the second.
    pub base: usize,
    /// The first fault.
    pub fault: Option<Fault>,
    /// The first value that was written as null because a record cannot tell it.
    pub noted: Option<Fault>,
}

impl<'p, const SNAPSHOT: bool> CellWriter<'p, SNAPSHOT> {
    /// Opens a cell: what stands before its value. Walkers are compiled from the same columns as
    /// the cells, so `col` is one of them.
    #[inline(always)]
    pub(super) fn begin(&mut self, col: usize) -> (&'p Cell, usize) {
        let cells: &'p [Cell] = self.cells;
        let cell = &cells[col];
        cell.before.put(&mut self.out);
        (cell, self.out.at())
    }

    /// Closes it: remembers where its text stands, in case it is part of the key.
    #[inline(always)]
    pub(super) fn end(&mut self, (cell, start): (&'p Cell, usize)) {
        let slot = (self.base | usize::from(cell.slot)) & 127;
        self.spans.slots[slot] = start as u64 | (self.out.at() as u64) << 32;
    }

    /// Puts a text that was just written under its column's rule, if it has one.
    #[inline(always)]
    pub(super) fn rule(&mut self, open: (&'p Cell, usize)) {
        if open.0.rule.is_some() {
            self.out.cold(|out| put_ruled(out, open));
        }
    }

    /// Of a value that was not written: remembers the first fault of a row, or puts null in the
    /// value's place where a failure to convert it is tolerated.
    #[inline(always)]
    pub(super) fn check(
        &mut self,
        col: usize,
        (cell, start): (&'p Cell, usize),
        outcome: Result<(), FaultKind>,
    ) {
        if let Err(kind) = outcome {
            let fault = Some(Fault { col, kind });
            if kind.is_conversion() && cell.tolerant {
                self.out.cold(|out| put_null(out, start, cell));
                self.noted = self.noted.or(fault);
            } else {
                self.fault = self.fault.or(fault);
            }
        }
    }
}

impl<const SNAPSHOT: bool> CellWriter<'_, SNAPSHOT> {
    /// A column that an insert left out.
    pub(super) fn omitted(&mut self, col: usize) {
        let open = self.begin(col);
        open.0.omitted.put(&mut self.out);
        self.end(open);
    }

    /// A document of MySQL, and what changed in it.
    pub(super) fn json_changed(&mut self, col: usize, document: &[u8], changes: &[u8]) {
        let open = self.begin(col);
        let mut outcome = Ok(());
        self.out.cold(|out| {
            outcome = put_json(out, |sink| changed_to_text(document, changes, sink));
        });
        self.check(col, open, outcome);
        self.end(open);
    }
}

impl<const SNAPSHOT: bool> RowVisitor for CellWriter<'_, SNAPSHOT> {
    #[inline(always)]
    fn null(&mut self, col: usize) {
        let open = self.begin(col);
        open.0.null.put(&mut self.out);
        self.end(open);
    }

    #[inline(always)]
    fn absent(&mut self, col: usize) {
        self.null(col);
    }

    #[inline(always)]
    fn unchanged(&mut self, col: usize) {
        let open = self.begin(col);
        match &open.0.unchanged {
            Some(placeholder) => placeholder.put(&mut self.out),
            None => self.check(col, open, Err(FaultKind::Unchanged)),
        }
        self.end(open);
    }

    #[inline(always)]
    fn bool(&mut self, col: usize, value: bool) {
        let open = self.begin(col);
        put_bool(&mut self.out, value);
        self.end(open);
    }

    #[inline(always)]
    fn int(&mut self, col: usize, value: i64) {
        let open = self.begin(col);
        put_i64(&mut self.out, value);
        self.end(open);
    }

    #[inline(always)]
    fn uint(&mut self, col: usize, value: u64) {
        let open = self.begin(col);
        if open.0.format == Format::Integer {
            // `bigint_unsigned_handling_mode = long` wraps above 2^63 − 1.
            put_i64(&mut self.out, value.cast_signed());
        } else {
            let mut outcome = Ok(());
            self.out.cold(|out| outcome = put_uint(out, open.0, value));
            self.check(col, open, outcome);
            self.rule(open);
        }
        self.end(open);
    }

    #[inline(always)]
    fn float(&mut self, col: usize, value: f32) {
        let open = self.begin(col);
        if open.0.format == Format::Float {
            put_f32(&mut self.out, value);
        } else {
            put_f64(&mut self.out, f64::from(value));
        }
        self.end(open);
    }

    #[inline(always)]
    fn double(&mut self, col: usize, value: f64) {
        let open = self.begin(col);
        put_f64(&mut self.out, value);
        self.end(open);
    }

    #[inline(always)]
    fn decimal(&mut self, col: usize, unscaled: i64, scale: u32) {
        let open = self.begin(col);
        if open.0.format == Format::DecimalBase64 {
            put_decimal_base64(&mut self.out, unscaled);
        } else {
            self.out.cold(|out| put_decimal(out, open.0, unscaled, scale));
        }
        self.end(open);
    }

    #[inline(always)]
    fn decimal_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let mut outcome = Ok(());
        let text = seg.get(at..at + len).unwrap_or_default();
        self.out.cold(|out| outcome = put_decimal_text(out, open.0, text));
        self.check(col, open, outcome);
        self.end(open);
    }

    #[inline(always)]
    fn text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let high = match open.0.format {
            Format::Text(high) if !SNAPSHOT => high,
            Format::Wide(charset) if !SNAPSHOT => {
                let text = seg.get(at..at + len).unwrap_or_default();
                self.out.cold(|out| put_wide(out, charset, text));
                self.rule(open);
                return self.end(open);
            }
            _ => High::Utf8,
        };
        put_string(&mut self.out, seg, at, len, high);
        self.rule(open);
        self.end(open);
    }

    #[inline(always)]
    fn bytes(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let data = seg.get(at..at + len).unwrap_or_default();
        let mut outcome = Ok(());
        self.out.cold(|out| outcome = put_bytes(out, open.0, data));
        self.check(col, open, outcome);
        self.end(open);
    }

    #[inline(always)]
    fn packed(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let packed = seg.get(at..at + len).unwrap_or_default();
        let mut outcome = Ok(());
        let value = &mut self.spans.unpacked;
        self.out.cold(|out| outcome = put_packed(out, open.0, packed, value));
        self.check(col, open, outcome);
        self.rule(open);
        self.end(open);
    }

    #[inline(always)]
    fn date(&mut self, col: usize, days: i32) {
        let open = self.begin(col);
        let days = years_adjusted(open.0, i64::from(days), 1);
        if open.0.format == Format::Days {
            put_i64(&mut self.out, days);
        } else {
            self.out.cold(|out| put_iso_date(out, days));
        }
        self.end(open);
    }

    #[inline(always)]
    fn time(&mut self, col: usize, micros: i64) {
        let open = self.begin(col);
        if open.0.format == Format::Micros {
            put_i64(&mut self.out, micros);
        } else {
            let mut outcome = Ok(());
            self.out.cold(|out| outcome = put_time(out, open.0, micros));
            self.check(col, open, outcome);
        }
        self.end(open);
    }

    #[inline(always)]
    fn datetime(&mut self, col: usize, micros: i64) {
        let open = self.begin(col);
        let micros = years_adjusted(open.0, micros, DAY_US);
        match open.0.format {
            Format::Micros => put_i64(&mut self.out, micros),
            Format::Millis => put_i64(&mut self.out, micros.div_euclid(1000)),
            _ => {
                let mut outcome = Ok(());
                self.out.cold(|out| outcome = put_datetime(out, open.0, micros));
                self.check(col, open, outcome);
            }
        }
        self.end(open);
    }

    #[inline(always)]
    fn timestamp(&mut self, col: usize, micros: i64) {
        let open = self.begin(col);
        let fraction = Fraction::Exactly(open.0.digits);
        self.out.cold(|out| put_iso_stamp(out, micros, fraction));
        self.end(open);
    }

    #[inline(always)]
    fn zero_date(&mut self, col: usize) {
        self.null(col);
    }

    #[inline(always)]
    fn json_binary(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let mut outcome = Ok(());
        let document = seg.get(at..at + len).unwrap_or_default();
        self.out.cold(|out| {
            outcome = put_json(out, |sink| mysql::json::binary_to_text(document, sink));
        });
        self.check(col, open, outcome);
        self.rule(open);
        self.end(open);
    }

    #[inline(always)]
    fn json_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        if !SNAPSHOT {
            return self.text(col, seg, at, len);
        }
        let open = self.begin(col);
        let mut outcome = Ok(());
        let document = seg.get(at..at + len).unwrap_or_default();
        self.out.cold(|out| {
            outcome = put_json(out, |sink| mysql::json::normalize_text(document, sink));
        });
        self.check(col, open, outcome);
        self.rule(open);
        self.end(open);
    }
}

/// Replaces the JSON string from `start` on by what its column's rule makes of it.
#[cold]
fn put_ruled(out: &mut Out, (cell, start): (&Cell, usize)) {
    let Some(rule) = &cell.rule else { return };
    // A value that could not be converted stands as null here.
    let ruled = rule.constant(out.written(start, out.at()), true);
    out.rewind(start);
    out.ensure(ruled.len());
    out.exact(&ruled);
}

/// Takes back what a failed conversion has written, and puts null in its place.
#[cold]
#[inline(never)]
fn put_null(out: &mut Out, start: usize, cell: &Cell) {
    out.rewind(start);
    cell.null.put(out);
}

#[cold]
fn put_decimal(out: &mut Out, cell: &Cell, unscaled: i64, scale: u32) {
    match cell.format {
        Format::DecimalString => put_decimal_string(out, unscaled, scale),
        Format::DecimalVariable => put_variable(out, unscaled, scale),
        _ => put_decimal_double(out, unscaled, scale),
    }
}

#[cold]
fn put_time(out: &mut Out, cell: &Cell, micros: i64) -> Result<(), FaultKind> {
    match cell.format {
        Format::Nanos => put_i64(out, micros.saturating_mul(1000)),
        _ if !within_a_day(micros) => return Err(FaultKind::Duration),
        Format::Millis => put_i64(out, micros / 1000),
        _ => put_iso_time(out, micros),
    }
    Ok(())
}

#[cold]
fn put_datetime(out: &mut Out, cell: &Cell, micros: i64) -> Result<(), FaultKind> {
    match cell.format {
        Format::Nanos => put_i64(out, micros.checked_mul(1000).ok_or(FaultKind::Nanoseconds)?),
        _ => put_iso_stamp(out, micros, Fraction::Trimmed),
    }
    Ok(())
}

#[inline(always)]
fn put_bool(out: &mut Out, value: bool) {
    if value { out.pad(b"true", 4) } else { out.pad(b"false", 5) }
}

#[cold]
fn put_uint(out: &mut Out, cell: &Cell, value: u64) -> Result<(), FaultKind> {
    match cell.format {
        Format::Bool => put_bool(out, value & 1 == 1),
        Format::Bits => {
            let width = (cell.size as usize).min(8);
            put_binary(out, &value.to_le_bytes()[..width], 0, Binary::Base64);
        }
        Format::UnsignedPrecise => match i64::try_from(value) {
            Ok(value) => put_decimal_base64(out, value),
            Err(_) => {
                let mut bytes = [0; 9];
                bytes[1..].copy_from_slice(&value.to_be_bytes());
                put_binary(out, &bytes, 0, Binary::Base64);
            }
        },
        Format::Enum => {
            let label = match value.checked_sub(1) {
                None => &[][..],
                Some(i) => cell.labels.get(i as usize).ok_or(FaultKind::Label)?,
            };
            out.byte(b'"');
            out.exact(label);
            out.byte(b'"');
        }
        Format::Set => {
            let (mut rest, mut first) = (value, true);
            out.byte(b'"');
            while rest != 0 {
                let label = cell.labels.get(rest.trailing_zeros() as usize);
                if !first {
                    out.byte(b',');
                }
                out.exact(label.ok_or(FaultKind::Label)?);
                (rest, first) = (rest & (rest - 1), false);
            }
            out.byte(b'"');
        }
        _ => put_u64(out, value),
    }
    Ok(())
}

/// NUMERIC without scale: trailing zeros of the fraction are stripped, the scale is never negative.
#[cold]
fn put_variable(out: &mut Out, mut unscaled: i64, mut scale: u32) {
    while scale > 0 && unscaled % 10 == 0 {
        (unscaled, scale) = (unscaled / 10, scale - 1);
    }
    out.exact(b"{\"scale\":");
    put_u64(out, u64::from(scale));
    out.exact(b",\"value\":");
    put_decimal_base64(out, unscaled);
    out.byte(b'}');
}

#[cold]
fn put_decimal_text(out: &mut Out, cell: &Cell, text: &[u8]) -> Result<(), FaultKind> {
    decimal_parts(text).ok_or(FaultKind::Decimal)?;
    match cell.format {
        Format::DecimalBase64 => {
            put_text_base64(out, text).then_some(()).ok_or(FaultKind::Decimal)?
        }
        Format::DecimalVariable => {
            let mut text = text;
            let mut scale = text.iter().rev().position(|&b| b == b'.').unwrap_or(0);
            while scale > 0 && text.last() == Some(&b'0') {
                (text, scale) = (&text[..text.len() - 1], scale - 1);
            }
            out.exact(b"{\"scale\":");
            put_u64(out, scale as u64);
            out.exact(b",\"value\":");
            put_text_base64(out, text).then_some(()).ok_or(FaultKind::Decimal)?;
            out.byte(b'}');
        }
        Format::DecimalString => {
            out.ensure(text.len() + 2);
            out.byte(b'"');
            out.exact(text);
            out.byte(b'"');
        }
        _ => put_f64(out, parse_f64(text)),
    }
    Ok(())
}

#[cold]
fn put_packed(
    out: &mut Out,
    cell: &Cell,
    packed: &[u8],
    value: &mut Vec<u8>,
) -> Result<(), FaultKind> {
    mysql::packed::unpack(packed, cell.packed_max, value).map_err(|_| FaultKind::Packed)?;
    let len = value.len();
    match cell.format {
        Format::Text(high) => {
            // Strings are read 16 bytes at a time.
            value.resize(len + 16, 0);
            put_string(out, value, 0, len, high);
        }
        Format::Wide(charset) => put_wide(out, charset, value),
        _ => return put_bytes(out, cell, value),
    }
    Ok(())
}

#[cold]
fn put_bytes(out: &mut Out, cell: &Cell, data: &[u8]) -> Result<(), FaultKind> {
    match cell.format {
        Format::Geometry => put_geometry(out, data)?,
        Format::Point => put_point(out, data)?,
        Format::Vector => put_vector(out, data)?,
        Format::Inet => put_inet(out, data, cell.size)?,
        Format::Uuid => {
            out.byte(b'"');
            // The log strips trailing zero bytes, as of any BINARY(16).
            for i in 0..16 {
                let byte = data.get(i).copied().unwrap_or(0);
                if matches!(i, 4 | 6 | 8 | 10) {
                    out.byte(b'-');
                }
                let hex = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
                out.pad(&[hex(byte >> 4), hex(byte)], 2);
            }
            out.byte(b'"');
        }
        Format::Bytes(form) => put_binary(out, data, cell.size as usize, form),
        _ => put_binary(out, data, cell.size as usize, Binary::Base64),
    }
    Ok(())
}

/// JSON text inside a JSON string: what the document's printer gives is escaped once more.
struct JsonSink<'o> {
    out: &'o mut Out,
    full: bool,
}

impl mysql::json::TextSink for JsonSink<'_> {
    fn put(&mut self, text: &[u8]) {
        for piece in text.chunks(1024) {
            if self.full || self.out.at() > ARENA_BYTES_MAX {
                self.full = true;
                return;
            }
            self.out.ensure(6 * piece.len() + 2);
            piece.iter().for_each(|&byte| put_escaped(self.out, byte));
        }
    }

    fn is_full(&self) -> bool {
        self.full
    }
}

#[cold]
fn put_json<E>(
    out: &mut Out,
    print: impl FnOnce(&mut JsonSink) -> Result<(), E>,
) -> Result<(), FaultKind> {
    out.byte(b'"');
    let mut sink = JsonSink { out, full: false };
    let outcome = print(&mut sink);
    let full = sink.full;
    out.byte(b'"');
    if full || outcome.is_err() { Err(FaultKind::Json) } else { Ok(()) }
}

/// `enable_time_adjuster`, in the unit of which a day has `day`.
#[inline(always)]
fn years_adjusted(cell: &Cell, value: i64, day: i64) -> i64 {
    if cell.adjusts_years { adjusted(value, day) } else { value }
}
