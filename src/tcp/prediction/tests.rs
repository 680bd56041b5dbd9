#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tcp::Outgoing;
use crate::tcp::steps::{EMPTY, Step, established, established_accurately, segment, step};
use crate::wire::{EcnField, Options, SackBlocks, SeqRange, Timestamps};

/// What a connection sends now.
fn sent(connection: &mut Connection, now: Instant) -> Vec<Outgoing> {
    core::iter::from_fn(|| connection.poll_transmit(now, 0)).collect()
}

proptest! {
    /// The same segments, with prediction and without it, leave the same state and the same
    /// answers behind.
    #[test]
    fn the_short_way_ends_where_the_long_one_does(
        timestamps: bool, ecn: bool, accurate: bool, hand_out: bool,
        steps in vec((step(), 0u64..60), 1..60),
    ) {
        let text = vec![7; 4_000];
        let mut into = vec![0; 5_000];
        let make = if accurate { established_accurately } else { established };
        let (mut short, mut long) = (make(timestamps, ecn), make(timestamps, ecn));
        prop_assert_eq!(short.ecn.is_some(), ecn);
        let (mut now, mut clock) = (Instant::ZERO, 100u32);
        for (step, pause) in steps {
            now += core::time::Duration::from_millis(pause);
            match step {
                Step::Arrives(arriving) => {
                    let segment = segment(&long, &arriving, timestamps, &mut clock, &text);
                    let before = (short.buffer_memory(), short.events);
                    let arrived = short.on_segment(now, &segment, hand_out);
                    if arrived.plain {
                        prop_assert_eq!((short.buffer_memory(), short.events), before);
                    }
                    let arrived = Arrival { plain: false, ..arrived };
                    // As every segment does, whichever way it goes.
                    long.burst.interrupt();
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
