//! Arrays in text form, element by element.
//!
//! Enters: an array's text, `{1,NULL,"a \"b\""}`, bounds in front of it or not (`[0:1]={…}`).
//! Leaves: its elements in order; an inner array is one element, passed over whole. Keeps: no
//! recursion and no memory, however deep the braces; what `array_out` does not write is an error at
//! its offset.

/// Bytes of a text in which a backslash hides what it means of the byte behind it (`escaped`), or
/// of a text as it is.
#[derive(Clone, Copy, Debug)]
pub struct Chars<'a> {
    text: &'a [u8],
    at: usize,
    escaped: bool,
}

impl<'a> Chars<'a> {
    /// All of `text`.
    pub fn new(text: &'a [u8], escaped: bool) -> Self {
        Self { text, at: 0, escaped }
    }

    /// Where the next byte is read.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl Iterator for Chars<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let mut byte = *self.text.get(self.at)?;
        if self.escaped && byte == b'\\' {
            self.at += 1;
            byte = *self.text.get(self.at)?;
        }
        self.at += 1;
        Some(byte)
    }
}

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// NULL.
    Null,
    /// A value: `len` bytes from `at` on. `escaped`: backslashes in it hide the bytes behind them.
    Text { at: usize, len: usize, escaped: bool },
    /// An array in the array.
    Inner,
}

/// The elements of an array; an error is the offset of what cannot be there.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a [u8],
    delimiter: u8,
    at: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    Over,
}

impl<'a> Elements<'a> {
    /// Of the array `text`, whose element type's `typdelim` is `delimiter`.
    pub fn new(text: &'a [u8], delimiter: u8) -> Self {
        Self { text, delimiter, at: 0, state: State::Before }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Steps to the next element: false at the array's end.
    fn step(&mut self) -> Result<bool, usize> {
        if self.state == State::Before {
            if self.peek() == Some(b'[') {
                let bounds = self.text.iter().position(|&b| b == b'=').ok_or(self.at)?;
                self.at = bounds + 1;
            }
            if self.peek() != Some(b'{') {
                return Err(self.at);
            }
            self.state = State::Inside;
            if self.text.get(self.at + 1) != Some(&b'}') {
                self.at += 1;
                return Ok(true);
            }
            self.at += 1;
        }
        match self.peek() {
            Some(b'}') if self.at + 1 == self.text.len() => Ok(false),
            Some(byte) if byte == self.delimiter => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.at),
        }
    }

    fn element(&mut self) -> Result<Element, usize> {
        match self.peek() {
            Some(b'{') => self.inner(),
            Some(b'"') => {
                let from = self.at + 1;
                let escaped = self.quoted()?;
                Ok(Element::Text { at: from, len: self.at - 1 - from, escaped })
            }
            _ => self.bare(),
        }
    }

    /// Steps over a text in quotes; whether it holds a backslash.
    fn quoted(&mut self) -> Result<bool, usize> {
        let (from, mut escaped) = (self.at, false);
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => return Err(from),
            }
        }
        self.at += 1;
        Ok(escaped)
    }

    fn bare(&mut self) -> Result<Element, usize> {
        let from = self.at;
        loop {
            match self.peek() {
                Some(byte) if byte == b'}' || byte == self.delimiter => break,
                None | Some(b'{' | b'"' | b'\\') => return Err(self.at),
                Some(_) => self.at += 1,
            }
        }
        match self.text.get(from..self.at) {
            None | Some([]) => Err(from),
            Some(b"NULL") => Ok(Element::Null),
            Some(text) => Ok(Element::Text { at: from, len: text.len(), escaped: false }),
        }
    }

    /// Steps over an inner array: braces are counted, not followed.
    fn inner(&mut self) -> Result<Element, usize> {
        let (from, mut depth) = (self.at, 0_usize);
        loop {
            match self.peek() {
                Some(b'{') => depth += 1,
                Some(b'}') => depth -= 1,
                Some(b'"') => {
                    self.quoted()?;
                    continue;
                }
                Some(_) => {}
                None => return Err(from),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(Element::Inner);
            }
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Element, usize>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let found = match self.step() {
            Ok(true) => self.element().map(Some),
            Ok(false) => Ok(None),
            Err(at) => Err(at),
        };
        if !matches!(found, Ok(Some(_))) {
            self.state = State::Over;
        }
        found.transpose()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn read(text: &str) -> Result<Vec<String>, usize> {
        let word = |element| match element {
            Element::Null => "∅".into(),
            Element::Inner => "{}".into(),
            Element::Text { at, len, escaped } => {
                let chars = Chars::new(&text.as_bytes()[at..at + len], escaped);
                String::from_utf8(chars.collect()).expect("UTF-8")
            }
        };
        Elements::new(text.as_bytes(), b',').map(|element| element.map(word)).collect()
    }

    #[test]
    fn what_array_out_writes() {
        // Goal: elements, NULL, quotes, bounds, inner arrays. Method: texts of a server.
        assert_eq!(read("{}"), Ok(vec![]));
        assert_eq!(read("{1}"), Ok(vec!["1".into()]));
        assert_eq!(read("{1,NULL,-3}"), Ok(vec!["1".into(), "∅".into(), "-3".into()]));
        assert_eq!(
            read(r#"{"NULL","",null,"a,b","{x}","q\"b\\"}"#),
            Ok(["NULL", "", "null", "a,b", "{x}", "q\"b\\"].map(String::from).to_vec())
        );
        assert_eq!(read("[0:1]={a,b}"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(read("[-1:0][2:2]={{1},{2}}"), Ok(vec!["{}".into(), "{}".into()]));
        assert_eq!(read(r#"{{"}",1},{"{",2}}"#), Ok(vec!["{}".into(), "{}".into()]));
        let boxes = Elements::new(b"{(1,1),(0,0);(2,2),(1,1)}", b';');
        assert_eq!(boxes.count(), 2);
    }

    #[test]
    fn anything_else_is_an_error_at_its_offset() {
        // Goal: malformed arrays never pass, never panic, never recurse. Method: by hand, and a
        // hundred thousand braces.
        for (text, at) in [
            ("", 0),
            ("1", 0),
            ("{", 1),
            ("{1", 2),
            ("{1,", 3),
            ("{,1}", 1),
            ("{1,}", 3),
            ("{1}x", 2),
            ("{}}", 1),
            ("{\"a}", 1),
            ("{\"a\\\"}", 1),
            ("{\"a\"b}", 4),
            ("{a\"b\"}", 2),
            ("{a\\}", 2),
            ("{{1}", 4),
            ("{{1},2", 6),
            ("[0:1]{1}", 0),
            ("[0:1]=", 6),
        ] {
            assert_eq!(read(text), Err(at), "{text}");
        }
        let deep = "{".repeat(100_000);
        assert_eq!(read(&deep), Err(1));
        let closed = [deep, "}".repeat(100_000)].concat();
        assert_eq!(read(&closed), Ok(vec!["{}".into()]));
    }
}
