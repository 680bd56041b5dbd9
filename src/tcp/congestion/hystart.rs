//! HyStart++ (RFC 9406): slow start that ends before the queue at the bottleneck overflows, because
//! round-trip times grow with the queue; with a second sign, so that it does not end too late.
//!
//! RFC 9406 compares the least round-trip times of two rounds. A sender that does not pace sends two
//! segments for each that is acknowledged: the queue has all of a round to grow in, and is empty
//! when the next one begins. The least of a round tells of it only when it has stood for all of the
//! round before, with a window of more than the bandwidth-delay product (BDP); the four rounds of
//! Conservative Slow Start (CSS) that follow make 2.4 times as much of that.
//!
//! Linux has kept the other test of the first HyStart (S. Ha and I. Rhee, "Taming the elephants: New
//! TCP slow start", Computer Networks 55, 2011), which RFC 9406 leaves out. ACKs of a round that come
//! soon after each other are a *train*; the bottleneck has spaced them. When one is as long as half of
//! the least round-trip time, it has acknowledged half of the BDP. The window was no smaller than
//! that when the round began, and has grown by as much: by now it is 1 to 1.5 BDP. Linux ends slow
//! start there. But ACKs are also spaced by what holds them back on their way, and then slow start
//! would end far too early. So here **either sign enters CSS, and both together end slow start**. Where
//! the bottleneck has spaced the train, the queue has grown along it, by a quarter of the round-trip
//! time where it is found, and eight samples, those that come next, are enough to show it. If they
//! do not, the next eight may. A CSS that the train has entered is not left because of short
//! round-trip times: those at the beginning of a round always are.
//!
//! So much for a queue that was empty. In one that others fill, too, the part that is our own may be
//! too small for the round-trip times to tell; where ACKs are far apart, or few because they are
//! thinned out or stand for many segments, there are no trains. What is left in these cases is
//! RFC 9406.
//!
//! All this is for a sender that does not pace, as ours is with CUBIC. One that does has trains twice
//! as long; Linux then wants the whole of the least round-trip time.

use super::AckSample;
use crate::time::{Duration, Instant, nanos};

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

/// What trains have to be longer by, in nanoseconds, because hosts gather segments and ACKs. Linux
/// works it out from the rate, with this as the most. Where round trips are much shorter than this,
/// it is the host that a train tells of.
const GATHERING: u64 = 1_000_000;

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

/// The rounds of the first slow start, the least round-trip times in them, in nanoseconds, and the
/// train of ACKs.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// Bytes delivered in all when this round ends; 0 before the first. As long as nothing is lost
    /// that is when the SND.NXT is acknowledged at which the round began: the windowEnd of section
    /// 4.2. The next one begins with the ACK after that, as in Linux: then what the last ACK of this
    /// one lets out belongs to the next as well, and rounds begin where the ACKs do.
    round_end: u64,
    /// lastRoundMinRTT.
    last: u64,
    /// currentRoundMinRTT.
    current: u64,
    /// The least of all rounds.
    least: u64,
    /// cssBaselineMinRtt; [`INFINITY`] in standard slow start, and 0, which nothing is below, in a
    /// CSS that a train has started.
    baseline: u64,
    /// When the first ACK of this round has come, and the last one of the train that it leads.
    train: (Instant, Instant),
    /// rttSampleCount, up to [`SAMPLES`].
    samples: u8,
    /// Rounds of Conservative Slow Start that are complete.
    css_rounds: u8,
    /// A train was long enough.
    fills_path: bool,
}

impl Default for HyStart {
    fn default() -> Self {
        Self {
            round_end: 0,
            last: INFINITY,
            current: INFINITY,
            least: INFINITY,
            baseline: INFINITY,
            train: (Instant::ZERO, Instant::ZERO),
            samples: 0,
            css_rounds: 0,
            fills_path: false,
        }
    }
}

/// RttThresh, in nanoseconds.
fn threshold(rtt: u64) -> u64 {
    (rtt / DIVISOR).clamp(LEAST_THRESHOLD, MOST_THRESHOLD)
}

impl HyStart {
    /// Whether Conservative Slow Start is under way.
    fn is_conservative(&self) -> bool {
        self.baseline != INFINITY
    }

    /// An ACK has arrived in slow start, of a sender that its window holds back.
    pub(super) fn on_ack(&mut self, ack: &AckSample) -> Step {
        let mut ends = ack.delivered > self.round_end && self.next_round(ack);
        // RFC 9406 section 4.2: "cwnd = cwnd + min (N, L * SMSS)", a quarter of that in CSS. Section
        // 4.3 recommends an L of 8 for senders that do not pace. Here it has no limit, as in Linux: a
        // receiver that gathers segments acknowledges 45 of them at a time, and is no less able to
        // take more than one that does not.
        let grows = if self.is_conservative() { ack.acked / GROWTH_DIVISOR } else { ack.acked };
        ends |= ack.rtt.is_some_and(|rtt| self.on_sample(rtt));
        ends |= self.on_train(ack.now);
        Step { grows, ends }
    }

    /// The ACK is the first of a round. Answers whether the one before was the last that slow start
    /// may take.
    fn next_round(&mut self, ack: &AckSample) -> bool {
        if self.is_conservative() {
            // "If the transition into CSS happens in the middle of a round, that partial round
            // counts towards the limit."
            self.css_rounds += 1;
        }
        self.round_end = ack.delivered.saturating_add(ack.in_flight.into());
        self.last = self.current;
        self.current = INFINITY;
        self.samples = 0;
        self.train = (ack.now, ack.now);
        self.css_rounds >= ROUNDS
    }

    /// A round-trip time. Answers whether it is the sign that was missing.
    fn on_sample(&mut self, rtt: Duration) -> bool {
        self.current = self.current.min(nanos(rtt));
        self.least = self.least.min(self.current);
        self.samples = self.samples.saturating_add(1).min(SAMPLES);
        if self.samples < SAMPLES {
            return false;
        }
        if self.fills_path {
            let ends = self.shows_queue(self.least);
            (self.current, self.samples) = (INFINITY, 0);
            return ends;
        }
        if self.is_conservative() {
            // "if (currentRoundMinRTT < cssBaselineMinRtt) ... resume slow start including HyStart++"
            if self.current < self.baseline {
                self.baseline = INFINITY;
                self.css_rounds = 0;
            }
        } else if self.last != INFINITY && self.shows_queue(self.last) {
            self.baseline = self.current;
        }
        false
    }

    /// Whether the round-trip times of this round are longer than `before` by RttThresh.
    fn shows_queue(&self, before: u64) -> bool {
        self.current >= before.saturating_add(threshold(before))
    }

    /// Whether the ACK that comes `now` makes a train long enough, and that is the sign that was
    /// missing.
    fn on_train(&mut self, now: Instant) -> bool {
        let (first, last) = self.train;
        // Linux has 2 ms for all paths. That is too short for one that has a segment in 1.2 ms, and
        // whose receiver acknowledges every other one. A train that has come apart is no more.
        if self.fills_path || nanos(now.since(last)) > threshold(self.least) / 2 {
            return false;
        }
        self.train.1 = now;
        // As few ACKs as tell nothing of the round-trip time tell nothing of the path's rate.
        let enough = self.least.saturating_add(GATHERING) / 2;
        if self.samples < SAMPLES || nanos(now.since(first)) <= enough {
            return false;
        }
        self.fills_path = true;
        let is_second = self.is_conservative();
        self.baseline = 0;
        (self.current, self.samples) = (INFINITY, 0);
        is_second
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    const MSS: u32 = 1_000;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A path with so many segments in flight all the time that `flight` ACKs are a round.
    struct Path {
        start: HyStart,
        flight: u32,
        delivered: u64,
        now: Instant,
        /// The time between two ACKs.
        gap: Duration,
    }

    impl Path {
        /// All ACKs come at once, ten in a round.
        fn new() -> Self {
            Self::with_trains(10, Duration::ZERO)
        }

        fn with_trains(flight: u32, gap: Duration) -> Self {
            Self { start: HyStart::default(), flight, delivered: 0, now: Instant::ZERO, gap }
        }

        /// An ACK of a segment, after `rtt` milliseconds.
        fn ack(&mut self, rtt: u64) -> Step {
            self.delivered += u64::from(MSS);
            self.now += self.gap;
            self.start.on_ack(&AckSample {
                in_flight: (self.flight - 1) * MSS,
                delivered: self.delivered,
                rtt: Some(ms(rtt)),
                ..testing::ack(self.now, MSS)
            })
        }

        fn acks(&mut self, count: u32, rtt: u64) -> Vec<Step> {
            (0..count).map(|_| self.ack(rtt)).collect()
        }

        /// A round with round-trip times that start at `least`. Answers what the window has grown by,
        /// and whether slow start has ended.
        fn round(&mut self, least: u64) -> (u32, bool) {
            let steps: Vec<Step> =
                (0..u64::from(self.flight)).map(|n| self.ack(least + n % 3)).collect();
            (steps.iter().map(|step| step.grows).sum(), steps.iter().any(|step| step.ends))
        }

        /// The next round begins a while later.
        fn pause(&mut self) {
            self.now += ms(1_000);
        }
    }

    #[test]
    fn as_long_as_round_trips_do_not_grow_slow_start_goes_on() {
        let mut path = Path::new();
        for _ in 0..20 {
            assert_eq!(path.round(100), (10 * MSS, false));
        }
    }

    #[test]
    fn an_eighth_more_enters_conservative_slow_start_with_the_eighth_sample() {
        // RttThresh = max(4, min(100 / 8, 16)) = 12.5 ms.
        let mut path = Path::new();
        path.round(100);
        assert_eq!(path.round(112), (10 * MSS, false), "12 ms more are not enough");
        // The last round's least is 112 now: 112 + 14 = 126.
        let grown: Vec<u32> = path.acks(10, 126).iter().map(|step| step.grows).collect();
        assert_eq!(grown[..8], [MSS; 8]);
        assert_eq!(grown[8..], [MSS / 4; 2], "from the ninth ACK on");
    }

    #[test]
    fn the_threshold_is_4_to_16_milliseconds() {
        for (last, enough) in [(8, 12), (31, 35), (40, 45), (128, 144), (800, 816)] {
            let mut path = Path::new();
            path.round(last);
            path.round(enough - 1);
            assert!(!path.start.is_conservative(), "{last} ms and {}", enough - 1);
            let mut path = Path::new();
            path.round(last);
            path.round(enough);
            assert!(path.start.is_conservative(), "{last} ms and {enough}");
        }
    }

    #[test]
    fn slow_start_ends_after_five_conservative_rounds_of_which_the_first_may_be_part_of_one() {
        let mut path = Path::new();
        path.round(100);
        assert!(!path.round(120).1, "the round of the transition counts as the first");
        for round in 2..=5 {
            assert_eq!(path.round(120), (10 * MSS / 4, false), "{round}");
        }
        assert!(path.ack(120).ends, "the first ACK after the fifth");
    }

    #[test]
    fn round_trips_below_the_baseline_resume_slow_start_and_the_rounds_count_anew() {
        let mut path = Path::new();
        path.round(100);
        path.round(120);
        path.round(120);
        path.round(119);
        assert!(!path.start.is_conservative(), "it was spurious");
        assert_eq!(path.round(119), (10 * MSS, false));
        // And a queue that is one: five rounds again.
        for _ in 0..5 {
            assert!(!path.round(140).1);
        }
        assert!(path.round(140).1);
    }

    #[test]
    fn seven_samples_in_a_round_tell_nothing() {
        let mut path = Path::new();
        path.round(100);
        path.acks(7, 200);
        assert!(!path.start.is_conservative());
        path.ack(200);
        assert!(path.start.is_conservative());
        // A round without samples leaves the next one without anything to compare with.
        let mut path = Path::new();
        path.round(100);
        path.delivered += 10 * u64::from(MSS);
        path.start.on_ack(&AckSample {
            in_flight: 0,
            delivered: path.delivered,
            rtt: None,
            ..testing::ack(Instant::ZERO, 10 * MSS)
        });
        path.round(200);
        assert!(!path.start.is_conservative());
    }

    #[test]
    fn a_train_of_half_a_round_trip_enters_conservative_slow_start() {
        // (100 ms + 1 ms) / 2 = 50.5 ms: with an ACK in each millisecond the 52nd comes 51 ms after
        // the first. 50 segments in flight are acknowledged too soon, round for round.
        let mut path = Path::with_trains(50, ms(1));
        for _ in 0..5 {
            assert_eq!(path.round(100), (50 * MSS, false));
            path.pause();
        }
        let mut path = Path::with_trains(100, ms(1));
        let grown: Vec<u32> = path.acks(100, 100).iter().map(|step| step.grows).collect();
        assert_eq!(grown[..52], [MSS; 52]);
        assert_eq!(grown[52..], [MSS / 4; 48], "from the next ACK on");
    }

    #[test]
    fn a_queue_that_grows_with_the_train_ends_slow_start() {
        // 100 Mb/s and 40 ms: 333 segments of 1,500 bytes, one in 120 us. A round that begins with
        // 320 in flight has a train of half of it after 20.5 ms, 171 of them, by when the queue that
        // began with none has grown by a quarter of the round trip. With eight more samples slow
        // start ends, at 320 + 172 + 8 / 4 = 494: 1.48 times the bandwidth-delay product.
        let mut path = Path::with_trains(320, Duration::from_micros(120));
        let mut cwnd = 320 * MSS;
        let mut acks = 0u64;
        loop {
            acks += 1;
            let Step { grows, ends } = path.ack(40 + acks * 60 / 1_000);
            cwnd += grows;
            if ends {
                break;
            }
        }
        assert_eq!((acks, cwnd), (180, 494 * MSS));
    }

    #[test]
    fn a_train_without_a_queue_only_slows_the_growth_down_for_five_rounds() {
        let mut path = Path::with_trains(100, ms(1));
        // RttThresh is 12.5 ms; the baseline of this CSS is not one to fall below.
        assert_eq!(path.round(100).0, 52 * MSS + 48 * MSS / 4);
        for _ in 2..=5 {
            assert_eq!(path.round(110), (100 * MSS / 4, false));
        }
        assert!(path.ack(110).ends);
        // Eight samples in a row are a queue. One of a hundred in nine that is short is none.
        let mut path = Path::with_trains(100, ms(1));
        path.round(100);
        for _ in 0..5 {
            let steps = [path.acks(7, 113), path.acks(1, 112)].concat();
            assert!(steps.iter().all(|step| !step.ends));
        }
        let steps = path.acks(8, 113);
        assert!(steps[..7].iter().all(|step| !step.ends) && steps[7].ends);
    }

    #[test]
    fn a_train_along_a_queue_that_has_been_seen_ends_slow_start() {
        let mut path = Path::with_trains(40, ms(1));
        path.round(100);
        path.pause();
        path.round(120);
        assert!(path.start.is_conservative());
        path.pause();
        path.flight = 100;
        let steps = path.acks(52, 120);
        assert!(steps[..51].iter().all(|step| !step.ends) && steps[51].ends);
    }

    #[test]
    fn a_train_comes_apart_where_an_ack_is_late_and_is_none_until_the_next_round() {
        // Half of RttThresh: 6.25 ms at 100 ms, and Linux's 2 ms at 10 ms.
        for (rtt, longest) in [(100, ms(6)), (10, ms(2))] {
            let mut path = Path::with_trains(100, longest);
            path.acks(30, rtt);
            assert!(path.start.is_conservative(), "{rtt}");
            let mut path = Path::with_trains(100, longest + ms(1));
            path.acks(100, rtt);
            assert!(!path.start.is_conservative(), "{rtt}");
        }
        let mut path = Path::with_trains(200, ms(1));
        path.acks(40, 100);
        path.now += ms(6);
        path.acks(160, 100);
        assert!(!path.start.is_conservative());
        path.acks(51, 100);
        assert!(!path.start.is_conservative());
        path.ack(100);
        assert!(path.start.is_conservative());
    }

    #[test]
    fn where_a_round_trip_is_short_a_train_is_half_a_millisecond_longer_and_eight_acks_at_least() {
        // (0 + 1) / 2, (1 + 1) / 2 and (20 + 1) / 2 ms.
        for (rtt, gap, acks) in [(0, 100, 8), (0, 50, 12), (1, 100, 12), (20, 2_000, 8)] {
            let mut path = Path::with_trains(100, Duration::from_micros(gap));
            path.acks(acks - 1, rtt);
            assert!(!path.start.is_conservative(), "{rtt} ms, {gap} us");
            path.ack(rtt);
            assert!(path.start.is_conservative(), "{rtt} ms, {gap} us");
        }
    }
}
