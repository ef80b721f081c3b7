//! What `penstock offsets` needs to know about PostgreSQL.
//!
//! Enters: positions, Debezium's stored offsets, a source's configuration. Leaves: words, a
//! position, a dropped slot. Keeps: an offset that was stored in the middle of a snapshot is
//! refused, for it says nothing about what is delivered.

use penstock_protocol::position::{LsnPosition, Position};
use penstock_protocol::postgres::replication::lsn_text;
use serde_json::Value;

use super::connection::{Connection, Purpose};
use super::slot;
use crate::config;
use crate::error::{Error, Result};

/// The position as a sentence.
pub fn words(position: &LsnPosition) -> String {
    let server = match position.system_id.as_str() {
        "" => "of the server that answers first".to_owned(),
        id => format!("of server {id}, timeline {}", position.timeline),
    };
    format!("everything that commits before LSN {} {server}", lsn_text(position.lsn))
}

/// Reads an offset as Debezium's PostgreSQL connector stores it: `lsn`, `lsn_proc`, `lsn_commit`,
/// `txId`, `ts_usec`, `snapshot` … (ENVELOPE, section 6). The position is that of the last
/// transaction that was delivered whole; an unfinished one comes again. It carries no identity: the
/// first connect takes the server's own, and the slot's confirmed position if that is later.
pub fn from_debezium(offset: &Value) -> Result<Position> {
    let wrong = |what: &str| {
        Error::usage("pg-offset", format!("this is no PostgreSQL offset of Debezium: {what}"))
    };
    let fields = offset.as_object().ok_or_else(|| wrong("not a JSON object"))?;
    let lsn = |name: &str| -> Result<Option<u64>> {
        match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            // Java's long: a position beyond 2^63 is printed as a negative number.
            Some(value) => match (value.as_u64(), value.as_i64()) {
                (Some(lsn), _) => Ok(Some(lsn)),
                (None, Some(lsn)) => Ok(Some(lsn.cast_unsigned())),
                _ => Err(wrong(&format!("{name} is not a number"))),
            },
        }
    };
    let truthy = |name: &str| match fields.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !matches!(text.to_ascii_lowercase().as_str(), "" | "false"),
        Some(_) => true,
    };
    let in_snapshot = truthy("snapshot");
    let over = truthy("last_snapshot_record") || truthy("snapshot_completed");
    if in_snapshot && !over {
        return Err(Error::usage("pg-offset", "the offset was stored in the middle of a snapshot")
            .hint("let Debezium end its snapshot first, or run without this offset"));
    }
    let (commit, processed, last) = (lsn("lsn_commit")?, lsn("lsn_proc")?, lsn("lsn")?);
    let position = commit.or(processed).or(last).ok_or_else(|| wrong("it has no lsn"))?;
    Ok(Position::Postgres(LsnPosition {
        system_id: String::new(),
        timeline: 0,
        lsn: position,
        last_commit_lsn: commit.unwrap_or(0),
    }))
}

/// Drops the pipeline's slot on the server. False: there is none. Runs on a core.
pub async fn drop_slot(source: &config::Source, name: &str) -> Result<bool> {
    let mut catalogue = Connection::open(source, Purpose::Catalogue, name).await?;
    let dropped = slot::drop_slot(&mut catalogue, &source.slot).await?;
    catalogue.close().await;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lsn(offset: &Value) -> std::result::Result<(u64, u64), &'static str> {
        match from_debezium(offset) {
            Ok(Position::Postgres(position)) => Ok((position.lsn, position.last_commit_lsn)),
            Ok(_) => Err("other kind"),
            Err(error) => Err(error.code),
        }
    }

    #[test]
    fn debezium_offsets_are_taken_over() {
        // Goal: the position of the last whole transaction. Method: offsets as the connector
        // stores them while streaming, after a snapshot, and in the middle of one.
        let streaming = json!({"lsn_proc": 36_000_200, "messageType": "INSERT", "lsn_commit":
            36_000_100, "lsn": 36_000_200, "txId": 745, "ts_usec": 1_700_000_000_000_000_i64});
        assert_eq!(lsn(&streaming), Ok((36_000_100, 36_000_100)));
        let snapshot = json!({"last_snapshot_record": true, "lsn": 36_000_000, "txId": 740,
            "ts_usec": 1, "snapshot": true});
        assert_eq!(lsn(&snapshot), Ok((36_000_000, 0)));
        let initial =
            json!({"last_snapshot_record": false, "lsn": 36_000_000, "snapshot": "INITIAL"});
        assert_eq!(lsn(&initial), Err("pg-offset"));
        for bad in [json!([]), json!({}), json!({"lsn": "x"}), json!({"lsn": 1.5})] {
            assert_eq!(lsn(&bad), Err("pg-offset"), "{bad}");
        }
    }

    #[test]
    fn positions_in_words() {
        // Goal: the sentence that `offsets show` prints.
        let position = LsnPosition {
            system_id: "7".into(),
            timeline: 2,
            lsn: 0x1_0000_00A0,
            last_commit_lsn: 0,
        };
        assert_eq!(
            words(&position),
            "everything that commits before LSN 1/A0 of server 7, timeline 2"
        );
    }
}
