//! `penstock completions SHELL`.

use super::output::print;

/// Prints the script of a shell.
pub(super) fn completions(shell: clap_complete::Shell, command: &mut clap::Command) {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "penstock", &mut script);
    print(&String::from_utf8_lossy(&script));
}
