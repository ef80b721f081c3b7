//! MySQL and MariaDB as a source.
//!
//! Enters: a `ReaderContext`. Leaves: frames, groups and positions in its router. Keeps: whole
//! groups only move the position; a lost connection is retried for ever (1, 2, 4 … 60 s, a line in
//! the log each) and goes on at the end of the last routed group; what a retry cannot mend is
//! explained and ends the pipeline.
//!
//! | file | does |
//! |---|---|
//! | `connection`, `auth`, `errors` | sessions, logins, what refusals mean |
//! | `chunks` | the socket into segments, framed |
//! | `catalogue`, `schema` | tables as the server and the log describe them |
//! | `history`, `changes`, `shapes` | tables as the log's statements change them, and word of it |
//! | `place`, `offsets` | positions, their proof, Debezium's offsets |
//! | `snapshot`, `preamble` | the first rows, and what the schema change topic tells before |
//! | `stream`, `events`, `groups` | the dump, its events and groups |
//! | `payload`, `inflate` | compressed transactions (MySQL), compressed events (MariaDB) |
//! | `proof` | that a catalogue read now holds at an earlier place of the log |
//! | `check` | `penstock check` |

pub mod auth;
pub mod catalogue;
mod changes;
pub mod check;
mod chunks;
pub mod connection;
pub mod errors;
pub mod events;
mod groups;
pub mod heartbeat;
pub mod history;
pub mod inflate;
pub mod offsets;
mod pause;
mod payload;
pub mod place;
mod preamble;
mod proof;
mod schema;
mod shapes;
mod snapshot;
mod stream;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use penstock_protocol::schema::SourceKind;

use self::catalogue::Server;
use self::connection::Connection;
use self::history::TableHistory;
use self::place::Place;
use self::schema::Schemas;
use self::snapshot::RowsEnd;
use super::context::router_error;
use super::{ReaderContext, SourceEnd, Start};
use crate::config::SnapshotMode;
use crate::error::{Class, Error, Result};

/// Between two heartbeats of an idle dump.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Runs the reader to its end.
///
/// # Errors
/// Fatal, Definite and Usage errors; Transient ones are retried here, but for a first snapshot that
/// was cut, which only a new start of the pipeline mends.
pub async fn run(context: ReaderContext) -> Result<SourceEnd> {
    let mut reader = Reader {
        schemas: Schemas::new(context.source.kind),
        server_id: context.source.server_id.unwrap_or_else(|| default_server_id(&context.name)),
        ctx: context,
        place: None,
        goal: None,
        history: None,
        alive: false,
        streamed: false,
        clash: stream::Clash::default(),
        warned: false,
        damage: None,
    };
    let end = reader.run().await?;
    reader.ctx.finish().await?;
    Ok(end)
}

/// The reader of one pipeline.
struct Reader {
    ctx: ReaderContext,
    /// Our id as a replica.
    server_id: u32,
    /// Everything before is routed; none: not begun.
    place: Option<Place>,
    /// `--exit-when-caught-up`: where to end.
    goal: Option<Place>,
    schemas: Schemas,
    /// What every table looks like at our place; `None`: not established yet.
    history: Option<TableHistory>,
    /// The last session came as far as to read something.
    alive: bool,
    /// Any session came that far.
    streamed: bool,
    clash: stream::Clash,
    /// Settings that lose something were named in the log.
    warned: bool,
    /// Where and how the log could not be read, the last time that it could not.
    damage: Option<String>,
}

impl Reader {
    async fn run(&mut self) -> Result<SourceEnd> {
        let mut tries = 0;
        loop {
            self.alive = false;
            let e = match self.session().await {
                Ok(end) => return Ok(end),
                // Rows of two views do not fit together: the pipeline starts again as a whole.
                Err(e) if e.code == "my-snapshot-cut" => return Err(e),
                Err(e) if e.class == Class::Transient => {
                    let e = self.clash.judge(e)?;
                    self.judge_damage(e)?
                }
                Err(e) if self.must_begin_anew(&e) => {
                    self.ctx.router.interrupted().map_err(router_error)?;
                    continue;
                }
                Err(e) => return Err(self.located(e)),
            };
            self.ctx.router.interrupted().map_err(router_error)?;
            self.ctx.heartbeat.rest();
            if self.alive {
                tries = 0;
            }
            let wait = pause::backoff(tries);
            tries += 1;
            tracing::warn!(
                pipeline = %self.ctx.name,
                "{} ({}); trying again in {} s", e.what, e.code, wait.as_secs()
            );
            // What was routed goes on to the sinks meanwhile.
            self.ctx.flush().await?;
            if !pause::rest(&mut self.ctx.stop, wait).await {
                return Ok(SourceEnd::Stopped);
            }
        }
    }

    /// Bytes that cannot be read twice at one place are the log's, not the wire's.
    fn judge_damage(&mut self, e: Error) -> Result<Error> {
        if !matches!(e.code, "my-checksum" | "my-protocol") || self.place.is_none() {
            return Ok(e);
        }
        let e = self.located(e);
        let damage = format!("{} {:?} {}", e.code, e.at, e.what);
        if self.damage.replace(damage.clone()) == Some(damage) {
            return Err(Error { class: Class::Fatal, ..e });
        }
        Ok(e)
    }

    /// True, and the checkpoint forgotten, if the server refused to dump from it before anything
    /// was read and `when_needed` allows a new snapshot: MariaDB says only so that it has purged
    /// what comes next.
    fn must_begin_anew(&mut self, e: &Error) -> bool {
        let resumed = matches!(self.ctx.start, Start::Resume(_));
        let allowed = self.ctx.snapshot.mode == SnapshotMode::WhenNeeded;
        let anew = resumed && allowed && !self.streamed && place::needs_snapshot(e);
        if anew {
            self.say_gap(e);
            self.ctx.start = Start::Fresh;
            self.place = None;
            self.history = None;
        }
        anew
    }

    fn say_gap(&self, e: &Error) {
        tracing::warn!(
            pipeline = %self.ctx.name,
            "{}: taking a new snapshot; rows deleted in the gap stay in the sinks",
            e.what
        );
    }

    fn located(&self, e: Error) -> Error {
        match (&e.at, &self.place) {
            (None, Some(place)) => {
                let at = place.to_string();
                e.at(at)
            }
            _ => e,
        }
    }

    /// One session: the beginning, if there was none yet, then the dump.
    async fn session(&mut self) -> Result<SourceEnd> {
        let Some(opened) = pause::until(&mut self.ctx.stop, open(&self.ctx.source)).await else {
            return Ok(SourceEnd::Stopped);
        };
        let (mut connection, server) = opened?;
        self.judge_settings(&server)?;
        self.look_for_twin(&mut connection, &server).await?;
        if self.ctx.catch_up && self.goal.is_none() {
            self.goal = Some(place::log_end(&mut connection, &server).await?);
        }
        let place = match self.place.take() {
            Some(place) => {
                self.place = Some(place.clone());
                Box::pin(self.verified(&mut connection, &server, &place)).await?
            }
            None => match Box::pin(self.begin(connection, &server)).await? {
                Begun::Ended(end) => return Ok(end),
                Begun::At(place) => {
                    self.place = Some(place.clone());
                    // The snapshot used its session up.
                    let Some(opened) =
                        pause::until(&mut self.ctx.stop, open(&self.ctx.source)).await
                    else {
                        return Ok(SourceEnd::Stopped);
                    };
                    connection = opened?.0;
                    place
                }
            },
        };
        self.place = Some(place);
        if self.caught_up() {
            self.ctx.flush().await?;
            return Ok(SourceEnd::CaughtUp);
        }
        Box::pin(self.stream(connection, server)).await
    }

    /// Proves that the server can go on from `place`; a new identity goes into the next checkpoint.
    async fn verified(
        &mut self,
        connection: &mut Connection,
        server: &Server,
        place: &Place,
    ) -> Result<Place> {
        let from = place::verify(connection, server, place).await?;
        if from.uuid != place.uuid {
            tracing::info!(pipeline = %self.ctx.name, "the source is server {} now", from.uuid);
            self.ctx.router.rebase(from.to_position());
        }
        Ok(from)
    }

    fn caught_up(&self) -> bool {
        match (&self.goal, &self.place) {
            (Some(goal), Some(place)) => place.reached(goal),
            _ => false,
        }
    }

    /// Where the stream begins: the checkpoint, or what `snapshot.mode` says.
    async fn begin(&mut self, mut connection: Connection, server: &Server) -> Result<Begun> {
        if let Start::Resume(position) = self.ctx.start.clone() {
            let judged = match Place::from_position(&position, server.kind) {
                Ok(place) => self.verified(&mut connection, server, &place).await,
                Err(e) => Err(e),
            };
            match judged {
                Ok(place) => return Ok(Begun::At(place)),
                Err(e)
                    if place::needs_snapshot(&e)
                        && self.ctx.snapshot.mode == SnapshotMode::WhenNeeded =>
                {
                    self.say_gap(&e);
                }
                Err(e) => return Err(e),
            }
        }
        if self.ctx.snapshot.mode == SnapshotMode::Recovery {
            return Err(recovery_without_offset());
        }
        if !self.no_prepared(&mut connection).await? {
            return Ok(Begun::Ended(SourceEnd::Stopped));
        }
        let mode = self.ctx.snapshot.mode;
        if mode == SnapshotMode::Never {
            let place = place::log_end(&mut connection, server).await?;
            self.ctx.router.rebase(place.to_position());
            self.ctx.router.snapshot_done(snapshot::done(&place)).map_err(router_error)?;
            return Ok(Begun::At(place));
        }
        let view = Box::pin(self.open_view(&mut connection, server)).await?;
        if view.tables.is_empty() {
            tracing::warn!(pipeline = %self.ctx.name, "{}", catalogue::none_captured().what);
        }
        self.ctx.router.rebase(view.place.to_position());
        if mode == SnapshotMode::SchemaOnly {
            connection.query("COMMIT").await?;
        } else {
            if self.ctx.source.include_schema_changes {
                Box::pin(self.preamble(&mut connection, server, &view)).await?;
            }
            let rows = snapshot::route_rows(&mut self.ctx, &mut self.schemas, connection, &view);
            if Box::pin(rows).await? == RowsEnd::Stopped {
                return Ok(Begun::Ended(SourceEnd::Stopped));
            }
        }
        self.ctx.router.snapshot_done(snapshot::done(&view.place)).map_err(router_error)?;
        self.ctx.flush().await?;
        if mode == SnapshotMode::InitialOnly {
            return Ok(Begun::Ended(SourceEnd::SnapshotTaken));
        }
        Ok(Begun::At(view.place))
    }

    /// Waits until no XA transaction is prepared: its rows would lie before our position, and its
    /// commit behind it (HAZARDS L5). False: asked to stop.
    async fn no_prepared(&mut self, connection: &mut Connection) -> Result<bool> {
        let mut tries = 0;
        loop {
            let answer = connection.attempt("XA RECOVER").await?;
            // Without the privilege to look: a commit of an unknown one is an error later.
            let Ok(rows) = answer else { return Ok(true) };
            if rows.0.is_empty() {
                return Ok(true);
            }
            let names = rows.0.iter().map(|row| connection::cell(row, 3));
            tracing::warn!(
                pipeline = %self.ctx.name,
                "waiting for the end of prepared XA transactions: {}",
                names.collect::<Vec<_>>().join(", ")
            );
            if !pause::rest(&mut self.ctx.stop, pause::backoff(tries)).await {
                return Ok(false);
            }
            tries += 1;
        }
    }

    /// Settings without which nothing can be captured are errors; those that lose something are
    /// named once.
    fn judge_settings(&mut self, server: &Server) -> Result<()> {
        judge_settings(&self.ctx.source, server)?;
        if !std::mem::replace(&mut self.warned, true) {
            for finding in check::losses(server) {
                tracing::warn!(pipeline = %self.ctx.name, "{}", finding.what);
            }
        }
        Ok(())
    }
}

enum Begun {
    Ended(SourceEnd),
    At(Place),
}

/// A future on the heap: what is awaited rarely does not weigh on the state of what waits often.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Opens a session and reads what the server says of itself.
fn open(source: &crate::config::Source) -> Boxed<'_, Result<(Connection, Server)>> {
    Box::pin(async move {
        let mut connection = Connection::open(source).await?;
        let server = Server::read(&mut connection).await?;
        Ok((connection, server))
    })
}

/// Fatal if the server is of another kind than configured, or logs no rows.
fn judge_settings(source: &crate::config::Source, server: &Server) -> Result<()> {
    if server.kind != source.kind {
        let word = |kind| if kind == SourceKind::MariaDb { "mariadb" } else { "mysql" };
        let what = format!("the server is {} {}", word(server.kind), server.version);
        return Err(Error::fatal("my-other-kind", what)
            .hint(format!("set source.kind = \"{}\"", word(server.kind))));
    }
    if !server.is_on("log_bin") {
        return Err(Error::fatal("my-log-off", "the server writes no binary log")
            .hint("set log_bin in the server's configuration and restart it"));
    }
    if server.variable("binlog_format").eq_ignore_ascii_case("STATEMENT") {
        return Err(Error::fatal("my-binlog-format", "the log holds statements, not rows")
            .hint("SET GLOBAL binlog_format = ROW, and reconnect the applications"));
    }
    Ok(())
}

fn recovery_without_offset() -> Error {
    let what = "snapshot.mode = \"recovery\" makes the schema history anew, and there is no offset";
    Error::usage("my-recovery-without-offset", what)
        .hint("remove `mode` from [snapshot]: the first run takes a snapshot")
}

/// A replica id of our own: from a hash of host and name (HAZARDS H8), far from those that people
/// give by hand.
fn default_server_id(name: &str) -> u32 {
    let hash = crc32c::crc32c(identity(name).as_bytes());
    0x4000_0000 | (hash & 0x3fff_ffff)
}

/// Who we are to the server: the same after a restart, another on another host.
fn identity(name: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let hash = crc32c::crc32c(format!("{}/{name}", host.trim()).as_bytes());
    format!("penstock-{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h08_the_default_server_id_is_stable_and_out_of_the_way() {
        // Goal: same name, same id; other name, other id; never a small number. Method: two names.
        assert_eq!(default_server_id("shop"), default_server_id("shop"));
        assert_ne!(default_server_id("shop"), default_server_id("shop2"));
        assert!(default_server_id("shop") >= 1 << 30);
    }
}
