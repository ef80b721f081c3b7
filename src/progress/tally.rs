//! Counts of a snapshot and the sentences made from them. Pure: times come in as milliseconds.

use std::fmt::Write;

/// Rows of each table, in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tables: Vec<Table>,
    started_ms: Option<u64>,
    /// At the last line: its time and the rows done by then, for the rate since.
    last: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Table {
    name: String,
    estimate: Option<u64>,
    rows: u64,
    started_ms: u64,
    finished: bool,
}

impl Tally {
    /// A table that will be read.
    pub(super) fn plan(&mut self, name: &str, estimate: Option<u64>) {
        // planned again: the snapshot was cut and begins anew
        self.started_ms = None;
        let table = self.table(name);
        (table.estimate, table.rows, table.finished) = (estimate, 0, false);
    }

    /// A table that is read from now on.
    pub(super) fn start(&mut self, name: &str, estimate: Option<u64>, now_ms: u64) {
        self.started_ms.get_or_insert(now_ms);
        let table = self.table(name);
        table.started_ms = now_ms;
        table.estimate = estimate.or(table.estimate);
    }

    /// More rows.
    pub(super) fn rows(&mut self, name: &str, count: u64) {
        let table = self.table(name);
        table.rows = table.rows.saturating_add(count);
    }

    /// The end of a table, and the sentence about it.
    pub(super) fn finish(&mut self, name: &str, now_ms: u64) -> String {
        let table = self.table(name);
        table.finished = true;
        let ms = now_ms.saturating_sub(table.started_ms);
        format!("{name} done, {} rows{}", grouped(table.rows), pace(table.rows, ms))
    }

    /// The end of the whole.
    pub(super) fn end(&self, now_ms: u64) -> String {
        let ms = now_ms.saturating_sub(self.started_ms.unwrap_or(now_ms));
        let tables = self.tables.len();
        let word = if tables == 1 { "table" } else { "tables" };
        let rows = self.rows_done();
        format!("complete, {tables} {word}, {} rows{}", grouped(rows), pace(rows, ms))
    }

    /// How far it is: whole first, then each table that is being read.
    pub(super) fn line(&mut self, now_ms: u64) -> String {
        let done = self.rows_done();
        let (then_ms, then_rows) = self.last.unwrap_or((self.started_ms.unwrap_or(now_ms), 0));
        self.last = Some((now_ms, done));
        let rate = rate(done.saturating_sub(then_rows), now_ms.saturating_sub(then_ms));
        let mut line = part(done, self.rows_estimated());
        if let Some(rate) = rate {
            let _ = write!(line, ", {} rows/s", grouped(rate));
            let left = self.rows_estimated().map(|all| all.saturating_sub(done));
            if let Some(seconds) = left.and_then(|left| left.checked_div(rate)) {
                let _ = write!(line, ", about {} left", span(seconds));
            }
        }
        for table in self.tables.iter().filter(|t| t.rows > 0 && !t.finished) {
            let _ = write!(line, "; {} {}", table.name, part(table.rows, table.estimate));
        }
        line
    }

    /// Rows read so far.
    pub(super) fn rows_done(&self) -> u64 {
        self.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
    }

    /// Rows expected in all; none if no table has an estimate. A finished table counts what it had,
    /// one that has more than was estimated, or no estimate, counts what it has.
    pub(super) fn rows_estimated(&self) -> Option<u64> {
        self.tables.iter().any(|table| table.estimate.is_some()).then(|| {
            self.tables.iter().fold(0u64, |sum, table| {
                let estimate = table.estimate.filter(|_| !table.finished).unwrap_or(0);
                sum.saturating_add(estimate.max(table.rows))
            })
        })
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let at = self.tables.iter().position(|t| t.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            self.tables.push(Table {
                name,
                estimate: None,
                rows: 0,
                started_ms: 0,
                finished: false,
            });
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }
}

fn part(done: u64, estimate: Option<u64>) -> String {
    match estimate.filter(|all| *all > 0) {
        None => format!("{} rows", grouped(done)),
        Some(all) => {
            let percent = u128::from(done) * 100 / u128::from(all);
            format!("{} of about {} rows ({percent} %)", grouped(done), grouped(all))
        }
    }
}

/// Rows a second; none for no time or no rows.
fn rate(rows: u64, ms: u64) -> Option<u64> {
    let rate = (u128::from(rows) * 1000).checked_div(u128::from(ms))?;
    u64::try_from(rate).ok().filter(|rate| *rate > 0)
}

fn pace(rows: u64, ms: u64) -> String {
    let rate = rate(rows, ms).map_or(String::new(), |r| format!(", {} rows/s", grouped(r)));
    format!(" in {}.{:01} s{rate}", ms / 1000, ms % 1000 / 100)
}

/// Seconds as a person says them.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_exact_numbers() {
        // Goal: rows, share, rate and time left are right, and a missing estimate is no lie.
        // Method: a script of calls at given times.
        let mut tally = Tally::default();
        tally.plan("public.a", Some(1_000_000));
        tally.plan("public.b", Some(500_000));
        tally.start("public.a", Some(1_000_000), 0);
        tally.rows("public.a", 250_000);
        assert_eq!(
            tally.line(10_000),
            "250,000 of about 1,500,000 rows (16 %), 25,000 rows/s, about 50 s left; \
             public.a 250,000 of about 1,000,000 rows (25 %)"
        );
        tally.rows("public.a", 1_000_000);
        assert_eq!(
            tally.finish("public.a", 50_000),
            "public.a done, 1,250,000 rows in 50.0 s, 25,000 rows/s"
        );
        assert_eq!(tally.rows_estimated(), Some(1_750_000));
        tally.start("public.c", None, 50_000);
        assert_eq!(tally.rows_estimated(), Some(1_750_000));
        assert_eq!(
            tally.line(60_000),
            "1,250,000 of about 1,750,000 rows (71 %), 20,000 rows/s, about 25 s left"
        );
        assert_eq!(tally.line(70_000), "1,250,000 of about 1,750,000 rows (71 %)");
        assert_eq!(
            tally.end(62_500),
            "complete, 3 tables, 1,250,000 rows in 62.5 s, 20,000 rows/s"
        );
    }

    #[test]
    fn a_snapshot_that_begins_anew_is_counted_anew() {
        // Goal: rows of a snapshot that was cut are not counted twice. Method: plan, read, plan.
        let mut tally = Tally::default();
        tally.plan("public.a", Some(100));
        tally.start("public.a", Some(100), 0);
        tally.rows("public.a", 60);
        tally.line(1_000);
        tally.plan("public.a", Some(100));
        assert_eq!((tally.rows_done(), tally.rows_estimated()), (0, Some(100)));
        tally.start("public.a", Some(100), 2_000);
        tally.rows("public.a", 80);
        assert_eq!(tally.finish("public.a", 3_000), "public.a done, 80 rows in 1.0 s, 80 rows/s");
        assert_eq!(tally.end(3_000), "complete, 1 table, 80 rows in 1.0 s, 80 rows/s");
    }

    #[test]
    fn without_any_estimate_nothing_is_promised() {
        // Goal: no total and no time left from nothing. Method: tables that nobody analysed.
        let mut tally = Tally::default();
        tally.start("public.a", None, 0);
        tally.rows("public.a", 500);
        assert_eq!(tally.rows_estimated(), None);
        assert_eq!(tally.line(1000), "500 rows, 500 rows/s; public.a 500 rows");
    }

    #[test]
    fn spans_and_groups() {
        // Goal: numbers as people read them. Method: the borders.
        let spans: Vec<String> = [0, 119, 120, 7199, 7200].into_iter().map(span).collect();
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h 0 min"]);
        let groups: Vec<String> = [0, 999, 1000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(groups, ["0", "999", "1,000", "1,234,567"]);
    }
}
