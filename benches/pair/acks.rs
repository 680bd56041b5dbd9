//! One stack that sends, and a peer that is nothing but its ACKs: what one of them costs with little
//! and with much in flight.
//!
//! The peer's window holds the flight at a number of full segments, at 10 Gb/s. Each ACK takes two
//! segments out, or reports two more behind what is lost, and lets others go. Two functions of this
//! file are what is counted, and nothing but the stack is in them: [`take_in`] the ACK, and [`send`]
//! what it lets out, timers included. The application's writes and the peer's making of ACKs are outside.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tunstack::tcp::Phase;
use tunstack::time::Instant;
use tunstack::wire::checksum::Sum;
use tunstack::wire::{Checksum, Flags, Frame, Offload, Transmit};
use tunstack::{Config, ConnId, Event, Stack};

use super::{CHUNK, Counts, MTU, PORT, Pair, RECEIVER, SEGMENT, SEGMENTS_PER_ACK, SENDER};

/// Nanoseconds that a full segment takes at 10 Gb/s.
const GAP: u64 = MTU as u64 * 8 / 10;

/// Full segments that fill 10 Gb/s for some 75 us: a local network.
pub(crate) const LAN: u32 = 64;

/// Two segments.
const STEP: u32 = (SEGMENTS_PER_ACK * SEGMENT) as u32;
/// The most bytes of an ACK: IPv4, TCP, timestamps and three blocks.
const MOST_HEADERS: usize = 20 + 20 + 12 + 4 + 3 * 8;

/// What is lost of the flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Nothing,
    /// The oldest segment.
    First,
    /// The oldest, and from there on one in each [`DISTANCE`].
    Many,
}

/// Segments from one hole to the next, of which the even number between them is reported.
const DISTANCE: u32 = 31;

pub(crate) struct AckStream {
    flight: u32,
    lost: Lost,
    sender: Sender,
    /// What is reported, the newest first; a block ends where the next hole begins.
    blocks: VecDeque<(u32, u32)>,
    /// Where what was in flight ended when the first segment was lost.
    end: u32,
    counts: Counts,
}

/// The stack, and what its peer knows of it.
struct Sender {
    stack: Stack,
    connection: ConnId,
    now: u64,
    chunk: Box<[u8]>,
    /// The ports, in the peer's order.
    ports: [u8; 4],
    /// The window that the peer offers, in bytes, and its scale.
    window: u32,
    scale: u8,
    /// SND.UNA and SND.NXT.
    una: u32,
    nxt: u32,
    sent: VecDeque<Sent>,
    /// The newest timestamp that came in order.
    echo: u32,
}

/// What the stack has sent, in one go.
struct Sent {
    /// Where it ends.
    end: u32,
    len: u32,
    /// The timestamp on it.
    stamp: u32,
}

impl Sent {
    fn of(packet: &Transmit<'_>) -> Self {
        let word = |at: usize| {
            u32::from_be_bytes(*packet.header[at..].first_chunk().expect("it has a header"))
        };
        let [first, second] = packet.payload;
        let len = (first.len() + second.len()) as u32;
        // Of the options the timestamps come first, behind two that pad.
        Self { end: word(24).wrapping_add(len), len, stamp: word(44) }
    }
}

/// What is counted first: the stack takes in an ACK.
#[inline(never)]
fn take_in(stack: &mut Stack, now: Instant, ack: &[u8]) {
    stack.on_packet(now, Frame { checksum: Checksum::Vouched, ..Frame::plain(ack) });
}

/// What is counted second: the stack sends what it may.
#[inline(never)]
fn send(stack: &mut Stack, now: Instant, sent: &mut VecDeque<Sent>) {
    if stack.poll_timeout().is_some_and(|at| at <= now) {
        stack.on_timeout(now);
    }
    while let Some(packet) = stack.poll_transmit(now) {
        sent.push_back(Sent::of(&packet));
    }
}

impl AckStream {
    /// A sender that has so many full segments in flight; with none given, what fills 100 us.
    pub(crate) fn new(flight: u32, lost: Lost) -> Self {
        let flight = if flight == 0 { LAN } else { flight };
        let sender = Sender::with_flight(flight);
        let end = sender.nxt;
        let (blocks, counts) = (VecDeque::new(), Counts::default());
        let mut stream = Self { flight, lost, sender, blocks, end, counts };
        stream.lose();
        stream
    }

    /// The oldest segment has been lost, if one is to be.
    fn lose(&mut self) {
        if self.lost == Lost::Nothing {
            return;
        }
        self.end = self.sender.nxt;
        let from = self.sender.una.wrapping_add(SEGMENT as u32);
        self.blocks = [(from, from)].into();
    }

    /// The next ACK reports two segments more.
    fn report(&mut self) {
        let (from, to) = self.blocks[0];
        let hole = from.wrapping_add(SEGMENT as u32 * (DISTANCE - 1));
        if self.lost == Lost::Many && to == hole {
            let from = hole.wrapping_add(SEGMENT as u32);
            self.blocks.push_front((from, from.wrapping_add(STEP)));
            self.blocks.truncate(3);
        } else {
            self.blocks[0] = (from, to.wrapping_add(STEP));
        }
        // What is sent instead must not wait for the peer; no more than that is let out.
        let flight = self.flight * SEGMENT as u32;
        self.sender.offer(flight + self.blocks[0].1.wrapping_sub(self.sender.una));
    }

    /// Everything behind the first segment that is lost has been reported, and is being repaired.
    fn check(&self) {
        let info = self.sender.stack.info(self.sender.connection).expect("it is open");
        assert_eq!(info.phase, Phase::Recovery);
        let holes = if self.lost == Lost::Many { self.flight / DISTANCE } else { 1 };
        // At the end of the flight three segments may be left.
        let expected = self.flight - holes;
        assert!((expected - 3..=expected).contains(&info.segments_sacked), "{info:?}");
    }

    /// Whether another two segments can be reported.
    fn has_more(&self) -> bool {
        let (_, to) = self.blocks[0];
        self.end.wrapping_sub(to) >= STEP + SEGMENT as u32
    }
}

impl Pair for AckStream {
    /// One ACK, which counts as a segment, and what it lets out, whose bytes count.
    fn turn(&mut self) {
        if self.lost != Lost::Nothing && !self.has_more() {
            self.check();
            // What comes now would be repairs; another one.
            self.sender = Sender::with_flight(self.flight);
            self.lose();
        }
        let sender = &mut self.sender;
        sender.now += GAP * SEGMENTS_PER_ACK as u64;
        sender.write();
        let now = Instant::from_nanos(sender.now);
        let mut bytes = [0; MOST_HEADERS];
        if self.lost == Lost::Nothing {
            sender.acknowledge(sender.una.wrapping_add(STEP));
        } else {
            self.report();
        }
        let sender = &mut self.sender;
        let ack = sender.ack(&mut bytes, self.blocks.make_contiguous());
        take_in(&mut sender.stack, now, ack);
        let before = sender.sent.len();
        send(&mut sender.stack, now, &mut sender.sent);
        let let_out = sender.sent.range(before..).map(|sent| u64::from(sent.len));
        self.counts.bytes += let_out.sum::<u64>();
        self.counts.segments += 1;
        self.counts.acks += 1;
        sender.after_sending();
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl Sender {
    /// A connection in which so many full segments are in flight.
    fn with_flight(flight: u32) -> Self {
        let mut config = Config::with_addresses([SENDER.into()]);
        config.mtu = MTU;
        config.tcp.max_send_buffer = 512 << 20;
        let mut stack = Stack::new(config, [7; 32]).expect("the settings make sense");
        stack.set_offload(Offload::SegmentationAndChecksums);
        let remote = SocketAddr::from((RECEIVER, PORT));
        let connection = stack.connect(None, remote).expect("a port is free");
        let window = flight * SEGMENT as u32;
        // Twice that has to fit.
        let scale = (2 * window).ilog2().saturating_sub(15) as u8;
        let mut sender = Self {
            stack,
            connection,
            now: 1_000_000,
            chunk: super::chunk(),
            ports: [0; 4],
            window: 0,
            scale,
            una: 0,
            nxt: 0,
            sent: VecDeque::new(),
            echo: 0,
        };
        sender.offer(window);
        sender.shake_hands();
        let round_trip = GAP * u64::from(flight);
        // In slow start, a round trip at a time.
        for _ in 0..40 {
            let flown = sender.nxt.wrapping_sub(sender.una);
            if flown >= window {
                return sender;
            }
            sender.now += round_trip;
            let until = sender.nxt;
            while sender.una != until {
                sender.write();
                let left = until.wrapping_sub(sender.una);
                sender.acknowledge(sender.una.wrapping_add(left.min(STEP)));
                sender.hear(&[]);
            }
        }
        panic!("the window does not open: {:?}", sender.stack.info(sender.connection));
    }

    fn shake_hands(&mut self) {
        let now = Instant::from_nanos(self.now);
        let syn = self.stack.poll_transmit(now).expect("a SYN").header.to_vec();
        let word = |at: usize| u32::from_be_bytes(*syn[at..].first_chunk().expect("it is long"));
        self.ports = [syn[22], syn[23], syn[20], syn[21]];
        let initial = word(24);
        (self.una, self.nxt) = (initial.wrapping_add(1), initial.wrapping_add(1));
        // The order of the options is Linux's: MSS, SACK permitted, timestamps.
        self.echo = word(48);
        let mut bytes = [0; MOST_HEADERS];
        let len = 20 + 20 + 20;
        self.header(&mut bytes, len, Flags::SYN | Flags::ACK);
        bytes[24..28].copy_from_slice(&0u32.to_be_bytes());
        bytes[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
        let [high, low] = (SEGMENT as u16 + 12).to_be_bytes();
        bytes[40..48].copy_from_slice(&[2, 4, high, low, 4, 2, 8, 10]);
        bytes[48..52].copy_from_slice(&1u32.to_be_bytes());
        bytes[52..56].copy_from_slice(&self.echo.to_be_bytes());
        bytes[56..60].copy_from_slice(&[1, 3, 3, self.scale]);
        self.stack
            .on_packet(now, Frame { checksum: Checksum::Vouched, ..Frame::plain(&bytes[..len]) });
        self.write();
        self.hear(&[]);
    }

    /// An ACK comes, and what it lets out goes, without being counted.
    fn hear(&mut self, blocks: &[(u32, u32)]) {
        let now = Instant::from_nanos(self.now);
        let mut bytes = [0; MOST_HEADERS];
        let ack = self.ack(&mut bytes, blocks);
        self.stack.on_packet(now, Frame { checksum: Checksum::Vouched, ..Frame::plain(ack) });
        while let Some(packet) = self.stack.poll_transmit(now) {
            self.sent.push_back(Sent::of(&packet));
        }
        self.after_sending();
    }

    /// The peer offers a window of at least so many bytes.
    fn offer(&mut self, window: u32) {
        self.window = window.next_multiple_of(1 << self.scale);
    }

    /// The application writes what fits.
    fn write(&mut self) {
        while self.stack.writable(self.connection) >= CHUNK {
            assert_eq!(self.stack.write(self.connection, &self.chunk), Ok(CHUNK));
        }
    }

    /// Everything before `una` has arrived.
    fn acknowledge(&mut self, una: u32) {
        self.una = una;
        while let Some(sent) = self.sent.front()
            && una.wrapping_sub(sent.end).cast_signed() >= 0
        {
            self.echo = sent.stamp;
            self.sent.pop_front();
        }
    }

    /// What was sent last tells where the flight ends, unless it was sent again.
    fn after_sending(&mut self) {
        let furthest = self.sent.back().map_or(self.nxt, |sent| sent.end);
        if furthest.wrapping_sub(self.nxt).cast_signed() > 0 {
            self.nxt = furthest;
        }
        while let Some(event) = self.stack.poll_event() {
            assert!(!matches!(event, Event::Closed(..)), "{event:?}");
        }
    }

    /// An ACK with these blocks.
    fn ack<'b>(&self, bytes: &'b mut [u8; MOST_HEADERS], blocks: &[(u32, u32)]) -> &'b [u8] {
        let options = if blocks.is_empty() { 12 } else { 12 + 4 + 8 * blocks.len() };
        let len = 40 + options;
        self.header(bytes, len, Flags::ACK);
        bytes[40..44].copy_from_slice(&[1, 1, 8, 10]);
        // A clock of milliseconds, as the stack's own.
        let clock = (self.now / 1_000_000) as u32;
        bytes[44..48].copy_from_slice(&clock.to_be_bytes());
        bytes[48..52].copy_from_slice(&self.echo.to_be_bytes());
        if !blocks.is_empty() {
            bytes[52..56].copy_from_slice(&[1, 1, 5, 2 + 8 * blocks.len() as u8]);
            for (place, (from, to)) in bytes[56..].chunks_exact_mut(8).zip(blocks) {
                place[..4].copy_from_slice(&from.to_be_bytes());
                place[4..].copy_from_slice(&to.to_be_bytes());
            }
        }
        &bytes[..len]
    }

    /// The headers without options of a packet of `len` bytes, which has nothing else.
    fn header(&self, bytes: &mut [u8; MOST_HEADERS], len: usize, flags: Flags) {
        bytes[..12].copy_from_slice(&[0x45, 0, 0, len as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes[12..16].copy_from_slice(&RECEIVER.octets());
        bytes[16..20].copy_from_slice(&SENDER.octets());
        let sum = Sum::ZERO.add_bytes(&bytes[..20]).finish();
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.ports);
        bytes[24..28].copy_from_slice(&1u32.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.una.to_be_bytes());
        bytes[32..34].copy_from_slice(&[((len - 20) as u8 / 4) << 4, flags.bits() as u8]);
        let window = self.window >> self.scale;
        let window = u16::try_from(window).expect("the scale is large enough");
        bytes[34..36].copy_from_slice(&window.to_be_bytes());
    }
}
