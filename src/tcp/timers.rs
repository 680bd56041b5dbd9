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
    // The first of those that most connections never set.
    /// A closed window is probed, or a small one filled (RFC 9293 sections 3.8.6.1, 3.8.6.2.1).
    Persist,
    /// An idle peer is probed (RFC 9293 section 3.8.4).
    KeepAlive,
    /// Data has gone unacknowledged for as long as the user allows (RFC 9293 section 3.8.3).
    User,
    /// An orphan has waited long enough: for the peer's FIN, or to deliver what it still had.
    Orphan,
    /// What the pacer holds back may go out (draft-ietf-ccwg-bbr-05 section 5.6.2).
    Pace,
}

impl Timer {
    pub(super) const ALL: [Self; 8] = [
        Self::LossProbe,
        Self::Retransmit,
        Self::DelayedAck,
        Self::Persist,
        Self::KeepAlive,
        Self::User,
        Self::Orphan,
        Self::Pace,
    ];
}

/// How many timers any exchange of text sets; they come first.
const USUAL: usize = Timer::Persist as usize;
/// How many there are beside them.
const UNUSUAL: usize = Timer::ALL.len() - USUAL;

const NEVER: Instant = Instant::NEVER;

/// One deadline for each [`Timer`]. All of them can run at once.
#[derive(Clone, Debug)]
pub(super) struct TimerTable {
    usual: [Instant; USUAL],
    /// There once one of them has been set: of many idle connections few need any.
    unusual: Option<Box<[Instant; UNUSUAL]>>,
}

impl Default for TimerTable {
    fn default() -> Self {
        Self { usual: [NEVER; USUAL], unusual: None }
    }
}

impl TimerTable {
    /// When `timer` is due, or [`NEVER`].
    #[inline]
    fn get(&self, timer: Timer) -> Instant {
        let n = timer as usize;
        match &self.unusual {
            _ if n < USUAL => self.usual[n],
            Some(unusual) => unusual[n - USUAL],
            None => NEVER,
        }
    }

    /// Sets `timer`, whether or not it runs.
    #[inline]
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        let n = timer as usize;
        if n < USUAL {
            self.usual[n] = at;
        } else {
            self.unusual.get_or_insert_with(|| Box::new([NEVER; UNUSUAL]))[n - USUAL] = at;
        }
    }

    /// Sets `timer`, but no later than `other` if that runs.
    pub(super) fn set_before(&mut self, timer: Timer, at: Instant, other: Timer) {
        self.set(timer, at.min(self.get(other)));
    }

    /// Sets `timer` unless it runs.
    pub(super) fn start(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    /// Stops `timer`.
    #[inline]
    pub(super) fn stop(&mut self, timer: Timer) {
        if (timer as usize) < USUAL || self.unusual.is_some() {
            self.set(timer, NEVER);
        }
    }

    /// Stops them all.
    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Whether `timer` runs.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer) != NEVER
    }

    /// Bytes of memory taken beside the table itself.
    pub(super) fn memory(&self) -> usize {
        self.unusual.as_ref().map_or(0, |unusual| size_of_val(&**unusual))
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let unusual = self.unusual.as_deref().map_or(&[][..], |unusual| unusual);
        let all = self.usual.iter().chain(unusual);
        let at = all.fold(NEVER, |earliest, &at| earliest.min(at));
        (at != NEVER).then_some(at)
    }

    /// Stops one timer that is due, the earliest in the order of [`Timer::ALL`], and names it.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|&t| self.is_set(t) && self.get(t) <= now)?;
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
