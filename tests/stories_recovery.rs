//! Text that gets lost on the way out: the retransmission timer (RFC 6298), fast retransmit and
//! NewReno (RFC 5681, 6582), limited transmit (RFC 3042), the congestion window (RFC 5681, 6928),
//! and giving up (RFC 9293 section 3.8.3).

mod common;

use common::pair::{Plan, Side};
use common::peer::{Isns, Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::tcp::congestion::Congestion;
use tunstack::tcp::{CloseReason, Phase, ReadError, State, WriteError};
use tunstack::wire::{Flags, Frame};

/// Bytes of text in a full segment of these connections, which have no timestamps.
const MSS: u32 = 1_000;

/// A connection whose handshake has taken `rtt`, so that the first sample is known.
fn with_rtt(isns: Isns, rtt: u64) -> Peer {
    with_options(isns, rtt, Congestion::default(), "mss 1000")
}

/// The same, with this congestion control.
fn with_rtt_and(isns: Isns, rtt: u64, congestion: Congestion) -> Peer {
    with_options(isns, rtt, congestion, "mss 1000")
}

/// The same with a peer that reports what it has.
fn with_sack(isns: Isns, rtt: u64) -> Peer {
    with_options(isns, rtt, Congestion::default(), "mss 1000,sackOK")
}

fn with_options(isns: Isns, rtt: u64, congestion: Congestion, options: &str) -> Peer {
    let mut peer = Peer::with(isns, |config| config.tcp.congestion = congestion);
    peer.listens();
    peer.sends(&format!("S 0:0(0) <{options}>"));
    peer.hears("S. 0:0(0) ack 1");
    peer.passes(ms(rtt));
    peer.sends(". 1:1(0) ack 1");
    peer.accepts();
    peer
}

/// The notation of the stack's full segment number `n`, counted from one.
fn segment(n: u32) -> String {
    let (start, end) = (1 + (n - 1) * MSS, 1 + n * MSS);
    format!(". {start}:{end}({MSS}) ack 1")
}

/// A bare ACK of the first `n` full segments.
fn ack(n: u32) -> String {
    format!(". 1:1(0) ack {}", 1 + n * MSS)
}

#[track_caller]
fn hears_segments(peer: &mut Peer, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        peer.hears(&segment(n));
    }
    peer.hears_nothing();
}

// The timer.

#[test]
fn unacknowledged_text_is_sent_again_and_the_time_doubles() {
    // RFC 6298 2.2, 5.5: SRTT 100 ms, RTTVAR 50 ms, so 300 ms at first.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        for times in [1u64, 2, 4, 8, 16] {
            let wait = ms(299 * times)..=ms(302 * times);
            peer.hears_within(wait, "P. 1:101(100) ack 1");
        }
        peer.sends(". 1:1(0) ack 101");
        peer.passes(secs(100));
        peer.hears_nothing();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!((info.retransmissions, info.timeouts), (5, 5));
        assert_eq!(peer.stack.counters().retransmission_timeouts, 5);
    });
}

#[test]
fn every_round_trip_gives_a_sample() {
    // RFC 6298 3: "A TCP implementation MUST take at least one RTT measurement per RTT".
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        assert_eq!(peer.stack.info(peer.id).and_then(|info| info.rtt), Some(ms(100)));
        let mut srtt = 100_000_000_u64;
        for (n, rtt) in (1..).zip([250, 250, 50, 120]) {
            peer.writes(MSS as usize);
            peer.hears(&segment(n));
            peer.passes(ms(rtt));
            peer.sends(&ack(n));
            srtt = srtt * 7 / 8 + rtt * 1_000_000 / 8;
            let measured = peer.stack.info(peer.id).and_then(|info| info.rtt).expect("a sample");
            let off = (measured.as_nanos() as u64).abs_diff(srtt);
            assert!(off < 100, "after {rtt} ms: {measured:?}, {off} ns off");
        }
    });
}

#[test]
fn the_sample_counts_the_time_for_which_the_peer_delays_its_acknowledgment() {
    // RFC 9293 3.8.6.3: "an ACK SHOULD be generated for at least every second full-sized segment".
    // What the first of the two has waited is part of what the timeout must outlast.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(MSS as usize);
        peer.hears(&segment(1));
        peer.passes(ms(50));
        peer.writes(MSS as usize);
        peer.hears(&segment(2));
        peer.passes(ms(100));
        peer.sends(&ack(2));
        let rtt = peer.stack.info(peer.id).and_then(|info| info.rtt);
        assert_eq!(rtt.map(|rtt| rtt.as_micros()), Some((100_000 * 7 + 150_000) / 8));
    });
}

#[test]
fn after_a_timeout_the_oldest_segment_goes_out_whatever_the_peer_has_reported() {
    // RFC 2018 5: "The data sender MUST retransmit the segment at the left edge of the window after
    // a retransmit timeout, whether or not the SACKed bit is on"; RFC 2018 8: the peer may have
    // thrown away what it has reported, so that nothing is forgotten before it is acknowledged.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, 100);
        peer.writes(3 * MSS as usize);
        hears_segments(&mut peer, 1..=3);
        peer.passes(ms(100));
        // More than there should be, and then nothing: RACK repairs the first, in vain.
        peer.sends(". 1:1(0) ack 1 <sack 1:1001 1001:3001>");
        peer.hears_within(ms(20)..=ms(40), &segment(1));
        peer.hears_within(ms(200)..=ms(400), &segment(1));
        peer.sends(". 1:1(0) ack 1001");
        // What it had reported it has no more: it is believed in nothing, and soon.
        peer.hears_within(ms(10)..=ms(100), &segment(2));
        peer.sends(". 1:1(0) ack 2001");
        hears_segments(&mut peer, 3..=3);
        peer.sends(". 1:1(0) ack 3001");
        peer.passes(secs(100));
        peer.hears_nothing();
    });
}

#[test]
fn a_first_timeout_without_a_sample_comes_after_a_second() {
    // RFC 6298 2.1; here the SYN-ACK was sent again, so that it gives no sample (Karn), and
    // RFC 6298 5.7 asks for three seconds.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1000>");
        peer.hears("S. 0:0(0) ack 1");
        peer.hears_within(secs(1)..=secs(1), "S. 0:0(0) ack 1");
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(2_999)..=ms(3_001), "P. 1:101(100) ack 1");
    });
}

#[test]
fn a_connect_whose_syn_was_sent_again_starts_its_data_at_three_seconds() {
    // RFC 6298 5.7: "the RTO MUST be re-initialized to 3 seconds when data transmission begins".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.hears_within(secs(1)..=secs(1), "S 0:0(0)");
        peer.sends("S. 0:0(0) ack 1 <mss 1000>");
        peer.hears(". 1:1(0) ack 1");
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(2_999)..=ms(3_001), "P. 1:101(100) ack 1");
    });
}

#[test]
fn an_acknowledgment_of_a_retransmission_is_no_sample() {
    // Karn's algorithm (RFC 6298 3): the back-off stays until a segment sent once is acknowledged.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(299)..=ms(302), "P. 1:101(100) ack 1");
        peer.hears_within(ms(598)..=ms(604), "P. 1:101(100) ack 1");
        let rtt = peer.stack.info(peer.id).unwrap().rtt;
        peer.sends(". 1:1(0) ack 101");
        assert_eq!(peer.stack.info(peer.id).unwrap().rtt, rtt, "no sample");
        peer.writes(100);
        peer.hears("P. 101:201(100) ack 1");
        peer.hears_within(ms(1_190)..=ms(1_210), "P. 101:201(100) ack 1");
    });
}

#[test]
fn what_is_sent_again_is_sent() {
    // RFC 5681 4.1: the pause after which a sender starts anew is one in which it "has not sent
    // data", and a retransmission is data.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(299)..=ms(302), "P. 1:101(100) ack 1");
        assert_eq!(peer.stack.info(peer.id).unwrap().last_sent, peer.now);
    });
}

#[test]
fn timestamps_tell_the_round_trip_of_a_retransmission_too() {
    // RFC 7323 4.1: which of the two was acknowledged shows in TSecr.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1000,TS val 1 ecr 0>");
        peer.hears("S. 0:0(0) ack 1");
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(200)..=ms(400), "P. 1:101(100) ack 1");
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 101");
        peer.writes(100);
        peer.hears("P. 101:201(100) ack 1");
        peer.hears_within(ms(200)..=ms(400), "P. 101:201(100) ack 1");
    });
}

#[test]
fn the_timer_starts_over_when_something_new_is_acknowledged() {
    // RFC 6298 5.3.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(2_000);
        peer.hears(&segment(1));
        peer.hears(&segment(2));
        peer.passes(ms(200));
        peer.sends(&ack(1));
        // RTTVAR = 3/4 * 50 + 1/4 * |100 - 200|, SRTT = 7/8 * 100 + 1/8 * 200: 362 ms from here.
        peer.hears_within(ms(355)..=ms(370), &segment(2));
    });
}

#[test]
fn a_timeout_halves_the_threshold_and_starts_over_from_one_segment() {
    // RFC 5681 3.1, equation 4.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(30_000);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(299));
        peer.hears_within(ms(0)..=ms(5), &segment(1));
        peer.hears_nothing();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!(info.cwnd, MSS);
        // Slow start: one ACK, two segments. What the peer had of the rest is acknowledged as it
        // comes, and is not sent again.
        peer.sends(&ack(1));
        hears_segments(&mut peer, 2..=3);
        peer.sends(&ack(10));
        let next = peer.next();
        assert_eq!(next.seq, peer.iss + 1 + 10 * MSS, "what is new");
    });
}

#[test]
fn data_is_given_up_after_the_configured_retries() {
    // RFC 9293 3.8.3, R2; MUST-20.
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| config.tcp.retries = 4);
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        for _ in 0..4 {
            peer.hears_within(ms(1)..=secs(60), "P. 1:101(100) ack 1");
        }
        peer.is_in(State::Established);
        peer.passes(secs(60));
        for packet in peer.all() {
            assert!(packet.has(Flags::RST), "{packet}");
        }
        peer.is_over(CloseReason::TimedOut);
        peer.is_in(State::Closed);
        assert_eq!(peer.read_one(), Err(ReadError::Closed(CloseReason::TimedOut)));
        let written = peer.stack.write(peer.id, b"x");
        assert_eq!(written, Err(WriteError::Closed(CloseReason::TimedOut)));
        peer.closes();
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

#[test]
fn by_default_data_is_not_given_up_for_at_least_100_seconds() {
    // RFC 9293 3.8.3 (SHLD-11).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100);
        peer.passes(secs(500));
        peer.is_in(State::Established);
        assert!(peer.ignores_the_rest() > 8);
        peer.passes(secs(1_500));
        peer.is_over(CloseReason::TimedOut);
    });
}

#[test]
fn any_acknowledgment_of_new_text_starts_the_count_of_retries_anew() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| config.tcp.retries = 3);
        peer.writes(10_000);
        peer.ignores_the_rest();
        for n in 1..=8 {
            // Three timeouts, and at the last moment one more segment is acknowledged.
            for _ in 0..3 {
                while peer.ignores_the_rest() == 0 {
                    peer.passes(ms(100));
                }
            }
            peer.sends(&ack(n));
            peer.ignores_the_rest();
        }
        peer.is_in(State::Established);
    });
}

#[test]
fn the_user_timeout_ends_a_connection_whose_data_is_not_acknowledged() {
    // RFC 9293 3.8.3 and 3.10.8, USER TIMEOUT.
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.tcp.user_timeout = Some(secs(10));
        });
        peer.passes(secs(60));
        peer.is_in(State::Established);
        peer.writes(100);
        peer.passes(ms(9_900));
        peer.is_in(State::Established);
        peer.passes(ms(1_000));
        peer.is_over(CloseReason::TimedOut);
    });
}

#[test]
fn the_user_timeout_runs_from_the_last_progress() {
    // RFC 5482 1: data that remains unacknowledged for so long, not a transfer that takes so long.
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.tcp.user_timeout = Some(secs(10));
        });
        peer.writes(5_000);
        for n in 1..5 {
            peer.passes(secs(6));
            peer.sends(&ack(n));
        }
        peer.is_in(State::Established);
        peer.passes(secs(11));
        peer.is_over(CloseReason::TimedOut);
    });
}

#[test]
fn the_user_timeout_can_be_set_while_a_connection_lives() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100);
        peer.stack.set_user_timeout(peer.id, Some(secs(5)));
        peer.passes(secs(7));
        peer.is_over(CloseReason::TimedOut);

        let mut peer = in_state(isns, State::Established).peer;
        peer.stack.set_user_timeout(peer.id, Some(secs(5)));
        peer.writes(100);
        peer.stack.set_user_timeout(peer.id, None);
        peer.passes(secs(60));
        peer.is_in(State::Established);
    });
}

// Duplicate acknowledgments.

#[test]
fn the_third_duplicate_sends_the_lost_segment_again_at_once() {
    // RFC 5681 3.2; RFC 3042: the first two let one new segment out each.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(30_000);
        hears_segments(&mut peer, 1..=10);
        peer.sends(&ack(0));
        hears_segments(&mut peer, 11..=11);
        peer.sends(&ack(0));
        hears_segments(&mut peer, 12..=12);
        peer.sends(&ack(0));
        peer.hears(&segment(1));
        peer.hears_nothing();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!((info.retransmissions, info.timeouts), (1, 0));
    });
}

#[test]
fn three_segments_reported_beyond_a_hole_start_recovery_by_however_few_acknowledgments() {
    // RFC 8985 6.2, step 4: "when the number of SACKed segments matches or exceeds DupThresh"; ACKs
    // may have been lost or merged. RFC 2018 5.1 has it otherwise, and Linux does not.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns, 100);
        peer.writes(10_000);
        hears_segments(&mut peer, 1..=10);
        peer.passes(ms(100));
        peer.sends(". 1:1(0) ack 1 <sack 1001:2001 3001:4001>");
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 1 <sack 1001:2001 3001:4001 5001:6001>");
        hears_segments(&mut peer, 1..=1);
        assert_eq!(peer.stack.info(peer.id).unwrap().phase, Phase::Recovery);
    });
}

#[test]
fn with_sack_a_duplicate_that_reports_nothing_new_is_none() {
    // RFC 5681 3.2, step 1: "a sender using SACK MUST NOT send new data unless the incoming
    // duplicate acknowledgment contains new SACK information". What a D-SACK reports (RFC 2883) is
    // known already.
    for duplicate in [". 1:1(0) ack 1", ". 1:1(0) ack 1 <sack 0:1>"] {
        with_each_isn(|isns| {
            let mut peer = with_sack(isns, 100);
            peer.writes(20_000);
            hears_segments(&mut peer, 1..=10);
            peer.passes(ms(100));
            let before = peer.stack.info(peer.id).unwrap();
            for _ in 0..4 {
                peer.sends(duplicate);
            }
            peer.hears_nothing();
            let after = peer.stack.info(peer.id).unwrap();
            assert_eq!((after.cwnd, after.phase), (before.cwnd, before.phase));
            peer.sends(". 1:1(0) ack 1 <sack 1001:2001>");
            hears_segments(&mut peer, 11..=11);
            peer.sends(". 1:1(0) ack 1 <sack 1001:3001>");
            hears_segments(&mut peer, 12..=12);
            peer.sends(". 1:1(0) ack 1 <sack 1001:4001>");
            hears_segments(&mut peer, 1..=1);
        });
    }
}

#[test]
fn limited_transmit_respects_the_peers_window() {
    // RFC 3042 2: only if the advertised window allows.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(30_000);
        hears_segments(&mut peer, 1..=10);
        peer.window = 10_000;
        peer.sends(". 1:1(0) ack 1 win 10000");
        peer.sends(". 1:1(0) ack 1 win 10000");
        peer.hears_nothing();
    });
}

#[test]
fn what_only_looks_like_a_duplicate_is_none() {
    // RFC 5681 2: no text, no change of the window, something outstanding.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(10_000);
        peer.ignores_the_rest();
        for window in [65_000, 64_000, 63_000, 62_000] {
            peer.sends(&format!(". 1:1(0) ack 1 win {window}"));
        }
        peer.hears_nothing();
        peer.window = 62_000;
        for n in 0..4 {
            peer.sends(&format!("P. {}:{}(10) ack 1", 1 + 10 * n, 11 + 10 * n));
        }
        let answers = peer.all();
        assert!(answers.iter().all(|packet| packet.text.is_empty()), "no retransmission");
    });
}

#[test]
fn partial_acknowledgments_repair_one_hole_after_the_other_without_a_timeout() {
    // RFC 6582 3.2.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(10_000);
        peer.ignores_the_rest();
        // Segments 1, 4 and 7 are lost; the others give seven duplicates.
        for _ in 0..7 {
            peer.sends(&ack(0));
        }
        peer.hears(&segment(1));
        peer.hears_nothing();
        peer.passes(ms(100));
        peer.sends(&ack(3));
        peer.hears(&segment(4));
        peer.hears_nothing();
        peer.passes(ms(100));
        peer.sends(&ack(6));
        peer.hears(&segment(7));
        peer.hears_nothing();
        peer.passes(ms(100));
        peer.sends(&ack(10));
        peer.hears_nothing();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!(info.retransmissions, 3);
        assert!(info.cwnd <= 8 * MSS, "the window was reduced once: {}", info.cwnd);
        assert!(info.cwnd >= MSS);
    });
}

#[test]
fn recovery_halves_the_window() {
    // RFC 5681 3.2: ssthresh = FlightSize / 2, and cwnd = ssthresh once all has arrived.
    recovery_reduces_the_window(Congestion::NewReno, 10 * MSS);
}

#[test]
fn with_cubic_recovery_takes_three_tenths_of_the_window() {
    // RFC 9438 4.6: beta_cubic is 0.7.
    recovery_reduces_the_window(Congestion::Cubic, 14 * MSS);
}

#[track_caller]
fn recovery_reduces_the_window(congestion: Congestion, wanted: u32) {
    with_each_isn(|isns| {
        let mut peer = with_rtt_and(isns, 100, congestion);
        peer.writes(100_000);
        peer.ignores_the_rest();
        for n in 1..=10 {
            peer.sends(&ack(n));
        }
        peer.ignores_the_rest(); // twenty segments are out: 11 to 30
        let before = peer.stack.info(peer.id).expect("it is there").cwnd;
        assert_eq!(before, 20 * MSS);
        // One duplicate for each segment but the lost one, and for the two of limited transmit.
        for _ in 0..21 {
            peer.sends(&ack(10));
        }
        assert!(peer.all().iter().any(|packet| packet.seq == peer.iss + 1 + 10 * MSS));
        peer.sends(&ack(32));
        let after = peer.stack.info(peer.id).expect("it is there").cwnd;
        assert_eq!(after, wanted, "from {before}");
    });
}

#[test]
fn leaving_recovery_lets_out_no_burst() {
    // RFC 6582 3.2, step 3, full acknowledgments, option 1: "min (ssthresh, max(FlightSize, SMSS)
    // + SMSS)", and no more for the ACK itself. Here most duplicates were lost on their way.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(100_000);
        peer.ignores_the_rest();
        for n in 1..=10 {
            peer.sends(&ack(n));
        }
        peer.ignores_the_rest(); // twenty segments are out: 11 to 30
        for _ in 0..3 {
            peer.sends(&ack(10));
        }
        hears_segments(&mut peer, [31, 32, 11]);
        peer.sends(&ack(32));
        hears_segments(&mut peer, 33..=34);
        // Slow start finds the reduced window from there.
        peer.sends(&ack(34));
        hears_segments(&mut peer, 35..=38);
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!((info.cwnd, info.ssthresh), (4 * MSS, 14 * MSS));
    });
}

// The congestion window.

#[test]
fn ten_segments_go_out_at_first_and_each_ack_lets_out_two_more() {
    // RFC 6928 2; RFC 5681 3.1, slow start.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(60_000);
        hears_segments(&mut peer, 1..=10);
        peer.sends(&ack(1));
        hears_segments(&mut peer, 11..=12);
        peer.sends(&ack(2));
        hears_segments(&mut peer, 13..=14);
        peer.sends(&ack(10));
        hears_segments(&mut peer, 15..=30);
    });
}

#[test]
fn after_several_lost_syns_the_window_starts_at_one_segment() {
    // RFC 5681 3.1: "If the SYN or SYN/ACK is lost [...]"; RFC 6928 2: "unless there have been more
    // than one SYN or SYN/ACK retransmissions".
    with_each_isn(|isns| {
        for lost in 0..=3 {
            let wanted = if lost > 1 { MSS } else { 10 * MSS };
            let mut passive = Peer::new(isns);
            passive.listens();
            passive.sends("S 0:0(0) <mss 1000>");
            passive.hears("S. 0:0(0) ack 1");
            for n in 0..lost {
                passive.hears_within(secs(1 << n)..=secs(1 << n), "S. 0:0(0) ack 1");
            }
            passive.sends(". 1:1(0) ack 1");
            passive.accepts();
            let cwnd = passive.stack.info(passive.id).unwrap().cwnd;
            assert_eq!(cwnd, wanted, "passive, {lost} lost");

            let mut active = Peer::new(isns);
            active.connects();
            active.hears("S 0:0(0)");
            for n in 0..lost {
                active.hears_within(secs(1 << n)..=secs(1 << n), "S 0:0(0)");
            }
            active.sends("S. 0:0(0) ack 1 <mss 1000>");
            let cwnd = active.stack.info(active.id).unwrap().cwnd;
            assert_eq!(cwnd, wanted, "active, {lost} lost");
        }
    });
}

#[test]
fn acknowledging_byte_by_byte_opens_the_window_no_faster() {
    // RFC 3465: ACK division.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(60_000);
        hears_segments(&mut peer, 1..=10);
        for byte in 1..=MSS {
            peer.sends(&format!(". 1:1(0) ack {}", 1 + byte));
        }
        let out: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert!(out <= 2 * MSS as usize, "{out} bytes for one segment");
    });
}

#[test]
fn a_window_that_the_device_leaves_unused_does_not_grow() {
    // RFC 7661 4.4, RFC 2861 3. Only at first is it the window that holds the sender back.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns, 100);
        peer.writes(20_000);
        hears_segments(&mut peer, 1..=10);
        let acknowledges = |peer: &mut Peer, n| {
            let packet = peer.packet(&ack(n)).encode();
            peer.stack.on_packet_stored(peer.now, Frame::plain(&packet));
        };
        acknowledges(&mut peer, 10);
        for turn in 0..200 {
            let room = peer.stack.writable(peer.id);
            peer.stack.write(peer.id, &vec![0; room]).unwrap();
            for _ in 0..2 {
                let packet = peer.stack.poll_transmit(peer.now).unwrap();
                assert_eq!(packet.payload.concat().len(), MSS as usize);
            }
            acknowledges(&mut peer, 12 + 2 * turn);
        }
        assert!(peer.stack.info(peer.id).unwrap().cwnd <= 20 * MSS);
    });
}

// Between two stacks.

#[test]
fn one_lost_segment_is_repaired_without_a_timeout() {
    for lost in [1usize, 2, 7, 20, 60] {
        let mut net = Plan::new(lost as u64).isns(u32::MAX - 50_000, 9).build();
        let (client, server) = net.open();
        net.link_from(Side::Client).drop_data(&[lost]);
        let total = net.write_pattern(Side::Client, client, 0, 100_000);
        let (mut read, mut last) = (0, net.now);
        net.run_until("the transfer is complete", |net| {
            let got = net.read_pattern(Side::Server, server, read);
            if got > 0 {
                // A round trip takes 20 ms, a timeout at least 200 ms.
                assert!(net.now.since(last) < ms(100), "segment {lost}");
                (read, last) = (read + got, net.now);
            }
            read == total
        });
        let info = net.stack(Side::Client).info(client).unwrap();
        assert_eq!(info.retransmissions, 1, "segment {lost}");
    }
}

#[test]
fn a_lost_tail_is_repaired_by_the_timer() {
    let mut net = Plan::new(1).build();
    let (client, server) = net.open();
    net.link_from(Side::Client).drop_data(&[4]);
    let took = net.transfer(Side::Client, client, server, 1_460 * 4 - 100);
    assert!((ms(200)..ms(500)).contains(&took), "{took:?}");
}

#[test]
fn a_transfer_survives_an_outage_of_fifteen_seconds() {
    let mut net = Plan::new(3).isns(u32::MAX - 90_000, u32::MAX - 5).build();
    let (client, server) = net.open();
    let before = net.now;
    let mut written = net.write_pattern(Side::Client, client, 0, 400_000);
    net.run_for(ms(35));
    net.link_from(Side::Client).cut();
    net.link_from(Side::Server).cut();
    net.run_for(secs(15));
    net.heal();
    let mut read = 0;
    net.run_until("all has arrived", |net| {
        written += net.write_pattern(Side::Client, client, written, 400_000 - written);
        read += net.read_pattern(Side::Server, server, read);
        read == 400_000
    });
    let took = net.now.since(before);
    assert!(took < secs(60), "{took:?}");
}

#[test]
fn heavy_loss_in_both_directions_only_slows_a_transfer_down() {
    for seed in 0..10 {
        let mut net = Plan::new(seed)
            .isns(u32::MAX - 10_000, u32::MAX - 20_000)
            .wire(|faults| (faults.loss, faults.reorder, faults.duplicate) = (50, 20, 20))
            .build();
        let (client, server) = net.open();
        net.transfer(Side::Client, client, server, 150_000);
        net.transfer(Side::Server, server, client, 150_000);
        assert!(net.stack(Side::Client).info(client).unwrap().retransmissions > 0);
    }
}
