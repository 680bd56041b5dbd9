//! What of a flight is held to be lost: RACK_detect_loss (RFC 8985 section 6.2, step 5), and what a
//! timeout or a path that has shrunk says.

use super::{Flight, Losses, Sent};
use crate::tcp::rack::Transmission;
use crate::time::Instant;
use crate::wire::SeqNum;

impl Flight {
    /// RACK_detect_loss (RFC 8985 section 6.2, step 5), with a reordering window of `window`
    /// nanoseconds.
    pub(in crate::tcp) fn detect_losses(&mut self, now: Instant, window: u64) -> Losses {
        let mut losses = Losses::default();
        self.judge_fresh(now, window, &mut losses);
        self.judge_resent(now, window, &mut losses);
        losses
    }

    /// First transmissions, in sequence order.
    fn judge_fresh(&mut self, now: Instant, window: u64, losses: &mut Losses) {
        // RACK.segment only ever moves on, so no record is looked at twice.
        while let Some(record) = self.records.get_mut(self.older as usize)
            && (!record.is_fresh() || self.rack.is_after(record.transmission()))
        {
            if record.is_fresh() {
                record.note_overtaken(self.rack.rtt());
            }
            self.older += 1;
        }
        while self.judged < self.older
            && let Some(record) = self.records.get(self.judged as usize)
        {
            if record.is_fresh() {
                if self.deadline_of(record, window) > now {
                    break;
                }
                self.mark_lost(self.judged as usize, losses);
            }
            self.judged += 1;
        }
        // The timer waits for the last of them: "timeout = max(remaining, timeout)"; and for the first,
        // which may have been overtaken when RACK.rtt was more.
        let first = self.records.get(self.judged as usize).filter(|_| self.judged < self.older);
        let first = first.map(|record| self.deadline_of(record, window));
        let mut at = self.older;
        while at > self.judged {
            at -= 1;
            let record = self.records[at as usize];
            if record.is_fresh() {
                losses.next_at = first.max(Some(self.deadline_of(&record, window)));
                break;
            }
            if record.sacked
                && let Some(run) = self.sacked.at_or_after(record.range.start)
            {
                at = self.index_of_start(run.start).min(at);
            }
        }
    }

    /// When a fresh record is held to be lost (RFC 8985 section 6.2, step 5): after RACK.rtt and the
    /// reordering window. Where a queue drains, what is delivered last has taken less than what was
    /// sent before it may; RACK.rtt counts as it was when the record was first overtaken, if that is
    /// more.
    fn deadline_of(&self, record: &Sent, window: u64) -> Instant {
        self.rack.deadline(record.sent_at, window, u64::from(record.overtaken_rtt) * 1_000)
    }

    /// What was sent again, in the order in which that was done.
    fn judge_resent(&mut self, now: Instant, window: u64, losses: &mut Losses) {
        while let Some(&sent) = self.again.front() {
            if !self.rack.is_after(sent) {
                return;
            }
            if let Some(at) = self.index_of_resent(sent) {
                if self.rack.deadline(sent.at, window, 0) > now {
                    break;
                }
                self.mark_lost(at, losses);
                losses.again = true;
            }
            self.again.pop_front();
        }
        // The last one that may have been sent before RACK.segment. Whether it still counts is not
        // looked at: the timer may run out for nothing, no later than RACK.segment itself
        // would be lost.
        if let Some(limit) = self.rack.sent_at()
            && !self.again.is_empty()
        {
            let after = self.again.partition_point(|sent| sent.at <= limit);
            if let Some(last) = after.checked_sub(1).and_then(|last| self.again.get(last)) {
                let deadline = self.rack.deadline(last.at, window, 0);
                losses.next_at = Some(losses.next_at.map_or(deadline, |at| at.max(deadline)));
            }
        }
    }

    /// The record of what was sent again as `sent`, if that is in the network still.
    pub(super) fn index_of_resent(&self, sent: Transmission) -> Option<usize> {
        let at = self.records.partition_point(|record| record.range.end.is_before(sent.end));
        let record = self.records.get(at)?;
        let same = record.transmission() == sent && record.retransmitted;
        (same && record.is_in_network()).then_some(at)
    }

    /// The index of the record that starts at or before `start` and ends after it.
    pub(super) fn index_of_start(&self, start: SeqNum) -> u32 {
        self.records.partition_point(|record| record.range.end.is_at_or_before(start)) as u32
    }

    pub(super) fn mark_lost(&mut self, at: usize, losses: &mut Losses) {
        let record = &mut self.records[at];
        if record.lost || record.sacked {
            return;
        }
        record.lost = true;
        let (range, outrun) = (record.range, record.outrun);
        if record.retransmitted {
            self.again_len -= range.len();
        }
        self.lost_len += range.len();
        self.excused_len += if outrun { range.len() } else { 0 };
        self.lost.insert(range);
        losses.len += range.len();
        if self.has_meter() {
            self.meter_lost(at);
        }
    }

    /// `len` sequence numbers, `outrun` or not, are held to be lost no more.
    pub(super) fn forget_loss(&mut self, len: u32, outrun: bool) {
        self.lost_len -= len;
        self.excused_len -= if outrun { len } else { 0 };
    }

    /// Whether something is held to be lost for want of room on the path.
    pub(in crate::tcp) fn has_congestion_loss(&self) -> bool {
        self.lost_len > self.excused_len
    }

    /// Something is sent again at `now`, with a timestamp, on a path that reorders. It may arrive
    /// before what was sent less than `window` nanoseconds ago; the peer then holds that to be old and
    /// throws it away (RFC 7323 section 5.3: "discarding some segments unnecessarily").
    pub(in crate::tcp) fn on_overtaking(&mut self, now: Instant, window: u64) {
        let late = now.as_nanos().saturating_sub(window);
        // Those that were outrun before are the newest of that time: no record is marked twice.
        let records = self.records.iter_mut().rev();
        for record in records.take_while(|sent| !sent.outrun && sent.sent_at.as_nanos() >= late) {
            record.outrun = true;
            if record.lost {
                self.excused_len += record.range.len();
            }
        }
    }

    /// Marks the oldest segment as lost.
    pub(in crate::tcp) fn mark_first_lost(&mut self) {
        if !self.records.is_empty() {
            self.mark_lost(0, &mut Losses::default());
        }
    }

    /// Marks everything as lost that is not reported as received (RFC 5681 section 3.1: after a
    /// timeout the sender starts over from the oldest; where the path has shrunk it does so, too).
    pub(in crate::tcp) fn mark_all_lost(&mut self) {
        for at in 0..self.records.len() {
            self.mark_lost(at, &mut Losses::default());
        }
    }

    /// RACK_mark_losses_on_RTO (RFC 8985 section 6.3): the oldest segment is lost, and of the others
    /// those that were sent long enough ago, by RACK.rtt or, if nothing of this flight has been
    /// delivered yet, by `rtt` nanoseconds.
    pub(in crate::tcp) fn mark_lost_on_timeout(&mut self, now: Instant, rtt: u64, window: u64) {
        if self.has_reneged() {
            self.forget_sacked();
            self.mark_all_lost();
            return;
        }
        let rack = self.rack.or_with(rtt);
        for at in 0..self.records.len() {
            if at == 0 || rack.deadline(self.records[at].sent_at, window, 0) <= now {
                self.mark_lost(at, &mut Losses::default());
            }
        }
    }

    /// Nothing was lost after all: what has not been sent again is taken to be on its way still.
    pub(in crate::tcp) fn forget_lost(&mut self) {
        for record in &mut self.records {
            if record.lost && record.retransmitted {
                self.again_len += record.range.len();
            }
            record.lost = false;
        }
        self.lost.clear();
        (self.lost_len, self.excused_len) = (0, 0);
        self.judge_anew();
    }

    /// What had been judged is in the network again: RACK looks at it once more.
    pub(super) fn judge_anew(&mut self) {
        (self.judged, self.older) = (0, 0);
        let resent = self.records.iter().filter(|sent| sent.retransmitted && sent.is_in_network());
        let mut again: Vec<Transmission> = resent.map(Sent::transmission).collect();
        // Stable, and in sequence order before.
        again.sort_by_key(|sent| sent.at);
        self.again = again.into();
    }
}
