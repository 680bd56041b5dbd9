//! The receiver's half of accurate ECN: it counts what arrives with which mark, and tells the peer
//! (RFC 9768 section 3.2). It judges nothing: what the marks mean is for the sender to say.

use crate::wire::{EcnCounters, EcnField, EcnOrder, Segment, SeqNum, SeqRange};

/// Marks since the last ACK that bring one about: where text waits to be acknowledged, and where
/// none does (RFC 9768 section 3.2.2.5.1).
const MARKS_WITH_TEXT: u32 = 2;
const MARKS_WITHOUT_TEXT: u32 = 3;
/// The most that the ACE field can tell of: "'n' MUST be no greater than 7".
const MOST_MARKS: u32 = 7;

/// How often text comes again of which all ACKs have carried options, after which those are taken for what
/// keeps the ACKs from arriving; and how many segments without make up for it.
const REAPPEARANCES: u8 = 3;
const ENOUGH_NEW: u32 = 100;

bitflags::bitflags! {
    /// Counters of bytes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Counters: u8 {
        const E0B = 1;
        const CEB = 2;
        const E1B = 4;
    }
}

impl Counters {
    /// The one that text with this mark counts in.
    fn of(field: EcnField) -> Self {
        match field {
            EcnField::NotEct => Self::empty(),
            EcnField::Ect0 => Self::E0B,
            EcnField::Ect1 => Self::E1B,
            EcnField::Ce => Self::CEB,
        }
    }

    /// How many fields an option of this order takes that has all of them.
    fn fields(self, order: EcnOrder) -> usize {
        let (first, last) = match order {
            EcnOrder::Ect0First => (Self::E0B, Self::E1B),
            EcnOrder::Ect1First => (Self::E1B, Self::E0B),
        };
        if self.contains(last) {
            3
        } else if self.contains(Self::CEB) {
            2
        } else {
            usize::from(self.contains(first))
        }
    }
}

bitflags::bitflags! {
    /// Segments that carry an option to see whether the path lets it pass (RFC 9768 section
    /// 3.2.3.2.1): the first ACK of a connect, and its first text.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Trials: u8 {
        const ACK = 1;
        const TEXT = 2;
    }
}

/// When an ACK is owed because of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// With what is read together.
    Soon,
    /// Before the next packet is read: the ACE field could not tell of more marks.
    Now,
}

/// The counters of the receiver, and what the peer knows of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reflector {
    /// r.cep: packets that came with CE.
    cep: u32,
    /// r.e0b, r.ceb and r.e1b: bytes of text that came with each mark.
    e0b: u32,
    ceb: u32,
    e1b: u32,
    /// r.cep as the last segment that we sent has told it.
    told: u32,
    /// Which counters of bytes have ever moved, and which since they were last sent.
    moved: Counters,
    fresh: Counters,
    /// The last packet came with CE.
    last_was_ce: bool,
    /// The ACK that is owed acknowledges ACKs alone.
    acks_acks: bool,
    /// The SYN-ACK has been counted as one with CE.
    counted_syn_ack: bool,
    /// Options may be sent: nothing says that the path stops what carries them.
    sends_options: bool,
    trials: Trials,
    /// RCV.NXT as the last segment without an option has told it: as much as the peer knows for sure.
    told_plainly: SeqNum,
    reappearances: u8,
    /// Segments of new text since the last of them.
    new_text: u32,
}

impl Reflector {
    /// RFC 9768 section 3.2.1. `sends_options`: whether it has a mind to.
    pub(super) fn new(rcv_nxt: SeqNum, sends_options: bool) -> Self {
        Self {
            cep: 5,
            e0b: 1,
            ceb: 0,
            e1b: 1,
            told: 5,
            moved: Counters::empty(),
            fresh: Counters::empty(),
            last_was_ce: false,
            acks_acks: false,
            counted_syn_ack: false,
            sends_options,
            trials: Trials::empty(),
            told_plainly: rcv_nxt,
            reappearances: 0,
            new_text: 0,
        }
    }

    /// r.cep.
    pub(super) fn cep(&self) -> u32 {
        self.cep
    }

    /// Packets that have come with CE.
    pub(super) fn marked_packets(&self) -> u32 {
        self.cep.wrapping_sub(5)
    }

    /// A connect has been answered: its first ACK and its first text try whether options pass.
    pub(super) fn try_options(&mut self) {
        self.trials = Trials::all();
    }

    /// The SYN-ACK has arrived. "it MUST increment r.cep, but no more than once no matter how many
    /// CE-marked SYN/ACKs it receives" (section 3.2.2.2).
    pub(super) fn on_syn_ack(&mut self, syn_ack: &Segment<'_>) {
        if syn_ack.ecn == EcnField::Ce && !self.counted_syn_ack {
            self.counted_syn_ack = true;
            self.cep = self.cep.wrapping_add(1);
        }
        self.count_text(syn_ack);
        self.last_was_ce = syn_ack.ecn == EcnField::Ce;
    }

    /// An acceptable segment has arrived, with a mark or not; text of it or of one before it is
    /// `unacknowledged`, or none. Answers when that has to be told (section 3.2.2.5.1).
    pub(super) fn on_segment(
        &mut self,
        segment: &Segment<'_>,
        unacknowledged: bool,
    ) -> Option<Trigger> {
        let is_ce = segment.ecn == EcnField::Ce;
        let changes = is_ce && !self.last_was_ce && !segment.payload.is_empty();
        self.last_was_ce = is_ce;
        self.count_text(segment);
        if unacknowledged {
            self.acks_acks = false;
        }
        if !is_ce {
            return None;
        }
        self.cep = self.cep.wrapping_add(segment.segments());
        let untold = self.cep.wrapping_sub(self.told);
        let most = if unacknowledged { MARKS_WITH_TEXT } else { MARKS_WITHOUT_TEXT };
        if untold < most && !changes {
            return None;
        }
        self.acks_acks = !unacknowledged;
        Some(if untold >= MOST_MARKS { Trigger::Now } else { Trigger::Soon })
    }

    fn count_text(&mut self, segment: &Segment<'_>) {
        let which = Counters::of(segment.ecn);
        if segment.payload.is_empty() || which.is_empty() {
            return;
        }
        let counter = match segment.ecn {
            EcnField::Ce => &mut self.ceb,
            EcnField::Ect1 => &mut self.e1b,
            EcnField::Ect0 | EcnField::NotEct => &mut self.e0b,
        };
        // A payload came out of one frame, so it fits.
        *counter = counter.wrapping_add(segment.payload.len() as u32);
        self.moved |= which;
        self.fresh |= which;
    }

    /// So many segments of text have come that are new.
    pub(super) fn on_new_text(&mut self, segments: u32) {
        self.new_text = self.new_text.saturating_add(segments);
        if self.new_text >= ENOUGH_NEW {
            self.reappearances = 0;
        }
    }

    /// Text has come again that was acknowledged. "Such a host MAY detect loss of ACKs carrying the
    /// AccECN Option by detecting whether the acknowledged data always reappears as a retransmission.
    /// In such cases, the host SHOULD disable the sending of the AccECN Option" (section 3.2.3.2.2).
    ///
    /// A peer that has got nothing but ACKs without options sends from where those have ended. From
    /// before that it has missed ACKs without options, too; from beyond it has got one with an option.
    pub(super) fn on_reappearance(&mut self, text: SeqRange) {
        // Its block is to be reported (RFC 2883).
        self.acks_acks = false;
        if !text.contains(self.told_plainly) {
            return;
        }
        self.new_text = 0;
        self.reappearances = self.reappearances.saturating_add(1);
        if self.reappearances >= REAPPEARANCES {
            self.sends_options = false;
        }
    }

    /// Whether the next segment, with text or without, should carry an option.
    pub(super) fn owes_option(&self, has_text: bool) -> bool {
        self.sends_options && (!self.fresh.is_empty() || self.is_trial(has_text))
    }

    fn is_trial(&self, has_text: bool) -> bool {
        self.trials.contains(if has_text { Trials::TEXT } else { Trials::ACK })
    }

    /// The option that the next segment carries, with text or without, if it has `room` bytes for it
    /// in the header (section 3.2.3.3).
    pub(super) fn option(&self, has_text: bool, room: usize) -> Option<EcnCounters> {
        if !self.owes_option(has_text) {
            return None;
        }
        // "it SHOULD include a field for every byte counter that has changed at some time during the
        // connection"; a trial has all three, as the SYN-ACK's.
        let wanted = if self.is_trial(has_text) { Counters::all() } else { self.moved };
        let (first, second) = (EcnOrder::Ect0First, EcnOrder::Ect1First);
        let shorter = wanted.fields(second) < wanted.fields(first);
        let orders = if shorter { [second, first] } else { [first, second] };
        let most = (0..=3).rev().find(|count| EcnCounters::len_of(*count) <= room)?;
        let fits = |order| {
            let count = wanted.fields(order).min(most);
            // "provided that the counter(s) that have changed since the previous AccECN TCP option
            // are not omitted"
            (count >= self.fresh.fields(order)).then_some((order, count))
        };
        let (order, count) = orders.into_iter().find_map(fits)?;
        Some(EcnCounters::new(order, count, self.e0b, self.ceb, self.e1b))
    }

    /// A segment goes out with the ACE field, and with an option or without.
    pub(super) fn on_sent(&mut self, has_text: bool, option: bool, rcv_nxt: SeqNum) {
        self.told = self.cep;
        self.acks_acks = false;
        if option {
            self.fresh = Counters::empty();
            self.trials -= if has_text { Trials::TEXT } else { Trials::ACK };
        } else {
            self.told_plainly = rcv_nxt;
        }
    }

    /// Whether the ACK that is owed is there for marks on ACKs alone: then it MUST NOT have SACK
    /// blocks, so that nobody takes it for a duplicate (section 3.2.2.5.1).
    pub(super) fn acks_acks(&self) -> bool {
        self.acks_acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrives(ecn: EcnField, text: &'static [u8]) -> Segment<'static> {
        Segment { ecn, payload: text, ..Segment::EMPTY }
    }

    const FULL: &[u8] = &[0; 1_000];

    fn new() -> Reflector {
        Reflector::new(SeqNum(0), true)
    }

    fn option(reflector: &Reflector, room: usize) -> Option<String> {
        reflector.option(false, room).map(|option| option.to_string())
    }

    #[test]
    fn an_option_has_what_has_ever_moved_in_the_shorter_order() {
        let mut reflector = new();
        assert_eq!(option(&reflector, 40), None);
        reflector.on_segment(&arrives(EcnField::NotEct, FULL), true);
        assert_eq!(option(&reflector, 40), None, "there is no counter of those");
        reflector.on_segment(&arrives(EcnField::Ect1, FULL), true);
        assert_eq!(option(&reflector, 40).as_deref(), Some("ECN e1b 1001"));
        reflector.on_sent(false, true, SeqNum(0));
        assert_eq!(option(&reflector, 40), None, "it was told");
        reflector.on_segment(&arrives(EcnField::Ce, FULL), true);
        assert_eq!(option(&reflector, 40).as_deref(), Some("ECN e1b 1001 ceb 1000"));
        reflector.on_sent(false, true, SeqNum(0));
        reflector.on_segment(&arrives(EcnField::Ect0, FULL), true);
        assert_eq!(option(&reflector, 40).as_deref(), Some("ECN e0b 1001 ceb 1000 e1b 1001"));
        assert_eq!(option(&reflector, 11).as_deref(), Some("ECN e0b 1001 ceb 1000"));
        assert_eq!(option(&reflector, 7), None, "one field takes eight bytes as well");
    }

    #[test]
    fn what_has_moved_since_the_last_option_is_not_left_out() {
        let mut reflector = new();
        for ecn in [EcnField::Ect0, EcnField::Ce] {
            reflector.on_segment(&arrives(ecn, FULL), true);
        }
        assert_eq!(option(&reflector, 8).as_deref(), Some("ECN e0b 1001 ceb 1000"));
        reflector.on_segment(&arrives(EcnField::Ect1, FULL), true);
        assert_eq!(option(&reflector, 8), None, "all three have moved");
        reflector.on_sent(false, false, SeqNum(0));
        assert_eq!(option(&reflector, 8), None, "and are still owed");
        reflector.on_sent(false, true, SeqNum(0));
        reflector.on_segment(&arrives(EcnField::Ect1, FULL), true);
        assert_eq!(option(&reflector, 8).as_deref(), Some("ECN e1b 2001 ceb 1000"));
    }

    #[test]
    fn marks_are_told_before_they_are_too_many_for_three_bits() {
        let mut reflector = new();
        let ce = |text| arrives(EcnField::Ce, text);
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon), "it is the first");
        reflector.on_sent(false, false, SeqNum(0));
        assert_eq!(reflector.on_segment(&ce(FULL), true), None);
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon), "the second");
        reflector.on_sent(false, false, SeqNum(0));
        // Of packets without text every third.
        assert_eq!(reflector.on_segment(&ce(&[]), false), None);
        assert_eq!(reflector.on_segment(&ce(&[]), false), None);
        assert_eq!(reflector.on_segment(&ce(&[]), false), Some(Trigger::Soon));
        assert!(reflector.acks_acks());
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon));
        assert!(!reflector.acks_acks());
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon));
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon));
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Now), "seven");
        assert_eq!(reflector.marked_packets(), 10);
        reflector.on_sent(false, false, SeqNum(0));
        reflector.on_segment(&arrives(EcnField::Ect0, &[]), true);
        assert_eq!(reflector.on_segment(&ce(FULL), true), Some(Trigger::Soon), "a change");
    }

    #[test]
    fn counters_wrap() {
        let mut reflector = new();
        reflector.cep = u32::MAX;
        reflector.told = u32::MAX;
        reflector.ceb = u32::MAX;
        reflector.on_segment(&arrives(EcnField::Ce, FULL), true);
        assert_eq!((reflector.cep, reflector.ceb), (0, 999));
    }

    /// New text of `segments` is acknowledged with options, comes again, and is acknowledged without.
    fn comes_again(reflector: &mut Reflector, segments: u32) {
        let start = reflector.told_plainly;
        for n in 1..=segments {
            reflector.on_segment(&arrives(EcnField::Ect0, FULL), true);
            reflector.on_new_text(1);
            assert!(option(reflector, 40).is_some());
            reflector.on_sent(false, true, start + n * 1_000);
        }
        // Those beyond the first say nothing: the peer has got an ACK with an option.
        for n in (0..segments.min(4)).rev() {
            reflector.on_reappearance(SeqRange::new(start + n * 1_000, 1_000));
        }
        reflector.on_sent(false, false, start + segments * 1_000);
        // Nor does it if it has missed one without as well.
        reflector.on_reappearance(SeqRange::new(start, 1_000));
    }

    #[test]
    fn a_path_that_loses_every_ack_with_an_option_gets_none() {
        let mut reflector = new();
        for segments in [10, 20, 100, 1] {
            comes_again(&mut reflector, segments);
            assert!(reflector.sends_options, "{segments}");
        }
        comes_again(&mut reflector, 99);
        assert!(!reflector.sends_options);
        reflector.on_segment(&arrives(EcnField::Ect0, FULL), true);
        assert_eq!(option(&reflector, 40), None);
    }
}
