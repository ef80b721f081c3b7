//! Reading the server's messages straight into pooled segments.
//!
//! Enters: a wire. Leaves: `Piece`s, frozen segments that begin with whole messages. Keeps: a row
//! is copied never (a large read) or once (a small one, so that 80 bytes do not pin a segment,
//! HAZARDS H5); a message that no segment holds gets a buffer of its own, one at a time; a reader
//! that is dropped in the middle of a wait loses no byte.

use std::io;
use std::sync::Arc;

use futures_util::{AsyncRead, AsyncReadExt};
use penstock_protocol::postgres::message;
use penstock_shards::limits::{ROW_BYTES_MAX, SEGMENT_SLACK};
use penstock_shards::segment::Segment;

use super::fault::{broken, malformed};
use crate::error::{Error, Result};
use crate::runtime::segments::{Buffer, Pool};

/// A read that fills less than this part of a segment is copied out of it.
const COPY_BELOW: usize = 8;

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
    doing: &'static str,
}

impl Intake {
    /// Starts with bytes that were received before. `doing` is for messages.
    pub async fn new(pool: Arc<Pool>, received: &[u8], doing: &'static str) -> Result<Self> {
        let mut buffer = match pool.take_oversize(received.len()).await {
            Ok(buffer) => buffer,
            Err(too_large) => return Err(too_long(too_large.bytes, doing)),
        };
        let filled = received.len();
        buffer[..filled].copy_from_slice(received);
        Ok(Self { pool, buffer, filled, whole: 0, doing })
    }

    /// The next whole messages, at least one. May be dropped while it waits.
    pub async fn next<R: AsyncRead + Unpin>(&mut self, wire: &mut R) -> Result<Piece> {
        loop {
            let missing = self.scan()?;
            if self.whole > 0 {
                return Ok(self.cut().await);
            }
            if self.filled + missing.min(1) > self.buffer.capacity() {
                self.grow(missing).await?;
            }
            let end = self.buffer.capacity();
            let read = wire.read(&mut self.buffer[self.filled..end]).await;
            let read = read.map_err(|error| broken(&error, self.doing))?;
            if read == 0 {
                return Err(broken(&io::ErrorKind::UnexpectedEof.into(), self.doing));
            }
            self.filled += read;
        }
    }

    /// Steps over whole messages. Returns how many bytes the next one still lacks, as far as its
    /// head tells (at least 1).
    fn scan(&mut self) -> Result<usize> {
        loop {
            let rest = &self.buffer[self.whole..self.filled];
            let head = message::frame_head(rest).map_err(|e| malformed(e, self.doing))?;
            match head {
                Some((_, len)) if len <= rest.len() => self.whole += len,
                Some((_, len)) => return Ok(len - rest.len()),
                None => return Ok(1),
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
