//! Codes of PostgreSQL sources.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
