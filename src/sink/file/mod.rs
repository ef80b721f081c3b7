//! `file`: one JSON-lines file a topic, in a folder.
//!
//! Enters: batches. Leaves: lines, and `Durable` once the files and their names are synced. Keeps:
//! no half line and no line twice from one run; with `exactly_once` a restart finds each file as
//! it was at the checkpoint, across rotations; a full disk is waited out with everything kept.
//!
//! One topic's rows come from one shard in the order of the log, so a length divides what a
//! watermark has passed from what it has not (`lengths`).

mod lengths;
mod manifest;
mod output;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_shards::batch::SealedBatch;
use penstock_shards::limits::IN_FLIGHT_BATCHES_MAX;
use penstock_shards::seq::{Seq, ShardId};
use serde_json::Value;

use self::lengths::{Place, Run};
use self::output::{Output, Trouble};
use self::restore::{Opening, SavedState};
use super::line::{self, ContextHeaders, TopicHeads};
use super::{BatchHandle, Declaration, Fencing, Resume, Sink};
use crate::error::{Error, Result};

/// A file is written in pieces of about this size, bytes.
const WRITE_BYTES: usize = 256 << 10;
/// What one very large row leaves of the line buffer, bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Written bytes after which files are synced.
const SYNC_BYTES: usize = 16 << 20;
/// Batches of one shard after which they are: it must not run dry while it waits.
const SYNC_BATCHES: usize = IN_FLIGHT_BATCHES_MAX * 3 / 4;
/// Files are synced at least this long after a write …
const SYNC_AGE_MIN: Duration = Duration::from_millis(100);
/// … at most this long, and as seldom as makes syncing a twentieth of the time.
const SYNC_AGE_MAX: Duration = Duration::from_secs(1);
/// Between tries while the disk is full: 1, 2, 4, 8, 15, 15 … seconds.
const FULL_RETRY_MAX: Duration = Duration::from_secs(15);
/// While closing there is no time for that.
const CLOSE_RETRY: Duration = Duration::from_millis(50);
/// Runs remembered over all files; beyond, they are joined.
const RUNS_MAX: usize = 1 << 17;

/// What the configuration says.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Pipeline's name.
    pub pipeline: String,
    /// What all topics begin with: name and delimiter.
    pub topic_prefix: String,
    /// 0: never rotated.
    pub rotate_bytes: u64,
    /// Cut back at start.
    pub exactly_once: bool,
    /// Lines carry them.
    pub headers: Option<ContextHeaders>,
}

/// The sink.
pub struct FileSink {
    options: FileOptions,
    output: Option<Output>,
    heads: TopicHeads,
    /// File by shard and topic index of its encoder.
    files_of: Vec<Vec<Option<usize>>>,
    groups: Groups,
    buffer: Vec<u8>,
    runs: Vec<Run>,
    runs_total: usize,
    runs_max: usize,
    /// Not written yet, the first perhaps in part.
    queue: VecDeque<BatchHandle>,
    /// How far the first of `queue` is; `None`: not begun.
    progress: Option<Progress>,
    /// The disk is full.
    full: Option<Full>,
    /// Written, not durable yet.
    unsynced: Vec<BatchHandle>,
    unsynced_by_shard: Vec<usize>,
    unsynced_bytes: usize,
    unsynced_since: Option<Instant>,
    last_sync: Duration,
    committed: Option<Vec<u8>>,
}

/// Where writing a batch goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Group of one topic's events.
    group: usize,
    /// Next event of the group; `None`: its first.
    event: Option<u32>,
}

#[derive(Debug)]
struct Full {
    until: Instant,
    pause: Duration,
}

impl FileSink {
    /// A sink that is not open yet.
    pub fn new(options: FileOptions) -> Self {
        Self {
            options,
            output: None,
            heads: TopicHeads::default(),
            files_of: Vec::new(),
            groups: Groups::default(),
            buffer: Vec::new(),
            runs: Vec::new(),
            runs_total: 0,
            runs_max: RUNS_MAX,
            queue: VecDeque::new(),
            progress: None,
            full: None,
            unsynced: Vec::new(),
            unsynced_by_shard: Vec::new(),
            unsynced_bytes: 0,
            unsynced_since: None,
            last_sync: Duration::ZERO,
            committed: None,
        }
    }

    fn output(&mut self) -> &mut Output {
        self.output.as_mut().expect("invariant: open is called before all else")
    }

    /// Writes what waits, until the disk is full.
    fn write_queue(&mut self) -> Result<()> {
        while !self.queue.is_empty() {
            match self.write_first() {
                Ok(()) => self.written()?,
                Err(Trouble::Full(what)) => {
                    self.wait_for_room(&what);
                    return Ok(());
                }
                Err(Trouble::Fatal(error)) => return Err(error),
            }
        }
        if self.full.take().is_some() {
            tracing::info!("there is room on the disk again: delivery goes on");
        }
        Ok(())
    }

    fn wait_for_room(&mut self, what: &str) {
        let pause = self
            .full
            .as_ref()
            .map_or(Duration::from_secs(1), |full| (full.pause * 2).min(FULL_RETRY_MAX));
        self.full = Some(Full { until: Instant::now() + pause, pause });
        tracing::warn!(
            code = "sink-disk-full",
            "{what}; nothing is lost, next try in {} s: make room on that file system",
            pause.as_secs()
        );
    }

    /// Writes the first batch of the queue, from where it was left.
    fn write_first(&mut self) -> std::result::Result<(), Trouble> {
        let batch = Arc::clone(self.queue[0].batch());
        if self.progress.is_none() {
            self.groups.divide(&batch);
            self.progress = Some(Progress::default());
        }
        self.own_files(&batch)?;
        while let Some(progress) = self.progress
            && let Some(&topic) = self.groups.topics.get(progress.group)
        {
            let event = progress.event.or(Some(self.groups.first(topic)));
            self.write_group(&batch, topic, event)?;
            self.progress = Some(Progress { group: progress.group + 1, event: None });
        }
        Ok(())
    }

    /// Finds the file of every topic of the batch; names new ones in the manifest.
    fn own_files(&mut self, batch: &SealedBatch) -> std::result::Result<(), Trouble> {
        let shard = usize::from(batch.shard.0);
        if self.files_of.len() <= shard {
            self.files_of.resize_with(shard + 1, Vec::new);
        }
        let files_of = &mut self.files_of[shard];
        if files_of.len() < batch.topics.len() {
            files_of.resize(batch.topics.len(), None);
        }
        let output = self.output.as_mut().expect("invariant: open is called before all else");
        let mut new = Vec::new();
        for &topic in &self.groups.topics {
            let topic = topic as usize;
            if let Some(index) = files_of[topic] {
                assert_eq!(output.files[index].topic, batch.topics[topic], "topics reordered");
                continue;
            }
            let index = output.file_of(&batch.topics[topic])?;
            claim(output, index, batch.shard, self.options.exactly_once)?;
            new.push((topic, index));
        }
        output.own(new.iter().map(|&(_, index)| index))?;
        for (topic, index) in new {
            files_of[topic] = Some(index);
        }
        Ok(())
    }

    /// Writes the events of one topic, from `event` on.
    fn write_group(
        &mut self,
        batch: &SealedBatch,
        topic: u32,
        mut event: Option<u32>,
    ) -> std::result::Result<(), Trouble> {
        let file = self.files_of[usize::from(batch.shard.0)][topic as usize];
        let file = file.expect("invariant: own_files found it");
        while let Some(first) = event {
            let (next, rotate) = self.compose(batch, topic, first, file);
            if rotate {
                self.output().rotate(file)?;
                continue;
            }
            let lines = std::mem::take(&mut self.buffer);
            let result = self.output().write(file, &lines);
            self.buffer = lines;
            result?;
            self.remember(file);
            event = next;
            let group = self.progress.map_or(0, |progress| progress.group);
            self.progress = Some(Progress { group, event });
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Composes lines from event `first` of the group on: as many as make one write, or as the
    /// file has room for before it is rotated. Gives the next event, and true if not even the
    /// first line has room.
    fn compose(
        &mut self,
        batch: &SealedBatch,
        topic: u32,
        first: u32,
        file: usize,
    ) -> (Option<u32>, bool) {
        let place = self.output().files[file].place;
        let room = match self.options.rotate_bytes {
            0 => u64::MAX,
            max => max.saturating_sub(place.len),
        };
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES_MAX);
        self.runs.clear();
        let head = self.heads.get(batch, topic);
        let (mut event, mut mark) = (Some(first), 0);
        while let Some(at) = event {
            let start = self.buffer.len();
            let row = &batch.body.events[at as usize];
            line::append(&mut self.buffer, head, &batch.body, row, self.options.headers.as_ref());
            if self.buffer.len() as u64 > room && place.len + start as u64 > 0 {
                self.buffer.truncate(start);
                return (event, start == 0);
            }
            let len = place.len + self.buffer.len() as u64;
            let end = Place { rotations: place.rotations, len };
            let passed = batch.marks[mark..].partition_point(|&(_, count)| count <= at);
            mark += passed;
            match self.runs.last_mut() {
                Some(run) if passed == 0 => (run.last, run.end) = (row.seq, end),
                _ => self.runs.push(Run { first: row.seq, last: row.seq, end }),
            }
            event = self.groups.next(at);
            if self.buffer.len() >= WRITE_BYTES {
                break;
            }
        }
        (event, false)
    }

    fn remember(&mut self, file: usize) {
        let output = self.output.as_mut().expect("invariant: open is called before all else");
        let file = &mut output.files[file];
        if file.shared {
            return;
        }
        for &run in &self.runs {
            self.runs_total += usize::from(file.lengths.push(run));
        }
        while self.runs_total > self.runs_max {
            let gone: usize = output.files.iter_mut().map(|f| f.lengths.coarsen()).sum();
            self.runs_total -= gone;
            if gone == 0 {
                break;
            }
        }
    }

    /// The first batch of the queue is written whole.
    fn written(&mut self) -> Result<()> {
        self.progress = None;
        let Some(handle) = self.queue.pop_front() else { return Ok(()) };
        let shard = usize::from(handle.shard().0);
        if self.unsynced_by_shard.len() <= shard {
            self.unsynced_by_shard.resize(shard + 1, 0);
        }
        self.unsynced_by_shard[shard] += 1;
        self.unsynced_bytes += handle.batch().body.used();
        self.unsynced_since.get_or_insert_with(Instant::now);
        let many = self.unsynced_by_shard[shard] >= SYNC_BATCHES;
        self.unsynced.push(handle);
        if many || self.unsynced_bytes >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    /// Makes durable what is written, and says so.
    fn sync(&mut self) -> Result<()> {
        if self.unsynced_since.take().is_none() {
            return Ok(());
        }
        let start = Instant::now();
        self.output().sync().map_err(into_error)?;
        self.last_sync = start.elapsed();
        self.unsynced_bytes = 0;
        self.unsynced_by_shard.fill(0);
        self.unsynced.drain(..).for_each(BatchHandle::durable);
        Ok(())
    }

    fn sync_at(&self) -> Option<Instant> {
        let age = (self.last_sync * 20).clamp(SYNC_AGE_MIN, SYNC_AGE_MAX);
        self.unsynced_since.map(|since| since + age)
    }

    /// Tells tailing readers how far the files are final: one small file, replaced in one step.
    fn write_committed(&mut self, seq: Seq) -> io::Result<()> {
        let output = self.output.as_ref().expect("invariant: open is called before all else");
        let files: serde_json::Map<String, Value> = output
            .files
            .iter()
            .filter_map(|file| {
                let place = file.lengths.at(seq).filter(|_| !file.shared)?;
                let value = serde_json::to_value(place).ok()?;
                (place != Place::default()).then(|| (format!("{}.jsonl", file.topic), value))
            })
            .collect();
        let text = serde_json::to_vec(&serde_json::json!({ "files": files }))?;
        if self.committed.as_ref() == Some(&text) {
            return Ok(());
        }
        let new = output.own.join("committed.new");
        std::fs::write(&new, &text)?;
        std::fs::rename(&new, output.own.join("committed"))?;
        self.committed = Some(text);
        Ok(())
    }
}

/// Notes whose rows a file takes. Rows of two shards mix, so that no length divides them.
fn claim(
    output: &mut Output,
    index: usize,
    shard: ShardId,
    exactly_once: bool,
) -> std::result::Result<(), Trouble> {
    let file = &mut output.files[index];
    if *file.shard.get_or_insert(shard) == shard {
        return Ok(());
    }
    if exactly_once {
        let what = format!("two tables of different shards have the topic {}", file.topic);
        return Err(Trouble::Fatal(Error::fatal("sink-topic-shared", what).hint(
            "leave one of the tables out with `exclude_tables`, or set `delivery` to \
             \"at_least_once\"",
        )));
    }
    file.shared = true;
    Ok(())
}

fn into_error(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Fatal(error) => error,
        Trouble::Full(what) => Error::fatal("sink-disk-full", what)
            .hint("make room on that file system, then start again; nothing is lost"),
    }
}

impl Sink for FileSink {
    fn declaration(&self) -> Declaration {
        Declaration {
            kind: "file",
            lanes: 1,
            fencing: Fencing::OsLock,
            exactly_once: self.options.exactly_once,
        }
    }

    fn open(&mut self, resume: Resume) -> Result<()> {
        // A write beyond the limit on file sizes is to be an error, not the process's death.
        // SAFETY: ignoring a signal needs no handler.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let state = resume.state.filter(|state| !state.is_null());
        let state = state.map(serde_json::from_value::<SavedState>).transpose().map_err(|_| {
            Error::fatal("sink-state", "the checkpoint's part for the file sink cannot be read")
                .hint("was this sink of another kind before? give the new one a new pipeline")
        })?;
        let opening = Opening {
            folder: &self.options.folder,
            pipeline: &self.options.pipeline,
            topic_prefix: &self.options.topic_prefix,
            exactly_once: self.options.exactly_once,
            state,
        };
        self.output = Some(opening.open().map_err(into_error)?);
        Ok(())
    }

    fn handle_batch(&mut self, batch: BatchHandle) -> Result<()> {
        self.queue.push_back(batch);
        if self.full.is_some() {
            return Ok(());
        }
        self.write_queue()
    }

    fn handle_sync(&mut self) -> Result<()> {
        self.write_queue()?;
        self.sync()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let retry = self.full.as_ref().map(|full| full.until);
        self.sync_at().into_iter().chain(retry).min()
    }

    fn handle_deadline(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.full.as_ref().is_some_and(|full| full.until <= now) {
            self.write_queue()?;
        }
        if self.sync_at().is_some_and(|at| at <= now) {
            self.sync()?;
        }
        Ok(())
    }

    fn state_at(&mut self, seq: Seq) -> Result<Option<Value>> {
        let output = self.output();
        let mut state = SavedState { output: output.id.clone(), files: Default::default() };
        for file in &output.files {
            let place = if file.shared { None } else { Some(file.lengths.at(seq)) };
            match place {
                Some(None) => return Ok(None),
                Some(Some(place)) if place == Place::default() => {}
                place => drop(state.files.insert(file.topic.to_string(), place.flatten())),
            }
        }
        let value = serde_json::to_value(state).expect("invariant: plain data serialises");
        Ok(Some(value))
    }

    fn handle_checkpoint(&mut self, seq: Seq) -> Result<()> {
        if !self.output().checkpointed {
            match self.output().manifest.mark_checkpointed() {
                Ok(()) => self.output().checkpointed = true,
                Err(error) => {
                    let path = self.output().manifest.path().to_owned();
                    if let Trouble::Fatal(error) = output::trouble("written", &path, error) {
                        return Err(error);
                    }
                }
            }
        }
        if let Err(error) = self.write_committed(seq) {
            // An older one is right, too: it only says less.
            tracing::debug!("the file `committed` was not replaced: {error}");
        }
        let pruned: usize = self.output().files.iter_mut().map(|f| f.lengths.prune(seq)).sum();
        self.runs_total -= pruned;
        Ok(())
    }

    fn close(&mut self, deadline: Instant) -> Result<()> {
        self.write_queue()?;
        self.sync()?;
        while !self.queue.is_empty() && Instant::now() < deadline {
            std::thread::sleep(CLOSE_RETRY.min(deadline.saturating_duration_since(Instant::now())));
            self.write_queue()?;
        }
        self.sync()?;
        if self.queue.is_empty() {
            return Ok(());
        }
        let what = "the disk stayed full until the end; what was not written is delivered again";
        Err(into_error(Trouble::Full(what.into())))
    }
}

/// A batch's events by topic, as chains through the batch: no allocation once they have grown.
#[derive(Default)]
struct Groups {
    /// Topics in the order of their first events.
    topics: Vec<u32>,
    next: Vec<u32>,
    /// By topic: first and last event.
    ends: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

impl Groups {
    fn divide(&mut self, batch: &SealedBatch) {
        self.topics.clear();
        self.next.clear();
        self.next.resize(batch.body.events.len(), NONE);
        self.ends.clear();
        self.ends.resize(batch.topics.len(), (NONE, NONE));
        for (at, event) in (0u32..).zip(&batch.body.events) {
            let ends = &mut self.ends[event.topic as usize];
            if ends.0 == NONE {
                *ends = (at, at);
                self.topics.push(event.topic);
            } else {
                self.next[ends.1 as usize] = at;
                ends.1 = at;
            }
        }
    }

    fn first(&self, topic: u32) -> u32 {
        self.ends[topic as usize].0
    }

    fn next(&self, event: u32) -> Option<u32> {
        Some(self.next[event as usize]).filter(|&next| next != NONE)
    }
}
