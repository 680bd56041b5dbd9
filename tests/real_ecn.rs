//! Explicit congestion notification over the kernel: its firewall marks, its TCP answers, and it
//! forwards between two stacks, cutting and joining segments on the way.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs::{self, File};
use std::path::Path;

use nix::sys::signal::Signal;
use real::files::{MIB, Scratch, sha256};
use real::interface::{HOST_V4, STACK_V4, ip, make_tun, wait_for_listener};
use real::process::launch;
use real::server::{Server, tunstack};
use tunstack::wire::codec::{Observed, observe};
use tunstack::wire::{EcnField, Flags};

const ACE: Flags = Flags::AE.union(Flags::CWR).union(Flags::ECE);

/// Says how the kernel of this network uses ECN; answers whether it can.
fn kernel_uses(mode: &str) -> bool {
    fs::write("/proc/sys/net/ipv4/tcp_ecn", mode).is_ok()
}

/// Marks, in the chain with this hook, one in so `many` of the packets whose transport understands
/// ECN.
fn mark(hook: &str, many: u32) {
    let script = format!(
        "add table inet marks
         add chain inet marks passing {{ type filter hook {hook} priority filter; }}
         add rule inet marks passing ip ecn != not-ect numgen inc mod {many} == 0 ip ecn set ce"
    );
    launch(["nft", &script]).succeed();
}

/// A capture of the stack's, packet by packet.
fn packets(capture: &[u8]) -> Vec<Observed<'_>> {
    let word = |at: usize| u32::from_be_bytes(capture[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(word(0), 0xa1b2_3c4d, "big-endian, with nanoseconds");
    let mut seen = Vec::new();
    let mut at = 24;
    while at < capture.len() {
        let (kept, len) = (word(at + 8), word(at + 12));
        seen.extend(observe(&capture[at + 16..at + 16 + kept], len));
        at += 16 + kept;
    }
    seen
}

/// What the first SYN and the first SYN-ACK of a capture say of ECN.
fn handshake(seen: &[Observed<'_>]) -> (Flags, Flags) {
    let first = |answers: bool| {
        let is_it = |packet: &&Observed<'_>| {
            let segment = &packet.segment;
            segment.has(Flags::SYN) && segment.has(Flags::ACK) == answers
        };
        seen.iter().find(is_it).unwrap().segment.flags & ACE
    };
    (first(false), first(true))
}

/// Two stacks, the kernel between them marks, and both count the same.
fn two_stacks_count_the_same(offload: &str) {
    make_tun();
    ip("tuntap add dev tun1 mode tun");
    ip("address add 10.204.0.1/24 dev tun1");
    ip("link set dev tun1 txqueuelen 5000 up");
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    // Few of the packets have all of the text where they are super-segments: 64 at the least.
    mark("forward", if offload == "off" { 20 } else { 4 });
    let scratch = Scratch::new();
    let sent = scratch.random_file("sent.bin", 1, 4 * MIB);
    let capture = scratch.path("server.pcap");
    let path = capture.to_str().unwrap();
    let server = Server::start(&["--ecn", "accept-accurate", "--offload", offload, "--pcap", path]);
    let own = ["--tun", "tun1", "--address", "10.204.0.2", "--ecn", "accurate"];
    tunstack(&[&["connect", "--offload", offload][..], &own, &[STACK_V4, "7"]].concat())
        .input(File::open(&sent).unwrap())
        .output(scratch.create("echoed.bin"))
        .finish()
        .succeeded();
    assert_eq!(sha256(&scratch.path("echoed.bin")), sha256(&sent));
    server.signal(Signal::SIGTERM);
    server.finish();

    let capture = fs::read(&capture).unwrap();
    let seen = packets(&capture);
    assert_eq!(handshake(&seen), (ACE, Flags::CWR));
    let from_client = |packet: &Observed<'_>| packet.flow.remote_port() == 7;
    // What the server has counted, as its options tell it, and what the capture shows.
    let mut counted = 0u32;
    for packet in seen.iter().filter(|packet| !from_client(packet)) {
        let ceb = packet.segment.options.ecn.and_then(|counters| counters.ceb());
        counted = ceb.unwrap_or(counted);
    }
    let marked = seen.iter().filter(|packet| from_client(packet));
    let marked = marked.filter(|packet| packet.segment.ecn == EcnField::Ce);
    let bytes: u32 = marked.clone().map(|packet| packet.text_len).sum();
    let count = marked.count() as u32;
    println!("{count} packets with {bytes} bytes were marked, {counted} bytes are counted");
    assert!(count > 10);
    assert_eq!(counted, bytes);
    if offload == "off" {
        // One packet is one segment: so the field of three bits agrees as well.
        let last = seen.iter().rfind(|packet| !from_client(packet)).unwrap();
        assert_eq!(last.segment.flags & ACE, ace(5 + count));
    }
}

/// A counter as the ACE field has it.
fn ace(counter: u32) -> Flags {
    let mut flags = Flags::empty();
    for (bit, flag) in [(4, Flags::AE), (2, Flags::CWR), (1, Flags::ECE)] {
        flags.set(flag, counter & bit != 0);
    }
    flags
}

#[test]
fn two_stacks_count_the_marks_of_a_kernel_that_forwards_their_segments() {
    real::test(|| two_stacks_count_the_same("off"));
}

#[test]
fn two_stacks_count_the_marks_of_a_kernel_that_forwards_their_super_segments() {
    real::test(|| two_stacks_count_the_same("on"));
}

/// What the handshake of a connection of the kernel's to the stack says, while marks come.
fn kernel_connects(scratch: &Scratch) -> (Flags, Flags) {
    let sent = scratch.random_file("sent.bin", 1, 2 * MIB);
    let capture = scratch.path("from-kernel.pcap");
    let server = Server::start(&["--ecn", "accurate", "--pcap", capture.to_str().unwrap()]);
    launch(["nc", "-N", STACK_V4, "7"])
        .input(File::open(&sent).unwrap())
        .output(scratch.create("echoed.bin"))
        .finish()
        .succeeded();
    assert_eq!(sha256(&scratch.path("echoed.bin")), sha256(&sent));
    server.signal(Signal::SIGTERM);
    server.finish();
    agreed(&capture)
}

fn agreed(capture: &Path) -> (Flags, Flags) {
    handshake(&packets(&fs::read(capture).unwrap()))
}

#[test]
fn a_kernel_that_asks_for_ecn_gets_what_it_asks_for() {
    real::test(|| {
        make_tun();
        mark("postrouting", 20);
        let scratch = Scratch::new();
        assert!(kernel_uses("0"));
        assert_eq!(kernel_connects(&scratch), (Flags::empty(), Flags::empty()));
        assert!(kernel_uses("1"));
        assert_eq!(kernel_connects(&scratch), (Flags::CWR | Flags::ECE, Flags::ECE));
        // Kernels that know accurate ECN do not all have it on offer.
        if kernel_uses("3") {
            assert_eq!(kernel_connects(&scratch), (ACE, Flags::CWR));
        } else {
            println!("this kernel has no accurate ECN");
        }
    });
}

/// How many SYNs and SYN-ACKs the firewall has seen that carry these flags, since [`count_flags`].
fn counted(name: &str) -> u32 {
    let listing = launch(["nft", "list", "counter", "inet", "syns", name]).succeed();
    let count = listing.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    count.unwrap().parse().unwrap()
}

/// Begins to count the stack's SYNs that ask for accurate ECN, and the kernel's answers with these
/// flags of ECN.
fn count_flags(answer: Flags) {
    let asks = (Flags::SYN | ACE).bits();
    let answers = (Flags::SYN | Flags::ACK | answer).bits();
    let script = format!(
        "add table inet syns
         add counter inet syns asks
         add counter inet syns answers
         add chain inet syns arrive {{ type filter hook input priority filter; }}
         add chain inet syns leave {{ type filter hook output priority filter; }}
         add rule inet syns arrive meta l4proto tcp @th,96,16 & 0x1ff == {asks} counter name asks
         add rule inet syns leave meta l4proto tcp @th,96,16 & 0x1ff == {answers} counter name answers"
    );
    launch(["nft", &script]).succeed();
}

#[test]
fn a_kernel_that_is_asked_for_accurate_ecn_gives_what_it_has() {
    real::test(|| {
        make_tun();
        mark("prerouting", 20);
        let scratch = Scratch::new();
        let sent = scratch.random_file("sent.bin", 1, 2 * MIB);
        for (mode, answer) in [("0", Flags::empty()), ("2", Flags::ECE), ("3", Flags::CWR)] {
            if !kernel_uses(mode) {
                println!("this kernel has no accurate ECN");
                continue;
            }
            count_flags(answer);
            let listener = launch(["nc", "-l", "-N", HOST_V4, "9000"])
                .output(scratch.create("arrived.bin"))
                .start();
            wait_for_listener(9000);
            tunstack(&["connect", "--ecn", "accurate", HOST_V4, "9000"])
                .input(File::open(&sent).unwrap())
                .finish()
                .succeeded();
            listener.finish().succeeded();
            assert_eq!(sha256(&scratch.path("arrived.bin")), sha256(&sent));
            assert_eq!((counted("asks"), counted("answers")), (1, 1), "{mode}");
            launch(["nft", "delete", "table", "inet", "syns"]).succeed();
        }
    });
}
