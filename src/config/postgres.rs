//! What of `[source]` only PostgreSQL has: how slot and publication are made, and the stream.
//!
//! Enters: the section. Leaves: `Postgres`, defaults applied. Keeps: Debezium's names and meanings;
//! what would publish all tables is refused (HAZARDS H1).

use regex::Regex;

use super::filter;
use super::section::{Section, Value};
use crate::error::Result;

/// Keys that mean nothing for other kinds of source: those read here, and those of its types.
pub(super) const KEYS: &[&str] = &[
    "hstore_handling_mode",
    "include_unknown_datatypes",
    "interval_handling_mode",
    "message_prefix_exclude_list",
    "message_prefix_include_list",
    "money_fraction_digits",
    "publication_autocreate_mode",
    "publish_via_partition_root",
    "slot_drop_on_stop",
    "slot_failover",
    "slot_max_retries",
    "slot_retry_delay_ms",
    "slot_stream_params",
    "status_update_interval_ms",
];

/// Options of the slot, the publication and the stream.
#[derive(Clone, Debug, Default)]
pub struct Postgres {
    /// Who makes the publication.
    pub autocreate: Autocreate,
    /// Changes of partitions come under the partitioned table's name, in a publication that we
    /// make; `None`: as the captured tables need it.
    pub via_root: Option<bool>,
    /// The slot is dropped when the pipeline is stopped: for tests, it loses what comes after.
    pub drop_on_stop: bool,
    /// The slot is synchronised to standbys (17 and later).
    pub failover: bool,
    /// A slot in use is tried so often; `None`: as long as a dead reader may hold it.
    pub retries_max: Option<u32>,
    /// Between these tries.
    pub retry_delay_ms: Option<u64>,
    /// `streaming=off`: transactions in progress are not streamed.
    pub unstreamed: bool,
    /// `origin=none`: the server leaves out what came from other servers (16 and later).
    pub origin_none: bool,
    /// Time between two status messages to the server.
    pub status_interval_ms: Option<u64>,
    /// Prefixes of the logical messages that are told; empty: all.
    pub message_prefixes: Vec<Regex>,
    /// Not these.
    pub exclude_message_prefixes: Vec<Regex>,
}

impl Postgres {
    /// Whether logical messages with this prefix are told.
    pub fn message(&self, prefix: &str) -> bool {
        let matches = |list: &[Regex]| list.iter().any(|r| r.is_match(prefix));
        (self.message_prefixes.is_empty() || matches(&self.message_prefixes))
            && !matches(&self.exclude_message_prefixes)
    }
}

/// `publication_autocreate_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Autocreate {
    /// For the captured tables; tables that it lacks are added.
    #[default]
    Filtered,
    /// Empty, if it is missing; its tables are somebody else's to add.
    NoTables,
    /// Never.
    Disabled,
}

/// Reads the keys.
pub(super) fn read(section: &mut Section<'_>) -> Result<Postgres> {
    let mut options = Postgres::default();
    if let Some(value) = section.take("publication_autocreate_mode") {
        options.autocreate = autocreate(&value)?;
    }
    let mut flag = |key| section.take(key).map(|value| value.boolean()).transpose();
    options.via_root = flag("publish_via_partition_root")?;
    options.drop_on_stop = flag("slot_drop_on_stop")?.unwrap_or_default();
    options.failover = flag("slot_failover")?.unwrap_or_default();
    options.retries_max =
        section.take("slot_max_retries").map(|value| value.small(0..=1_000_000)).transpose()?;
    let mut time = |key, range| section.take(key).map(|value| value.integer(range)).transpose();
    options.retry_delay_ms = time("slot_retry_delay_ms", 1..=86_400_000)?;
    options.status_interval_ms = time("status_update_interval_ms", 1..=86_400_000)?;
    options.message_prefixes =
        filter::patterns(section, "message_prefix_include_list", 1, "prefix")?;
    options.exclude_message_prefixes =
        filter::patterns(section, "message_prefix_exclude_list", 1, "prefix")?;
    if !options.message_prefixes.is_empty() && !options.exclude_message_prefixes.is_empty() {
        let what = "`source.message_prefix_include_list` and `source.message_prefix_exclude_list` \
                    exclude each other";
        return Err(section.error("config-conflict", what.into()).hint("keep one of them"));
    }
    if let Some(value) = section.take("slot_stream_params") {
        stream_params(&value, &mut options)?;
    }
    Ok(options)
}

fn autocreate(value: &Value<'_>) -> Result<Autocreate> {
    if value.text()? == "all_tables" {
        let error = value.bad(
            "cannot be \"all_tables\": FOR ALL TABLES breaks UPDATE and DELETE on \
                               every table without replica identity",
        );
        return Err(error.hint("\"filtered\", the default, publishes the captured tables"));
    }
    value.choice(&[
        ("filtered", Autocreate::Filtered),
        ("no_tables", Autocreate::NoTables),
        ("disabled", Autocreate::Disabled),
    ])
}

/// Debezium's form: `name=value;name=value`, options of the output plugin.
fn stream_params(value: &Value<'_>, options: &mut Postgres) -> Result<()> {
    let params = value.text()?.split(';').map(str::trim).filter(|param| !param.is_empty());
    for param in params {
        let (name, wanted) = param.split_once('=').unwrap_or((param, ""));
        match (name.trim(), wanted.trim()) {
            ("streaming", "on") => options.unstreamed = false,
            ("streaming", "off") => options.unstreamed = true,
            ("origin", "any") => options.origin_none = false,
            ("origin", "none") => options.origin_none = true,
            _ => {
                let error = value.bad(format!("cannot hold {param:?}"));
                return Err(error.hint(
                    "streaming=on or off, origin=any or none (16 and later), separated by \
                     semicolons; the other options of pgoutput are chosen by Penstock",
                ));
            }
        }
    }
    Ok(())
}
