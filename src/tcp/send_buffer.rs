//! What the application has written and the peer has not yet acknowledged.

use super::lent::Lendable;
use super::ring::Ring;
use super::room::Room;

/// The text from SND.UNA on, sent or not, in order. Offset 0 is the first unacknowledged byte.
///
/// What is in flight is known to [`super::flight`], by sequence number; the bytes stay here, so
/// that splitting or merging a record can never orphan data.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    ring: Ring,
    len: usize,
}

impl Lendable for SendBuffer {
    fn nothing() -> &'static Self {
        static NOTHING: SendBuffer = SendBuffer { ring: Ring::EMPTY, len: 0 };
        &NOTHING
    }

    fn is_vacant(&self) -> bool {
        self.len == 0
    }

    fn memory(&self) -> usize {
        self.ring.capacity()
    }
}

impl SendBuffer {
    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// As many bytes as `wanted`, or as it can hold with the memory that is left.
    #[inline]
    pub(super) fn hold(&self, wanted: usize, room: Room) -> usize {
        self.ring.hold(wanted, room.for_new)
    }

    /// Appends as much of `data` as fits below `limit` bytes; answers how much that was.
    pub(super) fn push(&mut self, data: &[u8], limit: usize) -> usize {
        let n = data.len().min(limit.saturating_sub(self.len));
        self.ring.reserve(self.len, self.len + n);
        self.ring.write_at(self.len, &data[..n]);
        self.len += n;
        n
    }

    /// The `len` bytes from `offset` on, in two pieces where the ring wraps.
    pub(super) fn slices(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        self.ring.slices(offset, len)
    }

    /// Drops the first `n` bytes: they have been acknowledged.
    pub(super) fn release(&mut self, n: usize) {
        debug_assert!(n <= self.len);
        self.len -= n.min(self.len);
        if self.len == 0 {
            self.ring.clear();
        } else {
            self.ring.advance(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Any sequence of writes and acknowledgments gives what a plain queue gives.
        #[test]
        fn behaves_as_a_queue_of_bytes(
            steps in proptest::collection::vec((any::<bool>(), 0usize..5_000), 1..60),
        ) {
            const LIMIT: usize = 20_000;
            let mut buffer = SendBuffer::default();
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (write, n) in steps {
                if write {
                    let data: Vec<u8> = (0..n).map(|_| { next = next.wrapping_add(1); next }).collect();
                    let taken = buffer.push(&data, LIMIT);
                    prop_assert_eq!(taken, n.min(LIMIT - model.len()));
                    model.extend(&data[..taken]);
                } else {
                    let n = n.min(model.len());
                    buffer.release(n);
                    model.drain(..n);
                }
                let held = buffer.slices(0, buffer.len()).concat();
                prop_assert_eq!(&held, &model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
