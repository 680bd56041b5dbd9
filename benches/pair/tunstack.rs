//! Two tunstacks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tunstack::device::Segments;
use tunstack::time::Instant;
use tunstack::wire::checksum::Sum;
use tunstack::wire::{Checksum, Flags, Frame, Offload, Transmit};
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use super::{
    BUFFER, CHUNK, Counts, DELAY, Frames, MTU, PORT, Pair, RECEIVER, SEGMENTS_PER_ACK, SENDER,
};

/// Idle connections from one address.
const PORTS: usize = 50_000;
const FIRST_PORT: u16 = 10_000;

/// Who sums up what is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// The stacks.
    Computed,
    /// Nobody has to: it is left to the device, and what comes from there is vouched for.
    Vouched,
}

pub(crate) struct TunstackPair {
    sender: Stack,
    receiver: Stack,
    connection: ConnId,
    listener: ListenerId,
    checksums: Checksums,
    now: u64,
    there: Frames,
    back: Frames,
    /// Where segments are put together.
    cut: Vec<u8>,
    chunk: Box<[u8]>,
    counts: Counts,
    /// Compare what arrives with what was sent.
    checking: bool,
}

impl TunstackPair {
    /// Two stacks with a connection that has carried a few segments, all of them compared byte
    /// for byte, and `idle` other connections.
    pub(crate) fn new(checksums: Checksums, idle: usize) -> Self {
        let mut pair = Self::connected(checksums, idle);
        pair.run(1_000);
        pair.checking = false;
        pair
    }

    /// The same before anything is sent.
    fn connected(checksums: Checksums, idle: usize) -> Self {
        let others = (0..idle.div_ceil(PORTS)).map(idle_address);
        let mut sender = stack([SENDER.into()].into_iter().chain(others), checksums);
        let mut receiver = stack([RECEIVER.into()], checksums);
        let remote = SocketAddr::from((RECEIVER, PORT));
        let listener = receiver.listen(remote).expect("the address is its own");
        let connection = sender.connect(None, remote).expect("a port is free");
        let mut pair = Self {
            sender,
            receiver,
            connection,
            listener,
            checksums,
            now: 0,
            there: Frames::new(),
            back: Frames::new(),
            cut: Vec::new(),
            chunk: super::chunk(),
            counts: Counts::default(),
            checking: true,
        };
        pair.settle();
        for n in 0..idle {
            let local = SocketAddr::new(idle_address(n / PORTS), FIRST_PORT + (n % PORTS) as u16);
            pair.sender.connect(Some(local), remote).expect("the port is free");
            pair.settle();
        }
        let totals = (pair.sender.totals(), pair.receiver.totals());
        assert_eq!(totals.0.connections, idle + 1);
        assert_eq!(totals.1.connections, idle + 1);
        assert_eq!(totals.1.half_open, 0);
        pair.counts = Counts::default();
        pair
    }

    /// Lets packets go to and fro until there are none, and accepts what comes.
    fn settle(&mut self) {
        loop {
            self.now += DELAY;
            let now = Instant::from_nanos(self.now);
            drain(&mut self.sender, now, &mut self.there);
            while let Some(frame) = self.there.take() {
                self.receiver.on_packet_stored(now, arrived(frame, self.checksums));
            }
            while self.receiver.accept(self.listener).is_some() {}
            drain(&mut self.receiver, now, &mut self.back);
            while let Some(frame) = self.back.take() {
                self.sender.on_packet_stored(now, arrived(frame, self.checksums));
            }
            let quiet = self.there.len() == 0 && self.back.len() == 0;
            self.there.clear();
            self.back.clear();
            drain_events(&mut self.sender);
            drain_events(&mut self.receiver);
            if quiet {
                return;
            }
        }
    }

    fn send(&mut self) {
        self.now += DELAY;
        let now = Instant::from_nanos(self.now);
        on_timers(&mut self.sender, now);
        if self.sender.writable(self.connection) >= CHUNK {
            let taken = self.sender.write(self.connection, &self.chunk);
            assert_eq!(taken, Ok(CHUNK));
        }
        fill(&mut self.sender, now, &mut self.there, self.checksums, &mut self.cut);
        self.counts.segments += self.there.len() as u64;
    }

    fn receive(&mut self) {
        self.now += DELAY;
        let now = Instant::from_nanos(self.now);
        on_timers(&mut self.receiver, now);
        let mut taken = 0;
        while let Some(frame) = self.there.take() {
            let received = self.receiver.on_packet(now, arrived(frame, self.checksums));
            let (_, data) = received.data.expect("it is in order and nothing waits");
            if self.checking {
                assert!(super::is_as_sent(&self.chunk, self.counts.bytes, data));
            }
            self.counts.bytes += data.len() as u64;
            taken += 1;
            if taken % SEGMENTS_PER_ACK == 0 {
                drain_events(&mut self.receiver);
                drain(&mut self.receiver, now, &mut self.back);
            }
        }
        self.there.clear();
        drain_events(&mut self.receiver);
        drain(&mut self.receiver, now, &mut self.back);
        self.counts.acks += self.back.len() as u64;
    }

    fn acknowledge(&mut self) {
        self.now += DELAY;
        let now = Instant::from_nanos(self.now);
        while let Some(frame) = self.back.take() {
            self.sender.on_packet(now, arrived(frame, self.checksums));
        }
        self.back.clear();
        drain_events(&mut self.sender);
    }
}

impl Pair for TunstackPair {
    fn turn(&mut self) {
        self.send();
        self.receive();
        self.acknowledge();
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

/// The same two, but a byte goes there and comes back, and then the next; each way and back counts
/// as a segment.
pub(crate) struct TunstackPingPong(TunstackPair);

impl TunstackPingPong {
    /// Two stacks that have exchanged a few bytes, and `idle` other connections.
    pub(crate) fn new(idle: usize) -> Self {
        let mut ping_pong = Self(TunstackPair::connected(Checksums::Computed, idle));
        ping_pong.run(1_000);
        ping_pong
    }
}

impl Pair for TunstackPingPong {
    fn turn(&mut self) {
        let TunstackPair { sender, receiver, connection, now, there, back, counts, .. } =
            &mut self.0;
        let mut advance = || {
            *now += DELAY;
            Instant::from_nanos(*now)
        };
        let at = advance();
        on_timers(sender, at);
        assert_eq!(sender.write(*connection, b"x"), Ok(1));
        drain(sender, at, there);

        let at = advance();
        on_timers(receiver, at);
        while let Some(frame) = there.take() {
            let received = receiver.on_packet(at, Frame::plain(frame));
            let (id, text) = received.data.expect("it is in order and nothing waits");
            assert_eq!(receiver.write(id, text), Ok(1));
        }
        there.clear();
        drain_events(receiver);
        drain(receiver, at, back);

        let at = advance();
        while let Some(frame) = back.take() {
            let received = sender.on_packet(at, Frame::plain(frame));
            let (_, text) = received.data.expect("it is in order and nothing waits");
            assert_eq!(text, b"x");
            counts.segments += 1;
            counts.bytes += 1;
        }
        back.clear();
        drain_events(sender);
    }

    fn counts(&self) -> Counts {
        self.0.counts
    }
}

/// An address of the sender with nothing but idle connections.
fn idle_address(number: usize) -> IpAddr {
    let last = u8::try_from(number + 10).expect("few addresses are needed");
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// A frame as the device hands it over.
fn arrived(bytes: &[u8], checksums: Checksums) -> Frame<'_> {
    let checksum = match checksums {
        Checksums::Computed => Checksum::Full,
        Checksums::Vouched => Checksum::Vouched,
    };
    Frame { checksum, ..Frame::plain(bytes) }
}

fn stack(addresses: impl IntoIterator<Item = IpAddr>, checksums: Checksums) -> Stack {
    let mut config = Config::with_addresses(addresses);
    config.mtu = MTU;
    config.tcp.max_send_buffer = BUFFER;
    config.tcp.max_recv_buffer = BUFFER;
    let mut stack = Stack::new(config, [7; 32]).expect("the settings make sense");
    stack.set_offload(match checksums {
        Checksums::Computed => Offload::Segmentation,
        Checksums::Vouched => Offload::SegmentationAndChecksums,
    });
    stack
}

/// Polls packets until there are frames or nothing is left; a super-segment fills many of them.
fn fill(
    stack: &mut Stack,
    now: Instant,
    frames: &mut Frames,
    checksums: Checksums,
    cut: &mut Vec<u8>,
) {
    while frames.len() == 0
        && let Some(packet) = stack.poll_transmit(now)
    {
        match (checksums, Segments::of(&packet)) {
            (_, None) => push(frames, &packet),
            (Checksums::Computed, Some(segments)) => {
                for number in 0..segments.count() {
                    push(frames, &segments.get(number, cut));
                }
            }
            (Checksums::Vouched, Some(_)) => push_unsummed(frames, &packet),
        }
    }
}

/// Polls packets until there are none; none of them is a super-segment.
fn drain(stack: &mut Stack, now: Instant, frames: &mut Frames) {
    while let Some(packet) = stack.poll_transmit(now) {
        push(frames, &packet);
    }
}

/// Copies a packet into a frame.
fn push(frames: &mut Frames, packet: &Transmit<'_>) {
    let [first, second] = packet.payload;
    let frame = frames.push(packet.len());
    let (header, rest) = frame.split_at_mut(packet.header.len());
    let (before, after) = rest.split_at_mut(first.len());
    header.copy_from_slice(packet.header);
    before.copy_from_slice(first);
    after.copy_from_slice(second);
}

/// Copies a super-segment of IPv4 into frames as a network card cuts it that leaves out the TCP
/// checksums, since the other end is to trust it.
fn push_unsummed(frames: &mut Frames, packet: &Transmit<'_>) {
    let header = packet.header;
    let word =
        |at: usize| u32::from_be_bytes(*header[at..].first_chunk().expect("it is long enough"));
    let seq = word(24);
    let size = usize::from(packet.segment_size.expect("it is a super-segment").get());
    let [first, second] = packet.payload;
    let len = first.len() + second.len();
    for start in (0..len).step_by(size) {
        let end = (start + size).min(len);
        let frame = frames.push(header.len() + end - start);
        let total = (frame.len() as u16).to_be_bytes();
        let (head, text) = frame.split_at_mut(header.len());
        head.copy_from_slice(header);
        head[2..4].copy_from_slice(&total);
        head[10..12].fill(0);
        let sum = Sum::ZERO.add_bytes(&head[..20]).finish();
        head[10..12].copy_from_slice(&sum.to_be_bytes());
        head[24..28].copy_from_slice(&seq.wrapping_add(start as u32).to_be_bytes());
        if end < len {
            head[33] &= !(Flags::PSH.bits() as u8);
        }
        let (one, other) = text.split_at_mut(end.min(first.len()) - start.min(first.len()));
        one.copy_from_slice(&first[start.min(first.len())..end.min(first.len())]);
        let behind = |at: usize| at.max(first.len()) - first.len();
        other.copy_from_slice(&second[behind(start)..behind(end)]);
    }
}

fn on_timers(stack: &mut Stack, now: Instant) {
    if stack.poll_timeout().is_some_and(|at| at <= now) {
        stack.on_timeout(now);
    }
}

fn drain_events(stack: &mut Stack) {
    while let Some(event) = stack.poll_event() {
        assert!(!matches!(event, Event::Closed(..)), "{event:?}");
    }
}
