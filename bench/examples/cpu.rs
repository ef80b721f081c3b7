//! CPU time of the row path, one row: for machines whose CPUs are shared, where wall time is noise.
//!
//! `cargo run --release -p penstock-bench --example cpu [NAME]`. Prints the best of some passes, and
//! the same volume copied and nothing else, both in time on the CPU of this thread as the kernel's
//! scheduler counts it (`/proc/thread-self/schedstat`, whose clock ticks in milliseconds: passes
//! take tens of them).

use std::hint::black_box;

use penstock_bench::binlog::{self, Load};
use penstock_bench::pgoutput::{self, Old};
use penstock_protocol::frame::FrameKind;
use penstock_protocol::schema::SourceKind;
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};

const NOW_US: i64 = 1_795_555_555_123_456;
const ROWS_PER_PASS: u64 = 500_000;
const PASSES: u64 = 15;

/// Nanoseconds that this thread has been on a CPU.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    first.expect("the kernel's form")
}

fn encode(encoder: &mut JsonEncoder, load: &Load, ring: &mut [Batch]) -> usize {
    let (mut bytes, mut at) = (0, 0);
    for frame in &load.frames {
        let mut resume = Resume::default();
        let txn = &load.txns[frame.txn as usize];
        while encoder
            .encode(&load.segment, frame, txn, NOW_US, &mut resume, &mut ring[at])
            .expect("well-formed rows")
            == Encoded::Full
        {
            bytes += ring[at].used();
            at = (at + 1) % ring.len();
            ring[at].clear();
        }
    }
    bytes + ring[at].used()
}

fn measure(name: &str, load: &Load, encoder: &mut JsonEncoder) {
    let mut ring: Vec<Batch> = (0..16).map(|_| Batch::default()).collect();
    let out = encode(encoder, load, &mut ring);
    let (from, mut to) = (vec![b'x'; out], vec![0u8; out]);
    let rounds = ROWS_PER_PASS / load.rows + 1;
    let (mut best, mut copy) = (u64::MAX, u64::MAX);
    for _ in 0..PASSES {
        let start = cpu_ns();
        for _ in 0..rounds {
            black_box(encode(encoder, load, &mut ring));
        }
        let middle = cpu_ns();
        (0..4 * rounds).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from)));
        best = best.min(middle - start);
        copy = copy.min((cpu_ns() - middle) / 4);
    }
    let rows = (rounds * load.rows) as f64;
    let (ns, copy) = (best as f64 / rows, copy as f64 / rows);
    println!("{name}: {ns:.1} ns/row, {:.2} M rows/s, copy {copy:.1} ns/row", 1e3 / ns);
}

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let (insert, update, delete) = (FrameKind::Insert, FrameKind::Update, FrameKind::Delete);
    for (name, kind, rows) in [
        ("mysql insert 100", insert, 100),
        ("mysql insert 1", insert, 1),
        ("mysql update 100", update, 100),
        ("mysql update 1", update, 1),
        ("mysql delete 100", delete, 100),
    ] {
        if wanted(name) {
            let options = EncodeOptions::new("penstock", Connector::MySql);
            let mut encoder = JsonEncoder::new(options, SourceKind::MySql);
            encoder.handle_schema(binlog::schema());
            measure(name, &binlog::load(kind, rows), &mut encoder);
        }
    }
    for (name, kind, rows, old) in [
        ("postgres insert 100", insert, 100, Old::No),
        ("postgres insert 1", insert, 1, Old::No),
        ("postgres update 100", update, 100, Old::No),
        ("postgres update full 100", update, 100, Old::Whole),
        ("postgres delete 100", delete, 100, Old::No),
        ("postgres snapshot", FrameKind::SnapshotRow, 100, Old::No),
    ] {
        if wanted(name) {
            let options = EncodeOptions::new("penstock", Connector::Postgres);
            let mut encoder = JsonEncoder::new(options, SourceKind::Postgres);
            encoder.handle_schema(pgoutput::schema());
            measure(name, &pgoutput::load(kind, rows, old), &mut encoder);
        }
    }
}
