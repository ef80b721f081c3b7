//! The pool of segment buffers. Enters: buffers that come home. Leaves: buffers to read into.
//! Keeps: never more than `count` buffers exist, plus one oversize buffer (HAZARDS H5: a frame
//! larger than a segment gets its own, one at a time); empty means wait, which reaches the
//! source's socket.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use penstock_shards::limits::{ROW_BYTES_MAX, SEGMENT_SLACK};
use penstock_shards::segment::{Segment, SegmentHome};

use super::waiters::Waiters;

/// A pool; shared by the readers of one pipeline.
pub struct Pool {
    bytes: usize,
    count: usize,
    made: AtomicUsize,
    idle: ArrayQueue<Vec<u8>>,
    oversize_out: AtomicBool,
    waiters: Waiters,
}

/// The frame is larger than [`ROW_BYTES_MAX`]: Definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Its size, bytes.
    pub bytes: usize,
}

impl Pool {
    /// A pool of `count` buffers of `bytes` data bytes each, made when first needed.
    pub fn new(count: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            count,
            made: AtomicUsize::new(0),
            idle: ArrayQueue::new(count),
            oversize_out: AtomicBool::new(false),
            waiters: Waiters::default(),
        })
    }

    /// Data bytes of a buffer.
    pub fn segment_bytes(&self) -> usize {
        self.bytes
    }

    /// A buffer, if there is one.
    pub fn try_take(self: &Arc<Self>) -> Option<Buffer> {
        let bytes = self.idle.pop().or_else(|| {
            let below = |made: usize| (made < self.count).then_some(made + 1);
            self.made.fetch_update(Ordering::SeqCst, Ordering::SeqCst, below).ok()?;
            Some(vec![0; self.bytes + SEGMENT_SLACK])
        })?;
        Some(Buffer { bytes, home: self.clone() })
    }

    /// A buffer, waiting for one to come home.
    pub async fn take(self: &Arc<Self>) -> Buffer {
        loop {
            if let Some(buffer) = self.try_take() {
                return buffer;
            }
            let free = || !self.idle.is_empty() || self.made.load(Ordering::SeqCst) < self.count;
            self.waiters.wait(free).await;
        }
    }

    /// A buffer for a frame of `bytes` that no segment holds, waiting while another such buffer
    /// is out. One that fits in a segment is an ordinary one.
    pub async fn take_oversize(self: &Arc<Self>, bytes: usize) -> Result<Buffer, TooLarge> {
        if bytes <= self.bytes {
            return Ok(self.take().await);
        }
        if bytes > ROW_BYTES_MAX {
            return Err(TooLarge { bytes });
        }
        while self.oversize_out.swap(true, Ordering::SeqCst) {
            self.waiters.wait(|| !self.oversize_out.load(Ordering::SeqCst)).await;
        }
        Ok(Buffer { bytes: vec![0; bytes + SEGMENT_SLACK], home: self.clone() })
    }

    /// Buffers that are out now, without an oversize one.
    pub fn out(&self) -> usize {
        self.made.load(Ordering::SeqCst) - self.idle.len()
    }
}

impl SegmentHome for Pool {
    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.len() == self.bytes + SEGMENT_SLACK {
            let full = self.idle.push(buffer);
            debug_assert!(full.is_ok(), "more buffers came home than were made");
        } else {
            drop(buffer);
            self.oversize_out.store(false, Ordering::SeqCst);
        }
        self.waiters.wake_all();
    }
}

/// A buffer of a pool, `segment_bytes` + `SEGMENT_SLACK` long (an oversize one: as asked, plus
/// slack). Dropped, it goes home.
pub struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Pool>,
}

impl Buffer {
    /// Bytes that may be filled: all but the slack.
    pub fn capacity(&self) -> usize {
        self.bytes.len() - SEGMENT_SLACK
    }

    /// Freezes the first `len` bytes. `len` must be at most `capacity()`.
    pub fn freeze(mut self, len: usize) -> Arc<Segment> {
        assert!(len <= self.capacity(), "segment without slack");
        let bytes = std::mem::take(&mut self.bytes);
        let home: Arc<dyn SegmentHome> = self.home.clone();
        Segment::freeze(bytes, len, Some(home))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}
