//! `penstock decode FILE…`: binlog files to records on standard output, without a server.
//!
//! Keeps: the order of the log over all tables; flat memory; what cannot be known is shown as
//! little as it is known (`@1`, base64), which only this command may do (DESIGN, invariant 11).

mod blocks;
mod columns;
mod log;
mod output;

use std::path::PathBuf;

use crate::error::Result;

/// Shows the files' rows, one file after another, as one log.
pub(super) fn decode(files: &[PathBuf]) -> Result<u8> {
    let mut decoder = log::Decoder::new(output::Output::new());
    let shown = decoder.files(files);
    let flushed = decoder.finish();
    match shown.and(flushed) {
        Err(error) if error.code == output::READER_GONE => Ok(0),
        other => other.map(|()| 0),
    }
}
