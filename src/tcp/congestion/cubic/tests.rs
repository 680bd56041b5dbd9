use super::super::testing::{self, loss};
use super::*;
use proptest::prelude::*;

const MSS: u32 = 1_000;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// A connection whose window is always full, over a path with this round-trip time: each round trip
/// brings an ACK for every segment of the window.
struct Sender {
    cc: Cubic,
    now: Instant,
    rtt: Duration,
    delivered: u64,
}

impl Sender {
    fn new(rtt_ms: u64) -> Self {
        let rtt = Duration::from_millis(rtt_ms);
        Self { cc: Cubic::new(MSS), now: at(1_000), rtt, delivered: 0 }
    }

    /// One that has lost something at this window, in segments, and begins congestion avoidance.
    fn after_loss(rtt_ms: u64, window: u32) -> Self {
        let mut sender = Self::new(rtt_ms);
        sender.cc.take_over(window * MSS, window * MSS);
        sender.loses();
        sender
    }

    fn loses(&mut self) {
        let flight = self.cc.cwnd();
        self.cc.on_loss(&loss(self.now, flight));
        self.cc.on_recovered(flight);
    }

    fn ack(&mut self, acked: u32, cwnd_limited: bool) {
        self.delivered += u64::from(acked);
        self.cc.on_ack(&AckSample {
            delivered: self.delivered,
            in_flight: self.cc.cwnd(),
            rtt: Some(self.rtt),
            srtt: Some(self.rtt),
            cwnd_limited,
            ..testing::ack(self.now, acked)
        });
    }

    /// A round trip: its ACKs come evenly spread.
    fn round(&mut self) {
        let segments = (self.cc.cwnd() / MSS).max(1);
        for _ in 0..segments {
            self.now += self.rtt / segments;
            self.ack(MSS, true);
        }
    }

    /// A round trip through whose bottleneck all goes at once.
    fn burst(&mut self) {
        self.now += self.rtt;
        for _ in 0..self.cc.cwnd() / MSS {
            self.ack(MSS, true);
        }
    }

    fn segments(&self) -> f64 {
        f64::from(self.cc.cwnd()) / f64::from(MSS)
    }
}

/// W_cubic(t) in segments, as RFC 9438 section 4.2 has it, in floating point.
fn w_cubic(t: f64, w_max: f64, cwnd_epoch: f64) -> f64 {
    let k = ((w_max - cwnd_epoch) / 0.4).cbrt();
    0.4 * (t - k).powi(3) + w_max
}

#[test]
fn a_loss_takes_three_tenths_and_a_mark_in_avoidance_fifteen_hundredths() {
    let mut cc = Cubic::new(MSS);
    cc.on_loss(&loss(at(0), 10 * MSS));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (7 * MSS, 7 * MSS));
    let mut cc = Cubic::new(MSS);
    cc.on_congestion_echo(&loss(at(0), 10 * MSS));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (7 * MSS, 7 * MSS), "slow start responds as to a loss");
    cc.on_congestion_echo(&loss(at(0), 7 * MSS));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (5_950, 5_950));
}

#[test]
fn marks_reduce_the_window_to_one_segment_and_losses_to_two() {
    let mut cc = Cubic::new(MSS);
    for _ in 0..30 {
        cc.on_loss(&loss(at(0), cc.cwnd()));
    }
    assert_eq!((cc.cwnd(), cc.ssthresh()), (2 * MSS, 2 * MSS));
    for _ in 0..30 {
        cc.on_congestion_echo(&loss(at(0), cc.cwnd()));
    }
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 2 * MSS));
}

#[test]
fn after_a_loss_the_window_follows_the_curve_through_its_plateau() {
    // A large window over a long path: the curve is above Reno's line all the time.
    let (rtt, w_max) = (200, 1_000.0);
    let mut sender = Sender::after_loss(rtt, 1_000);
    let cwnd_epoch = sender.segments();
    assert_eq!(cwnd_epoch, 700.0);
    let begin = sender.now;
    let k = ((w_max - cwnd_epoch) / 0.4).cbrt();
    let mut flattest = f64::INFINITY;
    let mut before = sender.segments();
    while sender.now.since(begin).as_secs_f64() < 2.0 * k {
        sender.round();
        let t = sender.now.since(begin).as_secs_f64();
        // The ACKs of a round trip aim at where the curve is one round trip later, and the target
        // moves on while they come.
        let (low, high) = (w_cubic(t - 0.2, w_max, 700.0), w_cubic(t + 0.2, w_max, 700.0));
        let window = sender.segments();
        assert!(window >= low - 1.0 && window <= high + 1.0, "{t} s: {window}, {low} to {high}");
        flattest = flattest.min(window - before);
        before = window;
    }
    assert!(flattest < 0.2, "there is a plateau: {flattest}");
    assert!(sender.segments() > 1_250.0, "and growth beyond it: {}", sender.segments());
}

#[test]
fn on_a_short_path_the_window_grows_as_that_of_reno_does() {
    // W_est by the formula of RFC 9438 section 4.3, ACK by ACK, in floating point.
    let mut sender = Sender::after_loss(10, 100);
    let (mut w_est, cwnd_prior) = (70.0f64, 100.0);
    let alpha = 3.0 * (1.0 - 0.7) / (1.0 + 0.7);
    for round in 0..300 {
        let acks = sender.cc.cwnd() / MSS;
        for _ in 0..acks {
            sender.now += sender.rtt / acks;
            let cwnd = sender.segments();
            w_est += if w_est >= cwnd_prior { 1.0 } else { alpha } / cwnd;
            sender.ack(MSS, true);
        }
        // The curve is ahead in its concave part, for the first second or so.
        if w_est > w_cubic(sender.now.since(at(1_000)).as_secs_f64() + 0.01, 100.0, 70.0) {
            let window = sender.segments();
            assert!((window - w_est).abs() < 0.1, "round {round}: {window}, {w_est}");
        }
    }
    // 30 segments at 9/17 in a round trip, then one in each.
    assert!(sender.segments() > 300.0 - 30.0 * 17.0 / 9.0 + 90.0, "{}", sender.segments());
}

#[test]
fn a_loss_below_the_last_one_lowers_the_plateau_further() {
    let mut sender = Sender::after_loss(100, 1_000);
    sender.loses();
    // cwnd was 700 < W_max 1000: W_max = 700 * 1.7 / 2 = 595, and cwnd 490.
    let path = sender.cc.path.as_ref().expect("there was a loss");
    assert_eq!((path.w_max, sender.cc.cwnd()), (595 * MSS, 490 * MSS));
    sender.loses();
    assert_eq!(sender.cc.cwnd(), 343 * MSS);
    let mut alone = Cubic::without_fast_convergence(MSS);
    alone.take_over(1_000 * MSS, 1_000 * MSS);
    for _ in 0..2 {
        alone.on_loss(&loss(at(0), 0));
    }
    assert_eq!(alone.path.expect("there was a loss").w_max, 700 * MSS);
}

#[test]
fn a_loss_beyond_the_last_one_raises_the_plateau() {
    let mut sender = Sender::after_loss(100, 100);
    sender.cc.take_over(120 * MSS, 70 * MSS);
    sender.loses();
    assert_eq!(sender.cc.path.as_ref().expect("there was a loss").w_max, 120 * MSS);
}

#[test]
fn after_a_timeout_the_curve_begins_where_slow_start_ends() {
    let mut sender = Sender::after_loss(100, 100);
    sender.cc.on_timeout(&loss(sender.now, 70 * MSS), true);
    assert_eq!((sender.cc.cwnd(), sender.cc.ssthresh()), (MSS, 49 * MSS));
    sender.cc.on_timeout(&loss(sender.now, 70 * MSS), false);
    assert_eq!((sender.cc.cwnd(), sender.cc.ssthresh()), (MSS, 49 * MSS));
    while sender.cc.cwnd() < 49 * MSS {
        sender.round();
    }
    sender.round();
    let epoch = sender.cc.path.as_ref().expect("it has grown").epoch.expect("slow start is over");
    assert_eq!(epoch.k, Ticks::ZERO);
    assert!(epoch.origin < 52 * MSS, "{}", epoch.origin);
    let w_est = (epoch.w_est >> FRACTION) as u32;
    assert!((49 * MSS..52 * MSS).contains(&w_est), "{w_est}");
}

#[test]
fn no_target_is_more_than_half_a_window_away() {
    // K is zero, and a time that was not spent without an ACK is long: the curve is far above.
    let mut sender = Sender::new(100);
    sender.cc.take_over(10 * MSS, 10 * MSS);
    sender.ack(MSS, true);
    let before = sender.cc.cwnd();
    sender.now += Duration::from_secs(60);
    sender.ack(MSS, true);
    // (1.5 * cwnd - cwnd) / cwnd for one segment.
    assert_eq!(sender.cc.cwnd(), before + MSS / 2);
}

#[test]
fn time_in_which_the_window_was_not_needed_does_not_count() {
    let run = |pause: &dyn Fn(&mut Sender)| {
        let mut sender = Sender::after_loss(100, 200);
        for _ in 0..10 {
            sender.round();
        }
        let begin = sender.now;
        pause(&mut sender);
        let paused = sender.now.since(begin);
        sender.round();
        (sender.cc.cwnd(), paused)
    };
    let (without, _) = run(&|_| {});
    // Nothing was sent.
    let (idle, paused) = run(&|sender| {
        sender.now += Duration::from_secs(30);
        sender.cc.on_restart(sender.now);
    });
    assert_eq!((idle, paused.as_secs()), (without, 30));
    // A little was sent all the time.
    let (limited, paused) = run(&|sender| {
        for _ in 0..300 {
            sender.now += Duration::from_millis(100);
            sender.ack(MSS, false);
        }
    });
    assert_eq!((limited, paused.as_secs()), (without, 30));
    let (counted, _) = run(&|sender| sender.now += Duration::from_secs(30));
    assert!(counted > without + without / 10, "the test would see it: {counted}, {without}");
}

#[test]
fn a_reduction_for_nothing_is_taken_back_with_the_curve() {
    let mut sender = Sender::after_loss(100, 200);
    let mut other = Sender::after_loss(100, 200);
    for sender in [&mut sender, &mut other] {
        for _ in 0..20 {
            sender.round();
        }
    }
    sender.loses();
    assert!(sender.cc.cwnd() < other.cc.cwnd());
    sender.cc.undo();
    for sender in [&mut sender, &mut other] {
        assert_eq!(sender.cc.ssthresh(), 140 * MSS);
        sender.round();
    }
    assert_eq!((sender.now, sender.cc.cwnd()), (other.now, other.cc.cwnd()));
    // Once only; and not if the window has outgrown it.
    sender.cc.undo();
    assert_eq!(sender.cc.cwnd(), other.cc.cwnd());
    sender.loses();
    sender.cc.take_over(500 * MSS, sender.cc.ssthresh());
    sender.cc.undo();
    assert_eq!(sender.cc.cwnd(), 500 * MSS);
}

#[test]
fn a_timeout_for_nothing_is_taken_back() {
    let mut cc = Cubic::new(MSS);
    cc.on_timeout(&loss(at(0), 10 * MSS), true);
    cc.on_timeout(&loss(at(0), 10 * MSS), false);
    cc.undo();
    assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
}

#[test]
fn the_first_slow_start_ends_without_a_loss_when_round_trips_grow() {
    let mut sender = Sender::new(40);
    for _ in 0..3 {
        sender.burst();
    }
    assert_eq!(sender.cc.cwnd(), 80 * MSS, "it doubles in each round trip");
    sender.rtt = Duration::from_millis(60);
    let mut rounds = 0;
    while sender.cc.ssthresh() == u32::MAX {
        sender.burst();
        rounds += 1;
        assert!(rounds < 10);
    }
    let window = sender.cc.cwnd();
    assert!(window < 80 * MSS * 6, "a quarter in each of five rounds at most: {window}");
    // RFC 9438 section 4.10: congestion avoidance begins with a K of 0 here.
    sender.round();
    let path = sender.cc.path.as_ref().expect("it has grown");
    let epoch = path.epoch.expect("slow start is over");
    assert_eq!((epoch.k, path.w_max), (Ticks::ZERO, 0));
    assert_eq!(path.cwnd_prior, sender.cc.ssthresh());
}

#[test]
fn a_connection_that_never_fills_its_window_takes_no_memory() {
    let mut sender = Sender::new(10);
    for _ in 0..100 {
        sender.cc.on_restart(sender.now);
        sender.ack(64, false);
    }
    assert_eq!((sender.cc.cwnd(), sender.cc.memory()), (10 * MSS, 0));
    sender.ack(64, true);
    assert!((1..=160).contains(&sender.cc.memory()), "{}", sender.cc.memory());
}

#[test]
fn after_a_rest_the_memory_is_given_back_and_the_window_is_not() {
    let mut sender = Sender::after_loss(100, 200);
    sender.round();
    let before = (sender.cc.cwnd(), sender.cc.ssthresh());
    sender.cc.rest();
    assert_eq!(
        (sender.cc.cwnd(), sender.cc.ssthresh(), sender.cc.memory()),
        (before.0, before.1, 0)
    );
    // The curve begins here.
    sender.round();
    let epoch = sender.cc.path.as_ref().expect("it has grown").epoch.expect("it avoids");
    assert_eq!((epoch.k, epoch.origin), (Ticks::ZERO, before.0));
}

#[test]
fn after_a_pause_slow_start_leads_back_to_three_quarters_of_the_window() {
    let mut sender = Sender::after_loss(100, 200);
    sender.round();
    let window = sender.cc.cwnd();
    sender.cc.on_idle();
    assert_eq!((sender.cc.cwnd(), sender.cc.ssthresh()), (10 * MSS, 140 * MSS));
    assert!(sender.cc.ssthresh() >= window / 4 * 3);
    sender.cc.on_mss(500);
    sender.cc.on_shrunk_path();
    assert_eq!((sender.cc.cwnd(), sender.cc.ssthresh()), (500, 140 * MSS));
}

proptest! {
    #[test]
    fn no_ack_lowers_the_window_and_none_more_than_doubles_it(
        steps in proptest::collection::vec((0u8..12, 0u32..200_000, 0u64..1 << 36), 1..300),
    ) {
        let mut cc = Cubic::new(MSS);
        let mut now = at(0);
        let mut delivered = 0;
        for (step, acked, nanos) in steps {
            now += Duration::from_nanos(nanos);
            let before = cc.cwnd();
            match step {
                // No ACK is told between the two.
                0 | 1 => {
                    cc.on_loss(&loss(now, acked));
                    cc.on_recovered(acked);
                }
                2 => cc.on_timeout(&loss(now, acked), true),
                3 => cc.on_congestion_echo(&loss(now, acked)),
                4 => cc.undo(),
                5 => cc.on_restart(now),
                6 => cc.on_idle(),
                7 => cc.on_mss(acked.clamp(88, 65_495)),
                _ => {
                    delivered += u64::from(acked);
                    let srtt = Some(Duration::from_nanos(nanos >> 6));
                    let ack = testing::ack(now, acked);
                    cc.on_ack(&AckSample { delivered, srtt, rtt: srtt, ..ack });
                    prop_assert!(cc.cwnd() >= before);
                    let most = before.saturating_add(acked).max(before.saturating_mul(3) / 2);
                    prop_assert!(cc.cwnd() <= most.saturating_add(u32::from(u16::MAX)));
                }
            }
            prop_assert!(cc.cwnd() >= 88 && cc.ssthresh() >= 176);
        }
    }
}
