//! Values of the rarer types against Debezium's own, and against bytes that no server writes.

use proptest::prelude::*;

use super::*;
use crate::encode::options::{BinaryHandling, Connector};
use crate::encode::plan::element_cell;

/// What a type's text becomes; what was noted is appended.
fn write(ty: &ColumnType, text: &str, options: &EncodeOptions) -> String {
    let special = Special::of(ty, options, |ty| element_cell(ty, options)).expect("special");
    let mut out = Out::new(Vec::new(), 0, 256);
    let (mut spans, mut noted) = (Spans::default(), None);
    let mut seg = b"..".to_vec();
    seg.extend(text.as_bytes());
    let place = Text { seg: &seg, at: 2, len: text.len() };
    match put(&mut out, &special, place, &mut spans, &mut noted) {
        Err(Trouble::Fault(kind)) => return kind.to_string(),
        Err(Trouble::Malformed(error)) => return format!("{error:?}"),
        Ok(()) => {}
    }
    let (buf, end) = out.finish();
    let text = String::from_utf8(buf[..end].to_vec()).expect("UTF-8");
    noted.map_or(text.clone(), |kind| format!("{text} {kind}"))
}

fn options() -> EncodeOptions {
    EncodeOptions::new("p", Connector::Postgres)
}

fn array(element: ColumnType, nulls: bool) -> ColumnType {
    let placeholder = penstock_protocol::schema::ArrayPlaceholder::None;
    ColumnType::Array { element: Box::new(element), delimiter: b',', nulls, placeholder }
}

const TEXT: ColumnType =
    ColumnType::Text { length_bytes: 0, charset: penstock_protocol::schema::Charset::Utf8 };

#[test]
fn money_in_every_mode() {
    // Goal: money_fraction_digits and decimal_handling_mode. Method: base64 by hand.
    let write = |text: &str, digits, fraction, form| {
        let options = EncodeOptions { money_fraction_digits: fraction, decimal: form, ..options() };
        write(&ColumnType::Money { digits }, text, &options)
    };
    let precise = |text, digits, fraction| write(text, digits, fraction, DecimalHandling::Precise);
    assert_eq!(precise("$1,234.11", 2, 2), "\"AeIT\""); // 123411
    assert_eq!(precise("-$0.05", 2, 2), "\"+w==\"");
    assert_eq!(precise("$0.05", 2, 1), "\"AQ==\""); // half up
    assert_eq!(precise("-$0.05", 2, 1), "\"/w==\"");
    assert_eq!(precise("$0.04", 2, 1), "\"AA==\"");
    assert_eq!(precise("$1.00", 2, 4), "\"JxA=\""); // 10000
    assert_eq!(precise("$92,233,720,368,547,758.07", 2, 18), "\"EcN5N+B////ceQ2QPwAA\"");
    assert_eq!(precise("¥7", 0, 2), "\"Arw=\""); // 700
    assert_eq!(write("$1,234.10", 2, 2, DecimalHandling::Double), "1234.1");
    assert_eq!(write("-$1,234.10", 2, 4, DecimalHandling::String), "\"-1234.10\"");
}

#[test]
fn intervals_in_both_modes() {
    // Goal: Debezium's numbers and texts. Method: values of its own code for these texts.
    let iso = EncodeOptions { interval: IntervalHandling::String, ..options() };
    for (text, micros, string) in [
        ("1 year 2 mons 3 days 04:05:06.78", "37091106780000", "P1Y2M3DT4H5M6.78S"),
        ("-1 years -2 mons +3 days -04:05:06.78", "-36572706780000", "P-1Y-2M3DT-4H-5M-6.78S"),
        ("00:00:00", "0", "P0Y0M0DT0H0M0S"),
        ("-00:00:00.000001", "-1", "P0Y0M0DT0H0M-0.000001S"),
        ("00:00:59.000001", "59000001", "P0Y0M0DT0H0M59.000001S"),
        ("25:00:10", "90010000000", "P0Y0M0DT25H0M10S"),
        // 1 + 0.003691 is no 1.003691 in doubles.
        ("00:00:01.003691", "1003690", "P0Y0M0DT0H0M1.003690999S"),
    ] {
        assert_eq!(write(&ColumnType::Interval, text, &options()), micros, "{text}");
        assert_eq!(write(&ColumnType::Interval, text, &iso), format!("\"{string}\""));
    }
    let infinite = write(&ColumnType::Interval, "infinity", &options());
    assert!(infinite.contains("an infinite interval"), "{infinite}");
}

#[test]
fn hstore_in_the_order_of_a_java_map() {
    // Goal: both modes, escapes, NULL. Method: what Java's HashMap and Jackson print.
    let map = EncodeOptions { hstore: HstoreHandling::Map, ..options() };
    let text = r#""z"=>"c", "é"=>"b", "key1"=>"val1", "key2"=>NULL, "key10"=>"a\"\\	""#;
    assert_eq!(
        write(&ColumnType::Hstore, text, &map),
        r#"{"key1":"val1","key2":null,"é":"b","z":"c","key10":"a\"\\\t"}"#
    );
    assert_eq!(
        write(&ColumnType::Hstore, text, &options()),
        r#""{\"key1\":\"val1\",\"key2\":null,\"é\":\"b\",\"z\":\"c\",\"key10\":\"a\\\"\\\\\\t\"}""#
    );
    assert_eq!(write(&ColumnType::Hstore, "", &options()), "\"{}\"");
    assert_eq!(write(&ColumnType::Hstore, "", &map), "{}");
    let array = array(ColumnType::Hstore, true);
    let text = r#"{"\"a\"=>\"x\\\"y\"",NULL,""}"#;
    assert_eq!(write(&array, text, &map), r#"[{"a":"x\"y"},null,{}]"#);
    assert_eq!(write(&array, text, &options()), r#"["{\"a\":\"x\\\"y\"}",null,"{}"]"#);
    let many: Vec<String> = (0..200).map(|i| format!("\"k{i}\"=>\"{i}\"")).collect();
    let text = write(&ColumnType::Hstore, &many.join(", "), &map);
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(parsed.as_object().map(|o| o.len()), Some(200));
}

#[test]
fn arrays_of_every_kind() {
    // Goal: elements as their types' cells. Method: texts of a server, exact JSON.
    let int = ColumnType::Int { bits: 32, unsigned: false };
    let cases = [
        (array(int.clone(), true), "{1,NULL,-3}", "[1,null,-3]"),
        (array(int.clone(), true), "{}", "[]"),
        (array(int, true), "[5:6]={1,2}", "[1,2]"),
        (array(TEXT, true), r#"{a,"NULL","q\"\\ö","",NULL}"#, r#"["a","NULL","q\"\\ö","",null]"#),
        (array(ColumnType::Bool, true), "{t,f}", "[true,false]"),
        (array(ColumnType::Double, true), "{1,NaN,1e+20}", "[1.0,\"NaN\",1.0E20]"),
        (
            array(ColumnType::Decimal { precision: 10, scale: 2 }, true),
            "{1.10,-0.01}",
            "[\"bg==\",\"/w==\"]",
        ),
        (array(ColumnType::DecimalVariable, true), "{1.10}", "[{\"scale\":1,\"value\":\"Cw==\"}]"),
        (array(ColumnType::Date, true), "{2020-01-01,infinity}", "[18262,-2147472692]"),
        (
            array(ColumnType::DateTime { digits: 6 }, true),
            "{\"1970-01-01 00:00:01.5\"}",
            "[1500000]",
        ),
        (
            array(ColumnType::Timestamp { digits: 3 }, true),
            "{\"2020-04-01 11:51:02.1+00\"}",
            "[\"2020-04-01T11:51:02.100Z\"]",
        ),
        (
            array(ColumnType::Bytes { length_bytes: 0, fixed: None }, true),
            r#"{"\\x00ff","\\x"}"#,
            "[\"AP8=\",\"\"]",
        ),
        (
            array(ColumnType::Json { length_bytes: 0 }, true),
            r#"{"{\"a\": \"b\\\"\"}",1}"#,
            r#"["{\"a\": \"b\\\"\"}","1"]"#,
        ),
        (
            array(ColumnType::PgVector { half: true }, false),
            "{\"[1,2.5]\",[3]}",
            "[[1.0,2.5],[3.0]]",
        ),
    ];
    for (ty, text, wanted) in cases {
        assert_eq!(write(&ty, text, &options()), wanted, "{ty:?}");
    }
}

#[test]
fn arrays_that_records_cannot_tell() {
    // Goal: inner arrays are null and noted, or fail; NULL where no element may be null, NaN in
    // precise mode fail. Method: both modes.
    let int = || ColumnType::Int { bits: 32, unsigned: false };
    let failing = EncodeOptions { converting_failure: ConvertingFailure::Fail, ..options() };
    let inner = "holds an array in an array, which a record cannot tell";
    let text = "{{1,2},{3,4}}";
    assert_eq!(write(&array(int(), true), text, &options()), format!("[null,null] {inner}"));
    assert_eq!(write(&array(int(), true), text, &failing), inner);
    assert_eq!(write(&array(int(), false), text, &options()), inner);
    assert!(write(&array(TEXT, false), "{a,NULL}", &options()).contains("cannot be null"));
    let numeric = array(ColumnType::DecimalVariable, true);
    assert!(write(&numeric, "{1,NaN}", &options()).contains("NaN"));
    let strings = EncodeOptions { decimal: DecimalHandling::String, ..options() };
    assert_eq!(write(&numeric, "{1,NaN}", &strings), "[\"1\",\"NAN\"]");
    let bits = array(ColumnType::Bit { bits: 3 }, true);
    assert!(write(&bits, "{101}", &options()).contains("an array of bits"));
}

#[test]
fn geometry_and_vectors() {
    // Goal: Debezium's structs. Method: its documented examples.
    let p = |ty: ColumnType, text: &str| write(&ty, text, &options());
    assert_eq!(
        p(ColumnType::PgPoint, "(1,1)"),
        "{\"x\":1.0,\"y\":1.0,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAPA/\",\"srid\":null}"
    );
    let ewkb = "0101000020730C00001C7C613255DE6540787AA52C435C42C0";
    assert_eq!(
        p(ColumnType::PgGeometry { geography: false }, ewkb),
        "{\"wkb\":\"AQEAACBzDAAAHHxhMlXeZUB4eqUsQ1xCwA==\",\"srid\":3187}"
    );
    assert_eq!(
        p(ColumnType::PgGeometry { geography: true }, "010700000000000000"),
        "{\"wkb\":\"AQcAAAAAAAAA\",\"srid\":null}"
    );
    assert_eq!(p(ColumnType::PgVector { half: false }, "[1,0.1,-1e-05]"), "[1.0,0.1,-1.0E-5]");
    assert_eq!(
        p(ColumnType::SparseVector, "{1:1,3:2}/5"),
        "{\"dimensions\":5,\"vector\":[[1,1.0],[3,2.0]]}"
    );
    assert_eq!(
        p(ColumnType::SparseVector, "{4:1,5:2,6:3,9:4}/10"),
        "{\"dimensions\":10,\"vector\":[[9,4.0],[4,1.0],[5,2.0],[6,3.0]]}"
    );
    assert_eq!(p(ColumnType::SparseVector, "{}/3"), "{\"dimensions\":3,\"vector\":[]}");
    assert!(p(ColumnType::SparseVector, "{}/40000").contains("32767"));
}

#[test]
fn bytes_of_unknown_types() {
    // Goal: the text's bytes by binary mode; geometric ones as the JDBC driver spells them.
    // Method: Debezium's own test values, base64 and hex.
    let circle = ColumnType::Unknown { name: "circle".into(), form: UnknownForm::Geometric };
    let form = |binary, ty: &ColumnType, text: &str| {
        write(ty, text, &EncodeOptions { binary, ..options() })
    };
    let text = "<(10,20),10>";
    assert_eq!(form(BinaryHandling::Bytes, &circle, text), "\"PCgxMC4wLDIwLjApLDEwLjA+\"");
    assert_eq!(form(BinaryHandling::Base64UrlSafe, &circle, text), "\"PCgxMC4wLDIwLjApLDEwLjA-\"");
    let hex = "\"3c2831302e302c32302e30292c31302e303e\"";
    assert_eq!(form(BinaryHandling::Hex, &circle, text), hex);
    let path = format!("[{}]", vec!["(0.5,1e-30)"; 500].join(","));
    let long = form(BinaryHandling::Hex, &circle, &path);
    assert_eq!(long.len(), 2 + 2 * (2 + 500 * "(0.5,1.0E-30)".len() + 499));
    assert_eq!(form(BinaryHandling::Hex, &circle, "(NaN,-Infinity)").len(), 2 + 30);
    let other = ColumnType::Unknown { name: "pg_lsn".into(), form: UnknownForm::Text };
    assert_eq!(form(BinaryHandling::Hex, &other, "0/1A"), "\"302f3141\"");
    let array = array(other, false);
    assert_eq!(form(BinaryHandling::Bytes, &array, r#"{a,"q\""}"#), "[\"YQ==\",\"cSI=\"]");
}

#[test]
fn malformed_texts_are_errors_at_their_offset() {
    // Goal: every type refuses what its server does not write. Method: one such text a type.
    let int = || ColumnType::Int { bits: 32, unsigned: false };
    let numeric = ColumnType::Decimal { precision: 10, scale: 2 };
    for (ty, text, at) in [
        (ColumnType::Money { digits: 2 }, "x", 2),
        (ColumnType::Interval, "1 fortnight", 2),
        (ColumnType::Hstore, "\"a\"=>1", 7),
        (ColumnType::PgPoint, "(1)", 2),
        (ColumnType::PgGeometry { geography: false }, "01", 2),
        (ColumnType::PgVector { half: false }, "[1,x]", 2),
        (ColumnType::SparseVector, "{1}/2", 2),
        (array(int(), true), "{1,x}", 5),
        (array(int(), true), "{1,\"2\\0\"}", 6),
        (array(int(), true), "{1,", 5),
        (array(numeric, true), "{1.1}", 3),
        (array(ColumnType::Hstore, true), "{x}", 3),
    ] {
        let error = write(&ty, text, &options());
        assert!(error.contains(&format!("offset: {at},")), "{ty:?}: {error}");
    }
}

/// Types, one of a kind.
fn kinds() -> Vec<ColumnType> {
    let int = ColumnType::Int { bits: 32, unsigned: false };
    let unknown = |form| ColumnType::Unknown { name: "x".into(), form };
    vec![
        ColumnType::Money { digits: 2 },
        ColumnType::Interval,
        ColumnType::Hstore,
        ColumnType::PgPoint,
        ColumnType::PgGeometry { geography: false },
        ColumnType::PgVector { half: true },
        ColumnType::SparseVector,
        unknown(UnknownForm::Text),
        unknown(UnknownForm::Geometric),
        array(int, true),
        array(TEXT, false),
        array(ColumnType::Bytes { length_bytes: 0, fixed: None }, true),
        array(ColumnType::Json { length_bytes: 0 }, true),
        array(ColumnType::Hstore, true),
        array(ColumnType::DecimalVariable, true),
        array(ColumnType::PgVector { half: false }, false),
        array(unknown(UnknownForm::Geometric), false),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_a_value_or_an_error(
        text in proptest::collection::vec(
            prop_oneof![
                8 => proptest::sample::select(&b"{}[]()<>\\\",01.-+eNUL:=/ $x\x1f\n"[..]),
                1 => any::<u8>(),
            ],
            0..40,
        ),
        map: bool,
    ) {
        // Goal: hostile text never panics and never makes invalid JSON. Method: texts out of the
        // marks that the forms are made of, for every kind of type and both forms of maps.
        let mut options = options();
        if map {
            (options.hstore, options.interval) = (HstoreHandling::Map, IntervalHandling::String);
        }
        for ty in kinds() {
            let special = Special::of(&ty, &options, |ty| element_cell(ty, &options));
            let special = special.expect("special");
            let mut out = Out::new(Vec::new(), 0, 256);
            let (mut spans, mut noted) = (Spans::default(), None);
            let place = Text { seg: &text, at: 0, len: text.len() };
            if put(&mut out, &special, place, &mut spans, &mut noted).is_ok() {
                let json = out.written(0, out.at());
                prop_assert!(
                    serde_json::from_slice::<serde_json::Value>(json).is_ok(),
                    "{:?}: {}", ty, String::from_utf8_lossy(json)
                );
            }
        }
    }
}
