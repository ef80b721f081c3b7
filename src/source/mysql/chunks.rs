//! The socket, read straight into pooled segments and framed there.
//!
//! Enters: a wire on which the server streams (a dump, or rows of a query). Leaves: frozen segments
//! and the spans of the whole packets' payloads in them. Keeps: a payload is copied only if a
//! segment's end cuts it; one that no segment holds gets its own buffer, up to `ROW_BYTES_MAX`
//! (HAZARDS H5), but for compressed transactions, which come in pieces; sequence numbers are dense.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::io::AsyncReadExt;
use penstock_protocol::cursor::WireError;
use penstock_protocol::mysql::event::{HEADER_BYTES, ty};
use penstock_protocol::mysql::packet::{HEAD_BYTES, PacketHead};
use penstock_protocol::mysql::payload::HEAD_BYTES_MAX;
use penstock_shards::limits::ROW_BYTES_MAX;
use penstock_shards::segment::Segment;

use super::errors;
use crate::error::{Error, Result};
use crate::runtime::net::{Endpoint, Wire};
use crate::runtime::segments::{Buffer, Pool};
use crate::runtime::timeout;

/// Reads packets in chunks.
pub struct Chunks {
    wire: Wire,
    pool: Arc<Pool>,
    endpoint: Endpoint,
    /// Being filled; none between two chunks.
    buffer: Option<Buffer>,
    filled: usize,
    /// Bytes behind the last chunk's last whole packet.
    rest: Vec<u8>,
    seq: u8,
    /// How long the server may be silent; none: for ever (keepalive finds a dead one).
    silence_max: Option<Duration>,
    /// Of a payload that comes in pieces: what is left of its packet, and whether another follows.
    open: Option<(usize, bool)>,
}

/// What the dump has sent.
pub enum Chunk {
    /// Whole payloads.
    Packets(Arc<Segment>),
    /// A part of one payload that no segment holds, a compressed transaction's.
    Piece(Piece),
}

/// A part of a payload.
pub struct Piece {
    buffer: Buffer,
    len: usize,
    /// The payload ends with it.
    pub last: bool,
}

impl Piece {
    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// What a buffer holds.
enum Filled {
    Packets(Arc<Segment>),
    /// The start of a payload that no segment holds.
    Start(Buffer, PacketHead),
}

impl Chunks {
    /// Takes over a wire: `rest` was read from it already, the next packet has number `seq`.
    pub fn new(
        wire: Wire,
        rest: Vec<u8>,
        seq: u8,
        pool: Arc<Pool>,
        endpoint: Endpoint,
        silence_max: Option<Duration>,
    ) -> Self {
        Self { wire, pool, endpoint, buffer: None, filled: 0, rest, seq, silence_max, open: None }
    }

    /// The wire, once the last packet of an answer was in the last chunk.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// Waits for at least one whole packet; `spans` becomes the payloads, in order. May wait for
    /// a segment: the caller has handed on what it holds.
    ///
    /// # Errors
    /// Transient when the connection ends, is silent for too long or is out of step; Definite for
    /// a payload beyond `ROW_BYTES_MAX`. The wire is of no use then.
    pub async fn next(&mut self, spans: &mut Vec<Range<usize>>) -> Result<Arc<Segment>> {
        match self.fill(spans).await? {
            Filled::Packets(segment) => Ok(segment),
            Filled::Start(buffer, head) => self.oversize(&buffer, head, spans).await,
        }
    }

    /// As [`Chunks::next`], for a dump: compressed transactions that no segment holds come in
    /// pieces, of any size.
    pub async fn next_chunk(&mut self, spans: &mut Vec<Range<usize>>) -> Result<Chunk> {
        if let Some((left, continued)) = self.open.take() {
            spans.clear();
            return self.piece(left, continued).await.map(Chunk::Piece);
        }
        match self.fill(spans).await? {
            Filled::Packets(segment) => Ok(Chunk::Packets(segment)),
            Filled::Start(buffer, head) if is_payload(&buffer) => {
                self.check_seq(head)?;
                let mut buffer = buffer;
                let len = self.filled - HEAD_BYTES;
                buffer.copy_within(HEAD_BYTES..self.filled, 0);
                self.rest.clear();
                self.open = Some((head.len - len, head.continued()));
                Ok(Chunk::Piece(Piece { buffer, len, last: false }))
            }
            Filled::Start(buffer, head) => {
                self.oversize(&buffer, head, spans).await.map(Chunk::Packets)
            }
        }
    }

    /// The next part of the payload that is open.
    async fn piece(&mut self, mut left: usize, mut continued: bool) -> Result<Piece> {
        if left == 0 {
            // The packet before was full: another one follows, perhaps an empty one.
            let head = self.next_head().await?;
            (left, continued) = (head.len, head.continued());
        }
        let mut buffer = self.pool.take().await;
        let wanted = left.min(buffer.capacity());
        let mut len = 0;
        while len < wanted {
            let got = read(&mut self.wire, &mut buffer[len..wanted], self.silence_max).await;
            len += got.map_err(|e| errors::lost(&self.endpoint, &e))?;
        }
        let last = len == left && !continued;
        self.open = (!last).then_some((left - len, continued));
        self.filled = 0;
        Ok(Piece { buffer, len, last })
    }

    async fn fill(&mut self, spans: &mut Vec<Range<usize>>) -> Result<Filled> {
        spans.clear();
        let mut buffer = match self.buffer.take() {
            Some(buffer) => buffer,
            None => {
                let mut buffer = self.pool.take().await;
                // What was read ahead at login is far smaller than a segment, and so is a tail.
                let Some(front) = buffer.get_mut(..self.rest.len()) else {
                    return Err(errors::unexpected("bytes before the stream"));
                };
                front.copy_from_slice(&self.rest);
                self.filled = self.rest.len();
                buffer
            }
        };
        loop {
            let end = self.frame(&buffer, spans)?;
            if !spans.is_empty() {
                self.rest.clear();
                self.rest.extend_from_slice(&buffer[end..self.filled]);
                return Ok(Filled::Packets(buffer.freeze(end)));
            }
            if let Some(head) = PacketHead::parse(&buffer[..self.filled])
                && (head.continued() || HEAD_BYTES + head.len > buffer.capacity())
                && self.filled >= PEEKED_BYTES
            {
                return Ok(Filled::Start(buffer, head));
            }
            let room = self.filled..buffer.capacity();
            let got = read(&mut self.wire, &mut buffer[room], self.silence_max).await;
            self.filled += got.map_err(|e| errors::lost(&self.endpoint, &e))?;
        }
    }

    /// Finds whole packets; returns where the first incomplete one starts.
    fn frame(&mut self, buffer: &[u8], spans: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut at = 0;
        while let Some(head) = PacketHead::parse(&buffer[at..self.filled]) {
            let end = at + HEAD_BYTES + head.len;
            if head.continued() || end > self.filled {
                break;
            }
            self.check_seq(head)?;
            spans.push(at + HEAD_BYTES..end);
            at = end;
        }
        Ok(at)
    }

    fn check_seq(&mut self, head: PacketHead) -> Result<()> {
        if head.seq != self.seq {
            let what = "packet sequence number";
            return Err(errors::broken(WireError::Invalid { offset: 3, what }));
        }
        self.seq = self.seq.wrapping_add(1);
        Ok(())
    }

    /// The head of the packet that continues a payload, its number not checked yet.
    async fn read_head(&mut self) -> Result<PacketHead> {
        let mut next = [0; HEAD_BYTES];
        let mut got = 0;
        while got < HEAD_BYTES {
            let read = read(&mut self.wire, &mut next[got..], self.silence_max).await;
            got += read.map_err(|e| errors::lost(&self.endpoint, &e))?;
        }
        Ok(PacketHead::parse(&next).expect("invariant: four bytes are a head"))
    }

    async fn next_head(&mut self) -> Result<PacketHead> {
        let head = self.read_head().await?;
        self.check_seq(head)?;
        Ok(head)
    }

    /// A payload larger than a segment, or cut into several packets: joined in its own buffer.
    async fn oversize(
        &mut self,
        start: &[u8],
        mut head: PacketHead,
        spans: &mut Vec<Range<usize>>,
    ) -> Result<Arc<Segment>> {
        // The length of a continued payload is not known; untouched memory costs nothing.
        let wanted = if head.continued() { ROW_BYTES_MAX } else { head.len };
        let too_large = |_| too_large();
        let mut big = self.pool.take_oversize(wanted).await.map_err(too_large)?;
        let front = start.get(HEAD_BYTES..self.filled).unwrap_or_default();
        let (mut len, mut have) = (0, front.len());
        big.get_mut(..have)
            .ok_or_else(|| errors::unexpected("packet length"))?
            .copy_from_slice(front);
        loop {
            self.check_seq(head)?;
            if len + head.len > big.capacity() {
                return Err(self::too_large());
            }
            while have < head.len {
                let room = &mut big[len + have..len + head.len];
                let got = read(&mut self.wire, room, self.silence_max).await;
                have += got.map_err(|e| errors::lost(&self.endpoint, &e))?;
            }
            len += head.len;
            if !head.continued() {
                break;
            }
            head = self.read_head().await?;
            have = 0;
        }
        self.rest.clear();
        self.filled = 0;
        spans.push(0..len);
        Ok(big.freeze(len))
    }
}

/// Bytes after which the type of an event is known, and the head of a compressed transaction.
const PEEKED_BYTES: usize = HEAD_BYTES + 1 + HEADER_BYTES + HEAD_BYTES_MAX;

/// Whether a dump's payload is a compressed transaction.
fn is_payload(packet: &[u8]) -> bool {
    let event = packet.get(HEAD_BYTES + 1..).unwrap_or_default();
    packet.get(HEAD_BYTES) == Some(&0) && event.get(4) == Some(&ty::TRANSACTION_PAYLOAD)
}

fn too_large() -> Error {
    Error::definite("my-row-too-large", format!("a row is larger than {ROW_BYTES_MAX} bytes"))
        .hint("leave the table out (source.exclude_tables), or keep such values elsewhere")
}

async fn read(wire: &mut Wire, room: &mut [u8], limit: Option<Duration>) -> std::io::Result<usize> {
    let got = match limit {
        Some(limit) => timeout(limit, wire.read(room)).await.unwrap_or_else(|_| {
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server is silent"))
        })?,
        None => wire.read(room).await?,
    };
    if got == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(got) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use penstock_protocol::mysql::packet::{PAYLOAD_BYTES_MAX, write_packet};

    use super::*;
    use crate::runtime::{Backend, net, run_alone};

    /// Reads `count` payloads from a server that writes `wire` in pieces of these sizes.
    fn read_back(wire: Vec<u8>, pieces: Vec<usize>, count: usize) -> Result<Vec<Vec<u8>>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let (mut rest, mut sizes) = (&wire[..], pieces.iter().cycle());
            while !rest.is_empty() {
                let size = (*sizes.next().expect("endless")).min(rest.len());
                if stream.write_all(&rest[..size]).is_err() {
                    return; // the reader has seen enough
                }
                rest = &rest[size..];
            }
        });
        let endpoint = Endpoint::Unix(path);
        let read = run_alone(Backend::Epoll, move || async move {
            let limit = Duration::from_secs(10);
            let stream = net::connect(&endpoint, limit).await.expect("a connection");
            let pool = Pool::new(2, 1024);
            let mut chunks =
                Chunks::new(Wire::Plain(stream), vec![], 0, pool, endpoint, Some(limit));
            let (mut got, mut spans) = (Vec::new(), Vec::new());
            while got.len() < count {
                let segment = chunks.next(&mut spans).await?;
                assert!(!spans.is_empty());
                got.extend(spans.iter().map(|span| segment.data()[span.clone()].to_vec()));
            }
            Ok(got)
        });
        server.join().expect("the server");
        read.expect("a core")
    }

    #[test]
    fn any_cut_gives_the_same_payloads() {
        // Goal: payloads that fit, that a segment's end cuts, that no segment holds. Method: a
        // server that writes in odd pieces, segments of 1 KiB.
        let sizes = [0, 1, 500, 500, 1020, 1021, 5000, 3, 900, 70_000, 0, 1016];
        let payloads = sizes.iter().enumerate().map(|(i, &len)| vec![i as u8; len]);
        let payloads = payloads.collect::<Vec<_>>();
        let mut wire = Vec::new();
        payloads.iter().fold(0, |seq, payload| write_packet(&mut wire, seq, payload));
        for pieces in [vec![1, 2, 3, 500], vec![4], vec![100_000], vec![1024, 7]] {
            let got = read_back(wire.clone(), pieces, payloads.len()).expect("payloads");
            assert!(got == payloads);
        }
    }

    #[test]
    fn h05_a_continued_payload_is_joined() {
        // Goal: 16 MiB and more is one payload again, what follows is framed. Method: two such.
        for extra in [0, 10] {
            let payloads = [vec![7; PAYLOAD_BYTES_MAX + extra], vec![8; 3]];
            let mut wire = Vec::new();
            payloads.iter().fold(0, |seq, payload| write_packet(&mut wire, seq, payload));
            let got = read_back(wire, vec![65_536], 2).expect("payloads");
            assert!(got == payloads);
        }
    }

    #[test]
    fn packets_out_of_step_are_errors() {
        // Goal: a wrong number ends the connection, the end of the socket too. Method: one each.
        let mut wire = Vec::new();
        write_packet(&mut wire, 1, b"late");
        assert_eq!(read_back(wire, vec![9], 1).unwrap_err().code, "my-protocol");
        assert_eq!(read_back(vec![9, 0, 0, 0, 1], vec![5], 1).unwrap_err().code, "net-unreachable");
    }
}
