//! Table-driven tests of the configuration's errors: each with its exact text.

use super::*;

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
            "error[config-missing-key]: `name` is missing\n  at: FILE:1\n  do: add, for example: \
             name = \"shop\"",
        ),
        (
            PG.replace("\"shop\"\n[source]", "\"sh op\"\n[source]"),
            "error[config-bad-value]: `name` may hold a-z, A-Z, 0-9, dot, _ and - only: topics \
             begin with it\n  at: FILE:1",
        ),
        (
            PG.replace("name = \"shop\"", "name = \"..\""),
            "error[config-bad-value]: `name` may hold a-z, A-Z, 0-9, dot, _ and - only: topics \
             begin with it\n  at: FILE:1",
        ),
        (
            PG.replace("name = \"shop\"", "name = 3"),
            "error[config-wrong-type]: `name` must be a string, not an integer\n  at: FILE:1",
        ),
        (
            "name = \"a\"\nsource = \"mysql\"\n".into(),
            "error[config-wrong-type]: `source` must be a section, not a string\n  at: \
             FILE:2\n  do: write [source] on a line of its own",
        ),
        (
            with_end(PG, "[sinc]\nkind = \"file\""),
            "error[config-unknown-key]: unknown key `sinc` at the top\n  at: FILE:9\n  do: did \
             you mean `sink`?",
        ),
        (
            with_end(PG, "[admin]\nlisten = \"127.0.0.1:8083\""),
            "error[config-not-yet]: `admin` at the top is known, but this build cannot do it \
             yet\n  at: FILE:9\n  do: remove it for now",
        ),
        (
            format!("topic_prefix = \"a\"\n{PG}"),
            "error[config-unknown-key]: unknown key `topic_prefix` at the top\n  at: \
             FILE:1\n  do: write `name` at the top instead",
        ),
        (
            with_end(PG, "[state]\npaht = \"s\""),
            "error[config-unknown-key]: unknown key `paht` in [state]\n  at: FILE:10\n  do: did \
             you mean `path`?",
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
            "error[config-unknown-key]: unknown key `tabels` in [source]\n  at: FILE:7\n  do: did \
             you mean `tables`?",
        ),
        (
            "table_include_list = \"a.b\"",
            "error[config-unknown-key]: unknown key `table_include_list` in [source]\n  at: \
             FILE:7\n  do: write `tables` in [source] instead",
        ),
        (
            "rotate_bytes = 5",
            "error[config-unknown-key]: unknown key `rotate_bytes` in [source]\n  at: \
             FILE:7\n  do: `rotate_bytes` belongs in [sink]",
        ),
        (
            "read_only = true",
            "error[config-not-yet]: `read_only` in [source] is known, but this build \
             cannot do it yet\n  at: FILE:7\n  do: remove it for now",
        ),
        (
            "port = 70000",
            "error[config-bad-value]: `source.port` must be from 1 to 65535, not 70000\n  at: \
             FILE:7",
        ),
        (
            "port = -1",
            "error[config-bad-value]: `source.port` must be from 1 to 65535, not -1\n  at: FILE:7",
        ),
        (
            "port = \"5432\"",
            "error[config-wrong-type]: `source.port` must be an integer, not a string\n  at: \
             FILE:7",
        ),
        (
            "hosts = [\"a\"]",
            "error[config-conflict]: `source.host` and `source.hosts` exclude each other\n  at: \
             FILE:7\n  do: keep one of them",
        ),
        (
            "server_id = 5",
            "error[config-wrong-kind]: `source.server_id` means nothing here: it is for sources \
             of kind \"mysql\" and \"mariadb\"\n  at: FILE:7\n  do: remove it",
        ),
        (
            "tables = \"public.users\"",
            "error[config-wrong-type]: `source.tables` must be a list of regular expressions, not \
             a string\n  at: FILE:7",
        ),
        (
            "tables = [\n\"public.a\",\n\"users\"]",
            "error[config-bad-pattern]: `source.tables`: \"users\" can never match: names have \
             the form schema.table\n  at: FILE:9\n  do: write the whole name, or \".*\\\\.users\" \
             for any",
        ),
        (
            "exclude_tables = [\"public.(\"]",
            "error[config-bad-pattern]: `source.exclude_tables`: \"public.(\" is no regular \
             expression: unclosed group\n  at: FILE:7",
        ),
        (
            "tables = [\"a.b)|(c\"]",
            "error[config-bad-pattern]: `source.tables`: \"a.b)|(c\" is no regular expression: \
             unopened group\n  at: FILE:7",
        ),
        (
            "tables = [\"a.(b{1000}){1000}\"]",
            "error[config-bad-pattern]: `source.tables`: \"a.(b{1000}){1000}\" is no regular \
             expression: it is too large\n  at: FILE:7",
        ),
        (
            "exclude_columns = [\"public.users\"]",
            "error[config-bad-pattern]: `source.exclude_columns`: \"public.users\" can never \
             match: names have the form schema.table.column\n  at: FILE:7\n  do: write the whole \
             name, or \".*\\\\.public.users\" for any",
        ),
        (
            "include_columns = [\"a.b.c\"]\nexclude_columns = [\"a.b.d\"]",
            "error[config-conflict]: `source.include_columns` and `source.exclude_columns` \
             exclude each other\n  at: FILE:2\n  do: keep one of them",
        ),
        (
            "slot = \"Shop\"",
            "error[config-bad-value]: `source.slot` must have 1 to 63 of the characters a-z, 0-9 \
             and _, not \"Shop\"\n  at: FILE:7",
        ),
        (
            "publication = \"p2345678901234567890123456789012345678901234567890123456p\"",
            "error[config-bad-value]: `source.publication` must have at most 56 bytes: \
             \"_insert\" is appended to it\n  at: FILE:7",
        ),
        (
            "on_table_error = \"skip\"",
            "error[config-bad-value]: `source.on_table_error` cannot be \"skip\"\n  at: \
             FILE:7\n  do: one of: fail, stop_table",
        ),
        (
            "decimal_handling_mode = \"doubel\"",
            "error[config-bad-value]: `source.decimal_handling_mode` cannot be \"doubel\"\n  at: \
             FILE:7\n  do: did you mean \"double\"?",
        ),
        (
            "skipped_operations = \"c,x\"",
            "error[config-bad-value]: `source.skipped_operations` cannot hold \"x\"\n  at: \
             FILE:7\n  do: any of: c, u, d, t; or none alone",
        ),
        (
            "topic_delimiter = \"/\"",
            "error[config-bad-value]: `source.topic_delimiter` may hold a-z, A-Z, 0-9, dot, _ and \
             - only\n  at: FILE:7",
        ),
        (
            "column_mask_with_x_chars = \"a.b.c\"",
            "error[config-bad-value]: `source.column_mask_with_x_chars` must have a number from 0 to \
             1048576 before _chars\n  at: FILE:7\n  do: write column_mask_with_8_chars, say",
        ),
        (
            "column_mask_hash_SHA-3_with_salt_x = \"a.b.c\"",
            "error[config-bad-value]: `source.column_mask_hash_SHA-3_with_salt_x` must name a hash \
             algorithm and a salt\n  at: FILE:7\n  do: write \
             column_mask_hash_SHA-256_with_salt_SALT; known are MD5, SHA-1, SHA-224, SHA-256, \
             SHA-384, SHA-512, SHA-512/224 and SHA-512/256",
        ),
        (
            "message_key_columns = \"users\"",
            "error[config-bad-value]: `source.message_key_columns` must be a table, a colon and its \
             columns, not \"users\"\n  at: FILE:7\n  do: write \"shop.users:id,name\"; a semicolon \
             before the next table",
        ),
        (
            "tombstones_on_delete = 1",
            "error[config-wrong-type]: `source.tombstones_on_delete` must be true or false, not \
             an integer\n  at: FILE:7",
        ),
        (
            "heartbeat_action_query = \"select 1\"",
            "error[config-conflict]: `source.heartbeat_action_query` runs with each heartbeat, \
             and there is none\n  at: FILE:7\n  do: add heartbeat_interval_ms = 10000, say, in \
             [source]",
        ),
        (
            "topic_naming_strategy = \"io.debezium.schema.DefaultTopicNamingStrategy\"",
            "error[config-not-yet]: `source.topic_naming_strategy = \
             \"io.debezium.schema.DefaultTopicNamingStrategy\"` is known, but this build cannot do \
             it yet\n  at: FILE:7\n  do: this build names topics as \
             io.debezium.schema.SchemaTopicNamingStrategy does",
        ),
        (
            "include_schema_changes = false",
            "error[config-wrong-kind]: `source.include_schema_changes` means nothing here: it is \
             for sources of kind \"mysql\" and \"mariadb\"\n  at: FILE:7\n  do: remove it",
        ),
        (
            "password = { env = \"PENSTOCK_TEST_NO_SUCH_VARIABLE\" }",
            "error[config-missing-variable]: the environment has no variable \
             PENSTOCK_TEST_NO_SUCH_VARIABLE (or it is not UTF-8)\n  at: FILE:7\n  do: export \
             PENSTOCK_TEST_NO_SUCH_VARIABLE=… in the shell or service that starts penstock",
        ),
        (
            "password = { file = \"no-such-file\" }",
            "error[config-missing-file]: `source.password.file`: cannot read \
             /etc/penstock/no-such-file: No such file or directory (os error 2)\n  at: \
             FILE:7\n  do: relative paths are relative to the configuration file; check the \
             file's rights too",
        ),
        (
            "password = { vault = \"x\" }",
            "error[config-unknown-key]: unknown key `vault` in [source.password]\n  at: \
             FILE:7\n  do: known here: env, file",
        ),
        (
            "password = {}",
            "error[config-conflict]: `source.password` needs either `env` or `file`\n  at: \
             FILE:7\n  do: for example { env = \"DB_PASSWORD\" }",
        ),
        (
            "password = 7",
            "error[config-wrong-type]: `source.password` must be a string, { env = … } or { file \
             = … }\n  at: FILE:7",
        ),
        (
            "tls = { mode = \"verify\" }",
            "error[config-bad-value]: `source.tls.mode` cannot be \"verify\"\n  at: FILE:7\n  do: \
             did you mean \"verify-ca\"?",
        ),
        (
            "tls = { mode = \"require\", ca = \"/etc/hosts\" }",
            "error[config-conflict]: `source.tls.ca` is used by the modes verify-ca and \
             verify-full only\n  at: FILE:7\n  do: write mode = \"verify-full\", or remove `ca`",
        ),
        (
            "tls = { cert = \"/etc/hosts\" }",
            "error[config-conflict]: `source.tls.cert` and `source.tls.key` need each \
             other\n  at: FILE:7\n  do: give both, PEM files of the client's certificate and its \
             key",
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
            "error[config-not-yet]: `source.kind = \"oracle\"` is known, but this build cannot do \
             it yet\n  at: FILE:3\n  do: this build reads mysql, mariadb and postgres",
        ),
        (
            PG,
            "kind = \"postgres\"",
            "kind = \"postgre\"",
            "error[config-bad-value]: `source.kind` cannot be \"postgre\"\n  at: FILE:3\n  do: \
             did you mean \"postgres\"?",
        ),
        (
            PG,
            "kind = \"postgres\"\n",
            "",
            "error[config-missing-key]: `source.kind` is missing\n  at: FILE:2\n  do: add, for \
             example: kind = \"postgres\"",
        ),
        (
            PG,
            "database = \"shop\"\n",
            "",
            "error[config-missing-key]: `source.database` is missing\n  at: FILE:2\n  do: add, \
             for example: database = \"shop\"",
        ),
        (
            PG,
            "user = \"cdc\"\n",
            "",
            "error[config-missing-key]: `source.user` is missing\n  at: FILE:2\n  do: add, for \
             example: user = \"cdc\"",
        ),
        (
            PG,
            "host = \"127.0.0.1\"\n",
            "",
            "error[config-missing-key]: `source.host` is missing\n  at: FILE:2\n  do: add, for \
             example: host = \"127.0.0.1\"",
        ),
        (
            PG,
            "127.0.0.1",
            "db1:5433",
            "error[config-bad-value]: `source.host` must be a host without a port, not \
             \"db1:5433\"\n  at: FILE:4\n  do: write \"db1\", and `port = 5433` in [source]",
        ),
        (
            PG,
            "127.0.0.1",
            "postgres://db1/shop",
            "error[config-bad-value]: `source.host` must be a name or an address, not \
             \"postgres://db1/shop\"\n  at: FILE:4\n  do: a folder with a Unix socket begins with \
             /",
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
            "error[config-wrong-kind]: `source.database` means nothing here: it is for sources of \
             kind \"postgres\"; choose databases with `tables`\n  at: FILE:6\n  do: remove it",
        ),
        (
            MY,
            "user = \"cdc\"",
            "user = \"cdc\"\ntime_precision_mode = \"adaptive\"",
            "error[config-bad-value]: `source.time_precision_mode` cannot be \"adaptive\" on \
             MySQL and MariaDB\n  at: FILE:6\n  do: \"adaptive_time_microseconds\" is the default \
             there",
        ),
        (
            PG,
            "name = \"shop\"",
            "name = \"n2345678901234567890123456789012345678901234567890\"",
            "error[config-bad-value]: `name` is too long to name the publication after it\n  at: \
             FILE:2\n  do: add `publication = …` in [source], at most 56 characters",
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
            "error[config-not-yet]: `snapshot.mode = \"incremental\"` is known, but this build \
             cannot do it yet\n  at: FILE:10\n  do: one of: initial, initial_only, when_needed, \
             never, schema_only, recovery",
        ),
        (
            "[snapshot]\nmode = \"recovery\"",
            "error[config-conflict]: `snapshot.mode = \"recovery\"` is for sources of kind \"mysql\" \
             and \"mariadb\"\n  do: remove it: a WAL names its own types",
        ),
        (
            "[snapshot]\nmode = \"custom\"",
            "error[config-refused]: `snapshot.mode = \"custom\"` is refused: it runs Java \
             classes\n  at: FILE:10\n  do: choose a mode by name; `when_needed` serves most of \
             them",
        ),
        (
            "[snapshot]\nmode = \"intial\"",
            "error[config-bad-value]: `snapshot.mode` cannot be \"intial\"\n  at: FILE:10\n  do: \
             did you mean \"initial\"?",
        ),
        (
            "[snapshot]\npause_ms = 5",
            "error[config-not-yet]: `snapshot.pause_ms`: a pause between chunks is known, but \
             this build cannot do it yet\n  at: FILE:10\n  do: rows_per_second slows a snapshot \
             down",
        ),
        (
            "[snapshot]\nparallelism = 0",
            "error[config-bad-value]: `snapshot.parallelism` must be from 1 to 64, not 0\n  at: \
             FILE:10",
        ),
        (
            "[snapshot]\nlocking_mode = \"none\"",
            "error[config-not-yet]: `locking_mode` in [snapshot] is known, but this build cannot \
             do it yet\n  at: FILE:10\n  do: remove it for now",
        ),
        (
            "path = \"out\"",
            "error[config-wrong-kind]: `sink.path` means nothing here: it is for sinks of kind \
             \"file\"\n  at: FILE:9\n  do: remove it",
        ),
        (
            "delivery = \"exactly_once\"",
            "error[config-delivery]: a sink of kind \"stdout\" cannot deliver exactly once\n  at: \
             FILE:9\n  do: write delivery = \"at_least_once\", or use a sink of kind \"file\"",
        ),
        (
            "format = \"avro\"",
            "error[config-not-yet]: `sink.format = \"avro\"` is known, but this build cannot do \
             it yet\n  at: FILE:9\n  do: format = \"json\"",
        ),
        (
            "[[sinks]]\nkind = \"null\"",
            "error[config-conflict]: [sink] and [[sinks]] exclude each other\n  at: FILE:9\n  do: \
             write every sink as [[sinks]]",
        ),
        (
            "[runtime]\nbackend = \"iouring\"",
            "error[config-bad-value]: `runtime.backend` cannot be \"iouring\"\n  at: \
             FILE:10\n  do: did you mean \"io_uring\"?",
        ),
        (
            "[runtime]\ncores = [0, 0]",
            "error[config-bad-value]: `runtime.cores` names CPU 0 twice\n  at: FILE:10",
        ),
        (
            "[runtime]\ncores = 2",
            "error[config-wrong-type]: `runtime.cores` must be \"auto\" or a list of CPU numbers, \
             not an integer\n  at: FILE:10",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(message(&with_end(PG, lines)), *expected, "{lines}");
    }
    let sinks: &[(&str, &str)] = &[
        (
            "[sink]\nkind = \"kafka\"\nbootstrap_servers = \"b\"",
            "error[config-not-yet]: `sink.kind = \"kafka\"` is known, but this build cannot do it \
             yet\n  at: FILE:8\n  do: this build writes to stdout, file and null",
        ),
        (
            "[sink]\nkind = \"files\"",
            "error[config-bad-value]: `sink.kind` cannot be \"files\"\n  at: FILE:8\n  do: did \
             you mean \"file\"?",
        ),
        (
            "[sink]\nkind = \"file\"",
            "error[config-missing-key]: `sink.path` is missing\n  at: FILE:7\n  do: add, for \
             example: path = \"out\"",
        ),
        (
            "[sink]\nkind = \"null\"\nheaders = true",
            "error[config-wrong-kind]: `sink.headers` means nothing here: a null sink prints \
             nothing\n  at: FILE:9\n  do: remove it",
        ),
        (
            "",
            "error[config-missing-key]: `sink` is missing\n  at: FILE:1\n  do: add, for example: \
             [sink] with `kind = \"stdout\"`",
        ),
        (
            "[sinks]\nkind = \"stdout\"",
            "error[config-wrong-type]: `sinks` must be a list: write [[sinks]] above each, not a \
             table\n  at: FILE:7",
        ),
    ];
    for (lines, expected) in sinks {
        let text = PG.replace("[sink]\nkind = \"stdout\"\n", lines);
        assert_eq!(message(&text), *expected, "{lines}");
    }
}
