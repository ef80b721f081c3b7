//! Sinks: where sealed batches go.
//!
//! Enters: `Delivery` (a sealed batch, shared by reference). Leaves: one `SinkAck` for each, and,
//! for each checkpoint, what this sink must find again after a crash. Keeps: `Durable` is said
//! only of what survives a crash; a batch that is not answered is answered `Transient` by its
//! handle (HAZARDS H9); no sink knows a source, a runtime or a shard's mailbox.
//!
//! A new sink is one file (or folder) here that implements `Sink`, its declaration, and a line
//! in `build`.

pub mod file;
pub mod line;
pub mod null;
pub mod stdout;
#[cfg(test)]
pub(crate) mod testing;
pub mod worker;

use std::sync::Arc;
use std::time::Instant;

use penstock_shards::batch::SealedBatch;
use penstock_shards::encode::options::Connector;
use penstock_shards::hop::{AckOutcome, Delivery, SinkAck};
use penstock_shards::seq::{Epoch, Seq, ShardId, SinkId};

use crate::config::{self, SinkKind};
use crate::error::{Error, Result};

/// How late writes of a dead instance are kept out (DESIGN, invariant 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// An OS lock held for the life of the process; good on one host (HAZARDS L29).
    OsLock,
    /// The other end cannot be wronged: it dies with the process, or keeps nothing.
    NothingToFence,
}

/// What each sink must declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Name of its kind, as in the configuration.
    pub kind: &'static str,
    /// Ordered paths of one shard into it. Acks are never cumulative across lanes.
    pub lanes: u16,
    /// How it fences.
    pub fencing: Fencing,
    /// Whether this instance gives exactly-once.
    pub exactly_once: bool,
}

/// What a sink is opened with.
#[derive(Clone, Debug)]
pub struct Resume {
    /// This incarnation of the pipeline.
    pub epoch: Epoch,
    /// What `state_at` gave for the checkpoint that this run starts from; `None`: the run starts
    /// without a checkpoint, or the checkpoint holds nothing of this sink.
    pub state: Option<serde_json::Value>,
}

/// A sink. All its methods are called on its own thread (`worker`); they may block.
///
/// An `Err` from any of them ends the pipeline with that error. What can be waited out (a full
/// disk) is kept and tried again inside the sink, at `poll_deadline`.
pub trait Sink: Send {
    /// What it declares. Constant.
    fn declaration(&self) -> Declaration;

    /// Makes it ready. Called once, before anything else.
    fn open(&mut self, resume: Resume) -> Result<()>;

    /// Takes a batch. The handle is answered now, or kept until the batch is durable. Batches of
    /// one shard arrive in the order of their ids.
    fn handle_batch(&mut self, batch: BatchHandle) -> Result<()>;

    /// Makes durable what was handed over, and answers.
    fn handle_sync(&mut self) -> Result<()>;

    /// When `handle_deadline` is to be called next; `None`: only when something was handed over.
    fn poll_deadline(&self) -> Option<Instant> {
        None
    }

    /// The time of `poll_deadline` has come.
    fn handle_deadline(&mut self) -> Result<()> {
        self.handle_sync()
    }

    /// What a checkpoint at watermark `seq` must hold of this sink (file lengths, say). Everything
    /// with `Seq` ≤ `seq` has been answered `Durable` when this is called. `None`: the state at
    /// exactly this point was let go to keep memory bounded; ask again at a later commit.
    fn state_at(&mut self, seq: Seq) -> Result<Option<serde_json::Value>>;

    /// The checkpoint at `seq` is durable.
    fn handle_checkpoint(&mut self, seq: Seq) -> Result<()>;

    /// Makes durable what it can by the deadline and lets go; handles not answered by then answer
    /// `Transient`.
    fn close(&mut self, deadline: Instant) -> Result<()>;
}

/// Brings a sink's answer home, from the sink's thread. Must not block for long: the shard's
/// mailbox has room for every batch that may be in flight.
pub trait AckReply: Send + Sync {
    /// Hands over one answer.
    fn reply(&self, ack: SinkAck);
}

impl<F: Fn(SinkAck) + Send + Sync> AckReply for F {
    fn reply(&self, ack: SinkAck) {
        self(ack);
    }
}

/// A batch and the duty to answer for it, once. Dropped without an answer, it answers
/// `Transient` (HAZARDS H9).
pub struct BatchHandle {
    delivery: Delivery,
    reply: Option<Arc<dyn AckReply>>,
}

impl BatchHandle {
    /// A batch that `reply` waits for.
    pub fn new(delivery: Delivery, reply: Arc<dyn AckReply>) -> Self {
        Self { delivery, reply: Some(reply) }
    }

    /// The batch.
    pub fn batch(&self) -> &Arc<SealedBatch> {
        &self.delivery.batch
    }

    /// For which sink.
    pub fn sink(&self) -> SinkId {
        self.delivery.sink
    }

    /// Who made it.
    pub fn shard(&self) -> ShardId {
        self.delivery.batch.shard
    }

    /// It survives a crash of everything.
    pub fn durable(self) {
        self.answer(AckOutcome::Durable);
    }

    /// It can never be delivered; `reason` has no cell values.
    pub fn definite(self, reason: String) {
        self.answer(AckOutcome::Definite(reason));
    }

    fn answer(mut self, outcome: AckOutcome) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: AckOutcome) {
        if let Some(reply) = self.reply.take() {
            let (sink, batch) = (self.delivery.sink, self.delivery.batch.id);
            reply.reply(SinkAck { sink, batch, outcome });
        }
    }
}

impl Drop for BatchHandle {
    fn drop(&mut self) {
        self.send(AckOutcome::Transient);
    }
}

/// What sinks of one pipeline share.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Topic prefix, and the key of the pipeline's state.
    pub pipeline: String,
    /// `source.connector`.
    pub connector: Connector,
    /// One UUID per run, `__debezium.context.runId`.
    pub run_id: String,
}

/// Makes the sink that a configuration asks for. Nothing is opened yet.
///
/// # Errors
/// `sink-exactly-once` (usage) if it is asked of a kind that cannot give it.
pub fn build(config: &config::Sink, context: &SinkContext) -> Result<Box<dyn Sink>> {
    let headers = config.headers.then(|| match config.encode.extended_headers {
        true => line::ContextHeaders::new(&context.pipeline, context.connector, &context.run_id),
        false => line::ContextHeaders::default(),
    });
    let sink: Box<dyn Sink> = match &config.kind {
        SinkKind::Null => Box::new(null::NullSink),
        SinkKind::Stdout => Box::new(stdout::StdoutSink::new(headers)),
        SinkKind::File { path, rotate_bytes } => Box::new(file::FileSink::new(file::FileOptions {
            folder: path.clone(),
            pipeline: context.pipeline.clone(),
            topic_prefix: format!("{}{}", config.encode.name, config.encode.topic_delimiter),
            rotate_bytes: *rotate_bytes,
            exactly_once: config.exactly_once,
            headers,
        })),
    };
    let declared = sink.declaration();
    if config.exactly_once && !declared.exactly_once {
        let what = format!("the sink {} cannot deliver exactly once", declared.kind);
        return Err(Error::usage("sink-exactly-once", what)
            .hint("leave `delivery` out, or set it to \"at_least_once\""));
    }
    Ok(sink)
}
