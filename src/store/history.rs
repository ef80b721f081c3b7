//! Schema history: what every table looked like from which source position on.
//!
//! Enters: schemas, in the order of the log. Leaves: the same, at the next start. Keeps: a record
//! is durable before `append` returns, hence before any checkpoint that depends on it (DESIGN,
//! invariant 7); a torn tail is cut, damage before the tail is told; a schema that is read a
//! second time after a restart is not stored twice.
//!
//! The file: 16 bytes `PENSTOCK-HIST-1\n`, then records (little-endian), append-only:
//! ```text
//! +--------+----------+------+
//! | len 4  | crc32c 4 | JSON |
//! +--------+----------+------+
//! ```
//! len: bytes of the JSON. crc32c: over len and JSON.

use std::collections::{BTreeMap, btree_map::Entry};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{explain, fsync_failed};
use crate::disk;
use crate::error::{Error, Result};

/// File name in the state's folder.
pub(super) const FILE: &str = "history";

/// Format version 1 in its name: a later build can tell.
const MAGIC: [u8; 16] = *b"PENSTOCK-HIST-1\n";
const HEAD: usize = 8;
/// A longer record is damage, bytes.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// One schema of one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// Version of the history at which it appears: rises from 1 in the order of the log.
    pub version: u64,
    /// Source position from which on it holds, as JSON.
    pub position: serde_json::Value,
    /// The table, `schema.table` or `db.table`.
    pub table: String,
    /// The schema; null: the table is gone.
    pub schema: serde_json::Value,
}

/// The open history.
pub struct History {
    path: PathBuf,
    file: File,
    end: u64,
    /// Digest of the positions stored at a version.
    known: BTreeMap<u64, Vec<[u8; 32]>>,
    failed: bool,
}

impl History {
    /// Opens or makes the history and cuts a torn tail. `needed`: the version that the checkpoint
    /// depends on.
    pub(super) fn open(folder: &Path, needed: u64) -> Result<Self> {
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| explain("opened", &path, error))?;
        let mut history = Self { path, file, end: 0, known: BTreeMap::new(), failed: false };
        history.begin(folder)?;
        let mut known: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        let end = history.scan(|record| {
            known.entry(record.version).or_default().push(digest(&record));
        })?;
        (history.known, history.end) = (known, end);
        history.cut()?;
        if history.last_version() < needed {
            let what = format!(
                "{} ends at version {}, but the checkpoint depends on version {needed}",
                history.path.display(),
                history.last_version()
            );
            return Err(damaged(what));
        }
        Ok(history)
    }

    /// Version of the newest record; 0: none.
    pub fn last_version(&self) -> u64 {
        self.known.last_key_value().map_or(0, |(&version, _)| version)
    }

    /// Every record, oldest first. One is in memory at a time.
    pub fn for_each(&self, handle: impl FnMut(SchemaRecord)) -> Result<()> {
        self.scan(handle).map(drop)
    }

    /// Stores a schema durably, unless it is stored already (same version, same position).
    ///
    /// # Errors
    /// `state-disk-full` (Transient, nothing stored), `state-fsync-failed` (Fatal).
    pub fn append(&mut self, record: &SchemaRecord) -> Result<()> {
        if self.failed {
            let again = io::Error::other("an fsync failed before");
            return Err(fsync_failed(&self.path, again));
        }
        let digest = digest(record);
        let known = self.known.entry(record.version);
        if let Entry::Occupied(known) = &known
            && known.get().contains(&digest)
        {
            return Ok(());
        }
        let bytes = encode(record);
        if let Err(error) = self.file.write_all_at(&bytes, self.end) {
            // No half record stays before a later one. If this fails too, opening cuts it.
            drop(self.file.set_len(self.end));
            return Err(explain("written", &self.path, error));
        }
        if let Err(error) = disk::sync(&self.file) {
            self.failed = true;
            return Err(fsync_failed(&self.path, error));
        }
        self.end += bytes.len() as u64;
        known.or_default().push(digest);
        Ok(())
    }

    /// Writes the first bytes of a new history; refuses what is not one.
    fn begin(&mut self, folder: &Path) -> Result<()> {
        let mut start = Vec::new();
        let read = (&self.file).take(MAGIC.len() as u64).read_to_end(&mut start);
        read.map_err(|error| explain("read", &self.path, error))?;
        if start == MAGIC {
            return Ok(());
        }
        if !MAGIC.starts_with(&start) {
            let what = format!("{} is no schema history of this format", self.path.display());
            return Err(damaged(what));
        }
        self.file.write_all_at(&MAGIC, 0).map_err(|error| explain("written", &self.path, error))?;
        disk::sync(&self.file)
            .and_then(|()| disk::sync_folder(folder))
            .map_err(|error| fsync_failed(&self.path, error))
    }

    /// Reads every whole record; gives the offset behind the last one.
    fn scan(&self, mut handle: impl FnMut(SchemaRecord)) -> Result<u64> {
        let reading = |error| explain("read", &self.path, error);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(reading)?;
        let mut input = BufReader::new(file);
        let (mut at, mut body) = (MAGIC.len() as u64, Vec::new());
        loop {
            match read_record(&mut input, &mut body).map_err(reading)? {
                Some(record) => handle(record),
                None => return Ok(at),
            }
            at += (HEAD + body.len()) as u64;
        }
    }

    /// Cuts what stands behind the last whole record: an append that a crash tore. It was never
    /// answered, so nothing depends on it. A whole record further on means damage instead.
    fn cut(&mut self) -> Result<()> {
        let reading = |error| explain("read", &self.path, error);
        let len = self.file.metadata().map_err(reading)?.len();
        if len == self.end {
            return Ok(());
        }
        if self.whole_record_behind(len).map_err(reading)? {
            let what = format!("{} is damaged at byte {}", self.path.display(), self.end);
            return Err(damaged(what));
        }
        self.file.set_len(self.end).map_err(|error| explain("cut", &self.path, error))?;
        disk::sync(&self.file).map_err(|error| fsync_failed(&self.path, error))
    }

    /// Whether a whole record starts right behind the one at the end, if that has a length that
    /// can be believed.
    fn whole_record_behind(&self, len: u64) -> io::Result<bool> {
        let mut head = [0; 4];
        if len < self.end + HEAD as u64 {
            return Ok(false);
        }
        self.file.read_exact_at(&mut head, self.end)?;
        let next = self.end + HEAD as u64 + u64::from(u32::from_le_bytes(head));
        if next >= len {
            return Ok(false);
        }
        let mut file = &self.file;
        file.seek(SeekFrom::Start(next))?;
        Ok(read_record(&mut BufReader::new(file), &mut Vec::new())?.is_some())
    }
}

fn encode(record: &SchemaRecord) -> Vec<u8> {
    let json = serde_json::to_vec(record).expect("invariant: JSON values serialise");
    let len = u32::try_from(json.len()).expect("invariant: a schema is below 4 GiB");
    let mut bytes = Vec::with_capacity(HEAD + json.len());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&checksum(len, &json).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes
}

fn checksum(len: u32, json: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), json)
}

/// The next whole record, its JSON left in `body`; `None` at the end and at anything else.
fn read_record(input: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Option<SchemaRecord>> {
    let mut head = [0; HEAD];
    if !read_fully(input, &mut head)? {
        return Ok(None);
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    if len == 0 || len as usize > RECORD_BYTES_MAX {
        return Ok(None);
    }
    body.clear();
    input.take(u64::from(len)).read_to_end(body)?;
    let whole = body.len() == len as usize;
    if !whole || checksum(len, body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Ok(None);
    }
    Ok(serde_json::from_slice(body).ok())
}

/// False if the input ends before `into` is full.
fn read_fully(input: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn digest(record: &SchemaRecord) -> [u8; 32] {
    let mut hash = Sha256::new();
    // The table is part of it: one position can carry schemas of several tables.
    hash.update(record.position.to_string());
    hash.update([0]);
    hash.update(&record.table);
    hash.finalize().into()
}

fn damaged(what: String) -> Error {
    Error::fatal("state-history-damaged", what).hint(
        "restore that file from a copy; or remove the state with `penstock offsets delete` and \
         take a new snapshot",
    )
}
