//! MySQL and MariaDB: rows whose images lack columns or hold changes of documents, and rows of
//! system-versioned tables.
//!
//! Enters: a row of an event that is not whole (`binlog_row_image`, `binlog_row_value_options`), or
//! whose table has a period. Leaves: the row's events. Keeps: NULL, "not in this image" and a value
//! stay apart up to here; a value that the log does not hold is never made up; the hot loop
//! (`mysql`) knows nothing of all this.
//!
//! What stands for a column that an image does not have:
//!
//! | image | what is printed |
//! |---|---|
//! | insert | the column's default, if the schema knows it as a literal or knows that there is none (then NULL, or the type's implicit default; the servers log what an expression or a clock gave); else "unavailable" |
//! | update, before | "no value": null, in a NOT NULL column its default or its type's fallback, as Debezium does for PostgreSQL's replica identity |
//! | update, after | the value of the before image, if that has it (FULL_NODUP, MINIMAL's key); else "unavailable" |
//! | delete | "no value" |
//!
//! "Unavailable" is `unavailable_value_placeholder` where values are strings, its base64 where they
//! are bytes, else null, also in a NOT NULL column. A key column without value ends the table.
//!
//! By setting: FULL and FULL_NODUP (MariaDB) give what Debezium gives for FULL, but for generated
//! columns that MariaDB's FULL_NODUP leaves out of both images; NOBLOB lacks unchanged BLOB, TEXT
//! and JSON only; MINIMAL lacks, in an update, all that the statement did not set.
//!
//! History (HAZARDS L24): a row whose period has ended is no event of its key. The INSERT of the old
//! version, which follows each UPDATE, is dropped; the UPDATE that ends a row's period, which is how
//! a DELETE is logged, becomes a delete.

use penstock_protocol::mysql::images::{CellAt, locate_image, value_bytes, visit_cell};
use penstock_protocol::mysql::rows::{RowError, RowOps, RowsHead};
use penstock_protocol::value::RowVisitor as _;

use super::cells::CellWriter;
use super::debezium_json::{Emitter, RowSource, Text, is_skipped, key_changed};
use super::mysql::{Part, Walk};
use super::options::EncodeOptions;
use crate::batch::Op;

/// Lists of cells: room for one row of a table.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) before: Vec<CellAt>,
    after: Vec<CellAt>,
}

/// What every row of a frame shares.
pub(super) struct Event<'a> {
    pub walk: &'a Walk,
    pub head: &'a RowsHead,
    pub part: Part<'a>,
    pub options: &'a EncodeOptions,
}

/// What a column without value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Left out by an insert.
    Omitted,
    /// Not logged in a row that is gone.
    NoValue,
    /// Not logged in a row that stands.
    Unavailable,
}

/// One image: its cells, and those that stand in for what it lacks.
#[derive(Clone, Copy)]
struct Image<'a> {
    cells: &'a [CellAt],
    under: &'a [CellAt],
    missing: Missing,
}

impl Image<'_> {
    fn cell(&self, col: usize) -> CellAt {
        let of = |cells: &[CellAt]| cells.get(col).copied().unwrap_or(CellAt::Absent);
        match of(self.cells) {
            CellAt::Absent => of(self.under),
            cell => cell,
        }
    }
}

impl Event<'_> {
    /// Appends the events of the row at `at`; where it ends. `op`: of the frame; `row`: its number
    /// and ordinal.
    #[inline(never)]
    pub(super) fn row<'p, S: RowSource>(
        &self,
        Scratch { before, after }: &mut Scratch,
        at: usize,
        w: &mut CellWriter<'p, false>,
        emit: &mut Emitter<'p, S>,
        op: Op,
        row: (u32, u32),
    ) -> Result<usize, RowError> {
        let (ops, seg) = (&self.walk.ops, self.part.seg);
        let mut end = locate_image(ops, self.head, 0, seg, at, before)?;
        after.clear();
        if op == Op::Update {
            end = locate_image(ops, self.head, 1, seg, end, after)?;
        }
        if end > self.part.end {
            return Err(RowError::past_the_end(self.part.end));
        }
        if end == at {
            return Err(RowError::empty(at));
        }
        let missing = if op == Op::Create { Missing::Omitted } else { Missing::NoValue };
        let old = Image { cells: before, under: &[], missing };
        let new = Image { cells: after, under: before, missing: Missing::Unavailable };
        let op = match emit.plan.schema.period {
            Some([_, until]) => match self.living(usize::from(until), op, old, new)? {
                Some(op) if !is_skipped(self.options, op) => op,
                _ => return Ok(end),
            },
            None => op,
        };
        self.key_is_there(emit, old, at)?;
        if op == Op::Update {
            self.key_is_there(emit, new, at)?;
            self.update(old, new, w, emit, row)?;
        } else {
            self.single(old, w, emit, op, row)?;
        }
        Ok(end)
    }

    /// What became of a row of a versioned table, if it was the living one.
    fn living(&self, until: usize, op: Op, old: Image, new: Image) -> Result<Option<Op>, RowError> {
        let ends = |image: Image| match image.cell(until) {
            CellAt::Value(at) => {
                let end = value_bytes(&self.walk.ops, until, self.part.seg, at);
                Ok(!end.is_some_and(is_for_ever))
            }
            _ => Err(RowError {
                offset: self.part.start,
                column: Some(until),
                what: "no value of the end of the period in this row image",
            }),
        };
        if ends(old)? {
            return Ok(None);
        }
        Ok(Some(if op == Op::Update && ends(new)? { Op::Delete } else { op }))
    }

    fn key_is_there<S: RowSource>(
        &self,
        emit: &Emitter<'_, S>,
        image: Image,
        offset: usize,
    ) -> Result<(), RowError> {
        let plan = emit.plan;
        let lacks = |&col: &usize| {
            let known = image.missing == Missing::Omitted
                && plan.cells.get(col).is_some_and(|cell| cell.omitted_is_known);
            image.cell(col) == CellAt::Absent && !known
        };
        match plan.schema.key.iter().map(|&col| usize::from(col)).find(lacks) {
            None => Ok(()),
            Some(col) => Err(RowError {
                offset,
                column: Some(col),
                what: "a row image without its key (set binlog_row_image = FULL, also where \
                       sessions set it, then take a new snapshot)",
            }),
        }
    }

    /// The one image of an insert or a delete.
    fn single<'p, S: RowSource>(
        &self,
        image: Image,
        w: &mut CellWriter<'p, false>,
        emit: &mut Emitter<'p, S>,
        op: Op,
        row: (u32, u32),
    ) -> Result<(), RowError> {
        w.base = 0;
        self.key_outside(image, w, emit)?;
        let value = w.out.at();
        if op == Op::Delete {
            w.out.exact(b"{\"before\":{");
            self.write(&self.walk.ops, image, w)?;
            w.out.exact(b"},\"after\":null");
        } else {
            w.out.exact(b"{\"before\":null,\"after\":{");
            self.write(&self.walk.ops, image, w)?;
            w.out.byte(b'}');
        }
        emit.finish(w, op, value, row);
        Ok(())
    }

    fn update<'p, S: RowSource>(
        &self,
        old: Image,
        new: Image,
        w: &mut CellWriter<'p, false>,
        emit: &mut Emitter<'p, S>,
        row: (u32, u32),
    ) -> Result<(), RowError> {
        w.base = 0;
        self.key_outside(old, w, emit)?;
        w.base = 64;
        self.key_outside(new, w, emit)?;
        let value = w.out.at();
        w.out.exact(b"{\"before\":{");
        w.base = 0;
        self.write(&self.walk.ops, old, w)?;
        let before = Text { from: value + 10, to: w.out.at() + 1 };
        w.out.exact(b"},\"after\":{");
        w.base = 64;
        self.write(&self.walk.ops, new, w)?;
        let after = Text { from: before.to + 9, to: w.out.at() + 1 };
        w.out.byte(b'}');
        if key_changed(&w.out, emit.plan, w.spans) {
            let spans = &*w.spans;
            w.out.cold(|out| emit.rekey(out, spans, (before, after), row));
        } else {
            emit.finish(w, Op::Update, value, row);
        }
        Ok(())
    }

    /// Writes the key's texts in front of the value when they are not part of it.
    fn key_outside<'p, S: RowSource>(
        &self,
        image: Image,
        w: &mut CellWriter<'p, false>,
        emit: &Emitter<'p, S>,
    ) -> Result<(), RowError> {
        let Some(outside) = &self.walk.outside else { return Ok(()) };
        w.cells = emit.plan.outside.as_deref().unwrap_or_default();
        self.write(outside, image, w)?;
        w.cells = &emit.plan.cells;
        w.out.ensure(0);
        Ok(())
    }

    fn write(
        &self,
        ops: &RowOps,
        image: Image,
        w: &mut CellWriter<'_, false>,
    ) -> Result<(), RowError> {
        let seg = self.part.seg;
        for col in (0..ops.len()).filter(|&col| ops.is_wanted(col)) {
            match image.cell(col) {
                CellAt::Null => w.null(col),
                CellAt::Value(at) => visit_cell(ops, col, seg, at, w)?,
                CellAt::Absent => match image.missing {
                    Missing::Omitted => w.omitted(col),
                    Missing::NoValue => w.absent(col),
                    Missing::Unavailable => w.unchanged(col),
                },
                CellAt::Changes(at, len) => match image.under.get(col) {
                    Some(&CellAt::Value(old)) => {
                        let document = value_bytes(ops, col, seg, old).unwrap_or_default();
                        w.json_changed(col, document, seg.get(at..at + len).unwrap_or_default());
                    }
                    Some(CellAt::Null) if len == 0 => w.null(col),
                    Some(CellAt::Null) => {
                        let what = "changes of a document that is NULL";
                        return Err(RowError { offset: at, column: Some(col), what });
                    }
                    _ => w.unchanged(col),
                },
            }
        }
        Ok(())
    }
}

/// The end of the period of a living row: the greatest TIMESTAMP(6), in 32 signed bits before
/// MariaDB 11.5 and in 32 unsigned ones since, or the greatest transaction number.
fn is_for_ever(end: &[u8]) -> bool {
    matches!(
        end,
        [0x7F | 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F]
            | [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l24_the_end_of_time() {
        // Goal: living rows of both families of versions and of transaction-precise tables; a
        // moment before is history. Method: the stored bytes.
        assert!(is_for_ever(&[0x7F, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F]));
        assert!(is_for_ever(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F]));
        assert!(is_for_ever(&[0xFF; 8]));
        assert!(!is_for_ever(&[0x7F, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3E]));
        assert!(!is_for_ever(&[0xFF; 7]));
        assert!(!is_for_ever(&[]));
    }
}
