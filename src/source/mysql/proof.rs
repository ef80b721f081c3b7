//! The proof that a catalogue read now describes the tables at an earlier place of the log (HAZARDS
//! L22, L23): the log from that place to its end holds no statement that changes them.
//!
//! Enters: a place. Leaves: the schema history as of it, or single definitions. Keeps: the catalogue
//! is read before the log's end is reached; heads and statements alone are looked at; what the log
//! changes in between is unknown at the place.

use std::ops::Range;
use std::sync::Arc;

use penstock_protocol::mysql::command::DumpMode;
use penstock_protocol::mysql::event::{self, Checksum, EventHeader, FormatDescription, Query, ty};
use penstock_protocol::schema::TableName;
use penstock_shards::history::TableDefinition;

use super::catalogue::Server;
use super::chunks::{Chunk, Chunks};
use super::connection::Connection;
use super::events::{named, payload_event};
use super::history::{TableHistory, Touched, statement_text};
use super::place::Place;
use super::stream::{prepare_dump, start_dump};
use super::{errors, inflate, open};
use crate::error::Result;
use crate::source::ReaderContext;

/// The whole history as of `place`, and what the log changes behind it. `server_id` is not the
/// stream's own.
pub async fn establish(
    ctx: &ReaderContext,
    place: &Place,
    server_id: u32,
) -> Result<(TableHistory, Touched)> {
    let (mut connection, server) = open(&ctx.source).await?;
    let mut history = TableHistory::read(&mut connection, &server, &ctx.source.filter).await?;
    let touched = touched_behind(ctx, connection, &server, place, server_id).await?;
    history.forget(&touched);
    Ok((history, touched))
}

/// Definitions of these tables, as far as they hold from `place` to the log's end.
pub async fn recheck(
    ctx: &ReaderContext,
    place: &Place,
    server_id: u32,
    history: &TableHistory,
) -> Result<Vec<(TableName, Arc<TableDefinition>)>> {
    let (mut connection, server) = open(&ctx.source).await?;
    let wanted = |name: &TableName| ctx.captured(name) && history.definition(name).is_none();
    let mut read = TableHistory::read_some(&mut connection, &server, wanted).await?;
    let touched = touched_behind(ctx, connection, &server, place, server_id).await?;
    read.forget(&touched);
    Ok(read.tables().map(|(name, table)| (name.clone(), table.clone())).collect())
}

/// Looks through the log from `place` to its end. The session is used up.
async fn touched_behind(
    ctx: &ReaderContext,
    mut connection: Connection,
    server: &Server,
    place: &Place,
    server_id: u32,
) -> Result<Touched> {
    prepare_dump(&mut connection, server, place).await?;
    start_dump(&mut connection, server, place, server_id, DumpMode::ToEnd).await?;
    let endpoint = connection.endpoint.clone();
    let (wire, rest, seq, _) = connection.into_parts();
    let mut chunks =
        Chunks::new(wire, rest, seq, ctx.pool.clone(), endpoint, Some(super::HEARTBEAT * 3));
    let mut scan = Scan { server, checksum: None, touched: Touched::default() };
    let mut spans = Vec::new();
    loop {
        match chunks.next_chunk(&mut spans).await? {
            Chunk::Packets(segment) if scan.chunk(segment.data(), &spans)? => {
                return Ok(scan.touched);
            }
            // A compressed transaction holds rows alone: the server compresses no DDL.
            Chunk::Packets(_) | Chunk::Piece(_) => {}
        }
    }
}

struct Scan<'a> {
    server: &'a Server,
    checksum: Option<Checksum>,
    touched: Touched,
}

impl Scan<'_> {
    /// True at the end of the log.
    fn chunk(&mut self, data: &[u8], spans: &[Range<usize>]) -> Result<bool> {
        for span in spans {
            let payload = data.get(span.clone()).unwrap_or_default();
            let Some(event) = payload_event(payload)? else { return Ok(true) };
            let header = EventHeader::parse(event).map_err(errors::broken)?;
            match header.ty {
                ty::FORMAT_DESCRIPTION => {
                    let format = FormatDescription::parse(event).map_err(errors::broken)?;
                    self.checksum = Some(format.checksum);
                }
                ty::QUERY | ty::MARIADB_QUERY_COMPRESSED => self.query(header.ty, event)?,
                _ => {}
            }
        }
        Ok(false)
    }

    fn query(&mut self, code: u8, event: &[u8]) -> Result<()> {
        let body = event::body(event, self.checksum.unwrap_or_default()).map_err(errors::broken)?;
        let plain;
        let body = if code == ty::MARIADB_QUERY_COMPRESSED {
            plain = inflate::query(body).map_err(errors::broken)?;
            &plain
        } else {
            body
        };
        let query = Query::parse(ty::QUERY, body).map_err(errors::broken)?;
        if matches!(query.sql, b"BEGIN" | b"COMMIT") {
            return Ok(());
        }
        let sql = statement_text(query.sql, &query.vars);
        let database = String::from_utf8_lossy(query.database);
        let mode = query.vars.sql_mode.unwrap_or_default();
        let server = self.server;
        let full = |name: &_| named(name, &database, server);
        self.touched.add(&sql, mode, server.is_mariadb(), &database, full);
        Ok(())
    }
}
