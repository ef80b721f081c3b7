//! Commands that a client sends: payloads, ready for `packet::write_packet` with sequence 0.
//!
//! Enters: parameters. Leaves: payload bytes. MySQL Internals, "Command Phase" and "Replication
//! Protocol"; `sql-common/client.cc`, `mysql_binlog_open`.

use alloc::vec::Vec;

use crate::mysql::gtid::GtidSet;

/// COM_QUIT.
pub fn quit() -> Vec<u8> {
    alloc::vec![1]
}

/// COM_PING.
pub fn ping() -> Vec<u8> {
    alloc::vec![14]
}

/// COM_QUERY: a text query.
pub fn query(sql: &str) -> Vec<u8> {
    with_text(3, sql)
}

/// COM_STMT_PREPARE.
pub fn stmt_prepare(sql: &str) -> Vec<u8> {
    with_text(22, sql)
}

/// COM_STMT_EXECUTE of a statement without parameters and without a cursor.
pub fn stmt_execute(statement: u32) -> Vec<u8> {
    let mut out = alloc::vec![23];
    out.extend_from_slice(&statement.to_le_bytes());
    out.push(0);
    out.extend_from_slice(&1u32.to_le_bytes());
    out
}

/// COM_STMT_CLOSE; the server does not answer.
pub fn stmt_close(statement: u32) -> Vec<u8> {
    let mut out = alloc::vec![25];
    out.extend_from_slice(&statement.to_le_bytes());
    out
}

/// COM_REGISTER_SLAVE: makes us visible in `SHOW REPLICAS`, and a clash of ids detectable.
pub fn register_replica(server_id: u32, host: &str, port: u16) -> Vec<u8> {
    let mut out = alloc::vec![21];
    out.extend_from_slice(&server_id.to_le_bytes());
    let host = &host.as_bytes()[..host.len().min(60)];
    out.push(u8::try_from(host.len()).expect("invariant: at most 60"));
    out.extend_from_slice(host);
    out.extend_from_slice(&[0, 0]); // user and password are never sent
    out.extend_from_slice(&port.to_le_bytes());
    out.extend_from_slice(&[0; 8]); // rank, master id
    out
}

/// Flags of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpMode {
    /// Wait for more at the end of the log.
    Follow,
    /// The same, with the statement before the rows (MariaDB: `BINLOG_SEND_ANNOTATE_ROWS_EVENT`;
    /// MySQL has another meaning for that bit, and sends statements if it logs them).
    FollowAnnotated,
    /// End with EOF at the end of the log (`BINLOG_DUMP_NON_BLOCK`).
    ToEnd,
}

impl DumpMode {
    fn flags(self) -> u16 {
        match self {
            Self::Follow => 0,
            Self::FollowAnnotated => 2,
            Self::ToEnd => 1,
        }
    }
}

/// COM_BINLOG_DUMP from `file` and `pos` (at least 4). MariaDB with `@slave_connect_state` set
/// ignores both.
pub fn binlog_dump(server_id: u32, file: &str, pos: u32, mode: DumpMode) -> Vec<u8> {
    let mut out = alloc::vec![18];
    out.extend_from_slice(&pos.to_le_bytes());
    out.extend_from_slice(&mode.flags().to_le_bytes());
    out.extend_from_slice(&server_id.to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    out
}

/// COM_BINLOG_DUMP_GTID: everything that is not in `executed`.
pub fn binlog_dump_gtid(server_id: u32, executed: &GtidSet, mode: DumpMode) -> Vec<u8> {
    let set = executed.encode();
    let mut out = alloc::vec![30];
    // BINLOG_THROUGH_GTID: the set stands for the position.
    out.extend_from_slice(&(mode.flags() | 4).to_le_bytes());
    out.extend_from_slice(&server_id.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes()); // no file name
    out.extend_from_slice(&4u64.to_le_bytes());
    out.extend_from_slice(&u32::try_from(set.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&set);
    out
}

fn with_text(command: u8, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + text.len());
    out.push(command);
    out.extend_from_slice(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_have_the_documented_layout() {
        // Goal: field order and widths. Method: bytes by hand from the protocol's description.
        assert_eq!(
            binlog_dump(0x0102, "b.1", 4, DumpMode::ToEnd),
            [18, 4, 0, 0, 0, 1, 0, 2, 1, 0, 0, b'b', b'.', b'1']
        );
        let gtid = binlog_dump_gtid(7, &GtidSet::default(), DumpMode::Follow);
        assert_eq!(gtid.len(), 1 + 2 + 4 + 4 + 8 + 4 + 8);
        assert_eq!(&gtid[..7], [30, 4, 0, 7, 0, 0, 0]);
    }
}
