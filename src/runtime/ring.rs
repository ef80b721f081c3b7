//! The bounded single-producer single-consumer ring between two cores. Enters: items on one core.
//! Leaves: the same items, in order, on the other. Keeps: full means wait; nothing is locked; an
//! end that goes away wakes the other.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use super::wake::Registration;

/// A ring of `capacity` items.
pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let shared = Arc::new(Shared::default());
    (Producer { ring: producer, shared: shared.clone() }, Consumer { ring: consumer, shared })
}

#[derive(Default)]
struct Shared {
    readable: AtomicWaker,
    writable: AtomicWaker,
    closed: AtomicBool,
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.readable.wake();
        self.writable.wake();
    }
}

/// Why an item was not taken; it is given back.
#[derive(Debug, PartialEq, Eq)]
pub enum PushError<T> {
    /// No room now.
    Full(T),
    /// The consumer is gone.
    Closed(T),
}

/// The consumer is gone; the item is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed<T>(pub T);

/// The writing end.
pub struct Producer<T> {
    ring: rtrb::Producer<T>,
    shared: Arc<Shared>,
}

impl<T> Producer<T> {
    /// Adds an item if there is room.
    pub fn try_push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.shared.is_closed() {
            return Err(PushError::Closed(item));
        }
        match self.ring.push(item) {
            Ok(()) => {
                self.shared.readable.wake();
                Ok(())
            }
            Err(rtrb::PushError::Full(item)) => Err(PushError::Full(item)),
        }
    }

    /// Adds an item, waiting for room.
    pub async fn push(&mut self, item: T) -> Result<(), Closed<T>> {
        let mut item = item;
        loop {
            match self.try_push(item) {
                Ok(()) => return Ok(()),
                Err(PushError::Closed(item)) => return Err(Closed(item)),
                Err(PushError::Full(back)) => item = back,
            }
            self.wait_writable().await;
        }
    }

    /// Waits for room; false: the consumer is gone. May be dropped at any time.
    pub async fn wait_writable(&mut self) -> bool {
        let mut registration = Registration::default();
        poll_fn(|cx| {
            self.shared.writable.register(registration.waker(cx));
            if self.shared.is_closed() {
                Poll::Ready(false)
            } else if self.ring.slots() > 0 {
                Poll::Ready(true)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Room that is certain, items.
    pub fn free(&self) -> usize {
        self.ring.slots()
    }

    /// Whether the consumer is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The reading end.
pub struct Consumer<T> {
    ring: rtrb::Consumer<T>,
    shared: Arc<Shared>,
}

impl<T> Consumer<T> {
    /// The oldest item, if there is one.
    pub fn try_pop(&mut self) -> Option<T> {
        let item = self.ring.pop().ok()?;
        self.shared.writable.wake();
        Some(item)
    }

    /// The oldest item; `None`: the producer is gone and the ring is empty.
    pub async fn pop(&mut self) -> Option<T> {
        if self.wait_readable().await { self.try_pop() } else { None }
    }

    /// Waits for an item; false: the producer is gone and the ring is empty. May be dropped at
    /// any time.
    pub async fn wait_readable(&mut self) -> bool {
        let mut registration = Registration::default();
        poll_fn(|cx| {
            self.shared.readable.register(registration.waker(cx));
            // The order matters: what was pushed before the end is seen after the end is.
            let closed = self.shared.is_closed();
            if self.ring.slots() > 0 {
                Poll::Ready(true)
            } else if closed {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Items that are there for certain.
    pub fn available(&self) -> usize {
        self.ring.slots()
    }

    /// Whether the producer is gone; items may be left.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.close();
        // What nobody takes lets go of its segments now, not when the producer ends.
        while self.ring.pop().is_ok() {}
    }
}
