//! TIME-WAIT: RFC 9293 sections 3.6.1 and 3.10.7.4, RFC 1337, RFC 6191.

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::Event;
use tunstack::stack::Config;
use tunstack::tcp::State;
use tunstack::wire::Flags;

/// A connection in TIME-WAIT whose SYN had these options; the peer opened it, the stack listens
/// on and closed first. Both sides have used sequence numbers 0 and 1, FINs included.
fn time_wait(isns: Isns, options: &str, change: impl FnOnce(&mut Config)) -> Peer {
    let mut peer = Peer::established_with(isns, options, change);
    peer.closes();
    peer.hears("F. 1:1(0) ack 1");
    peer.sends("F. 1:1(0) ack 2");
    peer.hears(". 2:2(0) ack 2");
    assert_eq!(peer.stack.totals().time_wait, 1);
    assert_eq!(peer.stack.totals().connections, 0);
    peer
}

const PLAIN: &str = "mss 1460";
const STAMPED: &str = "mss 1460,TS val 1000 ecr 0";

#[test]
fn time_wait_lasts_as_long_as_is_set() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |config| config.time_wait = secs(10));
        peer.passes(ms(9_900));
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(ms(200));
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().time_wait, 0);
        // Now it is a stranger's segment.
        peer.sends("F. 1:1(0) ack 2");
        peer.hears("R 2:2(0)");
    });
}

#[test]
fn a_retransmitted_fin_is_acknowledged_and_restarts_the_wait() {
    // RFC 9293 3.10.7.4, fifth step, TIME-WAIT: "acknowledge it, and restart the 2 MSL timeout".
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.passes(secs(50));
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
        peer.passes(secs(50));
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(secs(11));
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}

#[test]
fn every_fin_is_acknowledged_however_often_it_comes() {
    // RFC 9293 3.10.7.4: a "retransmission of the remote FIN" is acknowledged (fifth step), and so is
    // what is not acceptable (first step). What has a FIN answers no ACK of ours, so no endless
    // exchange can come of it; RFC 5961 7 limits what may.
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        for line in ["F. 1:1(0) ack 2", "F. 0:0(0) ack 2", "F. 500:500(0) ack 2"] {
            for _ in 0..20 {
                peer.sends(line);
                peer.hears(". 2:2(0) ack 2");
            }
        }
        // A SYN may answer one, with text or a FIN as well.
        for line in ["S. 0:0(0) ack 2", "S. 0:10(10) ack 2", "FS. 0:0(0) ack 2"] {
            peer.passes(secs(1));
            for _ in 0..20 {
                peer.sends(line);
            }
            assert_eq!(peer.ignores_the_rest(), 1, "{line}");
        }
    });
}

#[test]
fn a_restarted_record_goes_in_its_own_time_whatever_others_do() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.passes(secs(1));
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
        peer.passes(secs(58));
        // A second record, 59 s after the first, and 58 s after the restart of that.
        peer.remote.set_port(4_001);
        peer.shakes_hands(PLAIN);
        peer.accepts();
        peer.closes();
        peer.hears("F. 1:1(0) ack 1");
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
        peer.passes(ms(1_900));
        assert_eq!(peer.stack.totals().time_wait, 2);
        peer.passes(ms(200));
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(ms(57_800));
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(ms(200));
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}

#[test]
fn nothing_but_a_fin_restarts_the_wait() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.passes(secs(50));
        for line in [". 2:2(0) ack 2", "P. 1:1(0) ack 2", "P. 2:12(10) ack 2", ". 0:0(0) ack 2"] {
            peer.sends(line);
        }
        peer.ignores_the_rest();
        peer.passes(secs(11));
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}

#[test]
fn an_old_segment_is_answered_with_where_we_were() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.sends("P. 4294967200:4294967210(10) ack 1");
        peer.hears(". 2:2(0) ack 2");
    });
}

#[test]
fn a_reset_does_not_cut_the_wait_short() {
    // RFC 1337: TIME-WAIT assassination.
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.sends("R 2:2(0)");
        peer.sends("R. 2:2(0) ack 2");
        peer.sends("R 100:100(0)");
        assert_eq!(peer.stack.totals().time_wait, 1);
    });
}

#[test]
fn the_answers_of_time_wait_carry_timestamps_if_the_connection_did() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, STAMPED, |_| {});
        peer.passes(secs(1));
        peer.sends("F. 1:1(0) ack 2");
        assert!(peer.hears(". 2:2(0) ack 2").options.timestamps.is_some());
    });
}

#[test]
fn a_new_syn_with_a_higher_sequence_number_reopens() {
    // RFC 9293 3.6.1 (MAY-2), RFC 6191.
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |config| config.fixed_iss = None);
        let old_end = peer.iss + 2;
        peer.sends("S 1000:1000(0) <mss 1460>");
        let answer = peer.next();
        assert_eq!(answer.flags, Flags::SYN | Flags::ACK, "{answer}");
        assert_eq!(answer.ack, peer.irs + 1_001);
        assert!(
            answer.seq.is_after(old_end),
            "the new ISN must lie beyond what the old connection sent"
        );
        peer.sends(". 1001:1001(0) ack 1");
        peer.accepts();
        peer.is_in(State::Established);
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}

#[test]
fn a_new_syn_with_a_newer_timestamp_reopens_whatever_its_sequence_number() {
    // RFC 6191 2: also below RCV.NXT.
    with_each_isn(|isns| {
        for seq in [1u32, 5_000, u32::MAX - 5_000] {
            let mut peer = time_wait(isns, STAMPED, |config| config.fixed_iss = None);
            peer.passes(secs(1));
            let newer = peer.packet(". 2:2(0) ack 2").options.timestamps.unwrap().value + 100_000;
            peer.sends(&format!("S {seq}:{seq}(0) <mss 1460,TS val {newer} ecr 0>"));
            let answer = peer.next();
            assert_eq!(answer.flags, Flags::SYN | Flags::ACK, "{answer}");
            assert_eq!(answer.ack, peer.irs + seq + 1);
        }
    });
}

#[test]
fn a_syn_that_might_be_old_does_not_reopen() {
    with_each_isn(|isns| {
        // Without timestamps: not above RCV.NXT.
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears(". 2:2(0) ack 2");
        peer.sends("S 2147483652:2147483652(0) <mss 1460>");
        assert_eq!(peer.stack.totals().time_wait, 1);
        assert_eq!(peer.stack.totals().half_open, 0);

        // With them: an older clock.
        let mut peer = time_wait(isns, STAMPED, |_| {});
        peer.sends("S 1000:1000(0) <mss 1460,TS val 900 ecr 0>");
        peer.hears(". 2:2(0) ack 2");
        assert_eq!(peer.stack.totals().time_wait, 1);
        assert_eq!(peer.stack.totals().half_open, 0);
    });
}

#[test]
fn a_syn_for_a_port_where_nobody_listens_any_more_does_not_open() {
    with_each_isn(|isns| {
        let mut peer = time_wait(isns, PLAIN, |_| {});
        peer.stack.unlisten(peer.listener.unwrap());
        peer.sends("S 1000:1000(0) <mss 1460>");
        let answers = peer.all();
        assert!(answers.iter().all(|answer| !answer.has(Flags::SYN)));
        assert_eq!(peer.stack.totals().half_open, 0);
    });
}

#[test]
fn the_oldest_record_goes_when_there_are_too_many() {
    with_each_isn(|isns| {
        let mut peer = Peer::with(isns, |config| config.max_time_wait = 3);
        peer.listens();
        for port in 4_000..4_005 {
            peer.remote.set_port(port);
            peer.shakes_hands(PLAIN);
            peer.accepts();
            peer.closes();
            peer.hears("F. 1:1(0) ack 1");
            peer.sends("F. 1:1(0) ack 2");
            peer.hears(". 2:2(0) ack 2");
            peer.passes(ms(10));
        }
        assert_eq!(peer.stack.totals().time_wait, 3);
        peer.remote.set_port(4_001);
        peer.sends("F. 1:1(0) ack 2");
        peer.hears("R 2:2(0)");
        peer.remote.set_port(4_002);
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
    });
}

#[test]
fn a_connection_that_is_still_held_can_be_read_to_its_end_in_time_wait() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::FinWait2).peer;
        peer.sends("FP. 1:101(100) ack 2");
        peer.hears(". 2:2(0) ack 102");
        peer.is_in(State::TimeWait);
        assert!(peer.events().contains(&Event::PeerClosed(peer.id)));
        peer.reads(100);
        peer.reads_end();
        peer.passes(secs(120));
        peer.reads_end();
        peer.closes();
        let totals = peer.stack.totals();
        assert_eq!((totals.connections, totals.time_wait), (0, 0));
    });
}

#[test]
fn a_stack_that_connects_again_does_not_use_a_four_tuple_in_time_wait() {
    // RFC 6191 4 lets a client reuse one only with care; a free port needs none.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        let remote = peer.remote;
        let id = peer.id;
        peer.stack.close(id);
        let first = peer.local.port();
        for _ in 0..50 {
            let id = peer.stack.connect(None, remote).expect("a port is free");
            let info = peer.stack.info(id).unwrap();
            assert_ne!(info.flow.local_port(), first);
        }
    });
}
