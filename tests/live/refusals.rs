//! Bad input that is the same for every source: state, output, network, several pipelines; what
//! the binary says, its status, and that nothing is lost once the cause is mended.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::pipe::{Config, Pipe, Running, assert_explained, until};
use crate::proxy::Proxy;
use crate::records::read;
use crate::server::{Family, Server};
use crate::workload::{Workload, captured, topic};

/// The password of the user `keeper`: no output, state or log may hold it.
pub const SECRET: &str = "Tr0ub4dor-and-3";

const TABLE: &str = "load_t";

/// Fails if any file of the pipeline's folder but its configuration holds the secret.
pub fn assert_secret_kept(pipe: &Pipe) {
    let mut folders = vec![pipe.dir().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
            } else if entry.path() != pipe.config() {
                let bytes = std::fs::read(entry.path()).expect("a file");
                let found = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
                assert!(!found, "the password is in {}", entry.path().display());
                files += 1;
            }
        }
    }
    assert!(files > 0, "the log was read");
}

/// A server with the user `keeper`, who may all that a pipeline needs.
fn start(family: Family) -> Server {
    let server = Server::start(family);
    server.sql(&if family.is_postgres() {
        format!(
            "create role keeper login replication password '{SECRET}'; \
             grant pg_read_all_data, postgres to keeper; grant create on database test to keeper;"
        )
    } else {
        format!("create user keeper@'%' identified by '{SECRET}'; grant all on *.* to keeper@'%';")
    });
    server
}

fn config(name: &str, server: &Server) -> Config {
    Config::new(name, server, &[&captured(server.family, TABLE)])
        .set("source", "user", "\"keeper\"")
        .set("source", "password", &format!("{SECRET:?}"))
        .set("sink", "delivery", "\"exactly_once\"")
}

fn run(server: &Server, load: &mut Workload, transactions: usize) {
    let sql: String = (0..transactions).map(|_| load.transaction()).collect();
    server.sql(&sql);
}

/// Everything that was written arrived, once, and the secret went nowhere.
fn assert_whole(pipe: &Pipe, server: &Server, load: &Workload) {
    load.verify(&read(&pipe.out(), &topic(&pipe.name, server.family, TABLE)), true);
    assert_secret_kept(pipe);
}

fn logged(running: &Running, text: &str, deadline: Duration) {
    let found = until(deadline, || running.log().contains(text).then_some(()));
    found.unwrap_or_else(|| panic!("no {text:?} in {}", running.log()));
}

/// Flips bytes behind the header of a checkpoint slot.
fn damage(slot: &Path) {
    let mut bytes = std::fs::read(slot).expect("a slot");
    bytes[40..80].iter_mut().for_each(|b| *b ^= 0x55);
    std::fs::write(slot, bytes).expect("written");
}

/// Goal: one damaged checkpoint is survived whichever it is; two, another pipeline's state and a
/// state in use are refused, and the state put back goes on. Method: a server whose log stays.
#[test]
fn state_that_is_not_as_it_was_left() {
    let server = start(Family::MariaDb1011);
    let mut load = Workload::new(&server, 11, 30);
    run(&server, &mut load, 20);
    let pipe = Pipe::new(&config("state", &server));
    pipe.catch_up();
    let state = pipe.dir().join("state/state");
    for slot in ["checkpoint.a", "checkpoint.b"] {
        run(&server, &mut load, 20);
        pipe.catch_up();
        damage(&state.join(slot));
        run(&server, &mut load, 20);
        pipe.catch_up();
        assert_whole(&pipe, &server, &load);
    }
    let slots = ["checkpoint.a", "checkpoint.b"].map(|s| state.join(s));
    let saved = slots.map(|slot| (std::fs::read(&slot).expect("a slot"), slot));
    saved.iter().for_each(|(_, slot)| damage(slot));
    pipe.refuses("state-damaged");
    saved.iter().for_each(|(bytes, slot)| std::fs::write(slot, bytes).expect("put back"));

    std::fs::rename(&state, pipe.dir().join("state/other")).expect("moved");
    let other = Config { name: "other".into(), ..config("state", &server) };
    pipe.configure(&other);
    pipe.refuses("state-other-pipeline");
    std::fs::rename(pipe.dir().join("state/other"), &state).expect("moved back");
    pipe.configure(&config("state", &server));

    let before = read_epoch(&state);
    let running = pipe.start(&[]);
    until(Duration::from_secs(20), || (read_epoch(&state) > before).then_some(()))
        .expect("it holds the state");
    let (status, text) = pipe.output(&["run"], &["--exit-when-caught-up"]);
    assert_eq!(status, Some(1), "{text}");
    assert_explained(&text, "state-locked");
    assert!(text.contains(&format!("in use by process {}", running.pid())), "{text}");
    running.stop();

    // a clock that goes back looks like an epoch from the future: the next is still higher
    let future = read_epoch(&state) + 86_400_000_000 * 365;
    write_epoch(&state, future);
    run(&server, &mut load, 20);
    pipe.catch_up();
    assert!(read_epoch(&state) > future, "the epoch rises");
    assert_whole(&pipe, &server, &load);
}

const EPOCH_MAGIC: &[u8] = b"PENEPOCH";
const EPOCH_SLOT: usize = 4096;

/// The highest of the two records.
fn read_epoch(state: &Path) -> u64 {
    let bytes = std::fs::read(state.join("epoch")).unwrap_or_default();
    let records = bytes.chunks(EPOCH_SLOT).filter(|r| r.starts_with(EPOCH_MAGIC));
    let epochs = records.filter_map(|r| Some(u64::from_le_bytes(r.get(8..16)?.try_into().ok()?)));
    epochs.max().unwrap_or(0)
}

fn write_epoch(state: &Path, epoch: u64) {
    let mut record = EPOCH_MAGIC.to_vec();
    record.extend(epoch.to_le_bytes());
    record.extend(crc32c::crc32c(&record).to_le_bytes());
    record.resize(EPOCH_SLOT, 0);
    std::fs::write(state.join("epoch"), record).expect("written");
}

/// A small disk on the folder, while it lives.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// Nothing where this user may not mount.
    fn mount(folder: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(folder);
        let out = command.output().ok()?;
        out.status.success().then(|| Self(folder.to_owned()))
    }

    fn enlarge(&self, kib: u32) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,size={kib}k")]).arg(&self.0);
        assert!(command.status().expect("mount runs").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Goal: an output folder that is none is refused; a disk that fills up in mid stream is waited
/// for, and nothing is lost or twice once it has room. Method: a memory disk that is enlarged.
#[test]
fn output_that_cannot_be_written() {
    let server = start(Family::Postgres15);
    let mut load = Workload::new(&server, 12, 60);
    run(&server, &mut load, 5);
    let pipe = Pipe::new(&config("disk", &server));
    std::fs::write(pipe.out(), "a file").expect("written");
    pipe.refuses("sink-unwritable");
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(3), "{text}");
    std::fs::remove_file(pipe.out()).expect("removed");
    let (status, text) = pipe.output(&["check"], &[]);
    assert_eq!(status, Some(0), "{text}");

    // an unprivileged user cannot mount: the rest holds for him too
    let disk = SmallDisk::mount(&pipe.out(), 200);
    let mut running = pipe.start(&[]);
    logged(&running, "streaming from", Duration::from_secs(20));
    run(&server, &mut load, 400);
    if let Some(disk) = &disk {
        logged(&running, "sink-disk-full", Duration::from_secs(20));
        assert!(running.alive());
        disk.enlarge(64 << 10);
    }
    let topic = topic("disk", server.family, TABLE);
    let events = || read(&pipe.out(), &topic).iter().filter(|r| r.op() != "r").count();
    until(Duration::from_secs(60), || (events() > 900).then_some(())).expect("it goes on");
    running.stop();
    run(&server, &mut load, 5);
    pipe.catch_up();
    assert_whole(&pipe, &server, &load);
}

/// Goal: a source that nobody answers for is tried after 1, 2, 4 s, with a line each, for ever,
/// until SIGTERM, which ends it with status 0. Method: a port that was free a moment ago.
#[test]
fn nobody_answers() {
    let server = start(Family::Postgres15);
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = free.expect("a port").port().to_string();
    let postgres = config("postgres", &server).set("source", "port", &port);
    let mut mysql = config("mysql", &server).set("source", "port", &port);
    mysql.source.retain(|(key, _)| key != "database");
    let pipes = [Pipe::new(&postgres), Pipe::new(&mysql.set("source", "kind", "\"mysql\""))];
    let runs = pipes.each_ref().map(|pipe| pipe.start(&[]));
    for running in runs {
        logged(&running, "in 4 s", Duration::from_secs(20));
        let log = running.log();
        for pause in ["in 1 s", "in 2 s", "in 4 s"] {
            assert_eq!(log.matches(pause).count(), 1, "{log}");
        }
        assert!(log.contains("net-unreachable") || log.contains("refused"), "{log}");
        running.stop();
    }
    pipes.iter().for_each(assert_secret_kept);
}

/// Goal: of two pipelines in a process one fails for good: it says so at once, the other goes on,
/// and the status at the end is 1. Method: a wrong password beside a right one.
#[test]
fn one_of_two_pipelines_fails() {
    let server = start(Family::Postgres15);
    let mut load = Workload::new(&server, 13, 30);
    let good = Pipe::new(&config("good", &server));
    let bad = Pipe::new(&config("bad", &server).set("source", "password", "\"wrong\""));
    let mut running = good.start(&[bad.config().to_str().expect("UTF-8")]);
    logged(&running, "error[pg-login]", Duration::from_secs(20));
    logged(&running, "streaming from", Duration::from_secs(20));
    run(&server, &mut load, 50);
    let topic = topic("good", server.family, TABLE);
    until(Duration::from_secs(20), || (read(&good.out(), &topic).len() > 100).then_some(()))
        .expect("the other goes on");
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(Duration::from_secs(40)).code(), Some(1), "{}", running.log());
    assert_explained(&running.log(), "pg-login");
    good.catch_up();
    assert_whole(&good, &server, &load);
}

/// Goal: every sink of a pipeline gets every record, on the epoll backend too. Method: a file, a
/// null and a stdout sink; the lines are compared.
#[test]
fn several_sinks_on_epoll() {
    let server = start(Family::Postgres15);
    let mut load = Workload::new(&server, 14, 30);
    run(&server, &mut load, 20);
    let mut config = config("sinks", &server).set("runtime", "backend", "\"epoll\"");
    config.sink.clear();
    config.extra = "[[sinks]]\nkind = \"file\"\npath = \"out\"\ndelivery = \"exactly_once\"\n\
                    [[sinks]]\nkind = \"null\"\n[[sinks]]\nkind = \"stdout\"\n"
        .into();
    let pipe = Pipe::new(&config);
    let mut printed = vec![];
    for _ in 0..2 {
        let (status, text) = pipe.output(&["run"], &["--exit-when-caught-up"]);
        assert_eq!(status, Some(0), "{text}");
        assert!(text.contains("epoll") && !text.contains(SECRET), "{text}");
        printed.extend(text.lines().filter(|l| l.starts_with('{')).map(str::to_owned));
        run(&server, &mut load, 20);
    }
    let topic = topic("sinks", server.family, TABLE);
    let file = std::fs::read_to_string(pipe.out().join(format!("{topic}.jsonl"))).expect("a file");
    assert_eq!(file.lines().collect::<Vec<_>>(), printed);
    pipe.output(&["run"], &["--exit-when-caught-up"]);
    assert_whole(&pipe, &server, &load);
}

/// Goal: a captured table at rest does not hold the server's log: the slot follows what other
/// tables write (invariant 4). Method: such writes until the slot has passed them.
#[test]
fn idle_slot_follows_other_tables() {
    let server = start(Family::Postgres15);
    let mut load = Workload::new(&server, 15, 30);
    server.sql("create table other (id serial, note text);");
    let pipe = Pipe::new(&config("idle", &server));
    let running = pipe.start(&[]);
    logged(&running, "streaming from", Duration::from_secs(20));
    server.sql("insert into other (note) select 'x' from generate_series(1, 1000);");
    let goal = server.sql("select pg_current_wal_lsn();");
    let passed = format!(
        "select count(*) from pg_replication_slots where slot_name = 'penstock_idle' \
         and confirmed_flush_lsn >= '{}';",
        goal.trim()
    );
    until(Duration::from_secs(40), || (server.sql(&passed).trim() == "1").then_some(()))
        .expect("the slot follows");
    run(&server, &mut load, 20);
    running.stop();
    pipe.catch_up();
    assert_whole(&pipe, &server, &load);
}

/// Goal: a peer that is silent with the connection open is noticed, and the stream goes on when it
/// speaks again. Method: a proxy that holds every byte back (MariaDB beats every 5 s).
#[test]
fn frozen_network() {
    let server = start(Family::MariaDb1011);
    let mut load = Workload::new(&server, 16, 30);
    let proxy = Proxy::new(server.port);
    let config = config("frozen", &server).set("source", "port", &proxy.port.to_string());
    let pipe = Pipe::new(&config.set("source", "tls", "{ mode = \"off\" }"));
    run(&server, &mut load, 20);
    pipe.catch_up();
    run(&server, &mut load, 5);
    let running = pipe.start(&[]);
    logged(&running, "streaming from", Duration::from_secs(20));
    proxy.freeze();
    run(&server, &mut load, 20);
    logged(&running, "trying again in 1 s", Duration::from_secs(40));
    let topic = topic("frozen", server.family, TABLE);
    let before = read(&pipe.out(), &topic).len();
    proxy.mend();
    until(Duration::from_secs(60), || (read(&pipe.out(), &topic).len() > before).then_some(()))
        .expect("it goes on");
    running.stop();
    pipe.catch_up();
    assert_whole(&pipe, &server, &load);
}
