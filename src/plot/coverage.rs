//! Which text has been seen: what is new, what was there before, and what fills a hole.

use std::collections::BTreeMap;

use crate::time::Instant;

/// The most holes that are remembered. Of more, which only an absurd capture has, the lowest is
/// forgotten: what fills it counts as seen before.
const MAX_HOLES: usize = 1 << 16;

/// A stretch that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    end: i64,
    /// When it was skipped.
    pub(super) at: Instant,
    /// The clock of the sender when it sent what lies behind, if it told (RFC 7323).
    pub(super) stamp: Option<u32>,
}

/// What text is that lies below the highest byte seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// All of it was there before.
    Seen,
    /// It fills some of this hole.
    Fills(Hole),
}

/// The text seen so far, as its end and the holes in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    end: Option<i64>,
    /// By their first byte.
    holes: BTreeMap<i64, Hole>,
}

impl Coverage {
    /// The byte behind the highest, once there was one.
    pub(super) fn end(&self) -> Option<i64> {
        self.end
    }

    /// Takes in the bytes `start..end`. Answers what the part below the highest byte so far is, if
    /// there is one, and how long.
    pub(super) fn add(
        &mut self,
        start: i64,
        end: i64,
        at: Instant,
        stamp: Option<u32>,
    ) -> Option<(Below, i64)> {
        let highest = *self.end.get_or_insert(start);
        self.end = Some(highest.max(end));
        if start > highest {
            self.holes.insert(highest, Hole { end: start, at, stamp });
            if self.holes.len() > MAX_HOLES {
                self.holes.pop_first();
            }
        }
        if start >= highest {
            return None;
        }
        let below_end = end.min(highest);
        let below = self.fill(start, below_end).map_or(Below::Seen, Below::Fills);
        Some((below, below_end - start))
    }

    /// Closes what lies in `start..end`; answers the first hole that it touched.
    fn fill(&mut self, start: i64, end: i64) -> Option<Hole> {
        let mut first = None;
        // The last hole that begins before the end, and so on downwards: holes do not overlap.
        while let Some((&from, &hole)) =
            self.holes.range(..end).next_back().filter(|(_, hole)| hole.end > start)
        {
            self.holes.remove(&from);
            if hole.end > end {
                self.holes.insert(end, hole);
            }
            if from < start {
                self.holes.insert(from, Hole { end: start, ..hole });
            }
            first = Some(hole);
            if from <= start {
                break;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(coverage: &mut Coverage, start: i64, end: i64) -> Option<(bool, i64)> {
        let below = coverage.add(start, end, Instant::ZERO, None);
        below.map(|(below, len)| (below == Below::Seen, len))
    }

    #[test]
    fn text_is_new_seen_or_fills_a_hole() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.end(), None);
        assert_eq!(add(&mut coverage, 100, 200), None, "the first");
        assert_eq!(add(&mut coverage, 200, 300), None);
        assert_eq!(add(&mut coverage, 250, 350), Some((true, 50)), "half of it again");
        assert_eq!(add(&mut coverage, 450, 500), None, "skips a hundred");
        assert_eq!(add(&mut coverage, 380, 400), Some((false, 20)));
        assert_eq!(add(&mut coverage, 380, 400), Some((true, 20)));
        assert_eq!(add(&mut coverage, 300, 600), Some((false, 200)));
        assert!(coverage.holes.is_empty());
        assert_eq!(coverage.end(), Some(600));
        assert_eq!(add(&mut coverage, 0, 50), Some((true, 50)), "below the first");
    }

    proptest! {
        /// The same, with a set of single bytes.
        #[test]
        fn holes_are_what_has_not_been_seen(
            texts in proptest::collection::vec((0i64..60, 1i64..12), 1..40),
        ) {
            let mut coverage = Coverage::default();
            let mut seen = std::collections::BTreeSet::new();
            let first = texts[0].0;
            for (start, len) in texts {
                let end = start + len;
                let highest = coverage.end();
                let fills = highest.is_some_and(|highest| {
                    (start.max(first)..end.min(highest)).any(|byte| !seen.contains(&byte))
                });
                let below = coverage.add(start, end, Instant::ZERO, None);
                prop_assert_eq!(matches!(below, Some((Below::Fills(_), _))), fills);
                seen.extend(start..end);
            }
            for byte in first..coverage.end().unwrap() {
                let is_hole = coverage.holes.iter().any(|(&from, hole)| from <= byte && byte < hole.end);
                prop_assert_eq!(is_hole, !seen.contains(&byte));
            }
        }
    }
}
