//! A session with a server: connect, TLS, login, queries.
//!
//! Enters: a configuration. Leaves: rows of text queries, streams of binary rows, or the raw wire
//! for a dump. Keeps: nothing of a password or a cell is in an error; the handshake has a deadline;
//! hosts are tried in their order.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use penstock_protocol::mysql::command;
use penstock_protocol::mysql::handshake::{
    AuthReply, HandshakeResponse, HandshakeV10, caps, client_capabilities, ssl_request,
};
use penstock_protocol::mysql::packet::{PacketReader, write_packet};
use penstock_protocol::mysql::resultset::{Answer, Prepared, ServerError, is_eof, text_row};

use super::auth::{self, Channel};
use super::errors;
use crate::config;
use crate::error::{Error, Result};
use crate::runtime::net::{self, Endpoint, Wire};
use crate::runtime::{timeout, tls};

/// Connecting and logging in take at most this long each.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Longest silence within an answer: above the longest lock wait that a session asks for (30 s).
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Largest payload of an answer to a control query, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A session.
pub struct Connection {
    wire: Wire,
    packets: PacketReader,
    buffer: Vec<u8>,
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// What the server said of itself.
    pub hello: HandshakeV10,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({}, {})", self.endpoint, self.hello.version)
    }
}

/// Rows of a text query.
#[derive(Clone, Debug, Default)]
pub struct Rows(pub Vec<Vec<Option<String>>>);

impl Rows {
    /// A cell as text; NULL and cells that are not there are empty.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        cell(self.0.get(row).map(Vec::as_slice).unwrap_or_default(), column)
    }
}

/// A cell of a row as text; NULL and a cell that is not there are empty.
pub fn cell(row: &[Option<String>], column: usize) -> &str {
    row.get(column).and_then(Option::as_deref).unwrap_or_default()
}

impl Connection {
    /// Connects to the first host that answers and logs in.
    ///
    /// # Errors
    /// Transient if no host can be reached; Fatal for wrong credentials and refused TLS.
    pub async fn open(source: &config::Source) -> Result<Self> {
        let mut last = None;
        for host in &source.hosts {
            let endpoint = endpoint(host, source.port);
            match net::connect(&endpoint, CONNECT_LIMIT).await {
                Ok(stream) => {
                    let login = Self::login(source, endpoint.clone(), host, stream);
                    match timeout(CONNECT_LIMIT, login).await {
                        Ok(Ok(connection)) => return Ok(connection),
                        Ok(Err(e)) if e.class == crate::error::Class::Transient => last = Some(e),
                        Ok(Err(e)) => return Err(e),
                        Err(_) => {
                            let elapsed = std::io::ErrorKind::TimedOut.into();
                            last = Some(net::explain(&endpoint, &elapsed));
                        }
                    }
                }
                Err(e) => last = Some(net::explain(&endpoint, &e)),
            }
        }
        Err(last.unwrap_or_else(|| Error::usage("config-missing-key", "source.host is empty")))
    }

    async fn login(
        source: &config::Source,
        endpoint: Endpoint,
        host: &str,
        mut stream: net::Stream,
    ) -> Result<Self> {
        let client = tls::Client::new(&source.tls)?;
        let mut packets = PacketReader::default();
        let mut buffer = vec![0; 16 << 10];
        let local = stream.is_unix();
        let lost = |e: std::io::Error| net::explain(&endpoint, &e);
        let greeting = loop {
            if let Some(payload) = packets.poll(1 << 16).map_err(errors::broken)? {
                break payload;
            }
            let got = stream.read(&mut buffer).await.map_err(lost)?;
            if got == 0 {
                return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
            }
            packets.feed(&buffer[..got]);
        };
        if greeting.first() == Some(&0xff) {
            let refused = ServerError::parse(&greeting).map_err(errors::broken)?;
            return Err(errors::login(&refused, &source.user, &endpoint));
        }
        let hello = HandshakeV10::parse(&greeting).map_err(errors::broken)?;
        // Like the servers' own clients: nobody is between us and a local socket.
        let offered = hello.capabilities & caps::SSL != 0;
        let wire = if !client.wants_tls() || local {
            Wire::Plain(stream)
        } else if offered {
            let capabilities = client_capabilities(hello.capabilities, true);
            let mut out = Vec::new();
            let seq = write_packet(&mut out, packets.next_seq(), &ssl_request(capabilities));
            packets.expect_seq(seq);
            stream.write_all(&out).await.map_err(lost)?;
            client.upgrade(stream, host).await?
        } else if client.requires_tls() {
            return Err(tls::not_offered(host));
        } else {
            Wire::Plain(stream)
        };
        let channel = match (local, wire.is_tls()) {
            (_, true) => Channel::Tls,
            (true, false) => Channel::Local,
            (false, false) => Channel::Open,
        };
        let mut connection = Self { wire, packets, buffer, endpoint, hello };
        connection.authenticate(source, channel).await?;
        // One session for all statements of ours (HAZARDS L9), whatever the server's defaults.
        connection
            .query(
                "SET SESSION sql_mode = '', time_zone = '+00:00', net_write_timeout = 86400, \
                 wait_timeout = 86400, character_set_results = utf8mb4",
            )
            .await?;
        Ok(connection)
    }

    async fn authenticate(&mut self, source: &config::Source, channel: Channel) -> Result<()> {
        let password = source.password.0.as_str();
        let mut nonce = self.hello.nonce.clone();
        let mut plugin = self.hello.plugin.clone();
        // The server may name a plugin that we lack and switch to the user's own afterwards.
        let first = auth::answer(&plugin, password, &nonce, channel).or_else(|_| {
            plugin = "mysql_native_password".into();
            auth::answer(&plugin, password, &nonce, channel)
        })?;
        let pid = std::process::id().to_string();
        let response = HandshakeResponse {
            capabilities: client_capabilities(self.hello.capabilities, channel == Channel::Tls),
            user: &source.user,
            auth: &first,
            plugin: &plugin,
            attributes: &[
                ("_client_name", "penstock"),
                ("_client_version", env!("CARGO_PKG_VERSION")),
                ("_pid", &pid),
                ("program_name", "penstock"),
            ],
        };
        self.send(&response.write()).await?;
        loop {
            let payload = self.payload().await?;
            match AuthReply::parse(&payload).map_err(errors::broken)? {
                AuthReply::Ok => return Ok(()),
                AuthReply::Err(e) => return Err(errors::login(&e, &source.user, &self.endpoint)),
                AuthReply::Switch { plugin: wanted, nonce: fresh } => {
                    (plugin, nonce) = (wanted, fresh);
                    let answer = auth::answer(&plugin, password, &nonce, channel)?;
                    self.send(&answer).await?;
                }
                AuthReply::More(data) if plugin == "caching_sha2_password" => match *data {
                    [3] => {} // the cache knows us: OK follows
                    [4] if channel == Channel::Open => {
                        self.send(&[2]).await?; // ask for the public key
                        let key = self.payload().await?;
                        let AuthReply::More(pem) =
                            AuthReply::parse(&key).map_err(errors::broken)?
                        else {
                            return Err(errors::login_needs_tls(&source.user));
                        };
                        self.send(&auth::encrypted(password, &nonce, &pem)?).await?;
                    }
                    [4] => self.send(&auth::with_nul(password)).await?,
                    _ => return Err(errors::unexpected("authentication data")),
                },
                AuthReply::More(pem) if plugin == "sha256_password" => {
                    self.send(&auth::encrypted(password, &nonce, &pem)?).await?;
                }
                AuthReply::More(_) => return Err(errors::unexpected("authentication data")),
            }
        }
    }

    /// Whether nobody can read along.
    pub fn is_tls(&self) -> bool {
        self.wire.is_tls()
    }

    /// Whether the server is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.hello.is_mariadb()
    }

    async fn send(&mut self, payload: &[u8]) -> Result<()> {
        let mut out = Vec::with_capacity(payload.len() + 4);
        let seq = write_packet(&mut out, self.packets.next_seq(), payload);
        self.packets.expect_seq(seq);
        let sent = async {
            self.wire.write_all(&out).await?;
            self.wire.flush().await
        };
        sent.await.map_err(|e| errors::lost(&self.endpoint, &e))
    }

    async fn command(&mut self, payload: &[u8]) -> Result<()> {
        self.packets.expect_seq(0);
        self.send(payload).await
    }

    async fn payload(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(payload) = self.packets.poll(ANSWER_BYTES_MAX).map_err(errors::broken)? {
                return Ok(payload);
            }
            // A peer that takes bytes and sends none is not noticed by TCP (HAZARDS H2).
            let got = timeout(ANSWER_LIMIT, self.wire.read(&mut self.buffer)).await;
            let got = got.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            match got.map_err(|e| errors::lost(&self.endpoint, &e))? {
                0 => {
                    let eof = std::io::ErrorKind::UnexpectedEof.into();
                    return Err(errors::lost(&self.endpoint, &eof));
                }
                got => self.packets.feed(&self.buffer[..got]),
            }
        }
    }

    /// Runs a text query; the server's refusal is a value, not an error.
    pub async fn attempt(&mut self, sql: &str) -> Result<std::result::Result<Rows, ServerError>> {
        self.command(&command::query(sql)).await?;
        let columns = match Answer::parse(&self.payload().await?).map_err(errors::broken)? {
            Answer::Ok => return Ok(Ok(Rows::default())),
            Answer::Err(e) => return Ok(Err(e)),
            Answer::Columns(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        self.skip_definitions().await?;
        let mut rows = Rows::default();
        loop {
            let payload = self.payload().await?;
            if is_eof(&payload) {
                return Ok(Ok(rows));
            }
            if payload.first() == Some(&0xff) {
                return Ok(Err(ServerError::parse(&payload).map_err(errors::broken)?));
            }
            let row = text_row(&payload, columns).map_err(errors::broken)?;
            let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
            rows.0.push(row.into_iter().map(|cell| cell.map(text)).collect());
        }
    }

    /// Runs a text query.
    ///
    /// # Errors
    /// A refusal is Fatal or Transient by its number (`errors::refused`).
    pub async fn query(&mut self, sql: &str) -> Result<Rows> {
        self.attempt(sql).await?.map_err(|e| errors::refused(&e, sql))
    }

    /// Definitions of columns or parameters, up to their EOF.
    async fn skip_definitions(&mut self) -> Result<()> {
        while !is_eof(&self.payload().await?) {}
        Ok(())
    }

    /// Prepares and executes `sql`; its rows (binary protocol) come as packets on the wire, up to
    /// an EOF or ERR packet. The session ends with the wire: a snapshot has one session a query or
    /// takes it back with `resume`.
    pub async fn stream_rows(&mut self, sql: &str) -> Result<u32> {
        self.command(&command::stmt_prepare(sql)).await?;
        let payload = self.payload().await?;
        if payload.first() == Some(&0xff) {
            let e = ServerError::parse(&payload).map_err(errors::broken)?;
            return Err(errors::refused(&e, sql));
        }
        let prepared = Prepared::parse(&payload).map_err(errors::broken)?;
        if prepared.parameters > 0 {
            self.skip_definitions().await?;
        }
        if prepared.columns > 0 {
            self.skip_definitions().await?;
        }
        self.command(&command::stmt_execute(prepared.statement)).await?;
        match Answer::parse(&self.payload().await?).map_err(errors::broken)? {
            Answer::Columns(_) => self.skip_definitions().await?,
            Answer::Err(e) => return Err(errors::refused(&e, sql)),
            Answer::Ok => return Err(errors::unexpected("answer without rows")),
        }
        Ok(prepared.statement)
    }

    /// Forgets a prepared statement.
    pub async fn close_statement(&mut self, statement: u32) -> Result<()> {
        self.command(&command::stmt_close(statement)).await
    }

    /// Registers as a replica, which makes us visible in `SHOW REPLICAS`.
    pub async fn register(&mut self, server_id: u32, identity: &str) -> Result<()> {
        self.command(&command::register_replica(server_id, identity, 0)).await?;
        match Answer::parse(&self.payload().await?).map_err(errors::broken)? {
            Answer::Err(e) => Err(errors::refused(&e, "COM_REGISTER_SLAVE")),
            _ => Ok(()),
        }
    }

    /// Sends a command whose answer somebody else reads from the wire (a dump).
    pub async fn start(&mut self, payload: &[u8]) -> Result<()> {
        self.command(payload).await
    }

    /// Gives the wire away, with what was read ahead and the number of the next packet.
    pub fn into_parts(mut self) -> (Wire, Vec<u8>, u8, Parked) {
        let rest = self.packets.take_rest();
        let seq = self.packets.next_seq();
        let parked = Parked { buffer: self.buffer, endpoint: self.endpoint, hello: self.hello };
        (self.wire, rest, seq, parked)
    }

    /// Takes the wire back after the last packet of an answer was read from it.
    pub fn from_parts(wire: Wire, parked: Parked) -> Self {
        let Parked { buffer, endpoint, hello } = parked;
        Self { wire, packets: PacketReader::default(), buffer, endpoint, hello }
    }

    /// Says good-bye; errors do not matter any more.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.command(&command::quit())).await;
    }
}

/// A session without its wire.
#[derive(Debug)]
pub struct Parked {
    buffer: Vec<u8>,
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// What the server said of itself.
    pub hello: HandshakeV10,
}

/// A host of the configuration: a name or address, a socket, or a folder with a socket in it.
fn endpoint(host: &str, port: u16) -> Endpoint {
    if !host.starts_with('/') {
        return Endpoint::Tcp { host: host.into(), port };
    }
    let path = PathBuf::from(host);
    let names = ["mysqld.sock", "mysql.sock", "mariadb.sock", "mariadbd.sock"];
    let inside = names.iter().map(|name| path.join(name)).find(|path| path.exists());
    Endpoint::Unix(match inside {
        Some(socket) => socket,
        None if path.is_dir() => path.join("mysqld.sock"),
        None => path,
    })
}

/// Quotes an identifier.
pub fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a text literal for a session without NO_BACKSLASH_ESCAPES differences: only `'` and `\`
/// matter, and no value of ours holds a `\`.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_quotes() {
        // Goal: a folder, a file and a name are told apart; names cannot break out. Method: both.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(endpoint(path, 3306), Endpoint::Unix(folder.path().join("mysqld.sock")));
        std::fs::write(folder.path().join("mysql.sock"), "").unwrap();
        assert_eq!(endpoint(path, 3306), Endpoint::Unix(folder.path().join("mysql.sock")));
        let file = folder.path().join("mysql.sock");
        assert_eq!(endpoint(file.to_str().unwrap(), 1), Endpoint::Unix(file));
        assert_eq!(endpoint("db", 1), Endpoint::Tcp { host: "db".into(), port: 1 });
        assert_eq!(quote("a`b"), "`a``b`");
        assert_eq!(literal("a'b\\"), "'a''b\\\\'");
    }
}
