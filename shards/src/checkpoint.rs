//! Checkpoint: what a restart needs, and its form on disk.
//!
//! Enters: a `Checkpoint` and its generation; or the bytes of two slots. Leaves: bytes of one
//! slot; or the newest checkpoint that is whole, and the slot to write next. Keeps: a write that
//! is torn at any byte leaves the other slot's checkpoint the newest; damage is told apart from
//! "nothing yet", and a newer format is never mistaken for damage.
//!
//! One slot (all little-endian):
//! ```text
//! +-----------------+-----------+--------+--------------+--------+----------+------+
//! | "PENSTOCK" 8    | version 2 | zero 2 | generation 8 | length | crc32c 4 | JSON |
//! +-----------------+-----------+--------+--------------+--------+----------+------+
//! ```
//! length (4): bytes of the JSON. crc32c: over the whole slot but itself. What stands behind the
//! JSON (an older, longer checkpoint) does not count.

use std::fmt;

use penstock_protocol::position::Position;
use penstock_protocol::schema::TableName;
use serde::{Deserialize, Serialize};

use crate::bugs::{Bug, Bugs};
use crate::hop::ParkedGroup;
use crate::seq::Epoch;
use crate::snapshot::TableChunks;

/// Newest version of the format; this build reads it and older ones. Version 2 is written only
/// while a concurrent snapshot runs: a build that does not know chunks would drop them.
pub const FORMAT_VERSION: u16 = 2;

const MAGIC: [u8; 8] = *b"PENSTOCK";
const HEAD: usize = 28;

/// What a restart needs. Unknown fields of a newer build are ignored; what changes a meaning
/// raises `FORMAT_VERSION`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Pipeline's name: state of another one is refused.
    pub pipeline: String,
    /// Incarnation that wrote it.
    pub epoch: Epoch,
    /// Where the source goes on, with the source's identity. `None`: not begun.
    pub position: Option<Position>,
    /// By sink, in the order of the configuration.
    pub sinks: Vec<SinkCheckpoint>,
    /// How far the first snapshot is.
    pub snapshot: SnapshotState,
    /// A concurrent snapshot that goes on beside the stream (HAZARDS L15); empty: none runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<TableChunks>,
    /// Version of the schema history that the position needs; 0: none.
    #[serde(default)]
    pub schema_version: u64,
    /// Generation of the function (table name, key) → bucket (HAZARDS L12).
    pub bucket_generation: u32,
    /// Tables that do not go on (HAZARDS L21).
    #[serde(default)]
    pub stopped_tables: Vec<StoppedTable>,
    /// XA transactions that wait for their end; their rows are in the spill store.
    #[serde(default)]
    pub parked: Vec<ParkedGroup>,
    /// Versions below this may be in use by sinks that order by version (HAZARDS L20).
    #[serde(default)]
    pub version_reserve: u64,
}

/// One sink's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkCheckpoint {
    /// Its name in the configuration.
    pub name: String,
    /// How far it is by itself: at or behind `Checkpoint::position`.
    pub position: Option<Position>,
    /// What the sink itself wants back: file lengths, say.
    pub state: serde_json::Value,
}

/// How far the first snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// Not whole: a restart takes it anew.
    #[default]
    Pending,
    /// Whole (or not wanted): a restart streams.
    Done,
}

/// A table that does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedTable {
    /// Which.
    pub name: TableName,
    /// Source position of the row that could not be delivered, as the source writes it.
    pub position: String,
    /// Why, without cell values.
    pub reason: String,
}

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

/// Why a slot's bytes are no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Nothing was ever written: no bytes, or zeros only.
    Empty,
    /// A torn write, or damage.
    Damaged,
    /// Whole, but not ours: another file's bytes.
    Foreign,
    /// Whole, by a newer build.
    Newer {
        /// Its format version.
        version: u16,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no checkpoint was written yet"),
            Self::Damaged => f.write_str("the checkpoint is damaged"),
            Self::Foreign => f.write_str("this is no checkpoint of Penstock"),
            Self::Newer { version } => {
                write!(f, "the checkpoint has format {version}, this build reads {FORMAT_VERSION}")
            }
        }
    }
}

impl std::error::Error for CheckpointError {}

/// What the two slots say.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The newest whole checkpoint and its slot; `None`: there is none yet.
    pub newest: Option<(Slot, Checkpoint)>,
    /// Which slot to write next, never that of `newest`.
    pub next_slot: Slot,
    /// Generation to write next.
    pub next_generation: u64,
}

impl Checkpoint {
    /// Bytes of a slot. `generation` rises with every write, `Chosen::next_generation` first.
    pub fn encode(&self, generation: u64) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("invariant: plain data always serialises");
        let len = u32::try_from(json.len()).expect("invariant: a checkpoint is below 4 GiB");
        let mut bytes = Vec::with_capacity(HEAD + json.len());
        bytes.extend_from_slice(&MAGIC);
        let version: u16 = if self.chunks.is_empty() { 1 } else { 2 };
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&generation.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &json);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&json);
        bytes
    }

    /// The checkpoint and its generation, of the bytes of a slot.
    pub fn decode(bytes: &[u8]) -> Result<(u64, Self), CheckpointError> {
        Self::decode_with(bytes, Bugs::NONE)
    }

    fn decode_with(bytes: &[u8], bugs: Bugs) -> Result<(u64, Self), CheckpointError> {
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(CheckpointError::Empty);
        }
        if !starts_like_ours(bytes) {
            return Err(CheckpointError::Foreign);
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(CheckpointError::Damaged)?;
        let version = u16::from_le_bytes([head[8], head[9]]);
        let generation = u64::from_le_bytes([
            head[12], head[13], head[14], head[15], head[16], head[17], head[18], head[19],
        ]);
        let len = u32::from_le_bytes([head[20], head[21], head[22], head[23]]) as usize;
        let stored = u32::from_le_bytes([head[24], head[25], head[26], head[27]]);
        let json = rest.get(..len).ok_or(CheckpointError::Damaged)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..24]), json);
        if crc != stored && !bugs.has(Bug::TornAccepted) {
            return Err(CheckpointError::Damaged);
        }
        if version > FORMAT_VERSION {
            return Err(CheckpointError::Newer { version });
        }
        let checkpoint = serde_json::from_slice(json).map_err(|_| CheckpointError::Damaged)?;
        Ok((generation, checkpoint))
    }
}

/// True for our magic, and for the start of it with nothing or zeros behind: our first write, torn.
fn starts_like_ours(bytes: &[u8]) -> bool {
    let same = bytes.iter().zip(&MAGIC).take_while(|(have, want)| have == want).count();
    same == MAGIC.len() || bytes.iter().skip(same).all(|&byte| byte == 0)
}

/// The newest whole checkpoint of two slots, by generation. Beside a whole one, whatever else the
/// other slot holds is a torn write and does not count; beside an empty one, damage is the first
/// write of all, torn. Else two slots without a whole one, foreign bytes, and in any case a slot of
/// a newer build, are an error: starting anew would be a guess.
pub fn choose(a: &[u8], b: &[u8]) -> Result<Chosen, CheckpointError> {
    choose_with(a, b, Bugs::NONE)
}

/// The same with planted bugs.
#[doc(hidden)]
pub fn choose_with(a: &[u8], b: &[u8], bugs: Bugs) -> Result<Chosen, CheckpointError> {
    use CheckpointError::{Damaged, Empty, Foreign, Newer};
    let (a, b) = (Checkpoint::decode_with(a, bugs), Checkpoint::decode_with(b, bugs));
    if let (Err(error @ Newer { .. }), _) | (_, Err(error @ Newer { .. })) = (&a, &b) {
        return Err(error.clone());
    }
    let newest = match (a, b) {
        (Ok(a), Ok(b)) if b.0 > a.0 => Some((Slot::B, b)),
        (Ok(a), _) => Some((Slot::A, a)),
        (_, Ok(b)) => Some((Slot::B, b)),
        (Err(Foreign), _) | (_, Err(Foreign)) => return Err(Foreign),
        // The first write of all was torn, or nothing was ever written.
        (Err(Empty), _) | (_, Err(Empty)) => None,
        (Err(_), Err(_)) => return Err(Damaged),
    };
    let mut next_slot = match &newest {
        Some((Slot::A, _)) => Slot::B,
        _ => Slot::A,
    };
    if bugs.has(Bug::SameSlotAgain) {
        next_slot = Slot::A;
    }
    let next_generation = newest.as_ref().map_or(1, |(_, (generation, _))| generation + 1);
    let newest = newest.map(|(slot, (_, checkpoint))| (slot, checkpoint));
    Ok(Chosen { newest, next_slot, next_generation })
}

#[cfg(test)]
mod tests {
    use penstock_protocol::frame::TableId;
    use penstock_protocol::position::LsnPosition;
    use penstock_protocol::schema::{Charset, Column, ColumnType, DefaultValue, TableSchema};

    use super::*;
    use crate::snapshot::{Bound, Piece};
    use crate::spill::SpillId;

    fn checkpoint(lsn: u64, note: &str) -> Checkpoint {
        let system_id = "7".into();
        let position =
            Position::Postgres(LsnPosition { system_id, timeline: 1, lsn, last_commit_lsn: 3 });
        Checkpoint {
            pipeline: "shop".into(),
            epoch: Epoch(lsn),
            position: Some(position.clone()),
            sinks: vec![SinkCheckpoint {
                name: "files".into(),
                position: Some(position),
                state: serde_json::json!({ "a.jsonl": 1234, "note": note }),
            }],
            snapshot: SnapshotState::Done,
            chunks: Vec::new(),
            schema_version: 4,
            bucket_generation: 1,
            stopped_tables: Vec::new(),
            parked: Vec::new(),
            version_reserve: 9,
        }
    }

    /// Writes over what the slot holds, up to `cut` bytes.
    fn torn(slot: &[u8], new: &[u8], cut: usize) -> Vec<u8> {
        let mut slot = slot.to_vec();
        slot.resize(slot.len().max(cut), 0);
        slot[..cut].copy_from_slice(&new[..cut]);
        slot
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_other_slot() {
        // Goal: whatever part of a write reached the disk, the last good checkpoint is read, or the
        // new one if all of it did; method: every cut, over an empty slot, a shorter checkpoint
        // and a longer one.
        let good = checkpoint(20, "good").encode(5);
        let new = checkpoint(30, "new").encode(6);
        let older = checkpoint(10, "x").encode(4);
        let longer = checkpoint(10, &"long ".repeat(40)).encode(4);
        for before in [vec![0; 64], Vec::new(), older, longer] {
            for cut in 0..=new.len() {
                let slot = torn(&before, &new, cut);
                for (a, b, other) in [(&good, &slot, Slot::B), (&slot, &good, Slot::A)] {
                    let chosen = choose(a, b).unwrap();
                    let (at, newest) = chosen.newest.unwrap();
                    if cut == new.len() {
                        assert_eq!((at, newest), (other, checkpoint(30, "new")));
                        assert_eq!(chosen.next_generation, 7);
                    } else {
                        assert_eq!(newest, checkpoint(20, "good"), "cut at {cut}");
                        assert_eq!((at != other, chosen.next_slot), (true, other));
                        assert_eq!(chosen.next_generation, 6);
                    }
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_never_believed() {
        // Goal: damage anywhere leaves the other slot; alone it is an error, never "nothing yet";
        // method: every bit of the newer slot.
        let good = checkpoint(20, "good").encode(5);
        let new = checkpoint(30, "new").encode(6);
        for bit in 0..new.len() * 8 {
            let mut slot = new.clone();
            slot[bit / 8] ^= 1 << (bit % 8);
            let (_, newest) = choose(&good, &slot).unwrap().newest.unwrap();
            assert_eq!(newest, checkpoint(20, "good"), "bit {bit}");
            assert!(choose(&slot, &slot).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn nothing_yet_damage_and_strangers_are_told_apart() {
        // Goal: only an empty state begins anew; method: each pair of slots.
        let good = checkpoint(20, "good").encode(1);
        let first = |cut: usize| torn(&[0; 4096], &good, cut);
        let none = Chosen { newest: None, next_slot: Slot::A, next_generation: 1 };
        assert_eq!(choose(&[], &[]), Ok(none.clone()));
        assert_eq!(choose(&[0; 4096], &[0; 4096]), Ok(none.clone()));
        for cut in 0..good.len() {
            assert_eq!(choose(&first(cut), &[0; 4096]), Ok(none.clone()), "first write, {cut}");
        }
        let damaged = first(good.len() - 1);
        assert_eq!(choose(&damaged, &damaged), Err(CheckpointError::Damaged));
        assert_eq!(choose(b"something else", &[]), Err(CheckpointError::Foreign));
        let mut newer = good.clone();
        newer[8] = 3;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..24]), &newer[HEAD..]);
        newer[24..HEAD].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(choose(&good, &newer), Err(CheckpointError::Newer { version: 3 }));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_checkpoint(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            at in 0usize..200,
        ) {
            // Goal: hostile slots never panic and are never believed; method: random bytes, bare
            // and laid over a whole slot.
            proptest::prop_assert!(Checkpoint::decode(&bytes).is_err());
            let whole = checkpoint(1, "note").encode(1);
            let mut slot = whole.clone();
            for (to, from) in slot.iter_mut().skip(at).zip(&bytes) {
                *to = *from;
            }
            proptest::prop_assert!(slot == whole || Checkpoint::decode(&slot).is_err());
        }
    }

    #[test]
    fn l15_chunks_are_kept_and_older_folders_still_open() {
        // Goal: a list of chunks comes back as it was, in a version that a build without chunks
        // refuses; without chunks the bytes are those of version 1, field for field; method:
        // encode, look at the head and the JSON, decode.
        let plain = checkpoint(1, "");
        let bytes = plain.encode(3);
        assert_eq!((bytes[8], Checkpoint::decode(&bytes)), (1, Ok((3, plain.clone()))));
        let json: serde_json::Value = serde_json::from_slice(&bytes[HEAD..]).unwrap();
        assert_eq!(json.get("chunks"), None);
        let name = TableName { database: "d".into(), schema: "s".into(), table: "t".into() };
        let through = |key: &[u8]| Some(Bound(key.to_vec()));
        let pieces = vec![
            Piece { through: through(&[0, 255]), done: true, rows: 9 },
            Piece { through: None, done: false, rows: 0 },
        ];
        let chunks = vec![TableChunks { name, pieces, keys: vec![Bound(b"'k'".to_vec())] }];
        let whole = Checkpoint { chunks, ..plain };
        let bytes = whole.encode(4);
        assert_eq!((bytes[8], Checkpoint::decode(&bytes)), (2, Ok((4, whole))));
    }

    #[test]
    fn a_parked_transaction_keeps_its_schemas() {
        // Goal: what XA COMMIT needs after a restart is all there; method: encode, decode, compare.
        let column = |name: &str, ty, default| {
            let name = name.to_owned();
            Column { name, ty, nullable: true, default, included: true }
        };
        let labels: std::sync::Arc<[String]> = ["a".to_owned(), "b'".to_owned()].into();
        let text = ColumnType::Text { length_bytes: 2, charset: Charset::Latin1 };
        let table = TableSchema {
            table: TableId(3),
            version: 7,
            name: TableName { database: "d".into(), schema: String::new(), table: "t".into() },
            columns: vec![
                column("id", ColumnType::Int { bits: 64, unsigned: true }, None),
                column("kind", ColumnType::Enum { bytes: 1, labels }, None),
                column("note", text, Some(DefaultValue::Text("é".into()))),
            ],
            key: vec![0],
            identity: Vec::new(),
            replica_identity: b'f',
            period: None,
        };
        let parked = ParkedGroup {
            xid: vec![1, 0, 255],
            spill: SpillId(4),
            bytes: 99,
            frames: 2,
            tables: vec![table],
        };
        let whole = Checkpoint { parked: vec![parked], ..checkpoint(1, "") };
        assert_eq!(Checkpoint::decode(&whole.encode(3)), Ok((3, whole)));
    }
}
