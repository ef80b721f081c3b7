//! The steps that all grammars of statements share.
//!
//! Enters: tokens. Leaves: names, words, texts, and what is stepped over. Keeps: brackets are
//! counted, not recursed into; every step goes forward, so that reading takes time in proportion to
//! the text.

use alloc::string::String;

use super::Named;
use super::tokens::{Kind, Lexer, Token};

/// Where and why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: &'static str,
    pub(super) offset: usize,
}

pub(super) type Read<T> = Result<T, Fault>;

/// A place in a statement with the token that stands there. Copying it is looking ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    pub(super) token: Token<'a>,
    /// Byte behind the token before.
    pub(super) before: usize,
    pub(super) mariadb: bool,
    pub(super) mode: u64,
}

impl<'a> Parser<'a> {
    pub(super) fn new(sql: &'a str, mode: u64, mariadb: bool) -> Self {
        let mut lexer = Lexer::new(sql, mode, mariadb);
        let token = lexer.next();
        Self { lexer, token, before: 0, mariadb, mode }
    }

    pub(super) fn backslash(&self) -> bool {
        self.lexer.backslash()
    }

    pub(super) fn bump(&mut self) -> Token<'a> {
        let token = self.token;
        self.before = token.end();
        self.token = self.lexer.next();
        token
    }

    pub(super) fn bump_by(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    pub(super) fn peek(&self) -> Token<'a> {
        let mut lexer = self.lexer;
        lexer.next()
    }

    pub(super) fn at_end(&self) -> bool {
        self.token.kind == Kind::End || self.token.is_mark(';')
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.token.is(word)
    }

    pub(super) fn is_mark(&self, mark: char) -> bool {
        self.token.is_mark(mark)
    }

    /// Whether these two words stand here.
    pub(super) fn are(&self, first: &str, second: &str) -> bool {
        self.is(first) && self.peek().is(second)
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn eat_any(&mut self, words: &[&str]) -> bool {
        let found = self.token.is_any(words);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn eat_both(&mut self, first: &str, second: &str) -> bool {
        let found = self.are(first, second);
        if found {
            self.bump();
            self.bump();
        }
        found
    }

    pub(super) fn eat_mark(&mut self, mark: char) -> bool {
        let found = self.is_mark(mark);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn fail<T>(&self, what: &'static str) -> Read<T> {
        Err(Fault { what, offset: self.token.at })
    }

    pub(super) fn expect(&mut self, word: &str, what: &'static str) -> Read<()> {
        if self.eat(word) { Ok(()) } else { self.fail(what) }
    }

    pub(super) fn expect_mark(&mut self, mark: char, what: &'static str) -> Read<()> {
        if self.eat_mark(mark) { Ok(()) } else { self.fail(what) }
    }

    /// IF EXISTS, IF NOT EXISTS.
    pub(super) fn if_exists(&mut self) -> bool {
        let found = self.is("IF") && self.peek().is_any(&["NOT", "EXISTS"]);
        if found {
            self.bump();
            self.eat("NOT");
            self.eat("EXISTS");
        }
        found
    }

    /// MariaDB: WAIT n, NOWAIT.
    pub(super) fn wait(&mut self) {
        if self.is("WAIT") && self.peek().raw.starts_with(|ch: char| ch.is_ascii_digit()) {
            self.bump();
            self.bump();
        } else {
            self.eat("NOWAIT");
        }
    }

    pub(super) fn identifier(&mut self) -> Option<String> {
        let name = self.token.identifier()?;
        self.bump();
        Some(name)
    }

    pub(super) fn expect_identifier(&mut self, what: &'static str) -> Read<String> {
        match self.identifier() {
            Some(name) => Ok(name),
            None => self.fail(what),
        }
    }

    /// `table`, `database.table`, `.table`.
    pub(super) fn name(&mut self) -> Option<Named> {
        if self.is_mark('.') {
            self.bump();
            return Some(Named { database: None, table: self.identifier()? });
        }
        let first = self.identifier()?;
        if self.is_mark('.') {
            let ahead = *self;
            self.bump();
            if let Some(table) = self.identifier() {
                return Some(Named { database: Some(first), table });
            }
            *self = ahead;
            self.bump();
        }
        Some(Named { database: None, table: first })
    }

    pub(super) fn expect_name(&mut self) -> Read<Named> {
        match self.name() {
            Some(name) => Ok(name),
            None => self.fail("a table's name"),
        }
    }

    /// A string literal; pieces side by side are one.
    pub(super) fn text(&mut self) -> Option<String> {
        let mut text = self.token.text(self.backslash())?;
        self.bump();
        while let Some(more) = self.token.text(self.backslash()) {
            text.push_str(&more);
            self.bump();
        }
        Some(text)
    }

    /// A whole number.
    pub(super) fn number(&mut self) -> Read<u32> {
        match self.token.raw.parse() {
            Ok(number) if self.token.kind == Kind::Word => {
                self.bump();
                Ok(number)
            }
            _ => self.fail("a number"),
        }
    }

    /// Steps over one token, or over everything in the brackets that begin here.
    pub(super) fn skip(&mut self) {
        if !self.bump().is_mark('(') {
            return;
        }
        let mut depth = 1_usize;
        while depth > 0 && self.token.kind != Kind::End {
            match self.bump().kind {
                Kind::Mark('(') => depth += 1,
                Kind::Mark(')') => depth -= 1,
                _ => {}
            }
        }
    }

    /// What stands in the brackets that begin here, as written; steps over them.
    pub(super) fn bracketed(&mut self) -> Read<String> {
        if !self.is_mark('(') {
            return self.fail("(");
        }
        let from = self.token.end();
        self.skip();
        if self.before <= from || !self.lexer.slice(self.before - 1, self.before).eq(")") {
            return self.fail(")");
        }
        Ok(self.lexer.slice(from, self.before - 1).trim().into())
    }

    /// The text from a byte up to here.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.lexer.slice(from, self.before)
    }

    /// Steps to the comma or bracket that ends what stands here.
    pub(super) fn skip_item(&mut self) {
        while !self.at_item_end() {
            self.skip();
        }
    }

    /// At a comma, a closing bracket or the end.
    pub(super) fn at_item_end(&self) -> bool {
        matches!(self.token.kind, Kind::End | Kind::Mark(',' | ')' | ';'))
    }

    /// Steps to the end.
    pub(super) fn skip_all(&mut self) {
        while self.token.kind != Kind::End {
            self.bump();
        }
    }
}
