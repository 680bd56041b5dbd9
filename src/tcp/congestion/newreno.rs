//! Slow start and congestion avoidance (RFC 5681), with the recovery of RFC 6582, the response to
//! spurious losses of RFC 4015 and the milder one to marks of RFC 8511.

use super::{AckSample, Controller, Loss};
use super::{initial_window, window_after_pause, window_after_recovery};

/// beta_ecn, as numerator and denominator (RFC 8511 section 3).
const BETA_ECN: (u64, u64) = (4, 5);

/// The controller of RFC 5681. What is sent during recovery is decided by
/// [`recovery`](crate::tcp), which inflates and deflates the window as RFC 6582 says.
#[derive(Clone, Copy, Debug)]
pub struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    acked: u32,
    /// The window before the last reduction; 0 where there is nothing to take back.
    prior_cwnd: u32,
    /// The threshold then, in segments, so that a controller fits into its place; the most there is
    /// where it had not been set, or was as good as that.
    prior_ssthresh: u16,
    mss: u16,
}

impl NewReno {
    /// A controller for segments of `mss` bytes.
    pub fn new(mss: u32) -> Self {
        // RFC 5681 section 3.1: ssthresh "SHOULD be set arbitrarily high".
        Self {
            cwnd: initial_window(mss),
            ssthresh: u32::MAX,
            acked: 0,
            prior_cwnd: 0,
            prior_ssthresh: 0,
            mss: narrow(mss),
        }
    }

    fn mss(&self) -> u32 {
        self.mss.into()
    }

    /// RFC 5681 section 3.1, equation 4.
    fn reduce(&mut self, flight_size: u32) {
        self.prior_cwnd = self.cwnd;
        self.prior_ssthresh = narrow(self.ssthresh.div_ceil(self.mss().max(1)));
        self.ssthresh = (flight_size / 2).max(2 * self.mss());
        self.acked = 0;
    }
}

/// An MSS, or a number of segments, of which there can be more.
fn narrow(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

impl Controller for NewReno {
    #[inline]
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    #[inline]
    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: &AckSample) {
        // RFC 7661 section 4.4, RFC 2861 section 3: a window that is not used must not grow.
        if !ack.cwnd_limited {
            return;
        }
        let mut acked = ack.acked;
        if self.cwnd < self.ssthresh {
            // RFC 5681 section 3.1, equation 2, with the L of RFC 3465 unlimited as in Linux: a
            // peer that merges ACKs must not slow the start, and what is sent is limited anyway.
            let grow = acked.min(self.ssthresh - self.cwnd);
            self.cwnd = self.cwnd.saturating_add(grow);
            acked -= grow;
        }
        if self.cwnd >= self.ssthresh {
            // RFC 5681 section 3.1: one segment for each window acknowledged, by counting bytes
            // (RFC 3465), so that ACK division gains nothing.
            self.acked = self.acked.saturating_add(acked);
            while self.acked >= self.cwnd {
                self.acked -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(self.mss());
            }
        }
    }

    fn on_loss(&mut self, loss: &Loss) {
        self.reduce(loss.flight_size);
        // The three segments that RFC 6582 section 3.2 step 2 adds are counted by recovery.
        self.cwnd = self.ssthresh;
    }

    fn on_congestion_echo(&mut self, loss: &Loss) {
        // RFC 8511 section 3: in congestion avoidance a mark takes a fifth and not a half, because
        // who marks keeps its queue short, and less has to drain from it. Slow start has sent
        // twice what the path carries, and responds as to a loss (RFC 3168 section 6.1.2).
        let avoids = self.cwnd >= self.ssthresh;
        let (over, under) = if avoids { BETA_ECN } else { (1, 2) };
        // No more than it was, so it fits.
        let reduced = (u64::from(loss.flight_size) * over / under) as u32;
        // The floor must not raise a window that a timeout has left below it.
        self.ssthresh = reduced.max(2 * self.mss());
        self.cwnd = self.cwnd.min(self.ssthresh);
        self.acked = 0;
        self.prior_cwnd = 0;
    }

    fn on_recovered(&mut self, flight_size: u32) {
        self.cwnd = window_after_recovery(self.ssthresh, flight_size, self.mss());
    }

    fn on_timeout(&mut self, loss: &Loss, first: bool) {
        if first {
            // RFC 5681 section 3.1: "the value of ssthresh is held constant" when the
            // retransmission itself times out.
            self.reduce(loss.flight_size);
        }
        self.cwnd = self.mss();
    }

    fn undo(&mut self) {
        let prior = core::mem::take(&mut self.prior_cwnd);
        if prior > 0 {
            // RFC 4015 section 3.2, step 5 goes back in slow start, to what was in flight. Linux takes
            // the window back at once: it was not too large, and bursts are limited anyway.
            self.cwnd = self.cwnd.max(prior);
            // Step 0: "pipe_prev <- max (FlightSize, ssthresh)"
            self.ssthresh = match self.prior_ssthresh {
                u16::MAX => u32::MAX,
                segments => (u32::from(segments) * self.mss()).max(prior),
            };
        }
    }

    fn on_idle(&mut self) {
        (self.cwnd, self.ssthresh) = window_after_pause(self.cwnd, self.ssthresh, self.mss());
        self.prior_cwnd = 0;
    }

    fn on_mss(&mut self, mss: u32) {
        // RFC 8201 section 5.4 and RFC 1191 section 6.4: the loss was no congestion, so the window
        // keeps its bytes, but never less than two segments of the new size.
        self.mss = narrow(mss);
        self.cwnd = self.cwnd.max(2 * mss);
        self.prior_cwnd = 0;
    }

    fn on_shrunk_path(&mut self) {
        // RFC 1191 section 6.4: "only one segment should be retransmitted until acknowledgements
        // begin to arrive again".
        self.ssthresh = self.ssthresh.max(self.cwnd);
        self.cwnd = self.mss();
        self.acked = 0;
        self.prior_cwnd = 0;
    }

    fn take_over(&mut self, cwnd: u32, ssthresh: u32) {
        (self.cwnd, self.ssthresh) = (cwnd, ssthresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const MSS: u32 = 1_000;

    fn ack(acked: u32) -> AckSample {
        super::super::testing::ack(Instant::ZERO, acked)
    }

    fn loss(flight_size: u32) -> Loss {
        Loss { now: Instant::ZERO, flight_size }
    }

    #[test]
    fn the_window_starts_at_ten_segments() {
        assert_eq!(NewReno::new(1_448).cwnd(), 14_480);
        assert_eq!(NewReno::new(8_948).cwnd(), 17_896);
        assert_eq!(NewReno::new(536).cwnd(), 5_360);
    }

    #[test]
    fn slow_start_doubles_in_a_round_trip_and_avoidance_adds_one_segment() {
        let mut cc = NewReno::new(MSS);
        for _ in 0..10 {
            cc.on_ack(&ack(MSS));
        }
        assert_eq!(cc.cwnd(), 20 * MSS);
        cc.on_loss(&loss(20 * MSS));
        cc.on_recovered(20 * MSS);
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            cc.on_ack(&ack(MSS));
        }
        assert_eq!(cc.cwnd(), 11 * MSS);
    }

    #[test]
    fn an_echo_of_congestion_takes_half_in_slow_start_a_fifth_later_and_never_raises_the_window() {
        let mut cc = NewReno::new(MSS);
        cc.on_congestion_echo(&loss(10 * MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (5 * MSS, 5 * MSS));
        cc.on_congestion_echo(&loss(5 * MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (4 * MSS, 4 * MSS));
        cc.undo();
        assert_eq!(cc.cwnd(), 4 * MSS, "a mark was no mistake");
        cc.on_timeout(&loss(5 * MSS), true);
        cc.on_congestion_echo(&loss(MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 2 * MSS));
    }

    #[test]
    fn a_reduction_that_was_for_nothing_is_taken_back_once() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(&loss(10 * MSS));
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
        cc.on_timeout(&loss(10 * MSS), true);
        cc.on_timeout(&loss(MSS), false);
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
        cc.on_timeout(&loss(10 * MSS), false);
        cc.undo();
        assert_eq!(cc.cwnd(), MSS, "there was no reduction since");
    }

    #[test]
    fn splitting_an_ack_into_bytes_gains_nothing() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(&loss(20 * MSS));
        cc.on_recovered(20 * MSS);
        for _ in 0..10 * MSS {
            cc.on_ack(&ack(1));
        }
        assert_eq!(cc.cwnd(), 11 * MSS);
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(&AckSample { cwnd_limited: false, ..ack(MSS) });
        assert_eq!(cc.cwnd(), 10 * MSS);
    }

    #[test]
    fn a_second_timeout_of_the_same_data_keeps_ssthresh() {
        let mut cc = NewReno::new(MSS);
        cc.on_timeout(&loss(10 * MSS), true);
        assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 5 * MSS));
        cc.on_timeout(&loss(MSS), false);
        assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 5 * MSS));
    }

    #[test]
    fn a_reduction_for_nothing_is_taken_back_once() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(&loss(10 * MSS));
        cc.on_recovered(MSS);
        assert_eq!((cc.cwnd(), cc.ssthresh()), (2 * MSS, 5 * MSS));
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX), "slow start goes on");
        cc.on_timeout(&loss(10 * MSS), true);
        cc.on_timeout(&loss(10 * MSS), false);
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, u32::MAX));
        cc.on_loss(&loss(8 * MSS));
        cc.on_recovered(8 * MSS);
        cc.on_loss(&loss(4 * MSS));
        cc.on_recovered(4 * MSS);
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (4 * MSS, 4 * MSS));
        // The window was 4 segments, of which one was not in use.
        cc.on_loss(&loss(3 * MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (2 * MSS, 2 * MSS));
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (4 * MSS, 4 * MSS));
        // What grew meanwhile stays.
        cc.on_loss(&loss(4 * MSS));
        cc.on_ack(&ack(1_000 * MSS));
        let grown = cc.cwnd();
        assert!(grown > 4 * MSS);
        cc.undo();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (grown, 4 * MSS));
    }

    #[test]
    fn a_threshold_that_lies_beyond_the_window_comes_back_in_whole_segments() {
        for (ssthresh, back) in [
            (50 * MSS, 50 * MSS),
            (50 * MSS + 1, 51 * MSS),
            (65_534 * MSS, 65_534 * MSS),
            (65_535 * MSS, u32::MAX),
            (u32::MAX, u32::MAX),
        ] {
            let mut cc = NewReno::new(MSS);
            cc.take_over(20 * MSS, ssthresh);
            cc.on_loss(&loss(20 * MSS));
            cc.undo();
            assert_eq!((cc.cwnd(), cc.ssthresh()), (20 * MSS, back));
        }
    }

    #[test]
    fn where_the_path_has_shrunk_slow_start_leads_back_to_the_window_that_there_was() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(&loss(20 * MSS));
        cc.on_mss(MSS / 2);
        cc.on_shrunk_path();
        assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS / 2, 10 * MSS));
        cc.on_ack(&ack(20 * MSS));
        assert!((10 * MSS..=11 * MSS).contains(&cc.cwnd()), "{}", cc.cwnd());
    }

    #[test]
    fn leaving_recovery_with_little_in_flight_makes_no_burst() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(&loss(100 * MSS));
        assert_eq!(cc.cwnd(), 50 * MSS);
        cc.on_recovered(0);
        assert_eq!(cc.cwnd(), 2 * MSS);
    }
}
