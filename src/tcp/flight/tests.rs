use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// What an ACK shows that has no timestamps.
fn evidence(now: Instant, min_rtt: u64) -> Evidence {
    Evidence { now, min_rtt: min_rtt * MS, echo: None }
}

/// A flight, and what a peer says of it.
struct Sender {
    start: SeqNum,
    flight: Flight,
    min_rtt: u64,
}

impl Sender {
    /// `segments` of 100 bytes, from just below the wrap, sent `apart` milliseconds apart from 0 on.
    fn new(segments: u32, apart: u64) -> Self {
        let start = SeqNum(u32::MAX - 149);
        let mut flight = Flight::default();
        for n in 0..segments {
            flight.on_sent(SeqRange::new(start + n * 100, 100), at(u64::from(n) * apart));
        }
        Self { start, flight, min_rtt: 100 }
    }

    /// Segments `from` up to but not including `to`.
    fn range(&self, from: u32, to: u32) -> SeqRange {
        SeqRange { start: self.start + from * 100, end: self.start + to * 100 }
    }

    /// An ACK at `ms` of the first `n` segments that reports `blocks`.
    fn hears(&mut self, ms: u64, n: u32, blocks: &[(u32, u32)]) -> Delivery {
        let evidence = evidence(at(ms), self.min_rtt);
        let mut delivery = Delivery::default();
        self.flight.begin_delivery(&mut delivery);
        for &(from, to) in blocks {
            self.flight.on_sacked(self.range(from, to), &evidence, &mut delivery);
        }
        self.flight.on_ack(self.start + n * 100, &evidence, &mut delivery);
        self.flight.note_delivery(at(ms), &delivery);
        delivery
    }

    fn detects(&mut self, ms: u64, window: u64) -> Losses {
        self.flight.detect_losses(at(ms), window * MS)
    }

    /// Sends again what is lost; answers the numbers of the segments.
    fn repairs(&mut self, ms: u64) -> Vec<u32> {
        let mut repaired = Vec::new();
        while let Some(range) = self.flight.next_lost(1_000) {
            self.flight.on_retransmitted(range, at(ms));
            repaired.push(self.start.len_to(range.start) / 100);
        }
        repaired
    }
}

#[test]
fn the_sample_is_that_of_the_oldest_segment_sent_once() {
    let mut sender = Sender::new(5, 1);
    let delivery = sender.hears(9, 3, &[]);
    assert_eq!((delivery.sent_at, delivery.retransmitted), (Some(at(0)), false));
    assert_eq!((delivery.len, delivery.sacked), (300, 0));
    assert_eq!(sender.flight.size(), 200);
}

#[test]
fn a_segment_sent_twice_gives_no_sample() {
    let mut sender = Sender::new(5, 1);
    sender.flight.mark_first_lost();
    assert_eq!(sender.repairs(50), [0]);
    let delivery = sender.hears(90, 1, &[]);
    assert_eq!((delivery.sent_at, delivery.retransmitted), (None, true));
    assert_eq!(delivery.original, None);
}

#[test]
fn a_smaller_mss_splits_what_is_sent_again() {
    let Sender { start, mut flight, .. } = Sender::new(5, 1);
    flight.mark_first_lost();
    let first = flight.next_lost(60).expect("one is lost");
    assert_eq!(first, SeqRange::new(start, 60));
    flight.on_retransmitted(first, at(9));
    let second = flight.next_lost(60).expect("its rest is lost");
    assert_eq!(second, SeqRange::new(start + 60, 40));
    flight.on_retransmitted(second, at(9));
    assert_eq!(flight.next_lost(60), None);
    flight.check(start, start + 500);
}

#[test]
fn a_segment_counts_as_reported_only_if_all_of_it_is() {
    let mut sender = Sender::new(10, 0);
    let mut delivery = Delivery::default();
    sender.flight.begin_delivery(&mut delivery);
    let evidence = evidence(at(1), 0);
    let (start, end) = (sender.start + 150, sender.start + 450);
    sender.flight.on_sacked(SeqRange { start, end }, &evidence, &mut delivery);
    assert_eq!((delivery.sacked, sender.flight.segments_sacked()), (200, 2));
    assert_eq!(sender.flight.in_network(), 800);
    // Again, and then with what was missing.
    sender.flight.on_sacked(SeqRange { start, end }, &evidence, &mut delivery);
    assert_eq!(delivery.sacked, 200);
    sender.flight.on_sacked(sender.range(1, 5), &evidence, &mut delivery);
    assert_eq!((delivery.sacked, delivery.len), (400, 400));
    sender.flight.check(sender.start, sender.start + 1_000);
}

#[test]
fn what_was_reported_is_not_delivered_again_when_it_is_acknowledged() {
    let mut sender = Sender::new(10, 0);
    assert_eq!(sender.hears(100, 0, &[(2, 5)]).len, 300);
    let delivery = sender.hears(101, 6, &[]);
    assert_eq!((delivery.len, delivery.sacked), (300, 0));
    assert_eq!(sender.flight.segments_sacked(), 0);
}

/// RFC 8985 section 9.1, first example: P1 and P3 of three are lost, and each is found lost when
/// what was sent after it is delivered.
#[test]
fn rfc_8985_example_1_drops_at_the_end_of_a_flight() {
    let mut sender = Sender::new(3, 30);
    sender.hears(130, 0, &[(1, 2)]);
    let losses = sender.detects(130, 25);
    assert_eq!((losses.len, losses.again, losses.next_at), (100, false, None));
    assert_eq!(sender.repairs(130), [0]);
    // R1 is acknowledged: it was sent after P3.
    sender.hears(230, 2, &[]);
    assert_eq!(sender.detects(230, 25).len, 100);
    assert_eq!(sender.repairs(230), [2]);
}

/// Second example: P1 and P2 are dropped, and R1 as well.
#[test]
fn rfc_8985_example_2_a_lost_retransmission() {
    let mut sender = Sender::new(3, 30);
    sender.hears(160, 0, &[(2, 3)]);
    assert_eq!(sender.detects(160, 25).len, 200);
    // They go out one after the other, by more than a reordering window apart.
    let first = sender.flight.next_lost(1_000).expect("P1 is lost");
    sender.flight.on_retransmitted(first, at(160));
    let second = sender.flight.next_lost(1_000).expect("P2 is lost");
    sender.flight.on_retransmitted(second, at(190));
    sender.hears(290, 0, &[(1, 3)]);
    let losses = sender.detects(290, 25);
    assert_eq!((losses.len, losses.again), (100, true));
    assert_eq!(sender.repairs(290), [0]);
    sender.flight.check(sender.start, sender.start + 300);
}

/// Third example: P3 overtakes P1 and P2, which have the reordering window to arrive.
#[test]
fn rfc_8985_example_3_reordering() {
    let mut sender = Sender::new(3, 0);
    sender.hears(100, 0, &[(2, 3)]);
    let losses = sender.detects(100, 25);
    assert_eq!((losses.len, losses.next_at), (0, Some(at(125))));
    assert_eq!(sender.detects(124, 25).len, 0);
    let mut late = Sender::new(3, 0);
    late.hears(100, 0, &[(2, 3)]);
    assert_eq!(late.detects(125, 25).len, 200, "by then they count as lost");
    // In time, and out of order.
    let delivery = sender.hears(124, 3, &[]);
    assert_eq!(delivery.reordered, Some(sender.start));
    assert_eq!(sender.detects(124, 25), Losses::default());
}

#[test]
fn what_comes_in_order_within_one_ack_is_not_reordered() {
    let mut sender = Sender::new(9, 0);
    assert_eq!(sender.hears(100, 1, &[(5, 6), (2, 3)]).reordered, None, "whatever the order");
    assert_eq!(sender.hears(101, 1, &[(5, 7), (2, 3)]).reordered, None);
    let overtaken = sender.hears(102, 1, &[(2, 4), (5, 7)]).reordered;
    assert_eq!(overtaken, Some(sender.start + 300));
    assert_eq!(sender.flight.extent(), 400);
}

#[test]
fn the_timer_waits_for_the_last_segment_that_may_be_lost() {
    // Sent 10 ms apart; the third and the sixth are reported.
    let mut sender = Sender::new(8, 10);
    sender.hears(120, 0, &[(2, 3)]);
    assert_eq!(sender.detects(120, 25).next_at, Some(at(10 + 100 + 25)));
    sender.hears(150, 0, &[(2, 3), (5, 6)]);
    let losses = sender.detects(150, 25);
    assert_eq!((losses.len, losses.next_at), (200, Some(at(40 + 100 + 25))));
    // The fifth arrives: the fourth is left.
    sender.hears(151, 0, &[(4, 6)]);
    assert_eq!(sender.detects(151, 25).next_at, Some(at(30 + 111 + 25)));
}

#[test]
fn while_a_queue_drains_what_was_overtaken_has_as_long_as_what_overtook_it() {
    // Sent 10 ms apart; the second has waited for 100 ms in a queue, the fifth for none.
    let mut sender = Sender::new(6, 10);
    sender.hears(210, 0, &[(1, 2)]);
    assert_eq!(sender.detects(210, 25).next_at, Some(at(200 + 25)));
    sender.hears(211, 0, &[(1, 4)]);
    sender.hears(212, 0, &[(1, 5)]);
    // RACK.rtt is 172 ms by now, with which the first would be lost after 197.
    assert_eq!(sender.detects(212, 25), Losses { next_at: Some(at(225)), ..Losses::default() });
    assert_eq!(sender.detects(225, 25).len, 100);
}

#[test]
fn what_a_retransmission_may_overtake_says_nothing_of_congestion_when_it_is_lost() {
    // Sent 10 ms apart, the first lost and sent again at 100 ms.
    let mut sender = Sender::new(10, 10);
    sender.hears(95, 0, &[(1, 4)]);
    assert_eq!(sender.detects(95, 0).len, 100);
    assert!(sender.flight.has_congestion_loss());
    sender.flight.on_overtaking(at(100), 25 * MS);
    assert_eq!(sender.repairs(100), [0]);
    // Those sent at 80 and 90 ms had 25 ms to arrive.
    sender.hears(200, 4, &[(5, 8), (9, 10)]);
    assert_eq!(sender.detects(200, 0).len, 200);
    assert!(sender.flight.has_congestion_loss(), "the fifth, of 40 ms");
    assert_eq!(sender.flight.next_lost(100), Some(sender.range(4, 5)));
    sender.hears(201, 8, &[(9, 10)]);
    assert!(sender.flight.has_lost() && !sender.flight.has_congestion_loss(), "the ninth");
    assert_eq!(sender.repairs(202), [8]);
    sender.flight.check(sender.start + 800, sender.start + 1_000);
    // Sent again, it is as any other.
    sender.flight.on_sent(SeqRange::new(sender.start + 1_000, 100), at(210));
    sender.hears(320, 8, &[(9, 11)]);
    assert_eq!(sender.detects(320, 0).len, 100);
    assert!(sender.flight.has_congestion_loss());
}

#[test]
fn a_retransmission_acknowledged_too_soon_tells_nothing() {
    // RFC 8985 section 6.2, step 2: the original has arrived.
    let mut sender = Sender::new(4, 0);
    sender.hears(100, 0, &[(1, 2)]);
    sender.detects(100, 0);
    assert_eq!(sender.repairs(100), [0]);
    sender.hears(110, 1, &[(1, 2)]);
    assert_eq!(
        sender.detects(110, 0).len,
        0,
        "what was sent before the retransmission is not lost"
    );
    // By its echo, where there are timestamps, however late it comes.
    let mut sender = Sender::new(4, 0);
    sender.hears(100, 0, &[(1, 2)]);
    sender.detects(100, 0);
    sender.repairs(100);
    for (echo, lost) in [(99, 0), (100, 200)] {
        let evidence = Evidence { echo: Some((echo, 0)), ..evidence(at(300), 100) };
        let mut delivery = Delivery::default();
        sender.flight.begin_delivery(&mut delivery);
        sender.flight.on_sacked(sender.range(0, 1), &evidence, &mut delivery);
        sender.flight.note_delivery(at(300), &delivery);
        assert_eq!(sender.detects(300, 0).len, lost, "{echo}");
        let again = sender.flight.records.front_mut().expect("it is there");
        again.sacked = false;
        (sender.flight.sacked_len, sender.flight.segments_sacked) = (100, 1);
        sender.flight.again_len = 100;
        sender.flight.sacked.remove(sender.range(0, 1));
    }
}

#[test]
fn after_a_timeout_what_was_sent_lately_is_not_lost() {
    // RFC 8985 section 6.3.
    let mut sender = Sender::new(5, 50);
    sender.flight.mark_lost_on_timeout(at(240), 100 * MS, 25 * MS);
    assert_eq!(sender.flight.count(), (5, 3, 0, 0));
}

#[test]
fn a_peer_that_has_thrown_away_its_oldest_is_believed_in_nothing() {
    // RFC 2018 section 8.
    let mut sender = Sender::new(6, 0);
    sender.hears(100, 0, &[(1, 3), (4, 5)]);
    sender.flight.mark_lost_on_timeout(at(400), 100 * MS, 0);
    assert_eq!(sender.flight.count(), (6, 3, 0, 3), "as long as it is not the oldest");
    sender.hears(401, 1, &[]);
    assert!(sender.flight.has_reneged());
    sender.flight.mark_lost_on_timeout(at(800), 100 * MS, 0);
    assert_eq!(sender.flight.count(), (5, 5, 0, 0));
    sender.flight.check(sender.start + 100, sender.start + 600);
    assert_eq!(sender.repairs(800), [1, 2, 3, 4, 5]);
}

#[test]
fn runs_beyond_a_bound_are_ignored_and_the_others_may_still_grow() {
    let most = MOST_RUNS as u32;
    let mut sender = Sender::new(2 * most + 10, 0);
    for n in 0..most + 3 {
        sender.hears(100, 0, &[(2 * n + 1, 2 * n + 2)]);
    }
    assert_eq!(sender.flight.segments_sacked(), most);
    assert_eq!(sender.hears(100, 0, &[(2, 3)]).sacked, 100, "between two runs");
    assert_eq!(sender.hears(100, 0, &[(2 * most + 3, 2 * most + 4)]).sacked, 100);
    sender.flight.check(sender.start, sender.start + (2 * most + 10) * 100);
}

#[test]
fn a_report_that_was_late_is_told_from_one_that_was_not() {
    let mut sender = Sender::new(6, 0);
    sender.hears(100, 0, &[(2, 6)]);
    sender.detects(100, 0);
    assert_eq!(sender.repairs(100), [0, 1]);
    assert!(!sender.flight.is_late(sender.range(1, 2)), "it has not arrived at all");
    sender.hears(101, 0, &[(1, 6)]);
    assert!(sender.flight.is_late(sender.range(1, 2)));
    assert!(!sender.flight.is_late(sender.range(3, 4)), "it was sent once");
}

/// The scoreboard and RACK as the RFCs have them: a list that is walked from end to end.
#[derive(Clone, Debug, Default)]
struct Model {
    segments: Vec<Sent>,
    newest: Option<Transmission>,
    rtt: u64,
}

impl Model {
    fn deliver(&mut self, una: SeqNum, blocks: &[SeqRange], evidence: &Evidence) -> (u32, u32) {
        let (mut len, mut sacked) = (0, 0);
        let mut newest: Option<Transmission> = None;
        let mut last = None;
        let covers = |segment: &Sent, block: &SeqRange| {
            block.start.is_at_or_before(segment.range.start)
                && segment.range.end.is_at_or_before(block.end)
        };
        let everything = SeqRange { start: una - (1 << 30), end: una };
        for (n, block) in blocks.iter().chain([&everything]).enumerate() {
            for segment in &mut self.segments {
                if segment.sacked || !covers(segment, block) {
                    continue;
                }
                len += segment.range.len();
                sacked += if n < blocks.len() { segment.range.len() } else { 0 };
                (segment.sacked, segment.lost) = (true, false);
                if rack::counts(evidence, segment.sent_at, segment.retransmitted) {
                    last = Some(segment.sent_at);
                    if newest.is_none_or(|newest| segment.transmission().is_after(newest)) {
                        newest = Some(segment.transmission());
                    }
                }
            }
        }
        self.segments.retain(|segment| segment.range.end.is_after(una));
        if let (Some(newest), Some(last)) = (newest, last) {
            self.rtt = evidence.now.as_nanos() - last.as_nanos();
            if self.newest.is_none_or(|before| newest.is_after(before)) {
                self.newest = Some(newest);
            }
        }
        if self.segments.is_empty() {
            self.newest = None;
        }
        (len, sacked)
    }

    /// After RACK.rtt as it is, or as it was when the segment was overtaken if that is more.
    fn deadline(rtt: u64, segment: &Sent, window: u64) -> Instant {
        let then = if segment.retransmitted { 0 } else { segment.overtaken_rtt };
        let rtt = rtt.max(u64::from(then) * 1_000);
        Instant::from_nanos(segment.sent_at.as_nanos() + rtt + window)
    }

    fn detect(&mut self, now: Instant, window: u64) -> u32 {
        let mut lost = 0;
        // Of those that were sent once none is lost before one that was sent earlier.
        let mut earlier = Instant::default();
        for segment in &mut self.segments {
            let older = self.newest.is_some_and(|newest| newest.is_after(segment.transmission()));
            if older && segment.is_fresh() {
                segment.note_overtaken(self.rtt);
            }
            let mut deadline = Self::deadline(self.rtt, segment, window);
            if segment.is_fresh() {
                earlier = earlier.max(deadline);
                deadline = earlier;
            }
            if !segment.sacked && !segment.lost && older && deadline <= now {
                segment.lost = true;
                lost += segment.range.len();
            }
        }
        lost
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32),
    /// Of SND.UNA, in segments; blocks from there.
    Hear(u32, Vec<(u32, u32)>),
    Repair(usize),
    Timeout,
    Undo,
}

fn step() -> impl Strategy<Value = Step> {
    let block = (0u32..30, 1u32..6);
    prop_oneof![
        4 => (1u32..6).prop_map(Step::Send),
        8 => (prop_oneof![3 => Just(0u32), 1 => 1u32..5], proptest::collection::vec(block, 0..4))
            .prop_map(|(ack, blocks)| Step::Hear(ack, blocks)),
        4 => (1usize..6).prop_map(Step::Repair),
        1 => Just(Step::Timeout),
        1 => Just(Step::Undo),
    ]
}

proptest! {
    /// Whatever happens, the walks in order find what a walk over everything finds.
    #[test]
    fn agrees_with_a_list_that_is_walked(
        start: u32, steps in proptest::collection::vec((step(), 0u64..20), 1..80), window in 0u64..40,
        measured_from in 0usize..120,
    ) {
        let window = window * MS;
        let mut una = SeqNum(start);
        let mut nxt = una;
        let mut flight = Flight::default();
        let mut model = Model::default();
        let mut now = 1_000;
        for (n, (step, pause)) in steps.into_iter().enumerate() {
            now += pause;
            if n == measured_from {
                // From here on a controller wants samples, whatever is out.
                flight.start_meter(at(now), u64::MAX);
            }
            let delivered = flight.delivered();
            match step {
                Step::Send(segments) => {
                    for _ in 0..segments {
                        let range = SeqRange::new(nxt, 100);
                        flight.on_sent(range, at(now));
                        model.segments.push(Sent::new(range, at(now)));
                        nxt = range.end;
                    }
                }
                Step::Hear(ack, blocks) => {
                    let evidence = evidence(at(now), 10);
                    let before = una;
                    // What the peer has is not acknowledged in part: it would be reneging.
                    let mut to = (una + ack * 100).earlier(nxt);
                    let blocks: Vec<SeqRange> = blocks
                        .into_iter()
                        .map(|(from, len)| {
                            let start = (before + 100 + from * 100).earlier(nxt);
                            SeqRange { start, end: (start + len * 100).earlier(nxt) }
                        })
                        .filter(|block| !block.is_empty())
                        .collect();
                    loop {
                        let has = |segment: &&Sent| segment.range.start == to && segment.sacked;
                        let reported = blocks.iter().find(|block| block.contains(to));
                        if let Some(block) = reported {
                            to = block.end;
                        } else if let Some(segment) = model.segments.iter().find(has) {
                            to = segment.range.end;
                        } else {
                            break;
                        }
                    }
                    if ack == 0 {
                        to = una;
                    }
                    let mut delivery = Delivery::default();
                    flight.begin_delivery(&mut delivery);
                    for block in &blocks {
                        flight.on_sacked(*block, &evidence, &mut delivery);
                    }
                    flight.on_ack(to, &evidence, &mut delivery);
                    flight.note_delivery(at(now), &delivery);
                    una = to;
                    prop_assert_eq!((delivery.len, delivery.sacked), model.deliver(to, &blocks, &evidence));
                    let is_delivered = delivered.map(|before| before + u64::from(delivery.len));
                    prop_assert_eq!(flight.delivered(), is_delivered);
                    let sample = flight.take_sample(at(now));
                    prop_assert_eq!(sample.is_some(), delivered.is_some() && delivery.len > 0);
                    let losses = flight.detect_losses(at(now), window);
                    let mut told = 0;
                    flight.tell_lost(at(now), |packet| told += packet.len);
                    prop_assert_eq!(told, if delivered.is_some() { losses.len } else { 0 });
                    prop_assert_eq!(losses.len, model.detect(at(now), window));
                    let waits = model.segments.iter().filter(|segment| {
                        !segment.sacked && !segment.lost
                            && model.newest.is_some_and(|newest| newest.is_after(segment.transmission()))
                    });
                    let waits: Vec<_> =
                        waits.map(|segment| Model::deadline(model.rtt, segment, window)).collect();
                    // Never too early for the first and the last of them, and no later than
                    // RACK.segment would be lost, or what was overtaken when RACK.rtt was more.
                    let least = waits.first().max(waits.last()).copied();
                    let exact = waits.iter().max().copied();
                    prop_assert!(losses.next_at >= least, "{:?} {:?}", losses, least);
                    let last = model.newest.map(|newest| newest.at.as_nanos() + model.rtt + window);
                    prop_assert!(losses.next_at <= last.map(Instant::from_nanos).max(exact));
                }
                Step::Repair(most) => {
                    for _ in 0..most {
                        let lost = model.segments.iter_mut().find(|segment| segment.lost);
                        let range = flight.next_lost(1_000);
                        prop_assert_eq!(range, lost.as_ref().map(|segment| segment.range));
                        let (Some(range), Some(segment)) = (range, lost) else { break };
                        flight.on_retransmitted(range, at(now));
                        *segment = Sent { retransmitted: true, ..Sent::new(segment.range, at(now)) };
                    }
                }
                Step::Timeout => {
                    flight.mark_lost_on_timeout(at(now), 10 * MS, window);
                    flight.tell_lost(at(now), |_| {});
                    let rtt = if model.newest.is_some() { model.rtt } else { 10 * MS };
                    for (n, segment) in model.segments.iter_mut().enumerate() {
                        let due = segment.sent_at.as_nanos() + rtt + window <= at(now).as_nanos();
                        segment.lost |= !segment.sacked && (n == 0 || due);
                    }
                }
                Step::Undo => {
                    flight.forget_lost();
                    for segment in &mut model.segments {
                        segment.lost = false;
                    }
                }
            }
            flight.check(una, nxt);
            prop_assert_eq!(flight.size(), una.len_to(nxt));
            let out = model.segments.iter().filter(|segment| segment.is_in_network());
            prop_assert_eq!(flight.in_network(), out.map(|segment| segment.range.len()).sum::<u32>());
            let (out, lost, again, sacked) = flight.count();
            let count = |is: fn(&Sent) -> bool| model.segments.iter().filter(|s| is(s)).count() as u32;
            prop_assert_eq!(out, count(|_| true));
            prop_assert_eq!(lost, count(|s| s.lost));
            prop_assert_eq!(sacked, count(|s| s.sacked));
            prop_assert_eq!(again, count(|s| s.retransmitted && s.is_in_network()));
        }
    }
}
