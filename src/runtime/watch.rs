//! A cell with the latest value. Enters: values, set from any thread. Leaves: the newest one, and
//! the news that there is one. Keeps: a watcher sees the last value set; those between may be
//! skipped.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::waiters::Waiters;

/// A cell that holds `value`.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: Mutex::new(value),
        version: AtomicU64::new(0),
        senders: AtomicUsize::new(1),
        waiters: Waiters::default(),
    });
    (Sender { shared: shared.clone() }, Receiver { shared, seen: 0 })
}

struct Shared<T> {
    value: Mutex<T>,
    version: AtomicU64,
    senders: AtomicUsize,
    waiters: Waiters,
}

impl<T> Shared<T> {
    fn value(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

/// Sets the value; clone it for more setters.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sets the value.
    pub fn set(&self, value: T) {
        let before = {
            let mut cell = self.shared.value();
            self.shared.version.fetch_add(1, Ordering::SeqCst);
            std::mem::replace(&mut *cell, value)
        };
        self.shared.waiters.wake_all();
        drop(before);
    }

    /// A new watcher, which has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: self.shared.clone(), seen: self.shared.version() }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.waiters.wake_all();
        }
    }
}

/// Watches the value; clone it for more watchers.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T: Clone> Receiver<T> {
    /// The newest value, without marking it as seen.
    pub fn get(&self) -> T {
        self.shared.value().clone()
    }

    /// The newest value, marked as seen.
    pub fn take(&mut self) -> T {
        let value = self.shared.value();
        self.seen = self.shared.version();
        value.clone()
    }

    /// Waits until the value fits; `None`: all setters are gone and it does not.
    pub async fn wait_for(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<T> {
        loop {
            let value = self.take();
            if fits(&value) {
                return Some(value);
            }
            if !self.changed().await {
                return None;
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Whether there is a value that was not seen.
    pub fn has_changed(&self) -> bool {
        self.shared.version() != self.seen
    }

    /// Waits for a value that was not seen and marks it as seen; false: all setters are gone and
    /// there is none. May be dropped at any time.
    pub async fn changed(&mut self) -> bool {
        let shared = &*self.shared;
        let seen = self.seen;
        let gone = || shared.senders.load(Ordering::SeqCst) == 0;
        shared.waiters.wait(|| shared.version() != seen || gone()).await;
        let version = shared.version();
        self.seen = version;
        version != seen
    }
}
