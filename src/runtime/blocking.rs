//! Housekeeping threads: where blocking calls run (DNS, files), off the pinned cores. Enters:
//! closures. Leaves: their results. Keeps: at most `THREADS_MAX` threads, each gone after a quiet
//! while; a panic of a closure goes on in the task that waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::affinity;
use super::oneshot::oneshot;

/// Most housekeeping threads. A resolver that hangs holds one for its own time limit.
const THREADS_MAX: usize = 8;
/// A thread without work for so long ends.
const IDLE_S: u64 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The queue is bounded by its users: each waits for the result of the one closure it sent.
struct Pool {
    jobs: Sender<Job>,
    work: Receiver<Job>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    threads: usize,
    busy: usize,
    cpus: Vec<usize>,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let (jobs, work) = unbounded();
        Pool { jobs, work, counts: Mutex::default() }
    })
}

impl Pool {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// CPUs that housekeeping threads started from now on may use.
pub fn confine(cpus: Vec<usize>) {
    pool().counts().cpus = cpus;
}

/// As [`confine`], to the CPUs of this thread, unless something else was said before.
pub(super) fn inherit_mask() {
    let mut counts = pool().counts();
    if counts.cpus.is_empty() {
        counts.cpus = affinity::get().unwrap_or_default();
    }
}

/// Runs a closure that may block on a housekeeping thread.
pub async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (completer, waiter) = oneshot();
    let job: Job = Box::new(move || completer.complete(catch_unwind(AssertUnwindSafe(run))));
    submit(pool(), job);
    waiter
        .wait()
        .await
        .expect("invariant: a job that was taken completes")
        .unwrap_or_else(|panic| resume_unwind(panic))
}

/// Queues a job, with one more thread if all are busy.
fn submit(pool: &'static Pool, job: Job) {
    let start = {
        let mut counts = pool.counts();
        counts.busy += 1;
        let start = counts.busy > counts.threads && counts.threads < THREADS_MAX;
        counts.threads += usize::from(start);
        start.then(|| counts.cpus.clone())
    };
    if let Some(cpus) = start {
        let named = thread::Builder::new().name("penstock-house".into());
        if named.spawn(move || work(pool, &cpus)).is_err() {
            let mut counts = pool.counts();
            counts.threads -= 1;
            if counts.threads == 0 {
                counts.busy -= 1;
                drop(counts);
                // No thread to be had at all: better a core that waits than a task that hangs.
                return job();
            }
        }
    }
    let sent = pool.jobs.send(job);
    debug_assert!(sent.is_ok(), "the pool keeps its own receiver");
}

fn work(pool: &Pool, cpus: &[usize]) {
    if !cpus.is_empty()
        && let Err(e) = affinity::set(cpus)
    {
        tracing::warn!("a housekeeping thread stays where it is: {e}");
    }
    loop {
        match pool.work.recv_timeout(Duration::from_secs(IDLE_S)) {
            Ok(job) => {
                job();
                pool.counts().busy -= 1;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let mut counts = pool.counts();
                // A job may have come between the time limit and the lock.
                if counts.busy < counts.threads {
                    counts.threads -= 1;
                    return;
                }
            }
        }
    }
}
