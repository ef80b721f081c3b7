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
use penstock_protocol::postgres::pgoutput::{
    self, Begin, Commit, Logical, Message, Origin, Relation, RowHead,
};
use penstock_protocol::postgres::replication::{self, Payload, XLOG_DATA_HEAD, XLogData, lsn_text};
use penstock_protocol::schema::TableSchema;
use penstock_shards::annex::{self, Annex};
use penstock_shards::hop::{Replicated, TxnOrigin};
use penstock_shards::router::GroupId;
use penstock_shards::segment::Segment;

use super::catalogue::{self, Server, Types};
use super::connection::Connection;
use super::fault::{STREAMING, ServerError, malformed};
use super::in_progress::InProgress;
use super::intake::{Intake, Piece};
use super::lsn;
use super::relations::Known;
use super::sql::{ident, literal};
use super::status::{Pace, Patience, SENDER_TIMEOUT_MS_MAX, Status};
use super::visibility::ReadView;
use crate::error::{Error, Result};
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
    /// Its commit time.
    pub last_commit_us: i64,
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
    /// Transactions in progress are not to be streamed: something was met that only whole ones
    /// tell, or there is no room to keep them (HAZARDS H11).
    pub unstreamed: bool,
    /// Connections in a row that were given up for silence, without a transaction in between.
    pub silences: u32,
}

impl Course {
    /// Whether the snapshot's view has seen a transaction.
    pub fn has_seen(&self, xid: u32, commit_lsn: u64) -> bool {
        self.seen.as_ref().is_some_and(|seen| commit_lsn < seen.until && seen.view.sees(xid))
    }
}

/// A source transaction that is being read.
pub(super) struct Open {
    begin: Begin,
    /// The snapshot's view has seen it.
    dropped: bool,
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
    pub(super) ctx: &'a mut ReaderContext,
    pub(super) course: &'a mut Course,
    pub(super) catalogue: &'a mut Connection,
    pub(super) types: Types,
    pub(super) relations: HashMap<u32, Known>,
    pub(super) last_relation: Option<(u32, Known)>,
    pub(super) open: Option<Open>,
    /// Transactions in progress are streamed.
    streams: bool,
    pub(super) in_progress: InProgress,
    /// The server does not tell transactions that change nothing published (15 and later).
    pub(super) skips_empty: bool,
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
    server: &Server,
) -> Result<Stream<'a>> {
    // A transaction that a lost connection has cut goes on where it stopped: as a whole one.
    let params = &ctx.source.postgres;
    let streamed = !course.unstreamed && !params.unstreamed && !ctx.router.in_group();
    if params.origin_none && server.version < 160_000 {
        let what = "slot_stream_params = \"origin=none\" needs PostgreSQL 16";
        return Err(Error::fatal("pg-version", what).hint("remove it"));
    }
    let sql = format!(
        "START_REPLICATION SLOT {} LOGICAL {} ({})",
        ident(&ctx.source.slot),
        lsn_text(course.routed),
        options(server.version, publications, streamed, params.origin_none),
    );
    let timeout_ms = shorten_timeout(&mut walsender, server.wal_sender_timeout_ms).await?;
    walsender.send_query(STREAMING, &sql).await?;
    walsender.expect_copy_both(STREAMING).await?;
    tracing::info!("streaming from slot \"{}\" at {}", ctx.source.slot, lsn_text(course.routed));
    let (wire, received) = walsender.into_parts();
    let intake = Intake::new(ctx.pool.clone(), &received, wire.is_tls(), STREAMING).await?;
    let (reader, writer) = wire.split();
    let patience = Patience::of(timeout_ms, course.silences);
    let every_ms = ctx.source.postgres.status_interval_ms;
    let pace = Pace::of(timeout_ms, every_ms, patience.ask);
    let status = Status::start(writer, confirmed, pace, ctx.flushed.clone());
    status.ask(course.goal.is_some() || course.seen.is_some());
    Ok(Stream {
        ctx,
        course,
        catalogue,
        types: Types::default(),
        relations: HashMap::new(),
        last_relation: None,
        open: None,
        streams: streamed,
        in_progress: InProgress::default(),
        skips_empty: server.version >= 150_000,
        reader,
        intake,
        status,
        patience,
    })
}

/// The options of the output plugin: the highest protocol version that the server has, and
/// transactions in progress streamed where it can.
fn options(version: u32, publications: &[String], streamed: bool, origin_none: bool) -> String {
    let protocol = match version {
        160_000.. => 4,
        150_000.. => 3,
        140_000.. => 2,
        _ => 1,
    };
    let names: Vec<String> = publications.iter().map(|name| ident(name)).collect();
    let mut options =
        format!("proto_version '{protocol}', publication_names {}", literal(&names.join(",")));
    if protocol >= 2 {
        options.push_str(", messages 'true'");
    }
    if streamed && protocol >= 2 {
        options.push_str(", streaming 'on'");
    }
    if origin_none {
        options.push_str(", origin 'none'");
    }
    options
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
        self.ctx.heartbeat.start(&self.ctx.source, &self.ctx.name);
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
        let settled = !self.course.snapshot_open && !self.inside();
        settled && self.course.goal.is_some_and(|goal| self.course.routed >= goal)
    }

    /// The next piece; `None`: asked to stop.
    async fn next(&mut self) -> Result<Option<Piece>> {
        if self.ctx.stop.get() {
            return Ok(None);
        }
        let mut reading = std::pin::pin!(self.intake.next(&mut self.reader));
        let mut left = self.patience.give_up;
        loop {
            let beat = self.ctx.heartbeat.due_in().filter(|due| *due < left);
            let wait = beat.unwrap_or(left);
            {
                let stopping = std::pin::pin!(self.ctx.stop.wait_for(|stop| *stop));
                let either = futures_util::future::select(reading.as_mut(), stopping);
                match timeout(wait, either).await {
                    Ok(futures_util::future::Either::Left((piece, _))) => return piece.map(Some),
                    Ok(futures_util::future::Either::Right(_)) => return Ok(None),
                    Err(_) if beat.is_none() => break,
                    Err(_) => {}
                }
            }
            left -= wait;
            // The heartbeat that is due.
            self.ctx.flush().await?;
        }
        self.course.silences = self.course.silences.saturating_add(1);
        let what = format!("nothing from the server for {} s", self.patience.give_up.as_secs());
        Err(Error::transient("pg-silent", what))
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
                    self.note_server_error(&refused);
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

    /// Some errors of a server come of streaming alone, at every try again: it may fail on catalogue
    /// rows of an aborted sub-transaction that it would not look at in a whole transaction.
    fn note_server_error(&mut self, error: &ServerError) {
        if self.streams && error.sqlstate.starts_with("XX") && !self.course.unstreamed {
            tracing::warn!("the next connection is without streaming of transactions in progress");
            self.course.unstreamed = true;
        }
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
                if !self.inside() {
                    self.move_to(alive.end_lsn, 0)?;
                }
                Ok(())
            }
        }
    }

    /// Whether a transaction, or a piece of one, is being read.
    fn inside(&self) -> bool {
        self.open.is_some() || self.in_progress.piece.is_some()
    }

    /// The position moves without a transaction, or after one was dropped.
    pub(super) fn move_to(&mut self, to: u64, commit_lsn: u64) -> Result<()> {
        if to > self.course.routed {
            self.course.routed = to;
            self.ctx.router.advance(PositionDelta::Lsn { lsn: to, commit_lsn });
        }
        self.settle()
    }

    /// Behind the last change that the snapshot's view has seen, the first snapshot is whole: a
    /// restart streams from here (an earlier one would not know what to drop).
    pub(super) fn settle(&mut self) -> Result<()> {
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
        if let Some(xid) = self.in_progress.piece {
            return self.handle_in_piece(xid, segment, at, data);
        }
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
            Message::Begin(begin) => self.handle_begin(begin, data.start_lsn),
            Message::Commit(commit) => self.handle_commit(commit, data.start_lsn),
            Message::Relation(relation) => self.handle_relation(&relation).await,
            Message::Truncate(truncate) => {
                for relation in truncate.relations {
                    let row = RowHead { relation, body: len };
                    self.handle_row(segment, FrameKind::Truncate, row, at, len, data.start_lsn)?;
                }
                Ok(())
            }
            Message::Origin(origin) => self.handle_origin(&origin),
            Message::Logical(message) => self.handle_logical(&message, data.start_lsn),
            // Types come from the catalogue.
            Message::Type(_) => Ok(()),
            Message::StreamStart(start) => self.handle_stream_start(start, data.start_lsn),
            Message::StreamCommit(commit) => {
                self.handle_stream_commit(commit, data.start_lsn).await
            }
            Message::StreamAbort(abort) => self.handle_stream_abort(abort),
            Message::StreamStop => Err(unordered("the end of a piece without its start", 0)),
        }
    }

    fn handle_begin(&mut self, begin: Begin, data_start: u64) -> Result<()> {
        if self.open.is_some() {
            return Err(unordered("a transaction begins inside another", begin.final_lsn));
        }
        let dropped = self.course.has_seen(begin.xid, begin.final_lsn);
        self.open = Some(Open { begin, dropped });
        if dropped {
            return Ok(());
        }
        let last_commit_lsn = self.course.last_commit;
        let origin = TxnOrigin::Wal { xid: begin.xid, last_commit_lsn, replicated: None };
        let id = GroupId::Wal(begin.xid, begin.final_lsn);
        self.ctx.router.mark_begin(data_start, begin.commit_us);
        self.ctx.router.begin(origin, begin.commit_us, false, id).map_err(router_error)
    }

    /// The open transaction was committed on another server first.
    fn handle_origin(&mut self, origin: &Origin<'_>) -> Result<()> {
        let Some(open) = self.open.as_ref().filter(|open| !open.dropped) else { return Ok(()) };
        let (xid, last_commit_lsn) = (open.begin.xid, self.course.last_commit);
        let from = Replicated { origin: origin.name.to_owned(), lsn: origin.lsn };
        let replicated = Some(Arc::new(from));
        let origin = TxnOrigin::Wal { xid, last_commit_lsn, replicated };
        self.ctx.router.amend(origin).map_err(router_error)
    }

    /// A logical message: of the open transaction, or for itself.
    fn handle_logical(&mut self, message: &Logical<'_>, position: u64) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.dropped) {
            return Ok(());
        }
        if !message.transactional {
            // In Debezium it is its own commit, wanted or not: `source.sequence` tells it.
            self.course.last_commit = position;
        }
        if let Some(annex) = self.message(message, position) {
            let last_commit_lsn = self.course.last_commit;
            let origin = TxnOrigin::Wal { xid: 0, last_commit_lsn, replicated: None };
            let commit_us = self.course.last_commit_us;
            self.ctx.router.annex(annex, origin, commit_us).map_err(router_error)?;
        }
        // One that stands for itself is not sent again from the place behind its start.
        match message.transactional {
            true => Ok(()),
            false => self.move_to(position + 1, 0),
        }
    }

    /// The record of a logical message, if its prefix is wanted.
    pub(super) fn message(&self, message: &Logical<'_>, position: u64) -> Option<Annex> {
        let source = &self.ctx.source;
        source.postgres.message(message.prefix).then(|| {
            Annex::Message(annex::Message {
                database: source.database.clone(),
                prefix: message.prefix.to_owned(),
                content: message.content.to_owned(),
                transactional: message.transactional,
                position,
            })
        })
    }

    fn handle_commit(&mut self, commit: Commit, data_start: u64) -> Result<()> {
        let open = self.open.take();
        let Some(open) = open.filter(|open| open.begin.final_lsn == commit.commit_lsn) else {
            return Err(unordered("a commit without its begin", commit.commit_lsn));
        };
        self.course.last_commit = data_start;
        self.course.last_commit_us = commit.commit_us;
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
                let known = known.ok_or_else(|| stranger(position))?;
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
        let head = frame(kind, table, row, at, len, position);
        self.ctx.router.handle_frame(segment, head).map_err(router_error)
    }

    async fn handle_relation(&mut self, relation: &Relation<'_>) -> Result<()> {
        // Relation messages carry no position of their own.
        let at = self.open.as_ref().map_or(self.course.routed, |open| open.begin.final_lsn);
        if let Some(schema) = self.learn(relation, at).await? {
            self.ctx.router.handle_schema(schema);
        }
        Ok(())
    }

    fn place(&self) -> String {
        format!("LSN {}", lsn_text(self.course.routed))
    }
}

/// A row's frame; `at` and `len` are the message's place in the segment.
pub(super) fn frame(
    kind: FrameKind,
    table: TableId,
    row: RowHead,
    at: usize,
    len: usize,
    position: u64,
) -> FrameHead {
    let narrow = |n: usize| u32::try_from(n).expect("invariant: segments are below 4 GiB");
    FrameHead {
        kind,
        marker: SnapshotMarker::Streaming,
        format: 0,
        table,
        offset: narrow(at + row.body),
        len: narrow(len - row.body),
        position,
    }
}

/// A row of a relation that was not told.
pub(super) fn stranger(position: u64) -> Error {
    unordered("a row before its relation", position)
}

/// The stream is not what the protocol promises. A new connection starts at a transaction's begin.
pub(super) fn unordered(what: &str, at: u64) -> Error {
    Error::transient("pg-protocol", format!("{STREAMING}: {what}"))
        .at(format!("LSN {}", lsn_text(at)))
}

/// The goal of a catch-up from the end of the log now.
pub async fn goal(catalogue: &mut Connection) -> Result<u64> {
    Ok(lsn::goal(catalogue::insert_lsn(catalogue).await?))
}
