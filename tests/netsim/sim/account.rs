//! What can be seen of a flow from outside, by the packets alone: an account that shares nothing
//! with the one that the stack keeps.

use std::collections::BTreeMap;

use tunstack::wire::codec::{self, Packet as Parsed};
use tunstack::wire::{Checksum, Flags, Frame};

use super::packets::Packet;
use super::trace::{Trace, What};

/// The account of one flow's text. Bytes count from 0 at the first of the stream.
#[derive(Debug, Default)]
pub struct Account {
    /// The sequence number of byte 0.
    first: u32,
    /// The byte after the last one sent so far.
    next: u64,
    /// Segments with text that were sent, those sent again included.
    pub segments: u64,
    /// Those that brought text which had been sent before.
    pub resent: u64,
    /// Those of them of whose text nothing was lost.
    pub spurious: u64,
    /// Segments that the receiver has reported as received twice (RFC 2883): of what was sent again
    /// without need those, and not what it had thrown away because a retransmission had overtaken it
    /// (RFC 7323 section 5.3).
    pub twice: u64,
    /// Retransmission timeouts, by the stack's counter.
    pub timeouts: u64,
    /// Those of them at which the last segment sent was lost: nothing that could have arrived behind
    /// the losses could tell of them.
    pub blind_timeouts: u64,
    /// What the network has dropped and was not sent again since: start and end.
    lost: BTreeMap<u64, u64>,
    /// The first byte of the last segment sent.
    newest: u64,
    newest_is_lost: bool,
    /// What there is to draw, if that is wanted.
    pub trace: Option<Trace>,
}

impl Account {
    /// The byte that a sequence number stands for: of all that would do, that closest to what was
    /// sent last.
    pub fn unwrapped(&self, seq: u32) -> u64 {
        let relative = seq.wrapping_sub(self.first);
        let distance = relative.wrapping_sub(self.next as u32) as i32;
        self.next.saturating_add_signed(distance.into())
    }

    fn range(&self, packet: &Packet) -> (u64, u64) {
        let start = self.unwrapped(packet.seq);
        (start, start + u64::from(packet.text))
    }

    /// The sender has sent a packet.
    pub fn on_sent(&mut self, at: u64, packet: &Packet) {
        if packet.flags.contains(Flags::SYN) {
            self.first = packet.seq.wrapping_add(1);
        }
        if packet.text == 0 {
            return;
        }
        let (start, end) = self.range(packet);
        self.segments += 1;
        let is_again = start < self.next;
        if is_again {
            self.resent += 1;
            let was_lost = self.forget_lost(start, end);
            self.spurious += u64::from(!was_lost);
        }
        self.next = self.next.max(end);
        (self.newest, self.newest_is_lost) = (start, false);
        let what = if is_again { What::Resent { start, end } } else { What::Sent { start, end } };
        self.trace(at, what);
    }

    /// Whether some of this range was lost; it is no more.
    fn forget_lost(&mut self, start: u64, end: u64) -> bool {
        let mut found = false;
        while let Some((&at, &lost_end)) = self.lost.range(..end).next_back()
            && lost_end > start
        {
            self.lost.remove(&at);
            found = true;
        }
        found
    }

    /// The network has dropped a packet of the sender.
    pub fn on_lost(&mut self, at: u64, packet: &Packet) {
        if packet.text == 0 {
            return;
        }
        let (start, end) = self.range(packet);
        self.lost.insert(start, end);
        self.newest_is_lost |= start == self.newest;
        self.trace(at, What::Lost { start, end });
    }

    /// The receiver sends an acknowledgment.
    pub fn on_answer(&mut self, packet: &Packet) {
        // Headers of IPv4 and TCP, and timestamps: with no more there is no report.
        const PLAIN: usize = 20 + 20 + 12;
        if packet.bytes.len() <= PLAIN {
            return;
        }
        let frame = Frame { checksum: Checksum::Vouched, ..Frame::plain(&packet.bytes) };
        let Ok(Parsed::Tcp { segment, .. }) = codec::parse(&frame) else {
            panic!("a stack has sent what cannot be read");
        };
        // RFC 2883 section 4: it lies below the ACK, or within the second block.
        let blocks = segment.options.sack;
        if let Some(first) = blocks.as_slice().first() {
            let below = first.end.is_at_or_before(segment.ack);
            let within = blocks.as_slice().get(1).is_some_and(|second| {
                second.start.is_at_or_before(first.start) && first.end.is_at_or_before(second.end)
            });
            self.twice += u64::from(below || within);
        }
    }

    /// So many retransmission timers have run out.
    pub fn on_timeouts(&mut self, count: u64) {
        self.timeouts += count;
        if self.newest_is_lost {
            self.blind_timeouts += count;
        }
    }

    /// A packet of the receiver has arrived at the sender.
    pub fn on_heard(&mut self, at: u64, packet: &Packet) {
        if let Some(mut trace) = self.trace.take() {
            trace.on_ack(at, packet, |seq| self.unwrapped(seq));
            self.trace = Some(trace);
        }
    }

    /// One more thing to draw.
    pub fn trace(&mut self, at: u64, what: What) {
        if let Some(trace) = &mut self.trace {
            trace.add(at, what);
        }
    }
}
