//! Tables as the log tells them: from Relation messages to schemas.
//!
//! Enters: a Relation message, in the order of the log. Leaves: the schema of its table, if it is
//! a captured one and not known so already. Keeps: key, nullability and defaults are read from the
//! catalogue now, anew at each Relation (HAZARDS M4).

use std::sync::Arc;

use penstock_protocol::frame::TableId;
use penstock_protocol::postgres::pgoutput::Relation;
use penstock_protocol::postgres::replication::lsn_text;
use penstock_protocol::schema::{TableName, TableSchema};

use super::catalogue::{self, Facts};
use super::connection::{Connection, Purpose};
use super::schema::{LogColumn, LogTable, assemble, relation_columns, same};
use super::stream::Stream;
use crate::error::{Class, Result};

/// What the reader knows of a relation of the log.
#[derive(Clone, Copy)]
pub(super) enum Known {
    Captured(TableId),
    Other,
}

impl Stream<'_> {
    /// The name of a relation.
    fn name(&self, relation: &Relation<'_>) -> TableName {
        TableName {
            database: self.ctx.source.database.clone(),
            schema: relation.namespace.to_owned(),
            table: relation.name.to_owned(),
        }
    }

    /// Whether its rows are wanted, and under which number.
    pub(super) fn known(&mut self, relation: &Relation<'_>) -> Known {
        let name = self.name(relation);
        match self.ctx.captured(&name) {
            true => Known::Captured(self.ctx.tables.id(&name)),
            false => Known::Other,
        }
    }

    /// A table as the rows behind this message have it; `None`: it is known so, or not captured.
    /// `at`: where its transaction commits, for the log line.
    pub(super) async fn learn(
        &mut self,
        relation: &Relation<'_>,
        at: u64,
    ) -> Result<Option<Arc<TableSchema>>> {
        self.last_relation = None;
        let Known::Captured(table) = self.known(relation) else {
            self.relations.insert(relation.oid, Known::Other);
            return Ok(None);
        };
        let columns = relation_columns(relation);
        let facts = match self.read_facts(relation.oid, &columns).await {
            Err(error) if error.class == Class::Transient => {
                // The side session was idle for long: it may have been ended meanwhile.
                let source = &self.ctx.source;
                *self.catalogue =
                    Connection::open(source, Purpose::Catalogue, &self.ctx.name).await?;
                self.read_facts(relation.oid, &columns).await?
            }
            facts => facts?,
        };
        let before = self.course.schemas.get(&table);
        let version = before.map_or(1, |schema| schema.version + 1);
        let (name, replica_identity) = (self.name(relation), relation.replica_identity);
        let log = LogTable { name, replica_identity, columns: &columns };
        let (known, filter) = (facts.clone().unwrap_or_default(), &self.ctx.source.filter);
        let mut schema = assemble(table, version, log, &known, &self.types, filter);
        if facts.is_none() {
            let earlier = self.course.names.get(&relation.oid);
            let earlier = earlier.and_then(|table| self.course.schemas.get(table));
            schema.key = earlier_key(&schema, earlier.map(|schema| &**schema));
        } else if schema.key.is_empty() && !known.key().is_empty() {
            // The catalogue is ahead: its key has a column that these rows do not.
            schema.key = earlier_key(&schema, before.map(|schema| &**schema));
        }
        self.course.names.insert(relation.oid, table);
        self.relations.insert(relation.oid, Known::Captured(table));
        if before.is_some_and(|before| same(before, &schema)) {
            return Ok(None);
        }
        if let Some(before) = before {
            tell_change(before, &schema, at);
        }
        let schema = Arc::new(schema);
        self.course.schemas.insert(table, schema.clone());
        Ok(Some(schema))
    }

    /// The facts of a table, if it still exists, and the types of its columns.
    async fn read_facts(&mut self, oid: u32, columns: &[LogColumn]) -> Result<Option<Facts>> {
        self.types.learn(self.catalogue, columns.iter().map(|column| column.type_oid)).await?;
        Ok(catalogue::facts(self.catalogue, &[oid]).await?.remove(&oid))
    }
}

/// The key of a table that was dropped, or whose key was changed, before its rows were read: the key
/// that it last had, if its columns are still these, else what the log itself flags as identity.
fn earlier_key(schema: &TableSchema, earlier: Option<&TableSchema>) -> Vec<u16> {
    let names = |schema: &TableSchema| -> Vec<String> {
        schema.columns.iter().map(|column| column.name.clone()).collect()
    };
    match earlier {
        Some(earlier) if names(earlier) == names(schema) => earlier.key.clone(),
        _ if matches!(schema.replica_identity, b'd' | b'i') => schema.identity.clone(),
        _ => Vec::new(),
    }
}

/// Says what a change of a table means for its records.
fn tell_change(before: &TableSchema, after: &TableSchema, position: u64) {
    let names = |schema: &TableSchema| -> Vec<String> {
        let name = |&at: &u16| schema.columns.get(usize::from(at)).map(|c| c.name.clone());
        schema.key.iter().filter_map(name).collect()
    };
    let (name, at) = (&after.name, lsn_text(position));
    if names(before) == names(after) {
        tracing::info!("table {name} has changed at {at}");
    } else {
        let (old, new) = (names(before).join(", "), names(after).join(", "));
        tracing::warn!("the record key of table {name} has changed at {at}: ({old}) to ({new})");
    }
}
