//! The IP header: IPv4 with its options (RFC 791, RFC 1122 section 3.2.1), IPv6 with its extension
//! headers (RFC 8200).

use core::ops::Range;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    IpNumber, Ipv4Header, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use super::DropReason;
use crate::wire::checksum::Sum;
use crate::wire::{Flow, SeqNum};

/// The longest IPv4 packet: its length field has 16 bits and counts the header.
const MAX_IPV4: usize = 65_535;
/// The longest IPv6 packet: its length field does not count the header.
const MAX_IPV6: usize = 40 + 65_535;
/// The most extension headers that are walked. RFC 8200 section 4.1 has six kinds, of which one
/// may stand twice.
const MAX_EXTENSIONS: usize = 8;
/// Where the IPv4 header names the protocol.
const IPV4_PROTOCOL_AT: usize = 9;
/// Where the addresses stand in either header.
const IPV4_ADDRESSES: Range<usize> = 12..20;
const IPV6_ADDRESSES: Range<usize> = 8..40;
/// Where the IPv6 header names the next header.
const IPV6_NEXT_HEADER_AT: usize = 6;

/// A whole packet with sane addresses.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct IpPacket<'f> {
    /// The packet without what padding stood behind it.
    pub(in crate::wire) bytes: &'f [u8],
    /// Who sent it: a unicast address.
    pub(in crate::wire) source: IpAddr,
    /// Whom it is for: not a group, nor everybody.
    pub(in crate::wire) destination: IpAddr,
    /// The ECN field, 0 to 3.
    pub(in crate::wire) ecn: u8,
    /// The transport protocol.
    pub(in crate::wire) protocol: u8,
    /// Which byte of the packet names the protocol.
    pub(in crate::wire) protocol_at: usize,
    /// What the protocol is to read.
    pub(in crate::wire) payload: &'f [u8],
}

impl IpPacket<'_> {
    /// The sum over `transport`, which is the payload or the front of it, and the pseudo-header
    /// that belongs to it.
    #[inline]
    pub(in crate::wire) fn sum_with_pseudo_header(&self, transport: &[u8]) -> Sum {
        // No payload is longer than an IP packet.
        let length = transport.len() as u32;
        let addresses = if self.source.is_ipv4() { IPV4_ADDRESSES } else { IPV6_ADDRESSES };
        let payload_at = self.bytes.len() - self.payload.len();
        if addresses.end == payload_at
            && let Some(both) = self.bytes.get(addresses.start..payload_at + transport.len())
        {
            // As nearly always, the addresses stand right in front: one sum goes over all.
            return Sum::ZERO.add_word(self.protocol.into()).add_word(length).add_bytes(both);
        }
        let pseudo = Sum::pseudo_header(self.source, self.destination, self.protocol, length);
        pseudo.add_bytes(transport)
    }
}

/// Reads the IP header and what belongs to it.
#[inline(always)]
pub(in crate::wire) fn read(bytes: &[u8]) -> Result<IpPacket<'_>, DropReason> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => read_v4(bytes),
        Some(6) => read_v6(bytes),
        _ => Err(DropReason::NotIp),
    }
}

#[inline(always)]
fn read_v4(bytes: &[u8]) -> Result<IpPacket<'_>, DropReason> {
    if bytes.len() > MAX_IPV4 {
        return Err(DropReason::Oversized);
    }
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => DropReason::Truncated,
        ipv4::HeaderSliceError::Content(_) => DropReason::MalformedIp,
    })?;
    let header_len = header.slice().len();
    let sum = match header.slice().first_chunk::<{ Ipv4Header::MIN_LEN }>() {
        // Without options, as nearly always.
        Some(plain) if header_len == plain.len() => Sum::of_few(plain),
        _ => Sum::ZERO.add_bytes(header.slice()),
    };
    // RFC 1122 section 3.2.1.2: silently discard a datagram with a bad checksum.
    if sum.finish() != 0 {
        return Err(DropReason::BadIpChecksum);
    }
    let total_len = usize::from(header.total_len());
    if total_len < header_len {
        return Err(DropReason::MalformedIp);
    }
    // A link may pad: what stands behind the packet's own length is not part of it.
    let bytes = bytes.get(..total_len).ok_or(DropReason::Truncated)?;
    let payload = bytes.get(header_len..).ok_or(DropReason::MalformedIp)?;
    if !header.options().is_empty() {
        check_ipv4_options(header.options())?;
    }
    if header.is_fragmenting_payload() {
        return Err(DropReason::Fragment);
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if destination.is_multicast() || destination.is_broadcast() {
        return Err(DropReason::MulticastOrBroadcast);
    }
    if is_martian_v4(source) {
        return Err(DropReason::MartianSource);
    }
    Ok(IpPacket {
        bytes,
        source: source.into(),
        destination: destination.into(),
        ecn: header.ecn().value(),
        protocol: header.protocol().0,
        protocol_at: IPV4_PROTOCOL_AT,
        payload,
    })
}

/// RFC 1122 section 3.2.1.3: addresses that are no source on a wire: "this network" (0/8),
/// loopback, groups, class E and broadcast.
#[inline]
fn is_martian_v4(source: Ipv4Addr) -> bool {
    let first = source.octets()[0];
    first == 0 || first == 127 || first >= 224
}

/// IPv4 options (RFC 791 section 3.1): skipped, but for source routes.
fn check_ipv4_options(mut options: &[u8]) -> Result<(), DropReason> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            END => break,
            NO_OPERATION => rest,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Err(DropReason::SourceRoute),
            _ => {
                let len = rest.first().map_or(0, |&len| usize::from(len));
                match options.get(len..) {
                    Some(behind) if len >= 2 => behind,
                    _ => return Err(DropReason::MalformedIp),
                }
            }
        };
    }
    Ok(())
}

fn read_v6(bytes: &[u8]) -> Result<IpPacket<'_>, DropReason> {
    if bytes.len() > MAX_IPV6 {
        return Err(DropReason::Oversized);
    }
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => DropReason::Truncated,
        ipv6::HeaderSliceError::Content(_) => DropReason::MalformedIp,
    })?;
    let total_len = header.header_len() + usize::from(header.payload_length());
    let bytes = bytes.get(..total_len).ok_or(DropReason::Truncated)?;
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if destination.is_multicast() {
        return Err(DropReason::MulticastOrBroadcast);
    }
    // RFC 4291 section 2.5.5.2: an IPv4-mapped address never stands in a packet.
    if is_martian_v6(source) || destination.to_ipv4_mapped().is_some() {
        return Err(DropReason::MartianSource);
    }
    let (protocol_at, payload_at) = skip_extensions(bytes, header.header_len())?;
    Ok(IpPacket {
        bytes,
        source: source.into(),
        destination: destination.into(),
        ecn: header.ecn().value(),
        protocol: *bytes.get(protocol_at).ok_or(DropReason::Truncated)?,
        protocol_at,
        payload: bytes.get(payload_at..).ok_or(DropReason::Truncated)?,
    })
}

/// Addresses that are no source on a wire (RFC 4291 sections 2.5.2, 2.5.3 and 2.7); the
/// IPv4-mapped ones live inside a host's programs only (RFC 4291 section 2.5.5.2).
fn is_martian_v6(source: Ipv6Addr) -> bool {
    source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source.to_ipv4_mapped().is_some()
}

/// Walks the extension headers (RFC 8200 section 4) of the packet whose first one, or payload,
/// begins at `at`. Answers where the transport protocol is named and where it begins.
#[inline]
pub(super) fn skip_extensions(packet: &[u8], mut at: usize) -> Result<(usize, usize), DropReason> {
    let mut named_at = IPV6_NEXT_HEADER_AT;
    for position in 0..=MAX_EXTENSIONS {
        let kind = packet.get(named_at).ok_or(DropReason::Truncated)?;
        let rest = packet.get(at..).ok_or(DropReason::Truncated)?;
        let len = match IpNumber(*kind) {
            IpNumber::TCP => return Ok((named_at, at)),
            // Anywhere but in front it counts as unknown (RFC 8200 section 4).
            IpNumber::IPV6_HEADER_HOP_BY_HOP if position == 0 => options_header(rest)?,
            IpNumber::IPV6_DESTINATION_OPTIONS => options_header(rest)?,
            IpNumber::IPV6_ROUTE_HEADER => routing_header(rest)?,
            IpNumber::IPV6_FRAGMENTATION_HEADER => fragment_header(rest)?,
            IpNumber::IPV6_NO_NEXT_HEADER => return Err(DropReason::NoNextHeader),
            kind if is_extension(kind) => return Err(DropReason::UnknownExtension),
            _ => return Ok((named_at, at)),
        };
        // Each of the headers above names the next one in its first byte.
        named_at = at;
        at += len;
    }
    Err(DropReason::TooManyExtensions)
}

/// The extension headers there are (RFC 7045 section 4), as against transport protocols.
fn is_extension(kind: IpNumber) -> bool {
    matches!(
        kind,
        IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::ENCAPSULATING_SECURITY_PAYLOAD
            | IpNumber::AUTHENTICATION_HEADER
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6
            | IpNumber::EXPERIMENTAL_AND_TESTING_0
            | IpNumber::EXPERIMENTAL_AND_TESTING_1
    )
}

/// Hop-by-hop and destination options: the length of the header, if every option in it may be
/// skipped (RFC 8200 section 4.2).
fn options_header(bytes: &[u8]) -> Result<usize, DropReason> {
    const PAD_1: u8 = 0;
    let header = Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| DropReason::Truncated)?;
    let mut options = header.payload();
    while let Some((&kind, rest)) = options.split_first() {
        if kind == PAD_1 {
            options = rest;
            continue;
        }
        // The two highest bits say what to do with an option one does not know: only 00 lets
        // it be skipped, and no option above 00 is known here.
        if kind >> 6 != 0 {
            return Err(DropReason::UnknownExtension);
        }
        let (&len, data) = rest.split_first().ok_or(DropReason::MalformedIp)?;
        options = data.get(usize::from(len)..).ok_or(DropReason::MalformedIp)?;
    }
    Ok(header.slice().len())
}

/// A routing header is skipped when its route is done (RFC 8200 section 4.4); one that is not
/// would have this host forward the packet.
fn routing_header(bytes: &[u8]) -> Result<usize, DropReason> {
    let header = Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| DropReason::Truncated)?;
    match header.payload() {
        [_type, 0, ..] => Ok(header.slice().len()),
        _ => Err(DropReason::SourceRoute),
    }
}

/// A fragment header without other fragments is an "atomic fragment": the packet is whole
/// (RFC 6946 section 4).
fn fragment_header(bytes: &[u8]) -> Result<usize, DropReason> {
    let header = Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| DropReason::Truncated)?;
    if header.is_fragmenting_payload() {
        return Err(DropReason::Fragment);
    }
    Ok(header.slice().len())
}

/// Reads the packet that an ICMP error quotes: the connection as its sender sees it, and the
/// sequence number.
///
/// The quote may end 8 bytes behind the IP header (RFC 792), and routers have changed its hop
/// count and checksum, so only what is there is looked at.
pub(in crate::wire) fn quoted_tcp(quote: &[u8]) -> Result<(Flow, SeqNum), DropReason> {
    let (local, remote, protocol, header_len): (IpAddr, IpAddr, _, _) = match quote.first() {
        Some(first) if first >> 4 == 4 => {
            let header =
                Ipv4HeaderSlice::from_slice(quote).map_err(|_| DropReason::MalformedIcmp)?;
            if header.fragments_offset().value() != 0 {
                return Err(DropReason::IgnoredIcmp);
            }
            let (source, destination) = (header.source_addr(), header.destination_addr());
            let protocol = header.protocol();
            let len = header.slice().len();
            (source.into(), destination.into(), protocol, len)
        }
        _ => {
            let header =
                Ipv6HeaderSlice::from_slice(quote).map_err(|_| DropReason::MalformedIcmp)?;
            let (source, destination) = (header.source_addr(), header.destination_addr());
            // We send no extension headers, so a quote of ours has none to walk.
            let protocol = header.next_header();
            (source.into(), destination.into(), protocol, 40)
        }
    };
    if protocol != IpNumber::TCP {
        return Err(DropReason::IgnoredIcmp);
    }
    let transport = quote.get(header_len..).unwrap_or_default();
    let Some(&[p0, p1, p2, p3, s0, s1, s2, s3]) = transport.first_chunk() else {
        return Err(DropReason::MalformedIcmp);
    };
    let (port, remote_port) = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([p2, p3]));
    let flow = Flow::between((local, port), (remote, remote_port));
    Ok((flow, SeqNum(u32::from_be_bytes([s0, s1, s2, s3]))))
}

#[cfg(test)]
mod tests;
