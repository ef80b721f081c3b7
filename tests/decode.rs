//! `penstock decode`, over binlog files captured from real servers.

use std::path::PathBuf;
use std::process::Command;

/// Status, records, standard error.
fn decode(files: &[PathBuf]) -> (i32, Vec<serde_json::Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .arg("decode")
        .args(files)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let records = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    (output.status.code().expect("it was not killed"), records, error)
}

fn capture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/captures").join(name)
}

/// Keys and values of a golden file, without what differs by name, file and time.
fn golden(name: &str) -> Vec<(serde_json::Value, serde_json::Value)> {
    let text = std::fs::read_to_string(capture(name)).expect("the golden file");
    let parse = |line: &str| serde_json::from_str(line).expect("JSON");
    text.lines().map(|line| bare(&parse(line))).collect()
}

/// Key, and what the row was before and after.
fn bare(record: &serde_json::Value) -> (serde_json::Value, serde_json::Value) {
    let value = &record["value"];
    let row = serde_json::json!([value["op"], value["before"], value["after"]]);
    (record["key"].clone(), row)
}

#[test]
fn rows_are_those_of_the_golden_files() {
    // Goal: without a server the same keys and values as with one. Method: JSON documents, whose
    // columns need nothing of the catalogue, against the golden file of the row path.
    let (status, records, error) = decode(&[capture("documents-mysql97.bin")]);
    assert_eq!((status, error.as_str()), (0, ""));
    let shown: Vec<_> = records.iter().map(bare).collect();
    assert_eq!(shown, golden("documents-mysql97.jsonl"));
    let first = records.first().expect("a record");
    assert_eq!(first["value"]["source"]["file"], "documents-mysql97.bin");
    assert!(first["topic"].as_str().is_some_and(|topic| topic.starts_with("decode.")));
}

#[test]
fn names_come_from_the_ddl_in_the_log() {
    // Goal: without names in the log, those of the DDL that stands in it, as of its place; of a
    // table whose DDL is not there, numbers and no key. Method: captures with metadata MINIMAL and
    // NO_LOG, exact values.
    for name in ["minimal-mysql97.bin", "minimal-mariadb118.bin"] {
        let (status, records, error) = decode(&[capture(name)]);
        assert_eq!((status, error.as_str(), records.len()), (0, "", 3), "{name}");
        let shown = |n: usize| (records[n]["key"].to_string(), &records[n]["value"]["after"]);
        let row = serde_json::json!(
            {"id": 4_000_000_000_u32, "name": "lätin", "e": "b", "d": "AJY=", "b": "AP8="});
        assert_eq!(shown(0), (r#"{"id":4000000000}"#.into(), &row), "{name}");
        let row = serde_json::json!(
            {"note": "n", "id": 2, "title": "x", "e": null, "d": null, "b": null});
        assert_eq!(shown(1), (r#"{"id":2}"#.into(), &row), "{name}");
        let row = serde_json::json!({"@1": -5, "@2": "é", "@3": "/wA=", "@4": 2});
        assert_eq!(shown(2), ("null".into(), &row), "{name}");
    }
}

#[test]
fn several_files_are_one_log() {
    // Goal: the files' records in the order given. Method: one file twice.
    let file = capture("mysql97.bin");
    let (_, once, _) = decode(std::slice::from_ref(&file));
    let (status, twice, error) = decode(&[file.clone(), file]);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!((once.len(), twice.len()), (30, 60));
    assert_eq!(bare(&twice[30]), bare(&once[0]));
}

#[test]
fn damage_is_told_and_a_cut_end_is_none() {
    // Goal: status 1 and the place of damage behind the records before it; the end of a file that
    // is still written is no damage, but for a file before the last one. Method: a capture bent at
    // a known byte, cut at another, and what is no binlog at all.
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(capture("mysql97.bin")).expect("a capture");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path
    };
    let mut bent = whole.clone();
    bent[6000] ^= 1;
    let path = write("bent", &bent);
    let (status, records, error) = decode(&[path]);
    assert_eq!((status, records.len()), (1, 4));
    let head = "error[decode-damaged]: the file is damaged: a checksum is wrong\n  at: ";
    assert!(error.starts_with(head) && error.contains("/bent:5634\n"), "{error}");

    let cut = write("cut", &whole[..5000]);
    let (status, records, error) = decode(std::slice::from_ref(&cut));
    assert_eq!((status, records.len(), error.as_str()), (0, 3, ""));
    let (status, records, error) = decode(&[cut, capture("mysql97.bin")]);
    assert_eq!((status, records.len()), (1, 3));
    assert!(error.contains("its last event is cut off"), "{error}");

    let mut claims = whole[..4].to_vec();
    claims.extend([0; 9]);
    claims.extend(u32::MAX.to_le_bytes());
    claims.extend([0; 6]);
    let (status, records, error) = decode(&[write("claims", &claims)]);
    assert_eq!((status, records.len(), error.as_str()), (0, 0, ""), "cut off, and no 4 GiB taken");

    let (status, _, error) = decode(&[write("text", b"hello")]);
    assert_eq!(status, 1);
    assert!(error.starts_with("error[decode-no-binlog]: "), "{error}");
    let (status, _, error) = decode(&[folder.path().join("none")]);
    assert_eq!(status, 2);
    assert!(error.starts_with("error[decode-unreadable]: "), "{error}");
}
