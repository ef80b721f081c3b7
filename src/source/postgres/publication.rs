//! The publications of a pipeline: what is there, what is missing, and the statements between.
//!
//! Enters: the catalogue, the captured tables. Leaves: two publications that hold them: the
//! configured one, and `<publication>_insert` for tables without replica identity. Keeps HAZARDS
//! H1: never `FOR ALL TABLES`, and a table whose updates cannot be told is published for inserts
//! and truncates alone; L26: both exist before the slot does, the second even if it is empty.

use std::collections::BTreeMap;

use super::catalogue::{Table, name_list, unexpected};
use super::connection::Connection;
use super::sql::{ident, literal};
use crate::config::Autocreate;
use crate::error::{Error, Result};

/// What is published of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Column list; none: all.
    pub columns: Option<Vec<String>>,
    /// Row filter, SQL.
    pub row_filter: Option<String>,
}

/// A publication as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// FOR ALL TABLES.
    pub all_tables: bool,
    /// Tells updates.
    pub updates: bool,
    /// Tells inserts.
    pub inserts: bool,
    /// Tells deletes.
    pub deletes: bool,
    /// Tells TRUNCATE.
    pub truncates: bool,
    /// `publish_via_partition_root`.
    pub via_root: bool,
    /// `publish_generated_columns` (18 and later).
    pub generated: bool,
    /// We may alter it.
    pub owned: bool,
    /// Its owner.
    pub owner: String,
    /// Tables by (schema, name).
    pub tables: BTreeMap<(String, String), Published>,
}

impl Publication {
    fn holds(&self, table: &Table) -> bool {
        self.tables.contains_key(&(table.schema.clone(), table.name.clone()))
    }
}

/// Both publications as they are; `None`: missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publications {
    /// Name of the main one.
    pub name: String,
    /// The main one.
    pub main: Option<Publication>,
    /// `<name>_insert`.
    pub insert_only: Option<Publication>,
}

/// Name of the second publication.
pub fn insert_name(name: &str) -> String {
    format!("{name}_insert")
}

impl Publications {
    /// Reads both.
    pub async fn read(catalogue: &mut Connection, version: u32, name: &str) -> Result<Self> {
        let names = [name.to_owned(), insert_name(name)];
        let list = name_list(names.iter().map(String::as_str));
        let generated = if version >= 180_000 { "pubgencols = 's'" } else { "false" };
        let sql = format!(
            "SELECT pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, \
             pubviaroot, {generated}, pg_catalog.pg_has_role(pubowner, 'USAGE'), \
             pg_catalog.pg_get_userbyid(pubowner) \
             FROM pg_catalog.pg_publication WHERE pubname IN ({list})"
        );
        let mut found = BTreeMap::new();
        for row in catalogue.query("reading the publications", &sql).await? {
            let publication = Publication {
                all_tables: row.is_true(1),
                inserts: row.is_true(2),
                updates: row.is_true(3),
                deletes: row.is_true(4),
                truncates: row.is_true(5),
                via_root: row.is_true(6),
                generated: row.is_true(7),
                owned: row.is_true(8),
                owner: row.text(9).to_owned(),
                tables: BTreeMap::new(),
            };
            found.insert(row.text(0).to_owned(), publication);
        }
        // Column lists and row filters came with 15; `attnames` names all columns without a list.
        let details = if version >= 150_000 {
            "to_json(p.attnames)::text, p.rowfilter"
        } else {
            "NULL, NULL"
        };
        let sql = format!(
            "SELECT p.pubname, p.schemaname, p.tablename, {details} \
             FROM pg_catalog.pg_publication_tables p WHERE p.pubname IN ({list})"
        );
        for row in catalogue.query("reading the published tables", &sql).await? {
            let columns = match row.get(3) {
                Some(json) => {
                    let list = serde_json::from_str(json);
                    Some(list.map_err(|_| unexpected("column list"))?)
                }
                None => None,
            };
            let published = Published { columns, row_filter: row.get(4).map(str::to_owned) };
            if let Some(publication) = found.get_mut(row.text(0)) {
                let table = (row.text(1).to_owned(), row.text(2).to_owned());
                publication.tables.insert(table, published);
            }
        }
        let main = found.remove(&names[0]);
        Ok(Self { insert_only: found.remove(&names[1]), main, name: name.to_owned() })
    }

    /// Names for START_REPLICATION: those that exist.
    pub fn names(&self) -> Vec<String> {
        let main = self.main.as_ref().map(|_| self.name.clone());
        let second = self.insert_only.as_ref().map(|_| insert_name(&self.name));
        main.into_iter().chain(second).collect()
    }

    /// What is published of a table, in either.
    pub fn published(&self, table: &Table) -> Option<&Published> {
        let key = (table.schema.clone(), table.name.clone());
        let both = [&self.main, &self.insert_only];
        both.into_iter().flatten().find_map(|publication| publication.tables.get(&key))
    }

    /// Whether generated columns are sent for a table.
    pub fn sends_generated(&self, table: &Table) -> bool {
        let both = [&self.main, &self.insert_only];
        both.into_iter().flatten().any(|p| p.generated && p.holds(table))
    }

    /// Whether partitions are told under their root's name, if an existing publication decides it.
    pub fn via_root(&self) -> Option<bool> {
        self.main.as_ref().map(|main| main.via_root)
    }

    /// The statements that are missing, in order.
    pub fn missing(&self, tables: &[Table], via_root: bool) -> Vec<String> {
        let told: Vec<&Table> = tables.iter().filter(|table| table.identified).collect();
        let untold = self.untold(tables);
        let mut statements = Vec::new();
        match &self.main {
            None => statements.push(create(&self.name, &told, None, via_root)),
            Some(main) => statements.extend(add(&self.name, main, &told)),
        }
        let name = insert_name(&self.name);
        match &self.insert_only {
            None => statements.push(create(&name, &untold, Some("insert, truncate"), via_root)),
            Some(second) => statements.extend(add(&name, second, &untold)),
        }
        statements
    }

    /// Where somebody else makes the publication: it must be there.
    fn is_there(&self) -> Result<()> {
        if self.main.is_some() {
            return Ok(());
        }
        let what = format!("publication \"{}\" does not exist", self.name);
        Err(Error::fatal("pg-publication-missing", what).hint(
            "make it before the slot, or let Penstock do it: publication_autocreate_mode = \
             \"filtered\"",
        ))
    }

    /// Captured tables that nobody publishes are named: nothing of them will come.
    fn tell_untold(&self, tables: &[Table]) {
        let both = || [&self.main, &self.insert_only].into_iter().flatten();
        let told = |table: &&Table| both().any(|p| p.all_tables || p.holds(table));
        let untold: Vec<String> =
            tables.iter().filter(|table| !told(table)).map(|table| table.full_name()).collect();
        if !untold.is_empty() {
            tracing::warn!(
                "captured tables that are not in publication \"{}\": {}; their changes do not come",
                self.name,
                untold.join(", ")
            );
        }
    }

    /// A slot decodes its WAL with the catalogue of that time: a publication made after the slot is
    /// "missing" there for ever (HAZARDS L26), so with a slot only tables can be added.
    fn missing_beside_slot(&self, tables: &[Table]) -> Result<Vec<String>> {
        let Some(main) = &self.main else {
            let what = format!("the slot exists and publication \"{}\" does not", self.name);
            return Err(Error::fatal("pg-publication-lost", what).hint(
                "a publication that is made after the slot does not serve it: drop the slot \
                 (`penstock offsets delete --drop-slot CONFIG`) and run again to make both",
            ));
        };
        let told: Vec<&Table> = tables.iter().filter(|table| table.identified).collect();
        let untold = self.untold(tables);
        let mut statements: Vec<String> = add(&self.name, main, &told).into_iter().collect();
        match &self.insert_only {
            Some(second) => statements.extend(add(&insert_name(&self.name), second, &untold)),
            None if untold.is_empty() => {}
            None => return Err(too_late(&self.name, &untold)),
        }
        Ok(statements)
    }

    /// Tables without replica identity that the main publication does not hold already.
    fn untold<'t>(&self, tables: &'t [Table]) -> Vec<&'t Table> {
        let in_main = |table: &Table| self.main.as_ref().is_some_and(|main| main.holds(table));
        tables.iter().filter(|table| !table.identified && !in_main(table)).collect()
    }

    /// Captured tables without replica identity that updates would break on, because the main
    /// publication tells updates or deletes of them (HAZARDS H1). Not of our making.
    pub fn breaking<'t>(&self, tables: &'t [Table]) -> Vec<&'t Table> {
        let tells = |main: &&Publication| main.updates || main.deletes;
        let Some(main) = self.main.as_ref().filter(tells) else { return Vec::new() };
        tables.iter().filter(|table| !table.identified && main.holds(table)).collect()
    }
}

fn create(name: &str, tables: &[&Table], publish: Option<&str>, via_root: bool) -> String {
    let mut sql = format!("CREATE PUBLICATION {}", ident(name));
    if !tables.is_empty() {
        sql.push_str(" FOR TABLE ");
        sql.push_str(&listed(tables));
    }
    let mut options = Vec::new();
    options.extend(publish.map(|publish| format!("publish = {}", literal(publish))));
    options.extend(via_root.then(|| "publish_via_partition_root = true".to_owned()));
    if !options.is_empty() {
        sql.push_str(&format!(" WITH ({})", options.join(", ")));
    }
    sql
}

fn add(name: &str, publication: &Publication, wanted: &[&Table]) -> Option<String> {
    if publication.all_tables {
        return None;
    }
    let lacking: Vec<&Table> =
        wanted.iter().copied().filter(|table| !publication.holds(table)).collect();
    if lacking.is_empty() {
        return None;
    }
    Some(format!("ALTER PUBLICATION {} ADD TABLE {}", ident(name), listed(&lacking)))
}

/// `ONLY`, because a plain table may have inheritance children that were not named; a partitioned
/// table takes its partitions with it either way.
fn listed(tables: &[&Table]) -> String {
    let name = |table: &&Table| match table.root {
        true => table.quoted(),
        false => format!("ONLY {}", table.quoted()),
    };
    tables.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Makes what is missing, all or nothing, and reads both again.
pub async fn ensure(
    catalogue: &mut Connection,
    version: u32,
    publications: Publications,
    tables: &[Table],
    via_root: bool,
    slot_exists: bool,
    autocreate: Autocreate,
) -> Result<Publications> {
    let statements = match (autocreate, slot_exists) {
        (Autocreate::Filtered, true) => publications.missing_beside_slot(tables)?,
        (Autocreate::Filtered, false) => publications.missing(tables, via_root),
        (Autocreate::NoTables, false) if publications.main.is_none() => {
            vec![create(&publications.name, &[], None, via_root)]
        }
        _ => {
            publications.is_there()?;
            Vec::new()
        }
    };
    if autocreate != Autocreate::Filtered {
        publications.tell_untold(tables);
    }
    if statements.is_empty() {
        return Ok(publications);
    }
    let doing = "making the publications";
    let script = format!("BEGIN; {}; COMMIT", statements.join("; "));
    if let Err(refused) = catalogue.try_query(doing, &script).await? {
        // A refusal inside the script leaves its transaction open and failed.
        catalogue.query(doing, "ROLLBACK").await?;
        if refused.is("42501") {
            return Err(no_right(&refused.text(), &statements));
        }
        return Err(refused.into_error(doing));
    }
    for statement in &statements {
        tracing::info!("made: {statement}");
    }
    if slot_exists {
        tracing::warn!(
            "tables joined the publication: their changes come from here on, the rows that they \
             held before do not"
        );
    }
    Publications::read(catalogue, version, &publications.name).await
}

fn no_right(text: &str, statements: &[String]) -> Error {
    let what = format!("the role may not make or alter the publications: {text}");
    Error::fatal("pg-publication-right", what).hint(format!(
        "run as the tables' owner or a superuser, then start again: {};",
        statements.join("; ")
    ))
}

fn too_late(name: &str, untold: &[&Table]) -> Error {
    let tables: Vec<String> = untold.iter().map(|table| table.full_name()).collect();
    let what = format!(
        "no replica identity on {}, and publication \"{}\" was not made before the slot",
        tables.join(", "),
        insert_name(name)
    );
    Error::fatal("pg-publication-late", what).hint(
        "give these tables a primary key or ALTER TABLE … REPLICA IDENTITY FULL, or leave them out \
         with source.exclude_tables, or drop the slot and take a new snapshot",
    )
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::tests::table;
    use super::*;

    fn publications(main: Option<&[&str]>, insert_only: Option<&[&str]>) -> Publications {
        let publication = |tables: &[&str]| Publication {
            inserts: true,
            updates: true,
            deletes: true,
            truncates: true,
            tables: tables
                .iter()
                .map(|name| (("public".to_owned(), (*name).to_owned()), Published::default()))
                .collect(),
            ..Publication::default()
        };
        Publications {
            name: "p".into(),
            main: main.map(publication),
            insert_only: insert_only.map(publication),
        }
    }

    fn tables() -> Vec<Table> {
        let keyless = Table { identified: false, ..table(2, "log", false, None) };
        vec![table(1, "users", false, None), keyless]
    }

    #[test]
    fn h01_tables_are_listed_and_those_without_identity_apart() {
        // Goal: never FOR ALL TABLES; updates of keyless tables go on working. Method: the SQL.
        assert_eq!(
            publications(None, None).missing(&tables(), false),
            [
                "CREATE PUBLICATION \"p\" FOR TABLE ONLY \"public\".\"users\"",
                "CREATE PUBLICATION \"p_insert\" FOR TABLE ONLY \"public\".\"log\" \
                 WITH (publish = 'insert, truncate')",
            ]
        );
        let lacking = publications(Some(&[]), Some(&[]));
        assert_eq!(
            lacking.missing(&tables(), false),
            [
                "ALTER PUBLICATION \"p\" ADD TABLE ONLY \"public\".\"users\"",
                "ALTER PUBLICATION \"p_insert\" ADD TABLE ONLY \"public\".\"log\"",
            ]
        );
        let whole = publications(Some(&["users"]), Some(&["log"]));
        assert_eq!(whole.missing(&tables(), false), [] as [String; 0]);
    }

    #[test]
    fn l26_both_publications_are_made_before_the_slot_even_if_empty() {
        // Goal: no publication is made after the slot. Method: statements without a slot (both, the
        // second empty), errors with one.
        assert_eq!(
            publications(None, None).missing(&tables()[..1], true),
            [
                "CREATE PUBLICATION \"p\" FOR TABLE ONLY \"public\".\"users\" \
                 WITH (publish_via_partition_root = true)",
                "CREATE PUBLICATION \"p_insert\" \
                 WITH (publish = 'insert, truncate', publish_via_partition_root = true)",
            ]
        );
        let code = |publications: Publications, tables: &[Table]| {
            publications.missing_beside_slot(tables).map_err(|error| error.code)
        };
        assert_eq!(code(publications(None, None), &tables()), Err("pg-publication-lost"));
        let taken_over = || publications(Some(&["users"]), None);
        assert_eq!(code(taken_over(), &tables()), Err("pg-publication-late"));
        assert_eq!(code(taken_over(), &tables()[..1]), Ok(vec![]));
        let all = publications(Some(&["users", "log"]), None);
        assert_eq!(code(all, &tables()), Ok(vec![]));
    }
}
