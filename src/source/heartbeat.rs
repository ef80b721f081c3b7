//! Heartbeats: a record at least every `heartbeat_interval_ms` while the log is read, and a
//! statement on the source with it (`heartbeat_action_query`).
//!
//! Enters: the reader's time. Leaves: when the next heartbeat is due; a statement run beside the
//! reader. Keeps: the reader never waits for the statement, which has a session of its own, a bound
//! on its time and one try a beat; its failure is a warning with the reason, as Debezium has it.

use std::time::Duration;

use penstock_protocol::schema::SourceKind;

use super::{mysql, postgres};
use crate::config;
use crate::error::{Error, Result};
use crate::runtime::{Task, clock, spawn_local, timeout, watch};

/// Longest time for the statement, the login included.
const ACTION_MAX: Duration = Duration::from_secs(10);

/// When a pipeline's next heartbeat is due.
pub struct Heartbeat {
    interval_ms: u64,
    /// `None`: the log is not read now.
    due_ms: Option<u64>,
    query: Option<String>,
    action: Option<Action>,
}

/// The statement's task, and how it is woken.
struct Action {
    beat: watch::Sender<u64>,
    _task: Task<()>,
}

impl Heartbeat {
    /// As configured; it begins with `start`.
    pub fn new(source: &config::Source) -> Self {
        let (interval_ms, query) =
            (source.heartbeat_interval_ms, source.heartbeat_action_query.clone());
        Self { interval_ms, due_ms: None, query, action: None }
    }

    /// The log is read from now on. On the reader's core.
    pub fn start(&mut self, source: &config::Source, name: &str) {
        if self.interval_ms == 0 {
            return;
        }
        self.due_ms = Some(clock::monotonic_ms() + self.interval_ms);
        if let (Some(query), None) = (&self.query, &self.action) {
            let (beat, beats) = watch::channel(0);
            let task = act(source.clone(), name.to_owned(), query.clone(), beats);
            self.action = Some(Action { beat, _task: spawn_local(task) });
        }
    }

    /// The connection is lost: nothing is told until `start`.
    pub fn rest(&mut self) {
        self.due_ms = None;
    }

    /// How long until the next one; `None`: for ever.
    pub fn due_in(&self) -> Option<Duration> {
        let left = self.due_ms?.saturating_sub(clock::monotonic_ms());
        Some(Duration::from_millis(left))
    }

    /// True if one is due now; then the statement is run too, and the next one is an interval away.
    pub fn take(&mut self) -> bool {
        let now_ms = clock::monotonic_ms();
        if self.due_ms.is_none_or(|due_ms| now_ms < due_ms) {
            return false;
        }
        self.due_ms = Some(now_ms + self.interval_ms);
        if let Some(action) = &self.action {
            action.beat.set(now_ms);
        }
        true
    }
}

/// Runs the statement at each beat. Beats that come while it runs are one.
async fn act(source: config::Source, name: String, query: String, mut beats: watch::Receiver<u64>) {
    let mut session = Session::None;
    while beats.changed().await {
        let acted = timeout(ACTION_MAX, session.act(&source, &name, &query)).await;
        let error = match acted {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => {
                let what = format!("no answer within {} s", ACTION_MAX.as_secs());
                Error::transient("pipeline-heartbeat", what)
            }
        };
        session = Session::None;
        tracing::warn!(pipeline = name, "heartbeat_action_query failed: {}", error.what);
    }
}

/// The side session; opened at the first beat, and again after a failure.
enum Session {
    None,
    Postgres(postgres::heartbeat::Session),
    MySql(mysql::heartbeat::Session),
}

impl Session {
    async fn act(&mut self, source: &config::Source, name: &str, query: &str) -> Result<()> {
        if matches!(self, Self::None) {
            *self = match source.kind {
                SourceKind::Postgres => {
                    Self::Postgres(postgres::heartbeat::Session::open(source, name).await?)
                }
                SourceKind::MySql | SourceKind::MariaDb => {
                    Self::MySql(mysql::heartbeat::Session::open(source).await?)
                }
            };
        }
        match self {
            Self::Postgres(session) => session.act(query).await,
            Self::MySql(session) => session.act(query).await,
            Self::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_come_an_interval_apart_while_the_log_is_read() {
        // Goal: none before the start, none while disconnected, none twice. Method: the clock's own
        // time with an interval that is over at once, and with one that never is.
        let beats =
            |interval_ms| Heartbeat { interval_ms, due_ms: None, query: None, action: None };
        let mut soon = beats(1);
        assert!(!soon.take() && soon.due_in().is_none(), "not started");
        soon.due_ms = Some(clock::monotonic_ms());
        assert!(soon.take(), "due");
        soon.rest();
        assert!(!soon.take() && soon.due_in().is_none(), "resting");
        let mut late = beats(86_400_000);
        late.due_ms = Some(clock::monotonic_ms() + late.interval_ms);
        assert!(!late.take());
        assert!(late.due_in().is_some_and(|due| due > Duration::from_secs(86_000)));
    }
}
