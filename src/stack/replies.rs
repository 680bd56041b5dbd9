//! What is owed to peers without a connection: resets to strangers, SYN-ACKs, ACKs of TIME-WAIT,
//! ICMP. One queue with a bound; what does not fit is dropped and counted, as on a full link.

use std::collections::VecDeque;

use crate::time::{Duration, Instant};

/// The most packets that wait.
const MOST_PACKETS: usize = 256;

/// The most bytes that wait.
const MOST_BYTES: usize = 128 << 10;

/// Whole IP packets, first in, first out, one behind the other in memory that is used again.
#[derive(Default)]
pub(super) struct Replies {
    bytes: Vec<u8>,
    /// The lengths of those that wait.
    lengths: VecDeque<usize>,
    /// Where the first of them begins.
    start: usize,
}

impl Replies {
    /// Queues a packet; answers false when there is no room.
    pub(super) fn push(&mut self, packet: &[u8]) -> bool {
        let waiting = self.bytes.len() - self.start;
        let fits = self.lengths.len() < MOST_PACKETS && waiting + packet.len() <= MOST_BYTES;
        if fits {
            if self.start > MOST_BYTES || waiting == 0 {
                self.bytes.drain(..self.start);
                self.start = 0;
            }
            self.bytes.extend_from_slice(packet);
            self.lengths.push_back(packet.len());
        }
        fits
    }

    /// The packet that has waited longest.
    pub(super) fn pop(&mut self) -> Option<&[u8]> {
        let len = self.lengths.pop_front()?;
        let packet = self.start..self.start + len;
        self.start = packet.end;
        self.bytes.get(packet)
    }

    /// Whether there is any.
    pub(super) fn is_waiting(&self) -> bool {
        !self.lengths.is_empty()
    }

    /// Whether they should go out before more come: half of the room is taken.
    pub(super) fn is_urgent(&self) -> bool {
        self.lengths.len() >= MOST_PACKETS / 2 || self.bytes.len() - self.start >= MOST_BYTES / 2
    }
}

/// A token bucket for ICMP errors (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
pub(super) struct RateLimit {
    tokens: u32,
    filled_at: Instant,
}

impl RateLimit {
    /// Errors that may go out at once; as Linux's `icmp_msgs_burst`.
    const BURST: u32 = 50;
    /// The time in which one more may; 1,000 a second is Linux's `icmp_msgs_per_sec`.
    const INTERVAL: Duration = Duration::from_millis(1);

    /// A full bucket.
    pub(super) fn new() -> Self {
        Self { tokens: Self::BURST, filled_at: Instant::ZERO }
    }

    /// Takes a token, if there is one.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        let elapsed = now.since(self.filled_at).as_nanos() / Self::INTERVAL.as_nanos();
        if elapsed > 0 {
            let fresh = u32::try_from(elapsed).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(fresh).min(Self::BURST);
            self.filled_at = now;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_in_packets_and_in_bytes() {
        let mut replies = Replies::default();
        let taken = (0..1_000).filter(|_| replies.push(&[0; 40])).count();
        assert_eq!(taken, MOST_PACKETS);
        while replies.pop().is_some() {}
        let taken = (0..1_000).filter(|_| replies.push(&[0; 1_280])).count();
        assert_eq!(taken, MOST_BYTES / 1_280);
        while replies.pop().is_some() {}
        assert!(replies.push(&[0; 40]), "what was sent makes room again");
    }

    #[test]
    fn packets_come_out_as_they_went_in_and_the_memory_is_used_again() {
        let mut replies = Replies::default();
        assert!(replies.push(&[0; 100]));
        for n in 0..10_000_u32 {
            // One always waits, so that the queue is never empty.
            assert!(replies.push(&n.to_be_bytes()));
            let popped = replies.pop().map(<[u8]>::to_vec);
            let expected = n.checked_sub(1).map_or(vec![0; 100], |n| n.to_be_bytes().to_vec());
            assert_eq!(popped, Some(expected));
        }
        assert!(replies.bytes.len() <= 2 * MOST_BYTES + 4);
        assert!(replies.pop().is_some() && replies.pop().is_none());
    }

    #[test]
    fn errors_are_limited_to_a_burst_and_a_rate() {
        let mut limit = RateLimit::new();
        let now = Instant::from_millis(1);
        assert_eq!((0..1_000).filter(|_| limit.allow(now)).count(), 50);
        let later = now + Duration::from_millis(10);
        assert_eq!((0..1_000).filter(|_| limit.allow(later)).count(), 10);
    }
}
