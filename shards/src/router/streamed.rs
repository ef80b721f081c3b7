//! The streaming group: what of it was routed, so that a group that a lost connection has cut goes
//! on where it stopped.
//!
//! Enters: its frames, again from the first one after a reconnect. Leaves: whether a frame is to be
//! routed. Keeps: no frame twice, none left out. Frames are counted by table, because a table may
//! stop between the two tries; each table's frames come in the same order.

use std::collections::BTreeSet;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};

use crate::annex::{ANNEX_KINDS, Annex};
use crate::hop::TxnHead;
use crate::router::RouterError;
use crate::router::numbers::Tally;

#[derive(Default)]
pub(super) struct Streamed {
    /// From the first routed frame on.
    pub(super) head: Option<Arc<TxnHead>>,
    /// With transaction metadata: its numbers.
    pub(super) tally: Option<Tally>,
    /// By `TableId`; the memory stays over groups.
    tables: Vec<Count>,
    /// Tables whose count is not zero.
    touched: Vec<TableId>,
    /// By `AnnexKind`.
    annexes: [Count; ANNEX_KINDS],
}

#[derive(Clone, Copy, Default)]
struct Count {
    routed: u64,
    /// Over kind and length of what was routed.
    mark: u64,
    /// Frames to be passed over.
    left: u64,
    /// Over those passed over so far.
    again: u64,
}

impl Streamed {
    /// Another group begins.
    pub(super) fn start(&mut self) {
        (self.head, self.tally) = (None, None);
        self.annexes = Default::default();
        for table in self.touched.drain(..) {
            self.tables[table.0 as usize] = Count::default();
        }
    }

    /// The same group begins again.
    pub(super) fn resume(&mut self) {
        for table in &self.touched {
            self.tables[table.0 as usize].resume();
        }
        self.annexes.iter_mut().for_each(Count::resume);
    }

    /// True if the group begins again: its head stands.
    pub(super) fn resumed(&self) -> bool {
        self.touched.iter().any(|table| self.tables[table.0 as usize].left > 0)
    }

    /// True if this frame is to be routed, false if it was before.
    pub(super) fn take(&mut self, head: &FrameHead) -> Result<bool, RouterError> {
        let at = head.table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize(at + 1, Count::default());
        }
        let count = &mut self.tables[at];
        if count.left == 0 && count.routed == 0 {
            self.touched.push(head.table);
        }
        count.take(u64::from(head.len) << 8 ^ head.kind as u64)
    }

    /// The same for a record beside rows.
    pub(super) fn take_annex(&mut self, annex: &Annex) -> Result<bool, RouterError> {
        self.annexes[annex.kind() as usize].take(u64::from(annex.weight()))
    }

    /// True if everything that was routed before came again, but for tables that have stopped.
    pub(super) fn is_whole(&self, stopped: &BTreeSet<TableId>) -> bool {
        let came = |table: &TableId| self.tables[table.0 as usize].left == 0;
        self.touched.iter().all(|table| came(table) || stopped.contains(table))
            && self.annexes.iter().all(|count| count.left == 0)
    }
}

impl Count {
    /// The group begins again.
    fn resume(&mut self) {
        (self.left, self.again) = (self.routed, 0);
    }

    /// True if this one is to be routed.
    fn take(&mut self, one: u64) -> Result<bool, RouterError> {
        if self.left > 0 {
            self.left -= 1;
            self.again = mark(self.again, one);
            return match self.left == 0 && self.again != self.mark {
                true => Err(RouterError::AnotherGroup),
                false => Ok(false),
            };
        }
        self.routed += 1;
        self.mark = mark(self.mark, one);
        Ok(true)
    }
}

fn mark(before: u64, one: u64) -> u64 {
    (before ^ one).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}
