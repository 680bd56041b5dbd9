//! Whether the loop looks out for the next packet for a while before it sleeps.
//!
//! To wake a thread that sleeps takes longer than to answer a small request, if the processor that
//! it runs on has gone to sleep with it. A thread that looks again and again is there at once, and
//! keeps a processor busy. So it does that only where it pays off: where the last looks did, and
//! not where there is one processor, which whoever sends the next packet needs.

use std::time::Duration;

/// The longest spin that may be asked for: about what it costs to sleep and be woken.
pub const MAX_SPIN: Duration = Duration::from_micros(50);

/// A sleep of no more than so many spins makes it worth trying whether a spin pays off. Part of a
/// sleep is the time that waking up takes, which is what a spin would have spared.
const SHORT_SLEEP: u32 = 4;

/// Short sleeps between two spins, at most. While none pays off, a spin keeps whoever shares the
/// processor waiting for all its length, and that should not be seen among the slowest of a hundred
/// answers.
const MOST_SLEEPS: u32 = 256;

/// The rule by which the loop spins, and what it has learnt.
///
/// Spins that pay off follow each other without a sleep. One that does not is followed by a number
/// of short sleeps, at first one; the number doubles with every spin that does not pay off, and is
/// halved by every one that does. So spins go on as long as at least half of them pay off. A long
/// sleep counts for nothing, so that whoever is idle never spins.
///
/// A spin during which another thread took the processor does not pay off whatever it found: the
/// other may well have sent it, and would have run sooner, had we slept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spin {
    /// How long it may spin; zero: never.
    limit: Duration,
    /// Short sleeps that follow a spin which does not pay off.
    sleeps: u32,
    /// Those that are still to come.
    left: u32,
}

impl Spin {
    /// A rule that knows nothing yet, and so starts with a sleep.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit: limit.min(MAX_SPIN), sleeps: 1, left: 1 }
    }

    /// How long to spin before the next sleep; zero: not at all.
    pub(super) fn budget(&self) -> Duration {
        if self.left == 0 { self.limit } else { Duration::ZERO }
    }

    /// What was waited for came within the budget; another thread needed the processor, or not.
    pub(super) fn found(&mut self, processor_was_needed: bool) {
        if processor_was_needed {
            self.missed();
        } else {
            self.sleeps /= 2;
        }
    }

    /// Nothing came within the budget.
    pub(super) fn missed(&mut self) {
        self.sleeps = (2 * self.sleeps).clamp(1, MOST_SLEEPS);
        self.left = self.sleeps;
    }

    /// What was waited for came after a sleep of this length.
    pub(super) fn slept(&mut self, length: Duration) {
        if length <= SHORT_SLEEP * self.limit {
            self.left = self.left.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = MAX_SPIN;
    const LONG: Duration = Duration::from_millis(1);

    /// Short sleeps until it spins.
    fn sleeps_until_it_spins(spin: &mut Spin) -> u32 {
        let mut sleeps = 0;
        while spin.budget().is_zero() {
            spin.slept(SHORT);
            sleeps += 1;
            assert!(sleeps <= MOST_SLEEPS);
        }
        sleeps
    }

    #[test]
    fn it_spins_no_longer_than_allowed() {
        for (asked, got) in [(0, 0), (7, 7), (50, 50), (51, 50), (u64::MAX, 50)] {
            let mut spin = Spin::new(Duration::from_micros(asked));
            spin.slept(Duration::ZERO);
            assert_eq!(spin.budget(), Duration::from_micros(got), "{asked} asked");
        }
    }

    #[test]
    fn it_spins_as_long_as_that_pays_off() {
        let mut spin = Spin::new(MAX_SPIN);
        assert_eq!(sleeps_until_it_spins(&mut spin), 1, "first it must be worth trying");
        for _ in 0..1_000 {
            assert_eq!(spin.budget(), MAX_SPIN);
            spin.found(false);
        }
        spin.missed();
        assert_eq!(sleeps_until_it_spins(&mut spin), 1, "what paid off is tried again soon");
    }

    #[test]
    fn it_spins_ever_more_rarely_while_that_does_not_pay_off() {
        let mut spin = Spin::new(MAX_SPIN);
        sleeps_until_it_spins(&mut spin);
        let sleeps = core::array::from_fn(|_| {
            spin.missed();
            sleeps_until_it_spins(&mut spin)
        });
        assert_eq!(sleeps, [2, 4, 8, 16, 32, 64, 128, 256, 256]);
        // And learns that things have changed.
        for _ in 0..9 {
            assert_eq!(sleeps_until_it_spins(&mut spin), 0);
            spin.found(false);
        }
        spin.missed();
        assert_eq!(sleeps_until_it_spins(&mut spin), 1);
    }

    #[test]
    fn it_keeps_spinning_where_one_in_two_pays_off_but_not_where_one_in_three_does() {
        let sleeps_for_a_hundred = |paid_off_of: fn(u32) -> bool| {
            let mut spin = Spin::new(MAX_SPIN);
            let mut sleeps = 0;
            for n in 0..100 {
                sleeps += sleeps_until_it_spins(&mut spin);
                if paid_off_of(n) { spin.found(false) } else { spin.missed() }
            }
            sleeps
        };
        assert!(sleeps_for_a_hundred(|n| n % 2 == 0) <= 100);
        assert!(sleeps_for_a_hundred(|n| n % 3 == 0) >= 1_000);
    }

    #[test]
    fn what_it_finds_while_another_thread_needs_the_processor_does_not_count() {
        let mut spin = Spin::new(MAX_SPIN);
        sleeps_until_it_spins(&mut spin);
        spin.found(true);
        assert_eq!(sleeps_until_it_spins(&mut spin), 2);
        spin.found(true);
        assert_eq!(sleeps_until_it_spins(&mut spin), 4);
    }

    #[test]
    fn who_is_idle_never_spins() {
        let mut spin = Spin::new(MAX_SPIN);
        for _ in 0..1_000 {
            spin.slept(LONG);
            assert_eq!(spin.budget(), Duration::ZERO);
        }
        sleeps_until_it_spins(&mut spin);
        // The traffic has ended: one spin in vain is all.
        spin.missed();
        for _ in 0..1_000 {
            spin.slept(LONG);
            assert_eq!(spin.budget(), Duration::ZERO);
        }
    }

    #[test]
    fn turned_off_it_stays_off() {
        let mut spin = Spin::new(Duration::ZERO);
        for _ in 0..1_000 {
            spin.slept(Duration::ZERO);
            assert_eq!(spin.budget(), Duration::ZERO);
        }
    }
}
