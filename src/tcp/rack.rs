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

/// Nanoseconds in the unit of the least round-trip time.
const UNIT: u64 = 32;

/// Milliseconds for which a least round-trip time is remembered: 300 s, as in Linux
/// (`tcp_min_rtt_wlen`).
const MEMORY: u32 = 300_000;

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

    /// RACK_update for what one ACK has delivered: of all that counts the one sent last.
    #[inline]
    pub(super) fn on_delivered(&mut self, now: Instant, segment: Transmission) {
        self.rtt = now.as_nanos().saturating_sub(segment.at.as_nanos());
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

    /// When what was sent at `at` is held to be lost if it has not been delivered by then (RFC 8985
    /// section 6.2, step 5): after RACK.rtt and a reordering window of `window` nanoseconds.
    #[inline]
    pub(super) fn deadline(&self, at: Instant, window: u64) -> Instant {
        Instant::from_nanos(at.as_nanos().saturating_add(self.rtt).saturating_add(window))
    }
}

/// A delivered segment that was sent `at`, and what of it counts for RACK.segment.
pub(super) fn counts(evidence: &Evidence, at: Instant, retransmitted: bool) -> bool {
    !retransmitted || evidence.may_be_of(at)
}

/// What is known of how much the path reorders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reordering {
    /// RACK.min_RTT in [`UNIT`]s, rounded up; 0: not known.
    min_rtt: u32,
    /// When it was measured, in milliseconds that wrap.
    min_rtt_at: u32,
    /// RACK.reo_wnd_mult.
    multiplier: u8,
    /// RACK.reo_wnd_persist.
    persist: u8,
    /// RACK.reordering_seen.
    seen: bool,
}

impl Default for Reordering {
    fn default() -> Self {
        Self { min_rtt: 0, min_rtt_at: 0, multiplier: 1, persist: 0, seen: false }
    }
}

/// Where a sender stands, as far as the reordering window depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Losses are being repaired, after a timeout or without one.
    pub(super) recovers: bool,
    /// RACK.segs_sacked.
    pub(super) segments_sacked: u32,
    /// Nanoseconds of SRTT.
    pub(super) srtt: u64,
}

impl Reordering {
    /// A round-trip time of `rtt` nanoseconds was measured (RFC 8985 section 6.2, step 1).
    #[inline]
    pub(super) fn on_sample(&mut self, now: Instant, rtt: u64) {
        // What does not fit is no least time of anything.
        let rtt = u32::try_from(rtt.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        if rtt <= self.min_rtt || self.min_rtt == 0 || self.is_outdated(now) {
            self.min_rtt = rtt;
            self.min_rtt_at = millis(now);
        }
    }

    #[inline]
    fn is_outdated(&self, now: Instant) -> bool {
        millis(now).wrapping_sub(self.min_rtt_at) > MEMORY
    }

    /// RACK.min_RTT in nanoseconds; 0: not known.
    #[inline]
    pub(super) fn min_rtt(&self) -> u64 {
        u64::from(self.min_rtt) * UNIT
    }

    /// A segment that was sent once has arrived after one with a higher sequence number (RFC 8985
    /// section 6.2, step 3), or a recovery has been found to be for nothing.
    pub(super) fn on_reordered(&mut self) {
        self.seen = true;
    }

    /// Whether the path has been seen to reorder.
    pub(super) fn is_seen(&self) -> bool {
        self.seen
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
            self.multiplier = 1;
        }
    }

    /// RACK.reo_wnd in nanoseconds (the end of RACK_update_reo_wnd).
    pub(super) fn window(&self, standing: &Standing) -> u64 {
        if !self.seen && (standing.recovers || standing.segments_sacked >= DUPLICATES) {
            return 0;
        }
        (u64::from(self.multiplier) * self.min_rtt() / 4).min(standing.srtt)
    }
}

/// When the reordering timer runs out for a loss that shows at `deadline`.
pub(super) fn timer(deadline: Instant) -> Instant {
    Instant::from_nanos(deadline.as_nanos().saturating_add(GRAIN))
}

/// A clock that is meant to wrap.
#[inline]
fn millis(at: Instant) -> u32 {
    at.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn standing(recovers: bool, segments_sacked: u32) -> Standing {
        Standing { recovers, segments_sacked, srtt: 100 * MS }
    }

    fn measured(rtt: u64) -> Reordering {
        let mut reordering = Reordering::default();
        reordering.on_sample(Instant::from_millis(5), rtt * MS);
        reordering
    }

    #[test]
    fn without_reordering_three_segments_or_a_recovery_leave_no_time() {
        // RFC 8985 section 6.2, step 4.
        let mut reordering = measured(80);
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
        let mut reordering = measured(80);
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
        let mut reordering = measured(80);
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
    fn the_least_round_trip_is_forgotten_after_five_minutes() {
        let mut reordering = measured(80);
        reordering.on_sample(Instant::from_millis(100_000), 200 * MS);
        assert_eq!(reordering.min_rtt(), 80 * MS);
        reordering.on_sample(Instant::from_millis(200_000), 80 * MS);
        reordering.on_sample(Instant::from_millis(499_000), 200 * MS);
        assert_eq!(reordering.min_rtt(), 80 * MS, "it has been seen since");
        reordering.on_sample(Instant::from_millis(501_000), 200 * MS);
        assert_eq!(reordering.min_rtt(), 200 * MS);
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
