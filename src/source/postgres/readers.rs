//! The readers of the first snapshot: sessions that see the same, each with a part of the rows.
//!
//! Enters: a view, the captured tables. Leaves: schemas, DataRow frames by reference as the one
//! snapshot group. Keeps: every row once (tables, or ranges of one table's pages: no row version
//! moves while the view lives and the table is locked); small snapshots have one reader and
//! Debezium's order; readers never hold more segments than the pool can spare (HAZARDS H5); when one
//! fails, all end.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::postgres::message::{self, tag};
use penstock_protocol::schema::TableSchema;
use penstock_shards::hop::TxnOrigin;
use penstock_shards::limits::SNAPSHOT_READERS_MAX;
use penstock_shards::router::GroupId;

use super::catalogue::unexpected;
use super::connection::{Canceller, Connection};
use super::fault::{ServerError, malformed};
use super::intake::{Intake, Piece};
use super::snapshot::{DOING, Planned, Subject, View, plan};
use super::status::pause;
use super::stream::Course;
use crate::error::Result;
use crate::runtime::clock;
use crate::source::context::{ReaderContext, router_error};
use crate::source::marks::{First, Marks};

/// Pages for which another reader pays: 8 MiB.
const READER_PAGES: u64 = 1 << 10;
/// Pages of one part of a table, at least.
const PART_PAGES_MIN: u64 = 1 << 10;
/// Parts of one table.
const PARTS_MAX: u64 = 256;

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
    let pages = match ctx.snapshot.parallelism {
        ..=1 => Default::default(),
        _ => view.pages(subject).await?,
    };
    let planned = plan(ctx, course, catalogue, subject, &pages).await?;
    let bars: Vec<_> = planned.iter().map(|p| (p.full_name.clone(), p.estimate)).collect();
    ctx.progress.planned(&bars);
    let sizes: Vec<u64> = planned.iter().map(|table| table.pages).collect();
    let count = readers(&sizes, ctx.snapshot.parallelism);
    // The id that the next transaction would get: asking for one of our own would make every
    // other slot's creation wait for us.
    let xid = (view.sees.xmax & u64::from(u32::MAX)) as u32;
    let taken_us = view.taken_us;
    let views = open(ctx, view, subject, count).await;
    let units: VecDeque<Unit> = units(&sizes, views.len());
    let origin = TxnOrigin::WalSnapshot { xid, lsn, last_commit_lsn: 0 };
    ctx.router.begin(origin, taken_us, false, GroupId::Snapshot).map_err(router_error)?;
    course.snapshot_open = true;
    let first = match views.len() {
        1 => First::Of(planned.first().map(|table| table.schema.table)),
        _ => First::Any,
    };
    let mut parts = vec![Parts::default(); planned.len()];
    units.iter().for_each(|unit| parts[unit.table].left += 1);
    let mut reading = Reading {
        marks: Marks::new(first),
        planned,
        units,
        parts,
        lsn,
        started_ms: clock::monotonic_ms(),
        rows: 0,
    };
    if !reading.run(ctx, views).await? {
        return Ok(false);
    }
    if let Some((segment, head)) = reading.marks.end() {
        ctx.router.handle_frame(&segment, head).map_err(router_error)?;
    }
    let delta = PositionDelta::Lsn { lsn: course.routed, commit_lsn: 0 };
    ctx.router.commit(delta).map_err(router_error)?;
    ctx.flush().await?;
    ctx.progress.done();
    Ok(true)
}

/// How many readers pay for tables of so many pages.
fn readers(pages: &[u64], parallelism: u16) -> usize {
    let all: u64 = pages.iter().sum();
    let pay = usize::try_from(1 + all / READER_PAGES).unwrap_or(usize::MAX);
    pay.min(usize::from(parallelism)).clamp(1, SNAPSHOT_READERS_MAX)
}

/// The view's sessions. With fewer than wished for, the snapshot goes on.
async fn open(
    ctx: &ReaderContext,
    mut view: View,
    subject: &Subject<'_>,
    count: usize,
) -> Vec<View> {
    let mut siblings = Vec::new();
    while siblings.len() + 1 < count {
        match view.sibling(ctx, subject.tables).await {
            Ok(sibling) => siblings.push(sibling),
            Err(error) => {
                let readers = siblings.len() + 1;
                tracing::warn!(
                    pipeline = %ctx.name, readers, code = error.code,
                    "no further reader for the snapshot: {}", error.what
                );
                break;
            }
        }
    }
    if !siblings.is_empty() {
        tracing::info!(pipeline = %ctx.name, readers = siblings.len() + 1, "reading the snapshot");
    }
    siblings.insert(0, view);
    siblings
}

/// What a reader reads in one go: a table, or a range of its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    table: usize,
    /// `None`: from the start, to the end.
    pages: Range<Option<u64>>,
}

/// One reader: the tables in their order. Several: the largest first, and large ones in parts.
fn units(pages: &[u64], readers: usize) -> VecDeque<Unit> {
    let mut order: Vec<usize> = (0..pages.len()).collect();
    if readers == 1 {
        return order.into_iter().map(|table| Unit { table, pages: None..None }).collect();
    }
    order.sort_by_key(|&table| std::cmp::Reverse(pages[table]));
    let mut units = VecDeque::new();
    for table in order {
        let step = pages[table].div_ceil(PARTS_MAX).max(PART_PAGES_MIN);
        let mut from = None;
        let mut next = step;
        while next < pages[table] {
            units.push_back(Unit { table, pages: from..Some(next) });
            from = Some(next);
            next += step;
        }
        units.push_back(Unit { table, pages: from..None });
    }
    units
}

/// How far the parts of a table are.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    begun: bool,
    left: usize,
}

/// A session that reads.
struct Reader {
    view: View,
    intake: Intake,
    /// Index of the table that it reads.
    table: usize,
}

/// A wait for a reader's next piece. It owns the reader, so that the waits of all stay pending side
/// by side.
type Wait = Pin<Box<dyn Future<Output = (Reader, Result<Piece>)>>>;

fn wait(mut reader: Reader) -> Wait {
    Box::pin(async move {
        let piece = reader.intake.next(reader.view.session.wire()).await;
        (reader, piece)
    })
}

/// The reading of all tables.
struct Reading {
    marks: Marks,
    planned: Vec<Planned>,
    units: VecDeque<Unit>,
    parts: Vec<Parts>,
    lsn: u64,
    started_ms: u64,
    rows: u64,
}

impl Reading {
    /// Reads everything. False: asked to stop.
    async fn run(&mut self, ctx: &mut ReaderContext, views: Vec<View>) -> Result<bool> {
        let cancellers: Vec<Canceller> =
            views.iter().filter_map(|view| view.session.canceller()).collect();
        let whole = self.read(ctx, views).await?;
        if !whole {
            for canceller in &cancellers {
                canceller.cancel().await;
            }
        }
        Ok(whole)
    }

    async fn read(&mut self, ctx: &mut ReaderContext, views: Vec<View>) -> Result<bool> {
        let mut waits: FuturesUnordered<Wait> = FuturesUnordered::new();
        for mut view in views {
            let received = view.session.take_inbox();
            let records = view.session.wire().is_tls();
            let intake = Intake::new(ctx.pool.clone(), &received, records, DOING).await?;
            let reader = Reader { view, intake, table: 0 };
            waits.extend(self.next_unit(ctx, reader).await?);
        }
        while !waits.is_empty() {
            let answer = {
                let stopping = std::pin::pin!(ctx.stop.wait_for(|stop| *stop));
                match select(waits.next(), stopping).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => return Ok(false),
                }
            };
            let (reader, piece) = answer.expect("invariant: somebody reads");
            let piece = piece?;
            let before = self.rows;
            let over = self.handle_piece(ctx, &piece, reader.table)?;
            drop(piece);
            ctx.progress.rows(&self.planned[reader.table].full_name, self.rows - before);
            if over {
                self.end_unit(ctx, reader.table)?;
            }
            ctx.flush().await?;
            if self.throttle(ctx).await {
                return Ok(false);
            }
            match over {
                true => waits.extend(self.next_unit(ctx, reader).await?),
                false => waits.push(wait(reader)),
            }
        }
        Ok(true)
    }

    /// Gives a reader its next unit; none is left: its session ends.
    async fn next_unit(
        &mut self,
        ctx: &mut ReaderContext,
        mut reader: Reader,
    ) -> Result<Option<Wait>> {
        let Some(unit) = self.units.pop_front() else {
            reader.view.close().await;
            return Ok(None);
        };
        let table = &self.planned[unit.table];
        if !std::mem::replace(&mut self.parts[unit.table].begun, true) {
            ctx.progress.table_started(&table.full_name, table.estimate);
            ctx.router.handle_schema(table.schema.clone());
        }
        reader.table = unit.table;
        reader.view.session.send_query(DOING, &table.select(&unit.pages)).await?;
        Ok(Some(wait(reader)))
    }

    /// A unit of this table was read to its end.
    fn end_unit(&mut self, ctx: &mut ReaderContext, table: usize) -> Result<()> {
        let parts = &mut self.parts[table];
        parts.left -= 1;
        if parts.left == 0 {
            let table = &self.planned[table];
            if let Some((segment, head)) = self.marks.end_table(table.schema.table) {
                ctx.router.handle_frame(&segment, head).map_err(router_error)?;
            }
            ctx.progress.table_done(&table.full_name);
        }
        Ok(())
    }

    /// `rows_per_second`: waits until the rows so far are due. True: asked to stop.
    async fn throttle(&mut self, ctx: &mut ReaderContext) -> bool {
        let rate = ctx.snapshot.rows_per_second;
        if rate == 0 {
            return ctx.stop.get();
        }
        let due_ms = self.started_ms + self.rows.saturating_mul(1_000) / rate;
        let early_ms = due_ms.saturating_sub(clock::monotonic_ms());
        early_ms > 0 && pause(Duration::from_millis(early_ms), &mut ctx.stop).await
    }

    /// True when the answer is over.
    fn handle_piece(
        &mut self,
        ctx: &mut ReaderContext,
        piece: &Piece,
        table: usize,
    ) -> Result<bool> {
        let table = &self.planned[table];
        let data = piece.segment.data();
        let (mut at, mut over) = (0, false);
        let mut last: Option<FrameHead> = None;
        while at < piece.whole {
            let frame = message::next_frame(&data[at..piece.whole]);
            let frame = frame.map_err(|e| malformed(e, DOING))?;
            let (kind, body) = frame.expect("invariant: a piece holds whole messages");
            let (start, end) = (at + body.start, at + body.end);
            at = end;
            match kind {
                tag::DATA_ROW => {
                    self.rows += 1;
                    let head = row_head(table, start..end, self.lsn);
                    match last.replace(head) {
                        Some(before) => {
                            let head = self.marks.followed(before);
                            ctx.router.handle_frame(&piece.segment, head).map_err(router_error)?;
                        }
                        None => {
                            for (segment, head) in self.marks.before(head.table).iter().flatten() {
                                ctx.router.handle_frame(segment, *head).map_err(router_error)?;
                            }
                        }
                    }
                }
                tag::ROW_DESCRIPTION => fits(&data[start..end], &table.schema)?,
                tag::ERROR => {
                    let refused = ServerError::parse(&data[start..end]);
                    let refused = refused.map_err(|e| malformed(e, DOING))?;
                    let doing = format!("{DOING} of {}", table.full_name);
                    return Err(refused.into_error(&doing));
                }
                tag::READY => over = true,
                _ => {}
            }
        }
        if let Some(head) = last {
            self.marks.hold(&piece.segment, head);
        }
        Ok(over)
    }
}

fn row_head(table: &Planned, at: Range<usize>, lsn: u64) -> FrameHead {
    let narrow = |n: usize| u32::try_from(n).expect("invariant: segments are below 4 GiB");
    FrameHead {
        kind: FrameKind::SnapshotRow,
        marker: SnapshotMarker::True,
        format: 0,
        table: table.schema.table,
        offset: narrow(at.start),
        len: narrow(at.len()),
        position: lsn,
    }
}

/// The answer has the columns that the schema says.
fn fits(body: &[u8], schema: &Arc<TableSchema>) -> Result<()> {
    let fields = message::row_description(body).map_err(|e| malformed(e, DOING))?;
    let same = fields.len() == schema.columns.len()
        && fields.iter().zip(&schema.columns).all(|(f, c)| f.name == c.name && f.format == 0);
    if same { Ok(()) } else { Err(unexpected("row description")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_snapshots_have_one_reader_in_debeziums_order() {
        // Goal: no further session for what is read in a moment, never more than configured or than
        // the pool bears. Method: sizes and parallelism.
        assert_eq!(readers(&[], 4), 1);
        assert_eq!(readers(&[5, READER_PAGES - 6], 4), 1);
        assert_eq!(readers(&[5, READER_PAGES], 4), 2);
        assert_eq!(readers(&[u64::from(u32::MAX)], 2), 2);
        assert_eq!(readers(&[u64::from(u32::MAX)], 64), SNAPSHOT_READERS_MAX);
        let whole = |table| Unit { table, pages: None..None };
        assert_eq!(units(&[3, 9_000_000, 0], 1), [whole(0), whole(1), whole(2)]);
    }

    #[test]
    fn parts_cover_every_page_once() {
        // Goal: the largest table first, its ranges without gap or overlap, their number bounded.
        // Method: tables below, at and far beyond the size of a part.
        let whole = |table| Unit { table, pages: None..None };
        assert_eq!(units(&[3, 0, PART_PAGES_MIN], 2), [whole(2), whole(0), whole(1)]);
        for pages in [PART_PAGES_MIN + 1, 5 * PART_PAGES_MIN, u64::from(u32::MAX)] {
            let parts = units(&[pages], 2);
            assert!(parts.len() > 1 && parts.len() as u64 <= PARTS_MAX, "{}", parts.len());
            assert_eq!(parts.front().unwrap().pages.start, None);
            assert_eq!(parts.back().unwrap().pages.end, None);
            for (before, after) in parts.iter().zip(parts.iter().skip(1)) {
                assert_eq!(before.pages.end, after.pages.start);
                assert!(before.pages.start < before.pages.end && before.pages.end.is_some());
            }
        }
    }
}
