//! A small blocking client: text and binary rows of the superuser's queries, and the binlog file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use penstock_protocol::mysql::command;
use penstock_protocol::mysql::handshake::{
    AuthReply, HandshakeResponse, HandshakeV10, client_capabilities,
};
use penstock_protocol::mysql::packet::{PacketReader, write_packet};
use penstock_protocol::mysql::resultset::{Answer, Prepared, is_eof, text_row};

use crate::server::Server;

/// One text row.
pub type Row = Vec<Option<Vec<u8>>>;

/// A session of the superuser, in the database `test`, with results in utf8mb4 and UTC.
pub struct Client {
    socket: TcpStream,
    packets: PacketReader,
}

impl Client {
    /// Logs in.
    pub fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
        socket.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        let mut client = Self { socket, packets: PacketReader::default() };
        let hello = HandshakeV10::parse(&client.packet()).expect("a greeting");
        let capabilities = client_capabilities(hello.capabilities, false);
        let answer = HandshakeResponse {
            capabilities,
            user: "root",
            auth: b"",
            plugin: &hello.plugin,
            attributes: &[],
        };
        client.send(client.packets.next_seq(), &answer.write());
        loop {
            match AuthReply::parse(&client.packet()).expect("a reply") {
                AuthReply::Ok => break,
                AuthReply::More(_) => {}
                // The superuser has no password: every plugin takes an empty answer.
                AuthReply::Switch { .. } => client.send(client.packets.next_seq(), b""),
                AuthReply::Err(error) => panic!("login refused: {error:?}"),
            }
        }
        for sql in [
            "use test",
            "set names utf8mb4",
            "set time_zone = '+00:00'",
            "set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        ] {
            client.exec(sql);
        }
        client
    }

    fn send(&mut self, seq: u8, payload: &[u8]) {
        let mut out = Vec::new();
        let next = write_packet(&mut out, seq, payload);
        self.packets.expect_seq(next);
        self.socket.write_all(&out).expect("the server reads");
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut bytes = [0; 65_536];
        loop {
            if let Some(packet) = self.packets.poll(1 << 30).expect("packets") {
                return packet;
            }
            let len = self.socket.read(&mut bytes).expect("the server answers");
            assert!(len > 0, "the server closed the session");
            self.packets.feed(&bytes[..len]);
        }
    }

    fn rows_behind(&mut self, columns: usize) -> Vec<Vec<u8>> {
        for _ in 0..=columns {
            self.packet();
        }
        let mut rows = Vec::new();
        loop {
            let packet = self.packet();
            if is_eof(&packet) {
                return rows;
            }
            rows.push(packet);
        }
    }

    /// Runs a statement; its text rows.
    pub fn query(&mut self, sql: &str) -> Vec<Row> {
        self.send(0, &command::query(sql));
        match Answer::parse(&self.packet()).expect("an answer") {
            Answer::Ok => Vec::new(),
            Answer::Err(error) => panic!("{error:?} in {}", &sql[..sql.len().min(600)]),
            Answer::Columns(columns) => {
                let columns = columns as usize;
                let rows = self.rows_behind(columns);
                let row = |packet: &Vec<u8>| -> Row {
                    let cells = text_row(packet, columns).expect("a row");
                    cells.into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect()
                };
                rows.iter().map(row).collect()
            }
        }
    }

    /// Runs a statement without rows.
    pub fn exec(&mut self, sql: &str) {
        assert!(self.query(sql).is_empty(), "{sql}");
    }

    /// One text cell of one row.
    pub fn text(&mut self, sql: &str) -> String {
        let row = self.query(sql).remove(0);
        String::from_utf8(row[0].clone().expect("a value")).expect("UTF-8")
    }

    /// Rows of a prepared SELECT, as packets.
    pub fn binary_rows(&mut self, sql: &str) -> Vec<Vec<u8>> {
        self.send(0, &command::stmt_prepare(sql));
        let prepared = Prepared::parse(&self.packet()).expect("a statement");
        for _ in 0..=prepared.columns {
            self.packet();
        }
        self.send(0, &command::stmt_execute(prepared.statement));
        match Answer::parse(&self.packet()).expect("an answer") {
            Answer::Columns(columns) => self.rows_behind(columns as usize),
            answer => panic!("{answer:?}"),
        }
    }

    /// Begins a new binlog file.
    pub fn rotate(&mut self) {
        self.exec("flush binary logs");
    }

    /// The bytes of the newest binlog file, which is closed by a rotation first.
    pub fn binlog(&mut self) -> Vec<u8> {
        let last = self.query("show binary logs").pop().expect("a log");
        let name = String::from_utf8(last[0].clone().expect("a name")).expect("UTF-8");
        self.rotate();
        let base = self.text("select @@log_bin_basename");
        let folder = std::path::Path::new(&base).parent().expect("a folder");
        std::fs::read(folder.join(name)).expect("the binlog file")
    }
}
