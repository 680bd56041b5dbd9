//! Fast retransmit and fast recovery (RFC 5681 section 3.2, RFC 6582), limited transmit (RFC 3042).

use crate::wire::SeqNum;

/// Duplicate ACKs that stand for a loss (RFC 5681 section 3.2).
const DUPLICATES: u8 = 3;

/// What the sender is recovering from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Open,
    /// A loss noticed by duplicate ACKs.
    Fast,
    /// A timeout: everything unacknowledged is being sent again, in slow start.
    Timeout,
    /// The path carries less than it did: the same, but nothing tells of congestion.
    Shrunk,
}

/// What an acknowledgment means for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing out of the ordinary.
    Normal,
    /// The oldest segment is lost: send it again and reduce the window.
    EnterFastRecovery,
    /// The next hole shows: send it again, the window stays (RFC 6582 section 3.2, step 3).
    PartialAck,
    /// Everything that was outstanding at the loss has arrived.
    LeaveFastRecovery,
}

/// Where the sender stands in recovering from losses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    phase: Phase,
    duplicates: u8,
    /// The highest sequence number sent when recovery began, plus one (RFC 6582's "recover").
    recover: SeqNum,
    /// Bytes by which duplicate ACKs have shown segments to have left the network: the inflation
    /// of RFC 5681 section 3.2, kept beside the window instead of in it.
    credit: u32,
}

impl Recovery {
    /// Nothing has been lost; `iss` is the initial send sequence number (RFC 6582 section 3.2,
    /// step 1).
    pub(super) fn new(iss: SeqNum) -> Self {
        Self { phase: Phase::Open, duplicates: 0, recover: iss, credit: 0 }
    }

    /// Where the sender stands.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether duplicate ACKs have come since the last new one.
    pub(super) fn has_duplicates(&self) -> bool {
        self.duplicates > 0
    }

    /// Whether losses are being repaired, or duplicate ACKs have come that may stand for one.
    pub(super) fn is_under_way(&self) -> bool {
        self.phase != Phase::Open || self.duplicates > 0
    }

    /// Whether fast recovery is under way.
    pub(super) fn is_fast(&self) -> bool {
        self.phase == Phase::Fast
    }

    /// Bytes that may be in flight beyond the congestion window.
    pub(super) fn credit(&self) -> u32 {
        self.credit
    }

    /// A duplicate ACK arrived (RFC 5681 section 2 says what counts), with `una` and `nxt` as
    /// they stand and segments of `mss` bytes; `sacked` is the end of the newest text that it
    /// reports beyond the hole, if the peer reports that.
    pub(super) fn on_duplicate(
        &mut self,
        una: SeqNum,
        nxt: SeqNum,
        mss: u32,
        sacked: Option<SeqNum>,
    ) -> Verdict {
        if matches!(self.phase, Phase::Timeout | Phase::Shrunk) {
            // Everything outstanding counts as lost already: a duplicate tells nothing new.
            return Verdict::Normal;
        }
        self.duplicates = self.duplicates.saturating_add(1);
        // RFC 3042 section 2 for the first two, RFC 5681 section 3.2 step 4 for those after the
        // third. Never for more than was outstanding when recovery began (RFC 5681 section 6), or
        // a peer could open the window with ACKs alone.
        let most = match self.phase {
            Phase::Fast => una.len_to(self.recover),
            _ => 2 * mss,
        };
        self.credit = self.credit.saturating_add(mss).min(most);
        let enough = self.duplicates == DUPLICATES && self.phase == Phase::Open;
        // RFC 6582 section 3.2 step 2: duplicates of what was sent before the last recovery
        // ended are echoes of it, unless the peer says that newer text has arrived.
        let newer = |seq: SeqNum| seq.is_after(self.recover);
        if enough && (newer(una) || sacked.is_some_and(newer)) {
            self.phase = Phase::Fast;
            self.recover = nxt;
            // RFC 5681 section 3.2 step 3
            self.credit = 3 * mss;
            return Verdict::EnterFastRecovery;
        }
        Verdict::Normal
    }

    /// `acked` bytes were acknowledged for the first time; SND.UNA is `una` now.
    pub(super) fn on_new_ack(&mut self, una: SeqNum, acked: u32, mss: u32) -> Verdict {
        self.duplicates = 0;
        match self.phase {
            Phase::Open => {
                self.credit = 0;
                // "recover" follows just behind SND.UNA, or 2 GiB later it would seem to lie ahead.
                if una.is_after(self.recover + 1) {
                    self.recover = una - 1;
                }
                Verdict::Normal
            }
            Phase::Timeout | Phase::Shrunk => {
                if una.is_at_or_after(self.recover) {
                    self.phase = Phase::Open;
                }
                Verdict::Normal
            }
            Phase::Fast if una.is_at_or_after(self.recover) => {
                self.phase = Phase::Open;
                self.credit = 0;
                Verdict::LeaveFastRecovery
            }
            Phase::Fast => {
                // RFC 6582 section 3.2 step 3: deflate by what was acknowledged, and if that is
                // at least one segment, add one back.
                self.credit = self.credit.saturating_sub(acked);
                if acked >= mss {
                    self.credit = self.credit.saturating_add(mss);
                }
                Verdict::PartialAck
            }
        }
    }

    /// The retransmission timer ran out (RFC 6582 section 3.2, step 4). Answers whether it is the
    /// first time for this data.
    pub(super) fn on_timeout(&mut self, una: SeqNum, nxt: SeqNum) -> bool {
        let first = self.phase != Phase::Timeout || una.is_at_or_after(self.recover);
        self.phase = Phase::Timeout;
        self.duplicates = 0;
        self.credit = 0;
        self.recover = nxt;
        first
    }

    /// The path does not carry what is outstanding.
    pub(super) fn on_shrunk_path(&mut self, nxt: SeqNum) {
        if self.phase != Phase::Timeout {
            self.phase = Phase::Shrunk;
        }
        self.duplicates = 0;
        self.credit = 0;
        self.recover = nxt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    /// Ten segments outstanding.
    fn outstanding() -> (SeqNum, SeqNum, Recovery) {
        let iss = SeqNum(u32::MAX - 3_000);
        let una = iss + 1;
        (una, una + 10 * MSS, Recovery::new(iss))
    }

    #[test]
    fn the_third_duplicate_starts_recovery_and_the_first_two_let_new_data_out() {
        let (una, nxt, mut recovery) = outstanding();
        assert_eq!(recovery.on_duplicate(una, nxt, MSS, None), Verdict::Normal);
        assert_eq!(recovery.credit(), MSS);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS, None), Verdict::Normal);
        assert_eq!(recovery.credit(), 2 * MSS);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS, None), Verdict::EnterFastRecovery);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS, None), Verdict::Normal);
        assert_eq!(recovery.credit(), 4 * MSS);
    }

    #[test]
    fn partial_acks_keep_recovery_going_until_all_has_arrived() {
        let (una, nxt, mut recovery) = outstanding();
        for _ in 0..9 {
            recovery.on_duplicate(una, nxt, MSS, None);
        }
        assert_eq!(recovery.on_new_ack(una + 4 * MSS, 4 * MSS, MSS), Verdict::PartialAck);
        assert_eq!(recovery.credit(), 6 * MSS);
        assert_eq!(recovery.on_new_ack(nxt, 6 * MSS, MSS), Verdict::LeaveFastRecovery);
        assert_eq!(recovery.credit(), 0);
    }

    #[test]
    fn echoes_of_a_recovery_that_is_over_start_no_other() {
        let (una, nxt, mut recovery) = outstanding();
        assert!(recovery.on_timeout(una, nxt));
        recovery.on_new_ack(nxt, 10 * MSS, MSS);
        // SND.UNA is at "recover", not beyond it.
        for _ in 0..5 {
            assert_eq!(recovery.on_duplicate(nxt, nxt + 3 * MSS, MSS, None), Verdict::Normal);
        }
    }

    #[test]
    fn a_loss_right_after_a_recovery_shows_by_what_the_peer_holds() {
        let (una, nxt, mut recovery) = outstanding();
        recovery.on_timeout(una, nxt);
        recovery.on_new_ack(nxt, 10 * MSS, MSS);
        let sacked = Some(nxt + 2 * MSS);
        recovery.on_duplicate(nxt, nxt + 4 * MSS, MSS, sacked);
        recovery.on_duplicate(nxt, nxt + 4 * MSS, MSS, sacked);
        let third = recovery.on_duplicate(nxt, nxt + 4 * MSS, MSS, sacked);
        assert_eq!(third, Verdict::EnterFastRecovery);
    }

    #[test]
    fn a_timeout_of_the_retransmission_is_not_a_first_one() {
        let (una, nxt, mut recovery) = outstanding();
        assert!(recovery.on_timeout(una, nxt));
        assert!(!recovery.on_timeout(una, nxt));
        recovery.on_new_ack(nxt, 10 * MSS, MSS);
        assert!(recovery.on_timeout(nxt, nxt + MSS));
    }

    #[test]
    fn a_shrunk_path_is_no_timeout_and_its_duplicates_tell_nothing() {
        let (una, nxt, mut recovery) = outstanding();
        recovery.on_shrunk_path(nxt);
        for _ in 0..4 {
            assert_eq!(recovery.on_duplicate(una, nxt, MSS, None), Verdict::Normal);
        }
        assert_eq!(recovery.credit(), 0);
        assert_eq!(recovery.on_new_ack(una + MSS, MSS, MSS), Verdict::Normal);
        assert_eq!(recovery.phase(), Phase::Shrunk);
        recovery.on_new_ack(nxt, 9 * MSS, MSS);
        assert_eq!(recovery.phase(), Phase::Open);
        recovery.on_shrunk_path(nxt + MSS);
        assert!(recovery.on_timeout(nxt, nxt + MSS), "the first timeout of this data");
        recovery.on_shrunk_path(nxt + MSS);
        assert!(!recovery.on_timeout(nxt, nxt + MSS));
    }

    #[test]
    fn a_flood_of_duplicates_gives_no_more_credit_than_is_outstanding() {
        let (una, nxt, mut recovery) = outstanding();
        for _ in 0..1_000 {
            recovery.on_duplicate(una, nxt, MSS, None);
        }
        assert_eq!(recovery.credit(), 10 * MSS);
    }
}
