//! Numbers as JSON text: integers, decimals in Debezium's three forms, Java's float and double.
//!
//! Enters: numbers, or decimal text of any length. Leaves: text at the output cursor.
//! Keeps: no allocation; nothing here writes more than [`NUMBER_BYTES_MAX`], except decimals given
//! as text, which ask for their own room.

use super::text::{Binary, Out, put_binary};

/// The longest number of constant size: a 20-digit integer, `-1.7976931348623157E308` in quotes,
/// the base64 of a 64-bit decimal; with what its last write may overrun.
pub(crate) const NUMBER_BYTES_MAX: usize = 48;
/// Decimals of more digits than this are built on the heap (PostgreSQL alone has them).
const LIMBS_MAX: usize = 64;

const ZEROS: u64 = 0x3030_3030_3030_3030;
const TEN: [u64; 20] = {
    let (mut table, mut i) = ([1; 20], 1);
    while i < 20 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// The eight digits of x < 10^8, one per byte, the first in the lowest byte: the number is split
/// in halves three times, each half in a lane of the word of its own.
#[inline(always)]
pub(crate) fn digits8(x: u64) -> u64 {
    let v = (x / 10_000) | ((x % 10_000) << 32);
    let q = ((v * 10_486) >> 20) & 0x7F_0000_007F;
    let v = q | ((v - q * 100) << 16);
    let q = ((v * 103) >> 10) & 0xF_000F_000F_000F;
    q | ((v - q * 10) << 8)
}

/// Exactly eight digits.
#[inline(always)]
pub(crate) fn full8(out: &mut Out, x: u64) {
    out.pad(&(digits8(x) | ZEROS).to_le_bytes(), 8);
}

/// Up to eight digits: leading zeros are the zero bytes at the low end of the word.
#[inline(always)]
fn lead8(out: &mut Out, x: u64) {
    let digits = digits8(x);
    let zeros = (digits | 1 << 56).trailing_zeros() as usize / 8;
    out.pad(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes(), 8 - zeros);
}

/// Exactly `count` (0 to 8) digits of x < 10^count.
#[inline(always)]
pub(crate) fn fixed_digits(out: &mut Out, x: u64, count: usize) {
    let digits = (digits8(x) | ZEROS) >> ((64 - 8 * count) & 63);
    out.pad(&digits.to_le_bytes(), count);
}

/// An unsigned integer.
#[inline(always)]
pub(crate) fn put_u64(out: &mut Out, n: u64) {
    if n < 100_000_000 {
        return lead8(out, n);
    }
    let (high, low) = (n / 100_000_000, n % 100_000_000);
    if high < 100_000_000 {
        lead8(out, high);
    } else {
        lead8(out, high / 100_000_000);
        full8(out, high % 100_000_000);
    }
    full8(out, low);
}

/// A signed integer. Signs are often random, so there is no branch on them.
#[inline(always)]
pub(crate) fn put_i64(out: &mut Out, n: i64) {
    out.pad(b"-", usize::from(n < 0));
    put_u64(out, n.unsigned_abs());
}

const B64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const B64_END: [(&[u8; 4], usize); 3] = [(b"\"   ", 1), (b"==\" ", 3), (b"=\"  ", 2)];

/// Base64 of the minimal big-endian two's complement of `v`, in quotes.
#[inline(always)]
pub(crate) fn put_decimal_base64(out: &mut Out, v: i64) {
    out.byte(b'"');
    let bytes = (72 - (v ^ v >> 63).leading_zeros() as usize) / 8;
    let x = (v as u64) << (64 - 8 * bytes);
    let letter = |bits: u64| B64[(bits & 63) as usize];
    let text: [u8; 8] = std::array::from_fn(|i| letter(x >> (58 - 6 * i)));
    let letters = (8 * bytes).div_ceil(6);
    out.pad(&text, letters.min(8));
    if bytes > 6 {
        out.pad(&[letter(x >> 10), letter(x >> 4), letter(x << 2)], letters - 8);
    }
    let (end, len) = B64_END[bytes % 3];
    out.pad(end, len);
}

/// Plain notation at `scale`, in quotes: `"-12.50"`.
#[inline(always)]
pub(crate) fn put_decimal_string(out: &mut Out, v: i64, scale: u32) {
    out.byte(b'"');
    put_plain(out, v, scale);
    out.byte(b'"');
}

/// Plain notation at `scale`, without quotes.
#[inline(always)]
pub(crate) fn put_plain(out: &mut Out, v: i64, scale: u32) {
    let magnitude = v.unsigned_abs();
    out.pad(b"-", usize::from(v < 0));
    if scale == 0 {
        return put_u64(out, magnitude);
    }
    if scale > 8 {
        return out.cold(|out| plain_by_digits(out, magnitude, scale as usize));
    }
    let ten = TEN[scale as usize];
    put_u64(out, magnitude / ten);
    out.byte(b'.');
    fixed_digits(out, magnitude % ten, scale as usize);
}

#[cold]
fn plain_by_digits(out: &mut Out, magnitude: u64, scale: usize) {
    let (mut digits, mut rest, mut from) = ([b'0'; 96], magnitude, 96);
    while rest > 0 || 96 - from <= scale {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if from == 0 {
            break;
        }
    }
    let dot = 96 - scale.min(95);
    out.ensure(100);
    out.exact(&digits[from..dot]);
    out.byte(b'.');
    out.exact(&digits[dot..]);
}

/// `decimal_handling_mode = double` of a 64-bit decimal: the double nearest to the exact value.
#[inline(always)]
pub(crate) fn put_decimal_double(out: &mut Out, v: i64, scale: u32) {
    // Both operands are exact below 2^53 and 10^22, so one division rounds once.
    if v.unsigned_abs() < 1 << 53 && scale <= 18 {
        return put_f64(out, v as f64 / TEN[scale as usize] as f64);
    }
    out.cold(|out| {
        let from = out.at();
        put_plain(out, v, scale);
        let x = parse_f64(out.written(from, out.at()));
        out.rewind(from);
        put_f64(out, x);
    });
}

/// The double nearest to decimal text; text that is none is zero (callers have checked it).
pub(crate) fn parse_f64(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// Checks `-?digits(.digits)?` and splits off the sign.
pub(crate) fn decimal_parts(text: &[u8]) -> Option<(bool, &[u8])> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let dots = digits.iter().filter(|&&b| b == b'.').count();
    let plain = digits.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    (plain && dots <= 1 && digits.len() > dots).then_some((negative, digits))
}

/// Base64 of the unscaled value of decimal text of any length, in quotes; the dot is ignored, so
/// the text must have as many fractional digits as its scale. False: it is no decimal.
pub(crate) fn put_text_base64(out: &mut Out, text: &[u8]) -> bool {
    let Some((negative, digits)) = decimal_parts(text) else { return false };
    // A limb of 64 bits takes 19.2 digits.
    let limbs = digits.len() / 19 + 2;
    if limbs <= LIMBS_MAX {
        unscaled_base64(out, negative, digits, &mut [0u64; LIMBS_MAX][..limbs]);
    } else {
        unscaled_base64(out, negative, digits, &mut vec![0u64; limbs]);
    }
    true
}

fn unscaled_base64(out: &mut Out, negative: bool, digits: &[u8], limbs: &mut [u64]) {
    let mut used = 1;
    for &digit in digits.iter().filter(|&&b| b != b'.') {
        let mut carry = u128::from(digit & 15);
        for limb in &mut limbs[..used] {
            let wide = u128::from(*limb) * 10 + carry;
            (*limb, carry) = (wide as u64, wide >> 64);
        }
        if carry > 0 && used < limbs.len() {
            limbs[used] = carry as u64;
            used += 1;
        }
    }
    if negative {
        let mut carry = true;
        for limb in limbs.iter_mut() {
            let (flipped, over) = (!*limb).overflowing_add(u64::from(carry));
            (*limb, carry) = (flipped, over);
        }
    }
    // Big-endian bytes without those that only repeat the sign.
    let fill = if limbs[limbs.len() - 1] >> 63 == 1 { 0xFF } else { 0 };
    let byte = |i: usize| (limbs[i / 8] >> (8 * (i % 8))) as u8;
    let mut len = limbs.len() * 8;
    while len > 1 && byte(len - 1) == fill && (byte(len - 2) ^ fill) & 0x80 == 0 {
        len -= 1;
    }
    if len <= LIMBS_MAX * 8 {
        let mut bytes = [0u8; LIMBS_MAX * 8];
        for (i, slot) in bytes[..len].iter_mut().enumerate() {
            *slot = byte(len - 1 - i);
        }
        put_binary(out, &bytes[..len], 0, Binary::Base64);
    } else {
        let bytes: Vec<u8> = (0..len).rev().map(byte).collect();
        put_binary(out, &bytes, 0, Binary::Base64);
    }
}

/// Java's `Double.toString` (19 and later: the shortest digits that give the value back).
///
/// A decimal of at most 15 digits that gives `x` back is the shortest one, so for prices and
/// readings scaling by 10^4 replaces the search.
#[inline(always)]
pub(crate) fn put_f64(out: &mut Out, x: f64) {
    let magnitude = x.abs();
    let scaled = (magnitude * 1e4).round();
    if scaled / 1e4 != magnitude || !(1e-3..1e7).contains(&magnitude) {
        return out.cold(|out| slow_f64(out, x));
    }
    put_scaled(out, x < 0.0, scaled as u64);
}

/// Java's `Float.toString`.
#[inline(always)]
pub(crate) fn put_f32(out: &mut Out, x: f32) {
    let magnitude = f64::from(x.abs());
    let scaled = (magnitude * 1e4).round();
    // Two decimals of at most 6 digits never round to the same float.
    if scaled >= 1e6 || (scaled / 1e4) as f32 != x.abs() || magnitude < 1e-3 {
        return out.cold(|out| slow_f32(out, x));
    }
    put_scaled(out, x < 0.0, scaled as u64);
}

/// `scaled / 10^4` with one to four fractional digits.
#[inline(always)]
fn put_scaled(out: &mut Out, negative: bool, scaled: u64) {
    out.pad(b"-", usize::from(negative));
    put_u64(out, scaled / 10_000);
    let digits = (digits8(scaled % 10_000) >> 32) as u32;
    out.byte(b'.');
    let kept = (4 - digits.leading_zeros() as usize / 8).max(1);
    out.pad(&(digits | ZEROS as u32).to_le_bytes(), kept);
}

#[cold]
fn slow_f64(out: &mut Out, x: f64) {
    if !x.is_finite() {
        return not_finite(out, x);
    }
    let mut buffer = zmij::Buffer::new();
    let short = buffer.format_finite(x.abs());
    let mut number = Scientific::of(short);
    if number.len == 1 {
        number.second_digit(format_args!("{:.1e}", x.abs()));
    }
    number.put(out, x.is_sign_negative());
}

#[cold]
fn slow_f32(out: &mut Out, x: f32) {
    if !x.is_finite() {
        return not_finite(out, f64::from(x));
    }
    let mut buffer = zmij::Buffer::new();
    let short = buffer.format_finite(x.abs());
    let mut number = Scientific::of(short);
    if number.len == 1 {
        number.second_digit(format_args!("{:.1e}", x.abs()));
    }
    number.put(out, x.is_sign_negative());
}

/// The digits of Java's `Double.toString` in plain notation, cut after `decimals` of them, zeros at
/// the end left out: `BigDecimal.valueOf(x).setScale(…, DOWN).stripTrailingZeros()`. `x` is finite
/// and below 10^17.
pub(crate) fn put_plain_f64(out: &mut Out, x: f64, decimals: usize) {
    let mut buffer = zmij::Buffer::new();
    let number = Scientific::of(buffer.format_finite(x.abs()));
    let digit = |place: i32| {
        let at = usize::try_from(number.exponent + place).ok()?;
        number.digits.get(..number.len)?.get(at).copied()
    };
    out.pad(b"-", usize::from(x < 0.0));
    let whole = number.exponent.clamp(1, 17);
    for place in -whole..0 {
        let known = if number.exponent + place < 0 { None } else { digit(place) };
        out.byte(known.unwrap_or(b'0'));
    }
    let fraction = |place: usize| digit(place as i32).unwrap_or(b'0');
    let kept =
        (0..decimals).rev().find(|&place| fraction(place) != b'0').map_or(0, |last| last + 1);
    if kept > 0 {
        out.byte(b'.');
        (0..kept).for_each(|place| out.byte(fraction(place)));
    }
}

fn not_finite(out: &mut Out, x: f64) {
    out.exact(match x {
        x if x.is_nan() => b"\"NaN\"",
        x if x > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    });
}

/// `0.d1d2d3… · 10^exponent`.
struct Scientific {
    digits: [u8; 24],
    len: usize,
    exponent: i32,
}

impl Scientific {
    /// Reads `123.45`, `1e-7`, `1.5e300` and the like.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let mut exponent: i32 = exponent.parse().unwrap_or(0);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (mut digits, mut len, mut leading) = ([b'0'; 24], 0, true);
        exponent += whole.len() as i32;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if leading && digit == b'0' {
                exponent -= 1;
                continue;
            }
            leading = false;
            if len < digits.len() {
                digits[len] = digit;
                len += 1;
            }
        }
        while len > 0 && digits[len - 1] == b'0' {
            len -= 1;
        }
        if len == 0 {
            exponent = 1;
        }
        Self { digits, len: len.max(1), exponent }
    }

    /// Java prints two digits at least, and of all two-digit decimals that give the value back the
    /// one nearest to it: `4.9E-324` where one digit, `5e-324`, would do.
    fn second_digit(&mut self, nearest: std::fmt::Arguments) {
        use std::io::Write as _;
        let mut text = [0u8; 32];
        let mut rest = &mut text[..];
        if rest.write_fmt(nearest).is_err() {
            return;
        }
        let len = 32 - rest.len();
        *self = Self::of(std::str::from_utf8(&text[..len]).unwrap_or("0"));
    }

    fn put(&self, out: &mut Out, negative: bool) {
        let digits = &self.digits[..self.len];
        out.pad(b"-", usize::from(negative));
        let point = self.exponent;
        if (-2..=7).contains(&point) {
            for place in point.min(0)..0 {
                out.exact(if place == point.min(0) { b"0.0" } else { b"0" });
            }
            if point == 0 {
                out.exact(b"0.");
            }
            let whole = point.max(0) as usize;
            for i in 0..whole {
                out.byte(digits.get(i).copied().unwrap_or(b'0'));
            }
            if whole > 0 {
                out.byte(b'.');
            }
            match digits.get(whole..) {
                Some(fraction) if !fraction.is_empty() => out.exact(fraction),
                _ => out.byte(b'0'),
            }
            return;
        }
        out.byte(digits[0]);
        out.byte(b'.');
        out.exact(if self.len > 1 { &digits[1..] } else { b"0" });
        out.byte(b'E');
        put_i64(out, i64::from(point - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(f: impl FnOnce(&mut Out)) -> String {
        let mut out = Out::new(Vec::new(), 0, 256);
        f(&mut out);
        let (buf, end) = out.finish();
        String::from_utf8(buf[..end].to_vec()).expect("UTF-8")
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        // Goal: Double.toString of Java 19+. Method: its documented values and boundaries.
        let cases: [(f64, &str); 24] = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.00123, "0.00123"),
            (0.01, "0.01"),
            (0.012345678, "0.012345678"),
            (0.12345678, "0.12345678"),
            (0.00099999, "9.9999E-4"),
            (1e-4, "1.0E-4"),
            (9999999.0, "9999999.0"),
            (9999999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (12345678.9, "1.23456789E7"),
            (123456.789012, "123456.789012"),
            (1.100000023841858, "1.100000023841858"),
            (2e23, "2.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NAN, "\"NaN\""),
        ];
        for (x, wanted) in cases {
            assert_eq!(text(|out| put_f64(out, x)), wanted);
        }
        assert_eq!(text(|out| put_f64(out, f64::NEG_INFINITY)), "\"-Infinity\"");
    }

    #[test]
    fn doubles_in_plain_notation_are_cut() {
        // Goal: BigDecimal's digits of a double. Method: values of Java.
        for (x, wanted) in [
            (0.0, "0"),
            (-0.0, "0"),
            (6.78, "6.78"),
            (-6.78, "-6.78"),
            (1e-6, "0.000001"),
            (-0.000_001, "-0.000001"),
            (59.0, "59"),
            (10.0, "10"),
            (1.0 + 0.003_691, "1.003690999"),
            (0.5, "0.5"),
        ] {
            assert_eq!(text(|out| put_plain_f64(out, x, 9)), wanted);
        }
    }

    #[test]
    fn floats_print_as_java_prints_them() {
        // Goal: Float.toString of Java 19+. Method: known values.
        let cases: [(f32, &str); 10] = [
            (1.1, "1.1"),
            (16777218.0, "1.6777218E7"),
            (0.1, "0.1"),
            (-3.25, "-3.25"),
            (1e7, "1.0E7"),
            (123456.7, "123456.7"),
            (f32::MAX, "3.4028235E38"),
            (f32::from_bits(1), "1.4E-45"),
            (3.4e10, "3.4E10"),
            (0.0, "0.0"),
        ];
        for (x, wanted) in cases {
            assert_eq!(text(|out| put_f32(out, x)), wanted);
        }
    }

    /// The slow oracle: arbitrary digits to minimal two's complement, by i128.
    fn oracle_base64(v: i128) -> String {
        let bytes = v.to_be_bytes();
        let fill = if v < 0 { 0xFF } else { 0 };
        let mut from = 0;
        while from < 15 && bytes[from] == fill && (bytes[from + 1] ^ fill) & 0x80 == 0 {
            from += 1;
        }
        text(|out| put_binary(out, &bytes[from..], 0, Binary::Base64))
    }

    proptest! {
        #[test]
        fn integers_round_trip(n: i64, u: u64) {
            // Goal: both writers against the standard library. Method: random and small values.
            for n in [n, n % 1000, n % 100_000_000, i64::MIN, i64::MAX, 0] {
                prop_assert_eq!(text(|out| put_i64(out, n)), n.to_string());
            }
            for u in [u, u % 10_000, u64::MAX, 99_999_999, 100_000_000, 9_999_999_999_999_999] {
                prop_assert_eq!(text(|out| put_u64(out, u)), u.to_string());
            }
        }

        #[test]
        fn decimals_agree_with_a_slow_oracle(v: i64, shift in 0u32..63, scale in 0u32..=18) {
            // Goal: base64, text and double forms of one value. Method: i128 and text as oracle.
            let v = v >> shift;
            prop_assert_eq!(text(|out| put_decimal_base64(out, v)), oracle_base64(v.into()));
            let plain = text(|out| put_plain(out, v, scale));
            prop_assert_eq!(text(|out| put_decimal_string(out, v, scale)), format!("\"{plain}\""));
            let digits = plain.replace(['.', '-'], "");
            prop_assert_eq!(digits.parse::<u64>().unwrap(), v.unsigned_abs());
            prop_assert_eq!(plain.split_once('.').map_or(0, |p| p.1.len()), scale as usize);
            let double = text(|out| put_decimal_double(out, v, scale));
            prop_assert_eq!(double.parse::<f64>().unwrap(), plain.parse::<f64>().unwrap());
            let from_text = text(|out| assert!(put_text_base64(out, plain.as_bytes())));
            prop_assert_eq!(from_text, oracle_base64(v.into()));
        }

        #[test]
        fn long_decimals_agree_with_a_slow_oracle(v: i128, shift in 0u32..127) {
            // Goal: decimals beyond 64 bits. Method: i128 as oracle.
            let v = v >> shift;
            let from_text = text(|out| assert!(put_text_base64(out, v.to_string().as_bytes())));
            prop_assert_eq!(from_text, oracle_base64(v));
        }

        #[test]
        fn doubles_and_floats_give_themselves_back(bits: u64, small in 0u64..100_000_000_000) {
            // Goal: text → value is exact, fast and slow path. Method: random bits, and cents.
            for x in [f64::from_bits(bits), small as f64 / 1e4, small as f64 / 1e5, -(small as f64)] {
                if x.is_finite() {
                    let printed = text(|out| put_f64(out, x));
                    prop_assert_eq!(printed.parse::<f64>().unwrap().to_bits(), x.to_bits());
                }
            }
            for x in [f32::from_bits(bits as u32), small as f32 / 1e4, small as f32] {
                if x.is_finite() {
                    let printed = text(|out| put_f32(out, x));
                    prop_assert_eq!(printed.parse::<f32>().unwrap().to_bits(), x.to_bits());
                }
            }
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        // Goal: hostile decimal text is an error. Method: named cases.
        for bad in ["", "-", ".", "1.2.3", "NaN", "1e5", "--1"] {
            assert!(decimal_parts(bad.as_bytes()).is_none(), "{bad}");
        }
        let longest = "9".repeat(2000);
        assert!(text(|out| assert!(put_text_base64(out, longest.as_bytes()))).len() > 1100);
    }
}
