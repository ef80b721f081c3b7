//! Schemas as the row path needs them: one `TableSchema` a version of a table, columns in the
//! order of the log. Built by the source (TABLE_MAP, Relation, catalogue), compiled by the shard.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::frame::TableId;

/// Which family's formats and rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// MySQL 8.0 to 9.x.
    MySql,
    /// MariaDB 10.5 to 11.x.
    MariaDb,
    /// PostgreSQL 13 to 18.
    Postgres,
}

/// A table's full name. MySQL and MariaDB: `database` and `table`, `schema` is empty.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct TableName {
    /// Database.
    pub database: String,
    /// PostgreSQL schema; empty elsewhere.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl core::fmt::Display for TableName {
    /// `db.table` or `schema.table`: what filters and Debezium's lists match.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let first = if self.schema.is_empty() { &self.database } else { &self.schema };
        write!(f, "{first}.{}", self.table)
    }
}

/// One version of a table: immutable, shared by reader and shard.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TableSchema {
    /// The table.
    pub table: TableId,
    /// Rises by one with each change of this table in this process.
    pub version: u32,
    /// Its name at this version.
    pub name: TableName,
    /// All columns that the log carries, in the log's order.
    pub columns: Vec<Column>,
    /// Columns of the record key (indexes into `columns`), in key order; empty: no key.
    pub key: Vec<u16>,
    /// PostgreSQL: columns of the replica identity, as the Relation message flags them.
    pub identity: Vec<u16>,
    /// PostgreSQL: `relreplident` ('d', 'n', 'f', 'i'); else 'f' (MySQL images are whole).
    pub replica_identity: u8,
    /// MariaDB: the two columns of the system-versioning period, start and end. Rows whose end is
    /// not the greatest value are history and no events of the key (HAZARDS L24).
    #[serde(default)]
    pub period: Option<[u16; 2]>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type as the row path decodes it.
    pub ty: ColumnType,
    /// May be NULL.
    pub nullable: bool,
    /// The schema default that Debezium's converter prints for NULL (ENVELOPE.md, section 2).
    pub default: Option<DefaultValue>,
    /// Part of the record value (false: left out by a column filter; it may still be in the key).
    pub included: bool,
}

/// A literal default, in the column's own terms; expressions become a placeholder or none by the
/// source's rule before they get here.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum DefaultValue {
    /// The text of the literal as the catalogue gives it, unquoted, in the source's text form of
    /// the column's type (PostgreSQL output text, MySQL literal).
    Text(String),
    /// Debezium's placeholder for a default that is an expression: the type's fallback value.
    Placeholder,
    /// Nothing tells whether there is one (no catalogue that fits, a generated column): as none
    /// where NULL is printed, but a column that an insert leaves out is then unknown, not NULL.
    Unknown,
}

/// A column's type. Physical parameters that decoding needs are inside; what this version does not
/// decode is `Unsupported`: using it is a Definite error of the table (HAZARDS L21), never a guess.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum ColumnType {
    /// PostgreSQL bool.
    Bool,
    /// Integers; `bits` is the width stored: 8, 16, 24, 32, 64.
    Int { bits: u8, unsigned: bool },
    /// Single precision. `widened`: MySQL FLOAT(m,d), which Debezium emits as the widened double.
    Float { widened: bool },
    /// Double precision.
    Double,
    /// DECIMAL(precision, scale), NUMERIC(p,s).
    Decimal { precision: u16, scale: u16 },
    /// PostgreSQL NUMERIC without scale.
    DecimalVariable,
    /// Character data; MySQL: `length_bytes` of the length prefix in the row image (0: by blob
    /// pack length in `Blob` style types is not used here), and the character set.
    Text { length_bytes: u8, charset: Charset },
    /// Binary data. `fixed`: BINARY(n), right-padded with zero bytes to n.
    Bytes { length_bytes: u8, fixed: Option<u32> },
    /// Calendar date.
    Date,
    /// Time of day or duration with `digits` fractional digits.
    Time { digits: u8 },
    /// PostgreSQL time with time zone.
    TimeTz { digits: u8 },
    /// Zone-less timestamp (MySQL DATETIME, PostgreSQL timestamp).
    DateTime { digits: u8 },
    /// Instant (MySQL TIMESTAMP, PostgreSQL timestamptz). `digits` 0 to 6.
    Timestamp { digits: u8 },
    /// MySQL JSON (binary in the log, `length_bytes` prefix), PostgreSQL json and jsonb (text).
    Json { length_bytes: u8 },
    /// UUID. MariaDB: 16 binary bytes in the log; PostgreSQL: text.
    Uuid,
    /// MySQL YEAR.
    Year,
    /// ENUM: labels in definition order, already UTF-8; `bytes` of the index in the image; 0 on
    /// PostgreSQL, whose log holds the label.
    Enum {
        bytes: u8,
        #[serde(with = "labels")]
        labels: Arc<[String]>,
    },
    /// MySQL SET: labels in definition order; `bytes` of the bit mask in the image.
    Set {
        bytes: u8,
        #[serde(with = "labels")]
        labels: Arc<[String]>,
    },
    /// MySQL BIT(n), PostgreSQL bit(n) and varbit(n).
    Bit { bits: u16 },
    /// PostgreSQL text that Debezium's schemas give a name of its own.
    NamedText { name: TextName },
    /// PostgreSQL money: `digits` fractional digits, by the server's `lc_monetary`.
    Money { digits: u8 },
    /// PostgreSQL interval.
    Interval,
    /// hstore.
    Hstore,
    /// PostgreSQL point.
    PgPoint,
    /// PostGIS geometry, or geography: hexadecimal EWKB.
    PgGeometry { geography: bool },
    /// pgvector's vector, or halfvec.
    PgVector { half: bool },
    /// pgvector's sparsevec.
    SparseVector,
    /// PostgreSQL array of any number of dimensions.
    Array {
        /// Type of the elements.
        element: Box<ColumnType>,
        /// `typdelim` of the element's type.
        delimiter: u8,
        /// An element may be NULL: else Debezium cannot convert an array that holds one.
        nulls: bool,
        /// What stands for an unchanged array that is not in the log.
        placeholder: ArrayPlaceholder,
    },
    /// A type that Debezium has no form for: its column is left out of records, or, with
    /// `include_unknown_datatypes`, holds its text as bytes.
    Unknown { name: String, form: UnknownForm },
    /// MySQL spatial data: SRID 4, WKB. `point`: declared POINT, whose records have x and y.
    Geometry { length_bytes: u8, point: bool },
    /// MySQL VECTOR, and MariaDB's (VARBINARY in the log): little-endian single floats.
    Vector { length_bytes: u8 },
    /// MariaDB INET4, INET6: BINARY(4), BINARY(16) in the log; `bytes` of the address.
    Inet { bytes: u8 },
    /// MariaDB's COMPRESSED columns of at most `max` bytes: packed in the log, plain in a snapshot.
    /// `charset`: of text; none: binary.
    Compressed { length_bytes: u8, charset: Option<Charset>, max: u32 },
    /// TIME, DATETIME and TIMESTAMP without fraction in the format before MySQL 5.6
    /// (MariaDB's `mysql56_temporal_format = OFF`).
    Old(OldTemporal),
    /// Known to exist and not decoded yet: the source's name for it.
    Unsupported { name: String },
}

/// Names of Debezium's schemas for text (`io.debezium.data.*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TextName {
    /// xml
    Xml,
    /// ltree
    Ltree,
    /// tsvector
    Tsvector,
}

/// What Debezium puts in place of an unchanged array, by its type (`UnchangedToasted*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ArrayPlaceholder {
    /// Nothing: the conversion fails.
    None,
    /// The placeholder's text, alone.
    Text,
    /// The placeholder's bytes, alone.
    Bytes,
    /// The placeholder's bytes, a number each.
    Numbers,
    /// The placeholder's UUID of version 3, alone.
    Uuid,
}

/// The text of a type that Debezium has no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UnknownForm {
    /// As the server prints it.
    Text,
    /// With its numbers spelled as Java spells doubles: box, lseg, path, polygon, line, circle.
    Geometric,
    /// Left out in any case: arrays that Debezium has no converter for.
    Never,
}

/// Temporal types in the format before MySQL 5.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OldTemporal {
    /// Three bytes, `±HHMMSS` as a number.
    Time,
    /// Eight bytes, `YYYYMMDDHHMMSS` as a number.
    DateTime,
    /// Four bytes, seconds since the epoch.
    Timestamp,
}

/// Character sets of MySQL text, by the server's names (`mysql::charset` decodes them). PostgreSQL
/// text is always UTF-8 (client_encoding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum Charset {
    /// utf8mb4, utf8mb3: bytes are UTF-8 already.
    Utf8,
    /// windows-1252, its five holes as themselves.
    Latin1,
    Armscii8,
    Ascii,
    Big5,
    Cp1250,
    Cp1251,
    Cp1256,
    Cp1257,
    Cp850,
    Cp852,
    Cp866,
    Cp932,
    Dec8,
    Eucjpms,
    Euckr,
    Gb18030,
    Gb2312,
    Gbk,
    Geostd8,
    Greek,
    Hebrew,
    Hp8,
    Keybcs2,
    Koi8r,
    Koi8u,
    Latin2,
    Latin5,
    Latin7,
    Macce,
    Macroman,
    Sjis,
    Swe7,
    Tis620,
    Ucs2,
    Ujis,
    Utf16,
    Utf16Le,
    Utf32,
    /// A character set that is not known; the collation id. Definite if a row uses it.
    Other(u16),
    /// The log does not tell it, nor whether this is text at all: for `decode`, which only shows.
    /// Text where the bytes are UTF-8, else base64.
    Untold,
}

/// serde form of shared labels: a list of strings (serde's own `rc` feature stays off).
mod labels {
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(labels: &Arc<[String]>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(labels.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[String]>, D::Error> {
        Vec::deserialize(from).map(Arc::from)
    }
}
