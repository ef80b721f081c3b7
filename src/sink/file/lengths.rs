//! How long a file was at every watermark that may yet be asked for.
//!
//! Enters: runs of rows as they are written. Leaves: the place in the file behind all rows with
//! `Seq` ≤ w and before all others. Keeps: an answer is exact or none; memory is bounded, since
//! runs are let go at checkpoints and can be joined where that does not suffice.

use std::collections::VecDeque;

use penstock_shards::seq::Seq;
use serde::{Deserialize, Serialize};

/// A place in the sequence of one topic's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Number of files rotated away before.
    #[serde(rename = "rotated")]
    pub rotations: u32,
    /// Offset in the file that is then written, bytes.
    pub len: u64,
}

/// Rows that nothing can be asked between: no mark stands inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// `Seq` of its first row.
    pub first: Seq,
    /// `Seq` of its last row.
    pub last: Seq,
    /// Behind its last row.
    pub end: Place,
}

/// The runs of one file, ascending.
#[derive(Debug)]
pub struct Lengths {
    base: Place,
    runs: VecDeque<Run>,
}

impl Lengths {
    /// Nothing written behind `base` yet.
    pub fn new(base: Place) -> Self {
        Self { base, runs: VecDeque::new() }
    }

    /// Remembers a run; true if there is now one more. A run that goes on in the transaction of
    /// the one before joins it: no watermark falls between, and a transaction of any size is one.
    ///
    /// # Panics
    /// If `Seq` goes back: a shard delivers a topic's rows in order.
    pub fn push(&mut self, run: Run) -> bool {
        if let Some(before) = self.runs.back_mut() {
            assert!(before.last <= run.first, "rows of one topic out of order");
            if before.last == run.first {
                (before.last, before.end) = (run.last, run.end);
                return false;
            }
        }
        self.runs.push_back(run);
        true
    }

    /// The place at watermark `w`; `None` if it was joined away (or `w` is no commit's).
    pub fn at(&self, w: Seq) -> Option<Place> {
        let after = self.runs.partition_point(|run| run.last <= w);
        match self.runs.get(after) {
            Some(run) if run.first <= w => None,
            _ => Some(after.checked_sub(1).map_or(self.base, |last| self.runs[last].end)),
        }
    }

    /// Nothing at or below `w` will be asked again; gives how many runs went.
    pub fn prune(&mut self, w: Seq) -> usize {
        let done = self.runs.partition_point(|run| run.last <= w);
        if let Some(last) = self.runs.drain(..done).next_back() {
            self.base = last.end;
        }
        done
    }

    /// Joins runs two by two, all but the newest; gives how many went.
    pub fn coarsen(&mut self) -> usize {
        let before = self.runs.len();
        let mut joined = VecDeque::with_capacity(before / 2 + 1);
        let newest = self.runs.pop_back();
        while let Some(first) = self.runs.pop_front() {
            let last = self.runs.pop_front().unwrap_or(first);
            joined.push_back(Run { first: first.first, ..last });
        }
        joined.extend(newest);
        self.runs = joined;
        before - self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(first: u64, last: u64, len: u64) -> Run {
        Run { first: Seq(first), last: Seq(last), end: Place { rotations: 0, len } }
    }

    fn at(lengths: &Lengths, w: u64) -> Option<u64> {
        lengths.at(Seq(w)).map(|place| place.len)
    }

    /// Goal: exact between runs, none inside. Method: three runs, every watermark, then pruned.
    #[test]
    fn lengths_are_exact_or_none() {
        let mut lengths = Lengths::new(Place { rotations: 0, len: 7 });
        for r in [run(2, 3, 10), run(5, 5, 20), run(8, 9, 30)] {
            assert!(lengths.push(r));
        }
        let expected = [7, 7, 0, 10, 10, 20, 20, 20, 0, 30, 30];
        for (w, expected) in expected.into_iter().enumerate() {
            let expected = (expected > 0).then_some(expected);
            assert_eq!(at(&lengths, w as u64), expected, "w = {w}");
        }
        assert_eq!(lengths.prune(Seq(6)), 2);
        assert_eq!((at(&lengths, 6), at(&lengths, 9)), (Some(20), Some(30)));
    }

    /// Goal: a transaction of any size is one run. Method: a thousand runs of one `Seq`.
    #[test]
    fn one_transaction_is_one_run() {
        let mut lengths = Lengths::new(Place::default());
        assert!(lengths.push(run(1, 2, 1)));
        for n in 2..1000 {
            assert!(!lengths.push(run(2, 2, n)));
        }
        assert_eq!((at(&lengths, 1), at(&lengths, 2)), (None, Some(999)));
    }

    proptest! {
        /// Goal: joining loses answers and never changes one; the newest stays. Method: random
        /// runs, joined n times; each answer is that of before or none.
        #[test]
        fn coarser_is_never_wrong(gaps in proptest::collection::vec((1u64..4, 0u64..3), 1..40),
                                  joins in 1usize..5) {
            let (mut lengths, mut seq) = (Lengths::new(Place::default()), 0);
            for (n, (gap, width)) in gaps.iter().enumerate() {
                let first = seq + gap;
                seq = first + width;
                lengths.push(run(first, seq, n as u64 + 1));
            }
            let before: Vec<_> = (0..seq + 2).map(|w| at(&lengths, w)).collect();
            for _ in 0..joins {
                lengths.coarsen();
            }
            for (w, before) in before.into_iter().enumerate() {
                let now = at(&lengths, w as u64);
                prop_assert!(now.is_none() || now == before, "w = {w}");
            }
            prop_assert_eq!(at(&lengths, seq), Some(gaps.len() as u64));
        }
    }
}
