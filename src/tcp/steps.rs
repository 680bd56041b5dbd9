//! Random steps in the life of a connection, for properties that hold whatever happens.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::prelude::*;

use super::ecn::{ACE, Ecn};
use super::{Connection, HalfOpen, HalfOpenVerdict, Link, Settings, State};
use crate::time::Instant;
use crate::wire::{
    EcnField, Flags, Flow, Options, SackBlocks, Segment, SeqNum, SeqRange, Timestamps, WindowScale,
};

pub(super) const MSS: u32 = 1_448;
/// The peer's initial sequence number: its text wraps.
const IRS: SeqNum = SeqNum(u32::MAX - 5_000);
const MTU: usize = 1_500;

/// A connection of a passive open, just established.
pub(super) fn established(timestamps: bool, ecn: bool) -> Connection {
    established_with(timestamps, ecn, Settings::default())
}

/// The same with accurate ECN, if with ECN.
pub(super) fn established_accurately(timestamps: bool, ecn: bool) -> Connection {
    established_with(timestamps, ecn, Settings { ecn: Ecn::Accurate, ..Settings::default() })
}

/// The same with these settings.
pub(super) fn established_with(timestamps: bool, ecn: bool, settings: Settings) -> Connection {
    let ours = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    let flow = Flow::between((ours, 80), (peer, 5_000));
    let settings = Arc::new(settings);
    let options = Options {
        mss: Some(1_460),
        window_scale: Some(WindowScale::new(7)),
        sack_permitted: true,
        timestamps: timestamps.then_some(Timestamps { value: 100, echo: 0 }),
        ..Options::default()
    };
    let setup = if settings.ecn == Ecn::Accurate { ACE } else { ACE - Flags::AE };
    let flags = if ecn { Flags::SYN | setup } else { Flags::SYN };
    let syn = Segment { seq: IRS, flags, window: 64_000, options, ..EMPTY };
    let iss = SeqNum(u32::MAX - 9_000);
    let mut half_open = HalfOpen::new(Instant::ZERO, flow, &syn, iss, &settings);
    let options = Options { timestamps: options.timestamps, ..Options::default() };
    let (seq, ack) = (IRS + 1, iss + 1);
    let arrived = if setup == ACE && ecn { Flags::CWR } else { Flags::empty() };
    let ack = Segment { seq, ack, flags: Flags::ACK | arrived, window: 500, options, ..EMPTY };
    let verdict = half_open.on_segment(Instant::ZERO, &ack, &settings);
    assert_eq!(verdict, HalfOpenVerdict::Establish);
    let link = Link::new(MTU, MTU);
    let mut connection = Connection::accept(Instant::ZERO, &half_open, 0, settings, link);
    connection.on_unpredicted(Instant::ZERO, &ack, false);
    assert_eq!(connection.state, State::Established);
    connection
}

pub(super) const EMPTY: Segment<'static> = Segment::EMPTY;

/// The next thing that happens, in numbers from where the connection stands.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Arrives(Arriving),
    Write(usize),
    Read(usize),
    Shutdown,
    Timeout,
}

#[derive(Clone, Debug)]
pub(super) struct Arriving {
    /// From RCV.NXT.
    seq: i32,
    /// From SND.UNA, in quarters of what is in flight.
    ack: i32,
    flags: Flags,
    window: u16,
    urgent: u16,
    len: usize,
    /// TSval, from the one before, if there is one.
    timestamp: Option<i32>,
    sack: bool,
    ecn: EcnField,
}

/// Mostly what is predicted.
fn arriving() -> impl Strategy<Value = Arriving> {
    let seq = prop_oneof![12 => Just(0), 1 => -3_000..3_000, 1 => Just(MSS as i32)];
    let ack = prop_oneof![6 => Just(0), 6 => 1..=4, 1 => -2..8];
    let flags = prop_oneof![
        20 => Just(Flags::ACK),
        10 => Just(Flags::ACK | Flags::PSH),
        1 => Just(Flags::ACK | Flags::URG),
        1 => Just(Flags::ACK | Flags::FIN),
        1 => Just(Flags::ACK | Flags::ECE),
        1 => Just(Flags::ACK | Flags::CWR),
        1 => (0u16..=Flags::all().bits()).prop_map(Flags::from_bits_retain),
    ];
    let window = prop_oneof![8 => Just(500), 2 => 0..5u16, 2 => any::<u16>()];
    let len = prop_oneof![4 => Just(MSS as usize), 3 => Just(0), 2 => 1..4_000usize];
    let timestamp =
        prop_oneof![10 => (0..5).prop_map(Some), 1 => (-50..0).prop_map(Some), 1 => Just(None)];
    let marks = (prop::bool::weighted(0.1), prop_oneof![3 => Just(2u8), 1 => 0..4u8]);
    let fields = (seq, ack, flags, window, 0..3_000u16, len, timestamp, marks);
    fields.prop_map(|(seq, ack, flags, window, urgent, len, timestamp, (sack, ecn))| Arriving {
        seq,
        ack,
        flags,
        window,
        urgent,
        len,
        timestamp,
        sack,
        ecn: EcnField::from_bits(ecn),
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => arriving().prop_map(Step::Arrives),
        8 => (1..20_000usize).prop_map(Step::Write),
        2 => (1..5_000usize).prop_map(Step::Read),
        1 => Just(Step::Timeout),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Step::Shutdown } else { Step::Timeout }),
    ]
}

/// The segment that arrives, as the connection stands; `clock` is the peer's, which moves on.
pub(super) fn segment<'f>(
    at: &Connection,
    step: &Arriving,
    timestamps: bool,
    clock: &mut u32,
    text: &'f [u8],
) -> Segment<'f> {
    let moves = step.timestamp.filter(|_| timestamps).unwrap_or(0);
    *clock = clock.wrapping_add_signed(moves.max(0));
    let value = clock.wrapping_add_signed(moves.min(0));
    let quarter = at.snd.una.len_to(at.snd.nxt) / 4;
    let options = Options {
        timestamps: step.timestamp.filter(|_| timestamps).map(|_| Timestamps { value, echo: 1 }),
        sack: if step.sack {
            let mut sack = SackBlocks::EMPTY;
            sack.push(SeqRange::new(at.snd.una + quarter, quarter));
            sack
        } else {
            SackBlocks::EMPTY
        },
        ..Options::default()
    };
    // Four quarters are all of it, to the last byte.
    let ack = if step.ack == 4 { at.snd.nxt } else { moved(at.snd.una, step.ack * quarter as i32) };
    Segment {
        seq: moved(at.rcv.nxt, step.seq),
        ack,
        flags: step.flags,
        window: step.window,
        urgent: step.urgent,
        options,
        ecn: step.ecn,
        payload: &text[..step.len],
        segment_size: None,
    }
}

fn moved(seq: SeqNum, by: i32) -> SeqNum {
    SeqNum(seq.0.wrapping_add_signed(by))
}
