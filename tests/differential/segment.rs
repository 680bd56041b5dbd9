//! Segments as bytes: the peer's, which may be bent out of shape, and what comes back, read without
//! the help of the code under test.

use std::net::Ipv4Addr;

use tunstack::wire::Flags;

use super::case::Fault;
use crate::common::raw;

/// A segment on its way to a stack.
pub(crate) struct Sent {
    pub(crate) from: (Ipv4Addr, u16),
    pub(crate) to: (Ipv4Addr, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) text: Vec<u8>,
    pub(crate) fault: Fault,
}

impl Sent {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 1);
        let words = 5 + options.len() / 4;
        let offset = match self.fault {
            Fault::ShortOffset => 4,
            Fault::LongOffset => 15,
            Fault::None | Fault::Checksum => words as u8,
        };
        let mut tcp = Vec::new();
        tcp.extend(self.from.1.to_be_bytes());
        tcp.extend(self.to.1.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let [high, low] = self.flags.bits().to_be_bytes();
        tcp.extend([offset << 4 | high, low]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend(self.urgent.to_be_bytes());
        tcp.extend(&options);
        if self.fault != Fault::LongOffset {
            tcp.extend(&self.text);
        }
        let mut packet = raw::ip(self.from.0.into(), self.to.0.into(), raw::TCP, &tcp);
        raw::fix_tcp_checksum(&mut packet);
        if self.fault == Fault::Checksum {
            packet[20 + 16] ^= 0x55;
        }
        packet
    }
}

/// A segment that a stack has sent.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) from: (Ipv4Addr, u16),
    pub(crate) to: (Ipv4Addr, u16),
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) dont_fragment: bool,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Vec<Field>,
    pub(crate) text: Vec<u8>,
}

/// An option as it stands in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    Timestamps(u32, u32),
    Sack(Vec<(u32, u32)>),
    Other(u8),
}

/// Who a packet is for, if it is IPv4.
pub(crate) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (packet[0] >> 4 == 4).then(|| bytes.into())
}

impl Heard {
    /// Reads a packet; `None` when it is not TCP over IPv4.
    pub(crate) fn decode(packet: &[u8]) -> Option<Self> {
        let to = destination(packet)?;
        let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
        if packet[9] != raw::TCP {
            return None;
        }
        let tcp = packet.get(usize::from(packet[0] & 0xf) * 4..)?;
        let half = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
        let word = |at: usize| Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?));
        let header = usize::from(tcp.get(12)? >> 4) * 4;
        Some(Self {
            from: (from.into(), half(0)?),
            to: (to, half(2)?),
            tos: packet[1],
            ttl: packet[8],
            dont_fragment: packet[6] & 0x40 != 0,
            seq: word(4)?,
            ack: word(8)?,
            flags: Flags::from_header([tcp[12], tcp[13]]),
            window: half(14)?,
            urgent: half(18)?,
            options: fields(tcp.get(20..header)?)?,
            text: tcp.get(header..)?.to_vec(),
        })
    }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while let Some(&kind) = bytes.first() {
        if kind == 1 {
            fields.push(Field::Nop);
            bytes = &bytes[1..];
            continue;
        }
        if kind == 0 {
            break;
        }
        let len = usize::from(*bytes.get(1)?);
        let data = bytes.get(2..len)?;
        let word = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
        fields.push(match kind {
            2 => Field::Mss(u16::from_be_bytes(data.try_into().ok()?)),
            3 => Field::WindowScale(*data.first()?),
            4 => Field::SackPermitted,
            5 => {
                let edges = |at: usize| Some((word(at)?, word(at + 4)?));
                Field::Sack((0..data.len()).step_by(8).map(edges).collect::<Option<_>>()?)
            }
            8 => Field::Timestamps(word(0)?, word(4)?),
            other => Field::Other(other),
        });
        bytes = &bytes[len..];
    }
    Some(fields)
}
