//! A bounded queue from many threads or cores to one. Enters: items. Leaves: the same, each
//! sender's in order. Keeps: full means wait; after the receiver went, items are dropped, not kept.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::task::Poll;

use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use super::ring::{Closed, PushError};
use super::task::block_on;
use super::waiters::Waiters;
use super::wake::Registration;

/// A mailbox of `capacity` items.
pub fn mailbox<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity),
        readable: AtomicWaker::new(),
        room: Waiters::default(),
        senders: AtomicUsize::new(1),
        closed: AtomicBool::new(false),
    });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

struct Shared<T> {
    queue: ArrayQueue<T>,
    readable: AtomicWaker,
    room: Waiters,
    senders: AtomicUsize,
    /// The receiver is gone.
    closed: AtomicBool,
}

impl<T> Shared<T> {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

/// Sends; clone it for more senders.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends if there is room.
    pub fn try_send(&self, item: T) -> Result<(), PushError<T>> {
        if self.shared.is_closed() {
            return Err(PushError::Closed(item));
        }
        if let Err(item) = self.shared.queue.push(item) {
            return Err(PushError::Full(item));
        }
        fence(Ordering::SeqCst);
        if self.shared.is_closed() {
            // The receiver went between the two looks: nobody else empties the queue.
            while self.shared.queue.pop().is_some() {}
        } else {
            self.shared.readable.wake();
        }
        Ok(())
    }

    /// Sends, waiting for room.
    pub async fn send(&self, item: T) -> Result<(), Closed<T>> {
        let mut item = item;
        loop {
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err(PushError::Closed(item)) => return Err(Closed(item)),
                Err(PushError::Full(back)) => item = back,
            }
            let free = || self.shared.is_closed() || !self.shared.queue.is_full();
            self.shared.room.wait(free).await;
        }
    }

    /// Sends from a thread that is no core, waiting for room.
    pub fn send_blocking(&self, item: T) -> Result<(), Closed<T>> {
        match self.try_send(item) {
            Ok(()) => Ok(()),
            Err(PushError::Closed(item)) => Err(Closed(item)),
            Err(PushError::Full(item)) => block_on(self.send(item)),
        }
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
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
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.readable.wake();
        }
    }
}

/// Receives.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The oldest item, if there is one.
    pub fn try_recv(&mut self) -> Option<T> {
        let item = self.shared.queue.pop()?;
        self.shared.room.wake_all();
        Some(item)
    }

    /// The oldest item; `None`: every sender is gone and the mailbox is empty.
    pub async fn recv(&mut self) -> Option<T> {
        if self.wait_readable().await { self.try_recv() } else { None }
    }

    /// As [`recv`](Self::recv), on a thread that is no core.
    pub fn recv_blocking(&mut self) -> Option<T> {
        block_on(self.recv())
    }

    /// Waits for an item; false: every sender is gone and the mailbox is empty. May be dropped
    /// at any time.
    pub async fn wait_readable(&mut self) -> bool {
        let mut registration = Registration::default();
        poll_fn(|cx| {
            self.shared.readable.register(registration.waker(cx));
            let orphaned = self.shared.senders.load(Ordering::Acquire) == 0;
            if !self.shared.queue.is_empty() {
                Poll::Ready(true)
            } else if orphaned {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        while self.shared.queue.pop().is_some() {}
        self.shared.room.wake_all();
    }
}
