//! The streaming group: what of it was routed, so that a group that a lost connection has cut goes
//! on where it stopped.
//!
//! Enters: its frames, again from the first one after a reconnect. Leaves: whether a frame is to be
//! routed. Keeps: no frame twice, none left out. Frames are counted by table, because a table may
//! stop between the two tries; each table's frames come in the same order.

use std::collections::BTreeSet;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};

use crate::hop::TxnHead;
use crate::router::RouterError;

#[derive(Default)]
pub(super) struct Streamed {
    /// From the first routed frame on.
    pub(super) head: Option<Arc<TxnHead>>,
    /// By `TableId`; the memory stays over groups.
    tables: Vec<Count>,
    /// Tables whose count is not zero.
    touched: Vec<TableId>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    routed: u64,
    /// Over kind and length of the frames routed.
    mark: u64,
    /// Frames to be passed over.
    left: u64,
    /// Over those passed over so far.
    again: u64,
}

impl Streamed {
    /// Another group begins.
    pub(super) fn start(&mut self) {
        self.head = None;
        for table in self.touched.drain(..) {
            self.tables[table.0 as usize] = Count::default();
        }
    }

    /// The same group begins again.
    pub(super) fn resume(&mut self) {
        for table in &self.touched {
            let count = &mut self.tables[table.0 as usize];
            (count.left, count.again) = (count.routed, 0);
        }
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
        if count.left > 0 {
            count.left -= 1;
            count.again = mark(count.again, head);
            return match count.left == 0 && count.again != count.mark {
                true => Err(RouterError::AnotherGroup),
                false => Ok(false),
            };
        }
        if count.routed == 0 {
            self.touched.push(head.table);
        }
        count.routed += 1;
        count.mark = mark(count.mark, head);
        Ok(true)
    }

    /// True if everything that was routed before came again, but for tables that have stopped.
    pub(super) fn is_whole(&self, stopped: &BTreeSet<TableId>) -> bool {
        let came = |table: &TableId| self.tables[table.0 as usize].left == 0;
        self.touched.iter().all(|table| came(table) || stopped.contains(table))
    }
}

fn mark(before: u64, head: &FrameHead) -> u64 {
    let frame = u64::from(head.len) << 8 ^ head.kind as u64;
    (before ^ frame).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}
