//! How many full-sized segments go out as one burst: what Linux hands to its device as one
//! super-segment. The last of a burst is marked with PSH, so that a receiver that gathers segments
//! passes on what it has got instead of waiting for more.

use core::time::Duration;

use crate::time::nanos;

/// A burst is what the path carries in this time, at the rate of slow start.
const SPAN: Duration = Duration::from_millis(1);

/// Bytes in the largest burst: what one IP packet could hold.
const MOST: u64 = 65_535;

/// The burst that is being sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burst {
    /// Segments of it that have gone out.
    sent: u32,
    /// Segments that it may have.
    size: u32,
}

impl Burst {
    /// Something has arrived: what is sent next starts a burst of its own.
    #[inline]
    pub(super) fn interrupt(&mut self) {
        self.sent = 0;
    }

    /// A full-sized segment goes out; `more` tells whether another could follow at once. Answers
    /// whether it is the last of a burst of several.
    ///
    /// The rate is twice the congestion window in a round-trip time, as Linux has it in slow start;
    /// half a window is the most, so that there is never a long silence between two bursts.
    #[inline]
    pub(super) fn on_full(
        &mut self,
        more: bool,
        size: impl FnOnce() -> (u32, u32, Option<Duration>, u32),
    ) -> bool {
        if self.sent == 0 {
            let (cwnd, mss, rtt, least) = size();
            let rtt = rtt.map_or(u64::MAX, nanos).max(1);
            let bytes = (2 * u64::from(cwnd)).saturating_mul(nanos(SPAN)) / rtt;
            // At most MOST, so it fits.
            let segments = (bytes.min(MOST) as u32 / mss.max(1)).max(least);
            self.size = segments.min((cwnd / mss.max(1) / 2).max(1));
        }
        self.sent += 1;
        if more && self.sent < self.size {
            return false;
        }
        core::mem::take(&mut self.sent) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends segments of 1,000 bytes; answers which of them are the last of a burst.
    fn ends(segments: u32, cwnd: u32, rtt: Duration, least: u32) -> Vec<u32> {
        let mut burst = Burst::default();
        let size = || (cwnd, 1_000, Some(rtt), least);
        (1..=segments).filter(|n| burst.on_full(*n < segments, size)).collect()
    }

    #[test]
    fn a_slow_path_gets_small_bursts_and_a_fast_one_half_a_window() {
        let (slow, fast) = (Duration::from_millis(100), Duration::from_micros(100));
        assert_eq!(ends(10, 10_000, slow, 2), [2, 4, 6, 8, 10]);
        assert_eq!(ends(10, 10_000, fast, 2), [5, 10]);
        assert_eq!(ends(10, 10_000, slow, 10), [5, 10], "the least is within half a window");
        assert_eq!(ends(130, 1_000_000, fast, 2), [65, 130], "and within a packet");
    }

    #[test]
    fn a_segment_alone_is_no_burst() {
        assert_eq!(ends(1, 10_000, Duration::from_millis(1), 2), []);
        assert_eq!(ends(3, 10_000, Duration::from_secs(1), 2), [2]);
    }

    #[test]
    fn what_arrives_in_between_starts_another() {
        let mut burst = Burst::default();
        let size = || (10_000, 1_000, None, 2);
        assert!(!burst.on_full(true, size));
        burst.interrupt();
        assert!(!burst.on_full(true, size));
        assert!(burst.on_full(true, size));
    }
}
