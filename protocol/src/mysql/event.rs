//! Binlog events: the common header, checksums, and the events that carry control, not rows.
//!
//! Enters: one event as the dump sends it. Leaves: parsed heads and bodies that borrow from it.
//! Keeps: row bodies are not looked at, except for the table id and flags in front.
//!
//! ```text
//! +-----------+------+-----------+--------+-------------+-------+--------------+-----------+
//! | timestamp | type | server id | length | end_log_pos | flags |    body      | [CRC32]   |
//! |     4     |   1  |     4     |    4   |      4      |   2   | length - 19  |    4      |
//! +-----------+------+-----------+--------+-------------+-------+--------------+-----------+
//! ```
//! `libs/mysql/binlog/event/binlog_event.h`; MariaDB `sql/log_event.h`. The events that start a
//! group are in `group`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cursor::{Cursor, WireError};
use crate::mysql::packet::{lenenc, lenenc_bytes};

/// Bytes of the common header.
pub const HEADER_BYTES: usize = 19;
/// Bytes of a checksum.
pub const CHECKSUM_BYTES: usize = 4;

/// Event type codes.
pub mod ty {
    #![allow(missing_docs)]
    pub const QUERY: u8 = 2;
    pub const STOP: u8 = 3;
    pub const ROTATE: u8 = 4;
    pub const INTVAR: u8 = 5;
    pub const APPEND_BLOCK: u8 = 9;
    pub const DELETE_FILE: u8 = 11;
    pub const RAND: u8 = 13;
    pub const USER_VAR: u8 = 14;
    pub const FORMAT_DESCRIPTION: u8 = 15;
    pub const XID: u8 = 16;
    pub const BEGIN_LOAD_QUERY: u8 = 17;
    pub const EXECUTE_LOAD_QUERY: u8 = 18;
    pub const TABLE_MAP: u8 = 19;
    pub const WRITE_ROWS_V1: u8 = 23;
    pub const UPDATE_ROWS_V1: u8 = 24;
    pub const DELETE_ROWS_V1: u8 = 25;
    pub const INCIDENT: u8 = 26;
    pub const HEARTBEAT: u8 = 27;
    pub const IGNORABLE: u8 = 28;
    pub const ROWS_QUERY: u8 = 29;
    pub const WRITE_ROWS: u8 = 30;
    pub const UPDATE_ROWS: u8 = 31;
    pub const DELETE_ROWS: u8 = 32;
    pub const GTID: u8 = 33;
    pub const ANONYMOUS_GTID: u8 = 34;
    pub const PREVIOUS_GTIDS: u8 = 35;
    pub const TRANSACTION_CONTEXT: u8 = 36;
    pub const VIEW_CHANGE: u8 = 37;
    pub const XA_PREPARE: u8 = 38;
    pub const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub const TRANSACTION_PAYLOAD: u8 = 40;
    pub const HEARTBEAT_V2: u8 = 41;
    pub const GTID_TAGGED: u8 = 42;
    pub const MARIADB_ANNOTATE_ROWS: u8 = 160;
    pub const MARIADB_BINLOG_CHECKPOINT: u8 = 161;
    pub const MARIADB_GTID: u8 = 162;
    pub const MARIADB_GTID_LIST: u8 = 163;
    pub const MARIADB_START_ENCRYPTION: u8 = 164;
    pub const MARIADB_QUERY_COMPRESSED: u8 = 165;
    pub const MARIADB_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub const MARIADB_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// Header flag: made up by the dump, not in the file (fake Rotate).
pub const FLAG_ARTIFICIAL: u16 = 0x20;
/// Header flag: may be skipped by who does not know the type.
pub const FLAG_IGNORABLE: u16 = 0x80;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Seconds since 1970 at which the statement began; 0 in fake events.
    pub timestamp: u32,
    /// Type code, see [`ty`].
    pub ty: u8,
    /// Who logged it first.
    pub server_id: u32,
    /// Whole length, header and checksum included.
    pub len: u32,
    /// Where the next event starts, modulo 2^32; 0: not told (MariaDB 11.8 in transactions).
    pub end_log_pos: u32,
    /// Flags.
    pub flags: u16,
}

/// Checksum at the end of each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None.
    #[default]
    Off,
    /// CRC-32 of everything before.
    Crc32,
}

impl EventHeader {
    /// Parses the header and checks the length against the bytes given: one whole event.
    pub fn parse(event: &[u8]) -> Result<Self, WireError> {
        let header = Self::front(event)?;
        if header.len as usize != event.len() {
            return Err(WireError::Invalid { offset: 9, what: "event length" });
        }
        Ok(header)
    }

    /// Parses the header alone: the event goes on behind the bytes given.
    pub fn front(bytes: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(bytes);
        Ok(Self {
            timestamp: c.u32_le()?,
            ty: c.u8()?,
            server_id: c.u32_le()?,
            len: c.u32_le()?,
            end_log_pos: c.u32_le()?,
            flags: c.u16_le()?,
        })
    }
}

/// The body of an event: without header and checksum.
pub fn body(event: &[u8], checksum: Checksum) -> Result<&[u8], WireError> {
    let tail = if checksum == Checksum::Crc32 { CHECKSUM_BYTES } else { 0 };
    let end = event.len().checked_sub(tail).filter(|&end| end >= HEADER_BYTES);
    let wanted = HEADER_BYTES + tail;
    let end = end.ok_or(WireError::Truncated { offset: event.len(), wanted })?;
    Ok(&event[HEADER_BYTES..end])
}

/// True if the last four bytes are the CRC-32 of what is before them.
pub fn crc_matches(event: &[u8]) -> bool {
    event
        .split_last_chunk::<CHECKSUM_BYTES>()
        .is_some_and(|(data, sum)| crc32fast::hash(data) == u32::from_le_bytes(*sum))
}

/// FORMAT_DESCRIPTION: what the events of a file look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatDescription {
    /// Server version text.
    pub server_version: String,
    /// Checksums of the events that follow (this event itself always has four bytes for one).
    pub checksum: Checksum,
    /// Bytes of a table id in row events: 4 before 5.1.4, then 6.
    pub table_id_bytes: u8,
}

impl FormatDescription {
    /// Parses a whole FORMAT_DESCRIPTION event of a server that knows checksums (MySQL 5.6.1,
    /// MariaDB 5.3 and later).
    pub fn parse(event: &[u8]) -> Result<Self, WireError> {
        // algorithm, 1 byte, and room for a checksum stand at the very end.
        let Some((head, tail)) = event.split_last_chunk::<5>() else {
            return Err(WireError::Truncated { offset: event.len(), wanted: 5 });
        };
        let checksum = match tail[0] {
            0 => Checksum::Off,
            1 => Checksum::Crc32,
            _ => return Err(WireError::Invalid { offset: head.len(), what: "checksum algorithm" }),
        };
        let mut c = Cursor::new(head);
        c.skip(HEADER_BYTES)?;
        if c.u16_le()? != 4 {
            return Err(WireError::Invalid { offset: HEADER_BYTES, what: "binlog version" });
        }
        let version = c.bytes(50)?;
        let end = version.iter().position(|&b| b == 0).unwrap_or(version.len());
        let server_version = String::from_utf8_lossy(&version[..end]).into_owned();
        c.skip(4)?;
        if usize::from(c.u8()?) != HEADER_BYTES {
            return Err(WireError::Invalid { offset: c.offset() - 1, what: "header length" });
        }
        let post = c.rest().get(usize::from(ty::TABLE_MAP) - 1).copied().unwrap_or(8);
        Ok(Self { server_version, checksum, table_id_bytes: if post == 6 { 4 } else { 6 } })
    }
}

/// ROTATE: the log goes on in another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Offset of the first event to come.
    pub position: u64,
    /// Base name of the file.
    pub file: &'a [u8],
}

impl<'a> Rotate<'a> {
    /// Parses the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        Ok(Self { position: c.u64_le()?, file: c.rest() })
    }
}

/// HEARTBEAT and HEARTBEAT_V2: the dump is alive and stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// Base name of the file.
    pub file: &'a [u8],
    /// Offset in it.
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    /// Parses a heartbeat's body.
    pub fn parse(header: &EventHeader, body: &'a [u8]) -> Result<Self, WireError> {
        if header.ty == ty::HEARTBEAT {
            return Ok(Self { file: body, position: header.end_log_pos.into() });
        }
        let mut c = Cursor::new(body);
        let mut beat = Self { file: &[], position: header.end_log_pos.into() };
        while !c.is_empty() {
            let field = c.u8()?;
            if field == 0 {
                break;
            }
            let value = lenenc_bytes(&mut c)?;
            match field {
                1 => beat.file = value,
                2 => beat.position = lenenc(&mut Cursor::new(value))?,
                _ => {}
            }
        }
        Ok(beat)
    }
}

/// QUERY: a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Connection that ran it.
    pub thread_id: u32,
    /// Error that it ended with; 0: none.
    pub error: u16,
    /// Default database.
    pub database: &'a [u8],
    /// The text.
    pub sql: &'a [u8],
    /// What the session was like.
    pub vars: StatusVars<'a>,
}

/// Session variables of a QUERY event; absent ones are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusVars<'a> {
    /// `sql_mode` bits.
    pub sql_mode: Option<u64>,
    /// character_set_client, collation_connection, collation_server.
    pub charset: Option<(u16, u16, u16)>,
    /// `time_zone`.
    pub time_zone: Option<&'a [u8]>,
    /// `collation_database`.
    pub charset_database: Option<u16>,
    /// MySQL 8: `default_collation_for_utf8mb4`.
    pub utf8mb4_collation: Option<u16>,
    /// MySQL 8: the DDL is committed with this transaction number.
    pub ddl_xid: Option<u64>,
    /// MySQL 8: `explicit_defaults_for_timestamp`.
    pub explicit_timestamps: Option<bool>,
    /// `OPTION_…` bits that are logged.
    pub flags: Option<u32>,
    /// MariaDB 11.2: `character_set_collations`, if the statement used it: pairs of numbers.
    pub charset_collations: Option<&'a [u8]>,
}

/// Bit of `sql_mode`: `"` quotes identifiers.
pub const SQL_MODE_ANSI_QUOTES: u64 = 4;
/// Bit of `sql_mode`: `\` is an ordinary character in strings.
pub const SQL_MODE_NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

impl<'a> Query<'a> {
    /// Parses the body of a QUERY or EXECUTE_LOAD_QUERY event.
    pub fn parse(ty: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        let thread_id = c.u32_le()?;
        c.skip(4)?;
        let database_len = usize::from(c.u8()?);
        let error = c.u16_le()?;
        let vars_len = usize::from(c.u16_le()?);
        if ty == ty::EXECUTE_LOAD_QUERY {
            c.skip(13)?; // file id, where the name stands, duplicate handling
        }
        let vars = StatusVars::parse(c.bytes(vars_len)?)?;
        let database = c.bytes(database_len)?;
        c.skip(1)?;
        Ok(Self { thread_id, error, database, sql: c.rest(), vars })
    }
}

impl<'a> StatusVars<'a> {
    /// Parses status variables; like the servers, stops quietly at a code it does not know.
    fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(bytes);
        let mut vars = Self::default();
        while !c.is_empty() {
            match c.u8()? {
                0 => vars.flags = Some(c.u32_le()?),
                1 => vars.sql_mode = Some(c.u64_le()?),
                2 => {
                    let len = usize::from(c.u8()?);
                    c.skip(len + 1)?;
                }
                3 => c.skip(4)?,
                4 => vars.charset = Some((c.u16_le()?, c.u16_le()?, c.u16_le()?)),
                5 => vars.time_zone = Some(short_bytes(&mut c)?),
                6 => drop(short_bytes(&mut c)?),
                7 => c.skip(2)?,
                8 => vars.charset_database = Some(c.u16_le()?),
                9 => c.skip(8)?,
                10 => c.skip(4)?,
                11 => {
                    short_bytes(&mut c)?;
                    short_bytes(&mut c)?;
                }
                12 => {
                    let count = c.u8()?;
                    // 254: more databases than fit, none is listed.
                    for _ in 0..if count == 254 { 0 } else { count } {
                        c.cstr()?;
                    }
                }
                13 | 128 => c.skip(3)?,
                16 => vars.explicit_timestamps = Some(c.u8()? != 0),
                19 | 20 => c.skip(1)?,
                17 => vars.ddl_xid = Some(c.u64_le()?),
                18 => vars.utf8mb4_collation = Some(c.u16_le()?),
                129 => c.skip(8)?,
                131 => {
                    let count = usize::from(c.u8()?);
                    vars.charset_collations = Some(c.bytes(4 * count)?);
                }
                130 => c.skip(2)?,
                _ => break,
            }
        }
        Ok(vars)
    }
}

fn short_bytes<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let len = usize::from(c.u8()?);
    c.bytes(len)
}

/// What stands in front of a row event's images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsHead {
    /// Number that the TABLE_MAP before gave to the table.
    pub table_id: u64,
    /// Flags; bit 0: last row event of the statement.
    pub flags: u16,
}

impl RowsHead {
    /// Flag: the statement ends here.
    pub const END_OF_STATEMENT: u16 = 1;

    /// Reads the front of a row event's (or TABLE_MAP's) body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        Ok(Self { table_id: c.uint_le(6)?, flags: c.u16_le()? })
    }
}

/// Names in front of a TABLE_MAP, enough to tell whether the table is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMapNames<'a> {
    /// Number until the next TABLE_MAP with it.
    pub table_id: u64,
    /// Database.
    pub database: &'a [u8],
    /// Table.
    pub table: &'a [u8],
}

impl<'a> TableMapNames<'a> {
    /// Reads the front of a TABLE_MAP's body.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let head = RowsHead::parse(body)?;
        let mut c = Cursor::new(body);
        c.skip(8)?;
        let database = short_bytes(&mut c)?;
        c.skip(1)?;
        let table = short_bytes(&mut c)?;
        c.skip(1)?;
        Ok(Self { table_id: head.table_id, database, table })
    }
}

/// INCIDENT: the server says that events may be missing.
pub fn incident(body: &[u8]) -> Result<(u16, String), WireError> {
    let mut c = Cursor::new(body);
    let number = c.u16_le()?;
    let text = if c.is_empty() { &[][..] } else { short_bytes(&mut c)? };
    Ok((number, String::from_utf8_lossy(text).into_owned()))
}

/// ROWS_QUERY (MySQL; a length byte is in front that says nothing) and ANNOTATE_ROWS (MariaDB):
/// the statement that the rows come from.
pub fn rows_query(ty: u8, body: &[u8]) -> Result<&[u8], WireError> {
    let mut c = Cursor::new(body);
    if ty == ty::ROWS_QUERY {
        c.skip(1)?;
    }
    Ok(c.rest())
}

/// XA_PREPARE: the end of a group that is parked, or (one phase) committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XaPrepare {
    /// `XA COMMIT … ONE PHASE`: a plain commit.
    pub one_phase: bool,
    /// Canonical bytes of the XID, see [`xid_bytes`].
    pub xid: Vec<u8>,
}

impl XaPrepare {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(body);
        let one_phase = c.u8()? != 0;
        let format = c.u32_le()?;
        let offset = c.offset();
        let (gtrid, bqual) = (c.u32_le()? as usize, c.u32_le()? as usize);
        if gtrid > 64 || bqual > 64 {
            return Err(WireError::Invalid { offset, what: "XID length" });
        }
        Ok(Self { one_phase, xid: xid_bytes(format, c.bytes(gtrid)?, c.bytes(bqual)?) })
    }
}

/// The canonical form of an XID: format (4, big-endian), length of the first part, both parts.
pub fn xid_bytes(format: u32, gtrid: &[u8], bqual: &[u8]) -> Vec<u8> {
    let mut out = format.to_be_bytes().to_vec();
    out.push(u8::try_from(gtrid.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(gtrid);
    out.extend_from_slice(bqual);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn headers_are_checked() {
        // Goal: lengths that lie are errors. Method: one event by hand, then lengths 0, 5, 4 GiB.
        let mut event = vec![1, 0, 0, 0, ty::XID, 7, 0, 0, 0, 27, 0, 0, 0, 99, 0, 0, 0, 0x20, 0];
        event.extend_from_slice(&[0; 8]);
        let header = EventHeader::parse(&event).unwrap();
        assert_eq!((header.ty, header.server_id, header.end_log_pos), (ty::XID, 7, 99));
        assert_eq!(header.flags & FLAG_ARTIFICIAL, FLAG_ARTIFICIAL);
        assert_eq!(body(&event, Checksum::Off).unwrap().len(), 8);
        assert_eq!(body(&event, Checksum::Crc32).unwrap().len(), 4);
        for lie in [0u32, 5, u32::MAX] {
            event[9..13].copy_from_slice(&lie.to_le_bytes());
            let want = WireError::Invalid { offset: 9, what: "event length" };
            assert_eq!(EventHeader::parse(&event), Err(want));
        }
        assert!(body(&[0; 20], Checksum::Crc32).is_err());
    }

    #[test]
    fn l28_a_wrong_checksum_is_seen() {
        // Goal: one flipped bit is noticed. Method: checksum by the library, then flip each bit.
        let mut event = vec![5; 40];
        let sum = crc32fast::hash(&event);
        event.extend_from_slice(&sum.to_le_bytes());
        assert!(crc_matches(&event));
        for bit in 0..event.len() * 8 {
            event[bit / 8] ^= 1 << (bit % 8);
            assert!(!crc_matches(&event), "bit {bit}");
            event[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(!crc_matches(&[0; 3]));
    }

    #[test]
    fn query_with_status_variables() {
        // Goal: the variables that the reader needs. Method: a body in the layout of MySQL 8.
        let mut vars = vec![0, 0, 0, 0, 0, 1];
        vars.extend_from_slice(&(SQL_MODE_ANSI_QUOTES | 0x20).to_le_bytes());
        vars.extend_from_slice(b"\x06\x03std\x04\x2d\0\x2e\0\xff\0\x05\x06SYSTEM\x0c\x01test\0");
        vars.extend_from_slice(&[17, 9, 0, 0, 0, 0, 0, 0, 0, 18, 255, 0, 77, 1]);
        let mut body = vec![8, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, vars.len() as u8, 0];
        body.extend_from_slice(&vars);
        body.extend_from_slice(b"test\0CREATE TABLE t (a int)");
        let query = Query::parse(ty::QUERY, &body).unwrap();
        assert_eq!((query.thread_id, query.database), (8, &b"test"[..]));
        assert_eq!(query.sql, b"CREATE TABLE t (a int)");
        assert_eq!(query.vars.sql_mode, Some(0x24));
        assert_eq!(query.vars.charset, Some((45, 46, 255)));
        assert_eq!(query.vars.time_zone, Some(&b"SYSTEM"[..]));
        assert_eq!((query.vars.ddl_xid, query.vars.utf8mb4_collation), (Some(9), Some(255)));
    }

    #[test]
    fn heartbeats() {
        // Goal: both forms. Method: bodies by hand.
        let mut header = EventHeader {
            timestamp: 0,
            ty: ty::HEARTBEAT,
            server_id: 1,
            len: 0,
            end_log_pos: 157,
            flags: 0,
        };
        let beat = Heartbeat::parse(&header, b"binlog.000002").unwrap();
        assert_eq!((beat.file, beat.position), (&b"binlog.000002"[..], 157));
        header.ty = ty::HEARTBEAT_V2;
        let beat =
            Heartbeat::parse(&header, b"\x01\x03b.1\x02\x09\xfe\x01\0\0\0\x01\0\0\0\0").unwrap();
        assert_eq!((beat.file, beat.position), (&b"b.1"[..], (1 << 32) + 1));
        assert!(Heartbeat::parse(&header, b"\x01\x30b").is_err());
    }

    #[test]
    fn xa_prepare_and_incident() {
        // Goal: XIDs by event and text agree on their bytes. Method: a body by hand.
        let xa = XaPrepare::parse(b"\0\x01\0\0\0\x02\0\0\0\x01\0\0\0abc").unwrap();
        assert_eq!((xa.one_phase, xa.xid), (false, b"\0\0\0\x01\x02abc".to_vec()));
        assert!(XaPrepare::parse(b"\0\x01\0\0\0\xff\0\0\0\x01\0\0\0abc").is_err());
        assert_eq!(incident(b"\x01\0\x04lost"), Ok((1, "lost".into())));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..120), ty: u8) {
            // Goal: no panic on hostile bytes. Method: every parser on noise.
            let header = EventHeader {
                timestamp: 0, ty, server_id: 0, len: 0, end_log_pos: 0, flags: 0,
            };
            let _ = EventHeader::parse(&bytes);
            let _ = FormatDescription::parse(&bytes);
            let _ = Query::parse(ty, &bytes);
            let _ = Heartbeat::parse(&header, &bytes);
            let _ = TableMapNames::parse(&bytes);
            let _ = (Rotate::parse(&bytes), incident(&bytes), XaPrepare::parse(&bytes));
            let _ = rows_query(ty, &bytes);
        }
    }
}
