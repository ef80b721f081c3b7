//! Codes of checkpoints, schema history, offsets.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
