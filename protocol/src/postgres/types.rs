//! PostgreSQL types as the row path decodes them.
//!
//! Enters: a column's type oid and typmod (Relation message) and what the catalogue says about
//! types that are not built in. Leaves: a `ColumnType`. Keeps: a type that is not decoded is
//! `Unsupported` with its name, never a guess (HAZARDS L21).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::schema::{ArrayPlaceholder, Charset, ColumnType, TextName, UnknownForm};

/// A row of `pg_type`, as far as decoding depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeEntry {
    /// `typname`.
    pub name: String,
    /// `typtype`: 'b' base, 'e' enum, 'd' domain, 'c' composite, 'r' range, 'm' multirange,
    /// 'p' pseudo.
    pub typtype: u8,
    /// `typbasetype`: of a domain, the type it is over; else 0.
    pub base: u32,
    /// `typtypmod`: of a domain, the typmod of its base; else −1.
    pub base_typmod: i32,
    /// `typelem` of an array type (`typcategory` 'A'); else 0.
    pub element: u32,
    /// `typdelim`.
    pub delimiter: u8,
    /// Labels of an enum, in order.
    pub labels: Vec<String>,
}

/// Oids of built-in types (`src/include/catalog/pg_type.dat`): fixed for ever.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const OIDVECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const XML: u32 = 142;
    pub const POINT: u32 = 600;
    pub const LSEG: u32 = 601;
    pub const PATH: u32 = 602;
    pub const BOX: u32 = 603;
    pub const POLYGON: u32 = 604;
    pub const LINE: u32 = 628;
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const CIRCLE: u32 = 718;
    pub const MACADDR8: u32 = 774;
    pub const MONEY: u32 = 790;
    pub const MACADDR: u32 = 829;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const TIMETZ: u32 = 1266;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const TSVECTOR: u32 = 3614;
    pub const JSONB: u32 = 3802;
    pub const INT4RANGE: u32 = 3904;
    pub const NUMRANGE: u32 = 3906;
    pub const TSRANGE: u32 = 3908;
    pub const TSTZRANGE: u32 = 3910;
    pub const DATERANGE: u32 = 3912;
    pub const INT8RANGE: u32 = 3926;
}

pub use oid::MONEY as MONEY_OID;

/// First oid that a cluster gives to objects made after initdb (`FirstNormalObjectId`).
pub const FIRST_NORMAL_OID: u32 = 16_384;

/// Domains over domains are followed this far.
const DOMAIN_DEPTH_MAX: usize = 64;

/// True if the type is decoded without asking the catalogue.
pub fn is_built_in(oid: u32) -> bool {
    built_in(oid, -1).is_some()
}

/// The type of a column. `catalogue` knows the types that are not built in; where it does not know
/// one, the result is `Unsupported`. What the catalogue knows and Debezium has no form for is
/// `Unknown`.
pub fn column_type<'a>(
    type_oid: u32,
    typmod: i32,
    catalogue: impl Fn(u32) -> Option<&'a TypeEntry>,
) -> ColumnType {
    let (mut oid, mut typmod) = (type_oid, typmod);
    for _ in 0..DOMAIN_DEPTH_MAX {
        if let Some(ty) = built_in(oid, typmod) {
            return ty;
        }
        match catalogue(oid) {
            Some(entry) if entry.typtype == b'd' => (oid, typmod) = (entry.base, entry.base_typmod),
            Some(entry) if entry.element != 0 => return array_of(entry, typmod, catalogue),
            Some(entry) => return named(entry),
            None => return unsupported(oid),
        }
    }
    unsupported(type_oid)
}

fn unsupported(oid: u32) -> ColumnType {
    ColumnType::Unsupported { name: alloc::format!("type oid {oid}") }
}

const TEXT: ColumnType = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };

/// A type of the catalogue that is no domain and no array. Extensions' types go by their names, as
/// in Debezium: their oids are each database's own.
fn named(entry: &TypeEntry) -> ColumnType {
    match (entry.typtype, &*entry.name) {
        (b'e', _) => ColumnType::Enum { bytes: 0, labels: entry.labels.clone().into() },
        (b'b', "citext" | "isbn") => TEXT,
        (b'b', "ltree") => ColumnType::NamedText { name: TextName::Ltree },
        (b'b', "hstore") => ColumnType::Hstore,
        (b'b', "geometry") => ColumnType::PgGeometry { geography: false },
        (b'b', "geography") => ColumnType::PgGeometry { geography: true },
        (b'b', "vector") => ColumnType::PgVector { half: false },
        (b'b', "halfvec") => ColumnType::PgVector { half: true },
        (b'b', "sparsevec") => ColumnType::SparseVector,
        _ => unknown(&entry.name, UnknownForm::Text),
    }
}

fn unknown(name: &str, form: UnknownForm) -> ColumnType {
    ColumnType::Unknown { name: name.to_string(), form }
}

/// An array whose type is not built in. Of domains Debezium knows no more than their text.
fn array_of<'a>(
    array: &TypeEntry,
    typmod: i32,
    catalogue: impl Fn(u32) -> Option<&'a TypeEntry>,
) -> ColumnType {
    let element = match (built_in(array.element, typmod), catalogue(array.element)) {
        (Some(element), _) => element,
        (None, Some(entry)) if entry.typtype == b'd' => unknown(&entry.name, UnknownForm::Text),
        (None, Some(entry)) => named(entry),
        (None, None) => return unsupported(array.element),
    };
    let nulls = matches!(&*array.name, "_citext" | "_hstore" | "_geometry" | "_geography");
    let delimiter = if array.delimiter == 0 { b',' } else { array.delimiter };
    let placeholder = ArrayPlaceholder::None;
    ColumnType::Array { element: Box::new(element), delimiter, nulls, placeholder }
}

fn built_in(oid: u32, typmod: i32) -> Option<ColumnType> {
    Some(match oid {
        oid::BOOL => ColumnType::Bool,
        oid::INT2 => ColumnType::Int { bits: 16, unsigned: false },
        oid::INT4 => ColumnType::Int { bits: 32, unsigned: false },
        oid::INT8 => ColumnType::Int { bits: 64, unsigned: false },
        oid::OID => ColumnType::Int { bits: 32, unsigned: true },
        oid::FLOAT4 => ColumnType::Float { widened: false },
        oid::FLOAT8 => ColumnType::Double,
        oid::NUMERIC => numeric(typmod),
        oid::MONEY => ColumnType::Money { digits: 2 },
        oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::CHAR
        | oid::NAME
        | oid::INET
        | oid::CIDR
        | oid::MACADDR
        | oid::MACADDR8
        | oid::INT4RANGE
        | oid::NUMRANGE
        | oid::TSRANGE
        | oid::TSTZRANGE
        | oid::DATERANGE
        | oid::INT8RANGE => TEXT,
        oid::XML => ColumnType::NamedText { name: TextName::Xml },
        oid::TSVECTOR => ColumnType::NamedText { name: TextName::Tsvector },
        oid::BYTEA => ColumnType::Bytes { length_bytes: 0, fixed: None },
        oid::JSON | oid::JSONB => ColumnType::Json { length_bytes: 0 },
        oid::UUID => ColumnType::Uuid,
        oid::DATE => ColumnType::Date,
        oid::TIME => ColumnType::Time { digits: digits(typmod) },
        oid::TIMETZ => ColumnType::TimeTz { digits: digits(typmod) },
        oid::TIMESTAMP => ColumnType::DateTime { digits: digits(typmod) },
        oid::TIMESTAMPTZ => ColumnType::Timestamp { digits: digits(typmod) },
        oid::INTERVAL => ColumnType::Interval,
        oid::POINT => ColumnType::PgPoint,
        // 0: varbit without a bound, which is more than one bit.
        oid::BIT | oid::VARBIT => {
            let bits = u16::try_from(typmod.max(0)).unwrap_or(u16::MAX);
            ColumnType::Bit { bits: if oid == oid::BIT { bits.max(1) } else { bits } }
        }
        oid::LSEG => unknown("lseg", UnknownForm::Geometric),
        oid::PATH => unknown("path", UnknownForm::Geometric),
        oid::BOX => unknown("box", UnknownForm::Geometric),
        oid::POLYGON => unknown("polygon", UnknownForm::Geometric),
        oid::LINE => unknown("line", UnknownForm::Geometric),
        oid::CIRCLE => unknown("circle", UnknownForm::Geometric),
        // Arrays by category, but their text is no array's.
        oid::INT2VECTOR => unknown("int2vector", UnknownForm::Text),
        oid::OIDVECTOR => unknown("oidvector", UnknownForm::Text),
        _ => return built_in_array(oid, typmod),
    })
}

/// Arrays that Debezium knows by their oids, and those for which it has no converter.
fn built_in_array(array: u32, typmod: i32) -> Option<ColumnType> {
    use ArrayPlaceholder as P;
    let never = |name: &str| Some(unknown(name, UnknownForm::Never));
    let (element, placeholder) = match array {
        143 => return never("xml[]"),
        791 => return never("money[]"),
        1003 => return never("name[]"),
        1017 => return never("point[]"),
        1187 => return never("interval[]"),
        1563 => return never("bit varying[]"),
        2201 => return never("refcursor[]"),
        199 => (oid::JSON, P::Text),
        629 => (oid::LINE, P::None),
        651 => (oid::CIDR, P::None),
        719 => (oid::CIRCLE, P::None),
        775 => (oid::MACADDR8, P::None),
        1000 => (oid::BOOL, P::None),
        1001 => (oid::BYTEA, P::Bytes),
        1002 => (oid::CHAR, P::None),
        1005 => (oid::INT2, P::None),
        1007 => (oid::INT4, P::Numbers),
        1009 => (oid::TEXT, P::Text),
        1014 => (oid::BPCHAR, P::Text),
        1015 => (oid::VARCHAR, P::Text),
        1016 => (oid::INT8, P::Numbers),
        1018 => (oid::LSEG, P::None),
        1019 => (oid::PATH, P::None),
        1020 => (oid::BOX, P::None),
        1021 => (oid::FLOAT4, P::None),
        1022 => (oid::FLOAT8, P::None),
        1027 => (oid::POLYGON, P::None),
        1028 => (oid::OID, P::None),
        1040 => (oid::MACADDR, P::None),
        1041 => (oid::INET, P::None),
        1115 => (oid::TIMESTAMP, P::None),
        1182 => (oid::DATE, P::Numbers),
        1183 => (oid::TIME, P::None),
        1185 => (oid::TIMESTAMPTZ, P::None),
        1231 => (oid::NUMERIC, P::None),
        1270 => (oid::TIMETZ, P::None),
        1561 => (oid::BIT, P::None),
        2951 => (oid::UUID, P::Uuid),
        3643 => (oid::TSVECTOR, P::None),
        3807 => (oid::JSONB, P::Text),
        3905 => (oid::INT4RANGE, P::None),
        3907 => (oid::NUMRANGE, P::None),
        3909 => (oid::TSRANGE, P::None),
        3911 => (oid::TSTZRANGE, P::None),
        3913 => (oid::DATERANGE, P::None),
        3927 => (oid::INT8RANGE, P::None),
        _ => return None,
    };
    let known = built_in(element, typmod)?;
    let nulls = element != oid::TSVECTOR && !matches!(known, ColumnType::Unknown { .. });
    let delimiter = if element == oid::BOX { b';' } else { b',' };
    Some(ColumnType::Array { element: Box::new(known), delimiter, nulls, placeholder })
}

/// Fractional digits of a time type's typmod; without one, six.
fn digits(typmod: i32) -> u8 {
    u8::try_from(typmod).ok().filter(|&digits| digits <= 6).unwrap_or(6)
}

/// `numeric(p, s)`: typmod − 4 is p in the high half and, since version 15, s in eleven bits with
/// sign (`make_numeric_typmod`). A negative scale rounds to tens and hundreds, which whole numbers
/// tell as they are (Debezium's driver mistakes −2 for 2046).
fn numeric(typmod: i32) -> ColumnType {
    let Some(packed) = typmod.checked_sub(4).and_then(|packed| u32::try_from(packed).ok()) else {
        return ColumnType::DecimalVariable;
    };
    let (precision, scale) = ((packed >> 16) as u16, (packed & 0x7FF) as u16);
    if scale >= 0x400 {
        return ColumnType::Decimal { precision: precision + (0x800 - scale), scale: 0 };
    }
    ColumnType::Decimal { precision, scale }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn plain(oid: u32, typmod: i32) -> ColumnType {
        column_type(oid, typmod, |_| None)
    }

    #[test]
    fn built_in_types() {
        // Goal: typmods mean what the server means. Method: typmods read from pg_attribute.
        assert_eq!(plain(20, -1), ColumnType::Int { bits: 64, unsigned: false });
        assert_eq!(plain(26, -1), ColumnType::Int { bits: 32, unsigned: true });
        assert_eq!(plain(1700, -1), ColumnType::DecimalVariable);
        assert_eq!(plain(1700, 786_438), ColumnType::Decimal { precision: 12, scale: 2 });
        assert_eq!(plain(1700, 196_612), ColumnType::Decimal { precision: 3, scale: 0 });
        assert_eq!(plain(1184, -1), ColumnType::Timestamp { digits: 6 });
        assert_eq!(plain(1184, 0), ColumnType::Timestamp { digits: 0 });
        assert_eq!(plain(1083, 3), ColumnType::Time { digits: 3 });
        assert_eq!(plain(1560, 1), ColumnType::Bit { bits: 1 });
        assert_eq!(plain(1562, -1), ColumnType::Bit { bits: 0 });
        assert_eq!(plain(1043, 14), TEXT);
        let negative = (3 << 16 | 0x7FE) + 4; // numeric(3,-2)
        assert_eq!(plain(1700, negative), ColumnType::Decimal { precision: 5, scale: 0 });
        assert_eq!(plain(600, -1), ColumnType::PgPoint);
        assert_eq!(plain(99_999, -1), ColumnType::Unsupported { name: "type oid 99999".into() });
        let array = |element, nulls, placeholder| ColumnType::Array {
            element: Box::new(element),
            delimiter: b',',
            nulls,
            placeholder,
        };
        let price = ColumnType::Decimal { precision: 12, scale: 2 };
        assert_eq!(plain(1231, 786_438), array(price, true, ArrayPlaceholder::None));
        assert_eq!(plain(1015, 14), array(TEXT, true, ArrayPlaceholder::Text));
        assert_eq!(plain(791, -1), unknown("money[]", UnknownForm::Never));
        assert_eq!(plain(718, -1), unknown("circle", UnknownForm::Geometric));
        assert!(matches!(plain(1020, -1), ColumnType::Array { delimiter: b';', nulls: false, .. }));
        assert!(is_built_in(1184) && !is_built_in(2205) && !is_built_in(16_385));
    }

    #[test]
    fn types_of_the_catalogue() {
        // Goal: types of extensions by name, domains are their base with the domain's typmod, a ring
        // of domains ends, arrays by their elements. Method: entries as pg_type has them.
        let entry = |name: &str, typtype, base, base_typmod| TypeEntry {
            name: name.into(),
            typtype,
            base,
            base_typmod,
            ..TypeEntry::default()
        };
        let array = |name: &str, element| TypeEntry { element, ..entry(name, b'b', 0, -1) };
        let mood = TypeEntry { labels: vec!["sad".into()], ..entry("mood", b'e', 0, -1) };
        let types = [
            (16_400, mood),
            (16_401, entry("citext", b'b', 0, -1)),
            (16_402, entry("price", b'd', 1700, 786_438)),
            (16_403, entry("net_price", b'd', 16_402, -1)),
            (16_404, entry("ring", b'd', 16_404, -1)),
            (16_405, entry("pair", b'c', 0, -1)),
            (16_406, array("_mood", 16_400)),
            (16_407, array("_citext", 16_401)),
            (16_408, array("_price", 16_402)),
            (16_409, entry("prices", b'd', 1231, 786_438)),
            (2205, entry("regclass", b'b', 0, -1)),
            (16_410, array("_gone", 16_411)),
        ];
        let look = |oid| types.iter().find(|(o, _)| *o == oid).map(|(_, entry)| entry);
        let of = |oid| column_type(oid, -1, look);
        let labels = ColumnType::Enum { bytes: 0, labels: vec!["sad".to_string()].into() };
        assert_eq!(of(16_400), labels);
        assert_eq!(of(16_401), TEXT);
        let price = ColumnType::Decimal { precision: 12, scale: 2 };
        assert_eq!(of(16_402), price);
        assert_eq!(of(16_403), price);
        assert!(matches!(of(16_404), ColumnType::Unsupported { .. }));
        assert_eq!(of(16_405), unknown("pair", UnknownForm::Text));
        assert_eq!(of(2205), unknown("regclass", UnknownForm::Text));
        let array = |element, nulls| ColumnType::Array {
            element: Box::new(element),
            delimiter: b',',
            nulls,
            placeholder: ArrayPlaceholder::None,
        };
        assert_eq!(of(16_406), array(labels, false));
        assert_eq!(of(16_407), array(TEXT, true));
        assert_eq!(of(16_408), array(unknown("price", UnknownForm::Text), false));
        assert_eq!(of(16_409), array(price, true));
        assert!(matches!(of(16_410), ColumnType::Unsupported { .. }));
    }
}
