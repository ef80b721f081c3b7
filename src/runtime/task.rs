//! Tasks and timers inside a core. Enters: futures that stay on this thread. Leaves: their
//! results. Keeps: a panic of a task reaches whoever awaits it and never unwinds through the
//! executor; dropping a `Task` cancels it.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::Backend;
use super::wake::Here;

type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// A task of this core. Awaiting it gives its result, or goes on with its panic; dropping it
/// cancels it at its next await.
#[must_use = "dropping a task cancels it"]
pub struct Task<T>(Option<Inner<T>>);

enum Inner<T> {
    Uring(glommio::Task<Caught<T>>),
    Epoll(tokio::task::JoinHandle<Caught<T>>),
}

/// Starts a task on this core. Panics outside a core (and outside a tokio `LocalSet`).
pub fn spawn_local<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    // Boxed at once: the executors move what they are given several times on the stack.
    let caught = AssertUnwindSafe(Box::pin(future)).catch_unwind();
    Task(Some(match Here::current() {
        Some(here) if here.backend == Backend::IoUring => {
            let inbox = here.inbox.clone();
            Inner::Uring(glommio::spawn_local(async move {
                let mut caught = pin!(caught);
                poll_fn(move |cx| {
                    inbox.polls.fetch_add(1, Ordering::Relaxed);
                    caught.as_mut().poll(cx)
                })
                .await
            }))
        }
        _ => Inner::Epoll(tokio::task::spawn_local(caught)),
    }))
}

impl<T> Task<T> {
    /// Lets the task run to its end by itself. Its panic is then only printed.
    pub fn detach(mut self) {
        if let Some(Inner::Uring(task)) = self.0.take() {
            drop(task.detach());
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let caught = match self.0.as_mut() {
            Some(Inner::Uring(task)) => std::task::ready!(Pin::new(task).poll(cx)),
            Some(Inner::Epoll(task)) => match std::task::ready!(Pin::new(task).poll(cx)) {
                Ok(caught) => caught,
                // Only the runtime's end cancels a task whose handle is alive; then nobody
                // polls us again.
                Err(_) => return Poll::Pending,
            },
            None => panic!("task polled after its end"),
        };
        self.0 = None;
        Poll::Ready(caught.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // A glommio task cancels when dropped, a tokio task must be told.
        if let Some(Inner::Epoll(task)) = &self.0 {
            task.abort();
        }
    }
}

/// Sleeps at least so long. Resolution about 1 ms.
pub async fn sleep(duration: Duration) {
    match backend() {
        Backend::IoUring => {
            glommio::timer::Timer::new(duration).await;
        }
        Backend::Epoll => tokio::time::sleep(duration).await,
    }
}

/// Longest time of work between two looks of a glommio executor at its rings, if tasks yield.
const BUSY_MAX: Duration = Duration::from_millis(1);

thread_local! {
    /// When a task of this core last yielded to the rings.
    static YIELDED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets every other ready task of this core run once, and sockets and timers too if they have
/// waited for a millisecond.
pub async fn yield_now() {
    if backend() == Backend::IoUring {
        let now = Instant::now();
        let last = YIELDED.get().unwrap_or(now);
        if now.duration_since(last) >= BUSY_MAX {
            YIELDED.set(Some(now));
            // glommio looks at its rings when no task is ready: a task that yields for ever
            // would keep them waiting for the preemption timer.
            return sleep(Duration::from_micros(1)).await;
        }
        YIELDED.set(Some(last));
    }
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The time given to `timeout` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time limit passed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(_: Elapsed) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, Elapsed)
    }
}

/// Drives `future` for at most `duration`, then drops it.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    let mut limit = pin!(sleep(duration));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        limit.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Drives a future on this thread, which is no core: parks until it is woken.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    assert!(Here::current().is_none(), "block_on would stop a core");
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The executor of this thread; tokio's where it is no core, which panics by itself if there is
/// none.
pub(super) fn backend() -> Backend {
    Here::current().map_or(Backend::Epoll, |here| here.backend)
}
