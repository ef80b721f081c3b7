//! `penstock demo`: the main job on a private PostgreSQL, with a live workload.
//!
//! Enters: nothing but this machine. Leaves: records on standard output and in a new folder.
//! Keeps: the server is reachable through a socket in a private folder only; a signal stops the
//! workload, drains the pipeline, stops the server and removes it, in this order.

mod lines;
mod server;
mod shop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use self::lines::Lines;
use self::server::Server;
use crate::config;
use crate::error::{Error, Result};
use crate::pipeline::{self, RunOptions};
use crate::runtime::{signal, watch};

/// Folders that earlier demos may have left.
const FOLDERS_MAX: u32 = 10_000;

/// Show the main job on a private PostgreSQL that is set up for it, with a live workload
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Stop after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Where to put the demo's configuration and records; a new folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs until a signal; exit status of the pipeline.
pub(super) fn demo(demo: &Demo) -> Result<u8> {
    let drain = signal::install()
        .map_err(|error| Error::fatal("demo-failed", format!("cannot handle signals: {error}")))?;
    match show(demo, drain.clone()) {
        // Ctrl-C while the server is made ends its programs too: that is no failure.
        Err(_) if drain.get() => Ok(0),
        ended => ended,
    }
}

fn show(demo: &Demo, drain: watch::Receiver<bool>) -> Result<u8> {
    let server = Server::start(|line| eprintln!("{line}"))?;
    // Whatever happens below, `server` stops and is removed when it goes out of scope.
    eprintln!("PostgreSQL {} runs in {}", server.version(), server.folder().display());
    server.sql("postgres", "create database shop")?;
    server.sql("shop", shop::SCHEMA)?;
    let folder = new_folder(demo.folder.as_deref())?;
    let config = write_config(&folder, &server)?;
    eprintln!("a small shop is filled; the configuration is {}", config.display());
    eprintln!("records go to standard output and, whole, to {}", folder.join("out").display());
    match demo.seconds {
        Some(seconds) => eprintln!("the demo ends after {seconds} s"),
        None => eprintln!("Ctrl-C ends the demo and removes the server"),
    }
    let status = run(&config, &server, demo.seconds, drain)?;
    drop(server);
    eprintln!("the server is gone; the records are in {}", folder.join("out").display());
    for (topic, records) in counts(&folder.join("out")) {
        eprintln!("{records:>8}  {topic}");
    }
    Ok(status)
}

/// The pipeline on this thread, the workload on another.
fn run(
    config: &Path,
    server: &Server,
    seconds: Option<u64>,
    drain: watch::Receiver<bool>,
) -> Result<u8> {
    let pipelines = config::load(&[config])?;
    let stop = Arc::new(AtomicBool::new(false));
    let workload = {
        let (mut sql, stop) = (server.session("shop")?, stop.clone());
        std::thread::spawn(move || {
            let ended = || stop.load(Ordering::Relaxed) || drain.get();
            shop::work(&mut sql, ended)
        })
    };
    if let Some(seconds) = seconds {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            // The way a user would end it, so that the same code runs.
            // SAFETY: getpid and kill take and return integers only.
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        });
    }
    let lines = Lines::start().map_err(|error| {
        Error::fatal("demo-failed", format!("cannot take over standard output: {error}"))
    })?;
    let status = pipeline::run_all(pipelines, RunOptions::default());
    if let Some(lines) = lines {
        lines.finish();
    }
    stop.store(true, Ordering::Relaxed);
    match workload.join() {
        Ok(Ok(transactions)) => eprintln!("the workload committed {transactions} transactions"),
        Ok(Err(error)) => eprintln!("the workload ended early: {error}"),
        Err(_) => eprintln!("the workload ended early"),
    }
    Ok(status)
}

/// A folder that did not exist before: earlier records are never mixed with new ones.
fn new_folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let failed = |path: &Path, error: &std::io::Error| {
        Error::usage("demo-folder", format!("cannot make the folder {}: {error}", path.display()))
            .hint("go to a folder that you may write, or name a new one with --folder")
    };
    if let Some(path) = wanted {
        return match std::fs::create_dir(path) {
            Ok(()) => Ok(path.to_owned()),
            Err(error) => Err(failed(path, &error)),
        };
    }
    for number in 1..FOLDERS_MAX {
        let path = match number {
            1 => PathBuf::from("penstock-demo"),
            _ => PathBuf::from(format!("penstock-demo-{number}")),
        };
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(failed(Path::new("penstock-demo"), &std::io::ErrorKind::AlreadyExists.into()))
}

fn write_config(folder: &Path, server: &Server) -> Result<PathBuf> {
    let text = format!(
        "# Written by penstock demo: the whole configuration of what you see.\n\
         name = \"shop\"\n\n\
         [source]\n\
         kind = \"postgres\"\n\
         host = {:?}\n\
         port = {}\n\
         user = {:?}\n\
         database = \"shop\"\n\
         tables = ['public\\..*']\n\
         decimal_handling_mode = \"string\"\n\n\
         [[sinks]]\n\
         kind = \"stdout\"\n\n\
         [[sinks]]\n\
         kind = \"file\"\n\
         path = \"out\"\n\
         delivery = \"exactly_once\"\n\n\
         [state]\n\
         path = \"state\"\n",
        server.folder().display().to_string(),
        server.port(),
        server::USER,
    );
    let path = folder.join("shop.toml");
    std::fs::write(&path, text).map_err(|error| {
        Error::fatal("demo-folder", format!("cannot write {}: {error}", path.display()))
    })?;
    Ok(path)
}

/// Records of each file, by name.
fn counts(out: &Path) -> Vec<(String, usize)> {
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let mut counts: Vec<(String, usize)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().strip_suffix(".jsonl")?.to_owned();
            let text = std::fs::read(entry.path()).ok()?;
            Some((name, text.iter().filter(|&&byte| byte == b'\n').count()))
        })
        .collect();
    counts.sort();
    counts
}
