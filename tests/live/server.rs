//! Real database servers for tests, by the scripts in `tests/servers`. A server ends with its value.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A script of `tests/servers`. `tests/versions` runs them all, the live tests of CI some.
#[allow(dead_code)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    MySql57,
    MySql80,
    MySql97,
    MariaDb105,
    MariaDb1011,
    MariaDb114,
    MariaDb118,
    Postgres13,
    Postgres14,
    Postgres15,
    Postgres16,
    Postgres17,
    Postgres18,
}

impl Family {
    fn script(self) -> PathBuf {
        let name = format!("{self:?}").to_lowercase();
        // the packages whose tests use this lie at different depths
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let folders = above
            .find_map(|folder| Some(folder.join("tests/servers")).filter(|folder| folder.exists()));
        folders.expect("the repository has tests/servers").join(name)
    }

    pub fn is_postgres(self) -> bool {
        self.kind() == "postgres"
    }

    /// `source.kind` of a configuration.
    pub fn kind(self) -> &'static str {
        match self {
            Self::MySql57 | Self::MySql80 | Self::MySql97 => "mysql",
            Self::MariaDb105 | Self::MariaDb1011 | Self::MariaDb114 | Self::MariaDb118 => "mariadb",
            _ => "postgres",
        }
    }
}

/// A running server.
pub struct Server {
    pub family: Family,
    pub port: u16,
    dir: tempfile::TempDir,
    options: Vec<String>,
    env: Vec<(String, String)>,
}

/// Ports below the ephemeral range, spread by process so that two test binaries do not meet.
fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 23_000 + (std::process::id() % 80) as u16 * 100;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    /// Starts a fresh server with the scripts' settings.
    pub fn start(family: Family) -> Self {
        Self::start_with(family, &[], &[])
    }

    /// Starts one with server options (after `--`) and environment for the script.
    pub fn start_with(family: Family, options: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("penstock-live-").tempdir().expect("a folder");
        let server = Self {
            family,
            port: next_port(),
            dir,
            options: options.iter().map(|&o| o.to_owned()).collect(),
            env: env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        };
        server.up();
        server
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.family.script());
        command.arg(verb).arg(self.dir.path()).envs(self.env.iter().cloned());
        command.env("CDC_QUIET", "1");
        command
    }

    fn checked(mut command: Command) {
        let out = command.stdin(Stdio::null()).output().expect("the server script runs");
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{command:?} failed: {text}");
    }

    /// Starts it (again).
    pub fn up(&self) {
        let mut command = self.command("start");
        command.arg(self.port.to_string());
        if !self.options.is_empty() {
            command.arg("--").args(&self.options);
        }
        // The server keeps its parent's output pipe: give it none to hold.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.expect("the server script runs").success(), "{:?}", self.family);
    }

    /// Clean shutdown.
    pub fn down(&self) {
        Self::checked(self.command("stop"));
    }

    /// Folder of the server's data and log.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs SQL as superuser in the database `test`; returns stdout, unaligned, tabs between
    /// columns, no headers.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|e| panic!("SQL failed: {e}\n{}", head(sql)))
    }

    /// The same, with the error text instead of a panic.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        use std::io::Write;
        let mut command = self.command("sql");
        if self.family.is_postgres() {
            command.args(["-d", "test", "-v", "ON_ERROR_STOP=1", "-qAt", "-F", "\t", "-f", "-"]);
        } else {
            command.args(["-N", "-B", "--default-character-set=utf8mb4", "test"]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let mut stdin = child.stdin.take().expect("piped");
        let sql = sql.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(sql.as_bytes())));
        let out = child.wait_with_output().expect("the client ends");
        drop(writer.join());
        if out.status.success() {
            Ok(String::from_utf8(out.stdout).expect("UTF-8 from the client"))
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }

    /// Runs SQL, whatever fails in it (MySQL, MariaDB).
    pub fn sql_force(&self, sql: &str) {
        use std::io::Write;
        let mut command = self.command("sql");
        command.args(["-N", "-B", "--force", "--default-character-set=utf8mb4", "test"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the client starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(sql.as_bytes()).expect("the client reads");
        drop(stdin);
        child.wait().expect("the client ends");
    }

    /// What a pipeline that makes its own publication needs (PostgreSQL); nothing elsewhere.
    pub fn grant_cdc(&self) {
        if self.family.is_postgres() {
            self.sql("grant create on database test to cdc; grant postgres to cdc;");
        }
    }

    /// A client's interactive session, for transactions that stay open.
    pub fn session(&self) -> Session {
        let mut command = self.command("sql");
        if self.family.is_postgres() {
            command.args(["-d", "test", "-v", "ON_ERROR_STOP=1", "-qAt"]);
        } else {
            command.args(["-N", "-B", "-n", "--default-character-set=utf8mb4", "test"]);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Session::new(child.expect("the client starts"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.command("crash").stdin(Stdio::null()).output());
    }
}

/// An open client session: statements run one after another in one connection.
pub struct Session {
    child: std::process::Child,
    out: std::io::BufReader<std::process::ChildStdout>,
    asked: u32,
}

impl Session {
    fn new(mut child: std::process::Child) -> Self {
        let out = std::io::BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out, asked: 0 }
    }

    /// Runs statements and waits until the server has answered them all.
    pub fn run(&mut self, sql: &str) {
        use std::io::{BufRead, Write};
        self.asked += 1;
        let mark = format!("done-{}", self.asked);
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{sql}\nselect '{mark}';").and_then(|()| stdin.flush()).expect("session");
        let mut line = String::new();
        while self.out.read_line(&mut line).expect("session output") > 0 {
            if line.trim_end() == mark {
                return;
            }
            line.clear();
        }
        panic!("the session ended in: {}", head(sql));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn head(sql: &str) -> &str {
    sql.get(..sql.len().min(400)).unwrap_or("")
}
