//! Where a sender stands in repairing losses. With a peer that does not report what it has received:
//! fast retransmit and fast recovery (RFC 5681 section 3.2, RFC 6582), limited transmit (RFC 3042).
//! With one that does, losses are found by RACK, and what is kept here is the window by which they
//! are repaired (RFC 9937) and whether that was for nothing (RFC 3522, RFC 5682).

use super::prr::{Progress, Prr};
use super::rack::Reordering;
use super::undo::{Answer, ForwardRto, Undo};
use crate::wire::{SeqNum, SeqRange};

/// Duplicate ACKs that stand for a loss (RFC 5681 section 3.2).
const DUPLICATES: u8 = 3;

/// What the sender is recovering from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Open,
    /// A loss noticed by what the peer says.
    Fast,
    /// Congestion that the peer echoes: nothing is lost, but what is in the network comes down.
    Reduced,
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

/// What there is only where something may have been lost.
#[derive(Clone, Debug, Default)]
struct Episode {
    /// Bytes by which duplicate ACKs have shown segments to have left the network: the inflation
    /// of RFC 5681 section 3.2, kept beside the window instead of in it.
    credit: u32,
    /// What is sent by, if the congestion controller leaves that to recovery, or where the window is
    /// reduced for a mark.
    prr: Option<Prr>,
    /// SND.NXT when the window was reduced for a mark.
    reduced_at: SeqNum,
    undo: Undo,
    frto: ForwardRto,
    /// It began with a timeout.
    of_timeout: bool,
    /// The window had been reduced for a mark already.
    excused: bool,
    /// Once it is over: SND.NXT at that time. Reports of what was sent twice come until that is
    /// acknowledged.
    over_at: Option<SeqNum>,
}

/// Where the sender stands in recovering from losses.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    phase: Phase,
    duplicates: u8,
    /// The highest sequence number sent when recovery began, plus one (RFC 6582's "recover").
    recover: SeqNum,
    /// How much the path reorders.
    pub(super) reordering: Reordering,
    episode: Option<Box<Episode>>,
}

impl Recovery {
    /// Nothing has been lost; `iss` is the initial send sequence number (RFC 6582 section 3.2,
    /// step 1).
    pub(super) fn new(iss: SeqNum) -> Self {
        let (duplicates, reordering) = (0, Reordering::default());
        Self { phase: Phase::Open, duplicates, recover: iss, reordering, episode: None }
    }

    /// Where the sender stands.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether duplicate ACKs have come since the last new one.
    pub(super) fn has_duplicates(&self) -> bool {
        self.duplicates > 0
    }

    /// Whether a silence may be asked about: after a timeout the timer backs off instead.
    pub(super) fn may_probe(&self) -> bool {
        !matches!(self.phase, Phase::Timeout | Phase::Shrunk)
    }

    /// Whether losses are being repaired.
    pub(super) fn repairs(&self) -> bool {
        !matches!(self.phase, Phase::Open | Phase::Reduced)
    }

    /// Whether the window is reduced little by little, and must not grow meanwhile.
    #[inline]
    pub(super) fn reduces(&self) -> bool {
        matches!(self.phase, Phase::Fast | Phase::Reduced)
    }

    /// Whether the window has been reduced for a mark since `seq` was first sent. Then its loss is no second
    /// reason: the window is to be "reduced only once in response to a series of dropped and/or CE
    /// packets from a single window of data" (RFC 3168 section 6.1.2). What was sent after that, the
    /// segment with CWR first, is of another window.
    pub(super) fn has_reduced_since(&self, seq: SeqNum) -> bool {
        let is_older = |episode: &Episode| seq.is_before(episode.reduced_at);
        self.phase == Phase::Reduced && self.episode.as_deref().is_some_and(is_older)
    }

    /// Whether the window was not reduced for what is repaired, or was last, because it had been for a
    /// mark.
    pub(super) fn is_excused(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.excused)
    }

    /// Whether nothing is, nor has been so lately that reports of it may still come.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.phase == Phase::Open && self.episode.is_none()
    }

    /// Bytes that may be in flight beyond the congestion window.
    #[inline]
    pub(super) fn credit(&self) -> u32 {
        self.episode.as_ref().map_or(0, |episode| episode.credit)
    }

    /// What may be in the network where the controller says `cwnd`.
    #[inline]
    pub(super) fn window(&self, cwnd: u32) -> u32 {
        match &self.episode {
            Some(episode) if self.reduces() => episode.prr.map_or(cwnd, |prr| prr.window()),
            _ => cwnd,
        }
    }

    /// Bytes of memory taken beside itself.
    pub(super) fn memory(&self) -> usize {
        self.episode.as_ref().map_or(0, |_| size_of::<Episode>())
    }

    /// A duplicate ACK arrived (RFC 5681 section 2 says what counts), with `una` and `nxt` as
    /// they stand and segments of `mss` bytes.
    pub(super) fn on_duplicate(&mut self, una: SeqNum, nxt: SeqNum, mss: u32) -> Verdict {
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
        let enough = self.duplicates == DUPLICATES && !self.repairs();
        let episode = self.episode.get_or_insert_default();
        let credit = &mut episode.credit;
        *credit = credit.saturating_add(mss).min(most);
        // RFC 6582 section 3.2 step 2: duplicates of what was sent before the last recovery
        // ended are echoes of it.
        if enough && una.is_after(self.recover) {
            self.phase = Phase::Fast;
            self.recover = nxt;
            // RFC 5681 section 3.2 step 3
            *credit = 3 * mss;
            episode.prr = None;
            return Verdict::EnterFastRecovery;
        }
        Verdict::Normal
    }

    /// `acked` bytes were acknowledged for the first time; SND.UNA is `una` now.
    pub(super) fn on_new_ack(&mut self, una: SeqNum, acked: u32, mss: u32) -> Verdict {
        self.duplicates = 0;
        match self.phase {
            Phase::Open | Phase::Reduced => {
                self.episode.take_if(|_| self.phase == Phase::Open);
                if let Some(episode) = &mut self.episode {
                    episode.credit = 0;
                }
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
                self.episode = None;
                Verdict::LeaveFastRecovery
            }
            Phase::Fast => {
                // RFC 6582 section 3.2 step 3: deflate by what was acknowledged, and if that is
                // at least one segment, add one back.
                let credit = &mut self.episode.get_or_insert_default().credit;
                *credit = credit.saturating_sub(acked);
                if acked >= mss {
                    *credit = credit.saturating_add(mss);
                }
                Verdict::PartialAck
            }
        }
    }

    /// The retransmission timer ran out (RFC 6582 section 3.2, step 4). Answers whether it is the
    /// first time for this data that the window is to be reduced.
    pub(super) fn on_timeout(&mut self, una: SeqNum, nxt: SeqNum) -> bool {
        let first = match self.phase {
            Phase::Timeout => una.is_at_or_after(self.recover),
            _ => !self.has_reduced_since(una),
        };
        self.phase = Phase::Timeout;
        self.duplicates = 0;
        self.episode = None;
        self.recover = nxt;
        first
    }

    /// The path does not carry what is outstanding.
    pub(super) fn on_shrunk_path(&mut self, nxt: SeqNum) {
        if self.phase != Phase::Timeout {
            self.phase = Phase::Shrunk;
        }
        self.duplicates = 0;
        self.recover = nxt;
        // What is sent again now says nothing of losses.
        self.episode = None;
    }
}

/// Of a recovery that goes by what the peer reports.
impl Recovery {
    /// Something is lost: recovery begins. `resent` sequence numbers that were sent again before are
    /// in the network.
    pub(super) fn enter(&mut self, una: SeqNum, nxt: SeqNum, prr: Option<Prr>, resent: u32) {
        let excused = self.has_reduced_since(una);
        self.phase = Phase::Fast;
        self.recover = nxt;
        let undo = Undo::new(una, resent);
        let episode = Episode { prr, undo, excused, ..Episode::default() };
        self.episode = Some(Box::new(episode));
    }

    /// The retransmission timer ran out. `progressed`: something was acknowledged since it last did.
    /// Answers whether the window is to be reduced for what is lost now: once for all that was out
    /// when recovery began, as in Linux, but again where the timeout follows on progress; and not where
    /// it has been reduced for a mark.
    pub(super) fn on_timeout_with_sack(
        &mut self,
        una: SeqNum,
        nxt: SeqNum,
        progressed: bool,
        resent: u32,
    ) -> bool {
        let was = self.phase;
        let excused = self.has_reduced_since(una);
        let begins = match was {
            Phase::Open | Phase::Reduced => true,
            Phase::Timeout if progressed => true,
            _ => una.is_at_or_after(self.recover),
        };
        self.phase = Phase::Timeout;
        self.recover = nxt;
        // RFC 5682 section 3.1, step 1, and 3.2: not where another recovery was under way, unless it
        // was that of a timeout of the same data.
        let frto = match was {
            Phase::Open | Phase::Reduced => ForwardRto::First,
            Phase::Timeout if !progressed => ForwardRto::First,
            _ => ForwardRto::Off,
        };
        match &mut self.episode {
            Some(episode) if !begins => {
                episode.prr = None;
                episode.frto = frto;
                episode.over_at = None;
            }
            slot => {
                let (undo, of_timeout) = (Undo::new(una, resent), true);
                let episode = Episode { undo, frto, of_timeout, excused, ..Episode::default() };
                *slot = Some(Box::new(episode));
            }
        }
        begins && !excused
    }

    /// Whether what is repaired, or was last, began with a timeout.
    pub(super) fn is_of_timeout(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.of_timeout)
    }

    /// Whether an ACK of `una` acknowledges all that was out when recovery began.
    pub(super) fn is_complete(&self, una: SeqNum) -> bool {
        una.is_at_or_after(self.recover)
    }

    /// SND.UNA is `una`: if that is all that was out when recovery began, it is over, with SND.NXT at
    /// `nxt`. Answers what it was.
    pub(super) fn leave_at(&mut self, una: SeqNum, nxt: SeqNum) -> Option<Phase> {
        if !self.repairs() || una.is_before(self.recover) {
            return None;
        }
        let left = core::mem::replace(&mut self.phase, Phase::Open);
        self.end_episode(una, nxt);
        Some(left)
    }

    fn end_episode(&mut self, una: SeqNum, nxt: SeqNum) {
        if let Some(episode) = &mut self.episode {
            episode.prr = None;
            episode.frto = ForwardRto::Off;
            // Where nothing is out, there may be reports still, until something else is.
            episode.over_at = Some(if una == nxt { nxt + 1 } else { nxt });
        }
    }

    /// SND.UNA is `una`: nothing more is to be heard of a recovery once what was sent before its end
    /// is acknowledged.
    pub(super) fn forget_before(&mut self, una: SeqNum) {
        self.episode.take_if(|episode| episode.over_at.is_some_and(|at| una.is_at_or_after(at)));
    }

    /// The window has been reduced for a mark, with SND.NXT at `nxt`. Where it is being reduced for a
    /// loss already, that goes on.
    pub(super) fn reduce(&mut self, nxt: SeqNum, prr: Prr) {
        if !self.repairs() {
            self.phase = Phase::Reduced;
            let episode = Episode { prr: Some(prr), reduced_at: nxt, ..Episode::default() };
            self.episode = Some(Box::new(episode));
        }
    }

    /// SND.UNA is `una` and SND.NXT `nxt`: a reduction for a mark is over once something is
    /// acknowledged that was sent after it, as in Linux, or nothing is out that could be less.
    pub(super) fn end_reduction(&mut self, una: SeqNum, nxt: SeqNum) {
        let over = |episode: &Episode| una.is_after(episode.reduced_at) || una == nxt;
        if self.phase == Phase::Reduced && self.episode.as_deref().is_none_or(over) {
            self.phase = Phase::Open;
            self.episode = None;
        }
    }

    /// An ACK while the window is reduced.
    pub(super) fn on_progress(&mut self, progress: Progress) {
        if let Some(prr) = self.prr() {
            prr.on_ack(progress);
        }
    }

    /// Recovery has begun by a timer, with `in_network` bytes out.
    pub(super) fn start_by_timer(&mut self, in_network: u32, mss: u32) {
        if let Some(prr) = self.prr() {
            prr.on_timer(in_network, mss);
        }
    }

    fn prr(&mut self) -> Option<&mut Prr> {
        self.episode.as_mut().and_then(|episode| episode.prr.as_mut())
    }

    /// The congestion controller rules its window by itself from here on.
    pub(super) fn leave_to_controller(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.prr = None;
        }
    }

    /// `len` bytes are sent.
    #[inline]
    pub(super) fn on_sent(&mut self, len: u32) {
        if self.reduces()
            && let Some(prr) = self.prr()
        {
            prr.on_sent(len);
        }
    }

    /// `len` sequence numbers are sent again, when our timestamps clock reads `clock`.
    pub(super) fn on_resent(&mut self, len: u32, clock: u32) {
        if let Some(episode) = &mut self.episode {
            episode.undo.on_resent(len, clock);
        }
    }

    /// `block` was reported as received twice.
    pub(super) fn on_duplicate_block(&mut self, block: SeqRange) {
        if let Some(episode) = &mut self.episode {
            episode.undo.on_duplicate(block);
        }
    }

    /// Whether an ACK of something new, which echoes `echo`, tells that what was held to be lost had
    /// been late.
    pub(super) fn shows_late(&self, echo: Option<u32>) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.undo.shows_late(echo))
    }

    /// Whether all that was sent again has been received twice.
    pub(super) fn shows_duplicates(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.undo.shows_duplicates())
    }

    /// There is another reason for the reduction: congestion is echoed (RFC 4015 section 3.2).
    pub(super) fn settle(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.undo.settle();
        }
    }

    /// An ACK after a timeout; `original` is where the first of the segments ends that it delivers and
    /// that were sent once only. Answers whether the timeout was spurious (RFC 5682 section 3.1).
    pub(super) fn on_answer(&mut self, answer: Answer, original: Option<SeqNum>) -> bool {
        let original = original.is_some_and(|end| end.is_at_or_before(self.recover));
        let Some(episode) = &mut self.episode else {
            return false;
        };
        episode.frto.on_ack(Answer { original, ..answer })
    }

    /// Whether new text goes out instead of what is held to be lost (RFC 5682 section 3.1, step 2b).
    pub(super) fn wants_new_text(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.frto == ForwardRto::NewText)
    }

    /// Whether nothing is sent again for the time being.
    pub(super) fn holds_back(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.frto.holds_back())
    }

    /// What new text could go out has gone; SND.NXT is `nxt`.
    pub(super) fn on_new_text(&mut self, nxt: SeqNum) {
        let any = nxt.is_after(self.recover);
        if let Some(episode) = &mut self.episode {
            episode.frto.on_new_text(any);
        }
    }

    /// The reduction has been taken back, and with it the recovery that it was for.
    pub(super) fn on_undone(&mut self, una: SeqNum, nxt: SeqNum) {
        self.phase = Phase::Open;
        self.settle();
        self.end_episode(una, nxt);
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
        assert_eq!(recovery.on_duplicate(una, nxt, MSS), Verdict::Normal);
        assert_eq!(recovery.credit(), MSS);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS), Verdict::Normal);
        assert_eq!(recovery.credit(), 2 * MSS);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS), Verdict::EnterFastRecovery);
        assert_eq!(recovery.on_duplicate(una, nxt, MSS), Verdict::Normal);
        assert_eq!(recovery.credit(), 4 * MSS);
    }

    #[test]
    fn partial_acks_keep_recovery_going_until_all_has_arrived() {
        let (una, nxt, mut recovery) = outstanding();
        for _ in 0..9 {
            recovery.on_duplicate(una, nxt, MSS);
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
            assert_eq!(recovery.on_duplicate(nxt, nxt + 3 * MSS, MSS), Verdict::Normal);
        }
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
            assert_eq!(recovery.on_duplicate(una, nxt, MSS), Verdict::Normal);
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
            recovery.on_duplicate(una, nxt, MSS);
        }
        assert_eq!(recovery.credit(), 10 * MSS);
    }
}
