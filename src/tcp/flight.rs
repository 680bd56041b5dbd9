//! What is in the network: one record for each segment sent and not yet acknowledged.

use std::collections::VecDeque;

use super::lent::Lendable;
use crate::time::Instant;
use crate::wire::{SeqNum, SeqRange};

/// A segment that was sent and is not yet acknowledged. Its bytes stay in the send buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The sequence numbers it occupies, SYN and FIN included.
    pub(super) range: SeqRange,
    /// When it was last sent.
    pub(super) sent_at: Instant,
    /// Whether it has been sent more than once: its acknowledgment is ambiguous (Karn).
    pub(super) retransmitted: bool,
    /// Held to have left the network, and not sent again since.
    pub(super) lost: bool,
}

/// What an acknowledgment took out of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Acked {
    /// When the oldest segment that was sent only once, and is now acknowledged, was sent: an
    /// unambiguous RTT sample (RFC 6298 section 3, Karn's algorithm), in which the time is counted
    /// for which the peer delays its ACKs.
    pub(super) sent_at: Option<Instant>,
    /// Whether a segment acknowledged now had been sent more than once.
    pub(super) retransmitted: bool,
}

/// The records, in sequence order, without gaps, from SND.UNA to SND.NXT.
#[derive(Debug, Default)]
pub(super) struct Flight {
    records: VecDeque<Sent>,
    /// Sequence numbers in records marked lost.
    lost: u32,
    /// No record before this index is marked lost.
    first_lost: u32,
}

impl Lendable for Flight {
    fn nothing() -> &'static Self {
        static NOTHING: Flight = Flight { records: VecDeque::new(), lost: 0, first_lost: 0 };
        &NOTHING
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }

    fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Sent>()
    }
}

impl Flight {
    /// Whether something is held to be lost.
    pub(super) fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Whether nothing is in the network.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The sequence numbers sent and not acknowledged, whether lost or not: FlightSize.
    pub(super) fn size(&self) -> u32 {
        match (self.records.front(), self.records.back()) {
            (Some(first), Some(last)) => first.range.start.len_to(last.range.end),
            _ => 0,
        }
    }

    /// The sequence numbers held to be in the network still.
    pub(super) fn in_network(&self) -> u32 {
        self.size().saturating_sub(self.lost)
    }

    /// How many segments are not acknowledged, how many of them are held to be lost, and how many
    /// are in the network again. It walks the records.
    pub(super) fn count(&self) -> (u32, u32, u32) {
        let lost = self.records.iter().filter(|record| record.lost).count();
        let again = self.records.iter().filter(|record| record.retransmitted && !record.lost);
        (self.records.len() as u32, lost as u32, again.count() as u32)
    }

    /// A new segment is on its way.
    pub(super) fn on_sent(&mut self, range: SeqRange, now: Instant) {
        debug_assert!(self.records.back().is_none_or(|last| last.range.end == range.start));
        self.records.push_back(Sent { range, sent_at: now, retransmitted: false, lost: false });
    }

    /// The oldest segment was sent more than once before it was recorded here: a SYN-ACK.
    pub(super) fn mark_first_retransmitted(&mut self) {
        if let Some(record) = self.records.front_mut() {
            record.retransmitted = true;
        }
    }

    /// Everything before `una` has arrived.
    pub(super) fn on_ack(&mut self, una: SeqNum) -> Acked {
        let mut acked = Acked::default();
        let mut gone = 0;
        while let Some(record) = self.records.front_mut() {
            if record.range.end.is_at_or_before(una) {
                if record.retransmitted {
                    acked.retransmitted = true;
                } else {
                    acked.sent_at.get_or_insert(record.sent_at);
                }
                if record.lost {
                    self.lost -= record.range.len();
                }
                self.records.pop_front();
                gone += 1;
                continue;
            }
            if record.range.contains(una) {
                if record.lost {
                    self.lost -= record.range.start.len_to(una);
                }
                record.range.start = una;
            }
            break;
        }
        self.first_lost = self.first_lost.saturating_sub(gone);
        acked
    }

    /// The oldest segment, a SYN, has been sent again.
    pub(super) fn on_first_sent_again(&mut self, now: Instant) {
        if let Some(record) = self.records.front_mut() {
            record.sent_at = now;
            record.retransmitted = true;
        }
    }

    /// The newest segment, and whether it is the only one.
    pub(super) fn last(&self) -> Option<(SeqRange, bool)> {
        self.records.back().map(|record| (record.range, self.records.len() == 1))
    }

    /// The newest segment has been sent again, as a probe.
    pub(super) fn on_last_sent_again(&mut self, now: Instant) {
        if let Some(record) = self.records.back_mut() {
            record.sent_at = now;
            record.retransmitted = true;
        }
    }

    /// Whether a segment carries more than `most`. It walks the records.
    pub(super) fn has_larger(&self, most: u32) -> bool {
        self.records.iter().any(|record| record.range.len() > most)
    }

    /// Marks the oldest segment as lost.
    pub(super) fn mark_first_lost(&mut self) {
        if let Some(record) = self.records.front_mut()
            && !record.lost
        {
            record.lost = true;
            self.lost += record.range.len();
            self.first_lost = 0;
        }
    }

    /// Marks everything as lost (RFC 5681 section 3.1: after a timeout the sender starts over
    /// from the oldest; where the path has shrunk it does so, too).
    pub(super) fn mark_all_lost(&mut self) {
        for record in &mut self.records {
            record.lost = true;
        }
        self.lost = self.size();
        self.first_lost = 0;
    }

    /// The next sequence numbers to send again: at most `most` of the first record marked lost.
    pub(super) fn next_lost(&mut self, most: u32) -> Option<SeqRange> {
        if self.lost == 0 {
            return None;
        }
        while let Some(record) = self.records.get(self.first_lost as usize) {
            if record.lost {
                let len = record.range.len().min(most);
                return Some(SeqRange::new(record.range.start, len));
            }
            self.first_lost += 1;
        }
        None
    }

    /// `range`, which [`next_lost`](Self::next_lost) gave, has been sent again.
    pub(super) fn on_retransmitted(&mut self, range: SeqRange, now: Instant) {
        let Some(record) = self.records.get_mut(self.first_lost as usize) else {
            return;
        };
        debug_assert!(record.lost && record.range.start == range.start);
        let rest = SeqRange { start: range.end, end: record.range.end };
        let whole = *record;
        *record = Sent { range, sent_at: now, retransmitted: true, lost: false };
        self.lost -= range.len();
        self.first_lost += 1;
        if !rest.is_empty() {
            // The path's MTU has shrunk since: what is left stays lost, and is next.
            self.records.insert(self.first_lost as usize, Sent { range: rest, ..whole });
        }
    }

    /// Checks what must always hold.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, una: SeqNum, nxt: SeqNum) {
        let mut at = una;
        let mut lost = 0;
        for (n, record) in self.records.iter().enumerate() {
            assert_eq!(record.range.start, at, "records have no gaps");
            assert!(!record.range.is_empty(), "no record is empty");
            at = record.range.end;
            if record.lost {
                lost += record.range.len();
                assert!(n >= self.first_lost as usize, "first_lost skips no lost record");
            }
        }
        assert_eq!(at, nxt, "records reach up to SND.NXT");
        assert_eq!(lost, self.lost, "the lost are counted right");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Five segments of 100 bytes, sent a millisecond apart, from just below the wrap.
    fn five() -> (SeqNum, Flight) {
        let start = SeqNum(u32::MAX - 149);
        let mut flight = Flight::default();
        for n in 0..5 {
            flight.on_sent(SeqRange::new(start + n * 100, 100), at(u64::from(n)));
        }
        (start, flight)
    }

    #[test]
    fn the_sample_is_that_of_the_oldest_segment_sent_once() {
        let (start, mut flight) = five();
        let acked = flight.on_ack(start + 300);
        assert_eq!(acked, Acked { sent_at: Some(at(0)), retransmitted: false });
        assert_eq!(flight.size(), 200);
    }

    #[test]
    fn a_segment_sent_twice_gives_no_sample() {
        let (start, mut flight) = five();
        flight.mark_first_lost();
        let range = flight.next_lost(1_000).expect("one is lost");
        flight.on_retransmitted(range, at(50));
        assert_eq!(flight.on_ack(start + 100), Acked { sent_at: None, retransmitted: true });
    }

    #[test]
    fn a_smaller_mss_splits_what_is_sent_again() {
        let (start, mut flight) = five();
        flight.mark_first_lost();
        let first = flight.next_lost(60).expect("one is lost");
        assert_eq!(first, SeqRange::new(start, 60));
        flight.on_retransmitted(first, at(9));
        let second = flight.next_lost(60).expect("its rest is lost");
        assert_eq!(second, SeqRange::new(start + 60, 40));
        flight.on_retransmitted(second, at(9));
        assert_eq!(flight.next_lost(60), None);
        flight.check(start, start + 500);
    }

    proptest! {
        #[test]
        fn the_accounts_stay_right(
            start: u32,
            steps in proptest::collection::vec((0u8..5, 1u32..3_000), 1..100),
        ) {
            let mut una = SeqNum(start);
            let mut nxt = una;
            let mut flight = Flight::default();
            for (n, (step, size)) in steps.into_iter().enumerate() {
                let now = at(n as u64);
                match step {
                    0 => {
                        flight.on_sent(SeqRange::new(nxt, size), now);
                        nxt += size;
                    }
                    1 => {
                        una = (una + size).earlier(nxt);
                        flight.on_ack(una);
                    }
                    2 => flight.mark_first_lost(),
                    3 => flight.mark_all_lost(),
                    _ => {
                        if let Some(range) = flight.next_lost(size) {
                            flight.on_retransmitted(range, now);
                        }
                    }
                }
                flight.check(una, nxt);
                prop_assert_eq!(flight.size(), una.len_to(nxt));
                prop_assert!(flight.in_network() <= flight.size());
            }
        }
    }
}
