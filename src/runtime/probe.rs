//! Which event loop serves here. Enters: what the kernel, its filters and its limits say. Leaves: a
//! backend, the reason in words, and how to allow io_uring where it is refused. Keeps: the answer
//! comes from trying, not from version numbers alone.

use std::fs;
use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::thread;

use super::Backend;
use crate::error::{Error, Result};

/// What a glommio executor asks for at least, bytes.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;
/// Size of `struct io_uring_params` (linux/io_uring.h), bytes.
const PARAMS_BYTES: usize = 120;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What serves.
    pub backend: Backend,
    /// Why, one sentence without a full stop.
    pub reason: String,
    /// How to allow io_uring, where it is refused.
    pub hint: Option<String>,
}

/// What stands in the way of io_uring.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Obstacle {
    reason: String,
    hint: &'static str,
}

/// Tries io_uring here and now: a ring, the memlock limit, and an executor on a thread of its
/// own. Takes some milliseconds.
pub fn probe() -> Probe {
    match obstacle() {
        None => Probe {
            backend: Backend::IoUring,
            reason: format!("io_uring serves here (Linux {})", release()),
            hint: None,
        },
        Some(obstacle) => Probe {
            backend: Backend::Epoll,
            reason: format!("epoll: {}", obstacle.reason),
            hint: Some(obstacle.hint.to_owned()),
        },
    }
}

/// The configured backend, or what the probe says.
///
/// Errors: `runtime-io-uring-refused` (Fatal) when io_uring is configured and does not serve.
pub fn choose(configured: Option<Backend>) -> Result<Probe> {
    if configured == Some(Backend::Epoll) {
        let reason = "epoll: the configuration says so".to_owned();
        return Ok(Probe { backend: Backend::Epoll, reason, hint: None });
    }
    let probed = probe();
    match (configured, probed.backend) {
        (Some(Backend::IoUring), Backend::Epoll) => {
            let why = probed.reason.trim_start_matches("epoll: ").to_owned();
            let hint = probed.hint.unwrap_or_default();
            Err(Error::fatal("runtime-io-uring-refused", format!("no io_uring: {why}"))
                .hint(format!("{hint}; or leave `runtime.backend` out: epoll serves as well")))
        }
        _ => Ok(probed),
    }
}

fn obstacle() -> Option<Obstacle> {
    ring_obstacle().or_else(memlock_obstacle).or_else(executor_obstacle)
}

/// Asks the kernel for a ring of eight entries and lets it go again.
fn ring_obstacle() -> Option<Obstacle> {
    let mut params = [0u8; PARAMS_BYTES];
    // SAFETY: io_uring_setup(2) reads and writes a struct io_uring_params, which `params` is large
    // enough for; all-zero asks for a plain ring.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, params.as_mut_ptr()) };
    if let Ok(fd) = i32::try_from(fd)
        && fd >= 0
    {
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        return None;
    }
    let error = io::Error::last_os_error();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let sysctl = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    Some(explain(error.raw_os_error(), sysctl.trim(), filtered(&status)))
}

/// Whether a seccomp filter is on, by the text of /proc/thread-self/status.
fn filtered(status: &str) -> bool {
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == "2")
}

fn explain(errno: Option<i32>, sysctl: &str, filtered: bool) -> Obstacle {
    let (reason, hint) = match (errno, sysctl) {
        (Some(libc::EPERM), "2") => (
            "io_uring is switched off for everyone (kernel.io_uring_disabled = 2)".to_owned(),
            "`sysctl -w kernel.io_uring_disabled=0` on the host allows it",
        ),
        (Some(libc::EPERM), "1") => (
            "io_uring is for a privileged group only (kernel.io_uring_disabled = 1)".to_owned(),
            "`sysctl -w kernel.io_uring_disabled=0`, or add our group to \
             `kernel.io_uring_group`, on the host allows it",
        ),
        (Some(libc::EPERM | libc::EACCES), _) if filtered => (
            "a seccomp filter refuses io_uring_setup, as container engines do by default"
                .to_owned(),
            "run the container with a seccomp profile that allows io_uring_setup, io_uring_enter \
             and io_uring_register (Docker: `--security-opt seccomp=PROFILE.json`)",
        ),
        (Some(libc::EPERM | libc::EACCES), _) => (
            "the kernel refuses io_uring_setup to this process".to_owned(),
            "ask the host's security policy (SELinux, AppArmor, capabilities) for io_uring",
        ),
        (Some(libc::ENOSYS), _) if filtered => (
            "io_uring_setup is hidden by a seccomp filter, or the kernel lacks it".to_owned(),
            "run with a seccomp profile that allows io_uring_setup, io_uring_enter and \
             io_uring_register, on Linux 5.8 or later",
        ),
        (Some(libc::ENOSYS), _) => (
            format!("this kernel (Linux {}) has no io_uring", release()),
            "Linux 5.8 or later, built with CONFIG_IO_URING, allows it",
        ),
        (Some(libc::ENOMEM), _) => (
            "locked memory is exhausted (RLIMIT_MEMLOCK)".to_owned(),
            "`ulimit -l unlimited`, systemd `LimitMEMLOCK=infinity` or Docker \
             `--ulimit memlock=-1` allows it",
        ),
        (errno, _) => (
            format!("io_uring_setup failed with error {}", errno.unwrap_or(0)),
            "the kernel's log may say more",
        ),
    };
    Obstacle { reason, hint }
}

fn memlock_obstacle() -> Option<Obstacle> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a writable struct rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } != 0 {
        return None;
    }
    memlock_too_low(limit.rlim_cur)
}

fn memlock_too_low(bytes: u64) -> Option<Obstacle> {
    (bytes < MEMLOCK_BYTES_MIN).then(|| Obstacle {
        reason: format!(
            "locked memory is limited to {} KiB, io_uring needs {} KiB (RLIMIT_MEMLOCK)",
            bytes >> 10,
            MEMLOCK_BYTES_MIN >> 10
        ),
        hint: "`ulimit -l unlimited`, systemd `LimitMEMLOCK=infinity` or Docker \
               `--ulimit memlock=-1` allows it",
    })
}

/// An old kernel may have rings without what the executor needs: only running one tells.
fn executor_obstacle() -> Option<Obstacle> {
    let run = || {
        let executor = glommio::LocalExecutorBuilder::default().io_memory(1 << 16).make();
        executor.map(|executor| executor.run(async {})).map_err(|e| e.to_string())
    };
    let spawned = thread::Builder::new().name("penstock-probe".into()).spawn(run);
    let outcome = match spawned.map(thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("it panicked".to_owned()),
        Err(e) => Err(e.to_string()),
    };
    outcome.err().map(|why| Obstacle {
        reason: format!("an io_uring executor does not start on Linux {}: {why}", release()),
        hint: "Linux 5.8 or later and `ulimit -l unlimited` allow it",
    })
}

/// The kernel's release.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "of unknown release".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each refusal names its own way out. Method: the errno and settings of each.
    #[test]
    fn refusals_are_told_apart() {
        let eperm = Some(libc::EPERM);
        assert!(explain(eperm, "2", false).hint.contains("io_uring_disabled=0"));
        assert!(explain(eperm, "1", true).reason.contains("privileged group"));
        assert!(explain(eperm, "0", true).hint.contains("seccomp=PROFILE.json"));
        assert!(explain(eperm, "", false).hint.contains("SELinux"));
        assert!(explain(Some(libc::ENOSYS), "", true).reason.contains("seccomp"));
        assert!(explain(Some(libc::ENOSYS), "", false).hint.contains("5.8"));
        assert!(explain(Some(libc::ENOMEM), "", false).hint.contains("ulimit -l"));
        assert!(explain(Some(libc::EINVAL), "", false).reason.ends_with("error 22"));
    }

    /// Goal: the memlock bound is exact. Method: one byte below, and the bound.
    #[test]
    fn memlock_bound() {
        assert!(memlock_too_low(MEMLOCK_BYTES_MIN).is_none());
        let below = memlock_too_low(64 << 10).unwrap();
        assert_eq!(
            below.reason,
            "locked memory is limited to 64 KiB, io_uring needs 512 KiB (RLIMIT_MEMLOCK)"
        );
    }

    /// Goal: a filter is recognised. Method: the kernel's own line.
    #[test]
    fn filter_is_seen() {
        assert!(filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!filtered("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
    }
}
