//! What is in the network: one record for each segment sent and not yet acknowledged, with what the
//! peer has reported of it (RFC 2018 section 5, the scoreboard of RFC 6675) and what is held to be
//! lost (RFC 8985 section 6).
//!
//! The records lie in sequence order, which is the order of first transmissions as well; what was
//! sent again is also in a queue by the time when that was done. So RACK finds what was sent before
//! a certain moment without a search, and looks at each transmission once.
//!
//! What an ACK costs: a block that says nothing new, the logarithm of what is in flight; one that
//! does, in addition one step for each segment that it reports for the first time, and a move of at
//! most half of [`MOST_RUNS`] ranges. There are four blocks at most.

mod losses;
mod meter;
mod scoreboard;

use std::collections::VecDeque;

use super::lent::Lendable;
use super::rack::{self, Evidence, Rack, Transmission};
use super::runs::Runs;
use crate::time::Instant;
use crate::wire::{SeqNum, SeqRange};
use meter::Meter;

/// The most runs of reported segments that are kept apart. A block that would make one more is
/// ignored: the peer repeats it with the next ACK, or gets sent again what it has. With every
/// hundredth segment lost so many holes take a window of 600 MB.
const MOST_RUNS: usize = 4_096;

/// Entries of retransmissions that may be more than twice as many as the records.
const FEW: usize = 16;

/// A segment that was sent and is not yet acknowledged. Its bytes stay in the send buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The sequence numbers it occupies, SYN and FIN included.
    pub(super) range: SeqRange,
    /// When it was last sent.
    pub(super) sent_at: Instant,
    /// Whether it has been sent more than once: its acknowledgment is ambiguous (Karn).
    pub(super) retransmitted: bool,
    /// Held to have left the network, and not sent again since.
    pub(super) lost: bool,
    /// The peer has reported all of it as received.
    pub(super) sacked: bool,
    /// Something was sent again so soon after it that it may arrive first, and have the peer throw
    /// this away.
    pub(super) outrun: bool,
    /// Microseconds of RACK.rtt when something that was sent later was first delivered; 0: nothing
    /// was yet.
    pub(super) overtaken_rtt: u32,
}

impl Sent {
    /// Of `range`, sent for the first time.
    fn new(range: SeqRange, sent_at: Instant) -> Self {
        Self {
            range,
            sent_at,
            retransmitted: false,
            lost: false,
            sacked: false,
            outrun: false,
            overtaken_rtt: 0,
        }
    }

    /// When it was last sent, for comparison with others.
    #[inline]
    fn transmission(&self) -> Transmission {
        Transmission { at: self.sent_at, end: self.range.end }
    }

    /// Something that was sent later has been delivered, when RACK.rtt was `rtt` nanoseconds.
    fn note_overtaken(&mut self, rtt: u64) {
        if self.overtaken_rtt == 0 {
            self.overtaken_rtt = u32::try_from(rtt / 1_000).unwrap_or(u32::MAX).max(1);
        }
    }

    /// Whether it is in the network for the first time.
    #[inline]
    fn is_fresh(&self) -> bool {
        !self.retransmitted && self.is_in_network()
    }

    /// Whether it is in the network.
    #[inline]
    fn is_in_network(&self) -> bool {
        !self.lost && !self.sacked
    }
}

/// What an ACK has delivered: what it acknowledges or reports for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Sequence numbers.
    pub(super) len: u32,
    /// Those of them that were reported, not acknowledged.
    pub(super) sacked: u32,
    /// When the oldest segment that was sent only once, and is now acknowledged, was sent: an
    /// unambiguous RTT sample (RFC 6298 section 3, Karn's algorithm), in which the time is counted
    /// for which the peer delays its ACKs.
    pub(super) sent_at: Option<Instant>,
    /// The same of what is now reported.
    pub(super) sacked_sent_at: Option<Instant>,
    /// Whether a segment acknowledged now had been sent more than once.
    pub(super) retransmitted: bool,
    /// Where the first of the segments ends that were sent only once.
    pub(super) original: Option<SeqNum>,
    /// Where the first of the segments starts that were sent only once and have come behind one with
    /// a higher number (RFC 8985 section 6.2, step 3).
    pub(super) reordered: Option<SeqNum>,
    /// Of what counts for RACK, what was sent last.
    newest: Option<Transmission>,
    /// When that was sent which was delivered last: RACK.rtt is the time since.
    last_sent_at: Instant,
    /// RACK.fack before this ACK.
    furthest: Option<SeqNum>,
}

impl Delivery {
    /// `record` has been delivered for the first time.
    #[inline]
    fn add(&mut self, record: &Sent, evidence: &Evidence) {
        self.len += record.range.len();
        if !record.retransmitted {
            let end = record.range.end;
            self.original = Some(self.original.map_or(end, |before| before.earlier(end)));
            if self.furthest.is_some_and(|furthest| end.is_before(furthest)) {
                let start = record.range.start;
                self.reordered = Some(self.reordered.map_or(start, |first| first.earlier(start)));
            }
        }
        let transmission = record.transmission();
        if rack::counts(evidence, record.sent_at, record.retransmitted) {
            // RFC 8985 section 6.2 goes through them in the order in which they were sent. Linux does
            // so by sequence number, and what has arrived in its place behind a hole that was just
            // filled took longer than what has filled it.
            self.last_sent_at = record.sent_at;
            if self.newest.is_none_or(|newest| transmission.is_after(newest)) {
                self.newest = Some(transmission);
            }
        }
    }
}

/// What RACK has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Sequence numbers newly held to be lost.
    pub(super) len: u32,
    /// Whether some of that had been sent again before.
    pub(super) again: bool,
    /// When more will be held to be lost if it has not been delivered by then.
    pub(super) next_at: Option<Instant>,
}

/// The records, in sequence order, without gaps, from SND.UNA to SND.NXT.
#[derive(Debug)]
pub(super) struct Flight {
    records: VecDeque<Sent>,
    /// What is held to be lost.
    lost: Runs,
    /// Sequence numbers in it.
    lost_len: u32,
    /// Of these, what says nothing of congestion.
    excused_len: u32,
    /// What the peer has reported.
    sacked: Runs,
    /// Sequence numbers in it.
    sacked_len: u32,
    /// Segments in it (RACK.segs_sacked).
    segments_sacked: u32,
    /// Sequence numbers that are in the network for a second time.
    again_len: u32,
    /// What was sent again, in the order in which that was done. An entry whose record says
    /// otherwise by now counts no more.
    again: VecDeque<Transmission>,
    /// No record before this index is fresh and to be judged yet.
    judged: u32,
    /// No fresh record before this index was sent after RACK.segment.
    older: u32,
    rack: Rack,
    /// RACK.fack, while it lies beyond SND.UNA.
    furthest: Option<SeqNum>,
    /// The furthest that something has been overtaken.
    extent: u32,
    /// When RACK's reordering timer runs out, but for the grain of clocks.
    waits_until: Option<Instant>,
    /// RACK.dsack_round: a D-SACK has come, and SND.UNA has not got here since.
    spurious_round: Option<SeqNum>,
    /// What measures it, where the congestion controller wants that.
    meter: Option<Box<Meter>>,
}

impl Default for Flight {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Lendable for Flight {
    fn nothing() -> &'static Self {
        static NOTHING: Flight = Flight::EMPTY;
        &NOTHING
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }

    fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Sent>()
            + self.again.capacity() * size_of::<Transmission>()
            + self.lost.memory()
            + self.sacked.memory()
    }
}

impl Flight {
    const EMPTY: Self = Self {
        records: VecDeque::new(),
        lost: Runs::new(),
        lost_len: 0,
        excused_len: 0,
        sacked: Runs::new(),
        sacked_len: 0,
        segments_sacked: 0,
        again_len: 0,
        again: VecDeque::new(),
        judged: 0,
        older: 0,
        rack: Rack::NOTHING,
        furthest: None,
        extent: 0,
        waits_until: None,
        spurious_round: None,
        meter: None,
    };

    /// Whether something is held to be lost.
    pub(super) fn has_lost(&self) -> bool {
        self.lost_len > 0
    }

    /// Whether the peer has reported something beyond a hole.
    #[inline]
    pub(super) fn has_sacked(&self) -> bool {
        self.sacked_len > 0
    }

    /// Whether everything is in the network for the first time, as far as is known.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        (self.lost_len | self.sacked_len | self.again_len) == 0
            && self.again.is_empty()
            && self.furthest.is_none()
            && self.spurious_round.is_none()
    }

    /// Whether nothing is in the network.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The sequence numbers sent and not acknowledged, whether lost or not: FlightSize.
    pub(super) fn size(&self) -> u32 {
        match (self.records.front(), self.records.back()) {
            (Some(first), Some(last)) => first.range.start.len_to(last.range.end),
            _ => 0,
        }
    }

    /// The sequence numbers held to be in the network still: the pipe of RFC 6675 section 4.
    pub(super) fn in_network(&self) -> u32 {
        self.size().saturating_sub(self.out_of_network())
    }

    /// The others: lost, or reported beyond a hole.
    pub(super) fn out_of_network(&self) -> u32 {
        self.lost_len + self.sacked_len
    }

    /// Sequence numbers that the peer has reported beyond a hole.
    pub(super) fn sacked(&self) -> u32 {
        self.sacked_len
    }

    /// Segments that the peer has reported beyond a hole.
    pub(super) fn segments_sacked(&self) -> u32 {
        self.segments_sacked
    }

    /// Sequence numbers that are in the network for a second time.
    pub(super) fn resent(&self) -> u32 {
        self.again_len
    }

    /// Whether RACK's reordering timer runs.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.waits_until.is_some()
    }

    /// RACK's reordering timer runs out at `at`, if at all.
    pub(super) fn wait_until(&mut self, at: Option<Instant>) {
        self.waits_until = at;
    }

    /// How many segments are not acknowledged, how many of them are held to be lost, how many are in
    /// the network again, and how many are reported. It walks the records.
    pub(super) fn count(&self) -> (u32, u32, u32, u32) {
        let lost = self.records.iter().filter(|record| record.lost).count();
        let again = self.records.iter().filter(|record| record.retransmitted).count();
        let again = again
            - self
                .records
                .iter()
                .filter(|record| record.retransmitted && !record.is_in_network())
                .count();
        (self.records.len() as u32, lost as u32, again as u32, self.segments_sacked)
    }

    /// Segments that the peer has neither acknowledged nor reported.
    pub(super) fn undelivered(&self) -> u32 {
        (self.records.len() as u32).saturating_sub(self.segments_sacked)
    }

    /// When the oldest segment was last sent.
    pub(super) fn first_sent_at(&self) -> Option<Instant> {
        self.records.front().map(|record| record.sent_at)
    }

    /// A new segment is on its way.
    pub(super) fn on_sent(&mut self, range: SeqRange, now: Instant) {
        debug_assert!(self.records.back().is_none_or(|last| last.range.end == range.start));
        if self.meter.is_some() {
            self.stamp_new(range.len(), now);
        }
        self.records.push_back(Sent::new(range, now));
    }

    /// The oldest segment was sent more than once before it was recorded here: a SYN-ACK.
    pub(super) fn mark_first_retransmitted(&mut self) {
        if let Some(record) = self.records.front_mut()
            && !record.retransmitted
        {
            record.retransmitted = true;
            self.again_len += record.range.len();
        }
    }

    /// An ACK is about to be taken in. What it delivers is nothing so far.
    #[inline]
    pub(super) fn begin_delivery(&self, delivery: &mut Delivery) {
        delivery.furthest = self.furthest;
    }

    /// How far behind RACK.fack that starts which has come out of order.
    #[inline]
    fn note_reordering(&mut self, delivery: &Delivery) {
        if let (Some(start), Some(furthest)) = (delivery.reordered, delivery.furthest) {
            self.extent = self.extent.max(start.len_to(furthest));
        }
    }

    /// The furthest that something of this flight has been overtaken, in sequence numbers.
    pub(super) fn extent(&self) -> u32 {
        self.extent
    }

    /// Everything before `una` has arrived.
    #[inline]
    pub(super) fn on_ack(&mut self, una: SeqNum, evidence: &Evidence, delivery: &mut Delivery) {
        if self.meter.is_some() {
            self.meter_acked(una, evidence.now);
        }
        let plain = self.is_plain();
        let gone = if plain {
            self.pop_plain(una, delivery)
        } else {
            self.pop_acked(una, evidence, delivery)
        };
        if self.records.is_empty() {
            self.forget(plain);
            return;
        }
        self.judged = self.judged.saturating_sub(gone);
        self.older = self.older.saturating_sub(gone);
        if !plain {
            self.forget_before(una);
        }
    }

    /// Takes out what lies before `una`, where everything is in the network for the first time: there
    /// is little to say of it. Answers how many records that were.
    #[inline]
    fn pop_plain(&mut self, una: SeqNum, delivery: &mut Delivery) -> u32 {
        let mut gone = 0;
        let is_acked = |record: &mut Sent| record.range.end.is_at_or_before(una);
        while let Some(record) = self.records.pop_front_if(is_acked) {
            gone += 1;
            delivery.len += record.range.len();
            delivery.sent_at.get_or_insert(record.sent_at);
            delivery.original.get_or_insert(record.range.end);
            // They were sent in sequence order.
            delivery.last_sent_at = record.sent_at;
            delivery.newest = Some(record.transmission());
        }
        if let Some(record) = self.records.front_mut() {
            delivery.len += record.range.start.len_to(una);
            record.range.start = record.range.start.later(una);
        }
        gone
    }

    /// The same wherever anything may have been lost, reported or sent again.
    fn pop_acked(&mut self, una: SeqNum, evidence: &Evidence, delivery: &mut Delivery) -> u32 {
        let mut gone = 0;
        while let Some(record) = self.records.front() {
            if record.range.end.is_at_or_before(una) {
                let record = *record;
                self.records.pop_front();
                gone += 1;
                self.on_delivered(&record, evidence, delivery);
                continue;
            }
            if record.range.contains(una) {
                let part = SeqRange { start: record.range.start, end: una };
                self.on_delivered_in_part(part, delivery);
            }
            break;
        }
        gone
    }

    /// What is acknowledged is neither lost nor reported any more.
    #[cold]
    fn forget_before(&mut self, una: SeqNum) {
        self.drop_stale();
        self.lost.remove_before(una);
        self.sacked.remove_before(una);
        // 2 GiB later they would seem to lie ahead again.
        self.furthest = self.furthest.filter(|furthest| furthest.is_after(una));
        self.spurious_round = self.spurious_round.filter(|round| round.is_after(una));
    }

    /// A record that is acknowledged as a whole has gone.
    #[inline]
    fn on_delivered(&mut self, record: &Sent, evidence: &Evidence, delivery: &mut Delivery) {
        if record.retransmitted {
            delivery.retransmitted = true;
        }
        if record.sacked {
            self.sacked_len -= record.range.len();
            self.segments_sacked -= 1;
            return;
        }
        if record.lost {
            self.forget_loss(record.range.len(), record.outrun);
        } else if record.retransmitted {
            self.again_len -= record.range.len();
        }
        if !record.retransmitted {
            delivery.sent_at.get_or_insert(record.sent_at);
        }
        delivery.add(record, evidence);
    }

    /// The first record is acknowledged up to the end of `part`.
    fn on_delivered_in_part(&mut self, part: SeqRange, delivery: &mut Delivery) {
        let Some(record) = self.records.front_mut() else {
            return;
        };
        record.range.start = part.end;
        if record.sacked {
            self.sacked_len -= part.len();
            return;
        }
        delivery.len += part.len();
        if record.lost {
            let outrun = record.outrun;
            self.forget_loss(part.len(), outrun);
        } else if record.retransmitted {
            self.again_len -= part.len();
        }
    }

    /// Everything has been acknowledged: what was known of it is over, which is little if all was
    /// `plain` before.
    fn forget(&mut self, plain: bool) {
        debug_assert!(self.lost_len == 0 && self.sacked_len == 0 && self.again_len == 0);
        if !plain {
            self.lost.clear();
            self.sacked.clear();
            self.again.clear();
        }
        (self.judged, self.older) = (0, 0);
        (self.furthest, self.spurious_round) = (None, None);
        self.waits_until = None;
        self.extent = 0;
        self.rack = Rack::NOTHING;
    }

    /// What an ACK has delivered is complete.
    #[inline]
    pub(super) fn note_delivery(&mut self, now: Instant, delivery: &Delivery) {
        self.note_reordering(delivery);
        // All that is sent later is sent after it: it need not be known where nothing is out.
        if let Some(newest) = delivery.newest
            && !self.records.is_empty()
        {
            self.rack.on_delivered(newest, now, delivery.last_sent_at);
        }
    }

    /// The oldest segment, a SYN, has been sent again.
    pub(super) fn on_first_sent_again(&mut self, now: Instant) {
        self.on_sent_again(0, now);
    }

    /// Whether a single segment is out; `None`: none at all.
    pub(super) fn is_single(&self) -> Option<bool> {
        (!self.records.is_empty()).then_some(self.records.len() == 1)
    }

    /// The newest segment of those in the network.
    pub(super) fn last_in_network(&self) -> Option<SeqRange> {
        self.index_of_last().map(|at| self.records[at].range)
    }

    /// The newest segment of those in the network has been sent again, as a probe.
    pub(super) fn on_last_sent_again(&mut self, now: Instant) {
        if let Some(last) = self.index_of_last() {
            self.on_sent_again(last, now);
        }
    }

    /// The index of the newest record in the network.
    fn index_of_last(&self) -> Option<usize> {
        let mut at = self.records.len();
        while let Some(before) = at.checked_sub(1) {
            let record = &self.records[before];
            if record.is_in_network() {
                return Some(before);
            }
            // To the start of the run that it lies in.
            let runs = if record.sacked { &self.sacked } else { &self.lost };
            let run = runs.at_or_after(record.range.start);
            at = run.map_or(before, |run| self.index_of_start(run.start) as usize).min(before);
        }
        None
    }

    /// A record that is in the network has been sent again.
    fn on_sent_again(&mut self, at: usize, now: Instant) {
        let Some(record) = self.records.get_mut(at) else {
            return;
        };
        if !record.is_in_network() {
            return;
        }
        if !record.retransmitted {
            self.again_len += record.range.len();
        }
        *record = Sent { retransmitted: true, ..Sent::new(record.range, now) };
        let sent = record.transmission();
        if self.meter.is_some() {
            // It counts as in the network already.
            self.stamp_again(at, 0, self.in_network(), now, false);
        }
        self.queue_resent(sent);
    }

    /// Whether a segment carries more than `most`. It walks the records.
    pub(super) fn has_larger(&self, most: u32) -> bool {
        self.records.iter().any(|record| record.range.len() > most)
    }

    /// The next sequence numbers to send again: at most `most` of the first record marked lost.
    pub(super) fn next_lost(&self, most: u32) -> Option<SeqRange> {
        let start = self.lost.first()?.start;
        let record = self.records.get(self.index_of_start(start) as usize)?;
        debug_assert!(record.lost && record.range.start == start);
        Some(SeqRange::new(record.range.start, record.range.len().min(most)))
    }

    /// `range`, which [`next_lost`](Self::next_lost) gave, has been sent again.
    pub(super) fn on_retransmitted(&mut self, range: SeqRange, now: Instant) {
        let at = self.index_of_start(range.start) as usize;
        let Some(record) = self.records.get_mut(at) else {
            return;
        };
        debug_assert!(record.lost && record.range.start == range.start);
        let rest = SeqRange { start: range.end, end: record.range.end };
        let whole = *record;
        *record = Sent { retransmitted: true, ..Sent::new(range, now) };
        let sent = record.transmission();
        if self.meter.is_some() {
            self.stamp_again(at, range.len(), self.in_network(), now, !rest.is_empty());
        }
        self.forget_loss(range.len(), whole.outrun);
        self.lost.remove(range);
        self.again_len += range.len();
        self.queue_resent(sent);
        if !rest.is_empty() {
            // The path's MTU has shrunk since: what is left stays lost, and is next.
            self.records.insert(at + 1, Sent { range: rest, ..whole });
        }
    }

    /// Queues a retransmission. Those that count no more are dropped in time: there are never more
    /// than twice as many entries as records, and [`FEW`].
    fn queue_resent(&mut self, sent: Transmission) {
        // Of one moment the lower sequence number counts as sent before the higher: it may have been
        // sent behind it, where a timer ran out in between.
        let behind = self.again.iter().rev().take_while(|other| other.is_after(sent)).count();
        self.again.insert(self.again.len() - behind, sent);
        self.drop_stale();
    }

    #[inline]
    fn drop_stale(&mut self) {
        if self.again.len() > 2 * self.records.len() + FEW {
            let mut again = core::mem::take(&mut self.again);
            again.retain(|&sent| self.index_of_resent(sent).is_some());
            self.again = again;
        }
    }

    /// Checks what must always hold, unless there is so much that to walk it with every packet would
    /// take longer than all else.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, una: SeqNum, nxt: SeqNum) {
        const MANY: usize = 128;
        if self.records.len() > MANY {
            return;
        }
        self.check_meter();
        let mut at = una;
        let (mut lost, mut sacked, mut again, mut segments) = (0, 0, 0, 0);
        let mut excused = 0;
        for record in &self.records {
            assert_eq!(record.range.start, at, "records have no gaps");
            assert!(!record.range.is_empty(), "no record is empty");
            assert!(!(record.lost && record.sacked), "what has arrived is not lost");
            at = record.range.end;
            let holds = |runs: &Runs| {
                let run = runs.at_or_after(record.range.start);
                run.is_some_and(|run| run.contains(record.range.start))
            };
            assert_eq!(record.lost, holds(&self.lost), "the lost are listed");
            assert_eq!(record.sacked, holds(&self.sacked), "the reported are listed");
            lost += if record.lost { record.range.len() } else { 0 };
            excused += if record.lost && record.outrun { record.range.len() } else { 0 };
            sacked += if record.sacked { record.range.len() } else { 0 };
            segments += u32::from(record.sacked);
            if record.retransmitted && record.is_in_network() {
                again += record.range.len();
            }
        }
        assert_eq!(at, nxt, "records reach up to SND.NXT");
        assert_eq!((lost, lost), (self.lost_len, self.lost.check()), "the lost are counted right");
        assert_eq!(excused, self.excused_len, "and those that are excused");
        assert_eq!((sacked, sacked), (self.sacked_len, self.sacked.check()), "the reported, too");
        assert_eq!(segments, self.segments_sacked);
        assert_eq!(again, self.again_len, "what is out again is counted right");
        assert!(self.sacked.len() <= MOST_RUNS);
        assert!(self.again.len() <= 2 * self.records.len() + FEW);
    }
}

#[cfg(test)]
mod tests;
