//! Waking a task of a core from any thread.
//!
//! Enters: wake-ups from other threads, and closures to run on a core. Leaves: the same, on the
//! core's own thread. Keeps: a glommio task's waker never leaves its thread. Its reference count
//! is a 16-bit number that the owning thread and others change without ordering, so a task that
//! ends while a foreign thread drops its last waker may be freed under that thread. What other
//! threads get is a key; the core's root task, which outlives all others, resolves it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

use crossbeam_queue::SegQueue;
use futures_util::task::AtomicWaker;

use super::Backend;

thread_local! {
    static HERE: RefCell<Option<Rc<Here>>> = const { RefCell::new(None) };
}

/// A closure on its way to a core.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What a core's thread knows about itself.
pub(super) struct Here {
    /// The executor that runs on this thread.
    pub backend: Backend,
    /// Where other threads knock.
    pub inbox: Arc<Inbox>,
    slots: RefCell<Slots>,
}

impl Here {
    /// Makes this thread a core's.
    pub fn enter(backend: Backend, inbox: Arc<Inbox>) -> Rc<Self> {
        let here = Rc::new(Self { backend, inbox, slots: RefCell::default() });
        HERE.with(|cell| *cell.borrow_mut() = Some(here.clone()));
        here
    }

    /// The core of this thread, if it is one.
    pub fn current() -> Option<Rc<Self>> {
        HERE.try_with(|cell| cell.borrow().clone()).ok().flatten()
    }

    /// Forgets all wakers; called inside the executor, as its last act.
    pub fn leave(&self) {
        let slots = std::mem::take(&mut *self.slots.borrow_mut());
        drop(slots);
        HERE.with(|cell| *cell.borrow_mut() = None);
    }

    /// Wakes the task that registered `key`, if it still waits.
    fn wake(&self, key: Key) {
        let waker = self.slots.borrow().get(key).cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes what other threads sent. The caller has registered with `inbox.root` before.
    pub fn drain(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some(message) = self.inbox.messages.pop() {
            match message {
                Message::Wake(foreign) => {
                    // Acquires what was published before a wake-up that found this one queued.
                    foreign.queued.swap(false, Ordering::AcqRel);
                    self.wake(foreign.key);
                }
                Message::Run(job) => jobs.push(job),
            }
        }
        jobs
    }
}

enum Message {
    Wake(Arc<ForeignWaker>),
    Run(Job),
}

/// A core's door for other threads. Bounded by its users: one message for each waiting
/// registration, one for each closure spawned.
#[derive(Default)]
pub(super) struct Inbox {
    messages: SegQueue<Message>,
    /// The root task's waker.
    pub root: AtomicWaker,
    /// The root task will not look again.
    pub closed: AtomicBool,
    /// `Core::join` was called: end when the spawned tasks have ended.
    pub finish: AtomicBool,
    /// `Core` was dropped: cancel the spawned tasks and end.
    pub abort: AtomicBool,
    /// Polls of the core's tasks: it grows while the core works.
    pub polls: AtomicU64,
}

impl Inbox {
    /// Hands a closure to the core; dropped unrun if the core has ended.
    pub fn run(&self, job: Job) {
        self.post(Message::Run(job));
    }

    fn post(&self, message: Message) {
        self.messages.push(message);
        if self.closed.load(Ordering::SeqCst) {
            self.clear();
        } else {
            self.root.wake();
        }
    }

    /// Drops what nobody will take any more.
    pub fn clear(&self) {
        while self.messages.pop().is_some() {}
    }
}

/// Names a waiting registration on its core; a stale key wakes nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    index: usize,
    generation: u64,
}

#[derive(Default)]
struct Slots {
    entries: Vec<(u64, Option<Waker>)>,
    free: Vec<usize>,
    next_generation: u64,
}

impl Slots {
    fn insert(&mut self, waker: Waker) -> Key {
        let generation = self.next_generation;
        self.next_generation += 1;
        let entry = (generation, Some(waker));
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        Key { index, generation }
    }

    fn get(&self, key: Key) -> Option<&Waker> {
        let (generation, waker) = self.entries.get(key.index)?;
        if *generation == key.generation { waker.as_ref() } else { None }
    }

    fn update(&mut self, key: Key, waker: &Waker) {
        if let Some((generation, Some(slot))) = self.entries.get_mut(key.index)
            && *generation == key.generation
        {
            slot.clone_from(waker);
        }
    }

    fn remove(&mut self, key: Key) -> Option<Waker> {
        let (generation, waker) = self.entries.get_mut(key.index)?;
        if *generation != key.generation {
            return None;
        }
        let waker = waker.take()?;
        self.free.push(key.index);
        Some(waker)
    }
}

/// What other threads hold in place of a task's waker.
struct ForeignWaker {
    inbox: Arc<Inbox>,
    key: Key,
    queued: AtomicBool,
}

impl Wake for ForeignWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match Here::current() {
            Some(here) if Arc::ptr_eq(&here.inbox, &self.inbox) => here.wake(self.key),
            _ => {
                if !self.queued.swap(true, Ordering::AcqRel) {
                    self.inbox.post(Message::Wake(self.clone()));
                }
            }
        }
    }
}

/// A wait of the current task, for as long as its future lives. Not `Send`: a future stays on
/// the thread that polls it.
#[derive(Default)]
pub(super) struct Registration {
    slot: Option<(Rc<Here>, Key)>,
    waker: Option<Waker>,
}

impl Registration {
    /// A waker of the polling task that any thread may hold and wake.
    pub fn waker(&mut self, cx: &Context<'_>) -> &Waker {
        match (&self.waker, &self.slot) {
            (Some(_), Some((here, key))) => here.slots.borrow_mut().update(*key, cx.waker()),
            (Some(waker), None) if waker.will_wake(cx.waker()) => {}
            _ => self.make(cx),
        }
        self.waker.as_ref().expect("invariant: made above")
    }

    fn make(&mut self, cx: &Context<'_>) {
        let foreign_safe = || cx.waker().clone();
        self.waker = Some(match Here::current() {
            Some(here) if here.backend == Backend::IoUring => {
                let key = here.slots.borrow_mut().insert(cx.waker().clone());
                let inbox = here.inbox.clone();
                self.slot = Some((here, key));
                Waker::from(Arc::new(ForeignWaker { inbox, key, queued: AtomicBool::new(false) }))
            }
            _ => foreign_safe(),
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some((here, key)) = self.slot.take() {
            let waker = here.slots.borrow_mut().remove(key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a key of a wait that ended never wakes the wait that took its slot. Method: reuse a
    /// slot and look the old key up.
    #[test]
    fn stale_keys_wake_nobody() {
        let mut slots = Slots::default();
        let old = slots.insert(Waker::noop().clone());
        assert!(slots.remove(old).is_some());
        let new = slots.insert(Waker::noop().clone());
        assert_eq!(old.index, new.index);
        assert!(slots.get(old).is_none());
        assert!(slots.get(new).is_some());
        assert!(slots.remove(old).is_none());
        assert!(slots.get(new).is_some());
    }
}
