//! Positions in the source's own words (`source::*::offsets`), and what makes one believable.

use penstock_protocol::mysql::gtid::{GtidList, GtidSet};
use penstock_protocol::position::{BinlogPosition, LsnPosition, Position};
use penstock_protocol::schema::SourceKind;

use crate::error::{Error, Result};
use crate::source;

/// A sentence, without a full stop.
pub(super) fn describe(position: &Position) -> String {
    match position {
        Position::Postgres(wal) => source::postgres::offsets::words(wal),
        Position::MySql(binlog) | Position::MariaDb(binlog) => {
            source::mysql::offsets::describe(binlog, kind(position))
        }
    }
}

/// Which kind of source a position is of.
fn kind(position: &Position) -> SourceKind {
    match position {
        Position::MySql(_) => SourceKind::MySql,
        Position::MariaDb(_) => SourceKind::MariaDb,
        Position::Postgres(_) => SourceKind::Postgres,
    }
}

/// Refuses a position that no source of this kind can have.
pub(super) fn validate(position: &Position, wanted: SourceKind) -> Result<()> {
    if kind(position) != wanted {
        let what = format!("the position is one of {}", name(kind(position)));
        return Err(Error::usage("state-position-invalid", what)
            .hint(format!("the pipeline reads from {}", name(wanted))));
    }
    let why = match position {
        Position::Postgres(wal) => wal_fault(wal),
        Position::MySql(binlog) => binlog_fault(binlog).or_else(|| {
            let set = binlog.gtids.as_deref()?;
            GtidSet::parse(set).err().map(|error| format!("the GTID set cannot be read: {error}"))
        }),
        Position::MariaDb(binlog) => binlog_fault(binlog).or_else(|| {
            let list = binlog.gtids.as_deref()?;
            GtidList::parse(list).err().map(|error| format!("the GTIDs cannot be read: {error}"))
        }),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(Error::usage("state-position-invalid", why)
            .hint("`penstock offsets show` prints positions in the form that is wanted")),
    }
}

fn wal_fault(wal: &LsnPosition) -> Option<String> {
    match wal.lsn {
        0 => Some("the LSN is 0, which is before every log".into()),
        lsn if wal.last_commit_lsn > lsn => Some("last_commit_lsn is beyond lsn".into()),
        _ => None,
    }
}

fn binlog_fault(binlog: &BinlogPosition) -> Option<String> {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    if binlog.file.is_empty() || !binlog.file.chars().all(plain) {
        return Some(format!("{:?} is no name of a binlog file", binlog.file));
    }
    // The magic number takes the first four bytes.
    (binlog.pos < 4).then(|| format!("no event begins at {} in a binlog file", binlog.pos))
}

fn name(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::MySql => "MySQL",
        SourceKind::MariaDb => "MariaDB",
        SourceKind::Postgres => "PostgreSQL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binlog(file: &str, pos: u64, gtids: Option<&str>) -> BinlogPosition {
        let gtids = gtids.map(str::to_owned);
        BinlogPosition { server_uuid: String::new(), file: file.into(), pos, gtids }
    }

    fn wal(lsn: u64, last_commit_lsn: u64) -> Position {
        let system_id = "75".into();
        Position::Postgres(LsnPosition { system_id, timeline: 2, lsn, last_commit_lsn })
    }

    #[test]
    fn impossible_positions_are_refused() {
        // Goal: exact reasons. Method: a table.
        let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-17";
        for (position, kind) in [
            (wal(9, 9), SourceKind::Postgres),
            (Position::MySql(binlog("b.1", 4, Some(set))), SourceKind::MySql),
            (Position::MariaDb(binlog("b.1", 4, Some("0-1-7"))), SourceKind::MariaDb),
            (Position::MariaDb(binlog("b.1", 4, None)), SourceKind::MariaDb),
        ] {
            assert!(validate(&position, kind).is_ok(), "{position:?}");
        }
        let my = |file, pos| Position::MySql(binlog(file, pos, None));
        let cases = [
            (wal(0, 0), SourceKind::Postgres, "the LSN is 0, which is before every log"),
            (wal(1, 2), SourceKind::Postgres, "last_commit_lsn is beyond lsn"),
            (wal(1, 0), SourceKind::MySql, "the position is one of PostgreSQL"),
            (my("", 4), SourceKind::MySql, "\"\" is no name of a binlog file"),
            (my("../x", 4), SourceKind::MySql, "\"../x\" is no name of a binlog file"),
            (my("b", 3), SourceKind::MySql, "no event begins at 3 in a binlog file"),
        ];
        for (position, kind, why) in cases {
            let error = validate(&position, kind).expect_err(why);
            assert_eq!((error.code, error.what.as_str()), ("state-position-invalid", why));
        }
        let bad = Position::MySql(binlog("b.1", 4, Some("0-1-7")));
        let error = validate(&bad, SourceKind::MySql).expect_err("MariaDB's GTID");
        assert!(error.what.starts_with("the GTID set cannot be read: "), "{error}");
    }
}
