//! Dynamic right-sizing of the receive buffer: the offer to the peer follows what the application
//! takes in a round-trip time (Fisk and Feng, "Dynamic Right-Sizing in TCP", 2001; Linux's
//! `tcp_rcv_space_adjust`).
//!
//! A receiver knows no round-trip time as a sender does, but it can tell when one is over: as soon as
//! the peer's text echoes a timestamp that was sent since it began (RFC 7323 section 3). Without
//! timestamps it is over when a whole window has arrived, since what lies beyond could only be sent
//! after an ACK; that takes longer where the sender or the path is what limits, so the shortest time
//! so far is what counts.

use super::Connection;
use super::timestamps::{clock, is_before};
use crate::time::Instant;
use crate::wire::{Segment, SeqNum};

/// What may be lost or come late without the sender's having to wait, in full-sized segments; as
/// Linux's.
const CUSHION: u64 = 16;

/// What tells that a round trip may be over.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// The peer has echoed what our clock showed at that time, in milliseconds.
    Echo(u32),
    /// RCV.NXT, and the right edge of the window.
    Window(SeqNum, SeqNum),
}

/// The measure of the application. Times are in whole milliseconds, as on the clock of timestamps. No
/// round is shorter than one of these: packets are read and acknowledged in batches, and a short path
/// is offered no more by it than twice what it carries in that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct RightSizing {
    /// When this round began.
    began: u32,
    /// Without timestamps: where RCV.NXT stands when it is over.
    mark: SeqNum,
    /// Bytes that the application has taken in it.
    taken: u32,
    /// The most taken in one of the rounds before, less what had only waited for a slow reader.
    most: u32,
    /// Without timestamps: the shortest round so far. Zero: there was none.
    shortest: u32,
}

impl RightSizing {
    /// The connection is made.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: clock(now, 0), mark: SeqNum(0), taken: 0, most: 0, shortest: 0 }
    }

    /// The peer's first byte will be `first`.
    pub(super) fn on_peer_syn(&mut self, first: SeqNum) {
        self.mark = first;
    }

    /// The application took `n` bytes, from the buffer or straight from a frame.
    #[inline]
    pub(super) fn on_taken(&mut self, n: u32) {
        self.taken = self.taken.saturating_add(n);
    }

    /// Of what it was handed, the application has put `n` bytes back.
    pub(super) fn on_put_back(&mut self, n: u32) {
        self.taken = self.taken.saturating_sub(n);
    }

    /// Text has arrived while `unread` bytes wait; a full-sized segment has `mss`. Answers how much
    /// should be offered, when a round in which more was taken than ever is over.
    #[inline]
    fn on_text(&mut self, now: Instant, sign: Sign, unread: usize, mss: u32) -> Option<u32> {
        let is_over = match sign {
            Sign::Echo(sent) => !is_before(sent, self.began) && clock(now, 0) != self.began,
            Sign::Window(nxt, _) => nxt.is_at_or_after(self.mark),
        };
        if is_over { self.end_round(clock(now, 0), sign, unread, mss) } else { None }
    }

    fn end_round(&mut self, now: u32, sign: Sign, unread: usize, mss: u32) -> Option<u32> {
        let mut taken = u64::from(self.taken).saturating_sub(unread as u64);
        if let Sign::Window(_, edge) = sign {
            if taken > 0 {
                let lasted = now.wrapping_sub(self.began).max(1);
                let shortest = if self.shortest == 0 { lasted } else { self.shortest.min(lasted) };
                self.shortest = shortest;
                taken = taken * u64::from(shortest) / u64::from(lasted);
            }
            self.mark = edge;
        }
        (self.began, self.taken) = (now, 0);
        let before = u64::from(self.most);
        if taken <= before {
            return None;
        }
        self.most = u32::try_from(taken).unwrap_or(u32::MAX);
        // A window to be in flight, and another while what was lost of it is sent again.
        let steady = 2 * taken + CUSHION * u64::from(mss);
        // The sender's window grows on by as much again while this round's ACKs are on their way, and
        // once more until the next round has been measured. No window more than doubles in a round
        // trip: what leaps further is text that has waited for a hole to be filled.
        let grown = (taken - before).min(before);
        let growth = (steady * grown).checked_div(before).unwrap_or(0);
        Some(u32::try_from(steady + 2 * growth).unwrap_or(u32::MAX))
    }
}

impl Connection {
    /// Text has arrived with `segment`: the offer may grow.
    #[inline]
    pub(super) fn right_size(&mut self, now: Instant, segment: &Segment<'_>) {
        let sign = match (&self.timestamps, segment.options.timestamps) {
            // What our clock showed when that was sent which it echoes.
            (Some(_), Some(ts)) => Sign::Echo(ts.echo.wrapping_sub(self.ts_offset)),
            (Some(_), None) => return,
            (None, _) => Sign::Window(self.rcv.nxt, self.rcv.edge),
        };
        let (unread, mss) = (self.recv_buffer.readable(), self.ack.full_size());
        if let Some(wanted) = self.right_sizing.on_text(now, sign, unread, mss) {
            self.recv_buffer.offer(wanted.min(self.settings.max_recv_buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// A sender that doubles what it has in flight in every round trip of 100 ms is offered four
    /// times what it has just sent: twice what the ACKs of this round allow it to send, whose own
    /// ACKs carry the offer.
    #[test]
    fn a_sender_that_doubles_is_never_held_back() {
        let mut sizing = RightSizing::new(Instant::ZERO);
        let (mut offer, mut window) = (65_535, 10 * MSS);
        sizing.on_text(at(100), Sign::Echo(0), 0, MSS);
        for round in 2..16 {
            sizing.on_taken(window);
            let wanted =
                sizing.on_text(at(100 * round), Sign::Echo(100 * round as u32 - 50), 0, MSS);
            offer = offer.max(wanted.unwrap_or(0));
            assert!(offer >= 4 * window, "{offer} for {window} in round {round}");
            window *= 2;
        }
    }

    #[test]
    fn a_round_is_over_with_the_echo_of_what_was_sent_in_it() {
        let mut sizing = RightSizing::new(Instant::ZERO);
        let start = u32::MAX - 20; // the clock wraps
        let now = at(u64::from(start));
        assert_eq!(sizing.on_text(now, Sign::Echo(start - 100), 0, MSS), None);
        sizing.on_taken(100_000);
        let later = now + core::time::Duration::from_millis(90);
        assert_eq!(sizing.on_text(later, Sign::Echo(start - 1), 0, MSS), None);
        assert_eq!(sizing.on_text(now, Sign::Echo(start), 0, MSS), None, "it has just begun");
        let wanted = sizing.on_text(later, Sign::Echo(start.wrapping_add(30)), 0, MSS);
        assert_eq!(wanted, Some(2 * 100_000 + 16 * MSS), "the first tells nothing of growth");
    }

    #[test]
    fn a_rate_that_does_not_grow_asks_for_no_more() {
        let mut sizing = RightSizing::new(Instant::ZERO);
        for round in 1..10 {
            let wanted =
                sizing.on_text(at(100 * round), Sign::Echo(100 * round as u32 - 1), 0, MSS);
            assert_eq!(wanted.is_some(), round == 2, "round {round}");
            sizing.on_taken(50_000);
        }
    }

    #[test]
    fn what_has_only_waited_for_a_slow_reader_is_no_rate() {
        let mut sizing = RightSizing::new(Instant::ZERO);
        sizing.on_text(at(0), Sign::Echo(0), 0, MSS);
        sizing.on_taken(50_000);
        let wanted = sizing.on_text(at(100), Sign::Echo(50), 40_000, MSS);
        assert_eq!(wanted, Some(2 * 10_000 + 16 * MSS));
    }

    /// A window that is twice as large takes twice as long to arrive over a path that is full.
    #[test]
    fn without_timestamps_the_shortest_round_is_the_measure() {
        let mut sizing = RightSizing::new(Instant::ZERO);
        let zero = SeqNum(u32::MAX - 100_000);
        sizing.on_peer_syn(zero);
        let window = |from: u32, to: u32| Sign::Window(zero + from, zero + to);
        assert_eq!(sizing.on_text(at(0), window(0, 60_000), 0, MSS), None);
        sizing.on_taken(60_000);
        assert_eq!(sizing.on_text(at(90), window(59_999, 60_000), 0, MSS), None);
        let wanted = sizing.on_text(at(100), window(60_000, 180_000), 0, MSS);
        assert_eq!(wanted, Some(2 * 60_000 + 16 * MSS));
        sizing.on_taken(120_000);
        assert_eq!(sizing.on_text(at(300), window(180_000, 300_000), 0, MSS), None);
        // Here the window was what limited.
        sizing.on_taken(120_000);
        let wanted = sizing.on_text(at(400), window(300_000, 400_000), 0, MSS);
        assert_eq!(wanted, Some(3 * (2 * 120_000 + 16 * MSS)));
    }
}
