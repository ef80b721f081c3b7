//! Newtypes of the control plane: a swapped integer is a silent wrong offset.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $ty:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $ty);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Dense number of a source transaction in this run, given by the reader; 0 = nothing yet.
    Seq, u64
}
number! {
    /// Incarnation of a pipeline: rises at every start, never below the clock (HAZARDS L20).
    Epoch, u64
}
number! {
    /// A shard of a pipeline, 0 to shards − 1.
    ShardId, u16
}
number! {
    /// A sink of a pipeline, in the order of the configuration.
    SinkId, u16
}
number! {
    /// One ordered path of a shard into a sink.
    LaneId, u16
}
number! {
    /// A sealed batch of one shard and one encoding, dense from 1 in each epoch.
    BatchId, u64
}

number! {
    /// A commit point, dense from 1 in a run.
    PointId, u64
}

impl Seq {
    /// The one before; 0 stays 0.
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
