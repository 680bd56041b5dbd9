//! Explicit congestion notification (RFC 3168 section 6.1): routers mark packets instead of dropping
//! them, the receiver echoes the mark, and the sender slows down without a loss.

use super::congestion::Loss;
use super::{Connection, State};
use crate::time::{Duration, Instant};
use crate::wire::{EcnField, Flags, Segment, SeqNum};

/// Whether connections use ECN; as Linux's `tcp_ecn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ecn {
    /// Never: `tcp_ecn` 0.
    Off,
    /// When a peer that connects asks for it: `tcp_ecn` 2.
    #[default]
    Accept,
    /// Asked for when connecting, too: `tcp_ecn` 1.
    Request,
}

/// The flags of an "ECN-setup SYN packet" (RFC 3168 section 6.1.1).
const SETUP_SYN: Flags = Flags::ECE.union(Flags::CWR);

impl Ecn {
    /// Whether a listener that received `syn` agrees to ECN.
    pub(super) fn agrees_to(self, syn: &Segment<'_>) -> bool {
        self != Self::Off && is_setup_syn(syn)
    }
}

/// RFC 3168 section 6.1.1. A host must not set ECT on a SYN; a path that sets it by itself says
/// nothing of congestion either, and Linux does not agree to ECN over such a path.
pub(super) fn is_setup_syn(syn: &Segment<'_>) -> bool {
    syn.has(SETUP_SYN) && syn.ecn == EcnField::NotEct
}

/// RFC 3168 section 6.1.1. With both flags it is the work of a peer that reflects what it does not
/// know (section 6.1.1.2).
fn is_setup_syn_ack(syn_ack: &Segment<'_>) -> bool {
    syn_ack.flags & SETUP_SYN == Flags::ECE
}

/// What a connection remembers that has agreed to ECN.
#[derive(Clone, Copy, Debug)]
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
}

impl EcnState {
    /// `marks`: whether ECT may be set.
    pub(super) fn new(marks: bool) -> Self {
        Self { marks, echoes: false, cwr_owed: false, reduced_at: None, held_until: None }
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
        self.cwr_owed = self.marks;
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
        let mut flags = if self.echoes { Flags::ECE } else { Flags::empty() };
        if !is_new_text || !self.marks {
            return (flags, EcnField::NotEct);
        }
        if core::mem::take(&mut self.cwr_owed) {
            flags |= Flags::CWR;
        }
        (flags, EcnField::Ect0)
    }
}

impl Connection {
    /// What our SYN, or our SYN-ACK in a simultaneous open, says of ECN. `again`: it has been sent
    /// before. A SYN does not ask again: there are middleboxes that drop what they do not know (RFC
    /// 3168 section 6.1.1.1).
    pub(super) fn ecn_setup_flags(&self, again: bool) -> Flags {
        match self.state {
            State::SynReceived if self.ecn.is_some() => Flags::ECE,
            State::SynSent if !again && self.negotiated.asks_ecn => SETUP_SYN,
            _ => Flags::empty(),
        }
    }

    /// The answer to our SYN, or a SYN that has crossed it, has arrived: ECN may be used only if our
    /// own SYN has asked, whatever the peer's says. RFC 3168 section 6.1.1: who has sent a SYN that
    /// did not ask must not set ECT, but still answers marks.
    pub(super) fn agree_to_ecn(&mut self, reply: &Segment<'_>) {
        let is_setup =
            if reply.has(Flags::ACK) { is_setup_syn_ack(reply) } else { is_setup_syn(reply) };
        if self.negotiated.asks_ecn && is_setup {
            let has_fallen_back = self.retransmissions > 0;
            self.ecn = Some(Box::new(EcnState::new(!has_fallen_back)));
        }
    }

    /// The peer's SYN-ACK of a simultaneous open has arrived: one without ECN takes back what its
    /// SYN has said.
    pub(super) fn confirm_ecn(&mut self, syn_ack: &Segment<'_>) {
        if !is_setup_syn_ack(syn_ack) {
            self.ecn = None;
        }
    }

    /// Text has arrived: the receiver's part (RFC 3168 section 6.1.3). `taken`: some of it is new
    /// and within the window; what is not is ignored (section 6.1.5), but for the probe of a closed
    /// window (section 6.1.6).
    #[inline]
    pub(super) fn note_marks(&mut self, segment: &Segment<'_>, taken: bool) {
        if let Some(ecn) = &mut self.ecn
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
        ecn.on_reduced(self.snd.nxt);
        // The one before is over by now.
        self.recovery.end_reduction(segment.ack, self.snd.nxt);
        let rto = self.rto.current();
        let (cwnd, mss) = (self.cwnd(), self.effective_mss());
        if cwnd <= mss {
            // "the sending TCP MUST reset the retransmit timer on receiving the ECN-Echo packet when
            // the congestion window is one. The sending TCP will then be able to send a new packet
            // only when the retransmit timer expires."
            self.hold_new_text(now + rto);
        } else {
            let flight_size = self.flight.size().min(cwnd);
            self.congestion.get_mut().on_congestion_echo(&Loss { now, flight_size });
            self.spread_reduction();
        }
        true
    }

    /// The window has been reduced because of a loss.
    pub(super) fn on_window_reduced(&mut self) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_reduced(self.snd.nxt);
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
