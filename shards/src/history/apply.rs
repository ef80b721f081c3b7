//! A statement on the whole catalogue.
//!
//! Enters: a [`Change`]. Leaves: what became of each table. Keeps: only tables that the statement
//! names are touched; one whose new definition cannot be made is unknown from then on, until it is
//! created or dropped.

use std::sync::Arc;

use penstock_protocol::mysql::ddl::change::{
    Change, CharsetClause, Clause, CreateTable, DataType, TypeName,
};
use penstock_protocol::mysql::ddl::{Named, parse};
use penstock_protocol::schema::TableName;

use super::build::{Pair, Rules, reason, row_bounds};
use super::collation::{charset_of, collation_of};
use super::definition::{ColumnDefinition, DatabaseDefinition, TableDefinition};
use super::{Applied, Catalogue, Effect, Reason, State, Statement, alter, keys};

impl Catalogue {
    /// Applies a statement. What it did to tables, in its order; empty for one that changes none.
    ///
    /// `Effect::Unknown` is no error yet: only a row of that table is one.
    pub fn apply(&mut self, statement: &Statement<'_>) -> Vec<Applied> {
        let mut out = Vec::new();
        let Some(change) = parse(statement.sql, statement.sql_mode, self.server.mariadb) else {
            return out;
        };
        match change {
            change if statement.error != 0 => self.failed(statement, change, &mut out),
            Change::CreateTable(create) => self.create(statement, &create, &mut out),
            Change::CreateSequence { name, if_not_exists, ty } => {
                let Some(name) = self.own(statement, &name) else { return out };
                if !(if_not_exists && self.tables.contains_key(&name)) {
                    self.set(name, Ok(sequence(ty)), Effect::Created, &mut out);
                }
            }
            Change::AlterTable { name, if_exists, clauses } => {
                if let Some(name) = self.own(statement, &name) {
                    self.alter(statement, name, if_exists, &clauses, &mut out);
                }
            }
            Change::RenameTables(pairs) => {
                for (from, to) in pairs {
                    if let (Some(from), Some(to)) =
                        (self.own(statement, &from), self.own(statement, &to))
                    {
                        self.rename(from, to, &mut out);
                    }
                }
            }
            Change::DropTables(tables) => {
                for name in self.all(statement, &tables) {
                    self.remove(name, &mut out);
                }
            }
            Change::Truncate(name) => {
                let table = self.own(statement, &name);
                out.extend(table.map(|table| Applied { table, effect: Effect::Truncated }));
            }
            Change::CreateDatabase { name, if_not_exists, or_replace, charset } => {
                if or_replace {
                    self.drop_database(&name, &mut out);
                }
                self.create_database(statement, &name, if_not_exists, &charset);
            }
            Change::AlterDatabase { name, charset } => {
                let name = name.unwrap_or_else(|| statement.database.into());
                self.alter_database(statement, &name, &charset);
            }
            Change::DropDatabase(name) => self.drop_database(&name, &mut out),
            Change::Unknown { tables, what, offset } => {
                let reason = Reason { what, offset: Some(offset) };
                for name in self.all(statement, &tables) {
                    self.set(name, Err(reason), Effect::Altered, &mut out);
                }
            }
        }
        out
    }

    /// A statement that failed, and is in the log because a part of it took effect.
    fn failed(&mut self, statement: &Statement<'_>, change: Change, out: &mut Vec<Applied>) {
        match change {
            Change::CreateTable(create) if create.or_replace => {
                let name = create.name.as_ref().and_then(|name| self.own(statement, name));
                name.into_iter().for_each(|name| self.remove(name, out));
            }
            Change::CreateTable(_) => {}
            // What it named and was there is gone.
            Change::DropTables(tables) => {
                for name in self.all(statement, &tables) {
                    self.remove(name, out);
                }
            }
            Change::AlterTable { name, .. } => {
                if let Some(name) = self.own(statement, &name) {
                    let unknown = Err(reason("an ALTER TABLE that did not fail"));
                    self.set(name, unknown, Effect::Altered, out);
                }
            }
            _ => {}
        }
    }

    /// The full name of a table; `None`: it has no database, and then no statement had one.
    fn own(&self, statement: &Statement<'_>, name: &Named) -> Option<TableName> {
        let database = name.database.as_deref().unwrap_or(statement.database);
        (!database.is_empty()).then(|| self.name(database, &name.table))
    }

    fn all(&self, statement: &Statement<'_>, names: &[Named]) -> Vec<TableName> {
        names.iter().filter_map(|name| self.own(statement, name)).collect()
    }

    /// Stores what a table looks like now, and says so.
    fn set(
        &mut self,
        name: TableName,
        made: Result<TableDefinition, Reason>,
        effect: fn(Arc<TableDefinition>) -> Effect,
        out: &mut Vec<Applied>,
    ) {
        let (state, effect) = match made {
            Ok(definition) => {
                let definition = Arc::new(definition);
                (State::Known(definition.clone()), effect(definition))
            }
            Err(reason) => (State::Unknown(reason), Effect::Unknown(reason)),
        };
        self.tables.insert(name.clone(), state);
        out.push(Applied { table: name, effect });
    }

    fn remove(&mut self, name: TableName, out: &mut Vec<Applied>) {
        if self.tables.remove(&name).is_some() {
            out.push(Applied { table: name, effect: Effect::Dropped });
        }
    }

    fn create(&mut self, statement: &Statement<'_>, create: &CreateTable, out: &mut Vec<Applied>) {
        let Some(name) = create.name.as_ref().and_then(|name| self.own(statement, name)) else {
            return;
        };
        if create.if_not_exists && self.tables.contains_key(&name) {
            return;
        }
        let made = match &create.like {
            Some(like) => self.own(statement, like).ok_or(reason("a database")).and_then(|like| {
                match self.tables.get(&like) {
                    Some(State::Known(definition)) => Ok((**definition).clone()),
                    Some(State::Unknown(reason)) => Err(*reason),
                    None => Err(reason("the definition of the table that it is like")),
                }
            }),
            None => self.build(statement, &name, create),
        };
        if create.or_replace {
            self.remove(name.clone(), out);
        }
        self.set(name, made, Effect::Created, out);
    }

    /// A definition from CREATE TABLE's own words.
    fn build(
        &self,
        statement: &Statement<'_>,
        name: &TableName,
        create: &CreateTable,
    ) -> Result<TableDefinition, Reason> {
        if create.selects || create.columns.is_empty() {
            return Err(reason("columns that do not come from a SELECT"));
        }
        let rules = Rules { server: self.server, statement };
        let charset = rules.resolve(&create.options.charset, &self.defaults(&name.database))?;
        let columns = create.columns.iter().map(|ddl| rules.column(ddl, &charset));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let versioned = create.options.versioned
            || create.columns.iter().any(|column| column.versioning == Some(true));
        let mut table = TableDefinition {
            columns,
            charset: charset.0,
            collation: charset.1,
            comment: create.options.comment.clone().filter(|comment| !comment.is_empty()),
            engine: create.options.engine.clone(),
            versioned,
            keys: Vec::new(),
        };
        if versioned && table.columns.iter().all(|column| column.row.is_none()) {
            table.columns.extend(row_bounds());
        }
        rules.timestamps(&mut table, |_| true);
        keys::add_keys(&mut table, self.server.mariadb, &create.keys)?;
        Ok(table)
    }

    fn alter(
        &mut self,
        statement: &Statement<'_>,
        name: TableName,
        if_exists: bool,
        clauses: &[Clause],
        out: &mut Vec<Applied>,
    ) {
        let rules = Rules { server: self.server, statement };
        let made = match self.tables.get(&name) {
            None if if_exists => return,
            None => Err(reason("a table that the history knows")),
            Some(State::Unknown(reason)) => Err(*reason),
            Some(State::Known(table)) => {
                alter::alter(rules, table, clauses, &self.defaults(&name.database))
            }
        };
        let mut name = name;
        let renamed = clauses.iter().rev().find_map(|clause| match clause {
            Clause::RenameTable(to) => self.own(statement, to),
            _ => None,
        });
        match renamed.filter(|to| *to != name) {
            Some(to) => {
                let from = std::mem::replace(&mut name, to);
                self.tables.remove(&from);
                self.set(name.clone(), made, Effect::Altered, out);
                if let Some(Applied { effect, .. }) = out.last_mut() {
                    let definition = match &effect {
                        Effect::Altered(definition) => Some(definition.clone()),
                        _ => None,
                    };
                    *effect = Effect::Renamed { from, definition };
                }
            }
            None => self.set(name.clone(), made, Effect::Altered, out),
        }
        self.partitions(statement, &name, clauses, out);
    }

    /// What ALTER TABLE's partition clauses do to rows and to other tables.
    fn partitions(
        &mut self,
        statement: &Statement<'_>,
        name: &TableName,
        clauses: &[Clause],
        out: &mut Vec<Applied>,
    ) {
        let rows = |table: TableName| Applied { table, effect: Effect::RowsRemoved };
        for clause in clauses {
            match clause {
                Clause::RowsRemoved => out.push(rows(name.clone())),
                Clause::ExchangePartition(with) => {
                    out.push(rows(name.clone()));
                    let with = self.own(statement, with);
                    if let Some(with) = with {
                        if let Some(State::Known(definition)) = self.tables.get(&with) {
                            let effect = Effect::Altered(definition.clone());
                            out.push(Applied { table: with.clone(), effect });
                        }
                        out.push(rows(with));
                    }
                }
                Clause::ConvertPartitionTo(to) => {
                    out.push(rows(name.clone()));
                    if let Some(to) = self.own(statement, to) {
                        let made = match self.tables.get(name) {
                            Some(State::Known(definition)) => Ok((**definition).clone()),
                            _ => Err(reason("the partitioned table's definition")),
                        };
                        self.set(to, made, Effect::Created, out);
                    }
                }
                Clause::ConvertTableFrom(from) => {
                    out.push(rows(name.clone()));
                    if let Some(from) = self.own(statement, from) {
                        self.remove(from, out);
                    }
                }
                _ => {}
            }
        }
    }

    fn rename(&mut self, from: TableName, to: TableName, out: &mut Vec<Applied>) {
        let unknown = State::Unknown(reason("the definition of the table that was renamed"));
        let state = self.tables.remove(&from).unwrap_or(unknown);
        let definition = match &state {
            State::Known(definition) => Some(definition.clone()),
            State::Unknown(_) => None,
        };
        self.tables.insert(to.clone(), state);
        out.push(Applied { table: to, effect: Effect::Renamed { from, definition } });
    }

    /// A database's defaults; empty if they are not known.
    fn defaults(&self, database: &str) -> Pair {
        let found = self.databases.get(&self.folded(database));
        found.map(|d| (d.charset.clone(), d.collation.clone())).unwrap_or_default()
    }

    fn create_database(
        &mut self,
        statement: &Statement<'_>,
        name: &str,
        if_not_exists: bool,
        charset: &CharsetClause,
    ) {
        if if_not_exists && self.databases.contains_key(&self.folded(name)) {
            return;
        }
        let server = statement.collation_server.and_then(collation_of).unwrap_or_default();
        let inherited = (charset_of(server).unwrap_or_default().into(), server.into());
        self.set_database(statement, name, charset, &inherited);
    }

    fn alter_database(&mut self, statement: &Statement<'_>, name: &str, charset: &CharsetClause) {
        self.set_database(statement, name, charset, &self.defaults(name));
    }

    /// Defaults that cannot be known are forgotten: what inherits them is unknown then.
    fn set_database(
        &mut self,
        statement: &Statement<'_>,
        name: &str,
        charset: &CharsetClause,
        inherited: &Pair,
    ) {
        let name = self.folded(name);
        let rules = Rules { server: self.server, statement };
        match rules.resolve(charset, inherited) {
            Ok((charset, collation)) if !charset.is_empty() => {
                self.databases.insert(name, DatabaseDefinition { charset, collation });
            }
            _ => drop(self.databases.remove(&name)),
        }
    }

    fn drop_database(&mut self, name: &str, out: &mut Vec<Applied>) {
        let name = self.folded(name);
        self.databases.remove(&name);
        let inside = |table: &&TableName| table.database == name;
        let tables = self.tables.keys().filter(inside).cloned().collect::<Vec<_>>();
        for table in tables {
            self.remove(table, out);
        }
    }
}

/// MariaDB's sequences: a table of one row.
fn sequence(ty: Option<DataType>) -> TableDefinition {
    let bigint = DataType {
        name: TypeName::BigInt,
        written: "BIGINT".into(),
        length: Some(21),
        ..DataType::default()
    };
    let value = ty.unwrap_or_else(|| bigint.clone());
    let cache = DataType { unsigned: true, written: "BIGINT UNSIGNED".into(), ..bigint.clone() };
    let cycle = DataType {
        name: TypeName::TinyInt,
        written: "TINYINT UNSIGNED".into(),
        length: Some(1),
        unsigned: true,
        ..DataType::default()
    };
    let columns = [
        ("next_not_cached_value", &value),
        ("minimum_value", &value),
        ("maximum_value", &value),
        ("start_value", &value),
        ("increment", &bigint),
        ("cache_size", &cache),
        ("cycle_option", &cycle),
        ("cycle_count", &bigint),
    ];
    let column = |(name, ty): (&str, &DataType)| ColumnDefinition {
        name: name.into(),
        ty: ty.clone(),
        ..ColumnDefinition::default()
    };
    TableDefinition {
        columns: columns.map(column).into(),
        charset: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
        ..TableDefinition::default()
    }
}
