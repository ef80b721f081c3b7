//! No allocation per row: an allocator that counts, in a test binary of its own.

#[allow(dead_code)]
mod binlog;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use binlog::{CATALOGUE, Input, NOW_US, frames, snapshot};
use penstock_protocol::schema::SourceKind;
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::segment::Segment;

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

fn read(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/captures");
    std::fs::read(folder.join(name)).expect("a capture")
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
