//! Codes of MySQL and MariaDB sources.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
