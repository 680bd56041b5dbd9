//! The headers that nearly all segments of a connection share, written once.
//!
//! An ordinary segment of an established connection has no options but timestamps. Its headers
//! differ from the last one's in eight fields; the rest, and what the rest adds to the checksums,
//! is kept here.

use etherparse::IpNumber;

use super::emit::{self, HeaderBuffer, TcpHeader};
use crate::wire::checksum::Sum;
use crate::wire::{Checksum, EcnField, Flags, Flow, Options, SeqNum, Timestamps};

/// The longest there is: IPv6, TCP and timestamps.
const MOST: usize = 40 + MOST_TCP;
/// TCP and timestamps.
const MOST_TCP: usize = 20 + 12;
/// Where fields stand in the headers of IPv4 and IPv6 (RFC 791 section 3.1, RFC 8200 section 3).
const TRAFFIC_CLASS_AT: usize = 1;
pub(super) const IPV4_TOTAL_LEN_AT: usize = 2;
pub(super) const IPV4_CHECKSUM_AT: usize = 10;
pub(super) const IPV6_PAYLOAD_LEN_AT: usize = 4;
/// Where fields stand in a TCP header (RFC 9293 section 3.1), and in one with timestamps behind
/// two no-operations (RFC 7323 appendix A).
pub(super) const SEQ_AT: usize = 4;
pub(super) const ACK_AT: usize = 8;
pub(super) const OFFSET_AT: usize = 12;
pub(super) const CHECKSUM_AT: usize = 16;
const TIMESTAMP_AT: usize = 24;
const ECHO_AT: usize = 28;

/// What the headers of an ordinary segment say that others do not.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    /// Timestamps; there are some if and only if the template was made for them.
    pub timestamps: Option<Timestamps>,
    /// The ECN field.
    pub ecn: EcnField,
}

/// Headers with holes for what varies.
#[derive(Clone)]
pub struct Template {
    bytes: [u8; MOST],
    len: u8,
    ip_len: u8,
    timestamps: bool,
    /// What the fixed fields add to the checksum of the IPv4 header.
    ip_sum: Sum,
    /// What the pseudo-header adds to the checksum of the TCP header, but for the length.
    pseudo_sum: Sum,
    /// The same, and what the fixed fields add.
    tcp_sum: Sum,
}

impl Template {
    /// The template of a connection whose packets have this traffic class, but for the ECN field,
    /// and time to live, and that sends `timestamps`, or does not.
    pub fn new(flow: Flow, traffic_class: u8, ttl: u8, timestamps: bool) -> Self {
        let options =
            Options { timestamps: timestamps.then(Timestamps::default), ..Options::default() };
        let header = TcpHeader {
            flow,
            seq: SeqNum(0),
            ack: SeqNum(0),
            flags: Flags::empty(),
            window: 0,
            urgent: 0,
            options,
            traffic_class: traffic_class & !EcnField::MASK,
            ttl,
            ident: 0,
            dont_fragment: true,
        };
        let mut buffer = HeaderBuffer::new();
        emit::emit_tcp(&mut buffer, &header, [&[], &[]], false);
        let ip_len = flow.ip_header_len();
        let mut template = Self {
            bytes: [0; MOST],
            len: buffer.as_slice().len() as u8, // 40 to 72
            ip_len: ip_len as u8,
            timestamps,
            ip_sum: Sum::ZERO,
            pseudo_sum: Sum::pseudo_header(flow.local(), flow.remote(), IpNumber::TCP.0, 0),
            tcp_sum: Sum::ZERO,
        };
        if let Some(bytes) = template.bytes.get_mut(..buffer.as_slice().len()) {
            bytes.copy_from_slice(buffer.as_slice());
        }
        // The fields that vary hold zero now, but for lengths and checksums.
        let length_at = if flow.is_ipv6() { IPV6_PAYLOAD_LEN_AT } else { IPV4_TOTAL_LEN_AT };
        template.patch(length_at, [0; 2]);
        template.patch(ip_len + CHECKSUM_AT, [0; 2]);
        if !flow.is_ipv6() {
            template.patch(IPV4_CHECKSUM_AT, [0; 2]);
        }
        let (ip, rest) = template.bytes.split_at(ip_len);
        let tcp = rest.get(..usize::from(template.len) - ip_len).unwrap_or_default();
        template.ip_sum = Sum::ZERO.add_bytes(ip);
        template.tcp_sum = template.pseudo_sum.add_bytes(tcp);
        template
    }

    /// Whether the template is for segments with timestamps.
    pub fn has_timestamps(&self) -> bool {
        self.timestamps
    }

    fn patch<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        put(&mut self.bytes, at, value);
    }

    /// Writes the headers of a segment with this payload, the TCP checksum complete or `partial`:
    /// what [`emit_tcp`](super::emit_tcp) writes for the same values.
    #[inline]
    pub fn emit(
        &self,
        into: &mut HeaderBuffer,
        variable: &Variable,
        payload: [&[u8]; 2],
        partial: bool,
    ) -> Checksum {
        let Variable { seq, ack, flags, window, timestamps, ecn } = *variable;
        let ecn = ecn.bits();
        let (len, ip_len) = (usize::from(self.len), usize::from(self.ip_len));
        let tcp_len = len - ip_len + payload[0].len() + payload[1].len();
        let bytes = into.restart(len);
        bytes[..MOST].copy_from_slice(&self.bytes);

        // An IP packet's length fits into 16 bits; the caller answers for it, as with `emit_tcp`.
        if ip_len == 20 {
            let total = (ip_len + tcp_len) as u16;
            put(bytes, IPV4_TOTAL_LEN_AT, total.to_be_bytes());
            bytes[TRAFFIC_CLASS_AT] |= ecn;
            let word = u32::from(ecn) << 16 | u32::from(total);
            let checksum = self.ip_sum.add_word(word).finish();
            put(bytes, IPV4_CHECKSUM_AT, checksum.to_be_bytes());
        } else {
            // The low half of the traffic class stands in the high half of the byte.
            bytes[TRAFFIC_CLASS_AT] |= ecn << 4;
            put(bytes, IPV6_PAYLOAD_LEN_AT, (tcp_len as u16).to_be_bytes());
        }

        let header_words = ((len - ip_len) / 4) as u32;
        let control = header_words << 28 | u32::from(flags.bits()) << 16 | u32::from(window);
        // Of a known length, so that no place in it has to be looked up.
        let tcp = &mut bytes[ip_len..][..MOST_TCP];
        put(tcp, SEQ_AT, seq.0.to_be_bytes());
        put(tcp, ACK_AT, ack.0.to_be_bytes());
        put(tcp, OFFSET_AT, control.to_be_bytes());
        if let Some(ts) = timestamps {
            put(tcp, TIMESTAMP_AT, ts.value.to_be_bytes());
            put(tcp, ECHO_AT, ts.echo.to_be_bytes());
        }
        if partial {
            let sum = self.pseudo_sum.add_word(tcp_len as u32).partial();
            put(tcp, CHECKSUM_AT, sum.to_be_bytes());
            let (start, offset) = (u16::from(self.ip_len), CHECKSUM_AT as u16);
            return Checksum::Partial { start, offset };
        }
        // The length of the header is in the template's sum already.
        let mut sum = self
            .tcp_sum
            .add_word(seq.0)
            .add_word(ack.0)
            .add_word(control & 0x0fff_ffff)
            .add_word(tcp_len as u32);
        if let Some(ts) = timestamps {
            sum = sum.add_word(ts.value).add_word(ts.echo);
        }
        sum = sum.add_bytes(payload[0]);
        if !payload[1].is_empty() {
            sum = sum.add_bytes(payload[1]);
        }
        put(tcp, CHECKSUM_AT, sum.finish().to_be_bytes());
        Checksum::Full
    }
}

/// Overwrites the bytes at `at`, which lie within the longest headers.
#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}
