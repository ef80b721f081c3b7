//! Spelling of names and literals in statements.
//!
//! Enters: names and texts, hostile ones included. Leaves: SQL that cannot mean anything else.

/// `"name"`, quotes doubled.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `"schema"."table"`.
pub fn table(schema: &str, table: &str) -> String {
    format!("{}.{}", ident(schema), ident(table))
}

/// `'text'`, quotes doubled; `E'…'` where a backslash is in it, so that
/// `standard_conforming_strings` does not matter.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_stay_what_they_are() {
        // Goal: no name or text ends its own quotes. Method: the characters that could.
        assert_eq!(ident("a\"; drop"), "\"a\"\"; drop\"");
        assert_eq!(table("S", "t"), "\"S\".\"t\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
        assert_eq!(literal("\\'"), " E'\\\\'''");
    }
}
