#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const NONE: u8 = 59;
/// A protocol that nobody here serves.
const SCTP: u8 = 132;

/// An IPv4 packet from 192.0.2.1 to 192.0.2.2 with these options and payload; `edit` may change
/// its header before the checksum is set.
fn v4(options: &[u8], payload: &[u8], edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total = (header_len + payload.len()) as u16;
    let mut header = vec![0x40 | (header_len / 4) as u8, 3];
    header.extend(total.to_be_bytes());
    header.extend([0x12, 0x34, 0x40, 0, 64, SCTP, 0, 0]);
    header.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    header.extend(options);
    edit(&mut header);
    let checksum = Sum::ZERO.add_bytes(&header).finish();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header.extend(payload);
    header
}

/// An IPv6 packet from 2001:db8::1 to 2001:db8::2, whose payload begins with the header `next`.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0x20, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    packet.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
    packet.extend(payload);
    packet
}

/// [`v6`] with these extension headers, each a kind and its bytes from the third on, in front of
/// "payload" for SCTP.
fn v6_with(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let kinds = extensions.iter().map(|(kind, _)| *kind).chain([SCTP]);
    let mut nexts = kinds.clone().skip(1);
    let mut payload = Vec::new();
    for (kind, rest) in extensions {
        assert_eq!((rest.len() + 2) % 8, 0, "extension headers are multiples of 8");
        let length = if *kind == FRAGMENT { 0 } else { rest.len() / 8 };
        payload.extend([nexts.next().unwrap(), length as u8]);
        payload.extend(*rest);
    }
    payload.extend(b"payload");
    v6(kinds.clone().next().unwrap(), &payload)
}

fn reason(packet: &[u8]) -> Option<DropReason> {
    read(packet).err()
}

#[test]
fn an_ipv4_header_is_read() {
    let packet = v4(&[], b"payload", |_| {});
    let ip = read(&packet).unwrap();
    assert_eq!(ip.source, IpAddr::from([192, 0, 2, 1]));
    assert_eq!(ip.destination, IpAddr::from([192, 0, 2, 2]));
    assert_eq!((ip.ecn, ip.protocol), (3, SCTP));
    assert_eq!(packet[ip.protocol_at], SCTP);
    assert_eq!(ip.payload, b"payload");
}

#[test]
fn an_ipv6_header_is_read() {
    let packet = v6(SCTP, b"payload");
    let ip = read(&packet).unwrap();
    assert_eq!(ip.source, "2001:db8::1".parse::<IpAddr>().unwrap());
    assert_eq!(ip.destination, "2001:db8::2".parse::<IpAddr>().unwrap());
    assert_eq!((ip.ecn, ip.protocol), (2, SCTP));
    assert_eq!(packet[ip.protocol_at], SCTP);
    assert_eq!(ip.payload, b"payload");
}

#[test]
fn padding_is_no_part_of_the_packet() {
    for packet in [v4(&[], b"payload", |_| {}), v6(SCTP, b"payload")] {
        let padded = [&packet[..], &[0; 13]].concat();
        let ip = read(&padded).unwrap();
        assert_eq!((ip.payload, ip.bytes), (&b"payload"[..], &packet[..]));
    }
}

#[test]
fn versions_that_are_none() {
    assert_eq!(reason(&[]), Some(DropReason::NotIp));
    for version in [0, 1, 5, 7, 15] {
        assert_eq!(reason(&[version << 4; 60]), Some(DropReason::NotIp));
    }
}

#[test]
fn lengths_that_contradict() {
    let longer = v4(&[], b"payload", |header| header[3] += 1);
    assert_eq!(reason(&longer), Some(DropReason::Truncated));
    let shorter_than_header = v4(&[], b"payload", |header| header[3] = 19);
    assert_eq!(reason(&shorter_than_header), Some(DropReason::MalformedIp));
    let small_ihl = v4(&[], b"payload", |header| header[0] = 0x44);
    assert_eq!(reason(&small_ihl), Some(DropReason::MalformedIp));
    let large_ihl = v4(&[], b"payload", |header| header[0] = 0x4f);
    assert_eq!(reason(&large_ihl), Some(DropReason::Truncated));
    let packet = v6(SCTP, b"payload");
    assert_eq!(reason(&packet[..46]), Some(DropReason::Truncated));
    assert_eq!(reason(&packet[..39]), Some(DropReason::Truncated));
}

#[test]
fn packets_longer_than_any() {
    let v4 = v4(&[], &vec![0; 65_515], |_| {});
    assert_eq!(reason(&v4), None);
    assert_eq!(reason(&[&v4[..], &[0]].concat()), Some(DropReason::Oversized));
    let v6 = v6(SCTP, &vec![0; 65_535]);
    assert_eq!(reason(&v6), None);
    assert_eq!(reason(&[&v6[..], &[0]].concat()), Some(DropReason::Oversized));
}

#[test]
fn a_wrong_header_checksum() {
    let mut packet = v4(&[], b"payload", |_| {});
    packet[8] -= 1; // a hop that forgot it
    assert_eq!(reason(&packet), Some(DropReason::BadIpChecksum));
}

#[test]
fn ipv4_options_are_skipped_but_for_source_routes() {
    for (options, result) in [
        ([1, 1, 1, 1, 0, 0, 0, 0], None),
        ([1, 148, 4, 0, 0, 1, 1, 0], None),   // router alert
        ([7, 7, 4, 1, 2, 3, 4, 0], None),     // record route
        ([0, 131, 3, 4, 137, 3, 4, 9], None), // all behind the end
        ([131, 7, 4, 1, 2, 3, 4, 0], Some(DropReason::SourceRoute)),
        ([1, 137, 7, 4, 1, 2, 3, 4], Some(DropReason::SourceRoute)),
        ([7, 0, 4, 1, 2, 3, 4, 0], Some(DropReason::MalformedIp)),
        ([7, 1, 4, 1, 2, 3, 4, 0], Some(DropReason::MalformedIp)),
        ([7, 9, 4, 1, 2, 3, 4, 0], Some(DropReason::MalformedIp)),
        ([1, 1, 1, 1, 1, 1, 1, 7], Some(DropReason::MalformedIp)),
    ] {
        let packet = v4(&options, b"payload", |_| {});
        match read(&packet) {
            Ok(ip) => {
                assert_eq!(result, None, "{options:?}");
                assert_eq!(ip.payload, b"payload");
            }
            Err(reason) => assert_eq!(Some(reason), result, "{options:?}"),
        }
    }
}

#[test]
fn fragments_of_ipv4() {
    for (flags_and_offset, result) in [
        ([0x20, 0], Some(DropReason::Fragment)),
        ([0, 1], Some(DropReason::Fragment)),
        ([0x1f, 0xff], Some(DropReason::Fragment)),
        ([0x40, 0], None),
        ([0x80, 0], None), // the reserved bit says nothing
    ] {
        let packet = v4(&[], b"payload", |header| {
            header[6..8].copy_from_slice(&flags_and_offset);
        });
        assert_eq!(reason(&packet), result, "{flags_and_offset:?}");
    }
}

#[test]
fn sources_that_no_host_has() {
    for (source, martian) in [
        ([0, 0, 0, 0], true),
        ([0, 1, 2, 3], true),
        ([127, 0, 0, 1], true),
        ([224, 0, 0, 1], true),
        ([240, 0, 0, 1], true),
        ([255, 255, 255, 255], true),
        ([1, 0, 0, 1], false),
        ([126, 0, 0, 1], false),
        ([223, 255, 255, 254], false),
        ([10, 0, 0, 1], false),
    ] {
        let packet = v4(&[], &[], |header| header[12..16].copy_from_slice(&source));
        let result = martian.then_some(DropReason::MartianSource);
        assert_eq!(reason(&packet), result, "{source:?}");
    }
    for (source, martian) in [
        ("::", true),
        ("::1", true),
        ("ff02::1", true),
        ("::ffff:192.0.2.1", true),
        ("fe80::1", false),
        ("fd00::1", false),
        ("2001:db8::1", false),
    ] {
        let mut packet = v6(SCTP, &[]);
        packet[8..24].copy_from_slice(&source.parse::<Ipv6Addr>().unwrap().octets());
        let result = martian.then_some(DropReason::MartianSource);
        assert_eq!(reason(&packet), result, "{source}");
    }
}

#[test]
fn destinations_that_are_more_than_one_host() {
    for destination in [[224, 0, 0, 1], [239, 255, 255, 255], [255, 255, 255, 255]] {
        let packet = v4(&[], &[], |header| {
            header[16..20].copy_from_slice(&destination);
        });
        assert_eq!(reason(&packet), Some(DropReason::MulticastOrBroadcast));
    }
    let mut packet = v6(SCTP, &[]);
    packet[24..40].copy_from_slice(&"ff02::1".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(reason(&packet), Some(DropReason::MulticastOrBroadcast));
}

/// Six bytes of padding: PadN with four zeros.
const PADDING: &[u8] = &[1, 4, 0, 0, 0, 0];
/// A route that is done: type 4, no segments left.
const ROUTE_DONE: &[u8] = &[4, 0, 0, 0, 0, 0];
/// Offset 0, no more fragments, some identification.
const ATOMIC: &[u8] = &[0, 0, 1, 2, 3, 4];

#[test]
fn extension_headers_are_skipped() {
    let router_alert_and_more = [5, 2, 0, 0, 0, 0, 30, 6, 1, 2, 3, 4, 5, 6];
    for extensions in [
        &[(HOP_BY_HOP, PADDING)][..],
        &[(HOP_BY_HOP, &router_alert_and_more[..])],
        &[(DESTINATION_OPTIONS, PADDING)],
        &[(ROUTING, ROUTE_DONE)],
        &[(FRAGMENT, ATOMIC)], // RFC 6946
        &[
            (HOP_BY_HOP, PADDING),
            (DESTINATION_OPTIONS, PADDING),
            (ROUTING, ROUTE_DONE),
            (FRAGMENT, ATOMIC),
            (DESTINATION_OPTIONS, PADDING),
        ],
        &[(DESTINATION_OPTIONS, PADDING); 8],
    ] {
        let packet = v6_with(extensions);
        let ip = read(&packet).unwrap();
        assert_eq!((ip.protocol, ip.payload), (SCTP, &b"payload"[..]));
        assert_eq!(packet[ip.protocol_at], SCTP);
    }
}

#[test]
fn extension_headers_that_drop_the_packet() {
    let segments_left: &[u8] = &[0, 1, 0, 0, 0, 0];
    let more_fragments: &[u8] = &[0, 1, 1, 2, 3, 4];
    let offset: &[u8] = &[0, 8, 1, 2, 3, 4];
    let past_the_end: &[u8] = &[1, 5, 0, 0, 0, 0];
    let no_length: &[u8] = &[0, 0, 0, 0, 0, 1];
    use DropReason::{Fragment, MalformedIp, SourceRoute, TooManyExtensions, UnknownExtension};
    for (extensions, result) in [
        (&[(ROUTING, segments_left)][..], SourceRoute),
        (&[(FRAGMENT, more_fragments)], Fragment),
        (&[(FRAGMENT, offset)], Fragment),
        (&[(DESTINATION_OPTIONS, past_the_end)], MalformedIp),
        (&[(HOP_BY_HOP, no_length)], MalformedIp),
        (&[(DESTINATION_OPTIONS, PADDING), (HOP_BY_HOP, PADDING)], UnknownExtension),
        (&[(DESTINATION_OPTIONS, PADDING); 9], TooManyExtensions),
        (&[(50, PADDING)], UnknownExtension), // ESP
        (&[(51, PADDING)], UnknownExtension), // AH
        (&[(135, PADDING)], UnknownExtension),
        (&[(253, PADDING)], UnknownExtension),
    ] {
        assert_eq!(reason(&v6_with(extensions)), Some(result), "{extensions:?}");
    }
    assert_eq!(reason(&v6(NONE, &[])), Some(DropReason::NoNextHeader));
}

#[test]
fn an_unknown_option_is_skipped_only_if_it_says_so() {
    // RFC 8200 section 4.2: the two highest bits of the kind.
    for (kind, skipped) in [(0x1e, true), (0x5e, false), (0x9e, false), (0xde, false)] {
        let options: &[u8] = &[kind, 4, 0, 0, 0, 0];
        for header in [HOP_BY_HOP, DESTINATION_OPTIONS] {
            let result = reason(&v6_with(&[(header, options)]));
            let wanted = (!skipped).then_some(DropReason::UnknownExtension);
            assert_eq!(result, wanted, "{kind:#x}");
        }
    }
}

#[test]
fn extension_headers_cut_short() {
    let whole = v6_with(&[(HOP_BY_HOP, PADDING), (FRAGMENT, ATOMIC)]);
    for cut in 40..56 {
        let mut packet = whole[..cut].to_vec();
        packet[5] = (cut - 40) as u8;
        assert_eq!(reason(&packet), Some(DropReason::Truncated), "{cut} bytes");
    }
}

proptest! {
    #[test]
    fn any_extension_headers_make_no_panic(
        kinds in vec(prop::sample::select(vec![0u8, 6, 43, 44, 51, 59, 60]), 1..12),
        mut payload in vec(prop_oneof![0u8..4, any::<u8>()], 0..160),
    ) {
        for (place, kind) in payload.chunks_mut(8).zip(&kinds[1..]) {
            place[0] = *kind;
        }
        let packet = v6(kinds[0], &payload);
        if let Ok(ip) = read(&packet) {
            prop_assert!(packet.ends_with(ip.payload));
            prop_assert_eq!(packet[ip.protocol_at], ip.protocol);
        }
    }

    #[test]
    fn any_ipv4_options_make_no_panic(options in vec(prop_oneof![0u8..12, any::<u8>()], 0..=10)) {
        let options = options.repeat(4);
        if let Ok(ip) = read(&v4(&options, b"payload", |_| {})) {
            prop_assert_eq!(ip.payload, b"payload");
        }
    }

    #[test]
    fn any_quote_makes_no_panic(mut quote in vec(any::<u8>(), 0..100), version in 0u8..3) {
        if let (Some(first), 1..) = (quote.first_mut(), version) {
            *first = if version == 1 { 0x45 } else { 0x60 };
        }
        let _ = quoted_tcp(&quote);
    }
}
