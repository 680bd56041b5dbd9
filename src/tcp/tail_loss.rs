//! Tail loss probes (RFC 8985 section 7): when the last segments of a flight are lost, no ACK tells
//! of it. A probe, sent long before the retransmission timer would run out, provokes one, or
//! repairs the loss itself.

use crate::time::Instant;
use crate::wire::SeqNum;

/// Nanoseconds added to the timeout when a single segment is in flight: its ACK may be delayed (RFC
/// 8985 section 7.2, TLP.max_ack_delay); 200 ms, as in Linux.
const MAX_ACK_DELAY: u64 = 200_000_000;

/// Nanoseconds added otherwise, for the grain of timers: 2 ms, as in Linux.
const GRAIN: u64 = 2_000_000;

/// What is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Out {
    /// No probe.
    #[default]
    Nothing,
    /// One of new data.
    NewData,
    /// One that was sent before (TLP.is_retrans).
    Again,
}

/// Whether a probe is out, and how it went. Packed, for there is one in every connection.
#[derive(Clone, Copy, Debug, Default)]
#[repr(Rust, packed(2))]
pub(super) struct TailLoss {
    /// TLP.end_seq: SND.NXT when the probe was sent.
    end_seq: SeqNum,
    out: Out,
    /// The round-trip time has been measured since the last probe.
    measured: bool,
}

impl TailLoss {
    /// Whether a probe may be sent: there is one at a time, and probes must not keep the round-trip
    /// time from being measured (RFC 8985 section 7.3).
    pub(super) fn may_probe(&self) -> bool {
        self.out == Out::Nothing && self.measured
    }

    /// Whether a probe is out whose ACK has not been understood yet.
    pub(super) fn is_probing(&self) -> bool {
        self.out != Out::Nothing
    }

    /// SND.NXT when the last probe was sent.
    pub(super) fn end(&self) -> SeqNum {
        self.end_seq
    }

    /// Whether a probe is out, or was last, that repeated what ends with `end`.
    pub(super) fn has_probed(&self, end: SeqNum) -> bool {
        let end_seq = self.end_seq;
        self.out == Out::Again && end_seq == end
    }

    /// The round-trip time has been measured.
    pub(super) fn on_sample(&mut self) {
        self.measured = true;
    }

    /// When the probe is due if the last segment, perhaps a `single` one, goes out at `now`, and the
    /// smoothed round-trip time is `srtt` nanoseconds (RFC 8985 section 7.2, TLP_calc_PTO). The
    /// caller sees to it that it is no later than the retransmission timer.
    #[inline]
    pub(super) fn due(now: Instant, srtt: u64, single: bool) -> Instant {
        let more = if single { MAX_ACK_DELAY } else { GRAIN };
        Instant::from_nanos(now.as_nanos().saturating_add(2 * srtt + more))
    }

    /// A probe goes out; SND.NXT is `nxt` after it.
    pub(super) fn on_probe(&mut self, nxt: SeqNum, is_retransmission: bool) {
        let out = if is_retransmission { Out::Again } else { Out::NewData };
        *self = Self { end_seq: nxt, out, measured: false };
    }

    /// The retransmission timer has run out, or recovery has begun: that decides.
    pub(super) fn forget(&mut self) {
        self.out = Out::Nothing;
    }

    /// An ACK of up to `ack` has arrived (RFC 8985 section 7.4.2, TLP_process_ack). `repeats` says
    /// that it is a duplicate without SACK blocks, `twice` is the end of what it tells to have been
    /// received twice. Answers whether the probe has repaired a loss, to which the congestion
    /// controller must respond.
    pub(super) fn on_ack(&mut self, ack: SeqNum, repeats: bool, twice: Option<SeqNum>) -> bool {
        let end = self.end_seq;
        if self.out == Out::Nothing || ack.is_before(end) {
            return false;
        }
        if self.out == Out::NewData || twice == Some(end) {
            // New data has arrived, or both the original and the probe: nothing was lost.
            self.out = Out::Nothing;
            return false;
        }
        if ack.is_after(end) {
            // The ACKs of original and probe would have come apart: one of the two was lost.
            self.out = Out::Nothing;
            return true;
        }
        if repeats {
            // The ACK of the probe, behind that of the original.
            self.out = Out::Nothing;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: SeqNum = SeqNum(5);

    fn probing(is_retransmission: bool) -> TailLoss {
        let mut probe = TailLoss::default();
        assert!(!probe.may_probe(), "nothing has been measured");
        probe.on_sample();
        assert!(probe.may_probe());
        probe.on_probe(END, is_retransmission);
        assert!(!probe.may_probe());
        probe.on_sample();
        probe
    }

    #[test]
    fn new_data_repairs_nothing() {
        let mut probe = probing(false);
        assert!(!probe.on_ack(END - 10, false, None) && !probe.may_probe());
        assert!(!probe.on_ack(END, false, None) && probe.may_probe());
    }

    #[test]
    fn the_ack_of_the_original_and_that_of_the_probe_mean_no_loss() {
        let mut probe = probing(true);
        assert!(!probe.on_ack(END, false, None) && !probe.may_probe());
        assert!(!probe.on_ack(END, true, None) && probe.may_probe());
        let mut probe = probing(true);
        assert!(!probe.on_ack(END, false, Some(END)) && probe.may_probe());
        let mut probe = probing(true);
        assert!(!probe.on_ack(END, false, Some(END - 1)) && !probe.may_probe());
    }

    #[test]
    fn an_ack_beyond_the_probe_without_one_for_each_means_a_loss() {
        let mut probe = probing(true);
        assert!(!probe.on_ack(END, false, None));
        assert!(probe.on_ack(END + 10, false, None) && probe.may_probe());
    }

    #[test]
    fn a_single_segment_is_given_the_time_of_a_delayed_ack() {
        let (now, rtt) = (Instant::from_millis(1_000), 10_000_000);
        assert_eq!(TailLoss::due(now, rtt, false), Instant::from_millis(1_022));
        assert_eq!(TailLoss::due(now, rtt, true), Instant::from_millis(1_220));
    }
}
