//! SIGTERM and SIGINT. Enters: signals. Leaves: the first one as a value that cores can watch; the
//! second ends the process at once. Keeps: the handler does only what is async-signal-safe, and
//! child processes start with the default handling.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::{mem, ptr, thread};

use super::watch;

static SIGNALLED: AtomicBool = AtomicBool::new(false);
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// First call: handles SIGTERM and SIGINT from now on. Every call: a watcher of "drain" (true
/// after the first signal). A second signal ends the process with status 128 + its number.
pub fn install() -> io::Result<watch::Receiver<bool>> {
    static DRAIN: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    static FIRST: Mutex<()> = Mutex::new(());
    let _one_at_a_time = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(drain) = DRAIN.get() {
        return Ok(drain.clone());
    }
    let (reader, writer) = pipe()?;
    PIPE.store(writer, Ordering::SeqCst);
    let (sender, receiver) = watch::channel(false);
    thread::Builder::new()
        .name("penstock-signal".into())
        .spawn(move || forward(reader, &sender))?;
    handle(libc::SIGTERM)?;
    handle(libc::SIGINT)?;
    Ok(DRAIN.get_or_init(|| receiver).clone())
}

fn forward(mut reader: File, drain: &watch::Sender<bool>) {
    let mut byte = [0];
    while reader.read_exact(&mut byte).is_ok() {
        drain.set(true);
    }
}

/// A pipe whose ends are not inherited; the writing end does not block.
fn pipe() -> io::Result<(File, RawFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: pipe2 has just given us this descriptor; nobody else owns it.
    let reader = unsafe { File::from_raw_fd(ends[0]) };
    // SAFETY: an open descriptor of ours; the flag is valid.
    if unsafe { libc::fcntl(ends[1], libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((reader, ends[1]))
}

fn handle(signal: i32) -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which all-zero is valid: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(i32) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is initialised, and its handler is async-signal-safe (see there).
    let status = unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Only atomics, `_exit` and `write`: all async-signal-safe (signal-safety(7)). `errno` is kept.
extern "C" fn on_signal(signal: i32) {
    if SIGNALLED.swap(true, Ordering::SeqCst) {
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(128 + signal) };
    }
    // SAFETY: errno of this thread is a valid place; the pipe's end is never closed, and one
    // byte is read from a static.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(PIPE.load(Ordering::SeqCst), ptr::from_ref(&1u8).cast(), 1);
        *libc::__errno_location() = errno;
    }
}
