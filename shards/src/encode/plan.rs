//! Plans: what depends on the schema and the options alone, compiled once per table version.
//!
//! Enters: `TableSchema`, `EncodeOptions`. Leaves: per column the text before its value, how its
//! value is written, and what stands for NULL, for "no value" and for unchanged TOAST; the key's
//! parts. Keeps: rows read plans, they never build text that a plan could hold.

use std::sync::Arc;

use penstock_protocol::postgres::default::placeholder;
use penstock_protocol::schema::{
    Charset, Column, ColumnType, DefaultValue, OldTemporal, SourceKind, TableSchema, UnknownForm,
};

use super::defaults;
use super::number::NUMBER_BYTES_MAX;
use super::options::{
    BinaryHandling, Connector, ConvertingFailure, DecimalHandling, EncodeOptions, HstoreHandling,
    IntervalHandling, TimePrecision,
};
use super::placeholder::{Placeholder, unchanged_text};
use super::rules::CellRule;
use super::special::Special;
use super::temporal::TEMPORAL_BYTES_MAX;
use super::text::{Binary, High, Out, escaped, put_binary, put_string};

/// Columns of one key at most; index parts are 16 on MySQL and 32 on PostgreSQL.
pub(crate) const KEY_COLUMNS_MAX: usize = 63;
/// Slot of cells that belong to no key.
pub(crate) const NO_SLOT: u8 = 63;

/// Short constant text, written with one constant-size store where it fits.
#[derive(Clone, Debug)]
pub(crate) struct Short {
    text: [u8; 32],
    len: usize,
    long: Box<[u8]>,
}

impl Short {
    /// Prepares `text`.
    pub fn new(text: &[u8]) -> Self {
        let mut short = Self { text: [0; 32], len: text.len(), long: Box::default() };
        match short.text.get_mut(..text.len()) {
            Some(start) => start.copy_from_slice(text),
            None => short.long = text.into(),
        }
        short
    }

    /// Writes it.
    #[inline(always)]
    pub fn put(&self, out: &mut Out) {
        if self.len <= 32 {
            out.pad(&self.text, self.len);
        } else {
            out.exact(&self.long);
        }
    }

    /// Its bytes.
    fn get(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or(&self.long)
    }

    fn len(&self) -> usize {
        self.len.max(32)
    }
}

/// How a column's value is written. One variant a form; parameters are in [`Cell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A number, as it is.
    Integer,
    /// BIGINT UNSIGNED as Decimal(20,0).
    UnsignedPrecise,
    /// true, false.
    Bool,
    /// Bits as little-endian bytes, `size` of them.
    Bits,
    /// A label by its index.
    Enum,
    /// Labels by a mask.
    Set,
    /// Java float.
    Float,
    /// Java double.
    Double,
    /// base64 of the unscaled value.
    DecimalBase64,
    /// The nearest double.
    DecimalDouble,
    /// Plain notation.
    DecimalString,
    /// `{"scale":n,"value":base64}`.
    DecimalVariable,
    /// A string in `high`'s character set.
    Text(High),
    /// A string in a character set that is not based on ASCII.
    Wide(Charset),
    /// Binary, padded with zeros to `size`.
    Bytes(Binary),
    /// Days.
    Days,
    /// ISO date.
    IsoDate,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// ISO time or timestamp, zeros trimmed.
    Iso,
    /// ISO instant with exactly `digits`.
    Zoned,
    /// A JSON document as a string.
    Json,
    /// MariaDB: 16 bytes as text.
    Uuid,
    /// By `special`.
    Special,
    /// MariaDB: 4 or 16 bytes (`size`) as the text of an address.
    Inet,
    /// `{"wkb":…,"srid":…}`.
    Geometry,
    /// `{"x":…,"y":…,"wkb":…,"srid":…}`.
    Point,
    /// `[1.0,…]`.
    Vector,
    /// No row with this column can be written.
    Unsupported,
}

/// One column of one table version.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// `,"name":`; empty if the cell is written for the key alone.
    pub before: Short,
    /// How its value is written.
    pub format: Format,
    /// Where the span of its text is remembered: its place in the key, or [`NO_SLOT`].
    pub slot: u8,
    /// Fractional digits of a time.
    pub digits: u8,
    /// `enable_time_adjuster`, and a type that it is for.
    pub adjusts_years: bool,
    /// Written at all (in the value, or for the key); else the walker steps over it.
    pub wanted: bool,
    /// Bytes of bits, of an address; width of BINARY(n).
    pub size: u32,
    /// A value that a record cannot tell becomes what stands for NULL; else it is an error.
    pub tolerant: bool,
    /// Form of PostgreSQL's rarer types.
    pub special: Option<Box<Special>>,
    /// Bytes that a value of a COMPRESSED column may have.
    pub packed_max: u32,
    /// Labels of ENUM and SET, escaped.
    pub labels: Box<[Box<[u8]>]>,
    /// What stands for NULL, for a zero date and for a column without value.
    pub null: Short,
    /// What stands for unchanged TOAST, and in MySQL's row images for a value that the log does not
    /// hold; none: nothing can.
    pub unchanged: Option<Short>,
    /// What an insert that leaves the column out has given it (MySQL's MINIMAL and NOBLOB images).
    pub omitted: Short,
    /// That is its value, not a placeholder.
    pub omitted_is_known: bool,
    /// What happens to its text before it is told.
    pub rule: Option<Box<CellRule>>,
}

impl Cell {
    /// The cell's values and constants come under a rule; its text is none for a key any more.
    fn put_under(&mut self, rule: &CellRule, column: &Column) {
        let under = |text: &Short, mapped| Short::new(&rule.constant(text.get(), mapped));
        self.null = under(&self.null, !column.nullable);
        self.unchanged = self.unchanged.as_ref().map(|text| under(text, true));
        self.omitted = under(&self.omitted, true);
        self.rule = Some(Box::new(rule.clone()));
        self.slot = NO_SLOT;
    }
}

/// A record key: its constant parts, in key order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    /// `{"id":`, `,"b":`; part `i` is followed by the text in slot `i`.
    pub parts: Vec<Short>,
}

/// All that rows of one table version need, for any source.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The version it was compiled from.
    pub schema: Arc<TableSchema>,
    /// Index of the topic.
    pub topic: u32,
    /// Cells of the value, in column order.
    pub cells: Vec<Cell>,
    /// Cells of the key alone, if a key column is not part of the value: such rows are walked
    /// twice, and the second time only these are written.
    pub outside: Option<Vec<Cell>>,
    /// The key; no parts: none.
    pub key: Key,
    /// Room that a row's parts of constant size need, one image and one key.
    pub margin: usize,
    /// `skip_messages_without_change`.
    pub skip_unchanged: bool,
    /// The first reason for which no row can be written.
    pub refused: Option<String>,
}

impl Plan {
    /// Compiles a table version. `topic`: its index.
    pub fn compile(schema: Arc<TableSchema>, options: &EncodeOptions, topic: u32) -> Self {
        let slot = |col: usize| {
            let place = schema.key.iter().position(|&key| usize::from(key) == col);
            place.map_or(NO_SLOT, |place| place.min(usize::from(NO_SLOT)) as u8)
        };
        let mut refused = None;
        if schema.key.len() > KEY_COLUMNS_MAX {
            refused = Some(format!("a key of {} columns", schema.key.len()));
        }
        let mut first = true;
        let mut cells = Vec::with_capacity(schema.columns.len());
        for (col, column) in schema.columns.iter().enumerate() {
            let mut cell = compile_cell(column, options, slot(col));
            let told = is_told(&column.ty, options);
            if !told && cell.slot != NO_SLOT && refused.is_none() {
                refused = Some(format!(
                    "key column {:?} has type {}, which records leave out; set \
                     include_unknown_datatypes = true",
                    column.name,
                    type_name(&column.ty)
                ));
            }
            if column.included && told {
                if let Some(rule) = options.columns.of(&schema.name, column) {
                    cell.put_under(rule, column);
                }
                let comma = if first { "" } else { "," };
                let mut before = format!("{comma}\"").into_bytes();
                before.extend(escaped(&options.field_name_adjustment.field(&column.name)));
                before.extend(b"\":");
                cell.before = Short::new(&before);
                first = false;
                if let (ColumnType::Unsupported { name }, None) = (&column.ty, &refused) {
                    refused = Some(format!("column {:?} has type {name}", column.name));
                }
                if let (Some(Charset::Other(id)), None) = (charset_of(&column.ty), &refused) {
                    refused = Some(format!(
                        "column {:?} has a character set that is not decoded (collation id {id})",
                        column.name
                    ));
                }
            }
            cell.wanted = column.included && told;
            cells.push(cell);
        }
        let key_outside = schema.key.iter().any(|&col| {
            let ruled = cells.get(usize::from(col)).is_some_and(|cell| cell.rule.is_some());
            ruled || schema.columns.get(usize::from(col)).is_some_and(|column| !column.included)
        });
        // Keys are told as they are, whatever rule their columns are under.
        let outside = key_outside.then(|| {
            let cell = |(col, column)| {
                let mut cell = compile_cell(column, options, slot(col));
                cell.wanted = cell.slot != NO_SLOT;
                cell
            };
            schema.columns.iter().enumerate().map(cell).collect()
        });
        let key = Key { parts: key_parts(&schema, options) };
        let margin = margin(&cells) + key.parts.iter().map(Short::len).sum::<usize>() + 256;
        let skip_unchanged = options.skip_messages_without_change;
        Self { schema, topic, cells, outside, key, margin, skip_unchanged, refused }
    }
}

impl Plan {
    /// The same that writes keys alone, and refuses what it refused.
    pub fn without_values(self, options: &EncodeOptions) -> Self {
        let mut schema = TableSchema::clone(&self.schema);
        for (col, column) in schema.columns.iter_mut().enumerate() {
            column.included &= schema.key.iter().any(|&key| usize::from(key) == col);
        }
        let plan = Self::compile(Arc::new(schema), options, self.topic);
        Self { refused: self.refused, ..plan }
    }
}

/// False if records leave columns of this type out: Debezium has no form for it.
fn is_told(ty: &ColumnType, options: &EncodeOptions) -> bool {
    let ty = if let ColumnType::Array { element, .. } = ty { element } else { ty };
    match ty {
        ColumnType::Unknown { form: UnknownForm::Never, .. } => false,
        ColumnType::Unknown { .. } => options.include_unknown_datatypes,
        _ => true,
    }
}

fn type_name(ty: &ColumnType) -> &str {
    match ty {
        ColumnType::Unknown { name, .. } => name,
        ColumnType::Array { element, .. } => type_name(element),
        _ => "of no form",
    }
}

/// The character set that a type's values are in.
fn charset_of(ty: &ColumnType) -> Option<Charset> {
    match ty {
        ColumnType::Text { charset, .. } => Some(*charset),
        ColumnType::Compressed { charset, .. } => *charset,
        _ => None,
    }
}

fn key_parts(schema: &TableSchema, options: &EncodeOptions) -> Vec<Short> {
    let part = |(i, &col): (usize, &u16)| {
        let name = schema.columns.get(usize::from(col)).map_or("", |column| &column.name);
        let mut text = if i == 0 { b"{\"".to_vec() } else { b",\"".to_vec() };
        text.extend(escaped(&options.field_name_adjustment.field(name)));
        text.extend(b"\":");
        Short::new(&text)
    };
    schema.key.iter().enumerate().map(part).collect()
}

/// The most that the cells' parts of constant size take.
fn margin(cells: &[Cell]) -> usize {
    let scalar = NUMBER_BYTES_MAX.max(TEMPORAL_BYTES_MAX).max(64);
    let labels = |cell: &Cell| cell.labels.iter().map(|label| label.len() + 1).sum::<usize>();
    let of = |cell: &Cell| {
        let unchanged = cell.unchanged.as_ref().map_or(0, Short::len);
        let constant = cell.null.len().max(unchanged).max(cell.omitted.len());
        cell.before.len() + constant.max(scalar).max(labels(cell)) + 8
    };
    cells.iter().map(of).sum()
}

fn compile_cell(column: &Column, options: &EncodeOptions, slot: u8) -> Cell {
    let (size, labels) = match &column.ty {
        ColumnType::Bytes { fixed, .. } => (fixed.unwrap_or(0), None),
        ColumnType::Bit { bits } => (u32::from(bits.div_ceil(8)), None),
        ColumnType::Inet { bytes } => (u32::from(*bytes), None),
        // The log of PostgreSQL holds the label itself.
        ColumnType::Enum { bytes: 0, .. } => (0, None),
        ColumnType::Enum { labels, .. } | ColumnType::Set { labels, .. } => (0, Some(labels)),
        _ => (0, None),
    };
    let labels = labels.into_iter().flat_map(|labels| labels.iter());
    let mut cell = Cell {
        before: Short::new(b""),
        format: format_of(&column.ty, options),
        slot,
        digits: digits_of(&column.ty),
        adjusts_years: options.time_adjuster
            && options.connector != Connector::Postgres
            && matches!(
                column.ty,
                ColumnType::Date
                    | ColumnType::DateTime { .. }
                    | ColumnType::Old(OldTemporal::DateTime)
            ),
        wanted: true,
        size,
        tolerant: column.nullable && options.converting_failure != ConvertingFailure::Fail,
        special: Special::of(&column.ty, options, |ty| element_cell(ty, options)).map(Box::new),
        packed_max: match &column.ty {
            ColumnType::Compressed { max, .. } => *max,
            _ => 0,
        },
        labels: labels.map(|label| escaped(label).into()).collect(),
        null: Short::new(b"null"),
        unchanged: None,
        omitted: Short::new(b"null"),
        omitted_is_known: false,
        rule: None,
    };
    cell.null = Short::new(&null_text(column, &cell, options));
    if options.connector == Connector::Postgres {
        let placeholder = Placeholder::new(&options.unavailable_value_placeholder);
        let unchanged = unchanged_text(&column.ty, cell.format, options, &placeholder);
        cell.unchanged = unchanged.map(|text| Short::new(&text));
        return cell;
    }
    let unavailable = unavailable_text(cell.format, options);
    let omitted = omitted_text(column, &cell, options);
    cell.omitted_is_known = omitted.is_some();
    cell.omitted = Short::new(omitted.as_ref().unwrap_or(&unavailable));
    cell.unchanged = Some(Short::new(&unavailable));
    cell
}

/// What an insert gives a column that it does not name, where that is certain: the servers log the
/// results of expressions and clocks, so that what they leave out is a literal, or NULL.
fn omitted_text(column: &Column, cell: &Cell, options: &EncodeOptions) -> Option<Vec<u8>> {
    match &column.default {
        Some(DefaultValue::Text(text)) => defaults::render(column, cell, text, options),
        Some(DefaultValue::Placeholder | DefaultValue::Unknown) => None,
        None if column.nullable => Some(b"null".to_vec()),
        None => {
            // Without a strict sql_mode: the type's implicit default.
            let implicit = match &column.ty {
                ColumnType::Int { .. }
                | ColumnType::Float { .. }
                | ColumnType::Double
                | ColumnType::Decimal { .. } => "0",
                ColumnType::Text { .. } | ColumnType::Bytes { .. } => "",
                ColumnType::Enum { labels, .. } => labels.first()?,
                _ => return None,
            };
            defaults::render(column, cell, implicit, options)
        }
    }
}

/// What stands for a value that MySQL's log does not hold, by the form of the column's values.
fn unavailable_text(format: Format, options: &EncodeOptions) -> Vec<u8> {
    let placeholder = options.unavailable_value_placeholder.as_bytes();
    let mut padded = placeholder.to_vec();
    padded.resize(placeholder.len() + 64, 0);
    let mut out = Out::small(6 * placeholder.len() + 64);
    match format {
        Format::Text(_)
        | Format::Json
        | Format::Uuid
        | Format::Enum
        | Format::Set
        | Format::DecimalString
        | Format::Zoned
        | Format::Iso
        | Format::IsoDate
        | Format::Bytes(Binary::Hex) => {
            put_string(&mut out, &padded, 0, placeholder.len(), High::Utf8);
        }
        Format::Bytes(form) => put_binary(&mut out, placeholder, 0, form),
        _ => out.exact(b"null"),
    }
    let (buf, end) = out.finish();
    buf.get(..end).unwrap_or_default().to_vec()
}

/// The cell of an array's elements. None of them is tolerated that cannot be converted: the array
/// as a whole is not.
pub(crate) fn element_cell(ty: &ColumnType, options: &EncodeOptions) -> Cell {
    let column = Column {
        name: String::new(),
        ty: ty.clone(),
        nullable: false,
        default: None,
        included: true,
    };
    compile_cell(&column, options, NO_SLOT)
}

/// `binary_handling_mode` as text in JSON.
pub(crate) fn binary_form(mode: BinaryHandling) -> Binary {
    match mode {
        BinaryHandling::Bytes | BinaryHandling::Base64 => Binary::Base64,
        BinaryHandling::Base64UrlSafe => Binary::Base64Url,
        BinaryHandling::Hex => Binary::Hex,
    }
}

/// The form of a type's values under these options (ENVELOPE section 4).
fn format_of(ty: &ColumnType, options: &EncodeOptions) -> Format {
    let mode = options.time_precision.unwrap_or(match options.connector {
        Connector::Postgres => TimePrecision::Adaptive,
        Connector::MySql | Connector::MariaDb => TimePrecision::AdaptiveTimeMicroseconds,
    });
    let by_digits = |digits: u8| match digits {
        0..=3 => Format::Millis,
        4..=6 => Format::Micros,
        _ => Format::Nanos,
    };
    let fixed_mode = |adaptive: Format| match mode {
        TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds => adaptive,
        TimePrecision::Microseconds => Format::Micros,
        TimePrecision::Nanoseconds => Format::Nanos,
        TimePrecision::Connect => Format::Millis,
        TimePrecision::IsoString => Format::Iso,
    };
    match ty {
        ColumnType::Bool | ColumnType::Bit { bits: 1 } => Format::Bool,
        ColumnType::Bit { .. } => Format::Bits,
        ColumnType::Int { bits: 64, unsigned: true } if options.bigint_unsigned_precise => {
            Format::UnsignedPrecise
        }
        ColumnType::Int { .. } | ColumnType::Year => Format::Integer,
        ColumnType::Float { widened: false } => Format::Float,
        ColumnType::Float { widened: true } | ColumnType::Double => Format::Double,
        ColumnType::Decimal { .. } => match options.decimal {
            DecimalHandling::Precise => Format::DecimalBase64,
            DecimalHandling::Double => Format::DecimalDouble,
            DecimalHandling::String => Format::DecimalString,
        },
        ColumnType::DecimalVariable => match options.decimal {
            DecimalHandling::Precise => Format::DecimalVariable,
            DecimalHandling::Double => Format::DecimalDouble,
            DecimalHandling::String => Format::DecimalString,
        },
        ColumnType::Text { charset, .. }
        | ColumnType::Compressed { charset: Some(charset), .. } => text_format(*charset),
        ColumnType::NamedText { .. } | ColumnType::Enum { bytes: 0, .. } => {
            Format::Text(High::Utf8)
        }
        ColumnType::Unsupported { .. } => Format::Unsupported,
        ColumnType::Money { .. }
        | ColumnType::Interval
        | ColumnType::Hstore
        | ColumnType::PgPoint
        | ColumnType::PgGeometry { .. }
        | ColumnType::PgVector { .. }
        | ColumnType::SparseVector
        | ColumnType::Array { .. }
        | ColumnType::Unknown { .. } => Format::Special,
        ColumnType::Bytes { .. } | ColumnType::Compressed { charset: None, .. } => {
            Format::Bytes(binary_form(options.binary))
        }
        ColumnType::Geometry { point: false, .. } => Format::Geometry,
        ColumnType::Geometry { point: true, .. } => Format::Point,
        ColumnType::Vector { .. } => Format::Vector,
        ColumnType::Inet { .. } => Format::Inet,
        ColumnType::Date if mode == TimePrecision::IsoString => Format::IsoDate,
        ColumnType::Date => Format::Days,
        ColumnType::Time { .. } | ColumnType::Old(OldTemporal::Time) => fixed_mode(match mode {
            TimePrecision::AdaptiveTimeMicroseconds => Format::Micros,
            _ => by_digits(digits_of(ty)),
        }),
        ColumnType::DateTime { .. } | ColumnType::Old(OldTemporal::DateTime) => {
            fixed_mode(by_digits(digits_of(ty)))
        }
        ColumnType::Timestamp { .. } | ColumnType::Old(OldTemporal::Timestamp) => Format::Zoned,
        ColumnType::TimeTz { .. } => Format::Iso,
        ColumnType::Json { .. } => Format::Json,
        ColumnType::Uuid => Format::Uuid,
        ColumnType::Enum { .. } => Format::Enum,
        ColumnType::Set { .. } => Format::Set,
    }
}

/// Text as it stands in the log; a snapshot's is UTF-8 always.
fn text_format(charset: Charset) -> Format {
    match charset {
        Charset::Utf8 => Format::Text(High::Utf8),
        Charset::Other(_) => Format::Unsupported,
        charset if charset.is_ascii_based() => Format::Text(High::Set(charset)),
        charset => Format::Wide(charset),
    }
}

/// Fractional digits of a temporal type.
fn digits_of(ty: &ColumnType) -> u8 {
    match ty {
        ColumnType::Time { digits }
        | ColumnType::TimeTz { digits }
        | ColumnType::DateTime { digits }
        | ColumnType::Timestamp { digits } => *digits,
        _ => 0,
    }
}

/// What a NULL prints (ENVELOPE sections 0 and 2): in a nullable column the default, if the sink
/// wants that, else null; in a column that cannot be NULL the default or the type's fallback.
fn null_text(column: &Column, cell: &Cell, options: &EncodeOptions) -> Vec<u8> {
    let fallback = || fallback_text(&column.ty, cell.format, options);
    let default = || match column.default.as_ref()? {
        DefaultValue::Placeholder if options.connector == Connector::Postgres => {
            defaults::render(column, cell, &placeholder(&column.ty), options)
        }
        DefaultValue::Placeholder => Some(fallback()),
        DefaultValue::Unknown => None,
        DefaultValue::Text(text) => defaults::render(column, cell, text, options),
    };
    if !column.nullable {
        return default().unwrap_or_else(fallback);
    }
    let shown = if options.replace_null_with_default { default() } else { None };
    shown.unwrap_or_else(|| b"null".to_vec())
}

/// The value that stands in a NOT NULL column without value (ENVELOPE section 2).
fn fallback_text(ty: &ColumnType, format: Format, options: &EncodeOptions) -> Vec<u8> {
    let mysql = options.connector != Connector::Postgres;
    if format == Format::Special {
        return special_fallback(ty, options).into_bytes();
    }
    let text = match (ty, format) {
        (ColumnType::Decimal { scale, .. }, Format::DecimalString) if *scale > 0 => {
            format!("\"0.{}\"", "0".repeat(usize::from(*scale)))
        }
        (_, Format::DecimalString) => "\"0\"".into(),
        (ColumnType::Json { .. }, _) if mysql => "\"{}\"".into(),
        (
            ColumnType::TimeTz { .. }
            | ColumnType::Time { .. }
            | ColumnType::Old(OldTemporal::Time),
            Format::Iso,
        ) => "\"00:00:00Z\"".into(),
        (_, Format::Iso | Format::Zoned) => "\"1970-01-01T00:00:00Z\"".into(),
        (_, Format::IsoDate) => "\"1970-01-01Z\"".into(),
        (_, Format::Bool) => "false".into(),
        (_, Format::Vector) => "[]".into(),
        // GEOMETRYCOLLECTION EMPTY, and POINT(0 0).
        (_, Format::Geometry) => "{\"wkb\":\"AQcAAAAAAAAA\",\"srid\":null}".into(),
        (_, Format::Point) => "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\
                               \"srid\":null}"
            .into(),
        (_, Format::Float | Format::Double | Format::DecimalDouble) => "0.0".into(),
        (_, Format::DecimalBase64 | Format::UnsignedPrecise) => "\"AA==\"".into(),
        (_, Format::DecimalVariable) => "{\"scale\":0,\"value\":\"AA==\"}".into(),
        (_, Format::Integer | Format::Days | Format::Millis | Format::Micros | Format::Nanos) => {
            "0".into()
        }
        _ => "\"\"".to_string(),
    };
    text.into_bytes()
}

/// The same of PostgreSQL's rarer types.
fn special_fallback(ty: &ColumnType, options: &EncodeOptions) -> String {
    const ZERO_POINT: &str =
        r#"{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}"#;
    match (ty, options.decimal) {
        (ColumnType::Money { .. }, DecimalHandling::Double) => "0.0".into(),
        (ColumnType::Money { .. }, DecimalHandling::Precise) => "\"AA==\"".into(),
        (ColumnType::Money { .. }, DecimalHandling::String) => {
            match usize::from(options.money_fraction_digits) {
                0 => "\"0\"".into(),
                digits => format!("\"0.{}\"", "0".repeat(digits)),
            }
        }
        (ColumnType::Interval, _) if options.interval == IntervalHandling::Numeric => "0".into(),
        (ColumnType::Interval, _) => "\"P0Y0M0DT0H0M0S\"".into(),
        (ColumnType::Hstore, _) if options.hstore == HstoreHandling::Json => "\"{}\"".into(),
        (ColumnType::Hstore, _) => "{}".into(),
        (ColumnType::PgPoint, _) => ZERO_POINT.into(),
        (ColumnType::PgGeometry { .. }, _) => r#"{"wkb":"AQcAAAAAAAAA","srid":null}"#.into(),
        (ColumnType::SparseVector, _) => r#"{"dimensions":0,"vector":[]}"#.into(),
        (ColumnType::PgVector { .. } | ColumnType::Array { .. }, _) => "[]".into(),
        _ => "\"\"".into(),
    }
}

/// The connector's own word for the source, and which rules hold.
pub(crate) fn connector_name(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::MySql => "mysql",
        SourceKind::MariaDb => "mariadb",
        SourceKind::Postgres => "postgresql",
    }
}
