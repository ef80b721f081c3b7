//! PostgreSQL's text values and rows against slow oracles.
//!
//! Enters: random values in the server's output form, random bytes, rows cut and bent. Leaves: the
//! fast readers agree with plain ones, nothing panics, both row forms make the same calls
//! (invariant 8).

use penstock_protocol::cursor::WireError;
use penstock_protocol::frame::TableId;
use penstock_protocol::postgres::text::{self, Moment};
use penstock_protocol::postgres::tuple::{
    DecimalSpecial, Image, OldRow, RowReader, TextVisitor, walk_data_row, walk_tuple,
};
use penstock_protocol::schema::{Charset, Column, ColumnType, TableName, TableSchema};
use penstock_protocol::value::RowVisitor;
use proptest::prelude::*;

/// A cell in the middle of a segment that goes on, and one that ends the slice: both must agree.
fn both<T: PartialEq + std::fmt::Debug>(cell: &str, f: impl Fn(&[u8], usize, usize) -> T) -> T {
    let tight = cell.as_bytes();
    let mut roomy = b"x9".to_vec();
    roomy.extend(tight);
    roomy.extend([b'7'; 64]);
    let result = f(&roomy, 2, tight.len());
    assert_eq!(result, f(tight, 0, tight.len()), "{cell:?}");
    result
}

/// The form of an integer: `0`, or a sign and up to 19 digits without leading zero.
fn int_oracle(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    cell == "0"
        || ((1..=19).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn float_oracle(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = !whole.is_empty()
        && !fraction.is_empty()
        && (whole == "0" || !whole.starts_with('0'))
        && all_digits(whole)
        && all_digits(fraction);
    let value = || digits.parse::<f64>().expect("digits");
    plain && digits.len() <= 16 && whole.len() <= 7 && (digits == "0" || value() >= 1e-3)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// The calendar, a day at a time from a known one would be too slow: year by year.
fn date_oracle(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| {
        year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
    };
    let (eras, mut rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let mut year = 1970;
    while rest >= 365 + i64::from(leap(year)) {
        rest -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    (year + 400 * eras, month as i64 + 1, rest + 1)
}

/// `EncodeDateOnly` of the server, DateStyle ISO; the era comes last.
fn date_text(days: i64) -> (String, &'static str) {
    let (year, month, day) = date_oracle(days);
    let (year, era) = if year <= 0 { (1 - year, " BC") } else { (year, "") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

/// Fractions as the server prints them: trailing zeros trimmed.
fn clock_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{:06}", micros % 1_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    whole + fraction
}

fn offset_text(east: i64) -> String {
    let (sign, east) = if east < 0 { ('-', -east) } else { ('+', east) };
    let mut text = format!("{sign}{:02}", east / 3600);
    if east % 3600 != 0 {
        text += &format!(":{:02}", east / 60 % 60);
    }
    if east % 60 != 0 {
        text += &format!(":{:02}", east % 60);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn integers(n in any::<i64>(), shift in 0..64_u32, noise in "[-0-9x]{0,22}") {
        // Goal: exactly integers' output forms pass. Method: all widths, and noise by a plain test.
        prop_assert!(both(&(n >> shift).to_string(), text::is_int));
        prop_assert_eq!(both(&noise, text::is_int), int_oracle(&noise));
    }

    #[test]
    fn decimals(n in -999_999_999_999_999_i64..=999_999_999_999_999, cut in 0..50_u32,
                scale in 0..15_usize, noise in "-?[0-9x.]{0,18}") {
        // Goal: the fast decimal is exact or declines. Method: printed numbers; noise by i128.
        let n = n >> cut;
        let digits = format!("{:0width$}", n.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if n < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        let cell = format!("{sign}{whole}{point}{fraction}");
        prop_assert_eq!(text::decimal_scale(cell.as_bytes()), Some(scale));
        let read = |seg: &[u8], at, len| text::decimal_16(seg, at, len, scale);
        prop_assert_eq!(both(&cell, read), Some(n));
        prop_assert_eq!(both(&cell, text::decimal_free_16), Some((n, scale)));
        if let Some((value, scale)) = both(&noise, text::decimal_free_16) {
            prop_assert_eq!(text::decimal_scale(noise.as_bytes()), Some(scale));
            prop_assert_eq!(noise.replace('.', "").parse::<i64>().ok(), Some(value));
        }
        if let Some(value) = both(&noise, read) {
            prop_assert_eq!(text::decimal_scale(noise.as_bytes()), Some(scale));
            let all: String = noise.chars().filter(|&c| c != '.').collect();
            prop_assert_eq!(all.parse::<i64>().ok(), Some(value));
        }
    }

    #[test]
    fn plain_floats(x in any::<f64>(), small in -20_000_000.0..20_000_000.0_f64,
                    scale in 0..9_i32, noise in "-?[0-9.e]{0,18}") {
        // Goal: only what is already Java's form is taken as it is. Method: an oracle by value.
        let rounded = (small * 10_f64.powi(scale)).round() / 10_f64.powi(scale);
        for cell in [x.to_string(), small.to_string(), rounded.to_string(), noise] {
            let whole = !cell.contains('.');
            let wanted = float_oracle(&cell).then_some(whole);
            prop_assert_eq!(both(&cell, text::plain_float), wanted, "{}", cell);
        }
        prop_assert_eq!(text::double(x.to_string().as_bytes()).map(f64::to_bits), Some(x.to_bits()));
        let scientific = format!("{x:e}");
        prop_assert_eq!(text::double(scientific.as_bytes()).map(f64::to_bits), Some(x.to_bits()));
    }

    #[test]
    fn dates(days in prop_oneof![-2_440_588..2_147_483_647 - 10_957, -800_000..800_000]) {
        // Goal: every date the server can hold. Method: a calendar that counts years.
        let (date, era) = date_text(i64::from(days));
        prop_assert_eq!(both(&(date + era), text::date), Some(Moment::At(days)));
    }

    #[test]
    fn times(micros in 0..=text::DAY_US, grain in 0..7_u32,
             east in prop_oneof![Just(0), -57_599..57_600_i64]) {
        // Goal: all fractions and offsets. Method: the server's own way to print.
        let unit = 10_i64.pow(grain);
        let micros = micros / unit * unit;
        prop_assert_eq!(both(&clock_text(micros), text::time), Some(micros));
        let zoned = clock_text(micros) + &offset_text(east);
        let utc = (micros - east * 1_000_000).rem_euclid(text::DAY_US);
        prop_assert_eq!(both(&zoned, text::time_tz), Some(utc));
    }

    #[test]
    fn timestamps(micros in prop_oneof![-210_866_803_200_000_000..i64::MAX, -9_999_999_999_999_999..9_999_999_999_999_999_i64],
                  grain in 0..7_u32, east in prop_oneof![Just(0), -57_599..57_600_i64]) {
        // Goal: all timestamps that fit into microseconds since 1970. Method: as for dates.
        let unit = 10_i64.pow(grain);
        let micros = micros.div_euclid(unit).saturating_mul(unit);
        let form = |micros: i64| {
            let (date, era) = date_text(micros.div_euclid(text::DAY_US));
            (format!("{date} {}", clock_text(micros.rem_euclid(text::DAY_US))), era)
        };
        let (stamp, era) = form(micros);
        prop_assert_eq!(both(&(stamp + era), text::timestamp), Some(Moment::At(micros)));
        if let Some(local) = micros.checked_add(east * 1_000_000) {
            let (stamp, era) = form(local);
            let zoned = stamp + &offset_text(east) + era;
            prop_assert_eq!(both(&zoned, text::timestamp_tz), Some(Moment::At(micros)));
        }
    }

    #[test]
    fn noise_never_panics(cell in proptest::collection::vec(any::<u8>(), 0..40), scale in 0..2000_usize) {
        // Goal: hostile cells are refused or read, never a panic. Method: random bytes.
        let (seg, len) = (&cell[..], cell.len());
        text::bool(seg, 0, len);
        text::is_int(seg, 0, len);
        text::decimal_16(seg, 0, len, scale);
        text::decimal_scale(seg);
        text::plain_float(seg, 0, len);
        text::decimal_free_16(seg, 0, len);
        text::double(seg);
        text::float(seg);
        text::date(seg, 0, len);
        text::time(seg, 0, len);
        text::time_tz(seg, 0, len);
        text::timestamp(seg, 0, len);
        text::timestamp_tz(seg, 0, len);
        text::timestamp(seg, len + 1, 10);
    }

    #[test]
    fn bent_dates_never_panic(days in -3_000_000..3_000_000_i64, micros in 0..text::DAY_US, at in 0..26_usize, byte: u8) {
        // Goal: one wrong byte is refused or another value. Method: bend a valid timestamp.
        let (date, era) = date_text(days);
        let mut cell = format!("{date} {}+05:30{era}", clock_text(micros)).into_bytes();
        let at = at % cell.len();
        cell[at] = byte;
        text::timestamp_tz(&cell, 0, cell.len());
        text::timestamp(&cell, 0, cell.len());
        text::date(&cell, 0, 10);
    }
}

#[test]
fn named_values() {
    // Goal: what oracles do not say. Method: texts as PostgreSQL prints them.
    let date = |s: &str| both(s, text::date);
    assert_eq!(date("infinity"), Some(Moment::Infinity));
    assert_eq!(date("-infinity"), Some(Moment::MinusInfinity));
    assert_eq!(date("0001-01-01"), Some(Moment::At(-719_162)));
    assert_eq!(date("0044-03-15 BC"), Some(Moment::At(-735_160)));
    for bad in ["", "2020-13-01", "2020-00-01", "2020-01-32", "2020-1-01", "20-01-01", "01/02/2020"]
    {
        assert_eq!(date(bad), None, "{bad}");
    }
    let stamp = |s: &str| both(s, text::timestamp);
    assert_eq!(stamp("1970-01-01 00:00:00.5"), Some(Moment::At(500_000)));
    assert_eq!(stamp("-infinity"), Some(Moment::MinusInfinity));
    for bad in [
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2020-01-01 00:00:60",
        "2020-01-01 00:60:00",
        "2020-01-01 00:00:00.",
        "2020-01-01 00:00:00.1234567",
        "2020-01-01 00:00:00+00",
        "294277-01-01 00:00:00",
    ] {
        assert_eq!(stamp(bad), None, "{bad}");
    }
    let zoned = |s: &str| both(s, text::timestamp_tz);
    assert_eq!(zoned("1970-01-01 05:30:00+05:30"), Some(Moment::At(0)));
    assert_eq!(zoned("1969-12-31 19:03:58.000001-04:56:02"), Some(Moment::At(1)));
    assert_eq!(zoned("1970-01-01 00:00:00"), None);
    assert_eq!(both("24:00:00", text::time), Some(text::DAY_US));
    assert_eq!(both("24:00:00.1", text::time), None);
    assert_eq!(text::double(b"NaN").map(f64::is_nan), Some(true));
    assert_eq!(text::double(b"-Infinity"), Some(f64::NEG_INFINITY));
    assert_eq!(text::float(b"1e+20"), Some(1e20));
    for bad in ["nan", "inf", "infinity", "", "1_0", "0x1"] {
        assert_eq!(text::double(bad.as_bytes()).map(f64::to_bits), None, "{bad}");
    }
}

// ---------------------------------------------------------------- rows

/// A call of the visitor, with what it was given.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Null(usize),
    Absent(usize),
    Unchanged(usize),
    Value(usize, String),
}

#[derive(Default)]
struct Record(Vec<Call>);

impl Record {
    fn value(&mut self, col: usize, value: impl std::fmt::Debug) {
        self.0.push(Call::Value(col, format!("{value:?}")));
    }

    fn span(&mut self, col: usize, what: &str, seg: &[u8], at: usize, len: usize) {
        let cell = String::from_utf8_lossy(&seg[at..at + len]).into_owned();
        self.value(col, (what, cell));
    }
}

impl RowVisitor for Record {
    fn null(&mut self, col: usize) {
        self.0.push(Call::Null(col));
    }
    fn absent(&mut self, col: usize) {
        self.0.push(Call::Absent(col));
    }
    fn unchanged(&mut self, col: usize) {
        self.0.push(Call::Unchanged(col));
    }
    fn bool(&mut self, col: usize, value: bool) {
        self.value(col, value);
    }
    fn int(&mut self, col: usize, value: i64) {
        self.value(col, ("int", value));
    }
    fn uint(&mut self, col: usize, value: u64) {
        self.value(col, ("uint", value));
    }
    fn float(&mut self, col: usize, value: f32) {
        self.value(col, value);
    }
    fn double(&mut self, col: usize, value: f64) {
        self.value(col, value);
    }
    fn decimal(&mut self, col: usize, unscaled: i64, scale: u32) {
        self.value(col, ("decimal", unscaled, scale));
    }
    fn decimal_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "decimal", seg, at, len);
    }
    fn text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "text", seg, at, len);
    }
    fn packed(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "packed", seg, at, len);
    }
    fn bytes(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "bytes", seg, at, len);
    }
    fn date(&mut self, col: usize, days: i32) {
        self.value(col, ("days", days));
    }
    fn time(&mut self, col: usize, micros: i64) {
        self.value(col, ("time", micros));
    }
    fn datetime(&mut self, col: usize, micros: i64) {
        self.value(col, ("datetime", micros));
    }
    fn timestamp(&mut self, col: usize, micros: i64) {
        self.value(col, ("timestamp", micros));
    }
    fn zero_date(&mut self, col: usize) {
        self.value(col, "zero");
    }
    fn json_binary(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "json binary", seg, at, len);
    }
    fn json_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "json", seg, at, len);
    }
}

impl TextVisitor for Record {
    fn special(&mut self, col: usize, seg: &[u8], at: usize, len: usize) -> Result<(), WireError> {
        self.span(col, "special", seg, at, len);
        Ok(())
    }
    fn int_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "int", seg, at, len);
    }
    fn float_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize, whole: bool) {
        self.span(col, if whole { "whole float" } else { "float" }, seg, at, len);
    }
    fn decimal_special(&mut self, col: usize, special: DecimalSpecial) {
        self.value(col, special);
    }
    fn infinite(&mut self, col: usize, negative: bool) {
        self.value(col, ("infinite", negative));
    }
    fn time_tz(&mut self, col: usize, micros: i64) {
        self.value(col, ("timetz", micros));
    }
    fn bytes_hex(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "hex", seg, at, len);
    }
    fn bits_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "bits", seg, at, len);
    }
    fn uuid_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.span(col, "uuid", seg, at, len);
    }
}

fn types() -> Vec<(ColumnType, &'static [&'static str])> {
    let text = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    vec![
        (ColumnType::Bool, &["t", "f"]),
        (ColumnType::Int { bits: 64, unsigned: false }, &["0", "-9223372036854775808", "42"]),
        (ColumnType::Float { widened: false }, &["1.5", "1e+20", "NaN", "-0"]),
        (ColumnType::Double, &["123.25", "5e-324", "Infinity", "0"]),
        (ColumnType::Decimal { precision: 12, scale: 2 }, &["1.50", "-0.01", "NaN"]),
        (ColumnType::DecimalVariable, &["1.500", "123456789012345678901234567890", "-Infinity"]),
        (text, &["", "häß \"x\"", "a\nb"]),
        (ColumnType::Bytes { length_bytes: 0, fixed: None }, &["\\x", "\\x00ff"]),
        (ColumnType::Date, &["2020-02-29", "infinity", "0044-03-15 BC"]),
        (ColumnType::Time { digits: 6 }, &["24:00:00", "01:02:03.5"]),
        (ColumnType::TimeTz { digits: 6 }, &["11:51:30.123789+00", "00:00:00-01"]),
        (ColumnType::DateTime { digits: 6 }, &["2020-01-01 00:00:00", "-infinity"]),
        (ColumnType::Timestamp { digits: 6 }, &["2020-01-01 00:00:00.25+00", "infinity"]),
        (ColumnType::Json { length_bytes: 0 }, &["{\"a\": 1}"]),
        (ColumnType::Uuid, &["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]),
        (ColumnType::Bit { bits: 0 }, &["", "101"]),
    ]
}

fn schema(types: Vec<ColumnType>) -> TableSchema {
    let column = |(i, ty)| Column {
        name: format!("c{i}"),
        ty,
        nullable: true,
        default: None,
        included: true,
    };
    TableSchema {
        table: TableId(1),
        version: 1,
        name: TableName { database: "d".into(), schema: "s".into(), table: "t".into() },
        columns: types.into_iter().enumerate().map(column).collect(),
        key: vec![0],
        identity: vec![0],
        replica_identity: b'd',
        period: None,
    }
}

/// One row in both forms; `None` is NULL.
fn forms(cells: &[Option<&str>]) -> (Vec<u8>, Vec<u8>) {
    let count = u16::try_from(cells.len()).expect("few cells").to_be_bytes();
    let (mut tuple, mut row) = (count.to_vec(), count.to_vec());
    for cell in cells {
        match cell {
            None => {
                tuple.push(b'n');
                row.extend((-1_i32).to_be_bytes());
            }
            Some(cell) => {
                let len = i32::try_from(cell.len()).expect("short cell").to_be_bytes();
                tuple.push(b't');
                for form in [&mut tuple, &mut row] {
                    form.extend(len);
                    form.extend(cell.as_bytes());
                }
            }
        }
    }
    (tuple, row)
}

/// Cells for all types, chosen by `pick`.
fn sample(pick: &[usize]) -> (TableSchema, Vec<Option<&'static str>>) {
    let types = types();
    let cells = types.iter().zip(pick).map(|((_, texts), &i)| texts.get(i % (texts.len() + 1)));
    let cells = cells.map(|cell| cell.copied()).collect();
    (schema(types.into_iter().map(|(ty, _)| ty).collect()), cells)
}

proptest! {
    #[test]
    fn both_row_forms_make_the_same_calls(pick in proptest::collection::vec(0..4_usize, 16)) {
        // Goal: invariant 8 at the walker. Method: one row as TupleData and as DataRow.
        let (schema, cells) = sample(&pick);
        let rows = RowReader::new(&schema, |_| true);
        let (tuple, row) = forms(&cells);
        let (mut a, mut b) = (Record::default(), Record::default());
        prop_assert_eq!(walk_tuple(&rows, &tuple, 0, tuple.len(), Image::Whole, None, &mut a), Ok(tuple.len()));
        prop_assert_eq!(walk_data_row(&rows, &row, 0, row.len(), &mut b), Ok(()));
        prop_assert_eq!(&a.0, &b.0);
        prop_assert_eq!(a.0.len(), cells.len());
        for len in 0..tuple.len() {
            let cut = &tuple[..len];
            prop_assert!(walk_tuple(&rows, cut, 0, len, Image::Whole, None, &mut Record::default()).is_err());
            // The same with the segment going on behind the frame.
            prop_assert!(walk_tuple(&rows, &tuple, 0, len, Image::Whole, None, &mut Record::default()).is_err());
        }
        for len in 0..row.len() {
            prop_assert!(walk_data_row(&rows, &row[..len], 0, len, &mut Record::default()).is_err());
            prop_assert!(walk_data_row(&rows, &row, 0, len, &mut Record::default()).is_err());
        }
    }

    #[test]
    fn bent_rows_never_panic(pick in proptest::collection::vec(0..4_usize, 16), bends in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        // Goal: hostile rows are refused or read. Method: overwrite bytes of valid ones.
        let (schema, cells) = sample(&pick);
        let rows = RowReader::new(&schema, |_| true);
        let (mut tuple, mut row) = forms(&cells);
        for (at, byte) in bends {
            let (i, j) = (at % tuple.len(), at % row.len());
            (tuple[i], row[j]) = (byte, byte);
        }
        let end = tuple.len();
        let _ = walk_tuple(&rows, &tuple, 0, end, Image::Identity, None, &mut Record::default());
        let _ = walk_data_row(&rows, &row, 0, row.len(), &mut Record::default());
        let mut new = 16_u16.to_be_bytes().to_vec();
        new.extend([b'u'; 16]);
        let old = Some(OldRow::new(0, end));
        tuple.extend(&new);
        let _ = walk_tuple(&rows, &tuple, end, end + new.len(), Image::Whole, old, &mut Record::default());
    }
}

#[test]
fn null_absent_and_unchanged_are_three_states() {
    // Goal: invariant 9. Method: an identity tuple ('K') and a whole one with unchanged TOAST.
    let text = || ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    let rows = RowReader::new(&schema(vec![text(), text(), text()]), |_| true);
    let tuple = b"\0\x03nnu";
    let mut whole = Record::default();
    walk_tuple(&rows, tuple, 0, tuple.len(), Image::Whole, None, &mut whole).expect("well-formed");
    assert_eq!(whole.0, [Call::Null(0), Call::Null(1), Call::Unchanged(2)]);
    let mut key = Record::default();
    walk_tuple(&rows, tuple, 0, tuple.len(), Image::Identity, None, &mut key).expect("well-formed");
    assert_eq!(key.0, [Call::Null(0), Call::Absent(1), Call::Unchanged(2)]);
}

#[test]
fn unchanged_values_are_taken_from_the_old_row() {
    // Goal: under FULL an unchanged value is the old one; where there is none it stays unchanged.
    // Method: old and new row one behind the other in a segment.
    let text = || ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    let rows = RowReader::new(&schema(vec![text(), text(), text(), text()]), |_| true);
    let seg = b"\0\x04t\0\0\0\x01aunt\0\0\0\x02bc\0\x04uuuu";
    let old = seg.len() - 6;
    let mut new = Record::default();
    let old_row = Some(OldRow::new(0, old));
    let end = walk_tuple(&rows, seg, old, seg.len(), Image::Whole, old_row, &mut new);
    assert_eq!(end, Ok(seg.len()));
    let text = |cell: &str| format!("{:?}", ("text", cell.to_string()));
    let want = [
        Call::Value(0, text("a")),
        Call::Unchanged(1),
        Call::Unchanged(2),
        Call::Value(3, text("bc")),
    ];
    assert_eq!(new.0, want);
}

#[test]
fn columns_that_nobody_wants_are_stepped_over() {
    // Goal: a filtered column of a type that is not decoded stops nothing. Method: one such.
    let unknown = ColumnType::Unsupported { name: "point".into() };
    let mut schema = schema(vec![ColumnType::Bool, unknown]);
    let (tuple, row) = forms(&[Some("t"), Some("(1,2)")]);
    let walk = |schema: &TableSchema| {
        let (mut a, mut b) = (Record::default(), Record::default());
        let rows = RowReader::new(schema, |col| schema.columns[col].included);
        let one = walk_tuple(&rows, &tuple, 0, tuple.len(), Image::Whole, None, &mut a);
        let two = walk_data_row(&rows, &row, 0, row.len(), &mut b);
        (one.is_ok(), two.is_ok(), a.0 == b.0)
    };
    assert_eq!(walk(&schema), (false, false, true));
    schema.columns[1].included = false;
    assert_eq!(walk(&schema), (true, true, true));
}
