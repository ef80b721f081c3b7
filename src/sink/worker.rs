//! A sink on its own thread.
//!
//! Enters: requests through a bounded channel, from any thread or core. Leaves: one answer for
//! every batch and every question, and one word when the thread ends. Keeps: requests are served
//! in the order in which they were sent; a sink that fails or panics fails its pipeline, never
//! the process, and whatever it still held or had waiting is answered (HAZARDS H9).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use penstock_shards::seq::Seq;
use serde_json::Value;

use super::{BatchHandle, Resume, Sink};
use crate::error::{Error, Result};

/// Room for requests that are not batches.
pub const CONTROL_REQUESTS_MAX: usize = 64;

/// How often `join_until` looks.
const JOIN_POLL: Duration = Duration::from_millis(2);

/// What a sink's thread is asked.
pub enum Request {
    /// Deliver a batch.
    Batch(BatchHandle),
    /// What a checkpoint at this watermark must hold (`Sink::state_at`).
    StateAt(Seq, Reply<Option<Value>>),
    /// The checkpoint at this watermark is durable.
    Checkpointed(Seq),
    /// Make durable and answer what was handed over before this request.
    Sync(Reply<()>),
    /// Make durable what can be by then, let go, and end the thread.
    Close(Instant),
}

/// A question's way back. Dropped unanswered, it answers with an error, so nobody waits for ever.
pub struct Reply<T>(Option<Box<dyn FnOnce(Result<T>) + Send>>);

impl<T> Reply<T> {
    /// `answer` is called once, on the sink's thread; it must not block.
    pub fn new(answer: impl FnOnce(Result<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    fn answer(mut self, result: Result<T>) {
        if let Some(answer) = self.0.take() {
            answer(result);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(Error::fatal("sink-ended", "the sink ended before it answered")));
        }
    }
}

/// Why a request was not taken. It is given back.
pub enum NotTaken {
    /// The channel is full: wait, then try again.
    Full(Request),
    /// The sink's thread has ended.
    Ended(Request),
}

/// Sends to a sink's thread; clone it freely.
///
/// A bounded crossbeam channel keeps what is in it when its receiver goes, as long as a sender
/// lives; so each end empties it once the sink has ended, and nobody waits for a request that
/// came too late: whoever of the two comes second sees what the other did.
#[derive(Clone)]
pub struct SinkSender {
    requests: Sender<Request>,
    waiting: Receiver<Request>,
    ended: Arc<AtomicBool>,
}

impl SinkSender {
    /// Never blocks. With room for every batch that may be in flight (`spawn`), it is never full
    /// for a shard that keeps its bound.
    pub fn try_send(&self, request: Request) -> std::result::Result<(), NotTaken> {
        if self.ended.load(SeqCst) {
            return Err(NotTaken::Ended(request));
        }
        let sent = self.requests.try_send(request).map_err(|e| match e {
            TrySendError::Full(request) => NotTaken::Full(request),
            TrySendError::Disconnected(request) => NotTaken::Ended(request),
        });
        self.empty_if_ended();
        sent
    }

    /// Blocks while the channel is full; not for a core's thread. A request that the sink does
    /// not live to serve is dropped, which answers it.
    pub fn send_blocking(&self, request: Request) {
        drop(self.requests.send(request));
        self.empty_if_ended();
    }

    fn empty_if_ended(&self) {
        if self.ended.load(SeqCst) {
            self.waiting.try_iter().for_each(drop);
        }
    }
}

/// A running sink.
pub struct SinkWorker {
    sender: SinkSender,
    thread: JoinHandle<()>,
}

impl SinkWorker {
    /// Starts `sink` on a thread named `name` and waits until it is open.
    ///
    /// The channel holds `batches_max` batches: shards × `limits::IN_FLIGHT_BATCHES_MAX`. `on_end`
    /// is called on the sink's thread when it ends after a successful open: `Ok` after `Close`
    /// or when every sender is gone, else why. The thread inherits the caller's CPU mask: call from a
    /// housekeeping thread.
    ///
    /// # Errors
    /// What `Sink::open` says; `sink-thread` if there is no thread to be had.
    pub fn spawn(
        name: &str,
        sink: Box<dyn Sink>,
        resume: Resume,
        batches_max: usize,
        on_end: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<Self> {
        let (requests, waiting) = bounded(batches_max + CONTROL_REQUESTS_MAX);
        let sender = SinkSender { requests, waiting, ended: Arc::default() };
        let (requests, ended) = (sender.waiting.clone(), Arc::clone(&sender.ended));
        let (opened, open_result) = bounded(1);
        let run = move || {
            let mut sink = sink;
            let open = guarded(|| sink.open(resume));
            let failed = open.is_err();
            drop(opened.send(open));
            if !failed {
                let result = run_to_end(sink, &requests);
                ended.store(true, SeqCst);
                requests.try_iter().for_each(drop);
                on_end(result);
            }
        };
        let thread = thread::Builder::new().name(name.into()).spawn(run).map_err(|e| {
            Error::fatal("sink-thread", format!("no thread for the sink {name}: {e}"))
                .hint("raise the limit on threads (ulimit -u, pids.max)")
        })?;
        match open_result.recv() {
            Ok(Ok(())) => Ok(Self { sender, thread }),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(panicked()),
        }
    }

    /// A sender.
    pub fn sender(&self) -> SinkSender {
        self.sender.clone()
    }

    /// Waits for the thread's end until `deadline`; false if it still runs then (a write into a
    /// pipe that nobody reads cannot be called back). Send `Request::Close` first.
    pub fn join_until(self, deadline: Instant) -> bool {
        drop(self.sender);
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(JOIN_POLL);
        }
        self.thread.join().is_ok()
    }
}

/// Serves requests until the end. The sink is gone, hence all it held is answered, when it
/// returns.
fn run_to_end(mut sink: Box<dyn Sink>, requests: &Receiver<Request>) -> Result<()> {
    let result = guarded(|| serve(sink.as_mut(), requests));
    // A sink that panicked may panic again when it is dropped.
    let dropped = guarded(|| {
        drop(sink);
        Ok(())
    });
    result.and(dropped)
}

fn serve(sink: &mut dyn Sink, requests: &Receiver<Request>) -> Result<()> {
    loop {
        let deadline = sink.poll_deadline();
        if deadline.is_some_and(|at| at <= Instant::now()) {
            sink.handle_deadline()?;
            continue;
        }
        let request = match deadline {
            None => requests.recv().map_err(RecvTimeoutError::from),
            Some(at) => requests.recv_deadline(at),
        };
        match request {
            Ok(Request::Batch(batch)) => sink.handle_batch(batch)?,
            Ok(Request::StateAt(seq, reply)) => {
                let state = sink.state_at(seq)?;
                reply.answer(Ok(state));
            }
            Ok(Request::Checkpointed(seq)) => sink.handle_checkpoint(seq)?,
            Ok(Request::Sync(reply)) => {
                sink.handle_sync()?;
                reply.answer(Ok(()));
            }
            Ok(Request::Close(deadline)) => return sink.close(deadline),
            Err(RecvTimeoutError::Timeout) => sink.handle_deadline()?,
            Err(RecvTimeoutError::Disconnected) => return sink.close(Instant::now()),
        }
    }
}

/// Turns a panic into an error. What the panic says is not repeated: it may hold a value.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload: Box<dyn Any + Send>| {
        drop(payload);
        Err(panicked())
    })
}

fn panicked() -> Error {
    Error::fatal("sink-panicked", "the sink's thread panicked; this is a bug in penstock")
        .hint("start again: delivery goes on at the last checkpoint; please report the panic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::{Answers, BatchMaker, Row};
    use crate::sink::{Declaration, Fencing};
    use penstock_shards::hop::AckOutcome;
    use penstock_shards::seq::Epoch;

    /// Holds batches until a sync; panics or fails at a given batch.
    #[derive(Default)]
    struct Holder {
        held: Vec<BatchHandle>,
        panic_at: Option<u64>,
        fail_at: Option<u64>,
        delay: Option<Duration>,
        deadline: Option<Instant>,
    }

    impl Sink for Holder {
        fn declaration(&self) -> Declaration {
            let fencing = Fencing::NothingToFence;
            Declaration { kind: "holder", lanes: 1, fencing, exactly_once: false }
        }
        fn open(&mut self, resume: Resume) -> Result<()> {
            match resume.state {
                Some(_) => Err(Error::fatal("sink-state", "refused")),
                None => Ok(()),
            }
        }
        fn handle_batch(&mut self, batch: BatchHandle) -> Result<()> {
            let id = batch.batch().id.0;
            assert_ne!(Some(id), self.panic_at, "asked to");
            if Some(id) == self.fail_at {
                return Err(Error::fatal("sink-state", "failed"));
            }
            self.held.push(batch);
            self.deadline = self.delay.map(|delay| Instant::now() + delay);
            Ok(())
        }
        fn handle_sync(&mut self) -> Result<()> {
            self.deadline = None;
            self.held.drain(..).for_each(BatchHandle::durable);
            Ok(())
        }
        fn poll_deadline(&self) -> Option<Instant> {
            self.deadline
        }
        fn state_at(&mut self, seq: Seq) -> Result<Option<Value>> {
            Ok(Some(seq.0.into()))
        }
        fn handle_checkpoint(&mut self, _seq: Seq) -> Result<()> {
            Ok(())
        }
        fn close(&mut self, _deadline: Instant) -> Result<()> {
            self.handle_sync()
        }
    }

    fn resume() -> Resume {
        Resume { epoch: Epoch(1), state: None }
    }

    struct Run {
        worker: SinkWorker,
        ended: Receiver<Result<()>>,
        answers: Answers,
        maker: BatchMaker,
    }

    impl Run {
        fn start(sink: Holder) -> Self {
            let (tx, ended) = bounded(1);
            let on_end = move |r| tx.send(r).unwrap();
            let worker = SinkWorker::spawn("t", Box::new(sink), resume(), 8, on_end).unwrap();
            Self { worker, ended, answers: Answers::default(), maker: BatchMaker::new(0) }
        }

        fn batches(&mut self, count: u64) {
            for _ in 0..count {
                let batch = self.maker.batch(&[Row::new("t", 1, "1", "2")]);
                let handle = self.answers.handle(batch);
                self.worker.sender().send_blocking(Request::Batch(handle));
            }
        }

        fn ended(&self) -> Result<()> {
            self.ended.recv_timeout(Duration::from_secs(10)).unwrap()
        }
    }

    fn answer<T>(rx: &Receiver<T>) -> T {
        rx.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    fn transient(ids: impl IntoIterator<Item = u64>) -> Vec<(u64, AckOutcome)> {
        ids.into_iter().map(|id| (id, AckOutcome::Transient)).collect()
    }

    /// Goal: a batch handle that is dropped answers Transient, once; one that was answered does
    /// not answer again. Method: one of each.
    #[test]
    fn h09_a_dropped_handle_answers_transient() {
        let (answers, mut maker) = (Answers::default(), BatchMaker::new(0));
        let rows = [Row::new("t", 1, "1", "2")];
        drop(answers.handle(maker.batch(&rows)));
        answers.handle(maker.batch(&rows)).durable();
        answers.handle(maker.batch(&rows)).definite("too large".into());
        let expected = vec![
            (1, AckOutcome::Transient),
            (2, AckOutcome::Durable),
            (3, AckOutcome::Definite("too large".into())),
        ];
        assert_eq!(answers.all(), expected);
    }

    /// Goal: a panic in the sink's thread ends that sink with an error; what it held, what it was
    /// working on and what waited in the channel is all answered. Method: a sink that holds two
    /// batches and panics at the third of five.
    #[test]
    fn h09_a_panic_fails_the_sink_and_answers_everything() {
        let mut run = Run::start(Holder { panic_at: Some(3), ..Holder::default() });
        run.batches(5);
        assert_eq!(run.ended().unwrap_err().code, "sink-panicked");
        let deadline = Instant::now() + Duration::from_secs(10);
        assert!(run.worker.join_until(deadline));
        let mut answers = run.answers.all();
        answers.sort_by_key(|a| a.0);
        assert_eq!(answers, transient(1..=5));
    }

    /// Goal: an error of the sink ends it with that error, and everything is answered, also a
    /// question that waits and a batch sent after the end. Method: fails at the second batch.
    #[test]
    fn h09_a_failed_sink_leaves_nobody_waiting() {
        let mut run = Run::start(Holder { fail_at: Some(2), ..Holder::default() });
        let sender = run.worker.sender();
        run.batches(3);
        let (tx, rx) = bounded(1);
        sender.send_blocking(Request::StateAt(Seq(1), Reply::new(move |r| tx.send(r).unwrap())));
        assert_eq!(run.ended().unwrap_err().code, "sink-state");
        assert_eq!(answer(&rx).unwrap_err().code, "sink-ended");
        let late = run.answers.handle(run.maker.batch(&[Row::new("t", 1, "1", "2")]));
        let Err(NotTaken::Ended(late)) = sender.try_send(Request::Batch(late)) else {
            panic!("a sink that has ended took a batch")
        };
        drop(late);
        let mut answers = run.answers.all();
        answers.sort_by_key(|a| a.0);
        assert_eq!(answers, transient(1..=4));
    }

    /// Goal: requests are served in order: a sync answers the batches before it, a state comes
    /// after, close ends the thread with Ok. Method: one of each.
    #[test]
    fn requests_are_served_in_order() {
        let mut run = Run::start(Holder::default());
        run.batches(2);
        let sender = run.worker.sender();
        let answers = run.answers.clone();
        let (tx, rx) = bounded(2);
        let on_sync = move |r: Result<()>| tx.send((r.is_ok(), answers.all().len())).unwrap();
        sender.send_blocking(Request::Sync(Reply::new(on_sync)));
        assert_eq!(answer(&rx), (true, 2));
        let (tx, rx) = bounded(1);
        sender.send_blocking(Request::StateAt(Seq(7), Reply::new(move |r| tx.send(r).unwrap())));
        assert_eq!(answer(&rx).unwrap(), Some(Value::from(7)));
        sender.send_blocking(Request::Close(Instant::now()));
        run.ended().unwrap();
        assert!(run.answers.all().iter().all(|a| a.1 == AckOutcome::Durable));
    }

    /// Goal: a sink's deadline is kept without any further request. Method: a sink that holds a
    /// batch for 5 ms and nothing else to do; its answer is waited for.
    #[test]
    fn deadlines_are_served() {
        let delay = Some(Duration::from_millis(5));
        let mut run = Run::start(Holder { delay, ..Holder::default() });
        run.batches(1);
        let give_up = Instant::now() + Duration::from_secs(10);
        while run.answers.all().is_empty() {
            assert!(Instant::now() < give_up, "the deadline was not kept");
            thread::yield_now();
        }
        assert_eq!(run.answers.all(), vec![(1, AckOutcome::Durable)]);
    }

    /// Goal: a sink that cannot be opened gives its error to the caller. Method: `open` refuses.
    #[test]
    fn a_failed_open_is_the_callers_error() {
        let resume = Resume { epoch: Epoch(1), state: Some(Value::Null) };
        let never = |_| panic!("on_end without a successful open");
        let result = SinkWorker::spawn("t", Box::new(Holder::default()), resume, 8, never);
        assert_eq!(result.err().unwrap().code, "sink-state");
    }
}
