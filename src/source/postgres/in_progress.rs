//! Transactions in progress, as the server streams them from protocol version 2 on.
//!
//! Enters: pieces of transactions, interleaved, and the end of each. Leaves: rows to the router,
//! by xid; at Stream Commit the transaction's schemas and its commit. Keeps: nothing uncommitted
//! leaves, of a transaction or of a sub-transaction (invariant 10); Relation messages of a
//! transaction take effect at its commit, in order with its rows (HAZARDS H11), and the catalogue
//! is asked then, when it shows what the transaction did; what cannot be kept, or is told of whole
//! transactions alone, makes the reader connect again without streaming.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use penstock_protocol::frame::FrameKind;
use penstock_protocol::position::PositionDelta;
use penstock_protocol::postgres::pgoutput::{
    self, Message, Relation, RowHead, StreamAbort, StreamCommit, StreamStart,
};
use penstock_protocol::postgres::replication::{XLogData, lsn_text};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::{Beside, RouterError};
use penstock_shards::segment::Segment;
use penstock_shards::spill::SpillError;

use super::fault::{STREAMING, malformed};
use super::relations::Known;
use super::stream::{Stream, frame, stranger, unordered};
use crate::error::{Error, Result};
use crate::source::context::router_error;

/// Bytes of Relation and logical messages that transactions in progress may keep, all together.
const TOLD_BYTES_MAX: usize = 4 << 20;

/// What the reader keeps of them; their rows are the router's.
#[derive(Default)]
pub(super) struct InProgress {
    /// The transaction of which a piece is being read.
    pub(super) piece: Option<u32>,
    /// The part that wrote the last row of the piece.
    part: Option<u32>,
    txns: HashMap<u32, Txn>,
    told_bytes: usize,
}

/// One transaction.
#[derive(Default)]
struct Txn {
    /// What its own Relation messages say: the server tells each relation anew in each of them.
    relations: HashMap<u32, Known>,
    told: Vec<Told>,
    /// Parts that have written something and were not aborted, with the position of the first. A
    /// transaction without any is told by its commit alone here, and not at all where it is not
    /// streamed.
    wrote: BTreeMap<u32, u64>,
    /// Where its first piece starts.
    start: u64,
}

impl Txn {
    /// Where Begin would stand, were it not streamed: `skips_empty` servers tell it with the first
    /// change, others with the first record.
    fn begin_lsn(&self, skips_empty: bool) -> u64 {
        let first = self.wrote.values().min().copied();
        first.filter(|_| skips_empty).unwrap_or(self.start)
    }
}

/// A Relation or logical message that waits.
struct Told {
    /// Rows of the transaction before it.
    rows: u64,
    /// The (sub-)transaction that it is of.
    part: u32,
    /// The message, as outside of a piece.
    message: Vec<u8>,
    /// Its position.
    lsn: u64,
}

impl Stream<'_> {
    pub(super) fn handle_stream_start(
        &mut self,
        start: StreamStart,
        data_start: u64,
    ) -> Result<()> {
        if self.open.is_some() {
            return Err(unordered("a piece inside a transaction", self.course.routed));
        }
        self.last_relation = None;
        (self.in_progress.piece, self.in_progress.part) = (Some(start.xid), None);
        let new = || Txn { start: data_start, ..Txn::default() };
        self.in_progress.txns.entry(start.xid).or_insert_with(new);
        Ok(())
    }

    /// A message of a piece: `at` is its place in the segment.
    pub(super) fn handle_in_piece(
        &mut self,
        xid: u32,
        segment: &Arc<Segment>,
        at: usize,
        data: XLogData<'_>,
    ) -> Result<()> {
        let (lsn, len) = (data.start_lsn, data.message.len());
        let parsed = pgoutput::parse_in_stream(data.message);
        let (part, message) = parsed.map_err(|e| malformed(e, STREAMING).at(lsn_text(lsn)))?;
        let mut row = |kind, row| self.handle_part((xid, part), segment, kind, row, at, len, lsn);
        match message {
            Message::Insert(head) => row(FrameKind::Insert, head),
            Message::Update(head) => row(FrameKind::Update, head),
            Message::Delete(head) => row(FrameKind::Delete, head),
            Message::Truncate(truncate) => {
                let tables = truncate.relations.into_iter();
                tables
                    .map(|relation| RowHead { relation, body: len })
                    .try_for_each(|head| row(FrameKind::Truncate, head))
            }
            Message::Relation(relation) => self.keep_relation(xid, part, &relation, data.message),
            Message::Logical(message) => {
                self.note_part(xid, part, lsn);
                match self.ctx.source.postgres.message(message.prefix) {
                    true => self.keep(xid, part, lsn, data.message),
                    false => Ok(()),
                }
            }
            Message::StreamStop => {
                (self.in_progress.piece, self.last_relation) = (None, None);
                Ok(())
            }
            Message::Origin(_) => {
                let why = "a transaction in progress came from another server, and does not tell \
                    its position there";
                Err(self.without_streaming(why))
            }
            // Types come from the catalogue.
            _ => Ok(()),
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn handle_part(
        &mut self,
        (xid, part): (u32, u32),
        segment: &Arc<Segment>,
        kind: FrameKind,
        row: RowHead,
        at: usize,
        len: usize,
        position: u64,
    ) -> Result<()> {
        if self.in_progress.part != Some(part) {
            self.note_part(xid, part, position);
        }
        let known = match self.last_relation {
            Some((oid, known)) if oid == row.relation => known,
            _ => {
                let txn = self.in_progress.txns.get(&xid);
                let known = txn.and_then(|txn| txn.relations.get(&row.relation)).copied();
                let known = known.ok_or_else(|| stranger(position))?;
                self.last_relation = Some((row.relation, known));
                known
            }
        };
        let Known::Captured(table) = known else { return Ok(()) };
        let head = frame(kind, table, row, at, len, position);
        let part = if part == xid { 0 } else { part };
        let taken = self.ctx.router.handle_part(xid, part, segment, &head);
        taken.map_err(|error| self.refused(error))
    }

    fn note_part(&mut self, xid: u32, part: u32, lsn: u64) {
        self.in_progress.part = Some(part);
        if let Some(txn) = self.in_progress.txns.get_mut(&xid) {
            txn.wrote.entry(part).or_insert(lsn);
        }
    }

    fn keep_relation(
        &mut self,
        xid: u32,
        part: u32,
        relation: &Relation<'_>,
        message: &[u8],
    ) -> Result<()> {
        self.last_relation = None;
        let known = self.known(relation);
        if let Some(txn) = self.in_progress.txns.get_mut(&xid) {
            txn.relations.insert(relation.oid, known);
        }
        self.keep(xid, part, 0, message)
    }

    /// Keeps a message that takes effect at the commit.
    fn keep(&mut self, xid: u32, part: u32, lsn: u64, message: &[u8]) -> Result<()> {
        let (rows, kept) = (self.ctx.router.parts(xid), &mut self.in_progress);
        let Some(txn) = kept.txns.get_mut(&xid) else { return Ok(()) };
        // As outside of a piece: without the xid behind the kind.
        let mut bytes = message.get(..1).unwrap_or_default().to_vec();
        bytes.extend_from_slice(message.get(5..).unwrap_or_default());
        kept.told_bytes += bytes.len();
        txn.told.push(Told { rows, part, message: bytes, lsn });
        match kept.told_bytes > TOLD_BYTES_MAX {
            true => Err(self.without_streaming(
                "transactions in progress touch very many tables, or hold large messages",
            )),
            false => Ok(()),
        }
    }

    /// The transaction, or one sub-transaction of it, never was.
    pub(super) fn handle_stream_abort(&mut self, abort: StreamAbort) -> Result<()> {
        let StreamAbort { xid, subxid, .. } = abort;
        if xid == subxid {
            self.forget(xid);
            return self.ctx.router.abort_parts(xid).map_err(router_error);
        }
        self.ctx.router.abort_part(xid, subxid);
        let kept = &mut self.in_progress;
        let Some(txn) = kept.txns.get_mut(&xid) else { return Ok(()) };
        txn.wrote.remove(&subxid);
        // The server tells the transaction's relations anew after it.
        txn.told.retain(|told| {
            let stays = told.part != subxid;
            kept.told_bytes -= if stays { 0 } else { told.message.len() };
            stays
        });
        Ok(())
    }

    fn forget(&mut self, xid: u32) -> Option<Txn> {
        let txn = self.in_progress.txns.remove(&xid)?;
        let bytes: usize = txn.told.iter().map(|told| told.message.len()).sum();
        self.in_progress.told_bytes -= bytes;
        Some(txn)
    }

    /// The transaction is committed: `data_start` is the message's position.
    pub(super) async fn handle_stream_commit(
        &mut self,
        end: StreamCommit,
        data_start: u64,
    ) -> Result<()> {
        let StreamCommit { xid, commit } = end;
        let Some(txn) = self.forget(xid).filter(|_| self.open.is_none()) else {
            return Err(unordered("the commit of an unknown transaction", commit.commit_lsn));
        };
        // Schemas that the router does not get after all must not count as told.
        let before = (!txn.told.is_empty()).then(|| self.course.schemas.clone());
        if txn.wrote.is_empty() && self.skips_empty {
            return self.move_to(commit.end_lsn, 0);
        }
        let routed = self.commit_parts(xid, txn, &commit, data_start).await;
        if let (Err(_), Some(before)) = (&routed, before) {
            self.course.schemas = before;
        }
        routed
    }

    async fn commit_parts(
        &mut self,
        xid: u32,
        txn: Txn,
        commit: &pgoutput::Commit,
        data_start: u64,
    ) -> Result<()> {
        let begin_lsn = txn.begin_lsn(self.skips_empty);
        let Txn { told, .. } = txn;
        let schemas = self.learn_told(told, commit.commit_lsn).await?;
        let last_commit_lsn = std::mem::replace(&mut self.course.last_commit, data_start);
        self.course.last_commit_us = commit.commit_us;
        self.course.silences = 0;
        if self.course.has_seen(xid, commit.commit_lsn) {
            let router = &mut self.ctx.router;
            for (_, beside) in schemas {
                if let Beside::Schema(schema) = beside {
                    router.handle_schema(schema);
                }
            }
            router.abort_parts(xid).map_err(router_error)?;
            return self.move_to(commit.end_lsn, data_start);
        }
        let origin = TxnOrigin::Wal { xid, last_commit_lsn, replicated: None };
        let delta = PositionDelta::Lsn { lsn: commit.end_lsn, commit_lsn: data_start };
        self.ctx.router.mark_begin(begin_lsn, commit.commit_us);
        let routed = self.ctx.router.commit_parts(xid, origin, commit.commit_us, schemas, delta);
        if let Err(error) = routed {
            self.course.last_commit = last_commit_lsn;
            return Err(self.refused(error));
        }
        self.course.routed = self.course.routed.max(commit.end_lsn);
        self.settle()
    }

    /// What the kept messages of a transaction come to, now that the catalogue shows it.
    async fn learn_told(&mut self, told: Vec<Told>, at: u64) -> Result<Vec<(u64, Beside)>> {
        let mut beside = Vec::new();
        for Told { rows, message, lsn, .. } in told {
            let told = match pgoutput::parse(&message).map_err(|e| malformed(e, STREAMING))? {
                Message::Relation(relation) => self.learn(&relation, at).await?.map(Beside::Schema),
                Message::Logical(message) => {
                    self.message(&message, lsn).map(|annex| Beside::Annex(Arc::new(annex)))
                }
                _ => None,
            };
            beside.extend(told.map(|told| (rows, told)));
        }
        Ok(beside)
    }

    /// Without room to spill the server spills instead (HAZARDS H11).
    fn refused(&mut self, error: RouterError) -> Error {
        match error {
            RouterError::Spill(SpillError::Full) => {
                self.without_streaming("there is no room for transactions in progress")
            }
            error => router_error(error),
        }
    }

    /// From the next connection on the server keeps transactions until they are whole.
    fn without_streaming(&mut self, why: &str) -> Error {
        self.course.unstreamed = true;
        Error::transient("pg-streaming-off", format!("{why}: connecting again without streaming"))
    }
}
