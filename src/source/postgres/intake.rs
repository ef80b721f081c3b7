//! Reading the server's messages straight into pooled segments.
//!
//! Enters: a wire. Leaves: `Piece`s, frozen segments that begin with whole messages. Keeps: a row
//! is copied never (a large read) or once (a small one, so that 80 bytes do not pin a segment,
//! HAZARDS H5); a message that no segment holds gets a buffer of its own, one at a time; a reader
//! that is dropped in the middle of a wait loses no byte.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{AsyncRead, AsyncReadExt};
use penstock_protocol::postgres::message;
use penstock_shards::limits::{ROW_BYTES_MAX, SEGMENT_SLACK};
use penstock_shards::segment::Segment;

use super::fault::{broken, malformed};
use crate::error::{Error, Result};
use crate::runtime::segments::{Buffer, Pool};
use crate::runtime::{clock, sleep};

/// A read that fills less than this part of a segment is copied out of it.
const COPY_BELOW: usize = 8;

/// The walsender sends each message by itself. So many messages …
const BUSY_MESSAGES: u32 = 64;
/// … in so short a time make a busy stream: 40,000 a second.
const BUSY_US: u64 = 1_600;
/// A busy stream is given so long to fill the socket: what was one read a message becomes one for
/// a few hundred.
const GATHER: Duration = Duration::from_micros(500);
/// A busy stream has sent so many bytes meanwhile …
const GATHER_BYTES_MIN: usize = 2 << 10;
/// … or not, so many times in a row: then it is busy no more. Once would not do: a walsender that
/// got no CPU in the gap wakes us with its first message, and would again with each that follows.
const THIN_READS: u32 = 16;

/// Notices a busy stream. At low rates nothing waits: a message is read when it is there.
///
/// Messages are counted, not reads: on a machine that is short of CPU each read finds a few, and
/// what it costs to hand them on keeps the reads below any rate.
#[derive(Debug, Default)]
struct Pace {
    busy: bool,
    /// Reads of less than was to be gathered, in a row.
    thin: u32,
    /// Messages since `since_us`.
    messages: u32,
    since_us: u64,
}

impl Pace {
    /// A read gave so many bytes and ended so many messages, `now_us`.
    fn note(&mut self, bytes: usize, messages: u32, now_us: u64) {
        if self.busy {
            self.thin = if bytes < GATHER_BYTES_MIN { self.thin + 1 } else { 0 };
            self.busy = self.thin < THIN_READS;
            (self.messages, self.since_us) = (0, now_us);
            return;
        }
        self.messages += messages;
        if self.messages >= BUSY_MESSAGES {
            self.busy = now_us.saturating_sub(self.since_us) <= BUSY_US;
            self.thin = 0;
            (self.messages, self.since_us) = (0, now_us);
        }
    }
}

/// Whole messages, and perhaps the head of the next one behind them.
pub struct Piece {
    /// The bytes.
    pub segment: Arc<Segment>,
    /// Bytes of whole messages.
    pub whole: usize,
}

/// What has been read and not been handed on.
pub struct Intake {
    pool: Arc<Pool>,
    buffer: Buffer,
    filled: usize,
    /// Bytes of `buffer` that are known to be whole messages.
    whole: usize,
    pace: Pace,
    /// The last read has emptied the socket.
    emptied: bool,
    /// Bytes come in records (TLS): a short read does not mean that nothing is left.
    records: bool,
    doing: &'static str,
}

impl Intake {
    /// Starts with bytes that were received before. `records`: bytes come in records (TLS); `doing`
    /// is for messages.
    pub async fn new(
        pool: Arc<Pool>,
        received: &[u8],
        records: bool,
        doing: &'static str,
    ) -> Result<Self> {
        let mut buffer = match pool.take_oversize(received.len()).await {
            Ok(buffer) => buffer,
            Err(too_large) => return Err(too_long(too_large.bytes, doing)),
        };
        let filled = received.len();
        buffer[..filled].copy_from_slice(received);
        let (whole, pace, emptied) = (0, Pace::default(), false);
        Ok(Self { pool, buffer, filled, whole, pace, emptied, records, doing })
    }

    /// The next whole messages, at least one. May be dropped while it waits.
    pub async fn next<R: AsyncRead + Unpin>(&mut self, wire: &mut R) -> Result<Piece> {
        let mut read = 0;
        loop {
            let (messages, missing) = self.scan()?;
            if read > 0 {
                self.pace.note(read, messages, clock::monotonic_us());
            }
            if self.whole > 0 {
                return Ok(self.cut().await);
            }
            if self.filled + missing.min(1) > self.buffer.capacity() {
                self.grow(missing).await?;
            }
            read = self.read(wire).await.map_err(|error| broken(&error, self.doing))?;
            if read == 0 {
                return Err(broken(&io::ErrorKind::UnexpectedEof.into(), self.doing));
            }
            self.filled += read;
        }
    }

    /// One read. From a busy stream that has nothing for us yet, it waits for more than a message.
    async fn read<R: AsyncRead + Unpin>(&mut self, wire: &mut R) -> io::Result<usize> {
        let end = self.buffer.capacity();
        let room = &mut self.buffer[self.filled..end];
        let len = room.len();
        let mut read = None;
        if self.pace.busy {
            if self.records {
                let poll = poll_fn(|cx| Poll::Ready(Pin::new(&mut *wire).poll_read(cx, room)));
                read = match poll.await {
                    Poll::Ready(read) => Some(read?),
                    Poll::Pending => None,
                };
                self.emptied = read.is_none();
            }
            if self.emptied {
                sleep(GATHER).await;
            }
        }
        let read = match read {
            Some(read) => read,
            None => wire.read(room).await?,
        };
        self.emptied = read < len;
        Ok(read)
    }

    /// Steps over whole messages. Returns how many they were, and how many bytes the next one still
    /// lacks, as far as its head tells (at least 1).
    fn scan(&mut self) -> Result<(u32, usize)> {
        let mut messages = 0;
        loop {
            let rest = &self.buffer[self.whole..self.filled];
            let head = message::frame_head(rest).map_err(|e| malformed(e, self.doing))?;
            match head {
                Some((_, len)) if len <= rest.len() => {
                    self.whole += len;
                    messages += 1;
                }
                Some((_, len)) => return Ok((messages, len - rest.len())),
                None => return Ok((messages, 1)),
            }
        }
    }

    /// Freezes the whole messages; the rest moves to the next buffer.
    async fn cut(&mut self) -> Piece {
        let (whole, filled) = (self.whole, self.filled);
        let segment = if whole < self.pool.segment_bytes() / COPY_BELOW {
            let mut copy = Vec::with_capacity(whole + SEGMENT_SLACK);
            copy.extend_from_slice(&self.buffer[..whole]);
            copy.resize(whole + SEGMENT_SLACK, 0);
            self.buffer.copy_within(whole..filled, 0);
            Segment::freeze(copy, whole, None)
        } else {
            let mut next = self.pool.take().await;
            next[..filled - whole].copy_from_slice(&self.buffer[whole..filled]);
            self.buffer[filled..filled + SEGMENT_SLACK].fill(0);
            std::mem::replace(&mut self.buffer, next).freeze(filled)
        };
        self.filled = filled - whole;
        self.whole = 0;
        Piece { segment, whole }
    }

    /// A buffer of its own for a message that the present one cannot hold.
    async fn grow(&mut self, missing: usize) -> Result<()> {
        let bytes = self.filled + missing;
        let mut larger = match self.pool.take_oversize(bytes).await {
            Ok(buffer) => buffer,
            Err(_) => return Err(too_long(bytes, self.doing)),
        };
        larger[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
        self.buffer = larger;
        Ok(())
    }
}

fn too_long(bytes: usize, doing: &str) -> Error {
    let what = format!("{doing}: a row of {bytes} bytes; the bound is {ROW_BYTES_MAX}");
    Error::definite("pg-row-too-large", what).hint(
        "leave the table out (source.exclude_tables), or its large column out of the publication",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p02_a_stream_is_busy_above_forty_thousand_messages_a_second() {
        // Goal: single rows at 10,000 transactions a second (30,000 messages) wait for nothing; a
        // bulk load is gathered until it ends, also where each read finds a few messages. Method:
        // reads at steady intervals.
        let busy_after = |interval_us: u64, messages: u32, reads: u64| {
            let mut pace = Pace::default();
            pace.note(100, messages, 0);
            (1..reads).for_each(|n| pace.note(100, messages, n * interval_us));
            pace.busy
        };
        assert!(!busy_after(33, 1, 10_000));
        assert!(!busy_after(25, 1, 63));
        assert!(busy_after(25, 1, 64));
        assert!(!busy_after(100, 3, 10_000));
        assert!(busy_after(50, 3, 22));
        let mut pace = Pace { busy: true, ..Pace::default() };
        (1..THIN_READS).for_each(|n| pace.note(GATHER_BYTES_MIN - 1, 1, 500 * u64::from(n)));
        pace.note(GATHER_BYTES_MIN, 1, 10_000);
        (1..THIN_READS).for_each(|n| pace.note(100, 1, 10_000 + 500 * u64::from(n)));
        assert!(pace.busy);
        pace.note(100, 1, 20_000);
        assert!(!pace.busy);
    }
}
