//! Closing a connection: RFC 9293 sections 3.6, 3.10.4 (CLOSE), the eighth step of 3.10.7.4, and
//! RFC 2525 2.17.

mod common;

use common::pair::{Plan, Side};
use common::peer::{Peer, with_each_isn};
use common::states::{InState, in_state};
use common::{ms, secs};
use tunstack::Event;
use tunstack::tcp::{CloseReason, ReadError, State, WriteError};
use tunstack::wire::Flags;

// We close first.

#[test]
fn the_side_that_closes_first_passes_fin_wait_1_and_2_to_time_wait() {
    // RFC 9293 3.6, figure 12.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.shuts_down();
        peer.hears("F. 1:1(0) ack 1");
        peer.is_in(State::FinWait1);
        peer.sends(". 1:1(0) ack 2");
        peer.hears_nothing();
        peer.is_in(State::FinWait2);
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
        peer.is_in(State::TimeWait);
        peer.reads_end();
        peer.closes();
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(secs(61));
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().time_wait, 0);
    });
}

#[test]
fn a_fin_that_acknowledges_ours_goes_straight_to_time_wait() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::FinWait1).peer;
        peer.sends("F. 1:1(0) ack 2");
        peer.hears(". 2:2(0) ack 2");
        peer.is_in(State::TimeWait);
        assert!(peer.events().contains(&Event::PeerClosed(peer.id)));
        peer.reads_end();
    });
}

#[test]
fn text_flows_in_after_we_have_closed() {
    // Half-close: FIN-WAIT-1 and FIN-WAIT-2 go on receiving.
    with_each_isn(|isns| {
        for state in [State::FinWait1, State::FinWait2] {
            let mut peer = in_state(isns, state).peer;
            peer.sends("P. 1:101(100) ack 2");
            peer.hears(". 2:2(0) ack 101");
            peer.reads(100);
            peer.sends("FP. 101:201(100) ack 2");
            peer.hears(". 2:2(0) ack 202");
            peer.reads(100);
            peer.reads_end();
            peer.is_in(State::TimeWait);
        }
    });
}

#[test]
fn a_fin_follows_all_text_and_rides_on_the_last_of_it() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(1_460 * 12);
        peer.shuts_down();
        // Ten segments are the initial window (RFC 6928); nothing of the FIN yet.
        let first = peer.all();
        assert_eq!(first.len(), 10);
        assert!(first.iter().all(|packet| !packet.has(Flags::FIN)));
        peer.is_in(State::FinWait1);
        peer.sends(". 1:1(0) ack 14601");
        let rest = peer.all();
        let last = rest.last().expect("the last segment");
        assert!(last.has(Flags::FIN));
        assert_eq!(last.end(), peer.iss + 1 + 1_460 * 12 + 1);
        peer.sends(". 1:1(0) ack 17521");
        peer.is_in(State::FinWait1);
        peer.sends(". 1:1(0) ack 17522");
        peer.is_in(State::FinWait2);
    });
}

#[test]
fn a_lost_fin_is_sent_again() {
    with_each_isn(|isns| {
        let InState { mut peer, .. } = in_state(isns, State::FinWait1);
        peer.hears_within(ms(200)..=ms(1_100), "F. 1:1(0) ack 1");
        peer.hears_within(ms(400)..=ms(2_200), "F. 1:1(0) ack 1");
        peer.sends(". 1:1(0) ack 2");
        peer.is_in(State::FinWait2);
        peer.passes(secs(30));
        peer.hears_nothing();
    });
}

#[test]
fn after_closing_writes_are_refused_and_a_second_close_sends_nothing() {
    // RFC 9293 3.10.2 and 3.10.4, FIN-WAIT and later.
    with_each_isn(|isns| {
        for state in
            [State::FinWait1, State::FinWait2, State::Closing, State::LastAck, State::TimeWait]
        {
            let InState { mut peer, .. } = in_state(isns, state);
            let refused = peer.stack.write(peer.id, b"x");
            let closing = Err(WriteError::Closing);
            let over = Err(WriteError::Closed(CloseReason::Finished));
            assert!(
                refused == closing || (state == State::TimeWait && refused == over),
                "{state}: {refused:?}"
            );
            peer.shuts_down();
            peer.hears_nothing();
            peer.is_in(state);
        }
    });
}

// The peer closes first.

#[test]
fn the_side_that_closes_last_passes_close_wait_and_last_ack() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("F. 1:1(0) ack 1");
        peer.hears(". 1:1(0) ack 2");
        peer.is_in(State::CloseWait);
        assert!(peer.events().contains(&Event::PeerClosed(peer.id)));
        peer.reads_end();
        peer.shuts_down();
        peer.hears("F. 1:1(0) ack 2");
        peer.is_in(State::LastAck);
        peer.sends(". 2:2(0) ack 2");
        peer.hears_nothing();
        peer.is_over(CloseReason::Finished);
        peer.is_in(State::Closed);
        peer.closes();
        assert_eq!(peer.stack.totals().connections, 0);
        assert_eq!(peer.stack.totals().time_wait, 0, "only who closes first waits");
    });
}

#[test]
fn text_flows_out_after_the_peer_has_closed() {
    // Half-close: CLOSE-WAIT goes on sending.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::CloseWait).peer;
        peer.writes(1_460 * 2);
        peer.hears(". 1:1461(1460) ack 2");
        peer.hears("P. 1461:2921(1460) ack 2");
        peer.sends(". 2:2(0) ack 2921");
        peer.is_in(State::CloseWait);
        peer.writes(10);
        peer.hears("P. 2921:2931(10) ack 2");
        peer.shuts_down();
        peer.hears("F. 2931:2931(0) ack 2");
        peer.sends(". 2:2(0) ack 2932");
        peer.is_over(CloseReason::Finished);
    });
}

#[test]
fn text_that_came_before_the_fin_is_read_before_the_end() {
    // RFC 9293 3.10.3, CLOSE-WAIT.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("FP. 1:501(500) ack 1");
        peer.hears(". 1:1(0) ack 502");
        peer.is_in(State::CloseWait);
        peer.reads(500);
        peer.reads_end();
        peer.reads_end();
    });
}

#[test]
fn a_fin_that_comes_too_early_waits_for_the_text_before_it() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("F. 201:201(0) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.is_in(State::Established);
        peer.sends("P. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.is_in(State::Established);
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 202");
        peer.is_in(State::CloseWait);
        peer.reads(200);
        peer.reads_end();
    });
}

#[test]
fn a_fin_with_text_beyond_a_hole_is_kept_with_the_text() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("FP. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 202");
        peer.is_in(State::CloseWait);
        peer.reads(200);
        peer.reads_end();
    });
}

#[test]
fn nothing_lies_beyond_a_fin() {
    // RFC 9293 3.4: "The FIN is considered to occur after the last actual data octet in a segment in
    // which it occurs".
    with_each_isn(|isns| {
        // In order, it takes back what seemed to come behind it.
        for ahead in ["P. 101:301(200) ack 1", "P. 51:301(250) ack 1", "P. 201:301(100) ack 1"] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.sends(ahead);
            peer.hears(". 1:1(0) ack 1");
            peer.sends("FP. 1:101(100) ack 1");
            peer.hears(". 1:1(0) ack 102");
            peer.is_in(State::CloseWait);
            peer.reads(100);
            peer.reads_end();
        }
        // Beyond a hole, it bounds what comes later.
        for later in ["P. 201:301(100) ack 1", "P. 101:301(200) ack 1", "P. 1:301(300) ack 1"] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.sends("F. 201:201(0) ack 1");
            peer.hears(". 1:1(0) ack 1");
            peer.sends(later);
            peer.ignores_the_rest();
            peer.sends("P. 1:201(200) ack 1");
            peer.hears(". 1:1(0) ack 202");
            peer.is_in(State::CloseWait);
            peer.reads(200);
            peer.reads_end();
        }
    });
}

#[test]
fn a_fin_outside_the_window_is_not_remembered() {
    // RFC 9293 3.10.7.4, first step: "trimming off any portions that lie outside the window (including
    // SYN and FIN)".
    with_each_isn(|isns| {
        for line in ["F. 100:100(0) ack 1", "FP. 51:100(49) ack 1", "FP. 65437:65547(110) ack 1"] {
            let mut peer = in_state(isns, State::Established).peer;
            peer.sends("P. 1:101(100) ack 1");
            peer.sends(line);
            peer.is_in(State::Established);
            peer.sends("P. 101:201(100) ack 1");
            peer.is_in(State::Established);
            peer.reads(200);
            peer.sends("F. 201:201(0) ack 1");
            peer.is_in(State::CloseWait);
            peer.reads_end();
        }
    });
}

#[test]
fn a_fin_that_comes_again_is_acknowledged_again() {
    with_each_isn(|isns| {
        for state in [State::CloseWait, State::Closing, State::LastAck] {
            let InState { mut peer, ours, .. } = in_state(isns, state);
            peer.passes(ms(100));
            peer.sends("F. 1:1(0) ack 1");
            peer.hears(&format!(". {ours}:{ours}(0) ack 2"));
            peer.is_in(state);
        }
    });
}

#[test]
fn text_after_a_fin_is_ignored() {
    // RFC 9293 3.10.7.4, seventh step: "This should not occur since a FIN has been received from the
    // remote side. Ignore the segment text." What is sent again is acknowledged again.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::CloseWait).peer;
        peer.sends("P. 2:102(100) ack 1");
        peer.hears_nothing();
        peer.sends("F. 1:1(0) ack 1");
        peer.hears(". 1:1(0) ack 2");
        peer.reads_end();
        peer.is_in(State::CloseWait);
    });
}

#[test]
fn a_fin_arrives_though_the_window_is_closed() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1460", |config| {
            config.tcp.max_recv_buffer = 4_096;
        });
        peer.sends("P. 1:1461(1460) ack 1");
        peer.sends("P. 1461:2921(1460) ack 1");
        peer.sends("P. 2921:4097(1176) ack 1");
        peer.passes(ms(50));
        let last = peer.all().pop().expect("an acknowledgment");
        assert_eq!((last.ack, last.window), (peer.irs + 4_097, 0));
        peer.sends("F. 4097:4097(0) ack 1");
        peer.ignores_the_rest();
        peer.reads(4_096);
        // Either the FIN was taken, or the peer's retransmission of it is now.
        peer.ignores_the_rest();
        peer.sends("F. 4097:4097(0) ack 1");
        peer.passes(ms(50));
        let last = peer.all().pop().expect("an acknowledgment");
        assert_eq!(last.ack, peer.irs + 4_098);
        peer.reads_end();
    });
}

// Both close.

#[test]
fn two_fins_that_cross_pass_through_closing() {
    // RFC 9293 3.6, figure 13.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::FinWait1).peer;
        peer.sends("F. 1:1(0) ack 1");
        peer.hears(". 2:2(0) ack 2");
        peer.is_in(State::Closing);
        peer.sends(". 2:2(0) ack 2");
        peer.hears_nothing();
        peer.is_in(State::TimeWait);
    });
}

#[test]
fn in_closing_and_last_ack_our_fin_is_sent_again_until_it_is_acknowledged() {
    with_each_isn(|isns| {
        for state in [State::Closing, State::LastAck] {
            let InState { mut peer, .. } = in_state(isns, state);
            peer.hears_within(ms(200)..=ms(1_100), "F. 1:1(0) ack 2");
            // "otherwise, ignore the segment"
            peer.sends(". 2:2(0) ack 1");
            peer.is_in(state);
            peer.sends(". 2:2(0) ack 2");
            assert_ne!(peer.state(), state);
        }
    });
}

#[test]
fn two_stacks_that_close_at_once_both_pass_through_closing() {
    for (client_isn, server_isn) in [(1, 2), (u32::MAX, u32::MAX - 1)] {
        let mut net = Plan::new(1).isns(client_isn, server_isn).build();
        let (client, server) = net.open();
        net.stack(Side::Client).shutdown(client);
        net.stack(Side::Server).shutdown(server);
        net.run_until("both FINs have crossed", |net| {
            net.state(Side::Client, client) == Some(State::Closing)
                && net.state(Side::Server, server) == Some(State::Closing)
        });
        net.run_until("both wait", |net| {
            net.stack(Side::Client).totals().time_wait == 1
                && net.stack(Side::Server).totals().time_wait == 1
        });
        net.run_to_rest();
        assert_eq!(net.stack(Side::Client).totals().time_wait, 0);
    }
}

// Closing for good.

#[test]
fn closing_with_unread_text_resets() {
    // RFC 2525 2.17: the peer must learn that its text was thrown away.
    with_each_isn(|isns| {
        for state in [State::Established, State::FinWait2, State::CloseWait] {
            let InState { mut peer, ours, .. } = in_state(isns, State::Established);
            if state == State::FinWait2 {
                peer = in_state(isns, State::FinWait2).peer;
            }
            let ours = if state == State::FinWait2 { 2 } else { ours };
            let fin = if state == State::CloseWait { "FP" } else { "P" };
            peer.sends(&format!("{fin}. 1:101(100) ack {ours}"));
            peer.ignores_the_rest();
            peer.closes();
            let reset = peer.next();
            assert!(reset.has(Flags::RST), "{state}: {reset}");
            assert_eq!(reset.seq, peer.iss + ours);
            assert_eq!(peer.stack.totals().connections, 0);
        }
    });
}

#[test]
fn closing_with_text_beyond_a_hole_is_orderly() {
    // RFC 9293 3.6.1 (SHLD-3), RFC 2525 2.17: "while received data is still pending" a close resets.
    // What lies beyond a hole is none that anyone could have read; SACK may even take it back (RFC
    // 2018 8). When the hole is filled it is, and the peer is told.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.closes();
        peer.hears("F. 1:1(0) ack 1");
        peer.is_in(State::FinWait1);
        peer.sends(". 201:201(0) ack 2");
        peer.hears_nothing();
        peer.is_in(State::FinWait2);
        peer.sends("P. 1:101(100) ack 2");
        assert!(peer.next().has(Flags::RST));
        peer.is_in(State::Closed);
    });
}

#[test]
fn closing_after_everything_was_read_sends_a_fin() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
        peer.closes();
        peer.hears("F. 1:1(0) ack 101");
        peer.is_in(State::FinWait1);
        assert_eq!(peer.stack.state(peer.id), None, "the id is given back");
        assert_eq!(peer.read_one(), Err(ReadError::NoSuchConnection));
    });
}

#[test]
fn a_closed_connection_delivers_what_was_written() {
    // RFC 9293 3.9.1: CLOSE is a graceful operation; SENDs before it are delivered.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(1_460 * 20);
        peer.closes();
        let mut acked = 0;
        while acked < 1_460 * 20 + 1 {
            let out = peer.all();
            acked = (peer.iss + 1).len_to(out.last().expect("more text").end());
            peer.sends(&format!(". 1:1(0) ack {}", 1 + acked));
        }
        peer.is_in(State::FinWait2);
    });
}

#[test]
fn text_for_a_connection_that_was_closed_for_good_resets_it() {
    // RFC 9293 3.6.1: nobody will ever read it.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.closes();
        peer.hears("F. 1:1(0) ack 1");
        peer.sends(". 1:1(0) ack 2");
        peer.is_in(State::FinWait2);
        peer.sends("P. 1:101(100) ack 2");
        let reset = peer.next();
        assert!(reset.has(Flags::RST));
        assert_eq!(reset.seq, peer.iss + 2);
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

#[test]
fn only_new_text_resets_a_connection_that_was_closed_for_good() {
    // RFC 9293 3.6.1 (SHLD-3): "if new data is received after CLOSE is called". A FIN is none, nor is
    // an empty segment, nor what was there before.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
        peer.closes();
        peer.hears("F. 1:1(0) ack 101");
        peer.sends(". 101:101(0) ack 2");
        peer.is_in(State::FinWait2);
        for old in ["P. 1:101(100) ack 2", "P. 51:101(50) ack 2", "P. 1:51(50) ack 2"] {
            peer.sends(old);
            peer.hears(". 2:2(0) ack 101");
        }
        // Something before these is missing, but nobody says that it is text.
        peer.sends(". 201:201(0) ack 2");
        peer.hears_nothing();
        peer.sends("F. 201:201(0) ack 2");
        peer.hears(". 2:2(0) ack 101");
        peer.is_in(State::FinWait2);
        peer.sends("P. 101:201(100) ack 2");
        assert!(peer.next().has(Flags::RST));
        peer.is_in(State::Closed);
    });
}

#[test]
fn a_fin_that_went_out_behind_a_full_segment_is_sent_again_with_it() {
    // It takes a sequence number, but no room: a segment without it would cost a round trip more.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends(". 1:1(0) ack 1 win 0");
        peer.writes(1_460);
        peer.shuts_down();
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 1");
        peer.hears("FP. 1:1461(1460) ack 1");
        peer.hears_within(ms(200)..=ms(201), "FP. 1:1461(1460) ack 1");
        peer.hears_within(ms(400)..=ms(401), "FP. 1:1461(1460) ack 1");
        peer.sends(". 1:1(0) ack 1462");
        peer.is_in(State::FinWait2);
    });
}

#[test]
fn a_fin_in_order_stands_whatever_was_said_of_another() {
    // A peer that contradicts itself, or somebody who speaks for it, must not keep the end away.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("F. 201:201(0) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("F. 1:51(50) ack 1");
        peer.hears(". 1:1(0) ack 52");
        peer.is_in(State::CloseWait);
        peer.reads(50);
        peer.reads_end();
    });
}

#[test]
fn old_text_with_a_fin_does_not_reset_a_connection_that_was_closed_for_good() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
        peer.closes();
        peer.hears("F. 1:1(0) ack 101");
        peer.sends("FP. 51:101(50) ack 2");
        peer.hears(". 2:2(0) ack 102");
        assert_eq!(peer.stack.totals().time_wait, 1);
    });
}

#[test]
fn an_orphan_does_not_wait_for_the_peers_fin_for_ever() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::FinWait2).peer;
        peer.closes();
        peer.passes(secs(59));
        peer.is_in(State::FinWait2);
        peer.passes(secs(2));
        peer.is_in(State::Closed);
        let totals = peer.stack.totals();
        assert_eq!((totals.connections, totals.time_wait), (0, 0));
    });
}

#[test]
fn an_orphan_that_reaches_fin_wait_2_later_does_not_wait_for_ever_either() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.closes();
        peer.hears("F. 1:1(0) ack 1");
        peer.sends(". 1:1(0) ack 2");
        peer.is_in(State::FinWait2);
        peer.passes(secs(59));
        peer.is_in(State::FinWait2);
        peer.passes(secs(2));
        peer.is_in(State::Closed);
        peer.hears_nothing();
    });
}

#[test]
fn a_connection_that_is_still_read_waits_in_fin_wait_2_as_long_as_it_takes() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::FinWait2).peer;
        peer.passes(secs(7_200));
        peer.hears_nothing();
        peer.is_in(State::FinWait2);
        peer.sends("FP. 1:11(10) ack 2");
        peer.reads(10);
        peer.reads_end();
    });
}

#[test]
fn an_orphan_whose_peer_is_gone_gives_up() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100);
        peer.closes();
        peer.passes(secs(3_600));
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

// Linger.

#[test]
fn a_linger_of_zero_resets_at_once() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.stack.set_linger(peer.id, Some(ms(0)));
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.closes();
        let reset = peer.next();
        assert!(reset.has(Flags::RST));
        assert_eq!(reset.seq, peer.iss + 101);
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

#[test]
fn a_linger_goes_on_for_its_time_and_then_resets() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.stack.set_linger(peer.id, Some(secs(5)));
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        let start = peer.now;
        peer.closes();
        peer.hears("F. 101:101(0) ack 1");
        peer.passes(ms(4_990));
        assert!(peer.all().iter().all(|packet| !packet.has(Flags::RST)));
        peer.passes(ms(20));
        let reset = peer.next();
        assert!(reset.has(Flags::RST), "{reset}");
        assert_eq!(peer.now.since(start), ms(5_010));
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

#[test]
fn a_linger_that_is_not_needed_changes_nothing() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.stack.set_linger(peer.id, Some(secs(5)));
        peer.writes(100);
        peer.closes();
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 102");
        peer.is_in(State::FinWait2);
        peer.sends("F. 1:1(0) ack 102");
        peer.hears(". 102:102(0) ack 2");
        assert_eq!(peer.stack.totals().time_wait, 1);
        peer.passes(secs(6));
        peer.hears_nothing();
    });
}

// In every state.

#[test]
fn a_close_in_listen_and_syn_sent_just_forgets() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::SynSent).peer;
        peer.closes();
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().connections, 0);
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears("R 1:1(0)");

        let mut peer = in_state(isns, State::Listen).peer;
        peer.stack.unlisten(peer.listener.unwrap());
        assert_eq!(peer.stack.totals().listeners, 0);
        peer.sends("S 0:0(0) <mss 1460>");
        assert!(peer.next().has(Flags::RST));
    });
}

#[test]
fn calls_on_what_is_gone_are_refused_and_harmless() {
    // RFC 9293 3.10.2 to 3.10.6, CLOSED: "error: connection does not exist".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.aborts();
        peer.ignores_the_rest();
        let id = peer.id;
        assert_eq!(peer.stack.write(id, b"x"), Err(WriteError::NoSuchConnection));
        assert_eq!(peer.read_one(), Err(ReadError::NoSuchConnection));
        assert_eq!(peer.stack.state(id), None);
        assert!(peer.stack.info(id).is_none());
        assert_eq!(peer.stack.close_reason(id), None);
        assert_eq!((peer.stack.readable(id), peer.stack.writable(id)), (0, 0));
        peer.shuts_down();
        peer.closes();
        peer.aborts();
        peer.stack.set_no_delay(id, true);
        peer.stack.store(id, b"x");
        peer.hears_nothing();
    });
}
