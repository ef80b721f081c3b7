//! What the catalogue says: the server, the tables that are captured, their columns and keys.
//!
//! Enters: a catalogue session, the filter. Leaves: `Server`, `Table`s in snapshot order, `Facts`
//! about a table's columns, keys and types. Keeps: one query for any number of tables; ids of one
//! answer are never mixed with names of another. pg_catalog as documented for 13 to 18.

use std::collections::BTreeMap;

use penstock_protocol::postgres::replication::parse_lsn;
use penstock_protocol::postgres::types::{MONEY_OID, TypeEntry, column_type, is_built_in};
use penstock_protocol::schema::{ColumnType, TableName};

use super::connection::{Connection, Row};
use super::sql::literal;
use crate::config::TableFilter;
use crate::error::{Error, Result};

/// Oldest server that is supported, as `server_version_num`.
pub const VERSION_MIN: u32 = 130_000;

/// A server, as far as a run depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`, such as 150018.
    pub version: u32,
    /// `server_version`, for messages.
    pub version_text: String,
    /// `wal_level`.
    pub wal_level: String,
    /// `wal_sender_timeout`, ms; 0: none.
    pub wal_sender_timeout_ms: u64,
    /// The role that we are.
    pub role: String,
    /// It may start replication (attribute REPLICATION, or superuser).
    pub may_replicate: bool,
}

impl Server {
    /// Reads it.
    pub async fn read(catalogue: &mut Connection) -> Result<Self> {
        let sql = "SELECT current_setting('server_version_num'), \
            current_setting('server_version'), current_setting('wal_level'), \
            (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'), \
            current_user, \
            (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles \
                WHERE rolname = current_user)";
        let rows = catalogue.query("reading the server's settings", sql).await?;
        let row = rows.first().ok_or_else(|| unexpected("settings"))?;
        Ok(Self {
            version: row.number(0).ok_or_else(|| unexpected("version"))?,
            version_text: row.text(1).to_owned(),
            wal_level: row.text(2).to_owned(),
            wal_sender_timeout_ms: row.number(3).unwrap_or(60_000),
            role: row.text(4).to_owned(),
            may_replicate: row.is_true(5),
        })
    }

    /// What no run can do without.
    pub fn verify(&self) -> Result<()> {
        if self.version < VERSION_MIN {
            let what = format!("PostgreSQL {} is too old", self.version_text);
            return Err(Error::fatal("pg-version", what).hint("use PostgreSQL 13 or later"));
        }
        if self.wal_level != "logical" {
            let what =
                format!("wal_level is {}, so the log does not hold the rows", self.wal_level);
            return Err(Error::fatal("pg-wal-level", what)
                .hint("ALTER SYSTEM SET wal_level = 'logical'; and restart the server"));
        }
        if !self.may_replicate {
            let what = format!("role \"{}\" may not start replication", self.role);
            return Err(Error::fatal("pg-permission", what)
                .hint(format!("ALTER ROLE {} REPLICATION;", super::sql::ident(&self.role))));
        }
        Ok(())
    }
}

/// A table of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// A partitioned table, whose changes come under its own name.
    pub root: bool,
    /// `relreplident`.
    pub replica_identity: u8,
    /// Updates and deletes can be told: an identity that exists.
    pub identified: bool,
    /// Rows, estimated; none before the first ANALYZE.
    pub estimate: Option<u64>,
    /// Files of the table: changes when it is rewritten or truncated.
    pub filenode: Option<u32>,
    /// Its owner.
    pub owner: String,
    /// We may do what its owner may.
    pub owned: bool,
    /// We may read it.
    pub readable: bool,
    /// Row-level security is on.
    pub row_security: bool,
    /// The partitioned table at the top, if it is a partition.
    pub partition_of: Option<u32>,
}

impl Table {
    /// `schema.table`, as filters and Debezium's lists match it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The name as schemas have it.
    pub fn full_table_name(&self, database: &str) -> TableName {
        TableName {
            database: database.to_owned(),
            schema: self.schema.clone(),
            table: self.name.clone(),
        }
    }

    /// Quoted for a statement.
    pub fn quoted(&self) -> String {
        super::sql::table(&self.schema, &self.name)
    }

    fn read(row: &Row) -> Option<Self> {
        let replica_identity = *row.text(4).as_bytes().first()?;
        let identified = match replica_identity {
            b'f' => true,
            b'd' => row.is_true(6),
            b'i' => row.is_true(7),
            _ => false,
        };
        Some(Self {
            oid: row.number(0)?,
            schema: row.text(1).to_owned(),
            name: row.text(2).to_owned(),
            root: row.text(3) == "p",
            replica_identity,
            identified,
            estimate: row.number::<i64>(5).and_then(|rows| u64::try_from(rows).ok()),
            filenode: row.number(8),
            owner: row.text(9).to_owned(),
            owned: row.is_true(10),
            readable: row.is_true(11),
            row_security: row.is_true(12),
            partition_of: row.number(13),
        })
    }
}

/// Tables that can be captured at all: permanent ones of user schemas, plain or partitioned.
const TABLES: &str = "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, \
    c.reltuples::bigint, \
    EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
        WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid), \
    pg_catalog.pg_relation_filenode(c.oid), pg_catalog.pg_get_userbyid(c.relowner), \
    pg_catalog.pg_has_role(c.relowner, 'USAGE'), \
    pg_catalog.has_table_privilege(c.oid, 'SELECT'), c.relrowsecurity, \
    CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::oid END \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' \
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_' \
    ORDER BY n.nspname, c.relname";

/// Captured tables in snapshot order, and how partitions are published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The tables.
    pub tables: Vec<Table>,
    /// Changes of partitions come under the partitioned table's name.
    pub via_root: bool,
}

/// Reads the tables that the filter captures. `via_root`: what an existing publication says; else
/// the filter decides.
pub async fn captured(
    catalogue: &mut Connection,
    filter: &TableFilter,
    via_root: Option<bool>,
) -> Result<Captured> {
    let rows = catalogue.query("reading the tables", TABLES).await?;
    let all: Option<Vec<Table>> = rows.iter().map(Table::read).collect();
    Ok(choose(all.ok_or_else(|| unexpected("table"))?, filter, via_root))
}

/// Partitions are captured under their own names, as Debezium does by default, unless a partitioned
/// table is named whose partitions are not: then all its changes come under its own name. The
/// choice holds for the whole publication (`publish_via_partition_root`).
fn choose(all: Vec<Table>, filter: &TableFilter, via_root: Option<bool>) -> Captured {
    let matches = |table: &Table| filter.table(&table.full_name());
    let roots: Vec<u32> = all.iter().filter(|t| t.root && matches(t)).map(|t| t.oid).collect();
    let uncovered = |table: &Table| {
        let of_root = table.partition_of.is_some_and(|root| roots.contains(&root));
        of_root && !table.root && !matches(table)
    };
    let via_root = via_root.unwrap_or_else(|| all.iter().any(uncovered));
    let mut tables: Vec<Table> = all
        .into_iter()
        .filter(|table| {
            let of_root = table.partition_of.is_some_and(|root| roots.contains(&root));
            matches(table) && if via_root { !of_root } else { !table.root }
        })
        .collect();
    // Debezium's order: that of the patterns, then the name.
    let rank = |table: &Table| {
        let name = table.full_name();
        filter.tables.iter().position(|pattern| pattern.is_match(&name))
    };
    tables.sort_by_cached_key(|table| (rank(table), table.schema.clone(), table.name.clone()));
    Captured { tables, via_root }
}

/// A column of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFact {
    /// `attnum`.
    pub number: i16,
    /// Name.
    pub name: String,
    /// `atttypid`.
    pub type_oid: u32,
    /// `atttypmod`.
    pub typmod: i32,
    /// NOT NULL.
    pub not_null: bool,
    /// `attgenerated`: 's' stored, 'v' virtual, none.
    pub generated: Option<u8>,
    /// `pg_get_expr` of the default.
    pub default: Option<String>,
}

/// A unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFact {
    /// It is the primary key's.
    pub primary: bool,
    /// It is the replica identity (`REPLICA IDENTITY USING INDEX`).
    pub identity: bool,
    /// Its uniqueness is checked at once: only then a primary key serves as replica identity.
    pub immediate: bool,
    /// `attnum`s of its key columns, in order; 0: an expression.
    pub columns: Vec<i16>,
}

/// What the catalogue knows about one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Columns in order, generated ones included.
    pub columns: Vec<ColumnFact>,
    /// Unique valid indexes: the primary key first, then by name.
    pub indexes: Vec<IndexFact>,
    /// `relreplident`; 0 if the table is gone.
    pub replica_identity: u8,
}

impl Facts {
    /// `attnum`s of the record key: the primary key, else the first unique index by name that has
    /// no expression (ENVELOPE, section 1). Empty: none.
    pub fn key(&self) -> &[i16] {
        let usable = |index: &&IndexFact| !index.columns.contains(&0);
        self.indexes.iter().find(usable).map_or(&[], |index| &index.columns)
    }

    /// Whether the column is part of the replica identity, as pgoutput flags it
    /// (`logicalrep_write_attrs`, `RelationGetIdentityKeyBitmap`).
    pub fn identifies(&self, number: i16) -> bool {
        let index = match self.replica_identity {
            b'f' => return true,
            b'd' => self.indexes.iter().find(|index| index.primary && index.immediate),
            b'i' => self.indexes.iter().find(|index| index.identity),
            _ => None,
        };
        index.is_some_and(|index| index.columns.contains(&number))
    }
}

/// Reads the facts of tables, by oid.
pub async fn facts(catalogue: &mut Connection, oids: &[u32]) -> Result<BTreeMap<u32, Facts>> {
    let mut facts: BTreeMap<u32, Facts> = BTreeMap::new();
    if oids.is_empty() {
        return Ok(facts);
    }
    let list = oid_list(oids);
    let sql = format!(
        "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, \
         a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid), c.relreplident \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid IN ({list}) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attrelid, a.attnum"
    );
    for row in catalogue.query("reading the columns", &sql).await? {
        let (oid, column) = column_fact(&row).ok_or_else(|| unexpected("column"))?;
        let table = facts.entry(oid).or_default();
        table.replica_identity = row.text(8).bytes().next().unwrap_or(0);
        table.columns.push(column);
    }
    let sql = format!(
        "SELECT i.indrelid, i.indisprimary, i.indisreplident, i.indimmediate, i.indnkeyatts, \
         i.indkey FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid IN ({list}) AND i.indisunique AND i.indisvalid \
         ORDER BY i.indrelid, i.indisprimary DESC, c.relname"
    );
    for row in catalogue.query("reading the keys", &sql).await? {
        let (oid, index) = index_fact(&row).ok_or_else(|| unexpected("index"))?;
        facts.entry(oid).or_default().indexes.push(index);
    }
    Ok(facts)
}

fn column_fact(row: &Row) -> Option<(u32, ColumnFact)> {
    let column = ColumnFact {
        number: row.number(1)?,
        name: row.text(2).to_owned(),
        type_oid: row.number(3)?,
        typmod: row.number(4)?,
        not_null: row.is_true(5),
        generated: row.text(6).bytes().next(),
        default: row.get(7).map(str::to_owned),
    };
    Some((row.number(0)?, column))
}

fn index_fact(row: &Row) -> Option<(u32, IndexFact)> {
    let key_columns: usize = row.number(4)?;
    let columns: Option<Vec<i16>> =
        row.text(5).split(' ').take(key_columns).map(|number| number.parse().ok()).collect();
    let index = IndexFact {
        primary: row.is_true(1),
        identity: row.is_true(2),
        immediate: row.is_true(3),
        columns: columns?,
    };
    Some((row.number(0)?, index))
}

/// Types that are not built in, by oid, and what else decides how types are read. Kept for the life
/// of a session: a domain never changes its base and an enum never becomes something else.
#[derive(Clone, Debug, Default)]
pub struct Types {
    entries: BTreeMap<u32, TypeEntry>,
    money_digits: Option<u8>,
}

/// Domains over domains that are followed.
const DOMAIN_DEPTH_MAX: usize = 64;

impl Types {
    /// Makes sure that the types `wanted` and all that they are made of are known.
    pub async fn learn(
        &mut self,
        catalogue: &mut Connection,
        wanted: impl Iterator<Item = u32>,
    ) -> Result<()> {
        let mut wanted: Vec<u32> = wanted.collect();
        for _ in 0..DOMAIN_DEPTH_MAX {
            if wanted.contains(&MONEY_OID) && self.money_digits.is_none() {
                self.money_digits = Some(money_digits(catalogue).await?);
            }
            wanted.retain(|oid| *oid != 0 && !is_built_in(*oid) && !self.entries.contains_key(oid));
            wanted.sort_unstable();
            wanted.dedup();
            if wanted.is_empty() {
                break;
            }
            let sql = format!(
                "SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, \
                 CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typdelim, \
                 (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder) \
                     FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) \
                 FROM pg_catalog.pg_type t WHERE t.oid IN ({})",
                oid_list(&wanted)
            );
            wanted.clear();
            for row in catalogue.query("reading the types", &sql).await? {
                let (oid, entry) = type_entry(&row).ok_or_else(|| unexpected("type"))?;
                wanted.extend([entry.base, entry.element]);
                self.entries.insert(oid, entry);
            }
        }
        Ok(())
    }

    /// A type that is not built in.
    pub fn get(&self, oid: u32) -> Option<&TypeEntry> {
        self.entries.get(&oid)
    }

    /// The type of a column.
    pub fn column(&self, oid: u32, typmod: i32) -> ColumnType {
        let ty = column_type(oid, typmod, |oid| self.get(oid));
        match (ty, self.money_digits) {
            (ColumnType::Money { .. }, Some(digits)) => ColumnType::Money { digits },
            (ty, _) => ty,
        }
    }
}

/// Fractional digits of money: those of the server's `lc_monetary`, which this session has not
/// touched, nor has any other of ours.
async fn money_digits(catalogue: &mut Connection) -> Result<u8> {
    let sql = "SELECT pg_catalog.scale('1'::pg_catalog.money::pg_catalog.numeric)";
    let rows = catalogue.query("reading the digits of money", sql).await?;
    let digits = rows.first().and_then(|row| row.number(0));
    digits.ok_or_else(|| unexpected("number of digits of money"))
}

fn type_entry(row: &Row) -> Option<(u32, TypeEntry)> {
    let labels = row.get(7).map(serde_json::from_str).transpose().ok()?;
    let entry = TypeEntry {
        name: row.text(1).to_owned(),
        typtype: row.text(2).bytes().next()?,
        base: row.number(3)?,
        base_typmod: row.number(4)?,
        element: row.number(5)?,
        delimiter: row.text(6).bytes().next()?,
        labels: labels.unwrap_or_default(),
    };
    Some((row.number(0)?, entry))
}

/// The end of the WAL that has been inserted (not only flushed): everything committed now ends
/// before it.
pub async fn insert_lsn(catalogue: &mut Connection) -> Result<u64> {
    let sql = "SELECT pg_catalog.pg_current_wal_insert_lsn()";
    let rows = catalogue.query("reading the end of the log", sql).await?;
    let lsn = rows.first().and_then(|row| parse_lsn(row.text(0)));
    lsn.ok_or_else(|| unexpected("WAL position"))
}

/// `(schema, table)` pairs as a condition, for catalogue queries over many tables.
pub fn name_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(literal).collect::<Vec<_>>().join(", ")
}

fn oid_list(oids: &[u32]) -> String {
    oids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// The server answered a catalogue query with something that it cannot be.
pub fn unexpected(what: &str) -> Error {
    Error::transient("pg-protocol", format!("the server's answer has no usable {what}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> TableFilter {
        let anchored = |p: &&str| regex::Regex::new(&format!("(?i)^(?:{p})$")).expect("a pattern");
        TableFilter { tables: patterns.iter().map(anchored).collect(), ..TableFilter::default() }
    }

    pub fn table(oid: u32, name: &str, root: bool, partition_of: Option<u32>) -> Table {
        Table {
            oid,
            schema: "public".into(),
            name: name.into(),
            root,
            replica_identity: b'd',
            identified: true,
            estimate: None,
            filenode: None,
            owner: "app".into(),
            owned: true,
            readable: true,
            row_security: false,
            partition_of,
        }
    }

    fn names(captured: &Captured) -> Vec<&str> {
        captured.tables.iter().map(|table| table.name.as_str()).collect()
    }

    #[test]
    fn partitions_or_their_root_never_both() {
        // Goal: a partitioned table's rows are captured once. Method: the filters that matter.
        let all = || {
            vec![
                table(1, "orders", true, None),
                table(2, "orders_1", false, Some(1)),
                table(3, "orders_2", false, Some(1)),
                table(4, "users", false, None),
            ]
        };
        let every = choose(all(), &filter(&[]), None);
        assert_eq!((names(&every), every.via_root), (vec!["orders_1", "orders_2", "users"], false));
        let root = choose(all(), &filter(&["public.orders"]), None);
        assert_eq!((names(&root), root.via_root), (vec!["orders"], true));
        let one = choose(all(), &filter(&["public.orders_1"]), None);
        assert_eq!((names(&one), one.via_root), (vec!["orders_1"], false));
        let mixed =
            choose(all(), &filter(&["public.users", "public.orders", "public.orders_1"]), None);
        assert_eq!((names(&mixed), mixed.via_root), (vec!["users", "orders"], true));
        let told = choose(all(), &filter(&["public.orders"]), Some(false));
        assert_eq!((names(&told), told.via_root), (vec![], false));
    }

    #[test]
    fn keys_and_identities() {
        // Goal: ENVELOPE's key choice and pgoutput's identity flags. Method: indexes by hand.
        let index = |primary, identity, immediate, columns: &[i16]| IndexFact {
            primary,
            identity,
            immediate,
            columns: columns.to_vec(),
        };
        let mut facts = Facts { replica_identity: b'd', ..Facts::default() };
        assert_eq!(facts.key(), &[] as &[i16]);
        facts.indexes = vec![index(false, false, true, &[0]), index(false, true, true, &[3, 2])];
        assert_eq!(facts.key(), &[3, 2]);
        assert!(!facts.identifies(3), "default identity is the primary key only");
        facts.replica_identity = b'i';
        assert!(facts.identifies(3) && !facts.identifies(1));
        facts.replica_identity = b'f';
        assert!(facts.identifies(1));
        facts.indexes.insert(0, index(true, false, false, &[1]));
        facts.replica_identity = b'd';
        assert_eq!(facts.key(), &[1]);
        assert!(!facts.identifies(1), "a deferrable primary key is no identity");
    }
}
