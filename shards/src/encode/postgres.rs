//! PostgreSQL: pgoutput tuples and snapshot rows to envelopes.
//!
//! Enters: bodies of Insert, Update and Delete messages, and DataRow bodies. Leaves: events, or a
//! refusal while this source's rows are not decoded.

use penstock_protocol::schema::ColumnType;
use penstock_protocol::value::RowVisitor;

use super::cells::Spans;
use super::debezium_json::{
    Instant, Job, RowSource, SourceText, Table, op_index, put_end, refused,
};
use super::plan::Plan;
use super::text::Out;
use super::{EncodeError, Encoded, Resume};
use crate::batch::{Batch, Op};

/// How tuples of a table version are walked.
pub(crate) struct Walk;

impl Walk {
    /// Compiles it.
    pub fn new(_plan: &Plan) -> Self {
        Self
    }
}

/// The source block of one frame.
pub(crate) struct Source<'a> {
    text: &'a SourceText,
}

impl RowSource for Source<'_> {
    fn put(&self, out: &mut Out, op: Op, _row: u32) {
        out.exact(self.text.head.get());
        out.exact(self.text.mid.get());
        out.exact(self.text.tails[op_index(op)].get());
    }

    fn room(&self) -> usize {
        let tails = self.text.tails.iter().map(|tail| tail.len()).max().unwrap_or(0);
        self.text.head.len() + self.text.mid.len() + tails
    }
}

/// Draws what the transaction, the frame and these operations need.
pub(crate) fn source<'a>(text: &'a mut SourceText, job: &Job, ops: &[Op]) -> Source<'a> {
    let instant = Instant::new(job.now_us);
    for &op in ops {
        text.tails[op_index(op)].draw(0, 512, |out| put_end(out, op, &instant));
    }
    Source { text }
}

/// Appends the rows of one frame (see `RowEncoder::encode`).
pub(crate) fn encode(
    _table: &mut Table,
    _spans: &mut Spans,
    _job: &Job,
    _resume: &mut Resume,
    _batch: &mut Batch,
) -> Result<Encoded, EncodeError> {
    Err(refused("PostgreSQL rows are not decoded yet".into()))
}

/// A literal of the catalogue, in PostgreSQL's output text, to a cell.
pub(crate) fn default<V: RowVisitor>(_ty: &ColumnType, _text: &str, _v: &mut V) -> Option<()> {
    None
}
