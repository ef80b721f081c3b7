//! The command line: arguments in, exit status out.
//!
//! Keeps: results go to standard output, everything else to standard error; exit status 0 done, 1 a
//! pipeline failed for good, 2 wrong usage or configuration, 3 `check` found a failure.

mod check;
mod completions;
mod decode;
mod demo;
mod help;
mod logs;
mod offsets;
mod output;
mod run;
mod topology;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Result;

/// Change data capture: reads a database's log and streams every committed change, in order, in
/// Debezium's envelope.
#[derive(Debug, Parser)]
#[command(name = "penstock", version, disable_help_subcommand = true, subcommand_required = true)]
struct Arguments {
    /// What is logged on standard error: error, warn, info, debug, trace, or a filter such as
    /// penstock=debug; also from RUST_LOG
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run pipelines until SIGTERM or SIGINT: drain, checkpoint, exit; a second signal stops now
    Run {
        /// TOML files, or folders of them
        #[arg(required = true, value_name = "CONFIG")]
        configs: Vec<PathBuf>,
        /// End once everything committed at the start is delivered and checkpointed
        #[arg(long)]
        exit_when_caught_up: bool,
    },
    /// Look at both ends without running: versions, settings, grants, keys, disk, kernel
    Check {
        /// TOML files, or folders of them
        #[arg(required = true, value_name = "CONFIG")]
        configs: Vec<PathBuf>,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show the rows of binlog files (MySQL, MariaDB) as records on standard output, without a server
    Decode {
        /// Binlog files, in the order of the log
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Where a pipeline stands: show it, set it, delete it
    #[command(subcommand)]
    Offsets(offsets::Offsets),
    /// Cores, NUMA nodes, and which role runs where
    Topology {
        /// TOML files, or folders of them
        #[arg(value_name = "CONFIG")]
        configs: Vec<PathBuf>,
    },
    /// The main job on a private PostgreSQL that is set up for it, with a live workload
    Demo(demo::Demo),
    /// Explain a command, or the code of an error
    Help {
        /// A command, or a code such as pg-wal-level
        #[arg(value_name = "CODE")]
        topic: Option<String>,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Parses the process's arguments and does what they say.
pub fn main() -> ExitCode {
    // Usage errors print themselves and end the process with status 2; --help and --version with 0.
    let arguments = Arguments::parse();
    match logs::install(arguments.log.as_deref()).and_then(|()| act(arguments.command)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn act(command: Command) -> Result<u8> {
    match command {
        Command::Run { configs, exit_when_caught_up } => run::run(&configs, exit_when_caught_up),
        Command::Check { configs, json } => check::check(&configs, json),
        Command::Decode { files } => decode::decode(&files),
        Command::Offsets(offsets) => offsets::act(offsets),
        Command::Topology { configs } => topology::topology(&configs),
        Command::Demo(demo) => demo::demo(&demo),
        Command::Help { topic } => help::help(topic.as_deref(), &mut Arguments::command()),
        Command::Completions { shell } => {
            completions::completions(shell, &mut Arguments::command());
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        // Goal: no option clashes with another. Method: clap's own check.
        Arguments::command().debug_assert();
    }
}
