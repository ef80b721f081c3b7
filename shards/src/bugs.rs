//! Bugs planted on purpose, so that the simulator proves that it would find them. Enters: a value
//! at construction, in tests alone. Leaves: nothing in the product: without the feature
//! `planted-bugs`, `Bugs` is empty and `has` is the constant `false`.

/// A planted bug. The simulator's table (`tests/sim`) says which rule each one breaks, and within
/// how many seeds it is caught.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Bug {
    // shard
    ForgetUnsealed,
    FirstLaneHoldsLeast,
    CumulativeAcks,
    ReceivedBeforeEncode,
    StopBehindWatermark,
    LaneGoesOnAfterFailure,
    TransientForgotten,
    TransientIsDurable,
    MarkLostAtSeal,
    FrameAgainFromStart,
    InFlightUnbounded,
    // router
    IdleShardsUnpunctuated,
    PunctuateInTransaction,
    RolledBackRouted,
    RollbackToIgnored,
    XaRoutedAtPrepare,
    ParkedUnsynced,
    ParkedUnlisted,
    ParkedRemovedAtCommit,
    SchemaOvertakesHeld,
    InterruptedRoutedAgain,
    SpillOvertaken,
    GroupUnbounded,
    SnapshotCheckpointed,
    AbortedPartRouted,
    PartSchemasFirst,
    // coordinator
    OneSinkCounts,
    FlushedAtWatermark,
    PointLostWhenFull,
    PointsUnbounded,
    StopUnrecorded,
    ReaderStopBySeq,
    // snapshot
    ChunkDoneAtLeave,
    WindowClosedEarly,
    LateRowResurrects,
    WindowNewKeyOnly,
    IncompleteReplaces,
    TruncateKeepsWindow,
    // checkpoint
    TornAccepted,
    SameSlotAgain,
}

/// Which bug is planted: none, unless a test says so.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    #[cfg(feature = "planted-bugs")]
    planted: Option<Bug>,
}

impl Bugs {
    /// No bug.
    pub const NONE: Self = Self {
        #[cfg(feature = "planted-bugs")]
        planted: None,
    };

    /// Plants one.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(bug: Bug) -> Self {
        Self { planted: Some(bug) }
    }

    /// True if this bug is planted.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.planted == Some(bug)
    }

    /// Never true.
    #[cfg(not(feature = "planted-bugs"))]
    #[inline(always)]
    pub(crate) const fn has(self, _: Bug) -> bool {
        false
    }
}
