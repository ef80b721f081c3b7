//! Columns of every type of each server: how they are declared, what the server's own SQL says that a
//! record must show, edges and random values.

use crate::server::Family;

/// How a record's value and the server's text are compared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Same {
    /// A JSON string of this text.
    Text,
    /// A JSON number with these digits.
    Digits,
    /// A JSON number nearest to this text, in single or double precision.
    Single,
    Double,
    /// A JSON document, whatever its spelling of numbers.
    Document,
    /// This JSON.
    Json,
    /// An array of the little-endian floats of this hexadecimal.
    Floats,
}

/// A column: its type, what the server says of it (`{}`: its name), and literals.
pub struct Spec {
    pub ddl: String,
    pub expected: &'static str,
    pub same: Same,
    pub edges: Vec<String>,
    pub random: fn(&mut Random) -> String,
}

pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    fn hex(&mut self, bytes_max: u64) -> String {
        let len = self.below(bytes_max + 1);
        let bytes = (0..len).map(|_| format!("{:02x}", self.below(256))).collect::<String>();
        format!("x'{bytes}'")
    }

    /// Text of the basic plane that every set here has, quotes and controls too.
    fn text(&mut self, len_max: u64) -> String {
        let len = self.below(len_max + 1);
        let letters = ['a', 'z', '"', '\\', '\n', '\u{1}', ' ', '0', '/', 'é', 'ü', '~'];
        let text = (0..len).map(|_| letters[self.below(12) as usize]).collect::<String>();
        format!("'{}'", text.replace('\\', "\\\\"))
    }

    fn digits(&mut self, len_max: u64) -> String {
        let len = 1 + self.below(len_max);
        (0..len).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }
}

/// A date and time with a fraction, in one of `years` years from `first` on.
fn moment(r: &mut Random, first: u64, years: u64) -> String {
    let (year, month, day) = (first + r.below(years), 1 + r.below(12), 1 + r.below(28));
    let (hour, minute, second) = (r.below(24), r.below(60), r.below(60));
    let micros = r.below(1_000_000);
    format!("'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}'")
}

fn list(edges: &[&str]) -> Vec<String> {
    edges.iter().map(|&edge| edge.to_owned()).collect()
}

fn spec(
    ddl: &str,
    expected: &'static str,
    same: Same,
    edges: &[&str],
    random: fn(&mut Random) -> String,
) -> Spec {
    Spec { ddl: ddl.to_owned(), expected, same, edges: list(edges), random }
}

const PLAIN: &str = "cast({} as char)";
const TEXT: &str = "convert({} using utf8mb4)";
const HEX: &str = "lower(hex({}))";
const DATE: &str =
    "if(year({}) = 0 or month({}) = 0 or day({}) = 0, null, datediff({}, '1970-01-01'))";
const MILLIS: &str = "if(year({}) = 0 or month({}) = 0 or day({}) = 0, null, \
                      floor(timestampdiff(microsecond, '1970-01-01', {}) / 1000))";
const MICROS: &str = "if(year({}) = 0 or month({}) = 0 or day({}) = 0, null, \
                      timestampdiff(microsecond, '1970-01-01', {}))";
const STAMP: &str = "if({} = 0, null, concat(replace({}, ' ', 'T'), 'Z'))";
/// Microseconds of a signed duration, from its text.
const TIME: &str = "if(left({}, 1) = '-', -1, 1) * (\
    substring_index(trim(leading '-' from {}), ':', 1) * 3600000000 + minute({}) * 60000000 + \
    second({}) * 1000000 + microsecond({}))";
const GEOMETRY: &str = "concat('{\"wkb\":\"', replace(to_base64(unhex(substr(hex({}), 9))), '\\n', ''), \
    '\",\"srid\":', if(left(hex({}), 8) = '00000000', 'null', conv(concat(substr(hex({}), 7, 2), \
    substr(hex({}), 5, 2), substr(hex({}), 3, 2), substr(hex({}), 1, 2)), 16, 10)), '}')";
const POINT: &str = "concat('{\"x\":', st_x({}), ',\"y\":', st_y({}), ',\"wkb\":\"', \
    to_base64(unhex(substr(hex({}), 9))), '\",\"srid\":', \
    if(st_srid({}) = 0, 'null', st_srid({})), '}')";

/// Numbers.
pub fn numbers() -> Vec<Spec> {
    use Same::{Digits, Double, Single, Text};
    let mut specs = Vec::new();
    for (name, bits) in
        [("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)]
    {
        let half = 1i128 << (bits - 1);
        let edges = [-half, half - 1, 0, -1].map(|n| n.to_string());
        specs.push(Spec {
            ddl: name.into(),
            expected: PLAIN,
            same: Digits,
            edges: edges.to_vec(),
            random: |r| ((r.next() as i8) >> r.below(8)).to_string(),
        });
        specs.push(Spec {
            ddl: format!("{name} unsigned"),
            expected: PLAIN,
            same: Digits,
            edges: [0, 2 * half - 1, half].map(|n| n.to_string()).to_vec(),
            random: |r| (r.next() as u8 >> r.below(8)).to_string(),
        });
    }
    specs.push(spec("bigint", PLAIN, Digits, &["0"], |r| r.next().cast_signed().to_string()));
    specs.push(spec("bigint unsigned zerofill", "cast({} + 0 as char)", Digits, &["0"], |r| {
        r.next().to_string()
    }));
    specs.push(spec(
        "float",
        "cast({} as double)",
        Single,
        &[
            "0",
            "-0.0",
            "1.1",
            "3.4028234e38",
            "-3.4028234e38",
            "1.17549435e-38",
            "1e-45",
            "16777217",
        ],
        |r| format!("{}e{}", r.next() as i32, r.below(60) as i64 - 40),
    ));
    specs.push(spec(
        "float(7,3)",
        "cast({} as double)",
        Double,
        &["0", "1234.567", "-0.001"],
        |r| format!("{}.{}", r.below(9999), r.below(1000)),
    ));
    specs.push(spec(
        "double",
        "{}",
        Double,
        &[
            "0",
            "-0.0",
            "4.9e-324",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "1e308",
            "-1e-5",
            "1e7",
            "9999999",
            "0.001",
            "0.1",
            "123456789.12345678",
        ],
        |r| format!("{}e{}", r.next().cast_signed(), r.below(580) as i64 - 320),
    ));
    specs.push(spec("double(10,2)", "{} + 0e0", Double, &["99999999.99", "-0.01"], |r| {
        format!("{}.{}", r.below(99_999_999), r.below(100))
    }));
    for precision in 1..=65u16 {
        let scales: &[u16] = match precision % 4 {
            0 => &[0],
            1 => &[precision.min(30)],
            2 => &[precision / 2],
            _ => &[1, precision.saturating_sub(1).min(30)],
        };
        for &scale in scales.iter().filter(|&&scale| scale <= precision.min(30)) {
            let nines = "9".repeat(usize::from(precision));
            let (whole, fraction) = nines.split_at(usize::from(precision - scale));
            let edge = |sign: &str| {
                format!("{sign}{}.{fraction}0", if whole.is_empty() { "0" } else { whole })
            };
            specs.push(Spec {
                ddl: format!("decimal({precision},{scale})"),
                expected: "cast({} as char)",
                same: Text,
                edges: vec![edge(""), edge("-"), "0".into(), "-0.0".into()],
                random: |r| {
                    format!(
                        "{}{}.{}",
                        if r.below(2) == 0 { "-" } else { "" },
                        r.digits(40),
                        r.digits(30)
                    )
                },
            });
        }
    }
    specs
}

/// Dates and times.
pub fn times() -> Vec<Spec> {
    use Same::{Digits, Text};
    let mut specs = Vec::new();
    specs.push(spec(
        "year",
        "if({} = 0, 1900, {} + 0)",
        Digits,
        &["0", "1901", "2155", "2000"],
        |r| (1901 + r.below(255)).to_string(),
    ));
    specs.push(spec(
        "date",
        DATE,
        Digits,
        &[
            "'0000-00-00'",
            "'2024-00-00'",
            "'2024-02-00'",
            "'1000-01-01'",
            "'9999-12-31'",
            "'1969-12-31'",
            "'1970-01-01'",
            "'0100-01-01'",
            "'2000-02-29'",
        ],
        |r| format!("'{:04}-{:02}-{:02}'", 100 + r.below(9900), 1 + r.below(12), 1 + r.below(28)),
    ));
    for digits in 0..=6 {
        specs.push(Spec {
            ddl: format!("time({digits})"),
            expected: TIME,
            same: Digits,
            edges: list(&[
                "'838:59:59'",
                "'-838:59:59'",
                "'00:00:00'",
                "'-00:00:00.000001'",
                "'-00:00:00.5'",
                "'24:00:00'",
                "'-12:34:56.789123'",
                "'23:59:59.999999'",
            ]),
            random: |r| {
                format!(
                    "'{}{:02}:{:02}:{:02}.{:06}'",
                    if r.below(2) == 0 { "-" } else { "" },
                    r.below(838),
                    r.below(60),
                    r.below(59),
                    r.below(1_000_000)
                )
            },
        });
        specs.push(Spec {
            ddl: format!("datetime({digits})"),
            expected: if digits <= 3 { MILLIS } else { MICROS },
            same: Digits,
            edges: list(&[
                "'0000-00-00 00:00:00'",
                "'1000-01-01 00:00:00'",
                "'9999-12-31 23:59:58.999999'",
                "'1969-12-31 23:59:59.999999'",
                "'2024-01-00 12:00:00'",
                "'0101-02-03 04:05:06.7'",
            ]),
            random: |r| moment(r, 100, 9899),
        });
        specs.push(Spec {
            ddl: format!("timestamp({digits}) null"),
            expected: STAMP,
            same: Text,
            edges: list(&[
                "'0000-00-00 00:00:00'",
                "'1970-01-01 00:00:01'",
                "'2038-01-19 03:14:06.999999'",
                "'2000-01-01 00:00:00.000001'",
            ]),
            random: |r| moment(r, 1971, 66),
        });
    }
    specs
}

/// Text and bytes, ENUM, SET, BIT.
pub fn strings() -> Vec<Spec> {
    use Same::{Json, Text};
    let mut specs = Vec::new();
    for ddl in [
        "char(10) charset utf8mb4",
        "varchar(40) charset utf8mb3",
        "varchar(300) charset utf8mb4",
        "tinytext charset latin1",
        "text charset utf8mb4",
        "mediumtext charset latin2",
        "longtext charset utf8mb4",
        "char(40) charset latin1",
        "char(200) charset utf8mb4",
        "varchar(40) charset utf16",
        "char(20) charset ucs2",
        "varchar(40) charset utf32",
        "varchar(40) charset utf16le",
        "varchar(40) charset cp850",
    ] {
        let edges = ["''", "'a'", "'trail  '", "'  lead'", "'é\"\\\\\\n\\t\\r\\b'"];
        specs.push(spec(ddl, TEXT, Text, &edges, |r| r.text(10)));
    }
    specs
        .push(spec("text charset utf8mb4", TEXT, Text, &["repeat('é\"', 5000)"], |r| r.text(200)));
    specs.push(spec("varchar(20) charset gbk", TEXT, Text, &["'中文a'", "'丂\\\\'"], |r| {
        ["'文'", "'a丂'", "''"][r.below(3) as usize].into()
    }));
    for (ddl, most) in [
        ("binary(8)", 8),
        ("binary(255)", 40),
        ("varbinary(20)", 20),
        ("varbinary(300)", 40),
        ("tinyblob", 40),
        ("blob", 40),
        ("mediumblob", 40),
        ("longblob", 40),
    ] {
        let random = match most {
            8 => |r: &mut Random| r.hex(8),
            20 => |r: &mut Random| r.hex(20),
            _ => |r: &mut Random| r.hex(40),
        };
        specs.push(spec(
            ddl,
            HEX,
            Text,
            &["''", "x'00'", "x'0001000000'", "x'20'", "x'ff2000'"],
            random,
        ));
    }
    specs.push(spec("blob", HEX, Text, &["repeat(x'00ff', 30000)"], |r| r.hex(300)));
    specs.push(spec(
        "bit(1)",
        "if({} is null, null, if({} = 1, 'true', 'false'))",
        Json,
        &["b'0'", "b'1'"],
        |r| r.below(2).to_string(),
    ));
    for bits in [2_usize, 7, 8, 9, 16, 17, 31, 33, 63, 64] {
        // Bytes from the lowest; REVERSE turns bytes of a binary string.
        let expected = match bits.div_ceil(8) {
            1 => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 2, '0')))), '\"')",
            2 => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 4, '0')))), '\"')",
            3 => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 6, '0')))), '\"')",
            4 => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 8, '0')))), '\"')",
            5 => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 10, '0')))), '\"')",
            _ => "concat('\"', to_base64(reverse(unhex(lpad(hex({}), 16, '0')))), '\"')",
        };
        specs.push(Spec {
            ddl: format!("bit({bits})"),
            expected,
            same: Json,
            edges: vec!["0".into(), format!("b'{}'", "1".repeat(bits)), "1".into()],
            random: |r| r.below(4).to_string(),
        });
    }
    specs.push(spec("enum('a','b\"c','blå','')", TEXT, Text, &["'a'", "''", "3"], |r| {
        (1 + r.below(4)).to_string()
    }));
    let many = (0..300).map(|i| format!("'v{i}'")).collect::<Vec<_>>().join(",");
    specs.push(spec(&format!("enum({many})"), TEXT, Text, &["1", "255", "256", "300"], |r| {
        (1 + r.below(300)).to_string()
    }));
    for members in [1, 8, 9, 17, 25, 33, 64] {
        let labels = (0..members).map(|i| format!("'m{i}'")).collect::<Vec<_>>().join(",");
        specs.push(Spec {
            ddl: format!("set({labels})"),
            expected: TEXT,
            same: Text,
            edges: vec![
                "''".into(),
                (u64::MAX >> (64 - members)).to_string(),
                (1u64 << (members - 1)).to_string(),
            ],
            random: |r| r.below(2).to_string(),
        });
    }
    specs.push(spec(
        &format!("set({})", (0..64).map(|i| format!("'x{i}'")).collect::<Vec<_>>().join(",")),
        TEXT,
        Text,
        &["1"],
        |r| r.next().to_string(),
    ));
    specs
}

/// Spatial types.
pub fn shapes(mysql: bool) -> Vec<Spec> {
    let mut specs = Vec::new();
    let point = |r: &mut Random| {
        format!(
            "st_geomfromtext('POINT({} {})')",
            r.next() as i16,
            f64::from(r.next() as i16) / 16.0
        )
    };
    specs.push(spec(
        "point",
        POINT,
        Same::Document,
        &["st_geomfromtext('POINT(0 0)')", "st_geomfromtext('POINT(1.5 -2e-10)', 3857)"],
        point,
    ));
    let wkt = [
        ("linestring", "LINESTRING(0 0,1 1,2 -1.5)"),
        ("polygon", "POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))"),
        ("multipoint", "MULTIPOINT((0 0),(1 1))"),
        ("multilinestring", "MULTILINESTRING((0 0,1 1),(2 2,3 3))"),
        ("multipolygon", "MULTIPOLYGON(((0 0,4 0,4 4,0 0)))"),
        ("geometrycollection", "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))"),
    ];
    for (ddl, text) in wkt {
        let edge = format!("st_geomfromtext('{text}')");
        let other = format!("st_geomfromtext('{text}', 3857)");
        specs.push(Spec {
            ddl: ddl.into(),
            expected: GEOMETRY,
            same: Same::Json,
            edges: vec![edge, other],
            random: |_| "null".into(),
        });
    }
    let mut edges =
        wkt.iter().map(|(_, text)| format!("st_geomfromtext('{text}')")).collect::<Vec<_>>();
    if mysql {
        edges.push("st_geomfromtext('POINT(10 20)', 4326)".into());
        edges.push("st_geomfromtext('GEOMETRYCOLLECTION EMPTY')".into());
    }
    specs.push(Spec {
        ddl: "geometry".into(),
        expected: GEOMETRY,
        same: Same::Json,
        edges,
        random: point,
    });
    specs
}

/// JSON of MySQL, with opaque values.
fn documents() -> Vec<Spec> {
    let edges = [
        "'null'",
        "'true'",
        "'\"\"'",
        "'[]'",
        "'{}'",
        "'-0.0'",
        "'1e308'",
        "'1.5e-300'",
        "'18446744073709551615'",
        "'-9223372036854775808'",
        "'{\"a\\\\\"b\": [1, \"\\\\u0001é\\\\\\\\\", {\"\": null}]}'",
        "json_array(cast(1.10 as decimal(5,2)), cast('2024-02-29' as date), cast('-12:34:56.5' as time(1)))",
        "json_object('dt', cast('2024-02-29 01:02:03.000450' as datetime(6)), 'b', cast(x'00ff10' as binary))",
        "json_array(cast('99999999999999999999999999999999999.123456789012345678901234567890' as decimal(65,30)))",
        "concat(repeat('[', 99), '1', repeat(']', 99))",
        "concat('[', repeat('\"0123456789\",', 7000), '0]')",
        "concat('{', repeat('\"k\": 1, ', 1), '\"', repeat('x', 300), '\": 2}')",
    ];
    vec![spec("json", "cast({} as char)", Same::Document, &edges, |r| {
        format!(
            "'[{}, \"x\", {{\"k{}\": {}.5}}]'",
            r.next().cast_signed(),
            r.below(9),
            r.next() as i32
        )
    })]
}

/// Types of one family alone.
pub fn own(family: Family) -> Vec<Spec> {
    use Same::{Floats, Text};
    let mut specs = Vec::new();
    if family == Family::MySql97 {
        specs.extend(documents());
        specs.push(spec(
            "vector(3)",
            HEX,
            Floats,
            &["to_vector('[1,-2.5,3e38]')", "to_vector('[0,0,1e-30]')"],
            |r| format!("to_vector('[{},{},1]')", r.next() as i16, r.below(100)),
        ));
        return specs;
    }
    specs.push(spec("json", PLAIN, Text, &["'{\"a\": 1}'", "'[]'"], |_| "'[1, 2]'".into()));
    specs.push(spec(
        "uuid",
        PLAIN,
        Text,
        &["'123e4567-e89b-12d3-a456-426655440000'", "'00000000-0000-0000-0000-000000000000'"],
        |r| {
            let (a, b) = (r.next(), r.next());
            format!(
                "'{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}'",
                a as u32,
                a >> 48,
                b as u16 & 0xFFF,
                (b >> 20) as u16 & 0xFFF,
                b >> 16
            )
        },
    ));
    specs.push(spec(
        "inet6",
        PLAIN,
        Text,
        &[
            "'::'",
            "'::1'",
            "'2001:db8::ff00:42:8329'",
            "'::ffff:192.0.2.1'",
            "'::192.0.2.1'",
            "'1:0:0:2:0:0:0:3'",
            "'1:0:2:0:3:0:4:0'",
            "'fe80::'",
            "'0:1::'",
            "'1:2:3:4:5:6:7:8'",
            "'::1:0:0:0'",
            "'0:0:0:0:0:0:1:0'",
            "'::ffff:0:0'",
            "'::fffe:1:2'",
            "'1::2:0:0:3'",
            "'0:0:1:0:0:1:0:0'",
        ],
        |r| {
            let groups = (0..8).map(|_| match r.below(3) {
                0 => "0".to_owned(),
                _ => format!("{:x}", r.below(0x10000)),
            });
            format!("'{}'", groups.collect::<Vec<_>>().join(":"))
        },
    ));
    for ddl in [
        "varchar(100) compressed charset latin1",
        "varchar(300) compressed charset utf8mb4",
        "tinytext compressed",
        "text compressed charset utf8mb4",
        "longtext compressed charset utf16",
    ] {
        specs.push(spec(
            ddl,
            TEXT,
            Text,
            &["''", "'a'", "repeat('é\"', 50)", "repeat('x', 100)"],
            |r| r.text(40),
        ));
    }
    for ddl in [
        "varbinary(200) compressed",
        "blob compressed",
        "mediumblob compressed",
        "tinyblob compressed",
    ] {
        specs.push(spec(
            ddl,
            HEX,
            Text,
            &["''", "x'00'", "repeat(x'00ff', 100)", "repeat('x', 200)"],
            |r| r.hex(40),
        ));
    }
    if family == Family::MariaDb118 {
        specs.push(spec(
            "inet4",
            PLAIN,
            Text,
            &["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'", "'0.0.0.1'"],
            |r| format!("'{}.{}.{}.{}'", r.below(256), r.below(256), r.below(256), r.below(256)),
        ));
        specs.push(spec("vector(2)", HEX, Floats, &["vec_fromtext('[1,-2.5]')"], |r| {
            format!("vec_fromtext('[{},{}]')", r.next() as i16, r.below(100))
        }));
        specs.push(spec(
            "timestamp null",
            STAMP,
            Text,
            &["'2106-02-07 06:28:14'", "'2038-01-19 03:14:08'"],
            |_| "'2100-01-02 03:04:05'".into(),
        ));
    }
    specs
}
