//! PostgreSQL: captured bytes to exact envelopes.
//!
//! Enters: `postgres/pgNN.capture`, what servers 15 and 18 sent for `tables.sql` and `changes.sql`
//! (made by `capture.py`), and 18 with PostGIS and pgvector. Leaves: every record of the stream and
//! of a snapshot, equal to `postgres/pgNN.jsonl` byte for byte; `oracle.py` checks that file against
//! the text of SELECT.
//! `GOLDEN_WRITE=1` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::postgres::pgoutput::{self, Message, Relation};
use penstock_protocol::schema::{SourceKind, TableSchema};
use penstock_shards::batch::{Batch, EventRef, KeyChange, Span};
use penstock_shards::encode::JsonEncoder;
use penstock_shards::encode::options::{
    BinaryHandling, Connector, ConvertingFailure, DecimalHandling, EncodeOptions, HstoreHandling,
    IntervalHandling, TimePrecision,
};
use penstock_shards::encode::{EncodeError, Encoded, Resume, RowEncoder};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

use crate::capture::Capture;

/// Processing time of every record.
const NOW_US: i64 = 1_795_555_555_123_456;
/// Position of the snapshots.
const SNAPSHOT_LSN: u64 = 0x0100_0000;

fn folder() -> PathBuf {
    crate::folder().join("postgres")
}

/// Plays a capture into an encoder.
struct Player {
    capture: Capture,
    encoder: JsonEncoder,
    /// Relation oid and name by `TableId`.
    tables: Vec<(u32, String)>,
    batch: Batch,
    lines: String,
    /// Changes a table's schema before the encoder gets it.
    adjust: fn(&mut TableSchema),
}

impl Player {
    fn new(name: &str, options: EncodeOptions) -> Self {
        Self {
            capture: Capture::read(name),
            encoder: JsonEncoder::new(options, SourceKind::Postgres),
            tables: Vec::new(),
            batch: Batch::default(),
            lines: String::new(),
            adjust: |_| (),
        }
    }

    fn row(
        &mut self,
        kind: FrameKind,
        table: TableId,
        position: u64,
        body: &[u8],
        txn: &Arc<TxnHead>,
    ) -> Result<(), EncodeError> {
        // The frame stands inside a segment: bytes before and behind it are no part of it.
        let mut bytes = b"before".to_vec();
        bytes.extend(body);
        bytes.extend(b"tn behind");
        let len = bytes.len();
        let segment = Segment::freeze(bytes, len, None);
        let marker = match kind {
            FrameKind::SnapshotRow => SnapshotMarker::True,
            _ => SnapshotMarker::Streaming,
        };
        let len = u32::try_from(body.len()).expect("short");
        let head = FrameHead { kind, marker, format: 0, table, offset: 6, len, position };
        let frame = Frame { head, txn: 0 };
        let mut resume = Resume::default();
        self.batch.clear();
        let batch = &mut self.batch;
        let encoded = self.encoder.encode(&segment, &frame, txn, NOW_US, &mut resume, batch)?;
        assert_eq!(encoded, Encoded::Done);
        for i in 0..self.batch.events.len() {
            let event = self.batch.events[i];
            self.line(&event);
        }
        Ok(())
    }

    fn line(&mut self, event: &EventRef) {
        let text = |span: Span| std::str::from_utf8(self.batch.bytes(span)).expect("UTF-8");
        let or_null = |span: Option<Span>| span.map_or("null", text);
        let topic = &self.encoder.topics()[event.topic as usize];
        let (key, value) = (or_null(event.key), or_null(event.value));
        let headers = match event.key_change {
            KeyChange::No => String::new(),
            KeyChange::NewKey(key) => format!(",\"headers\":{{\"newkey\":{}}}", text(key)),
            KeyChange::OldKey(key) => format!(",\"headers\":{{\"oldkey\":{}}}", text(key)),
        };
        let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
        let value = value.replacen(&version, "\"version\":\"V\"", 1);
        writeln!(self.lines, "{{\"topic\":\"{topic}\",\"key\":{key}{headers},\"value\":{value}}}")
            .expect("a String takes all");
    }

    /// The stream; errors of rows become lines, so that they are golden too.
    fn stream(&mut self) {
        let messages = std::mem::take(&mut self.capture.messages);
        let (mut last_commit_lsn, mut seq) = (0, 0);
        let mut txn = None;
        for (lsn, message) in &messages {
            let parsed = pgoutput::parse(message).expect("a message of the server");
            let (kind, head) = match parsed {
                Message::Begin(begin) => {
                    seq += 1;
                    let origin =
                        TxnOrigin::Wal { xid: begin.xid, last_commit_lsn, replicated: None };
                    let (seq, commit_us) = (Seq(seq), begin.commit_us);
                    let head = TxnHead { seq, commit_us, origin, id: None };
                    txn = Some(Arc::new(head));
                    continue;
                }
                Message::Commit(commit) => {
                    debug_assert!(commit.end_lsn == *lsn);
                    last_commit_lsn = *lsn;
                    continue;
                }
                Message::Relation(relation) => {
                    self.relation(&relation);
                    continue;
                }
                Message::Truncate(truncate) => {
                    let txn = txn.clone().expect("a transaction");
                    for oid in truncate.relations {
                        let table = self.table(oid);
                        self.row(FrameKind::Truncate, table, *lsn, b"", &txn).expect("no row");
                    }
                    continue;
                }
                Message::Insert(head) => (FrameKind::Insert, head),
                Message::Update(head) => (FrameKind::Update, head),
                Message::Delete(head) => (FrameKind::Delete, head),
                _ => continue,
            };
            let (table, txn) = (self.table(head.relation), txn.clone().expect("a transaction"));
            if let Err(error) = self.row(kind, table, *lsn, &message[head.body..], &txn) {
                writeln!(self.lines, "{}", error.reason).expect("a String takes all");
            }
        }
        self.capture.messages = messages;
    }

    fn relation(&mut self, relation: &Relation) {
        let known = self.tables.iter().position(|(oid, _)| *oid == relation.oid);
        let index = known.unwrap_or_else(|| {
            self.tables.push((relation.oid, relation.name.into()));
            self.tables.len() - 1
        });
        let mut schema = self.capture.schema(relation, TableId(index as u32), 1);
        (self.adjust)(&mut schema);
        self.encoder.handle_schema(Arc::new(schema));
    }

    fn table(&self, oid: u32) -> TableId {
        let index = self.tables.iter().position(|(known, _)| *known == oid);
        TableId(index.expect("a Relation message came first") as u32)
    }

    /// The snapshot; tables as the stream's Relation messages had them.
    fn snapshot(&mut self) {
        let origin = TxnOrigin::WalSnapshot { xid: 7, lsn: SNAPSHOT_LSN, last_commit_lsn: 0 };
        let txn = Arc::new(TxnHead { seq: Seq(1 << 32), commit_us: NOW_US - 1, origin, id: None });
        let rows = std::mem::take(&mut self.capture.rows);
        for (name, row) in &rows {
            let index = self.tables.iter().position(|(_, known)| known == name);
            let table = TableId(index.expect("a streamed table") as u32);
            self.row(FrameKind::SnapshotRow, table, 0, row, &txn).expect("a row of the server");
        }
        self.capture.rows = rows;
    }
}

fn options() -> EncodeOptions {
    let mut options = EncodeOptions::new("golden", Connector::Postgres);
    options.skipped_operations.clear();
    options
}

/// Compares with the file, or writes it.
fn golden(name: &str, lines: &str) {
    let path = folder().join(name);
    if std::env::var_os("GOLDEN_WRITE").is_some() {
        std::fs::write(&path, lines).expect("writable");
        return;
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file");
    for (i, (line, wanted)) in lines.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(line, wanted, "{name}, line {}", i + 1);
    }
    assert_eq!(lines.lines().count(), wanted.lines().count(), "{name}: records");
}

fn plays(name: &str) {
    let mut player = Player::new(name, options());
    player.stream();
    player.snapshot();
    golden(&format!("{name}.jsonl"), &player.lines);
}

#[test]
fn postgres_15_gives_these_records() {
    // Goal: exact envelopes for version 15. Method: captured bytes, a golden file.
    plays("pg15");
}

#[test]
fn postgres_18_gives_these_records() {
    // Goal: exact envelopes for version 18. Method: captured bytes, a golden file.
    plays("pg18");
}

#[test]
fn postgis_and_pgvector_give_these_records() {
    // Goal: exact envelopes of the extensions' types. Method: bytes captured from PostGIS 3.7 and
    // pgvector 0.8.7 on 18, a golden file.
    plays("pg18-extensions");
}

#[test]
fn options_change_these_values() {
    // Goal: the other forms of numbers, times and binary data. Method: all types under each mode;
    // only the after-images are kept.
    type Change = fn(&mut EncodeOptions);
    let modes: [(&str, Change); 6] = [
        ("iso", |o| {
            o.time_precision = Some(TimePrecision::IsoString);
            o.decimal = DecimalHandling::String;
            o.binary = BinaryHandling::Hex;
        }),
        ("micro", |o| {
            o.time_precision = Some(TimePrecision::Microseconds);
            o.decimal = DecimalHandling::Double;
            o.binary = BinaryHandling::Base64UrlSafe;
        }),
        ("connect", |o| o.time_precision = Some(TimePrecision::Connect)),
        ("nulls", |o| o.replace_null_with_default = false),
        ("unknown", |o| {
            o.include_unknown_datatypes = true;
            o.interval = IntervalHandling::String;
            o.hstore = HstoreHandling::Map;
            o.money_fraction_digits = 4;
            o.unavailable_value_placeholder = "hex:00FF".into();
        }),
        ("hex", |o| {
            o.include_unknown_datatypes = true;
            o.binary = BinaryHandling::Hex;
            o.decimal = DecimalHandling::String;
        }),
    ];
    let mut lines = String::new();
    for (name, change) in modes {
        let mut options = options();
        change(&mut options);
        let mut player = Player::new("pg18", options);
        player.stream();
        // Options of the rarer types change nothing in the other tables.
        let rare = [".rare_types\"", ".arrays\"", ".toasted\""];
        let shown = |line: &str| match name {
            "unknown" | "hex" => rare.iter().any(|table| line.contains(table)),
            _ => line.contains("\"op\":\"c\""),
        };
        for line in player.lines.lines().filter(|line| shown(line)) {
            let after = line.find("\"after\":").expect("an after-image");
            let end = line.find(",\"source\"").expect("a source block");
            writeln!(lines, "{name} {}", &line[after..end]).expect("a String takes all");
        }
    }
    golden("modes.txt", &lines);
}

#[test]
fn nanoseconds_refuse_what_they_cannot_tell() {
    // Goal: a timestamp outside 1677 to 2262 fails to convert under nanoseconds: null by default,
    // Definite by option. Method: 4713 BC.
    let mut options = options();
    options.time_precision = Some(TimePrecision::Nanoseconds);
    let play = |options| {
        let mut player = Player::new("pg18", options);
        player.stream();
        (player.lines, player.encoder.take_note())
    };
    let refused = "column \"ts\" holds a timestamp outside 1677 to 2262, beyond nanoseconds";
    let (lines, note) = play(options.clone());
    assert!(note.is_some_and(|note| note.contains("the field is null")));
    assert!(!lines.contains(refused));
    assert!(
        lines.contains("\"after\":{\"id\":2,") && lines.contains("\"ts\":null,\"ts3\":-1000000,")
    );
    options.converting_failure = ConvertingFailure::Skip;
    assert_eq!(play(options.clone()), (lines, None));
    options.converting_failure = ConvertingFailure::Fail;
    assert!(play(options).0.lines().any(|line| line == refused));
}

#[test]
fn a_key_outside_the_value_is_still_the_key() {
    // Goal: column filters never touch the key. Method: keyed without `id` in its value must have
    // the keys, headers and order of the whole table's records.
    let keys = |adjust: fn(&mut TableSchema)| {
        let mut player = Player::new("pg18", options());
        player.adjust = adjust;
        player.stream();
        player.snapshot();
        let heads = player.lines.lines().map(|line| {
            let end = line.find(",\"value\":").expect("a record");
            line[..end].to_string()
        });
        (
            heads
                .filter(|head| head.contains("keyed") || head.contains("whole"))
                .collect::<Vec<_>>(),
            player.lines,
        )
    };
    let (all, _) = keys(|_| ());
    let (filtered, lines) = keys(|schema| {
        for column in &mut schema.columns {
            column.included &= column.name != "id" || schema.name.table == "all_types";
        }
    });
    assert_eq!(all, filtered);
    let without = lines.lines().filter(|line| line.contains("golden.public.whole"));
    assert!(without.clone().count() > 5);
    for line in without {
        assert!(!line.contains("{\"id\":1,\"n\"") && !line.contains("{\"id\":2,\"n\""), "{line}");
    }
}
