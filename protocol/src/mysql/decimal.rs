//! DECIMAL's binary form (`decimal.c`): big-endian groups of up to nine digits.
//!
//! ```text
//!  leading integer digits (1–4 bytes) | 9 digits, 4 bytes | … | 9 digits, 4 bytes | rest (1–4 bytes)
//! ```
//! The first bit is the inverted sign; every bit of a negative number is inverted.
//! Enters: bytes of one value. Leaves: its text with exactly `scale` fractional digits, or a
//! 64-bit unscaled value (`rows`). Keeps: no allocation.

/// Bytes that `digits` digits of an incomplete group take.
pub const GROUP_BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
/// Longest text: sign, digits, dot, and a leading zero.
pub const TEXT_BYTES_MAX: usize = DIGITS_MAX as usize + 3;
/// Digits of a column.
const PRECISION_MAX: u16 = 65;
/// Digits of a decimal inside JSON: the server counts its whole part in groups of nine there, so
/// that 65 digits may say 72 (`Json_decimal::get_binary`).
const DIGITS_MAX: u16 = 72;

/// The groups of DECIMAL(precision, scale) as (bytes, digits), in order; `None` if there is no such
/// type.
pub fn groups(precision: u16, scale: u16) -> Option<impl Iterator<Item = (u8, u8)>> {
    if precision > PRECISION_MAX { None } else { all_groups(precision, scale) }
}

fn all_groups(precision: u16, scale: u16) -> Option<impl Iterator<Item = (u8, u8)>> {
    if precision == 0 || precision > DIGITS_MAX || scale > 38.min(precision) {
        return None;
    }
    let whole = precision - scale;
    let first = (whole % 9) as u8;
    let last = (scale % 9) as u8;
    let full = usize::from(whole / 9 + scale / 9);
    let groups = core::iter::once(first)
        .chain(core::iter::repeat_n(9, full))
        .chain(core::iter::once(last))
        .filter(|&digits| digits > 0);
    Some(groups.map(|digits| (GROUP_BYTES[usize::from(digits)], digits)))
}

/// Bytes of one value of DECIMAL(precision, scale).
pub fn size(precision: u16, scale: u16) -> Option<usize> {
    Some(groups(precision, scale)?.map(|(bytes, _)| usize::from(bytes)).sum())
}

/// Writes the value as text, `-12.50`; the length of the text, or `None` for bytes that are no such
/// decimal.
pub fn to_text(
    bytes: &[u8],
    precision: u16,
    scale: u16,
    text: &mut [u8; TEXT_BYTES_MAX],
) -> Option<usize> {
    let negative = bytes.first()? & 0x80 == 0;
    let (mut digits, mut count, mut at) = ([0u8; DIGITS_MAX as usize], 0, 0);
    for (size, width) in all_groups(precision, scale)? {
        let group = bytes.get(at..at + usize::from(size))?;
        let mut value = 0u32;
        for (i, &byte) in group.iter().enumerate() {
            let byte = if at + i == 0 { byte ^ 0x80 } else { byte };
            value = value << 8 | u32::from(if negative { !byte } else { byte });
        }
        for place in (0..usize::from(width)).rev() {
            *digits.get_mut(count + place)? = b'0' + (value % 10) as u8;
            value /= 10;
        }
        if value != 0 {
            return None;
        }
        (count, at) = (count + usize::from(width), at + usize::from(size));
    }
    let digits = digits.get(..count)?;
    let (whole, fraction) = digits.split_at_checked(count - usize::from(scale))?;
    let leading = whole.iter().take_while(|&&digit| digit == b'0').count();
    let whole = whole.get(leading..)?;
    let zero = digits.iter().all(|&digit| digit == b'0');
    let mut len = 0;
    let mut put = |part: &[u8]| -> Option<()> {
        text.get_mut(len..len + part.len())?.copy_from_slice(part);
        len += part.len();
        Some(())
    };
    if negative && !zero {
        put(b"-")?;
    }
    put(if whole.is_empty() { b"0" } else { whole })?;
    if scale > 0 {
        put(b".")?;
        put(fraction)?;
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Slow oracle: digits to the binary form.
    fn from_digits(negative: bool, digits: &str, precision: u16, scale: u16) -> Vec<u8> {
        let (mut bytes, mut at) = (Vec::new(), 0);
        for (size, width) in groups(precision, scale).expect("a type") {
            let value: u32 = digits[at..at + usize::from(width)].parse().expect("digits");
            bytes.extend_from_slice(&value.to_be_bytes()[4 - usize::from(size)..]);
            at += usize::from(width);
        }
        if negative {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes[0] ^= 0x80;
        bytes
    }

    proptest! {
        #[test]
        fn decimals_of_every_type_round_trip(
            precision in 1u16..=65, scale in 0u16..=30, negative: bool, seed in "[0-9]{65}",
        ) {
            // Goal: every DECIMAL(p,s). Method: digits → bytes by the oracle → text.
            let scale = scale.min(precision);
            let digits = &seed[..usize::from(precision)];
            let bytes = from_digits(negative, digits, precision, scale);
            prop_assert_eq!(size(precision, scale), Some(bytes.len()));
            let mut text = [0; TEXT_BYTES_MAX];
            let len = to_text(&bytes, precision, scale, &mut text).expect("a decimal");
            let (whole, fraction) = digits.split_at(usize::from(precision - scale));
            let whole = whole.trim_start_matches('0');
            let zero = digits.bytes().all(|b| b == b'0');
            let sign = if negative && !zero { "-" } else { "" };
            let mut wanted: String = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
            if scale > 0 {
                wanted.push('.');
                wanted.push_str(fraction);
            }
            prop_assert_eq!(core::str::from_utf8(&text[..len]).unwrap(), wanted);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, precision: u16, scale: u16) {
            // Goal: hostile bytes and types are refused. Method: anything.
            let _ = to_text(&bytes, precision % 80, scale % 80, &mut [0; TEXT_BYTES_MAX]);
        }
    }
}
