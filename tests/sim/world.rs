//! The world: one seed, one scheduler, the real machines, and everything that can go wrong
//! between them.
//!
//! Enters: a seed and perhaps a planted bug. Leaves: a trace, or a panic that names the violation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use penstock_shards::bucket::BucketMap;
use penstock_shards::checkpoint::{
    Checkpoint, SinkCheckpoint, Slot, SnapshotState, StoppedTable, choose_with,
};
use penstock_shards::coordinator::{Commit, Coordinator, CoordinatorStart};
use penstock_shards::hop::{CommitPoint, ShardInput, ShardProgress, SinkAck, TableStop};
use penstock_shards::limits::Limits;
use penstock_shards::router::{Router, RouterOutput};
use penstock_shards::seq::{Epoch, PointId, Seq, ShardId};
use penstock_shards::shard::{OnTableError, Shard, ShardConfig, ShardError, SinkDecl};
use penstock_shards::spill::{MemorySpill, SpillError, SpillId, SpillStore};

use crate::encoder::{SimEncoder, table_name};
use crate::plant::{Plant, WorldBug};
use crate::reader::{Reader, Step};
use crate::rng::Rng;
use crate::sink::{Kind, Sink};
use crate::source::{Source, TABLES};

const RING_MAX: usize = 3;
/// Steps after which a run that is not done hangs.
const STEPS_MAX: u64 = 400_000;
const CRASHES_MAX: u64 = 6;

/// The disk under the spill store, shared with the router.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    spill: MemorySpill,
    full: bool,
    fulls: u64,
    appends: u64,
}

impl Disk {
    fn with<T>(&self, f: impl FnOnce(&mut DiskState) -> T) -> T {
        f(&mut self.0.lock().expect("invariant: one thread"))
    }
}

impl SpillStore for Disk {
    fn append(&mut self, group: SpillId, bytes: &[u8]) -> Result<(), SpillError> {
        self.with(|disk| {
            disk.appends += 1;
            if !disk.full {
                return disk.spill.append(group, bytes);
            }
            // A disk that fills up takes a part.
            disk.fulls += 1;
            disk.spill.append(group, &bytes[..bytes.len() / 2])?;
            Err(SpillError::Full)
        })
    }

    fn read(&mut self, group: SpillId, offset: u64, into: &mut [u8]) -> Result<usize, SpillError> {
        self.with(|disk| disk.spill.read(group, offset, into))
    }

    fn truncate(&mut self, group: SpillId, len: u64) -> Result<(), SpillError> {
        self.with(|disk| disk.spill.truncate(group, len))
    }

    fn sync(&mut self, group: SpillId) -> Result<(), SpillError> {
        self.with(|disk| disk.spill.sync(group))
    }

    fn remove(&mut self, group: SpillId) -> Result<(), SpillError> {
        self.with(|disk| disk.spill.remove(group))
    }

    fn groups(&mut self) -> Result<Vec<SpillId>, SpillError> {
        self.with(|disk| disk.spill.groups())
    }

    fn bytes(&self) -> u64 {
        self.with(|disk| disk.spill.bytes())
    }
}

/// From a shard to the coordinator.
enum Report {
    Stop(TableStop),
    Progress(ShardProgress),
}

/// What dies with the process.
struct Process {
    epoch: Epoch,
    router: Router,
    reader: Reader,
    shards: Vec<Shard<SimEncoder>>,
    coordinator: Coordinator,
    rings: Vec<VecDeque<ShardInput>>,
    /// An output whose ring is full.
    stalled: Option<(ShardId, ShardInput)>,
    points: VecDeque<CommitPoint>,
    reports: Vec<VecDeque<Report>>,
    /// By shard, answered in any order.
    acks: Vec<Vec<SinkAck>>,
    /// A checkpoint on its way to the disk.
    writing: Option<(Slot, Vec<u8>, Checkpoint, PointId)>,
    begun: bool,
    /// Asked to end: nothing is read any more, everything read becomes durable.
    draining: bool,
    /// The router gave nothing when it was last asked.
    routed: bool,
    stopped: Vec<StoppedTable>,
}

pub struct World {
    rng: Rng,
    plant: Plant,
    source: Source,
    sinks: Vec<Sink>,
    disk: Disk,
    slots: [Vec<u8>; 2],
    limits: Limits,
    snapshot: bool,
    reads: [usize; TABLES],
    process: Process,
    epochs: u64,
    reached: Reached,
    steps: u64,
    trace: u64,
    /// What the source was told.
    told: usize,
}

/// How a run went, for the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub trace: u64,
    pub steps: u64,
    pub delivered: u64,
    pub reached: Reached,
}

/// How often a run came to what is rare: a sound run proves nothing about what it never met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub crashes: u64,
    pub torn_checkpoints: u64,
    pub drains: u64,
    pub reconnects: u64,
    pub source_crashes: u64,
    pub zombies: u64,
    pub full_disks: u64,
    pub spills: u64,
    pub parked_restored: u64,
    pub table_stops: u64,
    pub snapshots: u64,
    pub unanswered: u64,
    pub pieces: u64,
}

impl Reached {
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum.1 += *more.1;
        }
    }

    /// Names and counts.
    pub fn counts(&mut self) -> [(&'static str, &mut u64); 13] {
        [
            ("crashes", &mut self.crashes),
            ("torn checkpoints", &mut self.torn_checkpoints),
            ("drains", &mut self.drains),
            ("reconnects", &mut self.reconnects),
            ("source crashes", &mut self.source_crashes),
            ("zombies", &mut self.zombies),
            ("full disks", &mut self.full_disks),
            ("spills", &mut self.spills),
            ("parked restored", &mut self.parked_restored),
            ("table stops", &mut self.table_stops),
            ("snapshots", &mut self.snapshots),
            ("transactions in pieces", &mut self.pieces),
            ("unanswered batches", &mut self.unanswered),
        ]
    }
}

impl World {
    pub fn new(seed: u64, plant: Plant) -> Self {
        let mut rng = Rng::new(seed);
        let source = Source::new(&mut rng);
        let snapshot = !source.poison && rng.one_in(2);
        let limits = Limits {
            frames_per_batch: rng.range(2, 8),
            txns_per_flush: rng.range(2, 8),
            group_bytes: rng.range(64, 700),
            spill_piece_bytes: rng.range(50, 300),
            frames_per_poll: rng.range(1, 6),
            batch_bytes: 1 << 16,
            batch_events: rng.range(3, 8),
            batch_age_ms: rng.range(0, 3) as u64,
            in_flight_batches: rng.range(1, 5),
            ack_age_ms: 400,
            commit_points: rng.range(1, 4),
        };
        let mut sinks = Vec::new();
        for id in 0..rng.range(1, 3) as u16 {
            // Encoding 0: one lane; encoding 1: several lanes.
            let kind = if rng.one_in(2) { Kind::File } else { Kind::Upsert };
            let lanes = match kind {
                Kind::Upsert if rng.one_in(2) => 2,
                _ => 1,
            };
            sinks.push(Sink::new(id, kind, lanes, 0, plant));
        }
        // Encodings are numbered in the order of the sinks that use them.
        let mut lanes: Vec<u16> = Vec::new();
        for sink in &mut sinks {
            let at = lanes.iter().position(|l| *l == sink.lanes).unwrap_or_else(|| {
                lanes.push(sink.lanes);
                lanes.len() - 1
            });
            sink.encoding = at as u16;
        }
        let disk = Disk::default();
        let slots = [vec![0; 64], vec![0; 64]];
        let mut world = Self {
            process: Process::dummy(&disk),
            rng,
            plant,
            source,
            sinks,
            disk,
            slots,
            limits,
            snapshot,
            reads: [0; TABLES],
            epochs: 0,
            reached: Reached::default(),
            steps: 0,
            trace: seed,
            told: 0,
        };
        world.start();
        world
    }

    /// A process starts: reads the state folder, builds the machines.
    fn start(&mut self) {
        let bugs = self.plant.bugs();
        let chosen = choose_with(&self.slots[0], &self.slots[1], bugs);
        let chosen = chosen.unwrap_or_else(|error| panic!("STATE: {error}"));
        let checkpoint = chosen.newest.map(|(_, checkpoint)| checkpoint);
        self.epochs += 1;
        let epoch = Epoch(self.epochs);
        if let Some(checkpoint) = &checkpoint {
            assert!(checkpoint.epoch < epoch, "STATE: of a later incarnation");
        }
        let done = checkpoint.as_ref().filter(|c| c.snapshot == SnapshotState::Done);
        let position = done.and_then(|c| c.position.clone());
        let start = position.as_ref().map(|at| self.source.entries_before(at));
        if let Some(start) = start {
            assert!(start >= self.source.floor, "GONE: the source has dropped what is needed");
        }
        assert!(start.is_some() || self.told == 0, "STATE: lost, and the source was told");
        let start = start.map(|at| at + usize::from(self.plant.has(WorldBug::RestartBehindNext)));
        for (at, sink) in self.sinks.iter_mut().enumerate() {
            sink.open(epoch, done.map(|c| &c.sinks[at].state));
        }
        let shards = [1, 1, 2, 3, 4, 16][self.rng.below(6)];
        let map = BucketMap::round_robin(shards);
        let mut router = Router::with_limits(map, Box::new(self.disk.clone()), self.limits, bugs);
        let parked = done.map(|c| c.parked.clone()).unwrap_or_default();
        let id = |name: &penstock_protocol::schema::TableName| {
            let n = (0..TABLES as u32).find(|t| table_name(*t) == *name);
            penstock_protocol::frame::TableId(n.expect("STATE: a table of ours"))
        };
        self.reached.parked_restored += parked.len() as u64;
        router.restore_parked(parked.clone(), id).expect("STATE: parked groups");
        let snapshot_done = done.is_some();
        let from = CoordinatorStart { position, parked, snapshot_done, schema_version: 0 };
        let sinks = self.sinks.len() as u16;
        let coordinator = Coordinator::with_limits(shards, sinks, from, self.limits, bugs);
        let stopped = done.map(|c| c.stopped_tables.clone()).unwrap_or_default();
        let names = (0..TABLES as u32).map(table_name);
        let mut is_stopped = [false; TABLES];
        for (table, name) in names.enumerate() {
            is_stopped[table] = stopped.iter().any(|stop| stop.name == name);
        }
        let reader = Reader::new(self.plant, start, is_stopped);
        let count = usize::from(shards);
        self.process = Process {
            epoch,
            router,
            reader,
            shards: (0..shards).map(|id| self.shard(ShardId(id), epoch, &stopped)).collect(),
            coordinator: coordinator.expect("STATE: a position that reads"),
            rings: (0..count).map(|_| VecDeque::new()).collect(),
            stalled: None,
            points: VecDeque::new(),
            reports: (0..count).map(|_| VecDeque::new()).collect(),
            acks: vec![Vec::new(); count],
            writing: None,
            begun: start.is_some(),
            draining: false,
            routed: false,
            stopped,
        };
    }

    fn shard(&self, id: ShardId, epoch: Epoch, stopped: &[StoppedTable]) -> Shard<SimEncoder> {
        let decl = |s: &Sink| SinkDecl { sink: s.id, encoding: s.encoding, lanes: s.lanes };
        let encodings = self.sinks.iter().map(|s| s.encoding + 1).max().expect("a sink");
        let config = ShardConfig {
            id,
            epoch,
            sinks: self.sinks.iter().map(decl).collect(),
            on_table_error: OnTableError::StopTable,
            stopped: stopped.iter().map(|table| table.name.clone()).collect(),
            limits: self.limits,
        };
        let encoders = (0..encodings).map(|_| SimEncoder::new(self.limits.batch_events)).collect();
        Shard::with_bugs(config, encoders, Seq(0), self.plant.bugs())
    }

    /// Power goes: everything in memory is gone, what was being written is torn.
    fn crash(&mut self) {
        self.reached.crashes += 1;
        if let Some((slot, bytes, ..)) = self.process.writing.take() {
            let cut = self.rng.below(bytes.len() + 1);
            self.reached.torn_checkpoints += u64::from(cut < bytes.len());
            write_slot(&mut self.slots[slot as usize], &bytes[..cut]);
        }
        for sink in &mut self.sinks {
            sink.crash(&mut self.rng);
        }
        self.disk.with(|disk| {
            disk.spill = disk.spill.crashed();
            disk.full = false;
        });
        self.start();
    }

    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }

    fn step(&mut self) {
        self.steps += 1;
        let what = self.rng.below(100);
        let shard = self.rng.below(self.process.shards.len());
        self.note((what << 8 | shard) as u64);
        match what {
            0..=5 => self.source.append(&mut self.rng),
            6..=8 => self.source.flush(&mut self.rng),
            9..=10 => self.source.show(&mut self.rng),
            11..=19 => self.read(),
            20..=23 => self.flush_router(),
            24..=35 => self.pump(),
            36..=43 => self.take_input(shard),
            44..=55 => self.encode(shard),
            56..=65 => self.deliver(shard),
            66..=75 => self.sink_step(),
            76..=78 => self.sink_sync(),
            79..=84 => self.ack(shard),
            85..=88 => self.report(shard),
            89..=92 => self.hear(shard),
            93..=95 => self.commit(),
            96 => self.saved(),
            97 => self.zombie(),
            98 => self.disk.with(|disk| disk.full = self.rng.one_in(4)),
            _ => self.misfortune(),
        }
        self.check_bounds();
    }

    fn read(&mut self) {
        // The reader reads on only when everything before has gone into the rings.
        if self.process.stalled.is_some() {
            return;
        }
        if self.process.draining {
            self.drained();
            return;
        }
        if !self.process.begun {
            let Process { reader, router, .. } = &mut self.process;
            let Some(view) = reader.begin(&self.source, self.snapshot, router) else { return };
            self.process.begun = true;
            self.reached.snapshots += u64::from(self.snapshot);
            for table in 0..TABLES {
                self.reads[table] = self.source.expected.state(table, view).len();
                let floor = self.source.expected.count(table, view);
                self.sinks.iter_mut().for_each(|sink| sink.floor[table] = floor);
            }
        }
        if self.rng.one_in(60) {
            self.reached.reconnects += 1;
            let Process { reader, router, .. } = &mut self.process;
            if reader.lose_connection(router) == Step::Restart {
                self.crash();
            }
            return;
        }
        let Process { reader, router, .. } = &mut self.process;
        let before = reader.streamed;
        let step = reader.step(&mut self.rng, &self.source, router);
        self.reached.pieces += u64::from(reader.streamed - before);
        if step == Step::Waits || self.rng.one_in(2) {
            router.flush().expect("ROUTER: flush");
        }
    }

    fn flush_router(&mut self) {
        self.process.router.flush().expect("ROUTER: flush");
    }

    /// One output of the router goes into its ring, if there is room.
    fn pump(&mut self) {
        let process = &mut self.process;
        if process.stalled.is_none() {
            match process.router.poll().unwrap_or_else(|error| panic!("SPILL: {error}")) {
                Some(RouterOutput::Point(point)) => process.points.push_back(point),
                Some(RouterOutput::ToShard(shard, input)) => process.stalled = Some((shard, input)),
                None => process.routed = true,
            }
        }
        if let Some((shard, input)) = process.stalled.take() {
            let ring = &mut process.rings[usize::from(shard.0)];
            if ring.len() < RING_MAX {
                ring.push_back(input);
            } else {
                process.stalled = Some((shard, input));
            }
        }
    }

    fn take_input(&mut self, shard: usize) {
        let process = &mut self.process;
        if process.shards[shard].can_accept()
            && let Some(input) = process.rings[shard].pop_front()
        {
            process.shards[shard].handle_input(input);
        }
    }

    fn encode(&mut self, shard: usize) {
        match self.process.shards[shard].poll_encode(0) {
            Ok(_) => {}
            Err(ShardError::NoAnswer { .. }) => {
                self.reached.unanswered += 1;
                self.crash();
            }
            Err(error) => panic!("SHARD: {error}"),
        }
    }

    fn now_ms(&self) -> u64 {
        self.steps / 10
    }

    fn deliver(&mut self, shard: usize) {
        let now = self.now_ms();
        if let Some(delivery) = self.process.shards[shard].poll_delivery(now) {
            let sink = &mut self.sinks[usize::from(delivery.sink.0)];
            let batch = delivery.batch;
            assert_eq!(batch.epoch, self.process.epoch, "EPOCH: of a batch");
            let at = (batch.shard.0, batch.lane.0);
            sink.wire.entry(at).or_default().push_back(batch);
        } else {
            let deadline = self.process.shards[shard].next_deadline_ms();
            assert!(deadline.is_none_or(|at| at > now), "DEADLINE: passed, and nothing is due");
        }
        if self.rng.one_in(20) {
            self.process.shards[shard].seal_now();
        }
    }

    fn sink_step(&mut self) {
        let at = self.rng.below(self.sinks.len());
        let acks = self.sinks[at].step(&mut self.rng, &self.source.expected);
        for (shard, ack) in acks {
            // Rarely an answer never comes: the shard notices by its age.
            if self.reached.crashes < CRASHES_MAX && self.rng.one_in(200) {
                continue;
            }
            self.note(ack.batch.0);
            self.process.acks[usize::from(shard)].push(ack);
        }
    }

    fn sink_sync(&mut self) {
        let at = self.rng.below(self.sinks.len());
        for (shard, ack) in self.sinks[at].sync() {
            self.process.acks[usize::from(shard)].push(ack);
        }
    }

    /// Answers come in any order.
    fn ack(&mut self, shard: usize) {
        let acks = &mut self.process.acks[shard];
        if !acks.is_empty() {
            let ack = acks.swap_remove(self.rng.below(acks.len()));
            self.process.shards[shard].handle_ack(ack).expect("SHARD: no sink is definite");
        }
    }

    fn report(&mut self, shard: usize) {
        let process = &mut self.process;
        let reports = &mut process.reports[shard];
        // A shard holds its progress until its stops were polled: forgetting them costs no data.
        let stops = self.rng.one_in(6);
        while stops && let Some(stop) = process.shards[shard].poll_stop() {
            match self.plant.has(WorldBug::ProgressOvertakesStop) {
                true => reports.push_front(Report::Stop(stop)),
                false => reports.push_back(Report::Stop(stop)),
            }
        }
        while let Some(progress) = process.shards[shard].poll_progress() {
            match self.plant.has(WorldBug::ProgressOvertakesStop) {
                true => process.coordinator.handle_progress(progress),
                false => reports.push_back(Report::Progress(progress)),
            }
        }
    }

    fn hear(&mut self, shard: usize) {
        let process = &mut self.process;
        match process.reports[shard].pop_front() {
            Some(Report::Stop(stop)) => process.coordinator.handle_stop(stop),
            Some(Report::Progress(progress)) => process.coordinator.handle_progress(progress),
            None => {}
        }
        if let Some(point) = process.points.pop_front() {
            process.coordinator.handle_point(point);
        }
        self.tell();
    }

    /// The watermark has passed a commit point: a checkpoint goes to the disk.
    fn commit(&mut self) {
        if self.process.writing.is_some() {
            return;
        }
        let commit = self.process.coordinator.poll_commit().expect("COORDINATOR: a position");
        let Some(commit) = commit else { return };
        self.note(commit.seq.0);
        let checkpoint = self.checkpoint(&commit);
        let chosen = choose_with(&self.slots[0], &self.slots[1], self.plant.bugs());
        let chosen = chosen.unwrap_or_else(|error| panic!("STATE: {error}"));
        let bytes = checkpoint.encode(chosen.next_generation);
        if self.plant.has(WorldBug::ToldBeforeDurable) {
            self.process.coordinator.handle_durable(commit.point);
            self.tell();
        }
        self.process.writing = Some((chosen.next_slot, bytes, checkpoint, commit.point));
    }

    fn checkpoint(&mut self, commit: &Commit) -> Checkpoint {
        let mut stopped = self.process.stopped.clone();
        for stop in &commit.stopped_tables {
            if !stopped.iter().any(|known| known.name == stop.name) {
                let (name, reason) = (stop.name.clone(), stop.reason.clone());
                stopped.push(StoppedTable { name, position: stop.position.to_string(), reason });
            }
        }
        let sinks = self.sinks.iter().zip(&commit.per_sink);
        let sinks = sinks.map(|(sink, (_, position))| SinkCheckpoint {
            name: format!("sink-{}", sink.id),
            position: position.clone(),
            state: sink.state_at(commit.seq),
        });
        Checkpoint {
            pipeline: "sim".into(),
            epoch: self.process.epoch,
            position: commit.position.clone(),
            sinks: sinks.collect(),
            snapshot: match commit.snapshot_done || !self.snapshot {
                true => SnapshotState::Done,
                false => SnapshotState::Pending,
            },
            chunks: Vec::new(),
            schema_version: commit.schema_version,
            bucket_generation: 1,
            stopped_tables: stopped,
            parked: commit.parked.clone(),
            version_reserve: 0,
        }
    }

    /// The checkpoint reached the disk.
    fn saved(&mut self) {
        let Some((slot, bytes, checkpoint, point)) = self.process.writing.take() else { return };
        write_slot(&mut self.slots[slot as usize], &bytes);
        self.check_checkpoint(&checkpoint);
        self.process.coordinator.handle_durable(point);
        self.process.router.handle_durable(point).expect("SPILL: remove");
        self.tell();
    }

    /// The source hears "flushed", and drops what is behind.
    fn tell(&mut self) {
        let Some(flushed) = self.process.coordinator.flushed() else { return };
        let told = self.source.entries_before(flushed);
        if told == self.told {
            return;
        }
        assert!(told >= self.told, "FLUSHED: went back");
        self.note(told as u64);
        self.told = told;
        self.source.floor = told;
    }

    fn check_checkpoint(&self, checkpoint: &Checkpoint) {
        let position = checkpoint.position.as_ref().expect("STATE: a position");
        let entry = self.source.entries_before(position);
        assert!(entry <= self.source.durable, "POSITION: beyond the source's log");
        let expected = &self.source.expected;
        if checkpoint.snapshot == SnapshotState::Done {
            for (sink, state) in self.sinks.iter().zip(&checkpoint.sinks) {
                sink.check_durable(entry, &state.state, expected);
                let own = state.position.as_ref().map(|at| self.source.entries_before(at));
                assert!(own >= Some(entry), "POSITION: a sink behind the pipeline");
            }
        }
        for (table, stop) in expected.stops.iter().enumerate() {
            if let Some(stop) = stop
                && stop.entry <= entry
            {
                let name = table_name(table as u32);
                let known = checkpoint.stopped_tables.iter().any(|s| s.name == name);
                assert!(known, "STOP: {name} stopped, and the checkpoint does not say so");
            }
        }
        let parked: Vec<u8> = checkpoint.parked.iter().map(|group| group.xid[0]).collect();
        let open: Vec<u8> = self.source.open_xids(entry).into_keys().collect();
        assert_eq!(parked, open, "PARKED: at checkpoint {entry}");
    }

    /// Asks the process to end in order. Inside the first snapshot that is a crash: no checkpoint
    /// is made there.
    fn drain(&mut self) {
        let Process { reader, router, begun, draining, routed, .. } = &mut self.process;
        if *draining || !*begun {
            return;
        }
        if reader.lose_connection(router) == Step::Restart {
            self.crash();
            return;
        }
        router.flush().expect("ROUTER: flush");
        (*draining, *routed) = (true, false);
    }

    /// Ends the process once all it read is durable and told to the source: not a byte less.
    fn drained(&mut self) {
        for shard in 0..self.process.shards.len() {
            self.report(shard);
        }
        let process = &self.process;
        let waits = !process.routed
            || process.rings.iter().any(|ring| !ring.is_empty())
            || process.reports.iter().any(|reports| !reports.is_empty())
            || !process.points.is_empty()
            || !process.shards.iter().all(Shard::is_idle);
        if waits {
            return;
        }
        self.commit();
        if self.process.writing.is_some() {
            return;
        }
        self.tell();
        let read = self.process.reader.next;
        assert_eq!(self.told, read, "DRAIN: not everything that was read is durable");
        self.reached.drains += 1;
        self.start();
    }

    fn zombie(&mut self) {
        let at = self.rng.below(self.sinks.len());
        self.reached.zombies += u64::from(!self.sinks[at].zombies.is_empty());
        self.sinks[at].zombie(&mut self.rng, &self.source.expected);
    }

    fn misfortune(&mut self) {
        match self.rng.below(8) {
            0 if self.reached.crashes < CRASHES_MAX => self.crash(),
            1 if self.source.log.len() < self.source.entries_max => {
                self.source.crash();
                self.reached.source_crashes += 1;
                self.source.identity += u32::from(self.rng.one_in(2));
                let Process { reader, router, begun, .. } = &mut self.process;
                if *begun && reader.lose_connection(router) == Step::Restart {
                    self.crash();
                }
            }
            2 => self.drain(),
            _ => {}
        }
    }

    fn check_bounds(&self) {
        let process = &self.process;
        assert!(process.rings.iter().all(|ring| ring.len() <= RING_MAX), "BOUND: ring");
        let points = process.coordinator.points_len();
        assert!(points <= self.limits.commit_points, "BOUND: {points} commit points");
        for shard in &process.shards {
            for sink in &self.sinks {
                let waiting = shard.in_flight(sink.id);
                assert!(waiting <= self.limits.in_flight_batches, "BOUND: {waiting} in flight");
            }
        }
        // One step's segment may come on top of a group, and what is queued for the rings.
        let held = process.router.held_bytes();
        assert!(held <= self.limits.group_bytes + 600, "BOUND: {held} bytes of a group");
    }

    fn quiet(&self) -> bool {
        self.source.finished()
            && self.told == self.source.durable
            && self.process.writing.is_none()
            && self.sinks.iter().all(Sink::quiet)
            && self.process.shards.iter().all(Shard::is_idle)
    }

    pub fn run(mut self) -> Outcome {
        while !self.quiet() {
            self.step();
            assert!(self.steps < STEPS_MAX, "LIVENESS: still busy");
        }
        for sink in &self.sinks {
            sink.check_end(&self.reads, self.source.durable, &self.source.expected);
        }
        let delivered = self.sinks.iter().map(|sink| sink.delivered).sum();
        let stops = self.source.expected.stops.iter().flatten().count();
        self.reached.table_stops = stops as u64;
        (self.reached.full_disks, self.reached.spills) =
            self.disk.with(|disk| (disk.fulls, disk.appends));
        self.note(delivered);
        for slot in self.slots.clone() {
            slot.iter().for_each(|byte| self.note(u64::from(*byte)));
        }
        Outcome { trace: self.trace, steps: self.steps, delivered, reached: self.reached }
    }
}

/// Writes in place, as a file of fixed length is: what was longer stays behind.
fn write_slot(slot: &mut Vec<u8>, bytes: &[u8]) {
    if slot.len() < bytes.len() {
        slot.resize(bytes.len(), 0);
    }
    slot[..bytes.len()].copy_from_slice(bytes);
}

impl Process {
    /// Before the first start.
    fn dummy(disk: &Disk) -> Self {
        let map = BucketMap::round_robin(1);
        let start = CoordinatorStart::default();
        Self {
            epoch: Epoch(0),
            router: Router::new(map, Box::new(disk.clone())),
            reader: Reader::new(Plant::None, None, [false; TABLES]),
            shards: Vec::new(),
            coordinator: Coordinator::new(1, 1, start).expect("invariant: nothing to read"),
            rings: Vec::new(),
            stalled: None,
            points: VecDeque::new(),
            reports: Vec::new(),
            acks: Vec::new(),
            writing: None,
            begun: false,
            draining: false,
            routed: false,
            stopped: Vec::new(),
        }
    }
}
