//! Progress of a snapshot: rows done of those estimated, rate, time left, per table and whole.
//!
//! Enters: what a source tells `ProgressSink`, once a batch. Leaves: bars on a terminal, else a log
//! line every ten seconds and one a finished table. Never fails, never waits but for a short lock,
//! never holds a cell value. Estimates are the catalogue's and may be wrong both ways.

mod bars;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use indicatif::MultiProgress;

use bars::Bars;
use tally::Tally;

/// Time between two log lines of one pipeline, ms.
const LINE_EVERY_MS: u64 = 10_000;

static OF_PROCESS: OnceLock<Progress> = OnceLock::new();

/// The process's own `Progress`: bars if `show_bars` was called before, else log lines.
pub fn of_process() -> &'static Progress {
    OF_PROCESS.get_or_init(Progress::default)
}

/// From now on bars on standard error. To be called once, before anything is shown; later calls
/// do nothing.
pub fn show_bars() {
    let _ = OF_PROCESS.set(Progress::new(true));
}

/// The process's place for progress; hands a `ProgressSink` to each pipeline.
#[derive(Clone, Default)]
pub struct Progress {
    /// All bars of the process; none: log lines.
    bars: Option<MultiProgress>,
}

impl Progress {
    /// Bars on standard error if `bars`, else log lines.
    pub fn new(bars: bool) -> Self {
        Self { bars: bars.then(MultiProgress::new) }
    }

    /// The sink of one pipeline.
    pub fn pipeline(&self, name: &str) -> ProgressSink {
        let view = self.bars.clone().map(|multi| Bars::new(multi, name));
        ProgressSink(Some(Arc::new(Shared {
            pipeline: name.to_owned(),
            started: Instant::now(),
            state: Mutex::new(State { tally: Tally::default(), line_ms: 0, view }),
        })))
    }

    /// Runs `print` while no bar is on the screen, so that lines and bars do not mix.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bars {
            Some(multi) => multi.suspend(print),
            None => print(),
        }
    }
}

/// Where a source tells how far its snapshot is. Cheap to clone and to call once a batch.
#[derive(Clone, Default)]
pub struct ProgressSink(Option<Arc<Shared>>);

struct Shared {
    pipeline: String,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    tally: Tally,
    line_ms: u64,
    view: Option<Bars>,
}

impl ProgressSink {
    /// A sink that shows nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Tells all tables that will be read with their estimates of rows, so that the whole is known
    /// from the start. Optional.
    pub fn planned(&self, tables: &[(String, Option<u64>)]) {
        let Some((_, mut state)) = self.lock() else { return };
        for (name, estimate) in tables {
            state.tally.plan(name, *estimate);
        }
        state.show();
    }

    /// A table's first row is about to be read. `estimate`: rows, if the catalogue has a number.
    pub fn table_started(&self, name: &str, estimate: Option<u64>) {
        let Some((shared, mut state)) = self.lock() else { return };
        state.tally.start(name, estimate, shared.now_ms());
        if let Some(view) = &mut state.view {
            view.start(name, estimate);
        }
        state.show();
    }

    /// `count` more rows of the table were read.
    pub fn rows(&self, name: &str, count: u64) {
        let Some((shared, mut state)) = self.lock() else { return };
        state.tally.rows(name, count);
        if let Some(view) = &mut state.view {
            view.rows(name, count);
        }
        state.show();
        let now_ms = shared.now_ms();
        if state.view.is_none() && now_ms.saturating_sub(state.line_ms) >= LINE_EVERY_MS {
            state.line_ms = now_ms;
            let line = state.tally.line(now_ms);
            tracing::info!("snapshot of {}: {line}", shared.pipeline);
        }
    }

    /// The table's last row was read.
    pub fn table_done(&self, name: &str) {
        let Some((shared, mut state)) = self.lock() else { return };
        let line = state.tally.finish(name, shared.now_ms());
        if let Some(view) = &mut state.view {
            view.finish(name);
        }
        state.show();
        tracing::info!("snapshot of {}: {line}", shared.pipeline);
    }

    /// The snapshot is over.
    pub fn done(&self) {
        let Some((shared, mut state)) = self.lock() else { return };
        if let Some(view) = state.view.take() {
            view.close();
        }
        let line = state.tally.end(shared.now_ms());
        tracing::info!("snapshot of {}: {line}", shared.pipeline);
    }

    /// A panic elsewhere while the lock was held leaves numbers that are still fit to show.
    fn lock(&self) -> Option<(&Shared, MutexGuard<'_, State>)> {
        let shared = self.0.as_deref()?;
        Some((shared, shared.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl State {
    fn show(&mut self) {
        if let Some(view) = &mut self.view {
            view.whole(self.tally.rows_done(), self.tally.rows_estimated());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_takes_any_order_of_calls() {
        // Goal: what a source tells never panics and never blocks, bars or not. Method: calls out
        // of order, on unknown tables, after the end; bars draw nothing where there is no terminal.
        for progress in [Progress::new(false), Progress::new(true)] {
            let sink = progress.pipeline("shop");
            sink.rows("never.started", 3);
            sink.table_done("never.started.either");
            sink.planned(&[("public.a".into(), Some(10)), ("public.b".into(), None)]);
            sink.table_started("public.a", Some(10));
            sink.rows("public.a", 25);
            sink.table_started("public.b", None);
            sink.rows("public.b", u64::MAX);
            sink.table_done("public.a");
            sink.done();
            sink.rows("public.b", 1);
            sink.done();
            assert_eq!(progress.suspend(|| 5), 5);
        }
        ProgressSink::none().rows("public.a", 1);
    }
}
