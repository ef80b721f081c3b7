//! Reads what the file sink wrote, and replays it into the rows that a consumer would hold.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// One line of a topic's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub topic: String,
    pub key: Value,
    pub value: Value,
}

impl Record {
    pub fn op(&self) -> &str {
        self.value["op"].as_str().unwrap_or("")
    }

    pub fn after(&self) -> &Value {
        &self.value["after"]
    }

    pub fn snapshot(&self) -> &str {
        self.value["source"]["snapshot"].as_str().unwrap_or("")
    }
}

/// All whole lines of a topic, rotated files first, in order. A last line without its end is left
/// out.
pub fn read(out: &Path, topic: &str) -> Vec<Record> {
    let mut files: Vec<_> = std::fs::read_dir(out)
        .map(|dir| dir.filter_map(|e| e.ok().map(|e| e.path())).collect())
        .unwrap_or_default();
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let rotated = |p: &Path| {
        let middle =
            name(p)?.strip_prefix(&format!("{topic}."))?.strip_suffix(".jsonl")?.to_owned();
        (middle.len() == 6).then_some(())?;
        middle.parse::<u32>().ok()
    };
    files.retain(|p| rotated(p).is_some());
    files.sort_by_key(|p| rotated(p));
    files.push(out.join(format!("{topic}.jsonl")));
    let mut records = vec![];
    for file in files {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
            let value: Value = serde_json::from_slice(line).unwrap_or_else(|e| {
                panic!("{}: {e}: {}", file.display(), String::from_utf8_lossy(line))
            });
            records.push(Record {
                topic: value["topic"].as_str().expect("a topic").to_owned(),
                key: value["key"].clone(),
                value: value["value"].clone(),
            });
        }
    }
    records
}

/// The rows that a consumer holds after these records: key text → after.
pub fn replay(records: &[Record]) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for record in records {
        let key = record.key.to_string();
        match record.op() {
            "c" | "u" | "r" => drop(rows.insert(key, record.after().clone())),
            "d" => drop(rows.remove(&key)),
            "t" => rows.clear(),
            _ => {}
        }
    }
    rows
}
