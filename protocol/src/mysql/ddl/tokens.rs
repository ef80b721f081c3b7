//! Splits a statement into tokens as the servers' lexer does; comments and blanks vanish.
//!
//! Enters: the text, `sql_mode`, MySQL or MariaDB. Leaves: one token at a time, each a slice of the
//! text. Keeps: a lexer is a place in the text, so that copying it is looking ahead, and no
//! statement, however long, takes memory.

use alloc::string::String;

use super::sql_mode;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Unquoted word or number.
    Word,
    /// Quoted identifier, quotes included.
    Quoted,
    /// String literal, quotes (and `N`) included.
    Text,
    /// `x'…'`, as written.
    Hex,
    /// `b'…'`, as written.
    Bits,
    /// Any other character.
    Mark(char),
    /// The statement's end.
    End,
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As written.
    pub(super) raw: &'a str,
    /// Byte where it begins.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Byte behind it.
    pub(super) fn end(&self) -> usize {
        self.at + self.raw.len()
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.raw.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    /// The name that a word or quoted identifier stands for.
    pub(super) fn identifier(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.raw.into()),
            Kind::Quoted => Some(unquote(self.raw, false)),
            _ => None,
        }
    }

    /// The value of a string literal. `backslash`: it escapes.
    pub(super) fn text(&self, backslash: bool) -> Option<String> {
        let body = self.raw.strip_prefix(['n', 'N']).unwrap_or(self.raw);
        (self.kind == Kind::Text).then(|| unquote(body, backslash))
    }

    /// The digits of `x'…'` and `b'…'`.
    pub(super) fn digits(&self) -> Option<&str> {
        match self.kind {
            Kind::Hex | Kind::Bits => Some(self.raw.get(2..)?.trim_end_matches('\'')),
            _ => None,
        }
    }
}

/// Takes quotes away: a doubled quote stands for one, a backslash for what follows.
fn unquote(raw: &str, backslash: bool) -> String {
    let mut chars = raw.chars();
    let Some(quote) = chars.next() else { return String::new() };
    let mut body = String::with_capacity(raw.len());
    while let Some(ch) = chars.next() {
        if ch == quote {
            match chars.next() {
                Some(again) => body.push(again),
                None => break,
            }
        } else if ch == '\\' && backslash {
            match chars.next() {
                Some('n') => body.push('\n'),
                Some('t') => body.push('\t'),
                Some('r') => body.push('\r'),
                Some('b') => body.push('\u{8}'),
                Some('0') => body.push('\0'),
                Some('Z') => body.push('\u{1a}'),
                // These keep their backslash, for LIKE.
                Some(wild @ ('%' | '_')) => body.extend(['\\', wild]),
                Some(other) => body.push(other),
                None => break,
            }
        } else {
            body.push(ch);
        }
    }
    body
}

/// A place in a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    ansi_quotes: bool,
    backslash: bool,
    mariadb: bool,
    /// Inside a version comment, whose end is no token.
    in_comment: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str, mode: u64, mariadb: bool) -> Self {
        let ansi_quotes = mode & sql_mode::ANSI_QUOTES != 0;
        let backslash = mode & sql_mode::NO_BACKSLASH_ESCAPES == 0;
        Self { sql, at: 0, ansi_quotes, backslash, mariadb, in_comment: false }
    }

    /// Whether a backslash escapes in string literals.
    pub(super) fn backslash(&self) -> bool {
        self.backslash
    }

    /// The text between two bytes.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.sql.get(from..to).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Steps over everything up to and with `end`.
    fn skip_past(&mut self, end: &str) {
        self.at = match self.rest().find(end) {
            Some(at) => self.at + at + end.len(),
            None => self.sql.len(),
        };
    }

    /// Blanks, comments, and the brackets of version comments, whose content is code.
    fn skip_blank(&mut self) {
        loop {
            let blank = |ch: char| ch.is_whitespace() || ch == '\0';
            let rest = self.rest().trim_start_matches(blank);
            self.at = self.sql.len() - rest.len();
            let after_dashes = rest.strip_prefix("--").map(|rest| rest.chars().next());
            if rest.starts_with('#')
                || after_dashes
                    .is_some_and(|ch| ch.is_none_or(|ch| ch.is_whitespace() || ch.is_control()))
            {
                self.skip_past("\n");
            } else if rest.starts_with("/*!") {
                self.version_comment(3, false);
            } else if self.mariadb && rest.starts_with("/*M!") {
                self.version_comment(4, true);
            } else if rest.starts_with("/*") {
                self.at += 2;
                self.skip_past("*/");
            } else if self.in_comment && rest.starts_with("*/") {
                self.at += 2;
                self.in_comment = false;
            } else {
                return;
            }
        }
    }

    /// Code for servers from a version on. The log holds what its own server ran (what it did not
    /// run it has turned into plain comments), so only the far future is a comment in truth, and for
    /// MariaDB what is meant for MySQL 5.7 and later.
    fn version_comment(&mut self, head: usize, own: bool) {
        self.at += head;
        let digits = self.rest().bytes().take(6).take_while(u8::is_ascii_digit).count();
        let version = self.slice(self.at, self.at + digits).parse::<u32>().unwrap_or_default();
        self.at += digits;
        let foreign = self.mariadb && !own && (50_700..=99_999).contains(&version);
        let future = version >= 99_990 && digits == 5 || version >= 990_000;
        if !foreign && !future {
            self.in_comment = true;
            return;
        }
        // A plain comment may stand inside.
        while !self.rest().is_empty() {
            let rest = self.rest();
            let end = rest.find("*/").unwrap_or(rest.len());
            match rest.get(..end).unwrap_or_default().find("/*") {
                Some(inner) => {
                    self.at += inner + 2;
                    self.skip_past("*/");
                }
                None => {
                    self.skip_past("*/");
                    return;
                }
            }
        }
    }

    /// Bytes of the quoted piece that starts `from` bytes on, up to its end.
    fn quoted(&self, from: usize, backslash: bool) -> usize {
        let bytes = self.rest().as_bytes();
        let quote = bytes.get(from).copied();
        let mut at = from + 1;
        while let Some(&byte) = bytes.get(at) {
            if byte == b'\\' && backslash {
                at += 1;
            } else if Some(byte) == quote {
                if bytes.get(at + 1).copied() != quote {
                    return at + 1;
                }
                at += 1;
            }
            at += 1;
        }
        bytes.len()
    }

    /// The next token; at the end `End`, again and again.
    pub(super) fn next(&mut self) -> Token<'a> {
        self.skip_blank();
        let rest = self.rest();
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return Token { kind: Kind::End, raw: "", at: self.at };
        };
        let prefixed = chars.next() == Some('\'');
        let (kind, len) = match first {
            '`' => (Kind::Quoted, self.quoted(0, false)),
            '"' if self.ansi_quotes => (Kind::Quoted, self.quoted(0, false)),
            '\'' | '"' => (Kind::Text, self.quoted(0, self.backslash)),
            'x' | 'X' if prefixed => (Kind::Hex, self.quoted(1, false)),
            'b' | 'B' if prefixed => (Kind::Bits, self.quoted(1, false)),
            'n' | 'N' if prefixed => (Kind::Text, self.quoted(1, self.backslash)),
            _ => {
                let word =
                    |ch: char| ch.is_alphanumeric() || ch == '_' || ch == '$' || ch > '\u{7f}';
                match rest.find(|ch| !word(ch)).unwrap_or(rest.len()) {
                    0 => (Kind::Mark(first), first.len_utf8()),
                    len => (Kind::Word, len),
                }
            }
        };
        let token = Token { kind, raw: self.slice(self.at, self.at + len), at: self.at };
        self.at += len;
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split(sql: &str, mode: u64, mariadb: bool) -> Vec<&str> {
        let mut lexer = Lexer::new(sql, mode, mariadb);
        core::iter::from_fn(|| {
            let token = lexer.next();
            (token.kind != Kind::End).then_some(token.raw)
        })
        .collect()
    }

    #[test]
    fn comments_and_quotes() {
        // Goal: the servers' lexer. Method: pieces that break naive ones.
        assert_eq!(
            split("a--b -- c\n#d\n/*e*/f/*!50100 g*/h*/", 0, false),
            ["a", "-", "-", "b", "f", "g", "h", "*", "/"]
        );
        assert_eq!(split("/*!99999 a /* b */ c */ d", 0, false), ["d"]);
        assert_eq!(split("/*!80016 a*/ /*M!100301 b*/ c", 0, false), ["a", "c"]);
        assert_eq!(split("/*!80016 a*/ /*M!100301 b*/ c", 0, true), ["b", "c"]);
        assert_eq!(
            split("'a\\'b' \"c\"\"d\" `e``f` x'41' N'g' b'1'", 0, false),
            ["'a\\'b'", "\"c\"\"d\"", "`e``f`", "x'41'", "N'g'", "b'1'"]
        );
        assert_eq!(split("'a\\' b", sql_mode::NO_BACKSLASH_ESCAPES, false), ["'a\\'", "b"]);
        assert_eq!(split("'open", 0, false), ["'open"]);
    }

    #[test]
    fn values() {
        // Goal: escapes. Method: every one of them.
        let text = |sql| Lexer::new(sql, 0, false).next().text(true).unwrap();
        assert_eq!(text(r"'a\n\t\r\b\0\Z\\\'\%\_\x'''"), "a\n\t\r\u{8}\0\u{1a}\\'\\%\\_x'");
        assert_eq!(text(r#"N'é"'"#), "é\"");
        let name = |sql| Lexer::new(sql, sql_mode::ANSI_QUOTES, false).next().identifier().unwrap();
        assert_eq!(name("\"a\"\"b\\\""), "a\"b\\");
        assert_eq!(name("`a``b`"), "a`b");
    }
}
