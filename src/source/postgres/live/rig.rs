//! The rig: a reader on a core, a consumer in place of the shards, a coordinator that keeps the
//! position in memory.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use penstock_protocol::cursor::Cursor;
use penstock_protocol::frame::{FrameKind, SnapshotMarker, TableId};
use penstock_protocol::position::{LsnPosition, Position, PositionDelta};
use penstock_protocol::schema::{SourceKind, TableSchema};
use penstock_shards::bucket::BucketMap;
use penstock_shards::bugs::Bugs;
use penstock_shards::hop::{CommitPoint, FrameBatch, ShardInput};
use penstock_shards::limits::Limits;
use penstock_shards::router::Router;
use penstock_shards::seq::PointId;
use penstock_shards::spill::MemorySpill;

use super::server::Server;
use crate::config::{
    OnTableError, Postgres, Secret, Snapshot, SnapshotMode, Source, TableFilter, Tls, TlsMode,
};
use crate::error::{Error, Result};
use crate::pipeline::Notice;
use crate::progress::ProgressSink;
use crate::runtime::{self, Core, CoreConfig, JoinHandle, mailbox, ring, segments, watch};
use crate::source::context::{Flushed, ReaderContext};
use crate::source::heartbeat::Heartbeat;
use crate::source::{SourceEnd, Start, TableDirectory};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// A row, or a TRUNCATE, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// r, c, u, d or t.
    pub op: char,
    /// Table.
    pub table: String,
    /// Text of the cells: the new row, or the old one of a delete; `∅` NULL, `…` unchanged.
    pub cells: String,
    /// Where a snapshot row stands.
    pub marker: SnapshotMarker,
    /// Its transaction's number.
    pub seq: u64,
}

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    schemas: Vec<Arc<TableSchema>>,
    position: Option<Position>,
    snapshot_done: bool,
}

/// What a test can turn.
#[derive(Default)]
struct Switches {
    /// The consumer takes nothing.
    blocked: AtomicBool,
    /// Nothing becomes durable.
    undurable: AtomicBool,
}

/// A reader at work.
pub struct Rig {
    seen: Arc<Mutex<Seen>>,
    switches: Arc<Switches>,
    stop: watch::Sender<bool>,
    reader: RefCell<Option<JoinHandle<Result<SourceEnd>>>>,
    _core: Core,
}

/// The source of a server, capturing `tables` (all: none named), logged in as `cdc`.
pub fn source(server: &Server, tables: &[&str]) -> Source {
    let anchored = |p: &&str| regex::Regex::new(&format!("(?i)^(?:{p})$")).expect("a pattern");
    Source {
        kind: SourceKind::Postgres,
        hosts: vec!["127.0.0.1".into()],
        port: server.port,
        user: "cdc".into(),
        password: Secret("cdc".into()),
        database: "test".into(),
        filter: TableFilter {
            tables: tables.iter().map(anchored).collect(),
            ..TableFilter::default()
        },
        tls: Tls { mode: TlsMode::Off, ca: None, cert: None, key: None },
        slot: "s".into(),
        publication: "p".into(),
        postgres: Postgres::default(),
        server_id: None,
        on_table_error: OnTableError::Fail,
        include_query: false,
        provide_transaction_metadata: false,
        include_schema_changes: true,
        store_only_captured_tables: false,
        heartbeat_interval_ms: 0,
        heartbeat_action_query: None,
    }
}

/// A run's options.
pub struct Options {
    pub mode: SnapshotMode,
    pub start: Start,
    pub catch_up: bool,
    /// Nothing becomes durable until the test says so.
    pub undurable: bool,
    /// Room in the spill store; 0: no bound.
    pub spill_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        let mode = SnapshotMode::Initial;
        let (catch_up, undurable, spill_bytes_max) = (false, false, 0);
        Self { mode, start: Start::Fresh, catch_up, undurable, spill_bytes_max }
    }
}

/// The backend that serves here.
pub fn backend() -> runtime::Backend {
    runtime::choose(None).expect("a backend serves").backend
}

impl Rig {
    /// Starts a reader.
    pub fn start(source: &Source, options: Options) -> Self {
        let config = CoreConfig { backend: backend(), cpu: None, name: "rig".into() };
        let core = Core::launch(config).expect("a core starts");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let switches = Arc::new(Switches::default());
        switches.undurable.store(options.undurable, Ordering::SeqCst);
        let (stop, stopped) = watch::channel(false);
        let (flushed, durable) = watch::channel(Flushed::default());
        let (into_ring, from_ring) = ring::channel(4);
        let (notices, heard) = mailbox(64);
        let (source, seen_by, turned) = (source.clone(), seen.clone(), switches.clone());
        core.spawn(move || consume(from_ring, seen_by, turned));
        let (seen_by, turned) = (seen.clone(), switches.clone());
        core.spawn(move || coordinate(heard, flushed, seen_by, turned));
        let reader = core.spawn(move || {
            let ctx = ReaderContext {
                name: "rig".into(),
                heartbeat: Heartbeat::new(&source),
                source,
                snapshot: Snapshot {
                    mode: options.mode,
                    parallelism: 1,
                    chunk_rows: 0,
                    rows_per_second: 0,
                    pause_ms: 0,
                },
                start: options.start,
                catch_up: options.catch_up,
                tables: TableDirectory::default(),
                router: router(options.spill_bytes_max),
                pool: segments::Pool::new(8, 64 << 10),
                flushed: durable,
                stop: stopped,
                progress: ProgressSink::none(),
                stopped: std::collections::BTreeSet::new(),
                schema_version: 0,
                history: None,
                rings: vec![into_ring],
                notices,
            };
            super::super::run(ctx)
        });
        Self { seen, switches, stop, reader: RefCell::new(Some(reader)), _core: core }
    }

    /// The consumer takes nothing while true.
    pub fn block(&self, blocked: bool) {
        self.switches.blocked.store(blocked, Ordering::SeqCst);
    }

    /// From now on points become durable.
    pub fn let_durable(&self) {
        self.switches.undurable.store(false, Ordering::SeqCst);
    }

    /// What came so far.
    pub fn events(&self) -> Vec<Event> {
        self.seen.lock().expect("unpoisoned").events.clone()
    }

    /// `op table cells` of what came so far.
    pub fn lines(&self) -> Vec<String> {
        self.events().iter().map(|e| format!("{} {} {}", e.op, e.table, e.cells)).collect()
    }

    /// Schemas in order.
    pub fn schemas(&self) -> Vec<Arc<TableSchema>> {
        self.seen.lock().expect("unpoisoned").schemas.clone()
    }

    /// The position of the last point.
    pub fn position(&self) -> Option<LsnPosition> {
        match &self.seen.lock().expect("unpoisoned").position {
            Some(Position::Postgres(position)) => Some(position.clone()),
            _ => None,
        }
    }

    /// Whether the end of the first snapshot was told.
    pub fn snapshot_done(&self) -> bool {
        self.seen.lock().expect("unpoisoned").snapshot_done
    }

    /// Where a restart would begin.
    pub fn restart(&self) -> Start {
        match (self.snapshot_done(), self.position()) {
            (true, Some(position)) => Start::Resume(Position::Postgres(position)),
            _ => Start::Fresh,
        }
    }

    /// Waits until this many events came.
    pub fn wait_events(&self, count: usize) {
        self.wait(&format!("{count} events"), || self.events().len() >= count);
    }

    /// Waits for a condition; fails at the deadline, or when the reader ends before it.
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !holds() {
            let finished = self.reader.borrow().as_ref().is_some_and(JoinHandle::is_finished);
            if finished && !holds() {
                let ended = self.reader.borrow_mut().take().map(JoinHandle::join);
                panic!("the reader ended before {what}: {ended:?} {:?}", self.lines());
            }
            assert!(Instant::now() < until, "no {what} in time: {:?}", self.lines());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Asks the reader to stop and waits for its end.
    pub fn stop(self) -> (Result<SourceEnd>, Vec<String>) {
        self.stop.set(true);
        self.join()
    }

    /// Waits for the reader's own end.
    pub fn end(self) -> (Result<SourceEnd>, Vec<String>) {
        self.join()
    }

    /// The reader's own error.
    pub fn error(self) -> Error {
        self.end().0.expect_err("the reader ends with an error")
    }

    fn join(&self) -> (Result<SourceEnd>, Vec<String>) {
        let reader = self.reader.borrow_mut().take().expect("joined once");
        let until = Instant::now() + DEADLINE * 2;
        while !reader.is_finished() {
            assert!(Instant::now() < until, "the reader does not end: {:?}", self.lines());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let ended = reader.join().expect("the reader does not panic");
        // The consumer may still have frames to take.
        self.block(false);
        let mut before = usize::MAX;
        while before != self.events().len() {
            before = self.events().len();
            std::thread::park_timeout(Duration::from_millis(50));
        }
        (ended, self.lines())
    }
}

/// A router that keeps little in memory.
fn router(bytes_max: u64) -> Router {
    let mut spill = MemorySpill::default();
    spill.bytes_max = bytes_max;
    let limits = Limits { group_bytes: 64 << 10, ..Limits::default() };
    Router::with_limits(BucketMap::round_robin(1), Box::new(spill), limits, Bugs::NONE)
}

async fn consume(
    mut ring: ring::Consumer<ShardInput>,
    seen: Arc<Mutex<Seen>>,
    switches: Arc<Switches>,
) {
    loop {
        while switches.blocked.load(Ordering::SeqCst) {
            runtime::sleep(Duration::from_millis(5)).await;
        }
        let Some(input) = ring.pop().await else { return };
        let mut seen = seen.lock().expect("unpoisoned");
        match input {
            ShardInput::Schema(schema) => seen.schemas.push(schema),
            ShardInput::Frames(batch) => take(&batch, &mut seen),
        }
    }
}

fn take(batch: &FrameBatch, seen: &mut Seen) {
    let Some(segment) = &batch.segment else { return };
    for frame in &batch.frames {
        let (head, seq) = (frame.head, batch.txns[frame.txn as usize].seq.0);
        let body = &segment.data()[head.offset as usize..][..head.len as usize];
        let (op, cells) = match head.kind {
            FrameKind::SnapshotRow => ('r', data_row(body)),
            FrameKind::Insert => ('c', tuple(&mut Cursor::new(body))),
            FrameKind::Update => ('u', last_tuple(body)),
            FrameKind::Delete => ('d', last_tuple(body)),
            FrameKind::Truncate => ('t', String::new()),
            FrameKind::Annex => continue,
        };
        let table = name(&seen.schemas, head.table);
        seen.events.push(Event { op, table, cells, marker: head.marker, seq });
    }
}

fn name(schemas: &[Arc<TableSchema>], table: TableId) -> String {
    let schema = schemas.iter().rev().find(|schema| schema.table == table);
    schema.expect("a schema comes before its rows").name.table.clone()
}

fn data_row(body: &[u8]) -> String {
    let cells = penstock_protocol::postgres::message::data_row(body).expect("a DataRow");
    let text = |cell: Option<&[u8]>| match cell {
        Some(cell) => String::from_utf8_lossy(cell).into_owned(),
        None => "∅".into(),
    };
    cells.map(|cell| text(cell.expect("a cell"))).collect::<Vec<_>>().join("|")
}

fn tuple(c: &mut Cursor<'_>) -> String {
    let count = c.u16_be().expect("a count");
    let mut cells = Vec::new();
    for _ in 0..count {
        cells.push(match c.u8().expect("a tag") {
            b't' => {
                let len = c.u32_be().expect("a length") as usize;
                String::from_utf8_lossy(c.bytes(len).expect("a cell")).into_owned()
            }
            b'n' => "∅".into(),
            b'u' => "…".into(),
            tag => panic!("tag {tag}"),
        });
    }
    cells.join("|")
}

fn last_tuple(body: &[u8]) -> String {
    let mut c = Cursor::new(body);
    let mut last = String::new();
    while !c.is_empty() {
        assert!(b"KON".contains(&c.u8().expect("a kind")));
        last = tuple(&mut c);
    }
    last
}

async fn coordinate(
    mut notices: mailbox::Receiver<Notice>,
    flushed: watch::Sender<Flushed>,
    seen: Arc<Mutex<Seen>>,
    switches: Arc<Switches>,
) {
    let mut last = PointId::default();
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Point(point) => {
                last = point.point;
                fold(&mut seen.lock().expect("unpoisoned"), point);
            }
            Notice::EndOfStream => {
                let position = seen.lock().expect("unpoisoned").position.clone();
                flushed.set(Flushed { position, point: last, schema_version: 0, last: true });
                return;
            }
            _ => {}
        }
        if !switches.undurable.load(Ordering::SeqCst) {
            let position = seen.lock().expect("unpoisoned").position.clone();
            flushed.set(Flushed { position, point: last, schema_version: 0, last: false });
        }
    }
}

fn fold(seen: &mut Seen, point: CommitPoint) {
    if let Some(base) = point.base {
        seen.position = Some(base);
    }
    seen.snapshot_done |= point.snapshot_done;
    if let (Some(PositionDelta::Lsn { lsn, commit_lsn }), Some(Position::Postgres(position))) =
        (point.delta, &mut seen.position)
    {
        assert!(lsn >= position.lsn, "the position goes back");
        position.lsn = lsn;
        position.last_commit_lsn = position.last_commit_lsn.max(commit_lsn);
    }
}

/// A server with `cdc` allowed to make publications, and a table `t (id, v)` with two rows.
pub fn shop(server: &Server) {
    server.grant_cdc();
    server.sql(
        "create table t (id int primary key, v text);
         insert into t values (1, 'a'), (2, 'b');",
    );
}

/// The position of the slot.
pub fn confirmed(server: &Server) -> String {
    server.sql("select confirmed_flush_lsn from pg_replication_slots where slot_name = 's'")
}
