//! Tests of the shard: what the simulator does not show by itself.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker};

use super::*;
use crate::annex::{Annex, Order};
use crate::batch::{EventRef, KeyChange, Op};
use crate::hop::{AckOutcome, Delivery, Frame, SinkAck, TxnHead, TxnOrigin};
use crate::segment::Segment;

/// Takes every byte of a body as a row; `!` cannot be encoded, `~` fits no batch, `-` is filtered.
struct Bytes {
    topics: Arc<Vec<Arc<str>>>,
    events_max: usize,
}

impl RowEncoder for Bytes {
    fn handle_schema(&mut self, _: Arc<TableSchema>) {}

    fn encode(
        &mut self,
        segment: &Segment,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        _now_us: i64,
        resume: &mut Resume,
        batch: &mut Batch,
    ) -> Result<Encoded, EncodeError> {
        let FrameHead { offset, len, table, .. } = frame.head;
        let body = &segment.data()[offset as usize..(offset + len) as usize];
        for &byte in &body[resume.row as usize..] {
            match byte {
                b'!' => return Err(EncodeError { reason: "no".into() }),
                b'~' => return Ok(Encoded::Full),
                _ if batch.events.len() >= self.events_max => return Ok(Encoded::Full),
                _ => resume.row += 1,
            }
            if byte != b'-' {
                let (value, ordinal) = (Some(batch.append(&[byte])), resume.row - 1);
                let (op, key, key_change, seq) = (Op::Create, None, KeyChange::No, txn.seq);
                let topic = table.0;
                let event = EventRef { topic, op, key, value, key_change, seq, ordinal, table };
                batch.events.push(event);
            }
        }
        Ok(Encoded::Done)
    }

    fn encode_annex(
        &mut self,
        annex: &Annex,
        frame: &Frame,
        txn: &Arc<TxnHead>,
        _now_us: i64,
        order: Option<Order>,
        batch: &mut Batch,
    ) -> Encoded {
        if batch.events.len() >= self.events_max {
            return Encoded::Full;
        }
        let total = order.map_or(0, |order| order.total);
        let value = Some(batch.append(format!("{:?}{total}", annex.kind()).as_bytes()));
        let (op, key, key_change, seq) = (Op::Annex, None, KeyChange::No, txn.seq);
        let (topic, ordinal, table) = (0, 0, frame.head.table);
        batch.events.push(EventRef { topic, op, key, value, key_change, seq, ordinal, table });
        Encoded::Done
    }

    fn topics(&self) -> Arc<Vec<Arc<str>>> {
        Arc::clone(&self.topics)
    }
}

fn schema(table: u32) -> ShardInput {
    let name =
        TableName { database: "db".into(), schema: String::new(), table: format!("t{table}") };
    let (columns, key, identity) = (Vec::new(), Vec::new(), Vec::new());
    let (table, replica_identity) = (TableId(table), b'f');
    let version = 1;
    let schema = TableSchema {
        table,
        version,
        name,
        columns,
        key,
        identity,
        replica_identity,
        period: None,
    };
    ShardInput::Schema(Arc::new(schema))
}

fn limits() -> Limits {
    Limits { batch_events: 4, batch_age_ms: 10, in_flight_batches: 3, ..Limits::default() }
}

fn config(sinks: &[(u16, u16)], lanes: u16, on_table_error: OnTableError) -> ShardConfig {
    let decl = |&(sink, encoding): &(u16, u16)| SinkDecl { sink: SinkId(sink), encoding, lanes };
    ShardConfig {
        id: ShardId(0),
        epoch: Epoch(1),
        sinks: sinks.iter().map(decl).collect(),
        on_table_error,
        stopped: Vec::new(),
        limits: limits(),
    }
}

fn shard(config: ShardConfig) -> Shard<Bytes> {
    let encodings = config.sinks.iter().map(|sink| sink.encoding + 1).max().unwrap();
    let topics: Arc<Vec<Arc<str>>> = Arc::new(vec!["t".into()]);
    let encoder = |_| Bytes { topics: Arc::clone(&topics), events_max: 4 };
    let mut shard = Shard::new(config, (0..encodings).map(encoder).collect(), Seq(0));
    (0..3).for_each(|table| shard.handle_input(schema(table)));
    shard
}

fn one_sink() -> Shard<Bytes> {
    shard(config(&[(0, 0)], 1, OnTableError::Fail))
}

/// A batch of frames (seq, table, body).
fn frames(through: u64, frames: &[(u64, u32, &str)]) -> ShardInput {
    let mut bytes = Vec::new();
    let mut txns: Vec<Arc<TxnHead>> = Vec::new();
    let list = frames.iter().map(|(seq, table, body)| {
        if txns.last().is_none_or(|txn| txn.seq != Seq(*seq)) {
            let origin = TxnOrigin::Wal { xid: 1, last_commit_lsn: 0, replicated: None };
            txns.push(Arc::new(TxnHead { seq: Seq(*seq), commit_us: 0, origin, id: None }));
        }
        let (offset, len) = (bytes.len() as u32, body.len() as u32);
        bytes.extend_from_slice(body.as_bytes());
        let (kind, marker) = (FrameKind::Insert, SnapshotMarker::Streaming);
        let (table, position) = (TableId(*table), 10 * *seq);
        let head = FrameHead { kind, marker, format: 0, table, offset, len, position };
        Frame { head, txn: txns.len() as u32 - 1 }
    });
    let list = list.collect();
    let len = bytes.len();
    let segment = Some(Segment::freeze(bytes, len, None));
    ShardInput::Frames(FrameBatch {
        segment,
        txns,
        frames: list,
        annexes: Vec::new(),
        orders: Vec::new(),
        through: Seq(through),
    })
}

fn text(delivery: &Delivery) -> String {
    let batch = &delivery.batch;
    let bytes = batch.body.events.iter().flat_map(|event| batch.bytes(event.value.unwrap()));
    String::from_utf8(bytes.copied().collect()).unwrap()
}

fn ack(shard: &mut Shard<Bytes>, delivery: &Delivery, outcome: AckOutcome) {
    let (sink, batch) = (delivery.sink, delivery.batch.id);
    shard.handle_ack(SinkAck { sink, batch, outcome }).unwrap();
}

fn encode_all(shard: &mut Shard<Bytes>) {
    while shard.poll_encode(0).unwrap() {}
}

fn through(shard: &mut Shard<Bytes>) -> Option<u64> {
    let mut last = None;
    while let Some(progress) = shard.poll_progress() {
        last = Some(progress.through.0);
    }
    last
}

#[test]
fn a_shard_without_rows_makes_progress() {
    // Goal: invariant 3 at the shard: punctuation, filtered rows and nothing else move it; method:
    // an empty batch, then one whose rows are all filtered.
    let mut shard = one_sink();
    shard.handle_input(frames(5, &[]));
    encode_all(&mut shard);
    assert_eq!(through(&mut shard), Some(5));
    shard.handle_input(frames(7, &[(6, 0, "--"), (7, 1, "-")]));
    assert_eq!(through(&mut shard), None);
    encode_all(&mut shard);
    assert_eq!(through(&mut shard), Some(7));
    assert_eq!(shard.next_deadline_ms(), None);
    assert!(shard.is_idle());
}

#[test]
fn batches_seal_by_number_and_by_age() {
    // Goal: a full batch goes at once, another at its age and not before, and the deadline says
    // when; method: five rows with a bound of four.
    let mut shard = one_sink();
    shard.handle_input(frames(1, &[(1, 0, "abcde")]));
    encode_all(&mut shard);
    assert_eq!(shard.next_deadline_ms(), Some(0));
    let full = shard.poll_delivery(100).unwrap();
    assert_eq!(text(&full), "abcd");
    assert_eq!(shard.next_deadline_ms(), Some(110));
    assert!(shard.poll_delivery(109).is_none());
    let rest = shard.poll_delivery(110).unwrap();
    assert_eq!((text(&rest).as_str(), rest.batch.id), ("e", BatchId(2)));
    ack(&mut shard, &rest, AckOutcome::Durable);
    assert_eq!(through(&mut shard), None);
    ack(&mut shard, &full, AckOutcome::Durable);
    assert_eq!(through(&mut shard), Some(1));
}

#[test]
fn h05_what_is_in_flight_is_bounded_and_makes_the_ring_wait() {
    // Goal: unanswered batches stop encoding at the bound, an answer lets it go on; method: 20 rows,
    // batches of 4, at most 3 in flight.
    let mut shard = one_sink();
    shard.handle_input(frames(1, &[(1, 0, "abcdefghijklmnopqrst")]));
    encode_all(&mut shard);
    let mut deliveries = Vec::new();
    while let Some(delivery) = shard.poll_delivery(0) {
        deliveries.push(delivery);
        encode_all(&mut shard);
    }
    assert_eq!((deliveries.len(), shard.can_accept()), (3, false));
    assert_eq!(shard.next_deadline_ms(), None, "only an answer helps");
    ack(&mut shard, &deliveries[0], AckOutcome::Durable);
    encode_all(&mut shard);
    assert_eq!(text(&shard.poll_delivery(0).unwrap()), "mnop");
    assert_eq!(shard.in_flight(SinkId(0)), 3);
}

#[test]
fn l18_a_lane_stops_at_its_first_failure() {
    // Goal: after a failure nothing new goes, what is on its way is awaited, then everything from
    // the failed batch on goes again in order, what was acknowledged behind it too; method: three
    // batches, the first fails, the third is durable.
    let mut shard = one_sink();
    shard.handle_input(frames(3, &[(1, 0, "aaaa"), (2, 0, "bbbb"), (3, 0, "cccc")]));
    encode_all(&mut shard);
    let sent: Vec<Delivery> = (0..3)
        .map_while(|_| {
            let delivery = shard.poll_delivery(0);
            encode_all(&mut shard);
            delivery
        })
        .collect();
    assert_eq!(sent.len(), 3);
    ack(&mut shard, &sent[0], AckOutcome::Transient);
    ack(&mut shard, &sent[2], AckOutcome::Durable);
    assert!(shard.poll_delivery(0).is_none(), "the second is still on its way");
    assert_eq!(through(&mut shard), None);
    ack(&mut shard, &sent[1], AckOutcome::Transient);
    let again: Vec<String> = (0..3).map(|_| text(&shard.poll_delivery(0).unwrap())).collect();
    assert_eq!(again, ["aaaa", "bbbb", "cccc"]);
    ack(&mut shard, &sent[2], AckOutcome::Durable);
    ack(&mut shard, &sent[0], AckOutcome::Durable);
    assert_eq!(through(&mut shard), Some(1));
    ack(&mut shard, &sent[1], AckOutcome::Durable);
    assert_eq!(through(&mut shard), Some(3));
}

#[test]
fn h09_a_batch_without_answer_ends_the_shard() {
    // Goal: a sink that lost a batch is noticed by age; method: the clock passes the bound.
    let mut shard = one_sink();
    shard.handle_input(frames(1, &[(1, 0, "aaaa")]));
    encode_all(&mut shard);
    assert!(shard.poll_delivery(0).is_some());
    assert!(shard.poll_delivery(limits().ack_age_ms).is_none());
    assert_eq!(shard.poll_encode(0), Ok(false));
    assert!(shard.poll_delivery(limits().ack_age_ms + 1).is_none());
    let lost = ShardError::NoAnswer { sink: SinkId(0), batch: BatchId(1) };
    assert_eq!(shard.poll_encode(0), Err(lost));
}

#[test]
fn a_definite_answer_is_final() {
    // Goal: what a sink refuses ends the pipeline with its reason; method: one such answer.
    let mut shard = one_sink();
    let outcome = AckOutcome::Definite("schema refused".into());
    let answer = shard.handle_ack(SinkAck { sink: SinkId(0), batch: BatchId(1), outcome });
    assert!(matches!(answer, Err(ShardError::Sink { .. })));
    assert_eq!(shard.poll_encode(0), answer.map(|()| true));
}

#[test]
fn l21_a_row_that_cannot_be_encoded_stops_pipeline_or_table() {
    // Goal: by default the shard fails and says where; by choice the table alone stops, and
    // progress waits until the stop was taken; method: the same frames under both policies.
    let rows = || frames(3, &[(1, 0, "a"), (2, 0, "b!c"), (2, 1, "x"), (3, 0, "d")]);
    let mut failing = one_sink();
    failing.handle_input(rows());
    let Err(ShardError::Table(stop)) = failing.poll_encode(0) else { panic!("no error") };
    assert_eq!((stop.table, stop.seq, stop.position), (TableId(0), Seq(2), 20));
    let mut going = shard(config(&[(0, 0)], 1, OnTableError::StopTable));
    going.handle_input(rows());
    encode_all(&mut going);
    assert!(going.seal_now());
    let delivery = going.poll_delivery(0).unwrap();
    assert_eq!(text(&delivery), "abx");
    ack(&mut going, &delivery, AckOutcome::Durable);
    assert_eq!(through(&mut going), Some(1));
    assert_eq!(going.poll_stop().map(|stop| stop.name.table), Some("t0".into()));
    assert_eq!(through(&mut going), Some(3));
}

#[test]
fn l21_a_stop_in_one_encoding_leaves_the_other_what_stands_before() {
    // Goal: an encoder that is behind the poisoned frame still delivers up to it (found by the
    // simulator); method: two encodings, the second blocked by its sink until the first has met
    // the poison.
    let mut shard = shard(config(&[(0, 0), (1, 1)], 1, OnTableError::StopTable));
    shard.handle_input(frames(3, &[(1, 0, "aaaabbbbccccdddd"), (2, 0, "e"), (3, 0, "!")]));
    let mut seen = [String::new(), String::new()];
    let mut held = Vec::new();
    for round in 0..40 {
        encode_all(&mut shard);
        shard.seal_now();
        while let Some(delivery) = shard.poll_delivery(round) {
            seen[usize::from(delivery.sink.0)] += &text(&delivery);
            held.push(delivery);
        }
        // The second sink answers late.
        let ready = |d: &Delivery| d.sink == SinkId(0) || round > 20;
        for delivery in held.extract_if(.., |d| ready(d)).collect::<Vec<_>>() {
            ack(&mut shard, &delivery, AckOutcome::Durable);
        }
    }
    assert_eq!(seen, ["aaaabbbbccccdddde", "aaaabbbbccccdddde"]);
    assert!(!shard.is_idle(), "the stop was not polled");
    assert_eq!(shard.poll_stop().map(|stop| stop.seq), Some(Seq(3)));
    assert!(shard.is_idle());
}

#[test]
fn a_row_that_fits_no_batch_is_an_error_and_no_loop() {
    // Goal: an encoder that refuses a row even in an empty batch ends the shard; method: such a row.
    let mut shard = one_sink();
    shard.handle_input(frames(1, &[(1, 2, "~")]));
    assert!(
        matches!(shard.poll_encode(0), Err(ShardError::RowTooLarge(name)) if name.table == "t2")
    );
}

#[test]
fn l29_marks_tell_how_much_of_a_batch_a_checkpoint_covers() {
    // Goal: for every punctuation, those inside a batch and the one of an input during which it was
    // sealed, `events_through` is exact; method: transactions that straddle batches.
    let mut shard = one_sink();
    shard.handle_input(frames(1, &[(1, 0, "a")]));
    encode_all(&mut shard);
    shard.handle_input(frames(3, &[(2, 1, "-"), (3, 0, "b"), (4, 0, "cdef")]));
    encode_all(&mut shard);
    let first = shard.poll_delivery(0).unwrap();
    assert_eq!(text(&first), "abcd");
    assert_eq!(first.batch.marks, [(Seq(1), 1), (Seq(3), 2)]);
    let count: Vec<u32> = (0..5).map(|seq| first.batch.events_through(Seq(seq))).collect();
    assert_eq!(count, [0, 1, 1, 2, 4]);
    encode_all(&mut shard);
    shard.handle_input(frames(4, &[]));
    encode_all(&mut shard);
    assert!(shard.seal_now());
    let second = shard.poll_delivery(0).unwrap();
    assert_eq!((text(&second).as_str(), second.batch.events_through(Seq(3))), ("ef", 0));
    assert_eq!(second.batch.events_through(Seq(4)), 2);
}

#[test]
fn a_table_takes_one_lane_and_lanes_do_not_wait_for_each_other() {
    // Goal: order per table with several lanes, and a lane that fails stops alone (invariant 2);
    // method: two tables on two lanes, the first lane's batch fails.
    let lane = |table: u32| {
        let table = format!("t{table}");
        let name = TableName { database: "db".into(), schema: String::new(), table };
        lane_of(table_hash(&name), 2)
    };
    let other = (1..3).find(|table| lane(*table) != lane(0)).expect("two lanes in use");
    let mut shard = shard(config(&[(0, 0)], 2, OnTableError::Fail));
    shard.handle_input(frames(2, &[(1, 0, "aaaa"), (2, other, "bbbb")]));
    encode_all(&mut shard);
    let sent = [shard.poll_delivery(0).unwrap(), shard.poll_delivery(0).unwrap()];
    let at = usize::from(text(&sent[0]) != "aaaa");
    let (a, b) = (&sent[at], &sent[1 - at]);
    assert_ne!(a.batch.lane, b.batch.lane);
    ack(&mut shard, b, AckOutcome::Durable);
    ack(&mut shard, a, AckOutcome::Transient);
    assert_eq!(through(&mut shard), None, "a's transaction is older");
    assert_eq!(text(&shard.poll_delivery(0).unwrap()), "aaaa");
    ack(&mut shard, a, AckOutcome::Durable);
    assert_eq!(through(&mut shard), Some(2));
}

#[test]
fn sinks_of_one_encoding_share_its_bytes_and_their_memory_comes_back() {
    // Goal: encoded once for all sinks, the slower one holds the bytes, and then the memory serves
    // the next batch; method: two sinks, the address of the arena.
    let mut shard = shard(config(&[(0, 0), (1, 0)], 1, OnTableError::Fail));
    let place = |delivery: &Delivery| {
        delivery.batch.bytes(delivery.batch.body.events[0].value.unwrap()).as_ptr()
    };
    let mut places = Vec::new();
    for seq in 1..=4 {
        shard.handle_input(frames(seq, &[(seq, 0, "abcd")]));
        encode_all(&mut shard);
        let (a, b) = (shard.poll_delivery(0).unwrap(), shard.poll_delivery(0).unwrap());
        assert!(Arc::ptr_eq(&a.batch, &b.batch));
        places.push(place(&a));
        ack(&mut shard, &a, AckOutcome::Durable);
        ack(&mut shard, &b, AckOutcome::Durable);
        assert_eq!(through(&mut shard), Some(seq));
    }
    // Two arenas take turns: one is open while the other is away.
    assert_eq!(places[0], places[2]);
    assert_eq!(places[1], places[3]);
}

#[test]
fn tables_stopped_before_are_passed_over() {
    // Goal: what the checkpoint lists as stopped gives no rows and no error; method: a row of such
    // a table, and one that could not be encoded.
    let stopped =
        vec![TableName { database: "db".into(), schema: String::new(), table: "t0".into() }];
    let mut shard = shard(ShardConfig { stopped, ..config(&[(0, 0)], 1, OnTableError::Fail) });
    shard.handle_input(frames(2, &[(1, 0, "a!"), (2, 1, "b")]));
    encode_all(&mut shard);
    assert!(shard.seal_now());
    assert_eq!(text(&shard.poll_delivery(0).unwrap()), "b");
}
