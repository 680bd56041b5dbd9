//! Pacing and rate samples at work (draft-ietf-ccwg-bbr-05 sections 4.1 and 5.6.2): how what is sent
//! is spread over time, and what a congestion controller is told that wants to know.

#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;

use common::pair::{Plan, Side};
use common::peer::{Isns, Peer, with_each_isn};
use common::{ms, secs};
use tunstack::tcp::congestion::{AckSample, Congestion, Controller, Loss, LostPacket, RateSample};
use tunstack::tcp::{Info, Phase};
use tunstack::time::{Duration, Instant};
use tunstack::wire::Offload;

/// Bytes of text in a full segment.
const MSS: u32 = 1_000;

/// A connection whose handshake has taken 100 ms.
fn open(isns: Isns, congestion: Congestion) -> Peer {
    Peer::established_over(ms(100), isns, "mss 1000,sackOK", |config| {
        config.tcp.congestion = congestion;
    })
}

/// Lets so much time pass; answers after how many milliseconds which text was sent, by the number of
/// its segment.
fn what_goes_out(peer: &mut Peer, time: Duration) -> Vec<(u64, u32)> {
    let (start, mut sent) = (peer.now, Vec::new());
    let mut take = |peer: &mut Peer| {
        let passed = peer.now.since(start).as_millis() as u64;
        let iss = peer.iss;
        let number = |seq| (iss.len_to(seq) - 1) / MSS + 1;
        sent.extend(peer.all().iter().map(|packet| (passed, number(packet.seq))));
    };
    take(peer);
    while peer.now < start + time {
        let next = peer.stack.poll_timeout().unwrap_or(start + time);
        peer.passes(next.min(start + time).since(peer.now));
        take(peer);
    }
    sent
}

fn info(peer: &Peer) -> Info {
    peer.stack.info(peer.id).unwrap()
}

fn acked(segments: u32) -> String {
    format!(". 1:1(0) ack {}", 1 + segments * MSS)
}

#[test]
fn a_window_is_spread_over_the_round_trip_in_quanta() {
    // Section 5.6.2: "nominal_bandwidth = C.InitialCwnd / C.srtt", of which BBR sends 2.77 times as
    // much: 277 kB a second. Section 5.6.3: two segments at a time.
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Bbr);
        peer.writes(12_000);
        let sent = what_goes_out(&mut peer, ms(50));
        // After the pause half a quantum's time is for nothing; and the window is ten segments.
        let at =
            [(0, 1), (0, 2), (3, 3), (3, 4), (10, 5), (10, 6), (18, 7), (18, 8), (25, 9), (25, 10)];
        assert_eq!(sent, at);
        // Beside it the window counts: one segment has arrived.
        peer.sends(&acked(1));
        assert_eq!(what_goes_out(&mut peer, ms(5)), [(0, 11), (0, 12)]);
    });
}

#[test]
fn a_super_segment_is_no_longer_than_a_quantum() {
    // Section 5.6.3.
    with_each_isn(|isns| {
        let lens = |congestion| {
            let mut peer = open(isns, congestion);
            peer.stack.set_offload(Offload::Segmentation);
            peer.stack.write(peer.id, &[0; 9_000]).unwrap();
            let (start, mut lens) = (peer.now, Vec::new());
            while peer.now < start + ms(50) {
                while let Some(transmit) = peer.stack.poll_transmit(peer.now) {
                    lens.push(transmit.payload.iter().map(|part| part.len()).sum::<usize>());
                }
                peer.now = peer.stack.poll_timeout().expect("something is out");
                peer.stack.on_timeout(peer.now);
            }
            lens
        };
        assert_eq!(lens(Congestion::Bbr), [2_000, 2_000, 2_000, 2_000, 1_000]);
        assert_eq!(lens(Congestion::Custom(|_| Box::new(Paces))), [1_000; 6]);
    });
}

#[test]
fn a_sender_that_is_not_paced_sends_its_window_at_once() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Cubic);
        peer.writes(12_000);
        assert_eq!(peer.ignores_the_rest(), 10);
    });
}

#[test]
fn a_sender_that_waits_is_woken_once_and_has_nothing_to_say_before() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Bbr);
        peer.writes(6_000);
        assert_eq!(peer.ignores_the_rest(), 2);
        let due = peer.stack.poll_timeout().expect("it waits");
        let wait = due.since(peer.now);
        assert!(ms(3) < wait && wait < ms(4), "{wait:?}");
        // Asked too early, or heard from, it says nothing, and the deadline is the same.
        for _ in 0..3 {
            peer.passes(wait / 5);
            peer.stack.on_timeout(peer.now);
            peer.sends(". 1:1(0) ack 1");
            peer.hears_nothing();
            assert_eq!(peer.stack.poll_timeout(), Some(due));
        }
        peer.passes(due.since(peer.now) - Duration::from_nanos(1));
        peer.hears_nothing();
        peer.passes(Duration::from_nanos(1));
        assert_eq!(peer.ignores_the_rest(), 2);
        // Each of the two that follow is due by itself, and then nothing is before the loss probe.
        let second = peer.stack.poll_timeout().expect("it waits");
        assert!(second > due && second < due + ms(8));
        peer.passes(second.since(peer.now));
        assert_eq!(peer.ignores_the_rest(), 2);
        assert!(peer.stack.poll_timeout().unwrap() > peer.now + ms(100));
    });
}

#[test]
fn an_answer_that_is_owed_does_not_wait_for_the_pacer() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Bbr);
        peer.writes(6_000);
        assert_eq!(peer.ignores_the_rest(), 2);
        peer.sends(". 101:201(100) ack 1");
        peer.hears(". 2001:2001(0) ack 1 <sack 101:201>");
    });
}

#[test]
fn what_is_lost_waits_for_the_pacer_but_not_after_a_timeout() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Bbr);
        peer.writes(10_000);
        peer.passes(ms(100));
        peer.ignores_the_rest();
        // The first four are lost, and no limit but the pacer's is in force (section 5.5.10).
        peer.sends(". 1:1(0) ack 1 <sack 4001:10001>");
        assert_eq!((info(&peer).phase, info(&peer).segments_lost), (Phase::Recovery, 2));
        let sent = what_goes_out(&mut peer, ms(20));
        assert_eq!(sent.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(sent[0].0 == 0 && sent[3].0 > 2, "{sent:?}");
        // Nothing more is heard of them, nor of the probe.
        peer.hears_within(ms(100)..=ms(300), ". 3001:4001(1000) ack 1");
        peer.hears_within(ms(100)..=secs(1), ". 1:1001(1000) ack 1");
        assert_eq!(info(&peer).timeouts, 1);
    });
}

/// What the controller below was told, in the order in which it was.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Lost { len: u32, lost: u64, tx_in_flight: u32, adjacent: bool, app_limited: bool },
    Loss,
    Undo,
    Recovered,
    Timeout,
    Ack { delivered: u64, in_recovery: bool, rate: Option<RateSample> },
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    static MARKS: RefCell<bool> = const { RefCell::new(false) };
}

fn told() -> Vec<Told> {
    TOLD.take()
}

/// Ten segments at a time and no pacing: it only listens.
#[derive(Debug)]
struct Listens;

impl Listens {
    fn note(told: Told) {
        TOLD.with_borrow_mut(|all| all.push(told));
    }
}

impl Controller for Listens {
    fn cwnd(&self) -> u32 {
        10 * MSS
    }

    fn ssthresh(&self) -> u32 {
        5 * MSS
    }

    fn wants_rate_samples(&self) -> bool {
        true
    }

    fn marks_app_limited(&self) -> bool {
        MARKS.with_borrow(|marks| *marks)
    }

    fn paces_recovery(&self) -> bool {
        true
    }

    fn on_ack(&mut self, ack: &AckSample) {
        let &AckSample { delivered, in_recovery, rate, .. } = ack;
        Self::note(Told::Ack { delivered, in_recovery, rate });
    }

    fn on_lost_packet(&mut self, packet: &LostPacket) {
        let &LostPacket { len, lost, tx_in_flight, adjacent, app_limited, .. } = packet;
        Self::note(Told::Lost { len, lost, tx_in_flight, adjacent, app_limited });
    }

    fn on_loss(&mut self, _: &Loss) {
        Self::note(Told::Loss);
    }

    fn on_recovered(&mut self, _: u32) {
        Self::note(Told::Recovered);
    }

    fn on_timeout(&mut self, _: &Loss, _: bool) {
        Self::note(Told::Timeout);
    }

    fn undo(&mut self) {
        Self::note(Told::Undo);
    }

    fn on_idle(&mut self) {}

    fn on_mss(&mut self, _: u32) {}

    fn on_shrunk_path(&mut self) {}
}

const LISTENS: Congestion = Congestion::Custom(|_| Box::new(Listens));

/// The rate sample of what was told last.
#[track_caller]
fn sample() -> RateSample {
    match told().pop() {
        Some(Told::Ack { rate: Some(rate), .. }) => rate,
        other => panic!("{other:?} is no sample"),
    }
}

#[test]
fn a_sample_tells_what_was_delivered_between_a_segment_and_its_ack() {
    with_each_isn(|isns| {
        let mut peer = open(isns, LISTENS);
        peer.writes(20_000);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.passes(ms(100));
        peer.sends(&acked(2));
        peer.passes(ms(10));
        peer.sends(&acked(3));
        told();
        peer.passes(ms(90));
        // The eleventh went out when two had been delivered, at 100 ms.
        peer.sends(&acked(11));
        let sample = sample();
        assert_eq!((sample.prior_delivered, sample.delivered), (2_000, 9_000));
        assert_eq!(sample.interval, Some(ms(100)));
        assert_eq!((sample.rate(), sample.rtt), (90_000, Some(ms(100))));
        assert_eq!((sample.tx_in_flight, sample.lost, sample.app_limited), (9_000, 0, false));
    });
}

#[test]
fn a_silence_of_the_application_marks_the_samples_of_a_round_trip() {
    // Section 4.1.1.3.
    with_each_isn(|isns| {
        let mut peer = open(isns, LISTENS);
        peer.writes(9_000);
        peer.passes(ms(100));
        // Before the first ACK nothing is known, and that says so.
        peer.sends(&acked(1));
        assert!(sample().app_limited);
        // There was nothing more to send, and room in the window.
        peer.writes(20_000);
        peer.passes(ms(100));
        peer.sends(&acked(9));
        assert!(sample().app_limited, "it was sent before that");
        peer.passes(ms(10));
        peer.sends(&acked(11));
        assert!(sample().app_limited, "behind the gap");
        peer.passes(ms(100));
        // 12 and 13 were sent when the gap had not passed, what follows when it had.
        peer.sends(&acked(20));
        assert!(!sample().app_limited);
        peer.passes(ms(100));
        peer.sends(&acked(28));
        assert!(!sample().app_limited);
    });
}

#[test]
fn who_sends_less_on_purpose_has_its_samples_marked() {
    // Section 5.3.4.3.
    with_each_isn(|isns| {
        let mut peer = open(isns, LISTENS);
        peer.writes(60_000);
        for n in [10, 20, 30] {
            peer.passes(ms(100));
            peer.sends(&acked(n));
        }
        assert!(!sample().app_limited);
        MARKS.set(true);
        peer.passes(ms(100));
        peer.sends(&acked(40));
        MARKS.set(false);
        assert!(!sample().app_limited, "sent before");
        peer.passes(ms(100));
        peer.sends(&acked(50));
        assert!(sample().app_limited);
    });
}

#[test]
fn losses_are_told_one_by_one_and_before_what_follows_from_them() {
    with_each_isn(|isns| {
        let mut peer = open(isns, LISTENS);
        peer.writes(20_000);
        peer.passes(ms(100));
        peer.sends(&acked(1));
        peer.passes(ms(1));
        told();
        let is_ack = |told: &Told| matches!(told, Told::Ack { .. });
        let lost = |lost, tx_in_flight, adjacent| Told::Lost {
            len: MSS,
            lost,
            tx_in_flight,
            adjacent,
            app_limited: true,
        };
        // Segments 2, 3 and 6 are lost.
        peer.sends(". 1:1(0) ack 1001 <sack 6001:10001 3001:5001>");
        let all = told();
        let losses = [
            lost(1_000, 2_000, false),
            lost(2_000, 3_000, true),
            lost(3_000, 6_000, false),
            Told::Loss,
        ];
        assert_eq!(all[..4], losses);
        assert!(matches!(all[4], Told::Ack { delivered: 7_000, in_recovery: true, .. }), "{all:?}");
        assert_eq!(all.len(), 5);
        // Every ACK is told, also in recovery, and those that acknowledge nothing.
        peer.passes(ms(50));
        peer.sends(". 1:1(0) ack 1001 <sack 6001:11001 3001:5001>");
        assert!(told().iter().all(is_ack));
        peer.passes(ms(50));
        peer.sends(&acked(12));
        let all = told();
        assert_eq!(all[0], Told::Recovered);
        assert!(is_ack(&all[1]) && all.len() == 2, "{all:?}");
    });
}

#[test]
fn a_timeout_tells_what_it_holds_to_be_lost_first() {
    with_each_isn(|isns| {
        let mut peer = open(isns, LISTENS);
        peer.writes(2_000);
        peer.passes(secs(1));
        let all = told();
        let timeout = all.iter().position(|told| *told == Told::Timeout).expect("there was one");
        let lost = all[..timeout].iter().filter(|told| matches!(told, Told::Lost { .. })).count();
        assert!(lost > 0, "{all:?}");
    });
}

#[test]
fn a_controller_that_takes_over_learns_from_what_is_out_already() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Cubic);
        peer.writes(40_000);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.passes(ms(100));
        peer.stack.configure(peer.id, |to| to.congestion = LISTENS).unwrap();
        told();
        // All that is delivered at once says nothing of a rate.
        peer.sends(&acked(5));
        assert_eq!((sample().rate(), peer.ignores_the_rest()), (0, 5));
        peer.passes(ms(100));
        peer.sends(&acked(15));
        let sample = sample();
        assert_eq!((sample.delivered, sample.interval), (10_000, Some(ms(100))));
    });
}

/// Sends until all has arrived; every segment is acknowledged after 100 ms.
fn transfers_the_rest(peer: &mut Peer, total: u32) -> Duration {
    let start = peer.now;
    let mut on_the_way: Vec<(Instant, u32)> = Vec::new();
    let mut furthest = 0;
    while furthest < total {
        let iss = peer.iss;
        for packet in peer.all() {
            on_the_way
                .push((peer.now + ms(100), iss.len_to(packet.seq) - 1 + packet.text.len() as u32));
        }
        let timer = peer.stack.poll_timeout().expect("there is something to do");
        let arrival = on_the_way.first().map_or(timer, |first| first.0);
        peer.passes(timer.min(arrival).since(peer.now));
        while let Some(&(at, end)) = on_the_way.first()
            && at <= peer.now
        {
            on_the_way.remove(0);
            furthest = furthest.max(end);
            peer.sends(&format!(". 1:1(0) ack {}", 1 + furthest));
        }
        assert!(peer.now < start + secs(60), "it gets nowhere");
    }
    peer.now.since(start)
}

#[test]
fn the_controller_of_a_live_connection_may_be_changed_both_ways_with_data_in_flight() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Cubic);
        peer.writes(100_000);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.passes(ms(100));
        peer.stack.configure(peer.id, |to| to.congestion = Congestion::Bbr).unwrap();
        assert_eq!(info(&peer).cwnd, 10_000, "it goes on with the window that there was");
        peer.sends(&acked(10));
        let sent = what_goes_out(&mut peer, ms(60));
        assert!(
            sent.len() >= 10 && sent.iter().filter(|(at, _)| *at == 0).count() <= 2,
            "{sent:?}"
        );
        let out = 10 + sent.len() as u32;
        peer.passes(ms(40));
        peer.sends(&acked(out));
        // And back, while the pacer waits.
        assert!(peer.ignores_the_rest() > 0);
        peer.stack.configure(peer.id, |to| to.congestion = Congestion::Cubic).unwrap();
        let sent = what_goes_out(&mut peer, ms(1));
        assert!(sent.iter().all(|(at, _)| *at == 0) && sent.len() >= 5, "{sent:?}");
        transfers_the_rest(&mut peer, 100_000);
        assert_eq!((info(&peer).timeouts, info(&peer).unsent), (0, 0));
    });
}

#[test]
fn a_change_in_the_midst_of_recovery_leaves_a_window_of_sense() {
    for (before, after) in
        [(Congestion::Bbr, Congestion::Cubic), (Congestion::Cubic, Congestion::Bbr)]
    {
        with_each_isn(|isns| {
            let mut peer = open(isns, before);
            peer.writes(60_000);
            peer.passes(ms(100));
            peer.ignores_the_rest();
            peer.sends(". 1:1(0) ack 1 <sack 2001:10001>");
            assert_eq!(info(&peer).phase, Phase::Recovery);
            peer.stack.configure(peer.id, |to| to.congestion = after).unwrap();
            peer.passes(ms(100));
            peer.ignores_the_rest();
            peer.sends(&acked(10));
            let Info { phase, cwnd, .. } = info(&peer);
            assert_eq!(phase, Phase::Open);
            assert!((4_000..=20_000).contains(&cwnd), "{cwnd} with {after:?}");
            transfers_the_rest(&mut peer, 60_000);
        });
    }
}

/// As [`Listens`], but it paces: a segment each 10 ms, and wants no samples.
#[derive(Debug)]
struct Paces;

impl Controller for Paces {
    fn cwnd(&self) -> u32 {
        10 * MSS
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(100_000)
    }

    fn on_ack(&mut self, _: &AckSample) {}

    fn on_loss(&mut self, _: &Loss) {}

    fn on_recovered(&mut self, _: u32) {}

    fn on_timeout(&mut self, _: &Loss, _: bool) {}

    fn on_idle(&mut self) {}

    fn on_mss(&mut self, _: u32) {}

    fn on_shrunk_path(&mut self) {}
}

#[test]
fn a_controller_from_elsewhere_may_pace() {
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Custom(|_| Box::new(Paces)));
        peer.writes(4_000);
        let sent = what_goes_out(&mut peer, ms(50));
        assert_eq!(sent, [(0, 1), (5, 2), (15, 3), (25, 4)]);
    });
}

/// What an absurd controller answers: window, threshold and rate, or each of two in turn.
type Answer = (u32, u32, Option<u64>);

#[derive(Debug)]
struct Absurd {
    answers: [Answer; 2],
    metered: bool,
    told: usize,
}

impl Absurd {
    fn answer(&self) -> Answer {
        self.answers[self.told % 2]
    }
}

impl Controller for Absurd {
    fn cwnd(&self) -> u32 {
        self.answer().0
    }

    fn ssthresh(&self) -> u32 {
        self.answer().1
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.answer().2
    }

    fn send_quantum(&self) -> Option<u32> {
        Some(self.answer().0)
    }

    fn wants_rate_samples(&self) -> bool {
        self.metered
    }

    fn marks_app_limited(&self) -> bool {
        self.told.is_multiple_of(2)
    }

    fn paces_recovery(&self) -> bool {
        self.metered
    }

    fn on_ack(&mut self, _: &AckSample) {
        self.told += 1;
    }

    fn on_loss(&mut self, _: &Loss) {
        self.told += 1;
    }

    fn on_recovered(&mut self, _: u32) {
        self.told += 1;
    }

    fn on_timeout(&mut self, _: &Loss, _: bool) {
        self.told += 1;
    }

    fn on_idle(&mut self) {
        self.told += 1;
    }

    fn on_mss(&mut self, _: u32) {
        self.told += 1;
    }

    fn on_shrunk_path(&mut self) {
        self.told += 1;
    }
}

thread_local! {
    /// What the next controller answers, and whether it wants to be told everything.
    static ABSURD: RefCell<([Answer; 2], bool)> = const { RefCell::new(([(0, 0, None); 2], false)) };
}

#[test]
fn whatever_a_controller_answers_a_transfer_over_a_path_with_losses_comes_to_its_end() {
    let absurd = Congestion::Custom(|_| {
        let (answers, metered) = ABSURD.with_borrow(|answers| *answers);
        Box::new(Absurd { answers, metered, told: 0 })
    });
    let nothing = (0, 0, None);
    let all = (u32::MAX, u32::MAX, Some(u64::MAX));
    let still = (1, 1, Some(0));
    // A segment in a second; a window that the threshold does not know of; and the other way round.
    let slow = (3_000, 0, Some(1_448));
    let wide = (u32::MAX, 0, None);
    let narrow = (0, u32::MAX, Some(u64::MAX));
    let answers = [nothing, all, still, slow, wide, narrow];
    for (n, first) in answers.into_iter().enumerate() {
        for second in answers {
            for (metered, loss) in [(false, 50), (true, 50), (true, 0)] {
                ABSURD.set(([first, second], metered));
                let mut net = Plan::new(n as u64 + 1)
                    .both(|config| config.tcp.congestion = absurd)
                    .wire(|faults| faults.loss = loss)
                    .build();
                let (client, server) = net.open();
                let took = net.transfer(Side::Client, client, server, 60_000);
                // 42 segments, each of which may wait for a second, and be lost, and back off.
                assert!(took < secs(600), "{took:?} with {first:?}, {second:?}, {metered}");
                let info = net.stack(Side::Client).info(client).unwrap();
                assert_eq!(info.congestion, absurd);
                assert!(info.pacing_rate != Some(0));
            }
        }
    }
}

#[test]
fn what_can_be_told_of_a_sender_says_who_rules_it_and_what_has_arrived() {
    // As tcpi_pacing_rate, tcpi_min_rtt and tcpi_delivered of Linux, and the name that `ss` shows.
    with_each_isn(|isns| {
        let mut peer = open(isns, Congestion::Cubic);
        let before = info(&peer);
        assert_eq!((before.congestion.to_string(), before.pacing_rate), ("cubic".into(), None));
        assert_eq!((before.min_rtt, before.bytes_delivered), (Some(ms(100)), 0));
        peer.writes(10_000);
        peer.ignores_the_rest();
        peer.passes(ms(60));
        peer.sends(". 1:1(0) ack 2001 <sack 4001:5001>");
        let after = info(&peer);
        assert_eq!((after.min_rtt, after.bytes_acked), (Some(ms(60)), 2_000));
        assert_eq!(after.bytes_delivered, 3_000);
        let custom = Congestion::Custom(|_| Box::new(Paces));
        peer.stack.configure(peer.id, |to| to.congestion = custom).unwrap();
        assert_eq!(info(&peer).congestion.to_string(), "custom");
        assert_eq!(info(&peer).pacing_rate, Some(100_000));
    });
    with_each_isn(|isns| {
        let peer = open(isns, Congestion::Bbr);
        // Section 5.6.2: 2.77 * 10 segments in 100 ms, less one in a hundred.
        let rate = info(&peer).pacing_rate.unwrap();
        assert!((270_000..=277_300).contains(&rate), "{rate}");
    });
}
