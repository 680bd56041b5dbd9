//! When the stack must be woken: one entry for each connection, its earliest deadline.

use std::collections::BTreeSet;

use crate::time::Instant;

/// What a holder of timers is armed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Armed(Instant);

impl Default for Armed {
    /// For nothing.
    fn default() -> Self {
        Self(Instant::NEVER)
    }
}

/// The deadlines of many holders of timers, in order.
///
/// A holder keeps the time it is armed for beside itself and moves it lazily: a deadline that has
/// moved later leaves the entry alone, and is looked at again when the entry comes up. So the
/// usual case, a retransmission timer pushed back by each ACK, costs nothing here.
pub(super) struct Deadlines<K>(BTreeSet<(Instant, K)>);

impl<K: Ord + Copy> Default for Deadlines<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Sees to it that `holder`, armed for `armed`, comes up by `at`.
    #[inline]
    pub(super) fn arm(&mut self, holder: K, armed: &mut Armed, at: Instant) {
        if armed.0 > at {
            self.move_earlier(holder, armed, at);
        }
    }

    #[cold]
    fn move_earlier(&mut self, holder: K, armed: &mut Armed, at: Instant) {
        self.disarm(holder, armed);
        self.0.insert((at, holder));
        armed.0 = at;
    }

    /// Forgets `holder`.
    pub(super) fn disarm(&mut self, holder: K, armed: &mut Armed) {
        let Armed(before) = core::mem::take(armed);
        if before != Instant::NEVER {
            self.0.remove(&(before, holder));
        }
    }

    /// The earliest time at which a holder comes up.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Takes out one holder that has come up. It is armed for nothing then, and has to note it.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, _) = self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first().map(|(_, holder)| holder)
    }

    /// How many holders are armed.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_each_moved_earlier_at_once_and_later_lazily() {
        let at = Instant::from_millis;
        let mut deadlines = Deadlines::default();
        let mut armed = Armed::default();
        deadlines.arm(1, &mut armed, at(50));
        deadlines.arm(1, &mut armed, at(80));
        assert_eq!(deadlines.earliest(), Some(at(50)), "later: looked at again when it comes up");
        deadlines.arm(1, &mut armed, at(20));
        assert_eq!((deadlines.earliest(), deadlines.len()), (Some(at(20)), 1));
        assert_eq!(deadlines.pop_due(at(19)), None);
        assert_eq!(deadlines.pop_due(at(20)), Some(1));
        armed = Armed::default();
        deadlines.arm(1, &mut armed, at(30));
        deadlines.disarm(1, &mut armed);
        assert_eq!((deadlines.len(), armed), (0, Armed::default()));
    }
}
