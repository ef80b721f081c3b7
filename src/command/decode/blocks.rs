//! A binlog file in pieces of whole events, in flat memory.
//!
//! Enters: a file. Leaves: segments and where their events are. Keeps: an event's length is
//! believed only as far as the file reaches, so no length makes us ask for memory that the file
//! does not fill; an event that the file's end cuts off is told apart from damage.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use penstock_protocol::mysql::event::HEADER_BYTES;
use penstock_shards::segment::Segment;

use crate::error::{Error, Result};

/// Bytes that are read at once. An event that is larger gets a buffer of its own size.
const BLOCK_BYTES: usize = 1 << 20;
const MAGIC: &[u8; 4] = b"\xfebin";
const MAGIC_ENCRYPTED: &[u8; 4] = b"\xfdbin";

/// An open file.
pub(super) struct LogFile {
    file: File,
    /// As the user gave it.
    path: String,
    /// Bytes of the file; of a pipe: none.
    len: Option<u64>,
    /// What was read behind the last whole event.
    rest: Vec<u8>,
    /// Where `rest` begins in the file.
    at: u64,
}

/// What comes next in a file.
pub(super) enum Piece {
    /// Whole events: their places in the segment, which begins at `at` in the file.
    Events { segment: Arc<Segment>, places: Vec<Range<usize>>, at: u64 },
    /// The end, behind a whole event.
    End,
    /// The end, inside of an event that begins here.
    Cut(u64),
}

impl LogFile {
    /// Opens a file and reads its first bytes.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let unreadable = |error: io::Error| {
            Error::usage("decode-unreadable", format!("{shown} cannot be read: {error}"))
                .hint("give the path of a binlog file that this user may read")
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let kind = file.metadata().map_err(unreadable)?;
        let len = kind.is_file().then_some(kind.len());
        let mut magic = Vec::new();
        (&mut file).take(4).read_to_end(&mut magic).map_err(unreadable)?;
        if magic == MAGIC {
            return Ok(Self { file, path: shown, len, rest: Vec::new(), at: 4 });
        }
        let (what, hint) = if magic == MAGIC_ENCRYPTED {
            ("is encrypted", "decrypt it with the server's keyring, or read it with `penstock run`")
        } else {
            ("is no binlog file", "binlog files begin with the bytes fe 62 69 6e")
        };
        Err(Error::fatal("decode-no-binlog", format!("{shown} {what}")).hint(hint))
    }

    /// A place in this file, for messages.
    pub(super) fn place(&self, at: u64) -> String {
        format!("{}:{at}", self.path)
    }

    /// The next whole events.
    pub(super) fn poll(&mut self) -> Result<Piece> {
        let mut buffer = std::mem::take(&mut self.rest);
        let mut wanted = BLOCK_BYTES;
        loop {
            let ended = self.fill(&mut buffer, wanted)?;
            let (places, next) = self.events(&buffer)?;
            if let Some(end) = places.last().map(|last| last.end) {
                let at = self.at;
                self.rest = buffer.get(end..).unwrap_or_default().to_vec();
                self.at += end as u64;
                return Ok(Piece::Events {
                    segment: Segment::freeze(buffer, end, None),
                    places,
                    at,
                });
            }
            match (buffer.is_empty(), ended) {
                (true, true) => return Ok(Piece::End),
                (false, true) => return Ok(Piece::Cut(self.at)),
                _ => {}
            }
            // One event is larger than what was read: as much as the file can hold of it.
            let needed = next.unwrap_or(HEADER_BYTES);
            if self.len.is_some_and(|len| self.at + needed as u64 > len) {
                return Ok(Piece::Cut(self.at));
            }
            // Of a pipe nobody knows the end: grow with what has really come.
            wanted = if self.len.is_some() { needed } else { needed.min(buffer.len() * 2) };
        }
    }

    /// Reads until `buffer` has `wanted` bytes; true at the end of the file.
    fn fill(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> Result<bool> {
        let missing = wanted.saturating_sub(buffer.len());
        let read = (&mut self.file).take(missing as u64).read_to_end(buffer).map_err(|error| {
            let what = format!("{} cannot be read: {error}", self.path);
            Error::fatal("decode-unreadable", what).hint("look at the disk that the file is on")
        })?;
        Ok(read < missing)
    }

    /// Places of the whole events, and the length of the one behind them if it is known.
    fn events(&self, buffer: &[u8]) -> Result<(Vec<Range<usize>>, Option<usize>)> {
        let (mut places, mut at) = (Vec::new(), 0);
        while let Some(len) = buffer.get(at + 9..at + 13).and_then(<[u8]>::first_chunk) {
            let len = u32::from_le_bytes(*len) as usize;
            if len < HEADER_BYTES {
                if places.is_empty() {
                    let place = self.place(self.at + at as u64);
                    return Err(damaged(&format!("an event of {len} bytes")).at(place));
                }
                break; // what stands before is shown first
            }
            if buffer.len() - at < len {
                return Ok((places, Some(len)));
            }
            places.push(at..at + len);
            at += len;
        }
        Ok((places, None))
    }
}

/// The file cannot be read on from here.
pub(super) fn damaged(what: &str) -> Error {
    Error::fatal("decode-damaged", format!("the file is damaged: {what}"))
        .hint("the records before this place are whole; fetch the file again from the server")
}
