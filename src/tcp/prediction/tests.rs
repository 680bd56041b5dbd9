#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tcp::{HalfOpen, HalfOpenVerdict, Link, Outgoing, Settings};
use crate::wire::{EcnField, Flow, Options, SackBlocks, SeqNum, SeqRange, Timestamps, WindowScale};

const MSS: u32 = 1_448;
/// The peer's initial sequence number: its text wraps.
const IRS: SeqNum = SeqNum(u32::MAX - 5_000);
const LINK: Link = Link { mtu: 1_500, path_mtu: 1_500 };

/// A connection of a passive open, just established.
fn established(timestamps: bool, ecn: bool) -> Connection {
    let ours = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    let flow = Flow::between((ours, 80), (peer, 5_000));
    let settings = Arc::new(Settings::default());
    let options = Options {
        mss: Some(1_460),
        window_scale: Some(WindowScale::new(7)),
        sack_permitted: true,
        timestamps: timestamps.then_some(Timestamps { value: 100, echo: 0 }),
        ..Options::default()
    };
    let flags = if ecn { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
    let syn = Segment { seq: IRS, flags, window: 64_000, options, ..EMPTY };
    let iss = SeqNum(u32::MAX - 9_000);
    let mut half_open = HalfOpen::new(Instant::ZERO, flow, &syn, iss, 0, settings);
    let options = Options { timestamps: options.timestamps, ..Options::default() };
    let (seq, ack) = (IRS + 1, iss + 1);
    let ack = Segment { seq, ack, flags: Flags::ACK, window: 500, options, ..EMPTY };
    let verdict = half_open.on_segment(Instant::ZERO, &ack);
    assert_eq!(verdict, HalfOpenVerdict::Establish);
    let mut connection = Connection::accept(Instant::ZERO, &half_open, LINK);
    connection.on_unpredicted(Instant::ZERO, &ack, false);
    assert_eq!(connection.state, State::Established);
    connection
}

const EMPTY: Segment<'static> = Segment {
    seq: SeqNum(0),
    ack: SeqNum(0),
    flags: Flags::empty(),
    window: 0,
    urgent: 0,
    options: Options {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::EMPTY,
    },
    ecn: EcnField::NotEct,
    payload: &[],
    segment_size: None,
};

/// The next thing that happens, in numbers from where the connection stands.
#[derive(Clone, Debug)]
enum Step {
    Arrives(Arriving),
    Write(usize),
    Read(usize),
    Shutdown,
    Timeout,
}

#[derive(Clone, Debug)]
struct Arriving {
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
        1 => any::<u8>().prop_map(Flags::from_bits_retain),
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

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => arriving().prop_map(Step::Arrives),
        8 => (1..20_000usize).prop_map(Step::Write),
        2 => (1..5_000usize).prop_map(Step::Read),
        1 => Just(Step::Timeout),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Step::Shutdown } else { Step::Timeout }),
    ]
}

/// The segment that arrives, as the connection stands.
fn segment<'f>(at: &Connection, step: &Arriving, clock: u32, text: &'f [u8]) -> Segment<'f> {
    let quarter = at.snd.una.len_to(at.snd.nxt) / 4;
    let options = Options {
        timestamps: step.timestamp.map(|_| Timestamps { value: clock, echo: 1 }),
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

/// What a connection sends now.
fn sent(connection: &mut Connection, now: Instant) -> Vec<Outgoing> {
    core::iter::from_fn(|| connection.poll_transmit(now, 0)).collect()
}

proptest! {
    /// The same segments, with prediction and without it, leave the same state and the same
    /// answers behind.
    #[test]
    fn the_short_way_ends_where_the_long_one_does(
        timestamps: bool, ecn: bool, hand_out: bool, steps in vec((step(), 0u64..60), 1..60),
    ) {
        let text = vec![7; 4_000];
        let mut into = vec![0; 5_000];
        let mut short = established(timestamps, ecn);
        let mut long = established(timestamps, ecn);
        prop_assert_eq!(short.ecn.is_some(), ecn);
        let (mut now, mut clock) = (Instant::ZERO, 100u32);
        for (step, pause) in steps {
            now += core::time::Duration::from_millis(pause);
            match step {
                Step::Arrives(arriving) => {
                    let moves = arriving.timestamp.filter(|_| timestamps).unwrap_or(0);
                    clock = clock.wrapping_add_signed(moves.max(0));
                    let clock = clock.wrapping_add_signed(moves.min(0));
                    let mut segment = segment(&long, &arriving, clock, &text);
                    if !timestamps {
                        segment.options.timestamps = None;
                    }
                    let arrived = short.on_segment(now, &segment, hand_out);
                    prop_assert_eq!(arrived, long.on_unpredicted(now, &segment, hand_out));
                }
                Step::Write(len) => {
                    let data = vec![9; len];
                    prop_assert_eq!(short.write(&data), long.write(&data));
                }
                Step::Read(len) => {
                    prop_assert_eq!(short.read(&mut into[..len]), long.read(&mut into[..len]));
                }
                Step::Shutdown => {
                    short.shutdown();
                    long.shutdown();
                }
                Step::Timeout => {
                    now = long.poll_timeout().unwrap_or(now).max(now);
                    short.on_timeout(now);
                    long.on_timeout(now);
                }
            }
            prop_assert_eq!(sent(&mut short, now), sent(&mut long, now));
            prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
    }
}

#[test]
fn the_next_text_and_new_acks_are_predicted_and_nothing_else() {
    let text = [7; 100];
    let mut connection = established(true, true);
    connection.write(&[9; 100]).unwrap();
    assert_eq!(sent(&mut connection, Instant::ZERO).len(), 1);
    let options =
        Options { timestamps: Some(Timestamps { value: 100, echo: 1 }), ..Options::default() };
    let (seq, ack) = (connection.rcv.nxt, connection.snd.una);
    let next =
        Segment { seq, ack, flags: Flags::ACK, window: 500, options, payload: &text, ..EMPTY };
    let old = Options { timestamps: Some(Timestamps { value: 99, echo: 1 }), ..options };
    for other in [
        Segment { seq: seq + 1, ..next },
        Segment { seq: seq - 1, ..next },
        Segment { ack: ack - 1, ..next },
        Segment { ack: ack + 101, ..next },
        Segment { flags: Flags::ACK | Flags::FIN, ..next },
        Segment { flags: Flags::ACK | Flags::URG, ..next },
        Segment { flags: Flags::PSH, ..next },
        Segment { flags: Flags::ACK | Flags::ECE, ..next },
        Segment { flags: Flags::ACK | Flags::CWR, ..next },
        Segment { ecn: EcnField::Ce, ..next },
        Segment { window: 0, ..next },
        Segment { options: old, ..next },
        Segment { options: Options::default(), ..next },
        Segment { payload: &[], ..next },
    ] {
        assert_eq!(connection.on_predicted(Instant::ZERO, &other, true), None, "{other}");
    }
    assert_eq!(connection.on_predicted(Instant::ZERO, &next, false), None, "it has to be stored");
    let arrival = connection.on_predicted(Instant::ZERO, &next, true).unwrap();
    assert_eq!(arrival.text, Some(&text[..]));
    let acknowledges = Segment { seq: seq + 100, ack: ack + 100, payload: &[], ..next };
    assert!(connection.on_predicted(Instant::ZERO, &acknowledges, false).is_some());
    assert_eq!((connection.rcv.nxt, connection.snd.una), (seq + 100, ack + 100));
}

#[test]
fn text_that_answers_a_loss_probe_is_not_taken_in_the_short_way() {
    let text = [7; 100];
    let ms = |ms| Instant::from_millis(ms);
    let probed = || {
        let mut connection = established(false, false);
        let (seq, start) = (connection.rcv.nxt, connection.snd.nxt);
        let bare = Segment { seq, ack: start, flags: Flags::ACK, window: 500, ..EMPTY };
        let (first, last) =
            (Segment { ack: start + 100, ..bare }, Segment { ack: start + 200, ..bare });
        // A round trip is measured; then a probe goes out, and what it repeats is acknowledged.
        connection.write(&[9; 100]).unwrap();
        sent(&mut connection, ms(0));
        connection.on_unpredicted(ms(10), &first, false);
        connection.write(&[9; 100]).unwrap();
        sent(&mut connection, ms(20));
        let due = connection.poll_timeout().unwrap();
        connection.on_timeout(due);
        assert_eq!(sent(&mut connection, due).len(), 1);
        connection.on_unpredicted(due, &last, false);
        assert!(connection.tail_loss.is_probing());
        connection
    };
    let (mut short, mut long) = (probed(), probed());
    // The peer reports both the original and the probe, together with text.
    let mut sack = SackBlocks::EMPTY;
    sack.push(SeqRange::new(long.snd.una - 100, 100));
    let options = Options { sack, ..Options::default() };
    let (seq, ack) = (long.rcv.nxt, long.snd.una);
    let answer =
        Segment { seq, ack, flags: Flags::ACK, window: 500, options, payload: &text, ..EMPTY };
    let arrived = short.on_segment(ms(300), &answer, true);
    assert_eq!(arrived, long.on_unpredicted(ms(300), &answer, true));
    assert_eq!(format!("{short:?}"), format!("{long:?}"));
}
