//! How a table's columns are shown, as far as anything tells: the log, the DDL in it, a guess.
//!
//! `decode` only shows, so it alone may guess (DESIGN, invariant 11): integers are signed, text is
//! UTF-8 where its bytes are, ENUM and SET are their numbers.

use penstock_protocol::mysql::table_map::{ColumnFacts, MapColumn, TableMap, code, column_type};
use penstock_protocol::schema::{Charset, Column, ColumnType};
use penstock_shards::history::TableDefinition;

/// The columns in the log's order, and the key.
pub(super) fn shown(
    map: &TableMap,
    definition: Option<&TableDefinition>,
    mariadb: bool,
) -> (Vec<Column>, Vec<u16>) {
    let defined = definition.and_then(|d| Some((d.join(map, mariadb, |_| true).ok()?, d.key())));
    if let Some((columns, key)) = defined {
        // Names of the log win; where it has them, the definition agrees or is not this table's.
        let same =
            map.columns.iter().zip(&columns).all(|(logged, column)| {
                logged.name.as_ref().is_none_or(|name| *name == column.name)
            });
        if same {
            return (columns, key);
        }
    }
    let columns = map.columns.iter().enumerate().map(|(n, column)| Column {
        name: column.name.clone().unwrap_or_else(|| format!("@{}", n + 1)),
        ty: guessed(column),
        nullable: column.nullable,
        default: None,
        included: true,
    });
    let key = map.primary_key.iter().flatten().map(|&(column, _)| column);
    (columns.collect(), key.collect())
}

fn guessed(column: &MapColumn) -> ColumnType {
    let mut facts = ColumnFacts::of(column);
    facts.unsigned = facts.unsigned.or(Some(false));
    if facts.charset.is_none() {
        facts.charset = Some(Some(Charset::Untold));
    }
    let [bytes, _] = column.meta.to_le_bytes();
    match column.code {
        code::ENUM | code::SET if facts.labels.is_none() => {
            ColumnType::Int { bits: bytes.saturating_mul(8), unsigned: true }
        }
        _ => column_type(column, &facts),
    }
}
