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
use crate::mysql::event::{SQL_MODE_ANSI_QUOTES, SQL_MODE_NO_BACKSLASH_ESCAPES, xid_bytes};

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
    let tokens = Tokens::new(sql, sql_mode, mariadb).collect::<Vec<_>>();
    Parser { tokens: &tokens, at: 0 }.statement()
}

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Unquoted word or number.
    Word(&'a str),
    /// Quoted identifier, unescaped.
    Quoted(String),
    /// String literal (its content matters to XA alone), with the introducer letter `x`, if any.
    Text { hex: bool, body: String },
    /// Any other character.
    Mark(char),
}

/// Splits a statement into tokens; comments and blanks vanish.
struct Tokens<'a> {
    sql: &'a str,
    ansi_quotes: bool,
    backslash: bool,
    mariadb: bool,
}

impl<'a> Tokens<'a> {
    fn new(sql: &'a str, sql_mode: u64, mariadb: bool) -> Self {
        let ansi_quotes = sql_mode & SQL_MODE_ANSI_QUOTES != 0;
        let backslash = sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES == 0;
        Self { sql, ansi_quotes, backslash, mariadb }
    }

    /// Steps over `len` bytes (to the end if there are fewer or a character would be cut).
    fn advance(&mut self, len: usize) -> &'a str {
        let (head, tail) = self.sql.split_at_checked(len).unwrap_or((self.sql, ""));
        self.sql = tail;
        head
    }

    fn skip_past(&mut self, end: &str) {
        let at = self.sql.find(end).map_or(self.sql.len(), |at| at + end.len());
        self.advance(at);
    }

    /// Blanks, comments, and the brackets of version comments, whose content is code.
    fn skip_blank(&mut self) {
        loop {
            let trimmed = self.sql.trim_start_matches(|ch: char| ch.is_whitespace() || ch == '\0');
            self.sql = trimmed;
            let after_dashes = trimmed.strip_prefix("--").map(|rest| rest.chars().next());
            if trimmed.starts_with('#')
                || after_dashes.is_some_and(|ch| ch.is_none_or(char::is_whitespace))
            {
                self.skip_past("\n");
            } else if trimmed.starts_with("/*!") || self.mariadb && trimmed.starts_with("/*M!") {
                // Code for servers from this version on. The log holds what its own server ran, so
                // only the far future is a comment in truth.
                self.skip_past("!");
                let digits = self.sql.bytes().take_while(u8::is_ascii_digit).count().min(6);
                let version = self.advance(digits).parse::<u32>().unwrap_or_default();
                if version >= 99_990 && digits == 5 || version >= 990_000 {
                    self.skip_past("*/");
                }
            } else if trimmed.starts_with("/*") {
                self.advance(2);
                self.skip_past("*/");
            } else if trimmed.starts_with("*/") {
                self.advance(2);
            } else {
                return;
            }
        }
    }

    /// The content of a quoted piece that starts here; the quote doubled stands for itself.
    fn quoted(&mut self, quote: char, backslash: bool) -> String {
        self.advance(1);
        let mut body = String::new();
        let mut chars = self.sql.char_indices();
        let mut end = self.sql.len();
        while let Some((at, ch)) = chars.next() {
            if ch == quote {
                if self.sql[at + 1..].starts_with(quote) {
                    chars.next();
                } else {
                    end = at + 1;
                    break;
                }
            } else if ch == '\\' && backslash {
                if let Some((_, escaped)) = chars.next() {
                    body.push(escaped);
                }
                continue;
            }
            body.push(ch);
        }
        self.advance(end);
        body
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let first = self.sql.chars().next()?;
        if first == '`' || first == '"' && self.ansi_quotes {
            return Some(Token::Quoted(self.quoted(first, false)));
        }
        if first == '\'' || first == '"' {
            return Some(Token::Text { hex: false, body: self.quoted(first, self.backslash) });
        }
        if matches!(first, 'x' | 'X') && self.sql[1..].starts_with('\'') {
            self.advance(1);
            return Some(Token::Text { hex: true, body: self.quoted('\'', false) });
        }
        let word = |ch: char| ch.is_alphanumeric() || ch == '_' || ch == '$' || ch > '\u{7f}';
        let len = self.sql.find(|ch| !word(ch)).unwrap_or(self.sql.len());
        if len > 0 {
            return Some(Token::Word(self.advance(len)));
        }
        self.advance(first.len_utf8());
        Some(Token::Mark(first))
    }
}

struct Parser<'a, 't> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl Parser<'_, '_> {
    fn word_at(&self, at: usize) -> &str {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }

    fn is(&self, word: &str) -> bool {
        self.word_at(self.at).eq_ignore_ascii_case(word)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    fn statement(&mut self) -> Statement {
        while self.tokens.get(self.at) == Some(&Token::Mark('(')) {
            self.at += 1;
        }
        if self.is("SET") && self.word_at(self.at + 1).eq_ignore_ascii_case("STATEMENT") {
            // MariaDB: SET STATEMENT a=1 FOR …
            while self.at < self.tokens.len() && !self.eat("FOR") {
                self.at += 1;
            }
        }
        let verb = self.word_at(self.at).to_ascii_uppercase();
        self.at += 1;
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
                while self.at < self.tokens.len() && !self.eat("TABLE") {
                    self.at += 1;
                }
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
        if self.is("SAVEPOINT") && self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        self.identifier().map_or(Statement::Other, Statement::RollbackTo)
    }

    fn xa(&mut self) -> Option<Statement> {
        let verb = match self.word_at(self.at).to_ascii_uppercase().as_str() {
            "START" | "BEGIN" => XaVerb::Start,
            "END" => XaVerb::End,
            "PREPARE" => XaVerb::Prepare,
            "COMMIT" => XaVerb::Commit,
            "ROLLBACK" => XaVerb::Rollback,
            _ => return None,
        };
        self.at += 1;
        let (mut parts, mut format) = (Vec::new(), 1);
        loop {
            match self.tokens.get(self.at)? {
                Token::Text { hex: true, body } => parts.push(unhex(body)?),
                Token::Text { hex: false, body } => parts.push(body.as_bytes().to_vec()),
                Token::Word(number) => {
                    let hex = number.strip_prefix("0x").or(number.strip_prefix("0X"));
                    match hex {
                        Some(hex) if parts.len() < 2 => parts.push(unhex(hex)?),
                        _ => format = number.parse().ok()?,
                    }
                }
                _ => return None,
            }
            self.at += 1;
            if self.tokens.get(self.at) != Some(&Token::Mark(',')) {
                break;
            }
            self.at += 1;
        }
        let gtrid = parts.first()?;
        let bqual = parts.get(1).map(Vec::as_slice).unwrap_or_default();
        Some(Statement::Xa(verb, xid_bytes(format, gtrid, bqual)))
    }

    fn ddl(&mut self, verb: &str) -> Statement {
        // What stands between the verb and the kind of object: OR REPLACE, TEMPORARY, UNIQUE,
        // ONLINE, IGNORE, DEFINER = …, ALGORITHM = …
        let limit = (self.at + 16).min(self.tokens.len());
        while self.at < limit {
            let word = self.word_at(self.at).to_ascii_uppercase();
            self.at += 1;
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

    fn if_exists(&mut self) {
        if self.eat("IF") {
            self.eat("NOT");
            self.eat("EXISTS");
        }
    }

    /// The table that CREATE TABLE makes (not those of LIKE, SELECT and REFERENCES).
    fn first_name(&mut self) -> Vec<Named> {
        self.if_exists();
        self.name().into_iter().collect()
    }

    /// ALTER TABLE: the table, its new name, and one that it exchanges a partition with.
    fn altered(&mut self) -> Vec<Named> {
        let mut names = self.first_name();
        while self.at < self.tokens.len() {
            let renamed =
                self.eat("RENAME") && !["COLUMN", "INDEX", "KEY"].iter().any(|word| self.is(word));
            if renamed {
                let _ = self.eat("TO") || self.eat("AS");
                if self.tokens.get(self.at) == Some(&Token::Mark('=')) {
                    self.at += 1;
                }
                names.extend(self.name());
            } else if self.is("WITH") && self.word_at(self.at + 1).eq_ignore_ascii_case("TABLE") {
                self.at += 2;
                names.extend(self.name());
            } else {
                self.at += 1;
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
            while self.is("WAIT") || self.is("NOWAIT") {
                self.at += if self.is("WAIT") { 2 } else { 1 };
            }
            if self.tokens.get(self.at) == Some(&Token::Mark(',')) || self.is("TO") {
                self.at += 1;
            } else {
                break;
            }
        }
        names
    }

    /// The table of INSERT and REPLACE.
    fn insert_target(&mut self) -> Vec<Named> {
        while ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]
            .iter()
            .any(|word| self.is(word))
        {
            self.at += 1;
        }
        self.name().into_iter().collect()
    }

    fn names_after(&mut self, word: &str) -> Vec<Named> {
        while self.at < self.tokens.len() && !self.eat(word) {
            self.at += 1;
        }
        self.name().into_iter().collect()
    }

    /// Every name up to one of these words: `a`, `a.b` give (none, a) and (a, b). Too many rather
    /// than too few: column names and keywords are among them.
    fn names_until(&mut self, ends: &[&str]) -> Vec<Named> {
        let mut names = Vec::new();
        while self.at < self.tokens.len() && !ends.iter().any(|end| self.is(end)) {
            match self.name() {
                Some(name) => names.push(name),
                None => self.at += 1,
            }
        }
        names.sort();
        names.dedup();
        names
    }

    fn name(&mut self) -> Option<Named> {
        let first = self.identifier()?;
        if self.tokens.get(self.at) == Some(&Token::Mark('.')) {
            self.at += 1;
            if let Some(table) = self.identifier() {
                return Some(Named { database: Some(first), table });
            }
        }
        Some(Named { database: None, table: first })
    }

    fn identifier(&mut self) -> Option<String> {
        let found = match self.tokens.get(self.at)? {
            Token::Word(word) => (*word).into(),
            Token::Quoted(name) => name.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(found)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
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
