//! A pipeline's state in a folder: who holds it, its epoch, its checkpoints, its schema history,
//! its spilled transactions.
//!
//! Enters: checkpoints and schemas to keep. Leaves: the last ones that are whole. Keeps: a crash
//! or a full disk at any byte leaves the last good checkpoint readable; one process at a time; an
//! epoch that rises at every start; a failed fsync ends the pipeline and is never repeated
//! (HAZARDS L29).
//!
//! ```text
//! PATH/NAME/lock           who holds it (lease)
//!           epoch          two records, written in turn
//!           checkpoint.a   two slots, written in turn, their room reserved ahead
//!           checkpoint.b
//!           history        schemas, append-only; rewritten when most is superseded
//!           spill/N        transactions that wait for their end
//! ```

mod checkpoints;
mod epoch;
mod history;
mod spill;

use std::io;
use std::path::{Path, PathBuf};

use penstock_shards::checkpoint::{Checkpoint, SnapshotState};
use penstock_shards::seq::Epoch;

pub use history::{History, SchemaRecord};
pub use spill::FileSpill;

use crate::disk;
use crate::error::{Error, Result};
use crate::lease::{Lease, LeaseError};
use checkpoints::Slots;

/// State holds table names and GTIDs, and spilled rows: the owner's alone.
const FOLDER_MODE: u32 = 0o700;

/// The open state of one pipeline. Its methods block on the disk: not for a core's thread.
pub struct State {
    folder: PathBuf,
    slots: Slots,
    loaded: Option<Checkpoint>,
    _lease: Lease,
}

impl State {
    /// Opens the state of pipeline `name` below `path`, makes it if it is absent, and holds it for
    /// this process until it is dropped.
    ///
    /// # Errors
    /// `state-locked`, `state-name`, `state-unwritable`, `state-disk-full` (Transient), and what
    /// `load` says of damage.
    pub fn open(path: &Path, name: &str) -> Result<Self> {
        Self::open_with(path, name, false)
    }

    /// As `open`, but checkpoints that are damaged count as none: for the commands that mend a
    /// state (`offsets set`, `offsets delete`), never for a run.
    pub fn open_to_mend(path: &Path, name: &str) -> Result<Self> {
        Self::open_with(path, name, true)
    }

    fn open_with(path: &Path, name: &str, mend: bool) -> Result<Self> {
        let folder = folder_of(path, name)?;
        let opening = |error| explain("opened", &folder, error);
        disk::create_folder(&folder, FOLDER_MODE).map_err(opening)?;
        let lease = Lease::take(&folder.join("lock"), name).map_err(|e| match e {
            LeaseError::Io(error) => opening(error),
            LeaseError::Held(holder) => held(&folder, holder.map(|h| h.to_string())),
        })?;
        let (slots, loaded) = Slots::open(&folder, name, mend)?;
        Ok(Self { folder, slots, loaded, _lease: lease })
    }

    /// The checkpoint that this state was opened with, `None` if nothing was saved yet.
    pub fn load(&self) -> Option<&Checkpoint> {
        self.loaded.as_ref()
    }

    /// Makes a checkpoint durable; once this returns `Ok`, a crash at any time finds this one or a
    /// newer one.
    ///
    /// # Errors
    /// `state-disk-full` (Transient: nothing changed, save again later); `state-fsync-failed` and
    /// others, Fatal.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.slots.save(checkpoint)
    }

    /// The epoch of this incarnation, durable before it is returned: above every one before it,
    /// and never below the clock, so that a lost state folder does not begin again at 1
    /// (HAZARDS L20). `now_us`: µs since 1970.
    pub fn next_epoch(&mut self, now_us: u64) -> Result<Epoch> {
        let checkpointed = self.loaded.as_ref().map_or(0, |c| c.epoch.0);
        epoch::next(&self.folder, checkpointed, now_us)
    }

    /// The schema history, up to its last whole record.
    ///
    /// # Errors
    /// `state-history-damaged` if it is damaged before its end, or ends before a schema that the
    /// checkpoint depends on.
    pub fn history(&self) -> Result<History> {
        let begun = self.loaded.as_ref().filter(|c| c.snapshot == SnapshotState::Done);
        let needed = begun.map_or(0, |c| c.schema_version);
        History::open(&self.folder, needed)
    }

    /// An empty schema history in the place of whatever there was: its versions go on from the
    /// checkpoint's.
    pub fn history_anew(&self) -> Result<History> {
        self.forget_history()?;
        History::open(&self.folder, 0)
    }

    /// Removes the schema history: what a checkpoint with version 0 goes with.
    pub fn forget_history(&self) -> Result<()> {
        for file in [history::FILE, history::FILE_NEW] {
            let path = self.folder.join(file);
            gone(path.clone(), std::fs::remove_file(&path))?;
        }
        disk::sync_folder(&self.folder).map_err(|error| fsync_failed(&self.folder, error))
    }

    /// The spill store. Groups of an earlier run are kept until the router, which knows those that
    /// the checkpoint needs, removes them.
    pub fn spill(&self) -> Result<FileSpill> {
        let folder = self.folder.join("spill");
        disk::create_folder(&folder, FOLDER_MODE)
            .and_then(|()| FileSpill::open(&folder))
            .map_err(|error| explain("opened", &folder, error))
    }

    /// Forgets everything: checkpoints, history, spilled groups; the epoch stays. The state is
    /// then as one that was never used.
    pub fn delete(self) -> Result<()> {
        let Self { folder, slots, .. } = &self;
        slots.clear(folder)?;
        self.forget_history()?;
        let spill = folder.join("spill");
        gone(spill.clone(), std::fs::remove_dir_all(&spill))?;
        disk::sync_folder(folder).map_err(|error| fsync_failed(folder, error))
    }
}

fn gone(path: PathBuf, removed: io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(explain("removed", &path, error))
        }
        _ => Ok(()),
    }
}

/// The last checkpoint of a pipeline whose state may be in use: for commands that only show.
/// `None`: there is none.
///
/// # Errors
/// As `State::open`, but for the lock.
pub fn peek(path: &Path, name: &str) -> Result<Option<Checkpoint>> {
    checkpoints::peek(&folder_of(path, name)?, name)
}

/// The name becomes a folder's: it must not lead elsewhere.
fn folder_of(path: &Path, name: &str) -> Result<PathBuf> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let what = format!("`{name}` cannot be the name of a pipeline's state folder");
        return Err(Error::usage("state-name", what)
            .hint("use letters, digits, `_`, `-` and `.` in the pipeline's name"));
    }
    Ok(path.join(name))
}

fn held(folder: &Path, holder: Option<String>) -> Error {
    let holder = holder.unwrap_or_else(|| "another process".into());
    let what = format!("the state in {} is in use by {holder}", folder.display());
    Error::fatal("state-locked", what).hint(
        "stop that process first (it lets go when it ends), or give this pipeline another \
         `name` or `[state] path`",
    )
}

/// An error of the operating system about a file or folder of the state. `done`: what could not
/// be done to it ("written").
fn explain(done: &str, path: &Path, error: io::Error) -> Error {
    let what = format!("{} cannot be {done}: {error}", path.display());
    if disk::is_full(&error) {
        return Error::transient("state-disk-full", what)
            .hint("make room on that file system; the last checkpoint is safe");
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => Error::fatal("state-unwritable", what).hint(
            "let the user that runs penstock own that folder (mode 0700), or point \
             `[state] path` at one that it can write",
        ),
        _ => Error::fatal("state-io", what)
            .hint("mend the disk or file system, then start again; the last checkpoint is safe"),
    }
}

fn fsync_failed(path: &Path, error: io::Error) -> Error {
    let what = format!("{} could not be made durable: {error}", path.display());
    Error::fatal("state-fsync-failed", what).hint(
        "check the disk (kernel log, SMART), then start again: delivery goes on at the last \
         checkpoint that is durable. It is never tried twice: after a failed fsync the kernel \
         forgets what was not written",
    )
}

#[cfg(test)]
mod tests;
