//! Super-segments on their way in: each is taken as the segments would be that it stands for, if they
//! came in one batch.

#![allow(clippy::unwrap_used)]

use core::mem;
use core::num::NonZeroU16;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tcp::recv_buffer::RecvBuffer;
use crate::tcp::steps::{EMPTY, established_with};
use crate::tcp::timestamps::is_before;
use crate::tcp::{Outgoing, Settings};
use crate::time::Duration;
use crate::wire::{EcnField, Options, Timestamps};

/// The longest stream that a peer sends; a FIN follows the last byte.
static LONGEST: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..150_000u32).map(|n| (n ^ (n >> 7) ^ (n >> 13)) as u8).collect());

/// The next thing that happens, in numbers from where the connections stand.
#[derive(Clone, Debug)]
enum Step {
    Arrives(Arriving),
    Write(usize),
    Read(usize),
    Shutdown,
    Timeout,
}

/// A super-segment.
#[derive(Clone, Debug)]
struct Arriving {
    at: At,
    len: u32,
    /// Text of each of its segments but the last.
    size: u32,
    /// From SND.UNA, in quarters of what is in flight.
    ack: u32,
    flags: Flags,
    window: u16,
    /// How far the peer's clock has moved on, in milliseconds.
    moved: u32,
    is_marked: bool,
    /// The application takes text that is handed to it; otherwise it is stored.
    takes: bool,
}

/// Where it starts.
#[derive(Clone, Copy, Debug)]
enum At {
    /// From RCV.NXT: before it lies what is old, beyond it a hole.
    Next(i32),
    /// From the right edge of the window.
    Edge(i32),
    /// From the end of what lies furthest beyond a hole.
    Furthest(i32),
}

fn arriving() -> impl Strategy<Value = Arriving> {
    let at = prop_oneof![
        8 => Just(At::Next(0)),
        4 => (-9_000..20_000).prop_map(At::Next),
        2 => (-12_000..2_000).prop_map(At::Edge),
        2 => (-6_000..6_000).prop_map(At::Furthest),
        1 => Just(At::Furthest(0)),
    ];
    let len =
        prop_oneof![1 => Just(0), 2 => 1..1_500u32, 8 => 1_000..16_000u32, 1 => 16_000..65_000u32];
    let size = prop_oneof![4 => Just(1_448), 2 => Just(1_000), 2 => 100..3_000u32];
    let flags = prop_oneof![
        6 => Just(Flags::empty()),
        3 => Just(Flags::PSH),
        1 => Just(Flags::ECE),
        1 => Just(Flags::CWR),
    ];
    let window = prop_oneof![8 => Just(500), 1 => 0..5u16];
    let marks = (prop::bool::weighted(0.05), prop::bool::weighted(0.7));
    let fields = (at, len, size, 0..=4u32, flags, window, 0..5u32, marks);
    fields.prop_map(|(at, len, size, ack, flags, window, moved, (is_marked, takes))| Arriving {
        at,
        len,
        size,
        ack,
        flags: flags | Flags::ACK,
        window,
        moved,
        is_marked,
        takes,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => arriving().prop_map(Step::Arrives),
        4 => (1..20_000usize).prop_map(Step::Write),
        6 => (1..40_000usize).prop_map(Step::Read),
        1 => Just(Step::Timeout),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Step::Shutdown } else { Step::Timeout }),
    ]
}

/// The whole of what a peer may say, and how far its clock has got.
struct Peer {
    start: SeqNum,
    stream: &'static [u8],
    has_timestamps: bool,
    clock: u32,
    window: u16,
}

impl Peer {
    /// The super-segment, within the stream; the FIN comes with the last byte.
    fn segment(&mut self, connection: &Connection, arriving: &Arriving) -> Segment<'_> {
        let end = self.start + self.stream.len() as u32;
        let (from, by) = match arriving.at {
            At::Next(by) => (connection.rcv.nxt, by),
            At::Edge(by) => (connection.rcv.edge, by),
            At::Furthest(by) => {
                (connection.recv_buffer.furthest().unwrap_or(connection.rcv.nxt), by)
            }
        };
        let seq = SeqNum(from.0.wrapping_add_signed(by)).later(self.start).earlier(end);
        let len = arriving.len.min(seq.len_to(end));
        let offset = self.start.len_to(seq) as usize;
        self.clock += arriving.moved;
        if seq.is_at_or_after(connection.rcv.nxt) && !connection.recv_buffer.has_hole() {
            // Of what comes again the first segments bring no window, and of what closes a hole the
            // last ones may be old by then; together they do, and newer is what they bring.
            self.window = arriving.window;
        }
        let timestamps = self.has_timestamps.then_some(Timestamps { value: self.clock, echo: 1 });
        let fin = if seq + len == end { Flags::FIN } else { Flags::empty() };
        // Of what is sent again no segment says CWR (RFC 3168 section 6.1.5).
        let again = if seq.is_before(connection.rcv.nxt) { Flags::CWR } else { Flags::empty() };
        let in_flight = connection.snd.una.len_to(connection.snd.nxt);
        Segment {
            seq,
            ack: connection.snd.una + in_flight * arriving.ack / 4,
            flags: (arriving.flags | fin) - again,
            window: self.window,
            options: Options { timestamps, ..Options::default() },
            ecn: if arriving.is_marked { EcnField::Ce } else { EcnField::Ect0 },
            payload: &self.stream[offset..offset + len as usize],
            segment_size: NonZeroU16::new(arriving.size as u16),
            ..EMPTY
        }
    }
}

/// The segments that a super-segment stands for: FIN and PSH on the last, CWR on the first.
fn cut<'f>(whole: &Segment<'f>) -> Vec<Segment<'f>> {
    let Some(size) = whole.segment_size else { return vec![*whole] };
    if whole.payload.is_empty() {
        return vec![Segment { segment_size: None, ..*whole }];
    }
    let size = usize::from(size.get());
    let last = whole.payload.len().div_ceil(size) - 1;
    let segments = whole.payload.chunks(size).enumerate().map(|(n, payload)| {
        let mut flags = whole.flags;
        if n < last {
            flags -= Flags::FIN | Flags::PSH;
        }
        if n > 0 {
            flags -= Flags::CWR;
        }
        let seq = whole.seq + (n * size) as u32;
        Segment { seq, flags, payload, segment_size: None, ..*whole }
    });
    segments.collect()
}

/// A connection and how much its application has got from it.
struct Side {
    connection: Connection,
    received: usize,
}

impl Side {
    fn arrives(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        hand_out: bool,
        takes: bool,
    ) -> bool {
        let arrival = self.connection.on_segment(now, segment, hand_out);
        if let Some(text) = arrival.text {
            if takes {
                self.gets(text);
            } else {
                self.connection.store(text);
                // Who hands text out knows of what was not taken; the event is for the rest.
                self.connection.events |= Events::READABLE;
            }
        }
        arrival.stray
    }

    fn read(&mut self, most: usize) {
        let mut into = vec![0; most.min(self.connection.readable())];
        let n = self.connection.read(&mut into).unwrap_or(0);
        self.gets(&into[..n]);
    }

    fn gets(&mut self, text: &[u8]) {
        assert!(LONGEST[self.received..].starts_with(text), "what was sent arrives");
        self.received += text.len();
    }

    /// Past the start of a connection, where every segment is acknowledged without delay.
    fn uses_up_quick_acks(&mut self, peer: &mut Peer) {
        let next = Arriving {
            at: At::Next(0),
            len: 1,
            size: 1,
            ack: 0,
            flags: Flags::ACK,
            window: 500,
            moved: 0,
            is_marked: false,
            takes: true,
        };
        for _ in 0..16 {
            let segment = peer.segment(&self.connection, &next);
            self.arrives(Instant::ZERO, &segment, false, true);
            self.sent(Instant::ZERO);
        }
    }

    fn sent(&mut self, now: Instant) -> Vec<Outgoing> {
        core::iter::from_fn(|| self.connection.poll_transmit(now, 0)).collect()
    }

    /// In this the state that the segments leave behind may be another than that of the
    /// super-segment, by no more than is said here; it takes that over, so that only new differences
    /// are seen.
    fn adopt_what_may_differ(&mut self, whole: &Self) {
        let (this, whole) = (&mut self.connection, &whole.connection);
        // Small segments may wait for the timer, several of them together do not.
        if whole.ack.is_due() && !this.ack.is_due() {
            this.ack.soon();
        }
        // Who is gone owes nothing, whatever the segments before the last one have left.
        if this.state != State::Closed {
            assert_eq!(this.ack.is_due(), whole.ack.is_due());
            assert_eq!(this.ack.is_delayed(), whole.ack.is_delayed());
        }
        // What counts as full-sized, where a whole segment is old or beyond the window. (The rest of
        // the account, as the quick ACKs that are left, goes by ACKs, of which there may be more for
        // segments that come one by one.)
        assert!(this.ack.full_size() <= whole.ack.full_size());
        // Where the window was last taken from: of the last segments some may have been old, because
        // those before them have closed a hole, or may lie beyond the window.
        assert!(this.snd.wl1.is_at_or_before(whole.snd.wl1));
        this.snd.wl1 = whole.snd.wl1;
        // Where the rounds end by which the offer grows: a super-segment ends one at most.
        this.right_sizing = whole.right_sizing;
        // TS.Recent, where text comes again before it is acknowledged: the segment in which
        // Last.ACK.sent lies is old, the super-segment is not (as Linux).
        if let (Some(this), Some(whole)) = (&mut this.timestamps, &whole.timestamps) {
            assert!(!is_before(whole.recent(), this.recent()));
            *this = *whole;
        }
    }

    /// The state but for the receive buffer, in which memory may be laid out in another way.
    fn state(&mut self) -> String {
        let buffer = mem::replace(&mut self.connection.recv_buffer, RecvBuffer::new(0));
        let state = format!("{:?}", self.connection);
        self.connection.recv_buffer = buffer;
        state
    }
}

/// So many cases, or more where the environment asks for more.
fn at_least(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(cases), ..asked }
}

proptest! {
    #![proptest_config(at_least(2_000))]

    #[test]
    fn a_super_segment_is_taken_as_its_segments_would_be(
        timestamps: bool,
        sack: bool,
        ecn: bool,
        settled: bool,
        hand_out: bool,
        most in prop_oneof![Just(65_535u32), 3_000..60_000u32],
        len in 1..LONGEST.len(),
        steps in vec((step(), 0u64..60), 1..40),
    ) {
        let settings = Settings { sack, max_recv_buffer: most, ..Settings::default() };
        let side = || Side {
            connection: established_with(timestamps, ecn, settings.clone()),
            received: 0,
        };
        let (mut whole, mut single) = (side(), side());
        let mut peer = Peer {
            start: whole.connection.rcv.nxt,
            stream: &LONGEST[..len],
            has_timestamps: timestamps,
            clock: 100,
            window: 500,
        };
        let mut now = Instant::ZERO;
        if settled {
            for side in [&mut whole, &mut single] {
                side.uses_up_quick_acks(&mut peer);
            }
        }
        for (step, pause) in steps {
            now += Duration::from_millis(pause);
            match step {
                Step::Arrives(arriving) => {
                    let segment = peer.segment(&whole.connection, &arriving);
                    let stray = whole.arrives(now, &segment, hand_out, arriving.takes);
                    let mut stray_single = false;
                    for segment in cut(&segment) {
                        stray_single |= single.arrives(now, &segment, hand_out, arriving.takes);
                        if matches!(single.connection.state, State::Closed | State::TimeWait) {
                            // It is out of the stack's table, and the rest is for others.
                            break;
                        }
                    }
                    prop_assert_eq!(stray, stray_single);
                    if hand_out && arriving.takes {
                        // What the FIN comes with is handed out, also where it closes a hole; what
                        // comes before the FIN is stored then.
                        for side in [&mut whole, &mut single] {
                            side.read(usize::MAX);
                            side.connection.events -= Events::READABLE;
                        }
                    }
                }
                Step::Write(len) => {
                    let data = vec![9; len];
                    prop_assert_eq!(whole.connection.write(&data), single.connection.write(&data));
                }
                Step::Read(len) => {
                    whole.read(len);
                    single.read(len);
                }
                Step::Shutdown => {
                    whole.connection.shutdown();
                    single.connection.shutdown();
                }
                Step::Timeout => {
                    let due = single.connection.poll_timeout();
                    prop_assert_eq!(whole.connection.poll_timeout(), due);
                    now = due.unwrap_or(now).max(now);
                    whole.connection.on_timeout(now);
                    single.connection.on_timeout(now);
                }
            }
            let got = |side: &Side| (side.received, side.connection.readable());
            prop_assert_eq!(got(&whole), got(&single));
            single.adopt_what_may_differ(&whole);
            prop_assert_eq!(whole.sent(now), single.sent(now));
            single.connection.ack = whole.connection.ack;
            // Who is gone reports nothing any more.
            if !matches!(single.connection.state, State::Closed | State::TimeWait) {
                let islands = |side: &Side| side.connection.recv_buffer.sack_blocks();
                prop_assert_eq!(islands(&whole), islands(&single));
            }
            prop_assert_eq!(whole.state(), single.state());
        }
        whole.read(usize::MAX);
        single.read(usize::MAX);
    }
}
