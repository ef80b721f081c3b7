//! Schemas of captured tables: from the log where it tells names and types, else from the
//! catalogue as far as that is certain (DESIGN, invariant 11; HAZARDS L21–L24).
//!
//! Enters: TABLE_MAP bodies, catalogue tables, DDL on captured tables. Leaves: versions of
//! `TableSchema`. Keeps: equal bytes give the same version; names and types in the log win; without
//! them a table is decoded only while no DDL can have come between catalogue and row, and only if
//! the types agree too; everything else is an error that says what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::mysql::table_map::{ColumnFacts, MapColumn, TableMap, column_type};
use penstock_protocol::schema::{Column, ColumnType, DefaultValue, TableName, TableSchema};

use super::catalogue::CatalogueTable;
use super::errors;
use crate::config::TableFilter;
use crate::error::{Error, Result};
use crate::source::TableDirectory;

/// How far the catalogue's word on a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Read at some time: good for defaults, not for names.
    Hint,
    /// No DDL on the table since: its names and order are those of the log.
    Certain,
}

#[derive(Debug, Default)]
struct Known {
    version: u32,
    current: Option<Arc<TableSchema>>,
    /// The TABLE_MAP body that `current` was made from, without the table's number.
    body: Vec<u8>,
    catalogue: Option<(Arc<CatalogueTable>, Trust)>,
    /// DDL was seen since the catalogue was read.
    changed: bool,
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
    /// The log names no columns and the catalogue is not proved to fit: prove it
    /// (`handle_certain`, for all tables at once), then ask again.
    WantsProof,
}

/// All tables that were met.
#[derive(Debug, Default)]
pub struct Schemas {
    known: BTreeMap<TableName, Known>,
}

impl Schemas {
    /// A table as the snapshot's view shows it: certain, the stream begins at that view.
    pub fn of_catalogue(
        &mut self,
        tables: &mut TableDirectory,
        table: &CatalogueTable,
    ) -> Arc<TableSchema> {
        let known = self.known.entry(table.name.clone()).or_default();
        known.catalogue = Some((Arc::new(table.clone()), Trust::Certain));
        known.changed = false;
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

    /// A first version from the catalogue's word alone: for TRUNCATE, which has no row.
    pub fn hinted(
        &mut self,
        tables: &mut TableDirectory,
        table: CatalogueTable,
    ) -> Arc<TableSchema> {
        let name = table.name.clone();
        let schema = self.of_catalogue(tables, &table);
        if let Some(Known { catalogue: Some((_, trust)), .. }) = self.known.get_mut(&name) {
            *trust = Trust::Hint;
        }
        schema
    }

    /// The tables of a view that no row is read from (`schema_only`), or of a catalogue that was
    /// proved to hold from the stream's position on.
    pub fn handle_certain(&mut self, tables: Vec<CatalogueTable>) {
        for table in tables {
            let known = self.known.entry(table.name.clone()).or_default();
            known.catalogue = Some((Arc::new(table), Trust::Certain));
            known.changed = false;
        }
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
        known.catalogue = Some((Arc::new(table.unwrap_or_else(gone)), Trust::Hint));
        known.changed = false;
    }

    /// DDL on a captured table was read from the log. True if a schema of it was in use that only
    /// the catalogue vouches for: its next row could not be decoded with certainty.
    pub fn handle_ddl(&mut self, name: &TableName) -> bool {
        let known = self.known.entry(name.clone()).or_default();
        known.changed = true;
        known.body.clear();
        let certain = matches!(known.catalogue, Some((_, Trust::Certain)));
        if let Some((_, trust)) = &mut known.catalogue {
            *trust = Trust::Hint;
        }
        certain
    }

    /// The schema for the rows behind this TABLE_MAP of a captured table.
    ///
    /// # Errors
    /// Definite, `my-schema-unknown`: there is no certain schema.
    pub fn resolve(
        &mut self,
        tables: &mut TableDirectory,
        filter: &TableFilter,
        name: &TableName,
        body: &[u8],
        proved: bool,
    ) -> Result<Resolved> {
        let known = self.known.entry(name.clone()).or_default();
        let content = body.get(6..).unwrap_or_default();
        if !known.body.is_empty()
            && known.body == content
            && let Some(current) = &known.current
        {
            return Ok(Resolved::Same(current.clone()));
        }
        let map = TableMap::parse(body).map_err(errors::broken)?;
        if map.has_names {
            if known.changed || known.catalogue.is_none() {
                return Ok(Resolved::WantsCatalogue);
            }
            if let Some((table, trust)) = &known.catalogue
                && !fits(&map, table)
                && *trust == Trust::Certain
            {
                // The log is ahead of what was read once: the catalogue may know more by now.
                return Ok(Resolved::WantsCatalogue);
            }
        } else {
            match &known.catalogue {
                Some((_, Trust::Certain)) => {}
                _ if !proved => return Ok(Resolved::WantsProof),
                _ => return Err(unknown(name)),
            }
        }
        let table = known.catalogue.as_ref().map(|(table, _)| table.clone());
        let id = tables.id(name);
        let version = known.version + 1;
        let mut schema = build(&map, table.as_deref(), filter, name)?;
        (schema.table, schema.version) = (id, version);
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

impl Known {
    fn take(&mut self, schema: TableSchema) -> Arc<TableSchema> {
        self.version = schema.version;
        let schema = Arc::new(schema);
        self.current = Some(schema.clone());
        schema
    }
}

fn unknown(name: &TableName) -> Error {
    Error::definite(
        "my-schema-unknown",
        format!(
            "the columns of {name} at this point of the log cannot be known: the table was made \
             or changed by DDL, and the log names no columns (binlog_row_metadata is not FULL)"
        ),
    )
    .hint(
        "SET PERSIST binlog_row_metadata = FULL (MariaDB: SET GLOBAL, and in the configuration), \
         then take a new snapshot of the pipeline; with FULL, DDL does not stop it",
    )
}

/// Whether names and physical types agree, column by column.
fn fits(map: &TableMap, table: &CatalogueTable) -> bool {
    map.columns.len() == table.columns.len()
        && map
            .columns
            .iter()
            .zip(&table.columns)
            .all(|(logged, listed)| logged.name.as_deref().is_none_or(|name| name == listed.name))
}

/// Joins what the log tells with what the catalogue does.
fn build(
    map: &TableMap,
    table: Option<&CatalogueTable>,
    filter: &TableFilter,
    name: &TableName,
) -> Result<TableSchema> {
    let listed = table.map(|t| t.columns.as_slice()).unwrap_or_default();
    if !map.has_names && listed.len() != map.columns.len() {
        return Err(disagree(name, "the number of columns"));
    }
    let mut columns = Vec::with_capacity(map.columns.len());
    for (i, logged) in map.columns.iter().enumerate() {
        let column = match &logged.name {
            Some(own) => named(logged, own, listed.iter().find(|c| c.name == *own)),
            None => {
                let listed =
                    listed.get(i).ok_or_else(|| disagree(name, "the number of columns"))?;
                unnamed(logged, listed).ok_or_else(|| disagree(name, &listed.name))?
            }
        };
        let included = filter.column(&format!("{name}.{}", column.name));
        columns.push(Column { included, ..column });
    }
    let key = key(map, table, &columns);
    let period = table.and_then(|table| listed_period(table, &columns));
    Ok(TableSchema {
        table: penstock_protocol::frame::TableId(0),
        version: 0,
        name: name.clone(),
        columns,
        key,
        identity: Vec::new(),
        replica_identity: b'f',
        period,
    })
}

/// FULL: the log's own word; from the catalogue only what the log cannot tell.
fn named(logged: &MapColumn, name: &str, listed: Option<&Column>) -> Column {
    let facts = |extension: Option<&Column>| {
        let told = extension.map(|c| facts_of(&c.ty)).unwrap_or_default();
        let own = ColumnFacts::of(logged);
        ColumnFacts { float_widened: told.float_widened, extension: told.extension, ..own }
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

/// MINIMAL, NO_LOG: the catalogue's word, if the physical type agrees.
fn unnamed(logged: &MapColumn, listed: &Column) -> Option<Column> {
    let own = ColumnFacts::of(logged);
    let told = facts_of(&listed.ty);
    let facts = ColumnFacts {
        unsigned: own.unsigned.or(told.unsigned),
        charset: own.charset.or(told.charset),
        labels: own.labels.or(told.labels),
        ..told
    };
    let ty = column_type(logged, &facts);
    let agrees = same_type(&listed.ty, &ty) && listed.nullable == logged.nullable;
    agrees.then(|| Column { ty, ..listed.clone() })
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
        ColumnType::Unsupported { name } if matches!(name.as_str(), "INET4" | "INET6") => {
            ColumnFacts { extension: Some(name.clone()), ..none }
        }
        _ => none,
    }
}

/// The log's primary key (FULL; also a promoted unique index), else the catalogue's key. MariaDB
/// puts the end of the period last in the primary key of a system-versioned table: it is no part of
/// the key that the user gave.
fn key(map: &TableMap, table: Option<&CatalogueTable>, columns: &[Column]) -> Vec<u16> {
    let listed = table.map(|table| listed_key(table, columns)).unwrap_or_default();
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
        format!("log and catalogue disagree on {name}: {what}"),
    )
    .hint(
        "the table was changed while the log names no columns: SET PERSIST binlog_row_metadata = \
         FULL (MariaDB: SET GLOBAL), then take a new snapshot of the pipeline",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_protocol::schema::Charset;

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

    fn resolve(schemas: &mut Schemas, body: &[u8], proved: bool) -> Result<Resolved> {
        let mut tables = TableDirectory::default();
        schemas.resolve(&mut tables, &TableFilter::default(), &name(), body, proved)
    }

    #[test]
    fn the_log_wins_over_the_catalogue() {
        // Goal: names, types from the log; defaults and keys from a catalogue that agrees by name
        // and type. Method: FULL metadata, a catalogue that has renamed the first column.
        let mut schemas = Schemas::default();
        let full = body(Some(["a", "b"]));
        assert_eq!(resolve(&mut schemas, &full, false).unwrap(), Resolved::WantsCatalogue);
        schemas.handle_catalogue(&name(), Some(listed("a")));
        let Ok(Resolved::New(schema)) = resolve(&mut schemas, &full, false) else { panic!() };
        assert_eq!(schema.columns[0].default, Some(DefaultValue::Text("5".into())));
        assert_eq!((schema.key.as_slice(), schema.version), (&[0u16][..], 1));
        assert_eq!(resolve(&mut schemas, &full, false).unwrap(), Resolved::Same(schema.clone()));
        schemas.handle_ddl(&name());
        assert_eq!(resolve(&mut schemas, &full, false).unwrap(), Resolved::WantsCatalogue);
        schemas.handle_catalogue(&name(), Some(listed("x")));
        let Ok(Resolved::New(next)) = resolve(&mut schemas, &full, false) else { panic!() };
        assert_eq!((next.columns[0].name.as_str(), next.version), ("a", 2));
        let unknown = Some(DefaultValue::Unknown);
        assert_eq!((next.columns[0].default.clone(), next.key.as_slice()), (unknown, &[][..]));
    }

    #[test]
    fn l22_without_names_the_catalogue_must_be_certain() {
        // Goal: agreeing types alone are not enough; DDL ends certainty. Method: MINIMAL metadata.
        let mut schemas = Schemas::default();
        let minimal = body(None);
        schemas.handle_catalogue(&name(), Some(listed("a")));
        assert_eq!(resolve(&mut schemas, &minimal, false).unwrap(), Resolved::WantsProof);
        schemas.handle_certain(vec![listed("a")]);
        let Ok(Resolved::New(schema)) = resolve(&mut schemas, &minimal, true) else { panic!() };
        assert_eq!(schema.columns[0].name, "a");
        assert!(schemas.handle_ddl(&name()));
        let e = resolve(&mut schemas, &minimal, true).unwrap_err();
        assert_eq!(e.code, "my-schema-unknown");
    }

    #[test]
    fn the_period_of_a_versioned_table_is_no_part_of_its_key() {
        // Goal: the key is the user's, in the log as in the catalogue. Method: MariaDB's primary
        // key in the log, with a second column that the catalogue does not list.
        let mut map = TableMap::parse(&body(Some(["a", "b"]))).unwrap();
        map.primary_key = Some(vec![(0, 0), (1, 0)]);
        let plain = listed("a");
        let versioned = CatalogueTable { period: Some([0, 1]), ..plain.clone() };
        assert_eq!(key(&map, Some(&versioned), &versioned.columns), [0]);
        assert_eq!(key(&map, Some(&plain), &plain.columns), [0, 1]);
    }

    #[test]
    fn l21_types_that_disagree_are_definite() {
        // Goal: never a guess. Method: a catalogue with another type, and one column fewer.
        let mut schemas = Schemas::default();
        let mut other = listed("a");
        other.columns[1].ty = ColumnType::Text { length_bytes: 2, charset: Charset::Utf8 };
        schemas.handle_certain(vec![other]);
        let e = resolve(&mut schemas, &body(None), true).unwrap_err();
        assert_eq!((e.code, e.class), ("my-schema-disagrees", crate::error::Class::Definite));
        let mut short = listed("a");
        short.columns.pop();
        schemas.handle_certain(vec![short]);
        assert!(resolve(&mut schemas, &body(None), true).is_err());
    }
}
