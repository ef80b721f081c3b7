//! The shipped binary as a child process, its configuration and its output folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::server::Server;

/// A folder with a configuration, state and output; any number of runs of the binary over it.
pub struct Pipe {
    dir: tempfile::TempDir,
    pub name: String,
}

/// A configuration's text, to be changed by a test before it is written.
pub struct Config {
    pub name: String,
    pub source: Vec<(String, String)>,
    pub snapshot: Vec<(String, String)>,
    pub sink: Vec<(String, String)>,
    pub runtime: Vec<(String, String)>,
    pub extra: String,
}

impl Config {
    /// `cdc` on this server, a file sink in `out`, state in `state`.
    pub fn new(name: &str, server: &Server, tables: &[&str]) -> Self {
        let quoted: Vec<String> = tables.iter().map(|t| format!("{t:?}")).collect();
        let mut source = vec![
            ("kind", format!("{:?}", server.family.kind())),
            ("host", "\"127.0.0.1\"".into()),
            ("port", server.port.to_string()),
            ("user", "\"cdc\"".into()),
            ("password", "\"cdc\"".into()),
        ];
        if server.family.is_postgres() {
            source.push(("database", "\"test\"".into()));
        }
        if !tables.is_empty() {
            source.push(("tables", format!("[{}]", quoted.join(", "))));
        }
        let own = |list: Vec<(&str, String)>| {
            list.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Vec<_>>()
        };
        Self {
            name: name.into(),
            source: own(source),
            snapshot: vec![],
            sink: own(vec![("kind", "\"file\"".into()), ("path", "\"out\"".into())]),
            // the CI run repeats some tests on the epoll backend
            runtime: match std::env::var("PENSTOCK_TEST_BACKEND") {
                Ok(backend) => vec![("backend".into(), format!("{backend:?}"))],
                Err(_) => vec![],
            },
            extra: String::new(),
        }
    }

    /// Sets a key of a section: `("sink", "delivery", "\"exactly_once\"")`; the value is TOML.
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        let list = match section {
            "source" => &mut self.source,
            "snapshot" => &mut self.snapshot,
            "sink" => &mut self.sink,
            "runtime" => &mut self.runtime,
            other => panic!("no section {other}"),
        };
        list.retain(|(k, _)| k != key);
        list.push((key.into(), value.into()));
        self
    }

    pub fn text(&self) -> String {
        let mut text = format!("name = {:?}\n", self.name);
        let sections = [
            ("source", &self.source),
            ("snapshot", &self.snapshot),
            ("sink", &self.sink),
            ("runtime", &self.runtime),
        ];
        for (section, keys) in sections {
            if !keys.is_empty() {
                text += &format!("[{section}]\n");
                keys.iter().for_each(|(k, v)| text += &format!("{k} = {v}\n"));
            }
        }
        text + "[state]\npath = \"state\"\n" + &self.extra
    }
}

impl Pipe {
    /// Writes the configuration into a fresh folder.
    pub fn new(config: &Config) -> Self {
        let dir = tempfile::Builder::new().prefix("penstock-pipe-").tempdir().expect("a folder");
        let pipe = Self { dir, name: config.name.clone() };
        pipe.configure(config);
        pipe
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &Config) {
        std::fs::write(self.config(), config.text()).expect("the configuration is written");
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("pipe.toml")
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// A command of the binary on this configuration.
    pub fn command(&self, verb: &[&str], more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.args(verb).arg(self.config()).args(more).current_dir(self.dir.path());
        command
    }

    /// Starts `run` in the background; its stderr goes to `log`.
    pub fn start(&self, more: &[&str]) -> Running {
        let log = self.dir.path().join("log");
        let file = std::fs::File::options().create(true).append(true).open(&log);
        let child = self
            .command(&["run"], more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file.expect("the log file"))
            .spawn()
            .expect("the binary starts");
        Running { child, log }
    }

    /// Runs `run --exit-when-caught-up` to its end, which must be status 0.
    pub fn catch_up(&self) {
        let mut running = self.start(&["--exit-when-caught-up"]);
        let status = running.wait(Duration::from_secs(120));
        assert!(status.success(), "status {status}: {}", running.log());
    }

    /// Runs `run` to its end, which must be status 1 with this code and a line of what to do;
    /// returns what this run wrote to stderr.
    pub fn refuses(&self, code: &str) -> String {
        let before = std::fs::read(self.dir().join("log")).map_or(0, |log| log.len());
        let mut running = self.start(&["--exit-when-caught-up"]);
        let ended = running.wait(Duration::from_secs(60));
        let log = running.log().split_off(before);
        assert_eq!(ended.code(), Some(1), "{log}");
        assert_explained(&log, code);
        log
    }

    /// Runs another command to its end: its status and what it printed, stdout then stderr.
    pub fn output(&self, verb: &[&str], more: &[&str]) -> (Option<i32>, String) {
        let out = self.command(verb, more).stdin(Stdio::null()).output().expect("it runs");
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8(text).expect("UTF-8"))
    }
}

/// Fails unless the text holds an error with this code and what to do about it.
pub fn assert_explained(text: &str, code: &str) {
    let mut lines = text.lines().skip_while(|l| !l.starts_with(&format!("error[{code}]: ")));
    assert!(lines.next().is_some(), "no error[{code}] in: {text}");
    let mut details = lines.take_while(|l| l.starts_with("  "));
    assert!(details.any(|l| l.starts_with("  do: ")), "error[{code}] has no hint: {text}");
}

/// A running binary; killed with its value.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr, over all runs of this folder.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid");
        // SAFETY: kill takes plain integers; the child has not been reaped, so the pid is ours.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// SIGTERM, then its end, which must be status 0.
    pub fn stop(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait(Duration::from_secs(40));
        assert!(status.success(), "status {status}: {}", self.log());
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = until(deadline, || self.child.try_wait().expect("a child"));
        ended.unwrap_or_else(|| panic!("still running after {deadline:?}: {}", self.log()))
    }

    /// True while it runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Polls `condition` every 20 ms until it gives something or the deadline passes.
pub fn until<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
