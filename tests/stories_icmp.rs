//! ICMP: echo, unreachable ports, and errors that concern a connection (RFC 9293 section 3.9.2.2,
//! RFC 1122 section 3.2.2, RFC 4443, RFC 5927, path MTU by RFC 1191 and RFC 8201).

mod common;

use std::net::{IpAddr, SocketAddr};

use common::packet::internet_checksum;
use common::peer::{Isns, Peer, with_each_isn};
use common::states::{SYNCHRONIZED, in_state};
use common::{ms, raw, secs};
use tunstack::tcp::{CloseReason, State, Unreachable};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// Somebody on the way.
const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 254));

/// The message that `router` sends about `quoted`, a packet of the stack's.
fn error(peer: &Peer, kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let router = if peer.local.is_ipv6() { common::packet::address(254, true) } else { ROUTER };
    raw::icmp(router, peer.local.ip(), kind, code, rest, quoted)
}

/// The last packet of the stack, with its first bytes as a router quotes them.
fn quote(packet: &common::packet::Packet) -> Vec<u8> {
    let bytes = packet.encode();
    let header = if packet.from.is_ipv6() { 40 } else { 20 };
    bytes[..header + 8].to_vec()
}

// Echo.

#[test]
fn an_echo_request_is_answered_with_the_same_data() {
    for ipv6 in [false, true] {
        let mut peer = if ipv6 { Peer::over_ipv6(PLAIN, |_| {}) } else { Peer::new(PLAIN) };
        let (request, reply) = if ipv6 { (128, 129) } else { (8, 0) };
        let (from, to) = (peer.remote.ip(), peer.local.ip());
        for len in [0usize, 1, 56, 1_400] {
            let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
            peer.sends_bytes(&raw::icmp(from, to, request, 0, [1, 2, 3, 4], &data));
            let answer = peer.others.pop_front().expect("an answer");
            let expected = raw::icmp(to, from, reply, 0, [1, 2, 3, 4], &data);
            let header = if ipv6 { 40 } else { 20 };
            assert_eq!(answer[header..], expected[header..], "{len} bytes");
            assert_eq!(answer[header - 8..header], expected[header - 8..header]);
        }
        assert!(peer.others.is_empty());
    }
}

#[test]
fn a_damaged_echo_request_is_not_answered() {
    let mut peer = Peer::new(PLAIN);
    let (from, to) = (peer.remote.ip(), peer.local.ip());
    let mut request = raw::icmp(from, to, 8, 0, [1, 2, 3, 4], b"hello");
    *request.last_mut().unwrap() ^= 1;
    peer.sends_bytes(&request);
    assert!(peer.others.is_empty());
    assert_eq!(peer.counter("IcmpInCsumErrors"), 1);
}

#[test]
fn an_echo_request_for_another_host_is_not_answered() {
    let mut peer = Peer::new(PLAIN);
    let other = common::packet::address(77, false);
    peer.sends_bytes(&raw::icmp(peer.remote.ip(), other, 8, 0, [0; 4], b"hello"));
    assert!(peer.others.is_empty());
}

// UDP to a port where nobody is.

#[test]
fn a_datagram_for_nobody_gets_port_unreachable_that_quotes_it() {
    // RFC 1122 4.1.3.1, RFC 4443 3.1.
    for ipv6 in [false, true] {
        let mut peer = if ipv6 { Peer::over_ipv6(PLAIN, |_| {}) } else { Peer::new(PLAIN) };
        let to = SocketAddr::new(peer.local.ip(), 9_999);
        let datagram = raw::udp(peer.remote, to, b"anybody?");
        peer.sends_bytes(&datagram);
        let answer = peer.others.pop_front().expect("an answer");
        let header = if ipv6 { 40 } else { 20 };
        let (kind, code) = if ipv6 { (1, 4) } else { (3, 3) };
        assert_eq!((answer[header], answer[header + 1]), (kind, code));
        assert!(answer[header + 8..].starts_with(&datagram));
        if !ipv6 {
            assert_eq!(internet_checksum(&[&answer[header..]]), 0);
        }
    }
}

#[test]
fn port_unreachables_are_limited_in_rate() {
    // RFC 1812 4.3.2.8, RFC 4443 2.4 (f).
    let mut peer = Peer::new(PLAIN);
    let to = SocketAddr::new(peer.local.ip(), 9_999);
    let datagram = raw::udp(peer.remote, to, b"anybody?");
    for _ in 0..1_000 {
        peer.sends_bytes(&datagram);
    }
    let first = peer.others.len();
    assert!((1..200).contains(&first), "{first}");
    peer.others.clear();
    peer.passes(secs(5));
    peer.sends_bytes(&datagram);
    assert_eq!(peer.others.len(), 1, "answers come again later");
}

// Errors about a connection.

#[test]
fn a_connect_that_meets_unreachable_ends_at_once() {
    with_each_isn(|isns| {
        for (code, what) in [
            (0, Unreachable::Network),
            (1, Unreachable::Host),
            (2, Unreachable::Protocol),
            (3, Unreachable::Port),
            (13, Unreachable::Prohibited),
        ] {
            let mut peer = Peer::new(isns);
            peer.connects();
            let syn = peer.hears("S 0:0(0)");
            peer.sends_bytes(&error(&peer, 3, code, [0; 4], &quote(&syn)));
            peer.is_over(CloseReason::Unreachable(what));
            peer.is_in(State::Closed);
            peer.passes(secs(100));
            peer.hears_nothing();
        }
    });
}

#[test]
fn a_connect_over_ipv6_that_meets_unreachable_ends_at_once() {
    with_each_isn(|isns| {
        for (code, what) in [
            (0, Unreachable::Network),
            (1, Unreachable::Prohibited),
            (3, Unreachable::Host),
            (4, Unreachable::Port),
        ] {
            let mut peer = Peer::over_ipv6(isns, |_| {});
            peer.connects();
            let syn = peer.hears("S 0:0(0)");
            peer.sends_bytes(&error(&peer, 1, code, [0; 4], &quote(&syn)));
            peer.is_over(CloseReason::Unreachable(what));
        }
    });
}

#[test]
fn an_unreachable_does_not_end_a_connection_that_is_established() {
    // RFC 9293 3.9.2.2 (MUST-56) and RFC 5927 4: also "hard" errors only hint.
    with_each_isn(|isns| {
        for code in [0, 1, 2, 3] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.writes(100);
            let text = peer.hears("P. 1:101(100) ack 1");
            peer.sends_bytes(&error(&peer, 3, code, [0; 4], &quote(&text)));
            peer.is_in(State::Established);
            peer.sends(". 1:1(0) ack 101");
            peer.sends("P. 1:11(10) ack 101");
            peer.reads(10);
        }
    });
}

#[test]
fn an_error_about_what_is_not_in_flight_is_ignored() {
    // RFC 5927 4.1: it was forged or is long out of date.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        let syn = peer.hears("S 0:0(0)");
        for offset in [1u32, u32::MAX, 1_000_000, 1 << 31] {
            let mut forged = syn.clone();
            forged.seq = syn.seq + offset;
            peer.sends_bytes(&error(&peer, 3, 1, [0; 4], &quote(&forged)));
            peer.is_in(State::SynSent);
        }
        // Another connection's.
        let mut other = syn.clone();
        other.to.set_port(81);
        peer.sends_bytes(&error(&peer, 3, 1, [0; 4], &quote(&other)));
        peer.is_in(State::SynSent);
        peer.sends_bytes(&error(&peer, 3, 1, [0; 4], &quote(&syn)));
        peer.is_in(State::Closed);
    });
}

#[test]
fn a_source_quench_changes_nothing() {
    // RFC 9293 3.9.2.2 (MUST-55).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        let first = peer.next();
        let before = peer.stack.info(peer.id).unwrap().cwnd;
        peer.sends_bytes(&error(&peer, 4, 0, [0; 4], &quote(&first)));
        assert_eq!(peer.stack.info(peer.id).unwrap().cwnd, before);
    });
}

#[test]
fn no_error_message_harms_a_stack_in_any_state() {
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            let mut peer = in_state(isns, state).peer;
            let mut packet = peer.packet(". 1:1(0) ack 1");
            std::mem::swap(&mut packet.from, &mut packet.to);
            packet.seq = peer.iss + 1;
            for (kind, code) in [(3, 0), (3, 1), (3, 2), (3, 3), (3, 13), (11, 0), (12, 0), (4, 0)]
            {
                peer.sends_bytes(&error(&peer, kind, code, [0; 4], &quote(&packet)));
            }
            peer.is_in(state);
        }
    });
}

// The path's MTU.

/// Tells the stack that its packet did not fit.
fn too_big(peer: &mut Peer, packet: &common::packet::Packet, mtu: u32) {
    let rest = mtu.to_be_bytes();
    let (kind, code) = if peer.local.is_ipv6() { (2, 0) } else { (3, 4) };
    let message = error(peer, kind, code, rest, &quote(packet));
    peer.sends_bytes(&message);
}

#[test]
fn a_segment_that_did_not_fit_is_sent_again_in_smaller_ones() {
    // RFC 1191 6.4: at once, and without a lasting effect on the congestion window.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        let sent = peer.all();
        let before = peer.stack.info(peer.id).unwrap().cwnd;
        too_big(&mut peer, &sent[0], 1_000);
        let again = peer.next();
        assert_eq!((again.seq, again.text.len()), (peer.iss + 1, 960));
        peer.ignores_the_rest();
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 960);
        peer.sends(". 1:1(0) ack 14601");
        assert!(peer.stack.info(peer.id).unwrap().cwnd >= before);
        peer.writes(5_000);
        assert!(peer.all().iter().all(|packet| packet.text.len() <= 960));
    });
}

#[test]
fn what_did_not_fit_is_sent_again_in_slow_start_up_to_the_window_that_there_was() {
    // RFC 1191 6.4: "only one segment should be retransmitted until acknowledgements begin to arrive
    // again"; it "should not change the congestion window".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        let sent = peer.all();
        let before = peer.stack.info(peer.id).unwrap();
        too_big(&mut peer, &sent[0], 1_000);
        let mut rounds = Vec::new();
        loop {
            let again = peer.all();
            let Some(last) = again.last() else { break };
            rounds.push(again.len());
            peer.passes(ms(10));
            let end = (last.seq + last.text.len() as u32).0.wrapping_sub(peer.iss.0);
            peer.sends(&format!(". 1:1(0) ack {end}"));
        }
        assert_eq!(rounds[0], 1, "{rounds:?}");
        assert!(
            rounds.len() > 3 && rounds.windows(2).all(|two| two[1] <= 3 * two[0]),
            "{rounds:?}"
        );
        let after = peer.stack.info(peer.id).unwrap();
        assert!(after.cwnd >= before.cwnd && after.ssthresh == before.ssthresh);
        assert_eq!((after.phase, after.backoff), (before.phase, 0));
    });
}

#[test]
fn over_ipv6_packet_too_big_does_the_same() {
    // RFC 8201 5.4.
    with_each_isn(|isns| {
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.listens();
        peer.shakes_hands("mss 1440");
        peer.accepts();
        peer.writes(10_000);
        let sent = peer.all();
        too_big(&mut peer, &sent[0], 1_300);
        let again = peer.next();
        assert_eq!((again.seq, again.text.len()), (peer.iss + 1, 1_240));
    });
}

#[test]
fn the_path_mtu_has_a_floor() {
    // RFC 1191 3 and common practice: 552; RFC 8201 4: 1280.
    with_each_isn(|isns| {
        for mtu in [0, 1, 68, 300, 551] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.writes(14_600);
            let sent = peer.all();
            too_big(&mut peer, &sent[0], mtu);
            let size = peer.stack.info(peer.id).unwrap().mss;
            assert!(size >= 512, "mtu {mtu}: {size}");
        }
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.listens();
        peer.shakes_hands("mss 1440");
        peer.accepts();
        peer.writes(10_000);
        let sent = peer.all();
        too_big(&mut peer, &sent[0], 600);
        assert!(peer.stack.info(peer.id).unwrap().mss >= 1_220);
    });
}

#[test]
fn the_path_mtu_never_grows_by_a_message_and_forgeries_do_not_lower_it() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        let sent = peer.all();
        too_big(&mut peer, &sent[0], 9_000);
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 1_460);
        let mut forged = sent[0].clone();
        forged.seq = sent[0].seq + 1_000_000;
        too_big(&mut peer, &forged, 600);
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 1_460);
        peer.hears_nothing();
    });
}

#[test]
fn a_later_connection_to_the_same_host_starts_with_the_known_mtu() {
    // RFC 1191 6.2: the path's MTU is a property of the path.
    let mut peer = in_state(PLAIN, State::Established).peer;
    peer.writes(14_600);
    let sent = peer.all();
    too_big(&mut peer, &sent[0], 1_000);
    peer.ignores_the_rest();
    peer.remote.set_port(4_001);
    peer.shakes_hands("mss 1460");
    peer.accepts();
    peer.written = 0;
    peer.writes(5_000);
    assert_eq!(peer.next().text.len(), 960);
    peer.passes(ms(1));
}
