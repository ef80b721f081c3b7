//! A core: an operating-system thread with one executor. Enters: closures that make futures, from
//! any thread. Leaves: their results, or their panics, through join handles. Keeps: a task that
//! panics takes neither its core nor another task down.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;

use super::oneshot::{Completer, Waiter, oneshot};
use super::task::{Task, block_on, sleep, spawn_local, yield_now};
use super::wake::{Here, Inbox};
use super::{Backend, affinity, blocking, rouse};
use crate::error::{Error, Result};

/// Memory that a glommio executor registers with its rings, bytes. Storage I/O does not go
/// through it here, so far less than its default of 10 MiB serves.
const IO_MEMORY_BYTES: usize = 1 << 20;
/// Longest time ready tasks run before a glommio executor looks at its rings again. Not shorter:
/// this timer is one of the causes of what `rouse` is for.
const PREEMPT_MS: u64 = 10;

/// Stack of a core's thread. Only what is touched is resident.
const STACK_BYTES: usize = 8 << 20;

/// What a core is made of.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Its executor.
    pub backend: Backend,
    /// The CPU it is pinned to; `None`: the operating system chooses.
    pub cpu: Option<usize>,
    /// Name of the thread; the kernel shows its first 15 bytes.
    pub name: String,
}

/// A running core. Dropping it cancels its tasks and waits for its thread.
pub struct Core {
    handle: CoreHandle,
    thread: Option<thread::JoinHandle<()>>,
}

/// Spawns tasks on a core from any thread.
#[derive(Clone)]
pub struct CoreHandle {
    inbox: Arc<Inbox>,
    name: Arc<str>,
}

impl Core {
    /// Starts the thread and its executor, and waits until it runs.
    ///
    /// Errors: `runtime-core-start` (Fatal) with the executor's own words.
    pub fn launch(config: CoreConfig) -> Result<Core> {
        // Threads inherit the mask of the thread that makes them: those that are no cores must not
        // be made by a pinned one.
        blocking::inherit_mask();
        if config.backend == Backend::IoUring {
            rouse::start_thread();
        }
        let inbox = Arc::new(Inbox::default());
        let handle = CoreHandle { inbox: inbox.clone(), name: config.name.as_str().into() };
        let (ready, started) = oneshot();
        let failed = {
            let name = config.name.clone();
            move |why: String| {
                Error::fatal("runtime-core-start", format!("core `{name}` did not start: {why}"))
                    .hint("`penstock check` says what the kernel allows here")
            }
        };
        let thread = thread::Builder::new()
            .name(config.name.clone())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&config, inbox, ready))
            .map_err(|e| failed(e.to_string()))?;
        match block_on(started.wait()) {
            Some(Ok(())) => Ok(Core { handle, thread: Some(thread) }),
            Some(Err(why)) => Err(failed(why)),
            None => Err(failed("its thread panicked".into())),
        }
    }

    /// Spawns tasks here; may be cloned and sent to other threads.
    pub fn handle(&self) -> &CoreHandle {
        &self.handle
    }

    /// As [`CoreHandle::spawn`].
    pub fn spawn<F, T>(&self, make: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        self.handle.spawn(make)
    }

    /// Waits until every spawned task has ended, then ends the thread.
    pub fn join(mut self) {
        self.handle.inbox.finish.store(true, Ordering::SeqCst);
        self.end();
    }

    fn end(&mut self) {
        self.handle.inbox.root.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(core = &*self.handle.name, "the core's thread panicked");
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.handle.inbox.abort.store(true, Ordering::SeqCst);
        self.end();
    }
}

impl CoreHandle {
    /// Runs `make` on the core and drives the future that it gives, which need not be `Send`.
    pub fn spawn<F, T>(&self, make: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (completer, waiter) = oneshot();
        self.inbox.run(Box::new(move || {
            track(async move {
                // Boxed: a pipeline's future is large, and every layer above would hold it whole.
                let future = Box::pin(async move { make().await });
                let caught = AssertUnwindSafe(future).catch_unwind().await;
                completer.complete(caught.map_err(|panic| Panicked::new(&*panic)));
            });
        }));
        JoinHandle { waiter }
    }

    /// The core's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Runs one future on a core of its own and gives its result: for commands that are no pipeline.
///
/// Errors: those of [`Core::launch`]; a panic of the future goes on in the caller.
pub fn run_alone<F, T>(backend: Backend, make: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let core = Core::launch(CoreConfig { backend, cpu: None, name: "penstock-run".into() })?;
    let result = core.spawn(make).join();
    core.join();
    Ok(result.unwrap_or_else(|panicked| panic!("{panicked}")))
}

/// A task that did not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The panic's message; none: the core was stopped before the task ended.
    pub message: Option<String>,
}

impl Panicked {
    fn new(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Self { message: Some(text.unwrap_or_else(|| "unknown panic".into())) }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "task panicked: {message}"),
            None => f.write_str("task stopped with its core"),
        }
    }
}

impl std::error::Error for Panicked {}

/// The end of a spawned task: await it on a core, or [`join`](Self::join) it from a thread that is
/// none. Dropping it lets the task run on.
pub struct JoinHandle<T> {
    waiter: Waiter<std::result::Result<T, Panicked>>,
}

impl<T> JoinHandle<T> {
    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.waiter.is_ready()
    }

    /// Waits for the end on a thread that is no core.
    pub fn join(self) -> std::result::Result<T, Panicked> {
        block_on(self.wait())
    }

    async fn wait(self) -> std::result::Result<T, Panicked> {
        self.waiter.wait().await.unwrap_or(Err(Panicked { message: None }))
    }
}

impl<T: 'static> IntoFuture for JoinHandle<T> {
    type Output = std::result::Result<T, Panicked>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

thread_local! {
    /// Tasks spawned from outside, which the root owns.
    static TRACKED: Rc<RefCell<Tracked>> = Rc::default();
}

#[derive(Default)]
struct Tracked {
    tasks: Vec<Option<Task<()>>>,
    ended: Vec<usize>,
    live: usize,
}

/// Tells the root that a tracked task ended, also when it was cancelled.
struct Ended {
    index: usize,
    here: Rc<Here>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        TRACKED.with(|tracked| {
            let mut tracked = tracked.borrow_mut();
            tracked.live -= 1;
            tracked.ended.push(self.index);
        });
        self.here.inbox.root.wake();
    }
}

fn track(future: impl Future<Output = ()> + 'static) {
    let here = Here::current().expect("invariant: jobs run on their core");
    let index = TRACKED.with(|tracked| {
        let mut tracked = tracked.borrow_mut();
        tracked.live += 1;
        match tracked.tasks.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                tracked.tasks.push(None);
                tracked.tasks.len() - 1
            }
        }
    });
    let ended = Ended { index, here };
    let task = spawn_local(async move {
        let _ended = ended;
        future.await;
    });
    TRACKED.with(|tracked| tracked.borrow_mut().tasks[index] = Some(task));
}

/// Drops the handles of ended tasks; the number that still run.
fn reap() -> usize {
    let (done, live): (Vec<_>, usize) = TRACKED.with(|tracked| {
        let tracked = &mut *tracked.borrow_mut();
        let done = tracked.ended.drain(..).map(|index| tracked.tasks[index].take()).collect();
        (done, tracked.live)
    });
    drop(done);
    live
}

fn run(config: &CoreConfig, inbox: Arc<Inbox>, ready: Completer<std::result::Result<(), String>>) {
    match config.backend {
        Backend::IoUring => {
            let placement =
                config.cpu.map_or(glommio::Placement::Unbound, glommio::Placement::Fixed);
            let built = glommio::LocalExecutorBuilder::new(placement)
                .name(&config.name)
                .io_memory(IO_MEMORY_BYTES)
                .preempt_timer(Duration::from_millis(PREEMPT_MS))
                .make();
            match built {
                Ok(executor) => executor.run(root(config.backend, inbox, ready)),
                Err(e) => ready.complete(Err(e.to_string())),
            }
        }
        Backend::Epoll => {
            let pinned = config.cpu.map_or(Ok(()), |cpu| affinity::set(&[cpu]));
            let built = pinned
                .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
            match built {
                Ok(runtime) => {
                    let local = tokio::task::LocalSet::new();
                    local.block_on(&runtime, root(config.backend, inbox, ready));
                }
                Err(e) => ready.complete(Err(e.to_string())),
            }
        }
    }
}

/// The first task of a core and its last: takes what other threads send.
async fn root(
    backend: Backend,
    inbox: Arc<Inbox>,
    ready: Completer<std::result::Result<(), String>>,
) {
    let here = Here::enter(backend, inbox.clone());
    // The first sleep of a glommio executor is late by up to 23 ms: let it be this one.
    spawn_local(sleep(Duration::from_millis(1))).detach();
    ready.complete(Ok(()));
    let rousing = (backend == Backend::IoUring).then(|| rouse::Rousing::start(&inbox));
    poll_fn(|cx| {
        if let Some(rousing) = &rousing {
            rousing.offer(cx.waker());
        }
        inbox.root.register(cx.waker());
        for job in here.drain() {
            job();
        }
        let live = reap();
        let over = inbox.abort.load(Ordering::SeqCst)
            || (live == 0 && inbox.finish.load(Ordering::SeqCst));
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    inbox.closed.store(true, Ordering::SeqCst);
    inbox.clear();
    let cancelled = TRACKED.with(|tracked| std::mem::take(&mut tracked.borrow_mut().tasks));
    drop(cancelled);
    while TRACKED.with(|tracked| tracked.borrow().live) > 0 {
        yield_now().await;
    }
    drop(rousing);
    drop(inbox.root.take());
    here.leave();
}
