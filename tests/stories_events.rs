//! RFC 9293 section 3.10 as tables: every event in every state. What an event does in one state in
//! particular is told by the other stories; here no state may be forgotten.

mod common;

use State::*;
use common::packet::Packet;
use common::peer::{Isns, with_each_isn};
use common::states::{InState, SYNCHRONIZED, in_state, in_state_with};
use common::{ms, secs};
use tunstack::stack::ConnectError;
use tunstack::tcp::{CloseReason, ReadError, State, WriteError};
use tunstack::wire::{Flags, SeqNum};

/// The states in which there is a connection.
const WITH_CONNECTION: [State; 9] =
    [SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait];

// User calls.

#[test]
fn open() {
    // 3.10.1: where there is a connection, "error: connection already exists".
    with_each_isn(|isns| {
        for state in WITH_CONNECTION {
            let InState { mut peer, .. } = in_state(isns, state);
            let refused = peer.stack.connect(Some(peer.local), peer.remote);
            assert_eq!(refused, Err(ConnectError::InUse(peer.local)), "{state}");
            peer.hears_nothing();
            peer.is_in(state);
        }
    });
}

#[test]
fn send() {
    // 3.10.2.
    with_each_isn(|isns| {
        for state in WITH_CONNECTION {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            let answer = peer.stack.write(peer.id, b"hello");
            match state {
                // "Queue the data for transmission after entering ESTABLISHED state."
                SynSent | SynReceived => {
                    assert_eq!(answer, Ok(5), "{state}");
                    peer.hears_nothing();
                }
                // "Send it with a piggybacked acknowledgment."
                Established | CloseWait => {
                    assert_eq!(answer, Ok(5), "{state}");
                    let packet = peer.next();
                    assert_eq!(packet.text, b"hello");
                    assert_eq!((packet.seq, packet.ack), (peer.iss + ours, peer.irs + theirs));
                }
                // "error: connection closing"
                TimeWait => assert!(answer.is_err()),
                _ => assert_eq!(answer, Err(WriteError::Closing), "{state}"),
            }
        }
    });
}

#[test]
fn receive() {
    // 3.10.3: what has not come is waited for; after the peer's FIN there is the end.
    with_each_isn(|isns| {
        for state in WITH_CONNECTION {
            let InState { mut peer, .. } = in_state(isns, state);
            let expected = if state.peer_has_closed() { Ok(0) } else { Err(ReadError::WouldBlock) };
            assert_eq!(peer.read_one(), expected, "{state}");
        }
    });
}

#[test]
fn close() {
    // 3.10.4, by `shutdown`: a FIN where none has gone yet, and never a second one.
    with_each_isn(|isns| {
        for state in &WITH_CONNECTION[2..] {
            let InState { mut peer, theirs, ours } = in_state(isns, *state);
            peer.shuts_down();
            match state {
                Established | CloseWait => {
                    peer.hears(&format!("F. {ours}:{ours}(0) ack {theirs}"));
                    peer.is_in(if *state == Established { FinWait1 } else { LastAck });
                }
                _ => peer.is_in(*state),
            }
            peer.hears_nothing();
        }
    });
}

#[test]
fn status() {
    // 3.10.6.
    with_each_isn(|isns| {
        for state in WITH_CONNECTION {
            let InState { peer, .. } = in_state(isns, state);
            assert_eq!(peer.stack.state(peer.id), Some(state));
            let info = peer.stack.info(peer.id).expect("there is a connection");
            assert_eq!(info.state, state);
            assert_eq!(
                (info.flow.local_addr(), info.flow.remote_addr()),
                (peer.local, peer.remote)
            );
            // TIME-WAIT is a record and no longer a connection.
            let listed = peer.stack.connections().filter(|info| info.state == state).count();
            assert_eq!(listed, usize::from(state != TimeWait), "{state}");
        }
    });
}

// Segments. What each state does with resets, SYNs and missing ACKs is in stories_reset.rs.

#[test]
fn a_segment_that_is_not_acceptable() {
    // 3.10.7.4, first step: an ACK of where we are, in every state.
    with_each_isn(|isns| {
        for state in SYNCHRONIZED.into_iter().chain([SynReceived]) {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            let old = theirs.wrapping_sub(50);
            let end = old.wrapping_add(20);
            peer.sends(&format!("P. {old}:{end}(20) ack {ours}"));
            peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
            let far = theirs + 70_000;
            peer.sends(&format!("P. {far}:{}(20) ack {ours}", far + 20));
            peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
            peer.is_in(state);
        }
    });
}

#[test]
fn an_acknowledgment_of_what_was_never_sent() {
    // 3.10.7.3, first step, and 3.10.7.4, fifth step.
    with_each_isn(|isns| {
        for state in WITH_CONNECTION {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            let ack = ours + 1_000;
            peer.sends(&format!(". {theirs}:{theirs}(0) ack {ack}"));
            match state {
                SynSent | SynReceived => {
                    peer.hears(&format!("R {ack}:{ack}(0)"));
                }
                TimeWait => {
                    peer.ignores_the_rest();
                }
                _ => {
                    peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
                }
            }
            peer.hears_nothing();
            peer.is_in(state);
        }
    });
}

#[test]
fn an_acknowledgment_of_everything() {
    // 3.10.7.4, fifth step.
    with_each_isn(|isns| {
        for (state, next) in [
            (SynReceived, Established),
            (Established, Established),
            (FinWait1, FinWait2),
            (FinWait2, FinWait2),
            (CloseWait, CloseWait),
            (Closing, TimeWait),
            (LastAck, Closed),
            (TimeWait, TimeWait),
        ] {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            peer.sends(&format!(". {theirs}:{theirs}(0) ack {ours}"));
            peer.hears_nothing();
            peer.is_in(next);
            if next == Closed {
                peer.is_over(CloseReason::Finished);
            }
        }
    });
}

#[test]
fn text() {
    // 3.10.7.4, seventh step: taken in ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2.
    with_each_isn(|isns| {
        for state in SYNCHRONIZED {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            // It does not acknowledge what may be outstanding.
            let ack = 1;
            let end = theirs + 10;
            peer.sends(&format!("P. {theirs}:{end}(10) ack {ack}"));
            if state.receives_text() {
                peer.hears(&format!(". {ours}:{ours}(0) ack {end}"));
                peer.reads(10);
            } else {
                assert!(peer.all().iter().all(|packet| packet.ack == peer.irs + theirs));
                assert_eq!(peer.stack.readable(peer.id), 0, "{state}");
            }
            peer.is_in(state);
        }
    });
}

#[test]
fn a_fin() {
    // 3.10.7.4, eighth step.
    with_each_isn(|isns| {
        for (state, next) in [
            (SynSent, SynSent),
            (SynReceived, CloseWait),
            (Established, CloseWait),
            (FinWait1, TimeWait),
            (FinWait2, TimeWait),
        ] {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            // Everything of ours is acknowledged with it; in SYN-SENT that makes it no SYN.
            peer.sends(&format!("F. {theirs}:{theirs}(0) ack {ours}"));
            if state == SynSent {
                peer.hears_nothing();
            } else {
                peer.hears(&format!(". {ours}:{ours}(0) ack {}", theirs + 1));
            }
            peer.is_in(next);
        }
        // "Remain in" the states that have had it already.
        for state in [CloseWait, Closing, LastAck, TimeWait] {
            let InState { mut peer, theirs, ours } = in_state(isns, state);
            let fin = theirs - 1;
            peer.sends(&format!("F. {fin}:{fin}(0) ack 1"));
            peer.hears(&format!(". {ours}:{ours}(0) ack {theirs}"));
            peer.is_in(state);
        }
    });
}

#[test]
fn a_fin_that_crosses_ours() {
    with_each_isn(|isns| {
        let InState { mut peer, .. } = in_state(isns, FinWait1);
        peer.sends("F. 1:1(0) ack 1");
        peer.hears(". 2:2(0) ack 2");
        peer.is_in(Closing);
    });
}

#[test]
fn any_segment_at_all() {
    // Every combination of flags, with and without text, in every state: no panic, no reset in
    // answer to a reset, and an edge of figure 5 for every change of state.
    let isns = Isns { stack: u32::MAX, peer: u32::MAX - 1 };
    for state in WITH_CONNECTION.into_iter().chain([Closed, Listen]) {
        for bits in 0..=Flags::all().bits() {
            let flags = Flags::from_bits_retain(bits);
            for len in [0usize, 7] {
                let InState { mut peer, theirs, ours } = in_state(isns, state);
                let mut packet = peer.packet(". 1:1(0) ack 1");
                packet.seq = peer.irs + theirs;
                packet.ack = peer.iss + ours;
                packet.flags = flags;
                packet.text = common::pattern::bytes(0, 0, len);
                peer.sends_packet(&packet);
                check_answers(&peer.all(), flags);
                let next = peer.state();
                let path = next == state || reachable(state, next);
                assert!(path || state == Listen, "{flags:?} leads from {state} to {next}");
            }
        }
    }
}

fn check_answers(answers: &[Packet], flags: Flags) {
    for answer in answers {
        assert!(
            !(flags.contains(Flags::RST) && answer.has(Flags::RST)),
            "a reset in answer to a reset"
        );
        assert!(!answer.has(Flags::RST) || answer.seq == SeqNum(0) || !answer.has(Flags::ACK));
    }
}

/// Whether figure 5 leads from one state to the other by one edge, or by two when one segment
/// brings two events (an ACK and a FIN, say).
fn reachable(from: State, to: State) -> bool {
    from.may_become(to) || from.edges().iter().any(|(middle, _)| middle.may_become(to))
}

// Timeouts.

#[test]
fn user_timeout() {
    // 3.10.8: "for any state": wherever something of ours is not acknowledged.
    with_each_isn(|isns| {
        for state in [SynSent, SynReceived, Established, FinWait1, CloseWait, Closing, LastAck] {
            let patience = |config: &mut tunstack::Config| {
                config.tcp.user_timeout = Some(secs(10));
            };
            let InState { mut peer, .. } = in_state_with(isns, state, patience);
            if matches!(state, Established | CloseWait) {
                peer.writes(10);
            }
            peer.passes(ms(9_500));
            peer.is_in(state);
            peer.passes(ms(1_000));
            peer.is_in(Closed);
            peer.is_over(CloseReason::TimedOut);
        }
    });
}

#[test]
fn retransmission_timeout() {
    // 3.10.8: "for any state": the front of the retransmission queue goes out again.
    with_each_isn(|isns| {
        for (state, again) in [
            (SynSent, "S 0:0(0)"),
            (SynReceived, "S. 0:0(0) ack 1"),
            (Established, "P. 1:11(10) ack 1"),
            (FinWait1, "F. 1:1(0) ack 1"),
            (CloseWait, "P. 1:11(10) ack 2"),
            (Closing, "F. 1:1(0) ack 2"),
            (LastAck, "F. 1:1(0) ack 2"),
        ] {
            let InState { mut peer, .. } = in_state(isns, state);
            if matches!(state, Established | CloseWait) {
                peer.writes(10);
                peer.next();
            }
            peer.hears_within(ms(1)..=secs(3), again);
            peer.hears_within(ms(1)..=secs(6), again);
            peer.is_in(state);
        }
        // Where nothing is outstanding there is nothing to send.
        for state in [FinWait2, TimeWait] {
            let InState { mut peer, .. } = in_state(isns, state);
            peer.passes(secs(59));
            peer.hears_nothing();
        }
    });
}

#[test]
fn time_wait_timeout() {
    // 3.10.8: the record goes.
    with_each_isn(|isns| {
        let InState { mut peer, .. } = in_state(isns, TimeWait);
        peer.passes(ms(59_900));
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(ms(200));
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}
