//! Compressed transactions made by hand: whole, in pieces, larger than a segment, and lies.

use super::*;

/// An event inside: no checksum, the offset of the event around it.
fn inner(code: u8, body: &[u8]) -> Vec<u8> {
    let len = event::HEADER_BYTES + body.len();
    let mut out = 7u32.to_le_bytes().to_vec();
    out.push(code);
    out.extend_from_slice(&1u32.to_le_bytes());
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&99u32.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(body);
    out
}

fn begin() -> Vec<u8> {
    let mut body = vec![9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, b'd', 0];
    body.extend_from_slice(b"BEGIN");
    inner(ty::QUERY, &body)
}

const MAP: [u8; 18] = [5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 1, 3, 0, 0];

/// A rows event with one row for each value.
fn rows(values: &[u8]) -> Vec<u8> {
    let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff];
    values.iter().for_each(|&value| body.extend_from_slice(&[0, value, 0, 0, 0]));
    inner(ty::WRITE_ROWS, &body)
}

fn transaction(rows_of: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [begin(), inner(ty::TABLE_MAP, &MAP)].concat();
    rows_of.iter().for_each(|values| out.extend_from_slice(&rows(values)));
    out.extend_from_slice(&inner(ty::XID, &[0; 8]));
    out
}

/// The body of a TRANSACTION_PAYLOAD that claims `inflated` bytes.
fn body(events: &[u8], inflated: u64) -> Vec<u8> {
    let packed = zstd::bulk::compress(events, 3).expect("packed");
    let mut out = vec![2, 1, 0, 3, 9, 0xfe];
    out.extend_from_slice(&inflated.to_le_bytes());
    out.extend_from_slice(&[1, 9, 0xfe]);
    out.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    out.push(0);
    out.extend_from_slice(&packed);
    out
}

/// Feeds the event in pieces of `size` bytes, as from a socket, with a checksum.
fn in_pieces(tape: &mut Tape, body: &[u8], size: usize, flip: bool) -> Result<()> {
    let len = event::HEADER_BYTES + body.len() + event::CHECKSUM_BYTES;
    tape.pos += len as u64;
    let mut bytes = 7u32.to_le_bytes().to_vec();
    bytes.push(ty::TRANSACTION_PAYLOAD);
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&(len as u32).to_le_bytes());
    bytes.extend_from_slice(&(tape.pos as u32).to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(body);
    let sum = crc32fast::hash(&bytes) ^ u32::from(flip);
    bytes.extend_from_slice(&sum.to_le_bytes());
    let header = EventHeader::front(&bytes).expect("a header");
    tape.log.unverified = true;
    let mut payload = Payload::new(header, Checksum::Crc32, &bytes)?;
    for piece in bytes.chunks(size) {
        block_on(tape.reader.payload(&mut tape.log, &mut payload, piece))?;
    }
    block_on(tape.reader.payload_ends(&mut tape.log, payload))?;
    tape.log.unverified = false;
    Ok(())
}

#[test]
fn a_compressed_transaction_is_routed_as_any() {
    // Goal: rows, commit and position as if never compressed, also with several events a buffer,
    // events that a buffer's end cuts, and one that no buffer of 1 KiB holds. Method: whole, and
    // in pieces of many sizes; on a server whose groups stream, and on one whose groups wait.
    let long: Vec<u8> = (0..200).map(|n| n as u8).collect();
    let many: Vec<Vec<u8>> = (0..100).map(|n| vec![n; 3]).collect();
    for values in [vec![vec![5]], many, vec![vec![1], vec![7; 9000], vec![2]], vec![long]] {
        let events = transaction(&values);
        let body = body(&events, events.len() as u64);
        let want: Vec<u8> = values.iter().map(|of| *of.last().expect("a row")).collect();
        for version in ["9.7.4", "8.0.32"] {
            let mut tape = Tape::new(SourceKind::MySql, version);
            tape.gtid();
            tape.event(ty::TRANSACTION_PAYLOAD, &body).expect("a payload");
            let (got, at) = tape.routed();
            assert_eq!((got, end(&at)), (want.clone(), Some(tape.pos)));
            for size in [1, 7, 100, 100_000] {
                tape.gtid();
                in_pieces(&mut tape, &body, size, false).expect("a payload");
                let (got, at) = tape.routed();
                assert_eq!((got, end(&at)), (want.clone(), Some(tape.pos)), "{size}");
            }
        }
    }
}

#[test]
fn l28_nothing_of_a_payload_in_pieces_leaves_before_its_checksum() {
    // Goal: a wrong sum is an error, and no row of it was routed. Method: one bit of the sum.
    let mut tape = Tape::mysql();
    let events = transaction(&[vec![1], vec![2]]);
    tape.gtid();
    let wrong = in_pieces(&mut tape, &body(&events, events.len() as u64), 10, true);
    assert_eq!(wrong.unwrap_err().code, "my-checksum");
    assert_eq!(tape.routed(), (vec![], None));
}

#[test]
fn payloads_that_lie_are_errors() {
    // Goal: claims that do not hold, bombs, payloads inside payloads, events that have no place in
    // one, bytes that are no zstd. Method: one each.
    let good = transaction(&[vec![1]]);
    let len = good.len() as u64;
    let refused = |events: &[u8], claimed: u64| {
        let mut tape = Tape::mysql();
        tape.gtid();
        let refused = tape.event(ty::TRANSACTION_PAYLOAD, &body(events, claimed));
        assert_eq!(refused.unwrap_err().code, "my-protocol");
    };
    refused(&good, len - 1);
    refused(&good, len + 1);
    refused(&good, 1 << 40);
    // A gigabyte would come of it: the first zeros are no event.
    refused(&vec![0; 8 << 20], 1 << 30);
    let nested = inner(ty::TRANSACTION_PAYLOAD, &body(&good, len));
    refused(&nested, nested.len() as u64);
    for code in [ty::GTID, ty::ROTATE, ty::FORMAT_DESCRIPTION, ty::HEARTBEAT, ty::INCIDENT] {
        let events = [begin(), inner(code, &[0; 40])].concat();
        refused(&events, events.len() as u64);
    }
    let behind = [good.clone(), inner(ty::TABLE_MAP, &MAP)].concat();
    refused(&behind, behind.len() as u64);
    let mut cut = good.clone();
    cut.truncate(good.len() - 5);
    refused(&cut, cut.len() as u64);
    let whole = body(&good, len);
    for at in 30..whole.len() {
        let mut tape = Tape::mysql();
        tape.gtid();
        assert!(tape.event(ty::TRANSACTION_PAYLOAD, &whole[..at]).is_err(), "cut at {at}");
    }
}
