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
