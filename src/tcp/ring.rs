//! A byte ring that takes memory when bytes arrive.

use core::fmt;

/// Storage for a window of a byte stream, addressed by offset from the first byte it holds. Dropping
/// it gives the memory back.
///
/// The ring does not know how many bytes are in use: its owner does, and says so where it matters
/// (when growing).
#[derive(Default)]
pub(super) struct Ring {
    /// As far as it has been written to: what nobody has written to is not zeroed either.
    storage: Vec<u8>,
    /// Bytes it may hold: zero, or a power of two, for which `storage` has room.
    capacity: u32,
    /// Where offset 0 lies in `storage`.
    head: u32,
}

/// The least that is allocated once there is anything to hold.
const LEAST: usize = 512;

/// What a ring may hold however little memory is left: a full segment on any common link. So every
/// connection gets on, both ways, and none waits for another to give memory back.
const FLOOR: usize = 2 << 10;

impl Ring {
    /// One that holds nothing.
    pub(super) const EMPTY: Self = Self { storage: Vec::new(), capacity: 0, head: 0 };

    /// Bytes of memory taken.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// As many bytes as `wanted`, or as it can hold with `room`.
    #[inline]
    pub(super) fn hold(&self, wanted: usize, room: u32) -> usize {
        // It reaches further than half of the room: enough nearly always.
        if wanted <= room as usize / 2 { wanted } else { wanted.min(self.reach(room)) }
    }

    /// How many bytes it can hold if it takes no more than `room` bytes of memory beside what it has,
    /// or `FLOOR` in all.
    #[inline]
    pub(super) fn reach(&self, room: u32) -> usize {
        // Its size is zero or a power of two, and stays so.
        let most = (self.capacity() + room as usize).max(FLOOR);
        1 << most.ilog2()
    }

    /// Makes room for `needed` bytes, at most 2^31, keeping the first `used`.
    #[inline]
    pub(super) fn reserve(&mut self, used: usize, needed: usize) {
        if needed > self.capacity() {
            self.grow(used, needed);
        }
    }

    #[cold]
    fn grow(&mut self, used: usize, needed: usize) {
        let capacity = needed.next_power_of_two().max(LEAST);
        let mut grown = Vec::with_capacity(capacity);
        for piece in self.slices(0, used) {
            grown.extend_from_slice(piece);
        }
        *self = Self { storage: grown, capacity: capacity as u32, head: 0 };
    }

    /// Copies `bytes` to `offset`; there must be room for them.
    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.capacity());
        if bytes.is_empty() {
            return;
        }
        let start = self.wrap(offset);
        if start < self.head as usize {
            // It lies in front already: whatever reaches from here to there goes over the end.
            self.storage.resize(self.capacity(), 0);
        }
        match bytes.split_at_checked(self.capacity() - start) {
            // Nearly always it does not reach over the end.
            None => self.put(start, bytes),
            Some((a, b)) => {
                self.put(start, a);
                self.put(0, b);
            }
        }
    }

    /// Writes to a place in the storage: over what is there, and behind its end.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if at > self.storage.len() {
            // A hole that has never been written to.
            self.storage.resize(at, 0);
        }
        match bytes.split_at_checked(self.storage.len() - at) {
            None => self.storage[at..at + bytes.len()].copy_from_slice(bytes),
            Some((over, behind)) => {
                if !over.is_empty() {
                    self.storage[at..].copy_from_slice(over);
                }
                self.storage.extend_from_slice(behind);
            }
        }
    }

    /// The `len` bytes from `offset` on, in two pieces where they wrap.
    pub(super) fn slices(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        debug_assert!(offset + len <= self.capacity());
        if len == 0 {
            return [&[], &[]];
        }
        let start = self.wrap(offset);
        let before_wrap = len.min(self.capacity() - start);
        [&self.storage[start..start + before_wrap], &self.storage[..len - before_wrap]]
    }

    /// Forgets the first `n` bytes: offset `n` becomes offset 0.
    pub(super) fn advance(&mut self, n: usize) {
        if self.capacity > 0 {
            self.head = self.wrap(n) as u32;
        }
    }

    /// Nothing is held any more. The memory stays for what comes next.
    pub(super) fn clear(&mut self) {
        self.storage.clear();
        self.head = 0;
    }

    fn wrap(&self, offset: usize) -> usize {
        // The capacity is a power of two.
        (self.head as usize + offset) & (self.capacity() - 1)
    }
}

/// Without the bytes, which nobody wants to read.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { storage: _, capacity, head } = self;
        f.debug_struct("Ring")
            .field("capacity", capacity)
            .field("head", head)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bytes written anywhere, in any order, over the end and beyond holes, come out again.
        #[test]
        fn behaves_as_a_line_with_holes(
            steps in proptest::collection::vec(
                // Offsets of every magnitude, so that the ring grows again and again.
                (any::<bool>(), (5u32..16).prop_flat_map(|bits| 0..1usize << bits), 1usize..900),
                1..60,
            ),
        ) {
            let mut ring = Ring::default();
            // `None` is a hole.
            let mut model: Vec<Option<u8>> = Vec::new();
            for (n, (write, offset, len)) in steps.into_iter().enumerate() {
                if write {
                    let used = model.len();
                    ring.reserve(used, offset + len);
                    ring.write_at(offset, &vec![n as u8; len]);
                    model.resize(used.max(offset + len), None);
                    model[offset..offset + len].fill(Some(n as u8));
                } else {
                    // What is in order may be taken.
                    let whole = model.iter().take_while(|byte| byte.is_some()).count();
                    let taken = len.min(whole);
                    let [a, b] = ring.slices(0, taken);
                    let expected: Vec<u8> = model.drain(..taken).flatten().collect();
                    prop_assert_eq!([a, b].concat(), expected);
                    ring.advance(taken);
                }
            }
            for (offset, byte) in model.iter().enumerate().filter_map(|(n, b)| Some((n, (*b)?))) {
                prop_assert_eq!(ring.slices(offset, 1)[0], &[byte][..]);
            }
        }
    }

    /// Written beyond a hole that itself reaches over the end of the storage, then grown.
    #[test]
    fn a_hole_over_the_end_may_be_copied() {
        let mut ring = Ring::default();
        ring.reserve(0, 512);
        ring.write_at(0, &[1; 450]);
        ring.advance(400);
        ring.write_at(120, &[2; 10]);
        ring.reserve(130, 600);
        assert_eq!(ring.capacity(), 1_024);
        assert_eq!(ring.slices(0, 50)[0], [1; 50]);
        assert_eq!(ring.slices(120, 10)[0], [2; 10]);
    }

    #[test]
    fn it_reaches_as_far_as_memory_goes_and_to_the_floor_in_any_case() {
        let mut ring = Ring::default();
        for (room, reach) in [(0, FLOOR), (4_095, FLOOR), (4_096, 4_096), (10_000, 8_192)] {
            assert_eq!(ring.reach(room), reach, "{room}");
        }
        ring.reserve(0, 8_192);
        for (room, reach) in [(0, 8_192), (8_191, 8_192), (8_192, 16_384), (u32::MAX, 1 << 32)] {
            assert_eq!(ring.reach(room), reach, "{room}");
            for wanted in [1, reach / 2, reach, reach + 1, 2 * reach, 4 * reach] {
                assert_eq!(ring.hold(wanted, room), wanted.min(reach));
            }
        }
    }

    #[test]
    fn what_is_not_written_is_not_taken() {
        let mut ring = Ring::default();
        ring.reserve(0, 5_000);
        ring.write_at(0, &[1; 100]);
        assert_eq!((ring.capacity(), ring.storage.len()), (8_192, 100));
        ring.clear();
        assert_eq!((ring.capacity(), ring.storage.len()), (8_192, 0));
    }
}
