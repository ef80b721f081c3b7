//! Names of keys: those that each section knows, Debezium's names for them, and those that the
//! product knows but this build cannot do yet. Data and spelling only, no meaning.

/// What becomes of a key that nobody took.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Known to the product or to Debezium, not in this build.
    Later,
    /// Debezium's name for something that has its own place here.
    Renamed(&'static str),
    /// Probably a slip of the finger.
    Near(&'static str),
    /// The key of another section.
    Elsewhere(&'static str),
    /// Nothing that anybody knows.
    Unknown,
}

/// Sections, with the keys that this build reads.
const KNOWN: &[(&str, &[&str])] = &[
    ("", &["name", "source", "snapshot", "sink", "sinks", "state", "runtime"]),
    (
        "source",
        &[
            "kind",
            "host",
            "hosts",
            "port",
            "user",
            "password",
            "database",
            "tables",
            "exclude_tables",
            "include_columns",
            "exclude_columns",
            "tls",
            "slot",
            "publication",
            "message_prefix_exclude_list",
            "message_prefix_include_list",
            "publication_autocreate_mode",
            "publish_via_partition_root",
            "slot_drop_on_stop",
            "slot_failover",
            "slot_max_retries",
            "slot_retry_delay_ms",
            "slot_stream_params",
            "status_update_interval_ms",
            "server_id",
            "on_table_error",
            "time_precision_mode",
            "decimal_handling_mode",
            "binary_handling_mode",
            "bigint_unsigned_handling_mode",
            "hstore_handling_mode",
            "interval_handling_mode",
            "money_fraction_digits",
            "include_unknown_datatypes",
            "event_converting_failure_handling_mode",
            "enable_time_adjuster",
            "tombstones_on_delete",
            "skipped_operations",
            "topic_delimiter",
            "unavailable_value_placeholder",
            "include_query",
            "include_schema_changes",
            "schema_history_internal_skip_unparseable_ddl",
            "schema_history_internal_store_only_captured_databases_ddl",
            "schema_history_internal_store_only_captured_tables_ddl",
            "heartbeat_interval_ms",
            "heartbeat_action_query",
            "topic_heartbeat_prefix",
            "topic_heartbeat_name",
            "provide_transaction_metadata",
            "topic_transaction",
            "include_schema_changes",
            "topic_naming_strategy",
            "message_key_columns",
            "column_truncate_to_N_chars",
            "column_mask_with_N_chars",
            "column_mask_hash_ALG_with_salt_SALT",
            "column_mask_hash_v2_ALG_with_salt_SALT",
            "skip_messages_without_change",
            "extended_headers_enabled",
            "schema_name_adjustment_mode",
            "field_name_adjustment_mode",
        ],
    ),
    ("source.tls", &["mode", "ca", "cert", "key"]),
    ("source.password", &["env", "file"]),
    ("snapshot", &["mode", "parallelism", "chunk_rows", "rows_per_second", "pause_ms"]),
    (
        "sink",
        &[
            "kind",
            "path",
            "format",
            "delivery",
            "headers",
            "rotate_bytes",
            "replace_null_with_default",
        ],
    ),
    ("state", &["path"]),
    ("runtime", &["backend", "cores"]),
];

/// Known to FACE or Debezium, not in this build. `*` at the end: any name that begins so.
const LATER: &[(&str, &[&str])] = &[
    ("", &["admin", "transforms", "predicates", "lease", "signals", "notifications"]),
    (
        "source",
        &[
            "column_propagate_source_type",
            "connect_timeout_ms",
            "converters",
            "custom_metric_tags",
            "database_exclude_list",
            "database_include_list",
            "database_query_timeout_ms",
            "datatype_propagate_source_type",
            "errors_*",
            "event_deserialization_failure_handling_mode",
            "event_processing_failure_handling_mode",
            "gtid_*",
            "include_schema_comments",
            "incremental_snapshot_allow_schema_changes",
            "incremental_snapshot_watermarking_strategy",
            "inconsistent_schema_handling_mode",
            "lsn_flush_mode",
            "max_batch_size",
            "max_queue_size",
            "max_queue_size_in_bytes",
            "notification_*",
            "offset_mismatch_strategy",
            "plugin_name",
            "poll_interval_ms",
            "post_processors*",
            "read_only",
            "replica_identity_autoset_values",
            "retriable_restart_connector_wait_ms",
            "schema_exclude_list",
            "schema_history_internal",
            "schema_history_internal_c*",
            "schema_history_internal_d*",
            "schema_history_internal_f*",
            "schema_history_internal_k*",
            "schema_history_internal_p*",
            "schema_history_internal_r*",
            "schema_include_list",
            "schema_refresh_mode",
            "signal_*",
            "streaming_delay_ms",
            "table_ignore_builtin",
            "topic_cache_size",
            "topic_key_*",
            "topic_regex",
            "topic_replacement",
            "xmin_fetch_interval_ms",
        ],
    ),
    (
        "snapshot",
        &[
            "delay_ms",
            "include_collection_list",
            "isolation_mode",
            "lock_timeout_ms",
            "locking_mode",
            "query_mode",
            "select_statement_overrides*",
            "snapshot_delay_ms",
            "snapshot_include_collection_list",
            "snapshot_isolation_mode",
            "snapshot_lock_timeout_ms",
            "snapshot_locking_mode",
            "snapshot_query_mode",
            "snapshot_select_statement_overrides*",
            "snapshot_tables_order_by_row_count",
            "streaming_delay_ms",
            "tables_order_by_row_count",
        ],
    ),
    ("sink", &["bootstrap_servers", "schema_registry_url", "schemas_enable", "transforms"]),
];

/// Debezium's names (dots as underscores) for what stands elsewhere or is called otherwise here.
const RENAMED: &[(&str, &str)] = &[
    ("column_exclude_list", "`exclude_columns` in [source]"),
    ("column_include_list", "`include_columns` in [source]"),
    ("connector_class", "`kind` in [source]"),
    ("database_dbname", "`database` in [source]"),
    ("database_hostname", "`host` in [source]"),
    ("database_password", "`password` in [source]"),
    ("database_port", "`port` in [source]"),
    ("database_server_id", "`server_id` in [source]"),
    ("database_server_name", "`name` at the top"),
    ("database_ssl_mode", "`tls = { mode = … }` in [source]"),
    ("database_sslcert", "`tls = { cert = … }` in [source]"),
    ("database_sslkey", "`tls = { key = … }` in [source]"),
    ("database_sslmode", "`tls = { mode = … }` in [source]"),
    ("database_sslrootcert", "`tls = { ca = … }` in [source]"),
    ("database_user", "`user` in [source]"),
    ("dbname", "`database` in [source]"),
    ("fetch_size", "`chunk_rows` in [snapshot]"),
    ("hostname", "`host` in [source]"),
    ("incremental_snapshot_chunk_size", "`chunk_rows` in [snapshot]"),
    ("max_threads", "`parallelism` in [snapshot]"),
    ("publication_name", "`publication` in [source]"),
    ("slot_name", "`slot` in [source]"),
    ("snapshot_fetch_size", "`chunk_rows` in [snapshot]"),
    ("snapshot_max_threads", "`parallelism` in [snapshot]"),
    ("snapshot_mode", "`mode` in [snapshot]"),
    ("sslmode", "`tls = { mode = … }` in [source]"),
    ("table_exclude_list", "`exclude_tables` in [source]"),
    ("table_include_list", "`tables` in [source]"),
    ("topic_prefix", "`name` at the top"),
    ("username", "`user` in [source]"),
];

/// Keys of a section, in the order in which they are documented.
pub(super) fn known(section: &str) -> &'static [&'static str] {
    keys(KNOWN, section)
}

/// What a key that nobody took is.
pub(super) fn fate(section: &str, key: &str) -> Fate {
    let plain = key.replace(['.', '-'], "_").to_lowercase();
    if keys(LATER, section).iter().any(|later| covers(later, &plain)) {
        return Fate::Later;
    }
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == plain) {
        return Fate::Renamed(new);
    }
    if let Some(near) = nearest(key, known(section).iter().copied()) {
        return Fate::Near(near);
    }
    let elsewhere = |(name, keys): &&(&'static str, &[&str])| {
        *name != section && !name.is_empty() && keys.contains(&key)
    };
    if let Some((name, _)) = KNOWN.iter().find(elsewhere) {
        return Fate::Elsewhere(name);
    }
    match LATER.iter().any(|(_, later)| later.iter().any(|later| covers(later, &plain))) {
        true => Fate::Later,
        false => Fate::Unknown,
    }
}

/// The word that is spelt most like `word`, if one is near at all.
pub(super) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let plain = word.to_lowercase().replace(['.', '-'], "_");
    words
        .map(|known| (strsim::normalized_damerau_levenshtein(&plain, known), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

fn keys(sections: &[(&str, &'static [&'static str])], section: &str) -> &'static [&'static str] {
    sections.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

fn covers(pattern: &str, key: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => key.starts_with(start),
        None => pattern == key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_of_keys() {
        // Goal: each kind of stray key gets its own advice. Method: one of each.
        assert_eq!(fate("source", "tabels"), Fate::Near("tables"));
        assert_eq!(fate("source", "Exclude-Tables"), Fate::Near("exclude_tables"));
        assert_eq!(fate("source", "table_include_list"), Fate::Renamed("`tables` in [source]"));
        assert_eq!(fate("source", "gtid_source_includes"), Fate::Later);
        assert_eq!(fate("", "admin"), Fate::Later);
        assert_eq!(fate("sink", "slot"), Fate::Elsewhere("source"));
        assert_eq!(fate("sink", "message_key_columns"), Fate::Elsewhere("source"));
        assert_eq!(fate("source", "zebra"), Fate::Unknown);
    }

    #[test]
    fn no_key_is_in_two_lists() {
        // Goal: what this build reads is never called "not yet" or "renamed". Method: all pairs.
        for (section, known) in KNOWN {
            for key in *known {
                assert!(!keys(LATER, section).iter().any(|later| covers(later, key)), "{key}");
                assert!(RENAMED.iter().all(|(old, _)| old != key), "{key}");
            }
        }
    }
}
