//! From Relation messages and the catalogue to `TableSchema`.
//!
//! Enters: the columns of a Relation message, or of the catalogue for a snapshot, and the facts
//! about them. Leaves: a `TableSchema` whose columns are those of the log, in its order. Keeps:
//! names, types and identity flags of the log win (DESIGN, invariant 7); key, nullability and
//! defaults are the catalogue's, read anew at each Relation (HAZARDS M4); the same table gives the
//! same schema from both.

use penstock_protocol::frame::TableId;
use penstock_protocol::postgres::default::{default_value, has_default};
use penstock_protocol::postgres::pgoutput::Relation;
use penstock_protocol::schema::{Column, TableName, TableSchema};

use super::catalogue::{Facts, Types};
use crate::config::TableFilter;

/// A column as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub type_oid: u32,
    /// Type modifier.
    pub typmod: i32,
    /// Part of the replica identity.
    pub identity: bool,
}

/// The columns of a Relation message.
pub fn relation_columns(relation: &Relation<'_>) -> Vec<LogColumn> {
    let column = |c: &penstock_protocol::postgres::pgoutput::RelationColumn<'_>| LogColumn {
        name: c.name.to_owned(),
        type_oid: c.type_oid,
        typmod: c.typmod,
        identity: c.identity,
    };
    relation.columns.iter().map(column).collect()
}

/// The columns that the log will carry, by the catalogue: those of the publication's column list if
/// it has one, without generated ones unless the publication sends them (`generated`, 18 and later:
/// stored ones).
pub fn catalogue_columns(
    facts: &Facts,
    list: Option<&[String]>,
    generated: bool,
) -> Vec<LogColumn> {
    let sent = |generation: Option<u8>| match generation {
        None => true,
        Some(kind) => generated && kind == b's',
    };
    let published = facts.columns.iter().filter(|column| {
        sent(column.generated) && list.is_none_or(|list| list.contains(&column.name))
    });
    published
        .map(|column| LogColumn {
            name: column.name.clone(),
            type_oid: column.type_oid,
            typmod: column.typmod,
            identity: facts.identifies(column.number),
        })
        .collect()
}

/// A table as the log carries it.
pub struct LogTable<'a> {
    /// Name.
    pub name: TableName,
    /// `relreplident`.
    pub replica_identity: u8,
    /// Columns.
    pub columns: &'a [LogColumn],
}

/// Puts a schema together. `version` is the caller's. A key column that the log does not carry
/// makes the table keyless: a key that is not in the rows cannot be emitted.
pub fn assemble(
    table: TableId,
    version: u32,
    log: LogTable<'_>,
    facts: &Facts,
    types: &Types,
    filter: &TableFilter,
) -> TableSchema {
    let LogTable { name, replica_identity, columns } = log;
    let full_name = name.to_string();
    let place = |wanted: &str| columns.iter().position(|c| c.name == wanted).and_then(narrow);
    let fact = |wanted: &str| facts.columns.iter().find(|fact| fact.name == wanted);
    let key: Option<Vec<u16>> = facts
        .key()
        .iter()
        .map(|number| facts.columns.iter().find(|fact| fact.number == *number))
        .map(|fact| place(&fact?.name))
        .collect();
    let column = |column: &LogColumn| {
        let ty = types.column(column.type_oid, column.typmod);
        let known = fact(&column.name);
        let default = known
            .filter(|fact| fact.generated.is_none())
            .filter(|_| has_default(column.type_oid, types.get(column.type_oid)))
            .and_then(|fact| default_value(fact.default.as_deref()?, &ty));
        Column {
            default,
            ty,
            nullable: known.is_none_or(|fact| !fact.not_null),
            included: filter.column(&format!("{full_name}.{}", column.name)),
            name: column.name.clone(),
        }
    };
    let flagged = |(at, column): (usize, &LogColumn)| column.identity.then(|| narrow(at)).flatten();
    TableSchema {
        table,
        version,
        columns: columns.iter().map(column).collect(),
        key: key.unwrap_or_default(),
        identity: columns.iter().enumerate().filter_map(flagged).collect(),
        replica_identity,
        period: None,
        name,
    }
}

/// Columns are at most 1600 (`MaxHeapAttributeNumber`).
fn narrow(at: usize) -> Option<u16> {
    u16::try_from(at).ok()
}

/// Whether two schemas are one version: the number itself does not count.
pub fn same(a: &TableSchema, b: &TableSchema) -> bool {
    a.table == b.table
        && a.name == b.name
        && a.columns == b.columns
        && a.key == b.key
        && a.identity == b.identity
        && a.replica_identity == b.replica_identity
}

#[cfg(test)]
mod tests {
    use penstock_protocol::schema::{ColumnType, DefaultValue};

    use super::super::catalogue::{ColumnFact, IndexFact};
    use super::*;

    fn facts() -> Facts {
        let column = |number, name: &str, type_oid, not_null, default: Option<&str>| ColumnFact {
            number,
            name: name.into(),
            type_oid,
            typmod: -1,
            not_null,
            generated: None,
            default: default.map(str::to_owned),
        };
        let primary =
            IndexFact { primary: true, identity: false, immediate: true, columns: vec![3, 1] };
        Facts {
            columns: vec![
                column(1, "id", 20, true, None),
                column(2, "n", 23, false, Some("5")),
                column(3, "at", 1114, true, None),
                ColumnFact {
                    generated: Some(b's'),
                    ..column(4, "twice", 23, false, Some("(n * 2)"))
                },
            ],
            indexes: vec![primary],
            replica_identity: b'd',
        }
    }

    fn build(columns: &[LogColumn]) -> TableSchema {
        let name = TableName { database: "d".into(), schema: "s".into(), table: "t".into() };
        let types = Types::default();
        let log = LogTable { name, replica_identity: b'd', columns };
        assemble(TableId(7), 1, log, &facts(), &types, &TableFilter::default())
    }

    #[test]
    fn snapshot_and_log_give_one_schema() {
        // Goal: invariant 8 begins with equal schemas. Method: catalogue columns against the
        // Relation message that the server sends for the same table.
        let from_catalogue = catalogue_columns(&facts(), None, false);
        let log = |identity, name: &str, type_oid| LogColumn {
            name: name.into(),
            type_oid,
            typmod: -1,
            identity,
        };
        let from_log = vec![log(true, "id", 20), log(false, "n", 23), log(true, "at", 1114)];
        assert_eq!(from_catalogue, from_log);
        let schema = build(&from_log);
        assert_eq!(schema.key, [2, 0], "key order is the index's");
        assert_eq!(schema.identity, [0, 2]);
        assert_eq!(schema.columns[1].default, Some(DefaultValue::Text("5".into())));
        assert!(schema.columns[1].nullable && !schema.columns[0].nullable);
        assert!(same(&schema, &build(&from_catalogue)));
    }

    #[test]
    fn column_lists_and_generated_columns() {
        // Goal: the log's columns only. Method: a list, and a publication with generated columns.
        let names = |list: Option<&[String]>, generated| {
            let columns = catalogue_columns(&facts(), list, generated);
            columns.into_iter().map(|column| column.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None, true), ["id", "n", "at", "twice"]);
        assert_eq!(names(Some(&["at".into(), "id".into()]), false), ["id", "at"]);
    }

    #[test]
    fn a_key_outside_of_the_log_is_no_key() {
        // Goal: no key is emitted that rows do not hold. Method: a list without a key column.
        let columns = catalogue_columns(&facts(), Some(&["id".into(), "n".into()]), false);
        assert_eq!(build(&columns).key, [] as [u16; 0]);
    }

    #[test]
    fn m04_what_the_catalogue_does_not_know_yet_or_any_more() {
        // Goal: a column of the log that the catalogue lacks (dropped since) is kept, nullable,
        // with the log's type. Method: a column of another name.
        let gone = LogColumn { name: "old".into(), type_oid: 16, typmod: -1, identity: false };
        let schema = build(&[gone]);
        assert_eq!(schema.columns[0].ty, ColumnType::Bool);
        assert!(schema.columns[0].nullable && schema.columns[0].default.is_none());
    }
}
