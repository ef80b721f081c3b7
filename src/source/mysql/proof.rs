//! The proof that a catalogue read now describes the rows of a log read later (HAZARDS L22): the
//! log from our place to its end holds no DDL on the table.
//!
//! Enters: our place. Leaves: the captured tables of which it is true. Keeps: the catalogue is read
//! before the log's end is reached; heads and statements alone are looked at.

use std::collections::BTreeSet;
use std::ops::Range;

use penstock_protocol::mysql::command::DumpMode;
use penstock_protocol::mysql::ddl::{Statement, classify};
use penstock_protocol::mysql::event::{self, Checksum, EventHeader, FormatDescription, Query, ty};
use penstock_protocol::schema::TableName;

use super::catalogue::{self, CatalogueTable, Server};
use super::chunks::Chunks;
use super::events::{named, payload_event};
use super::place::Place;
use super::stream::{prepare_dump, start_dump};
use super::{errors, inflate, open};
use crate::error::Result;
use crate::source::ReaderContext;

/// Reads the catalogue, then the log from `place` to its end. `server_id` is not the stream's own.
pub async fn tables_without_ddl(
    ctx: &ReaderContext,
    place: &Place,
    server_id: u32,
) -> Result<Vec<CatalogueTable>> {
    let (mut connection, server) = open(&ctx.source).await?;
    let mut tables = catalogue::tables(&mut connection, &server, &ctx.source.filter).await?;
    prepare_dump(&mut connection, &server, place).await?;
    start_dump(&mut connection, &server, place, server_id, DumpMode::ToEnd).await?;
    let endpoint = connection.endpoint.clone();
    let (wire, rest, seq, _) = connection.into_parts();
    let mut chunks =
        Chunks::new(wire, rest, seq, ctx.pool.clone(), endpoint, Some(super::HEARTBEAT * 3));
    let mut scan = Scan { server: &server, checksum: None, changed: BTreeSet::new() };
    let mut spans = Vec::new();
    loop {
        let segment = chunks.next(&mut spans).await?;
        if scan.chunk(segment.data(), &spans)? {
            break;
        }
    }
    tables.retain(|table| !scan.changed.contains(&table.name));
    Ok(tables)
}

struct Scan<'a> {
    server: &'a Server,
    checksum: Option<Checksum>,
    changed: BTreeSet<TableName>,
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
        let sql = String::from_utf8_lossy(query.sql);
        let mode = query.vars.sql_mode.unwrap_or_default();
        if let Statement::Ddl(names) = classify(&sql, mode, self.server.is_mariadb()) {
            let database = String::from_utf8_lossy(query.database);
            self.changed.extend(names.iter().map(|name| named(name, &database, self.server)));
        }
        Ok(())
    }
}
