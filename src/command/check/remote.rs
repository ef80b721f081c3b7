//! Findings about the source: every host is reached, then the first that lets us in is asked.
//!
//! Runs on a core of its own, on epoll, which serves everywhere.

use std::time::Duration;

use penstock_protocol::schema::SourceKind;

use crate::check::Finding;
use crate::config::{Pipeline, Source};
use crate::error::Result;
use crate::runtime::net::{self, Endpoint};
use crate::runtime::{Backend, run_alone};
use crate::source;

/// For one host to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// All of them; an error that ends the looking is a finding too.
pub(super) fn findings(pipeline: &Pipeline) -> Vec<Finding> {
    look(pipeline).unwrap_or_else(|error| vec![Finding::from(error)])
}

fn look(pipeline: &Pipeline) -> Result<Vec<Finding>> {
    let Pipeline { name, source, snapshot, .. } = pipeline.clone();
    run_alone(Backend::Epoll, move || async move {
        let mut findings = hosts(&source).await;
        findings.extend(match source.kind {
            SourceKind::Postgres => source::postgres::check::check(&source, &snapshot, &name).await,
            SourceKind::MySql | SourceKind::MariaDb => {
                source::mysql::check::check(&name, &source).await
            }
        });
        findings
    })
}

/// Each host over TCP: with several, the one that is needed tomorrow should answer today. Unix
/// sockets are left to the login.
async fn hosts(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for host in source.hosts.iter().filter(|host| !host.starts_with('/')) {
        let endpoint = Endpoint::Tcp { host: host.clone(), port: source.port };
        findings.push(match net::connect(&endpoint, CONNECT_MAX).await {
            Ok(_) => Finding::ok("net-host", format!("{endpoint} takes connections")),
            Err(error) => {
                let error = net::explain(&endpoint, &error);
                let failure = Finding::failure("net-host", error.what);
                match error.hint {
                    Some(hint) => failure.mend(hint),
                    None => failure,
                }
            }
        });
    }
    findings
}
