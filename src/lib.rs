//! The binary's rooms: everything that touches an operating system.

pub mod check;
pub mod command;
pub mod config;
pub mod error;
pub mod pipeline;
pub mod progress;
pub mod runtime;
pub mod sink;
pub mod source;
