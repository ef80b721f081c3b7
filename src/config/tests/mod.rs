//! Tests of the configuration: every default, every key, files and folders, hostile texts.

mod errors;

use std::path::{Path, PathBuf};

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{
    BinaryHandling, Connector, ConvertingFailure, DecimalHandling, EncodeOptions, HstoreHandling,
    IntervalHandling, NameAdjustment, TimePrecision,
};

use penstock_shards::encode::rules::{CellRule, ColumnPattern, HashAlgorithm};

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
    assert_eq!(p.state, PathBuf::from("/etc/penstock/state"));
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
    assert_eq!((p.snapshot.parallelism, p.snapshot.chunk_rows), (2, 10_240));
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
        enable_time_adjuster = false
        tombstones_on_delete = false
        skipped_operations = "u, c"
        topic_delimiter = "-"
        unavailable_value_placeholder = ""
        include_query = true
        heartbeat_interval_ms = 5000
        heartbeat_action_query = "insert into beats values (1)"
        topic_heartbeat_prefix = "beat"
        topic_heartbeat_name = "beats"
        provide_transaction_metadata = true
        topic_transaction = "tx"
        include_schema_changes = false
        topic_naming_strategy = "io.debezium.schema.DefaultTopicNamingStrategy"
        skip_messages_without_change = true
        extended_headers_enabled = false
        schema_name_adjustment_mode = "avro"
        field_name_adjustment_mode = "avro_unicode"
        [snapshot]
        mode = "no_data"
        parallelism = 1
        chunk_rows = 1
        rows_per_second = 1000
        pause_ms = 0
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
    assert!(p.source.include_query && p.source.provide_transaction_metadata);
    assert!(!p.source.include_schema_changes);
    let (every_ms, query) = (p.source.heartbeat_interval_ms, p.source.heartbeat_action_query);
    assert_eq!((every_ms, query.as_deref()), (5000, Some("insert into beats values (1)")));
    let snapshot = p.snapshot;
    assert_eq!(snapshot.mode, SnapshotMode::SchemaOnly);
    assert_eq!((snapshot.parallelism, snapshot.chunk_rows), (1, 1));
    assert_eq!((snapshot.rows_per_second, snapshot.pause_ms), (1000, 0));
    let encode = EncodeOptions {
        topic_delimiter: "-".into(),
        time_precision: Some(TimePrecision::IsoString),
        decimal: DecimalHandling::String,
        binary: BinaryHandling::Base64UrlSafe,
        bigint_unsigned_precise: true,
        time_adjuster: false,
        tombstones_on_delete: false,
        skipped_operations: b"cu".to_vec(),
        topic_heartbeat_prefix: "beat".into(),
        topic_heartbeat_name: Some("beats".into()),
        topic_transaction: "tx".into(),
        skip_messages_without_change: true,
        extended_headers: false,
        schema_name_adjustment: NameAdjustment::Avro,
        field_name_adjustment: NameAdjustment::AvroUnicode,
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
fn rules_of_columns() {
    // Goal: each spelling reaches its rule, in Debezium's order, whatever that of the file; lists and
    // texts. Method: patterns and rules by their text.
    let lines = r#"
        "column_mask_hash_v2_SHA-512/256_with_salt_a b" = ["s.t.h"]
        column_mask_hash_sha-256_with_salt_CzQMA0cB5K = 's.t.(a{1\,2}|b), s.t.c'
        column_mask_with_0_chars = "s.t.m"
        column_truncate_to_20_chars = ["s.t.x", "s.t.y"]
        message_key_columns = "s.t:b,a; (.*).u:c"
    "#;
    let columns = parse(&with_source(PG, lines)).expect("right").sinks[0].encode.columns.clone();
    let text = |pattern: &ColumnPattern| pattern.0.as_str().to_owned();
    let keys: Vec<String> = columns.keys.iter().map(text).collect();
    assert_eq!(keys, ["^(?:s.t.b)$", "^(?:s.t.a)$", "^(?:(.*).u.c)$"]);
    let cells: Vec<_> = columns.cells.iter().map(|(p, rule)| (text(p), rule.clone())).collect();
    let hash = |algorithm, salt: &str, v2| CellRule::Hash { algorithm, salt: salt.into(), v2 };
    let first = hash(HashAlgorithm::Sha256, "CzQMA0cB5K", false);
    assert_eq!(
        cells,
        [
            ("^(?:s.t.x)$".into(), CellRule::Truncate(20)),
            ("^(?:s.t.y)$".into(), CellRule::Truncate(20)),
            ("^(?:s.t.m)$".into(), CellRule::Mask(0)),
            ("^(?:s.t.(a{1,2}|b))$".into(), first.clone()),
            ("^(?:s.t.c)$".into(), first),
            ("^(?:s.t.h)$".into(), hash(HashAlgorithm::Sha512Of256, "a b", true)),
        ]
    );
    assert!(columns.cells[0].0.0.is_match("S.T.X"), "blind to case");
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
    // Goal: one name and one output folder each; a state folder is shared by name. Method: pairs.
    let other = |text: &str| text.replace("\"shop\"\n[source]", "\"store\"\n[source]");
    let file = PG.replace("kind = \"stdout\"", "kind = \"file\"\npath = \"out\"");
    let pairs = [
        (
            PG.to_owned(),
            PG.to_owned(),
            "error[config-duplicate]: two pipelines are called \"shop\"\n  at: DIR/a.toml and \
             DIR/b.toml\n  do: the name keys topics and state",
        ),
        (
            file.clone(),
            other(&file),
            "error[config-duplicate]: DIR/out is an output folder twice\n  at: DIR/a.toml and \
             DIR/b.toml\n  do: give each a folder of its own",
        ),
        (
            file,
            other(&with_end(PG, "[state]\npath = \"./out\"")),
            "error[config-duplicate]: DIR/out is both output folder and state folder\n  at: \
             DIR/a.toml and DIR/b.toml\n  do: give each a folder of its own",
        ),
    ];
    let shared = load_folder(&[("a.toml", PG.into()), ("b.toml", other(PG))]);
    assert_eq!(shared.map(|pipelines| pipelines.len()).expect("right"), 2);
    for (a, b, expected) in pairs {
        let result = load_folder(&[("a.toml", a), ("b.toml", b)]);
        assert_eq!(result.err().as_deref(), Some(expected));
    }
}

#[test]
fn one_runtime_holds_for_all() {
    // Goal: what one file says of the process is never passed over. Method: said once, said alike,
    // said differently.
    let other = PG.replace("\"shop\"\n[source]", "\"store\"\n[source]");
    let epoll = with_end(&other, "[runtime]\nbackend = \"epoll\"");
    let runtime = Runtime { backend: Some(Backend::Epoll), cores: None };
    for first in [PG.to_owned(), with_end(PG, "[runtime]\nbackend = \"epoll\"")] {
        let pipelines = load_folder(&[("a.toml", first), ("b.toml", epoll.clone())]);
        let pipelines = pipelines.expect("right");
        assert!(pipelines.iter().all(|pipeline| pipeline.runtime == runtime));
    }
    let uring = with_end(PG, "[runtime]\nbackend = \"io_uring\"");
    assert_eq!(
        load_folder(&[("a.toml", uring), ("b.toml", epoll)]).err().as_deref(),
        Some(
            "error[config-conflict]: two pipelines of one process have different [runtime] \
             sections\n  at: DIR/a.toml and DIR/b.toml\n  do: keep one of them: it holds for all \
             pipelines of the process"
        )
    );
}

#[test]
fn files_that_cannot_be_read() {
    // Goal: exact text for a missing file, an empty folder, bytes that are no text, a connector's
    // JSON. Method: one of each.
    let missing = load(&["/no/such/file.toml"]).expect_err("it is not there").to_string();
    assert_eq!(
        missing,
        "error[config-unreadable]: cannot read /no/such/file.toml: No such file or directory (os \
         error 2)\n  do: give a TOML file, or a folder that holds some"
    );
    assert_eq!(
        load_folder(&[]).expect_err("empty"),
        "error[config-unreadable]: the folder DIR holds no *.toml\n  do: give a TOML file, or a \
         folder that holds some"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.toml");
    std::fs::write(&path, b"name = \"\xff\"").expect("a file");
    assert_eq!(load_file(&path).expect_err("not UTF-8").what, "the file is not UTF-8 at byte 8");
    assert_eq!(
        load_file(Path::new("x/connector.json")).expect_err("later").to_string(),
        "error[config-not-yet]: a Debezium connector's JSON is known, but this build cannot read \
         it yet\n  at: x/connector.json\n  do: write the pipeline as TOML; most options keep \
         their names"
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
        fn any_text_is_an_answer_not_a_panic(
            text in "\\PC*(\n[\\[\\]a-z_=\"{}, 0-9.]{0,30}){0,8}",
        ) {
            // Goal: no input panics. Method: random texts with TOML's characters.
            let _ = super::parse(&text);
        }

        #[test]
        fn any_value_of_any_key_is_an_answer(
            at in 0usize..27,
            value in prop_oneof![
                Just("\"\""), Just("\"a\""), Just("-1"), Just("9223372036854775807"), Just("[]"),
                Just("[[]]"), Just("{}"), Just("1.5"), Just("nan"), Just("true"),
                Just("1979-05-27"),
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

#[test]
fn options_of_postgres_slots_and_publications() {
    // Goal: Debezium's names and meanings, its defaults where FACE says nothing else; what would
    // publish all tables is refused (HAZARDS H1). Method: none, all, each wrong one.
    let text = |options: &Postgres| format!("{options:?}");
    let none = parse(PG).expect("it reads").source.postgres;
    assert_eq!(text(&none), text(&Postgres::default()));
    let all = "publication_autocreate_mode = \"no_tables\"\npublish_via_partition_root = true\n\
        slot_drop_on_stop = true\nslot_failover = true\nslot_max_retries = 3\n\
        slot_retry_delay_ms = 500\nstatus_update_interval_ms = 2000\n\
        slot_stream_params = \"streaming=off; origin=none;\"";
    let read = parse(&with_source(PG, all)).expect("it reads").source.postgres;
    let want = Postgres {
        autocreate: Autocreate::NoTables,
        via_root: Some(true),
        drop_on_stop: true,
        failover: true,
        retries_max: Some(3),
        retry_delay_ms: Some(500),
        unstreamed: true,
        origin_none: true,
        status_interval_ms: Some(2000),
        ..Postgres::default()
    };
    assert_eq!(text(&read), text(&want));
    let some = parse(&with_source(PG, "message_prefix_include_list = [\"audit.*\"]"));
    let some = some.expect("it reads").source.postgres;
    assert_eq!(["audit", "AUDIT_2", "my_audit"].map(|p| some.message(p)), [true, true, false]);
    let others = parse(&with_source(PG, "message_prefix_exclude_list = [\"audit\"]"));
    let others = others.expect("it reads").source.postgres;
    assert_eq!(["audit", "audit2"].map(|prefix| others.message(prefix)), [false, true]);
    let wrong = |line: &str| message(&with_source(PG, line));
    assert_eq!(
        wrong("publication_autocreate_mode = \"all_tables\""),
        "error[config-bad-value]: `source.publication_autocreate_mode` cannot be \"all_tables\": \
         FOR ALL TABLES breaks UPDATE and DELETE on every table without replica identity\n  at: \
         FILE:7\n  do: \"filtered\", the default, publishes the captured tables"
    );
    assert_eq!(
        wrong("slot_stream_params = \"binary=true\""),
        "error[config-bad-value]: `source.slot_stream_params` cannot hold \"binary=true\"\n  at: \
         FILE:7\n  do: streaming=on or off, origin=any or none (16 and later), separated by \
         semicolons; the other options of pgoutput are chosen by Penstock"
    );
    assert_eq!(
        message(&with_source(MY, "slot_failover = true")),
        "error[config-wrong-kind]: `source.slot_failover` means nothing here: it is for sources of \
         kind \"postgres\"\n  at: FILE:6\n  do: remove it"
    );
}

#[test]
fn forms_of_postgres_values() {
    // Goal: Debezium's options of PostgreSQL's own types. Method: each set, and two that cannot be.
    let with = |keys: &str| {
        parse(&PG.replace("kind = \"postgres\"", &format!("kind = \"postgres\"\n{keys}")))
    };
    let p = with(
        "hstore_handling_mode = \"map\"\ninterval_handling_mode = \"string\"\n\
         money_fraction_digits = 4\ninclude_unknown_datatypes = true\n\
         event_converting_failure_handling_mode = \"fail\"\n\
         unavailable_value_placeholder = \"hex:00ff\"",
    )
    .expect("all of it is right");
    let encode = EncodeOptions {
        hstore: HstoreHandling::Map,
        interval: IntervalHandling::String,
        money_fraction_digits: 4,
        include_unknown_datatypes: true,
        converting_failure: ConvertingFailure::Fail,
        unavailable_value_placeholder: "hex:00ff".into(),
        ..EncodeOptions::new("shop", Connector::Postgres)
    };
    assert_eq!(p.sinks[0].encode, encode);
    let code = |keys: &str| with(keys).expect_err("refused").code;
    assert_eq!(code("unavailable_value_placeholder = \"hex:0\""), "config-bad-value");
    assert_eq!(code("money_fraction_digits = 19"), "config-bad-value");
}
