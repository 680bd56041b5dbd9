//! When an acknowledgment is owed (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).

use super::challenge::ChallengeLimit;
use crate::time::{Duration, Instant};

/// Segments at the start of a connection, or after a silence, that are acknowledged without delay: the peer is in slow
/// start and every ACK opens its window. Linux has the same number.
const QUICK: u8 = 16;

/// What is owed to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    Nothing,
    /// An ACK by the time the delayed-ACK timer runs out.
    Delayed,
    /// An ACK at the end of the batch of packets that are being read together.
    Batch,
    /// An ACK before the next packet is read.
    Now,
}

/// The debt of acknowledgments.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckDebt {
    owed: Owed,
    /// Quick ACKs left.
    quick: u8,
    /// Bytes of text received since the last ACK went out.
    unacked: u32,
    /// The largest segment seen: what counts as full-sized (RFC 9293 section 3.8.6.3, SHLD-19).
    full_size: u16,
    /// For challenges, and for ACKs of old segments without text.
    limit: ChallengeLimit,
}

impl Default for AckDebt {
    fn default() -> Self {
        let limit = ChallengeLimit::default();
        Self { owed: Owed::Nothing, quick: QUICK, unacked: 0, full_size: 0, limit }
    }
}

impl AckDebt {
    /// RCV.NXT has moved by `advanced`; what arrived was `len` bytes of text in segments of `size`,
    /// but for the last. Answers whether the delayed-ACK timer should run.
    pub(super) fn on_text(&mut self, advanced: u32, len: u32, size: u32) -> bool {
        let full = u16::try_from(len.min(size)).unwrap_or(u16::MAX);
        self.full_size = self.full_size.max(full);
        self.unacked = self.unacked.saturating_add(advanced);
        // RFC 9293 section 3.8.6.3 (SHLD-19): at least every second full-sized segment.
        if self.unacked > self.full_size.into() || len > size || self.quick > 0 {
            self.quick = self.quick.saturating_sub(1);
            self.raise(Owed::Batch);
            return false;
        }
        self.raise(Owed::Delayed);
        true
    }

    /// The peer is at its start again.
    #[cold]
    pub(super) fn quicken(&mut self) {
        self.quick = QUICK;
    }

    /// Something is owed before the next packet is read: a duplicate ACK for text beyond a hole,
    /// one for a filled hole (RFC 5681 section 4.2), for an unacceptable segment.
    pub(super) fn at_once(&mut self) {
        self.raise(Owed::Now);
    }

    /// An ACK is owed by the end of the batch: the window has opened, or the peer has closed.
    pub(super) fn soon(&mut self) {
        self.raise(Owed::Batch);
    }

    /// A challenge is owed (RFC 5961), if the limit of one in `interval` allows it.
    pub(super) fn challenge(&mut self, now: Instant, interval: Duration) {
        if self.limit.allow(now, interval) {
            self.at_once();
        }
    }

    /// RCV.NXT moves back by `by`: that text is not taken after all. Answers false when it has been
    /// acknowledged.
    pub(super) fn take_back(&mut self, by: u32) -> bool {
        let left = self.unacked.checked_sub(by);
        self.unacked = left.unwrap_or(self.unacked);
        left.is_some()
    }

    /// The delayed-ACK timer ran out.
    pub(super) fn on_timeout(&mut self) {
        if self.owed == Owed::Delayed {
            self.owed = Owed::Batch;
        }
    }

    /// A segment that carries an ACK went out: all debts are paid.
    pub(super) fn on_sent(&mut self) {
        self.owed = Owed::Nothing;
        self.unacked = 0;
    }

    /// Bytes of text in the largest segment seen.
    pub(super) fn full_size(&self) -> u32 {
        self.full_size.into()
    }

    /// Whether a bare ACK should go out if nothing else does.
    pub(super) fn is_due(&self) -> bool {
        self.owed >= Owed::Batch
    }

    /// Whether it should go out before the next packet is read.
    pub(super) fn is_due_now(&self) -> bool {
        self.owed == Owed::Now
    }

    /// Whether the peer waits for an ACK that is being delayed.
    pub(super) fn is_delayed(&self) -> bool {
        self.owed == Owed::Delayed
    }

    fn raise(&mut self, to: Owed) {
        self.owed = self.owed.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past the quick ACKs of the start.
    fn settled() -> AckDebt {
        let mut debt = AckDebt::default();
        for _ in 0..QUICK {
            assert!(
                !debt.on_text(1_000, 1_000, 1_000),
                "the first segments are acknowledged without delay"
            );
            assert!(debt.is_due());
            debt.on_sent();
        }
        debt
    }

    #[test]
    fn every_second_full_segment_is_acknowledged() {
        let mut debt = settled();
        assert!(debt.on_text(1_000, 1_000, 1_000));
        assert!(!debt.is_due() && debt.is_delayed());
        assert!(!debt.on_text(1_000, 1_000, 1_000));
        assert!(debt.is_due() && !debt.is_due_now());
        debt.on_sent();
        assert!(debt.on_text(10, 10, 10));
        assert!(debt.on_text(10, 10, 10), "small segments wait for the timer");
        debt.on_timeout();
        assert!(debt.is_due());
    }

    #[test]
    fn a_super_segment_is_acknowledged_without_delay() {
        let mut debt = settled();
        assert!(!debt.on_text(64_500, 64_500, 1_000));
        assert!(debt.is_due());
        assert_eq!(debt.full_size(), 1_000);
        debt.on_sent();
        assert!(debt.on_text(1_000, 1_000, 1_000), "its size is not what counts as one segment");
    }

    #[test]
    fn a_filled_hole_does_not_change_what_a_full_segment_is() {
        let mut debt = settled();
        debt.on_text(30_000, 1_000, 1_000);
        debt.on_sent();
        assert!(debt.on_text(1_000, 1_000, 1_000));
        assert!(!debt.on_text(1_000, 1_000, 1_000), "the second is acknowledged");
    }
}
