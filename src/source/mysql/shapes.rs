//! Tables as Debezium's schema change topic tells them (ENVELOPE, section 6).
//!
//! Enters: definitions of the schema history. Leaves: `tableChanges`. Keeps: Debezium's own words:
//! JDBC numbers by the type as written, the epoch for "now", labels in quotes; `autoIncremented`
//! and `generated` stand also for ON UPDATE, as its parser sets them.

use penstock_protocol::mysql::ddl::change::{DataType, DefaultDdl, TypeName};
use penstock_protocol::schema::TableName;
use penstock_shards::annex::{ChangeKind, ColumnShape, TableChange, TableShape};
use penstock_shards::history::{ColumnDefinition, TableDefinition};

/// Numbers of `java.sql.Types`.
mod jdbc {
    pub const BIT: i32 = -7;
    pub const BIGINT: i32 = -5;
    pub const VARBINARY: i32 = -3;
    pub const BINARY: i32 = -2;
    pub const CHAR: i32 = 1;
    pub const NUMERIC: i32 = 2;
    pub const DECIMAL: i32 = 3;
    pub const INTEGER: i32 = 4;
    pub const SMALLINT: i32 = 5;
    pub const FLOAT: i32 = 6;
    pub const REAL: i32 = 7;
    pub const DOUBLE: i32 = 8;
    pub const VARCHAR: i32 = 12;
    pub const BOOLEAN: i32 = 16;
    pub const DATE: i32 = 91;
    pub const TIME: i32 = 92;
    pub const TIMESTAMP: i32 = 93;
    pub const OTHER: i32 = 1111;
    pub const BLOB: i32 = 2004;
    pub const TIMESTAMP_WITH_TIMEZONE: i32 = 2014;
}

/// What became of a table. `definition`: none of one that is gone.
pub fn change(
    kind: ChangeKind,
    name: &TableName,
    definition: Option<&TableDefinition>,
) -> TableChange {
    let id = format!("{:?}.{:?}", Plain(&name.database), Plain(&name.table));
    TableChange { kind, id, table: definition.map(table) }
}

/// A name in Debezium's quotes, which escape nothing.
struct Plain<'a>(&'a str);

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

fn table(definition: &TableDefinition) -> TableShape {
    let name = |at: &u16| definition.columns.get(usize::from(*at)).map(|c| c.name.clone());
    // Debezium knows no columns that no statement names.
    let named = definition.columns.iter().filter(|column| !column.implicit);
    TableShape {
        default_charset: Some(definition.charset.clone()).filter(|charset| !charset.is_empty()),
        primary_key: definition.key().iter().filter_map(name).collect(),
        columns: (1..).zip(named).map(|(position, column)| shape(column, position)).collect(),
        comment: definition.comment.clone(),
    }
}

fn shape(column: &ColumnDefinition, position: i32) -> ColumnShape {
    let ty = &column.ty;
    let counted = column.auto_increment || column.on_update.is_some();
    let (length, scale) = dimensions(ty);
    ColumnShape {
        name: column.name.clone(),
        jdbc_type: jdbc_type(ty),
        native_type: None,
        type_name: ty.written.clone(),
        type_expression: Some(ty.written.clone()),
        charset: ty.charset.clone().filter(|_| ty.name.is_character()),
        length,
        scale,
        position,
        optional: column.nullable,
        auto_incremented: counted,
        generated: counted,
        comment: column.comment.clone(),
        default_value: default_value(column),
        enum_values: ty.labels.iter().map(|l| format!("'{}'", l.replace('\'', "''"))).collect(),
    }
}

/// The first word of the type as written decides, for synonyms have numbers of their own.
fn jdbc_type(ty: &DataType) -> i32 {
    use TypeName as T;
    match ty.written.split(' ').next().unwrap_or_default() {
        "BOOL" | "BOOLEAN" => return jdbc::BOOLEAN,
        "REAL" => return jdbc::REAL,
        "NUMERIC" => return jdbc::NUMERIC,
        _ => {}
    }
    match ty.name {
        T::TinyInt | T::SmallInt => jdbc::SMALLINT,
        T::MediumInt | T::Int | T::Year => jdbc::INTEGER,
        T::BigInt => jdbc::BIGINT,
        T::Decimal => jdbc::DECIMAL,
        T::Float => jdbc::FLOAT,
        T::Double => jdbc::DOUBLE,
        T::Bit => jdbc::BIT,
        T::Char | T::Enum | T::Set => jdbc::CHAR,
        T::VarChar | T::TinyText | T::Text | T::MediumText | T::LongText => jdbc::VARCHAR,
        T::Binary => jdbc::BINARY,
        T::VarBinary => jdbc::VARBINARY,
        T::TinyBlob | T::Blob | T::MediumBlob | T::LongBlob => jdbc::BLOB,
        T::Date => jdbc::DATE,
        T::Time => jdbc::TIME,
        T::DateTime => jdbc::TIMESTAMP,
        T::Timestamp => jdbc::TIMESTAMP_WITH_TIMEZONE,
        _ => jdbc::OTHER,
    }
}

/// `length` and `scale`: what the brackets say, Debezium's own defaults where there are none.
fn dimensions(ty: &DataType) -> (Option<i32>, Option<i32>) {
    use TypeName as T;
    let number = |n: Option<u32>| n.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    let labels = i32::try_from(ty.labels.len()).unwrap_or(i32::MAX);
    match ty.name {
        T::Enum => (Some(1), None),
        T::Set => (Some((labels.saturating_mul(2) - 1).max(0)), None),
        _ if matches!(ty.written.as_str(), "BOOL" | "BOOLEAN") => (None, None),
        T::Decimal => (Some(number(ty.length).unwrap_or(10)), Some(number(ty.scale).unwrap_or(0))),
        T::Bit => (Some(number(ty.length).unwrap_or(1)), None),
        T::Time | T::DateTime | T::Timestamp => (number(ty.length.filter(|&n| n > 0)), None),
        T::TinyText | T::Text | T::MediumText | T::LongText | T::Json => (None, None),
        T::TinyBlob | T::Blob | T::MediumBlob | T::LongBlob => (None, None),
        _ => (number(ty.length), number(ty.scale)),
    }
}

fn default_value(column: &ColumnDefinition) -> Option<String> {
    match column.default.as_ref()? {
        DefaultDdl::Null | DefaultDdl::Expression(_) => None,
        DefaultDdl::Now(_) => Some("1970-01-01 00:00:00".into()),
        DefaultDdl::Text(text) | DefaultDdl::Number(text) | DefaultDdl::Bits(text) => {
            Some(text.clone())
        }
        DefaultDdl::Hex(digits) => {
            let pairs = digits.as_bytes().chunks(2);
            let byte = |pair: &[u8]| {
                std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
            };
            let bytes = pairs.map(byte).collect::<Option<Vec<_>>>()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_shards::history::{Catalogue, Server, Statement};

    use super::*;

    /// DDL, type, number, character set, length and scale, counted, default.
    type Case = (
        &'static str,
        &'static str,
        i32,
        Option<&'static str>,
        (i32, i32),
        bool,
        Option<&'static str>,
    );

    /// Goal: the columns that Debezium 3.6.1 gave for the same statements. Method: its records of
    /// MySQL 9.7's SHOW CREATE TABLE, as (type, JDBC number, character set, length, scale,
    /// generated, default).
    #[test]
    fn columns_as_debezium_tells_them() {
        let cases: &[Case] = &[
            ("bigint unsigned DEFAULT '9'", "BIGINT UNSIGNED", -5, None, (0, 0), false, Some("9")),
            ("binary(4) NOT NULL", "BINARY", -2, None, (4, 0), false, None),
            ("bit(9) DEFAULT b'101'", "BIT", -7, None, (9, 0), false, Some("101")),
            ("blob", "BLOB", 2004, None, (0, 0), false, None),
            ("boolean", "BOOLEAN", 16, None, (0, 0), false, None),
            ("char(3) DEFAULT 'x'", "CHAR", 1, Some("utf8mb4"), (3, 0), false, Some("x")),
            ("date DEFAULT '2020-01-02'", "DATE", 91, None, (0, 0), false, Some("2020-01-02")),
            (
                "datetime(6) DEFAULT CURRENT_TIMESTAMP(6)",
                "DATETIME",
                93,
                None,
                (6, 0),
                false,
                Some("1970-01-01 00:00:00"),
            ),
            ("decimal(10,2) DEFAULT '1.50'", "DECIMAL", 3, None, (10, 2), false, Some("1.50")),
            ("double(12,4)", "DOUBLE", 8, None, (12, 4), false, None),
            ("float unsigned", "FLOAT UNSIGNED", 6, None, (0, 0), false, None),
            ("int(5) unsigned zerofill", "INT UNSIGNED ZEROFILL", 4, None, (5, 0), false, None),
            ("int NOT NULL", "INT", 4, None, (0, 0), false, None),
            ("json", "JSON", 1111, None, (0, 0), false, None),
            ("longtext", "LONGTEXT", 12, Some("utf8mb4"), (0, 0), false, None),
            ("real", "REAL", 7, None, (0, 0), false, None),
            ("time(3)", "TIME", 92, None, (3, 0), false, None),
            (
                "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
                "TIMESTAMP",
                2014,
                None,
                (0, 0),
                true,
                Some("1970-01-01 00:00:00"),
            ),
            ("tinyint(1) DEFAULT '1'", "TINYINT", 5, None, (1, 0), false, Some("1")),
            ("varbinary(5) DEFAULT 'ab'", "VARBINARY", -3, None, (5, 0), false, Some("ab")),
            (
                "varchar(40) CHARACTER SET latin1",
                "VARCHAR",
                12,
                Some("latin1"),
                (40, 0),
                false,
                None,
            ),
            ("year DEFAULT '2021'", "YEAR", 4, None, (0, 0), false, Some("2021")),
            ("set('x','y','z','é')", "SET", 1, Some("utf8mb4"), (7, 0), false, None),
            ("enum('a','f''g')", "ENUM", 1, Some("utf8mb4"), (1, 0), false, None),
        ];
        let server = Server { mariadb: false, version: (9, 7, 0), fold_names: false };
        for (ddl, name, number, charset, (length, scale), counted, default) in cases {
            let mut catalogue = Catalogue::new(server);
            catalogue.put_database("d", "utf8mb4", "utf8mb4_0900_ai_ci");
            let sql = format!("CREATE TABLE `t` (`c` {ddl})");
            catalogue.apply(&Statement { sql: &sql, database: "d", ..Statement::default() });
            let table =
                TableName { database: "d".into(), schema: String::new(), table: "t".into() };
            let definition = catalogue.table(&table).unwrap_or_else(|| panic!("{ddl}"));
            let change = change(ChangeKind::Create, &table, Some(definition));
            assert_eq!(change.id, "\"d\".\"t\"");
            let column = &change.table.unwrap().columns[0];
            let some = |n: i32| (n > 0 || *name == "DECIMAL").then_some(n);
            assert_eq!(
                (
                    column.type_name.as_str(),
                    column.jdbc_type,
                    column.charset.as_deref(),
                    (column.length, column.scale),
                    (column.generated, column.auto_incremented),
                    column.default_value.as_deref(),
                ),
                (
                    *name,
                    *number,
                    *charset,
                    (some(*length), some(*scale)),
                    (*counted, *counted),
                    *default
                ),
                "{ddl}"
            );
            if *name == "ENUM" {
                assert_eq!(column.enum_values, ["'a'", "'f''g'"]);
            }
        }
    }
}
