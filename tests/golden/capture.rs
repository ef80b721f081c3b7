//! What PostgreSQL sent for `postgres/tables.sql` and `changes.sql`, as `capture.py` wrote it down.

use std::collections::BTreeMap;

use penstock_protocol::frame::TableId;
use penstock_protocol::postgres::default::{default_value, has_default};
use penstock_protocol::postgres::pgoutput::{self, Relation};
use penstock_protocol::postgres::replication::parse_lsn;
use penstock_protocol::postgres::types::{TypeEntry, column_type};
use penstock_protocol::schema::{Column, TableName, TableSchema};

/// A capture, by line kinds (see `capture.py`).
#[derive(Default)]
pub struct Capture {
    pub types: BTreeMap<u32, TypeEntry>,
    /// By table: name, not null, default.
    pub columns: BTreeMap<String, Vec<(String, bool, Option<String>)>>,
    pub keys: BTreeMap<String, Vec<String>>,
    pub messages: Vec<(u64, Vec<u8>)>,
    pub rows: Vec<(String, Vec<u8>)>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

impl Capture {
    /// Reads `postgres/NAME.capture`.
    pub fn read(name: &str) -> Self {
        let path = crate::folder().join(format!("postgres/{name}.capture"));
        let text = std::fs::read_to_string(path).expect("the capture");
        let mut capture = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["T", oid, name, typtype, base, typmod, element, delimiter, ref labels @ ..] => {
                    let entry = TypeEntry {
                        name: name.into(),
                        typtype: typtype.as_bytes()[0],
                        base: base.parse().expect("oid"),
                        base_typmod: typmod.parse().expect("typmod"),
                        element: element.parse().expect("oid"),
                        delimiter: delimiter.as_bytes()[0],
                        labels: serde_json::from_str(&labels.join(" ")).expect("JSON"),
                    };
                    capture.types.insert(oid.parse().expect("oid"), entry);
                }
                ["C", _, table, column, not_null, ref default @ ..] => {
                    let default = serde_json::from_str(&default.join(" ")).expect("JSON");
                    let columns = capture.columns.entry(table.into()).or_default();
                    columns.push((column.into(), not_null == "t", default));
                }
                ["K", _, table, ref key @ ..] => {
                    let key = key.iter().map(|column| column.to_string()).collect();
                    capture.keys.insert(table.into(), key);
                }
                ["L", lsn, data] => {
                    capture.messages.push((parse_lsn(lsn).expect("LSN"), unhex(data)));
                }
                ["S", _, table, data] => capture.rows.push((table.into(), unhex(data))),
                _ => panic!("line {line:?}"),
            }
        }
        capture
    }

    /// What a source builds of a Relation message and the catalogue.
    pub fn schema(&self, relation: &Relation, table: TableId, version: u32) -> TableSchema {
        let facts = &self.columns[relation.name];
        let fact = |name: &str| facts.iter().find(|fact| fact.0 == name).expect("column");
        let column = |c: &pgoutput::RelationColumn| {
            let ty = column_type(c.type_oid, c.typmod, |oid| self.types.get(&oid));
            let (_, not_null, default) = fact(c.name);
            let read = has_default(c.type_oid, self.types.get(&c.type_oid));
            let default = default.as_ref().filter(|_| read);
            Column {
                name: c.name.into(),
                nullable: !not_null,
                default: default.and_then(|text| default_value(text, &ty)),
                included: true,
                ty,
            }
        };
        let place = |name: &String| relation.columns.iter().position(|c| c.name == name);
        let number = |name: &String| place(name).expect("key column") as u16;
        let flagged = |(i, c): (usize, &pgoutput::RelationColumn)| c.identity.then_some(i as u16);
        TableSchema {
            table,
            version,
            name: TableName {
                database: "golden".into(),
                schema: relation.namespace.into(),
                table: relation.name.into(),
            },
            columns: relation.columns.iter().map(column).collect(),
            key: self.keys[relation.name].iter().map(number).collect(),
            identity: relation.columns.iter().enumerate().filter_map(flagged).collect(),
            replica_identity: relation.replica_identity,
            period: None,
        }
    }
}
