//! How often a peer is answered that may be an attacker, or an echo of ourselves (RFC 5961 section
//! 7).

use crate::time::Instant;

/// One answer in this many milliseconds; as Linux's `tcp_invalid_ratelimit`.
const INTERVAL: u32 = 500;

/// The limit of one connection: it is shared with no other, so that it tells an attacker nothing
/// about them (CVE-2016-5696).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeLimit {
    /// When the last answer was given, in milliseconds that wrap.
    last: u32,
}

impl Default for ChallengeLimit {
    fn default() -> Self {
        Self { last: 0u32.wrapping_sub(INTERVAL) }
    }
}

impl ChallengeLimit {
    /// Whether an answer may be given now; notes that it is.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        // Meant to wrap: after 49 days one answer may be held back by up to half a second.
        let now = now.as_millis() as u32;
        let allowed = now.wrapping_sub(self.last) >= INTERVAL;
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
    fn challenges_are_answered_twice_a_second_at_the_most() {
        for start in [0, 250, u64::from(u32::MAX) - 100] {
            let mut limit = ChallengeLimit::default();
            let times = (start..start + 1_000).map(Instant::from_millis);
            assert_eq!(times.filter(|&at| limit.allow(at)).count(), 2);
        }
    }
}
