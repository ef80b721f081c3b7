//! What a statement of the log does, as far as the reader must know: does it begin, end or cut a
//! transaction, empty a table, change tables, or change rows by statement.
//!
//! Enters: the text of a QUERY event with its `sql_mode`. Leaves: a verb and the tables that it
//! names. Keeps: comments, quotes and version comments are read as the server reads them
//! (`sql/sql_lex.cc`); the tables of DDL are exactly those that it changes, so that no other table
//! is touched (HAZARDS L24); those of DML are rather too many than too few (L28).

use alloc::string::String;
use alloc::vec::Vec;

use super::Named;
use super::parser::Parser;
use super::tokens::Kind;
use crate::mysql::event::xid_bytes;

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT.
    Commit,
    /// ROLLBACK of the whole.
    Rollback,
    /// SAVEPOINT name.
    Savepoint(String),
    /// ROLLBACK TO name.
    RollbackTo(String),
    /// XA START, END, PREPARE, COMMIT, ROLLBACK of an XID.
    Xa(XaVerb, Vec<u8>),
    /// TRUNCATE TABLE.
    Truncate(Named),
    /// Changes tables: these, under their old and new names.
    Ddl(Vec<Named>),
    /// Changes rows, logged as text: of one of these at least.
    Dml(Vec<Named>),
    /// Anything else (users, temporary tables, SET, FLUSH …).
    Other,
}

/// Verb of an XA statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XaVerb {
    /// XA START, XA BEGIN.
    Start,
    /// XA END.
    End,
    /// XA PREPARE.
    Prepare,
    /// XA COMMIT.
    Commit,
    /// XA ROLLBACK.
    Rollback,
}

/// Classifies a statement. `mariadb`: `/*M! … */` comments are code too.
pub fn classify(sql: &str, sql_mode: u64, mariadb: bool) -> Statement {
    Parser::new(sql, sql_mode, mariadb).statement()
}

impl Parser<'_> {
    fn statement(&mut self) -> Statement {
        while self.eat_mark('(') {}
        self.set_statement();
        let verb = self.word().to_ascii_uppercase();
        self.bump();
        match verb.as_str() {
            "BEGIN" => Statement::Begin,
            "START" if self.is("TRANSACTION") => Statement::Begin,
            "COMMIT" => Statement::Commit,
            "ROLLBACK" => self.rollback(),
            "SAVEPOINT" => self.identifier().map_or(Statement::Other, Statement::Savepoint),
            "XA" => self.xa().unwrap_or(Statement::Other),
            "TRUNCATE" => {
                self.eat("TABLE");
                self.name().map_or(Statement::Other, Statement::Truncate)
            }
            "CREATE" | "ALTER" | "DROP" | "RENAME" => self.ddl(&verb),
            "INSERT" | "REPLACE" => Statement::Dml(self.insert_target()),
            "UPDATE" => Statement::Dml(self.names_until(&["SET"])),
            "DELETE" => Statement::Dml(self.names_until(&["WHERE", "ORDER", "LIMIT"])),
            "LOAD" => {
                self.skip_past("TABLE");
                Statement::Dml(self.name().into_iter().collect())
            }
            "WITH" | "CALL" => Statement::Dml(self.names_until(&[])),
            _ => Statement::Other,
        }
    }

    fn rollback(&mut self) -> Statement {
        self.eat("WORK");
        if !self.eat("TO") {
            return Statement::Rollback;
        }
        if self.is("SAVEPOINT") && self.peek().kind != Kind::End {
            self.bump();
        }
        self.identifier().map_or(Statement::Other, Statement::RollbackTo)
    }

    fn xa(&mut self) -> Option<Statement> {
        let verb = match self.word().to_ascii_uppercase().as_str() {
            "START" | "BEGIN" => XaVerb::Start,
            "END" => XaVerb::End,
            "PREPARE" => XaVerb::Prepare,
            "COMMIT" => XaVerb::Commit,
            "ROLLBACK" => XaVerb::Rollback,
            _ => return None,
        };
        self.bump();
        let (mut parts, mut format) = (Vec::new(), 1);
        loop {
            let token = self.bump();
            match token.kind {
                Kind::Hex => parts.push(unhex(token.digits()?)?),
                Kind::Text => parts.push(token.text(self.backslash())?.into_bytes()),
                Kind::Word => {
                    let hex = token.raw.strip_prefix("0x").or(token.raw.strip_prefix("0X"));
                    match hex {
                        Some(hex) if parts.len() < 2 => parts.push(unhex(hex)?),
                        _ => format = token.raw.parse().ok()?,
                    }
                }
                _ => return None,
            }
            if !self.eat_mark(',') {
                break;
            }
        }
        let gtrid = parts.first()?;
        let bqual = parts.get(1).map(Vec::as_slice).unwrap_or_default();
        Some(Statement::Xa(verb, xid_bytes(format, gtrid, bqual)))
    }

    fn ddl(&mut self, verb: &str) -> Statement {
        // What stands between the verb and the kind of object: OR REPLACE, TEMPORARY, UNIQUE,
        // ONLINE, IGNORE, DEFINER = …, ALGORITHM = …
        for _ in 0..16 {
            let word = self.word().to_ascii_uppercase();
            self.bump();
            match word.as_str() {
                "TEMPORARY" => return Statement::Other,
                "TABLE" | "TABLES" => {
                    return Statement::Ddl(match verb {
                        "CREATE" => self.first_name(),
                        "ALTER" => self.altered(),
                        _ => self.listed(),
                    });
                }
                "INDEX" => return Statement::Ddl(self.names_after("ON")),
                "DATABASE" | "SCHEMA" | "VIEW" | "TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT"
                | "USER" | "ROLE" | "SERVER" | "TABLESPACE" | "PACKAGE" | "LOGFILE"
                | "INSTANCE" | "RESOURCE" | "SPATIAL_REFERENCE" | "UNDO" => {
                    return Statement::Other;
                }
                "SEQUENCE" => {
                    let names = self.first_name();
                    return Statement::Ddl(names);
                }
                _ => {}
            }
        }
        Statement::Other
    }

    /// The table that CREATE TABLE makes (not those of LIKE, SELECT and REFERENCES).
    fn first_name(&mut self) -> Vec<Named> {
        self.if_exists();
        self.name().into_iter().collect()
    }

    /// ALTER TABLE: the table, its new name, and one that it exchanges a partition with.
    fn altered(&mut self) -> Vec<Named> {
        let mut names = self.first_name();
        while self.token.kind != Kind::End {
            let renamed =
                self.eat("RENAME") && !["COLUMN", "INDEX", "KEY"].iter().any(|word| self.is(word));
            if renamed {
                let _ = self.eat("TO") || self.eat("AS");
                self.eat_mark('=');
                names.extend(self.name());
            } else if self.eat_both("WITH", "TABLE") {
                names.extend(self.name());
            } else {
                self.bump();
            }
        }
        names
    }

    /// DROP TABLE a, b; RENAME TABLE a TO b, c TO d.
    fn listed(&mut self) -> Vec<Named> {
        self.if_exists();
        let mut names = Vec::new();
        while let Some(name) = self.name() {
            names.push(name);
            // MariaDB: WAIT n, NOWAIT and IF EXISTS may stand behind a name.
            self.wait();
            if !self.eat_mark(',') && !self.eat("TO") {
                break;
            }
        }
        names
    }

    /// The table of INSERT and REPLACE.
    fn insert_target(&mut self) -> Vec<Named> {
        while self.eat_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]) {}
        self.name().into_iter().collect()
    }

    fn names_after(&mut self, word: &str) -> Vec<Named> {
        self.skip_past(word);
        self.name().into_iter().collect()
    }

    /// Every name up to one of these words: `a`, `a.b` give (none, a) and (a, b). Too many rather
    /// than too few: column names and keywords are among them.
    fn names_until(&mut self, ends: &[&str]) -> Vec<Named> {
        let mut names = Vec::new();
        while self.token.kind != Kind::End && !self.token.is_any(ends) {
            match self.name() {
                Some(name) => names.push(name),
                None => self.bump_by(1),
            }
        }
        names.sort();
        names.dedup();
        names
    }

    fn word(&self) -> &str {
        if self.token.kind == Kind::Word { self.token.raw } else { "" }
    }

    fn skip_past(&mut self, word: &str) {
        while self.token.kind != Kind::End && !self.eat(word) {
            self.bump();
        }
    }

    /// MariaDB: SET STATEMENT a=1 FOR …
    pub(super) fn set_statement(&mut self) {
        if self.are("SET", "STATEMENT") {
            self.skip_past("FOR");
        }
    }
}

/// Bytes written as hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pair = |pair: &[u8]| match *pair {
        [a, b] => u8::try_from(digit(a)? << 4 | digit(b)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::event::{SQL_MODE_ANSI_QUOTES, SQL_MODE_NO_BACKSLASH_ESCAPES};
    use alloc::format;
    use alloc::vec;
    use proptest::prelude::*;

    fn named(text: &str) -> Named {
        match text.split_once('.') {
            Some((database, table)) => {
                Named { database: Some(database.into()), table: table.into() }
            }
            None => Named { database: None, table: text.into() },
        }
    }

    fn of(sql: &str) -> Statement {
        classify(sql, 0, false)
    }

    #[test]
    fn transaction_control() {
        // Goal: every form that servers log. Method: texts seen in logs.
        assert_eq!(of("BEGIN"), Statement::Begin);
        assert_eq!(of("/* app:1 */ start transaction"), Statement::Begin);
        assert_eq!(of("COMMIT"), Statement::Commit);
        assert_eq!(of("ROLLBACK"), Statement::Rollback);
        assert_eq!(of("ROLLBACK WORK"), Statement::Rollback);
        assert_eq!(of("SAVEPOINT `a``b`"), Statement::Savepoint("a`b".into()));
        assert_eq!(of("ROLLBACK TO `s`"), Statement::RollbackTo("s".into()));
        assert_eq!(of("rollback work to savepoint s"), Statement::RollbackTo("s".into()));
        assert_eq!(of("ROLLBACK TO savepoint"), Statement::RollbackTo("savepoint".into()));
    }

    #[test]
    fn l05_xa_statements_name_their_xid() {
        // Goal: the bytes equal those of the XA_PREPARE event. Method: the server's own forms.
        let xid = b"\0\0\0\x01\x01ab".to_vec();
        for (sql, verb) in [
            ("XA START X'61',X'62',1", XaVerb::Start),
            ("XA END X'61',X'62',1", XaVerb::End),
            ("XA COMMIT X'61',X'62',1", XaVerb::Commit),
            ("xa rollback 'a','b'", XaVerb::Rollback),
            ("XA PREPARE 0x61, 0x62, 1", XaVerb::Prepare),
        ] {
            assert_eq!(of(sql), Statement::Xa(verb, xid.clone()), "{sql}");
        }
        assert_eq!(of("XA RECOVER"), Statement::Other);
        assert_eq!(of("XA START X'6',X''"), Statement::Other);
    }

    #[test]
    fn truncate_and_ddl() {
        // Goal: the tables that change. Method: forms that break naive readers.
        assert_eq!(of("TRUNCATE TABLE `a`.`b c`"), Statement::Truncate(named("a.b c")));
        assert_eq!(of("truncate t"), Statement::Truncate(named("t")));
        assert_eq!(of("CREATE TABLE IF NOT EXISTS t LIKE u"), Statement::Ddl(vec![named("t")]));
        assert_eq!(of("CREATE TEMPORARY TABLE t (a int)"), Statement::Other);
        assert_eq!(of("CREATE UNIQUE INDEX i ON d.t (a)"), Statement::Ddl(vec![named("d.t")]));
        assert_eq!(
            of(
                "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1"
            ),
            Statement::Other
        );
        let ddl = |names: &[&str]| Statement::Ddl(names.iter().map(|name| named(name)).collect());
        let rename = of("RENAME TABLE a TO b, x.`y` WAIT 5 TO `z`");
        assert_eq!(rename, ddl(&["a", "b", "x.y", "z"]));
        assert_eq!(
            of("DROP TABLE IF EXISTS `a`,`d`.`b` /* generated by server */"),
            ddl(&["a", "d.b"])
        );
        assert_eq!(of("ALTER TABLE t RENAME COLUMN a TO b, RENAME TO d.u"), ddl(&["t", "d.u"]));
        assert_eq!(of("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u"), ddl(&["t", "u"]));
        let hidden = "/*!50100 ALTER */ /* x */ TABLE # c\n t /*!99999 hidden */ ADD b int -- d\n";
        assert_eq!(of(hidden), ddl(&["t"]));
    }

    #[test]
    fn l24_ddl_touches_no_other_table() {
        // Goal: columns, references and sources of a statement are not among its tables. Method:
        // names of captured tables in every such place.
        let t = Statement::Ddl(vec![named("t")]);
        for sql in [
            "ALTER TABLE t ADD COLUMN orders int, ADD KEY orders (orders)",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES orders (id)",
            "CREATE TABLE t AS SELECT * FROM orders",
            "CREATE TABLE t LIKE orders",
            "ALTER ONLINE IGNORE TABLE IF EXISTS t COMMENT = 'orders'",
        ] {
            assert_eq!(of(sql), t, "{sql}");
        }
    }

    #[test]
    fn quotes_follow_sql_mode() {
        // Goal: a string is no name, and with ANSI_QUOTES it is. Method: both modes.
        let sql = "ALTER TABLE \"t\" COMMENT 'x\\' , y'";
        let Statement::Ddl(names) = classify(sql, SQL_MODE_ANSI_QUOTES, false) else { panic!() };
        assert_eq!(names, [named("t")]);
        assert_eq!(classify(sql, 0, false), Statement::Ddl(vec![]));
        assert_eq!(classify("/*M!100100 TRUNCATE */ t", 0, true), Statement::Truncate(named("t")));
        assert_eq!(classify("/*M!100100 TRUNCATE */ t", 0, false), Statement::Other);
    }

    #[test]
    fn l28_dml_names_every_table() {
        // Goal: no captured table is missed. Method: tables in unusual places.
        for sql in [
            "INSERT INTO d.t VALUES (1)",
            "/* hint */ UPDATE `d`.`t` SET a=1",
            "WITH c AS (SELECT 1) DELETE FROM d.t",
            "SET STATEMENT max_statement_time=1 FOR REPLACE d . t VALUES (1)",
            "LOAD DATA INFILE 'f' INTO TABLE d.t",
        ] {
            let Statement::Dml(names) = of(sql) else { panic!("{sql}") };
            assert!(names.contains(&named("d.t")), "{sql}");
        }
        assert_eq!(of("FLUSH TABLES"), Statement::Other);
        assert_eq!(of(""), Statement::Other);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_quoting_survives(noise in "[-'\"`/*!#\\\\ a-zé0-9.,();x\n]{0,60}", name in "[^\0]{1,12}") {
            // Goal: any text gives an answer, any name comes back. Method: noise; a quoted name.
            for mode in [0, SQL_MODE_ANSI_QUOTES, SQL_MODE_NO_BACKSLASH_ESCAPES] {
                let _ = classify(&noise, mode, true);
            }
            let sql = format!("TRUNCATE TABLE `{}`", name.replace('`', "``"));
            prop_assert_eq!(of(&sql), Statement::Truncate(Named { database: None, table: name }));
        }
    }
}
