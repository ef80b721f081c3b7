//! What a user may do to columns by name: choose the key's (`message_key_columns`), cut, mask or hash
//! text (`column_truncate_to_…`, `column_mask_…`).
//!
//! Enters: patterns over `schema.table.column` (`db.table.column`). Leaves: the key of a table, the
//! rule of a column, and the text of a value under its rule. Keeps: Debezium's bytes (ENVELOPE
//! section 7); the first rule that fits a column counts, in the order truncate, mask, hash, hash v2;
//! keys are never masked; a column without a rule pays nothing.

use md5::Md5;
use penstock_protocol::schema::{Column, ColumnType, TableName, TableSchema};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use super::text::escaped;

/// Rules by column, as the options hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRules {
    /// `message_key_columns`: one pattern a column, in the order of the key.
    pub keys: Vec<ColumnPattern>,
    /// What happens to values, in the order in which they are looked at.
    pub cells: Vec<(ColumnPattern, CellRule)>,
}

/// An anchored regular expression over a column's full name. Equal if its text is.
#[derive(Clone, Debug)]
pub struct ColumnPattern(pub regex::Regex);

impl PartialEq for ColumnPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for ColumnPattern {}

/// What happens to the text of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellRule {
    /// Cut to this many characters (UTF-16 units, as in Java; a pair is not split).
    Truncate(u32),
    /// This many asterisks instead, for NULL too.
    Mask(u32),
    /// The hash of salt and text, in hexadecimal digits. Not cut to the column's length.
    Hash {
        /// Algorithm.
        algorithm: HashAlgorithm,
        /// Put before the text.
        salt: String,
        /// Of the text alone; else of the Java object that holds it.
        v2: bool,
    },
}

/// Java's names for digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// MD5
    Md5,
    /// SHA-1
    Sha1,
    /// SHA-224
    Sha224,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
    /// SHA-512/224
    Sha512Of224,
    /// SHA-512/256
    Sha512Of256,
}

impl HashAlgorithm {
    /// By its name in Java, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA-224" => Self::Sha224,
            "SHA-256" => Self::Sha256,
            "SHA-384" => Self::Sha384,
            "SHA-512" => Self::Sha512,
            "SHA-512/224" => Self::Sha512Of224,
            "SHA-512/256" => Self::Sha512Of256,
            _ => return None,
        })
    }

    fn hex(self, salt: &[u8], text: &[u8]) -> String {
        fn of<D: Digest>(salt: &[u8], text: &[u8]) -> String {
            let digest = D::new().chain_update(salt).chain_update(text).finalize();
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self {
            Self::Md5 => of::<Md5>(salt, text),
            Self::Sha1 => of::<Sha1>(salt, text),
            Self::Sha224 => of::<Sha224>(salt, text),
            Self::Sha256 => of::<Sha256>(salt, text),
            Self::Sha384 => of::<Sha384>(salt, text),
            Self::Sha512 => of::<Sha512>(salt, text),
            Self::Sha512Of224 => of::<Sha512_224>(salt, text),
            Self::Sha512Of256 => of::<Sha512_256>(salt, text),
        }
    }
}

impl ColumnRules {
    /// The key of this table's records, if `message_key_columns` names columns of it.
    pub(super) fn key_of(&self, schema: &TableSchema) -> Option<Vec<u16>> {
        let mut key = Vec::new();
        for pattern in &self.keys {
            for (col, column) in (0_u16..).zip(&schema.columns) {
                if pattern.0.is_match(&full_name(&schema.name, column)) && !key.contains(&col) {
                    key.push(col);
                }
            }
        }
        (!key.is_empty()).then_some(key)
    }

    /// The rule of a column whose values it fits.
    pub(super) fn of(&self, table: &TableName, column: &Column) -> Option<&CellRule> {
        if self.cells.is_empty() {
            return None;
        }
        let name = full_name(table, column);
        let (_, rule) = self.cells.iter().find(|(pattern, _)| pattern.0.is_match(&name))?;
        rule.fits(&column.ty).then_some(rule)
    }
}

fn full_name(table: &TableName, column: &Column) -> String {
    format!("{table}.{}", column.name)
}

impl CellRule {
    /// Masks and hashes are for character types alone, truncation for every string and for bytes.
    fn fits(&self, ty: &ColumnType) -> bool {
        match ty {
            ColumnType::Text { .. } | ColumnType::Enum { .. } | ColumnType::Set { .. } => true,
            ColumnType::Json { .. } | ColumnType::NamedText { .. } => {
                matches!(self, Self::Truncate(_))
            }
            _ => false,
        }
    }

    /// A constant that stands in a column, under the rule. `mapped`: it is a value, not the default
    /// that a converter shows for NULL, which no rule changes but a mask.
    pub(super) fn constant(&self, json: &[u8], mapped: bool) -> Vec<u8> {
        match self {
            Self::Mask(_) => self.apply(json),
            _ if mapped && json.first() == Some(&b'"') => self.apply(json),
            _ => json.to_vec(),
        }
    }

    /// A JSON string, under the rule.
    pub(super) fn apply(&self, json: &[u8]) -> Vec<u8> {
        let text = || serde_json::from_slice::<String>(json).unwrap_or_default();
        let ruled = match self {
            Self::Mask(stars) => "*".repeat(*stars as usize),
            Self::Truncate(most) => cut(text(), *most as usize),
            Self::Hash { algorithm, salt, v2: true } => {
                algorithm.hex(salt.as_bytes(), text().as_bytes())
            }
            Self::Hash { algorithm, salt, v2: false } => {
                algorithm.hex(salt.as_bytes(), &java_object(&text()))
            }
        };
        let mut out = vec![b'"'];
        out.extend(escaped(&ruled));
        out.push(b'"');
        out
    }
}

/// The first `most` UTF-16 units of a text.
fn cut(mut text: String, most: usize) -> String {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > most {
            text.truncate(at);
            break;
        }
    }
    text
}

/// A `String` as Java's `ObjectOutputStream` writes it (Java Object Serialization Specification,
/// section 6.4): magic, version, type, length, modified UTF-8.
fn java_object(text: &str) -> Vec<u8> {
    let mut utf = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        let low = |shift: u32| 0x80 | ((unit >> shift) & 0x3F) as u8;
        match unit {
            1..=0x7F => utf.push(unit as u8),
            0 | 0x80..=0x7FF => utf.extend([0xC0 | (unit >> 6) as u8, low(0)]),
            _ => utf.extend([0xE0 | (unit >> 12) as u8, low(6), low(0)]),
        }
    }
    let mut out = vec![0xAC, 0xED, 0x00, 0x05];
    match u16::try_from(utf.len()) {
        Ok(len) => {
            out.push(0x74);
            out.extend(len.to_be_bytes());
        }
        Err(_) => {
            out.push(0x7C);
            out.extend((utf.len() as u64).to_be_bytes());
        }
    }
    out.extend(utf);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rule: &CellRule, json: &str) -> String {
        String::from_utf8(rule.apply(json.as_bytes())).expect("UTF-8")
    }

    #[test]
    fn text_is_cut_by_java_characters() {
        // Goal: `column_truncate_to_N_chars`; method: escapes, a text of two-unit characters, none.
        let rule = CellRule::Truncate(3);
        assert_eq!(apply(&rule, r#""ab\"cd""#), r#""ab\"""#);
        assert_eq!(apply(&rule, "\"abc\""), "\"abc\"");
        assert_eq!(apply(&rule, "\"a\u{1F600}\u{1F600}\""), r#""a\uD83D\uDE00""#);
        assert_eq!(apply(&CellRule::Truncate(0), "\"x\""), "\"\"");
    }

    #[test]
    fn masks_and_constants() {
        // Goal: asterisks for everything, NULL too; other rules leave null and a shown default.
        assert_eq!(apply(&CellRule::Mask(4), "\"secret\""), "\"****\"");
        assert_eq!(CellRule::Mask(1).constant(b"null", false), b"\"*\"");
        let cut = CellRule::Truncate(1);
        assert_eq!(cut.constant(b"null", true), b"null");
        assert_eq!(cut.constant(b"\"default\"", false), b"\"default\"");
        assert_eq!(cut.constant(b"\"default\"", true), b"\"d\"");
    }

    #[test]
    fn hashes_are_of_the_bytes_that_java_hashes() {
        // Goal: both strategies, byte for byte. Method: the objects by their specification; hashes of
        // known texts (`printf 'saltabc' | sha256sum`, `printf 'abc' | md5sum`).
        assert_eq!(java_object("ab"), [0xAC, 0xED, 0, 5, 0x74, 0, 2, b'a', b'b']);
        assert_eq!(
            java_object("\0é\u{1F600}")[5..],
            [0, 10, 0xC0, 0x80, 0xC3, 0xA9, 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80]
        );
        let long = java_object(&"x".repeat(65_536));
        assert_eq!(long[..13], [0xAC, 0xED, 0, 5, 0x7C, 0, 0, 0, 0, 0, 1, 0, 0]);
        let hash = |algorithm, salt: &str, v2| CellRule::Hash { algorithm, salt: salt.into(), v2 };
        assert_eq!(
            apply(&hash(HashAlgorithm::Md5, "", true), "\"abc\""),
            "\"900150983cd24fb0d6963f7d28e17f72\""
        );
        assert_eq!(
            apply(&hash(HashAlgorithm::Sha1, "a", true), "\"bc\""),
            "\"a9993e364706816aba3e25717850c26c9cd0d89d\""
        );
        assert_eq!(
            apply(&hash(HashAlgorithm::Sha256, "ab", true), "\"c\""),
            "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""
        );
        assert_eq!(apply(&hash(HashAlgorithm::Sha256, "salt", false), "\"abc\""), V1_SALT_ABC);
    }

    /// `printf 'salt\xac\xed\x00\x05\x74\x00\x03abc' | sha256sum`
    const V1_SALT_ABC: &str =
        "\"42d7a081efd6e39d260bdb3c417b0d1e353ac43cfd1c47cd97c7ba9b98f295eb\"";
}
