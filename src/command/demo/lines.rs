//! The demo's records for human eyes: while they go to a terminal, each is cut to one short line.
//!
//! Enters: what the stdout sink writes: standard output is a pipe meanwhile. Leaves: a line a
//! record on the terminal. Keeps: the pipeline is the real one, with its real sink; where standard
//! output is no terminal, nothing of this happens and the records stay whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::JoinHandle;

use serde_json::Value;

/// Characters of a line on the terminal.
const LINE_CHARS_MAX: usize = 110;

/// Standard output as it was, and the thread that shortens.
pub(super) struct Lines {
    terminal: OwnedFd,
    shortener: JoinHandle<()>,
}

impl Lines {
    /// Puts the pipe in place, if standard output is a terminal.
    pub(super) fn start() -> io::Result<Option<Self>> {
        if !io::stdout().is_terminal() {
            return Ok(None);
        }
        let (read, write) = io::pipe()?;
        let terminal = io::stdout().as_fd().try_clone_to_owned()?;
        let mut out = File::from(terminal.try_clone()?);
        let shortener = std::thread::spawn(move || {
            for line in BufReader::new(read).lines().map_while(Result::ok) {
                // A terminal that went away stops nobody: the folder still gets its records.
                let _ = writeln!(out, "{}", short(&line));
            }
        });
        replace_stdout(&write)?;
        Ok(Some(Self { terminal, shortener }))
    }

    /// Gives standard output back, once all lines are through.
    pub(super) fn finish(self) {
        if replace_stdout(&self.terminal).is_ok() {
            let _ = self.shortener.join();
        }
    }
}

/// Makes descriptor 1 name what `to` names.
fn replace_stdout(to: &impl AsFd) -> io::Result<()> {
    let to = to.as_fd().as_raw_fd();
    // SAFETY: both descriptors are open: `to` is borrowed, 1 was standard output all along.
    match unsafe { libc::dup2(to, libc::STDOUT_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// One short line of a record; what is no record stays as it is.
fn short(line: &str) -> String {
    let Ok(record) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let topic = record["topic"].as_str().unwrap_or_default();
    let table = topic.rsplit('.').next().unwrap_or_default();
    let value = &record["value"];
    let (word, row) = match value["op"].as_str() {
        Some("r") => ("read", &value["after"]),
        Some("c") => ("create", &value["after"]),
        Some("u") => ("update", &value["after"]),
        Some("d") => ("delete", &record["key"]),
        Some(_) => ("other", &record["key"]),
        None => ("tombstone", &record["key"]),
    };
    let fields = row.as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("{table:<12} {word:<9} {}", fields.join(" "));
    match text.char_indices().nth(LINE_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_short_lines() {
        // Goal: table, operation and row are seen at a glance, nothing is too long. Method: exact
        // lines of each kind.
        let update = r#"{"topic":"shop.public.orders","key":{"id":3},"value":{"before":null,
            "after":{"id":3,"status":"paid"},"op":"u"}}"#;
        assert_eq!(short(update), "orders       update    id=3 status=\"paid\"");
        let delete = r#"{"topic":"shop.public.orders","key":{"id":3},"value":{"op":"d"}}"#;
        assert_eq!(short(delete), "orders       delete    id=3");
        let tombstone = r#"{"topic":"shop.public.orders","key":{"id":3},"value":null}"#;
        assert_eq!(short(tombstone), "orders       tombstone id=3");
        assert_eq!(short("no record"), "no record");
        let long = update.replace("paid", &"ä".repeat(500));
        assert_eq!(short(&long).chars().count(), LINE_CHARS_MAX + 1);
    }
}
