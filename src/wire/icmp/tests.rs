#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::codec::{Packet, TcpHeader, emit_ip, emit_tcp};
use crate::wire::{Checksum, Flags, Frame, Options};

/// An echo request with "abc" from 192.0.2.1 to 192.0.2.2, and the answer.
#[rustfmt::skip]
const PING_V4: [u8; 31] = [
    0x45, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xb6, 0xda, 0xc0, 0x00, 0x02, 0x01,
    0xc0, 0x00, 0x02, 0x02, 0x08, 0x00, 0x21, 0x68, 0x12, 0x34, 0x00, 0x01, 0x61, 0x62, 0x63,
];
#[rustfmt::skip]
const PONG_V4: [u8; 31] = [
    0x45, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xb6, 0xda, 0xc0, 0x00, 0x02, 0x02,
    0xc0, 0x00, 0x02, 0x01, 0x00, 0x00, 0x29, 0x68, 0x12, 0x34, 0x00, 0x01, 0x61, 0x62, 0x63,
];
/// The same between 2001:db8::1 and 2001:db8::2.
#[rustfmt::skip]
const PING_V6: [u8; 51] = [
    0x60, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x80, 0x00, 0x4d, 0xad, 0x12, 0x34, 0x00, 0x01,
    0x61, 0x62, 0x63,
];
#[rustfmt::skip]
const PONG_V6: [u8; 51] = [
    0x60, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x81, 0x00, 0x4c, 0xad, 0x12, 0x34, 0x00, 0x01,
    0x61, 0x62, 0x63,
];

/// Us, the peer and a router on the way, in both families.
const V4: [&str; 3] = ["192.0.2.1", "192.0.2.2", "198.51.100.7"];
const V6: [&str; 3] = ["2001:db8::1", "2001:db8::2", "2001:db8:ffff::7"];

fn parse_plain(bytes: &[u8]) -> Result<Packet<'_>, DropReason> {
    codec::parse(&Frame::plain(bytes))
}

/// A packet with this payload.
fn ip_packet(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut buffer = HeaderBuffer::new();
    let fields = IpFields { traffic_class: 0, ttl: 64, ident: 0, dont_fragment: true };
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    let length = payload.len();
    emit_ip(&mut buffer, source, destination, protocol, length, &fields);
    [buffer.as_slice(), payload].concat()
}

/// A datagram to a port; its checksum is nobody's business here.
fn datagram(family: [&str; 3], data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len() as u16).to_be_bytes();
    let header = [0x14, 0xe9, 0x27, 0x0f, length[0], length[1], 0, 1];
    ip_packet(family[1], family[0], 17, &[&header, data].concat())
}

/// A segment of ours to the peer.
fn segment(family: [&str; 3]) -> (TcpHeader, Vec<u8>) {
    let header = TcpHeader {
        flow: Flow::between((family[0].parse().unwrap(), 40_000), (family[1].parse().unwrap(), 80)),
        seq: SeqNum(0xfeed_beef),
        ack: SeqNum(1),
        flags: Flags::ACK,
        window: 1,
        urgent: 0,
        options: Options::default(),
        traffic_class: 0,
        ttl: 64,
        ident: 0,
        dont_fragment: true,
    };
    let mut buffer = HeaderBuffer::new();
    emit_tcp(&mut buffer, &header, [b"text", &[]], false);
    (header, [buffer.as_slice(), b"text"].concat())
}

/// An ICMP message from the router to us.
fn from_router(family: [&str; 3], kind: u8, code: u8, rest: [u8; 4], quote: &[u8]) -> Vec<u8> {
    let (router, us) = (family[2].parse().unwrap(), family[0].parse().unwrap());
    packet(router, us, kind, code, rest, quote)
}

/// What the stack makes of an error of this kind that quotes `quote`.
fn error_kind(
    family: [&str; 3],
    kind: u8,
    code: u8,
    rest: [u8; 4],
) -> Result<IcmpErrorKind, DropReason> {
    let (header, quote) = segment(family);
    match parse_plain(&from_router(family, kind, code, rest, &quote))? {
        Packet::IcmpError(error) => {
            assert_eq!((error.flow, error.seq), (header.flow, header.seq));
            Ok(error.kind)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_echo_request_is_answered_in_kind() {
    for (ping, pong) in [(&PING_V4[..], &PONG_V4[..]), (&PING_V6, &PONG_V6)] {
        let Ok(Packet::Echo(echo)) = parse_plain(ping) else {
            panic!("{:?}", parse_plain(ping));
        };
        assert_eq!(echo_reply(&echo), pong);
        // An answer asks for none.
        assert_eq!(parse_plain(pong), Err(DropReason::IgnoredIcmp));
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    for ping in [&PING_V4[..], &PING_V6] {
        let mut wrong = ping.to_vec();
        *wrong.last_mut().unwrap() ^= 0x10;
        assert_eq!(parse_plain(&wrong), Err(DropReason::BadIcmpChecksum));
        let vouched = Frame { checksum: Checksum::Vouched, ..Frame::plain(&wrong) };
        assert!(matches!(codec::parse(&vouched), Ok(Packet::Echo(_))));
    }
}

#[test]
fn a_message_without_a_whole_header_is_malformed() {
    for (family, protocol) in [(V4, ICMP), (V6, ICMP_V6)] {
        let bytes = ip_packet(family[1], family[0], protocol, &[8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse_plain(&bytes), Err(DropReason::MalformedIcmp));
    }
}

#[test]
fn what_the_errors_of_ipv4_say() {
    use IcmpErrorKind::{ParameterProblem, SourceQuench, TimeExceeded, Unreachable as U};
    use Unreachable::{Host, Network, Port, Prohibited, Protocol};
    let unreachable = [
        (0, Network),
        (1, Host),
        (2, Protocol),
        (3, Port),
        (5, Network),
        (6, Network),
        (7, Host),
        (9, Prohibited),
        (10, Prohibited),
        (13, Prohibited),
    ];
    for (code, what) in unreachable {
        assert_eq!(error_kind(V4, 3, code, [0; 4]), Ok(U(what)), "code {code}");
    }
    for (kind, what) in [(4, SourceQuench), (11, TimeExceeded), (12, ParameterProblem)] {
        assert_eq!(error_kind(V4, kind, 0, [0; 4]), Ok(what));
    }
    let mtu = |rest| error_kind(V4, 3, 4, rest);
    // RFC 1191 section 4: the low 16 bits; RFC 4884 uses a byte of the others.
    let too_big = |mtu| Ok(IcmpErrorKind::PacketTooBig { mtu });
    assert_eq!(mtu([0, 32, 0x05, 0x78]), too_big(1400));
    assert_eq!(mtu([0; 4]), too_big(0));
    assert_eq!(error_kind(V4, 3, 16, [0; 4]), Err(DropReason::IgnoredIcmp));
    assert_eq!(error_kind(V4, 5, 1, [0; 4]), Err(DropReason::IgnoredIcmp));
}

#[test]
fn what_the_errors_of_ipv6_say() {
    use IcmpErrorKind::{PacketTooBig, ParameterProblem, TimeExceeded, Unreachable as U};
    use Unreachable::{Host, Network, Port, Prohibited};
    let unreachable = [
        (0, Network),
        (1, Prohibited),
        (2, Network),
        (3, Host),
        (4, Port),
        (5, Prohibited),
        (6, Prohibited),
    ];
    for (code, what) in unreachable {
        assert_eq!(error_kind(V6, 1, code, [0; 4]), Ok(U(what)), "code {code}");
    }
    let mtu = [0, 0, 0x05, 0x00];
    assert_eq!(error_kind(V6, 2, 0, mtu), Ok(PacketTooBig { mtu: 1280 }));
    assert_eq!(error_kind(V6, 3, 0, [0; 4]), Ok(TimeExceeded));
    assert_eq!(error_kind(V6, 4, 1, [0; 4]), Ok(ParameterProblem));
    assert_eq!(error_kind(V6, 100, 0, [0; 4]), Err(DropReason::IgnoredIcmp));
    // Neighbour discovery has no use on a link without addresses.
    assert_eq!(error_kind(V6, 135, 0, [0; 4]), Err(DropReason::IgnoredIcmp));
}

#[test]
fn eight_bytes_of_the_segment_are_enough() {
    for (family, kind, ip_header) in [(V4, 3, 20), (V6, 1, 40)] {
        let (header, quote) = segment(family);
        for len in 0..quote.len() {
            let bytes = from_router(family, kind, 1, [0; 4], &quote[..len]);
            let result = parse_plain(&bytes);
            if len < ip_header + 8 {
                assert_eq!(result, Err(DropReason::MalformedIcmp), "{len} bytes");
                continue;
            }
            let Ok(Packet::IcmpError(error)) = result else {
                panic!("{result:?}");
            };
            assert_eq!((error.flow, error.seq), (header.flow, header.seq));
        }
    }
}

#[test]
fn a_quote_may_have_gone_through_routers() {
    // The hop count has run down, and nobody has mended the header's checksum.
    let (_, mut quote) = segment(V4);
    quote[8] = 1;
    let bytes = from_router(V4, 11, 0, [0; 4], &quote);
    assert!(matches!(parse_plain(&bytes), Ok(Packet::IcmpError(_))));
}

#[test]
fn errors_about_what_we_did_not_send_are_ignored() {
    let (_, ours) = segment(V4);
    let mut later_fragment = ours.clone();
    later_fragment[7] = 1;
    let mut from_another = ours.clone();
    from_another[15] = 99;
    let udp = datagram([V4[1], V4[0], V4[2]], b"data");
    let (_, other_family) = segment(V6);
    for quote in [later_fragment, from_another, udp, other_family] {
        let bytes = from_router(V4, 3, 1, [0; 4], &quote);
        assert_eq!(parse_plain(&bytes), Err(DropReason::IgnoredIcmp));
    }
}

/// Checks an answer that quotes `offending`, and gives the ICMP message in it.
fn message_of<'a>(answer: &'a [u8], family: [&str; 3], offending: &[u8]) -> &'a [u8] {
    let ip = codec::read_ip(answer).unwrap();
    assert_eq!(ip.source, family[0].parse::<IpAddr>().unwrap());
    assert_eq!(ip.destination, family[1].parse::<IpAddr>().unwrap());
    assert_eq!(checksum(ip.source, ip.destination, &[ip.payload]), 0);
    assert!(offending.starts_with(&ip.payload[8..]));
    ip.payload
}

#[test]
fn a_datagram_to_no_one_is_answered() {
    let offending = datagram(V4, b"data");
    let answer = port_unreachable(&offending).unwrap();
    let message = message_of(&answer, V4, &offending);
    assert_eq!((&message[..2], message.len()), (&[3, 3][..], 8 + 32));

    let offending = datagram(V6, b"data");
    let answer = port_unreachable(&offending).unwrap();
    let message = message_of(&answer, V6, &offending);
    assert_eq!((&message[..2], message.len()), (&[1, 4][..], 8 + 52));
}

#[test]
fn an_answer_quotes_no_more_than_it_may() {
    for (family, most) in [(V4, 576), (V6, 1280)] {
        let offending = datagram(family, &[7; 1400]);
        let answer = port_unreachable(&offending).unwrap();
        message_of(&answer, family, &offending);
        assert_eq!(answer.len(), most);
        // Padding behind the packet is not quoted.
        let short = datagram(family, b"data");
        let padded = [&short[..], &[0; 40]].concat();
        assert_eq!(port_unreachable(&padded), port_unreachable(&short));
    }
}

#[test]
fn the_peer_understands_our_answers() {
    for (family, kind) in [
        (V4, IcmpErrorKind::Unreachable(Unreachable::Protocol)),
        (V6, IcmpErrorKind::ParameterProblem),
    ] {
        let (header, offending) = segment(family);
        let answer = protocol_unreachable(&offending).unwrap();
        let Ok(Packet::IcmpError(error)) = parse_plain(&answer) else {
            panic!("{:?}", parse_plain(&answer));
        };
        assert_eq!((error.flow, error.kind), (header.flow, kind));
    }
}

#[test]
fn the_parameter_problem_points_at_the_protocol() {
    // Behind a destination options header the protocol is its first byte.
    let payload = [132, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4];
    let offending = ip_packet(V6[1], V6[0], 60, &payload);
    let answer = protocol_unreachable(&offending).unwrap();
    let message = message_of(&answer, V6, &offending);
    assert_eq!(message[..2], [4, 1]);
    assert_eq!(message[4..8], [0, 0, 0, 40]);
}

#[test]
fn packets_that_no_error_may_answer() {
    let zeros = [0; 8];
    let errors_v4 = [3, 4, 5, 11, 12];
    for kind in errors_v4 {
        let offending = from_router(V4, kind, 0, [0; 4], &zeros);
        assert_eq!(port_unreachable(&offending), None, "type {kind}");
        assert_eq!(protocol_unreachable(&offending), None, "type {kind}");
    }
    for kind in [1, 2, 3, 4, 100, 127, 137] {
        let offending = from_router(V6, kind, 0, [0; 4], &zeros);
        assert_eq!(port_unreachable(&offending), None, "type {kind}");
    }
    for (source, destination) in [
        ("192.0.2.1", "224.0.0.1"),
        ("192.0.2.1", "255.255.255.255"),
        ("0.0.0.0", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1"),
        ("224.0.0.1", "192.0.2.1"),
        ("2001:db8::1", "ff02::1"),
        ("::", "2001:db8::1"),
    ] {
        let offending = ip_packet(source, destination, 17, &[0; 12]);
        assert_eq!(port_unreachable(&offending), None, "{source} {destination}");
    }
    let mut fragment = datagram(V4, b"data");
    fragment[6..8].copy_from_slice(&[0x20, 1]);
    fragment[10..12].fill(0);
    let sum = Sum::ZERO.add_bytes(&fragment[..20]).finish();
    fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(port_unreachable(&fragment), None);
    // An empty message might have been an error.
    assert_eq!(port_unreachable(&ip_packet(V4[1], V4[0], 1, &[])), None);
    assert_eq!(port_unreachable(&[]), None);
}

proptest! {
    #[test]
    fn any_message_with_a_right_checksum_makes_no_panic(
        is_v6: bool, kind in prop_oneof![0u8..13, 128u8..130, any::<u8>()], code in 0u8..17,
        rest: [u8; 4], quote in vec(any::<u8>(), 0..80),
    ) {
        let family = if is_v6 { V6 } else { V4 };
        let bytes = from_router(family, kind, code, rest, &quote);
        prop_assert_ne!(parse_plain(&bytes), Err(DropReason::BadIcmpChecksum));
        let _ = port_unreachable(&bytes);
    }

    #[test]
    fn an_echo_comes_back_whole(is_v6: bool, rest: [u8; 4], data in vec(any::<u8>(), 0..100)) {
        let family = if is_v6 { V6 } else { V4 };
        let kind = if is_v6 { v6::ECHO_REQUEST } else { v4::ECHO_REQUEST };
        let bytes = from_router(family, kind, 0, rest, &data);
        let Ok(Packet::Echo(echo)) = parse_plain(&bytes) else { panic!("no echo") };
        let reply = echo_reply(&echo);
        let ip = codec::read_ip(&reply).unwrap();
        prop_assert_eq!(checksum(ip.source, ip.destination, &[ip.payload]), 0);
        prop_assert_eq!(&ip.payload[4..8], &rest[..]);
        prop_assert_eq!(&ip.payload[8..], &data[..]);
    }
}
