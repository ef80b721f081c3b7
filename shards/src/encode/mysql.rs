//! MySQL and MariaDB: rows events and snapshot rows to envelopes.
//!
//! Enters: bodies of rows events (after the 19-byte header, without checksum) and binary-protocol
//! rows. Leaves: events. Keeps: a rows event of any length is cut into rows one at a time and can
//! be left and resumed at any row, so its envelopes need no memory beyond a batch.

use penstock_protocol::frame::{FORMAT_WITH_QUERY, FrameKind};
use penstock_protocol::mysql::binary_row::walk_binary_row;
use penstock_protocol::mysql::images::locate_image;
use penstock_protocol::mysql::rows::{RowError, RowOps, RowsHead, skip_image, walk_image};

use super::cells::{CellWriter, Spans};
use super::debezium_json::{
    Block, Emitter, Instant, Job, RowSource, SourceText, Table, Text, Walk as AnyWalk, fault_error,
    is_skipped, key_changed, marker_text, op_index, put_end, put_transaction, refused, room,
    same_text,
};
use super::incomplete;
use super::number::{put_i64, put_u64};
use super::plan::Plan;
use super::text::{Out, put_text};
use super::{EncodeError, Encoded, Resume};
use crate::annex::Order;
use crate::batch::{Batch, Op};
use crate::hop::TxnOrigin;
use crate::limits::SEGMENT_SLACK;
use crate::seq::Seq;

/// How images of a table version are walked.
pub(crate) struct Walk {
    /// For the value.
    pub ops: RowOps,
    /// For a key that is not part of the value.
    pub outside: Option<RowOps>,
}

impl Walk {
    /// Compiles it.
    pub fn new(plan: &Plan) -> Self {
        let columns = &plan.schema.columns;
        let ops = |cells: &[super::plan::Cell]| {
            RowOps::new(columns.iter().map(|c| &c.ty), |col| {
                cells.get(col).is_some_and(|c| c.wanted)
            })
        };
        Self { ops: ops(&plan.cells), outside: plan.outside.as_deref().map(ops) }
    }
}

// ------------------------------------------------------------------------------ source block

/// The source block of one frame, drawn for the operation that its rows have.
pub(crate) struct Source<'a> {
    text: &'a SourceText,
    job: &'a Job<'a>,
    op: Op,
}

impl RowSource for Source<'_> {
    #[inline(always)]
    fn put(&self, out: &mut Out, op: Op, row: u32) {
        out.exact(self.text.head.get());
        put_u64(out, u64::from(row));
        if op == self.op {
            out.exact(self.text.tails[op_index(op)].get());
        } else {
            // The two halves of a key change: too rare to be drawn for every frame.
            out.cold(|out| put_tail(out, self.job, op));
        }
    }

    #[cold]
    fn put_numbered(&self, out: &mut Out, op: Op, row: u32, order: Order) {
        let Some(id) = self.job.txn.id.as_deref() else { return self.put(out, op, row) };
        out.exact(self.text.head.get());
        put_u64(out, u64::from(row));
        if op == self.op {
            return put_transaction(out, self.text.tails[op_index(op)].get(), id, None, order);
        }
        let mut tail = Block::default();
        tail.draw(0, tail_room(self.job), |out| put_tail(out, self.job, op));
        put_transaction(out, tail.get(), id, None, order);
    }

    fn room(&self) -> usize {
        self.text.head.len() + self.text.tails[op_index(self.op)].len() + tail_room(self.job) + 32
    }
}

/// Draws what the transaction, the frame and its operation need.
pub(crate) fn source<'a>(text: &'a mut SourceText, job: &'a Job<'a>, op: Op) -> Source<'a> {
    let marker = job.frame.head.marker;
    let head_of = Some((job.txn.seq, job.txn.commit_us, marker));
    let file: &str = match &job.txn.origin {
        TxnOrigin::Binlog { file, .. } | TxnOrigin::BinlogSnapshot { file, .. } => file,
        TxnOrigin::Wal { .. } | TxnOrigin::WalSnapshot { .. } => "",
    };
    if text.head_of != head_of || text.file != file {
        draw_head(text, job, file);
        text.head_of = head_of;
        text.file.clear();
        text.file.push_str(file);
    }
    let position = match &job.txn.origin {
        TxnOrigin::BinlogSnapshot { pos, .. } => *pos,
        _ => job.frame.head.position,
    };
    text.head.draw(text.head_len, 96, |out| {
        put_u64(out, position);
        out.exact(b",\"row\":");
    });
    // A statement's text may change within the transaction: its tail is not remembered.
    let (thread, query) = thread_and_query(job);
    let of = query.is_none().then_some((job.now_us, thread, Seq(0)));
    let i = op_index(op);
    if text.tail_of[i] != of || of.is_none() {
        text.tails[i].draw(0, tail_room(job), |out| put_tail(out, job, op));
        text.tail_of[i] = of;
    }
    Source { text, job, op }
}

fn thread_and_query<'a>(job: &'a Job<'_>) -> (Option<u32>, Option<&'a str>) {
    match &job.txn.origin {
        TxnOrigin::Binlog { thread, query, .. } => (*thread, job.query.or(query.as_deref())),
        _ => (None, None),
    }
}

/// The most that `put_tail` writes.
fn tail_room(job: &Job) -> usize {
    512 + 6 * thread_and_query(job).1.map_or(0, str::len)
}

/// `,"thread":…` to the envelope's end.
fn put_tail(out: &mut Out, job: &Job, op: Op) {
    let (thread, query) = thread_and_query(job);
    out.exact(b",\"thread\":");
    match thread {
        Some(thread) => put_i64(out, i64::from(thread)),
        None => out.exact(b"null"),
    }
    out.exact(b",\"query\":");
    put_text(out, query);
    put_end(out, op, &Instant::new(job.now_us));
}

/// `,"source":{"version":…` up to `"pos":`.
fn draw_head(text: &mut SourceText, job: &Job, file: &str) {
    let (gtid, server_id) = match &job.txn.origin {
        TxnOrigin::Binlog { gtid, server_id, .. } => (gtid.as_deref(), *server_id),
        _ => (None, 0),
    };
    let bytes = text.constant_len() + 6 * (gtid.map_or(0, str::len) + file.len());
    let SourceText { start, db, table, head, .. } = text;
    let instant = Instant::new(job.txn.commit_us);
    head.draw(0, bytes + 512, |out| {
        out.exact(start);
        instant.put_ms(out);
        out.exact(b",\"snapshot\":");
        out.exact(marker_text(job.frame.head.marker, job.options));
        out.exact(db);
        out.exact(b"null");
        instant.put_us_ns(out);
        out.exact(table);
        put_u64(out, u64::from(server_id));
        out.exact(b",\"gtid\":");
        put_text(out, gtid);
        out.exact(b",\"file\":");
        put_text(out, Some(file));
        out.exact(b",\"pos\":");
    });
    text.head_len = text.head.len();
}

// ------------------------------------------------------------------------------ rows

/// Appends the rows of one frame (see `RowEncoder::encode`).
pub(crate) fn encode(
    table: &mut Table,
    spans: &mut Spans,
    job: &Job,
    resume: &mut Resume,
    batch: &mut Batch,
) -> Result<Encoded, EncodeError> {
    let op = match job.frame.head.kind {
        FrameKind::Insert => Op::Create,
        FrameKind::Update => Op::Update,
        FrameKind::Delete => Op::Delete,
        FrameKind::SnapshotRow => Op::Read,
        FrameKind::Truncate | FrameKind::Annex => {
            return Err(refused("something else came as rows".into()));
        }
    };
    let part = part(job)?;
    if op == Op::Read {
        return snapshot_row(table, spans, job, part, batch);
    }
    let (format, part, query) = statement(job, part)?;
    let job = &Job { query, ..*job };
    let head = rows_head(table, format, part)?;
    // What a row of a versioned table means is not known before its period is read.
    let versioned = table.plan.schema.period.is_some();
    if is_skipped(job.options, op) && !versioned {
        return skip_rows(table, job, part, &head, resume);
    }
    // The source block is drawn into the table's own buffers, which the rows then read.
    source(&mut table.source, job, op);
    let rows = match (op == Op::Update, head.is_whole() && !versioned) {
        (true, true) => rows::<true, true>,
        (false, true) => rows::<false, true>,
        (true, false) => rows::<true, false>,
        (false, false) => rows::<false, false>,
    };
    rows(table, spans, job, part, &head, op, resume, batch)
}

/// A frame's bytes: `seg[start..end]`, with readable slack behind.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub seg: &'a [u8],
    pub start: usize,
    pub end: usize,
}

/// The frame's bytes: walks see nothing of the segment behind them but the slack of constant-size
/// loads.
fn part<'a>(job: &Job<'a>) -> Result<Part<'a>, EncodeError> {
    let (start, len) = (job.frame.head.offset as usize, job.frame.head.len as usize);
    let (seg, end) = (job.segment.padded(), start + len);
    let seg = seg.get(..end + SEGMENT_SLACK).unwrap_or(seg);
    match end > seg.len() {
        true => Err(refused("a frame ends behind its segment".into())),
        false => Ok(Part { seg, start, end }),
    }
}

/// The event's code and body, and the statement in front of it.
fn statement<'a>(
    job: &Job<'a>,
    part: Part<'a>,
) -> Result<(u8, Part<'a>, Option<&'a str>), EncodeError> {
    let format = job.frame.head.format;
    if format & FORMAT_WITH_QUERY == 0 {
        return Ok((format, part, None));
    }
    let body = part.seg.get(part.start..part.end).unwrap_or_default();
    let text = body.split_first_chunk().and_then(|(len, rest)| {
        let text = rest.get(..u32::from_le_bytes(*len) as usize)?;
        std::str::from_utf8(text).ok()
    });
    let Some(text) = text else { return Err(refused("a frame without its statement".into())) };
    let start = part.start + 4 + text.len();
    Ok((format & !FORMAT_WITH_QUERY, Part { start, ..part }, Some(text)))
}

fn rows_head(table: &Table, format: u8, part: Part) -> Result<RowsHead, EncodeError> {
    let AnyWalk::MySql(walk) = &table.walk else { return Err(foreign()) };
    let event = part.seg.get(..part.end).unwrap_or_default();
    RowsHead::parse(format, event, part.start)
        .and_then(|head| head.matches(&walk.ops).map(|()| head))
        .map_err(|e| row_error(&table.plan, part.start, e))
}

/// Rows of one event, from `resume` on, as far as the batch has room. `WHOLE`: each of their images
/// has every column.
#[allow(clippy::too_many_arguments)]
fn rows<const UPDATE: bool, const WHOLE: bool>(
    table: &mut Table,
    spans: &mut Spans,
    job: &Job,
    part: Part,
    head: &RowsHead,
    op: Op,
    resume: &mut Resume,
    batch: &mut Batch,
) -> Result<Encoded, EncodeError> {
    let Part { start, end, .. } = part;
    let mut p = if resume.offset == 0 { head.rows_at } else { start + resume.offset as usize };
    let mut row = resume.row;
    let first_ordinal = table.ordinal();
    let mut scratch = std::mem::take(&mut table.images);
    let AnyWalk::MySql(walk) = &table.walk else { return Err(foreign()) };
    let source = Source { text: &table.source, job, op };
    let margin = 2 * table.plan.margin + 3 * source.room();
    let (used, mut done) = (batch.used(), batch.used());
    let out = Out::new(batch.take_arena(), used, margin);
    let mut w: CellWriter<'_, false> =
        CellWriter { out, cells: &table.plan.cells, spans, base: 0, fault: None, noted: None };
    let mut emit = Emitter {
        plan: &table.plan,
        source: &source,
        events: &mut batch.events,
        seq: job.txn.seq,
        tombstones: job.options.tombstones_on_delete,
        order: resume.order,
    };
    let first_row = row;
    let mut outcome = Ok(Encoded::Done);
    while p < end {
        if !room(w.out.at(), emit.events.len()) {
            outcome = Ok(Encoded::Full);
            break;
        }
        w.out.ensure(0);
        let ordinal = first_ordinal.wrapping_add(row - first_row);
        let next = if WHOLE {
            one_row::<UPDATE, _>(walk, part, p, &mut w, &mut emit, op, (row, ordinal))
        } else {
            let event = incomplete::Event { walk, head, part, options: job.options };
            event.row(&mut scratch, p, &mut w, &mut emit, op, (row, ordinal))
        };
        match next {
            Ok(next) if next <= p => {
                outcome = Err(row_error(emit.plan, start, RowError::empty(p)));
            }
            Ok(next) if next <= end && w.fault.is_none() => {
                (p, row, done) = (next, row + 1, w.out.at());
            }
            Ok(_) if w.fault.is_none() => {
                outcome = Err(row_error(emit.plan, start, RowError::past_the_end(end)));
            }
            Ok(_) => outcome = Err(w.fault.map_or_else(foreign, |f| fault_error(emit.plan, f))),
            Err(error) => outcome = Err(row_error(emit.plan, start, error)),
        }
        if outcome.is_err() {
            break;
        }
    }
    let order = emit.order;
    let noted = w.noted;
    let (arena, _) = w.out.finish();
    table.note(noted);
    table.images = scratch;
    // Events of a row that failed point behind `done`: they go with it.
    let failed = |event: &crate::batch::EventRef| {
        event.value.is_some_and(|value| value.at as usize >= done)
            || (event.value.is_none() && event.key.is_some_and(|key| key.at as usize >= done))
    };
    while outcome.is_err() && batch.events.last().is_some_and(failed) {
        batch.events.pop();
    }
    batch.put_back(arena, done);
    table.count(row - first_row);
    *resume = Resume { offset: (p - start) as u32, row, order };
    outcome
}

/// One row of whole images: both of an update, the one of an insert or delete.
#[inline(always)]
fn one_row<'p, const UPDATE: bool, S: RowSource>(
    walk: &Walk,
    part: Part,
    at: usize,
    w: &mut CellWriter<'p, false>,
    emit: &mut Emitter<'p, S>,
    op: Op,
    row: (u32, u32),
) -> Result<usize, RowError> {
    if let Some(outside) = &walk.outside {
        key_outside(outside, part, at, w, emit.plan, UPDATE)?;
    }
    let value = w.out.at();
    w.base = 0;
    if UPDATE {
        w.out.pad(b"{\"before\":{     ", 11);
        let mut p = walk_image(&walk.ops, part.seg, at, w)?;
        let before = Text { from: value + 10, to: w.out.at() + 1 };
        w.out.pad(b"},\"after\":{    ", 11);
        w.base = 64;
        p = walk_image(&walk.ops, part.seg, p, w)?;
        let after = Text { from: before.to + 9, to: w.out.at() + 1 };
        w.out.byte(b'}');
        if emit.plan.skip_unchanged && same_text(&w.out, before, after) {
            w.out.rewind(value);
            return Ok(p);
        }
        if key_changed(&w.out, emit.plan, w.spans) {
            let spans = &*w.spans;
            w.out.cold(|out| emit.rekey(out, spans, (before, after), row));
        } else {
            emit.finish(w, op, value, row);
        }
        return Ok(p);
    }
    let p;
    if op == Op::Delete {
        w.out.pad(b"{\"before\":{     ", 11);
        p = walk_image(&walk.ops, part.seg, at, w)?;
        w.out.pad(b"},\"after\":null ", 14);
    } else {
        w.out.pad(b"{\"before\":null,\"after\":{        ", 24);
        p = walk_image(&walk.ops, part.seg, at, w)?;
        w.out.byte(b'}');
    }
    emit.finish(w, op, value, row);
    Ok(p)
}

/// Writes the key's texts in front of the row's value when they are not part of it.
#[cold]
fn key_outside<'p>(
    outside: &RowOps,
    part: Part,
    at: usize,
    w: &mut CellWriter<'p, false>,
    plan: &'p Plan,
    update: bool,
) -> Result<(), RowError> {
    w.cells = plan.outside.as_deref().unwrap_or_default();
    w.base = 0;
    let mut p = walk_image(outside, part.seg, at, w)?;
    if update {
        w.base = 64;
        p = walk_image(outside, part.seg, p, w)?;
    }
    w.cells = &plan.cells;
    w.out.ensure(0);
    if p > part.end { Err(RowError::past_the_end(part.end)) } else { Ok(()) }
}

/// Rows of an operation that is not wanted: counted, for the ordinals of those behind them.
#[cold]
fn skip_rows(
    table: &mut Table,
    job: &Job,
    part: Part,
    head: &RowsHead,
    resume: &mut Resume,
) -> Result<Encoded, EncodeError> {
    let AnyWalk::MySql(walk) = &table.walk else { return Err(foreign()) };
    let images = if job.frame.head.kind == FrameKind::Update { 2 } else { 1 };
    let (mut p, mut rows, cells) = (head.rows_at, 0, &mut table.images.before);
    while p < part.end {
        let from = p;
        for number in 0..images {
            let next = match head.is_whole() {
                true => skip_image(&walk.ops, part.seg, p),
                false => locate_image(&walk.ops, head, number, part.seg, p, cells),
            };
            p = next.map_err(|e| row_error(&table.plan, part.start, e))?;
        }
        if p == from {
            return Err(row_error(&table.plan, part.start, RowError::empty(p)));
        }
        rows += 1;
    }
    table.count(rows);
    (resume.offset, resume.row) = ((part.end - part.start) as u32, rows);
    Ok(Encoded::Done)
}

/// How many rows a frame has; they are stepped over.
pub(crate) fn count_rows(table: &mut Table, job: &Job) -> Result<u32, EncodeError> {
    let (format, part, _) = statement(job, part(job)?)?;
    let head = rows_head(table, format, part)?;
    let mut resume = Resume::default();
    skip_rows(table, job, part, &head, &mut resume)?;
    Ok(resume.row)
}

/// One row of a snapshot's SELECT.
fn snapshot_row(
    table: &mut Table,
    spans: &mut Spans,
    job: &Job,
    part: Part,
    batch: &mut Batch,
) -> Result<Encoded, EncodeError> {
    let ordinal = table.ordinal();
    table.count(1);
    if is_skipped(job.options, Op::Read) {
        return Ok(Encoded::Done);
    }
    source(&mut table.source, job, Op::Read);
    let AnyWalk::MySql(walk) = &table.walk else { return Err(foreign()) };
    let source = Source { text: &table.source, job, op: Op::Read };
    let margin = 2 * table.plan.margin + 2 * source.room();
    let (used, events) = (batch.used(), batch.events.len());
    let out = Out::new(batch.take_arena(), used, margin);
    let mut w: CellWriter<'_, true> =
        CellWriter { out, cells: &table.plan.cells, spans, base: 0, fault: None, noted: None };
    let mut emit = Emitter {
        plan: &table.plan,
        source: &source,
        events: &mut batch.events,
        seq: job.txn.seq,
        tombstones: false,
        order: None,
    };
    let outcome = read_row(walk, part, &mut w, &mut emit, ordinal);
    let outcome = match (outcome, w.fault) {
        (Err(error), _) => Err(row_error(emit.plan, part.start, error)),
        (Ok(()), Some(fault)) => Err(fault_error(emit.plan, fault)),
        (Ok(()), None) => Ok(Encoded::Done),
    };
    let noted = w.noted;
    let (arena, end) = w.out.finish();
    table.note(noted);
    if outcome.is_err() {
        batch.events.truncate(events);
    }
    batch.put_back(arena, if outcome.is_ok() { end } else { used });
    outcome
}

#[inline(always)]
fn read_row<'p, S: RowSource>(
    walk: &Walk,
    part: Part,
    w: &mut CellWriter<'p, true>,
    emit: &mut Emitter<'p, S>,
    ordinal: u32,
) -> Result<(), RowError> {
    let Part { seg, start, end } = part;
    if let Some(outside) = &walk.outside {
        w.cells = emit.plan.outside.as_deref().unwrap_or_default();
        walk_binary_row(outside, seg, start, end, w)?;
        w.cells = &emit.plan.cells;
        w.out.ensure(0);
    }
    let value = w.out.at();
    w.out.pad(b"{\"before\":null,\"after\":{        ", 24);
    walk_binary_row(&walk.ops, seg, start, end, w)?;
    w.out.byte(b'}');
    emit.finish(w, Op::Read, value, (0, ordinal));
    Ok(())
}

#[cold]
fn foreign() -> EncodeError {
    refused("rows of another kind of source".into())
}

/// A malformed row: its offset in the frame, and the column where it is known.
#[cold]
fn row_error(plan: &Plan, start: usize, error: RowError) -> EncodeError {
    let offset = error.offset.saturating_sub(start);
    let column = error.column.and_then(|col| plan.schema.columns.get(col));
    match column {
        Some(column) => refused(format!(
            "{} in column {:?} at byte {offset} of its event",
            error.what, column.name
        )),
        None => refused(format!("{} at byte {offset} of its event", error.what)),
    }
}
