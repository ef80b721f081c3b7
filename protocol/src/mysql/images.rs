//! Row images that lack columns, or hold changes of JSON documents: where each cell stands.
//!
//! ```text
//!  PARTIAL_UPDATE_ROWS   before image | value options lenenc | [partial bitmap] | after image
//!  partial bitmap        if bit 0 of the options is set: one bit a JSON column of the table
//!  a partial value       length 4 | changes (`json_diff`)
//! ```
//! (MySQL `rows_event.h`, `Update_rows_event`; `sql/rpl_record.cc`. MariaDB's FULL_NODUP, `sql/log_event.h`.)
//!
//! Enters: an image inside a segment. Leaves: a list of places, from which cells are visited in any
//! order and any number of times; a NULL and an absent column stay apart. Keeps: every place is
//! inside the slice; the list is the caller's, so that no row allocates.

use alloc::vec::Vec;

use super::rows::{RowError, RowOps, RowsHead, cell, is_set, malformed, step, truncated};
use crate::cursor::Cursor;
use crate::mysql::packet::lenenc;
use crate::value::RowVisitor;

/// Where a cell of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellAt {
    /// Not in this image.
    Absent,
    /// NULL.
    Null,
    /// Its value starts here.
    Value(usize),
    /// Changes of the document in the image before: offset and length.
    Changes(usize, usize),
}

/// Lists the cells of an event's image `number`, which starts at `at`; where it ends, which may be
/// behind the event: the caller compares.
pub fn locate_image(
    ops: &RowOps,
    head: &RowsHead,
    number: usize,
    seg: &[u8],
    at: usize,
    cells: &mut Vec<CellAt>,
) -> Result<usize, RowError> {
    cells.clear();
    let (at, partial) = match head.partial && number == 1 {
        true => value_options(ops, seg, at)?,
        false => (at, None),
    };
    let present = seg.get(head.present_at[number]..).unwrap_or_default();
    let count = (0..ops.len()).filter(|&col| is_set(present, col)).count();
    let Some(nulls) = seg.get(at..at + count.div_ceil(8)) else { return Err(truncated(at)) };
    let (mut p, mut bit, mut document) = (at + nulls.len(), 0, 0);
    for (col, op) in ops.ops.iter().enumerate() {
        // The bitmap counts the documents that are not in the image, too.
        let is_partial = op.json && {
            document += 1;
            partial.is_some_and(|bits| is_set(bits, document - 1))
        };
        if !is_set(present, col) {
            cells.push(CellAt::Absent);
            continue;
        }
        bit += 1;
        if is_set(nulls, bit - 1) {
            cells.push(CellAt::Null);
        } else if is_partial {
            let mut c = Cursor::new(seg);
            c.skip(p)?;
            let len = c.u32_le()? as usize;
            c.skip(len)?;
            cells.push(CellAt::Changes(p + 4, len));
            p = c.offset();
        } else {
            cells.push(CellAt::Value(p));
            p = step(op, seg, p).ok_or_else(|| malformed(op, col, p))?;
        }
    }
    Ok(p)
}

/// What stands in front of a partial event's after image: where that begins, and the bitmap.
fn value_options<'a>(
    ops: &RowOps,
    seg: &'a [u8],
    at: usize,
) -> Result<(usize, Option<&'a [u8]>), RowError> {
    let mut c = Cursor::new(seg);
    c.skip(at)?;
    let options = lenenc(&mut c)?;
    if options > 1 {
        return Ok(c.invalid("value options of a partial update")?);
    }
    if options == 0 {
        return Ok((c.offset(), None));
    }
    let documents = ops.ops.iter().filter(|op| op.json).count();
    let bits = c.bytes(documents.div_ceil(8))?;
    Ok((c.offset(), Some(bits)))
}

/// Hands the value at `at` to the visitor.
pub fn visit_cell<V: RowVisitor>(
    ops: &RowOps,
    col: usize,
    seg: &[u8],
    at: usize,
    visitor: &mut V,
) -> Result<(), RowError> {
    let Some(op) = ops.ops.get(col) else { return Err(truncated(at)) };
    cell(op, col, seg, at, visitor).map(drop).ok_or_else(|| malformed(op, col, at))
}

/// The bytes of the value at `at`, without a length prefix.
pub fn value_bytes<'a>(ops: &RowOps, col: usize, seg: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let op = ops.ops.get(col)?;
    let end = step(op, seg, at)?;
    let start = if op.is_prefixed() { at + usize::from(op.size) } else { at };
    seg.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ColumnType;
    use alloc::vec;

    const INT: ColumnType = ColumnType::Int { bits: 8, unsigned: false };
    const JSON: ColumnType = ColumnType::Json { length_bytes: 4 };

    fn ops(types: &[ColumnType]) -> RowOps {
        RowOps::new(types.iter(), |_| true)
    }

    #[test]
    fn absent_null_and_value_are_three_states() {
        // Goal: each state as logged. Method: a MINIMAL update of (a, b, c, d): before has a, after
        // has b NULL and d.
        let ops = ops(&[INT, INT, INT, INT]);
        let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 4, 0b0001, 0b1010];
        body.extend([0, 7, 0b01, 9]);
        body.extend([0; 16]);
        let head = RowsHead::parse(31, &body, 0).expect("a head");
        assert_eq!(head.whole, [false, false]);
        let mut cells = Vec::new();
        let next = locate_image(&ops, &head, 0, &body, head.rows_at, &mut cells).expect("before");
        use CellAt::{Absent, Null, Value};
        assert_eq!(cells, [Value(14), Absent, Absent, Absent]);
        let end = locate_image(&ops, &head, 1, &body, next, &mut cells).expect("after");
        assert_eq!((cells.as_slice(), end), (&[Absent, Null, Absent, Value(16)][..], 17));
        assert_eq!(value_bytes(&ops, 3, &body, 16), Some(&[9u8][..]));
    }

    #[test]
    fn whole_and_partial_documents_in_one_image() {
        // Goal: the bitmap is over all documents of the table, in the image or not. Method: three
        // of them, the first absent, the second whole, the third changed.
        let ops = ops(&[JSON, INT, JSON, JSON]);
        let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 4, 0b0010, 0b1110];
        body.extend([0, 7]);
        let after = body.len();
        body.extend([1, 0b100, 0, 8, 2, 0, 0, 0, 4, 1, 3, 0, 0, 0, 2, 1, b'$']);
        let end = body.len();
        body.extend([0; 16]);
        let head = RowsHead::parse(39, &body, 0).expect("a head");
        let mut cells = Vec::new();
        assert_eq!(locate_image(&ops, &head, 0, &body, 13, &mut cells), Ok(after));
        assert_eq!(locate_image(&ops, &head, 1, &body, after, &mut cells), Ok(end));
        use CellAt::{Absent, Changes, Value};
        assert_eq!(cells, [Absent, Value(18), Value(19), Changes(end - 3, 3)]);
        assert_eq!(value_bytes(&ops, 2, &body, 19), Some(&[4u8, 1][..]));
        body[after] = 2;
        assert!(locate_image(&ops, &head, 1, &body, after, &mut cells).is_err());
        body[after] = 1;
        for cut in after..end {
            assert!(locate_image(&ops, &head, 1, &body[..cut], after, &mut cells).is_err());
        }
    }
}
