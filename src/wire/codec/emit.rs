//! A packet out: from values to the bytes of its headers.

use core::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6Header, TcpHeader as Fields};

use super::options;
use crate::wire::checksum::Sum;
use crate::wire::{Checksum, Flags, Flow, Options, SeqNum};

/// The longest headers there are: IPv6 and TCP with 40 bytes of options.
const MAX_HEADERS: usize = 40 + 60;
/// Where the length of the header in 32-bit words stands in a TCP header (RFC 9293 section 3.1).
const TCP_DATA_OFFSET_AT: usize = 12;
/// Where the checksum stands in a TCP header (RFC 9293 section 3.1).
const TCP_CHECKSUM_AT: u16 = 16;

/// The headers of a segment, as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// The connection; the packet goes from its local end to its remote one.
    pub flow: Flow,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The window field, scaled already.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// The options; SACK blocks that do not fit are left out.
    pub options: Options,
    /// The traffic class of the IP header (in IPv4 once called the type of service): six bits of
    /// DSCP (RFC 2474 section 3), two of ECN (RFC 3168 section 5).
    pub traffic_class: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The identification of an IPv4 packet; IPv6 has none.
    pub ident: u16,
    /// Whether routers may not fragment an IPv4 packet; those of IPv6 never may.
    pub dont_fragment: bool,
}

/// Room for the headers of one packet.
pub struct HeaderBuffer {
    bytes: [u8; MAX_HEADERS],
    len: usize,
}

impl HeaderBuffer {
    /// An empty one.
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_HEADERS], len: 0 }
    }

    /// The headers written last.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Starts over with headers of `len` bytes, to be written by the caller.
    #[inline]
    pub(super) fn restart(&mut self, len: usize) -> &mut [u8; MAX_HEADERS] {
        debug_assert!(len <= MAX_HEADERS);
        self.len = len;
        &mut self.bytes
    }

    /// Appends a header of `len` bytes, for which there is room by the choice of the buffer's
    /// size.
    #[inline]
    fn put(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> io::Result<()>) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let written = write(room);
        debug_assert!(written.is_ok(), "the longest headers fit");
        self.len += len;
    }

    /// Overwrites the 16 bits at `at`.
    #[inline]
    fn patch(&mut self, at: usize, value: u16) {
        if let Some(place) = self.bytes.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

impl Default for HeaderBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HeaderBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderBuffer").field(&self.as_slice()).finish()
    }
}

/// What stands in an IP header beside addresses, protocol and length.
pub(in crate::wire) struct IpFields {
    pub(in crate::wire) traffic_class: u8,
    pub(in crate::wire) ttl: u8,
    pub(in crate::wire) ident: u16,
    pub(in crate::wire) dont_fragment: bool,
}

/// Writes the IP and TCP headers of a segment with this payload.
///
/// The TCP checksum is complete ([`Checksum::Full`]), or with `partial` the field holds the sum
/// of the pseudo-header for a device to finish ([`Checksum::Partial`]); the length that goes into
/// it is that of the whole payload, also for a super-segment.
///
/// Headers and payload together are at most 65,535 bytes; over IPv6 its header comes on top.
#[inline]
pub fn emit_tcp(
    into: &mut HeaderBuffer,
    header: &TcpHeader,
    payload: [&[u8]; 2],
    partial: bool,
) -> Checksum {
    let flow = &header.flow;
    let header_len = Fields::MIN_LEN + options::options_len(&header.options);
    let length = header_len + payload[0].len() + payload[1].len();
    let fields = IpFields {
        traffic_class: header.traffic_class,
        ttl: header.ttl,
        ident: header.ident,
        dont_fragment: header.dont_fragment,
    };
    emit_ip(into, flow.local(), flow.remote(), IpNumber::TCP.0, length, &fields);
    let start = into.len;
    put_tcp(into, header, header_len);

    let pseudo = Sum::pseudo_header(flow.local(), flow.remote(), IpNumber::TCP.0, length as u32);
    let field_at = start + usize::from(TCP_CHECKSUM_AT);
    if partial {
        into.patch(field_at, pseudo.partial());
        return Checksum::Partial {
            start: start as u16, // 20 or 40
            offset: TCP_CHECKSUM_AT,
        };
    }
    let sum = pseudo
        .add_bytes(into.as_slice().get(start..).unwrap_or_default())
        .add_bytes(payload[0])
        .add_bytes(payload[1]);
    into.patch(field_at, sum.finish());
    Checksum::Full
}

/// Writes an IP header in front of `length` bytes; what the buffer held is gone.
#[inline]
pub(in crate::wire) fn emit_ip(
    into: &mut HeaderBuffer,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
    fields: &IpFields,
) {
    debug_assert!(length <= usize::from(u16::MAX), "no IP packet is this long");
    into.len = 0;
    let class = fields.traffic_class;
    if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) {
        let total = Ipv4Header::MIN_LEN + length;
        debug_assert!(total <= usize::from(u16::MAX), "no IP packet is this long");
        let mut header = Ipv4Header {
            dscp: IpDscp::try_new(class >> 2).unwrap_or_default(),
            ecn: IpEcn::try_new(class & IpEcn::MAX_U8).unwrap_or_default(),
            total_len: total as u16,
            identification: fields.ident,
            dont_fragment: fields.dont_fragment,
            time_to_live: fields.ttl,
            protocol: IpNumber(protocol),
            source: source.octets(),
            destination: destination.octets(),
            ..Ipv4Header::default()
        };
        header.header_checksum = ipv4_checksum(&header);
        into.put(Ipv4Header::MIN_LEN, |mut room| header.write_raw(&mut room));
    } else {
        let header = Ipv6Header {
            traffic_class: class,
            payload_length: length as u16,
            next_header: IpNumber(protocol),
            hop_limit: fields.ttl,
            source: ipv6(source).octets(),
            destination: ipv6(destination).octets(),
            ..Ipv6Header::default()
        };
        into.put(Ipv6Header::LEN, |mut room| header.write(&mut room));
    }
}

/// The checksum of an IPv4 header without options (RFC 791 section 3.1), from its values: a sum
/// over the bytes would have to wait for the bytes to be written.
#[inline]
fn ipv4_checksum(header: &Ipv4Header) -> u16 {
    let words = [
        0x4500 | u32::from(header.dscp.value()) << 2 | u32::from(header.ecn.value()),
        u32::from(header.total_len),
        u32::from(header.identification),
        u32::from(header.dont_fragment) << 14,
        u32::from(header.time_to_live) << 8 | u32::from(header.protocol.0),
    ];
    let addresses = [header.source, header.destination].map(u32::from_be_bytes);
    let halves = addresses.map(|address| (address >> 16) + (address & 0xffff));
    let sum: u32 = words.iter().chain(&halves).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    // The second fold leaves 16 bits.
    !((sum + (sum >> 16)) as u16)
}

/// The two ends of a flow are of one family, so nothing is ever mapped here.
fn ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
    }
}

/// Appends the TCP header with a checksum of zero.
///
/// etherparse writes the fixed part. The options are written behind it in place, since going
/// through etherparse's own copy of them takes as long as all the rest.
#[inline]
fn put_tcp(into: &mut HeaderBuffer, header: &TcpHeader, len: usize) {
    let start = into.len;
    into.put(len, |mut room| tcp_fields(header).write(&mut room));
    let tcp = into.bytes.get_mut(start..into.len).unwrap_or_default();
    if let Some(offset) = tcp.get_mut(TCP_DATA_OFFSET_AT) {
        // 5 to 15 words, in the high half of the byte; the lowest bit of it is a flag.
        *offset = ((len / 4) << 4) as u8 | (*offset & 1);
    }
    if let Some(room) = tcp.get_mut(Fields::MIN_LEN..) {
        options::emit(&header.options, room);
    }
}

/// The fixed part of the TCP header with a checksum of zero.
#[inline]
fn tcp_fields(header: &TcpHeader) -> Fields {
    let flags = header.flags;
    Fields {
        source_port: header.flow.local_port(),
        destination_port: header.flow.remote_port(),
        sequence_number: header.seq.0,
        acknowledgment_number: header.ack.0,
        fin: flags.contains(Flags::FIN),
        syn: flags.contains(Flags::SYN),
        rst: flags.contains(Flags::RST),
        psh: flags.contains(Flags::PSH),
        ack: flags.contains(Flags::ACK),
        urg: flags.contains(Flags::URG),
        ece: flags.contains(Flags::ECE),
        cwr: flags.contains(Flags::CWR),
        ns: flags.contains(Flags::AE),
        window_size: header.window,
        urgent_pointer: header.urgent,
        ..Fields::default()
    }
}
