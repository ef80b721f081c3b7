//! Two sequences of records of one topic, field by field.
//!
//! Enters: the records of both. Leaves: differences, each with its place. Keeps: a difference is
//! only overlooked where `ROLES` names the field, and then by its role: both must have it.

use crate::json::Json;

/// A record: a line of either side.
#[derive(Clone, Debug)]
pub struct Record(pub Json);

/// When a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Snapshot,
    Log,
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Difference {
    pub phase: Phase,
    /// `value.after.id`, `key`, `headers.…`; `record` for one that only one side has.
    pub path: String,
    /// None: there is no such field or record.
    pub ours: Option<String>,
    pub theirs: Option<String>,
    /// For the reader: the record's key.
    pub key: String,
}

/// Fields that differ between any two runs, be they of the same program: clocks and names of the
/// run, and where a snapshot stood (each has its own slot, view and second).
const ROLES: &[(&str, Option<Phase>)] = &[
    ("value.ts_ms", None),
    ("value.ts_us", None),
    ("value.ts_ns", None),
    ("value.source.version", None),
    ("headers.__debezium.context.taskId", None),
    ("headers.__debezium.context.runId", None),
    ("value.source.ts_ms", Some(Phase::Snapshot)),
    ("value.source.ts_us", Some(Phase::Snapshot)),
    ("value.source.ts_ns", Some(Phase::Snapshot)),
    ("value.source.sequence", Some(Phase::Snapshot)),
    ("value.source.txId", Some(Phase::Snapshot)),
    ("value.source.lsn", Some(Phase::Snapshot)),
];

impl Record {
    pub fn parse(line: &str) -> Self {
        Self(Json::parse(line).unwrap_or_else(|e| panic!("{e}")))
    }

    pub fn topic(&self) -> &str {
        self.0.get("topic").and_then(Json::text).expect("a topic")
    }

    fn phase(&self) -> Phase {
        match self.0.at(&["value", "source", "snapshot"]).and_then(Json::text) {
            None | Some("false") => Phase::Log,
            Some(_) => Phase::Snapshot,
        }
    }

    fn text(&self, path: &[&str]) -> String {
        self.0.at(path).map_or_else(String::new, Json::to_string)
    }

    /// What makes two records the same one, if one side has more of them than the other.
    fn identity(&self) -> String {
        let place = match self.0.at(&["value", "source", "pos"]) {
            Some(_) => [self.text(&["value", "source", "row"]), String::new()],
            None => [self.text(&["value", "source", "lsn"]), self.text(&["value", "message"])],
        };
        let place = if self.phase() == Phase::Log { place.concat() } else { String::new() };
        [self.text(&["key"]), self.text(&["value", "op"]), place].join("|")
    }
}

/// All differences of one topic.
pub fn compare(ours: &[Record], theirs: &[Record]) -> Vec<Difference> {
    let mut found = vec![];
    for (our, their) in align(ours, theirs) {
        match (our, their) {
            (Some(our), Some(their)) => {
                let place = Place { phase: their.phase(), key: their.text(&["key"]) };
                walk(&place, "", &our.0, &their.0, &mut found);
            }
            (our, their) => {
                let one = our.or(their).expect("one of them");
                found.push(Difference {
                    phase: one.phase(),
                    path: "record".into(),
                    ours: our.map(|r| r.0.to_string()),
                    theirs: their.map(|r| r.0.to_string()),
                    key: one.text(&["key"]),
                });
            }
        }
    }
    found
}

/// Pairs in order; where the counts differ, by the longest common subsequence of identities.
fn align<'r>(
    ours: &'r [Record],
    theirs: &'r [Record],
) -> Vec<(Option<&'r Record>, Option<&'r Record>)> {
    if ours.len() == theirs.len() {
        return ours.iter().map(Some).zip(theirs.iter().map(Some)).collect();
    }
    let a: Vec<String> = ours.iter().map(Record::identity).collect();
    let b: Vec<String> = theirs.iter().map(Record::identity).collect();
    // common[i][j]: of a[i..] and b[j..]
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = match a[i] == b[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, vec![]);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            pairs.push((Some(&ours[i]), Some(&theirs[j])));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            pairs.push((Some(&ours[i]), None));
            i += 1;
        } else {
            pairs.push((None, Some(&theirs[j])));
            j += 1;
        }
    }
    pairs
}

struct Place {
    phase: Phase,
    key: String,
}

fn walk(place: &Place, path: &str, ours: &Json, theirs: &Json, found: &mut Vec<Difference>) {
    let of_role = |(name, phase): &(&str, Option<Phase>)| {
        *name == path && phase.is_none_or(|phase| phase == place.phase)
    };
    if ours == theirs || ROLES.iter().any(of_role) {
        return;
    }
    let mut differ = |path: String, ours: Option<&Json>, theirs: Option<&Json>| {
        let text = |value: Option<&Json>| value.map(Json::to_string);
        found.push(Difference {
            phase: place.phase,
            path,
            ours: text(ours),
            theirs: text(theirs),
            key: place.key.clone(),
        });
    };
    let (Json::Object(a), Json::Object(b)) = (ours, theirs) else {
        return differ(path.to_owned(), Some(ours), Some(theirs));
    };
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    for (name, value) in a.iter().filter(|(name, _)| theirs.get(name).is_none()) {
        differ(below(name), Some(value), None);
    }
    for (name, value) in b.iter().filter(|(name, _)| ours.get(name).is_none()) {
        differ(below(name), None, Some(value));
    }
    let order = |fields: &[(String, Json)], other: &Json| -> Vec<String> {
        let shared = fields.iter().filter(|(name, _)| other.get(name).is_some());
        shared.map(|(name, _)| name.clone()).collect()
    };
    let (our_order, their_order) = (order(a, theirs), order(b, ours));
    if our_order != their_order {
        let text = |names: &[String]| Some(Json::Scalar(names.join(" ")));
        let (a, b) = (text(&our_order), text(&their_order));
        differ(below("{order}"), a.as_ref(), b.as_ref());
    }
    for (name, value) in a {
        if let Some(other) = theirs.get(name) {
            walk(place, &below(name), value, other, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(lines: &[&str]) -> Vec<Record> {
        lines.iter().map(|line| Record::parse(line)).collect()
    }

    fn found(ours: &[&str], theirs: &[&str]) -> Vec<String> {
        let text = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
        let line = |d: &Difference| format!("{} {} {}", d.path, text(&d.ours), text(&d.theirs));
        compare(&records(ours), &records(theirs)).iter().map(line).collect()
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        // Goal: the comparison can fail. Method: pairs of records that differ in one way each.
        let base = r#"{"topic":"t","key":{"id":1},"value":{"after":{"a":1,"b":null},"op":"c"}}"#;
        assert_eq!(found(&[base], &[base]), [""; 0]);
        for (from, to, wanted) in [
            ("\"a\":1", "\"a\":1.0", "value.after.a 1 1.0"),
            ("\"b\":null", "\"c\":null", "value.after.b null -|value.after.c - null"),
            ("\"a\":1,\"b\":null", "\"b\":null,\"a\":1", "value.after.{order} a b b a"),
            ("{\"id\":1}", "null", "key {\"id\":1} null"),
            ("\"op\":\"c\"", "\"op\":\"u\"", "value.op \"c\" \"u\""),
            (",\"op\":\"c\"", "", "value.op \"c\" -"),
        ] {
            assert_eq!(found(&[base], &[&base.replace(from, to)]).join("|"), wanted);
        }
        let other = base.replace("\"id\":1", "\"id\":2");
        assert_eq!(found(&[base], &[&other, base]), [format!("record - {other}")]);
        assert_eq!(found(&[base, &other], &[base]), [format!("record {other} -")]);
    }

    #[test]
    fn clocks_are_compared_by_role() {
        // Goal: a clock may differ, may not be absent. Method: both.
        let with = |ts: &str| format!(r#"{{"topic":"t","value":{{{ts}"op":"c"}}}}"#);
        let (one, two) = (with("\"ts_ms\":1,"), with("\"ts_ms\":2,"));
        assert_eq!(found(&[&one], &[&two]), [""; 0]);
        assert_eq!(found(&[&one], &[&with("")]), ["value.ts_ms 1 -"]);
    }
}
