//! Text forms of PostgreSQL's rarer types: interval, money, point, EWKB, vectors.
//!
//! Enters: a cell's text. Leaves: the value, or `None` when the text is not what the type's output
//! function writes (IntervalStyle postgres, any `lc_monetary`). Keeps: no memory, no byte is trusted.

use super::text::{self, Moment};

/// A month in days, as Debezium reckons it.
const MONTH_DAYS: f64 = 365.25 / 12.0;

/// An interval's parts as `IntervalStyle` postgres prints them. Those of the time have one sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Years.
    pub years: i64,
    /// Months, below twelve.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Hours.
    pub hours: i64,
    /// Minutes, below sixty.
    pub minutes: i64,
    /// Whole seconds, below sixty.
    pub seconds: i64,
    /// Microseconds, below a million.
    pub micros: i64,
}

impl Interval {
    /// Seconds with their fraction, as the JDBC driver adds them up.
    pub fn fraction_seconds(&self) -> f64 {
        self.seconds as f64 + self.micros as f64 / 1e6
    }

    /// Microseconds by Debezium's arithmetic in doubles (`MicroDuration.durationMicros`).
    pub fn duration_micros(&self) -> i64 {
        let months = self.years.saturating_mul(12).saturating_add(self.months);
        let days = months as f64 * MONTH_DAYS + self.days as f64;
        let minutes = (days * 24.0 + self.hours as f64) * 60.0 + self.minutes as f64;
        ((minutes * 60.0 + self.fraction_seconds()) * 1e6) as i64
    }
}

/// `1 year 2 mons -3 days +04:05:06.78`.
pub fn interval(text: &[u8]) -> Option<Moment<Interval>> {
    match text {
        b"infinity" => return Some(Moment::Infinity),
        b"-infinity" => return Some(Moment::MinusInfinity),
        _ => {}
    }
    let mut found = Interval::default();
    let mut words = text.split(|&b| b == b' ');
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            clock(word, &mut found)?;
            return words.next().is_none().then_some(Moment::At(found));
        }
        let number = signed(word)?;
        let unit = words.next()?;
        match unit.strip_suffix(b"s").unwrap_or(unit) {
            b"year" => found.years = number,
            b"mon" => found.months = number,
            b"day" => found.days = number,
            _ => return None,
        }
    }
    Some(Moment::At(found))
}

/// `[+-]HH:MM:SS[.ffffff]`; hours may have ten digits.
fn clock(text: &[u8], into: &mut Interval) -> Option<()> {
    let (negative, text) = sign(text);
    let mut parts = text.splitn(3, |&b| b == b':');
    let (hours, minutes, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = match rest.split_at_checked(2)? {
        (seconds, []) => (seconds, &b"0"[..]),
        (seconds, fraction) => (seconds, fraction.strip_prefix(b".")?),
    };
    if minutes.len() != 2 || fraction.len() > 6 {
        return None;
    }
    let scale = 10_i64.pow(6 - fraction.len() as u32);
    let parts = [digits(hours)?, digits(minutes)?, digits(seconds)?, digits(fraction)? * scale];
    if parts[1] > 59 || parts[2] > 59 {
        return None;
    }
    [into.hours, into.minutes, into.seconds, into.micros] =
        parts.map(|part| if negative { -part } else { part });
    Some(())
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn signed(text: &[u8]) -> Option<i64> {
    let (negative, text) = sign(text);
    digits(text).map(|number| if negative { -number } else { number })
}

/// One to twelve digits.
fn digits(text: &[u8]) -> Option<i64> {
    let ok = matches!(text.len(), 1..=12) && text.iter().all(u8::is_ascii_digit);
    ok.then(|| text.iter().fold(0, |number, digit| number * 10 + i64::from(digit & 15)))
}

/// An amount of money in units of its currency's smallest part. `fraction`: fractional digits of the
/// server's `lc_monetary`, which decides about all else that is printed; here only digits count, and
/// a minus sign or parentheses.
pub fn money(text: &[u8], fraction: u8) -> Option<i64> {
    let fraction = usize::from(fraction);
    let end = text.iter().rposition(u8::is_ascii_digit)? + 1;
    let text_of_digits = text.get(..end)?;
    let last = text_of_digits.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if fraction > 0 && last != fraction {
        return None;
    }
    let mut amount = 0_u64;
    for digit in text_of_digits.iter().filter(|b| b.is_ascii_digit()) {
        amount = amount.checked_mul(10)?.checked_add(u64::from(digit & 15))?;
    }
    if text.contains(&b'-') || text.starts_with(b"(") {
        0_i64.checked_sub_unsigned(amount)
    } else {
        i64::try_from(amount).ok()
    }
}

/// `(x,y)`.
pub fn point(text: &[u8]) -> Option<(f64, f64)> {
    let inside = text.strip_prefix(b"(")?.strip_suffix(b")")?;
    let comma = inside.iter().position(|&b| b == b',')?;
    let (x, y) = inside.split_at_checked(comma)?;
    Some((text::double(x)?, text::double(y.get(1..)?)?))
}

/// Checks hexadecimal EWKB as far as Debezium does; its SRID, if it has one.
pub fn ewkb_srid(hex: &[u8]) -> Option<Option<i32>> {
    const HAS_SRID: u32 = 0x2000_0000;
    if hex.len() < 18 || !hex.len().is_multiple_of(2) || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let nibble = |digit: u8| (digit & 15) + if digit >= b'A' { 9 } else { 0 };
    let byte = |i: usize| match hex.get(2 * i..)? {
        &[high, low, ..] => Some(nibble(high) << 4 | nibble(low)),
        _ => None,
    };
    let big = byte(0)? == 0;
    let word = |at: usize| {
        let bytes = [byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?];
        Some(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    if word(1)? & HAS_SRID == 0 {
        return Some(None);
    }
    Some(Some(word(5)?.cast_signed()))
}

/// The numbers of a vector, `[1,2.5]`, as texts; at least one.
pub fn vector(text: &[u8]) -> Option<impl Iterator<Item = &[u8]> + Clone> {
    let inside = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    Some(inside.split(|&b| b == b','))
}

/// A sparse vector, `{1:0.5,3:2}/5`.
#[derive(Clone, Copy, Debug)]
pub struct SparseVector<'a> {
    /// Dimensions.
    pub dimensions: i64,
    inside: &'a [u8],
}

impl<'a> SparseVector<'a> {
    /// Its index and text, an entry each; `None`: no such entry.
    pub fn entries(self) -> impl Iterator<Item = Option<(i64, &'a [u8])>> + Clone {
        let entries = self.inside.split(|&b| b == b',').filter(move |_| !self.inside.is_empty());
        entries.map(|entry| {
            let colon = entry.iter().position(|&b| b == b':')?;
            let (index, value) = entry.split_at_checked(colon)?;
            Some((digits(index)?, value.get(1..)?))
        })
    }
}

/// Reads a sparse vector as far as its entries.
pub fn sparse_vector(text: &[u8]) -> Option<SparseVector<'_>> {
    let slash = text.iter().rposition(|&b| b == b'/')?;
    let (entries, dimensions) = text.split_at_checked(slash)?;
    let inside = entries.strip_prefix(b"{")?.strip_suffix(b"}")?;
    Some(SparseVector { dimensions: digits(dimensions.get(1..)?)?, inside })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn micros(text: &str) -> Option<i64> {
        match interval(text.as_bytes())? {
            Moment::At(interval) => Some(interval.duration_micros()),
            _ => None,
        }
    }

    #[test]
    fn intervals_in_microseconds() {
        // Goal: Debezium's arithmetic to the bit. Method: values of the JDBC driver's PGInterval and
        // MicroDuration for texts of a server.
        for (text, want) in [
            ("1 year 2 mons 3 days 04:05:06.78", 37_091_106_780_000),
            ("-1 years -2 mons +3 days -04:05:06.78", -36_572_706_780_000),
            ("-1 days +02:03:04", -79_016_000_000),
            ("00:00:00", 0),
            ("-00:00:00.000001", -1),
            ("1 mon", 2_629_800_000_000),
            ("178000000 years", i64::MAX),
            ("-178000000 years", i64::MIN),
            ("00:00:59.000001", 59_000_001),
            ("1 year -1 days", 31_471_200_000_000),
            ("-1 mons +1 day 00:00:00.5", -2_543_399_500_000),
            ("999:59:59.999999", 3_599_999_999_999),
            ("-2147483648 days", i64::MIN),
        ] {
            assert_eq!(micros(text), Some(want), "{text}");
        }
        let longest = interval(b"2562047788:00:54.775807");
        assert!(matches!(longest, Some(Moment::At(Interval { hours: 2_562_047_788, .. }))));
        assert_eq!(interval(b"-infinity"), Some(Moment::MinusInfinity));
        for bad in [
            "",
            " ",
            "1",
            "1 ",
            "1 week",
            "x days",
            "1 day ",
            "1:2",
            "00:60:00",
            "00:00:60",
            "00:00:00.",
            "00:00:00.1234567",
            "00:00:00 1 day",
            "--1 days",
            "PT1S",
            "1 years ago",
            "00:00:0",
            "9999999999999 days",
        ] {
            assert_eq!(interval(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn money_of_any_locale() {
        // Goal: the amount, whatever surrounds it. Method: texts under C, en_US, de_DE, ja_JP.
        let of = |text: &str, digits| money(text.as_bytes(), digits);
        assert_eq!(of("$1,234.11", 2), Some(123_411));
        assert_eq!(of("-$1,234.11", 2), Some(-123_411));
        assert_eq!(of("($0.05)", 2), Some(-5));
        assert_eq!(of("1.234,50 €", 2), Some(123_450));
        assert_eq!(of("-1.234,50 €", 2), Some(-123_450));
        assert_eq!(of("￥1,234", 0), Some(1234));
        assert_eq!(of("$92,233,720,368,547,758.07", 2), Some(i64::MAX));
        assert_eq!(of("-$92,233,720,368,547,758.08", 2), Some(i64::MIN));
        for bad in ["", "$", "$1", "$1,234", "$1.234", "$99,999,999,999,999,999,999.00"] {
            assert_eq!(of(bad, 2), None, "{bad}");
        }
    }

    #[test]
    fn points_and_ewkb() {
        // Goal: both numbers, the SRID in both byte orders. Method: texts of a server, of PostGIS.
        assert_eq!(point(b"(1,-2.5e+30)"), Some((1.0, -2.5e30)));
        assert_eq!(point(b"(Infinity,-0)"), Some((f64::INFINITY, 0.0)));
        for bad in ["", "()", "(1)", "1,2", "(1,2", "(1,2,3)", "(a,b)", "(1,)"] {
            assert_eq!(point(bad.as_bytes()), None, "{bad}");
        }
        let srid = |hex: &str| ewkb_srid(hex.as_bytes());
        let with = "0101000020730C00001C7C613255DE6540787AA52C435C42C0";
        assert_eq!(srid(with), Some(Some(3187)));
        assert_eq!(srid(&with.to_ascii_lowercase()), Some(Some(3187)));
        assert_eq!(srid("002000000100000C73405EDD2F1A9FBE77"), Some(Some(3187)));
        assert_eq!(srid("010700000000000000"), Some(None));
        for bad in ["", "01", "0107000000000000", "01070000000000000", "0x0700000000000000"] {
            assert_eq!(srid(bad), None, "{bad}");
        }
        assert_eq!(srid("010100002000000000"), Some(Some(0)));
        assert_eq!(srid("010100002073"), None);
    }

    #[test]
    fn vectors() {
        // Goal: numbers as texts. Method: texts of pgvector and bent ones.
        let numbers = |text: &'static str| -> Option<Vec<&[u8]>> {
            vector(text.as_bytes()).map(Iterator::collect)
        };
        assert_eq!(numbers("[1,-2.5]"), Some(vec![&b"1"[..], b"-2.5"]));
        assert_eq!(numbers("[]"), Some(vec![&b""[..]]));
        assert_eq!(numbers("[1"), None);
        let sparse = |text: &'static str| {
            let vector = sparse_vector(text.as_bytes())?;
            Some((vector.dimensions, vector.entries().collect::<Option<Vec<_>>>()?))
        };
        assert_eq!(sparse("{1:0.5,3:2}/5"), Some((5, vec![(1, &b"0.5"[..]), (3, b"2")])));
        assert_eq!(sparse("{}/3"), Some((3, vec![])));
        for bad in ["", "/", "{}", "{1}/2", "{1:2}", "{1:2}/", "{a:2}/3", "1:2/3"] {
            assert_eq!(sparse(bad), None, "{bad}");
        }
    }
}
