//! Text that arrives: reassembly (RFC 9293 section 3.10.7.4, seventh step), acknowledgments and
//! their delay (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2), SACK blocks (RFC 2018),
//! timestamps and PAWS (RFC 7323), urgent data (RFC 9293 section 3.8.5).

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::Event;
use tunstack::tcp::State;
use tunstack::wire::Flags;

/// A connection whose peer may be sent SACK blocks.
fn with_sack(isns: Isns) -> Peer {
    Peer::established(isns, "mss 1460,sackOK")
}

/// A connection past the quick ACKs of its start, with nothing owed; the peer's next number is
/// the answer.
fn past_quick_acks(isns: Isns, options: &str) -> (Peer, u32) {
    let mut peer = Peer::established(isns, options);
    let mut next = 1;
    for _ in 0..40 {
        let end = next + 1_000;
        peer.sends(&format!("P. {next}:{end}(1000) ack 1"));
        next = end;
        peer.reads(1_000);
    }
    peer.passes(ms(100));
    peer.ignores_the_rest();
    (peer, next)
}

// Reassembly.

#[test]
fn text_in_order_is_read_as_it_comes() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.reads_nothing();
        peer.sends("P. 1:101(100) ack 1");
        assert!(peer.events().contains(&Event::Readable(peer.id)));
        assert_eq!(peer.stack.readable(peer.id), 100);
        peer.reads(100);
        peer.sends(". 101:1561(1460) ack 1");
        peer.sends("P. 1561:3021(1460) ack 1");
        peer.reads(2_920);
        peer.reads_nothing();
        assert_eq!(peer.stack.info(peer.id).unwrap().bytes_received, 3_020);
    });
}

#[test]
fn text_out_of_order_waits_for_the_hole_to_fill() {
    // SHLD-31.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.reads_nothing();
        peer.sends("P. 401:501(100) ack 1");
        peer.hears(". 1:1(0) ack 1");
        peer.sends("P. 1:201(200) ack 1");
        peer.hears(". 1:1(0) ack 301");
        peer.reads(300);
        peer.sends("P. 301:401(100) ack 1");
        peer.hears(". 1:1(0) ack 501");
        peer.reads(200);
    });
}

#[test]
fn overlaps_of_every_kind_are_put_together_right() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        for line in [
            "P. 101:201(100) ack 1", // an island
            "P. 151:251(100) ack 1", // grows it at its end
            "P. 51:151(100) ack 1",  // and at its start
            "P. 81:121(40) ack 1",   // lies within it
            "P. 301:351(50) ack 1",  // a second island
            "P. 41:361(320) ack 1",  // covers both
            "P. 1:61(60) ack 1",     // joins them to what is in order
        ] {
            peer.sends(line);
        }
        let last = peer.all().pop().expect("an acknowledgment");
        assert_eq!(last.ack, peer.irs + 361);
        peer.reads(360);
    });
}

#[test]
fn what_is_old_in_a_segment_is_trimmed_and_what_is_new_is_kept() {
    // "If a segment's contents straddle the boundary between old and new, only the new parts are
    // processed."
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("P. 51:151(100) ack 1");
        peer.hears(". 1:1(0) ack 151");
        peer.sends("P. 1:151(150) ack 1");
        peer.hears(". 1:1(0) ack 151");
        peer.reads(150);
    });
}

#[test]
fn what_lies_beyond_the_window_is_trimmed() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1460", |config| {
            config.tcp.max_recv_buffer = 3_000;
        });
        peer.sends("P. 1:1461(1460) ack 1");
        peer.sends("P. 1461:2921(1460) ack 1");
        peer.sends("P. 2921:4381(1460) ack 1");
        peer.passes(ms(50));
        let last = peer.all().pop().expect("an acknowledgment");
        assert_eq!((last.ack, last.window), (peer.irs + 3_001, 0));
        peer.reads(3_000);
        peer.reads_nothing();
    });
}

#[test]
fn a_segment_of_the_largest_size_the_link_carries_is_taken() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 8960", |config| config.mtu = 9_000);
        peer.sends("P. 1:8961(8960) ack 1");
        peer.hears(". 1:1(0) ack 8961");
        peer.reads(8_960);
    });
}

// Acknowledgments.

#[test]
fn the_first_segments_of_a_connection_are_acknowledged_at_once() {
    // The peer is in slow start; every ACK opens its window.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        let mut next = 1;
        for _ in 0..16 {
            let end = next + 100;
            peer.sends(&format!("P. {next}:{end}(100) ack 1"));
            peer.hears(&format!(". 1:1(0) ack {end}"));
            next = end;
        }
    });
}

#[test]
fn later_a_small_segment_is_acknowledged_after_40_ms() {
    // RFC 9293 3.8.6.3 (MUST-40): less than half a second.
    with_each_isn(|isns| {
        let (mut peer, next) = past_quick_acks(isns, "mss 1460");
        let end = next + 100;
        peer.sends(&format!("P. {next}:{end}(100) ack 1"));
        peer.hears_within(ms(1)..=ms(40), &format!(". 1:1(0) ack {end}"));
        peer.passes(ms(500));
        peer.hears_nothing();
    });
}

#[test]
fn after_a_silence_a_peer_that_only_sends_is_acknowledged_at_once_again() {
    // It may be in slow start; Linux does so after a retransmission timeout's time.
    with_each_isn(|isns| {
        let (mut peer, mut next) = past_quick_acks(isns, "mss 1460");
        peer.passes(secs(1));
        for _ in 0..16 {
            let end = next + 100;
            peer.sends(&format!("P. {next}:{end}(100) ack 1"));
            peer.hears(&format!(". 1:1(0) ack {end}"));
            next = end;
        }
        peer.sends(&format!("P. {next}:{}(100) ack 1", next + 100));
        peer.hears_nothing();
        // Not one that gets answers: those carry the ACK.
        peer.writes(50);
        let next = next + 100;
        peer.hears(&format!("P. 1:51(50) ack {next}"));
        peer.passes(ms(10));
        peer.sends(&format!("P. {next}:{}(100) ack 51", next + 100));
        peer.passes(secs(1));
        peer.ignores_the_rest();
        peer.writes(50);
        peer.hears(&format!("P. 51:101(50) ack {}", next + 100));
        peer.passes(secs(1));
        peer.ignores_the_rest();
        peer.sends(&format!("P. {}:{}(100) ack 101", next + 100, next + 200));
        peer.hears_nothing();
    });
}

#[test]
fn every_second_full_sized_segment_is_acknowledged_at_once() {
    // SHLD-19.
    with_each_isn(|isns| {
        let (mut peer, mut next) = past_quick_acks(isns, "mss 1460");
        for _ in 0..5 {
            let (middle, end) = (next + 1_460, next + 2_920);
            peer.sends(&format!(". {next}:{middle}(1460) ack 1"));
            peer.hears_nothing();
            peer.sends(&format!(". {middle}:{end}(1460) ack 1"));
            peer.hears(&format!(". 1:1(0) ack {end}"));
            next = end;
            peer.reads(2_920);
        }
    });
}

#[test]
fn segments_of_one_batch_share_an_acknowledgment() {
    // MUST-58, MUST-59: "process them all before sending any ACK segments".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends_batch(&[
            ". 1:1461(1460) ack 1",
            ". 1461:2921(1460) ack 1",
            ". 2921:4381(1460) ack 1",
            "P. 4381:5841(1460) ack 1",
        ]);
        peer.hears(". 1:1(0) ack 5841");
        peer.hears_nothing();
    });
}

#[test]
fn every_segment_beyond_a_hole_gets_a_duplicate_ack_of_its_own() {
    // RFC 5681 4.2: duplicates must not merge, also within a batch.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends_batch(&[
            "P. 1461:2921(1460) ack 1",
            "P. 2921:4381(1460) ack 1",
            "P. 4381:5841(1460) ack 1",
        ]);
        for _ in 0..3 {
            peer.hears(". 1:1(0) ack 1");
        }
        peer.hears_nothing();
    });
}

#[test]
fn filling_a_hole_is_acknowledged_at_once() {
    // RFC 5681 4.2.
    with_each_isn(|isns| {
        let (mut peer, at) = past_quick_acks(isns, "mss 1460");
        let (b, c, d) = (at + 100, at + 200, at + 300);
        peer.sends(&format!("P. {c}:{d}(100) ack 1"));
        peer.hears(&format!(". 1:1(0) ack {at}"));
        peer.sends(&format!("P. {at}:{b}(100) ack 1"));
        peer.hears(&format!(". 1:1(0) ack {b}"));
        peer.sends(&format!("P. {b}:{c}(100) ack 1"));
        peer.hears(&format!(". 1:1(0) ack {d}"));
    });
}

#[test]
fn an_old_segment_is_acknowledged_at_once() {
    // The peer did not get our ACK.
    with_each_isn(|isns| {
        let (mut peer, next) = past_quick_acks(isns, "mss 1460");
        let start = next - 1_000;
        peer.sends(&format!("P. {start}:{next}(1000) ack 1"));
        peer.hears(&format!(". 1:1(0) ack {next}"));
    });
}

#[test]
fn the_last_text_that_comes_again_brings_an_acknowledgment_that_counts() {
    // RFC 9293 3.10.7.4, first step: what ends just before the window is not acceptable, and owes an
    // ACK. Its own ACK is the newest word of a peer that has missed ours: as in Linux it counts.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.writes(50);
        peer.hears("P. 1:51(50) ack 101");
        peer.sends("P. 1:101(100) ack 51");
        peer.hears(". 51:51(0) ack 101");
        peer.passes(secs(10));
        peer.hears_nothing();
        peer.reads(100);
        // What ends before that is old, and so is what it says.
        peer.writes(50);
        peer.hears("P. 51:101(50) ack 101");
        peer.sends("P. 1:100(99) ack 101");
        peer.hears(". 101:101(0) ack 101");
        peer.hears_within(ms(100)..=ms(1_000), "P. 51:101(50) ack 101");
    });
}

#[test]
fn a_fin_that_comes_again_brings_an_acknowledgment_that_counts() {
    with_each_isn(|isns| {
        for (state, next) in [(State::LastAck, State::Closed), (State::Closing, State::TimeWait)] {
            let mut peer = in_state(isns, state).peer;
            peer.sends("F. 1:1(0) ack 2");
            peer.is_in(next);
            if next == State::TimeWait {
                peer.hears(". 2:2(0) ack 2");
            }
            peer.hears_nothing();
        }
    });
}

#[test]
fn the_last_text_that_comes_again_without_an_ack_is_acknowledged() {
    // RFC 9293 3.10.7.4, first step, comes before the others: "an acknowledgment should be sent in
    // reply (unless the RST bit is set [...])". Text is never an answer to an ACK, so the limit of
    // RFC 5961 7 is not for it.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        for line in ["P 1:101(100)", "F 100:100(0)"] {
            for _ in 0..5 {
                peer.sends(line);
                peer.hears(". 1:1(0) ack 101");
            }
        }
        peer.sends("R 1:1(0)");
        peer.sends("RP. 1:101(100) ack 1");
        peer.hears_nothing();
        peer.is_in(State::Established);
    });
}

#[test]
fn an_acknowledgment_rides_on_text_that_goes_out_anyway() {
    with_each_isn(|isns| {
        let (mut peer, next) = past_quick_acks(isns, "mss 1460");
        let end = next + 100;
        peer.sends(&format!("P. {next}:{end}(100) ack 1"));
        peer.hears_nothing();
        peer.writes(50);
        peer.hears(&format!("P. 1:51(50) ack {end}"));
        peer.sends(&format!(". {end}:{end}(0) ack 51"));
        peer.passes(ms(500));
        peer.hears_nothing();
    });
}

#[test]
fn a_bare_acknowledgment_is_never_acknowledged() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        for _ in 0..5 {
            peer.sends(". 1:1(0) ack 1");
        }
        peer.passes(ms(1_000));
        peer.hears_nothing();
    });
}

// SACK blocks.

#[test]
fn every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first() {
    // RFC 2018 4.
    with_each_isn(|isns| {
        let mut peer = with_sack(isns);
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:301>");
        peer.sends("P. 401:501(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 401:501 201:301>");
        peer.sends("P. 601:701(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 601:701 401:501 201:301>");
        // Growing an old block makes it the newest.
        peer.sends("P. 301:351(50) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:351 601:701 401:501>");
        peer.sends("P. 501:601(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 401:701 201:351>");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <sack 401:701 201:351>");
        peer.sends("P. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 351 <sack 401:701>");
        peer.sends("P. 351:401(50) ack 1");
        peer.hears(". 1:1(0) ack 701 <>");
        peer.reads(700);
    });
}

#[test]
fn a_segment_that_comes_again_puts_its_block_first() {
    // RFC 2018 4: "The first SACK block MUST specify the contiguous block of data containing the
    // segment which triggered this ACK".
    with_each_isn(|isns| {
        let mut peer = with_sack(isns);
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:301>");
        peer.sends("P. 401:501(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 401:501 201:301>");
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:301 201:301 401:501>");
    });
}

#[test]
fn four_blocks_fit_and_three_beside_timestamps() {
    with_each_isn(|isns| {
        for (options, fit) in [("mss 1460,sackOK", 4), ("mss 1460,sackOK,TS val 1 ecr 0", 3)] {
            let mut peer = Peer::established(isns, options);
            for n in 1..=6 {
                let (start, end) = (200 * n + 1, 200 * n + 101);
                peer.sends(&format!("P. {start}:{end}(100) ack 1"));
            }
            let last = peer.all().pop().expect("an acknowledgment");
            let blocks = last.options.sack;
            assert_eq!(blocks.as_slice().len(), fit);
            let starts: Vec<_> = blocks.as_slice().iter().map(|block| block.start).collect();
            let newest: Vec<_> = (1..=6).rev().take(fit).map(|n| peer.irs + 200 * n + 1).collect();
            assert_eq!(starts, newest);
        }
    });
}

#[test]
fn text_that_goes_out_below_a_hole_carries_the_blocks_too() {
    with_each_isn(|isns| {
        let mut peer = with_sack(isns);
        peer.sends("P. 201:301(100) ack 1");
        peer.ignores_the_rest();
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1 <sack 201:301>");
    });
}

#[test]
fn text_makes_room_for_as_many_blocks_as_fit() {
    // RFC 2018 3: four blocks, three beside timestamps; RFC 2018 4: "The data receiver SHOULD include
    // as many distinct SACK blocks as possible in the SACK option". What the options take is taken
    // from the text (RFC 9293 3.7.1, Eff.snd.MSS).
    with_each_isn(|isns| {
        for (options, room, most) in
            [("mss 1460,sackOK", 1_460, 4), ("mss 1460,sackOK,TS val 1 ecr 0", 1_448, 3)]
        {
            for holes in 0..=5 {
                let mut peer = Peer::established(isns, options);
                for n in 1..=holes {
                    let (start, end) = (200 * n + 1, 200 * n + 101);
                    peer.sends(&format!("P. {start}:{end}(100) ack 1"));
                }
                peer.ignores_the_rest();
                peer.writes(5_000);
                let out = peer.all();
                let blocks = (holes as usize).min(most);
                let full = room - if blocks > 0 { 4 + 8 * blocks } else { 0 };
                let mut left = 5_000;
                for packet in out {
                    let sack = packet.options.sack;
                    let starts: Vec<_> = sack.as_slice().iter().map(|block| block.start).collect();
                    let newest = (1..=holes).rev().take(most).map(|n| peer.irs + 200 * n + 1);
                    assert_eq!(starts, newest.collect::<Vec<_>>());
                    assert_eq!(packet.text.len(), full.min(left));
                    left -= packet.text.len();
                }
                assert_eq!(left, 0);
            }
        }
    });
}

#[test]
fn text_that_is_sent_again_carries_the_blocks_that_fit_behind_it() {
    // It is as long as it was: the blocks that have come meanwhile take the room that is left.
    with_each_isn(|isns| {
        for (len, fit) in [(1_460, 0), (1_449, 0), (1_448, 1), (1_440, 2), (1_424, 4), (10, 4)] {
            let mut peer = with_sack(isns);
            peer.writes(len);
            peer.hears(&format!("P. 1:{}({len}) ack 1", len + 1));
            for n in 1..=5 {
                let (start, end) = (200 * n + 1, 200 * n + 101);
                peer.sends(&format!("P. {start}:{end}(100) ack 1"));
            }
            peer.ignores_the_rest();
            peer.passes(secs(1));
            let again = peer.next();
            assert_eq!((again.seq, again.text.len()), (peer.iss + 1, len));
            assert_eq!(again.options.sack.as_slice().len(), fit, "beside {len} bytes");
        }
    });
}

#[test]
fn a_fin_beyond_a_hole_is_told_like_text() {
    // RFC 2018 3: blocks of "contiguous sequence space", of which the FIN is a part (RFC 9293 3.4).
    with_each_isn(|isns| {
        // It stands alone until the text before it is here.
        let mut peer = with_sack(isns);
        peer.sends("F. 301:301(0) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 301:302>");
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:302>");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101 <sack 201:302>");
        peer.sends("P. 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 302 <>");
        peer.reads(300);
        peer.reads_end();
        // It ends a block that was there.
        let mut peer = with_sack(isns);
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:301>");
        peer.sends("F. 301:301(0) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:302>");
        // It comes with text.
        let mut peer = with_sack(isns);
        peer.sends("FP. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 201:302>");
        // Text of ours makes room for it.
        peer.writes(3_000);
        peer.hears(". 1:1449(1448) ack 1 <sack 201:302>");
        // Nobody is told of one that lies beyond the window.
        let mut peer = with_sack(isns);
        peer.sends("FP. 65001:66001(1000) ack 1");
        peer.hears(". 1:1(0) ack 1 <sack 65001:65536>");
        // Without SACK it is remembered, and not told.
        let mut peer = Peer::established(isns, "mss 1460");
        peer.sends("F. 201:201(0) ack 1");
        peer.hears(". 1:1(0) ack 1 <>");
        peer.sends("P. 1:201(200) ack 1");
        peer.hears(". 1:1(0) ack 202 <>");
    });
}

#[test]
fn without_sack_permitted_there_are_no_blocks() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1460");
        peer.sends("P. 201:301(100) ack 1");
        peer.hears(". 1:1(0) ack 1 <>");
    });
}

// Timestamps.

const WITH_TIMESTAMPS: &str = "mss 1460,TS val 1000 ecr 0";

#[test]
fn every_segment_echoes_the_newest_timestamp_in_order() {
    // RFC 7323 4.3.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.sends("P. 1:101(100) ack 1 <TS val 1010 ecr 0>");
        assert_eq!(echo(&peer.hears(". 1:1(0) ack 101")), 1_010);
        // Beyond a hole: the echo stays that of the last segment in order.
        peer.sends("P. 201:301(100) ack 1 <TS val 1020 ecr 0>");
        assert_eq!(echo(&peer.hears(". 1:1(0) ack 101")), 1_010);
        // The one that fills the hole gives its own.
        peer.sends("P. 101:201(100) ack 1 <TS val 1015 ecr 0>");
        assert_eq!(echo(&peer.hears(". 1:1(0) ack 301")), 1_015);
    });
}

fn echo(packet: &common::packet::Packet) -> u32 {
    packet.options.timestamps.expect("timestamps").echo
}

#[test]
fn an_old_duplicate_is_told_by_its_timestamp() {
    // RFC 7323 5.3, R1: not acceptable; acknowledge and drop.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.sends("P. 1:101(100) ack 1 <TS val 1010 ecr 0>");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("P. 101:201(100) ack 1 <TS val 1009 ecr 0>");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
        peer.reads_nothing();
        peer.sends("P. 101:201(100) ack 1 <TS val 1010 ecr 0>");
        peer.hears(". 1:1(0) ack 201");
        peer.reads(100);
    });
}

#[test]
fn timestamps_are_compared_on_a_circle() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1460,TS val 4294967290 ecr 0");
        peer.sends("P. 1:101(100) ack 1 <TS val 4294967295 ecr 0>");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("P. 101:201(100) ack 1 <TS val 5 ecr 0>");
        peer.hears(". 1:1(0) ack 201");
        peer.sends("P. 201:301(100) ack 1 <TS val 4294967295 ecr 0>");
        peer.hears(". 1:1(0) ack 201");
        peer.reads(200);
    });
}

#[test]
fn a_reset_is_not_subject_to_paws() {
    // RFC 7323 5.3, R1: "and if the RST bit is not set".
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.sends("R 1:1(0) <TS val 1 ecr 0>");
        peer.is_in(State::Closed);
    });
}

#[test]
fn after_24_days_of_silence_a_timestamp_no_longer_condemns() {
    // RFC 7323 5.5: the peer's clock may have gone half way round.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.passes(common::secs(25 * 86_400));
        peer.sends("P. 1:101(100) ack 1 <TS val 999 ecr 0>");
        peer.hears(". 1:1(0) ack 101");
    });
}

#[test]
fn a_segment_without_the_agreed_timestamps_is_borne() {
    // RFC 7323 3.2 would have it dropped in silence; as Linux does, it is taken, since some hosts
    // and middleboxes lose the option on the way.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.sends("P. 1:101(100) ack 1 <>");
        peer.hears(". 1:1(0) ack 101");
        peer.reads(100);
    });
}

#[test]
fn our_timestamps_follow_a_clock_of_one_millisecond() {
    // RFC 7323 5.4.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, WITH_TIMESTAMPS);
        peer.sends("P. 1:101(100) ack 1");
        let first = peer.hears(". 1:1(0) ack 101").options.timestamps.unwrap();
        peer.passes(ms(250));
        peer.sends("P. 101:201(100) ack 1");
        let second = peer.hears(". 1:1(0) ack 201").options.timestamps.unwrap();
        assert_eq!(second.value.wrapping_sub(first.value), 250);
    });
}

// Urgent data.

#[test]
fn urgent_data_is_reported_once_and_stays_in_line() {
    // RFC 9293 3.8.5 and 3.10.7.4, sixth step.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("PU. 1:11(10) ack 1 urg 50");
        assert!(peer.events().contains(&Event::Urgent(peer.id)));
        // The same mark again, and one before it: still in urgent mode, so no second signal.
        peer.sends("PU. 11:21(10) ack 1 urg 40");
        peer.sends("PU. 21:31(10) ack 1 urg 5");
        assert!(!peer.events().contains(&Event::Urgent(peer.id)));
        peer.sends("P. 31:51(20) ack 1");
        peer.reads(50);
        // What follows the mark is ordinary; another mark is another signal.
        peer.sends("P. 51:61(10) ack 1");
        assert!(!peer.events().contains(&Event::Urgent(peer.id)));
        peer.sends("PU. 61:71(10) ack 1 urg 10");
        assert!(peer.events().contains(&Event::Urgent(peer.id)));
        peer.reads(20);
    });
}

#[test]
fn a_mark_beyond_what_has_arrived_is_reported_before_the_text_comes() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends("U. 1:1(0) ack 1 urg 1000");
        assert!(peer.events().contains(&Event::Urgent(peer.id)));
        peer.sends("P. 1:11(10) ack 1");
        peer.reads(10);
    });
}

#[test]
fn after_the_peers_fin_an_urgent_mark_means_nothing() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::CloseWait).peer;
        peer.sends("U. 2:2(0) ack 1 urg 10");
        assert!(!peer.events().contains(&Event::Urgent(peer.id)));
    });
}

#[test]
fn urgent_text_goes_out_marked_and_does_not_wait() {
    // RFC 9293 3.10.2 and 3.8.5 (MUST-30); the pointer names the byte after the urgent text
    // (MUST-62, RFC 6093 3.1).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1");
        // Nagle would hold these back.
        let text = common::pattern::bytes(0, 10, 5);
        assert_eq!(peer.stack.write_urgent(peer.id, &text), Ok(5));
        peer.hears("PU. 11:16(5) ack 1 urg 5");
        peer.sends(". 1:1(0) ack 16");
        peer.written = 15;
        peer.writes(10);
        peer.hears("P. 16:26(10) ack 1");
    });
}

#[test]
fn urgent_text_may_be_longer_than_a_segment_and_than_the_pointer_can_say() {
    // RFC 9293 3.8.5 (MUST-31): "a sequence of urgent data of any length".
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        let text = common::pattern::bytes(0, 0, 70_000);
        assert_eq!(peer.stack.write_urgent(peer.id, &text), Ok(70_000));
        let (mut arrived, mut behind) = (0u32, Vec::new());
        while arrived < 70_000 {
            for packet in peer.all() {
                assert!(packet.has(Flags::URG), "{packet}");
                assert_eq!(packet.seq, peer.iss + 1 + arrived);
                arrived += packet.text.len() as u32;
                let left = 70_000 - (arrived - packet.text.len() as u32);
                behind.push((u32::from(packet.urgent), left.min(65_535)));
            }
            peer.sends(&format!(". 1:1(0) ack {}", 1 + arrived));
        }
        assert!(behind.iter().all(|(told, left)| told == left), "{behind:?}");
        // The other way: marks that each reach as far as the pointer can.
        peer.sends("U. 1:1461(1460) ack 70001 urg 65535");
        peer.sends("U. 1461:2921(1460) ack 70001 urg 65535");
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(1_460 + 65_535));
        peer.reads(2_920);
    });
}

#[test]
fn the_application_can_ask_how_far_the_urgent_text_reaches() {
    // MUST-33.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        assert_eq!(peer.stack.urgent_mark(peer.id), None);
        peer.sends("PU. 1:11(10) ack 1 urg 25");
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(25));
        peer.reads(10);
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(15));
        peer.sends("P. 11:31(20) ack 1");
        peer.reads(20);
        assert_eq!(peer.stack.urgent_mark(peer.id), None);
    });
}

#[test]
fn the_urgent_mark_stays_where_it_is_when_the_connection_is_over() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        // The urgent text and the end of the stream in one; the FIN is no byte to read.
        peer.sends("FPU. 1:11(10) ack 1 urg 8");
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(8));
        peer.sends("R. 12:12(0) ack 1");
        peer.is_in(State::Closed);
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(8));
        peer.reads_some(3);
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(5));
    });
}

#[test]
fn the_urgent_pointer_of_a_syn_counts_from_the_syn() {
    // RFC 9293 3.1: "a positive offset from the sequence number in this segment", which on a SYN is
    // that of the SYN: 5 names the fifth number after it, and so the fifth byte.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends("SU. 0:10(10) ack 1 urg 5 <mss 1000>");
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(4));
        // In a crossed open the SYN,ACK may bring it.
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends("S 0:0(0) <mss 1000>");
        peer.hears("S. 0:0(0) ack 1");
        peer.sends("SU. 0:10(10) ack 1 urg 5 <mss 1000>");
        assert_eq!(peer.stack.urgent_mark(peer.id), Some(4));
        // One that names the first byte marks nothing before it.
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends("SU. 0:10(10) ack 1 urg 1 <mss 1000>");
        assert_eq!(peer.stack.urgent_mark(peer.id), None);
    });
}
