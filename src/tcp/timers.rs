//! The deadlines of one connection, one slot for each kind of timer.

use crate::time::Instant;

/// What a connection can be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The end of a flight is probed (RFC 8985 section 7). If it is due together with the next one
    /// it comes first.
    LossProbe,
    /// The oldest unacknowledged segment counts as lost (RFC 6298).
    Retransmit,
    /// A delayed ACK must go out (RFC 9293 section 3.8.6.3).
    DelayedAck,
    /// A closed window is probed, or a small one filled (RFC 9293 sections 3.8.6.1, 3.8.6.2.1).
    Persist,
    /// An idle peer is probed (RFC 9293 section 3.8.4).
    KeepAlive,
    /// Data has gone unacknowledged for as long as the user allows (RFC 9293 section 3.8.3).
    User,
    /// An orphan has waited long enough: for the peer's FIN, or to deliver what it still had.
    Orphan,
}

impl Timer {
    pub(super) const ALL: [Self; 7] = [
        Self::LossProbe,
        Self::Retransmit,
        Self::DelayedAck,
        Self::Persist,
        Self::KeepAlive,
        Self::User,
        Self::Orphan,
    ];
}

/// Never: later than any clock reads.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// One deadline for each [`Timer`]. All of them can run at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerTable([Instant; Timer::ALL.len()]);

impl Default for TimerTable {
    fn default() -> Self {
        Self([NEVER; Timer::ALL.len()])
    }
}

impl TimerTable {
    /// Sets `timer`, whether or not it runs.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    /// Sets `timer`, but no later than `other` if that runs.
    pub(super) fn set_before(&mut self, timer: Timer, at: Instant, other: Timer) {
        self.set(timer, at.min(self.0[other as usize]));
    }

    /// Sets `timer` unless it runs.
    pub(super) fn start(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    /// Stops `timer`.
    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = NEVER;
    }

    /// Stops them all.
    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Whether `timer` runs.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize] != NEVER
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.iter().copied().min().filter(|&at| at != NEVER)
    }

    /// Stops one timer that is due, the earliest in the order of [`Timer::ALL`], and names it.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let timer =
            Timer::ALL.into_iter().find(|&t| self.is_set(t) && self.0[t as usize] <= now)?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_timers_run_at_once_and_each_fires_once() {
        let mut table = TimerTable::default();
        for (n, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, n);
            table.set(timer, Instant::from_millis(10 + n as u64));
        }
        assert_eq!(table.earliest(), Some(Instant::from_millis(10)));
        assert_eq!(table.pop_due(Instant::from_millis(9)), None);
        let late = Instant::from_millis(1_000);
        let fired: Vec<Timer> = core::iter::from_fn(|| table.pop_due(late)).collect();
        assert_eq!(fired, Timer::ALL);
        assert_eq!(table.earliest(), None);
    }

    #[test]
    fn starting_a_running_timer_changes_nothing() {
        let mut table = TimerTable::default();
        table.start(Timer::User, Instant::from_millis(5));
        table.start(Timer::User, Instant::from_millis(9));
        assert_eq!(table.earliest(), Some(Instant::from_millis(5)));
    }
}
