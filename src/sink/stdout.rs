//! `stdout`: a line per record on standard output.
//!
//! Enters: batches. Leaves: lines, whole batches at a time, and `Durable` for each batch once its
//! last byte was taken by the other end of standard output. Keeps: lines of several pipelines
//! never mix; a reader that has gone away ends the pipeline with a clear word instead of a panic
//! or an endless retry.

use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use penstock_shards::seq::Seq;

use super::line::{self, ContextHeaders, TopicHeads};
use super::{BatchHandle, Declaration, Fencing, Resume, Sink};
use crate::error::{Error, Result};

/// Lines are written in pieces of about this size, so that memory stays flat, bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// Standard output is one for all pipelines of a process.
static STDOUT: Mutex<()> = Mutex::new(());

/// The sink.
pub struct StdoutSink<W = Fd> {
    out: W,
    headers: Option<ContextHeaders>,
    heads: TopicHeads,
    buffer: Vec<u8>,
}

impl StdoutSink<Fd> {
    /// With `headers`, lines carry them.
    pub fn new(headers: Option<ContextHeaders>) -> Self {
        Self::to(Fd(libc::STDOUT_FILENO), headers)
    }
}

impl<W: Write + Send> StdoutSink<W> {
    fn to(out: W, headers: Option<ContextHeaders>) -> Self {
        Self { out, headers, heads: TopicHeads::default(), buffer: Vec::new() }
    }

    fn write(&mut self) -> Result<()> {
        let result = self.out.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(explain)
    }
}

impl<W: Write + Send> Sink for StdoutSink<W> {
    fn declaration(&self) -> Declaration {
        Declaration {
            kind: "stdout",
            lanes: 1,
            fencing: Fencing::NothingToFence,
            exactly_once: false,
        }
    }

    fn open(&mut self, _resume: Resume) -> Result<()> {
        Ok(())
    }

    fn handle_batch(&mut self, handle: BatchHandle) -> Result<()> {
        let _one_at_a_time = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = handle.batch();
        for event in &batch.body.events {
            let head = self.heads.get(batch, event.topic);
            line::append(&mut self.buffer, head, &batch.body, event, self.headers.as_ref());
            if self.buffer.len() >= CHUNK_BYTES {
                self.write()?;
            }
        }
        self.write()?;
        handle.durable();
        Ok(())
    }

    fn handle_sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn state_at(&mut self, _seq: Seq) -> Result<Option<serde_json::Value>> {
        Ok(Some(serde_json::Value::Null))
    }

    fn handle_checkpoint(&mut self, _seq: Seq) -> Result<()> {
        Ok(())
    }

    fn close(&mut self, _deadline: Instant) -> Result<()> {
        Ok(())
    }
}

fn explain(error: io::Error) -> Error {
    if error.kind() == ErrorKind::BrokenPipe {
        return Error::fatal("sink-stdout-closed", "the reader of standard output has gone away")
            .hint("start again with a reader: delivery goes on at the last checkpoint");
    }
    Error::fatal("sink-stdout-failed", format!("standard output cannot be written: {error}"))
        .hint("mend what standard output leads to, then start again")
}

/// A file descriptor, unbuffered. Standard output may be non-blocking (another process that
/// shares it can make it so): then writing waits until there is room.
pub struct Fd(libc::c_int);

impl Write for Fd {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            // SAFETY: the pointer and the length are those of a live slice.
            let written = unsafe { libc::write(self.0, data.as_ptr().cast(), data.len()) };
            if let Ok(written) = usize::try_from(written) {
                return Ok(written);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => self.wait_writable()?,
                _ => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Fd {
    fn wait_writable(&self) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.0, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one live pollfd, and a count of one.
        if unsafe { libc::poll(&mut poll, 1, -1) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::{Answers, BatchMaker, Row};
    use penstock_shards::hop::AckOutcome;
    use std::io::Read;
    use std::os::fd::{AsRawFd, OwnedFd};

    /// Goal: a batch is lines in order, then Durable. Method: two rows of two topics, exact bytes.
    #[test]
    fn batches_become_lines() {
        let (answers, mut maker) = (Answers::default(), BatchMaker::new(0));
        let mut sink = StdoutSink::to(Vec::new(), None);
        let rows = [Row::new("b", 1, "1", "{}"), Row::new("a", 1, "2", "{}")];
        sink.handle_batch(answers.handle(maker.batch(&rows))).unwrap();
        let expected = "{\"topic\":\"b\",\"key\":1,\"value\":{}}\n\
                        {\"topic\":\"a\",\"key\":2,\"value\":{}}\n";
        assert_eq!(String::from_utf8(sink.out).unwrap(), expected);
        assert_eq!(answers.all(), vec![(1, AckOutcome::Durable)]);
    }

    /// Goal: a closed reader is a clear end, and the batch is answered. Method: a real pipe whose
    /// read end is closed.
    #[test]
    fn a_closed_reader_is_a_clear_end() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let writer = OwnedFd::from(writer);
        let (answers, mut maker) = (Answers::default(), BatchMaker::new(0));
        let mut sink = StdoutSink::to(Fd(writer.as_raw_fd()), None);
        let batch = maker.batch(&[Row::new("t", 1, "1", "2")]);
        let error = sink.handle_batch(answers.handle(batch)).unwrap_err();
        assert_eq!(error.code, "sink-stdout-closed");
        assert_eq!(answers.all(), vec![(1, AckOutcome::Transient)]);
    }

    /// Goal: a non-blocking standard output loses nothing. Method: a pipe with O_NONBLOCK and a
    /// batch far larger than its buffer; a thread reads it whole.
    #[test]
    fn a_non_blocking_output_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        // SAFETY: a live descriptor and a flag that takes an int.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        assert_eq!(set, 0);
        let received = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        let (answers, mut maker) = (Answers::default(), BatchMaker::new(0));
        let mut sink = StdoutSink::to(Fd(writer.as_raw_fd()), None);
        let value = format!("\"{}\"", "x".repeat(1000));
        let rows: Vec<_> = (0..2000).map(|n| Row::new("t", 1, &n.to_string(), &value)).collect();
        sink.handle_batch(answers.handle(maker.batch(&rows))).unwrap();
        drop(writer);
        let text = received.join().unwrap().unwrap();
        let expected: Vec<_> = (0..2000)
            .map(|n| format!("{{\"topic\":\"t\",\"key\":{n},\"value\":{value}}}"))
            .collect();
        assert!(text.lines().eq(expected.iter().map(String::as_str)));
    }
}
