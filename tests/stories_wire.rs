//! Packets that no host should send, or that are damaged: each is dropped without an answer and
//! counted by its reason (RFC 9293 section 3.1; RFC 1122 section 3.2.1; RFC 8200).

mod common;

use common::packet::Packet;
use common::peer::{Isns, Peer, with_each_isn};
use common::random::Random;
use common::raw;
use common::states::in_state;
use tunstack::tcp::State;

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// A stack that listens, and a SYN that it would answer.
fn listening() -> (Peer, Packet) {
    let mut peer = Peer::new(PLAIN);
    peer.listens();
    let syn = peer.packet("S 0:0(0) <mss 1460>");
    (peer, syn)
}

/// Sends `bytes`; the stack is silent, opens nothing, and counts it under `reason`.
#[track_caller]
fn is_dropped(peer: &mut Peer, bytes: &[u8], reason: &str) {
    let before = peer.counter(reason);
    peer.sends_bytes(bytes);
    peer.hears_nothing();
    assert!(peer.others.is_empty(), "{reason} is answered");
    assert_eq!(peer.counter(reason), before + 1, "{reason}");
    assert_eq!(peer.stack.totals().half_open, 0);
}

#[test]
fn a_syn_that_nobody_may_send_is_dropped() {
    let (mut peer, syn) = listening();
    for (from, to, reason) in [
        ("127.0.0.1:4000", "10.0.0.1:80", "IpInMartianSources"),
        ("0.0.0.0:4000", "10.0.0.1:80", "IpInMartianSources"),
        ("224.0.0.1:4000", "10.0.0.1:80", "IpInMartianSources"),
        ("255.255.255.255:4000", "10.0.0.1:80", "IpInMartianSources"),
        ("240.0.0.1:4000", "10.0.0.1:80", "IpInMartianSources"),
        ("10.0.0.2:4000", "224.0.0.1:80", "IpInMulticastOrBroadcast"),
        ("10.0.0.2:4000", "255.255.255.255:80", "IpInMulticastOrBroadcast"),
        ("10.0.0.1:80", "10.0.0.1:80", "IpInLandAttacks"),
    ] {
        let mut bad = syn.clone();
        (bad.from, bad.to) = (from.parse().unwrap(), to.parse().unwrap());
        is_dropped(&mut peer, &bad.encode(), reason);
    }
}

#[test]
fn the_same_holds_over_ipv6() {
    let mut peer = Peer::over_ipv6(PLAIN, |_| {});
    peer.listens();
    let syn = peer.packet("S 0:0(0) <mss 1440>");
    for (from, to, reason) in [
        ("[::1]:4000", "[fd00::1]:80", "IpInMartianSources"),
        ("[::]:4000", "[fd00::1]:80", "IpInMartianSources"),
        ("[ff02::1]:4000", "[fd00::1]:80", "IpInMartianSources"),
        ("[fd00::2]:4000", "[ff02::1]:80", "IpInMulticastOrBroadcast"),
        ("[fd00::1]:80", "[fd00::1]:80", "IpInLandAttacks"),
    ] {
        let mut bad = syn.clone();
        (bad.from, bad.to) = (from.parse().unwrap(), to.parse().unwrap());
        is_dropped(&mut peer, &bad.encode(), reason);
    }
}

#[test]
fn a_packet_for_another_host_is_dropped() {
    let (mut peer, mut syn) = listening();
    syn.to.set_ip(common::packet::address(77, false));
    peer.sends_packet(&syn);
    peer.hears_nothing();
    assert_eq!(peer.stack.totals().half_open, 0);
}

#[test]
fn damaged_packets_are_dropped_by_reason() {
    let (mut peer, syn) = listening();
    let good = syn.encode();

    let mut bad = good.clone();
    bad[36] ^= 1;
    is_dropped(&mut peer, &bad, "TcpInCsumErrors");
    let mut bad = good.clone();
    bad[10] ^= 1;
    is_dropped(&mut peer, &bad, "IpExtInCsumErrors");
    is_dropped(&mut peer, &good[..good.len() - 1], "IpExtInTruncatedPkts");
    is_dropped(&mut peer, &[], "IpInUnknownVersions");
    let mut bad = good.clone();
    bad[0] = 0x55;
    is_dropped(&mut peer, &bad, "IpInUnknownVersions");

    // A fragment: "more fragments" set.
    let mut bad = good.clone();
    bad[6] = 0x20;
    raw::fix_ipv4_checksum(&mut bad);
    is_dropped(&mut peer, &bad, "IpInFragments");

    // A data offset that points before the end of the header, and one beyond the segment.
    for offset in [4u8, 15] {
        let mut bad = good.clone();
        bad[32] = offset << 4;
        raw::fix_tcp_checksum(&mut bad);
        is_dropped(&mut peer, &bad, "TcpInHdrErrors");
    }

    peer.sends_bytes(&good);
    peer.hears("S. 0:0(0) ack 1");
}

#[test]
fn a_packet_longer_than_any_can_be_is_dropped() {
    let (mut peer, syn) = listening();
    let mut long = syn.encode();
    long.resize(65_536, 0);
    is_dropped(&mut peer, &long, "IpInOversizedPkts");
}

#[test]
fn malformed_and_unknown_options_are_skipped() {
    // RFC 9293 3.1 (MUST-6, MUST-7).
    let malformed = [[2, 0, 5, 180], [2, 9, 5, 180], [1, 1, 1, 2], [2, 1, 5, 180]];
    // An unknown kind, and a known one with a length that is not its own.
    let strange = [[253, 4, 9, 9], [3, 2, 1, 1]];
    for options in malformed.into_iter().chain(strange) {
        let (mut peer, syn) = listening();
        let mut strange = syn.encode();
        assert_eq!(strange[40..44], [2, 4, 0x05, 0xb4], "the MSS option");
        strange[40..44].copy_from_slice(&options);
        raw::fix_tcp_checksum(&mut strange);
        peer.sends_bytes(&strange);
        peer.hears("S. 0:0(0) ack 1 <mss 1460>");
    }
}

#[test]
fn ip_options_and_extension_headers_are_stepped_over() {
    let (mut peer, syn) = listening();
    let good = syn.encode();
    // Router alert (RFC 2113): four more bytes of IPv4 header.
    let mut with_option = good[..20].to_vec();
    with_option[0] = 0x46;
    with_option[3] += 4;
    with_option.extend([0x94, 4, 0, 0]);
    raw::fix_ipv4_checksum(&mut with_option);
    with_option.extend_from_slice(&good[20..]);
    peer.sends_bytes(&with_option);
    peer.hears("S. 0:0(0) ack 1");

    let mut peer = Peer::over_ipv6(PLAIN, |_| {});
    peer.listens();
    let good = peer.packet("S 0:0(0) <mss 1440>").encode();
    // Destination options (60) with padding, then TCP.
    let payload = [&[raw::TCP, 0, 1, 4, 0, 0, 0, 0][..], &good[40..]].concat();
    peer.sends_bytes(&raw::ip(peer.remote.ip(), peer.local.ip(), 60, &payload));
    peer.hears("S. 0:0(0) ack 1");
}

#[test]
fn what_follows_the_ip_packet_in_the_frame_is_padding() {
    let (mut peer, syn) = listening();
    let mut padded = syn.encode();
    padded.extend([0xff; 12]);
    peer.sends_bytes(&padded);
    peer.hears("S. 0:0(0) ack 1");
}

#[test]
fn no_damage_to_a_packet_harms_a_connection() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        let good = peer.packet("P. 1:41(40) ack 1").encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            peer.sends_bytes(&bad);
        }
        for len in 0..good.len() {
            peer.sends_bytes(&good[..len]);
        }
        peer.is_in(State::Established);
        peer.reads_nothing();
        peer.sends_bytes(&good);
        peer.reads(40);
    });
}

#[test]
fn random_bytes_and_random_segments_never_panic_and_never_open_anything() {
    let (mut peer, syn) = listening();
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let len = random.below(120) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        if random.chance(700) && len >= 40 {
            // Make more of it plausible.
            bytes[..20].copy_from_slice(&syn.encode()[..20]);
            bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            raw::fix_ipv4_checksum(&mut bytes);
            bytes[32] = (random.between(5, 8) as u8) << 4;
            // A SYN on its own would rightly open.
            bytes[33] |= 0x10;
            raw::fix_tcp_checksum(&mut bytes);
        }
        peer.sends_bytes(&bytes);
    }
    peer.ignores_the_rest();
    let totals = peer.stack.totals();
    assert_eq!((totals.connections, totals.half_open), (0, 0));
}
