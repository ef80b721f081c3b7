//! Which CPUs a thread may run on. Enters and leaves: lists of CPU numbers. Keeps: threads
//! inherit the mask of the thread that made them, so it is set before others are started.

use std::io;
use std::mem;

/// CPUs that the kernel's fixed-size mask can name.
const CPUS_MAX: usize = libc::CPU_SETSIZE as usize;

/// CPUs that this thread may run on, ascending.
pub fn get() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is plain bits, for which all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is writable and as large as said; pid 0 is the calling thread.
    let status = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `cpu` is below CPU_SETSIZE, as the macro asks.
    Ok((0..CPUS_MAX).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Confines this thread, and those it makes later, to `cpus`.
pub fn set(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain bits, for which all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &cpu in cpus {
        if cpu >= CPUS_MAX {
            let what = format!("CPU {cpu} is beyond the {CPUS_MAX} that can be named");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // SAFETY: `cpu` is below CPU_SETSIZE, checked above.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: `set` is readable and as large as said; pid 0 is the calling thread.
    let status = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a thread can be confined and sees it. Method: pin a fresh thread to its last CPU.
    #[test]
    fn pins_a_thread() {
        std::thread::spawn(|| {
            let last = *get().unwrap().last().unwrap();
            set(&[last]).unwrap();
            assert_eq!(get().unwrap(), [last]);
            assert!(set(&[CPUS_MAX]).is_err());
        })
        .join()
        .unwrap();
    }
}
