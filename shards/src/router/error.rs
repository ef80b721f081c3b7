//! Why the router refuses a call.

use std::fmt;

use penstock_protocol::frame::TableId;

use crate::spill::SpillError;

/// Why a call was refused. All but `Spill(Full)` are Fatal for the pipeline: the log is not what
/// the router was told, and going on would be a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterError {
    /// A frame of a table without schema.
    UnknownTable(TableId),
    /// A frame that does not lie in its segment.
    FrameOutsideSegment {
        /// Offset of the frame.
        offset: u32,
        /// Its length.
        len: u32,
    },
    /// A frame, savepoint or end without `begin`.
    NoGroup,
    /// `begin`, or an end of a parked group, inside a group.
    GroupOpen,
    /// Rollback, savepoint or prepare of a group that streams (its rows may be delivered).
    GroupStreams,
    /// `ROLLBACK TO` of a savepoint that the group does not have.
    UnknownSavepoint,
    /// XA COMMIT or ROLLBACK of a transaction that was not seen prepared: it was prepared before
    /// the pipeline's start, its rows lie before our position.
    UnknownXid,
    /// After a lost connection the source goes on with another transaction than the one that was
    /// cut, or with other frames in it.
    AnotherGroup,
    /// The spill store. `Full`: nothing was lost, make the same call again later.
    Spill(SpillError),
}

impl fmt::Display for RouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTable(table) => write!(f, "a row of table {} without schema", table.0),
            Self::FrameOutsideSegment { offset, len } => {
                write!(f, "a row of {len} bytes at {offset} lies outside its segment")
            }
            Self::NoGroup => f.write_str("a row or an end outside any transaction"),
            Self::GroupOpen => f.write_str("a transaction begins inside another"),
            Self::GroupStreams => f.write_str("a transaction rolls back that never does so"),
            Self::UnknownSavepoint => f.write_str("rollback to a savepoint that was never set"),
            Self::UnknownXid => f.write_str("end of an XA transaction that was never prepared"),
            Self::AnotherGroup => {
                f.write_str("the source does not go on with the transaction that was cut")
            }
            Self::Spill(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RouterError {}

impl From<SpillError> for RouterError {
    fn from(error: SpillError) -> Self {
        Self::Spill(error)
    }
}
