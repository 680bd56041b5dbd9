//! TIME-WAIT: a compact record of a connection that is over, kept for 2 MSL (RFC 9293 sections
//! 3.4.2 and 3.6.1, RFC 1337, RFC 6191).

use std::collections::VecDeque;

use slotmap::SlotMap;

use crate::tcp::{ChallengeLimit, Outgoing, Remains, timestamps};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Flow, Options, Segment, SeqNum, Timestamps};

slotmap::new_key_type! {
    /// Names a TIME-WAIT record.
    pub(super) struct TimeWaitId;
}

/// How far beyond the old sequence numbers a connection starts that reuses the four-tuple; as
/// Linux. The old ones were sent in a window of up to 64 KiB when nothing more is known.
const REUSE_DISTANCE: u32 = 65_535 + 2;

/// What is left of a connection. There may be many of these: what can be worked out is not kept.
#[derive(Debug)]
pub(super) struct TimeWaitRecord {
    flow: Flow,
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// TS.Recent, if there are timestamps.
    ts_recent: u32,
    window: u16,
    limit: ChallengeLimit,
    expires: Expiry,
    /// The Differentiated Services field of the connection, which our ACKs keep, as Linux's do. Its
    /// time to live is not kept: the stack's stands in for it.
    diffserv: u8,
    marks: Marks,
}

/// No record lives longer, whatever is set.
pub(super) const LONGEST: Duration = Duration::from_secs(20 * 86_400);

/// When a record expires, in milliseconds that wrap after 49 days: [`LONGEST`] is less than half of it.
#[derive(Clone, Copy, Debug)]
struct Expiry(u32);

impl Expiry {
    /// No earlier than `instant`.
    fn at(instant: Instant) -> Self {
        Self(instant.as_nanos().div_ceil(1_000_000) as u32)
    }

    /// Milliseconds until then; negative when it has passed.
    fn left(self, now: Instant) -> i32 {
        self.0.wrapping_sub(now.as_millis() as u32) as i32
    }

    fn has_passed(self, now: Instant) -> bool {
        self.left(now) <= 0
    }

    /// The same as a point in time.
    fn seen_from(self, now: Instant) -> Instant {
        Instant::from_millis(now.as_millis().saturating_add_signed(self.left(now).into()))
    }
}

bitflags::bitflags! {
    /// What is so or not so of a record, in one byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Marks: u8 {
        /// Both sides send timestamps.
        const TIMESTAMPS = 1;
        /// It was restarted, and has a second place in the queue of expiries.
        const RESTARTED = 2;
        /// The ACE field of accurate ECN, bit by bit (RFC 9768 section 3.2.2).
        const AE = 4;
        const CWR = 8;
        const ECE = 16;
    }
}

impl Marks {
    /// Where the flags of the ACE field are kept.
    const ACE: [(Self, Flags); 3] =
        [(Self::AE, Flags::AE), (Self::CWR, Flags::CWR), (Self::ECE, Flags::ECE)];
}

/// What a segment does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeWaitVerdict {
    /// Nothing.
    Ignore,
    /// An ACK is owed.
    Acknowledge,
    /// An ACK is owed, and 2 MSL start anew.
    Restart,
    /// A new connection may take over; its ISS must lie at or after this.
    Reopen(SeqNum),
}

impl TimeWaitRecord {
    pub(super) fn new(remains: &Remains, expires: Instant) -> Self {
        let Remains { flow, snd_nxt, rcv_nxt, recv_window, recv_scale, diffserv, ts_recent, ace } =
            *remains;
        let mut marks = if ts_recent.is_some() { Marks::TIMESTAMPS } else { Marks::empty() };
        for (mark, flag) in Marks::ACE {
            marks.set(mark, ace.contains(flag));
        }
        Self {
            flow,
            snd_nxt,
            rcv_nxt,
            ts_recent: ts_recent.unwrap_or_default(),
            window: recv_scale.compress(recv_window),
            limit: ChallengeLimit::default(),
            expires: Expiry::at(expires),
            diffserv,
            marks,
        }
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) fn diffserv(&self) -> u8 {
        self.diffserv
    }

    fn has_timestamps(&self) -> bool {
        self.marks.contains(Marks::TIMESTAMPS)
    }

    fn is_restarted(&self) -> bool {
        self.marks.contains(Marks::RESTARTED)
    }

    /// The ACK that repeats where both sides stand; our timestamp clock reads `clock`.
    pub(super) fn ack(&self, clock: u32) -> Outgoing {
        let stamp = Timestamps { value: clock, echo: self.ts_recent };
        let ace = Marks::ACE.into_iter().filter(|(mark, _)| self.marks.contains(*mark));
        Outgoing {
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: ace.fold(Flags::ACK, |flags, (_, flag)| flags | flag),
            window: self.window,
            options: Options {
                timestamps: self.has_timestamps().then_some(stamp),
                ..Options::default()
            },
            ..Outgoing::default()
        }
    }

    /// SEGMENT ARRIVES in TIME-WAIT (RFC 9293 section 3.10.7.4).
    /// `interval`: at most one answer to a segment without text in this time.
    pub(super) fn on_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        interval: Duration,
    ) -> TimeWaitVerdict {
        if segment.has(Flags::RST) {
            // RFC 1337 section 3 (F1): an old duplicate must not end TIME-WAIT.
            return TimeWaitVerdict::Ignore;
        }
        let ts = segment.options.timestamps.filter(|_| self.has_timestamps());
        let newer_timestamp = ts.is_some_and(|ts| timestamps::is_before(self.ts_recent, ts.value));
        let old_timestamp = ts.is_some_and(|ts| timestamps::is_before(ts.value, self.ts_recent));
        if segment.flags & (Flags::SYN | Flags::ACK) == Flags::SYN && !old_timestamp {
            // RFC 6191 section 2, RFC 9293 section 3.6.1 (MAY-2).
            let later = segment.seq.is_after(self.rcv_nxt);
            if newer_timestamp || later {
                return TimeWaitVerdict::Reopen(self.snd_nxt + REUSE_DISTANCE);
            }
        }
        if segment.has(Flags::FIN)
            && !segment.has(Flags::SYN)
            && segment.range().end == self.rcv_nxt
        {
            // "a retransmission of the remote FIN. Acknowledge it, and restart the 2 MSL timeout."
            return TimeWaitVerdict::Restart;
        }
        if segment.seq == self.rcv_nxt && segment.is_empty() && !old_timestamp {
            return TimeWaitVerdict::Ignore;
        }
        let may_echo = segment.is_empty() || segment.has(Flags::SYN);
        if may_echo && !self.limit.allow(now, interval) {
            return TimeWaitVerdict::Ignore;
        }
        TimeWaitVerdict::Acknowledge
    }

    /// 2 MSL start anew. Answers whether the record needs another place in the queue of expiries:
    /// once, however often the peer repeats its FIN.
    pub(super) fn restart(&mut self, expires: Instant) -> bool {
        self.expires = Expiry::at(expires);
        let first = !self.is_restarted();
        self.marks |= Marks::RESTARTED;
        first
    }
}

/// The records in the order in which their time began: all of them live equally long, so a queue
/// will do. One that was restarted has a second place further back; the first then means nothing. One
/// that was restarted again meanwhile expires later than that place says, and holds up those behind it,
/// by less than 2 MSL.
#[derive(Default)]
pub(super) struct ExpiryQueue(VecDeque<TimeWaitId>);

impl ExpiryQueue {
    pub(super) fn push(&mut self, id: TimeWaitId, records: &SlotMap<TimeWaitId, TimeWaitRecord>) {
        if self.0.len() > 2 * records.len() + 64 {
            // Most of the queue was taken over by new connections: sweep. Each place pays for at
            // most one step of this.
            self.0.retain(|&id| records.contains_key(id));
        }
        self.0.push_back(id);
    }

    /// When there may be something to do.
    pub(super) fn earliest(
        &self,
        now: Instant,
        records: &SlotMap<TimeWaitId, TimeWaitRecord>,
    ) -> Option<Instant> {
        let record = records.get(*self.0.front()?);
        let live = record.filter(|record| !record.is_restarted());
        Some(live.map_or(Instant::ZERO, |record| record.expires.seen_from(now)))
    }

    /// The next record that has expired.
    pub(super) fn pop_expired(
        &mut self,
        now: Instant,
        records: &mut SlotMap<TimeWaitId, TimeWaitRecord>,
    ) -> Option<TimeWaitId> {
        while let Some(&id) = self.0.front() {
            let Some(record) = records.get_mut(id) else {
                self.0.pop_front();
                continue;
            };
            let has_another_place = record.is_restarted();
            record.marks -= Marks::RESTARTED;
            if !has_another_place && !record.expires.has_passed(now) {
                break;
            }
            self.0.pop_front();
            if !has_another_place {
                return Some(id);
            }
        }
        None
    }

    /// The oldest record, for when there are too many.
    pub(super) fn pop_oldest(
        &mut self,
        is_live: impl Fn(TimeWaitId) -> bool,
    ) -> Option<TimeWaitId> {
        while let Some(id) = self.0.pop_front() {
            if is_live(id) {
                return Some(id);
            }
        }
        None
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<TimeWaitId>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_expires_within_a_millisecond_also_when_that_wraps() {
        let wrap = Instant::from_millis(1 << 32);
        for start in [Instant::ZERO, wrap - Duration::from_nanos(30_500_000_001)] {
            let at = start + Duration::from_secs(60);
            let expiry = Expiry::at(at);
            assert!(!expiry.has_passed(start) && !expiry.has_passed(at - Duration::from_nanos(1)));
            assert!(expiry.has_passed(at + Duration::from_millis(1)));
            let seen = expiry.seen_from(start);
            assert!(at <= seen && seen < at + Duration::from_millis(1), "{seen:?}");
            assert!(expiry.has_passed(seen));
        }
    }

    /// A record with its places in the slab and the queue, and in a hash table that has just
    /// doubled.
    #[test]
    fn a_record_costs_at_most_96_bytes() {
        let slab = (size_of::<TimeWaitRecord>() + 4).next_multiple_of(align_of::<TimeWaitRecord>());
        let queue = size_of::<TimeWaitId>();
        let table = 2 * (size_of::<TimeWaitId>() + 1);
        assert!(slab + queue + table <= 96, "{slab} + {queue} + {table}");
    }
}
