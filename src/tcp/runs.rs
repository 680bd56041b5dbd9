//! A set of sequence numbers as the runs that it consists of: what is held to be lost, what the peer
//! has reported as received (RFC 6675 section 3, the scoreboard).

use std::collections::VecDeque;

use crate::wire::{SeqNum, SeqRange};

/// Runs in sequence order, none empty, with a gap between any two. A look-up takes time that grows
/// with the logarithm of their number; a change moves those behind or before it, whichever are fewer.
#[derive(Debug, Default)]
pub(super) struct Runs(VecDeque<SeqRange>);

impl Runs {
    /// The empty set.
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of memory taken beside the set itself.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<SeqRange>()
    }

    /// The run that comes first.
    pub(super) fn first(&self) -> Option<SeqRange> {
        self.0.front().copied()
    }

    /// The first run that ends after `seq`: the one that `seq` lies in, or the next one.
    pub(super) fn at_or_after(&self, seq: SeqNum) -> Option<SeqRange> {
        match self.0.back() {
            // The latest one is what is asked for most.
            Some(last) if last.start.is_at_or_before(seq) => {
                Some(*last).filter(|last| last.end.is_after(seq))
            }
            _ => self.0.get(self.first_after(seq)).copied(),
        }
    }

    /// Whether `range` meets no run, and touches none either: to insert it makes one run more.
    pub(super) fn stands_alone(&self, range: SeqRange) -> bool {
        let next = self.0.get(self.0.partition_point(|run| run.end.is_before(range.start)));
        next.is_none_or(|run| run.start.is_after(range.end))
    }

    /// Adds `range`, merged with the runs that it meets or touches.
    pub(super) fn insert(&mut self, mut range: SeqRange) {
        if range.is_empty() {
            return;
        }
        if let Some(last) = self.0.back_mut()
            && last.start.is_at_or_before(range.start)
        {
            // The latest one is what grows most.
            if last.end.is_before(range.start) {
                self.0.push_back(range);
            } else {
                last.end = last.end.later(range.end);
            }
            return;
        }
        let first = self.0.partition_point(|run| run.end.is_before(range.start));
        let after = self.0.partition_point(|run| run.start.is_at_or_before(range.end));
        if first == after {
            self.0.insert(first, range);
            return;
        }
        range.start = range.start.earlier(self.0[first].start);
        range.end = range.end.later(self.0[after - 1].end);
        self.0[first] = range;
        if after - first > 1 {
            self.0.drain(first + 1..after);
        }
    }

    /// Takes `range` out.
    pub(super) fn remove(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        let first = self.first_after(range.start);
        let after = self.0.partition_point(|run| run.start.is_before(range.end));
        if first >= after {
            return;
        }
        let before = SeqRange { start: self.0[first].start, end: range.start };
        let behind = SeqRange { start: range.end, end: self.0[after - 1].end };
        // What is left of the first and of the last run that are met.
        let left = [before, behind].into_iter().filter(|rest| !rest.is_empty());
        let mut at = first;
        for rest in left {
            if at < after {
                self.0[at] = rest;
            } else {
                self.0.insert(at, rest);
            }
            at += 1;
        }
        if at < after {
            self.0.drain(at..after);
        }
    }

    /// Takes everything before `seq` out.
    pub(super) fn remove_before(&mut self, seq: SeqNum) {
        while let Some(run) = self.0.front_mut() {
            if run.end.is_after(seq) {
                run.start = run.start.later(seq);
                return;
            }
            self.0.pop_front();
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn first_after(&self, seq: SeqNum) -> usize {
        self.0.partition_point(|run| run.end.is_at_or_before(seq))
    }

    /// Checks what must always hold; answers how many numbers are in the set.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self) -> u32 {
        let mut last: Option<SeqRange> = None;
        for run in &self.0 {
            assert!(!run.is_empty(), "no run is empty");
            assert!(last.is_none_or(|last| last.end.is_before(run.start)), "runs lie apart");
            last = Some(*run);
        }
        self.0.iter().map(|run| run.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The same changes to the runs and to a plain set of numbers.
        #[test]
        fn agrees_with_a_set_of_numbers(
            start: u32,
            steps in proptest::collection::vec((0u8..4, 0u32..60, 0u32..12), 1..60),
        ) {
            let base = SeqNum(start);
            let mut runs = Runs::new();
            let mut model = BTreeSet::new();
            for (step, at, len) in steps {
                let range = SeqRange::new(base + at, len);
                let numbers = at..at + len;
                match step {
                    0 | 1 => {
                        let touches = (at.saturating_sub(1)..at + len + 1)
                            .any(|n| (n != at + len || len > 0) && model.contains(&n));
                        if len > 0 {
                            let touches = touches || model.contains(&(at + len));
                            prop_assert_eq!(runs.stands_alone(range), !touches);
                        }
                        runs.insert(range);
                        model.extend(numbers);
                    }
                    2 => {
                        runs.remove(range);
                        model.retain(|n| !numbers.contains(n));
                    }
                    _ => {
                        runs.remove_before(base + at);
                        model.retain(|&n| n >= at);
                    }
                }
                prop_assert_eq!(runs.check() as usize, model.len());
                for n in 0..75 {
                    let next = runs.at_or_after(base + n).filter(|run| run.contains(base + n));
                    prop_assert_eq!(next.is_some(), model.contains(&n), "{} in {:?}", n, runs);
                }
                let first = runs.first().map(|run| base.len_to(run.start));
                prop_assert_eq!(first, model.first().copied());
            }
        }
    }
}
