//! Keep-alives: RFC 9293 section 3.8.4.

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::tcp::{CloseReason, KeepAlive, State};

const SETTINGS: KeepAlive = KeepAlive { idle: secs(60), interval: secs(10), count: 3 };

/// The segment that asks whether the peer is there: one number back, so that it is not acceptable
/// and must be answered.
const PROBE: &str = ". 0:0(0) ack 1";

fn kept_alive(isns: Isns) -> Peer {
    Peer::established_with(isns, "mss 1460", |config| config.tcp.keep_alive = Some(SETTINGS))
}

#[test]
fn by_default_an_idle_connection_is_left_alone() {
    // MUST-25: keep-alives are off unless asked for.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        assert_eq!(peer.stack.poll_timeout(), None);
        peer.passes(secs(30 * 86_400));
        peer.hears_nothing();
        peer.is_in(State::Established);
    });
}

#[test]
fn by_default_keep_alives_wait_for_two_hours() {
    // MUST-28.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.stack.set_keep_alive(peer.id, Some(KeepAlive::default()));
        peer.hears_within(secs(7_200)..=secs(7_201), PROBE);
    });
}

#[test]
fn an_idle_peer_is_asked_and_a_dead_one_given_up() {
    // MUST-26, MUST-27: the interval is settable; probes go only when nothing has come.
    with_each_isn(|isns| {
        let mut peer = kept_alive(isns);
        peer.hears_within(secs(60)..=secs(61), PROBE);
        peer.hears_within(secs(10)..=secs(11), PROBE);
        peer.hears_within(secs(10)..=secs(11), PROBE);
        peer.is_in(State::Established);
        peer.passes(secs(11));
        peer.is_over(CloseReason::TimedOut);
    });
}

#[test]
fn a_peer_that_answers_keeps_its_connection() {
    // MUST-29: no single unanswered probe ends a connection.
    with_each_isn(|isns| {
        let mut peer = kept_alive(isns);
        for _ in 0..20 {
            peer.hears_within(secs(59)..=secs(61), PROBE);
            peer.hears_within(secs(9)..=secs(11), PROBE);
            peer.sends(". 1:1(0) ack 1");
        }
        peer.is_in(State::Established);
    });
}

#[test]
fn anything_that_arrives_puts_the_probe_off() {
    with_each_isn(|isns| {
        let mut peer = kept_alive(isns);
        peer.passes(secs(50));
        peer.sends("P. 1:11(10) ack 1");
        peer.ignores_the_rest();
        peer.passes(secs(50));
        peer.hears_nothing();
        peer.hears_within(secs(9)..=secs(11), ". 0:0(0) ack 11");
    });
}

#[test]
fn keep_alives_can_be_turned_on_and_off_while_a_connection_lives() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.passes(secs(1_000));
        peer.stack.set_keep_alive(peer.id, Some(SETTINGS));
        peer.passes(secs(61));
        peer.hears(PROBE);
        peer.sends(". 1:1(0) ack 1");
        peer.stack.set_keep_alive(peer.id, None);
        peer.passes(secs(1_000));
        peer.hears_nothing();
    });
}

#[test]
fn while_data_is_unacknowledged_its_retransmissions_are_the_probes() {
    with_each_isn(|isns| {
        let mut peer = kept_alive(isns);
        peer.passes(secs(59));
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.passes(ms(20_000));
        assert!(peer.all().iter().all(|packet| packet.text.len() == 100));
    });
}

#[test]
fn a_keep_alive_of_the_peer_is_answered() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.passes(secs(100));
        peer.sends(". 0:0(0) ack 1");
        peer.hears(". 1:1(0) ack 1");
        // Old stacks send a byte with it.
        peer.passes(secs(100));
        peer.sends(". 0:1(1) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.reads_nothing();
    });
}
