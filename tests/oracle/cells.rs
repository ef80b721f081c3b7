//! What our walker reads of a rows event, in a form that other decoders' values can be put in too.
//!
//! Enters: frames of `binlog::frames`. Leaves: images, cell by cell. Keeps: absent, NULL and value
//! are three states; floats are compared by their bits, decimals by their digits.

use std::collections::HashMap;
use std::sync::Arc;

use penstock_protocol::cursor::Cursor;
use penstock_protocol::mysql::images::{CellAt, locate_image, visit_cell};
use penstock_protocol::mysql::json::binary_to_text;
use penstock_protocol::mysql::packet::lenenc_bytes;
use penstock_protocol::mysql::rows::{RowOps, RowsHead};
use penstock_protocol::schema::{ColumnType, TableSchema};
use penstock_protocol::value::RowVisitor;
use serde_json::Value;

use crate::binlog::Input;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not in this image.
    Absent,
    Null,
    /// Integers, YEAR, ENUM's index, masks of SET, BIT.
    Number(i128),
    /// Bits of a FLOAT.
    Single(u32),
    /// Bits of a DOUBLE.
    Double(u64),
    /// As [`digits`] gives them.
    Decimal(String),
    Bytes(Vec<u8>),
    /// Microseconds of a TIME.
    Time(i64),
    /// Days since 1970.
    Date(i64),
    /// Microseconds since 1970 of a DATETIME …
    Moment(i64),
    /// … and of a TIMESTAMP.
    Instant(i64),
    /// A date that is zero or has a part that is.
    Zero,
    Json(Value),
    /// Changes of a JSON document: operation, path, new value.
    Changes(Vec<Change>),
    /// Of a tool: a FLOAT of six digits …
    Rounded(f64),
    /// … a VECTOR of such …
    Floats(Vec<f64>),
    /// … a document that is no container, without quotes …
    Scalar(String),
    /// … and what it cannot print.
    Unprinted,
}

/// REPLACE is 0, INSERT 1, REMOVE 2.
pub type Change = (u8, Vec<u8>, Option<Value>);

/// One image.
pub type Image = Vec<Cell>;

/// A rows event: its table and its images, before and after in turn.
pub struct Rows {
    pub schema: Arc<TableSchema>,
    pub images: Vec<Image>,
}

/// A decimal without leading zeros and without the sign of zero.
pub fn digits(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let zero = rest.bytes().all(|byte| byte == b'0' || byte == b'.');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if zero { "" } else { sign })
}

/// Days from 1970-01-01 to a day of the proleptic calendar.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March.
    let y = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + of_year - 719_468
}

/// Whether two cells say the same; documents by their meaning.
pub fn alike(ours: &Cell, theirs: &Cell) -> bool {
    match (ours, theirs) {
        (Cell::Json(ours), Cell::Json(theirs)) => same_document(ours, theirs),
        (Cell::Json(Value::String(ours)), Cell::Scalar(theirs)) => {
            let (ours, theirs) = (Value::from(&**ours), Value::from(&**theirs));
            same_document(&ours, &theirs)
        }
        (Cell::Json(ours), Cell::Scalar(theirs)) => {
            serde_json::from_str(theirs).is_ok_and(|theirs| same_document(ours, &theirs))
        }
        // A tool's: as functions over lines.
        (Cell::Changes(_), Cell::Changes(theirs)) if theirs.is_empty() => true,
        (Cell::Single(bits), Cell::Rounded(theirs)) => six_digits(f32::from_bits(*bits), *theirs),
        (Cell::Bytes(ours), Cell::Floats(theirs)) => {
            let (ours, rest) = ours.as_chunks();
            let mut pairs = ours.iter().zip(theirs);
            rest.is_empty()
                && ours.len() == theirs.len()
                && pairs.all(|(&four, &theirs)| six_digits(f32::from_le_bytes(four), theirs))
        }
        // Counted by the tests.
        (_, Cell::Unprinted) => true,
        _ => ours == theirs,
    }
}

fn six_digits(ours: f32, theirs: f64) -> bool {
    format!("{ours:.5e}").parse() == Ok(theirs)
}

/// Numbers by value. What JSON has no form for: our text is Debezium's (decimals are numbers, opaque
/// values bare base64, times without the zeros of their fraction), others print the server's.
fn same_document(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same_document(a, b))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, value): (&String, &Value)| {
                theirs.get(key).is_some_and(|theirs| same_document(value, theirs))
            };
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits)
        }
        (Value::Number(ours), Value::String(decimal)) => {
            ours.as_f64() == decimal.parse::<f64>().ok()
        }
        (Value::String(ours), Value::String(theirs)) if ours != theirs => {
            let opaque = theirs.strip_prefix("base64:type").and_then(|rest| rest.split_once(':'));
            let time = theirs.trim_end_matches('0').trim_end_matches('.');
            opaque.is_some_and(|(_, base64)| ours == base64) || theirs.contains('.') && ours == time
        }
        _ => ours == theirs,
    }
}

/// All rows events of a file.
pub fn ours(bytes: &[u8], inputs: &[Input]) -> Vec<Rows> {
    // Loads of constant size may run past the last event.
    let mut padded = bytes.to_vec();
    padded.extend([0; 16]);
    let mut schemas = HashMap::new();
    inputs
        .iter()
        .map(|input| {
            if let Some(schema) = &input.schema {
                schemas.insert(schema.table.0, Arc::clone(schema));
            }
            let schema = Arc::clone(&schemas[&input.frame.head.table.0]);
            let images = images(&padded, input, &schema);
            Rows { schema, images }
        })
        .collect()
}

fn images(bytes: &[u8], input: &Input, schema: &TableSchema) -> Vec<Image> {
    let ops = RowOps::new(schema.columns.iter().map(|column| &column.ty), |_| true);
    let (start, len) = (input.frame.head.offset as usize, input.frame.head.len as usize);
    let head = RowsHead::parse(input.frame.head.format, bytes, start).expect("a head");
    head.matches(&ops).expect("the table's columns");
    let (mut images, mut places, mut at) = (Vec::new(), Vec::new(), head.rows_at);
    while at < start + len {
        for number in 0..head.images {
            let end = locate_image(&ops, &head, number, bytes, at, &mut places);
            at = end.unwrap_or_else(|error| panic!("{}: {error:?}", schema.name.table));
            let mut visitor = Visitor { cells: vec![Cell::Absent; ops.len()], schema };
            for (col, place) in places.iter().enumerate() {
                match *place {
                    CellAt::Absent => {}
                    CellAt::Null => visitor.cells[col] = Cell::Null,
                    CellAt::Changes(at, len) => {
                        visitor.cells[col] = Cell::Changes(changes(&bytes[at..at + len]));
                    }
                    CellAt::Value(at) => {
                        visit_cell(&ops, col, bytes, at, &mut visitor).expect("a value");
                    }
                }
            }
            images.push(visitor.cells);
        }
    }
    assert_eq!(at, start + len, "{}: the event's end", schema.name.table);
    images
}

fn changes(bytes: &[u8]) -> Vec<Change> {
    let (mut c, mut changes) = (Cursor::new(bytes), Vec::new());
    while !c.is_empty() {
        let operation = c.u8().expect("an operation");
        let path = lenenc_bytes(&mut c).expect("a path").to_vec();
        let new = (operation < 2).then(|| document(lenenc_bytes(&mut c).expect("a document")));
        changes.push((operation, path, new));
    }
    changes
}

fn document(bytes: &[u8]) -> Value {
    let mut text = Vec::new();
    binary_to_text(bytes, &mut text).expect("a document");
    serde_json::from_slice(&text).expect("JSON")
}

struct Visitor<'a> {
    cells: Image,
    schema: &'a TableSchema,
}

impl Visitor<'_> {
    fn set(&mut self, col: usize, cell: Cell) {
        assert_eq!(self.cells[col], Cell::Absent, "column {col} comes once");
        self.cells[col] = cell;
    }
}

impl RowVisitor for Visitor<'_> {
    fn null(&mut self, col: usize) {
        self.set(col, Cell::Null);
    }
    fn absent(&mut self, _: usize) {}
    fn unchanged(&mut self, _: usize) {
        unreachable!("PostgreSQL's");
    }
    fn bool(&mut self, _: usize, _: bool) {
        unreachable!("PostgreSQL's");
    }
    fn int(&mut self, col: usize, value: i64) {
        self.set(col, Cell::Number(value.into()));
    }
    fn uint(&mut self, col: usize, value: u64) {
        self.set(col, Cell::Number(value.into()));
    }
    fn float(&mut self, col: usize, value: f32) {
        self.set(col, Cell::Single(value.to_bits()));
    }
    fn double(&mut self, col: usize, value: f64) {
        self.set(col, Cell::Double(value.to_bits()));
    }
    fn decimal(&mut self, col: usize, unscaled: i64, scale: u32) {
        let text = format!("{:0width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = text.split_at(text.len() - scale as usize);
        let sign = if unscaled < 0 { "-" } else { "" };
        self.set(col, Cell::Decimal(digits(&format!("{sign}{whole}.{fraction}"))));
    }
    fn decimal_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let text = std::str::from_utf8(&seg[at..at + len]).expect("digits");
        self.set(col, Cell::Decimal(digits(text)));
    }
    fn text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.set(col, Cell::Bytes(seg[at..at + len].to_vec()));
    }
    fn bytes(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.set(col, Cell::Bytes(seg[at..at + len].to_vec()));
    }
    fn packed(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        self.set(col, Cell::Bytes(seg[at..at + len].to_vec()));
    }
    fn date(&mut self, col: usize, days: i32) {
        self.set(col, Cell::Date(days.into()));
    }
    fn time(&mut self, col: usize, micros: i64) {
        self.set(col, Cell::Time(micros));
    }
    fn datetime(&mut self, col: usize, micros: i64) {
        self.set(col, Cell::Moment(micros));
    }
    fn timestamp(&mut self, col: usize, micros: i64) {
        self.set(col, Cell::Instant(micros));
    }
    fn zero_date(&mut self, col: usize) {
        self.set(col, Cell::Zero);
    }
    fn json_binary(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        assert!(matches!(self.schema.columns[col].ty, ColumnType::Json { .. }));
        self.set(col, Cell::Json(document(&seg[at..at + len])));
    }
    fn json_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize) {
        let text = &seg[at..at + len];
        self.set(col, Cell::Json(serde_json::from_slice(text).expect("JSON")));
    }
}
