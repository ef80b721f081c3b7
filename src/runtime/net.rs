//! Connections to sources. Enters: an endpoint. Leaves: a byte stream on this core's executor, and
//! over it TLS where asked (`tls`). Keeps: names are resolved off the core; a dead peer is noticed
//! within about half a minute (keepalive, and a limit on unacknowledged data); a read or write
//! that is dropped loses no byte.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncRead, AsyncWrite};
use socket2::{SockRef, TcpKeepalive};

use super::blocking::blocking;
use super::task::{backend, timeout};
use super::{Backend, tls};
use crate::error::Error;

/// Quiet for so long, a connection is probed …
const KEEPALIVE_IDLE_S: u64 = 15;
/// … this often …
const KEEPALIVE_INTERVAL_S: u64 = 5;
/// … and is dead after so many probes without an answer.
const KEEPALIVE_PROBES: u32 = 3;
/// Data that the peer does not acknowledge for so long means the same.
const USER_TIMEOUT_S: u64 = 30;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name or an address, and a port.
    Tcp {
        /// Name or address (IPv6 with or without brackets).
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') && !host.starts_with('[') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Connects within `limit`, name resolution included. Several addresses of one name are tried in
/// turn, each with its share of what is left.
pub async fn connect(endpoint: &Endpoint, limit: Duration) -> io::Result<Stream> {
    let deadline = Instant::now() + limit;
    match endpoint {
        Endpoint::Unix(path) => timeout(limit, Stream::connect_unix(path.clone())).await?,
        Endpoint::Tcp { host, port } => {
            let addresses = timeout(limit, resolve(host, *port)).await??;
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for (tried, address) in addresses.iter().enumerate() {
                let left = deadline.saturating_duration_since(Instant::now());
                let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
                if share.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                match timeout(share, Stream::connect_tcp(*address)).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    Ok(Err(e)) => last = e,
                    Err(elapsed) => last = elapsed.into(),
                }
            }
            Err(last)
        }
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    blocking(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect)).await
}

/// What a failed or broken connection means to a user: Transient, `net-unreachable`, with what to
/// look at; errors of TLS have the codes of `tls`.
pub fn explain(endpoint: &Endpoint, error: &io::Error) -> Error {
    if tls::is_tls(error) {
        return tls::explain(error, &endpoint.to_string());
    }
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => "is the server running, and on this port?",
        io::ErrorKind::TimedOut => "does a firewall drop packets to this address and port?",
        io::ErrorKind::NotFound if matches!(endpoint, Endpoint::Unix(_)) => {
            "is the server running, and is this the folder of its socket?"
        }
        io::ErrorKind::PermissionDenied => "this user may not open the socket",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no route to this address from here"
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => "the server closed the connection; its log may say why",
        _ => "check `source.host` and `source.port`, and name resolution on this host",
    };
    let what = match error.kind() {
        io::ErrorKind::TimedOut => format!("no answer from {endpoint}"),
        _ => format!("cannot reach {endpoint}: {error}"),
    };
    Error::transient("net-unreachable", what).hint(hint)
}

/// A connected socket on this core's executor.
pub struct Stream(Inner);

enum Inner {
    UringTcp(glommio::net::TcpStream),
    UringUnix(glommio::net::UnixStream),
    EpollTcp(tokio::net::TcpStream),
    EpollUnix(tokio::net::UnixStream),
}

impl Stream {
    async fn connect_tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = match backend() {
            Backend::IoUring => {
                Self(Inner::UringTcp(glommio::net::TcpStream::connect(address).await?))
            }
            Backend::Epoll => Self(Inner::EpollTcp(tokio::net::TcpStream::connect(address).await?)),
        };
        stream.tune()?;
        Ok(stream)
    }

    async fn connect_unix(path: PathBuf) -> io::Result<Self> {
        Ok(match backend() {
            Backend::IoUring => {
                Self(Inner::UringUnix(glommio::net::UnixStream::connect(path).await?))
            }
            Backend::Epoll => Self(Inner::EpollUnix(tokio::net::UnixStream::connect(path).await?)),
        })
    }

    /// The socket of a TCP connection.
    fn tcp(&self) -> Option<BorrowedFd<'_>> {
        let fd = match &self.0 {
            Inner::UringTcp(stream) => stream.as_raw_fd(),
            Inner::EpollTcp(stream) => stream.as_raw_fd(),
            Inner::UringUnix(_) | Inner::EpollUnix(_) => return None,
        };
        // SAFETY: the descriptor is open for as long as `self`, which this borrow holds.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    fn tune(&self) -> io::Result<()> {
        let Some(fd) = self.tcp() else { return Ok(()) };
        let socket = SockRef::from(&fd);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(Duration::from_secs(USER_TIMEOUT_S)))?;
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(Duration::from_secs(KEEPALIVE_IDLE_S))
                .with_interval(Duration::from_secs(KEEPALIVE_INTERVAL_S))
                .with_retries(KEEPALIVE_PROBES),
        )
    }

    /// Whether this is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.0, Inner::UringUnix(_) | Inner::EpollUnix(_))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_unix() { "Stream(unix)" } else { "Stream(tcp)" })
    }
}

/// Reads through tokio's kind of buffer.
fn poll_read_tokio(
    stream: Pin<&mut impl tokio::io::AsyncRead>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = tokio::io::ReadBuf::new(buffer);
    ready!(stream.poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::UringTcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::UringUnix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::EpollTcp(stream) => poll_read_tokio(Pin::new(stream), cx, buffer),
            Inner::EpollUnix(stream) => poll_read_tokio(Pin::new(stream), cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        use tokio::io::AsyncWrite as TokioWrite;
        match &mut self.0 {
            Inner::UringTcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::UringUnix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::EpollTcp(stream) => TokioWrite::poll_write(Pin::new(stream), cx, bytes),
            Inner::EpollUnix(stream) => TokioWrite::poll_write(Pin::new(stream), cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is buffered between us and the socket.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        use tokio::io::AsyncWrite as TokioWrite;
        match &mut self.0 {
            Inner::UringTcp(stream) => Pin::new(stream).poll_close(cx),
            Inner::UringUnix(stream) => Pin::new(stream).poll_close(cx),
            Inner::EpollTcp(stream) => TokioWrite::poll_shutdown(Pin::new(stream), cx),
            Inner::EpollUnix(stream) => TokioWrite::poll_shutdown(Pin::new(stream), cx),
        }
    }
}

/// A connection as sources use it: plain, or TLS over it.
#[derive(Debug)]
pub enum Wire {
    /// As it is.
    Plain(Stream),
    /// Under TLS (`tls::Client::upgrade`).
    Tls(Box<tls::TlsStream>),
}

impl Wire {
    /// Whether bytes are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether nobody else on the network can read along: TLS, or a Unix socket.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_unix(),
            Self::Tls(_) => true,
        }
    }

    /// The server's own certificate, DER; for SCRAM channel binding (`tls-server-end-point`).
    pub fn peer_certificate_der(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => tls::peer_certificate(stream),
        }
    }

    /// A half to read and a half to write, for two tasks of this core.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let shared = Rc::new(RefCell::new(self));
        (ReadHalf(shared.clone()), WriteHalf(shared))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_close(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_close(cx),
        }
    }
}

/// The reading half of a [`Wire`].
#[derive(Debug)]
pub struct ReadHalf(Rc<RefCell<Wire>>);

/// The writing half of a [`Wire`].
#[derive(Debug)]
pub struct WriteHalf(Rc<RefCell<Wire>>);

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tests::{LIMIT, on_each};

    /// Goal: a dead peer is noticed within half a minute (HAZARDS H2: keepalive everywhere), and
    /// small messages leave at once. Method: what the kernel says of a connected socket.
    #[test]
    fn h02_dead_peers_are_noticed() {
        on_each(|| async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let endpoint = Endpoint::Tcp { host: "127.0.0.1".into(), port };
            let stream = connect(&endpoint, LIMIT).await.unwrap();
            let fd = stream.tcp().unwrap();
            let socket = SockRef::from(&fd);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
        });
    }

    /// Goal: endpoints are written as users write them. Method: each kind.
    #[test]
    fn endpoints_are_readable() {
        let tcp = |host: &str| Endpoint::Tcp { host: host.into(), port: 1 }.to_string();
        assert_eq!([tcp("db"), tcp("::1"), tcp("[::1]")], ["db:1", "[::1]:1", "[::1]:1"]);
        assert_eq!(Endpoint::Unix("/run/s".into()).to_string(), "/run/s");
    }
}
