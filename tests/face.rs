//! The command line as a user meets it: the built binary, exact exit statuses and texts.

use std::process::{Command, Output};

fn penstock(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Status, standard output, standard error.
fn said(output: &Output) -> (i32, &str, &str) {
    let status = output.status.code().expect("it was not killed");
    (status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn version_is_the_package_s() {
    // Goal: --version names program and version. Method: exact text.
    let expected = concat!("penstock ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(said(&penstock(&["--version"])), (0, expected, ""));
}

#[test]
fn usage_errors_have_status_2() {
    // Goal: wrong usage is told on standard error with status 2. Method: one of each kind.
    for arguments in [&["frobnicate"][..], &["help", "a", "b"], &["--no-such-option"]] {
        let output = penstock(arguments);
        let (status, out, error) = said(&output);
        assert_eq!((status, out), (2, ""), "{arguments:?}");
        assert!(error.starts_with("error: "), "{error}");
    }
    let output = penstock(&[]);
    assert_eq!((said(&output).0, said(&output).1), (2, ""));
}

#[test]
fn help_explains_codes() {
    // Goal: a code has its long text; a misspelt one names the nearest. Method: exact texts.
    let expected = "config-wrong-kind: a key means nothing for this kind of source or sink\n\n\
        The key exists, but for another kind: a slot is PostgreSQL's, a server id is\n\
        MySQL's and MariaDB's, a path is the file sink's.\n\n\
        What to do:\n\
        \x20 Remove the key, or correct the kind.\n";
    assert_eq!(said(&penstock(&["help", "config-wrong-kind"])), (0, expected, ""));
    let expected = "error[usage-unknown-topic]: no command or code \"config-wrong-kin\"\n  \
        do: did you mean config-wrong-kind?\n";
    assert_eq!(said(&penstock(&["help", "config-wrong-kin"])), (2, "", expected));
    let expected = "error[usage-unknown-topic]: no command or code \"zebra\"\n  \
        do: a code stands in brackets behind the word error or failure\n";
    assert_eq!(said(&penstock(&["help", "zebra"])), (2, "", expected));
}

#[test]
fn help_of_program_and_commands_is_one_with_the_option() {
    // Goal: `help X` is what `X -h` prints. Method: both, for the program and a command.
    assert_eq!(penstock(&["help"]).stdout, penstock(&["-h"]).stdout);
    let output = penstock(&["help", "completions"]);
    let (status, out, error) = said(&output);
    assert_eq!((status, error), (0, ""));
    assert_eq!(out, text(&penstock(&["completions", "-h"]).stdout));
}

#[test]
fn log_filters_are_checked() {
    // Goal: a filter that cannot be read is a usage error. Method: exact status, start of text.
    let output = penstock(&["--log", "penstock=loud", "help"]);
    let (status, out, error) = said(&output);
    assert_eq!((status, out), (2, ""));
    assert!(error.starts_with("error[usage-bad-log-filter]: \"penstock=loud\" is no log filter: "));
}

#[test]
fn completions_of_shells() {
    // Goal: each shell's script names the program. Method: its own way to say so.
    for (shell, line) in [
        ("bash", "complete -F _penstock"),
        ("zsh", "#compdef penstock"),
        ("fish", "complete -c penstock"),
    ] {
        let output = penstock(&["completions", shell]);
        let (status, out, error) = said(&output);
        assert_eq!((status, error), (0, ""), "{shell}");
        assert!(out.contains(line), "{shell}");
    }
}

/// A folder with one configuration.
fn configured(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("shop.toml");
    std::fs::write(&path, text).expect("a file in it");
    let path = path.to_str().expect("UTF-8").to_owned();
    (folder, path)
}

const UNREACHABLE: &str = "name = \"shop\"\n[source]\nkind = \"postgres\"\nhost = \"127.0.0.1\"\n\
    port = 21699\nuser = \"cdc\"\ndatabase = \"shop\"\n[sink]\nkind = \"null\"\n\
    [runtime]\nbackend = \"epoll\"\n";

#[test]
fn configuration_errors_have_status_2() {
    // Goal: code, file, line and advice reach standard error. Method: a misspelt key, a missing
    // variable, a missing file, a wrong kind; exact texts.
    let cases = [
        (
            UNREACHABLE.replace("port", "prot"),
            "error[config-unknown-key]: unknown key `prot` in [source]\n  at: FILE:5\n  \
             do: did you mean `port`?\n",
        ),
        (
            UNREACHABLE.replace("\nuser", "\npassword = { env = \"PENSTOCK_NOT_SET\" }\nuser"),
            "error[config-missing-variable]: the environment has no variable PENSTOCK_NOT_SET (or \
             it is not UTF-8)\n  at: FILE:6\n  do: export PENSTOCK_NOT_SET=… in the shell or \
             service that starts penstock\n",
        ),
        (
            UNREACHABLE.replace("\nuser", "\npassword = { file = \"/no/such\" }\nuser"),
            "error[config-missing-file]: `source.password.file`: cannot read /no/such: No such \
             file or directory (os error 2)\n  at: FILE:6\n  do: relative paths are relative to \
             the configuration file; check the file's rights too\n",
        ),
        (
            UNREACHABLE.replace("\"postgres\"", "\"mysql\""),
            "error[config-wrong-kind]: `source.database` means nothing here: it is for sources of \
             kind \"postgres\"; choose databases with `tables`\n  at: FILE:7\n  do: remove it\n",
        ),
    ];
    for (text, expected) in cases {
        let (_folder, path) = configured(&text);
        let output = penstock(&["check", &path]);
        let (status, out, error) = said(&output);
        assert_eq!((status, out), (2, ""));
        assert_eq!(error.replace(&path, "FILE"), expected);
    }
}

#[test]
fn check_of_an_unreachable_source_has_status_3() {
    // Goal: local findings and the failure, as a table and as JSON. Method: a port where nobody
    // listens.
    let (folder, path) = configured(UNREACHABLE);
    let output = penstock(&["check", &path]);
    let (status, out, _) = said(&output);
    assert_eq!(status, 3, "{out}");
    assert!(out.starts_with(&format!("shop ({path})\n  ok       config-valid ")), "{out}");
    assert!(out.contains("cannot reach 127.0.0.1:21699: Connection refused (os error 111)"));
    let output = penstock(&["check", "--json", &path]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = document["pipelines"][0]["findings"].as_array().expect("findings");
    let level = |code: &str| {
        findings.iter().find(|finding| finding["code"] == code).map(|finding| &finding["level"])
    };
    assert_eq!(level("net-host"), Some(&"failure".into()));
    assert_eq!(level("state-folder"), Some(&"ok".into()));
    assert_eq!(level("runtime-backend"), Some(&"ok".into()));
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(names.len(), 1, "check leaves nothing behind");
}

#[test]
fn offsets_are_set_shown_and_deleted() {
    // Goal: a position of Debezium's is taken over without a server, shown in words and JSON, and
    // forgotten again; what cannot be is refused with status 2. Method: each command in turn.
    let (_folder, path) = configured(UNREACHABLE);
    let show = || {
        let output = penstock(&["offsets", "show", "--json", &path]);
        assert_eq!(said(&output).0, 0, "{}", text(&output.stderr));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document[0]["checkpoint"].clone()
    };
    assert_eq!(show(), serde_json::Value::Null);
    let words = format!("shop ({path})\n  nothing yet: the next run is its first\n");
    assert_eq!(said(&penstock(&["offsets", "show", &path])), (0, words.as_str(), ""));

    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/offsets/postgres.dat");
    let output = penstock(&["offsets", "set", &path, "--file", golden]);
    assert_eq!(said(&output).0, 0, "{}", text(&output.stderr));
    let expected = "shop: from now on: everything that commits before LSN 0/194B4D0 of the server \
        that answers first\n";
    assert!(text(&output.stdout).starts_with(expected), "{}", text(&output.stdout));
    let checkpoint = show();
    assert_eq!(checkpoint["position"]["lsn"], 26_522_832);
    assert_eq!(checkpoint["snapshot"], "done");

    let ours = r#"{"kind":"postgres","system_id":"7","timeline":1,"lsn":5}"#;
    assert_eq!(said(&penstock(&["offsets", "set", &path, ours])).0, 0);
    assert_eq!(show()["position"]["lsn"], 5);
    for wrong in [
        r#"{"kind":"mysql","server_uuid":"","file":"b.1","pos":4,"gtids":null}"#,
        r#"{"kind":"postgres","system_id":"7","timeline":1,"lsn":0}"#,
        r#"{"kind":"postgres"}"#,
        r#"{"lsn":5,"snapshot":true}"#,
        "nonsense",
    ] {
        let output = penstock(&["offsets", "set", &path, wrong]);
        assert_eq!((said(&output).0, said(&output).1), (2, ""), "{wrong}");
    }
    assert_eq!(show()["position"]["lsn"], 5, "a refused position changes nothing");

    let output = penstock(&["offsets", "delete", &path]);
    let expected = "shop: its state is deleted\nthe replication slot penstock_shop stays and holds \
        WAL; to drop it:\n  select pg_drop_replication_slot('penstock_shop');\n";
    assert_eq!(said(&output), (0, expected, ""));
    assert_eq!(show(), serde_json::Value::Null);
}

#[test]
fn offsets_of_a_held_state_are_not_changed() {
    // Goal: a running pipeline is never changed behind its back. Method: this process holds the
    // state's lock.
    let (folder, path) = configured(UNREACHABLE);
    let state = penstock::store::State::open(&folder.path().join("state"), "shop");
    let state = state.expect("a new state");
    for command in [&["offsets", "set", &path, r#"{"lsn":5}"#][..], &["offsets", "delete", &path]] {
        let output = penstock(command);
        let (status, out, error) = said(&output);
        assert_eq!((status, out), (1, ""), "{error}");
        assert!(error.starts_with("error[state-locked]: "), "{error}");
    }
    assert_eq!(said(&penstock(&["offsets", "show", &path])).0, 0);
    drop(state);
}

#[test]
fn topology_prints_a_plan() {
    // Goal: the event loop that the configuration names and the pipeline's roles are shown.
    // Method: lines of the output.
    let (_folder, path) = configured(UNREACHABLE);
    let output = penstock(&["topology", &path]);
    let (status, out, error) = said(&output);
    assert_eq!((status, error), (0, ""));
    assert!(out.starts_with("event loop    epoll: the configuration says so\n"), "{out}");
    assert!(out.contains("shop: reader, coordinator"), "{out}");
}

/// Records (lines) of all topic files of a folder, sorted.
fn lines(folder: &std::path::Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("UTF-8");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

#[test]
fn the_demo_runs_and_cleans_up() {
    // Goal: the demo streams its snapshot and its workload to both sinks, the same records, and
    // leaves no server. Method: a real one for some seconds, in folders of this test's own.
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The server's user must be able to pass through it.
    let temporary = std::path::Path::new("/tmp").join(format!("pd{}", std::process::id()));
    std::fs::create_dir(&temporary).expect("a folder of its own");
    let child = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["demo", "--seconds", "5"])
        .current_dir(folder.path())
        .env("TMPDIR", &temporary)
        .output();
    let output = child.expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut printed: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    printed.sort();
    assert!(printed == lines(&folder.path().join("penstock-demo/out")));
    let operation = |line: &String| {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        record["value"]["op"].as_str().map(str::to_owned)
    };
    let operations: std::collections::BTreeSet<_> = printed.iter().filter_map(operation).collect();
    let expected = ["c", "d", "r", "u"].map(str::to_owned);
    assert_eq!(operations, expected.into_iter().collect());
    assert_eq!(std::fs::read_dir(&temporary).expect("readable").count(), 0);
    std::fs::remove_dir(&temporary).expect("empty");
}
