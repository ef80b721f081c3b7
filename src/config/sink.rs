//! The sections `[sink]` and `[[sinks]]`: where records go.

use penstock_shards::encode::options::EncodeOptions;

use super::section::{Section, Value};
use super::{Sink, SinkKind};
use crate::error::Result;

/// Sinks that a pipeline may have.
const SINKS_MAX: usize = 64;

/// Reads `[sink]` or `[[sinks]]`; `encode` holds what the source decides.
pub(super) fn read(top: &mut Section<'_>, encode: &EncodeOptions) -> Result<Vec<Sink>> {
    let (one, several) = (top.take("sink"), top.take("sinks"));
    match (one, several) {
        (Some(_), Some(both)) => {
            let what = "[sink] and [[sinks]] exclude each other";
            Err(both.error("config-conflict", what).hint("write every sink as [[sinks]]"))
        }
        (Some(one), None) => Ok(vec![sink(&one, encode)?]),
        (None, Some(several)) => {
            let list = several.list("a list: write [[sinks]] above each")?;
            if list.is_empty() || list.len() > SINKS_MAX {
                return Err(several.bad(format!("must be 1 to {SINKS_MAX} sinks")));
            }
            list.iter().map(|value| sink(value, encode)).collect()
        }
        (None, None) => match top.need("sink", "[sink] with `kind = \"stdout\"`") {
            Ok(value) => Ok(vec![sink(&value, encode)?]),
            Err(missing) => Err(missing),
        },
    }
}

fn sink(value: &Value<'_>, encode: &EncodeOptions) -> Result<Sink> {
    let mut section = value.section("sink")?;
    let kind = kind(&mut section)?;
    let exactly_once = delivery(&mut section, &kind)?;
    format(&mut section)?;
    let headers = section.take("headers").map_or(Ok(false), |value| value.boolean())?;
    let mut encode = encode.clone();
    if let Some(value) = section.take("replace_null_with_default") {
        encode.replace_null_with_default = value.boolean()?;
    }
    section.finish()?;
    Ok(Sink { kind, exactly_once, headers, encode })
}

fn kind(section: &mut Section<'_>) -> Result<SinkKind> {
    let value = section.need("kind", "kind = \"file\"")?;
    let only_file = "it is for sinks of kind \"file\"";
    match value.text()? {
        "file" => {
            let path = section.need("path", "path = \"out\"")?.path()?;
            let rotate = section.take("rotate_bytes").map(|v| v.integer(0..=u64::MAX));
            Ok(SinkKind::File { path, rotate_bytes: rotate.transpose()?.unwrap_or(0) })
        }
        "stdout" => {
            section.refuse(&["path", "rotate_bytes"], only_file)?;
            Ok(SinkKind::Stdout)
        }
        "null" => {
            section.refuse(&["path", "rotate_bytes"], only_file)?;
            section.refuse(&["headers"], "a null sink prints nothing")?;
            Ok(SinkKind::Null)
        }
        later if LATER.contains(&later) => {
            Err(value.not_yet(later).hint("this build writes to stdout, file and null"))
        }
        // Only for its message: every word that it knows is matched above.
        _ => value.choice(&[("file", ()), ("stdout", ()), ("null", ())]).map(|()| SinkKind::Null),
    }
}

/// Sinks that the product is to have.
const LATER: &[&str] = &[
    "cassandra",
    "elasticsearch",
    "iceberg",
    "kafka",
    "mariadb",
    "mysql",
    "opensearch",
    "postgres",
    "postgresql",
    "s3",
    "scylla",
];

fn delivery(section: &mut Section<'_>, kind: &SinkKind) -> Result<bool> {
    let Some(value) = section.take("delivery") else { return Ok(false) };
    let exactly_once = value.choice(&[("at_least_once", false), ("exactly_once", true)])?;
    let word = match kind {
        SinkKind::File { .. } => return Ok(exactly_once),
        SinkKind::Stdout => "stdout",
        SinkKind::Null => "null",
    };
    if !exactly_once {
        return Ok(false);
    }
    let what = format!("a sink of kind {word:?} cannot deliver exactly once");
    let hint = "write delivery = \"at_least_once\", or use a sink of kind \"file\"";
    Err(value.error("config-delivery", what).hint(hint))
}

fn format(section: &mut Section<'_>) -> Result<()> {
    let Some(value) = section.take("format") else { return Ok(()) };
    match value.text()? {
        later @ ("avro" | "protobuf" | "cloudevents" | "flat_json" | "arrow" | "parquet") => {
            Err(value.not_yet(later).hint("format = \"json\""))
        }
        _ => value.choice(&[("json", ())]),
    }
}
