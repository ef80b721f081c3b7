//! Compressed transactions (MySQL's TRANSACTION_PAYLOAD), inflated as a stream.
//!
//! Enters: the event, whole or in pieces as it comes from the socket. Leaves: the events inside, one
//! after the other, to the same hands as any. Keeps: neither what came nor what it becomes is ever
//! held whole: pieces go through one segment, an event larger than that has a buffer of its own,
//! one at a time (HAZARDS H5); all events have the place of the one around them; the group is
//! committed when the last byte was read and the checksum was right, and an event that came in
//! pieces is held by the router until then; claims and contents that do not agree are errors.

use std::ops::Range;
use std::sync::Arc;

use penstock_protocol::cursor::WireError;
use penstock_protocol::mysql::event::{
    CHECKSUM_BYTES, Checksum, EventHeader, FLAG_IGNORABLE, HEADER_BYTES, Query, ty,
};
use penstock_protocol::mysql::payload::PayloadHead;
use penstock_shards::limits::{ROW_BYTES_MAX, SPILL_BYTES_MAX};
use penstock_shards::segment::Segment;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::events::Log;
use super::{Reader, errors};
use crate::error::{Error, Result};
use crate::runtime::segments::{Buffer, Pool};

/// Largest window of a frame, as a power of two: what the server's highest level makes. The decoder
/// takes as much memory.
const WINDOW_LOG_MAX: u32 = 27;

/// A compressed transaction that is being read.
pub(super) struct Payload {
    pub(super) outer: EventHeader,
    checksum: Checksum,
    /// Bytes of the event that are still to come, its checksum included.
    left: u64,
    crc: crc32fast::Hasher,
    /// The event's last four bytes, as far as they came.
    sum: Vec<u8>,
    /// Bytes of its header and head that are still to come.
    front: usize,
    inflater: Inflater,
    /// The transaction's end, once it was read.
    end: Option<EventHeader>,
}

/// Turns compressed bytes into events.
struct Inflater {
    /// None: the events stand as they are.
    decoder: Option<Decoder<'static>>,
    /// A frame has ended, and no other has begun.
    at_end: bool,
    /// Compressed bytes that are still to come, and inflated ones.
    left: u64,
    due: u64,
    /// Being filled.
    buffer: Option<Buffer>,
    filled: usize,
    /// The start of an event whose rest has not come.
    tail: Vec<u8>,
    /// The buffer for events larger than a segment: the pipeline's own may hold the compressed
    /// event itself.
    large: Arc<Pool>,
}

fn broken(what: &'static str) -> Error {
    errors::broken(WireError::Invalid { offset: 0, what })
}

impl Payload {
    /// `event`: its bytes as far as they came, the head at least.
    pub(super) fn new(outer: EventHeader, checksum: Checksum, event: &[u8]) -> Result<Self> {
        let body = event.get(HEADER_BYTES..).unwrap_or_default();
        let head = PayloadHead::parse(body).map_err(errors::broken)?;
        Ok(Self {
            outer,
            checksum,
            left: outer.len.into(),
            crc: crc32fast::Hasher::new(),
            sum: Vec::new(),
            front: HEADER_BYTES + head.len,
            inflater: Inflater::new(&head)?,
            end: None,
        })
    }

    /// The part of `data` that is no checksum; keeps what is.
    fn body<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8]> {
        let tail = if self.checksum == Checksum::Crc32 { CHECKSUM_BYTES as u64 } else { 0 };
        let len = data.len() as u64;
        let Some(left) = self.left.checked_sub(len) else {
            return Err(broken("event length"));
        };
        let body = self.left.saturating_sub(tail).min(len);
        self.left = left;
        let (body, sum) = data.split_at(usize::try_from(body).unwrap_or(data.len()));
        self.sum.extend_from_slice(sum);
        if tail > 0 {
            self.crc.update(body);
        }
        Ok(body)
    }

    /// That the event is whole and its checksum right.
    fn check_sum(&self) -> Result<()> {
        if self.left > 0 {
            return Err(broken("event length"));
        }
        let right = self.crc.clone().finalize().to_le_bytes();
        if self.checksum == Checksum::Crc32 && self.sum != right {
            return Err(errors::wrong_checksum(self.outer.ty));
        }
        Ok(())
    }
}

impl Inflater {
    fn new(head: &PayloadHead) -> Result<Self> {
        // Held groups go to the spill: what it cannot hold need not be begun.
        if head.inflated > SPILL_BYTES_MAX {
            return Err(broken("inflated length of a transaction"));
        }
        let decoder = head.zstd.then(|| {
            let mut decoder = Decoder::new()?;
            let limit = zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG_MAX);
            decoder.set_parameter(limit).map(|()| decoder)
        });
        let decoder = decoder.transpose().map_err(|_| broken("zstd decoder"))?;
        Ok(Self {
            decoder,
            at_end: true,
            left: head.bytes,
            due: head.inflated,
            buffer: None,
            filled: 0,
            tail: Vec::new(),
            large: Pool::new(1, 0),
        })
    }

    /// Inflates from `data` into the buffer, which has room; how many bytes were taken.
    fn inflate(&mut self, data: &[u8]) -> Result<usize> {
        let Some(buffer) = &mut self.buffer else { return Ok(0) };
        let capacity = buffer.capacity();
        let room = &mut buffer[self.filled..capacity];
        let (taken, made) = match &mut self.decoder {
            None => {
                let len = data.len().min(room.len());
                room[..len].copy_from_slice(&data[..len]);
                (len, len)
            }
            Some(decoder) => {
                let (mut from, mut to) = (InBuffer::around(data), OutBuffer::around(room));
                let hint = decoder.run(&mut from, &mut to).map_err(|_| broken("zstd frame"))?;
                self.at_end = hint == 0;
                (from.pos(), to.pos())
            }
        };
        self.filled += made;
        let due = self.due.checked_sub(made as u64);
        self.due = due.ok_or_else(|| broken("inflated length of a transaction"))?;
        let left = self.left.checked_sub(taken as u64);
        self.left = left.ok_or_else(|| broken("compressed length of a transaction"))?;
        Ok(taken)
    }

    fn is_full(&self) -> bool {
        self.buffer.as_ref().is_some_and(|buffer| self.filled == buffer.capacity())
    }

    /// Nothing is to come, and nothing of what came is left.
    fn is_done(&self) -> bool {
        self.at_end && self.left == 0 && self.due == 0 && self.tail.is_empty()
    }

    /// The whole events in the buffer, which is full or the last; what is cut is kept, with the
    /// bytes that its event has.
    #[allow(clippy::type_complexity)]
    fn events(&mut self) -> Result<(Option<Arc<Segment>>, Vec<Range<usize>>, usize)> {
        let Some(buffer) = self.buffer.take() else { return Ok((None, Vec::new(), 0)) };
        let data = &buffer[..self.filled];
        let (mut spans, mut at, mut wanted) = (Vec::new(), 0, 0);
        while let Some(head) = data.get(at..at + HEADER_BYTES) {
            let len = u32::from_le_bytes([head[9], head[10], head[11], head[12]]) as usize;
            if !(HEADER_BYTES..=ROW_BYTES_MAX).contains(&len) {
                return Err(broken("length of a compressed event"));
            }
            if at + len > data.len() {
                wanted = len;
                break;
            }
            spans.push(at..at + len);
            at += len;
        }
        self.tail.clear();
        self.tail.extend_from_slice(&data[at..]);
        self.filled = 0;
        let segment = (!spans.is_empty()).then(|| buffer.freeze(at));
        Ok((segment, spans, wanted))
    }
}

impl Reader {
    /// The next bytes of a compressed transaction's event, from its header on.
    pub(super) async fn payload(
        &mut self,
        log: &mut Log,
        payload: &mut Payload,
        data: &[u8],
    ) -> Result<()> {
        let body = payload.body(data)?;
        let front = payload.front.min(body.len());
        payload.front -= front;
        let (mut data, mut is_full) = (&body[front..], false);
        // A full buffer may have left something in the decoder.
        while !data.is_empty() || is_full && !payload.inflater.at_end {
            let taken;
            (taken, is_full) = self.inflated(log, payload, data).await?;
            data = data.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Inflates as much of `data` as one buffer takes, and hands on the buffer once it is full.
    async fn inflated(
        &mut self,
        log: &mut Log,
        payload: &mut Payload,
        data: &[u8],
    ) -> Result<(usize, bool)> {
        let inflater = &mut payload.inflater;
        if inflater.buffer.is_none() {
            // Whoever waits for a segment has handed on what it holds.
            self.ctx.flush().await?;
            let mut buffer = self.ctx.pool.take().await;
            let tail = std::mem::take(&mut inflater.tail);
            let front = buffer.get_mut(..tail.len());
            front.ok_or_else(|| broken("compressed event"))?.copy_from_slice(&tail);
            (inflater.filled, inflater.buffer) = (tail.len(), Some(buffer));
        }
        let taken = inflater.inflate(data)?;
        let is_full = inflater.is_full();
        if is_full {
            let (segment, spans, wanted) = inflater.events()?;
            self.all(log, payload, segment, spans).await?;
            self.enlarge(payload, wanted).await?;
        }
        Ok((taken, is_full))
    }

    /// A buffer for an event of `wanted` bytes that no segment holds.
    async fn enlarge(&mut self, payload: &mut Payload, wanted: usize) -> Result<()> {
        let inflater = &mut payload.inflater;
        if wanted <= self.ctx.pool.segment_bytes() {
            return Ok(());
        }
        self.ctx.flush().await?;
        let too_large = |_| broken("length of a compressed event");
        let mut buffer = inflater.large.take_oversize(wanted).await.map_err(too_large)?;
        let tail = std::mem::take(&mut inflater.tail);
        buffer[..tail.len()].copy_from_slice(&tail);
        (inflater.filled, inflater.buffer) = (tail.len(), Some(buffer));
        Ok(())
    }

    async fn all(
        &mut self,
        log: &mut Log,
        payload: &mut Payload,
        segment: Option<Arc<Segment>>,
        spans: Vec<Range<usize>>,
    ) -> Result<()> {
        let Some(segment) = segment else { return Ok(()) };
        for span in spans {
            self.inner(log, payload, &segment, span).await?;
        }
        Ok(())
    }

    /// One event of the transaction.
    async fn inner(
        &mut self,
        log: &mut Log,
        payload: &mut Payload,
        segment: &Arc<Segment>,
        span: Range<usize>,
    ) -> Result<()> {
        let event = segment.data().get(span.clone()).unwrap_or_default();
        let header = EventHeader::parse(event).map_err(errors::broken)?;
        if payload.end.is_some() {
            return Err(broken("event behind the end of a compressed transaction"));
        }
        // Its place is that of the event around it.
        let Payload { outer, .. } = *payload;
        let placed = EventHeader { len: outer.len, end_log_pos: outer.end_log_pos, ..header };
        let body = span.start + HEADER_BYTES..span.end;
        let ends = match header.ty {
            ty::XID => true,
            ty::QUERY => {
                let body = segment.data().get(body.clone()).unwrap_or_default();
                Query::parse(ty::QUERY, body).map_err(errors::broken)?.sql == b"COMMIT"
            }
            ty::TABLE_MAP
            | ty::WRITE_ROWS
            | ty::UPDATE_ROWS
            | ty::DELETE_ROWS
            | ty::PARTIAL_UPDATE_ROWS
            | ty::ROWS_QUERY
            | ty::INTVAR
            | ty::RAND
            | ty::USER_VAR => false,
            _ if header.flags & FLAG_IGNORABLE != 0 => false,
            _ => return Err(broken("type of an event in a compressed transaction")),
        };
        if ends {
            payload.end = Some(placed);
            return Ok(());
        }
        self.dispatch(log, &placed, segment, span, body).await
    }

    /// The event has ended.
    pub(super) async fn payload_ends(&mut self, log: &mut Log, mut payload: Payload) -> Result<()> {
        let (segment, spans, _) = payload.inflater.events()?;
        self.all(log, &mut payload, segment, spans).await?;
        payload.check_sum()?;
        if !payload.inflater.is_done() || payload.front > 0 {
            return Err(broken("end of a compressed transaction"));
        }
        match payload.end {
            Some(end) => self.commit(log, &end),
            None => Ok(()),
        }
    }
}
