//! Pure and deterministic machines of a pipeline: no I/O, no clock, no async, no map iteration
//! order. The binary and the simulator drive the very same code.
#![forbid(unsafe_code)]

pub mod batch;
pub mod encode;
pub mod hop;
pub mod limits;
pub mod segment;
pub mod seq;
