//! Opening a connection: RFC 9293 sections 3.5, 3.10.1, 3.10.7.2 (LISTEN), 3.10.7.3 (SYN-SENT)
//! and the parts of 3.10.7.4 that concern SYN-RECEIVED.

mod common;

use common::pair::{Plan, Side};
use common::peer::{Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::Event;
use tunstack::stack::{ConnectError, ListenError};
use tunstack::tcp::{CloseReason, Ecn, State};
use tunstack::wire::{Flags, SeqNum};

const ALL_OPTIONS: &str = "mss 1460,sackOK,TS val 77 ecr 0,nop,wscale 7";

// Passive open.

#[test]
fn a_handshake_makes_a_connection_that_waits_to_be_accepted() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) win 65535 <mss 1460>");
        peer.hears("S. 0:0(0) ack 1 <mss 1460>");
        assert_eq!(peer.stack.totals().half_open, 1);
        assert_eq!(peer.stack.totals().connections, 0);

        peer.sends(". 1:1(0) ack 1");
        peer.hears_nothing();
        let listener = peer.listener.unwrap();
        assert_eq!(peer.events(), [Event::Incoming(listener)]);
        assert_eq!(peer.stack.totals().half_open, 0);
        peer.accepts();
        peer.is_in(State::Established);
        assert_eq!(peer.stack.listener_of(peer.id), Some(listener));
        assert_eq!(peer.stack.accept(listener), None);
    });
}

#[test]
fn a_handshake_works_over_ipv6() {
    with_each_isn(|isns| {
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.listens();
        peer.sends("S 0:0(0) <mss 1440>");
        peer.hears("S. 0:0(0) ack 1 <mss 1440>");
        peer.sends("P. 1:11(10) ack 1");
        peer.hears(". 1:1(0) ack 11");
        peer.accepts();
        peer.reads(10);
    });
}

#[test]
fn the_syn_ack_has_the_options_that_the_syn_offered_and_no_other() {
    // RFC 7323 2.2, 2.3 and 3.2, RFC 2018 2.
    with_each_isn(|isns| {
        for (offered, answered) in [
            ("mss 1460", "mss 1460"),
            ("mss 1460,sackOK", "mss 1460,sackOK"),
            ("mss 1460,wscale 0", "mss 1460,wscale 7"),
            ("mss 1460,TS val 9 ecr 0", "mss 1460,TS"),
            (ALL_OPTIONS, "mss 1460,sackOK,TS,nop,wscale 7"),
            ("", "mss 1460"),
        ] {
            let mut peer = Peer::new(isns);
            peer.listens();
            peer.sends(&format!("S 0:0(0) <{offered}>"));
            let answer = peer.hears(&format!("S. 0:0(0) ack 1 <{answered}>"));
            if let Some(timestamps) = answer.options.timestamps {
                let echo = if offered == ALL_OPTIONS { 77 } else { 9 };
                assert_eq!(timestamps.echo, echo, "TSecr is the SYN's TSval");
            }
        }
    });
}

#[test]
fn a_lost_syn_ack_is_sent_again_and_in_the_end_the_entry_is_forgotten() {
    // RFC 6298 5.5: the time doubles. Five retries, then another wait.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        let first = peer.hears("S. 0:0(0) ack 1");
        for seconds in [1, 2, 4, 8, 16] {
            let again = peer.hears_within(secs(seconds)..=secs(seconds), "S. 0:0(0) ack 1");
            assert_eq!(again, first);
        }
        assert_eq!(peer.stack.totals().half_open, 1);
        peer.passes(secs(33));
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().half_open, 0);
        // What comes now is a stranger's.
        peer.sends(". 1:1(0) ack 1");
        peer.hears("R 1:1(0)");
    });
}

#[test]
fn a_retransmitted_syn_gets_the_same_syn_ack() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        let first = peer.hears("S. 0:0(0) ack 1");
        peer.passes(ms(300));
        peer.sends("S 0:0(0) <mss 1460>");
        assert_eq!(peer.hears("S. 0:0(0) ack 1"), first);
        assert_eq!(peer.stack.totals().half_open, 1);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
    });
}

#[test]
fn a_syn_that_comes_again_keeps_the_entry_alive() {
    // Or the entry might go just before the ACK of the SYN-ACK that the peer's last SYN gets.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        peer.passes(ms(62_900));
        assert_eq!(peer.ignores_the_rest(), 6);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.passes(ms(300));
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
    });
}

#[test]
fn a_syn_ack_that_was_sent_twice_measures_no_round_trip() {
    // Karn's algorithm (RFC 6298 3).
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        peer.passes(ms(900));
        peer.sends("S 0:0(0) <mss 1460>");
        peer.passes(ms(10));
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        assert_eq!(peer.stack.info(peer.id).unwrap().rtt, None);
    });
}

#[test]
fn text_completes_the_handshake_when_the_bare_ack_is_lost() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.sends("P. 1:101(100) ack 1");
        peer.accepts();
        peer.hears(". 1:1(0) ack 101");
        peer.is_in(State::Established);
        peer.reads(100);
    });
}

#[test]
fn a_fin_completes_the_handshake_too() {
    // RFC 9293 3.10.7.4, eighth step: SYN-RECEIVED with FIN goes to CLOSE-WAIT.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.sends("FP. 1:11(10) ack 1");
        peer.accepts();
        peer.hears(". 1:1(0) ack 12");
        peer.is_in(State::CloseWait);
        peer.reads(10);
        peer.reads_end();
    });
}

#[test]
fn text_on_a_syn_waits_until_the_connection_is_established() {
    // RFC 9293 3.10.7.2: "any other control or text should be queued for processing later".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:50(50) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        assert_eq!(peer.stack.totals().connections, 0);
        peer.sends(". 1:1(0) ack 1");
        peer.hears(". 1:1(0) ack 51");
        peer.accepts();
        peer.reads(50);
        // A peer that sends it again does no harm.
        peer.sends("P. 1:61(60) ack 1");
        peer.reads(10);
    });
}

#[test]
fn a_syn_that_offers_ecn_is_not_refused() {
    // RFC 3168 6.1.1: who does not want ECN leaves it out of the SYN-ACK.
    with_each_isn(|isns| {
        let mut peer = Peer::with(isns, |config| config.tcp.ecn = Ecn::Off);
        peer.listens();
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
    });
}

#[test]
fn a_listener_ignores_resets_and_refuses_acknowledgments() {
    // RFC 9293 3.10.7.2, first, second and fourth steps.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Listen).peer;
        peer.sends("R 0:0(0)");
        peer.sends("R. 0:0(0) ack 1");
        peer.sends("SR 0:0(0)");
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 500");
        peer.hears("R 500:500(0)");
        peer.sends("S. 0:0(0) ack 500");
        peer.hears("R 500:500(0)");
        peer.sends("F. 1:11(10) ack 500");
        peer.hears("R 500:500(0)");
        peer.sends("- 1:11(10)");
        peer.sends("F 1:1(0)");
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().half_open, 0);
    });
}

// The half-open entry of a passive open: SYN-RECEIVED.

fn half_open(isns: common::peer::Isns) -> Peer {
    let mut peer = in_state(isns, State::Listen).peer;
    peer.sends("S 0:0(0) <mss 1460>");
    peer.hears("S. 0:0(0) ack 1");
    peer
}

#[test]
fn an_exact_reset_of_a_half_open_entry_returns_to_listen() {
    // RFC 9293 3.10.7.4, second step; the user is not informed.
    with_each_isn(|isns| {
        let mut peer = half_open(isns);
        peer.sends("R 1:1(0)");
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().half_open, 0);
        assert_eq!(peer.events(), []);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
    });
}

#[test]
fn a_guessed_reset_does_not_end_a_half_open_entry() {
    // RFC 5961 3.2: in the window but not exact is challenged, outside it is dropped.
    with_each_isn(|isns| {
        let mut peer = half_open(isns);
        peer.sends("R 900:900(0)");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("R 70000:70000(0)");
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().half_open, 1);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
    });
}

#[test]
fn a_wrong_acknowledgment_of_a_half_open_entry_is_reset() {
    // RFC 9293 3.10.7.4, fifth step: <SEQ=SEG.ACK><CTL=RST>, and the entry stays.
    with_each_isn(|isns| {
        let mut peer = half_open(isns);
        peer.sends(". 1:1(0) ack 0");
        peer.hears("R 0:0(0)");
        peer.sends(". 1:1(0) ack 2");
        peer.hears("R 2:2(0)");
        peer.sends("P. 1:11(10) ack 70000");
        peer.hears("R 70000:70000(0)");
        assert_eq!(peer.stack.totals().half_open, 1);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.reads_nothing();
    });
}

#[test]
fn a_half_open_entry_drops_what_has_no_acknowledgment_and_answers_what_is_out_of_window() {
    with_each_isn(|isns| {
        let mut peer = half_open(isns);
        // Fifth step: "if the ACK bit is off, drop the segment".
        peer.sends("- 1:11(10)");
        peer.hears_nothing();
        // First step: not acceptable, so an ACK.
        peer.sends(". 100000:100000(0) ack 1");
        peer.hears(". 1:1(0) ack 1");
        assert_eq!(peer.stack.totals().half_open, 1);
    });
}

// Active open.

#[test]
fn an_active_open_sends_a_syn_and_acknowledges_the_answer() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.is_in(State::SynSent);
        peer.hears("S 0:0(0) win 65535 <mss 1460,sackOK,TS,nop,wscale 7>");
        peer.sends("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        peer.hears(". 1:1(0) ack 1 <>");
        peer.is_in(State::Established);
        assert_eq!(peer.events(), [Event::Established(peer.id)]);
        assert_eq!(peer.stack.listener_of(peer.id), None);
    });
}

#[test]
fn an_active_open_works_over_ipv6() {
    with_each_isn(|isns| {
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.connects();
        peer.hears("S 0:0(0) <mss 1440,sackOK,TS,nop,wscale 7>");
        peer.sends("S. 0:0(0) ack 1 <mss 1440>");
        peer.hears(". 1:1(0) ack 1");
        peer.is_in(State::Established);
    });
}

#[test]
fn the_options_of_a_syn_stand_in_the_order_that_peers_know() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        let bytes = peer.stack.poll_transmit(peer.now).expect("a SYN").to_vec();
        let kinds: Vec<u8> = [(40, 2), (44, 4), (46, 8), (56, 1), (57, 3)]
            .iter()
            .map(|&(at, kind)| {
                assert_eq!(bytes[at], kind, "at byte {at}");
                bytes[at]
            })
            .collect();
        assert_eq!(kinds, [2, 4, 8, 1, 3], "mss, sackOK, TS, nop, wscale");
        assert_eq!(bytes.len(), 60);
    });
}

#[test]
fn syns_are_sent_again_and_then_the_connect_times_out() {
    // Seven retries by default.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        for seconds in [1, 2, 4, 8, 16, 32, 64] {
            peer.hears_within(secs(seconds)..=secs(seconds), "S 0:0(0)");
        }
        peer.is_in(State::SynSent);
        peer.passes(secs(120));
        peer.hears_nothing();
        peer.is_over(CloseReason::TimedOut);
        peer.is_in(State::Closed);
    });
}

#[test]
fn by_default_a_connect_is_not_given_up_for_at_least_three_minutes() {
    // RFC 9293 3.8.3 (MUST-23), also for a SYN that has crossed the peer's.
    with_each_isn(|isns| {
        for crossed in [false, true] {
            let mut peer = Peer::new(isns);
            peer.connects();
            peer.hears("S 0:0(0)");
            if crossed {
                peer.sends("S 0:0(0) <mss 1460>");
                peer.hears("S. 0:0(0) ack 1");
            }
            let state = peer.state();
            peer.passes(secs(180));
            peer.is_in(state);
            peer.passes(secs(100));
            peer.is_over(CloseReason::TimedOut);
            assert_eq!(peer.ignores_the_rest(), 7);
        }
    });
}

#[test]
fn a_syn_sent_rejects_an_acknowledgment_of_what_was_not_sent() {
    // RFC 9293 3.10.7.3, first step.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        for ack in [0, 2, 70_000] {
            peer.sends(&format!("S. 0:0(0) ack {ack}"));
            peer.hears(&format!("R {ack}:{ack}(0)"));
            peer.sends(&format!(". 1:1(0) ack {ack}"));
            peer.hears(&format!("R {ack}:{ack}(0)"));
            peer.sends(&format!("R. 0:0(0) ack {ack}"));
            peer.hears_nothing();
        }
        peer.is_in(State::SynSent);
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
    });
}

#[test]
fn a_peer_with_an_old_connection_is_reset_and_soon_hears_the_syn_again() {
    // RFC 9293 3.5.1, figure 9, lines 3 to 7, of the side that has lost its memory. When the SYN
    // goes out again is not said there; 8 ms is Linux's time.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.passes(ms(100));
        peer.sends(". 300:300(0) ack 100");
        peer.hears("R 100:100(0)");
        peer.hears_within(ms(8)..=ms(8), "S 0:0(0)");
        // Once: whoever answers like this again and again does not drive us.
        peer.sends(". 300:300(0) ack 100");
        peer.hears("R 100:100(0)");
        peer.hears_within(ms(2_000)..=ms(2_001), "S 0:0(0)");
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        peer.is_in(State::Established);
    });
}

#[test]
fn a_reset_refuses_only_with_an_acceptable_acknowledgment() {
    // RFC 9293 3.10.7.3, second step; RFC 5961 3.2: "In all other cases the receiver MUST silently
    // discard the segment".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        for line in ["R 0:0(0)", "R 1:1(0)", "R. 0:0(0) ack 0", "R. 0:0(0) ack 2"] {
            peer.sends(line);
            peer.hears_nothing();
            peer.is_in(State::SynSent);
        }
        peer.sends("R. 0:0(0) ack 1");
        peer.hears_nothing();
        peer.is_over(CloseReason::Refused);
        peer.is_in(State::Closed);
    });
}

#[test]
fn a_syn_sent_drops_what_has_neither_syn_nor_reset() {
    // RFC 9293 3.10.7.3, fifth step.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.sends(". 1:1(0) ack 1");
        peer.sends("P. 1:11(10) ack 1");
        peer.sends("F. 1:1(0) ack 1");
        peer.hears_nothing();
        peer.is_in(State::SynSent);
    });
}

#[test]
fn what_is_written_before_the_handshake_goes_out_after_it() {
    // RFC 9293 3.10.2, SYN-SENT: "queue the data for transmission after entering ESTABLISHED".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.writes(100);
        peer.hears_nothing();
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        let first = peer.next();
        let text = if first.text.is_empty() { peer.next() } else { first };
        assert_eq!((text.text.len(), text.seq), (100, peer.iss + 1));
        assert_eq!(text.ack, peer.irs + 1);
    });
}

#[test]
fn a_syn_ack_may_bring_text_and_a_fin() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.sends("S. 0:100(100) ack 1 <mss 1460>");
        let answer = peer.all().pop().expect("an acknowledgment");
        assert_eq!(answer.ack, peer.irs + 101);
        peer.is_in(State::Established);
        peer.reads(100);

        let mut peer = in_state(isns, State::SynSent).peer;
        peer.sends("SF. 0:10(10) ack 1 <mss 1460>");
        let answer = peer.all().pop().expect("an acknowledgment");
        assert_eq!(answer.ack, peer.irs + 12);
        peer.is_in(State::CloseWait);
        peer.reads(10);
        peer.reads_end();
    });
}

#[test]
fn a_syn_ack_that_comes_twice_is_acknowledged_again() {
    with_each_isn(|isns| {
        let mut peer = Peer::connected(isns, "mss 1460");
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        peer.is_in(State::Established);
    });
}

// Between two stacks.

#[test]
fn a_handshake_outlives_the_loss_of_any_of_its_segments() {
    for (side, flags) in [
        (Side::Client, Flags::SYN),
        (Side::Server, Flags::SYN | Flags::ACK),
        (Side::Client, Flags::ACK),
    ] {
        let mut net = Plan::new(1).isns(u32::MAX, u32::MAX - 1).build();
        net.link_from(side).drop_first(1, flags);
        let start = net.now;
        let (client, server) = net.open();
        assert_eq!(net.link_from(side).lost, 1, "{flags:?} of {side:?}");
        assert!(net.now.since(start) < ms(1_200), "{flags:?} of {side:?}");
        net.transfer(Side::Client, client, server, 10_000);
        net.transfer(Side::Server, server, client, 10_000);
    }
}

// Calls that are refused.

#[test]
fn an_open_that_cannot_be_is_refused_with_the_reason() {
    // RFC 9293 3.10.1 and MUST-46, MUST-57: no multicast or broadcast.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        let (local, remote) = (peer.local, peer.remote);
        let stack = &mut peer.stack;
        assert_eq!(stack.connect(Some(local), remote), Err(ConnectError::InUse(local)));
        let stranger = "10.9.9.9:5000".parse().unwrap();
        let refused = stack.connect(Some(stranger), remote);
        assert_eq!(refused, Err(ConnectError::NoSuchAddress(stranger.ip())));
        let refused = stack.connect(None, "[fd00::9]:80".parse().unwrap());
        assert!(matches!(refused, Err(ConnectError::NoAddressFor(_))));
        for bad in ["224.0.0.1:80", "255.255.255.255:80", "0.0.0.0:80"] {
            let refused = stack.connect(None, bad.parse().unwrap());
            assert!(matches!(refused, Err(ConnectError::NotUnicast(_))), "{bad}");
        }
        assert_eq!(stack.listen(local), Err(ListenError::InUse(local)));
        let port_zero = "10.0.0.1:0".parse().unwrap();
        assert_eq!(stack.listen(port_zero), Err(ListenError::PortZero));
        let refused = stack.listen(stranger);
        assert_eq!(refused, Err(ListenError::NoSuchAddress(stranger.ip())));
    });
}

#[test]
fn without_a_fixed_number_two_connections_start_far_apart() {
    // RFC 9293 3.4.1: the ISN follows a clock and a secret of the four-tuple.
    with_each_isn(|isns| {
        let mut peer = Peer::with(isns, |config| config.fixed_iss = None);
        let mut seen: Vec<SeqNum> = Vec::new();
        for _ in 0..3 {
            peer.connects();
            let syn = peer.next();
            for other in &seen {
                let distance = other.distance_to(syn.seq).unsigned_abs();
                assert!(distance > 10_000, "{distance} is too near");
            }
            seen.push(syn.seq);
        }
    });
}
