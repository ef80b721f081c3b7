//! TABLE_MAP: which table a number in the log stands for, and the physical types of its columns.
//!
//! ```text
//!  table id 6 | flags 2 | database: length 1, text, 0 | table: length 1, text, 0
//!  columns lenenc | type codes | metadata: length lenenc, 0 to 4 bytes a column | nullable bits
//!  optional metadata: (kind 1, length lenenc, value)*
//! ```
//! (MySQL: `rows_event.h`, `Table_map_event`; with `binlog_row_metadata = FULL` names, labels and
//! character sets too. MariaDB 10.5+ the same kinds 1 to 11; its default, NO_LOG, sends none.)
//!
//! Enters: the event's body. Leaves: [`TableMap`], and [`column_type`], which joins a physical type
//! with what may come from elsewhere (signedness, character set, labels: from the log under FULL,
//! from the catalogue else). Keeps: every read is checked; what is not told is `None`, never guessed.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use super::charset::of_collation as charset_of_collation;
use super::{charset, decimal};
use crate::cursor::{Cursor, WireError};
use crate::schema::{Charset, ColumnType, OldTemporal, SourceKind};

/// Type codes (`field_types.h`).
pub mod code {
    #![allow(missing_docs)]
    pub const TINY: u8 = 1;
    pub const SHORT: u8 = 2;
    pub const LONG: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const DOUBLE: u8 = 5;
    pub const TIMESTAMP: u8 = 7;
    pub const LONGLONG: u8 = 8;
    pub const INT24: u8 = 9;
    pub const DATE: u8 = 10;
    pub const TIME: u8 = 11;
    pub const DATETIME: u8 = 12;
    pub const YEAR: u8 = 13;
    pub const VARCHAR: u8 = 15;
    pub const BIT: u8 = 16;
    pub const TIMESTAMP2: u8 = 17;
    pub const DATETIME2: u8 = 18;
    pub const TIME2: u8 = 19;
    pub const DECIMAL: u8 = 0;
    pub const BLOB_COMPRESSED: u8 = 140;
    pub const VARCHAR_COMPRESSED: u8 = 141;
    pub const VECTOR: u8 = 242;
    pub const JSON: u8 = 245;
    pub const NEWDECIMAL: u8 = 246;
    pub const ENUM: u8 = 247;
    pub const SET: u8 = 248;
    pub const BLOB: u8 = 252;
    pub const VAR_STRING: u8 = 253;
    pub const STRING: u8 = 254;
    pub const GEOMETRY: u8 = 255;
}

/// A parsed TABLE_MAP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMap {
    /// Number of the table in the log; rows events name it.
    pub table_id: u64,
    /// Flags of the event.
    pub flags: u16,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Columns, in the order of the row images.
    pub columns: Vec<MapColumn>,
    /// Primary key, column and prefix length in characters (0: whole column); FULL only.
    pub primary_key: Option<Vec<(u16, u32)>>,
    /// True if the log names the columns (FULL).
    pub has_names: bool,
}

/// A column of a TABLE_MAP: physical, and what optional metadata told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapColumn {
    /// Type code; ENUM, SET inside STRING are taken out.
    pub code: u8,
    /// Metadata of the type: the bytes of the event, little-endian; for STRING the length in bytes.
    pub meta: u16,
    /// May be NULL.
    pub nullable: bool,
    /// UNSIGNED, of numeric types; `None`: not told.
    pub unsigned: Option<bool>,
    /// Collation id, of character types, ENUM and SET; `None`: not told.
    pub collation: Option<u16>,
    /// Name; `None`: not told.
    pub name: Option<String>,
    /// Labels of ENUM or SET as the log has them, in the column's own character set.
    pub labels: Option<Vec<Vec<u8>>>,
    /// Of GEOMETRY columns: 0 any, 1 POINT, and so on; `None`: not told.
    pub geometry: Option<u64>,
    /// False: INVISIBLE.
    pub visible: bool,
}

impl TableMap {
    /// Reads the body of a TABLE_MAP event (after its 19-byte header, without checksum). `kind`: of
    /// the server that wrote it, as the two families count character columns differently.
    pub fn parse(kind: SourceKind, body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        let table_id = c.uint_le(6)?;
        let flags = c.u16_le()?;
        let database = name(&mut c)?;
        let table = name(&mut c)?;
        let count = lenenc(&mut c)?;
        let codes = c.bytes(count)?;
        let meta_len = lenenc(&mut c)?;
        let mut meta = Cursor::new(c.bytes(meta_len)?);
        let mut columns = Vec::with_capacity(count);
        for &code in codes {
            columns.push(physical(code, &mut meta)?);
        }
        let nullable = c.bytes(count.div_ceil(8))?;
        for (i, column) in columns.iter_mut().enumerate() {
            column.nullable = nullable[i / 8] >> (i % 8) & 1 == 1;
        }
        let mut map = Self { table_id, flags, database, table, columns, ..Self::default() };
        while !c.is_empty() {
            let field = c.u8()?;
            let len = lenenc(&mut c)?;
            map.optional(field, c.bytes(len)?, kind == SourceKind::MariaDb)?;
        }
        Ok(map)
    }

    /// One field of the optional metadata.
    fn optional(&mut self, kind: u8, value: &[u8], mariadb: bool) -> Result<(), WireError> {
        let is_character: fn(&MapColumn) -> bool =
            if mariadb { is_character_of_mariadb } else { is_character };
        let mut c = Cursor::new(value);
        match kind {
            1 => self.signedness(value),
            2 => self.default_charset(&mut c, is_character)?,
            3 => self.column_charset(&mut c, is_character)?,
            4 => {
                for column in &mut self.columns {
                    column.name = Some(lenenc_text(&mut c)?);
                }
                self.has_names = true;
            }
            5 => self.labels(&mut c, code::SET)?,
            6 => self.labels(&mut c, code::ENUM)?,
            7 => {
                let spatial = self.columns.iter_mut().filter(|c| c.code == code::GEOMETRY);
                for column in spatial {
                    column.geometry = Some(lenenc(&mut c)? as u64);
                }
            }
            8 | 9 => {
                let mut key = Vec::new();
                while !c.is_empty() {
                    let column = lenenc(&mut c)?;
                    let prefix = if kind == 9 { lenenc(&mut c)? } else { 0 };
                    if column >= self.columns.len() {
                        return c.invalid("primary key column");
                    }
                    key.push((column as u16, u32::try_from(prefix).unwrap_or(u32::MAX)));
                }
                self.primary_key = Some(key);
            }
            10 => self.default_charset(&mut c, is_labelled)?,
            11 => self.column_charset(&mut c, is_labelled)?,
            12 => {
                for (i, column) in self.columns.iter_mut().enumerate() {
                    column.visible =
                        value.get(i / 8).is_none_or(|byte| byte >> (7 - i % 8) & 1 == 1);
                }
            }
            // Vector dimensions (13), and what later versions add.
            _ => {}
        }
        Ok(())
    }

    /// A bit a numeric column, the first in the highest bit.
    fn signedness(&mut self, value: &[u8]) {
        let numeric = self.columns.iter_mut().filter(|column| is_numeric(column.code));
        for (i, column) in numeric.enumerate() {
            column.unsigned = value.get(i / 8).map(|byte| byte >> (7 - i % 8) & 1 == 1);
        }
    }

    /// One collation for all, then exceptions as (index among them, collation).
    fn default_charset(
        &mut self,
        c: &mut Cursor,
        which: fn(&MapColumn) -> bool,
    ) -> Result<(), WireError> {
        let default = collation(c)?;
        for column in self.columns.iter_mut().filter(|column| which(column)) {
            column.collation = Some(default);
        }
        while !c.is_empty() {
            let index = lenenc(c)?;
            let own = collation(c)?;
            let column = self.columns.iter_mut().filter(|column| which(column)).nth(index);
            let Some(column) = column else { return c.invalid("character set index") };
            column.collation = Some(own);
        }
        Ok(())
    }

    /// A collation for each.
    fn column_charset(
        &mut self,
        c: &mut Cursor,
        which: fn(&MapColumn) -> bool,
    ) -> Result<(), WireError> {
        for column in self.columns.iter_mut().filter(|column| which(column)) {
            column.collation = Some(collation(c)?);
        }
        Ok(())
    }

    /// Labels of every ENUM or SET: a count, then texts.
    fn labels(&mut self, c: &mut Cursor, kind: u8) -> Result<(), WireError> {
        for column in self.columns.iter_mut().filter(|column| column.code == kind) {
            let count = lenenc(c)?;
            let mut labels = Vec::new();
            for _ in 0..count {
                let len = lenenc(c)?;
                labels.push(c.bytes(len)?.to_vec());
            }
            column.labels = Some(labels);
        }
        Ok(())
    }
}

fn name(c: &mut Cursor) -> Result<String, WireError> {
    let len = usize::from(c.u8()?);
    let text = c.bytes(len)?;
    c.skip(1)?;
    utf8(c, text)
}

fn lenenc_text(c: &mut Cursor) -> Result<String, WireError> {
    let len = lenenc(c)?;
    let text = c.bytes(len)?;
    utf8(c, text)
}

/// Identifiers are utf8mb3.
fn utf8(c: &Cursor, text: &[u8]) -> Result<String, WireError> {
    match core::str::from_utf8(text) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => c.invalid("identifier"),
    }
}

fn lenenc(c: &mut Cursor) -> Result<usize, WireError> {
    let value = match c.u8()? {
        short @ 0..=250 => u64::from(short),
        252 => u64::from(c.u16_le()?),
        253 => c.uint_le(3)?,
        254 => c.u64_le()?,
        _ => return c.invalid("length"),
    };
    usize::try_from(value).or_else(|_| c.invalid("length"))
}

fn collation(c: &mut Cursor) -> Result<u16, WireError> {
    let id = lenenc(c)?;
    u16::try_from(id).or_else(|_| c.invalid("collation"))
}

/// Types that have a bit in the signedness field (`is_numeric_type`); YEAR has one, always set,
/// as MySQL 9.7 and MariaDB 10.11 and 11.8 write it.
fn is_numeric(code: u8) -> bool {
    matches!(code, 0..=5 | code::LONGLONG | code::INT24 | code::YEAR | code::NEWDECIMAL)
}

/// Types that have an entry in the character-set fields of MySQL (`is_character_type`).
fn is_character(column: &MapColumn) -> bool {
    let code = column.code;
    matches!(code, code::STRING | code::VAR_STRING | code::VARCHAR | code::BLOB | code::VECTOR)
}

/// The same of MariaDB: whatever has a character set, spatial data's too (`Binlog_type_info::m_cs`).
fn is_character_of_mariadb(column: &MapColumn) -> bool {
    is_character(column)
        || matches!(column.code, code::BLOB_COMPRESSED | code::VARCHAR_COMPRESSED | code::GEOMETRY)
}

/// Types that have an entry in the ENUM and SET character-set fields.
fn is_labelled(column: &MapColumn) -> bool {
    matches!(column.code, code::ENUM | code::SET)
}

/// Takes a column's metadata and the real type out of STRING's.
fn physical(code: u8, meta: &mut Cursor) -> Result<MapColumn, WireError> {
    let bytes = match code {
        code::FLOAT | code::DOUBLE | code::BLOB | code::JSON | code::GEOMETRY | code::VECTOR => 1,
        249..=251 => 1,
        code::TIMESTAMP2 | code::DATETIME2 | code::TIME2 => 1,
        code::VARCHAR | code::VAR_STRING | code::BIT | code::NEWDECIMAL => 2,
        code::STRING | code::ENUM | code::SET => 2,
        // MariaDB's compressed columns carry their kind's metadata.
        code::BLOB_COMPRESSED => 1,
        code::VARCHAR_COMPRESSED => 2,
        _ => 0,
    };
    let mut column = MapColumn { code, visible: true, ..MapColumn::default() };
    column.meta = match bytes {
        1 => u16::from(meta.u8()?),
        2 => meta.u16_le()?,
        _ => 0,
    };
    if code == code::STRING {
        // First byte the real type, second the length; lengths above 255 have their two high bits
        // inverted in bits 4 and 5 of the first byte (`Field_string::do_save_field_metadata`).
        let [real, len] = column.meta.to_le_bytes();
        if real & 0x30 != 0x30 {
            column.meta = u16::from(len) | u16::from(!real & 0x30) << 4;
            column.code = real | 0x30;
        } else {
            column.meta = u16::from(len);
            column.code = real;
        }
    }
    Ok(column)
}

/// What decides a column's type beside the physical type code; from the log or the catalogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnFacts {
    /// UNSIGNED; needed for integers.
    pub unsigned: Option<bool>,
    /// Character set; needed for character types, ENUM and SET. `Some(None)`: binary.
    pub charset: Option<Option<Charset>>,
    /// Labels; needed for ENUM and SET.
    pub labels: Option<Arc<[String]>>,
    /// FLOAT(m,d), which Debezium emits as the widened double.
    pub float_widened: bool,
    /// BINARY(n)'s n where the log cannot tell; else from the log.
    pub fixed: Option<u32>,
    /// MariaDB's UUID, INET4, INET6 and VECTOR, which the log shows as BINARY and VARBINARY: the
    /// type's name.
    pub extension: Option<String>,
    /// Of spatial types: declared POINT.
    pub point: Option<bool>,
    /// Fractional digits of a temporal type in the format before 5.6, of which the log is silent.
    pub old_digits: Option<u8>,
}

impl ColumnFacts {
    /// What the log itself told (FULL metadata).
    pub fn of(column: &MapColumn) -> Self {
        let charset = column.collation.map(charset::of_collation);
        let labels = column.labels.as_ref().and_then(|labels| decode_labels(labels, charset?));
        let point = column.geometry.map(|kind| kind == 1);
        Self { unsigned: column.unsigned, charset, labels, point, ..Self::default() }
    }
}

/// Labels in UTF-8; `None` if their character set is not known.
pub fn decode_labels(labels: &[Vec<u8>], charset: Option<Charset>) -> Option<Arc<[String]>> {
    let charset = charset.unwrap_or(Charset::Utf8);
    if matches!(charset, Charset::Other(_)) {
        return None;
    }
    let decode = |label: &Vec<u8>| {
        let mut text = String::with_capacity(label.len());
        charset::decode(charset, label, |ch| text.push(ch));
        text
    };
    Some(labels.iter().map(decode).collect())
}

/// Joins a physical type with the facts about it. What is not known, or not decoded by this version,
/// is `Unsupported` with a name that says so: a row with it is an error, never a guess.
pub fn column_type(column: &MapColumn, facts: &ColumnFacts) -> ColumnType {
    let unsupported = |name: &str| ColumnType::Unsupported { name: name.to_string() };
    let int = |bits| match facts.unsigned {
        Some(unsigned) => ColumnType::Int { bits, unsigned },
        None => unsupported("integer whose signedness is not known"),
    };
    let meta = column.meta;
    let [low, high] = meta.to_le_bytes();
    if let Some(extension) = &facts.extension {
        return extension_type(extension, column);
    }
    match column.code {
        code::TINY => int(8),
        code::SHORT => int(16),
        code::INT24 => int(24),
        code::LONG => int(32),
        code::LONGLONG => int(64),
        code::FLOAT => ColumnType::Float { widened: facts.float_widened },
        code::DOUBLE => ColumnType::Double,
        code::NEWDECIMAL if decimal::size(u16::from(low), u16::from(high)).is_some() => {
            ColumnType::Decimal { precision: u16::from(low), scale: u16::from(high) }
        }
        code::DATE => ColumnType::Date,
        code::TIME2 if low <= 6 => ColumnType::Time { digits: low },
        code::DATETIME2 if low <= 6 => ColumnType::DateTime { digits: low },
        code::TIMESTAMP2 if low <= 6 => ColumnType::Timestamp { digits: low },
        code::YEAR => ColumnType::Year,
        code::BIT => bit(low, high),
        code::JSON if matches!(low, 1..=4) => ColumnType::Json { length_bytes: low },
        code::VARCHAR | code::VAR_STRING => text(facts, prefix(meta), None),
        code::STRING => text(facts, prefix(meta), Some(facts.fixed.unwrap_or(u32::from(meta)))),
        code::BLOB if matches!(low, 1..=4) => text(facts, low, None),
        code::BLOB_COMPRESSED if matches!(low, 1..=4) => compressed(facts, low, blob_max(low)),
        code::VARCHAR_COMPRESSED => compressed(facts, prefix(meta), u32::from(meta)),
        code::VECTOR if matches!(low, 1..=4) => ColumnType::Vector { length_bytes: low },
        code::GEOMETRY if matches!(low, 1..=4) => match facts.point {
            Some(point) => ColumnType::Geometry { length_bytes: low, point },
            None => unsupported("a spatial type that may be POINT or not"),
        },
        code::TIME if facts.old_digits == Some(0) => ColumnType::Old(OldTemporal::Time),
        code::DATETIME if facts.old_digits == Some(0) => ColumnType::Old(OldTemporal::DateTime),
        code::TIMESTAMP if facts.old_digits == Some(0) => ColumnType::Old(OldTemporal::Timestamp),
        code::ENUM => match &facts.labels {
            Some(labels) => ColumnType::Enum { bytes: low, labels: Arc::clone(labels) },
            None => unsupported("ENUM whose labels are not known"),
        },
        code::SET => match &facts.labels {
            Some(labels) => ColumnType::Set { bytes: low, labels: Arc::clone(labels) },
            None => unsupported("SET whose labels are not known"),
        },
        code => unsupported(type_name(code)),
    }
}

/// BIT(n): the metadata is n % 8, n / 8.
fn bit(rest: u8, bytes: u8) -> ColumnType {
    ColumnType::Bit { bits: u16::from(bytes) * 8 + u16::from(rest) }
}

/// Bytes of the length prefix of a string of at most `max` bytes.
fn prefix(max: u16) -> u8 {
    if max > 255 { 2 } else { 1 }
}

fn text(facts: &ColumnFacts, length_bytes: u8, fixed: Option<u32>) -> ColumnType {
    match facts.charset {
        Some(Some(charset)) => ColumnType::Text { length_bytes, charset },
        Some(None) => ColumnType::Bytes { length_bytes, fixed },
        None => ColumnType::Unsupported {
            name: "character or binary data whose character set is not known".to_string(),
        },
    }
}

fn compressed(facts: &ColumnFacts, length_bytes: u8, max: u32) -> ColumnType {
    match facts.charset {
        Some(charset) => ColumnType::Compressed { length_bytes, charset, max },
        None => ColumnType::Unsupported {
            name: "a COMPRESSED column whose character set is not known".to_string(),
        },
    }
}

/// What a BLOB with `length_bytes` of length holds at most.
pub fn blob_max(length_bytes: u8) -> u32 {
    u32::MAX >> (32 - 8 * u32::from(length_bytes.clamp(1, 4)))
}

/// MariaDB's types that the log shows as BINARY(n) and VARBINARY(n).
fn extension_type(name: &str, column: &MapColumn) -> ColumnType {
    let name = name.to_ascii_lowercase();
    match (name.as_str(), column.code, column.meta) {
        ("uuid", code::STRING, 16) => ColumnType::Uuid,
        ("inet4", code::STRING, 4) => ColumnType::Inet { bytes: 4 },
        ("inet6", code::STRING, 16) => ColumnType::Inet { bytes: 16 },
        ("vector", code::VECTOR, 1..=4) => {
            ColumnType::Vector { length_bytes: column.meta.to_le_bytes()[0] }
        }
        ("vector", code::VARCHAR, max) => ColumnType::Vector { length_bytes: prefix(max) },
        _ => ColumnType::Unsupported { name: name.to_ascii_uppercase() },
    }
}

/// A name for a message.
fn type_name(code: u8) -> &'static str {
    match code {
        code::TIMESTAMP => "TIMESTAMP in the format before 5.6, not known to be without fraction",
        code::TIME => "TIME in the format before 5.6, not known to be without fraction",
        code::DATETIME => "DATETIME in the format before 5.6, not known to be without fraction",
        code::DECIMAL => "DECIMAL in the format before 5.0 (REPAIR or rebuild the table)",
        _ => "a type that this version does not know",
    }
}
