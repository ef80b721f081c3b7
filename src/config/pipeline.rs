//! One file, one pipeline: the top of the file and its smaller sections.
//!
//! Enters: a document. Leaves: `Pipeline`, resolved. The order of checks is the order in which a
//! person would mend them: syntax, name, source, snapshot, sinks, state, runtime, stray keys.

use penstock_protocol::schema::SourceKind;
use toml::de::DeTable;

use super::section::{Document, Section, Value};
use super::{
    Backend, Pipeline, Runtime, Sink, Snapshot, SnapshotMode, is_topic_char, sink, source,
};
use crate::error::{Error, Result};

/// Kafka's limit for a topic; the name is its beginning.
const NAME_CHARS_MAX: usize = 200;
/// Cores that one pipeline may name.
const CPU_MAX: u64 = 4095;

/// Reads a whole file.
pub(super) fn read(doc: Document<'_>) -> Result<Pipeline> {
    let root = DeTable::parse(doc.text).map_err(|error| syntax(doc, &error))?;
    let mut top = Section::new(doc, "", root.get_ref(), 0);
    let name = name(&top.need("name", "name = \"shop\"")?)?;
    let section = top.need("source", "a section [source]")?.section("source")?;
    let (source, encode) = source::read(section, &name)?;
    let snapshot = snapshot(section_or_absent(&mut top, "snapshot")?)?;
    if snapshot.mode == SnapshotMode::Recovery && source.kind == SourceKind::Postgres {
        let what =
            "`snapshot.mode = \"recovery\"` is for sources of kind \"mysql\" and \"mariadb\"";
        return Err(
            Error::usage("config-conflict", what).hint("remove it: a WAL names its own types")
        );
    }
    let sinks: Vec<Sink> = sink::read(&mut top, &encode)?;
    let mut state = section_or_absent(&mut top, "state")?;
    let folder = match state.take("path") {
        Some(value) => value.path()?,
        None => doc.resolve("state"),
    };
    state.finish()?;
    let runtime = runtime(section_or_absent(&mut top, "runtime")?)?;
    top.finish()?;
    let origin = doc.path.to_owned();
    Ok(Pipeline { name, origin, source, snapshot, sinks, state: folder, runtime })
}

fn section_or_absent<'t>(top: &mut Section<'t>, name: &'static str) -> Result<Section<'t>> {
    match top.take(name) {
        Some(value) => value.section(name),
        None => Ok(Section::absent(top.doc(), name)),
    }
}

fn syntax(doc: Document<'_>, error: &toml::de::Error) -> Error {
    // The message may go on with a list of what was expected, on lines of its own.
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    let what = format!("not valid TOML: {message}");
    let at = error.span().map_or(0, |span| span.start);
    Error::usage("config-syntax", what).at(doc.at(at))
}

/// The topic prefix, which also names folders, slots and publications.
fn name(value: &Value<'_>) -> Result<String> {
    let text = value.line()?;
    if !text.chars().all(is_topic_char) || text.chars().all(|c| c == '.') {
        return Err(value.bad("may hold a-z, A-Z, 0-9, dot, _ and - only: topics begin with it"));
    }
    if text.len() > NAME_CHARS_MAX {
        return Err(value.bad(format!("must have at most {NAME_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}

fn snapshot(mut section: Section<'_>) -> Result<Snapshot> {
    let mode = match section.take("mode") {
        Some(value) => snapshot_mode(&value)?,
        None => SnapshotMode::Initial,
    };
    let parallelism = match section.take("parallelism") {
        Some(value) => value.small(1..=64)?,
        None => 2,
    };
    let chunk_rows = match section.take("chunk_rows") {
        Some(value) => value.small(1..=10_000_000)?,
        None => 10_240,
    };
    let rows_per_second = section.take("rows_per_second").map(|v| v.integer(0..=u64::MAX));
    if let Some(value) = section.take("pause_ms")
        && value.integer(0..=3_600_000)? > 0
    {
        let error = value.later("a pause between chunks is");
        return Err(error.hint("rows_per_second slows a snapshot down"));
    }
    section.finish()?;
    Ok(Snapshot {
        mode,
        parallelism,
        chunk_rows,
        rows_per_second: rows_per_second.transpose()?.unwrap_or(0),
        pause_ms: 0,
    })
}

fn snapshot_mode(value: &Value<'_>) -> Result<SnapshotMode> {
    match value.text()? {
        // Names that Debezium had before are taken too.
        "no_data" => Ok(SnapshotMode::SchemaOnly),
        "schema_only_recovery" => Ok(SnapshotMode::Recovery),
        later @ ("concurrent" | "incremental" | "always") => {
            let hint = "one of: initial, initial_only, when_needed, never, schema_only, recovery";
            Err(value.not_yet(later).hint(hint))
        }
        refused @ ("custom" | "configuration_based") => {
            let what = format!("`{} = {refused:?}` is refused: it runs Java classes", value.key);
            let hint = "choose a mode by name; `when_needed` serves most of them";
            Err(value.error("config-refused", what).hint(hint))
        }
        _ => value.choice(&[
            ("initial", SnapshotMode::Initial),
            ("initial_only", SnapshotMode::InitialOnly),
            ("when_needed", SnapshotMode::WhenNeeded),
            ("never", SnapshotMode::Never),
            ("schema_only", SnapshotMode::SchemaOnly),
            ("recovery", SnapshotMode::Recovery),
        ]),
    }
}

fn runtime(mut section: Section<'_>) -> Result<Runtime> {
    let backend = match section.take("backend") {
        None => None,
        Some(value) => value.choice(&[
            ("auto", None),
            ("io_uring", Some(Backend::IoUring)),
            ("epoll", Some(Backend::Epoll)),
        ])?,
    };
    let cores = match section.take("cores") {
        None => None,
        Some(value) => cores(&value)?,
    };
    section.finish()?;
    Ok(Runtime { backend, cores })
}

/// `"auto"` or a list of different CPUs.
fn cores(value: &Value<'_>) -> Result<Option<Vec<usize>>> {
    if value.is_text() {
        return value.choice(&[("auto", None::<()>)]).map(|_| None);
    }
    let list = value.list("\"auto\" or a list of CPU numbers")?;
    if list.is_empty() {
        return Err(value.bad("must name at least one CPU").hint("cores = \"auto\""));
    }
    let mut cpus: Vec<usize> = Vec::with_capacity(list.len());
    for element in &list {
        let cpu = element.small(0..=CPU_MAX)?;
        if cpus.contains(&cpu) {
            return Err(element.bad(format!("names CPU {cpu} twice")));
        }
        cpus.push(cpu);
    }
    Ok(Some(cpus))
}
