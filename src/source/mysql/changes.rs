//! How the reader keeps its schema history: establishes it, takes it up again after a restart, and
//! lets every statement of the log change it.
//!
//! Enters: the place where the stream begins; QUERY events that are no BEGIN, COMMIT and the like.
//! Leaves: definitions for the rows behind; records of the history, durable before the position
//! moves behind the statement (invariant 7). Keeps: statements are applied in the order of the log,
//! each once, those on tables that are not captured too; none of those stops anything (HAZARDS L24).

use penstock_protocol::mysql::event::{EventHeader, Query};
use penstock_protocol::schema::TableName;
use penstock_shards::annex::{Annex, ChangeKind, SchemaChange};
use penstock_shards::history::{Applied, Effect, Statement};

use super::catalogue::Server;
use super::connection::{Connection, quote};
use super::events::Log;
use super::history::{Done, TableHistory, prepare_show, statement_text};
use super::place::Place;
use super::snapshot::{self, View};
use super::{Reader, preamble, proof, shapes};
use crate::config::SnapshotMode;
use crate::error::Result;
use crate::source::Start;
use crate::source::context::router_error;

/// Views that are opened because a captured table was changed while the catalogue was read.
const VIEWS_MAX: u32 = 5;

impl Reader {
    /// The snapshot's view, and the schema history as of it. If a captured table is changed
    /// between view and catalogue, another view is opened (HAZARDS L23).
    pub(super) async fn open_view(
        &mut self,
        connection: &mut Connection,
        server: &Server,
    ) -> Result<View> {
        let mut tries = 0;
        loop {
            tries += 1;
            let view = snapshot::open_view(connection, server, &self.ctx.source).await?;
            if self.ctx.snapshot.mode == SnapshotMode::InitialOnly {
                return Ok(view);
            }
            let id = self.side_id();
            let (history, touched) = Box::pin(proof::establish(&self.ctx, &view.place, id)).await?;
            let moved = touched.tables.iter().any(|name| self.ctx.captured(name));
            if moved && tries < VIEWS_MAX {
                connection.query("ROLLBACK").await?;
                continue;
            }
            self.keep_history(&view.place, history).await?;
            return Ok(view);
        }
    }

    /// What the schema change topic tells before the rows of a snapshot.
    pub(super) async fn preamble(
        &mut self,
        connection: &mut Connection,
        server: &Server,
        view: &View,
    ) -> Result<()> {
        let tables = snapshot::in_order(&view.tables, &self.ctx.source.filter);
        let names = tables.into_iter().map(|table| table.name.clone()).collect::<Vec<_>>();
        prepare_show(connection, server).await?;
        let own;
        let history = match &self.history {
            Some(history) => history,
            None => {
                let captured = |name: &TableName| self.ctx.captured(name);
                own = TableHistory::read_some(connection, server, captured).await?;
                &own
            }
        };
        preamble::route(&mut self.ctx, connection, history, &names, &view.place).await
    }

    /// The history as of the place where the stream begins: from disk as of the checkpoint, else
    /// from the catalogue, as far as it is proved to hold there.
    pub(super) async fn ready_history(&mut self, server: &Server, place: &Place) -> Result<()> {
        if self.history.is_some() {
            return Ok(());
        }
        let version = self.ctx.schema_version;
        let anew = self.ctx.snapshot.mode == SnapshotMode::Recovery;
        if matches!(self.ctx.start, Start::Resume(_)) && !anew {
            let server = server.clone();
            let load = move |history: &mut _| TableHistory::load(&server, history, version);
            let loaded = self.ctx.with_history(load).await?;
            let only = self.ctx.source.store_only_captured_tables;
            self.history = loaded.map(|history| history.only_captured(only));
        }
        if self.history.is_none() {
            let id = self.side_id();
            let (history, touched) = Box::pin(proof::establish(&self.ctx, place, id)).await?;
            for name in touched.tables.iter().filter(|name| self.ctx.captured(name)) {
                tracing::info!(
                    pipeline = %self.ctx.name,
                    "{name} was changed since {place}: until the log has told how, its rows are \
                     read only if they name their columns"
                );
            }
            self.keep_history(place, history).await?;
        }
        Ok(())
    }

    async fn keep_history(&mut self, place: &Place, history: TableHistory) -> Result<()> {
        let position = place.to_position();
        let only = self.ctx.source.store_only_captured_tables;
        let history = history.only_captured(only);
        let (filter, stopped) = (self.ctx.source.filter.clone(), self.ctx.stopped.clone());
        let captured =
            move |name: &TableName| !stopped.contains(name) && filter.table(&name.to_string());
        self.ctx.record_schemas(&position, history.whole(captured)).await?;
        self.history = Some(history);
        Ok(())
    }

    /// Our id in sessions beside the stream: an equal one would end it.
    fn side_id(&self) -> u32 {
        self.server_id ^ 0x2000_0000
    }

    /// Reads the catalogue of captured tables that the history does not know, and keeps what holds
    /// from here to the log's end (HAZARDS L22).
    pub(super) async fn recheck(&mut self) -> Result<()> {
        let place = self.place.clone().expect("invariant: streaming has a place");
        let history = self.history.as_ref().expect("invariant: streaming has a history");
        let found = Box::pin(proof::recheck(&self.ctx, &place, self.side_id(), history)).await?;
        let history = self.history.as_mut().expect("invariant: looked at just above");
        let saved = found.into_iter().map(|(name, table)| history.learn(&name, table));
        let saved = saved.collect::<Vec<_>>();
        if !saved.is_empty() {
            self.ctx.record_schemas(&place.to_position(), saved).await?;
        }
        Ok(())
    }

    /// A statement that may change tables.
    pub(super) async fn schema_statement(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        query: &Query<'_>,
    ) -> Result<()> {
        let sql = statement_text(query.sql, &query.vars);
        let database = String::from_utf8_lossy(query.database);
        let statement = Statement::of(&sql, &database, &query.vars);
        let statement = Statement { error: query.error, ..statement };
        let group = log.group.as_mut().expect("invariant: every statement is in a group");
        group.statements += 1;
        let (id, nth) = (group.id(), group.statements);
        let Some(history) = &mut self.history else { return Ok(()) };
        let ctx = &self.ctx;
        let done = history.apply(&statement, &id, nth, |name| ctx.captured(name));
        let Done { applied, saved, database: changed } = done;
        for Applied { table, effect } in &applied {
            self.note_effect(log, header, table, effect);
        }
        if !saved.is_empty() {
            let behind = self.place_behind(log, header);
            self.ctx.record_schemas(&behind.to_position(), saved).await?;
        }
        if self.ctx.source.include_schema_changes {
            self.announce(log, header, &sql, &applied, changed.as_deref())?;
        }
        Ok(())
    }

    /// Word of it in the schema change topic: a record a captured table, as Debezium gives them, and
    /// one for a database.
    fn announce(
        &mut self,
        log: &Log,
        header: &EventHeader,
        sql: &str,
        applied: &[Applied],
        database: Option<&str>,
    ) -> Result<()> {
        let mut records = Vec::new();
        for Applied { table, effect } in applied.iter().filter(|one| self.captured(&one.table)) {
            let (kind, definition) = match effect {
                Effect::Created(table) => (ChangeKind::Create, Some(table)),
                Effect::Altered(table) => (ChangeKind::Alter, Some(table)),
                Effect::Renamed { definition, .. } => (ChangeKind::Alter, definition.as_ref()),
                Effect::Dropped => (ChangeKind::Drop, None),
                Effect::Truncated | Effect::RowsRemoved | Effect::Unknown(_) => continue,
            };
            let change = shapes::change(kind, table, definition.map(|table| &**table));
            let ddl = match kind {
                // Of several tables each has a statement of its own.
                ChangeKind::Drop => {
                    format!("DROP TABLE {}.{}", quote(&table.database), quote(&table.table))
                }
                _ => sql.to_owned(),
            };
            records.push(SchemaChange {
                source_db: table.database.clone(),
                source_table: Some(table.table.clone()),
                database: Some(table.database.clone()),
                ddl: Some(ddl),
                changes: vec![change],
                ..SchemaChange::default()
            });
        }
        if let Some(database) = database.filter(|name| self.watches(name)) {
            records.push(SchemaChange {
                source_db: database.into(),
                database: Some(database.into()),
                ddl: Some(sql.to_owned()),
                ..SchemaChange::default()
            });
        }
        let group = log.group.as_ref().expect("invariant: every statement is in a group");
        let at = match group.commit_us {
            0 => i64::from(header.timestamp) * 1_000_000,
            us => us,
        };
        for record in records {
            let record = SchemaChange { position: log.source_pos(header), ..record };
            let annex = Annex::SchemaChange(Box::new(record));
            // Debezium tells no thread of a statement.
            let origin = group.origin_of_statement();
            self.ctx.router.annex(annex, origin, at).map_err(router_error)?;
        }
        Ok(())
    }

    /// Whether a database holds captured tables, or did.
    fn watches(&self, database: &str) -> bool {
        self.history.as_ref().is_some_and(|history| history.is_seeded(database))
    }

    /// What a captured table's next rows look like is asked anew.
    fn note_effect(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        table: &TableName,
        effect: &Effect,
    ) {
        if let Effect::Renamed { from, .. } = effect {
            self.schemas.handle_ddl(from);
        }
        self.schemas.handle_ddl(table);
        // Numbers of the log point to the old shape; the next TABLE_MAP tells the new one.
        log.forget_maps();
        if !self.captured(table) {
            return;
        }
        match effect {
            Effect::RowsRemoved => tracing::warn!(
                pipeline = %self.ctx.name,
                at = log.at(header),
                "{table} lost or got rows by a statement on partitions: the log has no rows of that"
            ),
            Effect::Unknown(why) => tracing::warn!(
                pipeline = %self.ctx.name,
                at = log.at(header),
                "what {table} looks like is not known from here on: {why}"
            ),
            _ => {}
        }
    }
}
