//! Findings as an aligned table, coloured on a terminal.

use std::fmt::Write;

use super::{Report, count};
use crate::check::{Finding, Level};
use crate::command::output::{TEXT_COLUMNS, wrap};

/// All pipelines and a last line of sums.
pub(super) fn table(reports: &[Report], colours: bool) -> String {
    let findings = || reports.iter().flat_map(|report| &report.findings);
    let codes = findings().map(|finding| finding.code.len()).max().unwrap_or(0);
    let mut out = String::new();
    for report in reports {
        let _ = writeln!(out, "{} ({})", report.name, report.origin);
        for finding in &report.findings {
            row(&mut out, finding, codes, colours);
        }
        out.push('\n');
    }
    let sums = [(Level::Ok, "ok"), (Level::Warning, "warning"), (Level::Failure, "failure")];
    let sums = sums.map(|(level, word)| {
        let count = count(reports, level);
        let plural = if count == 1 || level == Level::Ok { "" } else { "s" };
        format!("{count} {word}{plural}")
    });
    let _ = writeln!(out, "{}", sums.join(", "));
    if findings().any(|finding| finding.level != Level::Ok) {
        out.push_str("penstock help CODE explains a finding\n");
    }
    out
}

fn row(out: &mut String, finding: &Finding, codes: usize, colours: bool) {
    // Width first, colour around it: escape sequences have no width.
    let level = format!("{:<7}", finding.level.word());
    let level = if colours { coloured(finding.level, &level) } else { level };
    let indent = 2 + 7 + 2 + codes + 2;
    let columns = (indent + 40).max(TEXT_COLUMNS + 20);
    let text = wrap(&finding.what, columns, &" ".repeat(indent));
    let _ = write!(out, "  {level}  {:<codes$}  {}", finding.code, text.trim_start());
    if let Some(mend) = &finding.mend {
        // Statements are to be copied: one line each, never wrapped.
        for (at, line) in mend.lines().enumerate() {
            let word = if at == 0 { "do: " } else { "    " };
            let _ = writeln!(out, "{}{word}{line}", " ".repeat(indent));
        }
    }
}

fn coloured(level: Level, text: &str) -> String {
    let colour = match level {
        Level::Ok => 32,
        Level::Warning => 33,
        Level::Failure => 31,
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Vec<Report> {
        let findings = vec![
            Finding::ok("state-folder", "the state folder is writable"),
            Finding::failure("sink-folder", "wal_level is replica")
                .mend("alter system …;\nrestart"),
        ];
        vec![Report { name: "shop".into(), origin: "shop.toml".into(), findings }]
    }

    #[test]
    fn rows_are_aligned() {
        // Goal: columns line up, statements stand on lines of their own. Method: exact text.
        let expected = "\
shop (shop.toml)
  ok       state-folder  the state folder is writable
  failure  sink-folder   wal_level is replica
                         do: alter system …;
                             restart

1 ok, 0 warnings, 1 failure
penstock help CODE explains a finding
";
        assert_eq!(table(&reports(), false), expected);
    }

    #[test]
    fn colours_have_no_width() {
        // Goal: colours change nothing else. Method: take them out again.
        let coloured = table(&reports(), true);
        let plain = ["\x1b[32m", "\x1b[31m", "\x1b[0m"]
            .iter()
            .fold(coloured.clone(), |text, code| text.replace(code, ""));
        assert_ne!(coloured, plain);
        assert_eq!(plain, table(&reports(), false));
    }
}
