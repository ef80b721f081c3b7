//! A private PostgreSQL: found or installed, in a temporary folder, gone when dropped.
//!
//! Keeps: reachable through a Unix socket in a folder of mode 0700 only; in a process group of its
//! own, so that Ctrl-C does not stop it before the pipeline is drained; it dies with this process.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The only user of the server.
pub(super) const USER: &str = "penstock";
/// The socket's name ends in it; nothing listens on TCP.
const PORT: u16 = 5432;
/// Oldest version that pipelines can read.
const VERSION_MIN: u32 = 13;
const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(10);
/// A Unix socket's path has at most 107 bytes (`sun_path`).
const FOLDER_BYTES_MAX: usize = 80;
/// Bytes of the server's log that an error shows.
const LOG_TAIL_BYTES: usize = 2000;

/// A running server.
pub(super) struct Server {
    bin: PathBuf,
    version: u32,
    folder: PathBuf,
    child: Option<Child>,
}

/// User and group that the server runs as, when this process is root.
type Other = Option<(u32, u32)>;

impl Server {
    /// Finds or installs the programs, makes a cluster, starts it, waits until it answers.
    pub(super) fn start(say: impl Fn(&str)) -> Result<Self> {
        let (bin, version) = match find() {
            Some(found) => found,
            None => install(&say)?,
        };
        let other = other_user()?;
        let folder = folder(other)?;
        let mut server = Self { bin, version, folder, child: None };
        say(&format!("making a private PostgreSQL {version} …"));
        server.initialise(other)?;
        server.launch(other)?;
        Ok(server)
    }

    /// Major version.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// Folder of socket, data and log.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number in the socket's name.
    pub(super) fn port(&self) -> u16 {
        PORT
    }

    /// Runs a script in a database.
    pub(super) fn sql(&self, database: &str, script: &str) -> Result<()> {
        let mut session = self.session(database)?;
        session.send(script)?;
        session.finish()
    }

    /// A session that takes statements until it is finished.
    pub(super) fn session(&self, database: &str) -> Result<Session> {
        let mut psql = self.psql(database);
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = psql.spawn().map_err(|error| failed("psql", &error.to_string()))?;
        let stdin = child.stdin.take();
        Ok(Session { child, stdin })
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql", None);
        psql.args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database])
            .args(["-p", &PORT.to_string(), "-h"])
            .arg(&self.folder)
            // The environment of the person at the terminal is not the demo's.
            .env_remove("PGSERVICE")
            .env_remove("PGOPTIONS")
            .env("PGCLIENTENCODING", "UTF8");
        psql
    }

    fn initialise(&self, other: Other) -> Result<()> {
        let mut initdb = self.command("initdb", other);
        initdb
            .args(["-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(self.folder.join("data"));
        let output = initdb.output().map_err(|error| failed("initdb", &error.to_string()))?;
        if output.status.success() { Ok(()) } else { Err(failed("initdb", &said(&output))) }
    }

    fn launch(&mut self, other: Other) -> Result<()> {
        let log_path = self.folder.join("log");
        let log = fs::File::create(&log_path).map_err(|e| failed("its log", &e.to_string()))?;
        let errors = log.try_clone().map_err(|e| failed("its log", &e.to_string()))?;
        let mut postgres = self.command("postgres", other);
        postgres.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        for setting in [
            format!("port={PORT}"),
            "listen_addresses=".into(),
            "wal_level=logical".into(),
            "max_wal_senders=4".into(),
            "max_replication_slots=4".into(),
            "shared_buffers=32MB".into(),
            "max_connections=20".into(),
            // The data are thrown away at the end.
            "fsync=off".into(),
        ] {
            postgres.arg("-c").arg(setting);
        }
        postgres.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        // SAFETY: prctl with PR_SET_PDEATHSIG is a plain system call: it allocates nothing and
        // takes no lock, which is what may be done between fork and exec.
        unsafe {
            postgres.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        self.child = Some(postgres.spawn().map_err(|e| failed("postgres", &e.to_string()))?);
        self.wait_until_it_answers(&log_path)
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let ended = match &mut self.child {
                Some(child) => child.try_wait().ok().flatten(),
                None => None,
            };
            let answer = self.psql("postgres").args(["-c", "select 1"]).output();
            if answer.is_ok_and(|output| output.status.success()) {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let text = fs::read_to_string(log).unwrap_or_default();
                let tail = text.len().saturating_sub(LOG_TAIL_BYTES);
                let tail = (tail..text.len()).find_map(|at| text.get(at..)).unwrap_or_default();
                return Err(failed("postgres", tail));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, program: &str, other: Other) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // A folder that the other user may stand in; messages in English.
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = other {
            command.gid(gid).uid(uid);
        }
        command
    }
}

impl Drop for Server {
    /// Fast shutdown, then immediate, then the folder goes.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGKILL] {
                signal_child(&child, signal);
                if ended_within(&mut child, STOP_MAX) {
                    break;
                }
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

fn signal_child(child: &Child, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(child.id()) {
        // SAFETY: kill takes integers only; the child was not waited for, so its id is its own.
        unsafe { libc::kill(pid, signal) };
    }
}

fn ended_within(child: &mut Child, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A `psql` that reads statements from a pipe.
pub(super) struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Session {
    /// Hands over statements; waits only if the server is slower than the pipe is long.
    pub(super) fn send(&mut self, statements: &str) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err(failed("psql", "it has ended")) };
        match writeln!(stdin, "{statements}").and_then(|()| stdin.flush()) {
            Ok(()) => Ok(()),
            // What it says on its way out is worth more than "broken pipe".
            Err(_) => self.finish().and(Err(failed("psql", "it has ended"))),
        }
    }

    /// No more statements; waits until all are done.
    pub(super) fn finish(&mut self) -> Result<()> {
        drop(self.stdin.take());
        let mut errors = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut errors);
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(failed("psql", errors.trim())),
            Err(error) => Err(failed("psql", &error.to_string())),
        }
    }
}

/// Newest installed server: its folder of programs and its version.
fn find() -> Option<(PathBuf, u32)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian's and Red Hat's places, which are not in PATH.
    for (parent, inside) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin")] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let is_ours = |entry: &fs::DirEntry| {
            parent != "/usr" || entry.file_name().to_string_lossy().starts_with("pgsql-")
        };
        folders.extend(entries.filter(is_ours).map(|entry| entry.path().join(inside)));
    }
    let has_all = |bin: &PathBuf| {
        ["postgres", "initdb", "psql"].iter().all(|program| bin.join(program).is_file())
    };
    let with_version = |bin: PathBuf| version(&bin).map(|version| (bin, version));
    let found = folders.into_iter().filter(has_all).filter_map(with_version);
    found.filter(|(_, version)| *version >= VERSION_MIN).max_by_key(|(_, version)| *version)
}

/// Major version of the `postgres` in a folder.
fn version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`: 15.
fn major(text: &str) -> Option<u32> {
    let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let number = text.split_whitespace().find(is_number)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Package managers: program, arguments that install the server.
const MANAGERS: &[(&str, &[&str])] = &[
    ("apt-get", &["-q", "install", "-y", "--no-install-recommends", "postgresql"]),
    ("dnf", &["install", "-y", "postgresql-server", "postgresql"]),
    ("zypper", &["--non-interactive", "install", "postgresql-server", "postgresql"]),
    ("apk", &["add", "postgresql", "postgresql-client"]),
    ("pacman", &["-S", "--noconfirm", "postgresql"]),
];

fn install(say: &impl Fn(&str)) -> Result<(PathBuf, u32)> {
    let none = |hint: String| {
        let what = format!("no PostgreSQL {VERSION_MIN} or later is installed on this machine");
        Error::fatal("demo-no-postgres", what).hint(hint)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exists = |program: &str| std::env::split_paths(&path).any(|at| at.join(program).is_file());
    let Some((program, arguments)) = MANAGERS.iter().find(|(program, _)| exists(program)) else {
        return Err(none("install PostgreSQL, then run penstock demo again".into()));
    };
    let line = format!("{program} {}", arguments.join(" "));
    if !is_root() {
        return Err(none(format!("run: sudo {line}")));
    }
    say(&format!("no PostgreSQL is installed; running: {line}"));
    let run = |arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())
            .and_then(|output| if output.status.success() { Ok(()) } else { Err(said(&output)) })
    };
    // A fresh container has no package lists.
    let lists = |first: String| match *program {
        "apt-get" => run(&["-q", "update"]).and_then(|()| run(arguments)),
        _ => Err(first),
    };
    let done = run(arguments).or_else(lists);
    let why = match done {
        Ok(()) => "no server came with it".to_owned(),
        Err(text) => text,
    };
    find().ok_or_else(|| none(format!("`{line}` did not help ({why}); install it by hand")))
}

fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and returns an integer.
    unsafe { libc::geteuid() == 0 }
}

/// PostgreSQL refuses to run as root: its own user if there is one, else nobody.
fn other_user() -> Result<Other> {
    if !is_root() {
        return Ok(None);
    }
    let found = ["postgres", "nobody"].iter().find_map(|name| user(name));
    match found {
        Some(other) => Ok(Some(other)),
        None => Err(failed("its user", "there is neither a user postgres nor nobody")),
    }
}

/// User and group id of a name.
fn user(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    // SAFETY: `name` ends in a zero byte; the result is null or points to a record that stays
    // until the next call, which only this thread makes before the two numbers are copied.
    unsafe {
        let record = libc::getpwnam(name.as_ptr());
        if record.is_null() { None } else { Some(((*record).pw_uid, (*record).pw_gid)) }
    }
}

/// A new folder, private to the server's user. What demos that were killed left is removed.
fn folder(other: Other) -> Result<PathBuf> {
    let wanted = std::env::temp_dir();
    let parent =
        if wanted.as_os_str().len() > FOLDER_BYTES_MAX { PathBuf::from("/tmp") } else { wanted };
    remove_leftovers(&parent);
    let folder = parent.join(format!("penstock-demo-{}", std::process::id()));
    let make = || {
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        match other {
            Some((uid, gid)) => chown(&folder, Some(uid), Some(gid)),
            None => Ok(()),
        }
    };
    make().map_err(|error| failed(&folder.display().to_string(), &error.to_string()))?;
    Ok(folder)
}

/// Folders of demos whose process is gone. Those of other users cannot be removed, and stay.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name.strip_prefix("penstock-demo-").and_then(|pid| pid.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() && entry.path().join("data").is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn failed(what: &str, why: &str) -> Error {
    Error::fatal("demo-failed", format!("the demo's PostgreSQL failed ({what}): {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        // Goal: the major version in the forms that distributions print. Method: a table.
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres: command not found"), None);
    }

    #[test]
    fn a_server_lives_and_goes() {
        // Goal: the server answers in its private folder, an error of a script is told, and nothing
        // is left. Method: a real server.
        let server = Server::start(|_| {}).expect("a server");
        let folder = server.folder().to_owned();
        let mode = fs::metadata(&folder).expect("its folder").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        server.sql("postgres", "create table t (i int); insert into t values (1);").expect("right");
        let error = server.sql("postgres", "insert into no_such_table values (1)");
        let error = error.expect_err("no such table").to_string();
        assert!(error.contains("relation \"no_such_table\" does not exist"), "{error}");
        let pid = server.child.as_ref().map(Child::id).expect("it runs");
        drop(server);
        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
