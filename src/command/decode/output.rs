//! Records of `decode` on standard output, in large writes.

use std::io::{ErrorKind, Write};

use penstock_shards::batch::Batch;
use penstock_shards::encode::RowEncoder;

use crate::error::{Error, Result};
use crate::sink::line::{self, TopicHead};

/// Code of the error that says that nobody reads on (`penstock decode F | head`): no failure.
pub(super) const READER_GONE: &str = "sink-stdout-closed";

const CHUNK_BYTES: usize = 256 << 10;

/// Standard output.
pub(super) struct Output {
    buffer: Vec<u8>,
    heads: Vec<TopicHead>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::with_capacity(CHUNK_BYTES * 5 / 4), heads: Vec::new() }
    }

    /// Every event of a batch as a line. An encoder's topics grow and are never reordered.
    pub(super) fn batch(&mut self, batch: &Batch, encoder: &impl RowEncoder) -> Result<()> {
        for event in &batch.events {
            if self.heads.len() <= event.topic as usize {
                let topics = encoder.topics();
                let new = topics.iter().skip(self.heads.len());
                self.heads.extend(new.map(|topic| TopicHead::new(topic.clone())));
            }
            line::append(&mut self.buffer, &self.heads[event.topic as usize], batch, event, None);
            if self.buffer.len() >= CHUNK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&self.buffer).and_then(|()| out.flush());
        self.buffer.clear();
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Error::fatal(READER_GONE, "the reader has gone away"),
            _ => Error::fatal("sink-stdout-failed", format!("standard output: {error}")),
        })
    }
}
