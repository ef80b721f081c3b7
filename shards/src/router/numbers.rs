//! Transaction metadata (`provide_transaction_metadata`): numbers of events, BEGIN and END records.
//!
//! Enters: frames of a group that begins with `mark_begin`, in the order in which they leave. Leaves:
//! the numbers of each frame's first event, and a record at both ends of the group. Keeps: numbers
//! are given before frames part to their shards, so they are the same whatever the shards; a frame
//! is counted by the version of its table that stood when the log had it, also when it comes back
//! from the spill store much later; the END record is the last frame of its transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, TableId};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::schema::TableSchema;

use crate::annex::{Annex, AnnexKind, Order, TransactionRecord};
use crate::encode::EventCounter;
use crate::hop::{TxnHead, TxnOrigin};
use crate::router::annexes::Beside;
use crate::router::{Group, Router};
use crate::segment::Segment;

/// What Debezium calls the collection of logical messages.
const MESSAGES: &str = "LOGICAL_DECODING_MESSAGE";

/// Where a group begins or ends, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub position: u64,
    pub ts_us: i64,
}

/// The numbers of one transaction so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    total: u64,
    /// In the order of their first event.
    tables: Vec<(Arc<str>, u64)>,
    index: BTreeMap<TableId, usize>,
}

impl Tally {
    /// Numbers of the first of `events` events of a table.
    fn take(&mut self, table: TableId, events: u32, name: impl Fn() -> Arc<str>) -> Order {
        if events == 0 {
            return Order::default();
        }
        let at = *self.index.entry(table).or_insert_with(|| {
            self.tables.push((name(), 0));
            self.tables.len() - 1
        });
        let (_, counted) = &mut self.tables[at];
        let order = Order { total: self.total + 1, collection: *counted + 1 };
        self.total += u64::from(events);
        *counted += u64::from(events);
        order
    }

    /// Numbers of a frame of rows.
    pub(super) fn rows(
        &mut self,
        counter: &mut EventCounter,
        schema: &Arc<TableSchema>,
        segment: &Segment,
        head: &FrameHead,
    ) -> Order {
        let events = counter.count(schema, segment, head);
        self.take(head.table, events, || schema.name.to_string().into())
    }

    /// Numbers of a record beside rows: logical messages alone have some.
    pub(super) fn annex(&mut self, annex: &Annex) -> Order {
        match annex {
            Annex::Message(message) if message.transactional => {
                self.take(AnnexKind::Message.table(), 1, || MESSAGES.into())
            }
            _ => Order::default(),
        }
    }

    /// The END record.
    pub(super) fn end(self, mark: Mark) -> Annex {
        let Mark { position, ts_us } = mark;
        Annex::Transaction(TransactionRecord { position, ts_us, counts: Some(self.tables) })
    }
}

/// The numbers of a group that comes back from the spill store.
pub(super) struct Numbering {
    pub tally: Tally,
    pub end: Mark,
    /// Versions as they stand where the reading is.
    pub schemas: BTreeMap<TableId, Arc<TableSchema>>,
}

impl Numbering {
    /// Numbers of what stands beside the frames; a version of a table holds from here on.
    pub(super) fn pass(&mut self, beside: &Beside) -> Order {
        match beside {
            Beside::Schema(schema) => {
                self.schemas.insert(schema.table, Arc::clone(schema));
                Order::default()
            }
            Beside::Annex(annex) => self.tally.annex(annex),
        }
    }
}

/// Numbers of a frame of a group that was held.
pub(super) fn order(
    numbering: &mut Option<Numbering>,
    counter: &mut EventCounter,
    segment: &Segment,
    head: &FrameHead,
) -> Order {
    let Some(Numbering { tally, schemas, .. }) = numbering else { return Order::default() };
    let schema = schemas.get(&head.table);
    schema.map_or_else(Order::default, |schema| tally.rows(counter, schema, segment, head))
}

impl Router {
    /// Switches transaction metadata on. At start, before all else.
    pub fn provide_transaction_metadata(&mut self, counter: EventCounter) {
        self.counter = Some(counter);
    }

    /// The next group is a transaction to consumers: its events are numbered, and a BEGIN and an END
    /// record stand around them, also if it has none. Call it right before `begin`; a group without
    /// it has `transaction` null, as Debezium has it for statements outside of BEGIN and for XA.
    /// `position`: where the begin stands (PostgreSQL: `dataStart` of Begin; MySQL: the offset of the
    /// BEGIN event); `ts_us`: `ts_ms` of the record. Does nothing while metadata is off.
    pub fn mark_begin(&mut self, position: u64, ts_us: i64) {
        if self.counter.is_some() {
            self.begin_mark = Some(Mark { position, ts_us });
        }
    }

    /// `ts_ms` of the END record, if it is not `commit_us`. Right before `commit`.
    pub fn mark_end(&mut self, ts_us: i64) {
        self.end_us = Some(ts_us);
    }

    /// Head of a group that leaves, and what its BEGIN says; `None`: it is not numbered.
    pub(super) fn head_of(&mut self, group: &Group) -> (Arc<TxnHead>, Option<Mark>) {
        self.last.0 += 1;
        let id = group.begin.map(|begin| transaction_id(group, begin));
        let (origin, commit_us, seq) = (group.origin.clone(), group.commit_us, self.last);
        (Arc::new(TxnHead { seq, commit_us, origin, id }), group.begin)
    }

    /// Sends the BEGIN record.
    pub(super) fn tell_begin(&mut self, txn: &Arc<TxnHead>, mark: Mark) {
        let Mark { position, ts_us } = mark;
        let record = TransactionRecord { position, ts_us, counts: None };
        self.push_annex(&Arc::new(Annex::Transaction(record)), txn, Order::default());
    }

    /// Where the END record of a group stands.
    pub(super) fn end_of(&mut self, group: &Group, delta: &PositionDelta) -> Mark {
        let ts_us = self.end_us.take().unwrap_or(group.commit_us);
        let position = match delta {
            PositionDelta::Lsn { commit_lsn, .. } => *commit_lsn,
            PositionDelta::Binlog { .. } => 0,
        };
        Mark { position, ts_us }
    }
}

/// `transaction.id` (PostgreSQL: its first half).
fn transaction_id(group: &Group, begin: Mark) -> Arc<str> {
    match &group.origin {
        TxnOrigin::Wal { xid, .. } | TxnOrigin::WalSnapshot { xid, .. } => xid.to_string().into(),
        TxnOrigin::Binlog { gtid: Some(gtid), .. } => Arc::clone(gtid),
        TxnOrigin::Binlog { file, .. } | TxnOrigin::BinlogSnapshot { file, .. } => {
            format!("file={file},pos={}", begin.position).into()
        }
    }
}
