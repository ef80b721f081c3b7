//! The kept deviations: `deviations.toml`, each with its reason; the README lists the same.

use std::cell::Cell;

use regex::Regex;

use crate::compare::{Difference, Phase};

/// A difference that stays.
pub struct Deviation {
    pub reason: String,
    servers: Option<Vec<String>>,
    runs: Option<Vec<String>>,
    phase: Option<Phase>,
    table: Regex,
    path: Regex,
    ours: Option<Regex>,
    theirs: Option<Regex>,
    /// Debezium's Java or the moment decides whether it is seen.
    sometimes: bool,
    seen: Cell<usize>,
}

/// All of them.
pub struct Deviations(Vec<Deviation>);

impl Deviations {
    pub fn load() -> Self {
        let text = include_str!("deviations.toml");
        let file: toml::Table = text.parse().expect("deviations.toml is TOML");
        let list = file["deviation"].as_array().expect("[[deviation]]");
        Self(list.iter().map(|entry| one(entry.as_table().expect("a table"))).collect())
    }

    /// Whether this difference is kept. `table`: the topic without its prefix.
    pub fn keep(&self, server: &str, run: &str, table: &str, difference: &Difference) -> bool {
        let kept = self.0.iter().find(|d| d.covers(server, run, table, difference));
        if let Some(deviation) = kept {
            deviation.seen.set(deviation.seen.get() + 1);
        }
        kept.is_some()
    }

    /// Those of this server that no difference needed although every run was made: none may stay.
    pub fn stale(&self, server: &str) -> Vec<&str> {
        let of = |d: &&Deviation| d.servers.as_ref().is_none_or(|s| s.iter().any(|s| s == server));
        let unused = |d: &&Deviation| !d.sometimes && d.seen.get() == 0;
        self.0.iter().filter(of).filter(unused).map(|d| d.reason.as_str()).collect()
    }

    /// Reasons and how often each was needed.
    pub fn seen(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|d| (d.reason.as_str(), d.seen.get())).filter(|(_, n)| *n > 0)
    }
}

impl Deviation {
    fn covers(&self, server: &str, run: &str, table: &str, d: &Difference) -> bool {
        let among = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|one| one == name))
        };
        let says = |pattern: &Option<Regex>, text: &Option<String>| {
            pattern.as_ref().is_none_or(|p| p.is_match(text.as_deref().unwrap_or("absent")))
        };
        among(&self.servers, server)
            && among(&self.runs, run)
            && self.phase.is_none_or(|phase| phase == d.phase)
            && self.table.is_match(table)
            && self.path.is_match(&d.path)
            && says(&self.ours, &d.ours)
            && says(&self.theirs, &d.theirs)
    }
}

fn one(entry: &toml::Table) -> Deviation {
    let known =
        ["reason", "servers", "runs", "phase", "table", "path", "ours", "theirs", "sometimes"];
    for key in entry.keys() {
        assert!(known.contains(&key.as_str()), "deviations.toml: unknown key {key}");
    }
    let text = |key: &str| entry.get(key).map(|v| v.as_str().expect("a text").to_owned());
    let pattern = |key: &str| {
        let whole = |p: String| Regex::new(&format!("^(?s:{p})$")).expect("a regular expression");
        text(key).map(whole)
    };
    let list = |key: &str| {
        let items = entry.get(key)?.as_array().expect("a list").iter();
        Some(items.map(|v| v.as_str().expect("a text").to_owned()).collect())
    };
    Deviation {
        reason: text("reason").expect("a reason"),
        servers: list("servers"),
        runs: list("runs"),
        phase: text("phase").map(|phase| match phase.as_str() {
            "snapshot" => Phase::Snapshot,
            "log" => Phase::Log,
            other => panic!("deviations.toml: phase {other}"),
        }),
        table: pattern("table").unwrap_or_else(|| Regex::new("").expect("a pattern")),
        path: pattern("path").expect("a path"),
        ours: pattern("ours"),
        theirs: pattern("theirs"),
        sometimes: entry.get("sometimes").is_some_and(|v| v.as_bool().expect("a boolean")),
        seen: Cell::new(0),
    }
}
