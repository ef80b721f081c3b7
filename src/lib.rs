//! The binary's rooms: everything that touches an operating system.

pub mod config;
pub mod error;
