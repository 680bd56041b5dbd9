//! What BBR remembers of the path for a while: the largest bandwidth, the shortest round trip, how
//! much the path gathers (draft-ietf-ccwg-bbr-05 sections 5.5.3 to 5.5.9).

use core::time::Duration;

use crate::time::{Instant, nanos};

/// BBR.max_bw_filter: the largest bandwidth in bytes per second, over MaxBwFilterLen = 2 cycles of
/// probing, the current one and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MaxBandwidth {
    before: u64,
    current: u64,
}

impl MaxBandwidth {
    pub(super) fn get(self) -> u64 {
        self.before.max(self.current)
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.current = self.current.max(rate);
    }

    /// BBRAdvanceMaxBwFilter (section 5.5.6). A cycle without a single sample does not count, or the
    /// bandwidth would be forgotten.
    pub(super) fn advance(&mut self) {
        if self.current > 0 {
            *self = Self { before: self.current, current: 0 };
        }
    }
}

/// BBR.min_rtt and what ProbeRTT is scheduled by (section 5.3.4.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRtt {
    /// BBR.min_rtt
    least: Option<Duration>,
    /// BBR.min_rtt_stamp
    stamp: Instant,
    /// BBR.probe_rtt_min_delay
    recent: Option<Duration>,
    /// BBR.probe_rtt_min_stamp
    recent_stamp: Instant,
    /// BBR.probe_rtt_expired
    expired: bool,
}

impl MinRtt {
    /// MinRTTFilterLen
    const LENGTH: Duration = Duration::from_secs(10);
    /// ProbeRTTInterval
    const PROBE_INTERVAL: Duration = Duration::from_secs(5);

    pub(super) fn new(now: Instant) -> Self {
        Self { least: None, stamp: now, recent: None, recent_stamp: now, expired: false }
    }

    pub(super) fn get(&self) -> Option<Duration> {
        self.least
    }

    /// Whether it is time for a fresh look at the least round-trip time.
    pub(super) fn is_due(&self) -> bool {
        self.expired
    }

    /// BBRUpdateMinRTT
    pub(super) fn update(&mut self, now: Instant, rtt: Option<Duration>) {
        self.expired = now > self.recent_stamp + Self::PROBE_INTERVAL;
        if let Some(rtt) = rtt
            && (self.expired || self.recent.is_none_or(|recent| rtt < recent))
        {
            (self.recent, self.recent_stamp) = (Some(rtt), now);
        }
        let expired = now > self.stamp + Self::LENGTH;
        if let Some(recent) = self.recent
            && (expired || self.least.is_none_or(|least| recent < least))
        {
            (self.least, self.stamp) = (Some(recent), self.recent_stamp);
        }
    }

    /// ProbeRTT is over: the next one is due an interval from now.
    pub(super) fn reschedule(&mut self, now: Instant) {
        self.recent_stamp = now;
    }
}

/// ExtraAckedFilterLen, in round trips.
const ROUNDS: usize = 10;

/// BBR.extra_acked: how much more than expected has been acknowledged at a time, because the path or
/// the peer gathers segments or ACKs (section 5.5.9).
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregation {
    /// BBR.extra_acked_interval_start
    start: Instant,
    /// BBR.extra_acked_delivered
    delivered: u64,
    /// The most in each of the last round trips, by the number of the round trip modulo their
    /// number.
    most: [u64; ROUNDS],
    /// The round trip that was noted last.
    round: u64,
}

impl Aggregation {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, delivered: 0, most: [0; ROUNDS], round: 0 }
    }

    /// Sending starts again after a pause, which is no gathering.
    pub(super) fn restart(&mut self, now: Instant) {
        self.start = now;
    }

    /// BBRUpdateACKAggregation: `acked` bytes at `now` in this round trip, of a path that delivers `bw`
    /// bytes per second; more than a window is not believed.
    pub(super) fn update(&mut self, now: Instant, round: u64, acked: u32, bw: u64, cwnd: u32) {
        let mut expected = volume(bw, now.since(self.start));
        if self.delivered <= expected {
            (self.delivered, self.start, expected) = (0, now, 0);
        }
        self.delivered += u64::from(acked);
        let extra = (self.delivered - expected).min(cwnd.into());
        for passed in (self.round + 1..=round).rev().take(ROUNDS) {
            self.most[passed as usize % ROUNDS] = 0;
        }
        self.round = round;
        let most = &mut self.most[round as usize % ROUNDS];
        *most = extra.max(*most);
    }

    /// The most over the last round trips, or in Startup over the current one alone.
    pub(super) fn get(&self, startup: bool) -> u64 {
        if startup {
            return self.most[self.round as usize % ROUNDS];
        }
        self.most.iter().copied().max().unwrap_or(0)
    }
}

/// Bytes at this many bytes per second in this time.
pub(super) fn volume(rate: u64, time: Duration) -> u64 {
    let volume = u128::from(rate) * u128::from(nanos(time)) / 1_000_000_000;
    u64::try_from(volume).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_largest_bandwidth_is_remembered_for_two_cycles() {
        let mut filter = MaxBandwidth::default();
        filter.update(10);
        filter.update(7);
        filter.advance();
        filter.update(5);
        assert_eq!(filter.get(), 10);
        filter.advance();
        assert_eq!(filter.get(), 5);
        filter.advance();
        assert_eq!(filter.get(), 5, "nothing has been measured since");
    }

    #[test]
    fn the_least_round_trip_is_remembered_for_ten_seconds_and_looked_for_every_five() {
        let mut filter = MinRtt::new(at(0));
        filter.update(at(100), Some(30 * MS));
        filter.update(at(200), Some(50 * MS));
        assert_eq!((filter.get(), filter.is_due()), (Some(30 * MS), false));
        filter.update(at(5_100), Some(50 * MS));
        assert!(!filter.is_due());
        filter.update(at(5_101), Some(50 * MS));
        assert_eq!((filter.get(), filter.is_due()), (Some(30 * MS), true));
        filter.update(at(5_200), Some(60 * MS));
        assert!(!filter.is_due(), "50 ms is from 5.1 s");
        filter.update(at(10_101), None);
        assert_eq!(filter.get(), Some(50 * MS), "the 30 ms are from 0.1 s");
    }

    #[test]
    fn what_is_acknowledged_beyond_the_rate_is_remembered_for_ten_round_trips() {
        // 1,000 bytes in a millisecond are expected.
        let mut filter = Aggregation::new(at(0));
        filter.update(at(10), 1, 10_000, 1_000_000, 50_000);
        assert_eq!(filter.get(false), 10_000, "the interval starts with it");
        filter.update(at(12), 1, 7_000, 1_000_000, 50_000);
        assert_eq!(filter.get(false), 15_000, "17,000 where 2,000 were expected");
        filter.update(at(13), 1, 90_000, 1_000_000, 50_000);
        assert_eq!(filter.get(false), 50_000, "no more than a window");
        filter.update(at(1_000), 2, 1_000, 1_000_000, 50_000);
        assert_eq!((filter.get(false), filter.get(true)), (50_000, 1_000));
        filter.update(at(2_000), 10, 2_000, 1_000_000, 50_000);
        assert_eq!(filter.get(false), 50_000);
        filter.update(at(3_000), 11, 2_000, 1_000_000, 50_000);
        assert_eq!(filter.get(false), 2_000);
        filter.update(at(4_000), 40, 3_000, 1_000_000, 50_000);
        assert_eq!((filter.get(false), filter.get(true)), (3_000, 3_000));
    }
}
