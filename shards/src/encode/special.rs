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

use super::cells::{CellWriter, FaultKind, Spans};
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
            Some(_) => return Err(FaultKind::Unconvertible("an infinite interval").into()),
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
        return Err(FaultKind::Unconvertible("an array of bits").into());
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
        let inner = FaultKind::Unconvertible("an array in an array");
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
                let what = "NULL in an array of a type whose elements cannot be null";
                return Err(FaultKind::Unconvertible(what).into());
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
        let wide = FaultKind::Unconvertible("a sparse vector of more than 32767 dimensions");
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
        _ => out.byte(byte),
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
mod tests {
    use super::*;
    use crate::encode::options::{BinaryHandling, Connector};
    use crate::encode::plan::element_cell;

    /// What a type's text becomes; what was noted is appended.
    fn write(ty: &ColumnType, text: &str, options: &EncodeOptions) -> String {
        let special = Special::of(ty, options, |ty| element_cell(ty, options)).expect("special");
        let mut out = Out::new(Vec::new(), 0, 256);
        let (mut spans, mut noted) = ([0; 128], None);
        let mut seg = b"..".to_vec();
        seg.extend(text.as_bytes());
        let place = Text { seg: &seg, at: 2, len: text.len() };
        match put(&mut out, &special, place, &mut spans, &mut noted) {
            Err(Trouble::Fault(kind)) => return kind.to_string(),
            Err(Trouble::Malformed(error)) => return format!("{error:?}"),
            Ok(()) => {}
        }
        let (buf, end) = out.finish();
        let text = String::from_utf8(buf[..end].to_vec()).expect("UTF-8");
        noted.map_or(text.clone(), |kind| format!("{text} {kind}"))
    }

    fn options() -> EncodeOptions {
        EncodeOptions::new("p", Connector::Postgres)
    }

    fn array(element: ColumnType, nulls: bool) -> ColumnType {
        let placeholder = penstock_protocol::schema::ArrayPlaceholder::None;
        ColumnType::Array { element: Box::new(element), delimiter: b',', nulls, placeholder }
    }

    const TEXT: ColumnType =
        ColumnType::Text { length_bytes: 0, charset: penstock_protocol::schema::Charset::Utf8 };

    #[test]
    fn money_in_every_mode() {
        // Goal: money_fraction_digits and decimal_handling_mode. Method: base64 by hand.
        let write = |text: &str, digits, fraction, form| {
            let options =
                EncodeOptions { money_fraction_digits: fraction, decimal: form, ..options() };
            write(&ColumnType::Money { digits }, text, &options)
        };
        let precise =
            |text, digits, fraction| write(text, digits, fraction, DecimalHandling::Precise);
        assert_eq!(precise("$1,234.11", 2, 2), "\"AeIT\""); // 123411
        assert_eq!(precise("-$0.05", 2, 2), "\"+w==\"");
        assert_eq!(precise("$0.05", 2, 1), "\"AQ==\""); // half up
        assert_eq!(precise("-$0.05", 2, 1), "\"/w==\"");
        assert_eq!(precise("$0.04", 2, 1), "\"AA==\"");
        assert_eq!(precise("$1.00", 2, 4), "\"JxA=\""); // 10000
        assert_eq!(precise("$92,233,720,368,547,758.07", 2, 18), "\"EcN5N+B////ceQ2QPwAA\"");
        assert_eq!(precise("¥7", 0, 2), "\"Arw=\""); // 700
        assert_eq!(write("$1,234.10", 2, 2, DecimalHandling::Double), "1234.1");
        assert_eq!(write("-$1,234.10", 2, 4, DecimalHandling::String), "\"-1234.10\"");
    }

    #[test]
    fn intervals_in_both_modes() {
        // Goal: Debezium's numbers and texts. Method: values of its own code for these texts.
        let iso = EncodeOptions { interval: IntervalHandling::String, ..options() };
        for (text, micros, string) in [
            ("1 year 2 mons 3 days 04:05:06.78", "37091106780000", "P1Y2M3DT4H5M6.78S"),
            ("-1 years -2 mons +3 days -04:05:06.78", "-36572706780000", "P-1Y-2M3DT-4H-5M-6.78S"),
            ("00:00:00", "0", "P0Y0M0DT0H0M0S"),
            ("-00:00:00.000001", "-1", "P0Y0M0DT0H0M-0.000001S"),
            ("00:00:59.000001", "59000001", "P0Y0M0DT0H0M59.000001S"),
            ("25:00:10", "90010000000", "P0Y0M0DT25H0M10S"),
            // 1 + 0.003691 is no 1.003691 in doubles.
            ("00:00:01.003691", "1003690", "P0Y0M0DT0H0M1.003690999S"),
        ] {
            assert_eq!(write(&ColumnType::Interval, text, &options()), micros, "{text}");
            assert_eq!(write(&ColumnType::Interval, text, &iso), format!("\"{string}\""));
        }
        let infinite = write(&ColumnType::Interval, "infinity", &options());
        assert!(infinite.contains("an infinite interval"), "{infinite}");
    }

    #[test]
    fn hstore_in_the_order_of_a_java_map() {
        // Goal: both modes, escapes, NULL. Method: what Java's HashMap and Jackson print.
        let map = EncodeOptions { hstore: HstoreHandling::Map, ..options() };
        let text = r#""z"=>"c", "é"=>"b", "key1"=>"val1", "key2"=>NULL, "key10"=>"a\"\\	""#;
        assert_eq!(
            write(&ColumnType::Hstore, text, &map),
            r#"{"key1":"val1","key2":null,"é":"b","z":"c","key10":"a\"\\\t"}"#
        );
        assert_eq!(
            write(&ColumnType::Hstore, text, &options()),
            r#""{\"key1\":\"val1\",\"key2\":null,\"é\":\"b\",\"z\":\"c\",\"key10\":\"a\\\"\\\\\\t\"}""#
        );
        assert_eq!(write(&ColumnType::Hstore, "", &options()), "\"{}\"");
        assert_eq!(write(&ColumnType::Hstore, "", &map), "{}");
        let array = array(ColumnType::Hstore, true);
        let text = r#"{"\"a\"=>\"x\\\"y\"",NULL,""}"#;
        assert_eq!(write(&array, text, &map), r#"[{"a":"x\"y"},null,{}]"#);
        assert_eq!(write(&array, text, &options()), r#"["{\"a\":\"x\\\"y\"}",null,"{}"]"#);
        let many: Vec<String> = (0..200).map(|i| format!("\"k{i}\"=>\"{i}\"")).collect();
        let text = write(&ColumnType::Hstore, &many.join(", "), &map);
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(parsed.as_object().map(|o| o.len()), Some(200));
    }

    #[test]
    fn arrays_of_every_kind() {
        // Goal: elements as their types' cells. Method: texts of a server, exact JSON.
        let int = ColumnType::Int { bits: 32, unsigned: false };
        let cases = [
            (array(int.clone(), true), "{1,NULL,-3}", "[1,null,-3]"),
            (array(int.clone(), true), "{}", "[]"),
            (array(int, true), "[5:6]={1,2}", "[1,2]"),
            (
                array(TEXT, true),
                r#"{a,"NULL","q\"\\ö","",NULL}"#,
                r#"["a","NULL","q\"\\ö","",null]"#,
            ),
            (array(ColumnType::Bool, true), "{t,f}", "[true,false]"),
            (array(ColumnType::Double, true), "{1,NaN,1e+20}", "[1.0,\"NaN\",1.0E20]"),
            (
                array(ColumnType::Decimal { precision: 10, scale: 2 }, true),
                "{1.10,-0.01}",
                "[\"bg==\",\"/w==\"]",
            ),
            (
                array(ColumnType::DecimalVariable, true),
                "{1.10}",
                "[{\"scale\":1,\"value\":\"Cw==\"}]",
            ),
            (array(ColumnType::Date, true), "{2020-01-01,infinity}", "[18262,-2147472692]"),
            (
                array(ColumnType::DateTime { digits: 6 }, true),
                "{\"1970-01-01 00:00:01.5\"}",
                "[1500000]",
            ),
            (
                array(ColumnType::Timestamp { digits: 3 }, true),
                "{\"2020-04-01 11:51:02.1+00\"}",
                "[\"2020-04-01T11:51:02.100Z\"]",
            ),
            (
                array(ColumnType::Bytes { length_bytes: 0, fixed: None }, true),
                r#"{"\\x00ff","\\x"}"#,
                "[\"AP8=\",\"\"]",
            ),
            (
                array(ColumnType::Json { length_bytes: 0 }, true),
                r#"{"{\"a\": \"b\\\"\"}",1}"#,
                r#"["{\"a\": \"b\\\"\"}","1"]"#,
            ),
            (
                array(ColumnType::PgVector { half: true }, false),
                "{\"[1,2.5]\",[3]}",
                "[[1.0,2.5],[3.0]]",
            ),
        ];
        for (ty, text, wanted) in cases {
            assert_eq!(write(&ty, text, &options()), wanted, "{ty:?}");
        }
    }

    #[test]
    fn arrays_that_records_cannot_tell() {
        // Goal: inner arrays are null and noted, or fail; NULL where no element may be null, NaN in
        // precise mode fail. Method: both modes.
        let int = || ColumnType::Int { bits: 32, unsigned: false };
        let failing = EncodeOptions { converting_failure: ConvertingFailure::Fail, ..options() };
        let inner = "holds an array in an array, which a record cannot tell";
        let text = "{{1,2},{3,4}}";
        assert_eq!(write(&array(int(), true), text, &options()), format!("[null,null] {inner}"));
        assert_eq!(write(&array(int(), true), text, &failing), inner);
        assert_eq!(write(&array(int(), false), text, &options()), inner);
        assert!(write(&array(TEXT, false), "{a,NULL}", &options()).contains("cannot be null"));
        let numeric = array(ColumnType::DecimalVariable, true);
        assert!(write(&numeric, "{1,NaN}", &options()).contains("NaN"));
        let strings = EncodeOptions { decimal: DecimalHandling::String, ..options() };
        assert_eq!(write(&numeric, "{1,NaN}", &strings), "[\"1\",\"NAN\"]");
        let bits = array(ColumnType::Bit { bits: 3 }, true);
        assert!(write(&bits, "{101}", &options()).contains("an array of bits"));
    }

    #[test]
    fn geometry_and_vectors() {
        // Goal: Debezium's structs. Method: its documented examples.
        let p = |ty: ColumnType, text: &str| write(&ty, text, &options());
        assert_eq!(
            p(ColumnType::PgPoint, "(1,1)"),
            "{\"x\":1.0,\"y\":1.0,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAPA/\",\"srid\":null}"
        );
        let ewkb = "0101000020730C00001C7C613255DE6540787AA52C435C42C0";
        assert_eq!(
            p(ColumnType::PgGeometry { geography: false }, ewkb),
            "{\"wkb\":\"AQEAACBzDAAAHHxhMlXeZUB4eqUsQ1xCwA==\",\"srid\":3187}"
        );
        assert_eq!(
            p(ColumnType::PgGeometry { geography: true }, "010700000000000000"),
            "{\"wkb\":\"AQcAAAAAAAAA\",\"srid\":null}"
        );
        assert_eq!(p(ColumnType::PgVector { half: false }, "[1,0.1,-1e-05]"), "[1.0,0.1,-1.0E-5]");
        assert_eq!(
            p(ColumnType::SparseVector, "{1:1,3:2}/5"),
            "{\"dimensions\":5,\"vector\":[[1,1.0],[3,2.0]]}"
        );
        assert_eq!(
            p(ColumnType::SparseVector, "{4:1,5:2,6:3,9:4}/10"),
            "{\"dimensions\":10,\"vector\":[[9,4.0],[4,1.0],[5,2.0],[6,3.0]]}"
        );
        assert_eq!(p(ColumnType::SparseVector, "{}/3"), "{\"dimensions\":3,\"vector\":[]}");
        assert!(p(ColumnType::SparseVector, "{}/40000").contains("32767"));
    }

    #[test]
    fn bytes_of_unknown_types() {
        // Goal: the text's bytes by binary mode; geometric ones as the JDBC driver spells them.
        // Method: Debezium's own test values, base64 and hex.
        let circle = ColumnType::Unknown { name: "circle".into(), form: UnknownForm::Geometric };
        let form = |binary, ty: &ColumnType, text: &str| {
            write(ty, text, &EncodeOptions { binary, ..options() })
        };
        let text = "<(10,20),10>";
        assert_eq!(form(BinaryHandling::Bytes, &circle, text), "\"PCgxMC4wLDIwLjApLDEwLjA+\"");
        assert_eq!(
            form(BinaryHandling::Base64UrlSafe, &circle, text),
            "\"PCgxMC4wLDIwLjApLDEwLjA-\""
        );
        let hex = "\"3c2831302e302c32302e30292c31302e303e\"";
        assert_eq!(form(BinaryHandling::Hex, &circle, text), hex);
        let path = format!("[{}]", vec!["(0.5,1e-30)"; 500].join(","));
        let long = form(BinaryHandling::Hex, &circle, &path);
        assert_eq!(long.len(), 2 + 2 * (2 + 500 * "(0.5,1.0E-30)".len() + 499));
        assert_eq!(form(BinaryHandling::Hex, &circle, "(NaN,-Infinity)").len(), 2 + 30);
        let other = ColumnType::Unknown { name: "pg_lsn".into(), form: UnknownForm::Text };
        assert_eq!(form(BinaryHandling::Hex, &other, "0/1A"), "\"302f3141\"");
        let array = array(other, false);
        assert_eq!(form(BinaryHandling::Bytes, &array, r#"{a,"q\""}"#), "[\"YQ==\",\"cSI=\"]");
    }

    #[test]
    fn malformed_texts_are_errors_at_their_offset() {
        // Goal: every type refuses what its server does not write. Method: one such text a type.
        let int = || ColumnType::Int { bits: 32, unsigned: false };
        let numeric = ColumnType::Decimal { precision: 10, scale: 2 };
        for (ty, text, at) in [
            (ColumnType::Money { digits: 2 }, "x", 2),
            (ColumnType::Interval, "1 fortnight", 2),
            (ColumnType::Hstore, "\"a\"=>1", 7),
            (ColumnType::PgPoint, "(1)", 2),
            (ColumnType::PgGeometry { geography: false }, "01", 2),
            (ColumnType::PgVector { half: false }, "[1,x]", 2),
            (ColumnType::SparseVector, "{1}/2", 2),
            (array(int(), true), "{1,x}", 5),
            (array(int(), true), "{1,\"2\\0\"}", 6),
            (array(int(), true), "{1,", 5),
            (array(numeric, true), "{1.1}", 3),
            (array(ColumnType::Hstore, true), "{x}", 3),
        ] {
            let error = write(&ty, text, &options());
            assert!(error.contains(&format!("offset: {at},")), "{ty:?}: {error}");
        }
    }
}
