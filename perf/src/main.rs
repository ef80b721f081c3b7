//! Measures the shipped binary as a whole process: wall time, CPU, peak memory, records.
//!
//!     penstock-perf catch-up BINARY CONFIG [RUNS]   run --exit-when-caught-up, from the same state
//!     penstock-perf idle BINARY CONFIG [SECONDS]    CPU share of a running, idle pipeline
//!
//! Enters: a binary and a configuration whose source is ready. Leaves: one line a run on stdout.
//! Keeps: the state folder `perf-state` beside the configuration is put back before each run, so
//! that every run reads the same part of the log.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(Ok(default), |text| text.parse());
    let ended = match arguments.first().map(String::as_str) {
        Some("catch-up") if arguments.len() >= 3 => number(3, 3)
            .map_err(Failed::from)
            .and_then(|runs| catch_up(&arguments[1], Path::new(&arguments[2]), runs)),
        Some("idle") if arguments.len() >= 3 => number(3, 10)
            .map_err(Failed::from)
            .and_then(|seconds| idle(&arguments[1], Path::new(&arguments[2]), seconds)),
        _ => Err("usage: penstock-perf catch-up|idle BINARY CONFIG [RUNS|SECONDS]".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("penstock-perf: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs to the end of the log `runs` times and prints each.
fn catch_up(binary: &str, config: &Path, runs: u64) -> Result<(), Failed> {
    let folder = config.parent().unwrap_or(Path::new("."));
    let (state, kept) = (folder.join("state"), folder.join("perf-state"));
    if state.exists() && !kept.exists() {
        copy(&state, &kept)?;
    }
    for run in 1..=runs {
        if kept.exists() {
            drop(std::fs::remove_dir_all(&state));
            copy(&kept, &state)?;
        }
        let log = folder.join("perf-log");
        let started = Instant::now();
        let child = Command::new(binary)
            .args(["run", "--exit-when-caught-up"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let used = wait(child)?;
        let seconds = started.elapsed().as_secs_f64();
        let records = records(&std::fs::read_to_string(&log)?);
        if !used.success {
            return Err(format!("the run failed, see {}", log.display()).into());
        }
        let per_second = records as f64 / seconds;
        let cpu_us = used.cpu.as_secs_f64() * 1e6 / records.max(1) as f64;
        println!(
            "run {run}: {records} records in {seconds:.2} s = {per_second:.0}/s, CPU {:.2} s = \
             {cpu_us:.2} us a record, peak {:.1} MiB",
            used.cpu.as_secs_f64(),
            used.peak_kib as f64 / 1024.0
        );
    }
    Ok(())
}

/// The sum of `records=N` over the last lines of all pipelines.
fn records(log: &str) -> u64 {
    let counts = log.lines().filter(|line| line.contains("pipeline ended"));
    counts
        .filter_map(|line| line.split("records=").nth(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok())
        .sum()
}

/// Starts a pipeline, lets it come to rest, and measures its CPU share.
fn idle(binary: &str, config: &Path, seconds: u64) -> Result<(), Failed> {
    let mut child = Command::new(binary)
        .arg("run")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(5));
    let (before, started) = (ticks(child.id())?, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, elapsed) = (ticks(child.id())?, started.elapsed());
    if child.try_wait()?.is_some() {
        return Err("the pipeline ended by itself".into());
    }
    signal_term(&child);
    let used = wait(child)?;
    let share = (after - before) / elapsed.as_secs_f64();
    println!(
        "idle: {:.2} % of a core over {seconds} s, peak {:.1} MiB",
        share * 100.0,
        used.peak_kib as f64 / 1024.0
    );
    Ok(())
}

/// User and system CPU seconds of a running process.
fn ticks(pid: u32) -> Result<f64, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(") ").next().ok_or("no process state")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let field =
        |n: usize| fields.get(n).ok_or("short process state")?.parse::<f64>().map_err(Failed::from);
    Ok((field(11)? + field(12)?) / 100.0)
}

struct Used {
    success: bool,
    cpu: Duration,
    peak_kib: u64,
}

/// Waits for a child and takes what it used.
fn wait(child: Child) -> Result<Used, Failed> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `pid` is our child, not reaped yet; both pointers are to live locals.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(std::io::Error::last_os_error().into());
    }
    let time = |t: libc::timeval| {
        Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_usec).unwrap_or(0) * 1000)
    };
    Ok(Used {
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_kib: usage.ru_maxrss.unsigned_abs(),
    })
}

fn signal_term(child: &Child) {
    if let Ok(pid) = libc::pid_t::try_from(child.id()) {
        // SAFETY: kill takes plain integers; the child has not been reaped.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
