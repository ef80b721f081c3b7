//! Wires pipelines: source, shards, coordinator, sinks and state of each, on the cores of the plan.
//!
//! Enters: resolved configurations. Leaves: the exit status. Keeps: a pipeline that fails stops
//! alone and says why; the process ends when all have ended. A stop is a drain: stop reading,
//! seal, await acks, checkpoint, tell the source (HAZARDS H9), within `DRAIN_MAX`.

use std::time::Duration;

use penstock_shards::hop::{CommitPoint, ShardProgress, TableStop};
use penstock_shards::seq::{ShardId, SinkId};

use crate::error::Result;
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
    ShardEnded(ShardId, Result<()>),
    /// From a sink's thread.
    SinkEnded(SinkId, Result<()>),
    /// A task panicked or was cancelled.
    Died(&'static str),
}
