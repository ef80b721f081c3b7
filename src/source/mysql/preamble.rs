//! What stands before the rows of a snapshot in the schema change topic: the statements that make
//! the captured tables anew (ENVELOPE, section 6).
//!
//! Enters: the session of the snapshot's view, its tables. Leaves: one group of records at the
//! router. Keeps: Debezium's statements in Debezium's order; inside the snapshot's group, so that a
//! snapshot that is taken again tells them again.

use std::collections::BTreeSet;

use penstock_protocol::frame::SnapshotMarker;
use penstock_protocol::position::PositionDelta;
use penstock_protocol::schema::TableName;
use penstock_shards::annex::{Annex, ChangeKind, SchemaChange};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::GroupId;

use super::catalogue;
use super::connection::{Connection, quote};
use super::history::{TableHistory, show_create};
use super::place::Place;
use super::shapes;
use crate::error::Result;
use crate::source::context::{ReaderContext, router_error};

/// Routes them. `tables`: the captured ones, in the snapshot's order.
pub async fn route(
    ctx: &mut ReaderContext,
    connection: &mut Connection,
    history: &TableHistory,
    tables: &[TableName],
    at: &Place,
) -> Result<()> {
    let now = connection
        .query("SELECT UNIX_TIMESTAMP(), @@character_set_server, @@collation_server")
        .await?;
    let now_us = now.cell(0, 0).parse::<i64>().unwrap_or_default() * 1_000_000;
    let origin = TxnOrigin::BinlogSnapshot { file: at.file.clone(), pos: at.pos };
    let begun = ctx.router.begin(origin.clone(), now_us, false, GroupId::Snapshot);
    begun.map_err(router_error)?;
    let mut tell = |ddl: String, database: &str, table: Option<(&TableName, ChangeKind)>| {
        let change = table.map(|(name, kind)| {
            let definition = history.definition(name).filter(|_| kind == ChangeKind::Create);
            shapes::change(kind, name, definition.map(|table| &**table))
        });
        let record = SchemaChange {
            source_db: database.into(),
            source_table: table.map(|(name, _)| name.table.clone()),
            marker: SnapshotMarker::True,
            position: at.pos,
            database: Some(database.into()),
            schema: None,
            ddl: Some(ddl),
            changes: change.into_iter().collect(),
        };
        let annex = Annex::SchemaChange(Box::new(record));
        ctx.router.annex(annex, origin.clone(), now_us).map_err(router_error)
    };
    let set =
        format!("SET character_set_server={}, collation_server={}", now.cell(0, 1), now.cell(0, 2));
    tell(set, "", None)?;
    for name in tables {
        let ddl = format!("DROP TABLE IF EXISTS {}.{}", quote(&name.database), quote(&name.table));
        tell(ddl, &name.database, Some((name, ChangeKind::Drop)))?;
    }
    let wanted = tables.iter().map(|name| name.database.as_str()).collect::<BTreeSet<_>>();
    for (database, defaults) in catalogue::databases(connection).await? {
        if !wanted.contains(database.as_str()) {
            continue;
        }
        let quoted = quote(&database);
        tell(format!("DROP DATABASE IF EXISTS {quoted}"), &database, None)?;
        let (charset, collation) = (&defaults.charset, &defaults.collation);
        let create = format!("CREATE DATABASE {quoted} CHARSET {charset} COLLATE {collation}");
        tell(create, &database, None)?;
        tell(format!("USE {quoted}"), &database, None)?;
        for name in tables.iter().filter(|name| name.database == database) {
            if let Some(ddl) = show_create(connection, name).await?
                && !ddl.is_empty()
            {
                tell(ddl, &database, Some((name, ChangeKind::Create)))?;
            }
        }
    }
    let delta = PositionDelta::Binlog { at: Some((at.file.clone(), at.pos)), gtids: vec![] };
    ctx.router.commit(delta).map_err(router_error)?;
    ctx.flush().await
}
