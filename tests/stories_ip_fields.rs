//! What a connection has a say in of the IP header: the time to live and the Differentiated Services
//! field (RFC 9293 sections 3.9.1.9 and 3.9.2).

mod common;

use common::peer::{Isns, Peer};
use common::secs;
use tunstack::stack::ConfigError;
use tunstack::{Config, Stack};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// Expedited forwarding (RFC 3246), with the two bits of ECN at zero.
const EF: u8 = 46 << 2;
/// Assured forwarding class 4, drop precedence 1 (RFC 2597).
const AF41: u8 = 34 << 2;

/// A stack with these settings that listens, over either family.
fn listening(ipv6: bool, change: impl FnOnce(&mut Config)) -> Peer {
    let change = |config: &mut Config| {
        config.tcp.no_delay = true;
        change(config);
    };
    let mut peer = if ipv6 { Peer::over_ipv6(PLAIN, change) } else { Peer::with(PLAIN, change) };
    peer.listens();
    peer
}

/// The time to live and the traffic class of the next segment.
fn fields(peer: &mut Peer) -> (u8, u8) {
    let packet = peer.next();
    (packet.ttl, packet.traffic_class)
}

#[test]
fn by_default_packets_live_for_64_hops_and_ask_for_no_service() {
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |_| {});
        peer.sends("S 0:0(0) <mss 1460>");
        assert_eq!(fields(&mut peer), (64, 0));
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.writes(10);
        assert_eq!(fields(&mut peer), (64, 0));
    }
}

#[test]
fn every_packet_of_a_stack_carries_the_fields_that_were_set() {
    // MUST-48, MUST-49, and SHLD-22: the value on the wire is the one that was given.
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |config| {
            config.tcp.ttl = 3;
            config.tcp.traffic_class = EF;
        });
        peer.sends("S 0:0(0) <mss 1460,sackOK>");
        assert_eq!(fields(&mut peer), (3, EF), "the SYN-ACK");
        peer.passes(secs(1));
        assert_eq!(fields(&mut peer), (3, EF), "and when it is sent again");
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.writes(10);
        assert_eq!(fields(&mut peer), (3, EF), "text");
        peer.passes(secs(4));
        assert_eq!(fields(&mut peer), (3, EF), "and when it is sent again");
        peer.ignores_the_rest();
        peer.sends(". 1001:1101(100) ack 11");
        assert_eq!(fields(&mut peer), (3, EF), "an ACK with SACK blocks");
        peer.aborts();
        assert_eq!(fields(&mut peer), (3, EF), "a reset");
        peer.sends(". 1:1(0) ack 11");
        assert_eq!(fields(&mut peer), (3, EF), "a reset of what is gone");
    }
}

#[test]
fn a_syn_carries_the_fields_that_were_set() {
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |config| {
            config.tcp.ttl = 255;
            config.tcp.traffic_class = AF41;
        });
        peer.connects();
        assert_eq!(fields(&mut peer), (255, AF41));
    }
}

#[test]
fn both_fields_can_be_changed_while_a_connection_lives() {
    // MUST-48, MUST-49, SHLD-21: for this connection and no other.
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |_| {});
        peer.shakes_hands("mss 1460");
        peer.accepts();
        peer.writes(10);
        assert_eq!(fields(&mut peer), (64, 0));
        peer.stack.set_traffic_class(peer.id, EF);
        peer.writes(10);
        assert_eq!(fields(&mut peer), (64, EF));
        peer.stack.set_ttl(peer.id, 1);
        peer.writes(10);
        assert_eq!(fields(&mut peer), (1, EF));
        peer.sends("P. 1:11(10) ack 31");
        assert_eq!(fields(&mut peer), (1, EF), "a bare ACK");

        peer.remote.set_port(4_001);
        peer.sends("S 0:0(0) <mss 1460>");
        assert_eq!(fields(&mut peer), (64, 0), "another connection");
    }
}

#[test]
fn a_connection_in_time_wait_keeps_its_traffic_class() {
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |_| {});
        peer.shakes_hands("mss 1460");
        peer.accepts();
        peer.stack.set_traffic_class(peer.id, AF41);
        peer.closes();
        peer.hears("F. 1:1(0) ack 1");
        peer.sends("F. 1:1(0) ack 2");
        assert_eq!(fields(&mut peer), (64, AF41));
        peer.passes(secs(1));
        peer.sends("F. 1:1(0) ack 2");
        assert_eq!(fields(&mut peer), (64, AF41), "the FIN has come again");
    }
}

#[test]
fn the_bits_of_ecn_are_not_the_applications() {
    // RFC 3168 section 5: a traffic class that claims to be ECT would be marked instead of dropped.
    for ipv6 in [false, true] {
        let mut peer = listening(ipv6, |config| config.tcp.traffic_class = 0xff);
        peer.shakes_hands("mss 1460");
        peer.accepts();
        peer.writes(10);
        assert_eq!(fields(&mut peer), (64, 0xfc));
        peer.stack.set_traffic_class(peer.id, EF | 3);
        peer.writes(10);
        assert_eq!(fields(&mut peer), (64, EF));
    }
}

#[test]
fn a_time_to_live_of_zero_is_refused() {
    let mut config = Config::with_addresses([[10, 0, 0, 1].into()]);
    config.tcp.ttl = 0;
    assert_eq!(Stack::new(config, [0; 32]).err(), Some(ConfigError::Ttl));
    let mut peer = listening(false, |_| {});
    peer.shakes_hands("mss 1460");
    peer.accepts();
    peer.stack.set_ttl(peer.id, 0);
    peer.writes(10);
    assert_eq!(fields(&mut peer).0, 1);
}
