//! The one clock of a running program: the monotonic one, as the stack counts time.

use crate::time::Instant;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Self { epoch: std::time::Instant::now() }
    }

    /// What it shows.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }
}

/// Packets for which the clock is read once. They follow each other by microseconds, while a
/// reading costs as much as a tenth of the work on one.
const PACKETS_A_READING: u8 = 8;

/// What the loop knows of the time: read from the clock when it must be right, and for the
/// packets of a batch every now and then.
#[derive(Debug)]
pub(super) struct CachedClock {
    clock: Clock,
    shown: Instant,
    /// Packets for which the reading is still good.
    left: u8,
}

impl CachedClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, shown: clock.now(), left: 0 }
    }

    /// The time, read now.
    pub(super) fn read(&mut self) -> Instant {
        self.shown = self.clock.now();
        self.left = PACKETS_A_READING;
        self.shown
    }

    /// The time for the next packet of a batch that began with [`read`](Self::read).
    #[inline]
    pub(super) fn for_packet(&mut self) -> Instant {
        if self.left == 0 {
            self.read();
        }
        self.left -= 1;
        self.shown
    }

    /// The time when it was read last.
    pub(super) fn last(&self) -> Instant {
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_good_for_a_few_packets() {
        let mut cached = CachedClock::new(Clock::start());
        let first = cached.read();
        for _ in 0..PACKETS_A_READING {
            assert_eq!(cached.for_packet(), first);
        }
        cached.for_packet();
        assert_eq!(cached.left, PACKETS_A_READING - 1, "it was read again");
    }

    #[test]
    fn it_never_runs_backwards() {
        let clock = Clock::start();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
    }
}
