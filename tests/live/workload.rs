//! A writer that knows what it committed, and the proof that all of it arrived.
//!
//! One table `load(id, v, note)`. Every change of a key raises its `v`, over deletes too, so the
//! sequence of a key's events is known exactly: loss, repetition and reordering each break it.

use std::collections::BTreeMap;

use crate::records::Record;
use crate::server::{Family, Server};

/// One expected event of a key: op letter and, but for deletes, the `v` after it.
pub type Event = (char, Option<u64>);

/// Deterministic xorshift; the seed is in the test.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// The writer's knowledge.
pub struct Workload {
    rng: Rng,
    table: String,
    keys: u64,
    /// Key → (alive, v).
    rows: BTreeMap<u64, (bool, u64)>,
    /// Key → all events committed since `Workload::mark`.
    pub events: BTreeMap<u64, Vec<Event>>,
}

impl Workload {
    /// Makes the table `load` in database `test` and a writer for `keys` keys.
    pub fn new(server: &Server, seed: u64, keys: u64) -> Self {
        Self::on(server, "load_t", seed, keys)
    }

    pub fn on(server: &Server, table: &str, seed: u64, keys: u64) -> Self {
        let text = if server.family.is_postgres() { "text" } else { "varchar(200)" };
        server.sql(&format!(
            "create table {table} (id bigint primary key, v bigint not null, note {text});"
        ));
        Self {
            rng: Rng::new(seed),
            table: table.into(),
            keys,
            rows: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// SQL of one transaction; what it will have committed is noted as committed.
    pub fn transaction(&mut self) -> String {
        let mut sql = String::from("begin;\n");
        let rolled_back = self.rng.below(10) == 0;
        let (rows, events) = (self.rows.clone(), self.events.clone());
        for _ in 0..1 + self.rng.below(6) {
            let key = self.rng.below(self.keys);
            let note = "x".repeat(usize::try_from(self.rng.below(80)).expect("small"));
            let row = self.rows.entry(key).or_default();
            row.1 += 1;
            let (table, v) = (&self.table, row.1);
            let event = if !row.0 {
                row.0 = true;
                sql += &format!("insert into {table} values ({key}, {v}, '{note}');\n");
                ('c', Some(v))
            } else if self.rng.below(5) == 0 {
                row.0 = false;
                sql += &format!("delete from {table} where id = {key};\n");
                ('d', None)
            } else {
                sql += &format!("update {table} set v = {v}, note = '{note}' where id = {key};\n");
                ('u', Some(v))
            };
            self.events.entry(key).or_default().push(event);
        }
        if rolled_back {
            (self.rows, self.events) = (rows, events);
            return sql + "rollback;\n";
        }
        sql + "commit;\n"
    }

    /// Rows alive now: key → v.
    pub fn alive(&self) -> BTreeMap<u64, u64> {
        self.rows.iter().filter(|(_, row)| row.0).map(|(&k, row)| (k, row.1)).collect()
    }

    /// Fails unless the records hold every event of every key, in order; with `exactly_once` none
    /// twice, else a replay may step back and repeat. `r` rows stand for the events before them.
    pub fn verify(&self, records: &[Record], exactly_once: bool) {
        let mut got: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
        for record in records {
            let Some(op) = record.op().chars().next() else { continue };
            let key = record.key["id"].as_u64().expect("a key");
            got.entry(key).or_default().push((op, record.after()["v"].as_u64()));
        }
        let keys: Vec<u64> = got.keys().chain(self.events.keys()).copied().collect();
        for key in keys {
            let want = self.events.get(&key).map_or(&[][..], |e| &e[..]);
            let seen = got.get(&key).map_or(&[][..], |e| &e[..]);
            check_key(key, want, seen, exactly_once);
        }
    }
}

/// `at` is how many of the wanted events are covered so far. A first snapshot covers what came
/// before it: by an `r` row, or, for a key that was dead then, by nothing at all.
fn check_key(key: u64, want: &[Event], seen: &[Event], exactly_once: bool) {
    let mut at = 0;
    let mut covered = 0;
    for (n, event) in seen.iter().enumerate() {
        let place = if event.0 == 'r' {
            want.iter().position(|w| w.1 == event.1)
        } else if n == 0 && event.0 == 'c' {
            let born = want.iter().position(|w| w == event);
            born.filter(|&p| p == 0 || want[p - 1].0 == 'd')
        } else if want.get(at) == Some(event) {
            Some(at)
        } else if exactly_once {
            None
        } else {
            // a replay: the latest earlier place of the same event
            want[..at].iter().rposition(|w| w == event)
        };
        let place = place.unwrap_or_else(|| {
            panic!("key {key}: event {n} is {event:?}, expected {:?}; all {seen:?}", want.get(at))
        });
        if event.0 == 'r' && exactly_once {
            assert_eq!(n, 0, "key {key}: a snapshot row after other events");
        }
        at = place + 1;
        covered = covered.max(at);
    }
    if seen.is_empty() && want.last().is_none_or(|w| w.0 == 'd') {
        return;
    }
    assert_eq!(covered, want.len(), "key {key}: lost {:?}; seen {seen:?}", &want[covered..]);
    assert_eq!(at, want.len(), "key {key}: the last event is stale");
}

/// The topic of a table in `test` (`public` on PostgreSQL).
pub fn topic(name: &str, family: Family, table: &str) -> String {
    let space = if family.is_postgres() { "public" } else { "test" };
    format!("{name}.{space}.{table}")
}

/// `tables` entry for a table in `test`.
pub fn captured(family: Family, table: &str) -> String {
    let space = if family.is_postgres() { "public" } else { "test" };
    format!("{space}.{table}")
}
