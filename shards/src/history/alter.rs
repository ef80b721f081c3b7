//! ALTER TABLE on a definition, in the server's order.
//!
//! Enters: a definition and the clauses of one statement. Leaves: the new definition. Keeps: the
//! order of `mysql_prepare_alter_table`: first the columns that are there (dropped, changed in
//! place, renamed, all by their old names), then in the statement's order what is added or moved
//! (AFTER names new names), then the keys, which follow their columns.

use penstock_protocol::mysql::ddl::change::{Clause, ColumnDdl, KeyDdl, KeyKind, KeyPart, Place};

use super::Reason;
use super::build::{Pair, Rules, default_of, reason, row_bounds};
use super::definition::{
    ColumnDefinition, GENERATED_KEY, KeyDefinition, TableDefinition, same_name,
};
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
    /// CONVERT TO: that of every column.
    converted: Option<Pair>,
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
    let (converted, slots) = (None, Vec::new());
    let mut work = Alter { rules, table, clauses, charset, converted, slots };
    work.defaults(database)?;
    work.keep()?;
    work.place()?;
    work.hidden();
    if let Some(to) = work.converted.take() {
        for slot in &mut work.slots {
            let changed = work.clauses.iter().any(|clause| changes(clause, slot));
            if changed && !rules.server.mariadb && slot.column.ty.name.is_blob() {
                // MySQL 9.7 gives it the size that the old column would need.
                return Err(reason("no TEXT or BLOB that is redefined and converted at once"));
            }
            let existing = slot.old.is_some() && !changed;
            rules.convert(&mut slot.column, &to, existing)?;
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
    /// Default character set, and CONVERT TO, which sets it too unless another clause does.
    fn defaults(&mut self, database: &Pair) -> Result<(), Reason> {
        let before = self.charset.clone();
        for clause in self.clauses {
            if let Clause::Convert(clause) = clause {
                let default =
                    clause.charset.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("default"));
                let to = self.rules.resolve(clause, if default { database } else { &before })?;
                if to.0.is_empty() {
                    return Err(reason("the default character set of the database"));
                }
                self.charset.clone_from(&to);
                self.converted = Some(to);
            }
        }
        for clause in self.clauses {
            if let Clause::Options(options) = clause {
                self.charset = self.rules.resolve(&options.charset, &self.charset)?;
            }
        }
        Ok(())
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
                // Of such a column the server heeds no default.
                Clause::SetDefault { .. } if now.auto_increment || now.generated.is_some() => {}
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
                // The keys of a column that is skipped are made all the same.
                Clause::AddColumn { column, place, if_not_exists }
                    if !(*if_not_exists && self.is_there(&column.name)) =>
                {
                    self.insert(None, column, place.as_ref())?;
                }
                Clause::ChangeColumn { old, column, place, if_exists } => {
                    match self.table.position(old) {
                        Some(_) if place.is_none() => {}
                        Some(_) => self.replace(old, column, place.as_ref())?,
                        // A clause before may have added one of the new name: this replaces it.
                        None if self.is_added(&column.name) => {
                            self.slots.retain(|slot| !same_name(&slot.column.name, &column.name));
                            self.insert(None, column, place.as_ref())?;
                        }
                        None if *if_exists => {}
                        None => return Err(missing),
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

    fn slot(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| same_name(&slot.column.name, name))
    }

    /// Whether this statement added a column of that name.
    fn is_added(&self, name: &str) -> bool {
        self.slots.iter().any(|slot| slot.old.is_none() && same_name(&slot.column.name, name))
    }

    fn is_there(&self, name: &str) -> bool {
        self.slot(name).is_some() || self.table.position(name).is_some()
    }

    /// Takes a column from where it is and puts it where the clause says.
    fn replace(&mut self, old: &str, ddl: &ColumnDdl, place: Option<&Place>) -> Result<(), Reason> {
        let is = |slot: &Slot| slot.old.as_deref().is_some_and(|before| same_name(before, old));
        self.slots.retain(|slot| !is(slot));
        self.insert(Some(old.into()), ddl, place)
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
            Some(Place::After(name)) => self.slot(name).ok_or(reason("a column in the table"))? + 1,
        };
        self.slots.insert(at, Slot { old, column });
        Ok(())
    }

    /// What the server keeps in its place: MySQL's `my_row_id` first, MariaDB's hidden columns of
    /// system versioning, which come and go, last.
    fn hidden(&mut self) {
        if self.table.has_generated_key() && !self.rules.server.mariadb {
            let own = |slot: &Slot| slot.old.as_deref() != Some(GENERATED_KEY);
            self.slots.sort_by_key(own);
        }
        self.versioning();
    }

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
        let keys = self.table.keys.iter().map(|key| self.kept_key(key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let mut keys = keys.into_iter().flatten().collect::<Vec<_>>();
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
    fn kept_key(&self, key: &KeyDefinition) -> Result<Option<KeyDefinition>, Reason> {
        let is = |name: &String| same_name(name, &key.name);
        let mut kept = KeyDefinition { parts: Vec::new(), ..key.clone() };
        for clause in self.clauses {
            match clause {
                Clause::DropPrimaryKey if key.name == "PRIMARY" => return Ok(None),
                Clause::DropKey(name) | Clause::DropConstraint(name) if is(name) => {
                    return Ok(None);
                }
                Clause::RenameKey { old, new } if is(old) => kept.name.clone_from(new),
                _ => {}
            }
        }
        for part in &key.parts {
            let Some(name) = &part.column else {
                kept.parts.push(part.clone());
                continue;
            };
            let follows = |slot: &&Slot| match &slot.old {
                Some(old) => same_name(old, name),
                None => same_name(&slot.column.name, name),
            };
            let Some(slot) = self.slots.iter().find(follows) else { continue };
            if slot.old.is_none() && matches!(key.kind, KeyKind::Primary | KeyKind::Unique) {
                // The servers let the key go over to the new one, with the old one's length.
                return Err(reason("no unique column that is dropped and added at once"));
            }
            let column = Some(slot.column.name.clone());
            kept.parts.push(KeyPart { column, prefix: part.prefix });
        }
        Ok((!kept.parts.is_empty()).then_some(kept))
    }
}
