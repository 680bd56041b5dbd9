//! The virtio-net header, which says of a packet what was left undone on it: its checksum, and
//! cutting its text into segments (Virtual I/O Device version 1.2, section 5.1.6; `struct
//! virtio_net_hdr` of linux/virtio_net.h).
//!
//! ```text
//!  0      1         2       4        6          8           10
//!  +------+---------+-------+--------+----------+-----------+
//!  |flags |gso type |hdr len|gso size|csum start|csum offset|  little-endian
//!  +------+---------+-------+--------+----------+-----------+
//! ```

use core::num::NonZeroU16;

use crate::wire::codec::SuperHeaders;
use crate::wire::{Checksum, Flags, Frame, Transmit};

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 10;

/// The checksum field holds the sum of the pseudo-header only.
const NEEDS_CSUM: u8 = 1;
/// The checksum was found right.
const DATA_VALID: u8 = 2;

/// One segment.
const GSO_NONE: u8 = 0;
/// Text to be cut into TCP segments over IPv4.
const GSO_TCPV4: u8 = 1;
/// The same over IPv6.
const GSO_TCPV6: u8 = 4;
/// Beside either: the segment says CWR, which only the first of the cut ones may say.
const GSO_ECN: u8 = 0x80;

/// Reads a header and the packet behind it. `None` when the header is cut off, contradicts itself or
/// the packet, or speaks of what was never agreed to, such as cutting a datagram.
///
/// The length of the headers in it is a hint (section 5.1.6.4.1), so it is not used; but one beyond
/// the end of the packet is as wrong as any other.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&[flags, gso_type, l0, l1, g0, g1, s0, s1, o0, o1], packet) =
        bytes.split_first_chunk::<HEADER_LEN>()?;
    let checksum = if flags & NEEDS_CSUM != 0 {
        let (start, offset) = (u16::from_le_bytes([s0, s1]), u16::from_le_bytes([o0, o1]));
        packet.get(usize::from(start) + usize::from(offset)..)?.first_chunk::<2>()?;
        Checksum::Partial { start, offset }
    } else if flags & DATA_VALID != 0 {
        Checksum::Vouched
    } else {
        // Flags that one does not know are none of one's business (section 5.1.6.4.2).
        Checksum::Full
    };
    let version = packet.first()? >> 4;
    let segment_size = match (gso_type & !GSO_ECN, version) {
        (GSO_NONE, _) if gso_type == GSO_NONE => None,
        (GSO_TCPV4, 4) | (GSO_TCPV6, 6) => {
            packet.get(usize::from(u16::from_le_bytes([l0, l1]))..)?;
            Some(NonZeroU16::new(u16::from_le_bytes([g0, g1]))?)
        }
        _ => return None,
    };
    Some(Frame { bytes: packet, segment_size, checksum })
}

/// The header that goes in front of `packet`.
pub(super) fn encode(packet: &Transmit<'_>) -> [u8; HEADER_LEN] {
    let (flags, start, offset) = match packet.checksum {
        Checksum::Partial { start, offset } => (NEEDS_CSUM, start, offset),
        Checksum::Full | Checksum::Vouched => (0, 0, 0),
    };
    let cut = Cut::of(packet).unwrap_or_default();
    let [l0, l1] = cut.header_len.to_le_bytes();
    let [g0, g1] = cut.segment_size.to_le_bytes();
    let [s0, s1] = start.to_le_bytes();
    let [o0, o1] = offset.to_le_bytes();
    [flags, cut.gso_type, l0, l1, g0, g1, s0, s1, o0, o1]
}

/// How a packet is to be cut; by default not at all.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    gso_type: u8,
    header_len: u16,
    segment_size: u16,
}

impl Cut {
    /// Read off the packet's own headers: whether it was kept for a while, and so lies in one piece,
    /// makes no difference. `None` for a packet of one segment.
    fn of(packet: &Transmit<'_>) -> Option<Self> {
        let segment_size = packet.segment_size?.get();
        let (headers, _) = SuperHeaders::read(packet.header)?;
        let mut gso_type = if headers.is_ipv6() { GSO_TCPV6 } else { GSO_TCPV4 };
        if headers.flags().contains(Flags::CWR) {
            gso_type |= GSO_ECN;
        }
        let text = packet.len().checked_sub(headers.header_len())?;
        (text > usize::from(segment_size)).then_some(Self {
            gso_type,
            header_len: headers.header_len() as u16, // at most 100
            segment_size,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Where the flags and the length stand in a TCP header (RFC 9293 section 3.1).
    const TCP_FLAGS_AT: usize = 13;
    const TCP_DATA_OFFSET_AT: usize = 12;

    /// A header with these fields in front of a packet of `len` bytes that begins as `version` does.
    fn frame(fields: (u8, u8), numbers: [u16; 4], version: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![fields.0, fields.1];
        for number in numbers {
            bytes.extend(number.to_le_bytes());
        }
        let mut packet = vec![0; len];
        if let Some(first) = packet.first_mut() {
            *first = version << 4;
        }
        bytes.extend(packet);
        bytes
    }

    fn size(of: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(of)
    }

    #[test]
    fn a_plain_packet_is_one() {
        let bytes = frame((0, 0), [0; 4], 4, 40);
        let read = decode(&bytes).unwrap();
        assert_eq!((read.bytes, read.segment_size), (&bytes[10..], None));
        assert_eq!(read.checksum, Checksum::Full);
    }

    #[test]
    fn what_is_known_of_the_checksum_is_read() {
        let unfinished = frame((NEEDS_CSUM, 0), [0, 0, 20, 16], 4, 40);
        let checksum = decode(&unfinished).unwrap().checksum;
        assert_eq!(checksum, Checksum::Partial { start: 20, offset: 16 });
        let right = frame((DATA_VALID, 0), [0; 4], 4, 40);
        assert_eq!(decode(&right).unwrap().checksum, Checksum::Vouched);
        let unknown = frame((0xfc, 0), [0; 4], 4, 40);
        assert_eq!(decode(&unknown).unwrap().checksum, Checksum::Full);
        // What needs a checksum has none that could have been checked.
        let both = frame((NEEDS_CSUM | DATA_VALID, 0), [0, 0, 20, 16], 4, 40);
        assert_eq!(decode(&both).unwrap().checksum, checksum);
    }

    #[test]
    fn a_super_segment_has_a_segment_size() {
        for (gso_type, version) in [(GSO_TCPV4, 4), (GSO_TCPV6, 6)] {
            for gso_type in [gso_type, gso_type | GSO_ECN] {
                let bytes = frame((0, gso_type), [60, 1_400, 0, 0], version, 4_000);
                assert_eq!(decode(&bytes).unwrap().segment_size, size(1_400));
            }
        }
        // One segment that is said to be several.
        let short = frame((0, GSO_TCPV4), [40, 1_400, 0, 0], 4, 41);
        assert_eq!(decode(&short).unwrap().segment_size, size(1_400));
    }

    #[test]
    fn a_checksum_field_beyond_the_end_is_refused() {
        for (start, offset, fits) in [
            (20, 16, true),
            (22, 16, true),
            (23, 16, false),
            (38, 0, true),
            (39, 0, false),
            (40, 0, false),
            (65_535, 0, false),
            (0, 65_535, false),
            (65_535, 65_535, false),
        ] {
            let bytes = frame((NEEDS_CSUM, 0), [0, 0, start, offset], 4, 40);
            assert_eq!(decode(&bytes).is_some(), fits, "{start} {offset}");
            // Without the flag the fields mean nothing.
            let bytes = frame((DATA_VALID, 0), [0, 0, start, offset], 4, 40);
            assert!(decode(&bytes).is_some());
        }
    }

    #[test]
    fn a_super_segment_that_contradicts_itself_is_refused() {
        for (gso_type, header_len, segment_size, version, why) in [
            (GSO_TCPV4, 40, 0, 4, "no segment size"),
            (GSO_TCPV6, 40, 1_400, 4, "IPv6 that is IPv4"),
            (GSO_TCPV4, 40, 1_400, 6, "IPv4 that is IPv6"),
            (GSO_TCPV4, 4_001, 1_400, 4, "headers beyond the end"),
            (GSO_TCPV4, 65_535, 1_400, 4, "headers beyond the end"),
            (3, 28, 1_400, 4, "datagram to be fragmented"),
            (5, 28, 1_400, 4, "datagrams"),
            (GSO_ECN, 40, 1_400, 4, "no type beside ECN"),
            (2, 40, 1_400, 4, "unknown type"),
            (0x41, 40, 1_400, 4, "unknown bit"),
        ] {
            let bytes = frame((0, gso_type), [header_len, segment_size, 0, 0], version, 4_000);
            assert!(decode(&bytes).is_none(), "{why}");
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = frame((NEEDS_CSUM, GSO_TCPV4), [40, 1_400, 20, 16], 4, 40);
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_none(), "{len}");
        }
        assert!(decode(&frame((0, 0), [0; 4], 0, 0)).is_none(), "a header and no packet");
    }

    /// Headers of IPv4 or IPv6 and TCP with a word of options.
    fn headers(version: u8, flags: u8) -> Vec<u8> {
        let ip_len = if version == 4 { 20 } else { 40 };
        let mut bytes = vec![0; ip_len + 24];
        bytes[0] = (version << 4) | if version == 4 { 5 } else { 0 };
        bytes[ip_len + TCP_DATA_OFFSET_AT] = 6 << 4;
        bytes[ip_len + TCP_FLAGS_AT] = flags;
        bytes
    }

    fn transmit<'a>(header: &'a [u8], payload: &'a [u8], segment_size: u16) -> Transmit<'a> {
        let offset = 16;
        Transmit {
            header,
            payload: [payload, &[]],
            segment_size: size(segment_size),
            checksum: Checksum::Partial { start: header.len() as u16 - 24, offset },
        }
    }

    #[test]
    fn a_super_segment_is_described() {
        let text = [0; 1_000];
        for (version, flags, gso_type, start) in [
            (4, 0x10, GSO_TCPV4, 20),
            (4, 0x90, GSO_TCPV4 | GSO_ECN, 20),
            (6, 0x10, GSO_TCPV6, 40),
            (6, 0x90, GSO_TCPV6 | GSO_ECN, 40),
        ] {
            let header = headers(version, flags);
            let expected = frame((NEEDS_CSUM, gso_type), [start + 24, 300, start, 16], 4, 0);
            let packet = transmit(&header, &text, 300);
            assert_eq!(encode(&packet)[..], expected);
            // In one piece, as the loop keeps what the device had no room for.
            let whole = packet.to_vec();
            let again = Transmit { header: &whole, payload: [&[], &[]], ..packet };
            assert_eq!(encode(&again)[..], expected);
        }
    }

    #[test]
    fn one_segment_is_not_to_be_cut() {
        let header = headers(4, 0x10);
        let unfinished = frame((NEEDS_CSUM, GSO_NONE), [0, 0, 20, 16], 4, 0);
        assert_eq!(encode(&transmit(&header, &[0; 300], 300))[..], unfinished);
        assert_eq!(encode(&transmit(&header, &[], 300))[..], unfinished);
        assert_ne!(encode(&transmit(&header, &[0; 301], 300))[..], unfinished);
        let plain = Transmit { checksum: Checksum::Full, ..transmit(&header, &[0; 300], 0) };
        assert_eq!(encode(&plain), [0; HEADER_LEN]);
    }

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let header = headers(6, 0x90);
        let packet = transmit(&header, &[7; 5_000], 1_000);
        let mut bytes = encode(&packet).to_vec();
        packet.append_to(&mut bytes);
        let read = decode(&bytes).unwrap();
        assert_eq!(read.bytes, packet.to_vec());
        assert_eq!((read.segment_size, read.checksum), (packet.segment_size, packet.checksum));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(read) = decode(&bytes) {
                prop_assert_eq!(read.bytes, &bytes[HEADER_LEN..]);
                if let Checksum::Partial { start, offset } = read.checksum {
                    prop_assert!(usize::from(start) + usize::from(offset) + 2 <= read.bytes.len());
                }
            }
        }

        /// With fields in the range where they matter.
        #[test]
        fn likely_headers_are_read_or_refused(
            flags in 0..4u8,
            gso_type in prop::sample::select(vec![0, 1, 3, 4, 5, 0x80, 0x81, 0x84]),
            numbers in prop::array::uniform4(0..64u16),
            version in 3..8u8,
            len in 0..64usize,
        ) {
            let bytes = frame((flags, gso_type), numbers, version, len);
            if let Some(read) = decode(&bytes) {
                prop_assert_eq!(read.segment_size.is_some(), gso_type != 0);
                if flags & NEEDS_CSUM != 0 {
                    prop_assert!(usize::from(numbers[2] + numbers[3]) + 2 <= len);
                }
            }
        }

        #[test]
        fn arbitrary_packets_are_described(
            header in prop::collection::vec(any::<u8>(), 0..130),
            payload in prop::collection::vec(any::<u8>(), 0..200),
            segment_size in any::<u16>(),
        ) {
            let packet = Transmit {
                header: &header,
                payload: [&payload, &[]],
                segment_size: size(segment_size),
                checksum: Checksum::Full,
            };
            encode(&packet);
        }
    }
}
