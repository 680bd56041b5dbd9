//! A packet that somebody else's capture holds: read for what it says, whoever it is for.
//!
//! [`parse`](super::parse()) is a host's reader and refuses what RFC 1122 has a host refuse. An observer
//! meets packets that are right and yet no business of a host on a wire: those of a loopback
//! interface, those whose checksums a device was still to finish, those cut off behind their
//! headers to save room, and super-segments longer than a length field can say.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::ip::skip_extensions;
use super::{TCP_OFFSET_AT, options};
use crate::wire::{EcnField, Flags, Flow, Segment, SeqNum};

/// A segment that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'f> {
    /// The connection; its local end is the packet's source.
    pub flow: Flow,
    /// The segment, with as much of its text as the capture has kept.
    pub segment: Segment<'f>,
    /// Bytes of text that it had on the wire.
    pub text_len: u32,
}

/// Reads a TCP segment out of an IP packet of `wire_len` bytes, of which `bytes` are what is left.
///
/// Neither checksums nor addresses are looked at. None if it is something else, if its headers are
/// not whole, or if it is a fragment.
pub fn observe(bytes: &[u8], wire_len: usize) -> Option<Observed<'_>> {
    match bytes.first()? >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
            if header.is_fragmenting_payload() || header.protocol() != IpNumber::TCP {
                return None;
            }
            // Linux leaves the field of a super-segment zero that is too long for it, as with
            // IPv6: then the packet ends where it ends.
            let len = match usize::from(header.total_len()) {
                0 => wire_len,
                len => len,
            };
            let ends = (header.source_addr().into(), header.destination_addr().into());
            let ecn = EcnField::from_bits(header.ecn().value());
            transport(bytes, len, header.slice().len(), ends, ecn)
        }
        6 => {
            let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
            let (named_at, at) = skip_extensions(bytes, header.header_len()).ok()?;
            if *bytes.get(named_at)? != IpNumber::TCP.0 {
                return None;
            }
            let len = match usize::from(header.payload_length()) {
                0 => wire_len,
                len => header.header_len() + len,
            };
            let ends = (header.source_addr().into(), header.destination_addr().into());
            let ecn = EcnField::from_bits(header.ecn().value());
            transport(bytes, len, at, ends, ecn)
        }
        _ => None,
    }
}

/// Reads the segment that begins at `at` of a packet that was `len` bytes long.
fn transport(
    bytes: &[u8],
    len: usize,
    at: usize,
    (source, destination): (IpAddr, IpAddr),
    ecn: EcnField,
) -> Option<Observed<'_>> {
    // Behind the packet's own end lies padding.
    let bytes = bytes.get(..len).unwrap_or(bytes).get(at..)?;
    let header = TcpHeaderSlice::from_slice(bytes).ok()?;
    let header_len = header.slice().len();
    let flags = Flags::from_header(*bytes.get(TCP_OFFSET_AT..)?.first_chunk()?);
    let text_len = len.checked_sub(at)?.checked_sub(header_len)?;
    Some(Observed {
        flow: Flow::between(
            (source, header.source_port()),
            (destination, header.destination_port()),
        ),
        segment: Segment {
            seq: SeqNum(header.sequence_number()),
            ack: SeqNum(header.acknowledgment_number()),
            flags,
            window: header.window_size(),
            urgent: header.urgent_pointer(),
            options: options::parse(header.options(), flags.contains(Flags::SYN)),
            ecn,
            payload: bytes.get(header_len..)?,
            segment_size: None,
        },
        text_len: u32::try_from(text_len).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{HeaderBuffer, TcpHeader, emit_tcp};
    use super::*;
    use crate::wire::{Options, SeqRange, Timestamps};

    /// A packet with options of two kinds and `text`, whose checksum is left to a device.
    fn packet(source: &str, destination: &str, text: &[u8]) -> Vec<u8> {
        let mut options =
            Options { timestamps: Some(Timestamps { value: 7, echo: 8 }), ..Options::default() };
        options.sack.push(SeqRange::new(SeqNum(100), 50));
        let header = TcpHeader {
            flow: Flow::new(source.parse().unwrap(), destination.parse().unwrap()),
            seq: SeqNum(1_000),
            ack: SeqNum(77),
            flags: Flags::ACK | Flags::PSH,
            window: 512,
            urgent: 0,
            options,
            traffic_class: 2,
            ttl: 64,
            ident: 0,
            dont_fragment: true,
        };
        let mut buffer = HeaderBuffer::new();
        emit_tcp(&mut buffer, &header, [text, &[]], true);
        [buffer.as_slice(), text].concat()
    }

    #[test]
    fn a_packet_of_a_loopback_interface_with_an_unfinished_checksum_is_read() {
        for (source, destination) in
            [("127.0.0.1:80", "127.0.0.1:4000"), ("[::1]:80", "[::1]:4000")]
        {
            let bytes = packet(source, destination, b"hello");
            let seen = observe(&bytes, bytes.len()).unwrap();
            assert_eq!(seen.flow.local_addr().to_string(), source);
            assert_eq!(seen.flow.remote_addr().to_string(), destination);
            assert_eq!((seen.segment.payload, seen.text_len), (&b"hello"[..], 5));
            assert_eq!((seen.segment.seq, seen.segment.ack), (SeqNum(1_000), SeqNum(77)));
            assert_eq!(seen.segment.options.timestamps.unwrap().echo, 8);
            assert_eq!(seen.segment.options.sack.as_slice().len(), 1);
            assert_eq!(seen.segment.ecn, EcnField::Ect0);
        }
    }

    #[test]
    fn text_that_was_cut_off_counts_and_padding_does_not() {
        let mut bytes = packet("10.0.0.1:80", "10.0.0.2:4000", &[1; 1_000]);
        let whole = bytes.len();
        bytes.truncate(96);
        let seen = observe(&bytes, whole).unwrap();
        assert_eq!(seen.text_len, 1_000);
        assert!(seen.segment.payload.len() < 96);
        let mut padded = packet("10.0.0.1:80", "10.0.0.2:4000", b"");
        padded.resize(padded.len() + 6, 0);
        assert_eq!(observe(&padded, padded.len()).unwrap().text_len, 0);
    }

    #[test]
    fn a_length_field_of_zero_means_as_long_as_it_was() {
        let mut bytes = packet("10.0.0.1:80", "10.0.0.2:4000", b"text");
        bytes[2..4].fill(0);
        let more = 100_000;
        assert_eq!(observe(&bytes, bytes.len() + more).unwrap().text_len, 4 + more as u32);
        let mut bytes = packet("[fd00::1]:80", "[fd00::2]:4000", b"text");
        bytes[4..6].fill(0);
        assert_eq!(observe(&bytes, bytes.len() + more).unwrap().text_len, 4 + more as u32);
    }

    #[test]
    fn what_is_no_whole_tcp_header_is_none() {
        let bytes = packet("10.0.0.1:80", "10.0.0.2:4000", b"text");
        for len in 0..bytes.len() - 4 {
            assert_eq!(observe(&bytes[..len], bytes.len()), None, "{len}");
        }
        let mut other = bytes.clone();
        other[9] = 17;
        assert_eq!(observe(&other, other.len()), None);
        let mut fragment = bytes;
        fragment[6] |= 0x20;
        assert_eq!(observe(&fragment, fragment.len()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_observer_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
            version: Option<bool>,
            wire_len in 0usize..200_000,
        ) {
            if let (Some(is_ipv6), true) = (version, bytes.len() > 9) {
                bytes[0] = if is_ipv6 { 0x60 } else { 0x45 };
                bytes[if is_ipv6 { 6 } else { 9 }] = 6;
            }
            let _ = observe(&bytes, wire_len);
        }
    }
}
