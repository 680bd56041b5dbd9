//! Controlled delay (RFC 8289 section 5): a queue that drops, or marks, when packets have waited for
//! too long for too long.

use super::packets::{PacketId, Packets};
use super::queue::Waiting;

/// How a queue is managed. Times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The wait that is no trouble (RFC 8289 section 4).
    pub target: u64,
    /// How long it must be exceeded before something is done (section 4).
    pub interval: u64,
    /// Packets whose transport understands ECN are marked instead of dropped.
    pub marks: bool,
}

impl Target {
    /// What section 4 recommends: 5 ms and 100 ms.
    pub const USUAL: Self = Self { target: 5_000_000, interval: 100_000_000, marks: false };
}

/// Bytes that are no standing queue: one packet of the MTU.
const MAX_PACKET: u64 = 1_500;

/// The state of one queue (RFC 8289 section 5).
#[derive(Clone, Copy, Debug)]
pub struct Codel {
    settings: Target,
    /// When the wait will have been too long for an interval, if it stays so.
    first_above: Option<u64>,
    dropping: bool,
    next: u64,
    count: u64,
    last_count: u64,
    /// Packets that were marked.
    pub marked: u64,
}

impl Codel {
    /// A queue in which nothing has waited yet.
    pub fn new(settings: Target) -> Self {
        Self {
            settings,
            first_above: None,
            dropping: false,
            next: 0,
            count: 0,
            last_count: 0,
            marked: 0,
        }
    }

    /// `interval / sqrt(count)` after `at` (`control_law`), to the nanosecond on every machine.
    fn control_law(&self, at: u64) -> u64 {
        let interval = self.settings.interval;
        at + (interval * interval / self.count).isqrt()
    }

    /// The next packet, and whether it may be dropped (`dodequeue`).
    fn pop(
        &mut self,
        now: u64,
        waiting: &mut Waiting,
        packets: &mut Packets,
    ) -> Option<(PacketId, bool)> {
        let Some(id) = waiting.pop(packets) else {
            self.first_above = None;
            return None;
        };
        let waited = now - packets[id].queued_at;
        if waited < self.settings.target || waiting.bytes() <= MAX_PACKET {
            self.first_above = None;
            return Some((id, false));
        }
        let since = *self.first_above.get_or_insert(now + self.settings.interval);
        Some((id, now >= since))
    }

    /// The packet to send next (`dequeue`); those before it that were to be dropped go to `dropped`.
    pub fn dequeue(
        &mut self,
        now: u64,
        waiting: &mut Waiting,
        packets: &mut Packets,
        dropped: &mut Vec<PacketId>,
    ) -> Option<PacketId> {
        let (mut id, may_drop) = self.pop(now, waiting, packets)?;
        if self.dropping {
            self.dropping = may_drop;
            while self.dropping && now >= self.next {
                self.count += 1;
                if self.mark(id, packets) {
                    self.next = self.control_law(self.next);
                    break;
                }
                dropped.push(id);
                let head = self.pop(now, waiting, packets);
                self.dropping = head.is_some_and(|(_, may_drop)| may_drop);
                if self.dropping {
                    self.next = self.control_law(self.next);
                }
                id = head?.0;
            }
        } else if may_drop {
            self.start_dropping(now);
            if !self.mark(id, packets) {
                dropped.push(id);
                id = self.pop(now, waiting, packets)?.0;
            }
        }
        Some(id)
    }

    /// The rate at which packets are dropped goes on from where it was if that is not long ago.
    fn start_dropping(&mut self, now: u64) {
        self.dropping = true;
        let grown = self.count.saturating_sub(self.last_count);
        let is_recent = now.saturating_sub(self.next) < 16 * self.settings.interval;
        self.count = if grown > 1 && is_recent { grown } else { 1 };
        self.last_count = self.count;
        self.next = self.control_law(now);
    }

    /// RFC 8289 leaves it to the implementation what is done instead of dropping; RFC 3168 section 5
    /// says what that can be.
    fn mark(&mut self, id: PacketId, packets: &mut Packets) -> bool {
        let marked = self.settings.marks && packets[id].mark();
        self.marked += u64::from(marked);
        marked
    }
}
