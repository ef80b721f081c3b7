//! What a table looks like: the form in which the schema history keeps it.
//!
//! Enters: made by [`Catalogue`](super::Catalogue) from CREATE and ALTER. Leaves: to disk and to
//! the schema change topic (serde), and to the row path (see `columns`). Keeps: nothing is
//! inherited any more: every character column has its own character set and collation, key columns
//! are NOT NULL, TIMESTAMP's implicit defaults are explicit.

use penstock_protocol::mysql::ddl::change::{
    DataType, DefaultDdl, Generated, KeyKind, KeyPart, RowBound,
};
use serde::{Deserialize, Serialize};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Columns in the table's order, invisible ones too: the order of the log.
    pub columns: Vec<ColumnDefinition>,
    /// Keys in the server's order: primary, unique and NOT NULL, other unique ones, the rest.
    pub keys: Vec<KeyDefinition>,
    /// Default character set.
    pub charset: String,
    /// Default collation.
    pub collation: String,
    /// COMMENT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// ENGINE, as written; `None`: the server's default at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// MariaDB: WITH SYSTEM VERSIONING.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub versioned: bool,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type; character set and collation are resolved.
    #[serde(rename = "type")]
    pub ty: DataType,
    /// May be NULL.
    pub nullable: bool,
    /// Its default; `None`: it has none (and NULL is not one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultDdl>,
    /// ON UPDATE CURRENT_TIMESTAMP, with its digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_update: Option<u8>,
    /// Generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// AUTO_INCREMENT.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_increment: bool,
    /// INVISIBLE.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invisible: bool,
    /// COMMENT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// MariaDB: start or end of the row's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowBound>,
    /// Made by the server and not by a statement: MariaDB's `row_start` and `row_end` without a
    /// PERIOD, and `DB_ROW_HASH_n` ([`ColumnDefinition::is_row_hash`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implicit: bool,
    /// MariaDB: LONGTEXT with CHECK (json_valid(column)), which is JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
}

impl ColumnDefinition {
    /// MariaDB's hash of a unique key that is too long for an index: the log has it, at the end of
    /// each row, no SELECT can read it, and no record shows it.
    #[must_use]
    pub fn is_row_hash(&self) -> bool {
        self.implicit && self.name.starts_with("DB_ROW_HASH_")
    }
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDefinition {
    /// Its name; `PRIMARY` of a primary key.
    pub name: String,
    /// What kind.
    pub kind: KeyKind,
    /// Its parts.
    pub parts: Vec<KeyPart>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDefinition {
    /// Default character set.
    pub charset: String,
    /// Default collation.
    pub collation: String,
}

/// Whether two names of columns, keys or databases are one: case does not matter there.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a == b || a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// Name of the column that MySQL makes for a table without a primary key.
pub(super) const GENERATED_KEY: &str = "my_row_id";

impl TableDefinition {
    /// MySQL: whether the primary key is one that the server made
    /// (`sql_generate_invisible_primary_key`); its column stays first.
    pub(super) fn has_generated_key(&self) -> bool {
        let only = |key: &KeyDefinition| match key.parts.as_slice() {
            [part] => part.column.as_deref() == Some(GENERATED_KEY),
            _ => false,
        };
        let first = self.columns.first();
        first.is_some_and(|c| c.name == GENERATED_KEY && c.invisible && c.auto_increment)
            && self.keys.iter().any(|key| key.kind == KeyKind::Primary && only(key))
    }

    /// Where a column stands.
    #[must_use]
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| same_name(&c.name, column))
    }

    /// The columns of the record key (indexes into `columns`): the primary key's, else those of the
    /// first unique key whose columns are all NOT NULL and no expressions, as Debezium chooses; else
    /// none. MariaDB's end of the period in a versioned table's key is left out: the user did not
    /// put it there.
    #[must_use]
    pub fn key(&self) -> Vec<u16> {
        let places = |key: &KeyDefinition| {
            let named = key.parts.iter().map(|part| self.position(part.column.as_deref()?));
            named.collect::<Option<Vec<_>>>()
        };
        let chosen = self.keys.iter().find_map(|key| {
            let places = match key.kind {
                KeyKind::Primary | KeyKind::Unique => places(key)?,
                _ => return None,
            };
            let usable = |&at: &usize| self.columns.get(at).is_some_and(|c| !c.nullable);
            (key.kind == KeyKind::Primary || places.iter().all(usable)).then_some(places)
        });
        let user = |&at: &usize| self.columns.get(at).is_some_and(|c| c.row.is_none());
        let places = chosen.unwrap_or_default().into_iter().filter(user);
        places.filter_map(|at| u16::try_from(at).ok()).collect()
    }
}
