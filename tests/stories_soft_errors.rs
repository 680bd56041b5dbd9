//! What goes wrong without ending a connection, and how its application is told: RFC 9293 sections
//! 3.8.3 (R1), 3.9.1.8 (asynchronous reports) and 3.9.2.2 (ICMP).

mod common;

use std::net::IpAddr;

use common::packet::{self, Packet};
use common::peer::{Isns, Peer, with_each_isn};
use common::states::in_state;
use common::{ms, raw, secs};
use tunstack::Event;
use tunstack::tcp::{CloseReason, SoftError, State, Unreachable};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// An ICMP message from a router about `packet` of the stack's.
fn icmp(peer: &mut Peer, kind: u8, code: u8, packet: &Packet) {
    let ipv6 = peer.local.is_ipv6();
    let router: IpAddr = packet::address(254, ipv6);
    let bytes = packet.encode();
    let quote = &bytes[..if ipv6 { 48 } else { 28 }];
    peer.sends_bytes(&raw::icmp(router, peer.local.ip(), kind, code, [0; 4], quote));
}

/// The soft errors among the events that wait.
fn reports(peer: &mut Peer) -> Vec<SoftError> {
    let id = peer.id;
    let report = |event| match event {
        Event::SoftError(of, error) => {
            assert_eq!(of, id);
            Some(error)
        }
        _ => None,
    };
    peer.events().into_iter().filter_map(report).collect()
}

/// An established connection with a segment in flight.
fn with_text(isns: Isns) -> (Peer, Packet) {
    let mut peer = in_state(isns, State::Established).peer;
    peer.writes(100);
    let text = peer.hears("P. 1:101(100) ack 1");
    (peer, text)
}

// ICMP: MUST-47 and SHLD-25.

#[test]
fn the_application_is_told_of_icmp_errors_about_what_is_in_flight() {
    with_each_isn(|isns| {
        for (kind, code, error) in [
            (3, 0, SoftError::Unreachable(Unreachable::Network)),
            (3, 1, SoftError::Unreachable(Unreachable::Host)),
            (3, 2, SoftError::Unreachable(Unreachable::Protocol)),
            (3, 3, SoftError::Unreachable(Unreachable::Port)),
            (3, 5, SoftError::Unreachable(Unreachable::Network)),
            (3, 13, SoftError::Unreachable(Unreachable::Prohibited)),
            (11, 0, SoftError::TimeExceeded),
            (11, 1, SoftError::TimeExceeded),
            (12, 0, SoftError::ParameterProblem),
        ] {
            let (mut peer, text) = with_text(isns);
            icmp(&mut peer, kind, code, &text);
            assert_eq!(reports(&mut peer), [error], "type {kind} code {code}");
            assert_eq!(peer.stack.soft_error(peer.id), Some(error));
            peer.is_in(State::Established);
            // The peer answers: it is over.
            peer.sends(". 1:1(0) ack 101");
            assert_eq!(peer.stack.soft_error(peer.id), None);
            assert_eq!(reports(&mut peer), []);
        }
    });
}

#[test]
fn the_same_goes_for_icmp_of_ipv6() {
    with_each_isn(|isns| {
        for (kind, code, error) in [
            (1, 0, SoftError::Unreachable(Unreachable::Network)),
            (1, 3, SoftError::Unreachable(Unreachable::Host)),
            (1, 4, SoftError::Unreachable(Unreachable::Port)),
            (3, 0, SoftError::TimeExceeded),
            (3, 1, SoftError::TimeExceeded),
            (4, 0, SoftError::ParameterProblem),
            (4, 1, SoftError::ParameterProblem),
            (4, 2, SoftError::ParameterProblem),
        ] {
            let mut peer = Peer::over_ipv6(isns, |_| {});
            peer.listens();
            peer.shakes_hands("mss 1440");
            peer.accepts();
            peer.writes(100);
            let text = peer.next();
            icmp(&mut peer, kind, code, &text);
            assert_eq!(reports(&mut peer), [error], "type {kind} code {code}");
            peer.is_in(State::Established);
        }
    });
}

#[test]
fn while_a_connect_is_under_way_soft_errors_are_reported_too() {
    // An unreachable ends it at once; what else may go wrong may pass.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        let syn = peer.hears("S 0:0(0)");
        icmp(&mut peer, 11, 0, &syn);
        assert_eq!(reports(&mut peer), [SoftError::TimeExceeded]);
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.is_in(State::Established);
        assert_eq!(peer.stack.soft_error(peer.id), None);
    });
}

#[test]
fn a_source_quench_and_an_error_about_something_else_are_not_reported() {
    // RFC 9293 3.9.2.2 (MUST-55); RFC 5927 4.1.
    with_each_isn(|isns| {
        let (mut peer, text) = with_text(isns);
        icmp(&mut peer, 4, 0, &text);
        let mut old = text.clone();
        old.seq = text.seq - 1;
        icmp(&mut peer, 3, 1, &old);
        assert_eq!(reports(&mut peer), []);
        assert_eq!(peer.stack.soft_error(peer.id), None);
    });
}

#[test]
fn errors_that_nobody_asks_for_do_not_pile_up() {
    let (mut peer, text) = with_text(PLAIN);
    for _ in 0..1_000 {
        icmp(&mut peer, 3, 1, &text);
        icmp(&mut peer, 11, 0, &text);
    }
    let host = SoftError::Unreachable(Unreachable::Host);
    assert_eq!(reports(&mut peer), [host], "one waits");
    assert_eq!(peer.stack.soft_error(peer.id), Some(SoftError::TimeExceeded), "the last is kept");
    icmp(&mut peer, 3, 1, &text);
    assert_eq!(reports(&mut peer), [host], "the next one is reported");
}

#[test]
fn a_report_that_waits_is_given_though_the_peer_has_answered_since() {
    let (mut peer, text) = with_text(PLAIN);
    icmp(&mut peer, 3, 1, &text);
    peer.sends(". 1:1(0) ack 101");
    assert_eq!(reports(&mut peer), [SoftError::Unreachable(Unreachable::Host)]);
}

// R1: MUST-20, SHLD-9, SHLD-10.

#[test]
fn after_three_retransmissions_the_application_is_told() {
    with_each_isn(|isns| {
        let (mut peer, _) = with_text(isns);
        for _ in 0..2 {
            peer.hears_within(ms(200)..=secs(10), "P. 1:101(100) ack 1");
            assert_eq!(reports(&mut peer), []);
            assert_eq!(peer.stack.soft_error(peer.id), None);
        }
        peer.hears_within(ms(200)..=secs(10), "P. 1:101(100) ack 1");
        assert_eq!(reports(&mut peer), [SoftError::Retransmitting]);
        assert_eq!(peer.stack.soft_error(peer.id), Some(SoftError::Retransmitting));
        for _ in 0..3 {
            peer.hears_within(ms(200)..=secs(60), "P. 1:101(100) ack 1");
        }
        assert_eq!(reports(&mut peer), [], "it is told once");
        peer.is_in(State::Established);
        peer.sends(". 1:1(0) ack 101");
        assert_eq!(peer.stack.soft_error(peer.id), None);
        // The next segment has a count of its own.
        peer.writes(100);
        peer.hears("P. 101:201(100) ack 1");
        for _ in 0..3 {
            assert_eq!(reports(&mut peer), []);
            peer.hears_within(ms(200)..=secs(600), "P. 101:201(100) ack 1");
        }
        assert_eq!(reports(&mut peer), [SoftError::Retransmitting]);
    });
}

#[test]
fn a_syn_that_is_sent_again_and_again_is_reported_in_the_same_way() {
    // RFC 9293 3.8.3 (MUST-22): "including notification of the application layer".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        for seconds in [1, 2] {
            peer.hears_within(secs(seconds)..=secs(seconds), "S 0:0(0)");
        }
        assert_eq!(reports(&mut peer), []);
        peer.hears_within(secs(4)..=secs(4), "S 0:0(0)");
        assert_eq!(reports(&mut peer), [SoftError::Retransmitting]);
        peer.is_in(State::SynSent);
    });
}

#[test]
fn r1_can_be_set() {
    for r1 in [0, 1, 5] {
        let mut peer = Peer::established_with(PLAIN, "mss 1460", |config| config.tcp.r1 = r1);
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1");
        for n in 1..=8 {
            peer.hears_within(ms(200)..=secs(130), "P. 1:11(10) ack 1");
            let due = n == r1;
            assert_eq!(!reports(&mut peer).is_empty(), due, "R1 = {r1}, retransmission {n}");
        }
        let told = (r1 > 0).then_some(SoftError::Retransmitting);
        assert_eq!(peer.stack.soft_error(peer.id), told);
    }
}

#[test]
fn both_conditions_are_reported_side_by_side() {
    let (mut peer, text) = with_text(PLAIN);
    icmp(&mut peer, 3, 1, &text);
    peer.passes(secs(10));
    let host = SoftError::Unreachable(Unreachable::Host);
    assert_eq!(reports(&mut peer), [host, SoftError::Retransmitting]);
    assert_eq!(peer.stack.soft_error(peer.id), Some(host), "which says more");
}

#[test]
fn at_r1_the_ip_layer_forgets_what_it_knew_of_the_path() {
    // RFC 9293 3.8.3 (b): negative advice.
    let mut peer = in_state(PLAIN, State::Established).peer;
    peer.writes(1_460);
    let sent = peer.next();
    let quote = &sent.encode()[..28];
    let router = packet::address(254, false);
    let rest = 1_000u32.to_be_bytes();
    peer.sends_bytes(&raw::icmp(router, peer.local.ip(), 3, 4, rest, quote));
    assert_eq!(size_of_next_connection(&mut peer, 4_001), 960);
    // At once, and then twice more.
    peer.passes(secs(2));
    assert_eq!(reports(&mut peer), [SoftError::Retransmitting]);
    assert_eq!(size_of_next_connection(&mut peer, 4_002), 1_460);
}

/// Bytes of text in a segment of a new connection with the peer.
fn size_of_next_connection(peer: &mut Peer, port: u16) -> u32 {
    let (id, remote) = (peer.id, peer.remote);
    peer.ignores_the_rest();
    peer.remote.set_port(port);
    peer.shakes_hands("mss 1460");
    peer.accepts();
    let size = peer.stack.info(peer.id).expect("it is there").mss;
    peer.aborts();
    peer.ignores_the_rest();
    (peer.id, peer.remote) = (id, remote);
    size
}

// R2: why the connection has ended.

#[test]
fn the_network_s_explanation_is_the_reason_when_the_peer_stays_silent() {
    with_each_isn(|isns| {
        let host = CloseReason::Unreachable(Unreachable::Host);
        for (kind, code, reason) in [
            (3, 1, host),
            (3, 13, CloseReason::Unreachable(Unreachable::Prohibited)),
            (11, 0, host),
            (12, 0, CloseReason::TimedOut),
        ] {
            let (mut peer, text) = with_text(isns);
            icmp(&mut peer, kind, code, &text);
            peer.passes(secs(1_200));
            peer.is_over(reason);
            assert_eq!(peer.counter("TcpExtTCPAbortOnTimeout"), 1);
        }
    });
}

#[test]
fn a_user_timeout_knows_the_explanation_as_well() {
    let (mut peer, text) = with_text(PLAIN);
    peer.stack.set_user_timeout(peer.id, Some(secs(5)));
    icmp(&mut peer, 3, 0, &text);
    peer.passes(secs(5));
    peer.is_over(CloseReason::Unreachable(Unreachable::Network));
}

#[test]
fn an_explanation_that_the_peer_has_refuted_is_not_the_reason() {
    with_each_isn(|isns| {
        let (mut peer, text) = with_text(isns);
        icmp(&mut peer, 3, 1, &text);
        // A duplicate ACK, or an answer: either way it lives.
        peer.sends(". 1:1(0) ack 1");
        peer.passes(secs(1_200));
        peer.is_over(CloseReason::TimedOut);
    });
}

// SHLD-20: no reports.

#[test]
fn reports_can_be_turned_off_for_a_stack_and_for_a_connection() {
    for for_all in [false, true] {
        let mut peer = Peer::established_with(PLAIN, "mss 1460", |config| {
            config.tcp.error_reports = !for_all;
        });
        if !for_all {
            peer.stack.set_error_reports(peer.id, false);
        }
        peer.writes(100);
        let text = peer.next();
        icmp(&mut peer, 3, 1, &text);
        peer.passes(secs(10));
        peer.sends("U. 1:11(10) ack 1 urg 5");
        let told = peer.events();
        assert!(
            told.iter().all(|event| matches!(event, Event::Readable(_))),
            "neither of errors nor of urgent text: {told:?}"
        );
        // But it can ask.
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(5));
        icmp(&mut peer, 3, 1, &text);
        let host = SoftError::Unreachable(Unreachable::Host);
        assert_eq!(peer.stack.soft_error(peer.id), Some(host));
        assert_eq!(peer.events(), []);
        // And it may change its mind.
        peer.stack.set_error_reports(peer.id, true);
        icmp(&mut peer, 3, 1, &text);
        assert_eq!(reports(&mut peer), [host]);
    }
}

#[test]
fn nobody_is_told_of_an_orphan() {
    let (mut peer, text) = with_text(PLAIN);
    peer.closes();
    peer.ignores_the_rest();
    icmp(&mut peer, 3, 1, &text);
    peer.passes(secs(10));
    assert_eq!(peer.events(), []);
    assert_eq!(peer.stack.soft_error(peer.id), None);
}
