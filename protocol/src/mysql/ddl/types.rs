//! Data types: every name and synonym of MySQL 5.7 to 9.7 and MariaDB 10.5 to 11.8.
//!
//! Enters: the tokens behind a column's name. Leaves: the type that the server makes of them, and
//! the words as written. Keeps: a name that is not known is an error, never a guess; REAL,
//! TIMESTAMP, DATE, BLOB and NUMBER follow `sql_mode` (`sql/sql_yacc.yy`, `field_type`).

use alloc::string::String;
use alloc::vec::Vec;

use super::change::{DataType, TypeName};
use super::classify::unhex;
use super::parser::{Parser, Read};
use super::sql_mode;
use super::tokens::Kind;

/// What a type's name means beside the type itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// SERIAL: NOT NULL AUTO_INCREMENT UNIQUE.
    pub(super) serial: bool,
    /// MariaDB's JSON: LONGTEXT with a check.
    pub(super) json: bool,
}

/// How the brackets behind a type's name read.
enum Brackets {
    /// None.
    No,
    /// `(n)`, kept.
    Length,
    /// `(n)`, with a default.
    LengthOr(u32),
    /// `(p,s)`.
    Precision,
    /// `('a','b')`.
    Labels,
}

impl Parser<'_> {
    /// A data type with its own options (UNSIGNED, character set …).
    pub(super) fn data_type(&mut self) -> Read<(DataType, Extras)> {
        // MariaDB: `mariadb_schema.date`, where `sql_mode` would make another type of it.
        let qualified = self.token.is_any(&["mariadb_schema", "oracle_schema", "maxdb_schema"])
            && self.peek().is_mark('.');
        let mut mode = self.mode;
        if qualified {
            mode &= !(sql_mode::ORACLE | sql_mode::MAXDB);
            mode |= if self.is("oracle_schema") { sql_mode::ORACLE } else { 0 };
            mode |= if self.is("maxdb_schema") { sql_mode::MAXDB } else { 0 };
            self.bump();
            self.bump();
        }
        if self.token.kind != Kind::Word {
            return self.fail("a data type");
        }
        let mut ty = DataType::default();
        let from = self.token.at;
        let (name, brackets) = self.type_name(mode, &mut ty)?;
        ty.name = name;
        ty.written = written(self.since(from));
        let mut extras = Extras::default();
        match ty.written.as_str() {
            "SERIAL" => {
                ty.unsigned = true;
                extras.serial = true;
            }
            "BOOL" | "BOOLEAN" => ty.length = Some(1),
            "JSON" if self.mariadb => {
                extras.json = true;
                ty.charset = Some("utf8mb4".into());
                ty.collation = Some("utf8mb4_bin".into());
            }
            _ => {}
        }
        self.brackets(&mut ty, brackets)?;
        while self.type_option(&mut ty)? {}
        Ok((ty, extras))
    }

    /// The words of a type's name.
    fn type_name(&mut self, mode: u64, ty: &mut DataType) -> Read<(TypeName, Brackets)> {
        use Brackets::*;
        use TypeName as T;
        let oracle = self.mariadb && mode & sql_mode::ORACLE != 0;
        let word = self.bump().raw.to_ascii_lowercase();
        Ok(match word.as_str() {
            "tinyint" | "int1" => (T::TinyInt, Length),
            "smallint" | "int2" => (T::SmallInt, Length),
            "mediumint" | "int3" | "middleint" => (T::MediumInt, Length),
            "int" | "integer" | "int4" => (T::Int, Length),
            "bigint" | "int8" => (T::BigInt, Length),
            "serial" => (T::BigInt, No),
            "bool" | "boolean" => (T::TinyInt, No),
            "decimal" | "dec" | "numeric" | "fixed" => (T::Decimal, Precision),
            "number" if self.is_mark('(') => (T::Decimal, Precision),
            "number" => (T::Double, No),
            "float" | "float4" => (T::Float, Precision),
            "real" if mode & sql_mode::REAL_AS_FLOAT != 0 => (T::Float, Precision),
            "real" | "float8" => (T::Double, Precision),
            "double" => {
                self.eat("precision");
                (T::Double, Precision)
            }
            "bit" => (T::Bit, LengthOr(1)),
            "char" | "character" | "nchar" | "national" => self.character(&word, ty)?,
            "varchar" | "varcharacter" => (T::VarChar, Length),
            "varchar2" => (T::VarChar, LengthOr(4000)),
            "nvarchar" => {
                national(ty);
                (T::VarChar, Length)
            }
            "binary" => (T::Binary, LengthOr(1)),
            "varbinary" => (T::VarBinary, Length),
            "raw" => (T::VarBinary, Length),
            "tinytext" => (T::TinyText, No),
            "text" => (T::Text, Length),
            "mediumtext" => (T::MediumText, No),
            "longtext" | "clob" => (T::LongText, No),
            "tinyblob" => (T::TinyBlob, No),
            "blob" if oracle && !self.is_mark('(') => (T::LongBlob, No),
            "blob" => (T::Blob, Length),
            "mediumblob" => (T::MediumBlob, No),
            "longblob" => (T::LongBlob, No),
            "long" => self.long(),
            "enum" => (T::Enum, Labels),
            "set" => (T::Set, Labels),
            "date" if oracle => (T::DateTime, No),
            "date" => (T::Date, No),
            "time" => (T::Time, Length),
            "datetime" => (T::DateTime, Length),
            "timestamp" if mode & sql_mode::MAXDB != 0 => (T::DateTime, Length),
            "timestamp" => (T::Timestamp, Length),
            "year" | "sql_tsi_year" => (T::Year, Length),
            "json" if self.mariadb => (T::LongText, No),
            "json" => (T::Json, No),
            "vector" => (T::Vector, LengthOr(2048)),
            "uuid" => (T::Uuid, No),
            "inet4" => (T::Inet4, No),
            "inet6" => (T::Inet6, No),
            "xmltype" => (T::XmlType, No),
            other => match spatial(other) {
                Some(name) => (name, No),
                None => return self.fail("a data type"),
            },
        })
    }

    /// CHAR, CHARACTER, NCHAR, NATIONAL CHAR and what may follow: VARYING, VARCHAR.
    fn character(&mut self, word: &str, ty: &mut DataType) -> Read<(TypeName, Brackets)> {
        let mut varying = false;
        if word == "national" {
            varying = self.token.is_any(&["varchar", "varcharacter"]);
            if !self.eat_any(&["char", "character", "varchar", "varcharacter"]) {
                return self.fail("CHAR or VARCHAR");
            }
        }
        if word != "char" && word != "character" {
            national(ty);
            varying |= self.eat_any(&["varchar", "varcharacter"]);
        }
        varying |= self.eat("varying");
        Ok(if varying {
            (TypeName::VarChar, Brackets::Length)
        } else {
            (TypeName::Char, Brackets::LengthOr(1))
        })
    }

    /// LONG, LONG VARCHAR, LONG VARBINARY …
    fn long(&mut self) -> (TypeName, Brackets) {
        if self.eat("varbinary") {
            return (TypeName::MediumBlob, Brackets::No);
        }
        if self.eat_any(&["char", "character"]) {
            self.eat("varying");
        } else {
            self.eat_any(&["varchar", "varcharacter"]);
        }
        (TypeName::MediumText, Brackets::No)
    }

    fn brackets(&mut self, ty: &mut DataType, brackets: Brackets) -> Read<()> {
        use TypeName as T;
        let open = self.is_mark('(');
        match brackets {
            Brackets::No if open => return self.fail("no brackets"),
            Brackets::No => {}
            Brackets::Labels => ty.labels = self.labels()?,
            Brackets::Length | Brackets::LengthOr(_) if open => ty.length = self.numbers()?.0,
            Brackets::Length => {}
            Brackets::LengthOr(length) => ty.length = Some(length),
            Brackets::Precision => {
                (ty.length, ty.scale) = if open { self.numbers()? } else { (None, None) };
            }
        }
        match ty.name {
            T::Decimal => {
                ty.length = ty.length.filter(|&length| length > 0).or(Some(10));
                ty.scale = ty.scale.or(Some(0));
            }
            T::Float | T::Double if ty.scale.is_none() => {
                if ty.name == T::Float && ty.length.is_some_and(|length| length > 24) {
                    ty.name = T::Double;
                }
                ty.length = None;
            }
            T::Bit => ty.length = ty.length.filter(|&length| length > 0).or(Some(1)),
            T::Year => ty.length = ty.length.filter(|&length| length == 2),
            T::Time | T::DateTime | T::Timestamp | T::Text | T::Blob => {
                ty.length = ty.length.filter(|&length| length > 0);
            }
            _ => {}
        }
        Ok(())
    }

    /// `(n)`, `(n,m)`; Oracle's `(n CHAR)` and `(n BYTE)` too.
    fn numbers(&mut self) -> Read<(Option<u32>, Option<u32>)> {
        self.expect_mark('(', "(")?;
        if self.eat_mark(')') {
            return Ok((None, None));
        }
        let first = self.number()?;
        self.eat_any(&["char", "byte"]);
        let second = if self.eat_mark(',') { Some(self.number()?) } else { None };
        self.expect_mark(')', ")")?;
        Ok((Some(first), second))
    }

    fn labels(&mut self) -> Read<Vec<String>> {
        self.expect_mark('(', "(")?;
        let mut labels = Vec::new();
        loop {
            if self.token.kind == Kind::Word && self.token.raw.starts_with('_') {
                self.bump();
            }
            let Some(label) = self.text().or_else(|| self.hex_label()) else {
                return self.fail("a label");
            };
            labels.push(label);
            if !self.eat_mark(',') {
                break;
            }
        }
        self.expect_mark(')', ")")?;
        Ok(labels)
    }

    /// `x'6162'`, as SHOW CREATE TABLE has labels of the binary character set; they are kept if they
    /// are text.
    fn hex_label(&mut self) -> Option<String> {
        let label = unhex(self.token.digits().filter(|_| self.token.kind == Kind::Hex)?)?;
        self.bump();
        String::from_utf8(label).ok()
    }

    /// UNSIGNED, ZEROFILL, and everything about character sets.
    pub(super) fn type_option(&mut self, ty: &mut DataType) -> Read<bool> {
        let numeric = !ty.name.is_character();
        if self.token.kind != Kind::Word {
            return Ok(false);
        }
        let word = self.token.raw.to_ascii_lowercase();
        let next = self.peek();
        match word.as_str() {
            "unsigned" | "zerofill" => {
                ty.unsigned = true;
                ty.zerofill |= word == "zerofill";
                ty.written.push(' ');
                ty.written.push_str(&word.to_ascii_uppercase());
                self.bump();
            }
            "signed" if numeric => self.bump_by(1),
            "character" | "char" if next.is("set") => {
                self.bump();
                self.bump();
                ty.charset = Some(self.charset()?);
            }
            "charset" => {
                self.bump();
                ty.charset = Some(self.charset()?);
            }
            "collate" => {
                self.bump();
                self.eat_mark('=');
                ty.collation = Some(self.charset()?);
            }
            "binary" if !numeric => {
                ty.binary = true;
                self.bump();
            }
            "ascii" | "unicode" if !numeric => {
                let set = if word == "ascii" { "latin1" } else { "ucs2" };
                ty.charset = Some(set.into());
                self.bump();
            }
            "byte" if !numeric => {
                ty.charset = Some("binary".into());
                self.bump();
            }
            "compressed" => {
                ty.compressed = true;
                self.bump();
                if self.eat_mark('=') {
                    self.bump();
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The name of a character set or collation, quoted or not.
    pub(super) fn charset(&mut self) -> Read<String> {
        match self.text().or_else(|| self.identifier()) {
            Some(name) => Ok(name),
            None => self.fail("a character set"),
        }
    }
}

fn national(ty: &mut DataType) {
    ty.charset = Some("utf8mb3".into());
}

/// Words in upper case, one blank between.
fn written(text: &str) -> String {
    let words = text.split(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
    words.join(" ").to_ascii_uppercase()
}

fn spatial(word: &str) -> Option<TypeName> {
    Some(match word {
        "geometry" => TypeName::Geometry,
        "point" => TypeName::Point,
        "linestring" => TypeName::LineString,
        "polygon" => TypeName::Polygon,
        "multipoint" => TypeName::MultiPoint,
        "multilinestring" => TypeName::MultiLineString,
        "multipolygon" => TypeName::MultiPolygon,
        "geometrycollection" | "geomcollection" => TypeName::GeometryCollection,
        _ => return None,
    })
}
