//! Lists of tables and columns: anchored, case-insensitive regular expressions, as Debezium's
//! include and exclude lists are (ENVELOPE, section 1).

use regex::{Regex, RegexBuilder};

use super::section::{Section, Value};
use crate::error::Result;

/// Bytes that one compiled pattern may take: a hostile pattern is an error, not a full memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Reads `key` as a list of patterns over names of `parts` parts (2 for tables, 3 for columns).
pub(super) fn patterns(
    section: &mut Section<'_>,
    key: &'static str,
    parts: usize,
    form: &str,
) -> Result<Vec<Regex>> {
    let Some(value) = section.take(key) else { return Ok(Vec::new()) };
    let elements = value.list("a list of regular expressions")?;
    elements.iter().map(|element| pattern(element, parts, form)).collect()
}

fn pattern(value: &Value<'_>, parts: usize, form: &str) -> Result<Regex> {
    compile(value, value.line()?.trim(), parts, form)
}

/// The pattern `text`, which is `value` or a part of it.
pub(super) fn compile(value: &Value<'_>, text: &str, parts: usize, form: &str) -> Result<Regex> {
    // A plain word list with too few dots matches no name at all: better said than found out late.
    let plain = text.chars().all(|c| c.is_alphanumeric() || "_.$-".contains(c));
    if plain && text.split('.').count() < parts {
        let error = value.error(
            "config-bad-pattern",
            format!("`{}`: {text:?} can never match: names have the form {form}", value.key),
        );
        return Err(error.hint(format!("write the whole name, or \".*\\\\.{text}\" for any")));
    }
    let build = |text: &str| {
        RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build()
    };
    // Alone first: "a)|(b" would only parse inside of the anchors' group, and undo it.
    build(text).and_then(|_| build(&format!("^(?:{text})$"))).map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The parser's report ends with its reason on a line of its own.
            error => error.to_string().lines().last().unwrap_or_default().to_owned(),
        };
        let reason = reason.trim_start_matches("error: ");
        value.error(
            "config-bad-pattern",
            format!("`{}`: {text:?} is no regular expression: {reason}", value.key),
        )
    })
}
