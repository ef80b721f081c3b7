//! Bars on a terminal: one for the whole of a pipeline's snapshot, one for each table being read.

use std::fmt::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::tally::grouped;

/// Tables shown at once; more are counted in the whole only.
const TABLES_SHOWN_MAX: usize = 8;

/// The bars of one pipeline.
pub(super) struct Bars {
    multi: MultiProgress,
    whole: ProgressBar,
    tables: Vec<(String, ProgressBar)>,
}

impl Bars {
    /// One bar for the whole.
    pub(super) fn new(multi: MultiProgress, pipeline: &str) -> Self {
        let whole = multi.add(ProgressBar::no_length());
        whole.set_style(counting());
        whole.set_prefix(format!("snapshot of {pipeline}"));
        Self { multi, whole, tables: Vec::new() }
    }

    /// A table's own bar, if there is room.
    pub(super) fn start(&mut self, name: &str, estimate: Option<u64>) {
        self.finish(name);
        if self.tables.len() >= TABLES_SHOWN_MAX {
            return;
        }
        let bar = self.multi.add(ProgressBar::no_length());
        bar.set_prefix(format!("  {name}"));
        style(&bar, 0, estimate);
        self.tables.push((name.to_owned(), bar));
    }

    /// Rows of a table.
    pub(super) fn rows(&mut self, name: &str, count: u64) {
        if let Some((_, bar)) = self.tables.iter().find(|(known, _)| known == name) {
            // A wrong estimate is stretched, not shown as more than all.
            let position = bar.position().saturating_add(count);
            if bar.length().is_some_and(|length| length < position) {
                bar.set_length(position);
            }
            bar.set_position(position);
        }
    }

    /// Takes a table's bar away.
    pub(super) fn finish(&mut self, name: &str) {
        if let Some(at) = self.tables.iter().position(|(known, _)| known == name) {
            let (_, bar) = self.tables.remove(at);
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    /// Moves the bar of the whole.
    pub(super) fn whole(&mut self, done: u64, estimate: Option<u64>) {
        if estimate != self.whole.length() {
            style(&self.whole, done, estimate);
        }
        self.whole.set_position(done);
    }

    /// Takes all bars away.
    pub(super) fn close(mut self) {
        for (_, bar) in self.tables.drain(..) {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }
}

fn style(bar: &ProgressBar, done: u64, estimate: Option<u64>) {
    match estimate.filter(|all| *all > 0) {
        Some(all) => {
            bar.set_style(measuring());
            bar.set_length(all.max(done));
        }
        None => {
            bar.set_style(counting());
            bar.unset_length();
        }
    }
}

fn measuring() -> ProgressStyle {
    template("{prefix:32!} {bar:24} {human_pos}/{human_len} rows {rate:12} {eta} left")
        .progress_chars("━╸─")
}

fn counting() -> ProgressStyle {
    template("{prefix:32!} {spinner} {human_pos} rows {rate:12} {elapsed}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .expect("invariant: the template is a constant that a test makes")
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // Out of range only for a clock that stood still: saturates, as `as` does on floats.
            let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_follow_wrong_estimates() {
        // Goal: more rows than estimated stretch a bar, and a finished table's bar goes. Method:
        // bars without a terminal, positions read back.
        let mut bars = Bars::new(MultiProgress::new(), "shop");
        bars.start("a", Some(10));
        bars.rows("a", 25);
        assert_eq!((bars.tables[0].1.position(), bars.tables[0].1.length()), (25, Some(25)));
        bars.whole(25, Some(30));
        assert_eq!((bars.whole.position(), bars.whole.length()), (25, Some(30)));
        bars.whole(31, None);
        assert_eq!((bars.whole.position(), bars.whole.length()), (31, None));
        bars.finish("a");
        assert!(bars.tables.is_empty());
        for table in 0..20 {
            bars.start(&table.to_string(), None);
        }
        assert_eq!(bars.tables.len(), TABLES_SHOWN_MAX);
        bars.close();
    }
}
