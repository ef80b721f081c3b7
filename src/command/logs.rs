//! Logs: lines on standard error, above the progress bars if there are any.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::{Error, Result};
use crate::progress;

/// What is logged if nobody says otherwise: our own news, other rooms' trouble.
const DEFAULT: &str = "warn,penstock=info";

/// Installs the process's subscriber: `--log`, else RUST_LOG, else the default.
pub(super) fn install(option: Option<&str>) -> Result<()> {
    let variable = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = option.map(str::to_owned).or(variable).unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|error| {
        Error::usage("usage-bad-log-filter", format!("{text:?} is no log filter: {error}"))
            .hint("write a level (error, warn, info, debug, trace) or part=level,part=level")
    })?;
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    // A second subscriber in one process happens in tests only, and is no trouble.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_target(false)
        .with_writer(AboveBars)
        .try_init();
    Ok(())
}

/// Makes writers that take the bars off the screen while a line is written.
struct AboveBars;

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

/// One log line; the subscriber hands it over whole.
struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::of_process().suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
