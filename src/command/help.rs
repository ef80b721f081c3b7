//! `penstock help [CODE]`: a command's help, or what an error code means and what to do.

use super::output::{TEXT_COLUMNS, print, wrap};
use crate::error::codes::{self, Code};
use crate::error::{Error, Result};

/// Prints the help of the program, of a command, or of a code.
pub(super) fn help(topic: Option<&str>, command: &mut clap::Command) -> Result<u8> {
    let text = match topic {
        None => command.render_help().to_string(),
        Some(topic) => match codes::find(topic) {
            Some(code) => explain(code),
            None => command_help(topic, command)?,
        },
    };
    print(&text);
    Ok(0)
}

fn command_help(topic: &str, command: &mut clap::Command) -> Result<String> {
    command.build();
    match command.find_subcommand_mut(topic) {
        Some(command) => Ok(command.render_help().to_string()),
        None => {
            let error =
                Error::usage("usage-unknown-topic", format!("no command or code {topic:?}"));
            Err(match codes::nearest(topic) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("a code stands in brackets behind the word error or failure"),
            })
        }
    }
}

/// The long explanation of a code.
pub(super) fn explain(code: &Code) -> String {
    let mut text = format!("{}: {}\n\n", code.code, code.title);
    text += &wrap(code.means, TEXT_COLUMNS, "");
    text += "\nWhat to do:\n";
    text += &wrap(code.mend, TEXT_COLUMNS, "  ");
    text
}
