//! Segments that are sent to be answered: the peer's window is closed (RFC 9293 section 3.8.6.1), it
//! has been silent (section 3.8.4), or the end of a flight may be lost (RFC 8985 section 7).

use super::outgoing::Outgoing;
use super::recovery::Phase;
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
    /// than the congestion window; otherwise the segment that was sent last. Where losses are being
    /// repaired, what is lost comes first, and what the peer has reported need not be sent again.
    fn send_loss_probe(&mut self, now: Instant) -> Option<Outgoing> {
        let outgoing = self.next_for_probe(now)?;
        let repeats = outgoing.retransmission && self.recovery.phase() == Phase::Open;
        self.tail_loss.on_probe(self.snd.nxt, repeats);
        self.timers.stop(Timer::LossProbe);
        // "the sender MUST re-arm the RTO timer, not the PTO timer".
        self.timers.set(Timer::Retransmit, self.rto.due(now));
        Some(outgoing)
    }

    fn next_for_probe(&mut self, now: Instant) -> Option<Outgoing> {
        let most = self.effective_mss();
        if let Some(range) = self.flight.next_lost(most) {
            return Some(self.send_again(now, range));
        }
        if let Some(fresh) = self.take_new(now, true) {
            return Some(self.send_taken(now, fresh.range, fresh.range.len(), &fresh));
        }
        // The path may carry less by now: then it is left to the retransmission timer.
        let last = self.flight.last_in_network().filter(|last| last.len() <= most + 1)?;
        self.flight.on_last_sent_again(now);
        self.note_resent(now, last);
        let again = self.send_range(now, last, Flags::empty(), None);
        Some(Outgoing { retransmission: true, ..again })
    }

    /// Sets the timer of the loss probe, if this flight may be probed (RFC 8985 section 7.2). A timer
    /// that could send nothing is not set: running out, it would only put off the retransmission
    /// timer (section 7.3), and with each new segment it would do so again. As long as it is set,
    /// new segments move it no further than to the retransmission timer, which they do not move.
    ///
    /// The RFC would have no probe in fast recovery, nor where something is reported, because then
    /// other mechanisms find what is lost. They all live on ACKs. A peer that reports what it has
    /// with few ACKs, as Linux does with all after the third, answers a retransmission with a
    /// single one: if either is lost, and the window lets nothing else out, nothing but a timeout
    /// is left, which on a short path is a thousand round trips. So there is a probe here where the
    /// RFC has none, one at a time as ever.
    pub(super) fn schedule_loss_probe(&mut self, now: Instant) {
        if self.flight.is_waiting() {
            // The slot is taken by the reordering timer: with that something is known, and there is
            // nothing to be probed (section 8: they are "mutually exclusive").
            return;
        }
        let Some(single) = self.flight.is_single() else {
            return self.timers.stop(Timer::LossProbe);
        };
        let may = self.settings.tail_loss_probe
            && self.negotiated.sack
            && self.tail_loss.may_probe()
            && self.recovery.may_probe()
            && !self.flight.has_reneged()
            && self.state.is_synchronized();
        match self.rto.srtt_nanos() {
            Some(srtt) if may => {
                // What repairs a hole is acknowledged at once (RFC 5681 section 4.2).
                let delayed = single && self.recovery.phase() == Phase::Open;
                let at = TailLoss::due(now, srtt, delayed);
                self.timers.set_before(Timer::LossProbe, at, Timer::Retransmit);
            }
            _ => self.timers.stop(Timer::LossProbe),
        }
    }
}
