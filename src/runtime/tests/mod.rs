//! Tests of the runtime: each body runs on io_uring and on epoll.

mod cores;
mod net;
mod queues;
mod refused;
mod signals;
mod tls;

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Backend, Core, CoreConfig};

/// Longest time a condition is waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Backends that serve here: both, unless this machine forbids io_uring.
pub(super) fn backends() -> Vec<Backend> {
    match super::probe().backend {
        Backend::IoUring => vec![Backend::IoUring, Backend::Epoll],
        Backend::Epoll => vec![Backend::Epoll],
    }
}

pub(super) fn core(backend: Backend) -> Core {
    let name = format!("test-{backend:?}");
    Core::launch(CoreConfig { backend, cpu: None, name }).unwrap()
}

/// Runs the body once on a core of each backend.
pub(super) fn on_each<F: Future<Output = ()> + 'static>(
    body: impl Fn() -> F + Send + Clone + 'static,
) {
    for backend in backends() {
        let core = core(backend);
        let body = body.clone();
        let outcome = core.spawn(move || super::timeout(LIMIT, body())).join();
        assert_eq!(outcome, Ok(Ok(())), "on {backend:?}");
        core.join();
    }
}

/// Waits on this thread until `done` says true.
pub(super) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        std::thread::yield_now();
    }
}
