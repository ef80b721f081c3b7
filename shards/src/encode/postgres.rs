//! PostgreSQL: pgoutput tuples and snapshot rows to envelopes.
//!
//! ```text
//!  Insert  tuple                      c
//!  Update  [ 'K' | 'O' tuple ] 'N' tuple   u; d, tombstone and c if the key changed
//!  Delete  'K' | 'O' tuple            d and tombstone
//!  DataRow                            r
//! ```
//! Enters: a frame, which is one row. Leaves: its events. Keeps: of an old row that holds the
//! replica identity alone the other columns are absent, not NULL (invariant 9); a snapshot's row
//! and the log's row of equal values make equal text (invariant 8).

use penstock_protocol::cursor::WireError;
use penstock_protocol::frame::FrameKind;
use penstock_protocol::postgres::tuple::{
    DecimalSpecial, Image, OldRow, RowReader, TextVisitor, walk_data_row, walk_tuple, walk_value,
};
use penstock_protocol::schema::ColumnType;
use penstock_protocol::value::RowVisitor as _;

use super::cells::{CellWriter, Fault, FaultKind, Spans, Untold};
use super::debezium_json::{
    Emitter, Instant, Job, RowSource, SourceText, Table, Text, Walk as AnyWalk, fault_error,
    is_skipped, key_changed, marker_text, op_index, put_end, put_transaction, refused, same_text,
};
use super::number::{put_f64, put_i64, put_u64};
use super::plan::{Cell, Format, Plan};
use super::special::{self, Trouble};
use super::temporal::{Fraction, put_iso_date, put_iso_stamp, put_iso_time};
use super::text::{Binary, Out, load, put_binary_from, put_text};
use super::{EncodeError, Encoded, Resume};
use crate::annex::Order;
use crate::batch::{Batch, Op};
use crate::hop::{Replicated, TxnHead, TxnOrigin};
use crate::limits::SEGMENT_SLACK;
use crate::seq::Seq;

/// Infinite dates as Debezium tells them, days (ENVELOPE section 4).
const INFINITE_DAYS: [i64; 2] = [-2_147_472_692, -2_147_472_691];
/// Infinite timestamps, microseconds.
const INFINITE_US: [i64; 2] = [9_223_372_036_825_200_000, -9_223_372_036_832_400_000];

/// How rows of a table version are walked.
pub(crate) struct Walk {
    /// For the value.
    rows: RowReader,
    /// For a key that is not part of the value.
    outside: Option<RowReader>,
}

impl Walk {
    /// Compiles it.
    pub fn new(plan: &Plan) -> Self {
        let reader = |cells: &[Cell]| {
            RowReader::new(&plan.schema, |col| cells.get(col).is_some_and(|cell| cell.wanted))
        };
        Self { rows: reader(&plan.cells), outside: plan.outside.as_deref().map(reader) }
    }
}

// ------------------------------------------------------------------------------ source block

/// The source block of one row. Its own log position stands in it twice.
pub(crate) struct Source<'a> {
    text: &'a SourceText,
    txn: &'a TxnHead,
    lsn: u64,
}

impl RowSource for Source<'_> {
    #[inline(always)]
    fn put(&self, out: &mut Out, op: Op, _row: u32) {
        out.exact(self.text.head.get());
        let from = out.at();
        put_u64(out, self.lsn);
        let len = out.at() - from;
        out.exact(self.text.mid.get());
        out.again(from, len);
        out.exact(self.text.tails[op_index(op)].get());
    }

    #[cold]
    fn put_numbered(&self, out: &mut Out, op: Op, row: u32, order: Order) {
        let Some(id) = self.txn.id.as_deref() else { return self.put(out, op, row) };
        out.exact(self.text.head.get());
        put_u64(out, self.lsn);
        out.exact(self.text.mid.get());
        put_u64(out, self.lsn);
        let tail = self.text.tails[op_index(op)].get();
        put_transaction(out, tail, id, Some(self.lsn), order);
    }

    #[inline(always)]
    fn room(&self) -> usize {
        // Tails of one table differ by the letter of the operation alone.
        let tail = self.text.tails.iter().map(|tail| tail.len()).max().unwrap_or(0);
        self.text.head.len() + self.text.mid.len() + tail + 96
    }
}

/// Draws what the transaction and these operations need.
#[inline(always)]
pub(crate) fn source<'a>(text: &'a mut SourceText, job: &'a Job, ops: &[Op]) -> Source<'a> {
    draw(text, job, ops);
    Source { text, txn: job.txn, lsn: lsn(job) }
}

#[inline(always)]
fn draw(text: &mut SourceText, job: &Job, ops: &[Op]) {
    let head_of = Some((job.txn.seq, job.txn.commit_us, job.frame.head.marker));
    if text.head_of != head_of {
        draw_head(text, job);
        text.head_of = head_of;
    }
    // Where a transaction was replicated from is told in the tail.
    let seq = if replicated(job.txn).is_some() { job.txn.seq } else { Seq(0) };
    let tail_of = Some((job.now_us, None, seq));
    for &op in ops {
        if text.tail_of[op_index(op)] != tail_of {
            draw_tail(text, job, op);
            text.tail_of[op_index(op)] = tail_of;
        }
    }
}

fn lsn(job: &Job) -> u64 {
    match &job.txn.origin {
        TxnOrigin::WalSnapshot { lsn, .. } => *lsn,
        _ => job.frame.head.position,
    }
}

/// `,"source":{"version":…` up to the row's own position in `sequence`, and from there to `"lsn":`.
fn draw_head(text: &mut SourceText, job: &Job) {
    let (xid, last_commit_lsn) = match &job.txn.origin {
        TxnOrigin::Wal { xid, last_commit_lsn, .. }
        | TxnOrigin::WalSnapshot { xid, last_commit_lsn, .. } => (*xid, *last_commit_lsn),
        TxnOrigin::Binlog { .. } | TxnOrigin::BinlogSnapshot { .. } => (0, 0),
    };
    let instant = Instant::new(job.txn.commit_us);
    let room = text.constant_len() + 512;
    let SourceText { start, db, table, head, mid, .. } = text;
    head.draw(0, room, |out| {
        out.exact(start);
        instant.put_ms(out);
        out.exact(b",\"snapshot\":");
        out.exact(marker_text(job.frame.head.marker, job.options));
        out.exact(db);
        out.exact(b"\"[");
        if last_commit_lsn == 0 {
            out.exact(b"null");
        } else {
            out.exact(b"\\\"");
            put_u64(out, last_commit_lsn);
            out.exact(b"\\\"");
        }
        out.exact(b",\\\"");
    });
    mid.draw(0, room, |out| {
        out.exact(b"\\\"]\"");
        instant.put_us_ns(out);
        out.exact(table);
        put_u64(out, u64::from(xid));
        out.exact(b",\"lsn\":");
    });
}

/// `,"xmin":…` to the envelope's end.
fn draw_tail(text: &mut SourceText, job: &Job, op: Op) {
    let instant = Instant::new(job.now_us);
    let from = replicated(job.txn);
    let room = 512 + 6 * from.map_or(0, |from| from.origin.len());
    text.tails[op_index(op)].draw(0, room, |out| {
        put_tail_head(out, from);
        put_end(out, op, &instant);
    });
}

/// `,"xmin":…` to `"origin_lsn":…`.
fn put_tail_head(out: &mut Out, from: Option<&Replicated>) {
    let Some(Replicated { origin, lsn }) = from else {
        return out.exact(b",\"xmin\":null,\"origin\":null,\"origin_lsn\":null");
    };
    out.exact(b",\"xmin\":null,\"origin\":");
    put_text(out, Some(origin));
    out.exact(b",\"origin_lsn\":");
    put_u64(out, *lsn);
}

/// Where the transaction came from, if not from here.
pub(super) fn replicated(txn: &TxnHead) -> Option<&Replicated> {
    match &txn.origin {
        TxnOrigin::Wal { replicated, .. } => replicated.as_deref(),
        _ => None,
    }
}

// ------------------------------------------------------------------------------ rows

/// A frame's bytes: `seg[start..end]`, with readable slack behind.
#[derive(Clone, Copy)]
struct Part<'a> {
    seg: &'a [u8],
    start: usize,
    end: usize,
}

/// Appends the row of one frame (see `RowEncoder::encode`).
pub(crate) fn encode(
    table: &mut Table,
    spans: &mut Spans,
    job: &Job,
    resume: &mut Resume,
    batch: &mut Batch,
) -> Result<Encoded, EncodeError> {
    let (op, drawn): (Op, &[Op]) = match job.frame.head.kind {
        FrameKind::Insert => (Op::Create, &[Op::Create]),
        FrameKind::Update => (Op::Update, &[Op::Update, Op::Delete, Op::Create]),
        FrameKind::Delete => (Op::Delete, &[Op::Delete]),
        FrameKind::SnapshotRow => (Op::Read, &[Op::Read]),
        FrameKind::Truncate | FrameKind::Annex => {
            return Err(refused("something else came as a row".into()));
        }
    };
    let ordinal = table.ordinal();
    table.count(1);
    if is_skipped(job.options, op) {
        return Ok(Encoded::Done);
    }
    let (start, len) = (job.frame.head.offset as usize, job.frame.head.len as usize);
    let (seg, end) = (job.segment.padded(), start + len);
    // The walk sees nothing of the segment behind the frame but the slack of constant-size loads.
    let seg = seg.get(..end + SEGMENT_SLACK).unwrap_or(seg);
    if end > seg.len() {
        return Err(refused("a frame ends behind its segment".into()));
    }
    draw(&mut table.source, job, drawn);
    let AnyWalk::Postgres(walk) = &table.walk else {
        return Err(refused("rows of another kind of source".into()));
    };
    let source = Source { text: &table.source, txn: job.txn, lsn: lsn(job) };
    let margin = 2 * table.plan.margin + 3 * source.room();
    let (used, events) = (batch.used(), batch.events.len());
    let out = Out::new(batch.take_arena(), used, margin);
    let w = CellWriter { out, cells: &table.plan.cells, spans, base: 0, fault: None, noted: None };
    let emit = Emitter {
        plan: &table.plan,
        source: &source,
        events: &mut batch.events,
        seq: job.txn.seq,
        tombstones: job.options.tombstones_on_delete,
        order: resume.order,
    };
    let row = Row { walk, part: Part { seg, start, end }, ordinal };
    let (w, outcome) = match op {
        Op::Create => row.whole::<false>(w, emit, op),
        Op::Read => row.whole::<true>(w, emit, op),
        Op::Update => row.update(w, emit),
        _ => row.delete(w, emit),
    };
    let outcome = match (outcome, w.fault) {
        (Err(error), _) => Err(row_error(start, error)),
        (Ok(()), Some(fault)) => Err(fault_error(&table.plan, fault)),
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

type Writer<'p> = CellWriter<'p, false>;

/// One row and how it is walked. The writer goes through by value: see `Out::cold`.
struct Row<'a> {
    walk: &'a Walk,
    part: Part<'a>,
    ordinal: u32,
}

impl Row<'_> {
    /// Insert (TupleData) or snapshot (DataRow).
    #[inline(never)]
    fn whole<'p, const READ: bool>(
        &self,
        mut w: Writer<'p>,
        mut emit: Emitter<'p, Source<'p>>,
        op: Op,
    ) -> (Writer<'p>, Result<(), WireError>) {
        let Part { seg, start, end } = self.part;
        if let Some(outside) = &self.walk.outside {
            let found;
            (w, found) = key_outside::<READ>(w, emit.plan, outside, self.part, 0);
            if let Err(error) = found {
                return (w, Err(error));
            }
        }
        let value = w.out.at();
        w.out.pad(b"{\"before\":null,\"after\":{        ", 24);
        let walked = if READ {
            walk_data_row(&self.walk.rows, seg, start, end, &mut w).map(|()| end)
        } else {
            walk_tuple(&self.walk.rows, seg, start, end, Image::Whole, None, &mut w)
        };
        let walked = walked.and_then(|at| ends(at, end));
        if walked.is_ok() {
            w.out.byte(b'}');
            emit.finish(&mut w, op, value, (0, self.ordinal));
        }
        (w, walked)
    }

    /// Delete: the old row, whole or its identity.
    #[inline(never)]
    fn delete<'p>(
        &self,
        mut w: Writer<'p>,
        mut emit: Emitter<'p, Source<'p>>,
    ) -> (Writer<'p>, Result<(), WireError>) {
        let Part { seg, start, end } = self.part;
        let (image, at) = match old_image(self.part) {
            Ok(Some(image)) => (image, start + 1),
            Ok(None) => return (w, invalid(start, "old row")),
            Err(error) => return (w, Err(error)),
        };
        if let Some(outside) = &self.walk.outside {
            let found;
            let part = Part { start: at, ..self.part };
            (w, found) = key_outside_of(w, emit.plan, outside, part, image, None, 0);
            if let Err(error) = found {
                return (w, Err(error));
            }
        }
        let value = w.out.at();
        w.out.pad(b"{\"before\":{     ", 11);
        let walked = walk_tuple(&self.walk.rows, seg, at, end, image, None, &mut w);
        let walked = walked.and_then(|at| ends(at, end));
        if walked.is_ok() {
            w.out.pad(b"},\"after\":null ", 14);
            emit.finish(&mut w, Op::Delete, value, (0, self.ordinal));
        }
        (w, walked)
    }

    /// Update, with or without an old row.
    #[inline(never)]
    fn update<'p>(
        &self,
        mut w: Writer<'p>,
        mut emit: Emitter<'p, Source<'p>>,
    ) -> (Writer<'p>, Result<(), WireError>) {
        let Part { seg, start, end } = self.part;
        let rows = &self.walk.rows;
        let old = match old_image(self.part) {
            Ok(old) => old,
            Err(error) => return (w, Err(error)),
        };
        if let Some(outside) = &self.walk.outside {
            let found;
            (w, found) = keys_outside(w, emit.plan, outside, self.part, old);
            if let Err(error) = found {
                return (w, Err(error));
            }
        }
        let value = w.out.at();
        let (mut at, mut before, mut old_row) = (start, None, None);
        if let Some(image) = old {
            w.out.pad(b"{\"before\":{     ", 11);
            w.base = 0;
            match walk_tuple(rows, seg, start + 1, end, image, None, &mut w) {
                Ok(next) => at = next,
                Err(error) => return (w, Err(error)),
            }
            old_row = Some(OldRow::new(start + 1, at));
            before = Some(Text { from: value + 10, to: w.out.at() + 1 });
            w.out.pad(b"},\"after\":{    ", 11);
            w.base = 64;
        } else {
            w.out.pad(b"{\"before\":null,\"after\":{        ", 24);
            w.base = 0;
        }
        let from = w.out.at() - 1;
        if seg.get(at) != Some(&b'N') || at >= end {
            return (w, invalid(at, "new row"));
        }
        let walked = walk_tuple(rows, seg, at + 1, end, Image::Whole, old_row, &mut w);
        let walked = walked.and_then(|at| ends(at, end));
        if walked.is_err() {
            return (w, walked);
        }
        let after = Text { from, to: w.out.at() + 1 };
        w.out.byte(b'}');
        match before {
            Some(before) if emit.plan.skip_unchanged && same_text(&w.out, before, after) => {
                w.out.rewind(value);
            }
            Some(before) if key_changed(&w.out, emit.plan, w.spans) => {
                let (spans, ordinal) = (&*w.spans, self.ordinal);
                w.out.cold(|out| emit.rekey(out, spans, (before, after), (0, ordinal)));
            }
            _ => emit.finish(&mut w, Op::Update, value, (0, self.ordinal)),
        }
        (w, Ok(()))
    }
}

/// What the old row at the start of an Update or Delete holds; none: it starts with the new row.
fn old_image(part: Part) -> Result<Option<Image>, WireError> {
    match part.seg[..part.end].get(part.start) {
        Some(b'K') => Ok(Some(Image::Identity)),
        Some(b'O') => Ok(Some(Image::Whole)),
        Some(b'N') => Ok(None),
        _ => invalid(part.start, "tuple kind"),
    }
}

fn ends(at: usize, end: usize) -> Result<(), WireError> {
    if at == end { Ok(()) } else { invalid(at, "bytes behind a row") }
}

#[cold]
fn invalid<T>(offset: usize, what: &'static str) -> Result<T, WireError> {
    Err(WireError::Invalid { offset, what })
}

/// Writes the key's texts of a whole row in front of its value, of which they are no part.
#[inline(never)]
fn key_outside<'p, const READ: bool>(
    w: Writer<'p>,
    plan: &'p Plan,
    outside: &RowReader,
    part: Part,
    base: usize,
) -> (Writer<'p>, Result<(), WireError>) {
    if !READ {
        let (w, walked) = key_outside_of(w, plan, outside, part, Image::Whole, None, base);
        return (w, walked.map(drop));
    }
    let mut w = w;
    (w.cells, w.base) = (plan.outside.as_deref().unwrap_or_default(), base);
    let walked = walk_data_row(outside, part.seg, part.start, part.end, &mut w);
    w.cells = &plan.cells;
    w.out.ensure(0);
    (w, walked)
}

/// The same of one TupleData; gives where it ends.
#[inline(never)]
fn key_outside_of<'p>(
    mut w: Writer<'p>,
    plan: &'p Plan,
    outside: &RowReader,
    part: Part,
    image: Image,
    old: Option<OldRow>,
    base: usize,
) -> (Writer<'p>, Result<usize, WireError>) {
    (w.cells, w.base) = (plan.outside.as_deref().unwrap_or_default(), base);
    let walked = walk_tuple(outside, part.seg, part.start, part.end, image, old, &mut w);
    (w.cells, w.base) = (&plan.cells, 0);
    w.out.ensure(0);
    (w, walked)
}

/// The same of both rows of an update.
fn keys_outside<'p>(
    mut w: Writer<'p>,
    plan: &'p Plan,
    outside: &RowReader,
    part: Part,
    old: Option<Image>,
) -> (Writer<'p>, Result<(), WireError>) {
    let (mut at, mut base, mut old_row) = (part.start, 0, None);
    if let Some(image) = old {
        let old_part = Part { start: at + 1, ..part };
        let walked;
        (w, walked) = key_outside_of(w, plan, outside, old_part, image, None, 0);
        match walked {
            Ok(next) => (old_row, at) = (Some(OldRow::new(at + 1, next)), next),
            Err(error) => return (w, Err(error)),
        }
        base = 64;
    }
    let new_part = Part { start: at + 1, ..part };
    let (w, walked) = key_outside_of(w, plan, outside, new_part, Image::Whole, old_row, base);
    (w, walked.map(drop))
}

/// A malformed row: its offset in the frame.
#[cold]
fn row_error(start: usize, error: WireError) -> EncodeError {
    refused(match error {
        WireError::Truncated { offset, wanted } => {
            let offset = offset.saturating_sub(start);
            format!("{wanted} more bytes wanted at byte {offset} of its row message")
        }
        WireError::Invalid { offset, what } => {
            format!("invalid {what} at byte {} of its row message", offset.saturating_sub(start))
        }
    })
}

// ------------------------------------------------------------------------------ cells

impl<const SNAPSHOT: bool> TextVisitor for CellWriter<'_, SNAPSHOT> {
    #[inline(always)]
    fn int_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        put_number(&mut self.out, seg, at, len);
        self.end(open);
    }

    #[inline(always)]
    fn float_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize, whole: bool) {
        let open = self.begin(col);
        put_number(&mut self.out, seg, at, len);
        self.out.pad(b".0", 2 * usize::from(whole));
        self.end(open);
    }

    #[inline(always)]
    fn decimal_special(&mut self, col: usize, special: DecimalSpecial) {
        let open = self.begin(col);
        let mut outcome = Ok(());
        self.out.cold(|out| outcome = put_special(out, open.0, special));
        self.check(col, open, outcome);
        self.end(open);
    }

    #[inline(always)]
    fn infinite(&mut self, col: usize, negative: bool) {
        let open = self.begin(col);
        self.out.cold(|out| put_infinite(out, open.0, negative));
        self.end(open);
    }

    #[inline(always)]
    fn time_tz(&mut self, col: usize, micros: i64) {
        let open = self.begin(col);
        self.out.cold(|out| put_iso_time(out, micros));
        self.end(open);
    }

    #[inline(always)]
    fn bytes_hex(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let hex = seg.get(at..at + len).unwrap_or_default();
        self.out.cold(|out| put_hex(out, open.0, hex));
        self.end(open);
    }

    #[inline(always)]
    fn bits_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let open = self.begin(col);
        let bits = seg.get(at..at + len).unwrap_or_default();
        self.out.cold(|out| put_bits(out, open.0, bits));
        self.end(open);
    }

    #[inline(always)]
    fn uuid_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.text(col, seg, at, len);
    }

    #[inline(always)]
    fn special(&mut self, col: usize, seg: &[u8], at: usize, len: usize) -> Result<(), WireError> {
        let open = self.begin(col);
        let (mut outcome, mut noted) = (Ok(()), None);
        let text = special::Text { seg, at, len };
        let spans = &mut *self.spans;
        self.out.cold(|out| {
            outcome = match &open.0.special {
                Some(special) => special::put(out, special, text, spans, &mut noted),
                None => Err(FaultKind::Unconvertible(Untold::NoForm).into()),
            };
        });
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(Trouble::Fault(kind)) => Err(kind),
            Err(Trouble::Malformed(error)) => return Err(error),
        };
        self.noted = self.noted.or(noted.map(|kind| Fault { col, kind }));
        self.check(col, open, outcome);
        self.end(open);
        Ok(())
    }
}

/// Checked digits as they are.
#[inline(always)]
fn put_number(out: &mut Out, seg: &[u8], at: usize, len: usize) {
    match load::<24>(seg, at) {
        Some(text) if len <= 24 => out.pad(text, len),
        _ => out.exact(seg.get(at..at + len).unwrap_or_default()),
    }
}

/// NaN and infinite numerics, which precise mode fails to convert.
fn put_special(out: &mut Out, cell: &Cell, special: DecimalSpecial) -> Result<(), FaultKind> {
    let (double, word) = match special {
        DecimalSpecial::NaN => (f64::NAN, &b"\"NAN\""[..]),
        DecimalSpecial::Infinity => (f64::INFINITY, &b"\"POSITIVE_INFINITY\""[..]),
        DecimalSpecial::MinusInfinity => (f64::NEG_INFINITY, &b"\"NEGATIVE_INFINITY\""[..]),
    };
    match cell.format {
        Format::DecimalDouble => put_f64(out, double),
        Format::DecimalString => out.exact(word),
        _ => return Err(FaultKind::NotANumber),
    }
    Ok(())
}

fn put_infinite(out: &mut Out, cell: &Cell, negative: bool) {
    let (days, micros) = (INFINITE_DAYS[usize::from(negative)], INFINITE_US[usize::from(negative)]);
    match cell.format {
        Format::Days => put_i64(out, days),
        Format::IsoDate => put_iso_date(out, days),
        Format::Millis => put_i64(out, micros / 1000),
        Format::Micros => put_i64(out, micros),
        Format::Nanos => put_i64(out, if negative { i64::MIN } else { i64::MAX }),
        Format::Zoned => out.exact(if negative { b"\"-infinity\"" } else { b"\"infinity\"" }),
        _ => put_iso_stamp(out, micros, Fraction::Trimmed),
    }
}

/// Bits as a boolean, or as a number in little-endian bytes without high zero bytes.
fn put_bits(out: &mut Out, cell: &Cell, bits: &[u8]) {
    if cell.format == Format::Bool {
        return out.exact(if bits.contains(&b'1') { b"true" } else { b"false" });
    }
    let zeros = bits.iter().position(|&b| b == b'1').unwrap_or(bits.len());
    let bits = bits.get(zeros..).unwrap_or_default();
    let mut eights = bits.rchunks(8);
    put_binary_from(out, bits.len().div_ceil(8), Binary::Base64, || {
        let eight = eights.next().unwrap_or_default();
        eight.iter().fold(0, |byte, bit| byte << 1 | (bit & 1))
    });
}

/// Binary data from its checked hexadecimal digits.
fn put_hex(out: &mut Out, cell: &Cell, hex: &[u8]) {
    let form = match cell.format {
        Format::Bytes(form) => form,
        _ => Binary::Base64,
    };
    special::put_hex(out, hex, form);
}

/// A literal of the catalogue, in PostgreSQL's output text, to a cell.
pub(crate) fn default<V: TextVisitor>(ty: &ColumnType, text: &str, v: &mut V) -> Option<()> {
    if let ColumnType::Json { .. } = ty {
        v.text(0, text.as_bytes(), 0, text.len());
        return Some(());
    }
    walk_value(ty, 0, text.as_bytes(), 0, text.len(), v).ok()
}
