//! A group whose end is not known yet: its frames wait, in memory up to a bound, then spilled.
//!
//! Enters: frames, schemas, annex records, savepoints. Leaves: the frames in order at commit, a spilled group to
//! replay, or nothing. Keeps: memory stays at the bound, also when small frames pin many segments
//! (HAZARDS H5: then they are copied out); a failed spill loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_protocol::schema::TableSchema;

use crate::hop::TxnHead;
use crate::limits::{SEGMENT_BYTES, SEGMENT_SLACK};
use crate::router::RouterError;
use crate::router::annexes::Beside;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::spill::{self, SpillError, SpillId, SpillStore};
use penstock_protocol::frame::{FrameHead, TableId};

/// Frames are copied out when they pin more than this many times their own bytes (HAZARDS H5). What
/// a segment pins is its whole buffer, however little of it is filled: a reader whose pool is empty
/// never sees the end of the group.
const PIN_FACTOR: usize = 2;
/// Spill records are gathered up to this size before they are written, bytes.
const WRITE_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Held {
    segments: Vec<Arc<Segment>>,
    /// Index into `segments`, head.
    memory: Vec<(u32, FrameHead)>,
    body_bytes: usize,
    pinned_bytes: usize,
    savepoints: Vec<Savepoint>,
    spilled: Option<Spilled>,
    /// (frames before it, schema or annex record), in order.
    pub(super) beside: Vec<(u64, Beside)>,
    tables: Vec<TableId>,
    table_index: BTreeMap<TableId, u32>,
    /// With transaction metadata: versions before those that stand in `beside`.
    pub(super) before: BTreeMap<TableId, Arc<TableSchema>>,
}

struct Savepoint {
    name: Vec<u8>,
    frames: u64,
    /// Bytes before it in the spill; counts once spilled.
    bytes: u64,
    /// Tables with frames before it.
    tables: usize,
}

struct Spilled {
    id: SpillId,
    /// Bytes in the store that count.
    stored: u64,
    /// The store may hold more than `stored`: an append failed half way.
    torn: bool,
    /// Records not written yet.
    unwritten: Vec<u8>,
    /// Size at which they are written.
    write_bytes: usize,
    frames: u64,
}

impl Held {
    /// Ready for the next group; what memory is small stays.
    pub(super) fn reset(&mut self) {
        self.segments.clear();
        self.memory.clear();
        (self.body_bytes, self.pinned_bytes) = (0, 0);
        self.savepoints.clear();
        self.spilled = None;
        self.beside.clear();
        self.before.clear();
        self.tables.clear();
        self.table_index.clear();
    }

    /// Frames so far.
    pub(super) fn frames(&self) -> u64 {
        match &self.spilled {
            Some(spilled) => spilled.frames,
            None => self.memory.len() as u64,
        }
    }

    pub(super) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    pub(super) fn spill_id(&self) -> SpillId {
        self.spilled.as_ref().map_or(SpillId(0), |spilled| spilled.id)
    }

    pub(super) fn spilled_bytes(&self) -> u64 {
        self.spilled.as_ref().map_or(0, |spilled| spilled.stored)
    }

    pub(super) fn tables(&self) -> &[TableId] {
        &self.tables
    }

    /// Bytes in memory, pinned ones included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pinned_bytes + self.spilled.as_ref().map_or(0, |spilled| spilled.unwritten.len())
    }

    /// The frames of a group that is in memory.
    pub(super) fn memory(&self) -> impl Iterator<Item = (&Arc<Segment>, &FrameHead)> {
        self.memory.iter().map(|(segment, head)| (&self.segments[*segment as usize], head))
    }

    pub(super) fn push(
        &mut self,
        segment: &Arc<Segment>,
        head: FrameHead,
        bytes_max: usize,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<(), RouterError> {
        // The reader has one buffer for rows that no segment holds. Kept here, the next such row
        // would wait for the end of the group that it belongs to (HAZARDS H5).
        let large = segment.padded().len() > SEGMENT_BYTES + SEGMENT_SLACK;
        let copy = (large && self.spilled.is_none()).then(|| segment.copy_out(head));
        let (segment, head) = copy.as_ref().map_or((segment, head), |(copy, head)| (copy, *head));
        // What a segment pins is its whole buffer, however little a short read has put into it:
        // counted by its data alone, a group could hold every buffer of the pool (HAZARDS H5).
        let pins = match self.segments.last() {
            Some(last) if Arc::ptr_eq(last, segment) => 0,
            _ => segment.padded().len(),
        };
        if self.spilled.is_none() && self.pinned_bytes.saturating_add(pins) > bytes_max {
            if !self.memory.is_empty() && self.body_bytes * PIN_FACTOR < self.pinned_bytes {
                self.copy_out();
            }
            if self.pinned_bytes.saturating_add(pins) > bytes_max {
                self.spill(bytes_max, store, spill_next)?;
            }
        }
        if self.spilled.as_ref().is_some_and(Spilled::is_full) {
            self.flush_spill(store)?;
        }
        let table = self.index_of(head.table);
        match &mut self.spilled {
            Some(spilled) => {
                let body = head.offset as usize..(head.offset + head.len) as usize;
                spill::write_record(&mut spilled.unwritten, &head, table, 0, &segment.data()[body]);
                spilled.frames += 1;
            }
            None => {
                let known = self.segments.last().is_some_and(|last| Arc::ptr_eq(last, segment));
                if !known {
                    self.segments.push(Arc::clone(segment));
                    self.pinned_bytes += segment.padded().len();
                }
                self.memory.push((self.segments.len() as u32 - 1, head));
                self.body_bytes += head.len as usize;
            }
        }
        Ok(())
    }

    fn index_of(&mut self, table: TableId) -> u32 {
        if let Some(&index) = self.table_index.get(&table) {
            return index;
        }
        let index = self.tables.len() as u32;
        self.tables.push(table);
        self.table_index.insert(table, index);
        index
    }

    /// Copies all bodies into one segment of their own and lets the pinned ones go.
    fn copy_out(&mut self) {
        let mut bytes = Vec::with_capacity(self.body_bytes + SEGMENT_SLACK);
        for (segment, head) in &mut self.memory {
            let body = head.offset as usize..(head.offset + head.len) as usize;
            let from = &self.segments[*segment as usize].data()[body];
            head.offset = bytes.len() as u32;
            *segment = 0;
            bytes.extend_from_slice(from);
        }
        let len = bytes.len();
        self.segments = vec![Segment::freeze(bytes, len, None)];
        self.pinned_bytes = len + SEGMENT_SLACK;
    }

    /// Moves everything from memory to the store.
    fn spill(
        &mut self,
        bytes_max: usize,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<(), RouterError> {
        let id = SpillId(*spill_next);
        *spill_next += 1;
        let (unwritten, write_bytes) = (Vec::new(), WRITE_BYTES.min(bytes_max));
        let mut spilled = Spilled { id, stored: 0, torn: false, unwritten, write_bytes, frames: 0 };
        let mut savepoints = self.savepoints.iter_mut().peekable();
        for (segment, head) in &self.memory {
            while let Some(at) = savepoints.next_if(|at| at.frames <= spilled.frames) {
                at.bytes = spilled.end();
            }
            let body = head.offset as usize..(head.offset + head.len) as usize;
            let body = &self.segments[*segment as usize].data()[body];
            let table = self.table_index[&head.table];
            spill::write_record(&mut spilled.unwritten, head, table, 0, body);
            spilled.frames += 1;
            if spilled.is_full()
                && let Err(error) = spilled.write(store)
            {
                store.remove(id)?;
                return Err(error.into());
            }
        }
        savepoints.for_each(|at| at.bytes = spilled.end());
        self.spilled = Some(spilled);
        self.memory = Vec::new();
        self.segments = Vec::new();
        (self.body_bytes, self.pinned_bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is gathered, so that the store holds the whole group.
    pub(super) fn flush_spill(&mut self, store: &mut dyn SpillStore) -> Result<(), RouterError> {
        match &mut self.spilled {
            Some(spilled) => Ok(spilled.write(store)?),
            None => Ok(()),
        }
    }

    /// Puts the whole group into the store, whatever its size.
    pub(super) fn park(
        &mut self,
        store: &mut dyn SpillStore,
        spill_next: &mut u64,
    ) -> Result<(), RouterError> {
        if self.spilled.is_none() {
            self.spill(WRITE_BYTES, store, spill_next)?;
        }
        self.flush_spill(store)
    }

    pub(super) fn savepoint(&mut self, name: &[u8]) {
        self.savepoints.retain(|at| !at.name.eq_ignore_ascii_case(name));
        let bytes = self.spilled.as_ref().map_or(0, Spilled::end);
        let (name, frames, tables) = (name.to_vec(), self.frames(), self.tables.len());
        self.savepoints.push(Savepoint { name, frames, bytes, tables });
    }

    pub(super) fn rollback_to(
        &mut self,
        name: &[u8],
        store: &mut dyn SpillStore,
    ) -> Result<(), RouterError> {
        let at = self.savepoints.iter().position(|at| at.name.eq_ignore_ascii_case(name));
        let at = at.ok_or(RouterError::UnknownSavepoint)?;
        let Savepoint { frames, bytes, tables, .. } = self.savepoints[at];
        match &mut self.spilled {
            Some(spilled) => spilled.cut(frames, bytes, store)?,
            None => {
                for (_, head) in &self.memory[frames as usize..] {
                    self.body_bytes -= head.len as usize;
                }
                self.memory.truncate(frames as usize);
            }
        }
        self.savepoints.truncate(at + 1);
        // A table without a frame left is none of the group's: nothing keeps its schema.
        for table in self.tables.drain(tables..) {
            self.table_index.remove(&table);
        }
        // Schemas hold: the reader does not send them again. So do schema changes, which no
        // savepoint takes back. They now stand behind fewer frames.
        self.beside.iter_mut().for_each(|(before, _)| *before = (*before).min(frames));
        Ok(())
    }

    /// Drops all frames.
    pub(super) fn forget(&mut self, store: &mut dyn SpillStore) -> Result<(), RouterError> {
        if let Some(spilled) = self.spilled.take() {
            store.remove(spilled.id)?;
        }
        self.memory.clear();
        self.segments.clear();
        Ok(())
    }
}

impl Spilled {
    fn is_full(&self) -> bool {
        self.unwritten.len() >= self.write_bytes
    }

    /// Bytes, those not written yet included.
    fn end(&self) -> u64 {
        self.stored + self.unwritten.len() as u64
    }

    fn write(&mut self, store: &mut dyn SpillStore) -> Result<(), SpillError> {
        if self.torn {
            store.truncate(self.id, self.stored)?;
            self.torn = false;
        }
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.torn = true;
        store.append(self.id, &self.unwritten)?;
        self.torn = false;
        self.stored += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    fn cut(
        &mut self,
        frames: u64,
        bytes: u64,
        store: &mut dyn SpillStore,
    ) -> Result<(), SpillError> {
        self.frames = frames;
        if bytes >= self.stored {
            self.unwritten.truncate((bytes - self.stored) as usize);
            return Ok(());
        }
        self.unwritten.clear();
        self.stored = bytes;
        self.torn = true;
        store.truncate(self.id, bytes)?;
        self.torn = false;
        Ok(())
    }
}

/// `Seq` before a transaction that is being replayed: it is not whole yet.
pub(super) fn through_of(txn: &TxnHead) -> Seq {
    txn.seq.before()
}
