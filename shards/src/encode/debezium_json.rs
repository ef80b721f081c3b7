//! Debezium's JSON envelope with `schemas.enable=false`: records from frames, of any source.
//!
//! ```text
//!  value  {"before":…,"after":…,"source":{…},"transaction":null,"op":"c","ts_ms":…,"ts_us":…,"ts_ns":…}
//!  key    {"id":1}                      delete: a tombstone follows; key change: d, tombstone, c
//! ```
//! Enters: frames in log order, schemas in-band. Leaves: events and their text in a batch.
//! Keeps: bytes are written once; a row that fails leaves no event; an event's ordinal counts the
//! rows of its table in its transaction, skipped ones too (HAZARDS L14). What differs by source,
//! the walk of a row and the `source` block, is in `mysql` and `postgres`.

use std::sync::Arc;

use penstock_protocol::frame::{FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{SourceKind, TableSchema};

use super::cells::{CellWriter, Fault, Spans};
use super::incomplete::Scratch;
use super::number::{put_i64, put_u64};
use super::options::{ConvertingFailure, EncodeOptions};
use super::plan::{Plan, connector_name};
use super::text::{OVERRUN, Out, escaped};
use super::{EncodeError, Encoded, Resume, RowEncoder, annex, mysql, postgres};
use crate::annex::{ANNEX_KINDS, Annex, Order};
use crate::batch::{Batch, EventRef, KeyChange, Op, Span};
use crate::hop::{Frame, TxnHead, TxnOrigin};
use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use crate::segment::Segment;
use crate::seq::Seq;

/// `source.version`: this product's own.
pub const SOURCE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Kafka's longest topic name.
const TOPIC_CHARS_MAX: usize = 249;

/// Frames to Debezium JSON. One per shard and encoding.
pub struct JsonEncoder {
    options: EncodeOptions,
    kind: SourceKind,
    tables: Vec<Option<Box<Table>>>,
    topics: Arc<Vec<Arc<str>>>,
    spans: Box<Spans>,
    /// Plans write what decides on the number of events alone.
    keys_only: bool,
    /// By `AnnexKind`: transaction, and events of it so far.
    annexes: [(Seq, u32); ANNEX_KINDS],
    /// The next note, of a table whose values were left null.
    note: Option<String>,
}

/// A table's plan, how its rows are walked, and what is remembered from row to row.
pub(crate) struct Table {
    pub plan: Plan,
    pub walk: Walk,
    pub source: SourceText,
    ordinal_of: Seq,
    ordinal: u32,
    /// Columns whose failed conversions were noted.
    noted: Vec<usize>,
    /// What is to be noted now.
    note: Option<Fault>,
    /// Room for the cells of images that are not whole: kept, so that no frame allocates.
    pub images: Scratch,
}

/// How rows are walked, by source.
pub(crate) enum Walk {
    MySql(mysql::Walk),
    Postgres(postgres::Walk),
}

/// What every frame of one call shares.
pub(crate) struct Job<'a> {
    pub options: &'a EncodeOptions,
    pub segment: &'a Segment,
    pub frame: &'a Frame,
    pub txn: &'a TxnHead,
    pub now_us: i64,
    /// The statement that the rows come from, where the frame has it.
    pub query: Option<&'a str>,
}

impl JsonEncoder {
    /// An encoder for tables of one kind of source.
    pub fn new(options: EncodeOptions, kind: SourceKind) -> Self {
        Self {
            options,
            kind,
            tables: Vec::new(),
            topics: Arc::default(),
            spans: Box::default(),
            keys_only: false,
            annexes: [(Seq(0), 0); ANNEX_KINDS],
            note: None,
        }
    }

    /// One whose events are counted and thrown away. `keys_only`: their values are left out.
    pub(super) fn for_counting(options: EncodeOptions, kind: SourceKind, keys_only: bool) -> Self {
        Self { keys_only, ..Self::new(options, kind) }
    }

    fn table(&self, id: TableId) -> Option<&Table> {
        self.tables.get(id.0 as usize)?.as_deref()
    }

    /// Whether records of this table have a key.
    pub(super) fn has_key(&self, id: TableId) -> bool {
        self.table(id).is_some_and(|table| !table.plan.key.parts.is_empty())
    }

    /// Whether no row of this table can be written.
    pub(super) fn refuses(&self, id: TableId) -> bool {
        self.table(id).is_none_or(|table| table.plan.refused.is_some())
    }

    /// Rows of a frame of a binlog; none if it cannot be read.
    pub(super) fn count_rows(&mut self, segment: &Segment, frame: &Frame, txn: &TxnHead) -> u32 {
        let options = &self.options;
        let table = self.tables.get_mut(frame.head.table.0 as usize).and_then(Option::as_mut);
        let Some(table) = table.filter(|table| table.plan.refused.is_none()) else { return 0 };
        let job = Job { options, segment, frame, txn, now_us: 0, query: None };
        mysql::count_rows(table, &job).unwrap_or(0)
    }

    fn topic(&mut self, name: &str) -> u32 {
        let known = self.topics.iter().position(|topic| **topic == *name);
        let index = known.unwrap_or_else(|| {
            Arc::make_mut(&mut self.topics).push(name.into());
            self.topics.len() - 1
        });
        u32::try_from(index).expect("invariant: one topic a table, and table ids are 32 bits")
    }
}

impl RowEncoder for JsonEncoder {
    fn handle_schema(&mut self, mut schema: Arc<TableSchema>) {
        if let Some(key) = self.options.columns.key_of(&schema) {
            schema = Arc::new(TableSchema { key, ..TableSchema::clone(&schema) });
        }
        let name = topic_name(&self.options, &schema);
        let topic = self.topic(&name);
        let at = schema.table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, || None);
        }
        let (ordinal_of, ordinal) = match &self.tables[at] {
            Some(old) => (old.ordinal_of, old.ordinal),
            None => (Seq(0), 0),
        };
        let mut plan = Plan::compile(Arc::clone(&schema), &self.options, topic);
        if self.keys_only {
            plan = plan.without_values(&self.options);
        }
        let walk = match self.kind {
            SourceKind::MySql | SourceKind::MariaDb => Walk::MySql(mysql::Walk::new(&plan)),
            SourceKind::Postgres => Walk::Postgres(postgres::Walk::new(&plan)),
        };
        let source = SourceText::new(&self.options, self.kind, &schema);
        self.tables[at] = Some(Box::new(Table {
            plan,
            walk,
            source,
            ordinal_of,
            ordinal,
            noted: Vec::new(),
            images: Scratch::default(),
            note: None,
        }));
    }

    fn encode(
        &mut self,
        segment: &Segment,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        now_us: i64,
        resume: &mut Resume,
        batch: &mut Batch,
    ) -> Result<Encoded, EncodeError> {
        let table = self.tables.get_mut(frame.head.table.0 as usize).and_then(Option::as_mut);
        let Some(table) = table else {
            return Err(refused("rows came for a table whose schema was never given".into()));
        };
        if !has_room(batch) {
            return Ok(Encoded::Full);
        }
        if table.ordinal_of != txn.seq {
            (table.ordinal_of, table.ordinal) = (txn.seq, 0);
        }
        let job = Job { options: &self.options, segment, frame, txn, now_us, query: None };
        if frame.head.kind == FrameKind::Truncate {
            truncate(table, &job, resume.order, batch);
            return Ok(Encoded::Done);
        }
        if let Some(reason) = &table.plan.refused {
            return Err(refused(reason.clone()));
        }
        let encoded = match table.walk {
            Walk::MySql(_) => mysql::encode(table, &mut self.spans, &job, resume, batch),
            Walk::Postgres(_) => postgres::encode(table, &mut self.spans, &job, resume, batch),
        };
        if let Some(fault) = table.note.take() {
            self.note = Some(note(&table.plan, fault));
        }
        encoded
    }

    fn encode_annex(
        &mut self,
        annex: &Annex,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        now_us: i64,
        order: Option<Order>,
        batch: &mut Batch,
    ) -> Encoded {
        if !has_room(batch) {
            return Encoded::Full;
        }
        let kind = annex.kind();
        let topic = self.topic(&annex::topic(kind, &self.options));
        let order = order.unwrap_or_default();
        let texts = annex::texts(&self.options, annex, txn, order, now_us);
        let of = &mut self.annexes[kind as usize];
        if of.0 != txn.seq {
            *of = (txn.seq, 0);
        }
        let ordinal = of.1;
        of.1 = ordinal.wrapping_add(1);
        let (key, value) = (batch.append(&texts.key), batch.append(&texts.value));
        batch.events.push(EventRef {
            topic,
            op: Op::Annex,
            key: Some(key),
            value: Some(value),
            key_change: KeyChange::No,
            seq: txn.seq,
            ordinal,
            table: frame.head.table,
        });
        Encoded::Done
    }

    fn take_note(&mut self) -> Option<String> {
        self.note.take().filter(|_| self.options.converting_failure == ConvertingFailure::Warn)
    }

    fn topics(&self) -> Arc<Vec<Arc<str>>> {
        Arc::clone(&self.topics)
    }
}

/// `prefix.db.table`, `prefix.schema.table`; each UTF-16 unit that a topic cannot hold becomes `_`.
fn topic_name(options: &EncodeOptions, schema: &TableSchema) -> String {
    let name = &schema.name;
    let first = if name.schema.is_empty() { &name.database } else { &name.schema };
    let delimiter = &options.topic_delimiter;
    let full = format!("{}{delimiter}{first}{delimiter}{}", options.name, name.table);
    let mut topic = String::with_capacity(full.len());
    for c in full.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            topic.push(c);
        } else {
            (0..c.len_utf16()).for_each(|_| topic.push('_'));
        }
    }
    topic.truncate(TOPIC_CHARS_MAX);
    topic
}

/// An error of the table; the reason names no value.
pub(crate) fn refused(reason: String) -> EncodeError {
    EncodeError { reason }
}

/// True if one more row may go into the batch; an empty one takes any row.
#[inline(always)]
pub(crate) fn has_room(batch: &Batch) -> bool {
    room(batch.used(), batch.events.len())
}

/// As `has_room`, for a batch whose arena is being written up to `used`. A row makes three events
/// at most.
#[inline(always)]
pub(crate) fn room(used: usize, events: usize) -> bool {
    events == 0 || (used < BATCH_BYTES_MAX && events + 3 <= BATCH_EVENTS_MAX)
}

/// What a fault of a cell means for its table.
#[cold]
pub(crate) fn fault_error(plan: &Plan, fault: Fault) -> EncodeError {
    let name = plan.schema.columns.get(fault.col).map_or("?", |column| &column.name);
    refused(format!("column {name:?} {}", fault.kind))
}

/// A column whose values cannot be converted, for the log.
#[cold]
fn note(plan: &Plan, fault: Fault) -> String {
    let name = plan.schema.columns.get(fault.col).map_or("?", |column| &column.name);
    format!(
        "table {}, column {name:?} {}: the field is null, here and from now on \
         (event_converting_failure_handling_mode)",
        plan.schema.name, fault.kind
    )
}

impl Table {
    /// Remembers a value that was left null, once a column of this version.
    #[inline(always)]
    pub fn note(&mut self, noted: Option<Fault>) {
        if let Some(fault) = noted {
            self.note_column(fault);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_column(&mut self, fault: Fault) {
        if !self.noted.contains(&fault.col) {
            self.noted.push(fault.col);
            self.note = Some(fault);
        }
    }

    /// The ordinal of the next row.
    #[inline(always)]
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Counts rows that were written or skipped.
    #[inline(always)]
    pub fn count(&mut self, rows: u32) {
        self.ordinal = self.ordinal.wrapping_add(rows);
    }
}

/// True if the operation's events are not wanted; its rows are counted all the same.
pub(crate) fn is_skipped(options: &EncodeOptions, op: Op) -> bool {
    options.skipped_operations.contains(&(op as u8))
}

// ------------------------------------------------------------------------------ source block

/// Text prepared once and copied into every row.
#[derive(Clone, Default)]
pub(crate) struct Block {
    buf: Vec<u8>,
    len: usize,
}

impl Block {
    /// Draws it anew from `from` on; `room` bounds what `draw` writes.
    pub fn draw(&mut self, from: usize, room: usize, draw: impl FnOnce(&mut Out)) {
        // Room that `Out` makes is that of an arena: much for a few hundred bytes of every table.
        let mut buf = std::mem::take(&mut self.buf);
        buf.resize(buf.len().max(from + room + OVERRUN), 0);
        let mut out = Out::new(buf, from, room);
        draw(&mut out);
        (self.buf, self.len) = out.finish();
    }

    /// The text.
    #[inline(always)]
    pub fn get(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    /// Its length.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Constant text of a table version's `source` block, and the texts drawn from it.
pub(crate) struct SourceText {
    /// `,"source":{"version":…,"connector":…,"name":…,"ts_ms":`
    pub start: Vec<u8>,
    /// `,"db":…,"sequence":`, after the snapshot marker.
    pub db: Vec<u8>,
    /// MySQL `,"table":…,"server_id":`; PostgreSQL `,"schema":…,"table":…,"txId":`.
    pub table: Vec<u8>,
    /// What stands before a row's own part, what between its two parts (PostgreSQL), and what
    /// after it, by `op_index`.
    pub head: Block,
    pub mid: Block,
    pub tails: [Block; 5],
    /// For which transaction and marker `head` and `mid` were drawn.
    pub head_of: Option<(Seq, i64, SnapshotMarker)>,
    /// MySQL: the log file in `head`. A transaction that is read again after a failover keeps its
    /// number and comes from another file.
    pub file: String,
    /// Length of the part of `head` that is the transaction's.
    pub head_len: usize,
    /// For which time, thread and (with a query) transaction each tail was drawn.
    pub tail_of: [Option<(i64, Option<u32>, Seq)>; 5],
}

impl SourceText {
    fn new(options: &EncodeOptions, kind: SourceKind, schema: &TableSchema) -> Self {
        let mut start = b",\"source\":{\"version\":\"".to_vec();
        start.extend(SOURCE_VERSION.as_bytes());
        start.extend(b"\",\"connector\":\"");
        start.extend(connector_name(kind).as_bytes());
        start.extend(b"\",\"name\":\"");
        start.extend(escaped(&options.name));
        start.extend(b"\",\"ts_ms\":");
        let mut db = b",\"db\":\"".to_vec();
        db.extend(escaped(&schema.name.database));
        db.extend(b"\",\"sequence\":");
        let mut table = Vec::new();
        if kind == SourceKind::Postgres {
            table.extend(b",\"schema\":\"");
            table.extend(escaped(&schema.name.schema));
            table.extend(b"\"");
        }
        table.extend(b",\"table\":\"");
        table.extend(escaped(&schema.name.table));
        table.extend(match kind {
            SourceKind::Postgres => &b"\",\"txId\":"[..],
            _ => b"\",\"server_id\":",
        });
        Self {
            start,
            db,
            table,
            head: Block::default(),
            mid: Block::default(),
            tails: Default::default(),
            head_of: None,
            file: String::new(),
            head_len: 0,
            tail_of: [None; 5],
        }
    }

    /// Bytes of the constant parts.
    pub fn constant_len(&self) -> usize {
        self.start.len() + self.db.len() + self.table.len()
    }
}

/// `source.snapshot`, with its quotes. "false" is the field's default: of the log it is null, which
/// `replace_null_with_default` = false shows.
pub(crate) fn marker_text(marker: SnapshotMarker, options: &EncodeOptions) -> &'static [u8] {
    match marker {
        SnapshotMarker::Streaming if !options.replace_null_with_default => b"null",
        SnapshotMarker::Streaming => b"\"false\"",
        SnapshotMarker::True => b"\"true\"",
        SnapshotMarker::First => b"\"first\"",
        SnapshotMarker::FirstInTable => b"\"first_in_data_collection\"",
        SnapshotMarker::LastInTable => b"\"last_in_data_collection\"",
        SnapshotMarker::Last => b"\"last\"",
        SnapshotMarker::Incremental => b"\"incremental\"",
    }
}

/// Place of an operation's tail.
#[inline(always)]
pub(crate) fn op_index(op: Op) -> usize {
    match op {
        Op::Create => 0,
        Op::Update => 1,
        Op::Delete => 2,
        Op::Read => 3,
        Op::Truncate | Op::Tombstone | Op::Annex => 4,
    }
}

/// One instant in the three units that an envelope tells it in: from 1000 µs after the epoch on,
/// milliseconds and nanoseconds are the same digits, three fewer and three zeros more.
pub(crate) struct Instant {
    us: i64,
    digits: [u8; 20],
    len: usize,
}

impl Instant {
    /// `us`: microseconds since the epoch.
    pub fn new(us: i64) -> Self {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(us).as_bytes();
        let mut digits = [0; 20];
        digits[..text.len()].copy_from_slice(text);
        Self { us, digits, len: text.len() }
    }

    /// Milliseconds.
    pub fn put_ms(&self, out: &mut Out) {
        if self.us < 1000 {
            return put_i64(out, self.us.div_euclid(1000));
        }
        out.exact(&self.digits[..self.len - 3]);
    }

    /// `,"ts_us":…,"ts_ns":…`
    pub fn put_us_ns(&self, out: &mut Out) {
        out.exact(b",\"ts_us\":");
        out.exact(&self.digits[..self.len]);
        out.exact(b",\"ts_ns\":");
        out.exact(&self.digits[..self.len]);
        if self.us != 0 {
            out.exact(b"000");
        }
    }
}

/// What follows the source's own fields, from the brace that closes it to the envelope's end.
pub(crate) fn put_end(out: &mut Out, op: Op, now: &Instant) {
    out.exact(b"},\"transaction\":null,\"op\":\"");
    out.byte(op as u8);
    out.exact(b"\",\"ts_ms\":");
    now.put_ms(out);
    now.put_us_ns(out);
    out.byte(b'}');
}

/// A row's `source` block with what follows it, drawn for the transaction and the frame.
pub(crate) trait RowSource {
    /// Writes `,"source":{…},"transaction":…}` for the `row`-th row of the event.
    fn put(&self, out: &mut Out, op: Op, row: u32);
    /// The same with the numbers of the event in its transaction.
    fn put_numbered(&self, out: &mut Out, op: Op, row: u32, order: Order);
    /// The most that `put` writes.
    fn room(&self) -> usize;
}

/// What `put_end` writes for an event without numbers. Quotes within strings are escaped, so that it
/// stands in no text of a user.
const NO_TRANSACTION: &[u8] = b"\"transaction\":null";
/// Room that `put_transaction` needs beside its tail and the id.
const TRANSACTION_ROOM: usize = 128;

/// Writes a drawn tail with a transaction block in the place of its null (ENVELOPE section 2).
/// `position`: what PostgreSQL's id ends with.
#[cold]
pub(crate) fn put_transaction(
    out: &mut Out,
    tail: &[u8],
    id: &str,
    position: Option<u64>,
    order: Order,
) {
    let at = tail.windows(NO_TRANSACTION.len()).rposition(|text| text == NO_TRANSACTION);
    let Some(at) = at else { return out.exact(tail) };
    let null = at + NO_TRANSACTION.len() - b"null".len();
    out.ensure(tail.len() + 6 * id.len() + TRANSACTION_ROOM);
    out.exact(&tail[..null]);
    out.exact(b"{\"id\":\"");
    if id.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.exact(&escaped(id));
    } else {
        out.exact(id.as_bytes());
    }
    if let Some(position) = position {
        out.byte(b':');
        put_u64(out, position);
    }
    out.exact(b"\",\"total_order\":");
    put_u64(out, order.total);
    out.exact(b",\"data_collection_order\":");
    put_u64(out, order.collection);
    out.byte(b'}');
    out.exact(&tail[null + b"null".len()..]);
}

// ------------------------------------------------------------------------------ events

/// Text of an object already written, or of `null`.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    pub from: usize,
    pub to: usize,
}

/// Appends events; the texts they point at are at the cursor.
pub(crate) struct Emitter<'a, S: RowSource> {
    pub plan: &'a Plan,
    pub source: &'a S,
    pub events: &'a mut Vec<EventRef>,
    pub seq: Seq,
    pub tombstones: bool,
    /// With transaction metadata: numbers of the next event.
    pub order: Option<Order>,
}

#[inline(always)]
fn span(from: usize, to: usize) -> Span {
    // The arena stays below 4 GiB: rows by ROW_BYTES_MAX, documents by ARENA_BYTES_MAX.
    Span { at: from as u32, len: (to - from) as u32 }
}

impl<S: RowSource> Emitter<'_, S> {
    #[inline(always)]
    fn push(
        &mut self,
        op: Op,
        key: Option<Span>,
        value: Option<Span>,
        key_change: KeyChange,
        ordinal: u32,
    ) {
        let (topic, table) = (self.plan.topic, self.plan.schema.table);
        let seq = self.seq;
        self.events.push(EventRef { topic, op, key, value, key_change, seq, ordinal, table });
    }

    /// `,"source":{…},"transaction":…}` of the next event.
    #[inline(always)]
    fn put_source(&mut self, out: &mut Out, op: Op, row: u32) {
        match self.order {
            None => self.source.put(out, op, row),
            Some(order) => {
                let source = self.source;
                out.cold(|out| source.put_numbered(out, op, row, order));
                self.order = Some(order.next());
            }
        }
    }

    /// The row's value stands from `value` to the cursor, up to and without `,"source"`: completes
    /// it, writes the key from the spans at `base`, adds the event and a delete's tombstone.
    #[inline(always)]
    pub fn finish<const SNAPSHOT: bool>(
        &mut self,
        w: &mut CellWriter<'_, SNAPSHOT>,
        op: Op,
        value: usize,
        (row, ordinal): (u32, u32),
    ) {
        self.put_source(&mut w.out, op, row);
        let end = w.out.at();
        let key = put_key(&mut w.out, self.plan, w.spans, w.base);
        self.push(op, key, Some(span(value, end)), KeyChange::No, ordinal);
        if op == Op::Delete && self.tombstones {
            self.push(Op::Tombstone, key, None, KeyChange::No, ordinal);
        }
    }

    /// An update that changed the key: `d` with the old one, its tombstone, `c` with the new one.
    /// `before` and `after` are texts already written; keys are those at 0 and 64.
    #[cold]
    pub fn rekey(
        &mut self,
        out: &mut Out,
        spans: &Spans,
        (before, after): (Text, Text),
        (row, ordinal): (u32, u32),
    ) {
        let old = put_key(out, self.plan, spans, 0);
        let new = put_key(out, self.plan, spans, 64);
        let header =
            |key: Option<Span>, change: fn(Span) -> KeyChange| key.map_or(KeyChange::No, change);
        let value = out.at();
        out.exact(b"{\"before\":");
        out.again(before.from, before.to - before.from);
        out.exact(b",\"after\":null");
        self.put_source(out, Op::Delete, row);
        let end = out.at();
        let change = header(new, KeyChange::NewKey);
        self.push(Op::Delete, old, Some(span(value, end)), change, ordinal);
        if self.tombstones {
            self.push(Op::Tombstone, old, None, change, ordinal);
        }
        let value = out.at();
        out.exact(b"{\"before\":null,\"after\":");
        out.again(after.from, after.to - after.from);
        self.put_source(out, Op::Create, row);
        let end = out.at();
        self.push(Op::Create, new, Some(span(value, end)), header(old, KeyChange::OldKey), ordinal);
    }
}

/// Writes the key; its columns' texts are copied from where they were written.
#[inline(always)]
fn put_key(out: &mut Out, plan: &Plan, spans: &Spans, base: usize) -> Option<Span> {
    if plan.key.parts.is_empty() {
        return None;
    }
    let from = out.at();
    for (slot, part) in plan.key.parts.iter().enumerate() {
        part.put(out);
        let text = spans.slots[(base | slot) & 127];
        let (start, end) = ((text & 0xFFFF_FFFF) as usize, (text >> 32) as usize);
        out.again(start, end - start);
    }
    out.byte(b'}');
    Some(span(from, out.at()))
}

/// True if two texts are equal: an update that changed none of the columns in its record.
#[cold]
pub(crate) fn same_text(out: &Out, before: Text, after: Text) -> bool {
    out.written(before.from, before.to) == out.written(after.from, after.to)
}

/// True if the key's texts of the two images differ.
#[inline(always)]
pub(crate) fn key_changed(out: &Out, plan: &Plan, spans: &Spans) -> bool {
    let text = |slot: usize| {
        let text = spans.slots[slot & 127];
        out.written((text & 0xFFFF_FFFF) as usize, (text >> 32) as usize)
    };
    (0..plan.key.parts.len()).any(|slot| text(slot) != text(64 | slot))
}

/// The transaction as the source block of a statement tells it (TRUNCATE, a schema change): in
/// Debezium for MySQL without thread, its time in whole milliseconds.
pub(crate) fn of_statement(txn: &TxnHead) -> TxnHead {
    let mut txn = txn.clone();
    if let TxnOrigin::Binlog { thread, .. } = &mut txn.origin {
        *thread = None;
        txn.commit_us = txn.commit_us.div_euclid(1000) * 1000;
    }
    txn
}

/// TRUNCATE: one event without key (ENVELOPE section 1).
#[cold]
fn truncate(table: &mut Table, job: &Job, order: Option<Order>, batch: &mut Batch) {
    let ordinal = table.ordinal();
    table.count(1);
    if is_skipped(job.options, Op::Truncate) {
        return;
    }
    let txn = of_statement(job.txn);
    let job = &Job { txn: &txn, ..*job };
    let mut value = Block::default();
    let mut draw = |source: &dyn Fn(&mut Out), room: usize| {
        value.draw(0, room + 64, |out| {
            out.exact(b"{\"before\":null,\"after\":null");
            source(out);
        });
    };
    fn put(source: &impl RowSource, out: &mut Out, order: Option<Order>) {
        match order {
            Some(order) => source.put_numbered(out, Op::Truncate, 0, order),
            None => source.put(out, Op::Truncate, 0),
        }
    }
    match table.walk {
        Walk::MySql(_) => {
            let source = mysql::source(&mut table.source, job, Op::Truncate);
            draw(&|out| put(&source, out, order), source.room());
        }
        Walk::Postgres(_) => {
            let source = postgres::source(&mut table.source, job, &[Op::Truncate]);
            draw(&|out| put(&source, out, order), source.room());
        }
    }
    let value = batch.append(value.get());
    batch.events.push(EventRef {
        topic: table.plan.topic,
        op: Op::Truncate,
        key: None,
        value: Some(value),
        key_change: KeyChange::No,
        seq: job.txn.seq,
        ordinal,
        table: TableId(job.frame.head.table.0),
    });
}
