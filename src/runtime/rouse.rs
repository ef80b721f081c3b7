//! The thread that rouses io_uring cores which fell asleep over ready tasks.
//!
//! Enters: the root waker of every glommio core. Leaves: wake-ups. Keeps: no wake-up is lost for
//! longer than two ticks. glommio 0.9.0 may park although tasks are ready: `run_task_queues` runs
//! none and answers "nothing ran" when the latency ring holds a completion at its first look (a
//! late eventfd read, or the preemption timer after the thread was off its CPU); the completion
//! is then taken without waking anyone, and the executor sleeps. Any later event makes it go on,
//! so one is given from outside; `tests::cores::foreign_wakes_arrive` and the ring tests hang
//! without it, about once in a million sleeps.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::wake::Inbox;

/// Time between two looks while a core works, or did until just now.
const BUSY_TICK_MS: u64 = 5;
/// Time between two looks when none does.
const IDLE_TICK_MS: u64 = 50;
/// A core that did nothing since the last look is roused this often in a row …
const ROUSED_AT_ONCE: u32 = 3;
/// … and then every so many ticks.
const ROUSED_EVERY: u32 = 4;

struct Core {
    id: u64,
    inbox: Arc<Inbox>,
    /// Made on the core's thread, woken by reference from ours, dropped on the core's again.
    waker: Option<Waker>,
    polls: u64,
    /// Looks in a row that found it idle.
    idle: u32,
}

#[derive(Default)]
struct Watch {
    next_id: u64,
    cores: Vec<Core>,
    running: bool,
}

fn watch() -> (MutexGuard<'static, Watch>, &'static Condvar) {
    static WATCH: OnceLock<(Mutex<Watch>, Condvar)> = OnceLock::new();
    let (watch, change) = WATCH.get_or_init(Default::default);
    (watch.lock().unwrap_or_else(PoisonError::into_inner), change)
}

/// Starts the thread, if it does not run: by a thread that is no core, whose mask it inherits.
pub(super) fn start_thread() {
    let (mut watch, _) = watch();
    if !watch.running {
        let named = thread::Builder::new().name("penstock-rouse".into());
        watch.running = named.spawn(rouse).is_ok();
    }
}

/// A core under watch, for as long as this lives; held by the core's root task.
pub(super) struct Rousing {
    id: u64,
    offered: Cell<bool>,
}

impl Rousing {
    /// Puts a core under watch.
    pub fn start(inbox: &Arc<Inbox>) -> Self {
        let (mut watch, _) = watch();
        let id = watch.next_id;
        watch.next_id += 1;
        watch.cores.push(Core { id, inbox: inbox.clone(), waker: None, polls: 0, idle: 0 });
        Self { id, offered: Cell::new(false) }
    }

    /// The root task's waker; the first one is kept.
    pub fn offer(&self, waker: &Waker) {
        if self.offered.replace(true) {
            return;
        }
        let (mut watch, change) = watch();
        if let Some(core) = watch.cores.iter_mut().find(|core| core.id == self.id) {
            core.waker = Some(waker.clone());
            change.notify_one();
        }
    }
}

impl Drop for Rousing {
    fn drop(&mut self) {
        let (mut watch, _) = watch();
        if let Some(index) = watch.cores.iter().position(|core| core.id == self.id) {
            // The lock is held, so nobody wakes by it now: it ends on its own thread.
            drop(watch.cores.swap_remove(index));
        }
    }
}

fn rouse() {
    loop {
        let busy = {
            let (mut watch, change) = watch();
            while watch.cores.is_empty() {
                watch = change.wait(watch).unwrap_or_else(PoisonError::into_inner);
            }
            watch.cores.iter_mut().map(Core::look).fold(false, |busy, core| busy | core)
        };
        thread::sleep(Duration::from_millis(if busy { BUSY_TICK_MS } else { IDLE_TICK_MS }));
    }
}

impl Core {
    /// Rouses the core if it did nothing since the last look; whether it may be at work.
    fn look(&mut self) -> bool {
        let polls = self.inbox.polls.load(Ordering::Relaxed);
        self.idle = if polls == self.polls { self.idle.saturating_add(1) } else { 0 };
        self.polls = polls;
        let due = self.idle > 0
            && (self.idle <= ROUSED_AT_ONCE || self.idle.is_multiple_of(ROUSED_EVERY));
        if due && let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
        self.idle <= ROUSED_AT_ONCE
    }
}
