//! Golden tests: bytes captured from real servers → exact envelopes.

mod binlog;
mod mysql;
mod postgres;
