//! Simultaneous open: both sides send a SYN and neither listens (RFC 9293 section 3.5, figure 7, and
//! SYN-RECEIVED in 3.10.7.4).

mod common;

use common::pair::{Plan, Side};
use common::peer::with_each_isn;
use common::states::in_state;
use common::{ms, secs};
use tunstack::Event;
use tunstack::tcp::{CloseReason, State};
use tunstack::wire::Flags;

#[test]
fn two_syns_that_cross_make_one_connection() {
    // RFC 9293 3.5, figure 7.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.sends("S 0:0(0) <mss 1400,sackOK,wscale 3>");
        peer.hears("S. 0:0(0) ack 1 <mss 1460,sackOK,wscale 7>");
        peer.is_in(State::SynReceived);
        peer.sends("S. 0:0(0) ack 1 <mss 1400,sackOK,wscale 3>");
        peer.is_in(State::Established);
        assert!(peer.events().contains(&Event::Established(peer.id)));
        peer.ignores_the_rest();
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
        peer.writes(50);
        peer.hears("P. 1:51(50) ack 101");
    });
}

#[test]
fn the_syn_ack_that_crosses_ours_is_acknowledged_at_once() {
    // RFC 9293 3.10.7.4, first step: the SYN starts before RCV.NXT, and what is not acceptable is
    // answered. If our SYN,ACK is lost, this ACK is what ends the peer's SYN-RECEIVED.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        peer.hears_nothing();
        peer.is_in(State::Established);
    });
}

#[test]
fn a_syn_ack_is_no_retransmission_of_the_syn() {
    // RFC 9293 3.5, figure 7, lines 2 and 4: it repeats the number of the SYN, but no timer has run
    // out. RFC 6298 5.7, "If the timer expires awaiting the ACK of a SYN segment", does not make
    // the text that follows wait for three seconds.
    with_each_isn(|isns| {
        for answer in ["S. 0:0(0) ack 1 <mss 1460>", ". 1:1(0) ack 1"] {
            let mut peer = in_state(isns, State::SynSent).peer;
            peer.passes(ms(100));
            peer.sends("S 0:0(0) <mss 1460>");
            peer.hears("S. 0:0(0) ack 1");
            peer.passes(ms(100));
            peer.sends(answer);
            peer.is_in(State::Established);
            peer.ignores_the_rest();
            assert_eq!(peer.stack.info(peer.id).unwrap().retransmissions, 0);
            peer.writes(100);
            peer.hears("P. 1:101(100) ack 1");
            peer.hears_within(ms(200)..=ms(1_000), "P. 1:101(100) ack 1");
            assert_eq!(peer.stack.info(peer.id).unwrap().retransmissions, 1);
        }
    });
}

#[test]
fn two_stacks_that_call_each_other_meet() {
    for (client_isn, server_isn) in [(1, 2), (u32::MAX, u32::MAX - 2)] {
        let mut net = Plan::new(1).isns(client_isn, server_isn).build();
        let (here, there) = (net.address_of(Side::Client), net.address_of(Side::Server));
        let client = net.stack(Side::Client).connect(Some(here), there).unwrap();
        let server = net.stack(Side::Server).connect(Some(there), here).unwrap();
        let established = Some(State::Established);
        net.run_until("both are established", |net| {
            net.state(Side::Client, client) == established
                && net.state(Side::Server, server) == established
        });
        net.transfer(Side::Client, client, server, 50_000);
        net.transfer(Side::Server, server, client, 50_000);
        assert_eq!(net.stack(Side::Client).totals().connections, 1);
        assert_eq!(net.stack(Side::Server).totals().connections, 1);
    }
}

#[test]
fn a_bare_ack_ends_a_simultaneous_open_as_well() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.sends(". 1:1(0) ack 1");
        peer.hears_nothing();
        peer.is_in(State::Established);
    });
}

#[test]
fn the_syn_ack_of_a_simultaneous_open_is_sent_again() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.hears_within(ms(900)..=ms(2_100), "S. 0:0(0) ack 1");
        peer.sends(". 1:1(0) ack 1");
        peer.is_in(State::Established);
    });
}

#[test]
fn only_a_timer_that_ran_out_makes_a_crossed_syn_a_lost_one() {
    // RFC 6298 5.7: "If the timer expires awaiting the ACK of a SYN segment". The SYN-ACK repeats
    // the SYN because it must; its ACK measures the round trip.
    for lost in [false, true] {
        with_each_isn(|isns| {
            let mut peer = in_state(isns, State::SynReceived).peer;
            if lost {
                peer.hears_within(secs(1)..=secs(1), "S. 0:0(0) ack 1");
            }
            peer.passes(ms(20));
            peer.sends(". 1:1(0) ack 1");
            let rto = peer.stack.info(peer.id).unwrap().rto;
            assert_eq!(rto, if lost { secs(3) } else { ms(220) });
        });
    }
}

#[test]
fn a_reset_of_a_simultaneous_open_refuses() {
    // RFC 9293 3.10.7.4, second step, SYN-RECEIVED after an active OPEN.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.sends("R. 1:1(0) ack 1");
        peer.hears_nothing();
        peer.is_over(CloseReason::Refused);
    });
}

#[test]
fn a_wrong_acknowledgment_of_a_simultaneous_open_is_reset() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.sends(". 1:1(0) ack 2");
        peer.hears("R 2:2(0)");
        peer.is_in(State::SynReceived);
    });
}

#[test]
fn a_close_in_syn_received_sends_a_fin_after_the_text() {
    // RFC 9293 3.10.4, SYN-RECEIVED.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynReceived).peer;
        peer.writes(10);
        peer.shuts_down();
        peer.sends(". 1:1(0) ack 1");
        let out = peer.all();
        assert!(out.iter().any(|packet| packet.has(Flags::FIN)));
        assert_eq!(out.iter().map(|packet| packet.text.len()).sum::<usize>(), 10);
        peer.is_in(State::FinWait1);
    });
}
