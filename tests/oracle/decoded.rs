//! Against mysql_common, a decoder of other hands: every cell of every capture, and of tables with
//! every type that real servers have just written.
//!
//! Known of it (0.38.2), each seen here:
//! - a signed MEDIUMINT comes without its sign, a TIMESTAMP beyond 2038 with one: put right here;
//! - TIME(1) and TIME(2) below zero with a fraction overflow its subtraction: such an event is lost;
//! - MariaDB's COMPRESSED columns (types 140 and 141) are unknown to it: such a table is lost;
//! - times of before MySQL 5.6 come without a sign and with hours of eight bits: not compared.

use std::any::Any;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mysql_common::binlog::consts::BinlogVersion;
use mysql_common::binlog::events::{EventData, RowsEventData, TableMapEvent};
use mysql_common::binlog::jsondiff::JsonDiff;
use mysql_common::binlog::row::BinlogRow;
use mysql_common::binlog::value::BinlogValue;
use mysql_common::binlog::{BinlogFile, jsonb};
use mysql_common::value::Value as Plain;
use penstock_protocol::schema::{Column, ColumnType};

use crate::cells::{Cell, Change, Image, Rows, days, digits};

/// A rows event of the other decoder: its images, or why it has none.
pub type Decoded = Result<Vec<Image>, String>;

/// Why it may have none: COMPRESSED, and TIME(1) and TIME(2). Another reason may be ours.
pub const PACKED: &str = "Unknown column type 141";
pub const TENTHS: &str = "attempt to subtract with overflow";

/// All rows events of a file; `rows` says what their columns are.
pub fn decode(bytes: &[u8], rows: &[Rows]) -> Vec<Decoded> {
    let mut file =
        BinlogFile::new(BinlogVersion::Version4, BufReader::new(bytes)).expect("a binlog");
    let mut decoded = Vec::new();
    while let Some(event) = file.next() {
        let event = event.expect("an event");
        if !matches!(event.header().event_type_raw(), 23..=25 | 30..=32 | 39) {
            continue;
        }
        let Some(EventData::RowsEvent(data)) = event.read_data().expect("a rows event") else {
            panic!("not a rows event");
        };
        let table = file.reader().get_tme(data.table_id()).expect("a table map");
        let columns = &rows[decoded.len()].schema.columns;
        let images = catch_unwind(AssertUnwindSafe(|| images(&data, table, columns)));
        decoded.push(images.unwrap_or_else(|panic| Err(words(&*panic))));
    }
    decoded
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn images(data: &RowsEventData<'_>, table: &TableMapEvent<'_>, columns: &[Column]) -> Decoded {
    let mut images = Vec::new();
    for row in data.rows(table) {
        let (before, after) = row.map_err(|error| error.to_string())?;
        let sides = [(before, data.columns_before_image()), (after, data.columns_after_image())];
        for (row, present) in sides {
            if let (Some(row), Some(present)) = (row, present) {
                let present: Vec<bool> = present.iter().map(|bit| *bit).collect();
                images.push(image(row, &present, columns)?);
            }
        }
    }
    Ok(images)
}

fn image(row: BinlogRow, present: &[bool], columns: &[Column]) -> Result<Image, String> {
    let mut values = row.unwrap().into_iter();
    columns
        .iter()
        .zip(present)
        .map(|(column, present)| match present {
            false => Ok(Cell::Absent),
            true => cell(values.next().expect("a value"), &column.ty),
        })
        .collect()
}

fn cell(value: BinlogValue<'_>, ty: &ColumnType) -> Result<Cell, String> {
    let value = match value {
        BinlogValue::Value(value) => value,
        BinlogValue::Jsonb(document) => return json(document),
        BinlogValue::JsonDiff(changes) => {
            let change = |change: &JsonDiff<'_>| -> Result<Change, String> {
                let value = change.value().map(|value| dom(value.clone())).transpose()?;
                Ok((change.operation() as u8, change.path().to_vec(), value))
            };
            return Ok(Cell::Changes(changes.iter().map(change).collect::<Result<_, _>>()?));
        }
    };
    Ok(match value {
        Plain::NULL => Cell::Null,
        Plain::Int(n) => match ty {
            ColumnType::Timestamp { .. } | ColumnType::Old(_) => instant(&n.to_string()),
            ColumnType::Int { bits: 24, unsigned: false } if n >= 1 << 23 => {
                Cell::Number((n - (1 << 24)).into())
            }
            _ => Cell::Number(n.into()),
        },
        Plain::UInt(n) => Cell::Number(n.into()),
        Plain::Float(x) => Cell::Single(x.to_bits()),
        Plain::Double(x) => Cell::Double(x.to_bits()),
        Plain::Time(negative, day, hour, minute, second, micros) => {
            let hours = i64::from(day) * 24 + i64::from(hour);
            let seconds = hours * 3600 + i64::from(minute) * 60 + i64::from(second);
            let micros = seconds * 1_000_000 + i64::from(micros);
            Cell::Time(if negative { -micros } else { micros })
        }
        Plain::Date(_, 0, ..) | Plain::Date(_, _, 0, ..) => Cell::Zero,
        Plain::Date(year, month, day, hour, minute, second, micros) => {
            let days = days(year.into(), month.into(), day.into());
            let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
            match ty {
                ColumnType::Date => Cell::Date(days),
                _ => Cell::Moment((days * 86_400 + seconds) * 1_000_000 + i64::from(micros)),
            }
        }
        Plain::Bytes(bytes) => of_bytes(bytes, ty),
    })
}

/// What it gives as bytes of other types.
fn of_bytes(bytes: Vec<u8>, ty: &ColumnType) -> Cell {
    let text = || std::str::from_utf8(&bytes).expect("digits");
    let folded = |order: &mut dyn Iterator<Item = &u8>| {
        order.fold(0i128, |number, byte| number << 8 | i128::from(*byte))
    };
    match ty {
        ColumnType::Decimal { .. } => Cell::Decimal(digits(text())),
        ColumnType::Year => Cell::Number(text().parse().expect("a year")),
        ColumnType::Timestamp { .. } => instant(text()),
        // BIT from the highest byte, SET from the lowest.
        ColumnType::Bit { .. } => Cell::Number(folded(&mut bytes.iter())),
        ColumnType::Set { .. } => Cell::Number(folded(&mut bytes.iter().rev())),
        _ => Cell::Bytes(bytes),
    }
}

/// An instant of seconds as text, with or without six digits of a fraction.
pub fn instant(text: &str) -> Cell {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = seconds.parse().expect("seconds");
    // A TIMESTAMP has no sign.
    let seconds = seconds & 0xFFFF_FFFF;
    let micros: i64 = format!("{fraction:0<6}").parse().expect("a fraction");
    match seconds * 1_000_000 + micros {
        0 => Cell::Zero,
        micros => Cell::Instant(micros),
    }
}

fn json(document: jsonb::Value<'_>) -> Result<Cell, String> {
    dom(document).map(Cell::Json)
}

fn dom(document: jsonb::Value<'_>) -> Result<serde_json::Value, String> {
    Ok(document.parse().map_err(|error| error.to_string())?.into())
}
