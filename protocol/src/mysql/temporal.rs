//! MySQL's dates and times: packed forms of the binlog (MYSQL_TYPE_DATE, TIME2, DATETIME2,
//! TIMESTAMP2; `my_time.cc`) and the calendar behind them.
//!
//! Enters: bytes already loaded. Leaves: days, microseconds, "zero", or nothing for what is no
//! date. Keeps: no allocation, no table.

/// A value of a column that may hold MySQL's zero dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Days or microseconds since 1970-01-01.
    At(i64),
    /// A zero or zero-part date.
    Zero,
}

/// Days since 1970-01-01 of a valid date of the proleptic Gregorian calendar.
#[inline(always)]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Days of a MySQL date. `None`: no such day (ALLOW_INVALID_DATES lets one in).
#[inline(always)]
pub fn date(year: i64, month: i64, day: i64) -> Option<Moment> {
    if year == 0 || month == 0 || day == 0 {
        return Some(Moment::Zero);
    }
    if day > 28 && day > last_day(year, month) || month > 12 {
        return None;
    }
    Some(Moment::At(days_from_civil(year, month, day)))
}

fn last_day(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Bytes of the fraction of a time with `digits` fractional digits.
pub const fn fraction_bytes(digits: u8) -> usize {
    digits.div_ceil(2) as usize
}

/// Microseconds of a fraction stored in `bytes` (0 to 3) bytes: hundredths, ten-thousandths,
/// millionths.
#[inline(always)]
fn fraction_micros(value: u64, bytes: usize) -> i64 {
    let factor = match bytes {
        0 => 0,
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    (value * factor).cast_signed()
}

/// DATE: three little-endian bytes, `year << 9 | month << 5 | day`.
#[inline(always)]
pub fn packed_date(value: u32) -> Option<Moment> {
    date(i64::from(value >> 9), i64::from(value >> 5 & 15), i64::from(value & 31))
}

/// DATETIME2: five big-endian bytes, then the fraction, left-aligned in `word`.
///
/// ```text
///  sign 1 | year·13 + month 17 | day 5 | hour 5 | minute 6 | second 6 | fraction 0, 8, 16, 24
/// ```
#[inline(always)]
pub fn packed_datetime(word: u64, fraction: usize) -> Option<Moment> {
    let whole = (word >> 24) & 0x7F_FFFF_FFFF;
    let (month, day) = (whole >> 22, whole >> 17 & 31);
    let day = date((month / 13).cast_signed(), (month % 13).cast_signed(), day.cast_signed())?;
    let Moment::At(days) = day else { return Some(Moment::Zero) };
    let (hour, minute, second) = (whole >> 12 & 31, whole >> 6 & 63, whole & 63);
    let seconds = (hour * 3600 + minute * 60 + second).cast_signed();
    let micros = fraction_micros((word & 0xFF_FFFF) >> (24 - 8 * fraction), fraction);
    Some(Moment::At((days * 86_400 + seconds) * 1_000_000 + micros))
}

/// TIME2: three big-endian bytes, then the fraction, left-aligned in `word`; the whole is offset by
/// half its range, so that values below zero sort first.
///
/// ```text
///  sign 1 | unused 1 | hour 10 | minute 6 | second 6 | fraction 0, 8, 16, 24
/// ```
#[inline(always)]
pub fn packed_time(word: u64, fraction: usize) -> i64 {
    let bits = 24 + 8 * fraction as u32;
    let offset = (word >> (64 - bits)).cast_signed() - (1 << (bits - 1));
    let magnitude = offset.unsigned_abs();
    let (whole, part) = (magnitude >> (8 * fraction), magnitude & ((1 << (8 * fraction)) - 1));
    let seconds = (whole >> 12 & 0x3FF) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
    let micros = seconds.cast_signed() * 1_000_000 + fraction_micros(part, fraction);
    if offset < 0 { -micros } else { micros }
}

/// TIMESTAMP2: four big-endian bytes of seconds, then the fraction, left-aligned in `word`.
#[inline(always)]
pub fn packed_timestamp(word: u64, fraction: usize) -> Moment {
    let seconds = word >> 32;
    let part = (word & 0xFFFF_FFFF) >> (32 - 8 * fraction);
    let micros = if fraction == 0 { 0 } else { fraction_micros(part, fraction) };
    if seconds == 0 && micros == 0 {
        return Moment::Zero;
    }
    Moment::At(seconds.cast_signed() * 1_000_000 + micros)
}

/// TIME before 5.6: three little-endian bytes, `±HHMMSS` as a number. `None`: no such time.
pub fn old_time(value: i64) -> Option<i64> {
    let digits = value.unsigned_abs();
    let (hour, minute, second) = (digits / 10_000, digits / 100 % 100, digits % 100);
    if hour > 838 || minute > 59 || second > 59 {
        return None;
    }
    let micros = ((hour * 60 + minute) * 60 + second).cast_signed() * 1_000_000;
    Some(if value < 0 { -micros } else { micros })
}

/// DATETIME before 5.6: eight little-endian bytes, `YYYYMMDDHHMMSS` as a number.
pub fn old_datetime(value: u64) -> Option<Moment> {
    let (day, time) = (value / 1_000_000, value % 1_000_000);
    let (year, month, day) = (day / 10_000, day / 100 % 100, day % 100);
    let (hour, minute, second) = (time / 10_000, time / 100 % 100, time % 100);
    if year > 9999 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let day = date(year.cast_signed(), month.cast_signed(), day.cast_signed())?;
    let Moment::At(days) = day else { return Some(Moment::Zero) };
    let seconds = ((hour * 60 + minute) * 60 + second).cast_signed();
    Some(Moment::At((days * 86_400 + seconds) * 1_000_000))
}

/// TIMESTAMP before 5.6: four little-endian bytes of seconds.
pub fn old_timestamp(seconds: u64) -> Moment {
    if seconds == 0 { Moment::Zero } else { Moment::At(seconds.cast_signed() * 1_000_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_be_bytes(word)
    }

    #[test]
    fn times_below_zero_keep_their_fraction() {
        // Goal: my_time.cc's own table of values around zero. Method: its comment's byte patterns.
        assert_eq!(packed_time(left(&[0x80, 0, 1, 10]), 1), 1_100_000);
        assert_eq!(packed_time(left(&[0x80, 0, 0, 0]), 1), 0);
        assert_eq!(packed_time(left(&[0x7F, 0xFF, 0xFF, 0xFF]), 1), -10_000);
        assert_eq!(packed_time(left(&[0x7F, 0xFF, 0xFF, 0x9D]), 1), -990_000);
        assert_eq!(packed_time(left(&[0x7F, 0xFF, 0xFF, 0]), 1), -1_000_000);
        assert_eq!(packed_time(left(&[0x7F, 0xFF, 0xFE, 0xF6]), 1), -1_100_000);
        let day = (838 * 3600 + 59 * 60 + 59) * 1_000_000;
        let word = 0x80_0000 + (838 << 12 | 59 << 6 | 59);
        assert_eq!(packed_time(word << 40, 0), day);
        assert_eq!(packed_time((0x100_0000 - word) << 40, 0), -day);
    }

    #[test]
    fn times_before_56() {
        // Goal: the number forms, their ends and their zeros. Method: MySQL 5.5's field.cc.
        assert_eq!(old_time(123_456), Some(45_296_000_000));
        assert_eq!(old_time(-8_385_959), Some(-3_020_399_000_000));
        assert_eq!(old_time(6_000), None);
        assert_eq!(old_time(8_390_000), None);
        assert_eq!(old_datetime(20_240_229_123_456), Some(Moment::At(1_709_210_096_000_000)));
        assert_eq!(old_datetime(0), Some(Moment::Zero));
        assert_eq!(old_datetime(20_240_001_000_000), Some(Moment::Zero));
        assert_eq!(old_datetime(20_230_229_000_000), None);
        assert_eq!(old_datetime(20_240_229_240_000), None);
        assert_eq!(old_datetime(u64::MAX), None);
        assert_eq!(old_timestamp(0), Moment::Zero);
        assert_eq!(old_timestamp(1), Moment::At(1_000_000));
    }

    #[test]
    fn zero_parts_and_days_that_do_not_exist() {
        // Goal: zero dates are told from invalid ones. Method: named cases.
        assert_eq!(date(0, 0, 0), Some(Moment::Zero));
        assert_eq!(date(2024, 0, 1), Some(Moment::Zero));
        assert_eq!(date(2024, 2, 29), Some(Moment::At(19_782)));
        assert_eq!(date(2023, 2, 29), None);
        assert_eq!(date(2024, 13, 1), None);
        assert_eq!(date(2024, 4, 31), None);
        assert_eq!(date(1970, 1, 1), Some(Moment::At(0)));
        assert_eq!(date(1000, 1, 1), Some(Moment::At(-354_285)));
        assert_eq!(packed_timestamp(0, 0), Moment::Zero);
        assert_eq!(packed_timestamp(1 << 32, 0), Moment::At(1_000_000));
    }
}
