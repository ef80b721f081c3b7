//! Two slots for checkpoints, written in turn.
//!
//! Enters: checkpoints. Leaves: the newest whole one (`penstock_shards::checkpoint` encodes,
//! decodes and chooses). Keeps: the slot of the last good checkpoint is not touched until the
//! other one is durable; room is reserved ahead, so a full disk does not stop checkpoints.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use penstock_shards::checkpoint::{self, Checkpoint, CheckpointError, Chosen, Slot};

use super::{explain, fsync_failed};
use crate::disk;
use crate::error::{Error, Result};

/// Room of a slot at first; doubled when a checkpoint needs more, bytes.
const SLOT_BYTES: u64 = 64 << 10;
/// A slot is never larger; what is, is not ours, bytes.
const SLOT_BYTES_MAX: u64 = 1 << 30;

const FILES: [&str; 2] = ["checkpoint.a", "checkpoint.b"];

/// The two slots, open.
pub(super) struct Slots {
    slots: [SlotFile; 2],
    next: usize,
    generation: u64,
    failed: bool,
}

struct SlotFile {
    path: PathBuf,
    file: File,
    reserved: u64,
}

impl Slots {
    /// Opens or makes both; the newest whole checkpoint comes with them. `mend`: none if both are
    /// damaged.
    pub(super) fn open(
        folder: &Path,
        name: &str,
        mend: bool,
    ) -> Result<(Self, Option<Checkpoint>)> {
        let mut slots = [SlotFile::open(folder, FILES[0])?, SlotFile::open(folder, FILES[1])?];
        let (a, b) = (slots[0].read()?, slots[1].read()?);
        let chosen = match checkpoint::choose(&a, &b) {
            Err(CheckpointError::Damaged) if mend => checkpoint::choose(&[], &[]),
            chosen => chosen,
        };
        let Chosen { newest, next_slot, next_generation } =
            chosen.map_err(|error| refused(folder, &error))?;
        let newest = newest.map(|(_, checkpoint)| ours(folder, name, checkpoint)).transpose()?;
        for slot in &mut slots {
            slot.reserve(SLOT_BYTES)?;
        }
        disk::sync_folder(folder).map_err(|error| fsync_failed(folder, error))?;
        let next = usize::from(next_slot == Slot::B);
        Ok((Self { slots, next, generation: next_generation, failed: false }, newest))
    }

    /// Writes the older slot and makes it durable.
    pub(super) fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let slot = &mut self.slots[self.next];
        if self.failed {
            let again = io::Error::other("an fsync failed before");
            return Err(fsync_failed(&slot.path, again));
        }
        let bytes = checkpoint.encode(self.generation);
        slot.reserve(bytes.len() as u64)?;
        slot.file.write_all_at(&bytes, 0).map_err(|error| explain("written", &slot.path, error))?;
        if let Err(error) = disk::sync(&slot.file) {
            self.failed = true;
            return Err(fsync_failed(&slot.path, error));
        }
        self.generation += 1;
        self.next = 1 - self.next;
        Ok(())
    }

    /// Both slots as never written.
    pub(super) fn clear(&self, folder: &Path) -> Result<()> {
        for slot in &self.slots {
            slot.file.set_len(0).map_err(|error| explain("emptied", &slot.path, error))?;
            disk::sync(&slot.file).map_err(|error| fsync_failed(folder, error))?;
        }
        Ok(())
    }
}

impl SlotFile {
    fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file, reserved: 0 }),
            Err(error) => Err(explain("opened", &path, error)),
        }
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        read_slot(&mut self.file).map_err(|error| explain("read", &self.path, error))
    }

    /// Makes sure that there is room for `len` bytes.
    fn reserve(&mut self, len: u64) -> Result<()> {
        if len <= self.reserved {
            return Ok(());
        }
        let room = len.next_power_of_two();
        disk::reserve(&self.file, room)
            .map_err(|error| explain("made room for", &self.path, error))?;
        // The new length is metadata: durable once, not with every checkpoint.
        self.file.sync_all().map_err(|error| fsync_failed(&self.path, error))?;
        self.reserved = room;
        Ok(())
    }
}

/// The newest whole checkpoint, without the lock.
pub(super) fn peek(folder: &Path, name: &str) -> Result<Option<Checkpoint>> {
    let read = |file: &str| {
        let path = folder.join(file);
        match File::open(&path).and_then(|mut file| read_slot(&mut file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|error| explain("read", &path, error)),
        }
    };
    let (a, b) = (read(FILES[0])?, read(FILES[1])?);
    let chosen = checkpoint::choose(&a, &b).map_err(|error| refused(folder, &error))?;
    chosen.newest.map(|(_, checkpoint)| ours(folder, name, checkpoint)).transpose()
}

fn read_slot(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SLOT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn ours(folder: &Path, name: &str, checkpoint: Checkpoint) -> Result<Checkpoint> {
    if checkpoint.pipeline == name {
        return Ok(checkpoint);
    }
    let (folder, other) = (folder.display(), &checkpoint.pipeline);
    let what = format!("{folder} holds the state of the pipeline {other}, not of {name}");
    Err(Error::fatal("state-other-pipeline", what).hint(
        "give the pipeline its own name back, or move that folder away to begin anew: state \
         belongs to one source",
    ))
}

fn refused(folder: &Path, error: &CheckpointError) -> Error {
    let place = folder.display();
    match error {
        CheckpointError::Newer { .. } => {
            Error::fatal("state-newer", format!("state in {place}: {error}"))
                .hint("run the newer penstock that wrote it, or a later one")
        }
        CheckpointError::Foreign => {
            let what = format!("the checkpoint files in {place} are not penstock's");
            Error::fatal("state-foreign", what)
                .hint("point `[state] path` elsewhere, or move these files away")
        }
        CheckpointError::Empty | CheckpointError::Damaged => {
            let what = format!("both checkpoint files in {place} are damaged");
            Error::fatal("state-damaged", what).hint(
                "restore checkpoint.a and checkpoint.b from a copy; or set the position by hand \
                 with `penstock offsets set`; or remove the state with `penstock offsets delete` \
                 and take a new snapshot",
            )
        }
    }
}
