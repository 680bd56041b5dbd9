//! The retransmission timeout (RFC 6298).

use core::cmp::Ordering;

use crate::time::{Duration, Instant, nanos};

/// Before the first sample (RFC 6298 section 2.1).
const INITIAL: Duration = Duration::from_secs(1);

/// The least that the variance adds. RFC 6298 section 2.4 asks for a whole RTO of at least one
/// second; Linux holds it to `SRTT + max(4 RTTVAR, 200 ms)`, which still outlasts a delayed ACK,
/// and every peer is used to it.
const LEAST_MARGIN: Duration = Duration::from_millis(200);

/// Backing off goes no further (RFC 6298 section 2.5 wants at least 60 s; Linux has 120 s).
pub(super) const MOST: Duration = Duration::from_secs(120);

/// What a connection falls back to if its SYN had to be sent again (RFC 6298 section 5.7).
const AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// Nanoseconds in the unit of the estimates: as fine as will have [`MOST`] fit into 32 bits.
const UNIT: u64 = 32;

/// About a second, in nanoseconds.
const MOMENT: u64 = 1 << 30;

/// [`MOMENT`]s for which the least round-trip time is remembered, 300 s as in Linux
/// (`tcp_min_rtt_wlen`): the path may have become longer (RFC 8985 section 6.2, step 1).
const MEMORY: u16 = 280;

/// The binary logarithm of how many samples in a round trip are reckoned with: a sample then weighs
/// 1/2048.
const MOST_FREQUENT: u32 = 8;

/// The binary logarithm of how many samples a round trip brings, about: every second segment is
/// acknowledged (RFC 7323 appendix G, "ExpectedSamples = ceiling(FlightSize / (SMSS * 2))").
#[inline]
pub(super) fn frequency(flight_size: u32, mss: u32) -> u32 {
    let log = |n: u32| n.max(1).ilog2();
    log(flight_size).saturating_sub(log(mss.saturating_mul(2)))
}

/// What the estimator knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Knows {
    /// Nothing.
    #[default]
    Nothing,
    /// That the SYN had to be sent again.
    LostSyn,
    /// Round-trip times.
    Samples,
}

/// The estimator and the timeout that follows from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rto {
    /// SRTT in [`UNIT`]s, once there was a sample.
    srtt: u32,
    /// RTTVAR in [`UNIT`]s.
    rttvar: u32,
    /// The least sample of late in [`UNIT`]s, at least one (RFC 8985 section 6.2, RACK.min_RTT); 0:
    /// there was none.
    least: u32,
    /// When that was measured, in [`MOMENT`]s that wrap.
    least_at: u16,
    /// How often the timeout has been doubled since the last valid sample.
    backoff: u8,
    knows: Knows,
}

impl Rto {
    /// The timeout in force, back-off included.
    pub(super) fn current(&self) -> Duration {
        Duration::from_nanos(self.current_nanos())
    }

    /// When a timer runs out that starts at `now`.
    #[inline]
    pub(super) fn due(&self, now: Instant) -> Instant {
        Instant::from_nanos(now.as_nanos().saturating_add(self.current_nanos()))
    }

    /// Whether a timer that started at `start` has run out before `now`.
    #[inline]
    pub(super) fn is_over(&self, start: Instant, now: Instant) -> bool {
        // None runs for less than the margin, which settles it nearly always.
        now > start + LEAST_MARGIN && now > self.due(start)
    }

    #[inline]
    fn current_nanos(&self) -> u64 {
        // The base is at most 120 s, and 2^10 times that far below 2^64 ns.
        (self.base_nanos() << self.backoff.min(10)).min(nanos(MOST))
    }

    /// The timeout as it would be without back-off.
    pub(super) fn base(&self) -> Duration {
        Duration::from_nanos(self.base_nanos())
    }

    #[inline]
    fn base_nanos(&self) -> u64 {
        match self.knows {
            Knows::Nothing => nanos(INITIAL),
            Knows::LostSyn => nanos(AFTER_LOST_SYN),
            Knows::Samples => {
                let (srtt, rttvar) = (UNIT * u64::from(self.srtt), UNIT * u64::from(self.rttvar));
                (srtt + (rttvar * 4).max(nanos(LEAST_MARGIN))).min(nanos(MOST))
            }
        }
    }

    /// The smoothed round-trip time, once there was a sample.
    pub(super) fn srtt(&self) -> Option<Duration> {
        self.srtt_nanos().map(Duration::from_nanos)
    }

    /// The same in nanoseconds.
    #[inline]
    pub(super) fn srtt_nanos(&self) -> Option<u64> {
        (self.knows == Knows::Samples).then_some(UNIT * u64::from(self.srtt))
    }

    /// RTTVAR.
    pub(super) fn rttvar(&self) -> Duration {
        Duration::from_nanos(UNIT * u64::from(self.rttvar))
    }

    /// How often the timeout has been doubled.
    pub(super) fn backoff(&self) -> u8 {
        self.backoff
    }

    /// RACK.min_RTT in nanoseconds; 0: nothing has been measured.
    #[inline]
    pub(super) fn min_rtt(&self) -> u64 {
        UNIT * u64::from(self.least)
    }

    /// A valid round-trip time: of a segment sent once, or told by timestamps. There are about
    /// 2^`frequency` of them in a round trip.
    pub(super) fn on_sample(&mut self, now: Instant, rtt: Duration, frequency: u32) {
        // No more than MOST, which fits.
        let rtt = (nanos(rtt).min(nanos(MOST)) / UNIT) as u32;
        let since = moments(now).wrapping_sub(self.least_at);
        if rtt <= self.least || self.least == 0 || since > MEMORY {
            self.least = rtt.max(1);
            self.least_at = moments(now);
        }
        if self.knows == Knows::Samples {
            // RFC 6298 section 2.3: alpha 1/8, beta 1/4, RTTVAR before SRTT; RFC 7323 appendix G:
            // both divided by the number of samples, so that the memory is as long whatever that is.
            let frequency = frequency.min(MOST_FREQUENT);
            let difference = self.srtt.abs_diff(rtt);
            self.rttvar = weighted(self.rttvar, difference, 2 + frequency);
            self.srtt = weighted(self.srtt, rtt, 3 + frequency);
        } else {
            // RFC 6298 section 2.2
            self.rttvar = rtt / 2;
            self.srtt = rtt;
        }
        self.knows = Knows::Samples;
        // RFC 6298 section 5: a new sample collapses the back-off.
        self.backoff = 0;
    }

    /// The timer ran out (RFC 6298 section 5.5).
    pub(super) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The handshake is over, and its SYN had to be sent again: the network is slower than the
    /// initial value supposed (RFC 6298 section 5.7). A sample taken meanwhile knows better.
    pub(super) fn after_lost_syn(&mut self) {
        self.backoff = 0;
        if self.knows == Knows::Nothing {
            self.knows = Knows::LostSyn;
        }
    }
}

/// A clock that is meant to wrap, after 19 hours.
#[inline]
fn moments(at: Instant) -> u16 {
    (at.as_nanos() / MOMENT) as u16
}

/// One part in 2^`shift` of `new` and the rest of `old`, rounded, but at least a unit nearer to `new`.
#[inline]
fn weighted(old: u32, new: u32, shift: u32) -> u32 {
    let sum = (u64::from(old) << shift) - u64::from(old) + u64::from(new) + (1 << (shift - 1));
    // A mean is no larger than the larger of the two.
    let mean = (sum >> shift) as u32;
    match new.cmp(&old) {
        Ordering::Greater => mean.max(old + 1),
        Ordering::Less => mean.min(old - 1),
        Ordering::Equal => mean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_sample_sets_the_variance_to_half_of_it() {
        let mut rto = Rto::default();
        assert_eq!(rto.current(), ms(1_000));
        rto.on_sample(NOW, ms(200), 0);
        assert_eq!(rto.srtt(), Some(ms(200)));
        assert_eq!(rto.current(), ms(200 + 4 * 100));
    }

    #[test]
    fn later_samples_follow_the_formula() {
        let mut rto = Rto::default();
        rto.on_sample(NOW, ms(800), 0);
        rto.on_sample(NOW, ms(400), 0);
        // RTTVAR = 3/4 * 400 + 1/4 * |800 - 400| = 400; SRTT = 7/8 * 800 + 1/8 * 400 = 750.
        assert_eq!(rto.srtt(), Some(ms(750)));
        assert_eq!(rto.current(), ms(750 + 4 * 400));
    }

    #[test]
    fn a_steady_path_keeps_the_margin() {
        let mut rto = Rto::default();
        for _ in 0..100 {
            rto.on_sample(NOW, ms(1), 0);
        }
        assert_eq!(rto.current(), ms(201));
    }

    #[test]
    fn backing_off_doubles_up_to_two_minutes_and_a_sample_ends_it() {
        let mut rto = Rto::default();
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(rto.current().as_secs());
            rto.back_off();
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        for _ in 0..300 {
            rto.back_off();
        }
        assert_eq!(rto.current(), MOST);
        rto.on_sample(NOW, ms(10), 0);
        assert!(rto.current() < ms(300));
    }

    #[test]
    fn a_round_trip_with_many_samples_weighs_no_more_than_one_with_one() {
        // RFC 7323 appendix G.
        let estimate = |samples: u32| {
            let mut rto = Rto::default();
            rto.on_sample(NOW, ms(100), 0);
            for _ in 0..8 * samples {
                rto.on_sample(NOW, ms(200), samples.ilog2());
            }
            rto.srtt().unwrap_or_default().as_millis()
        };
        // 200 - 100 * (7/8)^8, and for many samples 200 - 100 / e.
        assert_eq!(estimate(1), 165);
        for samples in [2, 16, 128, 256] {
            assert!((162..=165).contains(&estimate(samples)), "{samples}: {}", estimate(samples));
        }
    }

    #[test]
    fn small_changes_add_up_however_many_samples_there_are() {
        let mut rto = Rto::default();
        rto.on_sample(NOW, Duration::from_micros(100), 0);
        for _ in 0..2_000 {
            rto.on_sample(NOW, Duration::from_micros(110), MOST_FREQUENT);
        }
        assert_eq!(rto.srtt().map(|srtt| srtt.as_micros()), Some(109));
    }

    #[test]
    fn every_second_segment_of_what_is_in_flight_brings_a_sample() {
        assert_eq!([0, 1, 1_000, 2_000, 2_047].map(|size| frequency(size, 1_000)), [0; 5]);
        assert_eq!(frequency(10_000, 1_000), 3, "8 of 5");
        assert_eq!(frequency(64_000, 1_000), 5);
        assert_eq!(frequency(u32::MAX, u32::MAX), 0);
    }

    #[test]
    fn the_least_round_trip_is_forgotten_after_five_minutes() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let least = |rto: &Rto| Duration::from_nanos(rto.min_rtt()).as_millis();
        let mut rto = Rto::default();
        assert_eq!(least(&rto), 0);
        rto.on_sample(at(0), ms(80), 0);
        rto.on_sample(at(100), ms(200), 0);
        assert_eq!(least(&rto), 80);
        rto.on_sample(at(200), ms(80), 0);
        rto.on_sample(at(500), ms(200), 0);
        assert_eq!(least(&rto), 80, "it has been seen since");
        rto.on_sample(at(503), ms(200), 0);
        assert_eq!(least(&rto), 200);
        rto.on_sample(at(70_000), ms(90), 0);
        assert_eq!(least(&rto), 90);
    }

    #[test]
    fn a_lost_syn_starts_the_data_at_three_seconds() {
        let mut rto = Rto::default();
        rto.back_off();
        rto.after_lost_syn();
        assert_eq!(rto.current(), AFTER_LOST_SYN);
    }
}
