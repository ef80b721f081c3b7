//! Spilled transactions on disk, a file a group.
//!
//! Enters: frames of groups that do not fit in memory, or that wait for their XA COMMIT. Leaves:
//! the same bytes. Keeps: what was synced survives a crash; a full disk is `Full`, which loses
//! nothing; one file is open at a time, however many groups wait.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use penstock_shards::limits::SPILL_BYTES_MAX;
use penstock_shards::spill::{SpillError, SpillId, SpillStore};

use crate::disk;

/// The store.
pub struct FileSpill {
    folder: PathBuf,
    lens: BTreeMap<SpillId, u64>,
    open: Option<(SpillId, File)>,
    /// A name appeared since the folder was synced.
    folder_dirty: bool,
    /// Why nothing is believed any more: an fsync failed.
    failed: Option<String>,
    group_bytes_max: u64,
}

impl FileSpill {
    /// Opens the store in `folder`, which exists. Names that are not its own are left alone.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut lens = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(id) = id.filter(|id: &u64| entry.file_name() == *id.to_string()) {
                lens.insert(SpillId(id), entry.metadata()?.len());
            }
        }
        Ok(Self {
            folder: folder.into(),
            lens,
            open: None,
            folder_dirty: false,
            failed: None,
            group_bytes_max: SPILL_BYTES_MAX,
        })
    }

    fn path(&self, group: SpillId) -> PathBuf {
        self.folder.join(group.0.to_string())
    }

    fn file(&mut self, group: SpillId) -> Result<&File, SpillError> {
        if let Some(reason) = &self.failed {
            return Err(SpillError::Io(reason.clone()));
        }
        if self.open.as_ref().is_none_or(|(id, _)| *id != group) {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let path = self.path(group);
            let file = options.open(&path).map_err(|error| explain(&path, &error))?;
            self.open = Some((group, file));
        }
        let (_, file) = self.open.as_ref().expect("invariant: opened above");
        Ok(file)
    }
}

impl SpillStore for FileSpill {
    fn append(&mut self, group: SpillId, bytes: &[u8]) -> Result<(), SpillError> {
        let len = self.lens.get(&group).copied();
        let at = len.unwrap_or(0);
        let end = at.checked_add(bytes.len() as u64).filter(|end| *end <= self.group_bytes_max);
        let end = end.ok_or(SpillError::Full)?;
        let path = self.path(group);
        let file = self.file(group)?;
        let written = file.write_all_at(bytes, at).map_err(|error| explain(&path, &error));
        let now = file.metadata().map_or(end, |m| m.len());
        self.folder_dirty |= len.is_none();
        self.lens.insert(group, now);
        written
    }

    fn read(&mut self, group: SpillId, offset: u64, into: &mut [u8]) -> Result<usize, SpillError> {
        let lost = SpillError::Damaged { group, offset };
        let len = *self.lens.get(&group).ok_or(lost.clone())?;
        let rest = len.checked_sub(offset).ok_or(lost)?;
        let want = usize::try_from(rest).map_or(into.len(), |rest| rest.min(into.len()));
        let path = self.path(group);
        let into = &mut into[..want];
        self.file(group)?.read_exact_at(into, offset).map_err(|error| explain(&path, &error))?;
        Ok(want)
    }

    fn truncate(&mut self, group: SpillId, len: u64) -> Result<(), SpillError> {
        let Some(&now) = self.lens.get(&group) else {
            let lost = SpillError::Damaged { group, offset: 0 };
            return if len == 0 { Ok(()) } else { Err(lost) };
        };
        if now < len {
            return Err(SpillError::Damaged { group, offset: now });
        }
        let path = self.path(group);
        self.file(group)?.set_len(len).map_err(|error| explain(&path, &error))?;
        self.lens.insert(group, len);
        Ok(())
    }

    fn sync(&mut self, group: SpillId) -> Result<(), SpillError> {
        if !self.lens.contains_key(&group) {
            return Ok(());
        }
        let mut synced = disk::sync(self.file(group)?);
        if synced.is_ok() && self.folder_dirty {
            synced = disk::sync_folder(&self.folder);
            self.folder_dirty = false;
        }
        synced.map_err(|error| {
            let reason = format!("{} could not be made durable: {error}", self.folder.display());
            self.failed = Some(reason.clone());
            SpillError::Io(reason)
        })
    }

    fn remove(&mut self, group: SpillId) -> Result<(), SpillError> {
        if self.open.as_ref().is_some_and(|(id, _)| *id == group) {
            self.open = None;
        }
        if self.lens.remove(&group).is_none() {
            return Ok(());
        }
        let path = self.path(group);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(explain(&path, &error)),
            _ => Ok(()),
        }
    }

    fn groups(&mut self) -> Result<Vec<SpillId>, SpillError> {
        Ok(self.lens.keys().copied().collect())
    }

    fn bytes(&self) -> u64 {
        self.lens.values().sum()
    }
}

fn explain(path: &Path, error: &io::Error) -> SpillError {
    if disk::is_full(error) {
        return SpillError::Full;
    }
    SpillError::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_shards::spill::MemorySpill;
    use proptest::prelude::*;

    /// Goal: the store does what the model in memory does. Method: random operations on both; same
    /// answers (but for the text of errors), same groups, same bytes, also after the store was
    /// opened anew.
    #[test]
    fn same_as_the_model() {
        proptest!(ProptestConfig::with_cases(32), |(ops in proptest::collection::vec(
            (0u8..6, 1u64..4, 0u64..40), 1..60))| {
            let folder = tempfile::tempdir().unwrap();
            let mut store = FileSpill::open(folder.path()).unwrap();
            let mut model = MemorySpill::default();
            for (op, id, n) in ops {
                let id = SpillId(id);
                let bytes = vec![n as u8; n as usize + 1];
                let (mut a, mut b) = ([0; 16], [0; 16]);
                match op {
                    0 | 1 => prop_assert_eq!(store.append(id, &bytes), model.append(id, &bytes)),
                    2 => {
                        prop_assert_eq!(store.read(id, n, &mut a), model.read(id, n, &mut b));
                        prop_assert_eq!(a, b);
                    }
                    3 => {
                        let mut all = vec![0; 4096];
                        let len = model.read(id, 0, &mut all).unwrap_or(0) as u64;
                        let to = n.min(len);
                        prop_assert_eq!(store.truncate(id, to), model.truncate(id, to));
                    }
                    4 => prop_assert_eq!(store.remove(id), model.remove(id)),
                    _ => {
                        prop_assert_eq!(store.sync(id), model.sync(id));
                        store = FileSpill::open(folder.path()).unwrap();
                    }
                }
                prop_assert_eq!(store.groups(), model.groups());
                prop_assert_eq!(store.bytes(), model.bytes());
            }
        });
    }

    /// Goal: at its bound a group is `Full`, keeps what it has, and others go on. Method: a bound
    /// of ten bytes.
    #[test]
    fn a_group_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FileSpill::open(folder.path()).unwrap();
        store.group_bytes_max = 10;
        store.append(SpillId(1), b"12345678").unwrap();
        assert_eq!(store.append(SpillId(1), b"abc"), Err(SpillError::Full));
        store.append(SpillId(2), b"abc").unwrap();
        let mut bytes = [0; 16];
        assert_eq!(store.read(SpillId(1), 0, &mut bytes), Ok(8));
        assert_eq!(&bytes[..8], b"12345678");
    }

    /// Goal: after a failed fsync nothing is believed and no second fsync is tried. Method: a
    /// planted EIO at the first sync.
    #[test]
    fn l29_a_failed_fsync_ends_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FileSpill::open(folder.path()).unwrap();
        store.append(SpillId(1), b"abc").unwrap();
        disk::testing::fail_sync_after(Some(0));
        let first = store.sync(SpillId(1)).unwrap_err();
        assert_eq!(store.sync(SpillId(1)).unwrap_err(), first);
        assert_eq!(store.append(SpillId(1), b"abc").unwrap_err(), first);
    }

    /// Goal: a hostile folder does no harm. Method: names that are no numbers of ours, and a
    /// folder with such a name is an error at reading, not a panic.
    #[test]
    fn foreign_names_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["007", "-1", "x", "99999999999999999999999"] {
            std::fs::write(folder.path().join(name), b"keep").unwrap();
        }
        std::fs::create_dir(folder.path().join("5")).unwrap();
        let mut store = FileSpill::open(folder.path()).unwrap();
        assert_eq!(store.groups(), Ok(vec![SpillId(5)]));
        assert!(matches!(store.append(SpillId(5), b"x"), Err(SpillError::Io(_))));
    }
}
