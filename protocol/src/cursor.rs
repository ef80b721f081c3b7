//! Checked reads over untrusted bytes.
//!
//! Enters: a slice. Leaves: integers and sub-slices, or the offset at which bytes were missing.
//! Keeps: no read past the end, no panic, no copy.

use core::fmt;

/// What was wrong with the bytes, and where (offset from the start of the slice given).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// `wanted` more bytes were needed at `offset`.
    Truncated { offset: usize, wanted: usize },
    /// A field holds a value that its specification does not allow.
    Invalid { offset: usize, what: &'static str },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset, wanted } => {
                write!(f, "{wanted} more bytes wanted at offset {offset}")
            }
            Self::Invalid { offset, what } => write!(f, "invalid {what} at offset {offset}"),
        }
    }
}

impl core::error::Error for WireError {}

/// A reading position in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! read_int {
    ($($name:ident, $ty:ty, $from:ident;)*) => {$(
        #[doc = concat!("Reads one `", stringify!($ty), "` (`", stringify!($from), "`).")]
        #[inline]
        pub fn $name(&mut self) -> Result<$ty, WireError> {
            Ok(<$ty>::$from(self.array()?))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// What has not been read yet; the cursor does not move.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Reads `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            let wanted = len.saturating_sub(self.remaining());
            return Err(WireError::Truncated { offset: self.at, wanted });
        };
        let read = &self.bytes[self.at..end];
        self.at = end;
        Ok(read)
    }

    /// Reads a constant number of bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let read = self.bytes(N)?;
        Ok(read.try_into().expect("invariant: bytes(N) returns N bytes"))
    }

    /// Steps over `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), WireError> {
        self.bytes(len).map(drop)
    }

    /// Reads up to the next zero byte and steps over it.
    pub fn cstr(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.rest().iter().position(|&b| b == 0);
        let len = len.ok_or(WireError::Truncated { offset: self.bytes.len(), wanted: 1 })?;
        let read = self.bytes(len)?;
        self.skip(1)?;
        Ok(read)
    }

    /// An error that names the byte about to be read.
    pub fn invalid<T>(&self, what: &'static str) -> Result<T, WireError> {
        Err(WireError::Invalid { offset: self.at, what })
    }

    read_int! {
        u8, u8, from_le_bytes;
        u16_le, u16, from_le_bytes;
        u32_le, u32, from_le_bytes;
        u64_le, u64, from_le_bytes;
        i8, i8, from_be_bytes;
        i16_be, i16, from_be_bytes;
        i32_be, i32, from_be_bytes;
        i64_be, i64, from_be_bytes;
        u16_be, u16, from_be_bytes;
        u32_be, u32, from_be_bytes;
        u64_be, u64, from_be_bytes;
    }

    /// Reads `len` (1 to 8) little-endian bytes as an unsigned integer.
    pub fn uint_le(&mut self, len: usize) -> Result<u64, WireError> {
        debug_assert!((1..=8).contains(&len));
        let read = self.bytes(len)?;
        Ok(read.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_reports_where_bytes_are_missing() {
        // Goal: every reader stops at the end with the offset. Method: a five-byte slice.
        let mut c = Cursor::new(&[1, 2, 0, 4, 5]);
        assert_eq!(c.u8(), Ok(1));
        assert_eq!(c.cstr(), Ok(&[2][..]));
        assert_eq!(c.u32_le(), Err(WireError::Truncated { offset: 3, wanted: 2 }));
        assert_eq!(c.uint_le(2), Ok(0x0504));
        assert_eq!(c.cstr(), Err(WireError::Truncated { offset: 5, wanted: 1 }));
        assert_eq!(
            c.bytes(usize::MAX),
            Err(WireError::Truncated { offset: 5, wanted: usize::MAX })
        );
        assert!(c.is_empty());
    }
}
