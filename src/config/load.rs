//! From arguments to pipelines: files and folders of files, and what must differ between
//! pipelines of one process.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::section::Document;
use super::{Pipeline, Runtime, SinkKind, pipeline};
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
    one_runtime(&mut pipelines)?;
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

/// Names and output folders of one process must differ; a state folder may be shared, for each
/// pipeline has a folder of its name in it.
fn differ(pipelines: &[Pipeline]) -> Result<()> {
    let mut names: BTreeMap<&str, &Pipeline> = BTreeMap::new();
    let mut outputs: BTreeMap<&Path, &Pipeline> = BTreeMap::new();
    for pipeline in pipelines {
        if let Some(other) = names.insert(&pipeline.name, pipeline) {
            let what = format!("two pipelines are called {:?}", pipeline.name);
            return Err(twice(what, pipeline, other).hint("the name keys topics and state"));
        }
        for sink in &pipeline.sinks {
            let SinkKind::File { path, .. } = &sink.kind else { continue };
            if let Some(other) = outputs.insert(path, pipeline) {
                let what = format!("{} is an output folder twice", path.display());
                return Err(twice(what, pipeline, other).hint("give each a folder of its own"));
            }
        }
    }
    for pipeline in pipelines {
        let own = pipeline.state.join(&pipeline.name);
        for folder in [&pipeline.state, &own] {
            if let Some(other) = outputs.get(folder.as_path()) {
                let what = format!("{} is both output folder and state folder", folder.display());
                return Err(twice(what, pipeline, other).hint("give each a folder of its own"));
            }
        }
    }
    Ok(())
}

/// A process has one event loop and one set of cores: what one pipeline's `[runtime]` says holds
/// for all; two that say different things are an error.
fn one_runtime(pipelines: &mut [Pipeline]) -> Result<()> {
    let nothing = Runtime { backend: None, cores: None };
    let mut said = pipelines.iter().filter(|pipeline| pipeline.runtime != nothing);
    let Some(first) = said.next() else { return Ok(()) };
    if let Some(other) = said.find(|pipeline| pipeline.runtime != first.runtime) {
        let what = "two pipelines of one process have different [runtime] sections";
        let at = format!("{} and {}", first.origin.display(), other.origin.display());
        return Err(Error::usage("config-conflict", what)
            .at(at)
            .hint("keep one of them: it holds for all pipelines of the process"));
    }
    let runtime = first.runtime.clone();
    pipelines.iter_mut().for_each(|pipeline| pipeline.runtime = runtime.clone());
    Ok(())
}

fn twice(what: String, one: &Pipeline, other: &Pipeline) -> Error {
    let at = match one.origin == other.origin {
        true => one.origin.display().to_string(),
        false => format!("{} and {}", other.origin.display(), one.origin.display()),
    };
    Error::usage("config-duplicate", what).at(at)
}
