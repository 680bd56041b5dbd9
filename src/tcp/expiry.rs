//! What happens when a timer runs out (RFC 9293 section 3.10.8).

use super::congestion::Loss;
use super::probe::Probe;
use super::{CloseReason, Connection, Events, Mark, State, Timer};
use crate::time::{Duration, Instant};

/// Retransmissions of an orphan's data: nobody waits for it any more. Linux's
/// `tcp_orphan_retries` comes to the same.
const ORPHAN_RETRIES: u8 = 8;

impl Connection {
    /// When `on_timeout` is due next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// Acts upon every timer that has run out.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.check_app_limited();
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::LossProbe if self.flight.is_waiting() => self.on_reordering_timeout(now),
                Timer::LossProbe => self.on_loss_probe_timeout(now),
                Timer::Retransmit => self.on_retransmit_timeout(now),
                Timer::DelayedAck => self.ack.on_timeout(),
                // It may go out.
                Timer::Pace => {}
                Timer::Persist => self.on_persist_timeout(now),
                Timer::KeepAlive => self.on_keep_alive_timeout(now),
                Timer::User => self.end(self.silence()),
                Timer::Orphan => self.on_orphan_timeout(),
            }
        }
    }

    /// The end of the flight is probed (RFC 8985 section 7.3); "regardless of whether a loss probe was
    /// sent" the retransmission timer starts anew.
    fn on_loss_probe_timeout(&mut self, now: Instant) {
        if self.tail_loss.may_probe() && self.recovery.may_probe() {
            self.probe_owed = Some(Probe::TailLoss);
        }
        if !self.flight.is_empty() {
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        }
    }

    /// RETRANSMISSION TIMEOUT (RFC 6298 section 5.4 to 5.6, RFC 5681 section 3.1).
    fn on_retransmit_timeout(&mut self, now: Instant) {
        if self.flight.is_empty() && self.state.is_synchronized() {
            // Nothing has been sent for as long (RFC 5681 section 4.1).
            self.congestion.rest();
            return;
        }
        if self.retries >= self.allowed_retries() {
            // RFC 9293 section 3.8.3: R2 is reached.
            self.end(self.silence());
            return;
        }
        let progressed = self.retries == 0;
        self.retries += 1;
        self.timeouts = self.timeouts.saturating_add(1);
        self.check_r1();
        self.rto.back_off();
        if matches!(self.state, State::SynSent | State::SynReceived) {
            self.marks |= Mark::SYN_OWED;
        } else {
            let loss = Loss { now, flight_size: self.flight.size() };
            let (una, nxt) = (self.snd.una, self.snd.nxt);
            let first = if self.negotiated.sack {
                self.recovery.on_timeout_with_sack(una, nxt, progressed, self.flight.resent())
            } else {
                self.recovery.on_timeout(una, nxt)
            };
            if self.negotiated.sack {
                let rtt = self.rto.srtt_nanos().unwrap_or(0);
                let window = self.reordering_window();
                self.flight.mark_lost_on_timeout(now, rtt, window);
            } else {
                self.flight.mark_all_lost();
            }
            self.tell_losses(now);
            self.congestion.get_mut().on_timeout(&loss, first);
            self.on_window_reduced();
            self.stop_loss_detection();
            self.timers.stop(Timer::Pace);
        }
        self.timers.set(Timer::Retransmit, self.rto.due(now));
    }

    fn allowed_retries(&self) -> u8 {
        match self.state {
            // RFC 9293 section 3.8.3 (MUST-22, MUST-23); the SYN-ACK of a simultaneous open is the
            // SYN of a connect still, and half-open entries count their own.
            State::SynSent | State::SynReceived => self.settings.syn_retries,
            _ if self.has(Mark::ORPHAN) => self.settings.retries.min(ORPHAN_RETRIES),
            _ => self.settings.retries,
        }
    }

    /// The window has been closed, or too small for a good segment, for long enough (RFC 9293
    /// sections 3.8.6.1 and 3.8.6.2.1).
    fn on_persist_timeout(&mut self, now: Instant) {
        if self.snd.wnd > self.flight.size() {
            self.marks |= Mark::OVERRIDE_SMALL_WINDOW;
            self.marks -= Mark::MORE_FOLLOWS;
            return;
        }
        if self.unanswered >= self.allowed_retries() {
            // The peer has not answered any of the probes. As long as it does, probing goes on
            // for ever (MUST-37).
            self.end(self.silence());
            return;
        }
        if self.has(Mark::ORPHAN) && self.persist_backoff >= ORPHAN_RETRIES {
            // RFC 6429 section 3: nobody waits for this data, and a peer that answers with a
            // closed window for ever must not hold our memory.
            self.marks |= Mark::RESET_OWED;
            self.end(CloseReason::TimedOut);
            return;
        }
        self.unanswered += 1;
        self.persist_backoff = self.persist_backoff.saturating_add(1);
        self.probe_owed = Some(Probe::Window);
        self.timers.set(Timer::Persist, now + self.persist_interval());
    }

    /// How long a closed window is left alone: the RTO at first, then twice as long each time
    /// (RFC 9293 section 3.8.6.1, SHLD-29 and SHLD-30).
    pub(super) fn persist_interval(&self) -> Duration {
        let doubled = self.rto.current().saturating_mul(1 << self.persist_backoff.min(10));
        doubled.min(super::rto::MOST)
    }

    /// RFC 9293 section 3.8.4.
    fn on_keep_alive_timeout(&mut self, now: Instant) {
        let Some(keep_alive) = self.settings.keep_alive else {
            return;
        };
        let due = self.last_heard + keep_alive.idle;
        if self.unanswered == 0 && now < due {
            self.timers.set(Timer::KeepAlive, due);
            return;
        }
        if !self.flight.is_empty() || self.send_buffer.len() > 0 {
            // Data that is out, or waits for a window, probes the peer by itself.
            self.timers.set(Timer::KeepAlive, now + keep_alive.idle);
            return;
        }
        // MUST-29: one unanswered probe says nothing.
        if self.unanswered >= keep_alive.count {
            self.marks |= Mark::RESET_OWED;
            self.end(self.silence());
            return;
        }
        self.unanswered += 1;
        self.probe_owed = Some(Probe::KeepAlive);
        self.timers.set(Timer::KeepAlive, now + keep_alive.interval);
    }

    /// The connection is established, or keep-alive was turned on.
    pub(super) fn start_keep_alive(&mut self, now: Instant) {
        if let Some(keep_alive) = self.settings.keep_alive {
            self.timers.set(Timer::KeepAlive, now + keep_alive.idle);
        }
    }

    /// Something was acknowledged, or is in flight for the first time: the user's patience starts
    /// anew, or is not needed (RFC 9293 section 3.8.3, RFC 5482 section 1).
    pub(super) fn restart_user_timer(&mut self, now: Instant) {
        match self.settings.user_timeout {
            Some(patience) if !self.flight.is_empty() || self.send_buffer.len() > 0 => {
                self.timers.set(Timer::User, now + patience);
            }
            _ => self.timers.stop(Timer::User),
        }
    }

    /// An orphan has reached FIN-WAIT-2: the peer may never close (RFC 9293 does not limit this;
    /// every stack does).
    pub(super) fn start_fin_wait_2(&mut self, now: Instant) {
        self.timers.set(Timer::Orphan, now + self.settings.fin_wait_2);
    }

    /// The orphan's time is over. In FIN-WAIT-2 everything was delivered, and the peer may stay
    /// half open; otherwise the linger time was too short, and the peer is told.
    fn on_orphan_timeout(&mut self) {
        let delivered = self.state == State::FinWait2;
        self.marks.set(Mark::RESET_OWED, !delivered);
        self.end(if delivered { CloseReason::Finished } else { CloseReason::Aborted });
    }

    /// Text was read: the window may be worth announcing (RFC 9293 section 3.8.6.2.2). Linux, too,
    /// waits until it has at least doubled.
    pub(super) fn offer_window(&mut self) {
        if !self.state.receives_text() {
            return;
        }
        let announced = self.rcv.nxt.len_to(self.told_edge());
        // What the field cannot say is not worth an ACK.
        let free =
            self.recv_buffer.free(self.room).min(self.negotiated.recv_scale.expand(u16::MAX));
        if free / 2 >= announced && free - announced >= self.window_step() {
            self.ack.soon();
        }
    }

    /// The least by which the window is opened: `min(Fr * RCV.BUFF, Eff.snd.MSS)` with Fr 1/2
    /// (RFC 9293 section 3.8.6.2.2, MUST-39).
    pub(super) fn window_step(&self) -> u32 {
        (self.recv_buffer.limit_within(self.room) / 2).min(self.effective_mss())
    }

    /// The application aborts and gives the connection back (RFC 9293 section 3.10.5).
    pub(crate) fn abort(&mut self) {
        if self.close_reason.is_none() {
            // CLOSING and LAST-ACK: "respond ok, delete the TCB"; nothing can be lost any more.
            // But unread text is lost, and the peer should know (RFC 2525 section 2.17).
            let closed = matches!(self.state, State::Closing | State::LastAck);
            let done = closed && self.recv_buffer.readable() == 0;
            self.marks.set(Mark::RESET_OWED, self.state != State::SynSent && !done);
            self.end(CloseReason::Aborted);
        }
        self.marks |= Mark::ORPHAN;
        self.events = Events::empty();
    }
}
