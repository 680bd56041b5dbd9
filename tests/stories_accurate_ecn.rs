//! Accurate ECN, RFC 9768: marks are counted, and the counters come back with every segment.
//!
//! In the notation the ACE field is the letters A, W and E, from the highest bit on: 5, where the
//! counters start, is `EA`.

mod common;

use common::link::Faults;
use common::pair::{Plan, Side};
use common::peer::{Isns, Peer, with_each_isn};
use common::{ms, secs};
use tunstack::Config;
use tunstack::tcp::congestion::Congestion;
use tunstack::tcp::{CloseReason, Ecn, EcnInfo, State};
use tunstack::wire::{EcnCounters, EcnField, EcnOrder, Flags, Offload};

const MSS: u32 = 1_460;
/// The option of a SYN-ACK.
const FIRST: &str = "ECN e0b 1 ceb 0 e1b 1";
/// What the ACE field may say, from 0 to 7.
const ACE: [&str; 8] = ["", "E", "W", "EW", "A", "EA", "WA", "EWA"];

fn accurate(config: &mut Config) {
    config.tcp.ecn = Ecn::Accurate;
}

/// A stack that listens and knows accurate ECN.
fn listening(isns: Isns) -> Peer {
    listening_with(isns, |_| {})
}

fn listening_with(isns: Isns, change: impl FnOnce(&mut Config)) -> Peer {
    let mut peer = Peer::with(isns, |config| {
        accurate(config);
        change(config);
    });
    peer.listens();
    peer
}

/// A connection that the peer has opened, with accurate ECN.
fn agreed(isns: Isns) -> Peer {
    agreed_with(isns, |_| {})
}

fn agreed_with(isns: Isns, change: impl FnOnce(&mut Config)) -> Peer {
    let mut peer = listening_with(isns, change);
    peer.sends("SEWA 0:0(0) <mss 1460>");
    peer.hears(&format!("[noecn] SW. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
    peer.sends(&format!("W. 1:1(0) ack 1 <{FIRST}>"));
    peer.accepts();
    peer.events();
    peer
}

/// A stack that has asked for accurate ECN and waits for the answer.
fn asking(isns: Isns) -> Peer {
    let mut peer = Peer::with(isns, accurate);
    peer.connects();
    let syn = peer.hears("[noecn] SEWA 0:0(0)");
    // Section 3.2.3.2.1: "MUST NOT include an AccECN TCP Option on the SYN".
    assert_eq!(syn.options.ecn, None);
    peer
}

/// A connection that the stack has opened, with accurate ECN.
fn connected(isns: Isns) -> Peer {
    let mut peer = asking(isns);
    peer.sends(&format!("SW. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
    peer.hears(&format!("[noecn] W. 1:1(0) ack 1 <{FIRST}>"));
    peer.events();
    peer
}

fn cwnd(peer: &Peer) -> u32 {
    peer.stack.info(peer.id).expect("it is there").cwnd
}

/// To which a mark brings the window down, little by little.
fn ssthresh(peer: &Peer) -> u32 {
    peer.stack.info(peer.id).expect("it is there").ssthresh
}

/// What the stack tells of ECN on the connection.
fn ecn(peer: &Peer) -> Option<EcnInfo> {
    peer.stack.info(peer.id).expect("it is there").ecn
}

/// Whether the mode is accurate, that of RFC 3168, or none.
fn mode(peer: &Peer) -> Option<bool> {
    ecn(peer).map(|ecn| ecn.accurate)
}

/// Whether new text of the connection lets routers mark it.
#[track_caller]
fn marks_its_text(peer: &mut Peer) -> bool {
    peer.ignores_the_rest();
    peer.writes(10);
    let packet = peer.next();
    assert_eq!(packet.text.len(), 10);
    packet.ecn() == EcnField::Ect0
}

// Setting up: section 3.1.

#[test]
fn by_default_accurate_ecn_is_neither_asked_for_nor_known() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        // To one that knows RFC 3168 only its two flags ask for that.
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.opens(["SEWA 0:0(0) <mss 1460>", "SE. 0:0(0) ack 1 <mss 1460>", ". 1:1(0) ack 1"]);
        assert_eq!(mode(&peer), Some(false));
    });
}

#[test]
fn one_that_only_accepts_accurate_ecn_does_not_ask_for_it() {
    with_each_isn(|isns| {
        let accepts: fn(&mut Config) = |config| config.tcp.ecn = Ecn::AcceptAccurate;
        let mut peer = Peer::with(isns, accepts);
        peer.connects();
        peer.hears("S 0:0(0)");
        let mut peer = Peer::with(isns, accepts);
        peer.listens();
        peer.opens(["SEWA 0:0(0) <mss 1460>", "SW. 0:0(0) ack 1", "W. 1:1(0) ack 1"]);
        assert_eq!(mode(&peer), Some(true));
    });
}

#[test]
fn the_syn_ack_tells_how_the_syn_has_arrived() {
    // Table 2, the first block.
    with_each_isn(|isns| {
        for (arrives, answer) in
            [("[noecn]", "SW."), ("[ect1]", "SEW."), ("[ect0]", "SA."), ("[ce]", "SWA.")]
        {
            let mut peer = listening(isns);
            peer.sends(&format!("{arrives} SEWA 0:0(0) <mss 1460>"));
            peer.hears(&format!("[noecn] {answer} 0:0(0) ack 1 <mss 1460,{FIRST}>"));
            peer.sends("W. 1:1(0) ack 1");
            peer.accepts();
            assert_eq!(mode(&peer), Some(true));
            assert!(marks_its_text(&mut peer));
            // "If a TCP Server in AccECN mode receives a CE mark in the IP-ECN field of a SYN, it MUST
            // NOT increment r.cep".
            assert_eq!(ecn(&peer).map(|ecn| ecn.packets_marked_in), Some(0));
        }
    });
}

#[test]
fn an_option_on_a_syn_means_nothing() {
    // Section 3.2.3.2.1: "it MUST be ignored".
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("S 0:0(0) <mss 1460,ECN e0b 0>");
        peer.hears("S. 0:0(0) ack 1 <mss 1460>");
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460,ECN e0b 0 ceb 0 e1b 0>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends(&format!("W. 1:1(0) ack 1 <{FIRST}>"));
        peer.accepts();
        peer.writes(10);
        peer.hears("[ect0] EA. 1:11(10) ack 1");
        peer.sends("EA. 1:1(0) ack 11 <ECN e0b 11>");
        assert_eq!(ecn(&peer).expect("agreed").bytes_out, [10, 0, 0]);
    });
}

#[test]
fn what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all() {
    // Table 2, the third block; section 3.1.3.
    with_each_isn(|isns| {
        for (flags, answer, agrees) in [
            ("", "S.", None),
            ("EW", "SE.", Some(false)),
            ("E", "SW.", Some(true)),
            ("W", "SW.", Some(true)),
            ("A", "SW.", Some(true)),
            ("EA", "SW.", Some(true)),
            ("WA", "SW.", Some(true)),
        ] {
            let mut peer = listening(isns);
            peer.sends(&format!("S{flags} 0:0(0) <mss 1460>"));
            peer.hears(&format!("{answer} 0:0(0) ack 1"));
            peer.sends(if agrees == Some(true) { "W. 1:1(0) ack 1" } else { ". 1:1(0) ack 1" });
            peer.accepts();
            assert_eq!(mode(&peer), agrees, "{flags}");
            assert_eq!(marks_its_text(&mut peer), agrees.is_some(), "{flags}");
        }
        // RFC 3168 over a path that sets ECT on a SYN is not agreed to, as without accurate ECN.
        let mut peer = listening(isns);
        peer.sends("[ect0] SEW 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
    });
}

#[test]
fn each_answer_to_a_connect_that_asks_is_understood() {
    // Table 2, and section 3.2.2.3 for a SYN whose field has changed on the way.
    with_each_isn(|isns| {
        for (answer, agrees, marks) in [
            ("SW.", Some(true), true),
            ("SEW.", Some(true), false),
            ("SA.", Some(true), false),
            ("SWA.", Some(true), false),
            ("SEA.", Some(true), true),
            ("SE.", Some(false), true),
            ("S.", None, false),
            ("SEWA.", None, false),
        ] {
            let mut peer = asking(isns);
            peer.sends(&format!("{answer} 0:0(0) ack 1 <mss 1460>"));
            peer.hears(if agrees == Some(true) { "W. 1:1(0) ack 1" } else { ". 1:1(0) ack 1" });
            assert_eq!(mode(&peer), agrees, "{answer}");
            // Section 3.2.2.2: "the TCP Client still triggers the congestion control actions", and
            // its counter remains.
            let reduced = cwnd(&peer) < 10 * MSS;
            assert_eq!(reduced, answer == "SWA.");
            assert_eq!(ecn(&peer).map_or(0, |ecn| ecn.packets_marked_out), 0);
            assert_eq!(marks_its_text(&mut peer), marks, "{answer}");
            if agrees == Some(true) {
                // "it MUST continue to feed back any ECN markings".
                peer.sends("[ce] EA. 1:11(10) ack 11");
                peer.hears("WA. 11:11(0) ack 11");
            }
        }
    });
}

#[test]
fn the_ack_of_a_syn_ack_tells_how_that_has_arrived() {
    // Table 3. The mark is counted as well: "incremented from 5 to 6, but no further".
    with_each_isn(|isns| {
        for (arrives, told, then) in [
            ("[noecn]", "W.", "EA."),
            ("[ect1]", "EW.", "EA."),
            ("[ect0]", "A.", "EA."),
            ("[ce]", "WA.", "WA."),
        ] {
            let mut peer = asking(isns);
            peer.sends(&format!("{arrives} SW. 0:0(0) ack 1 <mss 1460>"));
            peer.hears(&format!("[noecn] {told} 1:1(0) ack 1 <{FIRST}>"));
            // It did not arrive. This time nothing has happened to the SYN-ACK.
            peer.passes(secs(1));
            peer.sends("SW. 0:0(0) ack 1 <mss 1460>");
            peer.hears("W. 1:1(0) ack 1");
            peer.passes(secs(1));
            peer.sends(&format!("{arrives} SW. 0:0(0) ack 1 <mss 1460>"));
            peer.hears(&format!("{told} 1:1(0) ack 1"));
            peer.writes(10);
            peer.hears(&format!("[ect0] {then} 1:11(10) ack 1"));
            // Once the peer has heard more than its SYN-ACK it reads a counter.
            peer.sends("EA. 1:1(0) ack 11");
            peer.passes(secs(1));
            peer.sends("SW. 0:0(0) ack 1 <mss 1460>");
            peer.hears(&format!("{then} 11:11(0) ack 1"));
        }
        // "a pure ACK with no SACK blocks"
        let mut peer = asking(isns);
        peer.sends("[ect0] SA. 0:0(0) ack 1 <mss 1460,sackOK>");
        peer.hears("A. 1:1(0) ack 1");
        peer.sends("EA. 101:201(100) ack 1");
        peer.hears("EA. 1:1(0) ack 1 <sack 101:201>");
        peer.passes(secs(1));
        peer.sends("[ect0] SA. 0:0(0) ack 1 <mss 1460,sackOK>");
        peer.hears("A. 1:1(0) ack 1 <>");
    });
}

#[test]
fn the_ack_of_a_syn_ack_goes_ahead_of_text_and_both_carry_an_option() {
    // Section 3.2.2.1: "it SHOULD first send a pure ACK"; section 3.2.3.2.1.
    with_each_isn(|isns| {
        let mut peer = asking(isns);
        peer.writes(3_000);
        peer.sends(&format!("[ect0] SW. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
        peer.hears(&format!("[noecn] A. 1:1(0) ack 1 <{FIRST}>"));
        // The option takes room from the text.
        peer.hears(&format!("[ect0] EA. 1:1449(1448) ack 1 <{FIRST}>"));
        peer.hears("[ect0] EA. 1449:2909(1460) ack 1 <>");
        peer.hears("[ect0] EA. 2909:3001(92) ack 1 <>");
        // Section 3.2.3.2.2: "it SHOULD fall back to no AccECN Option on the retransmission".
        peer.hears_within(ms(200)..=secs(2), "[noecn] EA. 1:1449(1448) ack 1 <>");
    });
}

#[test]
fn the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived() {
    // Table 4, and section 3.2.2.3: we have sent it without ECT.
    with_each_isn(|isns| {
        for (told, marks, marked) in [
            ("", false, 0),
            ("E", true, 0),
            ("W", true, 0),
            ("EW", false, 0),
            ("A", false, 0),
            ("EA", true, 0),
            ("WA", false, 1),
            ("EWA", true, 0),
        ] {
            let mut peer = listening(isns);
            peer.sends("SEWA 0:0(0) <mss 1460>");
            peer.hears("SW. 0:0(0) ack 1");
            peer.sends(&format!("{told}. 1:1(0) ack 1"));
            peer.accepts();
            assert_eq!(mode(&peer), Some(true));
            let info = ecn(&peer).expect("agreed");
            assert_eq!(info.packets_marked_out, marked, "{told}");
            assert_eq!(cwnd(&peer) < 10 * MSS, marked > 0, "{told}");
            assert_eq!(marks_its_text(&mut peer), marks, "{told}");
            // "Nonetheless, as a Data Receiver it MUST NOT disable AccECN feedback."
            peer.sends("[ce] EA. 1:11(10) ack 1");
            peer.hears("WA. 11:11(0) ack 11");
            // Note 1: with zero it "MUST NOT respond to AccECN feedback"; otherwise it does.
            let before = cwnd(&peer);
            peer.sends("EWA. 11:11(0) ack 11");
            assert_eq!(cwnd(&peer) < before, !told.is_empty(), "{told}");
        }
    });
}

#[test]
fn an_ack_with_text_or_blocks_does_not_tell_how_a_syn_ack_has_arrived() {
    // Section 3.2.2.1: "a pure ACK with SYN=0 and no SACK blocks"; with text it is a counter.
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.opens(["SEWA 0:0(0) <mss 1460>", "SW. 0:0(0) ack 1", "EA. 1:11(10) ack 1"]);
        peer.hears("EA. 1:1(0) ack 11");
        assert!(marks_its_text(&mut peer));
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 0);
        // 6 is a count here, by which the SYN-ACK need not have been mangled.
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460,sackOK>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("WA. 1:1(0) ack 1 <sack 0:1>");
        peer.accepts();
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 1);
        assert!(marks_its_text(&mut peer));
    });
}

#[test]
fn the_third_syn_no_longer_asks_and_the_first_answer_counts() {
    // Section 3.1.4.1: "at least one more time"; "If a TCP Client has entered AccECN mode but then
    // subsequently sends a SYN ..., it is still allowed to set ECT".
    with_each_isn(|isns| {
        for (answer, agrees, marks) in
            [("SW.", Some(true), true), ("SE.", Some(false), false), ("S.", None, false)]
        {
            let mut peer = asking(isns);
            peer.hears_within(secs(1)..=secs(1), "[noecn] SEWA 0:0(0)");
            peer.hears_within(secs(1)..=secs(2), "[noecn] S 0:0(0)");
            peer.sends(&format!("{answer} 0:0(0) ack 1 <mss 1460>"));
            peer.hears(if agrees == Some(true) { "W. 1:1(0) ack 1" } else { ". 1:1(0) ack 1" });
            assert_eq!(mode(&peer), agrees);
            assert_eq!(marks_its_text(&mut peer), marks, "{answer}");
        }
    });
}

#[test]
fn a_syn_ack_that_goes_unanswered_says_less_and_less() {
    // Section 3.2.3.2.2; section 3.1.5: who has sent one that says nothing "MUST NOT set ECT on any
    // packet for the rest of the connection", and stays in its mode.
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("[ect0] SEWA 0:0(0) <mss 1460>");
        peer.hears(&format!("SA. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
        peer.hears_within(secs(1)..=secs(1), "SA. 0:0(0) ack 1 <mss 1460>");
        peer.hears_within(secs(2)..=secs(2), "S. 0:0(0) ack 1 <mss 1460>");
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
        assert_eq!(mode(&peer), Some(true));
        assert!(!marks_its_text(&mut peer));
        peer.sends("[ce] EA. 1:11(10) ack 11");
        // Nor is an option tried again.
        peer.hears("[noecn] WA. 11:11(0) ack 11 <>");

        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.hears_within(secs(1)..=secs(1), "SW. 0:0(0) ack 1 <mss 1460>");
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
        assert!(marks_its_text(&mut peer), "the second still agrees");
    });
}

#[test]
fn a_syn_that_comes_again_is_told_how_it_has_arrived_this_time() {
    // Section 3.1.5: "MUST feed back the IP-ECN field on the latest valid SYN"; with one that says
    // nothing "SHOULD acknowledge ... by emitting an AccECN SYN/ACK", and then no ECT.
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.sends("[ce] SEWA 0:0(0) <mss 1460>");
        peer.hears("SWA. 0:0(0) ack 1 <mss 1460>");
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
        assert!(marks_its_text(&mut peer));

        let mut peer = listening(isns);
        peer.sends("[ce] SEWA 0:0(0) <mss 1460>");
        peer.hears("SWA. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.opens(["S 0:0(0) <mss 1460>", "SW. 0:0(0) ack 1 <mss 1460>", "W. 1:1(0) ack 1"]);
        assert_eq!(mode(&peer), Some(true));
        assert!(!marks_its_text(&mut peer));
    });
}

#[test]
fn a_peer_that_asks_for_both_kinds_is_reset() {
    // Section 3.1.5: "MUST reset the connection with a RST packet".
    with_each_isn(|isns| {
        for (first, second) in [("SEWA", "SEW"), ("SEW", "SEWA"), ("SEW", "SA")] {
            let mut peer = listening(isns);
            peer.sends(&format!("{first} 0:0(0) <mss 1460>"));
            peer.next();
            peer.passes(ms(600));
            peer.sends(&format!("{second} 0:0(0) <mss 1460>"));
            let reset = peer.next();
            assert_eq!(reset.flags, Flags::RST | Flags::ACK);
            assert_eq!(reset.ack, peer.irs + 1);
            peer.hears_nothing();
            assert_eq!(peer.stack.totals().half_open, 0);
        }
        // So in a simultaneous open.
        for (first, second) in [("SEWA", "SEW"), ("SEW", "SEWA"), ("SEW", "SA")] {
            let mut peer = asking(isns);
            peer.sends(&format!("{first} 0:0(0) <mss 1460>"));
            peer.next();
            peer.sends(&format!("{second} 0:0(0) <mss 1460>"));
            assert_eq!(
                peer.next().flags - (Flags::AE | Flags::CWR | Flags::ECE),
                Flags::RST | Flags::ACK,
                "{first} {second}"
            );
            peer.hears_nothing();
            peer.is_in(State::Closed);
            assert_eq!(peer.stack.close_reason(peer.id), Some(CloseReason::Reset));
        }
        // One that is not the connection's own SYN resets nothing.
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.next();
        peer.sends("SEW 90007:90007(0) <mss 1460>");
        peer.ignores_the_rest();
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
    });
}

#[test]
fn who_has_agreed_to_less_does_not_go_over_to_more() {
    // Section 3.1.5, "already in Not ECN mode"; and of RFC 3168: the mode remains, ECT does not.
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.opens(["SEWA 0:0(0) <mss 1460>", "S. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
        assert_eq!(mode(&peer), None);

        let mut peer = listening(isns);
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.opens(["S 0:0(0) <mss 1460>", "SE. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
        assert_eq!(mode(&peer), Some(false));
        assert!(!marks_its_text(&mut peer));

        // Nor does it come back when the SYN-ACK goes unanswered.
        let mut peer = listening(isns);
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.sends("S 0:0(0) <mss 1460>");
        for _ in 0..3 {
            peer.passes(secs(4));
            peer.hears("SE. 0:0(0) ack 1");
        }
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        assert_eq!(mode(&peer), Some(false));
        assert!(!marks_its_text(&mut peer));
    });
}

#[test]
fn what_a_second_syn_ack_says_of_ecn_is_ignored() {
    // Section 3.1.5: the flags of SYN-ACKs that come in ESTABLISHED. The first one ends the handshake.
    with_each_isn(|isns| {
        for second in ["SE.", "S.", "SEWA."] {
            let mut peer = connected(isns);
            peer.passes(secs(1));
            peer.sends(&format!("{second} 0:0(0) ack 1 <mss 1460>"));
            peer.hears("EA. 1:1(0) ack 1");
            assert_eq!(mode(&peer), Some(true));
            assert!(marks_its_text(&mut peer));
        }
    });
}

#[test]
fn syns_that_cross_agree_as_if_each_had_been_answered() {
    // Section 3.1.2, "Simultaneous Open".
    with_each_isn(|isns| {
        for (syn, answer, syn_ack, agrees, marks) in [
            ("SEWA", "SW.", "SW.", Some(true), true),
            ("[ce] SEWA", "SWA.", "SW.", Some(true), true),
            ("SEWA", "SW.", "SA.", Some(true), false),
            ("SEWA", "SW.", "SWA.", Some(true), false),
            ("SEWA", "SW.", "S.", Some(true), false),
            ("SEW", "SE.", "SE.", Some(false), true),
            ("S", "S.", "S.", None, false),
        ] {
            let mut peer = asking(isns);
            peer.sends(&format!("{syn} 0:0(0) <mss 1460>"));
            peer.hears(&format!("{answer} 0:0(0) ack 1"));
            peer.sends(&format!("{syn_ack} 0:0(0) ack 1 <mss 1460>"));
            peer.is_in(State::Established);
            assert_eq!(mode(&peer), agrees, "{syn}");
            let info = ecn(&peer).unwrap_or_default();
            assert_eq!(info.packets_marked_out, 0, "a SYN-ACK has no ACE field");
            assert_eq!(cwnd(&peer) < 10 * MSS, syn_ack == "SWA.", "our SYN has met congestion");
            assert_eq!(marks_its_text(&mut peer), marks, "{syn} {syn_ack}");
        }
        // A SYN-ACK that comes with CE is counted, and once.
        let mut peer = asking(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("[ce] SW. 0:0(0) ack 1 <mss 1460>");
        peer.hears("WA. 1:1(0) ack 1");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_in, 1);
        // The SYN comes again, with CE this time: the SYN-ACK tells of the latest.
        let mut peer = asking(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.sends("[ce] SEWA 0:0(0) <mss 1460>");
        peer.hears("EA. 1:1(0) ack 1");
        peer.hears_within(ms(400)..=ms(400), "SWA. 0:0(0) ack 1 <mss 1460>");
        // SYNs that were sent in vain do not count as SYN-ACKs.
        let mut peer = asking(isns);
        peer.hears_within(secs(1)..=secs(1), "SEWA 0:0(0)");
        peer.hears_within(secs(1)..=secs(2), "S 0:0(0)");
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears(&format!("SW. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
        // RFC 3168, and then a SYN-ACK without: the mode remains, ECT does not.
        let mut peer = asking(isns);
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.is_in(State::Established);
        assert_eq!(mode(&peer), Some(false));
        assert!(!marks_its_text(&mut peer));
        // The peer has given up on ECN meanwhile.
        let mut peer = asking(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("EA. 1:1(0) ack 1");
        peer.sends("SW. 0:0(0) ack 1 <mss 1460>");
        peer.is_in(State::Established);
        assert_eq!(mode(&peer), Some(true));
        assert!(!marks_its_text(&mut peer));
        // The SYN-ACK is lost, and the ACK is what comes.
        let mut peer = asking(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears(&format!("SW. 0:0(0) ack 1 <mss 1460,{FIRST}>"));
        peer.hears_within(secs(1)..=secs(1), "SW. 0:0(0) ack 1 <mss 1460>");
        peer.hears_within(secs(1)..=secs(2), "S. 0:0(0) ack 1 <mss 1460>");
        peer.sends("EA. 1:1(0) ack 1");
        peer.is_in(State::Established);
        assert_eq!(mode(&peer), Some(true));
        assert!(!marks_its_text(&mut peer));
    });
}

// Receiving: sections 3.2.1, 3.2.2.2 and 3.2.2.5.1.

#[test]
fn every_mark_is_counted_and_the_counter_wraps() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        for n in 0..16u32 {
            let (from, to) = (n * 100 + 1, n * 100 + 101);
            peer.sends(&format!("[ce] EA. {from}:{to}(100) ack 1"));
            let ace = ACE[(6 + n as usize) % 8];
            peer.hears(&format!(
                "[noecn] {ace}. 1:1(0) ack {to} <ECN e0b 1 ceb {}>",
                (n + 1) * 100
            ));
        }
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_in, 16);
        // There is no CWR that would end it.
        peer.sends("[ect0] EWA. 1601:1701(100) ack 1");
        peer.hears_within(ms(30)..=ms(50), "EA. 1:1(0) ack 1701 <ECN e0b 101 ceb 1600>");
    });
}

#[test]
fn marks_are_counted_on_acks_and_on_text_that_comes_twice_in_part_but_not_on_what_is_not_acceptable()
 {
    // "The Data Receiver MUST increment the CE packet counter (r.cep), for every Acceptable packet".
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends("[ce] EA. 1:101(100) ack 1");
        peer.hears("WA. 1:1(0) ack 101");
        peer.sends("[ce] EA. 51:201(150) ack 1");
        peer.hears("EWA. 1:1(0) ack 201");
        // Just before the window, beyond it, and further before it.
        peer.sends("[ce] EA. 101:201(100) ack 1");
        peer.hears("EWA. 1:1(0) ack 201");
        peer.sends("[ce] EA. 90001:90101(100) ack 1");
        peer.hears("EWA. 1:1(0) ack 201");
        peer.sends("[ce] EA. 1:101(100) ack 1");
        peer.hears("EWA. 1:1(0) ack 201");
        // An ACK of what was never sent.
        peer.passes(secs(1));
        peer.sends("[ce] EA. 201:301(100) ack 999");
        peer.hears("EWA. 1:1(0) ack 201");
        // Beyond a hole, and text in any case.
        peer.sends("[ce] EA. 301:401(100) ack 1");
        peer.hears(". 1:1(0) ack 201");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_in, 3);
    });
}

#[test]
fn marks_on_acks_are_told_with_every_third() {
    // "'n' SHOULD be 3 and MUST be no less than 3" where no text waits to be acknowledged.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        for _ in 0..4 {
            peer.sends("[ce] EA. 1:1(0) ack 1");
            peer.hears_nothing();
            peer.sends("[ce] EA. 1:1(0) ack 1");
            peer.hears_nothing();
            peer.sends("[ce] EA. 1:1(0) ack 1");
            let ack = peer.next();
            assert!(ack.text.is_empty() && ack.options.ecn.is_none(), "no counter of bytes moves");
        }
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_in, 12);
    });
}

#[test]
fn an_ack_of_acks_has_no_blocks() {
    // Section 3.2.2.5.1: "these ACKs of ACKs MUST NOT contain any SACK blocks".
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.opens(["SEWA 0:0(0) <mss 1460,sackOK>", "SW. 0:0(0) ack 1", "W. 1:1(0) ack 1"]);
        peer.sends("[ect0] EA. 101:201(100) ack 1");
        peer.hears("EA. 1:1(0) ack 1 <sack 101:201,ECN e0b 101>");
        for _ in 0..3 {
            peer.sends("[ce] EA. 1:1(0) ack 1");
        }
        peer.hears(". 1:1(0) ack 1 <>");
        peer.sends("[ect0] EA. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 101:301,ECN e0b 201>");
        // Nor if more of them are read together than bring it about.
        for (count, told) in [(3, "EW."), (5, "."), (8, "EWA.")] {
            peer.sends_batch(&vec!["[ce] EA. 1:1(0) ack 1"; count]);
            peer.hears(&format!("{told} 1:1(0) ack 1 <>"));
            if count > 7 {
                // The eighth is not told yet.
                peer.hears_nothing();
            }
        }
        // Text that has come meanwhile is reported.
        peer.sends_batch(&[
            "[ce] EA. 1:1(0) ack 1",
            "[ce] EA. 1:1(0) ack 1",
            "[ect0] EA. 301:401(100) ack 1",
        ]);
        peer.hears("W. 1:1(0) ack 1 <sack 101:401,ECN e0b 301>");
        peer.sends("EA. 1:101(100) ack 1");
        peer.hears("W. 1:1(0) ack 401 <>");
        // And so is what has come twice.
        peer.sends_batch(&[
            "[ce] EA. 401:401(0) ack 1",
            "[ce] EA. 401:401(0) ack 1",
            "[ce] EA. 401:401(0) ack 1",
            "EA. 1:101(100) ack 1",
        ]);
        peer.hears("EA. 1:1(0) ack 401 <sack 1:101>");
    });
}

#[test]
fn the_first_mark_and_every_second_after_it_are_acknowledged_at_once() {
    // "SHOULD emit an ACK whenever a data packet marked CE arrives after the previous packet was not
    // CE", and "if 'n' CE marks have arrived since the previous ACK ... 'n' SHOULD be 2".
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        // Past the quick ACKs of the start.
        for n in 0..20 {
            peer.sends(&format!("EA. {}:{}(100) ack 1", 1 + n * 100, 101 + n * 100));
        }
        peer.passes(ms(100));
        peer.ignores_the_rest();
        peer.sends("[ect0] EA. 2001:2101(100) ack 1");
        peer.hears_within(ms(30)..=ms(50), "EA. 1:1(0) ack 2101");
        peer.sends("[ce] EA. 2101:2201(100) ack 1");
        peer.hears("WA. 1:1(0) ack 2201");
        peer.sends("[ce] EA. 2201:2301(100) ack 1");
        peer.hears_nothing();
        peer.sends("[ce] EA. 2301:2401(100) ack 1");
        peer.hears(". 1:1(0) ack 2401");
        peer.sends("[ect0] EA. 2401:2501(100) ack 1");
        peer.hears_within(ms(30)..=ms(50), ". 1:1(0) ack 2501");
    });
}

#[test]
fn of_a_batch_no_more_marks_go_untold_than_three_bits_can_tell() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        let lines: Vec<String> =
            (0..20).map(|n| format!("[ce] EA. {}:{}(10) ack 1", 1 + n * 10, 11 + n * 10)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        peer.sends_batch(&lines);
        // Every seven, and what is left.
        peer.hears("A. 1:1(0) ack 71");
        peer.hears("EW. 1:1(0) ack 141");
        peer.hears("E. 1:1(0) ack 201");
    });
}

#[test]
fn a_super_segment_counts_as_its_segments() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends_together("[ce] EA. 1:11(10) ack 1", 4);
        peer.hears(". 1:1(0) ack 11 <ECN e0b 1 ceb 10>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_in, 3);
    });
}

#[test]
fn what_else_is_sent_carries_the_counter_too() {
    // Text, what is sent again, a probe, a FIN, a reset, and the ACK of a connection that is over.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends("[ce] EA. 1:11(10) ack 1");
        peer.hears("WA. 1:1(0) ack 11");
        peer.writes(100);
        peer.hears("[ect0] WA. 1:101(100) ack 11");
        peer.hears_within(ms(200)..=secs(2), "[noecn] WA. 1:101(100) ack 11");
        peer.sends("[ce] EA. 11:21(10) ack 101 win 0");
        peer.hears("EWA. 101:101(0) ack 21");
        peer.writes(100);
        peer.hears_within(ms(200)..=secs(2), "[noecn] EWA. 100:100(0) ack 21");
        peer.sends("EA. 21:21(0) ack 101 win 65535");
        // No CWR, though the window was reduced by the timeout above: it is a bit of the counter.
        peer.hears("[ect0] EWA. 101:201(100) ack 21");
        peer.sends("EA. 21:21(0) ack 201");
        peer.shuts_down();
        peer.hears("[noecn] EWAF. 201:201(0) ack 21");
        peer.sends("EAF. 21:21(0) ack 202");
        peer.hears("EWA. 202:202(0) ack 22");
        peer.is_in(State::TimeWait);
        peer.sends("EAF. 21:21(0) ack 202");
        peer.hears("EWA. 202:202(0) ack 22");

        let mut peer = agreed(isns);
        peer.sends("[ce] EA. 1:11(10) ack 1");
        peer.hears("WA. 1:1(0) ack 11");
        peer.reads(10);
        peer.aborts();
        peer.hears("WAR. 1:1(0) ack 11");
    });
}

#[test]
fn what_answers_in_syn_received_carries_the_counter_as_it_starts() {
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("EA. 90001:90002(1) ack 1");
        peer.hears("EA. 1:1(0) ack 1");
    });
}

// The options: section 3.2.3.

#[test]
fn counters_of_bytes_come_with_every_ack_of_text_that_moves_them() {
    // Section 3.2.3.3, "Recommended Simple Scheme" and its examples.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends("[noecn] EA. 1:101(100) ack 1");
        peer.hears("EA. 1:1(0) ack 101 <>");
        peer.sends("[ect0] EA. 101:201(100) ack 1");
        peer.hears("EA. 1:1(0) ack 201 <ECN e0b 101>");
        peer.sends("[ect0] EA. 201:301(100) ack 1");
        peer.hears("EA. 1:1(0) ack 301 <ECN e0b 201>");
        peer.sends("[ce] EA. 301:401(100) ack 1");
        peer.hears("WA. 1:1(0) ack 401 <ECN e0b 201 ceb 100>");
        peer.sends("[ect1] EA. 401:501(100) ack 1");
        peer.hears("WA. 1:1(0) ack 501 <ECN e0b 201 ceb 100 e1b 101>");
        // Text of ours carries them as well, once.
        peer.writes(10);
        peer.hears("WA. 1:11(10) ack 501 <>");

        let mut peer = agreed(isns);
        peer.sends("[ect1] EA. 1:101(100) ack 1");
        peer.hears("EA. 1:1(0) ack 101 <ECN e1b 101>");
    });
}

#[test]
fn an_option_leaves_room_for_itself_beside_text() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        // Past the quick ACKs of the start.
        for n in 0..20 {
            peer.sends(&format!("[ect0] EA. {}:{}(100) ack 1", 1 + n * 100, 101 + n * 100));
        }
        peer.passes(ms(100));
        peer.ignores_the_rest();
        peer.sends("[ect0] EA. 2001:2101(100) ack 1");
        peer.writes(3_000);
        peer.hears("[ect0] EA. 1:1453(1452) ack 2101 <ECN e0b 2101>");
        peer.hears("[ect0] EA. 1453:2913(1460) ack 2101 <>");
    });
}

#[test]
fn two_blocks_are_worth_more_than_an_option_and_an_option_more_than_the_third() {
    // Section 3.2.3.3: "If SACK has been negotiated, and the smallest recommended AccECN Option would
    // leave insufficient space for two SACK blocks ..., the Data Receiver MUST give precedence to the
    // SACK option".
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
        for (arrives, heard) in [
            ("[ect0] EA. 101:201(100) ack 1", "EA. 1:1(0) ack 1 <TS,sack 101:201,ECN e0b 101>"),
            (
                "[ect0] EA. 301:401(100) ack 1",
                "EA. 1:1(0) ack 1 <TS,sack 301:401 101:201,ECN e0b 201>",
            ),
            (
                "[ect0] EA. 501:601(100) ack 1",
                "EA. 1:1(0) ack 1 <TS,sack 501:601 301:401,ECN e0b 301>",
            ),
            (
                "[noecn] EA. 701:801(100) ack 1",
                "EA. 1:1(0) ack 1 <TS,sack 701:801 501:601 301:401>",
            ),
            (
                "[ce] EA. 901:1001(100) ack 1",
                "WA. 1:1(0) ack 1 <TS,sack 901:1001 701:801,ECN e0b 301 ceb 100>",
            ),
            // All three counters have moved since they were last told: there is no room for them.
            (
                "[ect1] EA. 1101:1201(100) ack 1",
                "WA. 1:1(0) ack 1 <TS,sack 1101:1201 901:1001,ECN e1b 101 ceb 100>",
            ),
        ] {
            peer.sends(arrives);
            peer.hears(heard);
        }
    });
}

#[test]
fn a_peer_whose_text_keeps_coming_again_is_sent_no_options_any_more() {
    // Section 3.2.3.2.2: "detecting whether the acknowledged data always reappears".
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        // What comes again from the middle says that some option has arrived, and what was acknowledged
        // without one that this is not the reason.
        for n in 0..5 {
            let (from, middle, to) = (n * 200 + 1, n * 200 + 101, n * 200 + 201);
            peer.sends(&format!("[ect0] EA. {from}:{middle}(100) ack 1"));
            peer.hears(&format!("EA. 1:1(0) ack {middle} <ECN e0b {middle}>"));
            peer.sends(&format!("[ect0] EA. {middle}:{to}(100) ack 1"));
            peer.hears(&format!("EA. 1:1(0) ack {to} <ECN e0b {to}>"));
            for _ in 0..3 {
                peer.passes(secs(1));
                peer.sends(&format!("EA. {middle}:{to}(100) ack 1"));
                peer.hears(&format!("EA. 1:1(0) ack {to} <>"));
            }
        }
        for n in 0..3 {
            let (from, to) = (n * 100 + 1_001, n * 100 + 1_101);
            peer.sends(&format!("[ect0] EA. {from}:{to}(100) ack 1"));
            peer.hears(&format!("EA. 1:1(0) ack {to} <ECN e0b {to}>"));
            peer.passes(secs(1));
            peer.sends(&format!("EA. {from}:{to}(100) ack 1"));
            peer.hears(&format!("EA. 1:1(0) ack {to} <>"));
        }
        peer.sends("[ect0] EA. 1301:1401(100) ack 1");
        peer.hears("EA. 1:1(0) ack 1401 <>");
        // What it tells is still taken.
        peer.writes(10);
        peer.hears("[ect0] EA. 1:11(10) ack 1401");
        peer.sends("EA. 1401:1401(0) ack 11 <ECN e0b 11>");
        assert_eq!(ecn(&peer).expect("agreed").bytes_out, [10, 0, 0]);
    });
}

// Sending: sections 3.1.5, 3.2.2.2 to 3.2.2.5 and 3.2.3.2.

/// Ten segments of text are on their way.
fn with_ten_segments(mut peer: Peer) -> Peer {
    peer.writes(40 * MSS as usize);
    assert_eq!(peer.ignores_the_rest(), 10);
    assert_eq!(cwnd(&peer), 10 * MSS);
    peer
}

#[test]
fn marks_reduce_the_window_once_for_a_window_of_data() {
    with_each_isn(|isns| {
        for (congestion, reduced) in [(Congestion::NewReno, 5 * MSS), (Congestion::Cubic, 7 * MSS)]
        {
            let mut peer = with_ten_segments(agreed_with(isns, |config| {
                config.tcp.congestion = congestion;
            }));
            peer.sends("WA. 1:1(0) ack 1461");
            // What was in flight before the ACK, as with RFC 3168.
            assert_eq!(ssthresh(&peer), reduced);
            // The same window of data: no reduction, and no growth by those that tell of marks.
            peer.sends("EWA. 1:1(0) ack 2921");
            peer.sends("E. 1:1(0) ack 4381");
            assert_eq!(ssthresh(&peer), reduced);
            assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 4);
            // The next one.
            peer.sends("E. 1:1(0) ack 14601");
            let sent = peer.all();
            assert!(sent.len() > 1);
            // "MUST NOT set CWR to indicate that it has received and responded".
            assert!(sent.iter().all(|packet| !packet.has(Flags::CWR)));
            let before = ssthresh(&peer);
            peer.sends("W. 1:1(0) ack 16061");
            assert!(ssthresh(&peer) < before);
            assert!(
                peer.all().iter().all(|packet| packet.flags == Flags::ACK | Flags::AE | Flags::ECE)
            );
        }
    });
}

#[test]
fn without_marks_the_window_grows_and_a_counter_that_stands_still_is_no_mark() {
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(agreed(isns));
        for n in 1..=10 {
            peer.sends(&format!("EA. 1:1(0) ack {}", n * MSS + 1));
        }
        assert_eq!(cwnd(&peer), 20 * MSS);
    });
}

#[test]
fn an_older_ack_or_one_that_delivers_nothing_tells_of_nothing() {
    // Section 3.2.2.2: "it first checks whether it has already been superseded".
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(agreed(isns));
        peer.sends("EA. 1:1(0) ack 2921");
        let before = cwnd(&peer);
        peer.sends("A. 1:1(0) ack 1461");
        peer.sends("A. 1:1(0) ack 2921");
        assert_eq!(cwnd(&peer), before);
        peer.sends("EA. 1:1(0) ack 4381");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 0);
    });
}

#[test]
fn marks_are_learnt_of_beyond_a_hole() {
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.opens(["SEWA 0:0(0) <mss 1460,sackOK>", "SW. 0:0(0) ack 1", "W. 1:1(0) ack 1"]);
        let mut peer = with_ten_segments(peer);
        peer.sends("WA. 1:1(0) ack 1 <sack 1461:2921>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 1);
        assert!(ssthresh(&peer) < 10 * MSS);
        // An older one that reports what is known, and has the counter of before.
        peer.sends("EA. 1:1(0) ack 1 <sack 1461:2921>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 1);
        // An older ACK, though its block is new.
        peer.sends("WA. 1:1(0) ack 2921");
        peer.sends("EA. 1:1(0) ack 1 <sack 5841:7301>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 1);
    });
}

#[test]
fn what_is_sent_again_has_no_option_even_if_one_is_owed() {
    // Section 3.2.3.2.2: that it was lost may be the option's fault.
    with_each_isn(|isns| {
        let mut peer = listening(isns);
        peer.sends("SEWA 0:0(0) <mss 1460,sackOK>");
        peer.hears("SW. 0:0(0) ack 1");
        peer.sends("W. 1:1(0) ack 1");
        peer.accepts();
        let mut peer = with_ten_segments(peer);
        peer.passes(ms(50));
        peer.ignores_the_rest();
        peer.sends("[ect0] EA. 1:101(100) ack 1 <sack 1461:7301>");
        peer.hears("[noecn] EA. 1:1461(1460) ack 101 <>");
        peer.sends("EA. 101:101(0) ack 7301");
        peer.hears("[ect0] EA. 16061:17513(1452) ack 101 <ECN e0b 101>");
    });
}

#[test]
fn an_ack_of_many_segments_may_have_wrapped_unless_an_option_says_that_it_has_not() {
    // Section 3.2.2.5.2, appendix A.2.
    with_each_isn(|isns| {
        let acks_one_by_one = |peer: &mut Peer, options: &str| {
            for n in 1..=10 {
                peer.sends(&format!("EA. 1:1(0) ack {}{options}", n * MSS + 1));
            }
            assert_eq!(peer.ignores_the_rest(), 20);
        };
        // 20 segments with nothing but the ACE field: it may have wrapped twice.
        let mut peer = with_ten_segments(agreed(isns));
        acks_one_by_one(&mut peer, "");
        peer.sends("WA. 1:1(0) ack 43801");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 17);
        // An option tells that it has not.
        let mut peer = with_ten_segments(agreed(isns));
        acks_one_by_one(&mut peer, "");
        peer.sends("WA. 1:1(0) ack 43801 <ECN e0b 42341 ceb 1460>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 1);
        // Or that it has.
        let mut peer = with_ten_segments(agreed(isns));
        acks_one_by_one(&mut peer, "");
        peer.sends("WA. 1:1(0) ack 43801 <ECN e0b 1 ceb 24820>");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 17);
    });
}

#[test]
fn a_path_that_clears_the_counter_is_not_marked_for_and_not_listened_to() {
    // Section 3.2.2.4.
    with_each_isn(|isns| {
        for mut peer in [agreed(isns), connected(isns)] {
            peer.writes(40 * MSS as usize);
            let first = peer.all()[0].text.len() as u32;
            peer.sends(&format!(". 1:1(0) ack {}", 1 + first));
            assert_eq!(cwnd(&peer), 10 * MSS + first);
            let sent = peer.all();
            assert!(!sent.is_empty());
            assert!(sent.iter().all(|packet| packet.ecn() == EcnField::NotEct));
            peer.sends(&format!("EW. 1:1(0) ack {}", 1 + first + MSS));
            assert_eq!(cwnd(&peer), 11 * MSS + first, "what it says is no mark");
            peer.ignores_the_rest();
            // It still tells what arrives.
            peer.sends(&format!("[ce] . 1:11(10) ack {}", 1 + first + MSS));
            assert!(peer.next().has(Flags::AE | Flags::CWR));
        }
    });
}

#[test]
fn later_a_zero_is_a_count_like_any_other() {
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(agreed(isns));
        peer.sends("EWA. 1:1(0) ack 2921");
        peer.sends(". 1:1(0) ack 4381");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 3);
        peer.sends(". 1:1(0) ack 14601");
        let sent = peer.all();
        assert!(!sent.is_empty());
        assert!(sent.iter().all(|packet| packet.ecn() == EcnField::Ect0));
        // Also the first, if three marks can have made it.
        let mut peer = with_ten_segments(agreed(isns));
        peer.sends(". 1:1(0) ack 4381");
        assert_eq!(ecn(&peer).expect("agreed").packets_marked_out, 3);
    });
}

#[test]
fn options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed() {
    // Sections 3.2.3.2.3 and 3.2.3.2.4.
    with_each_isn(|isns| {
        for (first, later, bytes) in [
            (FIRST, "ECN e0b 11", 10),
            // It was missing, and is back.
            ("nop", "ECN e0b 11", 10),
            ("ECN", "ECN e0b 11", 10),
            ("ECN e0b 0 ceb 0 e1b 1", "ECN e0b 11", 0),
            ("ECN e0b 1 ceb 0 e1b 0", "ECN e0b 11", 0),
            // "MUST NOT test whether the arriving byte counters ... have been initialized to specific
            // valid values".
            ("ECN e0b 77 ceb 5 e1b 9", "ECN e0b 87", 86),
        ] {
            let mut peer = listening(isns);
            peer.sends("SEWA 0:0(0) <mss 1460>");
            peer.hears("SW. 0:0(0) ack 1");
            peer.sends(&format!("W. 1:1(0) ack 1 <{first}>"));
            peer.accepts();
            peer.writes(10);
            peer.hears("[ect0] EA. 1:11(10) ack 1");
            peer.sends(&format!("EA. 1:1(0) ack 11 <{later}>"));
            assert_eq!(ecn(&peer).expect("agreed").bytes_out[0], bytes, "{first}");

            let mut peer = asking(isns);
            peer.sends(&format!("SW. 0:0(0) ack 1 <mss 1460,{first}>"));
            // It "SHOULD continue to send AccECN Options itself".
            peer.hears(&format!("W. 1:1(0) ack 1 <{FIRST}>"));
            peer.writes(10);
            peer.hears(&format!("[ect0] EA. 1:11(10) ack 1 <{FIRST}>"));
            peer.sends(&format!("EA. 1:1(0) ack 11 <{later}>"));
            assert_eq!(ecn(&peer).expect("agreed").bytes_out[0], bytes, "{first}");
        }
    });
}

#[test]
fn bytes_that_were_marked_and_no_packet_end_the_marking() {
    // Section 3.2.3.2.5: "the Data Sender MUST disable sending ECN-capable packets".
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(agreed(isns));
        peer.sends("WA. 1:1(0) ack 1461 <ECN e0b 1 ceb 1460>");
        peer.sends("WA. 1:1(0) ack 2921 <ECN e0b 1461 ceb 1460>");
        peer.ignores_the_rest();
        peer.sends("WA. 1:1(0) ack 14601 <ECN e0b 11681 ceb 2920>");
        assert!(
            peer.all().iter().all(|packet| packet.ecn() == EcnField::Ect0),
            "it may have wrapped"
        );
        peer.sends("WA. 1:1(0) ack 16061 <ECN e0b 11681 ceb 4380>");
        let sent = peer.all();
        assert!(!sent.is_empty());
        assert!(sent.iter().all(|packet| packet.ecn() == EcnField::NotEct));
    });
}

#[test]
fn a_path_that_marks_every_packet_for_four_round_trips_is_no_congested_one() {
    // Section 3.2.2.3.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        let (mut acked, mut counted, mut windows) = (1, 5, Vec::new());
        for round in 0..6 {
            peer.writes(2 * MSS as usize);
            let sent = peer.all();
            let marks = sent.iter().all(|packet| packet.ecn() == EcnField::Ect0);
            assert_eq!(marks, round < 4, "{round}");
            acked += 2 * MSS;
            counted += 2;
            peer.sends(&format!("{}. 1:1(0) ack {acked}", ACE[counted % 8]));
            windows.push(cwnd(&peer));
        }
        assert!(windows[2] < windows[0] && windows[5] >= windows[3], "{windows:?}");
    });
}

#[test]
fn no_super_segment_is_built_whose_counter_would_be_cut_to_pieces() {
    // Section 3.3.4: "allow TSO only as long as the CWR flag in the TCP header is not set".
    with_each_isn(|isns| {
        for (marks, together) in
            [(0, true), (1, false), (2, false), (3, true), (4, true), (5, false)]
        {
            let mut peer = agreed(isns);
            for n in 0..marks {
                peer.sends(&format!("[ce] EA. {}:{}(10) ack 1", 1 + n * 10, 11 + n * 10));
            }
            peer.ignores_the_rest();
            peer.stack.set_offload(Offload::Segmentation);
            let text = vec![7; 4 * MSS as usize];
            assert_eq!(peer.stack.write(peer.id, &text), Ok(text.len()));
            let first = peer.stack.poll_transmit(peer.now).expect("there is text");
            assert_eq!(first.segment_size.is_some(), together, "{marks}");
        }
    });
}

#[test]
fn options_of_any_length_are_read() {
    // Table 5, and "if the AccECN Option is of any other length".
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.writes(10);
        peer.hears("EA. 1:11(10) ack 1");
        let mut packet = peer.packet("EA. 1:1(0) ack 11");
        packet.options.ecn = Some(EcnCounters::new(EcnOrder::Ect1First, 3, 4, 3, 2));
        peer.sends_packet(&packet);
        assert_eq!(ecn(&peer).expect("agreed").bytes_out, [3, 3, 1]);
        peer.writes(10);
        peer.hears("EA. 11:21(10) ack 1");
        peer.sends("EA. 1:1(0) ack 21 <ECN>");
        assert_eq!(ecn(&peer).expect("agreed").bytes_out, [3, 3, 1]);
    });
}

// Both together.

#[test]
fn over_a_path_that_marks_both_sides_count_the_same() {
    for ipv6 in [false, true] {
        let mut plan = Plan::new(1).both(|config| config.tcp.ecn = Ecn::Accurate);
        if ipv6 {
            plan = plan.over_ipv6();
        }
        plan.faults = [Faults { mark: 30, ..Faults::default() }, Faults::default()];
        let mut net = plan.build();
        let (client, server) = net.open();
        let before = net.stack(Side::Client).info(client).expect("it is there").cwnd;
        net.transfer(Side::Client, client, server, 3_000_000);
        net.run_for(secs(1));
        let marked = net.link_from(Side::Client).marked as u32;
        let info = net.stack(Side::Client).info(client).expect("it is there");
        let there = net.stack(Side::Server).info(server).expect("it is there");
        let (sender, receiver) = (info.ecn.expect("agreed"), there.ecn.expect("agreed"));
        assert!(sender.accurate && receiver.accurate && marked > 10);
        assert_eq!((receiver.packets_marked_in, sender.packets_marked_out), (marked, marked));
        let [ect0, ce, ect1] = sender.bytes_out;
        assert_eq!((ect0 + ce, ect1), (3_000_000, 0));
        assert_eq!(info.retransmissions, 0);
        assert!(info.ssthresh < 100 * before, "the sender has slowed down: {}", info.ssthresh);
    }
}

#[test]
fn marks_and_losses_and_lost_acks_leave_the_streams_whole() {
    for seed in 0..10 {
        let mut plan =
            Plan::new(seed).both(|config| config.tcp.ecn = Ecn::Accurate).wire(|faults| {
                faults.mark = 100;
                faults.loss = 20;
                faults.reorder = 20;
            });
        if seed % 2 == 1 {
            plan.configs[0].tcp.ecn = Ecn::Request;
        }
        let mut net = plan.build();
        let (client, server) = net.open();
        net.transfer(Side::Client, client, server, 1_000_000);
        let ecn = net.stack(Side::Server).info(server).expect("it is there").ecn;
        assert_eq!(ecn.map(|ecn| ecn.accurate), Some(seed % 2 == 0));
    }
}
