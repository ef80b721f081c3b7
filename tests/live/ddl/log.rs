//! A server's own binlog through the schema history.

use penstock_protocol::mysql::event::{Checksum, EventHeader, FormatDescription, Query, body, ty};
use penstock_protocol::mysql::table_map::{ColumnFacts, MapColumn, TableMap, code, column_type};
use penstock_protocol::schema::SourceKind;
use penstock_protocol::schema::{ColumnType, TableName};
use penstock_shards::history::{Catalogue, Server as Kind, Statement};

use crate::server::Server;

/// What came of a log.
pub struct Replayed {
    pub catalogue: Catalogue,
    /// TABLE_MAPs compared.
    pub maps: usize,
    /// Statements that touched tables.
    pub changes: usize,
    pub faults: Vec<String>,
}

/// Reads every log file of the server.
pub fn replay(server: &Server, kind: Kind) -> Replayed {
    let catalogue = Catalogue::new(kind);
    let mut out = Replayed { catalogue, maps: 0, changes: 0, faults: Vec::new() };
    let mut files = std::fs::read_dir(server.dir().join("data"))
        .expect("the data folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix("binlog.").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect::<Vec<_>>();
    files.sort();
    for file in files {
        let bytes = std::fs::read(&file).expect("a log file");
        let mut checksum = Checksum::Off;
        let mut rest = bytes.get(4..).unwrap_or_default();
        while rest.len() >= 19 {
            let len = u32::from_le_bytes([rest[9], rest[10], rest[11], rest[12]]) as usize;
            let event = &rest[..len];
            rest = &rest[len..];
            let header = EventHeader::parse(event).expect("a header");
            if header.ty == ty::FORMAT_DESCRIPTION {
                checksum = FormatDescription::parse(event).expect("a description").checksum;
                continue;
            }
            let body = body(event, checksum).expect("a body");
            match header.ty {
                ty::QUERY => query(&mut out, body),
                ty::TABLE_MAP => table_map(&mut out, kind, body),
                _ => {}
            }
        }
    }
    out
}

fn query(out: &mut Replayed, body: &[u8]) {
    let query = Query::parse(ty::QUERY, body).expect("a query");
    let sql = String::from_utf8(query.sql.to_vec()).expect("UTF-8");
    let database = String::from_utf8(query.database.to_vec()).expect("UTF-8");
    if std::env::var_os("PENSTOCK_DDL_SHOW").is_some() {
        println!("-- [{database}] {:?}\n{sql};", query.vars);
    }
    let applied = out
        .catalogue
        .apply(&Statement { error: query.error, ..Statement::of(&sql, &database, &query.vars) });
    out.changes += usize::from(!applied.is_empty());
}

/// The log's own word (FULL metadata) against the history's.
fn table_map(out: &mut Replayed, kind: Kind, body: &[u8]) {
    let family = if kind.mariadb { SourceKind::MariaDb } else { SourceKind::MySql };
    let map = match TableMap::parse(family, body) {
        Ok(map) => map,
        Err(error) => {
            let names = penstock_protocol::mysql::event::TableMapNames::parse(body);
            let names = names.map(|n| String::from_utf8_lossy(n.table).into_owned());
            return out.faults.push(format!("TABLE_MAP of {names:?}: {error:?}"));
        }
    };
    assert!(map.has_names, "the servers log names");
    let name = TableName {
        database: map.database.clone(),
        schema: String::new(),
        table: map.table.clone(),
    };
    if !map.database.starts_with('d') {
        return;
    }
    out.maps += 1;
    let faults = &mut out.faults;
    let mut fault = |what: String| faults.push(format!("TABLE_MAP of {name}: {what}"));
    let Some(definition) = out.catalogue.table(&name) else {
        let reason = out.catalogue.unknown(&name);
        if reason.is_some_and(|reason| super::compare::DOUBTS.contains(&reason.what)) {
            return;
        }
        return fault(format!("not known: {:?}", out.catalogue.unknown(&name)));
    };
    let names = |list: Vec<&str>| list.join(", ");
    let ours = names(definition.columns.iter().map(|c| c.name.as_str()).collect());
    let logged = map.columns.iter().map(|c| c.name.as_deref().unwrap_or("?"));
    let theirs = names(logged.collect());
    if ours != theirs {
        return fault(format!("columns [{ours}], logged [{theirs}]"));
    }
    match definition.join(&map, kind.mariadb, |_| true) {
        Err(disagreement) => {
            let column = disagreement.column.unwrap_or_default();
            let at = definition.position(&column).unwrap_or_default();
            let physical = definition.columns[at].physical(kind.mariadb);
            fault(format!("{column}: {physical:?}, logged {:?}", map.columns[at]));
        }
        Ok(columns) => {
            for ((own, logged), defined) in
                columns.iter().zip(&map.columns).zip(&definition.columns)
            {
                let told = defined.facts();
                let facts = ColumnFacts {
                    float_widened: told.float_widened,
                    extension: told.extension.clone(),
                    fixed: told.fixed,
                    ..ColumnFacts::of(logged)
                };
                let full = column_type(logged, &facts);
                // Their character sets are one column off until their own decoders know them.
                let shifts =
                    |c: &MapColumn| matches!(c.code, code::VECTOR | code::GEOMETRY | 140 | 141);
                let told = !matches!(full, ColumnType::Unsupported { .. })
                    && !map.columns.iter().any(shifts);
                if full != own.ty && told {
                    fault(format!("{}: {:?}, logged {full:?}", own.name, own.ty));
                }
            }
        }
    }
    let key = map.primary_key.as_ref().map(|parts| parts.iter().map(|p| p.0).collect::<Vec<_>>());
    if let Some(mut key) = key {
        let ours = definition.key();
        if definition.versioned {
            key.retain(|&at| definition.columns[usize::from(at)].row.is_none());
        }
        if ours != key {
            fault(format!("key {ours:?}, logged {key:?}: {:?}", definition.keys));
        }
    }
}
