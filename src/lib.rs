//! The binary's rooms: everything that touches an operating system.

pub mod check;
pub mod command;
pub mod config;
pub mod disk;
pub mod error;
pub mod lease;
pub mod pipeline;
pub mod progress;
pub mod runtime;
pub mod sink;
pub mod source;
pub mod store;
