//! Every character set and every collation of a server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use penstock_protocol::mysql::charset;
use penstock_protocol::schema::{Charset, SourceKind};
use penstock_shards::encode::options::{Connector, EncodeOptions};

use crate::binlog::{Catalogue, encode, frames};
use crate::client::Client;
use crate::server::{Family, Server};

/// Codes of a character set as ranges of their bytes.
type Ranges = &'static [&'static [(u8, u8)]];

const HIGH: (u8, u8) = (0xA1, 0xFE);

/// What can be stored: codes of one byte, of two, and so on; all of them are asked.
fn codes(name: &str) -> Vec<Ranges> {
    const ONE: Ranges = &[&[(0, 0xFF)]];
    const ASCII: Ranges = &[&[(0, 0x7F)]];
    const KANA: Ranges = &[&[(0xA1, 0xDF)]];
    const GBK: Ranges = &[&[(0x81, 0xFE)], &[(0x40, 0x7E), (0x80, 0xFE)]];
    const SHIFT: Ranges = &[&[(0x81, 0x9F), (0xE0, 0xFC)], &[(0x40, 0x7E), (0x80, 0xFC)]];
    const EUC: Ranges = &[&[HIGH], &[HIGH]];
    match name {
        "big5" => vec![ASCII, &[&[(0xA1, 0xF9)], &[(0x40, 0x7E), HIGH]]],
        "gb2312" => vec![ASCII, &[&[(0xA1, 0xF7)], &[HIGH]]],
        "gbk" => vec![ASCII, GBK],
        "gb18030" => vec![
            ASCII,
            GBK,
            &[&[(0x81, 0x84)], &[(0x30, 0x39)], &[(0x81, 0xFE)], &[(0x30, 0x39)]],
            &[&[(0x90, 0xE3)], &[(0x30, 0x32)], &[(0x81, 0x9A)], &[(0x35, 0x36)]],
        ],
        "euckr" => {
            vec![ASCII, &[&[(0x81, 0xFE)], &[(0x41, 0x5A), (0x61, 0x7A), (0x81, 0xFE)]]]
        }
        "sjis" | "cp932" => vec![ASCII, KANA, SHIFT],
        "ujis" | "eucjpms" => {
            vec![
                ASCII,
                &[&[(0x8E, 0x8E)], &[(0xA1, 0xDF)]],
                EUC,
                &[&[(0x8F, 0x8F)], &[HIGH], &[HIGH]],
            ]
        }
        "ucs2" => vec![&[&[(0, 0xFF)], &[(0, 0xFF)]]],
        "utf16" => vec![
            &[&[(0, 0xD7), (0xE0, 0xFF)], &[(0, 0xFF)]],
            &[&[(0xD8, 0xDB)], &[(0, 0xFF)], &[(0xDC, 0xDF)], &[(0, 0), (0xFE, 0xFF)]],
        ],
        "utf16le" => vec![
            &[&[(0, 0xFF)], &[(0, 0xD7), (0xE0, 0xFF)]],
            &[&[(0, 0xFF)], &[(0xD8, 0xDB)], &[(0, 0), (0xFE, 0xFF)], &[(0xDC, 0xDF)]],
        ],
        "utf32" => vec![
            &[&[(0, 0)], &[(0, 0)], &[(0, 0xD7), (0xE0, 0xFF)], &[(0, 0xFF)]],
            &[&[(0, 0)], &[(1, 0x10)], &[(0, 0xFF)], &[(0, 0), (0x41, 0x41), (0xFF, 0xFF)]],
        ],
        "ascii" => vec![ASCII, &[&[(0x80, 0xFF)]]],
        "utf8mb3" | "utf8mb4" => vec![ASCII, &[&[(0xC2, 0xDF)], &[(0x80, 0xBF)]]],
        _ => vec![ONE],
    }
}

/// All codes of some ranges, in order.
fn expand(ranges: Ranges) -> Vec<Vec<u8>> {
    let mut codes = vec![Vec::new()];
    for place in ranges {
        let longer = |code: &Vec<u8>| {
            let bytes = place.iter().flat_map(|&(from, to)| from..=to);
            bytes.map(|byte| [code.as_slice(), &[byte]].concat()).collect::<Vec<_>>()
        };
        codes = codes.iter().flat_map(longer).collect();
    }
    codes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Stores every code of a set and reads it back three ways: as CONVERT gives it, from the log by our
/// decoder, and from the log through a record. Returns code → character of what could be stored.
fn ask(client: &mut Client, name: &str, kind: SourceKind) -> BTreeMap<Vec<u8>, Option<char>> {
    client.rotate();
    client.exec("drop table if exists c");
    client.exec(&format!("create table c (i int primary key, c varchar(4) charset {name})"));
    let codes = codes(name).into_iter().flat_map(expand).collect::<Vec<_>>();
    for (block, codes) in codes.chunks(4000).enumerate() {
        let row = |(i, code): (usize, &Vec<u8>)| format!("({},x'{}')", 4000 * block + i, hex(code));
        let rows = codes.iter().enumerate().map(row).collect::<Vec<_>>().join(",");
        client.exec(&format!("insert ignore into c values {rows}"));
    }
    let log = client.binlog();
    let rows = client.query(
        "select i, c = '', hex(c), cast(c as binary) = c, \
                             convert(c using utf8mb4) from c order by i",
    );
    let connector = match kind {
        SourceKind::MySql => Connector::MySql,
        _ => Connector::MariaDb,
    };
    let inputs = frames(&log, "binlog.000001", &Catalogue::default());
    let options = EncodeOptions::new("shop", connector);
    let lines = encode(&log, &inputs, kind, options).expect("every code is text");
    assert_eq!((rows.len(), lines.len()), (codes.len(), codes.len()), "{name}");
    let own = charset::by_name(name).flatten().expect("a known set");
    let mut map = BTreeMap::new();
    for ((code, row), line) in codes.iter().zip(&rows).zip(&lines) {
        // What the server does not let in, it stores as nothing or as `?`.
        if row[2].as_deref() != Some(hex(code).as_bytes()) {
            continue;
        }
        let converted = row[4].as_deref().and_then(|text| std::str::from_utf8(text).ok());
        // ucs2 alone holds lone surrogates, which become nothing.
        let converted = converted.filter(|text| !text.is_empty());
        let wanted = converted.unwrap_or("\u{FFFD}");
        let mut decoded = String::new();
        charset::decode(own, code, |ch| decoded.push(ch));
        if !crate::writes() {
            assert_eq!(decoded, wanted, "{name} {}", hex(code));
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["value"]["after"]["c"], wanted, "{name} {}", hex(code));
        }
        map.insert(code.clone(), converted.and_then(|text| text.chars().next()));
    }
    map
}

/// The character sets of a server that hold text.
fn names(client: &mut Client) -> Vec<String> {
    let sql = "select character_set_name from information_schema.character_sets order by 1";
    let name = |row: &crate::client::Row| {
        String::from_utf8(row[0].clone().expect("a name")).expect("ASCII")
    };
    client.query(sql).iter().map(name).filter(|name| name != "binary").collect()
}

fn check_all(family: Family, kind: SourceKind) {
    let server = Server::start(family);
    let mut client = Client::connect(&server);
    for name in names(&mut client) {
        let map = ask(&mut client, &name, kind);
        assert!(map.len() >= 128, "{name}: {} codes could be stored", map.len());
    }
}

#[test]
fn every_code_of_every_character_set_of_mysql_97() {
    // Goal: text from the log is what the server converts it to. Method: every code that a column
    // lets in, of every set; CONVERT … USING utf8mb4 as the oracle.
    check_all(Family::MySql97, SourceKind::MySql);
}

#[test]
fn every_code_of_every_character_set_of_mariadb_118() {
    // Goal, method: as for MySQL.
    check_all(Family::MariaDb118, SourceKind::MariaDb);
}

#[test]
fn tables_are_what_the_server_says() {
    // Goal: the tables of protocol/src/mysql/charset can be made again. Method: ask MySQL 9.7 and
    // compare; PENSTOCK_GOLDEN_WRITE=1 writes them.
    let server = Server::start(Family::MySql97);
    let mut client = Client::connect(&server);
    let double = ["big5", "cp932", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "sjis", "ujis"];
    for name in double {
        let map = ask(&mut client, name, SourceKind::MySql);
        let units = |width: Ranges| expand(width).into_iter().map(|code| unit(&map, &code));
        let mut table = Vec::new();
        for ranges in codes(name).into_iter().filter(|ranges| ranges.len() > 1) {
            // JIS X 0201's katakana are one run; four bytes have runs of their own.
            if ranges[0] != [(0x8E, 0x8E)] && ranges.len() < 4 {
                table.extend(units(ranges).flat_map(u16::to_le_bytes));
            }
        }
        file(&format!("{name}.bin"), &table);
        if name == "gb18030" {
            let four = expand(codes(name)[2]);
            file("gb18030_four.bin", &runs(four.iter().map(|code| unit(&map, code))));
        }
    }
    let mut table = Vec::new();
    for name in [
        "armscii8", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8",
        "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2",
        "latin5", "latin7", "macce", "macroman", "swe7", "tis620",
    ] {
        let map = ask(&mut client, name, SourceKind::MySql);
        let first: u8 = if name == "swe7" { 0 } else { 0x80 };
        let units = (first..=first + 127).map(|byte| unit(&map, &[byte]));
        table.extend(units.flat_map(u16::to_le_bytes));
    }
    file("single.bin", &table);
}

/// A code's character for a table; 0: none, or the server's `?` for none.
fn unit(map: &BTreeMap<Vec<u8>, Option<char>>, code: &[u8]) -> u16 {
    match map.get(code) {
        Some(Some('?')) if code != b"?" => 0,
        Some(Some(ch)) => u16::try_from(u32::from(*ch)).expect("the basic plane"),
        _ => 0,
    }
}

/// First index and first character of each run.
fn runs(units: impl Iterator<Item = u16>) -> Vec<u8> {
    let (mut out, mut next) = (Vec::new(), 0);
    for (i, unit) in units.enumerate().take_while(|&(i, _)| i < 39_420) {
        if unit != next {
            out.extend((i as u16).to_le_bytes());
            out.extend(unit.to_le_bytes());
        }
        next = unit.wrapping_add(1);
    }
    out
}

fn file(name: &str, bytes: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../protocol/src/mysql/charset");
    if crate::writes() {
        return std::fs::write(folder.join(name), bytes).expect("written");
    }
    assert!(std::fs::read(folder.join(name)).expect("a table") == bytes, "{name} differs");
}

#[test]
fn every_collation_of_both_families_has_its_character_set() {
    // Goal: ids in the log name the right set. Method: information_schema of each server.
    for (family, sql) in [
        (Family::MySql97, "select id, character_set_name from information_schema.collations"),
        (
            Family::MariaDb1011,
            "select id, character_set_name from \
             information_schema.collation_character_set_applicability",
        ),
        (
            Family::MariaDb118,
            "select id, character_set_name from \
             information_schema.collation_character_set_applicability",
        ),
    ] {
        let server = Server::start(family);
        let rows = Client::connect(&server).query(sql);
        assert!(rows.len() > 200, "{family:?}");
        for row in rows {
            let text =
                |i: usize| String::from_utf8(row[i].clone().expect("a value")).expect("ASCII");
            let (id, name) = (text(0).parse::<u16>().expect("an id"), text(1));
            let wanted = charset::by_name(&name).expect("a known set");
            assert_eq!(charset::of_collation(id), wanted, "{family:?} {id} {name}");
        }
    }
}

#[test]
fn labels_of_enum_and_set_in_every_character_set() {
    // Goal: labels come in the column's own set. Method: a label outside ASCII where the set has
    // one, through the log's metadata, against SELECT.
    for (family, kind) in
        [(Family::MySql97, SourceKind::MySql), (Family::MariaDb118, SourceKind::MariaDb)]
    {
        let server = Server::start(family);
        let mut client = Client::connect(&server);
        for name in names(&mut client) {
            let label = label(&name);
            client.rotate();
            client.exec("drop table if exists e");
            client.exec(&format!(
                "create table e (i int primary key, e enum('a\"','{label}') charset {name}, \
                 s set('{label}','b') charset {name})"
            ));
            client.exec("insert into e values (1, 2, 3), (2, 0, 0), (3, 1, 2)");
            let log = client.binlog();
            let inputs = frames(&log, "binlog.000001", &Catalogue::default());
            let options = EncodeOptions::new("shop", Connector::MySql);
            let lines = encode(&log, &inputs, kind, options).expect("labels");
            for (line, (e, s)) in lines.iter().zip([
                (label.to_string(), format!("{label},b")),
                (String::new(), String::new()),
                ("a\"".into(), "b".into()),
            ]) {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let after = &line["value"]["after"];
                assert_eq!((&after["e"], &after["s"]), (&e.into(), &s.into()), "{name}");
            }
        }
    }
}

/// A label that the set can hold.
fn label(name: &str) -> &'static str {
    match charset::by_name(name).flatten().expect("a known set") {
        Charset::Ascii => "z~",
        Charset::Armscii8 => "Ա",
        Charset::Cp1251 | Charset::Cp866 | Charset::Koi8r | Charset::Koi8u => "Привет",
        Charset::Cp1256 => "ال",
        Charset::Geostd8 => "ა",
        Charset::Greek => "αω",
        Charset::Hebrew => "את",
        Charset::Tis620 => "กอ",
        Charset::Big5 | Charset::Gb2312 | Charset::Gbk => "中文",
        Charset::Sjis | Charset::Cp932 | Charset::Ujis | Charset::Eucjpms => "日本ｱ",
        Charset::Euckr => "가",
        Charset::Gb18030 | Charset::Utf16 | Charset::Utf16Le | Charset::Utf32 => "中😀",
        Charset::Ucs2 | Charset::Utf8 => "é中",
        _ => "ä",
    }
}
