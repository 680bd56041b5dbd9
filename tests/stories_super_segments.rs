//! Super-segments on their way in: text of several segments behind one header, which counts for what
//! its segments would (RFC 9293 sections 3.8.6 and 3.10.7.4). `tcp/input/super_segments.rs` has the
//! property; here is what a program can see of it.

mod common;

use common::peer::{Peer, with_each_isn};

#[test]
fn what_is_acknowledged_beside_text_over_a_closed_window_counts() {
    // RFC 9293 3.10.7.4, first step (MUST-66).
    for together in [false, true] {
        with_each_isn(|isns| {
            let mut peer = Peer::established_with(isns, "mss 1000", |config| {
                config.tcp.max_recv_buffer = 4_000;
            });
            for start in [1, 1_001, 2_001, 3_001] {
                peer.sends(&format!(". {start}:{}(1000) ack 1", start + 1_000));
            }
            assert_eq!(peer.all().last().unwrap().window, 0);
            peer.writes(500);
            peer.hears("P. 1:501(500) ack 4001");
            // The peer tries again with the last that it was let send, and one segment more.
            let line = ". 3001:5001(2000) ack 501";
            if together {
                peer.sends_together(line, 1_000);
            } else {
                peer.sends(line);
            }
            assert_eq!(peer.stack.unacknowledged(peer.id), 0);
            peer.hears(". 501:501(0) ack 4001");
            peer.reads(4_000);
        });
    }
}

#[test]
fn the_last_of_the_segments_says_how_new_the_window_is() {
    // RFC 9293 3.10.7.4, fifth step: SND.WL1.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.sends(". 1501:1601(100) ack 1 win 0");
        peer.hears(". 1:1(0) ack 1");
        // The first of these is older than what closed the window, the last one is not.
        peer.sends_together(". 1:3001(3000) ack 1 win 5000", 1_000);
        peer.hears(". 1:1(0) ack 3001");
        peer.writes(500);
        peer.hears("P. 1:501(500) ack 3001");
        peer.reads(3_000);
    });
}

#[test]
fn the_segments_of_the_wire_are_what_counts_as_full_sized() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.sends_together(". 1:3501(3500) ack 1", 1_000);
        assert_eq!(peer.stack.info(peer.id).unwrap().recv_mss, 1_000);
        peer.sends_together(". 3501:3601(100) ack 1", 1_400);
        assert_eq!(peer.stack.info(peer.id).unwrap().recv_mss, 1_000);
        peer.reads(3_600);
    });
}
