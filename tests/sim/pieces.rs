//! Transactions in progress: the reader gets them in pieces, interleaved, as PostgreSQL streams
//! them from protocol 2 on.
//!
//! Enters: entries that stand behind the next one too. Leaves: rows by xid and part, aborted parts,
//! and, when it is its turn, the end of each with its schemas. Pieces are lost with the connection.

use std::sync::Arc;

use penstock_protocol::frame::TableId;
use penstock_shards::router::{Beside, Router, RouterError};
use penstock_shards::segment::Segment;
use penstock_shards::spill::SpillError;

use crate::encoder::{kind_of, schema, write_frame};
use crate::plant::WorldBug;
use crate::reader::{Reader, Step};
use crate::rng::Rng;
use crate::source::{End, Entry, Item, Row, Source, TABLES};

/// Entries behind the next one of which pieces may come.
const AHEAD: usize = 4;

/// What came of a transaction.
#[derive(Default)]
pub struct Piece {
    /// Items given.
    given: usize,
    /// Parts that are open, oldest first; the last one writes.
    parts: Vec<u32>,
    /// Savepoints: name, how many parts were open before it.
    names: Vec<(u8, usize)>,
    parts_made: u32,
    aborted: Vec<u32>,
    /// Schemas: rows before, part, a row in the new version.
    told: Vec<(u64, u32, Row)>,
    /// Versions told to this transaction's rows.
    known: [u16; TABLES],
}

impl Piece {
    /// Who writes now; 0: the transaction itself.
    fn part(&self) -> u32 {
        self.parts.last().copied().unwrap_or(0)
    }

    /// A part's own id: an xid that no other has.
    fn open_part(&mut self, xid: u32) {
        self.parts_made += 1;
        self.parts.push(xid * 1000 + self.parts_made);
    }
}

impl Reader {
    /// Whether an entry comes in pieces on this connection.
    pub fn in_pieces(&self, source: &Source, entry: usize) -> bool {
        let several =
            |entry: &Entry| matches!(entry, Entry::Group { items, .. } if items.len() > 1);
        source.streams
            && !self.unstreamed
            && !entry.is_multiple_of(3)
            && several(&source.log[entry])
    }

    /// A piece of one of the next entries, or the end of the next one.
    pub fn step_pieces(
        &mut self,
        rng: &mut Rng,
        source: &Source,
        router: &mut Router,
        end: usize,
    ) -> Step {
        let window = end.min(self.next + AHEAD);
        let entry = rng.range(self.next, window - 1);
        let taken = match self.in_pieces(source, entry) {
            true if rng.one_in(2) => self.give_piece(source, router, entry, rng.range(1, 6)),
            _ if self.in_pieces(source, self.next) => self.end_pieces(source, router, self.next),
            _ => return Step::Waits,
        };
        match taken {
            Ok(()) => Step::Moved,
            Err(RouterError::Spill(SpillError::Full)) => {
                // Without room the source keeps transactions until they are whole.
                let step = self.lose_connection(router);
                self.unstreamed = true;
                step
            }
            Err(error) => panic!("ROUTER: {error}"),
        }
    }

    fn give_piece(
        &mut self,
        source: &Source,
        router: &mut Router,
        entry: usize,
        count: usize,
    ) -> Result<(), RouterError> {
        let Entry::Group { items, .. } = &source.log[entry] else { return Ok(()) };
        let xid = entry as u32 + 1;
        let mut piece = self.pieces.remove(&entry).unwrap_or_default();
        for item in items.iter().skip(piece.given).take(count) {
            match item {
                Item::Frame(rows) => self.give_part(router, xid, &mut piece, rows)?,
                Item::Savepoint(name) => {
                    piece.names.retain(|(known, _)| known != name);
                    piece.names.push((*name, piece.parts.len()));
                    piece.open_part(xid);
                }
                Item::RollbackTo(name) => {
                    let at = piece.names.iter().position(|(known, _)| known == name);
                    let at =
                        at.expect("invariant: the log rolls back to savepoints that it has set");
                    piece.names.truncate(at + 1);
                    for part in piece.parts.split_off(piece.names[at].1) {
                        router.abort_part(xid, part);
                        piece.aborted.push(part);
                    }
                    // All schemas are told anew after an aborted part.
                    piece.known = [0; TABLES];
                    piece.open_part(xid);
                }
            }
            piece.given += 1;
        }
        self.pieces.insert(entry, piece);
        if self.plant.has(WorldBug::CommittedOutOfTurn)
            && self.pieces[&entry].given == items.len()
            && entry > self.next
        {
            self.route_pieces(source, router, entry)?;
        }
        Ok(())
    }

    fn give_part(
        &mut self,
        router: &mut Router,
        xid: u32,
        piece: &mut Piece,
        rows: &[Row],
    ) -> Result<(), RouterError> {
        let (row, part) = (&rows[0], piece.part());
        let table = row.table as usize;
        if self.stopped[table] {
            return Ok(());
        }
        if piece.known[table] != row.version {
            piece.known[table] = row.version;
            piece.told.push((router.parts(xid), part, row.clone()));
        }
        let mut bytes = Vec::new();
        let head = write_frame(rows, kind_of(row.change), u64::from(xid), &mut bytes);
        let len = bytes.len();
        router.handle_part(xid, part, &Segment::freeze(bytes, len, None), &head)
    }

    /// The next entry's end: what is left of it, and its commit or abort.
    fn end_pieces(
        &mut self,
        source: &Source,
        router: &mut Router,
        entry: usize,
    ) -> Result<(), RouterError> {
        self.give_piece(source, router, entry, usize::MAX)?;
        let Entry::Group { end, .. } = &source.log[entry] else { return Ok(()) };
        if *end == End::Rollback {
            self.pieces.remove(&entry);
            router.abort_parts(entry as u32 + 1)?;
            router.advance(source.delta(entry + 1));
        } else {
            self.route_pieces(source, router, entry)?;
        }
        self.next = entry + 1;
        Ok(())
    }

    fn route_pieces(
        &mut self,
        source: &Source,
        router: &mut Router,
        entry: usize,
    ) -> Result<(), RouterError> {
        let Some(piece) = self.pieces.remove(&entry) else { return Ok(()) };
        let (versions, sent) = (self.versions, self.sent);
        let mut beside = Vec::new();
        for (rows, part, row) in piece.told {
            let aborted = piece.aborted.contains(&part);
            let known = &mut self.versions[row.table as usize];
            if !aborted && *known != row.version {
                *known = row.version;
                self.sent += 1;
                let schema = schema(row.table, self.sent, row.version);
                assert_eq!(schema.table, TableId(row.table));
                beside.push((rows, Beside::Schema(Arc::clone(&schema))));
            }
        }
        let n = entry + 1;
        let (origin, delta) = (self.origin(source), source.delta(n));
        let routed = router.commit_parts(n as u32, origin, n as i64, beside, delta);
        if routed.is_err() {
            (self.versions, self.sent) = (versions, sent);
        }
        self.streamed += u32::from(routed.is_ok());
        routed
    }
}
