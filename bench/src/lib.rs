//! Deterministic input for the benchmarks: row frames as a reader hands them on, without a server.

pub mod binlog;
pub mod pgoutput;
