//! What `penstock check` says of a MySQL or MariaDB source.
//!
//! Enters: the configuration. Leaves: findings, each with the statement that mends it. Keeps:
//! nothing is changed on the server; what the user may not see is said, not guessed.

use super::catalogue::{self, Server};
use super::connection::{Connection, cell, literal};
use super::{default_server_id, identity, judge_settings, open, place};
use crate::check::{Finding, Level};
use crate::config;
use crate::error::Result;

/// Looks at everything that the pipeline `name` needs of its source.
pub async fn check(name: &str, source: &config::Source) -> Vec<Finding> {
    let (mut connection, server) = match open(source).await {
        Ok(opened) => opened,
        Err(e) => return vec![e.into()],
    };
    let mut findings = vec![Finding::ok(
        "my-reachable",
        format!(
            "{} answers: {} {}, logged in as {}",
            connection.endpoint,
            if server.is_mariadb() { "MariaDB" } else { "MySQL" },
            server.version,
            source.user
        ),
    )];
    findings.push(tls(&connection));
    findings.push(version(&server));
    if let Err(e) = judge_settings(source, &server) {
        findings.push(e.into());
    }
    findings.extend(losses(&server));
    findings.extend(settings(&server));
    for finding in [
        grants(&mut connection, &server).await,
        replica_id(&mut connection, &server, name, source).await,
        log(&mut connection, &server).await,
        prepared(&mut connection).await,
    ] {
        match finding {
            Ok(list) => findings.extend(list),
            Err(e) => findings.push(e.into()),
        }
    }
    match tables(&mut connection, &server, source).await {
        Ok(list) => findings.extend(list),
        Err(e) => findings.push(e.into()),
    }
    if let Some(query) = &source.heartbeat_action_query {
        let looked = super::heartbeat::look(&mut connection, query).await;
        findings.push(looked.unwrap_or_else(Finding::from));
    }
    connection.close().await;
    findings
}

fn tls(connection: &Connection) -> Finding {
    if connection.is_tls() {
        Finding::ok("my-tls", "the connection is encrypted")
    } else if matches!(connection.endpoint, crate::runtime::net::Endpoint::Unix(_)) {
        Finding::ok("my-tls", "the connection is a local socket")
    } else {
        Finding::warning("my-tls", "the connection is not encrypted: rows travel in the clear")
            .mend("tls = { mode = \"require\" } in [source]")
    }
}

fn version(server: &Server) -> Finding {
    let (known, least) = if server.is_mariadb() {
        (server.numbers >= (10, 5, 0), "MariaDB 10.5")
    } else {
        (server.numbers >= (8, 0, 0), "MySQL 8.0")
    };
    if known {
        Finding::ok("my-version", format!("version {} is supported", server.version))
    } else {
        Finding::failure("my-version", format!("version {} is older than {least}", server.version))
            .mend("upgrade the server")
    }
}

/// Settings with which something is lost or cannot be read. Empty: none. Also logged at the start
/// of a run.
pub fn losses(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let persist = if server.is_mariadb() { "SET GLOBAL" } else { "SET PERSIST" };
    let is = |name: &str, value: &str| server.variable(name).eq_ignore_ascii_case(value);
    if !is("binlog_format", "ROW") && !is("binlog_format", "STATEMENT") {
        findings.push(
            Finding::warning(
                "my-binlog-format",
                format!(
                    "binlog_format is {}: what changes by statement is not in the log as rows; \
                     such a statement on a captured table is an error",
                    server.variable("binlog_format")
                ),
            )
            .mend("SET GLOBAL binlog_format = ROW"),
        );
    }
    let image = server.variable("binlog_row_image");
    if !image.is_empty() && !is_whole_image(image) {
        findings.push(
            Finding::warning(
                "my-row-image",
                format!(
                    "binlog_row_image is {image}: updates and deletes do not carry whole rows; \
                     in after, columns that the log leaves out are unavailable_value_placeholder \
                     or null, in before null or the type's fallback"
                ),
            )
            .mend(format!("{persist} binlog_row_image = FULL")),
        );
    }
    findings
}

/// Whether each value of a row can be told from its images. MariaDB's FULL_NODUP leaves out of the
/// after image what the before image has.
fn is_whole_image(image: &str) -> bool {
    image.eq_ignore_ascii_case("FULL") || image.eq_ignore_ascii_case("FULL_NODUP")
}

/// Settings that are well or merely worth knowing.
fn settings(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.is_on("log_bin") {
        findings.push(Finding::ok("my-log-off", "log_bin is ON"));
    }
    if server.variable("binlog_format").eq_ignore_ascii_case("ROW") {
        findings.push(Finding::ok("my-binlog-format", "binlog_format is ROW"));
    }
    let image = server.variable("binlog_row_image");
    if is_whole_image(image) {
        findings.push(Finding::ok("my-row-image", format!("binlog_row_image is {image}")));
    }
    findings.push(if server.full_metadata() {
        Finding::ok("my-row-metadata", "binlog_row_metadata is FULL")
    } else {
        let value = match server.variable("binlog_row_metadata") {
            "" => "not known to this server",
            value => value,
        };
        let what = format!("binlog_row_metadata is {value}: the schema history names the columns");
        Finding::ok("my-row-metadata", what)
    });
    findings.push(if server.is_mariadb() {
        if server.is_on("gtid_strict_mode") {
            Finding::ok("my-gtid", "gtid_strict_mode is ON")
        } else {
            Finding::warning(
                "my-gtid",
                "gtid_strict_mode is OFF: GTIDs may go back, which a failover can stumble over",
            )
            .mend("SET GLOBAL gtid_strict_mode = ON")
        }
    } else if server.has_gtids() {
        Finding::ok("my-gtid", "gtid_mode is ON: a failover can be followed")
    } else {
        Finding::warning(
            "my-gtid",
            format!(
                "gtid_mode is {}: positions are files and offsets of this one server, a failover \
                 cannot be followed",
                server.variable("gtid_mode")
            ),
        )
        .mend("gtid_mode = ON, enforce_gtid_consistency = ON (in the steps of the server's manual)")
    });
    let sync = server.variable("sync_binlog");
    findings.push(if sync == "1" {
        Finding::ok("my-sync-binlog", "sync_binlog is 1")
    } else {
        Finding::warning(
            "my-sync-binlog",
            format!(
                "sync_binlog is {sync}: after a power loss the server can give the same GTID to \
                 another transaction"
            ),
        )
        .mend("SET GLOBAL sync_binlog = 1")
    });
    findings.push(retention(server));
    findings
}

fn retention(server: &Server) -> Finding {
    let seconds = match server.variable("binlog_expire_logs_seconds").parse::<u64>() {
        Ok(seconds) if seconds > 0 => seconds,
        _ => {
            let days = server.variable("expire_logs_days").parse::<f64>().unwrap_or_default();
            // Days are a small number, with a fraction on MariaDB.
            (days * 86_400.0) as u64
        }
    };
    match seconds {
        0 => Finding::ok("my-retention", "log files are kept until somebody purges them"),
        short if short < 86_400 => Finding::warning(
            "my-retention",
            format!(
                "log files are kept for {} h: a longer stop of the pipeline needs a new snapshot",
                short / 3600
            ),
        )
        .mend("SET GLOBAL binlog_expire_logs_seconds = 604800"),
        long => Finding::ok("my-retention", format!("log files are kept for {} h", long / 3600)),
    }
}

/// Global privileges that the user has, as SHOW GRANTS prints them.
async fn grants(connection: &mut Connection, server: &Server) -> Result<Vec<Finding>> {
    let account = account(connection).await?;
    let rows = connection.query("SHOW GRANTS").await?;
    let lines = rows.0.iter().map(|row| cell(row, 0).to_ascii_uppercase()).collect::<Vec<_>>();
    Ok(judge_grants(&lines, server.is_mariadb(), &account))
}

/// The account that we are, as a statement names it: `'name'@'host'`.
async fn account(connection: &mut Connection) -> Result<String> {
    let rows = connection.query("SELECT CURRENT_USER()").await?;
    let text = rows.cell(0, 0);
    let (name, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    Ok(format!("{}@{}", literal(name), literal(host)))
}

fn judge_grants(lines: &[String], mariadb: bool, account: &str) -> Vec<Finding> {
    let global = |names: &[&str]| {
        lines.iter().filter(|line| line.contains(" ON *.* ")).any(|line| {
            let list = line.split(" ON *.* ").next().unwrap_or_default();
            let list = list.strip_prefix("GRANT ").unwrap_or(list);
            list.split(',').any(|grant| {
                let grant = grant.trim();
                grant.starts_with("ALL PRIVILEGES") || names.contains(&grant)
            })
        })
    };
    let mut findings = Vec::new();
    let mut judge = |names: &[&str], without: Level, why: &str| {
        let name = names.first().copied().unwrap_or_default();
        findings.push(if global(names) {
            Finding::ok("my-grants", format!("the user has {name}"))
        } else {
            let what = format!("the user lacks {name}: {why}");
            let finding = match without {
                Level::Failure => Finding::failure("my-grants", what),
                _ => Finding::warning("my-grants", what),
            };
            finding.mend(format!("GRANT {name} ON *.* TO {account}"))
        });
    };
    judge(&["REPLICATION SLAVE"], Level::Failure, "the log cannot be read");
    let client: &[&str] =
        if mariadb { &["BINLOG MONITOR", "REPLICATION CLIENT"] } else { &["REPLICATION CLIENT"] };
    judge(client, Level::Failure, "the log's position cannot be read");
    judge(&["SELECT"], Level::Warning, "tables without a grant of their own are not captured");
    if !mariadb {
        judge(
            &["RELOAD", "FLUSH_TABLES"],
            Level::Warning,
            "the first snapshot is aligned without a lock (needs GTIDs)",
        );
    }
    findings
}

async fn replica_id(
    connection: &mut Connection,
    server: &Server,
    name: &str,
    source: &config::Source,
) -> Result<Vec<Finding>> {
    let ours = source.server_id.unwrap_or_else(|| default_server_id(name));
    let mend = "set source.server_id to a number that no replica and no server has";
    if server.variable("server_id") == ours.to_string() {
        let what = format!("our server_id {ours} is the server's own");
        return Ok(vec![Finding::failure("my-server-id-clash", what).mend(mend)]);
    }
    let new_name = !server.is_mariadb() && server.numbers >= (8, 0, 22);
    let sql = if new_name { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let Ok(rows) = connection.attempt(sql).await? else {
        let what = format!("whether server_id {ours} is free cannot be seen ({sql} is refused)");
        return Ok(vec![Finding::warning("my-server-id-clash", what)]);
    };
    let twin = rows.0.iter().find(|row| cell(row, 0) == ours.to_string());
    Ok(vec![match twin {
        None => Finding::ok("my-server-id-clash", format!("server_id {ours} is free")),
        Some(row) if cell(row, 1) == identity(name) => {
            Finding::ok("my-server-id-clash", "this pipeline is connected right now")
        }
        Some(row) => Finding::failure(
            "my-server-id-clash",
            format!("server_id {ours} is in use by another replica ({})", cell(row, 1)),
        )
        .mend(mend),
    }])
}

async fn log(connection: &mut Connection, server: &Server) -> Result<Vec<Finding>> {
    let end = place::log_end(connection, server).await?;
    Ok(vec![Finding::ok("my-position", format!("the log stands at {end}"))])
}

async fn prepared(connection: &mut Connection) -> Result<Vec<Finding>> {
    Ok(match connection.attempt("XA RECOVER").await? {
        Ok(rows) if rows.0.is_empty() => Vec::new(),
        Ok(rows) => vec![
            Finding::warning(
                "my-xa-prepared",
                format!(
                    "{} XA transactions are prepared: a first start waits for them",
                    rows.0.len()
                ),
            )
            .mend("XA RECOVER; then XA COMMIT or XA ROLLBACK"),
        ],
        Err(_) => vec![Finding::warning(
            "my-xa-prepared",
            "prepared XA transactions cannot be seen: one that is open at the first start is an \
             error at its commit",
        )
        .mend(format!("GRANT XA_RECOVER_ADMIN ON *.* TO {}", account(connection).await?))],
    })
}

async fn tables(
    connection: &mut Connection,
    server: &Server,
    source: &config::Source,
) -> Result<Vec<Finding>> {
    let tables = catalogue::tables(connection, server, &source.filter).await?;
    if tables.is_empty() {
        let e = catalogue::none_captured();
        return Ok(vec![e.into()]);
    }
    let rows = tables.iter().map(|table| table.rows_estimate).sum::<u64>();
    let what = format!("{} tables are captured, about {rows} rows", tables.len());
    let mut findings = vec![Finding::ok("my-tables", what)];
    for table in &tables {
        let name = &table.name;
        if table.key.is_empty() {
            findings.push(
                Finding::warning("my-no-key", format!("{name} has no key: its records have none"))
                    .mend(format!("ALTER TABLE {name} ADD PRIMARY KEY (…)")),
            );
        }
        if table.period.is_some() {
            let what = format!(
                "{name} is system-versioned: its records are those of the living rows, history \
                 rows are left out"
            );
            findings.push(Finding::ok("my-versioned", what));
        }
        let unread = table.columns.iter().filter(|c| c.included).filter_map(|c| match &c.ty {
            penstock_protocol::schema::ColumnType::Unsupported { name } => {
                Some(format!("{} {name}", c.name))
            }
            _ => None,
        });
        let unread = unread.collect::<Vec<_>>();
        if !unread.is_empty() {
            findings.push(
                Finding::failure(
                    "my-unsupported-type",
                    format!(
                        "{name} has columns that this version cannot read: {}",
                        unread.join(", ")
                    ),
                )
                .mend("list them in source.exclude_columns, or the table in exclude_tables"),
            );
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_grants_are_named() {
        // Goal: each privilege is found or missed by its own name. Method: SHOW GRANTS of both
        // servers, one grant taken out.
        let mysql =
            ["GRANT SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`"
                .into()];
        assert!(judge_grants(&mysql, false, "'cdc'@'%'").iter().all(|f| f.level == Level::Ok));
        let less = ["GRANT SELECT, REPLICATION CLIENT ON *.* TO `cdc`@`%`".into()];
        let bad =
            judge_grants(&less, false, "'cdc'@'%'").into_iter().filter(|f| f.level != Level::Ok);
        let bad = bad.map(|f| (f.level, f.what, f.mend)).collect::<Vec<_>>();
        let mend = "GRANT REPLICATION SLAVE ON *.* TO 'cdc'@'%'";
        assert_eq!(bad[0].2.as_deref(), Some(mend));
        assert_eq!(bad.len(), 2);
        assert_eq!(bad[0].0, Level::Failure);
        assert!(bad[0].1.contains("REPLICATION SLAVE") && bad[1].1.contains("RELOAD"));
        let maria = ["GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%`".into()];
        assert!(judge_grants(&maria, true, "'cdc'@'%'").iter().all(|f| f.level == Level::Ok));
        let all = ["GRANT ALL PRIVILEGES ON *.* TO `app`@`%` WITH GRANT OPTION".into()];
        assert!(judge_grants(&all, false, "'app'@'%'").iter().all(|f| f.level == Level::Ok));
    }
}
