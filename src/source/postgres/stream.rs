//! The replication stream: from START_REPLICATION to frames in the router.
//!
//! Enters: CopyData messages. Leaves: schemas, row frames by reference, commits and positions, in
//! the order of the log. Keeps: no row is looked into; a keepalive moves the position only between
//! transactions (invariant 4); the status task answers the server whether or not this reader waits
//! (HAZARDS H2); what the plugin sends and this reader does not know is an error (L28).

use std::collections::HashMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::postgres::message::{self, tag};
use penstock_protocol::postgres::pgoutput::{self, Begin, Commit, Message, Relation, RowHead};
use penstock_protocol::postgres::replication::{self, Payload, XLOG_DATA_HEAD, XLogData, lsn_text};
use penstock_protocol::schema::{TableName, TableSchema};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::GroupId;
use penstock_shards::segment::Segment;

use super::catalogue::{self, Facts, Types};
use super::connection::{Connection, Purpose};
use super::fault::{STREAMING, ServerError, malformed};
use super::intake::{Intake, Piece};
use super::lsn;
use super::schema::{LogColumn, LogTable, assemble, relation_columns, same};
use super::sql::{ident, literal};
use super::status::{Patience, SENDER_TIMEOUT_MS_MAX, Status};
use super::visibility::ReadView;
use crate::error::{Class, Error, Result};
use crate::runtime::net::ReadHalf;
use crate::runtime::timeout;
use crate::source::context::{ReaderContext, router_error};

/// Changes that a snapshot's view has seen already: an adopted slot may hold them.
pub struct Seen {
    /// The view.
    pub view: ReadView,
    /// Where the log ended after the view was opened: what commits behind it, the view cannot see.
    pub until: u64,
}

/// What a stream keeps over lost connections.
#[derive(Default)]
pub struct Course {
    /// Everything that commits before is routed.
    pub routed: u64,
    /// `dataStart` of the last COMMIT message; 0: none yet.
    pub last_commit: u64,
    /// `--exit-when-caught-up`: done when `routed` reaches it.
    pub goal: Option<u64>,
    /// Changes to drop, until the log has passed them.
    pub seen: Option<Seen>,
    /// The router still waits for the end of the first snapshot.
    pub snapshot_open: bool,
    /// Schemas as they were handed over, by table.
    pub schemas: HashMap<TableId, Arc<TableSchema>>,
    /// The last name of each relation, by oid.
    pub names: HashMap<u32, TableId>,
    /// Something was received since the last connect.
    pub alive: bool,
    /// Connections in a row that were given up for silence, without a transaction in between.
    pub silences: u32,
}

/// A source transaction that is being read.
struct Open {
    begin: Begin,
    /// The snapshot's view has seen it.
    dropped: bool,
}

/// What the reader knows of a relation of the log.
#[derive(Clone, Copy)]
enum Known {
    Captured(TableId),
    Other,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The goal is reached.
    CaughtUp,
    /// The pipeline was asked to stop.
    Stopped,
}

/// One connection's stream.
pub struct Stream<'a> {
    ctx: &'a mut ReaderContext,
    course: &'a mut Course,
    catalogue: &'a mut Connection,
    types: Types,
    relations: HashMap<u32, Known>,
    last_relation: Option<(u32, Known)>,
    open: Option<Open>,
    reader: ReadHalf,
    intake: Intake,
    status: Status,
    patience: Patience,
}

/// Starts the stream at `course.routed`.
pub async fn start<'a>(
    ctx: &'a mut ReaderContext,
    course: &'a mut Course,
    catalogue: &'a mut Connection,
    mut walsender: Connection,
    publications: &[String],
    confirmed: u64,
    wal_sender_timeout_ms: u64,
) -> Result<Stream<'a>> {
    let names: Vec<String> = publications.iter().map(|name| ident(name)).collect();
    let sql = format!(
        "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {})",
        ident(&ctx.source.slot),
        lsn_text(course.routed),
        literal(&names.join(",")),
    );
    let timeout_ms = shorten_timeout(&mut walsender, wal_sender_timeout_ms).await?;
    walsender.send_query(STREAMING, &sql).await?;
    walsender.expect_copy_both(STREAMING).await?;
    tracing::info!("streaming from slot \"{}\" at {}", ctx.source.slot, lsn_text(course.routed));
    let (wire, received) = walsender.into_parts();
    let intake = Intake::new(ctx.pool.clone(), &received, STREAMING).await?;
    let (reader, writer) = wire.split();
    let patience = Patience::of(timeout_ms, course.silences);
    let status = Status::start(writer, confirmed, timeout_ms, patience.ask, ctx.flushed.clone());
    status.ask(course.goal.is_some() || course.seen.is_some());
    Ok(Stream {
        ctx,
        course,
        catalogue,
        types: Types::default(),
        relations: HashMap::new(),
        last_relation: None,
        open: None,
        reader,
        intake,
        status,
        patience,
    })
}

/// Makes the server notice a dead reader, and give signs of life, within a known time. Returns the
/// session's `wal_sender_timeout`.
async fn shorten_timeout(walsender: &mut Connection, timeout_ms: u64) -> Result<u64> {
    if (1..=SENDER_TIMEOUT_MS_MAX).contains(&timeout_ms) {
        return Ok(timeout_ms);
    }
    let sql = format!("SET wal_sender_timeout = {SENDER_TIMEOUT_MS_MAX}");
    walsender.query("setting wal_sender_timeout", &sql).await?;
    Ok(SENDER_TIMEOUT_MS_MAX)
}

impl Stream<'_> {
    /// Reads until the goal, a stop or an error. After `Ok` the position is durable and the server
    /// has been told.
    pub async fn run(mut self) -> Result<Ended> {
        loop {
            if self.reached() {
                return self.finish(Ended::CaughtUp).await;
            }
            let Some(piece) = self.next().await? else {
                return self.finish(Ended::Stopped).await;
            };
            self.course.alive = true;
            let handled = self.handle_piece(&piece).await;
            drop(piece);
            // Whole transactions before an error are handed on too.
            self.ctx.flush().await?;
            handled?;
        }
    }

    fn reached(&self) -> bool {
        let settled = !self.course.snapshot_open && self.open.is_none();
        settled && self.course.goal.is_some_and(|goal| self.course.routed >= goal)
    }

    /// The next piece; `None`: asked to stop.
    async fn next(&mut self) -> Result<Option<Piece>> {
        if self.ctx.stop.get() {
            return Ok(None);
        }
        let reading = std::pin::pin!(self.intake.next(&mut self.reader));
        let stopping = std::pin::pin!(self.ctx.stop.wait_for(|stop| *stop));
        let either = futures_util::future::select(reading, stopping);
        match timeout(self.patience.give_up, either).await {
            Ok(futures_util::future::Either::Left((piece, _))) => piece.map(Some),
            Ok(futures_util::future::Either::Right(_)) => Ok(None),
            Err(_) => {
                self.course.silences = self.course.silences.saturating_add(1);
                let silent_s = self.patience.give_up.as_secs();
                let what = format!("nothing from the server for {silent_s} s");
                Err(Error::transient("pg-silent", what))
            }
        }
    }

    async fn finish(self, ended: Ended) -> Result<Ended> {
        // The status task goes on answering meanwhile.
        self.ctx.finish().await?;
        self.status.close().await;
        Ok(ended)
    }

    async fn handle_piece(&mut self, piece: &Piece) -> Result<()> {
        let data = piece.segment.data();
        let mut at = 0;
        while at < piece.whole {
            let frame = message::next_frame(&data[at..piece.whole]);
            let frame = frame.map_err(|e| malformed(e, STREAMING))?;
            let (kind, body) = frame.expect("invariant: a piece holds whole messages");
            let (start, end) = (at + body.start, at + body.end);
            match kind {
                tag::COPY_DATA => self.handle_payload(&piece.segment, start, end).await?,
                tag::ERROR => {
                    let refused = ServerError::parse(&data[start..end]);
                    let refused = refused.map_err(|e| malformed(e, STREAMING))?;
                    return Err(refused.into_error(STREAMING).at(self.place()));
                }
                tag::COPY_DONE | tag::COMMAND_COMPLETE | tag::READY => {
                    return Err(Error::transient("pg-server", "the server ended the stream"));
                }
                _ => {}
            }
            at = end;
        }
        Ok(())
    }

    /// One CopyData body, `segment[start..end]`.
    async fn handle_payload(
        &mut self,
        segment: &Arc<Segment>,
        start: usize,
        end: usize,
    ) -> Result<()> {
        let body = &segment.data()[start..end];
        match replication::parse(body).map_err(|e| malformed(e, STREAMING))? {
            Payload::XLogData(data) => {
                self.status.read_to(data.start_lsn);
                self.handle_message(segment, start + XLOG_DATA_HEAD, data).await
            }
            Payload::Keepalive(alive) => {
                self.status.read_to(alive.end_lsn);
                if alive.reply_requested {
                    self.status.answer();
                }
                // Every commit before has been sent; inside a transaction that says nothing yet.
                if self.open.is_none() {
                    self.move_to(alive.end_lsn, 0)?;
                }
                Ok(())
            }
        }
    }

    /// The position moves without a transaction, or after one was dropped.
    fn move_to(&mut self, to: u64, commit_lsn: u64) -> Result<()> {
        if to > self.course.routed {
            self.course.routed = to;
            self.ctx.router.advance(PositionDelta::Lsn { lsn: to, commit_lsn });
        }
        self.settle()
    }

    /// Behind the last change that the snapshot's view has seen, the first snapshot is whole: a
    /// restart streams from here (an earlier one would not know what to drop).
    fn settle(&mut self) -> Result<()> {
        let passed = self.course.seen.as_ref().is_none_or(|seen| self.course.routed >= seen.until);
        if passed && (self.course.snapshot_open || self.course.seen.is_some()) {
            self.course.seen = None;
            self.course.snapshot_open = false;
            self.status.ask(self.course.goal.is_some());
            let lsn = self.course.routed;
            let delta = PositionDelta::Lsn { lsn, commit_lsn: self.course.last_commit };
            self.ctx.router.snapshot_done(delta).map_err(router_error)?;
        }
        Ok(())
    }

    async fn handle_message(
        &mut self,
        segment: &Arc<Segment>,
        at: usize,
        data: XLogData<'_>,
    ) -> Result<()> {
        let parsed = pgoutput::parse(data.message);
        let parsed = parsed.map_err(|e| malformed(e, STREAMING).at(lsn_text(data.start_lsn)))?;
        let len = data.message.len();
        match parsed {
            Message::Insert(row) => {
                self.handle_row(segment, FrameKind::Insert, row, at, len, data.start_lsn)
            }
            Message::Update(row) => {
                self.handle_row(segment, FrameKind::Update, row, at, len, data.start_lsn)
            }
            Message::Delete(row) => {
                self.handle_row(segment, FrameKind::Delete, row, at, len, data.start_lsn)
            }
            Message::Begin(begin) => self.handle_begin(begin),
            Message::Commit(commit) => self.handle_commit(commit, data.start_lsn),
            Message::Relation(relation) => self.handle_relation(&relation).await,
            Message::Truncate(truncate) => {
                for relation in truncate.relations {
                    let row = RowHead { relation, body: len };
                    self.handle_row(segment, FrameKind::Truncate, row, at, len, data.start_lsn)?;
                }
                Ok(())
            }
            // The origin is not told in records yet; types come from the catalogue; logical
            // messages are not asked for.
            Message::Origin(_) | Message::Type(_) | Message::Logical(_) => Ok(()),
        }
    }

    fn handle_begin(&mut self, begin: Begin) -> Result<()> {
        if self.open.is_some() {
            return Err(unordered("a transaction begins inside another", begin.final_lsn));
        }
        let seen = self.course.seen.as_ref();
        let dropped =
            seen.is_some_and(|seen| begin.final_lsn < seen.until && seen.view.sees(begin.xid));
        self.open = Some(Open { begin, dropped });
        if dropped {
            return Ok(());
        }
        let last_commit_lsn = self.course.last_commit;
        let origin = TxnOrigin::Wal { xid: begin.xid, last_commit_lsn };
        let id = GroupId::Wal(begin.xid, begin.final_lsn);
        self.ctx.router.begin(origin, begin.commit_us, false, id).map_err(router_error)
    }

    fn handle_commit(&mut self, commit: Commit, data_start: u64) -> Result<()> {
        let open = self.open.take();
        let Some(open) = open.filter(|open| open.begin.final_lsn == commit.commit_lsn) else {
            return Err(unordered("a commit without its begin", commit.commit_lsn));
        };
        self.course.last_commit = data_start;
        self.course.silences = 0;
        if open.dropped {
            return self.move_to(commit.end_lsn, data_start);
        }
        self.course.routed = self.course.routed.max(commit.end_lsn);
        let delta = PositionDelta::Lsn { lsn: commit.end_lsn, commit_lsn: data_start };
        self.ctx.router.commit(delta).map_err(router_error)?;
        self.settle()
    }

    /// One row: `at` and `len` are the message's place in the segment.
    #[inline]
    fn handle_row(
        &mut self,
        segment: &Arc<Segment>,
        kind: FrameKind,
        row: RowHead,
        at: usize,
        len: usize,
        position: u64,
    ) -> Result<()> {
        let known = match self.last_relation {
            Some((oid, known)) if oid == row.relation => known,
            _ => {
                let known = self.relations.get(&row.relation).copied();
                let known =
                    known.ok_or_else(|| unordered("a row before its relation", position))?;
                self.last_relation = Some((row.relation, known));
                known
            }
        };
        let Some(open) = &self.open else {
            return Err(unordered("a row outside of a transaction", position));
        };
        let table = match known {
            Known::Captured(table) if !open.dropped => table,
            _ => return Ok(()),
        };
        let narrow = |n: usize| u32::try_from(n).expect("invariant: segments are below 4 GiB");
        let head = FrameHead {
            kind,
            marker: SnapshotMarker::Streaming,
            format: 0,
            table,
            offset: narrow(at + row.body),
            len: narrow(len - row.body),
            position,
        };
        self.ctx.router.handle_frame(segment, head).map_err(router_error)
    }

    /// A table as the rows behind this message have it. Key, nullability and defaults are read now
    /// (HAZARDS M4).
    async fn handle_relation(&mut self, relation: &Relation<'_>) -> Result<()> {
        self.last_relation = None;
        let name = TableName {
            database: self.ctx.source.database.clone(),
            schema: relation.namespace.to_owned(),
            table: relation.name.to_owned(),
        };
        if !self.ctx.captured(&name) {
            self.relations.insert(relation.oid, Known::Other);
            return Ok(());
        }
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
        let table = self.ctx.tables.id(&name);
        let before = self.course.schemas.get(&table);
        let version = before.map_or(1, |schema| schema.version + 1);
        let log = LogTable { name, replica_identity: relation.replica_identity, columns: &columns };
        let (known, filter) = (facts.clone().unwrap_or_default(), &self.ctx.source.filter);
        let mut schema = assemble(table, version, log, &known, &self.types, filter);
        if facts.is_none() {
            let earlier = self.course.names.get(&relation.oid);
            let earlier = earlier.and_then(|table| self.course.schemas.get(table));
            schema.key = key_of_dropped(&schema, earlier.map(|schema| &**schema));
        }
        self.course.names.insert(relation.oid, table);
        self.relations.insert(relation.oid, Known::Captured(table));
        if before.is_some_and(|before| same(before, &schema)) {
            return Ok(());
        }
        if let Some(before) = before {
            // Relation messages carry no position of their own.
            let at = self.open.as_ref().map_or(self.course.routed, |open| open.begin.final_lsn);
            tell_change(before, &schema, at);
        }
        let schema = Arc::new(schema);
        self.course.schemas.insert(table, schema.clone());
        self.ctx.router.handle_schema(schema);
        Ok(())
    }

    /// The facts of a table, if it still exists, and the types of its columns.
    async fn read_facts(&mut self, oid: u32, columns: &[LogColumn]) -> Result<Option<Facts>> {
        self.types.learn(self.catalogue, columns.iter().map(|column| column.type_oid)).await?;
        Ok(catalogue::facts(self.catalogue, &[oid]).await?.remove(&oid))
    }

    fn place(&self) -> String {
        format!("LSN {}", lsn_text(self.course.routed))
    }
}

/// The key of a table that was dropped before its rows were read: the key that it last had, if its
/// columns are still these, else what the log itself flags as identity.
fn key_of_dropped(schema: &TableSchema, earlier: Option<&TableSchema>) -> Vec<u16> {
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

/// The stream is not what the protocol promises. A new connection starts at a transaction's begin.
fn unordered(what: &str, at: u64) -> Error {
    Error::transient("pg-protocol", format!("{STREAMING}: {what}"))
        .at(format!("LSN {}", lsn_text(at)))
}

/// The goal of a catch-up from the end of the log now.
pub async fn goal(catalogue: &mut Connection) -> Result<u64> {
    Ok(lsn::goal(catalogue::insert_lsn(catalogue).await?))
}
