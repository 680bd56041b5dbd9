//! BBR over a simulated bottleneck, with the samples that delivery-rate sampling makes of it.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::testing;
use super::filters::volume;
use super::*;
use crate::tcp::delivery::{Delivered, Delivery};
use crate::tcp::pacing::Pacer;
use crate::wire::SeqNum;

const MSS: u32 = 1_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A sender that always has text, and a path: a link of some rate with a queue before it, and a time
/// to the receiver and back. What is dropped shows with the next ACK.
struct Path {
    cc: Bbr,
    delivery: Delivery,
    now: Instant,
    pacer: Pacer,
    /// Bytes per second.
    rate: u64,
    rtt: Duration,
    /// Bytes that wait at most.
    queue: u64,
    /// When the link has sent all that waits.
    free_at: Instant,
    /// What was sent, in order, and when its ACK comes, if it does.
    on_the_way: VecDeque<(Delivered, Option<Instant>)>,
    next: u32,
    in_flight: u32,
    /// Losses are repaired until what was sent then has arrived.
    recovers: Option<SeqNum>,
    srtt: Option<Duration>,
    /// Nothing is sent before then.
    silent_until: Instant,
    cwnd_limited: bool,
    /// The states that there were, and since when.
    states: Vec<(Instant, State)>,
    dropped: u64,
}

impl Path {
    fn new(rate: u64, rtt: Duration, queue: u64) -> Self {
        let now = Instant::from_millis(1_000);
        Self {
            cc: Bbr::new(MSS, 7),
            delivery: Delivery::default(),
            now,
            pacer: Pacer::default(),
            rate,
            rtt,
            queue,
            free_at: now,
            on_the_way: VecDeque::new(),
            next: 0,
            in_flight: 0,
            recovers: None,
            srtt: None,
            silent_until: now,
            cwnd_limited: false,
            states: vec![(now, State::Startup)],
            dropped: 0,
        }
    }

    /// 10 MB/s over 40 ms, 400 kB in all, with room for twice as much to wait.
    fn ample() -> Self {
        Self::new(10_000_000, ms(40), 800_000)
    }

    fn bdp(&self) -> u64 {
        volume(self.rate, self.rtt)
    }

    fn sends(&mut self) {
        if self.in_flight == 0 {
            self.cc.on_restart(self.now);
        }
        let stamp = self.delivery.on_sent(self.now, self.in_flight, MSS);
        self.next += MSS;
        let segment = Delivered {
            len: MSS,
            end: SeqNum(self.next),
            sent_at: self.now,
            retransmitted: false,
            stamp,
        };
        let waits = volume(self.rate, self.free_at.since(self.now));
        let arrives = if waits > self.queue {
            self.dropped += u64::from(MSS);
            None
        } else {
            let took = Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / self.rate);
            self.free_at = self.free_at.max(self.now) + took;
            Some(self.free_at + self.rtt)
        };
        self.on_the_way.push_back((segment, arrives));
        self.in_flight += MSS;
        self.pacer.on_sent(self.now, MSS, self.cc.pacing_rate().expect("it paces"));
    }

    /// The ACK of the first segment that was not dropped.
    fn hears(&mut self) {
        let prior_in_flight = self.in_flight;
        let (mut newly_lost, mut adjacent) = (0, false);
        let segment = loop {
            let (segment, arrives) = self.on_the_way.pop_front().expect("an ACK is on its way");
            self.in_flight -= MSS;
            if arrives.is_some() {
                break segment;
            }
            let lost = self.delivery.on_lost(self.now, MSS, segment.stamp, adjacent);
            self.cc.on_lost_packet(&lost);
            (newly_lost, adjacent) = (newly_lost + MSS, true);
        };
        if newly_lost > 0 && self.recovers.is_none() {
            self.cc.on_loss(&testing::loss(self.now, prior_in_flight));
            self.recovers = Some(SeqNum(self.next));
        }
        if self.recovers.is_some_and(|end| segment.end.is_after(end)) {
            self.recovers = None;
        }
        self.delivery.on_delivered(self.now, &segment);
        let rtt = self.now.since(segment.sent_at);
        self.srtt = Some(self.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        if self.cc.marks_app_limited() {
            self.delivery.mark_app_limited(self.in_flight);
        }
        let ack = AckSample {
            newly_lost,
            prior_in_flight,
            in_flight: self.in_flight,
            delivered: self.delivery.delivered(),
            rtt: Some(rtt),
            srtt: self.srtt,
            cwnd_limited: self.cwnd_limited,
            in_recovery: self.recovers.is_some(),
            rate: self.delivery.take_sample(self.now),
            ..testing::ack(self.now, MSS)
        };
        self.cwnd_limited = false;
        self.cc.on_ack(&ack);
        if self.states.last().is_none_or(|(_, state)| *state != self.cc.state) {
            self.states.push((self.now, self.cc.state));
        }
    }

    /// The next thing that happens.
    fn step(&mut self) {
        let fits = self.in_flight + MSS <= self.cc.cwnd();
        self.cwnd_limited |= !fits;
        let heard = self.on_the_way.iter().find_map(|(_, arrives)| *arrives);
        let paced = self.pacer.next().max(self.now);
        let send = fits.then(|| paced.max(self.silent_until));
        match (send, heard) {
            (Some(at), heard) if heard.is_none_or(|heard| at < heard) => {
                self.now = at;
                self.sends();
            }
            (_, Some(at)) => {
                self.now = self.now.max(at);
                self.hears();
            }
            (_, None) => panic!("nothing can be sent, and nothing is on its way"),
        }
    }

    fn runs_for(&mut self, time: Duration) -> u64 {
        let (end, before) = (self.now + time, self.delivery.delivered());
        while self.now < end {
            self.step();
        }
        self.delivery.delivered() - before
    }

    fn runs_until(&mut self, state: State) {
        let start = self.now;
        while self.cc.state != state {
            self.step();
            assert!(self.now.since(start) < ms(20_000), "no {state:?}: {:?}", self.states);
        }
    }

    /// How often and when a state was entered.
    fn entries(&self, of: State) -> Vec<Instant> {
        self.states.iter().filter(|(_, state)| *state == of).map(|(at, _)| *at).collect()
    }
}

/// Whether a number is within so many per cent of another.
#[track_caller]
fn is_about(number: u64, wanted: u64, per_cent: u64) {
    assert!(number.abs_diff(wanted) * 100 <= wanted * per_cent, "{number} for {wanted}");
}

#[test]
fn before_anything_is_known_the_initial_window_goes_out_within_a_round_trip() {
    let mut cc = Bbr::new(MSS, 1);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
    assert_eq!(cc.pacing_rate(), Some(27_700_000), "2.77 windows in a millisecond");
    let ack = testing::ack(Instant::from_millis(100), MSS);
    cc.on_ack(&AckSample { srtt: Some(ms(100)), ..ack });
    assert_eq!(cc.pacing_rate(), Some(277_000), "2.77 windows in a round trip");
}

#[test]
fn startup_doubles_until_the_bandwidth_grows_no_more_and_drain_empties_the_queue() {
    let mut path = Path::ample();
    path.runs_until(State::Drain);
    // From 250 kB/s to 10 MB/s in rounds that double, and three more.
    let took = path.now.since(Instant::from_millis(1_000));
    assert!(took < ms(700), "{took:?}");
    is_about(path.cc.max_bw.get(), 10_000_000, 2);
    assert!(u64::from(path.in_flight) > path.bdp() * 3 / 2, "{} in flight", path.in_flight);
    let begin = path.now;
    // ProbeBwDown is over at once: there is nothing left to drain.
    path.runs_until(State::ProbeBwCruise);
    assert!(path.now.since(begin) < ms(120), "{:?}", path.now.since(begin));
    assert!(u64::from(path.in_flight) <= path.bdp() + 4 * u64::from(MSS));
    is_about(nanos_of(path.cc.min_rtt.get()), nanos_of(Some(ms(40))), 2);
}

fn nanos_of(time: Option<Duration>) -> u64 {
    crate::time::nanos(time.expect("there was a round trip"))
}

#[test]
fn the_bandwidth_is_probed_for_in_a_cycle_and_used_in_between() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    let delivered = path.runs_for(ms(20_000));
    assert!(delivered > 185_000_000, "{delivered} of 200 MB");
    let next = |state| match state {
        State::ProbeBwDown => State::ProbeBwCruise,
        State::ProbeBwCruise => State::ProbeBwRefill,
        State::ProbeBwRefill => State::ProbeBwUp,
        State::ProbeBwUp => State::ProbeBwDown,
        other => other,
    };
    let states = &path.states[2..];
    assert_eq!(states[0].1, State::ProbeBwCruise, "after Startup and Drain");
    for pair in states.windows(2) {
        let (before, after) = (pair[0].1, pair[1].1);
        // ProbeRtt comes in between, and leads to ProbeBwCruise.
        let looks = after == State::ProbeRtt
            || (before == State::ProbeRtt && after == State::ProbeBwCruise);
        assert!(after == next(before) || looks, "{states:?}");
    }
    // 2 to 3 s after the last probe, or the last look at the round trip, or 62 round trips.
    let refills = path.entries(State::ProbeBwRefill);
    assert!((4..=10).contains(&refills.len()), "{refills:?}");
    for refill in refills {
        let cycle = [State::ProbeBwUp, State::ProbeRtt, State::Drain].map(|before| {
            let begins = path.states.windows(2).filter(|pair| pair[0].1 == before);
            begins.map(|pair| pair[1].0).take_while(|at| *at < refill).last()
        });
        let wait = refill.since(cycle.into_iter().flatten().max().expect("it was before"));
        assert!((ms(2_000)..ms(3_100)).contains(&wait), "{wait:?}, {states:?}");
    }
    assert_eq!(path.dropped, 0, "there is room for all of it");
}

#[test]
fn the_wait_between_probes_follows_from_the_seed_and_is_two_to_three_seconds() {
    let waits = |seed| {
        let mut cc = Bbr::new(MSS, seed);
        let wait = |cc: &mut Bbr| {
            cc.start_probe_bw_down();
            (cc.cycle_wait(), cc.rounds.since_probe)
        };
        (0..50).map(|_| wait(&mut cc)).collect::<Vec<_>>()
    };
    let some = waits(1);
    assert_eq!(some, waits(1));
    assert_ne!(some, waits(2));
    assert!(some.iter().all(|(wait, rounds)| (ms(2_000)..ms(3_000)).contains(wait) && *rounds < 2));
    assert!(some.iter().any(|(wait, _)| *wait < ms(2_300)));
    assert!(some.iter().any(|(wait, _)| *wait > ms(2_700)));
    assert!(some.iter().any(|(_, rounds)| *rounds == 1));
}

#[test]
fn every_five_seconds_the_queue_is_drained_for_a_look_at_the_round_trip() {
    let mut path = Path::ample();
    path.runs_for(ms(30_000));
    let looks = path.entries(State::ProbeRtt);
    assert!((4..=6).contains(&looks.len()), "{looks:?}");
    for pair in looks.windows(2) {
        let between = pair[1].since(pair[0]);
        assert!(between >= ms(5_000) && between < ms(5_500), "{between:?}");
    }
    // It lasts for 200 ms and the round trip in which the volume comes down.
    for look in looks {
        let end = path.states.iter().find(|(at, _)| *at > look).expect("it ends").0;
        assert!((ms(200)..ms(400)).contains(&end.since(look)), "{:?}", end.since(look));
    }
    path.runs_until(State::ProbeRtt);
    let before = path.cc.prior_cwnd;
    path.runs_for(ms(100));
    assert!(u64::from(path.cc.cwnd()) <= path.bdp() / 2 + u64::from(MSS));
    assert!(path.cc.marks_app_limited());
    path.runs_until(State::ProbeBwCruise);
    assert!(path.cc.cwnd() > before / 2, "{} after {before}", path.cc.cwnd());
    assert!(!path.cc.marks_app_limited());
}

#[test]
fn a_longer_path_is_noticed_within_ten_seconds() {
    let mut path = Path::ample();
    path.runs_for(ms(8_000));
    path.rtt = ms(80);
    path.runs_for(ms(16_000));
    is_about(nanos_of(path.cc.min_rtt.get()), nanos_of(Some(ms(80))), 10);
}

#[test]
fn a_short_queue_bounds_the_volume_and_costs_few_losses() {
    // Room for a tenth of what is on the way.
    let mut path = Path::new(10_000_000, ms(40), 40_000);
    path.runs_for(ms(3_000));
    assert!(path.cc.full_pipe.reached);
    let longterm = path.cc.losses.inflight_longterm;
    assert_ne!(longterm, INFINITY, "losses have shown a limit");
    path.dropped = 0;
    let delivered = path.runs_for(ms(20_000));
    assert!(delivered > 160_000_000, "{delivered} of 200 MB");
    assert!(path.dropped < delivered / 50, "{} dropped of {delivered}", path.dropped);
    let longterm = path.cc.losses.inflight_longterm;
    let most = path.bdp() + 40_000;
    assert!(longterm > path.bdp() * 7 / 10 && longterm < most * 5 / 4, "{longterm} for {most}");
    path.runs_until(State::ProbeBwCruise);
    let cwnd = u64::from(path.cc.cwnd());
    let longterm = path.cc.losses.inflight_longterm;
    assert!(cwnd <= longterm * 85 / 100 + 1, "{cwnd} of {longterm}: headroom for others");
}

#[test]
fn a_slower_path_is_followed_and_a_faster_one_found() {
    let mut path = Path::ample();
    path.runs_for(ms(5_000));
    path.rate = 4_000_000;
    path.runs_for(ms(10_000));
    is_about(path.cc.max_bw.get(), 4_000_000, 5);
    let delivered = path.runs_for(ms(5_000));
    assert!(delivered > 17_000_000, "{delivered} of 20 MB");
    path.rate = 20_000_000;
    path.runs_for(ms(20_000));
    is_about(path.cc.max_bw.get(), 20_000_000, 5);
}

#[test]
fn a_silence_lowers_no_estimate_and_sending_goes_on_at_the_rate_there_was() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    let (rate, cwnd) = (path.cc.max_bw.get(), path.cc.cwnd());
    path.silent_until = path.now + ms(3_000);
    path.delivery.mark_app_limited(path.in_flight);
    while path.in_flight > 0 {
        path.step();
    }
    path.step();
    assert!(path.cc.idle_restart && path.in_flight == MSS);
    assert_eq!((path.cc.max_bw.get(), path.cc.cwnd()), (rate, cwnd));
    is_about(path.cc.pacing_rate().expect("it paces"), rate * 99 / 100, 1);
    path.cc.on_idle();
    assert_eq!(path.cc.cwnd(), cwnd);
    path.runs_for(ms(1_000));
    assert!(!path.cc.idle_restart);
    is_about(path.cc.max_bw.get(), rate, 2);
}

#[test]
fn a_timeout_leaves_one_segment_and_the_window_is_back_when_all_is_repaired() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    let before = path.cc.cwnd();
    path.cc.on_timeout(&testing::loss(path.now, path.in_flight), true);
    assert_eq!(path.cc.cwnd(), MSS);
    let ack = AckSample { in_recovery: true, ..testing::ack(path.now, MSS) };
    path.cc.on_ack(&ack);
    assert_eq!(path.cc.cwnd(), 4 * MSS, "the least that keeps a pipe going");
    path.cc.on_ack(&AckSample { in_recovery: false, ..ack });
    assert!(path.cc.cwnd() >= before, "{} after {before}", path.cc.cwnd());
}

/// Loses so many segments that touch each other, or do not.
fn loses(path: &mut Path, count: u32, adjacent: bool) {
    for _ in 0..count {
        path.cc.on_lost_packet(&LostPacket {
            now: path.now,
            len: MSS,
            tx_in_flight: path.in_flight,
            lost: u64::from(path.in_flight) / 20,
            delivered: path.delivery.delivered(),
            app_limited: false,
            adjacent,
        });
    }
    path.cc.on_loss(&testing::loss(path.now, path.in_flight));
    path.recovers = Some(SeqNum(path.next + 3 * path.in_flight));
}

#[test]
fn outside_of_a_probe_a_round_trip_with_losses_lowers_the_limits_and_a_probe_forgets_them() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    let bandwidth = path.cc.max_bw.get();
    assert_eq!(path.cc.losses.bw_shortterm, INFINITY);
    loses(&mut path, 1, false);
    // The path delivers as before, and the limits are never below what it has delivered.
    path.runs_for(ms(100));
    let limit = path.cc.losses.bw_shortterm;
    assert!(limit <= bandwidth && limit >= bandwidth * 9 / 10, "{limit} for {bandwidth}");
    assert!(path.cc.bw <= limit);
    path.runs_until(State::ProbeBwRefill);
    assert_eq!(path.cc.losses.bw_shortterm, INFINITY);
    assert_eq!(path.cc.losses.inflight_shortterm, INFINITY);
}

#[test]
fn losses_in_a_probe_set_the_ceiling_at_which_they_began_and_end_the_probe() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwUp);
    assert!(path.cc.losses.probe_samples);
    path.runs_for(ms(50));
    let sent = u64::from(path.in_flight);
    loses(&mut path, 1, false);
    assert_eq!(path.cc.state, State::ProbeBwDown);
    // A twentieth was lost before the segment, more than 2 %: the ceiling is below it.
    assert_eq!(path.cc.losses.inflight_longterm, sent - u64::from(MSS));
    loses(&mut path, 3, false);
    assert_eq!(path.cc.losses.inflight_longterm, sent - u64::from(MSS), "once for each probe");
}

#[test]
fn a_probe_goes_on_against_its_ceiling_and_raises_it_faster_and_faster() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    // What Startup has sent is no longer on its way.
    path.runs_for(ms(500));
    let ceiling = path.bdp() * 11 / 10;
    path.cc.losses.inflight_longterm = ceiling;
    path.runs_until(State::ProbeBwUp);
    let begin = path.cc.rounds.count;
    path.runs_until(State::ProbeBwDown);
    // By 1, 2, 4, 8, 16 and 32 segments in as many round trips, where three without growth in the
    // rate would end it if the ceiling were not what limits that.
    let rounds = path.cc.rounds.count - begin;
    assert!(rounds > 6, "{rounds} round trips");
    let raised = (path.cc.losses.inflight_longterm - ceiling) / u64::from(MSS);
    assert!(raised > 63, "by {raised} segments");
    assert_eq!(path.dropped, 0);
}

#[test]
fn many_losses_in_a_round_trip_end_startup_and_few_do_not() {
    for (ranges, adjacent, ends) in
        [(6, false, true), (5, false, false), (40, true, false), (0, false, false)]
    {
        let mut path = Path::ample();
        path.runs_for(ms(100));
        assert_eq!(path.cc.state, State::Startup);
        loses(&mut path, ranges, adjacent);
        // What arrives when a round trip is over tells that a twentieth was lost since it was sent.
        path.runs_for(ms(20));
        let stamp = path.delivery.on_sent(path.now, path.in_flight, MSS);
        path.delivery.on_lost(path.now, path.in_flight / 20, stamp, false);
        path.runs_for(ms(30));
        assert_eq!(path.cc.full_pipe.reached, ends, "{ranges} ranges, {adjacent}");
        if ends {
            assert_ne!(path.cc.losses.inflight_longterm, INFINITY);
        }
    }
    // Without SACK one is enough: no more than that can be seen.
    let mut path = Path::ample();
    path.runs_for(ms(100));
    loses(&mut path, 1, false);
    path.cc.on_ack(&AckSample {
        in_recovery: true,
        has_sack: false,
        ..testing::ack(path.now, MSS)
    });
    assert!(path.cc.full_pipe.reached);
}

#[test]
fn losses_that_were_none_are_taken_back() {
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwUp);
    path.runs_for(ms(50));
    let before = path.cc.cwnd();
    loses(&mut path, 1, false);
    assert_eq!(path.cc.state, State::ProbeBwDown);
    path.cc.undo();
    assert_eq!(path.cc.state, State::ProbeBwUp);
    assert_eq!(path.cc.losses.inflight_longterm, INFINITY);
    assert!(path.cc.cwnd() >= before);
    path.cc.undo();
    assert_eq!(path.cc.state, State::ProbeBwUp, "there is nothing more to take back");
}

#[test]
fn startup_goes_on_if_the_losses_that_ended_it_were_none() {
    let mut path = Path::ample();
    path.runs_for(ms(100));
    loses(&mut path, 6, false);
    path.runs_for(ms(20));
    let stamp = path.delivery.on_sent(path.now, path.in_flight, MSS);
    path.delivery.on_lost(path.now, path.in_flight / 20, stamp, false);
    path.runs_until(State::Drain);
    path.cc.undo();
    path.recovers = None;
    assert_eq!(path.cc.state, State::Startup);
    let before = path.cc.max_bw.get();
    path.runs_until(State::Drain);
    assert!(path.cc.max_bw.get() > before * 2, "{before} before, and {}", path.cc.max_bw.get());
}

#[test]
fn a_mark_counts_as_congestion() {
    let mut path = Path::ample();
    path.runs_for(ms(100));
    path.cc.on_congestion_echo(&testing::loss(path.now, path.in_flight));
    assert_eq!(path.cc.state, State::Drain);
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwUp);
    path.cc.on_congestion_echo(&testing::loss(path.now, path.in_flight));
    assert_eq!(path.cc.state, State::ProbeBwDown);
    assert_ne!(path.cc.losses.inflight_longterm, INFINITY);
    let mut path = Path::ample();
    path.runs_until(State::ProbeBwCruise);
    path.cc.on_congestion_echo(&testing::loss(path.now, path.in_flight));
    path.runs_for(ms(100));
    assert_ne!(path.cc.losses.bw_shortterm, INFINITY);
}

#[test]
fn the_quantum_is_what_the_rate_carries_in_a_millisecond_within_bounds() {
    let mut cc = Bbr::new(MSS, 1);
    for (rate, quantum) in [(1, 2 * MSS), (10_000_000, 10_000), (1 << 40, 64 << 10)] {
        cc.pacing_rate = rate;
        cc.set_send_quantum();
        assert_eq!(cc.send_quantum(), Some(quantum));
    }
}

#[test]
fn the_same_seed_and_path_give_the_same_run() {
    let run = || {
        let mut path = Path::new(3_000_000, ms(30), 60_000);
        let delivered = path.runs_for(ms(10_000));
        (delivered, path.states, path.dropped)
    };
    assert_eq!(run(), run());
}

proptest! {
    #[test]
    fn whatever_is_told_the_window_and_the_rate_let_something_out(
        seed: u64,
        steps in proptest::collection::vec((0u8..16, any::<u32>(), 0u64..1 << 33, any::<u32>()), 1..300),
    ) {
        let mut cc = Bbr::new(MSS, seed);
        let mut now = Instant::from_millis(1);
        let mut delivered = 0;
        for (step, bytes, nanos, more) in steps {
            now += Duration::from_nanos(nanos);
            let app_limited = bytes & 1 > 0;
            match step {
                0 => cc.on_loss(&testing::loss(now, bytes)),
                1 => cc.on_lost_packet(&LostPacket {
                    now,
                    len: more % 65_536,
                    tx_in_flight: bytes,
                    lost: (more >> 4).into(),
                    delivered,
                    app_limited,
                    adjacent: bytes & 2 > 0,
                }),
                2 => cc.on_recovered(bytes),
                3 => cc.on_timeout(&testing::loss(now, bytes), true),
                4 => cc.on_congestion_echo(&testing::loss(now, bytes)),
                5 => cc.undo(),
                6 => cc.on_restart(now),
                7 => cc.on_mss(bytes.clamp(88, 65_495)),
                8 => cc.on_shrunk_path(),
                _ => {
                    let acked = bytes >> (more % 24);
                    delivered += u64::from(acked);
                    let rtt = Some(Duration::from_nanos(nanos >> (more % 32)));
                    cc.on_ack(&AckSample {
                        delivered,
                        in_flight: more,
                        rtt,
                        srtt: rtt,
                        cwnd_limited: bytes & 4 > 0,
                        in_recovery: bytes & 8 > 0,
                        has_sack: bytes & 16 > 0,
                        rate: (bytes & 32 > 0).then_some(RateSample {
                            delivered: acked.into(),
                            interval: rtt,
                            prior_delivered: delivered - u64::from(acked),
                            app_limited,
                            tx_in_flight: more,
                            lost: u64::from(more >> 8),
                            rtt,
                        }),
                        ..testing::ack(now, acked)
                    });
                }
            }
            prop_assert!(cc.cwnd() >= 88 && cc.pacing_rate() > Some(0));
            prop_assert!(cc.send_quantum() >= Some(176));
        }
    }
}
