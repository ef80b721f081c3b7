//! Where io_uring is forbidden, as in most containers: under a seccomp filter.

use std::collections::BTreeMap;
use std::thread;

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::super::net::connect;
use super::super::*;
use super::LIMIT;
use super::net::{echo, serve};

/// Runs `body` on a thread, and those it starts, where io_uring_setup answers `errno`.
fn without_io_uring<T: Send + 'static>(errno: i32, body: impl FnOnce() -> T + Send + 'static) -> T {
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, vec![])]);
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let target = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, target).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    let filtered = thread::spawn(move || {
        apply_filter(&program).unwrap();
        body()
    });
    filtered.join().unwrap()
}

/// Goal: where a filter refuses io_uring, as container engines' do, epoll is chosen, the reason and
/// the way out are said, and the network works. Method: a real seccomp filter; an echo over TCP.
#[test]
fn a_filter_means_epoll_and_epoll_works() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let (endpoint, server) = serve(echo);
        let (probed, got) = without_io_uring(errno, move || {
            let probed = choose(None).unwrap();
            let got = run_alone(probed.backend, move || async move {
                let mut stream = connect(&endpoint, LIMIT).await.unwrap();
                stream.write_all(b"still here").await.unwrap();
                stream.close().await.unwrap();
                let mut got = String::new();
                stream.read_to_string(&mut got).await.unwrap();
                got
            });
            (probed, got.unwrap())
        });
        server.join().unwrap();
        assert_eq!(probed.backend, Backend::Epoll);
        assert!(probed.reason.contains("seccomp filter"), "{}", probed.reason);
        assert!(probed.hint.unwrap().contains("io_uring_setup"));
        assert_eq!(got, "still here");
    }
}

/// Goal: io_uring that is configured but refused is an error with the way out, at choosing and at
/// launching. Method: the same filter.
#[test]
fn configured_but_refused_is_an_error() {
    let (choice, launched) = without_io_uring(libc::EPERM, || {
        let choice = choose(Some(Backend::IoUring));
        let config = CoreConfig { backend: Backend::IoUring, cpu: None, name: "refused".into() };
        (choice, Core::launch(config).err())
    });
    let error = choice.unwrap_err();
    assert_eq!(error.code, "runtime-io-uring-refused");
    assert!(error.hint.unwrap().contains("leave `runtime.backend` out"));
    assert_eq!(launched.unwrap().code, "runtime-core-start");
    assert_eq!(choose(Some(Backend::Epoll)).unwrap().backend, Backend::Epoll);
}
