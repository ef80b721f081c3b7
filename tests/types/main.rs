//! Types and character sets against real servers: what the log says, by our decoders, must be what
//! the server itself says by SELECT, and what a snapshot reads.
//!
//! Each test owns its server. Longer runs by environment: `TYPES_ROWS` random rows a table (40),
//! `TYPES_SEED`. `PENSTOCK_GOLDEN_WRITE=1` writes captures and tables instead of comparing them.

#[allow(dead_code)]
#[path = "../golden/binlog.rs"]
mod binlog;
mod captures;
mod charsets;
mod client;
#[allow(dead_code)]
#[path = "../live/server.rs"]
mod server;
mod specs;
mod values;

/// Whether files are to be written, not compared.
fn writes() -> bool {
    std::env::var_os("PENSTOCK_GOLDEN_WRITE").is_some()
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}
