//! `null`: every batch is fully encoded, then dropped: for measuring.
//!
//! Enters: batches. Leaves: `Durable`, at once. Keeps nothing.

use std::time::Instant;

use penstock_shards::seq::Seq;

use super::{BatchHandle, Declaration, Fencing, Resume, Sink};
use crate::error::Result;

/// The sink that keeps nothing.
pub struct NullSink;

impl Sink for NullSink {
    fn declaration(&self) -> Declaration {
        Declaration {
            kind: "null",
            lanes: 1,
            fencing: Fencing::NothingToFence,
            exactly_once: false,
        }
    }

    fn open(&mut self, _resume: Resume) -> Result<()> {
        Ok(())
    }

    fn handle_batch(&mut self, batch: BatchHandle) -> Result<()> {
        batch.durable();
        Ok(())
    }

    fn handle_sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn state_at(&mut self, _seq: Seq) -> Result<Option<serde_json::Value>> {
        Ok(Some(serde_json::Value::Null))
    }

    fn handle_checkpoint(&mut self, _seq: Seq) -> Result<()> {
        Ok(())
    }

    fn close(&mut self, _deadline: Instant) -> Result<()> {
        Ok(())
    }
}
