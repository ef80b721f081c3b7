//! Records as lines: `{"topic":…,"key":…,"value":…}`, and `"headers"` if asked for.
//!
//! Enters: a sealed batch and one of its events. Leaves: one line, `\n` included, appended to a
//! buffer. Keeps: key and value are copied as they are encoded, byte for byte; the topic is
//! escaped once, when it is first seen, not per record.

use std::sync::Arc;

use penstock_shards::batch::{Batch, EventRef, KeyChange, SealedBatch};
use penstock_shards::encode::options::Connector;

/// The headers that Debezium puts on every data record (`extended.headers.enabled`, on by
/// default): who made it and in which run. Rendered once; by default none.
#[derive(Clone, Debug, Default)]
pub struct ContextHeaders {
    rendered: String,
}

impl ContextHeaders {
    /// `logical_name`: the topic prefix; `run_id`: a UUID per run.
    pub fn new(logical_name: &str, connector: Connector, run_id: &str) -> Self {
        let connector = match connector {
            Connector::MySql => "mysql",
            Connector::MariaDb => "mariadb",
            Connector::Postgres => "postgresql",
        };
        let rendered = [
            ("connectorLogicalName", logical_name),
            ("taskId", "0"),
            ("connectorName", connector),
            ("runId", run_id),
        ]
        .map(|(name, value)| format!("\"__debezium.context.{name}\":{}", quoted(value)))
        .join(",");
        Self { rendered }
    }
}

/// The constant beginning of every line of one topic.
#[derive(Clone, Debug)]
pub struct TopicHead {
    topic: Arc<str>,
    rendered: Box<str>,
}

impl TopicHead {
    /// Escapes the topic.
    pub fn new(topic: Arc<str>) -> Self {
        let rendered = format!("{{\"topic\":{},\"key\":", quoted(&topic)).into();
        Self { topic, rendered }
    }

    /// The topic as it was given.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }
}

/// The heads of the topics of each shard's encoder, made when a topic is first seen.
#[derive(Default)]
pub struct TopicHeads {
    shards: Vec<Vec<TopicHead>>,
}

impl TopicHeads {
    /// Head of topic `index` of the batch (`EventRef::topic`). An encoder's list of topics grows
    /// and never reorders (`RowEncoder::topics`), so an index stands for one topic.
    pub fn get(&mut self, batch: &SealedBatch, index: u32) -> &TopicHead {
        let (shard, index) = (usize::from(batch.shard.0), index as usize);
        if self.shards.len() <= shard {
            self.shards.resize_with(shard + 1, Vec::new);
        }
        let heads = &mut self.shards[shard];
        if heads.len() <= index {
            let new = &batch.topics[heads.len()..];
            heads.extend(new.iter().map(|topic| TopicHead::new(Arc::clone(topic))));
        }
        let head = &heads[index];
        debug_assert_eq!(head.topic, batch.topics[index], "topics were reordered");
        head
    }
}

/// Appends the event's line. `head` must be that of the event's topic.
pub fn append(
    out: &mut Vec<u8>,
    head: &TopicHead,
    batch: &Batch,
    event: &EventRef,
    headers: Option<&ContextHeaders>,
) {
    out.extend_from_slice(head.rendered.as_bytes());
    match event.key {
        Some(span) => out.extend_from_slice(batch.bytes(span)),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"value\":");
    match event.value {
        Some(span) => out.extend_from_slice(batch.bytes(span)),
        None => out.extend_from_slice(b"null"),
    }
    match headers {
        Some(headers) if event.has_context_headers() => {
            append_headers(out, batch, event.key_change, headers);
        }
        Some(_) => out.extend_from_slice(b",\"headers\":{}"),
        None => {}
    }
    out.extend_from_slice(b"}\n");
}

/// The key-change header comes first, as in Debezium, and the tombstone of a delete carries the
/// same headers as the delete.
fn append_headers(
    out: &mut Vec<u8>,
    batch: &Batch,
    key_change: KeyChange,
    headers: &ContextHeaders,
) {
    out.extend_from_slice(b",\"headers\":{");
    let other_key = match key_change {
        KeyChange::No => None,
        KeyChange::NewKey(span) => Some(("\"__debezium.newkey\":", span)),
        KeyChange::OldKey(span) => Some(("\"__debezium.oldkey\":", span)),
    };
    if let Some((name, span)) = other_key {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(batch.bytes(span));
        if !headers.rendered.is_empty() {
            out.push(b',');
        }
    }
    out.extend_from_slice(headers.rendered.as_bytes());
    out.push(b'}');
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use penstock_shards::annex::AnnexKind;
    use penstock_shards::batch::Op;

    use super::*;
    use crate::sink::testing::{BatchMaker, Row};

    fn line(row: Row, headers: Option<&ContextHeaders>) -> String {
        let batch = BatchMaker::new(0).batch(&[row]);
        let event = batch.body.events[0];
        let head = TopicHead::new(batch.topics[event.topic as usize].clone());
        let mut out = Vec::new();
        append(&mut out, &head, &batch.body, &event, headers);
        String::from_utf8(out).unwrap()
    }

    /// Goal: the line of FACE.md, byte for byte, for a row, a table without key and a tombstone.
    /// Method: one event each, exact text.
    #[test]
    fn lines_are_as_documented() {
        let row = Row::new("shop.public.users", 1, r#"{"id":1}"#, r#"{"op":"c"}"#);
        let keyed = r#"{"topic":"shop.public.users","key":{"id":1},"value":{"op":"c"}}"#;
        assert_eq!(line(row.clone(), None), format!("{keyed}\n"));
        let keyless = r#"{"topic":"shop.public.users","key":null,"value":{"op":"c"}}"#;
        assert_eq!(line(row.clone().without_key(), None), format!("{keyless}\n"));
        let tombstone = r#"{"topic":"shop.public.users","key":{"id":1},"value":null}"#;
        assert_eq!(line(row.tombstone(), None), format!("{tombstone}\n"));
    }

    /// Goal: the headers are Debezium's, the key change first. Method: exact text of one event
    /// with each kind of key change.
    #[test]
    fn headers_follow_the_key_change() {
        let context = ContextHeaders::new("shop", Connector::Postgres, "R");
        let rest = "\"__debezium.context.connectorLogicalName\":\"shop\",\
                    \"__debezium.context.taskId\":\"0\",\
                    \"__debezium.context.connectorName\":\"postgresql\",\
                    \"__debezium.context.runId\":\"R\"";
        let row = Row::new("t", 1, r#"{"id":1}"#, "{}");
        let start = r#"{"topic":"t","key":{"id":1},"value":{},"headers":{"#;
        assert_eq!(line(row.clone(), Some(&context)), format!("{start}{rest}}}}}\n"));
        let new = r#""__debezium.newkey":{"id":2},"#;
        let moved = row.clone().new_key(r#"{"id":2}"#);
        assert_eq!(line(moved, Some(&context)), format!("{start}{new}{rest}}}}}\n"));
        let old = r#""__debezium.oldkey":{"id":3},"#;
        let moved = row.old_key(r#"{"id":3}"#);
        assert_eq!(line(moved, Some(&context)), format!("{start}{old}{rest}}}}}\n"));
    }

    /// Goal: `extended_headers_enabled = false` leaves the header of a key change alone, and records
    /// beside rows have none. Method: exact text.
    #[test]
    fn headers_without_the_context() {
        let none = ContextHeaders::default();
        let row = Row::new("t", 1, r#"{"id":1}"#, "{}");
        let start = r#"{"topic":"t","key":{"id":1},"value":{},"headers":{"#;
        assert_eq!(line(row.clone(), Some(&none)), format!("{start}}}}}\n"));
        let moved = row.new_key(r#"{"id":2}"#);
        let new = r#""__debezium.newkey":{"id":2}"#;
        assert_eq!(line(moved, Some(&none)), format!("{start}{new}}}}}\n"));
        let mut maker = BatchMaker::new(0);
        let batch = maker.batch(&[Row::new("t", 1, "1", "2")]);
        let head = TopicHead::new(batch.topics[0].clone());
        let context = ContextHeaders::new("shop", Connector::Postgres, "R");
        for (kind, headers) in [(AnnexKind::Heartbeat, false), (AnnexKind::SchemaChange, true)] {
            let (op, table) = (Op::Annex, kind.table());
            let event = EventRef { op, table, ..batch.body.events[0] };
            let mut out = Vec::new();
            append(&mut out, &head, &batch.body, &event, Some(&context));
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("runId"), headers, "{text}");
            assert_eq!(text.contains(r#","headers":{}}"#), !headers, "{text}");
        }
    }

    /// Goal: a hostile topic cannot break the line. Method: quotes, a backslash and a control
    /// character in the topic; the line still parses and gives the topic back.
    #[test]
    fn hostile_topics_are_escaped() {
        let topic = "a\"b\\c\u{1}\n";
        let text = line(Row::new(topic, 1, "1", "2"), None);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["topic"], topic);
        assert_eq!(text.matches('\n').count(), 1);
    }
}
