//! Events that start a group (transaction or DDL): GTID, anonymous, tagged, MariaDB's GTID.
//!
//! Enters: event bodies. Leaves: who the transaction is and when it was committed. The tagged form
//! is a message of fields (`libs/mysql/serialization`): every number is of variable length, the
//! count of trailing one bits of the first byte says how many bytes follow it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::cursor::{Cursor, WireError};
use crate::mysql::event::{EventHeader, ty, xid_bytes};
use crate::position::Gtid;

/// The start of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStart {
    /// Its GTID; `None` for anonymous ones.
    pub gtid: Option<Gtid>,
    /// Commit time at the original server, µs since 1970; 0: not told.
    pub commit_us: u64,
    /// MariaDB's flags, 0 for MySQL.
    pub flags: u8,
    /// MariaDB: XID of a group that is prepared or completed.
    pub xid: Option<Vec<u8>>,
    /// MariaDB: part of a two-phase ALTER.
    pub alter: Alter,
}

/// MariaDB's two-phase ALTER TABLE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alter {
    /// Not such a group.
    #[default]
    No,
    /// It begins: without effect yet.
    Start,
    /// It takes effect.
    Commit,
    /// It was taken back.
    Rollback,
}

/// MariaDB flag: one statement without BEGIN and COMMIT.
pub const FL_STANDALONE: u8 = 1;
/// MariaDB flag: ends in XA_PREPARE.
pub const FL_PREPARED_XA: u8 = 64;
/// MariaDB flag: XA COMMIT or XA ROLLBACK.
pub const FL_COMPLETED_XA: u8 = 128;

impl GroupStart {
    /// Parses the body of an event of type 33, 34, 42 or 162.
    pub fn parse(header: &EventHeader, body: &[u8]) -> Result<Self, WireError> {
        match header.ty {
            ty::GTID | ty::ANONYMOUS_GTID => Self::mysql(header.ty, body),
            ty::GTID_TAGGED => Self::tagged(body),
            ty::MARIADB_GTID => Self::mariadb(header.server_id, body),
            _ => Err(WireError::Invalid { offset: 4, what: "GTID event type" }),
        }
    }

    fn mysql(ty: u8, body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        c.skip(1)?;
        let (uuid, number) = (c.array::<16>()?, c.u64_le()?);
        let gtid = (ty == ty::GTID).then(|| Gtid::MySql { uuid, tag: "".into(), number });
        let mut commit_us = 0;
        // Logical timestamps (5.7.6), then commit times (8.0.1).
        if c.remaining() >= 1 + 16 + 7 && c.u8()? == 2 {
            c.skip(16)?;
            let immediate = c.uint_le(7)?;
            commit_us = immediate & !(1 << 55);
            if immediate >> 55 == 1 {
                commit_us = c.uint_le(7)?;
            }
        }
        Ok(Self { gtid, commit_us, flags: 0, xid: None, alter: Alter::No })
    }

    fn tagged(body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        if varint(&mut c)? != 1 {
            return Err(WireError::Invalid { offset: 0, what: "tagged GTID version" });
        }
        varint(&mut c)?; // length of the message
        varint(&mut c)?; // last field that must be understood
        let (mut uuid, mut tag, mut number) = (None, String::new(), None);
        let (mut immediate, mut original) = (0, 0);
        while !c.is_empty() {
            let offset = c.offset();
            match varint(&mut c)? {
                0 => drop(varint(&mut c)?),
                1 => {
                    let mut bytes = [0; 16];
                    for byte in &mut bytes {
                        let invalid = WireError::Invalid { offset, what: "uuid" };
                        *byte = u8::try_from(varint(&mut c)?).map_err(|_| invalid)?;
                    }
                    uuid = Some(bytes);
                }
                2 => number = Some(unzigzag(varint(&mut c)?)),
                3 => {
                    let len = usize::try_from(varint(&mut c)?).unwrap_or(usize::MAX);
                    tag = String::from_utf8_lossy(c.bytes(len)?).into_owned();
                }
                4 | 5 | 8 | 9 | 10 | 11 => drop(varint(&mut c)?),
                6 => immediate = varint(&mut c)?,
                7 => original = varint(&mut c)?,
                _ => break, // fields of later servers come last and may be ignored
            }
        }
        let (Some(uuid), Some(number)) = (uuid, number.and_then(|n| u64::try_from(n).ok())) else {
            return Err(WireError::Invalid { offset: 0, what: "tagged GTID" });
        };
        if tag.len() > 32 {
            return Err(WireError::Invalid { offset: 0, what: "GTID tag" });
        }
        let commit_us = if original == 0 { immediate } else { original };
        let gtid = Some(Gtid::MySql { uuid, tag: Arc::from(tag), number });
        Ok(Self { gtid, commit_us, flags: 0, xid: None, alter: Alter::No })
    }

    fn mariadb(server: u32, body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        let (seq, domain, flags) = (c.u64_le()?, c.u32_le()?, c.u8()?);
        let gtid = Some(Gtid::MariaDb { domain, server, seq });
        let mut start = Self { gtid, commit_us: 0, flags, xid: None, alter: Alter::No };
        if flags & 2 != 0 {
            c.skip(8)?; // group commit id
        }
        if flags & (FL_PREPARED_XA | FL_COMPLETED_XA) != 0 {
            let format = c.u32_le()?;
            let (gtrid, bqual) = (usize::from(c.u8()?), usize::from(c.u8()?));
            start.xid = Some(xid_bytes(format, c.bytes(gtrid)?, c.bytes(bqual)?));
        }
        // Shorter bodies are padded with zeros to 19 bytes: no flags then.
        if !c.is_empty() {
            let extra = c.u8()?;
            start.alter = match extra & 0b1110 {
                0b0010 => Alter::Start,
                0b0100 => Alter::Commit,
                0b1000 => Alter::Rollback,
                _ => Alter::No,
            };
        }
        Ok(start)
    }
}

/// MariaDB's GTID_LIST: the binlog state at the start of a file.
pub fn gtid_list(body: &[u8]) -> Result<Vec<Gtid>, WireError> {
    let mut c = Cursor::new(body);
    let count = c.u32_le()? & 0x0fff_ffff;
    let mut list = Vec::new();
    for _ in 0..count {
        let (domain, server, seq) = (c.u32_le()?, c.u32_le()?, c.u64_le()?);
        list.push(Gtid::MariaDb { domain, server, seq });
    }
    Ok(list)
}

fn varint(c: &mut Cursor<'_>) -> Result<u64, WireError> {
    let first = c.u8()?;
    let more = first.trailing_ones() as usize;
    if more == 8 {
        return c.u64_le();
    }
    let low = u64::from(first) >> (more + 1);
    if more == 0 {
        return Ok(low);
    }
    Ok(c.uint_le(more)? << (7 - more) | low)
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn header(ty: u8) -> EventHeader {
        EventHeader { timestamp: 0, ty, server_id: 3371, len: 0, end_log_pos: 0, flags: 0 }
    }

    #[test]
    fn mysql_gtid_with_commit_times() {
        // Goal: original time wins when it is there. Method: bodies in the layout of 8.0.
        let mut body = vec![1];
        body.extend_from_slice(&[0x77; 16]);
        body.extend_from_slice(&9u64.to_le_bytes());
        body.push(2);
        body.extend_from_slice(&[0; 16]);
        body.extend_from_slice(&1_700_000_000_000_000u64.to_le_bytes()[..7]);
        let start = GroupStart::parse(&header(ty::GTID), &body).unwrap();
        assert_eq!(start.commit_us, 1_700_000_000_000_000);
        let at = body.len() - 1;
        body[at] |= 0x80;
        body.extend_from_slice(&5u64.to_le_bytes()[..7]);
        let start = GroupStart::parse(&header(ty::ANONYMOUS_GTID), &body).unwrap();
        assert_eq!((start.commit_us, start.gtid), (5, None));
        assert!(GroupStart::parse(&header(ty::GTID), &body[..20]).is_err());
    }

    #[test]
    fn varints_of_every_length() {
        // Goal: the length is in the first byte's low bits. Method: values written by hand.
        for (bytes, want) in [
            (&[0x02][..], 1),
            (&[0x45, 0x03], 0xd1),
            (&[0x45, 0x05], 337),
            (&[0x7f, 0, 0x3e, 0x89, 0, 0xfa, 0x5b, 0x06], 0x06_5bfa_0089_3e00),
            (&[0xff, 1, 0, 0, 0, 0, 0, 0, 0], 1),
        ] {
            assert_eq!(varint(&mut Cursor::new(bytes)), Ok(want));
        }
        assert_eq!((unzigzag(2), unzigzag(1)), (1, -1));
    }

    #[test]
    fn mariadb_gtid_forms() {
        // Goal: padding, group commit, XA, two-phase ALTER. Method: bodies by hand.
        let base = |flags: u8| {
            let mut body = 5u64.to_le_bytes().to_vec();
            body.extend_from_slice(&[0, 0, 0, 0, flags]);
            body
        };
        let mut plain = base(FL_STANDALONE);
        plain.extend_from_slice(&[0; 6]);
        let start = GroupStart::parse(&header(ty::MARIADB_GTID), &plain).unwrap();
        assert_eq!(start.gtid.unwrap().to_string(), "0-3371-5");
        let mut xa = base(FL_PREPARED_XA);
        xa.extend_from_slice(b"\x01\0\0\0\x01\x01ab");
        let start = GroupStart::parse(&header(ty::MARIADB_GTID), &xa).unwrap();
        assert_eq!(start.xid, Some(b"\0\0\0\x01\x01ab".to_vec()));
        let mut alter = base(2);
        alter.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0b0100]);
        let start = GroupStart::parse(&header(ty::MARIADB_GTID), &alter).unwrap();
        assert_eq!(start.alter, Alter::Commit);
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            // Goal: no panic on hostile bytes. Method: every form on noise.
            for ty in [ty::GTID, ty::ANONYMOUS_GTID, ty::GTID_TAGGED, ty::MARIADB_GTID] {
                let _ = GroupStart::parse(&header(ty), &bytes);
            }
            let _ = gtid_list(&bytes);
        }
    }
}
