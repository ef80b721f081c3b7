//! Pure protocol rooms: bytes in; frames, rows and bytes to send out.
//!
//! No I/O, no clock, no allocation per row. Every input is hostile: a malformed byte is an error
//! that carries its offset, never a panic. Arrows: nothing here knows `shards` or the binary.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod cursor;
pub mod frame;
pub mod mysql;
pub mod position;
pub mod postgres;
pub mod schema;
pub mod value;
