//! Frontend/backend messages, protocol 3.0.
//!
//! Enters: bytes of the server in a growing buffer. Leaves: frames, the fields of the messages that
//! a session needs; bytes to send. Keeps: a hostile length is an error before anything is reserved.
//!
//! ```text
//! | type u8 | length i32, itself included | body … |
//! ```
//! PostgreSQL documentation, "Message Formats".

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cursor::{Cursor, WireError};

/// Longest message that a server can send (`MaxAllocSize` is 1 GiB − 1; a message stays below).
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// Type byte and length.
pub const HEAD_BYTES: usize = 5;

/// Type bytes of backend messages.
pub mod tag {
    /// Authentication request of any kind.
    pub const AUTHENTICATION: u8 = b'R';
    /// BackendKeyData.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// CommandComplete.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// CopyBothResponse: the replication stream starts.
    pub const COPY_BOTH: u8 = b'W';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyOutResponse.
    pub const COPY_OUT: u8 = b'H';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// EmptyQueryResponse.
    pub const EMPTY_QUERY: u8 = b'I';
    /// ErrorResponse.
    pub const ERROR: u8 = b'E';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL: u8 = b'v';
    /// NoticeResponse.
    pub const NOTICE: u8 = b'N';
    /// NotificationResponse.
    pub const NOTIFICATION: u8 = b'A';
    /// ParameterStatus.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// ReadyForQuery.
    pub const READY: u8 = b'Z';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// Type and whole length (head included) of the message at the start of `buffer`, as soon as its
/// first five bytes are there: a caller can make room for a large one.
#[inline]
pub fn frame_head(buffer: &[u8]) -> Result<Option<(u8, usize)>, WireError> {
    let Some(&[kind, a, b, c, d]) = buffer.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    match usize::try_from(i32::from_be_bytes([a, b, c, d])) {
        Ok(len) if (4..MESSAGE_BYTES_MAX).contains(&len) => Ok(Some((kind, len + 1))),
        _ => Err(WireError::Invalid { offset: 1, what: "message length" }),
    }
}

/// The message at the start of `buffer`: its type and where its body is; the next message starts
/// at the range's end. `None`: more bytes are needed.
#[inline]
pub fn next_frame(buffer: &[u8]) -> Result<Option<(u8, Range<usize>)>, WireError> {
    Ok(match frame_head(buffer)? {
        Some((kind, len)) if len <= buffer.len() => Some((kind, HEAD_BYTES..len)),
        _ => None,
    })
}

/// Fields of ErrorResponse and NoticeResponse. Not UTF-8 is replaced: an error before the login
/// comes in the server's own encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// ERROR, FATAL, PANIC, WARNING, NOTICE …, never translated ('V', else 'S').
    pub severity: String,
    /// SQLSTATE ('C').
    pub code: String,
    /// What happened ('M').
    pub message: String,
    /// Detail ('D'), empty if none. May quote cell values: not for logs.
    pub detail: String,
    /// Hint ('H'), empty if none.
    pub hint: String,
}

/// Reads the body of ErrorResponse or NoticeResponse.
pub fn server_message(body: &[u8]) -> Result<ServerMessage, WireError> {
    let mut c = Cursor::new(body);
    let (mut parsed, mut local) = (ServerMessage::default(), String::new());
    loop {
        let field = c.u8()?;
        if field == 0 {
            break;
        }
        let text = String::from_utf8_lossy(c.cstr()?).into_owned();
        match field {
            b'S' => local = text,
            b'V' => parsed.severity = text,
            b'C' => parsed.code = text,
            b'M' => parsed.message = text,
            b'D' => parsed.detail = text,
            b'H' => parsed.hint = text,
            _ => {}
        }
    }
    if parsed.severity.is_empty() {
        parsed.severity = local;
    }
    Ok(parsed)
}

/// What the server asks for at login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Logged in.
    Ok,
    /// Password in clear.
    Cleartext,
    /// Hash of password, user and this salt.
    Md5 { salt: [u8; 4] },
    /// SASL mechanisms, in the server's order of preference.
    Sasl { mechanisms: Vec<&'a str> },
    /// SASL challenge.
    SaslContinue(&'a [u8]),
    /// SASL outcome.
    SaslFinal(&'a [u8]),
    /// A method that is not supported (Kerberos 2, GSS 7 and 8, SSPI 9, …): its code.
    Other(u32),
}

/// Reads the body of an Authentication message.
pub fn authentication(body: &[u8]) -> Result<Authentication<'_>, WireError> {
    let mut c = Cursor::new(body);
    Ok(match c.u32_be()? {
        0 => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 => Authentication::Md5 { salt: c.array()? },
        10 => {
            let mut mechanisms = Vec::new();
            while c.rest().first().is_some_and(|&b| b != 0) {
                mechanisms.push(text(&mut c)?);
            }
            c.skip(1)?;
            Authentication::Sasl { mechanisms }
        }
        11 => Authentication::SaslContinue(c.rest()),
        12 => Authentication::SaslFinal(c.rest()),
        code => Authentication::Other(code),
    })
}

/// Reads the body of ParameterStatus: name and value.
pub fn parameter_status(body: &[u8]) -> Result<(&str, &str), WireError> {
    let mut c = Cursor::new(body);
    Ok((text(&mut c)?, text(&mut c)?))
}

/// Reads the body of BackendKeyData: process id and secret key.
pub fn backend_key_data(body: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let mut c = Cursor::new(body);
    Ok((c.u32_be()?, c.rest()))
}

/// Reads the body of ReadyForQuery: 'I' idle, 'T' in a transaction, 'E' in a failed one.
pub fn ready_for_query(body: &[u8]) -> Result<u8, WireError> {
    let mut c = Cursor::new(body);
    match body.first() {
        Some(b'I' | b'T' | b'E') | None => c.u8(),
        Some(_) => c.invalid("transaction status"),
    }
}

/// Reads the body of CommandComplete: the command tag, such as `SELECT 3`.
pub fn command_complete(body: &[u8]) -> Result<&str, WireError> {
    text(&mut Cursor::new(body))
}

/// A column of RowDescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Name.
    pub name: &'a str,
    /// Oid of its type.
    pub type_oid: u32,
    /// Type modifier, −1: none.
    pub typmod: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// Reads the body of RowDescription.
pub fn row_description(body: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
    let mut c = Cursor::new(body);
    let count = usize::from(c.u16_be()?);
    let mut fields = Vec::with_capacity(count.min(c.remaining() / 19));
    for _ in 0..count {
        let name = text(&mut c)?;
        c.skip(6)?; // oid of the table, number of the attribute
        let type_oid = c.u32_be()?;
        c.skip(2)?; // length of the type
        let (typmod, format) = (c.i32_be()?, c.i16_be()?);
        fields.push(Field { name, type_oid, typmod, format });
    }
    Ok(fields)
}

/// The cells of a DataRow body, in order; `None` is NULL. For catalogue queries; rows of tables go
/// through `tuple::walk_data_row`.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    c: Cursor<'a>,
    left: u16,
}

/// Reads the head of a DataRow body.
pub fn data_row(body: &[u8]) -> Result<Cells<'_>, WireError> {
    let mut c = Cursor::new(body);
    let left = c.u16_be()?;
    Ok(Cells { c, left })
}

impl<'a> Iterator for Cells<'a> {
    type Item = Result<Option<&'a [u8]>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let cell = cell(&mut self.c);
        if cell.is_err() {
            self.left = 0;
        }
        Some(cell)
    }
}

fn cell<'a>(c: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, WireError> {
    let offset = c.offset();
    match c.i32_be()? {
        -1 => Ok(None),
        len => match usize::try_from(len) {
            Ok(len) => c.bytes(len).map(Some),
            Err(_) => Err(WireError::Invalid { offset, what: "cell length" }),
        },
    }
}

fn text<'a>(c: &mut Cursor<'a>) -> Result<&'a str, WireError> {
    let offset = c.offset();
    let what = "text that is not UTF-8";
    core::str::from_utf8(c.cstr()?).map_err(|_| WireError::Invalid { offset, what })
}

// ---------------------------------------------------------------- to send

/// Appends SSLRequest; the answer is one byte, 'S' or 'N' (or an ErrorResponse).
pub fn ssl_request(out: &mut Vec<u8>) {
    for word in [8_u32, 80_877_103] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Appends CancelRequest, for a connection of its own.
pub fn cancel_request(out: &mut Vec<u8>, process: u32, secret: &[u8]) {
    untagged(out, |out| {
        out.extend_from_slice(&80_877_102_u32.to_be_bytes());
        out.extend_from_slice(&process.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

/// Appends StartupMessage, protocol 3.0. Error: a name or value holds a zero byte.
pub fn startup(out: &mut Vec<u8>, parameters: &[(&str, &str)]) -> Result<(), WireError> {
    for (name, value) in parameters {
        whole(name)?;
        whole(value)?;
    }
    untagged(out, |out| {
        out.extend_from_slice(&(3_u32 << 16).to_be_bytes());
        for (name, value) in parameters {
            cstr(out, name);
            cstr(out, value);
        }
        out.push(0);
    });
    Ok(())
}

/// Appends Query. Error: the text holds a zero byte (the server would stop reading there).
pub fn query(out: &mut Vec<u8>, sql: &str) -> Result<(), WireError> {
    whole(sql)?;
    tagged(out, b'Q', |out| cstr(out, sql));
    Ok(())
}

/// Appends PasswordMessage (cleartext or the md5 text). Error: it holds a zero byte.
pub fn password(out: &mut Vec<u8>, password: &str) -> Result<(), WireError> {
    whole(password)?;
    tagged(out, b'p', |out| cstr(out, password));
    Ok(())
}

/// Appends SASLInitialResponse. Error: the mechanism holds a zero byte.
pub fn sasl_initial(out: &mut Vec<u8>, mechanism: &str, data: &[u8]) -> Result<(), WireError> {
    whole(mechanism)?;
    tagged(out, b'p', |out| {
        cstr(out, mechanism);
        out.extend_from_slice(&length(data.len()));
        out.extend_from_slice(data);
    });
    Ok(())
}

/// Appends SASLResponse.
pub fn sasl_response(out: &mut Vec<u8>, data: &[u8]) {
    tagged(out, b'p', |out| out.extend_from_slice(data));
}

/// Appends Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    tagged(out, b'X', |_| ());
}

/// Appends CopyDone.
pub fn copy_done(out: &mut Vec<u8>) {
    tagged(out, b'c', |_| ());
}

fn tagged(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    untagged(out, body);
}

/// Length (of itself and the body) and body.
fn untagged(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let written = length(out.len() - start);
    out[start..start + 4].copy_from_slice(&written);
}

/// Messages that this side builds are small: a length beyond i32 cannot be.
fn length(len: usize) -> [u8; 4] {
    i32::try_from(len).expect("invariant: own messages are below 2 GiB").to_be_bytes()
}

fn cstr(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn whole(text: &str) -> Result<(), WireError> {
    match text.bytes().position(|b| b == 0) {
        Some(offset) => Err(WireError::Invalid { offset, what: "zero byte in a string" }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_over_a_growing_buffer() {
        // Goal: a frame appears with its last byte, hostile lengths are errors. Method: by hand.
        let buffer = [b'Z', 0, 0, 0, 5, b'I', b'1', 0, 0, 0, 4];
        for len in 0..6 {
            assert_eq!(next_frame(&buffer[..len]), Ok(None), "{len}");
        }
        assert_eq!(next_frame(&buffer), Ok(Some((b'Z', 5..6))));
        assert_eq!(next_frame(&buffer[6..]), Ok(Some((b'1', 5..5))));
        assert_eq!(frame_head(&buffer[..5]), Ok(Some((b'Z', 6))));
        let bad = Err(WireError::Invalid { offset: 1, what: "message length" });
        for len in [i32::MIN, -1, 0, 3, i32::MAX] {
            let mut head = [0; 5];
            head[1..].copy_from_slice(&len.to_be_bytes());
            assert_eq!(frame_head(&head), bad, "{len}");
        }
    }

    #[test]
    fn fields_of_an_error() {
        // Goal: the untranslated severity wins, unknown fields are stepped over. Method: by hand.
        let body = b"SFEHLER\0VERROR\0C42704\0Mpublication \"p\" does not exist\0Fx.c\0\0";
        let parsed = server_message(body).expect("well-formed");
        assert_eq!((&*parsed.severity, &*parsed.code), ("ERROR", "42704"));
        assert_eq!(parsed.message, "publication \"p\" does not exist");
        for len in 0..body.len() {
            assert!(server_message(&body[..len]).is_err(), "{len}");
        }
        assert_eq!(server_message(b"SFATAL\0\0").expect("old server").severity, "FATAL");
    }

    #[test]
    fn login_messages() {
        // Goal: each kind of request is told apart. Method: documented bytes.
        let sasl = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let mechanisms = alloc::vec!["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
        assert_eq!(authentication(sasl), Ok(Authentication::Sasl { mechanisms }));
        assert_eq!(authentication(b"\0\0\0\0"), Ok(Authentication::Ok));
        let md5 = Authentication::Md5 { salt: *b"abcd" };
        assert_eq!(authentication(b"\0\0\0\x05abcd"), Ok(md5));
        assert_eq!(authentication(b"\0\0\0\x07"), Ok(Authentication::Other(7)));
        assert!(authentication(&sasl[..sasl.len() - 1]).is_err());
        assert_eq!(parameter_status(b"TimeZone\0UTC\0"), Ok(("TimeZone", "UTC")));
        assert_eq!(ready_for_query(b"T"), Ok(b'T'));
        assert!(ready_for_query(b"x").is_err());
        assert_eq!(backend_key_data(b"\0\0\0\x07keys"), Ok((7, &b"keys"[..])));
        assert_eq!(command_complete(b"SELECT 3\0"), Ok("SELECT 3"));
    }

    #[test]
    fn rows_of_a_catalogue_query() {
        // Goal: fields and cells are read, any truncation is an error. Method: by hand.
        let body = b"\0\x01oid\0\0\0\0\0\0\0\0\0\0\x1a\0\x04\xff\xff\xff\xff\0\0";
        let field = Field { name: "oid", type_oid: 26, typmod: -1, format: 0 };
        assert_eq!(row_description(body), Ok(alloc::vec![field]));
        for len in 0..body.len() {
            assert!(row_description(&body[..len]).is_err(), "{len}");
        }
        let row = b"\0\x02\0\0\0\x0212\xff\xff\xff\xff";
        let cells: Result<Vec<_>, _> = data_row(row).expect("head").collect();
        assert_eq!(cells, Ok(alloc::vec![Some(&b"12"[..]), None]));
        for len in 2..row.len() {
            assert!(data_row(&row[..len]).expect("head").any(|cell| cell.is_err()), "{len}");
        }
        let hostile = b"\0\x01\xff\xff\xff\xfe";
        let bad = WireError::Invalid { offset: 2, what: "cell length" };
        assert_eq!(data_row(hostile).expect("head").next(), Some(Err(bad)));
    }

    #[test]
    fn messages_to_send() {
        // Goal: exact bytes; a zero byte inside a string is refused. Method: documented layouts.
        let mut out = Vec::new();
        ssl_request(&mut out);
        assert_eq!(out, [0, 0, 0, 8, 4, 210, 22, 47]);
        out.clear();
        startup(&mut out, &[("user", "cdc")]).expect("no zero byte");
        assert_eq!(out, b"\0\0\0\x12\0\x03\0\0user\0cdc\0\0");
        out.clear();
        query(&mut out, "SELECT 1").expect("no zero byte");
        password(&mut out, "p").expect("no zero byte");
        sasl_initial(&mut out, "M", b"dd").expect("no zero byte");
        sasl_response(&mut out, b"r");
        copy_done(&mut out);
        terminate(&mut out);
        let want = b"Q\0\0\0\x0dSELECT 1\0p\0\0\0\x06p\0p\0\0\0\x0cM\0\0\0\0\x02ddp\0\0\0\x05rc\0\0\0\x04X\0\0\0\x04";
        assert_eq!(out, want);
        let bad = WireError::Invalid { offset: 1, what: "zero byte in a string" };
        assert_eq!(query(&mut out, "a\0b"), Err(bad));
        assert_eq!(startup(&mut out, &[("user", "a\0")]), Err(bad));
        assert_eq!(out, want, "nothing is written on an error");
        out.clear();
        cancel_request(&mut out, 7, b"keys");
        assert_eq!(out, b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07keys");
    }
}
