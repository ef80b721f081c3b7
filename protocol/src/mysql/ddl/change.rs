//! What a statement changes, in its own words: nothing is resolved here (which character set a
//! column inherits, whether a key makes it NOT NULL). `shards::history` does that.
//!
//! Enters: made by [`parse`](super::parse). Leaves: read by the schema history. Keeps: clauses
//! stand in the order of the statement; names are unquoted, as written.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Named;

/// A change of schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// CREATE TABLE.
    CreateTable(CreateTable),
    /// MariaDB: CREATE SEQUENCE, a table of one row.
    CreateSequence {
        /// Its name.
        name: Named,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// The values are unsigned (`AS INT UNSIGNED`, 11.5), and their type.
        ty: Option<DataType>,
    },
    /// ALTER TABLE; CREATE INDEX and DROP INDEX are one clause of it.
    AlterTable {
        /// The table.
        name: Named,
        /// MariaDB: IF EXISTS.
        if_exists: bool,
        /// What is altered, in the statement's order.
        clauses: Vec<Clause>,
    },
    /// RENAME TABLE a TO b, …: one after the other.
    RenameTables(Vec<(Named, Named)>),
    /// DROP TABLE, DROP SEQUENCE.
    DropTables(Vec<Named>),
    /// TRUNCATE TABLE.
    Truncate(Named),
    /// CREATE DATABASE.
    CreateDatabase {
        /// Its name.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// MariaDB: OR REPLACE, which drops the old one with its tables.
        or_replace: bool,
        /// Default character set and collation.
        charset: CharsetClause,
    },
    /// ALTER DATABASE.
    AlterDatabase {
        /// Its name; `None`: the session's.
        name: Option<String>,
        /// New defaults.
        charset: CharsetClause,
    },
    /// DROP DATABASE.
    DropDatabase(String),
    /// It changes these tables, and was not understood.
    Unknown {
        /// The tables, under their old and new names.
        tables: Vec<Named>,
        /// What was expected.
        what: &'static str,
        /// Byte of the statement where reading stopped.
        offset: usize,
    },
}

/// CREATE TABLE.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTable {
    /// The table.
    pub name: Option<Named>,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// MariaDB: OR REPLACE.
    pub or_replace: bool,
    /// LIKE: the table whose definition is copied.
    pub like: Option<Named>,
    /// Columns, in order.
    pub columns: Vec<ColumnDdl>,
    /// Keys, those of column definitions first where the server has them first.
    pub keys: Vec<KeyDdl>,
    /// PERIOD FOR SYSTEM_TIME (start, end).
    pub period: Option<(String, String)>,
    /// Options.
    pub options: TableOptions,
    /// A SELECT follows, whose columns the statement does not tell.
    pub selects: bool,
}

/// Options of a table that matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// Default character set and collation.
    pub charset: CharsetClause,
    /// COMMENT.
    pub comment: Option<String>,
    /// MariaDB: WITH SYSTEM VERSIONING.
    pub versioned: bool,
    /// ENGINE, as written.
    pub engine: Option<String>,
}

/// Character set and collation as written; both absent: inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CharsetClause {
    /// CHARACTER SET.
    pub charset: Option<String>,
    /// COLLATE.
    pub collation: Option<String>,
}

/// A clause of ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum Clause {
    /// ADD COLUMN.
    AddColumn {
        /// The column.
        column: ColumnDdl,
        /// Where; `None`: last.
        place: Option<Place>,
        /// MariaDB: IF NOT EXISTS.
        if_not_exists: bool,
    },
    /// CHANGE COLUMN, and MODIFY COLUMN (`old` is the column's own name).
    ChangeColumn {
        /// Its name before.
        old: String,
        /// The column from now on.
        column: ColumnDdl,
        /// Where; `None`: where it is.
        place: Option<Place>,
        /// MariaDB: IF EXISTS.
        if_exists: bool,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Its name before.
        old: String,
        /// Its name from now on.
        new: String,
        /// MariaDB: IF EXISTS.
        if_exists: bool,
    },
    /// DROP COLUMN.
    DropColumn {
        /// The column.
        name: String,
        /// MariaDB: IF EXISTS.
        if_exists: bool,
    },
    /// ALTER COLUMN … SET DEFAULT; `None`: DROP DEFAULT.
    SetDefault {
        /// The column.
        name: String,
        /// The new default.
        default: Option<DefaultDdl>,
    },
    /// ALTER COLUMN … SET VISIBLE or INVISIBLE.
    SetInvisible {
        /// The column.
        name: String,
        /// INVISIBLE.
        invisible: bool,
    },
    /// ADD PRIMARY KEY, UNIQUE, INDEX, FOREIGN KEY.
    AddKey(KeyDdl),
    /// DROP PRIMARY KEY.
    DropPrimaryKey,
    /// DROP INDEX, DROP KEY.
    DropKey(String),
    /// DROP CONSTRAINT: a unique key, or something that does not matter.
    DropConstraint(String),
    /// DROP FOREIGN KEY: its index stays.
    DropForeignKey(String),
    /// RENAME INDEX.
    RenameKey {
        /// Before.
        old: String,
        /// From now on.
        new: String,
    },
    /// RENAME TO.
    RenameTable(Named),
    /// CONVERT TO CHARACTER SET; both absent: to the database's default.
    Convert(CharsetClause),
    /// Table options, among them the default character set.
    Options(TableOptions),
    /// MariaDB: ADD SYSTEM VERSIONING.
    AddVersioning,
    /// MariaDB: DROP SYSTEM VERSIONING.
    DropVersioning,
    /// MariaDB: ADD PERIOD FOR SYSTEM_TIME.
    AddPeriod(String, String),
    /// EXCHANGE PARTITION … WITH TABLE: rows of both change without row events.
    ExchangePartition(Named),
    /// DROP, TRUNCATE, DISCARD, IMPORT PARTITION or TABLESPACE: rows change without row events.
    RowsRemoved,
    /// CONVERT PARTITION … TO TABLE (MariaDB 10.7): a table of the same columns appears.
    ConvertPartitionTo(Named),
    /// CONVERT TABLE … TO PARTITION (MariaDB 10.7): that table goes.
    ConvertTableFrom(Named),
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// FIRST.
    First,
    /// AFTER this one.
    After(String),
}

/// A column as a statement defines it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnDdl {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: DataType,
    /// NULL or NOT NULL, the last one given; `None`: neither.
    pub nullable: Option<bool>,
    /// DEFAULT.
    pub default: Option<DefaultDdl>,
    /// ON UPDATE CURRENT_TIMESTAMP, with its digits.
    pub on_update: Option<u8>,
    /// AS (…).
    pub generated: Option<Generated>,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// INVISIBLE.
    pub invisible: bool,
    /// COMMENT.
    pub comment: Option<String>,
    /// MariaDB: GENERATED ALWAYS AS ROW START or END.
    pub row: Option<RowBound>,
    /// MariaDB: WITH (true) or WITHOUT SYSTEM VERSIONING.
    pub versioning: Option<bool>,
    /// CHECK (json_valid(column)), by which MariaDB's SHOW CREATE TABLE tells JSON from LONGTEXT.
    pub json_valid: bool,
    /// PRIMARY KEY.
    pub primary: bool,
    /// UNIQUE.
    pub unique: bool,
    /// REFERENCES: a foreign key of this column, where the server heeds it.
    pub references: bool,
}

/// A generated column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// STORED, PERSISTENT.
    pub stored: bool,
    /// The expression as written, without its brackets.
    pub expression: String,
}

/// Which end of a row's life a column of MariaDB's system versioning holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowBound {
    /// ROW START.
    Start,
    /// ROW END.
    End,
}

/// A default as a statement gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultDdl {
    /// NULL.
    Null,
    /// `'text'`, with or without introducer; escapes are resolved.
    Text(String),
    /// `-1.5`, `TRUE` (as `1`): as written.
    Number(String),
    /// `b'101'`, `0b101`: its digits.
    Bits(String),
    /// `x'4142'`, `0x4142`: its digits.
    Hex(String),
    /// CURRENT_TIMESTAMP and its synonyms, with the digits in brackets.
    Now(u8),
    /// Anything else, as written, without outer brackets.
    Expression(String),
}

/// A key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDdl {
    /// What kind.
    pub kind: KeyKind,
    /// Its name; `None`: the server makes one.
    pub name: Option<String>,
    /// CONSTRAINT name, where it differs from the key's.
    pub constraint: Option<String>,
    /// Its parts, in order.
    pub parts: Vec<KeyPart>,
    /// MariaDB: IF NOT EXISTS.
    pub if_not_exists: bool,
    /// MariaDB: CREATE OR REPLACE INDEX.
    pub or_replace: bool,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
    /// Any other index.
    Plain,
    /// FULLTEXT.
    Fulltext,
    /// SPATIAL.
    Spatial,
    /// MariaDB: VECTOR.
    Vector,
    /// The index that a foreign key needs, made by the server if no other serves.
    Foreign,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// The column; `None`: an expression, or MariaDB's `period WITHOUT OVERLAPS`.
    pub column: Option<String>,
    /// Length of the prefix, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u32>,
}

/// A data type: canonical name, and what was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataType {
    /// The type that the server makes of it; synonyms are resolved.
    pub name: TypeName,
    /// As written, in upper case, without brackets: `INTEGER UNSIGNED`, `BOOL`, `VARCHAR2`.
    pub written: String,
    /// Length in brackets, or that of the type: VARCHAR(30), DECIMAL(10,2), DATETIME(6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// Scale in brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// UNSIGNED.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unsigned: bool,
    /// ZEROFILL (UNSIGNED too then).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub zerofill: bool,
    /// CHARACTER SET; of a definition: never absent where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// COLLATE; of a definition: never absent where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// BINARY behind a character type: the `_bin` collation. Resolved in a definition.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub binary: bool,
    /// Labels of ENUM and SET.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// MariaDB: COMPRESSED.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub compressed: bool,
}

/// Types as the servers know them (`information_schema.COLUMNS.DATA_TYPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TypeName {
    TinyInt,
    SmallInt,
    MediumInt,
    #[default]
    Int,
    BigInt,
    Decimal,
    Float,
    Double,
    Bit,
    Char,
    VarChar,
    Binary,
    VarBinary,
    TinyText,
    Text,
    MediumText,
    LongText,
    TinyBlob,
    Blob,
    MediumBlob,
    LongBlob,
    Enum,
    Set,
    Date,
    Time,
    DateTime,
    Timestamp,
    Year,
    /// MySQL's own type; MariaDB's JSON is LONGTEXT with a check.
    Json,
    Vector,
    Geometry,
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    /// MySQL 8: `geomcollection`.
    GeometryCollection,
    Uuid,
    Inet4,
    Inet6,
    XmlType,
}

impl TypeName {
    /// CHAR, VARCHAR, TEXTs, ENUM, SET: types with a character set.
    #[must_use]
    pub fn is_character(self) -> bool {
        use TypeName::*;
        matches!(self, Char | VarChar | TinyText | Text | MediumText | LongText | Enum | Set)
    }

    /// TEXTs and BLOBs.
    #[must_use]
    pub fn is_blob(self) -> bool {
        use TypeName::*;
        matches!(self, TinyText | Text | MediumText | LongText)
            || matches!(self, TinyBlob | Blob | MediumBlob | LongBlob)
    }

    /// Spatial types.
    #[must_use]
    pub fn is_spatial(self) -> bool {
        use TypeName::*;
        matches!(
            self,
            Geometry
                | Point
                | LineString
                | Polygon
                | MultiPoint
                | MultiLineString
                | MultiPolygon
                | GeometryCollection
        )
    }

    /// Integers.
    #[must_use]
    pub fn is_integer(self) -> bool {
        use TypeName::*;
        matches!(self, TinyInt | SmallInt | MediumInt | Int | BigInt)
    }
}
