//! One value from one thread to another. Enters: a value, or the completer's end without one.
//! Leaves: the same, awaited or waited for. Keeps: a waiter always gets an answer.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use super::wake::Registration;

enum State<T> {
    Waiting(Option<Waker>),
    Value(T),
    Broken,
}

/// Gives the value; dropping it without is an answer too.
pub(super) struct Completer<T>(Option<Arc<Mutex<State<T>>>>);

/// Gets the value.
pub(super) struct Waiter<T>(Arc<Mutex<State<T>>>);

/// A completer and its waiter.
pub(super) fn oneshot<T>() -> (Completer<T>, Waiter<T>) {
    let shared = Arc::new(Mutex::new(State::Waiting(None)));
    (Completer(Some(shared.clone())), Waiter(shared))
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn finish<T>(state: &Mutex<State<T>>, value: State<T>) {
    let before = std::mem::replace(&mut *lock(state), value);
    if let State::Waiting(Some(waker)) = before {
        waker.wake();
    }
}

impl<T> Completer<T> {
    /// Gives the value.
    pub fn complete(mut self, value: T) {
        if let Some(shared) = self.0.take() {
            finish(&shared, State::Value(value));
        }
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            finish(&shared, State::Broken);
        }
    }
}

impl<T> Waiter<T> {
    /// Whether the answer is there.
    pub fn is_ready(&self) -> bool {
        !matches!(*lock(&self.0), State::Waiting(_))
    }

    /// The value; `None`: the completer ended without one.
    pub fn wait(self) -> impl Future<Output = Option<T>> {
        let mut registration = Registration::default();
        poll_fn(move |cx| {
            let mut state = lock(&self.0);
            match std::mem::replace(&mut *state, State::Broken) {
                State::Value(value) => Poll::Ready(Some(value)),
                State::Broken => Poll::Ready(None),
                State::Waiting(_) => {
                    *state = State::Waiting(Some(registration.waker(cx).clone()));
                    Poll::Pending
                }
            }
        })
    }
}
