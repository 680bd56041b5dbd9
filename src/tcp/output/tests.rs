use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tcp::steps::{MSS, Step, established, established_accurately, segment, step};

/// What a connection sends now, in super-segments of at most so much text.
fn sent(connection: &mut Connection, now: Instant, most: u32) -> Vec<Outgoing> {
    core::iter::from_fn(|| connection.poll_transmit(now, most)).collect()
}

/// The segments that it stands for, as a device cuts it.
fn cut(whole: &Outgoing) -> Vec<Outgoing> {
    let Some(size) = whole.segment_size else { return vec![*whole] };
    let (start, len) = whole.text;
    let size = usize::from(size.get());
    let offsets = (0..len).step_by(size);
    let segments = offsets.map(|offset| {
        let mut flags = whole.flags;
        if offset + size < len {
            flags -= Flags::FIN | Flags::PSH;
        }
        if offset > 0 {
            flags -= Flags::CWR;
        }
        let text = (start + offset, size.min(len - offset));
        Outgoing { seq: whole.seq + offset as u32, flags, text, segment_size: None, ..*whole }
    });
    segments.collect()
}

proptest! {
    /// Super-segments, cut, are the segments that would have gone out without them, and leave the
    /// same state behind.
    #[test]
    fn super_segments_stand_for_the_same_segments(
        timestamps: bool,
        ecn: bool,
        accurate: bool,
        most in prop_oneof![Just(MOST_TEXT), 0..10_000u32],
        steps in vec((step(), 0u64..60), 1..60),
    ) {
        let text = vec![7; 4_000];
        let mut into = vec![0; 5_000];
        let make = if accurate { established_accurately } else { established };
        let (mut whole, mut single) = (make(timestamps, ecn), make(timestamps, ecn));
        prop_assert_eq!(whole.has(Mark::ACCURATE_ECN), ecn && accurate);
        let (mut now, mut clock) = (Instant::ZERO, 100u32);
        for (step, pause) in steps {
            now += core::time::Duration::from_millis(pause);
            for connection in [&mut whole, &mut single] {
                let mut clock_of_one = clock;
                match &step {
                    Step::Arrives(arriving) => {
                        let segment =
                            segment(connection, arriving, timestamps, &mut clock_of_one, &text);
                        connection.on_segment(now, &segment, false);
                    }
                    Step::Write(len) => {
                        let _ = connection.write(&vec![9; *len]);
                    }
                    Step::Read(len) => {
                        let _ = connection.read(&mut into[..*len]);
                    }
                    Step::Shutdown => connection.shutdown(),
                    Step::Timeout => {
                        let due = connection.poll_timeout().unwrap_or(now).max(now);
                        connection.on_timeout(due);
                    }
                }
            }
            if let Step::Arrives(arriving) = &step {
                segment(&single, arriving, timestamps, &mut clock, &text);
            }
            let together = sent(&mut whole, now, most);
            let cut: Vec<Outgoing> = together.iter().flat_map(cut).collect();
            prop_assert_eq!(cut, sent(&mut single, now, 0));
            prop_assert_eq!(format!("{whole:?}"), format!("{single:?}"));
        }
    }
}

#[test]
fn a_long_write_is_few_super_segments() {
    let mut connection = established(false, false);
    connection.write(&[9; 20_000]).unwrap_or_default();
    // Half of the first window, and the other half.
    let sent = sent(&mut connection, Instant::ZERO, MOST_TEXT);
    let texts: Vec<usize> = sent.iter().map(|outgoing| outgoing.text.1).collect();
    let half = 5 * (MSS + 12) as usize;
    assert_eq!(texts, [half, half]);
}
