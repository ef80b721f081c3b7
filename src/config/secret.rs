//! Passwords and files of keys. A password stands in the file, in a variable or in a file of its
//! own; it never reaches a message.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Secret;
use super::section::Value;
use crate::error::Result;

/// Bytes that a password's file may have: it is not a device that never ends.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// Reads `"text"`, `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(super) fn read(value: &Value<'_>) -> Result<Secret> {
    if value.is_text() {
        return Ok(Secret(value.text()?.to_owned()));
    }
    if !value.is_table() {
        let what = format!("`{}` must be a string, {{ env = … }} or {{ file = … }}", value.key);
        return Err(value.error("config-wrong-type", what));
    }
    let mut section = value.section("source.password")?;
    let (env, file) = (section.take("env"), section.take("file"));
    section.finish()?;
    match (env, file) {
        (Some(env), None) => from_variable(&env),
        (None, Some(file)) => from_file(&file),
        (None, None) | (Some(_), Some(_)) => {
            let what = format!("`{}` needs either `env` or `file`", value.key);
            Err(value.error("config-conflict", what).hint("for example { env = \"DB_PASSWORD\" }"))
        }
    }
}

fn from_variable(value: &Value<'_>) -> Result<Secret> {
    let name = value.line()?;
    // `env::var` panics on neither, but such a name can be set by nobody.
    let text = (!name.contains('=')).then(|| std::env::var(name).ok()).flatten();
    text.map(Secret).ok_or_else(|| {
        let what = format!("the environment has no variable {name} (or it is not UTF-8)");
        value
            .error("config-missing-variable", what)
            .hint(format!("export {name}=… in the shell or service that starts penstock"))
    })
}

fn from_file(value: &Value<'_>) -> Result<Secret> {
    let path = value.path()?;
    let mut text = String::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(unreadable(value, &path, &error)),
    }
}

/// A file that must be there and readable; its absolute path.
pub(super) fn readable(value: &Value<'_>) -> Result<PathBuf> {
    let path = value.path()?;
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Ok(path),
        Ok(_) => Err(value.error(
            "config-missing-file",
            format!("`{}`: {} is not a file", value.key, path.display()),
        )),
        Err(error) => Err(unreadable(value, &path, &error)),
    }
}

fn unreadable(value: &Value<'_>, path: &Path, error: &std::io::Error) -> crate::error::Error {
    let what = format!("`{}`: cannot read {}: {error}", value.key, path.display());
    value
        .error("config-missing-file", what)
        .hint("relative paths are relative to the configuration file; check the file's rights too")
}
