//! What a user may choose about the form of records; Debezium's names, meanings and defaults
//! (ENVELOPE: sections 1, 4, 7). Pure data: the encoder compiles it into its plans.

use super::rules::ColumnRules;

/// Options of one encoding. Sinks with equal options share the encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Topic prefix, `source.name`.
    pub name: String,
    /// `topic_delimiter`.
    pub topic_delimiter: String,
    /// `topic_heartbeat_prefix`.
    pub topic_heartbeat_prefix: String,
    /// `topic_heartbeat_name`: the whole topic instead.
    pub topic_heartbeat_name: Option<String>,
    /// `topic_transaction`: what follows the name and the delimiter.
    pub topic_transaction: String,
    /// `time_precision_mode`; `None`: the connector's default (adaptive on PostgreSQL,
    /// adaptive_time_microseconds on MySQL and MariaDB).
    pub time_precision: Option<TimePrecision>,
    /// `enable_time_adjuster` (MySQL, MariaDB): the years 1 to 69 of dates and datetimes are those of
    /// 2001 to 2069, 70 to 99 those of 1970 to 1999.
    pub time_adjuster: bool,
    /// `decimal_handling_mode`.
    pub decimal: DecimalHandling,
    /// `binary_handling_mode`.
    pub binary: BinaryHandling,
    /// `bigint_unsigned_handling_mode` = precise.
    pub bigint_unsigned_precise: bool,
    /// `hstore_handling_mode`.
    pub hstore: HstoreHandling,
    /// `interval_handling_mode`.
    pub interval: IntervalHandling,
    /// `money_fraction_digits`.
    pub money_fraction_digits: u8,
    /// `include_unknown_datatypes`.
    pub include_unknown_datatypes: bool,
    /// `event_converting_failure_handling_mode`.
    pub converting_failure: ConvertingFailure,
    /// `tombstones_on_delete`.
    pub tombstones_on_delete: bool,
    /// `skipped_operations`, as op letters; default `t`.
    pub skipped_operations: Vec<u8>,
    /// `skip_messages_without_change`: an update whose record would have equal before and after is
    /// none. (PostgreSQL has a whole before under REPLICA IDENTITY FULL alone.)
    pub skip_messages_without_change: bool,
    /// `message_key_columns`, `column_truncate_to_…`, `column_mask_…`.
    pub columns: ColumnRules,
    /// `extended_headers_enabled`: `__debezium.context.…`, where a sink writes headers.
    pub extended_headers: bool,
    /// `schema_name_adjustment_mode`: for formats that name schemas; JSON without them has none.
    pub schema_name_adjustment: NameAdjustment,
    /// `field_name_adjustment_mode`: of column names.
    pub field_name_adjustment: NameAdjustment,
    /// `replace_null_with_default` of the sink.
    pub replace_null_with_default: bool,
    /// `unavailable_value_placeholder`; bytes if it begins with `hex:`.
    pub unavailable_value_placeholder: String,
    /// MySQL ZeroDateFallback and so on come with the next issues.
    pub connector: Connector,
}

/// `source.connector`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    /// "mysql"
    MySql,
    /// "mariadb"
    MariaDb,
    /// "postgresql"
    Postgres,
}

/// `time_precision_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePrecision {
    /// adaptive
    Adaptive,
    /// adaptive_time_microseconds
    AdaptiveTimeMicroseconds,
    /// microseconds
    Microseconds,
    /// nanoseconds
    Nanoseconds,
    /// connect
    Connect,
    /// isostring
    IsoString,
}

/// `decimal_handling_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalHandling {
    /// precise: base64 of the unscaled value.
    #[default]
    Precise,
    /// double
    Double,
    /// string
    String,
}

/// `binary_handling_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryHandling {
    /// bytes: base64 in JSON.
    #[default]
    Bytes,
    /// base64
    Base64,
    /// base64-url-safe
    Base64UrlSafe,
    /// hex
    Hex,
}

/// `hstore_handling_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HstoreHandling {
    /// json: an object as text.
    #[default]
    Json,
    /// map: an object.
    Map,
}

/// `interval_handling_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalHandling {
    /// numeric: microseconds, a month being 30.4375 days.
    #[default]
    Numeric,
    /// string: ISO 8601.
    String,
}

/// `event_converting_failure_handling_mode`: what becomes of a value that a record cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConvertingFailure {
    /// warn: the field is null, and that is logged.
    #[default]
    Warn,
    /// skip: the field is null.
    Skip,
    /// fail: the row is an error of its table.
    Fail,
}

/// `schema_name_adjustment_mode` and `field_name_adjustment_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameAdjustment {
    /// none: names as they are.
    #[default]
    None,
    /// avro: what Avro does not allow becomes `_`.
    Avro,
    /// avro_unicode: it becomes `_uXXXX`, and so does `_` itself.
    AvroUnicode,
}

impl NameAdjustment {
    /// A column's name as records have it: letters, digits and `_`, no digit in front.
    pub fn field<'n>(self, name: &'n str) -> std::borrow::Cow<'n, str> {
        let keeps = |at: usize, c: char| match c {
            'A'..='Z' | 'a'..='z' => true,
            '0'..='9' => at > 0,
            '_' => self != Self::AvroUnicode,
            _ => false,
        };
        if self == Self::None || name.char_indices().all(|(at, c)| keeps(at, c)) {
            return name.into();
        }
        let mut adjusted = String::with_capacity(name.len() + 8);
        for (at, c) in name.char_indices() {
            match (self, c) {
                _ if keeps(at, c) => adjusted.push(c),
                // A digit in front gets company, it is not lost.
                (Self::Avro, '0'..='9') => adjusted.extend(['_', c]),
                (Self::Avro, c) => (0..c.len_utf16()).for_each(|_| adjusted.push('_')),
                (_, c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let hex = format!("{unit:x}");
                        // Debezium pads so, and not to four digits.
                        let zeros = if hex.len() <= 2 { "00" } else { "" };
                        adjusted.push_str(&format!("_u{zeros}{hex}"));
                    }
                }
            }
        }
        adjusted.into()
    }
}

impl EncodeOptions {
    /// Debezium's defaults for a pipeline of this name.
    pub fn new(name: impl Into<String>, connector: Connector) -> Self {
        Self {
            name: name.into(),
            topic_delimiter: ".".into(),
            topic_heartbeat_prefix: "__debezium-heartbeat".into(),
            topic_heartbeat_name: None,
            topic_transaction: "transaction".into(),
            time_precision: None,
            time_adjuster: true,
            decimal: DecimalHandling::default(),
            binary: BinaryHandling::default(),
            bigint_unsigned_precise: false,
            hstore: HstoreHandling::default(),
            interval: IntervalHandling::default(),
            money_fraction_digits: 2,
            include_unknown_datatypes: false,
            converting_failure: ConvertingFailure::default(),
            tombstones_on_delete: true,
            skipped_operations: vec![b't'],
            skip_messages_without_change: false,
            columns: ColumnRules::default(),
            extended_headers: true,
            schema_name_adjustment: NameAdjustment::None,
            field_name_adjustment: NameAdjustment::None,
            replace_null_with_default: true,
            unavailable_value_placeholder: "__debezium_unavailable_value".into(),
            connector,
        }
    }
}
