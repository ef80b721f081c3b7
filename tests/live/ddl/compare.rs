//! The schema history's tables against `information_schema` and SHOW CREATE TABLE.

use penstock_protocol::mysql::ddl::change::{DefaultDdl, KeyKind, RowBound, TypeName};
use penstock_protocol::schema::TableName;
use penstock_shards::history::{Catalogue, ColumnDefinition, Server as Kind, TableDefinition};

use crate::server::Server;

/// Why a table may be unknown: the servers do what no statement says.
pub const DOUBTS: [&str; 5] = [
    "no unique column that is dropped and added at once",
    "no unique key of a whole spatial value",
    "labels of ENUM or SET that no wide character set changed",
    "no TEXT or BLOB that is redefined and converted at once",
    "a sql_mode that SET STATEMENT does not hide",
];

/// What disagrees in a database.
pub fn database(server: &Server, kind: Kind, ours: &Catalogue, database: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = rows(&server.sql(&format!(
        "select TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, \
         COLLATION_NAME, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT from information_schema.COLUMNS c \
         where TABLE_SCHEMA='{database}' and TABLE_NAME <> 'v' \
         order by TABLE_NAME, ORDINAL_POSITION"
    )));
    let mut tables = rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>();
    tables.dedup();
    let known = ours.tables().filter(|(name, _)| name.database == database);
    let mut known = known.map(|(name, _)| name.table.as_str()).collect::<Vec<_>>();
    known.sort_unstable();
    let mut sorted = tables.clone();
    sorted.sort_unstable();
    // What no history can know is told, and no more.
    let doubted = |t: &&&str| {
        let reason = ours.unknown(&name(database, t));
        reason.is_some_and(|reason| DOUBTS.contains(&reason.what))
    };
    let doubted = sorted.iter().filter(doubted).copied().collect::<Vec<_>>();
    sorted.retain(|t| !doubted.contains(t));
    if sorted != known {
        let why = |t: &&str| format!("{t}: {:?}", ours.unknown(&name(database, t)));
        let why = sorted.iter().filter(|t| !known.contains(t)).map(why).collect::<Vec<_>>();
        faults.push(format!("{database}: tables {known:?}, the server has {sorted:?}; {why:?}"));
    }
    let shown = shown(server, database, &tables);
    for table in tables {
        let Some(definition) = ours.table(&name(database, table)) else { continue };
        let their = rows.iter().filter(|row| row[0] == table);
        let their = their.map(|row| row[1..].to_vec()).collect::<Vec<_>>();
        let own = definition.columns.iter().filter(|c| !c.implicit);
        let own = own.map(|c| described(c, kind)).collect::<Vec<_>>();
        for at in 0..own.len().max(their.len()) {
            let (own, their) = (own.get(at), their.get(at));
            if !same_row(own, their) {
                faults.push(format!("{database}.{table}: {own:?}\n   server {their:?}"));
            }
        }
        let Some((_, text)) = shown.iter().find(|(name, _)| name == table) else {
            faults.push(format!("{database}.{table}: not shown"));
            continue;
        };
        faults.extend(fresh(kind, ours, database, table, definition, text));
    }
    faults
}

fn name(database: &str, table: &str) -> TableName {
    TableName { database: database.into(), schema: String::new(), table: table.into() }
}

/// The client's rows, escapes undone; NULL is `NULL`.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| {
        let mut out = String::new();
        let mut chars = cell.chars();
        while let Some(ch) = chars.next() {
            match (ch, if ch == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some('t')) => out.push('\t'),
                ('\\', Some(other)) => out.push(other),
                _ => out.push(ch),
            }
        }
        out
    };
    text.lines().map(|line| line.split('\t').map(cell).collect()).collect()
}

fn shown(server: &Server, database: &str, tables: &[&str]) -> Vec<(String, String)> {
    let ask = |table: &&str| format!("show create table {database}.`{table}`;");
    let sql = tables.iter().map(ask).collect::<String>();
    let answer = rows(&server.sql(&format!("set sql_mode='';{sql}")));
    answer.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

/// SHOW CREATE TABLE, read by the same parser, gives the same definition.
fn fresh(
    kind: Kind,
    ours: &Catalogue,
    database: &str,
    table: &str,
    definition: &TableDefinition,
    text: &str,
) -> Vec<String> {
    let mut seeded = Catalogue::new(kind);
    for (name, defaults) in ours.databases() {
        seeded.put_database(name, &defaults.charset, &defaults.collation);
    }
    if !seeded.seed_table(database, text, 0) {
        let why = seeded.unknown(&name(database, table));
        return vec![format!("{database}.{table}: SHOW CREATE TABLE not read: {why:?}\n{text}")];
    }
    let Some(again) = seeded.table(&name(database, table)) else { return vec![text.into()] };
    let (own, shown) = (plain(definition, kind), plain(again, kind));
    let mut faults = Vec::new();
    let mut differ = |what: &str, own: String, shown: String| {
        if own != shown {
            faults.push(format!("{database}.{table} {what}: {own}\n   shown {shown}"));
        }
    };
    for (at, column) in own.columns.iter().enumerate() {
        let shown = serde_json::to_string(&shown.columns.get(at)).unwrap_or_default();
        differ("column", serde_json::to_string(column).unwrap_or_default(), shown);
    }
    let text = |table: &TableDefinition| serde_json::to_string(&table.keys).unwrap_or_default();
    differ("keys", text(&own), text(&shown));
    differ("key", format!("{:?}", definition.key()), format!("{:?}", again.key()));
    differ(
        "options",
        format!("{:?}", (&own.charset, &own.collation, &own.comment, own.versioned)),
        format!("{:?}", (&shown.charset, &shown.collation, &shown.comment, shown.versioned)),
    );
    faults
}

/// Without what SHOW CREATE TABLE tells in other words: display widths, synonyms, the text of
/// literals and expressions, and which index the server made for a foreign key.
fn plain(table: &TableDefinition, kind: Kind) -> TableDefinition {
    let mut plain = table.clone();
    plain.columns.retain(|column| !column.is_row_hash());
    for column in &mut plain.columns {
        column.ty.written.clear();
        if column.ty.name.is_integer() {
            column.ty.length = None;
        }
        column.default = match column.default.take() {
            _ if column.ty.compressed => None,
            Some(DefaultDdl::Now(digits)) => Some(DefaultDdl::Now(digits)),
            Some(_) => Some(DefaultDdl::Null),
            None => None,
        };
        if wide(column) {
            column.ty.labels.clear();
        }
        if let Some(generated) = &mut column.generated {
            generated.expression.clear();
        }
        if kind.mariadb && column.row.is_some() {
            column.invisible = false;
        }
    }
    // Where an expression's key stands depends on whether it may be NULL.
    plain.keys.retain(|key| key.parts.iter().all(|part| part.column.is_some()));
    for key in &mut plain.keys {
        if key.kind == KeyKind::Foreign {
            key.kind = KeyKind::Plain;
        }
        // The server cuts long parts of keys that are not unique, and parts of spatial values.
        for part in &mut key.parts {
            let at = part.column.as_deref().and_then(|name| table.position(name));
            let spatial = at.is_some_and(|at| table.columns[at].ty.name.is_spatial());
            if key.kind == KeyKind::Plain || spatial {
                part.prefix = None;
            }
        }
    }
    plain
}

/// ENUM and SET in these character sets: the servers show the labels as something else.
fn wide(column: &ColumnDefinition) -> bool {
    let charset = column.ty.charset.as_deref().unwrap_or_default();
    !column.ty.labels.is_empty() && matches!(charset, "ucs2" | "utf16" | "utf16le" | "utf32")
}

/// A row of `information_schema.COLUMNS` as the definition has it.
fn described(column: &ColumnDefinition, kind: Kind) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or("NULL".into());
    // MySQL does not show the binary character set of ENUM and SET.
    let set = |name: &Option<String>| match name.as_deref() {
        Some("binary") if !kind.mariadb => "NULL".into(),
        _ => text(name),
    };
    let mut extra = Vec::new();
    if column.auto_increment {
        extra.push("auto_increment".to_owned());
    }
    match &column.generated {
        Some(generated) if generated.stored => extra.push("STORED GENERATED".into()),
        Some(_) => extra.push("VIRTUAL GENERATED".into()),
        None => {}
    }
    if let Some(digits) = column.on_update {
        let now = if kind.mariadb { "current_timestamp" } else { "CURRENT_TIMESTAMP" };
        let brackets = match (digits, kind.mariadb) {
            (0, true) => "()".into(),
            (0, false) => String::new(),
            _ => format!("({digits})"),
        };
        extra.push(format!("on update {now}{brackets}"));
    }
    if column.invisible {
        extra.push("INVISIBLE".into());
    }
    match column.row {
        Some(RowBound::Start) => extra.push("STORED GENERATED".into()),
        Some(RowBound::End) => extra.push("STORED GENERATED".into()),
        None => {}
    }
    vec![
        column.name.clone(),
        type_text(column, kind),
        if column.nullable { "YES" } else { "NO" }.into(),
        set(&column.ty.charset),
        set(&column.ty.collation),
        default_text(column, kind),
        extra.join(" "),
        column.comment.clone().unwrap_or_default(),
    ]
}

fn default_text(column: &ColumnDefinition, kind: Kind) -> String {
    match &column.default {
        None => "NULL".into(),
        Some(DefaultDdl::Now(digits)) => {
            let (now, empty) =
                if kind.mariadb { ("current_timestamp", "()") } else { ("CURRENT_TIMESTAMP", "") };
            let brackets = if *digits == 0 { empty.into() } else { format!("({digits})") };
            format!("{now}{brackets}")
        }
        Some(DefaultDdl::Text(text)) => text.clone(),
        Some(DefaultDdl::Number(number)) => format!("#{number}"),
        Some(_) => "*".into(),
    }
}

fn same_row(own: Option<&Vec<String>>, their: Option<&Vec<String>>) -> bool {
    let (Some(own), Some(their)) = (own, their) else { return false };
    let extra = |text: &str| {
        let text = text.replace("DEFAULT_GENERATED", "").replace(',', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let default = match own[5].as_str() {
        // A default that ALTER COLUMN gave to a generated column is kept and means nothing.
        _ if own[6].contains("GENERATED") => true,
        // MariaDB gives such a NOT NULL column the default '' by itself, and only sometimes.
        "NULL" if own[1].contains("COMPRESSED") => true,
        // An expression, or a literal in other words.
        "*" => their[5] != "NULL" || their[6].contains("DEFAULT_GENERATED"),
        text => match text.strip_prefix('#') {
            Some(number) => same_number(number, &their[5]),
            // BINARY, BIT and binary sets show their bytes; MySQL none of an expression for TEXT.
            None if text != "NULL" && (own[1].contains("binary") || own[1].starts_with("bit")) => {
                their[5] != "NULL"
            }
            None if their[5].starts_with("0x") || their[5].starts_with("x'") => true,
            // '5' for a TIME shows as one.
            None if text == "5" && own[1].starts_with("time") => their[5] != "NULL",
            None => {
                // TIME(3) shows its digits.
                let short = |text: &str| match text.split_once('.') {
                    Some((head, tail)) if tail.bytes().all(|b| b == b'0') => head.to_owned(),
                    _ => text.trim_end().to_owned(),
                };
                short(text) == short(&their[5].trim_matches('\'').replace("''", "'"))
            }
        },
    };
    own[0] == their[0]
        && (own[1] == their[1] || own[1] == "*")
        && own[2..5] == their[2..5]
        && default
        && extra(&own[6]) == extra(&their[6])
        && own[7] == their[7]
}

fn same_number(own: &str, their: &str) -> bool {
    let number = |text: &str| text.trim_matches('\'').parse::<f64>().ok();
    match (number(own), number(their)) {
        (Some(own), Some(their)) => (own - their).abs() < 1e-6,
        _ => false,
    }
}

/// `information_schema.COLUMNS.COLUMN_TYPE`.
fn type_text(column: &ColumnDefinition, kind: Kind) -> String {
    use TypeName as T;
    let ty = &column.ty;
    let word = format!("{:?}", ty.name).to_lowercase();
    let n = ty.length.unwrap_or_default();
    let quoted = |labels: &[String]| {
        let quote =
            |label: &String| format!("'{}'", label.replace('\'', "''").replace('\0', "\\0"));
        labels.iter().map(quote).collect::<Vec<_>>().join(",")
    };
    let mut text = match ty.name {
        name if name.is_integer() => integer(column, &word, kind),
        T::Decimal => format!("decimal({n},{})", ty.scale.unwrap_or_default()),
        T::Float | T::Double => match ty.scale {
            Some(scale) => format!("{word}({n},{scale})"),
            None => word,
        },
        T::Bit | T::Char | T::VarChar | T::Binary | T::VarBinary | T::Vector => {
            format!("{word}({n})")
        }
        T::Time | T::DateTime | T::Timestamp if n > 0 => format!("{word}({n})"),
        T::Year if kind.mariadb => format!("year({})", ty.length.unwrap_or(4)),
        T::Enum | T::Set if wide(column) => "*".into(),
        T::Enum | T::Set => format!("{word}({})", quoted(&ty.labels)),
        T::GeometryCollection if !kind.mariadb => "geomcollection".into(),
        _ => word,
    };
    let numeric = ty.name.is_integer() || matches!(ty.name, T::Decimal | T::Float | T::Double);
    if ty.unsigned && numeric {
        text += " unsigned";
    }
    if ty.zerofill && numeric {
        text += " zerofill";
    }
    if ty.compressed {
        text += " /*M!100301 COMPRESSED*/";
    }
    text
}

fn integer(column: &ColumnDefinition, word: &str, kind: Kind) -> String {
    let ty = &column.ty;
    let widths = match ty.name {
        TypeName::TinyInt => (4, 3),
        TypeName::SmallInt => (6, 5),
        TypeName::MediumInt => (9, 8),
        TypeName::Int => (11, 10),
        _ => (20, 20),
    };
    let default = if ty.unsigned { widths.1 } else { widths.0 };
    let width = ty.length.unwrap_or(default);
    // MySQL 8 shows the width of TINYINT(1) and with ZEROFILL only.
    let shown = kind.mariadb || ty.zerofill || width == 1 && word == "tinyint" && !ty.unsigned;
    if shown { format!("{word}({width})") } else { word.into() }
}
