//! The packets that are under way, in buffers that are used again.

use std::ops::{Index, IndexMut};

use tunstack::wire::{Flags, Transmit};

use crate::common::raw;

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It connects and sends.
    Sender,
    /// It reads and acknowledges.
    Receiver,
}

impl End {
    /// Both, in the order of [`index`](Self::index).
    pub const BOTH: [Self; 2] = [Self::Sender, Self::Receiver];

    /// Its place in a pair; also that of the direction which leads away from it.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

/// Names a packet as long as it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketId(u32);

/// A packet, and what the network wants to know of it without reading its headers again.
#[derive(Debug)]
pub struct Packet {
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub flow: usize,
    /// Where it comes from.
    pub from: End,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// Bytes of text.
    pub text: u32,
    /// When it joined the queue, in nanoseconds.
    pub queued_at: u64,
    /// It waits no more, but its place in the queue is still there.
    pub is_thinned: bool,
}

impl Packet {
    /// Bytes of the whole packet: what the link has to carry.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether it does nothing but acknowledge.
    pub fn is_bare_ack(&self) -> bool {
        self.text == 0
            && self.flags.contains(Flags::ACK)
            && !self.flags.intersects(Flags::SYN | Flags::FIN | Flags::RST)
    }

    /// Sets CE if the transport understands ECN; answers whether it does (RFC 3168 section 5).
    pub fn mark(&mut self) -> bool {
        raw::mark(&mut self.bytes)
    }
}

/// All packets under way. The buffer of one that is gone serves the next.
#[derive(Debug, Default)]
pub struct Packets {
    slots: Vec<Packet>,
    free: Vec<u32>,
}

impl Packets {
    /// How many are under way.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes in a packet of the stack, which is TCP over IPv4 without options of IP.
    pub fn add(&mut self, transmit: &Transmit<'_>, flow: usize, from: End) -> PacketId {
        let id = self.slot();
        let packet = &mut self[id];
        packet.bytes.clear();
        transmit.append_to(&mut packet.bytes);
        (packet.flow, packet.from) = (flow, from);
        packet.read_headers();
        id
    }

    /// Takes in `len` bytes that mean nothing, for tests of the network alone.
    pub fn add_blank(&mut self, len: usize, flow: usize, from: End) -> PacketId {
        let id = self.slot();
        let packet = &mut self[id];
        packet.bytes.clear();
        packet.bytes.resize(len, 0);
        (packet.flow, packet.from) = (flow, from);
        (packet.seq, packet.ack, packet.text) = (0, 0, len as u32);
        packet.flags = Flags::empty();
        id
    }

    /// It has arrived or is lost.
    pub fn remove(&mut self, id: PacketId) {
        self.free.push(id.0);
    }

    fn slot(&mut self) -> PacketId {
        let id = PacketId(self.free.pop().unwrap_or(self.slots.len() as u32));
        if id.0 as usize == self.slots.len() {
            self.slots.push(Packet {
                bytes: Vec::new(),
                flow: 0,
                from: End::Sender,
                seq: 0,
                ack: 0,
                flags: Flags::empty(),
                text: 0,
                queued_at: 0,
                is_thinned: false,
            });
        }
        self[id].is_thinned = false;
        id
    }
}

impl Index<PacketId> for Packets {
    type Output = Packet;
    fn index(&self, id: PacketId) -> &Packet {
        &self.slots[id.0 as usize]
    }
}

impl IndexMut<PacketId> for Packets {
    fn index_mut(&mut self, id: PacketId) -> &mut Packet {
        &mut self.slots[id.0 as usize]
    }
}

impl Packet {
    /// RFC 791 section 3.1, RFC 9293 section 3.1.
    fn read_headers(&mut self) {
        let bytes = &self.bytes;
        assert!(bytes[0] == 0x45 && bytes[9] == 6, "TCP over IPv4 without options");
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let header = 20 + usize::from(bytes[32] >> 4) * 4;
        (self.seq, self.ack) = (word(24), word(28));
        self.flags = Flags::from_header([bytes[32], bytes[33]]);
        self.text = (bytes.len() - header) as u32;
    }
}
