//! The section `[source]`: where rows come from, what is captured, how values look.
//!
//! Enters: the section. Leaves: `Source` and the options of encoding that it decides, defaults
//! applied. Keeps: a key that means nothing for the kind of source is an error.

use std::net::IpAddr;

use penstock_protocol::schema::SourceKind;
use penstock_shards::encode::options::{
    BinaryHandling, Connector, ConvertingFailure, DecimalHandling, EncodeOptions, HstoreHandling,
    IntervalHandling, NameAdjustment, TimePrecision,
};

use super::section::{Section, Value};
use super::{
    OnTableError, Postgres, Secret, Source, TableFilter, Tls, TlsMode, columns, filter, postgres,
    secret,
};
use crate::error::{Error, Result};

/// PostgreSQL's limit for a name, bytes (NAMEDATALEN − 1).
const PG_NAME_BYTES_MAX: usize = 63;
/// What is appended to the publication's name for tables without replica identity (FACE).
const INSERT_SUFFIX: &str = "_insert";
/// More digits than any currency has; 64 bits hold no more.
const MONEY_DIGITS_MAX: u64 = 18;
/// A heartbeat more rarely than once a day is none.
const HEARTBEAT_MS_MAX: u64 = 86_400_000;

/// Reads the section of a pipeline called `name`.
pub(super) fn read(mut section: Section<'_>, name: &str) -> Result<(Source, EncodeOptions)> {
    let kind = kind(&mut section)?;
    match kind {
        SourceKind::Postgres => section.refuse(
            &[
                "server_id",
                "include_query",
                "bigint_unsigned_handling_mode",
                "include_schema_changes",
                "schema_history_internal_skip_unparseable_ddl",
                "schema_history_internal_store_only_captured_tables_ddl",
                "schema_history_internal_store_only_captured_databases_ddl",
            ],
            "it is for sources of kind \"mysql\" and \"mariadb\"",
        )?,
        SourceKind::MySql | SourceKind::MariaDb => {
            let why = "it is for sources of kind \"postgres\"";
            section.refuse(
                &["database", "slot", "publication"],
                &format!("{why}; choose databases with `tables`"),
            )?;
            section.refuse(postgres::KEYS, why)?;
        }
    }
    let hosts = hosts(&mut section)?;
    let encode = encode(&mut section, name, kind)?;
    let postgres = match kind {
        SourceKind::Postgres => postgres::read(&mut section)?,
        SourceKind::MySql | SourceKind::MariaDb => Postgres::default(),
    };
    let (slot, publication) = match kind {
        SourceKind::Postgres => pg_objects(&mut section, name)?,
        SourceKind::MySql | SourceKind::MariaDb => (String::new(), String::new()),
    };
    let database = match kind {
        SourceKind::Postgres => section.need("database", "database = \"shop\"")?.line()?.to_owned(),
        SourceKind::MySql | SourceKind::MariaDb => String::new(),
    };
    let port = match section.take("port") {
        Some(value) => value.small(1..=65_535)?,
        None if kind == SourceKind::Postgres => 5432,
        None => 3306,
    };
    let (heartbeat_interval_ms, heartbeat_action_query) = heartbeat(&mut section)?;
    let flag = |section: &mut Section<'_>, key, default| {
        section.take(key).map_or(Ok(default), |value: Value<'_>| value.boolean())
    };
    let provide_transaction_metadata = flag(&mut section, "provide_transaction_metadata", false)?;
    let include_schema_changes = flag(&mut section, "include_schema_changes", true)?;
    let include_query = section.take("include_query").map_or(Ok(false), |v| v.boolean())?;
    let store_only_captured_tables = schema_history(&mut section)?;
    let source = Source {
        kind,
        user: section.need("user", "user = \"cdc\"")?.line()?.to_owned(),
        password: password(&mut section)?,
        database,
        filter: table_filter(&mut section, kind)?,
        tls: tls(&mut section, &hosts)?,
        slot,
        publication,
        postgres,
        server_id: server_id(&mut section)?,
        on_table_error: on_table_error(&mut section)?,
        include_query,
        provide_transaction_metadata,
        include_schema_changes,
        store_only_captured_tables,
        heartbeat_interval_ms,
        heartbeat_action_query,
        hosts,
        port,
    };
    section.finish()?;
    Ok((source, encode))
}

fn kind(section: &mut Section<'_>) -> Result<SourceKind> {
    let value = section.need("kind", "kind = \"postgres\"")?;
    if let later @ ("mongodb" | "sqlserver" | "oracle") = value.text()? {
        return Err(value.not_yet(later).hint("this build reads mysql, mariadb and postgres"));
    }
    value.choice(&[
        ("postgres", SourceKind::Postgres),
        ("mysql", SourceKind::MySql),
        ("mariadb", SourceKind::MariaDb),
        // Debezium's connector says so.
        ("postgresql", SourceKind::Postgres),
    ])
}

fn hosts(section: &mut Section<'_>) -> Result<Vec<String>> {
    let (one, several) = (section.take("host"), section.take("hosts"));
    match (one, several) {
        (Some(_), Some(both)) => {
            let what = "`source.host` and `source.hosts` exclude each other";
            Err(both.error("config-conflict", what).hint("keep one of them"))
        }
        (Some(one), None) => Ok(vec![host(&one)?]),
        (None, Some(several)) => {
            let list = several.list("a list of hosts")?;
            if list.is_empty() {
                return Err(several.bad("must name at least one host"));
            }
            list.iter().map(host).collect()
        }
        (None, None) => {
            Err(section.need("host", "host = \"127.0.0.1\"").err().expect("invariant: taken above"))
        }
    }
}

fn host(value: &Value<'_>) -> Result<String> {
    let text = value.line()?.trim();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if text.starts_with('/') || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        let error = value.bad(format!("must be a host without a port, not {text:?}"));
        return Err(error.hint(format!("write \"{name}\", and `port = {port}` in [source]")));
    }
    if text.contains(|c: char| c.is_whitespace() || "/:@?,".contains(c)) {
        let error = value.bad(format!("must be a name or an address, not {text:?}"));
        return Err(error.hint("a folder with a Unix socket begins with /"));
    }
    Ok(text.to_owned())
}

/// Whether the host can only be this machine.
fn is_local(host: &str) -> bool {
    is_socket(host)
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_socket(host: &str) -> bool {
    host.starts_with('/')
}

fn password(section: &mut Section<'_>) -> Result<Secret> {
    section.take("password").map_or(Ok(Secret::default()), |value| secret::read(&value))
}

fn tls(section: &mut Section<'_>, hosts: &[String]) -> Result<Tls> {
    let mut tls = match section.take("tls") {
        Some(value) => value.section("source.tls")?,
        None => Section::absent(section.doc(), "source.tls"),
    };
    let mode = tls.take("mode");
    let chosen = mode.as_ref().map(tls_mode).transpose()?;
    let (ca, cert, key) = (tls.take("ca"), tls.take("cert"), tls.take("key"));
    if let (Some(mode), Some(ca)) = (chosen, &ca)
        && !matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull)
    {
        let what = "`source.tls.ca` is used by the modes verify-ca and verify-full only";
        let error = ca.error("config-conflict", what);
        return Err(error.hint("write mode = \"verify-full\", or remove `ca`"));
    }
    if let (Some(lonely), None) | (None, Some(lonely)) = (&cert, &key) {
        let what = "`source.tls.cert` and `source.tls.key` need each other";
        let error = lonely.error("config-conflict", what);
        return Err(error.hint("give both, PEM files of the client's certificate and its key"));
    }
    // Who names an authority wants it to count, also where the default would not verify.
    let verifies = ca.is_some() && !hosts.iter().all(|host| is_socket(host));
    let default = match hosts.iter().all(|host| is_local(host)) && !verifies {
        true => TlsMode::Prefer,
        false => TlsMode::VerifyFull,
    };
    let file = |value: Option<Value<'_>>| value.as_ref().map(secret::readable).transpose();
    let read =
        Tls { mode: chosen.unwrap_or(default), ca: file(ca)?, cert: file(cert)?, key: file(key)? };
    tls.finish()?;
    Ok(read)
}

fn tls_mode(value: &Value<'_>) -> Result<TlsMode> {
    value.choice(&[
        ("off", TlsMode::Off),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ])
}

fn table_filter(section: &mut Section<'_>, kind: SourceKind) -> Result<TableFilter> {
    let (table, column) = match kind {
        SourceKind::Postgres => ("schema.table", "schema.table.column"),
        SourceKind::MySql | SourceKind::MariaDb => ("database.table", "database.table.column"),
    };
    let filter = TableFilter {
        tables: filter::patterns(section, "tables", 2, table)?,
        exclude_tables: filter::patterns(section, "exclude_tables", 2, table)?,
        include_columns: filter::patterns(section, "include_columns", 3, column)?,
        exclude_columns: filter::patterns(section, "exclude_columns", 3, column)?,
    };
    if !filter.include_columns.is_empty() && !filter.exclude_columns.is_empty() {
        let what = "`source.include_columns` and `source.exclude_columns` exclude each other";
        return Err(section.error("config-conflict", what.into()).hint("keep one of them"));
    }
    Ok(filter)
}

/// Names of slot and publication. Defaults come from the pipeline's name.
fn pg_objects(section: &mut Section<'_>, name: &str) -> Result<(String, String)> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let default: String = format!("penstock_{name}").chars().map(plain).collect();
    let publication_max = PG_NAME_BYTES_MAX - INSERT_SUFFIX.len();
    let too_long = |key: &str, max: usize| {
        let what = format!("`name` is too long to name the {key} after it");
        section
            .error("config-bad-value", what)
            .hint(format!("add `{key} = …` in [source], at most {max} characters"))
    };
    let (no_slot, no_publication) =
        (too_long("slot", PG_NAME_BYTES_MAX), too_long("publication", publication_max));
    let slot = match section.take("slot") {
        Some(value) => slot_name(&value)?,
        None if default.len() > PG_NAME_BYTES_MAX => return Err(no_slot),
        None => default.clone(),
    };
    let publication = match section.take("publication") {
        Some(value) => {
            let text = value.line()?;
            if text.len() > publication_max {
                let why = format!("must have at most {publication_max} bytes");
                return Err(value.bad(format!("{why}: \"{INSERT_SUFFIX}\" is appended to it")));
            }
            text.to_owned()
        }
        None if default.len() > publication_max => return Err(no_publication),
        None => default,
    };
    Ok((slot, publication))
}

/// PostgreSQL, `ReplicationSlotValidateName`: lower-case letters, digits and underscores.
fn slot_name(value: &Value<'_>) -> Result<String> {
    let text = value.line()?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !text.chars().all(allowed) || text.len() > PG_NAME_BYTES_MAX {
        return Err(value.bad(format!(
            "must have 1 to {PG_NAME_BYTES_MAX} of the characters a-z, 0-9 and _, not {text:?}"
        )));
    }
    Ok(text.to_owned())
}

fn server_id(section: &mut Section<'_>) -> Result<Option<u32>> {
    section.take("server_id").map(|value| value.small(1..=u64::from(u32::MAX))).transpose()
}

fn on_table_error(section: &mut Section<'_>) -> Result<OnTableError> {
    let Some(value) = section.take("on_table_error") else { return Ok(OnTableError::Fail) };
    value.choice(&[("fail", OnTableError::Fail), ("stop_table", OnTableError::StopTable)])
}

/// Whether only captured tables are stored. A statement that is not understood makes its own table
/// unknown and stops nothing, whatever `skip_unparseable_ddl` says; of databases without captured
/// tables nothing is stored.
fn schema_history(section: &mut Section<'_>) -> Result<bool> {
    for key in [
        "schema_history_internal_skip_unparseable_ddl",
        "schema_history_internal_store_only_captured_databases_ddl",
    ] {
        section.take(key).map(|value| value.boolean()).transpose()?;
    }
    let key = "schema_history_internal_store_only_captured_tables_ddl";
    section.take(key).map_or(Ok(false), |value| value.boolean())
}

/// 0, which is Debezium's default, asks for no heartbeats. An idle source's log is released without
/// them: the checkpoint follows the source's own keepalives.
fn heartbeat(section: &mut Section<'_>) -> Result<(u64, Option<String>)> {
    let interval = section.take("heartbeat_interval_ms");
    let interval_ms = interval.map_or(Ok(0), |value| value.integer(0..=HEARTBEAT_MS_MAX))?;
    let Some(value) = section.take("heartbeat_action_query") else {
        return Ok((interval_ms, None));
    };
    let query = value.text()?.trim();
    if query.is_empty() {
        return Err(value.bad("must be a statement"));
    }
    if interval_ms == 0 {
        let what = "`source.heartbeat_action_query` runs with each heartbeat, and there is none";
        let error = value.error("config-conflict", what);
        return Err(error.hint("add heartbeat_interval_ms = 10000, say, in [source]"));
    }
    Ok((interval_ms, Some(query.to_owned())))
}

/// Which records stand beside rows, and their topics.
fn beside_rows(section: &mut Section<'_>, options: &mut EncodeOptions) -> Result<()> {
    if let Some(value) = section.take("topic_heartbeat_prefix") {
        options.topic_heartbeat_prefix = topic_part(&value)?;
    }
    if let Some(value) = section.take("topic_heartbeat_name") {
        options.topic_heartbeat_name = Some(topic_part(&value)?);
    }
    if let Some(value) = section.take("topic_transaction") {
        options.topic_transaction = topic_part(&value)?;
    }
    Ok(())
}

/// The strategy that each kind of source has by default is the one that this build has.
fn naming_strategy(section: &mut Section<'_>, kind: SourceKind) -> Result<()> {
    let Some(value) = section.take("topic_naming_strategy") else { return Ok(()) };
    let ours = match kind {
        SourceKind::Postgres => "io.debezium.schema.SchemaTopicNamingStrategy",
        SourceKind::MySql | SourceKind::MariaDb => "io.debezium.schema.DefaultTopicNamingStrategy",
    };
    match value.text()? {
        text if text == ours => Ok(()),
        other => Err(value.not_yet(other).hint(format!("this build names topics as {ours} does"))),
    }
}

fn name_adjustment(value: &Value<'_>) -> Result<NameAdjustment> {
    value.choice(&[
        ("none", NameAdjustment::None),
        ("avro", NameAdjustment::Avro),
        ("avro_unicode", NameAdjustment::AvroUnicode),
    ])
}

/// Options of the form of records that are neither of a type nor of a topic.
fn record_form(
    section: &mut Section<'_>,
    kind: SourceKind,
    options: &mut EncodeOptions,
) -> Result<()> {
    columns::read(section, kind, &mut options.columns)?;
    if let Some(value) = section.take("skip_messages_without_change") {
        options.skip_messages_without_change = value.boolean()?;
    }
    if let Some(value) = section.take("extended_headers_enabled") {
        options.extended_headers = value.boolean()?;
    }
    if let Some(value) = section.take("schema_name_adjustment_mode") {
        options.schema_name_adjustment = name_adjustment(&value)?;
    }
    if let Some(value) = section.take("field_name_adjustment_mode") {
        options.field_name_adjustment = name_adjustment(&value)?;
    }
    Ok(())
}

fn encode(section: &mut Section<'_>, name: &str, kind: SourceKind) -> Result<EncodeOptions> {
    let connector = match kind {
        SourceKind::Postgres => Connector::Postgres,
        SourceKind::MySql => Connector::MySql,
        SourceKind::MariaDb => Connector::MariaDb,
    };
    let mut options = EncodeOptions::new(name, connector);
    if let Some(value) = section.take("time_precision_mode") {
        options.time_precision = Some(time_precision(&value, kind)?);
    }
    if let Some(value) = section.take("decimal_handling_mode") {
        options.decimal = value.choice(&[
            ("precise", DecimalHandling::Precise),
            ("double", DecimalHandling::Double),
            ("string", DecimalHandling::String),
        ])?;
    }
    if let Some(value) = section.take("binary_handling_mode") {
        options.binary = value.choice(&[
            ("bytes", BinaryHandling::Bytes),
            ("base64", BinaryHandling::Base64),
            ("base64-url-safe", BinaryHandling::Base64UrlSafe),
            ("hex", BinaryHandling::Hex),
        ])?;
    }
    if let Some(value) = section.take("bigint_unsigned_handling_mode") {
        options.bigint_unsigned_precise = value.choice(&[("long", false), ("precise", true)])?;
    }
    postgres_values(section, &mut options)?;
    if let Some(value) = section.take("event_converting_failure_handling_mode") {
        options.converting_failure = value.choice(&[
            ("warn", ConvertingFailure::Warn),
            ("skip", ConvertingFailure::Skip),
            ("fail", ConvertingFailure::Fail),
        ])?;
    }
    if let Some(value) = section.take("enable_time_adjuster") {
        options.time_adjuster = value.boolean()?;
    }
    if let Some(value) = section.take("tombstones_on_delete") {
        options.tombstones_on_delete = value.boolean()?;
    }
    if let Some(value) = section.take("skipped_operations") {
        options.skipped_operations = skipped_operations(&value)?;
    }
    if let Some(value) = section.take("topic_delimiter") {
        options.topic_delimiter = topic_part(&value)?;
    }
    beside_rows(section, &mut options)?;
    naming_strategy(section, kind)?;
    record_form(section, kind, &mut options)?;
    if let Some(value) = section.take("unavailable_value_placeholder") {
        options.unavailable_value_placeholder = placeholder(&value)?;
    }
    Ok(options)
}

/// Forms of types that PostgreSQL alone has.
fn postgres_values(section: &mut Section<'_>, options: &mut EncodeOptions) -> Result<()> {
    if let Some(value) = section.take("hstore_handling_mode") {
        options.hstore =
            value.choice(&[("json", HstoreHandling::Json), ("map", HstoreHandling::Map)])?;
    }
    if let Some(value) = section.take("interval_handling_mode") {
        options.interval = value.choice(&[
            ("numeric", IntervalHandling::Numeric),
            ("string", IntervalHandling::String),
        ])?;
    }
    if let Some(value) = section.take("money_fraction_digits") {
        options.money_fraction_digits = value.small(0..=MONEY_DIGITS_MAX)?;
    }
    if let Some(value) = section.take("include_unknown_datatypes") {
        options.include_unknown_datatypes = value.boolean()?;
    }
    Ok(())
}

/// Text, or `hex:` and pairs of hexadecimal digits.
fn placeholder(value: &Value<'_>) -> Result<String> {
    let text = value.text()?;
    if let Some(hex) = text.strip_prefix("hex:")
        && !(hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(value.bad("must have pairs of hexadecimal digits behind \"hex:\""));
    }
    Ok(text.to_owned())
}

fn time_precision(value: &Value<'_>, kind: SourceKind) -> Result<TimePrecision> {
    let choice = value.choice(&[
        ("adaptive", TimePrecision::Adaptive),
        ("adaptive_time_microseconds", TimePrecision::AdaptiveTimeMicroseconds),
        ("microseconds", TimePrecision::Microseconds),
        ("nanoseconds", TimePrecision::Nanoseconds),
        ("connect", TimePrecision::Connect),
        ("isostring", TimePrecision::IsoString),
    ])?;
    if choice == TimePrecision::Adaptive && kind != SourceKind::Postgres {
        let error = value.bad("cannot be \"adaptive\" on MySQL and MariaDB");
        return Err(error.hint("\"adaptive_time_microseconds\" is the default there"));
    }
    Ok(choice)
}

/// Debezium's text `"c,u"`, or a list; `none`: nothing is skipped.
fn skipped_operations(value: &Value<'_>) -> Result<Vec<u8>> {
    let words: Vec<&str> = if value.is_text() {
        value.text()?.split(',').map(str::trim).collect()
    } else {
        let list = value.list("a text such as \"t\", or a list")?;
        list.iter().map(Value::text).collect::<Result<_>>()?
    };
    let mut operations = Vec::new();
    for word in &words {
        match *word {
            "c" | "u" | "d" | "t" => operations.push(word.as_bytes()[0]),
            "none" if words.len() == 1 => {}
            other => {
                let error = value.bad(format!("cannot hold {other:?}"));
                return Err(error.hint("any of: c, u, d, t; or none alone"));
            }
        }
    }
    operations.sort_unstable();
    operations.dedup();
    Ok(operations)
}

/// Characters that a topic may have.
fn topic_part(value: &Value<'_>) -> Result<String> {
    let text = value.line()?;
    match text.chars().all(super::is_topic_char) {
        true => Ok(text.to_owned()),
        false => Err::<String, Error>(value.bad("may hold a-z, A-Z, 0-9, dot, _ and - only")),
    }
}
