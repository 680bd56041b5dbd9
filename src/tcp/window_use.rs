//! Whether the congestion window is what holds the sender back: one that is not used must not grow
//! (RFC 7661 section 4.4, RFC 2861 section 3).

use crate::wire::SeqNum;

/// How much of the congestion window has been in use, over about a round-trip time.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowUse {
    /// The most that was in the network, or [`FULL`].
    most: u32,
    /// SND.NXT when that was noted: it holds until SND.UNA gets there.
    until: SeqNum,
}

/// The window was full at some time: more than any window that is not.
const FULL: u32 = u32::MAX;

impl WindowUse {
    /// Nothing has been sent; `iss` is the initial send sequence number.
    pub(super) fn new(iss: SeqNum) -> Self {
        Self { most: 0, until: iss }
    }

    /// Something was sent, or could not be because the window was `full`: `in_network` bytes are in
    /// the network now. As in Linux, the strongest sign of the last round trip counts.
    #[inline]
    pub(super) fn note(&mut self, una: SeqNum, nxt: SeqNum, in_network: u32, full: bool) {
        let used = if full { FULL } else { in_network };
        if full || una.is_at_or_after(self.until) || used > self.most {
            *self = Self { most: used, until: nxt };
        }
    }

    /// Whether a window of `cwnd` may grow. In slow start half of it in use is enough, or it could
    /// not double in a round trip.
    pub(super) fn lets_grow(&self, cwnd: u32, slow_start: bool) -> bool {
        self.most == FULL || (slow_start && cwnd < self.most.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_counts_until_what_filled_it_is_acknowledged() {
        let start = SeqNum(u32::MAX - 5);
        let mut used = WindowUse::new(start);
        used.note(start, start + 10, 10, true);
        used.note(start + 5, start + 12, 7, false);
        assert!(used.lets_grow(10, false));
        used.note(start + 10, start + 13, 3, false);
        assert!(!used.lets_grow(10, false) && !used.lets_grow(10, true));
    }

    #[test]
    fn slow_start_goes_on_while_more_than_half_of_the_window_is_in_use() {
        let mut used = WindowUse::new(SeqNum(0));
        used.note(SeqNum(0), SeqNum(5), 5, false);
        assert!(!used.lets_grow(10, true));
        used.note(SeqNum(0), SeqNum(6), 6, false);
        assert!(used.lets_grow(10, true) && !used.lets_grow(12, true));
        assert!(!used.lets_grow(10, false), "congestion avoidance wants it full");
    }
}
