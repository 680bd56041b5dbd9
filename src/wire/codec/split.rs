//! A super-segment of our own as the segments that it stands for: what a device does that has been
//! handed one.

use super::template::{
    CHECKSUM_AT, IPV4_CHECKSUM_AT, IPV4_TOTAL_LEN_AT, IPV6_PAYLOAD_LEN_AT, OFFSET_AT, SEQ_AT,
};
use crate::wire::Flags;
use crate::wire::checksum::Sum;

/// Where the addresses stand in the headers of IPv4 and IPv6, up to their ends.
const IPV4_ADDRESSES: core::ops::Range<usize> = 12..IPV4_LEN;
const IPV6_ADDRESSES: core::ops::Range<usize> = 8..IPV6_LEN;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// Bytes of a TCP header without options.
const TCP_LEN: usize = 20;
/// The protocol number of TCP.
const TCP: u32 = 6;

/// The headers of a super-segment: IP without options or extensions, and TCP.
#[derive(Clone, Copy, Debug)]
pub struct SuperHeaders<'a> {
    bytes: &'a [u8],
    ip_len: usize,
    seq: u32,
    flags: Flags,
    /// What the IPv4 header adds to its checksum, but for the length.
    ip_sum: Sum,
    /// What addresses, protocol and the TCP header add to the checksum, but for SEG.SEQ and the word
    /// with the control bits.
    tcp_sum: Sum,
    /// The word with the control bits, which are zero in it.
    control: u32,
}

impl<'a> SuperHeaders<'a> {
    /// The headers at the start of `packet`, and what stands behind them there; `None` if they are
    /// not such as a stack emits.
    pub fn read(packet: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (ip_len, addresses) = match packet.first()? {
            0x45 => (IPV4_LEN, IPV4_ADDRESSES),
            first if first >> 4 == 6 => (IPV6_LEN, IPV6_ADDRESSES),
            _ => return None,
        };
        let words = usize::from(packet.get(ip_len + OFFSET_AT)? >> 4);
        let (bytes, rest) = packet.split_at_checked(ip_len + 4 * words)?;
        let (ip, tcp) = bytes.split_at_checked(ip_len)?;
        let [ports, seq, ack, control, checksum] = tcp.as_chunks().0.first_chunk()?;
        let (seq, control) = (u32::from_be_bytes(*seq), u32::from_be_bytes(*control));
        let sum = Sum::ZERO.add_bytes(ip.get(addresses)?).add_word(TCP);
        let sum = sum.add_bytes(ports).add_bytes(ack);
        // The urgent pointer stands behind the checksum.
        let sum = sum.add_word(u32::from_be_bytes(*checksum) & 0xffff);
        let headers = Self {
            bytes,
            ip_len,
            seq,
            flags: Flags::from_bits_truncate((control >> 16) as u16),
            ip_sum: ip_sum_without_length(ip),
            tcp_sum: sum.add_bytes(tcp.get(TCP_LEN..)?),
            control: control & !(u32::from(Flags::all().bits()) << 16),
        };
        Some((headers, rest))
    }

    /// Bytes of all headers together.
    pub fn header_len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.ip_len == IPV6_LEN
    }

    /// The control bits.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Puts the segment together that carries `payload`, which starts at `offset` of all that the
    /// super-segment carries, and is the last of it or not. It stands at the start of `into`, which
    /// grows if it has to.
    pub fn emit<'b>(
        &self,
        into: &'b mut Vec<u8>,
        offset: usize,
        payload: [&[u8]; 2],
        is_last: bool,
    ) -> &'b [u8] {
        let (ip_len, header_len) = (self.ip_len, self.bytes.len());
        let total = header_len + payload[0].len() + payload[1].len();
        if into.len() < total {
            into.resize(total, 0);
        }
        let packet = into.get_mut(..total).unwrap_or_default();
        let (headers, text) = packet.split_at_mut(header_len);
        headers.copy_from_slice(self.bytes);
        if ip_len == IPV4_LEN {
            // At most what the whole had, which was a packet.
            put(headers, IPV4_TOTAL_LEN_AT, (total as u16).to_be_bytes());
            let checksum = self.ip_sum.add_word(total as u32).finish();
            put(headers, IPV4_CHECKSUM_AT, checksum.to_be_bytes());
        } else {
            put(headers, IPV6_PAYLOAD_LEN_AT, ((total - ip_len) as u16).to_be_bytes());
        }
        let seq = self.seq.wrapping_add(offset as u32);
        put(headers, ip_len + SEQ_AT, seq.to_be_bytes());
        let mut flags = self.flags;
        if !is_last {
            flags -= Flags::FIN | Flags::PSH;
        }
        if offset > 0 {
            // RFC 3168 section 6.1.2: it is said once.
            flags -= Flags::CWR;
        }
        let control = self.control | u32::from(flags.bits()) << 16;
        put(headers, ip_len + OFFSET_AT, control.to_be_bytes());
        let (first, second) = text.split_at_mut(payload[0].len());
        first.copy_from_slice(payload[0]);
        second.copy_from_slice(payload[1]);
        let sum = self.tcp_sum.add_word(seq).add_word(control).add_word((total - ip_len) as u32);
        let sum = sum.add_bytes(text);
        put(headers, ip_len + CHECKSUM_AT, sum.finish().to_be_bytes());
        packet
    }
}

/// What an IPv4 header adds to its checksum, but for its length; nothing for one of IPv6.
fn ip_sum_without_length(ip: &[u8]) -> Sum {
    let Ok(ip) = <&[u8; IPV4_LEN]>::try_from(ip) else { return Sum::ZERO };
    let mut ip = *ip;
    put(&mut ip, IPV4_TOTAL_LEN_AT, [0; 2]);
    put(&mut ip, IPV4_CHECKSUM_AT, [0; 2]);
    Sum::ZERO.add_bytes(&ip)
}

/// Overwrites bytes that lie within the headers.
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}
