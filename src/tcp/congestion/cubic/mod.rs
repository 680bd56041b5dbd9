//! CUBIC (RFC 9438), with the slow start of RFC 9406 and the milder response to marks of RFC 8511.
//!
//! The unit of the RFC's windows is the segment; here it is the byte. What is counted is bytes, so
//! that neither delayed nor merged nor divided ACKs change how fast the window grows.

mod curve;

use core::time::Duration;

use super::hystart::{HyStart, Step};
use super::{AckSample, Controller, Loss};
use super::{initial_window, window_after_pause, window_after_recovery};
use crate::time::Instant;
use curve::Ticks;

/// A share, as numerator and denominator.
type Share = (u64, u64);

/// beta_cubic (RFC 9438 section 4.6).
const BETA: Share = (7, 10);

/// The same for a mark in congestion avoidance. RFC 9438 has none of its own; RFC 8511 and what it
/// builds on find that who marks keeps its queue short, so that less of it has to drain.
const BETA_ECN: Share = (17, 20);

/// (1 + beta_cubic) / 2 (RFC 9438 section 4.7).
const FAST_CONVERGENCE: Share = (17, 20);

/// alpha_cubic = 3 * (1 - beta_cubic) / (1 + beta_cubic) (RFC 9438 section 4.3).
const ALPHA: Share = (9, 17);

/// Bits of W_est behind the point: a byte in a thousand is lost to rounding at each ACK at most.
const FRACTION: u32 = 10;

/// The controller of RFC 9438: after a loss the window grows by a cubic function of the time since,
/// which is flat where the loss was, but never slower than that of RFC 5681 would.
#[derive(Debug)]
pub struct Cubic {
    /// Taken when the window first has to grow or to shrink.
    path: Option<Box<Path>>,
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    fast_convergence: bool,
}

/// What the controller has learnt of the path.
#[derive(Debug, Default)]
struct Path {
    hystart: HyStart,
    /// The stage of congestion avoidance that is under way.
    epoch: Option<Epoch>,
    /// W_max in bytes; 0 while it is undefined.
    w_max: u32,
    /// cwnd_prior in bytes.
    cwnd_prior: u32,
    /// When an ACK was last taken in.
    seen: Instant,
    /// What there was before the last loss.
    undo: Option<Undo>,
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// t_epoch, moved on by the time in which the window was not what limited the sender.
    start: Instant,
    /// K
    k: Ticks,
    /// Where the curve is flat, in bytes.
    origin: u32,
    /// W_est in bytes, with [`FRACTION`] bits behind the point.
    w_est: u64,
}

/// The variables of RFC 9438 section 4.9.2.
#[derive(Clone, Copy, Debug)]
struct Undo {
    cwnd: u32,
    ssthresh: u32,
    cwnd_prior: u32,
    w_max: u32,
    epoch: Option<Epoch>,
}

/// `share` of a window, which is less than the whole.
fn part(window: u32, share: Share) -> u32 {
    (u64::from(window) * share.0 / share.1) as u32
}

impl Cubic {
    /// A controller for segments of `mss` bytes.
    pub fn new(mss: u32) -> Self {
        // RFC 5681 section 3.1: ssthresh "SHOULD be set arbitrarily high".
        Self {
            path: None,
            cwnd: initial_window(mss),
            ssthresh: u32::MAX,
            mss,
            fast_convergence: true,
        }
    }

    /// The same without fast convergence, for a network in which there is no other flow: there it
    /// "SHOULD be disabled" (RFC 9438 section 4.7).
    pub fn without_fast_convergence(mss: u32) -> Self {
        Self { fast_convergence: false, ..Self::new(mss) }
    }

    /// Bytes of memory taken beside itself.
    pub(super) fn memory(&self) -> usize {
        self.path.as_ref().map_or(0, |path| size_of_val(&**path))
    }

    /// Nothing has been sent for a retransmission timeout. What was learnt of the path is old by
    /// then: RFC 5681 section 4.1 starts over, and the window that slow start leads back to is kept.
    pub(super) fn rest(&mut self) {
        self.path = None;
    }

    /// Slow start. Answers what is left of the ACK for congestion avoidance.
    fn slow_start(&mut self, ack: &AckSample) -> u32 {
        let path = self.path.get_or_insert_default();
        path.epoch = None;
        if self.ssthresh < u32::MAX {
            let grows = ack.acked.min(self.ssthresh - self.cwnd);
            self.cwnd += grows;
            return ack.acked - grows;
        }
        // RFC 9406 section 4.3: "only for the initial slow start". Later ones know where to stop.
        let Step { grows, ends } = path.hystart.on_ack(ack);
        self.cwnd = self.cwnd.saturating_add(grows);
        if ends {
            // RFC 9438 section 4.10: W_max is undefined, and "cwnd_prior = cwnd".
            self.ssthresh = self.cwnd;
            path.cwnd_prior = self.cwnd;
            path.w_max = 0;
        }
        0
    }

    /// Congestion avoidance: `acked` bytes are acknowledged.
    fn avoid(&mut self, now: Instant, acked: u32, srtt: Duration) {
        let (cwnd, mss) = (self.cwnd, self.mss);
        let path = self.path.get_or_insert_default();
        let w_max = path.w_max;
        let epoch = path.epoch.get_or_insert_with(|| Epoch::new(now, cwnd, w_max, mss));
        // No more than a window in a round trip, even if the peer acknowledges more at a time.
        let acked = acked.min(cwnd);
        let w_est = epoch.estimate_reno(acked, cwnd, path.cwnd_prior, mss);
        let t = now.since(epoch.start);
        // RFC 9438 section 4.3: "checks whether W_cubic(t) is less than W_est".
        if epoch.window_at(t, mss) < w_est {
            self.cwnd = cwnd.max(w_est);
            return;
        }
        // RFC 9438 section 4.2: the target is W_cubic(t + RTT), between cwnd and 1.5 * cwnd.
        let most = u64::from(cwnd) * 3 / 2;
        let target = epoch.window_at(t + srtt, mss).max(cwnd).min(most.min(u32::MAX.into()) as u32);
        // Sections 4.4 and 4.5: "cwnd MUST be incremented by (target - cwnd) / cwnd" for each segment
        // that is acknowledged (Linux counts them, too), so that the target is reached in a round
        // trip. What is rounded away is made up for: the target goes by time.
        self.cwnd += (u64::from(target - cwnd) * u64::from(acked) / u64::from(cwnd.max(1))) as u32;
    }

    /// A congestion event (RFC 9438 sections 4.6 and 4.7): keeps in mind what there was, and sets
    /// ssthresh to this share of the window.
    ///
    /// The RFC takes the share of FlightSize, and allows implementations to take it of cwnd if they
    /// keep cwnd from growing while it is not used, as the connection does. Linux takes cwnd, because
    /// a sender that happens to have little in flight when a loss shows would fall far below what
    /// the path carries.
    fn reduce(&mut self, beta: Share) {
        let path = self.path.get_or_insert_default();
        path.undo = Some(Undo {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            cwnd_prior: path.cwnd_prior,
            w_max: path.w_max,
            epoch: path.epoch,
        });
        path.w_max = if self.fast_convergence && self.cwnd < path.w_max {
            part(self.cwnd, FAST_CONVERGENCE)
        } else {
            self.cwnd
        };
        path.cwnd_prior = self.cwnd;
        path.epoch = None;
        path.hystart = HyStart::default();
        self.ssthresh = part(self.cwnd, beta).max(2 * self.mss);
    }

    /// What happens does not belong to the curve, and cannot be taken back.
    fn forget_epoch(&mut self) {
        if let Some(path) = &mut self.path {
            path.epoch = None;
            path.undo = None;
            path.hystart = HyStart::default();
        }
    }
}

impl Path {
    /// Until `now` the window was not what limited the sender (RFC 9438 section 5.8): "the elapsed
    /// time t MUST NOT include" that (section 4.2).
    fn pause(&mut self, now: Instant) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start += now.since(self.seen);
        }
        self.seen = now;
    }
}

impl Epoch {
    /// A stage that starts with a window of `cwnd`. Where W_max is undefined, after a timeout and
    /// after a slow start without loss, "K is set to 0, and W_max is set to the congestion window
    /// size at the beginning of the current congestion avoidance stage" (RFC 9438 sections 4.8 and
    /// 4.10). So it is, as in Linux, where the window is beyond W_max already.
    fn new(now: Instant, cwnd: u32, w_max: u32, mss: u32) -> Self {
        let k = match w_max.saturating_sub(cwnd) {
            0 => Ticks::ZERO,
            rise => curve::time_to_rise(rise, mss),
        };
        Self { start: now, k, origin: w_max.max(cwnd), w_est: u64::from(cwnd) << FRACTION }
    }

    fn window_at(&self, t: Duration, mss: u32) -> u32 {
        curve::window_at(Ticks::of(t), self.k, self.origin, mss)
    }

    /// The window of Reno, in bytes, when `acked` bytes are acknowledged (RFC 9438 section 4.3).
    fn estimate_reno(&mut self, acked: u32, cwnd: u32, cwnd_prior: u32, mss: u32) -> u32 {
        // "Once W_est has grown to reach ... cwnd_prior, the sender SHOULD set alpha_cubic to 1".
        let (over, under) =
            if self.w_est >> FRACTION >= u64::from(cwnd_prior) { (1, 1) } else { ALPHA };
        // At most 9 * 2^16 * 2^32 * 2^10, which is below 2^62.
        let grows = (over * u64::from(mss) * u64::from(acked)) << FRACTION;
        self.w_est = self.w_est.saturating_add(grows / (under * u64::from(cwnd.max(1))));
        u32::try_from(self.w_est >> FRACTION).unwrap_or(u32::MAX)
    }
}

impl Controller for Cubic {
    #[inline]
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    #[inline]
    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: &AckSample) {
        // RFC 9438 section 5.8: "CUBIC does not increase its congestion window if a flow is
        // application-limited."
        if !ack.cwnd_limited {
            self.on_restart(ack.now);
            return;
        }
        let mut acked = ack.acked;
        if self.cwnd < self.ssthresh {
            acked = self.slow_start(ack);
        }
        if self.cwnd >= self.ssthresh {
            self.avoid(ack.now, acked, ack.srtt.or(ack.rtt).unwrap_or_default());
        }
        self.path.get_or_insert_default().seen = ack.now;
    }

    fn on_loss(&mut self, _: &Loss) {
        self.reduce(BETA);
        // RFC 9438 section 4.6: "reduction on loss, cwnd is at least 2 MSS".
        self.cwnd = self.ssthresh;
    }

    fn on_congestion_echo(&mut self, _: &Loss) {
        // RFC 8511: slow start has sent twice what the path carries, and responds as to a loss.
        let beta = if self.cwnd < self.ssthresh { BETA } else { BETA_ECN };
        self.reduce(beta);
        // RFC 9438 section 4.6: "reduction on ECE, cwnd is at least 1 MSS".
        self.cwnd = part(self.cwnd, beta).max(self.mss).min(self.cwnd);
        // A mark was no mistake.
        if let Some(path) = &mut self.path {
            path.undo = None;
        }
    }

    fn on_recovered(&mut self, flight_size: u32) {
        self.cwnd = window_after_recovery(self.ssthresh, flight_size, self.mss);
    }

    fn on_timeout(&mut self, _: &Loss, first: bool) {
        if first {
            // RFC 5681 section 3.1: "the value of ssthresh is held constant" when the
            // retransmission itself times out.
            self.reduce(BETA);
        }
        if let Some(path) = &mut self.path {
            // RFC 9438 section 4.8: the next stage starts with a W_max of its own.
            path.w_max = 0;
            path.epoch = None;
        }
        self.cwnd = self.mss;
    }

    fn undo(&mut self) {
        let Some(path) = &mut self.path else { return };
        // RFC 9438 section 4.9.2: "if cwnd < cwnd_prior"; otherwise it has got further since.
        if let Some(undo) = path.undo.take()
            && self.cwnd < path.cwnd_prior
        {
            (self.cwnd, self.ssthresh) = (undo.cwnd, undo.ssthresh);
            (path.cwnd_prior, path.w_max, path.epoch) = (undo.cwnd_prior, undo.w_max, undo.epoch);
        }
    }

    #[inline]
    fn on_restart(&mut self, now: Instant) {
        if let Some(path) = &mut self.path {
            path.pause(now);
        }
    }

    fn on_idle(&mut self) {
        (self.cwnd, self.ssthresh) = window_after_pause(self.cwnd, self.ssthresh, self.mss);
        self.forget_epoch();
    }

    fn on_mss(&mut self, mss: u32) {
        // As NewReno: the window keeps its bytes.
        self.mss = mss;
        self.cwnd = self.cwnd.max(2 * mss);
        self.forget_epoch();
    }

    fn on_shrunk_path(&mut self) {
        // RFC 1191 section 6.4: "only one segment should be retransmitted until acknowledgements
        // begin to arrive again".
        self.ssthresh = self.ssthresh.max(self.cwnd);
        self.cwnd = self.mss;
        self.forget_epoch();
    }

    fn take_over(&mut self, cwnd: u32, ssthresh: u32) {
        (self.cwnd, self.ssthresh) = (cwnd, ssthresh);
    }
}

#[cfg(test)]
mod tests;
