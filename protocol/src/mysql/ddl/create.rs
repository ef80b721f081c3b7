//! CREATE TABLE, CREATE INDEX, CREATE SEQUENCE, and the options of tables.
//!
//! Enters: the tokens behind the kind of object. Leaves: a [`Change`]. Keeps: options that do not
//! matter, partitions among them, are stepped over by balanced tokens.

use alloc::string::String;

use super::change::{
    Change, CharsetClause, Clause, ColumnDdl, CreateTable, KeyDdl, KeyKind, KeyPart, TableOptions,
};
use super::key::Element;
use super::parser::{Parser, Read};
use super::tokens::Kind;

impl Parser<'_> {
    /// Behind CREATE TABLE.
    pub(super) fn create_table(&mut self, or_replace: bool) -> Read<Change> {
        let if_not_exists = self.if_exists();
        let name = Some(self.expect_name()?);
        let mut table = CreateTable { name, if_not_exists, or_replace, ..CreateTable::default() };
        let in_brackets = self.is_mark('(') && self.peek().is("like");
        if in_brackets {
            self.bump();
        }
        if self.eat("like") {
            table.like = Some(self.expect_name()?);
            return Ok(Change::CreateTable(table));
        }
        let select = self.is_mark('(') && self.opens_select();
        if self.is_mark('(') && !select {
            self.bump();
            self.elements(&mut table)?;
        }
        self.create_options(&mut table)?;
        Ok(Change::CreateTable(table))
    }

    /// `(SELECT`, `((SELECT`, `(WITH`.
    fn opens_select(&self) -> bool {
        let mut ahead = *self;
        while ahead.eat_mark('(') {}
        ahead.token.is_any(&["select", "with", "values", "table"])
            && ahead.peek().kind != Kind::Mark('(')
            || ahead.is("select")
    }

    /// Elements up to the closing bracket.
    fn elements(&mut self, table: &mut CreateTable) -> Read<()> {
        loop {
            match self.element()? {
                Element::Column(column) => {
                    column_keys(&column, false, |key| table.keys.push(key));
                    table.columns.push(column);
                }
                Element::Key(key) => table.keys.push(key),
                Element::Period(start, end) => table.period = Some((start, end)),
                Element::Nothing => {}
            }
            if !self.eat_mark(',') {
                return self.expect_mark(')', ", or )");
            }
        }
    }

    /// Everything behind the elements.
    fn create_options(&mut self, table: &mut CreateTable) -> Read<()> {
        while !self.at_end() {
            if self.are("with", "system") {
                self.option(&mut table.options)?;
            } else if self.token.is_any(&["as", "select", "with", "values", "table", "replace"])
                || self.is_mark('(') && self.opens_select()
                || self.is("ignore") && self.peek().is_any(&["as", "select"])
            {
                table.selects = true;
                return Ok(());
            } else if self.eat("partition") {
                while !self.at_end() && !self.token.is_any(&["as", "select"]) {
                    self.skip();
                }
            } else if !self.option(&mut table.options)? {
                self.skip();
            }
        }
        Ok(())
    }

    /// A table option that matters; false if another stands here.
    pub(super) fn option(&mut self, options: &mut TableOptions) -> Read<bool> {
        if self.token.kind != Kind::Word {
            return Ok(false);
        }
        let next = self.peek();
        if self.is("default") && next.is_any(&["character", "char", "charset", "collate"]) {
            self.bump();
            return self.option(options);
        }
        if self.charset_clause(&mut options.charset)? {
            return Ok(true);
        }
        if self.are("with", "system") {
            self.bump_by(2);
            self.expect("versioning", "VERSIONING")?;
            options.versioned = true;
        } else if self.is("comment") && (next.kind == Kind::Text || next.is_mark('=')) {
            self.bump();
            self.eat_mark('=');
            options.comment = self.text();
        } else if self.token.is_any(&["engine", "type"]) && !next.is_mark('(') {
            self.bump();
            self.eat_mark('=');
            options.engine = self.text().or_else(|| self.identifier());
        } else {
            // `NAME = value`: the value is none of the words above.
            self.bump();
            if self.eat_mark('=') && !self.at_item_end() {
                self.skip();
            }
        }
        Ok(true)
    }

    /// `[DEFAULT] CHARACTER SET = x`, `COLLATE = x`; the last of each counts.
    pub(super) fn charset_clause(&mut self, clause: &mut CharsetClause) -> Read<bool> {
        let long = self.token.is_any(&["character", "char"]) && self.peek().is("set");
        if long {
            self.bump();
        }
        if long || self.is("charset") {
            self.bump();
            self.eat_mark('=');
            clause.charset = Some(self.charset()?);
        } else if self.eat("collate") {
            self.eat_mark('=');
            clause.collation = Some(self.charset()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Behind CREATE [UNIQUE|…] INDEX: a clause of ALTER TABLE.
    pub(super) fn create_index(&mut self, kind: KeyKind, or_replace: bool) -> Read<Change> {
        let if_not_exists = self.if_exists();
        let name = self.expect_identifier("an index's name")?;
        self.index_type();
        self.expect("on", "ON")?;
        let table = self.expect_name()?;
        self.index_type();
        let parts = self.key_parts()?;
        let name = Some(name);
        let key = KeyDdl { kind, name, constraint: None, parts, if_not_exists, or_replace };
        let clauses = [Clause::AddKey(key)].into();
        Ok(Change::AlterTable { name: table, if_exists: false, clauses })
    }

    /// Behind CREATE SEQUENCE.
    pub(super) fn create_sequence(&mut self) -> Read<Change> {
        let if_not_exists = self.if_exists();
        let name = self.expect_name()?;
        let ty = if self.eat("as") { Some(self.data_type()?.0) } else { None };
        Ok(Change::CreateSequence { name, if_not_exists, ty })
    }

    /// Behind CREATE DATABASE's name, ALTER DATABASE's.
    pub(super) fn database_options(&mut self) -> Read<CharsetClause> {
        let mut clause = CharsetClause::default();
        while !self.at_end() {
            self.eat("default");
            if !self.charset_clause(&mut clause)? {
                self.skip();
            }
        }
        Ok(clause)
    }
}

/// The keys that a column's own attributes make.
pub(super) fn column_keys(column: &ColumnDdl, if_not_exists: bool, mut push: impl FnMut(KeyDdl)) {
    let parts = || [KeyPart { column: Some(column.name.clone()), prefix: None }].into();
    let key = |kind, name: Option<String>| KeyDdl {
        kind,
        name,
        constraint: None,
        parts: parts(),
        if_not_exists,
        or_replace: false,
    };
    if column.primary {
        push(key(KeyKind::Primary, Some("PRIMARY".into())));
    }
    if column.unique {
        push(key(KeyKind::Unique, None));
    }
    if column.references {
        push(key(KeyKind::Foreign, None));
    }
}
