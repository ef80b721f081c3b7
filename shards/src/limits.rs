//! Every bound of the pipeline in one file. Full means wait, and waiting reaches the source's
//! socket; nothing is dropped. Budget: 64 MiB resident under load.

/// Size of a pooled segment, bytes.
pub const SEGMENT_BYTES: usize = 256 << 10;
/// Bytes at the end of a segment that are readable but never data: loads of constant size.
pub const SEGMENT_SLACK: usize = 64;
/// Segments of a pipeline's pool.
pub const SEGMENTS_MAX: usize = 24;
/// Readers of one snapshot: each holds a segment, and one more while it cuts.
pub const SNAPSHOT_READERS_MAX: usize = 12;
/// A frame (hence a row) larger than this is Definite (HAZARDS H5).
pub const ROW_BYTES_MAX: usize = 256 << 20;
/// Frames in one batch handed to a shard.
pub const FRAMES_PER_BATCH_MAX: usize = 4096;
/// Frame batches waiting in one ring.
pub const RING_BATCHES_MAX: usize = 16;
/// A batch is sealed at this size …
pub const BATCH_BYTES_MAX: usize = 256 << 10;
/// … or with this many events …
pub const BATCH_EVENTS_MAX: usize = 8192;
/// … or when its oldest event is this old.
pub const BATCH_AGE_MS_MAX: u64 = 2;
/// Sealed, unacknowledged batches of one shard.
pub const IN_FLIGHT_BATCHES_MAX: usize = 24;
/// Commit points waiting in the coordinator; beyond, the newest replaces the last (HAZARDS H6).
pub const COMMIT_POINTS_MAX: usize = 1024;
/// Bytes of an undecided transaction kept in memory before it goes to the spill file.
pub const GROUP_BYTES_MAX: usize = 4 << 20;
/// Bytes of one spill file at which the reader pauses (HAZARDS H11).
pub const SPILL_BYTES_MAX: u64 = 64 << 30;
/// Bytes of spill records gathered before they are written, and read back at once.
pub const SPILL_PIECE_BYTES: usize = 256 << 10;
/// Transactions routed at most between two flushes; the router flushes by itself then.
pub const TXNS_PER_FLUSH_MAX: usize = 1024;
/// Frames that a shard encodes in one poll, so that others get their turn on the core.
pub const FRAMES_PER_POLL_MAX: usize = 1024;
/// A delivered batch that is unanswered for so long means a lost sink (HAZARDS H9).
pub const ACK_AGE_MS_MAX: u64 = 300_000;
/// Buckets of a pipeline: (table name, key hash) → bucket is a pure, versioned function.
pub const BUCKETS: usize = 256;

/// The bounds that the machines in this room keep. The product uses the constants above; the
/// simulator makes them small, so that every bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `FRAMES_PER_BATCH_MAX`
    pub frames_per_batch: usize,
    /// `TXNS_PER_FLUSH_MAX`
    pub txns_per_flush: usize,
    /// `GROUP_BYTES_MAX`
    pub group_bytes: usize,
    /// `SPILL_PIECE_BYTES`
    pub spill_piece_bytes: usize,
    /// `FRAMES_PER_POLL_MAX`
    pub frames_per_poll: usize,
    /// `BATCH_BYTES_MAX`
    pub batch_bytes: usize,
    /// `BATCH_EVENTS_MAX`
    pub batch_events: usize,
    /// `BATCH_AGE_MS_MAX`
    pub batch_age_ms: u64,
    /// `IN_FLIGHT_BATCHES_MAX`
    pub in_flight_batches: usize,
    /// `ACK_AGE_MS_MAX`
    pub ack_age_ms: u64,
    /// `COMMIT_POINTS_MAX`
    pub commit_points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_per_batch: FRAMES_PER_BATCH_MAX,
            txns_per_flush: TXNS_PER_FLUSH_MAX,
            group_bytes: GROUP_BYTES_MAX,
            spill_piece_bytes: SPILL_PIECE_BYTES,
            frames_per_poll: FRAMES_PER_POLL_MAX,
            batch_bytes: BATCH_BYTES_MAX,
            batch_events: BATCH_EVENTS_MAX,
            batch_age_ms: BATCH_AGE_MS_MAX,
            in_flight_batches: IN_FLIGHT_BATCHES_MAX,
            ack_age_ms: ACK_AGE_MS_MAX,
            commit_points: COMMIT_POINTS_MAX,
        }
    }
}

const _: () = assert!(SNAPSHOT_READERS_MAX < SEGMENTS_MAX);
const _: () = assert!(BATCH_EVENTS_MAX <= u32::MAX as usize);
const _: () = assert!(SEGMENT_BYTES + SEGMENT_SLACK < u32::MAX as usize);
