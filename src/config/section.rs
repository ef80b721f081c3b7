//! Reading one section of a TOML file: typed values, each error with file and line.
//!
//! Enters: the parsed document with its spans. Leaves: values, or the error that names the key, the
//! line and what to write instead. Keeps: no key is passed over in silence (`Section::finish`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::{self, Fate};
use crate::error::{Error, Result};

/// A file's path and text.
#[derive(Clone, Copy)]
pub(super) struct Document<'t> {
    /// As the user named it.
    pub(super) path: &'t Path,
    /// All of it.
    pub(super) text: &'t str,
}

impl Document<'_> {
    /// `file:line` of a byte offset.
    pub(super) fn at(&self, offset: usize) -> String {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    /// An absolute path; a relative one is relative to the file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let joined = folder.join(path);
        // Fails only when the process has no working directory: the path stays as it is then.
        std::path::absolute(&joined).unwrap_or(joined)
    }
}

/// A table of the file, read key by key.
pub(super) struct Section<'t> {
    doc: Document<'t>,
    /// `source`, `source.tls`; empty at the top.
    name: &'static str,
    /// Keys not taken yet, with the offset of each.
    keys: BTreeMap<&'t str, (usize, &'t Spanned<DeValue<'t>>)>,
    /// Offset of the section, for what is missing in it.
    at: usize,
}

impl<'t> Section<'t> {
    /// Wraps a table. `name` is a section of `names`.
    pub(super) fn new(
        doc: Document<'t>,
        name: &'static str,
        table: &'t DeTable<'t>,
        at: usize,
    ) -> Self {
        let entry = |(key, value): (&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| {
            let text: &'t std::borrow::Cow<'t, str> = key.get_ref();
            (&**text, (key.span().start, value))
        };
        Self { doc, name, keys: table.iter().map(entry).collect(), at }
    }

    /// An empty section, for one that the file does not have.
    pub(super) fn absent(doc: Document<'t>, name: &'static str) -> Self {
        Self { doc, name, keys: BTreeMap::new(), at: 0 }
    }

    /// The document, for paths.
    pub(super) fn doc(&self) -> Document<'t> {
        self.doc
    }

    /// The value of `key`, if the file has it.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'t>> {
        debug_assert!(names::known(self.name).contains(&key), "{key} is not in names");
        let (at, value) = self.keys.remove(key)?;
        Some(Value { doc: self.doc, key: self.full(key), at, value: value.get_ref() })
    }

    /// The keys that begin with `start` and their values, in the order of the file.
    pub(super) fn take_all(&mut self, start: &str) -> Vec<(&'t str, Value<'t>)> {
        let mut keys: Vec<(usize, &'t str)> = self
            .keys
            .iter()
            .filter(|(key, _)| key.starts_with(start))
            .map(|(key, (at, _))| (*at, *key))
            .collect();
        keys.sort_unstable();
        let mut taken = Vec::with_capacity(keys.len());
        for (_, key) in keys {
            if let Some((at, value)) = self.keys.remove(key) {
                let (doc, full) = (self.doc, self.full(key));
                taken.push((key, Value { doc, key: full, at, value: value.get_ref() }));
            }
        }
        taken
    }

    /// The value of `key`, which must be there.
    pub(super) fn need(&mut self, key: &'static str, example: &str) -> Result<Value<'t>> {
        self.take(key).ok_or_else(|| {
            let what = format!("`{}` is missing", self.full(key));
            self.error("config-missing-key", what).hint(format!("add, for example: {example}"))
        })
    }

    /// Refuses keys that mean nothing here; `because` says where they would.
    pub(super) fn refuse(&mut self, keys: &[&'static str], because: &str) -> Result<()> {
        for key in keys {
            if let Some(value) = self.take(key) {
                let what = format!("`{}` means nothing here: {because}", value.key);
                return Err(value.error("config-wrong-kind", what).hint("remove it"));
            }
        }
        Ok(())
    }

    /// An error at the section's own line.
    pub(super) fn error(&self, code: &'static str, what: String) -> Error {
        Error::usage(code, what).at(self.doc.at(self.at))
    }

    /// Every key must have been taken: the first one left over, in the order of the file, is
    /// unknown, known under another name, or not in this build yet.
    pub(super) fn finish(self) -> Result<()> {
        let first = self.keys.iter().min_by_key(|(_, (at, _))| *at);
        let Some((key, (at, _))) = first else { return Ok(()) };
        let key = *key;
        let place =
            if self.name.is_empty() { "at the top".into() } else { format!("in [{}]", self.name) };
        let unknown = |hint: String| {
            Error::usage("config-unknown-key", format!("unknown key `{key}` {place}")).hint(hint)
        };
        let error = match names::fate(self.name, key) {
            Fate::Later => {
                let what = format!("`{key}` {place} is known, but this build cannot do it yet");
                Error::usage("config-not-yet", what).hint("remove it for now")
            }
            Fate::Renamed(new) => unknown(format!("write {new} instead")),
            Fate::Near(near) => unknown(format!("did you mean `{near}`?")),
            Fate::Elsewhere(section) => unknown(format!("`{key}` belongs in [{section}]")),
            Fate::Unknown => unknown(format!("known here: {}", names::known(self.name).join(", "))),
        };
        Err(error.at(self.doc.at(*at)))
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// A value and where it stands.
pub(super) struct Value<'t> {
    doc: Document<'t>,
    /// With its section, for messages.
    pub(super) key: String,
    at: usize,
    value: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    /// An error at this value's line.
    pub(super) fn error(&self, code: &'static str, what: impl Into<String>) -> Error {
        Error::usage(code, what).at(self.doc.at(self.at))
    }

    /// The value is not one of those that the key takes.
    pub(super) fn bad(&self, why: impl std::fmt::Display) -> Error {
        self.error("config-bad-value", format!("`{}` {why}", self.key))
    }

    fn wrong_type(&self, wanted: &str) -> Error {
        let what = format!("`{}` must be {wanted}, not {}", self.key, type_word(self.value));
        self.error("config-wrong-type", what)
    }

    /// A string.
    pub(super) fn text(&self) -> Result<&'t str> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    /// A string that is not empty and fits on a line.
    pub(super) fn line(&self) -> Result<&'t str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return Err(self.bad("must not be empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(self.bad("must not hold control characters"));
        }
        Ok(text)
    }

    /// A path, made absolute.
    pub(super) fn path(&self) -> Result<PathBuf> {
        Ok(self.doc.resolve(self.line()?))
    }

    /// True or false.
    pub(super) fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// An integer in a range.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64> {
        let digits = self.value.as_integer().ok_or_else(|| self.wrong_type("an integer"))?;
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            match *to {
                u64::MAX => self.bad(format!("must be {from} or more, not {digits}")),
                _ => self.bad(format!("must be from {from} to {to}, not {digits}")),
            }
        })
    }

    /// An integer that fits the type.
    pub(super) fn small<T>(&self, range: RangeInclusive<u64>) -> Result<T>
    where
        T: TryFrom<u64>,
    {
        let number = self.integer(range)?;
        T::try_from(number).map_err(|_| self.bad(format!("is out of range: {number}")))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.text()?;
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*choice);
        }
        let near = names::nearest(text, words.iter().map(|(word, _)| *word));
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let error = self.bad(format!("cannot be {text:?}"));
        Err(match near {
            Some(near) => error.hint(format!("did you mean {near:?}?")),
            None => error.hint(format!("one of: {}", list.join(", "))),
        })
    }

    /// A word that exists, but that this build cannot do yet.
    pub(super) fn not_yet(&self, word: &str) -> Error {
        let what = format!("`{} = {word:?}` is known, but this build cannot do it yet", self.key);
        self.error("config-not-yet", what)
    }

    /// A value that asks for what this build cannot do yet: `parallel readers are`.
    pub(super) fn later(&self, what: &str) -> Error {
        let what = format!("`{}`: {what} known, but this build cannot do it yet", self.key);
        self.error("config-not-yet", what)
    }

    /// A list, each element with its own line.
    pub(super) fn list(&self, wanted: &str) -> Result<Vec<Value<'t>>> {
        let array = self.value.as_array().ok_or_else(|| self.wrong_type(wanted))?;
        let element = |element: &'t Spanned<DeValue<'t>>| Value {
            doc: self.doc,
            key: self.key.clone(),
            at: element.span().start,
            value: element.get_ref(),
        };
        Ok(array.iter().map(element).collect())
    }

    /// Whether it is a string.
    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// A table; `name` is a section of `names`.
    pub(super) fn section(&self, name: &'static str) -> Result<Section<'t>> {
        let table = self.value.as_table().ok_or_else(|| {
            self.wrong_type("a section").hint(format!("write [{name}] on a line of its own"))
        })?;
        Ok(Section::new(self.doc, name, table, self.at))
    }
}

fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
