//! What a handshake says of ECN: RFC 3168 section 6.1.1 and RFC 9768 section 3.1.

use crate::wire::{EcnField, Flags, Segment};

/// Whether connections use ECN, and how marks are fed back; as Linux's `tcp_ecn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ecn {
    /// Never: `tcp_ecn` 0.
    Off,
    /// When a peer that connects asks for it, as in RFC 3168: `tcp_ecn` 2.
    #[default]
    Accept,
    /// Asked for when connecting, too: `tcp_ecn` 1.
    Request,
    /// When a peer that connects asks for it: accurate ECN (RFC 9768), which counts marks, or that of
    /// RFC 3168: `tcp_ecn` 5.
    AcceptAccurate,
    /// Asked for when connecting, too; of a peer that knows that of RFC 3168 only, that: `tcp_ecn` 3.
    Accurate,
}

/// How marks are fed back. In a SYN that we send: how we ask for them to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::tcp) enum Mode {
    /// Not ECN.
    #[default]
    None,
    /// RFC 3168.
    Classic,
    /// RFC 9768.
    Accurate,
}

/// The flags of an "ECN-setup SYN packet" (RFC 3168 section 6.1.1).
pub(super) const SETUP_SYN: Flags = Flags::ECE.union(Flags::CWR);

/// The flags that negotiate, and later the ACE field (RFC 9768 section 3.2.2).
pub(in crate::tcp) const ACE: Flags = SETUP_SYN.union(Flags::AE);

const AE: Flags = Flags::AE;
const CWR: Flags = Flags::CWR;
const ECE: Flags = Flags::ECE;

impl Ecn {
    /// Whether accurate ECN is known.
    pub(in crate::tcp) fn knows_accurate(self) -> bool {
        matches!(self, Self::AcceptAccurate | Self::Accurate)
    }

    /// What our SYN asks for.
    pub(in crate::tcp) fn asks(self) -> Mode {
        match self {
            Self::Off | Self::Accept | Self::AcceptAccurate => Mode::None,
            Self::Request => Mode::Classic,
            Self::Accurate => Mode::Accurate,
        }
    }

    /// What a listener that received `syn` agrees to.
    pub(in crate::tcp) fn agrees_to(self, syn: &Segment<'_>) -> Mode {
        match self {
            Self::Off => Mode::None,
            Self::Accept | Self::Request if is_setup_syn(syn) => Mode::Classic,
            Self::Accept | Self::Request => Mode::None,
            Self::AcceptAccurate | Self::Accurate => match asked_by(syn) {
                Mode::Classic if !is_setup_syn(syn) => Mode::None,
                asked => asked,
            },
        }
    }
}

/// RFC 3168 section 6.1.1. A host must not set ECT on a SYN; a path that sets it by itself says
/// nothing of congestion either, and Linux does not agree to ECN over such a path. But a host that asks for
/// accurate ECN as well may set it by itself (RFC 8311 section 4.3), and Linux does agree then.
pub(in crate::tcp) fn is_setup_syn(syn: &Segment<'_>) -> bool {
    syn.has(SETUP_SYN) && (syn.ecn == EcnField::NotEct || syn.has(AE))
}

/// What a SYN asks for, where accurate ECN is known (RFC 9768 sections 3.1.2 and 3.1.3): "any
/// combination other than (0,0,0), (0,1,1) or (1,1,1)" asks as the last one does.
pub(in crate::tcp) fn asked_by(syn: &Segment<'_>) -> Mode {
    match syn.flags & ACE {
        flags if flags.is_empty() => Mode::None,
        SETUP_SYN => Mode::Classic,
        _ => Mode::Accurate,
    }
}

/// RFC 3168 section 6.1.1. With both flags it is the work of a peer that reflects what it does not
/// know (section 6.1.1.2).
pub(super) fn is_setup_syn_ack(syn_ack: &Segment<'_>) -> bool {
    syn_ack.flags & SETUP_SYN == ECE
}

/// What the answer to a SYN that has asked for accurate ECN agrees to (RFC 9768 section 3.1.2, table
/// 2), and the ECN field with which that SYN has arrived.
pub(super) fn answered_by(syn_ack: &Segment<'_>) -> (Mode, EcnField) {
    let flags = syn_ack.flags & ACE;
    match field(flags) {
        Some(arrived) => (Mode::Accurate, arrived),
        None if flags == ECE => (Mode::Classic, EcnField::NotEct),
        // Section 3.1.3: what is reserved counts "as if it fed back that the IP-ECN field on the SYN
        // had arrived unchanged".
        None if flags == AE | ECE => (Mode::Accurate, EcnField::NotEct),
        // Nothing, or all of what the SYN had: the peer reflects what it does not know.
        None => (Mode::None, EcnField::NotEct),
    }
}

/// The handshake encoding of the ECN field of a SYN or SYN-ACK (RFC 9768 tables 2 and 3).
pub(in crate::tcp) fn encoded(field: EcnField) -> Flags {
    match field {
        EcnField::NotEct => CWR,
        EcnField::Ect1 => CWR | ECE,
        EcnField::Ect0 => AE,
        EcnField::Ce => AE | CWR,
    }
}

/// The ECN field that these flags encode, if they encode one.
pub(super) fn field(flags: Flags) -> Option<EcnField> {
    let all = [EcnField::NotEct, EcnField::Ect1, EcnField::Ect0, EcnField::Ce];
    all.into_iter().find(|field| encoded(*field) == flags & ACE)
}

/// A counter as the ACE field has it: three bits, AE the highest (RFC 9768 section 3.2.2).
pub(in crate::tcp) fn ace(counter: u32) -> Flags {
    let mut flags = Flags::empty();
    flags.set(AE, counter & 4 != 0);
    flags.set(CWR, counter & 2 != 0);
    flags.set(ECE, counter & 1 != 0);
    flags
}

/// What the ACE field of a segment says, 0 to 7.
pub(super) fn count(flags: Flags) -> u32 {
    u32::from(flags.contains(AE)) << 2
        | u32::from(flags.contains(CWR)) << 1
        | u32::from(flags.contains(ECE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Flags; 8] = [
        Flags::empty(),
        ECE,
        CWR,
        CWR.union(ECE),
        AE,
        AE.union(ECE),
        AE.union(CWR),
        AE.union(CWR).union(ECE),
    ];

    #[test]
    fn three_flags_count_to_seven() {
        for (number, flags) in (0..).zip(ALL) {
            assert_eq!(ace(number), flags);
            assert_eq!(ace(number + 800), flags);
            assert_eq!(count(flags | Flags::ACK), number);
        }
    }

    #[test]
    fn each_answer_to_a_syn_that_asks_for_accurate_ecn_has_its_meaning() {
        use Mode::{Accurate, Classic, None};
        // RFC 9768 table 2, from 000 to 111.
        for (flags, meaning) in ALL.into_iter().zip([
            (None, EcnField::NotEct),
            (Classic, EcnField::NotEct),
            (Accurate, EcnField::NotEct),
            (Accurate, EcnField::Ect1),
            (Accurate, EcnField::Ect0),
            (Accurate, EcnField::NotEct),
            (Accurate, EcnField::Ce),
            (None, EcnField::NotEct),
        ]) {
            let syn_ack = Segment { flags: Flags::SYN | Flags::ACK | flags, ..Segment::EMPTY };
            assert_eq!(answered_by(&syn_ack), meaning, "{flags:?}");
        }
    }

    #[test]
    fn each_syn_has_its_meaning() {
        use Mode::{Accurate, Classic, None};
        let arrives = |flags, ecn| Segment { flags: Flags::SYN | flags, ecn, ..Segment::EMPTY };
        for (number, flags) in (0..).zip(ALL) {
            let syn = arrives(flags, EcnField::NotEct);
            let accurate = match number {
                0 => None,
                3 => Classic,
                _ => Accurate,
            };
            let classic = if matches!(number, 3 | 7) { Classic } else { None };
            assert_eq!(Ecn::Accurate.agrees_to(&syn), accurate, "{flags:?}");
            assert_eq!(Ecn::AcceptAccurate.agrees_to(&syn), accurate, "{flags:?}");
            assert_eq!(Ecn::Accept.agrees_to(&syn), classic, "{flags:?}");
            assert_eq!(Ecn::Request.agrees_to(&syn), classic, "{flags:?}");
            assert_eq!(Ecn::Off.agrees_to(&syn), None, "{flags:?}");
        }
        for ecn in [EcnField::Ect0, EcnField::Ect1, EcnField::Ce] {
            assert_eq!(Ecn::Accurate.agrees_to(&arrives(ACE, ecn)), Accurate);
            assert_eq!(Ecn::Accurate.agrees_to(&arrives(SETUP_SYN, ecn)), None);
            assert_eq!(Ecn::Accept.agrees_to(&arrives(ACE, ecn)), Classic);
            assert_eq!(Ecn::Accept.agrees_to(&arrives(SETUP_SYN, ecn)), None);
        }
    }
}
