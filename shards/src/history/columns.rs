//! From a definition to what the row path needs.
//!
//! Enters: a [`TableDefinition`], and a TABLE_MAP that does not name its columns. Leaves: the same
//! [`Column`]s that a TABLE_MAP with FULL metadata gives. Keeps: both ways go through
//! `table_map::column_type`; a TABLE_MAP that does not agree column by column, in number, physical
//! type and nullability, is told, never decoded (HAZARDS L22).

use std::sync::Arc;

use penstock_protocol::mysql::ddl::change::{DefaultDdl, RowBound, TypeName};
use penstock_protocol::mysql::table_map::{
    ColumnFacts, MapColumn, TableMap, charset_of_collation, code, column_type,
};
use penstock_protocol::schema::{Column, ColumnType, DefaultValue};

use super::collation::{number_of, widest};
use super::definition::{ColumnDefinition, TableDefinition};

/// Where a TABLE_MAP and a definition do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The column's name; `None`: the number of columns.
    pub column: Option<String>,
}

impl TableDefinition {
    /// The columns behind a TABLE_MAP, in its order. `included`: whether a column of that name is
    /// part of the value.
    ///
    /// # Errors
    /// The definition is not that of this log position.
    pub fn join(
        &self,
        map: &TableMap,
        mariadb: bool,
        included: impl Fn(&str) -> bool,
    ) -> Result<Vec<Column>, Disagreement> {
        if map.columns.len() != self.columns.len() {
            return Err(Disagreement { column: None });
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (defined, logged) in self.columns.iter().zip(&map.columns) {
            // Whether a hash may be NULL depends on the order in which the server made its keys.
            let promised = match defined.physical(mariadb) {
                hash if defined.is_row_hash() => MapColumn { nullable: logged.nullable, ..hash },
                promised => promised,
            };
            if !agrees(&promised, logged) {
                return Err(Disagreement { column: Some(defined.name.clone()) });
            }
            let included = !defined.is_row_hash() && included(&defined.name);
            columns.push(defined.schema(logged, included));
        }
        Ok(columns)
    }

    /// The columns of the log as the definition alone tells them: for a snapshot.
    #[must_use]
    pub fn schema_columns(&self, mariadb: bool, included: impl Fn(&str) -> bool) -> Vec<Column> {
        let shown = |c: &ColumnDefinition| !c.is_row_hash() && included(&c.name);
        let column = |c: &ColumnDefinition| c.schema(&c.physical(mariadb), shown(c));
        self.columns.iter().map(column).collect()
    }
}

/// Whether a logged column is of the kind that a definition promises.
fn agrees(promised: &MapColumn, logged: &MapColumn) -> bool {
    promised.code == logged.code
        && promised.nullable == logged.nullable
        // The length of a COMPRESSED column counts its header, or does not, by version.
        && (promised.meta == logged.meta || matches!(logged.code, 140 | 141))
}

impl ColumnDefinition {
    /// The physical type by which the log shows the column.
    #[must_use]
    pub fn physical(&self, mariadb: bool) -> MapColumn {
        let (code, meta) = self.code(mariadb);
        MapColumn { code, meta, nullable: self.nullable, visible: true, ..MapColumn::default() }
    }

    fn code(&self, mariadb: bool) -> (u8, u16) {
        use TypeName as T;
        let length = self.ty.length.unwrap_or_default();
        let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let octets = short(length.saturating_mul(self.character_bytes()));
        let digits = short(length);
        let blob = |bytes| (if self.ty.compressed { 140 } else { code::BLOB }, bytes);
        let varying = |len| (if self.ty.compressed { 141 } else { code::VARCHAR }, len);
        match self.ty.name {
            T::TinyInt => (code::TINY, 0),
            T::SmallInt => (code::SHORT, 0),
            T::MediumInt => (code::INT24, 0),
            T::Int => (code::LONG, 0),
            T::BigInt => (code::LONGLONG, 0),
            T::Decimal => {
                let scale = short(self.ty.scale.unwrap_or_default());
                (code::NEWDECIMAL, digits & 0xFF | scale << 8)
            }
            T::Float => (code::FLOAT, 4),
            T::Double => (code::DOUBLE, 8),
            T::Bit => (code::BIT, (digits % 8) | ((digits / 8) << 8)),
            T::Char | T::Binary => (code::STRING, octets),
            T::VarChar | T::VarBinary => varying(octets),
            T::TinyText | T::TinyBlob => blob(1),
            T::Text | T::Blob => blob(2),
            T::MediumText | T::MediumBlob => blob(3),
            T::LongText | T::LongBlob | T::XmlType => blob(4),
            T::Enum => (code::ENUM, if self.ty.labels.len() > 255 { 2 } else { 1 }),
            T::Set => {
                let bytes = match self.ty.labels.len().div_ceil(8) {
                    few @ 0..=4 => few.max(1),
                    _ => 8,
                };
                (code::SET, short(u32::try_from(bytes).unwrap_or(8)))
            }
            T::Date => (code::DATE, 0),
            T::Time => (code::TIME2, digits),
            T::DateTime => (code::DATETIME2, digits),
            T::Timestamp => (code::TIMESTAMP2, digits),
            T::Year => (code::YEAR, 0),
            T::Json => (code::JSON, 4),
            T::Vector if mariadb => (code::VARCHAR, short(length.saturating_mul(4))),
            T::Vector => (code::VECTOR, 4),
            T::Uuid | T::Inet6 => (code::STRING, 16),
            T::Inet4 => (code::STRING, 4),
            T::Geometry
            | T::Point
            | T::LineString
            | T::Polygon
            | T::MultiPoint
            | T::MultiLineString
            | T::MultiPolygon
            | T::GeometryCollection => (code::GEOMETRY, 4),
        }
    }

    /// Bytes of the widest character of CHAR and VARCHAR; 1 for binary ones.
    fn character_bytes(&self) -> u32 {
        match &self.ty.charset {
            Some(charset) if self.ty.name.is_character() => widest(charset),
            _ => 1,
        }
    }

    /// What decides the type beside the physical one.
    #[must_use]
    pub fn facts(&self) -> ColumnFacts {
        use TypeName as T;
        let number = self.ty.collation.as_deref().and_then(number_of);
        let charset = match self.ty.name {
            name if name.is_character() => number.map(charset_of_collation),
            T::Binary
            | T::VarBinary
            | T::TinyBlob
            | T::Blob
            | T::MediumBlob
            | T::LongBlob
            | T::Vector => Some(None),
            _ => None,
        };
        let labels = matches!(self.ty.name, T::Enum | T::Set);
        let extension = match self.ty.name {
            T::Uuid => Some("uuid"),
            T::Inet4 => Some("INET4"),
            T::Inet6 => Some("INET6"),
            T::Vector => Some("vector"),
            _ => None,
        };
        ColumnFacts {
            unsigned: Some(self.ty.unsigned),
            charset,
            labels: labels.then(|| Arc::from(self.ty.labels.as_slice())),
            float_widened: self.ty.name == T::Float && self.ty.scale.is_some(),
            fixed: (self.ty.name == T::Binary).then(|| self.ty.length.unwrap_or(1)),
            extension: extension.map(Into::into),
            point: Some(self.ty.name == T::Point),
            ..ColumnFacts::default()
        }
    }

    fn schema(&self, logged: &MapColumn, included: bool) -> Column {
        let ty = column_type(logged, &self.facts());
        let default = self.default_value(&ty);
        Column { name: self.name.clone(), ty, nullable: self.nullable, default, included }
    }

    /// The default that Debezium's schema has (ENVELOPE, section 2): literals as they are, the
    /// epoch for "now" unless a TIMESTAMP may be NULL, none for other expressions.
    fn default_value(&self, ty: &ColumnType) -> Option<DefaultValue> {
        if self.generated.is_some() || self.row.is_some() {
            return None;
        }
        let text = match self.default.as_ref()? {
            DefaultDdl::Null | DefaultDdl::Expression(_) => return None,
            DefaultDdl::Now(_) => {
                let none = self.nullable && matches!(ty, ColumnType::Timestamp { .. });
                return (!none).then_some(DefaultValue::Placeholder);
            }
            DefaultDdl::Text(text) | DefaultDdl::Number(text) => text.clone(),
            DefaultDdl::Bits(digits) => match ty {
                ColumnType::Bit { .. } => format!("b'{digits}'"),
                _ => u64::from_str_radix(digits, 2).ok()?.to_string(),
            },
            DefaultDdl::Hex(digits) => match ty {
                ColumnType::Text { .. } | ColumnType::Bytes { .. } => unhex(digits)?,
                _ => u64::from_str_radix(digits, 16).ok()?.to_string(),
            },
        };
        Some(DefaultValue::Text(text))
    }

    /// Whether it is one of MariaDB's two columns of system versioning.
    #[must_use]
    pub fn is_row_bound(&self, bound: RowBound) -> bool {
        self.row == Some(bound)
    }
}

/// Bytes written as hexadecimal digits, if they are text.
fn unhex(digits: &str) -> Option<String> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pair = |pair: &[u8]| match *pair {
        [a, b] => u8::try_from(digit(a)? << 4 | digit(b)?).ok(),
        _ => None,
    };
    let bytes = digits.as_bytes().chunks(2).map(pair).collect::<Option<Vec<_>>>()?;
    String::from_utf8(bytes).ok()
}
