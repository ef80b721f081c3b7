//! Transaction metadata through router and shards: numbers, BEGIN and END, whatever the shards
//! (HAZARDS M1).

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::position::PositionDelta;
use penstock_protocol::schema::{Charset, Column, ColumnType, SourceKind, TableName, TableSchema};
use penstock_shards::annex::{Annex, Message};
use penstock_shards::bucket::BucketMap;
use penstock_shards::bugs::Bugs;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{EventCounter, JsonEncoder};
use penstock_shards::hop::{AckOutcome, ShardInput, SinkAck, TxnOrigin};
use penstock_shards::limits::Limits;
use penstock_shards::router::{GroupId, Router, RouterOutput};
use penstock_shards::segment::Segment;
use penstock_shards::seq::{Epoch, Seq, ShardId, SinkId};
use penstock_shards::shard::{OnTableError, Shard, ShardConfig, SinkDecl};
use penstock_shards::spill::MemorySpill;
use serde_json::Value;

use crate::binlog::{CATALOGUE, Input, NOW_US, frames};
use crate::mysql::read;

/// How groups go through the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Streaming,
    Held,
    Spilled,
}

/// A record as a consumer reads it.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    topic: String,
    seq: u64,
    value: Value,
}

/// A router with metadata and its shards.
struct Rig {
    router: Router,
    shards: Vec<Shard<JsonEncoder>>,
    way: Way,
    records: Vec<Record>,
}

impl Rig {
    fn new(shards: u16, way: Way, options: &EncodeOptions, kind: SourceKind) -> Self {
        let group_bytes = if way == Way::Spilled { 1 } else { 1 << 20 };
        // Small batches and pieces: frames are cut where their numbers must go on.
        let limits = Limits {
            group_bytes,
            spill_piece_bytes: 512,
            batch_events: 3,
            frames_per_batch: 4,
            ..Limits::default()
        };
        let map = BucketMap::round_robin(shards);
        let spill = Box::new(MemorySpill::default());
        let mut router = Router::with_limits(map, spill, limits, Bugs::NONE);
        router.provide_transaction_metadata(EventCounter::new(options, kind));
        let shard = |id| {
            let sink = SinkDecl { sink: SinkId(0), encoding: 0, lanes: 2 };
            let config = ShardConfig {
                id: ShardId(id),
                epoch: Epoch(1),
                sinks: vec![sink],
                on_table_error: OnTableError::Fail,
                stopped: Vec::new(),
                limits,
            };
            Shard::new(config, vec![JsonEncoder::new(options.clone(), kind)], Seq(0))
        };
        Self { router, shards: (0..shards).map(shard).collect(), way, records: Vec::new() }
    }

    fn begin(&mut self, origin: TxnOrigin, commit_us: i64, id: GroupId) {
        let hold = self.way != Way::Streaming;
        self.router.begin(origin, commit_us, hold, id).expect("a group");
    }

    /// Everything that the router has, encoded.
    fn drain(&mut self) {
        self.router.flush().expect("a flush");
        while let Some(output) = self.router.poll().expect("an output") {
            let RouterOutput::ToShard(id, input) = output else { continue };
            if let ShardInput::Frames(batch) = &input {
                assert_eq!(batch.orders.len(), batch.frames.len(), "numbers for every frame");
            }
            let shard = &mut self.shards[usize::from(id.0)];
            shard.handle_input(input);
            while !shard.can_accept() || !shard.is_idle() {
                shard.poll_encode(NOW_US).expect("rows that decode");
                shard.seal_now();
                while let Some(delivery) = shard.poll_delivery(0) {
                    let batch = &delivery.batch;
                    for event in &batch.body.events {
                        let topic = batch.topics[event.topic as usize].to_string();
                        let text = event.value.map_or(&b"null"[..], |span| batch.bytes(span));
                        let value = serde_json::from_slice(text).expect("JSON");
                        self.records.push(Record { topic, seq: event.seq.0, value });
                    }
                    let (sink, batch) = (delivery.sink, batch.id);
                    let ack = SinkAck { sink, batch, outcome: AckOutcome::Durable };
                    shard.handle_ack(ack).expect("an ack");
                }
            }
        }
    }

    /// Records of each topic, in order.
    fn by_topic(self) -> BTreeMap<String, Vec<Record>> {
        let mut topics: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in self.records {
            topics.entry(record.topic.clone()).or_default().push(record);
        }
        topics
    }
}

/// A captured binlog, all of it through the rig. An empty transaction stands at its end.
fn binlog(name: &str, shards: u16, way: Way, options: &EncodeOptions) -> Rig {
    let kind = SourceKind::MySql;
    let mut rig = Rig::new(shards, way, options, kind);
    let bytes = read(name);
    let len = bytes.len();
    let segment = Segment::freeze(bytes.clone(), len, None);
    let mut inputs = frames(&bytes, "binlog.000001", &CATALOGUE).into_iter().peekable();
    let delta = |pos| PositionDelta::Binlog { at: Some(("b".into(), pos)), gtids: Vec::new() };
    let mut last = None;
    while let Some(Input { schema, frame, txn }) = inputs.next() {
        if last != Some(txn.seq) {
            rig.router.mark_begin(4, 7_000_000);
            rig.begin(txn.origin.clone(), txn.commit_us, GroupId::Binlog("b".into(), txn.seq.0));
            last = Some(txn.seq);
        }
        if let Some(schema) = schema {
            rig.router.handle_schema(schema);
        }
        rig.router.handle_frame(&segment, frame.head).expect("a frame");
        if inputs.peek().is_none_or(|next| next.txn.seq != txn.seq) {
            rig.router.mark_end(8_000_000);
            rig.router.commit(delta(txn.seq.0)).expect("a commit");
            rig.drain();
        }
    }
    let origin = TxnOrigin::Binlog {
        gtid: None,
        file: "binlog.000001".into(),
        server_id: 1,
        thread: None,
        query: None,
    };
    rig.router.mark_begin(4711, 9_000_000);
    rig.begin(origin, 9_000_000, GroupId::Binlog("b".into(), 9999));
    rig.router.commit(delta(9999)).expect("a commit");
    rig.drain();
    rig
}

/// Checks that numbers are dense and that END tells exactly what was emitted.
fn consistent(topics: &BTreeMap<String, Vec<Record>>) -> usize {
    let mut orders: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut counts: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    let transactions = &topics["shop.transaction"];
    for record in topics.values().flatten().filter(|r| r.topic != "shop.transaction") {
        if record.value.is_null() {
            continue;
        }
        let block = &record.value["transaction"];
        let id = block["id"].as_str().expect("an id").to_owned();
        let source = &record.value["source"];
        let table =
            format!("{}.{}", source["db"].as_str().unwrap(), source["table"].as_str().unwrap());
        orders
            .entry(id.clone())
            .or_default()
            .push(block["total_order"].as_u64().expect("a number"));
        let order = block["data_collection_order"].as_u64().expect("a number");
        counts.entry((id, table)).or_default().push(order);
    }
    let mut ends = 0;
    for pair in transactions.chunks(2) {
        let [begin, end] = pair else { panic!("an odd number of records") };
        assert_eq!((&begin.value["status"], begin.seq), (&Value::from("BEGIN"), end.seq));
        assert_eq!((&end.value["status"], &begin.value["id"]), (&"END".into(), &end.value["id"]));
        assert_eq!(
            begin.value["ts_ms"],
            if begin.value["id"].as_str().unwrap().starts_with("file=") { 9000 } else { 7000 }
        );
        let id = end.value["id"].as_str().expect("an id").to_owned();
        let mut of_id = orders.remove(&id).unwrap_or_default();
        of_id.sort_unstable();
        let total = end.value["event_count"].as_u64().expect("a count");
        assert_eq!(of_id, (1..=total).collect::<Vec<_>>(), "{id}");
        for collection in end.value["data_collections"].as_array().expect("a list") {
            let name = collection["data_collection"].as_str().expect("a name").to_owned();
            let counted = collection["event_count"].as_u64().expect("a count");
            let of_table = counts.remove(&(id.clone(), name)).expect("events of the table");
            assert_eq!(of_table, (1..=counted).collect::<Vec<_>>(), "in the order of the topic");
        }
        ends += 1;
    }
    assert!(orders.is_empty() && counts.is_empty(), "events without an END");
    ends
}

#[test]
fn m01_numbers_are_the_same_over_any_shards_and_ways() {
    // Goal: dense numbers, an END that tells what was emitted (a key change counts as two, what is
    // skipped not at all), the same records for 1 to 4 shards, streamed, held and spilled. Method: a
    // captured binlog through router and shards, all records compared; counts by the records.
    let plain = EncodeOptions::new("shop", Connector::MySql);
    let skipping = EncodeOptions { skipped_operations: b"cd".to_vec(), ..plain.clone() };
    let comparing = EncodeOptions { skip_messages_without_change: true, ..plain.clone() };
    let (two, three, four) = ((2, Way::Streaming), (3, Way::Held), (4, Way::Spilled));
    for (options, ways) in [(plain, &[three, four][..]), (skipping, &[two]), (comparing, &[four])] {
        let wanted = binlog("mysql97.bin", 1, Way::Streaming, &options).by_topic();
        assert!(consistent(&wanted) > 3);
        for &(shards, way) in ways {
            let got = binlog("mysql97.bin", shards, way, &options).by_topic();
            assert_eq!(got, wanted, "{shards} shards, {way:?}");
        }
    }
}

#[test]
fn an_empty_transaction_has_its_two_records() {
    // Goal: BEGIN and END without events, the id of a log without GTIDs. Method: exact values.
    let options = EncodeOptions::new("shop", Connector::MySql);
    let topics = binlog("mysql97.bin", 2, Way::Held, &options).by_topic();
    let [.., begin, end] = &topics["shop.transaction"][..] else { panic!("records") };
    let id = "file=binlog.000001,pos=4711";
    let begun = serde_json::json!({"status": "BEGIN", "id": id, "event_count": null,
        "data_collections": null, "ts_ms": 9000});
    let ended = serde_json::json!({"status": "END", "id": id, "event_count": 0,
        "data_collections": [], "ts_ms": 9000});
    assert_eq!((&begin.value, &end.value), (&begun, &ended));
}

fn pg_schema(table: u32, name: &str) -> Arc<TableSchema> {
    let column = |name: &str, ty| Column {
        name: name.into(),
        ty,
        nullable: false,
        default: None,
        included: true,
    };
    let text = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    let int = ColumnType::Int { bits: 32, unsigned: false };
    Arc::new(TableSchema {
        table: TableId(table),
        version: 1,
        name: TableName { database: "shop".into(), schema: "public".into(), table: name.into() },
        columns: vec![column("id", int), column("t", text)],
        key: vec![0],
        identity: vec![0],
        replica_identity: b'f',
        period: None,
    })
}

/// A TupleData of two text values.
fn tuple(out: &mut Vec<u8>, values: [&str; 2]) {
    out.extend([0, 2]);
    for value in values {
        out.push(b't');
        out.extend((value.len() as u32).to_be_bytes());
        out.extend(value.as_bytes());
    }
}

#[test]
fn m01_postgres_numbers_and_ids() {
    // Goal: PostgreSQL's ids (each record's own position behind the xid), two events of a key change,
    // an update without a change that is left out, a logical message in between, a truncation that is
    // skipped. Method: one transaction by hand over two tables and three shards; exact numbers.
    let options = EncodeOptions {
        skip_messages_without_change: true,
        ..EncodeOptions::new("shop", Connector::Postgres)
    };
    let mut rig = Rig::new(3, Way::Streaming, &options, SourceKind::Postgres);
    rig.router.handle_schema(pg_schema(0, "a"));
    rig.router.handle_schema(pg_schema(1, "b"));
    rig.router.mark_begin(100, 5_000_000);
    let origin = TxnOrigin::Wal { xid: 773, last_commit_lsn: 0, replicated: None };
    rig.begin(origin.clone(), 5_000_000, GroupId::Wal(773, 200));
    let row = |rig: &mut Rig, table, kind, position, body: &[u8]| {
        let segment = Segment::freeze(body.to_vec(), body.len(), None);
        let head = FrameHead {
            kind,
            marker: SnapshotMarker::Streaming,
            format: 0,
            table: TableId(table),
            offset: 0,
            len: body.len() as u32,
            position,
        };
        rig.router.handle_frame(&segment, head).expect("a frame");
    };
    let insert = |id| {
        let mut body = vec![b'N'];
        tuple(&mut body, [id, "x"]);
        body.split_off(1)
    };
    let update = |old, new| {
        let mut body = vec![b'O'];
        tuple(&mut body, old);
        body.push(b'N');
        tuple(&mut body, new);
        body
    };
    row(&mut rig, 0, FrameKind::Insert, 101, &insert("1"));
    row(&mut rig, 1, FrameKind::Insert, 102, &insert("7"));
    row(&mut rig, 0, FrameKind::Update, 103, &update(["1", "x"], ["2", "x"]));
    row(&mut rig, 0, FrameKind::Update, 104, &update(["2", "x"], ["2", "x"]));
    row(&mut rig, 1, FrameKind::Truncate, 105, b"");
    let message = Message {
        database: "shop".into(),
        prefix: "p".into(),
        content: Vec::new(),
        transactional: true,
        position: 106,
    };
    rig.router.annex(Annex::Message(message), origin, 0).expect("a message");
    rig.router.heartbeat();
    row(&mut rig, 0, FrameKind::Update, 107, &update(["2", "x"], ["2", "y"]));
    rig.router.commit(PositionDelta::Lsn { lsn: 300, commit_lsn: 299 }).expect("a commit");
    rig.drain();
    let mut topics = rig.by_topic();
    let blocks = |topic: &str, topics: &BTreeMap<String, Vec<Record>>| -> Vec<String> {
        let records = topics[topic].iter().filter(|record| !record.value.is_null());
        let block = |record: &Record| {
            let (op, block) = (&record.value["op"], &record.value["transaction"]);
            let word = |value: &Value| value.to_string().replace('"', "");
            let (total, order) = (&block["total_order"], &block["data_collection_order"]);
            format!("{} {} {total} {order}", word(op), word(&block["id"]))
        };
        records.map(block).collect()
    };
    assert_eq!(
        blocks("shop.public.a", &topics),
        ["c 773:101 1 1", "d 773:103 3 2", "c 773:103 4 3", "u 773:107 6 4"]
    );
    assert_eq!(blocks("shop.public.b", &topics), ["c 773:102 2 1"]);
    assert_eq!(blocks("shop.message", &topics), ["m 773:106 5 1"]);
    assert_eq!(topics["__debezium-heartbeat.shop"].len(), 1);
    let transactions = topics.remove("shop.transaction").expect("two records");
    let values: Vec<Value> = transactions.into_iter().map(|record| record.value).collect();
    let begun = serde_json::json!({"status": "BEGIN", "id": "773:100", "event_count": null,
        "data_collections": null, "ts_ms": 5000});
    assert_eq!(values[0], begun);
    assert_eq!((&values[1]["id"], &values[1]["event_count"]), (&"773:299".into(), &6.into()));
    let mut collections: Vec<String> =
        values[1]["data_collections"].as_array().unwrap().iter().map(Value::to_string).collect();
    collections.sort_unstable();
    assert_eq!(
        collections,
        [
            "{\"data_collection\":\"LOGICAL_DECODING_MESSAGE\",\"event_count\":1}",
            "{\"data_collection\":\"public.a\",\"event_count\":4}",
            "{\"data_collection\":\"public.b\",\"event_count\":1}",
        ]
    );
}
