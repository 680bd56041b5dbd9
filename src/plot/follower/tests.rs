//! Events out of segments.

use super::*;
use crate::wire::{Timestamps, WindowScale};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A follower, and a first byte of text of the sender's choice.
struct Seen {
    follower: Follower,
    first: SeqNum,
}

impl Seen {
    /// A connection whose first byte of text has this sequence number, joined late.
    fn late(first: u32) -> Self {
        Self { follower: Follower::default(), first: SeqNum(first) }
    }

    /// The same with its handshake, from 0 to 10 ms, in which each side asks for a scale.
    fn opened(first: u32, scales: [Option<u8>; 2]) -> Self {
        let mut seen = Self::late(first);
        let [sender, receiver] = scales.map(|scale| Options {
            window_scale: scale.map(WindowScale::new),
            ..Options::default()
        });
        let syn =
            Segment { seq: seen.first - 1, flags: Flags::SYN, options: sender, ..Segment::EMPTY };
        seen.follower.on_segment(at(0), Side::Sender, &syn);
        let answer = Segment {
            ack: seen.first,
            flags: Flags::SYN | Flags::ACK,
            window: 65_535,
            options: receiver,
            ..Segment::EMPTY
        };
        seen.follower.on_segment(at(5), Side::Receiver, &answer);
        let ack = Segment { seq: seen.first, flags: Flags::ACK, ..Segment::EMPTY };
        seen.follower.on_segment(at(10), Side::Sender, &ack);
        seen
    }

    /// Bytes of text from this offset on, with a timestamp if it is not zero.
    fn text(&mut self, millis: u64, start: u32, len: u32, stamp: u32) {
        let options = Options { timestamps: stamps(stamp, 0), ..Options::default() };
        let segment =
            Segment { seq: self.first + start, flags: Flags::ACK, options, ..Segment::EMPTY };
        self.follower.on_header(at(millis), Side::Sender, &segment, len);
    }

    /// An acknowledgement with a window field and SACK blocks.
    fn ack(&mut self, millis: u64, ack: u32, window: u16, blocks: &[(u32, u32)]) {
        self.echo(millis, ack, window, blocks, 0);
    }

    fn echo(&mut self, millis: u64, ack: u32, window: u16, blocks: &[(u32, u32)], echo: u32) {
        let mut options = Options { timestamps: stamps(0, echo), ..Options::default() };
        for &(start, end) in blocks {
            options.sack.push(SeqRange { start: self.first + start, end: self.first + end });
        }
        let segment =
            Segment { ack: self.first + ack, flags: Flags::ACK, window, options, ..Segment::EMPTY };
        self.follower.on_segment(at(millis), Side::Receiver, &segment);
    }

    fn trace(self) -> Trace {
        self.follower.finish()
    }
}

fn stamps(value: u32, echo: u32) -> Option<Timestamps> {
    (value != 0 || echo != 0).then_some(Timestamps { value, echo })
}

fn sent(trace: &Trace) -> Vec<(i64, u32, SentKind)> {
    trace.sent.iter().map(|sent| (sent.start, sent.len, sent.kind)).collect()
}

/// Milliseconds and values of a series, rounded.
fn values(trace: &Trace, panel: &str, name: &str) -> Vec<(u64, i64)> {
    let factor = if panel == ROUND_TRIPS { 1e3 } else { 1.0 };
    let panel = trace.panels.iter().find(|known| known.title == panel);
    let series = panel.and_then(|panel| panel.series.iter().find(|series| series.name == name));
    let points = series.map_or(&[][..], |series| &series.points);
    points.iter().map(|(at, value)| (at.as_millis(), (value * factor).round() as i64)).collect()
}

use SentKind::{Again, New, OutOfOrder};

#[test]
fn text_is_counted_from_its_first_byte_across_the_wrap() {
    for first in [1, 7_777, u32::MAX, u32::MAX - 150, 1 << 31, (1 << 31) - 150] {
        let mut seen = Seen::opened(first, [None, None]);
        for n in 0..4 {
            seen.text(20, n * 100, 100, 0);
        }
        seen.ack(30, 400, 1_000, &[]);
        let trace = seen.trace();
        let expected: Vec<_> = (0..4).map(|n| (n * 100, 100, New)).collect();
        assert_eq!(sent(&trace), expected, "{first}");
        assert_eq!(trace.acks.last().unwrap().ack, 400);
        assert_eq!(
            trace.marks[0],
            Mark { at: at(0), seq: -1, side: Side::Sender, kind: MarkKind::Syn }
        );
    }
}

#[test]
fn a_connection_of_more_than_all_sequence_numbers_goes_on_upwards() {
    let mut seen = Seen::late(5);
    let step = 1 << 28;
    for n in 0..40u32 {
        seen.text(n.into(), n.wrapping_mul(step), step, 0);
        seen.ack(n.into(), (n + 1).wrapping_mul(step), 1_000, &[]);
    }
    let trace = seen.trace();
    assert_eq!(trace.sent.last().unwrap().start, 39 << 28);
    assert_eq!(trace.acks.last().unwrap().ack, 40 << 28);
    assert!(trace.sent.iter().all(|sent| sent.kind == New));
}

#[test]
fn text_that_was_there_before_was_sent_again() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 100, 0);
    seen.text(0, 100, 100, 0);
    seen.text(300, 0, 100, 0);
    // What is new in a segment that also repeats is new.
    seen.text(301, 100, 150, 0);
    assert_eq!(
        sent(&seen.trace()),
        [(0, 100, New), (100, 100, New), (0, 100, Again), (100, 100, Again), (200, 50, New)]
    );
}

#[test]
fn the_senders_clock_tells_text_that_was_overtaken_from_text_sent_again() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 100, 1_000);
    seen.text(10, 200, 100, 1_001);
    seen.text(11, 400, 100, 1_002);
    seen.text(50, 100, 100, 1_001);
    seen.text(51, 300, 100, 1_040);
    let sent = sent(&seen.trace());
    assert_eq!(sent[3..], [(100, 100, OutOfOrder), (300, 100, Again)]);
}

#[test]
fn without_a_clock_the_handshake_tells_them_apart() {
    // It took 10 ms.
    let mut seen = Seen::opened(1, [None, None]);
    seen.text(20, 100, 100, 0);
    seen.text(20, 300, 100, 0);
    seen.text(20, 0, 100, 0);
    seen.text(29, 200, 50, 0);
    seen.text(31, 250, 50, 0);
    let sent = sent(&seen.trace());
    assert_eq!(sent[2], (0, 100, Again), "below the first byte that was seen there is no hole");
    assert_eq!(sent[3..], [(200, 50, OutOfOrder), (250, 50, Again)]);
}

#[test]
fn the_window_is_scaled_if_both_syns_ask_for_it() {
    for (scales, expected) in [
        ([Some(7), Some(3)], 8_000),
        ([Some(7), None], 1_000),
        ([None, Some(3)], 1_000),
        ([None, None], 1_000),
    ] {
        let mut seen = Seen::opened(1, scales);
        seen.ack(20, 0, 1_000, &[]);
        let windows: Vec<_> = seen.trace().acks.iter().map(|acked| acked.window).collect();
        assert_eq!(windows, [Some(65_535), Some(expected)], "{scales:?}");
    }
}

#[test]
fn without_the_receivers_syn_the_window_is_unknown() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 100, 0);
    seen.ack(1, 100, 1_000, &[]);
    seen.ack(2, 100, 0, &[]);
    let trace = seen.trace();
    assert_eq!(trace.acks, [Acked { at: at(1), ack: 100, window: None }]);
    assert_eq!(trace.marks[0].kind, MarkKind::ZeroWindow, "zero is zero in any scale");
}

#[test]
fn an_acknowledgement_that_was_overtaken_does_not_move_the_staircase_back() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 300, 0);
    seen.ack(1, 200, 10, &[]);
    seen.ack(2, 100, 20, &[]);
    seen.ack(3, 300, 10, &[]);
    let acks: Vec<_> = seen.trace().acks.iter().map(|acked| acked.ack).collect();
    assert_eq!(acks, [200, 300]);
}

#[test]
fn a_sack_block_is_shown_where_it_says_something_new() {
    let mut seen = Seen::late(u32::MAX - 250);
    seen.text(0, 0, 500, 0);
    seen.ack(1, 100, 10, &[(200, 300)]);
    seen.ack(2, 100, 10, &[(200, 400)]);
    seen.ack(3, 100, 10, &[(450, 500), (200, 400)]);
    let trace = seen.trace();
    let sacks: Vec<_> = trace.sacks.iter().map(|sack| (sack.start, sack.len)).collect();
    assert_eq!(sacks, [(200, 100), (300, 100), (450, 50)]);
    assert!(trace.sacks.iter().all(|sack| !sack.duplicate));
    // 500 sent; 100 acknowledged; 100, 200, 250 sacked.
    let flight = values(&trace, IN_FLIGHT, "in flight");
    assert_eq!(flight, [(0, 500), (1, 300), (2, 200), (3, 150)]);
}

#[test]
fn a_block_that_reports_a_duplicate_is_none_of_the_scoreboard() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 500, 0);
    seen.ack(1, 200, 10, &[(100, 200)]);
    seen.ack(2, 200, 10, &[(350, 400), (300, 500)]);
    let trace = seen.trace();
    let sacks: Vec<_> =
        trace.sacks.iter().map(|sack| (sack.start, sack.len, sack.duplicate)).collect();
    assert_eq!(sacks, [(100, 100, true), (350, 50, true), (300, 200, false)]);
    assert_eq!(values(&trace, IN_FLIGHT, "in flight"), [(0, 500), (1, 300), (2, 100)]);
}

#[test]
fn round_trips_are_measured_both_ways() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 100, 50);
    seen.text(1, 100, 100, 51);
    seen.echo(20, 200, 10, &[], 51);
    // Lost and sent again: the echo tells, the acknowledgement does not.
    seen.text(30, 200, 100, 80);
    seen.text(230, 200, 100, 280);
    seen.echo(250, 300, 10, &[], 280);
    let trace = seen.trace();
    assert_eq!(values(&trace, ROUND_TRIPS, "by acknowledgement"), [(20, 19)]);
    assert_eq!(values(&trace, ROUND_TRIPS, "by timestamp"), [(20, 19), (250, 20)]);
}

#[test]
fn the_ends_of_both_directions_are_marked() {
    let mut seen = Seen::opened(1, [None, None]);
    seen.text(20, 0, 100, 0);
    let fin = Segment { seq: seen.first + 100, flags: Flags::FIN | Flags::ACK, ..Segment::EMPTY };
    seen.follower.on_segment(at(21), Side::Sender, &fin);
    let answer =
        Segment { ack: seen.first + 101, flags: Flags::FIN | Flags::ACK, ..Segment::EMPTY };
    seen.follower.on_segment(at(30), Side::Receiver, &answer);
    let reset = Segment { seq: seen.first + 101, flags: Flags::RST, ..Segment::EMPTY };
    seen.follower.on_segment(at(40), Side::Sender, &reset);
    let trace = seen.trace();
    let marks: Vec<_> = trace.marks.iter().map(|mark| (mark.seq, mark.side, mark.kind)).collect();
    assert_eq!(
        marks,
        [
            (-1, Side::Sender, MarkKind::Syn),
            (0, Side::Receiver, MarkKind::Syn),
            (100, Side::Sender, MarkKind::Fin),
            (101, Side::Receiver, MarkKind::ZeroWindow),
            (101, Side::Receiver, MarkKind::Fin),
            (101, Side::Sender, MarkKind::Reset),
        ]
    );
}

#[test]
fn a_reset_says_nothing_of_a_window() {
    let mut seen = Seen::opened(1, [None, None]);
    seen.ack(20, 0, 1_000, &[]);
    for (flags, window) in [(Flags::RST | Flags::ACK, 9), (Flags::RST | Flags::ACK, 0)] {
        let reset = Segment { ack: seen.first, flags, window, ..Segment::EMPTY };
        seen.follower.on_segment(at(30), Side::Receiver, &reset);
    }
    let trace = seen.trace();
    assert_eq!(trace.acks.last().unwrap().window, Some(1_000));
    assert!(trace.marks.iter().all(|mark| mark.kind != MarkKind::ZeroWindow));
    assert_eq!(trace.marks.last().unwrap().kind, MarkKind::Reset);
}

#[test]
fn a_segment_beyond_any_window_is_counted_and_not_drawn() {
    let mut seen = Seen::late(1);
    seen.text(0, 0, 100, 0);
    seen.text(1, 0x7000_0000, 100, 0);
    seen.ack(2, 0x8000_0000, 10, &[]);
    seen.text(3, 100, 100, 0);
    assert_eq!(seen.follower.strays(), 2);
    assert_eq!(sent(&seen.trace()), [(0, 100, New), (100, 100, New)]);
}

#[test]
fn time_never_goes_back() {
    let mut seen = Seen::late(1);
    seen.text(10, 0, 100, 0);
    seen.text(5, 100, 100, 0);
    assert_eq!(seen.trace().sent[1].at, at(10));
}

proptest::proptest! {
    #[test]
    fn no_segments_make_it_panic(
        segments in proptest::collection::vec(
            (
                proptest::prelude::any::<(bool, u32, u32, u8, u16)>(),
                0u32..200_000,
                proptest::option::of(proptest::prelude::any::<(u32, u32)>()),
                proptest::collection::vec(proptest::prelude::any::<(u32, u32)>(), 0..4),
                0u64..1_000_000,
            ),
            0..60,
        ),
        mask in proptest::prop_oneof![
            proptest::strategy::Just(u32::MAX), proptest::strategy::Just(0xffff)
        ],
    ) {
        let mut follower = Follower::default();
        for ((is_sender, seq, ack, flags, window), len, stamps, blocks, nanos) in segments {
            let mut options = Options {
                timestamps: stamps.map(|(value, echo)| Timestamps { value, echo }),
                window_scale: Some(WindowScale::new(flags)),
                ..Options::default()
            };
            for (start, end) in blocks {
                let range = SeqRange { start: SeqNum(start & mask), end: SeqNum(end & mask) };
                options.sack.push(range);
            }
            let segment = Segment {
                seq: SeqNum(seq & mask),
                ack: SeqNum(ack & mask),
                flags: Flags::from_bits_retain(flags.into()),
                window,
                options,
                ..Segment::EMPTY
            };
            let side = if is_sender { Side::Sender } else { Side::Receiver };
            follower.on_header(Instant::from_nanos(nanos), side, &segment, len);
        }
        let trace = follower.finish();
        let times = trace.sent.windows(2).all(|pair| pair[0].at <= pair[1].at);
        proptest::prop_assert!(times);
        proptest::prop_assert!(super::super::draw(&trace).unwrap().ends_with("</svg>\n"));
    }
}
