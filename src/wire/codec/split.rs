//! A super-segment of our own as the segments that it stands for: what a device does that has been
//! handed one.

use super::template::{
    ACK_AT, CHECKSUM_AT, FLAGS_AT, IPV4_CHECKSUM_AT, IPV4_TOTAL_LEN_AT, IPV6_PAYLOAD_LEN_AT, SEQ_AT,
};
use crate::wire::Flags;
use crate::wire::checksum::Sum;

/// Where the addresses stand in the headers of IPv4 and IPv6, up to their ends.
const IPV4_ADDRESSES: core::ops::Range<usize> = 12..IPV4_LEN;
const IPV6_ADDRESSES: core::ops::Range<usize> = 8..IPV6_LEN;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// Where the upper half of a byte says how many words a TCP header has.
const DATA_OFFSET_AT: usize = ACK_AT + 4;
/// The protocol number of TCP.
const TCP: u32 = 6;

/// The headers of a super-segment: IP without options or extensions, and TCP.
#[derive(Clone, Copy, Debug)]
pub struct SuperHeaders<'a> {
    bytes: &'a [u8],
    ip_len: usize,
    seq: u32,
    flags: Flags,
    /// What the addresses and the protocol add to the checksum.
    pseudo: Sum,
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
        let words = usize::from(packet.get(ip_len + DATA_OFFSET_AT)? >> 4);
        let (bytes, rest) = packet.split_at_checked(ip_len + 4 * words)?;
        let seq = u32::from_be_bytes(*bytes.get(ip_len + SEQ_AT..)?.first_chunk()?);
        let flags = Flags::from_bits_retain(*bytes.get(ip_len + FLAGS_AT)?);
        let pseudo = Sum::ZERO.add_bytes(bytes.get(addresses)?).add_word(TCP);
        bytes.get(ip_len + CHECKSUM_AT..ip_len + CHECKSUM_AT + 2)?;
        Some((Self { bytes, ip_len, seq, flags, pseudo }, rest))
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
    /// super-segment carries, and is the last of it or not.
    pub fn emit(&self, into: &mut Vec<u8>, offset: usize, payload: [&[u8]; 2], is_last: bool) {
        let ip_len = self.ip_len;
        into.clear();
        into.extend_from_slice(self.bytes);
        into.extend_from_slice(payload[0]);
        into.extend_from_slice(payload[1]);
        // At most what the whole had, which was a packet.
        let (total, tcp_len) = (into.len() as u16, (into.len() - ip_len) as u16);
        if ip_len == IPV4_LEN {
            put(into, IPV4_TOTAL_LEN_AT, total);
            put(into, IPV4_CHECKSUM_AT, 0);
            let sum = Sum::ZERO.add_bytes(into.get(..ip_len).unwrap_or_default());
            put(into, IPV4_CHECKSUM_AT, sum.finish());
        } else {
            put(into, IPV6_PAYLOAD_LEN_AT, tcp_len);
        }
        let seq = self.seq.wrapping_add(offset as u32);
        put(into, ip_len + SEQ_AT, (seq >> 16) as u16);
        put(into, ip_len + SEQ_AT + 2, seq as u16);
        let mut flags = self.flags;
        if !is_last {
            flags -= Flags::FIN | Flags::PSH;
        }
        if offset > 0 {
            // RFC 3168 section 6.1.2: it is said once.
            flags -= Flags::CWR;
        }
        if let Some(place) = into.get_mut(ip_len + FLAGS_AT) {
            *place = flags.bits();
        }
        put(into, ip_len + CHECKSUM_AT, 0);
        let sum = self.pseudo.add_word(u32::from(tcp_len));
        let sum = sum.add_bytes(into.get(ip_len..).unwrap_or_default());
        put(into, ip_len + CHECKSUM_AT, sum.finish());
    }
}

/// Overwrites 16 bits, which lie within the headers.
fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
