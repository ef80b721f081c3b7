//! hstore in text form: `"a"=>"1", "b"=>NULL`.
//!
//! Enters: the text, which may itself be an element of an array and escaped as such. Leaves: its
//! pairs, keys and values as bytes to be read one by one. Keeps: no memory; what `hstore_out` does
//! not write is an error at its offset.

use super::array::Chars;

/// A key or a value: its bytes, without quotes and escapes.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a>(Chars<'a>);

impl Iterator for Word<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        match self.0.next()? {
            b'"' => None,
            b'\\' => self.0.next(),
            byte => Some(byte),
        }
    }
}

/// A pair.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The key.
    pub key: Word<'a>,
    /// The value; none: NULL.
    pub value: Option<Word<'a>>,
}

/// The pairs of an hstore; an error is the offset of what cannot be there.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    chars: Chars<'a>,
    first: bool,
    over: bool,
}

impl<'a> Pairs<'a> {
    /// Of the hstore `text`; `escaped`: as an element of an array.
    pub fn new(text: &'a [u8], escaped: bool) -> Self {
        Self { chars: Chars::new(text, escaped), first: true, over: false }
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), usize> {
        for &byte in text {
            let at = self.chars.at();
            if self.chars.next() != Some(byte) {
                return Err(at);
            }
        }
        Ok(())
    }

    /// A word whose opening quote has been read.
    fn word(&mut self) -> Result<Word<'a>, usize> {
        let (at, word) = (self.chars.at(), Word(self.chars));
        loop {
            match self.chars.next() {
                Some(b'"') => return Ok(word),
                Some(b'\\') => drop(self.chars.next()),
                Some(_) => {}
                None => return Err(at),
            }
        }
    }

    fn pair(&mut self) -> Result<Option<Pair<'a>>, usize> {
        let mut ahead = self.chars;
        if ahead.next().is_none() {
            return Ok(None);
        }
        if !self.first {
            self.expect(b", ")?;
        }
        self.first = false;
        self.expect(b"\"")?;
        let key = self.word()?;
        self.expect(b"=>")?;
        let at = self.chars.at();
        let value = match self.chars.next() {
            Some(b'"') => Some(self.word()?),
            Some(b'N') => {
                self.expect(b"ULL")?;
                None
            }
            _ => return Err(at),
        };
        Ok(Some(Pair { key, value }))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, usize>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let pair = self.pair();
        self.over = !matches!(pair, Ok(Some(_)));
        pair.transpose()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn read(text: &str, escaped: bool) -> Result<Vec<(String, Option<String>)>, usize> {
        let word = |word: Word| String::from_utf8(word.collect()).expect("UTF-8");
        Pairs::new(text.as_bytes(), escaped)
            .map(|pair| pair.map(|pair| (word(pair.key), pair.value.map(word))))
            .collect()
    }

    #[test]
    fn what_hstore_out_writes() {
        // Goal: pairs, NULL, escapes; also inside an array. Method: texts of a server.
        let pair = |key: &str, value: Option<&str>| (key.into(), value.map(String::from));
        assert_eq!(read("", false), Ok(vec![]));
        assert_eq!(read(r#""a"=>"1""#, false), Ok(vec![pair("a", Some("1"))]));
        assert_eq!(
            read(r#""b"=>NULL, "q\"\\"=>"NULL", ""=>", ""#, false),
            Ok(vec![pair("b", None), pair("q\"\\", Some("NULL")), pair("", Some(", "))])
        );
        assert_eq!(
            read(r#"\"a\"=>\"x\\\"y\", \"b\"=>NULL"#, true),
            Ok(vec![pair("a", Some("x\"y")), pair("b", None)])
        );
    }

    #[test]
    fn anything_else_is_an_error_at_its_offset() {
        // Goal: malformed texts never pass and never panic. Method: by hand.
        for (text, at) in [
            ("a", 0),
            ("\"a", 1),
            ("\"a\"", 3),
            ("\"a\"=>", 5),
            ("\"a\"=>1", 5),
            ("\"a\"=>NUL", 8),
            ("\"a\"=>\"1", 6),
            ("\"a\"=>\"1\\", 6),
            ("\"a\"=>\"1\",", 9),
            ("\"a\"=>\"1\", ", 10),
            ("\"a\"=>\"1\"; \"b\"=>\"2\"", 8),
        ] {
            assert_eq!(read(text, false), Err(at), "{text}");
        }
    }
}
