//! Sources: one folder each. A source's reader runs as one task on the reader's core: it frames
//! the log, never decodes a row, and hands frames to the `Router` through its `ReaderContext`.
//!
//! Keeps: nothing is told to the server as flushed before its checkpoint is durable
//! (`ReaderContext::flushed`); full rings make the reader wait, and waiting reaches the socket.

pub mod context;
pub mod postgres;
pub mod mysql;
    }
}

/// Where a run begins, from the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// No checkpoint, or one that was made before the first snapshot ended: begin as
    /// `snapshot.mode` says.
    Fresh,
    /// Stream from here.
    Resume(Position),
}

/// Gives each table of a pipeline its dense number. Numbers hold for the life of the reader, over
/// reconnects, also when a table is dropped and made again under its old name.
#[derive(Debug, Default)]
pub struct TableDirectory {
    by_name: BTreeMap<TableName, TableId>,
}

impl TableDirectory {
    /// The number of this table; a new one at its first mention.
    pub fn id(&mut self, name: &TableName) -> TableId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let next = u32::try_from(self.by_name.len()).expect("invariant: fewer than 2^32 tables");
        self.by_name.insert(name.clone(), TableId(next));
        TableId(next)
    }
}
