//! Events of the dump: statements, table maps, rows by reference (`groups`: where they begin and end).
//!
//! Enters: payloads of the dump. Leaves: calls of the router. Keeps (HAZARDS): nothing of a group
//! that may roll back is routed before its end (L5); a group is named by where it starts, and after
//! an offset has wrapped no checkpoint is offered until the next file (L27); what cannot be read
//! with certainty is an error, never skipped (L28).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use penstock_protocol::frame::{FORMAT_WITH_QUERY, FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::mysql::ddl::{Named, Statement, classify};
use penstock_protocol::mysql::event::{
    self, Checksum, EventHeader, FLAG_ARTIFICIAL, FLAG_IGNORABLE, FormatDescription, Heartbeat,
    Query, Rotate, RowsHead, TableMapNames, XaPrepare, ty,
};
use penstock_protocol::mysql::group::Alter;
use penstock_protocol::mysql::resultset::ServerError;
use penstock_protocol::position::{Gtid, PositionDelta};
use penstock_protocol::schema::TableName;
use penstock_shards::limits::SEGMENT_SLACK;
use penstock_shards::router::RouterError;
use penstock_shards::segment::Segment;
use penstock_shards::spill::SpillError;

use super::catalogue::{self, CatalogueTable, Server};
use super::chunks::Piece;
use super::groups::{Group, begin_of, start_group};
use super::history::TableHistory;
use super::payload::Payload;
use super::place::Place;
use super::schema::{Resolved, Told};
use super::{Reader, errors, inflate, open};
use crate::error::{Error, Result};
use crate::runtime::{sleep, timeout};
use crate::source::context::router_error;

/// Longest time that a side session may take while the log waits.
const SIDE_LIMIT: Duration = Duration::from_secs(20);

/// What the dump does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    On,
    /// The server has ended it.
    End,
}

/// The table behind a number of the log.
struct Mapped {
    body: Vec<u8>,
    /// None: not captured.
    table: Option<(TableId, TableName)>,
}

/// State of one connection's dump.
pub struct Log {
    pub(super) server: Server,
    pub(super) file: Arc<str>,
    checksum: Option<Checksum>,
    /// An offset of this file has passed 4 GiB.
    pub(super) wrapped: bool,
    /// Where the last event with a known offset ended.
    last_pos: u64,
    /// Where it began.
    last_start: u64,
    maps: HashMap<u64, Mapped>,
    pub(super) group: Option<Group>,
    /// The statement that the next rows come from.
    pub(super) query: Option<Arc<str>>,
    /// A compressed transaction that comes in pieces.
    payload: Option<Box<Payload>>,
    /// Its checksum is not known yet: what it holds must not leave.
    pub(super) unverified: bool,
}

impl Log {
    /// Before the first event.
    pub fn new(server: Server, place: &Place) -> Self {
        Self {
            server,
            file: place.file.clone(),
            checksum: None,
            wrapped: false,
            last_pos: place.pos,
            last_start: place.pos,
            maps: HashMap::new(),
            group: None,
            query: None,
            payload: None,
            unverified: false,
        }
    }

    /// An event was read.
    fn ended_at(&mut self, header: &EventHeader) {
        if header.end_log_pos != 0 && header.flags & FLAG_ARTIFICIAL == 0 {
            self.last_start = self.start_of(header);
            self.last_pos = header.end_log_pos.into();
        }
    }

    /// Numbers of tables no longer mean what they did.
    pub(super) fn forget_maps(&mut self) {
        self.maps.clear();
    }

    /// Where an event starts; the last known offset if it does not tell.
    pub(super) fn start_of(&self, header: &EventHeader) -> u64 {
        match header.end_log_pos {
            0 => self.last_pos,
            end => u64::from(end).saturating_sub(header.len.into()),
        }
    }

    /// `source.pos` of rows: where their event starts. MariaDB (11.8) gives the events within a group
    /// no offset; then, as in Debezium, where the last event that has one started.
    pub(super) fn source_pos(&self, header: &EventHeader) -> u64 {
        if header.end_log_pos == 0 { self.last_start } else { self.start_of(header) }
    }

    pub(super) fn at(&self, header: &EventHeader) -> String {
        format!("{}:{}", self.file, self.start_of(header))
    }
}

/// The event in a payload of a dump; `None`: the server says that there is no more.
pub fn payload_event(payload: &[u8]) -> Result<Option<&[u8]>> {
    match payload.split_first() {
        Some((0x00, event)) => Ok(Some(event)),
        Some((0xff, _)) => {
            let e = ServerError::parse(payload).map_err(errors::broken)?;
            Err(errors::dump_ended(&e))
        }
        Some((0xfe, _)) if payload.len() < 9 => Ok(None),
        _ => Err(errors::unexpected("packet in the dump")),
    }
}

/// A table that a statement names, with the session's database.
pub fn named(name: &Named, database: &str, server: &Server) -> TableName {
    let database = name.database.as_deref().unwrap_or(database);
    let fold = |text: &str| match server.variable("lower_case_table_names") {
        "1" | "2" => text.to_lowercase(),
        _ => text.to_owned(),
    };
    TableName { database: fold(database), schema: String::new(), table: fold(&name.table) }
}

impl Reader {
    /// Handles one payload of the dump.
    pub(super) async fn event(
        &mut self,
        log: &mut Log,
        segment: &Arc<Segment>,
        span: Range<usize>,
    ) -> Result<Step> {
        let payload = segment.data().get(span.clone()).unwrap_or_default();
        let Some(event) = payload_event(payload)? else { return Ok(Step::End) };
        let header = EventHeader::parse(event).map_err(errors::broken)?;
        let body = checked_body(log, &header, event)?;
        if let Some(group) = &mut log.group {
            group.bytes += u64::from(header.len);
        }
        if header.ty == ty::TRANSACTION_PAYLOAD {
            let mut payload = Payload::new(header, log.checksum.unwrap_or_default(), event)?;
            Box::pin(self.payload(log, &mut payload, event)).await?;
            Box::pin(self.payload_ends(log, payload)).await?;
        } else {
            let body_at = span.start + 1 + event::HEADER_BYTES;
            let body = body_at..body_at + body.len();
            self.dispatch(log, &header, segment, span.start + 1..span.end, body).await?;
        }
        log.ended_at(&header);
        Ok(Step::On)
    }

    /// A part of an event that no segment holds: a compressed transaction (`payload`).
    pub(super) async fn piece(&mut self, log: &mut Log, piece: &Piece) -> Result<()> {
        let data = piece.data();
        let (mut payload, event) = match log.payload.take() {
            Some(payload) => (payload, data),
            None => {
                let event = data.get(1..).unwrap_or_default();
                let header = EventHeader::front(event).map_err(errors::broken)?;
                if let Some(group) = &mut log.group {
                    group.bytes += u64::from(header.len);
                }
                let checksum = log.checksum.unwrap_or_default();
                (Box::new(Payload::new(header, checksum, event)?), event)
            }
        };
        log.unverified = true;
        self.payload(log, &mut payload, event).await?;
        if !piece.last {
            log.payload = Some(payload);
            return Ok(());
        }
        let header = payload.outer;
        self.payload_ends(log, *payload).await?;
        log.unverified = false;
        log.ended_at(&header);
        Ok(())
    }

    /// Hands an event to whom it concerns. `event` and `body`: its places in the segment.
    pub(super) async fn dispatch(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        segment: &Arc<Segment>,
        event: Range<usize>,
        place: Range<usize>,
    ) -> Result<()> {
        let body = segment.data().get(place.clone()).unwrap_or_default();
        match header.ty {
            ty::WRITE_ROWS_V1..=ty::DELETE_ROWS_V1
            | ty::WRITE_ROWS..=ty::DELETE_ROWS
            | ty::PARTIAL_UPDATE_ROWS => self.rows(log, header, segment, header.ty, place).await,
            ty::MARIADB_WRITE_ROWS_COMPRESSED_V1..=ty::MARIADB_DELETE_ROWS_COMPRESSED => {
                let (code, plain) = inflate::rows(header.ty, body).map_err(errors::broken)?;
                let len = plain.len();
                let segment = Segment::freeze(plain, len, None);
                self.rows(log, header, &segment, code, 0..len).await
            }
            ty::TABLE_MAP => self.table_map(log, header, body).await,
            ty::GTID | ty::ANONYMOUS_GTID | ty::GTID_TAGGED | ty::MARIADB_GTID => {
                start_group(log, header, body)
            }
            ty::QUERY | ty::EXECUTE_LOAD_QUERY => self.query(log, header, body).await,
            ty::MARIADB_QUERY_COMPRESSED => {
                let plain = inflate::query(body).map_err(errors::broken)?;
                self.query(log, header, &plain).await
            }
            ty::XID => self.commit(log, header),
            ty::XA_PREPARE => {
                let xa = XaPrepare::parse(body).map_err(errors::broken)?;
                self.xa_prepare(log, header, &xa)
            }
            _ => {
                let event = segment.data().get(event).unwrap_or_default();
                self.control(log, header, event, body)
            }
        }
    }

    /// Events that belong to no group.
    fn control(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        event: &[u8],
        body: &[u8],
    ) -> Result<()> {
        match header.ty {
            ty::FORMAT_DESCRIPTION => {
                let format = FormatDescription::parse(event).map_err(errors::broken)?;
                log.checksum = Some(format.checksum);
            }
            ty::ROTATE => self.rotate(log, header, event)?,
            ty::HEARTBEAT | ty::HEARTBEAT_V2 => self.heartbeat(log, header, body)?,
            ty::ROWS_QUERY | ty::MARIADB_ANNOTATE_ROWS if self.ctx.source.include_query => {
                let text = event::rows_query(header.ty, body).map_err(errors::broken)?;
                log.query = Some(String::from_utf8_lossy(text).into());
            }
            ty::INCIDENT => {
                let (number, text) = event::incident(body).map_err(errors::broken)?;
                let what = format!("the server's log may miss events: incident {number} {text:?}");
                return Err(Error::fatal("my-incident", what)
                    .at(log.at(header))
                    .hint("take a new snapshot (remove the state folder), and look for the cause in the server's error log"));
            }
            _ if is_idle_type(header.ty) || header.flags & FLAG_IGNORABLE != 0 => {}
            other => {
                let what = format!("the log holds an event of the unknown type {other}");
                return Err(Error::fatal("my-unknown-event", what)
                    .at(log.at(header))
                    .hint("the server is newer than this version knows, or the log is damaged"));
            }
        }
        Ok(())
    }

    /// The log goes on in another file; at the start of a dump, the file that it begins with.
    fn rotate(&mut self, log: &mut Log, header: &EventHeader, event: &[u8]) -> Result<()> {
        // The first one comes before it is known whether events have checksums.
        let sum = match log.checksum {
            None if event::crc_matches(event) => Checksum::Crc32,
            known => known.unwrap_or_default(),
        };
        let body = event::body(event, sum).map_err(errors::broken)?;
        let rotate = Rotate::parse(body).map_err(errors::broken)?;
        let file = String::from_utf8_lossy(rotate.file);
        if *log.file != *file {
            log.file = file.into();
            log.wrapped = false;
            log.last_pos = rotate.position;
        }
        if header.flags & FLAG_ARTIFICIAL == 0 && header.timestamp != 0 && log.group.is_none() {
            log.wrapped = false;
            self.moved_to(log, rotate.position);
        }
        Ok(())
    }

    /// An idle dump still moves our position over what it skips.
    fn heartbeat(&mut self, log: &mut Log, header: &EventHeader, body: &[u8]) -> Result<()> {
        let beat = Heartbeat::parse(header, body).map_err(errors::broken)?;
        let same_file = beat.file == log.file.as_bytes();
        if log.group.is_none() && same_file && !log.wrapped && beat.position > log.last_pos {
            log.last_pos = beat.position;
            self.moved_to(log, beat.position);
        }
        Ok(())
    }

    /// Outside of groups: our place is this offset of the log's file.
    fn moved_to(&mut self, log: &Log, pos: u64) {
        if let Some(place) = &mut self.place {
            (place.file, place.pos) = (log.file.clone(), pos);
        }
        let delta = PositionDelta::Binlog { at: Some((log.file.clone(), pos)), gtids: Vec::new() };
        self.ctx.router.advance(delta);
    }

    // ------------------------------------------------------------------------------- statements

    async fn query(&mut self, log: &mut Log, header: &EventHeader, body: &[u8]) -> Result<()> {
        let query = Query::parse(header.ty, body).map_err(errors::broken)?;
        if log.group.is_none() {
            // A log written without GTID events of any kind.
            log.group = Some(Group::anonymous(log, header));
        }
        let mysql = !log.server.is_mariadb();
        let statement = match query.sql {
            b"BEGIN" => Statement::Begin,
            b"COMMIT" => Statement::Commit,
            sql => {
                let mode = query.vars.sql_mode.unwrap_or_default();
                classify(&String::from_utf8_lossy(sql), mode, !mysql)
            }
        };
        let database = String::from_utf8_lossy(query.database);
        let begin = begin_of(log, header);
        let group = log.group.as_mut().expect("invariant: made just above");
        if mysql && group.thread.is_none() {
            group.thread = Some(query.thread_id);
        }
        match statement {
            Statement::Begin => {
                (group.begun, group.begin) = (true, Some(begin));
            }
            Statement::Commit => return self.commit(log, header),
            Statement::Rollback => return self.rollback(log, header),
            Statement::Savepoint(name) => return self.savepoint(log, header, &name),
            Statement::RollbackTo(name) => return self.rollback_to(log, header, &name),
            Statement::Xa(verb, xid) => return self.xa(log, header, verb, &xid),
            Statement::Truncate(table) => {
                let name = named(&table, &database, &log.server);
                Box::pin(self.truncate(log, header, &name)).await?;
            }
            Statement::Dml(tables) => {
                for table in &tables {
                    let name = named(table, &database, &log.server);
                    Box::pin(self.statement_dml(log, header, &name)).await?;
                }
            }
            Statement::Ddl(_) | Statement::Other => {
                // The first half of MariaDB's two-phase ALTER has no effect yet, nor a taken-back one.
                if !matches!(group.alter, Alter::Start | Alter::Rollback) {
                    Box::pin(self.schema_statement(log, header, &query)).await?;
                }
            }
        }
        if log.group.as_ref().is_some_and(|group| !group.begun) {
            self.end_alone(log, header);
        }
        Ok(())
    }

    /// A statement that is a group of its own ends with itself.
    fn end_alone(&mut self, log: &mut Log, header: &EventHeader) {
        if let Some(group) = log.group.take() {
            let delta = self.delta(log, &group, header);
            self.ctx.router.advance(delta.clone());
            self.arrived(&group, &delta);
        }
    }

    /// Rows that changed by a statement are not in the log (HAZARDS L28).
    async fn statement_dml(
        &mut self,
        log: &Log,
        header: &EventHeader,
        name: &TableName,
    ) -> Result<()> {
        if !self.captured(name) {
            return Ok(());
        }
        let e = Error::definite(
            "my-statement-format",
            format!(
                "{name} was changed by a statement, not by rows: what it changed is not in the log"
            ),
        )
        .at(log.at(header))
        .hint(
            "SET GLOBAL binlog_format = ROW and forbid SET SESSION binlog_format to applications; \
             then take a new snapshot",
        );
        self.ctx.stop_table(name, log.start_of(header), e).await
    }

    /// The catalogue's word on a table, by a session of its own. The log waits meanwhile: not for
    /// long, if the server is silent.
    async fn read_table(&self, name: &TableName) -> Result<Option<CatalogueTable>> {
        let source = &self.ctx.source;
        let reading = async {
            let (mut side, server) = open(source).await?;
            let table = catalogue::table(&mut side, &server, &source.filter, name).await?;
            side.close().await;
            Ok(table)
        };
        timeout(SIDE_LIMIT, Box::pin(reading)).await.unwrap_or_else(|_| {
            let what = format!("no answer about table {name} in {} s", SIDE_LIMIT.as_secs());
            Err(Error::transient("net-unreachable", what))
        })
    }

    /// TRUNCATE: a frame without body in a group of its own.
    async fn truncate(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        name: &TableName,
    ) -> Result<()> {
        if !self.captured(name) {
            return Ok(());
        }
        let schema = match self.schemas.current(name) {
            Some(schema) => schema,
            None => {
                let told = told(self.history.as_ref(), log, name);
                let told = told.map(|told| told.table(name, &self.ctx.source.filter));
                let table = match told {
                    Some(table) => Some(table),
                    None => self.read_table(name).await?,
                };
                // Dropped since: nobody has rows of it.
                let Some(table) = table else { return Ok(()) };
                let schema = self.schemas.of_catalogue(&mut self.ctx.tables, &table);
                self.ctx.router.handle_schema(schema.clone());
                schema
            }
        };
        let position = log.start_of(header);
        self.open_group(log, header)?;
        let empty = Segment::freeze(Vec::new(), 0, None);
        let head = FrameHead {
            kind: FrameKind::Truncate,
            marker: SnapshotMarker::Streaming,
            format: 0,
            table: schema.table,
            offset: 0,
            len: 0,
            position,
        };
        self.frame(log, &empty, head).await?;
        self.commit(log, header)
    }

    // ------------------------------------------------------------------------------------- rows

    async fn table_map(&mut self, log: &mut Log, header: &EventHeader, body: &[u8]) -> Result<()> {
        let names = TableMapNames::parse(body).map_err(errors::broken)?;
        if log.maps.get(&names.table_id).is_some_and(|mapped| mapped.body == body) {
            return Ok(());
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (database, table) = (text(names.database), text(names.table));
        let name = TableName { database, schema: String::new(), table };
        let table = match self.captured(&name) {
            true => Box::pin(self.resolve(log, header, &name, body)).await?.map(|id| (id, name)),
            false => None,
        };
        // Numbers are never used again while the server runs: the old ones only take room.
        if log.maps.len() >= 4096 {
            log.maps.clear();
        }
        log.maps.insert(names.table_id, Mapped { body: body.to_vec(), table });
        Ok(())
    }

    /// The table's number if its rows can be read; `None`: it was stopped.
    async fn resolve(
        &mut self,
        log: &Log,
        header: &EventHeader,
        name: &TableName,
        body: &[u8],
    ) -> Result<Option<TableId>> {
        let mut asked = false;
        loop {
            let told = told(self.history.as_ref(), log, name);
            let (tables, filter) = (&mut self.ctx.tables, &self.ctx.source.filter);
            match self.schemas.resolve(tables, filter, (name, body), told, asked) {
                Ok(Resolved::Same(schema)) => return Ok(Some(schema.table)),
                Ok(Resolved::New(schema)) => {
                    let id = schema.table;
                    self.ctx.router.handle_schema(schema);
                    return Ok(Some(id));
                }
                Ok(Resolved::WantsCatalogue) => {
                    let table = self.read_table(name).await?;
                    self.schemas.handle_catalogue(name, table);
                }
                Ok(Resolved::WantsProof) => {
                    asked = true;
                    self.recheck().await?;
                }
                Err(mut e) if e.class == crate::error::Class::Definite => {
                    if let Some(why) = self.history.as_ref().and_then(|h| h.why_unknown(name)) {
                        e.what = format!("{}; what is missing: {why}", e.what);
                    }
                    let e = e.at(log.at(header));
                    self.ctx.stop_table(name, log.start_of(header), e).await?;
                    return Ok(None);
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn rows(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        segment: &Arc<Segment>,
        code: u8,
        place: Range<usize>,
    ) -> Result<()> {
        let body = segment.data().get(place.clone()).unwrap_or_default();
        let head = RowsHead::parse(body).map_err(errors::broken)?;
        let query = match head.flags & RowsHead::END_OF_STATEMENT != 0 {
            true => log.query.take(),
            false => log.query.clone(),
        };
        // A number that stands for no table: only its end-of-statement flag means something.
        if head.table_id == 0xff_ffff {
            return Ok(());
        }
        let Some(mapped) = log.maps.get(&head.table_id) else {
            let what = format!("rows of table number {} without its TABLE_MAP", head.table_id);
            return Err(Error::fatal("my-rows-without-table-map", what)
                .at(log.at(header))
                .hint("the log is damaged here, or a proxy drops events: take a new snapshot"));
        };
        let Some((table, name)) = &mapped.table else { return Ok(()) };
        if self.ctx.stopped.contains(name) {
            return Ok(());
        }
        let kind = match code {
            ty::WRITE_ROWS_V1 | ty::WRITE_ROWS => FrameKind::Insert,
            ty::DELETE_ROWS_V1 | ty::DELETE_ROWS => FrameKind::Delete,
            _ => FrameKind::Update,
        };
        let number = |n: usize| u32::try_from(n).map_err(|_| errors::unexpected("event length"));
        let mut head = FrameHead {
            kind,
            marker: SnapshotMarker::Streaming,
            format: code,
            table: *table,
            offset: number(place.start)?,
            len: number(place.len())?,
            position: log.source_pos(header),
        };
        self.open_group(log, header)?;
        let Some(query) = query else { return self.frame(log, segment, head).await };
        let body = with_query(&query, body);
        (head.offset, head.len) = (0, number(body.len())?);
        head.format |= FORMAT_WITH_QUERY;
        let len = body.len();
        self.frame(log, &Segment::freeze(body, len, None), head).await
    }

    /// Hands a frame to the router; while its spill is full we wait, and the server with us
    /// (HAZARDS H11).
    async fn frame(&mut self, log: &Log, segment: &Arc<Segment>, head: FrameHead) -> Result<()> {
        let mut told = false;
        loop {
            match self.ctx.router.handle_frame(segment, head) {
                Err(RouterError::Spill(SpillError::Full)) => {
                    if !std::mem::replace(&mut told, true) {
                        let gtid = log.group.as_ref().and_then(|group| group.gtid.as_ref());
                        let name = gtid.map(Gtid::to_string).unwrap_or_default();
                        tracing::warn!(
                            pipeline = %self.ctx.name,
                            "no room to spill transaction {name} at {}:{}: waiting for room in the \
                             state folder", log.file, log.last_pos
                        );
                    }
                    self.ctx.flush().await?;
                    sleep(Duration::from_secs(1)).await;
                    if self.ctx.stop.get() {
                        let what = "asked to stop while no room was left to spill";
                        return Err(Error::fatal("my-spill-full", what)
                            .hint("make room in the state folder and run again: nothing is lost"));
                    }
                }
                other => return other.map_err(router_error),
            }
        }
    }

    pub(super) fn captured(&self, name: &TableName) -> bool {
        !catalogue::is_built_in(&name.database) && self.ctx.captured(name)
    }
}

/// What the history says of a table at our place.
fn told<'a>(history: Option<&'a TableHistory>, log: &Log, name: &TableName) -> Option<Told<'a>> {
    let definition = history?.definition(name)?;
    Some(Told { definition, mariadb: log.server.is_mariadb() })
}

/// The body, its checksum verified.
fn checked_body<'a>(log: &Log, header: &EventHeader, event: &'a [u8]) -> Result<&'a [u8]> {
    let sum = match (header.ty, log.checksum) {
        // Always has room for one; its own algorithm says whether it is filled.
        (ty::FORMAT_DESCRIPTION, _) => {
            FormatDescription::parse(event).map_err(errors::broken)?.checksum
        }
        (ty::ROTATE, None) => Checksum::Off,
        (_, known) => known.unwrap_or_default(),
    };
    if sum == Checksum::Crc32 && !event::crc_matches(event) {
        return Err(errors::wrong_checksum(header.ty).at(log.at(header)));
    }
    event::body(event, sum).map_err(errors::broken)
}

/// A frame's body with the statement that its rows come from: a copy, for those who want that.
fn with_query(query: &str, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(query.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(4 + query.len() + body.len() + SEGMENT_SLACK);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(query.as_bytes());
    out.extend_from_slice(body);
    out
}

/// Types that carry neither rows nor positions.
pub fn is_idle_type(code: u8) -> bool {
    matches!(
        code,
        ty::STOP
            | ty::INTVAR
            | ty::RAND
            | ty::USER_VAR
            | ty::BEGIN_LOAD_QUERY
            | ty::APPEND_BLOCK
            | ty::DELETE_FILE
            | ty::IGNORABLE
            | ty::ROWS_QUERY
            | ty::PREVIOUS_GTIDS
            | ty::TRANSACTION_CONTEXT
            | ty::VIEW_CHANGE
            | ty::MARIADB_ANNOTATE_ROWS
            | ty::MARIADB_BINLOG_CHECKPOINT
            | ty::MARIADB_GTID_LIST
            | ty::MARIADB_START_ENCRYPTION
    )
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
