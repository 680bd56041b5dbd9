//! Losses, and what only looks like them, where the peer reports what it has received (RFC 2018,
//! RFC 2883): RACK (RFC 8985), proportional rate reduction (RFC 9937), and what is taken back of a
//! reduction that was for nothing (RFC 3522, RFC 4015, RFC 5682).

#![allow(clippy::unwrap_used)]

mod common;

use common::pair::{Plan, Side};
use common::peer::{Isns, Peer, with_each_isn};
use common::random::Random;
use common::{ms, secs};
use tunstack::Config;
use tunstack::tcp::congestion::{AckSample, Congestion, Controller, Loss};
use tunstack::tcp::{Info, Phase};
use tunstack::wire::Frame;

/// Bytes of text in a full segment without timestamps.
const MSS: u32 = 1_000;
/// Options with timestamps, and segments as large.
const STAMPED: &str = "mss 1012,sackOK,TS val 1 ecr 0";

/// A connection whose handshake has taken 100 ms, and whose window is halved by a loss.
fn open(isns: Isns, options: &str) -> Peer {
    open_with(isns, options, Congestion::NewReno)
}

fn open_with(isns: Isns, options: &str, congestion: Congestion) -> Peer {
    open_set(isns, options, |config| config.tcp.congestion = congestion)
}

fn open_set(isns: Isns, options: &str, set: impl FnOnce(&mut Config)) -> Peer {
    Peer::established_over(ms(100), isns, options, set)
}

fn plain(isns: Isns) -> Peer {
    open(isns, "mss 1000,sackOK")
}

/// The same with timestamps, and segments as large.
fn stamped(isns: Isns) -> Peer {
    open(isns, STAMPED)
}

fn segment(n: u32) -> String {
    let (start, end) = (1 + (n - 1) * MSS, 1 + n * MSS);
    format!(". {start}:{end}({MSS}) ack 1")
}

#[track_caller]
fn hears_segments(peer: &mut Peer, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        peer.hears(&segment(n));
    }
    peer.hears_nothing();
}

/// An ACK of the first `acked` segments that reports those from `from` to `to` for each pair.
fn sack(acked: u32, blocks: &[(u32, u32)]) -> String {
    let blocks: Vec<String> = blocks
        .iter()
        .map(|(from, to)| format!("{}:{}", 1 + (from - 1) * MSS, 1 + to * MSS))
        .collect();
    format!(". 1:1(0) ack {} <sack {}>", 1 + acked * MSS, blocks.join(" "))
}

/// The same with the timestamp of what came last.
fn sack_stamped(peer: &Peer, acked: u32, blocks: &[(u32, u32)], echo: u32) -> String {
    let value = peer.packet(". 1:1(0) ack 1").options.timestamps.unwrap().value;
    let line = sack(acked, blocks);
    line.replace("<sack", &format!("<TS val {value} ecr {echo},sack"))
}

fn info(peer: &Peer) -> Info {
    peer.stack.info(peer.id).unwrap()
}

// Finding losses.

#[test]
fn one_reported_segment_gives_the_others_a_quarter_of_a_round_trip() {
    // RFC 8985 6.2, steps 4 and 5: min_RTT / 4, and the grain of clocks.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(4 * MSS as usize);
        hears_segments(&mut peer, 1..=4);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(4, 4)]));
        assert_eq!(info(&peer).phase, Phase::Disorder);
        peer.hears_within(ms(25)..=ms(28), &segment(1));
        let after = info(&peer);
        assert_eq!((after.phase, after.segments_lost), (Phase::Recovery, 2));
    });
}

#[test]
fn what_arrives_within_the_reordering_window_is_not_sent_again() {
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(4 * MSS as usize);
        hears_segments(&mut peer, 1..=4);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(4, 4)]));
        peer.passes(ms(24));
        peer.sends(". 1:1(0) ack 4001");
        peer.passes(secs(10));
        peer.hears_nothing();
        assert_eq!(info(&peer).retransmissions, 0);
    });
}

#[test]
fn once_reordering_has_been_seen_three_reported_segments_are_no_loss() {
    // RFC 8985 6.2, step 4: "if some reordering has been observed, then RACK does not trigger fast
    // recovery based on DupThresh".
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(4 * MSS as usize);
        hears_segments(&mut peer, 1..=4);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 2)]));
        peer.sends(". 1:1(0) ack 4001");
        peer.writes(6 * MSS as usize);
        hears_segments(&mut peer, 5..=10);
        peer.passes(ms(100));
        peer.sends(&sack(4, &[(6, 10)]));
        peer.hears_nothing();
        peer.hears_within(ms(25)..=ms(28), &segment(5));
    });
}

#[test]
fn scattered_losses_of_one_window_are_repaired_in_a_round_trip() {
    // Whatever is lost, the rest of the window tells of it.
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut lost: Vec<usize> =
            (0..1 + random.below(8)).map(|_| 1 + random.below(24) as usize).collect();
        lost.sort_unstable();
        lost.dedup();
        let mut net = Plan::new(seed).isns(u32::MAX - 20_000, 9).build();
        let (client, server) = net.open();
        // The window opens first.
        net.transfer(Side::Client, client, server, 60_000);
        let before = net.stack(Side::Client).info(client).unwrap();
        let rtt = before.rtt.unwrap();
        net.link_from(Side::Client).drop_data(&lost);
        let total = net.write_pattern(Side::Client, client, 60_000, 30 * 1_460);
        let (start, mut read) = (net.now, 0);
        net.run_until("all has arrived", |net| {
            read += net.read_pattern(Side::Server, server, 60_000 + read);
            read == total
        });
        let took = net.now.since(start);
        // Half a round trip there, half back with the report, half for the repair; the window may
        // hold back the end.
        assert!(took <= rtt * 3 + rtt / 4, "{lost:?}: {took:?} of {rtt:?}");
        let after = net.stack(Side::Client).info(client).unwrap();
        assert_eq!(after.retransmissions as usize, lost.len(), "{lost:?}");
    }
}

#[test]
fn a_lost_retransmission_is_sent_again_without_a_timeout() {
    // RFC 8985 9.1, second example.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(20 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 4)]));
        peer.hears(&segment(1));
        peer.passes(ms(10));
        peer.sends(&sack(0, &[(2, 10)]));
        assert!(peer.ignores_the_rest() > 1, "new text goes on");
        // What was sent behind the retransmission arrives, and that does not.
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 11)]));
        peer.hears(&segment(1));
        assert_eq!(info(&peer).retries, 0);
    });
}

#[test]
fn a_lost_end_is_repaired_by_a_probe_and_what_it_reports() {
    // RFC 8985 7: three of eight are lost, the last among them.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(8 * MSS as usize);
        hears_segments(&mut peer, 1..=8);
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 5001");
        peer.hears_within(ms(100)..=ms(299), "P. 7001:8001(1000) ack 1");
        peer.passes(ms(100));
        peer.sends(&sack(5, &[(8, 8)]));
        peer.hears(&segment(6));
        peer.passes(ms(100));
        peer.sends(&sack(6, &[(8, 8)]));
        peer.hears(&segment(7));
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 8001");
        peer.passes(secs(10));
        peer.hears_nothing();
        let after = info(&peer);
        assert_eq!((after.retransmissions, after.phase), (3, Phase::Open));
    });
}

#[test]
fn where_a_retransmission_gets_no_answer_a_probe_asks_before_the_timer_runs_out() {
    // Beyond RFC 8985 7.2, which leaves a recovery that hears nothing to the timeout.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(20 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 10)]));
        peer.hears(&segment(1));
        let new = peer.ignores_the_rest() as u32;
        assert!(new > 0, "it is in proportion to what was delivered");
        // Two round trips and the grain of timers, instead of a retransmission timeout of 300 ms.
        peer.hears_within(ms(190)..=ms(210), &segment(11 + new));
        // What follows it tells that the retransmission is lost.
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 10), (11 + new, 11 + new)]));
        peer.hears(&segment(1));
        assert_eq!(info(&peer).retries, 0);
    });
}

#[test]
fn without_new_text_the_probe_of_a_recovery_is_what_has_not_been_reported() {
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(10 * MSS as usize);
        for n in 1..=9 {
            peer.hears(&segment(n));
        }
        peer.ignores_the_rest();
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 10)]));
        hears_segments(&mut peer, [1]);
        peer.hears_within(ms(190)..=ms(210), &segment(1));
        // Nor is that answered: one probe is all, and the rest is the timer's.
        peer.hears_within(ms(290)..=ms(700), &segment(1));
        assert_eq!(info(&peer).retries, 1);
        // After a timeout the timer backs off, and nothing is sent in between.
        peer.hears_within(ms(590)..=ms(1_400), &segment(1));
        assert_eq!(info(&peer).retries, 2);
        peer.sends(". 1:1(0) ack 10001");
        peer.passes(secs(10));
        peer.hears_nothing();
    });
}

#[test]
fn who_wants_no_probes_gets_none_in_recovery_either() {
    with_each_isn(|isns| {
        let no_probes = |config: &mut Config| config.tcp.tail_loss_probe = false;
        let mut peer = open_set(isns, "mss 1000,sackOK", no_probes);
        peer.writes(20 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 10)]));
        peer.hears(&segment(1));
        peer.ignores_the_rest();
        peer.hears_within(ms(290)..=ms(400), &segment(1));
        assert_eq!(info(&peer).retries, 1);
    });
}

#[test]
fn while_a_hole_is_being_filled_there_is_room_to_write_what_goes_out_behind_it() {
    // SND.UNA stands still, and what is reported makes room in the network, but none in a buffer
    // that holds no more than the window.
    with_each_isn(|isns| {
        let mut peer = open(isns, "mss 1000,sackOK,wscale 7");
        let text = [0; 1 << 20];
        // Bytes that go out.
        let fills = |peer: &mut Peer| {
            peer.stack.write(peer.id, &text).unwrap();
            peer.all().iter().map(|packet| packet.text.len() as u32).sum::<u32>()
        };
        let mut acked = 0;
        // Until the window is more than the buffer holds at least.
        while info(&peer).cwnd < 200 * MSS {
            acked += fills(&mut peer);
            peer.passes(ms(100));
            peer.sends(&format!(". 1:1(0) ack {}", 1 + acked));
        }
        let flight = fills(&mut peer) / MSS;
        peer.passes(ms(100));
        // All but the first of them arrive.
        let mut sent = 0;
        for reported in 4..=flight {
            let (start, end) = (1 + acked + MSS, 1 + acked + reported * MSS);
            peer.sends(&format!(". 1:1(0) ack {} <sack {start}:{end}>", 1 + acked));
            sent += fills(&mut peer) / MSS;
        }
        assert_eq!(info(&peer).phase, Phase::Recovery);
        // In proportion: the window is halved, and the retransmission is one of them.
        assert!(sent.abs_diff(flight / 2) < 5, "{sent} for {flight} segments");
    });
}

#[test]
fn below_the_acknowledged_a_report_counts_too() {
    // An ACK that was overtaken reports what the one that overtook it had no room for.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 4001");
        peer.sends(&sack(3, &[(6, 7)]));
        assert_eq!(info(&peer).segments_sacked, 2);
    });
}

#[test]
fn blocks_that_say_what_cannot_be_change_nothing() {
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 2001");
        for block in ["10001:12001", "5001:3001", "1:9001", "2001:2001", "4294960000:4294967000"] {
            peer.sends(&format!(". 1:1(0) ack 2001 <sack {block}>"));
            let after = info(&peer);
            assert_eq!((after.segments_sacked, after.segments_lost), (0, 0), "{block}");
        }
        // In part.
        peer.sends(". 1:1(0) ack 2001 <sack 3500:4999>");
        assert_eq!(info(&peer).segments_sacked, 0);
        peer.sends(". 1:1(0) ack 2001 <sack 3500:5001>");
        assert_eq!(info(&peer).segments_sacked, 1);
    });
}

// How much is sent meanwhile.

#[test]
fn recovery_sends_in_proportion_to_what_is_delivered() {
    // RFC 9937 6.2: with ssthresh at half of the flight about one segment for two, and at the end
    // ssthresh is out.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(90 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        for n in 1..=10 {
            peer.sends(&format!(". 1:1(0) ack {}", 1 + n * MSS));
        }
        hears_segments(&mut peer, 11..=30);
        peer.passes(ms(100));
        // The first of twenty is lost.
        peer.sends(&sack(10, &[(12, 12)]));
        peer.sends(&sack(10, &[(12, 13)]));
        hears_segments(&mut peer, 31..=32);
        peer.passes(ms(1));
        peer.sends(&sack(10, &[(12, 14)]));
        hears_segments(&mut peer, [11]);
        let mut sent = Vec::new();
        for n in 15..=32 {
            peer.passes(ms(1));
            peer.sends(&sack(10, &[(12, n)]));
            sent.push(peer.ignores_the_rest());
        }
        assert!(sent.iter().all(|&n| n <= 1), "no burst: {sent:?}");
        assert!(
            sent.windows(3).all(|three| three.iter().sum::<usize>() >= 1),
            "no silence: {sent:?}"
        );
        let during = info(&peer);
        assert_eq!(during.ssthresh, 10 * MSS);
        peer.sends(&format!(". 1:1(0) ack {}", 1 + 32 * MSS));
        let after = info(&peer);
        assert_eq!((after.phase, after.cwnd), (Phase::Open, 10 * MSS));
    });
}

/// A window of ten segments and a half, and half of that after a loss.
#[derive(Debug)]
struct HalfSegments(u32);

impl Controller for HalfSegments {
    fn cwnd(&self) -> u32 {
        self.0
    }

    fn ssthresh(&self) -> u32 {
        self.0
    }

    fn on_ack(&mut self, _: &AckSample) {}

    fn on_loss(&mut self, _: &Loss) {
        self.0 /= 2;
    }

    fn on_recovered(&mut self, _: u32) {}

    fn on_timeout(&mut self, _: &Loss, _: bool) {}

    fn on_idle(&mut self) {}

    fn on_mss(&mut self, _: u32) {}

    fn on_shrunk_path(&mut self) {}
}

#[test]
fn where_an_ack_is_lost_recovery_begins_with_no_segment_more_than_half_of_what_was_delivered() {
    // RFC 9937 6.2: "sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out" is 1,050 bytes
    // when the ACK that begins recovery reports two segments: one segment, and no part of another.
    // The router's queue, which is full, has room for no more.
    let custom = Congestion::Custom(|mss| Box::new(HalfSegments(10 * mss + mss / 2)));
    with_each_isn(|isns| {
        let mut peer = open_with(isns, "mss 1000,sackOK", custom);
        peer.writes(30 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 3)]));
        hears_segments(&mut peer, 11..=12);
        peer.passes(ms(1));
        peer.sends(&sack(0, &[(2, 5)]));
        assert_eq!(info(&peer).phase, Phase::Recovery);
        hears_segments(&mut peer, [1]);
        // 3 * 5 / 10 of a segment, of which one is out: the next.
        peer.passes(ms(1));
        peer.sends(&sack(0, &[(2, 6)]));
        hears_segments(&mut peer, [13]);
    });
}

#[test]
fn a_lost_retransmission_shows_by_one_that_is_reported_beyond_the_hole() {
    // RFC 8985 6.2; there the peer echoes what came before the hole (RFC 7323 4.3).
    with_each_isn(|isns| {
        let mut peer = stamped(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        let echo = peer.ts_recent;
        peer.passes(ms(100));
        for n in 5..=10 {
            let line = sack_stamped(&peer, 0, &[(3, n)], echo);
            peer.sends(&line);
        }
        hears_segments(&mut peer, 1..=2);
        peer.passes(ms(100));
        let line = sack_stamped(&peer, 0, &[(2, 10)], echo);
        peer.sends(&line);
        peer.hears(&segment(1));
        assert_eq!(info(&peer).timeouts, 0);
    });
}

// What was for nothing.

#[test]
fn an_echo_from_before_the_retransmission_takes_the_reduction_back() {
    // RFC 3522 3.2, RFC 4015 3.2: the first of ten was late by more than the reordering window.
    with_each_isn(|isns| {
        let mut peer = stamped(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        let echo = peer.ts_recent;
        let before = info(&peer);
        peer.passes(ms(100));
        let line = sack_stamped(&peer, 0, &[(2, 4)], echo);
        peer.sends(&line);
        peer.hears(&segment(1));
        assert!(info(&peer).cwnd < before.cwnd);
        peer.passes(ms(5));
        let line = sack_stamped(&peer, 10, &[(1, 1)], echo).replace(",sack 1:1001", "");
        peer.sends(&line);
        let after = info(&peer);
        assert_eq!(after.phase, Phase::Open);
        assert_eq!((after.cwnd, after.ssthresh), (before.cwnd, before.ssthresh));
    });
}

#[test]
fn when_all_that_was_sent_again_has_come_twice_the_reduction_is_taken_back() {
    // RFC 2883 5.2, RFC 3708. There are no timestamps.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        let before = info(&peer);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 4)]));
        peer.hears(&segment(1));
        peer.passes(ms(5));
        peer.sends(". 1:1(0) ack 10001");
        let over = info(&peer);
        assert_eq!((over.phase, over.cwnd), (Phase::Open, 5 * MSS));
        peer.sends(". 1:1(0) ack 10001 <sack 1:1001>");
        let after = info(&peer);
        assert_eq!((after.cwnd, after.ssthresh), (before.cwnd, before.ssthresh));
        // And nothing is lost the next time that is a little late.
        peer.writes(6 * MSS as usize);
        hears_segments(&mut peer, 11..=16);
        peer.passes(ms(100));
        peer.sends(&sack(10, &[(12, 15)]));
        peer.hears_nothing();
    });
}

#[test]
fn a_report_of_something_else_takes_nothing_back() {
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(3, 5)]));
        peer.hears(&segment(1));
        peer.passes(ms(5));
        peer.sends(&sack(0, &[(3, 10)]));
        peer.hears(&segment(2));
        peer.sends(". 1:1(0) ack 10001 <sack 1:1001>");
        assert_eq!(info(&peer).cwnd, 5 * MSS, "one of two");
    });
}

#[test]
fn a_timeout_for_which_the_path_was_only_slow_is_found_out_by_its_answer() {
    // RFC 5682 3.1: the ACKs of what was sent before the timeout come in after it.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(40 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        let before = info(&peer);
        // A probe of new text, then the timeout.
        peer.hears_within(ms(202)..=ms(203), &segment(11));
        peer.hears_within(ms(200)..=ms(400), &segment(1));
        assert_eq!(info(&peer).phase, Phase::Loss);
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 1001");
        hears_segments(&mut peer, 12..=13);
        peer.sends(". 1:1(0) ack 2001");
        let after = info(&peer);
        assert_eq!((after.phase, after.retransmissions), (Phase::Open, 1));
        assert!(after.cwnd >= before.cwnd && after.ssthresh == before.ssthresh, "{after:?}");
        assert_eq!(after.segments_lost, 0);
    });
}

#[test]
fn a_timeout_that_was_due_goes_on_with_what_is_lost() {
    // RFC 5682 3.1, step 3a.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(40 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.hears_within(ms(202)..=ms(203), &segment(11));
        peer.hears_within(ms(200)..=ms(400), &segment(1));
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 1001");
        hears_segments(&mut peer, 12..=13);
        peer.passes(ms(100));
        peer.sends(&sack(1, &[(12, 12)]));
        peer.hears(&segment(2));
        assert_eq!(info(&peer).phase, Phase::Loss);
    });
}

#[test]
fn a_spurious_timeout_shows_by_the_echo_at_once() {
    // RFC 3522 3.2; there is no new text for RFC 5682.
    with_each_isn(|isns| {
        let mut peer = open_with(isns, STAMPED, Congestion::Cubic);
        peer.writes(5 * MSS as usize);
        for _ in 0..5 {
            peer.next();
        }
        let (echo, before) = (peer.ts_recent, info(&peer));
        peer.passes(ms(650));
        assert!(peer.ignores_the_rest() >= 2, "a probe, and the timeout");
        assert_eq!(info(&peer).phase, Phase::Loss);
        let line = sack_stamped(&peer, 1, &[(1, 1)], echo).replace(",sack 1:1001", "");
        peer.sends(&line);
        let after = info(&peer);
        assert_eq!((after.phase, after.segments_lost), (Phase::Open, 0));
        // It is growing again.
        assert_eq!((after.cwnd, after.ssthresh), (before.cwnd + MSS, before.ssthresh));
    });
}

#[test]
fn congestion_that_is_echoed_meanwhile_lets_the_reduction_stand() {
    // RFC 4015 3.2: "unless ... an ECN-Echo flag".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("SEW 0:0(0) <mss 1000,sackOK>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.writes(10 * MSS as usize);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 4)]));
        peer.hears(&segment(1));
        peer.sends(". 1:1(0) ack 10001");
        let reduced = info(&peer).cwnd;
        peer.sends("E. 1:1(0) ack 10001 <sack 1:1001>");
        assert_eq!(info(&peer).cwnd, reduced);
    });
}

#[test]
fn a_path_that_reorders_costs_no_retransmissions_once_that_is_known() {
    // RFC 8985 6.2, step 4, in the long run.
    let mut net =
        Plan::new(7).wire(|faults| (faults.reorder, faults.held_back) = (50, Some(ms(5)))).build();
    let (client, server) = net.open();
    net.transfer(Side::Client, client, server, 2_000_000);
    let before = net.stack(Side::Client).info(client).unwrap();
    let total = 6_000_000;
    let (mut written, mut read) = (0, 0);
    net.run_until("all has arrived", |net| {
        written += net.write_pattern(Side::Client, client, 2_000_000 + written, total - written);
        read += net.read_pattern(Side::Server, server, 2_000_000 + read);
        read == total
    });
    let after = net.stack(Side::Client).info(client).unwrap();
    let again = after.retransmissions - before.retransmissions;
    assert!(again * 1_000 <= total / 1_460, "{again} of {}", total / 1_460);
}

// Peers that are not what they should be.

#[test]
fn a_peer_that_throws_away_what_it_has_reported_gets_it_again() {
    // RFC 2018 8.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.writes(6 * MSS as usize);
        hears_segments(&mut peer, 1..=6);
        peer.passes(ms(100));
        peer.sends(&sack(0, &[(2, 6)]));
        peer.hears(&segment(1));
        peer.passes(ms(100));
        // It has the first now, and none of the others any more.
        peer.sends(". 1:1(0) ack 1001");
        peer.hears_within(ms(10)..=ms(100), &segment(2));
        for n in 2..=6 {
            peer.sends(&format!(". 1:1(0) ack {}", 1 + n * MSS));
        }
        peer.passes(secs(100));
        assert_eq!(info(&peer).segments_out, 0);
    });
}

#[test]
fn a_flood_of_blocks_that_jump_about_costs_no_memory_to_speak_of() {
    // Each block is one that makes most work: alone, and far from the last.
    with_each_isn(|isns| {
        let options = "mss 536,sackOK,nop,wscale 14";
        let mut peer = Peer::established_over(ms(100), isns, options, |_| {});
        let (mut end, mut acked) = (1u32, 1u32);
        while end - acked < 200_000 {
            let room = peer.stack.writable(peer.id);
            if room > 0 {
                peer.writes(room);
            }
            for packet in peer.all() {
                end = end.max(packet.seq.0.wrapping_sub(peer.iss.0) + packet.text.len() as u32);
            }
            acked = end - (end - acked) / 2;
            peer.sends(&format!(". 1:1(0) ack {acked}"));
        }
        let (out, before) = (info(&peer).segments_out, peer.stack.memory());
        let mut random = Random::new(5);
        for _ in 0..500 {
            let blocks: Vec<String> = (0..3)
                .map(|_| {
                    let start = acked + 536 * random.below(u64::from((end - acked) / 536)) as u32;
                    format!("{start}:{}", start.wrapping_add(random.below(2_000) as u32))
                })
                .collect();
            peer.sends(&format!(". 1:1(0) ack {acked} <sack {}>", blocks.join(" ")));
            peer.ignores_the_rest();
        }
        let grown = peer.stack.memory().saturating_sub(before);
        // Two lists of runs, retransmissions, and records of what more was sent.
        assert!(grown < 200 * out as usize + (1 << 20), "{grown} bytes for {out} segments");
        peer.sends(&format!(". 1:1(0) ack {acked}"));
        peer.passes(secs(1));
    });
}

// What is reported to others.

#[test]
fn what_comes_twice_is_reported_once() {
    // RFC 2883 4: the first block is what has come twice, in whole or in part, below the ACK or beyond
    // a hole; the next ACK does not repeat it.
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <>");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <sack 1:101>");
        peer.sends("P. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 201 <>");
        peer.sends("P. 151:251(100) ack 1");
        peer.hears(". 1:1(0) ack 251 <sack 151:201>");
        peer.sends("P. 301:401(100) ack 1");
        peer.hears(". 1:1(0) ack 251 <sack 301:401>");
        peer.sends("P. 351:451(100) ack 1");
        peer.hears(". 1:1(0) ack 251 <sack 351:401 301:451>");
        peer.sends("P. 501:601(100) ack 1");
        peer.hears(". 1:1(0) ack 251 <sack 501:601 301:451>");
        peer.sends("P. 251:351(100) ack 1");
        peer.hears(". 1:1(0) ack 451 <sack 301:351 501:601>");
        peer.reads(450);
        peer.hears_nothing();
    });
}

#[test]
fn text_that_goes_out_carries_the_report_too() {
    with_each_isn(|isns| {
        let mut peer = plain(isns);
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        let again = peer.packet("P. 1:101(100) ack 1").encode();
        peer.stack.on_packet_stored(peer.now, Frame::plain(&again));
        peer.writes(3 * MSS as usize);
        peer.hears(". 1:989(988) ack 101 <sack 1:101>");
        peer.hears(". 989:1989(1000) ack 101 <>");
        peer.hears(". 1989:2989(1000) ack 101 <>");
        peer.hears("P. 2989:3001(12) ack 101 <>");
    });
}

#[test]
fn who_does_not_understand_is_told_nothing_of_it() {
    with_each_isn(|isns| {
        let mut peer = open(isns, "mss 1000");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <>");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <>");
    });
}
