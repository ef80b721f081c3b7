//! Every bound of the pipeline in one file. Full means wait, and waiting reaches the source's
//! socket; nothing is dropped. Budget: 64 MiB resident under load.

/// Size of a pooled segment, bytes.
pub const SEGMENT_BYTES: usize = 256 << 10;
/// Bytes at the end of a segment that are readable but never data: loads of constant size.
pub const SEGMENT_SLACK: usize = 64;
/// Segments of a pipeline's pool.
pub const SEGMENTS_MAX: usize = 32;
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
pub const IN_FLIGHT_BATCHES_MAX: usize = 32;
/// Commit points waiting in the coordinator; beyond, the newest replaces the last (HAZARDS H6).
pub const COMMIT_POINTS_MAX: usize = 1024;
/// Bytes of an undecided transaction kept in memory before it goes to the spill file.
pub const GROUP_BYTES_MAX: usize = 4 << 20;
/// Bytes of one spill file at which the reader pauses (HAZARDS H11).
pub const SPILL_BYTES_MAX: u64 = 64 << 30;
/// Buckets of a pipeline: (table name, key hash) → bucket is a pure, versioned function.
pub const BUCKETS: usize = 256;

const _: () = assert!(BATCH_EVENTS_MAX <= u32::MAX as usize);
const _: () = assert!(SEGMENT_BYTES + SEGMENT_SLACK < u32::MAX as usize);
