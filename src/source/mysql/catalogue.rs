//! What the server says of itself and of its tables.
//!
//! Enters: a session. Leaves: version, identity and settings; tables with columns, keys and
//! defaults, columns in the order of the log. Keeps: what this version cannot decode is
//! `Unsupported` by its name (HAZARDS L21); names come from the catalogue as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::mysql::charset;
use penstock_protocol::mysql::handshake::version_numbers;
use penstock_protocol::mysql::table_map::blob_max;
use penstock_protocol::schema::{
    Charset, Column, ColumnType, DefaultValue, OldTemporal, SourceKind, TableName,
};

use penstock_shards::history::DatabaseDefinition;

use super::connection::{Connection, cell, literal, quote};
use super::errors;
use crate::config::TableFilter;
use crate::error::{Error, Result};

/// Databases of the server itself: never captured (`table.ignore.builtin`).
const BUILT_IN: &str = "('mysql','information_schema','performance_schema','sys')";

/// Whether a database is the server's own.
pub fn is_built_in(database: &str) -> bool {
    ["mysql", "information_schema", "performance_schema", "sys"]
        .iter()
        .any(|name| database.eq_ignore_ascii_case(name))
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// MySQL or MariaDB.
    pub kind: SourceKind,
    /// Version as text.
    pub version: String,
    /// Version numbers.
    pub numbers: (u16, u16, u16),
    variables: BTreeMap<String, String>,
}

impl Server {
    /// Reads version and settings.
    pub async fn read(connection: &mut Connection) -> Result<Self> {
        let kind = if connection.is_mariadb() { SourceKind::MariaDb } else { SourceKind::MySql };
        let rows = connection
            .query(
                "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version','server_uuid','server_id',\
                 'log_bin','binlog_format','binlog_row_image','binlog_row_metadata',\
                 'binlog_row_value_options','binlog_checksum','gtid_mode','gtid_strict_mode',\
                 'gtid_domain_id','gtid_binlog_state','gtid_binlog_pos','gtid_executed',\
                 'gtid_purged','binlog_expire_logs_seconds','expire_logs_days','sync_binlog',\
                 'binlog_transaction_compression','log_bin_compress','lower_case_table_names',\
                 'max_allowed_packet','encrypt_binlog','innodb_flush_log_at_trx_commit',\
                 'hostname','port','read_only','log_replica_updates','log_slave_updates')",
            )
            .await?;
        let pair = |row: &Vec<Option<String>>| {
            (cell(row, 0).to_ascii_lowercase(), cell(row, 1).to_owned())
        };
        let variables = rows.0.iter().map(pair).collect::<BTreeMap<_, _>>();
        let version = match variables.get("version") {
            Some(version) if !version.is_empty() => version.clone(),
            _ => connection.hello.version.clone(),
        };
        let numbers = version_numbers(&version);
        Ok(Self { kind, version, numbers, variables })
    }

    /// A server that was never asked.
    #[cfg(test)]
    pub fn of(kind: SourceKind, version: &str, variables: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        let variables = variables.iter().map(pair).collect();
        Self { kind, version: version.into(), numbers: version_numbers(version), variables }
    }

    /// True for MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.kind == SourceKind::MariaDb
    }

    /// A global variable as text; one that the server lacks is empty.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether an ON/OFF variable is on.
    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.variable(name), "ON" | "1" | "on" | "TRUE")
    }

    /// Identity: MySQL's `server_uuid`; MariaDB has none.
    pub fn uuid(&self) -> &str {
        self.variable("server_uuid")
    }

    /// Whether positions are GTID sets: MySQL with `gtid_mode` ON, MariaDB always.
    pub fn has_gtids(&self) -> bool {
        self.is_mariadb() || self.variable("gtid_mode") == "ON"
    }

    /// Whether TABLE_MAP carries names and types (`binlog_row_metadata` FULL), as of now.
    pub fn full_metadata(&self) -> bool {
        self.variable("binlog_row_metadata").eq_ignore_ascii_case("FULL")
    }

    /// Whether its `BEGIN` groups were seen never to end in ROLLBACK, by a live test of this
    /// project (HAZARDS L5): such groups stream at once. MySQL 5.7 logs a group that it rolled back
    /// if a temporary table was made in it; 8.0.33 and 9.7 do not.
    pub fn groups_never_roll_back(&self) -> bool {
        !self.is_mariadb() && self.numbers >= (8, 0, 33)
    }
}

/// A table as the catalogue describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueTable {
    /// Its name.
    pub name: TableName,
    /// Columns in the order of the log.
    pub columns: Vec<Column>,
    /// Key columns, in key order: the primary key, else the first unique index whose columns are
    /// all NOT NULL; empty: none.
    pub key: Vec<u16>,
    /// Rows, as the engine estimates them.
    pub rows_estimate: u64,
    /// MariaDB: system-versioned, with these columns for the start and end of a row's period.
    pub period: Option<[u16; 2]>,
}

/// Reads all captured tables, in the order of their names.
pub async fn tables(
    connection: &mut Connection,
    server: &Server,
    filter: &TableFilter,
) -> Result<Vec<CatalogueTable>> {
    read(connection, server, filter, "").await
}

/// Reads one table; `None` if there is no such table (any more).
pub async fn table(
    connection: &mut Connection,
    server: &Server,
    filter: &TableFilter,
    name: &TableName,
) -> Result<Option<CatalogueTable>> {
    let only = format!(
        " AND TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(&name.database),
        literal(&name.table)
    );
    Ok(read(connection, server, filter, &only).await?.into_iter().next())
}

/// Names of all base tables (and MariaDB's sequences), captured or not, in order.
pub async fn names(connection: &mut Connection) -> Result<Vec<TableName>> {
    let rows = connection
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED','SEQUENCE') \
             AND TABLE_SCHEMA NOT IN {BUILT_IN} ORDER BY 1, 2"
        ))
        .await?;
    Ok(rows.0.iter().map(|row| table_name(cell(row, 0), cell(row, 1))).collect())
}

/// All databases with their defaults.
pub async fn databases(connection: &mut Connection) -> Result<Vec<(String, DatabaseDefinition)>> {
    let rows = connection
        .query(&format!(
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME \
             FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN {BUILT_IN} ORDER BY 1"
        ))
        .await?;
    let one = |row: &Vec<Option<String>>| {
        let (charset, collation) = (cell(row, 1).to_owned(), cell(row, 2).to_owned());
        (cell(row, 0).to_owned(), DatabaseDefinition { charset, collation })
    };
    Ok(rows.0.iter().map(one).collect())
}

async fn read(
    connection: &mut Connection,
    server: &Server,
    filter: &TableFilter,
    only: &str,
) -> Result<Vec<CatalogueTable>> {
    let listed = connection
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, TABLE_TYPE FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE','SYSTEM VERSIONED') \
             AND TABLE_SCHEMA NOT IN {BUILT_IN}{only} ORDER BY 1, 2"
        ))
        .await?;
    let mut found: BTreeMap<TableName, CatalogueTable> = BTreeMap::new();
    let mut versioned = Vec::new();
    for row in &listed.0 {
        let name = table_name(cell(row, 0), cell(row, 1));
        if !filter.table(&name.to_string()) {
            continue;
        }
        if cell(row, 3) == "SYSTEM VERSIONED" {
            versioned.push(name.clone());
        }
        let table = CatalogueTable {
            name: name.clone(),
            columns: vec![],
            key: vec![],
            rows_estimate: cell(row, 2).parse().unwrap_or_default(),
            period: None,
        };
        found.insert(name, table);
    }
    read_columns(connection, server, filter, only, &mut found).await?;
    for name in versioned {
        if let Some(table) = found.get_mut(&name) {
            add_period(table, filter);
        }
    }
    read_keys(connection, only, &mut found).await?;
    Ok(found.into_values().collect())
}

async fn read_columns(
    connection: &mut Connection,
    server: &Server,
    filter: &TableFilter,
    only: &str,
    found: &mut BTreeMap<TableName, CatalogueTable>,
) -> Result<()> {
    // MySQL before 5.7 has no generated columns, and no system versioning at all.
    let expression = if server.is_mariadb() { "GENERATION_EXPRESSION" } else { "''" };
    let rows = connection
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, IS_NULLABLE, DATA_TYPE, COLUMN_TYPE, \
             CHARACTER_SET_NAME, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, \
             DATETIME_PRECISION, COLUMN_DEFAULT, EXTRA, {expression} \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN {BUILT_IN}{only} ORDER BY 1, 2, ORDINAL_POSITION"
        ))
        .await?;
    for row in &rows.0 {
        let name = table_name(cell(row, 0), cell(row, 1));
        let Some(table) = found.get_mut(&name) else { continue };
        let described = Described {
            data_type: cell(row, 4),
            column_type: cell(row, 5),
            charset: cell(row, 6),
            octets: cell(row, 7).parse().unwrap_or_default(),
            precision: cell(row, 8).parse().unwrap_or_default(),
            scale: cell(row, 9).parse().unwrap_or_default(),
            digits: cell(row, 10).parse().unwrap_or_default(),
            mariadb: server.is_mariadb(),
        };
        let nullable = cell(row, 3) == "YES";
        let ty = column_type(&described);
        let given = row.get(11).and_then(Option::as_deref);
        let default = if is_generated(cell(row, 12)) {
            Some(DefaultValue::Unknown)
        } else if server.is_mariadb() {
            mariadb_default(given, nullable, &ty)
        } else {
            mysql_default(given, cell(row, 12), nullable, &ty)
        };
        let included = filter.column(&format!("{name}.{}", cell(row, 2)));
        let at = u16::try_from(table.columns.len()).unwrap_or(u16::MAX);
        match cell(row, 13) {
            "ROW START" => table.period.get_or_insert([at; 2])[0] = at,
            "ROW END" => table.period.get_or_insert([at; 2])[1] = at,
            _ => {}
        }
        table.columns.push(Column { name: cell(row, 2).into(), ty, nullable, default, included });
    }
    Ok(())
}

/// Implicit system versioning hides its two columns from the catalogue; the log has them, last.
fn add_period(table: &mut CatalogueTable, filter: &TableFilter) {
    if table.period.is_some() {
        return;
    }
    let at = u16::try_from(table.columns.len()).unwrap_or(u16::MAX);
    table.period = Some([at, at.saturating_add(1)]);
    for name in ["row_start", "row_end"] {
        table.columns.push(Column {
            name: name.into(),
            ty: ColumnType::Timestamp { digits: 6 },
            nullable: false,
            default: None,
            included: filter.column(&format!("{}.{name}", table.name)),
        });
    }
}

async fn read_keys(
    connection: &mut Connection,
    only: &str,
    found: &mut BTreeMap<TableName, CatalogueTable>,
) -> Result<()> {
    let rows = connection
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE INDEX_NAME = 'PRIMARY' AND TABLE_SCHEMA NOT IN {BUILT_IN}{only} \
             ORDER BY 1, 2, SEQ_IN_INDEX"
        ))
        .await?;
    for row in &rows.0 {
        let name = table_name(cell(row, 0), cell(row, 1));
        if let Some(table) = found.get_mut(&name)
            && let Some(at) = position(&table.columns, cell(row, 2))
            // MariaDB puts the end of the period last in a primary key.
            && table.period.is_none_or(|[_, end]| at != end)
        {
            table.key.push(at);
        }
    }
    for table in found.values_mut().filter(|table| table.key.is_empty()) {
        // SHOW INDEX lists indexes as the server keeps them, which no other view tells.
        let sql =
            format!("SHOW INDEX FROM {}.{}", quote(&table.name.database), quote(&table.name.table));
        let answer = connection.attempt(&sql).await?;
        // Dropped in between: it has no key, and no rows either.
        let Some(rows) = errors::tolerate(answer, &[1146], &sql)? else { continue };
        let list = rows.0.iter().map(|row| (cell(row, 1) == "0", cell(row, 2), cell(row, 4)));
        table.key = first_unique(list, &table.columns);
    }
    Ok(())
}

/// The first unique index whose columns are all known and NOT NULL. `list`: (unique, index name,
/// column name), index by index, columns in their order.
fn first_unique<'a>(
    list: impl Iterator<Item = (bool, &'a str, &'a str)>,
    columns: &[Column],
) -> Vec<u16> {
    let mut indexes: Vec<(&str, Vec<Option<u16>>)> = Vec::new();
    for (unique, index, column) in list.filter(|(unique, ..)| *unique) {
        debug_assert!(unique);
        if indexes.last().is_none_or(|(name, _)| *name != index) {
            indexes.push((index, Vec::new()));
        }
        let at = position(columns, column)
            .filter(|&at| columns.get(usize::from(at)).is_some_and(|c| !c.nullable));
        if let Some((_, parts)) = indexes.last_mut() {
            parts.push(at);
        }
    }
    let whole = |(_, parts): (_, Vec<Option<u16>>)| parts.into_iter().collect::<Option<Vec<_>>>();
    indexes.into_iter().find_map(whole).unwrap_or_default()
}

fn position(columns: &[Column], name: &str) -> Option<u16> {
    let at = columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))?;
    u16::try_from(at).ok()
}

fn table_name(database: &str, table: &str) -> TableName {
    TableName { database: database.into(), schema: String::new(), table: table.into() }
}

/// A column's type in the catalogue's words.
#[derive(Clone, Copy, Debug, Default)]
struct Described<'a> {
    data_type: &'a str,
    column_type: &'a str,
    charset: &'a str,
    octets: u64,
    precision: u16,
    scale: u16,
    digits: u8,
    mariadb: bool,
}

/// MariaDB marks what is stored otherwise than its name says in a comment.
fn column_type(d: &Described<'_>) -> ColumnType {
    let plain = plain_type(d);
    if d.column_type.contains(" COMPRESSED*/") {
        let of = |length_bytes: u8, charset| {
            // VARCHAR's longest value takes a byte more: the header of one stored as it is.
            let max = match d.data_type {
                "varchar" | "varbinary" => u32::try_from(d.octets + 1).unwrap_or(u32::MAX),
                _ => blob_max(length_bytes),
            };
            let length_bytes = match d.data_type {
                "varchar" | "varbinary" if max > 255 => 2,
                _ => length_bytes,
            };
            ColumnType::Compressed { length_bytes, charset, max }
        };
        return match plain {
            ColumnType::Text { length_bytes, charset } => of(length_bytes, Some(charset)),
            ColumnType::Bytes { length_bytes, .. } => of(length_bytes, None),
            other => other,
        };
    }
    if d.column_type.contains("/* mariadb-5.3 */") {
        return match plain {
            ColumnType::Time { digits: 0 } => ColumnType::Old(OldTemporal::Time),
            ColumnType::DateTime { digits: 0 } => ColumnType::Old(OldTemporal::DateTime),
            ColumnType::Timestamp { digits: 0 } => ColumnType::Old(OldTemporal::Timestamp),
            ColumnType::Date | ColumnType::Year => plain,
            _ => ColumnType::Unsupported {
                name: format!("{} in the format before 5.6", d.data_type.to_ascii_uppercase()),
            },
        };
    }
    plain
}

fn plain_type(d: &Described<'_>) -> ColumnType {
    let unsigned = d.column_type.contains("unsigned");
    let int = |bits| ColumnType::Int { bits, unsigned };
    let text = |length_bytes| ColumnType::Text { length_bytes, charset: charset_named(d.charset) };
    let short = if d.octets > 255 { 2 } else { 1 };
    let blob = |length_bytes| ColumnType::Bytes { length_bytes, fixed: None };
    match d.data_type.to_ascii_lowercase().as_str() {
        "tinyint" => int(8),
        "smallint" => int(16),
        "mediumint" => int(24),
        "int" => int(32),
        "bigint" => int(64),
        "float" => ColumnType::Float { widened: d.column_type.contains(',') },
        "double" => ColumnType::Double,
        "decimal" => ColumnType::Decimal { precision: d.precision, scale: d.scale },
        "char" | "varchar" => text(short),
        "tinytext" => text(1),
        "text" => text(2),
        "mediumtext" => text(3),
        "longtext" => text(4),
        "binary" => ColumnType::Bytes {
            length_bytes: 1,
            fixed: Some(u32::try_from(d.octets).unwrap_or_default()),
        },
        "varbinary" => blob(short),
        "tinyblob" => blob(1),
        "blob" => blob(2),
        "mediumblob" => blob(3),
        "longblob" => blob(4),
        "date" => ColumnType::Date,
        "time" => ColumnType::Time { digits: d.digits },
        "datetime" => ColumnType::DateTime { digits: d.digits },
        "timestamp" => ColumnType::Timestamp { digits: d.digits },
        "year" => ColumnType::Year,
        "json" => ColumnType::Json { length_bytes: 4 },
        "uuid" => ColumnType::Uuid,
        "inet4" => ColumnType::Inet { bytes: 4 },
        "inet6" => ColumnType::Inet { bytes: 16 },
        // MySQL: a type of its own; MariaDB: VARBINARY.
        "vector" if !d.mariadb => ColumnType::Vector { length_bytes: 4 },
        "vector" => ColumnType::Vector { length_bytes: short },
        "geometry" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geomcollection" | "geometrycollection" => {
            ColumnType::Geometry { length_bytes: 4, point: false }
        }
        "point" => ColumnType::Geometry { length_bytes: 4, point: true },
        "bit" => ColumnType::Bit { bits: d.precision },
        "enum" => {
            let labels = labels(d.column_type);
            ColumnType::Enum { bytes: if labels.len() > 255 { 2 } else { 1 }, labels }
        }
        "set" => {
            let labels = labels(d.column_type);
            let bytes = match labels.len().div_ceil(8) {
                few @ 0..=4 => few.max(1),
                _ => 8,
            };
            ColumnType::Set { bytes: u8::try_from(bytes).unwrap_or(8), labels }
        }
        other => ColumnType::Unsupported { name: other.to_ascii_uppercase() },
    }
}

/// A character set by its name.
fn charset_named(name: &str) -> Charset {
    charset::by_name(name).flatten().unwrap_or(Charset::Other(0))
}

/// The labels in `enum('a','b''c')`.
fn labels(column_type: &str) -> Arc<[String]> {
    let mut labels = Vec::new();
    let mut chars = column_type.chars().peekable();
    while chars.by_ref().any(|ch| ch == '\'') {
        let mut label = String::new();
        while let Some(ch) = chars.next() {
            if ch == '\'' && chars.next_if_eq(&'\'').is_none() {
                break;
            }
            label.push(ch);
        }
        labels.push(label);
    }
    labels.into()
}

/// CURRENT_TIMESTAMP as a default: the epoch; a nullable TIMESTAMP has none (ENVELOPE, section 2).
fn now_default(nullable: bool, ty: &ColumnType) -> Option<DefaultValue> {
    let none = nullable && matches!(ty, ColumnType::Timestamp { .. });
    (!none).then_some(DefaultValue::Placeholder)
}

fn is_now(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["current_timestamp", "now(", "localtime"].iter().any(|word| lower.starts_with(word))
}

/// A generated column has a value of its own; `DEFAULT_GENERATED` is an expression as a default.
fn is_generated(extra: &str) -> bool {
    extra.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("GENERATED"))
}

fn mysql_default(
    given: Option<&str>,
    extra: &str,
    nullable: bool,
    ty: &ColumnType,
) -> Option<DefaultValue> {
    let text = given?;
    // An expression is marked as such; so is CURRENT_TIMESTAMP from 8.0.13 on.
    if is_now(text) && matches!(ty, ColumnType::Timestamp { .. } | ColumnType::DateTime { .. }) {
        return now_default(nullable, ty);
    }
    if extra.contains("DEFAULT_GENERATED") {
        return Some(DefaultValue::Unknown);
    }
    literal_default(text, ty)
}

/// MariaDB (10.2.7 and later) gives defaults as expressions: `NULL`, `5`, `'text'`, `now()`.
fn mariadb_default(given: Option<&str>, nullable: bool, ty: &ColumnType) -> Option<DefaultValue> {
    let text = given?;
    if text.eq_ignore_ascii_case("NULL") {
        return None;
    }
    if is_now(text) {
        return now_default(nullable, ty);
    }
    if let Some(inner) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(DefaultValue::Text(inner.replace("''", "'").replace("\\\\", "\\")));
    }
    let number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if number || text.starts_with("b'") || text.starts_with("x'") {
        return literal_default(text, ty);
    }
    Some(DefaultValue::Unknown)
}

/// The default of a binary column is shown as `0x6162`, by MariaDB as `x'6162'`: its text, if it is
/// one.
fn literal_default(text: &str, ty: &ColumnType) -> Option<DefaultValue> {
    let quoted = || text.strip_prefix("x'").and_then(|rest| rest.strip_suffix('\''));
    let hex = text.strip_prefix("0x").or_else(quoted);
    let hex = hex.filter(|_| matches!(ty, ColumnType::Bytes { .. }));
    let Some(hex) = hex else { return Some(DefaultValue::Text(text.into())) };
    let digit = |&c: &u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let byte = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    match String::from_utf8(bytes.unwrap_or_default()) {
        Ok(text) => Some(DefaultValue::Text(text)),
        Err(_) => Some(DefaultValue::Unknown),
    }
}

/// The tables' names as a user writes them, for messages.
pub fn none_captured() -> Error {
    Error::fatal("my-no-tables", "no table of the server is captured").hint(
        "check source.tables and source.exclude_tables, and that the user may SELECT from them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described<'a>(data_type: &'a str, column_type: &'a str) -> Described<'a> {
        Described { data_type, column_type, ..Described::default() }
    }

    #[test]
    fn types() {
        // Goal: physical parameters. Method: catalogue texts of MySQL 9.7 and MariaDB 11.8.
        let int = |bits, unsigned| ColumnType::Int { bits, unsigned };
        assert_eq!(column_type(&described("tinyint", "tinyint(1)")), int(8, false));
        assert_eq!(
            column_type(&described("bigint", "bigint(20) unsigned zerofill")),
            int(64, true)
        );
        let widened = |column_type| super::column_type(&described("float", column_type));
        assert_eq!(widened("float"), ColumnType::Float { widened: false });
        assert_eq!(widened("float(5,2)"), ColumnType::Float { widened: true });
        let d = Described { octets: 1020, charset: "utf8mb4", ..described("char", "char(255)") };
        let text = ColumnType::Text { length_bytes: 2, charset: Charset::Utf8 };
        assert_eq!(column_type(&d), text);
        let set = column_type(&described("set", "set('a','b''c',',')"));
        let labels: Arc<[String]> = ["a", "b'c", ","].map(String::from).into();
        assert_eq!(set, ColumnType::Set { bytes: 1, labels });
        let geometry = |point| ColumnType::Geometry { length_bytes: 4, point };
        assert_eq!(column_type(&described("geomcollection", "geomcollection")), geometry(false));
        assert_eq!(column_type(&described("point", "point")), geometry(true));
        let vector =
            |mariadb| Described { octets: 12, mariadb, ..described("vector", "vector(3)") };
        assert_eq!(column_type(&vector(false)), ColumnType::Vector { length_bytes: 4 });
        assert_eq!(column_type(&vector(true)), ColumnType::Vector { length_bytes: 1 });
        assert_eq!(column_type(&described("inet6", "inet6")), ColumnType::Inet { bytes: 16 });
        let compressed = |data_type, octets| {
            let column_type = match data_type {
                "varchar" => "varchar(100) /*M!100301 COMPRESSED*/",
                _ => "mediumblob /*M!100301 COMPRESSED*/",
            };
            let d = Described { octets, charset: "latin1", ..described(data_type, column_type) };
            super::column_type(&d)
        };
        let packed =
            |length_bytes, charset, max| ColumnType::Compressed { length_bytes, charset, max };
        assert_eq!(compressed("varchar", 255), packed(2, Some(Charset::Latin1), 256));
        assert_eq!(compressed("mediumblob", 16_777_215), packed(3, None, 16_777_215));
        let old = described("time", "time /* mariadb-5.3 */");
        assert_eq!(column_type(&old), ColumnType::Old(OldTemporal::Time));
        let old = ColumnType::Unsupported { name: "TIME in the format before 5.6".into() };
        let d = Described { digits: 3, ..described("time", "time(3) /* mariadb-5.3 */") };
        assert_eq!(column_type(&d), old);
    }

    #[test]
    fn defaults() {
        // Goal: literals, NULL, expressions, now (ENVELOPE, section 2). Method: both servers' forms.
        let text = |text: &str| Some(DefaultValue::Text(text.into()));
        let int = ColumnType::Int { bits: 32, unsigned: false };
        let stamp = ColumnType::Timestamp { digits: 0 };
        let bit = ColumnType::Bit { bits: 3 };
        assert_eq!(mysql_default(Some("5"), "", true, &int), text("5"));
        let unknown = Some(DefaultValue::Unknown);
        assert_eq!(mysql_default(Some("(1 + 1)"), "DEFAULT_GENERATED", true, &int), unknown);
        assert_eq!(mysql_default(Some("b'101'"), "", true, &bit), text("b'101'"));
        let binary = ColumnType::Bytes { length_bytes: 1, fixed: None };
        assert_eq!(mysql_default(Some("0x6162"), "", true, &binary), text("ab"));
        assert_eq!(mysql_default(Some("0xFF"), "", true, &binary), unknown);
        assert_eq!(mysql_default(Some("0x6162"), "", true, &int), text("0x6162"));
        assert_eq!(mariadb_default(Some("x'6162'"), true, &binary), text("ab"));
        assert_eq!(mysql_default(None, "", true, &int), None);
        let now = "CURRENT_TIMESTAMP";
        let placeholder = Some(DefaultValue::Placeholder);
        assert_eq!(mysql_default(Some(now), "DEFAULT_GENERATED", false, &stamp), placeholder);
        assert_eq!(mysql_default(Some(now), "DEFAULT_GENERATED", true, &stamp), None);
        assert_eq!(mariadb_default(Some("NULL"), true, &int), None);
        assert_eq!(mariadb_default(Some("'it''s'"), true, &int), text("it's"));
        assert_eq!(mariadb_default(Some("-5"), true, &int), text("-5"));
        assert_eq!(mariadb_default(Some("uuid()"), true, &int), unknown);
        assert_eq!(mariadb_default(Some("current_timestamp(6)"), false, &stamp), placeholder);
    }

    #[test]
    fn keys_without_primary_key() {
        // Goal: the first unique index that is wholly NOT NULL. Method: SHOW INDEX's order.
        let column = |name: &str, nullable| Column {
            name: name.into(),
            ty: ColumnType::Date,
            nullable,
            default: None,
            included: true,
        };
        let columns = [column("a", true), column("b", false), column("c", false)];
        let list = [
            (false, "i", "b"),
            (true, "u", "a"),
            (true, "v", "b"),
            (true, "v", "a"),
            (true, "w", "c"),
            (true, "w", "b"),
            (true, "x", "b"),
        ];
        assert_eq!(first_unique(list.into_iter(), &columns), [2, 1]);
        assert_eq!(first_unique(list[..4].iter().copied(), &columns), [0u16; 0]);
    }
}
