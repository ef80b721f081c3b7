//! `penstock check`: what stands in the way of a pipeline, without running it.
//!
//! Enters: configurations. Leaves: findings, as a table or as JSON. Keeps: nothing is changed, at
//! neither end; a pipeline whose source cannot be asked still gets the local findings.

mod local;
mod remote;
mod table;

use std::path::Path;

use serde_json::json;

use super::output;
use crate::check::{Finding, Level};
use crate::config;
use crate::error::Result;

/// Exit status if there is a failure.
const STATUS_FAILURE: u8 = 3;

/// The findings of one pipeline.
struct Report {
    name: String,
    origin: String,
    findings: Vec<Finding>,
}

/// Checks every pipeline; 0, or 3 if there is a failure.
pub(super) fn check<P: AsRef<Path>>(configs: &[P], as_json: bool) -> Result<u8> {
    let pipelines = config::load(configs)?;
    let report = |pipeline: &config::Pipeline| {
        let mut findings = local::findings(pipeline);
        findings.extend(remote::findings(pipeline));
        let origin = pipeline.origin.display().to_string();
        Report { name: pipeline.name.clone(), origin, findings }
    };
    let reports: Vec<Report> = pipelines.iter().map(report).collect();
    output::print(&match as_json {
        true => document(&reports),
        false => table::table(&reports, output::colours()),
    });
    let failed = count(&reports, Level::Failure) > 0;
    Ok(if failed { STATUS_FAILURE } else { 0 })
}

fn count(reports: &[Report], level: Level) -> usize {
    let findings = reports.iter().flat_map(|report| &report.findings);
    findings.filter(|finding| finding.level == level).count()
}

fn document(reports: &[Report]) -> String {
    let finding = |finding: &Finding| {
        json!({
            "level": finding.level.word(),
            "code": finding.code,
            "what": finding.what,
            "mend": finding.mend,
        })
    };
    let pipeline = |report: &Report| {
        let findings: Vec<_> = report.findings.iter().map(finding).collect();
        json!({ "name": report.name, "config": report.origin, "findings": findings })
    };
    let document = json!({
        "pipelines": reports.iter().map(pipeline).collect::<Vec<_>>(),
        "ok": count(reports, Level::Ok),
        "warnings": count(reports, Level::Warning),
        "failures": count(reports, Level::Failure),
    });
    format!("{document:#}\n")
}
