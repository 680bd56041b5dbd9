//! The way to each of the eleven states, by segments and calls alone.

use tunstack::Config;
use tunstack::tcp::State;

use super::peer::{Isns, Peer};

/// A connection in a known state, with nothing outstanding that a test has not asked for.
pub struct InState {
    pub peer: Peer,
    /// The peer's next sequence number, relative.
    pub theirs: u32,
    /// The stack's next sequence number, relative.
    pub ours: u32,
}

/// The states in which both SYNs have been acknowledged.
pub const SYNCHRONIZED: [State; 7] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

/// Brings a stack to `state`. SYN-RECEIVED is that of a simultaneous open, which has an id; the
/// half-open entry of a listener has stories of its own.
#[track_caller]
pub fn in_state(isns: Isns, state: State) -> InState {
    in_state_with(isns, state, |_| {})
}

/// The same, with other settings.
#[track_caller]
pub fn in_state_with(isns: Isns, state: State, change: impl FnOnce(&mut Config)) -> InState {
    let mut peer = Peer::with(isns, change);
    let (theirs, ours) = match state {
        State::Closed => (1, 1),
        State::Listen => {
            peer.listens();
            (1, 1)
        }
        State::SynSent => {
            to_syn_sent(&mut peer);
            (0, 1)
        }
        State::SynReceived => {
            to_syn_sent(&mut peer);
            peer.sends("S 0:0(0) <mss 1460>");
            peer.hears("S. 0:0(0) ack 1");
            (1, 1)
        }
        _ => to_synchronized(&mut peer, state),
    };
    peer.hears_nothing();
    if !matches!(state, State::Closed | State::Listen) {
        peer.is_in(state);
        peer.events();
    }
    InState { peer, theirs, ours }
}

fn to_syn_sent(peer: &mut Peer) {
    peer.connects();
    peer.hears("S 0:0(0)");
}

/// To one of the states from ESTABLISHED on; answers both sides' next sequence numbers.
fn to_synchronized(peer: &mut Peer, state: State) -> (u32, u32) {
    peer.listens();
    peer.shakes_hands("mss 1460");
    peer.accepts();
    match state {
        State::FinWait1 => close(peer),
        State::FinWait2 => {
            close(peer);
            peer.sends(". 1:1(0) ack 2");
        }
        State::CloseWait => hear_fin(peer),
        State::Closing => {
            close(peer);
            // The peer's FIN crosses ours on the way, so it does not acknowledge it.
            peer.sends("F. 1:1(0) ack 1");
            peer.hears(". 2:2(0) ack 2");
        }
        State::LastAck => {
            hear_fin(peer);
            peer.shuts_down();
            peer.hears("F. 1:1(0) ack 2");
        }
        State::TimeWait => {
            close(peer);
            peer.sends(". 1:1(0) ack 2");
            peer.sends("F. 1:1(0) ack 2");
            peer.hears(". 2:2(0) ack 2");
        }
        _ => {}
    }
    (1 + u32::from(state.peer_has_closed()), 1 + u32::from(state.has_closed()))
}

fn close(peer: &mut Peer) {
    peer.shuts_down();
    peer.hears("F. 1:1(0) ack 1");
}

fn hear_fin(peer: &mut Peer) {
    peer.sends("F. 1:1(0) ack 1");
    peer.hears(". 1:1(0) ack 2");
}
