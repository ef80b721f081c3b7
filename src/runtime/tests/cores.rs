//! Cores and tasks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::*;
use super::{LIMIT, backends, core, on_each, wait_until};

/// Goal: results come back from futures that are not `Send`. Method: hold an `Rc` over an await.
#[test]
fn spawns_futures_that_are_not_send() {
    for backend in backends() {
        let core = core(backend);
        let sum = core.spawn(|| async {
            let rc = Rc::new(20);
            yield_now().await;
            *rc + spawn_local(async { 22 }).await
        });
        assert_eq!(sum.join(), Ok(42));
        core.join();
    }
}

/// Goal: a task that panics is reported and takes nothing else down. Method: panic in the closure,
/// in the future and in a local task that is awaited; a neighbour on the same core goes on.
#[test]
fn panics_stay_in_their_task() {
    for backend in backends() {
        let core = core(backend);
        let (mut producer, mut consumer) = ring::channel::<u8>(1);
        let neighbour = core.spawn(move || async move { consumer.pop().await });
        let in_closure = core.spawn(|| -> std::future::Ready<()> { panic!("in the closure") });
        let in_future = core.spawn(|| async { panic!("in the {}", "future") });
        let in_local = core.spawn(|| async { spawn_local(async { panic!("local") }).await });
        let message = |e: Result<(), Panicked>| e.unwrap_err().message.unwrap();
        assert_eq!(message(in_closure.join()), "in the closure");
        assert_eq!(message(in_future.join()), "in the future");
        assert_eq!(message(in_local.join()), "local");
        producer.try_push(7).unwrap();
        assert_eq!(neighbour.join(), Ok(Some(7)));
        core.join();
    }
}

/// Counts when it is dropped.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Goal: a dropped core cancels its tasks, drops what they hold and tells who waits. Method: a task
/// that never ends and a task spawned after the end.
#[test]
fn a_dropped_core_cancels() {
    for backend in backends() {
        let core = core(backend);
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = OnDrop(drops.clone());
        let task = core.spawn(move || async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let handle = core.handle().clone();
        drop(core);
        assert_eq!(task.join(), Err(Panicked { message: None }));
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert_eq!(handle.spawn(|| async {}).join(), Err(Panicked { message: None }));
    }
}

/// Goal: dropping a task cancels it, detaching does not. Method: count drops and completions.
#[test]
fn dropping_a_task_cancels_it() {
    on_each(|| async {
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = OnDrop(drops.clone());
        let task = spawn_local(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        drop(task);
        while drops.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        let (sender, mut receiver) = mailbox(1);
        spawn_local(async move { sender.send(1).await.unwrap() }).detach();
        assert_eq!(receiver.recv().await, Some(1));
    });
}

/// Goal: sleeps are neither early nor wild. Method: ten sleeps of 2 ms after the warm-up.
#[test]
fn sleeps() {
    on_each(|| async {
        let start = Instant::now();
        for _ in 0..10 {
            sleep(Duration::from_millis(2)).await;
        }
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(start.elapsed() < LIMIT);
    });
}

/// Goal: a time limit ends a wait, and only then. Method: a future that never ends, one that does.
#[test]
fn time_limits() {
    on_each(|| async {
        let never = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        assert_eq!(never, Err(Elapsed));
        assert_eq!(timeout(LIMIT, async { 5 }).await, Ok(5));
    });
}

/// Goal: blocking closures run elsewhere and at once. Method: four that
/// wait for each other.
#[test]
fn blocking_runs_off_the_core() {
    on_each(|| async {
        let here = std::thread::current().id();
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let barrier = barrier.clone();
                spawn_local(blocking(move || {
                    barrier.wait();
                    std::thread::current().id()
                }))
            })
            .collect();
        for task in tasks {
            assert_ne!(task.await, here);
        }
    });
}

/// Goal: housekeeping never runs on a pinned core's account only because the core started it.
/// Method: a core pinned to one CPU asks a blocking closure for its mask.
#[test]
fn h12_housekeeping_does_not_inherit_a_pin() {
    let ours = affinity::get().unwrap();
    for backend in backends() {
        let name = format!("pinned-{backend:?}");
        let core = Core::launch(CoreConfig { backend, cpu: ours.last().copied(), name }).unwrap();
        let masks = core.spawn(|| async {
            (affinity::get().unwrap(), blocking(|| affinity::get().unwrap()).await)
        });
        assert_eq!(masks.join(), Ok((vec![*ours.last().unwrap()], ours.clone())));
        core.join();
    }
}

/// Goal: a panic of a blocking closure reaches the task that waits for it. Method: one that panics.
#[test]
fn blocking_panics_come_back() {
    for backend in backends() {
        let core = core(backend);
        let panicked = core.spawn(|| blocking(|| panic!("far away"))).join();
        assert_eq!(panicked, Err(Panicked { message: Some("far away".into()) }));
        core.join();
    }
}

/// Goal: a core that has nothing to do uses next to no CPU. Method: CPU time of the idle core's
/// thread over half a second of waiting, against 1 % (and twice that for the measurement).
#[test]
fn an_idle_core_is_idle() {
    for backend in backends() {
        let core = core(backend);
        let thread_cpu = || {
            let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: `usage` is writable and large enough; the call fills it.
            let usage = unsafe {
                assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
                usage.assume_init()
            };
            let micros = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
            micros(usage.ru_utime) + micros(usage.ru_stime)
        };
        let used = core.spawn(move || async move {
            sleep(Duration::from_millis(50)).await;
            let before = thread_cpu();
            sleep(Duration::from_secs(2)).await;
            thread_cpu() - before
        });
        let micros = used.join().unwrap();
        println!("{backend:?}: {micros} µs of CPU in 2 s");
        assert!(micros < 40_000, "{backend:?}: {micros} µs of CPU in 2 s");
        core.join();
    }
}

/// Goal: work that yields does not keep timers and sockets waiting. Method: a busy task beside a
/// sleeper; the sleeper must end.
#[test]
fn busy_tasks_let_timers_through() {
    on_each(|| async {
        let busy = spawn_local(async {
            loop {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(50) {
                    std::hint::spin_loop();
                }
                yield_now().await;
            }
        });
        let start = Instant::now();
        sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        drop(busy);
    });
}

/// Goal: many wake-ups from other threads reach a core and none is lost. Method: four threads, each
/// setting a value that the core must see before the next.
#[test]
fn foreign_wakes_arrive() {
    for backend in backends() {
        let core = core(backend);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (there, mut watch) = watch::channel(0u32);
                let (back, seen) = watch::channel(0u32);
                let task = core.spawn(move || async move {
                    while watch.changed().await {
                        back.set(watch.get());
                    }
                });
                std::thread::spawn(move || {
                    for i in 1..=2000 {
                        there.set(i);
                        wait_until("the core saw it", || seen.get() == i);
                    }
                    drop(there);
                    task.join().unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        core.join();
    }
}
