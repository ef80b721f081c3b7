//! Where we stand in a server's log, and whether that server can go on from there (HAZARDS L10).
//!
//! Enters: checkpointed positions, Debezium's stored offsets, a server's state. Leaves: a place to
//! dump from; or a Fatal error that names what is missing. Keeps: every position carries the
//! identity of its source; nothing is skipped silently.

use std::fmt;
use std::sync::Arc;

use penstock_protocol::mysql::gtid::{GtidList, GtidSet, parse_mariadb};
use penstock_protocol::position::{BinlogPosition, Gtid, Position};
use penstock_protocol::schema::SourceKind;

use super::catalogue::Server;
use super::connection::{Connection, cell};
use super::errors::{other_past_hint, purged_hint};
use crate::error::{Error, Result};

/// GTIDs as the two families keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gtids {
    /// The server has none, or our position was made without.
    None,
    /// MySQL: the set of everything before.
    MySql(GtidSet),
    /// MariaDB: the last of each domain.
    MariaDb(GtidList),
}

impl Gtids {
    /// Adds a GTID that was routed.
    pub fn add(&mut self, gtid: &Gtid) {
        match self {
            Self::None => {}
            Self::MySql(set) => set.add(gtid),
            Self::MariaDb(list) => list.add(gtid),
        }
    }
}

/// A place in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Family.
    pub kind: SourceKind,
    /// MySQL `server_uuid`; MariaDB: empty.
    pub uuid: String,
    /// Base name of the file; may be empty where GTIDs say it all.
    pub file: Arc<str>,
    /// Offset of the next group in it.
    pub pos: u64,
    /// Everything before.
    pub gtids: Gtids,
}

impl Place {
    /// A place from a checkpoint.
    ///
    /// # Errors
    /// Fatal if it is another family's, or its GTIDs cannot be read.
    pub fn from_position(position: &Position, kind: SourceKind) -> Result<Self> {
        let binlog = match (position, kind) {
            (Position::MySql(p), SourceKind::MySql) => p,
            (Position::MariaDb(p), SourceKind::MariaDb) => p,
            _ => {
                return Err(Error::fatal(
                    "my-other-kind",
                    "the state was made with another kind of source than this server is",
                )
                .hint("set source.kind to what the server is, or use another state folder"));
            }
        };
        let unreadable = |e: penstock_protocol::mysql::gtid::GtidTextError| {
            Error::fatal("my-position", format!("the stored GTIDs cannot be read: {e}"))
                .hint("set the position anew: penstock offsets set")
        };
        let gtids = match (&binlog.gtids, kind) {
            (None, _) => Gtids::None,
            (Some(text), SourceKind::MariaDb) => {
                Gtids::MariaDb(GtidList::parse(text).map_err(unreadable)?)
            }
            (Some(text), _) => Gtids::MySql(GtidSet::parse(text).map_err(unreadable)?),
        };
        let (uuid, file) = (binlog.server_uuid.clone(), binlog.file.as_str().into());
        Ok(Self { kind, uuid, file, pos: binlog.pos, gtids })
    }

    /// As it goes into a checkpoint.
    pub fn to_position(&self) -> Position {
        let gtids = match &self.gtids {
            Gtids::None => None,
            Gtids::MySql(set) => Some(set.to_string()),
            Gtids::MariaDb(list) => Some(list.to_string()),
        };
        let binlog = BinlogPosition {
            server_uuid: self.uuid.clone(),
            file: self.file.to_string(),
            pos: self.pos,
            gtids,
        };
        match self.kind {
            SourceKind::MariaDb => Position::MariaDb(binlog),
            _ => Position::MySql(binlog),
        }
    }

    /// True if everything before `goal` is before this place too.
    pub fn reached(&self, goal: &Self) -> bool {
        match (&self.gtids, &goal.gtids) {
            (Gtids::MySql(at), Gtids::MySql(goal)) => at.contains(goal),
            (Gtids::MariaDb(at), Gtids::MariaDb(wanted)) => {
                // Without strict mode numbers may go back: then the end of the log decides.
                at.reached(wanted) || self.is_behind(goal)
            }
            _ => self.is_behind(goal),
        }
    }

    /// By file and offset, of one server.
    fn is_behind(&self, goal: &Self) -> bool {
        !self.file.is_empty()
            && (file_number(&self.file), self.pos) >= (file_number(&goal.file), goal.pos)
    }
}

impl fmt::Display for Place {
    /// In the servers' own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}", self.file, self.pos)?;
        }
        let gap = if self.file.is_empty() { "" } else { " " };
        match &self.gtids {
            Gtids::None => Ok(()),
            Gtids::MySql(set) => write!(f, "{gap}gtid_executed={set}"),
            Gtids::MariaDb(list) => write!(f, "{gap}gtid={list}"),
        }
    }
}

/// The number at the end of a log file's name (`binlog.000007` → 7).
fn file_number(file: &str) -> u64 {
    file.rsplit('.').next().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// The server's log end as of now: everything that is committed is before it. Also the position
/// to begin from with `snapshot.mode = "never"`.
pub async fn log_end(connection: &mut Connection, server: &Server) -> Result<Place> {
    // GTIDs first: `gtid_executed` lags behind the log (HAZARDS L1), never ahead of it.
    let gtids = gtids_now(connection, server).await?;
    let (file, pos) = file_and_pos(connection, server).await?;
    Ok(Place { kind: server.kind, uuid: server.uuid().into(), file: file.into(), pos, gtids })
}

/// `gtid_executed`, or MariaDB's `gtid_binlog_pos`, as of now.
pub async fn gtids_now(connection: &mut Connection, server: &Server) -> Result<Gtids> {
    if !server.has_gtids() {
        return Ok(Gtids::None);
    }
    let name = if server.is_mariadb() { "gtid_binlog_pos" } else { "gtid_executed" };
    let rows = connection.query(&format!("SELECT @@GLOBAL.{name}")).await?;
    parse_gtids(server, rows.cell(0, 0))
}

/// Parses the server's own text.
pub fn parse_gtids(server: &Server, text: &str) -> Result<Gtids> {
    let broken = |e: penstock_protocol::mysql::gtid::GtidTextError| {
        Error::transient("my-protocol", format!("the server's GTIDs cannot be read: {e}"))
    };
    Ok(if server.is_mariadb() {
        Gtids::MariaDb(GtidList::parse(text).map_err(broken)?)
    } else {
        Gtids::MySql(GtidSet::parse(text).map_err(broken)?)
    })
}

/// File and offset of the log's end. Statements: 8.2 renamed it, 8.4 removed the old name.
pub async fn file_and_pos(connection: &mut Connection, server: &Server) -> Result<(String, u64)> {
    let new_name = !server.is_mariadb() && server.numbers >= (8, 2, 0);
    let sql = if new_name { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let rows = connection.query(sql).await?;
    if rows.0.is_empty() {
        return Err(Error::fatal("my-log-off", "the server writes no binary log")
            .hint("set log_bin in the server's configuration and restart it"));
    }
    Ok((rows.cell(0, 0).to_owned(), rows.cell(0, 1).parse().unwrap_or_default()))
}

/// Proves that the server can go on from `place`: it has everything after it, and never had a
/// different past (HAZARDS L10). Gives the place to dump from: with the server's identity, and
/// with GTIDs only if both know them.
pub async fn verify(connection: &mut Connection, server: &Server, place: &Place) -> Result<Place> {
    let mut from = place.clone();
    match &place.gtids {
        Gtids::MySql(ours) if server.has_gtids() => verify_set(connection, ours, place).await?,
        Gtids::MariaDb(ours) => verify_list(connection, ours, place).await?,
        _ => {
            if !place.uuid.is_empty() && place.uuid != server.uuid() {
                return Err(Error::fatal(
                    "my-other-server",
                    format!(
                        "the position {place} is of the server {}, and this is {}; without GTIDs \
                         it means nothing here",
                        place.uuid,
                        server.uuid()
                    ),
                )
                .hint(other_past_hint()));
            }
            verify_file(connection, place).await?;
            if !server.has_gtids() {
                from.gtids = Gtids::None;
            }
        }
    }
    if !place.uuid.is_empty() && place.uuid != server.uuid() {
        // Another member of the same history: file names and offsets are its own.
        from.file = "".into();
        from.pos = 4;
    }
    from.uuid = server.uuid().into();
    Ok(from)
}

async fn verify_set(connection: &mut Connection, ours: &GtidSet, at: &Place) -> Result<()> {
    let rows = connection.query("SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged").await?;
    let set = |column| {
        GtidSet::parse(rows.cell(0, column)).map_err(|e| {
            Error::transient("my-protocol", format!("the server's GTIDs cannot be read: {e}"))
        })
    };
    let (executed, purged) = (set(0)?, set(1)?);
    judge_set(ours, &executed, &purged).map_err(|e| e.at(at.to_string()))
}

/// `ours ⊆ executed` and `purged ⊆ ours`.
fn judge_set(ours: &GtidSet, executed: &GtidSet, purged: &GtidSet) -> Result<()> {
    let foreign = ours.minus(executed);
    if !foreign.is_empty() {
        let what =
            format!("the server never executed {foreign}, which this pipeline has delivered");
        return Err(Error::fatal("my-other-past", what).hint(other_past_hint()));
    }
    let lost = purged.minus(ours);
    if !lost.is_empty() {
        let what = format!("the server has purged {lost}, which this pipeline has not seen");
        return Err(Error::fatal("my-binlog-purged", what).hint(purged_hint()));
    }
    Ok(())
}

async fn verify_list(connection: &mut Connection, ours: &GtidList, at: &Place) -> Result<()> {
    let rows = connection.query("SELECT @@GLOBAL.gtid_binlog_state").await?;
    let state = parse_mariadb(rows.cell(0, 0)).map_err(|e| {
        Error::transient("my-protocol", format!("the server's GTIDs cannot be read: {e}"))
    })?;
    judge_list(ours, &state).map_err(|e| e.at(at.to_string()))
}

/// Each (domain, server, seq) lies in the state. What is purged the dump itself refuses.
fn judge_list(ours: &GtidList, state: &[Gtid]) -> Result<()> {
    for (domain, server, seq) in ours.iter() {
        let known = state.iter().any(|gtid| {
            matches!(*gtid, Gtid::MariaDb { domain: d, server: s, seq: last }
                if d == domain && s == server && last >= seq)
        });
        if !known {
            let what = format!(
                "the server's log never held {domain}-{server}-{seq}, which this pipeline has \
                 delivered"
            );
            return Err(Error::fatal("my-other-past", what).hint(other_past_hint()));
        }
    }
    Ok(())
}

async fn verify_file(connection: &mut Connection, place: &Place) -> Result<()> {
    let rows = connection.query("SHOW BINARY LOGS").await?;
    let list = rows.0.iter().map(|row| (cell(row, 0), cell(row, 1).parse().unwrap_or_default()));
    judge_file(&place.file, place.pos, list).map_err(|e| e.at(place.to_string()))
}

/// The file is listed and long enough.
fn judge_file<'a>(file: &str, pos: u64, list: impl Iterator<Item = (&'a str, u64)>) -> Result<()> {
    let list = list.collect::<Vec<_>>();
    let first = list.first().map(|(name, _)| *name).unwrap_or_default();
    match list.iter().find(|(name, _)| *name == file) {
        None if file_number(file) < file_number(first) => {
            let what = format!("the server has purged {file}; its log begins with {first}");
            Err(Error::fatal("my-binlog-purged", what).hint(purged_hint()))
        }
        None => {
            let what = format!("the server has no log file {file}");
            Err(Error::fatal("my-other-past", what).hint(other_past_hint()))
        }
        Some((_, len)) if *len < pos => {
            let what = format!("{file} is {len} bytes long, and this pipeline has read to {pos}");
            Err(Error::fatal("my-other-past", what).hint(other_past_hint()))
        }
        Some(_) => Ok(()),
    }
}

/// True for errors after which `when_needed` takes a new snapshot.
pub fn needs_snapshot(e: &Error) -> bool {
    matches!(e.code, "my-binlog-purged" | "my-other-past" | "my-other-server" | "my-position")
}

/// A position in the server's words, for `offsets show`.
pub fn describe(position: &BinlogPosition, kind: SourceKind) -> String {
    let wrapped = match kind {
        SourceKind::MariaDb => Position::MariaDb(position.clone()),
        _ => Position::MySql(position.clone()),
    };
    match Place::from_position(&wrapped, kind) {
        Ok(place) if !place.uuid.is_empty() => format!("{place} of server {}", place.uuid),
        Ok(place) => place.to_string(),
        Err(_) => format!("{}:{}", position.file, position.pos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(&text.replace('A', A)).unwrap()
    }

    #[test]
    fn l10_gtid_sets_name_what_is_missing() {
        // Goal: foreign and purged GTIDs are Fatal with their names. Method: sets on each side.
        assert!(judge_set(&set("A:1-5"), &set("A:1-9"), &set("A:1-5")).is_ok());
        let e = judge_set(&set("A:1-12"), &set("A:1-9"), &set("")).unwrap_err();
        assert_eq!(e.code, "my-other-past");
        assert!(e.what.contains(&format!("{A}:10-12")));
        let e = judge_set(&set("A:1-5"), &set("A:1-9"), &set("A:1-7")).unwrap_err();
        assert_eq!(e.code, "my-binlog-purged");
        assert!(e.what.contains(&format!("{A}:6-7")));
        assert!(needs_snapshot(&e));
    }

    #[test]
    fn l10_mariadb_state_must_know_our_gtids() {
        // Goal: each (domain, server, seq) of ours is in the state. Method: states by hand.
        let state = parse_mariadb("0-1-10,0-2-20,1-1-5").unwrap();
        assert!(judge_list(&GtidList::parse("0-1-7,1-1-5").unwrap(), &state).is_ok());
        for foreign in ["0-3-7", "0-1-11", "2-1-1"] {
            let e = judge_list(&GtidList::parse(foreign).unwrap(), &state).unwrap_err();
            assert_eq!(e.code, "my-other-past");
            assert!(e.what.contains(foreign));
        }
    }

    #[test]
    fn l10_files() {
        // Goal: purged, unknown and too short are told apart. Method: a list of three files.
        let list = [("b.000007", 100), ("b.000008", 200), ("b.000009", 300)];
        let judge = |file, pos| judge_file(file, pos, list.iter().copied());
        assert!(judge("b.000008", 200).is_ok());
        assert_eq!(judge("b.000006", 4).unwrap_err().code, "my-binlog-purged");
        assert_eq!(judge("b.000010", 4).unwrap_err().code, "my-other-past");
        assert_eq!(judge("b.000009", 301).unwrap_err().code, "my-other-past");
    }

    #[test]
    fn goals() {
        // Goal: the end is reached by GTIDs or by file and offset. Method: places around it.
        let place = |file: &str, pos, gtids| Place {
            kind: SourceKind::MySql,
            uuid: A.into(),
            file: file.into(),
            pos,
            gtids,
        };
        let goal = place("b.000009", 100, Gtids::None);
        assert!(place("b.000010", 4, Gtids::None).reached(&goal));
        assert!(!place("b.000009", 99, Gtids::None).reached(&goal));
        assert!(place("b.1000000", 4, Gtids::None).reached(&place("b.999999", 9, Gtids::None)));
        let goal = place("b.000009", 100, Gtids::MySql(set("A:1-5")));
        assert!(place("", 4, Gtids::MySql(set("A:1-6"))).reached(&goal));
        assert!(!place("b.000010", 4, Gtids::MySql(set("A:1-4"))).reached(&goal));
        let back = Place::from_position(&goal.to_position(), SourceKind::MySql).unwrap();
        assert_eq!(back, goal);
        assert!(Place::from_position(&goal.to_position(), SourceKind::MariaDb).is_err());
    }
}
