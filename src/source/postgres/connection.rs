//! One session with a server: connecting over the hosts in order, TLS, login, simple queries.
//!
//! Enters: the source's configuration. Leaves: catalogue rows as text, or the raw message stream
//! for rows and replication (`stream`, `snapshot`). Keeps: every session, walsenders included, is
//! fixed by one list of settings, so that a value read by a query and the same value decoded from
//! the log are spelled alike (HAZARDS L9); a message that a hostile server announces reserves
//! nothing before it is there.

use std::io;
use std::time::Duration;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use penstock_protocol::postgres::message::{self, tag};

use super::auth::{Login, Secrecy};
use super::fault::{ServerError, broken, malformed};
use crate::config;
use crate::error::{Class, Error, Result};
use crate::runtime::net::{self, Endpoint, Stream, Wire};
use crate::runtime::{timeout, tls};

/// How long a connect and a login may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a catalogue query may take; the server is told a little less.
const QUERY_TIMEOUT: Duration = Duration::from_secs(70);
/// Bytes of one message of a catalogue query.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// Settings of every session (HAZARDS L9): what decides how a value is spelled and which rows are
/// seen. `IntervalStyle` has one style for all.
const FIXED: [(&str, &str); 7] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("row_security", "off"),
];

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Catalogue queries and statements: short locks, bounded statements.
    Catalogue,
    /// The reads of a snapshot: long statements.
    Snapshot,
    /// Replication commands and the stream.
    Walsender,
}

impl Purpose {
    /// Settings that this purpose adds. Locks are waited for briefly: a session that queues behind
    /// DDL makes everybody queue behind it (HAZARDS H3).
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Catalogue => {
                &[("lock_timeout", "10s"), ("statement_timeout", "60s"), ("jit", "off")]
            }
            Self::Snapshot => &[
                ("lock_timeout", "10s"),
                ("statement_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
                ("jit", "off"),
            ],
            Self::Walsender => &[
                ("replication", "database"),
                ("lock_timeout", "0"),
                ("statement_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
            ],
        }
    }
}

/// A row of a catalogue query, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Option<String>>);

impl Row {
    /// The text of a column; `None`: NULL or no such column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// The text of a column, empty for NULL.
    pub fn text(&self, column: usize) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// A boolean column; NULL is false.
    pub fn is_true(&self, column: usize) -> bool {
        self.get(column) == Some("t")
    }

    /// A number; `None` for NULL and for what is none.
    pub fn number<T: std::str::FromStr>(&self, column: usize) -> Option<T> {
        self.get(column)?.parse().ok()
    }
}

/// The way to cancel a session's statement.
pub struct Canceller {
    endpoint: Endpoint,
    request: Vec<u8>,
}

impl Canceller {
    /// Asks the server to cancel the running statement. Best effort, as the protocol's is.
    pub async fn cancel(&self) {
        if let Ok(mut stream) = net::connect(&self.endpoint, CONNECT_TIMEOUT).await {
            let _ = stream.write_all(&self.request).await;
            let _ = stream.close().await;
        }
    }
}

/// A session.
pub struct Connection {
    wire: Wire,
    /// Bytes received and not yet read: `inbox[start..]`.
    inbox: Vec<u8>,
    start: usize,
    out: Vec<u8>,
    purpose: Purpose,
    host: String,
    secrecy: Secrecy,
    key: Option<(u32, Vec<u8>)>,
    endpoint: Endpoint,
}

impl Connection {
    /// Connects to the first host that lets us in and is no standby. Hosts are tried in order; an
    /// error that another try cannot cure (a wrong password, say) ends the round.
    pub async fn open(source: &config::Source, purpose: Purpose, name: &str) -> Result<Self> {
        let mut last = None;
        for host in &source.hosts {
            match Self::open_host(source, host, purpose, name).await {
                Ok(connection) => return Ok(connection),
                Err(error) if error.class == Class::Transient => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::usage("config-missing-key", "source.host is empty")))
    }

    async fn open_host(
        source: &config::Source,
        host: &str,
        purpose: Purpose,
        name: &str,
    ) -> Result<Self> {
        let endpoint = endpoint(host, source.port);
        let doing = format!("connecting to {endpoint}");
        let late = || Error::transient("pg-connection", format!("{doing}: no answer in time"));
        let opening = Self::login(source, host, endpoint.clone(), purpose, name, &doing);
        let mut connection = timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| late())??;
        let checking = connection.query("reading the server's role", "SELECT pg_is_in_recovery()");
        if checking.await?.first().is_some_and(|row| row.is_true(0)) {
            let what = format!("{host} is a standby: it takes no writes and may lag behind");
            return Err(Error::transient("pg-standby", what)
                .hint("name the primary in source.host, or all hosts in source.hosts"));
        }
        Ok(connection)
    }

    async fn login(
        source: &config::Source,
        host: &str,
        endpoint: Endpoint,
        purpose: Purpose,
        name: &str,
        doing: &str,
    ) -> Result<Self> {
        let stream = net::connect(&endpoint, CONNECT_TIMEOUT).await;
        let stream = stream.map_err(|error| net::explain(&endpoint, &error))?;
        let (wire, secrecy) = match endpoint {
            Endpoint::Unix(_) => (Wire::Plain(stream), Secrecy::Local),
            Endpoint::Tcp { .. } => secure(stream, &source.tls, host, doing).await?,
        };
        let mut connection = Self {
            wire,
            inbox: Vec::with_capacity(8 << 10),
            start: 0,
            out: Vec::new(),
            purpose,
            host: host.to_owned(),
            secrecy: secrecy.clone(),
            key: None,
            endpoint,
        };
        let application = format!("penstock {name}");
        let mut parameters = vec![
            ("user", source.user.as_str()),
            ("database", source.database.as_str()),
            ("application_name", application.as_str()),
        ];
        parameters.extend(FIXED);
        parameters.extend(purpose.settings());
        message::startup(&mut connection.out, &parameters).map_err(|_| {
            Error::usage("config-bad-value", "the user or database name holds a zero byte")
        })?;
        let login = Login::new(&source.user, &source.password.0, secrecy);
        connection.authenticate(login, doing).await?;
        Ok(connection)
    }

    async fn authenticate(&mut self, mut login: Login<'_>, doing: &str) -> Result<()> {
        self.send(doing).await?;
        loop {
            let (kind, end) = self.message(doing).await?;
            let body = &self.inbox[self.start + message::HEAD_BYTES..end];
            match kind {
                tag::AUTHENTICATION => {
                    login.handle(body, &mut self.out)?;
                }
                tag::ERROR => return Err(server_error(body, doing).into_error(doing)),
                tag::BACKEND_KEY_DATA => {
                    let key = message::backend_key_data(body);
                    let (process, secret) = key.map_err(|error| malformed(error, doing))?;
                    self.key = Some((process, secret.to_vec()));
                }
                tag::READY => {
                    self.start = end;
                    return Ok(());
                }
                // Settings, notices, and the protocol version that a newer server prefers.
                _ => {}
            }
            self.start = end;
            self.send(doing).await?;
        }
    }

    /// The host that answered.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What protects the connection.
    pub fn secrecy(&self) -> &Secrecy {
        &self.secrecy
    }

    /// Runs a statement and returns its rows; a refusal becomes an error. `doing` says what it is
    /// for, in words that can follow "while".
    pub async fn query(&mut self, doing: &str, sql: &str) -> Result<Vec<Row>> {
        self.try_query(doing, sql).await?.map_err(|refused| refused.into_error(doing))
    }

    /// Runs a statement; the inner error is the server's refusal, after which the session goes on.
    pub async fn try_query(
        &mut self,
        doing: &str,
        sql: &str,
    ) -> Result<std::result::Result<Vec<Row>, ServerError>> {
        self.send_query(doing, sql).await?;
        if self.purpose != Purpose::Catalogue {
            return self.collect(doing).await;
        }
        let collecting = self.collect(doing);
        let late = || Error::transient("pg-connection", format!("{doing}: no answer in time"));
        timeout(QUERY_TIMEOUT, collecting).await.map_err(|_| late())?
    }

    async fn collect(&mut self, doing: &str) -> Result<std::result::Result<Vec<Row>, ServerError>> {
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            let (kind, end) = self.message(doing).await?;
            let body = &self.inbox[self.start + message::HEAD_BYTES..end];
            match kind {
                tag::DATA_ROW => rows.push(row(body).map_err(|error| malformed(error, doing))?),
                tag::ERROR => refused = Some(server_error(body, doing)),
                tag::READY => {
                    self.start = end;
                    return Ok(refused.map_or(Ok(rows), Err));
                }
                _ => {}
            }
            self.start = end;
        }
    }

    /// Sends a statement and leaves its answer in the stream.
    pub async fn send_query(&mut self, doing: &str, sql: &str) -> Result<()> {
        message::query(&mut self.out, sql).map_err(|_| {
            Error::fatal("pg-refused", format!("{doing}: a name holds a zero byte"))
        })?;
        self.send(doing).await
    }

    /// Waits until the server has switched to the replication stream.
    pub async fn expect_copy_both(&mut self, doing: &str) -> Result<()> {
        loop {
            let (kind, end) = self.message(doing).await?;
            let body = &self.inbox[self.start + message::HEAD_BYTES..end];
            match kind {
                tag::COPY_BOTH => {
                    self.start = end;
                    return Ok(());
                }
                tag::ERROR => return Err(server_error(body, doing).into_error(doing)),
                tag::READY => {
                    let what = format!("{doing}: the server ended the command at once");
                    return Err(Error::transient("pg-server", what));
                }
                _ => {}
            }
            self.start = end;
        }
    }

    /// The wire and what was received already and not read yet, for a stream.
    pub fn into_parts(mut self) -> (Wire, Vec<u8>) {
        self.inbox.drain(..self.start);
        (self.wire, self.inbox)
    }

    /// The wire, for reading rows past this session's own inbox.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Takes what was received already and not read yet.
    pub fn take_inbox(&mut self) -> Vec<u8> {
        self.inbox.drain(..self.start);
        self.start = 0;
        std::mem::take(&mut self.inbox)
    }

    /// What can cancel a running statement while somebody else waits for its answer.
    pub fn canceller(&self) -> Option<Canceller> {
        let (process, secret) = self.key.as_ref()?;
        let mut request = Vec::new();
        message::cancel_request(&mut request, *process, secret);
        Some(Canceller { endpoint: self.endpoint.clone(), request })
    }

    /// Says good-bye. Best effort.
    pub async fn close(mut self) {
        message::terminate(&mut self.out);
        let _ = timeout(Duration::from_secs(1), self.send("closing")).await;
    }

    async fn send(&mut self, doing: &str) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.wire.write_all(&self.out).await?;
            self.wire.flush().await
        };
        sent.await.map_err(|error| broken(&error, doing))?;
        self.out.clear();
        Ok(())
    }

    /// Makes the next message whole at `inbox[start..end]`; returns its type and `end`.
    async fn message(&mut self, doing: &str) -> Result<(u8, usize)> {
        if self.start == self.inbox.len() {
            self.inbox.clear();
            self.start = 0;
        }
        loop {
            let head = message::frame_head(&self.inbox[self.start..]);
            if let Some((kind, len)) = head.map_err(|error| malformed(error, doing))? {
                if len > REPLY_BYTES_MAX {
                    let what = format!("{doing}: a message of {len} bytes");
                    return Err(Error::transient("pg-protocol", what));
                }
                if self.start + len <= self.inbox.len() {
                    return Ok((kind, self.start + len));
                }
            }
            self.inbox.drain(..self.start);
            self.start = 0;
            let mut chunk = [0_u8; 8 << 10];
            let read = self.wire.read(&mut chunk).await.map_err(|error| broken(&error, doing))?;
            if read == 0 {
                return Err(broken(&io::ErrorKind::UnexpectedEof.into(), doing));
            }
            self.inbox.extend_from_slice(&chunk[..read]);
        }
    }
}

/// SSLRequest as the mode wants it. Exactly one byte is read of the answer: whatever else a
/// listener injects before the handshake stays outside of the session.
async fn secure(
    mut stream: Stream,
    settings: &config::Tls,
    host: &str,
    doing: &str,
) -> Result<(Wire, Secrecy)> {
    let client = tls::Client::new(settings)?;
    if !client.wants_tls() {
        return Ok((Wire::Plain(stream), Secrecy::None));
    }
    let mut out = Vec::new();
    message::ssl_request(&mut out);
    let mut answer = [0_u8; 1];
    let asked = async {
        stream.write_all(&out).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await
    };
    asked.await.map_err(|error| broken(&error, doing))?;
    match &answer {
        b"S" => {
            let wire = client.upgrade(stream, host).await?;
            let certificate = wire.peer_certificate_der();
            Ok((wire, Secrecy::Tls(certificate)))
        }
        b"N" if client.requires_tls() => Err(tls::not_offered(host)),
        b"N" => Ok((Wire::Plain(stream), Secrecy::None)),
        _ => Err(Error::transient("pg-protocol", format!("{doing}: no answer to the TLS request"))),
    }
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    if host.starts_with('/') {
        let folder = host.trim_end_matches('/');
        Endpoint::Unix(format!("{folder}/.s.PGSQL.{port}").into())
    } else {
        Endpoint::Tcp { host: host.to_owned(), port }
    }
}

fn server_error(body: &[u8], doing: &str) -> ServerError {
    ServerError::parse(body).unwrap_or_else(|error| ServerError {
        sqlstate: "08P01".into(),
        message: format!("{doing}: an error message that cannot be read ({error})"),
    })
}

fn row(body: &[u8]) -> std::result::Result<Row, penstock_protocol::cursor::WireError> {
    let cells = message::data_row(body)?;
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let row: std::result::Result<Vec<_>, _> =
        cells.map(|cell| cell.map(|cell| cell.map(text))).collect();
    row.map(Row)
}
