//! RACK (RFC 8985 section 6): a segment is lost when one that was sent later has been delivered and
//! the time has passed that reordering may take. Times tell, for first transmissions and
//! retransmissions alike; the records that it goes by are those of [`super::flight`].

use super::timestamps;
use crate::time::Instant;
use crate::wire::SeqNum;

/// Segments reported beyond a hole that stand for a loss as long as no reordering has been seen
/// (RFC 8985 section 6.2 step 4, DupThresh of RFC 6675).
const DUPLICATES: u32 = 3;

/// Recoveries without a D-SACK after which the reordering window is as at first (RFC 8985 section
/// 6.2, step 4).
const PERSIST: u8 = 16;

/// Added to the reordering timer, for the grain of clocks (RFC 8985 section 5.4 leaves it to the
/// implementation): 2 ms, as in Linux, so that what is a little late need not be sent again.
const GRAIN: u64 = 2_000_000;

/// A transmission, placed among the others by when it was made, and among those of the same moment by
/// sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmission {
    /// Segment.xmit_ts.
    pub(super) at: Instant,
    /// Segment.end_seq.
    pub(super) end: SeqNum,
}

impl Transmission {
    /// RACK_sent_after: whether it was made after `other`.
    #[inline]
    pub(super) fn is_after(self, other: Self) -> bool {
        self.at > other.at || (self.at == other.at && self.end.is_after(other.end))
    }
}

/// What an ACK shows about the moment at which what it acknowledges was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// When it arrived.
    pub(super) now: Instant,
    /// Nanoseconds of RACK.min_RTT.
    pub(super) min_rtt: u64,
    /// TSecr, and the offset of our timestamps clock.
    pub(super) echo: Option<(u32, u32)>,
}

impl Evidence {
    /// Whether it can be the retransmission made at `at` that has arrived, and not what was sent
    /// before it (RFC 8985 section 6.2, step 2).
    fn may_be_of(&self, at: Instant) -> bool {
        if let Some((echo, offset)) = self.echo
            && timestamps::is_before(echo, timestamps::clock(at, offset))
        {
            return false;
        }
        self.now.as_nanos().saturating_sub(at.as_nanos()) >= self.min_rtt
    }
}

/// The segment sent most recently that has been delivered (RACK.segment).
#[derive(Clone, Copy, Debug)]
pub(super) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq.
    segment: Option<Transmission>,
    /// RACK.rtt in nanoseconds.
    rtt: u64,
}

impl Rack {
    /// Nothing has been delivered.
    pub(super) const NOTHING: Self = Self { segment: None, rtt: 0 };

    /// RACK_update for what one ACK has delivered at `now`: of all that counts `segment` was sent last,
    /// and what was looked at last was sent at `sent_at`.
    #[inline]
    pub(super) fn on_delivered(&mut self, segment: Transmission, now: Instant, sent_at: Instant) {
        self.rtt = now.as_nanos().saturating_sub(sent_at.as_nanos());
        if self.segment.is_none_or(|before| segment.is_after(before)) {
            self.segment = Some(segment);
        }
    }

    /// Whether something sent after `other` has been delivered.
    #[inline]
    pub(super) fn is_after(&self, other: Transmission) -> bool {
        self.segment.is_some_and(|segment| segment.is_after(other))
    }

    /// The same, with a round-trip time of `rtt` nanoseconds if nothing has been delivered.
    pub(super) fn or_with(self, rtt: u64) -> Self {
        if self.segment.is_some() { self } else { Self { rtt, ..self } }
    }

    /// RACK.xmit_ts.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.segment.map(|segment| segment.at)
    }

    /// RACK.rtt in nanoseconds.
    pub(super) fn rtt(&self) -> u64 {
        self.rtt
    }

    /// When what was sent at `at` is held to be lost if it has not been delivered by then (RFC 8985
    /// section 6.2, step 5): after RACK.rtt, or `least` nanoseconds, and a reordering window of
    /// `window` nanoseconds.
    #[inline]
    pub(super) fn deadline(&self, at: Instant, window: u64, least: u64) -> Instant {
        let rtt = self.rtt.max(least);
        Instant::from_nanos(at.as_nanos().saturating_add(rtt).saturating_add(window))
    }
}

/// A delivered segment that was sent `at`, and what of it counts for RACK.segment.
pub(super) fn counts(evidence: &Evidence, at: Instant, retransmitted: bool) -> bool {
    !retransmitted || evidence.may_be_of(at)
}

/// What is known of how much the path reorders.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reordering {
    /// RACK.reo_wnd_mult, from 1 on; 0: reordering has not been seen (RACK.reordering_seen). Before
    /// that a D-SACK widens nothing, as in Linux.
    multiplier: u8,
    /// RACK.reo_wnd_persist.
    persist: u8,
}

/// Where a sender stands, as far as the reordering window depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Losses are being repaired, after a timeout or without one.
    pub(super) recovers: bool,
    /// RACK.segs_sacked.
    pub(super) segments_sacked: u32,
    /// Nanoseconds of RACK.min_RTT.
    pub(super) min_rtt: u64,
    /// Nanoseconds of SRTT.
    pub(super) srtt: u64,
}

impl Reordering {
    /// A segment that was sent once has arrived after one with a higher sequence number (RFC 8985
    /// section 6.2, step 3), or a recovery has been found to be for nothing.
    pub(super) fn on_reordered(&mut self) {
        self.multiplier = self.multiplier.max(1);
    }

    /// Whether the path has been seen to reorder.
    pub(super) fn is_seen(&self) -> bool {
        self.multiplier > 0
    }

    /// A round trip in which something was reported as received twice (RFC 8985 section 6.2, step 4).
    pub(super) fn on_spurious_round(&mut self) {
        self.multiplier = self.multiplier.saturating_add(1);
        self.persist = PERSIST;
    }

    /// A recovery is over in which nothing was sent twice for nothing.
    pub(super) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = self.multiplier.min(1);
        }
    }

    /// RACK.reo_wnd in nanoseconds (the end of RACK_update_reo_wnd).
    pub(super) fn window(&self, standing: &Standing) -> u64 {
        if !self.is_seen() && (standing.recovers || standing.segments_sacked >= DUPLICATES) {
            return 0;
        }
        (u64::from(self.multiplier.max(1)) * standing.min_rtt / 4).min(standing.srtt)
    }
}

/// When the reordering timer runs out for a loss that shows at `deadline`.
pub(super) fn timer(deadline: Instant) -> Instant {
    Instant::from_nanos(deadline.as_nanos().saturating_add(GRAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn standing(recovers: bool, segments_sacked: u32) -> Standing {
        Standing { recovers, segments_sacked, min_rtt: 80 * MS, srtt: 100 * MS }
    }

    #[test]
    fn without_reordering_three_segments_or_a_recovery_leave_no_time() {
        // RFC 8985 section 6.2, step 4.
        let mut reordering = Reordering::default();
        assert_eq!(reordering.window(&standing(false, 2)), 20 * MS);
        assert_eq!(reordering.window(&standing(false, 3)), 0);
        assert_eq!(reordering.window(&standing(true, 1)), 0);
        reordering.on_reordered();
        assert_eq!(reordering.window(&standing(true, 30)), 20 * MS);
    }

    #[test]
    fn each_spurious_round_widens_the_window_up_to_a_round_trip() {
        // "after N round trips in which a DSACK is received, the RACK.reo_wnd becomes (N+1) *
        // min_RTT / 4, with an upper-bound of SRTT".
        let mut reordering = Reordering::default();
        reordering.on_reordered();
        for n in 1..=4 {
            reordering.on_spurious_round();
            assert_eq!(reordering.window(&standing(true, 9)), (n + 1) * 20 * MS);
        }
        for _ in 0..500 {
            reordering.on_spurious_round();
        }
        assert_eq!(reordering.window(&standing(true, 9)), 100 * MS, "SRTT");
    }

    #[test]
    fn after_sixteen_recoveries_the_window_is_as_at_first() {
        let mut reordering = Reordering::default();
        reordering.on_reordered();
        reordering.on_spurious_round();
        for _ in 0..15 {
            reordering.on_recovered();
            assert_eq!(reordering.window(&standing(true, 9)), 40 * MS);
        }
        reordering.on_recovered();
        assert_eq!(reordering.window(&standing(true, 9)), 20 * MS);
    }

    #[test]
    fn of_one_moment_the_higher_number_was_sent_later() {
        let at = Instant::from_millis(7);
        let first = Transmission { at, end: SeqNum(u32::MAX - 5) };
        let second = Transmission { at, end: SeqNum(10) };
        assert!(second.is_after(first) && !first.is_after(second) && !first.is_after(first));
        let later = Transmission { at: Instant::from_millis(8), ..first };
        assert!(later.is_after(second));
    }
}
