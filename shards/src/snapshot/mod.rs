//! Concurrent snapshots: a table is read in chunks beside the stream (DESIGN.md, Snapshots).
//!
//! `plan` is the machine that says which chunk is read next and which are done; `window` is what
//! the shard that owns the table keeps between a chunk's low and high mark.
//!
//! What a source does, one reader after the other, and nothing else:
//!
//! 1. `Chunks::poll_next`. `Next::Barrier`: list the running transactions, wait until all of them
//!    have ended, `handle_barrier` (HAZARDS L2, L3). `Next::Read`: its bytes are reserved (H5).
//! 2. Put the low mark in-band: `Windows::handle_low` in the shard, behind every row that was
//!    routed before.
//! 3. Open a read view; accept it only if it sees every transaction routed before the mark, else
//!    open it again: the mark stays (L1). Then read the log's end: that is the high mark.
//! 4. Read the rows in the order of the key, `rows_max` of them and not more bytes than reserved,
//!    each with its encoded key, to `Windows::handle_row`. End the transaction with the last row;
//!    it waits for nobody (H3).
//! 5. `Chunks::handle_read` says where the reading ended; `Windows::handle_high` puts the high mark.
//!
//! `Windows::poll_end` gives the rows back once the stream has come to the mark. They leave as `r`
//! with `SnapshotMarker::Incremental` under a `Seq` of their own, given out then: that of the last
//! transaction will not do, the watermark may have passed it, and a chunk whose rows are lost would
//! count as done (L15). They leave before any row of a later transaction. `Chunks::handle_left` and
//! `handle_acked` make the chunk done.
//!
//! Both are proved against a source whose log runs ahead of its views (`tests/sim/chunks.rs`).

mod plan;
mod window;

pub use plan::{
    Bound, ChunkRange, ChunkRead, Chunks, ChunksError, Next, Piece, Progress, ReadId, TableChunks,
    Tuning,
};
pub use window::{Change, Discard, Ended, Image, Leaving, LogAt, WindowLimits, Windows};
