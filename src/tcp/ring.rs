//! A byte ring that takes memory when bytes arrive and gives it back when they have drained.

use core::fmt;

/// Storage for a window of a byte stream, addressed by offset from the first byte it holds.
///
/// The ring does not know how many bytes are in use: its owner does, and says so where it matters
/// (when growing).
#[derive(Default)]
pub(super) struct Ring {
    /// Empty, or a power of two long.
    storage: Box<[u8]>,
    /// Where offset 0 lies in `storage`.
    head: usize,
}

/// The least that is allocated once there is anything to hold.
const LEAST: usize = 512;

impl Ring {
    /// Bytes of memory taken.
    pub(super) fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Makes room for `needed` bytes, keeping the first `used`.
    pub(super) fn reserve(&mut self, used: usize, needed: usize) {
        if needed <= self.storage.len() {
            return;
        }
        let mut grown = vec![0; needed.next_power_of_two().max(LEAST)].into_boxed_slice();
        let [a, b] = self.slices(0, used);
        grown[..a.len()].copy_from_slice(a);
        grown[a.len()..used].copy_from_slice(b);
        self.storage = grown;
        self.head = 0;
    }

    /// Copies `bytes` to `offset`; there must be room for them.
    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.storage.len());
        if bytes.is_empty() {
            return;
        }
        let start = self.wrap(offset);
        let before_wrap = bytes.len().min(self.storage.len() - start);
        let (a, b) = bytes.split_at(before_wrap);
        self.storage[start..start + a.len()].copy_from_slice(a);
        self.storage[..b.len()].copy_from_slice(b);
    }

    /// The `len` bytes from `offset` on, in two pieces where they wrap.
    pub(super) fn slices(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        debug_assert!(offset + len <= self.storage.len());
        if len == 0 {
            return [&[], &[]];
        }
        let start = self.wrap(offset);
        let before_wrap = len.min(self.storage.len() - start);
        [&self.storage[start..start + before_wrap], &self.storage[..len - before_wrap]]
    }

    /// Forgets the first `n` bytes: offset `n` becomes offset 0.
    pub(super) fn advance(&mut self, n: usize) {
        if !self.storage.is_empty() {
            self.head = self.wrap(n);
        }
    }

    /// Gives the memory back; nothing is held any more.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }

    fn wrap(&self, offset: usize) -> usize {
        // The length is a power of two.
        (self.head + offset) & (self.storage.len() - 1)
    }
}

/// Without the bytes, which nobody wants to read.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { storage, head } = self;
        f.debug_struct("Ring").field("capacity", &storage.len()).field("head", head).finish()
    }
}
