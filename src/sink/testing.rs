//! Batches for the tests of sinks: made by hand, sealed as a shard seals them.

use std::sync::{Arc, Mutex};

use penstock_protocol::frame::TableId;
use penstock_shards::batch::{Batch, BatchHome, EventRef, KeyChange, Op, SealedBatch};
use penstock_shards::hop::{AckOutcome, Delivery, SinkAck};
use penstock_shards::seq::{BatchId, Epoch, LaneId, Seq, ShardId, SinkId};

use super::{AckReply, BatchHandle};

/// One event.
#[derive(Clone, Debug)]
pub struct Row {
    topic: String,
    seq: u64,
    key: Option<String>,
    value: Option<String>,
    other_key: Option<(bool, String)>,
}

impl Row {
    pub fn new(topic: &str, seq: u64, key: &str, value: &str) -> Self {
        let (topic, key, value) = (topic.into(), Some(key.into()), Some(value.into()));
        Self { topic, seq, key, value, other_key: None }
    }

    pub fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    pub fn tombstone(mut self) -> Self {
        self.value = None;
        self
    }

    pub fn new_key(mut self, key: &str) -> Self {
        self.other_key = Some((true, key.into()));
        self
    }

    pub fn old_key(mut self, key: &str) -> Self {
        self.other_key = Some((false, key.into()));
        self
    }
}

/// Makes the batches of one shard.
pub struct BatchMaker {
    shard: u16,
    next: u64,
    topics: Vec<Arc<str>>,
}

impl BatchMaker {
    pub fn new(shard: u16) -> Self {
        Self { shard, next: 1, topics: Vec::new() }
    }

    /// A batch without marks.
    pub fn batch(&mut self, rows: &[Row]) -> Arc<SealedBatch> {
        self.marked(rows, &[])
    }

    /// A batch with punctuation after the rows whose counts `marks` gives.
    pub fn marked(&mut self, rows: &[Row], marks: &[(u64, u32)]) -> Arc<SealedBatch> {
        let mut body = Batch::default();
        for row in rows {
            let topic = self.topic(&row.topic);
            let key = row.key.as_deref().map(|t| body.append(t.as_bytes()));
            let value = row.value.as_deref().map(|t| body.append(t.as_bytes()));
            let key_change = match &row.other_key {
                None => KeyChange::No,
                Some((true, text)) => KeyChange::NewKey(body.append(text.as_bytes())),
                Some((false, text)) => KeyChange::OldKey(body.append(text.as_bytes())),
            };
            body.events.push(EventRef {
                topic,
                op: if value.is_some() { Op::Create } else { Op::Tombstone },
                key,
                value,
                key_change,
                seq: Seq(row.seq),
                ordinal: 0,
                table: TableId(topic),
            });
        }
        let id = BatchId(self.next);
        self.next += 1;
        Arc::new(SealedBatch {
            id,
            epoch: Epoch(1),
            shard: ShardId(self.shard),
            lane: LaneId(0),
            encoding: 0,
            seq_min: Seq(rows.iter().map(|r| r.seq).min().unwrap_or(0)),
            seq_max: Seq(rows.iter().map(|r| r.seq).max().unwrap_or(0)),
            marks: marks.iter().map(|&(seq, n)| (Seq(seq), n)).collect(),
            topics: Arc::new(self.topics.clone()),
            body,
            home: BatchHome::default(),
        })
    }

    fn topic(&mut self, name: &str) -> u32 {
        let found = self.topics.iter().position(|t| &**t == name);
        let index = found.unwrap_or_else(|| {
            self.topics.push(name.into());
            self.topics.len() - 1
        });
        index as u32
    }
}

/// Collects answers.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<Vec<SinkAck>>>);

impl Answers {
    pub fn handle(&self, batch: Arc<SealedBatch>) -> BatchHandle {
        BatchHandle::new(Delivery { sink: SinkId(0), batch }, Arc::new(self.clone()))
    }

    /// (batch, outcome) in the order of the answers.
    pub fn all(&self) -> Vec<(u64, AckOutcome)> {
        let answers = self.0.lock().unwrap();
        answers.iter().map(|a| (a.batch.0, a.outcome.clone())).collect()
    }
}

impl AckReply for Answers {
    fn reply(&self, ack: SinkAck) {
        self.0.lock().unwrap().push(ack);
    }
}
