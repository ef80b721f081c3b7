//! Spatial data, vectors and addresses of MySQL and MariaDB as JSON (ENVELOPE section 4).
//!
//! ```text
//!  spatial  SRID 4, little-endian | WKB; a POINT: byte order 1, type 4 (1), x 8, y 8
//!  vector   little-endian single floats
//!  INET4    4 bytes      INET6  16 bytes; trailing zero bytes are left out in the log
//! ```
//! Enters: a value's bytes. Leaves: an object, an array or a string at the cursor. Keeps: bytes that
//! are no such value are a fault of the row.

use std::net::Ipv6Addr;

use super::cells::FaultKind;
use super::number::{NUMBER_BYTES_MAX, put_f32, put_f64, put_u64};
use super::text::{Binary, Out, put_binary};

/// `{"wkb":"…","srid":…}`; SRID 0 is none.
pub(crate) fn put_geometry(out: &mut Out, data: &[u8]) -> Result<(), FaultKind> {
    let (srid, wkb) = data.split_first_chunk().ok_or(FaultKind::Spatial)?;
    out.ensure(64);
    out.byte(b'{');
    put_wkb(out, u32::from_le_bytes(*srid), wkb);
    Ok(())
}

/// `{"x":…,"y":…,"wkb":"…","srid":…}`.
pub(crate) fn put_point(out: &mut Out, data: &[u8]) -> Result<(), FaultKind> {
    let (srid, wkb) = data.split_first_chunk().ok_or(FaultKind::Spatial)?;
    let [order, a, b, c, d, coordinates @ ..] = wkb else { return Err(FaultKind::Spatial) };
    let coordinates = <&[u8; 16]>::try_from(coordinates).map_err(|_| FaultKind::Spatial)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&coordinates[at..at + 8]);
        if *order == 1 { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) }
    };
    match (*order, [*a, *b, *c, *d]) {
        (1, [1, 0, 0, 0]) | (0, [0, 0, 0, 1]) => {}
        _ => return Err(FaultKind::Spatial),
    }
    out.ensure(64 + 2 * NUMBER_BYTES_MAX);
    out.exact(b"{\"x\":");
    put_f64(out, number(0));
    out.exact(b",\"y\":");
    put_f64(out, number(8));
    out.byte(b',');
    put_wkb(out, u32::from_le_bytes(*srid), wkb);
    Ok(())
}

fn put_wkb(out: &mut Out, srid: u32, wkb: &[u8]) {
    out.exact(b"\"wkb\":");
    put_binary(out, wkb, 0, Binary::Base64);
    out.ensure(32);
    out.exact(b",\"srid\":");
    match srid {
        0 => out.exact(b"null"),
        srid => put_u64(out, u64::from(srid)),
    }
    out.byte(b'}');
}

/// `[1.0,-2.5]`.
pub(crate) fn put_vector(out: &mut Out, data: &[u8]) -> Result<(), FaultKind> {
    let (numbers, rest) = data.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(FaultKind::Length);
    }
    out.ensure(numbers.len() * (NUMBER_BYTES_MAX + 1) + 2);
    out.byte(b'[');
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            out.byte(b',');
        }
        put_f32(out, f32::from_le_bytes(*number));
    }
    out.byte(b']');
    Ok(())
}

/// An address of `size` (4 or 16) bytes as the server prints it.
pub(crate) fn put_inet(out: &mut Out, data: &[u8], size: u32) -> Result<(), FaultKind> {
    let mut bytes = [0; 16];
    let size = (size as usize).min(16);
    let slot = bytes.get_mut(..data.len()).filter(|slot| slot.len() <= size);
    slot.ok_or(FaultKind::Length)?.copy_from_slice(data);
    out.ensure(64);
    out.byte(b'"');
    if size == 4 {
        put_dotted(out, &bytes[..4]);
    } else {
        put_inet6(out, &bytes);
    }
    out.byte(b'"');
    Ok(())
}

fn put_dotted(out: &mut Out, bytes: &[u8]) {
    for (i, &byte) in bytes.iter().enumerate() {
        if i > 0 {
            out.byte(b'.');
        }
        put_u64(out, u64::from(byte));
    }
}

/// RFC 5952's form but for two things of the server (`sql_type_inet.cc`, `Inet6::to_string`): a run
/// of one zero group is shortened too, and an IPv4-compatible address ends in dotted digits.
fn put_inet6(out: &mut Out, bytes: &[u8; 16]) {
    let groups = Ipv6Addr::from(*bytes).segments();
    let (mut gap, mut len) = (8, 0);
    let mut at = 0;
    while at < 8 {
        let zeros = groups[at..].iter().take_while(|&&group| group == 0).count();
        if zeros > len {
            (gap, len) = (at, zeros);
        }
        at += zeros.max(1);
    }
    let dotted = gap == 0 && (len == 6 || len == 5 && groups[5] == 0xFFFF);
    let mut at = 0;
    while at < 8 {
        if at == gap {
            out.exact(b"::");
            at += len;
            continue;
        }
        if at > 0 && at != gap + len {
            out.byte(b':');
        }
        if dotted && at == 6 {
            return put_dotted(out, &bytes[12..]);
        }
        put_hex(out, groups[at]);
        at += 1;
    }
}

fn put_hex(out: &mut Out, group: u16) {
    let digits = (4 - group.leading_zeros() as usize / 4).max(1);
    for place in (0..digits).rev() {
        out.byte(b"0123456789abcdef"[usize::from(group >> (4 * place) & 15)]);
    }
}
