//! Answers of the command phase.
//!
//! Enters: payloads. Leaves: OK, ERR, EOF, column definitions, text rows. Keeps: no value of a
//! row is copied unless the caller asks. MySQL Internals, "Text Protocol", "OK Packet".

use alloc::string::String;
use alloc::vec::Vec;

use crate::cursor::{Cursor, WireError};
use crate::mysql::packet::{lenenc, lenenc_bytes};

/// An ERR packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// Error number (`1045`).
    pub code: u16,
    /// SQLSTATE; empty before authentication.
    pub state: String,
    /// Text, in the server's words.
    pub message: String,
}

impl ServerError {
    /// Parses an ERR packet.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(payload);
        if c.u8()? != 0xff {
            return Err(WireError::Invalid { offset: 0, what: "ERR packet" });
        }
        let code = c.u16_le()?;
        let mut rest = c.rest();
        let mut state = String::new();
        if let Some((head, tail)) = rest.split_first_chunk::<6>()
            && head[0] == b'#'
        {
            state = String::from_utf8_lossy(&head[1..]).into_owned();
            rest = tail;
        }
        Ok(Self { code, state, message: String::from_utf8_lossy(rest).into_owned() })
    }
}

/// First packet of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, no rows.
    Ok,
    /// Rows with this many columns follow.
    Columns(u64),
    /// Refused.
    Err(ServerError),
}

impl Answer {
    /// Parses the first packet of the answer to a query or an execute.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        match payload.first() {
            Some(0x00) => Ok(Self::Ok),
            Some(0xff) => Ok(Self::Err(ServerError::parse(payload)?)),
            Some(0xfb) => Err(WireError::Invalid { offset: 0, what: "LOCAL INFILE request" }),
            _ => Ok(Self::Columns(lenenc(&mut Cursor::new(payload))?)),
        }
    }
}

/// True for the EOF packet that ends columns or rows (we never negotiate DEPRECATE_EOF).
pub fn is_eof(payload: &[u8]) -> bool {
    payload.first() == Some(&0xfe) && payload.len() < 9
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Name (alias) as sent.
    pub name: String,
    /// Character set or collation id.
    pub charset: u16,
    /// Type code (`enum_field_types`).
    pub ty: u8,
    /// Column flags.
    pub flags: u16,
    /// Fractional digits.
    pub decimals: u8,
}

impl ColumnDefinition {
    /// Parses a ColumnDefinition41.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(payload);
        for _ in 0..4 {
            lenenc_bytes(&mut c)?; // catalogue, schema, table, original table
        }
        let name = String::from_utf8_lossy(lenenc_bytes(&mut c)?).into_owned();
        lenenc_bytes(&mut c)?;
        lenenc(&mut c)?;
        let charset = c.u16_le()?;
        c.u32_le()?;
        let (ty, flags, decimals) = (c.u8()?, c.u16_le()?, c.u8()?);
        Ok(Self { name, charset, ty, flags, decimals })
    }
}

/// Parses a row of the text protocol: one cell a column, `None` is NULL.
pub fn text_row(payload: &[u8], columns: usize) -> Result<Vec<Option<&[u8]>>, WireError> {
    let mut c = Cursor::new(payload);
    let mut row = Vec::with_capacity(columns.min(4096));
    for _ in 0..columns {
        if c.rest().first() == Some(&0xfb) {
            c.skip(1)?;
            row.push(None);
        } else {
            row.push(Some(lenenc_bytes(&mut c)?));
        }
    }
    if c.is_empty() { Ok(row) } else { c.invalid("row length") }
}

/// Answer to COM_STMT_PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Number of the statement in the session.
    pub statement: u32,
    /// Result columns; their definitions and an EOF follow if not 0.
    pub columns: u16,
    /// Parameters; their definitions and an EOF come first if not 0.
    pub parameters: u16,
}

impl Prepared {
    /// Parses a COM_STMT_PREPARE_OK.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(payload);
        if c.u8()? != 0 {
            return Err(WireError::Invalid { offset: 0, what: "PREPARE answer" });
        }
        Ok(Self { statement: c.u32_le()?, columns: c.u16_le()?, parameters: c.u16_le()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_with_and_without_state() {
        // Goal: both forms. Method: bytes of a refused login and of a full server.
        let e = ServerError::parse(b"\xff\x15\x04#28000Access denied").unwrap();
        assert_eq!(
            (e.code, e.state.as_str(), e.message.as_str()),
            (1045, "28000", "Access denied")
        );
        let e = ServerError::parse(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!((e.code, e.state.as_str()), (1040, ""));
        assert!(ServerError::parse(b"\xff\x10").is_err());
    }

    #[test]
    fn rows_and_columns() {
        // Goal: NULL, empty and text cells; leftovers are errors. Method: bytes by hand.
        assert_eq!(text_row(b"\xfb\0\x01x", 3), Ok(alloc::vec![None, Some(&b""[..]), Some(b"x")]));
        assert!(text_row(b"\x01xy", 1).is_err());
        assert!(text_row(b"\x05xy", 1).is_err());
        let def = b"\x03def\0\0\0\x01a\0\x0c\x2d\0\x0a\0\0\0\x03\x81\0\x05\0\0";
        let column = ColumnDefinition::parse(def).unwrap();
        assert_eq!((column.name.as_str(), column.charset, column.ty), ("a", 45, 3));
        assert_eq!((column.flags, column.decimals), (0x81, 5));
        assert_eq!(Answer::parse(&[3]), Ok(Answer::Columns(3)));
        assert_eq!(Answer::parse(&[0, 0, 0]), Ok(Answer::Ok));
        assert!(Answer::parse(&[0xfb, b'f']).is_err());
        assert!(is_eof(&[0xfe, 0, 0, 2, 0]) && !is_eof(&[0xfe, 0, 0, 0, 0, 0, 0, 0, 1]));
    }
}
