//! Standby status updates: what tells the server that we live and what it may forget.
//!
//! Enters: how far the reader has read, the word of what is durable. Leaves: a status message on a
//! timer, from a task of its own, so whether or not the reader is held up (HAZARDS H2). Keeps:
//! "flushed" is a durable checkpoint's position, never more (invariant 4) and never less than what
//! the slot was confirmed to already.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::AsyncWriteExt;
use penstock_protocol::position::Position;
use penstock_protocol::postgres::message;
use penstock_protocol::postgres::replication::standby_status;

use crate::runtime::net::WriteHalf;
use crate::runtime::{Task, clock, sleep, spawn_local, timeout, watch};
use crate::source::context::Flushed;

/// Time between two status messages, if nothing else is said.
const EVERY: Duration = Duration::from_secs(1);
/// While somebody waits for a keepalive.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// An idle server is asked for its position, hence for a sign of life, this often (HAZARDS P5).
const ASK_IDLE: Duration = Duration::from_secs(10);
/// The `wal_sender_timeout` that a session asks for where the server's is longer, or off. A server
/// that has it sends a sign of life after half of it, in the middle of a transaction of which it
/// sends nothing too (`WalSndUpdateProgress`).
pub const SENDER_TIMEOUT_MS_MAX: u64 = 40_000;
/// What is given to a slow network beyond that.
const SLOW_MS: u64 = 5_000;
/// Each silence in a row doubles the next one's limit, so often at most.
const DOUBLED_MAX: u32 = 4;

/// How long silence is borne (HAZARDS H2): it follows from what the server promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A sign of life is asked for this often.
    pub ask: Duration,
    /// Nothing for so long: the peer is dead.
    pub give_up: Duration,
}

impl Patience {
    /// `sender_timeout_ms`: the session's `wal_sender_timeout`. `silences`: how many connections
    /// in a row were given up for silence. A server older than its branch's fix is silent while it
    /// skips a transaction of other tables: each time it is given twice as long.
    pub fn of(sender_timeout_ms: u64, silences: u32) -> Self {
        let promised_ms = sender_timeout_ms.min(SENDER_TIMEOUT_MS_MAX) / 2 + SLOW_MS;
        let give_up = Duration::from_millis(promised_ms << silences.min(DOUBLED_MAX));
        Self { ask: ASK_IDLE.min(give_up / 2), give_up }
    }
}

/// How often the task says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A status message.
    pub every: Duration,
    /// With a question in it.
    pub ask: Duration,
}

impl Pace {
    /// `wanted_ms`: `status_update_interval_ms`. The server's timeout is never risked for it.
    pub fn of(sender_timeout_ms: u64, wanted_ms: Option<u64>, ask: Duration) -> Self {
        let every = wanted_ms.map_or(EVERY, Duration::from_millis);
        Self { every: every.min(Duration::from_millis(sender_timeout_ms / 3)), ask }
    }
}

/// What the reader and the task share; both are on one core.
#[derive(Default)]
struct Shared {
    /// The reader has read up to here.
    written: Cell<u64>,
    /// Durable, or confirmed before.
    flushed: Cell<u64>,
    /// Send at once.
    urgent: Cell<bool>,
    /// A keepalive is waited for.
    asking: Cell<bool>,
    /// Say good-bye.
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Shared {
    fn ring(&self) {
        self.urgent.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The reader's end. Dropped, the task ends and with it the connection.
pub struct Status {
    shared: Rc<Shared>,
    task: Task<()>,
}

impl Status {
    /// Starts the task. `confirmed`: where the slot stands.
    pub fn start(
        writer: WriteHalf,
        confirmed: u64,
        pace: Pace,
        flushed: watch::Receiver<Flushed>,
    ) -> Self {
        let shared = Rc::new(Shared::default());
        shared.written.set(confirmed);
        shared.flushed.set(confirmed);
        let task = spawn_local(run(writer, shared.clone(), pace, flushed));
        Self { shared, task }
    }

    /// Everything before `lsn` has been read.
    pub fn read_to(&self, lsn: u64) {
        self.shared.written.set(self.shared.written.get().max(lsn));
    }

    /// The server wants an answer at once.
    pub fn answer(&self) {
        self.shared.ring();
    }

    /// Whether keepalives are asked for often, because somebody waits for a position (HAZARDS H4).
    pub fn ask(&self, often: bool) {
        if self.shared.asking.replace(often) != often {
            self.shared.ring();
        }
    }

    /// Tells the last durable position, ends the stream and closes.
    pub async fn close(self) {
        self.shared.closing.set(true);
        self.shared.ring();
        // Bounded: a server that does not read any more is not waited for.
        let _ = timeout(Duration::from_secs(2), self.task).await;
    }
}

async fn run(
    mut writer: WriteHalf,
    shared: Rc<Shared>,
    Pace { every, ask }: Pace,
    flushed: watch::Receiver<Flushed>,
) {
    let ask_ms = u64::try_from(ask.as_millis()).unwrap_or(u64::MAX);
    let mut out = Vec::with_capacity(64);
    let mut asked_ms = clock::monotonic_ms();
    loop {
        let closing = shared.closing.get();
        if let Some(Position::Postgres(durable)) = flushed.get().position {
            shared.flushed.set(shared.flushed.get().max(durable.lsn));
        }
        let now_ms = clock::monotonic_ms();
        let ask = shared.asking.get() || now_ms.saturating_sub(asked_ms) >= ask_ms;
        if ask {
            asked_ms = now_ms;
        }
        let durable = shared.flushed.get();
        let written = shared.written.get().max(durable);
        out.clear();
        standby_status(&mut out, written, durable, durable, clock::now_us(), ask && !closing);
        if closing {
            message::copy_done(&mut out);
            message::terminate(&mut out);
        }
        let sent = async {
            writer.write_all(&out).await?;
            writer.flush().await
        };
        // A broken connection is the reader's to report: it sees it too.
        if sent.await.is_err() || closing {
            let _ = writer.close().await;
            return;
        }
        let pause = if shared.asking.get() { every.min(ASK_EVERY) } else { every };
        let _ = timeout(pause, rung(&shared)).await;
    }
}

/// Until somebody rings.
async fn rung(shared: &Shared) {
    poll_fn(|cx| {
        if shared.urgent.replace(false) {
            return Poll::Ready(());
        }
        *shared.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Sleeps, or returns true at once when the pipeline is asked to stop.
pub async fn pause(duration: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    match timeout(duration, stop.wait_for(|stop| *stop)).await {
        Ok(Some(_)) => true,
        // Nobody can ask any more.
        Ok(None) => {
            sleep(duration).await;
            false
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h02_silence_is_borne_as_long_as_the_server_may_be_silent() {
        // Goal: half of wal_sender_timeout and five seconds, asked for twice in that time; longer
        // after each silence. Method: the default, a short timeout, silences in a row.
        let seconds = |timeout_ms, silences| {
            let Patience { ask, give_up } = Patience::of(timeout_ms, silences);
            (ask.as_secs_f32(), give_up.as_secs_f32())
        };
        assert_eq!(seconds(60_000, 0), (10.0, 25.0));
        assert_eq!(seconds(2_000, 0), (3.0, 6.0));
        let every = |timeout_ms, wanted_ms| {
            let pace = Pace::of(timeout_ms, wanted_ms, Duration::from_secs(3));
            pace.every.as_millis()
        };
        let paces = [every(40_000, None), every(40_000, Some(100)), every(2_000, Some(10_000))];
        assert_eq!(paces, [1_000, 100, 666]);
        let longer: Vec<f32> = (0..7).map(|n| seconds(40_000, n).1).collect();
        assert_eq!(longer, [25.0, 50.0, 100.0, 200.0, 400.0, 400.0, 400.0]);
    }
}
