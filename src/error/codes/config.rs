//! Codes of the configuration.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
