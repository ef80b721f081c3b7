//! Annex records: what stands beside rows. A heartbeat, a schema change, the begin and the end of a
//! transaction, a logical message.
//!
//! ```text
//!  kind          topic                          key                 headers
//!  Heartbeat     __debezium-heartbeat.PREFIX    {"serverName":…}    none
//!  SchemaChange  PREFIX                         {"databaseName":…}  extended
//!  Transaction   PREFIX.transaction             {"id":…}            none
//!  Message       PREFIX.message                 {"prefix":…}        none
//! ```
//! Enters: structured content, from the reader (`Router::annex`) or the router itself. Leaves:
//! frames of the kind `FrameKind::Annex` in the same `FrameBatch`es as rows, encoded by the shard
//! that owns the kind's pseudo-table. Keeps: an annex has a `Seq`, an order, a bucket and a lane as
//! a row has, so delivery, watermark and exactly-once need no second path; the content is data,
//! never text, so that every format can write it in its own way.

use std::sync::Arc;

use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::schema::TableName;

/// One record beside rows. What a record also tells and is not here (times, GTID, position of the
/// transaction) comes from its `TxnHead`.
#[derive(Clone, Debug, PartialEq)]
pub enum Annex {
    /// Nothing happened, and we are alive (ENVELOPE section 2).
    Heartbeat,
    /// A statement changed the schema (section 6).
    SchemaChange(Box<SchemaChange>),
    /// A source transaction begins or ends. Made by the router, never by a reader.
    Transaction(TransactionRecord),
    /// PostgreSQL's `pg_logical_emit_message` (section 1).
    Message(Message),
}

/// Kinds of annex records. Each is a pseudo-table: one topic, one bucket, one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AnnexKind {
    /// `Annex::Heartbeat`
    Heartbeat,
    /// `Annex::SchemaChange`
    SchemaChange,
    /// `Annex::Transaction`
    Transaction,
    /// `Annex::Message`
    Message,
}

/// How many kinds there are.
pub const ANNEX_KINDS: usize = 4;

/// The first number of a pseudo-table; readers number tables from 0 on.
const TABLES_FROM: u32 = 0xFFFF_FF00;

impl AnnexKind {
    /// All of them, by number.
    pub const ALL: [Self; ANNEX_KINDS] =
        [Self::Heartbeat, Self::SchemaChange, Self::Transaction, Self::Message];

    /// The number of its pseudo-table: never one that a reader gives.
    pub fn table(self) -> TableId {
        TableId(TABLES_FROM + self as u32)
    }

    /// The kind behind such a number; `None`: a real table.
    pub fn of(table: TableId) -> Option<Self> {
        Self::ALL.get(table.0.checked_sub(TABLES_FROM)? as usize).copied()
    }

    /// The name that gives its bucket and its lane. No table has an empty database.
    pub fn name(self) -> TableName {
        let table = match self {
            Self::Heartbeat => "heartbeat",
            Self::SchemaChange => "schema-change",
            Self::Transaction => "transaction",
            Self::Message => "message",
        };
        TableName { database: String::new(), schema: String::new(), table: table.into() }
    }

    /// Debezium's extended headers stand on it.
    pub fn has_headers(self) -> bool {
        self == Self::SchemaChange
    }
}

impl Annex {
    /// Its kind.
    pub fn kind(&self) -> AnnexKind {
        match self {
            Self::Heartbeat => AnnexKind::Heartbeat,
            Self::SchemaChange(_) => AnnexKind::SchemaChange,
            Self::Transaction(_) => AnnexKind::Transaction,
            Self::Message(_) => AnnexKind::Message,
        }
    }

    /// Where in the log it stands: what `source.pos` and `source.lsn` tell of it.
    pub fn position(&self) -> u64 {
        match self {
            Self::Heartbeat => 0,
            Self::SchemaChange(change) => change.position,
            Self::Transaction(record) => record.position,
            Self::Message(message) => message.position,
        }
    }

    /// The head of its frame, whose `offset` is its index in `FrameBatch::annexes`.
    pub(crate) fn head(&self, index: u32) -> FrameHead {
        FrameHead {
            kind: FrameKind::Annex,
            marker: SnapshotMarker::Streaming,
            format: 0,
            table: self.kind().table(),
            offset: index,
            len: 0,
            position: self.position(),
        }
    }

    /// A number that an equal record read again has too: tells whether a transaction that comes
    /// again after a lost connection is the same.
    pub(crate) fn weight(&self) -> u32 {
        let bytes = match self {
            Self::Heartbeat | Self::Transaction(_) => 0,
            Self::SchemaChange(change) => change.ddl.as_deref().map_or(0, str::len),
            Self::Message(message) => message.prefix.len() + message.content.len(),
        };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// A schema change, for the topic that is named like the pipeline.
///
/// Its `source` block is that of the transaction (`TxnOrigin` given to `Router::annex`: file,
/// server id, GTID, and `commit_us` for `ts_*`; Debezium leaves `thread` null) with what stands
/// here; `row` is 0. Its value: `source`, `ts_ms` (now), `databaseName`, `schemaName`, `ddl`,
/// `tableChanges`; its key: `{"databaseName":…}`, with "" where `database` is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaChange {
    /// `source.db`.
    pub source_db: String,
    /// `source.table`: the table; of several their names, joined as Debezium does.
    pub source_table: Option<String>,
    /// `source.snapshot`.
    pub marker: SnapshotMarker,
    /// `source.pos`: where the statement's event starts.
    pub position: u64,
    /// `databaseName`.
    pub database: Option<String>,
    /// `schemaName`; null on MySQL and MariaDB.
    pub schema: Option<String>,
    /// `ddl`: the statement as the log has it.
    pub ddl: Option<String>,
    /// `tableChanges`.
    pub changes: Vec<TableChange>,
}

/// One element of `tableChanges`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChange {
    /// `type`.
    pub kind: ChangeKind,
    /// `id`: quoted parts, `"db"."table"`, the quotes included.
    pub id: String,
    /// `table`; null for a table that is gone.
    pub table: Option<TableShape>,
}

/// What happened to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// CREATE
    Create,
    /// ALTER
    Alter,
    /// DROP
    Drop,
}

/// A table as `tableChanges` tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableShape {
    /// `defaultCharsetName`.
    pub default_charset: Option<String>,
    /// `primaryKeyColumnNames`.
    pub primary_key: Vec<String>,
    /// `columns`, in order.
    pub columns: Vec<ColumnShape>,
    /// `comment`.
    pub comment: Option<String>,
}

/// A column as `tableChanges` tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnShape {
    /// `name`.
    pub name: String,
    /// `jdbcType`: a number of `java.sql.Types`.
    pub jdbc_type: i32,
    /// `nativeType`.
    pub native_type: Option<i32>,
    /// `typeName`: `INT UNSIGNED`.
    pub type_name: String,
    /// `typeExpression`.
    pub type_expression: Option<String>,
    /// `charsetName`.
    pub charset: Option<String>,
    /// `length`.
    pub length: Option<i32>,
    /// `scale`.
    pub scale: Option<i32>,
    /// `position`, from 1.
    pub position: i32,
    /// `optional`: it may be NULL.
    pub optional: bool,
    /// `autoIncremented`.
    pub auto_incremented: bool,
    /// `generated`.
    pub generated: bool,
    /// `comment`.
    pub comment: Option<String>,
    /// `defaultValueExpression`.
    pub default_value: Option<String>,
    /// `enumValues`, as Debezium prints them; empty: null.
    pub enum_values: Vec<String>,
}

/// A logical message of PostgreSQL, for the topic `PREFIX.message`.
///
/// Its value: `op` "m", `ts_ms` (now), `source`, `transaction`, `message` {`prefix`, `content`};
/// its key: {`prefix`}. `source` has `schema` and `table` "", `lsn` from `position`, `txId` from the
/// transaction, null if the message is not transactional; `ts_*` from `commit_us` (of a message that
/// is not transactional: the commit time of the transaction before it).
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `source.db`.
    pub database: String,
    /// `prefix`.
    pub prefix: String,
    /// `content`, written as `binary_handling_mode` says.
    pub content: Vec<u8>,
    /// Part of its transaction; else it stands for itself, committed or not.
    pub transactional: bool,
    /// `dataStart` of its XLogData.
    pub position: u64,
}

/// The begin or the end of a source transaction, for the topic `PREFIX.transaction`. Its value:
/// `status`, `id`, `event_count`, `data_collections`, `ts_ms`; its key: {`id`}.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRecord {
    /// Where it stands in the log; PostgreSQL's `id` ends with it.
    pub position: u64,
    /// `ts_ms`, here in microseconds.
    pub ts_us: i64,
    /// `None`: it begins. Else the events of each table, in the order of their first one.
    pub counts: Option<Vec<(Arc<str>, u64)>>,
}

/// Numbers of an event in its transaction (`provide_transaction_metadata`), from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// `total_order`.
    pub total: u64,
    /// `data_collection_order`.
    pub collection: u64,
}

impl Order {
    /// Of the event of the same table that follows at once.
    pub fn next(self) -> Self {
        Self { total: self.total + 1, collection: self.collection + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::bucket_of;

    #[test]
    fn pseudo_tables_have_numbers_and_buckets_of_their_own() {
        // Goal: no pseudo-table is taken for a table, and their buckets are frozen (HAZARDS L12).
        // Method: numbers there and back, names against exact buckets.
        for kind in AnnexKind::ALL {
            assert_eq!(AnnexKind::of(kind.table()), Some(kind));
        }
        assert_eq!(AnnexKind::of(TableId(0)), None);
        assert_eq!(AnnexKind::of(TableId(TABLES_FROM - 1)), None);
        assert_eq!(AnnexKind::of(TableId(u32::MAX)), None);
        assert_eq!(AnnexKind::ALL.map(|kind| bucket_of(&kind.name()).0), [16, 196, 114, 194]);
    }
}
