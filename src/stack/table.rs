//! From a four-tuple to what the stack keeps of it: a probe, whatever the number of connections.

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

/// The connections by their ids. Boxed, so that growth moves pointers and no TCBs.
pub(super) type Connections = SlotMap<ConnId, Box<Slot>>;

/// Everything that has a four-tuple, in slabs with generations: a stale id finds nothing.
#[derive(Default)]
pub(super) struct Slabs {
    pub(super) connections: Connections,
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

/// Parts of a hash table. Each grows by itself, so that no growth moves more than one of them holds:
/// of a million connections about 250, which takes some ten microseconds.
const PARTS: usize = 4_096;

/// A hash table that stores names only; the four-tuples stay in the slabs, so that an entry costs
/// nine bytes, and its share of the room left for others.
struct Names<K>(Vec<HashTable<K>>);

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + PartialEq> Names<K> {
    /// Which part has the names of this hash. Their order within it comes from the low bits, what
    /// tells them apart at a glance from the high ones.
    fn part(hash: u64) -> usize {
        (hash >> 32) as usize % PARTS
    }

    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(K) -> bool) -> Option<K> {
        self.0.get(Self::part(hash))?.find(hash, |&name| is_it(name)).copied()
    }

    fn insert(&mut self, hash: u64, name: K, rehash: impl Fn(K) -> u64) {
        if self.0.is_empty() {
            self.0.resize_with(PARTS, HashTable::new);
        }
        self.0[Self::part(hash)].insert_unique(hash, name, |&name| rehash(name));
    }

    fn remove(&mut self, hash: u64, name: K) {
        if let Some(part) = self.0.get_mut(Self::part(hash))
            && let Ok(found) = part.find_entry(hash, |&found| found == name)
        {
            found.remove();
        }
    }

    fn memory(&self) -> usize {
        let parts: usize = self.0.iter().map(HashTable::allocation_size).sum();
        parts + self.0.capacity() * size_of::<HashTable<K>>()
    }
}

/// From four-tuples to what they stand for: a table for each kind, since that takes less room than
/// to note the kind of each.
#[derive(Default)]
pub(super) struct Table {
    connections: Names<ConnId>,
    half_open: Names<HalfOpenId>,
    time_wait: Names<TimeWaitId>,
    /// What was found last: packets come in trains.
    last: Option<Entry>,
    /// The four-tuple that was looked for last, and its hash: what a packet brings about concerns
    /// the same one.
    hashed: Option<(Flow, u64)>,
}

impl Table {
    /// What `flow` stands for.
    pub(super) fn get(&self, keys: &Keys, slabs: &Slabs, flow: &Flow) -> Option<Entry> {
        self.look_up(keys.hash(flow), slabs, flow)
    }

    #[inline]
    fn look_up(&self, hash: u64, slabs: &Slabs, flow: &Flow) -> Option<Entry> {
        let is_it = |entry| slabs.flow(&entry) == Some(flow);
        let connection = self.connections.find(hash, |id| is_it(Entry::Connection(id)));
        if let Some(id) = connection {
            return Some(Entry::Connection(id));
        }
        let half_open = self.half_open.find(hash, |id| is_it(Entry::HalfOpen(id)));
        let time_wait = || self.time_wait.find(hash, |id| is_it(Entry::TimeWait(id)));
        half_open.map(Entry::HalfOpen).or_else(|| time_wait().map(Entry::TimeWait))
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
        self.last = self.look_up(hash, slabs, flow);
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
        let rehash = |entry| slabs.flow(&entry).map_or(0, |flow| keys.hash(flow));
        let hash = self.hash(keys, flow);
        match entry {
            Entry::Connection(id) => {
                self.connections.insert(hash, id, |id| rehash(Entry::Connection(id)));
            }
            Entry::HalfOpen(id) => {
                self.half_open.insert(hash, id, |id| rehash(Entry::HalfOpen(id)));
            }
            Entry::TimeWait(id) => {
                self.time_wait.insert(hash, id, |id| rehash(Entry::TimeWait(id)));
            }
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, keys: &Keys, flow: &Flow, entry: Entry) {
        if self.last == Some(entry) {
            self.last = None;
        }
        let hash = self.hash(keys, flow);
        match entry {
            Entry::Connection(id) => self.connections.remove(hash, id),
            Entry::HalfOpen(id) => self.half_open.remove(hash, id),
            Entry::TimeWait(id) => self.time_wait.remove(hash, id),
        }
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.connections.memory() + self.half_open.memory() + self.time_wait.memory()
    }
}
