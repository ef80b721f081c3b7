//! Framing of the client protocol, and its length-encoded primitives.
//!
//! Enters: bytes as the socket gave them, cut anywhere. Leaves: where whole packets lie, or one
//! joined payload. Keeps: sequence numbers are dense within an exchange; a payload longer than the
//! caller's bound is an error before its bytes are kept.
//!
//! ```text
//! +----------------+-----+----------------------+   a payload of 2^24-1 bytes or more is cut into
//! | length, 3 (LE) | seq |  payload (length)    |   packets of exactly 2^24-1 bytes and a shorter
//! +----------------+-----+----------------------+   last one, which may be empty
//! ```
//! MySQL Internals, "MySQL Packets"; `sql/net_serv.cc`.

use alloc::vec::Vec;

use crate::cursor::{Cursor, WireError};

/// Bytes of a packet's head.
pub const HEAD_BYTES: usize = 4;
/// Payload of a packet that is continued by the next one.
pub const PAYLOAD_BYTES_MAX: usize = 0xff_ffff;

/// Head of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHead {
    /// Bytes of payload in this packet.
    pub len: usize,
    /// Number in the exchange, modulo 256.
    pub seq: u8,
}

impl PacketHead {
    /// Reads a head from the first four bytes; `None`: fewer than four are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, seq, ..] = *bytes else { return None };
        Some(Self { len: usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16, seq })
    }

    /// True if the payload goes on in the next packet.
    pub fn continued(self) -> bool {
        self.len == PAYLOAD_BYTES_MAX
    }
}

/// Appends `payload` as one or more packets from number `seq` on; returns the next number.
pub fn write_packet(out: &mut Vec<u8>, mut seq: u8, mut payload: &[u8]) -> u8 {
    loop {
        let len = payload.len().min(PAYLOAD_BYTES_MAX);
        let (now, rest) = payload.split_at(len);
        let head = u32::try_from(len).expect("invariant: at most 2^24-1").to_le_bytes();
        out.extend_from_slice(&head[..3]);
        out.push(seq);
        out.extend_from_slice(now);
        seq = seq.wrapping_add(1);
        payload = rest;
        if len < PAYLOAD_BYTES_MAX {
            return seq;
        }
    }
}

/// Joins packets into payloads from bytes that are fed in any pieces.
#[derive(Debug, Default)]
pub struct PacketReader {
    /// Bytes that are not yet part of a payload, from `at` on.
    pending: Vec<u8>,
    at: usize,
    payload: Vec<u8>,
    seq: u8,
}

impl PacketReader {
    /// The next packet must have number `seq`.
    pub fn expect_seq(&mut self, seq: u8) {
        self.seq = seq;
    }

    /// The number that the next packet in either direction bears.
    pub fn next_seq(&self) -> u8 {
        self.seq
    }

    /// Takes bytes from the socket.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at == self.pending.len() {
            self.pending.clear();
            self.at = 0;
        } else if self.at > 64 << 10 {
            self.pending.drain(..self.at);
            self.at = 0;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Bytes that were fed and belong to no payload yet (they come before what the socket gives
    /// next when another reader takes over).
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.pending.split_off(self.at);
        self.pending.clear();
        self.at = 0;
        rest
    }

    /// The next whole payload, at most `bytes_max` long.
    ///
    /// # Errors
    /// A packet out of sequence, or a payload beyond the bound. The session is over then.
    pub fn poll(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, WireError> {
        loop {
            let unread = self.pending.get(self.at..).unwrap_or_default();
            let Some(head) = PacketHead::parse(unread) else { return Ok(None) };
            if head.seq != self.seq {
                return Err(WireError::Invalid { offset: 3, what: "packet sequence number" });
            }
            if self.payload.len() + head.len > bytes_max {
                return Err(WireError::Invalid { offset: 0, what: "packet length" });
            }
            let Some(body) = unread.get(HEAD_BYTES..HEAD_BYTES + head.len) else {
                return Ok(None);
            };
            self.payload.extend_from_slice(body);
            self.at += HEAD_BYTES + head.len;
            self.seq = self.seq.wrapping_add(1);
            if !head.continued() {
                return Ok(Some(core::mem::take(&mut self.payload)));
            }
        }
    }
}

/// Reads a length-encoded integer (`0xfb`, NULL in text rows, and `0xff` are errors here).
pub fn lenenc(c: &mut Cursor<'_>) -> Result<u64, WireError> {
    let offset = c.offset();
    match c.u8()? {
        n @ 0..=0xfa => Ok(n.into()),
        0xfc => c.uint_le(2),
        0xfd => c.uint_le(3),
        0xfe => c.uint_le(8),
        _ => Err(WireError::Invalid { offset, what: "length-encoded integer" }),
    }
}

/// Reads a length-encoded string.
pub fn lenenc_bytes<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let offset = c.offset();
    let len = usize::try_from(lenenc(c)?)
        .map_err(|_| WireError::Invalid { offset, what: "length-encoded string" })?;
    c.bytes(len)
}

/// Appends a length-encoded integer.
pub fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfa => out.push(bytes[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a length-encoded string.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_payload_of_16_mib_is_continued() {
        // Goal: exact multiples of 2^24-1 get an empty last packet. Method: write, read back.
        for extra in [0, 1] {
            let payload = vec![7; PAYLOAD_BYTES_MAX + extra];
            let mut wire = Vec::new();
            assert_eq!(write_packet(&mut wire, 255, &payload), 1);
            assert_eq!(wire.len(), payload.len() + 2 * HEAD_BYTES);
            let mut reader = PacketReader::default();
            reader.expect_seq(255);
            reader.feed(&wire[..wire.len() - 1]);
            if extra == 1 {
                assert_eq!(reader.poll(usize::MAX), Ok(None));
            }
            reader.feed(&wire[wire.len() - 1..]);
            assert_eq!(reader.poll(usize::MAX).unwrap().unwrap().len(), payload.len());
            assert_eq!(reader.next_seq(), 1);
        }
    }

    #[test]
    fn malformed_heads_are_errors() {
        // Goal: wrong sequence and too long are named. Method: hand-made heads.
        let mut reader = PacketReader::default();
        reader.feed(&[1, 0, 0, 1, 0]);
        let wrong_seq = WireError::Invalid { offset: 3, what: "packet sequence number" };
        assert_eq!(reader.poll(9), Err(wrong_seq));
        let mut reader = PacketReader::default();
        reader.feed(&[10, 0, 0, 0]);
        assert_eq!(reader.poll(9), Err(WireError::Invalid { offset: 0, what: "packet length" }));
        assert!(lenenc(&mut Cursor::new(&[0xfb])).is_err());
        assert!(
            lenenc_bytes(&mut Cursor::new(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_payloads(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..12),
            cuts in prop::collection::vec(1usize..97, 1..40),
        ) {
            // Goal: how the socket cuts the bytes does not matter. Method: feed in random pieces.
            let mut wire = Vec::new();
            let mut seq = 0;
            for payload in &payloads {
                seq = write_packet(&mut wire, seq, payload);
            }
            let (mut reader, mut got, mut at) = (PacketReader::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(wire.len());
                reader.feed(&wire[at..end]);
                while let Some(payload) = reader.poll(1 << 20).unwrap() {
                    got.push(payload);
                }
                at = end;
                if at == wire.len() {
                    break;
                }
            }
            prop_assert_eq!(got, payloads);
            prop_assert!(reader.take_rest().is_empty());
        }

        #[test]
        fn lenenc_round_trips(value: u64) {
            // Goal: every width. Method: write, read.
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            let mut c = Cursor::new(&out);
            prop_assert_eq!(lenenc(&mut c), Ok(value));
            prop_assert!(c.is_empty());
        }
    }
}
