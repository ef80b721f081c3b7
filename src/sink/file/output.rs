//! The output folder: one file a topic, and which bytes of it are durable.
//!
//! Enters: whole lines for a topic. Leaves: files. Keeps: a write that fails leaves no half line;
//! a file is named in the manifest before it is made; it is never called durable before it and its
//! name are synced; an fsync that fails is final (HAZARDS L29); open files are bounded, and a file
//! is synced before its handle is let go, so that no failure of the kernel's own writing is
//! missed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_shards::seq::ShardId;

use super::lengths::{Lengths, Place};
use super::manifest::{Manifest, Owned, SyncFailed};
use crate::disk;
use crate::error::Error;
use crate::lease::Lease;

/// Files open at a time, at most.
const OPEN_FILES_MAX: u64 = 2048;
/// What the process asks for, so that a thousand topics find room beside all else.
const DESCRIPTORS_WANTED: u64 = 8192;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No room; nothing half is left, the same can be tried again. The text says where.
    Full(String),
    /// It cannot be waited out.
    Fatal(Error),
}

pub(super) type Outcome<T> = Result<T, Trouble>;

/// One topic's files.
pub(super) struct TopicFile {
    /// The topic.
    pub topic: Arc<str>,
    /// Where the next line goes.
    pub place: Place,
    /// Where it went at earlier watermarks.
    pub lengths: Lengths,
    /// Whose rows it takes in this run.
    pub shard: Option<ShardId>,
    /// Rows of several shards: they mix, so no length divides them.
    pub shared: bool,
    exists: bool,
    owned: bool,
    dirty: bool,
    /// Second chance of the clock that chooses which handle goes.
    used: bool,
    handle: Option<File>,
}

/// The folder.
pub(super) struct Output {
    pub(super) folder: PathBuf,
    /// `.penstock-NAME` in it.
    pub(super) own: PathBuf,
    pub(super) id: String,
    pub(super) manifest: Manifest,
    pub(super) checkpointed: bool,
    pub(super) files: Vec<TopicFile>,
    by_topic: HashMap<Arc<str>, usize>,
    dirty: Vec<usize>,
    folder_dirty: bool,
    open: usize,
    pub(super) open_max: usize,
    hand: usize,
    _lease: Lease,
}

impl Output {
    pub(super) fn new(
        folder: &Path,
        own: PathBuf,
        id: String,
        manifest: Manifest,
        lease: Lease,
    ) -> Self {
        Self {
            folder: folder.into(),
            own,
            id,
            manifest,
            checkpointed: false,
            files: Vec::new(),
            by_topic: HashMap::new(),
            dirty: Vec::new(),
            folder_dirty: false,
            open: 0,
            open_max: open_files_max(),
            hand: 0,
            _lease: lease,
        }
    }

    /// A file that is on disk, found at start.
    pub(super) fn found(&mut self, topic: &str, place: Place, exists: bool) {
        let index = self.insert(topic.into(), place);
        (self.files[index].exists, self.files[index].owned) = (exists, true);
    }

    /// The topic's file, made known if it is new; nothing is made on disk yet.
    pub(super) fn file_of(&mut self, topic: &Arc<str>) -> Outcome<usize> {
        if let Some(&index) = self.by_topic.get(topic) {
            return Ok(index);
        }
        if topic.is_empty() || topic.starts_with('.') || topic.contains(['/', '\0', '\n']) {
            let what = format!("the topic {topic:?} cannot be the name of a file");
            return Err(Trouble::Fatal(Error::fatal("sink-topic-name", what).hint(
                "give the pipeline a `name` of letters, digits, `_`, `-` and `.` that does not \
                 begin with `.`",
            )));
        }
        Ok(self.insert(Arc::clone(topic), Place::default()))
    }

    fn insert(&mut self, topic: Arc<str>, place: Place) -> usize {
        let index = self.files.len();
        self.by_topic.insert(Arc::clone(&topic), index);
        self.files.push(TopicFile {
            topic,
            place,
            lengths: Lengths::new(place),
            shard: None,
            shared: false,
            exists: false,
            owned: false,
            dirty: false,
            used: false,
            handle: None,
        });
        index
    }

    /// Names the files of `indexes` that are new in the manifest, durably, with one fsync.
    pub(super) fn own(&mut self, indexes: impl IntoIterator<Item = usize>) -> Outcome<()> {
        let new: Vec<_> = indexes.into_iter().filter(|&i| !self.files[i].owned).collect();
        let names =
            new.iter().map(|&i| Owned { topic: self.files[i].topic.to_string(), rotated: None });
        let added = self.manifest.add(names);
        added.map_err(|error| trouble("written", self.manifest.path(), error))?;
        for index in new {
            self.files[index].owned = true;
        }
        Ok(())
    }

    /// Appends whole lines to a file. After an error nothing of them is in it.
    pub(super) fn write(&mut self, index: usize, lines: &[u8]) -> Outcome<()> {
        self.make_ready(index)?;
        let path = self.path(index);
        let file = &mut self.files[index];
        let handle = file.handle.as_ref().expect("invariant: made ready above");
        if let Err(error) = handle.write_all_at(lines, file.place.len) {
            // No half line stays, whatever was written of it.
            return match handle.set_len(file.place.len) {
                Ok(()) => Err(trouble("written", &path, error)),
                Err(cut) => Err(trouble("cut back after a failed write", &path, cut)),
            };
        }
        file.place.len += lines.len() as u64;
        if !file.dirty {
            file.dirty = true;
            self.dirty.push(index);
        }
        Ok(())
    }

    /// Renames the file away and begins a new one with the next line.
    pub(super) fn rotate(&mut self, index: usize) -> Outcome<()> {
        self.sync_file(index)?;
        let number = self.files[index].place.rotations + 1;
        let rotated = Owned { topic: self.files[index].topic.to_string(), rotated: Some(number) };
        let (from, to) = (self.path(index), self.folder.join(rotated.name()));
        let added = self.manifest.add([rotated]);
        added.map_err(|error| trouble("written", self.manifest.path(), error))?;
        rename_new(&from, &to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => foreign(&to),
            _ => trouble("renamed", &from, error),
        })?;
        self.folder_dirty = true;
        self.let_go(index);
        let file = &mut self.files[index];
        file.place = Place { rotations: number, len: 0 };
        file.exists = false;
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&mut self) -> Outcome<()> {
        while let Some(&index) = self.dirty.last() {
            self.sync_file(index)?;
            self.dirty.pop();
        }
        if self.folder_dirty {
            let synced = disk::sync_folder(&self.folder);
            synced.map_err(|error| fsync_failed(&self.folder, &error))?;
            self.folder_dirty = false;
        }
        Ok(())
    }

    fn sync_file(&mut self, index: usize) -> Outcome<()> {
        let path = self.path(index);
        let file = &mut self.files[index];
        if file.dirty {
            let handle = file.handle.as_ref().expect("invariant: a dirty file is open");
            disk::sync(handle).map_err(|error| fsync_failed(&path, &error))?;
            file.dirty = false;
        }
        Ok(())
    }

    /// Where a topic's lines go now.
    pub(super) fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{}.jsonl", self.files[index].topic))
    }

    /// Opens the file, makes it if it is not there.
    fn make_ready(&mut self, index: usize) -> Outcome<()> {
        self.files[index].used = true;
        if self.files[index].handle.is_some() {
            return Ok(());
        }
        assert!(self.files[index].owned, "a file is named in the manifest before it is made");
        while self.open >= self.open_max {
            self.let_one_go()?;
        }
        let (path, exists) = (self.path(index), self.files[index].exists);
        let handle = loop {
            match OpenOptions::new().read(true).write(true).create_new(!exists).open(&path) {
                Ok(handle) => break handle,
                Err(error) if is_out_of_descriptors(&error) && self.open > 0 => {
                    self.let_one_go()?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(foreign(&path));
                }
                Err(error) => return Err(trouble("opened", &path, error)),
            }
        };
        self.open += 1;
        self.folder_dirty |= !exists;
        self.files[index].exists = true;
        self.files[index].handle = Some(handle);
        Ok(())
    }

    /// Closes the next file that was not used for a turn of the hand.
    fn let_one_go(&mut self) -> Outcome<()> {
        loop {
            self.hand = (self.hand + 1) % self.files.len();
            let file = &mut self.files[self.hand];
            if file.handle.is_none() || std::mem::take(&mut file.used) {
                continue;
            }
            self.sync_file(self.hand)?;
            self.let_go(self.hand);
            return Ok(());
        }
    }

    fn let_go(&mut self, index: usize) {
        debug_assert!(!self.files[index].dirty, "a handle was let go before its file was synced");
        if self.files[index].handle.take().is_some() {
            self.open -= 1;
        }
        self.dirty.retain(|&dirty| dirty != index);
    }
}

/// Renames, but never over a file that is there.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let c_path = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes());
    let (c_from, c_to) = (c_path(from)?, c_path(to)?);
    // SAFETY: two live strings; relative paths start at the working directory.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            c_from.as_ptr(),
            libc::AT_FDCWD,
            c_to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // The file system does not know the flag: look first. Our lease keeps our own kind away.
        error if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        error => Err(error),
    }
}

/// How many files may be open, after the process's limit was raised as far as it may and needs be.
fn open_files_max() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live struct to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return 64;
    }
    let wanted = limit.rlim_max.min(DESCRIPTORS_WANTED);
    if limit.rlim_cur < wanted {
        let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max };
        // SAFETY: a live struct to read from.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
            limit = raised;
        }
    }
    usize::try_from((limit.rlim_cur / 4).clamp(16, OPEN_FILES_MAX)).unwrap_or(16)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What an error of the operating system means. `done`: what could not be done to the file.
pub(super) fn trouble(done: &str, path: &Path, error: io::Error) -> Trouble {
    if SyncFailed::is(&error) {
        return fsync_failed(path, &error);
    }
    let what = format!("{} cannot be {done}: {error}", path.display());
    if disk::is_full(&error) {
        return Trouble::Full(what);
    }
    Trouble::Fatal(match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => Error::fatal("sink-unwritable", what).hint(
            "let the user that runs penstock write there, or point the sink's `path` elsewhere",
        ),
        io::ErrorKind::FileTooLarge => Error::fatal("sink-file-too-large", what)
            .hint("set `rotate_bytes`, or raise the limit on file sizes (ulimit -f)"),
        _ => Error::fatal("sink-io", what).hint(
            "mend the disk or file system, then start again: delivery goes on at the last \
             checkpoint",
        ),
    })
}

fn fsync_failed(path: &Path, error: &io::Error) -> Trouble {
    let what = format!("{} could not be made durable: {error}", path.display());
    Trouble::Fatal(Error::fatal("sink-fsync-failed", what).hint(
        "check the disk (kernel log, SMART), then start again: delivery goes on at the last \
         checkpoint. It is never tried twice: after a failed fsync the kernel forgets what was \
         not written",
    ))
}

fn foreign(path: &Path) -> Trouble {
    let what = format!("{} is there already, and this pipeline did not make it", path.display());
    Trouble::Fatal(
        Error::fatal("sink-foreign-file", what)
            .hint("move that file away, or point the sink's `path` at an empty folder"),
    )
}
