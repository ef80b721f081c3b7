//! MySQL and MariaDB: client protocol, binlog events and rows. MariaDB's variants live inside.
