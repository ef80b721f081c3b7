//! The schema history of a server: what every table looks like at our place of its log.
//!
//! Enters: the catalogue as of a place (`seed`), then the statements of the log in their order;
//! at a restart, the entries of the history on disk. Leaves: definitions for the rows behind, and
//! entries to be made durable before the position moves on. Keeps: one place parses every
//! statement, of captured tables or not (HAZARDS L24); a table that is not listed is unknown, never
//! guessed; a history that does not reach back to the checkpoint counts as none (L23).
//!
//! On disk are the tables of those databases that held captured tables when the history began, and
//! every captured table: what CREATE … LIKE and the RENAMEs of gh-ost and pt-osc need.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_protocol::mysql::charset;
use penstock_protocol::mysql::ddl::change::{Change, Clause};
use penstock_protocol::mysql::ddl::{Named, parse};
use penstock_protocol::mysql::event::StatusVars;
use penstock_protocol::schema::{Charset, TableName};
use penstock_shards::history::{
    Applied, Catalogue, DatabaseDefinition, Effect, Reason, Server as Dialect, Statement,
    TableDefinition,
};
use penstock_shards::router::GroupId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::catalogue::{self, Server};
use super::connection::{Connection, cell, quote};
use super::errors;
use crate::config::TableFilter;
use crate::error::{Error, Result};
use crate::store::SchemaRecord;

/// What stands on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry<'a> {
    /// The catalogue was read anew: nothing before counts. All tables of these databases follow.
    Seed {
        databases: Vec<String>,
    },
    Database(DatabaseEntry),
    Table(TableEntry<'a>),
    /// It exists, and what it looks like is not known.
    Unknown {
        database: String,
        table: String,
        why: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct DatabaseEntry {
    name: String,
    #[serde(flatten)]
    definition: DatabaseDefinition,
}

#[derive(Debug, Serialize, Deserialize)]
struct TableEntry<'a> {
    database: String,
    table: String,
    definition: Cow<'a, TableDefinition>,
}

/// Key of the entry that begins a history.
const SEED: &str = "";
const UNREAD: Reason = Reason { what: "a definition that the catalogue could tell", offset: None };
const CHANGED: Reason =
    Reason { what: "no change between this place of the log and the catalogue", offset: None };
const BEFORE: Reason = Reason { what: "a definition before the restart", offset: None };

/// What becomes of one name: the key of the history's file, and its entry.
pub type Saved = (String, Value);

/// The history at one place of the log.
#[derive(Debug)]
pub struct TableHistory {
    catalogue: Catalogue,
    /// Databases whose tables are all listed.
    seeded: BTreeSet<String>,
    /// Other tables are not on disk.
    only_captured: bool,
    /// As they are on disk.
    databases: BTreeMap<String, DatabaseDefinition>,
    /// The last statement that was applied: its group, and which of the group's it was. After a
    /// lost connection the group comes again.
    done: Option<(GroupId, u32)>,
}

/// What a statement did.
#[derive(Debug, Default)]
pub struct Done {
    /// To which tables.
    pub applied: Vec<Applied>,
    /// To be made durable.
    pub saved: Vec<Saved>,
    /// Databases that it made, altered or dropped.
    pub database: Option<String>,
}

impl TableHistory {
    /// Knows nothing yet.
    pub fn new(server: &Server) -> Self {
        let dialect = Dialect {
            mariadb: server.is_mariadb(),
            version: server.numbers,
            fold_names: !matches!(server.variable("lower_case_table_names"), "0" | ""),
        };
        Self {
            catalogue: Catalogue::new(dialect),
            seeded: BTreeSet::new(),
            only_captured: false,
            databases: BTreeMap::new(),
            done: None,
        }
    }

    /// Reads every base table of the databases that hold captured tables, as of now.
    pub async fn read(
        connection: &mut Connection,
        server: &Server,
        filter: &TableFilter,
    ) -> Result<Self> {
        let names = catalogue::names(connection).await?;
        let captured = names.iter().filter(|name| filter.table(&name.to_string()));
        let seeded = captured.map(|name| name.database.clone()).collect::<BTreeSet<_>>();
        let wanted = |name: &TableName| seeded.contains(&name.database);
        let mut history = Self::read_listed(connection, server, &names, wanted).await?;
        history.seeded = seeded;
        Ok(history)
    }

    /// Reads some tables, as of now.
    pub async fn read_some(
        connection: &mut Connection,
        server: &Server,
        wanted: impl Fn(&TableName) -> bool,
    ) -> Result<Self> {
        let names = catalogue::names(connection).await?;
        Self::read_listed(connection, server, &names, wanted).await
    }

    async fn read_listed(
        connection: &mut Connection,
        server: &Server,
        names: &[TableName],
        wanted: impl Fn(&TableName) -> bool,
    ) -> Result<Self> {
        let mut history = Self::new(server);
        for (name, definition) in catalogue::databases(connection).await? {
            history.catalogue.put_database(&name, &definition.charset, &definition.collation);
        }
        prepare_show(connection, server).await?;
        for name in names.iter().filter(|name| wanted(name)) {
            if let Some(text) = show_create(connection, name).await? {
                history.put(name, &text);
            }
        }
        history.databases = owned(&history.catalogue);
        Ok(history)
    }

    /// A table in the words of SHOW CREATE TABLE.
    fn put(&mut self, name: &TableName, show_create: &str) {
        if show_create.is_empty() {
            self.catalogue.put_unknown(&name.database, &name.table, UNREAD);
        } else if !self.catalogue.seed_table(&name.database, show_create, 0) {
            let why = self.catalogue.unknown(name).unwrap_or(UNREAD);
            tracing::warn!(
                "the definition of {name} is not understood ({why}): under \
                binlog_row_metadata = MINIMAL or NO_LOG its rows cannot be read after DDL"
            );
            self.catalogue.put_unknown(&name.database, &name.table, why);
        }
    }

    /// What the log says was changed between the place and the reading is not known at the place.
    pub fn forget(&mut self, touched: &Touched) {
        for name in &touched.tables {
            self.catalogue.put_unknown(&name.database, &name.table, CHANGED);
        }
        for database in &touched.databases {
            // Without defaults, what inherits them is unknown.
            self.catalogue.put_database(database, "", "");
        }
        self.databases = owned(&self.catalogue);
    }

    /// `store_only_captured_tables_ddl`: keeps tables that are not captured in memory alone.
    #[must_use]
    pub fn only_captured(self, only: bool) -> Self {
        Self { only_captured: only, ..self }
    }

    /// All of it, as the first entries of a history, made one by one.
    pub fn whole(&self, captured: impl Fn(&TableName) -> bool) -> impl Iterator<Item = Saved> {
        let databases = self.seeded.iter().cloned().collect();
        let seed = (SEED.to_owned(), value(&Entry::Seed { databases }));
        let databases = self.databases.iter().map(|(name, d)| save_database(name, d));
        let tables = self.catalogue.tables().map(|(name, table)| (name, Ok(table)));
        let unknown = self.catalogue.unknown_tables().map(|(name, why)| (name, Err(why)));
        let wanted = move |name: &TableName| !self.only_captured || captured(name);
        let tables = tables.chain(unknown).filter(move |(name, _)| wanted(name));
        let tables = tables.map(|(name, table)| match table {
            Ok(table) => save_table(name, table),
            Err(why) => save_unknown(name, why),
        });
        std::iter::once(seed).chain(databases).chain(tables)
    }

    /// The history as of `version`, from its file; `None`: the file does not reach back so far.
    pub fn load(
        server: &Server,
        history: &crate::store::History,
        version: u64,
    ) -> Result<Option<Self>> {
        if version == 0 || version < history.base() {
            return Ok(None);
        }
        // One pass to see which entries are in force, another one to take them: only one entry
        // is in memory at a time.
        let (mut newest, mut at, mut seed) = (BTreeMap::new(), 0_u64, None);
        history.for_each(|record| {
            if record.version <= version {
                if record.table == SEED {
                    newest.clear();
                    seed = Some(at);
                }
                newest.insert(record.table, at);
            }
            at += 1;
        })?;
        if seed.is_none() {
            return Ok(None);
        }
        let in_force = newest.into_values().collect::<BTreeSet<_>>();
        let (mut loaded, mut at, mut damage) = (Self::new(server), 0_u64, None);
        history.for_each(|record| {
            if in_force.contains(&at) && loaded.take(&record).is_err() {
                damage.get_or_insert(record.version);
            }
            at += 1;
        })?;
        if let Some(version) = damage {
            let what = format!(
                "an entry of version {version} of the schema history is not of this format"
            );
            return Err(Error::fatal("state-history-damaged", what).hint(
                "set snapshot.mode = \"recovery\" for one run: it reads the catalogue anew",
            ));
        }
        loaded.databases = owned(&loaded.catalogue);
        Ok(Some(loaded))
    }

    fn take(&mut self, record: &SchemaRecord) -> serde_json::Result<()> {
        match Option::<Entry>::deserialize(&record.schema)? {
            None => {}
            Some(Entry::Seed { databases }) => self.seeded = databases.into_iter().collect(),
            Some(Entry::Database(DatabaseEntry { name, definition })) => {
                self.catalogue.put_database(&name, &definition.charset, &definition.collation);
            }
            Some(Entry::Table(TableEntry { database, table, definition })) => {
                self.catalogue.put_table(&database, &table, Arc::new(definition.into_owned()));
            }
            Some(Entry::Unknown { database, table, .. }) => {
                self.catalogue.put_unknown(&database, &table, BEFORE);
            }
        }
        Ok(())
    }

    /// The definition of a table at our place; `None`: it is unknown.
    pub fn definition(&self, name: &TableName) -> Option<&Arc<TableDefinition>> {
        self.catalogue.table(name)
    }

    /// Why it is unknown, in words.
    pub fn why_unknown(&self, name: &TableName) -> Option<Reason> {
        self.catalogue.unknown(name)
    }

    /// Whether all tables of a database are listed.
    pub fn is_seeded(&self, database: &str) -> bool {
        self.seeded.contains(database)
    }

    /// Every table that is known.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &Arc<TableDefinition>)> {
        self.catalogue.tables()
    }

    /// A definition that was proved to hold at our place.
    pub fn learn(&mut self, name: &TableName, definition: Arc<TableDefinition>) -> Saved {
        let saved = save_table(name, &definition);
        self.catalogue.put_table(&name.database, &name.table, definition);
        saved
    }

    /// Applies a statement, the `nth` of its group. `captured`: whether a table must be on disk
    /// whatever its database.
    pub fn apply(
        &mut self,
        statement: &Statement<'_>,
        group: &GroupId,
        nth: u32,
        captured: impl Fn(&TableName) -> bool,
    ) -> Done {
        if self.done.as_ref().is_some_and(|(done, last)| done == group && nth <= *last) {
            return Done::default();
        }
        let mut applied = self.catalogue.apply(statement);
        for one in &mut applied {
            self.doubt(statement, one);
        }
        let mut saved = BTreeMap::new();
        for Applied { table, effect } in &applied {
            let whole = |name: &TableName| !self.only_captured && self.is_seeded(&name.database);
            let wanted = |name: &TableName| whole(name) || captured(name);
            let mut save = |(key, entry): Saved, name: &TableName| {
                if wanted(name) {
                    saved.insert(key, entry);
                }
            };
            match effect {
                Effect::Created(d) | Effect::Altered(d) => save(save_table(table, d), table),
                Effect::Renamed { from, definition } => {
                    save((key(from), Value::Null), from);
                    match definition {
                        Some(d) => save(save_table(table, d), table),
                        None => save(save_unknown(table, UNREAD), table),
                    }
                }
                Effect::Dropped => save((key(table), Value::Null), table),
                Effect::Unknown(why) => save(save_unknown(table, *why), table),
                Effect::Truncated | Effect::RowsRemoved => {}
            }
        }
        let database = self.save_databases(&mut saved);
        if !applied.is_empty() || database.is_some() {
            self.done = Some((group.clone(), nth));
        }
        Done { applied, saved: saved.into_iter().collect(), database }
    }

    /// CREATE TABLE IF NOT EXISTS is in the log also where the table exists and is another one: in
    /// a database that is not wholly listed nothing is known afterwards.
    fn doubt(&mut self, statement: &Statement<'_>, one: &mut Applied) {
        let Applied { table, effect } = one;
        if matches!(effect, Effect::Created(_))
            && !self.seeded.contains(&table.database)
            && is_conditional(statement.sql)
        {
            self.catalogue.put_unknown(&table.database, &table.table, UNREAD);
            *effect = Effect::Unknown(UNREAD);
        }
    }

    /// Entries of databases that the last statement changed, and the name of one.
    fn save_databases(&mut self, saved: &mut BTreeMap<String, Value>) -> Option<String> {
        let same = self.databases.len() == self.catalogue.databases().count()
            && self.catalogue.databases().all(|(name, d)| self.databases.get(name) == Some(d));
        if same {
            return None;
        }
        let now = owned(&self.catalogue);
        let before = std::mem::replace(&mut self.databases, now);
        let mut changed = None;
        for (name, definition) in &self.databases {
            if before.get(name) != Some(definition) {
                saved.extend([save_database(name, definition)]);
                changed = Some(name.clone());
            }
            if !before.contains_key(name) {
                // Made before our eyes: all its tables will be.
                self.seeded.insert(name.clone());
            }
        }
        for name in before.keys().filter(|name| !self.databases.contains_key(*name)) {
            saved.insert(quote(name), Value::Null);
            changed = Some(name.clone());
        }
        changed
    }
}

fn owned(catalogue: &Catalogue) -> BTreeMap<String, DatabaseDefinition> {
    catalogue.databases().map(|(name, d)| (name.to_owned(), d.clone())).collect()
}

fn is_conditional(sql: &str) -> bool {
    let words = sql.split_ascii_whitespace().take(16).collect::<Vec<_>>();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    (0..words.len()).any(|at| is(at, "IF") && is(at + 1, "NOT") && is(at + 2, "EXISTS"))
}

fn value(entry: &Entry<'_>) -> Value {
    serde_json::to_value(entry).expect("invariant: plain data serialises")
}

fn key(name: &TableName) -> String {
    format!("{}.{}", quote(&name.database), quote(&name.table))
}

fn save_table(name: &TableName, definition: &TableDefinition) -> Saved {
    let (database, table) = (name.database.clone(), name.table.clone());
    let entry = TableEntry { database, table, definition: Cow::Borrowed(definition) };
    (key(name), value(&Entry::Table(entry)))
}

fn save_unknown(name: &TableName, why: Reason) -> Saved {
    let (database, table) = (name.database.clone(), name.table.clone());
    (key(name), value(&Entry::Unknown { database, table, why: why.to_string() }))
}

fn save_database(name: &str, definition: &DatabaseDefinition) -> Saved {
    let entry = DatabaseEntry { name: name.into(), definition: definition.clone() };
    (quote(name), value(&Entry::Database(entry)))
}

/// What a stretch of the log changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Tables, under old and new names.
    pub tables: BTreeSet<TableName>,
    /// Databases: made, dropped, or other defaults.
    pub databases: BTreeSet<String>,
}

impl Touched {
    /// Adds a statement. `named`: a table's full name.
    pub fn add(
        &mut self,
        sql: &str,
        sql_mode: u64,
        mariadb: bool,
        database: &str,
        named: impl Fn(&Named) -> TableName,
    ) {
        let Some(change) = parse(sql, sql_mode, mariadb) else { return };
        let mut table = |name: &Named| {
            self.tables.insert(named(name));
        };
        match &change {
            Change::CreateTable(create) => create.name.iter().for_each(table),
            Change::CreateSequence { name, .. } | Change::Truncate(name) => table(name),
            Change::AlterTable { name, clauses, .. } => {
                table(name);
                for clause in clauses {
                    match clause {
                        Clause::RenameTable(other)
                        | Clause::ExchangePartition(other)
                        | Clause::ConvertPartitionTo(other)
                        | Clause::ConvertTableFrom(other) => table(other),
                        _ => {}
                    }
                }
            }
            Change::RenameTables(pairs) => {
                pairs.iter().for_each(|(from, to)| {
                    table(from);
                    table(to);
                });
            }
            Change::DropTables(tables) | Change::Unknown { tables, .. } => {
                tables.iter().for_each(table);
            }
            Change::CreateDatabase { name, .. } | Change::DropDatabase(name) => {
                self.databases.insert(name.clone());
            }
            Change::AlterDatabase { name, .. } => {
                self.databases.insert(name.clone().unwrap_or_else(|| database.into()));
            }
        }
    }
}

/// A statement's text as UTF-8: the log has it in the client's character set.
pub fn statement_text<'a>(sql: &'a [u8], vars: &StatusVars<'_>) -> Cow<'a, str> {
    let client = vars.charset.and_then(|(client, ..)| charset::of_collation(client));
    match client {
        None | Some(Charset::Utf8 | Charset::Other(_)) => String::from_utf8_lossy(sql),
        Some(client) => {
            let mut text = String::with_capacity(sql.len());
            charset::decode(client, sql, |ch| text.push(ch));
            Cow::Owned(text)
        }
    }
}

/// SHOW CREATE TABLE in one form, whatever the session's defaults.
pub async fn prepare_show(connection: &mut Connection, server: &Server) -> Result<()> {
    connection.query("SET SESSION sql_mode = '', sql_quote_show_create = 1").await?;
    if !server.is_mariadb() && server.numbers >= (8, 0, 30) {
        let sql = "SET SESSION show_gipk_in_create_table_and_information_schema = 1";
        drop(connection.attempt(sql).await?);
    }
    Ok(())
}

/// The text; empty if the user may not see it; `None`: there is no such table (any more).
pub async fn show_create(connection: &mut Connection, name: &TableName) -> Result<Option<String>> {
    let sql = format!("SHOW CREATE TABLE {}.{}", quote(&name.database), quote(&name.table));
    match connection.attempt(&sql).await? {
        Ok(rows) => Ok(rows.0.first().map(|row| cell(row, 1).to_owned())),
        // Gone: the table, or its database.
        Err(e) if matches!(e.code, 1146 | 1049) => Ok(None),
        // Refused (1142, 1044, 1227), or broken (a MERGE table, a view).
        Err(e) => {
            let e = errors::refused(&e, &sql);
            tracing::warn!("SHOW CREATE TABLE of {name}: {}", e.what);
            Ok(Some(String::new()))
        }
    }
}
