//! Tests of the test harness itself: that its notation is read right, its wire does what it is
//! told, and its auditor objects to every breach it looks for.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::audit::Audit;
use common::link::{Faults, Link};
use common::ms;
use common::notation::Noted;
use common::packet::{Packet, check_well_formed, internet_checksum};
use common::peer::{Isns, Peer};
use common::random::Random;
use tunstack::time::Instant;
use tunstack::wire::Flags;

#[test]
fn a_line_is_read_in_full() {
    let noted = Noted::parse("PU. 1:101(100) ack 7 win 9 urg 3 <nop,TS val 4 ecr 5,sack 2:3 6:8>");
    assert_eq!(noted.flags, Flags::PSH | Flags::URG | Flags::ACK);
    assert_eq!((noted.seq, noted.len), (1, 100));
    let numbers = (noted.ack, noted.window, noted.urgent);
    assert_eq!(numbers, (Some(7), Some(9), Some(3)));
    let options = noted.options.expect("options were given");
    assert_eq!(options.timestamps, Some(Some((4, 5))));
    assert_eq!(options.sack, [(2, 3), (6, 8)]);
}

#[test]
fn a_line_that_contradicts_itself_is_refused() {
    assert!(Noted::try_parse(". 1:101(99) ack 1").is_none());
    assert!(Noted::try_parse(". 1:101(100) ack").is_none());
    assert!(Noted::try_parse("x 1:1(0)").is_none());
    assert!(Noted::try_parse("S 0:0(0) <mss 1460,what>").is_none());
}

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    // The example of RFC 1071 section 3: the words add up to ddf2.
    let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(internet_checksum(&[&words]), !0xddf2);
    assert_eq!(internet_checksum(&[&words, &(!0xddf2u16).to_be_bytes()]), 0);
}

// The wire.

/// How many of a thousand packets arrive, each at which time, and how many are damaged.
fn carry_a_thousand(faults: Faults) -> (Vec<Instant>, usize) {
    let mut link = Link::new(faults, Random::new(1));
    let mut damaged = 0;
    let mut times = Vec::new();
    for number in 0..1_000 {
        let packet = vec![7; 100];
        for (at, bytes) in link.carry(Instant::from_millis(number), packet.clone()) {
            times.push(at);
            damaged += usize::from(bytes != packet);
        }
    }
    (times, damaged)
}

#[test]
fn a_wire_without_faults_only_delays() {
    let (times, damaged) = carry_a_thousand(Faults::default());
    let expected: Vec<_> = (0..1_000).map(|n| Instant::from_millis(n + 10)).collect();
    assert_eq!((times, damaged), (expected, 0));
}

#[test]
fn faults_come_as_often_as_they_should() {
    let loss = Faults { loss: 200, ..Faults::default() };
    let arrived = carry_a_thousand(loss).0.len();
    assert!((750..850).contains(&arrived), "{arrived}");
    let duplicate = Faults { duplicate: 200, ..Faults::default() };
    let arrived = carry_a_thousand(duplicate).0.len();
    assert!((1_150..1_250).contains(&arrived), "{arrived}");
    let corrupt = Faults { corrupt: 200, ..Faults::default() };
    let (times, damaged) = carry_a_thousand(corrupt);
    assert_eq!(times.len(), 1_000);
    assert!((150..250).contains(&damaged), "{damaged}");
    let reorder = Faults { reorder: 200, ..Faults::default() };
    let (times, _) = carry_a_thousand(reorder);
    assert!(!times.is_sorted());
}

#[test]
fn a_slow_wire_spaces_packets_and_drops_what_does_not_fit_its_queue() {
    let slow = Faults {
        rate: Some(10_000), // a packet of 100 bytes takes 10 ms
        queue: 1_000,
        ..Faults::default()
    };
    let (times, _) = carry_a_thousand(slow);
    let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min() >= Some(ms(10)));
    assert!((95..120).contains(&times.len()), "{}", times.len());
}

#[test]
fn the_named_segments_are_dropped_and_no_others() {
    let peer = plain_peer();
    let mut link = Link::new(Faults::default(), Random::new(1));
    link.drop_data(&[2]);
    let mut arrived = Vec::new();
    for line in [". 1:1(0) ack 1", ". 1:2(1) ack 1", ". 2:3(1) ack 1", ". 3:4(1) ack 1"] {
        let bytes = peer.packet(line).encode();
        arrived.push(link.carry(Instant::ZERO, bytes).len());
    }
    assert_eq!(arrived, [1, 1, 0, 1]);
}

// The auditor.

fn plain_peer() -> Peer {
    Peer::new(Isns { stack: 0, peer: 0 })
}

/// The connection that samples belong to, as seen by the auditor: all options, window 1000 << 2
/// on both sides.
const OPENING: [(bool, &str); 3] = [
    (true, "S 0:0(0) win 1000 <mss 1460,sackOK,TS val 1 ecr 0,wscale 2>"),
    (false, "S. 0:0(0) ack 1 win 1000 <mss 1000,sackOK,TS val 1 ecr 1,wscale 2>"),
    (true, ". 1:1(0) ack 1 win 1000 <TS val 1 ecr 1>"),
];

/// Whether the auditor accepts these segments in a row; `true` beside a line is the one side,
/// `false` the other.
fn accepts(lines: &[(bool, &str)]) -> bool {
    let peer = plain_peer();
    let mut audit = Audit::default();
    catch_unwind(AssertUnwindSafe(|| {
        for (forth, line) in lines {
            let mut packet: Packet = peer.packet(line);
            if !forth {
                std::mem::swap(&mut packet.from, &mut packet.to);
            }
            let bytes = packet.encode();
            check_well_formed(&bytes, 1_500);
            audit.on_sent(&packet, &bytes);
        }
    }))
    .is_ok()
}

#[track_caller]
fn objects_to(lines: &[(bool, &str)]) {
    assert!(accepts(&OPENING));
    assert!(!accepts(&[&OPENING, lines].concat()), "{lines:?}");
}

#[test]
fn the_auditor_accepts_a_conversation_in_order() {
    assert!(accepts(
        &[
            &OPENING[..],
            &[
                (true, "P. 1:101(100) ack 1 win 1000 <TS val 2 ecr 1>"),
                (false, ". 1:1(0) ack 101 win 1000 <TS val 2 ecr 2>"),
                (true, "P. 201:301(100) ack 1 win 1000 <TS val 2 ecr 1>"),
                (false, ". 1:1(0) ack 101 win 1000 <TS val 2 ecr 2,sack 201:301>"),
                (true, "F. 301:301(0) ack 1 win 1000 <TS val 2 ecr 1>"),
                (false, "R 1:1(0)"),
            ]
        ]
        .concat()
    ));
}

#[test]
fn the_auditor_objects_to_every_breach() {
    // No ACK; an ACK of the unsent; an ACK that goes back.
    objects_to(&[(true, "P 1:11(10) <TS val 1 ecr 1>")]);
    objects_to(&[(true, ". 1:1(0) ack 2 win 1000 <TS val 1 ecr 1>")]);
    objects_to(&[
        (false, "P. 1:11(10) ack 1 win 1000 <TS val 1 ecr 1>"),
        (true, ". 1:1(0) ack 11 win 1000 <TS val 1 ecr 1>"),
        (true, ". 1:1(0) ack 1 win 1010 <TS val 1 ecr 1>"),
    ]);
    // The right edge of the window moves left by more than a step.
    objects_to(&[(true, ". 1:1(0) ack 1 win 998 <TS val 1 ecr 1>")]);
    // No timestamps; SACK of the unsent; an option of SYNs.
    objects_to(&[(true, ". 1:1(0) ack 1 win 1000 <>")]);
    objects_to(&[(true, ". 1:1(0) ack 1 win 1000 <TS val 1 ecr 1,sack 5:9>")]);
    objects_to(&[(true, ". 1:1(0) ack 1 win 1000 <TS val 1 ecr 1,mss 9>")]);
    // Text after the FIN, beyond the window, and more than the MSS in one segment.
    objects_to(&[
        (true, "F. 1:1(0) ack 1 win 1000 <TS val 1 ecr 1>"),
        (true, "P. 2:3(1) ack 1 win 1000 <TS val 1 ecr 1>"),
    ]);
    objects_to(&[(true, "P. 1001:1101(100) ack 1 win 1000 <TS val 1 ecr 1>")]);
    objects_to(&[(true, "P. 1:990(989) ack 1 win 1000 <TS val 1 ecr 1>")]);
    // A segment of a connection that was never opened.
    assert!(!accepts(&[(true, ". 1:1(0) ack 1")]));
}

#[test]
fn a_damaged_packet_is_not_well_formed() {
    let good = plain_peer().packet("P. 1:11(10) ack 1").encode();
    check_well_formed(&good, 1_500);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(catch_unwind(|| check_well_formed(&bad, 1_500)).is_err(), "bit {bit}");
    }
}
