//! Timestamps, and protection against wrapped sequence numbers (RFC 7323 sections 3 to 5).

use core::time::Duration;

use crate::time::Instant;
use crate::wire::{SeqNum, Timestamps};

/// Our timestamp clock ticks once a millisecond: within the bounds of RFC 7323 section 5.4, and
/// the sign of a TSval wraps after 24.8 days.
const TICK: Duration = Duration::from_millis(1);

/// Seconds after which TS.Recent is no longer comparable (RFC 7323 section 5.5).
const OUTDATED: u32 = 24 * 24 * 3_600;

/// The state of the option for a connection that has negotiated it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimestampState {
    /// TS.Recent.
    recent: u32,
    /// When TS.Recent was set, in seconds.
    recent_at: u32,
    /// Last.ACK.sent.
    last_ack_sent: SeqNum,
}

/// The TSval of `now`. The offset hides what the clock reads, and keeps it growing from one
/// connection to the next between the same hosts (RFC 7323 sections 5.4 and 7.1).
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
    pub(super) fn new(recent: u32, rcv_nxt: SeqNum, now: Instant) -> Self {
        Self { recent, recent_at: seconds(now), last_ack_sent: rcv_nxt }
    }

    /// What a segment carries that goes out when our clock reads `clock`, and acknowledges up to
    /// `rcv_nxt`.
    pub(super) fn stamp(&mut self, clock: u32, rcv_nxt: SeqNum) -> Timestamps {
        self.last_ack_sent = rcv_nxt;
        Timestamps { value: clock, echo: self.recent }
    }

    /// Whether a segment with this option is old (RFC 7323 section 5.3, R1).
    pub(super) fn is_old(&self, ts: Timestamps, now: Instant) -> bool {
        is_before(ts.value, self.recent) && seconds(now).saturating_sub(self.recent_at) < OUTDATED
    }

    /// Takes in the option of an acceptable segment that starts at `seq` (RFC 7323 section 4.3,
    /// step 2).
    pub(super) fn on_segment(&mut self, ts: Timestamps, seq: SeqNum, now: Instant) {
        if !self.is_old(ts, now) && seq.is_at_or_before(self.last_ack_sent) {
            self.recent = ts.value;
            self.recent_at = seconds(now);
        }
    }

    /// TS.Recent, for the TIME-WAIT record.
    pub(super) fn recent(&self) -> u32 {
        self.recent
    }
}

/// The round-trip time that the echo of an acknowledgment tells when our clock reads `clock`: at
/// least one tick, or nothing if the echo cannot be ours.
pub(super) fn rtt(ts: Timestamps, clock: u32) -> Option<Duration> {
    let ticks = clock.wrapping_sub(ts.echo);
    // A peer that echoes nonsense must not make us wait for days.
    (ts.echo != 0 && ticks < 600_000).then(|| TICK * ticks.max(1))
}

/// A time that a few bytes hold, fine enough for days.
fn seconds(at: Instant) -> u32 {
    // They last for 136 years.
    (at.as_nanos() / 1_000_000_000) as u32
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
        let state = TimestampState::new(3, SeqNum(1), now);
        assert!(state.is_old(ts(2), now));
        assert!(state.is_old(ts(u32::MAX - 5), now));
        assert!(!state.is_old(ts(3), now) && !state.is_old(ts(4), now));
    }

    #[test]
    fn after_24_days_anything_goes() {
        let now = Instant::ZERO;
        let state = TimestampState::new(1_000, SeqNum(1), now);
        let outdated = Duration::from_secs(OUTDATED.into());
        assert!(state.is_old(ts(999), now + (outdated - TICK)));
        assert!(!state.is_old(ts(999), now + outdated));
    }

    #[test]
    fn only_segments_up_to_the_last_ack_move_the_recent_value() {
        let now = Instant::ZERO;
        let mut state = TimestampState::new(5, SeqNum(100), now);
        state.on_segment(ts(7), SeqNum(101), now);
        assert_eq!(state.recent(), 5);
        state.on_segment(ts(7), SeqNum(100), now);
        assert_eq!(state.recent(), 7);
    }

    #[test]
    fn an_echo_that_cannot_be_ours_measures_nothing() {
        let mut state = TimestampState::new(5, SeqNum(100), Instant::ZERO);
        let sent = state.stamp(clock(Instant::from_millis(100), 77), SeqNum(100));
        let echo = Timestamps { value: 6, echo: sent.value };
        let now = clock(Instant::from_millis(130), 77);
        assert_eq!(rtt(echo, now), Some(TICK * 30));
        assert_eq!(rtt(Timestamps { echo: sent.value + 1_000, ..echo }, now), None);
        assert_eq!(rtt(Timestamps { echo: 0, ..echo }, now), None);
    }
}
