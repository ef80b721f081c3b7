//! The file sink on a real file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use penstock_shards::encode::options::Connector;
use penstock_shards::hop::AckOutcome;
use penstock_shards::seq::Epoch;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::disk::testing::{Disk, fail_sync_after, with_mounts};
use crate::sink::testing::{Answers, BatchMaker, Row};

fn options(folder: &Path, exactly_once: bool) -> FileOptions {
    FileOptions {
        folder: folder.into(),
        pipeline: "shop".into(),
        topic_prefix: "shop.".into(),
        rotate_bytes: 0,
        exactly_once,
        headers: None,
    }
}

fn open_with(options: FileOptions, state: Option<Value>) -> Result<FileSink> {
    let mut sink = FileSink::new(options);
    sink.open(Resume { epoch: Epoch(1), state })?;
    Ok(sink)
}

fn open(folder: &Path, exactly_once: bool, state: Option<Value>) -> FileSink {
    open_with(options(folder, exactly_once), state).unwrap()
}

fn refused(folder: &Path, exactly_once: bool, state: Option<Value>) -> &'static str {
    open_with(options(folder, exactly_once), state).err().expect("the folder is refused").code
}

/// A shard's encoder keeps the numbers of its topics through a run: all makers of a run agree.
fn maker() -> BatchMaker {
    let mut maker = BatchMaker::new(0);
    for topic in TOPICS {
        maker.batch(&[row(topic, 1)]);
    }
    maker
}

/// Fast to sync: for tests of what is written, with thousands of fsyncs.
fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn row(topic: &str, seq: u64) -> Row {
    Row::new(topic, seq, &seq.to_string(), "{}")
}

fn text(topic: &str, seqs: impl IntoIterator<Item = u64>) -> String {
    seqs.into_iter()
        .map(|n| format!("{{\"topic\":\"{topic}\",\"key\":{n},\"value\":{{}}}}\n"))
        .collect()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".jsonl"));
    names.sort();
    names
}

/// Writes rows of one topic, a transaction each, and makes them durable.
fn deliver(sink: &mut FileSink, topic: &str, seqs: impl IntoIterator<Item = u64>) {
    let answers = Answers::default();
    let rows: Vec<_> = seqs.into_iter().map(|seq| row(topic, seq)).collect();
    sink.handle_batch(answers.handle(maker().batch(&rows))).unwrap();
    assert_eq!(answers.all(), vec![], "answered before it was synced");
    sink.handle_sync().unwrap();
    assert_eq!(answers.all(), vec![(FIRST, AckOutcome::Durable)]);
}

/// A checkpoint at `seq`: what it holds of this sink.
fn checkpoint(sink: &mut FileSink, seq: u64) -> Value {
    let state = sink.state_at(Seq(seq)).unwrap().expect("an exact state");
    sink.handle_checkpoint(Seq(seq)).unwrap();
    state
}

/// Goal: a file a topic, lines in order, headers if asked for, `committed` says what a checkpoint
/// has passed. Method: two topics, one of them with a checkpoint before its first row.
#[test]
fn a_file_a_topic() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), true, None);
    assert_eq!(names(folder.path()), Vec::<String>::new());
    deliver(&mut sink, "shop.a", 1..=3);
    deliver(&mut sink, "shop.b", 4..=5);
    assert_eq!(read(folder.path(), "shop.a.jsonl"), text("shop.a", 1..=3));
    assert_eq!(read(folder.path(), "shop.b.jsonl"), text("shop.b", 4..=5));
    checkpoint(&mut sink, 3);
    let committed = read(folder.path(), ".penstock-shop/committed");
    let len = text("shop.a", 1..=3).len();
    let expected = json!({ "files": { "shop.a.jsonl": { "rotated": 0, "len": len } } });
    assert_eq!(serde_json::from_str::<Value>(&committed).unwrap(), expected);

    let folder = tempfile::tempdir().unwrap();
    let headers = Some(ContextHeaders::new("shop", Connector::MySql, "R"));
    let mut sink =
        open_with(FileOptions { headers, ..options(folder.path(), true) }, None).unwrap();
    deliver(&mut sink, "shop.a", [1]);
    let line: Value = serde_json::from_str(&read(folder.path(), "shop.a.jsonl")).unwrap();
    assert_eq!(line["headers"]["__debezium.context.runId"], "R");
}

/// Goal: batches become durable by age, with nobody asking. Method: through the worker; the answer
/// is waited for.
#[test]
fn batches_are_synced_by_age() {
    use crate::sink::worker::{Request, SinkWorker};
    let folder = tempfile::tempdir().unwrap();
    let sink = Box::new(FileSink::new(options(folder.path(), false)));
    let resume = Resume { epoch: Epoch(1), state: None };
    let worker = SinkWorker::spawn("file", sink, resume, 8, |_| {}).unwrap();
    let answers = Answers::default();
    let batch = BatchMaker::new(0).batch(&[row("shop.a", 1)]);
    worker.sender().send_blocking(Request::Batch(answers.handle(batch)));
    let give_up = Instant::now() + Duration::from_secs(20);
    while answers.all().is_empty() {
        assert!(Instant::now() < give_up, "never synced");
        std::thread::yield_now();
    }
    assert_eq!(answers.all(), vec![(1, AckOutcome::Durable)]);
}

/// The source of the property test: transactions of rows over topics that two shards own.
type Source = Vec<Vec<(usize, u64)>>;
const TOPICS: [&str; 4] = ["shop.a", "shop.b", "shop.c", "shop.d"];

/// All rows of a topic up to a transaction (counted from 1), as lines.
fn expected(source: &Source, topic: usize, through: usize) -> String {
    let rows = source.iter().take(through).flatten().filter(|row| row.0 == topic);
    rows.map(|row| {
        format!("{{\"topic\":\"{}\",\"key\":{},\"value\":{{}}}}\n", TOPICS[topic], row.1)
    })
    .collect()
}

/// Id of the first batch that `maker()` makes for a test.
const FIRST: u64 = TOPICS.len() as u64 + 1;

/// What a topic's files hold, in the order in which they were written.
fn on_disk(folder: &Path, topic: usize) -> String {
    let stem = format!("{}.", TOPICS[topic]);
    let mut files = names(folder);
    files.retain(|name| name.starts_with(&stem));
    files.iter().map(|name| read(folder, name)).collect()
}

/// One step of a run.
#[derive(Clone, Debug)]
enum Step {
    /// A shard delivers its rows of so many transactions, some punctuated, as one batch.
    Batch {
        shard: usize,
        txns: usize,
        marks: u8,
    },
    Sync,
    Checkpoint {
        back: usize,
    },
    /// The process dies; the machine too, which loses part of what was not synced.
    Crash {
        lose: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..2, 1usize..6, any::<u8>())
            .prop_map(|(shard, txns, marks)| Step::Batch { shard, txns, marks }),
        2 => Just(Step::Sync),
        2 => (0usize..4).prop_map(|back| Step::Checkpoint { back }),
        1 => any::<u8>().prop_map(|lose| Step::Crash { lose }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A run of the sink between two crashes.
struct Run {
    sink: FileSink,
    makers: [BatchMaker; 2],
    answers: Answers,
    /// Transaction of the source after which this run began; its `Seq` 1 is the next.
    base: usize,
    /// By shard: transactions delivered, transactions delivered before the last sync.
    delivered: [usize; 2],
    synced: [usize; 2],
}

impl Run {
    fn start(options: FileOptions, state: Option<Value>, base: usize, runs_max: usize) -> Self {
        let mut sink = open_with(options, state).unwrap();
        sink.runs_max = runs_max;
        let makers = [BatchMaker::new(0), BatchMaker::new(1)];
        let both = [base; 2];
        Self { sink, makers, answers: Answers::default(), base, delivered: both, synced: both }
    }

    fn batch(&mut self, source: &Source, shard: usize, txns: usize, marks: u8) {
        let from = self.delivered[shard];
        let to = (from + txns).min(source.len());
        let (mut rows, mut marked) = (Vec::new(), Vec::new());
        for (n, txn) in (from..to).zip(&source[from..to]) {
            let seq = (n + 1 - self.base) as u64;
            for &(topic, key) in txn.iter().filter(|row| row.0 / 2 == shard) {
                rows.push(Row::new(TOPICS[topic], seq, &key.to_string(), "{}"));
            }
            let count = rows.len() as u32;
            let last = marked.last().map_or(0, |&(_, count)| count);
            if marks >> (n % 8) & 1 == 1 && count > last {
                marked.push((seq, count));
            }
        }
        self.delivered[shard] = to;
        if !rows.is_empty() {
            let batch = self.makers[shard].marked(&rows, &marked);
            self.sink.handle_batch(self.answers.handle(batch)).unwrap();
        }
    }

    fn sync(&mut self) {
        self.sink.handle_sync().unwrap();
        self.synced = self.delivered;
    }
}

/// What the machine loses: bytes behind the checkpoint of a file that is still the one written.
fn lose_unsynced(folder: &Path, state: &Option<Value>, lose: u8) {
    for topic in TOPICS {
        let path = folder.join(format!("{topic}.jsonl"));
        let Ok(len) = fs::metadata(&path).map(|m| m.len()) else { continue };
        let place = state.as_ref().and_then(|s| s["files"].get(topic));
        let rotated = place.map_or(0, |p| p["rotated"].as_u64().unwrap());
        let kept = place.map_or(0, |p| p["len"].as_u64().unwrap());
        if !folder.join(format!("{topic}.{:06}.jsonl", rotated + 1)).exists() {
            let lost = (len - kept) * u64::from(lose) / 255;
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - lost).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    /// Goal: exactly once: after a crash at any moment the files hold exactly the rows that the
    /// last checkpoint has passed, over rotations, and at the end every row once, in order.
    /// Method: random transactions over four topics of two shards, random batches, marks, syncs,
    /// checkpoints, joined runs and crashes; compared with the source after every restart.
    #[test]
    fn l29_files_are_exact_after_any_crash(
        source in proptest::collection::vec(
            proptest::collection::vec((0usize..4, 1u64..100_000), 0..4), 1..60),
        steps in steps(),
        rotate_bytes in prop_oneof![Just(0u64), 40u64..400],
        runs_max in prop_oneof![Just(RUNS_MAX), 2usize..8],
    ) {
        let folder = fast_folder();
        let options = FileOptions { rotate_bytes, ..options(folder.path(), true) };
        let (mut state, mut through) = (None, 0);
        let mut run = Run::start(options.clone(), None, 0, runs_max);
        for step in steps {
            match step {
                Step::Batch { shard, txns, marks } => run.batch(&source, shard, txns, marks),
                Step::Sync => run.sync(),
                Step::Checkpoint { back } => {
                    let w = run.synced[0].min(run.synced[1]).saturating_sub(back);
                    if w < through.max(run.base) {
                        continue;
                    }
                    let seq = Seq((w - run.base) as u64);
                    if let Some(value) = run.sink.state_at(seq).unwrap() {
                        run.sink.handle_checkpoint(seq).unwrap();
                        (state, through) = (Some(value), w);
                    }
                }
                Step::Crash { lose } => {
                    drop(run);
                    lose_unsynced(folder.path(), &state, lose);
                    drop(open_with(options.clone(), state.clone()).unwrap());
                    run = Run::start(options.clone(), state.clone(), through, runs_max);
                    for topic in 0..4 {
                        let rows = expected(&source, topic, through);
                        prop_assert_eq!(on_disk(folder.path(), topic), rows);
                    }
                }
            }
        }
        for shard in 0..2 {
            run.batch(&source, shard, source.len(), 0x55);
        }
        run.sync();
        let answers = run.answers.all();
        prop_assert!(answers.iter().all(|a| a.1 == AckOutcome::Durable));
        for topic in 0..4 {
            let rows = expected(&source, topic, source.len());
            prop_assert_eq!(on_disk(folder.path(), topic), rows);
        }
        for name in names(folder.path()).iter().filter(|_| rotate_bytes > 0) {
            let lines = read(folder.path(), name);
            prop_assert!(lines.len() as u64 <= rotate_bytes || lines.lines().count() == 1);
        }
    }
}

/// Goal: the property test's checkpoints do pass rows: with one shard punctuated everywhere every
/// watermark has an exact state. Method: 20 transactions, marks after each, every watermark.
#[test]
fn l29_every_mark_has_an_exact_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), true, None);
    let rows: Vec<_> = (1..=20).map(|seq| row("shop.a", seq)).collect();
    let marks: Vec<_> = (1..=20).map(|seq| (seq, seq as u32)).collect();
    let batch = BatchMaker::new(0).marked(&rows, &marks);
    sink.handle_batch(Answers::default().handle(batch)).unwrap();
    sink.handle_sync().unwrap();
    for seq in 1..=20 {
        let state = sink.state_at(Seq(seq)).unwrap().unwrap();
        let len = text("shop.a", 1..=seq).len();
        assert_eq!(state["files"]["shop.a"], json!({ "rotated": 0, "len": len }));
    }
}

/// Goal: at least once: a half-written last line is cut at start, whole lines stay. Method: the
/// file cut at every byte of its last line, then opened and written on.
#[test]
fn l29_a_half_line_is_cut() {
    for exactly_once in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = open(folder.path(), exactly_once, None);
        deliver(&mut sink, "shop.a", 1..=2);
        let state = checkpoint(&mut sink, 2);
        deliver(&mut sink, "shop.a", [3]);
        drop(sink);
        let whole = read(folder.path(), "shop.a.jsonl");
        let two = text("shop.a", 1..=2);
        for cut in two.len()..whole.len() {
            fs::write(folder.path().join("shop.a.jsonl"), &whole[..cut]).unwrap();
            let mut sink = open(folder.path(), exactly_once, Some(state.clone()));
            assert_eq!(read(folder.path(), "shop.a.jsonl"), two, "cut at {cut}");
            deliver(&mut sink, "shop.a", [1]);
            let all = two.clone() + &text("shop.a", [1]);
            assert_eq!(read(folder.path(), "shop.a.jsonl"), all);
        }
    }
}

/// Goal: a line longer than what is read at a time is found and cut. Method: half a line of
/// 200 KB behind a whole one, and half a line alone.
#[test]
fn a_long_half_line_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), false, None);
    deliver(&mut sink, "shop.a", [1]);
    deliver(&mut sink, "shop.b", [2]);
    drop(sink);
    let long = "x".repeat(200_000);
    fs::write(folder.path().join("shop.a.jsonl"), text("shop.a", [1]) + &long).unwrap();
    fs::write(folder.path().join("shop.b.jsonl"), &long).unwrap();
    drop(open(folder.path(), false, None));
    assert_eq!(read(folder.path(), "shop.a.jsonl"), text("shop.a", [1]));
    assert_eq!(read(folder.path(), "shop.b.jsonl"), "");
}

/// Goal: before any checkpoint a restart begins anew: exactly once removes what it made, at least
/// once keeps it. Files of others stay. Method: a crash before the first checkpoint.
#[test]
fn l29_before_the_first_checkpoint() {
    for exactly_once in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("other.jsonl"), "mine").unwrap();
        let mut sink = open(folder.path(), exactly_once, None);
        deliver(&mut sink, "shop.a", 1..=2);
        drop(sink);
        let sink = open(folder.path(), exactly_once, None);
        let ours = if exactly_once { vec![] } else { vec!["shop.a.jsonl".to_owned()] };
        assert_eq!(names(folder.path()), [vec!["other.jsonl".to_owned()], ours].concat());
        assert_eq!(read(folder.path(), "other.jsonl"), "mine");
        drop(sink);
    }
}

/// Goal: files that no checkpoint accounts for are refused, in both modes, and stay as they are.
/// Method: the state lost; files of unknown origin; the manifest lost; another set of files.
#[test]
fn l29_files_without_a_checkpoint_are_refused() {
    for exactly_once in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = open(folder.path(), exactly_once, None);
        deliver(&mut sink, "shop.a", 1..=2);
        let state = checkpoint(&mut sink, 2);
        drop(sink);
        let code = refused(folder.path(), exactly_once, None);
        assert_eq!(code, "sink-files-without-checkpoint");
        let other = json!({ "output": "another", "files": {} });
        assert_eq!(refused(folder.path(), exactly_once, Some(other)), "sink-other-output");
        fs::remove_dir_all(folder.path().join(".penstock-shop")).unwrap();
        for state in [None, Some(state.clone())] {
            let code = refused(folder.path(), exactly_once, state);
            assert_eq!(code, "sink-files-without-checkpoint");
        }
        assert_eq!(read(folder.path(), "shop.a.jsonl"), text("shop.a", 1..=2));
        fs::remove_dir_all(folder.path()).unwrap();
        if exactly_once {
            assert_eq!(refused(folder.path(), true, Some(state)), "sink-file-changed");
        } else {
            open(folder.path(), false, Some(state));
        }
    }
}

/// Goal: with exactly once, a file that something else has changed is refused, not cut to
/// something that was never delivered. Method: gone, shorter, another line structure.
#[test]
fn l29_changed_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), true, None);
    deliver(&mut sink, "shop.a", 1..=2);
    let state = checkpoint(&mut sink, 2);
    drop(sink);
    let (path, whole) = (folder.path().join("shop.a.jsonl"), text("shop.a", 1..=2));
    for changed in [whole[1..].to_owned(), whole.replace('\n', " ") + "\n", String::new()] {
        fs::write(&path, &changed).unwrap();
        assert_eq!(refused(folder.path(), true, Some(state.clone())), "sink-file-changed");
        assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(refused(folder.path(), true, Some(state.clone())), "sink-file-changed");
    fs::write(&path, &whole).unwrap();
    open(folder.path(), true, Some(state.clone()));
    for damage in ["x\n", "{\"penstock\":99,\"pipeline\":\"shop\",\"output\":\"\"}\n"] {
        fs::write(folder.path().join(".penstock-shop/manifest"), damage).unwrap();
        assert_eq!(refused(folder.path(), true, Some(state.clone())), "sink-manifest");
    }
    assert_eq!(refused(folder.path(), true, Some(json!({ "files": 7 }))), "sink-state");
}

/// Goal: a name that is taken is never written to: a topic's file, a rotated file. Method: both
/// are made by hand while the sink runs.
#[test]
fn l29_foreign_files_are_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions { rotate_bytes: 50, ..options(folder.path(), true) };
    let mut sink = open_with(options, None).unwrap();
    let answers = Answers::default();
    let mut maker = BatchMaker::new(0);
    fs::write(folder.path().join("shop.b.jsonl"), "mine").unwrap();
    let error = sink.handle_batch(answers.handle(maker.batch(&[row("shop.b", 1)]))).unwrap_err();
    assert_eq!(
        (error.code, read(folder.path(), "shop.b.jsonl")),
        ("sink-foreign-file", "mine".into())
    );
    drop(sink);
    assert_eq!(answers.all(), vec![(1, AckOutcome::Transient)]);

    let folder = tempfile::tempdir().unwrap();
    let options =
        FileOptions { folder: folder.path().into(), ..self::options(folder.path(), true) };
    let mut sink = open_with(FileOptions { rotate_bytes: 50, ..options }, None).unwrap();
    deliver(&mut sink, "shop.a", [1]);
    fs::write(folder.path().join("shop.a.000001.jsonl"), "mine").unwrap();
    let batch = self::maker().batch(&[row("shop.a", 2)]);
    let error = sink.handle_batch(Answers::default().handle(batch)).unwrap_err();
    assert_eq!(error.code, "sink-foreign-file");
    assert_eq!(read(folder.path(), "shop.a.000001.jsonl"), "mine");
    assert_eq!(read(folder.path(), "shop.a.jsonl"), text("shop.a", [1]));
}

/// Goal: one holder of a pipeline's output, who is named; another pipeline shares the folder.
/// Method: three sinks on one folder.
#[test]
fn l29_the_output_folder_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path(), true, None);
    deliver(&mut first, "shop.a", [1]);
    let error = open_with(options(folder.path(), true), None).err().unwrap();
    assert_eq!(error.code, "sink-locked");
    let holder = format!("process {}", std::process::id());
    assert!(error.what.contains(&holder), "{} does not name {holder}", error.what);
    let second = FileOptions { pipeline: "shop.a".into(), ..options(folder.path(), true) };
    open_with(FileOptions { topic_prefix: "shop.a".into(), ..second }, None).unwrap();
    drop(first);
    open(folder.path(), true, None);
}

/// Goal: any failed fsync is final: the sink fails, answers Transient for what was not durable,
/// and never syncs again. Method: a planted EIO at the file's, then at the folder's sync.
#[test]
fn l29_a_failed_fsync_is_final() {
    for good in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = open(folder.path(), true, None);
        deliver(&mut sink, "shop.a", [1]);
        let answers = Answers::default();
        let batch = maker().batch(&[row("shop.b", 2)]);
        sink.handle_batch(answers.handle(batch)).unwrap();
        fail_sync_after(Some(good));
        assert_eq!(sink.handle_sync().unwrap_err().code, "sink-fsync-failed");
        drop(sink);
        assert_eq!(answers.all(), vec![(FIRST, AckOutcome::Transient)]);
    }
}

/// Goal: a full disk loses nothing: no half line, no answer, and delivery goes on where it was
/// once there is room; closing meanwhile is an error and answers Transient. Method: a small file
/// system, filled; a batch over two topics that does not fit.
#[test]
fn a_full_disk_is_waited_out() {
    with_mounts("sink::file::tests::a_full_disk_is_waited_out", || {
        for close in [false, true] {
            let disk = Disk::new(512 << 10);
            let mut sink = open(disk.path(), true, None);
            deliver(&mut sink, "shop.a", [1]);
            deliver(&mut sink, "shop.b", [1]);
            let ballast = disk.fill();
            let (answers, mut maker) = (Answers::default(), maker());
            let topics = ["shop.a", "shop.b", "shop.c"];
            let rows: Vec<_> = (0..3000).map(|n| row(topics[n % 3], 2 + n as u64)).collect();
            for rows in rows.chunks(1000) {
                sink.handle_batch(answers.handle(maker.batch(rows))).unwrap();
            }
            sink.handle_sync().unwrap();
            assert_eq!(answers.all(), vec![]);
            assert!(sink.poll_deadline().is_some(), "nobody tries again");
            for name in names(disk.path()) {
                assert!(read(disk.path(), &name).ends_with('\n'), "half a line in {name}");
            }
            if close {
                let deadline = Instant::now() + Duration::from_millis(120);
                assert_eq!(sink.close(deadline).unwrap_err().code, "sink-disk-full");
                drop(sink);
                let transient = |id| (id, AckOutcome::Transient);
                assert_eq!(answers.all(), (FIRST..FIRST + 3).map(transient).collect::<Vec<_>>());
                continue;
            }
            fs::remove_file(ballast).unwrap();
            sink.handle_sync().unwrap();
            assert_eq!(answers.all().len(), 3);
            for (n, topic) in topics.into_iter().enumerate() {
                let first = (n < 2).then_some(1);
                let seqs = first.into_iter().chain((2 + n as u64..3002).step_by(3));
                assert_eq!(read(disk.path(), &format!("{topic}.jsonl")), text(topic, seqs));
            }
        }
    });
}

/// Goal: rotation on a full disk is waited out, too. Method: room for nothing when the file is to
/// be rotated, so that the manifest cannot grow past its block.
#[test]
fn rotation_on_a_full_disk_is_waited_out() {
    with_mounts("sink::file::tests::rotation_on_a_full_disk_is_waited_out", || {
        let disk = Disk::new(4 << 20);
        let options = FileOptions { rotate_bytes: 50, ..options(disk.path(), true) };
        let mut sink = open_with(options, None).unwrap();
        deliver(&mut sink, "shop.a", [1]);
        let ballast = disk.fill();
        let (answers, mut maker) = (Answers::default(), maker());
        let rows: Vec<_> = (2..200).map(|n| row("shop.a", n)).collect();
        sink.handle_batch(answers.handle(maker.batch(&rows))).unwrap();
        assert_eq!(answers.all(), vec![]);
        fs::remove_file(ballast).unwrap();
        sink.handle_sync().unwrap();
        assert_eq!(answers.all(), vec![(FIRST, AckOutcome::Durable)]);
        assert_eq!(on_disk(disk.path(), 0), text("shop.a", 1..200));
        assert_eq!(names(disk.path()).len(), 199);
    });
}

/// Goal: a folder that cannot be written is refused with what to do. Method: a read-only disk.
#[test]
fn a_read_only_folder_is_refused() {
    with_mounts("sink::file::tests::a_read_only_folder_is_refused", || {
        let disk = Disk::new(512 << 10);
        disk.read_only(true);
        assert_eq!(refused(disk.path(), true, None), "sink-unwritable");
        assert_eq!(refused(&disk.path().join("out"), false, None), "sink-unwritable");
    });
}

/// Goal: a thousand topics with few open files: every row in its file, handles bounded, nothing
/// lost by closing them. Method: 16 handles, rows round robin, twice; a restart between.
#[test]
fn a_thousand_topics_with_few_handles() {
    let folder = fast_folder();
    let mut state = None;
    let topics: Vec<_> = (0..1000).map(|n| format!("shop.t{n}")).collect();
    for round in 1..=2 {
        let mut sink = open(folder.path(), true, state.take());
        sink.output().open_max = 16;
        let rows: Vec<_> =
            topics.iter().map(|topic| Row::new(topic, 1, &round.to_string(), "{}")).collect();
        let answers = Answers::default();
        sink.handle_batch(answers.handle(BatchMaker::new(0).batch(&rows))).unwrap();
        let held = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| {
            fs::read_link(fd.ok()?.path()).ok().filter(|path| path.starts_with(folder.path()))
        });
        assert!(held.count() <= 16 + 2, "more files open than the bound, lock and manifest");
        sink.handle_sync().unwrap();
        assert_eq!(answers.all().len(), 1);
        state = Some(checkpoint(&mut sink, 1));
    }
    for topic in &topics {
        assert_eq!(read(folder.path(), &format!("{topic}.jsonl")), text(topic, 1..=2));
    }
}

/// Goal: a topic cannot lead out of the folder. Method: hostile names.
#[test]
fn hostile_topics_stay_in_the_folder() {
    for topic in ["../x", "a/b", "", ".hidden", "a\0b", "a\nb"] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = open(folder.path(), false, None);
        let batch = BatchMaker::new(0).batch(&[row(topic, 1)]);
        let error = sink.handle_batch(Answers::default().handle(batch)).unwrap_err();
        assert_eq!(error.code, "sink-topic-name", "{topic:?}");
    }
}

/// Goal: rows of two shards in one file are refused where a length must divide them, and noted
/// where not. Method: one topic from two shards in both modes; a switch to exactly once after.
#[test]
fn l29_a_topic_of_two_shards_has_no_length() {
    let batches = || [0, 1].map(|shard| BatchMaker::new(shard).batch(&[row("shop.a", 1)]));
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), true, None);
    let [first, second] = batches();
    sink.handle_batch(Answers::default().handle(first)).unwrap();
    let error = sink.handle_batch(Answers::default().handle(second)).unwrap_err();
    assert_eq!(error.code, "sink-topic-shared");

    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), false, None);
    for batch in batches() {
        sink.handle_batch(Answers::default().handle(batch)).unwrap();
    }
    sink.handle_sync().unwrap();
    let state = checkpoint(&mut sink, 1);
    assert_eq!(state["files"], json!({ "shop.a": null }));
    drop(sink);
    assert_eq!(read(folder.path(), "shop.a.jsonl"), text("shop.a", [1, 1]));
    assert_eq!(refused(folder.path(), true, Some(state.clone())), "sink-topic-shared");
    open(folder.path(), false, Some(state));
}

/// Goal: a crash between any two steps of cutting back over rotations, or of a rotation, is mended
/// by the next start. Method: the folder as each step leaves it, made by hand.
#[test]
fn l29_every_step_can_be_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let options =
        |exactly_once| FileOptions { rotate_bytes: 50, ..options(folder.path(), exactly_once) };
    let mut sink = open_with(options(true), None).unwrap();
    deliver(&mut sink, "shop.a", 1..=2);
    let state = checkpoint(&mut sink, 2);
    deliver(&mut sink, "shop.a", 3..=4);
    drop(sink);
    let one = |seq| text("shop.a", [seq]);
    let files =
        ["shop.a.000001.jsonl", "shop.a.000002.jsonl", "shop.a.000003.jsonl", "shop.a.jsonl"];
    assert_eq!(names(folder.path()), files);
    let manifest = fs::read(path(".penstock-shop/manifest")).unwrap();
    // How many of the files stand after each step, by (name, row).
    let after: [&[(usize, u64)]; 4] = [
        &[(0, 1), (1, 2), (2, 3), (3, 4)],
        &[(0, 1), (1, 2), (3, 4)],
        &[(0, 1), (3, 2)],
        &[(0, 1), (1, 2), (2, 3)],
    ];
    for (step, after) in after.into_iter().enumerate() {
        files.iter().for_each(|name| drop(fs::remove_file(path(name))));
        fs::write(path(".penstock-shop/manifest"), &manifest).unwrap();
        for &(file, row) in after {
            fs::write(path(files[file]), one(row)).unwrap();
        }
        drop(open_with(options(true), Some(state.clone())).unwrap());
        assert_eq!(names(folder.path()), [files[0], files[3]], "step {step}");
        assert_eq!(on_disk(folder.path(), 0), text("shop.a", 1..=2), "step {step}");
    }
    // A rotation that died after its rename, at least once: numbers go on, nothing is replaced.
    files.iter().for_each(|name| drop(fs::remove_file(path(name))));
    fs::write(path(".penstock-shop/manifest"), &manifest).unwrap();
    for (file, row) in [(0, 1), (1, 2), (2, 3)] {
        fs::write(path(files[file]), one(row)).unwrap();
    }
    let mut sink = open_with(options(false), Some(state)).unwrap();
    deliver(&mut sink, "shop.a", 4..=5);
    let names = names(folder.path());
    assert_eq!(names, [files[0], files[1], files[2], "shop.a.000004.jsonl", files[3]]);
    assert_eq!(on_disk(folder.path(), 0), text("shop.a", 1..=5));
}

/// Goal: a change from at least once to exactly once is exact from the last checkpoint on.
/// Method: rows behind the checkpoint in the first mode are gone in the second.
#[test]
fn l29_the_mode_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        |exactly_once| FileOptions { rotate_bytes: 90, ..options(folder.path(), exactly_once) };
    let mut sink = open_with(options(false), None).unwrap();
    deliver(&mut sink, "shop.a", 1..=5);
    let state = checkpoint(&mut sink, 5);
    drop(sink);
    let mut sink = open_with(options(false), Some(state)).unwrap();
    deliver(&mut sink, "shop.a", 1..=3);
    let state = sink.state_at(Seq(0)).unwrap();
    deliver(&mut sink, "shop.a", 4..=9);
    drop(sink);
    drop(open_with(options(true), state).unwrap());
    assert_eq!(on_disk(folder.path(), 0), text("shop.a", 1..=5));
}

/// Goal: memory follows neither the length of a transaction nor of the run. Method: many batches
/// of one transaction, then of many with checkpoints; runs remembered, and the line buffer.
#[test]
fn memory_is_flat() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(folder.path(), true, None);
    let (answers, mut maker) = (Answers::default(), BatchMaker::new(0));
    let topics: BTreeMap<_, _> = (0..4).map(|n| (n, TOPICS[n as usize])).collect();
    for _ in 0..200 {
        let rows: Vec<_> = topics.values().map(|topic| row(topic, 1)).collect();
        sink.handle_batch(answers.handle(maker.batch(&rows))).unwrap();
    }
    assert_eq!(sink.runs_total, 4);
    for seq in 2..200 {
        let rows: Vec<_> = topics.values().map(|topic| row(topic, seq)).collect();
        sink.handle_batch(answers.handle(maker.batch(&rows))).unwrap();
        if seq % 10 == 0 {
            sink.handle_sync().unwrap();
            checkpoint(&mut sink, seq);
            assert_eq!(sink.runs_total, 0);
        }
        assert!(sink.runs_total <= 40);
    }
    let large = format!("\"{}\"", "x".repeat(8 << 20));
    let batch = maker.batch(&[Row::new("shop.a", 300, "1", &large), row("shop.a", 301)]);
    sink.handle_batch(answers.handle(batch)).unwrap();
    assert!(sink.buffer.capacity() <= 2 * KEPT_BYTES_MAX, "{}", sink.buffer.capacity());
}
