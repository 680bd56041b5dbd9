//! How losses are found and repaired where the peer reports what it has received (RFC 2018, RFC 2883):
//! what is lost is found by RACK (RFC 8985), what goes out meanwhile is decided by proportional rate
//! reduction (RFC 9937), and what turns out to have been for nothing is taken back (RFC 4015). The
//! mechanisms are in files of their own; here each is told what the others have found.

use super::acknowledge::AckReport;
use super::congestion::Loss;
use super::flight::{Delivery, Losses};
use super::prr::{Progress, Prr};
use super::rack::{self, Evidence, Standing};
use super::recovery::Phase;
use super::undo::Answer;
use super::{Connection, Timer};
use crate::time::{Duration, Instant};
use crate::wire::{MAX_SACK_BLOCKS, Segment, SeqRange};

/// The least time for which a peer that has thrown text away may still think better of it, as in
/// Linux.
const LEAST_PATIENCE: Duration = Duration::from_millis(10);

impl Connection {
    /// Takes in the SACK blocks of an ACK. Answers what it reports as received twice.
    #[inline]
    pub(super) fn take_blocks(
        &mut self,
        segment: &Segment<'_>,
        evidence: &Evidence,
        delivery: &mut Delivery,
    ) -> Option<SeqRange> {
        if segment.options.sack.is_empty() || !self.negotiated.sack {
            return None;
        }
        let sack = segment.options.sack;
        let twice = self.received_twice(segment, sack.as_slice());
        // Beyond a hole the peer goes on to echo what came last before it (RFC 7323 section 4.3): that
        // tells nothing of which transmission a block reports. Nor does Linux ask for it.
        let evidence = &Evidence { echo: None, ..*evidence };
        let mut blocks = [SeqRange::default(); MAX_SACK_BLOCKS];
        let blocks = &mut blocks[..sack.as_slice().len()];
        blocks.copy_from_slice(sack.as_slice());
        blocks.sort_unstable_by_key(|block| self.snd.una.distance_to(block.start));
        for block in blocks.iter() {
            // What lies at SND.UNA or before it tells of nothing beyond a hole. What has come twice
            // beyond it has come.
            let valid = block.start.is_after(self.snd.una)
                && block.start.is_before(block.end)
                && block.end.is_at_or_before(self.snd.nxt);
            if valid {
                self.flight.on_sacked(*block, evidence, delivery);
            }
        }
        twice
    }

    /// What the first block says to have arrived before: it lies below the ACK, or within the second
    /// one (RFC 2883 section 4). Nothing is believed that lies further back than the peer's window can
    /// have been, or was never sent.
    fn received_twice(&self, segment: &Segment<'_>, blocks: &[SeqRange]) -> Option<SeqRange> {
        let first = *blocks.first()?;
        let below = first.end.is_at_or_before(segment.ack);
        let within = blocks.get(1).is_some_and(|second| {
            second.start.is_at_or_before(first.start) && first.end.is_at_or_before(second.end)
        });
        let oldest = self.snd.una - self.snd.max_wnd.min(self.bytes_acked.min(1 << 30) as u32);
        let sent = first.start.is_before(first.end)
            && first.end.is_at_or_before(self.snd.nxt)
            && first.start.is_at_or_after(oldest);
        ((below || within) && sent).then_some(first)
    }

    /// What an ACK tells about losses, and what follows. Answers whether the congestion window may
    /// grow by it.
    #[inline(always)]
    pub(super) fn repair(&mut self, now: Instant, report: &mut AckReport) -> bool {
        let plain =
            self.flight.is_plain() && report.twice.is_none() && report.delivery.reordered.is_none();
        if plain && self.recovery.is_quiet() {
            return true;
        }
        self.repair_with_report(now, report)
    }

    fn repair_with_report(&mut self, now: Instant, report: &mut AckReport) -> bool {
        if report.delivery.reordered.is_some() {
            self.recovery.reordering.on_reordered();
        }
        if let Some(block) = report.twice {
            self.on_duplicate_block(block);
        }
        if report.echoes_congestion {
            self.recovery.settle();
        }
        self.recovery.forget_before(self.snd.una);
        self.recovery.end_reduction(self.snd.una, self.snd.nxt);
        let reduced = self.recovery.reduces();
        let may_judge = self.judge_recovery(report);
        self.leave_recovery(report);
        if may_judge {
            let losses = self.detect_losses(now);
            report.lost = losses.len;
            self.enter_recovery_if_due(now, report, losses.again);
        }
        self.reduce_in_proportion(report);
        !reduced && !self.recovery.reduces()
    }

    /// Works out what the ACK lets out while the window is reduced.
    pub(super) fn reduce_in_proportion(&mut self, report: &AckReport) {
        if self.recovery.reduces() {
            let safe = report.advances() && report.lost == 0 && !report.echoes_congestion;
            self.recovery.on_progress(Progress {
                // What duplicate ACKs have announced has let new segments out already.
                delivered: report.delivery.len.saturating_sub(report.credit),
                in_network: self.flight.in_network(),
                safe,
                mss: self.effective_mss(),
            });
        }
    }

    /// The window has been reduced for a mark: what is in the network comes down with the ACKs of a
    /// round trip, instead of nothing being sent for a part of it.
    pub(super) fn spread_reduction(&mut self) {
        if self.congestion.paces_recovery() || self.flight.is_empty() {
            return;
        }
        let out = self.flight.size().saturating_sub(self.flight.sacked());
        let prr = Prr::new(self.congestion.cwnd(), out).holding(self.flight.in_network());
        self.recovery.reduce(self.snd.nxt, prr);
    }

    /// Something has arrived twice: what was sent again need not have been (RFC 8985 section 6.2, step
    /// 4).
    fn on_duplicate_block(&mut self, block: SeqRange) {
        self.recovery.on_duplicate_block(block);
        if self.flight.is_late(block) {
            self.recovery.reordering.on_reordered();
        }
        // What a tail loss probe has repeated is no sign of reordering; nor does Linux take a D-SACK
        // for one before it has seen any.
        let probe = self.tail_loss.has_probed(block.end);
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        if self.recovery.reordering.is_seen() && !probe && self.flight.on_spurious(una, nxt) {
            self.recovery.reordering.on_spurious_round();
        }
    }

    /// Whether the recovery that is under way, or has been, was for nothing. Answers whether more may
    /// be held to be lost by this ACK.
    fn judge_recovery(&mut self, report: &AckReport) -> bool {
        let late = report.advances() && self.recovery.shows_late(report.echo);
        let complete = self.recovery.is_complete(self.snd.una);
        match self.recovery.phase() {
            Phase::Fast if late && !complete => {
                self.recovery.reordering.on_reordered();
                if self.flight.resent() > 0 {
                    // As in Linux: it waits until it is known how those fare, and finds no more
                    // losses meanwhile.
                    return false;
                }
                self.take_back(true);
            }
            Phase::Timeout => {
                let answer = Answer {
                    advances: report.advances(),
                    reports: report.delivery.sacked > 0,
                    original: false,
                    has_new_text: self.unsent() > 0 && self.flight.size() < self.snd.wnd,
                };
                let shown = late || self.recovery.shows_duplicates();
                let spurious = report.advances() && shown
                    || !complete && self.recovery.on_answer(answer, report.delivery.original);
                if spurious {
                    self.retries = 0;
                    self.take_back(true);
                }
            }
            Phase::Fast | Phase::Open if self.recovery.shows_duplicates() => self.take_back(false),
            _ => {}
        }
        true
    }

    /// The last reduction was for nothing (RFC 4015 section 3.2): the window is as before it. With
    /// `all` nothing of what is held to be lost is believed any more.
    fn take_back(&mut self, all: bool) {
        log::debug!("{:?}: nothing was lost", self.flow);
        if all {
            self.flight.forget_lost();
        }
        if !self.recovery.is_of_timeout() {
            // Nothing was lost, so it was out of order.
            self.recovery.reordering.on_reordered();
        }
        // What was done for a mark stays (RFC 4015 section 3.2), and nothing else was done. After a
        // timeout slow start leads back to that, as in Linux.
        if !self.recovery.is_excused() {
            self.congestion.get_mut().undo();
        }
        self.recovery.on_undone(self.snd.una, self.snd.nxt);
    }

    /// Ends a recovery if all that was out when it began is acknowledged.
    fn leave_recovery(&mut self, report: &AckReport) {
        let late = report.advances() && self.recovery.shows_late(report.echo);
        let spurious = late || self.recovery.shows_duplicates();
        let Some(left) = self.recovery.leave_at(self.snd.una, self.snd.nxt) else {
            return;
        };
        if left != Phase::Shrunk && spurious {
            self.take_back(false);
            return;
        }
        self.recovery.reordering.on_recovered();
        if left == Phase::Fast {
            // RFC 9937 section 6.2: "cwnd = ssthresh". What was let out has come down to that
            // already, so that there is no burst to be avoided.
            let ssthresh = self.congestion.ssthresh();
            self.congestion.get_mut().on_recovered(ssthresh);
        }
    }

    /// Finds what is lost, and sets the reordering timer for what may yet be (RFC 8985 section 6.2,
    /// step 5).
    fn detect_losses(&mut self, now: Instant) -> Losses {
        let window = self.reordering_window();
        let losses = self.flight.detect_losses(now, window);
        self.tell_losses(now);
        match losses.next_at {
            Some(at) => self.timers.set(Timer::LossProbe, rack::timer(at)),
            None if self.flight.is_waiting() => self.timers.stop(Timer::LossProbe),
            // It may be that of a probe.
            None => {}
        }
        self.flight.wait_until(losses.next_at);
        losses
    }

    /// RACK.reo_wnd in nanoseconds.
    pub(super) fn reordering_window(&self) -> u64 {
        self.recovery.reordering.window(&Standing {
            recovers: self.recovery.repairs(),
            segments_sacked: self.flight.segments_sacked(),
            min_rtt: self.rto.min_rtt(),
            srtt: self.rto.srtt_nanos().unwrap_or(0),
        })
    }

    /// Recovery begins where something is lost; after a timeout only where something is lost again
    /// that was sent again since, as in Linux (RFC 5681 section 4.3: "two indications of congestion").
    fn enter_recovery_if_due(&mut self, now: Instant, report: &AckReport, again: bool) {
        let due = match self.recovery.phase() {
            Phase::Open | Phase::Reduced => self.flight.has_congestion_loss(),
            Phase::Timeout => again,
            Phase::Fast | Phase::Shrunk => false,
        };
        if due {
            let sacked_before =
                self.flight.sacked() - report.delivery.sacked.min(self.flight.sacked());
            self.enter_recovery(now, report.acked, sacked_before);
        }
    }

    /// Recovery begins, by an ACK of `acked` sequence numbers or a timer; `sacked_before` had been
    /// reported by then.
    fn enter_recovery(&mut self, now: Instant, acked: u32, sacked_before: u32) {
        let size = self.flight.size().saturating_add(acked);
        // RFC 5681 section 3.2 step 2: what limited transmit has sent does not count.
        let flight_size = size.min(self.cwnd());
        let excused = self.recovery.has_reduced_since(self.snd.una);
        self.answer_loss(&Loss { now, flight_size }, excused);
        // RFC 9937 section 6.1: "Bytes SACKed before entering recovery will not be marked as
        // delivered during recovery".
        let prr = || Prr::new(self.congestion.ssthresh(), size.saturating_sub(sacked_before));
        let prr = (!self.congestion.paces_recovery()).then(prr);
        let (una, nxt, resent) = (self.snd.una, self.snd.nxt, self.flight.resent());
        self.recovery.enter(una, nxt, prr, resent);
        self.tail_loss.forget();
        if !self.flight.is_waiting() {
            self.timers.stop(Timer::LossProbe);
        }
    }

    /// RACK's reordering timer has run out (RFC 8985 section 6.2, step 5).
    pub(super) fn on_reordering_timeout(&mut self, now: Instant) {
        let losses = self.detect_losses(now);
        let due = match self.recovery.phase() {
            Phase::Open | Phase::Reduced => self.flight.has_congestion_loss(),
            Phase::Timeout => true,
            Phase::Fast | Phase::Shrunk => false,
        };
        if losses.len > 0 && due {
            self.enter_recovery(now, 0, self.flight.sacked());
            self.recovery.start_by_timer(self.flight.in_network(), self.effective_mss());
        }
    }

    /// The timers after an ACK that has acknowledged nothing new.
    pub(super) fn set_timers_for_report(&mut self, now: Instant, report: &AckReport) {
        // As in Linux: what is reported was sent before the oldest segment was sent (again), which
        // shows that this has still time to arrive.
        let reported = report.delivery.sacked_sent_at;
        if let (Some(sent_at), Some(first)) = (reported, self.flight.first_sent_at())
            && sent_at < first
        {
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        }
        if report.delivery.len > 0 {
            self.schedule_loss_probe(now);
        }
    }

    /// The peer has thrown away what it had reported (RFC 2018 section 8): it is believed no longer
    /// when the retransmission timer runs out, which is soon. That it acknowledges less than it has
    /// may also mean that its ACK was on the way when the rest came.
    pub(super) fn hurry_after_reneging(&mut self, now: Instant) {
        let patience = self.rto.srtt().unwrap_or_default() / 2;
        self.timers.set(Timer::Retransmit, now + patience.max(LEAST_PATIENCE));
    }

    /// What is sent again from now on is not RACK's choice, and probes nothing.
    pub(super) fn stop_loss_detection(&mut self) {
        self.flight.wait_until(None);
        self.tail_loss.forget();
        self.timers.stop(Timer::LossProbe);
    }
}
