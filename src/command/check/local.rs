//! Findings about this machine: folders, disk, memory that may be locked, event loop, clock.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::check::Finding;
use crate::config::{Backend, Pipeline, SinkKind};
use crate::runtime::probe;

/// Below this, bytes, a day's work may fill the disk.
const DISK_WARN_BYTES: u64 = 1 << 30;
/// Below this, bytes, the next checkpoint or spill file may.
const DISK_FAIL_BYTES: u64 = 64 << 20;
/// Each core on io_uring wants to lock so much, bytes.
const MEMLOCK_CORE_BYTES: u64 = 512 << 10;
/// No clock that is right shows a time before this build: 2026-01-01, seconds since 1970.
const CLOCK_MIN_S: u64 = 1_767_225_600;

/// All of them.
pub(super) fn findings(pipeline: &Pipeline) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("config-valid", "the configuration is valid")];
    let state = pipeline.state.join(&pipeline.name);
    findings.extend(folder(&state, "state folder", "state-folder", "state-disk"));
    for sink in &pipeline.sinks {
        if let SinkKind::File { path, .. } = &sink.kind {
            findings.extend(folder(path, "output folder", "sink-folder", "sink-disk"));
        }
    }
    findings.push(backend(pipeline.runtime.backend));
    findings.extend(memlock(pipeline.runtime.backend));
    findings.push(clock(SystemTime::now()));
    findings
}

/// Whether a folder can be written or made, and what is left on its disk.
fn folder(path: &Path, word: &str, writable: &'static str, disk: &'static str) -> Vec<Finding> {
    let shown = path.display();
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let missing = there != path;
    let finding = match probe_folder(there) {
        Err(error) => {
            let verb = if missing { "made" } else { "written" };
            let what = format!("the {word} {shown} cannot be {verb}: {error}");
            Finding::failure(writable, what)
                .mend(format!("install -d -o USER {shown}    # as root; USER is who runs penstock"))
        }
        Ok(()) if missing => {
            Finding::ok(writable, format!("the {word} {shown} will be made at the first run"))
        }
        Ok(()) => Finding::ok(writable, format!("the {word} {shown} is writable")),
    };
    let mut findings = vec![finding];
    // A file system that tells no space has no finding.
    if let Ok(free) = free_bytes(there) {
        let text = format!("{} MiB are free on the disk of the {word}", free >> 20);
        let mend = format!("df -h {}    # and free some, or move the folder", there.display());
        findings.push(match free {
            free if free < DISK_FAIL_BYTES => Finding::failure(disk, text).mend(mend),
            free if free < DISK_WARN_BYTES => Finding::warning(disk, text).mend(mend),
            _ => Finding::ok(disk, text),
        });
    }
    findings
}

/// Makes a file in the folder and removes it: rights, read-only mounts and quotas all count.
fn probe_folder(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Err(io::Error::other(format!("{} is not a folder", folder.display())));
    }
    let path = folder.join(format!(".penstock-check-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}

/// Bytes that an unprivileged process may still write (`statvfs`).
fn free_bytes(folder: &Path) -> io::Result<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: a statvfs record of zeros is a valid one (integers only), `path` ends in a zero
    // byte, and the call writes into the record only.
    let record = unsafe {
        let mut record: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut record) != 0 {
            return Err(io::Error::last_os_error());
        }
        record
    };
    Ok(record.f_bavail.saturating_mul(record.f_frsize))
}

/// Which event loop serves; io_uring that was asked for must.
fn backend(configured: Option<Backend>) -> Finding {
    if configured == Some(Backend::Epoll) {
        return Finding::ok("runtime-backend", "epoll serves: the configuration says so");
    }
    let probed = probe();
    let finding = match (probed.backend, configured) {
        (Backend::IoUring, _) => return Finding::ok("runtime-backend", probed.reason),
        (Backend::Epoll, Some(_)) => {
            let what = format!("io_uring is configured; {}", probed.reason);
            Finding::failure("runtime-backend", what)
        }
        (Backend::Epoll, None) => Finding::warning(
            "runtime-backend",
            format!("{}; the pipeline runs, with some more CPU", probed.reason),
        ),
    };
    match probed.hint {
        Some(hint) => finding.mend(hint),
        None => finding,
    }
}

/// Whether every core may lock the memory of its rings.
fn memlock(configured: Option<Backend>) -> Option<Finding> {
    if configured == Some(Backend::Epoll) {
        return None;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes into the record only.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } != 0 {
        return None;
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Some(memlock_finding(limit.rlim_cur, cores))
}

fn memlock_finding(limit_bytes: u64, cores: u64) -> Finding {
    let wanted = MEMLOCK_CORE_BYTES.saturating_mul(cores);
    if limit_bytes == libc::RLIM_INFINITY {
        return Finding::ok("runtime-memlock", "memory may be locked without limit");
    }
    let text = format!("{} KiB of memory may be locked", limit_bytes >> 10);
    if limit_bytes >= wanted {
        return Finding::ok("runtime-memlock", text);
    }
    let what = format!("{text}; io_uring on {cores} cores wants {} KiB", wanted >> 10);
    Finding::warning("runtime-memlock", what)
        .mend("ulimit -l unlimited    # or LimitMEMLOCK=infinity in the systemd unit")
}

/// Epochs never start below the clock (HAZARDS L20): a clock far in the past is found here.
fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    match since.as_secs() >= CLOCK_MIN_S {
        true => Finding::ok("runtime-clock", "the clock is not behind this build"),
        false => Finding::failure("runtime-clock", "the clock of this machine is years behind")
            .mend("timedatectl set-ntp true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn folders_that_exist_that_will_and_that_cannot() {
        // Goal: exact findings, and nothing is left behind. Method: a folder, one not made yet,
        // one below a file.
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path();
        let first =
            |path: &Path| folder(path, "state folder", "state-folder", "state-disk").remove(0);
        let expected = format!("the state folder {} is writable", path.display());
        assert_eq!(first(path), Finding::ok("state-folder", expected));
        let new = path.join("a/b");
        let expected = format!("the state folder {} will be made at the first run", new.display());
        assert_eq!(first(&new), Finding::ok("state-folder", expected));
        assert_eq!(std::fs::read_dir(path).expect("readable").count(), 0);
        std::fs::write(path.join("file"), "").expect("writable");
        let below = first(&path.join("file/state"));
        let expected = format!(
            "the state folder {0}/file/state cannot be made: {0}/file is not a folder",
            path.display()
        );
        assert_eq!((below.level, below.what), (Level::Failure, expected));
    }

    #[test]
    fn clocks_before_this_build_are_wrong() {
        // Goal: a clock that starts in 1970 is a failure. Method: three times.
        let at = |seconds| clock(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).level;
        assert_eq!(at(0), Level::Failure);
        assert_eq!(at(CLOCK_MIN_S - 1), Level::Failure);
        assert_eq!(at(CLOCK_MIN_S), Level::Ok);
    }

    #[test]
    fn the_memlock_limit_counts_every_core() {
        // Goal: exact findings on both sides of the need. Method: limits by hand.
        let warning = memlock_finding(1 << 20, 3);
        assert_eq!(warning.level, Level::Warning);
        let expected = "1024 KiB of memory may be locked; io_uring on 3 cores wants 1536 KiB";
        assert_eq!(warning.what, expected);
        assert_eq!(memlock_finding(1 << 20, 2).level, Level::Ok);
        assert_eq!(memlock_finding(libc::RLIM_INFINITY, 64).level, Level::Ok);
        assert_eq!(memlock(Some(Backend::Epoll)), None);
    }

    #[test]
    fn epoll_that_was_asked_for_is_ok() {
        // Goal: no warning about what the user chose. Method: the finding.
        assert_eq!(backend(Some(Backend::Epoll)).level, Level::Ok);
    }
}
