//! How many events a frame will make, before it is encoded: numbers in a transaction
//! (`provide_transaction_metadata`) have to be known over all shards (HAZARDS M1).
//!
//! Enters: frames in log order, each with the version of its table. Leaves: the number of events,
//! tombstones not counted. Keeps: the very code that encodes decides (skipped operations, changes of
//! a key, updates without a change), on plans that write the key alone where that suffices. A frame
//! that cannot be read counts as far as it could be; its shard refuses it, and its table with it.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker};
use penstock_protocol::schema::{SourceKind, TableSchema};

use super::options::EncodeOptions;
use super::{Encoded, JsonEncoder, Resume, RowEncoder};
use crate::batch::{Batch, Op};
use crate::hop::{Frame, TxnHead, TxnOrigin};
use crate::segment::Segment;
use crate::seq::Seq;

/// Counts events. One per pipeline, at its router.
pub struct EventCounter {
    encoder: JsonEncoder,
    kind: SourceKind,
    skipped: Vec<u8>,
    compares_values: bool,
    /// By `TableId`: the version that the encoder has.
    tables: Vec<Option<Arc<TableSchema>>>,
    batch: Batch,
    /// What its events say of their transaction: nobody reads it.
    txn: Arc<TxnHead>,
}

impl EventCounter {
    /// A counter for records with these options.
    pub fn new(options: &EncodeOptions, kind: SourceKind) -> Self {
        let compares_values = options.skip_messages_without_change;
        let skipped = options.skipped_operations.clone();
        let origin = TxnOrigin::Wal { xid: 0, last_commit_lsn: 0, replicated: None };
        Self {
            encoder: JsonEncoder::for_counting(options.clone(), kind, !compares_values),
            kind,
            skipped,
            compares_values,
            tables: Vec::new(),
            batch: Batch::default(),
            txn: Arc::new(TxnHead { seq: Seq(0), commit_us: 0, origin, id: None }),
        }
    }

    /// Events of a frame whose table has this version.
    pub fn count(&mut self, schema: &Arc<TableSchema>, segment: &Segment, head: &FrameHead) -> u32 {
        let op = match head.kind {
            FrameKind::Insert => Op::Create,
            FrameKind::Update => Op::Update,
            FrameKind::Delete => Op::Delete,
            FrameKind::Truncate => Op::Truncate,
            // Neither has numbers of its own.
            FrameKind::SnapshotRow | FrameKind::Annex => return 0,
        };
        // What a row of a versioned table means is told by its period.
        let versioned = schema.period.is_some();
        let skipped = self.skipped.contains(&(op as u8)) && !versioned;
        if head.marker != SnapshotMarker::Streaming || skipped {
            return 0;
        }
        self.learn(schema);
        let frame = Frame { head: *head, txn: 0 };
        if op == Op::Truncate {
            return 1;
        }
        let by_row = self.compares_values || self.encoder.has_key(head.table);
        if op == Op::Update && by_row || versioned {
            return self.encoded(segment, &frame);
        }
        match self.kind {
            SourceKind::Postgres => u32::from(!self.encoder.refuses(head.table)),
            SourceKind::MySql | SourceKind::MariaDb => {
                self.encoder.count_rows(segment, &frame, &self.txn)
            }
        }
    }

    fn learn(&mut self, schema: &Arc<TableSchema>) {
        let at = schema.table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize(at + 1, None);
        }
        if !self.tables[at].as_ref().is_some_and(|known| Arc::ptr_eq(known, schema)) {
            self.tables[at] = Some(Arc::clone(schema));
            self.encoder.handle_schema(Arc::clone(schema));
        }
    }

    /// Encodes it and throws the text away.
    fn encoded(&mut self, segment: &Segment, frame: &Frame) -> u32 {
        let (mut resume, mut events) = (Resume::default(), 0);
        loop {
            self.batch.clear();
            let (txn, batch) = (&self.txn, &mut self.batch);
            let outcome = self.encoder.encode(segment, frame, txn, 0, &mut resume, batch);
            let told = batch.events.iter().filter(|event| event.op != Op::Tombstone).count();
            events += u32::try_from(told).unwrap_or(u32::MAX);
            match outcome {
                Ok(Encoded::Full) if told > 0 => {}
                _ => return events,
            }
        }
    }
}
