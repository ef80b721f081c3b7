//! The machine on statements of known effect. The servers' own word on random ones is in
//! `tests/live/ddl`.

use penstock_protocol::mysql::ddl::change::{DefaultDdl, TypeName};
use penstock_protocol::mysql::ddl::sql_mode;

use super::*;

fn catalogue(mariadb: bool) -> Catalogue {
    let version = if mariadb { (11, 8, 0) } else { (9, 7, 0) };
    let mut catalogue = Catalogue::new(Server { mariadb, version, fold_names: false });
    catalogue.put_database("d", "latin1", "latin1_swedish_ci");
    catalogue.put_database("e", "utf8mb4", "utf8mb4_bin");
    catalogue
}

fn name(text: &str) -> TableName {
    let (database, table) = text.split_once('.').unwrap_or(("d", text));
    TableName { database: database.into(), schema: String::new(), table: table.into() }
}

fn run_in(catalogue: &mut Catalogue, mode: u64, sql: &str) -> Vec<Applied> {
    catalogue.apply(&Statement { sql, database: "d", sql_mode: mode, ..Statement::default() })
}

/// What a statement did, in words.
fn run(catalogue: &mut Catalogue, sql: &str) -> Vec<String> {
    let applied = run_in(catalogue, 0, sql);
    let word = |one: &Applied| {
        let table = &one.table;
        match &one.effect {
            Effect::Created(_) => format!("created {table}"),
            Effect::Altered(_) => format!("altered {table}"),
            Effect::Renamed { from, definition: Some(_) } => format!("renamed {from} to {table}"),
            Effect::Renamed { from, definition: None } => format!("lost {from} to {table}"),
            Effect::Dropped => format!("dropped {table}"),
            Effect::Truncated => format!("truncated {table}"),
            Effect::RowsRemoved => format!("rows of {table}"),
            Effect::Unknown(_) => format!("unknown {table}"),
        }
    };
    applied.iter().map(word).collect()
}

/// A column in one line: name, type, character set, NULL, default.
fn line(column: &ColumnDefinition) -> String {
    let ty = &column.ty;
    let mut text = format!("{} {:?}", column.name, ty.name).to_lowercase();
    match (ty.length, ty.scale) {
        (Some(length), Some(scale)) => text += &format!("({length},{scale})"),
        (Some(length), None) => text += &format!("({length})"),
        _ => {}
    }
    if !ty.labels.is_empty() {
        text += &format!("({})", ty.labels.join(","));
    }
    for (on, word) in [
        (ty.unsigned, " unsigned"),
        (ty.zerofill, " zerofill"),
        (!column.nullable, " not null"),
        (column.auto_increment, " auto"),
        (column.invisible, " invisible"),
        (column.json, " json"),
        (ty.compressed, " compressed"),
    ] {
        text += if on { word } else { "" };
    }
    if let Some(collation) = &ty.collation {
        text += &format!(" {collation}");
    }
    match &column.default {
        Some(DefaultDdl::Text(default)) => text += &format!(" ='{default}'"),
        Some(DefaultDdl::Number(default)) => text += &format!(" ={default}"),
        Some(DefaultDdl::Now(digits)) => text += &format!(" =now({digits})"),
        Some(DefaultDdl::Expression(sql)) => text += &format!(" =({sql})"),
        Some(other) => text += &format!(" ={other:?}"),
        None => {}
    }
    if let Some(generated) = &column.generated {
        let kind = if generated.stored { "stored" } else { "virtual" };
        text += &format!(" {kind} ({})", generated.expression);
    }
    if let Some(digits) = column.on_update {
        text += &format!(" on update now({digits})");
    }
    text
}

fn lines(catalogue: &Catalogue, table: &str) -> Vec<String> {
    let name = name(table);
    let definition = catalogue.table(&name);
    let definition =
        definition.unwrap_or_else(|| panic!("{table}: {:?}", catalogue.unknown(&name)));
    definition.columns.iter().map(line).collect()
}

fn names(catalogue: &Catalogue, table: &str) -> String {
    let definition = catalogue.table(&name(table)).expect("known");
    definition.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The columns that a list of definitions makes.
fn made(mariadb: bool, mode: u64, columns: &str) -> Vec<String> {
    let mut catalogue = catalogue(mariadb);
    run_in(&mut catalogue, mode, &format!("CREATE TABLE t ({columns})"));
    lines(&catalogue, "t")
}

#[test]
fn every_type_name() {
    // Goal: each name and synonym of both servers. Method: the manuals' lists, a column each.
    let list = [
        ("SERIAL", "bigint unsigned not null auto"),
        ("BOOL", "tinyint(1)"),
        ("INT4(5) ZEROFILL", "int(5) unsigned zerofill"),
        ("MIDDLEINT", "mediumint"),
        ("INT1 SIGNED", "tinyint"),
        ("INT8 UNSIGNED", "bigint unsigned"),
        ("DEC", "decimal(10,0)"),
        ("FIXED(7)", "decimal(7,0)"),
        ("NUMERIC(7,3) UNSIGNED", "decimal(7,3) unsigned"),
        ("REAL", "double"),
        ("DOUBLE PRECISION(6,2)", "double(6,2)"),
        ("FLOAT(24)", "float"),
        ("FLOAT(25)", "double"),
        ("FLOAT4", "float"),
        ("FLOAT(6,2)", "float(6,2)"),
        ("BIT", "bit(1)"),
        ("NATIONAL CHARACTER VARYING(5)", "varchar(5) utf8mb3_general_ci"),
        ("NCHAR VARCHAR(5)", "varchar(5) utf8mb3_general_ci"),
        ("NCHAR", "char(1) utf8mb3_general_ci"),
        ("CHAR(3) BYTE", "binary(3)"),
        ("CHAR(3) BINARY", "char(3) latin1_bin"),
        ("CHAR(3) ASCII", "char(3) latin1_swedish_ci"),
        ("CHAR(3) UNICODE", "char(3) ucs2_general_ci"),
        ("CHARACTER VARYING(9) CHARSET cp1251 COLLATE cp1251_bin", "varchar(9) cp1251_bin"),
        ("VARCHAR(9) COLLATE utf8_bin", "varchar(9) utf8mb3_bin"),
        ("VARCHAR(9) CHARACTER SET binary", "varbinary(9)"),
        ("TEXT CHARSET binary", "blob"),
        ("LONG VARBINARY", "mediumblob"),
        ("LONG CHAR VARYING", "mediumtext latin1_swedish_ci"),
        ("LONG", "mediumtext latin1_swedish_ci"),
        ("TEXT(255)", "tinytext latin1_swedish_ci"),
        ("TEXT(70) CHARSET utf8mb4", "text utf8mb4_0900_ai_ci"),
        ("BLOB(65536)", "mediumblob"),
        ("ENUM('a','b''c', 'd ')", "enum(a,b'c,d) latin1_swedish_ci"),
        ("SET('x','y') CHARSET utf8mb4 COLLATE utf8mb4_bin", "set(x,y) utf8mb4_bin"),
        ("DATETIME(6)", "datetime(6)"),
        ("TIMESTAMP", "timestamp"),
        ("YEAR(4)", "year"),
        ("JSON", "json"),
        ("VECTOR", "vector(2048)"),
        ("GEOMCOLLECTION", "geometrycollection"),
        ("POINT SRID 4326", "point"),
    ];
    for (written, expected) in list {
        assert_eq!(made(false, 0, &format!("c {written}")), [format!("c {expected}")], "{written}");
    }
    let list = [
        ("JSON", "longtext json utf8mb4_bin"),
        ("UUID", "uuid"),
        ("INET6", "inet6"),
        ("VARCHAR(9) COMPRESSED", "varchar(9) compressed latin1_swedish_ci"),
        ("VARCHAR(9) CHARSET utf8mb4 COLLATE uca1400_ai_ci", "varchar(9) utf8mb4_uca1400_ai_ci"),
        ("oracle_schema.DATE", "datetime"),
    ];
    for (written, expected) in list {
        assert_eq!(made(true, 0, &format!("c {written}")), [format!("c {expected}")], "{written}");
    }
    let oracle = sql_mode::ORACLE | sql_mode::ANSI_QUOTES;
    let list = [
        ("VARCHAR2(9)", "varchar(9) latin1_swedish_ci"),
        ("NUMBER", "double"),
        ("NUMBER(9)", "decimal(9,0)"),
        ("RAW(9)", "varbinary(9)"),
        ("CLOB", "longtext latin1_swedish_ci"),
        ("BLOB", "longblob"),
        ("DATE", "datetime"),
        ("mariadb_schema.date", "date"),
    ];
    for (written, expected) in list {
        let columns = format!("\"c\" {written}");
        assert_eq!(made(true, oracle, &columns), [format!("c {expected}")], "{written}");
    }
    assert_eq!(made(false, sql_mode::REAL_AS_FLOAT, "c REAL"), ["c float"]);
    assert_eq!(made(true, sql_mode::MAXDB, "c TIMESTAMP"), ["c datetime"]);
}

#[test]
fn column_attributes() {
    // Goal: what matters is kept, the rest is stepped over. Method: SHOW CREATE TABLE's forms and
    // the manuals'.
    let columns = "`a` int NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'it''s, (a)', \
        b varchar(5) DEFAULT 'x' NOT NULL COLLATE latin1_bin /*!80023 INVISIBLE */, \
        c datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE NOW(3), \
        d decimal(5,2) DEFAULT -1.5e+1 CHECK (d > 0) NOT ENFORCED, \
        e json DEFAULT (json_array()), \
        f int GENERATED ALWAYS AS (length(concat(b, ')'))) STORED UNIQUE KEY NOT NULL, \
        g int AS (a + 1), \
        h int REFERENCES x (id) ON DELETE SET NULL ON UPDATE CASCADE DEFAULT '7', \
        i bit(3) DEFAULT b'101', j binary(2) DEFAULT 0x4142, k varchar(5) DEFAULT _utf8mb4'é', \
        l tinyint DEFAULT TRUE, m int COLUMN_FORMAT FIXED STORAGE DISK DEFAULT NULL, \
        n int ENGINE_ATTRIBUTE = '{}' KEY_ATTR=5";
    assert_eq!(
        made(false, 0, columns),
        [
            "a int not null auto",
            "b varchar(5) not null invisible latin1_bin ='x'",
            "c datetime(3) =now(3) on update now(3)",
            "d decimal(5,2) =-1.5e+1",
            "e json =(json_array())",
            "f int not null stored (length(concat(b, ')')))",
            "g int virtual (a + 1)",
            "h int =7",
            "i bit(3) =Bits(\"101\")",
            "j binary(2) =Hex(\"4142\")",
            "k varchar(5) latin1_swedish_ci ='é'",
            "l tinyint =1",
            "m int",
            "n int",
        ]
    );
    let columns = "a int DEFAULT nextval(`s`), b int DEFAULT NEXT VALUE FOR d.s NOT NULL, \
        c datetime DEFAULT (current_timestamp()), d int DEFAULT (1 + 2), e int DEFAULT uuid_short(), \
        f longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin CHECK (json_valid(`f`)), \
        g date DEFAULT DATE'2020-01-02'";
    assert_eq!(
        made(true, 0, columns),
        [
            "a int =(nextval(`s`))",
            "b int not null =(NEXT VALUE FOR d.s)",
            "c datetime =now(0)",
            "d int =(1 + 2)",
            "e int =(uuid_short())",
            "f longtext json utf8mb4_bin",
            "g date ='2020-01-02'",
        ]
    );
}

#[test]
fn l24_character_sets_are_inherited_as_the_server_does() {
    // Goal: database, table, column, session. Method: one of each kind.
    let mut c = catalogue(false);
    run(&mut c, "CREATE TABLE a (x text, y text charset cp1251)");
    run(&mut c, "CREATE TABLE b (x text, y char(1) binary) COLLATE = utf8mb4_bin");
    run(&mut c, "CREATE TABLE e.f (x text) CHARSET DEFAULT");
    assert_eq!(lines(&c, "a"), ["x text latin1_swedish_ci", "y text cp1251_general_ci"]);
    assert_eq!(lines(&c, "b"), ["x text utf8mb4_bin", "y char(1) utf8mb4_bin"]);
    assert_eq!(lines(&c, "e.f"), ["x text utf8mb4_bin"]);
    // What is not known is not guessed.
    assert_eq!(run(&mut c, "CREATE TABLE nowhere.t (x text)"), ["unknown nowhere.t"]);
    assert_eq!(run(&mut c, "CREATE TABLE nowhere.u (x int)"), ["created nowhere.u"]);
    assert_eq!(run(&mut c, "ALTER TABLE nowhere.u ADD y text"), ["unknown nowhere.u"]);
    assert_eq!(run(&mut c, "CREATE TABLE x (x text charset klingon)"), ["unknown d.x"]);
    // Sessions.
    let sql = "CREATE DATABASE n";
    c.apply(&Statement { sql, collation_server: Some(50), ..Statement::default() });
    run(&mut c, "CREATE TABLE n.t (x text)");
    assert_eq!(lines(&c, "n.t"), ["x text cp1251_bin"]);
    let sql = "CREATE TABLE n.u (x text charset utf8mb4)";
    c.apply(&Statement { sql, utf8mb4_collation: Some(45), ..Statement::default() });
    assert_eq!(lines(&c, "n.u"), ["x text utf8mb4_general_ci"]);
    run(&mut c, "ALTER DATABASE n DEFAULT COLLATE utf8mb4_bin");
    run(&mut c, "CREATE TABLE n.v (x text)");
    assert_eq!(lines(&c, "n.v"), ["x text utf8mb4_bin"]);
    run(&mut c, "ALTER SCHEMA CHARACTER SET ascii");
    run(&mut c, "CREATE TABLE v (x text)");
    assert_eq!(lines(&c, "v"), ["x text ascii_general_ci"]);
    let mut m = catalogue(true);
    let map = [45, 0, 0, 9];
    let sql = "CREATE TABLE t (x text charset utf8mb4, y text charset latin1)";
    let map =
        Statement { sql, database: "d", charset_collations: Some(&map), ..Statement::default() };
    m.apply(&map);
    assert_eq!(lines(&m, "t"), ["x text utf8mb4_uca1400_ai_ci", "y text latin1_swedish_ci"]);
}

#[test]
fn l24_convert_and_defaults_of_tables() {
    // Goal: CONVERT TO changes columns, DEFAULT CHARACTER SET those to come; TEXT grows. Method:
    // the servers' rule.
    let mut c = catalogue(false);
    let columns = "a text, b varchar(9), c blob, d enum('x'), e tinytext, f int, g mediumtext";
    run(&mut c, &format!("CREATE TABLE t ({columns})"));
    run(&mut c, "ALTER TABLE t DEFAULT CHARSET=cp1251, ADD h text");
    assert_eq!(lines(&c, "t")[0], "a text latin1_swedish_ci");
    assert_eq!(lines(&c, "t")[7], "h text cp1251_general_ci");
    run(&mut c, "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    assert_eq!(
        lines(&c, "t"),
        [
            "a mediumtext utf8mb4_bin",
            "b varchar(9) utf8mb4_bin",
            "c blob",
            "d enum(x) utf8mb4_bin",
            "e text utf8mb4_bin",
            "f int",
            "g longtext utf8mb4_bin",
            "h mediumtext utf8mb4_bin",
        ]
    );
    run(&mut c, "ALTER TABLE t CONVERT TO CHARACTER SET binary");
    assert_eq!(lines(&c, "t")[..2], ["a mediumblob", "b varbinary(9)"]);
    // Not strict: VARCHAR becomes TEXT.
    assert_eq!(made(false, 0, "a varchar(70000)"), ["a mediumtext latin1_swedish_ci"]);
    assert_eq!(made(false, 0, "a varbinary(70000)"), ["a mediumblob"]);
}

#[test]
fn alter_keeps_the_servers_order() {
    // Goal: what is there first, by old names; then what is added or moved, by new ones. Method:
    // clauses that a naive order would spoil.
    let mut c = catalogue(true);
    run(&mut c, "CREATE TABLE t (a int, b int, c int)");
    for (clauses, expected) in [
        ("RENAME COLUMN a TO b, RENAME COLUMN b TO a", "b a c"),
        ("CHANGE b x int, ADD y int AFTER x", "x y a c"),
        ("ADD COLUMN (p int, q int), DROP y", "x a c p q"),
        ("MODIFY COLUMN c int FIRST, ADD z int AFTER c", "c z x a p q"),
        ("ADD n int, ADD m int FIRST, ADD o int AFTER n", "m c z x a p q n o"),
        ("CHANGE COLUMN m n int AFTER o, CHANGE n m int", "c z x a p q m o n"),
        ("ADD COLUMN IF NOT EXISTS x text, DROP COLUMN IF EXISTS nope", "c z x a p q m o n"),
        ("MODIFY IF EXISTS nope int FIRST, RENAME COLUMN IF EXISTS nope TO y", "c z x a p q m o n"),
        ("DROP COLUMN `c` RESTRICT, DROP `Z`, DROP IF EXISTS q", "x a p m o n"),
        ("ORDER BY x, a DESC", "x a p m o n"),
        ("ENGINE=InnoDB, ALGORITHM=INPLACE, LOCK=NONE, DROP p", "x a m o n"),
        ("WAIT 5 DROP o", "x a m n"),
        ("ADD k int PARTITION BY HASH (x) PARTITIONS 4", "x a m n k"),
        ("DROP PARTITION p0, p1", "x a m n k"),
        ("RENAME COLUMN x TO X", "X a m n k"),
        ("ADD größe float, CHANGE COLUMN b größe uuid NOT NULL FIRST", "größe X a m n k"),
        ("ADD r int, MODIFY r bigint AFTER a", "größe X a r m n k"),
    ] {
        run(&mut c, &format!("ALTER TABLE t {clauses}"));
        assert_eq!(names(&c, "t"), expected, "{clauses}");
    }
    // Definitions: MODIFY replaces all, ALTER COLUMN the default alone.
    run(&mut c, "CREATE OR REPLACE TABLE t (a int NOT NULL DEFAULT 5 COMMENT 'x')");
    run(&mut c, "ALTER TABLE t ALTER a SET DEFAULT 7");
    assert_eq!(lines(&c, "t"), ["a int not null =7"]);
    run(&mut c, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT");
    assert_eq!(lines(&c, "t"), ["a int not null"]);
    run(&mut c, "ALTER TABLE t MODIFY a bigint");
    assert_eq!(lines(&c, "t"), ["a bigint"]);
}

#[test]
fn keys_and_the_record_key() {
    // Goal: names, order and implicit NOT NULL as the server's; the key that Debezium takes.
    // Method: a table through the clauses.
    let mut c = catalogue(false);
    let key = |c: &Catalogue, table: &str| {
        let definition = c.table(&name(table)).expect("known").clone();
        let named =
            definition.key().into_iter().map(|at| definition.columns[usize::from(at)].name.clone());
        named.collect::<Vec<_>>().join(" ")
    };
    let keys = |c: &Catalogue, table: &str| {
        let definition = c.table(&name(table)).expect("known");
        definition.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let columns = "a int, b int NOT NULL, c int NOT NULL, d varchar(20) NOT NULL";
    run(
        &mut c,
        &format!(
            "CREATE TABLE t ({columns}, KEY (a), UNIQUE (a), UNIQUE (d(5)), \
        UNIQUE KEY `w` (c, b), UNIQUE (b))"
        ),
    );
    assert_eq!(keys(&c, "t"), "w b d a_2 a");
    assert_eq!(key(&c, "t"), "c b");
    run(&mut c, "ALTER TABLE t DROP INDEX w, RENAME INDEX b TO B2");
    assert_eq!(key(&c, "t"), "b");
    run(&mut c, "ALTER TABLE t MODIFY b int");
    assert_eq!(key(&c, "t"), "d");
    run(&mut c, "ALTER TABLE t ADD CONSTRAINT p PRIMARY KEY (a DESC, `B`)");
    assert_eq!(key(&c, "t"), "a b");
    assert_eq!(lines(&c, "t")[..2], ["a int not null", "b int not null"]);
    run(&mut c, "ALTER TABLE t CHANGE a z bigint FIRST");
    assert_eq!(key(&c, "t"), "z b");
    assert_eq!(lines(&c, "t")[0], "z bigint not null");
    run(&mut c, "ALTER TABLE t DROP COLUMN z");
    assert_eq!(key(&c, "t"), "b");
    assert_eq!(keys(&c, "t"), "PRIMARY B2 d");
    run(&mut c, "ALTER TABLE t DROP PRIMARY KEY, DROP INDEX d");
    assert_eq!((key(&c, "t").as_str(), lines(&c, "t")[0].as_str()), ("b", "b int not null"));
    run(&mut c, "DROP INDEX `B2` ON d.t");
    run(&mut c, "CREATE UNIQUE INDEX f ON t ((b + 1), c)");
    assert_eq!((key(&c, "t").as_str(), keys(&c, "t").as_str()), ("", "f"));
    run(&mut c, "CREATE UNIQUE INDEX g USING BTREE ON t (c) COMMENT 'x'");
    assert_eq!(key(&c, "t"), "c");
    // An index of a foreign key goes when another serves.
    run(
        &mut c,
        "CREATE TABLE u (a int, b int, FOREIGN KEY fk (a) REFERENCES t (c) ON UPDATE SET NULL)",
    );
    assert_eq!(keys(&c, "u"), "fk");
    run(&mut c, "ALTER TABLE u ADD INDEX (a, b)");
    assert_eq!(keys(&c, "u"), "a");
}

#[test]
fn timestamps_without_explicit_defaults() {
    // Goal: the implicit defaults of TIMESTAMP. Method: the manual's rules, both settings.
    let columns = "a timestamp, b timestamp(3), c timestamp NULL, d timestamp DEFAULT '2020-01-01'";
    assert_eq!(made(false, 0, columns)[..2], ["a timestamp", "b timestamp(3)"]);
    let sql = format!("CREATE TABLE t ({columns}, e timestamp ON UPDATE NOW())");
    let old = Some(false);
    let statement =
        Statement { sql: &sql, database: "d", explicit_timestamps: old, ..Statement::default() };
    let mut c = catalogue(false);
    c.apply(&statement);
    assert_eq!(
        lines(&c, "t"),
        [
            "a timestamp not null =now(0) on update now(0)",
            "b timestamp(3) not null ='0000-00-00 00:00:00.000'",
            "c timestamp",
            "d timestamp not null ='2020-01-01'",
            "e timestamp not null ='0000-00-00 00:00:00' on update now(0)",
        ]
    );
    let mut m = catalogue(true);
    let flags = |flags| Statement { flags: Some(flags), explicit_timestamps: None, ..statement };
    m.apply(&flags(1 << 24));
    assert_eq!(lines(&m, "t")[0], "a timestamp");
    run(&mut m, "DROP TABLE t");
    m.apply(&flags(0));
    assert_eq!(lines(&m, "t")[0], "a timestamp not null =now(0) on update now(0)");
}

#[test]
fn l24_names_move_with_their_definitions() {
    // Goal: chains, swaps, other databases, gh-ost and pt-osc. Method: their own statements.
    let mut c = catalogue(false);
    run(&mut c, "CREATE TABLE a (x int)");
    run(&mut c, "CREATE TABLE b (y int)");
    assert_eq!(
        run(&mut c, "RENAME TABLE a TO tmp, b TO a, tmp TO b"),
        ["renamed d.a to d.tmp", "renamed d.b to d.a", "renamed d.tmp to d.b"]
    );
    assert_eq!((names(&c, "a").as_str(), names(&c, "b").as_str()), ("y", "x"));
    run(&mut c, "RENAME TABLE `d`.`a` TO e.a");
    assert_eq!(names(&c, "e.a"), "y");
    assert_eq!(run(&mut c, "ALTER TABLE e.a ADD z int, RENAME TO d.a"), ["renamed e.a to d.a"]);
    assert_eq!(names(&c, "a"), "y z");
    // gh-ost.
    for sql in [
        "create /* gh-ost */ table `d`.`_a_gho` like `d`.`a`",
        "alter /* gh-ost */ table `d`.`_a_gho` drop column z, add column w text",
        "rename /* gh-ost */ table `d`.`a` to `d`.`_a_del`, `d`.`_a_gho` to `d`.`a`",
        "drop /* gh-ost */ table if exists `d`.`_a_del`",
    ] {
        run(&mut c, sql);
    }
    assert_eq!(names(&c, "a"), "y w");
    // What was never seen makes the target unknown, and nothing else.
    assert_eq!(run(&mut c, "RENAME TABLE never TO n"), ["lost d.never to d.n"]);
    assert_eq!(run(&mut c, "ALTER TABLE n ADD q int"), ["unknown d.n"]);
    assert_eq!(
        run(&mut c, "DROP TABLE IF EXISTS n, b /* x */, nope"),
        ["dropped d.n", "dropped d.b"]
    );
    run(&mut c, "CREATE TABLE e.z (x int)");
    assert_eq!(run(&mut c, "DROP DATABASE IF EXISTS e"), ["dropped e.z"]);
    assert_eq!(names(&c, "a"), "y w");
}

#[test]
fn copies_partitions_and_failed_statements() {
    // Goal: LIKE, SELECT, EXCHANGE, TRUNCATE, OR REPLACE, errors. Method: one each.
    let mut c = catalogue(true);
    run(&mut c, "CREATE TABLE a (x int PRIMARY KEY, y text) COMMENT 'c'");
    run(&mut c, "CREATE TABLE b (LIKE a)");
    assert_eq!(c.table(&name("b")), c.table(&name("a")));
    assert_eq!(run(&mut c, "CREATE TABLE n LIKE never"), ["unknown d.n"]);
    assert_eq!(run(&mut c, "CREATE TABLE s AS SELECT 1"), ["unknown d.s"]);
    assert_eq!(run(&mut c, "CREATE TABLE s2 (a int) IGNORE SELECT 1"), ["unknown d.s2"]);
    // MySQL's atomic form in row format.
    assert_eq!(run(&mut c, "CREATE TABLE s3 (`a` int) START TRANSACTION"), ["created d.s3"]);
    assert_eq!(run(&mut c, "CREATE TABLE IF NOT EXISTS b (z int)"), [""; 0]);
    assert_eq!(run(&mut c, "TRUNCATE b"), ["truncated d.b"]);
    assert_eq!(
        run(&mut c, "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b WITHOUT VALIDATION"),
        ["altered d.a", "rows of d.a", "altered d.b", "rows of d.b"]
    );
    assert_eq!(run(&mut c, "ALTER TABLE a TRUNCATE PARTITION p"), ["altered d.a", "rows of d.a"]);
    assert_eq!(
        run(&mut c, "ALTER TABLE a CONVERT PARTITION p TO TABLE p"),
        ["altered d.a", "rows of d.a", "created d.p"]
    );
    assert_eq!(run(&mut c, "CREATE OR REPLACE TABLE b (z int)"), ["dropped d.b", "created d.b"]);
    let sql = "CREATE OR REPLACE TABLE b (z int, z int)";
    let failed = c.apply(&Statement { sql, database: "d", error: 1060, ..Statement::default() });
    assert_eq!(failed, [Applied { table: name("b"), effect: Effect::Dropped }]);
    assert_eq!(run(&mut c, "CREATE SEQUENCE q"), ["created d.q"]);
    assert_eq!(lines(&c, "q").len(), 8);
}

#[test]
fn l24_system_versioning_and_hashes_as_in_the_log() {
    // Goal: MariaDB's hidden columns, last in the log. Method: TABLE_MAPs of 11.8.
    let mut c = catalogue(true);
    run(&mut c, "CREATE TABLE t (a int PRIMARY KEY) WITH SYSTEM VERSIONING");
    run(&mut c, "ALTER TABLE t ADD b text, ADD UNIQUE (b)");
    assert_eq!(names(&c, "t"), "a b row_start row_end DB_ROW_HASH_1");
    assert_eq!(c.table(&name("t")).unwrap().key(), [0]);
    run(&mut c, "ALTER TABLE t DROP SYSTEM VERSIONING");
    assert_eq!(names(&c, "t"), "a b DB_ROW_HASH_1");
    let columns = c.table(&name("t")).unwrap().schema_columns(true, |_| true);
    assert_eq!(columns.iter().map(|c| c.included).collect::<Vec<_>>(), [true, true, false]);
    run(&mut c, "ALTER TABLE t DROP INDEX b, ADD SYSTEM VERSIONING");
    assert_eq!(names(&c, "t"), "a b row_start row_end");
    run(
        &mut c,
        "CREATE TABLE u (a int, s timestamp(6) GENERATED ALWAYS AS ROW START, \
        e timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e), \
        PRIMARY KEY (a)) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION p HISTORY, \
        PARTITION q CURRENT)",
    );
    assert_eq!(names(&c, "u"), "a s e");
    run(
        &mut c,
        "CREATE TABLE v (a int, b int WITHOUT SYSTEM VERSIONING, c int WITH SYSTEM VERSIONING)",
    );
    assert_eq!(names(&c, "v"), "a b c row_start row_end");
}

#[test]
fn l24_the_rest_never_disturbs() {
    // Goal: no effect of views, routines, users, temporary tables, rows. Method: statements that
    // hold the words of DDL.
    let mut c = catalogue(true);
    run(&mut c, "CREATE TABLE t (a int)");
    let before = c.table(&name("t")).cloned();
    for sql in [
        "CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`%` SQL SECURITY INVOKER VIEW t AS SELECT 1",
        "ALTER VIEW t AS SELECT 1",
        "DROP VIEW IF EXISTS t",
        "CREATE DEFINER=CURRENT_USER TRIGGER t BEFORE INSERT ON t FOR EACH ROW BEGIN DROP TABLE t; END",
        "CREATE PROCEDURE p() BEGIN ALTER TABLE t DROP a; END",
        "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DROP TABLE t",
        "CREATE USER 'a'@'%' IDENTIFIED BY 'DROP TABLE t'",
        "GRANT ALTER, DROP ON d.t TO a",
        "CREATE TEMPORARY TABLE t (z int)",
        "CREATE OR REPLACE TEMPORARY TABLE t (z int)",
        "DROP TEMPORARY TABLE IF EXISTS t",
        "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`",
        "INSERT INTO t SELECT * FROM u",
        "ANALYZE TABLE t",
        "CREATE TABLESPACE t ADD DATAFILE 'x'",
        "CREATE SERVER t FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
        "CREATE ROLE t",
        "SET STATEMENT max_statement_time=1 FOR SELECT 1",
        "FLUSH TABLES t",
        "",
        "/* ALTER TABLE t DROP a */",
    ] {
        assert_eq!(run(&mut c, sql), [""; 0], "{sql}");
        assert_eq!(c.table(&name("t")).cloned(), before, "{sql}");
    }
}

#[test]
fn l24_what_is_not_understood_marks_its_tables_alone() {
    // Goal: the tables named, no other; CREATE and DROP end it. Method: words of no server.
    let mut c = catalogue(false);
    run(&mut c, "CREATE TABLE t (a int)");
    run(&mut c, "CREATE TABLE u (a int)");
    assert_eq!(run(&mut c, "ALTER TABLE t FROBNICATE COLUMN a -> u"), ["unknown d.t"]);
    run(&mut c, "DROP TABLE t");
    run(&mut c, "CREATE TABLE t (a int)");
    assert_eq!(run(&mut c, "ALTER TABLE t ADD b FROB(3)"), ["unknown d.t"]);
    let Some(Reason { what, offset }) = c.unknown(&name("t")) else { panic!() };
    assert_eq!((what, offset), ("a data type", Some(24)));
    assert_eq!(names(&c, "u"), "a");
    assert_eq!(run(&mut c, "ALTER TABLE u DROP nope"), ["unknown d.u"]);
    assert_eq!(run(&mut c, "RENAME TABLE u TO v"), ["lost d.u to d.v"]);
    run(&mut c, "DROP TABLE v");
    run(&mut c, "CREATE TABLE v (a int)");
    assert_eq!(names(&c, "v"), "a");
}

#[test]
fn definitions_survive_the_disk() {
    // Goal: serde both ways. Method: a table with everything.
    let mut c = catalogue(true);
    run(
        &mut c,
        "CREATE TABLE t (a serial, b enum('x','y') default 'x' comment 'c', c json, \
        d datetime(3) default now(3) on update now(3), e int as (a+1) stored, f text unique) \
        comment 'c' with system versioning",
    );
    let table = c.table(&name("t")).unwrap();
    let text = serde_json::to_string(&**table).unwrap();
    assert_eq!(serde_json::from_str::<TableDefinition>(&text).unwrap(), **table);
    assert_eq!(
        serde_json::to_string(&table.columns[1]).unwrap(),
        r#"{"name":"b","type":{"name":"enum","written":"ENUM","charset":"latin1","collation":"latin1_swedish_ci","labels":["x","y"]},"nullable":true,"default":{"text":"x"},"comment":"c"}"#
    );
    assert_eq!(table.columns[2].ty.name, TypeName::LongText);
}
