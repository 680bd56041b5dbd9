//! What an acceptable ACK does: it takes segments out of the network, measures the path, and lets
//! recovery and the congestion controller draw their conclusions (RFC 9293 section 3.10.7.4, fifth
//! step; RFC 5681, RFC 6298, RFC 6582).

use super::congestion::{AckSample, Loss};
use super::ecn::Echo;
use super::flight::Delivery;
use super::rack::Evidence;
use super::recovery::Verdict;
use super::{Connection, Link, Mark, Timer, rto, timestamps};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Segment, SeqNum, SeqRange};

/// What one ACK says, for the mechanisms that live on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckReport {
    /// Sequence numbers acknowledged for the first time.
    pub(super) acked: u32,
    /// What it acknowledges or reports for the first time.
    pub(super) delivery: Delivery,
    /// Sequence numbers that it shows to be lost.
    pub(super) lost: u32,
    /// What it reports as received twice (RFC 2883).
    pub(super) twice: Option<SeqRange>,
    /// TSecr.
    pub(super) echo: Option<u32>,
    /// It echoes congestion (RFC 3168, RFC 9768).
    pub(super) echoes_congestion: bool,
    /// The round-trip time it measures.
    pub(super) rtt: Option<Duration>,
    /// Bytes in the network before it.
    pub(super) in_flight: u32,
    /// Bytes that limited transmit has answered duplicate ACKs with.
    pub(super) credit: u32,
}

impl AckReport {
    /// Whether SND.UNA moves.
    pub(super) fn advances(&self) -> bool {
        self.acked > 0
    }
}

impl Connection {
    /// Takes in the ACK and the window of an acceptable segment.
    pub(super) fn acknowledge(&mut self, now: Instant, segment: &Segment<'_>) {
        // The peer answers: whatever an ICMP error has said is over, as in Linux.
        self.icmp_error = None;
        let echo = self.look_for_echo(now, segment);
        let window = self.peer_window(segment);
        // The peer has been heard from: what waits for more has waited long enough (as Linux).
        self.marks -= Mark::HOLDS_BACK;
        let advances = segment.ack.is_after(self.snd.una);
        if advances {
            self.on_new_ack(now, segment, echo);
        } else {
            self.check_loss_probe(now, segment, false);
            if self.negotiated.sack {
                // Also below SND.UNA: an ACK that comes late reports what a later one need not.
                self.on_blocks(now, segment, echo);
            } else if self.is_duplicate(segment, window) {
                self.on_duplicate_ack(now);
            }
        }
        // "If SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)": newer than the
        // last update. An ACK that advances is newer as well, also on a segment that is sent again
        // and so starts further back: without its window the old one would move right with SND.UNA.
        let seq = segment.last_seq(self.rcv.edge);
        let newer = advances
            || self.snd.wl1.is_before(seq)
            || (self.snd.wl1 == seq && self.snd.wl2.is_at_or_before(segment.ack));
        if newer && self.snd.una.is_at_or_before(segment.ack) {
            if self.snd.wnd == 0 && window > 0 {
                self.timers.stop(Timer::Persist);
                self.persist_backoff = 0;
            }
            self.set_window(seq, segment.ack, window);
        }
        let old = segment.ack.is_before(self.snd.una);
        if self.snd.wnd == 0
            && !old
            && self.timers.is_set(Timer::Persist)
            && !self.has(Mark::ORPHAN)
        {
            // The peer has just said that its window is closed: it need not be asked so soon. (What
            // an old ACK says was said before.) The probes of an orphan are counted, and cannot be
            // put off (RFC 6429 section 3).
            self.timers.set(Timer::Persist, now + self.persist_interval());
        }
        if self.snd.wnd == 0 && !self.has(Mark::ORPHAN) {
            // The peer answers: retransmissions into a closed window do not count against it
            // (RFC 9293 section 3.8.6.1, MUST-37).
            self.retries = 0;
        }
    }

    /// The window field in bytes; that of a SYN is not scaled (RFC 7323 section 2.2).
    #[inline]
    pub(super) fn peer_window(&self, segment: &Segment<'_>) -> u32 {
        if segment.has(Flags::SYN) {
            u32::from(segment.window)
        } else {
            self.negotiated.send_scale.expand(segment.window)
        }
    }

    pub(super) fn set_window(&mut self, seq: SeqNum, ack: SeqNum, window: u32) {
        self.snd.wnd = window;
        self.snd.max_wnd = self.snd.max_wnd.max(window);
        self.snd.wl1 = seq;
        self.snd.wl2 = ack;
    }

    /// Takes in an ACK of something new.
    pub(super) fn on_new_ack(&mut self, now: Instant, segment: &Segment<'_>, echo: Echo) {
        // First, because it goes by the FlightSize of the loss, which the ACK ends.
        self.check_loss_probe(now, segment, true);
        let mut report = AckReport::default();
        self.take_in(now, segment, echo, &mut report);
        self.draw_conclusions(now, &mut report);
    }

    /// An ACK that acknowledges nothing new may report something (RFC 2018 section 5).
    #[cold]
    fn on_blocks(&mut self, now: Instant, segment: &Segment<'_>, echo: Echo) {
        if segment.options.sack.is_empty() || self.flight.is_empty() && self.recovery.is_quiet() {
            return;
        }
        let mut report = AckReport::default();
        self.take_in(now, segment, echo, &mut report);
        self.on_round_trip(now, &report);
        let grows = self.repair(now, &mut report)
            && self.recovery.reordering.is_seen()
            && report.delivery.len > 0;
        if grows || self.congestion.paces_recovery() {
            // Where segments overtake each other, SND.UNA stands still for a while and then moves
            // far: Linux, too, has the window grow meanwhile.
            self.grow(now, &report);
        }
        self.set_timers_for_report(now, &report);
        self.notice_room();
    }

    /// Whether the ACK says that a loss probe has repaired a loss, to which the congestion
    /// controller must respond as to any other (RFC 8985 section 7.4.2).
    #[inline]
    fn check_loss_probe(&mut self, now: Instant, segment: &Segment<'_>, advances: bool) {
        if self.tail_loss.is_probing() && self.ends_loss_probe(segment, advances) {
            self.on_repaired_by_probe(now);
        }
    }

    #[cold]
    fn on_repaired_by_probe(&mut self, now: Instant) {
        let flight_size = self.flight.size().min(self.cwnd());
        self.tell_loss_of_probed(now);
        // What ends there is what the probe has repeated.
        if self.recovery.has_reduced_since(self.tail_loss.end() - 1) {
            return;
        }
        let controller = self.congestion.get_mut();
        controller.on_loss(&Loss { now, flight_size });
        controller.on_recovered(flight_size);
        self.on_window_reduced();
    }

    /// Fast recovery begins. The congestion controller is told, unless the loss is `excused`: the window
    /// has been reduced for a mark in the same window of data.
    pub(super) fn answer_loss(&mut self, loss: &Loss, excused: bool) {
        if excused {
            // There is nothing that CWR could tell. A mark that shows while this is repaired waits.
            self.put_off_reduction();
        } else {
            self.congestion.get_mut().on_loss(loss);
            self.on_window_reduced();
        }
    }

    fn ends_loss_probe(&mut self, segment: &Segment<'_>, advances: bool) -> bool {
        let blocks = segment.options.sack;
        let first = blocks.as_slice().first().map(|block| block.end);
        // RFC 2883 section 4: a first block that is acknowledged already.
        let twice = first.filter(|end| end.is_at_or_before(segment.ack));
        let repeats = !advances && segment.is_empty() && first.is_none();
        self.tail_loss.on_ack(segment.ack, repeats, twice)
    }

    /// Takes in what an ACK reports and acknowledges; what follows from it is still to be drawn. The
    /// `report`, which is empty before, is written where it stays: moving it costs as much as all else.
    #[inline]
    fn take_in(&mut self, now: Instant, segment: &Segment<'_>, echo: Echo, report: &mut AckReport) {
        let stamps = segment.options.timestamps.filter(|_| self.timestamps.is_some());
        let evidence = Evidence {
            now,
            min_rtt: self.rto.min_rtt(),
            echo: stamps.map(|stamps| (stamps.echo, self.ts_offset)),
        };
        self.begin_sample();
        report.in_flight = self.in_network();
        let delivery = &mut report.delivery;
        self.flight.begin_delivery(delivery);
        report.twice = self.take_blocks(segment, &evidence, delivery);
        if segment.ack.is_after(self.snd.una) {
            report.acked = self.snd.una.len_to(segment.ack);
            self.move_una(now, segment.ack, &evidence, delivery);
        }
        if delivery.len > 0 {
            self.flight.note_delivery(now, delivery);
        }
        // Karn's algorithm (RFC 6298 section 3): segments sent once give a sample, to the
        // nanosecond. If one of them was sent twice, those behind it have waited for it at the
        // peer, unless it reports them by themselves; the echoed timestamp then tells, in
        // milliseconds, which transmission has arrived.
        let once = delivery.sent_at.filter(|_| !delivery.retransmitted);
        report.rtt = match once.or(delivery.sacked_sent_at) {
            Some(sent_at) => Some(now.since(sent_at)),
            None if delivery.retransmitted => {
                stamps.and_then(|stamps| timestamps::rtt(stamps, self.ts_clock(now)))
            }
            None => None,
        };
        report.echoes_congestion = match echo {
            Echo::No => false,
            Echo::Yes => true,
            Echo::Counted(before) => self.on_feedback(now, segment, before, report.acked),
        };
        report.echo = stamps.map(|stamps| stamps.echo);
        report.credit = self.recovery.credit();
    }

    /// Sequence numbers held to be in the network still. The records reach from SND.UNA to SND.NXT, so
    /// that none of them has to be looked at.
    #[inline]
    pub(super) fn in_network(&self) -> u32 {
        let sent = self.snd.una.len_to(self.snd.nxt);
        let in_network = sent.saturating_sub(self.flight.out_of_network());
        debug_assert_eq!(in_network, self.flight.in_network());
        in_network
    }

    /// Moves SND.UNA to `ack`.
    #[inline]
    fn move_una(
        &mut self,
        now: Instant,
        ack: SeqNum,
        evidence: &Evidence,
        delivery: &mut Delivery,
    ) {
        // SYN and FIN occupy sequence numbers, but no bytes of the buffer.
        let text = (self.text_start().len_to(ack) as usize).min(self.send_buffer.len());
        if text > 0 {
            self.send_buffer.release(text);
        }
        self.bytes_acked += text as u64;
        self.flight.on_ack(ack, evidence, delivery);
        if !self.snd.syn_acked && delivery.retransmitted {
            self.on_lost_syn(now);
        }
        self.snd.syn_acked = true;
        self.snd.una = ack;
        self.forget_reduction();
        self.retries = 0;
        if self.urgent.sent().is_some_and(|up| up.is_at_or_before(ack)) {
            self.urgent.set_sent(None);
        }
        self.notice_room();
    }

    /// The handshake is over, and our SYN had to be sent again: because nothing came, or because the
    /// peer's came again, from which Linux concludes the same.
    fn on_lost_syn(&mut self, now: Instant) {
        self.rto.after_lost_syn();
        // RFC 5681 section 3.1 starts such a connection with a window of one segment; RFC 6928
        // section 2 from the second loss on, because the initial timeout is one second and no
        // longer three.
        if self.retries > 1 {
            self.congestion.get_mut().on_timeout(&Loss { now, flight_size: 0 }, false);
        }
    }

    /// Notes the round-trip time, if one was measured.
    #[inline]
    fn on_round_trip(&mut self, now: Instant, report: &AckReport) {
        if let Some(rtt) = report.rtt {
            let frequency = rto::frequency(report.in_flight, self.snd.mss.into());
            self.rto.on_sample(now, rtt, frequency);
            self.tail_loss.on_sample();
        }
    }

    /// Feeds the report to the timer, to recovery and to the congestion controller, in that order.
    fn draw_conclusions(&mut self, now: Instant, report: &mut AckReport) {
        self.on_round_trip(now, report);
        let grows = if self.negotiated.sack {
            self.repair(now, report)
        } else {
            self.repair_blindly(now, report)
        };
        if grows || self.congestion.paces_recovery() {
            self.grow(now, report);
        }
        if self.flight.is_empty() && !self.congestion.can_rest() {
            // RFC 6298 section 5.2
            self.timers.stop(Timer::Retransmit);
        } else {
            // RFC 6298 section 5.3. With nothing in flight it tells the congestion controller of a
            // pause (RFC 5681 section 4.1).
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        }
        if self.flight.has_reneged() {
            self.hurry_after_reneging(now);
        }
        self.schedule_loss_probe(now);
        self.restart_user_timer(now);
    }

    /// Where the peer does not report what it has received (RFC 6582). Answers whether the window
    /// may grow: not in fast recovery, nor by the ACK that ends it and has set it (section 3.2, step
    /// 3): growing by all that it acknowledges would make the burst that the choice of that window
    /// avoids.
    fn repair_blindly(&mut self, now: Instant, report: &AckReport) -> bool {
        let mss = self.effective_mss();
        let verdict = self.recovery.on_new_ack(self.snd.una, report.acked, mss);
        match verdict {
            Verdict::PartialAck => {
                self.flight.mark_first_lost();
                self.tell_losses(now);
            }
            Verdict::LeaveFastRecovery => {
                let left = self.flight.size();
                self.congestion.get_mut().on_recovered(left);
            }
            Verdict::Normal | Verdict::EnterFastRecovery => {}
        }
        self.recovery.end_reduction(self.snd.una, self.snd.nxt);
        self.reduce_in_proportion(report);
        verdict == Verdict::Normal && !self.recovery.reduces()
    }

    /// The congestion window may grow, if that is what holds us back. RFC 3168 section 6.1.2: it
    /// should not by an ACK that echoes congestion.
    fn grow(&mut self, now: Instant, report: &AckReport) {
        if report.echoes_congestion && !self.congestion.paces_recovery() {
            return;
        }
        let (cwnd, ssthresh) = (self.congestion.cwnd(), self.congestion.ssthresh());
        let cwnd_limited = self.window_use.lets_grow(cwnd, cwnd < ssthresh);
        if !cwnd_limited && self.congestion.on_ack_within_window(now) {
            return;
        }
        let sample = AckSample {
            now,
            // What duplicate ACKs have announced has let new segments out already.
            acked: report.delivery.len.saturating_sub(report.credit),
            newly_delivered: report.delivery.len,
            newly_lost: report.lost,
            prior_in_flight: report.in_flight,
            in_flight: self.in_network(),
            delivered: self.bytes_acked + u64::from(self.flight.sacked()),
            rtt: report.rtt,
            srtt: self.rto.srtt(),
            cwnd_limited,
            in_recovery: self.recovery.repairs(),
            has_sack: self.negotiated.sack,
            echoes_congestion: report.echoes_congestion,
            rate: None,
        };
        if self.has(Mark::METERED) {
            return self.tell_measured_ack(sample);
        }
        self.congestion.get_mut().on_ack(&sample);
    }

    /// RFC 5681 section 2: outstanding data, no text, neither SYN nor FIN, the same ACK and the
    /// same window.
    fn is_duplicate(&self, segment: &Segment<'_>, window: u32) -> bool {
        segment.ack == self.snd.una
            && !self.flight.is_empty()
            && segment.is_empty()
            && window == self.snd.wnd
    }

    fn on_duplicate_ack(&mut self, now: Instant) {
        let mss = self.effective_mss();
        let excused = self.recovery.has_reduced_since(self.snd.una);
        let verdict = self.recovery.on_duplicate(self.snd.una, self.snd.nxt, mss);
        if verdict == Verdict::EnterFastRecovery {
            // RFC 5681 section 3.2 step 2: what limited transmit has sent does not count.
            let flight_size = self.flight.size().min(self.cwnd());
            self.flight.mark_first_lost();
            self.tell_losses(now);
            self.answer_loss(&Loss { now, flight_size }, excused);
            self.tail_loss.forget();
            self.timers.stop(Timer::LossProbe);
            self.timers.set(Timer::Retransmit, self.rto.due(now));
        }
    }

    /// The path carries packets of `mtu` bytes only: what was too large is sent again, in smaller
    /// pieces and at once (RFC 1191 section 6.4, RFC 8201 section 5.4), and what followed it as after
    /// a timeout: slow start takes the place of the ACK clock, which has stopped.
    pub(crate) fn on_packet_too_big(&mut self, mtu: usize) {
        let before = self.snd.mss;
        self.link = Link::new(self.link.mtu.into(), mtu);
        self.update_mss();
        if self.snd.mss < before && self.flight.has_larger(self.effective_mss()) {
            self.recovery.on_shrunk_path(self.snd.nxt);
            self.congestion.get_mut().on_shrunk_path();
            self.flight.mark_all_lost();
            self.flight.keep_lost_quiet();
            self.stop_loss_detection();
        }
    }

    /// Whether a quoted sequence number is believable (RFC 5927 section 4.1).
    pub(crate) fn is_in_flight(&self, seq: SeqNum) -> bool {
        self.snd.una.is_at_or_before(seq) && seq.is_before(self.snd.nxt)
    }
}
