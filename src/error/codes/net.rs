//! Codes of connections: addresses, TLS, time-outs.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[];
