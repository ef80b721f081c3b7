//! Sockets, against servers on plain threads.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::io::{AsyncReadExt, AsyncWriteExt};

use super::super::net::{Endpoint, Wire, connect, explain};
use super::super::*;
use super::{LIMIT, on_each};

/// Serves one connection on a port of its own.
pub(super) fn serve<T: Send + 'static>(
    handler: impl FnOnce(std::net::TcpStream) -> T + Send + 'static,
) -> (Endpoint, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        handler(stream)
    });
    (Endpoint::Tcp { host: "localhost".into(), port }, server)
}

pub(super) fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..n]).unwrap();
    }
}

async fn round_trip(wire: &mut Wire) {
    let sent: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let mut got = vec![0; sent.len()];
    for (there, back) in sent.chunks(5000).zip(got.chunks_mut(5000)) {
        wire.write_all(there).await.unwrap();
        wire.flush().await.unwrap();
        wire.read_exact(back).await.unwrap();
    }
    assert_eq!(sent, got);
    wire.close().await.unwrap();
    assert_eq!(wire.read(&mut [0; 1]).await.unwrap(), 0);
}

/// Goal: bytes go both ways over TCP by name, and the end is seen. Method: an echo server.
#[test]
fn tcp_echo() {
    on_each(|| async {
        let (endpoint, server) = serve(echo);
        let mut wire = Wire::Plain(connect(&endpoint, LIMIT).await.unwrap());
        assert!(!wire.is_tls() && !wire.is_private());
        round_trip(&mut wire).await;
        server.join().unwrap();
    });
}

/// Goal: the same over a Unix socket. Method: an echo server on one.
#[test]
fn unix_echo() {
    on_each(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let missing = connect(&Endpoint::Unix(path.clone()), LIMIT).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || echo(listener.accept().unwrap().0));
        let mut wire = Wire::Plain(connect(&Endpoint::Unix(path), LIMIT).await.unwrap());
        assert!(wire.is_private());
        round_trip(&mut wire).await;
        server.join().unwrap();
    });
}

/// Goal: two tasks share a wire, one reading, one writing, past every socket buffer. Method: 8 MB
/// through an echo server.
#[test]
fn halves_work_in_two_tasks() {
    on_each(|| async {
        let (endpoint, server) = serve(echo);
        let wire = Wire::Plain(connect(&endpoint, LIMIT).await.unwrap());
        let (mut reader, mut writer) = wire.split();
        let writing = spawn_local(async move {
            for _ in 0..128 {
                writer.write_all(&[7; 65536]).await.unwrap();
            }
            writer.close().await.unwrap();
        });
        let mut total = 0;
        let mut buffer = vec![0; 65536];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, 128 * 65536);
        writing.await;
        server.join().unwrap();
    });
}

/// Goal: a read that was given up loses no byte. Method: time limits that pass before the server
/// writes, then read what it wrote.
#[test]
fn a_read_given_up_loses_nothing() {
    on_each(|| async {
        let (go, told) = std::sync::mpsc::channel::<()>();
        let (endpoint, server) = serve(move |mut stream| {
            told.recv().unwrap();
            stream.write_all(b"hello").unwrap();
        });
        let mut stream = connect(&endpoint, LIMIT).await.unwrap();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            let read = timeout(Duration::from_millis(2), stream.read(&mut buffer)).await;
            assert!(read.is_err());
        }
        go.send(()).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"hello");
        server.join().unwrap();
    });
}

/// Goal: refusals, unknown names and unanswered addresses end in time with their own words.
/// Method: a closed port, a name that cannot exist, a listener whose queue is full.
#[test]
fn failures_to_connect_are_told_apart() {
    on_each(|| async {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            Endpoint::Tcp { host: "127.0.0.1".into(), port }
        };
        let refused = connect(&closed, LIMIT).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let error = explain(&closed, &refused);
        assert_eq!(error.code, "net-unreachable");
        assert_eq!(error.hint.as_deref(), Some("is the server running, and on this port?"));

        let nowhere = Endpoint::Tcp { host: "no-such-host.invalid".into(), port: 1 };
        assert!(connect(&nowhere, LIMIT).await.is_err());

        let (full, _queue) = full_listener();
        let start = Instant::now();
        let silent = connect(&full, Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(200));
        assert!(explain(&full, &silent).what.starts_with("no answer from 127.0.0.1:"));
    });
}

/// A listener that answers no more connection attempts, and what fills its queue.
fn full_listener() -> (Endpoint, (socket2::Socket, Vec<socket2::Socket>)) {
    use socket2::{Domain, SockAddr, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    listener.bind(&any).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let queued = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    let port = address.as_socket().unwrap().port();
    (Endpoint::Tcp { host: "127.0.0.1".into(), port }, (listener, queued))
}
