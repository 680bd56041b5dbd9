//! Pacing (draft-ietf-ccwg-bbr-05 section 5.6.2): what is sent is spread over time, at the rate that
//! the congestion controller gives.

use crate::time::{Duration, Instant};

/// When the next segment, or super-segment, may go out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    /// C.next_send_time
    next: Instant,
}

impl Pacer {
    /// How long what is sent next has to wait; `None`: it may go.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        Some(self.next.since(now)).filter(|wait| !wait.is_zero())
    }

    /// `len` bytes go out at `now`, of a flow that is to send `rate` bytes per second.
    ///
    /// "C.next_send_time = max(Now(), C.next_send_time)" and then "C.next_send_time + packet.size /
    /// C.pacing_rate": a pause gives no credit, and what went out although it should have waited (a
    /// probe, the first segment that is sent again) is made up for.
    pub fn on_sent(&mut self, now: Instant, len: u32, rate: u64) {
        let nanos = u128::from(len) * 1_000_000_000 / u128::from(rate.max(1));
        let delay = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.next = self.next.max(now) + delay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn segments_go_out_at_the_rate() {
        let mut pacer = Pacer::default();
        let (mut now, mut sent) = (at(1_000), 0);
        while now < at(2_000) {
            match pacer.wait(now) {
                Some(wait) => now += wait,
                None => {
                    pacer.on_sent(now, 1_500, 300_000);
                    sent += 1_500;
                }
            }
        }
        assert_eq!(sent, 300_000);
    }

    #[test]
    fn a_pause_gives_no_credit_and_haste_is_made_up_for() {
        let mut pacer = Pacer::default();
        pacer.on_sent(at(1_000), 1_000, 100_000);
        assert_eq!(pacer.wait(at(1_000)), Some(Duration::from_millis(10)));
        assert_eq!(pacer.wait(at(1_010)), None);
        pacer.on_sent(at(5_000), 1_000, 100_000);
        assert_eq!(pacer.wait(at(5_000)), Some(Duration::from_millis(10)));
        pacer.on_sent(at(5_000), 2_000, 100_000);
        assert_eq!(pacer.wait(at(5_000)), Some(Duration::from_millis(30)));
    }

    #[test]
    fn no_rate_is_too_small_and_none_too_large() {
        let mut pacer = Pacer::default();
        pacer.on_sent(at(0), 1, u64::MAX);
        assert_eq!(pacer.wait(at(0)), None);
        pacer.on_sent(at(0), u32::MAX, 0);
        assert!(pacer.wait(at(0)).is_some_and(|wait| wait > Duration::from_secs(1 << 31)));
    }
}
