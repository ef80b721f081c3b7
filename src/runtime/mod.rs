//! Cores, queues, sockets and time: the only room that names an executor.
//!
//! Enters: futures and closures. Leaves: their results. Keeps: everything here works alike on
//! io_uring (glommio) and on epoll (tokio's current-thread runtime); which of them runs is known
//! per core and chosen at start (`probe`).

pub mod affinity;
mod blocking;
pub mod clock;
mod core;
pub mod machine;
pub mod mailbox;
pub mod net;
mod oneshot;
mod probe;
pub mod ring;
mod rouse;
pub mod segments;
pub mod signal;
mod task;
pub mod tls;
pub mod topology;
mod waiters;
mod wake;
pub mod watch;

pub use self::blocking::{blocking, confine as confine_housekeeping};
pub use self::core::{Core, CoreConfig, CoreHandle, JoinHandle, Panicked, run_alone};
pub use self::mailbox::mailbox;
pub use self::probe::{Probe, choose, probe, release};
pub use self::task::{Elapsed, Task, block_on, sleep, spawn_local, timeout, yield_now};
pub use crate::config::Backend;

#[cfg(test)]
mod tests;
