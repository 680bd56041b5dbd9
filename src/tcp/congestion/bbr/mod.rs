//! BBR, version 3 (draft-ietf-ccwg-bbr-05): a model of the path, its bandwidth and its least
//! round-trip time, and a window and a rate that follow from it.
//!
//! The names of the draft stand beside ours. Its steps are in its order: this file has what happens
//! at which event (section 5.2), `phases` the state machine (5.3), `losses` the response to losses
//! (5.5.10, 5.5.11), `control` what goes out (5.6), `filters` and `rounds` what is remembered.
//!
//! Two things are not as that revision has them, but as in revision 06, the first in Linux's BBRv3, too:
//!
//! - A probe raises inflight_longterm by whole segments.
//! - Where Startup was ended by losses that were none, it goes on, and does not end again at once.
//!
//! Revision 06 and Linux have the precautionary probing of its section 5.3.3.6, which is missing here: the
//! probe after one that has lost too much ends where that one did. Over a path with 1 % of random losses
//! it leaves 77.6 % of the link, where there are 80.9 % without it; two flows are as fair, eight less.
//!
//! Two things follow from the algorithm, and are no fault of this one:
//!
//! - Random losses. A round trip with a loss lowers bw_shortterm and inflight_shortterm to the most that
//!   has arrived in it, which lacks what was lost, until the next probe: 2 to 3 s or 62 round trips
//!   (section 5.3.3.5.3 reckons with 1 % each time). At 1 %, over 100 Mb/s and 40 ms, that is 0.5 % in
//!   a round trip and a quarter in a cycle.
//! - Who comes late. A flow that finds the path empty takes it for its own in Startup, and gives way
//!   by a tenth or so of its inflight_longterm with each probe that loses too much. Of eight flows the
//!   first has 3.3 times its share after 10 s, and 1.6 times after 40 s.

mod control;
mod filters;
mod losses;
mod phases;
mod rounds;

use core::time::Duration;

use super::{AckSample, Controller, Loss, LostPacket, RateSample, initial_window};
use crate::time::Instant;
use filters::{Aggregation, MaxBandwidth, MinRtt};
use losses::Losses;
use phases::{Cycle, ProbeRtt, State};
use rounds::{FullPipe, Rounds};

/// No limit.
const INFINITY: u64 = u64::MAX;

/// The controller of draft-ietf-ccwg-bbr-05. It paces, and needs rate samples.
#[derive(Debug)]
pub struct Bbr {
    /// C.cwnd
    cwnd: u32,
    /// C.pacing_rate in bytes per second.
    pacing_rate: u64,
    /// C.send_quantum in bytes.
    send_quantum: u32,
    /// C.SMSS
    mss: u32,
    /// C.InitialCwnd
    initial_cwnd: u32,
    /// C.delivered
    delivered: u64,
    /// RS.delivery_rate of the last sample.
    last_rate: u64,
    /// C.srtt
    srtt: Option<Duration>,
    /// The latest that an event has told.
    now: Instant,
    /// Whether there was an event.
    has_begun: bool,
    /// Whether the pacing rate rests on a round-trip time.
    has_rtt: bool,
    /// C.has_selective_acks
    has_sack: bool,
    /// InLossRecovery()
    in_recovery: bool,
    /// BBR.prior_cwnd
    prior_cwnd: u32,
    /// BBR.idle_restart
    idle_restart: bool,

    /// BBR.state
    state: State,
    rounds: Rounds,
    full_pipe: FullPipe,
    max_bw: MaxBandwidth,
    /// BBR.bw in bytes per second.
    bw: u64,
    min_rtt: MinRtt,
    aggregation: Aggregation,
    losses: Losses,
    cycle: Cycle,
    probe_rtt: ProbeRtt,
    /// BBR.drain_start_round
    drain_start_round: u64,
    random: Random,
}

/// An ACK, as BBR looks at it.
#[derive(Clone, Copy, Debug)]
struct Ack {
    now: Instant,
    /// RS.newly_acked
    newly_acked: u32,
    /// C.inflight
    in_flight: u32,
    /// C.is_cwnd_limited
    cwnd_limited: bool,
    /// RS.delivery_rate; 0 without a reliable sample.
    rate: u64,
    /// The sample itself.
    sample: Option<RateSample>,
    /// RS.rtt
    rtt: Option<Duration>,
}

impl Ack {
    /// RS.is_app_limited
    fn is_app_limited(&self) -> bool {
        self.sample.is_none_or(|sample| sample.app_limited)
    }

    /// RS.delivered
    fn delivered(&self) -> u64 {
        self.sample.map_or(0, |sample| sample.delivered)
    }
}

impl Bbr {
    /// A controller for segments of `mss` bytes. `seed` decides how long it waits between two probes
    /// for bandwidth: connections that share a path should have different ones (section 5.3.3.5.2).
    pub fn new(mss: u32, seed: u64) -> Self {
        let cwnd = initial_window(mss);
        let mut bbr = Self {
            cwnd,
            pacing_rate: 0,
            send_quantum: 2 * mss,
            mss,
            initial_cwnd: cwnd,
            delivered: 0,
            last_rate: 0,
            srtt: None,
            now: Instant::ZERO,
            has_begun: false,
            has_rtt: false,
            has_sack: true,
            in_recovery: false,
            prior_cwnd: 0,
            idle_restart: false,
            state: State::Startup,
            rounds: Rounds::default(),
            full_pipe: FullPipe::default(),
            max_bw: MaxBandwidth::default(),
            bw: 0,
            min_rtt: MinRtt::new(Instant::ZERO),
            aggregation: Aggregation::new(Instant::ZERO),
            losses: Losses::default(),
            cycle: Cycle::default(),
            probe_rtt: ProbeRtt::default(),
            drain_start_round: 0,
            random: Random(seed),
        };
        // "C.srtt ? C.srtt : 1ms" (section 5.6.2)
        bbr.init_pacing_rate(Duration::from_millis(1));
        bbr
    }

    /// Every event tells the time; the first one begins the wall clocks of BBROnInit (section
    /// 5.2.1).
    fn note_time(&mut self, now: Instant) {
        if !self.has_begun {
            self.has_begun = true;
            self.min_rtt = MinRtt::new(now);
            self.aggregation = Aggregation::new(now);
        }
        self.now = now;
    }

    /// BBRUpdateModelAndState (section 5.2.3)
    fn update_model_and_state(&mut self, ack: &Ack) {
        self.update_latest_delivery_signals(ack);
        self.update_congestion_signals(ack);
        self.aggregation.update(ack.now, self.rounds.count, ack.newly_acked, self.bw, self.cwnd);
        if self.rounds.has_begun && !ack.is_app_limited() {
            self.full_pipe.update(ack.rate);
        }
        self.check_startup_done(ack);
        self.check_drain_done(ack);
        self.update_probe_bw_cycle_phase(ack);
        self.min_rtt.update(ack.now, ack.rtt);
        self.check_probe_rtt(ack);
        self.losses.advance_latest(ack);
        // BBRBoundBWForModel
        self.bw = self.max_bw.get().min(self.losses.bw_shortterm);
    }

    /// BBRUpdateMaxBw (section 5.5.5)
    fn update_max_bw(&mut self, ack: &Ack) {
        let prior = ack.sample.map(|sample| sample.prior_delivered);
        self.rounds.update(prior, self.delivered);
        if ack.rate > 0 && (ack.rate >= self.max_bw.get() || !ack.is_app_limited()) {
            self.max_bw.update(ack.rate);
        }
    }

    /// BBRUpdateControlParameters (section 5.2.3)
    fn update_control_parameters(&mut self, ack: &Ack) {
        self.set_pacing_rate(self.state.pacing_gain());
        self.set_send_quantum();
        self.set_cwnd(ack);
    }
}

impl Controller for Bbr {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// There is no threshold.
    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn send_quantum(&self) -> Option<u32> {
        Some(self.send_quantum)
    }

    fn wants_rate_samples(&self) -> bool {
        true
    }

    fn marks_app_limited(&self) -> bool {
        // "Ignore low rate samples during ProbeRTT" (section 5.3.4.3)
        self.state == State::ProbeRtt
    }

    fn paces_recovery(&self) -> bool {
        true
    }

    fn on_ack(&mut self, ack: &AckSample) {
        self.note_time(ack.now);
        self.delivered = ack.delivered;
        self.has_sack = ack.has_sack;
        self.srtt = ack.srtt;
        if !self.has_rtt
            && let Some(srtt) = ack.srtt.filter(|srtt| !srtt.is_zero())
        {
            // Section 5.6.2: "the initial C.srtt after the first non-zero RTT sample".
            self.has_rtt = true;
            if self.max_bw.get() == 0 {
                self.init_pacing_rate(srtt);
            }
        }
        let rate = ack.rate.map_or(0, |sample| sample.rate());
        if rate > 0 {
            self.last_rate = rate;
        }
        let ack_now = Ack {
            now: ack.now,
            newly_acked: ack.newly_delivered,
            in_flight: ack.in_flight,
            cwnd_limited: ack.cwnd_limited,
            rate,
            sample: ack.rate,
            rtt: ack.rate.and_then(|sample| sample.rtt).or(ack.rtt),
        };
        self.update_model_and_state(&ack_now);
        if self.in_recovery && !ack.in_recovery {
            self.leave_recovery();
        }
        self.update_control_parameters(&ack_now);
    }

    fn on_loss(&mut self, loss: &Loss) {
        // BBROnEnterFastRecovery (section 5.6.4.4)
        self.note_time(loss.now);
        self.save_cwnd();
        self.save_state_upon_loss();
        self.in_recovery = true;
    }

    fn on_lost_packet(&mut self, packet: &LostPacket) {
        self.note_time(packet.now);
        self.delivered = packet.delivered;
        self.handle_lost_packet(packet);
    }

    fn on_congestion_echo(&mut self, loss: &Loss) {
        self.note_time(loss.now);
        self.handle_mark(loss.flight_size);
    }

    fn on_recovered(&mut self, _: u32) {
        self.leave_recovery();
    }

    fn on_timeout(&mut self, loss: &Loss, _: bool) {
        self.note_time(loss.now);
        if loss.flight_size == 0 {
            // Of a SYN (RFC 6928 section 2): it begins with one segment, and has nothing to repair.
            self.cwnd = self.mss;
            return;
        }
        // BBROnEnterRTO (section 5.6.4.4): "C.cwnd = C.inflight + 1". All that was in flight counts as
        // lost.
        self.save_cwnd();
        self.save_state_upon_loss();
        self.in_recovery = true;
        self.cwnd = self.mss;
    }

    fn undo(&mut self) {
        self.handle_spurious_loss_detection();
        self.leave_recovery();
    }

    fn on_restart(&mut self, now: Instant) {
        // BBRHandleRestartFromIdle (section 5.4.1)
        self.note_time(now);
        self.idle_restart = true;
        self.aggregation.restart(now);
        if self.state.is_probe_bw() {
            self.set_pacing_rate(100);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done();
        }
    }

    /// Section 5.4.1: "BBR leaves C.cwnd as-is and paces packets at exactly BBR.bw".
    fn on_idle(&mut self) {}

    fn on_mss(&mut self, mss: u32) {
        self.mss = mss;
        self.initial_cwnd = initial_window(mss);
        self.cwnd = self.cwnd.max(2 * mss);
        self.set_send_quantum();
    }

    fn on_shrunk_path(&mut self) {
        self.save_cwnd();
        self.in_recovery = true;
        self.cwnd = self.mss;
    }

    fn take_over(&mut self, cwnd: u32, _: u32) {
        self.cwnd = cwnd;
        self.init_pacing_rate(Duration::from_millis(1));
    }
}

/// Numbers that follow from a seed alone (the generator SplitMix64).
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
