//! Opening the output folder: whose is it, and back to where the checkpoint stands.
//!
//! Enters: the folder, and what the checkpoint says of it. Leaves: files that end where rows are
//! to go on. Keeps: only files that the manifest names are cut or removed; files without a
//! checkpoint that knows them are refused (HAZARDS L29); every step can be done again after a
//! crash in the midst of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lengths::Place;
use super::manifest::{self, Contents, Manifest, Owned};
use super::output::{Outcome, Output, Trouble, trouble};
use crate::disk;
use crate::error::Error;
use crate::lease::{Lease, LeaseError};

/// How far back a half-written last line is looked for at a time, bytes.
const TAIL_BYTES: u64 = 64 << 10;

/// What a checkpoint holds of this sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedState {
    /// Identity of the set of files.
    pub output: String,
    /// By topic; null: rows of several shards are mixed in it.
    pub files: BTreeMap<String, Option<Place>>,
}

/// How the folder is opened.
pub(super) struct Opening<'a> {
    pub folder: &'a Path,
    pub pipeline: &'a str,
    /// Beginning of the names of all its topics.
    pub topic_prefix: &'a str,
    pub exactly_once: bool,
    pub state: Option<SavedState>,
}

impl Opening<'_> {
    /// Opens it.
    pub(super) fn open(self) -> Outcome<Output> {
        let own = self.folder.join(format!(".penstock-{}", self.pipeline));
        disk::create_folder(&own, 0o755).map_err(|error| trouble("made", &own, error))?;
        let lease = self.lease(&own)?;
        let old = read_manifest(&own)?;
        self.refuse_strangers(old.as_ref())?;
        let mut contents = old.unwrap_or_else(|| Contents {
            pipeline: self.pipeline.into(),
            output: uuid::Uuid::new_v4().to_string(),
            files: Vec::new(),
            checkpointed: false,
        });
        let places = if self.exactly_once {
            self.cut_back(&contents.files)?
        } else {
            self.cut_half_lines(&contents.files)?
        };
        let synced = disk::sync_folder(self.folder);
        synced
            .map_err(|error| trouble("synced", self.folder, manifest::SyncFailed::wrap(error)))?;
        // Rotated files that are final, and files that are gone, need no name any more.
        let newest = |topic: &str| places.get(topic).map_or(0, |(place, _)| place.rotations);
        contents.files.retain(|file| match file.rotated {
            None => places.contains_key(&file.topic),
            Some(number) => number >= newest(&file.topic) && self.exists(file),
        });
        contents.files.sort();
        contents.files.dedup();
        contents.checkpointed &= self.state.is_some() || !contents.files.is_empty();
        let manifest = Manifest::write(&own, &contents)
            .map_err(|error| trouble("written", &own.join("manifest"), error))?;
        let mut output = Output::new(self.folder, own, contents.output, manifest, lease);
        output.checkpointed = contents.checkpointed;
        for (topic, (place, exists)) in places {
            output.found(&topic, place, exists);
        }
        Ok(output)
    }

    fn lease(&self, own: &Path) -> Outcome<Lease> {
        let path = own.join("lock");
        Lease::take(&path, self.pipeline).map_err(|e| match e {
            LeaseError::Io(error) => trouble("opened", &path, error),
            LeaseError::Held(holder) => {
                let holder = holder.map_or_else(|| "another process".into(), |h| h.to_string());
                let folder = self.folder.display();
                let what = format!("the output folder {folder} is in use by {holder}");
                Trouble::Fatal(Error::fatal("sink-locked", what).hint(
                    "stop that process first (it lets go when it ends), or give this pipeline \
                     another `name` or its sink another `path`",
                ))
            }
        })
    }

    /// Refuses a folder whose files no checkpoint of ours accounts for, and a checkpoint whose
    /// files are elsewhere.
    fn refuse_strangers(&self, manifest: Option<&Contents>) -> Outcome<()> {
        let folder = self.folder.display();
        match (manifest, &self.state) {
            (None, _) => self.refuse_unknown_files()?,
            (Some(manifest), Some(state)) if manifest.output != state.output => {
                let what = format!("the files in {folder} are not those that the checkpoint knows");
                return Err(Trouble::Fatal(Error::fatal("sink-other-output", what).hint(
                    "point the sink's `path` at the folder that belongs to this state, or move \
                     the files and the folder `.penstock-NAME` away",
                )));
            }
            (Some(manifest), None) if manifest.checkpointed => {
                let present = manifest.files.iter().find(|file| self.exists(file));
                if let Some(file) = present {
                    return Err(without_checkpoint(&self.folder.join(file.name())));
                }
            }
            _ => {}
        }
        let lost = manifest.is_none() && self.exactly_once;
        let lost = lost && self.state.as_ref().is_some_and(|state| !state.files.is_empty());
        if lost {
            let what = format!("the checkpoint knows files in {folder}, but they are gone");
            return Err(gone(what));
        }
        Ok(())
    }

    /// Without a manifest, a file that looks like a topic of ours is somebody's.
    fn refuse_unknown_files(&self) -> Outcome<()> {
        let reading = |error| trouble("read", self.folder, error);
        let (mut suspects, mut others) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(self.folder).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(".penstock-") {
                others.extend(manifest::read(&entry.path()).ok().flatten());
            } else if name.starts_with(self.topic_prefix) && name.ends_with(".jsonl") {
                suspects.push(name);
            }
        }
        let known: Vec<_> = others.iter().flat_map(|c| &c.files).map(Owned::name).collect();
        match suspects.iter().filter(|name| !known.contains(name)).min() {
            None => Ok(()),
            Some(name) => Err(without_checkpoint(&self.folder.join(name))),
        }
    }

    /// Exactly once: every file back to where the checkpoint stands; later ones go.
    fn cut_back(&self, files: &[Owned]) -> Outcome<BTreeMap<String, (Place, bool)>> {
        let mut wanted = BTreeMap::new();
        for (topic, place) in self.state.iter().flat_map(|state| &state.files) {
            let place = place.ok_or_else(|| {
                let what = format!("rows of several shards are mixed in the topic {topic}");
                Trouble::Fatal(Error::fatal("sink-topic-shared", what).hint(
                    "keep `delivery = \"at_least_once\"`, or begin anew with other topic names",
                ))
            })?;
            wanted.insert(topic.clone(), place);
        }
        let mut topics: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for file in files {
            topics.entry(&file.topic).or_default().extend(file.rotated);
        }
        for (&topic, rotated) in &topics {
            let place = wanted.get(topic).copied().unwrap_or_default();
            self.cut_topic(topic, place, rotated)?;
        }
        let mut places = BTreeMap::new();
        for (topic, place) in wanted {
            if place.len > 0 && !topics.contains_key(&*topic) {
                let path = self.folder.join(active(&topic).name());
                return Err(gone(format!(
                    "{} is gone, but the checkpoint knows it",
                    path.display()
                )));
            }
            places.insert(topic, (place, place.len > 0));
        }
        Ok(places)
    }

    /// Back over rotations, then back in the file. The file that was written at `place` is the
    /// one rotated next after it, or the active one if none was.
    fn cut_topic(&self, topic: &str, place: Place, rotated: &[u32]) -> Outcome<()> {
        let back = place.rotations + 1;
        let path = self.folder.join(active(topic).name());
        let number = |number| Owned { topic: topic.into(), rotated: Some(number) };
        for &later in rotated.iter().filter(|&&n| n > back) {
            remove(&self.folder.join(number(later).name()))?;
        }
        let last = self.folder.join(number(back).name());
        if rotated.contains(&back) && last.symlink_metadata().is_ok() {
            // Replaces the later active file in one step.
            std::fs::rename(&last, &path).map_err(|error| trouble("renamed", &last, error))?;
        }
        if place.len == 0 {
            return remove(&path);
        }
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(gone(format!("{} is gone", path.display())));
            }
            file => file.map_err(|error| trouble("opened", &path, error))?,
        };
        let cutting = |error| trouble("cut", &path, error);
        let len = file.metadata().map_err(cutting)?.len();
        let mut last = [b'\n'];
        if len >= place.len {
            file.read_exact_at(&mut last, place.len - 1).map_err(cutting)?;
        }
        if len < place.len || last != [b'\n'] {
            let (path, at) = (path.display(), place.len);
            return Err(gone(format!("{path} has {len} bytes and no line that ends at {at}")));
        }
        file.set_len(place.len).map_err(cutting)?;
        disk::sync(&file).map_err(|error| cutting(manifest::SyncFailed::wrap(error)))
    }

    /// At least once: only half-written last lines go.
    fn cut_half_lines(&self, files: &[Owned]) -> Outcome<BTreeMap<String, (Place, bool)>> {
        let mut places: BTreeMap<String, (Place, bool)> = BTreeMap::new();
        for file in files {
            let (place, _) = places.entry(file.topic.clone()).or_default();
            let saved = self.state.as_ref().and_then(|s| s.files.get(&file.topic).copied());
            let saved = saved.flatten().map_or(0, |place| place.rotations);
            place.rotations = place.rotations.max(file.rotated.unwrap_or(0)).max(saved);
        }
        for (topic, (place, exists)) in &mut places {
            let path = self.folder.join(active(topic).name());
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(|error| trouble("opened", &path, error))?,
            };
            place.len = cut_half_line(&file).map_err(|error| trouble("cut", &path, error))?;
            *exists = true;
        }
        Ok(places)
    }

    fn exists(&self, file: &Owned) -> bool {
        self.folder.join(file.name()).symlink_metadata().is_ok()
    }
}

fn read_manifest(own: &Path) -> Outcome<Option<Contents>> {
    manifest::read(own).map_err(|error| {
        let path = own.join("manifest");
        if error.kind() != io::ErrorKind::InvalidData {
            return trouble("read", &path, error);
        }
        let what = format!("{} cannot be used: {error}", path.display());
        Trouble::Fatal(Error::fatal("sink-manifest", what).hint(
            "restore that file from a copy, or run the newer penstock that wrote it; or move the \
             output folder away and begin anew",
        ))
    })
}

/// Cuts what stands behind the last line break; gives the length that is left.
fn cut_half_line(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let (mut end, mut tail) = (len, Vec::new());
    let whole = loop {
        let start = end.saturating_sub(TAIL_BYTES);
        tail.resize(usize::try_from(end - start).unwrap_or(usize::MAX), 0);
        file.read_exact_at(&mut tail, start)?;
        if let Some(at) = tail.iter().rposition(|&byte| byte == b'\n') {
            break start + at as u64 + 1;
        }
        if start == 0 {
            break 0;
        }
        end = start;
    };
    if whole < len {
        file.set_len(whole)?;
        disk::sync(file).map_err(manifest::SyncFailed::wrap)?;
    }
    Ok(whole)
}

fn active(topic: &str) -> Owned {
    Owned { topic: topic.into(), rotated: None }
}

fn remove(path: &PathBuf) -> Outcome<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(trouble("removed", path, error))
        }
        _ => Ok(()),
    }
}

fn gone(what: String) -> Trouble {
    Trouble::Fatal(Error::fatal("sink-file-changed", what).hint(
        "put the file back as penstock left it; or, to begin anew, move the output folder away and \
         remove the state with `penstock offsets delete`",
    ))
}

fn without_checkpoint(path: &Path) -> Trouble {
    let what = format!("{} is there, but no checkpoint of this pipeline knows it", path.display());
    Trouble::Fatal(Error::fatal("sink-files-without-checkpoint", what).hint(
        "put the state folder back that belongs to these files, or move the files and the folder \
         `.penstock-NAME` away to begin anew",
    ))
}
