//! Messages of the output plugin `pgoutput`, protocol versions 1 to 4.
//!
//! Enters: the message of an XLogData payload, and whether it stands between Stream Start and
//! Stream Stop. Leaves: the message, typed, its strings borrowed; of Insert, Update and Delete the
//! relation and where the row part starts, no row is walked. Keeps: an unknown message is an error,
//! never skipped (HAZARDS L28); so are the messages of two-phase decoding, which is not asked for.
//!
//! ```text
//! Begin    | 'B' | final lsn i64 | commit time i64 | xid i32 |
//! Commit   | 'C' | flags i8 | commit lsn i64 | end lsn i64 | commit time i64 |
//! Origin   | 'O' | lsn i64 | name cstr |
//! Relation | 'R' | oid i32 | namespace cstr | name cstr | identity i8 | n i16 |
//!          n × | flags i8 | name cstr | type oid i32 | typmod i32 |
//! Type     | 'Y' | oid i32 | namespace cstr | name cstr |
//! Insert   | 'I' | oid i32 | 'N' | tuple |
//! Update   | 'U' | oid i32 | [ 'K' | 'O' , tuple ] | 'N' | tuple |
//! Delete   | 'D' | oid i32 | 'K' | 'O' | tuple |
//! Truncate | 'T' | n i32 | options i8 | n × oid i32 |
//! Message  | 'M' | flags i8 | lsn i64 | prefix cstr | len i32 | content |
//! ```
//! From version 2 on a transaction may come in pieces before it ends:
//! ```text
//! Start    | 'S' | xid i32 | first i8 |
//! Stop     | 'E' |
//! Commit   | 'c' | xid i32 | flags i8 | commit lsn i64 | end lsn i64 | commit time i64 |
//! Abort    | 'A' | xid i32 | subxid i32 | [ abort lsn i64 | abort time i64 ]   with 'parallel'
//! ```
//! Between Start and Stop every message but Origin has the xid of its (sub-)transaction behind its
//! kind.
//! PostgreSQL documentation, "Logical Replication Message Formats".

use alloc::vec::Vec;

use super::replication::unix_us;
use crate::cursor::{Cursor, WireError};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction starts.
    Begin(Begin),
    /// It ends, committed.
    Commit(Commit),
    /// It came from another server.
    Origin(Origin<'a>),
    /// A table as the rows after it have it.
    Relation(Relation<'a>),
    /// The name of a type that is not built in.
    Type(TypeName<'a>),
    /// A row was inserted; the body is its TupleData.
    Insert(RowHead),
    /// A row was updated; the body starts at 'K', 'O' or 'N'.
    Update(RowHead),
    /// A row was deleted; the body starts at 'K' or 'O'.
    Delete(RowHead),
    /// Tables were emptied.
    Truncate(Truncate),
    /// `pg_logical_emit_message`.
    Logical(Logical<'a>),
    /// A piece of a transaction in progress starts.
    StreamStart(StreamStart),
    /// The piece ends.
    StreamStop,
    /// A transaction that came in pieces ends, committed.
    StreamCommit(StreamCommit),
    /// A transaction that came in pieces, or a part of it, was aborted.
    StreamAbort(StreamAbort),
}

/// Stream Start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// Top-level transaction id.
    pub xid: u32,
    /// It is the first piece of the transaction.
    pub first: bool,
}

/// Stream Commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCommit {
    /// Top-level transaction id.
    pub xid: u32,
    /// As in Commit.
    pub commit: Commit,
}

/// Stream Abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamAbort {
    /// Top-level transaction id.
    pub xid: u32,
    /// What was aborted: the transaction itself, or one sub-transaction (each comes by itself).
    pub subxid: u32,
    /// LSN of the abort and its time, microseconds since the Unix epoch; with
    /// `streaming 'parallel'` alone.
    pub abort: Option<(u64, i64)>,
}

/// Begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// LSN of the transaction's commit record (the `commit_lsn` of its Commit message).
    pub final_lsn: u64,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_us: i64,
    /// Top-level transaction id.
    pub xid: u32,
}

/// Commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Unused by the server, 0.
    pub flags: u8,
    /// LSN of the commit record.
    pub commit_lsn: u64,
    /// End of the commit record: the position after the transaction.
    pub end_lsn: u64,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_us: i64,
}

/// Origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// LSN of the commit on the origin.
    pub lsn: u64,
    /// Name of the origin.
    pub name: &'a str,
}

/// Relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Oid of the table.
    pub oid: u32,
    /// Schema; the wire's empty string is given as `pg_catalog`.
    pub namespace: &'a str,
    /// Table.
    pub name: &'a str,
    /// `pg_class.relreplident`: 'd', 'n', 'f' or 'i'.
    pub replica_identity: u8,
    /// Columns of the log, in order.
    pub columns: Vec<RelationColumn<'a>>,
}

/// A column of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Part of the replica identity (under FULL: every column).
    pub identity: bool,
    /// Name.
    pub name: &'a str,
    /// `pg_attribute.atttypid`.
    pub type_oid: u32,
    /// `pg_attribute.atttypmod`, −1: none.
    pub typmod: i32,
}

/// Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeName<'a> {
    /// Oid of the type.
    pub oid: u32,
    /// Schema; the wire's empty string is given as `pg_catalog`.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

/// Insert, Update, Delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHead {
    /// Oid of the table.
    pub relation: u32,
    /// Where the body (what a `FrameHead` points at) starts in the message; it ends with it.
    pub body: usize,
}

/// Truncate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// Oids of the tables.
    pub relations: Vec<u32>,
    /// CASCADE.
    pub cascade: bool,
    /// RESTART IDENTITY.
    pub restart_identity: bool,
}

/// A logical decoding message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logical<'a> {
    /// Part of a transaction.
    pub transactional: bool,
    /// Its LSN.
    pub lsn: u64,
    /// Prefix.
    pub prefix: &'a str,
    /// Content.
    pub content: &'a [u8],
}

/// Reads one message that stands outside of any piece. Offsets in errors count from its first byte.
/// Bytes behind a message of known length are an error too.
pub fn parse(message: &[u8]) -> Result<Message<'_>, WireError> {
    let mut c = Cursor::new(message);
    let kind = kind(message, b"BCORYIUDTMScA")?;
    c.skip(1)?;
    body(kind, c)
}

/// Reads one message between Stream Start and Stream Stop, and the (sub-)transaction that it is of;
/// 0 for Origin and Stream Stop, which name none.
pub fn parse_in_stream(message: &[u8]) -> Result<(u32, Message<'_>), WireError> {
    let mut c = Cursor::new(message);
    let kind = kind(message, b"ORYIUDTME")?;
    c.skip(1)?;
    let xid = if matches!(kind, b'O' | b'E') { 0 } else { c.u32_be()? };
    Ok((xid, body(kind, c)?))
}

fn kind(message: &[u8], kinds: &[u8]) -> Result<u8, WireError> {
    match message.first() {
        None => Err(WireError::Truncated { offset: 0, wanted: 1 }),
        Some(kind) if kinds.contains(kind) => Ok(*kind),
        Some(_) => Err(WireError::Invalid { offset: 0, what: "pgoutput message kind" }),
    }
}

#[inline]
fn body(kind: u8, mut c: Cursor<'_>) -> Result<Message<'_>, WireError> {
    let parsed = match kind {
        b'I' | b'U' | b'D' => return row_head(kind, c),
        b'B' => {
            let (final_lsn, commit_us) = (c.u64_be()?, unix_us(c.i64_be()?));
            Message::Begin(Begin { final_lsn, commit_us, xid: c.u32_be()? })
        }
        b'C' => Message::Commit(commit(&mut c)?),
        b'O' => Message::Origin(Origin { lsn: c.u64_be()?, name: text(&mut c)? }),
        b'R' => Message::Relation(relation(&mut c)?),
        b'Y' => {
            let (oid, namespace) = (c.u32_be()?, namespace(&mut c)?);
            Message::Type(TypeName { oid, namespace, name: text(&mut c)? })
        }
        b'T' => Message::Truncate(truncate(&mut c)?),
        b'S' => Message::StreamStart(StreamStart { xid: c.u32_be()?, first: c.u8()? & 1 != 0 }),
        b'E' => Message::StreamStop,
        b'c' => Message::StreamCommit(StreamCommit { xid: c.u32_be()?, commit: commit(&mut c)? }),
        b'A' => Message::StreamAbort(stream_abort(&mut c)?),
        _ => Message::Logical(logical(&mut c)?),
    };
    if c.is_empty() { Ok(parsed) } else { c.invalid("bytes behind a pgoutput message") }
}

fn commit(c: &mut Cursor<'_>) -> Result<Commit, WireError> {
    let (flags, commit_lsn, end_lsn) = (c.u8()?, c.u64_be()?, c.u64_be()?);
    Ok(Commit { flags, commit_lsn, end_lsn, commit_us: unix_us(c.i64_be()?) })
}

fn stream_abort(c: &mut Cursor<'_>) -> Result<StreamAbort, WireError> {
    let (xid, subxid) = (c.u32_be()?, c.u32_be()?);
    let abort = match c.is_empty() {
        true => None,
        false => Some((c.u64_be()?, unix_us(c.i64_be()?))),
    };
    Ok(StreamAbort { xid, subxid, abort })
}

fn logical<'a>(c: &mut Cursor<'a>) -> Result<Logical<'a>, WireError> {
    let (transactional, lsn) = (c.u8()? & 1 != 0, c.u64_be()?);
    let (prefix, len) = (text(c)?, length(c)?);
    Ok(Logical { transactional, lsn, prefix, content: c.bytes(len)? })
}

/// Relation and start of the row part; looks at no more than six bytes.
#[inline]
fn row_head(kind: u8, mut c: Cursor<'_>) -> Result<Message<'_>, WireError> {
    let relation = c.u32_be()?;
    let body = c.offset();
    let Some(&part) = c.rest().first() else {
        return Err(WireError::Truncated { offset: body, wanted: 1 });
    };
    match (kind, part) {
        (b'I', b'N') => Ok(Message::Insert(RowHead { relation, body: body + 1 })),
        (b'U', b'K' | b'O' | b'N') => Ok(Message::Update(RowHead { relation, body })),
        (b'D', b'K' | b'O') => Ok(Message::Delete(RowHead { relation, body })),
        _ => c.invalid("tuple kind"),
    }
}

fn relation<'a>(c: &mut Cursor<'a>) -> Result<Relation<'a>, WireError> {
    let (oid, namespace, name) = (c.u32_be()?, namespace(c)?, text(c)?);
    if !matches!(c.rest().first(), None | Some(b'd' | b'n' | b'f' | b'i')) {
        return c.invalid("replica identity");
    }
    let replica_identity = c.u8()?;
    let count = usize::from(c.u16_be()?);
    // A column takes at least ten bytes: a hostile count reserves nothing.
    let mut columns = Vec::with_capacity(count.min(c.remaining() / 10));
    for _ in 0..count {
        let identity = c.u8()? & 1 != 0;
        let (name, type_oid, typmod) = (text(c)?, c.u32_be()?, c.i32_be()?);
        columns.push(RelationColumn { identity, name, type_oid, typmod });
    }
    Ok(Relation { oid, namespace, name, replica_identity, columns })
}

fn truncate(c: &mut Cursor<'_>) -> Result<Truncate, WireError> {
    let (count, options) = (length(c)?, c.u8()?);
    let mut relations = Vec::with_capacity(count.min(c.remaining() / 4));
    for _ in 0..count {
        relations.push(c.u32_be()?);
    }
    Ok(Truncate { relations, cascade: options & 1 != 0, restart_identity: options & 2 != 0 })
}

/// A non-negative i32.
fn length(c: &mut Cursor<'_>) -> Result<usize, WireError> {
    let offset = c.offset();
    let what = "negative length";
    usize::try_from(c.i32_be()?).map_err(|_| WireError::Invalid { offset, what })
}

fn text<'a>(c: &mut Cursor<'a>) -> Result<&'a str, WireError> {
    let offset = c.offset();
    let what = "name that is not UTF-8";
    core::str::from_utf8(c.cstr()?).map_err(|_| WireError::Invalid { offset, what })
}

/// The wire writes `pg_catalog` as the empty string (`logicalrep_write_namespace`).
fn namespace<'a>(c: &mut Cursor<'a>) -> Result<&'a str, WireError> {
    text(c).map(|name| if name.is_empty() { "pg_catalog" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn be(out: &mut Vec<u8>, words: &[u64]) {
        words.iter().for_each(|word| out.extend(word.to_be_bytes()));
    }

    /// One message of each kind, with what it reads as.
    fn samples() -> Vec<(Vec<u8>, Message<'static>)> {
        let mut begin = alloc::vec![b'B'];
        be(&mut begin, &[7, 5]);
        begin.extend(9_u32.to_be_bytes());
        let mut commit = alloc::vec![b'C', 0];
        be(&mut commit, &[7, 8, 5]);
        let mut origin = alloc::vec![b'O'];
        be(&mut origin, &[3]);
        origin.extend(b"node\0");
        let relation = b"R\0\0\0\x2apublic\0t\0d\0\x02\x01id\0\0\0\0\x14\xff\xff\xff\xff\0n\0\0\0\x06\xa4\0\x0a\0\x06";
        let columns = alloc::vec![
            RelationColumn { identity: true, name: "id", type_oid: 20, typmod: -1 },
            RelationColumn { identity: false, name: "n", type_oid: 1700, typmod: 0x000A_0006 },
        ];
        let commit_us = 946_684_800_000_005;
        let row = |body| RowHead { relation: 42, body };
        let mut logical = b"M\x01".to_vec();
        be(&mut logical, &[6]);
        logical.extend(b"p\0\0\0\0\x02hi");
        let mut stream_commit = b"c\0\0\0\x09\0".to_vec();
        be(&mut stream_commit, &[7, 8, 5]);
        let mut stream_abort = b"A\0\0\0\x09\0\0\0\x0a".to_vec();
        be(&mut stream_abort, &[7, 5]);
        alloc::vec![
            (begin, Message::Begin(Begin { final_lsn: 7, commit_us, xid: 9 })),
            (commit, Message::Commit(Commit { flags: 0, commit_lsn: 7, end_lsn: 8, commit_us }),),
            (origin, Message::Origin(Origin { lsn: 3, name: "node" })),
            (
                relation.to_vec(),
                Message::Relation(Relation {
                    oid: 42,
                    namespace: "public",
                    name: "t",
                    replica_identity: b'd',
                    columns,
                }),
            ),
            (
                b"Y\0\0\0\x63\0mood\0".to_vec(),
                Message::Type(TypeName { oid: 99, namespace: "pg_catalog", name: "mood" }),
            ),
            (b"I\0\0\0\x2aN".to_vec(), Message::Insert(row(6))),
            (b"U\0\0\0\x2aK".to_vec(), Message::Update(row(5))),
            (b"D\0\0\0\x2aO".to_vec(), Message::Delete(row(5))),
            (
                b"T\0\0\0\x02\x03\0\0\0\x2a\0\0\0\x2b".to_vec(),
                Message::Truncate(Truncate {
                    relations: alloc::vec![42, 43],
                    cascade: true,
                    restart_identity: true,
                }),
            ),
            (
                logical,
                Message::Logical(Logical {
                    transactional: true,
                    lsn: 6,
                    prefix: "p",
                    content: b"hi",
                }),
            ),
            (
                b"S\0\0\0\x09\x01".to_vec(),
                Message::StreamStart(StreamStart { xid: 9, first: true }),
            ),
            (
                stream_commit,
                Message::StreamCommit(StreamCommit {
                    xid: 9,
                    commit: Commit { flags: 0, commit_lsn: 7, end_lsn: 8, commit_us },
                }),
            ),
            (
                stream_abort,
                Message::StreamAbort(StreamAbort {
                    xid: 9,
                    subxid: 10,
                    abort: Some((7, commit_us)),
                }),
            ),
        ]
    }

    #[test]
    fn every_message_and_every_truncation() {
        // Goal: each kind reads exactly; one byte less or more is an error. Method: by hand.
        for (bytes, want) in samples() {
            assert_eq!(parse(&bytes), Ok(want.clone()));
            for len in 0..bytes.len() {
                let bare_abort = bytes[0] == b'A' && len == 9;
                assert_eq!(parse(&bytes[..len]).is_ok(), bare_abort, "{want:?} cut at {len}");
            }
            let mut longer = bytes.clone();
            longer.push(0);
            let row = matches!(want, Message::Insert(_) | Message::Update(_) | Message::Delete(_));
            assert_eq!(parse(&longer).is_ok(), row, "{want:?} with a byte behind it");
        }
    }

    #[test]
    fn in_a_stream_messages_name_their_transaction() {
        // Goal: between Start and Stop the same messages with an xid behind their kind; what cannot
        // stand there is an error. Method: every sample with an xid put in, Stop, cuts.
        assert_eq!(parse_in_stream(b"E"), Ok((0, Message::StreamStop)));
        assert_eq!(parse(b"E").ok(), None);
        for (bytes, want) in samples() {
            let mut inside = alloc::vec![bytes[0], 0, 0, 0x01, 0x02];
            inside.extend(&bytes[1..]);
            let moved = |row: RowHead| RowHead { body: row.body + 4, ..row };
            let want = match want {
                Message::Insert(row) => Message::Insert(moved(row)),
                Message::Update(row) => Message::Update(moved(row)),
                Message::Delete(row) => Message::Delete(moved(row)),
                other => other,
            };
            match want {
                Message::Origin(_) => assert_eq!(parse_in_stream(&bytes), Ok((0, want))),
                Message::Begin(_) | Message::Commit(_) => {
                    assert!(parse_in_stream(&inside).is_err());
                }
                Message::StreamStart(_) | Message::StreamCommit(_) | Message::StreamAbort(_) => {
                    assert!(parse_in_stream(&bytes).is_err(), "{want:?} in a stream");
                }
                _ => assert_eq!(parse_in_stream(&inside), Ok((0x0102, want))),
            }
            for len in 0..bytes.len().min(5) {
                assert!(parse_in_stream(&inside[..len]).is_err(), "cut at {len}");
            }
        }
    }

    #[test]
    fn l28_unknown_message_is_an_error() {
        // Goal: nothing in the log is skipped in silence. Method: every other first byte, and
        // tuple kinds that a message cannot have.
        for kind in 0..=u8::MAX {
            let bad = WireError::Invalid { offset: 0, what: "pgoutput message kind" };
            if !b"BCORYIUDTMScA".contains(&kind) {
                assert_eq!(parse(&[kind, 0, 0, 0, 0, 0, 0]), Err(bad));
            }
            if !b"ORYIUDTME".contains(&kind) {
                assert_eq!(parse_in_stream(&[kind, 0, 0, 0, 0, 0, 0]), Err(bad));
            }
        }
        for message in [b"I\0\0\0\x2aK", b"I\0\0\0\x2aO", b"D\0\0\0\x2aN", b"U\0\0\0\x2ax"] {
            let bad = WireError::Invalid { offset: 5, what: "tuple kind" };
            assert_eq!(parse(message), Err(bad));
        }
        let identity = WireError::Invalid { offset: 9, what: "replica identity" };
        assert_eq!(parse(b"R\0\0\0\x2as\0t\0xxx"), Err(identity));
    }

    #[test]
    fn hostile_counts_reserve_nothing() {
        // Goal: a count beyond the bytes is an error, not an allocation. Method: largest counts.
        assert!(parse(b"T\x7f\xff\xff\xff\0").is_err());
        assert!(parse(b"T\xff\xff\xff\xff\0").is_err());
        assert!(parse(b"R\0\0\0\x01s\0t\0d\xff\xff").is_err());
    }
}
