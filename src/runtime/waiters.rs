//! Tasks that wait for a condition which other threads make true. Enters: a condition to wait for;
//! calls of `wake_all` after something changed. Keeps: no wake-up is lost, and `wake_all` costs a
//! fence and a load when nobody waits.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::{Poll, Waker};

use super::wake::Registration;

#[derive(Default)]
pub(super) struct Waiters {
    count: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    next_id: u64,
    entries: Vec<(u64, Option<Waker>)>,
}

impl Waiters {
    /// Waits until `ready` says true.
    pub async fn wait(&self, mut ready: impl FnMut() -> bool) {
        if ready() {
            return;
        }
        let entry = Entry::new(self);
        let mut registration = Registration::default();
        poll_fn(|cx| {
            entry.arm(registration.waker(cx).clone());
            // Pairs with the fence in `wake_all`: either we see the change, or it sees us.
            fence(Ordering::SeqCst);
            if ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Wakes everyone who waits, to look again.
    pub fn wake_all(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let wakers: Vec<Waker> =
            self.list().entries.iter_mut().filter_map(|(_, waker)| waker.take()).collect();
        for waker in wakers {
            waker.wake();
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A place in the list for as long as a wait lives.
struct Entry<'a> {
    waiters: &'a Waiters,
    id: u64,
}

impl<'a> Entry<'a> {
    fn new(waiters: &'a Waiters) -> Self {
        let mut list = waiters.list();
        let id = list.next_id;
        list.next_id += 1;
        list.entries.push((id, None));
        waiters.count.fetch_add(1, Ordering::SeqCst);
        Self { waiters, id }
    }

    fn arm(&self, waker: Waker) {
        let mut list = self.waiters.list();
        if let Some((_, slot)) = list.entries.iter_mut().find(|(id, _)| *id == self.id) {
            *slot = Some(waker);
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut list = self.waiters.list();
        list.entries.retain(|(id, _)| *id != self.id);
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
    }
}
