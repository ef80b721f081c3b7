//! PostgreSQL: frontend/backend messages, the replication stream, pgoutput, tuples, types and
//! defaults. Text format only, protocol version 1 of pgoutput; the session's client_encoding is
//! UTF8 and its TimeZone UTC.

pub mod array;
pub mod default;
pub mod hstore;
pub mod message;
pub mod pgoutput;
pub mod replication;
pub mod text;
pub mod tuple;
pub mod types;
pub mod values;

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01T00:00:00Z (`POSTGRES_EPOCH_JDATE`
/// in `src/include/datatype/timestamp.h`).
pub const EPOCH_2000_US: i64 = 946_684_800_000_000;
