//! Wires pipelines: source, shards, coordinator, sinks and state of each, on the cores of the plan.
//!
//! Enters: resolved configurations. Leaves: the exit status. Keeps: a pipeline that fails stops
//! alone and says why; the process ends when all have ended. A stop is a drain: stop reading,
//! seal, await acks, checkpoint, tell the source (HAZARDS H9), within `DRAIN_MAX`.

mod coordinate;
mod launch;
mod shard;

use std::io::IsTerminal;
use std::time::Duration;

use self::launch::{Roles, Running};

use penstock_shards::hop::{CommitPoint, ShardProgress, TableStop};
use penstock_shards::seq::SinkId;

use crate::config;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::runtime::{self, Core, CoreConfig, affinity, signal};
use crate::source::SourceEnd;

/// Longest time from the request to stop to the end of the process.
pub const DRAIN_MAX: Duration = Duration::from_secs(25);

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
    match start_all(pipelines, options) {
        Ok((running, cores)) => {
            let ends = running.into_iter().map(|end| report(end.and_then(Running::join)));
            let status = ends.max().unwrap_or(0);
            // a reader that did not say goodbye in time is cancelled with its core
            drop(cores);
            status
        }
        Err(error) => report(Err(error)),
    }
}

/// Launches the cores, then every pipeline. A pipeline that cannot start is an error of its own.
fn start_all(
    pipelines: Vec<config::Pipeline>,
    options: RunOptions,
) -> Result<(Vec<Result<Running>>, Vec<Core>)> {
    let stop = signal::install()
        .map_err(|e| Error::fatal("runtime-signals", format!("signals cannot be handled: {e}")))?;
    let plan = plan(&pipelines)?;
    let cores: Vec<Core> = plan.cores.into_iter().map(Core::launch).collect::<Result<_>>()?;
    let progress = Progress::new(std::io::stderr().is_terminal());
    let mut running = vec![];
    for (pipeline, roles) in pipelines.into_iter().zip(plan.roles) {
        let sink = progress.pipeline(&pipeline.name);
        running.push(launch::start(pipeline, &cores, &roles, options, stop.clone(), sink));
    }
    Ok((running, cores))
}

fn report(ended: Result<()>) -> u8 {
    let Err(error) = ended else { return 0 };
    eprintln!("{error}");
    error.exit_status()
}

/// Cores to launch, and the roles of each pipeline on them.
struct Plan {
    cores: Vec<CoreConfig>,
    roles: Vec<Roles>,
}

/// The first pipeline's `[runtime]` speaks for the process.
fn plan(pipelines: &[config::Pipeline]) -> Result<Plan> {
    let runtime = pipelines.first().map(|p| &p.runtime);
    let probe = runtime::choose(runtime.and_then(|r| r.backend))?;
    let cpus = affinity::get().map(|cpus| cpus.len()).unwrap_or(1);
    let cores = (0..cpus)
        .map(|n| CoreConfig {
            backend: probe.backend,
            cpu: None,
            name: format!("penstock-core{n}"),
        })
        .collect();
    let shards: Vec<usize> = if cpus == 1 { vec![0] } else { (1..cpus).collect() };
    let roles = pipelines
        .iter()
        .map(|_| Roles { reader: 0, coordinator: 0, shards: shards.clone() })
        .collect();
    Ok(Plan { cores, roles })
}
