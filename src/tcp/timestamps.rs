//! Timestamps, and protection against wrapped sequence numbers (RFC 7323 sections 3 to 5).

use core::time::Duration;

use crate::time::Instant;
use crate::wire::{SeqNum, Timestamps};

/// Our timestamp clock ticks once a millisecond: within the bounds of RFC 7323 section 5.4, and
/// the sign of a TSval wraps after 24.8 days.
const TICK: Duration = Duration::from_millis(1);

/// A TS.Recent older than this is no longer comparable (RFC 7323 section 5.5).
const OUTDATED: Duration = Duration::from_secs(24 * 24 * 3_600);

/// The state of the option for a connection that has negotiated it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimestampState {
    /// Added to the clock: hides its reading, and keeps it growing from one connection to the
    /// next between the same hosts (RFC 7323 sections 5.4 and 7.1).
    offset: u32,
    /// TS.Recent.
    recent: u32,
    /// When TS.Recent was set.
    recent_at: Instant,
    /// Last.ACK.sent.
    last_ack_sent: SeqNum,
}

/// The TSval of `now` on a clock with this offset.
pub(crate) fn clock(now: Instant, offset: u32) -> u32 {
    // The clock is meant to wrap.
    (now.as_millis() as u32).wrapping_add(offset)
}

/// Whether timestamp `a` lies before `b` (RFC 7323 section 5.2).
pub(crate) fn is_before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

impl TimestampState {
    /// The peer's SYN carried `recent`; our next ACK will acknowledge up to `rcv_nxt`.
    pub(super) fn new(offset: u32, recent: u32, rcv_nxt: SeqNum, now: Instant) -> Self {
        Self { offset, recent, recent_at: now, last_ack_sent: rcv_nxt }
    }

    /// What a segment carries that goes out now and acknowledges up to `rcv_nxt`.
    pub(super) fn stamp(&mut self, now: Instant, rcv_nxt: SeqNum) -> Timestamps {
        self.last_ack_sent = rcv_nxt;
        Timestamps { value: clock(now, self.offset), echo: self.recent }
    }

    /// Whether a segment with this option is old (RFC 7323 section 5.3, R1).
    pub(super) fn is_old(&self, ts: Timestamps, now: Instant) -> bool {
        is_before(ts.value, self.recent) && now.since(self.recent_at) < OUTDATED
    }

    /// Takes in the option of an acceptable segment that starts at `seq` (RFC 7323 section 4.3,
    /// step 2).
    pub(super) fn on_segment(&mut self, ts: Timestamps, seq: SeqNum, now: Instant) {
        if !self.is_old(ts, now) && seq.is_at_or_before(self.last_ack_sent) {
            self.recent = ts.value;
            self.recent_at = now;
        }
    }

    /// The round-trip time that the echo of an acknowledgment tells: at least one tick, or
    /// nothing if the echo cannot be ours.
    pub(super) fn rtt(&self, ts: Timestamps, now: Instant) -> Option<Duration> {
        let ticks = clock(now, self.offset).wrapping_sub(ts.echo);
        // A peer that echoes nonsense must not make us wait for days.
        (ts.echo != 0 && ticks < 600_000).then(|| TICK * ticks.max(1))
    }

    /// TS.Recent, for the TIME-WAIT record.
    pub(super) fn recent(&self) -> u32 {
        self.recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(value: u32) -> Timestamps {
        Timestamps { value, echo: 0 }
    }

    #[test]
    fn an_older_value_is_old_also_across_the_wrap() {
        let now = Instant::from_millis(10);
        let state = TimestampState::new(0, 3, SeqNum(1), now);
        assert!(state.is_old(ts(2), now));
        assert!(state.is_old(ts(u32::MAX - 5), now));
        assert!(!state.is_old(ts(3), now) && !state.is_old(ts(4), now));
    }

    #[test]
    fn after_24_days_anything_goes() {
        let now = Instant::ZERO;
        let state = TimestampState::new(0, 1_000, SeqNum(1), now);
        assert!(state.is_old(ts(999), now + (OUTDATED - TICK)));
        assert!(!state.is_old(ts(999), now + OUTDATED));
    }

    #[test]
    fn only_segments_up_to_the_last_ack_move_the_recent_value() {
        let now = Instant::ZERO;
        let mut state = TimestampState::new(0, 5, SeqNum(100), now);
        state.on_segment(ts(7), SeqNum(101), now);
        assert_eq!(state.recent(), 5);
        state.on_segment(ts(7), SeqNum(100), now);
        assert_eq!(state.recent(), 7);
    }

    #[test]
    fn an_echo_that_cannot_be_ours_measures_nothing() {
        let mut state = TimestampState::new(77, 5, SeqNum(100), Instant::ZERO);
        let sent = state.stamp(Instant::from_millis(100), SeqNum(100));
        let echo = Timestamps { value: 6, echo: sent.value };
        let now = Instant::from_millis(130);
        assert_eq!(state.rtt(echo, now), Some(TICK * 30));
        assert_eq!(state.rtt(Timestamps { echo: sent.value + 1_000, ..echo }, now), None);
        assert_eq!(state.rtt(Timestamps { echo: 0, ..echo }, now), None);
    }
}
