//! Schema history: what every table looked like from which source position on.
//!
//! Enters: records, in the order of the log. Leaves: the same, at the next start. Keeps: records
//! are durable before `append` returns, hence before any checkpoint that depends on them (DESIGN,
//! invariant 7); a restart uses the version in the checkpoint, and what was recorded beyond is cut
//! off and read from the log again (HAZARDS L23); a torn tail is cut, damage before it is told;
//! what is superseded is removed once no checkpoint needs it, by a new file in the old one's place.
//!
//! The file: 16 bytes `PENSTOCK-HIST-1\n`, then records (little-endian), append-only:
//! ```text
//! +--------+----------+------+
//! | len 4  | crc32c 4 | JSON |
//! +--------+----------+------+
//! ```
//! len: bytes of the JSON. crc32c: over len and JSON.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{explain, fsync_failed};
use crate::disk;
use crate::error::{Error, Result};

/// File name in the state's folder.
pub(super) const FILE: &str = "history";
/// The next file, while it is written.
pub(super) const FILE_NEW: &str = "history.new";

/// Format version 1 in its name: a later build can tell.
const MAGIC: [u8; 16] = *b"PENSTOCK-HIST-1\n";
const HEAD: usize = 8;
/// Key of the record, first in its file, that says from which version on the file is whole.
const BASE: &str = "\0base";
/// A longer record is damage, bytes.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// A file below this is never rewritten, bytes.
const COMPACT_BYTES_MIN: u64 = 1 << 20;

/// What became of one table (or of what tables are made from: a database's defaults).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// Version of the history at which it appears: rises from 1 in the order of the log; records
    /// of one statement share it.
    pub version: u64,
    /// Source position from which on it holds, as JSON.
    pub position: serde_json::Value,
    /// What it is about: a later record of the same name supersedes it.
    pub table: String,
    /// The schema; null: it is gone.
    pub schema: serde_json::Value,
}

/// The open history.
pub struct History {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    end: u64,
    last_version: u64,
    /// What lies before this version was removed.
    base: u64,
    /// Bytes of the newest record of each name.
    live: BTreeMap<String, u64>,
    live_bytes: u64,
    failed: bool,
}

impl History {
    /// Opens or makes the history and cuts a torn tail. `needed`: the version that the checkpoint
    /// depends on.
    pub(super) fn open(folder: &Path, needed: u64) -> Result<Self> {
        let path = folder.join(FILE);
        // A rewrite that a crash has cut: the old file is whole.
        match std::fs::remove_file(folder.join(FILE_NEW)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(explain("removed", &folder.join(FILE_NEW), error));
            }
            _ => {}
        }
        let file = open_file(&path)?;
        let mut history = Self {
            folder: folder.to_owned(),
            path,
            file,
            end: 0,
            last_version: 0,
            base: 0,
            live: BTreeMap::new(),
            live_bytes: 0,
            failed: false,
        };
        history.begin(folder)?;
        history.rescan()?;
        history.cut()?;
        if history.last_version < needed {
            let what = format!(
                "{} ends at version {}, but the checkpoint depends on version {needed}",
                history.path.display(),
                history.last_version
            );
            return Err(damaged(what));
        }
        Ok(history)
    }

    /// Version of the newest record; 0: none.
    pub fn last_version(&self) -> u64 {
        self.last_version
    }

    /// The version from which on the history is whole: before it, what was superseded is missing.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Every record, oldest first. One is in memory at a time.
    pub fn for_each(&self, mut handle: impl FnMut(SchemaRecord)) -> Result<()> {
        self.scan(|record, _| {
            if record.table != BASE {
                handle(record);
            }
        })
        .map(drop)
    }

    /// Stores records durably, with one fsync, in the order given.
    ///
    /// # Errors
    /// `state-disk-full` (Transient, nothing stored), `state-fsync-failed` (Fatal).
    pub fn append(&mut self, records: &[SchemaRecord]) -> Result<()> {
        if self.failed {
            let again = io::Error::other("an fsync failed before");
            return Err(fsync_failed(&self.path, again));
        }
        let mut bytes = Vec::new();
        let mut lens = Vec::with_capacity(records.len());
        for record in records {
            assert!(record.version >= self.last_version, "the history went back");
            let encoded = encode(record);
            lens.push(encoded.len() as u64);
            bytes.extend_from_slice(&encoded);
        }
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
        for (record, len) in records.iter().zip(lens) {
            self.note(record, len);
        }
        Ok(())
    }

    /// Cuts off what was recorded after `version`: a run begins at its checkpoint and reads the
    /// rest from the log again.
    pub fn cut_behind(&mut self, version: u64) -> Result<()> {
        if version < self.base {
            // What is left cannot tell how things were then: begin anew behind that version.
            return self.replace(&[&MAGIC[..], &encode(&base(version, version + 1))].concat());
        }
        if self.last_version <= version {
            return Ok(());
        }
        let mut end = MAGIC.len() as u64;
        self.scan(|record, len| {
            if record.version <= version {
                end += len;
            }
        })?;
        self.file.set_len(end).map_err(|error| explain("cut", &self.path, error))?;
        disk::sync(&self.file).map_err(|error| fsync_failed(&self.path, error))?;
        self.rescan()
    }

    /// Whether most of the file is superseded.
    pub fn wants_compaction(&self) -> bool {
        self.end >= COMPACT_BYTES_MIN.max(self.live_bytes.saturating_mul(2))
    }

    /// Removes what is superseded, if that is more than what is not: `durable` is the version of a
    /// checkpoint that is durable, so that none needs an older one. A crash at any byte leaves the
    /// old file or the new one.
    pub fn compact(&mut self, durable: u64) -> Result<()> {
        if !self.wants_compaction() {
            return Ok(());
        }
        let mut newest = BTreeMap::new();
        let mut at = 0_u64;
        self.scan(|record, _| {
            if record.version <= durable {
                newest.insert(record.table, (at, record.schema.is_null()));
            }
            at += 1;
        })?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&encode(&base(0, durable.max(self.base))));
        let mut at = 0_u64;
        self.scan(|record, _| {
            let gone = match newest.get(&record.table) {
                Some(&(newest, null)) => at < newest || at == newest && null,
                None => false,
            };
            // Ours is written anew; the last of all stays: its version is the file's.
            if record.table != BASE && (!gone || record.version == self.last_version) {
                bytes.extend_from_slice(&encode(&record));
            }
            at += 1;
        })?;
        if bytes.len() as u64 * 4 > self.end * 3 {
            return Ok(());
        }
        self.replace(&bytes)
    }

    /// Puts a whole new file in the old one's place.
    fn replace(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(FILE_NEW);
        let file = open_file(&path)?;
        file.set_len(0)
            .and_then(|()| file.write_all_at(bytes, 0))
            .map_err(|error| explain("written", &path, error))?;
        disk::sync(&file).map_err(|error| fsync_failed(&path, error))?;
        std::fs::rename(&path, &self.path).map_err(|error| explain("renamed", &path, error))?;
        disk::sync_folder(&self.folder).map_err(|error| fsync_failed(&self.path, error))?;
        self.file = file;
        self.rescan()
    }

    fn note(&mut self, record: &SchemaRecord, len: u64) {
        self.last_version = self.last_version.max(record.version);
        if record.table == BASE {
            return;
        }
        let before = match record.schema.is_null() {
            true => self.live.remove(&record.table),
            false => {
                self.live_bytes += len;
                self.live.insert(record.table.clone(), len)
            }
        };
        self.live_bytes -= before.unwrap_or(0);
    }

    fn rescan(&mut self) -> Result<()> {
        (self.last_version, self.live_bytes) = (0, 0);
        self.live.clear();
        let (mut notes, mut base) = (Vec::new(), 0);
        self.end = self.scan(|record, len| {
            let schema = match record.schema.is_null() {
                true => serde_json::Value::Null,
                false => serde_json::Value::Bool(true),
            };
            let position = serde_json::Value::Null;
            if record.table == BASE {
                base = record.schema.as_u64().unwrap_or_default();
            }
            notes.push((SchemaRecord { schema, position, ..record }, len));
        })?;
        self.base = base;
        for (record, len) in notes {
            self.note(&record, len);
        }
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

    /// Reads every whole record with its length; gives the offset behind the last one.
    fn scan(&self, mut handle: impl FnMut(SchemaRecord, u64)) -> Result<u64> {
        let reading = |error| explain("read", &self.path, error);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(reading)?;
        let mut input = BufReader::new(file);
        let (mut at, mut body) = (MAGIC.len() as u64, Vec::new());
        loop {
            let Some(record) = read_record(&mut input, &mut body).map_err(reading)? else {
                return Ok(at);
            };
            let len = (HEAD + body.len()) as u64;
            handle(record, len);
            at += len;
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

/// `from`: the version from which on the file is whole. `version`: one that counts as recorded.
fn base(version: u64, from: u64) -> SchemaRecord {
    let position = serde_json::Value::Null;
    SchemaRecord { version, position, table: BASE.into(), schema: from.into() }
}

fn open_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|error| explain("opened", path, error))
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

fn damaged(what: String) -> Error {
    Error::fatal("state-history-damaged", what).hint(
        "restore that file from a copy; or make it anew from the catalogue: snapshot.mode = \
         \"recovery\" for one run",
    )
}
