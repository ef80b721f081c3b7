//! `penstock run`.

use std::io::IsTerminal;
use std::path::Path;

use crate::config::{self, Pipeline, SinkKind};
use crate::error::Result;
use crate::pipeline::{self, RunOptions};
use crate::progress;

/// Runs every pipeline to its end; 0, or 1 if one failed.
pub(super) fn run<P: AsRef<Path>>(configs: &[P], exit_when_caught_up: bool) -> Result<u8> {
    let pipelines = config::load(configs)?;
    if bars(&pipelines) {
        progress::show_bars();
    }
    Ok(pipeline::run_all(pipelines, RunOptions { exit_when_caught_up }))
}

/// Bars on a terminal only, and not where records scroll through the same terminal.
fn bars(pipelines: &[Pipeline]) -> bool {
    let prints = |pipeline: &Pipeline| pipeline.sinks.iter().any(|s| s.kind == SinkKind::Stdout);
    let records = std::io::stdout().is_terminal() && pipelines.iter().any(prints);
    std::io::stderr().is_terminal() && !records
}
