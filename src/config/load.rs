//! From arguments to pipelines: files and folders of files, and what must differ between
//! pipelines of one process.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::section::Document;
use super::{Pipeline, SinkKind, pipeline};
use crate::error::{Error, Result};

/// Bytes that a configuration file may have.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads every `CONFIG` of the command line: a file is one pipeline, a folder all its `*.toml`.
///
/// Errors are of class `Usage` and name file and line.
pub fn load<P: AsRef<Path>>(configs: &[P]) -> Result<Vec<Pipeline>> {
    let mut pipelines = Vec::new();
    for config in configs {
        for file in files(config.as_ref())? {
            pipelines.push(load_file(&file)?);
        }
    }
    differ(&pipelines)?;
    Ok(pipelines)
}

/// Reads one file.
pub fn load_file(path: &Path) -> Result<Pipeline> {
    if path.extension().is_some_and(|extension| extension == "json") {
        let what = "a Debezium connector's JSON is known, but this build cannot read it yet";
        return Err(Error::usage("config-not-yet", what)
            .at(path.display().to_string())
            .hint("write the pipeline as TOML; most options keep their names"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    let at = || path.display().to_string();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let what = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(Error::usage("config-syntax", what).at(at()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let what = format!("the file is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        Error::usage("config-syntax", what).at(at())
    })?;
    pipeline::read(Document { path, text: &text })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::usage("config-unreadable", format!("cannot read {}: {error}", path.display()))
        .hint("give a TOML file, or a folder that holds some")
}

fn files(config: &Path) -> Result<Vec<PathBuf>> {
    if !config.is_dir() {
        return Ok(vec![config.to_owned()]);
    }
    let entries = std::fs::read_dir(config).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| unreadable(config, &error))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml") && path.is_file());
    // The order of a folder's entries is nobody's promise.
    files.sort();
    if files.is_empty() {
        let what = format!("the folder {} holds no *.toml", config.display());
        return Err(Error::usage("config-unreadable", what)
            .hint("give a TOML file, or a folder that holds some"));
    }
    Ok(files)
}

/// Names, state folders and output folders of one process must differ; a folder that is inside of
/// no other is not asked for.
fn differ(pipelines: &[Pipeline]) -> Result<()> {
    let mut names: BTreeMap<&str, &Pipeline> = BTreeMap::new();
    let mut folders: BTreeMap<&Path, (&str, &Pipeline)> = BTreeMap::new();
    for pipeline in pipelines {
        if let Some(other) = names.insert(&pipeline.name, pipeline) {
            let what = format!("two pipelines are called {:?}", pipeline.name);
            return Err(twice(what, pipeline, other).hint("the name keys topics and state"));
        }
        let outputs = pipeline.sinks.iter().filter_map(|sink| match &sink.kind {
            SinkKind::File { path, .. } => Some((path.as_path(), "output folder")),
            SinkKind::Stdout | SinkKind::Null => None,
        });
        for (path, word) in outputs.chain([(pipeline.state.as_path(), "state folder")]) {
            if let Some((other_word, other)) = folders.insert(path, (word, pipeline)) {
                let what = format!("{} is an {word} twice", path.display());
                let what = match (word, other_word) {
                    (word, other) if word != other => {
                        format!("{} is both {other} and {word}", path.display())
                    }
                    ("state folder", _) => what.replace("an state", "a state"),
                    _ => what,
                };
                return Err(twice(what, pipeline, other).hint("give each a folder of its own"));
            }
        }
    }
    Ok(())
}

fn twice(what: String, one: &Pipeline, other: &Pipeline) -> Error {
    let at = match one.origin == other.origin {
        true => one.origin.display().to_string(),
        false => format!("{} and {}", other.origin.display(), one.origin.display()),
    };
    Error::usage("config-duplicate", what).at(at)
}
