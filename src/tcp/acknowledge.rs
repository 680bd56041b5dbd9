//! What an acceptable ACK does: it takes segments out of the network, measures the path, and lets
//! recovery and the congestion controller draw their conclusions (RFC 9293 section 3.10.7.4, fifth
//! step; RFC 5681, RFC 6298, RFC 6582).

use super::congestion::{AckSample, Loss};
use super::recovery::{Phase, Verdict};
use super::{Connection, Link, Timer, timestamps};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Segment, SeqNum};

/// What one ACK says, for the mechanisms that live on it.
#[derive(Clone, Copy, Debug)]
struct AckReport {
    /// Sequence numbers acknowledged for the first time.
    acked: u32,
    /// The round-trip time it measures.
    rtt: Option<Duration>,
    /// Bytes in the network before it.
    in_flight: u32,
    /// Bytes that limited transmit has answered duplicate ACKs with.
    credit: u32,
}

impl Connection {
    /// Takes in the ACK and the window of an acceptable segment.
    pub(super) fn acknowledge(&mut self, now: Instant, segment: &Segment<'_>) {
        // The peer answers: whatever an ICMP error has said is over, as in Linux.
        self.icmp_error = None;
        let echo = self.on_congestion_echo(now, segment);
        let window = self.peer_window(segment);
        // The peer has been heard from: what waits for more has waited long enough (as Linux).
        self.holds_back = false;
        let advances = segment.ack.is_after(self.snd.una);
        if advances {
            self.on_new_ack(now, segment, echo);
        } else {
            self.check_loss_probe(now, segment, false);
            if self.is_duplicate(segment, window) {
                self.on_duplicate_ack(now, segment);
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
        if self.snd.wnd == 0 && !old && self.timers.is_set(Timer::Persist) && !self.orphan {
            // The peer has just said that its window is closed: it need not be asked so soon. (What
            // an old ACK says was said before.) The probes of an orphan are counted, and cannot be
            // put off (RFC 6429 section 3).
            self.timers.set(Timer::Persist, now + self.persist_interval());
        }
        if self.snd.wnd == 0 && !self.orphan {
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

    /// Takes in an ACK of something new, which echoes congestion or does not.
    pub(super) fn on_new_ack(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        echoes_congestion: bool,
    ) {
        // First, because it goes by the FlightSize of the loss, which the ACK ends.
        self.check_loss_probe(now, segment, true);
        let report = self.move_una(now, segment);
        self.draw_conclusions(now, &report, echoes_congestion);
    }

    /// Whether the ACK says that a loss probe has repaired a loss, to which the congestion
    /// controller must respond as to any other (RFC 8985 section 7.4.2).
    #[inline]
    fn check_loss_probe(&mut self, now: Instant, segment: &Segment<'_>, advances: bool) {
        if self.tail_loss.is_probing() && self.ends_loss_probe(segment, advances) {
            let flight_size = self.flight.size().min(self.cwnd());
            let controller = self.congestion.get_mut();
            controller.on_loss(&Loss { now, flight_size });
            controller.on_recovered(flight_size);
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

    /// Moves SND.UNA; what it reports is still to be acted upon.
    fn move_una(&mut self, now: Instant, segment: &Segment<'_>) -> AckReport {
        let ack = segment.ack;
        let in_flight = self.flight.in_network();
        let report = AckReport {
            acked: self.snd.una.len_to(ack),
            rtt: None,
            in_flight,
            credit: self.recovery.credit(),
        };
        // SYN and FIN occupy sequence numbers, but no bytes of the buffer.
        let text = (self.text_start().len_to(ack) as usize).min(self.send_buffer.len());
        if text > 0 {
            self.send_buffer.release(text);
        }
        self.bytes_acked += text as u64;
        let acked = self.flight.on_ack(ack);
        if !self.snd.syn_acked && acked.retransmitted {
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
        // Karn's algorithm (RFC 6298 section 3): segments sent once give a sample, to the
        // nanosecond. If one of them was sent twice, those behind it have waited for it at the
        // peer; the echoed timestamp then tells, in milliseconds, which transmission has arrived.
        let rtt = if acked.retransmitted {
            let echo = segment.options.timestamps.filter(|_| self.timestamps.is_some());
            echo.and_then(|ts| timestamps::rtt(ts, self.ts_clock(now)))
        } else {
            acked.sent_at.map(|at| now.since(at))
        };
        AckReport { rtt, ..report }
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

    /// Feeds the report to the timer, to recovery and to the congestion controller, in that order.
    fn draw_conclusions(&mut self, now: Instant, report: &AckReport, echoes_congestion: bool) {
        if let Some(rtt) = report.rtt {
            self.rto.on_sample(rtt);
            self.tail_loss.on_sample();
        }
        let mss = self.effective_mss();
        let verdict = self.recovery.on_new_ack(self.snd.una, report.acked, mss);
        match verdict {
            Verdict::PartialAck => self.flight.mark_first_lost(),
            Verdict::LeaveFastRecovery => {
                let left = self.flight.size();
                self.congestion.get_mut().on_recovered(left);
            }
            Verdict::Normal | Verdict::EnterFastRecovery => {}
        }
        // The window does not grow in fast recovery, nor by the ACK that ends it and has set it (RFC
        // 6582 section 3.2, step 3): growing by all that it acknowledges would make the burst that
        // the choice of that window avoids. RFC 3168 section 6.1.2: it should not grow by an ACK that
        // echoes congestion either.
        let grows = verdict == Verdict::Normal && !echoes_congestion;
        if grows || self.congestion.paces_recovery() {
            let (cwnd, ssthresh) = (self.congestion.cwnd(), self.congestion.ssthresh());
            self.congestion.get_mut().on_ack(&AckSample {
                now,
                // What duplicate ACKs have announced has let new segments out already.
                acked: report.acked.saturating_sub(report.credit),
                newly_delivered: report.acked,
                newly_lost: 0,
                prior_in_flight: report.in_flight,
                in_flight: self.flight.in_network(),
                delivered: self.bytes_acked,
                rtt: report.rtt,
                srtt: self.rto.srtt(),
                cwnd_limited: self.window_use.lets_grow(cwnd, cwnd < ssthresh),
                in_recovery: self.recovery.phase() != Phase::Open,
                has_sack: self.negotiated.sack,
                echoes_congestion,
                rate: None,
            });
        }
        if self.flight.is_empty() && !self.congestion.can_rest() {
            // RFC 6298 section 5.2
            self.timers.stop(Timer::Retransmit);
        } else {
            // With nothing in flight it tells the congestion controller of a pause (RFC 5681
            // section 4.1).
            // RFC 6298 section 5.3
            self.timers.set(Timer::Retransmit, now + self.rto.current());
        }
        self.schedule_loss_probe(now);
        self.restart_user_timer(now);
    }

    /// RFC 5681 section 2: outstanding data, no text, neither SYN nor FIN, the same ACK and the
    /// same window. A peer that has agreed to report what it holds beyond the hole must do so (RFC
    /// 5681 section 3.2, step 1), and may change its window meanwhile (RFC 6675 section 2): without
    /// a report it answers a probe, an old segment or a challenge.
    fn is_duplicate(&self, segment: &Segment<'_>, window: u32) -> bool {
        let says_so = if self.negotiated.sack {
            self.sacked_beyond(segment).is_some()
        } else {
            window == self.snd.wnd
        };
        segment.ack == self.snd.una && !self.flight.is_empty() && segment.is_empty() && says_so
    }

    /// The end of the newest text that the segment reports beyond SND.UNA, if it lies within what
    /// was sent.
    fn sacked_beyond(&self, segment: &Segment<'_>) -> Option<SeqNum> {
        if !self.negotiated.sack {
            return None;
        }
        let blocks = segment.options.sack;
        let beyond = blocks
            .as_slice()
            .iter()
            .map(|block| block.end)
            .filter(|end| end.is_after(self.snd.una) && end.is_at_or_before(self.snd.nxt));
        beyond.reduce(SeqNum::later)
    }

    fn on_duplicate_ack(&mut self, now: Instant, segment: &Segment<'_>) {
        let mss = self.effective_mss();
        let sacked = self.sacked_beyond(segment);
        let verdict = self.recovery.on_duplicate(self.snd.una, self.snd.nxt, mss, sacked);
        if verdict == Verdict::EnterFastRecovery {
            // RFC 5681 section 3.2 step 2: what limited transmit has sent does not count.
            let flight_size = self.flight.size().min(self.cwnd());
            self.congestion.get_mut().on_loss(&Loss { now, flight_size });
            self.on_window_reduced();
            self.flight.mark_first_lost();
            self.tail_loss.forget();
            self.timers.stop(Timer::LossProbe);
            self.timers.set(Timer::Retransmit, now + self.rto.current());
        }
    }

    /// The path carries packets of `mtu` bytes only: what was too large is sent again, in smaller
    /// pieces and at once (RFC 1191 section 6.4, RFC 8201 section 5.4), and what followed it as after
    /// a timeout: slow start takes the place of the ACK clock, which has stopped.
    pub(crate) fn on_packet_too_big(&mut self, mtu: usize) {
        let before = self.mss;
        self.link = Link::new(self.link.mtu.into(), mtu);
        self.update_mss();
        if self.mss < before && self.flight.has_larger(self.effective_mss()) {
            self.recovery.on_shrunk_path(self.snd.nxt);
            self.congestion.get_mut().on_shrunk_path();
            self.flight.mark_all_lost();
            self.tail_loss.forget();
            self.timers.stop(Timer::LossProbe);
        }
    }

    /// Whether a quoted sequence number is believable (RFC 5927 section 4.1).
    pub(crate) fn is_in_flight(&self, seq: SeqNum) -> bool {
        self.snd.una.is_at_or_before(seq) && seq.is_before(self.snd.nxt)
    }
}
