//! Starts a pipeline: state, sinks, then its tasks on their cores.
//!
//! Enters: a resolved configuration and running cores. Leaves: a handle to its end. Keeps: state
//! is locked and the epoch durable before a sink is opened; a pipeline that cannot start touches
//! nothing of the source.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use penstock_protocol::position::Position;
use penstock_protocol::schema::SourceKind;
use penstock_shards::bucket::BucketMap;
use penstock_shards::checkpoint::{Checkpoint, SnapshotState, StoppedTable};
use penstock_shards::coordinator::{Coordinator, CoordinatorStart};
use penstock_shards::encode::{EventCounter, JsonEncoder};
use penstock_shards::hop::{ShardInput, SinkAck};
use penstock_shards::limits::{self, Limits};
use penstock_shards::router::Router;
use penstock_shards::seq::{Epoch, Seq, ShardId, SinkId};
use penstock_shards::shard::{OnTableError, Shard, ShardConfig, SinkDecl};

use super::coordinate::{CoordinateTask, Ended, Template, position_error};
use super::shard::ShardTask;
use super::{Notice, RunOptions};
use crate::config;
use crate::error::{Error, Result};
use crate::progress::ProgressSink;
use crate::runtime::topology::Placement;
use crate::runtime::{Core, JoinHandle, clock, mailbox, ring, segments, spawn_local, watch};
use crate::sink::worker::{Request, SinkSender, SinkWorker};
use crate::sink::{self, SinkContext};
use crate::source::context::{Flushed, ReaderContext, router_error};
use crate::source::heartbeat::Heartbeat;
use crate::source::{self, SourceEnd, Start, TableDirectory};
use crate::store::{History, State};

/// Notices that may wait for a coordinator.
const NOTICES_MAX: usize = 4096;

/// Longest time that closing the sinks may take.
const SINK_CLOSE_MAX: Duration = Duration::from_secs(5);

/// A running pipeline.
pub(super) struct Running {
    name: String,
    end: JoinHandle<Result<SourceEnd>>,
    sinks: Vec<SinkWorker>,
    records: Arc<AtomicU64>,
}

impl Running {
    /// Waits for its end, whichever way, and lets its sinks go.
    pub fn join(self) -> Result<()> {
        let Self { name, end, sinks, records } = self;
        let ended = end.join().unwrap_or_else(|_| {
            Err(Error::fatal("pipeline-panic", "the coordinator panicked")
                .hint("this is a defect of penstock: please report it; nothing is lost"))
        });
        close(sinks);
        let records = records.load(Ordering::Relaxed);
        match ended {
            Ok(end) => {
                tracing::info!(pipeline = name, why = end.words(), records, "pipeline ended");
                Ok(())
            }
            Err(mut error) => {
                tracing::error!(pipeline = name, code = error.code, records, "pipeline failed");
                error.what = format!("pipeline {name}: {}", error.what);
                Err(error)
            }
        }
    }
}

/// Ends the sinks' threads. One that hangs in a write that cannot be called back is left behind.
fn close(sinks: Vec<SinkWorker>) {
    let deadline = Instant::now() + SINK_CLOSE_MAX;
    for sink in &sinks {
        drop(sink.sender().try_send(Request::Close(deadline)));
    }
    for sink in sinks {
        if !sink.join_until(deadline) {
            tracing::warn!("a sink does not end: left behind");
        }
    }
}

/// Starts one pipeline on running cores.
pub(super) fn start(
    pipeline: config::Pipeline,
    cores: &[Core],
    place: &Placement,
    options: RunOptions,
    mut signal: watch::Receiver<bool>,
    progress: &ProgressSink,
) -> Result<Running> {
    if pipeline.source.kind != SourceKind::Postgres && pipeline.snapshot.parallelism > 2 {
        // An upper bound, and more than the default: somebody counts on it.
        let why = "this build reads a snapshot of MySQL and MariaDB with one reader";
        tracing::warn!(pipeline = pipeline.name, "{why}");
    }
    let mut state = State::open(&pipeline.state, &pipeline.name)?;
    let checkpoint = state.load().cloned();
    let epoch = state.next_epoch(u64::try_from(clock::now_us()).unwrap_or(0))?;
    let (notices, heard) = mailbox::<Notice>(NOTICES_MAX);
    let shards = u16::try_from(place.shards.len()).expect("invariant: at most 1,024 cores");
    let sinks = open_sinks(&pipeline, epoch, checkpoint.as_ref(), shards, &notices)?;
    let senders: Vec<SinkSender> = sinks.iter().map(SinkWorker::sender).collect();

    let stopped = checkpoint.as_ref().map(|c| c.stopped_tables.clone()).unwrap_or_default();
    let records = Arc::new(AtomicU64::new(0));
    let mut rings = vec![];
    for (n, &core) in place.shards.iter().enumerate() {
        let id = ShardId(u16::try_from(n).expect("invariant: counted above"));
        let (producer, consumer) = ring::channel(limits::RING_BATCHES_MAX);
        rings.push(producer);
        let shard = make_shard(&pipeline, id, epoch, &stopped);
        let ends = ShardEnds {
            ring: consumer,
            sinks: senders.clone(),
            notices: notices.clone(),
            records: records.clone(),
        };
        spawn_shard(&cores[core], shard, ends);
    }

    let (stop, stopping) = watch::channel(false);
    let (flushed, flushed_word) = watch::channel(Flushed::default());
    let start = checkpoint.as_ref().and_then(resume_position);
    let begun = checkpoint.as_ref().filter(|_| start.is_some());
    let schema_version = begun.map_or(0, |c| c.schema_version);
    let history = open_history(&pipeline, &state, schema_version)?;
    let parked = checkpoint.as_ref().map(|c| c.parked.clone()).unwrap_or_default();
    let coordinator = Coordinator::new(
        shards,
        u16::try_from(senders.len()).expect("invariant: few sinks"),
        CoordinatorStart {
            position: checkpoint.as_ref().and_then(|c| c.position.clone()),
            parked: parked.clone(),
            snapshot_done: start.is_some(),
            schema_version,
        },
    )
    .map_err(position_error)?;
    let spill = Box::new(state.spill()?);
    let map = BucketMap::round_robin(shards);
    let template = Template {
        pipeline: pipeline.name.clone(),
        epoch,
        bucket_generation: map.generation(),
        sinks: pipeline.sinks.iter().map(|s| s.kind.name().to_owned()).collect(),
        chunks: checkpoint.as_ref().map(|c| c.chunks.clone()).unwrap_or_default(),
        stopped: stopped.clone(),
    };
    let task = CoordinateTask {
        coordinator,
        notices: heard,
        state: Arc::new(Mutex::new(state)),
        sinks: senders,
        shards: usize::from(shards),
        flushed,
        stop: stop.clone(),
        stopping: stopping.clone(),
        template,
        ended: Ended::default(),
    };
    let name = pipeline.name.clone();
    let progress = progress.clone();
    let on_reader = move || {
        let mut tables = TableDirectory::default();
        let mut router = Router::new(map, spill);
        if let (true, Some(sink)) =
            (pipeline.source.provide_transaction_metadata, pipeline.sinks.first())
        {
            // What is counted does not depend on the sink: the options are the source's.
            let counter = EventCounter::new(&sink.encode, pipeline.source.kind);
            router.provide_transaction_metadata(counter);
        }
        router.restore_schema_version(schema_version);
        let restored = router.restore_parked(parked, |name| tables.id(name));
        let context = ReaderContext {
            name: pipeline.name,
            heartbeat: Heartbeat::new(&pipeline.source),
            source: pipeline.source,
            snapshot: pipeline.snapshot,
            start: start.map_or(Start::Fresh, Start::Resume),
            catch_up: options.exit_when_caught_up,
            tables,
            router,
            pool: segments::Pool::new(limits::SEGMENTS_MAX, limits::SEGMENT_BYTES),
            flushed: flushed_word,
            stop: stopping,
            progress,
            schema_version,
            history,
            stopped: stopped.into_iter().map(|table| table.name).collect(),
            rings,
            notices: notices.clone(),
        };
        read(context, restored.map_err(router_error), notices)
    };
    drop(cores[place.reader].spawn(on_reader));
    let end = cores[place.reader].spawn(move || async move {
        // the process's wish to stop is each pipeline's, as long as it runs
        let wish = spawn_local(async move {
            if signal.wait_for(|stop| *stop).await.is_some() {
                stop.set(true);
            }
        });
        let ended = task.run().await;
        drop(wish);
        ended
    });
    Ok(Running { name, end, sinks, records })
}

/// The reader's task.
async fn read(context: ReaderContext, restored: Result<()>, notices: mailbox::Sender<Notice>) {
    let watchdog = Watchdog::new("reader", notices);
    let ended = match restored {
        Ok(()) => source::run(context).await,
        Err(error) => Err(error),
    };
    watchdog.done(Notice::ReaderEnded(ended)).await;
}

/// What a shard's task is connected to.
struct ShardEnds {
    ring: ring::Consumer<ShardInput>,
    sinks: Vec<SinkSender>,
    notices: mailbox::Sender<Notice>,
    records: Arc<AtomicU64>,
}

fn spawn_shard(
    core: &Core,
    shard: impl FnOnce() -> Shard<JsonEncoder> + Send + 'static,
    ends: ShardEnds,
) {
    let ShardEnds { ring, sinks, notices, records } = ends;
    // room for an answer to every batch that may be in flight: a sink's thread never waits here
    let (answer, acks) = mailbox::<SinkAck>(limits::IN_FLIGHT_BATCHES_MAX * sinks.len().max(1));
    let reply = Arc::new(move |ack: SinkAck| drop(answer.send_blocking(ack)));
    let make = move || async move {
        let watchdog = Watchdog::new("shard", notices.clone());
        let task = ShardTask { shard: shard(), ring, acks, reply, sinks, notices, records };
        let ended = task.run().await;
        watchdog.done(Notice::ShardEnded(ended)).await;
    };
    drop(core.spawn(make));
}

/// Says that a task died if it ends without its own last word.
struct Watchdog {
    who: &'static str,
    notices: Option<mailbox::Sender<Notice>>,
}

impl Watchdog {
    fn new(who: &'static str, notices: mailbox::Sender<Notice>) -> Self {
        Self { who, notices: Some(notices) }
    }

    async fn done(mut self, last: Notice) {
        if let Some(notices) = self.notices.take() {
            // nobody listens any more: the coordinator has ended and said why
            drop(notices.send(last).await);
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(notices) = self.notices.take() {
            drop(notices.try_send(Notice::Died(self.who)));
        }
    }
}

/// The schema history as of the checkpoint, where the source needs one: a WAL names its own types.
fn open_history(
    pipeline: &config::Pipeline,
    state: &State,
    version: u64,
) -> Result<Option<History>> {
    if pipeline.source.kind == SourceKind::Postgres {
        return Ok(None);
    }
    let mut history = match pipeline.snapshot.mode {
        config::SnapshotMode::Recovery => state.history_anew()?,
        _ => state.history()?,
    };
    history.cut_behind(version)?;
    Ok(Some(history))
}

fn resume_position(checkpoint: &Checkpoint) -> Option<Position> {
    checkpoint.position.clone().filter(|_| checkpoint.snapshot == SnapshotState::Done)
}

/// Opens every sink on its own thread, in the order of the configuration.
fn open_sinks(
    pipeline: &config::Pipeline,
    epoch: Epoch,
    checkpoint: Option<&Checkpoint>,
    shards: u16,
    notices: &mailbox::Sender<Notice>,
) -> Result<Vec<SinkWorker>> {
    let connector = pipeline.sinks.first().map(|s| s.encode.connector);
    let context = SinkContext {
        pipeline: pipeline.name.clone(),
        connector: connector.expect("invariant: the configuration has a sink"),
        run_id: uuid::Uuid::new_v4().to_string(),
    };
    let mut workers = vec![];
    for (n, config) in pipeline.sinks.iter().enumerate() {
        let id = SinkId(u16::try_from(n).expect("invariant: few sinks"));
        let state = checkpoint.and_then(|c| c.sinks.get(n)).map(|sink| sink.state.clone());
        let batches_max = usize::from(shards) * limits::IN_FLIGHT_BATCHES_MAX;
        let notices = notices.clone();
        workers.push(SinkWorker::spawn(
            &format!("{}-sink{n}", pipeline.name),
            sink::build(config, &context)?,
            sink::Resume { epoch, state },
            batches_max,
            move |ended| drop(notices.send_blocking(Notice::SinkEnded(id, ended))),
        )?);
    }
    Ok(workers)
}

/// What a shard is made of. The shard itself is made on its core, so that its memory is near.
fn make_shard(
    pipeline: &config::Pipeline,
    id: ShardId,
    epoch: Epoch,
    stopped: &[StoppedTable],
) -> impl FnOnce() -> Shard<JsonEncoder> + Send + 'static {
    let mut encodings = vec![];
    let mut sinks = vec![];
    for (n, sink) in pipeline.sinks.iter().enumerate() {
        let known = encodings.iter().position(|e| *e == sink.encode);
        let encoding = known.unwrap_or_else(|| {
            encodings.push(sink.encode.clone());
            encodings.len() - 1
        });
        sinks.push(SinkDecl {
            sink: SinkId(u16::try_from(n).expect("invariant: few sinks")),
            encoding: u16::try_from(encoding).expect("invariant: few encodings"),
            lanes: 1,
        });
    }
    let kind: SourceKind = pipeline.source.kind;
    let on_table_error = match pipeline.source.on_table_error {
        config::OnTableError::Fail => OnTableError::Fail,
        config::OnTableError::StopTable => OnTableError::StopTable,
    };
    let stopped = stopped.iter().map(|table| table.name.clone()).collect();
    move || {
        let encoders = encodings.into_iter().map(|e| JsonEncoder::new(e, kind)).collect();
        Shard::new(
            ShardConfig { id, epoch, sinks, on_table_error, stopped, limits: Limits::default() },
            encoders,
            Seq(0),
        )
    }
}
