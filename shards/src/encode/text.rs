//! The output cursor of the row path, and text in it: JSON strings, base64, hex.
//!
//! Enters: cells as spans of a segment. Leaves: JSON text at the end of a batch's arena.
//! Keeps: the cursor lives in registers (nothing that is not inlined takes its address, see
//! [`Out::cold`]); text is written with a constant size and advanced by its length; room is asked
//! for once a row and once per cell of variable length, never per write. Escapes are those of
//! Debezium's converter (Jackson): `"` `\` `\b\t\n\f\r`, other bytes < 0x20 as `\u00XX`, characters
//! beyond U+FFFF as the two escapes of their surrogates, all else raw UTF-8.

use penstock_protocol::mysql::charset;
use penstock_protocol::schema::Charset;

/// Bytes that one `pad` may write past what it keeps.
pub(crate) const OVERRUN: usize = 64;
/// A text cell is escaped in steps of this many bytes, so that room for the worst case stays small.
const STEP: usize = 1024;
/// The arena of one batch never grows beyond this; a row that wants more is Definite.
pub(crate) const ARENA_BYTES_MAX: usize = 2 << 30;

/// Where the text being written ends: `buf[..at]` counts, `buf[at..]` is room.
///
/// `margin` is the room that a row's cells of constant size need altogether; whoever writes a cell
/// of variable length asks with [`Out::ensure`] for its own worst case on top of it.
#[derive(Default)]
pub(crate) struct Out {
    buf: Vec<u8>,
    at: usize,
    margin: usize,
}

impl Out {
    /// Writes from `at` on, keeping `margin` bytes of room at all times.
    pub fn new(buf: Vec<u8>, at: usize, margin: usize) -> Self {
        let mut out = Self { buf, at, margin };
        out.ensure(0);
        out
    }

    /// Writes into a buffer of its own, for plans: one that must grow grows to a whole arena, which
    /// costs more than everything else that a plan does.
    pub fn small(room: usize) -> Self {
        Self::new(vec![0; room + 2 * OVERRUN], 0, OVERRUN)
    }

    /// The buffer and where its text ends.
    pub fn finish(self) -> (Vec<u8>, usize) {
        (self.buf, self.at)
    }

    /// Where the text ends.
    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back to an earlier end.
    #[inline(always)]
    pub fn rewind(&mut self, at: usize) {
        debug_assert!(at <= self.at);
        self.at = at;
    }

    /// Text already written.
    #[inline(always)]
    pub fn written(&self, from: usize, to: usize) -> &[u8] {
        &self.buf[from..to]
    }

    /// Makes room for `len` bytes beside the margin.
    #[inline(always)]
    pub fn ensure(&mut self, len: usize) {
        if self.buf.len() - self.at < len + self.margin + OVERRUN {
            self.cold(|out| out.grow(len));
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let wanted = self.at + len + self.margin + OVERRUN;
        let roomy = wanted + wanted / 4;
        self.buf.reserve_exact(roomy - self.buf.len());
        self.buf.resize(roomy, 0);
    }

    /// Writes `N` bytes and keeps `len` of them: a constant size is one or two vector moves.
    #[inline(always)]
    pub fn pad<const N: usize>(&mut self, text: &[u8; N], len: usize) {
        self.buf[self.at..self.at + N].copy_from_slice(text);
        self.at += len;
    }

    /// Writes text of any length; there must be room.
    #[inline(always)]
    pub fn exact(&mut self, text: &[u8]) {
        self.buf[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
    }

    /// Writes one byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.buf[self.at] = byte;
        self.at += 1;
    }

    /// Copies text that was already written: a key column, a position that stands twice.
    #[inline(always)]
    pub fn again(&mut self, at: usize, len: usize) {
        if len <= 32 && at + 32 <= self.buf.len() {
            let mut text = [0u8; 32];
            text.copy_from_slice(&self.buf[at..at + 32]);
            return self.pad(&text, len);
        }
        self.ensure(len);
        self.buf.copy_within(at..at + len, self.at);
        self.at += len;
    }

    /// Puts the binary form of the text from `from` on in the text's place.
    #[cold]
    pub fn replace_with_binary(&mut self, from: usize, form: Binary) {
        let text = self.at;
        let mut read = from;
        self.ensure(2 + 2 * (text - from) + 4);
        self.byte(b'"');
        while read < text {
            // Whole threes, so that only the last piece is padded.
            let mut piece = [0; 48];
            let len = (text - read).min(piece.len());
            piece[..len].copy_from_slice(&self.buf[read..read + len]);
            let start = self.at;
            put_binary(self, &piece[..len], 0, form);
            self.buf.copy_within(start + 1..self.at - 1, start);
            self.at -= 2;
            read += len;
        }
        self.byte(b'"');
        self.buf.copy_within(text..self.at, from);
        self.at -= text - from;
    }

    /// Runs code that is not inlined without giving it the cursor's own address: the cursor moves
    /// out and back by value. Otherwise every later write would wait for a store (+15 %).
    #[inline(always)]
    pub fn cold(&mut self, f: impl FnOnce(&mut Self)) {
        let mut moved =
            Self { buf: std::mem::take(&mut self.buf), at: self.at, margin: self.margin };
        f(&mut moved);
        *self = moved;
    }
}

/// `seg[at..at + N]` as an array, if there.
#[inline(always)]
pub(crate) fn load<const N: usize>(seg: &[u8], at: usize) -> Option<&[u8; N]> {
    seg.get(at..)?.first_chunk()
}

/// Top bits that make bytes behind a string's end harmless in the test for escapes.
const BEHIND: [u8; 32] = {
    let (mut table, mut i) = ([0x80; 32], 0);
    while i < 16 {
        (table[i], i) = (0, i + 1);
    }
    table
};

/// What bytes above 0x7F of a text cell are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum High {
    /// UTF-8; what is not valid becomes U+FFFD.
    Utf8,
    /// A character set whose text is ASCII where all bytes are below 0x80.
    Set(Charset),
}

/// Eight times the same byte.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Non-zero if one of eight bytes needs an escape. `^ 2` brings the quote (0x22) down beside the
/// controls and leaves those below 0x20, so that one comparison finds both; a backslash is a zero
/// byte after its own `^`. Borrows between lanes start at a hit only, so "none" is exact. Bytes
/// above 0x7F are never hits.
#[inline(always)]
fn hits(word: u64) -> u64 {
    let low = (word ^ eight(2)).wrapping_sub(eight(0x21)) & !word;
    let slash = word ^ eight(b'\\');
    (low | (slash.wrapping_sub(eight(1)) & !slash)) & eight(0x80)
}

/// Whether a byte of a step needs an escape, and the OR of its bytes.
#[inline(always)]
fn scan(step: &[u8; 16], behind: &[u8; 16]) -> (bool, u64) {
    let (step, behind) = (u128::from_le_bytes(*step), u128::from_le_bytes(*behind));
    let masked = step | behind;
    let seen = step & !behind;
    let bad = hits(masked as u64) | hits((masked >> 64) as u64);
    (bad != 0, seen as u64 | (seen >> 64) as u64)
}

/// Writes `seg[at..at + len]` as a JSON string, 16 bytes a step: a step is copied first and kept if
/// it is clean, else redone by bytes. Loads run past the cell, where they find anything; `BEHIND`
/// masks it. Bytes above 0x7F are only noticed; then the whole cell is looked at again.
#[inline(always)]
pub(crate) fn put_string(out: &mut Out, seg: &[u8], at: usize, len: usize, high: High) {
    let start = out.at;
    out.byte(b'"');
    let end = at + len;
    let (mut from, mut seen) = (at, 0u64);
    if len <= STEP {
        out.ensure(6 * len);
    }
    while from < end {
        let len = (end - from).min(16);
        let (Some(step), Some(behind)) = (load::<16>(seg, from), load::<16>(&BEHIND, 16 - len))
        else {
            return out.cold(|out| transcode(out, start, seg, at, end - at, high));
        };
        let (bad, high_bits) = scan(step, behind);
        seen |= high_bits;
        if end - at > STEP {
            out.ensure(6 * 16);
        }
        if bad {
            out.cold(|out| step.iter().take(len).for_each(|&b| put_escaped(out, b)));
        } else {
            out.pad(step, len);
        }
        from += 16;
    }
    if seen & eight(0x80) != 0 {
        out.cold(|out| check_high(out, start, seg, at, end - at, high));
        return;
    }
    out.byte(b'"');
}

/// One byte of UTF-8 with its JSON escape; the last one of four turns them into two escapes, so
/// that text can come in any pieces. Six bytes of room for each are enough.
pub(crate) fn put_escaped(out: &mut Out, byte: u8) {
    let hex = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
    match byte {
        0x80..0xC0 if out.at >= 3 && out.buf[out.at - 3] >= 0xF0 => put_surrogates(out, byte),
        b'"' | b'\\' => out.pad(&[b'\\', byte], 2),
        0..0x20 => match b"btn_fr".get(usize::from(byte.wrapping_sub(8))) {
            Some(&letter) if letter != b'_' => out.pad(&[b'\\', letter], 2),
            _ => out.pad(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)], 6),
        },
        _ => out.byte(byte),
    }
}

/// The three bytes of UTF-8 that stand written, and this fourth one, as two escapes. (Bytes that are
/// no UTF-8 give some escapes here: `check_high` finds them and has the cell redone.)
#[cold]
fn put_surrogates(out: &mut Out, fourth: u8) {
    let start = out.at - 3;
    let bits = |byte: u8| u32::from(byte & 0x3F);
    let [a, b, c] = [out.buf[start], out.buf[start + 1], out.buf[start + 2]];
    let code = u32::from(a & 7) << 18 | bits(b) << 12 | bits(c) << 6 | bits(fourth);
    let code = code.wrapping_sub(0x1_0000);
    out.rewind(start);
    for half in [0xD800 | code >> 10 & 0x3FF, 0xDC00 | code & 0x3FF] {
        let hex = |shift: u32| b"0123456789ABCDEF"[(half >> shift & 15) as usize];
        out.pad(&[b'\\', b'u', hex(12), hex(8), hex(4), hex(0)], 6);
    }
}

/// The cell holds bytes above 0x7F: valid UTF-8 up to U+FFFF stands as written, anything else is
/// redone.
#[cold]
fn check_high(out: &mut Out, start: usize, seg: &[u8], at: usize, len: usize, high: High) {
    // The scan for four-byte characters has no early exit: it is vector code.
    let stands = |cell: &[u8]| {
        !cell.iter().fold(false, |found, &byte| found | (byte >= 0xF0))
            && std::str::from_utf8(cell).is_ok()
    };
    if high == High::Utf8 && seg.get(at..at + len).is_some_and(stands) {
        return out.byte(b'"');
    }
    transcode(out, start, seg, at, len, high);
}

/// The slow way for a whole cell, from its opening quote on.
#[cold]
fn transcode(out: &mut Out, start: usize, seg: &[u8], at: usize, len: usize, high: High) {
    out.rewind(start);
    let cell = seg.get(at..at + len).unwrap_or_default();
    out.byte(b'"');
    match high {
        High::Set(charset) => put_decoded(out, charset, cell),
        High::Utf8 => {
            for chunk in cell.utf8_chunks() {
                for piece in chunk.valid().as_bytes().chunks(STEP) {
                    out.ensure(6 * piece.len());
                    piece.iter().for_each(|&byte| put_escaped(out, byte));
                }
                if !chunk.invalid().is_empty() {
                    out.ensure(3);
                    out.exact("\u{FFFD}".as_bytes());
                }
            }
        }
    }
    out.ensure(1);
    out.byte(b'"');
}

fn put_decoded(out: &mut Out, charset: Charset, text: &[u8]) {
    charset::decode(charset, text, |ch| {
        out.ensure(24);
        ch.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| put_escaped(out, byte));
    });
}

/// Text of a character set in which an ASCII byte need not be an ASCII character.
#[cold]
pub(crate) fn put_wide(out: &mut Out, charset: Charset, text: &[u8]) {
    if charset == Charset::Untold && std::str::from_utf8(text).is_err() {
        return put_binary(out, text, 0, Binary::Base64);
    }
    out.ensure(2);
    out.byte(b'"');
    put_decoded(out, charset, text);
    out.ensure(1);
    out.byte(b'"');
}

/// Escapes text that is already UTF-8 into a `Vec`, without quotes. For plans, not for rows.
pub(crate) fn escaped(text: &str) -> Vec<u8> {
    let mut out = Out::small(6 * text.len());
    text.bytes().for_each(|byte| put_escaped(&mut out, byte));
    let (mut buf, end) = out.finish();
    buf.truncate(end);
    buf.shrink_to_fit();
    buf
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text forms of binary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// Standard base64, padded.
    Base64,
    /// base64 with `-` and `_`, padded.
    Base64Url,
    /// Lower-case hex.
    Hex,
}

/// Writes `data` followed by zero bytes up to `width` as a JSON string.
pub(crate) fn put_binary(out: &mut Out, data: &[u8], width: usize, form: Binary) {
    let len = data.len().max(width);
    out.ensure(2 + 2 * len + 4);
    out.byte(b'"');
    match form {
        Binary::Hex => {
            let hex = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
            data.iter().for_each(|&b| out.pad(&[hex(b >> 4), hex(b)], 2));
            (data.len()..len).for_each(|_| out.pad(b"00", 2));
        }
        Binary::Base64 => put_base64(out, data, len, BASE64),
        Binary::Base64Url => put_base64(out, data, len, BASE64_URL),
    }
    out.byte(b'"');
}

/// Writes `len` bytes that `next` gives one by one as a JSON string.
pub(crate) fn put_binary_from(
    out: &mut Out,
    len: usize,
    form: Binary,
    mut next: impl FnMut() -> u8,
) {
    out.ensure(2 + 2 * len + 4);
    out.byte(b'"');
    match form {
        Binary::Hex => {
            let hex = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
            for _ in 0..len {
                let byte = next();
                out.pad(&[hex(byte >> 4), hex(byte)], 2);
            }
        }
        Binary::Base64 | Binary::Base64Url => {
            let alphabet = if form == Binary::Base64 { BASE64 } else { BASE64_URL };
            let mut left = len;
            while left > 0 {
                let taken = left.min(3);
                let mut three = [0; 3];
                three[..taken].fill_with(&mut next);
                put_base64(out, &three[..taken], taken, alphabet);
                left -= taken;
            }
        }
    }
    out.byte(b'"');
}

fn put_base64(out: &mut Out, data: &[u8], len: usize, alphabet: &[u8; 64]) {
    let four = |bits: u32| {
        let letter = |shift: u32| alphabet[(bits >> shift & 63) as usize];
        [letter(18), letter(12), letter(6), letter(0)]
    };
    let (threes, rest) = data.as_chunks::<3>();
    for &[a, b, c] in threes {
        out.pad(&four(u32::from_be_bytes([0, a, b, c])), 4);
    }
    let mut done = 3 * threes.len();
    let mut rest = rest.iter();
    while done < len {
        let mut byte = || rest.next().copied().unwrap_or(0);
        let mut text = four(u32::from_be_bytes([0, byte(), byte(), byte()]));
        if len - done < 3 {
            text[3] = b'=';
        }
        if len - done < 2 {
            text[2] = b'=';
        }
        out.pad(&text, 4);
        done += 3;
    }
}

/// Text of the control plane as a JSON string, or null.
pub(super) fn put_text(out: &mut Out, text: Option<&str>) {
    match text {
        None => out.exact(b"null"),
        Some(text) => {
            out.byte(b'"');
            // Without an early exit this is vector code.
            let needs_escape = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\') | (b >= 0xF0);
            if !text.bytes().fold(false, |bad, b| bad | needs_escape(b)) {
                out.exact(text.as_bytes());
            } else {
                out.exact(&escaped(text));
            }
            out.byte(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `f` writes into an empty cursor.
    pub(crate) fn text(f: impl FnOnce(&mut Out)) -> String {
        let mut out = Out::new(Vec::new(), 0, 256);
        f(&mut out);
        let (buf, end) = out.finish();
        String::from_utf8(buf[..end].to_vec()).expect("UTF-8")
    }

    fn string(cell: &[u8], high: High) -> String {
        let mut seg = b"\x01\"".to_vec();
        seg.extend_from_slice(cell);
        seg.extend_from_slice(&[0x01; 64]);
        text(|out| put_string(out, &seg, 2, cell.len(), high))
    }

    #[test]
    fn strings_escape_what_json_must_and_nothing_else() {
        // Goal: ENVELOPE section 0 to the byte. Method: every ASCII byte at every place of a
        // 40-byte string, against serde_json after its lower-case \u is made upper-case.
        for byte in 0..0x80u8 {
            for place in 0..40 {
                let mut cell = vec![b'x'; 40];
                cell[place] = byte;
                let plain = std::str::from_utf8(&cell).expect("ASCII");
                let mut wanted = serde_json::to_string(plain).expect("a string");
                if byte < 0x20 {
                    let lower = format!("\\u{byte:04x}");
                    wanted = wanted.replace(&lower, &format!("\\u{byte:04X}"));
                }
                assert_eq!(string(&cell, High::Utf8), wanted);
            }
        }
    }

    #[test]
    fn strings_of_every_length_end_where_they_end() {
        // Goal: masked bytes behind a string never leak and never cost it bytes. Method: lengths
        // around the step sizes, the bytes behind are quotes and controls.
        for len in (0..70).chain([1023, 1024, 1025, 5000]) {
            let cell: Vec<u8> = (0..len).map(|i| b'a' + (i % 26) as u8).collect();
            let wanted = format!("\"{}\"", String::from_utf8_lossy(&cell));
            assert_eq!(string(&cell, High::Utf8), wanted);
        }
    }

    #[test]
    fn high_bytes_are_utf8_or_windows_1252_and_never_invalid_json() {
        // Goal: character sets are decoded, broken UTF-8 cannot break a consumer. Method: known pairs.
        assert_eq!(string("héllo €\n".as_bytes(), High::Utf8), "\"héllo €\\n\"");
        assert_eq!(string(b"a\xffb\"", High::Utf8), "\"a\u{FFFD}b\\\"\"");
        assert_eq!(string(b"\xe4\x80\x9f\"", High::Set(Charset::Latin1)), "\"ä€Ÿ\\\"\"");
        let long: Vec<u8> = b"\xe9".repeat(3000);
        assert_eq!(string(&long, High::Set(Charset::Latin1)), format!("\"{}\"", "é".repeat(3000)));
        assert_eq!(
            string("é".repeat(900).as_bytes(), High::Utf8),
            format!("\"{}\"", "é".repeat(900))
        );
    }

    #[test]
    fn characters_beyond_the_basic_plane_are_surrogates() {
        // Goal: a record key's bytes, by which Kafka chooses a partition, are Debezium's. Method: the
        // ends of the planes at every place of a string with and without escapes; broken UTF-8.
        let pairs = [
            ('\u{10000}', "\\uD800\\uDC00"),
            ('\u{1F600}', "\\uD83D\\uDE00"),
            ('\u{10FFFF}', "\\uDBFF\\uDFFF"),
            ('\u{FFFF}', "\u{FFFF}"),
        ];
        for (character, wanted) in pairs {
            for before in 0..40 {
                for rest in ["", "abc", "\n\"é", "😀"] {
                    let cell = format!("{}{character}{rest}", "x".repeat(before));
                    let rest = rest.replace('\n', "\\n").replace('"', "\\\"");
                    let rest = rest.replace('😀', "\\uD83D\\uDE00");
                    let wanted = format!("\"{}{wanted}{rest}\"", "x".repeat(before));
                    assert_eq!(string(cell.as_bytes(), High::Utf8), wanted);
                }
            }
        }
        let long = "😀".repeat(3000);
        let wanted = format!("\"{}\"", "\\uD83D\\uDE00".repeat(3000));
        assert_eq!(string(long.as_bytes(), High::Utf8), wanted);
        assert_eq!(escaped("a😀"), b"a\\uD83D\\uDE00");
        let broken = "\"\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\\n\"";
        assert_eq!(string(b"\xf0\x80\x80\x80\n", High::Utf8), broken);
    }

    #[test]
    fn a_string_at_the_very_end_of_its_slice_is_read_by_bytes() {
        // Goal: no panic without readable bytes behind a cell. Method: a slice that ends with it.
        let seg = b"abc\"";
        assert_eq!(text(|out| put_string(out, seg, 0, 4, High::Utf8)), "\"abc\\\"\"");
    }

    #[test]
    fn binary_forms_with_zero_padding() {
        // Goal: base64, its URL-safe form and hex, with BINARY(n)'s zeros. Method: RFC 4648 values.
        let form = |data: &[u8], width, form| text(|out| put_binary(out, data, width, form));
        for (data, wanted) in
            [("", "\"\""), ("f", "\"Zg==\""), ("fo", "\"Zm8=\""), ("foobar", "\"Zm9vYmFy\"")]
        {
            assert_eq!(form(data.as_bytes(), 0, Binary::Base64), wanted);
        }
        assert_eq!(form(&[0xfb, 0xff], 0, Binary::Base64), "\"+/8=\"");
        assert_eq!(form(&[0xfb, 0xff], 0, Binary::Base64Url), "\"-_8=\"");
        assert_eq!(form(b"a", 5, Binary::Base64), "\"YQAAAAA=\"");
        assert_eq!(form(b"abcd", 8, Binary::Base64), "\"YWJjZAAAAAA=\"");
        assert_eq!(form(&[0xab, 1], 3, Binary::Hex), "\"ab0100\"");
    }
}
