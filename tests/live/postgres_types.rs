//! Every PostgreSQL type, random and edge values, against oracles that the server computes.
//!
//! A row of `a` is read by the snapshot, the same row of `b` comes through the log: both must be
//! the same bytes (invariant 8), and say what SQL says of the value by other ways than its text
//! (`extract(epoch …)`, `to_jsonb`, `encode`, `hstore_to_json`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pipe::{Config, Pipe};
use crate::server::{Family, Server};

/// Rows a table; `i` runs over them in the expressions below.
const ROWS: u32 = 80;

/// Column's type, an expression of random and edge values, and one of the JSON that a record must
/// hold for `x`.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("bool", "random() < 0.5", "to_jsonb(x)"),
    ("int2", "(random() * 65535 - 32768)::int", "to_jsonb(x)"),
    (
        "int8",
        "CASE i % 4 WHEN 0 THEN -9223372036854775808 ELSE (random() * 1e18)::int8 END",
        "to_jsonb(x)",
    ),
    ("oid", "(random() * 4294967295)::int8::oid", "to_jsonb(x::int8)"),
    (
        "float4",
        "(ARRAY['NaN', '-Infinity', '0', '1e-30', '3.4e38'])[1 + i % 9]::float4",
        "to_jsonb(x)",
    ),
    ("float8", "exp(random() * 400 - 200) * sign(random() - 0.5)", "to_jsonb(x)"),
    (
        "numeric",
        "(random()::numeric - 0.5) * power(10::numeric, (i % 40) - 20)",
        "to_jsonb(x::text)",
    ),
    ("numeric(12,3)", "((random() - 0.5) * 1e9)::numeric", "to_jsonb(x::text)"),
    (
        "money",
        "((random() - 0.5) * power(10, i % 16))::numeric::money",
        "to_jsonb(x::numeric::text)",
    ),
    ("text", "repeat(chr(32 + i) || '\"\\é', i % 5) || chr(1 + i % 31)", "to_jsonb(x)"),
    ("char(7)", "left(md5(i::text), i % 8)", "to_jsonb(rpad(x, 7))"),
    ("\"char\"", "chr(33 + i)::\"char\"", "to_jsonb(x::text)"),
    ("bytea", "decode(repeat(md5(i::text), i % 4), 'hex')", "to_jsonb(encode(x, 'hex'))"),
    ("date", "'0001-01-01'::date + (random() * 3000000)::int", "to_jsonb(x - '1970-01-01'::date)"),
    (
        "time",
        "('24:00:00'::interval * random())::time",
        "to_jsonb((extract(epoch FROM x) * 1000000)::int8)",
    ),
    (
        "time(3)",
        "('24:00:00'::interval * random())::time",
        "to_jsonb((extract(epoch FROM x) * 1000)::int8)",
    ),
    (
        "timestamp",
        "'4713-01-01 BC'::timestamp + '290000 years'::interval * random()",
        "to_jsonb((extract(epoch FROM x) * 1000000)::int8)",
    ),
    (
        "timestamptz",
        "'1000-01-01'::timestamptz + '8000 years'::interval * random()",
        "to_jsonb(to_char(x AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))",
    ),
    (
        "timetz",
        "(('24:00:00'::interval * random())::time::text || '+0' || i % 10)::timetz",
        "to_jsonb(regexp_replace((x AT TIME ZONE 'UTC')::time::text, '(\\.\\d*?)0*$', '\\1') || 'Z')",
    ),
    (
        "interval",
        "make_interval(i - 40, (random() * 24)::int - 12, 0, (random() * 60)::int - 30, 0, 0, (random() - 0.5) * 1e6)",
        "to_jsonb(trunc(((((extract(year FROM x) * 12 + extract(month FROM x))::float8 * 30.4375 + \
         extract(day FROM x)::float8) * 24 + extract(hour FROM x)::float8) * 60 + \
         extract(minute FROM x)::float8) * 60 * 1e6 + extract(microseconds FROM x)::float8)::int8)",
    ),
    ("uuid", "md5(i::text)::uuid", "to_jsonb(x::text)"),
    (
        "json",
        "json_build_object('k' || i, repeat('\"', i % 3), 'n', random())",
        "to_jsonb(x::text)",
    ),
    ("jsonb", "jsonb_build_array(i, repeat('\\', i % 3), NULL)", "to_jsonb(x::text)"),
    ("xml", "xmlelement(name a, 'x < ' || i)", "to_jsonb(x::text)"),
    ("varbit", "(i * 7919)::bit(24)::varbit", "NULL"),
    ("bit(1)", "(i % 2)::bit(1)", "to_jsonb(x = B'1')"),
    (
        "inet",
        "('10.0.' || i || '.1/' || i % 32)::inet",
        "to_jsonb(host(x) || CASE WHEN masklen(x) < 32 THEN '/' || masklen(x) ELSE '' END)",
    ),
    ("macaddr8", "trunc('08:00:2b:01:02:03'::macaddr8)", "to_jsonb(x::text)"),
    (
        "int4range",
        "int4range(i, i + (random() * 10)::int)",
        "to_jsonb(CASE WHEN isempty(x) THEN 'empty' ELSE format('[%s,%s)', lower(x), upper(x)) END)",
    ),
    (
        "tstzrange",
        "tstzrange('2020-01-01', '2020-01-01'::timestamptz + i * '1 hour'::interval)",
        "to_jsonb(x::text)",
    ),
    ("tsvector", "to_tsvector('simple', 'it''s \\ word' || i)", "to_jsonb(x::text)"),
    (
        "hstore",
        "hstore(ARRAY['k' || i, 'a\"b', 'é', 'n'], ARRAY[md5(i::text), '\\', '', NULL])",
        "hstore_to_json(x)::jsonb",
    ),
    (
        "ltree",
        "('Top.L' || i)::ltree",
        "to_jsonb(array_to_string(ARRAY[subpath(x, 0, 1)::text, subpath(x, 1)::text], '.'))",
    ),
    ("citext", "'CaSe' || i", "to_jsonb(x::text)"),
    ("mood", "(ARRAY['sad', 'so \"so\"'])[1 + i % 2]::mood", "to_jsonb(x::text)"),
    ("net_price", "(random() * 1000)::numeric", "to_jsonb(x::text)"),
    (
        "point",
        "point(random(), -random() * 1e20)",
        "jsonb_build_object('x', x[0], 'y', x[1], 'srid', NULL, 'wkb', \
         encode('\\x0101000000'::bytea || turned(float8send(x[0])) || turned(float8send(x[1])), 'base64'))",
    ),
    ("bool[]", "ARRAY[random() < 0.5, NULL, true]", "to_jsonb(x)"),
    ("int4[]", "CASE WHEN i % 5 = 0 THEN '{}' ELSE ARRAY[i, NULL, -i] END", "to_jsonb(x)"),
    ("float8[]", "ARRAY[random(), 'Infinity', i * 1e30]", "to_jsonb(x)"),
    ("numeric(8,2)[]", "ARRAY[random() * 100, NULL, -i]::numeric[]", "to_jsonb(x::text[])"),
    ("text[]", "ARRAY['q\"\\,{}', 'NULL', NULL, '', repeat(chr(33 + i), i % 3)]", "to_jsonb(x)"),
    (
        "bytea[]",
        "ARRAY['\\x00ff'::bytea, decode(md5(i::text), 'hex'), '']",
        "(SELECT jsonb_agg(encode(e, 'hex') ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))",
    ),
    (
        "date[]",
        "ARRAY['2020-01-01'::date + i, NULL]",
        "(SELECT jsonb_agg(e - '1970-01-01'::date ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))",
    ),
    (
        "time[]",
        "ARRAY[('24:00:00'::interval * random())::time]",
        "(SELECT jsonb_agg((extract(epoch FROM e) * 1000000)::int8 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))",
    ),
    (
        "timestamp[]",
        "ARRAY['2000-01-01'::timestamp + '20 years'::interval * random(), NULL]",
        "(SELECT jsonb_agg((extract(epoch FROM e) * 1000000)::int8 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))",
    ),
    ("uuid[]", "ARRAY[md5(i::text)::uuid, NULL]", "to_jsonb(x::text[])"),
    ("jsonb[]", "ARRAY[jsonb_build_object('a\"', i), NULL, '\"\\\\\"']", "to_jsonb(x::text[])"),
    (
        "inet[]",
        "ARRAY['::1', ('10.0.0.' || i)::inet]",
        "to_jsonb(ARRAY(SELECT host(e) FROM unnest(x) WITH ORDINALITY u(e, o) ORDER BY o))",
    ),
    ("int8range[]", "ARRAY[int8range(i, NULL), 'empty']", "to_jsonb(x::text[])"),
    ("mood[]", "ARRAY['so \"so\"', 'sad']::mood[]", "to_jsonb(x::text[])"),
    ("citext[]", "ARRAY['A', NULL]::citext[]", "to_jsonb(x::text[])"),
    (
        "hstore[]",
        "ARRAY[hstore('a\"', 'b\\'), NULL, hstore('x', NULL)]",
        "(SELECT jsonb_agg(hstore_to_json(e) ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))",
    ),
    (
        "pg_lsn",
        "('0/' || to_hex(i * 4096))::pg_lsn",
        "to_jsonb(encode(convert_to(x::text, 'UTF8'), 'hex'))",
    ),
    ("regclass", "'pg_class'::regclass", "to_jsonb(encode(convert_to(x::text, 'UTF8'), 'hex'))"),
    ("pair", "ROW(i, 'q\"')::pair", "to_jsonb(encode(convert_to(x::text, 'UTF8'), 'hex'))"),
    ("tsquery", "('a & b' || i)::tsquery", "to_jsonb(encode(convert_to(x::text, 'UTF8'), 'hex'))"),
    (
        "lseg",
        "lseg(point(i, 0.5), point(-i, 1))",
        "to_jsonb(encode(convert_to(format('[(%s.0,0.5),(-%s.0,1.0)]', (x[0])[0], (x[0])[0]), 'UTF8'), 'hex'))",
    ),
    (
        "pair[]",
        "ARRAY[ROW(i, 'x')::pair]",
        "(SELECT jsonb_agg(encode(convert_to(e::text, 'UTF8'), 'hex')) FROM unnest(x) e)",
    ),
];

const TYPES: &str = r#"
    SET extra_float_digits = 3; SELECT setseed(0.25);
    CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'so "so"'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN price AS numeric(12,2); CREATE DOMAIN net_price AS price;
    CREATE FUNCTION turned(bytea) RETURNS bytea LANGUAGE sql AS $$
        SELECT string_agg(substring($1 FROM n FOR 1), '' ORDER BY n DESC)
        FROM generate_series(1, length($1)) n $$;
"#;

/// `{column: text}` of every after-image of a topic, by id, as bytes of the file.
fn images(pipe: &Pipe, table: &str) -> BTreeMap<u64, String> {
    let path = pipe.out().join(format!("types.public.{table}.jsonl"));
    let text = std::fs::read_to_string(path).expect("a topic's file");
    let image = |line: &str| {
        let (_, after) = line.split_once("\"after\":").expect("an envelope");
        let (after, _) = after.split_once(",\"source\":{").expect("a source block");
        let value: Value = serde_json::from_str(after).expect("JSON");
        (value["id"].as_u64().expect("an id"), after.to_owned())
    };
    text.lines().map(image).collect()
}

/// Equal values: 1.0 and 1 are, large integers exactly. serde_json reads the last bit of a double
/// inexactly, hence the allowance; how doubles are spelled is tested elsewhere.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            _ => {
                let (x, y) = (x.as_f64().expect("a double"), y.as_f64().expect("a double"));
                (x - y).abs() <= 4.0 * f64::EPSILON * x.abs()
            }
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn every_type(family: Family) {
    let server = Server::start(family);
    server.grant_cdc();
    let named = |i: usize| format!("c{i}");
    let columns: Vec<String> =
        COLUMNS.iter().enumerate().map(|(i, (ty, ..))| format!("{} {ty}", named(i))).collect();
    let values: Vec<&str> = COLUMNS.iter().map(|(_, value, _)| *value).collect();
    // One NULL in nine values, another column's in each row.
    let values: Vec<String> = (0..)
        .zip(values)
        .map(|(i, value)| format!("CASE WHEN (i + {i}) % 9 <> 0 THEN {value} END"))
        .collect();
    let columns = columns.join(", ");
    server.sql(&format!(
        "{TYPES} CREATE TABLE a (id int PRIMARY KEY, {columns}); \
         CREATE TABLE b (id int PRIMARY KEY, {columns}); \
         INSERT INTO a SELECT i, {} FROM generate_series(1, {ROWS}) i;",
        values.join(", ")
    ));
    let config = Config::new("types", &server, &["public.a", "public.b"])
        .set("source", "decimal_handling_mode", "\"string\"")
        .set("source", "binary_handling_mode", "\"hex\"")
        .set("source", "hstore_handling_mode", "\"map\"")
        .set("source", "include_unknown_datatypes", "true")
        .set("source", "event_converting_failure_handling_mode", "\"fail\"");
    let pipe = Pipe::new(&config);
    pipe.catch_up();
    server.sql("INSERT INTO b SELECT * FROM a ORDER BY id");
    pipe.catch_up();
    let (snapshot, log) = (images(&pipe, "a"), images(&pipe, "b"));
    assert_eq!(snapshot.len(), ROWS as usize);
    assert_eq!(snapshot, log, "the snapshot's form is the log's");
    for (i, (ty, _, oracle)) in COLUMNS.iter().enumerate().filter(|(_, c)| c.2 != "NULL") {
        let sql = format!(
            "SELECT json_agg(CASE WHEN x IS NULL THEN 'null' ELSE {oracle} END ORDER BY id) \
             FROM (SELECT id, {} AS x FROM a) a",
            named(i)
        );
        let wanted: Vec<Value> = serde_json::from_str(&server.sql(&sql)).expect("JSON");
        for ((id, image), wanted) in snapshot.iter().zip(wanted) {
            let image: Value = serde_json::from_str(image).expect("JSON");
            let told = &image[named(i)];
            assert!(same(told, &wanted), "{ty}, row {id}: {told} is not {wanted}");
        }
    }
}

#[test]
fn l09_every_postgres_type_as_the_server_computes_it_15() {
    // Goal: snapshot and log tell every type alike, and right. Method: random values, oracles in SQL.
    every_type(Family::Postgres15);
}

#[test]
fn l09_every_postgres_type_as_the_server_computes_it_18() {
    // Goal: as above for 18. Method: the same.
    every_type(Family::Postgres18);
}
