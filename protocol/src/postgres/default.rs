//! Column defaults: what `pg_get_expr(adbin, adrelid)` prints, as the schema default of a record.
//!
//! Enters: the deparsed expression. Leaves: a literal's text, the placeholder for a function or the
//! current time, or none. Keeps: nothing is evaluated; what Debezium 3.6 makes of an expression is
//! made of it here too, for the default stands in every record where the column is NULL (ENVELOPE
//! section 2; Debezium's `PostgresDefaultValueConverter`).

use alloc::string::{String, ToString};

use super::text::{self, Moment};
use super::types::TypeEntry;
use super::values;
use crate::schema::{ColumnType, DefaultValue};

/// True if Debezium reads defaults of this type at all: of domains, bytea, timetz, name, citext,
/// addresses and others it does not. `entry`: what the catalogue says of a type that is not built
/// in.
pub fn has_default(type_oid: u32, entry: Option<&TypeEntry>) -> bool {
    const READ: [u32; 21] = [
        16, 20, 21, 23, 25, 114, 142, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1560,
        1562, 1700, 2950, 3802,
    ];
    READ.contains(&type_oid) || entry.is_some_and(|entry| entry.typtype == b'e')
}

/// The default that the expression `text` gives a column of type `ty`; ask `has_default` first.
///
/// The server prints a literal as `'x'::text`, `42`, `'-7'::integer`, `true`, `B'101'::"bit"`. Of
/// any other expression the first quoted text counts, as in Debezium.
pub fn default_value(text: &str, ty: &ColumnType) -> Option<DefaultValue> {
    if let ColumnType::Enum { .. } = ty {
        return label(text).map(DefaultValue::Text);
    }
    let character = matches!(
        ty,
        ColumnType::Text { .. } | ColumnType::NamedText { .. } | ColumnType::Json { .. }
    );
    let text = if character { text } else { text.trim() };
    if text == "NULL" || text.starts_with("NULL::") {
        return None;
    }
    if is_computed(text) {
        return Some(DefaultValue::Placeholder);
    }
    let value = first_literal(text).unwrap_or_else(|| text.to_string());
    spelled(value, ty).map(DefaultValue::Text)
}

/// A placeholder's text in the output form of the column's type.
pub fn placeholder(ty: &ColumnType) -> String {
    let text = match ty {
        ColumnType::Bool => "f",
        ColumnType::Int { .. } | ColumnType::Float { .. } | ColumnType::Double => "0",
        ColumnType::Decimal { scale, .. } => {
            return scaled("0", usize::from(*scale)).unwrap_or_default();
        }
        ColumnType::DecimalVariable => "0.0",
        ColumnType::Json { .. } => "{}",
        ColumnType::Uuid => "00000000-0000-0000-0000-000000000000",
        ColumnType::Date => "1970-01-01",
        ColumnType::Time { .. } | ColumnType::Interval => "00:00:00",
        ColumnType::DateTime { .. } => "1970-01-01 00:00:00",
        ColumnType::Timestamp { .. } => "1970-01-01 00:00:00+00",
        ColumnType::Bit { .. } => "0",
        _ => "",
    };
    text.to_string()
}

/// A function call, or a column of the clock such as `CURRENT_DATE`.
fn is_computed(text: &str) -> bool {
    const CLOCK: [&str; 5] =
        ["current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"];
    if CLOCK.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return true;
    }
    let text = text.strip_prefix('(').unwrap_or(text);
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_.".contains(b)).count();
    let call = text.get(name..).and_then(|rest| rest.strip_prefix('('));
    name > 0 && call.is_some_and(|rest| rest.contains(')'))
}

/// A literal of an enum, `'sad'::mood`: nothing else is its default.
fn label(text: &str) -> Option<String> {
    let (literal, _) = text.rsplit_once("::")?;
    let ok = literal.len() >= 2 && literal.starts_with('\'') && literal.ends_with('\'');
    if ok { first_literal(literal) } else { None }
}

/// The first text in quotes, doubled quotes made single.
fn first_literal(text: &str) -> Option<String> {
    let (_, body) = text.split_once('\'')?;
    let mut value = String::new();
    let mut rest = body;
    loop {
        let (piece, behind) = rest.split_once('\'')?;
        value.push_str(piece);
        match behind.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some(value),
        }
    }
}

/// A literal in the output form of the column's type; none: it cannot be read as one.
fn spelled(value: String, ty: &ColumnType) -> Option<String> {
    let len = value.len();
    let seg = value.as_bytes();
    let ok = match ty {
        ColumnType::Bool => {
            return Some(if value.eq_ignore_ascii_case("true") { "t" } else { "f" }.into());
        }
        // The shortest digits, as the server prints a value: 1.50 is 1.5.
        ColumnType::Float { .. } => return text::float(seg).map(|x| x.to_string()),
        ColumnType::Double => return text::double(seg).map(|x| x.to_string()),
        ColumnType::Decimal { scale, .. } => return scaled(&value, usize::from(*scale)),
        ColumnType::DecimalVariable => text::decimal_scale(seg).is_some(),
        ColumnType::Int { .. } => text::is_int(seg, 0, len),
        ColumnType::Date => text::date(seg, 0, len).is_some(),
        ColumnType::DateTime { .. } => text::timestamp(seg, 0, len).is_some(),
        ColumnType::Timestamp { .. } => text::timestamp_tz(seg, 0, len).is_some(),
        ColumnType::Time { .. } => text::time(seg, 0, len).is_some(),
        ColumnType::Bit { .. } => seg.iter().all(|b| matches!(b, b'0' | b'1')),
        ColumnType::Uuid => len == 36,
        ColumnType::Interval => matches!(values::interval(seg), Some(Moment::At(_))),
        ColumnType::Text { .. } | ColumnType::NamedText { .. } | ColumnType::Json { .. } => true,
        _ => false,
    };
    ok.then_some(value)
}

/// A decimal literal with exactly `scale` fractional digits; none if that would take rounding.
fn scaled(value: &str, scale: usize) -> Option<String> {
    let digits = text::decimal_scale(value.as_bytes())?;
    let mut text: String = value.into();
    if digits < scale {
        if digits == 0 {
            text.push('.');
        }
        text.extend(core::iter::repeat_n('0', scale - digits));
    } else if digits > scale {
        let cut = text.len() - (digits - scale);
        if text.as_bytes().iter().skip(cut).any(|&b| b != b'0') {
            return None;
        }
        text.truncate(cut - usize::from(scale == 0));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Charset, TextName};

    const TEXT: ColumnType = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    const INT: ColumnType = ColumnType::Int { bits: 32, unsigned: false };

    fn mood() -> ColumnType {
        ColumnType::Enum { bytes: 0, labels: alloc::vec![].into() }
    }

    fn text(value: &str) -> Option<DefaultValue> {
        Some(DefaultValue::Text(value.into()))
    }

    #[test]
    fn literals() {
        // Goal: every form in which the server prints a literal. Method: texts of pg_get_expr.
        let decimal = ColumnType::Decimal { precision: 8, scale: 2 };
        let whole = ColumnType::Decimal { precision: 8, scale: 0 };
        let cases = [
            ("'x'::text", TEXT, text("x")),
            ("'it''s'::character varying", TEXT, text("it's")),
            ("'a::b'::public.\"My Type\"", TEXT, text("a::b")),
            ("''::text", TEXT, text("")),
            ("'abc  '::character(5)", TEXT, text("abc  ")),
            ("42", INT, text("42")),
            ("'-7'::integer", INT, text("-7")),
            ("1.5", decimal.clone(), text("1.50")),
            ("5", decimal.clone(), text("5.00")),
            ("1.500", decimal.clone(), text("1.50")),
            ("1.005", decimal, None),
            ("5.00", whole, text("5")),
            ("'-1.5'::numeric", ColumnType::DecimalVariable, text("-1.5")),
            ("'-1.50'::double precision", ColumnType::Double, text("-1.5")),
            ("true", ColumnType::Bool, text("t")),
            ("false", ColumnType::Bool, text("f")),
            ("'2020-02-03'::date", ColumnType::Date, text("2020-02-03")),
            ("B'101'::\"bit\"", ColumnType::Bit { bits: 3 }, text("101")),
            ("'{\"a\": 1}'::jsonb", ColumnType::Json { length_bytes: 0 }, text("{\"a\": 1}")),
            ("'happy'::mood", mood(), text("happy")),
            ("'it''s::x'::public.\"Mood\"", mood(), text("it's::x")),
            ("my_mood()", mood(), None),
            ("('happy'::text)::mood", mood(), None),
            ("'1 day -02:00:00'::interval", ColumnType::Interval, text("1 day -02:00:00")),
            ("'<a/>'::xml", ColumnType::NamedText { name: TextName::Xml }, text("<a/>")),
            ("NULL::character varying", TEXT, None),
            ("NULL::integer", INT, None),
            ("'\\x00'::bytea", ColumnType::Bytes { length_bytes: 0, fixed: None }, None),
        ];
        for (input, ty, want) in cases {
            assert_eq!(default_value(input, &ty), want, "{input}");
        }
    }

    #[test]
    fn computed_defaults() {
        // Goal: functions and the clock are placeholders, other expressions are what Debezium makes
        // of them. Method: texts of pg_get_expr, and hostile ones, which must not panic.
        for input in [
            "nextval('t_id_seq'::regclass)",
            "now()",
            "CURRENT_TIMESTAMP",
            "CURRENT_DATE",
            "gen_random_uuid()",
            "(now() + '1 day'::interval)",
            "CURRENT_TIMESTAMP(3)",
            "(random() * (10)::double precision)",
        ] {
            assert_eq!(default_value(input, &INT), Some(DefaultValue::Placeholder), "{input}");
            assert_eq!(default_value(input, &TEXT), Some(DefaultValue::Placeholder), "{input}");
        }
        for input in ["(1 + 2)", "(- 7)", "'unclosed", "((", "", "::", "'", "é(", "1::", "(é"] {
            assert_eq!(default_value(input, &INT), None, "{input}");
        }
        assert_eq!(default_value("('a'::text || 'b'::text)", &TEXT), text("a"));
        assert_eq!(default_value("('now'::text)::date", &ColumnType::Date), None);
        assert_eq!(default_value("(1 = 2)", &ColumnType::Bool), text("f"));
    }

    #[test]
    fn placeholders_are_values_of_their_type() {
        // Goal: a placeholder can be written as a row's value. Method: read it back as a literal.
        let types = [
            ColumnType::Bool,
            INT,
            ColumnType::Double,
            ColumnType::Decimal { precision: 8, scale: 2 },
            ColumnType::DecimalVariable,
            TEXT,
            ColumnType::Json { length_bytes: 0 },
            ColumnType::Uuid,
            ColumnType::Date,
            ColumnType::Time { digits: 6 },
            ColumnType::DateTime { digits: 6 },
            ColumnType::Timestamp { digits: 6 },
            ColumnType::Bit { bits: 8 },
            ColumnType::Interval,
        ];
        for ty in types {
            let value = placeholder(&ty);
            assert!(spelled(value, &ty).is_some(), "{ty:?}");
        }
        assert_eq!(placeholder(&ColumnType::Decimal { precision: 8, scale: 2 }), "0.00");
    }

    #[test]
    fn types_whose_defaults_are_read() {
        // Goal: Debezium's list. Method: members and others.
        let entry = |typtype| TypeEntry { typtype, base: 25, ..TypeEntry::default() };
        assert!(has_default(23, None) && has_default(1184, None));
        assert!(!has_default(17, None) && !has_default(19, None) && !has_default(1266, None));
        assert!(has_default(16_400, Some(&entry(b'e'))));
        assert!(!has_default(16_400, Some(&entry(b'd'))) && !has_default(16_400, None));
    }
}
