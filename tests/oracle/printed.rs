//! Against the tool that a server brings for its own log: `mysqlbinlog -vv`, `mariadb-binlog -vv`.
//!
//! ```text
//!  ### UPDATE `db`.`table`         then images: ### WHERE, ### SET
//!  ###   @2=-1 (255) /* TINYINT meta=0 nullable=1 is_null=0 */      a cell; absent ones have no line
//! ```
//! Enters: the tool's lines, our columns' types. Leaves: images. How its forms are read:
//! - integers: it knows no signedness; the number in brackets is the unsigned one;
//! - FLOAT has six digits, in VECTOR too: compared as such; DOUBLE has twenty;
//! - ENUM an index, SET and BIT masks of binary digits (SET's from its lowest byte), TIMESTAMP seconds since 1970;
//! - bytes are quoted, with escapes (MariaDB's escapes control bytes alone, no backslash); a document that is a string has no quotes of its own;
//! - changes of documents are calls of JSON functions over more lines: only that they are there counts.
//!
//! What it cannot print ([`Cell::Unprinted`]): MySQL's tool gives up an event at a spatial value (type
//! 255), with all that follows in it.

use std::path::PathBuf;
use std::process::Command;

use penstock_protocol::schema::{Column, ColumnType, OldTemporal};

use crate::cells::{Cell, Image, Rows, days, digits};
use crate::decoded::instant;

/// Lines of the tool of `server` for a log.
fn print(server: &str, log: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), log).expect("written");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../servers").join(server);
    let tool = if server.starts_with("maria") { "mariadb-binlog" } else { "mysqlbinlog" };
    let options = ["tool", tool, "--no-defaults", "-vv", "--base64-output=DECODE-ROWS"];
    let out = Command::new(script).args(options).arg(file.path()).output().expect("the tool runs");
    assert!(out.status.success(), "{tool}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// Its images, one for each of `rows`.
pub fn images(server: &str, log: &[u8], rows: &[Rows]) -> Vec<Image> {
    let lines = print(server, log);
    let maria = server.starts_with("maria");
    let mut events = rows.iter().flat_map(|event| event.images.iter().map(move |_| event));
    let mut images: Vec<Image> = Vec::new();
    let (mut current, mut at, mut given_up): (&[Column], _, Option<&Rows>) = (&[], &rows[0], None);
    for line in lines.split(|&byte| byte == b'\n') {
        let Some(line) = line.strip_prefix(b"### ") else { continue };
        if line == b"WHERE" || line == b"SET" {
            let mut event = events.next().expect("an image that we do not have");
            while given_up.is_some_and(|given_up| std::ptr::eq(given_up, event)) {
                images.push(vec![Cell::Unprinted; event.schema.columns.len()]);
                event = events.next().expect("an image that we do not have");
            }
            images.push(vec![Cell::Absent; event.schema.columns.len()]);
            (current, given_up) = (&event.schema.columns, None);
            at = event;
        }
        let Some(line) = line.strip_prefix(b"  @") else { continue };
        let equals = line.iter().position(|&byte| byte == b'=').expect("a cell");
        let number = std::str::from_utf8(&line[..equals]).expect("digits");
        let col = number.parse::<usize>().expect("a number") - 1;
        let image = images.last_mut().expect("an image");
        if line[equals + 1..].starts_with(b"!!") {
            image[col..].fill(Cell::Unprinted);
            given_up = Some(at);
        } else {
            image[col] = cell(&line[equals + 1..], &current[col].ty, maria);
        }
    }
    let rest = events.map(|event| {
        assert!(given_up.is_some_and(|given_up| std::ptr::eq(given_up, event)), "unprinted images");
        vec![Cell::Unprinted; event.schema.columns.len()]
    });
    images.extend(rest);
    images
}

fn cell(printed: &[u8], ty: &ColumnType, maria: bool) -> Cell {
    let value = match printed.windows(4).rposition(|four| four == b" /* ") {
        Some(end) => &printed[..end],
        None => printed,
    };
    if value == b"NULL" {
        return Cell::Null;
    }
    if let Some(quoted) = value.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'")) {
        return quoted_cell(unescaped(quoted, maria), ty);
    }
    let text = std::str::from_utf8(value).expect("ASCII").trim_end();
    if let Some(bits) = text.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\'')) {
        let bits = match ty {
            ColumnType::Set { .. } => bits.as_bytes().chunks(8).rev().flatten().collect(),
            _ => bits.as_bytes().iter().collect::<Vec<_>>(),
        };
        return Cell::Number(bits.iter().fold(0, |n, &&bit| n << 1 | i128::from(bit & 1)));
    }
    match ty {
        ColumnType::Int { unsigned, .. } => Cell::Number(integer(text, *unsigned)),
        ColumnType::Year | ColumnType::Enum { .. } => Cell::Number(integer(text, false)),
        ColumnType::Float { .. } => Cell::Rounded(text.parse().expect("a number")),
        ColumnType::Double => Cell::Double(text.parse::<f64>().expect("a number").to_bits()),
        ColumnType::Decimal { .. } => Cell::Decimal(digits(text)),
        ColumnType::Timestamp { .. } | ColumnType::Old(OldTemporal::Timestamp) => instant(text),
        ColumnType::Json { .. } => Cell::Changes(Vec::new()),
        // FLOATs in brackets.
        ColumnType::Vector { .. } => {
            let list = text.trim_start_matches('[').trim_end_matches(']').split(',');
            Cell::Floats(list.map(|number| number.parse().expect("a number")).collect())
        }
        _ => panic!("{text} of {ty:?}"),
    }
}

/// `-1 (255)`: signed, and unsigned where that differs.
fn integer(text: &str, unsigned: bool) -> i128 {
    let (signed, other) = text.split_once(" (").unwrap_or((text, text));
    let text = if unsigned { other.trim_end_matches(')') } else { signed };
    text.parse().expect("an integer")
}

fn quoted_cell(bytes: Vec<u8>, ty: &ColumnType) -> Cell {
    let text = || std::str::from_utf8(&bytes).expect("UTF-8");
    match ty {
        ColumnType::Time { .. } | ColumnType::Old(OldTemporal::Time) => {
            let (sign, rest) = text().strip_prefix('-').map_or((1, text()), |rest| (-1, rest));
            Cell::Time(sign * clock(rest))
        }
        ColumnType::Date | ColumnType::DateTime { .. } | ColumnType::Old(OldTemporal::DateTime) => {
            let (date, time) = text().split_once(' ').unwrap_or((text(), "00:00:00"));
            let parts: Vec<i64> =
                date.split(['-', ':']).map(|part| part.parse().expect("digits")).collect();
            match (parts[1], parts[2], ty) {
                (0, _, _) | (_, 0, _) => Cell::Zero,
                (month, day, ColumnType::Date) => Cell::Date(days(parts[0], month, day)),
                (month, day, _) => {
                    let micros = days(parts[0], month, day) * 86_400_000_000;
                    Cell::Moment(micros + clock(time))
                }
            }
        }
        ColumnType::Json { .. } => match serde_json::from_slice(&bytes) {
            Ok(document @ (serde_json::Value::Array(_) | serde_json::Value::Object(_))) => {
                Cell::Json(document)
            }
            _ => Cell::Scalar(String::from_utf8(bytes).expect("UTF-8")),
        },
        _ => Cell::Bytes(bytes),
    }
}

/// Microseconds of `hours:minutes:seconds.fraction`.
fn clock(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<i64>().expect("digits");
    let seconds = whole.split(':').fold(0, |sum, part| sum * 60 + number(part));
    seconds * 1_000_000 + number(&format!("{fraction:0<6}"))
}

fn unescaped(quoted: &[u8], maria: bool) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), quoted);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let literal = maria && !(tail.starts_with(b"x0") || tail.starts_with(b"x1"));
        if byte != b'\\' || literal {
            bytes.push(byte);
            continue;
        }
        let (&what, tail) = rest.split_first().expect("an escape");
        rest = tail;
        bytes.push(match what {
            b'x' => {
                let hex = std::str::from_utf8(&rest[..2]).expect("digits");
                rest = &rest[2..];
                u8::from_str_radix(hex, 16).expect("hexadecimal")
            }
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'\\' | b'\'' => what,
            _ => panic!("escape \\{}", what as char),
        });
    }
    bytes
}
