//! Pacing (draft-ietf-ccwg-bbr-05 section 5.6.2): what is sent is spread over time, at the rate that
//! the congestion controller gives.

use crate::time::{Duration, Instant};

/// When the next segments may go out, and how many bytes of them.
///
/// A quantum goes out at a time, as one super-segment or in as many segments as it takes, and the
/// next one when the time has passed that the rate gives to it. So a device that takes one segment
/// at a time wakes its sender no more often than one that splits super-segments itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    /// C.next_send_time
    next: Instant,
    /// Bytes of the quantum under way that have not gone out.
    left: u32,
}

impl Pacer {
    /// Bytes that may go out at `now`, at least one segment with them, of a flow that is to send
    /// `rate` bytes per second in quanta of `quantum`; 0: it has to wait until [`next`](Self::next).
    pub fn allow(&mut self, now: Instant, quantum: u32, rate: u64) -> u32 {
        if self.next <= now {
            // "C.next_send_time = max(Now(), C.next_send_time)": a pause gives no credit. But clocks
            // and schedulers are late all the time, and that is made up for, as in Linux, by up to
            // half of what the quantum takes.
            self.next = self.next.max(now - time_for(quantum, rate) / 2);
            if self.left == 0 {
                self.left = quantum;
            }
        }
        // The rate, and the quantum with it, may have become less since.
        self.left = self.left.min(quantum);
        self.left
    }

    /// When more may go out.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// `len` bytes go out at `now`, of a flow that is to send `rate` bytes per second. What went out
    /// although it should have waited (a probe) is made up for.
    pub fn on_sent(&mut self, now: Instant, len: u32, rate: u64) {
        if self.left == 0 {
            self.next = self.next.max(now);
        }
        self.left = self.left.saturating_sub(len);
        self.next += time_for(len, rate);
    }
}

/// How long so many bytes take at so many per second.
fn time_for(len: u32, rate: u64) -> Duration {
    let nanos = u128::from(len) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Sends segments of 1,500 bytes in quanta of 3,000 at 300,000 bytes per second, and is always
    /// woken so much too late. Answers how many bytes in a second and how many times.
    fn sends(late: Duration) -> (u32, u32) {
        let mut pacer = Pacer::default();
        let (mut now, mut sent, mut woken) = (at(1_000), 0, 0);
        while now < at(2_000) {
            while pacer.allow(now, 3_000, 300_000) > 0 {
                pacer.on_sent(now, 1_500, 300_000);
                sent += 1_500;
            }
            now = pacer.next() + late;
            woken += 1;
        }
        (sent, woken)
    }

    #[test]
    fn quanta_go_out_at_the_rate_and_each_takes_one_wake_up() {
        // The first one comes after a pause, and has half of its time for nothing.
        let (sent, woken) = sends(Duration::ZERO);
        assert_eq!((sent, woken), (303_000, 101));
    }

    #[test]
    fn who_is_woken_late_sends_no_less() {
        let (sent, _) = sends(Duration::from_millis(1));
        assert!((300_000..=303_000).contains(&sent), "{sent}");
        // But no more than half of a quantum's time is made up for.
        let (sent, _) = sends(Duration::from_millis(10));
        assert!((195_000..=205_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_pause_gives_no_credit_and_haste_is_made_up_for() {
        let mut pacer = Pacer::default();
        for start in [1_000, 5_000] {
            assert_eq!(pacer.allow(at(start), 1_000, 100_000), 1_000);
            pacer.on_sent(at(start), 1_000, 100_000);
            assert_eq!(pacer.allow(at(start), 1_000, 100_000), 0);
            assert_eq!(pacer.next(), at(start + 5));
        }
        // Out of turn.
        pacer.on_sent(at(5_000), 2_000, 100_000);
        assert_eq!(pacer.next(), at(5_025));
        assert_eq!(pacer.allow(at(5_024), 1_000, 100_000), 0);
        assert_eq!(pacer.allow(at(5_025), 1_000, 100_000), 1_000);
    }

    #[test]
    fn what_is_left_of_a_quantum_may_follow_at_once() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.allow(at(1_000), 3_000, 300_000), 3_000);
        pacer.on_sent(at(1_000), 1_000, 300_000);
        assert_eq!(pacer.allow(at(1_000), 3_000, 300_000), 2_000);
        pacer.on_sent(at(1_001), 1_000, 300_000);
        pacer.on_sent(at(1_001), 1_500, 300_000);
        assert_eq!(pacer.allow(at(1_001), 3_000, 300_000), 0);
        // A quantum that nothing went out of is no larger than those that follow.
        assert_eq!(pacer.allow(at(2_000), 30_000, 3_000_000), 30_000);
        assert_eq!(pacer.allow(at(2_000), 3_000, 300_000), 3_000);
    }

    #[test]
    fn no_rate_is_too_small_and_none_too_large() {
        let mut pacer = Pacer::default();
        pacer.on_sent(at(0), 1, u64::MAX);
        assert_eq!(pacer.next(), at(0));
        pacer.on_sent(at(0), u32::MAX, 0);
        assert!(pacer.next() > at(1_000 << 31));
        assert_eq!(pacer.allow(at(0), u32::MAX, u64::MAX), 0);
    }
}
