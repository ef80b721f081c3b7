//! No allocation per row: an allocator that counts, in a test binary of its own.

#[allow(dead_code)]
mod binlog;
mod capture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use binlog::{CATALOGUE, IMAGES, Input, NOW_US, frames, snapshot};
use capture::Capture;
use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::postgres::pgoutput::{self, Message};
use penstock_protocol::schema::SourceKind;
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's own promise about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The folder of the golden tests.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("captures").join(name)).expect("a capture")
}

/// Encodes everything, batch after batch; how many events.
fn encode(
    encoder: &mut JsonEncoder,
    segment: &Segment,
    inputs: &[Input],
    now_us: i64,
    batch: &mut Batch,
) -> usize {
    let mut events = 0;
    for input in inputs {
        let mut resume = Resume::default();
        loop {
            let done = encoder
                .encode(segment, &input.frame, &input.txn, now_us, &mut resume, batch)
                .expect("well-formed rows");
            events += batch.events.len();
            batch.clear();
            if done == Encoded::Done {
                break;
            }
        }
    }
    events
}

/// Allocations of the second pass over the same frames.
fn second_pass(bytes: Vec<u8>, inputs: &[Input], kind: SourceKind, connector: Connector) -> u64 {
    let len = bytes.len();
    let segment = Segment::freeze(bytes, len, None);
    let mut encoder = JsonEncoder::new(EncodeOptions::new("shop", connector), kind);
    for schema in inputs.iter().filter_map(|input| input.schema.as_ref()) {
        encoder.handle_schema(Arc::clone(schema));
    }
    let mut batch = Batch::default();
    let first = encode(&mut encoder, &segment, inputs, NOW_US, &mut batch);
    let before = ALLOCATIONS.with(Cell::get);
    let second = encode(&mut encoder, &segment, inputs, NOW_US + 1, &mut batch);
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(first, second);
    assert!(first > 0);
    after - before
}

#[test]
fn rows_are_encoded_without_allocation() {
    // Goal: nothing is allocated per row, transaction or event, for any type of the log and of the
    // snapshot. Method: after one pass that grows the buffers, a second one counts zero.
    for (name, kind, connector) in [
        ("mysql97", SourceKind::MySql, Connector::MySql),
        ("mariadb118", SourceKind::MariaDb, Connector::MariaDb),
        ("extra-mysql97", SourceKind::MySql, Connector::MySql),
        ("extra-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
        ("all-mysql97", SourceKind::MySql, Connector::MySql),
        ("all-mariadb1011", SourceKind::MariaDb, Connector::MariaDb),
        ("all-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
    ] {
        let bytes = read(&format!("{name}.bin"));
        let inputs = frames(&bytes, "binlog.000001", &CATALOGUE);
        let schema = inputs[0].schema.clone().expect("the first table's schema");
        assert_eq!(second_pass(bytes, &inputs, kind, connector), 0, "{name}");
        let (bytes, rows) = snapshot(&read(&format!("{name}.rows")), schema);
        assert_eq!(second_pass(bytes, &rows, kind, connector), 0, "{name}, snapshot");
    }
}

#[test]
fn images_and_documents_are_encoded_without_allocation() {
    // Goal, method: as above, for images that lack columns, changed documents and versioned tables.
    // But changes of a document (PARTIAL_JSON) take the containers on their paths apart on the heap,
    // by design (`json_diff`): so many in this capture.
    for (name, kind, connector) in [
        ("images-mysql97", SourceKind::MySql, Connector::MySql),
        ("images-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
        ("documents-mysql97", SourceKind::MySql, Connector::MySql),
        ("versioned-mariadb118", SourceKind::MariaDb, Connector::MariaDb),
    ] {
        let bytes = read(&format!("{name}.bin"));
        let inputs = frames(&bytes, "binlog.000001", &IMAGES);
        let known = if name == "documents-mysql97" { 16 } else { 0 };
        assert_eq!(second_pass(bytes, &inputs, kind, connector), known, "{name}");
    }
}

/// A frame of PostgreSQL: its table's name, what it is, its bytes.
type PgRow = (TableId, FrameKind, Vec<u8>);

/// Allocations of a row's second encoding, by table; how many rows that were.
fn postgres_allocations(name: &str) -> (Vec<(String, u64)>, usize) {
    let capture = Capture::read(name);
    let options = EncodeOptions::new("golden", Connector::Postgres);
    let mut encoder = JsonEncoder::new(options, SourceKind::Postgres);
    let mut batch = Batch::default();
    let (mut oids, mut names): (Vec<u32>, Vec<String>) = (Vec::new(), Vec::new());
    let origin = TxnOrigin::Wal { xid: 7, last_commit_lsn: 1, replicated: None };
    let txn = Arc::new(TxnHead { seq: Seq(1), commit_us: NOW_US, origin, id: None });
    let (mut found, mut rows) = (Vec::new(), 0);
    let mut row = |encoder: &mut JsonEncoder, (table, kind, body): PgRow, name: &str| {
        let mut bytes = body;
        let len = bytes.len();
        bytes.extend([0; 16]);
        let size = bytes.len();
        let segment = Segment::freeze(bytes, size, None);
        let marker = match kind {
            FrameKind::SnapshotRow => SnapshotMarker::True,
            _ => SnapshotMarker::Streaming,
        };
        let head =
            FrameHead { kind, marker, format: 0, table, offset: 0, len: len as u32, position: 9 };
        let frame = Frame { head, txn: 0 };
        let mut twice = || {
            batch.clear();
            let before = ALLOCATIONS.with(Cell::get);
            let mut resume = Resume::default();
            let done = encoder.encode(&segment, &frame, &txn, NOW_US, &mut resume, &mut batch);
            let allocations = ALLOCATIONS.with(Cell::get) - before;
            done.is_ok().then_some(allocations)
        };
        // A row that is refused tells why in a text of its own.
        if let (Some(_), Some(allocations)) = (twice(), twice()) {
            rows += 1;
            if allocations > 0 {
                found.push((name.to_owned(), allocations));
            }
        }
    };
    for (_, message) in &capture.messages {
        let (kind, head) = match pgoutput::parse(message).expect("a message of the server") {
            Message::Relation(relation) => {
                let known = oids.iter().position(|oid| *oid == relation.oid);
                let index = known.unwrap_or(oids.len());
                if known.is_none() {
                    oids.push(relation.oid);
                    names.push(relation.name.into());
                }
                let schema = capture.schema(&relation, TableId(index as u32), 1);
                encoder.handle_schema(Arc::new(schema));
                continue;
            }
            Message::Insert(head) => (FrameKind::Insert, head),
            Message::Update(head) => (FrameKind::Update, head),
            Message::Delete(head) => (FrameKind::Delete, head),
            _ => continue,
        };
        let index = oids.iter().position(|oid| *oid == head.relation).expect("a Relation before");
        let input = (TableId(index as u32), kind, message[head.body..].to_vec());
        row(&mut encoder, input, &names[index]);
    }
    for (name, body) in &capture.rows {
        let index = names.iter().position(|known| known == name).expect("a streamed table");
        let input = (TableId(index as u32), FrameKind::SnapshotRow, body.clone());
        row(&mut encoder, input, &names[index]);
    }
    (found, rows)
}

#[test]
fn postgres_rows_are_encoded_without_allocation() {
    // Goal: as for MySQL, for every type of PostgreSQL and its extensions, of the log and of the
    // snapshot. Method: each captured row twice; the second time counts zero.
    // But NUMERICs of more than 1,200 digits are built on the heap (`encode::number`).
    let long = |allocations| ("toasted_whole".to_owned(), allocations);
    for (name, wanted) in [("pg15", 88), ("pg18", 88), ("pg18-extensions", 9)] {
        let (found, rows) = postgres_allocations(name);
        let known = if name == "pg18-extensions" { vec![] } else { [2, 4, 2].map(long).to_vec() };
        assert_eq!(found, known, "{name}");
        assert_eq!(rows, wanted, "{name}");
    }
}
