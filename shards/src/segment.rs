//! Frozen source bytes, shared by reference: one reference count per batch of frames.
//!
//! Enters: a buffer that a reader has filled. Leaves: the same buffer, read-only, until the last
//! holder lets go; then it goes home to its pool. Keeps: `SEGMENT_SLACK` readable zero bytes
//! behind the data, so that the row path can load a constant number of bytes.

use std::sync::{Arc, Mutex, PoisonError};

use penstock_protocol::frame::FrameHead;

use crate::limits::SEGMENT_SLACK;

/// Takes buffers back. Must not block.
pub trait SegmentHome: Send + Sync {
    /// The buffer of a segment that nobody holds any more.
    fn give_back(&self, buffer: Vec<u8>);
}

/// Read-only bytes of the log.
pub struct Segment {
    buffer: Vec<u8>,
    len: usize,
    home: Option<Arc<dyn SegmentHome>>,
}

impl Segment {
    /// Freezes `buffer[..len]`. `buffer` must hold at least `len + SEGMENT_SLACK` bytes; a shorter
    /// one is extended (that allocates: pools hand out buffers that are long enough).
    pub fn freeze(
        mut buffer: Vec<u8>,
        len: usize,
        home: Option<Arc<dyn SegmentHome>>,
    ) -> Arc<Self> {
        assert!(len <= buffer.len(), "segment shorter than its data");
        if buffer.len() < len + SEGMENT_SLACK {
            buffer.resize(len + SEGMENT_SLACK, 0);
        }
        Arc::new(Self { buffer, len, home })
    }

    /// A frame in a segment of its own: whoever holds it pins no buffer of a pool.
    ///
    /// # Panics
    /// If the frame lies outside the data.
    pub fn copy_out(&self, head: FrameHead) -> (Arc<Self>, FrameHead) {
        let (from, len) = (head.offset as usize, head.len as usize);
        let mut bytes = Vec::with_capacity(len + SEGMENT_SLACK);
        bytes.extend_from_slice(&self.data()[from..from + len]);
        (Self::freeze(bytes, len, None), FrameHead { offset: 0, ..head })
    }

    /// The data alone.
    pub fn data(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The data and at least `SEGMENT_SLACK` readable bytes behind it.
    pub fn padded(&self) -> &[u8] {
        &self.buffer
    }
}

/// A few idle buffers for whoever makes segments one after another. Without it every one would be
/// allocated on one core and freed on another, which allocators give back late.
pub struct Shelf {
    idle: Mutex<Vec<Vec<u8>>>,
    idle_max: usize,
}

impl Shelf {
    /// Keeps at most `idle_max` buffers.
    pub fn new(idle_max: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), idle_max })
    }

    /// A buffer of at least `len` bytes; what is in it is not said.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.filter(|buffer| buffer.len() >= len).unwrap_or_else(|| vec![0; len])
    }
}

impl SegmentHome for Shelf {
    fn give_back(&self, buffer: Vec<u8>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(buffer);
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.buffer));
        }
    }
}
