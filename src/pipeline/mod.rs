//! Wires pipelines: source, shards, coordinator, sinks and state of each, on the cores of the plan.
//!
//! Enters: resolved configurations. Leaves: the exit status. Keeps: a pipeline that fails stops
//! alone and says why; the process ends when all have ended. A stop is a drain: stop reading,
//! seal, await acks, checkpoint, tell the source (HAZARDS H9), within `DRAIN_MAX`.

mod coordinate;
mod launch;
mod shard;

use std::thread;
use std::time::{Duration, Instant};

use self::launch::Running;

use penstock_shards::hop::{CommitPoint, ShardProgress, TableStop};
use penstock_shards::seq::SinkId;

use crate::config;
use crate::error::{Class, Error, Result};
use crate::progress::{self, ProgressSink};
use crate::runtime::machine::Machine;
use crate::runtime::topology::{self, Placement};
use crate::runtime::{self, Core, signal, watch};
use crate::source::SourceEnd;

/// Longest time from the request to stop to the end of the process.
pub const DRAIN_MAX: Duration = Duration::from_secs(25);

/// First pause before a pipeline is started again, and the longest.
const RESTART_PAUSE_MIN: Duration = Duration::from_secs(1);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How soon a pause notices the wish to stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// How pipelines are run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// End once everything committed at the start is delivered and checkpointed.
    pub exit_when_caught_up: bool,
}

/// What the coordinator of a pipeline hears, from the reader, the shards and the sinks.
pub(crate) enum Notice {
    /// From the reader.
    Point(CommitPoint),
    /// From the reader: nothing follows; the rings are closed.
    EndOfStream,
    /// From the reader's task, at its end.
    ReaderEnded(Result<SourceEnd>),
    /// From a shard.
    Progress(ShardProgress),
    /// From a shard or the reader.
    TableStopped(TableStop),
    /// From a shard's task: `Ok` when its ring is closed and all is acknowledged.
    ShardEnded(Result<()>),
    /// From a sink's thread.
    SinkEnded(SinkId, Result<()>),
    /// A task panicked or was cancelled.
    Died(&'static str),
}

/// Runs pipelines to their end; returns the exit status: 0 if all ended well, else 1 (2 for usage).
pub fn run_all(pipelines: Vec<config::Pipeline>, options: RunOptions) -> u8 {
    run_each(pipelines, options).unwrap_or_else(|error| report(Err(error)))
}

/// Launches the cores, then every pipeline under a supervisor of its own.
fn run_each(pipelines: Vec<config::Pipeline>, options: RunOptions) -> Result<u8> {
    let stop = signal::install().map_err(|e| {
        Error::fatal("runtime-signals", format!("signals cannot be handled: {e}"))
            .hint("allow pipes and signal handlers to this process")
    })?;
    // the first pipeline's `[runtime]` speaks for the process
    let runtime = pipelines.first().map(|p| p.runtime.clone()).unwrap_or_default();
    let probe = runtime::choose(runtime.backend)?;
    let plan = topology::plan(&Machine::read(), runtime.cores.as_deref())?;
    plan.confine();
    let cores = plan.launch(probe.backend)?;
    tracing::info!(cores = cores.len(), pinned = plan.is_pinned(), "{}", probe.reason);
    let progress = progress::of_process();
    let statuses: Vec<u8> = thread::scope(|scope| {
        let supervised = pipelines.into_iter().enumerate().map(|(n, pipeline)| {
            let (cores, stop, place) = (&cores, stop.clone(), plan.place(n));
            let sink = progress.pipeline(&pipeline.name);
            // said as soon as it ends: the others may go on for weeks
            scope.spawn(move || report(supervise(&pipeline, cores, &place, options, &stop, &sink)))
        });
        let supervised: Vec<_> = supervised.collect();
        supervised
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| report(died())))
            .collect()
    });
    // a reader that did not say goodbye in time is cancelled with its core
    drop(cores);
    Ok(statuses.into_iter().max().unwrap_or(0))
}

/// One pipeline until it ends for good. What only a new start from the checkpoint mends (a first
/// snapshot that was cut, say) is started again after 1, 2, 4 … 60 s.
fn supervise(
    pipeline: &config::Pipeline,
    cores: &[Core],
    place: &Placement,
    options: RunOptions,
    stop: &watch::Receiver<bool>,
    progress: &ProgressSink,
) -> Result<()> {
    let mut pause = RESTART_PAUSE_MIN;
    loop {
        let started = Instant::now();
        let run = launch::start(pipeline.clone(), cores, place, options, stop.clone(), progress);
        let error = match run.and_then(Running::join) {
            Err(error) if error.class == Class::Transient => error,
            ended => return ended,
        };
        if started.elapsed() > RESTART_PAUSE_MAX {
            pause = RESTART_PAUSE_MIN;
        }
        tracing::warn!(
            pipeline = pipeline.name,
            code = error.code,
            "{}; new start in {} s",
            error.what,
            pause.as_secs()
        );
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if stop.get() {
                return Ok(());
            }
            thread::sleep(STOP_POLL);
        }
        pause = (pause * 2).min(RESTART_PAUSE_MAX);
    }
}

fn died() -> Result<()> {
    Err(Error::fatal("pipeline-panic", "a pipeline's supervisor panicked"))
}

fn report(ended: Result<()>) -> u8 {
    let Err(error) = ended else { return 0 };
    eprintln!("{error}");
    error.exit_status()
}
