//! Explicit congestion notification (RFC 3168 section 6.1): routers mark packets instead of dropping
//! them, the receiver echoes the mark, and the sender slows down without a loss.
//!
//! Here is what RFC 3168 says, and what the sender does with what it hears, however that comes back
//! to it. Accurate ECN, with which the receiver counts the marks (RFC 9768), is in `accurate`: the
//! receiver's half of it in `reflector`, the sender's in `tally`.

mod accurate;
mod negotiation;
mod reflector;
mod tally;

pub(super) use accurate::{Accurate, Echo, first_counters};
pub use negotiation::Ecn;
pub(super) use negotiation::{ACE, Mode, ace, asked_by, encoded, is_setup_syn};

use super::congestion::Loss;
use super::{Connection, State};
use crate::time::{Duration, Instant};
use crate::wire::{EcnField, Flags, Segment, SeqNum};
use negotiation::{SETUP_SYN, is_setup_syn_ack};

/// What can be told of a connection that has agreed to ECN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnInfo {
    /// Whether marks are counted (RFC 9768), and not only echoed (RFC 3168). The rest is zero without.
    pub accurate: bool,
    /// Packets that have come with a mark; wraps.
    pub packets_marked_in: u32,
    /// Packets of ours that have been marked, as far as the peer has told; wraps.
    pub packets_marked_out: u32,
    /// Bytes of text of ours that have arrived with ECT(0), CE and ECT(1), as far as the peer's options
    /// have told; they wrap.
    pub bytes_out: [u32; 3],
}

/// What a connection remembers that has agreed to ECN.
#[derive(Clone, Debug)]
pub(super) struct EcnState {
    /// Our text may be marked: we have sent no SYN that did not ask for ECN.
    marks: bool,
    /// A mark has come, and no CWR since: every ACK carries ECE.
    echoes: bool,
    /// The window was reduced: the next new text carries CWR.
    cwr_owed: bool,
    /// SND.NXT when the window was last reduced, until it is acknowledged: what an ACK up to here
    /// echoes has been answered.
    reduced_at: Option<SeqNum>,
    /// New text waits until then, because the window could not be reduced further.
    held_until: Option<Instant>,
    /// Marks are counted (RFC 9768). Boxed: most that agree on ECN do not agree on that.
    accurate: Option<Box<Accurate>>,
}

impl EcnState {
    /// `marks`: whether ECT may be set.
    pub(super) fn new(marks: bool) -> Self {
        Self {
            marks,
            echoes: false,
            cwr_owed: false,
            reduced_at: None,
            held_until: None,
            accurate: None,
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.accurate.as_ref().map_or(0, |it| size_of_val(&**it))
    }

    /// What can be told of it.
    pub(super) fn info(&self) -> EcnInfo {
        self.accurate.as_ref().map_or_else(EcnInfo::default, |accurate| accurate.info())
    }

    /// Text within the window has arrived. Answers whether an ACK should not wait: the sender
    /// should learn of a mark soon, and one that has reduced its window may have none to spare.
    fn on_text(&mut self, segment: &Segment<'_>) -> bool {
        let reduced = segment.has(Flags::CWR);
        let marked = segment.ecn == EcnField::Ce;
        let fresh = marked && !self.echoes;
        // In this order: a mark on the segment with CWR is younger than what CWR answers.
        self.echoes = marked || (self.echoes && !reduced);
        fresh || reduced
    }

    /// The window has been reduced, for whatever reason, with SND.NXT at `nxt`.
    fn on_reduced(&mut self, nxt: SeqNum) {
        // RFC 9768 section 3.1.5: a host in AccECN mode "MUST NOT set CWR to indicate that it has
        // received and responded".
        self.cwr_owed = self.accurate.is_none();
        self.reduced_at = Some(nxt);
    }

    /// Whether an ACK of `ack` with ECE tells anything new: once in a window of data.
    fn is_news(&self, ack: SeqNum) -> bool {
        self.reduced_at.is_none_or(|at| ack.is_after(at))
    }

    /// What a segment carries that goes out now: ECE on all of them between a mark and the peer's CWR
    /// (RFC 3168 section 6.1.3); on new text ECT(0), and CWR if the window was reduced (section
    /// 6.1.2). Retransmissions, probes and bare ACKs have no part in the latter (sections 6.1.4 to
    /// 6.1.6).
    pub(super) fn stamp(&mut self, is_new_text: bool) -> (Flags, EcnField) {
        let mut flags = match &self.accurate {
            Some(accurate) => accurate.ace(),
            None if self.echoes => Flags::ECE,
            None => Flags::empty(),
        };
        if !is_new_text {
            return (flags, EcnField::NotEct);
        }
        // Also where nothing may be marked: a path may mark it all the same, and the peer echoes that until
        // it hears of a reduction.
        if core::mem::take(&mut self.cwr_owed) {
            flags |= Flags::CWR;
        }
        (flags, if self.marks { EcnField::Ect0 } else { EcnField::NotEct })
    }
}

impl Connection {
    /// What our SYN, or our SYN-ACK in a simultaneous open, says of ECN. `again`: it has been sent
    /// before. A SYN does not ask again: there are middleboxes that drop what they do not know (RFC
    /// 3168 section 6.1.1.1).
    pub(super) fn ecn_setup_flags(&mut self, again: bool) -> Flags {
        match (self.state, self.negotiated.asks_ecn) {
            (State::SynReceived, Mode::Accurate) if self.speaks_accurate() => {
                self.accurate_syn_ack_flags()
            }
            (State::SynReceived, _) if self.ecn.is_some() => Flags::ECE,
            (State::SynSent, Mode::Classic) if !again => SETUP_SYN,
            (State::SynSent, Mode::Accurate) if self.asks_accurate_still() => ACE,
            _ => Flags::empty(),
        }
    }

    fn speaks_accurate(&self) -> bool {
        self.ecn.as_ref().is_some_and(|ecn| ecn.accurate.is_some())
    }

    /// The answer to our SYN, or a SYN that has crossed it, has arrived: ECN may be used only if our
    /// own SYN has asked, whatever the peer's says. RFC 3168 section 6.1.1: who has sent a SYN that
    /// did not ask must not set ECT, but still answers marks.
    pub(super) fn agree_to_ecn(&mut self, reply: &Segment<'_>) {
        match self.negotiated.asks_ecn {
            Mode::None => return,
            Mode::Classic => {}
            Mode::Accurate => return self.agree_to_accurate(reply),
        }
        let is_setup =
            if reply.has(Flags::ACK) { is_setup_syn_ack(reply) } else { is_setup_syn(reply) };
        if is_setup {
            let has_fallen_back = self.retransmissions > 0;
            self.ecn = Some(Box::new(EcnState::new(!has_fallen_back)));
        }
    }

    /// The peer's SYN-ACK of a simultaneous open has arrived: one without ECN takes back what its
    /// SYN has said.
    pub(super) fn confirm_ecn(&mut self, syn_ack: &Segment<'_>) {
        if self.speaks_accurate() {
            self.confirm_accurate(syn_ack);
        } else if !is_setup_syn_ack(syn_ack) {
            match &mut self.ecn {
                // RFC 9768 section 3.1.5: who has asked for accurate ECN stays in the mode.
                Some(ecn) if self.negotiated.asks_ecn == Mode::Accurate => ecn.marks = false,
                ecn => *ecn = None,
            }
        }
    }

    /// Text has arrived: the receiver's part (RFC 3168 section 6.1.3). `taken`: some of it is new
    /// and within the window; what is not is ignored (section 6.1.5), but for the probe of a closed
    /// window (section 6.1.6).
    #[inline]
    pub(super) fn note_marks(&mut self, segment: &Segment<'_>, taken: bool) {
        if let Some(ecn) = &mut self.ecn
            && ecn.accurate.is_none()
            && (taken || segment.seq == self.rcv.nxt)
            && !segment.payload.is_empty()
            && ecn.on_text(segment)
        {
            self.ack.soon();
        }
    }

    /// An acceptable ACK has arrived: the sender's part (RFC 3168 section 6.1.2). Answers whether it
    /// echoes congestion; the window must not grow by one that does.
    pub(super) fn on_congestion_echo(&mut self, now: Instant, segment: &Segment<'_>) -> bool {
        let Some(ecn) = &mut self.ecn else { return false };
        if !segment.has(Flags::ECE) || segment.has(Flags::SYN) {
            return false;
        }
        if segment.ack.is_before(self.snd.una) || !ecn.is_news(segment.ack) {
            return true;
        }
        // All that was in flight ahead of the handshake's end is our SYN.
        let size = if self.snd.syn_acked { self.flight.size() } else { u32::MAX };
        self.answer_congestion(now, size.min(self.cwnd()), segment.ack);
        true
    }

    /// What was sent has met congestion, for the first time in a window of data, with `flight_size` in
    /// flight, as an ACK of `ack` tells.
    fn answer_congestion(&mut self, now: Instant, flight_size: u32, ack: SeqNum) {
        self.on_window_reduced();
        // The one before is over by now.
        self.recovery.end_reduction(ack, self.snd.nxt);
        let rto = self.rto.current();
        let (cwnd, mss) = (self.cwnd(), self.effective_mss());
        if cwnd <= mss {
            // "the sending TCP MUST reset the retransmit timer on receiving the ECN-Echo packet when
            // the congestion window is one. The sending TCP will then be able to send a new packet
            // only when the retransmit timer expires."
            self.hold_new_text(now + rto);
        } else {
            self.congestion.get_mut().on_congestion_echo(&Loss { now, flight_size });
            self.spread_reduction();
        }
    }

    /// The window has been reduced.
    pub(super) fn on_window_reduced(&mut self) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_reduced(self.snd.nxt);
        }
    }

    /// A loss is being repaired for which the window is not reduced: nor is it for marks meanwhile.
    pub(super) fn put_off_reduction(&mut self) {
        if let Some(ecn) = &mut self.ecn {
            ecn.reduced_at = Some(self.snd.nxt);
        }
    }

    /// SND.UNA has moved: what was sent before a reduction is forgotten once it is acknowledged, or
    /// 2 GiB later it would seem to lie ahead.
    #[inline]
    pub(super) fn forget_reduction(&mut self) {
        if let Some(ecn) = &mut self.ecn
            && ecn.reduced_at.is_some_and(|at| self.snd.una.is_after(at))
        {
            ecn.reduced_at = None;
        }
    }

    fn hold_new_text(&mut self, until: Instant) {
        if let Some(ecn) = &mut self.ecn {
            ecn.held_until = Some(until);
        }
    }

    /// How long new text still has to wait.
    #[inline]
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        let until = self.ecn.as_ref()?.held_until?;
        Some(until.since(now)).filter(|wait| !wait.is_zero())
    }
}
