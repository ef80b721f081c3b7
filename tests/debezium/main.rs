//! The product beside a running Debezium: one server, one workload, every record field by field.
//!
//! Each test starts a server, Debezium's engine (`Engine.java`) and the product, once for each set
//! of options (`runs.rs`); both take their snapshot, then read what `workload/` does. Differences
//! that stay are in `deviations.toml`, with reasons. `tests/debezium/run` makes all runs; without
//! it the representative ones are made.

mod compare;
mod deviations;
mod json;
mod runs;
#[path = "../live/server.rs"]
#[allow(dead_code)]
mod server;
mod sides;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use compare::{Difference, Phase, compare};
use deviations::Deviations;
use runs::{On, Run};
use server::{Family, Server};
use sides::{Debezium, Product, Topics};

/// Pipelines of one round on one server: Debezium's snapshots run side by side.
const ROUND: usize = 12;

#[test]
fn mysql97() {
    // Goal: equal records. Method: both on MySQL 9.7.
    beside_debezium(Family::MySql97);
}

#[test]
fn mariadb118() {
    // Goal: equal records. Method: both on MariaDB 11.8.
    beside_debezium(Family::MariaDb118);
}

#[test]
fn postgres18() {
    // Goal: equal records. Method: both on PostgreSQL 18.
    beside_debezium(Family::Postgres18);
}

/// All runs (`DEBEZIUM_RUNS=all`), those named (`DEBEZIUM_RUNS=plain,connect`), or the
/// representative ones.
fn chosen(family: Family) -> Vec<Run> {
    let wanted = std::env::var("DEBEZIUM_RUNS").unwrap_or_default();
    let names: Vec<&str> = wanted.split(',').collect();
    let on = |run: &Run| match run.on {
        On::All => true,
        On::Binlog => !family.is_postgres(),
        On::Postgres => family.is_postgres(),
    };
    let is_chosen = |run: &Run| match wanted.as_str() {
        "" => run.representative,
        "all" => true,
        _ => names.contains(&run.name),
    };
    runs::all().into_iter().filter(|run| on(run) && is_chosen(run)).collect()
}

fn beside_debezium(family: Family) {
    let deviations = Deviations::load();
    let mut report = Report::new(format!("{family:?}").to_lowercase());
    for round in chosen(family).chunks(ROUND) {
        one_round(family, round, &deviations, &mut report);
    }
    if std::env::var("DEBEZIUM_RUNS").is_ok_and(|runs| runs == "all") {
        let stale = deviations.stale(&report.server);
        report.failures.extend(stale.iter().map(|s| format!("no longer a deviation: {s}\n")));
    }
    report.print(&deviations);
    assert!(report.failures.is_empty(), "{} differences are not kept ones", report.failures.len());
}

/// One server, one workload, some runs.
fn one_round(family: Family, runs: &[Run], deviations: &Deviations, report: &mut Report) {
    let options: &[&str] = match family {
        Family::Postgres18 => &["-c", "max_replication_slots=60", "-c", "max_wal_senders=60"],
        Family::MySql97 => &["--binlog-rows-query-log-events=ON"],
        _ => &[],
    };
    let server = Server::start_with(family, options, &[]);
    server.grant_cdc();
    server.sql(&workload(family, &["tables", "values", "before"]));
    let dir = keep_or_temporary(&server);
    let mut serves = vec![];
    for run in runs {
        match Product::refuses(&server, run, &dir.join("ours")) {
            None => serves.push(run.clone()),
            Some(why) => report.refused.push(format!("{}: {why}", run.name)),
        }
    }
    if serves.is_empty() {
        return;
    }
    let theirs = Debezium::start(&server, &serves, &dir.join("theirs"));
    let ours = Product::start(&serves, &dir.join("ours"));
    let end = "insert into caught_up values (1, 1); update caught_up set n = 2;
        delete from caught_up;";
    server.sql(&(workload(family, &["values", "work"]) + end));
    let (ours, stopped) = ours.finish(&serves);
    report.stopped.extend(stopped);
    let theirs = theirs.finish(&serves);
    for ((run, ours), theirs) in serves.iter().zip(&ours).zip(&theirs) {
        report.add(run.name, ours, theirs, deviations);
    }
}

/// The SQL of these parts: the family's, then the server's own.
fn workload(family: Family, parts: &[&str]) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debezium/workload");
    let own = format!("{family:?}").to_lowercase();
    let of = if family.is_postgres() { "postgres" } else { "mysql" };
    let read = |part: &&str| {
        let own = std::fs::read_to_string(dir.join(format!("{own}.{part}.sql")));
        let shared = std::fs::read_to_string(dir.join(format!("{of}.{part}.sql")));
        shared.expect("a workload's file") + &own.unwrap_or_default()
    };
    parts.iter().map(read).collect()
}

/// `DEBEZIUM_KEEP`: a folder where both sides' records stay.
fn keep_or_temporary(server: &Server) -> PathBuf {
    match std::env::var("DEBEZIUM_KEEP") {
        Ok(dir) => {
            let dir = Path::new(&dir).join(format!("{:?}", server.family).to_lowercase());
            drop(std::fs::remove_dir_all(&dir));
            dir
        }
        Err(_) => server.dir().join("compared"),
    }
}

/// The table of a topic without its prefix; the rest of another kind of topic.
fn table_of(topic: &str) -> &str {
    let inner = |schema: &&str| topic.strip_prefix(*schema)?.strip_prefix(['.', '_']);
    ["test", "public", "other"].iter().find_map(inner).unwrap_or(topic)
}

/// What came out.
struct Report {
    server: String,
    /// Runs and how many records they compared.
    compared: Vec<(String, usize)>,
    refused: Vec<String>,
    stopped: BTreeSet<String>,
    failures: Vec<String>,
}

impl Report {
    fn new(server: String) -> Self {
        Self {
            server,
            compared: vec![],
            refused: vec![],
            stopped: BTreeSet::new(),
            failures: vec![],
        }
    }

    /// Compares one run's topics.
    fn add(&mut self, run: &str, ours: &Topics, theirs: &Topics, deviations: &Deviations) {
        let topics: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let mut groups: BTreeMap<(String, String, bool), Vec<Difference>> = BTreeMap::new();
        let mut records = 0;
        for topic in topics.into_iter().filter(|topic| !topic.ends_with("caught_up")) {
            let of = |side: &Topics| side.get(topic).cloned().unwrap_or_default();
            let (mut ours, mut theirs) = (of(ours), of(theirs));
            if topic.starts_with("__debezium-heartbeat") {
                // how many there are is a matter of time
                ours.truncate(1);
                theirs.truncate(1);
            }
            records += ours.len();
            let table = table_of(topic);
            for difference in compare(&ours, &theirs) {
                if !deviations.keep(&self.server, run, table, &difference) {
                    let logged = difference.phase == Phase::Log;
                    let group = (topic.clone(), difference.path.clone(), logged);
                    groups.entry(group).or_default().push(difference);
                }
            }
        }
        self.compared.push((run.to_owned(), records));
        for ((topic, path, logged), list) in groups {
            let phase = if logged { "log" } else { "snapshot" };
            let mut text = format!("{run}: {topic} {path} ({phase}, {} times)\n", list.len());
            for d in list.iter().take(3) {
                let cut = |v: &Option<String>| v.as_deref().unwrap_or("absent").to_owned();
                let (ours, theirs) = (cut(&d.ours), cut(&d.theirs));
                text += &format!("    key {}\n      ours   {ours}\n      theirs {theirs}\n", d.key);
            }
            self.failures.push(text);
        }
    }

    fn print(&self, deviations: &Deviations) {
        println!("== {} beside Debezium", self.server);
        for (run, records) in &self.compared {
            println!("{run}: {records} records");
        }
        for refused in &self.refused {
            println!("refused: {refused}");
        }
        for stopped in &self.stopped {
            println!("stopped: {stopped}");
        }
        for (reason, times) in deviations.seen() {
            println!("kept {times} times: {reason}");
        }
        for failure in &self.failures {
            print!("DIFFERENT {failure}");
        }
    }
}
