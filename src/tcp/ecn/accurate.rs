//! Accurate ECN (RFC 9768): marks are counted by the receiver, and the counters come back with every
//! segment. What the two halves say of each other is in the files beside this one; here is what the
//! connection does with it.

use super::negotiation::{self, ACE, Mode};
use super::reflector::{Reflector, Trigger};
use super::tally::{Delivered, Tally, Verdict};
use super::{EcnInfo, EcnState};
use crate::tcp::{CloseReason, Connection, Mark, Outgoing, State};
use crate::time::Instant;
use crate::wire::{EcnCounters, EcnField, EcnOrder, Flags, Options, SackBlocks, Segment, SeqNum};

/// Both halves of a connection with accurate ECN.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Accurate {
    reflector: Reflector,
    tally: Tally,
    /// The ECN field of the latest SYN or SYN-ACK of the peer, until it has been fed back.
    handshake: EcnField,
    /// The next acceptable segment carries no ACE field: it is the SYN-ACK of a simultaneous open.
    skips: bool,
    /// The peer's SYN-ACK says that our SYN has met congestion.
    syn_was_marked: bool,
    /// SYN-ACKs that have gone out in a simultaneous open.
    syn_acks: u8,
}

/// The options of a SYN-ACK that agrees to accurate ECN: the counters as they start (RFC 9768
/// section 3.2.3.2.1).
pub(in crate::tcp) fn first_counters() -> EcnCounters {
    EcnCounters::new(EcnOrder::Ect0First, 3, 1, 0, 1)
}

/// Whether an ACK echoes congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Echo {
    No,
    /// RFC 3168.
    Yes,
    /// RFC 9768: that depends on what it delivers, and on how many segments were not delivered before
    /// it.
    Counted(u32),
}

impl Accurate {
    /// A side that answers a SYN with this ECN field; text starts at `start`, and that of the peer at
    /// `rcv_nxt`. `sends_options`: whether nothing is known of options that did not pass.
    pub(in crate::tcp) fn answering(
        start: SeqNum,
        rcv_nxt: SeqNum,
        syn: EcnField,
        sends_options: bool,
    ) -> Self {
        Self {
            reflector: Reflector::new(rcv_nxt, sends_options),
            tally: Tally::new(start),
            handshake: syn,
            skips: false,
            syn_was_marked: false,
            syn_acks: 0,
        }
    }

    /// The side that has asked and is answered by `syn_ack`, which says that the SYN has arrived with
    /// `arrived`.
    fn asking(start: SeqNum, syn_ack: &Segment<'_>, arrived: EcnField) -> Self {
        let mut accurate = Self::answering(start, syn_ack.seq + 1, syn_ack.ecn, true);
        accurate.reflector.on_syn_ack(syn_ack);
        accurate.reflector.try_options();
        accurate.tally.on_first_option(syn_ack.options.ecn.as_ref());
        accurate.syn_was_marked = arrived == EcnField::Ce;
        accurate
    }

    /// The ACE field of what goes out now.
    pub(super) fn ace(&self) -> Flags {
        negotiation::ace(self.reflector.cep())
    }

    pub(super) fn info(&self) -> EcnInfo {
        let [ect0, ce, ect1] = self.tally.bytes();
        EcnInfo {
            accurate: true,
            packets_marked_in: self.reflector.marked_packets(),
            packets_marked_out: self.tally.marked_packets(),
            bytes_out: [ect0, ce, ect1],
        }
    }
}

impl EcnState {
    /// The state of a connection with accurate ECN. `marks`: whether ECT may be set.
    pub(in crate::tcp) fn accurate(marks: bool, accurate: Accurate) -> Self {
        Self { accurate: Some(Box::new(accurate)), ..Self::new(marks) }
    }
}

// The handshake.
impl Connection {
    /// The state of accurate ECN, if that was agreed on.
    #[inline]
    fn accurate(&self) -> Option<&Accurate> {
        self.ecn.as_ref()?.accurate.as_deref()
    }

    #[inline]
    fn accurate_mut(&mut self) -> Option<&mut Accurate> {
        self.ecn.as_mut()?.accurate.as_deref_mut()
    }

    /// Both sides speak accurate ECN from now on: "MUST NOT switch into a different feedback mode"
    /// (RFC 9768 section 3.1.5).
    pub(in crate::tcp) fn enter_accurate(&mut self, marks: bool, accurate: Accurate) {
        self.ecn = Some(Box::new(EcnState::accurate(marks, accurate)));
        self.marks |= Mark::ACCURATE_ECN;
    }

    /// The answer to a SYN of ours that has asked for accurate ECN, or a SYN that has crossed it (RFC
    /// 9768 section 3.1.2).
    pub(super) fn agree_to_accurate(&mut self, reply: &Segment<'_>) {
        let start = self.snd.iss + 1;
        if !reply.has(Flags::ACK) {
            // "Host A MUST then enter the same feedback mode as it would have entered had it been a
            // responding host".
            let marks = self.asks_accurate_still();
            match self.settings.ecn.agrees_to(reply) {
                Mode::None => {}
                Mode::Classic => self.ecn = Some(Box::new(EcnState::new(marks))),
                Mode::Accurate => {
                    let accurate = Accurate::answering(start, reply.seq + 1, reply.ecn, true);
                    self.enter_accurate(marks, accurate);
                }
            }
            return;
        }
        let (mode, arrived) = negotiation::answered_by(reply);
        match mode {
            Mode::None => {}
            // RFC 3168 section 6.1.1: who has sent a SYN that did not ask must not set ECT.
            Mode::Classic => {
                self.ecn = Some(Box::new(EcnState::new(self.asks_accurate_still())));
            }
            Mode::Accurate => {
                // Section 3.2.2.3: our SYN had no ECT. "for the remainder of the half-connection the
                // Client is advised to send non-ECN-capable packets".
                let marks = arrived == EcnField::NotEct;
                self.enter_accurate(marks, Accurate::asking(start, reply, arrived));
                self.marks |= Mark::HANDSHAKE_ACK;
            }
        }
    }

    /// Whether all SYNs so far have asked for accurate ECN. RFC 9768 section 3.1.4.1: "it SHOULD attempt
    /// to negotiate the use of AccECN at least one more time", and then no more.
    pub(super) fn asks_accurate_still(&self) -> bool {
        self.retransmissions <= 1
    }

    /// The flags of our SYN-ACK in a simultaneous open, which has been sent again or not: what the ECN
    /// field of the peer's SYN was, and after two in vain nothing (RFC 9768 section 3.2.3.2.2).
    pub(super) fn accurate_syn_ack_flags(&mut self) -> Flags {
        let Some(ecn) = &mut self.ecn else { return Flags::empty() };
        let Some(accurate) = &mut ecn.accurate else { return Flags::empty() };
        accurate.syn_acks = accurate.syn_acks.saturating_add(1);
        if accurate.syn_acks > 2 {
            // Section 3.1.5: who answers a SYN "MUST NOT set ECT on any packet for the rest of the
            // connection, if it has received or sent at least one" that says nothing.
            ecn.marks = false;
            return Flags::empty();
        }
        negotiation::encoded(accurate.handshake)
    }

    /// The option of our SYN-ACK in a simultaneous open, which has its flags: of the first one only.
    pub(in crate::tcp) fn syn_ack_counters(&self) -> Option<EcnCounters> {
        self.accurate().filter(|accurate| accurate.syn_acks == 1).map(|_| first_counters())
    }

    /// The peer's SYN-ACK of a simultaneous open has arrived. The mode remains; one that does not say
    /// that our SYN has arrived as it was means that nothing of ours may be marked.
    pub(super) fn confirm_accurate(&mut self, syn_ack: &Segment<'_>) {
        let (mode, arrived) = negotiation::answered_by(syn_ack);
        let as_it_was = mode == Mode::Accurate && arrived == EcnField::NotEct;
        if let Some(ecn) = &mut self.ecn {
            ecn.marks &= as_it_was;
        }
        if let Some(accurate) = self.accurate_mut() {
            accurate.reflector.on_syn_ack(syn_ack);
            accurate.tally.on_first_option(syn_ack.options.ecn.as_ref());
            accurate.syn_was_marked = mode == Mode::Accurate && arrived == EcnField::Ce;
            // "A host MUST NOT interpret the 3 flags as a 3-bit ACE field on any segment with SYN=1".
            accurate.skips = true;
        }
    }

    /// The SYN that has crossed ours may have come again, and say something else of ECN (RFC 9768 section
    /// 3.1.5). Answers whether the connection goes on.
    #[cold]
    pub(in crate::tcp) fn on_syn_again(&mut self, segment: &Segment<'_>) -> bool {
        let is_again = segment.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN
            && segment.seq == self.rcv.irs
            && self.state == State::SynReceived
            && self.negotiated.asks_ecn == Mode::Accurate;
        let Some(ecn) = self.ecn.as_mut().filter(|_| is_again) else { return true };
        let mode = if ecn.accurate.is_some() { Mode::Accurate } else { Mode::Classic };
        match negotiation::asked_by(segment) {
            Mode::None => ecn.marks = false,
            asked if asked == mode => {}
            // "MUST reset the connection with a RST packet".
            Mode::Classic | Mode::Accurate => {
                self.marks |= Mark::RESET_OWED;
                self.end(CloseReason::Reset);
                return false;
            }
        }
        if let Some(accurate) = &mut ecn.accurate {
            // "MUST feed back the IP-ECN field on the latest valid SYN".
            accurate.handshake = segment.ecn;
        }
        true
    }

    /// Our SYN has met congestion, if the SYN-ACK has said so: "the TCP Client still triggers the
    /// congestion control actions" (RFC 9768 section 3.2.2.2).
    pub(in crate::tcp) fn answer_marked_syn(&mut self, now: Instant) {
        let marked = self
            .accurate_mut()
            .is_some_and(|accurate| core::mem::take(&mut accurate.syn_was_marked));
        if marked {
            self.answer_congestion(now, self.cwnd(), self.snd.una);
        }
    }

    /// A SYN-ACK has come again, and was challenged. As long as the peer may be in SYN-RECEIVED it reads
    /// our ACK as the one that ends the handshake: "MUST also use the handshake encoding for the pure
    /// ACK of any retransmitted SYN/ACK" (RFC 9768 section 3.2.2.1). Once it has said or heard more than
    /// its SYN-ACK it reads a counter there.
    pub(in crate::tcp) fn on_syn_ack_again(&mut self, segment: &Segment<'_>) {
        let is_again = segment.has(Flags::SYN | Flags::ACK)
            && segment.seq == self.rcv.irs
            && segment.ack == self.snd.iss + 1
            && self.state != State::SynReceived
            && self.negotiated.asks_ecn == Mode::Accurate
            && negotiation::answered_by(segment).0 == Mode::Accurate;
        let may_wait = self.snd.una == self.snd.iss + 1 && self.rcv.nxt == self.rcv.irs + 1;
        if !is_again || !may_wait || !self.ack.is_due() {
            return;
        }
        if let Some(accurate) = self.accurate_mut() {
            accurate.reflector.on_syn_ack(segment);
            // Section 3.1.5: that "on the latest valid SYN or acceptable SYN/ACK to arrive".
            accurate.handshake = segment.ecn;
            self.marks |= Mark::HANDSHAKE_ACK;
        }
    }

    /// The ACK that tells how the SYN-ACK has arrived: a pure one without SACK blocks, ahead of any text
    /// (RFC 9768 section 3.2.2.1).
    fn send_handshake_ack(&mut self, now: Instant) -> Outgoing {
        self.marks -= Mark::HANDSHAKE_ACK;
        let seq = self.acceptable_seq();
        let ack = self.finish(now, seq, Flags::empty(), (0, 0), None);
        let options = Options { sack: SackBlocks::EMPTY, ..ack.options };
        let told = self.accurate().map_or(ack.flags, |it| negotiation::encoded(it.handshake));
        Outgoing { flags: (ack.flags - ACE) | told, options, ..ack }
    }

    /// A segment of the handshake goes out.
    #[cold]
    pub(in crate::tcp) fn send_opening(&mut self, now: Instant) -> Outgoing {
        if self.has(Mark::SYN_OWED) { self.send_syn(now) } else { self.send_handshake_ack(now) }
    }
}

// The receiver.
impl Connection {
    /// An acceptable segment has arrived: RFC 9768 section 3.2 counts them all, with text or without. One
    /// that ends just before the window has got here for its ACK alone.
    #[cold]
    pub(in crate::tcp) fn count_marks(&mut self, segment: &Segment<'_>) {
        if !segment.is_empty() && segment.range().end.is_at_or_before(self.rcv.nxt) {
            return self.note_reappearance(segment);
        }
        let owed = self.ack.is_due() || self.ack.is_delayed();
        let has_text = !segment.payload.is_empty();
        let Some(accurate) = self.accurate_mut() else { return };
        // An ACK that is owed for marks on ACKs is not one of text.
        let waits = owed && !accurate.reflector.acks_acks();
        if has_text {
            accurate.reflector.on_new_text(segment.segments());
        }
        match accurate.reflector.on_segment(segment, waits || has_text) {
            None => {}
            Some(Trigger::Soon) => self.ack.soon(),
            Some(Trigger::Now) => self.ack.at_once(),
        }
    }

    /// A segment has come again that lies before the window.
    pub(in crate::tcp) fn note_reappearance(&mut self, segment: &Segment<'_>) {
        if let Some(accurate) = self.accurate_mut()
            && !segment.payload.is_empty()
        {
            accurate.reflector.on_reappearance(segment.range());
        }
    }

    /// The option of the next segment, with `len` bytes of text of which nothing was sent before, or
    /// without any, and how many of so many SACK `blocks` go with it. Those beyond the second make room
    /// for it, and for two of them it makes room itself (RFC 9768 section 3.2.3.3).
    pub(in crate::tcp) fn counters_beside(
        &self,
        blocks: usize,
        len: u32,
    ) -> (usize, Option<EcnCounters>) {
        let Some(accurate) = self.accurate() else { return (blocks, None) };
        let blocks = if len == 0 && accurate.reflector.acks_acks() { 0 } else { blocks };
        let timestamps = if self.negotiated.timestamps { 12 } else { 0 };
        let text_left = self.effective_mss().saturating_sub(len) as usize;
        let option = |blocks: usize| {
            let sack = if blocks == 0 { 0 } else { 4 + 8 * blocks };
            let room = (40 - timestamps).min(text_left).saturating_sub(sack);
            accurate.reflector.option(len > 0, room)
        };
        match option(blocks) {
            None if blocks > 2 => option(2).map_or((blocks, None), |it| (2, Some(it))),
            counters => (blocks, counters),
        }
    }

    /// The options of a segment with `len` bytes of text, or without, which goes out with the counters.
    /// What is sent `again` has no option: that it was lost may be the option's fault (RFC 9768 section
    /// 3.2.3.2.2).
    #[cold]
    pub(in crate::tcp) fn options_with_counters(
        &mut self,
        now: Instant,
        len: u32,
        again: bool,
    ) -> Options {
        let mut options = self.options_beside(now, len);
        if !again {
            let (blocks, counters) = self.counters_beside(options.sack.as_slice().len(), len);
            options.sack.truncate(blocks);
            options.ecn = counters;
        }
        let rcv_nxt = self.rcv.nxt;
        if let Some(accurate) = self.accurate_mut() {
            accurate.reflector.on_sent(len > 0, options.ecn.is_some(), rcv_nxt);
        }
        options
    }

    /// Whether a super-segment says the same when it has been cut: who cuts it clears CWR on all but the
    /// first, as RFC 3168 has it. RFC 9768 section 3.3.4: "allow TSO only as long as the CWR flag in the
    /// TCP header is not set". And counters need to be told once only.
    #[inline]
    pub(in crate::tcp) fn feedback_bears_cutting(&self) -> bool {
        !self.has(Mark::ACCURATE_ECN)
            || self.accurate().is_none_or(|accurate| {
                !accurate.ace().contains(Flags::CWR) && !accurate.reflector.owes_option(true)
            })
    }

    /// The ACE field of a segment that goes out now; nothing without accurate ECN.
    pub(in crate::tcp) fn ace(&self) -> Flags {
        self.accurate().map_or(Flags::empty(), Accurate::ace)
    }
}

// The sender.
impl Connection {
    /// An acceptable segment is about to be taken in. Answers whether it echoes congestion, if it can
    /// be said by now.
    pub(in crate::tcp) fn look_for_echo(&mut self, now: Instant, segment: &Segment<'_>) -> Echo {
        if self.has(Mark::ACCURATE_ECN) {
            return self.look_for_feedback(segment);
        }
        if self.on_congestion_echo(now, segment) { Echo::Yes } else { Echo::No }
    }

    #[cold]
    fn look_for_feedback(&mut self, segment: &Segment<'_>) -> Echo {
        let undelivered = self.flight.undelivered();
        let una = self.snd.una;
        let Some(accurate) = self.accurate_mut() else { return Echo::No };
        let skips = core::mem::take(&mut accurate.skips) || segment.has(Flags::SYN);
        // Section 3.2.2.2: one that "has already been superseded by another ACK" is ignored.
        if skips || segment.ack.is_before(una) { Echo::No } else { Echo::Counted(undelivered) }
    }

    /// An ACK has been taken in, with `acked` sequence numbers that none before it has acknowledged.
    /// Answers whether it tells of marks.
    #[cold]
    pub(in crate::tcp) fn on_feedback(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        undelivered: u32,
        acked: u32,
    ) -> bool {
        // All that was in flight ahead of the handshake's end is our SYN.
        let ends_handshake = acked > 0 && self.snd.una == self.snd.iss + 1;
        let segments = undelivered.saturating_sub(self.flight.undelivered());
        let (una, nxt, mss) = (self.snd.una, self.snd.nxt, self.effective_mss());
        let Some(accurate) = self.accurate_mut() else { return false };
        let option = segment.options.ecn.as_ref();
        let verdict = if ends_handshake {
            accurate.tally.on_first_option(option);
            // "a pure ACK with SYN=0 and no SACK blocks"
            if segment.payload.is_empty() && segment.options.sack.is_empty() {
                accurate.tally.on_handshake_ack(segment.flags)
            } else {
                let delivered = Delivered { segments: 0, mss, una, nxt };
                accurate.tally.on_ack(segment.flags, None, &delivered)
            }
        } else if segments > 0 || acked > 0 {
            let delivered = Delivered { segments, mss, una, nxt };
            accurate.tally.on_ack(segment.flags, option, &delivered)
        } else {
            // Appendix A.1: without anything new it may be an older one.
            return false;
        };
        self.obey(now, segment.ack, acked, ends_handshake, verdict)
    }

    fn obey(
        &mut self,
        now: Instant,
        ack: SeqNum,
        acked: u32,
        ends_handshake: bool,
        verdict: Verdict,
    ) -> bool {
        let Some(ecn) = &mut self.ecn else { return false };
        ecn.marks &= !verdict.mangled;
        if verdict.marked == 0 {
            return false;
        }
        if ecn.is_news(ack) {
            let size = self.flight.size().saturating_add(acked);
            let flight_size = if ends_handshake { u32::MAX } else { size };
            self.answer_congestion(now, flight_size.min(self.cwnd()), ack);
        }
        true
    }
}
