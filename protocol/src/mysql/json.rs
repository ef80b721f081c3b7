//! MySQL's JSON: the binary form of the log (`json_binary.h`) and the server's text, both to one
//! compact text, the one Debezium streams.
//!
//! ```text
//!  document  type 1 | value
//!  object    count 2|4 | size 2|4 | (key offset 2|4, key length 2)* | (type 1, inline or offset 2|4)* | keys | values
//!  array     count 2|4 | size 2|4 | (type 1, inline or offset 2|4)* | values
//!  string    length 1–5, seven bits a byte | utf8mb4
//!  opaque    column type 1 | length 1–5 | bytes
//! ```
//! Enters: a document. Leaves: pieces of text for a [`TextSink`]. Keeps: offsets are checked against
//! their container, depth is bounded, nothing is allocated.
//!
//! The form: no spaces; keys in the stored order; integers as digits; doubles as Java prints them,
//! but the exact decimal expansion where Java would use an exponent; dates and times in quotes, a
//! zero fraction omitted, else without trailing zeros; decimals in plain digits; other opaque values
//! as base64 in quotes.
//!
//! What the server's text cannot tell: a DECIMAL and a DOUBLE of equal digits print alike in it
//! (`1.10` is a decimal; `1.5` may be either and prints the same from both); an opaque value is
//! `"base64:type15:…"` there, which becomes its base64, as a string of that very text would too; a
//! date in quotes is text already, and only its six fractional digits are trimmed when the whole
//! string has exactly the server's form of a datetime or time.

use core::fmt::Write as _;

use crate::cursor::{Cursor, WireError};
use crate::mysql::decimal;

/// Takes text piece by piece.
pub trait TextSink {
    /// Appends `text`.
    fn put(&mut self, text: &[u8]);
    /// True once it takes no more: printing then ends with an error.
    fn is_full(&self) -> bool {
        false
    }
}

impl TextSink for alloc::vec::Vec<u8> {
    fn put(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }
}

/// Containers inside containers; the server's own bound is 100.
pub(super) const DEPTH_MAX: usize = 128;

/// Prints a binary document. An empty one is the JSON null of a column that was never set.
pub fn binary_to_text<S: TextSink>(document: &[u8], sink: &mut S) -> Result<(), WireError> {
    let Some((&kind, body)) = document.split_first() else {
        sink.put(b"null");
        return Ok(());
    };
    let mut walk = Walk { depth: 0, bytes: document.len() };
    value(kind, body, &mut walk, sink)
}

/// What keeps a walk bounded. The parts of an honest document do not overlap, so that all that is
/// read adds up to its length at most; offsets that point at one part again and again, which could
/// make a few bytes print for ever, use up `bytes`.
pub(super) struct Walk {
    pub(super) depth: usize,
    pub(super) bytes: usize,
}

impl Walk {
    /// Counts bytes that are read as part of a value.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), WireError> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(WireError::Invalid { offset: 0, what: "JSON offsets" })?;
        Ok(())
    }
}

pub(super) fn value<S: TextSink>(
    kind: u8,
    body: &[u8],
    walk: &mut Walk,
    sink: &mut S,
) -> Result<(), WireError> {
    let mut c = Cursor::new(body);
    match kind {
        0x00..=0x03 if walk.depth >= DEPTH_MAX => c.invalid("JSON depth"),
        0x00..=0x03 => {
            walk.depth += 1;
            container(kind, body, walk, sink)?;
            walk.depth -= 1;
            Ok(())
        }
        0x04 => literal(c.u8()?, sink),
        0x05 => integer(i64::from(c.u16_le()?.cast_signed()), sink),
        0x06 => integer(i64::from(c.u16_le()?), sink),
        0x07 => integer(i64::from(c.u32_le()?.cast_signed()), sink),
        0x08 => integer(i64::from(c.u32_le()?), sink),
        0x09 => integer(c.u64_le()?.cast_signed(), sink),
        0x0A => {
            sink.put(itoa::Buffer::new().format(c.u64_le()?).as_bytes());
            Ok(())
        }
        0x0B => double(f64::from_bits(c.u64_le()?), sink),
        0x0C => {
            let len = length(&mut c)?;
            walk.spend(len)?;
            string(c.bytes(len)?, sink);
            Ok(())
        }
        0x0F => opaque(&mut c, walk, sink),
        _ => c.invalid("JSON value type"),
    }
}

/// An object (0, 1) or array (2, 3), element by element; odd kinds are large.
pub(super) struct Container<'a> {
    body: &'a [u8],
    keys: Cursor<'a>,
    values: Cursor<'a>,
    width: usize,
    pub(super) object: bool,
    left: usize,
}

/// One element: its key (empty in an array), the type of its value and where that starts.
pub(super) struct Element<'a> {
    pub(super) key: &'a [u8],
    pub(super) kind: u8,
    pub(super) body: &'a [u8],
    /// Bytes of its entries in the tables, and of its key.
    pub(super) bytes: usize,
}

impl<'a> Container<'a> {
    pub(super) fn open(kind: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let (large, object) = (kind & 1 == 1, kind < 2);
        let width = if large { 4 } else { 2 };
        let mut head = Cursor::new(body);
        let count = head.uint_le(width)? as usize;
        let size = head.uint_le(width)? as usize;
        let Some(body) = body.get(..size) else { return head.invalid("JSON container size") };
        // Both tables must lie inside: so `count` is bounded by the bytes that are there.
        let keys_len = if object { count.checked_mul(width + 2) } else { Some(0) };
        let tables = keys_len.and_then(|keys| keys.checked_add(count.checked_mul(1 + width)?));
        let inside = tables.is_some_and(|tables| tables <= body.len().saturating_sub(2 * width));
        if !inside {
            return head.invalid("JSON element count");
        }
        let mut keys = Cursor::new(body);
        keys.skip(2 * width)?;
        let mut values = keys;
        values.skip(keys_len.unwrap_or(0))?;
        Ok(Self { body, keys, values, width, object, left: count })
    }

    /// Elements that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next element; `None`: no more.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, WireError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let (body, width) = (self.body, self.width);
        let (mut key, mut bytes) = (&[][..], 1 + width);
        if self.object {
            let at = self.keys.uint_le(width)? as usize;
            let len = usize::from(self.keys.u16_le()?);
            let Some(found) = body.get(at..).and_then(|rest| rest.get(..len)) else {
                return self.keys.invalid("JSON key offset");
            };
            (key, bytes) = (found, bytes + width + 2 + len);
        }
        let kind = self.values.u8()?;
        let slot = self.values.bytes(width)?;
        let inline = matches!(kind, 0x04..=0x06) || width == 4 && matches!(kind, 0x07 | 0x08);
        if inline {
            return Ok(Some(Element { key, kind, body: slot, bytes }));
        }
        let at = Cursor::new(slot).uint_le(width)? as usize;
        let Some(body) = body.get(at..).filter(|_| at >= 2 * width) else {
            return self.values.invalid("JSON value offset");
        };
        Ok(Some(Element { key, kind, body, bytes }))
    }
}

fn container<S: TextSink>(
    kind: u8,
    body: &[u8],
    walk: &mut Walk,
    sink: &mut S,
) -> Result<(), WireError> {
    let mut elements = Container::open(kind, body)?;
    let object = elements.object;
    sink.put(if object { b"{" } else { b"[" });
    let mut first = true;
    while let Some(element) = elements.next()? {
        if sink.is_full() {
            return Err(WireError::Invalid { offset: 0, what: "JSON document size" });
        }
        if !core::mem::take(&mut first) {
            sink.put(b",");
        }
        walk.spend(element.bytes)?;
        if object {
            string(element.key, sink);
            sink.put(b":");
        }
        value(element.kind, element.body, walk, sink)?;
    }
    sink.put(if object { b"}" } else { b"]" });
    Ok(())
}

fn literal<S: TextSink>(code: u8, sink: &mut S) -> Result<(), WireError> {
    sink.put(match code {
        0 => b"null",
        1 => b"true",
        2 => b"false",
        _ => return Err(WireError::Invalid { offset: 0, what: "JSON literal" }),
    });
    Ok(())
}

fn integer<S: TextSink>(value: i64, sink: &mut S) -> Result<(), WireError> {
    sink.put(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

/// A length of one to five bytes, seven bits each, the lowest first.
fn length(c: &mut Cursor) -> Result<usize, WireError> {
    let mut len = 0u64;
    for shift in 0..5 {
        let byte = c.u8()?;
        len |= u64::from(byte & 0x7F) << (7 * shift);
        if byte & 0x80 == 0 {
            return usize::try_from(len)
                .map_err(|_| WireError::Invalid { offset: c.offset(), what: "JSON length" });
        }
    }
    c.invalid("JSON length")
}

/// A string with JSON's escapes.
pub(super) fn string<S: TextSink>(text: &[u8], sink: &mut S) {
    sink.put(b"\"");
    for chunk in text.utf8_chunks() {
        escaped(chunk.valid().as_bytes(), sink);
        if !chunk.invalid().is_empty() {
            sink.put("\u{FFFD}".as_bytes());
        }
    }
    sink.put(b"\"");
}

fn escaped<S: TextSink>(text: &[u8], sink: &mut S) {
    let mut clean = 0;
    for (i, &byte) in text.iter().enumerate() {
        let hex = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
        let mut long = *b"\\u0000";
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            0x0C => b"\\f",
            b'\r' => b"\\r",
            0..0x20 => {
                (long[4], long[5]) = (hex(byte >> 4), hex(byte));
                &long
            }
            _ => continue,
        };
        sink.put(&text[clean..i]);
        sink.put(escape);
        clean = i + 1;
    }
    sink.put(&text[clean..]);
}

/// A small buffer to format into.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const N: usize> core::fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.len + text.len();
        let slot = self.bytes.get_mut(self.len..end).ok_or(core::fmt::Error)?;
        slot.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn double<S: TextSink>(x: f64, sink: &mut S) -> Result<(), WireError> {
    if !x.is_finite() {
        return Err(WireError::Invalid { offset: 0, what: "JSON double" });
    }
    let magnitude = x.abs();
    // Between 10^-3 and 10^7 Java prints the shortest digits; beyond, where it would use an
    // exponent, the exact value is printed, in up to 1,100 digits.
    let mut text = Text::<1100>::new();
    let plain = magnitude == 0.0 || (1e-3..1e7).contains(&magnitude);
    let written =
        if plain { write!(text, "{x:?}") } else { write!(text, "{x:.*}", exact_digits(x)) };
    written.map_err(|_| WireError::Invalid { offset: 0, what: "JSON double" })?;
    sink.put(text.get());
    Ok(())
}

/// Fractional digits of a double's exact decimal expansion: as many as it has binary ones.
fn exact_digits(x: f64) -> usize {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 0x7FF).cast_signed();
    let mantissa = bits & ((1 << 52) - 1);
    let (mantissa, exponent) =
        if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) };
    let exponent = exponent + i64::from(mantissa.trailing_zeros());
    usize::try_from(-exponent).unwrap_or(0)
}

/// An opaque value: decimals, dates and times have a form of their own.
fn opaque<S: TextSink>(c: &mut Cursor, walk: &mut Walk, sink: &mut S) -> Result<(), WireError> {
    let kind = c.u8()?;
    let len = length(c)?;
    let body = c.bytes(len)?;
    walk.spend(len)?;
    match kind {
        // MYSQL_TYPE_DECIMAL, NEWDECIMAL: precision, scale, the binary form.
        0 | 246 => {
            let [precision, scale, bytes @ ..] = body else { return c.invalid("JSON decimal") };
            let mut text = [0; decimal::TEXT_BYTES_MAX];
            let len = decimal::to_text(bytes, u16::from(*precision), u16::from(*scale), &mut text);
            let Some(text) = len.and_then(|len| text.get(..len)) else {
                return c.invalid("JSON decimal");
            };
            sink.put(text);
            Ok(())
        }
        // DATE; TIME, TIME2; DATETIME, DATETIME2, TIMESTAMP, TIMESTAMP2: eight bytes,
        // packed << 24 | microseconds.
        10 | 11 | 19 | 12 | 18 | 7 | 17 => {
            let packed = Cursor::new(body).u64_le()?.cast_signed();
            moment(kind, packed, sink);
            Ok(())
        }
        _ => {
            sink.put(b"\"");
            base64(body, sink);
            sink.put(b"\"");
            Ok(())
        }
    }
}

fn moment<S: TextSink>(kind: u8, packed: i64, sink: &mut S) {
    let (whole, micros) = (packed.unsigned_abs() >> 24, packed.unsigned_abs() & 0xFF_FFFF);
    let (minute, second) = (whole >> 6 & 63, whole & 63);
    let (month, day) = (whole >> 22 & 0x1_FFFF, whole >> 17 & 31);
    let (year, month) = (month / 13, month % 13);
    let sign = if packed < 0 { "-" } else { "" };
    let mut text = Text::<64>::new();
    // Sixty-four bytes hold any of these: the fields are bounded by their bits.
    let _ = match kind {
        10 => write!(text, "\"{year:04}-{month:02}-{day:02}"),
        11 | 19 => write!(text, "\"{sign}{:02}:{minute:02}:{second:02}", whole >> 12 & 0x3FF),
        _ => write!(
            text,
            "\"{year:04}-{month:02}-{day:02} {:02}:{minute:02}:{second:02}",
            whole >> 12 & 31
        ),
    };
    if kind != 10 && micros > 0 {
        let _ = write!(text, ".{micros:06}");
        while text.get().ends_with(b"0") {
            text.len -= 1;
        }
    }
    sink.put(text.get());
    sink.put(b"\"");
}

fn base64<S: TextSink>(data: &[u8], sink: &mut S) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in data.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |shift: u32| LETTERS[(bits >> shift & 63) as usize];
        let mut text = [letter(18), letter(12), letter(6), letter(0)];
        if three.len() < 3 {
            text[3] = b'=';
        }
        if three.len() < 2 {
            text[2] = b'=';
        }
        sink.put(&text);
    }
}

/// Brings the server's text of a document (`{"a": 1, "b": [1, 2]}`) to the form of
/// [`binary_to_text`].
pub fn normalize_text<S: TextSink>(document: &[u8], sink: &mut S) -> Result<(), WireError> {
    let mut at = 0;
    while let Some(&byte) = document.get(at) {
        match byte {
            b'"' => {
                let end = string_end(document, at)?;
                normalized_string(&document[at..end], sink);
                at = end;
            }
            b' ' | b'\n' | b'\t' | b'\r' => at += 1,
            b'-' | b'0'..=b'9' => {
                let rest = &document[at..];
                let is_number = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                let len = rest.iter().position(|b| !is_number(b)).unwrap_or(rest.len());
                normalized_number(&rest[..len], at, sink)?;
                at += len;
            }
            _ => {
                sink.put(&document[at..=at]);
                at += 1;
            }
        }
    }
    Ok(())
}

/// The place behind the string that starts at `at`.
fn string_end(document: &[u8], at: usize) -> Result<usize, WireError> {
    let mut end = at + 1;
    while let Some(&byte) = document.get(end) {
        end += match byte {
            b'"' => return Ok(end + 1),
            b'\\' => 2,
            _ => 1,
        };
    }
    Err(WireError::Truncated { offset: document.len(), wanted: 1 })
}

/// A string of the server's text, quotes included: its escapes are JSON's, except that `\u00xx` has
/// lower-case digits; dates lose trailing zeros, opaque values their prefix.
fn normalized_string<S: TextSink>(text: &[u8], sink: &mut S) {
    let inner = &text[1..text.len() - 1];
    if let Some(rest) = inner.strip_prefix(b"base64:type") {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if let (true, Some(data)) = (digits > 0, rest[digits..].strip_prefix(b":")) {
            sink.put(b"\"");
            sink.put(data);
            sink.put(b"\"");
            return;
        }
    }
    if is_moment(inner) {
        let zeros = inner.iter().rev().take_while(|&&b| b == b'0').count().min(6);
        let kept = inner.len() - if zeros == 6 { 7 } else { zeros };
        sink.put(b"\"");
        sink.put(&inner[..kept]);
        sink.put(b"\"");
        return;
    }
    let mut at = 0;
    while let Some(place) = text[at..].windows(6).position(|w| w.starts_with(b"\\u00")) {
        let place = at + place;
        // An escaped backslash before `u00` is no escape of ours.
        let slashes = text[..place].iter().rev().take_while(|&&b| b == b'\\').count();
        let end = place + 6;
        sink.put(&text[at..place]);
        if slashes % 2 == 0 {
            let mut upper = [0; 6];
            upper.copy_from_slice(&text[place..end]);
            upper[4..].make_ascii_uppercase();
            sink.put(&upper);
        } else {
            sink.put(&text[place..end]);
        }
        at = end;
    }
    sink.put(&text[at..]);
}

/// Exactly `YYYY-MM-DD HH:MM:SS.ffffff` or `[-]HH[H]:MM:SS.ffffff`.
fn is_moment(text: &[u8]) -> bool {
    let shaped = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text
                .iter()
                .zip(shape)
                .all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let time = text.strip_prefix(b"-").unwrap_or(text);
    shaped(text, b"0000-00-00 00:00:00.000000")
        || shaped(time, b"00:00:00.000000")
        || shaped(time, b"000:00:00.000000")
}

/// Integers and decimals stand as they are; what the server prints with an exponent is a double.
fn normalized_number<S: TextSink>(text: &[u8], at: usize, sink: &mut S) -> Result<(), WireError> {
    let exponent = text.iter().any(|b| matches!(b, b'e' | b'E'));
    let fraction = text.contains(&b'.');
    let parsed = core::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let Some(x) = parsed else {
        return Err(WireError::Invalid { offset: at, what: "JSON number" });
    };
    if exponent {
        return double(x, sink);
    }
    // A fraction beyond Java's plain range came from a double if the double prints these digits.
    let plain = x == 0.0 || (1e-3..1e7).contains(&x.abs());
    if fraction && !plain {
        let mut short = Text::<400>::new();
        if write!(short, "{x:?}").is_ok() && short.get() == text {
            return double(x, sink);
        }
    }
    sink.put(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn normalized(text: &str) -> String {
        let mut out = Vec::new();
        normalize_text(text.as_bytes(), &mut out).expect("JSON");
        String::from_utf8(out).expect("UTF-8")
    }

    fn printed(document: &[u8]) -> Result<String, WireError> {
        let mut out = Vec::new();
        binary_to_text(document, &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn scalars_of_the_binary_form() {
        // Goal: every scalar type. Method: hand-made documents by json_binary.h.
        assert_eq!(printed(b"").unwrap(), "null");
        assert_eq!(printed(&[4, 1]).unwrap(), "true");
        assert_eq!(printed(&[5, 0xFF, 0xFF]).unwrap(), "-1");
        assert_eq!(printed(&[6, 0xFF, 0xFF]).unwrap(), "65535");
        assert_eq!(printed(&[9, 0, 0, 0, 0, 0, 0, 0, 0x80]).unwrap(), "-9223372036854775808");
        assert_eq!(
            printed(&[10, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap(),
            "18446744073709551615"
        );
        assert_eq!(printed(b"\x0c\x03a\"\x01").unwrap(), "\"a\\\"\\u0001\"");
        let double = |x: f64| {
            let mut document = alloc::vec![0x0B];
            document.extend(x.to_bits().to_le_bytes());
            printed(&document).unwrap()
        };
        assert_eq!(double(1.0), "1.0");
        assert_eq!(double(-0.0), "-0.0");
        assert_eq!(double(1e7), "10000000");
        assert_eq!(double(1.5e300).len(), 301);
        assert_eq!(double(2f64.powi(-10)), "9.765625E-4".replace("9.765625E-4", "0.0009765625"));
        assert!(double(f64::from_bits(1)).ends_with("625"));
    }

    #[test]
    fn decimals_whose_whole_part_is_counted_in_groups() {
        // Goal: 65 digits with the precision 66 that the server writes. Method: as captured from
        // MySQL 9.7, CAST('999….1234…' AS DECIMAL(65,30)) in an array.
        let document = b"\x02\x01\x00\x29\x00\x0f\x07\x00\xf6\x20\x42\x1e\x85\xf5\xe0\xff\x3b\x9a\xc9\xff\
            \x3b\x9a\xc9\xff\x3b\x9a\xc9\xff\x07\x5b\xcd\x15\x00\xbc\x61\x4e\x35\xb7\xbf\x87\x03\x7a";
        assert_eq!(
            printed(document).unwrap(),
            "[99999999999999999999999999999999999.123456789012345678901234567890]"
        );
    }

    #[test]
    fn containers_are_checked_against_their_size() {
        // Goal: named malformed documents are errors. Method: break one field of [1,{"a":null}].
        let good = [
            2u8, 2, 0, 24, 0, // array of 2, 24 bytes
            5, 1, 0, // int16 1
            0, 10, 0, // small object at 10
            1, 0, 12, 0, 11, 0, 1, 0, 4, 0, 0, b'a', 0, 0, // {"a":null}
        ];
        assert_eq!(printed(&good).unwrap(), "[1,{\"a\":null}]");
        for (at, value) in [(1, 200), (3, 99), (9, 200), (11, 77), (15, 90), (17, 9), (5, 0x0E)] {
            let mut bad = good;
            bad[at] = value;
            assert!(printed(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn offsets_that_overlap_cannot_make_a_document_explode() {
        // Goal: output bounded by input. Method: 40 arrays, each pointing at the next one 8 times,
        // would print 8^40 elements.
        let mut document = Vec::new();
        for level in (0..40u16).rev() {
            let mut array = Vec::from([8u8, 0]);
            array.extend((28 + 28 * (39 - level)).to_le_bytes());
            for _ in 0..8 {
                array.push(if level == 39 { 4 } else { 2 });
                array.extend(if level == 39 { [0, 0] } else { 28u16.to_le_bytes() });
            }
            array.extend(&document);
            document = array;
        }
        document.insert(0, 2);
        assert!(printed(&document).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        // Goal: no stack overflow. Method: an array that contains itself.
        let cycle = [2u8, 1, 0, 7, 0, 2, 4, 0];
        assert!(printed(&cycle).is_err());
    }

    #[test]
    fn the_servers_text_becomes_the_logs_form() {
        // Goal: invariant 8 for JSON. Method: server text and the form it must take.
        for (text, wanted) in [
            (
                r#"{"a": 1, "b": [1, 2, {"c d": "x: y, z"}]}"#,
                r#"{"a":1,"b":[1,2,{"c d":"x: y, z"}]}"#,
            ),
            (
                r#"[1.10, 1.5, 1e20, 1e-7, 10000000.0]"#,
                "[1.10,1.5,100000000000000000000,0.0000000999999999999999954748111825886258685613938723690807819366455078125,10000000]",
            ),
            (r#""2015-01-02 03:04:05.120000""#, r#""2015-01-02 03:04:05.12""#),
            (r#""03:04:05.000000""#, r#""03:04:05""#),
            (r#""2015-01-02 03:04:05""#, r#""2015-01-02 03:04:05""#),
            (r#""base64:type15:AQI=""#, r#""AQI=""#),
            (r#""a\u001fb\\u001f""#, r#""a\u001Fb\\u001f""#),
            (r#"[true, false, null, "", {}, []]"#, r#"[true,false,null,"",{},[]]"#),
        ] {
            assert_eq!(normalized(text), wanted);
        }
        assert!(normalize_text(b"\"abc", &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(document: Vec<u8>) {
            // Goal: hostile documents end. Method: anything, as binary and as text.
            let _ = binary_to_text(&document, &mut Vec::new());
            let _ = normalize_text(&document, &mut Vec::new());
        }
    }
}
