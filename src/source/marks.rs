//! The markers of a snapshot's rows (`source.snapshot`), whatever number of readers brings them.
//!
//! Enters: rows by table, the ends of tables. Leaves: the same rows, marked. Keeps: exactly one row
//! of all is last, one of each table the first and one the last of it; `first` is on the first row
//! that leaves (with one reader by Debezium's rule: if the first table has one). A row is held until
//! it is known not to be a last one, as a copy: it pins no segment of the pool (HAZARDS H5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, SnapshotMarker, TableId};
use penstock_shards::segment::Segment;

/// A row with its marker.
pub type Marked = (Arc<Segment>, FrameHead);

/// Gives each row its marker (ENVELOPE, section 3): last, first, `last_in_data_collection`,
/// `first_in_data_collection`, true, in this order of precedence.
pub struct Marks {
    first: First,
    /// The newest row of each table that is being read.
    held: BTreeMap<TableId, Marked>,
    /// The last row of the table that ended last: the last of all if nothing follows.
    ended: Option<Marked>,
    /// Tables of which a row has left.
    begun: BTreeSet<TableId>,
    /// Of which the last row was that has left.
    now: Option<TableId>,
}

/// Which row may be the first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The first one that leaves.
    Any,
    /// The first one, if it is of this table.
    Of(Option<TableId>),
}

impl Marks {
    /// Before the first row.
    pub fn new(first: First) -> Self {
        let (held, begun) = (BTreeMap::new(), BTreeSet::new());
        Self { first, held, ended: None, begun, now: None }
    }

    /// A row of this table has come: what was held and is no last row any more, marked.
    pub fn before(&mut self, table: TableId) -> [Option<Marked>; 2] {
        let ended = self.ended.take().map(|row| self.leave(row, true));
        let held = self.held.remove(&table).map(|row| self.leave(row, false));
        [ended, held]
    }

    /// Marks a row of a table which another row of it follows.
    pub fn followed(&mut self, head: FrameHead) -> FrameHead {
        FrameHead { marker: self.marker(head.table, false), ..head }
    }

    /// Holds the newest row of a table back.
    pub fn hold(&mut self, segment: &Segment, head: FrameHead) {
        self.held.insert(head.table, segment.copy_out(head));
    }

    /// No row of this table follows; a row that is no last one of all for it, marked.
    pub fn end_table(&mut self, table: TableId) -> Option<Marked> {
        let last = self.held.remove(&table)?;
        let before = self.ended.replace(last)?;
        Some(self.leave(before, true))
    }

    /// The last row of all.
    pub fn end(&mut self) -> Option<Marked> {
        debug_assert!(self.held.is_empty(), "a table has not ended");
        let (segment, head) = self.ended.take()?;
        Some((segment, FrameHead { marker: SnapshotMarker::Last, ..head }))
    }

    fn leave(&mut self, (segment, head): Marked, last: bool) -> Marked {
        (segment, FrameHead { marker: self.marker(head.table, last), ..head })
    }

    fn marker(&mut self, table: TableId, last: bool) -> SnapshotMarker {
        if !last && self.now == Some(table) {
            return SnapshotMarker::True;
        }
        let any = self.now.replace(table).is_some();
        let first_in_table = self.begun.insert(table);
        let may = self.first == First::Any || self.first == First::Of(Some(table));
        match (!any && may, last, first_in_table) {
            (true, ..) => SnapshotMarker::First,
            (_, true, _) => SnapshotMarker::LastInTable,
            (_, _, true) => SnapshotMarker::FirstInTable,
            _ => SnapshotMarker::True,
        }
    }
}

#[cfg(test)]
mod tests {
    use SnapshotMarker::{First as Begin, FirstInTable, Last, LastInTable, True};
    use penstock_protocol::frame::FrameKind;

    use super::*;

    /// A step of a reader: a piece with so many rows of a table, or the table's end.
    enum Step {
        Rows(u32, usize),
        End(u32),
    }
    use Step::{End, Rows};

    fn head(table: u32, offset: u32) -> FrameHead {
        FrameHead {
            kind: FrameKind::SnapshotRow,
            marker: True,
            format: 0,
            table: TableId(table),
            offset,
            len: 1,
            position: 0,
        }
    }

    /// Table, byte of the row and marker of all that leaves.
    fn markers(first: First, steps: &[Step]) -> Vec<(u32, u8, SnapshotMarker)> {
        let bytes: Vec<u8> = (0..64).collect();
        let segment = Segment::freeze(bytes, 64, None);
        let mut marks = Marks::new(first);
        let mut out: Vec<Marked> = Vec::new();
        let mut at = 0;
        for step in steps {
            match *step {
                Rows(table, count) => {
                    out.extend(marks.before(TableId(table)).into_iter().flatten());
                    for n in 0..count {
                        match n + 1 == count {
                            true => marks.hold(&segment, head(table, at)),
                            false => {
                                let head = marks.followed(head(table, at));
                                out.push((segment.clone(), head));
                            }
                        }
                        at += 1;
                    }
                }
                End(table) => out.extend(marks.end_table(TableId(table))),
            }
        }
        out.extend(marks.end());
        let row = |(segment, head): &Marked| {
            (head.table.0, segment.data()[head.offset as usize], head.marker)
        };
        out.iter().map(row).collect()
    }

    /// The markers alone, of one reader, of which table 1 is the first.
    fn one(steps: &[Step]) -> Vec<SnapshotMarker> {
        let first = First::Of(Some(TableId(1)));
        markers(first, steps).into_iter().map(|(.., marker)| marker).collect()
    }

    #[test]
    fn markers_follow_their_precedence() {
        // Goal: ENVELOPE section 3: last, first, last_in, first_in, true, in this order of
        // precedence; the last row of all is that of the last table with rows, the first that of the
        // first table, if it has one. Method: rows by table, in pieces of several sizes.
        assert_eq!(one(&[End(1)]), []);
        assert_eq!(one(&[Rows(1, 1), End(1)]), [Last]);
        assert_eq!(one(&[Rows(1, 2), End(1)]), [Begin, Last]);
        assert_eq!(one(&[Rows(1, 1), Rows(1, 1), End(1), End(2)]), [Begin, Last]);
        assert_eq!(one(&[Rows(1, 1), End(1), Rows(2, 1), End(2)]), [Begin, Last]);
        let steps = [Rows(1, 2), End(1), Rows(2, 1), End(2)];
        assert_eq!(one(&steps), [Begin, LastInTable, Last]);
        let steps = [Rows(1, 3), End(1), Rows(2, 1), End(2), Rows(3, 2), Rows(3, 2), End(3)];
        let wanted = [Begin, True, LastInTable, LastInTable, FirstInTable, True, True, Last];
        assert_eq!(one(&steps), wanted);
        let steps = [End(1), Rows(2, 2), End(2), Rows(3, 2), End(3)];
        assert_eq!(one(&steps), [FirstInTable, LastInTable, FirstInTable, Last]);
    }

    #[test]
    fn h05_several_readers_have_one_of_each_marker() {
        // Goal: rows of several tables, and of parts of one, interleaved: every row once, one first
        // and one last of all, the ends of tables right, order within a table kept; what is held is a
        // copy. Method: three tables whose pieces alternate; the rows that leave, in order.
        let steps = [
            Rows(2, 2), // 0, 1
            Rows(1, 1), // 2
            Rows(2, 2), // 3, 4
            End(2),
            Rows(1, 2), // 5, 6
            Rows(3, 1), // 7
            End(3),
            End(1),
        ];
        let wanted = [
            (2, 0, Begin),
            (2, 1, True),
            (2, 3, True),
            (2, 4, LastInTable),
            (1, 2, FirstInTable),
            (1, 5, True),
            (3, 7, LastInTable),
            (1, 6, Last),
        ];
        assert_eq!(markers(First::Any, &steps), wanted);
    }
}
