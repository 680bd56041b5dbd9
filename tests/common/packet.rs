//! A TCP packet of the simulated wire as a value that owns its bytes, and the checks that every
//! packet of the stack must pass whatever it says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tunstack::wire::codec::{self, HeaderBuffer, TcpHeader};
use tunstack::wire::{EcnField, Flags, Flow, Frame, Options, Segment, SeqNum};

/// A TCP packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub seq: SeqNum,
    pub ack: SeqNum,
    pub flags: Flags,
    pub window: u16,
    pub urgent: u16,
    pub options: Options,
    pub text: Vec<u8>,
    /// The type of service or traffic class of its IP header.
    pub traffic_class: u8,
    /// Its time to live or hop limit.
    pub ttl: u8,
}

impl Packet {
    /// Reads a packet; `None` when it is not TCP or not well-formed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match codec::parse(&Frame::plain(bytes)).ok()? {
            codec::Packet::Tcp { flow, segment, .. } => Some(Self {
                from: flow.remote_addr(),
                to: flow.local_addr(),
                seq: segment.seq,
                ack: segment.ack,
                flags: segment.flags,
                window: segment.window,
                urgent: segment.urgent,
                options: segment.options,
                text: segment.payload.to_vec(),
                traffic_class: traffic_class(bytes),
                ttl: if bytes[0] >> 4 == 4 { bytes[8] } else { bytes[7] },
            }),
            _ => None,
        }
    }

    /// The packet as bytes, from the IP header on.
    pub fn encode(&self) -> Vec<u8> {
        let header = TcpHeader {
            flow: Flow::new(self.from, self.to),
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            options: self.options,
            traffic_class: self.traffic_class,
            ttl: self.ttl,
            ident: 0,
            dont_fragment: true,
        };
        let mut buffer = HeaderBuffer::new();
        codec::emit_tcp(&mut buffer, &header, [&self.text, &[]], false);
        let mut bytes = buffer.as_slice().to_vec();
        bytes.extend_from_slice(&self.text);
        bytes
    }

    /// The ECN field of its IP header.
    pub fn ecn(&self) -> EcnField {
        EcnField::from_bits(self.traffic_class)
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// SEG.LEN: text, SYN and FIN.
    pub fn len(&self) -> u32 {
        self.text.len() as u32 + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }

    /// The sequence number after the last one of the packet.
    pub fn end(&self) -> SeqNum {
        self.seq + self.len()
    }
}

/// Addresses and then the segment in tcpdump's order of fields.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = Segment {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            options: self.options,
            ecn: self.ecn(),
            payload: &self.text,
            segment_size: None,
        };
        let mark = match self.ecn() {
            EcnField::NotEct => "",
            EcnField::Ect0 => "[ect0] ",
            EcnField::Ect1 => "[ect1] ",
            EcnField::Ce => "[ce] ",
        };
        write!(f, "{mark}{} > {}: {segment}", self.from, self.to)
    }
}

/// Where RFC 791 section 3.1 and RFC 8200 section 3 have it.
fn traffic_class(bytes: &[u8]) -> u8 {
    if bytes[0] >> 4 == 4 { bytes[1] } else { bytes[0] << 4 | bytes[1] >> 4 }
}

/// The Internet checksum of `pieces` in a row, by the book: 16-bit words, end-around carry
/// (RFC 1071 section 1). Zero over a packet that holds its own right checksum. Slow on purpose:
/// it shares nothing with the code it checks.
pub fn internet_checksum(pieces: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = pieces.concat();
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Asserts what must hold of any TCP packet that leaves a stack: lengths that agree and right
/// checksums (RFC 9293 section 3.1, MUST-2; RFC 791 section 3.1; RFC 8200 section 8.1).
#[track_caller]
pub fn check_well_formed(bytes: &[u8], mtu: usize) {
    assert!(bytes.len() <= mtu, "{} bytes exceed the MTU of {mtu}", bytes.len());
    let (addresses, transport) = match bytes[0] >> 4 {
        4 => {
            let header_len = usize::from(bytes[0] & 0xf) * 4;
            let total = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            assert_eq!(total, bytes.len(), "IPv4 total length");
            assert_eq!(internet_checksum(&[&bytes[..header_len]]), 0, "IPv4 header checksum");
            assert_eq!(bytes[9], 6, "IPv4 protocol");
            (&bytes[12..20], &bytes[header_len..])
        }
        6 => {
            let payload = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
            assert_eq!(payload + 40, bytes.len(), "IPv6 payload length");
            assert_eq!(bytes[6], 6, "IPv6 next header");
            (&bytes[8..40], &bytes[40..])
        }
        version => panic!("IP version {version}"),
    };
    let len = (transport.len() as u32).to_be_bytes();
    let sum = internet_checksum(&[addresses, &len, &[0, 0, 0, 6], transport]);
    assert_eq!(sum, 0, "TCP checksum");
}

/// The address of a host on the simulated network: number 1 is the stack or client, 2 the peer or
/// server.
pub fn address(number: u8, ipv6: bool) -> IpAddr {
    if ipv6 {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)])
    } else {
        IpAddr::from([10, 0, 0, number])
    }
}
