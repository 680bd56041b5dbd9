//! How much a receiver offers: as much as the path carries, so that it never holds the sender back,
//! and not much more (dynamic right-sizing).

mod common;

use common::ms;
use common::pair::{Pair, Plan, Side};
use tunstack::ConnId;
use tunstack::time::{Duration, Instant};

/// The client writes and the server reads whatever they can.
fn pump(net: &mut Pair, client: ConnId, server: ConnId) {
    let zeros = [0; 65_536];
    while net.stack(Side::Client).writable(client) >= zeros.len() {
        net.stack(Side::Client).write(client, &zeros).expect("open");
    }
    let mut buffer = [0; 65_536];
    while net.stack(Side::Server).read(server, &mut buffer).is_ok_and(|n| n > 0) {}
}

/// Bulk from client to server for as long as `goes_on` says, which is asked whenever something
/// happens.
fn bulk(
    net: &mut Pair,
    (client, server): (ConnId, ConnId),
    mut goes_on: impl FnMut(&mut Pair) -> bool,
) {
    while goes_on(net) {
        pump(net, client, server);
        net.step();
    }
}

fn recv_limit(net: &mut Pair, server: ConnId) -> u32 {
    net.stack(Side::Server).info(server).expect("it is there").recv_limit
}

/// A long and fast path: 100 ms, 10 Gb/s. How long it takes until the sender's window has grown to
/// 4 MB in slow start, and for how much of that time the receiver's was the smaller one.
fn long_and_fast(timestamps: bool) -> (Duration, Duration) {
    let mut net = Plan::new(1)
        .both(|config| {
            config.tcp.timestamps = timestamps;
            config.tcp.max_recv_buffer = 64 << 20;
            config.tcp.max_send_buffer = 64 << 20;
        })
        .wire(|faults| {
            faults.delay = ms(50);
            faults.rate = Some(1_250_000_000);
            faults.queue = 64 << 20;
        })
        .build();
    let ends = net.open();
    let start = net.now;
    let (mut limited, mut before) = (Duration::ZERO, start);
    bulk(&mut net, ends, |net| {
        let info = net.stack(Side::Client).info(ends.0).expect("it is there");
        if info.send_window < info.cwnd {
            limited += net.now.since(before);
        }
        before = net.now;
        assert!(net.now.since(start) < ms(10_000), "{info:?}");
        info.cwnd < 4_000_000
    });
    (net.now.since(start), limited)
}

#[test]
fn a_long_and_fast_path_is_filled_as_if_there_were_no_receive_window() {
    let (took, limited) = long_and_fast(true);
    // From 14,480 bytes nine doublings, each a round trip.
    assert!(took <= ms(950), "{took:?}, of it {limited:?} for the receiver");
    assert_eq!(limited, Duration::ZERO);
}

#[test]
fn without_timestamps_it_is_filled_nearly_as_soon() {
    let (took, limited) = long_and_fast(false);
    assert!(took <= ms(1_250), "{took:?}, of it {limited:?} for the receiver");
    assert!(limited <= ms(300), "{limited:?}");
}

/// What is offered at last over a path of 1 Mb/s and 10 ms, which keeps 20 kB waiting.
fn slow(timestamps: bool) -> u32 {
    let mut net = Plan::new(2)
        .both(|config| config.tcp.timestamps = timestamps)
        .wire(|faults| {
            faults.delay = ms(5);
            faults.rate = Some(125_000);
            faults.queue = 20_000;
        })
        .build();
    let ends = net.open();
    let end: Instant = net.now + Duration::from_secs(30);
    bulk(&mut net, ends, |net| net.now < end);
    let received = net.stack(Side::Server).info(ends.1).expect("it is there").bytes_received;
    assert!(received > 3 << 20, "{received}");
    recv_limit(&mut net, ends.1)
}

#[test]
fn a_slow_path_is_offered_what_it_can_carry() {
    let offered = slow(true);
    // The first overshoot of slow start leaves 64 kB waiting behind a hole, which come as one.
    assert!(offered <= 600_000, "{offered}");
}

#[test]
fn a_slow_path_without_timestamps_is_offered_little_more() {
    let offered = slow(false);
    assert!(offered <= 200_000, "{offered}");
}

/// An application that takes 100 kB a second is offered no more because its peer could send more.
#[test]
fn a_slow_reader_is_offered_no_more() {
    for timestamps in [true, false] {
        let mut net = Plan::new(3).both(|config| config.tcp.timestamps = timestamps).build();
        let (client, server) = net.open();
        let zeros = vec![0; 65_536];
        let mut buffer = vec![0; 1_000];
        let end: Instant = net.now + Duration::from_secs(20);
        while net.now < end {
            while net.stack(Side::Client).write(client, &zeros).expect("open") > 0 {}
            net.run_for(ms(10));
            let _ = net.stack(Side::Server).read(server, &mut buffer);
        }
        let offered = recv_limit(&mut net, server);
        assert!(offered <= 200_000, "{offered}, timestamps {timestamps}");
    }
}
