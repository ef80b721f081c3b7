//! Time. Enters: nothing. Leaves: wall-clock microseconds for `ts_us` fields, and milliseconds that
//! never go back for deadlines. Keeps: no deadline ever depends on the wall clock, which may jump.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time, microseconds since 1970-01-01T00:00:00Z; negative before. May go back.
pub fn now_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
        }
    }
}

/// Milliseconds since this process first asked; never goes back (CLOCK_MONOTONIC).
pub fn monotonic_ms() -> u64 {
    monotonic_us() / 1000
}

/// The same in microseconds.
pub fn monotonic_us() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: both clocks run forward over a busy wait. Method: compare two readings.
    #[test]
    fn clocks_advance() {
        let (wall, mono) = (now_us(), monotonic_ms());
        while monotonic_ms() < mono + 2 {
            std::hint::spin_loop();
        }
        assert!(now_us() > wall);
    }
}
