//! The end of a flight is lost: probes long before the retransmission timer (RFC 8985 section 7).

#![allow(clippy::unwrap_used)]

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::{ms, secs};
use tunstack::Config;
use tunstack::tcp::CloseReason;
use tunstack::tcp::congestion::Congestion;

/// A connection with SACK over a path of 100 ms, so that a probe is due after 202 ms and a timeout
/// after 300.
fn with_sack(isns: Isns, change: impl FnOnce(&mut Config)) -> Peer {
    Peer::established_over(ms(100), isns, "mss 1000,sackOK", change)
}

/// Eight segments of which seven are acknowledged, and a probe of the last; the congestion window
/// before it.
#[track_caller]
fn probes_the_eighth(peer: &mut Peer) -> u32 {
    peer.writes(8_000);
    peer.ignores_the_rest();
    peer.sends(". 1:1(0) ack 7001");
    let before = cwnd(peer);
    peer.hears_within(ms(1)..=ms(400), "P. 7001:8001(1000) ack 1");
    before
}

fn cwnd(peer: &Peer) -> u32 {
    peer.stack.info(peer.id).unwrap().cwnd
}

#[test]
fn the_last_segment_is_sent_again_after_two_round_trips() {
    // RFC 8985 7.2 and 7.3; the timeout follows from the probe on.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(3_000);
        peer.hears(". 1:1001(1000) ack 1");
        peer.hears(". 1001:2001(1000) ack 1");
        peer.hears("P. 2001:3001(1000) ack 1");
        peer.hears_within(ms(202)..=ms(203), "P. 2001:3001(1000) ack 1");
        peer.hears_within(ms(300)..=ms(301), ". 1:1001(1000) ack 1");
    });
}

#[test]
fn a_single_segment_is_given_the_time_of_a_delayed_ack() {
    // RFC 8985 7.2: 2 SRTT and 200 ms would be 400 ms, which is later than the timeout: "schedules
    // a TLP to be sent at that RTO time".
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(300)..=ms(301), "P. 1:101(100) ack 1");
        // That was the probe: the timeout has not been doubled yet.
        peer.hears_within(ms(300)..=ms(301), "P. 1:101(100) ack 1");
        peer.hears_within(ms(600)..=ms(602), "P. 1:101(100) ack 1");
    });
}

#[test]
fn a_probe_counts_as_sending() {
    // RFC 5681 4.1.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(2_000);
        peer.hears(". 1:1001(1000) ack 1");
        peer.hears("P. 1001:2001(1000) ack 1");
        peer.hears_within(ms(202)..=ms(203), "P. 1001:2001(1000) ack 1");
        assert_eq!(peer.stack.info(peer.id).unwrap().last_sent, peer.now);
    });
}

#[test]
fn a_lost_fin_is_probed_too() {
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(1_000);
        peer.hears("P. 1:1001(1000) ack 1");
        peer.shuts_down();
        peer.hears("F. 1001:1001(0) ack 1");
        peer.hears_within(ms(202)..=ms(203), "F. 1001:1001(0) ack 1");
    });
}

#[test]
fn new_text_is_a_better_probe_and_may_exceed_the_congestion_window() {
    // RFC 8985 7.3: "the sender SHOULD transmit a previously unsent data segment".
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(12_000);
        for n in 0..10 {
            peer.hears(&format!(". {}:{}(1000) ack 1", 1 + n * 1_000, 1_001 + n * 1_000));
        }
        peer.hears_nothing();
        peer.hears_within(ms(202)..=ms(203), ". 10001:11001(1000) ack 1");
        // One probe at a time.
        peer.hears_within(ms(300)..=ms(301), ". 1:1001(1000) ack 1");
    });
}

#[test]
fn the_peers_window_holds_for_probes() {
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.sends(". 1:1(0) ack 1 win 2000");
        peer.writes(3_000);
        peer.hears(". 1:1001(1000) ack 1");
        peer.hears(". 1001:2001(1000) ack 1");
        peer.hears_within(ms(202)..=ms(203), ". 1001:2001(1000) ack 1");
    });
}

#[test]
fn a_loss_that_a_probe_has_repaired_reduces_the_window() {
    // RFC 8985 7.4.2: an ACK beyond the probe, and no second one for the original.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        let before = probes_the_eighth(&mut peer);
        peer.sends(". 1:1(0) ack 8001");
        assert_eq!(cwnd(&peer), before, "nothing is known yet");
        peer.writes(1_000);
        peer.hears("P. 8001:9001(1000) ack 1");
        peer.sends(". 1:1(0) ack 9001");
        assert!(cwnd(&peer) < before, "{} after {before}", cwnd(&peer));
    });
}

#[test]
fn the_reduction_goes_by_what_was_in_flight_before_the_ack() {
    // RFC 5681 3.1, equation 4: half of FlightSize, of which an ACK of everything leaves nothing.
    with_each_isn(|isns| {
        let newreno = |config: &mut Config| config.tcp.congestion = Congestion::NewReno;
        let mut peer = with_sack(isns, newreno);
        probes_the_eighth(&mut peer);
        peer.sends(". 1:1(0) ack 8001");
        peer.writes(10_000);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.sends(". 1:1(0) ack 18001");
        assert_eq!(peer.stack.info(peer.id).unwrap().ssthresh, 5_000);
    });
}

#[test]
fn a_probe_that_was_not_needed_reduces_nothing() {
    // RFC 8985 7.4.2: a duplicate ACK without SACK blocks, or one that reports the probe as
    // received twice (RFC 2883).
    for second in [". 1:1(0) ack 8001", ". 1:1(0) ack 8001 <sack 7001:8001>"] {
        with_each_isn(|isns| {
            let mut peer = with_sack(isns, |_| {});
            let before = probes_the_eighth(&mut peer);
            peer.sends(". 1:1(0) ack 8001");
            peer.sends(second);
            peer.writes(1_000);
            peer.hears("P. 8001:9001(1000) ack 1");
            peer.sends(". 1:1(0) ack 9001");
            assert!(cwnd(&peer) >= before, "{} after {before}", cwnd(&peer));
        });
    }
}

#[test]
fn a_report_of_something_else_received_twice_says_nothing_of_the_probe() {
    // RFC 8985 7.4.2: "a DSACK option matching TLP.end_seq".
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        let before = probes_the_eighth(&mut peer);
        peer.sends(". 1:1(0) ack 8001 <sack 1001:2001>");
        peer.writes(1_000);
        peer.hears("P. 8001:9001(1000) ack 1");
        peer.sends(". 1:1(0) ack 9001");
        assert!(cwnd(&peer) < before, "{} after {before}", cwnd(&peer));
    });
}

#[test]
fn without_sack_or_when_turned_off_nothing_is_probed() {
    with_each_isn(|isns| {
        let plain = Peer::established(isns, "mss 1000");
        let off = with_sack(isns, |config| config.tcp.tail_loss_probe = false);
        for mut peer in [plain, off] {
            peer.writes(3_000);
            peer.ignores_the_rest();
            peer.hears_within(ms(200)..=secs(1), ". 1:1001(1000) ack 1");
        }
    });
}

#[test]
fn probes_do_not_keep_the_round_trip_time_from_being_measured() {
    // RFC 8985 7.3, second condition: the ACK of what was sent twice measures nothing (Karn), so
    // the next flight that is lost waits for the timeout, which nothing puts off.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, |_| {});
        peer.writes(1_000);
        peer.hears("P. 1:1001(1000) ack 1");
        peer.hears_within(ms(300)..=ms(301), "P. 1:1001(1000) ack 1");
        peer.sends(". 1:1(0) ack 1001");
        peer.sends(". 1:1(0) ack 1001");
        peer.writes(2_000);
        peer.hears(". 1001:2001(1000) ack 1");
        peer.hears("P. 2001:3001(1000) ack 1");
        peer.hears_within(ms(300)..=ms(301), ". 1001:2001(1000) ack 1");
    });
}

#[test]
fn steady_writes_into_silence_end_in_timeouts_and_at_last_in_giving_up() {
    // RFC 8985 7.3: "RTO recovery remains the last resort"; RFC 9293 3.8.3 (MUST-20). What is
    // written meanwhile puts off neither the probe beyond the timeout (RFC 8985 7.2) nor, after
    // the probe, the timeout (RFC 6298 5.1).
    for pause in [20, 50, 100, 150, 250] {
        with_each_isn(|isns| {
            let mut peer = with_sack(isns, |config| {
                config.tcp.no_delay = true;
                config.tcp.retries = 4;
            });
            let (start, first) = (peer.now, peer.iss + 1);
            peer.writes(1);
            peer.hears("P. 1:2(1) ack 1");
            let mut first_again = None;
            while peer.stack.close_reason(peer.id).is_none() {
                let waited = peer.now.since(start);
                assert!(waited < secs(12), "a byte each {pause} ms: not given up");
                peer.passes(ms(pause));
                if first_again.is_none() && peer.all().iter().any(|packet| packet.seq == first) {
                    first_again = Some(peer.now.since(start));
                }
                if peer.stack.close_reason(peer.id).is_none() {
                    peer.writes(1);
                }
            }
            // The probe takes the place of the first timeout at the latest, 300 ms after the first
            // byte; a timeout later that is sent again.
            let most = ms(601 + pause);
            assert!(first_again.is_some_and(|waited| waited <= most), "{pause}: {first_again:?}");
            peer.is_over(CloseReason::TimedOut);
        });
    }
}
