//! `penstock topology`: cores, NUMA nodes, and which role runs where.

use std::path::Path;

use super::output;
use crate::config;
use crate::error::Result;
use crate::runtime::machine::Machine;
use crate::runtime::{self, topology};

/// Prints the plan of this machine, for the given pipelines if there are any. The first one's
/// `[runtime]` speaks for the process, as in `run`.
pub(super) fn topology<P: AsRef<Path>>(configs: &[P]) -> Result<u8> {
    let pipelines = config::load(configs)?;
    let first = pipelines.first().map(|pipeline| &pipeline.runtime);
    let probe = runtime::choose(first.and_then(|runtime| runtime.backend))?;
    let machine = Machine::read();
    let plan = topology::plan(&machine, first.and_then(|runtime| runtime.cores.as_deref()))?;
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    output::print(&topology::table(&machine, &plan, &probe, &names));
    Ok(0)
}
