//! Character sets and collations by name and number.
//!
//! Enters: names from statements, numbers from QUERY events. Leaves: what goes with them. Keeps: a
//! name that is not in the servers' own lists gives none.
//!
//! `collations.txt`: `information_schema.COLLATIONS` of MySQL 9.7 and MariaDB 11.8 below 2048,
//! `number name`, both names where the two servers differ. Above stand MariaDB's UCA 14.0.0
//! collations, by a formula (`strings/ctype-uca1400.h`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

const LIST: &str = include_str!("collations.txt");
/// Number of the first UCA 14.0.0 collation; 256 for each of the character sets.
const UCA1400: usize = 2048;
const UCA1400_CHARSETS: [&str; 5] = ["utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"];
/// Eight collations each; the first language is the root, without a name; `-` is vacant.
const UCA1400_LANGUAGES: [&str; 25] = [
    "",
    "icelandic_",
    "latvian_",
    "romanian_",
    "slovenian_",
    "polish_",
    "estonian_",
    "spanish_",
    "swedish_",
    "turkish_",
    "czech_",
    "danish_",
    "lithuanian_",
    "slovak_",
    "spanish2_",
    "roman_",
    "persian_",
    "esperanto_",
    "hungarian_",
    "sinhala_",
    "german2_",
    "-",
    "-",
    "vietnamese_",
    "croatian_",
];
const UCA1400_VARIANTS: [&str; 8] = [
    "ai_ci",
    "ai_cs",
    "as_ci",
    "as_cs",
    "nopad_ai_ci",
    "nopad_ai_cs",
    "nopad_as_ci",
    "nopad_as_cs",
];

/// Every collation, as (number, name).
static ALL: LazyLock<Vec<(u16, String)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for line in LIST.lines() {
        let mut words = line.split(' ');
        let number = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        all.extend(words.map(|name| (number, name.to_owned())));
    }
    for (c, charset) in UCA1400_CHARSETS.iter().enumerate() {
        for (l, language) in UCA1400_LANGUAGES.iter().enumerate().filter(|(_, l)| **l != "-") {
            for (v, variant) in UCA1400_VARIANTS.iter().enumerate() {
                let number = UCA1400 + c * 256 + l * 8 + v;
                let name = format!("{charset}_uca1400_{language}{variant}");
                all.push((u16::try_from(number).unwrap_or_default(), name));
            }
        }
    }
    all
});

static NUMBERS: LazyLock<BTreeMap<&'static str, u16>> =
    LazyLock::new(|| ALL.iter().map(|(number, name)| (name.as_str(), *number)).collect());

static NAMES: LazyLock<BTreeMap<u16, &'static str>> =
    LazyLock::new(|| ALL.iter().rev().map(|(number, name)| (*number, name.as_str())).collect());

/// Character sets: name, widest character in bytes, default collation (of MySQL 8 and later).
const CHARSETS: [(&str, u32, &str); 41] = [
    ("armscii8", 1, "armscii8_general_ci"),
    ("ascii", 1, "ascii_general_ci"),
    ("big5", 2, "big5_chinese_ci"),
    ("binary", 1, "binary"),
    ("cp1250", 1, "cp1250_general_ci"),
    ("cp1251", 1, "cp1251_general_ci"),
    ("cp1256", 1, "cp1256_general_ci"),
    ("cp1257", 1, "cp1257_general_ci"),
    ("cp850", 1, "cp850_general_ci"),
    ("cp852", 1, "cp852_general_ci"),
    ("cp866", 1, "cp866_general_ci"),
    ("cp932", 2, "cp932_japanese_ci"),
    ("dec8", 1, "dec8_swedish_ci"),
    ("eucjpms", 3, "eucjpms_japanese_ci"),
    ("euckr", 2, "euckr_korean_ci"),
    ("gb18030", 4, "gb18030_chinese_ci"),
    ("gb2312", 2, "gb2312_chinese_ci"),
    ("gbk", 2, "gbk_chinese_ci"),
    ("geostd8", 1, "geostd8_general_ci"),
    ("greek", 1, "greek_general_ci"),
    ("hebrew", 1, "hebrew_general_ci"),
    ("hp8", 1, "hp8_english_ci"),
    ("keybcs2", 1, "keybcs2_general_ci"),
    ("koi8r", 1, "koi8r_general_ci"),
    ("koi8u", 1, "koi8u_general_ci"),
    ("latin1", 1, "latin1_swedish_ci"),
    ("latin2", 1, "latin2_general_ci"),
    ("latin5", 1, "latin5_turkish_ci"),
    ("latin7", 1, "latin7_general_ci"),
    ("macce", 1, "macce_general_ci"),
    ("macroman", 1, "macroman_general_ci"),
    ("sjis", 2, "sjis_japanese_ci"),
    ("swe7", 1, "swe7_swedish_ci"),
    ("tis620", 1, "tis620_thai_ci"),
    ("ucs2", 2, "ucs2_general_ci"),
    ("ujis", 3, "ujis_japanese_ci"),
    ("utf16", 4, "utf16_general_ci"),
    ("utf16le", 4, "utf16le_general_ci"),
    ("utf32", 4, "utf32_general_ci"),
    ("utf8mb3", 3, "utf8mb3_general_ci"),
    ("utf8mb4", 4, "utf8mb4_0900_ai_ci"),
];

/// A character set's name as the servers keep it: lower case, `utf8` is utf8mb3.
#[must_use]
pub fn charset_name(written: &str) -> Option<&'static str> {
    let lower = written.to_ascii_lowercase();
    let wanted = if lower == "utf8" { "utf8mb3" } else { lower.as_str() };
    CHARSETS.iter().map(|c| c.0).find(|name| *name == wanted)
}

/// A collation's name as the servers keep it: `utf8_bin` is utf8mb3_bin.
#[must_use]
pub fn collation_name(written: &str) -> Option<&'static str> {
    let lower = written.to_ascii_lowercase();
    let wanted = match lower.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => lower,
    };
    NUMBERS.get_key_value(wanted.as_str()).map(|(name, _)| *name)
}

/// The character set of a collation.
#[must_use]
pub fn charset_of(collation: &str) -> Option<&'static str> {
    let first = collation.split('_').next().unwrap_or_default();
    CHARSETS.iter().map(|c| c.0).find(|name| *name == first)
}

/// A collation by its number.
#[must_use]
pub fn collation_of(number: u16) -> Option<&'static str> {
    NAMES.get(&number).copied()
}

/// The number of a collation.
#[must_use]
pub fn number_of(collation: &str) -> Option<u16> {
    NUMBERS.get(collation).copied()
}

/// Bytes of a character set's widest character; 1 for one that is not known.
#[must_use]
pub fn widest(charset: &str) -> u32 {
    CHARSETS.iter().find(|c| c.0 == charset).map_or(1, |c| c.1)
}

/// The default collation of a character set, where no variable says otherwise.
#[must_use]
pub fn default_collation(charset: &str, mariadb: bool, version: (u16, u16, u16)) -> &'static str {
    if charset == "utf8mb4" && (mariadb || version < (8, 0, 0)) {
        return "utf8mb4_general_ci";
    }
    CHARSETS.iter().find(|c| c.0 == charset).map_or("binary", |c| c.2)
}

/// The `_bin` collation of a character set.
#[must_use]
pub fn binary_collation(charset: &str) -> Option<&'static str> {
    if charset == "binary" {
        return Some("binary");
    }
    collation_name(&format!("{charset}_bin"))
}

/// MariaDB's `character_set_collations` as a QUERY event has it: the collation for a character set.
/// Pairs of numbers: the character set's own default, the default wished for.
#[must_use]
pub fn mapped_collation(map: &[u8], charset: &str) -> Option<&'static str> {
    let pairs = map.as_chunks::<4>().0;
    pairs.iter().find_map(|&[a, b, c, d]| {
        let from = collation_of(u16::from_le_bytes([a, b]))?;
        (charset_of(from)? == charset).then_some(())?;
        collation_of(u16::from_le_bytes([c, d]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_servers() {
        // Goal: numbers and names of both servers, UCA 14.0.0 included. Method: known ones.
        for (number, name) in [
            (8, "latin1_swedish_ci"),
            (63, "binary"),
            (255, "utf8mb4_0900_ai_ci"),
            (2048, "utf8mb3_uca1400_ai_ci"),
            (2304, "utf8mb4_uca1400_ai_ci"),
            (3271, "utf32_uca1400_croatian_nopad_as_cs"),
        ] {
            assert_eq!(number_of(name), Some(number));
            assert_eq!(collation_of(number), Some(name));
        }
        assert_eq!(collation_name("UTF8_general_ci"), Some("utf8mb3_general_ci"));
        assert_eq!(charset_name("UTF8"), Some("utf8mb3"));
        assert_eq!(collation_name("uca1400_ai_ci"), None);
        assert_eq!(binary_collation("utf8mb4"), Some("utf8mb4_bin"));
        assert_eq!(default_collation("utf8mb4", true, (11, 8, 0)), "utf8mb4_general_ci");
        for (_, name) in ALL.iter() {
            assert!(charset_of(name).is_some(), "{name}");
        }
    }
}
