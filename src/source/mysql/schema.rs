//! Schemas of captured tables: from the log where it tells names and types, else from the schema
//! history (DESIGN, invariant 11; HAZARDS L21–L24).
//!
//! Enters: TABLE_MAP bodies, and what the history says of the table at that place. Leaves: versions
//! of `TableSchema`. Keeps: equal bytes give the same version; names and types in the log win;
//! without them a table is decoded only by the history's definition, and only if the physical types
//! agree too; everything else is an error that says what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::mysql::ddl::change::RowBound;
use penstock_protocol::mysql::table_map::{ColumnFacts, MapColumn, TableMap, column_type};
use penstock_protocol::schema::{
    Column, ColumnType, DefaultValue, SourceKind, TableName, TableSchema,
};
use penstock_shards::history::TableDefinition;

use super::catalogue::CatalogueTable;
use super::errors;
use crate::config::TableFilter;
use crate::error::{Error, Result};
use crate::source::TableDirectory;

#[derive(Debug, Default)]
struct Known {
    version: u32,
    current: Option<Arc<TableSchema>>,
    /// The TABLE_MAP body that `current` was made from, without the table's number.
    body: Vec<u8>,
    /// The catalogue's word, read at some time where the history knows nothing: good for defaults,
    /// not for names.
    hint: Option<Arc<CatalogueTable>>,
}

/// What the reader must do about a TABLE_MAP.
#[derive(Debug, PartialEq)]
pub enum Resolved {
    /// The version that is in use.
    Same(Arc<TableSchema>),
    /// A new version: hand it to the router.
    New(Arc<TableSchema>),
    /// Read the table's catalogue (`handle_catalogue`), then ask again.
    WantsCatalogue,
    /// The log names no columns and the history does not know the table: read the catalogue and
    /// prove that it fits (`proof`), then ask again, once.
    WantsProof,
}

/// All tables that were met.
#[derive(Debug)]
pub struct Schemas {
    kind: SourceKind,
    known: BTreeMap<TableName, Known>,
}

impl Schemas {
    /// None yet, of a server of this kind.
    pub fn new(kind: SourceKind) -> Self {
        Self { kind, known: BTreeMap::new() }
    }

    /// A table without a row of the log: as the snapshot's view shows it, or for TRUNCATE.
    pub fn of_catalogue(
        &mut self,
        tables: &mut TableDirectory,
        table: &CatalogueTable,
    ) -> Arc<TableSchema> {
        let known = self.known.entry(table.name.clone()).or_default();
        let schema = TableSchema {
            table: tables.id(&table.name),
            version: known.version + 1,
            name: table.name.clone(),
            columns: table.columns.clone(),
            key: table.key.clone(),
            identity: Vec::new(),
            replica_identity: b'f',
            period: table.period,
        };
        known.take(schema)
    }

    /// The version in use.
    pub fn current(&self, name: &TableName) -> Option<Arc<TableSchema>> {
        self.known.get(name)?.current.clone()
    }

    /// A fresh word of the catalogue; `None`: the table is gone.
    pub fn handle_catalogue(&mut self, name: &TableName, table: Option<CatalogueTable>) {
        let known = self.known.entry(name.clone()).or_default();
        let gone = || CatalogueTable {
            name: name.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            rows_estimate: 0,
            period: None,
        };
        known.hint = Some(Arc::new(table.unwrap_or_else(gone)));
    }

    /// DDL on a captured table was read from the log: what its next rows look like is asked anew.
    pub fn handle_ddl(&mut self, name: &TableName) {
        if let Some(known) = self.known.get_mut(name) {
            known.body.clear();
            known.hint = None;
        }
    }

    /// The schema for the rows behind this TABLE_MAP of a captured table. `told`: its definition at
    /// this place of the log. `asked`: `WantsProof` was answered before.
    ///
    /// # Errors
    /// Definite: `my-schema-unknown`, `my-schema-disagrees`: there is no certain schema.
    pub fn resolve(
        &mut self,
        tables: &mut TableDirectory,
        filter: &TableFilter,
        (name, body): (&TableName, &[u8]),
        told: Option<Told<'_>>,
        asked: bool,
    ) -> Result<Resolved> {
        let known = self.known.entry(name.clone()).or_default();
        let content = body.get(6..).unwrap_or_default();
        if !known.body.is_empty()
            && known.body == content
            && let Some(current) = &known.current
        {
            return Ok(Resolved::Same(current.clone()));
        }
        let map = TableMap::parse(self.kind, body).map_err(errors::broken)?;
        let mut schema = match (map.has_names, told, &known.hint) {
            (true, Some(told), _) => named(&map, &told.table(name, filter), true, filter),
            (true, None, Some(hint)) => named(&map, hint, false, filter),
            (true, None, None) => return Ok(Resolved::WantsCatalogue),
            (false, Some(told), _) => unnamed(&map, told, filter, name)?,
            (false, None, _) if !asked => return Ok(Resolved::WantsProof),
            (false, None, _) => return Err(unknown(name)),
        };
        (schema.table, schema.version) = (tables.id(name), known.version + 1);
        known.body.clear();
        known.body.extend_from_slice(content);
        if let Some(current) = &known.current
            && (TableSchema { version: current.version, ..schema.clone() }) == **current
        {
            return Ok(Resolved::Same(current.clone()));
        }
        Ok(Resolved::New(known.take(schema)))
    }
}

/// What the history says of a table.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its definition.
    pub definition: &'a TableDefinition,
    /// Of MariaDB, else of MySQL.
    pub mariadb: bool,
}

impl Told<'_> {
    /// In the catalogue's form.
    pub fn table(self, name: &TableName, filter: &TableFilter) -> CatalogueTable {
        let included = |column: &str| filter.column(&format!("{name}.{column}"));
        CatalogueTable {
            name: name.clone(),
            columns: self.definition.schema_columns(self.mariadb, included),
            key: self.definition.key(),
            rows_estimate: 0,
            period: period(self.definition),
        }
    }
}

impl Known {
    fn take(&mut self, schema: TableSchema) -> Arc<TableSchema> {
        self.version = schema.version;
        let schema = Arc::new(schema);
        self.current = Some(schema.clone());
        schema
    }
}

/// The two columns of a system-versioned table that say from when to when a row holds.
fn period(definition: &TableDefinition) -> Option<[u16; 2]> {
    let at = |bound| {
        let at = definition.columns.iter().position(|column| column.is_row_bound(bound))?;
        u16::try_from(at).ok()
    };
    let bounds = [at(RowBound::Start)?, at(RowBound::End)?];
    definition.versioned.then_some(bounds)
}

fn unknown(name: &TableName) -> Error {
    Error::definite(
        "my-schema-unknown",
        format!(
            "the columns of {name} at this point of the log cannot be known: the schema history \
             does not have it, it was changed since, and the log names no columns \
             (binlog_row_metadata is not FULL)"
        ),
    )
    .hint(
        "take a new snapshot of the pipeline; with SET PERSIST binlog_row_metadata = FULL \
         (MariaDB: SET GLOBAL, and in the configuration) the log names its columns itself",
    )
}

/// MariaDB's hash of a unique key that is too long for an index: in the log, in no SELECT and in no
/// record (`ColumnDefinition::is_row_hash`).
pub(super) fn is_row_hash(column: &Column) -> bool {
    !column.included && column.name.starts_with("DB_ROW_HASH_")
}

/// FULL: the log's own word, joined with what the catalogue alone tells.
fn named(
    map: &TableMap,
    table: &CatalogueTable,
    certain: bool,
    filter: &TableFilter,
) -> TableSchema {
    let name = &table.name;
    let column = |logged: &MapColumn| {
        let own = logged.name.as_deref().unwrap_or_default();
        let listed = table.columns.iter().find(|c| c.name == own);
        let included = !listed.is_some_and(is_row_hash) && filter.column(&format!("{name}.{own}"));
        Column { included, ..named_column(logged, own, listed) }
    };
    let columns = map.columns.iter().map(column).collect::<Vec<_>>();
    let key = key(map, Some(table), certain, &columns);
    let period = listed_period(table, &columns);
    schema(name, columns, key, period)
}

/// MINIMAL, NO_LOG: the definition's word, if number and physical types of the columns agree.
fn unnamed(
    map: &TableMap,
    told: Told<'_>,
    filter: &TableFilter,
    name: &TableName,
) -> Result<TableSchema> {
    let included = |column: &str| filter.column(&format!("{name}.{column}"));
    let columns = told
        .definition
        .join(map, told.mariadb, included)
        .map_err(|e| disagree(name, e.column.as_deref().unwrap_or("the number of columns")))?;
    Ok(schema(name, columns, told.definition.key(), period(told.definition)))
}

fn schema(
    name: &TableName,
    columns: Vec<Column>,
    key: Vec<u16>,
    period: Option<[u16; 2]>,
) -> TableSchema {
    TableSchema {
        table: penstock_protocol::frame::TableId(0),
        version: 0,
        name: name.clone(),
        columns,
        key,
        identity: Vec::new(),
        replica_identity: b'f',
        period,
    }
}

/// FULL: the log's own word; from the catalogue only what the log cannot tell.
fn named_column(logged: &MapColumn, name: &str, listed: Option<&Column>) -> Column {
    let facts = |extension: Option<&Column>| {
        let told = extension.map(|c| facts_of(&c.ty)).unwrap_or_default();
        let own = ColumnFacts::of(logged);
        ColumnFacts {
            float_widened: told.float_widened,
            extension: told.extension,
            old_digits: told.old_digits,
            point: own.point.or(told.point),
            ..own
        }
    };
    let with = column_type(logged, &facts(listed));
    // A column of that name and another type is another column: the catalogue is ahead.
    let same = listed.is_some_and(|c| same_type(&c.ty, &with));
    let ty = if same { with } else { column_type(logged, &facts(None)) };
    let default = match listed.filter(|_| same) {
        Some(listed) => listed.default.clone(),
        None => Some(DefaultValue::Unknown),
    };
    Column { name: name.into(), ty, nullable: logged.nullable, default, included: true }
}

/// Equal for the row path; what is unsupported on both sides is not compared further.
fn same_type(a: &ColumnType, b: &ColumnType) -> bool {
    match (a, b) {
        (ColumnType::Unsupported { .. }, ColumnType::Unsupported { .. }) => true,
        (ColumnType::Bytes { length_bytes: a, .. }, ColumnType::Bytes { length_bytes: b, .. }) => {
            a == b
        }
        _ => a == b,
    }
}

/// What the catalogue knows of a column beside its physical type.
fn facts_of(ty: &ColumnType) -> ColumnFacts {
    let none = ColumnFacts::default();
    match ty {
        ColumnType::Int { unsigned, .. } => ColumnFacts { unsigned: Some(*unsigned), ..none },
        ColumnType::Float { widened } => ColumnFacts { float_widened: *widened, ..none },
        ColumnType::Text { charset, .. } => ColumnFacts { charset: Some(Some(*charset)), ..none },
        ColumnType::Bytes { fixed, .. } => {
            ColumnFacts { charset: Some(None), fixed: *fixed, ..none }
        }
        ColumnType::Enum { labels, .. } | ColumnType::Set { labels, .. } => {
            ColumnFacts { labels: Some(labels.clone()), ..none }
        }
        // The log shows these as BINARY.
        ColumnType::Uuid => ColumnFacts { extension: Some("uuid".into()), ..none },
        ColumnType::Inet { bytes } => ColumnFacts {
            extension: Some(if *bytes == 4 { "inet4".into() } else { "inet6".into() }),
            ..none
        },
        // MySQL's has a type code of its own; MariaDB's shows as VARBINARY.
        ColumnType::Vector { length_bytes } if *length_bytes < 4 => {
            ColumnFacts { extension: Some("vector".into()), ..none }
        }
        ColumnType::Geometry { point, .. } => ColumnFacts { point: Some(*point), ..none },
        ColumnType::Compressed { charset, .. } => ColumnFacts { charset: Some(*charset), ..none },
        ColumnType::Old(_) => ColumnFacts { old_digits: Some(0), ..none },
        _ => none,
    }
}

/// The key of the definition, if that is of this place of the log: Debezium's choice. Else the log's
/// own (FULL; also a promoted unique index), else that of the catalogue as it was read at some time.
/// MariaDB puts the end of the period last in the primary key of a system-versioned table: it is no
/// part of the key that the user gave.
fn key(
    map: &TableMap,
    table: Option<&CatalogueTable>,
    certain: bool,
    columns: &[Column],
) -> Vec<u16> {
    let listed = table.map(|table| listed_key(table, columns)).unwrap_or_default();
    if certain && table.is_some_and(|table| same_names(&table.columns, columns)) {
        return listed;
    }
    let Some(parts) = map.primary_key.as_ref().filter(|parts| !parts.is_empty()) else {
        return listed;
    };
    let mut logged = parts.iter().map(|(column, _)| *column).collect::<Vec<_>>();
    let versioned = table.is_some_and(|table| table.period.is_some());
    if versioned && logged.len() == listed.len() + 1 && logged.starts_with(&listed) {
        logged.pop();
    }
    logged
}

/// The catalogue's period in the log's columns.
fn listed_period(table: &CatalogueTable, columns: &[Column]) -> Option<[u16; 2]> {
    let at = |part: u16| {
        let name = &table.columns.get(usize::from(part))?.name;
        let at = columns.iter().position(|c| c.name == *name)?;
        u16::try_from(at).ok()
    };
    let [start, end] = table.period?;
    Some([at(start)?, at(end)?])
}

fn same_names(a: &[Column], b: &[Column]) -> bool {
    a.iter().map(|c| &c.name).eq(b.iter().map(|c| &c.name))
}

/// The catalogue's key in the log's columns; none if one of them is not there.
fn listed_key(table: &CatalogueTable, columns: &[Column]) -> Vec<u16> {
    let at = |part: &u16| {
        let name = &table.columns.get(usize::from(*part))?.name;
        let at = columns.iter().position(|c| c.name == *name)?;
        u16::try_from(at).ok()
    };
    table.key.iter().map(at).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn disagree(name: &TableName, what: &str) -> Error {
    Error::definite(
        "my-schema-disagrees",
        format!("log and schema history disagree on {name}: {what}"),
    )
    .hint(
        "take a new snapshot of the pipeline; with SET PERSIST binlog_row_metadata = FULL \
         (MariaDB: SET GLOBAL, and in the configuration) the log names its columns itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_protocol::mysql::ddl::change::{DataType, DefaultDdl, TypeName};
    use penstock_protocol::schema::Charset;
    use penstock_shards::history::ColumnDefinition;

    fn name() -> TableName {
        TableName { database: "d".into(), schema: String::new(), table: "t".into() }
    }

    fn column(name: &str, ty: ColumnType) -> Column {
        Column { name: name.into(), ty, nullable: true, default: None, included: true }
    }

    const INT: ColumnType = ColumnType::Int { bits: 32, unsigned: false };

    /// `t (a int, b varchar(10) utf8mb4)`; FULL: with names.
    fn body(names: Option<[&str; 2]>) -> Vec<u8> {
        let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 15, 2, 40, 0, 3];
        if let Some(names) = names {
            body.extend_from_slice(&[1, 1, 0, 2, 1, 45]);
            let list = names.iter().flat_map(|n| [&[n.len() as u8], n.as_bytes()].concat());
            let list = list.collect::<Vec<_>>();
            body.extend_from_slice(&[4, list.len() as u8]);
            body.extend_from_slice(&list);
        }
        body
    }

    fn listed(a: &str) -> CatalogueTable {
        let text = ColumnType::Text { length_bytes: 1, charset: Charset::Utf8 };
        let default = Some(DefaultValue::Text("5".into()));
        CatalogueTable {
            name: name(),
            columns: vec![Column { default, ..column(a, INT) }, column("b", text)],
            key: vec![0],
            rows_estimate: 0,
            period: None,
        }
    }

    /// `t (NAMES[0] int default 5, NAMES[1] varchar(10))`, and what its key is.
    fn definition(names: [&str; 2], width: u32) -> TableDefinition {
        let ty = |name, length| DataType { name, length, ..DataType::default() };
        let mut text = ty(TypeName::VarChar, Some(width));
        text.charset = Some("utf8mb4".into());
        text.collation = Some("utf8mb4_general_ci".into());
        let column = |(name, ty, default): (&str, DataType, Option<DefaultDdl>)| ColumnDefinition {
            name: name.into(),
            ty,
            nullable: true,
            default,
            ..Default::default()
        };
        let default = Some(DefaultDdl::Number("5".into()));
        let int = ty(TypeName::Int, None);
        let columns = [(names[0], int, default), (names[1], text, None)].map(column).into();
        TableDefinition { columns, ..TableDefinition::default() }
    }

    fn resolve(
        schemas: &mut Schemas,
        body: &[u8],
        told: Option<&TableDefinition>,
        asked: bool,
    ) -> Result<Resolved> {
        let mut tables = TableDirectory::default();
        let told = told.map(|definition| Told { definition, mariadb: false });
        let filter = TableFilter::default();
        schemas.resolve(&mut tables, &filter, (&name(), body), told, asked)
    }

    fn new(resolved: Result<Resolved>) -> Arc<TableSchema> {
        match resolved.unwrap() {
            Resolved::New(schema) => schema,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_log_wins_over_the_history_and_the_catalogue() {
        // Goal: names, types from the log; defaults from a definition or catalogue that agrees by
        // name and type. Method: FULL metadata; a definition, none, another one.
        let mut schemas = Schemas::new(SourceKind::MySql);
        let full = body(Some(["a", "b"]));
        let text = Some(DefaultValue::Text("5".into()));
        let told = definition(["a", "b"], 10);
        let schema = new(resolve(&mut schemas, &full, Some(&told), false));
        assert_eq!((schema.columns[0].default.clone(), schema.version), (text.clone(), 1));
        assert_eq!(resolve(&mut schemas, &full, None, false).unwrap(), Resolved::Same(schema));
        schemas.handle_ddl(&name());
        assert_eq!(resolve(&mut schemas, &full, None, false).unwrap(), Resolved::WantsCatalogue);
        schemas.handle_catalogue(&name(), Some(listed("a")));
        let schema = new(resolve(&mut schemas, &full, None, false));
        assert_eq!((schema.columns[0].default.clone(), schema.key.as_slice()), (text, &[0u16][..]));
        schemas.handle_ddl(&name());
        let told = definition(["x", "b"], 10);
        let next = new(resolve(&mut schemas, &full, Some(&told), false));
        assert_eq!((next.columns[0].name.as_str(), next.version), ("a", 3));
        let unknown = Some(DefaultValue::Unknown);
        assert_eq!((next.columns[0].default.clone(), next.key.as_slice()), (unknown, &[][..]));
    }

    #[test]
    fn l22_without_names_the_definition_of_that_place_decides() {
        // Goal: swapped names, same types: each row by the definition of its place; without one
        // a proof is asked for, once. Method: MINIMAL metadata, a DDL between.
        let mut schemas = Schemas::new(SourceKind::MySql);
        let minimal = body(None);
        assert_eq!(resolve(&mut schemas, &minimal, None, false).unwrap(), Resolved::WantsProof);
        let e = resolve(&mut schemas, &minimal, None, true).unwrap_err();
        assert_eq!((e.code, e.class), ("my-schema-unknown", crate::error::Class::Definite));
        let (ab, ba) = (definition(["a", "b"], 10), definition(["b", "a"], 10));
        let names = |schema: &TableSchema| schema.columns.iter().map(|c| c.name.clone()).collect();
        let first: Vec<_> = names(&new(resolve(&mut schemas, &minimal, Some(&ab), false)));
        schemas.handle_ddl(&name());
        let then: Vec<_> = names(&new(resolve(&mut schemas, &minimal, Some(&ba), false)));
        assert_eq!((first, then), (vec!["a".into(), "b".into()], vec!["b".into(), "a".into()]));
    }

    #[test]
    fn the_period_of_a_versioned_table_is_no_part_of_its_key() {
        // Goal: the key is the user's, in the log as in the catalogue. Method: MariaDB's primary
        // key in the log, with a second column that the catalogue does not list.
        let mut map = TableMap::parse(SourceKind::MySql, &body(Some(["a", "b"]))).unwrap();
        map.primary_key = Some(vec![(0, 0), (1, 0)]);
        let plain = listed("a");
        let versioned = CatalogueTable { period: Some([0, 1]), ..plain.clone() };
        assert_eq!(key(&map, Some(&versioned), false, &versioned.columns), [0]);
        assert_eq!(key(&map, Some(&plain), false, &plain.columns), [0, 1]);
        assert_eq!(key(&map, Some(&plain), true, &plain.columns), [0]);
    }

    #[test]
    fn l21_types_that_disagree_are_definite() {
        // Goal: never a guess. Method: a definition with another width, and one column fewer.
        let mut schemas = Schemas::new(SourceKind::MySql);
        let other = definition(["a", "b"], 11);
        let e = resolve(&mut schemas, &body(None), Some(&other), false).unwrap_err();
        assert_eq!((e.code, e.class), ("my-schema-disagrees", crate::error::Class::Definite));
        let mut short = definition(["a", "b"], 10);
        short.columns.pop();
        assert!(resolve(&mut schemas, &body(None), Some(&short), false).is_err());
    }
}
