//! A pipeline's coordinator task: the watermark, the checkpoints and the end.
//!
//! Enters: notices of reader, shards and sinks. Leaves: durable checkpoints, and the word of them
//! to the reader and the sinks. Keeps: the source hears "flushed" after the checkpoint is durable,
//! never at the watermark (invariant 4); the sinks' states in a checkpoint are those of its `Seq`.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use penstock_shards::checkpoint::{Checkpoint, SinkCheckpoint, SnapshotState, StoppedTable};
use penstock_shards::coordinator::{Commit, Coordinator};
use penstock_shards::fold::PositionError;
use penstock_shards::seq::{Epoch, PointId, Seq};
use penstock_shards::snapshot::TableChunks;
use serde_json::Value;

use super::{DRAIN_MAX, Notice};
use crate::error::{Error, Result};
use crate::runtime::{blocking, clock, mailbox, sleep, watch};
use crate::sink::worker::{NotTaken, Reply, Request, SinkSender};
use crate::source::SourceEnd;
use crate::source::context::Flushed;
use crate::store::State;

/// Time between checkpoints while rows flow.
const CHECKPOINT_MS: u64 = 1_000;
/// Time between checkpoints that only move an idle source's position (HAZARDS P5).
const IDLE_CHECKPOINT_MS: u64 = 10_000;
/// While draining the sinks are asked to sync this often.
const DRAIN_SYNC_MS: u64 = 20;
/// How long the reader may take to say goodbye to its source.
const GOODBYE_MS: u64 = 3_000;

/// A part of the pipeline ended because another one had: not the cause.
const CONSEQUENCE: &str = "pipeline-ended";
/// How long the cause is waited for.
const CAUSE_MS: u64 = 2_000;

/// Everything a coordinator's task owns.
pub(super) struct CoordinateTask {
    pub coordinator: Coordinator,
    pub notices: mailbox::Receiver<Notice>,
    /// Saved on a housekeeping thread, one save at a time.
    pub state: Arc<Mutex<State>>,
    /// By `SinkId`.
    pub sinks: Vec<SinkSender>,
    pub shards: usize,
    pub flushed: watch::Sender<Flushed>,
    /// True once the pipeline is asked to stop; the drain's time counts from then.
    pub stop: watch::Sender<bool>,
    /// The same, to be read.
    pub stopping: watch::Receiver<bool>,
    /// What every checkpoint of this run says alike.
    pub template: Template,
    pub ended: Ended,
}

/// The parts of a checkpoint that do not change in a run.
pub(super) struct Template {
    pub pipeline: String,
    pub epoch: Epoch,
    pub bucket_generation: u32,
    /// By `SinkId`: the kind and place of the sink, as the checkpoint names it.
    pub sinks: Vec<String>,
    /// A concurrent snapshot that an earlier run left: kept as it is.
    pub chunks: Vec<TableChunks>,
    /// Tables that an earlier run stopped.
    pub stopped: Vec<StoppedTable>,
}

impl Template {
    fn fill(&self, commit: Commit, states: Vec<Option<Value>>) -> Checkpoint {
        let new = commit.stopped_tables.into_iter().map(|stop| StoppedTable {
            name: stop.name,
            position: stop.position.to_string(),
            reason: stop.reason,
        });
        let sinks = self.sinks.iter().zip(commit.per_sink).zip(states);
        Checkpoint {
            pipeline: self.pipeline.clone(),
            epoch: self.epoch,
            position: commit.position,
            sinks: sinks
                .map(|((name, (_, position)), state)| SinkCheckpoint {
                    name: name.clone(),
                    position,
                    state: state.unwrap_or(Value::Null),
                })
                .collect(),
            snapshot: match commit.snapshot_done {
                true => SnapshotState::Done,
                false => SnapshotState::Pending,
            },
            chunks: self.chunks.clone(),
            schema_version: commit.schema_version,
            bucket_generation: self.bucket_generation,
            stopped_tables: self.stopped.iter().cloned().chain(new).collect(),
            parked: commit.parked,
            version_reserve: 0,
        }
    }
}

/// Who has ended so far, and what was done last.
#[derive(Default)]
pub(super) struct Ended {
    stream: bool,
    shards: usize,
    source: Option<SourceEnd>,
    checkpoint_seq: Option<Seq>,
    point: PointId,
    schema_version: u64,
    checkpoint_ms: u64,
    looked_ms: u64,
    sync_ms: u64,
    stop_ms: Option<u64>,
    held: Option<Commit>,
    consequence: Option<(u64, Error)>,
}

impl CoordinateTask {
    /// Runs until the reader has ended well and everything is checkpointed, or something failed.
    pub async fn run(mut self) -> Result<SourceEnd> {
        let ended = self.run_to_end().await;
        // whoever still waits for its source or its ring ends too
        self.stop.set(true);
        ended
    }

    async fn run_to_end(&mut self) -> Result<SourceEnd> {
        loop {
            self.wait().await;
            self.take_notices()?;
            self.note_stop();
            let drained = self.ended.stream && self.ended.shards == self.shards;
            if self.ended.stream && !drained {
                self.sync_sinks();
            }
            if drained || clock::monotonic_ms() >= self.ended.looked_ms + CHECKPOINT_MS {
                self.checkpoint(drained).await?;
            }
            if drained || self.late() {
                return self.finish().await;
            }
        }
    }

    /// Handles what has come. A part that ended because another had ended is not the cause: the
    /// cause is waited for, for a moment.
    fn take_notices(&mut self) -> Result<()> {
        while let Some(notice) = self.notices.try_recv() {
            match self.handle(notice) {
                Err(error) if error.code == CONSEQUENCE => {
                    let now_ms = clock::monotonic_ms();
                    self.ended.consequence.get_or_insert((now_ms, error));
                }
                other => other?,
            }
        }
        match &self.ended.consequence {
            Some((at, error)) if clock::monotonic_ms() >= at + CAUSE_MS => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn handle(&mut self, notice: Notice) -> Result<()> {
        match notice {
            Notice::Point(point) => self.coordinator.handle_point(point),
            Notice::Progress(progress) => self.coordinator.handle_progress(progress),
            Notice::TableStopped(stop) => {
                tracing::error!(table = %stop.name, position = stop.position, reason = stop.reason,
                    "this table stops here; the rest goes on");
                self.coordinator.handle_stop(stop);
            }
            Notice::EndOfStream => self.ended.stream = true,
            Notice::ShardEnded(Ok(())) => self.ended.shards += 1,
            Notice::ReaderEnded(Ok(end)) => self.ended.source = Some(end),
            Notice::ShardEnded(Err(e)) | Notice::ReaderEnded(Err(e)) => return Err(e),
            Notice::SinkEnded(_, Err(e)) => return Err(e),
            Notice::SinkEnded(sink, Ok(())) => {
                return Err(Error::fatal("sink-ended", format!("sink {sink} ended by itself")));
            }
            Notice::Died(who) => {
                return Err(Error::fatal("pipeline-panic", format!("the {who} panicked")).hint(
                    "this is a defect of penstock: please report it with the lines above; \
                           nothing is lost, a new start goes on from the last checkpoint",
                ));
            }
        }
        Ok(())
    }

    /// Until a notice comes or the next checkpoint is due.
    async fn wait(&mut self) {
        let now_ms = clock::monotonic_ms();
        let due_ms = match self.ended.stream || self.ended.consequence.is_some() {
            true => now_ms + DRAIN_SYNC_MS,
            false => self.ended.looked_ms + CHECKPOINT_MS,
        };
        let left = Duration::from_millis(due_ms.saturating_sub(now_ms).max(1));
        let (notice, due) = (pin!(self.notices.wait_readable()), pin!(sleep(left)));
        select(notice, due).await;
    }

    fn note_stop(&mut self) {
        if self.ended.stop_ms.is_none() && (self.stopping.get() || self.ended.stream) {
            self.ended.stop_ms = Some(clock::monotonic_ms());
        }
    }

    /// True when the drain has taken too long: what is not acknowledged is sent again next time.
    fn late(&self) -> bool {
        let drain_ms = u64::try_from(DRAIN_MAX.as_millis()).expect("invariant: 25,000");
        let asked = self.stopping.get();
        asked && self.ended.stop_ms.is_some_and(|at| clock::monotonic_ms() > at + drain_ms)
    }

    /// While draining nothing waits for a sink's own rhythm.
    fn sync_sinks(&mut self) {
        let now_ms = clock::monotonic_ms();
        if now_ms < self.ended.sync_ms + DRAIN_SYNC_MS {
            return;
        }
        self.ended.sync_ms = now_ms;
        for sink in &self.sinks {
            // a full channel syncs at its next request; an ended one has sent its own notice
            drop(sink.try_send(Request::Sync(Reply::new(drop))));
        }
    }

    /// Makes the newest commit durable, if there is one.
    async fn checkpoint(&mut self, last: bool) -> Result<()> {
        self.ended.looked_ms = clock::monotonic_ms();
        let polled = self.coordinator.poll_commit().map_err(position_error)?;
        let Some(commit) = polled.or(self.ended.held.take()) else { return Ok(()) };
        let now_ms = clock::monotonic_ms();
        let idle = self.ended.checkpoint_seq == Some(commit.seq);
        if idle && !last && now_ms < self.ended.checkpoint_ms + IDLE_CHECKPOINT_MS {
            self.ended.held = Some(commit);
            return Ok(());
        }
        let Some(sinks) = self.sink_states(commit.seq).await? else {
            // a sink has let go of the state at exactly this point: the next commit serves, or
            // this one again if there is no next
            self.ended.held = Some(commit);
            return Ok(());
        };
        let (seq, point, position) = (commit.seq, commit.point, commit.position.clone());
        let schema_version = commit.schema_version;
        let checkpoint = self.template.fill(commit, sinks);
        let state = self.state.clone();
        blocking(move || state.lock().unwrap_or_else(PoisonError::into_inner).save(&checkpoint))
            .await?;
        self.coordinator.handle_durable(point);
        self.ended.checkpoint_seq = Some(seq);
        self.ended.checkpoint_ms = now_ms;
        (self.ended.point, self.ended.schema_version) = (point, schema_version);
        self.flushed.set(Flushed { position, point, schema_version, last: false });
        for sink in &self.sinks {
            drop(sink.try_send(Request::Checkpointed(seq)));
        }
        Ok(())
    }

    /// What a checkpoint at `seq` must hold of each sink; none if one cannot say.
    async fn sink_states(&self, seq: Seq) -> Result<Option<Vec<Option<Value>>>> {
        let mut states = vec![];
        for (n, sink) in self.sinks.iter().enumerate() {
            let (answer, mut waiter) = mailbox(1);
            let reply = Reply::new(move |state| drop(answer.try_send(state)));
            let gone = || Error::fatal("sink-ended", format!("sink {n} has ended"));
            match sink.try_send(Request::StateAt(seq, reply)) {
                Ok(()) => {}
                Err(NotTaken::Full(_)) => return Ok(None),
                Err(NotTaken::Ended(_)) => return Err(gone()),
            }
            states.push(waiter.recv().await.ok_or_else(gone)??);
        }
        Ok(Some(states))
    }

    /// The last word: the reader tells its source and ends.
    async fn finish(&mut self) -> Result<SourceEnd> {
        let position = self.coordinator.flushed().cloned();
        let (point, schema_version) = (self.ended.point, self.ended.schema_version);
        self.flushed.set(Flushed { position, point, schema_version, last: true });
        let end = clock::monotonic_ms() + GOODBYE_MS;
        while self.ended.source.is_none() && clock::monotonic_ms() < end {
            self.wait().await;
            self.take_notices()?;
        }
        Ok(self.ended.source.unwrap_or(SourceEnd::Stopped))
    }
}

/// A position that cannot be kept, as the user reads it.
pub(super) fn position_error(error: PositionError) -> Error {
    Error::fatal("pipeline-position", format!("the source's position cannot be kept: {error}"))
}
