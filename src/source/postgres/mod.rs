//! PostgreSQL 13 to 18 by logical replication (pgoutput, protocol versions 1 to 4).
//!
//! Enters: a `ReaderContext`. Leaves: the first snapshot's rows, then the stream's, through the
//! router; the durable position to the server. Keeps: publications before the slot (HAZARDS L26),
//! the slot before the snapshot's view, the view before the stream; a position is taken up only
//! where it is proved to belong (L10); a lost connection is retried for ever, what no retry cures
//! is explained.

mod auth;
mod catalogue;
pub mod check;
mod connection;
mod fault;
pub mod heartbeat;
mod in_progress;
mod intake;
#[cfg(test)]
mod live;
mod lsn;
pub mod offsets;
mod publication;
mod readers;
mod relations;
mod schema;
mod slot;
mod snapshot;
mod sql;
mod status;
mod stream;
mod visibility;

use std::time::Duration;

use penstock_protocol::position::{LsnPosition, Position, PositionDelta};

use self::catalogue::{Captured, Server};
use self::connection::{Connection, Purpose};
use self::publication::Publications;
use self::slot::{Slot, System};
use self::snapshot::{Subject, View};
use self::stream::{Course, Ended, Seen};
use super::context::{ReaderContext, router_error};
use super::{SourceEnd, Start};
use crate::config::SnapshotMode;
use crate::error::{Class, Error, Result};
use crate::runtime::clock;

/// Longest pause between two tries to connect.
const PAUSE_S_MAX: u64 = 60;
/// A dead instance's walsender is "active" until its timeout, and a little longer (HAZARDS H7).
const ACTIVE_GRACE_MS: u64 = 10_000;
/// Debezium's defaults of `slot_max_retries` and `slot_retry_delay_ms`: they count if one is set.
const SLOT_RETRIES: u32 = 6;
const RETRY_DELAY_MS: u64 = 10_000;
/// What `wal_sender_timeout` is by default, for servers that have none.
const SENDER_TIMEOUT_MS: u64 = 60_000;

/// What one run keeps over its connections.
#[derive(Default)]
struct Life {
    course: Course,
    /// The stream's start is settled: from here on a connection goes on at `course.routed`.
    settled: bool,
    /// The server that the position is of.
    identity: Option<(String, u32)>,
    /// Since when the slot is in somebody else's use, and for how long that is borne.
    in_use: Option<u64>,
    in_use_ms_max: u64,
}

/// Reads the source until it ends. A Transient error comes out only when the first snapshot was cut
/// in the middle: its rows cannot be told twice in one run, so the pipeline has to start again from
/// its checkpoint.
pub async fn run(mut ctx: ReaderContext) -> Result<SourceEnd> {
    let mut life = Life::default();
    let mut tries = 0_u32;
    loop {
        life.course.alive = false;
        let error = match Box::pin(attempt(&mut ctx, &mut life)).await {
            Ok(end) => return Ok(end),
            Err(error) if error.class == Class::Transient => error,
            Err(error) => return Err(error),
        };
        if life.course.snapshot_open && !life.settled {
            let what = format!("the first snapshot was cut: {}", error.what);
            return Err(Error::transient("pg-snapshot-cut", what)
                .hint("start again: the snapshot is taken from its start"));
        }
        let error = bear(&mut life, error, clock::monotonic_ms())?;
        ctx.heartbeat.rest();
        ctx.router.interrupted().map_err(router_error)?;
        ctx.flush().await?;
        tries = if life.course.alive { 0 } else { tries + 1 };
        let pause = match ctx.source.postgres.retry_delay_ms {
            Some(delay_ms) if error.code == "pg-slot-in-use" => Duration::from_millis(delay_ms),
            _ => Duration::from_secs(pause_s(tries)),
        };
        tracing::warn!(code = error.code, "{}; next try in {} s", error.what, pause.as_secs_f32());
        if status::pause(pause, &mut ctx.stop).await {
            ctx.finish().await?;
            return Ok(SourceEnd::Stopped);
        }
    }
}

/// 1, 2, 4 … 60 seconds.
fn pause_s(tries: u32) -> u64 {
    1_u64.checked_shl(tries.saturating_sub(1)).map_or(PAUSE_S_MAX, |s| s.clamp(1, PAUSE_S_MAX))
}

/// "Slot is active" is borne as long as a dead walsender can live, then it is somebody else's.
fn bear(life: &mut Life, error: Error, now_ms: u64) -> Result<Error> {
    if error.code != "pg-slot-in-use" {
        life.in_use = None;
        return Ok(error);
    }
    let since_ms = *life.in_use.get_or_insert(now_ms);
    if now_ms.saturating_sub(since_ms) <= life.in_use_ms_max {
        return Ok(error);
    }
    Err(Error { class: Class::Fatal, ..error }.hint(
        "another process reads from this slot: stop it, or give this pipeline a slot of its own \
         (source.slot)",
    ))
}

/// One connection, from the login to its end.
async fn attempt(ctx: &mut ReaderContext, life: &mut Life) -> Result<SourceEnd> {
    let mut catalogue = Connection::open(&ctx.source, Purpose::Catalogue, &ctx.name).await?;
    let server = Server::read(&mut catalogue).await?;
    if ctx.snapshot.mode == SnapshotMode::InitialOnly {
        return initial_only(ctx, life, catalogue, server.version).await;
    }
    server.verify()?;
    let timeout_ms = match server.wal_sender_timeout_ms {
        0 => SENDER_TIMEOUT_MS,
        timeout_ms => timeout_ms,
    };
    life.in_use_ms_max = timeout_ms + ACTIVE_GRACE_MS;
    let options = &ctx.source.postgres;
    if options.retries_max.is_some() || options.retry_delay_ms.is_some() {
        let retries = options.retries_max.unwrap_or(SLOT_RETRIES);
        life.in_use_ms_max = u64::from(retries) * options.retry_delay_ms.unwrap_or(RETRY_DELAY_MS);
    }
    if ctx.catch_up && life.course.goal.is_none() {
        life.course.goal = Some(stream::goal(&mut catalogue).await?);
    }
    let mut begin = Beginning::read(ctx, catalogue, server).await?;
    if !begin.settle(ctx, life).await? {
        ctx.finish().await?;
        return Ok(SourceEnd::Stopped);
    }
    let Beginning { mut catalogue, server, publications, slot, mut walsender, .. } = begin;
    if let (Some(slot), true) = (&slot, ctx.source.postgres.failover) {
        slot::fail_over(&mut walsender, slot, server.version).await?;
    }
    let confirmed = slot.and_then(|slot| slot.confirmed_flush).unwrap_or(life.course.routed);
    let names = publications.names();
    let course = &mut life.course;
    let stream = stream::start(ctx, course, &mut catalogue, walsender, &names, confirmed, &server);
    let ended = stream.await?.run().await?;
    match ended {
        Ended::CaughtUp => Ok(SourceEnd::CaughtUp),
        Ended::Stopped => {
            if ctx.source.postgres.drop_on_stop {
                slot::drop_on_stop(&mut catalogue, &ctx.source.slot).await?;
            }
            Ok(SourceEnd::Stopped)
        }
    }
}

/// Everything that is known before the stream.
struct Beginning {
    catalogue: Connection,
    walsender: Connection,
    server: Server,
    system: System,
    publications: Publications,
    captured: Captured,
    slot: Option<Slot>,
}

impl Beginning {
    async fn read(ctx: &ReaderContext, mut catalogue: Connection, server: Server) -> Result<Self> {
        let (source, version) = (&ctx.source, server.version);
        let mut walsender = Connection::open(source, Purpose::Walsender, &ctx.name).await?;
        let system = System::identify(&mut walsender).await?;
        let slot = Slot::read(&mut catalogue, version, &source.slot).await?;
        let publications = Publications::read(&mut catalogue, version, &source.publication).await?;
        let via_root = publications.via_root().or(source.postgres.via_root);
        let mut captured = catalogue::captured(&mut catalogue, &source.filter, via_root).await?;
        captured.tables.retain(|table| ctx.captured(&table.full_table_name(&source.database)));
        Ok(Self { catalogue, walsender, server, system, publications, captured, slot })
    }

    /// Brings the run to where it can stream from `course.routed`. False: asked to stop.
    async fn settle(&mut self, ctx: &mut ReaderContext, life: &mut Life) -> Result<bool> {
        if life.settled {
            let (system_id, timeline) = life.identity.clone().unwrap_or_default();
            let (lsn, last_commit_lsn) = (life.course.routed, life.course.last_commit);
            let position = LsnPosition { system_id, timeline, lsn, last_commit_lsn };
            self.resume(ctx, life, &position).await?;
            return Ok(true);
        }
        match ctx.start.clone() {
            Start::Fresh => self.fresh(ctx, life).await,
            Start::Resume(Position::Postgres(position)) => {
                let when_needed = ctx.snapshot.mode == SnapshotMode::WhenNeeded;
                match self.resume(ctx, life, &position).await {
                    Ok(()) => Ok(true),
                    Err(error) if when_needed && needs_snapshot(&error) => {
                        tracing::warn!(
                            "{}; a new snapshot is taken (snapshot.mode = \"when_needed\"): rows \
                             that were deleted in between are not told",
                            error.what
                        );
                        slot::drop_slot(&mut self.catalogue, &ctx.source.slot).await?;
                        self.slot = None;
                        self.fresh(ctx, life).await
                    }
                    Err(error) => Err(error),
                }
            }
            Start::Resume(_) => {
                let what = "the state in this folder is of another kind of source";
                Err(Error::fatal("pg-state-other-source", what)
                    .hint("use another name or state.path, or `penstock offsets delete CONFIG`"))
            }
        }
    }

    /// Goes on at a position, if it belongs here (HAZARDS L10).
    async fn resume(
        &mut self,
        ctx: &mut ReaderContext,
        life: &mut Life,
        position: &LsnPosition,
    ) -> Result<()> {
        let Some(slot) = &self.slot else {
            let what = format!("slot \"{}\" does not exist", ctx.source.slot);
            return Err(Error::fatal("pg-slot-missing", what).hint(
                "it was dropped, and the changes since then with it: `penstock offsets delete \
                 CONFIG` and run again for a new snapshot, or set snapshot.mode = \"when_needed\"",
            ));
        };
        slot.verify(&ctx.source.database)?;
        idle(slot)?;
        let history = match position.timeline == self.system.timeline {
            true => Vec::new(),
            false => slot::history(&mut self.walsender, self.system.timeline).await?,
        };
        let from = slot::prove(position, slot, &self.system, &history)?;
        self.ensure(ctx, true).await?;
        life.course.routed = from;
        life.course.last_commit = position.last_commit_lsn;
        let here = (self.system.id.clone(), self.system.timeline);
        if (&position.system_id, position.timeline, position.lsn) != (&here.0, here.1, from) {
            ctx.router.rebase(self.position(from, position.last_commit_lsn));
        }
        life.identity = Some(here);
        life.settled = true;
        Ok(())
    }

    fn position(&self, lsn: u64, last_commit_lsn: u64) -> Position {
        Position::Postgres(LsnPosition {
            system_id: self.system.id.clone(),
            timeline: self.system.timeline,
            lsn,
            last_commit_lsn,
        })
    }

    async fn ensure(&mut self, ctx: &ReaderContext, slot_exists: bool) -> Result<()> {
        let autocreate = ctx.source.postgres.autocreate;
        let publications = std::mem::take(&mut self.publications);
        let (tables, via_root) = (&self.captured.tables, self.captured.via_root);
        self.publications = publication::ensure(
            &mut self.catalogue,
            self.server.version,
            publications,
            tables,
            via_root,
            slot_exists,
            autocreate,
        )
        .await?;
        for table in self.publications.breaking(tables) {
            tracing::warn!(
                "table {} has no replica identity and is in a publication that tells updates: the \
                 server refuses UPDATE and DELETE on it; `penstock check` says what to do",
                table.full_name()
            );
        }
        Ok(())
    }

    /// Begins without a checkpoint. False: asked to stop.
    async fn fresh(&mut self, ctx: &mut ReaderContext, life: &mut Life) -> Result<bool> {
        if self.captured.tables.is_empty() {
            return Err(Error::fatal("pg-no-tables", "no table of the database is captured")
                .hint("correct source.tables: anchored regular expressions over schema.table"));
        }
        let rows = matches!(ctx.snapshot.mode, SnapshotMode::Initial | SnapshotMode::WhenNeeded);
        match &self.slot {
            None => self.fresh_slot(ctx, life, rows).await,
            Some(slot)
                if slot.lost().is_some() && ctx.snapshot.mode == SnapshotMode::WhenNeeded =>
            {
                slot::drop_slot(&mut self.catalogue, &ctx.source.slot).await?;
                self.slot = None;
                self.fresh_slot(ctx, life, rows).await
            }
            Some(slot) => {
                slot.verify(&ctx.source.database)?;
                idle(slot)?;
                let Some(confirmed) = slot.confirmed_flush else {
                    let what = format!("slot \"{}\" is still being made", slot.name);
                    return Err(Error::transient("pg-slot-in-use", what));
                };
                self.adopt(ctx, life, rows, confirmed).await
            }
        }
    }

    /// Publications, then the slot, then the rows under the snapshot that it exports.
    async fn fresh_slot(
        &mut self,
        ctx: &mut ReaderContext,
        life: &mut Life,
        rows: bool,
    ) -> Result<bool> {
        self.ensure(ctx, false).await?;
        let (source, version) = (ctx.source.clone(), self.server.version);
        let exporter = Connection::open(&source, Purpose::Walsender, &ctx.name).await?;
        let failover = source.postgres.failover;
        let made =
            slot::make(exporter, &mut self.catalogue, version, &source.slot, failover).await?;
        self.slot = Slot::read(&mut self.catalogue, version, &source.slot).await?;
        self.begin_at(ctx, life, made.consistent);
        if rows {
            let mut view = View::open(ctx, Some(&made.snapshot)).await?;
            made.walsender.close().await;
            view.lock(&mut self.catalogue, &self.captured.tables).await?;
            if !self.take(ctx, life, view, made.consistent).await? {
                return Ok(false);
            }
        }
        self.snapshot_done(ctx, life).await?;
        Ok(true)
    }

    /// Takes over an idle slot: the rows under a view that sees everything which the slot may not
    /// give (HAZARDS L2), then its stream without what that view has seen.
    async fn adopt(
        &mut self,
        ctx: &mut ReaderContext,
        life: &mut Life,
        rows: bool,
        confirmed: u64,
    ) -> Result<bool> {
        self.ensure(ctx, true).await?;
        tracing::info!("taking over slot \"{}\"", ctx.source.slot);
        self.begin_at(ctx, life, confirmed);
        if !rows {
            self.snapshot_done(ctx, life).await?;
            return Ok(true);
        }
        slot::barrier(&mut self.catalogue).await?;
        let mut view = View::open(ctx, None).await?;
        view.lock(&mut self.catalogue, &self.captured.tables).await?;
        let until = lsn::goal(catalogue::insert_lsn(&mut self.catalogue).await?);
        let seen = Seen { view: view.sees.clone(), until };
        if !self.take(ctx, life, view, until).await? {
            return Ok(false);
        }
        life.course.seen = Some(seen);
        life.settled = true;
        Ok(true)
    }

    /// The position of a new pipeline.
    fn begin_at(&self, ctx: &mut ReaderContext, life: &mut Life, lsn: u64) {
        life.course.routed = lsn;
        life.identity = Some((self.system.id.clone(), self.system.timeline));
        ctx.router.rebase(self.position(lsn, 0));
    }

    async fn take(
        &mut self,
        ctx: &mut ReaderContext,
        life: &mut Life,
        view: View,
        lsn: u64,
    ) -> Result<bool> {
        let version = self.server.version;
        let subject = Subject {
            tables: &self.captured.tables,
            publications: &self.publications,
            lsn,
            version,
        };
        readers::take(ctx, &mut life.course, &mut self.catalogue, view, &subject).await
    }

    async fn snapshot_done(&self, ctx: &mut ReaderContext, life: &mut Life) -> Result<()> {
        life.course.snapshot_open = false;
        life.settled = true;
        let delta = PositionDelta::Lsn { lsn: life.course.routed, commit_lsn: 0 };
        ctx.router.snapshot_done(delta).map_err(router_error)?;
        ctx.flush().await
    }
}

/// `initial_only`: the rows alone; neither slot nor publication.
async fn initial_only(
    ctx: &mut ReaderContext,
    life: &mut Life,
    mut catalogue: Connection,
    version: u32,
) -> Result<SourceEnd> {
    if !matches!(ctx.start, Start::Fresh) {
        ctx.finish().await?;
        return Ok(SourceEnd::SnapshotTaken);
    }
    let mut walsender = Connection::open(&ctx.source, Purpose::Walsender, &ctx.name).await?;
    let system = System::identify(&mut walsender).await?;
    let captured = catalogue::captured(&mut catalogue, &ctx.source.filter, None).await?;
    let lsn = catalogue::insert_lsn(&mut catalogue).await?;
    let (system_id, timeline) = (system.id, system.timeline);
    let position = LsnPosition { system_id, timeline, lsn, last_commit_lsn: 0 };
    life.course.routed = lsn;
    ctx.router.rebase(Position::Postgres(position));
    let mut view = View::open(ctx, None).await?;
    view.lock(&mut catalogue, &captured.tables).await?;
    let publications = Publications::default();
    let tables = &captured.tables;
    let subject = Subject { tables, publications: &publications, lsn, version };
    let whole = readers::take(ctx, &mut life.course, &mut catalogue, view, &subject).await?;
    if whole {
        let delta = PositionDelta::Lsn { lsn, commit_lsn: 0 };
        ctx.router.snapshot_done(delta).map_err(router_error)?;
    }
    ctx.finish().await?;
    Ok(if whole { SourceEnd::SnapshotTaken } else { SourceEnd::Stopped })
}

/// A slot that somebody reads from is waited for.
fn idle(slot: &Slot) -> Result<()> {
    match slot.active_pid {
        Some(pid) => {
            let what = format!("slot \"{}\" is in use by process {pid}", slot.name);
            Err(Error::transient("pg-slot-in-use", what))
        }
        None => Ok(()),
    }
}

/// Errors after which `when_needed` takes a new snapshot.
fn needs_snapshot(error: &Error) -> bool {
    const CODES: [&str; 7] = [
        "pg-slot-missing",
        "pg-slot-lost",
        "pg-slot-ahead",
        "pg-other-server",
        "pg-timeline",
        "pg-log-behind",
        "pg-publication-lost",
    ];
    CODES.contains(&error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        // Goal: 1, 2, 4 … 60 s, for ever. Method: the first tries and a huge number.
        let pauses: Vec<u64> = (1..=8).map(pause_s).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((pause_s(0), pause_s(u32::MAX)), (1, 60));
    }

    #[test]
    fn h07_an_active_slot_is_borne_for_a_while() {
        // Goal: Transient until the limit has passed, then Fatal; another error starts anew.
        let in_use = || Error::transient("pg-slot-in-use", "x");
        let mut life = Life { in_use_ms_max: 70_000, ..Life::default() };
        let class = |result: Result<Error>| result.map_or_else(|e| e.class, |e| e.class);
        assert_eq!(class(bear(&mut life, in_use(), 5)), Class::Transient);
        assert_eq!(class(bear(&mut life, in_use(), 70_005)), Class::Transient);
        assert_eq!(class(bear(&mut life, in_use(), 70_006)), Class::Fatal);
        assert_eq!(
            class(bear(&mut life, Error::transient("pg-server", "x"), 70_007)),
            Class::Transient
        );
        assert_eq!(class(bear(&mut life, in_use(), 80_000)), Class::Transient);
    }
}
