//! Which transactions a read view sees.
//!
//! Enters: the text of `pg_current_snapshot()` (`xmin:xmax:xip,…`, 64-bit transaction ids) and the
//! 32-bit top-level ids of the log. Leaves: whether the view sees one. Keeps HAZARDS L1's test:
//! below xmin, or below xmax and not in the list, modulo 2³². On a standby the list is empty
//! although transactions run (L4): views are never compared there.

/// A read view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadView {
    /// Every id below is over.
    pub xmin: u64,
    /// The first id that was not yet given out.
    pub xmax: u64,
    /// Ids in between that were still running, ascending.
    running: Vec<u64>,
}

impl ReadView {
    /// Reads the server's text form; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let xmin = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let list = parts.next()?;
        let mut running = Vec::new();
        for id in list.split(',').filter(|id| !id.is_empty()) {
            running.push(id.parse().ok()?);
        }
        running.sort_unstable();
        (xmin <= xmax).then_some(Self { xmin, xmax, running })
    }

    /// Whether the view sees transaction `xid` of the log, if it committed. Ids of the log are the
    /// lower half of the 64-bit ids; the full id is the one nearest to the view.
    pub fn sees(&self, xid: u32) -> bool {
        let full = self.nearest(xid);
        full < self.xmin || (full < self.xmax && self.running.binary_search(&full).is_err())
    }

    fn nearest(&self, xid: u32) -> u64 {
        let distance = xid.wrapping_sub(self.xmax as u32) as i32;
        self.xmax.saturating_add_signed(i64::from(distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_is_over() {
        // Goal: HAZARDS L1's visibility test. Method: the three ranges of one view.
        let view = ReadView::parse("774:777:774,776").expect("a view");
        let seen: Vec<bool> = (772..779).map(|xid| view.sees(xid)).collect();
        assert_eq!(seen, [true, true, false, true, false, false, false]);
    }

    #[test]
    fn ids_wrap() {
        // Goal: ids of the log are 32 bits, the view's are 64. Method: a view beyond 2^32.
        let view = ReadView::parse("4294967294:4294967299:4294967297").expect("a view");
        assert!(view.sees(u32::MAX - 2));
        assert!(view.sees(u32::MAX));
        assert!(!view.sees(1)); // 4294967297, running
        assert!(view.sees(2));
        assert!(!view.sees(3)); // xmax
    }

    #[test]
    fn refuses_other_texts() {
        // Goal: a malformed view is no view. Method: named malformed texts.
        for text in ["", "1", "1:2", "a:2:", "3:2:", "1:2:x", "1:2:1:"] {
            assert_eq!(ReadView::parse(text), None, "{text}");
        }
    }
}
