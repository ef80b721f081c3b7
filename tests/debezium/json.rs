//! JSON as text: objects keep the order of their fields, numbers and strings their spelling, so
//! that two documents are equal only if their bytes are (white space between tokens aside).

use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// A number, a string with its quotes, true, false or null, as it is spelt.
    Scalar(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one document, all of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value()?;
        match parser.peek() {
            None => Ok(value),
            Some(_) => Err(parser.fault("end")),
        }
    }

    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A field of fields: `["source", "snapshot"]`.
    pub fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The text within a string's quotes, as spelt.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(s) => s.strip_prefix('"')?.strip_suffix('"'),
            _ => None,
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(s) => f.write_str(s),
            Self::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}\"{name}\":{value}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, wanted: &str) -> String {
        format!("no JSON: {wanted} expected at byte {} of {}", self.at, self.text)
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(self.fault(&char::from(byte).to_string()));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.peek() {
            Some(b'{') => self
                .list(b'}', |p| {
                    let name = p.string()?;
                    p.expect(b':')?;
                    Ok((name[1..name.len() - 1].to_owned(), p.value()?))
                })
                .map(Json::Object),
            Some(b'[') => self.list(b']', Self::value).map(Json::Array),
            Some(b'"') => self.string().map(Json::Scalar),
            Some(_) => self.word().map(Json::Scalar),
            None => Err(self.fault("a value")),
        }
    }

    /// Items between brackets.
    fn list<T>(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.at += 1;
        let mut items = vec![];
        while self.peek() != Some(end) {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(item(self)?);
        }
        self.at += 1;
        Ok(items)
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.fault("\"")),
            }
        }
        self.at += 1;
        // white space before the first quote is not part of it
        Ok(self.text[start..self.at].trim_start().to_owned())
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Result<String, String> {
        let rest = &self.text[self.at..];
        let ends = |c: char| c.is_whitespace() || ",]}".contains(c);
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let number = word.parse::<f64>().is_ok() && !word.contains(['n', 'N', 'i', 'I']);
        if !number && !["true", "false", "null"].contains(&word) {
            return Err(self.fault("a value"));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }
}

#[test]
fn spelling_and_order_are_kept() {
    // Goal: nothing that a consumer could see is lost. Method: print what was parsed.
    for text in
        [r#"{"b":1.0E7,"a":[1,-0.0,{"x":"a\"\\\u00e9"}],"":null,"t":true}"#, "[]", "{}", "\"\""]
    {
        assert_eq!(Json::parse(text).unwrap().to_string(), text);
    }
    let spaced = Json::parse(" { \"a\" : [ 1 , 2 ] } ").unwrap();
    assert_eq!(spaced.to_string(), "{\"a\":[1,2]}");
    for bad in ["", "{", "{\"a\"}", "[1 2]", "nul", "1 2", "\"a", "NaN", "{\"a\":}"] {
        assert!(Json::parse(bad).is_err(), "{bad}");
    }
}
