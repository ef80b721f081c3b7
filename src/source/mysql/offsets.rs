//! Positions as users and Debezium write them.
//!
//! Enters: Debezium's stored offset of a MySQL or MariaDB connector. Leaves: a `Position`, with
//! notes on what it means here. Keeps: a place inside a transaction becomes its start: rows that
//! Debezium delivered before it may come once more, none is missed.

use penstock_protocol::mysql::gtid::{GtidList, GtidSet};
use penstock_protocol::position::{BinlogPosition, Position};
use penstock_protocol::schema::SourceKind;
use serde_json::Value;

use super::place::Place;
use crate::error::{Error, Result};
use crate::store::History;

pub use super::place::describe;

/// An offset taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// Where we begin.
    pub position: Position,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Reads Debezium's offset value: `{ts_sec, file, pos, gtids, server_id, row, event, snapshot}`.
///
/// # Errors
/// Usage, with code `my-debezium-offset`: not such a value, or one of an unfinished snapshot.
pub fn from_debezium(value: &Value, kind: SourceKind) -> Result<TakenOver> {
    let bad = |what: &str| {
        Error::usage("my-debezium-offset", format!("the offset cannot be taken over: {what}"))
            .hint("give the value that Debezium stored, {\"file\":…,\"pos\":…,\"gtids\":…}")
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    let in_snapshot = match value.get("snapshot") {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(word)) => !matches!(word.as_str(), "" | "false"),
        _ => false,
    };
    if in_snapshot {
        return Err(bad("its snapshot was not finished, so there is nothing to go on from"));
    }
    let (file, pos) = (text("file"), number("pos"));
    if file.is_empty() || pos < 4 {
        return Err(bad("it has no binlog file and position"));
    }
    let gtids = match text("gtids") {
        "" => None,
        text if kind == SourceKind::MariaDb => {
            Some(GtidList::parse(text).map_err(|e| bad(&e.to_string()))?.to_string())
        }
        text => Some(GtidSet::parse(text).map_err(|e| bad(&e.to_string()))?.to_string()),
    };
    let mut notes = Vec::new();
    let (row, event) = (number("row"), number("event"));
    if row > 0 || event > 0 {
        notes.push(format!(
            "the offset lies inside a transaction (event {event}, row {row}); we begin at its \
             start, so up to that many of its rows come once more"
        ));
    }
    if gtids.is_none() {
        notes.push("the offset has no GTIDs: file and position hold for that one server".into());
    }
    let position = BinlogPosition { server_uuid: String::new(), file: file.into(), pos, gtids };
    let position = match kind {
        SourceKind::MariaDb => Position::MariaDb(position),
        _ => Position::MySql(position),
    };
    Ok(TakenOver { position, notes })
}

/// The version of the schema history that holds at `target`; 0: it cannot tell. `known`: how far the
/// history was kept.
///
/// # Errors
/// What reading the history gives.
pub fn schema_version(
    history: &History,
    target: &Position,
    known: Option<&Position>,
) -> Result<u64> {
    let kind = match target {
        Position::MariaDb(_) => SourceKind::MariaDb,
        _ => SourceKind::MySql,
    };
    let place = |position: &Position| Place::from_position(position, kind).ok();
    let (Some(target), Some(known)) = (place(target), known.and_then(place)) else { return Ok(0) };
    if !known.reached(&target) {
        // Statements between the two were never seen.
        return Ok(0);
    }
    let (mut version, mut beyond) = (0, false);
    history.for_each(|record| {
        let at = serde_json::from_value(record.position).ok();
        beyond = beyond || !at.as_ref().and_then(place).is_some_and(|at| target.reached(&at));
        if !beyond {
            version = record.version;
        }
    })?;
    Ok(if version < history.base() { 0 } else { version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn debezium_offsets() {
        // Goal: each form is taken over or refused with its reason. Method: values that Connect
        // stores.
        let value = json!({"ts_sec": 1, "file": "b.000003", "pos": 2301, "row": 1, "event": 2,
            "server_id": 5, "gtids": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-13"});
        let taken = from_debezium(&value, SourceKind::MySql).unwrap();
        let Position::MySql(position) = taken.position else { panic!() };
        assert_eq!((position.file.as_str(), position.pos), ("b.000003", 2301));
        assert_eq!(position.gtids.unwrap(), "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-13");
        assert_eq!(taken.notes.len(), 1);
        let plain = json!({"file": "b.3", "pos": 4, "snapshot": "false"});
        assert!(from_debezium(&plain, SourceKind::MariaDb).is_ok());
        for refused in [
            json!({"file": "b.3", "pos": 4, "snapshot": true}),
            json!({"file": "b.3", "pos": 4, "snapshot": "INITIAL"}),
            json!({"file": "b.3"}),
            json!({"file": "b.3", "pos": 4, "gtids": "nonsense"}),
            json!([]),
        ] {
            assert_eq!(
                from_debezium(&refused, SourceKind::MySql).unwrap_err().code,
                "my-debezium-offset"
            );
        }
    }
}
