//! A packet in: from bytes to values.

use etherparse::{IpNumber, TcpHeaderSlice, UdpHeaderSlice};

use super::ip::{self, IpPacket};
use super::{DropReason, Packet, TCP_OFFSET_AT, options};
use crate::wire::icmp::{self, Message};
use crate::wire::{Checksum, EcnField, Flags, Flow, Frame, Options, Segment, SeqNum};

/// Reads a packet. The transport checksum is verified unless the frame vouches for it; the
/// checksum of an IPv4 header always is.
///
/// # Errors
/// Says why the packet is not fit to be looked at further.
#[inline]
pub fn parse<'f>(frame: &Frame<'f>) -> Result<Packet<'f>, DropReason> {
    // By reference, because moving what was read costs as much as reading it.
    let read = ip::read(frame.bytes);
    let ip = read.as_ref().map_err(|reason| *reason)?;
    let verify = frame.checksum == Checksum::Full;
    match IpNumber(ip.protocol) {
        IpNumber::TCP => parse_tcp(ip, frame, verify),
        IpNumber::UDP => parse_udp(ip, verify),
        IpNumber::ICMP if ip.source.is_ipv4() => parse_icmp(ip, verify),
        IpNumber::IPV6_ICMP if ip.source.is_ipv6() => parse_icmp(ip, verify),
        _ => Ok(Packet::Other {
            source: ip.source,
            destination: ip.destination,
            protocol: ip.protocol,
        }),
    }
}

#[inline]
fn parse_tcp<'f>(
    ip: &IpPacket<'f>,
    frame: &Frame<'f>,
    verify: bool,
) -> Result<Packet<'f>, DropReason> {
    let header = TcpHeaderSlice::from_slice(ip.payload).map_err(|_| DropReason::MalformedTcp)?;
    // RFC 9293 section 3.1: the receiver MUST check it (MUST-3).
    if verify && !is_sum_right(ip, ip.payload) {
        return Err(DropReason::BadChecksum);
    }
    let flow = flow(ip, header.source_port(), header.destination_port())?;
    let bits = header.slice().get(TCP_OFFSET_AT..).and_then(|rest| rest.first_chunk());
    let flags = Flags::from_header(bits.copied().unwrap_or_default());
    let payload = ip.payload.get(header.slice().len()..).ok_or(DropReason::MalformedTcp)?;
    let timestamps = options::only_timestamps(header.options());
    // Built where it is returned: moving a segment costs as much as reading it.
    let mut packet = Ok(Packet::Tcp {
        flow,
        segment: Segment {
            seq: SeqNum(header.sequence_number()),
            ack: SeqNum(header.acknowledgment_number()),
            flags,
            window: header.window_size(),
            urgent: header.urgent_pointer(),
            options: Options { timestamps, ..Options::default() },
            ecn: EcnField::from_bits(ip.ecn),
            payload,
            segment_size: frame.segment_size,
        },
    });
    if timestamps.is_none()
        && let Ok(Packet::Tcp { segment, .. }) = &mut packet
    {
        segment.options = options::parse(header.options(), flags.contains(Flags::SYN));
    }
    packet
}

fn parse_udp<'f>(ip: &IpPacket<'f>, verify: bool) -> Result<Packet<'f>, DropReason> {
    let header = UdpHeaderSlice::from_slice(ip.payload).map_err(|_| DropReason::MalformedUdp)?;
    let datagram =
        ip.payload.get(..usize::from(header.length())).ok_or(DropReason::MalformedUdp)?;
    let payload = datagram.get(header.slice().len()..).ok_or(DropReason::MalformedUdp)?;
    if verify {
        // RFC 768: zero means that the sender computed none. RFC 8200 section 8.1: not in IPv6.
        let none = header.checksum() == 0;
        let right = if none { ip.source.is_ipv4() } else { is_sum_right(ip, datagram) };
        if !right {
            return Err(DropReason::BadUdpChecksum);
        }
    }
    let flow = flow(ip, header.source_port(), header.destination_port())?;
    Ok(Packet::Udp { flow, payload })
}

fn parse_icmp<'f>(ip: &IpPacket<'f>, verify: bool) -> Result<Packet<'f>, DropReason> {
    Ok(match icmp::parse(ip, verify)? {
        Message::Echo(echo) => Packet::Echo(echo),
        Message::Error(error) => Packet::IcmpError(error),
    })
}

/// Whether `transport`, which holds its checksum, sums up with the pseudo-header.
#[inline]
fn is_sum_right(ip: &IpPacket<'_>, transport: &[u8]) -> bool {
    ip.sum_with_pseudo_header(transport).finish() == 0
}

/// The two ends, seen from us.
#[inline]
fn flow(ip: &IpPacket<'_>, source: u16, destination: u16) -> Result<Flow, DropReason> {
    // CERT advisory CA-1997-28 ("land"): an answer would go to ourselves.
    if source == destination && ip.source == ip.destination {
        return Err(DropReason::Land);
    }
    Ok(Flow::between((ip.destination, destination), (ip.source, source)))
}
