//! Which files in the output folder are this pipeline's.
//!
//! Enters: names, before their files are made. Leaves: the same names, at the next start. Keeps: a
//! name is durable here before its file exists, so that no crash leaves a file of ours that we do
//! not know; only files named here are ever cut or removed (HAZARDS L29).
//!
//! The file: a JSON object a line. The first tells whose it is; a torn last line is cut.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk;

/// Format version.
const FORMAT: u32 = 1;

/// File name in the pipeline's folder below the output folder.
const FILE: &str = "manifest";

/// A line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Line {
    /// The first.
    Head { penstock: u32, pipeline: String, output: String },
    /// A file of a topic; `rotated`: its number, absent for the one that is written.
    File(Owned),
    /// A checkpoint knows these files from here on.
    Checkpointed { checkpointed: bool },
}

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owned {
    /// Its topic.
    pub topic: String,
    /// Its rotation number, from 1; absent: the file that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<u32>,
}

impl Owned {
    /// Its name in the output folder.
    pub fn name(&self) -> String {
        match self.rotated {
            None => format!("{}.jsonl", self.topic),
            Some(number) => format!("{}.{number:06}.jsonl", self.topic),
        }
    }
}

/// What a manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Pipeline that owns the files.
    pub pipeline: String,
    /// Identity of this set of files; the checkpoint names it too.
    pub output: String,
    /// The files, those that are gone too.
    pub files: Vec<Owned>,
    /// A checkpoint has known them.
    pub checkpointed: bool,
}

/// The open manifest.
pub struct Manifest {
    path: PathBuf,
    file: File,
    end: u64,
}

/// What `folder` says about its files; `None`: there is no manifest (or only a torn first line,
/// before any file was made).
///
/// # Errors
/// `InvalidData` if it is damaged or of a newer format.
pub fn read(folder: &Path) -> io::Result<Option<Contents>> {
    let bytes = match std::fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut contents: Option<Contents> = None;
    for line in bytes[..whole].split_inclusive(|&byte| byte == b'\n') {
        let line = serde_json::from_slice(line).map_err(|_| invalid("it is damaged"))?;
        match (line, &mut contents) {
            (Line::Head { penstock, .. }, None) if penstock > FORMAT => {
                return Err(invalid("a newer version wrote it"));
            }
            (Line::Head { pipeline, output, .. }, contents @ None) => {
                let files = Vec::new();
                *contents = Some(Contents { pipeline, output, files, checkpointed: false });
            }
            (Line::File(file), Some(contents)) => contents.files.push(file),
            (Line::Checkpointed { checkpointed }, Some(contents)) => {
                contents.checkpointed = checkpointed;
            }
            _ => return Err(invalid("it is damaged")),
        }
    }
    Ok(contents)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Manifest {
    /// Replaces the manifest of `folder` by one that says `contents`, durably.
    pub fn write(folder: &Path, contents: &Contents) -> io::Result<Self> {
        let Contents { pipeline, output, .. } = contents.clone();
        let mut lines = vec![Line::Head { penstock: FORMAT, pipeline, output }];
        lines.extend(contents.files.iter().cloned().map(Line::File));
        if contents.checkpointed {
            lines.push(Line::Checkpointed { checkpointed: true });
        }
        let (path, new) = (folder.join(FILE), folder.join("manifest.new"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        let mut manifest = Self { path, file, end: 0 };
        manifest.append(&lines)?;
        std::fs::rename(&new, &manifest.path)?;
        disk::sync_folder(folder)?;
        Ok(manifest)
    }

    /// Owns more files, durably: only then may they be made.
    pub fn add(&mut self, files: impl IntoIterator<Item = Owned>) -> io::Result<()> {
        let lines: Vec<_> = files.into_iter().map(Line::File).collect();
        if lines.is_empty() { Ok(()) } else { self.append(&lines) }
    }

    /// A checkpoint knows the files.
    pub fn mark_checkpointed(&mut self) -> io::Result<()> {
        self.append(&[Line::Checkpointed { checkpointed: true }])
    }

    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.end) {
            // No half line before a later one; if this fails too, reading cuts it.
            drop(self.file.set_len(self.end));
            return Err(error);
        }
        disk::sync(&self.file).map_err(SyncFailed::wrap)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Marks an error as that of an fsync, which is final whatever its number says.
#[derive(Debug)]
pub struct SyncFailed(io::Error);

impl SyncFailed {
    /// Wraps what an fsync said.
    pub fn wrap(error: io::Error) -> io::Error {
        io::Error::other(Self(error))
    }

    /// Whether `error` is one.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl std::fmt::Display for SyncFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fsync failed: {}", self.0)
    }
}

impl std::error::Error for SyncFailed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(topic: &str, rotated: Option<u32>) -> Owned {
        Owned { topic: topic.into(), rotated }
    }

    /// Goal: what was added is known at the next start, whatever byte a crash cut the last append
    /// at; names are as documented. Method: cut at every length.
    #[test]
    fn a_torn_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents {
            pipeline: "shop".into(),
            output: "o".into(),
            files: vec![owned("shop.a", None)],
            checkpointed: false,
        };
        let mut manifest = Manifest::write(folder.path(), &contents).unwrap();
        let added = owned("shop.\"b", Some(12));
        assert_eq!(added.name(), "shop.\"b.000012.jsonl");
        assert_eq!(owned("a", None).name(), "a.jsonl");
        let first = std::fs::metadata(manifest.path()).unwrap().len() as usize;
        manifest.add([added.clone()]).unwrap();
        let second = std::fs::metadata(manifest.path()).unwrap().len() as usize;
        manifest.mark_checkpointed().unwrap();
        let bytes = std::fs::read(manifest.path()).unwrap();
        for cut in first..=bytes.len() {
            std::fs::write(manifest.path(), &bytes[..cut]).unwrap();
            let mut expected = contents.clone();
            expected.files.extend((cut >= second).then(|| added.clone()));
            expected.checkpointed = cut == bytes.len();
            assert_eq!(read(folder.path()).unwrap(), Some(expected), "cut at {cut}");
        }
    }

    /// Goal: damage and newer formats are told, nothing panics. Method: each kind of bad file.
    #[test]
    fn bad_manifests_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let path = folder.path().join(FILE);
        std::fs::write(&path, "{\"penstock\":1,").unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        for bad in
            ["x\n", "{\"topic\":\"a\"}\n", "{\"penstock\":2,\"pipeline\":\"a\",\"output\":\"\"}\n"]
        {
            std::fs::write(&path, bad).unwrap();
            let error = read(folder.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad}");
        }
    }
}
