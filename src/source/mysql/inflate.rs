//! MariaDB's compressed events (`log_bin_compress`).
//!
//! Enters: bodies of QUERY_COMPRESSED and *_ROWS_COMPRESSED events. Leaves: the bodies that they
//! stand for. Keeps: what is inflated is bounded by what the event says of itself and by
//! `ROW_BYTES_MAX`.
//!
//! ```text
//! | 1 lll: 0x80, algorithm << 4, bytes of the length | length, big-endian | zlib stream |
//! ```
//! MariaDB `sql/log_event.cc`, `binlog_buf_compress`; algorithm 0 is zlib.

use penstock_protocol::cursor::{Cursor, WireError};
use penstock_protocol::mysql::event::ty;
use penstock_protocol::mysql::packet::lenenc;
use penstock_shards::limits::ROW_BYTES_MAX;

/// The plain body of a QUERY_COMPRESSED event: its text alone is compressed.
pub fn query(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut c = Cursor::new(body);
    c.skip(8)?;
    let database = usize::from(c.u8()?);
    c.skip(2)?;
    let vars = usize::from(c.u16_le()?);
    c.skip(vars + database + 1)?;
    joined(body, c.offset())
}

/// The plain body of a *_ROWS_COMPRESSED event and the code of the event that it stands for.
pub fn rows(code: u8, body: &[u8]) -> Result<(u8, Vec<u8>), WireError> {
    let mut c = Cursor::new(body);
    c.skip(8)?;
    let (plain, extra) = match code {
        166..=168 => (code - 166 + ty::WRITE_ROWS_V1, false),
        169..=171 => (code - 169 + ty::WRITE_ROWS, true),
        _ => return c.invalid("compressed rows event"),
    };
    if extra {
        let len = usize::from(c.u16_le()?);
        c.skip(len.saturating_sub(2))?;
    }
    let columns = usize::try_from(lenenc(&mut c)?).unwrap_or(usize::MAX);
    let bitmap = columns.div_ceil(8);
    let bitmaps = if matches!(plain, ty::UPDATE_ROWS_V1 | ty::UPDATE_ROWS) { 2 } else { 1 };
    c.skip(bitmap.saturating_mul(bitmaps))?;
    Ok((plain, joined(body, c.offset())?))
}

/// `body[..at]` and what is compressed behind it.
fn joined(body: &[u8], at: usize) -> Result<Vec<u8>, WireError> {
    let mut c = Cursor::new(body);
    c.skip(at)?;
    let head = c.u8()?;
    let len_bytes = usize::from(head & 7);
    if head & 0x80 == 0 || head & 0x70 != 0 || !(1..=4).contains(&len_bytes) {
        return Err(WireError::Invalid { offset: at, what: "compression header" });
    }
    let len = c.bytes(len_bytes)?.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
    if len > ROW_BYTES_MAX {
        return Err(WireError::Invalid { offset: at, what: "inflated length" });
    }
    let broken = WireError::Invalid { offset: c.offset(), what: "zlib stream" };
    let data = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(c.rest(), len)
        .map_err(|_| broken)?;
    if data.len() != len {
        return Err(broken);
    }
    let mut plain = Vec::with_capacity(at + len);
    plain.extend_from_slice(body.get(..at).unwrap_or_default());
    plain.extend_from_slice(&data);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(text: &[u8], claimed: usize) -> Vec<u8> {
        let mut out = vec![0x82, (claimed >> 8) as u8, claimed as u8];
        out.extend_from_slice(&miniz_oxide::deflate::compress_to_vec_zlib(text, 6));
        out
    }

    #[test]
    fn bodies_come_back() {
        // Goal: queries and rows as if never compressed. Method: compress by hand.
        let mut front = vec![0; 8];
        front.extend_from_slice(&[1, 0, 0, 0, 0, b'd', 0]);
        let body = [front.clone(), compressed(b"SELECT 1", 8)].concat();
        assert_eq!(query(&body).unwrap(), [front, b"SELECT 1".to_vec()].concat());
        let mut front = vec![0; 8];
        front.extend_from_slice(&[9, 0xff, 1, 0xff, 1]);
        let body = [front.clone(), compressed(&[7; 500], 500)].concat();
        let (code, plain) = rows(167, &body).unwrap();
        assert_eq!((code, plain), (ty::UPDATE_ROWS_V1, [front, vec![7; 500]].concat()));
    }

    #[test]
    fn lies_are_errors() {
        // Goal: no bomb, no panic. Method: wrong lengths, algorithms, cuts anywhere.
        let mut front = vec![0; 8];
        front.extend_from_slice(&[1, 1]);
        for claimed in [499, 501] {
            assert!(rows(166, &[front.clone(), compressed(&[7; 500], claimed)].concat()).is_err());
        }
        let good = [front, compressed(&[7; 500], 500)].concat();
        assert!(rows(166, &good).is_ok());
        for cut in 0..good.len() {
            assert!(rows(166, &good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(rows(165, &good).is_err());
    }
}
