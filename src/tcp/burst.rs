//! How many full-sized segments go out as one burst: what Linux hands to its device as one
//! super-segment. The last of a burst is marked with PSH, so that a receiver that gathers segments
//! passes on what it has got instead of waiting for more.

/// A burst is what the path carries in this time, at the rate of slow start: a millisecond, in
/// nanoseconds.
const SPAN: u64 = 1_000_000;

/// Bytes in the largest burst: what one IP packet could hold.
const MOST: u64 = 65_535;

/// The burst that is being sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burst {
    /// Segments of it that have gone out.
    sent: u16,
    /// Segments that it may have.
    size: u16,
}

impl Burst {
    /// Something has arrived: what is sent next starts a burst of its own.
    #[inline]
    pub(super) fn interrupt(&mut self) {
        self.sent = 0;
    }

    /// Whether what is sent next starts a burst.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        self.sent == 0
    }

    /// Decides how long the burst is that starts now, with a window of `cwnd` bytes and segments of
    /// `mss`. The rate is twice the congestion window in a round-trip time of `rtt` nanoseconds, as
    /// Linux has it in slow start; half a window is the most, so that there is never a long silence
    /// between two bursts.
    pub(super) fn start(&mut self, cwnd: u32, mss: u32, rtt: Option<u64>, least: u32) {
        let mss = mss.max(1);
        let bytes = (2 * u64::from(cwnd)).saturating_mul(SPAN) / rtt.unwrap_or(u64::MAX).max(1);
        // At most MOST, so it fits.
        let segments = (bytes.min(MOST) as u32 / mss).max(least);
        self.size = segments.min((cwnd / mss / 2).max(1)) as u16;
    }

    /// A full-sized segment goes out; `more` tells whether another could follow at once. Answers
    /// whether it is the last of a burst of several.
    #[inline]
    pub(super) fn on_full(&mut self, more: bool) -> bool {
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

    const MS: u64 = 1_000_000;

    /// Sends segments of 1,000 bytes; answers which of them are the last of a burst.
    fn ends(segments: u32, cwnd: u32, rtt: u64, least: u32) -> Vec<u32> {
        let mut burst = Burst::default();
        let mut on_full = |more| {
            if burst.is_new() {
                burst.start(cwnd, 1_000, Some(rtt), least);
            }
            burst.on_full(more)
        };
        (1..=segments).filter(|n| on_full(*n < segments)).collect()
    }

    #[test]
    fn a_slow_path_gets_small_bursts_and_a_fast_one_half_a_window() {
        let (slow, fast) = (100 * MS, MS / 10);
        assert_eq!(ends(10, 10_000, slow, 2), [2, 4, 6, 8, 10]);
        assert_eq!(ends(10, 10_000, fast, 2), [5, 10]);
        assert_eq!(ends(10, 10_000, slow, 10), [5, 10], "the least is within half a window");
        assert_eq!(ends(130, 1_000_000, fast, 2), [65, 130], "and within a packet");
    }

    #[test]
    fn a_segment_alone_is_no_burst() {
        assert_eq!(ends(1, 10_000, MS, 2), []);
        assert_eq!(ends(3, 10_000, 1_000 * MS, 2), [2]);
    }

    #[test]
    fn what_arrives_in_between_starts_another() {
        let mut burst = Burst::default();
        burst.start(10_000, 1_000, None, 2);
        assert!(!burst.on_full(true));
        burst.interrupt();
        assert!(!burst.on_full(true));
        assert!(burst.on_full(true));
    }
}
