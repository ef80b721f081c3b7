//! Codes of sinks.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
