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
            }
            _ => self.points.push_back(Point { id, seq, moved, parked, stops, snapshot_done }),
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
}
