//! The connections that are not over, in the order of their age: a list that runs through their
//! slots, so that to join it, to leave it and to look at the newest costs the same however long it is.

use super::ConnId;
use super::table::Connections;

/// The ends of the list.
#[derive(Default)]
pub(super) struct Ages {
    oldest: Option<ConnId>,
    newest: Option<ConnId>,
    len: usize,
}

/// A connection's place in the list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Neighbours {
    older: Option<ConnId>,
    newer: Option<ConnId>,
}

impl Ages {
    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes in the newest.
    pub(super) fn push(&mut self, id: ConnId, connections: &mut Connections) {
        let older = self.newest.replace(id);
        match older.and_then(|older| connections.get_mut(older)) {
            Some(slot) => slot.age.newer = Some(id),
            None => self.oldest = Some(id),
        }
        if let Some(slot) = connections.get_mut(id) {
            slot.age = Neighbours { older, newer: None };
        }
        self.len += 1;
    }

    /// Takes out one that is in the list.
    pub(super) fn remove(&mut self, id: ConnId, connections: &mut Connections) {
        let Some(slot) = connections.get_mut(id) else { return };
        let Neighbours { older, newer } = core::mem::take(&mut slot.age);
        match older.and_then(|older| connections.get_mut(older)) {
            Some(slot) => slot.age.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| connections.get_mut(newer)) {
            Some(slot) => slot.age.older = older,
            None => self.newest = older,
        }
        self.len -= 1;
    }

    /// All of them, newest first.
    pub(super) fn newest_first<'a>(
        &self,
        connections: &'a Connections,
    ) -> impl Iterator<Item = ConnId> + use<'a> {
        let older = |id: &ConnId| connections.get(*id).and_then(|slot| slot.age.older);
        core::iter::successors(self.newest, older)
    }
}
