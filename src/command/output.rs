//! Words on a terminal: wrapping, colour, and standard output that may be closed early.

use std::io::{IsTerminal, Write};

/// Columns of running text.
pub(super) const TEXT_COLUMNS: usize = 80;

/// Writes to standard output. A reader that went away (`penstock help X | head -1`) is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whether standard output takes colours: a terminal, and nobody who set NO_COLOR.
pub(super) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Breaks paragraphs into lines of at most `columns` characters; paragraphs are parted by an empty
/// line. A word longer than a line stands alone.
pub(super) fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let mut out = String::new();
    for (at, paragraph) in text.split("\n\n").enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let mut width = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > columns {
                out.push('\n');
                width = 0;
            }
            if width == 0 {
                out.push_str(indent);
                width = indent.chars().count();
            } else {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += length;
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_by_words() {
        // Goal: no line is longer than asked, no word is cut. Method: exact text.
        let text = "one two three four\n\nfive averyveryverylongword six";
        let lines = " one two\n three\n four\n\n five\n averyveryverylongword\n six\n";
        assert_eq!(wrap(text, 10, " "), lines);
    }
}
