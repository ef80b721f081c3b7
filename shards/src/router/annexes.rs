//! Records beside rows on their way through the router.
//!
//! Enters: annex records, at their place in the log. Leaves: frames of the pseudo-table's shard, in
//! order with the rows of their transaction. Keeps: nothing uncommitted leaves (a held group's
//! records wait with its frames); `through` moves at whole transactions only; a transaction that is
//! read again after a lost connection gives none of its records twice.

use std::sync::Arc;

use penstock_protocol::schema::TableSchema;

use crate::annex::{Annex, Order};
use crate::hop::{TxnHead, TxnOrigin};
use crate::router::{Mode, Router, RouterError};
use crate::seq::ShardId;

/// What waits among the frames of a group whose end is not known.
#[derive(Clone)]
pub enum Beside {
    /// A schema, for the frames behind it.
    Schema(Arc<TableSchema>),
    /// A record beside rows.
    Annex(Arc<Annex>),
}

impl Beside {
    /// True for a schema, which by itself is no reason to route a group.
    pub(super) fn is_schema(&self) -> bool {
        matches!(self, Self::Schema(_))
    }
}

impl Router {
    /// A record beside rows, at this place of the log. In an open group it belongs to the group:
    /// it leaves with it, has its `Seq` and its head (`origin` and `commit_us` are not looked at),
    /// and is dropped with it; a group that has no frames but this is routed all the same. Outside
    /// of groups it gets a `Seq` of its own with this head. Readers give `SchemaChange` and
    /// `Message` so; what the same group gives again after `interrupted` is passed over by count.
    ///
    /// It moves no position: what does (`commit`, `advance`) follows as without it, behind it. The
    /// next `flush` makes a commit point. Inside the first snapshot give it inside the snapshot's
    /// group: then a restart, which takes the snapshot again, takes the record back too.
    pub fn annex(
        &mut self,
        annex: Annex,
        origin: TxnOrigin,
        commit_us: i64,
    ) -> Result<(), RouterError> {
        let annex = Arc::new(annex);
        match self.group.as_ref().map(|group| group.mode) {
            Some(Mode::Held) => {
                self.held.beside.push((self.held.frames(), Beside::Annex(annex)));
            }
            Some(Mode::Streaming) => {
                if self.streamed.take_annex(&annex)? {
                    let txn = self.streaming_head();
                    let tally = self.streamed.tally.as_mut();
                    let order = tally.map_or_else(Order::default, |tally| tally.annex(&annex));
                    self.push_annex(&annex, &txn, order);
                }
            }
            None if self.cut.is_some() => return Err(RouterError::AnotherGroup),
            None => self.annex_alone(&annex, origin, commit_us),
        }
        Ok(())
    }

    /// A heartbeat record: it waits for nothing, not even for the end of an open group.
    pub fn heartbeat(&mut self) {
        let annex = Arc::new(Annex::Heartbeat);
        let streams = self.group.as_ref().is_some_and(|group| group.mode == Mode::Streaming);
        match self.streamed.head.clone().filter(|_| streams || self.cut.is_some()) {
            // This transaction has its number already: no greater one may be whole before it.
            Some(txn) => self.push_annex(&annex, &txn, Order::default()),
            None => {
                // Nothing of the head is told in a heartbeat.
                let origin = TxnOrigin::Wal { xid: 0, last_commit_lsn: 0, replicated: None };
                self.annex_alone(&annex, origin, 0);
            }
        }
    }

    /// As a transaction of its own, whole at once.
    pub(super) fn annex_alone(&mut self, annex: &Arc<Annex>, origin: TxnOrigin, commit_us: i64) {
        self.last.0 += 1;
        let txn = Arc::new(TxnHead { seq: self.last, commit_us, origin, id: None });
        self.push_annex(annex, &txn, Order::default());
        self.whole = self.last;
        self.point.dirty = true;
        self.txns_since_flush += 1;
    }

    pub(super) fn push_annex(&mut self, annex: &Arc<Annex>, txn: &Arc<TxnHead>, order: Order) {
        let (owner, max) = (self.annex_owner(annex), self.limits.frames_per_batch);
        let order = self.counter.as_ref().map(|_| order);
        self.open.push_annex(owner, annex, txn, order, self.whole, max, &mut self.out);
    }

    pub(super) fn owner_of(&self, beside: &Beside) -> ShardId {
        match beside {
            Beside::Schema(schema) => self.map.owner(&schema.name),
            Beside::Annex(annex) => self.annex_owner(annex),
        }
    }

    pub(super) fn annex_owner(&self, annex: &Annex) -> ShardId {
        self.annex_owners[annex.kind() as usize]
    }
}
