//! The state machine: Startup, Drain, the cycle of probing for bandwidth, and the look at the least
//! round-trip time (draft-ietf-ccwg-bbr-05 section 5.3).

use core::time::Duration;

use super::{Ack, Bbr, INFINITY};
use crate::time::Instant;

/// BBR.state
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Startup,
    Drain,
    ProbeBwDown,
    ProbeBwCruise,
    ProbeBwRefill,
    ProbeBwUp,
    ProbeRtt,
}

impl State {
    /// BBR.pacing_gain in per cent (section 5.6.1).
    pub(super) fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::ProbeBwDown => 90,
            Self::ProbeBwUp => 125,
            Self::ProbeBwCruise | Self::ProbeBwRefill | Self::ProbeRtt => 100,
        }
    }

    /// BBR.cwnd_gain in per cent (section 5.6.1).
    pub(super) fn cwnd_gain(self) -> u64 {
        match self {
            Self::ProbeBwUp => 225,
            Self::ProbeRtt => PROBE_RTT_GAIN,
            _ => 200,
        }
    }

    /// IsInAProbeBWState
    pub(super) fn is_probe_bw(self) -> bool {
        matches!(
            self,
            Self::ProbeBwDown | Self::ProbeBwCruise | Self::ProbeBwRefill | Self::ProbeBwUp
        )
    }

    /// BBRIsProbingBW
    pub(super) fn is_probing_bw(self) -> bool {
        matches!(self, Self::Startup | Self::ProbeBwRefill | Self::ProbeBwUp)
    }
}

/// BBRProbeRTTCwndGain in per cent.
pub(super) const PROBE_RTT_GAIN: u64 = 50;

/// BBR.ack_phase: what the ACKs that come tell of the probe for bandwidth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AckPhase {
    /// ACKS_INIT: nothing.
    #[default]
    Nothing,
    /// ACKS_PROBE_STARTING: nothing that was sent in it has arrived.
    Starting,
    /// ACKS_PROBE_FEEDBACK: it is arriving.
    Feedback,
    /// ACKS_PROBE_STOPPING: the last of it is arriving.
    Stopping,
    /// ACKS_REFILLING: it is about to begin.
    Refilling,
}

/// The cycle of probing for bandwidth (section 5.3.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cycle {
    ack_phase: AckPhase,
    /// BBR.cycle_stamp
    stamp: Instant,
    /// BBR.bw_probe_wait
    wait: Duration,
    /// BBR.bw_probe_up_rounds
    up_rounds: u32,
    /// BBR.bw_probe_up_acks: bytes that do not make up for a segment of growth yet.
    up_acks: u64,
    /// BBR.probe_up_cnt: bytes to be acknowledged for a segment of growth.
    up_count: u64,
}

/// The look at the least round-trip time (section 5.3.4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProbeRtt {
    /// BBR.probe_rtt_done_stamp
    done: Option<Instant>,
    /// BBR.probe_rtt_round_done
    round_done: bool,
}

impl ProbeRtt {
    /// ProbeRTTDuration
    const DURATION: Duration = Duration::from_millis(200);
}

/// The most round trips between two probes (section 5.3.3.5.3).
const MOST_ROUNDS: u64 = 63;

// Startup and Drain.
impl Bbr {
    /// BBRCheckStartupDone (section 5.3.1.1)
    pub(super) fn check_startup_done(&mut self, ack: &Ack) {
        self.check_startup_high_loss(ack);
        if self.state == State::Startup && self.full_pipe.reached {
            self.enter_drain();
        }
    }

    /// BBREnterDrain (section 5.3.2)
    pub(super) fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.drain_start_round = self.rounds.count;
    }

    /// BBRCheckDrainDone (section 5.3.2)
    pub(super) fn check_drain_done(&mut self, ack: &Ack) {
        if self.state == State::Drain
            && (u64::from(ack.in_flight) <= self.inflight(self.bw, 100)
                || self.rounds.count > self.drain_start_round + 3)
        {
            // BBREnterProbeBW
            self.start_probe_bw_down();
        }
    }
}

// ProbeBW (section 5.3.3.6).
impl Bbr {
    pub(super) fn start_probe_bw_down(&mut self) {
        self.losses.reset_signals();
        self.cycle.up_count = INFINITY;
        self.pick_probe_wait();
        self.cycle.stamp = self.now;
        self.cycle.ack_phase = AckPhase::Stopping;
        self.rounds.start(self.delivered);
        self.state = State::ProbeBwDown;
    }

    fn start_probe_bw_refill(&mut self) {
        self.losses.reset_shortterm();
        self.cycle.up_rounds = 0;
        self.cycle.up_acks = 0;
        self.cycle.ack_phase = AckPhase::Refilling;
        self.rounds.start(self.delivered);
        self.state = State::ProbeBwRefill;
    }

    pub(super) fn start_probe_bw_up(&mut self) {
        self.cycle.ack_phase = AckPhase::Starting;
        self.rounds.start(self.delivered);
        self.full_pipe.reset(self.last_rate);
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    #[cfg(test)]
    pub(super) fn cycle_wait(&self) -> Duration {
        self.cycle.wait
    }

    /// BBRPickProbeWait (section 5.3.3.5.3)
    fn pick_probe_wait(&mut self) {
        self.rounds.since_probe = self.random.next() & 1;
        let more = self.random.next() % 1_000_000_000;
        self.cycle.wait = Duration::from_secs(2) + Duration::from_nanos(more);
    }

    /// BBRUpdateProbeBWCyclePhase
    pub(super) fn update_probe_bw_cycle_phase(&mut self, ack: &Ack) {
        if !self.full_pipe.reached {
            return;
        }
        self.adapt_longterm_model(ack);
        let state = self.state;
        match state {
            State::ProbeBwDown | State::ProbeBwCruise if self.is_time_to_probe_bw() => {
                self.start_probe_bw_refill();
            }
            State::ProbeBwDown if self.is_time_to_cruise(ack) => {
                self.state = State::ProbeBwCruise;
            }
            // "After one round of REFILL, start UP".
            State::ProbeBwRefill if self.rounds.has_begun => {
                self.losses.probe_samples = true;
                self.start_probe_bw_up();
            }
            State::ProbeBwUp if self.is_time_to_go_down(ack) => self.start_probe_bw_down(),
            _ => {}
        }
    }

    /// BBRIsTimeToProbeBW: when the wait is over, or as many round trips have passed as Reno would
    /// take to grow by as much.
    fn is_time_to_probe_bw(&self) -> bool {
        let reno_rounds = self.target_inflight() / u64::from(self.mss.max(1));
        self.now > self.cycle.stamp + self.cycle.wait
            || self.rounds.since_probe >= reno_rounds.min(MOST_ROUNDS)
    }

    /// BBRIsTimeToCruise
    fn is_time_to_cruise(&self, ack: &Ack) -> bool {
        let in_flight = u64::from(ack.in_flight);
        in_flight <= self.inflight_with_headroom()
            && in_flight <= self.inflight(self.max_bw.get(), 100)
    }

    /// BBRIsTimeToGoDown
    fn is_time_to_go_down(&mut self, ack: &Ack) -> bool {
        if ack.cwnd_limited && u64::from(self.cwnd) >= self.losses.inflight_longterm {
            // What limits the bandwidth is inflight_longterm.
            self.full_pipe.reset(self.last_rate);
            return false;
        }
        self.full_pipe.now
    }

    /// BBRRaiseInflightLongtermSlope
    fn raise_inflight_longterm_slope(&mut self) {
        let growth = u64::from(self.cwnd) >> self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(30);
        self.cycle.up_count = growth.max(self.mss.into());
    }

    /// BBRProbeInflightLongtermUpward
    fn probe_inflight_longterm_upward(&mut self, ack: &Ack) {
        if !ack.cwnd_limited || u64::from(self.cwnd) < self.losses.inflight_longterm {
            return;
        }
        // By whole segments, as in Linux and in later revisions. Byte by byte, as the text may be read
        // here, it would grow with each ACK, and C.cwnd never be found at the limit that it is held to:
        // the estimator of a full pipe would end each probe after three round trips.
        let count = self.cycle.up_count.max(1);
        self.cycle.up_acks += u64::from(ack.newly_acked);
        let growth = self.cycle.up_acks / count * u64::from(self.mss);
        let longterm = &mut self.losses.inflight_longterm;
        *longterm = longterm.saturating_add(growth);
        self.cycle.up_acks %= count;
        if self.rounds.has_begun {
            self.raise_inflight_longterm_slope();
        }
    }

    /// BBRAdaptLongTermModel
    fn adapt_longterm_model(&mut self, ack: &Ack) {
        if self.rounds.has_begun {
            match self.cycle.ack_phase {
                AckPhase::Starting => self.cycle.ack_phase = AckPhase::Feedback,
                AckPhase::Stopping => {
                    // Once in a cycle, "one round trip after exiting ProbeBW_UP" (section 5.5.6). The
                    // phase has to end for that, and what arrives later was sent after the probe: so
                    // it is in Linux, where the draft's pseudocode has nothing.
                    self.cycle.ack_phase = AckPhase::Nothing;
                    self.losses.probe_samples = false;
                    if self.state.is_probe_bw() && !ack.is_app_limited() {
                        self.max_bw.advance();
                    }
                }
                _ => {}
            }
        }
        let Some(sample) = ack.sample else { return };
        if self.is_inflight_too_high(sample.tx_in_flight, sample.lost)
            || self.losses.inflight_longterm == INFINITY
        {
            return;
        }
        // The losses are few enough: the limits move up.
        let sent = u64::from(sample.tx_in_flight);
        self.losses.inflight_longterm = self.losses.inflight_longterm.max(sent);
        if self.state == State::ProbeBwUp {
            self.probe_inflight_longterm_upward(ack);
        }
    }
}

// ProbeRTT (sections 5.3.4.3 and 5.3.4.4).
impl Bbr {
    /// BBRCheckProbeRTT
    pub(super) fn check_probe_rtt(&mut self, ack: &Ack) {
        if self.state != State::ProbeRtt && self.min_rtt.is_due() && !self.idle_restart {
            // BBREnterProbeRTT comes first in the draft, and BBRSaveCwnd would then take this for a
            // window that ProbeRTT has cut already.
            self.save_cwnd();
            self.state = State::ProbeRtt;
            self.probe_rtt.done = None;
            self.cycle.ack_phase = AckPhase::Stopping;
            self.rounds.start(self.delivered);
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(ack);
        }
        if ack.delivered() > 0 {
            self.idle_restart = false;
        }
    }

    /// BBRHandleProbeRTT
    fn handle_probe_rtt(&mut self, ack: &Ack) {
        if self.probe_rtt.done.is_some() {
            self.probe_rtt.round_done |= self.rounds.has_begun;
            if self.probe_rtt.round_done {
                self.check_probe_rtt_done();
            }
        } else if u64::from(ack.in_flight) <= self.probe_rtt_cwnd() {
            self.probe_rtt =
                ProbeRtt { done: Some(ack.now + ProbeRtt::DURATION), round_done: false };
            self.rounds.start(self.delivered);
        }
    }

    /// BBRCheckProbeRTTDone
    pub(super) fn check_probe_rtt_done(&mut self) {
        if self.probe_rtt.done.is_some_and(|done| self.now > done) {
            self.min_rtt.reschedule(self.now);
            self.restore_cwnd();
            // BBRExitProbeRTT
            self.losses.reset_shortterm();
            if self.full_pipe.reached {
                self.start_probe_bw_down();
                self.state = State::ProbeBwCruise;
            } else {
                self.state = State::Startup;
            }
        }
    }
}
