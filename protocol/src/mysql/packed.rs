//! Values of MariaDB's COMPRESSED columns, as they stand in the log.
//!
//! ```text
//!  nothing: an empty value
//!  header 1 | the value                                             header 0
//!  header 1 | length of the value, big-endian | deflate stream      else
//!  header: method 4 bits (8: zlib) | 1: without zlib's frame | bytes of the length 3 bits
//! ```
//! (MariaDB: `sql/field_comp.cc`, `Field_longstr::uncompress`.)
//!
//! Enters: a packed value. Leaves: the value, in a buffer that the caller owns. Keeps: a value is
//! never longer than its column allows, nor than deflate can make it from its bytes, so a lie about
//! the length reserves nothing; nothing is allocated once the buffer is large enough.

use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::cursor::{Cursor, WireError};

/// What one byte of a deflate stream can become at most.
const RATIO_MAX: usize = 1032;
/// A buffer beyond this is given back when a shorter value comes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Unpacks one value of a column of at most `max` bytes into `value`.
///
/// # Errors
/// A header, length or stream that no server writes.
pub fn unpack(packed: &[u8], max: u32, value: &mut Vec<u8>) -> Result<(), WireError> {
    if value.capacity() > KEPT_BYTES_MAX && packed.len() < KEPT_BYTES_MAX / RATIO_MAX {
        *value = Vec::new();
    }
    value.clear();
    let mut c = Cursor::new(packed);
    if c.is_empty() {
        return Ok(());
    }
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let header = c.u8()?;
    if header == 0 {
        if c.remaining() > max {
            return c.invalid("length of a COMPRESSED value");
        }
        value.extend_from_slice(c.rest());
        return Ok(());
    }
    let bytes = usize::from(header & 7);
    if header >> 4 != 8 || !(1..=4).contains(&bytes) {
        return c.invalid("method of a COMPRESSED value");
    }
    let len = c.bytes(bytes)?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
    let stream = c.rest();
    if len > max || len > stream.len().saturating_mul(RATIO_MAX) {
        return c.invalid("length of a COMPRESSED value");
    }
    value.resize(len, 0);
    let frame = if header & 8 == 0 { TINFL_FLAG_PARSE_ZLIB_HEADER } else { 0 };
    let flags = frame | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = DecompressorOxide::new();
    let (status, _, written) = decompress(&mut state, stream, value, 0, flags);
    if status != TINFLStatus::Done || written != len {
        value.clear();
        return c.invalid("stream of a COMPRESSED value");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
    use proptest::prelude::*;

    fn packed(value: &[u8], frame: bool) -> Vec<u8> {
        let stream = if frame { compress_to_vec_zlib(value, 6) } else { compress_to_vec(value, 6) };
        let mut packed = alloc::vec![0x83 + if frame { 0 } else { 8 }];
        packed.extend_from_slice(&(value.len() as u32).to_be_bytes()[1..]);
        packed.extend(stream);
        packed
    }

    #[test]
    fn headers_lengths_and_bombs() {
        // Goal: every header; a length beyond the column or beyond deflate is refused before a byte
        // is reserved. Method: hand-made values.
        let mut value = Vec::new();
        let mut get = |bytes: &[u8], max| unpack(bytes, max, &mut value).map(|()| value.clone());
        assert_eq!(get(b"", 9), Ok(Vec::new()));
        assert_eq!(get(b"\0abc", 3), Ok(b"abc".to_vec()));
        assert!(get(b"\0abc", 2).is_err());
        let zeros = alloc::vec![0u8; 100_000];
        for frame in [false, true] {
            assert_eq!(get(&packed(&zeros, frame), 100_000), Ok(zeros.clone()));
            assert!(get(&packed(&zeros, frame), 99_999).is_err());
        }
        assert!(get(&[0x93, 0, 0, 1, 0], 9).is_err());
        assert!(get(&[0x80, 0], 9).is_err());
        let mut lie = packed(b"abcabcabcabc", false);
        lie[1] = 0xFF;
        assert!(get(&lie, u32::MAX).is_err());
        assert!(value.capacity() < 1 << 20);
    }

    proptest! {
        #[test]
        fn values_come_back_and_broken_ones_are_errors(
            value in proptest::collection::vec(any::<u8>(), 1..300), frame: bool, at: usize, bits: u8,
        ) {
            // Goal: pack, unpack; no byte of a packed value can make it panic or grow. Method: one
            // changed byte.
            let mut packed = packed(&value, frame);
            let mut got = Vec::new();
            prop_assert_eq!(unpack(&packed, 300, &mut got), Ok(()));
            prop_assert_eq!(&got, &value);
            let at = at % packed.len();
            packed[at] ^= bits;
            let _ = unpack(&packed, 300, &mut got);
            prop_assert!(got.len() <= 300);
        }

        #[test]
        fn no_bytes_make_it_panic(packed: Vec<u8>, max: u16) {
            // Goal: hostile values. Method: anything.
            let _ = unpack(&packed, u32::from(max), &mut Vec::new());
        }
    }
}
