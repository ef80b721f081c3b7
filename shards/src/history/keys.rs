//! Keys of a table: their names, their order, and what they imply.
//!
//! Enters: keys as written, the table's columns. Leaves: [`KeyDefinition`]s. Keeps: names and order
//! are those that the server gives them (`make_unique_key_name`, `sort_keys`), so that a later DROP
//! INDEX finds its key and the first unique one is the server's first; an index that the server made
//! for a foreign key goes when another serves.

use penstock_protocol::mysql::ddl::change::{KeyDdl, KeyKind, KeyPart, TypeName};

use super::Reason;
use super::build::{reason, row_hash};
use super::collation::widest;
use super::definition::{ColumnDefinition, KeyDefinition, TableDefinition, same_name};

/// Adds keys as a statement gives them, then puts all in order.
pub(super) fn add_keys<'a>(
    table: &mut TableDefinition,
    mariadb: bool,
    keys: impl IntoIterator<Item = &'a KeyDdl>,
) -> Result<(), Reason> {
    for key in keys {
        // MariaDB asks for the name before it makes one: the first column's then.
        let first = || key.parts.first().and_then(|part| part.column.clone());
        let taken = |name: String| table.keys.iter().any(|k| same_name(&k.name, &name));
        if key.if_not_exists && key.name.clone().or_else(first).is_some_and(taken) {
            continue;
        }
        if let (true, Some(name)) = (key.or_replace, &key.name) {
            table.keys.retain(|k| !same_name(&k.name, name));
        }
        let given = match key.kind {
            KeyKind::Foreign => key.constraint.clone().or(key.name.clone()),
            _ => key.name.clone(),
        };
        let parts = key.parts.iter().map(|part| own_part(table, part));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let spatial = |part: &KeyPart| {
            part.prefix.is_none() && column(table, part).is_some_and(|c| c.ty.name.is_spatial())
        };
        if mariadb && key.kind == KeyKind::Unique && parts.iter().any(spatial) {
            // It is hashed, and after the next ALTER TABLE it is not (seen on 10.11 and 11.8).
            return Err(reason("no unique key of a whole spatial value"));
        }
        let name = given.unwrap_or_default();
        table.keys.push(KeyDefinition { name, kind: key.kind, parts });
    }
    settle(table, mariadb);
    Ok(())
}

/// The column of a key's part.
fn column<'a>(table: &'a TableDefinition, part: &KeyPart) -> Option<&'a ColumnDefinition> {
    table.columns.get(table.position(part.column.as_deref()?)?)
}

/// Names keys that have none: by the first column, with a number if a key before has that name.
fn name_keys(keys: &mut [KeyDefinition]) {
    for at in 0..keys.len() {
        let Some((key, before)) = keys.get_mut(..=at).and_then(|keys| keys.split_last_mut()) else {
            continue;
        };
        if !key.name.is_empty() {
            continue;
        }
        let functional = key.parts.iter().any(|part| part.column.is_none());
        let first = key.parts.first().and_then(|part| part.column.clone());
        let base = first.filter(|_| !functional).unwrap_or("functional_index".into());
        let free = |name: &String| {
            !name.eq_ignore_ascii_case("PRIMARY")
                && !before.iter().any(|k| same_name(&k.name, name))
        };
        let numbered = (2..).map(|n| format!("{base}_{n}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        key.name = names.find(free).unwrap_or_default();
    }
}

/// A part under the column's own name.
fn own_part(table: &TableDefinition, part: &KeyPart) -> Result<KeyPart, Reason> {
    let Some(name) = &part.column else { return Ok(part.clone()) };
    let column = table.position(name).and_then(|at| table.columns.get(at));
    let column = column.ok_or(reason("a key's column in the table"))?;
    Ok(KeyPart { column: Some(column.name.clone()), prefix: part.prefix })
}

/// After any change of columns or keys: prefixes that are none, NOT NULL of primary keys, indexes
/// of foreign keys that are not needed, names, MariaDB's hash columns, the order.
fn settle(table: &mut TableDefinition, mariadb: bool) {
    let mut keys = std::mem::take(&mut table.keys);
    table.columns.retain(|column| !column.is_row_hash());
    for key in &mut keys {
        for part in &mut key.parts {
            let at = part.column.as_deref().and_then(|name| table.position(name));
            let Some(column) = at.and_then(|at| table.columns.get_mut(at)) else { continue };
            part.prefix = part.prefix.filter(|&prefix| is_partial(column, prefix));
            if key.kind == KeyKind::Primary {
                column.nullable = false;
            }
        }
    }
    let needed = |at: usize| {
        let Some(key) = keys.get(at).filter(|key| key.kind == KeyKind::Foreign) else {
            return true;
        };
        !keys.iter().enumerate().any(|(other, k)| other != at && serves(k, other, key, at))
    };
    let kept = (0..keys.len()).filter(|&at| needed(at)).collect::<Vec<_>>();
    let mut at = 0;
    keys.retain(|_| {
        at += 1;
        kept.binary_search(&(at - 1)).is_ok()
    });
    name_keys(&mut keys);
    let hashed = keys.iter().filter(|key| mariadb && is_hashed(table, key));
    let hashed = hashed.map(|key| is_nullable(table, key)).collect::<Vec<_>>();
    let hashes = hashed.iter().enumerate().map(|(at, &nullable)| row_hash(at + 1, nullable));
    let rank = |key: &KeyDefinition| rank(table, key, mariadb && is_hashed(table, key));
    keys.sort_by_key(rank);
    table.columns.extend(hashes);
    table.keys = keys;
}

/// MariaDB: whether a unique key is kept by a hash of its columns, because one is a whole TEXT or
/// BLOB, or they are longer than the engine's index may be.
fn is_hashed(table: &TableDefinition, key: &KeyDefinition) -> bool {
    let (whole_max, part_max) = match table.engine.as_deref() {
        Some(engine) if engine.eq_ignore_ascii_case("MyISAM") => (1000, 1000),
        Some(engine) if engine.eq_ignore_ascii_case("Aria") => (2300, 2300),
        _ => (3500, 3072),
    };
    let mut whole = 0;
    let long = key.parts.iter().any(|part| {
        let Some(column) = column(table, part) else { return false };
        match octets(column, part.prefix) {
            Some(octets) => {
                whole += octets;
                octets > part_max
            }
            None => true,
        }
    });
    key.kind == KeyKind::Unique && (long || whole > whole_max)
}

/// Bytes of a key's part; `None`: a whole TEXT or BLOB.
fn octets(column: &ColumnDefinition, prefix: Option<u32>) -> Option<u32> {
    use TypeName as T;
    let wide = column.ty.charset.as_deref().map_or(1, widest);
    let characters = match column.ty.name {
        T::Char | T::VarChar | T::Binary | T::VarBinary => {
            prefix.or(column.ty.length).unwrap_or_default()
        }
        T::TinyText | T::Text | T::MediumText | T::LongText => prefix?,
        T::TinyBlob | T::Blob | T::MediumBlob | T::LongBlob => prefix?,
        name if name.is_spatial() => prefix?,
        // Numbers, times: none is longer.
        _ => return Some(8),
    };
    Some(characters.saturating_mul(wide))
}

fn is_nullable(table: &TableDefinition, key: &KeyDefinition) -> bool {
    key.parts.iter().any(|part| column(table, part).is_none_or(|column| column.nullable))
}

/// Whether a key makes the index of a foreign key needless.
fn serves(key: &KeyDefinition, at: usize, foreign: &KeyDefinition, foreign_at: usize) -> bool {
    let kind =
        matches!(key.kind, KeyKind::Primary | KeyKind::Unique | KeyKind::Plain | KeyKind::Foreign);
    // Of two that the server made, the longer stays; of equal ones, the first.
    let equal = key.kind == KeyKind::Foreign && key.parts.len() == foreign.parts.len();
    kind && key.parts.starts_with(&foreign.parts) && (!equal || at < foreign_at)
}

/// Whether a key holds only a part of a column.
fn is_partial(column: &ColumnDefinition, prefix: u32) -> bool {
    use TypeName as T;
    match column.ty.name {
        T::Char | T::VarChar | T::Binary | T::VarBinary => {
            column.ty.length.is_some_and(|length| prefix < length)
        }
        T::TinyText | T::TinyBlob => prefix <= 255,
        T::Text | T::MediumText | T::LongText | T::Blob | T::MediumBlob | T::LongBlob => true,
        _ => column.ty.name.is_spatial(),
    }
}

/// `sort_keys`: unique before others; of those NOT NULL first, the primary key first, whole columns
/// first, hashes last; FULLTEXT last of all; else as they came.
fn rank(table: &TableDefinition, key: &KeyDefinition, hashed: bool) -> [bool; 6] {
    let unique = matches!(key.kind, KeyKind::Primary | KeyKind::Unique);
    let nullable = unique && !hashed && is_nullable(table, key);
    let primary = key.kind == KeyKind::Primary;
    let partial = unique && !hashed && key.parts.iter().any(|part| part.prefix.is_some());
    let fulltext = key.kind == KeyKind::Fulltext;
    [!unique, hashed, nullable, unique && !primary, partial, fulltext]
}
