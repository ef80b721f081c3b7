//! A statement as a change of schema.

use super::change::Change;

/// Reads a statement; `None`: it changes no schema. `sql_mode` as the QUERY event has it.
#[must_use]
pub fn parse(_sql: &str, _sql_mode: u64, _mariadb: bool) -> Option<Change> {
    None
}
