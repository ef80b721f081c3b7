//! Batches in flight: per sink and lane, from sealing to acknowledgement.
//!
//! Enters: sealed batches, acks. Leaves: deliveries in lane order. Keeps: acks are never
//! cumulative across lanes (invariant 2); a lane stops at its first failure: what is in flight is
//! awaited, then everything from the failed batch on goes again, in order (HAZARDS L18), also
//! what was acknowledged behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::batch::SealedBatch;
use crate::bugs::{Bug, Bugs};
use crate::encode::RowEncoder;
use crate::hop::{AckOutcome, Delivery, SinkAck};
use crate::seq::Seq;
use crate::shard::{Shard, ShardError, SinkDecl};

/// One sink's lanes.
pub(super) struct SinkLanes {
    pub(super) decl: SinkDecl,
    pub(super) reported: Seq,
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    /// In order; the front is never acked.
    queue: VecDeque<InFlight>,
    /// A batch failed: nothing goes until all that was sent is answered.
    failed: bool,
}

struct InFlight {
    batch: Arc<SealedBatch>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Sent { at_ms: u64 },
    Acked,
    Failed,
}

impl SinkLanes {
    pub(super) fn new(decl: SinkDecl, start: Seq) -> Self {
        let lanes = (0..decl.lanes).map(|_| Lane::default()).collect();
        Self { decl, reported: start, lanes }
    }

    pub(super) fn push(&mut self, batch: Arc<SealedBatch>) {
        let lane = usize::from(batch.lane.0);
        self.lanes[lane].queue.push_back(InFlight { batch, state: State::Waiting });
    }

    /// Batches between sealing and the end of their retention.
    pub(super) fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queue.len()).sum()
    }

    /// Least transaction of any unacknowledged batch, over all lanes.
    pub(super) fn unacked_min(&self, bugs: Bugs) -> Option<Seq> {
        let mut lanes = self.lanes.iter().filter_map(|lane| {
            let unacked = lane.queue.iter().filter(|flight| flight.state != State::Acked);
            unacked.map(|flight| flight.batch.seq_min).min()
        });
        if bugs.has(Bug::FirstLaneHoldsLeast) {
            return lanes.next();
        }
        lanes.min()
    }

    /// The first batch that may go now.
    fn next(&mut self, now_ms: u64) -> Option<Arc<SealedBatch>> {
        for lane in self.lanes.iter_mut().filter(|lane| !lane.failed) {
            if let Some(flight) = lane.queue.iter_mut().find(|f| f.state == State::Waiting) {
                flight.state = State::Sent { at_ms: now_ms };
                return Some(Arc::clone(&flight.batch));
            }
        }
        None
    }

    fn answer(&mut self, ack: &SinkAck, bugs: Bugs) {
        if bugs.has(Bug::CumulativeAcks) && ack.outcome == AckOutcome::Durable {
            let all = self.lanes.iter_mut().flat_map(|lane| lane.queue.iter_mut());
            for flight in all.filter(|flight| flight.batch.id <= ack.batch) {
                flight.state = State::Acked;
            }
        }
        for lane in &mut self.lanes {
            if let Some(flight) = lane.queue.iter_mut().find(|f| f.batch.id == ack.batch) {
                // An answer to something that is not on its way is a late double: it says nothing.
                if !matches!(flight.state, State::Sent { .. }) {
                    continue;
                }
                match ack.outcome {
                    AckOutcome::Durable => flight.state = State::Acked,
                    _ if bugs.has(Bug::TransientIsDurable) => flight.state = State::Acked,
                    _ if bugs.has(Bug::TransientForgotten) => {}
                    _ if bugs.has(Bug::LaneGoesOnAfterFailure) => flight.state = State::Waiting,
                    _ => (flight.state, lane.failed) = (State::Failed, true),
                }
            }
            lane.settle();
        }
    }

    /// The batch that was sent longest ago and is not answered.
    fn oldest(&self) -> Option<(u64, &SealedBatch)> {
        let all = self.lanes.iter().flat_map(|lane| lane.queue.iter());
        let sent = all.filter_map(|flight| match flight.state {
            State::Sent { at_ms } => Some((at_ms, &*flight.batch)),
            _ => None,
        });
        sent.min_by_key(|sent| sent.0)
    }
}

impl Lane {
    fn settle(&mut self) {
        let on_its_way = |flight: &InFlight| matches!(flight.state, State::Sent { .. });
        if self.failed && !self.queue.iter().any(on_its_way) {
            let mut behind = false;
            for flight in &mut self.queue {
                behind |= flight.state == State::Failed;
                if behind {
                    flight.state = State::Waiting;
                }
            }
            self.failed = false;
        }
        while self.queue.front().is_some_and(|flight| flight.state == State::Acked) {
            self.queue.pop_front();
        }
    }
}

impl<E: RowEncoder> Shard<E> {
    /// The next delivery. Batches are sealed by size, number of events and age first. `now_ms`: a
    /// monotonic clock. Every delivery is answered by exactly one `SinkAck`.
    pub fn poll_delivery(&mut self, now_ms: u64) -> Option<Delivery> {
        self.seal_due(now_ms);
        for _ in 0..self.sinks.len() {
            let at = self.turn % self.sinks.len();
            self.turn = (at + 1) % self.sinks.len();
            let sink = &mut self.sinks[at];
            if let Some(batch) = sink.next(now_ms) {
                return Some(Delivery { sink: sink.decl.sink, batch });
            }
        }
        self.watch_age(now_ms);
        None
    }

    fn seal_due(&mut self, now_ms: u64) {
        for at in 0..self.encodings.len() {
            for lane in 0..self.encodings[at].lanes {
                let full = self.is_full(at, lane);
                let open = &mut self.encodings[at].open[usize::from(lane)];
                if open.body.is_empty() {
                    continue;
                }
                let since = *open.since_ms.get_or_insert(now_ms);
                if full || now_ms.saturating_sub(since) >= self.limits.batch_age_ms {
                    self.seal(at, lane, self.current_through(at));
                }
            }
        }
    }

    fn watch_age(&mut self, now_ms: u64) {
        for sink in &self.sinks {
            let late = |at: u64| now_ms.saturating_sub(at) > self.limits.ack_age_ms;
            if let Some((at_ms, batch)) = sink.oldest()
                && late(at_ms)
                && self.error.is_none()
            {
                let (sink, batch) = (sink.decl.sink, batch.id);
                self.error = Some(ShardError::NoAnswer { sink, batch });
            }
        }
    }

    /// When `poll_delivery` has something to seal by age, by its clock; `None`: nothing is open, or
    /// nothing can be sealed before an ack comes.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let blocked = |encoding: usize| {
            let mut of = self.sinks.iter().filter(|s| usize::from(s.decl.encoding) == encoding);
            of.any(|sink| sink.in_flight() >= self.limits.in_flight_batches)
        };
        let due = self.encodings.iter().enumerate().filter(|(at, _)| !blocked(*at));
        let open = due.flat_map(|(_, encoding)| &encoding.open).filter(|o| !o.body.is_empty());
        open.map(|o| o.since_ms.map_or(0, |since| since + self.limits.batch_age_ms)).min()
    }

    /// A sink's answer. Definite is an error, and final: a sink's refusal is the pipeline's.
    pub fn handle_ack(&mut self, ack: SinkAck) -> Result<(), ShardError> {
        if let AckOutcome::Definite(reason) = ack.outcome {
            let (sink, batch) = (ack.sink, ack.batch);
            let error = ShardError::Sink { sink, batch, reason };
            self.error = Some(error.clone());
            return Err(error);
        }
        if let Some(sink) = self.sinks.iter_mut().find(|sink| sink.decl.sink == ack.sink) {
            sink.answer(&ack, self.bugs);
        }
        Ok(())
    }
}
