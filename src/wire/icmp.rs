//! ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2) and IPv6 (RFC 4443): echo, and errors in both
//! directions.

use core::fmt;
use std::net::IpAddr;

use super::checksum::Sum;
use super::codec::{self, DropReason, HeaderBuffer, IpFields, IpPacket};
use super::{Flow, SeqNum};

/// The protocol numbers of ICMP and ICMPv6.
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

/// Type, code, checksum and four bytes whose meaning depends on the type.
const HEADER_LEN: usize = 8;
/// RFC 792 asks to quote 8 bytes of the payload, RFC 1812 section 4.3.2.3 as much as 576 bytes
/// in all allow.
const MAX_ERROR_V4: usize = 576;
/// RFC 4443 section 2.4 (c): as much as the minimum MTU allows.
const MAX_ERROR_V6: usize = 1_280;

/// Message types of IPv4.
mod v4 {
    pub(super) const ECHO_REPLY: u8 = 0;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const SOURCE_QUENCH: u8 = 4;
    pub(super) const REDIRECT: u8 = 5;
    pub(super) const ECHO_REQUEST: u8 = 8;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const PARAMETER_PROBLEM: u8 = 12;
}

/// Message types of IPv6.
mod v6 {
    pub(super) const UNREACHABLE: u8 = 1;
    pub(super) const PACKET_TOO_BIG: u8 = 2;
    pub(super) const TIME_EXCEEDED: u8 = 3;
    pub(super) const PARAMETER_PROBLEM: u8 = 4;
    /// The first type that is no error (RFC 4443 section 2.1).
    pub(super) const FIRST_INFORMATIONAL: u8 = 128;
    pub(super) const ECHO_REQUEST: u8 = 128;
    pub(super) const ECHO_REPLY: u8 = 129;
    pub(super) const REDIRECT: u8 = 137;
}

/// An echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo<'f> {
    /// Who asks.
    pub source: IpAddr,
    /// Who is to answer.
    pub destination: IpAddr,
    /// The ICMP message: the 8 bytes of its header and the data.
    pub message: &'f [u8],
}

/// An error that quotes a TCP segment sent by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The connection, seen from us: the quoted source is the local end.
    pub flow: Flow,
    /// SEG.SEQ of the quoted segment, by which forged errors are told (RFC 5927 section 4.1).
    pub seq: SeqNum,
    /// What is wrong.
    pub kind: IcmpErrorKind,
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpErrorKind {
    /// The peer cannot be reached.
    Unreachable(Unreachable),
    /// The segment did not fit and might not be fragmented.
    PacketTooBig {
        /// The next hop's MTU (RFC 1191 section 4, RFC 4443 section 3.2) as it stands in the
        /// message: 0 from a router older than RFC 1191, and possibly nonsense.
        mtu: u32,
    },
    /// The hop count ran out, or fragments went missing.
    TimeExceeded,
    /// Source quench, which TCP ignores (RFC 9293 section 3.9.2.2, MUST-55).
    SourceQuench,
    /// A router or the peer did not understand the IP header.
    ParameterProblem,
}

/// Which part of the way to the peer is missing (RFC 792, RFC 4443 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// No route to the network.
    Network,
    /// No route to the host, or it does not answer.
    Host,
    /// The host does not speak TCP.
    Protocol,
    /// Nobody serves the port.
    Port,
    /// A filter forbids it.
    Prohibited,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network unreachable",
            Self::Host => "host unreachable",
            Self::Protocol => "protocol unreachable",
            Self::Port => "port unreachable",
            Self::Prohibited => "communication administratively prohibited",
        })
    }
}

/// A message that concerns us.
pub(super) enum Message<'f> {
    Echo(Echo<'f>),
    Error(IcmpError),
}

/// Reads the ICMP message that `ip` carries, of the kind that goes with its family.
///
/// # Errors
/// Says why nobody here acts on it.
pub(super) fn parse<'f>(ip: &IpPacket<'f>, verify: bool) -> Result<Message<'f>, DropReason> {
    let message = ip.payload;
    let Some((&[kind, code, _, _, a, b, c, d], quote)) = message.split_first_chunk() else {
        return Err(DropReason::MalformedIcmp);
    };
    if verify && checksum(ip.source, ip.destination, &[message]) != 0 {
        return Err(DropReason::BadIcmpChecksum);
    }
    let is_v6 = ip.source.is_ipv6();
    let echo_request = if is_v6 { v6::ECHO_REQUEST } else { v4::ECHO_REQUEST };
    if kind == echo_request {
        return Ok(Message::Echo(Echo { source: ip.source, destination: ip.destination, message }));
    }
    let kind = if is_v6 {
        error_kind_v6(kind, code, u32::from_be_bytes([a, b, c, d]))
    } else {
        error_kind_v4(kind, code, u16::from_be_bytes([c, d]))
    };
    // RFC 1122 section 3.2.2: a message of unknown type is silently discarded.
    let kind = kind.ok_or(DropReason::IgnoredIcmp)?;
    // RFC 4884 puts extensions behind at least 128 bytes of the quote; less is read here.
    let (flow, seq) = codec::quoted_tcp(quote)?;
    if flow.local() != ip.destination {
        // It went to somebody who did not send what it quotes.
        return Err(DropReason::IgnoredIcmp);
    }
    Ok(Message::Error(IcmpError { flow, seq, kind }))
}

/// RFC 792; RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1 for the later codes.
fn error_kind_v4(kind: u8, code: u8, mtu: u16) -> Option<IcmpErrorKind> {
    let what = match (kind, code) {
        // Network, source route failed, network unknown, not with this type of service.
        (v4::UNREACHABLE, 0 | 5 | 6 | 11) => Unreachable::Network,
        // Host, host unknown, source host isolated, not with this type of service.
        (v4::UNREACHABLE, 1 | 7 | 8 | 12) => Unreachable::Host,
        (v4::UNREACHABLE, 2) => Unreachable::Protocol,
        (v4::UNREACHABLE, 3) => Unreachable::Port,
        // Network, host, communication prohibited; precedence too low.
        (v4::UNREACHABLE, 9 | 10 | 13 | 14 | 15) => Unreachable::Prohibited,
        (v4::UNREACHABLE, 4) => return Some(IcmpErrorKind::PacketTooBig { mtu: mtu.into() }),
        (v4::SOURCE_QUENCH, _) => return Some(IcmpErrorKind::SourceQuench),
        (v4::TIME_EXCEEDED, _) => return Some(IcmpErrorKind::TimeExceeded),
        (v4::PARAMETER_PROBLEM, _) => return Some(IcmpErrorKind::ParameterProblem),
        _ => return None,
    };
    Some(IcmpErrorKind::Unreachable(what))
}

/// RFC 4443 sections 3.1 to 3.4; RFC 6554 for code 7.
fn error_kind_v6(kind: u8, code: u8, mtu: u32) -> Option<IcmpErrorKind> {
    let what = match (kind, code) {
        // No route, beyond the scope of the source, error in a source route.
        (v6::UNREACHABLE, 0 | 2 | 7) => Unreachable::Network,
        (v6::UNREACHABLE, 3) => Unreachable::Host,
        (v6::UNREACHABLE, 4) => Unreachable::Port,
        // Prohibited, source address failed policy, route rejects.
        (v6::UNREACHABLE, 1 | 5 | 6) => Unreachable::Prohibited,
        (v6::PACKET_TOO_BIG, _) => return Some(IcmpErrorKind::PacketTooBig { mtu }),
        (v6::TIME_EXCEEDED, _) => return Some(IcmpErrorKind::TimeExceeded),
        (v6::PARAMETER_PROBLEM, _) => return Some(IcmpErrorKind::ParameterProblem),
        _ => return None,
    };
    Some(IcmpErrorKind::Unreachable(what))
}

/// The whole IP packet that answers an echo request (RFC 1122 section 3.2.2.6, RFC 4443
/// section 4.2): the same identifier, sequence number and data.
pub fn echo_reply(echo: &Echo<'_>) -> Vec<u8> {
    let kind = if echo.source.is_ipv6() { v6::ECHO_REPLY } else { v4::ECHO_REPLY };
    let (id_and_seq, data) = match echo.message.split_first_chunk::<HEADER_LEN>() {
        Some((&[_, _, _, _, a, b, c, d], data)) => ([a, b, c, d], data),
        None => ([0; 4], &[][..]),
    };
    packet(echo.destination, echo.source, kind, 0, id_and_seq, data)
}

/// The whole IP packet that tells the sender of `offending`, a whole IP packet as it came in,
/// that nobody serves the port it is for (RFC 1122 section 4.1.3.1, RFC 4443 section 3.1).
///
/// `None` when RFC 1122 section 3.2.2 or RFC 4443 section 2.4 (e) forbid an answer: to an ICMP
/// error, a fragment, a group or broadcast, or to no one host's address; or when `offending` is no
/// packet.
pub fn port_unreachable(offending: &[u8]) -> Option<Vec<u8>> {
    let ip = codec::read_ip(offending).ok()?;
    if ip.source.is_ipv6() {
        error(&ip, v6::UNREACHABLE, 4, [0; 4])
    } else {
        error(&ip, v4::UNREACHABLE, 3, [0; 4])
    }
}

/// As [`port_unreachable`], but says that nobody speaks the protocol (RFC 1122 section 3.2.2.1,
/// RFC 8200 section 4: a parameter problem that points at the protocol number).
pub fn protocol_unreachable(offending: &[u8]) -> Option<Vec<u8>> {
    let ip = codec::read_ip(offending).ok()?;
    if ip.source.is_ipv6() {
        let pointer = (ip.protocol_at as u32).to_be_bytes();
        error(&ip, v6::PARAMETER_PROBLEM, 1, pointer)
    } else {
        error(&ip, v4::UNREACHABLE, 2, [0; 4])
    }
}

/// An error about `ip`, quoting as much of it as is allowed.
fn error(ip: &IpPacket<'_>, kind: u8, code: u8, rest: [u8; 4]) -> Option<Vec<u8>> {
    if is_error(ip) {
        return None;
    }
    let room = if ip.source.is_ipv6() {
        MAX_ERROR_V6 - 40 - HEADER_LEN
    } else {
        MAX_ERROR_V4 - 20 - HEADER_LEN
    };
    let quote = ip.bytes.get(..room).unwrap_or(ip.bytes);
    Some(packet(ip.destination, ip.source, kind, code, rest, quote))
}

/// Whether the packet is an ICMP error itself, or a redirect, or might be one.
fn is_error(ip: &IpPacket<'_>) -> bool {
    let Some(&kind) = ip.payload.first() else {
        return ip.protocol == ICMP || ip.protocol == ICMP_V6;
    };
    match ip.protocol {
        ICMP => matches!(
            kind,
            v4::UNREACHABLE
                | v4::SOURCE_QUENCH
                | v4::REDIRECT
                | v4::TIME_EXCEEDED
                | v4::PARAMETER_PROBLEM
        ),
        ICMP_V6 => kind < v6::FIRST_INFORMATIONAL || kind == v6::REDIRECT,
        _ => false,
    }
}

/// A whole IP packet around an ICMP message.
fn packet(
    source: IpAddr,
    destination: IpAddr,
    kind: u8,
    code: u8,
    rest: [u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let [a, b, c, d] = rest;
    let unsummed = [kind, code, 0, 0, a, b, c, d];
    let [high, low] = checksum(source, destination, &[&unsummed, data]).to_be_bytes();
    let protocol = if source.is_ipv6() { ICMP_V6 } else { ICMP };
    let fields = IpFields {
        traffic_class: 0,
        ttl: 64,
        ident: 0, // of no use in a packet that is not fragmented (RFC 6864 section 4.1)
        dont_fragment: true,
    };
    let length = HEADER_LEN + data.len();
    let mut header = HeaderBuffer::new();
    codec::emit_ip(&mut header, source, destination, protocol, length, &fields);
    let mut packet = Vec::with_capacity(header.as_slice().len() + length);
    packet.extend_from_slice(header.as_slice());
    packet.extend_from_slice(&[kind, code, high, low, a, b, c, d]);
    packet.extend_from_slice(data);
    packet
}

/// The checksum over a message in pieces. Only ICMPv6 counts a pseudo-header in (RFC 4443
/// section 2.3).
fn checksum(source: IpAddr, destination: IpAddr, pieces: &[&[u8]]) -> u16 {
    let start = if source.is_ipv6() {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        Sum::pseudo_header(source, destination, ICMP_V6, length as u32)
    } else {
        Sum::ZERO
    };
    pieces.iter().fold(start, |sum, piece| sum.add_bytes(piece)).finish()
}

#[cfg(test)]
mod tests;
