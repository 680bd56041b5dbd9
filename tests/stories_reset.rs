//! Resets, sent and received, and the defences against forged segments: RFC 9293 sections 3.5.2,
//! 3.5.3, 3.10.5 (ABORT), 3.10.7.1 (CLOSED), the first five steps of 3.10.7.4, and RFC 5961.

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::states::{InState, SYNCHRONIZED, in_state};
use common::{ms, secs};
use tunstack::Event;
use tunstack::tcp::{CloseReason, ReadError, State, WriteError};
use tunstack::wire::{Flags, SeqNum};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

// Segments to nobody (3.10.7.1).

#[test]
fn what_has_no_acknowledgment_and_is_for_nobody_gets_a_reset_that_acknowledges_it() {
    // <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Closed).peer;
        for (line, len) in [
            ("S 0:0(0) <mss 1460>", 1),
            ("S 0:20(20)", 21),
            ("F 0:20(20)", 21),
            ("SF 0:0(0)", 2),
            ("- 0:20(20)", 20),
            ("- 0:0(0)", 0),
        ] {
            peer.sends(line);
            let reset = peer.next();
            assert_eq!(reset.flags, Flags::RST | Flags::ACK, "{line}");
            assert_eq!((reset.seq, reset.ack), (SeqNum(0), peer.irs + len), "{line}");
            assert!(reset.text.is_empty());
        }
        peer.hears_nothing();
    });
}

#[test]
fn what_has_an_acknowledgment_and_is_for_nobody_gets_a_reset_at_that_number() {
    // <SEQ=SEG.ACK><CTL=RST>
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Closed).peer;
        for line in [". 1:1(0) ack 9", "P. 1:30(29) ack 9", "S. 0:0(0) ack 9", "F. 1:1(0) ack 9"] {
            peer.sends(line);
            let reset = peer.next();
            assert_eq!((reset.flags, reset.seq), (Flags::RST, peer.iss + 9), "{line}");
        }
        peer.hears_nothing();
    });
}

#[test]
fn a_reset_for_nobody_is_never_answered() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Closed).peer;
        for line in ["R 0:0(0)", "R. 0:0(0) ack 1", "SR 0:0(0)", "FR. 0:10(10) ack 1"] {
            peer.sends(line);
        }
        peer.hears_nothing();
    });
}

// Resets that arrive (3.10.7.4, second step; RFC 5961 section 3).

#[test]
fn an_exact_reset_ends_a_connection_in_every_synchronized_state() {
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            if state == State::TimeWait {
                continue; // RFC 1337: see stories_time_wait.rs
            }
            peer.sends(&format!("R. {theirs}:{theirs}(0) ack {ours}"));
            peer.hears_nothing();
            peer.is_in(State::Closed);
            // Both have closed and all text has arrived: the reset takes nothing away.
            let done = matches!(state, State::Closing | State::LastAck);
            let reason = if done { CloseReason::Finished } else { CloseReason::Reset };
            peer.is_over(reason);
            // After the peer's FIN nothing was to come, whatever ends the connection.
            let end = done || state == State::CloseWait;
            let read = if end { Ok(0) } else { Err(ReadError::Closed(reason)) };
            assert_eq!(peer.read_one(), read, "{state}");
            let written = peer.stack.write(peer.id, b"x");
            assert_eq!(written, Err(WriteError::Closed(reason)), "{state}");
            peer.closes();
            assert_eq!(peer.stack.totals().connections, 0, "{state}");
        }
    });
}

#[test]
fn a_reset_may_carry_text() {
    // RFC 9293 3.5.3 (SHLD-2): why it was sent, some say.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("R. 1:11(10) ack 1");
        peer.hears_nothing();
        peer.is_over(CloseReason::Reset);
        assert_eq!(peer.read_one(), Err(ReadError::Closed(CloseReason::Reset)), "it is not text");
    });
}

#[test]
fn resets_and_urgent_marks_count_while_our_window_is_closed() {
    // RFC 9293 3.10.7.4, first step (MUST-66).
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1460", |config| {
            config.tcp.max_recv_buffer = 2_048;
        });
        peer.sends("P. 1:1461(1460) ack 1");
        peer.sends("P. 1461:2049(588) ack 1");
        peer.passes(ms(50));
        assert_eq!(peer.all().pop().expect("an acknowledgment").window, 0);
        peer.events();
        peer.sends("U. 2049:2059(10) ack 1 urg 10");
        assert!(peer.events().contains(&Event::Urgent(peer.id)));
        assert_eq!(peer.next().ack, peer.irs + 2_049, "the text is not taken");
        peer.sends("R. 2049:2049(0) ack 1");
        peer.is_over(CloseReason::Reset);
    });
}

#[test]
fn a_reset_without_an_acknowledgment_counts_as_well() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("R 1:1(0)");
        peer.is_over(CloseReason::Reset);
    });
}

#[test]
fn a_reset_inside_the_window_but_not_exact_is_challenged() {
    // RFC 5961 3.2, rule 3.
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            if state == State::TimeWait {
                continue;
            }
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            let guess = theirs + 500;
            peer.sends(&format!("R {guess}:{guess}(0)"));
            peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
            peer.is_in(state);
            // A peer that did reset answers the challenge with an exact one.
            peer.sends(&format!("R {theirs}:{theirs}(0)"));
            peer.is_in(State::Closed);
        }
    });
}

#[test]
fn a_reset_outside_the_window_is_dropped_in_silence() {
    // RFC 5961 3.2, rule 1. Only the sequence number counts: text or a FIN that reaches into the
    // window does not bring a reset in.
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            let InState { mut peer, theirs, .. } = in_state(isns, state);
            let edge = theirs + 65_535;
            for start in
                [theirs.wrapping_sub(2), edge, edge + 1, theirs + 70_000, theirs + (1 << 31)]
            {
                let end = start.wrapping_add(10);
                peer.sends(&format!("R {start}:{start}(0)"));
                peer.sends(&format!("FR {start}:{end}(10)"));
                peer.hears_nothing();
                peer.is_in(state);
            }
        }
    });
}

#[test]
fn a_reset_with_the_number_of_the_fin_before_it_counts() {
    // Some stacks do not count their FIN when they reset a connection that they have closed; as
    // hard to guess as RCV.NXT. Linux takes it, too.
    with_each_isn(|isns| {
        for state in [State::CloseWait, State::Closing, State::LastAck] {
            let InState { mut peer, theirs, .. } = in_state(isns, state);
            let fin = theirs - 1;
            peer.sends(&format!("R {fin}:{fin}(0)"));
            peer.is_in(State::Closed);
        }
        for state in [State::Established, State::FinWait1, State::FinWait2] {
            let InState { mut peer, theirs, .. } = in_state(isns, state);
            let before = theirs.wrapping_sub(1);
            peer.sends(&format!("R {before}:{before}(0)"));
            peer.hears_nothing();
            peer.is_in(state);
        }
    });
}

#[test]
fn a_reset_where_the_newest_text_ends_that_the_peer_was_told_of_is_exact() {
    // RFC 5961 3.2 takes a reset at RCV.NXT only. A peer that aborts while a segment of its text is
    // lost sends its reset behind all of it; after a challenge it has no connection any more that
    // would know RCV.NXT. Where the SACK blocks end is as hard to guess. Linux takes it, too.
    with_each_isn(|isns| {
        for (options, fin, at, exact) in [
            ("mss 1460,sackOK", false, 501, true),
            // Only there: not inside, nor where an older block ends.
            ("mss 1460,sackOK", false, 500, false),
            ("mss 1460,sackOK", false, 502, false),
            ("mss 1460,sackOK", false, 301, false),
            // The peer has never been told.
            ("mss 1460", false, 501, false),
            // Its FIN is the last of what it has been told of.
            ("mss 1460,sackOK", true, 502, true),
            ("mss 1460,sackOK", true, 501, false),
            ("mss 1460", true, 502, false),
        ] {
            let mut peer = Peer::established(isns, options);
            peer.sends("P. 401:501(100) ack 1");
            peer.sends("P. 201:301(100) ack 1");
            if fin {
                peer.sends("F. 501:501(0) ack 1");
            }
            peer.ignores_the_rest();
            peer.sends(&format!("R {at}:{at}(0)"));
            if exact {
                peer.hears_nothing();
                peer.is_over(CloseReason::Reset);
            } else {
                peer.hears(". 1:1(0) ack 1");
                peer.is_in(State::Established);
            }
        }
        // Once the hole is filled, it is RCV.NXT again that counts.
        let mut peer = Peer::established(isns, "mss 1460,sackOK");
        peer.sends("P. 201:301(100) ack 1");
        peer.sends("P. 1:201(200) ack 1");
        peer.sends("P. 301:401(100) ack 1");
        peer.ignores_the_rest();
        peer.sends("R 301:301(0)");
        peer.hears_nothing();
        peer.is_in(State::Established);
    });
}

#[test]
fn a_reset_behind_a_fin_that_waits_at_the_edge_of_the_window_is_exact() {
    // The FIN takes no room in the window: what comes behind it may lie beyond the edge.
    with_each_isn(|isns| {
        for (options, exact) in [("mss 1460,sackOK", true), ("mss 1460", false)] {
            let mut peer = Peer::established_with(isns, options, |config| {
                config.tcp.max_recv_buffer = 4_096;
            });
            peer.sends("FP. 3097:4097(1000) ack 1");
            peer.hears(". 1:1(0) ack 1");
            peer.sends("R 4098:4098(0)");
            peer.hears_nothing();
            peer.is_in(if exact { State::Closed } else { State::Established });
        }
    });
}

#[test]
fn what_had_arrived_before_a_reset_is_not_mistaken_for_the_end_of_the_stream() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("R 101:101(0)");
        peer.is_over(CloseReason::Reset);
        let mut buffer = [0; 200];
        let mut answer = peer.stack.read(peer.id, &mut buffer);
        if answer == Ok(100) {
            answer = peer.stack.read(peer.id, &mut buffer);
        }
        assert_eq!(answer, Err(ReadError::Closed(CloseReason::Reset)));
    });
}

// SYNs that arrive in a synchronized state (fourth step; RFC 5961 section 4).

#[test]
fn a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies() {
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            if state == State::TimeWait {
                continue; // it may reopen the connection: see stories_time_wait.rs
            }
            for offset in [0, 500, 70_000, 1 << 31] {
                let InState { mut peer, theirs, ours } = in_state(isns, state);
                let at = theirs + offset;
                peer.sends(&format!("S {at}:{at}(0) <mss 1460>"));
                peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
                peer.is_in(state);
            }
        }
    });
}

#[test]
fn a_peer_that_lost_its_memory_resets_us_after_the_challenge_and_can_connect() {
    // RFC 9293 3.5.1, "half-open connections", figure 9, as RFC 5961 has changed it.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("S 90000:90000(0) <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("R 1:1(0)");
        peer.is_over(CloseReason::Reset);
        peer.sends("S 90000:90000(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 90001");
    });
}

// How many challenges (RFC 5961 section 7).

#[test]
fn how_often_challenges_go_out_can_be_set() {
    // RFC 5961 7: "The time limit SHOULD be tunable". For a connection, its half-open entry, and
    // what TIME-WAIT keeps of it.
    for (interval, answers) in [(ms(100), 10), (secs(3), 1), (ms(0), 100)] {
        let mut peer = Peer::with(PLAIN, |config| config.tcp.challenge_interval = interval);
        let count = |peer: &mut Peer, line: &str| {
            peer.passes(secs(10));
            peer.ignores_the_rest();
            for _ in 0..100 {
                peer.sends(line);
                peer.passes(ms(10));
            }
            peer.all().iter().filter(|packet| !packet.has(Flags::SYN)).count()
        };
        peer.listens();
        peer.sends("S 0:0(0) <mss 1460>");
        assert_eq!(count(&mut peer, "R 500:500(0)"), answers);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        assert_eq!(count(&mut peer, "R 500:500(0)"), answers);
        peer.closes();
        peer.sends("F. 1:1(0) ack 2");
        assert_eq!(count(&mut peer, ". 500:500(0) ack 2"), answers);
    }
}

#[test]
fn challenges_are_limited_in_rate() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        for guess in 1_000..1_200 {
            peer.sends(&format!("R {guess}:{guess}(0)"));
            peer.sends(&format!("S {guess}:{guess}(0)"));
        }
        let answers = peer.ignores_the_rest();
        assert!((1..=20).contains(&answers), "{answers} challenges at once");
        // Later ones are answered again.
        peer.passes(secs(2));
        peer.sends("R 1500:1500(0)");
        peer.hears(". 1:1(0) ack 1");
    });
}

#[test]
fn a_half_open_entry_limits_its_answers_too() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Listen).peer;
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        for guess in 1_000..1_200 {
            peer.sends(&format!("R {guess}:{guess}(0)"));
            peer.sends(". 4294967200:4294967200(0) ack 1");
        }
        let answers = peer.ignores_the_rest();
        assert!((1..=20).contains(&answers), "{answers} challenges at once");
        peer.passes(ms(900));
        peer.sends("R 1500:1500(0)");
        peer.hears(". 1:1(0) ack 1");
    });
}

// The acknowledgment field (fifth step; RFC 5961 section 5).

#[test]
fn old_text_with_a_wrong_ack_is_answered_no_more_often_than_a_challenge() {
    // The acknowledgment that old text or an old FIN gets is owed once its own ACK was right.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:11(10) ack 1");
        peer.hears(". 1:1(0) ack 11");
        for _ in 0..100 {
            peer.sends("P. 1:11(10) ack 2");
            peer.sends("F. 10:10(0) ack 2");
        }
        let answers = peer.ignores_the_rest();
        assert!((1..=20).contains(&answers), "{answers} challenges at once");
        peer.sends("P. 1:11(10) ack 1");
        peer.hears(". 1:1(0) ack 11");
        peer.sends("F. 10:10(0) ack 1");
        peer.hears(". 1:1(0) ack 11");
    });
}

#[test]
fn what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped() {
    // Acceptable is SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT, but not what lies before our first
    // byte: no peer was ever connected when it had heard less than our SYN.
    const SENT: u32 = 80_000;
    with_each_isn(|isns| {
        for (ack, acceptable) in [
            (1 + SENT, true),
            (2 + SENT, false),
            (SENT + 100_000, false),
            (1 + SENT - 65_535, true),
            (SENT - 65_535, false),
            ((1 + SENT).wrapping_sub(1 << 31), false),
        ] {
            let mut peer = in_state(isns, State::Established).peer;
            takes(&mut peer, SENT);
            let ours = 1 + SENT;
            peer.sends(&format!("P. 1:101(100) ack {ack}"));
            if acceptable {
                peer.hears(&format!(". {ours}:{ours}(0) ack 101"));
                peer.reads(100);
            } else {
                peer.hears(&format!(". {ours}:{ours}(0) ack 1"));
                peer.reads_nothing();
            }
            peer.is_in(State::Established);
        }
        for (ack, acceptable) in [(1u32, true), (0, false), (1u32.wrapping_sub(65_535), false)] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.sends(&format!("P. 1:101(100) ack {ack}"));
            peer.hears(&format!(". 1:1(0) ack {}", if acceptable { 101 } else { 1 }));
        }
    });
}

/// The stack sends so many bytes, and the peer acknowledges them.
fn takes(peer: &mut Peer, bytes: u32) {
    let mut acked = 0;
    for chunk in (1..=bytes).step_by(2_000) {
        peer.writes((bytes + 1 - chunk).min(2_000) as usize);
        while acked < (chunk + 1_999).min(bytes) {
            let text: u32 = peer.all().iter().map(|packet| packet.text.len() as u32).sum();
            assert_ne!(text, 0, "the stack is silent after {acked} bytes");
            acked += text;
            peer.sends(&format!(". 1:1(0) ack {}", 1 + acked));
        }
    }
}

#[test]
fn how_old_an_acknowledgment_may_be_follows_the_largest_window_of_the_peer() {
    // RFC 5961 5.2: "MAX.SND.WND is defined as the largest window that the local sender has ever
    // received from its peer. This window may be scaled".
    with_each_isn(|isns| {
        for (options, scale, largest) in
            [("mss 1000", 1, 3_000u32), ("mss 1000,wscale 2", 4, 12_000)]
        {
            for (age, acceptable) in [(largest, true), (largest + 1, false)] {
                let mut peer = Peer::new(isns);
                peer.listens();
                peer.window = 3_000 / scale;
                peer.shakes_hands(options);
                peer.accepts();
                takes(&mut peer, 20_000);
                for window in [3_000, 500] {
                    peer.sends(&format!(". 1:1(0) ack 20001 win {window}"));
                }
                peer.sends(&format!("P. 1:101(100) ack {}", 20_001 - age));
                let ack = if acceptable { 101 } else { 1 };
                peer.hears(&format!(". 20001:20001(0) ack {ack}"));
                peer.is_in(State::Established);
            }
        }
    });
}

#[test]
fn without_an_acknowledgment_a_segment_is_dropped_in_every_state() {
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            if state == State::TimeWait {
                continue;
            }
            let InState { mut peer, theirs, .. } = in_state(isns, state);
            let end = theirs + 10;
            peer.sends(&format!("P {theirs}:{end}(10)"));
            peer.sends(&format!("F {theirs}:{theirs}(0)"));
            peer.hears_nothing();
            peer.is_in(state);
            assert_ne!(peer.read_one(), Ok(1));
        }
    });
}

// The sequence number (first step, table 6).

#[test]
fn what_lies_outside_the_window_is_answered_with_where_we_are() {
    with_each_isn(|isns| {
        for (line, acceptable) in [
            (". 1:1(0) ack 1", true),
            (". 0:0(0) ack 1", false),
            ("P. 0:1(1) ack 1", false),
            ("P. 4294967287:1(10) ack 1", false),
            ("P. 4294967287:11(20) ack 1", true),
            (". 65535:65535(0) ack 1", true),
            // The RFC's table has "<" here, and Linux, and we, "<=": the ACKs of a sender that has
            // filled the window start at its very end.
            (". 65536:65536(0) ack 1", true),
            (". 65537:65537(0) ack 1", false),
            ("P. 65535:65545(10) ack 1", true),
            ("P. 65536:65546(10) ack 1", false),
            ("P. 2147483649:2147483659(10) ack 1", false),
        ] {
            let mut peer = Peer::established_with(isns, "mss 1460", |config| {
                config.tcp.window_scaling = false;
            });
            peer.passes(secs(1));
            peer.sends(line);
            let seen = peer.all();
            let told = seen.iter().any(|packet| packet.ack == peer.irs + 1);
            if acceptable {
                let silent = line.starts_with('.');
                assert!(!silent || seen.is_empty(), "{line} is answered");
            } else {
                assert!(told && seen.len() == 1, "{line} gets {seen:?}");
                peer.reads_nothing();
            }
        }
    });
}

// Resets that we send (3.10.5 ABORT).

#[test]
fn an_abort_sends_a_reset_from_the_states_that_have_a_peer() {
    // <SEQ=SND.NXT><CTL=RST> in SYN-RECEIVED to CLOSE-WAIT.
    with_each_isn(|isns| {
        for state in [
            State::SynReceived,
            State::Established,
            State::FinWait1,
            State::FinWait2,
            State::CloseWait,
        ] {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            peer.aborts();
            let reset = peer.next();
            assert!(reset.has(Flags::RST) && reset.text.is_empty(), "{state}: {reset}");
            assert_eq!(reset.seq, peer.iss + ours, "{state}");
            if reset.has(Flags::ACK) {
                assert_eq!(reset.ack, peer.irs + theirs, "{state}");
            }
            peer.hears_nothing();
            assert_eq!(peer.stack.totals().connections, 0, "{state}");
            assert_eq!(peer.stack.state(peer.id), None, "the id is given back");
            assert_eq!(peer.read_one(), Err(ReadError::NoSuchConnection));
        }
    });
}

#[test]
fn an_abort_says_nothing_where_nobody_needs_to_know() {
    // "Respond with ok and delete the TCB" in CLOSING, LAST-ACK and TIME-WAIT; SYN-SENT has no peer
    // yet. A reset in CLOSING and LAST-ACK is harmless and quicker, so it is not forbidden here.
    with_each_isn(|isns| {
        for state in [State::SynSent, State::Closing, State::LastAck, State::TimeWait] {
            let InState { mut peer, ours, .. } = in_state(isns, state);
            peer.aborts();
            for packet in peer.all() {
                assert!(packet.has(Flags::RST) && state != State::SynSent, "{state}: {packet}");
                assert_eq!(packet.seq, peer.iss + ours, "{state}");
            }
            assert_eq!(peer.stack.totals().connections, 0, "{state}");
        }
    });
}

#[test]
fn an_abort_after_both_have_closed_resets_if_text_is_unread() {
    // RFC 9293 3.10.5 has no reset in CLOSING and LAST-ACK, where nothing that was sent can be lost any
    // more. What the application has not read is: RFC 2525 2.17 wants the peer to know.
    with_each_isn(|isns| {
        for state in [State::Closing, State::LastAck] {
            for unread in [0, 40] {
                let mut peer = in_state(isns, State::Established).peer;
                if state == State::Closing {
                    peer.shuts_down();
                    peer.sends("FP. 1:41(40) ack 1");
                } else {
                    peer.sends("FP. 1:41(40) ack 1");
                    peer.shuts_down();
                }
                peer.is_in(state);
                peer.reads_some(40 - unread);
                peer.ignores_the_rest();
                peer.aborts();
                if unread > 0 {
                    peer.hears("R. 2:2(0) ack 42");
                }
                peer.hears_nothing();
                assert_eq!(peer.stack.totals().connections, 0, "{state}");
            }
        }
    });
}

#[test]
fn an_abort_throws_away_what_was_queued() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100_000);
        let sent = peer.all().iter().map(|packet| packet.text.len() as u32).sum::<u32>();
        assert!(sent < 100_000);
        peer.aborts();
        let reset = peer.next();
        assert_eq!((reset.has(Flags::RST), reset.seq), (true, peer.iss + 1 + sent));
        peer.passes(secs(300));
        peer.hears_nothing();
    });
}

#[test]
fn after_an_abort_the_peer_is_a_stranger() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.aborts();
        peer.ignores_the_rest();
        peer.sends("P. 1:101(100) ack 1");
        peer.hears("R 1:1(0)");
    });
}

#[test]
fn old_segments_without_text_are_not_all_answered() {
    // An endless exchange of ACKs between two sides that disagree must die out.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        for _ in 0..100 {
            peer.sends(". 0:0(0) ack 1");
        }
        assert!(peer.ignores_the_rest() <= 20);
        peer.passes(ms(2_000));
        peer.sends(". 0:0(0) ack 1");
        peer.hears(". 1:1(0) ack 1");
    });
}

#[test]
fn a_reset_of_ours_carries_timestamps() {
    // RFC 7323 section 3.2: the option "SHOULD be sent in an <RST> segment".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000,TS val 100 ecr 0");
        peer.passes(secs(1));
        peer.aborts();
        let packet = peer.hears("R. 1:1(0) ack 1 <TS>");
        let stamp = packet.options.timestamps.unwrap();
        assert_eq!(stamp.echo, 100);
        assert_eq!(stamp.value, peer.ts_recent);
    });
}
