//! HyStart++ (RFC 9406): slow start that ends before the queue at the bottleneck overflows, because
//! round-trip times grow with the queue.

use super::AckSample;
use crate::time::{Duration, nanos};

// RFC 9406 section 4.3.
/// MIN_RTT_THRESH, in nanoseconds.
const LEAST_THRESHOLD: u64 = 4_000_000;
/// MAX_RTT_THRESH, in nanoseconds.
const MOST_THRESHOLD: u64 = 16_000_000;
/// MIN_RTT_DIVISOR.
const DIVISOR: u64 = 8;
/// N_RTT_SAMPLE.
const SAMPLES: u8 = 8;
/// CSS_GROWTH_DIVISOR.
const GROWTH_DIVISOR: u32 = 4;
/// CSS_ROUNDS.
const ROUNDS: u8 = 5;

/// No sample yet.
const INFINITY: u64 = u64::MAX;

/// What an ACK in slow start leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes by which the window grows.
    pub(super) grows: u32,
    /// Slow start is over.
    pub(super) ends: bool,
}

/// The rounds of the first slow start, and the least round-trip times in them, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// Bytes delivered in all when this round ends; 0 before the first. As long as nothing is lost
    /// that is when the SND.NXT is acknowledged at which the round began: the windowEnd of section
    /// 4.2.
    round_end: u64,
    /// lastRoundMinRTT.
    last: u64,
    /// currentRoundMinRTT.
    current: u64,
    /// cssBaselineMinRtt; [`INFINITY`] in standard slow start.
    baseline: u64,
    /// rttSampleCount, up to [`SAMPLES`].
    samples: u8,
    /// Rounds of Conservative Slow Start that are complete.
    css_rounds: u8,
}

impl Default for HyStart {
    fn default() -> Self {
        Self {
            round_end: 0,
            last: INFINITY,
            current: INFINITY,
            baseline: INFINITY,
            samples: 0,
            css_rounds: 0,
        }
    }
}

impl HyStart {
    /// Whether Conservative Slow Start is under way.
    fn is_conservative(&self) -> bool {
        self.baseline != INFINITY
    }

    /// An ACK has arrived in slow start, of a sender that its window holds back.
    pub(super) fn on_ack(&mut self, ack: &AckSample) -> Step {
        if self.round_end == 0 {
            self.begin_round(ack);
        }
        // RFC 9406 section 4.2: "cwnd = cwnd + min (N, L * SMSS)", a quarter of that in CSS. Section
        // 4.3 recommends an L of 8 for senders that do not pace. Here it has no limit, as in Linux: a
        // receiver that gathers segments acknowledges 45 of them at a time, and is no less able to
        // take more than one that does not.
        let grows = if self.is_conservative() { ack.acked / GROWTH_DIVISOR } else { ack.acked };
        if let Some(rtt) = ack.rtt {
            self.on_sample(rtt);
        }
        let mut ends = false;
        if ack.delivered >= self.round_end {
            if self.is_conservative() {
                // "If the transition into CSS happens in the middle of a round, that partial round
                // counts towards the limit."
                self.css_rounds += 1;
                ends = self.css_rounds >= ROUNDS;
            }
            self.last = self.current;
            self.begin_round(ack);
        }
        Step { grows, ends }
    }

    fn begin_round(&mut self, ack: &AckSample) {
        self.round_end = ack.delivered.saturating_add(u64::from(ack.in_flight).max(1));
        self.current = INFINITY;
        self.samples = 0;
    }

    fn on_sample(&mut self, rtt: Duration) {
        self.current = self.current.min(nanos(rtt));
        self.samples = self.samples.saturating_add(1).min(SAMPLES);
        if self.samples < SAMPLES {
            return;
        }
        if self.is_conservative() {
            // "if (currentRoundMinRTT < cssBaselineMinRtt) ... resume slow start including HyStart++"
            if self.current < self.baseline {
                self.baseline = INFINITY;
                self.css_rounds = 0;
            }
        } else if self.last != INFINITY {
            let threshold = (self.last / DIVISOR).clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
            if self.current >= self.last.saturating_add(threshold) {
                self.baseline = self.current;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::time::Instant;

    const MSS: u32 = 1_000;

    /// A path on which ten segments are in flight all the time, so that ten ACKs are a round.
    struct Path {
        start: HyStart,
        delivered: u64,
    }

    impl Path {
        fn new() -> Self {
            Self { start: HyStart::default(), delivered: 0 }
        }

        /// An ACK of a segment, after `rtt` milliseconds.
        fn ack(&mut self, rtt: u64) -> Step {
            self.delivered += u64::from(MSS);
            self.start.on_ack(&AckSample {
                in_flight: 10 * MSS,
                delivered: self.delivered,
                rtt: Some(Duration::from_millis(rtt)),
                ..testing::ack(Instant::ZERO, MSS)
            })
        }

        /// A round with round-trip times that start at `least`. Answers what the window has grown by,
        /// and whether slow start has ended.
        fn round(&mut self, least: u64) -> (u32, bool) {
            let steps: Vec<Step> = (0..10).map(|n| self.ack(least + n % 3)).collect();
            (steps.iter().map(|step| step.grows).sum(), steps.iter().any(|step| step.ends))
        }

        /// The first ACK begins the first round, which ends ten segments later.
        fn begin(&mut self, rtt: u64) {
            self.ack(rtt);
        }
    }

    #[test]
    fn as_long_as_round_trips_do_not_grow_slow_start_goes_on() {
        let mut path = Path::new();
        path.begin(100);
        for _ in 0..20 {
            assert_eq!(path.round(100), (10 * MSS, false));
        }
    }

    #[test]
    fn an_eighth_more_enters_conservative_slow_start_with_the_eighth_sample() {
        // RttThresh = max(4, min(100 / 8, 16)) = 12.5 ms.
        let mut path = Path::new();
        path.begin(100);
        path.round(100);
        assert_eq!(path.round(112), (10 * MSS, false), "12 ms more are not enough");
        // The last round's least is 112 now: 112 + 14 = 126.
        let grown: Vec<u32> = (0..10).map(|_| path.ack(126).grows).collect();
        assert_eq!(grown[..8], [MSS; 8]);
        assert_eq!(grown[8..], [MSS / 4; 2], "from the ninth ACK on");
    }

    #[test]
    fn the_threshold_is_4_to_16_milliseconds() {
        for (last, enough) in [(8, 12), (31, 35), (40, 45), (128, 144), (800, 816)] {
            let mut path = Path::new();
            path.begin(last);
            path.round(last);
            path.round(enough - 1);
            assert!(!path.start.is_conservative(), "{last} ms and {}", enough - 1);
            let mut path = Path::new();
            path.begin(last);
            path.round(last);
            path.round(enough);
            assert!(path.start.is_conservative(), "{last} ms and {enough}");
        }
    }

    #[test]
    fn slow_start_ends_after_five_conservative_rounds_of_which_the_first_may_be_part_of_one() {
        let mut path = Path::new();
        path.begin(100);
        path.round(100);
        assert!(!path.round(120).1, "the round of the transition counts as the first");
        for round in 2..5 {
            assert_eq!(path.round(120), (10 * MSS / 4, false), "{round}");
        }
        assert_eq!(path.round(120), (10 * MSS / 4, true));
    }

    #[test]
    fn round_trips_below_the_baseline_resume_slow_start_and_the_rounds_count_anew() {
        let mut path = Path::new();
        path.begin(100);
        path.round(100);
        path.round(120);
        path.round(120);
        path.round(119);
        assert!(!path.start.is_conservative(), "it was spurious");
        assert_eq!(path.round(119), (10 * MSS, false));
        // And a queue that is one: five rounds again.
        path.round(140);
        for _ in 0..3 {
            assert!(!path.round(140).1);
        }
        assert!(path.round(140).1);
    }

    #[test]
    fn seven_samples_in_a_round_tell_nothing() {
        let mut path = Path::new();
        path.begin(100);
        path.round(100);
        for _ in 0..7 {
            path.ack(200);
        }
        assert!(!path.start.is_conservative());
        path.ack(200);
        assert!(path.start.is_conservative());
        // A round without samples leaves the next one without anything to compare with.
        let mut path = Path::new();
        path.begin(100);
        path.round(100);
        path.delivered += 10 * u64::from(MSS);
        path.start.on_ack(&AckSample {
            in_flight: 10 * MSS,
            delivered: path.delivered,
            rtt: None,
            ..testing::ack(Instant::ZERO, 10 * MSS)
        });
        path.round(200);
        assert!(!path.start.is_conservative());
    }
}
