//! Keys, constraints, and the other elements between the brackets of CREATE TABLE.
//!
//! Enters: the tokens of one element. Leaves: a key, a column, a period, or nothing that matters.
//! Keeps: keys of columns stand where the column does, as the server's list of keys has them.

use alloc::string::String;
use alloc::vec::Vec;

use super::change::{ColumnDdl, KeyDdl, KeyKind, KeyPart};
use super::parser::{Parser, Read};

/// An element of a table.
pub(super) enum Element {
    Column(ColumnDdl),
    Key(KeyDdl),
    Period(String, String),
    /// A check, or an application-time period.
    Nothing,
}

impl Parser<'_> {
    /// One element, the cursor left at what ends it.
    pub(super) fn element(&mut self) -> Read<Element> {
        match self.constraint()? {
            Some(element) => Ok(element),
            None => Ok(Element::Column(self.named_column()?)),
        }
    }

    /// A key or a constraint; `None`: a column stands here.
    pub(super) fn constraint(&mut self) -> Read<Option<Element>> {
        let mut constraint = None;
        let named = self.eat("constraint");
        if named {
            self.if_exists();
            if !self.token.is_any(&["primary", "unique", "foreign", "check"]) {
                constraint = Some(self.expect_identifier("a constraint's name")?);
            }
        }
        let next = self.peek();
        let kind = if self.is("primary") && next.is("key") {
            self.bump();
            self.bump();
            KeyKind::Primary
        } else if self.eat("unique") {
            self.eat_any(&["key", "index"]);
            KeyKind::Unique
        } else if self.eat_any(&["key", "index"]) {
            KeyKind::Plain
        } else if self.eat("fulltext") {
            self.eat_any(&["key", "index"]);
            KeyKind::Fulltext
        } else if self.eat("spatial") {
            self.eat_any(&["key", "index"]);
            KeyKind::Spatial
        } else if self.is("vector") && (next.is_any(&["key", "index"]) || next.is_mark('(')) {
            self.bump();
            self.eat_any(&["key", "index"]);
            KeyKind::Vector
        } else if self.eat_both("foreign", "key") {
            return self.foreign_key(constraint).map(|key| Some(Element::Key(key)));
        } else if self.is("check") {
            self.bump();
            self.bracketed()?;
            self.skip_item();
            return Ok(Some(Element::Nothing));
        } else if self.is("period") && next.is("for") {
            return self.period().map(Some);
        } else if named {
            return self.fail("a constraint");
        } else {
            return Ok(None);
        };
        self.key(kind, constraint).map(|key| Some(Element::Key(key)))
    }

    /// A key behind the words that tell its kind.
    fn key(&mut self, kind: KeyKind, constraint: Option<String>) -> Read<KeyDdl> {
        let if_not_exists = self.if_exists();
        let mut name = None;
        let index_type = self.token.is_any(&["using", "type"]) && !self.peek().is_mark('(');
        if !self.is_mark('(') && !index_type {
            name = Some(self.expect_identifier("a key's name")?);
        }
        self.index_type();
        let parts = self.key_parts()?;
        self.skip_item();
        let name = match kind {
            KeyKind::Primary => Some("PRIMARY".into()),
            _ => name.or(constraint),
        };
        Ok(KeyDdl { kind, name, constraint: None, parts, if_not_exists, or_replace: false })
    }

    /// USING BTREE.
    pub(super) fn index_type(&mut self) {
        if self.token.is_any(&["using", "type"]) {
            self.bump();
            self.bump();
        }
    }

    /// `(a, b(10) DESC, (expression))`.
    pub(super) fn key_parts(&mut self) -> Read<Vec<KeyPart>> {
        self.expect_mark('(', "(")?;
        let mut parts = Vec::new();
        loop {
            let mut part = KeyPart { column: None, prefix: None };
            if self.is_mark('(') {
                self.skip();
            } else {
                part.column = Some(self.expect_identifier("a key's column")?);
                if self.eat_mark('(') {
                    part.prefix = Some(self.number()?);
                    self.expect_mark(')', ")")?;
                }
                if self.eat_both("without", "overlaps") {
                    part.column = None;
                }
            }
            self.eat_any(&["asc", "desc"]);
            parts.push(part);
            if !self.eat_mark(',') {
                break;
            }
        }
        self.expect_mark(')', ")")?;
        Ok(parts)
    }

    fn foreign_key(&mut self, constraint: Option<String>) -> Read<KeyDdl> {
        let if_not_exists = self.if_exists();
        let name = if self.is_mark('(') { None } else { self.identifier() };
        let parts = self.key_parts()?;
        self.references()?;
        self.skip_item();
        let kind = KeyKind::Foreign;
        Ok(KeyDdl { kind, name, constraint, parts, if_not_exists, or_replace: false })
    }

    /// `PERIOD FOR SYSTEM_TIME (start, end)`; other periods have columns of their own.
    fn period(&mut self) -> Read<Element> {
        self.bump();
        self.bump();
        self.if_exists();
        let system = self.is("system_time");
        self.bump();
        self.expect_mark('(', "(")?;
        let start = self.expect_identifier("a column's name")?;
        self.expect_mark(',', ",")?;
        let end = self.expect_identifier("a column's name")?;
        self.expect_mark(')', ")")?;
        Ok(if system { Element::Period(start, end) } else { Element::Nothing })
    }
}
