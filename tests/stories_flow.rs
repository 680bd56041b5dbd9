//! Flow control: windows and their scale (RFC 9293 section 3.8.6, RFC 7323 section 2), silly
//! windows on both sides and Nagle (RFC 9293 sections 3.7.4, 3.8.6.2), zero-window probes
//! (3.8.6.1), buffers, and the segment size (3.7.1).

mod common;

use common::pair::{Plan, Side};
use common::peer::{Peer, with_each_isn};
use common::states::in_state;
use common::{ms, secs};
use tunstack::Event;
use tunstack::tcp::{CloseReason, State};

// The peer's window.

#[test]
fn no_more_is_sent_than_the_peers_window_takes() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.window = 2_500;
        peer.shakes_hands("mss 1000");
        peer.accepts();
        peer.writes(10_000);
        peer.hears(". 1:1001(1000) ack 1");
        peer.hears(". 1001:2001(1000) ack 1");
        // What is left of the window is less than half of it and less than a segment.
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 2001 win 3000");
        peer.hears(". 2001:3001(1000) ack 1");
        peer.hears(". 3001:4001(1000) ack 1");
        peer.hears(". 4001:5001(1000) ack 1");
        peer.hears_nothing();
    });
}

#[test]
fn a_window_of_more_than_32_kib_is_no_negative_number() {
    // RFC 9293 3.1 (MUST-1).
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.window = 65_535;
        let mut arrived = 0;
        // Slow start, until the window is what limits.
        for _ in 0..5 {
            peer.writes(peer.stack.writable(peer.id).min(100_000));
            arrived += peer.all().iter().map(|packet| packet.text.len()).sum::<usize>();
            peer.sends(&format!(". 1:1(0) ack {}", 1 + arrived));
        }
        peer.writes(peer.stack.writable(peer.id).min(100_000));
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert!((65_000..=65_535).contains(&sent), "{sent}");
    });
}

#[test]
fn the_peers_window_is_scaled_but_that_of_its_syn_is_not() {
    // RFC 7323 2.2, 2.3.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.window = 3_000;
        peer.sends("S 0:0(0) <mss 1000,wscale 3>");
        peer.hears("S. 0:0(0) ack 1");
        peer.sends(". 1:1(0) ack 1 win 500");
        peer.accepts();
        peer.writes(20_000);
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert_eq!(sent, 4_000);
    });
}

#[test]
fn the_window_of_a_syn_ack_is_not_scaled_either() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends("S. 0:0(0) ack 1 win 3000 <mss 1000,wscale 3>");
        peer.hears(". 1:1(0) ack 1");
        peer.writes(20_000);
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert_eq!(sent, 3_000);
    });
}

#[test]
fn a_scale_of_more_than_14_counts_as_14() {
    // RFC 7323 2.3.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        let mut syn = peer.packet("S 0:0(0) <mss 1000,wscale 14>").encode();
        // The last byte of the options is the shift; make it 15 and the sum right.
        let shift = syn.iter().rposition(|&byte| byte == 14).unwrap();
        assert_eq!(syn[shift - 2..shift], [3, 3]);
        syn[shift] = 15;
        let sum = u16::from_be_bytes([syn[36], syn[37]]);
        let changed = if shift % 2 == 0 { 0x100 } else { 1 };
        let (sum, borrow) = sum.overflowing_sub(changed);
        syn[36..38].copy_from_slice(&(sum - u16::from(borrow)).to_be_bytes());
        peer.sends_bytes(&syn);
        peer.hears("S. 0:0(0) ack 1");
        peer.sends(". 1:1(0) ack 1 win 1");
        peer.accepts();
        peer.writes(20_000);
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert_eq!(sent, 10_000, "the congestion window is the limit, not 16 KiB");
    });
}

#[test]
fn an_old_segment_does_not_change_the_window() {
    // RFC 9293 3.10.7.4, fifth step: SND.WL1 and SND.WL2.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(1_460);
        peer.hears("P. 1:1461(1460) ack 1");
        peer.sends("P. 11:21(10) ack 1461 win 5000");
        // Sent before that one: told by its sequence number, or by its acknowledgment.
        peer.sends("P. 1:11(10) ack 1461 win 65535");
        peer.sends("P. 21:31(10) ack 1 win 65535");
        peer.ignores_the_rest();
        peer.writes(14_600);
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert!(sent <= 5_000, "{sent}");
    });
}

#[test]
fn the_window_of_a_retransmission_counts_when_its_acknowledgment_is_new() {
    // By the letter of SND.WL1 it would not, and the old window would move right with SND.UNA.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.window = 5_000;
        peer.shakes_hands("mss 1000");
        peer.accepts();
        peer.writes(10_000);
        assert_eq!(peer.ignores_the_rest(), 5);
        peer.sends("P. 11:21(10) ack 1");
        peer.hears(". 5001:5001(0) ack 1");
        peer.sends("P. 1:11(10) ack 3001 win 2000");
        peer.hears(". 5001:5001(0) ack 21");
        peer.hears_nothing();
    });
}

#[test]
fn a_window_that_shrinks_is_borne() {
    // RFC 9293 3.8.6 (MUST-34): a sender must be robust against it.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.sends(". 1:1(0) ack 1461 win 1000");
        peer.hears_nothing();
        peer.writes(1_000);
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 14601 win 20000");
        peer.hears("P. 14601:15601(1000) ack 1");
    });
}

#[test]
fn what_a_window_has_shrunk_below_is_sent_again_and_not_given_up() {
    // RFC 9293 3.8.6 (SHLD-16, SHLD-17, MAY-7), 3.8.6.1 (MUST-37).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(14_600);
        assert_eq!(peer.ignores_the_rest(), 10);
        let start = peer.now;
        // Far longer than data would be sent again to a peer that does not answer.
        while peer.now.since(start) < secs(4 * 3_600) {
            peer.sends(". 1:1(0) ack 1 win 0");
            peer.hears_nothing();
            peer.hears_within(ms(1)..=secs(121), ". 1:1461(1460) ack 1");
        }
        peer.is_in(State::Established);
        peer.sends(". 1:1(0) ack 1461 win 65535");
        let again: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert!(again >= 1_460, "the next one follows at once");
    });
}

// A closed window.

#[test]
fn a_closed_window_is_probed_for_as_long_as_the_peer_answers() {
    // RFC 9293 3.8.6.1 (MUST-35 to MUST-37, SHLD-29, SHLD-30).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends(". 1:1(0) ack 1 win 0");
        peer.writes(5_000);
        peer.hears_nothing();
        let mut waits = Vec::new();
        let start = peer.now;
        // Far longer than the retries of data would take. A probe lies before the peer's window,
        // so that it must be answered.
        while peer.now.since(start) < secs(4 * 3_600) {
            let asked = peer.now;
            peer.hears_within(ms(1)..=secs(120), ". 0:0(0) ack 1");
            waits.push(peer.now.since(asked));
            peer.sends(". 1:1(0) ack 1 win 0");
        }
        peer.is_in(State::Established);
        // The handshake took no time: the timeout is its margin.
        assert!(
            (ms(200)..=ms(210)).contains(&waits[0]),
            "the first comes after one RTO: {waits:?}"
        );
        assert!(waits.is_sorted(), "{waits:?}");
        assert!(waits[4] >= 10 * waits[0], "the interval doubles: {waits:?}");
        assert!(waits.len() > 60, "probes go on: {}", waits.len());
        // The window opens: everything goes out.
        peer.sends(". 1:1(0) ack 1 win 65535");
        let sent: usize = peer.all().iter().map(|packet| packet.text.len()).sum();
        assert_eq!(sent, 5_000);
    });
}

#[test]
fn who_has_just_said_that_its_window_is_closed_is_not_asked_again_so_soon() {
    // RFC 9293 3.8.6.1 (SHLD-29): "when a zero window has existed for the retransmission timeout
    // period"; every ACK that says so lets it begin anew.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends(". 1:1(0) ack 1 win 0");
        peer.writes(5_000);
        for _ in 0..5 {
            peer.passes(ms(150));
            peer.hears_nothing();
            peer.sends(". 1:1(0) ack 1 win 0");
        }
        peer.hears_within(ms(200)..=ms(201), ". 0:0(0) ack 1");
        // The interval that comes after is twice as long (SHLD-30), and begins anew as well.
        peer.passes(ms(350));
        peer.sends(". 1:1(0) ack 1 win 0");
        peer.hears_within(ms(400)..=ms(401), ". 0:0(0) ack 1");
        // An open window ends the wait whenever it comes.
        peer.sends(". 1:1(0) ack 1");
        assert_eq!(peer.all().iter().map(|packet| packet.text.len()).sum::<usize>(), 5_000);
    });
}

#[test]
fn an_old_ack_does_not_put_off_the_probe_of_a_closed_window() {
    // RFC 9293 3.8.6 (SND.WL2): its window is older than the one in force.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.sends(". 1:1(0) ack 101 win 0");
        peer.writes(100);
        peer.passes(ms(150));
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 51 win 0");
        peer.sends(". 1:1(0) ack 51 win 1000");
        peer.hears_within(ms(50)..=ms(51), ". 100:100(0) ack 1");
    });
}

#[test]
fn a_closed_window_is_first_probed_after_the_timeout_that_is_in_force() {
    // RFC 9293 3.8.6.1 (SHLD-29): "the retransmission timeout period (Section 3.8.1)". Here it has been
    // doubled (RFC 6298 5.5), and the ACK of what was sent twice is no sample that would end
    // that (RFC 6298 3).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(100);
        peer.hears("P. 1:101(100) ack 1");
        peer.hears_within(ms(200)..=ms(201), "P. 1:101(100) ack 1");
        peer.sends(". 1:1(0) ack 101 win 0");
        peer.writes(100);
        peer.hears_within(ms(400)..=ms(402), ". 100:100(0) ack 1");
        peer.hears_within(ms(800)..=ms(804), ". 100:100(0) ack 1");
    });
}

#[test]
fn a_closed_window_whose_peer_is_gone_ends_in_a_timeout() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.sends(". 1:1(0) ack 1 win 0");
        peer.writes(100);
        peer.passes(secs(3_600));
        peer.is_over(CloseReason::TimedOut);
    });
}

#[test]
fn a_lost_window_update_does_not_stop_a_transfer() {
    let mut net = Plan::new(5).both(|config| config.tcp.max_recv_buffer = 8_192).build();
    let (client, server) = net.open();
    net.write_pattern(Side::Client, client, 0, 60_000);
    net.run_for(secs(1)); // the receiver's buffer is full
    // The reader takes all; what tells the sender is lost.
    net.link_from(Side::Server).cut();
    let mut read = net.read_pattern(Side::Server, server, 0);
    net.run_for(ms(100));
    net.heal();
    net.run_until("all has arrived", |net| {
        read += net.read_pattern(Side::Server, server, read);
        read == 60_000
    });
}

#[test]
fn a_reader_that_stops_for_thirty_seconds_loses_nothing() {
    let mut net = Plan::new(6).isns(u32::MAX - 100_000, 1).build();
    let (client, server) = net.open();
    let (mut written, mut read) = (0, 0);
    let total = 1_000_000;
    for _ in 0..3 {
        let until = net.now + secs(30);
        while net.now < until {
            if written < total {
                written += net.write_pattern(Side::Client, client, written, total - written);
            }
            net.run_for(secs(1));
        }
        read += net.read_pattern(Side::Server, server, read);
    }
    net.run_until("all has arrived", |net| {
        if written < total {
            written += net.write_pattern(Side::Client, client, written, total - written);
        }
        read += net.read_pattern(Side::Server, server, read);
        read == total
    });
}

// Our window.

#[test]
fn our_window_closes_as_text_waits_and_opens_as_it_is_read() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.tcp.max_recv_buffer = 5_000;
        });
        for n in 0..5 {
            peer.sends(&format!("P. {}:{}(1000) ack 1", 1 + 1_000 * n, 1_001 + 1_000 * n));
        }
        peer.passes(ms(50));
        let last = peer.all().pop().expect("an acknowledgment");
        assert_eq!((last.ack, last.window), (peer.irs + 5_001, 0));
        peer.reads(5_000);
        peer.hears(". 1:1(0) ack 5001 win 5000");
        peer.hears_nothing();
    });
}

#[test]
fn a_window_is_not_reopened_by_crumbs() {
    // RFC 9293 3.8.6.2.2 (MUST-39): by at least a segment or half the buffer.
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.tcp.max_recv_buffer = 10_000;
        });
        for n in 0..10 {
            peer.sends(&format!("P. {}:{}(1000) ack 1", 1 + 1_000 * n, 1_001 + 1_000 * n));
        }
        peer.passes(ms(50));
        assert_eq!(peer.all().pop().expect("an acknowledgment").window, 0);
        for _ in 0..9 {
            peer.reads_some(100);
            peer.hears_nothing();
        }
        // A probe is answered; the window says nothing of the crumbs either.
        peer.sends("P. 10001:10002(1) ack 1");
        peer.hears(". 1:1(0) ack 10001 win 0");
        peer.reads_some(9_000);
        let update = peer.all().pop().expect("a window update");
        assert!(update.window >= 1_000, "{update}");
    });
}

#[test]
fn a_window_that_its_field_cannot_say_is_not_announced_by_every_read() {
    // RFC 9293 3.8.6.2.2 (MUST-39): the window is announced when it opens. What the buffer has room
    // for beyond 65,535 bytes cannot be said without scaling, and so is not news.
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        let mut at = 1;
        let mut comes = |peer: &mut Peer| {
            peer.sends(&format!(". {at}:{}(1000) ack 1", at + 1_000));
            at += 1_000;
        };
        // A reader that keeps up is granted more than the field can say.
        for _ in 0..600 {
            comes(&mut peer);
            peer.reads(1_000);
        }
        assert!(peer.stack.info(peer.id).unwrap().recv_limit >= 2 * 60_000);
        comes(&mut peer);
        peer.passes(ms(100));
        peer.ignores_the_rest();
        for _ in 0..20 {
            peer.reads_some(10);
        }
        peer.hears_nothing();
        // A window that was closed is still announced once it opens.
        while peer.stack.info(peer.id).unwrap().recv_window > 0 {
            comes(&mut peer);
        }
        peer.passes(ms(100));
        peer.ignores_the_rest();
        let unread = peer.stack.readable(peer.id);
        peer.reads_some(unread - 10);
        peer.hears(". 1:1(0) win 65535");
        peer.hears_nothing();
    });
}

#[test]
fn the_window_a_syn_announces_fits_16_bits_and_later_ones_are_scaled() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("S 0:0(0) <mss 1000,wscale 5>");
        let answer = peer.hears("S. 0:0(0) ack 1 <mss 1460,wscale 7>");
        assert_eq!(answer.window, 65_535);
        peer.sends("P. 1:1001(1000) ack 1");
        let answer = peer.hears(". 1:1(0) ack 1001");
        let bytes = u32::from(answer.window) << 7;
        assert!((60_000..=65_536).contains(&bytes), "{bytes}");
    });
}

#[test]
fn the_receive_window_grows_for_a_reader_that_keeps_up() {
    let mut net = Plan::new(8).wire(|faults| faults.delay = ms(50)).build();
    let (client, server) = net.open();
    let took = net.transfer(Side::Client, client, server, 4_000_000);
    // 64 KiB in a round trip of 100 ms would take more than six seconds.
    assert!(took < ms(3_500), "{took:?}");
}

#[test]
fn without_a_reader_no_more_is_buffered_than_the_window_offered() {
    let mut net = Plan::new(9).both(|config| config.tcp.max_recv_buffer = 100_000).build();
    let (client, server) = net.open();
    net.write_pattern(Side::Client, client, 0, 1_000_000);
    net.run_for(secs(10));
    let waiting = net.stack(Side::Server).readable(server);
    assert!((60_000..=100_000).contains(&waiting), "{waiting}");
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    let mut net = Plan::new(10).build();
    let listener = net.listen(Side::Server);
    let pairs: Vec<_> = (0..5).map(|_| net.open_to(listener)).collect();
    let memory = |net: &mut common::pair::Pair| {
        net.run_for(secs(1));
        Side::BOTH.map(|side| net.stack(side).memory())
    };
    let exchange = |net: &mut common::pair::Pair, n: usize| {
        let (client, server) = pairs[n];
        net.transfer(Side::Client, client, server, 500_000);
        net.transfer(Side::Server, server, client, 500_000);
    };
    exchange(&mut net, 0);
    let before = memory(&mut net);
    for n in 1..pairs.len() {
        exchange(&mut net, n);
    }
    let after = memory(&mut net);
    assert!(after[0] <= before[0] && after[1] <= before[1], "{before:?}, then {after:?}");
}

// Small segments on the way out.

#[test]
fn small_writes_wait_while_something_is_unacknowledged() {
    // Nagle: RFC 9293 3.7.4 (SHLD-7).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1");
        for _ in 0..5 {
            peer.writes(10);
        }
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 11");
        peer.hears("P. 11:61(50) ack 1");
        peer.writes(10);
        peer.writes(1_460);
        // A full segment goes at once, the rest waits.
        peer.hears(". 61:1521(1460) ack 1");
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 1521");
        peer.hears("P. 1521:1531(10) ack 1");
    });
}

#[test]
fn with_no_delay_small_writes_go_at_once() {
    // MUST-17: the application can turn Nagle off.
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(10);
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1");
        peer.hears_nothing();
        peer.stack.set_no_delay(peer.id, true);
        peer.hears("P. 11:21(10) ack 1");
        peer.writes(10);
        peer.hears("P. 21:31(10) ack 1");
    });
}

#[test]
fn a_fin_does_not_wait_for_nagle() {
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(10);
        peer.hears("P. 1:11(10) ack 1");
        peer.writes(10);
        peer.hears_nothing();
        peer.shuts_down();
        peer.hears("FP. 11:21(10) ack 1");
    });
}

#[test]
fn the_last_segment_of_a_write_is_pushed() {
    // RFC 9293 3.9.1.2 (MUST-61).
    with_each_isn(|isns| {
        let mut peer = in_state(isns, State::Established).peer;
        peer.writes(1_460 * 3);
        peer.hears(". 1:1461(1460) ack 1");
        peer.hears(". 1461:2921(1460) ack 1");
        peer.hears("P. 2921:4381(1460) ack 1");
    });
}

// The send buffer.

#[test]
fn a_full_send_buffer_takes_no_more_and_tells_when_there_is_room() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1460", |config| {
            config.tcp.max_send_buffer = 20_000;
        });
        let text = vec![0; 50_000];
        let took = peer.stack.write(peer.id, &text).unwrap();
        assert!((10_000..=20_000).contains(&took), "{took}");
        assert_eq!(peer.stack.write(peer.id, &text), Ok(0));
        assert_eq!(peer.stack.writable(peer.id), 0);
        peer.events();
        peer.drain();
        let sent: usize = peer.stack.readable(peer.id);
        assert_eq!(sent, 0);
        let out = peer.packet(". 1:1(0) ack 14601");
        peer.sends_packet(&out);
        assert!(peer.events().contains(&Event::Writable(peer.id)));
        assert!(peer.stack.write(peer.id, &text).unwrap() > 0);
    });
}

// The segment size.

#[test]
fn segments_are_as_large_as_the_peer_and_the_link_allow() {
    // RFC 9293 3.7.1 (MUST-15, MUST-16): 536 when the peer names none, options counted in.
    with_each_isn(|isns| {
        for (options, size) in [
            ("mss 1460", 1_460),
            ("mss 1000", 1_000),
            ("", 536),
            ("mss 9000", 1_460),
            ("mss 1460,TS val 1 ecr 0", 1_448),
            ("TS val 1 ecr 0", 524),
        ] {
            let mut peer = Peer::established(isns, options);
            peer.writes(3_000);
            assert_eq!(peer.next().text.len(), size, "{options}");
        }
    });
}

#[test]
fn a_tiny_mss_is_held_to_a_floor() {
    // A peer must not make us spend a packet on every byte.
    with_each_isn(|isns| {
        for mss in [0, 1, 30] {
            let mut peer = Peer::established(isns, &format!("mss {mss}"));
            peer.writes(1_000);
            assert!(peer.next().text.len() >= 48, "mss {mss}");
        }
    });
}

#[test]
fn over_ipv6_the_default_segment_is_1220() {
    // RFC 9293 3.7.1 (MUST-15).
    with_each_isn(|isns| {
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.listens();
        peer.shakes_hands("");
        peer.accepts();
        peer.writes(3_000);
        assert_eq!(peer.next().text.len(), 1_220);
    });
}

#[test]
fn the_announced_segment_size_follows_the_link() {
    // MUST-67: the MTU less the fixed headers.
    with_each_isn(|isns| {
        for (mtu, mss) in [(576, 536), (1_500, 1_460), (9_000, 8_960), (65_535, 65_495)] {
            let mut peer = Peer::with(isns, |config| config.mtu = mtu);
            peer.connects();
            assert_eq!(peer.hears("S 0:0(0)").options.mss, Some(mss));
        }
    });
}
