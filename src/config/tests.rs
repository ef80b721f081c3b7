//! Table-driven tests of the configuration: every error with its exact text, every default.

use std::path::{Path, PathBuf};

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{
    BinaryHandling, Connector, DecimalHandling, EncodeOptions, TimePrecision,
};

use super::section::Document;
use super::*;

const PG: &str = r#"name = "shop"
[source]
kind = "postgres"
host = "127.0.0.1"
user = "cdc"
database = "shop"
[sink]
kind = "stdout"
"#;

const MY: &str = r#"name = "shop"
[source]
kind = "mysql"
host = "db1.example.com"
user = "cdc"
[sink]
kind = "stdout"
"#;

fn parse(text: &str) -> crate::error::Result<Pipeline> {
    pipeline::read(Document { path: Path::new("/etc/penstock/shop.toml"), text })
}

/// `base` with lines put at the end of [source], which starts at line 2.
fn with_source(base: &str, lines: &str) -> String {
    base.replace("[sink]", &format!("{lines}\n[sink]"))
}

/// `base` with more sections or more of [sink] at its end.
fn with_end(base: &str, lines: &str) -> String {
    format!("{base}{lines}\n")
}

fn message(text: &str) -> String {
    match parse(text) {
        Ok(_) => format!("no error from:\n{text}"),
        Err(error) => {
            assert_eq!(error.exit_status(), 2, "{error}");
            error.to_string().replace("/etc/penstock/shop.toml", "FILE")
        }
    }
}

#[test]
fn defaults_of_postgres() {
    // Goal: a minimal file means what FACE says. Method: every field of the result.
    let p = parse(PG).expect("the minimal file is right");
    assert_eq!((p.name.as_str(), p.source.port), ("shop", 5432));
    assert_eq!(p.origin, PathBuf::from("/etc/penstock/shop.toml"));
    assert_eq!(p.state, PathBuf::from("/etc/penstock/state/shop"));
    assert_eq!(p.source.kind, SourceKind::Postgres);
    assert_eq!(p.source.hosts, ["127.0.0.1"]);
    assert_eq!((p.source.user.as_str(), p.source.database.as_str()), ("cdc", "shop"));
    assert_eq!(p.source.password.0, "");
    assert_eq!(
        (p.source.slot.as_str(), p.source.publication.as_str()),
        ("penstock_shop", "penstock_shop")
    );
    assert_eq!((p.source.server_id, p.source.include_query), (None, false));
    assert_eq!(p.source.on_table_error, OnTableError::Fail);
    assert_eq!((p.source.heartbeat_interval_ms, p.source.heartbeat_action_query), (0, None));
    assert_eq!((p.source.tls.mode, p.source.tls.ca), (TlsMode::Prefer, None));
    assert!(p.source.filter.table("public.anything"));
    assert!(p.source.filter.column("public.anything.at_all"));
    assert_eq!(p.snapshot.mode, SnapshotMode::Initial);
    assert_eq!((p.snapshot.parallelism, p.snapshot.chunk_rows), (1, 10_240));
    assert_eq!((p.snapshot.rows_per_second, p.snapshot.pause_ms), (0, 0));
    assert_eq!(p.sinks.len(), 1);
    assert_eq!(p.sinks[0].kind, SinkKind::Stdout);
    assert_eq!((p.sinks[0].exactly_once, p.sinks[0].headers), (false, false));
    assert_eq!(p.sinks[0].encode, EncodeOptions::new("shop", Connector::Postgres));
    assert_eq!(p.runtime, Runtime { backend: None, cores: None });
}

#[test]
fn defaults_of_mysql_and_mariadb() {
    // Goal: port, TLS elsewhere, connector. Method: the minimal file of each.
    for (kind, source, connector) in [
        ("mysql", SourceKind::MySql, Connector::MySql),
        ("mariadb", SourceKind::MariaDb, Connector::MariaDb),
    ] {
        let p = parse(&MY.replace("mysql", kind)).expect("the minimal file is right");
        assert_eq!((p.source.kind, p.source.port), (source, 3306));
        assert_eq!(p.source.tls.mode, TlsMode::VerifyFull);
        assert_eq!((p.source.slot.as_str(), p.source.publication.as_str()), ("", ""));
        assert_eq!(p.sinks[0].encode, EncodeOptions::new("shop", connector));
    }
}

#[test]
fn everything_that_can_be_said() {
    // Goal: every key reaches its field. Method: a file with all of them, none at its default.
    let p = parse(
        r#"
        name = "my-shop.eu_1"
        [source]
        kind = "mysql"
        hosts = ["db1", "[::1]", "/run/mysqld/mysqld.sock"]
        port = 0xCEA
        user = "cdc"
        password = "secret"
        tables = ["shop.users", 'shop\.order_.*']
        exclude_tables = ["shop.order_old"]
        exclude_columns = ["shop.users.ssn"]
        tls = { mode = "require" }
        server_id = 6001
        on_table_error = "stop_table"
        time_precision_mode = "isostring"
        decimal_handling_mode = "string"
        binary_handling_mode = "base64-url-safe"
        bigint_unsigned_handling_mode = "precise"
        tombstones_on_delete = false
        skipped_operations = "u, c"
        topic_delimiter = "-"
        unavailable_value_placeholder = ""
        include_query = true
        heartbeat_interval_ms = 5_000
        heartbeat_action_query = "insert into shop.beat values (1)"
        [snapshot]
        mode = "no_data"
        parallelism = 4
        chunk_rows = 1
        rows_per_second = 1000
        pause_ms = 10
        [[sinks]]
        kind = "file"
        path = "../out"
        format = "json"
        delivery = "exactly_once"
        headers = true
        rotate_bytes = 1_000_000
        replace_null_with_default = false
        [[sinks]]
        kind = "null"
        delivery = "at_least_once"
        [state]
        path = "/var/lib/penstock/shop"
        [runtime]
        backend = "epoll"
        cores = [1, 0]
        "#,
    )
    .expect("all of it is right");
    assert_eq!(p.name, "my-shop.eu_1");
    assert_eq!(p.source.hosts, ["db1", "::1", "/run/mysqld/mysqld.sock"]);
    assert_eq!((p.source.port, p.source.server_id), (3306, Some(6001)));
    assert_eq!(p.source.password.0, "secret");
    assert_eq!(p.source.tls.mode, TlsMode::Require);
    assert_eq!(p.source.on_table_error, OnTableError::StopTable);
    assert!(p.source.include_query);
    assert_eq!(p.source.heartbeat_interval_ms, 5000);
    assert_eq!(
        p.source.heartbeat_action_query.as_deref(),
        Some("insert into shop.beat values (1)")
    );
    let snapshot = p.snapshot;
    assert_eq!(snapshot.mode, SnapshotMode::SchemaOnly);
    assert_eq!((snapshot.parallelism, snapshot.chunk_rows), (4, 1));
    assert_eq!((snapshot.rows_per_second, snapshot.pause_ms), (1000, 10));
    let encode = EncodeOptions {
        topic_delimiter: "-".into(),
        time_precision: Some(TimePrecision::IsoString),
        decimal: DecimalHandling::String,
        binary: BinaryHandling::Base64UrlSafe,
        bigint_unsigned_precise: true,
        tombstones_on_delete: false,
        skipped_operations: b"cu".to_vec(),
        unavailable_value_placeholder: String::new(),
        ..EncodeOptions::new("my-shop.eu_1", Connector::MySql)
    };
    assert_eq!(p.sinks[1].encode, encode);
    assert_eq!(p.sinks[0].encode, EncodeOptions { replace_null_with_default: false, ..encode });
    let path = PathBuf::from("/etc/penstock/../out");
    assert_eq!(p.sinks[0].kind, SinkKind::File { path, rotate_bytes: 1_000_000 });
    assert_eq!((p.sinks[0].exactly_once, p.sinks[0].headers), (true, true));
    assert_eq!(p.sinks[1].kind, SinkKind::Null);
    assert_eq!(p.state, PathBuf::from("/var/lib/penstock/shop"));
    assert_eq!(p.runtime, Runtime { backend: Some(Backend::Epoll), cores: Some(vec![1, 0]) });
}

#[test]
fn filters_are_anchored_and_blind_to_case() {
    // Goal: lists match as Debezium's do. Method: names on both sides of each rule.
    let lines = r#"
        tables = ["public.users", "public.order_.*", "a.b|c.d"]
        exclude_tables = ["public.order_old"]
        include_columns = ["public.users.(id|name)"]"#;
    let filter = parse(&with_source(PG, lines)).expect("right").source.filter;
    for (name, captured) in [
        ("public.users", true),
        ("Public.USERS", true),
        ("public.users2", false),
        ("xpublic.users", false),
        ("public.order_", true),
        ("public.order_old", false),
        ("public.order_older", true),
        ("a.b", true),
        ("c.d", true),
        ("a.bx", false),
        ("xc.d", false),
    ] {
        assert_eq!(filter.table(name), captured, "{name}");
    }
    assert!(filter.column("public.users.ID") && !filter.column("public.users.id2"));
}

#[test]
fn tls_defaults_follow_the_hosts() {
    // Goal: unverified TLS is a default on this machine only, and an authority counts.
    // Method: hosts and authority in all combinations that differ.
    for (hosts, tls, mode) in [
        (r#"["localhost"]"#, "", TlsMode::Prefer),
        (r#"["/run/postgresql"]"#, "", TlsMode::Prefer),
        (r#"["::1", "127.8.9.10"]"#, "", TlsMode::Prefer),
        (r#"["::1", "db2"]"#, "", TlsMode::VerifyFull),
        (r#"["10.0.0.1"]"#, "", TlsMode::VerifyFull),
        (r#"["localhost"]"#, r#"tls = { ca = "/dev/null/../hosts" }"#, TlsMode::VerifyFull),
        (r#"["/run/postgresql"]"#, r#"tls = { ca = "/etc/hosts" }"#, TlsMode::Prefer),
        (r#"["db2"]"#, r#"tls = { mode = "off" }"#, TlsMode::Off),
    ] {
        let tls = tls.replace("/dev/null/../hosts", "/etc/hosts");
        let text =
            with_source(PG, &tls).replace("host = \"127.0.0.1\"", &format!("hosts = {hosts}"));
        assert_eq!(parse(&text).expect("right").source.tls.mode, mode, "{hosts} {tls}");
    }
}

#[test]
fn errors_of_the_file_and_the_top() {
    // Goal: exact text of each error. Method: a table.
    let cases: &[(String, &str)] = &[
        (
            "name = \"a\"\nname = \"b\"\n".into(),
            "error[config-syntax]: not valid TOML: duplicate key\n  at: FILE:2",
        ),
        (
            "[source]\n".into(),
            "error[config-missing-key]: `name` is missing\n  at: FILE:1\n  do: add, for example: name = \"shop\"",
        ),
        (
            PG.replace("\"shop\"\n[source]", "\"sh op\"\n[source]"),
            "error[config-bad-value]: `name` may hold a-z, A-Z, 0-9, dot, _ and - only: topics begin with it\n  at: FILE:1",
        ),
        (
            PG.replace("name = \"shop\"", "name = \"..\""),
            "error[config-bad-value]: `name` may hold a-z, A-Z, 0-9, dot, _ and - only: topics begin with it\n  at: FILE:1",
        ),
        (
            PG.replace("name = \"shop\"", "name = 3"),
            "error[config-wrong-type]: `name` must be a string, not an integer\n  at: FILE:1",
        ),
        (
            "name = \"a\"\nsource = \"mysql\"\n".into(),
            "error[config-wrong-type]: `source` must be a section, not a string\n  at: FILE:2\n  do: write [source] on a line of its own",
        ),
        (
            with_end(PG, "[sinc]\nkind = \"file\""),
            "error[config-unknown-key]: unknown key `sinc` at the top\n  at: FILE:9\n  do: did you mean `sink`?",
        ),
        (
            with_end(PG, "[admin]\nlisten = \"127.0.0.1:8083\""),
            "error[config-not-yet]: `admin` at the top is known, but this build cannot do it yet\n  at: FILE:9\n  do: remove it for now",
        ),
        (
            format!("topic_prefix = \"a\"\n{PG}"),
            "error[config-unknown-key]: unknown key `topic_prefix` at the top\n  at: FILE:1\n  do: write `name` at the top instead",
        ),
        (
            with_end(PG, "[state]\npaht = \"s\""),
            "error[config-unknown-key]: unknown key `paht` in [state]\n  at: FILE:10\n  do: did you mean `path`?",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), *expected, "{text}");
    }
}

#[test]
fn errors_of_the_source() {
    // Goal: exact text of each error. Method: lines added to a right [source].
    let cases: &[(&str, &str)] = &[
        (
            "tabels = []",
            "error[config-unknown-key]: unknown key `tabels` in [source]\n  at: FILE:7\n  do: did you mean `tables`?",
        ),
        (
            "table_include_list = \"a.b\"",
            "error[config-unknown-key]: unknown key `table_include_list` in [source]\n  at: FILE:7\n  do: write `tables` in [source] instead",
        ),
        (
            "rotate_bytes = 5",
            "error[config-unknown-key]: unknown key `rotate_bytes` in [source]\n  at: FILE:7\n  do: `rotate_bytes` belongs in [sink]",
        ),
        (
            "message_key_columns = \"a.b:c\"",
            "error[config-not-yet]: `message_key_columns` in [source] is known, but this build cannot do it yet\n  at: FILE:7\n  do: remove it for now",
        ),
        (
            "port = 70000",
            "error[config-bad-value]: `source.port` must be from 1 to 65535, not 70000\n  at: FILE:7",
        ),
        (
            "port = -1",
            "error[config-bad-value]: `source.port` must be from 1 to 65535, not -1\n  at: FILE:7",
        ),
        (
            "port = \"5432\"",
            "error[config-wrong-type]: `source.port` must be an integer, not a string\n  at: FILE:7",
        ),
        (
            "hosts = [\"a\"]",
            "error[config-conflict]: `source.host` and `source.hosts` exclude each other\n  at: FILE:7\n  do: keep one of them",
        ),
        (
            "server_id = 5",
            "error[config-wrong-kind]: `source.server_id` means nothing here: it is for sources of kind \"mysql\" and \"mariadb\"\n  at: FILE:7\n  do: remove it",
        ),
        (
            "tables = \"public.users\"",
            "error[config-wrong-type]: `source.tables` must be a list of regular expressions, not a string\n  at: FILE:7",
        ),
        (
            "tables = [\n\"public.a\",\n\"users\"]",
            "error[config-bad-pattern]: `source.tables`: \"users\" can never match: names have the form schema.table\n  at: FILE:9\n  do: write the whole name, or \".*\\\\.users\" for any",
        ),
        (
            "exclude_tables = [\"public.(\"]",
            "error[config-bad-pattern]: `source.exclude_tables`: \"public.(\" is no regular expression: unclosed group\n  at: FILE:7",
        ),
        (
            "tables = [\"a.b)|(c\"]",
            "error[config-bad-pattern]: `source.tables`: \"a.b)|(c\" is no regular expression: unopened group\n  at: FILE:7",
        ),
        (
            "tables = [\"a.(b{1000}){1000}\"]",
            "error[config-bad-pattern]: `source.tables`: \"a.(b{1000}){1000}\" is no regular expression: it is too large\n  at: FILE:7",
        ),
        (
            "exclude_columns = [\"public.users\"]",
            "error[config-bad-pattern]: `source.exclude_columns`: \"public.users\" can never match: names have the form schema.table.column\n  at: FILE:7\n  do: write the whole name, or \".*\\\\.public.users\" for any",
        ),
        (
            "include_columns = [\"a.b.c\"]\nexclude_columns = [\"a.b.d\"]",
            "error[config-conflict]: `source.include_columns` and `source.exclude_columns` exclude each other\n  at: FILE:2\n  do: keep one of them",
        ),
        (
            "slot = \"Shop\"",
            "error[config-bad-value]: `source.slot` must have 1 to 63 of the characters a-z, 0-9 and _, not \"Shop\"\n  at: FILE:7",
        ),
        (
            "publication = \"p2345678901234567890123456789012345678901234567890123456p\"",
            "error[config-bad-value]: `source.publication` must have at most 56 bytes: \"_insert\" is appended to it\n  at: FILE:7",
        ),
        (
            "on_table_error = \"skip\"",
            "error[config-bad-value]: `source.on_table_error` cannot be \"skip\"\n  at: FILE:7\n  do: one of: fail, stop_table",
        ),
        (
            "decimal_handling_mode = \"doubel\"",
            "error[config-bad-value]: `source.decimal_handling_mode` cannot be \"doubel\"\n  at: FILE:7\n  do: did you mean \"double\"?",
        ),
        (
            "skipped_operations = \"c,x\"",
            "error[config-bad-value]: `source.skipped_operations` cannot hold \"x\"\n  at: FILE:7\n  do: any of: c, u, d, t; or none alone",
        ),
        (
            "topic_delimiter = \"/\"",
            "error[config-bad-value]: `source.topic_delimiter` may hold a-z, A-Z, 0-9, dot, _ and - only\n  at: FILE:7",
        ),
        (
            "tombstones_on_delete = 1",
            "error[config-wrong-type]: `source.tombstones_on_delete` must be true or false, not an integer\n  at: FILE:7",
        ),
        (
            "heartbeat_action_query = \"select 1\"",
            "error[config-conflict]: `source.heartbeat_action_query` is never run without a heartbeat\n  at: FILE:7\n  do: add `heartbeat_interval_ms = 10000`, for example",
        ),
        (
            "password = { env = \"PENSTOCK_TEST_NO_SUCH_VARIABLE\" }",
            "error[config-missing-variable]: the environment has no variable PENSTOCK_TEST_NO_SUCH_VARIABLE (or it is not UTF-8)\n  at: FILE:7\n  do: export PENSTOCK_TEST_NO_SUCH_VARIABLE=… in the shell or service that starts penstock",
        ),
        (
            "password = { file = \"no-such-file\" }",
            "error[config-missing-file]: `source.password.file`: cannot read /etc/penstock/no-such-file: No such file or directory (os error 2)\n  at: FILE:7\n  do: relative paths are relative to the configuration file; check the file's rights too",
        ),
        (
            "password = { vault = \"x\" }",
            "error[config-unknown-key]: unknown key `vault` in [source.password]\n  at: FILE:7\n  do: known here: env, file",
        ),
        (
            "password = {}",
            "error[config-conflict]: `source.password` needs either `env` or `file`\n  at: FILE:7\n  do: for example { env = \"DB_PASSWORD\" }",
        ),
        (
            "password = 7",
            "error[config-wrong-type]: `source.password` must be a string, { env = … } or { file = … }\n  at: FILE:7",
        ),
        (
            "tls = { mode = \"verify\" }",
            "error[config-bad-value]: `source.tls.mode` cannot be \"verify\"\n  at: FILE:7\n  do: did you mean \"verify-ca\"?",
        ),
        (
            "tls = { mode = \"require\", ca = \"/etc/hosts\" }",
            "error[config-conflict]: `source.tls.ca` is used by the modes verify-ca and verify-full only\n  at: FILE:7\n  do: write mode = \"verify-full\", or remove `ca`",
        ),
        (
            "tls = { cert = \"/etc/hosts\" }",
            "error[config-conflict]: `source.tls.cert` and `source.tls.key` need each other\n  at: FILE:7\n  do: give both, PEM files of the client's certificate and its key",
        ),
        (
            "tls = { ca = \"/etc\" }",
            "error[config-missing-file]: `source.tls.ca`: /etc is not a file\n  at: FILE:7",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(message(&with_source(PG, lines)), *expected, "{lines}");
    }
}

#[test]
fn errors_of_kinds_and_hosts() {
    // Goal: exact text of each error. Method: replacements in a right file.
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            PG,
            "kind = \"postgres\"",
            "kind = \"oracle\"",
            "error[config-not-yet]: `source.kind = \"oracle\"` is known, but this build cannot do it yet\n  at: FILE:3\n  do: this build reads mysql, mariadb and postgres",
        ),
        (
            PG,
            "kind = \"postgres\"",
            "kind = \"postgre\"",
            "error[config-bad-value]: `source.kind` cannot be \"postgre\"\n  at: FILE:3\n  do: did you mean \"postgres\"?",
        ),
        (
            PG,
            "kind = \"postgres\"\n",
            "",
            "error[config-missing-key]: `source.kind` is missing\n  at: FILE:2\n  do: add, for example: kind = \"postgres\"",
        ),
        (
            PG,
            "database = \"shop\"\n",
            "",
            "error[config-missing-key]: `source.database` is missing\n  at: FILE:2\n  do: add, for example: database = \"shop\"",
        ),
        (
            PG,
            "user = \"cdc\"\n",
            "",
            "error[config-missing-key]: `source.user` is missing\n  at: FILE:2\n  do: add, for example: user = \"cdc\"",
        ),
        (
            PG,
            "host = \"127.0.0.1\"\n",
            "",
            "error[config-missing-key]: `source.host` is missing\n  at: FILE:2\n  do: add, for example: host = \"127.0.0.1\"",
        ),
        (
            PG,
            "127.0.0.1",
            "db1:5433",
            "error[config-bad-value]: `source.host` must be a host without a port, not \"db1:5433\"\n  at: FILE:4\n  do: write \"db1\", and `port = 5433` in [source]",
        ),
        (
            PG,
            "127.0.0.1",
            "postgres://db1/shop",
            "error[config-bad-value]: `source.host` must be a name or an address, not \"postgres://db1/shop\"\n  at: FILE:4\n  do: a folder with a Unix socket begins with /",
        ),
        (
            PG,
            "host = \"127.0.0.1\"",
            "hosts = []",
            "error[config-bad-value]: `source.hosts` must name at least one host\n  at: FILE:4",
        ),
        (
            MY,
            "user = \"cdc\"",
            "user = \"cdc\"\ndatabase = \"shop\"",
            "error[config-wrong-kind]: `source.database` means nothing here: it is for sources of kind \"postgres\"; choose databases with `tables`\n  at: FILE:6\n  do: remove it",
        ),
        (
            MY,
            "user = \"cdc\"",
            "user = \"cdc\"\ntime_precision_mode = \"adaptive\"",
            "error[config-bad-value]: `source.time_precision_mode` cannot be \"adaptive\" on MySQL and MariaDB\n  at: FILE:6\n  do: \"adaptive_time_microseconds\" is the default there",
        ),
        (
            PG,
            "name = \"shop\"",
            "name = \"n2345678901234567890123456789012345678901234567890\"",
            "error[config-bad-value]: `name` is too long to name the publication after it\n  at: FILE:2\n  do: add `publication = …` in [source], at most 56 characters",
        ),
    ];
    for (base, old, new, expected) in cases {
        assert!(base.contains(old), "{old}");
        assert_eq!(message(&base.replacen(old, new, 1)), *expected, "{new}");
    }
}

#[test]
fn errors_of_snapshot_sink_and_runtime() {
    // Goal: exact text of each error. Method: lines after a right file, line 9 on.
    let cases: &[(&str, &str)] = &[
        (
            "[snapshot]\nmode = \"incremental\"",
            "error[config-not-yet]: `snapshot.mode = \"incremental\"` is known, but this build cannot do it yet\n  at: FILE:10\n  do: one of: initial, initial_only, when_needed, never, schema_only",
        ),
        (
            "[snapshot]\nmode = \"custom\"",
            "error[config-refused]: `snapshot.mode = \"custom\"` is refused: it runs Java classes\n  at: FILE:10\n  do: choose a mode by name; `when_needed` serves most of them",
        ),
        (
            "[snapshot]\nmode = \"intial\"",
            "error[config-bad-value]: `snapshot.mode` cannot be \"intial\"\n  at: FILE:10\n  do: did you mean \"initial\"?",
        ),
        (
            "[snapshot]\nparallelism = 0",
            "error[config-bad-value]: `snapshot.parallelism` must be from 1 to 64, not 0\n  at: FILE:10",
        ),
        (
            "[snapshot]\nlocking_mode = \"none\"",
            "error[config-not-yet]: `locking_mode` in [snapshot] is known, but this build cannot do it yet\n  at: FILE:10\n  do: remove it for now",
        ),
        (
            "path = \"out\"",
            "error[config-wrong-kind]: `sink.path` means nothing here: it is for sinks of kind \"file\"\n  at: FILE:9\n  do: remove it",
        ),
        (
            "delivery = \"exactly_once\"",
            "error[config-delivery]: a sink of kind \"stdout\" cannot deliver exactly once\n  at: FILE:9\n  do: write delivery = \"at_least_once\", or use a sink of kind \"file\"",
        ),
        (
            "format = \"avro\"",
            "error[config-not-yet]: `sink.format = \"avro\"` is known, but this build cannot do it yet\n  at: FILE:9\n  do: format = \"json\"",
        ),
        (
            "[[sinks]]\nkind = \"null\"",
            "error[config-conflict]: [sink] and [[sinks]] exclude each other\n  at: FILE:9\n  do: write every sink as [[sinks]]",
        ),
        (
            "[runtime]\nbackend = \"iouring\"",
            "error[config-bad-value]: `runtime.backend` cannot be \"iouring\"\n  at: FILE:10\n  do: did you mean \"io_uring\"?",
        ),
        (
            "[runtime]\ncores = [0, 0]",
            "error[config-bad-value]: `runtime.cores` names CPU 0 twice\n  at: FILE:10",
        ),
        (
            "[runtime]\ncores = 2",
            "error[config-wrong-type]: `runtime.cores` must be \"auto\" or a list of CPU numbers, not an integer\n  at: FILE:10",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(message(&with_end(PG, lines)), *expected, "{lines}");
    }
    let sinks: &[(&str, &str)] = &[
        (
            "[sink]\nkind = \"kafka\"\nbootstrap_servers = \"b\"",
            "error[config-not-yet]: `sink.kind = \"kafka\"` is known, but this build cannot do it yet\n  at: FILE:8\n  do: this build writes to stdout, file and null",
        ),
        (
            "[sink]\nkind = \"files\"",
            "error[config-bad-value]: `sink.kind` cannot be \"files\"\n  at: FILE:8\n  do: did you mean \"file\"?",
        ),
        (
            "[sink]\nkind = \"file\"",
            "error[config-missing-key]: `sink.path` is missing\n  at: FILE:7\n  do: add, for example: path = \"out\"",
        ),
        (
            "[sink]\nkind = \"null\"\nheaders = true",
            "error[config-wrong-kind]: `sink.headers` means nothing here: a null sink prints nothing\n  at: FILE:9\n  do: remove it",
        ),
        (
            "",
            "error[config-missing-key]: `sink` is missing\n  at: FILE:1\n  do: add, for example: [sink] with `kind = \"stdout\"`",
        ),
        (
            "[sinks]\nkind = \"stdout\"",
            "error[config-wrong-type]: `sinks` must be a list: write [[sinks]] above each, not a table\n  at: FILE:7",
        ),
    ];
    for (lines, expected) in sinks {
        let text = PG.replace("[sink]\nkind = \"stdout\"\n", lines);
        assert_eq!(message(&text), *expected, "{lines}");
    }
}

/// Files in a folder of their own, loaded together; the folder's name is cut from messages.
fn load_folder(files: &[(&str, String)]) -> std::result::Result<Vec<Pipeline>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file in it");
    }
    load(&[folder.path()])
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    // Goal: each TOML is a pipeline, other files are none. Method: a folder with both.
    let other = PG.replace("\"shop\"\n[source]", "\"store\"\n[source]");
    let files = [("b.toml", PG.into()), ("a.toml", other), ("notes.txt", "?".into())];
    let names: Vec<String> =
        load_folder(&files).expect("right").into_iter().map(|pipeline| pipeline.name).collect();
    assert_eq!(names, ["store", "shop"]);
}

#[test]
fn pipelines_of_one_process_must_differ() {
    // Goal: one name, one state folder, one output folder each. Method: pairs that share one.
    let other = |text: &str| text.replace("\"shop\"\n[source]", "\"store\"\n[source]");
    let state = "[state]\npath = \"state\"\n";
    let file = PG.replace("kind = \"stdout\"", "kind = \"file\"\npath = \"out\"");
    let pairs = [
        (
            PG.to_owned(),
            PG.to_owned(),
            "error[config-duplicate]: two pipelines are called \"shop\"\n  at: DIR/a.toml and DIR/b.toml\n  do: the name keys topics and state",
        ),
        (
            with_end(PG, state),
            other(&with_end(PG, state)),
            "error[config-duplicate]: DIR/state is a state folder twice\n  at: DIR/a.toml and DIR/b.toml\n  do: give each a folder of its own",
        ),
        (
            file.clone(),
            other(&file),
            "error[config-duplicate]: DIR/out is an output folder twice\n  at: DIR/a.toml and DIR/b.toml\n  do: give each a folder of its own",
        ),
        (
            file,
            other(&with_end(PG, "[state]\npath = \"./out\"")),
            "error[config-duplicate]: DIR/out is both output folder and state folder\n  at: DIR/a.toml and DIR/b.toml\n  do: give each a folder of its own",
        ),
    ];
    for (a, b, expected) in pairs {
        let result = load_folder(&[("a.toml", a), ("b.toml", b)]);
        assert_eq!(result.err().as_deref(), Some(expected));
    }
}

#[test]
fn files_that_cannot_be_read() {
    // Goal: exact text for a missing file, an empty folder, bytes that are no text, a connector's
    // JSON. Method: one of each.
    let missing = load(&["/no/such/file.toml"]).expect_err("it is not there").to_string();
    assert_eq!(
        missing,
        "error[config-unreadable]: cannot read /no/such/file.toml: No such file or directory (os error 2)\n  do: give a TOML file, or a folder that holds some"
    );
    assert_eq!(
        load_folder(&[]).expect_err("empty"),
        "error[config-unreadable]: the folder DIR holds no *.toml\n  do: give a TOML file, or a folder that holds some"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.toml");
    std::fs::write(&path, b"name = \"\xff\"").expect("a file");
    assert_eq!(load_file(&path).expect_err("not UTF-8").what, "the file is not UTF-8 at byte 8");
    assert_eq!(
        load_file(Path::new("x/connector.json")).expect_err("later").to_string(),
        "error[config-not-yet]: a Debezium connector's JSON is known, but this build cannot read it yet\n  at: x/connector.json\n  do: write the pipeline as TOML; most options keep their names"
    );
}

#[test]
fn passwords_come_from_files_and_stay_hidden() {
    // Goal: the file's line end is not part of it, and nothing prints it. Method: a file, and the
    // debug text of the pipeline.
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("pw"), "s3cret \r\n").expect("a file");
    let config = folder.path().join("a.toml");
    std::fs::write(&config, with_source(PG, "password = { file = \"pw\" }")).expect("a file");
    let pipeline = load_file(&config).expect("right");
    assert_eq!(pipeline.source.password.0, "s3cret ");
    assert!(!format!("{pipeline:?}").contains("s3cret"));
}

mod hostile {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in "\\PC*(\n[\\[\\]a-z_=\"{}, 0-9.]{0,30}){0,8}") {
            // Goal: no input panics. Method: random texts with TOML's characters.
            let _ = super::parse(&text);
        }

        #[test]
        fn any_value_of_any_key_is_an_answer(
            at in 0usize..27,
            value in prop_oneof![
                Just("\"\""), Just("\"a\""), Just("-1"), Just("9223372036854775807"), Just("[]"),
                Just("[[]]"), Just("{}"), Just("1.5"), Just("nan"), Just("true"), Just("1979-05-27"),
                Just("[1, \"a\"]"), Just("\"\\u0000\""), Just("{ a = 1 }"),
            ],
        ) {
            // Goal: every type on every key is an answer. Method: each key of [source] with values
            // of each type of TOML.
            let key = super::names::known("source")[at];
            let _ = super::parse(&super::with_source(super::MY, &format!("{key} = {value}")));
            let _ = super::parse(&super::with_source(super::PG, &format!("{key} = {value}")));
        }
    }
}
