//! A lease on a folder: one process at a time, and who it is.
//!
//! Enters: the path of a lock file. Leaves: a lease that lasts as long as the value, at most as
//! long as the process, however it ends. Keeps: the lock is the operating system's (`flock`), on
//! an open file that is never removed, so no crash leaves a stale one and no two processes hold
//! locks on different files of one name. Good on one host (HAZARDS L29).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What is read of a lock file at most, bytes.
const HOLDER_BYTES_MAX: u64 = 4096;

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// Pipeline.
    pub pipeline: String,
    /// Since when, RFC 3339, UTC.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, host, pipeline, since } = self;
        write!(f, "process {pid} on {host} (pipeline {pipeline}, since {since})")
    }
}

/// How long, and how often, we look for a child of ours to reach its exec.
const OWN_CHILD_MAX: Duration = Duration::from_millis(200);
const OWN_CHILD_POLL: Duration = Duration::from_millis(5);

/// Why there is no lease.
#[derive(Debug)]
pub enum LeaseError {
    /// Somebody has it. `None`: the lock file does not say who.
    Held(Option<Holder>),
    /// The file cannot be opened or locked.
    Io(io::Error),
}

impl Lease {
    /// Takes the lease whose lock file is `path`, or says who has it. Waits only for ourselves: a
    /// lease that this process let go a moment ago may live on in a child between fork and exec.
    pub fn take(path: &Path, pipeline: &str) -> Result<Self, LeaseError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(LeaseError::Io)?;
        let until = Instant::now() + OWN_CHILD_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(LeaseError::Io(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = read_holder(&file);
            let ours = holder.as_ref().is_some_and(|holder| holder.pid == std::process::id());
            if !ours || Instant::now() >= until {
                return Err(LeaseError::Held(holder));
            }
            file.rewind().map_err(LeaseError::Io)?;
            std::thread::sleep(OWN_CHILD_POLL);
        }
        // The lock holds whether or not the disk has room for our name.
        drop(write_holder(&mut file, &Holder::this_process(pipeline)));
        Ok(Self { _file: file })
    }
}

impl Holder {
    fn this_process(pipeline: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self {
            pid: std::process::id(),
            host: host_name(),
            pipeline: pipeline.into(),
            since: rfc3339(now),
        }
    }
}

fn read_holder(file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_holder(file: &mut File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_string(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: a live buffer and its length.
    if unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) } != 0 {
        return "unknown".into();
    }
    let len = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..len]).into_owned()
}

/// Seconds since 1970 as `2026-11-24T22:43:27Z`. The calendar repeats every 146,097 days; years
/// are counted from March, so that the leap day is a year's last.
pub(crate) fn rfc3339(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400 + 719_468, unix_s % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: one holder at a time, who is named; free again when it lets go. Method: two leases on
    /// one file in this process (the kernel counts open files, not processes).
    #[test]
    fn l29_one_holder_who_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lease::take(&path, "shop").unwrap();
        let LeaseError::Held(Some(holder)) = Lease::take(&path, "other").unwrap_err() else {
            panic!("two leases, or nobody named")
        };
        assert_eq!((holder.pid, &*holder.pipeline), (std::process::id(), "shop"));
        assert_eq!(holder.host, host_name());
        drop(first);
        Lease::take(&path, "other").unwrap();
    }

    /// Goal: a lock file of garbage hinders nobody and names nobody. Method: garbage written while
    /// the lease is held, then taken anew.
    #[test]
    fn garbage_in_the_lock_file_is_no_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lease::take(&path, "shop").unwrap();
        std::fs::write(&path, [0xff; 8192]).unwrap();
        assert!(matches!(Lease::take(&path, "shop"), Err(LeaseError::Held(None))));
        drop(first);
        Lease::take(&path, "shop").unwrap();
    }

    /// Goal: times are right. Method: the epoch, leap days of three kinds of century, a year's end.
    #[test]
    fn times_are_civil() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
