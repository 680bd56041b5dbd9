//! RFC 9293 section 3.4, seen from beside: the segments of one connection become a [`Trace`].

use std::time::Duration;

use super::coverage::{Below, Coverage};
use super::round_trips::{ByAck, ByEcho};
use super::scoreboard::Scoreboard;
use super::trace::{
    Acked, IN_FLIGHT, Look, Mark, MarkKind, ROUND_TRIPS, Sacked, Sent, SentKind, Side, Trace, Unit,
};
use crate::time::Instant;
use crate::wire::{Flags, Options, Segment, SeqNum, SeqRange};

/// The most segments of a connection that are taken in: what comes after is only counted. A
/// follower holds some 50 bytes for a segment of a bulk transfer, so 400 MB then, and four times that
/// if each one has four SACK blocks that say something new.
pub const MAX_SEGMENTS: u64 = 8 << 20;

/// How far a segment may lie from those before it: no window is larger (RFC 7323 section 2.3).
const MAX_DISTANCE: i32 = 1 << 30;

/// How late text may be that was overtaken, where neither timestamps nor a handshake tell better.
const OVERTAKEN: Duration = Duration::from_millis(3);

/// Follows one connection, segment by segment, in the order in which they passed the observer.
///
/// Where the observer stands decides what can be seen: near the sender an acknowledgement comes a
/// round trip after its text, near the receiver at once, and text that was lost before it shows as
/// a gap that is filled late.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    trace: Trace,
    /// Segments so far, of both sides.
    segments: u64,
    /// Segments that lie beyond any window of those before.
    strays: u64,
    /// A time that goes back, as that of a clock that is set, is held.
    now: Instant,
    /// A sequence number of the sender and its position: all others are counted from there.
    reference: Option<(SeqNum, i64)>,
    /// The options of the SYN of each side.
    sender_syn: Option<Options>,
    receiver_syn: Option<Options>,
    coverage: Coverage,
    scoreboard: Scoreboard,
    /// The highest acknowledgement.
    acked: Option<i64>,
    by_ack: ByAck,
    by_echo: ByEcho,
    /// When the handshake began, who did, and how long it took.
    opening: Option<(Side, Instant)>,
    handshake: Option<Duration>,
    in_flight: Vec<(Instant, f64)>,
    times_by_ack: Vec<(Instant, f64)>,
    times_by_echo: Vec<(Instant, f64)>,
}

impl Follower {
    /// A segment has passed. All of its text is there.
    pub fn on_segment(&mut self, at: Instant, side: Side, segment: &Segment<'_>) {
        // A payload came out of one frame, so it fits.
        self.on_header(at, side, segment, segment.payload.len() as u32);
    }

    /// A segment has passed that had `text_len` bytes of text, whatever is left of them.
    pub fn on_header(&mut self, at: Instant, side: Side, segment: &Segment<'_>, text_len: u32) {
        self.segments += 1;
        if self.segments > MAX_SEGMENTS {
            return;
        }
        self.now = self.now.max(at);
        self.on_handshake(side, segment);
        match side {
            Side::Sender => self.on_text(segment, text_len),
            Side::Receiver => self.on_ack(segment),
        }
        self.note_in_flight();
    }

    /// How many segments there were beyond [`MAX_SEGMENTS`].
    pub fn left_out(&self) -> u64 {
        self.segments.saturating_sub(MAX_SEGMENTS)
    }

    /// How many segments were ignored because no window reaches to where they lie.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// What the picture shows.
    pub fn finish(mut self) -> Trace {
        for (panel, unit, name, look, points) in [
            (IN_FLIGHT, Unit::Bytes, "in flight", Look::Steps, self.in_flight),
            (ROUND_TRIPS, Unit::Seconds, "by acknowledgement", Look::Dots, self.times_by_ack),
            (ROUND_TRIPS, Unit::Seconds, "by timestamp", Look::Dots, self.times_by_echo),
        ] {
            if !points.is_empty() {
                *self.trace.series(panel, unit, name, look) = points;
            }
        }
        self.trace
    }

    /// What the SYNs say, and how long it takes from the first to what answers the second.
    fn on_handshake(&mut self, side: Side, segment: &Segment<'_>) {
        if segment.has(Flags::SYN) {
            let known = match side {
                Side::Sender => &mut self.sender_syn,
                Side::Receiver => &mut self.receiver_syn,
            };
            known.get_or_insert(segment.options);
            if self.handshake.is_none() && !segment.has(Flags::ACK) {
                self.opening = Some((side, self.now));
            }
        } else if let Some((opener, begun)) = self.opening
            && opener == side
        {
            self.handshake = Some(self.now.since(begun));
            self.opening = None;
        }
    }

    /// Where a sequence number of the sender lies; none if no window reaches there.
    fn position(&mut self, seq: SeqNum) -> Option<i64> {
        let (known, position) = *self.reference.get_or_insert((seq, 0));
        let distance = known.distance_to(seq);
        if distance.unsigned_abs() > MAX_DISTANCE.unsigned_abs() {
            self.strays += 1;
            return None;
        }
        Some(position + i64::from(distance))
    }

    /// Counts from here from now on, so that the circle of sequence numbers turns with the connection.
    fn move_reference(&mut self, seq: SeqNum, position: i64) {
        if self.reference.is_none_or(|(_, known)| known < position) {
            self.reference = Some((seq, position));
        }
    }

    /// A segment of the sender's.
    fn on_text(&mut self, segment: &Segment<'_>, text_len: u32) {
        // Text begins behind the SYN (RFC 9293 section 3.4).
        let seq = segment.seq + u32::from(segment.has(Flags::SYN));
        let Some(start) = self.position(seq) else { return };
        let end = start + i64::from(text_len);
        self.move_reference(seq + text_len, end);
        if segment.has(Flags::SYN) {
            self.mark(start - 1, Side::Sender, MarkKind::Syn);
        }
        let stamp = segment.options.timestamps.map(|stamps| stamps.value);
        if let Some(value) = stamp {
            self.by_echo.on_stamp(value, self.now);
        }
        if text_len > 0 {
            self.on_bytes(start, end, stamp);
        }
        if segment.has(Flags::FIN) {
            self.mark(end, Side::Sender, MarkKind::Fin);
        }
        if segment.has(Flags::RST) {
            self.mark(start, Side::Sender, MarkKind::Reset);
        }
    }

    fn on_bytes(&mut self, start: i64, end: i64, stamp: Option<u32>) {
        let now = self.now;
        // Nobody knows what an observer who came late has missed: nothing, then.
        self.acked.get_or_insert(start);
        let mut new_from = start;
        if let Some((below, len)) = self.coverage.add(start, end, now, stamp) {
            let kind = match below {
                Below::Seen => SentKind::Again,
                Below::Fills(hole) => {
                    let overtaken = match (stamp, hole.stamp) {
                        // The sender's clock says which of the two was sent first.
                        (Some(own), Some(other)) => SeqNum(own).is_at_or_before(SeqNum(other)),
                        _ => now.since(hole.at) < self.handshake.unwrap_or(OVERTAKEN),
                    };
                    if overtaken { SentKind::OutOfOrder } else { SentKind::Again }
                }
            };
            new_from = start + len;
            self.by_ack.on_again(start, new_from, now);
            self.stroke(start, new_from, kind);
        }
        if new_from < end {
            self.by_ack.on_new(new_from, end, now);
            self.stroke(new_from, end, SentKind::New);
        }
    }

    fn stroke(&mut self, start: i64, end: i64, kind: SentKind) {
        // Both ends lie within one segment.
        let len = (end - start) as u32;
        self.trace.sent.push(Sent { at: self.now, start, len, kind });
    }

    /// A segment of the receiver's.
    fn on_ack(&mut self, segment: &Segment<'_>) {
        let mut here = self.acked.unwrap_or(0);
        if segment.has(Flags::ACK) {
            let Some(ack) = self.position(segment.ack) else { return };
            self.move_reference(segment.ack, ack);
            here = ack;
            let advances = self.acked.is_none_or(|acked| acked < ack);
            if advances {
                self.on_advance(ack, segment);
            }
            self.on_sack_blocks(ack, segment);
            // An older one, overtaken by a newer, says nothing (RFC 9293 section 3.10.7.4), nor does a
            // reset, behind which there is no window.
            if self.acked == Some(ack) && !segment.has(Flags::RST) {
                self.on_window(ack, segment);
            }
        }
        for (flag, kind) in [
            (Flags::SYN, MarkKind::Syn),
            (Flags::FIN, MarkKind::Fin),
            (Flags::RST, MarkKind::Reset),
        ] {
            if segment.has(flag) {
                self.mark(here, Side::Receiver, kind);
            }
        }
    }

    fn on_advance(&mut self, ack: i64, segment: &Segment<'_>) {
        let now = self.now;
        self.acked = Some(ack);
        self.scoreboard.acknowledge(ack);
        if let Some(time) = self.by_ack.on_ack(ack, now) {
            self.times_by_ack.push((now, time.as_secs_f64()));
        }
        if let Some(stamps) = segment.options.timestamps
            && let Some(time) = self.by_echo.on_echo(stamps.echo, now)
        {
            self.times_by_echo.push((now, time.as_secs_f64()));
        }
    }

    /// What the blocks say that was not known, and what has come twice.
    fn on_sack_blocks(&mut self, ack: i64, segment: &Segment<'_>) {
        let now = self.now;
        let blocks = segment.options.sack.as_slice();
        for (index, block) in blocks.iter().enumerate() {
            let Some(start) = self.position(block.start) else { continue };
            let len = block.len();
            let end = start + i64::from(len);
            if len == 0 || end - ack > i64::from(MAX_DISTANCE) {
                continue;
            }
            // RFC 2883 section 4: the first block, if the acknowledgement or the second covers it.
            let second = blocks.get(1).filter(|_| index == 0);
            if end <= ack || second.is_some_and(|second| is_within(*block, *second)) {
                self.trace.sacks.push(Sacked { at: now, start, len, duplicate: true });
                continue;
            }
            // An acknowledgement that was overtaken may name what is acknowledged by now.
            let start = start.max(self.acked.unwrap_or(ack));
            if start >= end {
                continue;
            }
            let (sacks, by_ack, times) =
                (&mut self.trace.sacks, &mut self.by_ack, &mut self.times_by_ack);
            self.scoreboard.add(start, end, |from, to| {
                // Within a block, whose length fits.
                sacks.push(Sacked {
                    at: now,
                    start: from,
                    len: (to - from) as u32,
                    duplicate: false,
                });
                if let Some(time) = by_ack.on_sack(from, to, now) {
                    times.push((now, time.as_secs_f64()));
                }
            });
        }
    }

    /// Where the acknowledgement stands and how far the window reaches beyond it.
    fn on_window(&mut self, ack: i64, segment: &Segment<'_>) {
        let (now, syn) = (self.now, segment.has(Flags::SYN));
        let window = if syn {
            // RFC 7323 section 2.2: that of a SYN is never scaled.
            Some(u32::from(segment.window))
        } else {
            self.receiver_syn.map(|receiver| {
                // RFC 7323 section 1.3: in force if both sides have sent it. A SYN that is not in
                // the capture has had it if the answer has.
                let both = self.sender_syn.is_none_or(|sender| sender.window_scale.is_some());
                let scale = receiver.window_scale.filter(|_| both).unwrap_or_default();
                scale.expand(segment.window)
            })
        };
        let last = self.trace.acks.last();
        if last.is_none_or(|last| (last.ack, last.window) != (ack, window)) {
            self.trace.acks.push(Acked { at: now, ack, window });
        }
        if segment.window == 0 && !syn {
            self.mark(ack, Side::Receiver, MarkKind::ZeroWindow);
        }
    }

    fn mark(&mut self, seq: i64, side: Side, kind: MarkKind) {
        self.trace.marks.push(Mark { at: self.now, seq, side, kind });
    }

    /// What was sent and neither acknowledged nor sacked, as far as the observer knows.
    fn note_in_flight(&mut self) {
        let Some((end, acked)) = self.coverage.end().zip(self.acked) else { return };
        let bytes = (end - acked - self.scoreboard.bytes()).max(0) as f64;
        if self.in_flight.last().is_none_or(|last| last.1 != bytes) {
            self.in_flight.push((self.now, bytes));
        }
    }
}

fn is_within(inner: SeqRange, outer: SeqRange) -> bool {
    outer.start.is_at_or_before(inner.start) && inner.end.is_at_or_before(outer.end)
}

#[cfg(test)]
mod tests;
