//! A statement as a change of schema.
//!
//! Enters: the text. Leaves: a [`Change`], or none. Keeps: only statements about tables and
//! databases are read at all; one that is not understood is `Change::Unknown` with the tables that
//! [`classify`] finds in it.

use alloc::vec::Vec;

use super::change::{Change, Clause, KeyKind};
use super::parser::{Fault, Parser, Read};
use super::{Statement, classify};

/// Reads a statement; `None`: it changes no schema (views, routines, users, temporary tables, rows).
/// `sql_mode` as the QUERY event has it.
#[must_use]
pub fn parse(sql: &str, sql_mode: u64, mariadb: bool) -> Option<Change> {
    let change = read(sql, sql_mode, mariadb)?;
    // MariaDB's SET STATEMENT sql_mode=… FOR …: the event has that mode, but the text was read in
    // the session's own, which is not told. If it matters, the statement is not understood.
    let own_mode = mariadb && Parser::new(sql, sql_mode, mariadb).sets_mode();
    if own_mode && read(sql, 0, mariadb).as_ref() != Some(&change) {
        let what = "a sql_mode that SET STATEMENT does not hide";
        return unknown(sql, sql_mode, mariadb, Fault { what, offset: 0 });
    }
    Some(change)
}

fn read(sql: &str, sql_mode: u64, mariadb: bool) -> Option<Change> {
    let mut parser = Parser::new(sql, sql_mode, mariadb);
    match parser.schema_change() {
        Ok(change) => change,
        Err(fault) => unknown(sql, sql_mode, mariadb, fault),
    }
}

fn unknown(sql: &str, sql_mode: u64, mariadb: bool, fault: Fault) -> Option<Change> {
    let tables = match classify(sql, sql_mode, mariadb) {
        Statement::Ddl(tables) => tables,
        Statement::Truncate(table) => [table].into(),
        _ => return None,
    };
    Some(Change::Unknown { tables, what: fault.what, offset: fault.offset })
}

impl Parser<'_> {
    /// Whether it is a SET STATEMENT with `sql_mode`.
    fn sets_mode(&mut self) -> bool {
        let mut found = false;
        if self.are("set", "statement") {
            while !self.at_end() && !self.is("for") {
                found |= self.bump().is("sql_mode");
            }
        }
        found
    }

    fn schema_change(&mut self) -> Read<Option<Change>> {
        self.set_statement();
        let verb = self.bump();
        if verb.is("create") {
            self.create()
        } else if verb.is("alter") {
            self.alter()
        } else if verb.is("drop") {
            self.drop_statement()
        } else if verb.is("rename") && self.eat_any(&["table", "tables"]) {
            self.rename_tables().map(Some)
        } else if verb.is("truncate") {
            self.eat("table");
            Ok(Some(Change::Truncate(self.expect_name()?)))
        } else {
            Ok(None)
        }
    }

    fn create(&mut self) -> Read<Option<Change>> {
        let or_replace = self.eat_both("or", "replace");
        // MySQL 5.5 and MariaDB: ONLINE, OFFLINE.
        self.eat_any(&["online", "offline"]);
        let kind = if self.eat("unique") {
            KeyKind::Unique
        } else if self.eat("fulltext") {
            KeyKind::Fulltext
        } else if self.eat("spatial") {
            KeyKind::Spatial
        } else if self.eat("vector") {
            KeyKind::Vector
        } else {
            KeyKind::Plain
        };
        if self.eat("index") {
            return self.create_index(kind, or_replace).map(Some);
        }
        if self.eat("table") {
            return self.create_table(or_replace).map(Some);
        }
        if self.eat("sequence") {
            return self.create_sequence().map(Some);
        }
        if self.eat_any(&["database", "schema"]) {
            let if_not_exists = self.if_exists();
            let name = self.expect_identifier("a database's name")?;
            let charset = self.database_options()?;
            return Ok(Some(Change::CreateDatabase { name, if_not_exists, or_replace, charset }));
        }
        Ok(None)
    }

    fn alter(&mut self) -> Read<Option<Change>> {
        while self.eat_any(&["online", "offline", "ignore"]) {}
        if self.eat("table") {
            let if_exists = self.if_exists();
            let name = self.expect_name()?;
            let clauses = self.alter_clauses()?;
            return Ok(Some(Change::AlterTable { name, if_exists, clauses }));
        }
        if self.eat_any(&["database", "schema"]) {
            let options = ["character", "char", "charset", "collate", "default", "encryption"];
            let next = self.peek();
            // The name may be left out; a database may have the name of an option.
            let option = self.token.is_any(&options)
                && !next.is_any(&["character", "charset", "collate", "default"])
                || self.is("default");
            let name = if option { None } else { self.identifier() };
            let charset = self.database_options()?;
            return Ok(Some(Change::AlterDatabase { name, charset }));
        }
        Ok(None)
    }

    fn drop_statement(&mut self) -> Read<Option<Change>> {
        if self.eat_any(&["table", "tables", "sequence"]) {
            self.if_exists();
            let mut tables = Vec::new();
            loop {
                tables.push(self.expect_name()?);
                self.wait();
                if !self.eat_mark(',') {
                    return Ok(Some(Change::DropTables(tables)));
                }
            }
        }
        if self.eat("index") {
            self.if_exists();
            let key = self.expect_identifier("an index's name")?;
            self.expect("on", "ON")?;
            let name = self.expect_name()?;
            let clause = if key.eq_ignore_ascii_case("primary") {
                Clause::DropPrimaryKey
            } else {
                Clause::DropKey(key)
            };
            let clauses = [clause].into();
            return Ok(Some(Change::AlterTable { name, if_exists: false, clauses }));
        }
        if self.eat_any(&["database", "schema"]) {
            self.if_exists();
            let name = self.expect_identifier("a database's name")?;
            return Ok(Some(Change::DropDatabase(name)));
        }
        Ok(None)
    }

    fn rename_tables(&mut self) -> Read<Change> {
        self.if_exists();
        let mut pairs = Vec::new();
        loop {
            let from = self.expect_name()?;
            self.wait();
            self.expect("to", "TO")?;
            pairs.push((from, self.expect_name()?));
            if !self.eat_mark(',') {
                return Ok(Change::RenameTables(pairs));
            }
        }
    }
}
