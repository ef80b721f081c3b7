//! A shard's task: drives one `Shard` on the core that owns its tables.
//!
//! Enters: frames through the ring, answers of the sinks through the mailbox. Leaves: batches to
//! the sinks' threads, progress to the coordinator. Keeps: it never blocks the core; it ends when
//! its ring is closed and everything it made is acknowledged.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use penstock_shards::encode::JsonEncoder;
use penstock_shards::hop::{ShardInput, SinkAck};
use penstock_shards::shard::{Shard, ShardError};

use super::Notice;
use crate::error::{Error, Result};
use crate::runtime::{clock, mailbox, ring, sleep, yield_now};
use crate::sink::worker::{NotTaken, Request, SinkSender};
use crate::sink::{AckReply, BatchHandle};

/// Inputs taken from the ring before the shard looks at its sinks again.
const INPUTS_PER_TURN: usize = 4;

/// Everything a shard's task owns.
pub(super) struct ShardTask {
    pub shard: Shard<JsonEncoder>,
    pub ring: ring::Consumer<ShardInput>,
    pub acks: mailbox::Receiver<SinkAck>,
    /// Brings answers into `acks`.
    pub reply: Arc<dyn AckReply>,
    /// By `SinkId`.
    pub sinks: Vec<SinkSender>,
    pub notices: mailbox::Sender<Notice>,
    /// Records handed to the first sink, for the summary.
    pub records: Arc<AtomicU64>,
}

impl ShardTask {
    /// Runs until the ring is closed and everything is acknowledged.
    pub async fn run(mut self) -> Result<()> {
        let mut closed = false;
        loop {
            let mut worked = self.take_inputs(&mut closed)?;
            worked |= self.shard.poll_encode(clock::now_us()).map_err(shard_error)?;
            while let Some(note) = self.shard.poll_note() {
                tracing::warn!("{note}");
            }
            if closed {
                self.shard.seal_now();
            }
            worked |= self.deliver()?;
            worked |= self.take_acks()?;
            worked |= self.report().await?;
            if worked {
                yield_now().await;
            } else if closed && self.shard.is_idle() {
                return Ok(());
            } else {
                self.wait(closed).await;
            }
        }
    }

    fn take_inputs(&mut self, closed: &mut bool) -> Result<bool> {
        let mut worked = false;
        for _ in 0..INPUTS_PER_TURN {
            if !self.shard.can_accept() {
                break;
            }
            let Some(input) = self.ring.try_pop() else {
                *closed = self.ring.is_closed() && self.ring.available() == 0;
                break;
            };
            self.shard.handle_input(input);
            worked = true;
        }
        Ok(worked)
    }

    /// Hands sealed batches to the sinks' threads. Their channels have room for every batch that
    /// may be in flight, so that a full one is a broken invariant, not a wait.
    fn deliver(&mut self) -> Result<bool> {
        let mut worked = false;
        while let Some(delivery) = self.shard.poll_delivery(clock::monotonic_ms()) {
            let (sink, events) = (delivery.sink, delivery.batch.body.events.len());
            if sink.0 == 0 {
                self.records.fetch_add(events as u64, Ordering::Relaxed);
            }
            let handle = BatchHandle::new(delivery, self.reply.clone());
            match self.sinks[usize::from(sink.0)].try_send(Request::Batch(handle)) {
                Ok(()) => worked = true,
                Err(NotTaken::Full(_)) => unreachable!("a sink's channel holds all in flight"),
                Err(NotTaken::Ended(_)) => {
                    return Err(Error::fatal("pipeline-ended", "a sink of the pipeline has ended"));
                }
            }
        }
        Ok(worked)
    }

    fn take_acks(&mut self) -> Result<bool> {
        let mut worked = false;
        while let Some(ack) = self.acks.try_recv() {
            self.shard.handle_ack(ack).map_err(shard_error)?;
            worked = true;
        }
        Ok(worked)
    }

    /// Stops go before the progress that passes them (HAZARDS L21).
    async fn report(&mut self) -> Result<bool> {
        let mut worked = false;
        while let Some(stop) = self.shard.poll_stop() {
            self.send(Notice::TableStopped(stop)).await?;
            worked = true;
        }
        while let Some(progress) = self.shard.poll_progress() {
            self.send(Notice::Progress(progress)).await?;
            worked = true;
        }
        Ok(worked)
    }

    async fn send(&self, notice: Notice) -> Result<()> {
        let gone = |_| Error::fatal("pipeline-ended", "the pipeline's coordinator has ended");
        self.notices.send(notice).await.map_err(gone)
    }

    /// Until there is something to do: an input that can be taken, an answer, or a batch that is
    /// old enough to be sealed.
    async fn wait(&mut self, closed: bool) {
        let take = !closed && self.shard.can_accept();
        let now_ms = clock::monotonic_ms();
        let age = self.shard.next_deadline_ms().map(|at| at.saturating_sub(now_ms));
        let (ring, acks) = (&mut self.ring, &mut self.acks);
        let input = pin!(async {
            if take {
                ring.wait_readable().await;
            } else {
                std::future::pending::<()>().await;
            }
        });
        let ack = pin!(acks.wait_readable());
        let deadline = pin!(async {
            match age {
                Some(ms) => sleep(Duration::from_millis(ms.max(1))).await,
                None => std::future::pending().await,
            }
        });
        match select(select(input, ack), deadline).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    }
}

/// A shard's error as the user reads it.
fn shard_error(error: ShardError) -> Error {
    let text = error.to_string();
    match error {
        ShardError::Table(stop) => {
            Error::definite("pipeline-table", text).at(stop.position.to_string()).hint(
                "exclude the table (exclude_tables), or set on_table_error = \"stop_table\" to go \
                 on without it",
            )
        }
        ShardError::RowTooLarge(_) => Error::definite("pipeline-row-too-large", text),
        ShardError::Sink { .. } => Error::fatal("pipeline-sink-refuses", text),
        ShardError::NoAnswer { .. } => Error::fatal("pipeline-sink-silent", text),
        ShardError::UnknownTable(_) => Error::fatal("pipeline-defect", text),
    }
}
