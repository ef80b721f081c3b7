//! MySQL and MariaDB: client protocol, binlog events and rows. MariaDB's variants live inside.

pub mod command;
pub mod ddl;
pub mod event;
pub mod group;
pub mod gtid;
pub mod handshake;
pub mod packet;
pub mod resultset;
