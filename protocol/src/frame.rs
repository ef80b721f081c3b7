//! What a session hands on for one piece of the log: the head of a frame. The row body stays
//! untouched in the segment.

/// A table of a pipeline: a dense number that the reader gives, stable while the process lives.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TableId(pub u32);

/// What the body of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Inserted rows: a MySQL rows event's body, or one pgoutput Insert message's tuple part.
    Insert,
    /// Updated rows.
    Update,
    /// Deleted rows.
    Delete,
    /// All rows of the table removed; no body.
    Truncate,
    /// One row read by a snapshot query: a MySQL binary-protocol row, or a PostgreSQL DataRow body.
    SnapshotRow,
    /// No row: a record that stands beside rows. `table` says which kind, `offset` is its number
    /// among those of its batch, and there is no body.
    Annex,
}

/// Where a snapshot row stands; `source.snapshot` in the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum SnapshotMarker {
    /// Not a snapshot row: "false".
    #[default]
    Streaming,
    /// "true".
    True,
    /// First row of all: "first".
    First,
    /// "first_in_data_collection".
    FirstInTable,
    /// "last_in_data_collection".
    LastInTable,
    /// Last row of all: "last".
    Last,
    /// Row of an incremental (concurrent) chunk: "incremental".
    Incremental,
}

/// Bit of a MySQL frame's `format`: before the event's body stands the statement that its rows come
/// from, as length (4, little-endian) and UTF-8 text (`include_query`).
pub const FORMAT_WITH_QUERY: u8 = 0x40;

/// Head of a frame: the body is `segment[offset..offset + len]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What the body is.
    pub kind: FrameKind,
    /// The snapshot marker, `Streaming` for rows of the log.
    pub marker: SnapshotMarker,
    /// The source's own version of the body's format; MySQL: the event type code, perhaps with
    /// [`FORMAT_WITH_QUERY`], else 0.
    pub format: u8,
    /// The table.
    pub table: TableId,
    /// Offset of the body in its segment, bytes.
    pub offset: u32,
    /// Length of the body, bytes (without a trailing checksum).
    pub len: u32,
    /// MySQL: where the row event starts in its file; PostgreSQL: dataStart of the XLogData.
    pub position: u64,
}

const _: () = assert!(core::mem::size_of::<FrameHead>() == 24);
