//! How much memory a connection's buffers may take beside what they have.
//!
//! The bound is one for all connections of the stack, and so is the account; a connection is told what
//! is left of it before anything is asked of it, and takes no more. The rules are in
//! [`crate::manual`].

use super::{Connection, Mark};
use crate::wire::SeqNum;

/// Bytes of memory that may be taken. What is new has to leave some for what was promised before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// For text that comes in order, within a window that was offered.
    pub(crate) for_promised: u32,
    /// For what is written, what lies beyond a hole, and a window that opens.
    pub(crate) for_new: u32,
}

impl Room {
    /// As much as there is.
    pub(crate) const UNBOUNDED: Self = Self { for_promised: u32::MAX, for_new: u32::MAX };
}

impl Connection {
    /// What may be taken from now on.
    #[inline]
    pub(crate) fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    /// Bytes of memory that buffers and records take.
    #[inline]
    pub(crate) fn buffer_memory(&self) -> usize {
        let meter = if self.has(Mark::METERED) { self.flight.meter_memory() } else { 0 };
        self.send_buffer.memory() + self.recv_buffer.memory() + self.flight.memory() + meter
    }

    /// Bytes of memory taken by buffers and records, the connection itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.buffer_memory()
            + self.timers.memory()
            + self.urgent.memory()
            + self.recovery.memory()
            + self.ecn.as_ref().map_or(0, |ecn| ecn.memory())
            + self.congestion.memory()
    }

    /// Whether it is for want of memory that nothing more can be written.
    pub(crate) fn lacks_memory_to_write(&self, room: Room) -> bool {
        self.send_buffer.hold(self.send_buffer.len() + 1, room) <= self.send_buffer.len()
    }

    /// Puts back what an application did not take of the text that it was handed. One that has
    /// closed meanwhile throws it away. Answers false when there is not the memory for all of it: then
    /// the peer sends the rest again, as if it had not come.
    pub(crate) fn store(&mut self, rest: &[u8]) -> bool {
        if self.has(Mark::ORPHAN) {
            self.reset_unread();
            return true;
        }
        self.right_sizing.on_put_back(rest.len() as u32);
        let given_up = self.give_up(rest);
        self.recv_buffer.store(&rest[..rest.len() - given_up]);
        if given_up > 0 {
            self.on_no_memory();
        }
        given_up == 0
    }

    /// Of text that was handed out and is to be stored after all, gives up as if it had not come what
    /// there is no memory for: bytes at the end of `rest`. Answers how many.
    fn give_up(&mut self, rest: &[u8]) -> usize {
        let left = rest.len().saturating_sub(self.recv_buffer.storable(self.room) as usize);
        // What has been acknowledged, or has a FIN behind it, cannot be given up any more.
        if left == 0 || self.has_all() || !self.ack.take_back(left as u32) {
            return 0;
        }
        self.rcv.nxt = self.rcv.nxt - left as u32;
        self.bytes_received -= left as u64;
        left
    }

    /// Text at RCV.NXT has been dropped for want of memory. More of the kind may be on its way, and a
    /// window that stays open would have it sent again and again until the peer gives up. So this is
    /// where the peer is told of a smaller window (RFC 9293 section 3.8.6 discourages it: SHLD-14), of
    /// what there is memory for, which it probes for as long as it takes (MUST-37). What was promised
    /// is still taken in as soon as that is possible (RFC 7323 section 2.4).
    ///
    /// Not while something of ours is in flight: the peer's ACKs then lie where it believes our window
    /// to end, which may be before RCV.NXT by the time they come. If it did the same to us, neither
    /// would find an ACK of the other acceptable any more.
    pub(super) fn on_no_memory(&mut self) {
        if self.flight.is_empty() {
            let fits = self.rcv.nxt + self.recv_buffer.storable(self.room);
            self.rcv.withheld = self.told_edge().earlier(fits).len_to(self.rcv.edge);
        }
        self.ack.at_once();
    }

    /// The right edge of the window as the peer knows it.
    #[inline]
    pub(super) fn told_edge(&self) -> SeqNum {
        (self.rcv.edge - self.rcv.withheld).later(self.rcv.nxt)
    }

    /// The peer is told of a window up to `edge`, which is not before what it knows.
    #[inline]
    pub(super) fn tell_edge(&mut self, edge: SeqNum) {
        self.rcv.edge = self.rcv.edge.later(edge);
        self.rcv.withheld = edge.len_to(self.rcv.edge);
    }
}
