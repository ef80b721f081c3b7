//! Windows: the rows of a chunk between its low and its high mark, in the shard that owns the table.
//!
//! Enters: in the order of the ring, the low mark, the chunk's rows with their encoded keys, the
//! high mark, and beside them every event of the log on the table. Leaves: the rows that still
//! stand when the stream has come to the high mark, with the incomplete images that lie over them;
//! or the word that a window was discarded. Keeps: a row is never emitted behind a later event on
//! its key, also if it arrives behind that event (L1 with an accepted view); only a complete image
//! or a delete replaces it (L6); removal without row events discards the window (L7); keys are
//! compared as encoded bytes, old and new, in every open window of the table (L8); its memory has
//! a bound of its own and never holds up the stream (H5): beyond it the window is discarded.
//!
//! Cost without a window: `is_open`, one comparison.

use std::collections::BTreeMap;

use penstock_protocol::frame::TableId;

use crate::bugs::{Bug, Bugs};
use crate::snapshot::ReadId;

/// A place in the log as a number that grows with it: a count of transactions, or an LSN. No `Seq`:
/// the rows of a window have one of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogAt(pub u64);

/// Bounds of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// Bytes of its rows and keys.
    pub row_bytes: usize,
    /// Bytes of what the log adds while it is open: keys that were touched, and images.
    pub log_bytes: usize,
}

/// What a row event says of the row behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image<I> {
    /// Every column: it replaces the chunk's row.
    Complete,
    /// Some columns: it lies over the chunk's row. With its bytes.
    Incomplete(I, usize),
}

/// A row event, by encoded keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a, I> {
    /// Key of the row before; `None`: an insert.
    pub old: Option<&'a [u8]>,
    /// Key and image of the row behind; `None`: a delete.
    pub new: Option<(&'a [u8], Image<I>)>,
}

/// A row that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving<R, I> {
    /// Its encoded key.
    pub key: Box<[u8]>,
    /// The chunk's row.
    pub row: R,
    /// Incomplete images, the oldest first: the row leaves with them laid over it.
    pub laid: Vec<I>,
}

/// A window that ended: its rows leave now, in the order of their keys' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended<R, I> {
    /// Which read.
    pub read: ReadId,
    /// Its table.
    pub table: TableId,
    /// What is left of it.
    pub rows: Vec<Leaving<R, I>>,
}

/// A window that was discarded: the chunk is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discard {
    /// Which read.
    pub read: ReadId,
    /// It did not fit.
    pub too_large: bool,
}

/// The open windows of a shard. `R`: a row; `I`: an incomplete image, cheap to clone.
#[derive(Debug)]
pub struct Windows<R, I> {
    open: Vec<Window<R, I>>,
    discards: Vec<Discard>,
    limits: WindowLimits,
    bugs: Bugs,
}

#[derive(Debug)]
struct Window<R, I> {
    read: ReadId,
    table: TableId,
    keys: BTreeMap<Box<[u8]>, Held<R, I>>,
    row_bytes: usize,
    log_bytes: usize,
    /// All rows are here.
    high: Option<LogAt>,
}

#[derive(Debug)]
enum Held<R, I> {
    /// The chunk's row, and what lies over it.
    Row(R, Vec<I>),
    /// The row has not come; if it does, this lies over it.
    Laid(Vec<I>),
    /// If the row comes it is too late.
    Gone,
}

impl<R, I: Clone> Windows<R, I> {
    /// None open.
    pub fn new(limits: WindowLimits) -> Self {
        Self::with_bugs(limits, Bugs::NONE)
    }

    /// The same with planted bugs.
    #[doc(hidden)]
    pub fn with_bugs(limits: WindowLimits, bugs: Bugs) -> Self {
        Self { open: Vec::new(), discards: Vec::new(), limits, bugs }
    }

    /// True if any window is open: if not, no other method needs a call.
    #[inline]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The low mark: from here on the log's events count.
    pub fn handle_low(&mut self, read: ReadId, table: TableId) {
        assert!(self.open.iter().all(|window| window.read != read), "a read has one window");
        let (keys, row_bytes, log_bytes, high) = (BTreeMap::new(), 0, 0, None);
        self.open.push(Window { read, table, keys, row_bytes, log_bytes, high });
    }

    /// A row of the chunk. Of a read that was discarded it is dropped.
    pub fn handle_row(&mut self, read: ReadId, key: &[u8], row: R, bytes: usize) {
        let Some(at) = self.open.iter().position(|window| window.read == read) else { return };
        let window = &mut self.open[at];
        assert!(window.high.is_none(), "a chunk's row behind its high mark");
        let laid = match window.keys.get_mut(key) {
            Some(Held::Gone) => return,
            Some(Held::Laid(laid)) => std::mem::take(laid),
            Some(Held::Row(..)) | None => Vec::new(),
        };
        window.keys.insert(key.into(), Held::Row(row, laid));
        window.row_bytes += key.len() + bytes;
        self.keep_bounds();
    }

    /// The high mark: all rows are here, and they leave when the stream has come to `high`.
    pub fn handle_high(&mut self, read: ReadId, high: LogAt) {
        if let Some(window) = self.open.iter_mut().find(|window| window.read == read) {
            window.high = Some(high);
            window.keys.retain(|_, held| matches!(held, Held::Row(..)));
        }
    }

    /// A row event of the table. (While a table's snapshot runs, an incomplete image whose key
    /// changed also asks for its new key: `Chunks::handle_key`, with or without a window.)
    pub fn handle_change(&mut self, table: TableId, change: &Change<'_, I>) {
        let bugs = self.bugs;
        for window in self.open.iter_mut().filter(|window| window.table == table) {
            let new_key = change.new.as_ref().map(|(key, _)| *key);
            if let Some(old) = change.old
                && Some(old) != new_key
                && !(bugs.has(Bug::WindowNewKeyOnly) && new_key.is_some())
            {
                window.replace(old, bugs);
            }
            match &change.new {
                Some((key, Image::Incomplete(image, bytes)))
                    if !bugs.has(Bug::IncompleteReplaces) =>
                {
                    window.lay(key, image, *bytes);
                }
                Some((key, _)) => window.replace(key, bugs),
                None => {}
            }
        }
        self.keep_bounds();
    }

    /// Rows of the table went without row events (TRUNCATE, a partition), or its schema changed.
    pub fn handle_removal(&mut self, table: TableId) {
        if !self.bugs.has(Bug::TruncateKeepsWindow) {
            self.discard(false, |window| window.table == table);
        }
    }

    /// The reader gave up (its view was lost, it was cancelled).
    pub fn handle_lost(&mut self, read: ReadId) {
        self.discard(false, |window| window.read == read);
    }

    /// A window that ends here: every row event up to and with `through` was handled, and none
    /// behind it.
    pub fn poll_end(&mut self, through: LogAt) -> Option<Ended<R, I>> {
        let early = self.bugs.has(Bug::WindowClosedEarly);
        let ends = |window: &Window<R, I>| window.high.is_some_and(|h| h <= through || early);
        let at = self.open.iter().position(ends)?;
        let Window { read, table, keys, .. } = self.open.remove(at);
        let rows = keys.into_iter().filter_map(|(key, held)| match held {
            Held::Row(row, laid) => Some(Leaving { key, row, laid }),
            Held::Laid(_) | Held::Gone => None,
        });
        Some(Ended { read, table, rows: rows.collect() })
    }

    /// A window that was discarded.
    pub fn poll_discard(&mut self) -> Option<Discard> {
        self.discards.pop()
    }

    fn keep_bounds(&mut self) {
        let WindowLimits { row_bytes, log_bytes } = self.limits;
        // One row is let in whatever its size: it cannot be read in halves.
        self.discard(true, |window| {
            window.log_bytes > log_bytes || (window.row_bytes > row_bytes && window.keys.len() > 1)
        });
    }

    fn discard(&mut self, too_large: bool, which: impl Fn(&Window<R, I>) -> bool) {
        let discards = &mut self.discards;
        self.open.retain(|window| {
            let goes = which(window);
            if goes {
                discards.push(Discard { read: window.read, too_large });
            }
            !goes
        });
    }
}

impl<R, I: Clone> Window<R, I> {
    /// The log says more of this key than the chunk's row does.
    fn replace(&mut self, key: &[u8], bugs: Bugs) {
        if self.high.is_some() || bugs.has(Bug::LateRowResurrects) {
            self.keys.remove(key);
        } else if let Some(held) = self.keys.get_mut(key) {
            *held = Held::Gone;
        } else {
            self.log_bytes += key.len();
            self.keys.insert(key.into(), Held::Gone);
        }
    }

    fn lay(&mut self, key: &[u8], image: &I, bytes: usize) {
        match self.keys.get_mut(key) {
            Some(Held::Row(_, laid) | Held::Laid(laid)) => laid.push(image.clone()),
            None if self.high.is_none() => {
                self.keys.insert(key.into(), Held::Laid(vec![image.clone()]));
                self.log_bytes += key.len();
            }
            Some(Held::Gone) | None => return,
        }
        self.log_bytes += bytes;
    }
}
