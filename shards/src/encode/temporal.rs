//! Dates and times as JSON text, by Debezium's `time.precision.mode` (ENVELOPE section 4).
//!
//! Enters: days or microseconds since 1970-01-01. Leaves: numbers or ISO text at the cursor.
//! Keeps: no allocation, at most [`TEMPORAL_BYTES_MAX`] bytes a value.

use super::number::{fixed_digits, put_u64};
use super::text::Out;

/// The longest value: `"+294276-12-31T23:59:59.123456Z"`, with what its last write may overrun.
pub(crate) const TEMPORAL_BYTES_MAX: usize = 64;

const SECOND_US: i64 = 1_000_000;
pub(crate) const DAY_US: i64 = 86_400 * SECOND_US;

/// A civil date of the proleptic Gregorian calendar (year 0 = 1 BC).
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u32, of_month as u32)
}

/// How many fractional digits a time prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// Exactly so many.
    Exactly(u8),
    /// Six without trailing zeros; none if zero.
    Trimmed,
}

/// `2017-09-15`, Java's ISO local date: years of four digits, `+` beyond 9999, `-` below 0.
fn put_ymd(out: &mut Out, days: i64) {
    let (year, month, day) = civil(days);
    if year < 0 {
        out.byte(b'-');
    } else if year > 9999 {
        out.byte(b'+');
    }
    let year = year.unsigned_abs();
    if year > 9999 {
        put_u64(out, year)
    } else {
        fixed_digits(out, year, 4)
    }
    out.byte(b'-');
    fixed_digits(out, u64::from(month), 2);
    out.byte(b'-');
    fixed_digits(out, u64::from(day), 2);
}

/// `04:05:11.789`; `micros` of one day.
fn put_hms(out: &mut Out, micros: i64, fraction: Fraction) {
    let (seconds, micros) = ((micros / SECOND_US) as u64, (micros % SECOND_US) as u64);
    fixed_digits(out, seconds / 3600, 2);
    out.byte(b':');
    fixed_digits(out, seconds / 60 % 60, 2);
    out.byte(b':');
    fixed_digits(out, seconds % 60, 2);
    let (mut digits, mut value) = (6, micros);
    match fraction {
        Fraction::Exactly(wanted) => {
            while digits > usize::from(wanted.min(6)) {
                (digits, value) = (digits - 1, value / 10);
            }
        }
        Fraction::Trimmed => {
            while digits > 0 && value % 10 == 0 {
                (digits, value) = (digits - 1, value / 10);
            }
        }
    }
    if digits > 0 {
        out.byte(b'.');
        fixed_digits(out, value, digits);
    }
}

/// 0001-01-01, 0070-01-01 and 0100-01-01, in days since 1970-01-01.
const YEAR_1: i64 = -719_162;
const YEAR_70: i64 = -693_960;
const YEAR_100: i64 = -683_003;

/// MySQL's rule for years of two digits, as Debezium applies it to the years 1 to 99 of stored dates:
/// those below 70 are of this century, the others of the last one. `day`: how much of the unit a
/// day is. The leap years are the same.
#[inline(always)]
pub(crate) fn adjusted(value: i64, day: i64) -> i64 {
    if value >= YEAR_100 * day || value < YEAR_1 * day {
        value
    } else if value < YEAR_70 * day {
        value + 5 * 146_097 * day
    } else {
        value - YEAR_70 * day
    }
}

/// `"2017-09-15Z"`.
pub(crate) fn put_iso_date(out: &mut Out, days: i64) {
    out.byte(b'"');
    put_ymd(out, days);
    out.pad(b"Z\"", 2);
}

/// `"04:05:11.789Z"`; `micros` from 0 to 24 hours, which is 00:00 again.
pub(crate) fn put_iso_time(out: &mut Out, micros: i64) {
    out.byte(b'"');
    put_hms(out, micros.rem_euclid(DAY_US), Fraction::Trimmed);
    out.pad(b"Z\"", 2);
}

/// `"2019-07-09T02:28:57.123456Z"`.
pub(crate) fn put_iso_stamp(out: &mut Out, micros: i64, fraction: Fraction) {
    out.byte(b'"');
    put_ymd(out, micros.div_euclid(DAY_US));
    out.byte(b'T');
    put_hms(out, micros.rem_euclid(DAY_US), fraction);
    out.pad(b"Z\"", 2);
}

/// True if a time of day can be told in modes that know no duration (connect, isostring).
pub(crate) fn within_a_day(micros: i64) -> bool {
    (0..=DAY_US).contains(&micros)
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
    fn iso_forms() {
        // Goal: Java's ISO forms. Method: ENVELOPE's own examples and the ends of the calendar.
        assert_eq!(text(|out| put_iso_date(out, 17_424)), "\"2017-09-15Z\"");
        assert_eq!(text(|out| put_iso_date(out, 0)), "\"1970-01-01Z\"");
        assert_eq!(text(|out| put_iso_date(out, -719_529)), "\"-0001-12-31Z\"");
        assert_eq!(text(|out| put_iso_date(out, -719_528)), "\"0000-01-01Z\"");
        assert_eq!(text(|out| put_iso_date(out, 2_932_897)), "\"+10000-01-01Z\"");
        assert_eq!(text(|out| put_iso_time(out, 14_711_789_000)), "\"04:05:11.789Z\"");
        assert_eq!(text(|out| put_iso_time(out, 0)), "\"00:00:00Z\"");
        let stamp = 1_562_639_337_123_450;
        let form = |fraction| text(|out| put_iso_stamp(out, stamp, fraction));
        assert_eq!(form(Fraction::Trimmed), "\"2019-07-09T02:28:57.12345Z\"");
        assert_eq!(form(Fraction::Exactly(6)), "\"2019-07-09T02:28:57.123450Z\"");
        assert_eq!(form(Fraction::Exactly(3)), "\"2019-07-09T02:28:57.123Z\"");
        assert_eq!(form(Fraction::Exactly(0)), "\"2019-07-09T02:28:57Z\"");
        assert_eq!(
            text(|out| put_iso_stamp(out, -1, Fraction::Trimmed)),
            "\"1969-12-31T23:59:59.999999Z\""
        );
    }

    /// Slow oracle: counts days of whole years and months.
    fn count_days(year: i64, month: u32, day: u32) -> i64 {
        let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        let years = if year >= 1970 {
            (1970..year).map(|y| 365 + i64::from(leap(y))).sum::<i64>()
        } else {
            -(year..1970).map(|y| 365 + i64::from(leap(y))).sum::<i64>()
        };
        let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        years + lengths[..month as usize - 1].iter().sum::<i64>() + i64::from(day) - 1
    }

    proptest! {
        #[test]
        fn calendar_round_trips(days in -800_000i64..3_000_000) {
            // Goal: civil() is the inverse of counting days. Method: a year-by-year oracle.
            let (year, month, day) = civil(days);
            prop_assert_eq!(count_days(year, month, day), days);
        }

        #[test]
        fn years_of_two_digits(days in YEAR_1 - 800..YEAR_100 + 800, rest in 0..DAY_US) {
            // Goal: 1 to 69 are 2001 to 2069, 70 to 99 are 1970 to 1999, nothing else moves; in
            // days as in microseconds. Method: the calendar.
            let (year, month, day) = civil(days);
            let wanted = match year {
                1..70 => count_days(year + 2000, month, day),
                70..100 => count_days(year + 1900, month, day),
                _ => days,
            };
            prop_assert_eq!(adjusted(days, 1), wanted);
            prop_assert_eq!(adjusted(days * DAY_US + rest, DAY_US), wanted * DAY_US + rest);
        }
    }
}
