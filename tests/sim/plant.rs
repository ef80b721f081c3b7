//! The planted bugs, each with the rule that it breaks and the number of seeds within which the
//! simulator must find it.

use penstock_shards::bugs::Bug;

/// Bugs of what is modelled here: source, reader, sinks, store, wiring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldBug {
    /// Sinks take what a dead incarnation has sent.
    EpochUnchecked,
    /// Replication reads what is logged and not durable.
    ReadsUndurable,
    /// The snapshot's position is the log's end, not what its view sees.
    PositionAheadOfView,
    /// A checkpoint holds the files' lengths of now, not of its watermark.
    LengthsOfNow,
    /// The position of a transaction counts from its first frame on.
    PositionAtBegin,
    /// After a failure the exactly-once sink writes what comes behind it.
    WritesBehindFailure,
    /// The file sink answers before its bytes are durable.
    AckBeforeSync,
    /// The source is told at the commit, before the checkpoint is written.
    ToldBeforeDurable,
    /// The stop of a table is overtaken by the progress behind it.
    ProgressOvertakesStop,
    /// A restart begins one transaction late.
    RestartBehindNext,
    /// A transaction that came in pieces is committed when all of it is there, not in its turn.
    CommittedOutOfTurn,
}

#[derive(Clone, Copy, Debug)]
pub enum Plant {
    None,
    Machine(Bug),
    World(WorldBug),
}

impl Plant {
    pub fn bugs(self) -> penstock_shards::bugs::Bugs {
        match self {
            Self::Machine(bug) => penstock_shards::bugs::Bugs::plant(bug),
            _ => penstock_shards::bugs::Bugs::NONE,
        }
    }

    pub fn has(self, bug: WorldBug) -> bool {
        matches!(self, Self::World(planted) if planted == bug)
    }
}

/// (bug, rule, seeds within which it is caught)
pub const PLANTS: &[(Plant, &str, u64)] = &[
    (Plant::Machine(Bug::ForgetUnsealed), "invariant 1", 500),
    (Plant::Machine(Bug::FirstLaneHoldsLeast), "invariant 1", 500),
    (Plant::Machine(Bug::CumulativeAcks), "invariant 2", 100),
    (Plant::Machine(Bug::IdleShardsUnpunctuated), "invariant 3", 100),
    (Plant::Machine(Bug::PunctuateInTransaction), "invariant 3", 100),
    (Plant::Machine(Bug::FlushedAtWatermark), "invariant 4", 500),
    (Plant::World(WorldBug::ToldBeforeDurable), "invariant 4", 100),
    (Plant::World(WorldBug::EpochUnchecked), "invariant 5", 1000),
    (Plant::Machine(Bug::InterruptedRoutedAgain), "invariant 6", 100),
    (Plant::World(WorldBug::PositionAtBegin), "invariant 6", 100),
    (Plant::World(WorldBug::RestartBehindNext), "invariant 6", 100),
    (Plant::Machine(Bug::SchemaOvertakesHeld), "invariant 7", 100),
    (Plant::Machine(Bug::SpillOvertaken), "invariant 7, order", 100),
    (Plant::World(WorldBug::ReadsUndurable), "invariant 10", 800),
    (Plant::World(WorldBug::PositionAheadOfView), "L1, L2", 500),
    (Plant::Machine(Bug::RolledBackRouted), "invariant 10, L5 b", 100),
    (Plant::Machine(Bug::RollbackToIgnored), "L5 c", 100),
    (Plant::Machine(Bug::AbortedPartRouted), "invariant 10", 100),
    (Plant::Machine(Bug::PartSchemasFirst), "invariant 7, H11", 100),
    (Plant::World(WorldBug::CommittedOutOfTurn), "invariant 10, order", 100),
    (Plant::Machine(Bug::XaRoutedAtPrepare), "L5 a", 100),
    (Plant::Machine(Bug::ParkedUnsynced), "L5", 500),
    (Plant::Machine(Bug::ParkedUnlisted), "L5", 100),
    (Plant::Machine(Bug::ParkedRemovedAtCommit), "L5", 500),
    (Plant::Machine(Bug::LaneGoesOnAfterFailure), "L18", 100),
    (Plant::World(WorldBug::WritesBehindFailure), "L18", 100),
    (Plant::Machine(Bug::StopBehindWatermark), "L21", 500),
    (Plant::Machine(Bug::StopUnrecorded), "L21", 100),
    (Plant::World(WorldBug::ProgressOvertakesStop), "L21", 500),
    (Plant::Machine(Bug::ReaderStopBySeq), "L21", 500),
    (Plant::World(WorldBug::AckBeforeSync), "L29", 100),
    (Plant::World(WorldBug::LengthsOfNow), "L29", 100),
    (Plant::Machine(Bug::MarkLostAtSeal), "L29", 100),
    (Plant::Machine(Bug::ReceivedBeforeEncode), "L31", 500),
    (Plant::Machine(Bug::FrameAgainFromStart), "L31", 100),
    (Plant::Machine(Bug::GroupUnbounded), "H5, H11", 100),
    (Plant::Machine(Bug::InFlightUnbounded), "H5", 100),
    (Plant::Machine(Bug::PointLostWhenFull), "H6", 100),
    (Plant::Machine(Bug::PointsUnbounded), "H6", 100),
    (Plant::Machine(Bug::OneSinkCounts), "H7", 100),
    (Plant::Machine(Bug::TransientForgotten), "H9", 100),
    (Plant::Machine(Bug::TransientIsDurable), "H9", 100),
    (Plant::Machine(Bug::SnapshotCheckpointed), "snapshot restarts whole", 2000),
    (Plant::Machine(Bug::TornAccepted), "torn checkpoint", 500),
    (Plant::Machine(Bug::SameSlotAgain), "torn checkpoint", 100),
];
