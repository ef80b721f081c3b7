//! The epoch: rises at every start, durably, before anything is delivered under it.
//!
//! Enters: the epoch of the last checkpoint and the clock. Leaves: a number above both what was
//! given before and, if the clock is sane, all that anybody gave before. Keeps: a torn write
//! leaves the record before it readable.
//!
//! The file holds two records in blocks of their own, written in turn (little-endian):
//! ```text
//! +-----------------+---------+----------+
//! | "PENEPOCH" 8    | epoch 8 | crc32c 4 |
//! +-----------------+---------+----------+
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use penstock_shards::seq::Epoch;

use super::{explain, fsync_failed};
use crate::disk;
use crate::error::Result;

const MAGIC: [u8; 8] = *b"PENEPOCH";
const RECORD: usize = 20;
/// Distance of the two records: a torn write of one block leaves the other alone, bytes.
const BLOCK: u64 = 4096;

/// The next epoch, durable. `checkpointed`: that of the last checkpoint; `now_us`: µs since 1970.
pub(super) fn next(folder: &Path, checkpointed: u64, now_us: u64) -> Result<Epoch> {
    let path = folder.join("epoch");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let open = options.open(&path).and_then(|file| {
        disk::reserve(&file, 2 * BLOCK)?;
        Ok((read(&file, 0)?, read(&file, BLOCK)?, file))
    });
    let (a, b, file) = open.map_err(|error| explain("opened", &path, error))?;
    let stored = a.max(b).unwrap_or(0).max(checkpointed);
    let epoch = stored.saturating_add(1).max(now_us);
    // The older of the two goes: a torn write must not cost the newer.
    let at = if a > b { BLOCK } else { 0 };
    file.write_all_at(&record(epoch), at).map_err(|error| explain("written", &path, error))?;
    disk::sync(&file).map_err(|error| fsync_failed(&path, error))?;
    disk::sync_folder(folder).map_err(|error| fsync_failed(folder, error))?;
    Ok(Epoch(epoch))
}

fn record(epoch: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&MAGIC);
    record[8..16].copy_from_slice(&epoch.to_le_bytes());
    let crc = crc32c::crc32c(&record[..16]);
    record[16..].copy_from_slice(&crc.to_le_bytes());
    record
}

/// The epoch of one record, if it is whole.
fn read(file: &File, at: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; RECORD];
    file.read_exact_at(&mut bytes, at)?;
    let epoch = u64::from_le_bytes(bytes[8..16].try_into().expect("invariant: eight bytes"));
    Ok((bytes == record(epoch)).then_some(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the epoch rises at every start, also when the clock goes back or the state is lost.
    /// Method: starts under a clock that goes forth, back and forth, with and without the file.
    #[test]
    fn l20_the_epoch_rises_whatever_the_clock_does() {
        let folder = tempfile::tempdir().unwrap();
        let next = |checkpointed, now| next(folder.path(), checkpointed, now).unwrap().0;
        assert_eq!(next(0, 1_000_000), 1_000_000);
        assert_eq!(next(0, 5), 1_000_001);
        assert_eq!(next(0, 5), 1_000_002);
        assert_eq!(next(2_000_000, 5), 2_000_001);
        assert_eq!(next(0, 3_000_000), 3_000_000);
        std::fs::remove_file(folder.path().join("epoch")).unwrap();
        assert_eq!(next(0, 3_000_007), 3_000_007);
        assert_eq!(next(0, u64::MAX), u64::MAX);
    }

    /// Goal: a torn or damaged record never lowers the epoch below the other record. Method: each
    /// byte of the newer record is flipped in turn; the next epoch is above the older one still,
    /// and with both whole above the newer.
    #[test]
    fn l20_a_damaged_record_falls_back_to_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("epoch");
        assert_eq!(next(folder.path(), 0, 10).unwrap(), Epoch(10));
        assert_eq!(next(folder.path(), 0, 0).unwrap(), Epoch(11));
        let good = std::fs::read(&path).unwrap();
        let newer = good[BLOCK as usize..].starts_with(&record(11)[..]);
        let start = if newer { BLOCK as usize } else { 0 };
        assert_eq!(good[start..start + RECORD], record(11));
        for at in start..start + RECORD {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(next(folder.path(), 0, 0).unwrap(), Epoch(11), "byte {at}");
        }
        std::fs::write(&path, &good).unwrap();
        assert_eq!(next(folder.path(), 0, 0).unwrap(), Epoch(12));
    }
}
