//! The response to losses: limits of rate and volume for the short term and the long one, and how
//! they are taken back (draft-ietf-ccwg-bbr-05 sections 5.5.10 and 5.5.11).

use super::phases::State;
use super::{Ack, Bbr, INFINITY, LostPacket};
use crate::time::Instant;

/// BBR.Beta, in per cent.
const BETA: u64 = 70;

/// BBR.LossThresh, in per cent.
const LOSS_THRESHOLD: u64 = 2;

/// BBRStartupFullLossCnt: ranges lost in a round trip of Startup, at least.
const STARTUP_RANGES: u32 = 6;

/// What losses have told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losses {
    /// BBR.bw_shortterm in bytes per second.
    pub(super) bw_shortterm: u64,
    /// BBR.inflight_shortterm in bytes.
    pub(super) inflight_shortterm: u64,
    /// BBR.inflight_longterm in bytes.
    pub(super) inflight_longterm: u64,
    /// BBR.bw_latest
    bw_latest: u64,
    /// BBR.inflight_latest
    pub(super) inflight_latest: u64,
    /// BBR.loss_round_delivered
    round_delivered: u64,
    /// BBR.loss_round_start
    round_has_begun: bool,
    /// BBR.loss_in_round
    in_round: bool,
    /// Sequence ranges lost in this round trip that do not touch each other.
    ranges_in_round: u32,
    /// BBR.bw_probe_samples: what arrives, or is lost, was sent while probing for bandwidth, and
    /// there was no response to it yet.
    pub(super) probe_samples: bool,
    undo: Option<Undo>,
    /// When that was saved.
    saved_at: Option<Instant>,
}

/// What there was before the last recovery (section 5.5.11.1).
#[derive(Clone, Copy, Debug)]
struct Undo {
    /// BBR.undo_state: the state that losses have ended since.
    ended: Option<State>,
    bw_shortterm: u64,
    inflight_shortterm: u64,
    inflight_longterm: u64,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            bw_shortterm: INFINITY,
            inflight_shortterm: INFINITY,
            inflight_longterm: INFINITY,
            bw_latest: 0,
            inflight_latest: 0,
            round_delivered: 0,
            round_has_begun: false,
            in_round: false,
            ranges_in_round: 0,
            probe_samples: false,
            undo: None,
            saved_at: None,
        }
    }
}

impl Losses {
    /// BBRResetCongestionSignals
    pub(super) fn reset_signals(&mut self) {
        (self.in_round, self.bw_latest, self.inflight_latest) = (false, 0, 0);
    }

    /// BBRResetShortTermModel
    pub(super) fn reset_shortterm(&mut self) {
        (self.bw_shortterm, self.inflight_shortterm) = (INFINITY, INFINITY);
    }

    /// BBRAdvanceLatestDeliverySignals
    pub(super) fn advance_latest(&mut self, ack: &Ack) {
        if self.round_has_begun {
            (self.bw_latest, self.inflight_latest) = (ack.rate, ack.delivered());
        }
    }
}

/// Seven tenths of a limit.
fn beta(limit: u64) -> u64 {
    (u128::from(limit) * u128::from(BETA) / 100) as u64
}

/// BBRInflightAtLoss: at which volume in flight the losses have crossed the threshold, if that was in
/// the midst of a segment (or super-segment) of `len` bytes.
fn inflight_at_loss(tx_in_flight: u64, lost: u64, len: u64) -> u64 {
    let before = tx_in_flight.saturating_sub(len);
    let lost_before = lost.saturating_sub(len);
    // "(BBR.LossThresh * inflight_prev - lost_prev) / (1 - BBR.LossThresh)"; what was crossed before
    // it was not crossed in it.
    let prefix =
        (LOSS_THRESHOLD * before).saturating_sub(100 * lost_before) / (100 - LOSS_THRESHOLD);
    before + prefix
}

impl Bbr {
    /// IsInflightTooHigh (section 5.5.10.2)
    pub(super) fn is_inflight_too_high(&self, tx_in_flight: u32, lost: u64) -> bool {
        lost * 100 > u64::from(tx_in_flight) * LOSS_THRESHOLD || (lost > 0 && !self.has_sack)
    }

    /// BBRUpdateLatestDeliverySignals
    pub(super) fn update_latest_delivery_signals(&mut self, ack: &Ack) {
        let delivered = self.delivered;
        let losses = &mut self.losses;
        losses.round_has_begun = false;
        losses.bw_latest = losses.bw_latest.max(ack.rate);
        losses.inflight_latest = losses.inflight_latest.max(ack.delivered());
        if ack.sample.is_some_and(|sample| sample.prior_delivered >= losses.round_delivered) {
            losses.round_delivered = delivered;
            losses.round_has_begun = true;
        }
    }

    /// BBRUpdateCongestionSignals
    pub(super) fn update_congestion_signals(&mut self, ack: &Ack) {
        self.update_max_bw(ack);
        if !self.losses.round_has_begun {
            return;
        }
        // BBRAdaptLowerBoundsFromCongestion: while probing, the response is that of the probe.
        if self.losses.in_round && !self.state.is_probing_bw() {
            let (max_bw, cwnd) = (self.max_bw.get(), u64::from(self.cwnd));
            let losses = &mut self.losses;
            // BBRInitLowerBounds
            if losses.bw_shortterm == INFINITY {
                losses.bw_shortterm = max_bw;
            }
            if losses.inflight_shortterm == INFINITY {
                losses.inflight_shortterm = cwnd;
            }
            // BBRLossLowerBounds
            losses.bw_shortterm = losses.bw_latest.max(beta(losses.bw_shortterm));
            losses.inflight_shortterm = losses.inflight_latest.max(beta(losses.inflight_shortterm));
        }
        self.losses.in_round = false;
    }

    /// BBRCheckStartupHighLoss (section 5.3.1.3)
    pub(super) fn check_startup_high_loss(&mut self, ack: &Ack) {
        let ranges = self.losses.ranges_in_round;
        if self.losses.round_has_begun {
            self.losses.ranges_in_round = 0;
        }
        if self.state != State::Startup || !self.in_recovery || ranges == 0 {
            return;
        }
        // A round trip of losses begins with the first one: when the next begins, recovery has
        // lasted for one.
        let is_high = self.losses.round_has_begun
            && ranges >= STARTUP_RANGES
            && ack
                .sample
                .is_some_and(|sample| self.is_inflight_too_high(sample.tx_in_flight, sample.lost));
        if is_high || !self.has_sack {
            self.end_startup_by_losses();
        }
    }

    /// It is losses that end this state.
    fn note_ended(&mut self) {
        if let Some(undo) = &mut self.losses.undo {
            undo.ended = Some(self.state);
        }
    }

    fn end_startup_by_losses(&mut self) {
        self.note_ended();
        self.full_pipe.reached = true;
        self.losses.inflight_longterm = self.bdp().max(self.losses.inflight_latest);
        self.enter_drain();
    }

    /// BBRNoteLoss
    fn note_loss(&mut self) {
        if !self.losses.in_round {
            self.losses.round_delivered = self.delivered;
        }
        if !self.losses.in_round || !self.in_recovery {
            self.save_state_upon_loss();
        }
        self.losses.in_round = true;
    }

    /// BBRHandleLostPacket
    pub(super) fn handle_lost_packet(&mut self, packet: &LostPacket) {
        self.note_loss();
        if !packet.adjacent {
            self.losses.ranges_in_round = self.losses.ranges_in_round.saturating_add(1);
        }
        if !self.losses.probe_samples {
            return;
        }
        if self.is_inflight_too_high(packet.tx_in_flight, packet.lost) {
            let at_loss =
                inflight_at_loss(packet.tx_in_flight.into(), packet.lost, packet.len.into());
            self.handle_inflight_too_high(at_loss, packet.app_limited);
        }
    }

    /// BBRHandleInflightTooHigh
    fn handle_inflight_too_high(&mut self, tx_in_flight: u64, app_limited: bool) {
        self.losses.probe_samples = false;
        if !app_limited {
            self.losses.inflight_longterm = tx_in_flight.max(beta(self.target_inflight()));
        }
        if self.state == State::ProbeBwUp {
            self.note_ended();
            self.start_probe_bw_down();
        }
    }

    /// A router has marked a segment, with so many bytes in flight. Section 3.7: "the congestion
    /// controller response MUST treat any CE marks as congestion", but has none of its own: here
    /// it is that to a loss, and to too many where the sender was probing.
    pub(super) fn handle_mark(&mut self, flight_size: u32) {
        self.note_loss();
        if self.state == State::Startup {
            self.end_startup_by_losses();
        } else if self.losses.probe_samples {
            self.handle_inflight_too_high(flight_size.into(), false);
        }
        // A mark was no mistake.
        self.losses.undo = None;
    }

    /// BBRSaveStateUponLoss (section 5.5.11.1)
    ///
    /// Where recovery begins that is told after what is lost, which may have changed all of it
    /// already: what there was before counts.
    pub(super) fn save_state_upon_loss(&mut self) {
        if self.losses.saved_at.replace(self.now) == Some(self.now) {
            return;
        }
        let Losses { bw_shortterm, inflight_shortterm, inflight_longterm, .. } = self.losses;
        self.losses.undo =
            Some(Undo { ended: None, bw_shortterm, inflight_shortterm, inflight_longterm });
    }

    /// BBRHandleSpuriousLossDetection (section 5.5.11.2)
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        let Some(undo) = self.losses.undo.take() else { return };
        self.full_pipe.reset(0);
        let losses = &mut self.losses;
        losses.in_round = false;
        losses.bw_shortterm = losses.bw_shortterm.max(undo.bw_shortterm);
        losses.inflight_shortterm = losses.inflight_shortterm.max(undo.inflight_shortterm);
        losses.inflight_longterm = losses.inflight_longterm.max(undo.inflight_longterm);
        if undo.ended == Some(State::Startup) {
            // Else Startup would end at once: "BBR.state == Startup and BBR.full_bw_reached".
            self.full_pipe.reached = false;
        }
        if self.state != State::ProbeRtt && Some(self.state) != undo.ended {
            match undo.ended {
                Some(State::Startup) => self.state = State::Startup,
                Some(State::ProbeBwUp) => self.start_probe_bw_up(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_at_which_losses_were_too_many_lies_within_the_segment_that_made_them_so() {
        // 100,000 in flight, of which 3,000 are lost, the last 1,500 with this segment: of the 98,500
        // before it 1,500 were lost, and 2 % are crossed at x with 1,500 + x = 0.02 * (98,500 + x).
        assert_eq!(inflight_at_loss(100_000, 3_000, 1_500), 98_500 + 479);
        // They were too many before it.
        assert_eq!(inflight_at_loss(100_000, 10_000, 1_500), 98_500);
    }
}
