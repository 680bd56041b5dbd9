//! The account of the memory that the buffers of all connections take, and its bound.
//!
//! Nothing is walked: whenever something has happened to a connection, the difference it has made is
//! added. A connection is told what is left before it may take more.

use super::Slot;
use crate::tcp::Room;

/// One part in so many of the bound is for text that comes in order and was promised a place. It
/// covers what peers may still send when windows stop to grow.
const RESERVED: usize = 4;

/// The account.
#[derive(Debug)]
pub(super) struct BufferMemory {
    bound: usize,
    taken: usize,
    /// What is left.
    room: Room,
}

impl BufferMemory {
    pub(super) fn new(bound: usize) -> Self {
        let mut account = Self { bound, taken: 0, room: Room::UNBOUNDED };
        account.enter(0, 0);
        account
    }

    /// Bytes taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Bytes left.
    #[inline]
    pub(super) fn room(&self) -> Room {
        self.room
    }

    /// Enters what the buffers of a connection take now.
    #[inline]
    pub(super) fn charge(&mut self, slot: &mut Slot) {
        // Two rings, of at most 2^31 and 2^30 bytes, and records of what is in them.
        let takes = slot.connection.buffer_memory() as u32;
        if takes != slot.charged {
            self.enter(takes, slot.charged);
            slot.charged = takes;
        }
    }

    /// A connection goes.
    pub(super) fn forget(&mut self, slot: &mut Slot) {
        self.enter(0, slot.charged);
        slot.charged = 0;
    }

    /// A connection takes so many bytes, and no longer as many as it had.
    fn enter(&mut self, takes: u32, had: u32) {
        self.taken = self.taken - had as usize + takes as usize;
        let left =
            |bound: usize| u32::try_from(bound.saturating_sub(self.taken)).unwrap_or(u32::MAX);
        let for_new = left(self.bound - self.bound / RESERVED);
        self.room = Room { for_promised: left(self.bound), for_new };
    }
}

#[cfg(debug_assertions)]
impl super::Stack {
    /// Checks that the account is right, but for the records of what a connection has sent that is
    /// about to send more.
    pub(super) fn check_account(&self) {
        let slots = || self.slabs.connections.values();
        let charged: usize = slots().map(|slot| slot.charged as usize).sum();
        assert_eq!(self.memory.taken, charged, "what is taken is what all are charged for");
        for slot in slots().filter(|slot| !slot.ready) {
            assert_eq!(slot.charged as usize, slot.connection.buffer_memory(), "each is charged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_leaves_a_quarter_for_what_was_promised() {
        let mut account = BufferMemory::new(1_000);
        assert_eq!(account.room(), Room { for_promised: 1_000, for_new: 750 });
        account.enter(800, 0);
        assert_eq!(account.room(), Room { for_promised: 200, for_new: 0 });
        account.enter(1_001, 800);
        assert_eq!(account.room(), Room { for_promised: 0, for_new: 0 });
        account.enter(0, 1_001);
        assert_eq!(account.taken(), 0);
        let huge = BufferMemory::new(usize::MAX).room();
        assert_eq!(huge, Room::UNBOUNDED);
    }
}
