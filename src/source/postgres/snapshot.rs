//! The first snapshot: every row as `r`, all from one read view, before the stream.
//!
//! Enters: a view (exported by the slot's creation, or opened here), the captured tables. Leaves:
//! schemas, DataRow frames by reference, the markers first, first_in_data_collection, true,
//! last_in_data_collection and last. Keeps: the tables are locked (ACCESS SHARE) before the first
//! row, and none was rewritten since the view: a rewritten table looks empty to an older view; the
//! columns read are those of the log (HAZARDS L9).

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::postgres::message::{self, tag};
use penstock_protocol::schema::{TableName, TableSchema};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::GroupId;
use penstock_shards::segment::Segment;

use super::catalogue::{self, Table, Types, unexpected};
use super::connection::{Connection, Purpose};
use super::fault::{ServerError, malformed};
use super::intake::{Intake, Piece};
use super::publication::Publications;
use super::schema::{LogTable, assemble, catalogue_columns};
use super::sql::{ident, literal};
use super::status::pause;
use super::stream::Course;
use super::visibility::ReadView;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::source::context::{ReaderContext, router_error};

const DOING: &str = "reading the snapshot";
/// Names in one LOCK TABLE or query.
const NAMES_MAX: usize = 500;

/// A session whose transaction sees one state of the database.
pub struct View {
    session: Connection,
    /// Which transactions it sees.
    pub sees: ReadView,
    /// The database's clock at the transaction's start, µs.
    taken_us: i64,
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
            let names: Vec<String> = some.iter().map(from_clause).collect();
            let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
            self.session.query("locking the tables for the snapshot", &sql).await?;
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

    /// Ends the view.
    pub async fn close(self) {
        self.session.close().await;
    }
}

/// A table and how it is read.
struct Planned {
    schema: Arc<TableSchema>,
    select: String,
    full_name: String,
    estimate: Option<u64>,
}

/// What a snapshot is taken of.
pub struct Subject<'a> {
    /// The tables, in order.
    pub tables: &'a [Table],
    /// What is published of them.
    pub publications: &'a Publications,
    /// `source.lsn` of the rows: the slot's consistent point, else the end of the log.
    pub lsn: u64,
}

/// Reads all tables from `view` and routes their rows as one group, whose end leaves the position
/// at `course.routed`. Returns false if the pipeline was asked to stop.
pub async fn take(
    ctx: &mut ReaderContext,
    course: &mut Course,
    catalogue: &mut Connection,
    mut view: View,
    subject: &Subject<'_>,
) -> Result<bool> {
    let lsn = subject.lsn;
    let planned = plan(ctx, course, catalogue, subject).await?;
    let bars: Vec<_> = planned.iter().map(|p| (p.full_name.clone(), p.estimate)).collect();
    ctx.progress.planned(&bars);
    // The id that the next transaction would get: asking for one of our own would make every
    // other slot's creation wait for us.
    let xid = (view.sees.xmax & u64::from(u32::MAX)) as u32;
    let origin = TxnOrigin::WalSnapshot { xid, lsn, last_commit_lsn: 0 };
    ctx.router.begin(origin, view.taken_us, false, GroupId::Snapshot).map_err(router_error)?;
    course.snapshot_open = true;
    let received = view.session.take_inbox();
    let intake =
        Intake::new(ctx.pool.clone(), &received, view.session.wire().is_tls(), DOING).await?;
    let mut reading = Reading {
        marks: Marks::new(planned.first().map(|table| table.schema.table)),
        intake,
        lsn,
        started_ms: clock::monotonic_ms(),
        rows: 0,
    };
    for table in &planned {
        ctx.progress.table_started(&table.full_name, table.estimate);
        ctx.router.handle_schema(table.schema.clone());
        view.session.send_query(DOING, &table.select).await?;
        if !reading.table(ctx, &mut view, table).await? {
            view.session.cancel().await;
            return Ok(false);
        }
        ctx.progress.table_done(&table.full_name);
    }
    if let Some((segment, head)) = reading.marks.end() {
        ctx.router.handle_frame(&segment, head).map_err(router_error)?;
    }
    let delta = PositionDelta::Lsn { lsn: course.routed, commit_lsn: 0 };
    ctx.router.commit(delta).map_err(router_error)?;
    ctx.flush().await?;
    ctx.progress.done();
    view.close().await;
    Ok(true)
}

/// Schemas and statements of all tables, read after they were locked.
async fn plan(
    ctx: &mut ReaderContext,
    course: &mut Course,
    catalogue: &mut Connection,
    subject: &Subject<'_>,
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
            let filtered = row_filter.map_or(String::new(), |filter| format!(" WHERE ({filter})"));
            planned.push(Planned {
                schema,
                select: format!(
                    "SELECT {} FROM {}{filtered}",
                    names.join(", "),
                    from_clause(table)
                ),
                full_name: table.full_name(),
                estimate: table.estimate,
            });
        }
    }
    Ok(planned)
}

/// `ONLY`: inheritance children are tables of their own; a partitioned table is its partitions.
fn from_clause(table: &Table) -> String {
    if table.root { table.quoted() } else { format!("ONLY {}", table.quoted()) }
}

/// The reading of all tables.
struct Reading {
    marks: Marks,
    intake: Intake,
    lsn: u64,
    started_ms: u64,
    rows: u64,
}

impl Reading {
    /// Reads one table's answer to its end. False: asked to stop.
    async fn table(
        &mut self,
        ctx: &mut ReaderContext,
        view: &mut View,
        table: &Planned,
    ) -> Result<bool> {
        loop {
            let piece = {
                let reading = std::pin::pin!(self.intake.next(view.session.wire()));
                let stopping = std::pin::pin!(ctx.stop.wait_for(|stop| *stop));
                match futures_util::future::select(reading, stopping).await {
                    futures_util::future::Either::Left((piece, _)) => piece?,
                    futures_util::future::Either::Right(_) => return Ok(false),
                }
            };
            let before = self.rows;
            let over = self.handle_piece(ctx, &piece, table)?;
            drop(piece);
            ctx.flush().await?;
            ctx.progress.rows(&table.full_name, self.rows - before);
            if over {
                return Ok(true);
            }
            if self.throttle(ctx).await {
                return Ok(false);
            }
        }
    }

    /// `rows_per_second`: waits until the rows so far are due. True: asked to stop.
    async fn throttle(&mut self, ctx: &mut ReaderContext) -> bool {
        let rate = ctx.snapshot.rows_per_second;
        if rate == 0 {
            return ctx.stop.get();
        }
        let due_ms = self.started_ms + self.rows.saturating_mul(1_000) / rate;
        let early_ms = due_ms.saturating_sub(clock::monotonic_ms());
        early_ms > 0 && pause(std::time::Duration::from_millis(early_ms), &mut ctx.stop).await
    }

    /// True when the answer is over.
    fn handle_piece(
        &mut self,
        ctx: &mut ReaderContext,
        piece: &Piece,
        table: &Planned,
    ) -> Result<bool> {
        let data = piece.segment.data();
        let mut at = 0;
        while at < piece.whole {
            let frame = message::next_frame(&data[at..piece.whole]);
            let frame = frame.map_err(|e| malformed(e, DOING))?;
            let (kind, body) = frame.expect("invariant: a piece holds whole messages");
            let (start, end) = (at + body.start, at + body.end);
            at = end;
            match kind {
                tag::DATA_ROW => {
                    self.rows += 1;
                    let narrow =
                        |n: usize| u32::try_from(n).expect("invariant: segments are below 4 GiB");
                    let head = FrameHead {
                        kind: FrameKind::SnapshotRow,
                        marker: SnapshotMarker::True,
                        format: 0,
                        table: table.schema.table,
                        offset: narrow(start),
                        len: narrow(end - start),
                        position: self.lsn,
                    };
                    if let Some((segment, head)) = self.marks.row(&piece.segment, head) {
                        ctx.router.handle_frame(&segment, head).map_err(router_error)?;
                    }
                }
                tag::ROW_DESCRIPTION => fits(&data[start..end], &table.schema)?,
                tag::ERROR => {
                    let refused = ServerError::parse(&data[start..end]);
                    let refused = refused.map_err(|e| malformed(e, DOING))?;
                    let doing = format!("{DOING} of {}", table.full_name);
                    return Err(refused.into_error(&doing));
                }
                tag::READY => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// The answer has the columns that the schema says.
fn fits(body: &[u8], schema: &TableSchema) -> Result<()> {
    let fields = message::row_description(body).map_err(|e| malformed(e, DOING))?;
    let same = fields.len() == schema.columns.len()
        && fields.iter().zip(&schema.columns).all(|(f, c)| f.name == c.name && f.format == 0);
    if same { Ok(()) } else { Err(unexpected("row description")) }
}

/// Gives each row its marker. A row is handed on when its successor is known: the last row of all
/// is "last" even if empty tables follow (ENVELOPE, section 3).
struct Marks {
    /// The first of all tables. If it is empty, no row is the first of all (Debezium's rule).
    first_table: Option<TableId>,
    held: Option<(Arc<Segment>, FrameHead)>,
    /// The held row is the first of all.
    first: bool,
    /// The held row is the first of its table.
    first_in_table: bool,
    any: bool,
}

impl Marks {
    fn new(first_table: Option<TableId>) -> Self {
        Self { first_table, held: None, first: false, first_in_table: false, any: false }
    }

    /// Takes the next row; returns the one before, marked.
    fn row(
        &mut self,
        segment: &Arc<Segment>,
        head: FrameHead,
    ) -> Option<(Arc<Segment>, FrameHead)> {
        let same_table = self.held.as_ref().is_some_and(|(_, held)| held.table == head.table);
        let in_first = self.first_table == Some(head.table);
        let before = self.held.replace((segment.clone(), head));
        let (first, first_in_table) = (self.first, self.first_in_table);
        self.first = !self.any && in_first;
        self.first_in_table = !same_table;
        self.any = true;
        let (segment, mut head) = before?;
        head.marker = match (first, same_table, first_in_table) {
            (true, ..) => SnapshotMarker::First,
            (_, false, _) => SnapshotMarker::LastInTable,
            (_, true, true) => SnapshotMarker::FirstInTable,
            _ => SnapshotMarker::True,
        };
        Some((segment, head))
    }

    /// The last row of all.
    fn end(&mut self) -> Option<(Arc<Segment>, FrameHead)> {
        let (segment, mut head) = self.held.take()?;
        head.marker = SnapshotMarker::Last;
        Some((segment, head))
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn markers(tables: &[u32]) -> Vec<SnapshotMarker> {
        let segment = Segment::freeze(vec![0; 64], 0, None);
        let mut marks = Marks::new(Some(TableId(1)));
        let mut out = Vec::new();
        for &table in tables {
            let head = FrameHead {
                kind: FrameKind::SnapshotRow,
                marker: SnapshotMarker::True,
                format: 0,
                table: TableId(table),
                offset: 0,
                len: 0,
                position: 0,
            };
            out.extend(marks.row(&segment, head).map(|(_, head)| head.marker));
        }
        out.extend(marks.end().map(|(_, head)| head.marker));
        out
    }

    #[test]
    fn markers_follow_their_precedence() {
        // Goal: ENVELOPE section 3: last, first, last_in, first_in, true, in this order of
        // precedence; the last row of all is that of the last table with rows, the first that of the
        // first table, if it has one. Method: rows by table, of which 1 is the first.
        use SnapshotMarker::{First, FirstInTable, Last, LastInTable, True};
        assert_eq!(markers(&[]), []);
        assert_eq!(markers(&[1]), [Last]);
        assert_eq!(markers(&[1, 1]), [First, Last]);
        assert_eq!(markers(&[1, 2]), [First, Last]);
        assert_eq!(markers(&[1, 1, 2]), [First, LastInTable, Last]);
        assert_eq!(
            markers(&[1, 1, 1, 2, 3, 3, 3, 3]),
            [First, True, LastInTable, LastInTable, FirstInTable, True, True, Last]
        );
        assert_eq!(markers(&[2, 2, 3, 3]), [FirstInTable, LastInTable, FirstInTable, Last]);
    }
}
