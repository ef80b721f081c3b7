//! The schema history's machine for MySQL and MariaDB: what every table looks like after the
//! statements of the log so far.
//!
//! Enters: tables and databases as the snapshot's view shows them ([`Catalogue::seed_table`],
//! [`Catalogue::put_database`]), then every QUERY event's statement in the order of the log,
//! captured or not ([`Catalogue::apply`]). Leaves: what became of each table ([`Applied`]), with
//! its new [`TableDefinition`]. Keeps: it is pure, so a replay gives the same; a statement that
//! cannot be understood marks only the tables that it names as unknown (HAZARDS L24); a table is
//! never guessed: what is inherited from something that is not known makes it unknown too.
//!
//! # Use
//! ```
//! use penstock_shards::history::{Catalogue, Effect, Server, Statement};
//! let mut catalogue = Catalogue::new(Server { mariadb: false, version: (9, 7, 0), fold_names: false });
//! catalogue.put_database("shop", "utf8mb4", "utf8mb4_0900_ai_ci");
//! // Snapshot: SHOW CREATE TABLE's text is the seed, read by the same parser.
//! catalogue.seed_table("shop", "CREATE TABLE `t` (`id` int NOT NULL, PRIMARY KEY (`id`))", 0);
//! // Stream: each QUERY event that is no BEGIN, COMMIT and the like.
//! let statement = Statement { sql: "ALTER TABLE t ADD a text", database: "shop", ..Statement::default() };
//! let applied = catalogue.apply(&statement);
//! assert_eq!(applied[0].table.to_string(), "shop.t");
//! let Effect::Altered(table) = &applied[0].effect else { panic!() };
//! assert_eq!(table.columns[1].name, "a");
//! ```
//! All tables of the captured databases belong in it, not only captured ones: `CREATE … LIKE`, and
//! gh-ost's RENAME of `_t_gho` onto `t`, carry a definition from one to the other. From a
//! definition to rows: [`TableDefinition::join`] with a TABLE_MAP that names no columns, and
//! [`TableDefinition::schema_columns`] without one. Definitions and databases go to disk by serde;
//! [`Catalogue::put_table`] brings them back.
//!
//! Not everything that changes rows has row events: [`Effect::Truncated`] and
//! [`Effect::RowsRemoved`] say so (HAZARDS L7).

mod alter;
mod apply;
mod build;
pub mod collation;
mod columns;
mod definition;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::mysql::event::StatusVars;
use penstock_protocol::schema::TableName;

pub use columns::Disagreement;
pub use definition::{
    ColumnDefinition, DatabaseDefinition, KeyDefinition, TableDefinition, same_name,
};

/// What does not change while a server's log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// MariaDB, else MySQL.
    pub mariadb: bool,
    /// Version.
    pub version: (u16, u16, u16),
    /// `lower_case_table_names` is not 0: names of tables and databases differ by more than case.
    pub fold_names: bool,
}

/// A statement and the session that ran it, as the QUERY event tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statement<'a> {
    /// The text, in UTF-8.
    pub sql: &'a str,
    /// The session's database; empty: none.
    pub database: &'a str,
    /// `sql_mode`.
    pub sql_mode: u64,
    /// `collation_server`, by number: the default of CREATE DATABASE.
    pub collation_server: Option<u16>,
    /// MySQL 8 and later: `default_collation_for_utf8mb4`, by number.
    pub utf8mb4_collation: Option<u16>,
    /// MariaDB 11.2 and later: `character_set_collations`, as the event has it.
    pub charset_collations: Option<&'a [u8]>,
    /// `explicit_defaults_for_timestamp`; `None`: the event's flags (MariaDB) or the server's
    /// version decide. MariaDB before 10.8 logs it nowhere: give the server's own setting.
    pub explicit_timestamps: Option<bool>,
    /// The event's `OPTION_…` bits.
    pub flags: Option<u32>,
    /// The error that the statement ended with; 0: none. Servers log a failed statement when a part
    /// of it took effect: MariaDB's CREATE OR REPLACE has dropped the old table by then.
    pub error: u16,
}

impl<'a> Statement<'a> {
    /// A QUERY event's statement; its error is to be set. `sql`, `database`: converted to UTF-8
    /// from the client's character set.
    #[must_use]
    pub fn of(sql: &'a str, database: &'a str, vars: &StatusVars<'a>) -> Self {
        Self {
            sql,
            database,
            sql_mode: vars.sql_mode.unwrap_or_default(),
            collation_server: vars.charset.map(|(_, _, server)| server),
            utf8mb4_collation: vars.utf8mb4_collation,
            charset_collations: vars.charset_collations,
            explicit_timestamps: vars.explicit_timestamps,
            flags: vars.flags,
            error: 0,
        }
    }
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The table, under its name after the statement.
    pub table: TableName,
    /// What became of it.
    pub effect: Effect,
}

/// What a statement did to a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is new.
    Created(Arc<TableDefinition>),
    /// It was altered; the definition may be the same as before (ENGINE, partitions …).
    Altered(Arc<TableDefinition>),
    /// It was renamed, and perhaps altered in the same statement.
    Renamed {
        /// Its name before.
        from: TableName,
        /// What it looks like now; `None`: it was unknown before and is now.
        definition: Option<Arc<TableDefinition>>,
    },
    /// It is gone.
    Dropped,
    /// TRUNCATE TABLE: all rows went.
    Truncated,
    /// Rows came or went without row events: DROP, TRUNCATE, EXCHANGE PARTITION. An `Altered` of
    /// the same table precedes it.
    RowsRemoved,
    /// What it looks like is not known any more.
    Unknown(Reason),
}

/// Why a table is unknown. Holds no cell value and no text of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is missing or was expected.
    pub what: &'static str,
    /// Byte of the statement at which reading stopped, if that is why.
    pub offset: Option<usize>,
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} (byte {offset} of the statement)", self.what),
            None => f.write_str(self.what),
        }
    }
}

/// What is known of a table that exists.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Known(Arc<TableDefinition>),
    Unknown(Reason),
}

/// Every table of a server, at one place of its log.
#[derive(Clone, Debug)]
pub struct Catalogue {
    server: Server,
    databases: BTreeMap<String, DatabaseDefinition>,
    tables: BTreeMap<TableName, State>,
}

impl Catalogue {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, databases: BTreeMap::new(), tables: BTreeMap::new() }
    }

    /// A database and its defaults, as the snapshot's view shows them, or from disk.
    pub fn put_database(&mut self, name: &str, charset: &str, collation: &str) {
        let definition =
            DatabaseDefinition { charset: charset.into(), collation: collation.into() };
        self.databases.insert(self.folded(name), definition);
    }

    /// A table as the history on disk has it.
    pub fn put_table(&mut self, database: &str, table: &str, definition: Arc<TableDefinition>) {
        let name = self.name(database, table);
        self.tables.insert(name, State::Known(definition));
    }

    /// A table whose definition could not be read.
    pub fn put_unknown(&mut self, database: &str, table: &str, reason: Reason) {
        let name = self.name(database, table);
        self.tables.insert(name, State::Unknown(reason));
    }

    /// A table as SHOW CREATE TABLE shows it in a session with this `sql_mode`; true if it was
    /// understood, else it is unknown (and exists).
    pub fn seed_table(&mut self, database: &str, show_create: &str, sql_mode: u64) -> bool {
        // SHOW CREATE TABLE says of every TIMESTAMP whether it may be NULL and what its default is.
        let explicit_timestamps = Some(true);
        let base = Statement { sql: show_create, database, sql_mode, ..Statement::default() };
        let applied = self.apply(&Statement { explicit_timestamps, ..base });
        matches!(applied.last(), Some(Applied { effect: Effect::Created(_), .. }))
    }

    /// A table's definition; `None`: there is no such table, or it is unknown.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Arc<TableDefinition>> {
        match self.tables.get(name)? {
            State::Known(definition) => Some(definition),
            State::Unknown(_) => None,
        }
    }

    /// Why a table that exists is unknown.
    #[must_use]
    pub fn unknown(&self, name: &TableName) -> Option<Reason> {
        match self.tables.get(name)? {
            State::Known(_) => None,
            State::Unknown(reason) => Some(*reason),
        }
    }

    /// Every table that is known, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &Arc<TableDefinition>)> {
        self.tables.iter().filter_map(|(name, state)| match state {
            State::Known(definition) => Some((name, definition)),
            State::Unknown(_) => None,
        })
    }

    /// Every table that exists and is unknown, by name.
    pub fn unknown_tables(&self) -> impl Iterator<Item = (&TableName, Reason)> {
        self.tables.iter().filter_map(|(name, state)| match state {
            State::Known(_) => None,
            State::Unknown(reason) => Some((name, *reason)),
        })
    }

    /// Every database that is known, by name.
    pub fn databases(&self) -> impl Iterator<Item = (&str, &DatabaseDefinition)> {
        self.databases.iter().map(|(name, definition)| (name.as_str(), definition))
    }

    fn folded(&self, name: &str) -> String {
        if self.server.fold_names { name.to_lowercase() } else { name.into() }
    }

    fn name(&self, database: &str, table: &str) -> TableName {
        let (database, table) = (self.folded(database), self.folded(table));
        TableName { database, schema: String::new(), table }
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
