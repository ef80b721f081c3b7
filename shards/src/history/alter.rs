//! ALTER TABLE on a definition, in the server's order.
//!
//! Enters: a definition and the clauses of one statement. Leaves: the new definition. Keeps: the
//! order of `mysql_prepare_alter_table`: first the columns that are there (dropped, changed in
//! place, renamed, all by their old names), then in the statement's order what is added or moved
//! (AFTER names new names), then the keys, which follow their columns.

use penstock_protocol::mysql::ddl::change::{Clause, ColumnDdl, KeyDdl, KeyPart, Place};

use super::Reason;
use super::build::{Pair, Rules, default_of, reason, row_bounds};
use super::definition::{ColumnDefinition, KeyDefinition, TableDefinition, same_name};
use super::keys;

/// A column on its way: its name before, and what it is now.
struct Slot {
    old: Option<String>,
    column: ColumnDefinition,
}

/// An ALTER TABLE at work.
struct Alter<'a> {
    rules: Rules<'a>,
    table: &'a TableDefinition,
    clauses: &'a [Clause],
    /// The table's default character set from now on.
    charset: Pair,
    slots: Vec<Slot>,
}

/// The table after these clauses. `database`: its database's defaults, for CONVERT TO DEFAULT.
pub(super) fn alter(
    rules: Rules<'_>,
    table: &TableDefinition,
    clauses: &[Clause],
    database: &Pair,
) -> Result<TableDefinition, Reason> {
    let charset = (table.charset.clone(), table.collation.clone());
    let mut work = Alter { rules, table, clauses, charset, slots: Vec::new() };
    let converted = work.defaults(database)?;
    work.keep()?;
    work.place()?;
    work.versioning();
    if converted {
        for slot in &mut work.slots {
            let existing = slot.old.is_some() && !work.clauses.iter().any(|c| changes(c, slot));
            rules.convert(&mut slot.column, &work.charset, existing);
        }
    }
    work.finish()
}

/// Whether a clause gives this column a new definition.
fn changes(clause: &Clause, slot: &Slot) -> bool {
    match clause {
        Clause::ChangeColumn { old, .. } => {
            slot.old.as_deref().is_some_and(|name| same_name(name, old))
        }
        _ => false,
    }
}

impl Alter<'_> {
    /// Default character set; true if all columns are converted to it.
    fn defaults(&mut self, database: &Pair) -> Result<bool, Reason> {
        let mut converted = false;
        for clause in self.clauses {
            match clause {
                Clause::Options(options) => {
                    self.charset = self.rules.resolve(&options.charset, &self.charset)?;
                }
                Clause::Convert(clause) => {
                    let default = clause
                        .charset
                        .as_deref()
                        .is_some_and(|name| name.eq_ignore_ascii_case("default"));
                    let from = if default { database.clone() } else { self.charset.clone() };
                    self.charset = self.rules.resolve(clause, &from)?;
                    if self.charset.0.is_empty() {
                        return Err(reason("the default character set of the database"));
                    }
                    converted = true;
                }
                _ => {}
            }
        }
        Ok(converted)
    }

    /// The columns that are there: kept, changed in place, or taken out.
    fn keep(&mut self) -> Result<(), Reason> {
        let clauses = self.clauses;
        for column in self.table.columns.iter().filter(|column| !column.is_row_hash()) {
            let is = |name: &String| same_name(name, &column.name);
            let dropped = clauses
                .iter()
                .any(|clause| matches!(clause, Clause::DropColumn { name, .. } if is(name)));
            if dropped {
                continue;
            }
            let change = clauses.iter().find_map(|clause| match clause {
                Clause::ChangeColumn { old, column, place, .. } if is(old) => Some((column, place)),
                _ => None,
            });
            let old = Some(column.name.clone());
            match change {
                Some((ddl, None)) => {
                    let column = self.rules.column(ddl, &self.charset)?;
                    self.slots.push(Slot { old, column });
                }
                Some((_, Some(_))) => {}
                None => {
                    let column = self.touched(column);
                    self.slots.push(Slot { old, column });
                }
            }
        }
        Ok(())
    }

    /// A column that is not redefined: RENAME COLUMN, ALTER COLUMN.
    fn touched(&self, column: &ColumnDefinition) -> ColumnDefinition {
        let mut now = column.clone();
        let is = |name: &String| same_name(name, &column.name);
        for clause in self.clauses {
            match clause {
                Clause::RenameColumn { old, new, .. } if is(old) => now.name.clone_from(new),
                Clause::SetDefault { name, default } if is(name) => {
                    now.default = default_of(&now.ty, default.as_ref());
                }
                Clause::SetInvisible { name, invisible } if is(name) => {
                    now.invisible = *invisible;
                }
                _ => {}
            }
        }
        now
    }

    /// What is added or moved, in the statement's order; names that are not there are errors.
    fn place(&mut self) -> Result<(), Reason> {
        let missing = reason("a column in the table");
        for clause in self.clauses {
            match clause {
                Clause::AddColumn { column, place, if_not_exists } => {
                    let there = self.slots.iter().any(|s| same_name(&s.column.name, &column.name))
                        || self.table.position(&column.name).is_some();
                    if !(*if_not_exists && there) {
                        self.insert(None, column, place.as_ref())?;
                    }
                }
                Clause::ChangeColumn { old, column, place, if_exists } => {
                    match self.table.position(old) {
                        None if *if_exists => {}
                        None => return Err(missing),
                        Some(_) if place.is_some() => {
                            self.insert(Some(old.clone()), column, place.as_ref())?;
                        }
                        Some(_) => {}
                    }
                }
                Clause::DropColumn { name, if_exists }
                | Clause::RenameColumn { old: name, if_exists, .. }
                    if self.table.position(name).is_none() && !if_exists =>
                {
                    return Err(missing);
                }
                Clause::SetDefault { name, .. } | Clause::SetInvisible { name, .. }
                    if self.table.position(name).is_none() =>
                {
                    return Err(missing);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        old: Option<String>,
        ddl: &ColumnDdl,
        place: Option<&Place>,
    ) -> Result<(), Reason> {
        let column = self.rules.column(ddl, &self.charset)?;
        let at = match place {
            None => self.slots.len(),
            Some(Place::First) => 0,
            Some(Place::After(name)) => {
                let after = |slot: &Slot| same_name(&slot.column.name, name);
                let found = self.slots.iter().position(after);
                found.ok_or(reason("a column in the table"))? + 1
            }
        };
        self.slots.insert(at, Slot { old, column });
        Ok(())
    }

    /// MariaDB: the hidden columns of system versioning come, go, or stay last.
    fn versioning(&mut self) {
        let has = |clause| self.clauses.contains(&clause);
        if has(Clause::DropVersioning) {
            self.slots.retain(|slot| !slot.column.implicit || slot.column.row.is_none());
        } else if has(Clause::AddVersioning) && self.slots.iter().all(|s| s.column.row.is_none()) {
            self.slots.extend(row_bounds().map(|column| Slot { old: None, column }));
        } else {
            self.slots.sort_by_key(|slot| slot.column.implicit && slot.column.row.is_some());
        }
    }

    fn finish(self) -> Result<TableDefinition, Reason> {
        let mut keys = self.table.keys.iter().filter_map(|k| self.kept_key(k)).collect::<Vec<_>>();
        let mut table = TableDefinition {
            charset: self.charset.0.clone(),
            collation: self.charset.1.clone(),
            ..self.table.clone()
        };
        table.keys.clear();
        table.keys.append(&mut keys);
        for clause in self.clauses {
            match clause {
                Clause::Options(options) => {
                    if let Some(comment) = &options.comment {
                        table.comment = Some(comment.clone()).filter(|text| !text.is_empty());
                    }
                    table.engine = options.engine.clone().or(table.engine);
                }
                Clause::AddVersioning => table.versioned = true,
                Clause::DropVersioning => table.versioned = false,
                _ => {}
            }
        }
        let fresh = |name: &str| {
            self.clauses.iter().any(|clause| match clause {
                Clause::AddColumn { column, .. } | Clause::ChangeColumn { column, .. } => {
                    same_name(&column.name, name)
                }
                _ => false,
            })
        };
        table.columns = self.slots.into_iter().map(|slot| slot.column).collect();
        if table.columns.is_empty() {
            return Err(reason("a table with columns"));
        }
        self.rules.timestamps(&mut table, fresh);
        let added = self.clauses.iter().filter_map(|clause| match clause {
            Clause::AddKey(key) => Some(key),
            _ => None,
        });
        keys::add_keys(&mut table, self.rules.server.mariadb, added.collect::<Vec<&KeyDdl>>())?;
        Ok(table)
    }

    /// A key that stays, its parts under their new names; without those whose columns went.
    fn kept_key(&self, key: &KeyDefinition) -> Option<KeyDefinition> {
        let is = |name: &String| same_name(name, &key.name);
        let mut kept = key.clone();
        for clause in self.clauses {
            match clause {
                Clause::DropPrimaryKey if key.name == "PRIMARY" => return None,
                Clause::DropKey(name) | Clause::DropConstraint(name) if is(name) => return None,
                Clause::RenameKey { old, new } if is(old) => kept.name.clone_from(new),
                _ => {}
            }
        }
        let part = |part: KeyPart| {
            let Some(name) = &part.column else { return Some(part) };
            let follows =
                |slot: &&Slot| slot.old.as_deref().is_some_and(|old| same_name(old, name));
            let slot = self.slots.iter().find(follows)?;
            Some(KeyPart { column: Some(slot.column.name.clone()), prefix: part.prefix })
        };
        kept.parts = kept.parts.into_iter().filter_map(part).collect();
        (!kept.parts.is_empty()).then_some(kept)
    }
}
