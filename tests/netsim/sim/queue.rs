//! What waits for a link that is busy.

use std::collections::VecDeque;

use super::packets::{PacketId, Packets};

/// Packets in the order in which they came.
#[derive(Debug, Default)]
pub struct Waiting {
    line: VecDeque<PacketId>,
    bytes: u64,
    /// The last bare ACK of each flow, while it waits.
    newest_ack: Vec<Option<PacketId>>,
}

impl Waiting {
    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets that wait.
    pub fn len(&self, packets: &Packets) -> usize {
        self.line.iter().filter(|&&id| !packets[id].is_thinned).count()
    }

    /// One more.
    pub fn push(&mut self, id: PacketId, packets: &Packets) {
        let packet = &packets[id];
        self.bytes += packet.len();
        self.line.push_back(id);
        if packet.is_bare_ack() {
            if self.newest_ack.len() <= packet.flow {
                self.newest_ack.resize(packet.flow + 1, None);
            }
            self.newest_ack[packet.flow] = Some(id);
        }
    }

    /// Takes out the bare ACK of this flow that came last, if it still waits. Its place in the line
    /// stays until its turn has come, as its [`is_thinned`](super::packets::Packet::is_thinned)
    /// tells. Answers whether there was one.
    pub fn take_newest_ack(&mut self, flow: usize, packets: &mut Packets) -> bool {
        let Some(id) = self.newest_ack.get_mut(flow).and_then(Option::take) else { return false };
        packets[id].is_thinned = true;
        self.bytes -= packets[id].len();
        true
    }

    /// The one that has waited longest.
    pub fn pop(&mut self, packets: &mut Packets) -> Option<PacketId> {
        loop {
            let id = self.line.pop_front()?;
            let packet = &packets[id];
            if packet.is_thinned {
                packets.remove(id);
                continue;
            }
            self.bytes -= packet.len();
            if let Some(newest) = self.newest_ack.get_mut(packet.flow)
                && *newest == Some(id)
            {
                *newest = None;
            }
            return Some(id);
        }
    }
}
