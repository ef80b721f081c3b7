//! The replication slot: what it is, making it, and whether a position fits it.
//!
//! Enters: the catalogue, a walsender session, a checkpoint's position. Leaves: a usable slot, or
//! the reason why there is none. Keeps HAZARDS L10: a position is taken up only if the server is
//! the one it came from, still has everything behind it and never had a different past; H7: an
//! active slot is waited for, a lost one is explained.

use penstock_protocol::position::LsnPosition;
use penstock_protocol::postgres::replication::{lsn_text, parse_lsn};

use super::catalogue::unexpected;
use super::connection::{Connection, Row};
use super::sql::{ident, literal};
use crate::error::{Error, Result};
use crate::runtime::sleep;

/// A slot as `pg_replication_slots` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// Output plugin; empty for a physical slot.
    pub plugin: String,
    /// Database it was made in; empty for a physical slot.
    pub database: String,
    /// Process that uses it.
    pub active_pid: Option<u32>,
    /// Everything before is confirmed: the stream starts here or later.
    pub confirmed_flush: Option<u64>,
    /// Oldest WAL that it needs.
    pub restart: Option<u64>,
    /// `reserved`, `extended`, `unreserved` or `lost`; empty: nothing reserved yet.
    pub wal_status: String,
    /// Bytes that may still be written before it is lost; none: no limit.
    pub safe_wal_bytes: Option<i64>,
    /// Decodes two-phase transactions.
    pub two_phase: bool,
    /// Vanishes with its session.
    pub temporary: bool,
    /// Why the server gave it up (17 and later; 16: a conflict).
    pub invalidated: Option<String>,
    /// It is synchronised to standbys (17 and later).
    pub failover: bool,
}

impl Slot {
    /// Reads the slot of this name; `None`: there is none.
    pub async fn read(
        catalogue: &mut Connection,
        version: u32,
        name: &str,
    ) -> Result<Option<Self>> {
        let two_phase = if version >= 140_000 { "two_phase" } else { "false" };
        let invalidated = match version {
            170_000.. => "invalidation_reason",
            160_000.. => "CASE WHEN conflicting THEN 'conflict' END",
            _ => "NULL",
        };
        let failover = if version >= FAILOVER_VERSION_MIN { "failover" } else { "false" };
        let sql = format!(
            "SELECT plugin, database, active_pid, confirmed_flush_lsn, restart_lsn, wal_status, \
             safe_wal_size, {two_phase}, temporary, {invalidated}, {failover} \
             FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
            literal(name)
        );
        let rows = catalogue.query("reading the slot", &sql).await?;
        Ok(rows.first().map(|row| Self {
            name: name.to_owned(),
            plugin: row.text(0).to_owned(),
            database: row.text(1).to_owned(),
            active_pid: row.number(2),
            confirmed_flush: row.get(3).and_then(parse_lsn),
            restart: row.get(4).and_then(parse_lsn),
            wal_status: row.text(5).to_owned(),
            safe_wal_bytes: row.number(6),
            two_phase: row.is_true(7),
            temporary: row.is_true(8),
            invalidated: row.get(9).map(str::to_owned),
            failover: row.is_true(10),
        }))
    }

    /// Refuses what can never serve this pipeline. A slot that is merely active is not refused.
    pub fn verify(&self, database: &str) -> Result<()> {
        let name = &self.name;
        let other = |what: String| {
            Err(Error::fatal("pg-slot-foreign", what)
                .hint("choose another name in source.slot: this slot belongs to something else"))
        };
        if self.plugin.is_empty() {
            return other(format!("slot \"{name}\" is a physical slot"));
        }
        if self.plugin != "pgoutput" {
            return other(format!("slot \"{name}\" uses plugin {}, not pgoutput", self.plugin));
        }
        if self.database != database {
            return other(format!("slot \"{name}\" belongs to database \"{}\"", self.database));
        }
        if self.two_phase {
            return other(format!(
                "slot \"{name}\" decodes two-phase transactions: it tells them at PREPARE, before \
                 they are committed"
            ));
        }
        if self.temporary {
            return other(format!("slot \"{name}\" is temporary: it ends with its session"));
        }
        if let Some(reason) = self.lost() {
            return Err(Error::fatal("pg-slot-lost", format!("slot \"{name}\" is lost: {reason}"))
                .hint(
                    "what was written since its last confirmed position may be gone: drop the slot \
                     (`penstock offsets delete --drop-slot CONFIG`) and run again for a new \
                     snapshot, or set snapshot.mode = \"when_needed\"; raise \
                     max_slot_wal_keep_size to keep more WAL",
                ));
        }
        Ok(())
    }

    /// Why the slot cannot be streamed from any more, if so.
    pub fn lost(&self) -> Option<&str> {
        match self.invalidated.as_deref() {
            Some("wal_removed") => Some("its WAL was removed (max_slot_wal_keep_size)"),
            Some("rows_removed") => {
                Some("rows of the catalogue that it needed were removed (a standby's conflict)")
            }
            Some("wal_level_insufficient") => Some("wal_level was lowered below logical"),
            Some("idle_timeout") => {
                Some("nobody read from it for longer than idle_replication_slot_timeout")
            }
            Some(reason) => Some(reason),
            None if self.wal_status == "lost" => Some("its WAL was removed"),
            None => None,
        }
    }
}

/// Oldest server whose slots are synchronised to standbys.
const FAILOVER_VERSION_MIN: u32 = 170_000;

/// Makes an existing slot one that is synchronised to standbys, where it is not and can be.
pub async fn fail_over(walsender: &mut Connection, slot: &Slot, version: u32) -> Result<()> {
    if slot.failover || version < FAILOVER_VERSION_MIN {
        return Ok(());
    }
    let sql = format!("ALTER_REPLICATION_SLOT {} (FAILOVER true)", ident(&slot.name));
    walsender.query("setting the slot's failover", &sql).await?;
    tracing::info!("slot \"{}\" is synchronised to standbys from now on", slot.name);
    Ok(())
}

/// Who the server is (`IDENTIFY_SYSTEM`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// `systemid`.
    pub id: String,
    /// Timeline.
    pub timeline: u32,
    /// End of the flushed WAL.
    pub flushed: u64,
}

impl System {
    /// Asks a walsender session.
    pub async fn identify(walsender: &mut Connection) -> Result<Self> {
        let rows = walsender.query("identifying the server", "IDENTIFY_SYSTEM").await?;
        let read = |row: &Row| {
            Some(Self {
                id: row.get(0)?.to_owned(),
                timeline: row.number(1)?,
                flushed: parse_lsn(row.text(2))?,
            })
        };
        rows.first().and_then(read).ok_or_else(|| unexpected("identity"))
    }
}

/// Where older timelines were left: (timeline, switch point), from `TIMELINE_HISTORY`.
pub async fn history(walsender: &mut Connection, timeline: u32) -> Result<Vec<(u32, u64)>> {
    if timeline == 1 {
        return Ok(Vec::new());
    }
    let sql = format!("TIMELINE_HISTORY {timeline}");
    let rows = walsender.query("reading the timeline's history", &sql).await?;
    let text = rows.first().ok_or_else(|| unexpected("timeline history"))?;
    parse_history(text.text(1)).ok_or_else(|| unexpected("timeline history"))
}

/// A history file: `timeline TAB switch point TAB reason`, comments with `#`
/// (`access/transam/timeline.c`).
fn parse_history(text: &str) -> Option<Vec<(u32, u64)>> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, parse_lsn(fields.next()?)?))
        })
        .collect()
}

/// Proves that the stream can go on at `position` (HAZARDS L10). `history`: of the server's
/// timeline. Returns where to start: the position, or the slot's confirmed one if the position came
/// from outside (Debezium's offset, which does not say which server it is of).
pub fn prove(
    position: &LsnPosition,
    slot: &Slot,
    system: &System,
    history: &[(u32, u64)],
) -> Result<u64> {
    let confirmed = slot.confirmed_flush.unwrap_or(0);
    if position.system_id.is_empty() {
        return Ok(position.lsn.max(confirmed));
    }
    let lsn = position.lsn;
    let refuse = |code, what: String, hint: &str| {
        Err(Error::fatal(code, what).at(format!("LSN {}", lsn_text(lsn))).hint(hint.to_owned()))
    };
    let again = "`penstock offsets delete CONFIG` and run again for a new snapshot, or set \
        snapshot.mode = \"when_needed\"";
    if position.system_id != system.id {
        let what = format!(
            "this is another server: its system identifier is {}, the checkpoint's is {}",
            system.id, position.system_id
        );
        return refuse("pg-other-server", what, &format!("connect to the old server, or {again}"));
    }
    if position.timeline != system.timeline {
        let left = history.iter().find(|(timeline, _)| *timeline == position.timeline);
        let what = match left {
            Some((_, switch)) if lsn <= *switch => None,
            Some((timeline, switch)) => Some(format!(
                "the server left timeline {timeline} at {}, before what was already delivered: \
                 changes in between were lost in the failover",
                lsn_text(*switch)
            )),
            None => Some(format!(
                "the server's timeline {} does not descend from the checkpoint's timeline {}",
                system.timeline, position.timeline
            )),
        };
        if let Some(what) = what {
            return refuse("pg-timeline", what, again);
        }
    }
    if lsn > system.flushed {
        let what = format!(
            "the server's log ends at {}, before what was already delivered: it was restored from \
             a backup, or lost its last writes",
            lsn_text(system.flushed)
        );
        return refuse("pg-log-behind", what, again);
    }
    if confirmed > lsn {
        let what = format!(
            "slot \"{}\" is confirmed up to {}, beyond the checkpoint: it was made again, or \
             something else reads from it; the changes in between are gone",
            slot.name,
            lsn_text(confirmed)
        );
        return refuse("pg-slot-ahead", what, again);
    }
    Ok(lsn)
}

/// A slot just made.
pub struct Made {
    /// Everything that commits from here on is in the stream.
    pub consistent: u64,
    /// Name of the exported snapshot; holds as long as `walsender` runs no other command.
    pub snapshot: String,
    /// The session that exports it.
    pub walsender: Connection,
}

/// Makes the slot and exports its snapshot. Waits for every transaction that runs now; says every
/// ten seconds for whom.
pub async fn make(
    mut walsender: Connection,
    catalogue: &mut Connection,
    version: u32,
    name: &str,
    failover: bool,
) -> Result<Made> {
    if failover && version < FAILOVER_VERSION_MIN {
        tracing::warn!("slot_failover needs PostgreSQL 17: the slot is made without it");
    }
    let options = match version {
        FAILOVER_VERSION_MIN.. if failover => "(SNAPSHOT 'export', FAILOVER true)",
        150_000.. => "(SNAPSHOT 'export')",
        _ => "EXPORT_SNAPSHOT",
    };
    let sql = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput {options}", ident(name));
    let doing = "making the slot";
    let answer = {
        let making = std::pin::pin!(walsender.try_query(doing, &sql));
        let telling = std::pin::pin!(tell_whom(catalogue));
        match futures_util::future::select(making, telling).await {
            futures_util::future::Either::Left((answer, _)) => answer?,
            futures_util::future::Either::Right((never, _)) => match never {},
        }
    };
    let rows = answer.map_err(|refused| match refused.sqlstate.as_str() {
        "53400" => Error::fatal("pg-slots-full", format!("{doing}: {}", refused.text())).hint(
            "drop a slot that nobody uses (pg_drop_replication_slot), or raise \
                   max_replication_slots and restart the server",
        ),
        "42501" => Error::fatal("pg-permission", format!("{doing}: {}", refused.text()))
            .hint("ALTER ROLE … REPLICATION;"),
        "55000" => Error::fatal("pg-wal-level", format!("{doing}: {}", refused.text()))
            .hint("ALTER SYSTEM SET wal_level = 'logical'; and restart the server"),
        _ => refused.into_error(doing),
    })?;
    let read = |row: &Row| Some((parse_lsn(row.text(1))?, row.get(2)?.to_owned()));
    let (consistent, snapshot) = rows.first().and_then(read).ok_or_else(|| unexpected("slot"))?;
    tracing::info!("made slot \"{name}\", consistent at {}", lsn_text(consistent));
    Ok(Made { consistent, snapshot, walsender })
}

/// Says every ten seconds which transactions are waited for (HAZARDS H7). Never ends; a failure of
/// the side session only silences it.
async fn tell_whom(catalogue: &mut Connection) -> std::convert::Infallible {
    loop {
        sleep(std::time::Duration::from_secs(10)).await;
        if let Ok(who) = running(catalogue).await {
            let who: Vec<String> = who.iter().map(Running::describe).collect();
            tracing::warn!("the slot waits for running transactions: {}", who.join("; "));
        }
    }
}

/// A transaction that runs, as any role may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its top-level id, 32 bits.
    pub xid: u32,
    /// Process, if it has one (a prepared transaction has none).
    pub pid: Option<u32>,
    /// Role and application.
    pub who: String,
}

impl Running {
    fn describe(&self) -> String {
        match self.pid {
            Some(pid) => format!("transaction {} of process {pid} ({})", self.xid, self.who),
            None => format!("prepared transaction {}", self.xid),
        }
    }
}

/// Transactions that hold an id now, also those whose commit record is written and that wait for
/// a synchronous standby (HAZARDS L2: `pg_locks` shows them to any role).
pub async fn running(catalogue: &mut Connection) -> Result<Vec<Running>> {
    let sql = "SELECT l.transactionid, l.pid, \
        coalesce(a.usename::text || ' ' || a.application_name, '') \
        FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
        WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' \
        AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()";
    let rows = catalogue.query("reading the running transactions", sql).await?;
    let read = |row: &Row| {
        Some(Running {
            xid: row.number(0)?,
            pid: row.number(1),
            who: row.text(2).trim().to_owned(),
        })
    };
    rows.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(|| unexpected("transaction"))
}

/// The start barrier (HAZARDS L2): waits until every transaction that runs now has ended, so that
/// the next read view sees each that the slot may not give.
pub async fn barrier(catalogue: &mut Connection) -> Result<()> {
    let waited = running(catalogue).await?;
    let mut ticks = 0_u32;
    loop {
        let now = running(catalogue).await?;
        let left: Vec<&Running> =
            waited.iter().filter(|w| now.iter().any(|n| n.xid == w.xid)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if ticks.is_multiple_of(100) {
            let who: Vec<String> = left.iter().map(|r| r.describe()).collect();
            tracing::warn!("the snapshot waits for running transactions: {}", who.join("; "));
        }
        ticks += 1;
        sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Drops the slot of a stopped pipeline (`slot_drop_on_stop`): its walsender may take a moment to
/// end.
pub async fn drop_on_stop(catalogue: &mut Connection, name: &str) -> Result<()> {
    for _ in 0..100 {
        match drop_slot(catalogue, name).await {
            Err(error) if error.code == "pg-slot-in-use" => {
                sleep(std::time::Duration::from_millis(100)).await;
            }
            dropped => {
                dropped?;
                tracing::info!("dropped slot \"{name}\": what is committed from now on is lost");
                return Ok(());
            }
        }
    }
    tracing::warn!("slot \"{name}\" is still in use and was not dropped");
    Ok(())
}

/// Drops a slot that is not in use. Returns false if there is none.
pub async fn drop_slot(catalogue: &mut Connection, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        literal(name)
    );
    Ok(!catalogue.query("dropping the slot", &sql).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot {
            name: "s".into(),
            plugin: "pgoutput".into(),
            database: "d".into(),
            confirmed_flush: Some(100),
            wal_status: "reserved".into(),
            ..Slot::default()
        }
    }

    fn position(lsn: u64) -> LsnPosition {
        LsnPosition { system_id: "7".into(), timeline: 2, lsn, last_commit_lsn: 0 }
    }

    fn system(timeline: u32) -> System {
        System { id: "7".into(), timeline, flushed: 1_000 }
    }

    #[test]
    fn l10_a_position_is_taken_up_only_where_it_belongs() {
        // Goal: each way in which a server is not the checkpoint's is refused with its code.
        let try_at = |position: LsnPosition, system: &System, history: &[(u32, u64)]| {
            prove(&position, &slot(), system, history).map_err(|error| error.code)
        };
        assert_eq!(try_at(position(500), &system(2), &[]), Ok(500));
        assert_eq!(try_at(position(100), &system(2), &[]), Ok(100));
        assert_eq!(try_at(position(99), &system(2), &[]), Err("pg-slot-ahead"));
        assert_eq!(try_at(position(1_001), &system(2), &[]), Err("pg-log-behind"));
        let other = System { id: "8".into(), ..system(2) };
        assert_eq!(try_at(position(500), &other, &[]), Err("pg-other-server"));
        let history = [(1, 50), (2, 500)];
        assert_eq!(try_at(position(500), &system(3), &history), Ok(500));
        assert_eq!(try_at(position(501), &system(3), &history), Err("pg-timeline"));
        assert_eq!(try_at(position(500), &system(3), &[(1, 50)]), Err("pg-timeline"));
        assert_eq!(try_at(position(40), &system(1), &[]), Err("pg-timeline"));
        let outside = |lsn| LsnPosition { system_id: String::new(), ..position(lsn) };
        assert_eq!(try_at(outside(50), &other, &[]), Ok(100));
        assert_eq!(try_at(outside(150), &other, &[]), Ok(150));
    }

    #[test]
    fn history_files() {
        // Goal: the server's format, with comments and several lines; nonsense is refused.
        let text = "1\t0/A000198\tno recovery target specified\n\n# x\n2\t1/B000000\tbefore 2026\n";
        assert_eq!(parse_history(text), Some(vec![(1, 0x0A00_0198), (2, 0x1_0B00_0000)]));
        assert_eq!(parse_history("1\n"), None);
        assert_eq!(parse_history("x\t0/0\tr"), None);
    }

    #[test]
    fn slots_that_cannot_serve_are_refused() {
        // Goal: every kind of foreign or lost slot has its code. Method: one field changed each.
        let code = |slot: Slot| slot.verify("d").map_err(|error| error.code);
        assert_eq!(code(slot()), Ok(()));
        assert_eq!(code(Slot { active_pid: Some(5), ..slot() }), Ok(()));
        assert_eq!(code(Slot { plugin: String::new(), ..slot() }), Err("pg-slot-foreign"));
        assert_eq!(code(Slot { plugin: "wal2json".into(), ..slot() }), Err("pg-slot-foreign"));
        assert_eq!(code(Slot { database: "e".into(), ..slot() }), Err("pg-slot-foreign"));
        assert_eq!(code(Slot { two_phase: true, ..slot() }), Err("pg-slot-foreign"));
        assert_eq!(code(Slot { wal_status: "lost".into(), ..slot() }), Err("pg-slot-lost"));
        let invalidated = Some("wal_removed".into());
        assert_eq!(code(Slot { invalidated, ..slot() }), Err("pg-slot-lost"));
    }
}
