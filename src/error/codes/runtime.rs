//! Codes of cores, event loops, pipelines and commands.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
