//! PostgreSQL's row path as a whole: no allocation per row, hostile frames, invariant 8.
//!
//! Enters: rows of all types as TupleData and as DataRow. Leaves: equal records; a refusal, never a
//! panic and never half a row, for what is damaged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::{
    ArrayPlaceholder, Charset, Column, ColumnType, SourceKind, TableName, TableSchema, UnknownForm,
};
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{EncodeError, Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;
use proptest::prelude::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more; it encodes nothing either.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: hands everything to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW_US: i64 = 1_795_555_555_123_456;

fn text() -> ColumnType {
    ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 }
}

fn array(element: ColumnType) -> ColumnType {
    ColumnType::Array {
        element: Box::new(element),
        delimiter: b',',
        nulls: true,
        placeholder: ArrayPlaceholder::None,
    }
}

/// Number of types.
const TYPES: usize = 31;

fn types() -> Vec<(ColumnType, &'static [&'static str])> {
    vec![
        (ColumnType::Int { bits: 64, unsigned: false }, &["-9223372036854775808", "42", "0"]),
        (ColumnType::Bool, &["t", "f"]),
        (ColumnType::Float { widened: false }, &["1.5", "1e+20", "NaN", "-0", "0.00099"]),
        (ColumnType::Double, &["123.25", "5e-324", "Infinity", "0", "9999999.5", "1e+07"]),
        (ColumnType::Decimal { precision: 12, scale: 2 }, &["1.50", "-0.01", "9999999999.99"]),
        (ColumnType::DecimalVariable, &["1.500", "123456789012345678901234567890.10", "NaN"]),
        (text(), &["", "häß \"x\" and much more text than sixteen bytes", "a\nb"]),
        (ColumnType::Bytes { length_bytes: 0, fixed: None }, &["\\x", "\\x00ff10", "\\x61"]),
        (ColumnType::Date, &["2020-02-29", "infinity", "0044-03-15 BC"]),
        (ColumnType::Time { digits: 6 }, &["24:00:00", "01:02:03.5"]),
        (ColumnType::TimeTz { digits: 6 }, &["11:51:30.123789+00", "00:00:00-01"]),
        (ColumnType::DateTime { digits: 6 }, &["2020-01-01 00:00:00", "-infinity"]),
        (ColumnType::Timestamp { digits: 6 }, &["2020-01-01 00:00:00.25+00", "infinity"]),
        (ColumnType::Json { length_bytes: 0 }, &["{\"a\": 1, \"b\": [2.50, null]}"]),
        (ColumnType::Uuid, &["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]),
        (ColumnType::Bit { bits: 0 }, &["", "101", "10110011100011110000"]),
        (ColumnType::Money { digits: 2 }, &["$1,234.11", "-$92,233,720,368,547,758.08"]),
        (ColumnType::Interval, &["1 year 2 mons -3 days +04:05:06.78", "infinity"]),
        (ColumnType::Hstore, &["", "\"a\"=>\"x\\\"\", \"é\"=>NULL, \"bb\"=>\"\\\\\""]),
        (ColumnType::PgPoint, &["(1,2.5)", "(NaN,-Infinity)"]),
        (
            ColumnType::PgGeometry { geography: false },
            &["0101000020730C00001C7C613255DE6540787AA52C435C42C0", "010700000000000000"],
        ),
        (ColumnType::PgVector { half: false }, &["[1,-2.5,1e-05]"]),
        (ColumnType::SparseVector, &["{1:0.5,300:2}/500", "{}/3"]),
        (array(ColumnType::Int { bits: 32, unsigned: false }), &["{}", "{1,NULL,-3}", "{{1},{2}}"]),
        (array(text()), &["{a,\"q\\\"{,}\",NULL,é}", "[0:1]={a,b}"]),
        (array(ColumnType::Bytes { length_bytes: 0, fixed: None }), &["{\"\\\\x00ff\"}"]),
        (array(ColumnType::Timestamp { digits: 6 }), &["{\"2020-01-01 00:00:00.25+00\",infinity}"]),
        (array(ColumnType::DecimalVariable), &["{1.50,NULL}", "{NaN}"]),
        (array(ColumnType::Hstore), &["{\"\\\"a\\\"=>\\\"1\\\"\",NULL}"]),
        (
            ColumnType::Unknown { name: "path".into(), form: UnknownForm::Geometric },
            &["[(0,0.5),(1e-30,1)]"],
        ),
        (
            array(ColumnType::Unknown { name: "pair".into(), form: UnknownForm::Text }),
            &["{\"(1,\\\"q\\\")\"}"],
        ),
    ]
}

fn schema(included: u32) -> TableSchema {
    let column = |(i, (ty, _)): (usize, (ColumnType, _))| Column {
        name: format!("c{i}"),
        ty,
        nullable: i != 0,
        default: None,
        included: included >> i & 1 == 1,
    };
    TableSchema {
        table: TableId(0),
        version: 1,
        name: TableName { database: "d".into(), schema: "s".into(), table: "t".into() },
        columns: types().into_iter().enumerate().map(column).collect(),
        key: vec![0],
        identity: vec![0],
        replica_identity: b'd',
        period: None,
    }
}

/// One row in both forms, cells chosen by `pick`; beyond a type's texts: NULL.
fn forms(pick: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let types = types();
    let count = u16::try_from(types.len()).expect("few columns").to_be_bytes();
    let (mut tuple, mut row) = (count.to_vec(), count.to_vec());
    for (i, (_, texts)) in types.iter().enumerate() {
        match texts.get(pick[i] % (texts.len() + usize::from(i > 0))) {
            None => {
                tuple.push(b'n');
                row.extend((-1_i32).to_be_bytes());
            }
            Some(cell) => {
                let len = u32::try_from(cell.len()).expect("short").to_be_bytes();
                tuple.push(b't');
                for form in [&mut tuple, &mut row] {
                    form.extend(len);
                    form.extend(cell.as_bytes());
                }
            }
        }
    }
    (tuple, row)
}

struct Rig {
    encoder: JsonEncoder,
    txn: Arc<TxnHead>,
    batch: Batch,
}

impl Rig {
    fn new(included: u32) -> Self {
        let mut options = EncodeOptions::new("p", Connector::Postgres);
        options.include_unknown_datatypes = true;
        let mut encoder = JsonEncoder::new(options, SourceKind::Postgres);
        encoder.handle_schema(Arc::new(schema(included)));
        let origin = TxnOrigin::Wal { xid: 7, last_commit_lsn: 0x1000, replicated: None };
        let txn = Arc::new(TxnHead { seq: Seq(1), commit_us: NOW_US - 5, origin, id: None });
        Self { encoder, txn, batch: Batch::default() }
    }

    fn encode(
        &mut self,
        segment: &Segment,
        kind: FrameKind,
        offset: usize,
        len: usize,
    ) -> Result<Encoded, EncodeError> {
        let head = FrameHead {
            kind,
            marker: SnapshotMarker::Streaming,
            format: 0,
            table: TableId(0),
            offset: u32::try_from(offset).expect("small"),
            len: u32::try_from(len).expect("small"),
            position: 0x2000,
        };
        let mut resume = Resume::default();
        let frame = Frame { head, txn: 0 };
        self.encoder.encode(segment, &frame, &self.txn, NOW_US, &mut resume, &mut self.batch)
    }

    /// Key and after-image of the only record that `body` gives.
    fn record(&mut self, kind: FrameKind, body: &[u8]) -> (String, String) {
        self.batch.clear();
        let segment = Segment::freeze(body.to_vec(), body.len(), None);
        let encoded = self.encode(&segment, kind, 0, body.len());
        assert_eq!(encoded, Ok(Encoded::Done));
        assert_eq!(self.batch.events.len(), 1);
        let event = self.batch.events[0];
        let text = |span| String::from_utf8(self.batch.bytes(span).to_vec()).expect("UTF-8");
        let (key, value) = (text(event.key.expect("a key")), text(event.value.expect("a value")));
        let parsed: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        assert!(parsed["after"].is_object());
        let (after, _) = value.split_once(",\"source\":").expect("a source block");
        (key, after.to_string())
    }
}

/// Update and Delete bodies around the same row.
fn bodies(pick: &[usize]) -> Vec<(FrameKind, Vec<u8>)> {
    let (tuple, row) = forms(pick);
    let (old, _) = forms(&pick.iter().map(|i| i + 1).collect::<Vec<_>>());
    let update = |tag: u8| [&[tag][..], &old, b"N", &tuple].concat();
    vec![
        (FrameKind::Insert, tuple.clone()),
        (FrameKind::SnapshotRow, row),
        (FrameKind::Update, [b"N", &tuple[..]].concat()),
        (FrameKind::Update, update(b'K')),
        (FrameKind::Update, update(b'O')),
        (FrameKind::Delete, [b"K", &tuple[..]].concat()),
        (FrameKind::Delete, [b"O", &tuple[..]].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn snapshot_and_log_give_the_same_text(pick in proptest::collection::vec(0..8_usize, TYPES),
                                           included: u32) {
        // Goal: invariant 8. Method: one row as TupleData of an insert and as DataRow, under any
        // column filter.
        let (tuple, row) = forms(&pick);
        let mut rig = Rig::new(included);
        let log = rig.record(FrameKind::Insert, &tuple);
        let snapshot = rig.record(FrameKind::SnapshotRow, &row);
        prop_assert_eq!(log, snapshot);
    }

    #[test]
    fn a_frame_cut_anywhere_is_refused_whole(pick in proptest::collection::vec(0..8_usize, TYPES)) {
        // Goal: no panic and no half row. Method: every length of every kind of body, the segment
        // going on behind the cut.
        let mut rig = Rig::new(u32::MAX);
        for (kind, body) in bodies(&pick) {
            let segment = Segment::freeze(body.clone(), body.len(), None);
            for len in 0..body.len() {
                let (used, events) = (rig.batch.used(), rig.batch.events.len());
                prop_assert!(rig.encode(&segment, kind, 0, len).is_err());
                prop_assert_eq!((rig.batch.used(), rig.batch.events.len()), (used, events));
            }
            prop_assert_eq!(rig.encode(&segment, kind, 0, body.len()), Ok(Encoded::Done));
        }
    }

    #[test]
    fn bent_frames_never_panic_and_never_make_invalid_json(
        pick in proptest::collection::vec(0..8_usize, TYPES),
        bends in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..5),
    ) {
        // Goal: what is taken of hostile bytes is still JSON. Method: overwrite bytes of bodies.
        let mut rig = Rig::new(u32::MAX);
        for (kind, mut body) in bodies(&pick) {
            for &(at, byte) in &bends {
                let at = at % body.len();
                body[at] = byte;
            }
            rig.batch.clear();
            let len = body.len();
            let segment = Segment::freeze(body, len, None);
            if rig.encode(&segment, kind, 0, len).is_ok() {
                for event in &rig.batch.events {
                    for span in [event.key, event.value].into_iter().flatten() {
                        let text = rig.batch.bytes(span);
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok());
                    }
                }
            } else {
                prop_assert!(rig.batch.events.is_empty() && rig.batch.used() == 0);
            }
        }
    }
}

#[test]
fn no_allocation_per_row() {
    // Goal: the row path touches no heap once a batch has its memory. Method: a counting allocator
    // around the second pass over all kinds of rows.
    let mut rig = Rig::new(u32::MAX);
    let mut frames = Vec::new();
    for shift in 0..8 {
        for (kind, body) in bodies(&[shift; TYPES]) {
            let len = body.len();
            frames.push((kind, Segment::freeze(body, len, None), len));
        }
    }
    let pass = |rig: &mut Rig| {
        for _ in 0..20 {
            rig.batch.clear();
            for (kind, segment, len) in &frames {
                assert_eq!(rig.encode(segment, *kind, 0, *len), Ok(Encoded::Done));
            }
        }
    };
    pass(&mut rig);
    let before = ALLOCATIONS.get();
    pass(&mut rig);
    assert_eq!(ALLOCATIONS.get(), before);
}

#[test]
fn an_update_tells_its_old_row_if_the_log_has_it() {
    // Goal: before-images by replica identity (ENVELOPE section 2). Method: the same update as
    // 'N', 'K' and 'O', the key unchanged; in 'K' all but the key is NULL, which means absent.
    let (tuple, _) = forms(&[0; TYPES]);
    // The count, and the first cell: its tag, its length, twenty digits.
    let identity = [&tuple[..2 + 1 + 4 + 20], &[b'n'; TYPES - 1]].concat();
    let mut rig = Rig::new(0b111);
    let mut before = |old: Vec<u8>| {
        rig.batch.clear();
        let body = [&old[..], b"N", &tuple].concat();
        let segment = Segment::freeze(body.clone(), body.len(), None);
        let encoded = rig.encode(&segment, FrameKind::Update, 0, body.len());
        assert_eq!((encoded, rig.batch.events.len()), (Ok(Encoded::Done), 1));
        let value = rig.batch.events[0].value.expect("a value");
        let text = String::from_utf8(rig.batch.bytes(value).to_vec()).expect("UTF-8");
        text.split_once(",\"after\":").expect("an envelope").0.to_string()
    };
    assert_eq!(before(Vec::new()), "{\"before\":null");
    let whole = "{\"before\":{\"c0\":-9223372036854775808,\"c1\":true,\"c2\":1.5}";
    assert_eq!(before([b"O", &tuple[..]].concat()), whole);
    let key = "{\"before\":{\"c0\":-9223372036854775808,\"c1\":null,\"c2\":null}";
    assert_eq!(before([b"K", &identity[..]].concat()), key);
}
