//! Random sequences of DDL, the same for the same seed, for the differential test of the schema
//! history. Names come from a small pool, with a model's help, so that many statements are accepted.

use penstock_shards::history::{Catalogue, Server, Statement, TableDefinition};

use super::rng::Rng;

/// A generator for one database.
pub struct Generator {
    rng: Rng,
    mariadb: bool,
    version: (u16, u16, u16),
    /// The database of this seed.
    pub database: String,
    /// What the statements so far would make if all were accepted: a help to pick names.
    model: Catalogue,
    ansi: bool,
}

const TYPES: &[&str] = &[
    "int",
    "int(5) unsigned",
    "int zerofill",
    "integer",
    "tinyint",
    "bool",
    "boolean",
    "tinyint(1)",
    "tinyint unsigned",
    "smallint unsigned",
    "smallint(3)",
    "mediumint",
    "middleint unsigned",
    "bigint",
    "int8 unsigned",
    "int1",
    "int2",
    "int3",
    "int4",
    "decimal",
    "decimal(5)",
    "dec(7,2)",
    "numeric(4,1) unsigned",
    "fixed(3)",
    "decimal(10,4) zerofill",
    "float",
    "float(10)",
    "float(30)",
    "float(5,2)",
    "float unsigned",
    "real",
    "double",
    "double precision",
    "double(6,3)",
    "bit",
    "bit(12)",
    "bit(64)",
    "char",
    "char(3)",
    "char(5) character set latin1",
    "char(4) binary",
    "char(4) ascii",
    "char(4) unicode",
    "char(4) byte",
    "char(0)",
    "nchar(3)",
    "national char(3)",
    "national varchar(5)",
    "nvarchar(5)",
    "character varying(7)",
    "national character varying(6)",
    "nchar varchar(4)",
    "char(255)",
    "varchar(20)",
    "varchar(30) collate latin1_bin",
    "varchar(300)",
    "varchar(30000)",
    "varchar(70000)",
    "varbinary(70000)",
    "varchar(10) charset binary",
    "varchar(12) character set utf8mb3 binary",
    "varchar(9) character set utf8 collate utf8_bin",
    "varchar(8) character set ucs2",
    "varchar(8) character set 'gbk'",
    "binary",
    "binary(7)",
    "varbinary(9)",
    "long",
    "long varchar",
    "long varbinary",
    "long char varying",
    "tinytext",
    "text",
    "text(10)",
    "text(300)",
    "text(60000)",
    "text(100000)",
    "text charset latin1",
    "mediumtext",
    "mediumtext binary",
    "longtext",
    "tinytext character set latin1",
    "tinyblob",
    "blob",
    "blob(10)",
    "blob(70000)",
    "mediumblob",
    "longblob",
    "enum('a','b ','c''d')",
    "enum('ab','x,y') character set latin1",
    "set('x','y','z')",
    "set('a','b','c','d','e','f','g','h','i') collate utf8mb4_bin",
    "date",
    "time",
    "time(3)",
    "datetime",
    "datetime(6)",
    "timestamp",
    "timestamp(2)",
    "year",
    "year(4)",
    "json",
    "geometry",
    "point",
    "linestring",
    "multipolygon",
    "geometrycollection",
    "polygon",
    "multipoint",
];
const MYSQL_TYPES: &[&str] = &["vector", "vector(3)", "point srid 4326", "geomcollection"];
const MARIADB_TYPES: &[&str] =
    &["uuid", "inet6", "inet4", "varchar(10) compressed", "text compressed", "blob compressed"];
const ORACLE_TYPES: &[&str] =
    &["varchar2(10)", "number", "number(5,1)", "raw(5)", "clob", "blob", "date"];
const COLUMNS: &[&str] = &["a", "b", "c", "Id", "e f", "größe", "key", "time", "period"];
const TABLES: &[&str] = &["t0", "t1", "t2", "_t1_gho", "T x"];
const CHARSETS: &[&str] = &[
    "latin1",
    "utf8mb4",
    "utf8",
    "ascii",
    "binary",
    "utf8mb4 collate utf8mb4_bin",
    "ucs2",
    "latin1 collate latin1_german1_ci",
    "cp1251",
    "utf32",
];
const MODES: &[&str] = &[
    "",
    "",
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES,ANSI_QUOTES",
    "REAL_AS_FLOAT",
    "ANSI_QUOTES",
    "NO_BACKSLASH_ESCAPES",
];

impl Generator {
    pub fn new(seed: u64, mariadb: bool, version: (u16, u16, u16)) -> Self {
        let server = Server { mariadb, version, fold_names: false };
        let mut model = Catalogue::new(server);
        let database = format!("d{seed}");
        model.put_database(&database, "utf8mb4", "utf8mb4_bin");
        // Neighbouring seeds must not be one sequence, shifted.
        let rng = Rng::new((seed + 1).wrapping_mul(1_000_003));
        Self { rng, mariadb, version, database, model, ansi: false }
    }

    /// All statements of a seed, its database made first and left last.
    pub fn statements(&mut self, count: usize) -> Vec<String> {
        let database = self.database.clone();
        let charset = self.pick(CHARSETS);
        let mut all = vec![
            format!("create database {database} character set {charset}"),
            format!("use {database}"),
        ];
        for _ in 0..count {
            let statement = self.statement();
            let simple = statement.starts_with("create table").then(|| self.simple(&statement));
            for statement in [Some(statement), simple].into_iter().flatten() {
                let used =
                    Statement { sql: &statement, database: &database, ..Statement::default() };
                let _ = self.model.apply(&used);
                all.push(statement);
            }
        }
        let tables = self.model.tables().map(|(name, _)| name.table.clone()).collect::<Vec<_>>();
        all.push("set sql_mode=''".into());
        all.extend(tables.iter().map(|t| format!("insert ignore into `{t}` values ()")));
        all
    }

    /// A table of that name that the server will not refuse, if it refused the first.
    fn simple(&mut self, refused: &str) -> String {
        let rest = refused.trim_start_matches("create table if not exists ");
        let rest = rest.trim_start_matches("create table ");
        let quote = rest.chars().next().unwrap_or('`');
        let name = rest.split(quote).nth(1).unwrap_or("t0");
        let body = self.pick(&[
            "Id int not null, a varchar(20), b text, c timestamp",
            "a int unsigned not null, b char(5) not null, c enum('x','y'), unique (b), unique (a)",
            "`e f` decimal(8,3), Id bigint auto_increment primary key, c mediumtext, key (c(5))",
            "c datetime(3), b varbinary(20), a varchar(9) character set latin1, Id date",
        ]);
        format!("create table if not exists `{name}` ({body})")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.rng.below(from.len())]
    }

    fn quote(&mut self, name: &str) -> String {
        if self.ansi && self.rng.one_in(2) { format!("\"{name}\"") } else { format!("`{name}`") }
    }

    /// A table that probably exists.
    fn table(&mut self) -> String {
        let known = self.model.tables().map(|(name, _)| name.table.clone()).collect::<Vec<_>>();
        let name = match known.len() {
            0 => self.pick(TABLES).to_owned(),
            n => known[self.rng.below(n)].clone(),
        };
        let quoted = self.quote(&name);
        if self.rng.one_in(8) { format!("{}.{quoted}", self.database) } else { quoted }
    }

    fn definition(&self, table: &str) -> Option<TableDefinition> {
        let plain = table.trim_matches(['`', '"']);
        let plain = plain.rsplit(['`', '"']).next().unwrap_or(plain);
        let found = self.model.tables().find(|(name, _)| name.table == plain);
        found.map(|(_, definition)| (**definition).clone())
    }

    fn new_table(&mut self) -> String {
        let name = self.pick(TABLES);
        self.quote(name)
    }

    fn new_column(&mut self) -> String {
        let name = self.pick(COLUMNS);
        self.quote(name)
    }

    /// A column that probably is not in the table.
    fn absent_column(&mut self, table: &Option<TableDefinition>) -> String {
        for _ in 0..6 {
            let name = self.pick(COLUMNS);
            if table.as_ref().is_none_or(|t| t.position(name).is_none()) {
                return self.quote(name);
            }
        }
        self.new_column()
    }

    /// A column that probably is in the table.
    fn column_of(&mut self, table: &Option<TableDefinition>) -> String {
        let columns = table.iter().flat_map(|t| &t.columns).filter(|c| !c.is_row_hash());
        let names = columns.map(|c| c.name.clone());
        let names = names.collect::<Vec<_>>();
        match names.len() {
            0 => self.new_column(),
            n => {
                let name = names[self.rng.below(n)].clone();
                let name = if self.rng.one_in(6) { name.to_uppercase() } else { name };
                self.quote(&name)
            }
        }
    }

    fn ty(&mut self) -> &'static str {
        if !self.rng.one_in(10) {
            return self.pick(TYPES);
        }
        if self.mariadb { self.pick(MARIADB_TYPES) } else { self.pick(MYSQL_TYPES) }
    }

    fn default(&mut self, ty: &str) -> &'static str {
        let number = ["int", "dec", "num", "fix", "flo", "rea", "dou", "boo", "tin", "sma", "mid"];
        let kind = &ty[..3.min(ty.len())];
        if ty.contains("text") || ty.contains("blob") || ty.starts_with("long") {
            return if self.mariadb { "'body'" } else { "('body')" };
        }
        if number.contains(&kind) && !ty.starts_with("tinytext") {
            return self.pick(&["5", "'7'", "0", "true", "1e0", "(1+2)", "+3"]);
        }
        if ty.starts_with("datetime") || ty.starts_with("timestamp") {
            return match (ty.contains("(6)"), ty.contains("(2)")) {
                (true, _) => "current_timestamp(6)",
                (_, true) => "now(2)",
                _ => self.pick(&["current_timestamp", "'2020-01-02 03:04:05'", "now()"]),
            };
        }
        match kind {
            "bit" => "b'1'",
            "dat" => "'2020-01-02'",
            "tim" => "'01:02:03'",
            "yea" => "2020",
            "enu" => "'a'",
            "set" => "'x,y'",
            "cha" | "nch" | "nat" | "var" | "nva" => self.pick(&["''", "'x'", "N'y'", "0x41", "5"]),
            _ => "null",
        }
    }

    /// A type and attributes.
    fn column_body(&mut self) -> String {
        let ty = self.ty();
        let mut body = ty.to_owned();
        if self.rng.one_in(14) {
            let expression = self.pick(&["(1 + 1)", "(concat('a', ')', \"x\"))"]);
            let expression = if self.ansi { "(1 + 1)" } else { expression };
            let kind = self.pick(&["virtual", "stored", ""]);
            return format!("{ty} generated always as {expression} {kind}");
        }
        if self.rng.one_in(3) {
            body += self.pick(&[" not null", " null", " NOT NULL"]);
        }
        if self.rng.one_in(3) {
            body = format!("{body} default {}", self.default(ty));
        }
        if self.rng.one_in(12) && (ty.starts_with("datetime") || ty.starts_with("timestamp")) {
            let digits = ty.strip_prefix("datetime").or(ty.strip_prefix("timestamp"));
            body = format!("{body} on update current_timestamp{}", digits.unwrap_or_default());
        }
        if self.rng.one_in(10) {
            body += self.pick(&[" comment 'it''s, (odd'", " comment ''", " /* x */ comment 'c'"]);
        }
        if self.rng.one_in(20) {
            body += self.pick(&[" unique", " primary key", " unique key", " key", " invisible"]);
        }
        if self.rng.one_in(20) {
            body += self.pick(&[" check (1 > 0)", " column_format default", " visible"]);
        }
        body
    }

    fn key_parts(&mut self, columns: &[String]) -> String {
        let count = self.rng.range(1, 2).min(columns.len().max(1));
        let mut parts = Vec::new();
        for _ in 0..count {
            let mut part = columns[self.rng.below(columns.len())].clone();
            if self.rng.one_in(5) {
                part += "(2)";
            }
            if self.rng.one_in(6) {
                part += self.pick(&[" desc", " asc"]);
            }
            parts.push(part);
        }
        if !self.mariadb && self.rng.one_in(15) {
            parts.push("((1 + 1))".into());
        }
        parts.join(", ")
    }

    fn key(&mut self, columns: &[String]) -> String {
        let parts = self.key_parts(columns);
        let name = self.pick(&["", "", "k", "u", "`a`", "a_2"]);
        match self.rng.below(8) {
            0 | 1 => format!("primary key ({parts})"),
            2 | 3 => format!("unique {name} ({parts})"),
            4 => format!("constraint c1 unique key {name} ({parts})"),
            5 => format!("key {name} using btree ({parts}) comment 'x'"),
            6 => format!("index {name} ({parts})"),
            _ => format!("unique index {name} ({parts})"),
        }
    }

    fn options(&mut self) -> String {
        let mut options = String::new();
        if self.rng.one_in(3) {
            let eq = self.pick(&["=", " ", " = "]);
            options += &format!(" default charset{eq}{}", self.pick(CHARSETS));
        }
        if self.rng.one_in(6) {
            options += self.pick(&[" engine=InnoDB", " ENGINE = MyISAM", " row_format=dynamic"]);
        }
        if self.rng.one_in(6) {
            options += self.pick(&[" comment='a table, (x)'", " auto_increment=5", " checksum 1"]);
        }
        if self.mariadb && self.rng.one_in(8) {
            options += " with system versioning";
        } else if self.rng.one_in(12) {
            options += " /*!50100 partition by key () partitions 2 */";
        }
        options
    }

    fn create(&mut self) -> String {
        let table = self.new_table();
        let exists = self.pick(&["", "", "if not exists "]);
        if self.rng.one_in(7) {
            let like = self.table();
            return format!("create table {exists}{table} like {like}");
        }
        if self.rng.one_in(9) {
            let from = self.table();
            return format!("create table {exists}{table} as select * from {from}");
        }
        let mut columns = Vec::new();
        let mut elements = Vec::new();
        for _ in 0..self.rng.range(1, 6) {
            let name = self.new_column();
            let same =
                |other: &String| other.trim_matches(['`', '"']) == name.trim_matches(['`', '"']);
            if columns.iter().any(same) {
                continue;
            }
            elements.push(format!("{name} {}", self.column_body()));
            columns.push(name);
        }
        if self.rng.one_in(3) {
            elements.insert(0, "id int auto_increment primary key".into());
            columns.push("id".into());
        }
        for _ in 0..self.rng.below(3) {
            elements.push(self.key(&columns));
        }
        let replace = if self.mariadb && self.rng.one_in(5) { "or replace " } else { "" };
        let exists = if replace.is_empty() { exists } else { "" };
        let options = self.options();
        format!("create {replace}table {exists}{table} (\n  {}\n){options}", elements.join(",\n  "))
    }

    fn place(&mut self, table: &Option<TableDefinition>) -> String {
        match self.rng.below(4) {
            0 => " first".into(),
            1 => format!(" after {}", self.column_of(table)),
            _ => String::new(),
        }
    }

    fn clause(&mut self, table: &Option<TableDefinition>) -> String {
        let exists = if self.mariadb && self.rng.one_in(4) { "if exists " } else { "" };
        let not_exists = if self.mariadb && self.rng.one_in(4) { "if not exists " } else { "" };
        let column = self.column_of(table);
        let word = self.pick(&["column ", ""]);
        match self.rng.below(24) {
            0..=4 => {
                let (name, body) = (self.absent_column(table), self.column_body());
                let place = self.place(table);
                format!("add {word}{not_exists}{name} {body}{place}")
            }
            5 => {
                let (a, b) = (self.absent_column(table), self.new_column());
                format!("add {word}({a} {}, {b} {})", self.column_body(), self.column_body())
            }
            6..=8 => format!("drop {word}{exists}{column}"),
            9..=11 => {
                let body = self.column_body();
                let place = self.place(table);
                format!("modify {word}{exists}{column} {body}{place}")
            }
            12 | 13 => {
                let (name, body) = (self.absent_column(table), self.column_body());
                let place = self.place(table);
                format!("change {word}{exists}{column} {name} {body}{place}")
            }
            14 | 15 => {
                let name = self.absent_column(table);
                format!("rename column {exists}{column} to {name}")
            }
            16 => {
                let what = self.pick(&["set default 5", "drop default", "set default 'x'"]);
                format!("alter {word}{column} {what}")
            }
            17 => self
                .pick(&[
                    "drop primary key",
                    "drop index k",
                    "drop key u",
                    "drop index a",
                    "rename index k to u",
                    "drop constraint c1",
                ])
                .into(),
            18 | 19 => {
                let columns = [column, self.column_of(table), self.column_of(table)];
                format!("add {}", self.key(&columns))
            }
            20 | 21 => format!("convert to character set {}", self.pick(CHARSETS)),
            22 => format!("default character set {}", self.pick(CHARSETS)),
            _ if self.mariadb => {
                self.pick(&["add system versioning", "drop system versioning", "force"]).into()
            }
            _ => self.pick(&["force", "engine=InnoDB", "comment='y'", "order by a"]).into(),
        }
    }

    fn alter(&mut self) -> String {
        let table = self.table();
        let definition = self.definition(&table);
        if self.rng.one_in(10) {
            let other = self.table();
            let columns = [self.column_of(&definition), self.column_of(&definition)];
            let parts = self.key_parts(&columns);
            return match self.rng.below(5) {
                0 => format!("create unique index k on {table} ({parts})"),
                1 => format!("create index a on {table} ({parts})"),
                2 => format!("drop index k on {table}"),
                3 => format!("alter table {table} rename to {}", self.new_table()),
                _ => format!(
                    "alter table {table} add foreign key ({}) references {other} (id)",
                    columns[0]
                ),
            };
        }
        let count = self.rng.range(1, 3);
        let mut clauses = (0..count).map(|_| self.clause(&definition)).collect::<Vec<_>>();
        // One word on character sets: of several the servers make what nobody writes.
        let set =
            |clause: &String| clause.contains("to character") || clause.starts_with("default");
        let (mut said, several) = (false, clauses.iter().filter(|c| set(c)).count() > 1);
        clauses.retain(|clause| !(several && set(clause) && std::mem::replace(&mut said, true)));
        let clauses = clauses.join(", ");
        // A BINARY column and CONVERT TO at once: MariaDB makes another collation of it.
        let plain = clauses.contains("to character");
        let clauses = if plain { clauses.replace(" binary", "") } else { clauses };
        format!("alter table {table} {clauses}")
    }

    fn rename(&mut self) -> String {
        let (a, b) = (self.table(), self.table());
        match self.rng.below(3) {
            0 => format!("rename table {a} to {}", self.new_table()),
            1 => format!("rename table {a} to tmp, {b} to {a}, tmp to {b}"),
            _ => format!("rename table {a} to {}, {b} to {a}", self.new_table()),
        }
    }

    fn statement(&mut self) -> String {
        match self.rng.below(40) {
            0..=9 => self.create(),
            10..=26 => self.alter(),
            27 | 28 => self.rename(),
            29 => format!("drop table if exists {}", self.table()),
            30..=32 => format!("insert ignore into {} values ()", self.table()),
            33 => format!("alter database character set {}", self.pick(CHARSETS)),
            34 | 35 => self.session(),
            36 => format!("truncate table {}", self.table()),
            37 => self.temporary(),
            38 if self.mariadb && self.rng.one_in(2) => self.oracle(),
            _ => self.noise(),
        }
    }

    /// Oracle's words, in their mode and out of it again.
    fn oracle(&mut self) -> String {
        let (a, b) = (self.pick(ORACLE_TYPES), self.pick(ORACLE_TYPES));
        let table = format!("create or replace table t2 (a {a}, b {b})");
        match self.rng.below(3) {
            0 => format!("set statement sql_mode='ORACLE' for {table}"),
            _ => format!("set @m = @@sql_mode, sql_mode='ORACLE'; {table}; set sql_mode = @m"),
        }
    }

    fn session(&mut self) -> String {
        if self.rng.one_in(3) {
            let on = self.rng.below(2);
            return format!("set explicit_defaults_for_timestamp={on}");
        }
        if self.rng.one_in(4) {
            let collation = self.pick(&["latin1_bin", "utf8mb4_general_ci", "cp1251_bin"]);
            return format!("set collation_server={collation}");
        }
        if self.mariadb && self.version >= (11, 4, 0) && self.rng.one_in(3) {
            return "set character_set_collations='utf8mb4=utf8mb4_swedish_ci'".into();
        }
        if !self.mariadb && self.rng.one_in(3) {
            return "set sql_generate_invisible_primary_key=1".into();
        }
        let mode = self.pick(MODES);
        self.ansi = mode.contains("ANSI_QUOTES");
        format!("set sql_mode='{mode}'")
    }

    fn temporary(&mut self) -> String {
        let table = self.new_table();
        format!(
            "create temporary table {table} (zz int); alter table {table} add yy text; \
             drop temporary table {table}"
        )
    }

    /// What never disturbs.
    fn noise(&mut self) -> String {
        let table = self.table();
        match self.rng.below(6) {
            0 => format!("create or replace view v as select * from {table}"),
            1 => format!("create trigger tr before insert on {table} for each row set @x = 1"),
            2 => "drop trigger if exists tr".into(),
            3 => format!("analyze table {table}"),
            4 => "create procedure p() select 'create table t0 (x int)'".into(),
            _ => format!("/* alter table t0 drop column a */ optimize table {table} -- x"),
        }
    }
}
