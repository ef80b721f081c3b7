//! PostgreSQL types as the row path decodes them.
//!
//! Enters: a column's type oid and typmod (Relation message) and what the catalogue says about
//! types that are not built in. Leaves: a `ColumnType`. Keeps: a type that is not decoded is
//! `Unsupported` with its name, never a guess (HAZARDS L21).

use alloc::string::{String, ToString};

use crate::schema::{Charset, ColumnType};

/// A row of `pg_type`, as far as decoding depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// Oids of built-in types (`src/include/catalog/pg_type.dat`): fixed for ever.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const XML: u32 = 142;
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const MACADDR8: u32 = 774;
    pub const MACADDR: u32 = 829;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const TIMETZ: u32 = 1266;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// First oid that a cluster gives to objects made after initdb (`FirstNormalObjectId`).
pub const FIRST_NORMAL_OID: u32 = 16_384;

/// Domains over domains are followed this far.
const DOMAIN_DEPTH_MAX: usize = 64;

/// The type of a column. `catalogue` knows the types that are not built in; where it does not know
/// one, or the type is not decoded yet, the result is `Unsupported`.
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
            Some(entry) => return named(entry),
            None => return unsupported(built_in_name(oid), oid),
        }
    }
    unsupported(None, type_oid)
}

fn named(entry: &TypeEntry) -> ColumnType {
    match (entry.typtype, &*entry.name) {
        (b'e', _) | (b'b', "citext") => TEXT,
        _ => ColumnType::Unsupported { name: entry.name.clone() },
    }
}

fn unsupported(name: Option<&str>, oid: u32) -> ColumnType {
    let name = name.map_or_else(|| alloc::format!("type oid {oid}"), ToString::to_string);
    ColumnType::Unsupported { name }
}

const TEXT: ColumnType = ColumnType::Text { length_bytes: 0, charset: Charset::Utf8 };

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
        oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::NAME
        | oid::XML
        | oid::INET
        | oid::CIDR
        | oid::MACADDR
        | oid::MACADDR8 => TEXT,
        oid::BYTEA => ColumnType::Bytes { length_bytes: 0, fixed: None },
        oid::JSON | oid::JSONB => ColumnType::Json { length_bytes: 0 },
        oid::UUID => ColumnType::Uuid,
        oid::DATE => ColumnType::Date,
        oid::TIME => ColumnType::Time { digits: digits(typmod) },
        oid::TIMETZ => ColumnType::TimeTz { digits: digits(typmod) },
        oid::TIMESTAMP => ColumnType::DateTime { digits: digits(typmod) },
        oid::TIMESTAMPTZ => ColumnType::Timestamp { digits: digits(typmod) },
        // 0: varbit without a bound, which is more than one bit.
        oid::BIT | oid::VARBIT => {
            let bits = u16::try_from(typmod.max(0)).unwrap_or(u16::MAX);
            ColumnType::Bit { bits: if oid == oid::BIT { bits.max(1) } else { bits } }
        }
        _ => return None,
    })
}

/// Fractional digits of a time type's typmod; without one, six.
fn digits(typmod: i32) -> u8 {
    u8::try_from(typmod).ok().filter(|&digits| digits <= 6).unwrap_or(6)
}

/// `numeric(p, s)`: typmod − 4 is p in the high half and, since version 15, s in eleven bits with
/// sign (`make_numeric_typmod`). A negative scale is not decoded yet.
fn numeric(typmod: i32) -> ColumnType {
    let Some(packed) = typmod.checked_sub(4).and_then(|packed| u32::try_from(packed).ok()) else {
        return ColumnType::DecimalVariable;
    };
    let (precision, scale) = ((packed >> 16) as u16, (packed & 0x7FF) as u16);
    if scale >= 0x400 {
        return ColumnType::Unsupported { name: "numeric with a negative scale".to_string() };
    }
    ColumnType::Decimal { precision, scale }
}

/// Names of built-in types that are not decoded yet, for the error.
fn built_in_name(oid: u32) -> Option<&'static str> {
    Some(match oid {
        18 => "\"char\"",
        600 => "point",
        601 => "lseg",
        602 => "path",
        603 => "box",
        604 => "polygon",
        628 => "line",
        718 => "circle",
        790 => "money",
        1186 => "interval",
        1790 => "refcursor",
        3220 => "pg_lsn",
        3614 => "tsvector",
        3615 => "tsquery",
        3904 => "int4range",
        3906 => "numrange",
        3908 => "tsrange",
        3910 => "tstzrange",
        3912 => "daterange",
        3926 => "int8range",
        1000 => "boolean[]",
        1005 => "smallint[]",
        1007 => "integer[]",
        1009 => "text[]",
        1015 => "character varying[]",
        1016 => "bigint[]",
        1231 => "numeric[]",
        2951 => "uuid[]",
        199 => "json[]",
        3807 => "jsonb[]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(plain(1700, negative), ColumnType::Unsupported { .. }));
        assert_eq!(plain(600, -1), ColumnType::Unsupported { name: "point".into() });
        assert_eq!(plain(99_999, -1), ColumnType::Unsupported { name: "type oid 99999".into() });
    }

    #[test]
    fn types_of_the_catalogue() {
        // Goal: enums and citext are text, domains are their base with the domain's typmod, a ring
        // of domains ends. Method: entries as pg_type has them.
        let entry = |name: &str, typtype, base, base_typmod| TypeEntry {
            name: name.into(),
            typtype,
            base,
            base_typmod,
        };
        let types = [
            (16_400, entry("mood", b'e', 0, -1)),
            (16_401, entry("citext", b'b', 0, -1)),
            (16_402, entry("price", b'd', 1700, 786_438)),
            (16_403, entry("net_price", b'd', 16_402, -1)),
            (16_404, entry("ring", b'd', 16_404, -1)),
            (16_405, entry("pair", b'c', 0, -1)),
        ];
        let look = |oid| types.iter().find(|(o, _)| *o == oid).map(|(_, entry)| entry);
        assert_eq!(column_type(16_400, -1, look), TEXT);
        assert_eq!(column_type(16_401, -1, look), TEXT);
        let price = ColumnType::Decimal { precision: 12, scale: 2 };
        assert_eq!(column_type(16_402, -1, look), price);
        assert_eq!(column_type(16_403, -1, look), price);
        assert!(matches!(column_type(16_404, -1, look), ColumnType::Unsupported { .. }));
        let pair = ColumnType::Unsupported { name: "pair".into() };
        assert_eq!(column_type(16_405, -1, look), pair);
    }
}
