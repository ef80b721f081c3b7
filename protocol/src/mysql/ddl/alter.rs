//! ALTER TABLE.
//!
//! Enters: the tokens behind the table's name. Leaves: its clauses in order. Keeps: every clause
//! that adds, drops, changes, renames or reorders columns or keys, or changes character sets, is
//! read; partitions, options and the rest are stepped over; a clause that is not understood at its
//! end is an error.

use alloc::vec::Vec;

use super::change::{CharsetClause, Clause, ColumnDdl, Place, TableOptions};
use super::create::column_keys;
use super::key::Element;
use super::parser::{Parser, Read};
use super::tokens::Kind;

/// First words of table options that may stand without `=`.
const OPTIONS: &[&str] = &[
    "auto_increment",
    "autoextend_size",
    "avg_row_length",
    "char",
    "character",
    "charset",
    "checksum",
    "collate",
    "comment",
    "compression",
    "connection",
    "data",
    "default",
    "delay_key_write",
    "encryption",
    "engine",
    "engine_attribute",
    "index",
    "insert_method",
    "key_block_size",
    "max_rows",
    "min_rows",
    "pack_keys",
    "page_checksum",
    "password",
    "row_format",
    "secondary_engine",
    "secondary_engine_attribute",
    "secondary_load",
    "secondary_unload",
    "sequence",
    "stats_auto_recalc",
    "stats_persistent",
    "stats_sample_pages",
    "storage",
    "table_checksum",
    "tablespace",
    "transactional",
    "type",
    "union",
    "with",
    "without",
];

impl Parser<'_> {
    /// Clauses up to the end.
    pub(super) fn alter_clauses(&mut self) -> Read<Vec<Clause>> {
        let mut clauses = Vec::new();
        while !self.at_end() {
            self.clause(&mut clauses)?;
            if self.eat_mark(',') || self.at_end() {
                continue;
            }
            // Partitions may follow a list of clauses without a comma.
            if !self.token.is_any(&["partition", "remove"]) {
                return self.fail(", or the end");
            }
        }
        Ok(clauses)
    }

    fn clause(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        if self.token.kind != Kind::Word {
            return self.fail("a clause");
        }
        let word = self.token.raw.to_ascii_lowercase();
        let next = self.peek();
        match word.as_str() {
            "add" => {
                self.bump();
                self.add(out)
            }
            "drop" => {
                self.bump();
                self.drop_clause(out)
            }
            "modify" | "change" => {
                self.bump();
                self.change(word == "modify", out)
            }
            "rename" => {
                self.bump();
                self.rename(out)
            }
            "alter" => {
                self.bump();
                self.alter_column(out)
            }
            "convert" => {
                self.bump();
                self.convert(out)
            }
            "exchange" if next.is("partition") => {
                while self.token.kind != Kind::End && !self.is("with") {
                    self.bump();
                }
                self.expect("with", "WITH TABLE")?;
                self.expect("table", "WITH TABLE")?;
                out.push(Clause::ExchangePartition(self.expect_name()?));
                self.skip_all();
                Ok(())
            }
            "truncate" | "discard" | "import" => {
                out.push(Clause::RowsRemoved);
                self.skip_all();
                Ok(())
            }
            "partition" | "remove" | "coalesce" | "reorganize" | "analyze" | "check"
            | "optimize" | "rebuild" | "repair" | "upgrade"
                if !next.is_mark('=') =>
            {
                self.skip_all();
                Ok(())
            }
            "order" if next.is("by") => {
                self.order_by();
                Ok(())
            }
            "enable" | "disable" | "force" | "wait" | "nowait" | "algorithm" | "lock" => {
                self.plain_clause(&word, out)
            }
            _ if next.is_mark('=') || OPTIONS.contains(&word.as_str()) => self.options(out),
            _ => self.fail("a clause"),
        }
    }

    /// Clauses that change nothing here, and may stand without a comma (MariaDB's WAIT).
    fn plain_clause(&mut self, word: &str, out: &mut Vec<Clause>) -> Read<()> {
        if word == "wait" || word == "nowait" {
            self.wait();
            return if self.at_end() { Ok(()) } else { self.clause_again(out) };
        }
        self.skip_item();
        Ok(())
    }

    /// What follows WAIT: one level, never more.
    fn clause_again(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        if self.token.is_any(&["wait", "nowait"]) {
            return self.fail("a clause");
        }
        self.clause(out)
    }

    /// Table options, up to a comma.
    fn options(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        let mut options = TableOptions::default();
        // The first one is taken whatever it is: every clause goes forward.
        loop {
            if !self.option(&mut options)? {
                self.skip();
            }
            if self.at_item_end() || self.token.is_any(&["partition", "remove"]) {
                break;
            }
        }
        out.push(Clause::Options(options));
        Ok(())
    }

    fn add(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        if self.is("partition") {
            self.skip_all();
            return Ok(());
        }
        if self.eat_both("system", "versioning") {
            out.push(Clause::AddVersioning);
            return Ok(());
        }
        let column = self.eat("column");
        let if_not_exists = self.if_exists();
        if self.eat_mark('(') {
            return self.add_elements(if_not_exists, out);
        }
        let element = match if column { None } else { self.constraint()? } {
            Some(element) => element,
            None => Element::Column(self.named_column()?),
        };
        self.push_element(element, if_not_exists, out)
    }

    /// `ADD (a int, b int, KEY (a))`.
    fn add_elements(&mut self, if_not_exists: bool, out: &mut Vec<Clause>) -> Read<()> {
        loop {
            let element = self.element()?;
            self.push_element(element, if_not_exists, out)?;
            if !self.eat_mark(',') {
                return self.expect_mark(')', ", or )");
            }
        }
    }

    fn push_element(
        &mut self,
        element: Element,
        if_not_exists: bool,
        out: &mut Vec<Clause>,
    ) -> Read<()> {
        match element {
            Element::Column(column) => {
                let place = self.place()?;
                let keys = keys_of(&column, if_not_exists);
                out.push(Clause::AddColumn { column, place, if_not_exists });
                out.extend(keys);
            }
            Element::Key(key) => out.push(Clause::AddKey(key)),
            Element::Period(start, end) => out.push(Clause::AddPeriod(start, end)),
            Element::Nothing => {}
        }
        Ok(())
    }

    /// FIRST, AFTER a column.
    fn place(&mut self) -> Read<Option<Place>> {
        if self.eat("first") {
            return Ok(Some(Place::First));
        }
        if self.eat("after") {
            return Ok(Some(Place::After(self.expect_identifier("a column's name")?)));
        }
        Ok(None)
    }

    fn change(&mut self, modify: bool, out: &mut Vec<Clause>) -> Read<()> {
        self.eat("column");
        let if_exists = self.if_exists();
        let old = self.expect_identifier("a column's name")?;
        let column = if modify { self.column(old.clone())? } else { self.named_column()? };
        let place = self.place()?;
        let keys = keys_of(&column, if_exists);
        out.push(Clause::ChangeColumn { old, column, place, if_exists });
        out.extend(keys);
        Ok(())
    }

    fn drop_clause(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        let next = self.peek();
        if self.is("partition") {
            out.push(Clause::RowsRemoved);
            self.skip_all();
            return Ok(());
        }
        if self.is("primary") && next.is("key") {
            self.bump_by(2);
            out.push(Clause::DropPrimaryKey);
        } else if self.is("period") && next.is("for") {
            self.bump_by(2);
            self.if_exists();
            self.bump();
        } else if self.eat_both("system", "versioning") {
            out.push(Clause::DropVersioning);
        } else if self.eat_both("foreign", "key") {
            self.if_exists();
            out.push(Clause::DropForeignKey(self.expect_identifier("a foreign key's name")?));
        } else if self.eat_any(&["key", "index"]) {
            self.if_exists();
            out.push(Clause::DropKey(self.expect_identifier("a key's name")?));
        } else if self.eat_any(&["constraint", "check"]) {
            self.if_exists();
            out.push(Clause::DropConstraint(self.expect_identifier("a constraint's name")?));
        } else {
            self.eat("column");
            let if_exists = self.if_exists();
            let name = self.expect_identifier("a column's name")?;
            self.eat_any(&["restrict", "cascade"]);
            out.push(Clause::DropColumn { name, if_exists });
        }
        Ok(())
    }

    fn rename(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        let key = self.token.is_any(&["key", "index"]);
        if key || self.is("column") {
            self.bump();
            let if_exists = self.if_exists();
            let old = self.expect_identifier("a name")?;
            self.expect("to", "TO")?;
            let new = self.expect_identifier("a name")?;
            out.push(if key {
                Clause::RenameKey { old, new }
            } else {
                Clause::RenameColumn { old, new, if_exists }
            });
            return Ok(());
        }
        if !self.eat_any(&["to", "as"]) {
            self.eat_mark('=');
        }
        out.push(Clause::RenameTable(self.expect_name()?));
        Ok(())
    }

    /// ALTER COLUMN, ALTER INDEX, ALTER CHECK.
    fn alter_column(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        if self.token.is_any(&["index", "key", "check", "constraint"]) {
            self.skip_item();
            return Ok(());
        }
        self.eat("column");
        self.if_exists();
        let name = self.expect_identifier("a column's name")?;
        if self.eat("drop") {
            self.expect("default", "DEFAULT")?;
            out.push(Clause::SetDefault { name, default: None });
            return Ok(());
        }
        self.expect("set", "SET or DROP")?;
        if self.eat("default") {
            let default = Some(self.default()?);
            out.push(Clause::SetDefault { name, default });
        } else {
            let invisible = self.is("invisible");
            if !self.eat_any(&["visible", "invisible"]) {
                return self.fail("DEFAULT, VISIBLE or INVISIBLE");
            }
            out.push(Clause::SetInvisible { name, invisible });
        }
        Ok(())
    }

    /// CONVERT TO CHARACTER SET, CONVERT PARTITION, CONVERT TABLE.
    fn convert(&mut self, out: &mut Vec<Clause>) -> Read<()> {
        if self.eat("partition") {
            self.bump();
            self.expect("to", "TO TABLE")?;
            self.expect("table", "TO TABLE")?;
            out.push(Clause::ConvertPartitionTo(self.expect_name()?));
            self.skip_all();
            return Ok(());
        }
        if self.eat("table") {
            out.push(Clause::ConvertTableFrom(self.expect_name()?));
            self.skip_all();
            return Ok(());
        }
        self.expect("to", "TO")?;
        let mut clause = CharsetClause::default();
        while self.charset_clause(&mut clause)? {}
        if clause == CharsetClause::default() {
            return self.fail("CHARACTER SET");
        }
        out.push(Clause::Convert(clause));
        Ok(())
    }

    /// ORDER BY a, b DESC: commas are its own until a clause begins.
    fn order_by(&mut self) {
        let clauses = ["add", "drop", "change", "modify", "alter", "convert", "rename"];
        loop {
            self.skip_item();
            let next = self.peek();
            if !self.is_mark(',') || next.is_any(&clauses) {
                return;
            }
            self.bump();
        }
    }
}

/// The keys that a column's attributes make. IF EXISTS and IF NOT EXISTS of the column are theirs.
fn keys_of(column: &ColumnDdl, if_not_exists: bool) -> Vec<Clause> {
    let mut keys = Vec::new();
    column_keys(column, if_not_exists, |key| keys.push(Clause::AddKey(key)));
    keys
}
