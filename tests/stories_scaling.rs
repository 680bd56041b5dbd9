//! Window scaling (RFC 7323 section 2): what the window field means, both ways.

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use tunstack::wire::SeqNum;

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// Bytes of text that come out when the application writes more than enough.
fn sent(peer: &mut Peer) -> usize {
    peer.writes(20_000);
    peer.all().iter().map(|packet| packet.text.len()).sum()
}

#[test]
fn the_window_that_we_announce_is_scaled_but_that_of_our_syn_is_not() {
    // Sections 2.2 and 2.3: "The window field in a segment where the SYN bit is set MUST NOT be
    // scaled", all others "MUST be right-shifted by Rcv.Wind.Shift bits".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460,wscale 3>");
        let ours = peer.hears("S. 0:0(0) ack 1 win 65535").options.window_scale;
        assert_eq!(ours.map(|scale| scale.shift()), Some(7));
        peer.sends(". 1:1(0) ack 1");
        peer.sends("P. 1:1281(1280) ack 1");
        let window = peer.hears(". 1:1(0) ack 1281").window;
        assert_eq!(window, (65_535_u16 - 1_280).div_ceil(128), "in units of 128 bytes");
    });
}

#[test]
fn without_a_scale_of_the_peers_no_window_is_scaled() {
    // Section 2.3: "otherwise, it MUST set both Snd.Wind.Shift and Rcv.Wind.Shift to zero". A scale
    // behind the SYN changes nothing (section 2.2).
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.window = 3_000;
        peer.sends("S 0:0(0) <mss 1000>");
        peer.hears("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        peer.sends(". 1:1(0) ack 1 win 3000 <wscale 4>");
        peer.accepts();
        peer.sends("P. 1:1281(1280) ack 1");
        assert_eq!(peer.hears(". 1:1(0) ack 1281").window, 65_535 - 1_280, "in bytes");
        assert_eq!(sent(&mut peer), 3_000);
    });
}

#[test]
fn a_connect_scales_only_with_a_peer_that_does() {
    // Section 2.2: "both sides MUST send Window Scale options in their <SYN> segments".
    with_each_isn(|isns| {
        for (options, shift) in [("mss 1000,wscale 2", 2), ("mss 1000", 0)] {
            let mut peer = Peer::new(isns);
            peer.connects();
            peer.hears("S 0:0(0) win 65535");
            peer.sends(&format!("S. 0:0(0) ack 1 win 1000 <{options}>"));
            let window = peer.hears(". 1:1(0) ack 1").window;
            assert_eq!(window, if shift > 0 { 512 } else { 65_535 });
            peer.sends(". 1:1(0) ack 1 win 1000");
            assert_eq!(sent(&mut peer), 1_000 << shift);
        }
    });
}

#[test]
fn the_scale_that_we_offer_follows_the_buffer_and_is_offered_even_if_it_is_zero() {
    // Section 2.2: "a TCP that is prepared to scale windows SHOULD send the option, even if its own
    // scale factor is 1 and the exponent 0"; section 2.3: "the shift count MUST be limited to 14".
    with_each_isn(|isns| {
        for (buffer, shift) in [(20_000, 0), (65_535, 0), (1 << 20, 5), (1 << 30, 14)] {
            let mut peer = Peer::with(isns, |config| config.tcp.max_recv_buffer = buffer);
            peer.listens();
            peer.sends("S 0:0(0) <mss 1460,wscale 0>");
            let answer = peer.hears("S. 0:0(0) ack 1").options.window_scale;
            assert_eq!(answer.map(|scale| scale.shift()), Some(shift), "{buffer}");
            peer.connects();
            let syn = peer.hears("S 0:0(0)").options.window_scale;
            assert_eq!(syn.map(|scale| scale.shift()), Some(shift), "{buffer}");
        }
    });
}

#[test]
fn whatever_was_once_within_the_window_is_taken() {
    // Section 2.4: "The receiver MUST honor, as in window, any segment that would have been in window
    // for any <ACK> sent by the receiver". Crumbs that nobody reads make the window shrink by less
    // than the scale can say, so that what is announced goes back by a part of a unit.
    let mut peer = Peer::new(PLAIN);
    peer.listens();
    peer.sends("S 0:0(0) <mss 1460,wscale 0>");
    peer.hears("S. 0:0(0) ack 1");
    peer.sends(". 1:1(0) ack 1");
    peer.accepts();
    let (mut at, mut edge, mut retracted) = (1u32, SeqNum(0), false);
    loop {
        peer.sends(&format!("P. {at}:{}(1) ack 1", at + 1));
        at += 1;
        let Some(packet) = peer.all().pop() else { continue };
        let announced = packet.ack + (u32::from(packet.window) << 7);
        retracted |= announced.is_before(edge);
        edge = if at == 2 { announced } else { edge.later(announced) };
        if retracted || packet.window == 0 {
            break;
        }
    }
    assert!(retracted, "the scale has made the window shrink");
    let most = (peer.irs + 1).len_to(edge);
    // In one batch, so that no other ACK lies between.
    let pieces: Vec<String> = (at..=most)
        .step_by(1_460)
        .map(|from| (from, (from + 1_460).min(most + 1)))
        .map(|(from, to)| format!("P. {from}:{to}({}) ack 1", to - from))
        .collect();
    peer.sends_batch(&pieces.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(peer.stack.readable(peer.id), most as usize, "up to the furthest edge");
}
