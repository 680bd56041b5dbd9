//! Slow start and congestion avoidance (RFC 5681), with the recovery of RFC 6582.

use super::{AckSample, Controller, Loss, initial_window};

/// The controller of RFC 5681. What is sent during recovery is decided by
/// [`recovery`](crate::tcp), which inflates and deflates the window as RFC 6582 says.
#[derive(Clone, Copy, Debug)]
pub struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    acked: u32,
}

impl NewReno {
    /// A controller for segments of `mss` bytes.
    pub fn new(mss: u32) -> Self {
        // RFC 5681 section 3.1: ssthresh "SHOULD be set arbitrarily high".
        Self { cwnd: initial_window(mss), ssthresh: u32::MAX, mss, acked: 0 }
    }

    /// RFC 5681 section 3.1, equation 4.
    fn reduce(&mut self, flight_size: u32) {
        self.ssthresh = (flight_size / 2).max(2 * self.mss);
        self.acked = 0;
    }
}

impl Controller for NewReno {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

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
                self.cwnd = self.cwnd.saturating_add(self.mss);
            }
        }
    }

    fn on_loss(&mut self, loss: &Loss) {
        self.reduce(loss.flight_size);
        // The three segments that RFC 6582 section 3.2 step 2 adds are counted by recovery.
        self.cwnd = self.ssthresh;
    }

    fn on_congestion_echo(&mut self, loss: &Loss) {
        // RFC 3168 section 6.1.2: "treated just as a congestion loss", but for the floor of two
        // segments, which must not raise a window that a timeout has left below it.
        self.reduce(loss.flight_size);
        self.cwnd = self.cwnd.min(self.ssthresh);
    }

    fn on_recovered(&mut self, flight_size: u32) {
        // RFC 6582 section 3.2, step 3, full acknowledgments, option 1: no burst on leaving.
        self.cwnd = self.ssthresh.min(flight_size.max(self.mss) + self.mss);
    }

    fn on_timeout(&mut self, loss: &Loss, first: bool) {
        if first {
            // RFC 5681 section 3.1: "the value of ssthresh is held constant" when the
            // retransmission itself times out.
            self.reduce(loss.flight_size);
        }
        self.cwnd = self.mss;
    }

    fn on_idle(&mut self) {
        // RFC 5681 section 4.1: the restart window is "min(IW, cwnd)". Linux keeps what the window
        // has shown by raising ssthresh, so that slow start finds it again.
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        self.cwnd = self.cwnd.min(initial_window(self.mss));
    }

    fn on_mss(&mut self, mss: u32) {
        // RFC 8201 section 5.4 and RFC 1191 section 6.4: the loss was no congestion, so the window
        // keeps its bytes, but never less than two segments of the new size.
        self.mss = mss;
        self.cwnd = self.cwnd.max(2 * mss);
    }

    fn on_shrunk_path(&mut self) {
        // RFC 1191 section 6.4: "only one segment should be retransmitted until acknowledgements
        // begin to arrive again".
        self.ssthresh = self.ssthresh.max(self.cwnd);
        self.cwnd = self.mss;
        self.acked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const MSS: u32 = 1_000;

    fn ack(acked: u32) -> AckSample {
        AckSample { now: Instant::ZERO, acked, in_flight: acked, rtt: None, cwnd_limited: true }
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
    fn an_echo_of_congestion_halves_the_window_and_never_raises_it() {
        let mut cc = NewReno::new(MSS);
        cc.on_congestion_echo(&loss(10 * MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (5 * MSS, 5 * MSS));
        cc.on_timeout(&loss(5 * MSS), true);
        cc.on_congestion_echo(&loss(MSS));
        assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 2 * MSS));
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
