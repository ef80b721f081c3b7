use penstock_bench::binlog::{self, Load};
use penstock_protocol::frame::FrameKind;
use penstock_protocol::schema::SourceKind;
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use std::time::Instant;
fn encode(encoder: &mut JsonEncoder, load: &Load, ring: &mut [Batch]) -> usize {
    let (mut bytes, mut at) = (0, 0);
    for frame in &load.frames {
        let mut resume = Resume::default();
        let txn = &load.txns[frame.txn as usize];
        loop {
            let batch = &mut ring[at];
            let done = encoder
                .encode(&load.segment, frame, txn, 1_795_555_555_123_456, &mut resume, batch)
                .unwrap();
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
fn main() {
    let only = std::env::args().nth(1);
    let n: usize = std::env::args().nth(2).map_or(400, |s| s.parse().unwrap());
    for (name, kind, rows) in [
        ("i100", FrameKind::Insert, 100),
        ("i1", FrameKind::Insert, 1),
        ("u100", FrameKind::Update, 100),
        ("u1", FrameKind::Update, 1),
        ("d100", FrameKind::Delete, 100),
    ] {
        if only.as_ref().is_some_and(|o| o != name && o != "all") {
            continue;
        }
        let load = binlog::load(kind, rows);
        let mut e =
            JsonEncoder::new(EncodeOptions::new("penstock", Connector::MySql), SourceKind::MySql);
        e.handle_schema(binlog::schema());
        let mut ring: Vec<Batch> = (0..16).map(|_| Batch::default()).collect();
        let out = encode(&mut e, &load, &mut ring);
        let from = vec![b'x'; out];
        let mut to = vec![0u8; out];
        let (mut best, mut mem) = (f64::MAX, f64::MAX);
        for _ in 0..n {
            let t = Instant::now();
            std::hint::black_box(encode(&mut e, &load, &mut ring));
            best = best.min(t.elapsed().as_secs_f64());
            if std::env::args().nth(3).is_some() {
                continue;
            }
            let t = Instant::now();
            std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
            mem = mem.min(t.elapsed().as_secs_f64());
        }
        let r = load.rows as f64;
        println!(
            "{name}: {:.1} ns/row {:.2} M/s; memcpy {:.1}; ratio {:.1}; out {}",
            best / r * 1e9,
            r / best / 1e6,
            mem / r * 1e9,
            best / mem,
            out / load.rows as usize
        );
    }
}
