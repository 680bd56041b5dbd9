//! When SYN-ACKs count as unanswered. All that have gone unanswered equally often wait equally
//! long, so that a queue for each number of times will do: a flood of SYNs pays eight bytes each.

use std::collections::{BTreeSet, VecDeque};

use slotmap::SlotMap;

use super::{HalfOpenId, HalfOpenSlot};
use crate::tcp::MOST_DOUBLINGS;
use crate::time::Instant;

type HalfOpens = SlotMap<HalfOpenId, HalfOpenSlot>;

/// The half-open entries by when they are due. An entry that is gone, or is put off, leaves its place
/// in the queue, which then means nothing.
#[derive(Default)]
pub(super) struct SynAcks {
    queues: [VecDeque<HalfOpenId>; MOST_DOUBLINGS as usize + 1],
    /// Those whose SYN has come again meanwhile, by when they are due.
    put_off: BTreeSet<(Instant, HalfOpenId)>,
}

/// Whether a place in this queue means something, and when its entry is due then.
fn due(id: HalfOpenId, queue: usize, half_open: &HalfOpens) -> Option<Instant> {
    let entry = &half_open.get(id)?.half_open;
    (!entry.is_put_off() && queue_of(entry.retries()) == queue).then(|| entry.due())
}

fn queue_of(retries: u8) -> usize {
    retries.min(MOST_DOUBLINGS).into()
}

impl SynAcks {
    /// The SYN-ACK of an entry has been sent because it was due, or for the first time.
    pub(super) fn push(&mut self, id: HalfOpenId, half_open: &HalfOpens) {
        let Some(slot) = half_open.get(id) else { return };
        let n = queue_of(slot.half_open.retries());
        let queue = &mut self.queues[n];
        if queue.len() > 2 * half_open.len() + 64 {
            // Most places mean nothing: sweep. Each pays for at most one step of this.
            queue.retain(|&id| due(id, n, half_open).is_some());
        }
        queue.push_back(id);
    }

    /// The SYN of an entry has come again, which was due at `before`, if it had been put off
    /// already, and is due at `now`.
    pub(super) fn put_off(&mut self, id: HalfOpenId, before: Option<Instant>, now: Instant) {
        if let Some(before) = before {
            self.put_off.remove(&(before, id));
        }
        self.put_off.insert((now, id));
    }

    /// An entry is gone; `slot` is what it was.
    pub(super) fn forget(&mut self, id: HalfOpenId, slot: &HalfOpenSlot, half_open: &HalfOpens) {
        if slot.half_open.is_put_off() {
            self.put_off.remove(&(slot.half_open.due(), id));
        }
        let n = queue_of(slot.half_open.retries());
        while self.queues[n].front().is_some_and(|&id| due(id, n, half_open).is_none()) {
            self.queues[n].pop_front();
        }
    }

    /// When there may be something to do.
    pub(super) fn earliest(&self, half_open: &HalfOpens) -> Option<Instant> {
        if half_open.is_empty() {
            return None;
        }
        let fronts = self.queues.iter().enumerate().filter_map(|(n, queue)| {
            let &id = queue.front()?;
            Some(due(id, n, half_open).unwrap_or(Instant::ZERO))
        });
        fronts.chain(self.put_off.first().map(|&(at, _)| at)).min()
    }

    /// Takes out an entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant, half_open: &HalfOpens) -> Option<HalfOpenId> {
        for (n, queue) in self.queues.iter_mut().enumerate() {
            while let Some(&id) = queue.front() {
                let due = due(id, n, half_open);
                if due.is_some_and(|due| due > now) {
                    break;
                }
                queue.pop_front();
                if due.is_some() {
                    return Some(id);
                }
            }
        }
        let &(at, id) = self.put_off.first().filter(|(at, _)| *at <= now)?;
        self.put_off.remove(&(at, id));
        Some(id)
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        let places: usize = self.queues.iter().map(VecDeque::capacity).sum();
        places * size_of::<HalfOpenId>()
            + self.put_off.len() * 2 * size_of::<(Instant, HalfOpenId)>()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::super::listener::Origin;
    use super::*;
    use crate::tcp::{HalfOpen, Settings};
    use crate::wire::{Flags, Flow, Segment, SeqNum};

    const SYN: Segment<'static> = Segment { flags: Flags::SYN, ..Segment::EMPTY };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Entries whose SYN came at these times, in milliseconds.
    fn entries(times: &[u64]) -> (HalfOpens, SynAcks, Vec<HalfOpenId>) {
        let (mut half_open, mut due) = (HalfOpens::with_key(), SynAcks::default());
        let settings: Arc<Settings> = Arc::default();
        let origin = Arc::new(Origin { listener: Default::default(), settings });
        let ids = times.iter().map(|&ms| {
            let end = |port| SocketAddr::from(([10, 0, 0, 1], port));
            let flow = Flow::new(end(80), end(1_024));
            let entry = HalfOpen::new(at(ms), flow, &SYN, SeqNum(1), &origin.settings);
            let id = half_open.insert(HalfOpenSlot { half_open: entry, origin: origin.clone() });
            due.push(id, &half_open);
            id
        });
        let ids = ids.collect();
        (half_open, due, ids)
    }

    #[test]
    fn each_comes_up_once_a_second_after_its_syn() {
        let (half_open, mut due, ids) = entries(&[0, 10, 20]);
        assert_eq!(due.earliest(&half_open), Some(at(1_000)));
        assert_eq!(due.pop_due(at(999), &half_open), None);
        assert_eq!(due.pop_due(at(1_015), &half_open), Some(ids[0]));
        assert_eq!(due.pop_due(at(1_015), &half_open), Some(ids[1]));
        assert_eq!(due.pop_due(at(1_015), &half_open), None);
        assert_eq!(due.earliest(&half_open), Some(at(1_020)));
    }

    #[test]
    fn one_that_is_put_off_keeps_nobody_waiting_and_comes_up_when_it_is_due() {
        let (mut half_open, mut due, ids) = entries(&[0, 10]);
        for (ms, before) in [(500, None), (700, Some(at(1_500)))] {
            half_open[ids[0]].half_open.on_asked_again(at(ms));
            due.put_off(ids[0], before, half_open[ids[0]].half_open.due());
        }
        assert_eq!(due.pop_due(at(1_010), &half_open), Some(ids[1]));
        assert_eq!(due.earliest(&half_open), Some(at(1_700)));
        assert_eq!(due.pop_due(at(1_699), &half_open), None);
        assert_eq!(due.pop_due(at(1_700), &half_open), Some(ids[0]));
        assert_eq!(due.earliest(&half_open), None);
    }

    #[test]
    fn those_that_are_gone_leave_nothing_behind() {
        let (mut half_open, mut due, ids) = entries(&[0; 1_000]);
        half_open[ids[1]].half_open.on_asked_again(at(1));
        due.put_off(ids[1], None, at(1_001));
        for id in ids {
            let slot = half_open.remove(id).expect("it is there");
            due.forget(id, &slot, &half_open);
        }
        assert_eq!(due.earliest(&half_open), None);
        assert!(due.put_off.is_empty() && due.queues.iter().all(VecDeque::is_empty));
    }
}
