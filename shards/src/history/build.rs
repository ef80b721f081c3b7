//! From a statement's words to definitions: what is inherited, implied and silently changed.
//!
//! Enters: columns and character sets as written, the session, the table's defaults. Leaves:
//! [`ColumnDefinition`]s. Keeps: the server's own rules (`sql/sql_table.cc`,
//! `mysql_prepare_create_table`), each proved by the differential test; a character set that is not
//! known is an error.

use penstock_protocol::mysql::ddl::change::{
    CharsetClause, ColumnDdl, DataType, DefaultDdl, RowBound, TypeName,
};

use super::collation::{
    binary_collation, charset_name, charset_of, collation_name, collation_of, default_collation,
    mapped_collation, widest,
};
use super::definition::{ColumnDefinition, TableDefinition};
use super::{Reason, Server, Statement};

/// MariaDB's bit for `explicit_defaults_for_timestamp` in a QUERY event's flags.
const OPTION_EXPLICIT_DEF_TIMESTAMP: u32 = 1 << 24;

/// Character set and collation, in that order; empty: not known.
pub(super) type Pair = (String, String);

/// The server and the session by whose rules a statement is read.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) server: Server,
    pub(super) statement: &'a Statement<'a>,
}

pub(super) fn reason(what: &'static str) -> Reason {
    Reason { what, offset: None }
}

impl Rules<'_> {
    /// The default collation of a character set in this session.
    pub(super) fn default_collation(&self, charset: &str) -> &'static str {
        let chosen = match (charset, self.server.mariadb) {
            (_, true) => {
                self.statement.charset_collations.and_then(|map| mapped_collation(map, charset))
            }
            ("utf8mb4", false) => self.statement.utf8mb4_collation.and_then(collation_of),
            _ => None,
        };
        chosen
            .unwrap_or_else(|| default_collation(charset, self.server.mariadb, self.server.version))
    }

    /// A clause, with what is inherited where it is silent.
    pub(super) fn resolve(&self, clause: &CharsetClause, inherited: &Pair) -> Result<Pair, Reason> {
        let default = |name: &Option<String>| {
            name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("default"))
        };
        let charset = match &clause.charset {
            Some(_) if default(&clause.charset) => Some(inherited.0.as_str()),
            Some(name) => Some(charset_name(name).ok_or(reason("a known character set"))?),
            None => None,
        };
        let collation = match &clause.collation {
            None if default(&clause.charset) => return Ok(inherited.clone()),
            None => match charset {
                None => return Ok(inherited.clone()),
                Some(charset) => self.default_collation(charset),
            },
            Some(_) if default(&clause.collation) => {
                self.default_collation(charset.unwrap_or(&inherited.0))
            }
            Some(name) => match collation_name(name) {
                Some(collation) => collation,
                // MariaDB: a collation of several character sets, named without one.
                None => {
                    let charset = charset.unwrap_or(&inherited.0);
                    collation_name(&format!("{charset}_{name}"))
                        .ok_or(reason("a known collation"))?
                }
            },
        };
        let charset = charset_of(collation).ok_or(reason("a known collation"))?;
        Ok((charset.into(), collation.into()))
    }

    /// Whether TIMESTAMP is a type like others, without implicit defaults.
    fn explicit_timestamps(&self) -> bool {
        if let Some(told) = self.statement.explicit_timestamps {
            return told;
        }
        match (self.server.mariadb, self.statement.flags) {
            (true, Some(flags)) if self.server.version >= (10, 8, 0) => {
                flags & OPTION_EXPLICIT_DEF_TIMESTAMP != 0
            }
            (true, _) => self.server.version >= (10, 10, 0),
            (false, _) => self.server.version >= (8, 0, 2),
        }
    }

    /// A column from its definition in a statement. `table`: the defaults that it inherits.
    pub(super) fn column(&self, ddl: &ColumnDdl, table: &Pair) -> Result<ColumnDefinition, Reason> {
        let mut ty = ddl.ty.clone();
        self.charset(&mut ty, table)?;
        sized(&mut ty);
        // Blanks at a label's end go, but for bytes.
        if ty.charset.as_deref() != Some("binary") {
            ty.labels
                .iter_mut()
                .for_each(|label| label.truncate(label.trim_end_matches(' ').len()));
        }
        let mut column = ColumnDefinition {
            name: ddl.name.clone(),
            nullable: ddl.nullable.unwrap_or(true) && ddl.row.is_none(),
            on_update: ddl.on_update,
            generated: ddl.generated.clone(),
            auto_increment: ddl.auto_increment,
            invisible: ddl.invisible,
            comment: ddl.comment.clone().filter(|comment| !comment.is_empty()),
            row: ddl.row,
            json: ddl.json_valid && ty.name == TypeName::LongText,
            implicit: false,
            default: default_of(&ty, ddl.default.as_ref()),
            ty,
        };
        let stamp = column.ty.name == TypeName::Timestamp && ddl.generated.is_none();
        if stamp && ddl.row.is_none() && !self.explicit_timestamps() {
            column.nullable = ddl.nullable == Some(true);
        }
        Ok(column)
    }

    /// Gives a character type its character set and collation; binary ones become binary types.
    fn charset(&self, ty: &mut DataType, table: &Pair) -> Result<(), Reason> {
        let binary = std::mem::take(&mut ty.binary);
        if !ty.name.is_character() {
            (ty.charset, ty.collation) = (None, None);
            return Ok(());
        }
        let clause = CharsetClause { charset: ty.charset.clone(), collation: ty.collation.clone() };
        let (charset, mut collation) = self.resolve(&clause, table)?;
        if charset.is_empty() {
            return Err(reason("the default character set of the database"));
        }
        if binary && ty.collation.is_none() {
            collation = binary_collation(&charset).ok_or(reason("a known collation"))?.into();
        }
        set_charset(ty, &(charset, collation));
        Ok(())
    }

    /// TIMESTAMP's implicit defaults, without `explicit_defaults_for_timestamp`: the first of a
    /// table is kept at "now", the others begin at zero. `fresh`: whether this statement defines
    /// the column.
    pub(super) fn timestamps(
        &self,
        table: &mut TableDefinition,
        mut fresh: impl FnMut(&str) -> bool,
    ) {
        if self.explicit_timestamps() {
            return;
        }
        let mut first = true;
        for column in &mut table.columns {
            if column.ty.name != TypeName::Timestamp || column.row.is_some() {
                continue;
            }
            let bare = !column.nullable && column.default.is_none() && column.generated.is_none();
            if bare && fresh(&column.name) {
                let digits = column.ty.length.unwrap_or_default();
                if first && column.on_update.is_none() {
                    let digits = u8::try_from(digits).unwrap_or_default();
                    column.default = Some(DefaultDdl::Now(digits));
                    column.on_update = Some(digits);
                } else {
                    let dot = if digits > 0 { "." } else { "" };
                    let zeros = "0".repeat(digits.min(6) as usize);
                    let zero = format!("0000-00-00 00:00:00{dot}{zeros}");
                    column.default = Some(DefaultDdl::Text(zero));
                }
            }
            first = false;
        }
    }

    /// CONVERT TO CHARACTER SET: every character column that is not binary. TEXT grows where the
    /// same characters may need more bytes.
    ///
    /// # Errors
    /// ENUM and SET, to or from a character set whose letters are wider than a byte: the servers
    /// then take the labels' bytes for others (seen on MySQL 9.7, MariaDB 10.11 and 11.8).
    pub(super) fn convert(
        &self,
        column: &mut ColumnDefinition,
        to: &Pair,
        existing: bool,
    ) -> Result<(), Reason> {
        let ty = &mut column.ty;
        let set = match &ty.charset {
            Some(charset) if charset != "binary" => charset,
            _ => return Ok(()),
        };
        let from = widest(set);
        let wide = |set: &str| matches!(set, "ucs2" | "utf16" | "utf16le" | "utf32");
        if existing && !ty.labels.is_empty() && *set != to.0 && (wide(set) || wide(&to.0)) {
            return Err(reason("labels of ENUM or SET that no wide character set changed"));
        }
        let text = matches!(
            ty.name,
            TypeName::TinyText | TypeName::Text | TypeName::MediumText | TypeName::LongText
        );
        if text && existing {
            let bytes = blob_bytes(ty.name) / u64::from(from) * u64::from(widest(&to.0));
            let larger = text_for(bytes);
            if blob_bytes(larger) > blob_bytes(ty.name) {
                ty.name = larger;
            }
        }
        set_charset(ty, to);
        sized(ty);
        Ok(())
    }
}

/// The default as the type takes it: NULL is none, text for a number is that number.
pub(super) fn default_of(ty: &DataType, given: Option<&DefaultDdl>) -> Option<DefaultDdl> {
    use TypeName as T;
    let number =
        ty.name.is_integer() || matches!(ty.name, T::Decimal | T::Float | T::Double | T::Year);
    match given? {
        DefaultDdl::Null => None,
        DefaultDdl::Text(text) if number => Some(DefaultDdl::Number(text.clone())),
        DefaultDdl::Number(index) if ty.name == T::Enum => {
            let at = index.parse::<usize>().ok()?.checked_sub(1)?;
            ty.labels.get(at).cloned().map(DefaultDdl::Text)
        }
        DefaultDdl::Number(text) if !number && ty.name != T::Bit && ty.name != T::Set => {
            Some(DefaultDdl::Text(text.clone()))
        }
        other => Some(other.clone()),
    }
}

/// Sets character set and collation; a binary one makes a binary type of it.
pub(super) fn set_charset(ty: &mut DataType, to: &Pair) {
    use TypeName as T;
    if to.0 == "binary" {
        ty.name = match ty.name {
            T::Char => T::Binary,
            T::VarChar => T::VarBinary,
            T::TinyText => T::TinyBlob,
            T::Text => T::Blob,
            T::MediumText => T::MediumBlob,
            T::LongText => T::LongBlob,
            other => other,
        };
    }
    let character = ty.name.is_character();
    ty.charset = character.then(|| to.0.clone());
    ty.collation = character.then(|| to.1.clone());
}

/// TEXT(n), BLOB(n) and a VARCHAR that is too long become the smallest type that holds them (the
/// server refuses the latter in strict mode, and then it is not in the log).
fn sized(ty: &mut DataType) {
    use TypeName as T;
    let wide = ty.charset.as_deref().map_or(1, widest);
    let bytes = u64::from(ty.length.unwrap_or_default()) * u64::from(wide);
    let too_long = bytes > 65_535;
    ty.name = match ty.name {
        T::Text if ty.length.is_some() => text_for(bytes),
        T::Blob if ty.length.is_some() => blob_for(bytes),
        T::VarChar if too_long => text_for(bytes),
        T::VarBinary if too_long => blob_for(bytes),
        _ => return,
    };
    ty.length = None;
}

fn text_for(bytes: u64) -> TypeName {
    match bytes {
        0..=255 => TypeName::TinyText,
        256..=65_535 => TypeName::Text,
        65_536..=16_777_215 => TypeName::MediumText,
        _ => TypeName::LongText,
    }
}

fn blob_for(bytes: u64) -> TypeName {
    match text_for(bytes) {
        TypeName::TinyText => TypeName::TinyBlob,
        TypeName::Text => TypeName::Blob,
        TypeName::MediumText => TypeName::MediumBlob,
        _ => TypeName::LongBlob,
    }
}

fn blob_bytes(name: TypeName) -> u64 {
    match name {
        TypeName::TinyText => 255,
        TypeName::Text => 65_535,
        TypeName::MediumText => 16_777_215,
        _ => 4_294_967_295,
    }
}

/// MariaDB's hidden column for a unique key that is too long for an index.
pub(super) fn row_hash(number: usize, nullable: bool) -> ColumnDefinition {
    ColumnDefinition {
        name: format!("DB_ROW_HASH_{number}"),
        ty: DataType {
            name: TypeName::BigInt,
            written: "BIGINT UNSIGNED".into(),
            unsigned: true,
            ..DataType::default()
        },
        nullable,
        invisible: true,
        implicit: true,
        ..ColumnDefinition::default()
    }
}

/// MariaDB's hidden `row_start` and `row_end`.
pub(super) fn row_bounds() -> [ColumnDefinition; 2] {
    [("row_start", RowBound::Start), ("row_end", RowBound::End)].map(|(name, row)| {
        ColumnDefinition {
            name: name.into(),
            ty: DataType {
                name: TypeName::Timestamp,
                written: "TIMESTAMP".into(),
                length: Some(6),
                ..DataType::default()
            },
            row: Some(row),
            invisible: true,
            implicit: true,
            ..ColumnDefinition::default()
        }
    })
}
