#![allow(clippy::unwrap_used)]

use core::num::NonZeroU16;
use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::{
    Checksum, EcnCounters, EcnField, EcnOrder, Flags, Frame, Options, SackBlocks, SeqNum, SeqRange,
    Timestamps, WindowScale,
};

/// A SYN from 192.0.2.1:40000 to 192.0.2.2:80 with Linux's options, ECT(0).
#[rustfmt::skip]
const SYN_V4: [u8; 60] = [
    0x45, 0x02, 0x00, 0x3c, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0xa4, 0x82, // IPv4: checksum a482
    0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x02,
    0x9c, 0x40, 0x00, 0x50, 0x11, 0x22, 0x33, 0x44, 0x00, 0x00, 0x00, 0x00, // TCP
    0xa0, 0x02, 0xfa, 0xf0, 0xe4, 0x0e, 0x00, 0x00,                         // checksum e40e
    0x02, 0x04, 0x05, 0xb4,                                                 // MSS 1460
    0x04, 0x02, 0x08, 0x0a, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, // SACK-permitted, TS
    0x01, 0x03, 0x03, 0x07,                                                 // window scale 7
];

/// "hello" from [2001:db8::1]:40000 to [2001:db8::2]:7, with timestamps, ECT(1).
#[rustfmt::skip]
const DATA_V6: [u8; 77] = [
    0x60, 0x10, 0x00, 0x00, 0x00, 0x25, 0x06, 0x40,                         // IPv6
    0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
    0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
    0x9c, 0x40, 0x00, 0x07, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, // TCP
    0x80, 0x18, 0x01, 0xf6, 0x27, 0xc8, 0x00, 0x00,                         // checksum 27c8
    0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08, // TS
    0x68, 0x65, 0x6c, 0x6c, 0x6f,
];

/// "data" from 192.0.2.1:5353 to 192.0.2.2:9999.
#[rustfmt::skip]
const UDP_V4: [u8; 32] = [
    0x45, 0x00, 0x00, 0x20, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb6, 0xc9, 0xc0, 0x00, 0x02, 0x01,
    0xc0, 0x00, 0x02, 0x02, 0x14, 0xe9, 0x27, 0x0f, 0x00, 0x0c, 0x67, 0x17, 0x64, 0x61, 0x74, 0x61,
];

fn parse_plain(bytes: &[u8]) -> Result<Packet<'_>, DropReason> {
    parse(&Frame::plain(bytes))
}

fn flow(local: &str, remote: &str) -> Flow {
    Flow::new(local.parse().unwrap(), remote.parse().unwrap())
}

/// The same connection seen from the other end.
fn reversed(flow: Flow) -> Flow {
    Flow::new(flow.remote_addr(), flow.local_addr())
}

/// What [`SYN_V4`] is made from.
fn syn_header() -> TcpHeader {
    TcpHeader {
        flow: flow("192.0.2.1:40000", "192.0.2.2:80"),
        seq: SeqNum(0x1122_3344),
        ack: SeqNum(0),
        flags: Flags::SYN,
        window: 64_240,
        urgent: 0,
        options: Options {
            mss: Some(1460),
            window_scale: Some(WindowScale::new(7)),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 0x0102_0304, echo: 0 }),
            sack: SackBlocks::EMPTY,
            ecn: None,
        },
        traffic_class: 2,
        ttl: 64,
        ident: 0x1234,
        dont_fragment: true,
    }
}

/// What [`DATA_V6`] is made from.
fn data_header() -> TcpHeader {
    TcpHeader {
        flow: flow("[2001:db8::1]:40000", "[2001:db8::2]:7"),
        seq: SeqNum(0x1122_3344),
        ack: SeqNum(0x5566_7788),
        flags: Flags::ACK | Flags::PSH,
        window: 502,
        urgent: 0,
        options: Options {
            timestamps: Some(Timestamps { value: 7, echo: 8 }),
            ..Options::default()
        },
        traffic_class: 1,
        ttl: 64,
        ident: 0,
        dont_fragment: true,
    }
}

/// The packet of `header` and `payload`, in one piece.
fn emitted(header: &TcpHeader, payload: [&[u8]; 2], partial: bool) -> (Vec<u8>, Checksum) {
    let mut buffer = HeaderBuffer::new();
    let checksum = emit_tcp(&mut buffer, header, payload, partial);
    ([buffer.as_slice(), payload[0], payload[1]].concat(), checksum)
}

/// What `header` and `payload` must be parsed to.
fn expected<'f>(header: &TcpHeader, payload: &'f [u8]) -> Packet<'f> {
    Packet::Tcp {
        flow: reversed(header.flow),
        segment: Segment {
            seq: header.seq,
            ack: header.ack,
            flags: header.flags,
            window: header.window,
            urgent: header.urgent,
            options: header.options,
            ecn: EcnField::from_bits(header.traffic_class),
            payload,
            segment_size: None,
        },
    }
}

#[test]
fn a_known_syn_over_ipv4() {
    assert_eq!(emitted(&syn_header(), [&[], &[]], false).0, SYN_V4);
    assert_eq!(parse_plain(&SYN_V4), Ok(expected(&syn_header(), &[])));
}

#[test]
fn a_known_data_segment_over_ipv6() {
    let header = data_header();
    for (first, second) in [("hello", ""), ("", "hello"), ("hel", "lo"), ("h", "ello")] {
        let payload = [first.as_bytes(), second.as_bytes()];
        assert_eq!(emitted(&header, payload, false).0, DATA_V6);
    }
    assert_eq!(parse_plain(&DATA_V6), Ok(expected(&header, b"hello")));
}

proptest! {
    /// A template writes what the general way writes.
    #[test]
    fn a_template_agrees_with_the_general_way(
        v6: bool,
        traffic_class: u8,
        ttl: u8,
        seq: u32,
        ack: u32,
        flags in 0u16..=Flags::all().bits(),
        window: u16,
        partial: bool,
        stamps in proptest::option::of(any::<(u32, u32)>()),
        first in proptest::collection::vec(any::<u8>(), 0..200),
        second in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let flow = if v6 { flow("[fd00::1]:80", "[fd00::2]:4000") } else { flow("10.0.0.1:80", "10.9.8.7:4000") };
        let timestamps = stamps.map(|(value, echo)| Timestamps { value, echo });
        let flags = Flags::from_bits_retain(flags);
        let header = TcpHeader {
            flow,
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            flags,
            window,
            urgent: 0,
            options: Options { timestamps, ..Options::default() },
            traffic_class,
            ttl,
            ident: 0,
            dont_fragment: true,
        };
        let (expected, expected_checksum) = emitted(&header, [&first, &second], partial);
        let template = Template::new(flow, traffic_class, ttl, timestamps.is_some());
        let ecn = EcnField::from_bits(traffic_class);
        let variable =
            Variable { seq: SeqNum(seq), ack: SeqNum(ack), flags, window, timestamps, ecn };
        let mut buffer = HeaderBuffer::new();
        let checksum = template.emit(&mut buffer, &variable, [&first, &second], partial);
        prop_assert_eq!([buffer.as_slice(), &first, &second].concat(), expected);
        prop_assert_eq!(checksum, expected_checksum);
    }
}

#[test]
fn a_partial_checksum_is_finished_by_the_device() {
    for (header, start, whole) in
        [(syn_header(), 20, &SYN_V4[..]), (data_header(), 40, &DATA_V6[..])]
    {
        let payload = if start == 40 { &b"hello"[..] } else { &[] };
        let (mut bytes, checksum) = emitted(&header, [payload, &[]], true);
        assert_eq!(checksum, Checksum::Partial { start, offset: 16 });
        // What a device does: sum from `start` on, with what the field holds.
        let start = usize::from(start);
        let sum = crate::wire::checksum::Sum::ZERO.add_bytes(&bytes[start..]);
        bytes[start + 16..start + 18].copy_from_slice(&sum.finish().to_be_bytes());
        assert_eq!(bytes, whole);
    }
}

#[test]
fn a_checksum_that_is_vouched_for_is_not_summed_again() {
    let (bytes, partial) = emitted(&data_header(), [b"hello", &[]], true);
    assert_eq!(parse_plain(&bytes), Err(DropReason::BadChecksum));
    for checksum in [partial, Checksum::Vouched] {
        let frame = Frame { checksum, ..Frame::plain(&bytes) };
        assert_eq!(parse(&frame), Ok(expected(&data_header(), b"hello")));
    }
}

#[test]
fn the_segment_size_of_a_super_segment_is_passed_on() {
    let frame = Frame { segment_size: NonZeroU16::new(2), ..Frame::plain(&DATA_V6) };
    let Ok(Packet::Tcp { segment, .. }) = parse(&frame) else {
        panic!("no segment");
    };
    assert_eq!(segment.segments(), 3);
}

#[test]
fn the_largest_packets_of_both_families() {
    let payload = vec![0xa5; 65_535];
    for (header, room) in [(syn_header(), 65_535 - 60), (data_header(), 65_535 - 32)] {
        let payload = &payload[..room];
        let (bytes, _) = emitted(&header, [payload, &[]], false);
        assert_eq!(parse_plain(&bytes), Ok(expected(&header, payload)));
        let padded = [&bytes[..], &[0; 41]].concat();
        assert_eq!(parse_plain(&padded), Err(DropReason::Oversized));
    }
}

#[test]
fn a_data_offset_that_is_impossible() {
    // The segment has 37 bytes.
    for words in [0, 4, 10, 15] {
        let mut bytes = DATA_V6;
        bytes[52] = words << 4;
        let result = parse_plain(&bytes);
        assert_eq!(result, Err(DropReason::MalformedTcp), "{words} words");
    }
}

#[test]
fn reserved_bits_are_ignored() {
    // RFC 9293 section 3.1: "must be ignored by receivers".
    let mut bytes = DATA_V6;
    bytes[52] |= 0x0e;
    let vouched = Frame { checksum: Checksum::Vouched, ..Frame::plain(&bytes) };
    assert_eq!(parse(&vouched), Ok(expected(&data_header(), b"hello")));
    // The fourth has a meaning by now (RFC 9768 section 3.1.1).
    bytes[52] |= 0x01;
    let vouched = Frame { checksum: Checksum::Vouched, ..Frame::plain(&bytes) };
    let flags = data_header().flags | Flags::AE;
    assert_eq!(parse(&vouched), Ok(expected(&TcpHeader { flags, ..data_header() }, b"hello")));
}

#[test]
fn a_packet_from_ourselves_to_ourselves_is_a_land_attack() {
    for (local, remote, reason) in [
        ("192.0.2.1:80", "192.0.2.1:80", Some(DropReason::Land)),
        ("[fd00::1]:80", "[fd00::1]:80", Some(DropReason::Land)),
        ("192.0.2.1:80", "192.0.2.1:81", None),
        ("192.0.2.1:80", "192.0.2.2:80", None),
    ] {
        let header = TcpHeader { flow: flow(local, remote), ..data_header() };
        let (bytes, _) = emitted(&header, [&[], &[]], false);
        assert_eq!(parse_plain(&bytes).err(), reason, "{local} {remote}");
    }
}

#[test]
fn a_known_datagram() {
    assert_eq!(
        parse_plain(&UDP_V4),
        Ok(Packet::Udp { flow: flow("192.0.2.2:9999", "192.0.2.1:5353"), payload: b"data" })
    );
    let mut wrong = UDP_V4;
    wrong[31] ^= 1;
    assert_eq!(parse_plain(&wrong), Err(DropReason::BadUdpChecksum));
}

/// A datagram over IPv6 with these lengths and checksum in its header.
fn udp_v6(length: u16, checksum: u16, data: &[u8]) -> Vec<u8> {
    let mut datagram = [0x14, 0xe9, 0x27, 0x0f, 0, 0, 0, 0].to_vec();
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    datagram.extend_from_slice(data);
    ip_packet("fd00::1", "fd00::2", 17, &datagram)
}

/// An IP packet without options.
fn ip_packet(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut buffer = HeaderBuffer::new();
    let fields = IpFields { traffic_class: 0, ttl: 64, ident: 0, dont_fragment: true };
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    emit_ip(&mut buffer, source, destination, protocol, payload.len(), &fields);
    [buffer.as_slice(), payload].concat()
}

#[test]
fn a_datagram_may_go_without_checksum_over_ipv4_only() {
    let mut bytes = UDP_V4;
    bytes[26..28].fill(0);
    assert!(matches!(parse_plain(&bytes), Ok(Packet::Udp { .. })));
    // RFC 8200 section 8.1.
    let bytes = udp_v6(12, 0, b"data");
    assert_eq!(parse_plain(&bytes), Err(DropReason::BadUdpChecksum));
}

#[test]
fn the_length_of_a_datagram_is_its_own() {
    let vouched = |bytes: &[u8]| {
        parse(&Frame { checksum: Checksum::Vouched, ..Frame::plain(bytes) }).map(|packet| {
            match packet {
                Packet::Udp { payload, .. } => payload.to_vec(),
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(vouched(&udp_v6(12, 1, b"data")), Ok(b"data".to_vec()));
    assert_eq!(vouched(&udp_v6(10, 1, b"data")), Ok(b"da".to_vec()));
    assert_eq!(vouched(&udp_v6(8, 1, b"data")), Ok(vec![]));
    for impossible in [0, 7, 13] {
        let result = vouched(&udp_v6(impossible, 1, b"data"));
        assert_eq!(result, Err(DropReason::MalformedUdp));
    }
    let cut = ip_packet("fd00::1", "fd00::2", 17, &[0; 7]);
    assert_eq!(vouched(&cut), Err(DropReason::MalformedUdp));
}

#[test]
fn other_protocols_are_named() {
    // 58 is ICMPv6 and 1 is ICMP: over the other family they are nothing.
    for (source, destination, protocol) in [
        ("192.0.2.1", "192.0.2.2", 132),
        ("fd00::1", "fd00::2", 132),
        ("192.0.2.1", "192.0.2.2", 58),
        ("fd00::1", "fd00::2", 1),
    ] {
        let bytes = ip_packet(source, destination, protocol, b"anything");
        let other = Packet::Other {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol,
        };
        assert_eq!(parse_plain(&bytes), Ok(other));
    }
}

#[test]
fn drop_reasons_are_a_table() {
    for (at, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), at);
        let same = |other: &&DropReason| other.name() == reason.name();
        assert_eq!(DropReason::ALL.iter().filter(same).count(), 1, "{reason}");
    }
}

/// Addresses a host can have, of one family.
fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let v4 = any::<[u8; 4]>().prop_map(|mut octets| {
        octets[0] = 1 + (octets[0] % 126);
        IpAddr::from(octets)
    });
    let v6 = any::<[u8; 16]>().prop_map(|mut octets| {
        octets[0] = 0x20 | (octets[0] % 0x20);
        IpAddr::from(octets)
    });
    prop_oneof![(v4.clone(), v4), (v6.clone(), v6)]
}

/// Options that mean something in a segment with (or without) SYN, and fit.
fn segment_options(syn: bool) -> impl Strategy<Value = Options> {
    (
        prop::option::of(1..=u16::MAX),
        prop::option::of((0u8..=14).prop_map(WindowScale::new)),
        any::<bool>(),
        prop::option::of(any::<(u32, u32)>()),
        vec(any::<(u32, u32)>(), 0..=4),
        prop::option::of((any::<bool>(), 0usize..=3, any::<[u32; 3]>())),
    )
        .prop_map(move |(mss, window_scale, sack_permitted, timestamps, blocks, counters)| {
            let mut sack = SackBlocks::EMPTY;
            let ecn = counters.map(|(first, count, [e0b, ceb, e1b])| {
                let order = if first { EcnOrder::Ect0First } else { EcnOrder::Ect1First };
                EcnCounters::new(order, count, e0b, ceb, e1b)
            });
            let stamps = if timestamps.is_some() { 12 } else { 0 };
            let taken = stamps + ecn.map_or(0, |counters| counters.len());
            let room = (36 - taken) / 8;
            for (start, end) in blocks.into_iter().take(if syn { 0 } else { room }) {
                sack.push(SeqRange { start: SeqNum(start), end: SeqNum(end) });
            }
            Options {
                mss: mss.filter(|_| syn),
                window_scale: window_scale.filter(|_| syn),
                sack_permitted: sack_permitted && syn,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                sack,
                ecn,
            }
        })
}

fn headers() -> impl Strategy<Value = TcpHeader> {
    let options = (0u16..=Flags::all().bits())
        .prop_map(Flags::from_bits_retain)
        .prop_flat_map(|flags| (Just(flags), segment_options(flags.contains(Flags::SYN))));
    let ip = (any::<u8>(), any::<u8>(), any::<u16>(), any::<bool>());
    let fields = any::<(u32, u32, u16, u16)>();
    (addresses(), any::<(u16, u16)>(), options, ip, fields)
        .prop_filter("a land attack", |(addresses, ports, ..)| {
            addresses.0 != addresses.1 || ports.0 != ports.1
        })
        .prop_map(|(addresses, ports, (flags, options), ip, fields)| TcpHeader {
            flow: Flow::new(
                SocketAddr::new(addresses.0, ports.0),
                SocketAddr::new(addresses.1, ports.1),
            ),
            seq: SeqNum(fields.0),
            ack: SeqNum(fields.1),
            flags,
            window: fields.2,
            urgent: fields.3,
            options,
            traffic_class: ip.0,
            ttl: ip.1,
            ident: ip.2,
            dont_fragment: ip.3,
        })
}

/// Whether a receiver can tell that this bit was flipped, and tells it for sure.
fn is_covered(is_ipv6: bool, bit: usize) -> bool {
    // Without a checksum of its own, IPv6 leaves traffic class, flow label and hop limit to
    // chance; and when its length shrinks, the bytes cut off may make up for it.
    let is_version = matches!(bit, 4..8);
    !is_ipv6 || is_version || !matches!(bit / 8, 0..=5 | 7)
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(
        header in headers(), payload in vec(any::<u8>(), 0..200), cut: prop::sample::Index,
        padding in 0usize..50,
    ) {
        let (first, second) = payload.split_at(cut.index(payload.len() + 1));
        let (mut bytes, checksum) = emitted(&header, [first, second], false);
        prop_assert_eq!(checksum, Checksum::Full);
        let header_len = header.flow.ip_header_len() + 20 + options_len(&header.options);
        prop_assert_eq!(bytes.len(), header_len + payload.len());
        let whole = expected(&header, &payload);
        prop_assert_eq!(parse_plain(&bytes), Ok(whole));
        bytes.resize(bytes.len() + padding, 0xee);
        prop_assert_eq!(parse_plain(&bytes), Ok(whole), "padding counts");
    }

    #[test]
    fn a_packet_cut_short_is_none(
        header in headers(), payload in vec(any::<u8>(), 0..100), at: prop::sample::Index,
    ) {
        let (bytes, _) = emitted(&header, [&payload, &[]], false);
        let cut = &bytes[..at.index(bytes.len())];
        let reason = if cut.is_empty() { DropReason::NotIp } else { DropReason::Truncated };
        prop_assert_eq!(parse_plain(cut), Err(reason));
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        header in headers(), payload in vec(any::<u8>(), 0..100), at: prop::sample::Index,
    ) {
        let (mut bytes, _) = emitted(&header, [&payload, &[]], false);
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let result = parse_plain(&bytes);
        if is_covered(header.flow.is_ipv6(), bit) {
            prop_assert!(!matches!(result, Ok(Packet::Tcp { .. })), "{:?}", result);
        } else if !matches!(bit / 8, 4 | 5) {
            // Nothing but the ECN field may differ.
            let Ok(Packet::Tcp { flow, segment, .. }) = result else {
                panic!("{result:?}");
            };
            let ecn = EcnField::from_bits(header.traffic_class);
            let same = Packet::Tcp { flow, segment: Segment { ecn, ..segment } };
            prop_assert_eq!(same, expected(&header, &payload));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(
        mut bytes in vec(any::<u8>(), 0..200), version: Option<bool>, protocol: Option<bool>,
    ) {
        // Mostly with a version and a protocol that lead somewhere.
        if let (Some(is_ipv6), Some(first)) = (version, bytes.first_mut()) {
            *first = if is_ipv6 { 0x60 } else { 0x45 };
            let protocol = protocol.map(|tcp| if tcp { 6 } else if is_ipv6 { 58 } else { 1 });
            let at = if is_ipv6 { 6 } else { 9 };
            if let (Some(protocol), Some(place)) = (protocol, bytes.get_mut(at)) {
                *place = protocol;
            }
        }
        let _ = parse_plain(&bytes);
        let vouched = Frame { checksum: Checksum::Vouched, ..Frame::plain(&bytes) };
        let _ = parse(&vouched);
    }

    #[test]
    fn a_valid_packet_with_damage_makes_no_panic(
        header in headers(), payload in vec(any::<u8>(), 0..60),
        damage in vec(any::<(prop::sample::Index, u8)>(), 1..6), cut: Option<prop::sample::Index>,
    ) {
        let (mut bytes, _) = emitted(&header, [&payload, &[]], false);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = parse_plain(&bytes);
        let vouched = Frame { checksum: Checksum::Vouched, ..Frame::plain(&bytes) };
        let _ = parse(&vouched);
    }
}
