//! Round trips counted in packets, and whether the bandwidth still grows from one to the next
//! (draft-ietf-ccwg-bbr-05 sections 5.5.1 and 5.3.1.2).

/// Round trips, which start with the sending of some segment and end with its acknowledgment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    /// BBR.next_round_delivered
    ends_at: u64,
    /// BBR.round_count
    pub(super) count: u64,
    /// BBR.round_start: the ACK that is being taken in has ended one.
    pub(super) has_begun: bool,
    /// BBR.rounds_since_bw_probe
    pub(super) since_probe: u64,
}

impl Rounds {
    /// BBRUpdateRound, when an ACK reports a segment that was sent when so much had been delivered.
    pub(super) fn update(&mut self, prior_delivered: Option<u64>, delivered: u64) {
        self.has_begun = prior_delivered.is_some_and(|prior| prior >= self.ends_at);
        if self.has_begun {
            self.start(delivered);
            self.count += 1;
            self.since_probe += 1;
        }
    }

    /// BBRStartRound
    pub(super) fn start(&mut self, delivered: u64) {
        self.ends_at = delivered;
    }
}

/// The estimator of a full pipe.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FullPipe {
    /// BBR.full_bw_reached: it was full at some time.
    pub(super) reached: bool,
    /// BBR.full_bw_now: it has been found full since the estimator was last reset.
    pub(super) now: bool,
    /// BBR.full_bw
    baseline: u64,
    /// BBR.full_bw_count
    count: u8,
}

impl FullPipe {
    /// Round trips with little growth after which the pipe counts as full.
    const ROUNDS: u8 = 3;

    /// BBRResetFullBW, with the bandwidth that there is already.
    pub(super) fn reset(&mut self, baseline: u64) {
        (self.now, self.baseline, self.count) = (false, baseline, 0);
    }

    /// BBRCheckFullBWReached, once in a round trip in which the application was not the limit.
    pub(super) fn update(&mut self, rate: u64) {
        if self.now {
            return;
        }
        // "RS.delivery_rate >= BBR.full_bw * 1.25"
        if u128::from(rate) * 4 >= u128::from(self.baseline) * 5 {
            self.reset(rate);
            return;
        }
        self.count += 1;
        self.now = self.count >= Self::ROUNDS;
        self.reached |= self.now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_ends_with_what_was_sent_after_it_began() {
        let mut rounds = Rounds::default();
        rounds.update(Some(0), 10);
        assert_eq!((rounds.count, rounds.has_begun), (1, true));
        rounds.update(Some(9), 20);
        rounds.update(None, 20);
        assert_eq!((rounds.count, rounds.has_begun), (1, false));
        rounds.update(Some(10), 30);
        assert_eq!((rounds.count, rounds.since_probe, rounds.has_begun), (2, 2, true));
    }

    #[test]
    fn three_round_trips_without_a_quarter_more_are_a_full_pipe() {
        let mut pipe = FullPipe::default();
        for rate in [100, 125, 157, 197, 247] {
            pipe.update(rate);
            assert!(!pipe.now);
        }
        // 308 is less than 1.25 * 247, 309 is not: it begins anew.
        for rate in [308, 308, 309, 300, 386] {
            pipe.update(rate);
            assert!(!pipe.now);
        }
        pipe.update(309);
        assert!(pipe.now && pipe.reached);
        pipe.reset(300);
        assert!(!pipe.now && pipe.reached);
    }
}
