//! A TCP proxy on loopback that a test can cut, freeze and mend: the network between us and the
//! source.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A proxy to one port.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: AtomicU16,
    /// New connections are refused at once.
    cut: AtomicBool,
    /// Bytes are taken and not handed on; nothing is closed.
    frozen: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn new(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(target),
            cut: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            open: Mutex::new(vec![]),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let to = ("127.0.0.1", accepting.target.load(Ordering::SeqCst));
                if accepting.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(to) else { continue };
                pump(&accepting, &client, &server);
                pump(&accepting, &server, &client);
                let mut open = accepting.open.lock().expect("not poisoned");
                open.extend([client, server]);
            }
        });
        Self { port, shared }
    }

    /// Ends every connection and refuses new ones.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().expect("not poisoned").drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Takes new connections again.
    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
        self.shared.frozen.store(false, Ordering::SeqCst);
    }

    /// A dead peer: connections stay and nothing passes.
    pub fn freeze(&self) {
        self.shared.frozen.store(true, Ordering::SeqCst);
    }
}

fn pump(shared: &Arc<Shared>, from: &TcpStream, to: &TcpStream) {
    let shared = shared.clone();
    let mut from = from.try_clone().expect("a handle");
    let mut to = to.try_clone().expect("a handle");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            while shared.frozen.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    });
}
