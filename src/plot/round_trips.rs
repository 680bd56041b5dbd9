//! RFC 6298 section 3, RFC 7323 section 4: round-trip times, as whoever saw the segments can take them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Instant;
use crate::wire::SeqNum;

/// The most values of the sender's clock that wait for their echo; the oldest are forgotten.
const MAX_STAMPS: usize = 1 << 16;

/// Text that waits for its acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    start: i64,
    at: Instant,
    /// Sent more than once: no telling which one is acknowledged.
    again: bool,
}

/// Round-trip times by the acknowledgement of text that was sent once (Karn's algorithm, RFC 6298
/// section 3).
#[derive(Clone, Debug, Default)]
pub(super) struct ByAck {
    /// By the byte behind the last.
    waiting: BTreeMap<i64, Waiting>,
}

impl ByAck {
    /// Text that was never sent before.
    pub(super) fn on_new(&mut self, start: i64, end: i64, at: Instant) {
        self.waiting.insert(end, Waiting { start, at, again: false });
    }

    /// Text that lies below the highest: what it overlaps yields no sample any more.
    pub(super) fn on_again(&mut self, start: i64, end: i64, at: Instant) {
        let (mut from, mut to) = (start, end);
        while let Some((&last, &known)) =
            self.waiting.range(start + 1..).next().filter(|(_, known)| known.start < end)
        {
            self.waiting.remove(&last);
            (from, to) = (from.min(known.start), to.max(last));
            if last >= end {
                break;
            }
        }
        self.waiting.insert(to, Waiting { start: from, at, again: true });
    }

    /// Everything below `ack` is acknowledged. The sample is of the latest text among it, which no
    /// acknowledgement was held back for; none if some of it was sent again, as for Linux: then
    /// the rest has waited for that.
    pub(super) fn on_ack(&mut self, ack: i64, at: Instant) -> Option<Duration> {
        let (mut latest, mut again) = (None, false);
        while let Some((&end, &known)) = self.waiting.first_key_value()
            && end <= ack
        {
            self.waiting.remove(&end);
            again |= known.again;
            latest = latest.max(Some(known.at));
        }
        latest.filter(|_| !again).map(|sent| at.since(sent))
    }

    /// `start..end` is sacked for the first time. The sample is of the latest text in it.
    pub(super) fn on_sack(&mut self, start: i64, end: i64, at: Instant) -> Option<Duration> {
        let mut latest = None;
        while let Some((&last, &known)) = self.waiting.range(start + 1..=end).next_back() {
            if known.start < start {
                break;
            }
            self.waiting.remove(&last);
            if !known.again {
                latest = latest.max(Some(known.at));
            }
        }
        latest.map(|sent| at.since(sent))
    }
}

/// Round-trip times by the echo of a timestamp (RFC 7323 section 4.1): as coarse as the sender's clock,
/// but good for what was sent again, too.
#[derive(Clone, Debug, Default)]
pub(super) struct ByEcho {
    /// Values of the sender's clock and when each was sent first.
    stamps: VecDeque<(SeqNum, Instant)>,
}

impl ByEcho {
    /// A segment of the sender's.
    pub(super) fn on_stamp(&mut self, value: u32, at: Instant) {
        let value = SeqNum(value);
        if self.stamps.back().is_none_or(|(last, _)| last.is_before(value)) {
            self.stamps.push_back((value, at));
            if self.stamps.len() > MAX_STAMPS {
                self.stamps.pop_front();
            }
        }
    }

    /// An echo that acknowledges new text: one sample for each value.
    pub(super) fn on_echo(&mut self, echo: u32, at: Instant) -> Option<Duration> {
        let echo = SeqNum(echo);
        while let Some((value, sent)) = self.stamps.front().copied()
            && value.is_at_or_before(echo)
        {
            self.stamps.pop_front();
            if value == echo {
                return Some(at.since(sent));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn millis(sample: Option<Duration>) -> Option<u128> {
        sample.map(|sample| sample.as_millis())
    }

    #[test]
    fn the_latest_text_that_is_acknowledged_gives_the_sample() {
        let mut times = ByAck::default();
        times.on_new(0, 100, at(0));
        times.on_new(100, 200, at(3));
        times.on_new(200, 300, at(4));
        assert_eq!(millis(times.on_ack(200, at(10))), Some(7));
        assert_eq!(millis(times.on_ack(200, at(11))), None);
        assert_eq!(millis(times.on_ack(250, at(12))), None, "half of a segment");
        assert_eq!(millis(times.on_ack(300, at(14))), Some(10));
    }

    #[test]
    fn what_was_sent_again_and_what_waited_for_it_give_none() {
        let mut times = ByAck::default();
        for n in 0..4 {
            times.on_new(n * 100, n * 100 + 100, at(n as u64));
        }
        times.on_again(100, 200, at(50));
        assert_eq!(millis(times.on_ack(100, at(60))), Some(60));
        assert_eq!(millis(times.on_ack(400, at(61))), None);
        assert!(times.waiting.is_empty());
    }

    #[test]
    fn what_is_sacked_gives_its_sample_then_and_not_once_more() {
        let mut times = ByAck::default();
        for n in 0..4 {
            times.on_new(n * 100, n * 100 + 100, at(n as u64));
        }
        assert_eq!(millis(times.on_sack(100, 300, at(20))), Some(18));
        times.on_again(0, 100, at(30));
        assert_eq!(millis(times.on_sack(300, 400, at(31))), Some(28));
        assert_eq!(millis(times.on_ack(400, at(40))), None);
    }

    #[test]
    fn a_part_of_a_super_segment_sent_again_spoils_all_of_it() {
        let mut times = ByAck::default();
        times.on_new(0, 64_000, at(0));
        times.on_new(64_000, 128_000, at(1));
        times.on_again(10_000, 11_000, at(2));
        assert_eq!(millis(times.on_ack(64_000, at(9))), None);
        assert_eq!(millis(times.on_ack(128_000, at(9))), Some(8));
    }

    #[test]
    fn an_echo_counts_once_and_from_the_first_segment_with_its_value() {
        let mut times = ByEcho::default();
        // The clock wraps, and stands still for a while.
        for (value, sent) in [(u32::MAX, 0), (u32::MAX, 1), (0, 2), (1, 3)] {
            times.on_stamp(value, at(sent));
        }
        assert_eq!(millis(times.on_echo(u32::MAX, at(10))), Some(10));
        assert_eq!(millis(times.on_echo(u32::MAX, at(11))), None);
        assert_eq!(millis(times.on_echo(1, at(13))), Some(10));
        assert_eq!(millis(times.on_echo(0, at(14))), None);
    }
}
