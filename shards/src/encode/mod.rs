//! Encoders: from frames to events in an arena. Decode and encode are one step per cell: the
//! protocol's walker calls the encoder's visitor. What depends on the schema alone is compiled
//! once per table version (`plan`).

mod annex;
mod cells;
mod count;
mod debezium_json;
mod defaults;
mod incomplete;
mod java_map;
mod mysql;
mod number;
pub mod options;
mod placeholder;
mod plan;
mod postgres;
pub mod rules;
mod spatial;
mod special;
mod temporal;
mod text;

pub use count::EventCounter;
pub use debezium_json::{JsonEncoder, SOURCE_VERSION};

use std::sync::Arc;

use penstock_protocol::schema::TableSchema;

use crate::annex::{Annex, Order};
use crate::batch::Batch;
use crate::hop::{Frame, TxnHead};
use crate::segment::Segment;

/// How far `RowEncoder::encode` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// All rows of the frame are in the batch (or filtered).
    Done,
    /// The batch has no room: seal it and call again with the same frame and `resume`.
    Full,
}

/// Where to go on in a frame whose rows did not all fit. Zero at its first call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Bytes of the body already done.
    pub offset: u32,
    /// Rows already done.
    pub row: u32,
    /// With transaction metadata: numbers of the next event (the shard sets those of the first).
    pub order: Option<Order>,
}

/// Why a frame cannot be encoded. Definite: it is the table's (HAZARDS L21); no cell values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// What is wrong, in a sentence that can stand in a log.
    pub reason: String,
}

/// Turns frames into events. One per shard; keeps a plan per table.
pub trait RowEncoder {
    /// A new version of a table. An unsupported column type is no error here: only a row is.
    fn handle_schema(&mut self, schema: Arc<TableSchema>);

    /// Appends the rows of `frame` to `batch`, from `resume` on, as long as there is room
    /// (`limits::BATCH_BYTES_MAX`, `BATCH_EVENTS_MAX`); an empty batch takes any one row.
    /// Frames arrive in log order. `now_us`: processing time for `ts_ms`, `ts_us`, `ts_ns`.
    fn encode(
        &mut self,
        segment: &Segment,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        now_us: i64,
        resume: &mut Resume,
        batch: &mut Batch,
    ) -> Result<Encoded, EncodeError>;

    /// Appends a record beside rows, if there is room. `frame`: its own, of the kind `Annex`;
    /// `order`: its numbers, if it is counted.
    fn encode_annex(
        &mut self,
        annex: &Annex,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        now_us: i64,
        order: Option<Order>,
        batch: &mut Batch,
    ) -> Encoded;

    /// What an operator should hear of, once a column: values that a record cannot tell were left
    /// null. No cell values.
    fn take_note(&mut self) -> Option<String> {
        None
    }

    /// Topic names by `EventRef::topic`; grows, never reorders.
    fn topics(&self) -> Arc<Vec<Arc<str>>>;
}
