//! How often a peer is answered that may be an attacker, or an echo of ourselves (RFC 5961 section
//! 7).

use crate::time::{Duration, Instant};

/// The limit of one connection: it is shared with no other, so that it tells an attacker nothing
/// about them (CVE-2016-5696).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeLimit {
    /// When the last answer was given, in milliseconds that wrap.
    last: u32,
}

impl Default for ChallengeLimit {
    fn default() -> Self {
        // As far from everything as can be.
        Self { last: 1 << 31 }
    }
}

impl ChallengeLimit {
    /// Whether an answer may be given now, one in `interval`; notes that it is.
    pub(crate) fn allow(&mut self, now: Instant, interval: Duration) -> bool {
        // Meant to wrap: after 49 days one answer may be held back by up to the interval.
        let now = now.as_millis() as u32;
        let allowed = u128::from(now.wrapping_sub(self.last)) >= interval.as_millis();
        if allowed {
            self.last = now;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_answered_once_in_the_interval() {
        for start in [0, 250, u64::from(u32::MAX) - 100] {
            for (interval, answers) in [(500, 2), (100, 10), (2_000, 1), (0, 1_000)] {
                let mut limit = ChallengeLimit::default();
                let interval = Duration::from_millis(interval);
                let times = (start..start + 1_000).map(Instant::from_millis);
                assert_eq!(times.filter(|&at| limit.allow(at, interval)).count(), answers);
            }
        }
    }
}
