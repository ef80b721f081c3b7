//! The few things that every durable file of ours needs from the operating system.
//!
//! Enters: files and folders. Leaves: the same, durable, or an error that is told apart by what
//! can be done about it. Keeps: a failed fsync is never repeated by anybody (HAZARDS L29): after
//! one Linux marks the pages clean, so that a second one succeeds over lost data.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

/// Makes a file's bytes durable.
pub fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    testing::sync()?;
    file.sync_data()
}

/// Makes the names in a folder durable: files that appeared, went or were renamed.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(test)]
    testing::sync()?;
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, with this mode, each name durable. No error if it is there.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|f| !f.exists()).collect();
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    for made in missing {
        match made.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
            _ => sync_folder(Path::new("."))?,
        }
    }
    Ok(())
}

/// True if there is no room: the disk or a quota is full. Waiting can help.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Reserves room for the first `len` bytes of a file, which reads as zeros where nothing was
/// written: later writes into it find room on a full disk.
pub fn reserve(file: &File, len: u64) -> io::Result<()> {
    let end = len;
    let len = libc::off_t::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    // SAFETY: a live descriptor, an offset and a length that is positive.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
        0 => Ok(()),
        // The file system cannot reserve, and libc does not do it in its place.
        libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS => write_zeros(file, end),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Zeros from the end of a file up to `end`.
fn write_zeros(file: &File, end: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = file.metadata()?.len();
    while at < end {
        let len = usize::try_from(end - at).map_or(ZEROS.len(), |rest| rest.min(ZEROS.len()));
        file.write_all_at(&ZEROS[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

#[cfg(test)]
pub mod testing;
