//! Programs inside the loop, and which connection belongs to which.

use slotmap::SecondaryMap;

use crate::stack::{ConnId, Event, ListenerId, Stack};

/// A program that runs inside the loop, in its thread: it is called when something happens, does
/// what it can without waiting, and returns.
///
/// Everything it wants of the stack it asks of the `stack` that every call brings. One program
/// serves any number of listeners and connections.
///
/// A panic of a program is not caught: it ends the loop.
pub trait App {
    /// A connection of one of its listeners is open. If text or the peer's end has come with it
    /// already, events follow.
    fn on_accept(&mut self, stack: &mut Stack, id: ConnId) {
        let _ = (stack, id);
    }

    /// The next text of the stream, straight from the packet. Answers how many bytes, from the
    /// front, it is done with: the rest goes into the receive buffer, where [`Stack::read`] finds
    /// it, and while there is something in the buffer this is not called. Data that is left there
    /// closes the window, which is how a program slows its peer down.
    fn on_data(&mut self, stack: &mut Stack, id: ConnId, data: &[u8]) -> usize {
        let _ = (stack, id, data);
        0
    }

    /// Anything else that happened to one of its connections. The last of a connection is
    /// [`Event::Closed`]; the id stays, with the text that is still to be read, until the program
    /// gives it back with [`Stack::close`]. The default gives it back at once.
    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        if let Event::Closed(id, _) = event {
            stack.close(id);
        }
    }

    /// Somebody called [`Waker::wake`](super::Waker::wake): the time to look at what other threads
    /// have left.
    fn on_wake(&mut self, stack: &mut Stack) {
        let _ = stack;
    }

    /// Whether this program has opened the connection, with [`Stack::connect`] from inside the
    /// loop. Asked once for every connection that nobody was named for.
    fn claims(&self, id: ConnId) -> bool {
        let _ = id;
        false
    }
}

/// Names a program of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppId(u32);

/// The programs of a loop.
#[derive(Default)]
pub(super) struct Apps {
    apps: Vec<Box<dyn App>>,
    /// Who serves a listener.
    listeners: SecondaryMap<ListenerId, AppId>,
    /// Whose a connection is. An entry outlives its connection until the slot is used again, so
    /// there are never more than the most connections there were at once.
    connections: SecondaryMap<ConnId, AppId>,
}

impl Apps {
    pub(super) fn add(&mut self, app: Box<dyn App>) -> AppId {
        // Four thousand million programs do not fit into memory.
        let id = AppId(u32::try_from(self.apps.len()).unwrap_or(u32::MAX));
        self.apps.push(app);
        id
    }

    pub(super) fn serve(&mut self, listener: ListenerId, app: AppId) {
        self.listeners.insert(listener, app);
    }

    pub(super) fn attach(&mut self, id: ConnId, app: AppId) {
        self.connections.insert(id, app);
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = ListenerId> {
        self.listeners.keys()
    }

    /// Every connection that a program was named for, also those given back since.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnId> {
        self.connections.keys()
    }

    pub(super) fn of_listener(&self, listener: ListenerId) -> Option<AppId> {
        self.listeners.get(listener).copied()
    }

    /// Whose the connection is: as was said, else whose its listener is, else whoever claims it.
    pub(super) fn owner(&mut self, stack: &Stack, id: ConnId) -> Option<AppId> {
        if let Some(&app) = self.connections.get(id) {
            return Some(app);
        }
        let by_listener = stack.listener_of(id).and_then(|listener| self.of_listener(listener));
        let owner = by_listener.or_else(|| self.claimant(id))?;
        self.attach(id, owner);
        Some(owner)
    }

    fn claimant(&self, id: ConnId) -> Option<AppId> {
        let index = self.apps.iter().position(|app| app.claims(id))?;
        u32::try_from(index).ok().map(AppId)
    }

    pub(super) fn get_mut(&mut self, id: AppId) -> Option<&mut Box<dyn App>> {
        self.apps.get_mut(id.0 as usize)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn App>> {
        self.apps.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use slotmap::SlotMap;

    use super::*;

    struct Nothing;
    impl App for Nothing {}

    #[test]
    fn programs_are_found_by_listener_and_connection() {
        let mut apps = Apps::default();
        let first = apps.add(Box::new(Nothing));
        let second = apps.add(Box::new(Nothing));
        assert_ne!(first, second);
        let mut listeners = SlotMap::<ListenerId, ()>::with_key();
        let mut connections = SlotMap::<ConnId, ()>::with_key();
        let (listener, other) = (listeners.insert(()), listeners.insert(()));
        apps.serve(listener, second);
        assert_eq!(apps.of_listener(listener), Some(second));
        assert_eq!(apps.of_listener(other), None);

        let id = connections.insert(());
        apps.attach(id, first);
        assert_eq!(apps.connections().collect::<Vec<_>>(), [id]);
        // The slot is used again: the entry is replaced, not added to.
        connections.remove(id);
        let id = connections.insert(());
        apps.attach(id, second);
        assert_eq!(apps.connections().collect::<Vec<_>>(), [id]);
        assert!(apps.get_mut(second).is_some());
    }
}
