//! `penstock check` for PostgreSQL: what is looked at, and the statement that mends each.
//!
//! Enters: a source's configuration. Leaves: findings, good ones included. Keeps: nothing is
//! changed on the server; the first thing without which nothing else can be looked at ends the
//! round.

use super::auth::Secrecy;
use super::catalogue::{self, Captured, Server, VERSION_MIN};
use super::connection::{Connection, Purpose, Row};
use super::publication::{Publications, insert_name};
use super::slot::Slot;
use super::sql::{ident, table};
use crate::check::Finding;
use crate::config::{self, SnapshotMode};
use crate::error::Result;

/// Looks at everything that a run depends on. Runs on a core.
pub async fn check(
    source: &config::Source,
    snapshot: &config::Snapshot,
    name: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = look(source, snapshot, name, &mut findings).await {
        findings.push(Finding::from(error));
    }
    findings
}

async fn look(
    source: &config::Source,
    snapshot: &config::Snapshot,
    name: &str,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let mut catalogue = Connection::open(source, Purpose::Catalogue, name).await?;
    let server = Server::read(&mut catalogue).await?;
    let host = catalogue.host().to_owned();
    findings.push(Finding::ok("pg-login", format!("logged in to {host} as {}", server.role)));
    findings.push(secrecy(catalogue.secrecy(), &host));
    findings.extend(settings(&server));
    findings.extend(room(&mut catalogue, source).await?);
    let version = server.version;
    let publications = Publications::read(&mut catalogue, version, &source.publication).await?;
    let via_root = publications.via_root();
    let captured = catalogue::captured(&mut catalogue, &source.filter, via_root).await?;
    findings.extend(tables(&captured, snapshot.mode, &server.role));
    let slot = Slot::read(&mut catalogue, version, &source.slot).await?;
    let may_create = may_create(&mut catalogue).await?;
    findings.extend(published(&publications, &captured, slot.is_some(), may_create, &server.role));
    findings.extend(slot_findings(&mut catalogue, slot.as_ref(), source, version).await?);
    if let Some(query) = &source.heartbeat_action_query {
        findings.push(super::heartbeat::look(&mut catalogue, query).await?);
    }
    // Last, because pg_hba.conf may let the queries in and not the replication.
    if server.may_replicate {
        let walsender = Connection::open(source, Purpose::Walsender, name).await?;
        findings.push(Finding::ok("pg-permission", "a replication connection is let in"));
        walsender.close().await;
    }
    catalogue.close().await;
    Ok(())
}

fn secrecy(secrecy: &Secrecy, host: &str) -> Finding {
    match secrecy {
        Secrecy::Tls(_) => Finding::ok("pg-encryption", "the connection is under TLS"),
        Secrecy::Local => Finding::ok("pg-encryption", "the connection is a Unix socket"),
        Secrecy::None if matches!(host, "localhost" | "127.0.0.1" | "::1") => {
            Finding::ok("pg-encryption", "the connection is in clear and stays on this machine")
        }
        Secrecy::None => Finding::warning("pg-encryption", "the connection is in clear")
            .mend("source.tls = { mode = \"verify-full\" }"),
    }
}

fn settings(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = format!("PostgreSQL {}", server.version_text);
    findings.push(if server.version < VERSION_MIN {
        Finding::failure("pg-version", format!("{text} is too old")).mend("PostgreSQL 13 or later")
    } else {
        Finding::ok("pg-version", text)
    });
    let text = format!("wal_level is {}", server.wal_level);
    findings.push(if server.wal_level == "logical" {
        Finding::ok("pg-wal-level", text)
    } else {
        Finding::failure("pg-wal-level", text)
            .mend("ALTER SYSTEM SET wal_level = 'logical'; then restart the server")
    });
    findings.push(if server.may_replicate {
        Finding::ok("pg-permission", format!("role {} may start replication", server.role))
    } else {
        Finding::failure("pg-permission", format!("role {} may not start replication", server.role))
            .mend(format!("ALTER ROLE {} REPLICATION;", ident(&server.role)))
    });
    findings
}

/// Slots and walsenders that are left, and how long WAL is kept.
async fn room(catalogue: &mut Connection, source: &config::Source) -> Result<Vec<Finding>> {
    let sql = "SELECT current_setting('max_replication_slots'), \
        (SELECT count(*) FROM pg_catalog.pg_replication_slots), \
        current_setting('max_wal_senders'), \
        (SELECT count(*) FROM pg_catalog.pg_stat_replication), \
        current_setting('max_slot_wal_keep_size'), \
        current_setting('idle_replication_slot_timeout', true)";
    let rows = catalogue.query("reading the server's limits", sql).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let exists = format!(
        "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        super::sql::literal(&source.slot)
    );
    let ours = u64::from(!catalogue.query("reading the slot", &exists).await?.is_empty());
    let mut findings = Vec::new();
    findings.push(left(
        row,
        0,
        "replication slots",
        "pg-slots-full",
        "max_replication_slots",
        ours,
    ));
    findings.push(left(row, 2, "walsenders", "pg-senders-full", "max_wal_senders", 0));
    let keep = row.text(4);
    findings.push(match keep {
        "-1" => Finding::ok(
            "pg-retention",
            "max_slot_wal_keep_size is not set: the log is kept for the slot without limit, so \
             watch the server's disk while the pipeline is stopped",
        ),
        keep => Finding::warning(
            "pg-retention",
            format!("the slot is lost once the pipeline is {keep} behind (max_slot_wal_keep_size)"),
        )
        .mend("ALTER SYSTEM SET max_slot_wal_keep_size = '…'; SELECT pg_reload_conf();"),
    });
    if let Some(idle) = row.get(5).filter(|idle| *idle != "0") {
        let what = format!("the slot is lost after {idle} without a reader");
        findings.push(
            Finding::warning("pg-retention", what).mend(
                "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();",
            ),
        );
    }
    Ok(findings)
}

fn left(
    row: &Row,
    column: usize,
    what: &str,
    code: &'static str,
    setting: &str,
    ours: u64,
) -> Finding {
    let max: u64 = row.number(column).unwrap_or(0);
    let used: u64 = row.number(column + 1).unwrap_or(0);
    let text = format!("{used} of {max} {what} are in use");
    if used < max + ours {
        return Finding::ok(code, text);
    }
    let mend = format!("ALTER SYSTEM SET {setting} = {}; then restart the server", max + 5);
    Finding::failure(code, text).mend(mend)
}

fn tables(captured: &Captured, mode: SnapshotMode, role: &str) -> Vec<Finding> {
    let tables = &captured.tables;
    if tables.is_empty() {
        return vec![
            Finding::failure("pg-no-tables", "no table of the database is captured")
                .mend("correct source.tables: anchored regular expressions over schema.table"),
        ];
    }
    let mut findings =
        vec![Finding::ok("pg-no-tables", format!("{} tables are captured", tables.len()))];
    let reads = !matches!(mode, SnapshotMode::Never | SnapshotMode::SchemaOnly);
    for t in tables {
        let (name, quoted) = (t.full_name(), table(&t.schema, &t.name));
        if !t.readable && reads {
            findings.push(
                Finding::failure("pg-select", format!("role {role} may not read {name}")).mend(
                    format!(
                        "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {quoted} TO {role};",
                        ident(&t.schema),
                        role = ident(role)
                    ),
                ),
            );
        }
        if !t.identified {
            let what = match t.replica_identity {
                b'n' => format!("{name} has replica identity NOTHING"),
                _ => format!("{name} has no primary key and no replica identity"),
            };
            findings.push(
                Finding::warning(
                    "pg-replica-identity",
                    format!("{what}: only its inserts and truncates are captured"),
                )
                .mend(format!("ALTER TABLE {quoted} REPLICA IDENTITY FULL; or add a primary key")),
            );
        }
        if t.row_security && reads && !t.owned {
            let what = format!(
                "{name} has row-level security: the snapshot is refused if a policy hides rows"
            );
            findings.push(
                Finding::warning("pg-row-security", what)
                    .mend(format!("ALTER ROLE {} BYPASSRLS;", ident(role))),
            );
        }
    }
    if tables.iter().all(|table| table.identified) {
        let what = "updates and deletes of every captured table can be told";
        findings.push(Finding::ok("pg-replica-identity", what));
    }
    findings
}

async fn may_create(catalogue: &mut Connection) -> Result<bool> {
    let sql = "SELECT has_database_privilege(current_database(), 'CREATE')";
    let rows = catalogue.query("reading the rights", sql).await?;
    Ok(rows.first().is_some_and(|row| row.is_true(0)))
}

fn published(
    publications: &Publications,
    captured: &Captured,
    slot_exists: bool,
    may_create: bool,
    role: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &publications.name;
    if slot_exists && publications.main.is_none() {
        let what = format!("the slot exists and publication \"{name}\" does not: it cannot serve");
        findings.push(
            Finding::failure("pg-publication-lost", what)
                .mend("penstock offsets delete --drop-slot CONFIG"),
        );
        return findings;
    }
    for t in publications.breaking(&captured.tables) {
        let what = format!(
            "publication \"{name}\" tells updates of {}, which has no replica identity: the server \
             refuses UPDATE and DELETE on it",
            t.full_name()
        );
        let quoted = table(&t.schema, &t.name);
        findings.push(Finding::failure("pg-publication", what).mend(format!(
            "ALTER TABLE {quoted} REPLICA IDENTITY FULL; \
             or ALTER PUBLICATION {} DROP TABLE {quoted};",
            ident(name)
        )));
    }
    if publications
        .main
        .as_ref()
        .is_some_and(|main| !(main.inserts && main.updates && main.deletes))
    {
        let what = format!("publication \"{name}\" does not tell every kind of change");
        findings.push(Finding::warning("pg-publication", what).mend(format!(
            "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate');",
            ident(name)
        )));
    }
    let missing = publications.missing(&captured.tables, captured.via_root);
    if missing.is_empty() {
        let what = format!(
            "publications \"{name}\" and \"{}\" hold every captured table",
            insert_name(name)
        );
        findings.push(Finding::ok("pg-publication", what));
        return findings;
    }
    let statements = format!("{};", missing.join("; "));
    let foreign: Vec<String> = captured
        .tables
        .iter()
        .filter(|t| !t.owned)
        .map(|t| format!("{} of {}", t.full_name(), t.owner))
        .collect();
    let altered = [&publications.main, &publications.insert_only];
    let alterable = altered.into_iter().flatten().all(|publication| publication.owned);
    if may_create && foreign.is_empty() && alterable {
        let what = "the publications are made or completed at the first run";
        findings.push(Finding::ok("pg-publication", what));
    } else {
        let what = match foreign.first() {
            Some(first) if may_create => format!(
                "role {role} may not publish tables that it does not own ({first}{})",
                if foreign.len() > 1 { ", …" } else { "" }
            ),
            _ => format!("role {role} may not make the publications"),
        };
        findings.push(Finding::failure("pg-publication-right", what).mend(statements));
    }
    findings
}

async fn slot_findings(
    catalogue: &mut Connection,
    slot: Option<&Slot>,
    source: &config::Source,
    version: u32,
) -> Result<Vec<Finding>> {
    let name = &source.slot;
    let Some(slot) = slot else {
        let what = format!("slot \"{name}\" does not exist and is made at the first run");
        return Ok(vec![Finding::ok("pg-slot", what)]);
    };
    if let Err(error) = slot.verify(&source.database) {
        return Ok(vec![Finding::from(error)]);
    }
    let mut findings = Vec::new();
    if let Some(pid) = slot.active_pid {
        let what = format!("slot \"{name}\" is in use by process {pid}");
        findings.push(Finding::warning("pg-slot-in-use", what).mend(format!(
            "fine if that is this pipeline; else stop it, or SELECT pg_terminate_backend({pid});"
        )));
    }
    let behind = match slot.restart {
        Some(_) => {
            let sql = format!(
                "SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_wal_lsn_diff( \
                 pg_catalog.pg_current_wal_lsn(), restart_lsn)) \
                 FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
                super::sql::literal(name)
            );
            let rows = catalogue.query("reading the slot", &sql).await?;
            rows.first().map_or(String::new(), |row| row.text(0).to_owned())
        }
        None => "nothing".into(),
    };
    let what = format!("slot \"{name}\" holds {behind} of the log ({})", slot.wal_status);
    findings.push(match slot.wal_status.as_str() {
        "unreserved" => Finding::failure("pg-slot", format!("{what}: it is about to be lost"))
            .mend("start the pipeline now, or raise max_slot_wal_keep_size"),
        "extended" => Finding::warning("pg-slot", format!("{what}: more than max_wal_size"))
            .mend("start the pipeline, or drop the slot if it is not needed"),
        _ => Finding::ok("pg-slot", what),
    });
    let _ = version;
    Ok(findings)
}
