//! Options that name columns: the key's, and those that are cut, masked or hashed.
//!
//! Enters: the section. Leaves: `ColumnRules`. Keeps: Debezium's names with dots as underscores. A
//! name that a bare TOML key cannot hold is quoted: `"column_mask_hash_SHA-512/256_with_salt_a b"`.

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::rules::{CellRule, ColumnPattern, ColumnRules, HashAlgorithm};

use super::filter;
use super::section::{Section, Value};
use crate::error::Result;

const TRUNCATE: &str = "column_truncate_to_";
const MASK: &str = "column_mask_with_";
const HASH: &str = "column_mask_hash_";
/// Longest mask, and the greatest length that a text can be cut to.
const CHARS_MAX: u32 = 1 << 20;

/// Reads all of them.
pub(super) fn read(
    section: &mut Section<'_>,
    kind: SourceKind,
    rules: &mut ColumnRules,
) -> Result<()> {
    let form = match kind {
        SourceKind::Postgres => "schema.table.column",
        SourceKind::MySql | SourceKind::MariaDb => "database.table.column",
    };
    if let Some(value) = section.take("message_key_columns") {
        rules.keys = keys(&value, form)?;
    }
    for start in [TRUNCATE, MASK] {
        for (key, value) in section.take_all(start) {
            let chars = key.strip_prefix(start).and_then(|rest| rest.strip_suffix("_chars"));
            let chars = chars.and_then(|chars| chars.parse().ok()).filter(|n| *n <= CHARS_MAX);
            let Some(chars) = chars else {
                let error = value.error(
                    "config-bad-value",
                    format!(
                        "`{}` must have a number from 0 to {CHARS_MAX} before _chars",
                        value.key
                    ),
                );
                return Err(error.hint(format!("write {start}8_chars, say")));
            };
            let rule =
                if start == MASK { CellRule::Mask(chars) } else { CellRule::Truncate(chars) };
            add(&value, form, rule, rules)?;
        }
    }
    let mut hashes = section.take_all(HASH);
    // Debezium looks at those of the first version first.
    hashes.sort_by_key(|(key, _)| key.starts_with("column_mask_hash_v2_"));
    for (key, value) in hashes {
        let rule = hash(key, &value)?;
        add(&value, form, rule, rules)?;
    }
    Ok(())
}

/// `column_mask_hash_ALG_with_salt_SALT`, `column_mask_hash_v2_ALG_with_salt_SALT`.
fn hash(key: &str, value: &Value<'_>) -> Result<CellRule> {
    let rest = key.strip_prefix(HASH).unwrap_or_default();
    let (rest, v2) = rest.strip_prefix("v2_").map_or((rest, false), |rest| (rest, true));
    let named = rest.split_once("_with_salt_").filter(|(_, salt)| !salt.is_empty());
    let rule = named.and_then(|(algorithm, salt)| {
        let algorithm = HashAlgorithm::named(algorithm)?;
        Some(CellRule::Hash { algorithm, salt: salt.to_owned(), v2 })
    });
    rule.ok_or_else(|| {
        let what = format!("`{}` must name a hash algorithm and a salt", value.key);
        value.error("config-bad-value", what).hint(
            "write column_mask_hash_SHA-256_with_salt_SALT; known are MD5, SHA-1, SHA-224, SHA-256, \
             SHA-384, SHA-512, SHA-512/224 and SHA-512/256",
        )
    })
}

/// A list of patterns, or Debezium's text with commas between them (`\,`: a comma in one).
fn add(value: &Value<'_>, form: &str, rule: CellRule, rules: &mut ColumnRules) -> Result<()> {
    let mut push = |regex| rules.cells.push((ColumnPattern(regex), rule.clone()));
    if value.is_text() {
        for text in split(value.text()?) {
            push(filter::compile(value, &text, 3, form)?);
        }
        return Ok(());
    }
    for element in value.list("a list of regular expressions")? {
        push(filter::compile(&element, element.line()?.trim(), 3, form)?);
    }
    Ok(())
}

fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut chars) = (Vec::new(), String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&',').is_some() => part.push(','),
            ',' => parts.push(std::mem::take(&mut part).trim().to_owned()),
            c => part.push(c),
        }
    }
    parts.push(part.trim().to_owned());
    parts
}

/// `table:c1,c2;table:c`, or a list of such.
fn keys(value: &Value<'_>, form: &str) -> Result<Vec<ColumnPattern>> {
    let texts: Vec<&str> = if value.is_text() {
        value.text()?.split(';').collect()
    } else {
        let list = value.list("a text such as \"shop.users:id,name\", or a list")?;
        list.iter().map(Value::line).collect::<Result<_>>()?
    };
    let mut patterns = Vec::new();
    for text in texts {
        let Some((table, columns)) = text.trim().split_once(':').filter(|(t, c)| {
            !t.is_empty()
                && !c.contains(':')
                && c.split(',').all(|column| !column.trim().is_empty())
        }) else {
            let error =
                value.bad(format!("must be a table, a colon and its columns, not {text:?}"));
            return Err(
                error.hint("write \"shop.users:id,name\"; a semicolon before the next table")
            );
        };
        for column in columns.split(',') {
            let full = format!("{}.{}", table.trim(), column.trim());
            patterns.push(ColumnPattern(filter::compile(value, &full, 3, form)?));
        }
    }
    Ok(patterns)
}
