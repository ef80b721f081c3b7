//! TRANSACTION_PAYLOAD (MySQL 8.0.20): the events of a transaction, compressed.
//!
//! ```text
//! | (field lenenc | length lenenc | value)* | 0 | compressed events                         |
//! | 1: bytes of what follows, 2: compression (0 zstd, 255 none), 3: bytes once inflated     |
//! ```
//! `libs/mysql/binlog/event/codecs/binary.cpp`, `transaction_payload_codec`. The events inside have
//! no checksums; each `end_log_pos` in them is that of the event around them.
//!
//! Enters: the body of the event, or as much of it as came. Leaves: its head. Keeps: nothing is
//! inflated here.

use crate::cursor::{Cursor, WireError};
use crate::mysql::packet::lenenc;

/// Most bytes that a head takes: known fields, and some of a later server.
pub const HEAD_BYTES_MAX: usize = 256;

/// The head of a TRANSACTION_PAYLOAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadHead {
    /// Bytes of the head itself.
    pub len: usize,
    /// Bytes behind it.
    pub bytes: u64,
    /// Bytes of the events, once inflated.
    pub inflated: u64,
    /// The events are zstd frames; else they stand as they are.
    pub zstd: bool,
}

impl PayloadHead {
    /// Parses the front of the event's body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        let (mut bytes, mut inflated, mut zstd) = (None, None, true);
        loop {
            let offset = c.offset();
            let field = lenenc(&mut c)?;
            if field == 0 {
                break;
            }
            let len = usize::try_from(lenenc(&mut c)?).unwrap_or(usize::MAX);
            let mut value = Cursor::new(c.bytes(len)?);
            match field {
                1 => bytes = Some(lenenc(&mut value)?),
                2 => {
                    zstd = match lenenc(&mut value)? {
                        0 => true,
                        255 => false,
                        _ => {
                            return Err(WireError::Invalid { offset, what: "payload compression" });
                        }
                    }
                }
                3 => inflated = Some(lenenc(&mut value)?),
                _ => {}
            }
        }
        let Some(bytes) = bytes else { return c.invalid("payload without its length") };
        let inflated = if zstd { inflated } else { Some(bytes) };
        let Some(inflated) = inflated else {
            return c.invalid("payload without its inflated length");
        };
        Ok(Self { len: c.offset(), bytes, inflated, zstd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn heads() {
        // Goal: the fields in any order, unknown ones stepped over. Method: bodies by hand; the
        // first in the form of MySQL 9.7.
        let body = [2, 1, 0, 3, 3, 0xfc, 0x2c, 1, 1, 1, 90, 0, 7, 7];
        let want = PayloadHead { len: 12, bytes: 90, inflated: 300, zstd: true };
        assert_eq!(PayloadHead::parse(&body), Ok(want));
        let plain = [9, 2, 1, 2, 1, 1, 5, 2, 3, 0xfc, 255, 0, 0];
        let want = PayloadHead { len: 13, bytes: 5, inflated: 5, zstd: false };
        assert_eq!(PayloadHead::parse(&plain), Ok(want));
        for cut in 0..12 {
            assert!(PayloadHead::parse(&body[..cut]).is_err(), "cut at {cut}");
        }
        assert!(PayloadHead::parse(&[2, 1, 7, 1, 1, 5, 3, 1, 9, 0]).is_err(), "a compression");
        assert!(PayloadHead::parse(&[2, 1, 0, 3, 1, 9, 0]).is_err(), "no length");
        assert!(PayloadHead::parse(&[2, 1, 0, 1, 1, 9, 0]).is_err(), "no inflated length");
    }

    proptest! {
        #[test]
        fn noise_never_panics(body: Vec<u8>) {
            // Goal: no panic on hostile bytes. Method: noise.
            let _ = PayloadHead::parse(&body);
        }
    }
}
