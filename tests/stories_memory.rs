//! The bound of the memory that all buffers take together: nothing is lost by it, windows close and
//! open again, and everybody gets on.

mod common;

use common::ms;
use common::pair::{Pair, Plan, Side};
use common::pattern;
use common::peer::{Peer, with_each_isn};
use tunstack::ConnId;
use tunstack::Event;
use tunstack::tcp::Readiness;
use tunstack::time::Duration;
use tunstack::wire::Frame;

/// What a buffer may take however little is left, a connection has two of.
const FLOOR: usize = 2 << 10;

/// Records of what is in flight, and of islands, for each connection in these tests.
const RECORDS: usize = 1 << 10;

/// Segments of 1,000 bytes from `from` on, as many as make up `len`, answered one by one.
#[track_caller]
fn fills(peer: &mut Peer, from: u32, len: u32) {
    for at in (from..from + len).step_by(1_000) {
        peer.sends(&format!("P. {at}:{}(1000) ack 1", at + 1_000));
    }
    peer.passes(ms(50));
}

#[test]
fn at_the_bound_the_window_closes_and_it_opens_as_text_is_read() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.max_buffer_memory = 64 << 10;
        });
        fills(&mut peer, 1, 32_000);
        let last = peer.all().pop().expect("an acknowledgment");
        // Not a byte more has been offered than at first, and all of it is still promised.
        assert_eq!((last.ack, last.window), (peer.irs + 32_001, 33_535));
        // The ring is full, and there is no memory for one of twice the size.
        peer.sends("P. 32001:33001(1000) ack 1");
        peer.hears(". 1:1(0) ack 32769 win 0");
        peer.sends("P. 32769:33769(1000) ack 1");
        peer.hears(". 1:1(0) ack 32769 win 0");
        peer.hears_nothing();
        assert!(peer.stack.buffer_memory() <= 64 << 10);
        assert_eq!(peer.stack.counters().text_refused, 2);
        // The text is checked, too.
        peer.reads(32_768);
        peer.hears(". 1:1(0) ack 32769");
        fills(&mut peer, 32_769, 10_000);
        peer.reads(10_000);
    });
}

#[test]
fn what_lies_beyond_a_hole_is_the_first_to_be_refused() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000,sackOK", |config| {
            config.max_buffer_memory = 40_000;
        });
        // A ring of 32 KiB is more than three quarters of it.
        fills(&mut peer, 1, 20_000);
        peer.ignores_the_rest();
        peer.sends("P. 21001:22001(1000) ack 1");
        let answer = peer.hears(". 1:1(0) ack 20001");
        assert!(answer.options.sack.is_empty(), "{answer}");
        assert_eq!(peer.stack.counters().text_refused, 1);
        // It was promised a place, and there is one.
        fills(&mut peer, 20_001, 10_000);
        peer.reads(30_000);
        // All memory is free again.
        peer.ignores_the_rest();
        peer.sends("P. 31001:32001(1000) ack 1");
        let answer = peer.hears(". 1:1(0) ack 30001");
        assert_eq!(answer.options.sack.as_slice().len(), 1);
    });
}

#[test]
fn a_fin_behind_text_that_is_refused_comes_again_with_it() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.max_buffer_memory = 1;
        });
        fills(&mut peer, 1, 2_000);
        peer.ignores_the_rest();
        peer.sends("FP. 2001:3001(1000) ack 1");
        peer.hears(". 1:1(0) ack 2049 win 0");
        peer.reads(2_048);
        peer.hears(". 1:1(0) ack 2049 win 2048");
        peer.sends("FP. 2049:3001(952) ack 1");
        peer.hears(". 1:1(0) ack 3002");
        peer.reads(952);
    });
}

#[test]
fn a_write_takes_what_there_is_memory_for_and_its_owner_is_told_when_there_is_more() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 1000", |config| {
            config.max_buffer_memory = 64 << 10;
        });
        let text = pattern::bytes(0, 0, 100_000);
        let id = peer.id;
        assert_eq!(peer.stack.write(id, &text), Ok(32_768));
        assert_eq!(peer.stack.write(id, &text), Ok(0));
        assert_eq!(peer.stack.writable(id), 0);
        assert!(!peer.stack.readiness(id).contains(Readiness::WRITABLE));
        assert_eq!(peer.stack.counters().writes_refused, 2);
        assert_eq!(peer.events(), []);
        let mut acked = 1;
        while acked <= 32_768 {
            acked += peer.all().iter().map(|packet| packet.text.len()).sum::<usize>();
            peer.sends(&format!(". 1:1(0) ack {acked}"));
        }
        assert_eq!(peer.events(), [Event::Writable(id)]);
        assert!(peer.stack.readiness(id).contains(Readiness::WRITABLE));
        assert_eq!(peer.stack.write(id, &text[32_768..]), Ok(32_768));
    });
}

#[test]
fn text_that_the_application_takes_at_once_needs_no_memory_and_what_it_leaves_comes_again() {
    with_each_isn(|isns| {
        let mut peer = Peer::established_with(isns, "mss 9000", |config| {
            config.max_buffer_memory = 1;
        });
        let hands_out = |peer: &mut Peer, line: &str, takes: usize| {
            let bytes = peer.packet(line).encode();
            let received = peer.stack.on_packet(peer.now, Frame::plain(&bytes));
            let (id, text) = received.data.expect("nothing lies before it");
            peer.stack.store(id, &text[takes..]);
            text.len()
        };
        assert_eq!(hands_out(&mut peer, "P. 1:9001(9000) ack 1", 9_000), 9_000);
        peer.hears(". 1:1(0) ack 9001");
        let before = peer.stack.buffer_memory();
        assert_eq!(hands_out(&mut peer, "P. 9001:18001(9000) ack 1", 1_000), 9_000);
        // What it took and what fits.
        peer.hears(". 1:1(0) ack 12049 win 0");
        // With a record of what is there.
        let more = peer.stack.buffer_memory() - before;
        assert!((FLOOR..FLOOR + 128).contains(&more), "{more}");
        assert_eq!(peer.stack.counters().text_refused, 1);
        peer.read = 10_000;
        peer.reads(2_048);
        peer.hears(". 1:1(0) ack 12049 win 2048");
        // A FIN cannot be taken back with its text, and so is not taken with it.
        assert_eq!(hands_out(&mut peer, "FP. 12049:14099(2050) ack 1", 2_050), 2_050);
        peer.hears(". 1:1(0) ack 14099");
        peer.sends("FP. 12049:14099(2050) ack 1");
        peer.hears(". 1:1(0) ack 14100");
    });
}

/// `count` connections from client to server.
fn open(net: &mut Pair, count: usize) -> Vec<(ConnId, ConnId)> {
    let listener = net.listen(Side::Server);
    (0..count).map(|_| net.open_to(listener)).collect()
}

/// Peers that fill their windows of an application that does not read.
#[test]
fn a_thousand_peers_that_fill_their_windows_take_no_more_than_the_bound() {
    const PEERS: usize = 1_000;
    const EACH: u64 = 20_000;
    const BOUND: usize = 2 << 20;
    let mut plan = Plan::new(1);
    plan.configs[1].max_buffer_memory = BOUND;
    let mut net = plan.build();
    let ends = open(&mut net, PEERS);
    for &(client, _) in &ends {
        assert_eq!(net.write_pattern(Side::Client, client, 0, EACH), EACH);
    }
    // Longer than it takes to give up on a peer that does not acknowledge.
    net.run_for(Duration::from_secs(1_200));
    let waiting: usize = ends.iter().map(|&(_, id)| net.stack(Side::Server).readable(id)).sum();
    assert!(waiting >= BOUND, "{waiting}");
    assert!(waiting < PEERS * EACH as usize / 2, "{waiting}");
    let taken = net.stack(Side::Server).buffer_memory();
    assert!(taken <= BOUND + PEERS * (FLOOR + RECORDS), "{taken}");
    let mut read = vec![0; PEERS];
    net.run_until("every byte has arrived", |net| {
        for (&(_, server), read) in ends.iter().zip(&mut read) {
            *read += net.read_pattern(Side::Server, server, *read);
        }
        read.iter().all(|&n| n == EACH)
    });
    net.run_for(Duration::from_secs(1));
    assert!(net.stack(Side::Server).counters().text_refused > 0);
    net.stack(Side::Server).memory();
    assert!(net.stack(Side::Server).buffer_memory() <= PEERS * RECORDS);
}

/// Everybody writes and reads at once, over a wire that loses some, with less memory than one
/// connection alone would like to have.
#[test]
fn streams_both_ways_are_whole_with_very_little_memory() {
    const TOTAL: u64 = 60_000;
    for (seed, bound) in [(1, 64 << 10), (2, 16 << 10), (3, 1)] {
        let mut net = Plan::new(seed)
            .both(|config| config.max_buffer_memory = bound)
            .wire(|faults| faults.loss = 20)
            .build();
        let ends = open(&mut net, 8);
        // Of each connection: the client's end and the server's.
        let mut written = [[0; 2]; 8];
        let mut read = [[0; 2]; 8];
        net.run_until("all streams are whole", |net| {
            for (n, &(client, server)) in ends.iter().enumerate() {
                for (side, id) in Side::BOTH.into_iter().zip([client, server]) {
                    let at = &mut written[n][side as usize];
                    *at += net.write_pattern(side, id, *at, TOTAL - *at);
                    let at = &mut read[n][side as usize];
                    *at += net.read_pattern(side, id, *at);
                }
            }
            for side in Side::BOTH {
                let taken = net.stack(side).buffer_memory();
                assert!(taken <= bound + 8 * (2 * FLOOR + RECORDS), "{taken}");
            }
            read.iter().all(|&both| both == [TOTAL; 2])
        });
        for side in Side::BOTH {
            assert!(net.stack(side).counters().writes_refused > 0);
            net.stack(side).memory();
        }
    }
}

/// An application that sends back what it reads, and reads no more until it has: it needs memory to
/// write before it can give any back.
#[test]
fn an_echo_gets_on_when_what_is_unread_takes_all_the_memory() {
    const TOTAL: u64 = 60_000;
    let mut plan = Plan::new(4);
    plan.configs[1].max_buffer_memory = 16 << 10;
    let mut net = plan.build();
    let ends = open(&mut net, 6);
    let mut written = [0; 6];
    for (&(client, _), written) in ends.iter().zip(&mut written) {
        *written = net.write_pattern(Side::Client, client, 0, TOTAL);
    }
    net.run_for(Duration::from_secs(2));
    let mut held = vec![Vec::new(); 6];
    let mut read = [0; 6];
    net.run_until("all has come back", |net| {
        for (n, &(client, server)) in ends.iter().enumerate() {
            let stack = net.stack(Side::Server);
            loop {
                if held[n].is_empty() {
                    let mut buffer = [0; 700];
                    let got = stack.read(server, &mut buffer).unwrap_or(0);
                    held[n].extend_from_slice(&buffer[..got]);
                }
                let took = stack.write(server, &held[n]).expect("open");
                held[n].drain(..took);
                if took == 0 {
                    break;
                }
            }
            written[n] += net.write_pattern(Side::Client, client, written[n], TOTAL - written[n]);
            read[n] += net.read_pattern(Side::Client, client, read[n]);
        }
        read == [TOTAL; 6]
    });
}
