//! The sender's half of accurate ECN: how many of the packets that were sent have been marked, by
//! what the peer tells (RFC 9768 section 3.2, appendix A).

use super::negotiation;
use crate::wire::{EcnCounters, EcnField, Flags, SeqNum};

/// DIVACE: where the ACE field wraps.
const DIVACE: u32 = 8;
/// The counters of an option wrap at 24 bits.
const OPTION_BITS: u32 = 24;

/// Segments that an ACK acknowledges on average, above which an ACK of eight or more is nothing
/// unusual: the path or the peer thins them out, none is missing. Appendix A.2.1 has "well below 8";
/// Linux has this number.
const THINNED: u32 = 4;
/// How much of the average an ACK is: one part in 2 to the power of this; as in Linux.
const WEIGHT: u32 = 6;

/// Round trips with every packet marked, after which it is no router that marks them (RFC 9768
/// section 3.2.2.3: "the first three or four rounds").
const CONTINUOUS: u8 = 4;

/// What is known of the peer's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Options {
    /// None has come yet, where one was due.
    Absent,
    /// They come.
    Present,
    /// They began with a zero that cannot be: the path spoils them.
    Spoilt,
}

/// What the peer's feedback says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Packets that were marked, as far as had not been told before.
    pub(super) marked: u32,
    /// What was sent is not to be marked any more: the path does not do with marks what it should.
    pub(super) mangled: bool,
}

/// What one ACK delivers, for the tally.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    /// Segments that it acknowledges or reports for the first time.
    pub(super) segments: u32,
    /// Bytes of text in a full-sized one.
    pub(super) mss: u32,
    pub(super) una: SeqNum,
    pub(super) nxt: SeqNum,
}

/// The counters of the sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// s.cep: packets that came with CE.
    cep: u32,
    /// s.ceb: bytes of text that did.
    ceb: u32,
    /// s.e0b and s.e1b: bytes that came with ECT.
    e0b: u32,
    e1b: u32,
    /// s.cep when the last option came, and segments delivered since.
    cep_at_option: u32,
    since_option: u32,
    options: Options,
    /// Segments that an ACK delivers on average, in 1/64; zero before the first.
    per_ack: u32,
    /// Whether marks are answered at all.
    responds: bool,
    /// No feedback has come yet since the handshake.
    is_first: bool,
    /// Round trips in which every packet was marked, and where this one ends; `None` once a packet
    /// was not.
    continuous: Option<(u8, SeqNum)>,
}

impl Tally {
    /// RFC 9768 section 3.2.1. Text starts at `start`.
    pub(super) fn new(start: SeqNum) -> Self {
        Self {
            cep: 5,
            ceb: 0,
            e0b: 1,
            e1b: 1,
            cep_at_option: 5,
            since_option: 0,
            options: Options::Absent,
            per_ack: 0,
            responds: true,
            is_first: true,
            continuous: Some((0, start)),
        }
    }

    /// Packets of ours that have come with CE.
    pub(super) fn marked_packets(&self) -> u32 {
        self.cep.wrapping_sub(5)
    }

    /// Bytes of text of ours that have come with ECT(0), CE and ECT(1), as far as options have told.
    pub(super) fn bytes(&self) -> [u32; 3] {
        [self.e0b.wrapping_sub(1), self.ceb, self.e1b.wrapping_sub(1)]
    }

    /// The segment that ends the handshake has come, with an option or without: "the initial value of
    /// the EE0B field or EE1B field in an AccECN Option (if one exists) ought to be non-zero" (section
    /// 3.2.3.2.4). Whatever else they are is not looked at.
    pub(super) fn on_first_option(&mut self, option: Option<&EcnCounters>) {
        let Some(option) = option else { return };
        let spoilt = option.e0b() == Some(0) || option.e1b() == Some(0);
        self.options = if spoilt { Options::Spoilt } else { Options::Present };
        if !spoilt {
            self.take_fields(option);
        }
    }

    /// A pure ACK has come in SYN-RECEIVED, whose ACE field tells how our SYN-ACK has arrived (RFC
    /// 9768 section 3.2.2.1, table 4).
    pub(super) fn on_handshake_ack(&mut self, flags: Flags) -> Verdict {
        if negotiation::count(flags) == 0 {
            // "the Server MUST NOT set ECT on outgoing packets and MUST NOT respond to AccECN
            // feedback"
            self.responds = false;
            return Verdict { marked: 0, mangled: true };
        }
        let arrived = negotiation::field(flags).unwrap_or_default();
        let marked = u32::from(arrived == EcnField::Ce);
        self.cep = self.cep.wrapping_add(marked);
        // Section 3.2.2.3: we have sent it without ECT.
        Verdict { marked, mangled: arrived != EcnField::NotEct }
    }

    /// An ACK that is newer than the others has come, with this ACE field.
    pub(super) fn on_ack(
        &mut self,
        flags: Flags,
        option: Option<&EcnCounters>,
        delivered: &Delivered,
    ) -> Verdict {
        let count = negotiation::count(flags);
        let segments = delivered.segments;
        let to_zero = self.cep.wrapping_neg() % DIVACE;
        if core::mem::take(&mut self.is_first) && count == 0 && segments < to_zero {
            // Section 3.2.2.4: "If the value of this ACE field is found to be zero (0b000), for the
            // remainder of the half-connection the Data Sender ought to send non-ECN-capable packets
            // and it is advised not to respond to any feedback". Some marks would make it a zero as well:
            // three, or two after one on our SYN-ACK.
            self.responds = false;
            return Verdict { marked: 0, mangled: true };
        }
        let usual = self.note_size(segments);
        self.since_option = self.since_option.saturating_add(segments);
        let bytes = option.and_then(|option| self.take_option(option));
        let least = count.wrapping_sub(self.cep) % DIVACE;
        let marked = Self::safest_likely(least, bytes, usual, delivered);
        self.cep = self.cep.wrapping_add(marked);
        let mangled = self.contradicts(bytes) || self.is_continuous(marked, delivered);
        if option.is_some() {
            (self.cep_at_option, self.since_option) = (self.cep, 0);
        }
        Verdict { marked: if self.responds { marked } else { 0 }, mangled }
    }

    /// How many marks the least positive increment of the ACE field stands for, which may have wrapped:
    /// "the safest likely case under the prevailing conditions" (section 3.2.2.5.2, appendix A.2).
    ///
    /// `bytes` came with CE, as far as an option tells; an ACK delivers `usual` segments, in 1/64.
    fn safest_likely(least: u32, bytes: Option<u32>, usual: u32, delivered: &Delivered) -> u32 {
        let Delivered { segments, mss, .. } = *delivered;
        // "If the ACE counter on an ACK seems to imply that the minimum number of newly CE-marked
        // packets is greater than the number of newly acknowledged packets, the Data Sender SHOULD
        // consider the ACE counter to be correct".
        if segments < DIVACE {
            return least;
        }
        let safer = segments - (segments - least) % DIVACE;
        let is_plausible = match bytes {
            // Appendix A.2.2, with a SAFETY_FACTOR of 2.
            Some(bytes) => {
                let fits = u64::from(bytes) <= u64::from(mss) * u64::from(least);
                fits && bytes / safer.max(1) < mss / 2
            }
            // Appendix A.2.1: "it would be reasonable to only use dSafer.cep rather than d.cep if the
            // moving average of newlyAckedPkt was well below 8".
            None => usual > THINNED << WEIGHT,
        };
        if is_plausible { least } else { safer }
    }

    /// Answers the average before this ACK, or with the first one that.
    fn note_size(&mut self, segments: u32) -> u32 {
        // More fit into no window.
        let segments = segments.min(1 << 20);
        if self.per_ack == 0 {
            self.per_ack = segments << WEIGHT;
        }
        let before = self.per_ack;
        if segments > 0 {
            self.per_ack = before - (before >> WEIGHT) + segments;
        }
        before
    }

    /// Takes over what an option says. Answers how many bytes it tells of that came with CE, if that
    /// is known.
    fn take_option(&mut self, option: &EcnCounters) -> Option<u32> {
        match self.options {
            Options::Spoilt => None,
            Options::Present => Some(self.take_fields(option)),
            // Section 3.2.3.2.3: "AccECN Options are no longer blocked on the respective path". What
            // they count from is not known.
            Options::Absent => {
                self.options = Options::Present;
                self.take_fields(option);
                None
            }
        }
    }

    /// Answers by how much s.ceb has grown. A field that is not there has not changed.
    fn take_fields(&mut self, option: &EcnCounters) -> u32 {
        let before = self.ceb;
        for (counter, field) in [
            (&mut self.e0b, option.e0b()),
            (&mut self.ceb, option.ceb()),
            (&mut self.e1b, option.e1b()),
        ] {
            let Some(field) = field else { continue };
            let increment = field.wrapping_sub(*counter) % (1 << OPTION_BITS);
            // More than half of the circle is an older value.
            if increment < 1 << (OPTION_BITS - 1) {
                *counter = counter.wrapping_add(increment);
            }
        }
        self.ceb.wrapping_sub(before)
    }

    /// Whether "the s.ceb counter has increased but the s.cep has not (and by testing ACK coverage it
    /// is certain how much the ACE field has wrapped)" (section 3.2.3.2.5).
    fn contradicts(&self, bytes: Option<u32>) -> bool {
        let grown = bytes.is_some_and(|bytes| bytes > 0);
        grown && self.cep == self.cep_at_option && self.since_option < DIVACE
    }

    /// Whether so far every packet was marked, for some round trips. Then it is no sign of congestion,
    /// and is not answered any more.
    fn is_continuous(&mut self, marked: u32, delivered: &Delivered) -> bool {
        let Some((rounds, end)) = self.continuous else { return false };
        if delivered.segments == 0 {
            return false;
        }
        if marked < delivered.segments {
            self.continuous = None;
            return false;
        }
        if delivered.una.is_after(end) {
            self.continuous = Some((rounds + 1, delivered.nxt));
            if rounds + 1 >= CONTINUOUS {
                self.continuous = None;
                self.responds = false;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::EcnOrder;

    const MSS: u32 = 1_460;

    fn delivered(segments: u32) -> Delivered {
        Delivered { segments, mss: MSS, una: SeqNum(1), nxt: SeqNum(1) }
    }

    /// A tally that knows of no marks and has had ACKs of single segments.
    fn settled() -> Tally {
        let mut tally = Tally::new(SeqNum(0));
        for _ in 0..100 {
            tally.on_ack(negotiation::ace(5), None, &delivered(1));
        }
        tally
    }

    fn ceb(bytes: u32) -> EcnCounters {
        EcnCounters::new(EcnOrder::Ect0First, 2, 1, bytes, 1)
    }

    #[test]
    fn without_options_the_examples_of_the_appendix() {
        // Appendix A.2.1.
        for (segments, least, marked) in
            [(9, 2, 2), (10, 2, 10), (7, 0, 0), (8, 0, 8), (15, 0, 8), (1, 2, 2), (2, 7, 7)]
        {
            let verdict = settled().on_ack(negotiation::ace(5 + least), None, &delivered(segments));
            assert_eq!(verdict.marked, marked, "{segments} segments, {least} marks");
        }
    }

    #[test]
    fn with_options_the_examples_of_the_appendix() {
        // Appendix A.2.2.
        for (segments, least, bytes, marked) in
            [(8, 0, 1_460, 8), (10, 2, 1_460, 2), (15, 7, 10_200, 7), (15, 7, 14_600, 15)]
        {
            let mut tally = settled();
            tally.on_ack(negotiation::ace(5), Some(&ceb(0)), &delivered(1));
            let flags = negotiation::ace(5 + least);
            let verdict = tally.on_ack(flags, Some(&ceb(bytes)), &delivered(segments));
            assert_eq!(verdict.marked, marked, "{segments} segments, {least} marks, {bytes} bytes");
        }
    }

    #[test]
    fn where_acks_are_thinned_out_none_is_held_to_be_missing() {
        let mut tally = Tally::new(SeqNum(0));
        for _ in 0..100 {
            assert_eq!(tally.on_ack(negotiation::ace(5), None, &delivered(44)).marked, 0);
        }
        assert_eq!(tally.on_ack(negotiation::ace(6), None, &delivered(44)).marked, 1);
    }

    #[test]
    fn bytes_that_were_marked_without_a_packet_are_a_contradiction() {
        let mut tally = settled();
        assert!(!tally.on_ack(negotiation::ace(5), Some(&ceb(0)), &delivered(1)).mangled);
        // The packet was told before the option.
        assert!(!tally.on_ack(negotiation::ace(6), None, &delivered(1)).mangled);
        assert!(!tally.on_ack(negotiation::ace(6), Some(&ceb(MSS)), &delivered(1)).mangled);
        // It may have wrapped.
        let mut may = tally;
        may.on_ack(negotiation::ace(6), None, &delivered(7));
        assert!(!may.on_ack(negotiation::ace(6), Some(&ceb(9 * MSS)), &delivered(7)).mangled);
        assert!(tally.on_ack(negotiation::ace(6), Some(&ceb(2 * MSS)), &delivered(3)).mangled);
    }

    #[test]
    fn a_first_count_of_zero_is_believed_if_so_many_marks_may_have_come() {
        for (syn_ack, segments, mangled) in [
            (EcnField::NotEct, 2, true),
            (EcnField::NotEct, 3, false),
            (EcnField::Ce, 1, true),
            (EcnField::Ce, 2, false),
        ] {
            let mut tally = Tally::new(SeqNum(0));
            tally.on_handshake_ack(negotiation::encoded(syn_ack));
            let verdict = tally.on_ack(negotiation::ace(0), None, &delivered(segments));
            assert_eq!(verdict.mangled, mangled, "{syn_ack:?} {segments}");
            assert_eq!(verdict.marked == 0, mangled);
            // Only the first is looked at.
            let mut tally = settled();
            assert!(!tally.on_ack(negotiation::ace(0), None, &delivered(segments)).mangled);
        }
    }

    #[test]
    fn an_option_that_begins_with_zero_is_not_believed() {
        let spoilt = EcnCounters::new(EcnOrder::Ect0First, 3, 0, 0, 1);
        let mut tally = settled();
        tally.on_first_option(Some(&spoilt));
        tally.on_ack(negotiation::ace(5), Some(&ceb(MSS)), &delivered(1));
        assert_eq!(tally.bytes(), [0; 3]);
        let two = ceb(2 * MSS);
        assert_eq!(tally.on_ack(negotiation::ace(7), Some(&two), &delivered(10)).marked, 10);
        // Other values than those of today are.
        let other = EcnCounters::new(EcnOrder::Ect1First, 3, 7, 8, 9);
        let mut tally = settled();
        tally.on_first_option(Some(&other));
        assert_eq!(tally.bytes(), [6, 8, 8]);
    }

    #[test]
    fn an_older_counter_moves_nothing_back() {
        let mut tally = settled();
        tally.on_first_option(Some(&ceb(5_000)));
        tally.on_ack(negotiation::ace(6), Some(&ceb(4_000)), &delivered(1));
        assert_eq!(tally.bytes(), [0, 5_000, 0]);
    }

    #[test]
    fn a_counter_of_bytes_is_followed_beyond_24_bits() {
        let mut tally = settled();
        tally.on_first_option(Some(&ceb(0)));
        for n in 1..=40u32 {
            tally.on_ack(negotiation::ace(5 + n), Some(&ceb(n << 20)), &delivered(1));
        }
        assert_eq!(tally.bytes()[1], 40 << 20);
    }

    #[test]
    fn a_path_that_marks_everything_is_not_taken_for_congested() {
        let mut tally = Tally::new(SeqNum(0));
        let mut cep = 5;
        let mut answered = 0;
        for round in 1..=20 {
            let delivered =
                Delivered { una: SeqNum(round * 10), nxt: SeqNum(round * 10 + 5), ..delivered(2) };
            cep += 2;
            let verdict = tally.on_ack(negotiation::ace(cep), None, &delivered);
            answered += u32::from(verdict.marked > 0);
            assert_eq!(verdict.mangled, round == 4);
        }
        assert_eq!(answered, 3);
        assert_eq!(tally.marked_packets(), 40);
    }

    proptest! {
        /// The peer has a counter that does not wrap. As long as fewer than eight segments are
        /// acknowledged at a time, none of its marks is missed or invented.
        #[test]
        fn the_counter_is_followed_exactly_where_it_cannot_wrap(
            steps in vec((1u32..8, 0u32..=7), 1..300),
            start in any::<u32>(),
        ) {
            let mut tally = Tally::new(SeqNum(0));
            tally.cep = start;
            let mut theirs = start;
            for (segments, marks) in steps {
                tally.is_first = false;
                theirs = theirs.wrapping_add(marks.min(segments));
                tally.on_ack(negotiation::ace(theirs), None, &delivered(segments));
                prop_assert_eq!(tally.cep, theirs);
            }
        }

        /// With ACKs missing it may be ahead, never behind by a cycle, if those before were not thinned
        /// out; and it agrees with the peer in the three bits again.
        #[test]
        fn where_it_may_have_wrapped_the_safer_count_is_taken(
            segments in 8u32..1_000, marked in 0u32..1_000,
        ) {
            let marked = marked.min(segments);
            let mut tally = settled();
            let verdict = tally.on_ack(negotiation::ace(5 + marked), None, &delivered(segments));
            prop_assert!(verdict.marked >= marked);
            prop_assert!(verdict.marked <= segments);
            prop_assert_eq!(tally.cep % 8, (5 + marked) % 8);
        }

        /// With options on each ACK the count is right where all segments are full-sized.
        #[test]
        fn with_options_full_sized_segments_are_counted_exactly(
            steps in vec((1u32..16, 0u32..16), 1..100),
        ) {
            let mut tally = settled();
            tally.on_first_option(Some(&ceb(0)));
            let (mut packets, mut bytes) = (5u32, 0u32);
            for (segments, marks) in steps {
                let marks = marks.min(segments);
                packets += marks;
                bytes += marks * MSS;
                tally.on_ack(negotiation::ace(packets), Some(&ceb(bytes)), &delivered(segments));
                prop_assert_eq!(tally.cep, packets);
                prop_assert_eq!(tally.bytes()[1], bytes);
            }
        }

        #[test]
        fn whatever_the_peer_says_nothing_overflows(
            steps in vec((0u32..8, any::<Option<[u32; 3]>>(), any::<u32>(), any::<u32>()), 1..100),
        ) {
            let mut tally = Tally::new(SeqNum(u32::MAX));
            for (count, counters, segments, una) in steps {
                let option = counters.map(|[e0b, ceb, e1b]| {
                    EcnCounters::new(EcnOrder::Ect1First, (e0b % 4) as usize, e0b, ceb, e1b)
                });
                let delivered = Delivered { una: SeqNum(una), ..delivered(segments) };
                tally.on_ack(negotiation::ace(count), option.as_ref(), &delivered);
            }
        }
    }
}
