//! SEGMENT ARRIVES in the synchronized states and SYN-RECEIVED, in the RFC's order of steps
//! (RFC 9293 section 3.10.7.4).

use core::ops::ControlFlow::{self, Break, Continue};

use super::{CloseReason, Connection, Events, Mark, State, Timer, ecn};
use crate::time::Instant;
use crate::wire::{EcnField, Flags, Segment, SeqNum, SeqRange};

/// What a segment brought that the connection itself cannot deal with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival<'f> {
    /// In-order text that nothing unread lies before; RCV.NXT has moved past it.
    pub(crate) text: Option<&'f [u8]>,
    /// The segment is answered as if there were no connection: with the reset of section 3.10.7.1.
    pub(crate) stray: bool,
    /// Text of it was dropped for want of memory.
    pub(crate) refused: bool,
    /// It brought nothing but that text: what it may have changed beside is when an ACK is owed.
    pub(crate) plain: bool,
}

impl Arrival<'_> {
    pub(super) const NOTHING: Self =
        Self { text: None, stray: false, refused: false, plain: false };
    pub(super) const STRAY: Self = Self { stray: true, ..Self::NOTHING };
}

/// Where a segment lies in respect of the receive window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acceptance {
    /// Part of it is in the window (or it is empty and starts there).
    Inside,
    /// It starts at RCV.NXT, or before it and reaches beyond, and the window is closed: its text is
    /// not, but its ACK, URG and RST are taken in ("special allowance should be made", MUST-66).
    ClosedWindow,
    /// It is old, or beyond the window.
    Outside,
}

/// The table of RFC 9293 section 3.10.7.4, first step.
///
/// ```text
///   Length  Window   Test
///     0       0      SEG.SEQ = RCV.NXT
///     0      >0      RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND
///    >0       0      not acceptable
///    >0      >0      the first or the last of it is in the window
/// ```
pub(super) fn acceptance(segment: SeqRange, rcv_nxt: SeqNum, rcv_wnd: u32) -> Acceptance {
    let window = SeqRange::new(rcv_nxt, rcv_wnd);
    let inside = match (segment.len(), rcv_wnd) {
        (0, 0) => segment.start == rcv_nxt,
        // The RFC has "<" where Linux has "<=": the ACKs of a sender that has filled our window
        // start at its right edge, and would all be lost with the "<".
        (0, _) => window.contains(segment.start) || segment.start == window.end,
        (_, 0) => {
            let is_next = segment.start.is_at_or_before(rcv_nxt) && segment.end.is_after(rcv_nxt);
            return if is_next { Acceptance::ClosedWindow } else { Acceptance::Outside };
        }
        // A segment that covers the whole window has neither end inside it; taking both ends
        // against the window as ranges that overlap catches that too.
        _ => segment.start.is_before(window.end) && segment.end.is_after(window.start),
    };
    if inside { Acceptance::Inside } else { Acceptance::Outside }
}

/// RFC 5961 section 3.2: of a reset only the sequence number counts, and one outside the window is
/// dropped in silence; an exact one counts also while the window is closed.
pub(super) fn is_reset_in_window(seq: SeqNum, rcv_nxt: SeqNum, rcv_wnd: u32) -> bool {
    seq == rcv_nxt || SeqRange::new(rcv_nxt, rcv_wnd).contains(seq)
}

impl Connection {
    /// SEGMENT ARRIVES. With `hand_out`, in-order text that nothing unread lies before comes back
    /// instead of going into the receive buffer.
    pub(crate) fn on_segment<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Arrival<'f> {
        log::trace!("{:?} {}: {segment}", self.flow, self.state);
        self.burst.interrupt();
        if let Some(arrival) = self.on_predicted(now, segment, hand_out) {
            return arrival;
        }
        self.on_unpredicted(now, segment, hand_out)
    }

    /// SEGMENT ARRIVES by the letter.
    #[inline(never)]
    pub(super) fn on_unpredicted<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Arrival<'f> {
        match self.state {
            State::Closed | State::Listen | State::TimeWait => Arrival::STRAY,
            State::SynSent => self.on_segment_in_syn_sent(now, segment),
            _ => match self.walk_steps(now, segment, hand_out) {
                Break(arrival) | Continue(arrival) => arrival,
            },
        }
    }

    /// The eight steps. Each either lets the segment pass or ends its way.
    fn walk_steps<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> ControlFlow<Arrival<'f>, Arrival<'f>> {
        let crossed;
        let segment = if self.state == State::SynReceived {
            crossed = self.without_crossed_syn(segment);
            &crossed
        } else {
            segment
        };
        self.check_timestamps(now, segment)?;
        self.check_sequence(now, segment)?;
        self.check_reset(now, segment)?;
        // Third step: security and compartment are not supported (RFC 9293 appendix A.1).
        self.check_syn(now, segment)?;
        self.check_ack(now, segment)?;
        if self.has(Mark::ACCURATE_ECN) {
            self.count_marks(segment);
        }
        self.check_urgent(segment);
        Continue(self.take_text_and_fin(now, segment, hand_out))
    }

    /// In a simultaneous open both sides answer a SYN with a SYN,ACK that repeats their own
    /// (RFC 9293 figure 7). It starts before RCV.NXT, yet its ACK must count.
    fn without_crossed_syn<'f>(&mut self, segment: &Segment<'f>) -> Segment<'f> {
        let crossed = segment.has(Flags::SYN | Flags::ACK)
            && !segment.has(Flags::RST)
            && segment.seq == self.rcv.irs
            && segment.ack == self.snd.nxt;
        if !crossed {
            return *segment;
        }
        self.confirm_ecn(segment);
        // The window of a SYN is not scaled, and its flags of ECN are no echo; from here on they would be.
        // Our own SYN,ACK may be lost: this tells the peer the same without its waiting for that.
        self.ack.at_once();
        let window = self.negotiated.send_scale.compress(u32::from(segment.window));
        let rest = segment.behind_syn();
        // Accurate ECN has counted it.
        let ecn = if self.has(Mark::ACCURATE_ECN) { EcnField::NotEct } else { rest.ecn };
        Segment { flags: rest.flags - ecn::ACE, window, ecn, ..rest }
    }

    /// PAWS, ahead of the first step (RFC 7323 section 5.3, R1).
    fn check_timestamps<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
    ) -> ControlFlow<Arrival<'f>> {
        let Some(state) = &mut self.timestamps else {
            return Continue(());
        };
        // RFC 7323 section 3.2 would have a segment without the option dropped silently. Linux
        // takes it: some middleboxes and old stacks leave the option out, and the connection
        // would never get anywhere.
        let Some(ts) = segment.options.timestamps else {
            return Continue(());
        };
        if state.is_old(ts, now) && !segment.has(Flags::RST) {
            self.on_unacceptable(now, segment);
            return Break(Arrival::NOTHING);
        }
        Continue(())
    }

    /// First step: the sequence number.
    fn check_sequence<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
    ) -> ControlFlow<Arrival<'f>> {
        let window = self.rcv.nxt.len_to(self.rcv.edge);
        if segment.has(Flags::RST) {
            let near = self.is_reset_at_fin(segment) || self.sacked_end() == Some(segment.seq);
            let inside = near || is_reset_in_window(segment.seq, self.rcv.nxt, window);
            return if inside { Continue(()) } else { Break(Arrival::NOTHING) };
        }
        // By the letter a segment that ends just before the window is not acceptable. As in Linux
        // its ACK counts: a peer that has missed ours and sends its last text again may have
        // heard more of us meanwhile. It is answered when that has been found right.
        let ends_before = !segment.is_empty() && segment.range().end == self.rcv.nxt;
        let adjacent = ends_before && segment.has(Flags::ACK);
        let acceptance = acceptance(segment.range(), self.rcv.nxt, window);
        if acceptance == Acceptance::Outside && !adjacent {
            self.on_unacceptable(now, segment);
            return Break(Arrival::NOTHING);
        }
        Continue(())
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply". One
    /// without text or FIN may be an answer to such an acknowledgment, so those are limited as
    /// challenges are (RFC 5961 section 7), as Linux does.
    fn on_unacceptable(&mut self, now: Instant, segment: &Segment<'_>) {
        if segment.is_empty() || segment.has(Flags::SYN) {
            if self.on_syn_again(segment) {
                self.challenge(now);
            }
        } else {
            if segment.seq.is_before(self.rcv.nxt) {
                self.note_twice(segment);
                if self.has(Mark::ACCURATE_ECN) {
                    self.note_reappearance(segment);
                }
            }
            self.ack.at_once();
        }
    }

    /// What of a segment has arrived before is reported to a peer that understands it (RFC 2883).
    fn note_twice(&mut self, segment: &Segment<'_>) {
        let (whole, size) = (segment.range(), segment.size().max(1));
        if !self.negotiated.sack {
            return;
        }
        // One segment after the other, where several have come as one.
        let mut start = whole.start;
        while start.is_before(whole.end) {
            let left = start.len_to(whole.end);
            // A FIN takes a sequence number, but no room.
            let len = if left <= size + u32::from(segment.has(Flags::FIN)) { left } else { size };
            let range = SeqRange::new(start, len);
            if self.recv_buffer.note_twice(self.rcv.nxt, range) {
                self.ack.at_once();
            }
            start = range.end;
        }
    }

    /// RFC 5961: the peer is asked to say where it stands, if it has not been asked just now.
    fn challenge(&mut self, now: Instant) {
        self.ack.challenge(now, self.settings.challenge_interval);
    }

    /// Second step: the RST bit (RFC 5961 section 3.2).
    fn check_reset<'f>(&mut self, now: Instant, segment: &Segment<'_>) -> ControlFlow<Arrival<'f>> {
        if !segment.has(Flags::RST) {
            return Continue(());
        }
        // A peer that aborts while some of its text is lost sends a reset behind all of it: where
        // the newest text ends that we have told it of is as hard to guess as RCV.NXT.
        let exact = segment.seq == self.rcv.nxt || self.sacked_end() == Some(segment.seq);
        if exact || self.is_reset_at_fin(segment) {
            self.end(match self.state {
                State::SynReceived => CloseReason::Refused,
                // Both have closed, and all that was sent has arrived: nothing is lost by it.
                State::Closing | State::LastAck if self.send_buffer.len() == 0 => {
                    CloseReason::Finished
                }
                _ => CloseReason::Reset,
            });
        } else {
            self.challenge(now);
        }
        Break(Arrival::NOTHING)
    }

    /// Where that ends which lies furthest beyond a hole, if the peer has been told of it.
    fn sacked_end(&self) -> Option<SeqNum> {
        self.recv_buffer.furthest().filter(|_| self.negotiated.sack)
    }

    /// A reset with the sequence number of the FIN that was received: as some stacks send it, which
    /// do not count their FIN. Linux takes it, too.
    fn is_reset_at_fin(&self, segment: &Segment<'_>) -> bool {
        let at_fin = segment.seq + 1 == self.rcv.nxt && self.state.peer_has_closed();
        at_fin && segment.has(Flags::RST)
    }

    /// Fourth step: the SYN bit (RFC 5961 section 4.2): in any synchronized state a challenge,
    /// whatever the sequence number. A peer that has restarted answers it with a reset.
    fn check_syn<'f>(&mut self, now: Instant, segment: &Segment<'_>) -> ControlFlow<Arrival<'f>> {
        if segment.has(Flags::SYN) {
            self.challenge(now);
            if self.has(Mark::ACCURATE_ECN) {
                self.on_syn_ack_again(segment);
            }
            return Break(Arrival::NOTHING);
        }
        Continue(())
    }

    /// Fifth step: the ACK field.
    fn check_ack<'f>(&mut self, now: Instant, segment: &Segment<'_>) -> ControlFlow<Arrival<'f>> {
        if !segment.has(Flags::ACK) {
            return Break(Arrival::NOTHING);
        }
        if self.state == State::SynReceived {
            if segment.ack != self.snd.nxt || self.snd.nxt == self.snd.iss {
                return Break(Arrival::STRAY);
            }
            self.marks -= Mark::SYN_OWED;
            self.become_established(now);
            self.answer_marked_syn(now);
            self.events |= Events::ESTABLISHED;
        }
        // RFC 5961 section 5.2: "(SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT"; anything else is
        // discarded and challenged, and so is an ACK of what lies before our first byte: no peer
        // has ever been able to send that once it was connected.
        let fin = self.snd.fin().is_some_and(|fin| self.snd.una.is_after(fin));
        let acked = u32::try_from(self.bytes_acked + u64::from(fin)).unwrap_or(u32::MAX);
        let oldest = self.snd.una - self.snd.max_wnd.min(acked);
        if segment.ack.is_after(self.snd.nxt) || segment.ack.is_before(oldest) {
            self.challenge(now);
            return Break(Arrival::NOTHING);
        }
        self.acknowledge(now, segment);
        if self.snd.fin().is_some_and(|fin| self.snd.una.is_after(fin)) {
            self.on_fin_acknowledged(now);
        }
        if self.state == State::Closed {
            return Break(Arrival::NOTHING);
        }
        // Only now: a blind attacker's segment has got no further than the check of its ACK, and
        // must not move TS.Recent (RFC 7323 section 4.3, step 2) nor count as a sign of life.
        // What ends just before the window has got in for its ACK alone (section 5.3, R2 before R3).
        let new = segment.is_empty() || segment.range().end != self.rcv.nxt;
        if let (Some(state), Some(ts)) = (&mut self.timestamps, segment.options.timestamps)
            && new
        {
            state.on_segment(ts, segment.seq, now);
        }
        self.last_heard = now;
        self.unanswered = 0;
        Continue(())
    }

    /// Everything we sent has arrived, the FIN too.
    fn on_fin_acknowledged(&mut self, now: Instant) {
        match self.state {
            State::FinWait1 => {
                self.go_to(State::FinWait2);
                if self.has(Mark::ORPHAN) {
                    self.start_fin_wait_2(now);
                }
            }
            State::Closing => self.enter_time_wait(),
            State::LastAck => self.end(CloseReason::Finished),
            _ => {}
        }
    }

    /// Sixth step: the URG bit (section 3.8.5): the mark is reported, the bytes stay in line.
    pub(super) fn check_urgent(&mut self, segment: &Segment<'_>) {
        if !segment.has(Flags::URG) || self.state.peer_has_closed() {
            return;
        }
        // RFC 6093 section 3.1 and RFC 9293: the pointer names the octet after the urgent data.
        let up = segment.seq + u32::from(segment.urgent);
        let newer = self.urgent.received().is_none_or(|old| up.is_after(old));
        if newer && up.is_after(self.rcv.nxt) {
            self.urgent.set_received(Some(up));
            self.events |= Events::URGENT;
        }
    }

    /// Forgets an urgent mark that the application has read past; it would come back in 2 GiB.
    pub(super) fn pass_urgent_mark(&mut self) {
        if self.urgent.received().is_some() && self.urgent_mark().is_none() {
            self.urgent.set_received(None);
        }
    }

    /// Seventh and eighth step: the text and the FIN.
    pub(super) fn take_text_and_fin<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Arrival<'f> {
        let text = self.trim(segment);
        if segment.seq.is_before(self.rcv.nxt) || self.recv_buffer.has_hole() {
            self.note_twice(segment);
        }
        if self.state.peer_has_closed() {
            // "This should not occur since a FIN has been received from the remote side. Ignore the
            // segment text." What is sent again owes an ACK.
            if !segment.is_empty() && segment.seq.is_before(self.rcv.nxt) {
                self.ack.at_once();
            }
            return Arrival::NOTHING;
        }
        let end = segment.seq + segment.payload.len() as u32;
        let new_text = !segment.payload.is_empty() && end.is_after(self.rcv.nxt);
        if self.has(Mark::ORPHAN) && self.state.is_synchronized() && new_text {
            // Section 3.6.1 (SHLD-3): nobody will read it, and the peer should know.
            self.end(CloseReason::Aborted);
            return Arrival::STRAY;
        }
        self.note_marks(segment, text.is_some());
        let in_order =
            segment.seq.is_at_or_before(self.rcv.nxt) && end.is_at_or_after(self.rcv.nxt);
        if segment.has(Flags::FIN) && in_order {
            // Nothing can lie beyond the FIN, whatever came before it, another FIN too.
            self.recv_buffer.forget_islands();
            self.rcv.fin = None;
        }
        let is_old_fin = segment.has(Flags::FIN) && end.is_before(self.rcv.nxt);
        let mut arrival = Arrival::NOTHING;
        if let Some((seq, text)) = text {
            self.right_size(now, segment);
            let size = segment.size();
            if segment.payload.len() > size as usize && text.len() < segment.payload.len() {
                // Of the segments that it stands for, some may be old or beyond the window.
                self.ack.soon();
            }
            let straight = hand_out && seq == self.rcv.nxt && self.recv_buffer.is_empty();
            if straight {
                let may_come_back = text.len() > self.recv_buffer.storable(self.room) as usize;
                self.hand_out(now, text.len() as u32, size);
                self.pass_urgent_mark();
                arrival.text = Some(text);
                if may_come_back {
                    // A FIN could not be taken back with the text that the application leaves.
                    return arrival;
                }
            } else if !self.take_text(now, seq, text, size) {
                return Arrival { refused: true, ..arrival };
            }
        } else if !segment.payload.is_empty() || is_old_fin {
            // Nothing of it was new, or the window is closed: say where we stand.
            self.ack.at_once();
        }
        self.check_fin(segment, end);
        arrival
    }

    /// What of the segment's text lies in the window, and where it starts.
    fn trim<'f>(&self, segment: &Segment<'f>) -> Option<(SeqNum, &'f [u8])> {
        let start = segment.seq.later(self.rcv.nxt);
        let end = (segment.seq + segment.payload.len() as u32).earlier(self.rcv.edge);
        // Nothing lies beyond a FIN that waits for what is missing before it.
        let end = self.rcv.fin.map_or(end, |fin| end.earlier(fin)).later(start);
        let before = segment.seq.len_to(start) as usize;
        let text = segment.payload.get(before..before + start.len_to(end) as usize)?;
        (!text.is_empty()).then_some((start, text))
    }

    /// Puts text into the receive buffer, which came in segments of `size` but for the last; what lies
    /// before RCV.NXT is left out. Answers false when there was not the memory for all of it: the peer
    /// sends the rest again.
    pub(super) fn take_text(&mut self, now: Instant, seq: SeqNum, text: &[u8], size: u32) -> bool {
        let known = seq.len_to(self.rcv.nxt) as usize;
        let Some(text) = text.get(known..).filter(|text| !text.is_empty()) else {
            return true;
        };
        let start = seq.later(self.rcv.nxt);
        let fits = self.recv_buffer.fits(self.rcv.nxt, start, text.len(), self.room);
        let (text, refused) = text.split_at(fits);
        let is_next = start == self.rcv.nxt;
        self.keep_text(now, start, text, size);
        if !refused.is_empty() && is_next {
            self.on_no_memory();
        }
        refused.is_empty()
    }

    /// Puts text into the receive buffer that there is memory for.
    fn keep_text(&mut self, now: Instant, seq: SeqNum, text: &[u8], size: u32) {
        let had_hole = self.recv_buffer.has_hole();
        let advanced = self.recv_buffer.insert(self.rcv.nxt, seq, text, self.rcv.fin);
        if advanced > 0 {
            self.advance_over_text(now, advanced, text.len() as u32, size);
            if self.state.is_synchronized() {
                self.events |= Events::READABLE;
            }
        }
        if had_hole || advanced == 0 {
            // RFC 5681 section 4.2: "an immediate duplicate ACK when an out-of-order segment
            // arrives", and at once when a segment fills a gap.
            self.ack.at_once();
        }
    }

    /// The next `len` bytes go to the application as they came, in segments of `size` but for the last.
    #[inline]
    pub(super) fn hand_out(&mut self, now: Instant, len: u32, size: u32) {
        self.advance_over_text(now, len, len, size);
        self.right_sizing.on_taken(len);
    }

    /// RCV.NXT moves over `advanced` bytes of text, because `len` bytes arrived in segments of `size`
    /// but for the last.
    fn advance_over_text(&mut self, now: Instant, advanced: u32, len: u32, size: u32) {
        self.rcv.nxt += advanced;
        self.bytes_received += u64::from(advanced);
        if self.rto.is_over(self.last_text, now) {
            self.end_silence();
        }
        self.last_text = now;
        if self.ack.on_text(advanced, len, size) && !self.timers.is_set(Timer::DelayedAck) {
            self.timers.set(Timer::DelayedAck, now + self.settings.delayed_ack);
        }
    }

    /// Text has come after a silence of as long as the peer's timer may run. If the peer only sends, it
    /// may be in slow start again. As in Linux.
    #[cold]
    fn end_silence(&mut self) {
        if self.last_sent <= self.last_text {
            self.ack.quicken();
        }
    }

    /// Eighth step: the FIN bit. One beyond a hole is remembered until the hole is filled.
    fn check_fin(&mut self, segment: &Segment<'_>, fin: SeqNum) {
        if segment.has(Flags::FIN) && self.may_be_the_fin(fin) {
            if fin != self.rcv.nxt {
                self.ack.at_once();
            }
            if fin == self.rcv.nxt || self.recv_buffer.note_fin(fin) {
                self.rcv.fin = Some(fin);
            }
        }
        self.take_fin();
    }

    /// Whether a FIN may stand there: in the window, and nothing that has arrived contradicts it.
    fn may_be_the_fin(&self, fin: SeqNum) -> bool {
        let in_window = fin.is_at_or_after(self.rcv.nxt) && fin.is_at_or_before(self.rcv.edge);
        let beyond = self.recv_buffer.furthest().is_some_and(|end| end.is_after(fin));
        in_window && !beyond && self.rcv.fin.is_none()
    }

    /// Moves over the peer's FIN if all text before it is here.
    pub(super) fn take_fin(&mut self) {
        if self.rcv.fin != Some(self.rcv.nxt) || !self.state.is_synchronized() {
            return;
        }
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt);
        self.recv_buffer.forget_islands();
        self.ack.soon();
        self.events |= Events::PEER_CLOSED;
        match self.state {
            State::Established => self.go_to(State::CloseWait),
            // Our FIN is not acknowledged, or the fifth step would have left FIN-WAIT-1.
            State::FinWait1 => self.go_to(State::Closing),
            State::FinWait2 => self.enter_time_wait(),
            _ => {}
        }
        if self.has(Mark::SHUT) && self.state == State::CloseWait {
            self.queue_fin();
        }
    }

    fn enter_time_wait(&mut self) {
        self.go_to(State::TimeWait);
        self.close_reason = Some(CloseReason::Finished);
        // "turn off the other timers"
        self.timers.stop_all();
        self.events |= Events::CLOSED;
    }
}

#[cfg(test)]
mod super_segments;

#[cfg(test)]
mod tests {
    use super::*;
    use Acceptance::{ClosedWindow, Inside, Outside};

    /// The four rows of the table, also with a window that wraps.
    #[test]
    fn the_acceptability_table() {
        for start in [SeqNum(1_000), SeqNum(u32::MAX - 49)] {
            let case = |offset: i32, len: u32, window: u32| {
                let seq = SeqNum(start.0.wrapping_add_signed(offset));
                acceptance(SeqRange::new(seq, len), start, window)
            };
            assert_eq!(case(0, 0, 0), Inside);
            assert_eq!(case(1, 0, 0), Outside);
            assert_eq!(case(-1, 0, 0), Outside);

            assert_eq!(case(0, 0, 100), Inside);
            assert_eq!(case(99, 0, 100), Inside);
            assert_eq!(case(100, 0, 100), Inside, "as Linux, and unlike the RFC's letter");
            assert_eq!(case(101, 0, 100), Outside);
            assert_eq!(case(-1, 0, 100), Outside);

            assert_eq!(case(0, 1, 0), ClosedWindow);
            assert_eq!(case(1, 1, 0), Outside);
            assert_eq!(case(-1, 1, 0), Outside);
            assert_eq!(case(-1, 2, 0), ClosedWindow, "the next byte is among its text");

            assert_eq!(case(0, 1, 100), Inside);
            assert_eq!(case(99, 10, 100), Inside);
            assert_eq!(case(100, 1, 100), Outside);
            assert_eq!(case(-10, 10, 100), Outside, "it ends just before the window");
            assert_eq!(case(-10, 11, 100), Inside);
            assert_eq!(case(-10, 200, 100), Inside, "it covers the window");
        }
    }
}
