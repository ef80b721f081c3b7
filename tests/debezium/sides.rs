//! The two sides: Debezium's engine in a Java process, the product's binary; each with one
//! configuration a run, all on one server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::compare::Record;
use crate::runs::Run;
use crate::server::{Family, Server};

/// Longest wait for either side.
const LIMIT: Duration = Duration::from_secs(240);

/// Waits for a condition.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "no {what} within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Records by topic, the prefix taken off.
pub type Topics = BTreeMap<String, Vec<Record>>;

fn sort(lines: &str, prefix: &str, topics: &mut Topics) {
    for line in lines.lines() {
        let record = Record::parse(line);
        let topic = record.topic();
        // data topics begin with the prefix, heartbeats end with it
        let bare = topic.strip_prefix(prefix).map(|rest| rest.trim_start_matches(['.', '_']));
        let bare = bare.unwrap_or(topic).trim_end_matches(prefix).to_owned();
        topics.entry(bare).or_default().push(record);
    }
}

/// Ends the child if a test fails before its end.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The last operation on the table `caught_up` that a run lets through.
fn last_op(run: &Run) -> &'static str {
    match run.theirs.iter().any(|&(key, ops)| key == "skipped.operations" && ops.contains('d')) {
        true => "u",
        false => "d",
    }
}

// ------------------------------------------------------------------------------ Debezium

/// Debezium, streaming.
pub struct Debezium {
    child: Reaped,
    dir: PathBuf,
}

impl Debezium {
    /// Starts an engine a run; returns when all have ended their snapshots.
    pub fn start(server: &Server, runs: &[Run], dir: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debezium");
        let set = server.family.kind();
        let out = Command::new(root.join("install")).arg(set).stderr(Stdio::inherit()).output();
        let out = out.expect("tests/debezium/install runs");
        assert!(out.status.success(), "Debezium is not here: tests/debezium/install says why");
        let cache = String::from_utf8(out.stdout).expect("a path").trim().to_owned();
        if server.family.is_postgres() {
            // its own way to make one for some tables fails if operations are skipped
            server.sql("create publication debezium for all tables");
        }
        std::fs::create_dir_all(dir).expect("a folder");
        for (i, run) in runs.iter().enumerate() {
            let text = properties(server, run, i, dir);
            std::fs::write(dir.join(format!("{}.properties", run.name)), text).expect("written");
        }
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let child = Command::new("java")
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Duser.timezone=UTC"])
            .args(["-cp", &format!("{cache}/classes:{cache}/jars/*"), "Engine"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("java starts");
        let mut child = Reaped(child);
        let mut first = String::new();
        let mut out = BufReader::new(child.0.stdout.take().expect("piped"));
        out.read_line(&mut first).expect("a line of Engine");
        child.0.stdout = Some(out.into_inner());
        let this = Self { child, dir: dir.to_owned() };
        assert_eq!(first, "ready\n", "{}", this.log());
        this
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Waits for the end of every engine; what each has emitted.
    pub fn finish(mut self, runs: &[Run]) -> Vec<Topics> {
        let mut said = String::new();
        until("end of Debezium", || self.child.0.try_wait().expect("a child").is_some());
        let out = self.child.0.stdout.take();
        out.map(|mut out| out.read_to_string(&mut said));
        assert!(self.child.0.wait().expect("ended").success(), "{said}\n{}", self.log());
        let read = |run: &Run| {
            let lines = std::fs::read_to_string(self.dir.join(format!("{}.jsonl", run.name)));
            let mut topics = Topics::new();
            sort(&lines.expect("Engine's records"), run.name, &mut topics);
            topics
        };
        runs.iter().map(read).collect()
    }
}

fn properties(server: &Server, run: &Run, index: usize, dir: &Path) -> String {
    let path = |kind: &str| dir.join(format!("{}.{kind}", run.name)).display().to_string();
    let class = match server.family.kind() {
        "mysql" => "mysql.MySqlConnector",
        "mariadb" => "mariadb.MariaDbConnector",
        _ => "postgresql.PostgresConnector",
    };
    // a role that may do everything: Debezium only warns that it lacks REPLICATION of its own
    let user = if server.family.is_postgres() { "app" } else { "cdc" };
    let mut list: Vec<(&str, String)> = vec![
        ("name", run.name.into()),
        ("topic.prefix", run.name.into()),
        ("connector.class", format!("io.debezium.connector.{class}")),
        ("database.hostname", "127.0.0.1".into()),
        ("database.port", server.port.to_string()),
        ("database.user", user.into()),
        ("database.password", user.into()),
        ("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore".into()),
        ("offset.storage.file.filename", path("offsets")),
        ("key.converter.schemas.enable", "false".into()),
        ("value.converter.schemas.enable", "false".into()),
        ("header.converter.schemas.enable", "false".into()),
        ("poll.interval.ms", "50".into()),
        ("errors.max.retries", "0".into()),
        ("last.op", last_op(run).into()),
    ];
    let schema = if server.family.is_postgres() {
        list.push(("plugin.name", "pgoutput".into()));
        list.push(("database.dbname", "test".into()));
        list.push(("slot.name", format!("debezium_{}", run.name)));
        list.push(("publication.name", "debezium".into()));
        list.push(("publication.autocreate.mode", "disabled".into()));
        "public"
    } else {
        list.push(("database.server.id", (900_000 + index).to_string()));
        list.push(("database.include.list", "test".into()));
        let history = "io.debezium.storage.file.history.FileSchemaHistory";
        list.push(("schema.history.internal", history.into()));
        list.push(("schema.history.internal.file.filename", path("history")));
        "test"
    };
    let without: Vec<_> = run.without.iter().map(|t| format!("{schema}\\\\.{t}")).collect();
    if !without.is_empty() {
        list.push(("table.exclude.list", without.join(",")));
    }
    list.extend(run.theirs.iter().map(|&(key, value)| (key, value.into())));
    list.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

// ------------------------------------------------------------------------------ the product

/// The product, streaming.
pub struct Product {
    child: Reaped,
    dir: PathBuf,
}

fn penstock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn config(dir: &Path, run: &Run) -> PathBuf {
    dir.join(format!("{}.toml", run.name))
}

impl Product {
    /// Writes each run's configuration; why it is refused, if it is.
    pub fn refuses(server: &Server, run: &Run, dir: &Path) -> Option<String> {
        std::fs::create_dir_all(dir).expect("a folder");
        std::fs::write(config(dir, run), toml(server, run, dir)).expect("written");
        let out = penstock().arg("topology").arg(config(dir, run)).output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr).lines().next().unwrap_or("").to_owned();
        (!out.status.success()).then_some(said)
    }

    /// Starts a pipeline a run; returns when all have ended their snapshots.
    pub fn start(runs: &[Run], dir: &Path) -> Self {
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let mut command = penstock();
        command.arg("run").args(runs.iter().map(|run| config(dir, run))).stderr(log);
        let child = Reaped(command.spawn().expect("it starts"));
        let mut this = Self { child, dir: dir.to_owned() };
        until("snapshot of ours", || {
            this.assert_alive();
            this.log().matches("streaming from ").count() == runs.len()
        });
        this
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn assert_alive(&mut self) {
        let ended = self.child.0.try_wait().expect("a child");
        assert!(ended.is_none(), "{}", self.log());
    }

    /// Waits until each pipeline has told the workload's end, then stops them.
    pub fn finish(mut self, runs: &[Run]) -> (Vec<Topics>, Vec<String>) {
        for run in runs {
            let op = format!("\"op\":\"{}\"", last_op(run));
            until("end of ours", || {
                self.assert_alive();
                self.files(run)
                    .iter()
                    .any(|(name, text)| name.ends_with("caught_up.jsonl") && text.contains(&op))
            });
        }
        let pid = i32::try_from(self.child.0.id()).expect("a pid");
        // SAFETY: sends a signal to our own child, which has not been waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        until("stop of ours", || self.child.0.try_wait().expect("a child").is_some());
        let read = |run: &Run| {
            let mut topics = Topics::new();
            self.files(run).iter().for_each(|(_, text)| sort(text, run.name, &mut topics));
            topics
        };
        let log = self.log();
        let why = |line: &str| Some(line.split_once("goes on ")?.1.to_owned());
        let stopped = log.lines().filter_map(why).map(|why| without_position(&why));
        (runs.iter().map(read).collect(), stopped.collect())
    }

    /// Names and texts of a run's files.
    fn files(&self, run: &Run) -> Vec<(String, String)> {
        let Ok(list) = std::fs::read_dir(self.dir.join(run.name)) else { return vec![] };
        let mut paths: Vec<_> = list.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "jsonl"));
        paths.sort();
        let text = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            (path.display().to_string(), text[..whole].to_owned())
        };
        paths.into_iter().map(text).collect()
    }
}

/// `table=… position=… reason=…` without the position, which differs by pipeline.
fn without_position(why: &str) -> String {
    why.split(' ').filter(|word| !word.starts_with("position=")).collect::<Vec<_>>().join(" ")
}

fn toml(server: &Server, run: &Run, dir: &Path) -> String {
    let mut sections = BTreeMap::from([
        (
            "source",
            vec![
                ("kind".to_owned(), format!("{:?}", server.family.kind())),
                ("host".into(), "\"127.0.0.1\"".into()),
                ("port".into(), server.port.to_string()),
                ("user".into(), "\"cdc\"".into()),
                ("password".into(), "\"cdc\"".into()),
                ("on_table_error".into(), "\"stop_table\"".into()),
            ],
        ),
        (
            "sink",
            vec![
                ("kind".into(), "\"file\"".into()),
                ("path".into(), format!("{:?}", dir.join(run.name))),
                ("headers".into(), "true".into()),
            ],
        ),
        ("state", vec![("path".into(), format!("{:?}", dir.join(format!("{}.state", run.name))))]),
    ]);
    let mut put = |section, key: &str, value: String| {
        sections.entry(section).or_default().push((key.to_owned(), value));
    };
    let schema = match server.family {
        Family::Postgres15 | Family::Postgres18 => {
            put("source", "database", "\"test\"".into());
            "public"
        }
        _ => {
            put("source", "tables", "['test\\..*']".into());
            "test"
        }
    };
    let without: Vec<_> = run.without.iter().map(|t| format!("'{schema}\\.{t}'")).collect();
    if !without.is_empty() {
        put("source", "exclude_tables", format!("[{}]", without.join(", ")));
    }
    for &(section, key, value) in run.ours {
        put(section, key, value.into());
    }
    if run.ours.is_empty() {
        for (key, value) in run.theirs {
            let plain = value.parse::<i64>().is_ok() || ["true", "false"].contains(value);
            let value = if plain { (*value).into() } else { format!("{value:?}") };
            put("source", &key.replace('.', "_"), value);
        }
    }
    let mut text = format!("name = {:?}\n", run.name);
    for (section, keys) in sections {
        text += &format!("[{section}]\n");
        keys.iter().for_each(|(key, value)| text += &format!("{key} = {value}\n"));
    }
    text
}
