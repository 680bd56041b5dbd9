//! What applications can set of a connection or a listener, and ask of them: corks and parts,
//! low-water marks, the MSS, buffers, peeking, readiness, lengths of queues.

#![allow(clippy::unwrap_used)]

mod common;

use common::peer::{Isns, Peer, with_each_isn};
use common::{ms, secs};
use tunstack::stack::{ConfigError, ConnectError, ListenError, Readiness};
use tunstack::tcp::congestion::{AckSample, Congestion, Controller, Loss};
use tunstack::tcp::{Ecn, KeepAlive, ReadError, Settings};
use tunstack::wire::{Flags, WindowScale};
use tunstack::{Event, Stack};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// Writes a part of what the application has to say.
#[track_caller]
fn writes_part(peer: &mut Peer, len: usize) {
    let text = common::pattern::bytes(0, peer.written, len);
    assert_eq!(peer.stack.write_more(peer.id, &text), Ok(len));
    peer.written += len as u64;
    peer.drain();
}

/// A connection over a path of 10 ms: a timeout is 210 ms.
fn with_rtt(isns: Isns) -> Peer {
    let mut peer = Peer::new(isns);
    peer.listens();
    peer.sends("S 0:0(0) <mss 1000>");
    peer.hears("S. 0:0(0) ack 1");
    peer.passes(ms(10));
    peer.sends(". 1:1(0) ack 1");
    peer.accepts();
    peer
}

// Corks and parts.

#[test]
fn a_cork_holds_back_what_does_not_fill_a_segment_until_it_is_taken_out() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_cork(peer.id, true);
        peer.writes(40);
        peer.passes(ms(50));
        peer.writes(40);
        peer.hears_nothing();
        peer.stack.set_cork(peer.id, false);
        let packet = peer.hears("P. 1:81(80) ack 1");
        assert!(packet.has(Flags::PSH));
        peer.sends(". 1:1(0) ack 81");
        // Full segments are never held back.
        peer.stack.set_cork(peer.id, true);
        peer.writes(2_500);
        peer.hears(". 81:1081(1000) ack 1");
        peer.hears(". 1081:2081(1000) ack 1");
        peer.hears_nothing();
    });
}

#[test]
fn a_cork_gives_way_after_a_timeout_with_nothing_in_flight() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_cork(peer.id, true);
        peer.writes(40);
        let packet = peer.hears_within(ms(210)..=ms(211), "P. 1:41(40) ack 1");
        assert!(packet.has(Flags::PSH));
    });
}

#[test]
fn to_turn_nagle_off_sends_what_a_cork_holds_back() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_cork(peer.id, true);
        peer.writes(40);
        peer.hears_nothing();
        peer.stack.set_no_delay(peer.id, true);
        peer.hears("P. 1:41(40) ack 1");
        // What is written later is corked again.
        peer.writes(40);
        peer.hears_nothing();
    });
}

#[test]
fn a_flush_holds_for_all_that_waits() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_cork(peer.id, true);
        peer.sends(". 1:1(0) ack 1 win 1000");
        peer.writes(1_000);
        peer.hears(". 1:1001(1000) ack 1");
        peer.writes(1_500);
        peer.hears_nothing();
        peer.stack.set_no_delay(peer.id, true);
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 1001 win 10000");
        peer.hears(". 1001:2001(1000) ack 1");
        assert!(peer.hears("P. 2001:2501(500) ack 1").has(Flags::PSH));
        // What is written later is corked again.
        peer.sends(". 1:1(0) ack 2501 win 10000");
        peer.writes(40);
        peer.hears_nothing();
    });
}

#[test]
fn a_flush_does_not_fill_a_silly_window() {
    // RFC 9293 3.8.6.2.1: the peer's window, and not the application, decides that.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.writes(1_000);
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 1001 win 100");
        peer.writes(1_500);
        peer.hears_nothing();
        peer.stack.set_no_delay(peer.id, true);
        peer.hears_nothing();
        peer.hears_within(ms(200)..=ms(220), ". 1001:1101(100) ack 1");
        peer.sends(". 1:1(0) ack 1101 win 100");
        peer.hears_nothing();
    });
}

#[test]
fn a_closing_connection_sends_what_a_cork_holds_back() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_cork(peer.id, true);
        peer.writes(40);
        peer.shuts_down();
        peer.hears("FP. 1:41(40) ack 1");
    });
}

#[test]
fn a_part_waits_for_the_rest_and_is_not_pushed() {
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.stack.set_no_delay(peer.id, true);
        writes_part(&mut peer, 100);
        writes_part(&mut peer, 160);
        peer.hears_nothing();
        peer.writes(5);
        assert!(peer.hears("P. 1:266(265) ack 1").has(Flags::PSH));
        peer.sends(". 1:1(0) ack 266");
        // With the peer's next word it is sent, but still is only a part.
        writes_part(&mut peer, 1_050);
        peer.hears(". 266:1266(1000) ack 1");
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 1266");
        assert!(!peer.hears(". 1266:1316(50) ack 1").has(Flags::PSH));
        peer.sends(". 1:1(0) ack 1316");
        // And after a timeout in any case.
        writes_part(&mut peer, 7);
        let packet = peer.hears_within(ms(205)..=ms(215), "P. 1316:1323(7) ack 1");
        assert!(packet.has(Flags::PSH));
    });
}

#[test]
fn a_part_is_pushed_when_nothing_can_follow() {
    // RFC 9293 3.9.1.2 (MUST-61): PSH stands on the last of what is buffered. A part that is sent
    // because of another setting is still one of which more was promised, as in Linux.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        writes_part(&mut peer, 40);
        peer.hears_nothing();
        peer.shuts_down();
        assert!(peer.hears("FP. 1:41(40) ack 1").has(Flags::PSH));
        let mut peer = with_rtt(isns);
        writes_part(&mut peer, 40);
        peer.hears_nothing();
        peer.stack.set_no_delay(peer.id, true);
        assert!(!peer.hears(". 1:41(40) ack 1").has(Flags::PSH));
    });
}

#[test]
fn a_burst_of_full_segments_ends_with_a_push() {
    with_each_isn(|isns| {
        // The path is as fast as can be: half a window is one burst.
        let mut peer = Peer::established(isns, "mss 1000");
        peer.writes(20_000);
        let pushed: Vec<bool> = peer.all().iter().map(|packet| packet.has(Flags::PSH)).collect();
        let fifth = |n: usize| n % 5 == 4;
        assert_eq!(pushed, (0..10).map(fifth).collect::<Vec<_>>());
    });
}

#[test]
fn without_bursts_only_the_last_segment_of_a_write_is_pushed() {
    // RFC 9293 3.9.1.2 (MUST-61): "MUST set the PSH bit in the last buffered segment"; none before it
    // has to.
    with_each_isn(|isns| {
        for (len, segments) in [(9_500, 10), (9_000, 9)] {
            let mut peer = Peer::established_with(isns, "mss 1000", |config| {
                config.tcp.least_burst = 0;
            });
            peer.writes(len);
            let out = peer.all();
            let pushed: Vec<bool> = out.iter().map(|packet| packet.has(Flags::PSH)).collect();
            assert_eq!(pushed, (1..=segments).map(|n| n == segments).collect::<Vec<_>>());
        }
    });
}

// The low-water mark.

#[test]
fn below_a_low_water_mark_little_waits_unsent() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.stack.configure(peer.id, |to| to.not_sent_low_water = 3_000).unwrap();
        let text = common::pattern::bytes(0, 0, 20_000);
        // Nothing has been sent when the first of it is taken.
        assert_eq!(peer.stack.write(peer.id, &text), Ok(3_000));
        peer.drain();
        assert_eq!(peer.events(), [Event::Writable(peer.id)], "sending makes room");
        let mut written = 3_000;
        while let Ok(n @ 1..) = peer.stack.write(peer.id, &text[written..]) {
            written += n;
            peer.drain();
        }
        assert_eq!(written, 13_000, "ten segments are in flight and 3,000 bytes wait");
        assert_eq!((peer.stack.unsent(peer.id), peer.stack.writable(peer.id)), (3_000, 0));
        assert!(!peer.stack.readiness(peer.id).contains(Readiness::WRITABLE));
        peer.events();
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 2001");
        assert_eq!(peer.events(), [Event::Writable(peer.id)]);
        assert!(peer.stack.readiness(peer.id).contains(Readiness::WRITABLE));
    });
}

#[test]
fn settings_that_make_room_tell_an_application_that_waits_for_it() {
    with_each_isn(|isns| {
        let raises: [fn(&mut Settings); 2] =
            [|to| to.not_sent_low_water = u32::MAX, |to| to.max_send_buffer = 1 << 20];
        for (raise, taken) in raises.into_iter().zip([1_000, 2_048]) {
            let mut peer = Peer::established_with(isns, "mss 1000", |config| {
                let low = taken == 1_000;
                config.tcp.not_sent_low_water = if low { 1_000 } else { u32::MAX };
                config.tcp.max_send_buffer = if low { 1 << 20 } else { 2_048 };
            });
            peer.sends(". 1:1(0) ack 1 win 0");
            assert_eq!(peer.stack.write(peer.id, &[0; 5_000]), Ok(taken));
            peer.drain();
            assert_eq!(peer.events(), []);
            // What makes no room is no reason to tell.
            peer.stack.configure(peer.id, |to| to.no_delay = true).unwrap();
            assert_eq!(peer.events(), []);
            peer.stack.configure(peer.id, raise).unwrap();
            assert_eq!(peer.events(), [Event::Writable(peer.id)]);
        }
    });
}

// The MSS and other things that a SYN says.

#[test]
fn a_listeners_settings_hold_for_the_syn_ack() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        let settings = Settings {
            max_segment: Some(1_100),
            max_recv_buffer: 15 << 20,
            timestamps: false,
            sack: false,
            ..Settings::default()
        };
        let listener = peer.stack.listen_with(peer.local, settings, 10).unwrap();
        peer.listener = Some(listener);
        peer.sends("S 0:0(0) <mss 1300,sackOK,TS val 1 ecr 0,wscale 7>");
        peer.hears("S. 0:0(0) ack 1 <mss 1100,wscale 8>");
        peer.sends(". 1:1(0) ack 1 <>");
        peer.accepts();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!((info.mss, info.announced_mss), (1_100, 1_100), "it limits both ways");
        assert_eq!(info.scales, Some((WindowScale::new(7), WindowScale::new(8))));
        assert!(!info.sack && !info.timestamps);
        // Those of the next connection can be others.
        peer.stack.set_listener_settings(listener, Settings::default()).unwrap();
        peer.remote.set_port(4_001);
        peer.sends("S 0:0(0) <mss 1300>");
        peer.hears("S. 0:0(0) ack 1 <mss 1460>");
    });
}

#[test]
fn a_backlog_is_the_listeners_own() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listener = peer.stack.listen_with(peer.local, Settings::default(), 2).ok();
        for port in 4_000..4_003 {
            peer.remote.set_port(port);
            peer.sends("S 0:0(0) <mss 1300>");
            if port < 4_002 {
                peer.hears("S. 0:0(0) ack 1");
                peer.sends(". 1:1(0) ack 1");
            }
        }
        peer.hears_nothing();
        assert_eq!(peer.stack.waiting(peer.listener.unwrap()), 2);
    });
}

#[test]
fn a_connections_settings_hold_for_its_syn() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.remote.set_port(80);
        let settings = Settings {
            max_segment: Some(900),
            syn_retries: 1,
            window_scaling: false,
            ..Settings::default()
        };
        peer.id = peer.stack.connect_with(None, peer.remote, settings).unwrap();
        peer.local = peer.stack.info(peer.id).unwrap().flow.local_addr();
        peer.hears("S 0:0(0) <mss 900,sackOK,TS>");
        peer.hears_within(secs(1)..=secs(1), "S 0:0(0) <mss 900,sackOK,TS>");
        peer.passes(secs(3));
        assert!(peer.stack.close_reason(peer.id).is_some(), "that was the only repetition");
    });
}

#[test]
fn the_mss_can_be_lowered_while_a_connection_lives() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1460");
        peer.stack.configure(peer.id, |to| to.max_segment = Some(700)).unwrap();
        peer.writes(1_400);
        peer.hears(". 1:701(700) ack 1");
        peer.hears("P. 701:1401(700) ack 1");
    });
}

#[test]
fn the_mss_can_be_raised_again_up_to_what_the_peer_takes() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1400", |config| {
            config.tcp.max_segment = Some(500);
        });
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 500);
        peer.stack.configure(peer.id, |to| to.max_segment = Some(900)).unwrap();
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 900);
        peer.stack.configure(peer.id, |to| to.max_segment = None).unwrap();
        assert_eq!(peer.stack.info(peer.id).unwrap().mss, 1_400);
        peer.writes(1_500);
        peer.hears(". 1:1401(1400) ack 1");
    });
}

// Settings that change while the handshake is under way.

#[test]
fn what_our_syn_has_said_of_the_window_holds_whatever_is_set_afterwards() {
    // RFC 7323 2.2: the shift count in our SYN is what the peer scales our windows by.
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0) win 65535 <mss 1460,sackOK,TS,wscale 7>");
        peer.stack.configure(peer.id, |to| to.max_recv_buffer = 60_000).unwrap();
        // The SYN is repeated as it was.
        peer.hears_within(secs(1)..=secs(1), "S 0:0(0) win 65535 <mss 1460,sackOK,TS,wscale 7>");
        peer.sends("S. 0:0(0) ack 1 <mss 1000,wscale 3>");
        let ack = peer.hears(". 1:1(0) ack 1");
        let believed = u32::from(ack.window) << 7;
        assert!((60_000..=65_535 + 127).contains(&believed), "{believed}");
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!(info.scales, Some((WindowScale::new(3), WindowScale::new(7))));
        assert!(info.recv_window >= 65_535, "the SYN's window is not taken back");
    });
}

#[test]
fn what_our_syn_has_offered_is_agreed_on_whatever_is_set_afterwards() {
    // RFC 7323 3.2: once both SYNs had the option, every segment must have it.
    with_each_isn(|isns| {
        for offered in [true, false] {
            let mut peer = Peer::with(isns, |config| {
                let tcp = &mut config.tcp;
                (tcp.timestamps, tcp.sack, tcp.window_scaling) = (offered, offered, offered);
                tcp.ecn = if offered { Ecn::Request } else { Ecn::Off };
            });
            peer.connects();
            let syn = peer.next();
            let change = |to: &mut Settings| {
                (to.timestamps, to.sack, to.window_scaling) = (!offered, !offered, !offered);
                to.ecn = if offered { Ecn::Off } else { Ecn::Request };
            };
            peer.stack.configure(peer.id, change).unwrap();
            let again = peer.hears_within(secs(1)..=secs(1), "S 0:0(0)");
            assert_eq!(again.options.timestamps.is_some(), offered);
            assert_eq!(again.options.sack_permitted, syn.options.sack_permitted);
            assert_eq!(again.options.window_scale, syn.options.window_scale);
            let answer = "S. 0:0(0) ack 1 <mss 1000,sackOK,TS val 5 ecr 0,wscale 3>";
            let mut answer = peer.packet(answer);
            answer.flags |= Flags::ECE;
            peer.sends_packet(&answer);
            assert_eq!(peer.next().options.timestamps.is_some(), offered);
            let info = peer.stack.info(peer.id).unwrap();
            assert_eq!((info.timestamps, info.sack), (offered, offered));
            assert_eq!(info.scales.is_some(), offered);
            // A mark is echoed where ECN was agreed on.
            let mut marked = peer.packet("P. 1:11(10) ack 1");
            marked.traffic_class = 3;
            peer.sends_packet(&marked);
            assert_eq!(peer.next().has(Flags::ECE), offered);
        }
    });
}

#[test]
fn what_is_set_before_our_syn_leaves_is_what_it_says() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        let change = |to: &mut Settings| {
            (to.timestamps, to.sack, to.max_recv_buffer) = (false, false, 20_000);
        };
        peer.stack.configure(peer.id, change).unwrap();
        peer.hears("S 0:0(0) win 20000 <mss 1460,wscale 0>");
    });
}

#[test]
fn what_our_syn_offers_is_not_told_as_agreed_on() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        let agreed = |peer: &Peer| {
            let info = peer.stack.info(peer.id).unwrap();
            (info.timestamps, info.sack, info.scales)
        };
        assert_eq!(agreed(&peer), (false, false, None));
        peer.sends("R. 0:0(0) ack 1");
        assert!(peer.stack.close_reason(peer.id).is_some());
        assert_eq!(agreed(&peer), (false, false, None));
    });
}

#[test]
fn the_syn_ack_of_a_crossed_open_says_what_our_syn_has_said() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0) win 65535 <mss 1460,sackOK,TS,wscale 7>");
        peer.stack.configure(peer.id, |to| to.max_recv_buffer = 20_000).unwrap();
        peer.sends("S 0:0(0) <mss 1000,wscale 3>");
        peer.hears("S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 7>");
        peer.sends("S. 0:0(0) ack 1 <mss 1000,wscale 3>");
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!(info.scales, Some((WindowScale::new(3), WindowScale::new(7))));
        assert!(info.recv_window >= 65_535, "{}", info.recv_window);
    });
}

#[test]
fn settings_that_make_no_sense_are_refused_and_change_nothing() {
    let mut peer = Peer::established(PLAIN, "mss 1000");
    let mss = ConfigError::MaxSegment(20);
    let refused = peer.stack.configure(peer.id, |to| {
        to.max_segment = Some(20);
        to.cork = true;
    });
    assert_eq!(refused, Err(mss));
    assert!(!peer.stack.settings(peer.id).unwrap().cork);
    let bad = Settings { max_segment: Some(20), ..Settings::default() };
    let on = ([10, 0, 0, 1], 81).into();
    assert_eq!(peer.stack.listen_with(on, bad.clone(), 1), Err(ListenError::Settings(mss)));
    let to = ([10, 0, 0, 2], 81).into();
    assert_eq!(peer.stack.connect_with(None, to, bad), Err(ConnectError::Settings(mss)));
    let small = peer.stack.configure(peer.id, |to| to.max_send_buffer = 10);
    assert_eq!(small, Err(ConfigError::Buffer { name: "send", bytes: 10 }));
    let low = peer.stack.configure(peer.id, |to| to.not_sent_low_water = 0);
    assert_eq!(low, Err(ConfigError::LowWater));
    let keep_alive = KeepAlive { count: 0, ..KeepAlive::default() };
    let never = peer.stack.configure(peer.id, |to| to.keep_alive = Some(keep_alive));
    assert_eq!(never, Err(ConfigError::KeepAlive));
}

#[test]
fn times_that_make_no_sense_are_refused_everywhere() {
    use std::time::Duration;
    let half_a_second = Duration::from_millis(500);
    let late = Settings { delayed_ack: half_a_second, ..Settings::default() };
    let never = Settings { user_timeout: Some(Duration::ZERO), ..Settings::default() };
    let why_late = ConfigError::DelayedAck(half_a_second);
    for (bad, why) in [(late, why_late), (never, ConfigError::UserTimeout)] {
        let mut peer = Peer::new(PLAIN);
        peer.listens();
        peer.connects();
        let refused = peer.stack.configure(peer.id, |to| *to = bad.clone());
        assert_eq!(refused, Err(why));
        let on = ([10, 0, 0, 1], 81).into();
        let refused = peer.stack.listen_with(on, bad.clone(), 1);
        assert_eq!(refused, Err(ListenError::Settings(why)));
        let refused = peer.stack.set_listener_settings(peer.listener.unwrap(), bad.clone());
        assert_eq!(refused, Err(why));
        let to = ([10, 0, 0, 2], 81).into();
        let refused = peer.stack.connect_with(None, to, bad.clone());
        assert_eq!(refused, Err(ConnectError::Settings(why)));
        let mut config = tunstack::Config::with_addresses([[10, 0, 0, 1].into()]);
        config.tcp = bad;
        assert_eq!(config.validate(), Err(why));
        assert_eq!(why.to_string().lines().count(), 1);
    }
    let most = Settings { delayed_ack: Duration::from_millis(499), ..Settings::default() };
    let mut peer = Peer::new(PLAIN);
    let on = ([10, 0, 0, 1], 81).into();
    assert!(peer.stack.listen_with(on, most, 1).is_ok());
    // As with TCP_USER_TIMEOUT zero stands for none.
    peer.connects();
    peer.stack.set_user_timeout(peer.id, Some(Duration::ZERO));
    assert_eq!(peer.stack.settings(peer.id).unwrap().user_timeout, None);
}

// Buffers, peeking, readiness.

#[test]
fn a_smaller_receive_buffer_takes_no_promise_back() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.stack.configure(peer.id, |to| to.max_recv_buffer = 4_000).unwrap();
        // What the SYN-ACK has offered still fits; then the window closes at the new limit.
        peer.sends(". 1:1001(1000) ack 1");
        let packet = peer.hears(". 1:1(0) ack 1001");
        assert!(u32::from(packet.window) >= 60_000, "{}", packet.window);
        for start in (1_001..65_001).step_by(1_000) {
            peer.sends(&format!(". {start}:{}(1000) ack 1", start + 1_000));
        }
        assert_eq!(peer.stack.readable(peer.id), 65_000);
    });
}

#[test]
fn peeking_leaves_the_bytes_where_they_are() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        let mut buffer = [0; 10];
        assert_eq!(peer.stack.peek(peer.id, &mut buffer), Err(ReadError::WouldBlock));
        peer.sends("P. 1:6(5) ack 1");
        assert_eq!(peer.stack.peek(peer.id, &mut buffer), Ok(5));
        assert_eq!(buffer[..5], common::pattern::bytes(0, 0, 5));
        peer.reads(5);
        peer.sends("F. 6:6(0) ack 1");
        assert_eq!(peer.stack.peek(peer.id, &mut buffer), Ok(0));
    });
}

#[test]
fn readiness_follows_the_connection_through_its_life() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        let ready = |peer: &Peer| peer.stack.readiness(peer.id);
        assert!(!ready(&peer).contains(Readiness::READABLE));
        peer.sends("S. 0:0(0) ack 1 <mss 1000>");
        assert_eq!(ready(&peer), Readiness::WRITABLE);
        peer.sends("P. 1:6(5) ack 1");
        assert_eq!(ready(&peer), Readiness::WRITABLE | Readiness::READABLE);
        peer.reads(5);
        assert_eq!(ready(&peer), Readiness::WRITABLE);
        peer.sends("PU. 6:7(1) ack 1 urg 1");
        assert!(ready(&peer).contains(Readiness::URGENT));
        peer.reads(1);
        peer.sends("F. 7:7(0) ack 1");
        let closed = Readiness::READABLE | Readiness::PEER_CLOSED;
        assert_eq!(ready(&peer), Readiness::WRITABLE | closed);
        peer.shuts_down();
        assert_eq!(ready(&peer), Readiness::WRITABLE | closed | Readiness::HANG_UP);
    });
}

#[test]
fn the_lengths_of_the_queues_can_be_asked_for() {
    with_each_isn(|isns| {
        let mut peer = Peer::established(isns, "mss 1000");
        peer.sends(". 1:1(0) ack 1 win 2000");
        peer.writes(5_000);
        let queues = |stack: &Stack, id| (stack.unacknowledged(id), stack.unsent(id));
        assert_eq!(queues(&peer.stack, peer.id), (5_000, 3_000));
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!((info.segments_out, info.unsent, info.send_window), (2, 3_000, 2_000));
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 1001 win 1000");
        assert_eq!(queues(&peer.stack, peer.id), (4_000, 3_000));
    });
}

#[test]
fn an_address_can_be_added_while_the_stack_runs() {
    let mut peer = Peer::new(PLAIN);
    peer.listens();
    let added = [10, 0, 0, 77].into();
    assert!(peer.stack.listen((added, 80).into()).is_err());
    peer.stack.add_address(added).unwrap();
    peer.stack.listen((added, 80).into()).unwrap();
    peer.local = (added, 80).into();
    peer.sends("S 0:0(0) <mss 1000>");
    peer.hears("S. 0:0(0) ack 1");
    let none = std::net::IpAddr::from([255, 255, 255, 255]);
    assert_eq!(peer.stack.add_address(none), Err(ConfigError::NotUnicast(none)));
    assert!(!peer.stack.config().addresses.contains(&none));
}

#[test]
fn after_a_pause_the_window_may_be_kept() {
    // RFC 5681 4.1 restarts; some paths are better off without (Linux has a switch for it).
    for (slow, segments) in [(true, 10), (false, 20)] {
        with_each_isn(|isns| {
            let mut peer = Peer::established_with(isns, "mss 1000", |config| {
                config.tcp.slow_start_after_idle = slow;
            });
            peer.writes(10_000);
            peer.ignores_the_rest();
            peer.sends(". 1:1(0) ack 10001");
            peer.passes(secs(10));
            peer.writes(30_000);
            assert_eq!(peer.ignores_the_rest(), segments);
        });
    }
}

// Congestion control.

fn window(peer: &Peer) -> (u32, u32) {
    let info = peer.stack.info(peer.id).unwrap();
    (info.cwnd, info.ssthresh)
}

#[test]
fn the_congestion_control_of_a_live_connection_can_be_changed_and_keeps_its_window() {
    // As TCP_CONGESTION of Linux.
    with_each_isn(|isns| {
        let mut peer = with_rtt(isns);
        peer.writes(60_000);
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 5001");
        peer.ignores_the_rest();
        let before = window(&peer);
        assert_eq!(before.0, 15_000);
        peer.stack.configure(peer.id, |to| to.congestion = Congestion::NewReno).unwrap();
        assert_eq!(window(&peer), before);
        for _ in 0..3 {
            peer.sends(". 1:1(0) ack 5001");
        }
        assert_eq!(window(&peer).1, 7_500, "half of what was in flight");
        peer.stack.configure(peer.id, |to| to.no_delay = true).unwrap();
        peer.stack.configure(peer.id, |to| to.congestion = Congestion::Cubic).unwrap();
        assert_eq!(window(&peer), (7_500, 7_500), "also during recovery");
        peer.sends(". 1:1(0) ack 22001");
        assert_eq!(window(&peer).1, 7_500);
    });
}

/// Two segments at a time, whatever happens.
#[derive(Debug)]
struct TwoSegments(u32);

impl Controller for TwoSegments {
    fn cwnd(&self) -> u32 {
        2 * self.0
    }

    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn on_ack(&mut self, _: &AckSample) {}

    fn on_loss(&mut self, _: &Loss) {}

    fn on_recovered(&mut self, _: u32) {}

    fn on_timeout(&mut self, _: &Loss, _: bool) {}

    fn on_idle(&mut self) {}

    fn on_mss(&mut self, mss: u32) {
        self.0 = mss;
    }

    fn on_shrunk_path(&mut self) {}
}

#[test]
fn a_program_may_bring_a_congestion_control_of_its_own() {
    let custom = Congestion::Custom(|mss| Box::new(TwoSegments(mss)));
    with_each_isn(|isns| {
        let mut peer =
            Peer::established_with(isns, "mss 1000", |config| config.tcp.congestion = custom);
        peer.writes(10_000);
        assert_eq!(peer.ignores_the_rest(), 2);
        peer.sends(". 1:1(0) ack 2001");
        assert_eq!(peer.ignores_the_rest(), 2);
        peer.stack.configure(peer.id, |to| to.no_delay = true).unwrap();
        assert_eq!(window(&peer).0, 2_000, "it is still the same");
    });
}
