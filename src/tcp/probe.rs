//! Segments that are sent to be answered: the peer's window is closed (RFC 9293 section 3.8.6.1), it
//! has been silent (section 3.8.4), or the end of a flight may be lost (RFC 8985 section 7).

use super::output::Outgoing;
use super::tail_loss::TailLoss;
use super::{Connection, Timer};
use crate::time::Instant;
use crate::wire::Flags;

/// Why the peer is asked to say where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Its window is closed.
    Window,
    /// It has been silent.
    KeepAlive,
    /// What was sent last may have been lost (RFC 8985 section 7.3).
    TailLoss,
}

impl Connection {
    /// A segment that the peer must answer, because it lies before its window. The RFC's probe
    /// of a closed window carries a byte of new data; Linux's, and this one, carries none, so that
    /// no byte is in flight that the peer may or may not have kept. The receiver owes an ACK for
    /// either (section 3.10.7.4, first step).
    pub(super) fn send_probe(&mut self, now: Instant, probe: Probe) -> Option<Outgoing> {
        let needed = match probe {
            Probe::Window => self.snd.wnd == 0,
            Probe::KeepAlive => true,
            Probe::TailLoss => return self.send_loss_probe(now),
        };
        needed.then(|| self.finish(now, self.snd.una - 1, Flags::empty(), (0, 0), None))
    }

    /// TLP_send_probe (RFC 8985 section 7.3): new data if the peer's window allows, one segment more
    /// than the congestion window; otherwise the segment that was sent last.
    fn send_loss_probe(&mut self, now: Instant) -> Option<Outgoing> {
        let (last, _) = self.flight.last()?;
        let fresh = self.take_new(now, true);
        let is_retransmission = fresh.is_none();
        let outgoing = match fresh {
            Some(fresh) => self.send_taken(now, fresh.range, fresh.range.len(), &fresh),
            // The path may carry less by now: then it is left to the retransmission timer.
            None if last.len() > self.effective_mss() + 1 => return None,
            None => {
                self.flight.on_last_sent_again(now);
                self.note_resent(now, last);
                let again = self.send_range(now, last, Flags::empty(), None);
                Outgoing { retransmission: true, ..again }
            }
        };
        self.tail_loss.on_probe(self.snd.nxt, is_retransmission);
        self.timers.stop(Timer::LossProbe);
        // "the sender MUST re-arm the RTO timer, not the PTO timer".
        self.timers.set(Timer::Retransmit, now + self.rto.current());
        Some(outgoing)
    }

    /// Sets the timer of the loss probe, if this flight may be probed (RFC 8985 section 7.2). A timer
    /// that could send nothing is not set: running out, it would only put off the retransmission
    /// timer (section 7.3), and with each new segment it would do so again. As long as it is set,
    /// new segments move it no further than to the retransmission timer, which they do not move.
    pub(super) fn schedule_loss_probe(&mut self, now: Instant) {
        if self.flight.is_waiting() {
            // The slot is taken by the reordering timer: with that something is known, and there is
            // nothing to be probed (section 8: they are "mutually exclusive").
            return;
        }
        let may = self.settings.tail_loss_probe
            && self.negotiated.sack
            && self.tail_loss.may_probe()
            && !self.recovery.is_under_way()
            && !self.flight.has_sacked()
            && self.state.is_synchronized();
        match (self.rto.srtt_nanos(), self.flight.last()) {
            (Some(srtt), Some((_, single))) if may => {
                let at = TailLoss::due(now, srtt, single);
                self.timers.set_before(Timer::LossProbe, at, Timer::Retransmit);
            }
            _ => self.timers.stop(Timer::LossProbe),
        }
    }
}
