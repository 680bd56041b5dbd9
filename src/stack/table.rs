//! From a four-tuple to what the stack keeps of it: one probe, whatever the number of connections.

use hashbrown::HashTable;
use slotmap::SlotMap;

use super::keys::Keys;
use super::time_wait::{TimeWaitId, TimeWaitRecord};
use super::{ConnId, HalfOpenId, HalfOpenSlot, Slot};
use crate::wire::Flow;

/// What a four-tuple stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A connection with a TCB.
    Connection(ConnId),
    /// A SYN that was answered.
    HalfOpen(HalfOpenId),
    /// A connection that is over.
    TimeWait(TimeWaitId),
}

/// Everything that has a four-tuple, in slabs with generations: a stale id finds nothing.
#[derive(Default)]
pub(super) struct Slabs {
    /// Boxed, so that growth moves pointers and no TCBs.
    pub(super) connections: SlotMap<ConnId, Box<Slot>>,
    pub(super) half_open: SlotMap<HalfOpenId, HalfOpenSlot>,
    pub(super) time_wait: SlotMap<TimeWaitId, TimeWaitRecord>,
}

impl Slabs {
    fn flow(&self, entry: &Entry) -> Option<&Flow> {
        match *entry {
            Entry::Connection(id) => self.connections.get(id).map(|slot| slot.connection.flow()),
            Entry::HalfOpen(id) => self.half_open.get(id).map(|slot| slot.half_open.flow()),
            Entry::TimeWait(id) => self.time_wait.get(id).map(|record| record.flow()),
        }
    }
}

/// The hash table. It stores entries only; their four-tuples stay in the slabs, so that an entry
/// costs a dozen bytes.
#[derive(Default)]
pub(super) struct Table {
    entries: HashTable<Entry>,
    /// What was found last: packets come in trains.
    last: Option<Entry>,
    /// The four-tuple that was looked for last, and its hash: what a packet brings about concerns
    /// the same one.
    hashed: Option<(Flow, u64)>,
}

impl Table {
    /// What `flow` stands for.
    pub(super) fn get(&self, keys: &Keys, slabs: &Slabs, flow: &Flow) -> Option<Entry> {
        self.entries.find(keys.hash(flow), |entry| slabs.flow(entry) == Some(flow)).copied()
    }

    /// What `flow` stands for, for a packet on its way in.
    #[inline]
    pub(super) fn find(&mut self, keys: &Keys, slabs: &Slabs, flow: &Flow) -> Option<Entry> {
        if let Some(last) = self.last
            && slabs.flow(&last) == Some(flow)
        {
            return Some(last);
        }
        let hash = self.hash(keys, flow);
        self.last = self.entries.find(hash, |entry| slabs.flow(entry) == Some(flow)).copied();
        self.last
    }

    /// The hash of a four-tuple that is about to be used more than once.
    fn hash(&mut self, keys: &Keys, flow: &Flow) -> u64 {
        match self.hashed {
            Some((hashed, hash)) if hashed == *flow => hash,
            _ => {
                let hash = keys.hash(flow);
                self.hashed = Some((*flow, hash));
                hash
            }
        }
    }

    /// Adds an entry whose four-tuple is not there yet.
    pub(super) fn insert(&mut self, keys: &Keys, slabs: &Slabs, flow: &Flow, entry: Entry) {
        debug_assert_eq!(self.get(keys, slabs, flow), None);
        let rehash = |entry: &Entry| slabs.flow(entry).map_or(0, |flow| keys.hash(flow));
        let hash = self.hash(keys, flow);
        self.entries.insert_unique(hash, entry, rehash);
    }

    /// Removes an entry; it must still be in its slab.
    pub(super) fn remove(&mut self, keys: &Keys, flow: &Flow, entry: Entry) {
        if self.last == Some(entry) {
            self.last = None;
        }
        let hash = self.hash(keys, flow);
        if let Ok(found) = self.entries.find_entry(hash, |e| *e == entry) {
            found.remove();
        }
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.entries.allocation_size()
    }
}
