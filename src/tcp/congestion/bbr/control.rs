//! What goes out: pacing rate, send quantum and window (draft-ietf-ccwg-bbr-05 section 5.6).

use core::time::Duration;

use super::filters::volume;
use super::phases::{PROBE_RTT_GAIN, State};
use super::{Ack, Bbr, INFINITY};
use crate::time::nanos;

/// BBR.PacingMarginPercent
const PACING_MARGIN: u64 = 1;

/// BBR.Headroom, in per cent.
const HEADROOM: u64 = 15;

/// So many per cent of a rate or a volume.
fn scaled(of: u64, gain: u64) -> u64 {
    u64::try_from(u128::from(of) * u128::from(gain) / 100).unwrap_or(u64::MAX)
}

// The rate (sections 5.6.2 and 5.6.3).
impl Bbr {
    /// BBRInitPacingRate, with the window that there is: in the draft that is C.InitialCwnd, but here
    /// another controller may have been at work before, or a SYN lost (as in Linux, which goes by the
    /// window, too).
    pub(super) fn init_pacing_rate(&mut self, srtt: Duration) {
        let nominal = u64::from(self.cwnd) * 1_000_000_000 / nanos(srtt).max(1);
        self.pacing_rate = scaled(nominal, State::Startup.pacing_gain());
        self.set_send_quantum();
    }

    /// BBRSetPacingRateWithGain
    pub(super) fn set_pacing_rate(&mut self, gain: u64) {
        let rate = scaled(scaled(self.bw, gain), 100 - PACING_MARGIN).max(self.least_rate());
        if self.full_pipe.reached || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    /// A segment in a round trip, which is what a window of one segment would send. The draft has no
    /// such bound; but what an outage, or losses before the first sample, leave of the bandwidth may be
    /// next to nothing, or nothing, and then nothing would be sent for a long time, or ever, that could
    /// show a better one.
    fn least_rate(&self) -> u64 {
        u64::from(self.mss) * 1_000_000_000
            / nanos(self.srtt.unwrap_or(Duration::from_secs(1))).max(1)
    }

    /// BBRSetSendQuantum
    pub(super) fn set_send_quantum(&mut self) {
        let in_a_millisecond = self.pacing_rate / 1_000;
        // 64 KiB at most, so it fits.
        self.send_quantum = (in_a_millisecond.min(64 << 10) as u32).max(2 * self.mss);
    }
}

// The window (section 5.6.4).
impl Bbr {
    /// BBR.MinPipeCwnd
    fn min_pipe_cwnd(&self) -> u64 {
        4 * u64::from(self.mss)
    }

    /// BBRBDPMultiple, at this bandwidth.
    fn bdp_multiple(&self, bw: u64, gain: u64) -> u64 {
        match self.min_rtt.get() {
            None => self.initial_cwnd.into(),
            Some(min_rtt) => scaled(volume(bw, min_rtt), gain),
        }
    }

    /// BBR.bdp
    pub(super) fn bdp(&self) -> u64 {
        self.bdp_multiple(self.bw, 100)
    }

    /// BBRTargetInflight
    pub(super) fn target_inflight(&self) -> u64 {
        self.bdp().min(self.cwnd.into())
    }

    /// BBRQuantizationBudget
    fn quantization_budget(&self, inflight_cap: u64) -> u64 {
        // BBRUpdateOffloadBudget (section 5.5.8.1)
        let offload_budget = 3 * u64::from(self.send_quantum);
        let cap = inflight_cap.max(offload_budget).max(self.min_pipe_cwnd());
        let more = if self.state == State::ProbeBwUp { 2 * u64::from(self.mss) } else { 0 };
        cap.saturating_add(more)
    }

    /// BBRInflight
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u64 {
        self.quantization_budget(self.bdp_multiple(bw, gain))
    }

    /// BBRInflightWithHeadroom
    pub(super) fn inflight_with_headroom(&self) -> u64 {
        let longterm = self.losses.inflight_longterm;
        if longterm == INFINITY {
            return INFINITY;
        }
        let headroom = scaled(longterm, HEADROOM).max(self.mss.into());
        longterm.saturating_sub(headroom).max(self.min_pipe_cwnd())
    }

    /// BBRProbeRTTCwnd
    pub(super) fn probe_rtt_cwnd(&self) -> u64 {
        self.bdp_multiple(self.bw, PROBE_RTT_GAIN).max(self.min_pipe_cwnd())
    }

    /// BBRSetCwnd
    pub(super) fn set_cwnd(&mut self, ack: &Ack) {
        let acked = u64::from(ack.newly_acked);
        let mut cwnd = u64::from(self.cwnd);
        // BBRUpdateMaxInflight
        let extra_acked = self.aggregation.get(!self.full_pipe.reached);
        let inflight_cap = self.bdp_multiple(self.bw, self.state.cwnd_gain());
        let max_inflight = self.quantization_budget(inflight_cap.saturating_add(extra_acked));
        if self.full_pipe.reached {
            cwnd = (cwnd + acked).min(max_inflight);
        } else if cwnd < max_inflight || self.delivered < u64::from(self.initial_cwnd) {
            cwnd += acked;
        }
        cwnd = cwnd.max(self.min_pipe_cwnd());
        if self.state == State::ProbeRtt {
            cwnd = cwnd.min(self.probe_rtt_cwnd());
        }
        self.cwnd = u32::try_from(cwnd.min(self.cap())).unwrap_or(u32::MAX);
    }

    /// BBRBoundCwndForModel
    fn cap(&self) -> u64 {
        let cap = match self.state {
            State::ProbeBwDown | State::ProbeBwRefill | State::ProbeBwUp => {
                self.losses.inflight_longterm
            }
            State::ProbeBwCruise | State::ProbeRtt => self.inflight_with_headroom(),
            State::Startup | State::Drain => INFINITY,
        };
        cap.min(self.losses.inflight_shortterm).max(self.min_pipe_cwnd())
    }

    /// BBRSaveCwnd (section 5.6.4.4)
    pub(super) fn save_cwnd(&mut self) {
        let modulated = self.in_recovery || self.state == State::ProbeRtt;
        self.prior_cwnd = if modulated { self.prior_cwnd.max(self.cwnd) } else { self.cwnd };
    }

    /// BBRRestoreCwnd (section 5.6.4.4)
    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }

    /// Recovery is over, because all is repaired or nothing was lost.
    pub(super) fn leave_recovery(&mut self) {
        if core::mem::take(&mut self.in_recovery) {
            self.restore_cwnd();
        }
    }
}
