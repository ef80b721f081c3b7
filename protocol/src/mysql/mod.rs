//! MySQL and MariaDB: client protocol, binlog events and rows. MariaDB's variants live inside.

pub mod binary_row;
pub mod charset;
pub mod command;
pub mod ddl;
pub mod decimal;
pub mod event;
pub mod group;
pub mod gtid;
pub mod handshake;
pub mod images;
pub mod json;
pub mod json_diff;
pub mod packed;
pub mod packet;
pub mod payload;
pub mod resultset;
pub mod rows;
pub mod table_map;
pub mod temporal;
