//! The dump: from a proved place, chunk by chunk, to a stop, the goal, or a lost connection.
//!
//! Enters: a session and a place. Leaves: events for `events`, a flush a chunk. Keeps: the server
//! beats every five seconds, three beats missed end the connection; a full pipeline stops reading
//! and never loses the connection by that (HAZARDS H2); two of us are noticed (H8).

use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use penstock_protocol::mysql::command::{DumpMode, binlog_dump, binlog_dump_gtid};
use penstock_protocol::mysql::gtid::GtidList;

use super::catalogue::Server;
use super::chunks::{Chunk, Chunks};
use super::connection::{Connection, cell, literal};
use super::events::{Log, Step};
use super::place::{Gtids, Place};
use super::{HEARTBEAT, Reader, identity, pause};
use crate::error::{Class, Error, Result};
use crate::runtime::sleep;
use crate::source::SourceEnd;

/// A dead session of ours is found by the server within two beats; then an id that is still in use
/// is somebody else's (HAZARDS H8).
const CLASH_WAIT: Duration = Duration::from_secs(12);
/// A dump that lived so long was not ended by a twin at its start.
const CLASH_APART: Duration = Duration::from_secs(60);

/// What speaks for another replica with our id.
#[derive(Debug, Default)]
pub struct Clash {
    since: Option<Instant>,
    /// Dumps in a row that another one ended soon.
    ended: u32,
    started: Option<Instant>,
}

impl Clash {
    /// A Transient error is passed on, or becomes Fatal if it is a clash beyond doubt.
    pub fn judge(&mut self, e: Error) -> Result<Error> {
        if e.code != "my-server-id-clash" {
            return Ok(e);
        }
        let dumping = self.started.take();
        if let Some(started) = dumping {
            self.ended = if started.elapsed() < CLASH_APART { self.ended + 1 } else { 1 };
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.ended >= 2 || dumping.is_none() && since.elapsed() >= CLASH_WAIT {
            return Err(Error { class: Class::Fatal, ..e });
        }
        Ok(e)
    }

    /// The dump runs.
    fn running(&mut self) {
        self.since = None;
        self.started = Some(Instant::now());
    }
}

/// Sets what the dump session must have: checksums as they are, heartbeats, patience, and (MariaDB)
/// what we understand and where we stand.
pub async fn prepare_dump(
    connection: &mut Connection,
    server: &Server,
    place: &Place,
) -> Result<()> {
    let beat_ns = HEARTBEAT.as_nanos();
    let mut sets = vec![
        "net_write_timeout = 86400".to_owned(),
        "@master_binlog_checksum = @@global.binlog_checksum".to_owned(),
        format!("@master_heartbeat_period = {beat_ns}"),
    ];
    if server.is_mariadb() {
        sets.push("@mariadb_slave_capability = 4".into());
        if let Some(state) = connect_state(place) {
            sets.push(format!("@slave_connect_state = {}", literal(&state.to_string())));
            sets.push("@slave_gtid_strict_mode = 1".into());
            sets.push("@slave_gtid_ignore_duplicates = 0".into());
        }
    } else {
        sets.push("@source_binlog_checksum = @@global.binlog_checksum".into());
        sets.push(format!("@source_heartbeat_period = {beat_ns}"));
    }
    connection.query(&format!("SET {}", sets.join(", "))).await?;
    Ok(())
}

/// MariaDB's GTID position, if it can stand for file and offset: an empty one would mean "from the
/// oldest file".
fn connect_state(place: &Place) -> Option<&GtidList> {
    match &place.gtids {
        Gtids::MariaDb(list) if !list.is_empty() => Some(list),
        _ => None,
    }
}

/// Sends the dump command; its answer is the stream.
pub async fn start_dump(
    connection: &mut Connection,
    server: &Server,
    place: &Place,
    server_id: u32,
    mode: DumpMode,
) -> Result<()> {
    if let Gtids::MySql(set) = &place.gtids
        && server.has_gtids()
    {
        return connection.start(&binlog_dump_gtid(server_id, set, mode)).await;
    }
    if connect_state(place).is_some() {
        return connection.start(&binlog_dump(server_id, "", 4, mode)).await;
    }
    let pos = u32::try_from(place.pos).map_err(|_| {
        Error::fatal("my-position-4g", "a position beyond 4 GiB cannot be asked for")
            .at(place.to_string())
            .hint("switch GTIDs on, or take a new snapshot; FLUSH BINARY LOGS keeps files small")
    })?;
    connection.start(&binlog_dump(server_id, &place.file, pos.max(4), mode)).await
}

impl Reader {
    /// Streams until a stop, the goal or an error.
    pub(super) async fn stream(
        &mut self,
        mut connection: Connection,
        server: Server,
    ) -> Result<SourceEnd> {
        let place = self.place.clone().expect("invariant: session() has set the place");
        Box::pin(self.ready_history(&server, &place)).await?;
        prepare_dump(&mut connection, &server, &place).await?;
        connection.register(self.server_id, &identity(&self.ctx.name)).await?;
        let mode = match self.ctx.source.include_query && server.is_mariadb() {
            true => DumpMode::FollowAnnotated,
            false => DumpMode::Follow,
        };
        start_dump(&mut connection, &server, &place, self.server_id, mode).await?;
        tracing::info!(pipeline = %self.ctx.name, "streaming from {place}");
        self.clash.running();
        self.ctx.heartbeat.start(&self.ctx.source, &self.ctx.name);
        let endpoint = connection.endpoint.clone();
        let (wire, rest, seq, _) = connection.into_parts();
        let pool = self.ctx.pool.clone();
        let mut chunks = Chunks::new(wire, rest, seq, pool, endpoint, Some(HEARTBEAT * 3));
        let mut log = Log::new(server, &place);
        let mut spans = Vec::new();
        loop {
            let Some(chunk) = self.next_chunk(&mut chunks, &mut spans).await? else {
                // An open group is sent again by the next run.
                self.ctx.router.interrupted().map_err(crate::source::context::router_error)?;
                self.ctx.flush().await?;
                return Ok(SourceEnd::Stopped);
            };
            match chunk {
                Chunk::Packets(segment) => {
                    for span in &spans {
                        if self.event(&mut log, &segment, span.clone()).await? == Step::End {
                            let what = "the server ended the dump";
                            return Err(Error::transient("my-dump-ended", what));
                        }
                    }
                }
                Chunk::Piece(piece) => Box::pin(self.piece(&mut log, &piece)).await?,
            }
            (self.alive, self.streamed) = (true, true);
            self.ctx.flush().await?;
            if self.caught_up() {
                return Ok(SourceEnd::CaughtUp);
            }
        }
    }

    /// The next chunk; `None`: asked to stop. Heartbeats are told meanwhile.
    async fn next_chunk(
        &mut self,
        chunks: &mut Chunks,
        spans: &mut Vec<Range<usize>>,
    ) -> Result<Option<Chunk>> {
        let mut reading = pin!(chunks.next_chunk(spans));
        loop {
            let due = self.ctx.heartbeat.due_in();
            let beat = pin!(async {
                match due {
                    Some(due) => sleep(due).await,
                    None => std::future::pending().await,
                }
            });
            match pause::until(&mut self.ctx.stop, select(reading.as_mut(), beat)).await {
                None => return Ok(None),
                Some(Either::Left((chunk, _))) => return chunk.map(Some),
                Some(Either::Right(_)) => self.ctx.flush().await?,
            }
        }
    }

    /// Refuses to share our id with another replica, or with the server itself (HAZARDS H8).
    pub(super) async fn look_for_twin(
        &mut self,
        connection: &mut Connection,
        server: &Server,
    ) -> Result<()> {
        if server.variable("server_id") == self.server_id.to_string() {
            let what = format!("our server_id {} is the server's own", self.server_id);
            return Err(Error::fatal("my-server-id-clash", what)
                .hint("set source.server_id to a number that no server has"));
        }
        let new_name = !server.is_mariadb() && server.numbers >= (8, 0, 22);
        let sql = if new_name { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
        // Without the privilege to look, a twin is noticed when it ends our dump.
        let Ok(rows) = connection.attempt(sql).await? else { return Ok(()) };
        let (ours, id) = (identity(&self.ctx.name), self.server_id.to_string());
        let twin = rows.0.iter().find(|row| cell(row, 0) == id && cell(row, 1) != ours);
        match twin {
            None => Ok(()),
            Some(twin) => {
                let what = format!(
                    "server_id {id} is in use by another replica ({})",
                    if cell(twin, 1).is_empty() { "no name given" } else { cell(twin, 1) }
                );
                Err(Error::transient("my-server-id-clash", what)
                    .hint("set source.server_id to a number that no replica and no server has"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clash() -> Error {
        Error::transient("my-server-id-clash", "twin")
    }

    #[test]
    fn h08_two_of_us_end_in_a_fatal_error() {
        // Goal: two dumps that were ended at once are a twin; one, or another error, is not.
        // Method: the judge alone.
        let mut judge = Clash::default();
        assert!(judge.judge(Error::transient("net-unreachable", "x")).is_ok());
        judge.running();
        assert!(judge.judge(clash()).is_ok());
        judge.running();
        assert_eq!(judge.judge(clash()).unwrap_err().class, Class::Fatal);
    }

    #[test]
    fn h08_our_own_dead_session_is_waited_for() {
        // Goal: a listed id is Transient at first, Fatal after two beats. Method: an old start.
        let mut judge = Clash::default();
        assert!(judge.judge(clash()).is_ok());
        judge.since = Instant::now().checked_sub(CLASH_WAIT);
        assert!(judge.judge(clash()).is_err());
    }
}
