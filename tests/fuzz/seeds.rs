//! Seeds of the fuzz targets: captures of real servers in the form that each target takes, short
//! texts, and the inputs of `corpus/TARGET/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use penstock_protocol::postgres::types::TypeEntry;
use penstock_shards::checkpoint::Checkpoint;

/// The folder `tests`, from the package of either driver.
fn tests() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("tests/golden").is_dir());
    root.expect("a checkout").join("tests")
}

/// All seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "mysql_packets" => binlogs().into_iter().map(|log| packets(&log)).collect(),
        "mysql_session" => binlogs().into_iter().flat_map(|log| events(&log)).take(40).collect(),
        "mysql_events" => binlogs().into_iter().flat_map(|log| pieces(&events(&log), 12)).collect(),
        "mysql_json" => texts(&[
            r#"{"a":[1,2.5,"x",null,true],"b":{"c":"\u00e9"}}"#,
            "[[[[[[[[1]]]]]]]]",
            "\u{0}\u{1}\u{0}\u{c}\u{0}\u{b}\u{0}\u{1}\u{0}\u{5}\u{3}\u{0}a",
        ]),
        "mysql_statement" => texts(&[
            "create table `d`.`t` (id int unsigned not null primary key, `b` varchar(10) charset latin1 default 'x''y')",
            "alter table t add column (a int, b text), drop primary key, rename to d.u /*!50100 partition by hash(a) */",
            "rename table a to tmp, b to a, tmp to b",
            "XA COMMIT X'6162',X'',1",
            "/*!40000 truncate */ table `a``b` -- x\n",
        ]),
        "mysql_ddl" => texts(&[
            "create table t (id serial, b varchar(10) charset latin1 default 'x''y', c enum('a','b') \
             not null, g int as (id + 1) stored, unique (b(3))) default charset utf8mb3\0alter table \
             t add column (d text, e decimal(65,30) unsigned zerofill), change b f char(4) first, \
             drop primary key, convert to character set utf8mb4\0create table u like t\0rename table \
             t to tmp, u to t, tmp to u\0alter table t rename column d to e, rename column e to d",
            "create or replace table t (a int, b inet6, v vector(3), c text compressed, period for \
             p(x, y)) with system versioning partition by system_time\0alter table if exists t drop \
             column if exists b, modify a bigint unsigned auto_increment primary key, order by a",
            "alter database d character set cp932 collate cp932_bin\0create table `d`.\"x\" (i int)\0\
             drop table if exists `a``b`, t /*!80000 restrict */\0drop database if exists d",
        ]),
        "mysql_charset" => [8_u16, 13, 24, 28, 33, 54, 60, 63, 95, 97, 248, 2304]
            .map(|id| [&id.to_le_bytes()[..], "a\\~é日\u{FFFD}\u{81}\u{10000}".as_bytes()].concat())
            .into(),
        "mysql_gtid" => {
            texts(&["3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1-3", "0-3371-5,1-2-3"])
        }
        "postgres_frames" => captures().iter().map(|messages| frames(messages)).collect(),
        "postgres_stream" => captures().iter().flat_map(|m| pieces(&lengths(m), 24)).collect(),
        "checkpoint" => vec![CHECKPOINT.into(), slot()],
        _ => Vec::new(),
    };
    let folder = tests().join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    seeds.extend(files.iter().map(|path| std::fs::read(path).expect("a seed")));
    seeds
}

const CHECKPOINT: &str = r#"{"pipeline":"p","epoch":7,"position":{"kind":"postgres","system_id":"1",
    "timeline":1,"lsn":5,"last_commit_lsn":4},"sinks":[],"snapshot":"done","schema_version":3,
    "bucket_generation":1,"stopped_tables":[],"parked":[]}"#;

/// A whole slot, as it stands on disk.
fn slot() -> Vec<u8> {
    let checkpoint: Checkpoint = serde_json::from_str(CHECKPOINT).expect("a checkpoint");
    checkpoint.encode(3)
}

/// Types that the catalogues of the captures know.
pub fn types() -> &'static BTreeMap<u32, TypeEntry> {
    static TYPES: OnceLock<BTreeMap<u32, TypeEntry>> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut types = BTreeMap::new();
        for name in CAPTURES {
            let text = capture(name);
            for line in text.lines().filter_map(|line| line.strip_prefix("T ")) {
                let words: Vec<&str> = line.splitn(8, ' ').collect();
                let number = |n: usize| words[n].parse().expect("a number");
                let entry = TypeEntry {
                    name: words[1].into(),
                    typtype: words[2].as_bytes()[0],
                    base: number(3),
                    base_typmod: words[4].parse().expect("a number"),
                    element: number(5),
                    delimiter: words[6].as_bytes()[0],
                    labels: serde_json::from_str(words[7]).expect("JSON"),
                };
                types.insert(number(0), entry);
            }
        }
        types
    })
}

const CAPTURES: [&str; 3] = ["pg15", "pg18", "pg18-extensions"];

fn capture(name: &str) -> String {
    let path = tests().join(format!("golden/postgres/{name}.capture"));
    std::fs::read_to_string(path).expect("a capture")
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn binlogs() -> Vec<Vec<u8>> {
    let folder = tests().join("golden/captures");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the captures")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| std::fs::read(path).expect("a capture")).collect()
}

/// The events of a binlog file.
fn events(log: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut out) = (4, Vec::new());
    while let Some(len) = log.get(at + 9..at + 13) {
        let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
        out.push(log.get(at..at + len).expect("a whole event").to_vec());
        at += len;
    }
    out
}

/// Several events in one seed, and each seed again a few events further.
fn pieces(parts: &[Vec<u8>], size: usize) -> Vec<Vec<u8>> {
    parts.chunks(size).map(<[Vec<u8>]>::concat).collect()
}

/// The events as packets of a dump, behind a chunk size.
fn packets(log: &[u8]) -> Vec<u8> {
    let mut out = vec![7];
    for (n, event) in events(log).iter().take(20).enumerate() {
        let len = u32::try_from(event.len() + 1).expect("small").to_le_bytes();
        out.extend([len[0], len[1], len[2], u8::try_from(n).expect("few"), 0]);
        out.extend(event);
    }
    out
}

/// pgoutput messages of the captures.
fn captures() -> Vec<Vec<Vec<u8>>> {
    let messages = |name: &&str| {
        let text = capture(name);
        let message = |line: &str| Some(unhex(line.strip_prefix("L ")?.split(' ').nth(1)?));
        text.lines().filter_map(message).collect()
    };
    CAPTURES.iter().map(messages).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal");
    let byte =
        |pair: &[u8]| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("two digits");
    text.as_bytes().chunks(2).map(byte).collect()
}

/// CopyData frames of XLogData.
fn frames(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages.iter().take(60) {
        let len = u32::try_from(message.len() + 4 + 25).expect("small");
        out.push(b'd');
        out.extend(len.to_be_bytes());
        out.push(b'w');
        out.extend([0; 24]);
        out.extend(message);
    }
    out
}

fn lengths(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    messages
        .iter()
        .map(|message| {
            let len = u16::try_from(message.len()).expect("small");
            [&len.to_be_bytes()[..], message].concat()
        })
        .collect()
}
