//! Header prediction: the short way for the segment that comes nearly always.
//!
//! In a transfer that runs well a segment is the next one in order or acknowledges something new,
//! and nothing else about it is of note. A handful of comparisons finds such a segment out; what
//! is left of the eight steps of RFC 9293 section 3.10.7.4 is then done without asking again. (Van
//! Jacobson's idea; RFC 7323 describes it with timestamps.) The state afterwards is
//! what the eight steps would have left: a property test compares the two.

use super::ecn::Echo;
use super::input::Arrival;
use super::{Connection, Mark, State};
use crate::time::Instant;
use crate::wire::{EcnField, Flags, Segment};

impl Connection {
    /// Takes in a segment that is as predicted; answers `None` to one that is not, and has done
    /// nothing then.
    #[inline]
    pub(super) fn on_predicted<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Option<Arrival<'f>> {
        let (len, window) = (segment.payload.len() as u32, self.peer_window(segment));
        let advances = segment.ack.is_after(self.snd.una);
        let as_predicted = self.state == State::Established
            && segment.flags - Flags::PSH == Flags::ACK
            && segment.ecn != EcnField::Ce
            && !self.has(Mark::ACCURATE_ECN)
            && segment.seq == self.rcv.nxt
            && len <= self.rcv.nxt.len_to(self.rcv.edge)
            // Without new text or a new ACK it may be a duplicate ACK, or a probe.
            && (advances || (len > 0 && segment.ack == self.snd.una))
            // What is reported is looked at one by one.
            && (segment.options.sack.is_empty() || !self.negotiated.sack)
            && segment.ack.is_at_or_before(self.snd.nxt)
            && self.snd.wl1.is_at_or_before(segment.seq)
            && window > 0
            && self.snd.wnd > 0
            && (len == 0 || (hand_out && self.takes_text_straight()));
        if !as_predicted {
            return None;
        }
        match (&mut self.timestamps, segment.options.timestamps) {
            (Some(state), Some(ts)) if !state.is_old(ts, now) => {
                state.on_segment(ts, segment.seq, now)
            }
            (None, None) => {}
            _ => return None,
        }
        self.marks -= Mark::HOLDS_BACK;
        if advances {
            self.on_new_ack(now, segment, Echo::No);
        }
        self.set_window(segment.last_seq(self.rcv.edge), segment.ack, window);
        self.icmp_error = None;
        self.last_heard = now;
        self.unanswered = 0;
        if len == 0 {
            return Some(Arrival::NOTHING);
        }
        self.right_size(now, segment);
        self.hand_out(now, len, segment.size());
        Some(Arrival { text: Some(segment.payload), plain: !advances, ..Arrival::NOTHING })
    }

    /// Whether text at RCV.NXT can go to the application as it is, and nothing but text is
    /// expected from the peer.
    #[inline(always)]
    fn takes_text_straight(&self) -> bool {
        self.recv_buffer.is_empty()
            && self.rcv.fin.is_none()
            && self.urgent.received().is_none()
            && !self.has(Mark::ORPHAN)
    }
}

#[cfg(test)]
mod tests;
