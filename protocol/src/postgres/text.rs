//! PostgreSQL's text output forms of values, read eight bytes at a time where that pays.
//!
//! Enters: a cell as (`seg`, `at`, `len`), so that loads of constant size may run past its end.
//! Leaves: the value, or `None` when the text is not what the type's output function writes under
//! DateStyle ISO. Keeps: no byte is trusted; a slow path decides whatever the fast one does not.

/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;

const ZEROS: u64 = 0x3030_3030_3030_3030;
const ZEROS_16: u128 = (ZEROS as u128) << 64 | ZEROS as u128;
const LOW_16: u128 = 0x7676_7676_7676_7676_7676_7676_7676_7676;
const HIGH_16: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// A date or timestamp, which may be infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment<T> {
    /// A moment of the calendar.
    At(T),
    /// `infinity`
    Infinity,
    /// `-infinity`
    MinusInfinity,
}

/// `len` bytes of `seg` from `at` on.
#[inline(always)]
pub(super) fn cell(seg: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    seg.get(at..)?.get(..len)
}

#[inline(always)]
fn load<const N: usize>(seg: &[u8], at: usize) -> Option<&[u8; N]> {
    seg.get(at..)?.first_chunk()
}

/// Up to 16 bytes of a cell, zero behind its end.
#[inline(always)]
fn load_16(seg: &[u8], at: usize, len: usize) -> Option<u128> {
    debug_assert!(len <= 16);
    let Some(bytes) = load::<16>(seg, at) else {
        let mut bytes = [0; 16];
        bytes[..len].copy_from_slice(cell(seg, at, len)?);
        return Some(u128::from_le_bytes(bytes));
    };
    let keep = if len == 16 { u128::MAX } else { (1 << (8 * len)) - 1 };
    Some(u128::from_le_bytes(*bytes) & keep)
}

/// True if a byte of `word` (digits with `ZEROS` taken off by xor) is above 9.
#[inline(always)]
fn not_digits(word: u128) -> bool {
    (word.wrapping_add(LOW_16) | word) & HIGH_16 != 0
}

/// Eight digit values, the first in the lowest byte, as a number.
#[inline(always)]
fn parse_8(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(2561) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(6_553_601) >> 16 & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// Sixteen digit values, the first in the lowest byte, as a number below 10^16.
#[inline(always)]
fn parse_16(digits: u128) -> u64 {
    let (high, low) = (digits as u64, (digits >> 64) as u64);
    parse_8(high) * 100_000_000 + parse_8(low)
}

/// `t` or `f`.
#[inline(always)]
pub fn bool(seg: &[u8], at: usize, len: usize) -> Option<bool> {
    match cell(seg, at, len)? {
        b"t" => Some(true),
        b"f" => Some(false),
        _ => None,
    }
}

/// True if the cell is a decimal integer of at most 19 digits in its shortest form.
#[inline(always)]
pub fn is_int(seg: &[u8], at: usize, len: usize) -> bool {
    let negative = usize::from(seg.get(at) == Some(&b'-'));
    let Some(digits) = len.checked_sub(negative) else { return false };
    if digits == 0 || digits > 19 {
        return false;
    }
    let first = digits.min(16);
    let Some(word) = load_16(seg, at + negative, first) else { return false };
    let word = (word ^ ZEROS_16) & (u128::MAX >> (128 - 8 * first));
    if not_digits(word) || (word & 0xFF == 0 && len != 1) {
        return false;
    }
    digits == first || are_digits(seg, at + negative + first, digits - first)
}

/// True if up to 16 bytes are digits.
#[inline(always)]
fn are_digits(seg: &[u8], at: usize, len: usize) -> bool {
    let Some(word) = load_16(seg, at, len) else { return false };
    !not_digits((word ^ ZEROS_16) & (u128::MAX >> (128 - 8 * len)))
}

/// A decimal of at most 15 digits and exactly `scale` of them behind the point, as
/// `unscaled / 10^scale`. `None`: longer, another scale, or no number; `is_decimal` tells.
#[inline(always)]
pub fn decimal_16(seg: &[u8], at: usize, len: usize, scale: usize) -> Option<i64> {
    let negative = usize::from(*seg.get(at)? == b'-');
    let (at, len) = (at + negative, len.checked_sub(negative)?);
    if len == 0 || len > 16 {
        return None;
    }
    let word = load_16(seg, at, len)?;
    let digits = if scale == 0 {
        // Digits move to the high end, so that the last one is the ones.
        (word ^ (ZEROS_16 >> (128 - 8 * len))) << (128 - 8 * len)
    } else {
        let whole = len.checked_sub(scale + 1)?;
        if whole == 0 || (word >> (8 * whole)) as u8 != b'.' {
            return None;
        }
        let front = word & ((1 << (8 * whole)) - 1);
        // The point's byte is squeezed out: the part before it moves up by one byte.
        let back = word >> (8 * (whole + 1)) << (8 * whole);
        let squeezed = front | back;
        (squeezed ^ (ZEROS_16 >> (128 - 8 * (len - 1)))) << (128 - 8 * (len - 1))
    };
    if not_digits(digits) {
        return None;
    }
    let value = parse_16(digits) as i64;
    Some(if negative == 1 { -value } else { value })
}

/// The number of digits behind the point of a finite decimal in plain notation.
pub fn decimal_scale(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let point = digits.iter().position(|&b| b == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let ok = !whole.is_empty() && all_digits(whole) && all_digits(fraction);
    (ok && (point.is_none() || !fraction.is_empty())).then_some(fraction.len())
}

/// Where the first point of up to 16 bytes is; their number if there is none.
#[inline(always)]
fn point(word: u128, len: usize) -> usize {
    let used = u128::MAX >> (128 - 8 * len);
    let points = word ^ (u128::from_le_bytes([b'.'; 16]) & used);
    // Behind the first zero byte a borrow may mark more, before it none.
    let mark = points.wrapping_sub(u128::from_le_bytes([1; 16])) & !points & HIGH_16 & used;
    if mark == 0 { len } else { mark.trailing_zeros() as usize / 8 }
}

/// A decimal of at most 15 digits and any scale, as `(unscaled, scale)`. `None`: longer, or none.
#[inline(always)]
pub fn decimal_free_16(seg: &[u8], at: usize, len: usize) -> Option<(i64, usize)> {
    let negative = usize::from(*seg.get(at)? == b'-');
    let digits = len.checked_sub(negative)?;
    if digits == 0 || digits > 16 {
        return None;
    }
    let whole = point(load_16(seg, at + negative, digits)?, digits);
    if whole + 1 == digits {
        return None;
    }
    let scale = if whole == digits { 0 } else { digits - whole - 1 };
    Some((decimal_16(seg, at, len, scale)?, scale))
}

/// Tells if a float's text is also Java's form of it, but for a missing `.0`: plain notation, zero
/// or of magnitude in [10^-3, 10^7). PostgreSQL prints the shortest digits (extra_float_digits ≥ 1).
/// `Some(true)`: it has no point.
#[inline(always)]
pub fn plain_float(seg: &[u8], at: usize, len: usize) -> Option<bool> {
    let negative = usize::from(seg.get(at) == Some(&b'-'));
    let (at, digits) = (at + negative, len.checked_sub(negative)?);
    if digits == 0 || digits > 16 {
        return None;
    }
    let word = load_16(seg, at, digits)?;
    let whole = point(word, digits);
    if whole == 0 || whole > 7 || whole + 1 == digits {
        return None;
    }
    let point_byte = if whole == digits { 0 } else { 0xFF_u128 << (8 * whole) };
    let rest = (word ^ ZEROS_16) & (u128::MAX >> (128 - 8 * digits)) & !point_byte;
    if not_digits(rest) {
        return None;
    }
    // A leading zero stands alone before the point; below 10^-3 Java takes an exponent.
    let zero = rest & 0xFF == 0;
    let plain = !zero || (whole == 1 && (digits == 1 || rest & 0xFF_FFFF_0000 != 0));
    plain.then_some(whole == digits)
}

/// `float8` in any form that its output function writes.
pub fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => number(text)?.parse().ok(),
    }
}

/// `float4` in any form that its output function writes.
pub fn float(text: &[u8]) -> Option<f32> {
    match text {
        b"NaN" => Some(f32::NAN),
        b"Infinity" => Some(f32::INFINITY),
        b"-Infinity" => Some(f32::NEG_INFINITY),
        _ => number(text)?.parse().ok(),
    }
}

/// Digits, sign, point and exponent only: the library would also take words.
fn number(text: &[u8]) -> Option<&str> {
    let ok = text.iter().all(|b| b.is_ascii_digit() || b"+-.e".contains(b));
    ok.then(|| core::str::from_utf8(text).ok()).flatten()
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; year 0 is 1 BC.
#[inline(always)]
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    // The year starts in March, so that the leap day is its last.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Two digits as a number, or more than 99 if one of them is none.
#[inline(always)]
fn two(a: u8, b: u8) -> i64 {
    let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    if a > 9 || b > 9 { 100 } else { i64::from(a) * 10 + i64::from(b) }
}

/// `YYYY-MM-DD`.
#[inline(always)]
fn date_10(text: &[u8; 10]) -> Option<i64> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return None };
    let (high, low, month, day) = (two(y0, y1), two(y2, y3), two(m0, m1), two(d0, d1));
    let ok = (high < 100) & (low < 100) & (month.wrapping_sub(1) as u64 <= 11);
    if ok & (day.wrapping_sub(1) as u64 <= 30) {
        return Some(days(high * 100 + low, month, day));
    }
    None
}

/// Days since 1970-01-01; the server's last date, in the year 5874897, fits.
#[inline(always)]
pub fn date(seg: &[u8], at: usize, len: usize) -> Option<Moment<i32>> {
    if len == 10
        && let Some(days) = date_10(load::<10>(seg, at)?)
    {
        return Some(Moment::At(days as i32)); // years 0 to 9999
    }
    date_slow(cell(seg, at, len)?)
}

#[cold]
#[inline(never)]
fn date_slow(text: &[u8]) -> Option<Moment<i32>> {
    Some(match text {
        b"infinity" => Moment::Infinity,
        b"-infinity" => Moment::MinusInfinity,
        _ => {
            let (text, before_christ) = era(text);
            let (days, rest) = long_date(text, before_christ)?;
            if !rest.is_empty() {
                return None;
            }
            Moment::At(i32::try_from(days).ok()?)
        }
    })
}

fn era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// A date with a year of four to seven digits, and what follows it.
fn long_date(text: &[u8], before_christ: bool) -> Option<(i64, &[u8])> {
    let len = text.iter().position(|b| !b.is_ascii_digit()).filter(|len| (4..=7).contains(len))?;
    let (year, rest) = text.split_at(len);
    let year = year.iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0'));
    let (&[b'-', m0, m1, b'-', d0, d1], rest) = rest.split_first_chunk()? else { return None };
    let (month, day) = (two(m0, m1), two(d0, d1));
    let ok = year >= 1 && (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = if before_christ { 1 - year } else { year };
    ok.then(|| (days(year, month, day), rest))
}

/// `HH:MM:SS` in seconds; 24:00:00 is allowed, 60 seconds are not.
#[inline(always)]
fn clock_8(text: &[u8; 8]) -> Option<i64> {
    let &[h0, h1, b':', m0, m1, b':', s0, s1] = text else { return None };
    let (hour, minute, second) = (two(h0, h1), two(m0, m1), two(s0, s1));
    let seconds = hour * 3600 + minute * 60 + second;
    (minute < 60 && second < 60 && seconds <= 86_400).then_some(seconds)
}

/// `HH:MM:SS[.f…]` with one to six digits of fraction, in microseconds, and what follows.
#[inline(always)]
fn clock(seg: &[u8], at: usize, len: usize) -> Option<(i64, usize)> {
    if len < 8 {
        return None;
    }
    let micros = clock_8(load::<8>(seg, at)?)? * 1_000_000;
    if len == 8 || seg.get(at + 8) != Some(&b'.') {
        return Some((micros, 8));
    }
    let (fraction, digits) = fraction(seg, at + 9, len - 9)?;
    let micros = micros + fraction;
    (micros <= DAY_US).then_some((micros, 9 + digits))
}

/// One to six digits as millionths, and how many there are.
#[inline(always)]
fn fraction(seg: &[u8], at: usize, len: usize) -> Option<(i64, usize)> {
    let word = match load::<8>(seg, at) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            u64::from_le_bytes(load_16(seg, at, len.min(8))?.to_le_bytes()[..8].try_into().ok()?)
        }
    };
    let word = word ^ ZEROS;
    let above = (word.wrapping_add(LOW_16 as u64) | word) & HIGH_16 as u64;
    let digits = (above.trailing_zeros() as usize / 8).min(len);
    if digits == 0 || digits > 6 {
        return None;
    }
    let kept = word & (u64::MAX >> (64 - 8 * digits));
    Some(((parse_8(kept) / 100) as i64, digits))
}

/// Microseconds since midnight, up to and with 24:00:00.
#[inline(always)]
pub fn time(seg: &[u8], at: usize, len: usize) -> Option<i64> {
    let (micros, used) = clock(seg, at, len)?;
    (used == len).then_some(micros)
}

/// `time with time zone` as microseconds since midnight in UTC: below 24 h; 24:00 is 00:00, which is
/// all that Debezium can tell of it.
pub fn time_tz(seg: &[u8], at: usize, len: usize) -> Option<i64> {
    let (micros, used) = clock(seg, at, len)?;
    let east = offset(cell(seg, at + used, len - used)?)?;
    Some((micros - east * 1_000_000).rem_euclid(DAY_US))
}

/// `+HH[:MM[:SS]]` in seconds east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    let (&[sign @ (b'+' | b'-'), h0, h1], mut rest) = text.split_first_chunk()? else {
        return None;
    };
    let mut seconds = two(h0, h1) * 3600;
    for unit in [60, 1] {
        if rest.is_empty() {
            break;
        }
        let (&[b':', a, b], more) = rest.split_first_chunk()? else { return None };
        let part = two(a, b);
        if part >= 60 {
            return None;
        }
        (seconds, rest) = (seconds + part * unit, more);
    }
    let ok = rest.is_empty() && seconds < 24 * 3600;
    ok.then_some(if sign == b'-' { -seconds } else { seconds })
}

/// Microseconds since the Unix epoch of a `timestamp` read as UTC.
#[inline(always)]
pub fn timestamp(seg: &[u8], at: usize, len: usize) -> Option<Moment<i64>> {
    if let Some((micros, used)) = stamp(seg, at, len)
        && used == len
    {
        return Some(Moment::At(micros));
    }
    stamp_slow(cell(seg, at, len)?, false)
}

/// Microseconds since the Unix epoch of a `timestamptz`.
#[inline(always)]
pub fn timestamp_tz(seg: &[u8], at: usize, len: usize) -> Option<Moment<i64>> {
    if let Some((micros, used)) = stamp(seg, at, len)
        && used + 3 == len
        && load::<3>(seg, at + used) == Some(b"+00")
    {
        return Some(Moment::At(micros));
    }
    stamp_slow(cell(seg, at, len)?, true)
}

/// `YYYY-MM-DD HH:MM:SS[.f…]` and how many bytes it took.
#[inline(always)]
fn stamp(seg: &[u8], at: usize, len: usize) -> Option<(i64, usize)> {
    if len < 19 || *seg.get(at + 10)? != b' ' {
        return None;
    }
    let days = date_10(load::<10>(seg, at)?)?;
    let (micros, used) = clock(seg, at + 11, len - 11)?;
    Some((days * DAY_US + micros, 11 + used))
}

#[cold]
#[inline(never)]
fn stamp_slow(text: &[u8], zoned: bool) -> Option<Moment<i64>> {
    match text {
        b"infinity" => return Some(Moment::Infinity),
        b"-infinity" => return Some(Moment::MinusInfinity),
        _ => {}
    }
    let (text, before_christ) = era(text);
    let (days, rest) = long_date(text, before_christ)?;
    let rest = rest.strip_prefix(b" ")?;
    let (micros, used) = clock(rest, 0, rest.len())?;
    let rest = &rest[used..];
    let east = match (zoned, rest) {
        (true, rest) => offset(rest)?,
        (false, []) => 0,
        (false, _) => return None,
    };
    // Years beyond 294247 leave the range of microseconds since 1970.
    let micros = days.checked_mul(DAY_US)?.checked_add(micros)?;
    Some(Moment::At(micros.checked_sub(east * 1_000_000)?))
}
