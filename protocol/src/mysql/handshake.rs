//! Connection phase: what server and client say before the first command.
//!
//! Enters: payloads of packets. Leaves: parsed greetings and requests, payloads to send. The
//! secrets are computed elsewhere (`source::mysql::auth`): nothing here holds a password.
//!
//! ```text
//! server: HandshakeV10   client: [SSLRequest, TLS] HandshakeResponse41
//! server: AuthSwitchRequest | AuthMoreData | OK | ERR   client: auth data …
//! ```
//! MySQL Internals, "Connection Phase"; MariaDB KB, "Connecting" (extended capabilities).

use alloc::string::String;
use alloc::vec::Vec;

use crate::cursor::{Cursor, WireError};
use crate::mysql::packet::put_lenenc_bytes;

/// Capability bits.
pub mod caps {
    /// MySQL server (MariaDB clears it to announce extended capabilities).
    pub const LONG_PASSWORD: u32 = 1;
    /// All column flags.
    pub const LONG_FLAG: u32 = 1 << 2;
    /// A database follows in the response.
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    /// 4.1 protocol.
    pub const PROTOCOL_41: u32 = 1 << 9;
    /// TLS.
    pub const SSL: u32 = 1 << 11;
    /// Status flags in OK.
    pub const TRANSACTIONS: u32 = 1 << 13;
    /// 4.1 authentication.
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    /// Plugins by name.
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    /// Connection attributes.
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    /// Length-encoded auth data in the response.
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
}

/// Character set that we ask for: utf8mb4_general_ci, known to every server.
const UTF8MB4: u8 = 45;
/// Longest packet that we accept from commands (the dump is bounded by its own reader).
const MAX_PACKET: u32 = 1 << 30;

/// The server's greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeV10 {
    /// Version as sent (`5.5.5-10.11.18-MariaDB…` for MariaDB up to 10.x).
    pub version: String,
    /// Connection id.
    pub thread_id: u32,
    /// Challenge, 20 bytes.
    pub nonce: Vec<u8>,
    /// Capabilities, see [`caps`].
    pub capabilities: u32,
    /// Plugin of the first try.
    pub plugin: String,
}

impl HandshakeV10 {
    /// Parses a greeting.
    ///
    /// # Errors
    /// Truncated bytes, or a protocol version that is not 10.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(payload);
        if c.u8()? != 10 {
            return Err(WireError::Invalid { offset: 0, what: "handshake version" });
        }
        let version = String::from_utf8_lossy(c.cstr()?).into_owned();
        let thread_id = c.u32_le()?;
        let mut nonce = c.bytes(8)?.to_vec();
        c.skip(1)?;
        let low = c.u16_le()?;
        c.skip(3)?; // character set, status
        let capabilities = u32::from(low) | u32::from(c.u16_le()?) << 16;
        let nonce_len = usize::from(c.u8()?);
        c.skip(10)?;
        if capabilities & caps::SECURE_CONNECTION != 0 {
            let rest = nonce_len.saturating_sub(8).max(13);
            let second = c.bytes(rest)?;
            nonce.extend_from_slice(second.strip_suffix(&[0]).unwrap_or(second));
        }
        let plugin = if capabilities & caps::PLUGIN_AUTH != 0 {
            let name = c.rest();
            let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            String::from_utf8_lossy(&name[..end]).into_owned()
        } else {
            "mysql_native_password".into()
        };
        Ok(Self { version, thread_id, nonce, capabilities, plugin })
    }

    /// True for MariaDB (and its forks).
    pub fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB") || self.version.contains("mariadb")
    }

    /// Version numbers (major, minor, patch), with MariaDB's replication prefix `5.5.5-` removed.
    pub fn version_numbers(&self) -> (u16, u16, u16) {
        version_numbers(&self.version)
    }
}

/// Version numbers (major, minor, patch) of a version text; what is missing is 0.
pub fn version_numbers(version: &str) -> (u16, u16, u16) {
    let mut text = version;
    if let Some(rest) = text.strip_prefix("5.5.5-")
        && rest.contains("MariaDB")
    {
        text = rest;
    }
    let mut parts = text
        .split(|ch: char| !ch.is_ascii_digit())
        .map(|part| part.parse::<u16>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

/// What we answer the greeting with.
#[derive(Clone, Debug)]
pub struct HandshakeResponse<'a> {
    /// Our capabilities (already cut to the server's).
    pub capabilities: u32,
    /// User.
    pub user: &'a str,
    /// Answer to the challenge.
    pub auth: &'a [u8],
    /// Plugin that made it.
    pub plugin: &'a str,
    /// Connection attributes, shown in the server's process tables.
    pub attributes: &'a [(&'a str, &'a str)],
}

/// The capabilities that we use of what `server` has; `tls`: with SSL.
pub fn client_capabilities(server: u32, tls: bool) -> u32 {
    use caps::*;
    let ours = LONG_PASSWORD
        | LONG_FLAG
        | PROTOCOL_41
        | TRANSACTIONS
        | SECURE_CONNECTION
        | PLUGIN_AUTH
        | CONNECT_ATTRS
        | PLUGIN_AUTH_LENENC;
    // MariaDB servers clear LONG_PASSWORD in their greeting; a client sets it nevertheless.
    ours & (server | LONG_PASSWORD) | if tls { SSL } else { 0 }
}

/// The payload that asks for TLS; the handshake of TLS follows on the same socket.
pub fn ssl_request(capabilities: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(&capabilities.to_le_bytes());
    out.extend_from_slice(&MAX_PACKET.to_le_bytes());
    out.push(UTF8MB4);
    out.extend_from_slice(&[0; 23]);
    out
}

impl HandshakeResponse<'_> {
    /// The payload.
    pub fn write(&self) -> Vec<u8> {
        let mut out = ssl_request(self.capabilities);
        out.extend_from_slice(self.user.as_bytes());
        out.push(0);
        if self.capabilities & caps::PLUGIN_AUTH_LENENC != 0 {
            put_lenenc_bytes(&mut out, self.auth);
        } else {
            // No plugin answers the greeting with more than 255 bytes.
            out.push(u8::try_from(self.auth.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(&self.auth[..self.auth.len().min(255)]);
        }
        if self.capabilities & caps::PLUGIN_AUTH != 0 {
            out.extend_from_slice(self.plugin.as_bytes());
            out.push(0);
        }
        if self.capabilities & caps::CONNECT_ATTRS != 0 {
            let mut list = Vec::new();
            for (name, value) in self.attributes {
                put_lenenc_bytes(&mut list, name.as_bytes());
                put_lenenc_bytes(&mut list, value.as_bytes());
            }
            put_lenenc_bytes(&mut out, &list);
        }
        out
    }
}

/// What the server says while it authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthReply {
    /// Use another plugin with this challenge.
    Switch { plugin: String, nonce: Vec<u8> },
    /// Data of the plugin.
    More(Vec<u8>),
    /// We are in.
    Ok,
    /// Refused.
    Err(super::resultset::ServerError),
}

impl AuthReply {
    /// Parses a payload of the authentication phase.
    ///
    /// # Errors
    /// An unknown first byte, or truncated bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(payload);
        match c.u8()? {
            0x00 => Ok(Self::Ok),
            0x01 => Ok(Self::More(c.rest().to_vec())),
            0xff => Ok(Self::Err(super::resultset::ServerError::parse(payload)?)),
            0xfe if payload.len() == 1 => {
                Ok(Self::Switch { plugin: "mysql_old_password".into(), nonce: Vec::new() })
            }
            0xfe => {
                let plugin = String::from_utf8_lossy(c.cstr()?).into_owned();
                let nonce = c.rest();
                let nonce = nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec();
                Ok(Self::Switch { plugin, nonce })
            }
            _ => Err(WireError::Invalid { offset: 0, what: "authentication reply" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The greeting of a MySQL 9.7.4 server, nonce replaced.
    fn greeting() -> Vec<u8> {
        let mut p = vec![10];
        p.extend_from_slice(b"9.7.4\0");
        p.extend_from_slice(&[8, 0, 0, 0]);
        p.extend_from_slice(b"abcdefgh\0");
        p.extend_from_slice(&[0xff, 0xff, 255, 2, 0, 0xff, 0xdf, 21]);
        p.extend_from_slice(&[0; 10]);
        p.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
        p
    }

    #[test]
    fn parses_a_greeting() {
        // Goal: each field, and truncation anywhere. Method: a server's bytes.
        let hello = HandshakeV10::parse(&greeting()).unwrap();
        assert_eq!(hello.version_numbers(), (9, 7, 4));
        assert_eq!(hello.thread_id, 8);
        assert_eq!(hello.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(hello.plugin, "caching_sha2_password");
        assert!(!hello.is_mariadb());
        for cut in 0..greeting().len() - 22 {
            assert!(HandshakeV10::parse(&greeting()[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn versions() {
        // Goal: MariaDB's replication prefix does not hide the version. Method: real texts.
        assert_eq!(version_numbers("5.5.5-10.11.18-MariaDB-deb12-log"), (10, 11, 18));
        assert_eq!(version_numbers("11.8.9-MariaDB-log"), (11, 8, 9));
        assert_eq!(version_numbers("8.0.36"), (8, 0, 36));
        assert_eq!(version_numbers(""), (0, 0, 0));
    }

    #[test]
    fn auth_replies() {
        // Goal: each reply is told apart. Method: payloads by hand.
        let switch = b"\xfeclient_ed25519\0abcdefghijklmnopqrstuvwxyz012345";
        let nonce = b"abcdefghijklmnopqrstuvwxyz012345".to_vec();
        assert_eq!(
            AuthReply::parse(switch),
            Ok(AuthReply::Switch { plugin: "client_ed25519".into(), nonce })
        );
        assert_eq!(AuthReply::parse(&[1, 4]), Ok(AuthReply::More(vec![4])));
        assert!(AuthReply::parse(&[7]).is_err());
        assert!(AuthReply::parse(&[]).is_err());
    }
}
