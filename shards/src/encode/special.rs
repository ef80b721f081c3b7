//! Values of PostgreSQL's rarer types as JSON text: arrays, money, intervals, hstore, geometry,
//! vectors, and the bytes of types that Debezium has no form for.
//!
//! Enters: a cell's text. Leaves: its value at the cursor. Keeps: forms and failures are Debezium's
//! (`PostgresValueConverter`); no memory, but for maps of more than [`ENTRIES_ON_STACK`] entries; no
//! value of an array is an array, so nothing here recurses; bytes that are no UTF-8 are refused.

use penstock_protocol::cursor::WireError;
use penstock_protocol::postgres::array::{Chars, Element, Elements};
use penstock_protocol::postgres::hstore::{Pair, Pairs};
use penstock_protocol::postgres::text::{self, Moment};
use penstock_protocol::postgres::tuple::walk_value;
use penstock_protocol::postgres::values::{self, Interval};
use penstock_protocol::schema::{ColumnType, UnknownForm};

use super::cells::{CellWriter, FaultKind, Spans, Untold};
use super::java_map;
use super::number::{
    put_decimal_base64, put_decimal_double, put_decimal_string, put_f32, put_f64, put_i64,
    put_plain_f64, put_text_base64,
};
use super::options::{
    ConvertingFailure, DecimalHandling, EncodeOptions, HstoreHandling, IntervalHandling,
};
use super::plan::{Cell, Format, binary_form};
use super::text::{ARENA_BYTES_MAX, Binary, Out, put_binary, put_binary_from, put_escaped};

/// Entries of a map that are sorted without asking for memory.
const ENTRIES_ON_STACK: usize = 64;
/// Room for one value of constant size, with what stands around it.
const SCALAR_ROOM: usize = 256;
/// Bytes that are escaped at a time.
const STEP: usize = 128;

/// How a value of such a type is written.
#[derive(Clone, Debug)]
pub(crate) enum Special {
    Money { digits: u8, fraction: u8, form: DecimalHandling },
    Interval(IntervalHandling),
    Hstore(HstoreHandling),
    Point,
    Geometry,
    Vector { half: bool },
    SparseVector,
    Array(Box<ArrayForm>),
    Unknown { binary: Binary, geometric: bool },
}

/// How arrays of a type are written.
#[derive(Clone, Debug)]
pub(crate) struct ArrayForm {
    ty: ColumnType,
    cell: Cell,
    delimiter: u8,
    nulls: bool,
    /// An inner array is an error, not null.
    strict: bool,
}

impl Special {
    /// The form of a type's values; none: it is not one of these types. `element`: compiles the
    /// cell of an array's elements.
    pub fn of(
        ty: &ColumnType,
        options: &EncodeOptions,
        element: impl Fn(&ColumnType) -> Cell,
    ) -> Option<Self> {
        Some(match ty {
            ColumnType::Money { digits } => Self::Money {
                digits: *digits,
                fraction: options.money_fraction_digits,
                form: options.decimal,
            },
            ColumnType::Interval => Self::Interval(options.interval),
            ColumnType::Hstore => Self::Hstore(options.hstore),
            ColumnType::PgPoint => Self::Point,
            ColumnType::PgGeometry { .. } => Self::Geometry,
            ColumnType::PgVector { half } => Self::Vector { half: *half },
            ColumnType::SparseVector => Self::SparseVector,
            ColumnType::Array { element: ty, delimiter, nulls, .. } => {
                Self::Array(Box::new(ArrayForm {
                    cell: element(ty),
                    ty: (**ty).clone(),
                    delimiter: *delimiter,
                    nulls: *nulls,
                    strict: options.converting_failure == ConvertingFailure::Fail,
                }))
            }
            ColumnType::Unknown { form, .. } => Self::Unknown {
                binary: binary_form(options.binary),
                geometric: *form == UnknownForm::Geometric,
            },
            _ => return None,
        })
    }
}

/// Why a value was not written.
pub(crate) enum Trouble {
    /// Its text is not what the server writes.
    Malformed(WireError),
    /// A record cannot tell it.
    Fault(FaultKind),
}

impl From<FaultKind> for Trouble {
    fn from(kind: FaultKind) -> Self {
        Self::Fault(kind)
    }
}

type Put = Result<(), Trouble>;

/// A cell's text in its segment.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub seg: &'a [u8],
    pub at: usize,
    pub len: usize,
}

impl<'a> Text<'a> {
    fn get(self) -> &'a [u8] {
        self.seg.get(self.at..self.at + self.len).unwrap_or_default()
    }

    fn part(self, at: usize, len: usize) -> Self {
        Self { at: self.at + at, len, ..self }
    }

    #[cold]
    fn malformed(self, at: usize, what: &'static str) -> Trouble {
        Trouble::Malformed(WireError::Invalid { offset: self.at + at, what })
    }
}

/// Writes one value. `noted`: what was written as null within it, if anything.
#[inline(never)]
pub(crate) fn put(
    out: &mut Out,
    special: &Special,
    text: Text,
    spans: &mut Spans,
    noted: &mut Option<FaultKind>,
) -> Put {
    out.ensure(SCALAR_ROOM);
    let from = out.at();
    match special {
        Special::Money { digits, fraction, form } => {
            let amount = values::money(text.get(), *digits);
            let amount = amount.ok_or_else(|| {
                text.malformed(0, "money, or lc_monetary is not what it was at the start")
            })?;
            put_money(out, amount, *digits, *fraction, *form);
        }
        Special::Interval(form) => match values::interval(text.get()) {
            Some(Moment::At(interval)) if *form == IntervalHandling::Numeric => {
                put_i64(out, interval.duration_micros());
            }
            Some(Moment::At(interval)) => put_iso_interval(out, &interval),
            Some(_) => return Err(FaultKind::Unconvertible(Untold::InfiniteInterval).into()),
            None => return Err(text.malformed(0, "interval, or IntervalStyle is not postgres")),
        },
        Special::Hstore(form) => put_hstore(out, text, false, *form)?,
        Special::Point => {
            let point = values::point(text.get());
            let (x, y) = point.ok_or_else(|| text.malformed(0, "point"))?;
            put_point(out, x, y);
        }
        Special::Geometry => put_geometry(out, text)?,
        Special::Vector { half } => put_vector(out, text, *half)?,
        Special::SparseVector => put_sparse_vector(out, text)?,
        Special::Array(form) => put_array(out, form, text, spans, noted)?,
        Special::Unknown { binary, geometric: true } => put_geometric(out, text, *binary)?,
        Special::Unknown { binary, .. } => put_binary(out, text.get(), 0, *binary),
    }
    match std::str::from_utf8(out.written(from, out.at())) {
        Ok(_) => Ok(()),
        Err(_) => Err(text.malformed(0, "text that is not UTF-8")),
    }
}

// ------------------------------------------------------------------------------ arrays

fn put_array(
    out: &mut Out,
    form: &ArrayForm,
    text: Text,
    spans: &mut Spans,
    noted: &mut Option<FaultKind>,
) -> Put {
    if let ColumnType::Bit { .. } = form.ty {
        return Err(FaultKind::Unconvertible(Untold::BitArray).into());
    }
    out.byte(b'[');
    let mut first = true;
    for element in Elements::new(text.get(), form.delimiter) {
        let element = element.map_err(|at| text.malformed(at, "array"))?;
        out.ensure(SCALAR_ROOM);
        if out.at() > ARENA_BYTES_MAX {
            return Err(FaultKind::TooLarge.into());
        }
        if !first {
            out.byte(b',');
        }
        first = false;
        let inner = FaultKind::Unconvertible(Untold::InnerArray);
        match element {
            Element::Text { at, len, escaped } => {
                put_element(out, form, text.part(at, len), escaped, spans)?;
            }
            Element::Null if form.nulls => out.pad(b"null", 4),
            Element::Inner if form.nulls && !form.strict => {
                *noted = Some(inner);
                out.pad(b"null", 4);
            }
            Element::Inner => return Err(inner.into()),
            Element::Null => {
                return Err(FaultKind::Unconvertible(Untold::NullElement).into());
            }
        }
    }
    out.ensure(1);
    out.byte(b']');
    Ok(())
}

/// One element. Types whose output has no backslash are read where they stand; escapes are taken
/// off on the way where it may have some.
fn put_element(
    out: &mut Out,
    form: &ArrayForm,
    text: Text,
    escaped: bool,
    spans: &mut Spans,
) -> Put {
    let chars = Chars::new(text.get(), escaped);
    match (&form.ty, form.cell.special.as_deref()) {
        (ColumnType::Hstore, Some(Special::Hstore(handling))) => {
            return put_hstore(out, text, escaped, *handling);
        }
        (_, Some(Special::Unknown { binary, geometric: false })) => {
            put_binary_from(out, chars.count(), *binary, {
                let mut chars = chars;
                move || chars.next().unwrap_or(0)
            });
            return Ok(());
        }
        (ColumnType::Bytes { .. }, _) => {
            // `\x00` stands as `"\\x00"`.
            let doubled = escaped && text.get().starts_with(b"\\\\x");
            let text = if doubled { text.part(1, text.len - 1) } else { text };
            return scalar(out, form, text, spans);
        }
        _ if !escaped => return scalar(out, form, text, spans),
        _ if matches!(form.cell.format, Format::Text(_) | Format::Json) => {}
        _ => return Err(text.malformed(0, "array: an element that needs no backslash has one")),
    }
    out.byte(b'"');
    put_chars(out, chars, put_escaped);
    out.byte(b'"');
    Ok(())
}

/// An element as a cell of its type would be written.
fn scalar(out: &mut Out, form: &ArrayForm, text: Text, spans: &mut Spans) -> Put {
    let mut w: CellWriter<'_, false> = CellWriter {
        out: std::mem::take(out),
        cells: std::slice::from_ref(&form.cell),
        spans,
        base: 0,
        fault: None,
        noted: None,
    };
    let walked = walk_value(&form.ty, 0, text.seg, text.at, text.len, &mut w);
    let fault = w.fault;
    *out = w.out;
    walked.map_err(Trouble::Malformed)?;
    fault.map_or(Ok(()), |fault| Err(fault.kind.into()))
}

/// Text of any length, each byte by `put`, which writes up to eight.
fn put_chars(out: &mut Out, chars: impl Iterator<Item = u8>, put: impl Fn(&mut Out, u8)) {
    let mut chars = chars.fuse();
    loop {
        out.ensure(8 * STEP + SCALAR_ROOM);
        let before = out.at();
        for byte in chars.by_ref().take(STEP) {
            put(out, byte);
        }
        if out.at() == before {
            return;
        }
    }
}

// ------------------------------------------------------------------------------ numbers

/// An amount of `digits` fractional digits, told with `fraction` of them where the mode has a scale.
fn put_money(out: &mut Out, amount: i64, digits: u8, fraction: u8, form: DecimalHandling) {
    match form {
        DecimalHandling::Double => put_decimal_double(out, amount, u32::from(digits)),
        DecimalHandling::String => put_decimal_string(out, amount, u32::from(digits)),
        DecimalHandling::Precise if fraction == digits => put_decimal_base64(out, amount),
        DecimalHandling::Precise => {
            let ten = 10_i128.pow(u32::from(fraction.abs_diff(digits)).min(18));
            let scaled = if fraction > digits {
                i128::from(amount) * ten
            } else {
                // Half away from zero.
                let half = if amount < 0 { -ten / 2 } else { ten / 2 };
                (i128::from(amount) + half) / ten
            };
            let mut buffer = itoa::Buffer::new();
            put_text_base64(out, buffer.format(scaled).as_bytes());
        }
    }
}

/// `"P1Y2M3DT4H5M6.78S"`. Seconds are a double cut at nine digits, as Debezium has them.
fn put_iso_interval(out: &mut Out, interval: &Interval) {
    out.pad(b"\"P", 2);
    let parts = [
        (interval.years, b"Y "),
        (interval.months, b"M "),
        (interval.days, b"DT"),
        (interval.hours, b"H "),
        (interval.minutes, b"M "),
    ];
    for (value, unit) in parts {
        put_i64(out, value);
        out.pad(unit, 1 + usize::from(unit[1] != b' '));
    }
    put_plain_f64(out, interval.fraction_seconds(), 9);
    out.pad(b"S\"", 2);
}

fn put_point(out: &mut Out, x: f64, y: f64) {
    let mut wkb = [0; 21];
    wkb[..5].copy_from_slice(&[1, 1, 0, 0, 0]);
    wkb[5..13].copy_from_slice(&x.to_le_bytes());
    wkb[13..].copy_from_slice(&y.to_le_bytes());
    out.exact(b"{\"x\":");
    put_f64(out, x);
    out.exact(b",\"y\":");
    put_f64(out, y);
    out.exact(b",\"wkb\":");
    put_binary(out, &wkb, 0, Binary::Base64);
    out.exact(b",\"srid\":null}");
}

fn put_geometry(out: &mut Out, text: Text) -> Put {
    let srid = values::ewkb_srid(text.get());
    let srid = srid.ok_or_else(|| text.malformed(0, "geometry: no hexadecimal EWKB"))?;
    out.exact(b"{\"wkb\":");
    put_hex(out, text.get(), Binary::Base64);
    out.exact(b",\"srid\":");
    match srid {
        Some(srid) => put_i64(out, i64::from(srid)),
        None => out.exact(b"null"),
    }
    out.byte(b'}');
    Ok(())
}

/// Binary data from its checked hexadecimal digits.
pub(crate) fn put_hex(out: &mut Out, hex: &[u8], form: Binary) {
    let value = |digit: u8| (digit & 15) + if digit >= b'A' { 9 } else { 0 };
    let mut pairs = hex.chunks_exact(2);
    put_binary_from(out, hex.len() / 2, form, || match pairs.next() {
        Some(&[high, low]) => value(high) << 4 | value(low),
        _ => 0,
    });
}

fn put_vector(out: &mut Out, text: Text, half: bool) -> Put {
    let numbers = values::vector(text.get()).ok_or_else(|| text.malformed(0, "vector"))?;
    for (i, number) in numbers.enumerate() {
        out.ensure(SCALAR_ROOM);
        out.byte(if i == 0 { b'[' } else { b',' });
        let put = match half {
            true => text::float(number).map(|x| put_f32(out, x)),
            false => text::double(number).map(|x| put_f64(out, x)),
        };
        put.ok_or_else(|| text.malformed(0, "vector"))?;
    }
    out.ensure(1);
    out.byte(b']');
    Ok(())
}

/// `{"dimensions":5,"vector":[[1,1.0],[3,2.0]]}`: 16 bits for dimensions and indexes.
fn put_sparse_vector(out: &mut Out, text: Text) -> Put {
    let malformed = || text.malformed(0, "sparse vector");
    let vector = values::sparse_vector(text.get()).ok_or_else(malformed)?;
    let entries = vector.entries();
    let narrow = |n: i64| {
        let wide = FaultKind::Unconvertible(Untold::WideSparseVector);
        i16::try_from(n).map_err(|_| Trouble::from(wide))
    };
    let dimensions = narrow(vector.dimensions)?;
    let count = entries.clone().count();
    let (mut few, mut many) = ([(0_i16, 0.0); ENTRIES_ON_STACK], Vec::new());
    let all = match few.get_mut(..count) {
        Some(few) => few,
        None => {
            many.resize(count, (0, 0.0));
            &mut many[..]
        }
    };
    for (slot, entry) in all.iter_mut().zip(entries) {
        let (index, value) = entry.ok_or_else(malformed)?;
        *slot = (narrow(index)?, text::double(value).ok_or_else(malformed)?);
    }
    let capacity = if count == 0 { java_map::CAPACITY } else { java_map::capacity_for(count) };
    java_map::sort(all, capacity, |(index, _)| java_map::spread(i32::from(*index).cast_unsigned()));
    out.exact(b"{\"dimensions\":");
    put_i64(out, i64::from(dimensions));
    out.exact(b",\"vector\":[");
    for (i, (index, value)) in all.iter().enumerate() {
        out.ensure(SCALAR_ROOM);
        out.pad(b",[", 2);
        if i == 0 {
            out.rewind(out.at() - 2);
            out.byte(b'[');
        }
        put_i64(out, i64::from(*index));
        out.byte(b',');
        put_f64(out, *value);
        out.byte(b']');
    }
    out.ensure(SCALAR_ROOM);
    out.pad(b"]}", 2);
    Ok(())
}

// ------------------------------------------------------------------------------ hstore

/// An object in the order of a Java map: as a JSON string, or as it is.
fn put_hstore(out: &mut Out, text: Text, escaped: bool, form: HstoreHandling) -> Put {
    let pairs = Pairs::new(text.get(), escaped);
    let mut count = 0;
    for pair in pairs.clone() {
        pair.map_err(|at| text.malformed(at, "hstore"))?;
        count += 1;
    }
    let (mut few, mut many) = ([const { None }; ENTRIES_ON_STACK], Vec::new());
    let all: &mut [Option<(u32, Pair)>] = match few.get_mut(..count) {
        Some(few) => few,
        None => {
            many.resize_with(count, || None);
            &mut many
        }
    };
    for (slot, pair) in all.iter_mut().zip(pairs.flatten()) {
        *slot = Some((java_map::spread(java_map::string_hash(pair.key)), pair));
    }
    let hash = |entry: &Option<(u32, Pair)>| entry.as_ref().map_or(0, |(hash, _)| *hash);
    java_map::sort(all, java_map::CAPACITY, hash);
    // In a JSON string quotes are escaped, and what is escaped is so twice.
    let json = form == HstoreHandling::Json;
    let around: &[u8] = if json { b"\"" } else { b"" };
    let quote: &[u8] = if json { b"\\\"" } else { b"\"" };
    let put = if json { put_twice_escaped } else { put_escaped };
    out.ensure(SCALAR_ROOM);
    out.exact(around);
    out.byte(b'{');
    for (i, (_, pair)) in all.iter().flatten().enumerate() {
        out.ensure(SCALAR_ROOM);
        if i > 0 {
            out.byte(b',');
        }
        out.exact(quote);
        put_chars(out, pair.key, put);
        out.exact(quote);
        out.byte(b':');
        let Some(value) = pair.value else {
            out.pad(b"null", 4);
            continue;
        };
        out.exact(quote);
        put_chars(out, value, put);
        out.exact(quote);
    }
    out.ensure(SCALAR_ROOM);
    out.byte(b'}');
    out.exact(around);
    Ok(())
}

/// A byte of a JSON string that stands in a JSON string.
fn put_twice_escaped(out: &mut Out, byte: u8) {
    match byte {
        b'"' => out.pad(b"\\\\\\\"", 4),
        b'\\' => out.pad(b"\\\\\\\\", 4),
        0..0x20 => {
            out.byte(b'\\');
            put_escaped(out, byte);
        }
        _ => put_escaped(out, byte),
    }
}

// ------------------------------------------------------------------------------ unknown types

/// The bytes of a geometric value as the JDBC driver spells it: its numbers are Java's doubles. The
/// text is made at the cursor and gives way to its own binary form.
fn put_geometric(out: &mut Out, text: Text, form: Binary) -> Put {
    let from = out.at();
    let is_mark = |b: &u8| b"()[]{}<>,".contains(b);
    let mut rest = text.get();
    while let Some(first) = rest.first() {
        out.ensure(SCALAR_ROOM);
        if is_mark(first) {
            out.byte(*first);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let len = rest.iter().position(is_mark).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(len);
        match text::double(number) {
            Some(x) if x.is_finite() => put_f64(out, x),
            Some(_) => out.exact(number),
            None => return Err(text.malformed(text.len - rest.len(), "geometric value")),
        }
        rest = behind;
    }
    out.replace_with_binary(from, form);
    Ok(())
}

#[cfg(test)]
mod tests;
