//! Coordinator: the watermark of a pipeline, and which position it stands for.
//!
//! Enters: commit points from the router, progress and table stops from shards, "durable" from
//! the store. Leaves: commits (what the next checkpoint holds), and the position that the source
//! may be told. Keeps: the watermark is the least over all shards and sinks; the source hears
//! "flushed" after the checkpoint is durable (invariant 4); a table's stop is recorded before the
//! watermark passes it (HAZARDS L21); points are bounded (HAZARDS H6). It compares `Seq` only.
//!
//! How a pipeline drives it: every message into its `handle_*`, those of one shard in their order
//! (a stop before the progress behind it); when the store is free, `poll_commit`, ask the sinks
//! for their state at `Commit::seq`, save, then `handle_durable(commit.point)` here and at the
//! router, then tell the source `flushed()`.

use std::collections::{BTreeMap, VecDeque};

use penstock_protocol::position::Position;

use crate::bugs::{Bug, Bugs};
use crate::fold::{Folded, Moved, PositionError};
use crate::hop::{CommitPoint, ParkedChange, ParkedGroup, ShardProgress, TableStop};
use crate::limits::Limits;
use crate::seq::{PointId, Seq};

/// What the next checkpoint is to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Names it: `handle_durable` wants it back.
    pub point: PointId,
    /// Watermark: every event up to here is durable in every sink. Several commits may have the
    /// same, with a position that moved.
    pub seq: Seq,
    /// Position at `seq`. `None`: no position is known yet, nothing may be checkpointed.
    pub position: Option<Position>,
    /// By sink: its own watermark, and the position of the last commit point below it.
    pub per_sink: Vec<(Seq, Option<Position>)>,
    /// Tables that stopped in this run at or before `position`.
    pub stopped_tables: Vec<TableStop>,
    /// XA transactions that wait for their end.
    pub parked: Vec<ParkedGroup>,
    /// The first snapshot is whole.
    pub snapshot_done: bool,
    /// Version of the schema history at `position`; 0: none.
    pub schema_version: u64,
}

/// The coordinator of a pipeline.
pub struct Coordinator {
    bugs: Bugs,
    points_max: usize,
    /// By shard, by sink.
    through: Vec<Vec<Seq>>,
    /// Waiting for some sink's watermark.
    points: VecDeque<Point>,
    last: (PointId, Seq),
    /// By sink, then the whole pipeline.
    cursors: Vec<Cursor>,
    /// From shards: each counts from its `Seq` on.
    stops: Vec<TableStop>,
    /// From the reader, up to the pipeline's watermark.
    reader_stops: Vec<TableStop>,
    parked: BTreeMap<Vec<u8>, ParkedGroup>,
    snapshot_done: bool,
    schema_version: u64,
    /// A commit was polled and is not durable yet, oldest first.
    saving: VecDeque<(PointId, Option<Position>)>,
    committed: PointId,
    flushed: Option<Position>,
}

struct Point {
    id: PointId,
    seq: Seq,
    moved: Moved,
    parked: Vec<ParkedChange>,
    stops: Vec<TableStop>,
    snapshot_done: bool,
    schema_version: u64,
}

/// How far one watermark has folded the points.
struct Cursor {
    position: Folded,
    point: PointId,
    seq: Seq,
}

impl Coordinator {
    /// `start`: position, parked transactions and state of the snapshot as the checkpoint has
    /// them; default without one. An unreadable position is an error.
    pub fn new(shards: u16, sinks: u16, start: CoordinatorStart) -> Result<Self, PositionError> {
        Self::with_limits(shards, sinks, start, Limits::default(), Bugs::NONE)
    }

    /// The same with other bounds (tests), and planted bugs.
    #[doc(hidden)]
    pub fn with_limits(
        shards: u16,
        sinks: u16,
        start: CoordinatorStart,
        limits: Limits,
        bugs: Bugs,
    ) -> Result<Self, PositionError> {
        assert!(shards > 0 && sinks > 0, "a pipeline has shards and sinks");
        let folded = Folded::new(start.position.clone())?;
        let cursor = || Cursor { position: folded.clone(), point: PointId(0), seq: Seq(0) };
        Ok(Self {
            bugs,
            points_max: limits.commit_points,
            through: vec![vec![Seq(0); usize::from(sinks)]; usize::from(shards)],
            points: VecDeque::new(),
            last: (PointId(0), Seq(0)),
            cursors: (0..=sinks).map(|_| cursor()).collect(),
            stops: Vec::new(),
            reader_stops: Vec::new(),
            parked: start.parked.into_iter().map(|group| (group.xid.clone(), group)).collect(),
            snapshot_done: start.snapshot_done,
            schema_version: start.schema_version,
            saving: VecDeque::new(),
            committed: PointId(0),
            flushed: start.position,
        })
    }

    /// The next commit point of the router.
    pub fn handle_point(&mut self, point: CommitPoint) {
        assert!(point.point > self.last.0 && point.seq >= self.last.1, "points went back");
        self.last = (point.point, point.seq);
        let mut moved = Moved::default();
        if let Some(base) = point.base {
            moved.set_base(base);
        }
        if let Some(delta) = &point.delta {
            moved.add(delta);
        }
        let CommitPoint { point: id, seq, parked, stops, snapshot_done, .. } = point;
        let schema_version = point.schema_version;
        let full = self.points.len() >= self.points_max && !self.bugs.has(Bug::PointsUnbounded);
        match self.points.back_mut() {
            // A full queue grows coarser, never wrong: the last point now ends where the new one
            // does. A cursor that has passed the old one folds its part again, which changes
            // nothing, for a part ends where the whole does.
            Some(last) if full || last.seq == seq => {
                if full && self.bugs.has(Bug::PointLostWhenFull) {
                    last.moved = Moved::default();
                }
                (last.id, last.seq) = (id, seq);
                last.moved.join(moved);
                last.parked.extend(parked);
                last.stops.extend(stops);
                last.snapshot_done |= snapshot_done;
                last.schema_version = schema_version;
            }
            _ => self.points.push_back(Point {
                id,
                seq,
                moved,
                parked,
                stops,
                snapshot_done,
                schema_version,
            }),
        }
    }

    /// A shard's progress in one sink.
    pub fn handle_progress(&mut self, progress: ShardProgress) {
        let ShardProgress { shard, sink, through } = progress;
        let known = &mut self.through[usize::from(shard.0)][usize::from(sink.0)];
        assert!(through >= *known, "the watermark of a shard went back");
        *known = through;
    }

    /// A table of a shard stops. Comes before that shard's progress passes it. (What the reader
    /// stops comes with a commit point: a position may pass it without any `Seq`.)
    pub fn handle_stop(&mut self, stop: TableStop) {
        if !self.bugs.has(Bug::StopUnrecorded) {
            self.stops.push(stop);
        }
    }

    fn low(&self, sink: usize) -> Seq {
        self.through.iter().map(|shard| shard[sink]).min().unwrap_or_default()
    }

    /// Watermark of the pipeline.
    pub fn watermark(&self) -> Seq {
        let sinks = match self.bugs.has(Bug::OneSinkCounts) {
            true => 1,
            false => self.cursors.len() - 1,
        };
        (0..sinks).map(|sink| self.low(sink)).min().unwrap_or_default()
    }

    /// The newest commit, if the watermark has passed a commit point since the last. Ask when the
    /// store is ready to save: what lies between is skipped.
    pub fn poll_commit(&mut self) -> Result<Option<Commit>, PositionError> {
        let low = self.watermark();
        let Some(newest) = self.points.iter().rfind(|point| point.seq <= low) else {
            return Ok(None);
        };
        if newest.id <= self.committed {
            return Ok(None);
        }
        self.committed = newest.id;
        self.fold()?;
        let (whole, sinks) = self.cursors.split_last().expect("invariant: sinks and the whole");
        let position = whole.position.position();
        let of_shards = self.stops.iter().filter(|stop| stop.seq <= whole.seq);
        let commit = Commit {
            point: whole.point,
            seq: whole.seq,
            position: position.clone(),
            per_sink: sinks.iter().map(|at| (at.seq, at.position.position())).collect(),
            stopped_tables: self.reader_stops.iter().chain(of_shards).cloned().collect(),
            parked: self.parked.values().cloned().collect(),
            snapshot_done: self.snapshot_done,
            schema_version: self.schema_version,
        };
        if self.bugs.has(Bug::FlushedAtWatermark) {
            self.flushed.clone_from(&position);
        }
        self.saving.push_back((commit.point, position));
        Ok(Some(commit))
    }

    /// Moves every cursor up to its watermark and lets points go that all have passed.
    fn fold(&mut self) -> Result<(), PositionError> {
        let whole = self.cursors.len() - 1;
        for at in 0..=whole {
            let low = if at == whole { self.watermark() } else { self.low(at) };
            let from = self.points.partition_point(|point| point.id <= self.cursors[at].point);
            let to = self.points.partition_point(|point| point.seq <= low);
            for point in self.points.range(from..to.max(from)) {
                let cursor = &mut self.cursors[at];
                cursor.position.apply(&point.moved)?;
                (cursor.point, cursor.seq) = (point.id, point.seq);
                if at != whole {
                    continue;
                }
                self.snapshot_done |= point.snapshot_done;
                self.schema_version = point.schema_version;
                match self.bugs.has(Bug::ReaderStopBySeq) {
                    true => self.stops.extend_from_slice(&point.stops),
                    false => self.reader_stops.extend_from_slice(&point.stops),
                }
                for change in &point.parked {
                    match change {
                        ParkedChange::Parked(group) => {
                            self.parked.insert(group.xid.clone(), ParkedGroup::clone(group));
                        }
                        ParkedChange::Released(xid) => {
                            self.parked.remove(xid);
                        }
                    }
                }
            }
        }
        let passed = self.cursors.iter().map(|cursor| cursor.point).min().unwrap_or_default();
        while self.points.front().is_some_and(|point| point.id <= passed) {
            self.points.pop_front();
        }
        Ok(())
    }

    /// The checkpoint of this commit is durable. Commits become durable in their order; one that
    /// was never saved may be skipped.
    pub fn handle_durable(&mut self, point: PointId) {
        while let Some((id, _)) = self.saving.front()
            && *id <= point
        {
            let Some((_, position)) = self.saving.pop_front() else { break };
            self.flushed = position.or(self.flushed.take());
        }
    }

    /// What the source may be told: everything before is durable here. `None`: nothing yet.
    pub fn flushed(&self) -> Option<&Position> {
        self.flushed.as_ref()
    }

    /// Points that wait.
    pub fn points_len(&self) -> usize {
        self.points.len()
    }
}

/// Where a coordinator begins: what the checkpoint says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoordinatorStart {
    /// Position of the checkpoint.
    pub position: Option<Position>,
    /// Its parked transactions.
    pub parked: Vec<ParkedGroup>,
    /// Its first snapshot is whole.
    pub snapshot_done: bool,
    /// Its version of the schema history.
    pub schema_version: u64,
}

#[cfg(test)]
mod tests {
    use penstock_protocol::frame::TableId;
    use penstock_protocol::position::{BinlogPosition, Gtid, LsnPosition, PositionDelta};
    use penstock_protocol::schema::TableName;
    use proptest::prelude::*;

    use super::*;
    use crate::seq::{ShardId, SinkId};

    fn start(lsn: u64) -> CoordinatorStart {
        let position = Some(position(lsn));
        CoordinatorStart { position, parked: Vec::new(), snapshot_done: true, schema_version: 0 }
    }

    fn position(lsn: u64) -> Position {
        let system_id = "7".into();
        Position::Postgres(LsnPosition { system_id, timeline: 1, lsn, last_commit_lsn: 0 })
    }

    fn point(point: u64, seq: u64, lsn: u64) -> CommitPoint {
        CommitPoint {
            point: PointId(point),
            seq: Seq(seq),
            base: None,
            delta: Some(PositionDelta::Lsn { lsn, commit_lsn: 0 }),
            parked: Vec::new(),
            stops: Vec::new(),
            snapshot_done: false,
            schema_version: 0,
        }
    }

    fn progress(shard: u16, sink: u16, through: u64) -> ShardProgress {
        ShardProgress { shard: ShardId(shard), sink: SinkId(sink), through: Seq(through) }
    }

    fn stop(seq: u64) -> TableStop {
        let name = TableName { database: "d".into(), schema: String::new(), table: "t".into() };
        TableStop { table: TableId(0), name, seq: Seq(seq), position: 1, reason: "r".into() }
    }

    #[test]
    fn l23_a_commit_has_the_schema_version_of_its_position() {
        // Goal: a version that lies beyond the watermark is in no checkpoint, also when points are
        // merged; method: three points, two of one `Seq`, the watermark between them.
        let mut coordinator = Coordinator::new(1, 1, start(10)).unwrap();
        let at =
            |id, seq, schema_version| CommitPoint { schema_version, ..point(id, seq, 20 + id) };
        coordinator.handle_point(at(1, 0, 2));
        coordinator.handle_point(at(2, 0, 3));
        coordinator.handle_point(at(3, 1, 4));
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!((commit.schema_version, commit.position), (3, Some(position(22))));
        coordinator.handle_progress(progress(0, 0, 1));
        assert_eq!(coordinator.poll_commit().unwrap().unwrap().schema_version, 4);
    }

    #[test]
    fn the_source_hears_of_durable_checkpoints_only() {
        // Goal: invariant 4, also for two commits at one `Seq`; method: a keepalive moves the
        // position twice, the first checkpoint becomes durable.
        let mut coordinator = Coordinator::new(1, 1, start(10)).unwrap();
        assert_eq!(coordinator.flushed(), Some(&position(10)));
        coordinator.handle_point(point(1, 0, 20));
        let first = coordinator.poll_commit().unwrap().unwrap();
        coordinator.handle_point(point(2, 0, 30));
        let second = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!((first.seq, second.seq), (Seq(0), Seq(0)));
        assert_eq!(coordinator.flushed(), Some(&position(10)));
        coordinator.handle_durable(first.point);
        assert_eq!(coordinator.flushed(), Some(&position(20)));
        coordinator.handle_durable(second.point);
        assert_eq!(coordinator.flushed(), Some(&position(30)));
        assert_eq!(coordinator.poll_commit().unwrap(), None);
    }

    #[test]
    fn h07_the_slowest_shard_and_sink_hold_the_watermark() {
        // Goal: the least over all, and each sink's own position beside it; method: two shards,
        // two sinks, one of the four behind.
        let mut coordinator = Coordinator::new(2, 2, start(10)).unwrap();
        (1..=3).for_each(|n| coordinator.handle_point(point(n, n, 10 * n + 10)));
        for (shard, sink, through) in [(0, 0, 3), (1, 0, 3), (0, 1, 1), (1, 1, 3)] {
            coordinator.handle_progress(progress(shard, sink, through));
        }
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!((commit.seq, commit.position), (Seq(1), Some(position(20))));
        let own = [(Seq(3), Some(position(40))), (Seq(1), Some(position(20)))];
        assert_eq!(commit.per_sink, own);
        assert_eq!(coordinator.points_len(), 2);
    }

    #[test]
    fn l21_stops_are_in_the_commit_that_passes_them() {
        // Goal: a shard's stop counts from its `Seq` on, a reader's from its point on; method:
        // commits before and behind each.
        let mut coordinator = Coordinator::new(1, 1, start(10)).unwrap();
        coordinator.handle_stop(stop(2));
        coordinator.handle_point(point(1, 1, 20));
        coordinator.handle_progress(progress(0, 0, 1));
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!(commit.stopped_tables, []);
        // No `Seq` at all moves here: the position passes what the reader stopped.
        coordinator.handle_point(CommitPoint { stops: vec![stop(2)], ..point(2, 1, 30) });
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!(commit.stopped_tables, [stop(2)]);
        coordinator.handle_point(point(3, 2, 40));
        coordinator.handle_progress(progress(0, 0, 2));
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!(commit.stopped_tables, [stop(2), stop(2)]);
    }

    #[test]
    fn nothing_is_committed_without_a_position() {
        // Goal: a new pipeline has no position until the router gives its base; method: a delta
        // alone, then a base.
        let mut coordinator = Coordinator::new(1, 1, CoordinatorStart::default()).unwrap();
        coordinator.handle_point(point(1, 0, 20));
        assert_eq!(coordinator.poll_commit().unwrap().unwrap().position, None);
        let base = Some(position(5));
        coordinator.handle_point(CommitPoint { base, snapshot_done: true, ..point(2, 0, 6) });
        let commit = coordinator.poll_commit().unwrap().unwrap();
        assert_eq!((commit.position, commit.snapshot_done), (Some(position(6)), true));
        assert_eq!(coordinator.flushed(), None);
    }

    #[test]
    fn a_position_that_cannot_be_read_is_an_error() {
        // Goal: a damaged position never becomes an empty one; method: GTIDs that are none.
        let (server_uuid, file, gtids) = (String::new(), String::new(), Some("x".to_owned()));
        let position = Position::MySql(BinlogPosition { server_uuid, file, pos: 4, gtids });
        let from = CoordinatorStart { position: Some(position), ..CoordinatorStart::default() };
        assert!(Coordinator::new(1, 1, from).is_err());
    }

    proptest! {
        #[test]
        fn h06_a_full_queue_is_coarser_and_never_wrong(
            steps in proptest::collection::vec((0u8..4, 0u64..5), 1..80),
            points_max in 1usize..4,
        ) {
            // Goal: with any bound the points stay below it, and every commit's position is exactly
            // the transactions up to its `Seq`; method: transaction n has GTID n, random progress.
            let gtids = |n: u64| match n {
                0 => String::new(),
                1 => "11111111-1111-1111-1111-111111111111:1".into(),
                n => format!("11111111-1111-1111-1111-111111111111:1-{n}"),
            };
            let at = |n: u64| {
                let (server_uuid, file) = ("u".into(), "b".into());
                Position::MySql(BinlogPosition { server_uuid, file, pos: n, gtids: Some(gtids(n)) })
            };
            let from = CoordinatorStart { position: Some(at(0)), ..CoordinatorStart::default() };
            let limits = Limits { commit_points: points_max, ..Limits::default() };
            let mut coordinator =
                Coordinator::with_limits(2, 2, from, limits, Bugs::NONE).unwrap();
            let (mut seq, mut through) = (0, [[0; 2]; 2]);
            for (what, n) in steps {
                if what == 0 {
                    seq += 1;
                    let gtid = Gtid::MySql { uuid: [0x11; 16], tag: "".into(), number: seq };
                    let delta = PositionDelta::Binlog {
                        at: Some(("b".into(), seq)),
                        gtids: vec![gtid],
                    };
                    coordinator.handle_point(CommitPoint {
                        delta: Some(delta),
                        ..point(seq, seq, 0)
                    });
                } else {
                    let (shard, sink) = (usize::from(what) % 2, usize::from(what) / 2);
                    let known: &mut u64 = &mut through[shard][sink];
                    *known = (*known + n).min(seq);
                    coordinator.handle_progress(progress(shard as u16, sink as u16, *known));
                }
                prop_assert!(coordinator.points_len() <= points_max);
                if let Some(commit) = coordinator.poll_commit().unwrap() {
                    let low = through.iter().flatten().copied().min().unwrap();
                    prop_assert!(commit.seq.0 <= low);
                    prop_assert_eq!(commit.position, Some(at(commit.seq.0)));
                    for (seq, position) in commit.per_sink {
                        prop_assert_eq!(position, Some(at(seq.0)));
                    }
                }
            }
            for (shard, sink) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                coordinator.handle_progress(progress(shard, sink, seq));
            }
            if seq > 0 && through != [[seq; 2]; 2] {
                let commit = coordinator.poll_commit().unwrap().unwrap();
                prop_assert_eq!(commit.position, Some(at(seq)));
            }
        }
    }
}
