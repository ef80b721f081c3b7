//! Disks for tests: small ones that are full, read-only ones, and an fsync that fails.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

thread_local! {
    static SYNCS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The fsync after `good` more of this thread fails once with EIO, which no file system here can
/// be brought to do; `None`: no fault.
pub fn fail_sync_after(good: Option<u32>) {
    SYNCS_LEFT.set(good);
}

pub(super) fn sync() -> io::Result<()> {
    match SYNCS_LEFT.get() {
        Some(0) => {
            SYNCS_LEFT.set(None);
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
        left => {
            SYNCS_LEFT.set(left.map(|n| n - 1));
            Ok(())
        }
    }
}

/// A file system of its own, in memory.
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts `bytes` of room.
    pub fn new(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(folder.path(), 0, &format!("size={bytes}"));
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it read-only, or writable again.
    pub fn read_only(&self, on: bool) {
        let flag = if on { libc::MS_RDONLY } else { 0 };
        mount(self.path(), libc::MS_REMOUNT | flag, "");
    }

    /// Uses up all room; gives the file to remove.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        for block in [64 << 10, 4096, 1] {
            while io::Write::write_all(&mut file, &vec![0; block]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = c_path(self.path());
        // SAFETY: a live string; the mount is ours.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn mount(path: &Path, flags: libc::c_ulong, options: &str) {
    let (path, options) = (c_path(path), CString::new(options).unwrap());
    // SAFETY: live strings, and no source is needed for this type.
    let result = unsafe {
        libc::mount(
            c"tmpfs".as_ptr(),
            path.as_ptr(),
            c"tmpfs".as_ptr(),
            flags,
            if options.is_empty() { ptr::null() } else { options.as_ptr().cast() },
        )
    };
    assert_eq!(result, 0, "mount: {}", io::Error::last_os_error());
}

/// Runs a test that mounts: here as root, else this test alone in a namespace of its own where we
/// are. `name`: the test's full path.
pub fn with_mounts(name: &str, test: impl FnOnce()) {
    // SAFETY: has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        return test();
    }
    let exe = std::env::current_exe().unwrap();
    let run = Command::new("unshare").arg("-Urm").arg(exe).args(["--exact", name]).output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
