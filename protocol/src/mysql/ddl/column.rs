//! Column definitions: a type, then attributes in any order.
//!
//! Enters: the tokens from a column's name on. Leaves: [`ColumnDdl`]. Keeps: what an attribute means
//! follows the server's grammar (`sql/sql_yacc.yy`, `column_attribute`); of NULL, NOT NULL and what
//! implies them the last one counts; an attribute that is not known is an error.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::change::{ColumnDdl, DefaultDdl, Generated, RowBound};
use super::parser::{Parser, Read};
use super::tokens::Kind;

impl Parser<'_> {
    /// A name and its definition.
    pub(super) fn named_column(&mut self) -> Read<ColumnDdl> {
        let name = self.expect_identifier("a column's name")?;
        self.column(name)
    }

    /// What follows a column's name.
    pub(super) fn column(&mut self, name: String) -> Read<ColumnDdl> {
        let (ty, extras) = self.data_type()?;
        let mut column = ColumnDdl { name, ty, json_valid: extras.json, ..ColumnDdl::default() };
        if extras.serial {
            serial(&mut column);
        }
        while self.attribute(&mut column)? {}
        Ok(column)
    }

    /// One attribute; false if none stands here.
    fn attribute(&mut self, column: &mut ColumnDdl) -> Read<bool> {
        if self.token.kind != Kind::Word {
            return if self.at_item_end() { Ok(false) } else { self.fail("an attribute") };
        }
        let word = self.token.raw.to_ascii_lowercase();
        let next = self.peek();
        match word.as_str() {
            // What may follow a definition in ALTER TABLE.
            "first" | "after" | "partition" | "remove" => return Ok(false),
            "not" if next.is("null") => {
                column.nullable = Some(false);
                self.eat_both("not", "null");
            }
            // NOT SECONDARY, NOT ENFORCED.
            "not" => self.bump_by(2),
            "null" => {
                column.nullable = Some(true);
                self.bump();
            }
            "default" => {
                self.bump();
                column.default = Some(self.default()?);
            }
            "on" => {
                self.bump();
                self.expect("update", "UPDATE")?;
                match self.now() {
                    Some(digits) => column.on_update = Some(digits),
                    None => return self.fail("CURRENT_TIMESTAMP"),
                }
            }
            "auto_increment" => {
                column.auto_increment = true;
                column.nullable = Some(false);
                self.bump();
            }
            "serial" => {
                self.bump();
                self.expect("default", "DEFAULT VALUE")?;
                self.expect("value", "DEFAULT VALUE")?;
                serial(column);
            }
            "primary" | "key" => {
                self.eat("primary");
                self.eat("key");
                column.primary = true;
                column.nullable = Some(false);
            }
            "unique" => {
                self.bump();
                self.eat_any(&["key", "index"]);
                column.unique = true;
            }
            "comment" => {
                self.bump();
                self.eat_mark('=');
                let Some(comment) = self.text() else { return self.fail("a comment") };
                column.comment = Some(comment);
            }
            "generated" | "as" => self.generated(column)?,
            "invisible" | "visible" => {
                column.invisible = word == "invisible";
                self.bump();
            }
            "with" | "without" if next.is("system") => {
                column.versioning = Some(word == "with");
                self.bump_by(3);
            }
            "constraint" => {
                self.bump();
                if !self.token.is_any(&["check", "references"]) {
                    self.bump();
                }
            }
            "check" => self.check(column)?,
            "references" => {
                column.references = true;
                self.references()?;
            }
            "enforced" => self.bump_by(1),
            "column_format" | "storage" | "srid" => self.bump_by(2),
            "engine_attribute" | "secondary_engine_attribute" => {
                self.bump();
                self.eat_mark('=');
                self.bump();
            }
            // MariaDB: REF_SYSTEM_ID = n, and attributes of storage engines.
            _ if next.is_mark('=') => self.bump_by(3),
            _ => return self.other_attribute(column),
        }
        Ok(true)
    }

    fn other_attribute(&mut self, column: &mut ColumnDdl) -> Read<bool> {
        if self.type_option(&mut column.ty)? {
            return Ok(true);
        }
        self.fail("an attribute")
    }

    /// `[GENERATED ALWAYS] AS (…) [VIRTUAL|STORED]`, `GENERATED ALWAYS AS ROW START`.
    fn generated(&mut self, column: &mut ColumnDdl) -> Read<()> {
        if self.eat("generated") {
            self.expect("always", "ALWAYS")?;
        }
        self.expect("as", "AS")?;
        if self.eat("row") {
            column.row = Some(if self.eat("start") { RowBound::Start } else { RowBound::End });
            if column.row == Some(RowBound::End) {
                self.expect("end", "START or END")?;
            }
            return Ok(());
        }
        let expression = self.bracketed()?;
        let stored = self.eat_any(&["stored", "persistent"]);
        self.eat("virtual");
        column.generated = Some(Generated { stored, expression });
        Ok(())
    }

    /// `CHECK (…)`.
    fn check(&mut self, column: &mut ColumnDdl) -> Read<()> {
        self.bump();
        let mut inner = *self;
        self.bracketed()?;
        inner.bump();
        if inner.eat("json_valid") && inner.eat_mark('(') {
            column.json_valid |= inner.identifier().is_some_and(|name| name == column.name);
        }
        Ok(())
    }

    /// `REFERENCES t (a) MATCH … ON DELETE … ON UPDATE …`.
    pub(super) fn references(&mut self) -> Read<()> {
        self.expect("references", "REFERENCES")?;
        self.expect_name()?;
        if self.is_mark('(') {
            self.skip();
        }
        loop {
            if self.eat("match") {
                self.bump();
            } else if self.is("on") && self.peek().is_any(&["delete", "update"]) {
                let mut ahead = *self;
                ahead.bump();
                ahead.bump();
                if ahead.eat("set") || ahead.eat("no") {
                    ahead.bump();
                } else if !ahead.eat_any(&["restrict", "cascade"]) {
                    return Ok(());
                }
                *self = ahead;
            } else {
                return Ok(());
            }
        }
    }

    /// CURRENT_TIMESTAMP and its synonyms; the digits in brackets.
    fn now(&mut self) -> Option<u8> {
        let bare = ["current_timestamp", "localtime", "localtimestamp"];
        let call = self.is("now") && self.peek().is_mark('(');
        if !self.token.is_any(&bare) && !call {
            return None;
        }
        self.bump();
        if !self.eat_mark('(') {
            return Some(0);
        }
        let digits = self.token.raw.parse().unwrap_or_default();
        while self.token.kind != Kind::End && !self.eat_mark(')') {
            self.bump();
        }
        Some(digits)
    }

    /// What follows DEFAULT.
    pub(super) fn default(&mut self) -> Read<DefaultDdl> {
        if self.is_mark('(') {
            let inner = *self;
            let expression = self.bracketed()?;
            let literal = if self.mariadb { inner.bracketed_literal() } else { None };
            return Ok(literal.unwrap_or(DefaultDdl::Expression(expression)));
        }
        let from = self.token.at;
        if let Some(literal) = self.literal() {
            return Ok(literal);
        }
        // A function, NEXT VALUE FOR a sequence, another column.
        if self.token.kind != Kind::Word && self.token.kind != Kind::Quoted {
            return self.fail("a default");
        }
        if self.is("next") || self.is("previous") {
            self.bump();
            self.eat("value");
            self.eat("for");
            self.name();
        } else {
            self.name();
            while self.is_mark('(') {
                self.skip();
            }
        }
        Ok(DefaultDdl::Expression(self.since(from).to_owned()))
    }

    /// MariaDB keeps `(5)` and `(now())` as what stands inside.
    fn bracketed_literal(mut self) -> Option<DefaultDdl> {
        while self.eat_mark('(') {}
        let literal = self.literal()?;
        self.is_mark(')').then_some(literal)
    }

    /// A literal, or "now".
    fn literal(&mut self) -> Option<DefaultDdl> {
        if let Some(digits) = self.now() {
            return Some(DefaultDdl::Now(digits));
        }
        let introduced = self.token.kind == Kind::Word
            && (self.token.raw.starts_with('_')
                || self.token.is_any(&["date", "time", "timestamp"]));
        if introduced && matches!(self.peek().kind, Kind::Text | Kind::Hex | Kind::Bits) {
            self.bump();
        }
        match self.token.kind {
            Kind::Text => self.text().map(DefaultDdl::Text),
            Kind::Hex => self.bump().digits().map(|d| DefaultDdl::Hex(d.into())),
            Kind::Bits => self.bump().digits().map(|d| DefaultDdl::Bits(d.into())),
            Kind::Word | Kind::Mark('-' | '+' | '.') => self.plain_literal(),
            _ => None,
        }
    }

    /// NULL, TRUE, numbers.
    fn plain_literal(&mut self) -> Option<DefaultDdl> {
        let simple = |parser: &mut Self, literal| {
            parser.bump();
            Some(literal)
        };
        if self.is("null") {
            return simple(self, DefaultDdl::Null);
        }
        if self.is("true") {
            return simple(self, DefaultDdl::Number("1".into()));
        }
        if self.is("false") {
            return simple(self, DefaultDdl::Number("0".into()));
        }
        let raw = self.token.raw;
        if let Some(digits) = raw.strip_prefix("0x").or_else(|| raw.strip_prefix("0X")) {
            return simple(self, DefaultDdl::Hex(digits.into()));
        }
        if let Some(digits) = raw.strip_prefix("0b").or_else(|| raw.strip_prefix("0B")) {
            return simple(self, DefaultDdl::Bits(digits.into()));
        }
        let before = *self;
        let sign = if self.is_mark('-') { "-" } else { "" };
        while self.is_mark('-') || self.is_mark('+') {
            self.bump();
        }
        if let Some(text) = self.token.text(self.backslash()).filter(|_| !sign.is_empty()) {
            self.bump();
            return Some(DefaultDdl::Number(sign.to_owned() + &text));
        }
        let from = self.token.at;
        if !self.token.raw.starts_with(|ch: char| ch.is_ascii_digit() || ch == '.') {
            *self = before;
            return None;
        }
        self.number_tokens();
        Some(DefaultDdl::Number(sign.to_owned() + self.since(from)))
    }

    /// `1`, `1.5`, `.5`, `1.`, `1e10`, `1.5e-3`: pieces that touch.
    fn number_tokens(&mut self) {
        let mut last = self.bump();
        while self.token.at == last.end() {
            let exponent = last.kind == Kind::Word
                && last.raw.ends_with(['e', 'E'])
                && last.raw.starts_with(|ch: char| ch.is_ascii_digit());
            let signed = exponent && (self.is_mark('-') || self.is_mark('+'));
            let digits = self.token.raw.starts_with(|ch: char| ch.is_ascii_digit());
            let fraction = last.is_mark('.') && self.token.kind == Kind::Word;
            if !(signed || self.is_mark('.') || digits || fraction) {
                break;
            }
            last = self.bump();
        }
    }
}

fn serial(column: &mut ColumnDdl) {
    column.nullable = Some(false);
    column.auto_increment = true;
    column.unique = true;
}
