//! Payloads of CopyData messages in a replication stream.
//!
//! Enters: the body of a CopyData message. Leaves: the head of XLogData or a keepalive; the bytes
//! of a standby status update to send. Keeps: a message's clock and positions exactly.
//!
//! ```text
//! XLogData   | 'w' | start i64 | end i64 | clock i64 | message …        25 bytes before it
//! keepalive  | 'k' | end   i64 | clock i64 | reply u8 |
//! status     | 'r' | written i64 | flushed i64 | applied i64 | clock i64 | reply u8 |
//! ```
//! PostgreSQL documentation, "Streaming Replication Protocol". Clocks are microseconds since
//! 2000-01-01 on the wire and since 1970-01-01 here.

use alloc::vec::Vec;

use super::EPOCH_2000_US;
use crate::cursor::{Cursor, WireError};

/// Bytes of an XLogData head: the message starts here.
pub const XLOG_DATA_HEAD: usize = 25;

/// What a CopyData payload of the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A piece of the log: one message of the output plugin.
    XLogData(XLogData<'a>),
    /// A sign of life.
    Keepalive(Keepalive),
}

/// Head and message of an XLogData payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XLogData<'a> {
    /// LSN at which the message's record starts (`dataStart`; `source.lsn` of a row).
    pub start_lsn: u64,
    /// The server's WAL end, as the walsender knew it.
    pub end_lsn: u64,
    /// The server's clock, microseconds since the Unix epoch.
    pub clock_us: i64,
    /// The message of the output plugin.
    pub message: &'a [u8],
}

/// A primary keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Every commit before this LSN has been sent.
    pub end_lsn: u64,
    /// The server's clock, microseconds since the Unix epoch.
    pub clock_us: i64,
    /// The server wants a status update at once.
    pub reply_requested: bool,
}

/// Reads the body of a CopyData message. An unknown first byte is an error at offset 0.
pub fn parse(body: &[u8]) -> Result<Payload<'_>, WireError> {
    let mut c = Cursor::new(body);
    match body.first() {
        Some(b'w') => {
            c.skip(1)?;
            let (start_lsn, end_lsn) = (c.u64_be()?, c.u64_be()?);
            let clock_us = unix_us(c.i64_be()?);
            Ok(Payload::XLogData(XLogData { start_lsn, end_lsn, clock_us, message: c.rest() }))
        }
        Some(b'k') => {
            c.skip(1)?;
            let (end_lsn, clock_us) = (c.u64_be()?, unix_us(c.i64_be()?));
            let reply_requested = c.u8()? != 0;
            Ok(Payload::Keepalive(Keepalive { end_lsn, clock_us, reply_requested }))
        }
        Some(_) => c.invalid("replication message kind"),
        None => Err(WireError::Truncated { offset: 0, wanted: 1 }),
    }
}

/// Appends a whole CopyData message with a standby status update. The LSNs are "everything before
/// this"; `now_us`: our clock, microseconds since the Unix epoch; `reply`: ask for a keepalive.
pub fn standby_status(
    out: &mut Vec<u8>,
    written: u64,
    flushed: u64,
    applied: u64,
    now_us: i64,
    reply: bool,
) {
    out.push(b'd');
    out.extend_from_slice(&(4 + 34_i32).to_be_bytes());
    out.push(b'r');
    for lsn in [written, flushed, applied] {
        out.extend_from_slice(&lsn.to_be_bytes());
    }
    out.extend_from_slice(&now_us.saturating_sub(EPOCH_2000_US).to_be_bytes());
    out.push(u8::from(reply));
}

/// A wire clock as microseconds since the Unix epoch; saturates on hostile values.
pub(super) fn unix_us(since_2000: i64) -> i64 {
    since_2000.saturating_add(EPOCH_2000_US)
}

/// An LSN as PostgreSQL prints it, `16/B374D848`.
pub fn lsn_text(lsn: u64) -> alloc::string::String {
    alloc::format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

/// Reads `16/B374D848`; `None` when it is none.
pub fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |digits: &str| {
        let ok = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        ok.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    Some(half(high)? << 32 | half(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_the_stream() {
        // Goal: both payloads are read, truncation at every byte is an error. Method: by hand.
        let mut w = alloc::vec![b'w'];
        w.extend(0x16_B374_D848_u64.to_be_bytes());
        w.extend(0x16_B374_D900_u64.to_be_bytes());
        w.extend(1_000_000_i64.to_be_bytes());
        w.extend(b"msg");
        let want = XLogData {
            start_lsn: 0x16_B374_D848,
            end_lsn: 0x16_B374_D900,
            clock_us: 946_684_801_000_000,
            message: b"msg",
        };
        assert_eq!(parse(&w), Ok(Payload::XLogData(want)));
        assert_eq!(&w[XLOG_DATA_HEAD..], b"msg");
        let mut k = alloc::vec![b'k'];
        k.extend(9_u64.to_be_bytes());
        k.extend(i64::MAX.to_be_bytes());
        k.push(1);
        let want = Keepalive { end_lsn: 9, clock_us: i64::MAX, reply_requested: true };
        assert_eq!(parse(&k), Ok(Payload::Keepalive(want)));
        for (bytes, whole) in [(&w, XLOG_DATA_HEAD), (&k, 18)] {
            for len in 0..whole {
                assert!(matches!(parse(&bytes[..len]), Err(WireError::Truncated { .. })), "{len}");
            }
        }
        let unknown = WireError::Invalid { offset: 0, what: "replication message kind" };
        assert_eq!(parse(b"z"), Err(unknown));
    }

    #[test]
    fn status_update_bytes() {
        // Goal: the exact bytes of a status update. Method: the documented layout, by hand.
        let mut out = Vec::new();
        standby_status(&mut out, 1, 2, 3, EPOCH_2000_US + 4, true);
        let mut want = alloc::vec![b'd', 0, 0, 0, 38, b'r'];
        for n in 1..=4_u64 {
            want.extend(n.to_be_bytes());
        }
        want.push(1);
        assert_eq!(out, want);
    }

    #[test]
    fn lsn_in_words() {
        // Goal: an LSN's text form goes both ways and nonsense is refused. Method: examples.
        for (lsn, text) in
            [(0, "0/0"), (0x16_B374_D848, "16/B374D848"), (u64::MAX, "FFFFFFFF/FFFFFFFF")]
        {
            assert_eq!(lsn_text(lsn), text);
            assert_eq!(parse_lsn(text), Some(lsn));
        }
        for bad in ["", "0", "/", "0/", "+1/2", "1/123456789", "x/1"] {
            assert_eq!(parse_lsn(bad), None, "{bad}");
        }
    }
}
