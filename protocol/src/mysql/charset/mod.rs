//! Character sets of MySQL and MariaDB: names, collation ids, and text to Unicode.
//!
//! Enters: text in a column's character set. Leaves: characters. Keeps: no allocation, no panic; a
//! character is what the server itself converts to utf8mb4, so that a value from the log and the
//! same value from a snapshot, which the server converts, are equal (invariant 8).
//!
//! The tables next to this file were asked from MySQL 9.7 (MariaDB 11.8 gives the same ones), byte by
//! byte and pair by pair, and a live test asks again (`tests/live/charsets.rs`, which also writes
//! them). Libraries follow WHATWG or Java instead: of the nine double-byte sets only cp932, gbk and
//! euckr are the same there, and big5 differs in 267 characters.
//!
//! | bytes | become |
//! |---|---|
//! | a code that the server converts | its character |
//! | a well-formed code without a character | `?`, as from the server (Java: U+FFFD) |
//! | anything else, which the server lets into no column | U+FFFD, byte by byte, as from Java |

mod names;

pub use names::{by_name, of_collation};

use crate::schema::Charset;

/// 128 characters a set, of bytes 0x80 to 0xFF; of swe7, whose letters stand in ASCII, 0x00 to 0x7F.
static SINGLE: &[u8] = include_bytes!("single.bin");
static BIG5: &[u8] = include_bytes!("big5.bin");
static CP932: &[u8] = include_bytes!("cp932.bin");
static EUCJPMS: &[u8] = include_bytes!("eucjpms.bin");
static EUCKR: &[u8] = include_bytes!("euckr.bin");
static GB18030: &[u8] = include_bytes!("gb18030.bin");
/// First index and first character of each run of four-byte codes of the basic plane.
static GB18030_FOUR: &[u8] = include_bytes!("gb18030_four.bin");
static GB2312: &[u8] = include_bytes!("gb2312.bin");
static GBK: &[u8] = include_bytes!("gbk.bin");
static SJIS: &[u8] = include_bytes!("sjis.bin");
static UJIS: &[u8] = include_bytes!("ujis.bin");

const BAD: char = char::REPLACEMENT_CHARACTER;
/// A well-formed code that stands for no character.
const UNASSIGNED: char = '?';

impl Charset {
    /// Whether the bytes are UTF-8 as they stand.
    pub fn is_utf8(self) -> bool {
        self == Self::Utf8
    }

    /// Whether a text without bytes above 0x7F is plain ASCII.
    pub fn is_ascii_based(self) -> bool {
        use Charset::{Other, Swe7, Ucs2, Untold, Utf16, Utf16Le, Utf32};
        !matches!(self, Swe7 | Ucs2 | Utf16 | Utf16Le | Utf32 | Other(_) | Untold)
    }

    /// Its place in the table of one-byte sets.
    fn single(self) -> Option<usize> {
        Some(match self {
            Self::Armscii8 => 0,
            Self::Cp1250 => 1,
            Self::Cp1251 => 2,
            Self::Cp1256 => 3,
            Self::Cp1257 => 4,
            Self::Cp850 => 5,
            Self::Cp852 => 6,
            Self::Cp866 => 7,
            Self::Dec8 => 8,
            Self::Geostd8 => 9,
            Self::Greek => 10,
            Self::Hebrew => 11,
            Self::Hp8 => 12,
            Self::Keybcs2 => 13,
            Self::Koi8r => 14,
            Self::Koi8u => 15,
            Self::Latin1 => 16,
            Self::Latin2 => 17,
            Self::Latin5 => 18,
            Self::Latin7 => 19,
            Self::Macce => 20,
            Self::Macroman => 21,
            Self::Swe7 => 22,
            Self::Tis620 => 23,
            _ => return None,
        })
    }
}

/// Hands the characters of `text` to `put`, one by one. Text of a set that is not known
/// ([`Charset::Other`]) has none: who decodes rows refuses it before.
pub fn decode(charset: Charset, text: &[u8], mut put: impl FnMut(char)) {
    if let Some(single) = charset.single() {
        let low = charset == Charset::Swe7;
        return text.iter().for_each(|&byte| put(one_byte(single, low, byte)));
    }
    match charset {
        Charset::Utf8 | Charset::Untold => utf8(text, put),
        Charset::Ascii => text.iter().for_each(|&byte| {
            put(if byte < 0x80 { char::from(byte) } else { UNASSIGNED });
        }),
        Charset::Ucs2 => units(text, put, |[a, b]: [u8; 2]| {
            char::from_u32(u32::from(u16::from_be_bytes([a, b])))
        }),
        Charset::Utf32 => {
            units(text, put, |unit: [u8; 4]| char::from_u32(u32::from_be_bytes(unit)))
        }
        Charset::Utf16 => utf16(text, u16::from_be_bytes, put),
        Charset::Utf16Le => utf16(text, u16::from_le_bytes, put),
        Charset::Other(_) => {}
        _ => {
            let mut rest = text;
            while let Some((ch, len)) = several_bytes(charset, rest) {
                put(ch);
                rest = rest.get(len..).unwrap_or_default();
            }
        }
    }
}

fn one_byte(single: usize, low: bool, byte: u8) -> char {
    if (byte < 0x80) != low {
        return if low { UNASSIGNED } else { char::from(byte) };
    }
    entry(SINGLE, 128 * single + usize::from(byte & 0x7F))
        // NUL is a character of its own.
        .unwrap_or(if byte == 0 { '\0' } else { UNASSIGNED })
}

/// Character `i` of a table; `None`: a hole.
fn entry(table: &[u8], i: usize) -> Option<char> {
    let bytes = table.get(2 * i..)?.first_chunk()?;
    match u16::from_le_bytes(*bytes) {
        0 => None,
        unit => char::from_u32(u32::from(unit)),
    }
}

fn utf8(text: &[u8], mut put: impl FnMut(char)) {
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(&mut put);
        if !chunk.invalid().is_empty() {
            put(BAD);
        }
    }
}

/// Units of constant size, one character each.
fn units<const N: usize>(
    text: &[u8],
    mut put: impl FnMut(char),
    character: impl Fn([u8; N]) -> Option<char>,
) {
    let (units, rest) = text.as_chunks::<N>();
    units.iter().for_each(|unit| put(character(*unit).unwrap_or(BAD)));
    if !rest.is_empty() {
        put(BAD);
    }
}

fn utf16(text: &[u8], unit: impl Fn([u8; 2]) -> u16, mut put: impl FnMut(char)) {
    let (pairs, rest) = text.as_chunks::<2>();
    let decoded = char::decode_utf16(pairs.iter().map(|&pair| unit(pair)));
    decoded.for_each(|ch| put(ch.unwrap_or(BAD)));
    if !rest.is_empty() {
        put(BAD);
    }
}

/// The first character of text in a double-byte set, and its bytes; `None` at the end.
fn several_bytes(charset: Charset, text: &[u8]) -> Option<(char, usize)> {
    let &lead = text.first()?;
    if lead < 0x80 {
        return Some((char::from(lead), 1));
    }
    let next = |i: usize| text.get(i).copied().unwrap_or(0);
    let code = match charset {
        Charset::Big5 => pair(lead, next(1), &[(0xA1, 0xF9)], &[(0x40, 0x7E), (0xA1, 0xFE)])
            .map(|i| (entry(BIG5, i), 2)),
        Charset::Gb2312 => {
            pair(lead, next(1), &[(0xA1, 0xF7)], &[(0xA1, 0xFE)]).map(|i| (entry(GB2312, i), 2))
        }
        Charset::Gbk => gbk(lead, next(1)).map(|i| (entry(GBK, i), 2)),
        Charset::Gb18030 => match gbk(lead, next(1)) {
            Some(i) => Some((entry(GB18030, i), 2)),
            None => four_bytes([lead, next(1), next(2), next(3)]).map(|ch| (ch, 4)),
        },
        Charset::Euckr => {
            let trails = [(0x41, 0x5A), (0x61, 0x7A), (0x81, 0xFE)];
            pair(lead, next(1), &[(0x81, 0xFE)], &trails).map(|i| (entry(EUCKR, i), 2))
        }
        Charset::Sjis => shift(SJIS, lead, next(1)),
        Charset::Cp932 => shift(CP932, lead, next(1)),
        Charset::Ujis => euc_jp(UJIS, [lead, next(1), next(2)]),
        Charset::Eucjpms => euc_jp(EUCJPMS, [lead, next(1), next(2)]),
        _ => None,
    };
    Some(match code {
        Some((ch, len)) => (ch.unwrap_or(UNASSIGNED), len),
        None => (BAD, 1),
    })
}

/// The place of a pair in a table of all leads by all trails.
fn pair(lead: u8, trail: u8, leads: &[(u8, u8)], trails: &[(u8, u8)]) -> Option<usize> {
    let width = trails.iter().map(|&(from, to)| usize::from(to - from) + 1).sum::<usize>();
    Some(place(lead, leads)? * width + place(trail, trails)?)
}

/// The place of a byte among those of some ranges.
fn place(byte: u8, ranges: &[(u8, u8)]) -> Option<usize> {
    let mut before = 0;
    for &(from, to) in ranges {
        if (from..=to).contains(&byte) {
            return Some(before + usize::from(byte - from));
        }
        before += usize::from(to - from) + 1;
    }
    None
}

fn gbk(lead: u8, trail: u8) -> Option<usize> {
    pair(lead, trail, &[(0x81, 0xFE)], &[(0x40, 0x7E), (0x80, 0xFE)])
}

/// Half-width katakana in one byte, else a pair.
fn shift(table: &[u8], lead: u8, trail: u8) -> Option<(Option<char>, usize)> {
    if let Some(ch) = katakana(lead) {
        return Some((Some(ch), 1));
    }
    let leads = [(0x81, 0x9F), (0xE0, 0xFC)];
    let i = pair(lead, trail, &leads, &[(0x40, 0x7E), (0x80, 0xFC)])?;
    Some((entry(table, i), 2))
}

fn katakana(byte: u8) -> Option<char> {
    (0xA1..=0xDF).contains(&byte).then(|| char::from_u32(0xFF61 + u32::from(byte - 0xA1)))?
}

/// EUC: katakana behind 0x8E, JIS X 0212 in two bytes behind 0x8F, else JIS X 0208.
fn euc_jp(table: &[u8], [lead, second, third]: [u8; 3]) -> Option<(Option<char>, usize)> {
    let high = [(0xA1, 0xFE)];
    match lead {
        0x8E => Some((Some(katakana(second)?), 2)),
        0x8F => {
            let i = pair(second, third, &high, &high)?;
            Some((entry(table, 94 * 94 + i), 3))
        }
        _ => Some((entry(table, pair(lead, second, &high, &high)?), 2)),
    }
}

/// GB18030's four bytes; `Some(None)`: well-formed, and no character.
fn four_bytes([a, b, c, d]: [u8; 4]) -> Option<Option<char>> {
    let digit = [(b'0', b'9')];
    let high = [(0x81, 0xFE)];
    let index = ((place(a, &high)? * 10 + place(b, &digit)?) * 126 + place(c, &high)?) * 10
        + place(d, &digit)?;
    let index = u32::try_from(index).ok()?;
    Some(match index {
        ..39_420 => {
            let (runs, _) = GB18030_FOUR.as_chunks::<4>();
            let start = |run: &[u8; 4]| u32::from(u16::from_le_bytes([run[0], run[1]]));
            let after = runs.partition_point(|run| start(run) <= index);
            let run = after.checked_sub(1).and_then(|i| runs.get(i))?;
            let first = u32::from(u16::from_le_bytes([run[2], run[3]]));
            char::from_u32(first + index - start(run))
        }
        189_000.. => char::from_u32(0x1_0000 + index - 189_000),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn decoded(charset: Charset, bytes: &[u8]) -> String {
        let mut text = String::new();
        decode(charset, bytes, |ch| text.push(ch));
        text
    }

    #[test]
    fn every_character_set_decodes_a_known_word() {
        // Goal: each set is wired to its own table. Method: CONVERT of MySQL 9.7, by hand.
        for (charset, bytes, wanted) in [
            (Charset::Utf8, "é😀".as_bytes(), "é😀"),
            (Charset::Ascii, b"a~\x80", "a~?"),
            (Charset::Latin1, b"\xe4\x80\x81\x9f", "ä€\u{81}Ÿ"),
            (Charset::Latin2, b"\xb1\xa3", "ąŁ"),
            (Charset::Latin5, b"\xfd\xf0", "ığ"),
            (Charset::Latin7, b"\xe0\xf9", "ął"),
            (Charset::Greek, b"\xe1\xf9\xa4", "αω?"),
            (Charset::Hebrew, b"\xe0\xfa", "את"),
            (Charset::Cp1250, b"\x9a\x81", "š?"),
            (Charset::Cp1251, b"\xcf\xf0\xe8\x98", "При?"),
            (Charset::Cp1256, b"\xc7\xe1", "ال"),
            (Charset::Cp1257, b"\xe0", "ą"),
            (Charset::Cp850, b"\x84\x9b", "äø"),
            (Charset::Cp852, b"\x88", "ł"),
            (Charset::Cp866, b"\x8f\xe0", "Пр"),
            (Charset::Koi8r, b"\xf0\xd2", "Пр"),
            (Charset::Koi8u, b"\xb4\xa4", "Єє"),
            (Charset::Dec8, b"\xd7\xdd", "ŒŸ"),
            (Charset::Hp8, b"\xd8\xff", "Ä?"),
            (Charset::Swe7, b"}[\\]{|~\x00\x80", "åÄÖÅäöü\0?"),
            (Charset::Keybcs2, b"\x87", "č"),
            (Charset::Armscii8, b"\xb2\xb3", "Աա"),
            (Charset::Geostd8, b"\xc0", "ა"),
            (Charset::Macce, b"\x8a", "ä"),
            (Charset::Macroman, b"\x8a\xdb", "ä€"),
            (Charset::Tis620, b"\xa1\xcd", "กอ"),
            (Charset::Big5, b"\xa4\xa4\xa4\xe5a", "中文a"),
            (Charset::Gb2312, b"\xd6\xd0\xa1\xa4\xa1\xaa", "中・―"),
            (Charset::Gbk, b"\xd6\xd0\x81\x40\xa2\xa1", "中丂ⅰ"),
            (Charset::Gb18030, b"\xd6\xd0\x81\x30\x81\x30\x90\x30\x81\x30", "中\u{80}\u{10000}"),
            (Charset::Sjis, b"\x93\xfa\xb1\x81\x5f\\", "日ｱ\\\\"),
            (Charset::Cp932, b"\x93\xfa\xb1\x81\x5f\x87\x40", "日ｱ＼①"),
            (Charset::Ujis, b"\xc6\xfc\x8e\xb1\x8f\xb0\xa1\x8f\xa2\xb7", "日ｱ丂~"),
            (Charset::Eucjpms, b"\xc6\xfc\x8e\xb1\xad\xa1\x8f\xa2\xb7", "日ｱ①～"),
            (Charset::Euckr, b"\xb0\xa1\x81\x41", "가갂"),
            (Charset::Ucs2, b"\0a\x4e\x2d", "a中"),
            (Charset::Utf16, b"\0a\xd8\x3d\xde\x00", "a😀"),
            (Charset::Utf16Le, b"a\0\x3d\xd8\x00\xde", "a😀"),
            (Charset::Utf32, b"\0\0\0a\0\x01\xf6\x00", "a😀"),
        ] {
            assert_eq!(decoded(charset, bytes), wanted, "{charset:?}");
        }
    }

    #[test]
    fn codes_without_a_character_and_broken_ones() {
        // Goal: `?` for what the server converts so, U+FFFD byte by byte for what no column holds.
        // Method: an unassigned code, a lead without a trail, half a unit, lone surrogates.
        for (charset, bytes, wanted) in [
            (Charset::Big5, &b"\xc8\xa1\xff\xa4"[..], "?\u{FFFD}\u{FFFD}"),
            (Charset::Gbk, b"\xfe\xfe\x80a\xd6", "?\u{FFFD}a\u{FFFD}"),
            (Charset::Gb18030, b"\x84\x31\xa5\x30\x81\x30", "?\u{FFFD}0"),
            (Charset::Sjis, b"\x87\x40\x80\x93", "?\u{FFFD}\u{FFFD}"),
            (Charset::Ujis, b"\x8e\xa0\x8f\xa1", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
            (Charset::Ucs2, b"\xd8\x00\0", "\u{FFFD}\u{FFFD}"),
            (Charset::Utf16, b"\xdc\x00\0a", "\u{FFFD}a"),
            (Charset::Utf32, b"\0\x11\0\0\0", "\u{FFFD}\u{FFFD}"),
            (Charset::Utf8, b"a\xffb", "a\u{FFFD}b"),
        ] {
            assert_eq!(decoded(charset, bytes), wanted, "{charset:?}");
        }
    }

    /// All sets, by their names.
    fn all() -> Vec<Charset> {
        names::NAMES.iter().filter_map(|(_, charset)| *charset).collect()
    }

    proptest! {
        #[test]
        fn text_ends_and_never_grows_beyond_a_character_a_byte(bytes: Vec<u8>) {
            // Goal: hostile text is bounded in every set. Method: anything.
            for charset in all() {
                let mut count = 0;
                decode(charset, &bytes, |_| count += 1);
                prop_assert!(count <= bytes.len());
            }
        }

        #[test]
        fn ascii_is_ascii_where_it_is_said_to_be(text in "[ -~]{0,40}") {
            // Goal: the row path's ASCII copy is right for every set that claims it. Method: ASCII.
            for charset in all().into_iter().filter(|charset| charset.is_ascii_based()) {
                prop_assert_eq!(&decoded(charset, text.as_bytes()), &text);
            }
        }
    }
}
