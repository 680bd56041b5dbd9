//! Whether a reduction of the window was for nothing: what was held to be lost had only been late. The
//! echoed timestamp tells it (RFC 3522, the Eifel detection), or reports that all that was sent again
//! has come twice (RFC 2883, RFC 3708). After a timeout it shows also in what is acknowledged first
//! (RFC 5682, F-RTO). What follows is the response of RFC 4015, as far as Linux has it: the window is
//! as before, and what has not been sent again counts as under way.

use super::timestamps;
use crate::wire::{SeqNum, SeqRange};

/// What is known of the last reduction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undo {
    /// SND.UNA when the window was reduced.
    marker: SeqNum,
    /// Sequence numbers sent again since, less those reported as received twice.
    resent: u32,
    /// Our timestamps clock when something was first sent again.
    first_resent: Option<u32>,
    /// Something was sent again.
    has_resent: bool,
    /// It may be taken back: it was not, and congestion has not been echoed (RFC 4015 section 3.2).
    may: bool,
}

impl Undo {
    /// The window is reduced, with SND.UNA at `una`; `resent` sequence numbers sent again before are
    /// in the network still.
    pub(super) fn new(una: SeqNum, resent: u32) -> Self {
        Self { marker: una, resent, first_resent: None, has_resent: resent > 0, may: true }
    }

    /// `len` sequence numbers are sent again, when our timestamps clock reads `clock`.
    pub(super) fn on_resent(&mut self, len: u32, clock: u32) {
        self.resent = self.resent.saturating_add(len);
        self.has_resent = true;
        self.first_resent.get_or_insert(clock);
    }

    /// `block` has been received twice.
    pub(super) fn on_duplicate(&mut self, block: SeqRange) {
        if block.end.is_after(self.marker) {
            self.resent = self.resent.saturating_sub(block.len());
        }
    }

    /// The reduction stays, whatever comes to be known: it has been taken back already, or there is
    /// another reason for it.
    pub(super) fn settle(&mut self) {
        self.may = false;
    }

    /// Whether an ACK of something new that echoes `echo`, if it does, answers what was sent before
    /// anything was sent again (RFC 3522 section 3.2, step 5).
    pub(super) fn shows_late(&self, echo: Option<u32>) -> bool {
        let before = match (echo, self.first_resent) {
            (Some(echo), Some(first)) => timestamps::is_before(echo, first),
            _ => false,
        };
        // What was not sent again at all, and has arrived, was late as well.
        self.may && (before || !self.has_resent)
    }

    /// Whether all that was sent again has been received twice.
    pub(super) fn shows_duplicates(&self) -> bool {
        self.may && self.has_resent && self.resent == 0
    }
}

/// Forward RTO-recovery (RFC 5682 section 3, for peers that report what they hold): whether a timeout
/// was spurious shows in the two ACKs after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum ForwardRto {
    /// Nothing is to be found out.
    #[default]
    Off,
    /// Step 1: the oldest segment has been sent again.
    First,
    /// Step 2b: new text goes out instead of what is held to be lost.
    NewText,
    /// Step 3: new text is out.
    Second,
}

/// What an ACK after a timeout says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// SND.UNA has moved.
    pub(super) advances: bool,
    /// Something is reported for the first time.
    pub(super) reports: bool,
    /// Something that was sent before the timeout, and not again since, has been delivered.
    pub(super) original: bool,
    /// There is new text, and room for it in the peer's window.
    pub(super) has_new_text: bool,
}

impl ForwardRto {
    /// An ACK that does not cover all that was out at the timeout. Answers whether the timeout was
    /// spurious.
    pub(super) fn on_ack(&mut self, answer: Answer) -> bool {
        if *self == Self::Off {
            return false;
        }
        if answer.original {
            // Step 3b: "the TCP sender SHOULD declare the timeout spurious"; as in Linux also before
            // new text is out.
            *self = Self::Off;
            return true;
        }
        match *self {
            // Step 3a: the loss was real, or nothing tells that it was not.
            Self::Second if answer.reports || answer.advances => *self = Self::Off,
            Self::First if answer.advances => {
                *self = if answer.has_new_text { Self::NewText } else { Self::Off };
            }
            _ => {}
        }
        false
    }

    /// Whether nothing is sent again until the next ACK has told more.
    pub(super) fn holds_back(self) -> bool {
        matches!(self, Self::NewText | Self::Second)
    }

    /// What new text could go out has done so, `any` of it or none.
    pub(super) fn on_new_text(&mut self, any: bool) {
        if *self == Self::NewText {
            *self = if any { Self::Second } else { Self::Off };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: SeqNum = SeqNum(u32::MAX - 500);

    fn block(at: u32, len: u32) -> SeqRange {
        SeqRange::new(UNA + at, len)
    }

    #[test]
    fn an_echo_from_before_the_first_retransmission_shows_that_the_original_has_arrived() {
        // RFC 3522 section 3.2: "the value of the Timestamp Echo Reply field ... is smaller than the
        // value of the variable RetransmitTS".
        let mut undo = Undo::new(UNA, 0);
        undo.on_resent(1_000, 50);
        undo.on_resent(1_000, 70);
        assert!(undo.shows_late(Some(49)));
        assert!(!undo.shows_late(Some(50)), "that of the retransmission itself");
        assert!(!undo.shows_late(Some(60)) && !undo.shows_late(None));
        undo.settle();
        assert!(!undo.shows_late(Some(49)));
    }

    #[test]
    fn what_was_never_sent_again_was_late() {
        let undo = Undo::new(UNA, 0);
        assert!(undo.shows_late(None) && !undo.shows_duplicates());
        assert!(!Undo::new(UNA, 100).shows_late(None), "it may still arrive");
    }

    #[test]
    fn when_all_that_was_sent_again_has_come_twice_nothing_was_lost() {
        let mut undo = Undo::new(UNA, 0);
        undo.on_resent(1_000, 50);
        undo.on_resent(500, 50);
        undo.on_duplicate(block(0, 1_000));
        assert!(!undo.shows_duplicates());
        undo.on_duplicate(SeqRange { start: UNA - 1_000, end: UNA });
        assert!(!undo.shows_duplicates(), "that was sent before the reduction");
        undo.on_duplicate(block(4_000, 500));
        assert!(undo.shows_duplicates());
    }

    fn answer(advances: bool, reports: bool, original: bool, has_new_text: bool) -> Answer {
        Answer { advances, reports, original, has_new_text }
    }

    #[test]
    fn what_was_sent_once_and_arrives_after_the_timeout_shows_it_to_be_spurious() {
        // RFC 5682 section 3.1, steps 2b and 3b.
        let mut frto = ForwardRto::First;
        assert!(!frto.on_ack(answer(true, false, false, true)));
        assert!(frto.holds_back());
        frto.on_new_text(true);
        assert_eq!(frto, ForwardRto::Second);
        assert!(frto.on_ack(answer(true, false, true, true)));
        assert_eq!(frto, ForwardRto::Off);
    }

    #[test]
    fn a_report_of_the_new_text_alone_shows_the_loss_to_be_real() {
        // RFC 5682 section 3.1, step 3a.
        let mut frto = ForwardRto::First;
        frto.on_ack(answer(true, false, false, true));
        frto.on_new_text(true);
        assert!(!frto.on_ack(answer(false, true, false, true)));
        assert_eq!(frto, ForwardRto::Off);
    }

    #[test]
    fn without_new_text_recovery_goes_on_as_ever() {
        // RFC 5682 section 3.1, step 2b: "If the TCP sender does not have enough new data".
        let mut frto = ForwardRto::First;
        assert!(!frto.on_ack(answer(false, false, false, true)), "nothing new is acknowledged");
        assert_eq!(frto, ForwardRto::First);
        assert!(!frto.on_ack(answer(true, false, false, false)));
        assert_eq!(frto, ForwardRto::Off);
        let mut frto = ForwardRto::NewText;
        frto.on_new_text(false);
        assert_eq!(frto, ForwardRto::Off, "the window did not let it out");
    }
}
