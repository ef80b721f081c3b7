//! Signals, in a process of their own: this test program again, with one test.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::super::{block_on, signal};

const CHILD: &str = "PENSTOCK_TEST_SIGNALS";

fn raise(signal: i32) {
    // SAFETY: getpid and kill touch no memory of ours.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// Goal: the first signal asks for a drain, the second ends the process at once with 128 + its
/// number. Method: a child that sends itself SIGTERM, waits for the news, and then SIGINT.
#[test]
fn first_drains_second_ends() {
    if std::env::var_os(CHILD).is_some() {
        let mut drain = signal::install().unwrap();
        assert!(!drain.get());
        raise(libc::SIGTERM);
        assert_eq!(block_on(drain.wait_for(|&drain| drain)), Some(true));
        assert!(signal::install().unwrap().get());
        raise(libc::SIGINT);
        unreachable!("the second signal ends the process");
    }
    let test = "runtime::tests::signals::first_drains_second_ends";
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).args(["--exact", test]).env(CHILD, "1").output().unwrap();
    assert_eq!((status.status.code(), status.status.signal()), (Some(130), None));
}
