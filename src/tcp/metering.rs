//! Rate samples and pacing at work, for congestion controllers that want them: when a connection is
//! measured, when the application counts as its limit (draft-ietf-ccwg-bbr-05 section 4.1.2.4), and
//! how what is paced waits (section 5.6.2). The meter and the pacer lie in the flight.

use super::congestion::{AckSample, Loss};
use super::{Connection, Mark, Timer};
use crate::time::Instant;
use crate::wire::SeqNum;

/// From what the controller's chance comes: another number for each connection.
pub(super) fn seed(iss: SeqNum, ts_offset: u32) -> u64 {
    u64::from(iss.0) << 32 | u64::from(ts_offset)
}

impl Connection {
    /// Whether deliveries are measured: where the controller wants that, once there was text to send.
    #[inline]
    pub(super) fn is_measured(&self) -> bool {
        self.has(Mark::METERED) && self.flight.has_meter()
    }

    /// The settings have named another congestion controller: it takes the place of the one that
    /// there was.
    #[cold]
    pub(super) fn change_congestion(&mut self, now: Instant) {
        let ruled = self.congestion.paces_recovery();
        let (which, mss, seed) = (self.settings.congestion, self.effective_mss(), self.seed());
        self.congestion.change_to(which, mss, seed);
        if ruled != self.congestion.paces_recovery() && self.recovery.reduces() {
            // What is repaired was none of its business so far. It rules the window by itself from here
            // on, as the one before it did or proportional rate reduction.
            let flight_size = self.flight.size().min(self.congestion.cwnd());
            self.congestion.get_mut().on_loss(&Loss { now, flight_size });
            self.recovery.leave_to_controller();
        }
        self.timers.stop(Timer::Pace);
        if self.flight.has_meter() {
            self.flight.stop_meter();
        }
        self.marks.set(Mark::METERED, self.congestion.is_metered());
        if self.has(Mark::METERED) && !self.flight.is_empty() {
            self.flight.start_meter(now, self.rto.min_rtt());
        }
    }

    /// From what the controller's chance comes.
    pub(super) fn seed(&self) -> u64 {
        seed(self.snd.iss, self.ts_offset)
    }

    /// CheckIfApplicationLimited: before the application writes, and before an ACK or a timer is taken
    /// in.
    #[inline]
    pub(super) fn check_app_limited(&mut self) {
        if self.is_measured() {
            self.mark_if_app_limited();
        }
    }

    #[cold]
    fn mark_if_app_limited(&mut self) {
        // Of what is lost everything has been sent again: "C.lost_out <= C.retrans_out".
        if self.unsent() == 0
            && !self.flight.has_lost()
            && self.flight.in_network() < self.congestion.cwnd()
        {
            self.flight.mark_app_limited();
        }
    }

    /// Whether there was nothing to send until now, where nothing is in the network: what is paced may
    /// have waited for that alone.
    #[inline]
    pub(super) fn is_restart(&self) -> bool {
        !self.has(Mark::METERED) || self.flight.is_app_limited()
    }

    /// An ACK is about to be taken in.
    #[inline]
    pub(super) fn begin_sample(&mut self) {
        if self.is_measured() {
            self.mark_if_app_limited();
            self.flight.begin_sample();
        }
    }

    /// The congestion controller is told of an ACK, with what was measured.
    #[cold]
    pub(super) fn tell_measured_ack(&mut self, mut sample: AckSample) {
        if let Some(delivered) = self.flight.delivered() {
            sample.delivered = delivered;
            sample.rate = self.flight.take_sample(sample.now);
        }
        // C.is_cwnd_limited
        sample.cwnd_limited = self.window_use.lets_grow(self.congestion.cwnd(), false);
        self.congestion.get_mut().on_ack(&sample);
        if self.flight.has_meter() && self.congestion.marks_app_limited() {
            // It sends less than the path may carry, to look at the round-trip time alone: what is
            // measured meanwhile says nothing of the path.
            self.flight.mark_app_limited();
        }
    }

    /// The congestion controller is told of what is held to be lost, segment by segment.
    #[inline]
    pub(super) fn tell_losses(&mut self, now: Instant) {
        if self.is_measured() {
            let controller = self.congestion.get_mut();
            self.flight.tell_lost(now, |packet| controller.on_lost_packet(packet));
        }
    }

    /// A loss probe has repaired what it repeats.
    #[cold]
    pub(super) fn tell_loss_of_probed(&mut self, now: Instant) {
        if self.is_measured() {
            self.flight.note_repaired_by_probe(self.tail_loss.end());
            self.tell_losses(now);
        }
    }

    /// Whether the pacer holds back what there is to send.
    #[inline]
    pub(super) fn waits_for_pacer(&self) -> bool {
        self.timers.is_set(Timer::Pace)
    }

    /// Bytes of text that may go out, with at least one segment; 0: all of it has to wait, and the
    /// timer runs that ends the wait.
    #[cold]
    pub(super) fn allowed_by_pacer(&mut self, now: Instant) -> u32 {
        self.timers.stop(Timer::Pace);
        let has_text = self.unsent() > 0 || self.flight.has_lost() || self.owes_fin();
        if !has_text || !self.state.is_synchronized() {
            return u32::MAX;
        }
        if !self.flight.has_meter() {
            // The first text: measuring begins.
            self.flight.start_meter(now, self.rto.min_rtt());
        }
        let Some(rate) = self.congestion.pacing_rate() else { return u32::MAX };
        // What a timeout has found to be lost goes out at once: a rate that nothing has come of for so
        // long is none to wait for.
        let oldest = self.flight.next_lost(1).map(|range| range.start);
        if self.retries > 0 && oldest == Some(self.snd.una) {
            return u32::MAX;
        }
        let quantum = self.congestion.send_quantum().unwrap_or(0).max(self.effective_mss());
        let Some(meter) = self.flight.meter() else { return u32::MAX };
        let allowed = meter.pacer.allow(now, quantum, rate);
        let next = meter.pacer.next();
        if allowed == 0 {
            self.timers.set(Timer::Pace, next);
        }
        allowed
    }

    /// `len` bytes of text go out.
    #[cold]
    pub(super) fn note_paced(&mut self, now: Instant, len: u32) {
        if let Some(rate) = self.congestion.pacing_rate()
            && let Some(meter) = self.flight.meter()
        {
            meter.pacer.on_sent(now, len, rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::congestion::Congestion;
    use super::super::steps::{EMPTY, established_with};
    use super::super::{Settings, Spares};
    use super::*;
    use crate::wire::{Flags, Segment};

    #[test]
    fn an_idle_connection_keeps_little_of_what_it_was_measured_with() {
        let settings = Settings { congestion: Congestion::Bbr, ..Settings::default() };
        let mut connection = established_with(false, false, settings);
        let mut spares = Spares::default();
        let before = connection.memory();
        let (mut now, mut most) = (Instant::ZERO, 0);
        for round in 1..200u64 {
            connection.lend_for_sending(&mut spares);
            if round < 100 {
                while connection.write(&[0; 60_000]).is_ok_and(|taken| taken == 60_000) {}
            }
            // What goes out in 50 ms is acknowledged.
            while now < Instant::from_millis(50 * round) {
                while connection.poll_transmit(now, 0).is_some() {}
                let next = connection.poll_timeout().unwrap_or(Instant::NEVER);
                now = next.min(Instant::from_millis(50 * round));
                connection.on_timeout(now);
            }
            most = most.max(connection.memory());
            let (seq, ack) = (connection.rcv.nxt, connection.snd.nxt);
            let ack = Segment { seq, ack, flags: Flags::ACK, window: u16::MAX, ..EMPTY };
            connection.on_segment(now, &ack, true);
            connection.give_back(&mut spares);
        }
        assert_eq!(connection.send_buffer.len(), 0);
        assert!(most > 100_000, "{most} bytes at the most: there was little in flight");
        // The meter, the flight that it lies in and the timer of the pacer.
        let left = connection.memory() - before;
        assert!((1..8_000).contains(&left), "{left} bytes more than before");
    }
}
