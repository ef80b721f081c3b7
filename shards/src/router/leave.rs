//! A held group on its way out: its end was COMMIT.
//!
//! Enters: the group with all that it held. Leaves: its frames, schemas and records in their order,
//! from memory at once, from the spill store piece by piece (`replay`). Keeps: everything routed
//! before goes before it; tables that have stopped get nothing.

use std::sync::Arc;

use penstock_protocol::frame::TableId;

use crate::annex::Order;
use crate::bugs::Bug;
use crate::hop::TxnHead;
use crate::router::annexes::Beside;
use crate::router::held::Held;
use crate::router::numbers::{self, Mark, Numbering, Tally};
use crate::router::replay::{Owner, Replay};
use crate::router::{Group, Out, Router};

impl Router {
    /// Routes a held group whose end was COMMIT, at `end`.
    pub(super) fn route_held(&mut self, group: Group, held: &Held, end: Mark) {
        let schemas_alone = held.beside.iter().all(|(_, beside)| beside.is_schema());
        if held.frames() == 0 && schemas_alone && group.begin.is_none() {
            for (_, beside) in &held.beside {
                if let Beside::Schema(schema) = beside {
                    self.send_schema(Arc::clone(schema));
                }
            }
            return;
        }
        let (txn, begin) = self.head_of(&group);
        if let Some(begin) = begin {
            self.tell_begin(&txn, begin);
        }
        let mut numbering = begin.map(|_| self.numbering_of(held, end));
        if held.is_spilled() {
            let owners = self.owners_of(held.tables());
            let owned =
                |(before, beside): &(u64, Beside)| (*before, self.owner_of(beside), beside.clone());
            let beside = held.beside.iter().map(owned).collect();
            let (spill, bytes) = (held.spill_id(), held.spilled_bytes());
            let (shards, limits) = (self.map.shards(), self.limits);
            let mut replay = Replay::new(spill, bytes, txn, owners, beside, shards, limits);
            replay.number(numbering, self.counter.is_some(), self.annex_owners);
            self.queue_replay(replay);
            return;
        }
        let mut beside = held.beside.iter().peekable();
        for (n, (segment, head)) in held.memory().enumerate() {
            while let Some((_, beside)) = beside.next_if(|(at, _)| *at <= n as u64) {
                self.route_beside(beside, &txn, numbering.as_mut());
            }
            let Some(table) = &self.tables[head.table.0 as usize] else { continue };
            if self.stopped.contains(&head.table) {
                continue;
            }
            let max = self.limits.frames_per_batch;
            let counter = self.counter.as_mut();
            let order =
                counter.map(|counter| numbers::order(&mut numbering, counter, segment, head));
            let (whole, out) = (self.whole, &mut self.out);
            self.open.push(table.owner, segment, *head, &txn, order, whole, max, out);
        }
        beside.for_each(|(_, beside)| self.route_beside(beside, &txn, numbering.as_mut()));
        if let Some(Numbering { tally, end, .. }) = numbering {
            self.push_annex(&Arc::new(tally.end(end)), &txn, Order::default());
        }
    }

    fn route_beside(
        &mut self,
        beside: &Beside,
        txn: &Arc<TxnHead>,
        numbering: Option<&mut Numbering>,
    ) {
        let order = numbering.map_or_else(Order::default, |numbering| numbering.pass(beside));
        match beside {
            Beside::Schema(schema) => self.send_schema(Arc::clone(schema)),
            Beside::Annex(annex) => self.push_annex(annex, txn, order),
        }
    }

    /// Numbers of a held group that leaves.
    fn numbering_of(&self, held: &Held, end: Mark) -> Numbering {
        let mut schemas = held.before.clone();
        for id in held.tables() {
            if let Some(Some(table)) = self.tables.get(id.0 as usize) {
                schemas.entry(*id).or_insert_with(|| Arc::clone(&table.schema));
            }
        }
        Numbering { tally: Tally::default(), end, schemas }
    }

    /// By the index that records use.
    pub(super) fn owners_of(&self, tables: &[TableId]) -> Vec<Owner> {
        let owner = |&t: &TableId| match self.tables.get(t.0 as usize).and_then(Option::as_ref) {
            _ if self.stopped.contains(&t) => Owner::Stopped,
            Some(table) => Owner::Shard(t, table.owner),
            None => Owner::Unknown(t),
        };
        tables.iter().map(owner).collect()
    }

    /// Everything routed so far goes before a group that is read back from the spill.
    pub(super) fn queue_replay(&mut self, replay: Replay) {
        if self.bugs.has(Bug::SpillOvertaken) {
            self.out.push_back(Out::Replay(Box::new(replay)));
            return;
        }
        self.open.seal_all(self.whole, &mut self.out);
        self.out.push_back(Out::Replay(Box::new(replay)));
    }
}
