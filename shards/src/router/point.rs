//! What the next commit point will say: deltas of several transactions, merged.
//!
//! Enters: position deltas, in log order. Leaves: one delta. Keeps: a place that is unknown never
//! replaces one that is known, and is never offered as one (HAZARDS L27).

use penstock_protocol::position::{Position, PositionDelta};

use crate::hop::{ParkedChange, TableStop};
use crate::seq::PointId;

/// What the next commit point will say.
pub(super) struct NextPoint {
    pub(super) id: PointId,
    pub(super) dirty: bool,
    /// A binlog without GTIDs gave no offset (HAZARDS L27): no point before it gives one again.
    pub(super) blind: bool,
    pub(super) base: Option<Position>,
    pub(super) delta: Option<PositionDelta>,
    pub(super) parked: Vec<ParkedChange>,
    pub(super) stops: Vec<TableStop>,
    pub(super) snapshot_done: bool,
    /// Version of the schema history at the position.
    pub(super) schema_version: u64,
}

impl NextPoint {
    pub(super) fn new(id: PointId, schema_version: u64) -> Self {
        let (base, delta, parked, stops) = (None, None, Vec::new(), Vec::new());
        let (dirty, blind, snapshot_done) = (false, false, false);
        Self { id, dirty, blind, base, delta, parked, stops, snapshot_done, schema_version }
    }

    pub(super) fn add(&mut self, delta: PositionDelta) {
        self.dirty = true;
        if let PositionDelta::Binlog { at, gtids } = &delta {
            self.blind = at.is_none() && (gtids.is_empty() || self.blind);
        }
        match (&mut self.delta, delta) {
            (
                Some(PositionDelta::Binlog { at, gtids }),
                PositionDelta::Binlog { at: to, gtids: more },
            ) => {
                *at = to.or(at.take());
                gtids.extend(more);
            }
            (
                Some(PositionDelta::Lsn { lsn, commit_lsn }),
                PositionDelta::Lsn { lsn: to, commit_lsn: commit },
            ) => {
                *lsn = to.max(*lsn);
                *commit_lsn = commit.max(*commit_lsn);
            }
            (slot, delta) => *slot = Some(delta),
        }
    }
}
