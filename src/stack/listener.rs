//! Passive opens that wait: for the ACK of the SYN-ACK (the SYN queue), and for `accept` (the
//! accept queue).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{ConnId, HalfOpenId, ListenerId};
use crate::tcp::{HalfOpen, Settings};

/// A half-open entry and its place in the stack.
pub(super) struct HalfOpenSlot {
    pub(super) half_open: HalfOpen,
    pub(super) origin: Arc<Origin>,
}

/// Where connections come from.
pub(super) struct Origin {
    pub(super) listener: ListenerId,
    /// What they start with.
    pub(super) settings: Arc<Settings>,
}

/// A port that is listened on.
pub(super) struct Listener {
    pub(super) on: SocketAddr,
    /// What its connections come from, as things are set.
    pub(super) origin: Arc<Origin>,
    /// The most connections that wait for `accept`.
    pub(super) backlog: usize,
    /// Half-open entries, oldest first; those that are gone are skipped.
    syn_queue: VecDeque<HalfOpenId>,
    /// How many of them are not gone.
    half_open: usize,
    /// Established connections that wait for `accept`, oldest first.
    pub(super) accept_queue: VecDeque<ConnId>,
    /// An `Incoming` event waits to be polled.
    pub(super) announced: bool,
}

impl Listener {
    pub(super) fn new(on: SocketAddr, origin: Origin, backlog: usize) -> Self {
        Self {
            on,
            origin: Arc::new(origin),
            backlog,
            syn_queue: VecDeque::new(),
            half_open: 0,
            accept_queue: VecDeque::new(),
            announced: false,
        }
    }

    /// How many half-open entries there are.
    pub(super) fn half_open(&self) -> usize {
        self.half_open
    }

    /// Adds the newest half-open entry.
    pub(super) fn push(&mut self, id: HalfOpenId, is_live: impl Fn(HalfOpenId) -> bool) {
        if self.syn_queue.len() > 2 * self.half_open + 64 {
            // Most of the queue is gone: sweep. Each entry pays for at most one step of this.
            self.syn_queue.retain(|&id| is_live(id));
        }
        self.syn_queue.push_back(id);
        self.half_open += 1;
    }

    /// An entry is gone.
    pub(super) fn forget(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    /// The oldest half-open entry.
    pub(super) fn oldest(&mut self, is_live: impl Fn(HalfOpenId) -> bool) -> Option<HalfOpenId> {
        while let Some(id) = self.syn_queue.pop_front() {
            if is_live(id) {
                return Some(id);
            }
        }
        None
    }

    /// All half-open entries, live or not.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = HalfOpenId> + '_ {
        self.syn_queue.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_open_entry_costs_at_most_128_bytes() {
        let slab = (size_of::<HalfOpenSlot>() + 4).next_multiple_of(align_of::<HalfOpenSlot>());
        // That of the listener and that of the deadlines.
        let queues = 2 * size_of::<HalfOpenId>();
        let table = 2 * (size_of::<HalfOpenId>() + 1);
        assert!(slab + queues + table <= 128, "{slab} + {queues} + {table}");
    }

    #[test]
    fn a_queue_of_entries_that_are_gone_is_swept() {
        let mut slab: slotmap::SlotMap<HalfOpenId, ()> = slotmap::SlotMap::with_key();
        let origin = Origin { listener: ListenerId::default(), settings: Arc::default() };
        let mut listener = Listener::new(([10, 0, 0, 1], 80).into(), origin, 10);
        let first = slab.insert(());
        listener.push(first, |id| slab.contains_key(id));
        for _ in 0..10_000 {
            let id = slab.insert(());
            listener.push(id, |id| slab.contains_key(id));
            slab.remove(id);
            listener.forget();
        }
        assert!(listener.syn_queue.len() < 200);
        assert_eq!(listener.oldest(|id| slab.contains_key(id)), Some(first));
    }
}
