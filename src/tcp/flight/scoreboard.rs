//! What the peer reports of a flight (RFC 2018 section 5, RFC 2883): the scoreboard of RFC 6675.

use super::{Delivery, Flight, MOST_RUNS};
use crate::tcp::rack::Evidence;
use crate::wire::{SeqNum, SeqRange};

impl Flight {
    /// The peer reports `block`, which lies between SND.UNA and SND.NXT. A record counts only if all
    /// of it is reported (RFC 6675 section 5 keeps whole octets; what was sent goes by segments).
    pub(in crate::tcp) fn on_sacked(
        &mut self,
        block: SeqRange,
        evidence: &Evidence,
        delivery: &mut Delivery,
    ) {
        // What lies in a run that is known says nothing: a peer repeats each block with every ACK.
        let known = self.sacked.at_or_after(block.start);
        let known = known.filter(|run| run.start.is_at_or_before(block.start));
        let start = known.map_or(block.start, |run| run.end);
        if block.end.is_at_or_before(start) {
            return;
        }
        // From the first record that starts in it to the last one that ends in it.
        let first = self.records.partition_point(|record| record.range.start.is_before(start));
        let after =
            self.records.partition_point(|record| record.range.end.is_at_or_before(block.end));
        if first >= after {
            return;
        }
        let range = SeqRange {
            start: self.records[first].range.start,
            end: self.records[after - 1].range.end,
        };
        if self.sacked.len() >= MOST_RUNS && self.sacked.stands_alone(range) {
            return;
        }
        let mut at = first;
        while at < after {
            let record = self.records[at];
            if record.sacked {
                // To the end of the run that it lies in: nothing in there is new.
                let run = self.sacked.at_or_after(record.range.start);
                let end = run.map_or(record.range.end, |run| run.end);
                at = self.records.partition_point(|record| record.range.end.is_at_or_before(end));
                continue;
            }
            self.records[at].sacked = true;
            self.records[at].lost = false;
            self.segments_sacked += 1;
            self.sacked_len += record.range.len();
            delivery.sacked += record.range.len();
            if record.lost {
                self.forget_loss(record.range.len(), record.outrun);
                self.lost.remove(record.range);
            } else if record.retransmitted {
                self.again_len -= record.range.len();
            }
            if !record.retransmitted {
                let sent_at = delivery.sacked_sent_at.unwrap_or(record.sent_at);
                delivery.sacked_sent_at = Some(sent_at.min(record.sent_at));
            }
            delivery.add(&record, evidence);
            if self.has_meter() {
                self.meter_sacked(at, evidence.now);
            }
            at += 1;
        }
        self.sacked.insert(range);
        let furthest = self.furthest.unwrap_or(range.end);
        self.furthest = Some(furthest.later(range.end));
    }

    /// Something was reported as received twice. Answers whether that starts a round trip for which
    /// the reordering window grows (RFC 8985 section 6.2, step 4).
    pub(in crate::tcp) fn on_spurious(&mut self, una: SeqNum, nxt: SeqNum) -> bool {
        if self.spurious_round.is_some_and(|round| una.is_before(round)) {
            return false;
        }
        self.spurious_round = (nxt != una).then_some(nxt);
        true
    }

    /// Whether `range` lies in a segment that was sent again and has been reported as received before
    /// RACK.fack: then a D-SACK of it tells that the first transmission was late, not lost.
    pub(in crate::tcp) fn is_late(&self, range: SeqRange) -> bool {
        let at =
            self.records.partition_point(|record| record.range.end.is_at_or_before(range.start));
        let record = self.records.get(at).filter(|record| record.range.contains(range.start));
        record.is_some_and(|record| {
            let below = self.furthest.is_some_and(|end| record.range.end.is_before(end));
            record.retransmitted && record.sacked && below
        })
    }

    /// Whether the oldest segment is one that the peer has reported as received: it has thrown it
    /// away since, or the ACK would reach beyond it (RFC 2018 section 8).
    pub(in crate::tcp) fn has_reneged(&self) -> bool {
        self.records.front().is_some_and(|record| record.sacked)
    }

    /// What the peer has reported is not to be relied on (RFC 2018 section 8, RFC 6675 section 5.1).
    pub(super) fn forget_sacked(&mut self) {
        for record in &mut self.records {
            if record.sacked && record.retransmitted {
                self.again_len += record.range.len();
            }
            record.sacked = false;
        }
        self.sacked.clear();
        (self.sacked_len, self.segments_sacked) = (0, 0);
        self.furthest = None;
        self.judge_anew();
    }
}
