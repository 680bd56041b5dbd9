//! The simulator's own laws, shown without a stack: what a link, a queue and a wire do to packets
//! that a test puts in and takes out.

use std::collections::BTreeMap;

use crate::common::random::Random;
use crate::common::{ms, secs};
use crate::sim::codel::Target;
use crate::sim::link::{Counts, Direction, Link, Thinning};
use crate::sim::loss::Loss;
use crate::sim::packets::{End, PacketId, Packets};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A direction and what a test puts into it.
struct Bench {
    direction: Direction,
    packets: Packets,
    now: u64,
    /// When the packet being sent will have been.
    done: Option<u64>,
    /// When each packet that passed arrives, in the order in which they were sent.
    arrivals: Vec<(u64, PacketId)>,
    /// What was dropped, and when.
    fallen: Vec<(u64, PacketId)>,
}

impl Bench {
    fn new(link: Link) -> Self {
        Self {
            direction: Direction::new(link, Random::new(11)),
            packets: Packets::default(),
            now: 0,
            done: None,
            arrivals: Vec::new(),
            fallen: Vec::new(),
        }
    }

    /// Lets everything be sent that is done by `until`.
    fn run(&mut self, until: u64) {
        while let Some(done) = self.done.filter(|&done| done <= until) {
            self.now = done;
            let (sent, next) = self.direction.sent(done, &mut self.packets);
            self.arrivals.extend(sent.map(|sent| (sent.arrives, sent.id)));
            self.done = next;
            self.note();
        }
        self.now = until;
    }

    fn note(&mut self) {
        let now = self.now;
        self.fallen.extend(self.direction.fallen.drain(..).map(|id| (now, id)));
    }

    /// Puts a packet in at this time.
    fn enter(&mut self, at: u64, len: usize) -> PacketId {
        self.run(at);
        let id = self.packets.add_blank(len, 0, End::Sender);
        self.enter_this(id);
        id
    }

    fn enter_this(&mut self, id: PacketId) {
        if let Some(done) = self.direction.enter(self.now, id, &mut self.packets) {
            self.done = Some(done);
        }
        self.note();
    }

    /// Lets all that waits be sent.
    fn drain(&mut self) -> Counts {
        self.run(u64::MAX / 2);
        self.check_conservation();
        self.direction.counts
    }

    /// Nothing appears and nothing disappears.
    fn check_conservation(&self) {
        let counts = &self.direction.counts;
        let dropped =
            counts.overflowed + counts.aqm_dropped + counts.policed + counts.thinned + counts.lost;
        let held = self.direction.held(&self.packets);
        assert_eq!(counts.entered, counts.passed + dropped + held, "{counts:?}, {held} held");
    }

    /// Times from one arrival to the next.
    fn gaps(&self) -> impl Iterator<Item = u64> + '_ {
        self.arrivals.windows(2).map(|pair| pair[1].0 - pair[0].0)
    }
}

#[test]
fn a_link_delivers_exactly_its_rate_and_each_packet_after_exactly_its_delay() {
    // 1,500 bytes at 7 Mb/s are 1,714,285 5/7 ns: no whole number.
    let mut bench = Bench::new(Link::new(7_000_000, ms(3)));
    for _ in 0..7_000 {
        bench.enter(0, 1_500);
    }
    bench.drain();
    let (last, _) = *bench.arrivals.last().expect("packets have passed");
    assert_eq!(last, 7_000 * 1_500 * 8 * SECOND / 7_000_000 + 3_000_000);
    assert!(bench.gaps().all(|gap| gap == 1_714_285 || gap == 1_714_286));

    // Alone, a packet takes its own time and the delay.
    let at = bench.arrivals.len() as u64 * SECOND;
    let mut alone = Bench::new(Link::new(1_000_000_000, ms(20)));
    alone.enter(at, 1_500);
    alone.drain();
    assert_eq!(alone.arrivals[0].0, at + 12_000 + 20_000_000);
}

#[test]
fn a_full_queue_drops_exactly_what_does_not_fit() {
    let link = Link { queue: 10 * 1_500, ..Link::new(12_000_000, ms(1)) };
    let mut bench = Bench::new(link);
    // One is being sent, ten wait, the others are too many.
    let ids: Vec<_> = (0..25).map(|_| bench.enter(0, 1_500)).collect();
    let fallen: Vec<_> = bench.fallen.iter().map(|&(_, id)| id).collect();
    assert_eq!(fallen, ids[11..]);
    assert_eq!(bench.direction.counts.most_queued, 15_000);

    // A millisecond is a packet: as many fit again as have left, and a small one into what is left.
    bench.run(3 * 1_000_000);
    bench.enter(3_000_000, 1_500);
    bench.enter(3_000_000, 1_500);
    bench.enter(3_000_000, 1_499);
    bench.enter(3_000_000, 2);
    bench.enter(3_000_000, 1);
    assert_eq!(bench.direction.queued(), 15_000);
    let counts = bench.drain();
    assert_eq!((counts.overflowed, counts.most_queued), (15, 15_000));
    assert_eq!(counts.passed, 11 + 4);
}

#[test]
fn a_random_stream_never_exceeds_the_bound_of_the_queue_and_nothing_disappears() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut link = Link { queue: 20_000, ..Link::new(10_000_000, ms(5)) };
        link.loss = Loss::Random(50_000);
        link.policer = (seed % 2 == 0).then_some((12_000_000, 30_000));
        link.codel = (seed % 3 == 0).then_some(Target::USUAL);
        link.jitter = ms(seed % 4);
        let mut bench = Bench::new(link);
        let mut at = 0;
        for _ in 0..3_000 {
            at += random.below(2_000_000);
            bench.enter(at, random.between(40, 1_500) as usize);
            bench.check_conservation();
            assert!(bench.direction.queued() <= 20_000);
        }
        let counts = bench.drain();
        assert_eq!(counts.entered, 3_000);
        assert_eq!(bench.fallen.len() as u64 + counts.passed, 3_000);
        assert!(counts.most_queued <= 20_000 && counts.lost > 0, "{counts:?}");
    }
}

/// A queue that is never empty, at a packet a millisecond.
fn overloaded(codel: Target) -> Bench {
    let mut bench = Bench::new(Link { codel: Some(codel), ..Link::new(12_000_000, ms(1)) });
    for n in 0..6_000 {
        bench.enter(n * 500_000, 1_500);
    }
    bench
}

#[test]
fn controlled_delay_drops_closer_and_closer_by_the_square_root_of_their_number() {
    let mut bench = overloaded(Target::USUAL);
    bench.check_conservation();
    let drops: Vec<u64> = bench.fallen.iter().map(|&(at, _)| at).collect();
    assert!(drops.len() > 50, "{} drops", drops.len());

    // The queue grows by half a millisecond each millisecond. The packet that entered at 5 ms waits
    // for 5 ms and is the first above the target; an interval later the first one is dropped, as
    // packets leave, which is each millisecond.
    let waited = |at: u64| at / 2;
    assert!(waited(drops[0] - 100_000_000) >= 5_000_000, "{}", drops[0]);
    assert!(drops[0] <= 112_000_000, "{}", drops[0]);

    // RFC 8289 section 5, `control_law`: the next one is due interval / sqrt(count) after the time
    // that the one before was due.
    let mut due = drops[0] as f64;
    for (count, &at) in (1..).zip(&drops[1..]) {
        due += 100e6 / f64::from(count).sqrt();
        let late = at as f64 - due;
        // When it is due a packet is being sent, for a millisecond at most.
        assert!((-f64::from(count)..=1_000_001.0).contains(&late), "drop {count}: {late} ns");
    }
    bench.drain();
}

#[test]
fn controlled_delay_leaves_a_short_queue_and_a_short_burst_alone() {
    let codel = Some(Target::USUAL);
    let mut bench = Bench::new(Link { codel, ..Link::new(12_000_000, ms(1)) });
    // 4 ms of queue, for ever.
    for n in 0..2_000 {
        let burst = if n == 0 { 4 } else { 1 };
        for _ in 0..burst {
            bench.enter(n * 1_000_000, 1_500);
        }
    }
    // 90 ms of queue, once.
    for _ in 0..90 {
        bench.enter(2_010_000_000, 1_500);
    }
    let counts = bench.drain();
    assert_eq!((counts.aqm_dropped, counts.passed), (0, 2_003 + 90));
}

#[test]
fn controlled_delay_leaves_the_last_packet_that_waits_alone() {
    let codel = Some(Target::USUAL);
    let mut bench = Bench::new(Link { codel, ..Link::new(1_000_000, ms(1)) });
    // Each takes 12 ms, so two wait for 12 and 24 ms, for ever.
    for n in 0..2_000 {
        for _ in 0..if n == 0 { 3 } else { 1 } {
            bench.enter(n * 12_000_000, 1_500);
        }
    }
    assert_eq!(bench.drain().aqm_dropped, 0);
}

#[test]
fn controlled_delay_marks_what_understands_it_instead() {
    let codel = Target { marks: true, ..Target::USUAL };
    let mut bench = Bench::new(Link { codel: Some(codel), ..Link::new(12_000_000, ms(1)) });
    let mut capable = 0;
    for n in 0..6_000 {
        bench.run(n * 500_000);
        let id = bench.packets.add_blank(1_500, 0, End::Sender);
        bench.packets[id].bytes[0] = 0x45;
        if n < 3_000 {
            bench.packets[id].bytes[1] = 0b10;
            capable += 1;
        }
        bench.enter_this(id);
    }
    // In three seconds only those are sent that understand it.
    assert_eq!(capable, 3_000);
    assert_eq!(bench.direction.counts.aqm_dropped, 0);
    let ce = |&&(_, id): &&(u64, PacketId)| bench.packets[id].bytes[1] & 0b11 == 0b11;
    let marked = bench.arrivals.iter().filter(ce).count() as u64;
    assert!(marked > 50, "{marked}");
    assert_eq!(marked, bench.direction.marked());
    let counts = bench.drain();
    assert!(counts.aqm_dropped > 50, "those behind them are dropped: {counts:?}");
}

#[test]
fn in_the_long_run_a_policer_lets_through_its_rate_and_at_first_its_burst() {
    let link = Link { policer: Some((8_000_000, 30_000)), ..Link::new(1_000_000_000, ms(1)) };
    let mut bench = Bench::new(link);
    // 24 Mb/s for ten seconds.
    for n in 0..20_000 {
        bench.enter(n * 500_000, 1_500);
    }
    // 30,000 bytes last, less what comes in meanwhile, for 30 packets: each 500 us they lose 1,000.
    let first = bench.fallen[0].0;
    assert_eq!(first, 29 * 500_000);
    let counts = bench.drain();
    let expected = 30_000 + 8_000_000 / 8 * 10;
    let off = counts.passed_bytes.abs_diff(expected);
    assert!(off <= 1_500, "{} bytes passed", counts.passed_bytes);

    // What stays below the rate passes whole.
    let link = Link { policer: Some((8_000_000, 3_000)), ..Link::new(1_000_000_000, ms(1)) };
    let mut bench = Bench::new(link);
    for n in 0..2_000 {
        bench.enter(n * 1_500_000, 1_500);
    }
    assert_eq!(bench.drain().policed, 0);
}

/// How many of 50,000 packets are lost, and how often a run of losses has which length.
fn losses(loss: Loss) -> (u64, BTreeMap<u64, u64>) {
    let mut bench = Bench::new(Link { loss, ..Link::new(1_000_000_000, ms(1)) });
    let (mut runs, mut run, mut before) = (BTreeMap::new(), 0, 0);
    for n in 0..50_000 {
        bench.enter(n * 12_000, 1_500);
        bench.run(n * 12_000 + 12_000);
        let lost = bench.direction.counts.lost;
        if lost > before {
            run += 1;
        } else if run > 0 {
            *runs.entry(run).or_insert(0) += 1;
            run = 0;
        }
        before = lost;
        let (_, id) = bench.fallen.pop().or(bench.arrivals.pop()).expect("one or the other");
        bench.packets.remove(id);
    }
    (before, runs)
}

#[test]
fn random_losses_come_alone_and_bursty_ones_together_at_the_rates_that_are_asked_for() {
    let mean = |runs: &BTreeMap<u64, u64>| {
        let lost: u64 = runs.iter().map(|(len, count)| len * count).sum();
        lost as f64 / runs.values().sum::<u64>() as f64
    };
    let (lost, runs) = losses(Loss::Random(10_000));
    // 500 expected, with a standard deviation of 22.
    assert!((420..580).contains(&lost), "{lost}");
    assert!((1.0..1.05).contains(&mean(&runs)), "{runs:?}");

    // Bad for 10 packets of 110, in which half are lost.
    let bursty = Loss::Bursty { begin: 10_000, end: 100_000, inside: 500_000 };
    let (lost, runs) = losses(bursty);
    // 2,270 expected, in some 450 bad times: a standard deviation of about 150.
    assert!((1_800..2_750).contains(&lost), "{lost}");
    // A run goes on when the bad state does and the next one is lost, too: 0.9 * 0.5.
    let expected = 1.0 / (1.0 - 0.45);
    assert!((mean(&runs) / expected - 1.0).abs() < 0.1, "{} {runs:?}", mean(&runs));
}

#[test]
fn jitter_spreads_packets_and_keeps_their_order() {
    let mut bench = Bench::new(Link { jitter: ms(5), ..Link::new(1_000_000_000, ms(10)) });
    for n in 0..5_000 {
        bench.enter(n * 1_000_000, 1_500);
    }
    bench.drain();
    let delays: Vec<u64> =
        (0..).zip(&bench.arrivals).map(|(n, (at, _))| at - n * 1_000_000 - 12_000).collect();
    assert!(delays.iter().all(|delay| (10_000_000..=15_000_000).contains(delay)));
    assert!(delays.iter().any(|&delay| delay < 10_500_000));
    assert!(delays.iter().any(|&delay| delay > 14_500_000));
    assert!(bench.arrivals.is_sorted_by_key(|&(at, _)| at));
}

#[test]
fn reordering_holds_up_its_share_for_its_time_and_no_other() {
    let reordering = Some((50_000, ms(10)));
    let mut bench = Bench::new(Link { reordering, ..Link::new(1_000_000_000, ms(20)) });
    for n in 0..20_000 {
        bench.enter(n * 100_000, 1_500);
    }
    bench.drain();
    let delays: Vec<u64> =
        (0..).zip(&bench.arrivals).map(|(n, (at, _))| at - n * 100_000 - 12_000).collect();
    let held_up: Vec<u64> = delays.into_iter().filter(|&delay| delay != 20_000_000).collect();
    // 1,000 expected, with a standard deviation of 31.
    assert!((880..1_120).contains(&held_up.len()), "{}", held_up.len());
    assert!(held_up.iter().all(|delay| (20_000_000..=30_000_000).contains(delay)));
    let mean = held_up.iter().sum::<u64>() / held_up.len() as u64;
    assert!((24_400_000..25_600_000).contains(&mean), "{mean}");
    assert!(!bench.arrivals.is_sorted_by_key(|&(at, _)| at));
}

#[test]
fn an_outage_loses_what_is_sent_in_it_and_nothing_else() {
    let outages = Vec::from([secs(1)..secs(2)]);
    let mut bench = Bench::new(Link { outages, ..Link::new(12_000_000, ms(20)) });
    let ids: Vec<_> = (0..3_000).map(|n| bench.enter(n * 1_000_000, 1_500)).collect();
    bench.drain();
    let lost: Vec<_> = bench.fallen.iter().map(|&(_, id)| id).collect();
    // The one that entered at 999 ms has left at 1 s.
    assert_eq!(lost, ids[999..1_999]);
}

/// An ACK of `flow`.
fn ack(bench: &mut Bench, flow: usize) -> PacketId {
    let id = bench.packets.add_blank(52, flow, End::Receiver);
    bench.packets[id].text = 0;
    bench.packets[id].flags = tunstack::wire::Flags::ACK;
    bench.enter_this(id);
    id
}

#[test]
fn a_queue_that_thins_keeps_the_newest_ack_of_each_flow_and_everything_else() {
    let mut bench = Bench::new(Link { thinning: Thinning::Newest, ..Link::new(1_000_000, ms(1)) });
    let first = ack(&mut bench, 0);
    let mut newest = [first; 2];
    for n in 0..10 {
        newest[n % 2] = ack(&mut bench, n % 2);
    }
    let text = bench.enter(0, 1_500);
    let last = ack(&mut bench, 1);
    assert_eq!(bench.direction.queued(), 52 + 1_500 + 52, "what is thinned out waits no more");
    let counts = bench.drain();
    let arrived: Vec<_> = bench.arrivals.iter().map(|&(_, id)| id).collect();
    // The first was being sent already.
    assert_eq!(arrived, [first, newest[0], text, last]);
    assert_eq!((counts.thinned, counts.passed), (9, 4));
}

#[test]
fn acks_thinned_by_chance_are_as_many_as_asked_for() {
    let thinning = Thinning::Chance(300_000);
    let mut bench = Bench::new(Link { thinning, ..Link::new(1_000_000_000, ms(1)) });
    for _ in 0..10_000 {
        ack(&mut bench, 0);
    }
    for n in 0..1_000 {
        bench.enter(n, 1_500);
    }
    let counts = bench.drain();
    // 3,000 expected, with a standard deviation of 46.
    assert!((2_800..3_200).contains(&counts.thinned), "{counts:?}");
    assert_eq!(counts.passed + counts.thinned, 11_000);
}

#[test]
fn the_segments_named_are_the_ones_that_are_lost() {
    let lost_segments = vec![2, 3, 7];
    let mut bench = Bench::new(Link { lost_segments, ..Link::new(1_000_000_000, ms(1)) });
    let ids: Vec<_> = (0..10).map(|_| bench.enter(0, 1_500)).collect();
    bench.drain();
    let lost: Vec<_> = bench.fallen.iter().map(|&(_, id)| id).collect();
    assert_eq!(lost, [ids[1], ids[2], ids[6]]);
}
