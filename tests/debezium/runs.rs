//! Option values to compare: a run is one set of options, given to both sides.
//!
//! Debezium's names; the product's are the same with underscores, in `[source]`, unless `ours` says
//! otherwise. A run that the product refuses is reported, not compared.

/// Which servers a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    All,
    /// MySQL and MariaDB.
    Binlog,
    Postgres,
}

/// One set of options.
#[derive(Clone, Debug)]
pub struct Run {
    pub name: &'static str,
    pub on: On,
    /// Debezium's properties.
    pub theirs: &'static [(&'static str, &'static str)],
    /// Section, key and TOML value, where the rule above does not serve.
    pub ours: &'static [(&'static str, &'static str, &'static str)],
    /// Tables that hold values which this option cannot tell: an error on both sides.
    pub without: &'static [&'static str],
    /// Part of the representative workload.
    pub representative: bool,
}

const fn run(name: &'static str, on: On, theirs: &'static [(&'static str, &'static str)]) -> Run {
    Run { name, on, theirs, ours: &[], without: &[], representative: false }
}

const fn time(value: &'static str, on: On, theirs: &'static [(&'static str, &'static str)]) -> Run {
    run(value, on, theirs)
}

/// MySQL's TIME goes beyond a day, dates beyond what nanoseconds in 64 bits hold.
const FAR: &[&str] =
    &["t_time", "t_datetime", "t_year_small", "t_zero", "t_date_inf", "t_timestamp_inf"];

/// With nanoseconds Debezium fails on a NOT NULL timestamp that a replica identity leaves out.
const FAR_AND_NOT_NULL: &[&str] = &[
    "t_time",
    "t_datetime",
    "t_year_small",
    "t_zero",
    "t_date_inf",
    "t_timestamp_inf",
    "k_notnull",
];

/// All runs.
pub fn all() -> Vec<Run> {
    vec![
        Run { representative: true, ..run("plain", On::All, &[]) },
        time("adaptive", On::Postgres, &[("time.precision.mode", "adaptive")]),
        time("adaptive_micros", On::All, &[("time.precision.mode", "adaptive_time_microseconds")]),
        time("microseconds", On::All, &[("time.precision.mode", "microseconds")]),
        Run {
            without: FAR_AND_NOT_NULL,
            ..time("nanoseconds", On::All, &[("time.precision.mode", "nanoseconds")])
        },
        Run { without: FAR, ..time("connect", On::All, &[("time.precision.mode", "connect")]) },
        Run { without: FAR, ..time("isostring", On::All, &[("time.precision.mode", "isostring")]) },
        run("no_adjuster", On::Binlog, &[("enable.time.adjuster", "false")]),
        run("decimal_double", On::All, &[("decimal.handling.mode", "double")]),
        run("decimal_string", On::All, &[("decimal.handling.mode", "string")]),
        run("bigint_precise", On::Binlog, &[("bigint.unsigned.handling.mode", "precise")]),
        run("binary_base64", On::All, &[("binary.handling.mode", "base64")]),
        run("binary_url", On::All, &[("binary.handling.mode", "base64-url-safe")]),
        run("binary_hex", On::All, &[("binary.handling.mode", "hex")]),
        run("interval_string", On::Postgres, &[("interval.handling.mode", "string")]),
        run("hstore_map", On::Postgres, &[("hstore.handling.mode", "map")]),
        run("unknown_types", On::Postgres, &[("include.unknown.datatypes", "true")]),
        run("money_digits", On::Postgres, &[("money.fraction.digits", "1")]),
        run("placeholder", On::Postgres, &[("unavailable.value.placeholder", "not there")]),
        run("no_tombstones", On::All, &[("tombstones.on.delete", "false")]),
        run("skip_none", On::All, &[("skipped.operations", "none")]),
        run("skip_c", On::All, &[("skipped.operations", "c")]),
        run("skip_u", On::All, &[("skipped.operations", "u")]),
        run("skip_d", On::All, &[("skipped.operations", "d")]),
        run("skip_ut", On::All, &[("skipped.operations", "u,t")]),
        Run {
            ours: &[("sink", "replace_null_with_default", "false")],
            ..run("true_nulls", On::All, &[("value.converter.replace.null.with.default", "false")])
        },
        run("delimiter", On::All, &[("topic.delimiter", "_")]),
        run("query", On::Binlog, &[("include.query", "true")]),
        run("no_headers", On::All, &[("extended.headers.enabled", "false")]),
        run("no_schema_topic", On::Binlog, &[("include.schema.changes", "false")]),
        run("transactions", On::All, &[("provide.transaction.metadata", "true")]),
        Run {
            ours: &[("source", "message_key_columns", KEYS_TOML)],
            ..run("key_columns", On::All, &[("message.key.columns", KEYS)])
        },
        Run {
            ours: &[("source", "exclude_columns", "['.*\\.t_text\\.t', '.*\\.s_same\\.b']")],
            ..run(
                "column_exclude",
                On::All,
                &[("column.exclude.list", ".*\\\\.t_text\\\\.t,.*\\\\.s_same\\\\.b")],
            )
        },
        // not on PostgreSQL: there Debezium's snapshot fails on a key that is excluded
        Run {
            ours: &[("source", "exclude_columns", "['.*\\.k_composite\\.a']")],
            ..run("key_exclude", On::Binlog, &[("column.exclude.list", ".*\\\\.k_composite\\\\.a")])
        },
        Run {
            ours: &[("source", "include_columns", INCLUDED_TOML)],
            ..run("column_include", On::All, &[("column.include.list", INCLUDED)])
        },
        run("field_names", On::All, &[("field.name.adjustment.mode", "avro")]),
        run("field_names_unicode", On::All, &[("field.name.adjustment.mode", "avro_unicode")]),
        Run {
            ours: &[("source", "message_prefix_include_list", "['audit', 'ins.*']")],
            ..run("message_prefix", On::Postgres, &[("message.prefix.include.list", "audit,ins.*")])
        },
        Run {
            ours: &[("source", "message_prefix_exclude_list", "['audit']")],
            ..run("message_prefix_not", On::Postgres, &[("message.prefix.exclude.list", "audit")])
        },
        run("heartbeat", On::All, &[("heartbeat.interval.ms", "500")]),
        run("mask", On::All, &[("column.mask.with.5.chars", MASKED)]),
        run("mask_hash", On::All, &[("column.mask.hash.SHA-256.with.salt.pepper", MASKED)]),
        run("mask_hash_v2", On::All, &[("column.mask.hash.v2.SHA-512.with.salt.pepper", MASKED)]),
        run("truncate_column", On::All, &[("column.truncate.to.10.chars", MASKED)]),
        run("unchanged", On::All, &[("skip.messages.without.change", "true")]),
        Run {
            ours: &[("snapshot", "mode", "\"no_data\"")],
            ..run("no_data", On::All, &[("snapshot.mode", "no_data")])
        },
    ]
}

/// With all keys.
const INCLUDED: &str = ".*\\\\.(id|[a-d]|k|t|dt|ts|tz|s|r|A b|a b)";
const INCLUDED_TOML: &str = "['.*\\.(id|[a-d]|k|t|dt|ts|tz|s|r|A b|a b)']";
const MASKED: &str = "(.*)s_mask.(m|t|h),(.*)t_text.t";
const KEYS: &str = "(.*)\\\\.k_none:a,b;(.*)\\\\.k_composite:v;(.*)\\\\.s_multi:v,id";
const KEYS_TOML: &str = "'(.*)\\.k_none:a,b;(.*)\\.k_composite:v;(.*)\\.s_multi:v,id'";
