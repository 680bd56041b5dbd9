//! Timestamps as RFC 7323 section 3 has them in the header: in which segments, and what is to be
//! ignored. How they tell old duplicates and measure the path is in other stories.

mod common;

use common::ms;
use common::peer::{Peer, with_each_isn};
use tunstack::tcp::State;

/// The options of a SYN of a peer that offers timestamps.
const STAMPED: &str = "mss 1460,TS val 1000 ecr 0";

#[test]
fn a_reset_of_ours_carries_a_timestamp_where_they_were_agreed_on() {
    // Section 3.2: "and SHOULD be sent in an <RST> segment".
    with_each_isn(|isns| {
        for (options, stamped) in [(STAMPED, true), ("mss 1460", false)] {
            let mut peer = Peer::established(isns, options);
            peer.passes(ms(100));
            peer.aborts();
            let stamp = peer.hears("R. 1:1(0) ack 1").options.timestamps;
            assert_eq!(stamp.is_some(), stamped);
            assert!(stamp.is_none_or(|stamp| stamp.echo == 1_000));
        }
    });
}

#[test]
fn a_timestamp_that_was_not_agreed_on_is_ignored() {
    // Section 3.2: "the TSopt MUST be ignored and the packet processed normally".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1460");
        peer.sends("P. 1:101(100) ack 1 <TS val 1000 ecr 0>");
        peer.hears(". 1:1(0) ack 101 <>");
        peer.sends("P. 101:201(100) ack 1 <TS val 1 ecr 0>");
        peer.hears(". 1:1(0) ack 201 <>");
        peer.reads(200);
    });
}

#[test]
fn the_echo_of_a_segment_without_ack_is_zero_and_that_of_the_peers_is_ignored() {
    // Section 3.2: "the sender of that segment SHOULD set the TSecr field to zero", and "the receiver
    // MUST ignore the value of the TSecr field".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        let syn = peer.hears("S 0:0(0)");
        assert_eq!(syn.options.timestamps.map(|stamp| stamp.echo), Some(0));
        // One that crosses ours and claims to echo something.
        peer.passes(ms(500));
        let claimed = syn.options.timestamps.map_or(0, |stamp| stamp.value);
        peer.sends(&format!("S 0:0(0) <mss 1460,TS val 1000 ecr {claimed}>"));
        peer.hears("S. 0:0(0) ack 1");
        let rtt = peer.stack.info(peer.id).and_then(|info| info.rtt);
        assert_eq!(rtt, None, "nothing has been measured");
    });
}

#[test]
fn a_reset_does_not_move_the_timestamp_that_is_echoed() {
    // Section 5.2: "information from the Timestamps option MUST NOT be used to update connection
    // state information".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        peer.sends("R 500:500(0) <TS val 900000 ecr 0>");
        let challenge = peer.hears(". 1:1(0) ack 1");
        assert_eq!(challenge.options.timestamps.map(|stamp| stamp.echo), Some(1_000));
        peer.sends("P. 1:101(100) ack 1 <TS val 1001 ecr 0>");
        peer.hears(". 1:1(0) ack 101");
        peer.is_in(State::Established);
        peer.reads(100);
    });
}

#[test]
fn a_delayed_acknowledgment_echoes_the_first_of_what_it_acknowledges() {
    // Section 4.3 (A): "when delayed ACKs are in use, the receiver SHOULD reply with the TSval field
    // from the earliest unacknowledged segment".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        let mut next = 1;
        // Past the quick ACKs of the start.
        for _ in 0..40 {
            peer.sends(&format!("P. {next}:{}(1000) ack 1 <TS val 1001 ecr 0>", next + 1_000));
            next += 1_000;
            peer.reads(1_000);
        }
        peer.passes(ms(100));
        peer.ignores_the_rest();
        for (n, stamp) in [(0, 1_010), (1, 1_020)] {
            let (from, to) = (next + 1_000 * n, next + 1_000 * (n + 1));
            peer.sends(&format!("P. {from}:{to}(1000) ack 1 <TS val {stamp} ecr 0>"));
        }
        let ack = peer.hears(&format!(". 1:1(0) ack {}", next + 2_000));
        assert_eq!(ack.options.timestamps.map(|stamp| stamp.echo), Some(1_010));
    });
}

#[test]
fn what_waits_beyond_a_hole_is_not_judged_again_when_the_hole_is_filled() {
    // Section 5.3: "the timestamp MUST be checked only when a segment first arrives".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        peer.sends("P. 101:201(100) ack 1 <TS val 1010 ecr 0>");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("P. 1:101(100) ack 1 <TS val 1500 ecr 0>");
        let ack = peer.hears(". 1:1(0) ack 201");
        assert_eq!(ack.options.timestamps.map(|stamp| stamp.echo), Some(1_500));
        peer.reads(200);
    });
}

#[test]
fn the_timestamp_of_what_lies_outside_the_window_is_not_kept() {
    // Section 5.3: R2 rejects it before R3 records anything.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        for (line, ack) in [
            ("P. 1:101(100) ack 1 <TS val 1010 ecr 0>", 101),
            ("P. 1:101(100) ack 1 <TS val 900000 ecr 0>", 101),
            ("P. 200000:200100(100) ack 1 <TS val 900000 ecr 0>", 101),
            ("P. 101:201(100) ack 1 <TS val 1011 ecr 0>", 201),
        ] {
            peer.sends(line);
            peer.hears(&format!(". 1:1(0) ack {ack}"));
        }
        peer.reads(200);
    });
}

#[test]
fn the_timestamp_that_is_kept_never_goes_back() {
    // Section 5.2: "The choice of incoming timestamps to be saved for this comparison MUST guarantee a
    // value that is monotonically non-decreasing".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        let (mut next, mut newest) = (1, 1_000);
        for stamp in [1_010, 1_005, 1_010, 999, 1_011, 1, 1_011, 1_012] {
            let end = next + 100;
            peer.sends(&format!("P. {next}:{end}(100) ack 1 <TS val {stamp} ecr 0>"));
            if stamp >= newest {
                (next, newest) = (end, stamp);
            }
            let ack = peer.hears(&format!(". 1:1(0) ack {next}"));
            assert_eq!(ack.options.timestamps.map(|stamp| stamp.echo), Some(newest));
        }
    });
}

#[test]
fn an_echo_that_comes_with_nothing_newly_acknowledged_measures_nothing() {
    // Section 4.1, RTTM Rule: "only if the segment advances the left edge of the send window".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, STAMPED);
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.passes(ms(50));
        peer.sends(". 1:1(0) ack 101");
        let rtt = peer.stack.info(peer.id).and_then(|info| info.rtt);
        assert!(rtt.is_some());
        // The peer has had nothing to say for a while, and echoes what it heard before.
        peer.passes(ms(60_000));
        peer.sends("P. 1:101(100) ack 101");
        peer.hears(". 101:101(0) ack 101");
        assert_eq!(peer.stack.info(peer.id).and_then(|info| info.rtt), rtt);
    });
}
