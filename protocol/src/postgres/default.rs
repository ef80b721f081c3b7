//! Column defaults: what `pg_get_expr(adbin, adrelid)` prints, as the schema default of a record.
//!
//! Enters: the deparsed expression. Leaves: a literal's text, the placeholder for anything that is
//! computed, or none for NULL (ENVELOPE section 2). Keeps: nothing is evaluated.

use alloc::string::String;

use crate::schema::{ColumnType, DefaultValue};

/// The default that the expression `text` gives a column of type `ty`.
///
/// The server prints a literal as `'x'::text`, `42`, `'-7'::integer`, `'-1.5'::numeric`, `true`,
/// `NULL::character varying`, `B'101'::"bit"`; `(` `)` around it count for nothing. A function, an
/// operator or a column of the session (`CURRENT_DATE`) is a placeholder.
pub fn default_value(text: &str, ty: &ColumnType) -> Option<DefaultValue> {
    let text = unwrapped(text.trim());
    match literal(text) {
        Some(Literal::Null) => None,
        Some(Literal::Text(value)) => Some(match spelled(value, ty) {
            Some(value) => DefaultValue::Text(value),
            None => DefaultValue::Placeholder,
        }),
        None => Some(DefaultValue::Placeholder),
    }
}

enum Literal {
    Null,
    Text(String),
}

/// Takes pairs of parentheses off that stand around the whole.
fn unwrapped(mut text: &str) -> &str {
    while let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        if closes_early(inner) {
            break;
        }
        text = inner.trim();
    }
    text
}

/// True for `a) + (b`, whose outer parentheses are no pair.
fn closes_early(text: &str) -> bool {
    let (mut depth, mut quoted) = (0_usize, false);
    for byte in text.bytes() {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            _ => {}
        }
    }
    false
}

/// A literal with any number of casts behind it.
fn literal(text: &str) -> Option<Literal> {
    let (value, rest) = constant(text)?;
    only_casts(rest).then_some(value)
}

fn constant(text: &str) -> Option<(Literal, &str)> {
    if let Some(rest) = text.strip_prefix('(') {
        // A negative number under a cast may come as `(-1)::smallint`.
        let (inner, rest) = rest.split_once(')')?;
        let (value, behind) = constant(inner.trim())?;
        return behind.is_empty().then_some((value, rest));
    }
    let body = text.strip_prefix(['B', 'E']).filter(|body| body.starts_with('\''));
    if let Some(body) = body.unwrap_or(text).strip_prefix('\'') {
        let escapes = text.starts_with('E');
        let (value, rest) = quoted(body, escapes)?;
        return Some((Literal::Text(value), rest));
    }
    let word = text.find("::").map_or(text, |end| &text[..end]);
    let rest = &text[word.len()..];
    let value = match word {
        "NULL" => Literal::Null,
        "true" | "false" => Literal::Text(word.into()),
        _ if number(word) => Literal::Text(word.into()),
        _ => return None,
    };
    Some((value, rest))
}

/// The text up to the closing quote, and what is behind it.
fn quoted(body: &str, escapes: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => match chars.peek() {
                Some((_, '\'')) => {
                    chars.next();
                    value.push('\'');
                }
                _ => return Some((value, &body[at + 1..])),
            },
            // The server prints E'' with doubled backslashes and with no other escape.
            '\\' if escapes => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

fn number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && word.parse::<f64>().is_ok()
}

/// `::type` any number of times: type names with spaces, quotes, a schema, a typmod or `[]`.
fn only_casts(mut rest: &str) -> bool {
    while let Some(name) = rest.strip_prefix("::") {
        let end = name.find("::").unwrap_or(name.len());
        let allowed = |c: char| c.is_alphanumeric() || " _\".(),[]$".contains(c);
        if end == 0 || !name[..end].chars().all(allowed) {
            return false;
        }
        rest = &name[end..];
    }
    rest.is_empty()
}

/// A literal in the output form of the column's type; none: only the server could tell it.
fn spelled(value: String, ty: &ColumnType) -> Option<String> {
    let plain = |value: &str| number(value).then(|| value.into());
    match ty {
        ColumnType::Bool => match &*value {
            "true" | "t" => Some("t".into()),
            "false" | "f" => Some("f".into()),
            _ => None,
        },
        ColumnType::Int { .. } => value.parse::<i64>().ok().map(|_| value),
        ColumnType::Float { .. } | ColumnType::Double => plain(&value),
        ColumnType::Decimal { scale, .. } => scaled(&value, usize::from(*scale)),
        ColumnType::DecimalVariable => {
            let ok = super::text::decimal_scale(value.as_bytes()).is_some();
            ok.then_some(value)
        }
        _ => Some(value),
    }
}

/// A decimal literal with exactly `scale` fractional digits; digits to cut mean rounding, which is
/// the server's.
fn scaled(value: &str, scale: usize) -> Option<String> {
    let digits = super::text::decimal_scale(value.as_bytes())?;
    let mut text: String = value.into();
    if digits < scale {
        if digits == 0 {
            text.push('.');
        }
        text.extend(core::iter::repeat_n('0', scale - digits));
    } else if digits > scale {
        let cut = text.len() - (digits - scale);
        if text[cut..].bytes().any(|b| b != b'0') {
            return None;
        }
        text.truncate(cut - usize::from(scale == 0));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Charset;

    const TEXT: ColumnType = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };
    const INT: ColumnType = ColumnType::Int { bits: 32, unsigned: false };

    fn text(value: &str) -> Option<DefaultValue> {
        Some(DefaultValue::Text(value.into()))
    }

    #[test]
    fn literals() {
        // Goal: every form in which the server prints a literal. Method: texts of pg_get_expr.
        let decimal = ColumnType::Decimal { precision: 8, scale: 2 };
        let cases = [
            ("'x'::text", TEXT, text("x")),
            ("'it''s'::character varying", TEXT, text("it's")),
            (r"E'a\\b'::text", TEXT, text(r"a\b")),
            ("'a::b'::public.\"My Type\"", TEXT, text("a::b")),
            ("''::text", TEXT, text("")),
            ("'abc  '::character(5)", TEXT, text("abc  ")),
            ("42", INT, text("42")),
            ("'-7'::integer", INT, text("-7")),
            ("(-7)", INT, text("-7")),
            ("(-7)::smallint", INT, text("-7")),
            ("1.5", decimal.clone(), text("1.50")),
            ("5", decimal.clone(), text("5.00")),
            ("1.500", decimal.clone(), text("1.50")),
            ("'-1.5'::numeric", ColumnType::DecimalVariable, text("-1.5")),
            ("1.005", decimal, Some(DefaultValue::Placeholder)),
            ("'-1.5'::double precision", ColumnType::Double, text("-1.5")),
            ("true", ColumnType::Bool, text("t")),
            ("'2020-02-03'::date", ColumnType::Date, text("2020-02-03")),
            ("B'101'::\"bit\"", ColumnType::Bit { bits: 3 }, text("101")),
            ("'{\"a\": 1}'::jsonb", ColumnType::Json { length_bytes: 0 }, text("{\"a\": 1}")),
            ("'happy'::mood", TEXT, text("happy")),
            ("NULL::character varying", TEXT, None),
            ("NULL", TEXT, None),
        ];
        for (input, ty, want) in cases {
            assert_eq!(default_value(input, &ty), want, "{input}");
        }
    }

    #[test]
    fn computed_defaults_are_placeholders() {
        // Goal: nothing computed is taken for a literal. Method: texts of pg_get_expr, and hostile
        // ones, which must not panic.
        for input in [
            "nextval('t_id_seq'::regclass)",
            "now()",
            "CURRENT_TIMESTAMP",
            "('now'::text)::date + 1",
            "(1 + 2)",
            "gen_random_uuid()",
            "('a'::text || 'b'::text)",
            "'a'::text || 'b'::text",
            "'unclosed",
            "((",
            "",
            "::",
            "(1) + (2)",
            "-",
            "1::",
        ] {
            assert_eq!(default_value(input, &INT), Some(DefaultValue::Placeholder), "{input}");
        }
    }
}
