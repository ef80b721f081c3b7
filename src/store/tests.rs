//! The state on a real file system: torn, damaged, full, read-only, contended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use penstock_protocol::position::{LsnPosition, Position};
use penstock_shards::checkpoint::{SinkCheckpoint, SnapshotState};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::disk::testing::{Disk, fail_sync_after, with_mounts};
use crate::error::Class;

fn checkpoint(lsn: u64) -> Checkpoint {
    let position = Position::Postgres(LsnPosition {
        system_id: "7".into(),
        timeline: 1,
        lsn,
        last_commit_lsn: lsn - 1,
    });
    let state = json!({ "files": { "shop.public.users": lsn } });
    Checkpoint {
        pipeline: "shop".into(),
        epoch: Epoch(lsn),
        position: Some(position.clone()),
        sinks: vec![SinkCheckpoint { name: "file".into(), position: Some(position), state }],
        snapshot: SnapshotState::Done,
        chunks: Vec::new(),
        schema_version: 0,
        bucket_generation: 1,
        stopped_tables: Vec::new(),
        parked: Vec::new(),
        version_reserve: 0,
    }
}

fn open(path: &Path) -> State {
    State::open(path, "shop").unwrap()
}

fn code(path: &Path) -> &'static str {
    State::open(path, "shop").err().expect("the state is refused").code
}

/// A state in which 1, then 2, then 3 were saved: slot A holds 3 (and what is left of 1), B 2.
fn three_saved(path: &Path) -> [PathBuf; 2] {
    let mut state = open(path);
    for lsn in 1..=3 {
        state.save(&checkpoint(lsn)).unwrap();
    }
    ["checkpoint.a", "checkpoint.b"].map(|name| path.join("shop").join(name))
}

/// Goal: what was saved is what the next start finds, the newest of many; `peek` sees it beside a
/// holder. Method: many saves, the state growing past its reserved room and shrinking again.
#[test]
fn the_newest_checkpoint_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    assert!(open(folder.path()).load().is_none());
    assert_eq!(peek(folder.path(), "shop").unwrap(), None);
    for round in 1..=20u64 {
        let mut state = open(folder.path());
        let mut saved = checkpoint(round);
        if round % 3 == 0 {
            saved.sinks[0].state = json!("x".repeat(50_000 * round as usize));
        }
        state.save(&saved).unwrap();
        assert_eq!(peek(folder.path(), "shop").unwrap().as_ref(), Some(&saved));
        drop(state);
        assert_eq!(open(folder.path()).load(), Some(&saved), "round {round}");
    }
}

/// Goal: a write of a checkpoint that is torn at any byte leaves the one before it. Method: every
/// prefix of the third checkpoint over the slot's old content, and the slot cut at every length.
#[test]
fn a_write_torn_at_any_byte_leaves_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let [a, _] = three_saved(folder.path());
    let (old, new) = (checkpoint(1).encode(1), checkpoint(3).encode(3));
    let mut before = fs::read(&a).unwrap();
    assert_eq!(before[..new.len()], new);
    before[..old.len()].copy_from_slice(&old);
    for torn in 0..=new.len() {
        let mut slot = before.clone();
        slot[..torn].copy_from_slice(&new[..torn]);
        let expected = if slot.starts_with(&new) { 3 } else { 2 };
        fs::write(&a, &slot).unwrap();
        assert_eq!(open(folder.path()).load(), Some(&checkpoint(expected)), "torn at {torn}");
    }
    for cut in 0..new.len() {
        fs::write(&a, &new[..cut]).unwrap();
        assert_eq!(open(folder.path()).load(), Some(&checkpoint(2)), "cut at {cut}");
    }
}

/// Goal: no flipped byte of the newest checkpoint is believed, and the state goes on from the
/// other one: what is saved next is found. Method: every byte in turn.
#[test]
fn a_damaged_slot_falls_back_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let [a, _] = three_saved(folder.path());
    let good = fs::read(&a).unwrap();
    for at in 0..checkpoint(3).encode(3).len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&a, &bad).unwrap();
        let mut state = open(folder.path());
        assert_eq!(state.load(), Some(&checkpoint(2)), "byte {at}");
        if at % 16 == 0 {
            state.save(&checkpoint(4)).unwrap();
            drop(state);
            assert_eq!(open(folder.path()).load(), Some(&checkpoint(4)), "byte {at}");
            fs::write(&a, &bad).unwrap();
        }
    }
}

/// Goal: two damaged slots, foreign files, a newer format and another pipeline's state are
/// refused, each with its own code and something to do; damage can be mended, what is not ours
/// cannot. Method: one of each, written by hand.
#[test]
fn what_cannot_be_trusted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = three_saved(folder.path());
    let (good_a, good_b) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    let broken = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[40] ^= 1;
        bytes
    };
    fs::write(&a, broken(&good_a)).unwrap();
    fs::write(&b, broken(&good_b)).unwrap();
    let error = State::open(folder.path(), "shop").err().unwrap();
    assert_eq!((error.code, error.class), ("state-damaged", Class::Fatal));
    assert!(error.hint.unwrap().contains("penstock offsets set"));

    let mut mended = State::open_to_mend(folder.path(), "shop").unwrap();
    assert!(mended.load().is_none());
    mended.save(&checkpoint(9)).unwrap();
    drop(mended);
    assert_eq!(open(folder.path()).load(), Some(&checkpoint(9)));

    fs::write(&a, b"#!/bin/sh").unwrap();
    fs::write(&b, b"").unwrap();
    assert!(State::open_to_mend(folder.path(), "shop").is_err());
    assert_eq!(code(folder.path()), "state-foreign");

    let mut newer = good_a.clone();
    newer[8..10].copy_from_slice(&9u16.to_le_bytes());
    let len = 28 + u32::from_le_bytes(newer[20..24].try_into().unwrap()) as usize;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..24]), &newer[28..len]);
    newer[24..28].copy_from_slice(&crc.to_le_bytes());
    fs::write(&a, &newer).unwrap();
    fs::write(&b, &good_b).unwrap();
    assert_eq!(code(folder.path()), "state-newer");

    fs::write(&a, &good_a).unwrap();
    fs::rename(folder.path().join("shop"), folder.path().join("other")).unwrap();
    let error = State::open(folder.path(), "other").err().unwrap();
    assert_eq!(error.code, "state-other-pipeline");
    for name in ["", ".", "..", "a/b"] {
        assert_eq!(State::open(folder.path(), name).err().unwrap().code, "state-name");
    }
}

/// Goal: state is the owner's alone. Method: modes of the folders and files that it made.
#[test]
fn state_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/state");
    let mut state = open(&path);
    state.next_epoch(1).unwrap();
    state.history().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("shop"))), (0o700, 0o700));
    for entry in fs::read_dir(path.join("shop")).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

/// Goal: checkpoints go on while the disk is full, the rest says so and goes on once there is
/// room; a start without room says so too. Method: a file system of 1 MiB, filled.
#[test]
fn a_full_disk_does_not_stop_checkpoints() {
    with_mounts("store::tests::a_full_disk_does_not_stop_checkpoints", || {
        let disk = Disk::new(1 << 20);
        let mut state = open(disk.path());
        let mut history = state.history().unwrap();
        let ballast = disk.fill();
        for lsn in 1..=100 {
            state.save(&checkpoint(lsn)).unwrap();
        }
        let mut record = schema(1, 1);
        record.schema = json!("x".repeat(100_000));
        let error = history.append(std::slice::from_ref(&record)).unwrap_err();
        assert_eq!((error.code, error.class), ("state-disk-full", Class::Transient));
        let mut large = checkpoint(101);
        large.sinks[0].state = json!("x".repeat(100_000));
        assert_eq!(state.save(&large).unwrap_err().code, "state-disk-full");
        let mut spill = state.spill().unwrap();
        spill_is_full_then_goes_on(&mut spill, || fs::remove_file(&ballast).unwrap());
        state.save(&large).unwrap();
        history.append(std::slice::from_ref(&record)).unwrap();
        drop((state, history));
        let state = open(disk.path());
        assert_eq!(state.load(), Some(&large));
        assert_eq!(records(&state.history().unwrap()), vec![record]);

        disk.fill();
        let error = State::open(disk.path(), "second").err().unwrap();
        assert_eq!((error.code, error.class), ("state-disk-full", Class::Transient));
    });
}

fn spill_is_full_then_goes_on(spill: &mut FileSpill, make_room: impl FnOnce()) {
    use penstock_shards::spill::{SpillError, SpillId, SpillStore};
    let (group, bytes) = (SpillId(1), vec![7; 200_000]);
    assert_eq!(spill.append(group, &bytes), Err(SpillError::Full));
    spill.truncate(group, 0).unwrap();
    make_room();
    spill.append(group, &bytes).unwrap();
    let mut back = vec![0; 200_000];
    assert_eq!(spill.read(group, 0, &mut back), Ok(200_000));
    assert_eq!(back, bytes);
}

/// Goal: a state folder that cannot be written is refused with what to do. Method: a read-only
/// file system, with a state and without.
#[test]
fn a_read_only_folder_is_refused() {
    with_mounts("store::tests::a_read_only_folder_is_refused", || {
        let disk = Disk::new(1 << 20);
        open(disk.path()).save(&checkpoint(1)).unwrap();
        disk.read_only(true);
        for name in ["shop", "new"] {
            let error = State::open(disk.path(), name).err().unwrap();
            assert_eq!((error.code, error.class), ("state-unwritable", Class::Fatal));
        }
        assert_eq!(peek(disk.path(), "shop").unwrap(), Some(checkpoint(1)));
    });
}

/// Goal: a failed fsync is Fatal and is not tried again: every later save fails without one.
/// Method: a planted EIO; the state opened anew finds the checkpoint before.
#[test]
fn l29_a_failed_fsync_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    state.save(&checkpoint(1)).unwrap();
    fail_sync_after(Some(0));
    for _ in 0..2 {
        let error = state.save(&checkpoint(2)).unwrap_err();
        assert_eq!((error.code, error.class), ("state-fsync-failed", Class::Fatal));
    }
    let mut history = state.history().unwrap();
    fail_sync_after(Some(0));
    for _ in 0..2 {
        assert_eq!(history.append(&[schema(1, 1)]).unwrap_err().code, "state-fsync-failed");
    }
}

const HOLD: &str = "PENSTOCK_TEST_HOLD";

/// Goal: two processes on one state folder: the second is refused and told who holds it; once the
/// first is killed, however hard, the folder is free. Method: this test runs itself as a child
/// that holds the state; the child is killed with SIGKILL.
#[test]
fn l29_two_processes_on_one_state_folder() {
    if let Some(path) = std::env::var_os(HOLD) {
        let _state = open(Path::new(&path));
        println!("held");
        std::io::stdin().lines().for_each(drop);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::l29_two_processes_on_one_state_folder", "--nocapture"])
        .env(HOLD, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.map_while(std::result::Result::ok).any(|line| line.ends_with("held")));
    let error = State::open(folder.path(), "shop").err().unwrap();
    assert_eq!((error.code, error.class), ("state-locked", Class::Fatal));
    let holder = format!("process {} on", child.id());
    assert!(error.what.contains(&holder), "{} does not name {holder}", error.what);
    child.kill().unwrap();
    child.wait().unwrap();
    open(folder.path());
}

/// Goal: after `delete` the state is as one that was never used, but for its epoch. Method: a
/// used state, deleted, opened.
#[test]
fn delete_forgets_all_but_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    three_saved(folder.path());
    let mut state = open(folder.path());
    assert_eq!(state.next_epoch(50).unwrap(), Epoch(50));
    state.history().unwrap().append(&[schema(1, 1)]).unwrap();
    state.spill().unwrap();
    state.delete().unwrap();
    let mut state = open(folder.path());
    assert!(state.load().is_none());
    assert_eq!(state.history().unwrap().last_version(), 0);
    assert_eq!(state.next_epoch(1).unwrap(), Epoch(51));
}

fn schema(version: u64, position: u64) -> SchemaRecord {
    SchemaRecord {
        version,
        position: json!({ "lsn": position }),
        table: "public.users".into(),
        schema: json!({ "columns": ["id", "name"] }),
    }
}

fn records(history: &History) -> Vec<SchemaRecord> {
    let mut records = Vec::new();
    history.for_each(|record| records.push(record)).unwrap();
    records
}

/// Goal: what was appended comes back in order; a run begins at its checkpoint's version, what was
/// recorded beyond is gone and may be recorded again. Method: append, reopen, cut at each version.
#[test]
fn l23_the_history_is_as_of_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let other = SchemaRecord { table: "public.orders".into(), ..schema(2, 20) };
    let all = [schema(1, 10), schema(2, 20), other, schema(3, 30)];
    for (version, left) in [(3, 4), (2, 3), (1, 1), (0, 0)] {
        let mut history = state.history().unwrap();
        history.cut_behind(0).unwrap();
        history.append(&all[..1]).unwrap();
        history.append(&all[1..]).unwrap();
        history.cut_behind(version).unwrap();
        assert_eq!(records(&state.history().unwrap()), all[..left]);
        assert_eq!(history.last_version(), version);
    }
}

/// Goal: what no checkpoint needs is removed when it is most of the file, the rest stays in its
/// order; a rewrite that was cut leaves the old file. Method: one table changed often beside one
/// that was never changed and one that was dropped; a stray new file.
#[test]
fn a_history_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let path = folder.path().join("shop/history");
    let mut history = state.history().unwrap();
    let still = SchemaRecord { table: "public.still".into(), ..schema(1, 1) };
    let made = SchemaRecord { table: "public.gone".into(), ..schema(2, 2) };
    let gone = SchemaRecord { schema: json!(null), version: 3, ..made.clone() };
    history.append(&[still.clone(), made, gone]).unwrap();
    let big =
        |version| SchemaRecord { schema: json!("x".repeat(12_000)), ..schema(version, version) };
    (4..200).for_each(|version| history.append(&[big(version)]).unwrap());
    let before = fs::metadata(&path).unwrap().len();
    history.compact(100).unwrap();
    let expected: Vec<_> = [still].into_iter().chain((100..200).map(big)).collect();
    assert_eq!(records(&history), expected);
    assert!(fs::metadata(&path).unwrap().len() < before * 6 / 10);
    history.append(&[big(200)]).unwrap();
    fs::write(folder.path().join("shop/history.new"), b"PENSTOCK-HIST-1\nxx").unwrap();
    let mut history = state.history().unwrap();
    assert_eq!(records(&history), [expected, vec![big(200)]].concat());
    history.compact(200).unwrap();
    assert_eq!(history.last_version(), 200);
    assert_eq!(records(&history).len(), 2);
}

/// Goal: an append torn at any byte is cut, what was before it stays, and appending goes on; a
/// history that lacks what the checkpoint needs is refused. Method: the file cut at every length.
#[test]
fn a_torn_history_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let path = folder.path().join("shop/history");
    let mut history = state.history().unwrap();
    let mut ends = vec![fs::metadata(&path).unwrap().len()];
    for n in 1..=3 {
        history.append(&[schema(n, n)]).unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let left = ends.iter().skip(1).filter(|&&end| end <= cut as u64).count() as u64;
        let mut history = state.history().unwrap();
        assert_eq!(history.last_version(), left, "cut at {cut}");
        history.append(&[schema(9, 9)]).unwrap();
        let mut expected: Vec<_> = (1..=left).map(|n| schema(n, n)).collect();
        expected.push(schema(9, 9));
        assert_eq!(records(&history), expected, "cut at {cut}");
    }
    fs::write(&path, &whole).unwrap();
    state.save(&Checkpoint { schema_version: 4, ..checkpoint(1) }).unwrap();
    drop((state, history));
    let error = open(folder.path()).history().err().unwrap();
    assert_eq!((error.code, error.class), ("state-history-damaged", Class::Fatal));
}

/// Goal: damage before the end is told, never silently cut off with all that follows. Method:
/// every byte of the body of the first of three records flipped; a foreign file.
#[test]
fn a_damaged_history_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let path = folder.path().join("shop/history");
    let mut history = state.history().unwrap();
    let start = fs::metadata(&path).unwrap().len() as usize;
    history.append(&[schema(1, 1)]).unwrap();
    let end = fs::metadata(&path).unwrap().len() as usize;
    history.append(&[schema(2, 2)]).unwrap();
    history.append(&[schema(3, 3)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in start + 4..end {
        let mut bad = whole.clone();
        bad[at] ^= 4;
        fs::write(&path, &bad).unwrap();
        let error = state.history().err().unwrap();
        assert_eq!(error.code, "state-history-damaged", "byte {at}");
    }
    fs::write(&path, b"PENSTOCK-HIST-2\nwhatever").unwrap();
    assert_eq!(state.history().err().unwrap().code, "state-history-damaged");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Goal: no bytes in any file of the state make a panic. Method: random files.
    #[test]
    fn random_files_never_panic(a in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        let shop = folder.path().join("shop");
        fs::write(shop.join("checkpoint.a"), &a).unwrap();
        fs::write(shop.join("epoch"), &tail).unwrap();
        fs::write(shop.join("history"), [b"PENSTOCK-HIST-1\n", &tail[..]].concat()).unwrap();
        if let Ok(mut state) = State::open(folder.path(), "shop") {
            prop_assert!(state.load().is_none());
            prop_assert!(state.next_epoch(7).unwrap() >= Epoch(7));
            if let Ok(history) = state.history() {
                prop_assert_eq!(history.last_version(), 0);
            }
        }
    }
}
