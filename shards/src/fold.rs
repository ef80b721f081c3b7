//! Positions and what moves them: `PositionDelta` folded into `Position`.
//!
//! Enters: deltas of commit points, in order. Leaves: the position after them. Keeps: a pending
//! delta stays small however many transactions it covers (HAZARDS H6): GTIDs are kept as ranges.

use std::sync::Arc;

use penstock_protocol::mysql::gtid::{GtidList, GtidSet, GtidTextError};
use penstock_protocol::position::{BinlogPosition, Gtid, Position, PositionDelta};

/// Deltas of any number of transactions, in bounded form.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    base: Option<Position>,
    at: Option<(Arc<str>, u64)>,
    mysql: GtidSet,
    /// MariaDB: the last of each domain, in log order.
    mariadb: GtidList,
    lsn: u64,
    commit_lsn: u64,
}

impl Moved {
    /// The position is set anew: what moved before no longer counts.
    pub fn set_base(&mut self, base: Position) {
        *self = Self { base: Some(base), ..Self::default() };
    }

    /// Adds what moved after everything added so far.
    pub fn add(&mut self, delta: &PositionDelta) {
        match delta {
            PositionDelta::Binlog { at, gtids } => {
                if at.is_some() {
                    self.at.clone_from(at);
                }
                for gtid in gtids {
                    self.mysql.add(gtid);
                    self.mariadb.add(gtid);
                }
            }
            PositionDelta::Lsn { lsn, commit_lsn } => {
                self.lsn = self.lsn.max(*lsn);
                self.commit_lsn = self.commit_lsn.max(*commit_lsn);
            }
        }
    }

    /// Adds everything of a later `Moved`.
    pub fn join(&mut self, later: Self) {
        if later.base.is_some() {
            *self = later;
            return;
        }
        if later.at.is_some() {
            self.at = later.at;
        }
        self.mysql.union(&later.mysql);
        extend(&mut self.mariadb, &later.mariadb);
        self.lsn = self.lsn.max(later.lsn);
        self.commit_lsn = self.commit_lsn.max(later.commit_lsn);
    }
}

/// A position with its GTIDs in memory form: text is read once and written per checkpoint.
#[derive(Clone, Debug)]
pub struct Folded {
    position: Option<Position>,
    mysql: GtidSet,
    mariadb: GtidList,
}

/// The text of a position cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionError {
    /// Why, for the operator: which part, never its whole text.
    pub reason: String,
}

impl std::fmt::Display for PositionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PositionError {}

impl From<GtidTextError> for PositionError {
    fn from(error: GtidTextError) -> Self {
        Self { reason: error.to_string() }
    }
}

impl Folded {
    /// Begins at a position, or at none: then `Moved::set_base` gives the first one.
    pub fn new(start: Option<Position>) -> Result<Self, PositionError> {
        let mut folded =
            Self { position: None, mysql: GtidSet::default(), mariadb: GtidList::default() };
        if let Some(start) = start {
            folded.set(start)?;
        }
        Ok(folded)
    }

    fn set(&mut self, position: Position) -> Result<(), PositionError> {
        self.mysql = GtidSet::default();
        self.mariadb = GtidList::default();
        match &position {
            Position::MySql(BinlogPosition { gtids: Some(text), .. }) => {
                self.mysql = GtidSet::parse(text)?;
            }
            Position::MariaDb(BinlogPosition { gtids: Some(text), .. }) => {
                self.mariadb = GtidList::parse(text)?;
            }
            _ => {}
        }
        self.position = Some(position);
        Ok(())
    }

    /// Moves it. Without a position only a base counts.
    pub fn apply(&mut self, moved: &Moved) -> Result<(), PositionError> {
        if let Some(base) = &moved.base {
            self.set(base.clone())?;
        }
        match &mut self.position {
            Some(Position::MySql(position) | Position::MariaDb(position)) => {
                if let Some((file, pos)) = &moved.at {
                    position.file.clear();
                    position.file.push_str(file);
                    position.pos = *pos;
                }
            }
            Some(Position::Postgres(position)) => {
                position.lsn = position.lsn.max(moved.lsn);
                if moved.commit_lsn != 0 {
                    position.last_commit_lsn = moved.commit_lsn;
                }
            }
            None => {}
        }
        self.mysql.union(&moved.mysql);
        extend(&mut self.mariadb, &moved.mariadb);
        Ok(())
    }

    /// The position, GTIDs as text. A server without GTIDs keeps none; one that got its first
    /// GTID since has a set from then on.
    pub fn position(&self) -> Option<Position> {
        let mut position = self.position.clone()?;
        match &mut position {
            Position::MySql(at) if at.gtids.is_some() || !self.mysql.is_empty() => {
                at.gtids = Some(self.mysql.to_string());
            }
            Position::MariaDb(at) if at.gtids.is_some() || !self.mariadb.is_empty() => {
                at.gtids = Some(self.mariadb.to_string());
            }
            _ => {}
        }
        Some(position)
    }
}

/// Of two GTIDs in one domain the later holds, whatever their numbers.
fn extend(list: &mut GtidList, later: &GtidList) {
    for (domain, server, seq) in later.iter() {
        list.add(&Gtid::MariaDb { domain, server, seq });
    }
}

#[cfg(test)]
mod tests {
    use penstock_protocol::position::LsnPosition;

    use super::*;

    fn binlog(gtids: Option<&str>) -> BinlogPosition {
        BinlogPosition {
            server_uuid: String::new(),
            file: "b.000001".into(),
            pos: 4,
            gtids: gtids.map(Into::into),
        }
    }

    fn mysql(number: u64) -> PositionDelta {
        PositionDelta::Binlog {
            at: Some(("b.000002".into(), 100 + number)),
            gtids: vec![Gtid::MySql { uuid: [0x11; 16], tag: "".into(), number }],
        }
    }

    #[test]
    fn h06_a_million_gtids_fold_into_one_range() {
        // Goal: what waits in a point is a range; method: add 10^5 GTIDs, print the position.
        let mut moved = Moved::default();
        (1..=100_000).for_each(|n| moved.add(&mysql(n)));
        let mut folded = Folded::new(Some(Position::MySql(binlog(Some(""))))).unwrap();
        folded.apply(&moved).unwrap();
        let Some(Position::MySql(at)) = folded.position() else { panic!("position") };
        assert_eq!(at.gtids.unwrap(), "11111111-1111-1111-1111-111111111111:1-100000");
        assert_eq!((at.file.as_str(), at.pos), ("b.000002", 100_100));
    }

    #[test]
    fn mariadb_keeps_the_last_gtid_of_each_domain() {
        // Goal: log order wins, not the greater number (HAZARDS L13); method: a number goes back.
        let gtid = |domain, server, seq| PositionDelta::Binlog {
            at: None,
            gtids: vec![Gtid::MariaDb { domain, server, seq }],
        };
        let mut folded =
            Folded::new(Some(Position::MariaDb(binlog(Some("0-1-10,7-2-5"))))).unwrap();
        let mut moved = Moved::default();
        moved.add(&gtid(0, 3, 20));
        moved.add(&gtid(0, 3, 15));
        folded.apply(&moved).unwrap();
        let Some(Position::MariaDb(at)) = folded.position() else { panic!("position") };
        assert_eq!(at.gtids.unwrap(), "0-3-15,7-2-5");
        assert_eq!(at.pos, 4, "an unknown place keeps the old one");
        assert!(Folded::new(Some(Position::MariaDb(binlog(Some("0-1"))))).is_err());
    }

    #[test]
    fn a_base_replaces_what_moved_before() {
        // Goal: order of base and delta counts; method: delta, base, delta, joined from two parts.
        let lsn = |lsn| PositionDelta::Lsn { lsn, commit_lsn: 0 };
        let base = |lsn| {
            let system_id = "7".into();
            Position::Postgres(LsnPosition { system_id, timeline: 2, lsn, last_commit_lsn: 1 })
        };
        let (mut first, mut second) = (Moved::default(), Moved::default());
        first.add(&lsn(900));
        second.set_base(base(50));
        second.add(&lsn(60));
        first.join(second);
        let mut folded = Folded::new(None).unwrap();
        assert_eq!(folded.position(), None);
        folded.apply(&first).unwrap();
        assert_eq!(folded.position(), Some(base(60)));
    }
}
