//! The first snapshot: every row from one consistent view, at a position known exactly.
//!
//! Enters: a session, the catalogue. Leaves: `SnapshotRow` frames of every captured table, then the
//! mark that the snapshot is whole. Keeps: the log's columns in the log's order, by the binary
//! protocol, text as UTF-8, times in UTC (HAZARDS L9); the lock lasts as long as four
//! short statements; a table changed by DDL meanwhile means a new view, never a guess.
//!
//! | server | how view and position agree |
//! |---|---|
//! | MariaDB | `binlog_snapshot_file/position` belong to the view itself: no lock |
//! | MySQL | FLUSH TABLES WITH READ LOCK around view and position |
//! | MySQL, no RELOAD, GTIDs | `gtid_executed` equal before and after the view opens; else again |

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::mysql::resultset::{ServerError, is_eof};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::schema::{Column, TableName};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::GroupId;
use penstock_shards::segment::Segment;

use super::catalogue::{self, CatalogueTable, Server};
use super::chunks::Chunks;
use super::connection::{Connection, quote};
use super::place::{self, Place};
use super::schema::{Schemas, is_row_hash};
use super::{errors, pause};
use crate::config;
use crate::error::{Error, Result};
use crate::runtime::{clock, sleep};
use crate::source::context::{ReaderContext, router_error};
use crate::source::marks::Marked;

/// Tries to open a view while the server's writers leave no quiet moment, or DDL comes between.
const VIEW_TRIES_MAX: u32 = 200;

/// A consistent view, open in its session.
pub struct View {
    /// The position that it shows.
    pub place: Place,
    /// The captured tables as of it.
    pub tables: Vec<CatalogueTable>,
}

/// Fixes the session (HAZARDS L9) and opens the view. The catalogue is read before and after: if
/// DDL came between, the view is opened again.
pub async fn open_view(
    connection: &mut Connection,
    server: &Server,
    source: &config::Source,
) -> Result<View> {
    let limit = if server.is_mariadb() { "max_statement_time" } else { "max_execution_time" };
    let sql =
        format!("SET SESSION {limit} = 0, sql_select_limit = DEFAULT, lock_wait_timeout = 30");
    connection.query(&sql).await?;
    connection.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    for _ in 0..VIEW_TRIES_MAX {
        let before = catalogue::tables(connection, server, &source.filter).await?;
        let Some(place) = try_view(connection, server).await? else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let tables = catalogue::tables(connection, server, &source.filter).await?;
        if shape(&before).eq(shape(&tables)) {
            return Ok(View { place, tables });
        }
        connection.query("ROLLBACK").await?;
    }
    Err(Error::transient("my-no-view", "no consistent view: the server never was quiet enough")
        .hint("grant RELOAD to the user, so that a lock of milliseconds can be taken"))
}

/// All of the catalogue but its estimates.
fn shape(tables: &[CatalogueTable]) -> impl Iterator<Item = (&TableName, &[Column], &[u16])> {
    tables.iter().map(|t| (&t.name, t.columns.as_slice(), t.key.as_slice()))
}

const START: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// `None`: try again.
async fn try_view(connection: &mut Connection, server: &Server) -> Result<Option<Place>> {
    if server.is_mariadb() {
        return mariadb_view(connection, server).await.map(Some);
    }
    let lock = "FLUSH TABLES WITH READ LOCK";
    match connection.attempt(lock).await? {
        Ok(_) => {
            let place = locked_view(connection, server).await;
            connection.query("UNLOCK TABLES").await?;
            place.map(Some)
        }
        // Access denied: without RELOAD (or FLUSH_TABLES).
        Err(e) if matches!(e.code, 1227 | 1045 | 1044) => {
            unlocked_view(connection, server, &e).await
        }
        Err(e) => Err(errors::refused(&e, lock)),
    }
}

async fn locked_view(connection: &mut Connection, server: &Server) -> Result<Place> {
    connection.query(START).await?;
    place::log_end(connection, server).await
}

async fn unlocked_view(
    connection: &mut Connection,
    server: &Server,
    refusal: &ServerError,
) -> Result<Option<Place>> {
    if !server.has_gtids() {
        return Err(Error::fatal(
            "my-missing-grant",
            format!(
                "the snapshot's position cannot be known: the user may not lock ({}) and the \
                 server has no GTIDs",
                refusal.code
            ),
        )
        .hint("GRANT RELOAD ON *.* TO the user; or switch gtid_mode on"));
    }
    tracing::warn!(
        "the user may not FLUSH TABLES WITH READ LOCK: the view is aligned by gtid_executed \
         alone; a transaction that commits at that very moment may come twice (r, then c or u)"
    );
    let before = place::log_end(connection, server).await?;
    connection.query(START).await?;
    let after = place::gtids_now(connection, server).await?;
    if before.gtids == after {
        return Ok(Some(before));
    }
    connection.query("ROLLBACK").await?;
    Ok(None)
}

async fn mariadb_view(connection: &mut Connection, server: &Server) -> Result<Place> {
    connection.query(START).await?;
    let rows = connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
    let value = |name: &str| {
        let row = rows
            .0
            .iter()
            .position(|row| super::connection::cell(row, 0).eq_ignore_ascii_case(name));
        row.map(|row| rows.cell(row, 1).to_owned()).unwrap_or_default()
    };
    let (file, pos) = (value("binlog_snapshot_file"), value("binlog_snapshot_position"));
    let pos = pos.parse::<u64>().unwrap_or_default();
    if file.is_empty() || pos < 4 {
        return Err(Error::fatal("my-log-off", "the server writes no binary log")
            .hint("set log_bin in the server's configuration and restart it"));
    }
    let sql = format!("SELECT BINLOG_GTID_POS({}, {pos})", super::connection::literal(&file));
    let gtids = place::parse_gtids(server, connection.query(&sql).await?.cell(0, 0))?;
    Ok(Place { kind: server.kind, uuid: String::new(), file: file.as_str().into(), pos, gtids })
}

/// How the rows ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsEnd {
    /// All were routed.
    Whole,
    /// We were asked to stop: the next run takes the snapshot again.
    Stopped,
}

/// Routes every row of the view's tables and ends its transaction.
///
/// # Errors
/// Fatal once a row was routed: what was begun cannot be resumed, the next run begins anew.
pub async fn route_rows(
    ctx: &mut ReaderContext,
    schemas: &mut Schemas,
    connection: Connection,
    view: &View,
) -> Result<RowsEnd> {
    let mut rows = Rows { ctx, routed: 0, started_ms: clock::monotonic_ms() };
    match rows.route(schemas, connection, view).await {
        Err(e) if rows.routed > 0 && e.class == crate::error::Class::Transient => {
            let what = format!("the snapshot was cut off: {}", e.what);
            Err(Error::transient("my-snapshot-cut", what)
                .hint("nothing: the pipeline starts again and takes the snapshot anew"))
        }
        end => end,
    }
}

/// A table in its turn.
struct Turn<'a> {
    table: &'a CatalogueTable,
    id: TableId,
    /// Of all tables, the empty ones too: Debezium's rule. (Not so for the last.)
    first_of_all: bool,
    /// Of those that have rows.
    last_of_all: bool,
}

struct Rows<'a> {
    ctx: &'a mut ReaderContext,
    /// Rows of all tables so far.
    routed: u64,
    started_ms: u64,
}

impl Rows<'_> {
    async fn route(
        &mut self,
        schemas: &mut Schemas,
        mut connection: Connection,
        view: &View,
    ) -> Result<RowsEnd> {
        let tables = in_order(&view.tables, &self.ctx.source.filter);
        let names = tables.iter().map(|t| (t.name.to_string(), Some(t.rows_estimate)));
        self.ctx.progress.planned(&names.collect::<Vec<_>>());
        // "last" belongs to the last row of all: the last table that has any.
        let mut filled = Vec::new();
        for (n, table) in tables.iter().enumerate() {
            let sql = format!("SELECT 1 FROM {} LIMIT 1", full_name(&table.name));
            if !connection.query(&sql).await?.0.is_empty() {
                filled.push(n);
            }
        }
        for (n, table) in tables.iter().enumerate() {
            let name = table.name.to_string();
            let schema = schemas.of_catalogue(&mut self.ctx.tables, table);
            let id = schema.table;
            self.ctx.router.handle_schema(schema);
            self.ctx.progress.table_started(&name, Some(table.rows_estimate));
            if filled.contains(&n) {
                let turn = Turn {
                    table,
                    id,
                    first_of_all: n == 0,
                    last_of_all: filled.last() == Some(&n),
                };
                match self.table(connection, &turn, &view.place).await? {
                    Some(back) => connection = back,
                    None => return Ok(RowsEnd::Stopped),
                }
            }
            self.ctx.progress.table_done(&name);
        }
        connection.query("COMMIT").await?;
        connection.close().await;
        Ok(RowsEnd::Whole)
    }

    /// Streams one table's rows; `None`: asked to stop in the middle.
    async fn table(
        &mut self,
        mut connection: Connection,
        turn: &Turn<'_>,
        at: &Place,
    ) -> Result<Option<Connection>> {
        let now = connection.query("SELECT UNIX_TIMESTAMP()").await?;
        let now_us = now.cell(0, 0).parse::<i64>().unwrap_or_default() * 1_000_000;
        // The log has MariaDB's hashes of long unique keys, a SELECT has them not.
        let column = |c: &Column| if is_row_hash(c) { "NULL".into() } else { quote(&c.name) };
        let columns = turn.table.columns.iter().map(column).collect::<Vec<_>>();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), full_name(&turn.table.name));
        let statement = connection.stream_rows(&sql).await?;
        let origin = TxnOrigin::BinlogSnapshot { file: at.file.clone(), pos: at.pos };
        let begun = self.ctx.router.begin(origin, now_us, false, GroupId::Snapshot);
        begun.map_err(router_error)?;
        let (wire, rest, seq, parked) = connection.into_parts();
        let pool = self.ctx.pool.clone();
        let mut chunks = Chunks::new(wire, rest, seq, pool, parked.endpoint.clone(), None);
        if !self.stream(&mut chunks, turn, at.pos, &sql).await? {
            return Ok(None);
        }
        let delta = PositionDelta::Binlog { at: Some((at.file.clone(), at.pos)), gtids: vec![] };
        self.ctx.router.commit(delta).map_err(router_error)?;
        self.ctx.flush().await?;
        let mut connection = Connection::from_parts(chunks.into_wire(), parked);
        connection.close_statement(statement).await?;
        Ok(Some(connection))
    }

    /// Routes rows up to the EOF packet; false: asked to stop. One row is held back, so that the
    /// last one can be marked: as a copy, for a row that no segment holds waits for the one before
    /// it to be let go (HAZARDS H5).
    async fn stream(
        &mut self,
        chunks: &mut Chunks,
        turn: &Turn<'_>,
        pos: u64,
        sql: &str,
    ) -> Result<bool> {
        let name = turn.table.name.to_string();
        let mut spans = Vec::new();
        let mut back: Option<Marked> = None;
        let mut seen = 0u64;
        loop {
            let Some(segment) = pause::until(&mut self.ctx.stop, chunks.next(&mut spans)).await
            else {
                return Ok(false);
            };
            let segment = segment?;
            let (mut ended, before) = (false, seen);
            let mut last: Option<FrameHead> = None;
            for span in &spans {
                let payload = segment.data().get(span.clone()).unwrap_or_default();
                if is_eof(payload) {
                    ended = true;
                    break;
                }
                if payload.first() == Some(&0xff) {
                    let e = ServerError::parse(payload).map_err(errors::broken)?;
                    return Err(errors::refused(&e, sql));
                }
                if let Some((segment, head)) = back.take() {
                    self.frame(&segment, head)?;
                } else if let Some(head) = last.take() {
                    self.frame(&segment, head)?;
                }
                let marker = match (seen, turn.first_of_all) {
                    (0, true) => SnapshotMarker::First,
                    (0, false) => SnapshotMarker::FirstInTable,
                    _ => SnapshotMarker::True,
                };
                last = Some(head(turn.id, marker, span, pos)?);
                seen += 1;
            }
            if let Some(head) = last {
                back = Some(segment.copy_out(head));
            }
            drop(segment);
            self.ctx.progress.rows(&name, seen - before);
            if ended {
                if let Some((segment, head)) = back.take() {
                    let marker = last_marker(head.marker, turn.last_of_all);
                    self.frame(&segment, FrameHead { marker, ..head })?;
                }
                return Ok(true);
            }
            self.ctx.flush().await?;
            self.throttle().await;
        }
    }

    fn frame(&mut self, segment: &Arc<Segment>, head: FrameHead) -> Result<()> {
        self.routed += 1;
        self.ctx.router.handle_frame(segment, head).map_err(router_error)
    }

    /// `rows_per_second`.
    async fn throttle(&self) {
        let rate = self.ctx.snapshot.rows_per_second;
        if let Some(due_ms) = self.routed.saturating_mul(1000).checked_div(rate) {
            let spent_ms = clock::monotonic_ms().saturating_sub(self.started_ms);
            sleep(Duration::from_millis(due_ms.saturating_sub(spent_ms))).await;
        }
    }
}

fn head(
    table: TableId,
    marker: SnapshotMarker,
    span: &Range<usize>,
    pos: u64,
) -> Result<FrameHead> {
    let number = |n: usize| u32::try_from(n).map_err(|_| errors::unexpected("row length"));
    let (offset, len) = (number(span.start)?, number(span.len())?);
    let kind = FrameKind::SnapshotRow;
    Ok(FrameHead { kind, marker, format: 0, table, offset, len, position: pos })
}

/// The marker of a table's last row: "last" wins over "first", "first" over "last in table".
fn last_marker(marker: SnapshotMarker, last_of_all: bool) -> SnapshotMarker {
    match (last_of_all, marker) {
        (true, _) => SnapshotMarker::Last,
        (false, SnapshotMarker::First) => SnapshotMarker::First,
        (false, _) => SnapshotMarker::LastInTable,
    }
}

/// Tables in the order of the patterns that capture them, then by name.
pub fn in_order<'a>(
    tables: &'a [CatalogueTable],
    filter: &config::TableFilter,
) -> Vec<&'a CatalogueTable> {
    let rank = |table: &CatalogueTable| {
        let name = table.name.to_string();
        filter.tables.iter().position(|pattern| pattern.is_match(&name)).unwrap_or(usize::MAX)
    };
    let mut list = tables.iter().collect::<Vec<_>>();
    list.sort_by_key(|table| rank(table));
    list
}

fn full_name(name: &TableName) -> String {
    format!("{}.{}", quote(&name.database), quote(&name.table))
}

/// The delta that ends a snapshot.
pub fn done(at: &Place) -> PositionDelta {
    PositionDelta::Binlog { at: Some((at.file.clone(), at.pos)), gtids: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers() {
        // Goal: precedence of ENVELOPE, section 3. Method: all cases of a last row.
        use SnapshotMarker::*;
        assert_eq!(last_marker(First, true), Last);
        assert_eq!(last_marker(True, true), Last);
        assert_eq!(last_marker(First, false), First);
        assert_eq!(last_marker(FirstInTable, false), LastInTable);
        assert_eq!(last_marker(True, false), LastInTable);
    }

    #[test]
    fn order_of_tables() {
        // Goal: the list's patterns decide, then names. Method: two patterns, three tables.
        let table = |name: &str| CatalogueTable {
            name: TableName { database: "d".into(), schema: String::new(), table: name.into() },
            columns: vec![],
            key: vec![],
            rows_estimate: 0,
            period: None,
        };
        let tables = [table("a"), table("b"), table("z")];
        let pattern = |text: &str| regex::Regex::new(text).unwrap();
        let filter = config::TableFilter {
            tables: vec![pattern("^d\\.z$"), pattern("^d\\..*$")],
            ..Default::default()
        };
        let order = in_order(&tables, &filter);
        assert_eq!(
            order.iter().map(|t| t.name.table.as_str()).collect::<Vec<_>>(),
            ["z", "a", "b"]
        );
    }
}
