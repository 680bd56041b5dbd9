//! What is owed to peers without a connection: resets to strangers, SYN-ACKs, ACKs of TIME-WAIT,
//! ICMP. One queue with a bound; what does not fit is dropped and counted, as on a full link.

use std::collections::VecDeque;

use crate::time::{Duration, Instant};

/// The most packets that wait.
const MOST_PACKETS: usize = 256;

/// The most bytes that wait.
const MOST_BYTES: usize = 128 << 10;

/// Whole IP packets, first in, first out.
#[derive(Default)]
pub(super) struct Replies {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Replies {
    /// Queues a packet; answers false when there is no room.
    pub(super) fn push(&mut self, packet: Vec<u8>) -> bool {
        let fits = self.queue.len() < MOST_PACKETS && self.bytes + packet.len() <= MOST_BYTES;
        if fits {
            self.bytes += packet.len();
            self.queue.push_back(packet);
        }
        fits
    }

    /// The packet that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.queue.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
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
        let taken = (0..1_000).filter(|_| replies.push(vec![0; 40])).count();
        assert_eq!(taken, MOST_PACKETS);
        while replies.pop().is_some() {}
        let taken = (0..1_000).filter(|_| replies.push(vec![0; 1_280])).count();
        assert_eq!(taken, MOST_BYTES / 1_280);
        while replies.pop().is_some() {}
        assert!(replies.push(vec![0; 40]), "what was sent makes room again");
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
