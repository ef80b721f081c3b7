//! The first snapshot: one read view, and what is read under it (`readers` reads it).
//!
//! Enters: a view (exported by the slot's creation, or opened here), the captured tables. Leaves:
//! sessions that see the same, schemas, a statement for each table. Keeps: the tables are locked (ACCESS SHARE) before the first
//! row, and none was rewritten since the view: a rewritten table looks empty to an older view; the
//! columns read are those of the log (HAZARDS L9).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use penstock_protocol::schema::{TableName, TableSchema};

use super::catalogue::{self, Table, Types, unexpected};
use super::connection::{Connection, Purpose, Row};
use super::publication::Publications;
use super::schema::{LogTable, assemble, catalogue_columns};
use super::sql::{ident, literal};
use super::stream::Course;
use super::visibility::ReadView;
use crate::error::{Error, Result};
use crate::source::context::ReaderContext;

pub(super) const DOING: &str = "reading the snapshot";
/// Names in one LOCK TABLE or query.
const NAMES_MAX: usize = 500;

/// A session whose transaction sees one state of the database.
pub struct View {
    pub(super) session: Connection,
    /// Which transactions it sees.
    pub sees: ReadView,
    /// The database's clock at the transaction's start, µs.
    pub(super) taken_us: i64,
}

impl View {
    /// Opens a view: the exported one, or a new one.
    pub async fn open(ctx: &ReaderContext, exported: Option<&str>) -> Result<Self> {
        let mut session = Connection::open(&ctx.source, Purpose::Snapshot, &ctx.name).await?;
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        session.query(DOING, begin).await?;
        if let Some(exported) = exported {
            let sql = format!("SET TRANSACTION SNAPSHOT {}", literal(exported));
            session.query(DOING, &sql).await?;
        }
        let sql = "SELECT pg_catalog.pg_current_snapshot(), \
            (extract(epoch FROM current_timestamp) * 1000000)::bigint";
        let rows = session.query(DOING, sql).await?;
        let row = rows.first().ok_or_else(|| unexpected("view"))?;
        let sees = ReadView::parse(row.text(0)).ok_or_else(|| unexpected("view"))?;
        let taken_us = row.number(1).ok_or_else(|| unexpected("clock"))?;
        Ok(Self { session, sees, taken_us })
    }

    /// Locks the tables against changes of their form, for the life of the view. A table that was
    /// rewritten since `tables` was read is refused: its rows are invisible to an older view.
    pub async fn lock(&mut self, catalogue: &mut Connection, tables: &[Table]) -> Result<()> {
        for some in tables.chunks(NAMES_MAX) {
            self.lock_some(some).await?;
            let oids: Vec<String> = some.iter().map(|table| table.oid.to_string()).collect();
            let sql = format!(
                "SELECT oid, pg_catalog.pg_relation_filenode(oid) FROM pg_catalog.pg_class \
                 WHERE oid IN ({})",
                oids.join(", ")
            );
            let rows = catalogue.query(DOING, &sql).await?;
            for table in some {
                let now = rows.iter().find(|row| row.number(0) == Some(table.oid));
                if now.is_none_or(|row| row.number::<u32>(1) != table.filenode) {
                    let name = table.full_name();
                    let what = format!("table {name} was rewritten while the snapshot began");
                    return Err(Error::transient("pg-table-rewritten", what));
                }
            }
        }
        Ok(())
    }

    async fn lock_some(&mut self, tables: &[Table]) -> Result<()> {
        let names: Vec<String> = tables.iter().map(from_clause).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        self.session.query("locking the tables for the snapshot", &sql).await?;
        Ok(())
    }

    /// Another session that sees the same; its tables are locked too, so that its reads do not
    /// queue behind DDL that waits for ours.
    pub(super) async fn sibling(&mut self, ctx: &ReaderContext, tables: &[Table]) -> Result<Self> {
        let sql = "SELECT pg_catalog.pg_export_snapshot()";
        let rows = self.session.query(DOING, sql).await?;
        let exported = rows.first().map(|row| row.text(0)).ok_or_else(|| unexpected("view"))?;
        let mut sibling = Self::open(ctx, Some(exported)).await?;
        if sibling.sees != self.sees {
            return Err(unexpected("view"));
        }
        for some in tables.chunks(NAMES_MAX) {
            sibling.lock_some(some).await?;
        }
        Ok(sibling)
    }

    /// Pages of the tables whose rows can be read by ranges of them (TID range scans are of 14 and
    /// later). Read in the view's session, whose locks let it pass.
    pub(super) async fn pages(&mut self, subject: &Subject<'_>) -> Result<BTreeMap<u32, u64>> {
        let mut pages: BTreeMap<u32, u64> = BTreeMap::new();
        if subject.version < 140_000 {
            return Ok(pages);
        }
        for some in subject.tables.chunks(NAMES_MAX) {
            let oids: Vec<String> = some.iter().map(|table| table.oid.to_string()).collect();
            let sql = format!(
                "SELECT c.oid, pg_catalog.pg_relation_size(c.oid) \
                    / pg_catalog.current_setting('block_size')::bigint \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam \
                 WHERE c.relkind = 'r' AND a.amname = 'heap' AND c.oid IN ({})",
                oids.join(", ")
            );
            let rows = self.session.query(DOING, &sql).await?;
            let number = |row: &Row| Some((row.number::<u32>(0)?, row.number::<u64>(1)?));
            pages.extend(rows.iter().filter_map(number));
        }
        Ok(pages)
    }

    /// Ends the view.
    pub async fn close(self) {
        self.session.close().await;
    }
}

/// A table and how it is read.
pub(super) struct Planned {
    pub(super) schema: Arc<TableSchema>,
    select: String,
    /// The publication's row filter.
    filter: Option<String>,
    pub(super) full_name: String,
    pub(super) estimate: Option<u64>,
    /// Pages of its file, if its rows can be read by ranges of them.
    pub(super) pages: u64,
}

impl Planned {
    /// The statement for a range of pages, or for all.
    pub(super) fn select(&self, pages: &Range<Option<u64>>) -> String {
        let filter = self.filter.as_ref().map(|filter| format!("({filter})"));
        let from = pages.start.map(|page| format!("ctid >= '({page},0)'::pg_catalog.tid"));
        let to = pages.end.map(|page| format!("ctid < '({page},0)'::pg_catalog.tid"));
        let conditions: Vec<String> = [filter, from, to].into_iter().flatten().collect();
        match conditions.is_empty() {
            true => self.select.clone(),
            false => format!("{} WHERE {}", self.select, conditions.join(" AND ")),
        }
    }
}

/// What a snapshot is taken of.
pub struct Subject<'a> {
    /// The tables, in order.
    pub tables: &'a [Table],
    /// What is published of them.
    pub publications: &'a Publications,
    /// `source.lsn` of the rows: the slot's consistent point, else the end of the log.
    pub lsn: u64,
    /// `server_version_num`.
    pub version: u32,
}

/// Schemas and statements of all tables, read after they were locked.
pub(super) async fn plan(
    ctx: &mut ReaderContext,
    course: &mut Course,
    catalogue: &mut Connection,
    subject: &Subject<'_>,
    pages: &BTreeMap<u32, u64>,
) -> Result<Vec<Planned>> {
    let Subject { tables, publications, .. } = *subject;
    let mut types = Types::default();
    let mut planned = Vec::with_capacity(tables.len());
    for some in tables.chunks(NAMES_MAX) {
        let oids: Vec<u32> = some.iter().map(|table| table.oid).collect();
        let facts = catalogue::facts(catalogue, &oids).await?;
        let wanted = facts.values().flat_map(|facts| facts.columns.iter().map(|c| c.type_oid));
        types.learn(catalogue, wanted).await?;
        for table in some {
            let no_facts = catalogue::Facts::default();
            let facts = facts.get(&table.oid).unwrap_or(&no_facts);
            let published = publications.published(table);
            let list = published.and_then(|published| published.columns.as_deref());
            let generated = publications.sends_generated(table);
            let columns = catalogue_columns(facts, list, generated);
            let name = TableName {
                database: ctx.source.database.clone(),
                schema: table.schema.clone(),
                table: table.name.clone(),
            };
            let id = ctx.tables.id(&name);
            let version = course.schemas.get(&id).map_or(1, |schema| schema.version + 1);
            let log =
                LogTable { name, replica_identity: table.replica_identity, columns: &columns };
            let schema = assemble(id, version, log, facts, &types, &ctx.source.filter);
            let schema = Arc::new(schema);
            course.schemas.insert(id, schema.clone());
            let names: Vec<String> = columns.iter().map(|column| ident(&column.name)).collect();
            let row_filter = published.and_then(|published| published.row_filter.as_deref());
            planned.push(Planned {
                schema,
                select: format!("SELECT {} FROM {}", names.join(", "), from_clause(table)),
                filter: row_filter.map(str::to_owned),
                full_name: table.full_name(),
                estimate: table.estimate,
                pages: pages.get(&table.oid).copied().unwrap_or(0),
            });
        }
    }
    Ok(planned)
}

/// `ONLY`: inheritance children are tables of their own; a partitioned table is its partitions.
fn from_clause(table: &Table) -> String {
    if table.root { table.quoted() } else { format!("ONLY {}", table.quoted()) }
}
