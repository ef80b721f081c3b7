//! Pure and deterministic machines of a pipeline: no I/O, no clock, no async, no map iteration
//! order. The binary and the simulator drive the very same code.
#![forbid(unsafe_code)]

pub mod annex;
pub mod batch;
pub mod bucket;
pub mod bugs;
pub mod checkpoint;
pub mod coordinator;
pub mod encode;
pub mod fold;
pub mod history;
pub mod hop;
pub mod limits;
pub mod router;
pub mod segment;
pub mod seq;
pub mod shard;
pub mod snapshot;
pub mod spill;
