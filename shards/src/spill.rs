//! Spill: where undecided and parked transactions wait when memory is not theirs.
//!
//! Enters: frames of one group, in order. Leaves: the same frames, read back in pieces. Keeps: a
//! record is believed only if its checksum holds; a parked group is synced before a checkpoint
//! passes it (HAZARDS L5).
//!
//! One record (all little-endian):
//! ```text
//! +---------+---------+------+--------+--------+-------+------------+-------+----------+------+
//! | crc32 4 | table 4 | kind | marker | format | part? | position 8 | len 4 | [part 4] | body |
//! +---------+---------+------+--------+--------+-------+------------+-------+----------+------+
//! ```
//! crc32 (IEEE) covers everything behind it. `table` is an index into the group's own list of
//! tables, because `TableId`s do not outlive a process. `part` is there if `part?` is 1: the
//! sub-transaction that wrote the row, where it may still be aborted by itself.

use std::fmt;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};

use crate::limits::ROW_BYTES_MAX;

/// Number of a spilled group in its store; never used twice in one store.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct SpillId(pub u64);

/// Why a spill failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpillError {
    /// No room (disk full, or `SPILL_BYTES_MAX`): nothing was lost, try the same call again later.
    Full,
    /// The store failed: Fatal. The text names path and reason.
    Io(String),
    /// What was read back is not what was written: Fatal.
    Damaged {
        /// Which group.
        group: SpillId,
        /// Offset of the record.
        offset: u64,
    },
}

impl fmt::Display for SpillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no room to spill a transaction"),
            Self::Io(reason) => write!(f, "spill failed: {reason}"),
            Self::Damaged { group, offset } => {
                write!(f, "spilled group {} is damaged at byte {offset}", group.0)
            }
        }
    }
}

impl std::error::Error for SpillError {}

/// Keeps bytes of groups: append-only per group. The file-backed one lives in the binary
/// (`src/store`), `MemorySpill` serves tests. Calls may block on the disk: they are rare.
pub trait SpillStore: Send {
    /// Appends to a group; the first append makes it. After an error the group may hold a part of
    /// `bytes`: the router truncates before it tries again.
    fn append(&mut self, group: SpillId, bytes: &[u8]) -> Result<(), SpillError>;
    /// Reads up to `into.len()` bytes from `offset`; fewer only at the group's end.
    fn read(&mut self, group: SpillId, offset: u64, into: &mut [u8]) -> Result<usize, SpillError>;
    /// Cuts a group back to `len` bytes (0 also for a group that does not exist).
    fn truncate(&mut self, group: SpillId, len: u64) -> Result<(), SpillError>;
    /// Makes a group durable: it survives a crash of the machine.
    fn sync(&mut self, group: SpillId) -> Result<(), SpillError>;
    /// Forgets a group; no error if it is not there.
    fn remove(&mut self, group: SpillId) -> Result<(), SpillError>;
    /// All groups in the store: at start, those of an earlier run.
    fn groups(&mut self) -> Result<Vec<SpillId>, SpillError>;
    /// Bytes in the store.
    fn bytes(&self) -> u64;
}

/// A store in memory, for tests: it keeps what was synced apart from what was only written.
#[derive(Clone, Debug, Default)]
pub struct MemorySpill {
    groups: std::collections::BTreeMap<SpillId, (Vec<u8>, usize)>,
    /// `append` answers `Full` beyond this many bytes; 0: no bound.
    pub bytes_max: u64,
}

impl MemorySpill {
    /// What a crash of the machine leaves: synced bytes only.
    #[must_use]
    pub fn crashed(&self) -> Self {
        let mut left = self.clone();
        left.groups.retain(|_, group| group.1 > 0);
        for (bytes, synced) in left.groups.values_mut() {
            bytes.truncate(*synced);
        }
        left
    }

    /// Bytes of one group, to damage them.
    pub fn bytes_mut(&mut self, group: SpillId) -> Option<&mut Vec<u8>> {
        self.groups.get_mut(&group).map(|group| &mut group.0)
    }
}

impl SpillStore for MemorySpill {
    fn append(&mut self, group: SpillId, bytes: &[u8]) -> Result<(), SpillError> {
        if self.bytes_max > 0 && self.bytes() + bytes.len() as u64 > self.bytes_max {
            return Err(SpillError::Full);
        }
        self.groups.entry(group).or_default().0.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, group: SpillId, offset: u64, into: &mut [u8]) -> Result<usize, SpillError> {
        let lost = SpillError::Damaged { group, offset };
        let bytes = &self.groups.get(&group).ok_or(lost.clone())?.0;
        let offset = usize::try_from(offset).map_err(|_| lost.clone())?;
        let rest = bytes.get(offset..).ok_or(lost)?;
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn truncate(&mut self, group: SpillId, len: u64) -> Result<(), SpillError> {
        if let Some((bytes, synced)) = self.groups.get_mut(&group) {
            bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            *synced = (*synced).min(bytes.len());
        }
        Ok(())
    }

    fn sync(&mut self, group: SpillId) -> Result<(), SpillError> {
        if let Some((bytes, synced)) = self.groups.get_mut(&group) {
            *synced = bytes.len();
        }
        Ok(())
    }

    fn remove(&mut self, group: SpillId) -> Result<(), SpillError> {
        self.groups.remove(&group);
        Ok(())
    }

    fn groups(&mut self) -> Result<Vec<SpillId>, SpillError> {
        Ok(self.groups.keys().copied().collect())
    }

    fn bytes(&self) -> u64 {
        self.groups.values().map(|group| group.0.len() as u64).sum()
    }
}

/// Bytes of a record before its body.
pub(crate) const RECORD_HEAD: usize = 24;
/// The same with a part.
pub(crate) const RECORD_HEAD_MAX: usize = 28;

/// Appends the record of one frame to `out`. `table`: index into the group's tables; `part`: the
/// sub-transaction that wrote it, 0 for none.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    head: &FrameHead,
    table: u32,
    part: u32,
    body: &[u8],
) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&table.to_le_bytes());
    let (kind, marker) = (kind_code(head.kind), marker_code(head.marker));
    out.extend_from_slice(&[kind, marker, head.format, u8::from(part != 0)]);
    out.extend_from_slice(&head.position.to_le_bytes());
    out.extend_from_slice(&head.len.to_le_bytes());
    if part != 0 {
        out.extend_from_slice(&part.to_le_bytes());
    }
    out.extend_from_slice(body);
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What the start of `bytes` holds.
pub(crate) enum Record {
    /// A whole record: its head (`offset` points into `bytes`), its part (0: none), its length.
    Whole(FrameHead, u32, usize),
    /// It goes on behind `bytes`: this many bytes are needed.
    Longer(usize),
    /// No record.
    Damaged,
}

/// Reads the record that starts at `at`.
pub(crate) fn read_record(bytes: &[u8], at: usize) -> Record {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((head, _)) = rest.split_first_chunk::<RECORD_HEAD>() else {
        return Record::Longer(RECORD_HEAD);
    };
    let word = |at: &[u8], i: usize| {
        let bytes = at.get(i..i + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let len = word(head, 20) as usize;
    let body = match head[11] {
        0 => RECORD_HEAD,
        1 => RECORD_HEAD_MAX,
        _ => return Record::Damaged,
    };
    if len > ROW_BYTES_MAX {
        return Record::Damaged;
    }
    let Some(record) = rest.get(..body + len) else {
        return Record::Longer(body + len);
    };
    let (Some(kind), Some(marker)) = (kind_of(head[8]), marker_of(head[9])) else {
        return Record::Damaged;
    };
    let offset = u32::try_from(at + body);
    let (Ok(offset), true) = (offset, crc32fast::hash(&record[4..]) == word(head, 0)) else {
        return Record::Damaged;
    };
    let part = if body == RECORD_HEAD { 0 } else { word(record, RECORD_HEAD) };
    let position = u64::from(word(head, 12)) | u64::from(word(head, 16)) << 32;
    let (table, format, len32) = (TableId(word(head, 4)), head[10], word(head, 20));
    let head = FrameHead { kind, marker, format, table, offset, len: len32, position };
    Record::Whole(head, part, body + len)
}

const KINDS: [FrameKind; 5] = [
    FrameKind::Insert,
    FrameKind::Update,
    FrameKind::Delete,
    FrameKind::Truncate,
    FrameKind::SnapshotRow,
];

const MARKERS: [SnapshotMarker; 7] = [
    SnapshotMarker::Streaming,
    SnapshotMarker::True,
    SnapshotMarker::First,
    SnapshotMarker::FirstInTable,
    SnapshotMarker::LastInTable,
    SnapshotMarker::Last,
    SnapshotMarker::Incremental,
];

fn kind_code(kind: FrameKind) -> u8 {
    match kind {
        FrameKind::Insert => 0,
        FrameKind::Update => 1,
        FrameKind::Delete => 2,
        FrameKind::Truncate => 3,
        FrameKind::SnapshotRow => 4,
        // Annex records stay in memory: no record of the store has this code.
        FrameKind::Annex => u8::MAX,
    }
}

fn kind_of(code: u8) -> Option<FrameKind> {
    KINDS.get(usize::from(code)).copied()
}

fn marker_code(marker: SnapshotMarker) -> u8 {
    match marker {
        SnapshotMarker::Streaming => 0,
        SnapshotMarker::True => 1,
        SnapshotMarker::First => 2,
        SnapshotMarker::FirstInTable => 3,
        SnapshotMarker::LastInTable => 4,
        SnapshotMarker::Last => 5,
        SnapshotMarker::Incremental => 6,
    }
}

fn marker_of(code: u8) -> Option<SnapshotMarker> {
    MARKERS.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(part: u32) -> (Vec<u8>, FrameHead) {
        let head = FrameHead {
            kind: FrameKind::Update,
            marker: SnapshotMarker::Last,
            format: 31,
            table: TableId(7),
            offset: 0,
            len: 5,
            position: 0x1_0000_0002,
        };
        let mut bytes = vec![0xee; 3];
        write_record(&mut bytes, &head, 7, part, b"hello");
        (bytes, head)
    }

    #[test]
    fn a_record_comes_back_as_it_went() {
        // Goal: head, part and body survive the spill; method: write, read, compare every field.
        for (part, before) in [(0, RECORD_HEAD), (u32::MAX, RECORD_HEAD_MAX)] {
            let (bytes, head) = record(part);
            let Record::Whole(read, by, len) = read_record(&bytes, 3) else { panic!("no record") };
            assert_eq!((by, len), (part, before + 5));
            assert_eq!(read, FrameHead { offset: 3 + before as u32, ..head });
            assert_eq!(&bytes[read.offset as usize..][..5], b"hello");
        }
        for (code, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(usize::from(kind_code(kind)), code);
        }
        for (code, marker) in MARKERS.into_iter().enumerate() {
            assert_eq!(usize::from(marker_code(marker)), code);
        }
    }

    #[test]
    fn a_damaged_record_is_never_believed() {
        // Goal: no flipped bit and no cut passes; method: every bit, every length.
        for (bytes, _) in [record(0), record(9)] {
            for bit in 0..(bytes.len() - 3) * 8 {
                let mut broken = bytes.clone();
                broken[3 + bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(read_record(&broken, 3), Record::Whole(..)), "bit {bit}");
            }
            for len in 3..bytes.len() {
                let cut = read_record(&bytes[..len], 3);
                assert!(matches!(cut, Record::Longer(n) if n > len - 3), "cut at {len}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_record(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100),
            at in 0usize..120,
        ) {
            // Goal: hostile bytes never panic and never become a row; method: random bytes.
            proptest::prop_assert!(!matches!(read_record(&bytes, at), Record::Whole(..)));
        }
    }
}
