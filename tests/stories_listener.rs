//! Listeners: the SYN queue of light half-open entries, the accept queue, and what happens when
//! they are full or the listener goes.

mod common;

use std::net::{IpAddr, SocketAddr};

use common::packet;
use common::peer::{Isns, Peer, with_each_isn};
use common::secs;
use tunstack::tcp::{Settings, State};
use tunstack::wire::{Flags, WindowScale};
use tunstack::{Config, Event};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };

/// A listening stack.
fn listening(isns: Isns, change: impl FnOnce(&mut Config)) -> Peer {
    let mut peer = Peer::with(isns, change);
    peer.listens();
    peer
}

#[test]
fn the_oldest_half_open_entry_goes_when_there_are_too_many() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |config| config.max_half_open = 3);
        for port in 4_000..4_004 {
            peer.remote.set_port(port);
            peer.sends("S 0:0(0) <mss 1460>");
            peer.hears("S. 0:0(0) ack 1");
        }
        assert_eq!(peer.stack.totals().half_open, 3);
        // The first has been forgotten, the others have not.
        peer.remote.set_port(4_000);
        peer.sends(". 1:1(0) ack 1");
        peer.hears("R 1:1(0)");
        for port in 4_001..4_004 {
            peer.remote.set_port(port);
            peer.sends(". 1:1(0) ack 1");
            peer.hears_nothing();
            peer.accepts();
            assert_eq!(peer.stack.info(peer.id).unwrap().flow.remote_port(), port);
        }
    });
}

#[test]
fn a_flood_of_syns_leaves_a_bounded_number_of_entries_that_end_by_themselves() {
    let mut peer = listening(PLAIN, |config| config.max_half_open = 100);
    for port in 1..20_000 {
        peer.remote.set_port(port);
        peer.sends("S 0:0(0) <mss 1460>");
    }
    assert_eq!(peer.stack.totals().half_open, 100);
    peer.passes(secs(200));
    assert_eq!(peer.stack.totals().half_open, 0);
    assert!(peer.stack.poll_timeout().is_none(), "nothing is left to wait for");
}

#[test]
fn with_a_full_accept_queue_newcomers_are_kept_waiting_and_never_reset() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |config| config.max_accept_queue = 2);
        for port in [4_000, 4_001] {
            peer.remote.set_port(port);
            peer.shakes_hands("mss 1460");
        }
        peer.remote.set_port(4_002);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().connections, 2);
        assert_eq!(peer.counter("TcpExtListenOverflows"), 1);

        // Once there is room, the peer's next try gets in.
        peer.accepts();
        peer.passes(secs(1));
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.sends("P. 1:11(10) ack 1");
        peer.accepts();
        peer.accepts();
        assert_eq!(peer.stack.info(peer.id).unwrap().flow.remote_port(), 4_002);
        peer.reads(10);
    });
}

#[test]
fn with_a_full_accept_queue_the_peer_hears_of_it_only_by_silence_until_it_sends_again() {
    // What the third ACK brought is sent again by a SYN-ACK or by the peer; nothing is lost.
    with_each_isn(|isns| {
        let mut peer = listening(isns, |config| config.max_accept_queue = 1);
        // The second entry is half-open already when the queue fills.
        peer.remote.set_port(4_001);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
        peer.remote.set_port(4_000);
        peer.shakes_hands("mss 1460");
        peer.remote.set_port(4_001);
        peer.sends(". 1:1(0) ack 1");
        peer.hears_nothing();
        assert_eq!(peer.stack.totals().connections, 1);
        peer.accepts();
        peer.hears_within(secs(0)..=secs(2), "S. 0:0(0) ack 1");
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer.is_in(State::Established);
    });
}

#[test]
fn a_connection_that_is_reset_while_it_waits_is_not_a_trap_for_accept() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |_| {});
        peer.shakes_hands("mss 1460");
        peer.sends("R 1:1(0)");
        let listener = peer.listener.unwrap();
        // Either it has gone, or it is handed out and found to be over.
        if let Some(id) = peer.stack.accept(listener) {
            peer.id = id;
            peer.is_in(State::Closed);
            peer.closes();
        }
        assert_eq!(peer.stack.accept(listener), None);
        assert_eq!(peer.stack.totals().connections, 0);
    });
}

#[test]
fn text_that_comes_before_accept_is_kept() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |_| {});
        peer.shakes_hands("mss 1460");
        peer.sends("P. 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("F. 101:101(0) ack 1");
        peer.hears(". 1:1(0) ack 102");
        peer.accepts();
        peer.reads(100);
        peer.reads_end();
    });
}

#[test]
fn when_a_listener_goes_what_waits_for_it_is_reset_and_what_was_accepted_stays() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |_| {});
        peer.shakes_hands("mss 1460");
        peer.accepts();
        let accepted = peer.id;
        peer.remote.set_port(4_001);
        peer.shakes_hands("mss 1460");
        peer.remote.set_port(4_002);
        peer.sends("S 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");

        let listener = peer.listener.unwrap();
        peer.stack.unlisten(listener);
        let resets = peer.all();
        assert!(resets.iter().all(|packet| packet.has(Flags::RST)));
        assert!(resets.iter().any(|packet| packet.to.port() == 4_001));
        let totals = peer.stack.totals();
        assert_eq!((totals.connections, totals.half_open, totals.listeners), (1, 0, 0));
        assert_eq!(peer.stack.accept(listener), None);
        assert_eq!(peer.stack.state(accepted), Some(State::Established));

        // The port can be listened on again.
        peer.listens();
        assert_ne!(peer.listener, Some(listener));
    });
}

#[test]
fn a_listener_on_any_address_hears_all_of_its_family() {
    let mut peer = Peer::with(PLAIN, |config| {
        config.addresses.push(packet::address(9, false));
        config.addresses.push(packet::address(1, true));
    });
    let any = peer.stack.listen("0.0.0.0:80".parse().unwrap()).unwrap();
    peer.listener = Some(any);
    peer.sends("S 0:0(0) <mss 1460>");
    peer.hears("S. 0:0(0) ack 1");
    peer.local.set_ip(packet::address(9, false));
    peer.sends("S 0:0(0) <mss 1460>");
    peer.hears("S. 0:0(0) ack 1");
    peer.local.set_ip(packet::address(1, true));
    peer.remote.set_ip(packet::address(2, true));
    peer.sends("S 0:0(0) <mss 1440>");
    assert!(peer.next().has(Flags::RST), "IPv4 does not hear IPv6");
}

#[test]
fn a_connection_keeps_the_local_address_that_it_began_with() {
    // RFC 9293 3.9.1.1 (MUST-45): "TCP implementations MUST use the same local address that was used
    // in those previous segments".
    with_each_isn(|isns| {
        for address in [packet::address(1, false), packet::address(9, false)] {
            let mut peer = Peer::with(isns, |config| {
                config.addresses.push(packet::address(9, false));
            });
            let any = peer.stack.listen("0.0.0.0:80".parse().unwrap()).unwrap();
            peer.local.set_ip(address);
            peer.sends("S 0:0(0) <mss 1460>");
            peer.sends(". 1:1(0) ack 1");
            peer.id = peer.stack.accept(any).expect("a connection waits");
            speaks_from(&mut peer, address);

            let mut peer = Peer::with(isns, |config| {
                config.addresses.push(packet::address(9, false));
            });
            peer.local = SocketAddr::new(address, 5_000);
            peer.id = peer.stack.connect(Some(peer.local), peer.remote).unwrap();
            peer.drain();
            peer.sends("S. 0:0(0) ack 1 <mss 1460>");
            speaks_from(&mut peer, address);
        }
    });
}

/// Whatever the connection sends until it is over comes from `address`.
#[track_caller]
fn speaks_from(peer: &mut Peer, address: IpAddr) {
    peer.writes(100);
    peer.passes(secs(2));
    peer.sends("P. 1:101(100) ack 101");
    peer.reads(100);
    peer.closes();
    peer.sends("F. 101:101(0) ack 102");
    let sent = peer.all();
    assert!(sent.len() > 4, "{sent:?}");
    assert!(sent.iter().all(|packet| packet.from.ip() == address), "{sent:?}");
}

#[test]
fn a_listener_on_any_ipv6_address_hears_both_families() {
    let mut peer = Peer::with(PLAIN, |config| config.addresses.push(packet::address(1, true)));
    peer.stack.listen("[::]:80".parse().unwrap()).unwrap();
    peer.sends("S 0:0(0) <mss 1460>");
    peer.hears("S. 0:0(0) ack 1");
    peer.local.set_ip(packet::address(1, true));
    peer.remote.set_ip(packet::address(2, true));
    peer.sends("S 0:0(0) <mss 1440>");
    peer.hears("S. 0:0(0) ack 1");
}

#[test]
fn the_listener_of_one_address_is_preferred_to_that_of_any() {
    let mut peer = Peer::new(PLAIN);
    let any = peer.stack.listen("0.0.0.0:80".parse().unwrap()).unwrap();
    let one = peer.stack.listen(peer.local).unwrap();
    assert_eq!(peer.stack.totals().listeners, 2);
    peer.shakes_hands("mss 1460");
    assert_eq!(peer.stack.accept(any), None);
    assert!(peer.stack.accept(one).is_some());
}

#[test]
fn a_listener_may_share_its_port_with_connections() {
    // RFC 9293 3.9.1.1 (MUST-41, MUST-42, MUST-43).
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.local.set_port(5_000);
        let called = peer.remote;
        let calling = peer.stack.connect(Some(peer.local), called).unwrap();
        peer.hears("S 0:0(0)");
        peer.listener = Some(peer.stack.listen(peer.local).unwrap());
        // One comes in beside the one that goes out.
        peer.remote.set_port(4_001);
        peer.shakes_hands("mss 1460");
        peer.accepts();
        assert_ne!(peer.id, calling);
        assert_eq!(peer.stack.state(calling), Some(State::SynSent));
        // That one is answered, and is not taken for one to the listener.
        peer.remote = called;
        peer.sends("S. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        assert_eq!(peer.stack.state(calling), Some(State::Established));
        let connection = peer.stack.info(calling).unwrap().flow;
        assert_eq!((connection.local_addr(), connection.remote_addr()), (peer.local, called));
    });
}

#[test]
fn many_connections_of_one_peer_are_told_apart() {
    with_each_isn(|isns| {
        let mut peer = listening(isns, |_| {});
        let mut ids = Vec::new();
        for port in 4_000..4_020 {
            peer.remote.set_port(port);
            peer.shakes_hands("mss 1460");
            peer.accepts();
            ids.push(peer.id);
        }
        for (port, &id) in (4_000..4_020).zip(&ids) {
            peer.remote.set_port(port);
            peer.id = id;
            let len = u32::from(port) - 3_999;
            let end = 1 + len;
            peer.sends(&format!("P. 1:{end}({len}) ack 1"));
            peer.read = 0;
            peer.reads(len as usize);
        }
        let listed: Vec<_> = peer.stack.connections().map(|info| info.flow.remote_port()).collect();
        let newest_first: Vec<_> = (4_000..4_020).rev().collect();
        assert_eq!(listed, newest_first);
    });
}

#[test]
fn with_too_many_connections_a_syn_is_dropped_and_a_connect_refused() {
    let mut peer = listening(PLAIN, |config| config.max_connections = 2);
    for port in [4_000, 4_001] {
        peer.remote.set_port(port);
        peer.shakes_hands("mss 1460");
    }
    peer.remote.set_port(4_002);
    peer.sends("S 0:0(0) <mss 1460>");
    for packet in peer.all() {
        assert!(!packet.has(Flags::RST), "{packet}");
    }
    peer.sends(". 1:1(0) ack 1");
    assert_eq!(peer.stack.totals().connections, 2);
    let refused = peer.stack.connect(None, peer.remote);
    assert_eq!(refused, Err(tunstack::stack::ConnectError::TooManyConnections));
}

#[test]
fn an_incoming_event_that_waits_is_not_queued_twice() {
    let mut peer = listening(PLAIN, |_| {});
    for port in 4_000..4_050 {
        peer.remote.set_port(port);
        peer.shakes_hands("mss 1460");
    }
    let listener = peer.listener.unwrap();
    let incoming = peer.events().iter().filter(|e| **e == Event::Incoming(listener)).count();
    assert_eq!(incoming, 1);
    let accepted = std::iter::from_fn(|| peer.stack.accept(listener)).count();
    assert_eq!(accepted, 50);
    // The next one tells again.
    peer.remote.set_port(5_000);
    peer.shakes_hands("mss 1460");
    assert!(peer.events().contains(&Event::Incoming(listener)));
}

#[test]
fn a_listeners_new_settings_are_not_for_those_whose_syn_has_arrived() {
    // RFC 7323 2.2: a repeated SYN-ACK with another shift count would contradict the first.
    with_each_isn(|isns| {
        let mut peer = listening(isns, |config| config.tcp.max_recv_buffer = 60_000);
        peer.sends("S 0:0(0) <mss 1000,wscale 3>");
        peer.hears("S. 0:0(0) ack 1 win 60000 <mss 1460,wscale 0>");
        let settings = Settings {
            max_recv_buffer: 1 << 30,
            syn_ack_retries: 0,
            max_segment: Some(500),
            ttl: 9,
            ..Settings::default()
        };
        peer.stack.set_listener_settings(peer.listener.unwrap(), settings).unwrap();
        let again = "S. 0:0(0) ack 1 win 60000 <mss 1460,wscale 0>";
        assert_eq!(peer.hears_within(secs(1)..=secs(1), again).ttl, 64);
        peer.sends("S 0:0(0) <mss 1000,wscale 3>");
        peer.hears(again);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        let info = peer.stack.info(peer.id).unwrap();
        assert_eq!(info.scales, Some((WindowScale::new(3), WindowScale::new(0))));
        assert_eq!(peer.stack.settings(peer.id).unwrap().max_recv_buffer, 60_000);
        // The next one has them.
        peer.remote.set_port(4_001);
        peer.sends("S 0:0(0) <mss 1000,wscale 3>");
        peer.hears("S. 0:0(0) ack 1 win 65535 <mss 500,wscale 14>");
    });
}

#[test]
fn the_window_of_a_syn_ack_is_not_taken_back_by_a_listeners_new_settings() {
    // RFC 9293 3.8.6 (SHLD-14): the right edge of the window does not move to the left.
    with_each_isn(|isns| {
        let mut peer = listening(isns, |_| {});
        peer.sends("S 0:0(0) <mss 1000>");
        peer.hears("S. 0:0(0) ack 1 win 65535");
        let settings = Settings { max_recv_buffer: 2_048, ..Settings::default() };
        peer.stack.set_listener_settings(peer.listener.unwrap(), settings).unwrap();
        peer.sends(". 1:1001(1000) ack 1");
        peer.hears(". 1:1(0) ack 1001 win 64535");
        peer.accepts();
        // What was promised is taken to its last byte.
        peer.sends("P. 64536:65536(1000) ack 1");
        peer.hears(". 1:1(0) ack 1001");
        assert_eq!(peer.stack.info(peer.id).unwrap().recv_window, 64_535);
    });
}
