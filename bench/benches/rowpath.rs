//! Decode to batch, one core: row frames in a segment → Debezium envelopes in batches.
//!
//! `cargo bench -p penstock-bench --bench rowpath`. Throughput is rows a second. `memcpy` copies the
//! output's volume and nothing else: the limit that the machine sets at that moment.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use penstock_bench::binlog::{self, Load};
use penstock_bench::pgoutput::{self, Old};
use penstock_protocol::frame::FrameKind;
use penstock_protocol::schema::{SourceKind, TableSchema};
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};

const NOW_US: i64 = 1_795_555_555_123_456;

/// Short runs of which the least time counts.
const RUNS: usize = 800;

/// Encodes a whole load into a ring of batches, as a shard does; the bytes that came out.
fn encode(encoder: &mut JsonEncoder, load: &Load, ring: &mut [Batch]) -> usize {
    let (mut bytes, mut at) = (0, 0);
    for frame in &load.frames {
        let mut resume = Resume::default();
        let txn = &load.txns[frame.txn as usize];
        loop {
            let batch = &mut ring[at];
            let done = encoder
                .encode(&load.segment, frame, txn, NOW_US, &mut resume, batch)
                .expect("well-formed rows");
            if done == Encoded::Done {
                break;
            }
            bytes += batch.used();
            at = (at + 1) % ring.len();
            ring[at].clear();
        }
    }
    bytes + ring[at].used()
}

fn run(
    c: &mut Criterion,
    name: &str,
    load: &Load,
    kind: SourceKind,
    options: &EncodeOptions,
    schema: &Arc<TableSchema>,
) {
    let mut encoder = JsonEncoder::new(options.clone(), kind);
    encoder.handle_schema(Arc::clone(schema));
    let mut ring: Vec<Batch> = (0..16).map(|_| Batch::default()).collect();
    let out = encode(&mut encoder, load, &mut ring);
    let (rows, input) = (load.rows, load.segment.data().len());
    let (from, mut to) = (vec![b'x'; out], vec![0u8; out]);
    // On shared processors the mean measures the neighbours; the least time of many short runs, the
    // two taken in turn, measures this code.
    let (mut best, mut copy) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(encode(&mut encoder, load, &mut ring));
        best = best.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        black_box(&mut to).copy_from_slice(black_box(&from));
        copy = copy.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name}: {} B in, {} B out a row; best of {RUNS}: {:.1} ns a row, {:.2} M rows/s; \
         memcpy of the output {:.1} ns, ratio {:.1}",
        input / rows as usize,
        out / rows as usize,
        best / rows as f64 * 1e9,
        rows as f64 / best / 1e6,
        copy / rows as f64 * 1e9,
        best / copy
    );
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(rows));
    group.bench_function("encode", |b| {
        b.iter(|| black_box(encode(&mut encoder, load, &mut ring)));
    });
    group.bench_function("memcpy", |b| {
        b.iter(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    });
    group.finish();
}

fn mysql(c: &mut Criterion) {
    let options = EncodeOptions::new("penstock", Connector::MySql);
    let schema = binlog::schema();
    for (name, kind, rows) in [
        ("mysql insert 100", FrameKind::Insert, 100),
        ("mysql insert 1", FrameKind::Insert, 1),
        ("mysql update 100", FrameKind::Update, 100),
        ("mysql update 1", FrameKind::Update, 1),
        ("mysql delete 100", FrameKind::Delete, 100),
    ] {
        let load = binlog::load(kind, rows);
        run(c, name, &load, SourceKind::MySql, &options, &schema);
    }
}

fn mysql_mixed(c: &mut Criterion) {
    let options = EncodeOptions::new("penstock", Connector::MySql);
    let load = binlog::mixed_load(FrameKind::Insert, 100);
    let schema = binlog::mixed_schema();
    run(c, "mysql mixed 30 columns 100", &load, SourceKind::MySql, &options, &schema);
}

fn postgres(c: &mut Criterion) {
    let options = EncodeOptions::new("penstock", Connector::Postgres);
    let schema = pgoutput::schema();
    for (name, kind, rows, old) in [
        ("postgres insert 100", FrameKind::Insert, 100, Old::No),
        ("postgres insert 1", FrameKind::Insert, 1, Old::No),
        ("postgres update 100", FrameKind::Update, 100, Old::No),
        ("postgres update full 100", FrameKind::Update, 100, Old::Whole),
        ("postgres delete 100", FrameKind::Delete, 100, Old::No),
        ("postgres snapshot", FrameKind::SnapshotRow, 100, Old::No),
    ] {
        let load = pgoutput::load(kind, rows, old);
        run(c, name, &load, SourceKind::Postgres, &options, &schema);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = mysql, mysql_mixed, postgres
}
criterion_main!(benches);
