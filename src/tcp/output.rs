//! Choosing and building what goes out: the one place where segments are made (RFC 9293 sections
//! 3.7.4, 3.8.6.2.1, 3.10.2).

use core::num::NonZeroU16;

use super::outgoing::{Outgoing, Text};
use super::recovery::Phase;
use super::{Connection, Mark, State, Timer};
use crate::time::{Duration, Instant};
use crate::wire::{EcnField, Flags, Options, SeqNum, SeqRange, WindowScale};

/// The most text of a super-segment: what fits into an IP packet behind the longest headers.
pub(crate) const MOST_TEXT: u32 = 65_535 - 20 - 60;

/// New text that goes out: a segment, which may be one of several that go out together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    pub(super) range: SeqRange,
    /// Another may go out behind it in one super-segment: it is as long as a segment can be, has no
    /// FIN, and ends no burst.
    may_be_followed: bool,
    /// A burst of several ends with it.
    pushes: bool,
    /// Another full-sized segment can follow at once.
    more: bool,
}

impl Connection {
    /// The text of a segment that [`poll_transmit`](Self::poll_transmit) gave, before anything
    /// else happens to the connection.
    pub(crate) fn text(&self, text: Text) -> [&[u8]; 2] {
        self.send_buffer.slices(text.0, text.1)
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something to send.
    pub(crate) fn may_transmit(&self) -> bool {
        if self.close_reason.is_some() {
            return self.has(Mark::RESET_OWED);
        }
        if self.marks.intersects(Mark::SYN_OWED | Mark::METERED) {
            if self.has(Mark::SYN_OWED) {
                return true;
            }
            if self.waits_for_pacer() {
                return self.ack.is_due() || self.probe_owed.is_some();
            }
        }
        let unsent = self.snd.nxt != self.text_end() && !self.snd.fin_sent;
        unsent
            || self.ack.is_due()
            || self.flight.has_lost()
            || self.probe_owed.is_some()
            || self.owes_fin()
    }

    /// The next segment that is owed, or new segments that come one behind the other, as many as
    /// carry `most` bytes of text at the most, but one in any case. The state has advanced when it
    /// returns: a segment that then gets lost on the way to the device is lost as on any link.
    pub(crate) fn poll_transmit(&mut self, now: Instant, mut most: u32) -> Option<Outgoing> {
        if matches!(self.state, State::Closed | State::TimeWait) {
            return self.take_reset(now);
        }
        let opens = Mark::SYN_OWED | Mark::HANDSHAKE_ACK;
        if self.marks.intersects(opens | Mark::METERED) {
            if self.marks.intersects(opens) {
                return Some(self.send_opening(now));
            }
            most = most.min(self.allowed_by_pacer(now));
            if self.waits_for_pacer() {
                return self.poll_beside_pacer(now);
            }
        }
        if self.state == State::SynSent {
            return None;
        }
        let repairs = self.flight.has_lost();
        if repairs && let Some(range) = self.next_retransmission() {
            return Some(self.send_again(now, range));
        }
        if let Some(probe) = self.probe_owed.take()
            && let Some(outgoing) = self.send_probe(now, probe)
        {
            return Some(outgoing);
        }
        if self.state != State::SynReceived
            && (!repairs || self.recovery.wants_new_text())
            && let Some(outgoing) = self.send_new(now, most)
        {
            return Some(outgoing);
        }
        if repairs && let Some(outgoing) = self.go_on_repairing(now) {
            return Some(outgoing);
        }
        if self.ack.is_due() {
            return Some(self.bare_ack(now));
        }
        None
    }

    /// What does not wait for the pacer: a probe, an ACK.
    #[cold]
    fn poll_beside_pacer(&mut self, now: Instant) -> Option<Outgoing> {
        let probe = self.probe_owed.take().and_then(|probe| self.send_probe(now, probe));
        probe.or_else(|| self.ack.is_due().then(|| self.bare_ack(now)))
    }

    fn bare_ack(&mut self, now: Instant) -> Outgoing {
        let seq = self.acceptable_seq();
        self.finish(now, seq, Flags::empty(), (0, 0), None)
    }

    /// The reset that is owed.
    fn take_reset(&mut self, now: Instant) -> Option<Outgoing> {
        let owed = self.has(Mark::RESET_OWED);
        self.marks -= Mark::RESET_OWED;
        owed.then(|| self.reset(now))
    }

    /// SND.NXT, or where the peer's window ends if it has taken the window back below that: it
    /// would not accept anything beyond (as Linux's `tcp_acceptable_seq`).
    pub(super) fn acceptable_seq(&self) -> SeqNum {
        self.snd.nxt.earlier(self.snd.una + self.snd.wnd).later(self.snd.una)
    }

    /// The reset that an abort sends, which the peer will accept (RFC 9293 section 3.10.5, RFC 5961
    /// section 3).
    fn reset(&mut self, now: Instant) -> Outgoing {
        let (seq, ack) = (self.acceptable_seq(), self.rcv.nxt);
        // RFC 7323 section 3.2: the option should be in a reset as well.
        let clock = self.ts_clock(now);
        let timestamps = self.timestamps.as_mut().map(|state| state.stamp(clock, ack));
        let options = Options { timestamps, ..Options::default() };
        let flags = Flags::RST | Flags::ACK | self.ace();
        Outgoing { seq, ack, flags, options, ..Outgoing::default() }
    }

    /// A SYN, or a SYN,ACK in a simultaneous open.
    pub(super) fn send_syn(&mut self, now: Instant) -> Outgoing {
        self.marks -= Mark::SYN_OWED;
        let again = self.snd.nxt != self.snd.iss;
        // The SYN,ACK of a simultaneous open repeats a SYN that nobody takes for lost. What
        // acknowledges it may answer either, and the RTT counts from the first.
        let crossed = again && self.state == State::SynReceived && self.retries == 0;
        let retransmission = again && !crossed;
        if retransmission {
            self.retransmissions = self.retransmissions.saturating_add(1);
            self.flight.on_first_sent_again(now);
        } else if !again {
            self.on_sent_syn(now);
        }
        self.timers.start(Timer::Retransmit, self.rto.due(now));
        if !self.timers.is_set(Timer::User) {
            self.restart_user_timer(now);
        }
        let mut outgoing = Outgoing {
            seq: self.snd.iss,
            flags: Flags::SYN | self.ecn_setup_flags(again),
            // That of a SYN is not scaled (RFC 7323 section 2.2).
            window: WindowScale::default().compress(self.rcv.nxt.len_to(self.rcv.edge)),
            options: self.syn_options(now),
            retransmission,
            ..Outgoing::default()
        };
        if self.state == State::SynReceived {
            outgoing.flags |= Flags::ACK;
            outgoing.ack = self.rcv.nxt;
            outgoing.options.ecn = self.syn_ack_counters();
            self.ack.on_sent();
        }
        outgoing
    }

    /// If new text was to go out in the place of what is held to be lost (RFC 5682 section 3.1, step
    /// 2b), it has; where there was none that the windows let out, repairs go on.
    #[cold]
    fn go_on_repairing(&mut self, now: Instant) -> Option<Outgoing> {
        if !self.recovery.wants_new_text() {
            return None;
        }
        self.recovery.on_new_text(self.snd.nxt);
        let range = self.next_retransmission()?;
        Some(self.send_again(now, range))
    }

    /// What is held to be lost and may be sent again now.
    fn next_retransmission(&mut self) -> Option<SeqRange> {
        if self.recovery.holds_back() {
            return None;
        }
        let mss = self.effective_mss();
        let mut range = self.flight.next_lost(mss + 1)?;
        // The FIN takes a sequence number, but no room.
        if range.len() > mss && self.snd.fin() != Some(range.end - 1) {
            range.end = range.start + mss;
        }
        let in_network = self.flight.in_network();
        // Fast retransmit does not wait for the window (RFC 5681 section 3.2, step 2), nor does the
        // first segment after a timeout; slow start decides how much may follow. Where the peer
        // reports what it has, the window of recovery lets the first one out.
        let first = match self.recovery.phase() {
            Phase::Fast => !self.negotiated.sack,
            Phase::Timeout => true,
            Phase::Open | Phase::Reduced | Phase::Shrunk => false,
        };
        let may = (first && range.start == self.snd.una)
            || in_network == 0
            || in_network + range.len() <= self.cwnd();
        if !may {
            self.note_window_use(in_network, true);
        }
        may.then_some(range)
    }

    /// Notes how much of the congestion window is in use; `full` when something has to wait for it.
    #[inline]
    fn note_window_use(&mut self, in_network: u32, full: bool) {
        let full = full || in_network + self.effective_mss() > self.cwnd();
        self.window_use.note(self.snd.una, self.snd.nxt, in_network, full);
    }

    pub(super) fn send_again(&mut self, now: Instant, range: SeqRange) -> Outgoing {
        if self.timestamps.is_some() && self.recovery.reordering.is_seen() {
            let window = self.reordering_window();
            self.flight.on_overtaking(now, window);
        }
        self.flight.on_retransmitted(range, now);
        self.note_resent(now, range);
        if range.start == self.snd.una && self.negotiated.sack {
            // The oldest segment has just been sent: as in Linux the timer starts over.
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        } else {
            self.timers.start(Timer::Retransmit, self.rto.due(now));
        }
        self.schedule_loss_probe(now);
        let outgoing = self.send_range(now, range, Flags::empty(), None);
        Outgoing { retransmission: true, ..outgoing }
    }

    /// Something is sent again.
    pub(super) fn note_resent(&mut self, now: Instant, range: SeqRange) {
        self.retransmissions = self.retransmissions.saturating_add(1);
        self.recovery.on_sent(range.len());
        self.recovery.on_resent(range.len(), self.ts_clock(now));
    }

    /// The segment that carries `range`, with the FIN if `range` reaches over it; if it has not
    /// been sent before, `size` is what each segment of it takes, but the last.
    #[inline]
    pub(super) fn send_range(
        &mut self,
        now: Instant,
        range: SeqRange,
        mut flags: Flags,
        size: Option<u32>,
    ) -> Outgoing {
        let mut len = range.len();
        if self.snd.fin().is_some_and(|fin| range.contains(fin)) {
            flags |= Flags::FIN;
            len -= 1;
        }
        if len > 0 {
            // RFC 5681 section 4.1: what is sent again starts the ACK clock as well (Linux, too,
            // counts it, and not a FIN alone).
            self.last_sent = now;
            if self.has(Mark::METERED) {
                self.note_paced(now, len);
            }
        }
        let offset = self.text_start().len_to(range.start);
        // RFC 9293 section 3.9.1.2 (MUST-60, MUST-61): nothing queued is left behind this, and the
        // application has not said that more is to follow.
        if len > 0 && range.start + len == self.text_end() && !self.has(Mark::MORE_FOLLOWS) {
            flags |= Flags::PSH;
        }
        self.finish(now, range.start, flags, (offset as usize, len as usize), size)
    }

    /// New text, the FIN, or both. Full-sized segments that may go out at once are put together up
    /// to `most` bytes of text, and with them what is left over; each counts by itself in all else.
    fn send_new(&mut self, now: Instant, most: u32) -> Option<Outgoing> {
        let first = self.take_new(now, false)?;
        let last = if first.may_be_followed { self.take_behind(now, first, most) } else { first };
        let range = SeqRange { start: first.range.start, end: last.range.end };
        Some(self.send_taken(now, range, first.range.len(), &last))
    }

    /// Takes what may go out in one super-segment with `first`, of `most` bytes of text in all. Answers
    /// what is the last of it.
    fn take_behind(&mut self, now: Instant, first: Fresh, most: u32) -> Fresh {
        // The urgent pointer counts from where a segment starts, and what has come twice is told once.
        let may_grow = self.urgent.sent().is_none_or(|up| up.is_at_or_before(first.range.start))
            && self.recv_buffer.twice().is_none()
            && self.feedback_bears_cutting();
        if !may_grow {
            return first;
        }
        let mut last = first;
        let size = first.range.len();
        let left = |last: &Fresh| most.saturating_sub(first.range.start.len_to(last.range.end));
        if first.more {
            last = self.take_full(now, first, left(&first) / size);
        }
        while last.may_be_followed
            && size <= left(&last)
            && let Some(next) = self.take_new(now, false)
        {
            last = next;
        }
        last
    }

    /// What has been taken goes out as `range`, which ends with `last`, in segments of this size.
    pub(super) fn send_taken(
        &mut self,
        now: Instant,
        range: SeqRange,
        size: u32,
        last: &Fresh,
    ) -> Outgoing {
        if self.settings.not_sent_low_water < u32::MAX {
            // Sending makes room, too.
            self.notice_room();
        }
        if !self.timers.is_set(Timer::Retransmit) {
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        }
        if self.settings.user_timeout.is_some() && !self.timers.is_set(Timer::User) {
            self.restart_user_timer(now);
        }
        if !last.more {
            self.schedule_loss_probe(now);
        }
        let flags = if last.pushes { Flags::PSH } else { Flags::empty() };
        self.send_range(now, range, flags, Some(size))
    }

    /// Takes the next segment of new text, with the FIN behind it or alone, into the flight, if it
    /// may go out; a probe waits neither for a full segment nor for the congestion window.
    pub(super) fn take_new(&mut self, now: Instant, probing: bool) -> Option<Fresh> {
        if self.snd.fin_sent {
            return None;
        }
        let unsent = self.snd.nxt.len_to(self.text_end());
        let closing = self.fin_is_due();
        if unsent == 0 && !closing {
            return None;
        }
        let window_end = self.snd.una + self.snd.wnd;
        let usable = self.snd.nxt.len_to(window_end);
        let most = self.most_text();
        let len = unsent.min(usable).min(most);
        let all = len == unsent;
        if !probing && !self.is_worth_sending(len, all, most, closing) {
            self.wait_for_window(now);
            return None;
        }
        if len > 0
            && !probing
            && let Some(wait) = self.held_for(now)
        {
            self.timers.start(Timer::Persist, now + wait);
            return None;
        }
        let in_network = self.flight.in_network();
        if len > 0 && !probing && !self.congestion_allows(in_network, len) {
            self.note_window_use(in_network, true);
            return None;
        }
        // The FIN takes a sequence number, and so room in the window.
        let fin = closing && all && usable > len;
        if len == 0 && !fin {
            self.wait_for_window(now);
            return None;
        }
        if self.flight.is_empty() {
            // It may be waiting for a pause to be over.
            self.timers.stop(Timer::Retransmit);
            if self.is_restart() {
                self.congestion.on_restart(now);
            }
            if self.settings.slow_start_after_idle && self.rto.is_over(self.last_sent, now) {
                // RFC 5681 section 4.1: the ACK clock has stopped.
                self.congestion.get_mut().on_idle();
            }
        }
        self.marks -= Mark::OVERRIDE_SMALL_WINDOW;
        if all {
            self.marks -= Mark::FLUSHES;
        }
        self.timers.stop(Timer::Persist);
        let range = SeqRange::new(self.snd.nxt, len + u32::from(fin));
        self.snd.fin_sent = fin;
        if len > 0 && len < most {
            self.snd.small = self.snd.nxt + len;
        }
        // Whether another full-sized segment can follow at once.
        let more = len == most
            && !probing
            && unsent.min(usable) - len >= len
            && self.congestion_allows(in_network + len, len);
        let full = len == most && !probing;
        let pushes = full && self.ends_burst(more);
        self.snd.nxt = range.end;
        self.flight.on_sent(range, now);
        self.recovery.on_sent(range.len());
        self.note_window_use(in_network + range.len(), false);
        Some(Fresh { range, may_be_followed: full && !fin && !pushes, pushes, more })
    }

    /// Takes at most `most` full-sized segments behind `last`, behind which there is `more`: what
    /// [`take_new`](Self::take_new) would do for each of them, since what has let that one out lets
    /// them out, too.
    fn take_full(&mut self, now: Instant, mut last: Fresh, most: u32) -> Fresh {
        let size = last.range.len();
        let window_end = self.snd.una + self.snd.wnd;
        let sendable = self.snd.nxt.len_to(self.text_end().earlier(window_end));
        let in_network = self.flight.in_network();
        let allowed = self.congestion_window().saturating_sub(in_network);
        let full = sendable.min(allowed) / size;
        // Where the text ends there may be a FIN.
        let taken = full.min(most).min((self.unsent() - 1) / size);
        for left in (full - taken..full).rev() {
            let range = SeqRange::new(self.snd.nxt, size);
            self.snd.nxt = range.end;
            self.flight.on_sent(range, now);
            self.recovery.on_sent(size);
            let more = left > 0;
            let pushes = self.ends_burst(more);
            last = Fresh { range, may_be_followed: !pushes, pushes, more };
            if pushes {
                break;
            }
        }
        self.note_window_use(self.flight.in_network(), false);
        last
    }

    /// Whether the full-sized segment that goes out is the last of a burst of several; `more` tells
    /// whether another can follow at once.
    fn ends_burst(&mut self, more: bool) -> bool {
        let least = u32::from(self.settings.least_burst);
        if least == 0 {
            return false;
        }
        if self.burst.is_new() {
            self.burst.start(self.cwnd(), self.effective_mss(), self.rto.srtt_nanos(), least);
        }
        self.burst.on_full(more)
    }

    fn fin_is_due(&self) -> bool {
        matches!(self.state, State::FinWait1 | State::LastAck | State::Closing)
    }

    /// Whether the FIN is still to be sent.
    pub(super) fn owes_fin(&self) -> bool {
        self.fin_is_due() && !self.snd.fin_sent
    }

    /// Nagle and the sender's side of silly-window avoidance (RFC 9293 sections 3.7.4 and
    /// 3.8.6.2.1), for `len` bytes that the window lets out, out of a full `most`.
    fn is_worth_sending(&self, len: u32, all: bool, most: u32, closing: bool) -> bool {
        if len == most || (all && closing) {
            return true;
        }
        if !all {
            // The window holds back the rest: send if it is at least half of what the peer has
            // ever offered, or the override timer has run out.
            return len > 0
                && (len >= self.snd.max_wnd / 2 || self.has(Mark::OVERRIDE_SMALL_WINDOW));
        }
        if self.marks.intersects(Mark::OVERRIDE_SMALL_WINDOW | Mark::FLUSHES) {
            return true;
        }
        let urgent = self.urgent.sent().is_some_and(|up| up.is_after(self.snd.nxt));
        if self.settings.cork || self.has(Mark::HOLDS_BACK) {
            return urgent;
        }
        // Nagle's algorithm in Minshall's form, as in Linux: a small segment waits only for
        // another small one, not for full ones in flight.
        let small_in_flight =
            self.snd.small.is_after(self.snd.una) && self.snd.small.is_at_or_before(self.snd.nxt);
        self.settings.no_delay || urgent || !small_in_flight
    }

    /// Whether `len` bytes more may follow the `in_network` that are there already.
    #[inline]
    fn congestion_allows(&self, in_network: u32, len: u32) -> bool {
        in_network == 0 || in_network.saturating_add(len) <= self.congestion_window()
    }

    /// Bytes that may be in the network.
    #[inline]
    fn congestion_window(&self) -> u32 {
        self.cwnd().saturating_add(self.recovery.credit())
    }

    /// Something waits for the peer's window. While anything is in flight its ACK will tell;
    /// otherwise the persist timer has to ask, and in time overrides a window too small to be
    /// worth filling (RFC 9293 section 3.8.6.2.1: 0.1 to 1 second).
    fn wait_for_window(&mut self, now: Instant) {
        if !self.flight.is_empty() || self.timers.is_set(Timer::Persist) {
            return;
        }
        let wait = if self.snd.wnd == 0 {
            self.persist_interval()
        } else {
            self.rto.base().min(Duration::from_secs(1))
        };
        self.timers.set(Timer::Persist, now + wait);
        if !self.timers.is_set(Timer::User) {
            self.restart_user_timer(now);
        }
    }

    /// Every segment of a synchronized connection goes through here, so that each carries the
    /// right ACK, window, timestamps and SACK blocks.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        seq: SeqNum,
        mut flags: Flags,
        text: Text,
        size: Option<u32>,
    ) -> Outgoing {
        flags |= Flags::ACK;
        let mut ecn = EcnField::NotEct;
        let len = (text.1 as u32).min(size.unwrap_or(u32::MAX));
        if let Some(state) = &mut self.ecn {
            let stamped = state.stamp(size.is_some() && text.1 > 0);
            (flags, ecn) = (flags | stamped.0, stamped.1);
        }
        let options = if self.has(Mark::ACCURATE_ECN) {
            self.options_with_counters(now, len, len > 0 && size.is_none())
        } else {
            self.options_beside(now, len)
        };
        let mut urgent = 0;
        if let Some(up) = self.urgent.sent().filter(|up| up.is_after(seq)) {
            flags |= Flags::URG;
            urgent = u16::try_from(seq.len_to(up)).unwrap_or(u16::MAX);
        }
        let several = size.filter(|&size| text.1 as u32 > size);
        let window = self.announce_window();
        self.ack.on_sent();
        self.timers.stop(Timer::DelayedAck);
        Outgoing {
            seq,
            ack: self.rcv.nxt,
            flags,
            window,
            urgent,
            options,
            ecn,
            text,
            // A segment's text fits into 16 bits.
            segment_size: several.and_then(|size| NonZeroU16::new(size as u16)),
            retransmission: false,
        }
    }

    /// The window field, with silly-window avoidance on our side (RFC 9293 section 3.8.6.2.2).
    ///
    /// The right edge never moves left. Where the scale would round it down it is rounded up, as
    /// long as the buffer has a quarter of its size to spare for that; a peer that sends
    /// crumbs to a reader that does not read then sees the edge go back by less than one unit of
    /// the scale (RFC 7323 section 2.4), and what was promised is still accepted.
    fn announce_window(&mut self) -> u16 {
        let scale = self.negotiated.recv_scale;
        let unit = 1u32 << scale.shift();
        let announced = self.rcv.nxt.len_to(self.told_edge());
        let free = self.recv_buffer.free(self.room);
        if free > announced && free - announced >= self.window_step() {
            let field = scale.compress(free);
            self.tell_edge(self.told_edge().later(self.rcv.nxt + scale.expand(field)));
            return field;
        }
        let up = scale.compress(announced.saturating_add(unit - 1));
        if scale.expand(up) <= free + self.recv_buffer.limit_within(self.room) / 4 {
            self.tell_edge(self.told_edge().later(self.rcv.nxt + scale.expand(up)));
            return up;
        }
        scale.compress(announced)
    }
}

#[cfg(test)]
mod tests;
