//! RFC 2018: what the receiver has beyond its acknowledgement.

use std::collections::BTreeMap;

/// The most stretches that are kept apart. Of more, which only an absurd capture has, the highest is
/// forgotten.
const MAX_STRETCHES: usize = 1 << 16;

/// The stretches that are sacked and not acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Scoreboard {
    /// First byte and the one behind the last; they neither overlap nor touch.
    stretches: BTreeMap<i64, i64>,
    bytes: i64,
}

impl Scoreboard {
    /// How many bytes are sacked.
    pub(super) fn bytes(&self) -> i64 {
        self.bytes
    }

    /// Takes in `start..end` and hands out each part of it that was not there, from the highest to
    /// the lowest.
    pub(super) fn add(&mut self, start: i64, end: i64, mut news: impl FnMut(i64, i64)) {
        let (mut from, mut to) = (start, end);
        let mut known_from = end;
        while let Some((&low, &high)) =
            self.stretches.range(..=end).next_back().filter(|(_, high)| **high >= start)
        {
            if high < known_from {
                news(high.max(start), known_from);
            }
            self.take(low, high);
            (from, to) = (from.min(low), to.max(high));
            known_from = known_from.min(low.max(start));
        }
        if start < known_from {
            news(start, known_from);
        }
        if from < to {
            self.stretches.insert(from, to);
            self.bytes += to - from;
        }
        if self.stretches.len() > MAX_STRETCHES
            && let Some((&low, &high)) = self.stretches.last_key_value()
        {
            self.take(low, high);
        }
    }

    /// Forgets what lies below the acknowledgement.
    pub(super) fn acknowledge(&mut self, ack: i64) {
        while let Some((&low, &high)) = self.stretches.first_key_value()
            && low < ack
        {
            self.take(low, high);
            if high > ack {
                self.stretches.insert(ack, high);
                self.bytes += high - ack;
            }
        }
    }

    fn take(&mut self, low: i64, high: i64) {
        self.stretches.remove(&low);
        self.bytes -= high - low;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same, with a set of single bytes.
        #[test]
        fn what_is_new_is_what_was_not_there(
            steps in proptest::collection::vec((any::<bool>(), 0i64..50, 0i64..12), 0..40),
        ) {
            let (mut scoreboard, mut known) = (Scoreboard::default(), BTreeSet::new());
            for (is_ack, start, len) in steps {
                if is_ack {
                    scoreboard.acknowledge(start);
                    known.retain(|&byte| byte >= start);
                } else {
                    let mut news = Vec::new();
                    scoreboard.add(start, start + len, |from, to| news.extend(from..to));
                    news.sort_unstable();
                    let expected: Vec<_> =
                        (start..start + len).filter(|byte| !known.contains(byte)).collect();
                    prop_assert_eq!(news, expected);
                    known.extend(start..start + len);
                }
                prop_assert_eq!(scoreboard.bytes(), known.len() as i64);
                let kept: Vec<_> =
                    scoreboard.stretches.iter().flat_map(|(&low, &high)| low..high).collect();
                prop_assert_eq!(kept, known.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
