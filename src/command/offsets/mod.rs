//! `penstock offsets`: where a pipeline stands.
//!
//! Enters: the configuration, which names the state folder. Leaves: words and JSON, or a changed
//! checkpoint. Keeps: what changes the state holds its lock, so a running pipeline is never
//! changed behind its back; a position that cannot be is refused before anything is written.

mod debezium;
#[cfg(test)]
mod debezium_tests;
mod java;
mod words;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use penstock_protocol::position::Position;
use penstock_protocol::schema::SourceKind;
use penstock_shards::bucket::BucketMap;
use penstock_shards::checkpoint::{Checkpoint, SinkCheckpoint, SnapshotState};
use penstock_shards::seq::Epoch;
use serde_json::{Value, json};

use self::debezium::Taken;
use super::output;
use crate::config::{self, Pipeline};
use crate::error::{Error, Result};
use crate::runtime::{Backend, clock, run_alone};
use crate::source;
use crate::store::{self, State};

/// Bytes of a file of offsets: some thousand connectors fit.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What `offsets` can do.
#[derive(Debug, Subcommand)]
pub(super) enum Offsets {
    /// Where each pipeline stands, in the source's words and as JSON
    Show {
        /// A TOML file, or a folder of them
        config: PathBuf,
        /// JSON only
        #[arg(long)]
        json: bool,
    },
    /// Go on from another position, also from one that Debezium stored
    #[command(
        group(clap::ArgGroup::new("from").required(true).args(["position", "file"])),
        override_usage = "penstock offsets set CONFIG POSITION\n       \
            penstock offsets set CONFIG --file FILE [--server PREFIX]"
    )]
    Set {
        /// The pipeline's TOML file
        config: PathBuf,
        /// JSON: what `show` prints, or the value of Debezium's offset
        position: Option<String>,
        /// Debezium's offset from a file (- is standard input): Kafka Connect's offset file,
        /// records of its offset topic (key, tab, value a line), or what its REST interface says
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Whose offset, if the file holds several: Debezium's topic prefix [default: the name of
        /// the pipeline]
        #[arg(long, value_name = "PREFIX")]
        server: Option<String>,
    },
    /// Forget where a pipeline stands: its next run begins as at first
    Delete {
        /// The pipeline's TOML file
        config: PathBuf,
        /// PostgreSQL: drop the replication slot too; without it, asks on a terminal
        #[arg(long)]
        drop_slot: bool,
    },
}

/// Does it; exit status.
pub(super) fn act(offsets: Offsets) -> Result<u8> {
    match offsets {
        Offsets::Show { config, json } => show(&config, json),
        Offsets::Set { config, position, file, server } => {
            let pipeline = one(&config)?;
            let bytes = match (position, file) {
                (Some(position), _) => position.into_bytes(),
                (None, Some(file)) => read(&file)?,
                (None, None) => Vec::new(),
            };
            let server = server.as_deref().unwrap_or(&pipeline.name);
            set(&pipeline, taken(&bytes, server, pipeline.source.kind)?)
        }
        Offsets::Delete { config, drop_slot } => delete(&one(&config)?, drop_slot),
    }
}

/// The only pipeline of a configuration.
fn one(config: &Path) -> Result<Pipeline> {
    let mut pipelines = config::load(&[config])?;
    match (pipelines.pop(), pipelines.len()) {
        (Some(pipeline), 0) => Ok(pipeline),
        _ => Err(Error::usage("usage-one-pipeline", "this is done to one pipeline at a time")
            .at(config.display().to_string())
            .hint("give the file of that pipeline")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_end(&mut bytes),
        false => std::fs::File::open(file)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::usage(
            "state-offset-unreadable",
            format!("cannot read {}: {error}", file.display()),
        )),
    }
}

/// Our own position, or Debezium's.
fn taken(bytes: &[u8], server: &str, kind: SourceKind) -> Result<Taken> {
    let ours = serde_json::from_slice::<Value>(bytes).ok().filter(|v| v.get("kind").is_some());
    let taken = match ours {
        None => debezium::take(&debezium::read(bytes)?, server, kind)?,
        Some(value) => {
            let position = serde_json::from_value(value).map_err(|error| {
                let what = format!("no position: {error}");
                Error::usage("state-position-invalid", what)
                    .hint("`penstock offsets show` prints positions in the form that is wanted")
            })?;
            Taken { position, notes: Vec::new() }
        }
    };
    words::validate(&taken.position, kind)?;
    Ok(taken)
}

fn show(config: &Path, as_json: bool) -> Result<u8> {
    let mut documents = Vec::new();
    for pipeline in config::load(&[config])? {
        let checkpoint = store::peek(&pipeline.state, &pipeline.name)?;
        if as_json {
            documents.push(document(&pipeline, checkpoint.as_ref()));
        } else {
            output::print(&text(&pipeline, checkpoint.as_ref()));
        }
    }
    if as_json {
        output::print(&format!("{:#}\n", Value::from(documents)));
    }
    Ok(0)
}

fn document(pipeline: &Pipeline, checkpoint: Option<&Checkpoint>) -> Value {
    json!({
        "name": pipeline.name,
        "config": pipeline.origin.display().to_string(),
        "checkpoint": checkpoint,
    })
}

fn text(pipeline: &Pipeline, checkpoint: Option<&Checkpoint>) -> String {
    let mut lines = vec![format!("{} ({})", pipeline.name, pipeline.origin.display())];
    let Some(checkpoint) = checkpoint else {
        lines.push("  nothing yet: the next run is its first".into());
        return lines.join("\n") + "\n";
    };
    match &checkpoint.position {
        None => lines.push("  no position yet".into()),
        Some(position) => lines.push(format!("  {}", words::describe(position))),
    }
    lines.push(match checkpoint.snapshot {
        SnapshotState::Done => "  the first snapshot is whole: a run streams".into(),
        SnapshotState::Pending => "  the first snapshot is not whole: a run takes it anew".into(),
    });
    for sink in &checkpoint.sinks {
        if let Some(position) = &sink.position
            && sink.position != checkpoint.position
        {
            lines.push(format!("  sink {}: {}", sink.name, words::describe(position)));
        }
    }
    for table in &checkpoint.stopped_tables {
        lines.push(format!("  {} stopped at {}: {}", table.name, table.position, table.reason));
    }
    if !checkpoint.parked.is_empty() {
        let count = checkpoint.parked.len();
        lines.push(format!("  {count} prepared XA transactions wait for their end"));
    }
    if let Some(position) = &checkpoint.position {
        lines.push(format!("  {}", json!(position)));
    }
    lines.join("\n") + "\n"
}

fn set(pipeline: &Pipeline, taken: Taken) -> Result<u8> {
    let mut state = State::open_to_mend(&pipeline.state, &pipeline.name)?;
    let now_us = u64::try_from(clock::now_us()).unwrap_or(0);
    let epoch = state.next_epoch(now_us)?;
    let mut checkpoint = moved(pipeline, state.load(), epoch, taken.position.clone());
    if pipeline.source.kind != SourceKind::Postgres {
        checkpoint.schema_version = schema_version(&state, &taken.position)?;
    }
    state.save(&checkpoint)?;
    let place = words::describe(&taken.position);
    let mut words = format!("{}: from now on: {place}\n", pipeline.name);
    for note in taken.notes {
        words += &format!("note: {note}\n");
    }
    if pipeline.source.kind == SourceKind::Postgres {
        let (slot, publication) = (&pipeline.source.slot, &pipeline.source.publication);
        words += &format!(
            "the stream comes from slot {slot} and publication {publication}; to go on from \
             Debezium's,\nname them in [source]: slot = \"debezium\", publication = \
             \"dbz_publication\"\n"
        );
    }
    output::print(&words);
    Ok(0)
}

/// The schema history's version at `position`; 0 where it cannot tell: the next run then proves its
/// catalogue. A history that is damaged is removed, as one that tells nothing.
fn schema_version(state: &State, position: &Position) -> Result<u64> {
    let Ok(history) = state.history() else {
        state.forget_history()?;
        return Ok(0);
    };
    let known = state.load().and_then(|checkpoint| checkpoint.position.as_ref());
    source::mysql::offsets::schema_version(&history, position, known)
}

/// The checkpoint that begins at `position`. Of an older one only what belongs to the sinks stays
/// (file lengths): what was written stays written.
fn moved(
    pipeline: &Pipeline,
    before: Option<&Checkpoint>,
    epoch: Epoch,
    position: Position,
) -> Checkpoint {
    let mut sinks: Vec<SinkCheckpoint> = before.map_or(Vec::new(), |b| b.sinks.clone());
    for sink in &mut sinks {
        sink.position = Some(position.clone());
    }
    Checkpoint {
        pipeline: pipeline.name.clone(),
        epoch,
        position: Some(position),
        sinks,
        snapshot: SnapshotState::Done,
        chunks: before.map_or(Vec::new(), |b| b.chunks.clone()),
        schema_version: 0,
        bucket_generation: BucketMap::round_robin(1).generation(),
        stopped_tables: Vec::new(),
        parked: Vec::new(),
        version_reserve: before.map_or(0, |b| b.version_reserve),
    }
}

fn delete(pipeline: &Pipeline, drop_slot: bool) -> Result<u8> {
    let state = State::open_to_mend(&pipeline.state, &pipeline.name)?;
    let slot = (pipeline.source.kind == SourceKind::Postgres).then_some(&pipeline.source.slot);
    let drops = match slot {
        None => false,
        Some(_) if drop_slot => true,
        Some(slot) => agreed(&format!("drop the replication slot {slot} too?")),
    };
    // The slot first: a slot whose state is gone would be adopted by the next run.
    let dropped = drops && drop_the_slot(pipeline)?;
    state.delete()?;
    let mut words = format!("{}: its state is deleted\n", pipeline.name);
    if let Some(slot) = slot {
        words += &match (drops, dropped) {
            (true, false) => format!("the server has no replication slot {slot}\n"),
            (true, true) => format!("the replication slot {slot} is dropped\n"),
            (false, _) => format!(
                "the replication slot {slot} stays and holds WAL; to drop it:\n  \
                 select pg_drop_replication_slot('{slot}');\n"
            ),
        };
    }
    output::print(&words);
    Ok(0)
}

/// Whether there was one.
fn drop_the_slot(pipeline: &Pipeline) -> Result<bool> {
    let (source, name) = (pipeline.source.clone(), pipeline.name.clone());
    run_alone(Backend::Epoll, move || async move {
        source::postgres::offsets::drop_slot(&source, &name).await
    })?
}

/// Asks on a terminal; elsewhere nobody agrees.
fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
