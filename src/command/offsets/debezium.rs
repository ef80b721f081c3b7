//! Stored offsets of Debezium, from wherever Kafka Connect keeps them.
//!
//! Enters: bytes: Connect's offset file; records of its offset topic (a value alone, or key and
//! value on a line as `kafka-console-consumer --property print.key=true` prints them); the answer
//! of `GET /connectors/NAME/offsets`. Leaves: the offset of one server, as a position without the
//! source's identity, which only the source itself can tell. What an offset's fields mean is the
//! source's own matter (`source::*::offsets`).

use penstock_protocol::position::Position;
use penstock_protocol::schema::SourceKind;
use serde_json::{Map, Value};

use super::java;
use crate::error::{Error, Result};
use crate::source;

/// An offset of a connector.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// `server` of the partition: the topic prefix; none where only the value was given.
    server: Option<String>,
    /// The offset's fields.
    offset: Map<String, Value>,
}

/// A position taken over, and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    /// Identity fields are empty: to be filled in from the source.
    pub(super) position: Position,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// All offsets that the bytes hold; of several for one server the last counts.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Stored>> {
    if java::is_stream(bytes) {
        let entries = java::byte_map(bytes).map_err(|error| {
            let what = "this is a Java object stream, but no offset file of Kafka Connect";
            Error::usage("state-offset-unreadable", format!("{what}: {error}"))
                .hint("give the file that offset.storage.file.filename names")
        })?;
        let pairs = entries.iter().filter_map(|(key, value)| {
            let (key, value) = (key.as_deref()?, value.as_deref()?);
            pair(key, value)
        });
        return pairs.collect();
    }
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is neither text nor Java"))?;
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return document(value);
    }
    let mut stored = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        stored.extend(record(line)?);
    }
    Ok(stored)
}

/// A whole JSON document: the answer of Connect's REST interface, or one offset.
fn document(value: Value) -> Result<Vec<Stored>> {
    let Value::Object(mut object) = value else {
        return Err(unreadable("the JSON is not an object"));
    };
    let Some(Value::Array(offsets)) = object.remove("offsets") else {
        return Ok(vec![Stored { server: None, offset: object }]);
    };
    let stored = |entry: &Value| {
        let server = entry.get("partition").and_then(|p| p.get("server")).and_then(Value::as_str);
        let offset = entry.get("offset").and_then(Value::as_object)?;
        Some(Stored { server: server.map(str::to_owned), offset: offset.clone() })
    };
    Ok(offsets.iter().filter_map(stored).collect())
}

/// A line of the topic: `KEY<tab>VALUE`, or the value alone.
fn record(line: &str) -> Result<Option<Stored>> {
    let line = line.trim();
    match line.split_once('\t') {
        // A tombstone ends an offset that was deleted.
        Some((_, "null" | "")) => Ok(None),
        Some((key, value)) => pair(key.as_bytes(), value.as_bytes()).transpose(),
        None => match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(offset)) => Ok(Some(Stored { server: None, offset })),
            _ => Err(unreadable("a line is neither an offset nor key, tab and offset")),
        },
    }
}

/// `["connector",{"server":"prefix"}]` and the offset. None: the key is none of Debezium's.
fn pair(key: &[u8], value: &[u8]) -> Option<Result<Stored>> {
    let key: Value = serde_json::from_slice(key).ok()?;
    let server = key.get(1)?.get("server")?.as_str()?.to_owned();
    let offset = serde_json::from_slice::<Map<String, Value>>(value);
    Some(
        offset.map(|offset| Stored { server: Some(server.clone()), offset }).map_err(|_| {
            unreadable(&format!("the offset of server {server:?} is not a JSON object"))
        }),
    )
}

/// Picks the offset of `server` and reads it as one of a source of this kind.
pub(super) fn take(stored: &[Stored], server: &str, kind: SourceKind) -> Result<Taken> {
    let named = |stored: &&Stored| stored.server.as_deref().is_none_or(|name| name == server);
    let Some(found) = stored.iter().rev().find(named) else {
        let mut names: Vec<&str> = stored.iter().filter_map(|s| s.server.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let what = format!("there is no offset of a server called {server:?}");
        let error = Error::usage("state-offset-unreadable", what);
        return Err(match names.is_empty() {
            true => error.hint("there is none at all: is it the right file?"),
            false => error.hint(format!("choose with --server: {}", names.join(", "))),
        });
    };
    let offset = Value::Object(found.offset.clone());
    match kind {
        SourceKind::Postgres => {
            let position = source::postgres::offsets::from_debezium(&offset)?;
            let notes = vec![
                "if the slot is confirmed beyond it, the stream begins where the slot stands"
                    .into(),
            ];
            Ok(Taken { position, notes })
        }
        SourceKind::MySql | SourceKind::MariaDb => {
            let taken = source::mysql::offsets::from_debezium(&offset, kind)?;
            Ok(Taken { position: taken.position, notes: taken.notes })
        }
    }
}

fn unreadable(why: &str) -> Error {
    Error::usage("state-offset-unreadable", format!("no offset of Debezium: {why}")).hint(
        "give Connect's offset file, a record of its offset topic (key, tab, value), \
         or the answer of GET /connectors/NAME/offsets",
    )
}
