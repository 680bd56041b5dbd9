//! A transfer without losses takes no memory from the allocator, however long it goes on: what drained
//! buffers give back is taken again by those that fill. And a connection that is idle holds none.

#![allow(clippy::unwrap_used)]
// A global allocator that counts has to be one, and that trait is unsafe.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use tunstack::time::{Duration, Instant};
use tunstack::wire::{Checksum, Frame, Offload};
use tunstack::{Config, ConnId, Stack};

/// Counts what this thread asks the system's allocator for.
struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// How often this thread has asked for memory, or for more of it, during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const PORT: u16 = 9;
/// The time from one end to the other.
const DELAY: Duration = Duration::from_micros(10);

/// What a stack may keep for buffers to come: two kinds of a MiB each, and the names of its pieces.
const MOST_SPARE: usize = 3 << 20;

/// How a host takes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    /// Straight from the packet.
    Borrowed,
    /// Half of it straight from the packet; the rest goes through the receive buffer, from which it is
    /// read when all packets are in.
    Partly,
    /// All of it goes through the receive buffer.
    Stored,
}

/// How packets pass.
#[derive(Clone, Copy, Debug)]
struct Way {
    taking: Taking,
    offload: Offload,
    /// Packets under way in one direction at a time.
    at_a_time: usize,
}

/// A packet under way, in memory that is used again.
struct Packet {
    bytes: Vec<u8>,
    segment_size: Option<NonZeroU16>,
    checksum: Checksum,
}

/// One of the two hosts and what its applications have.
struct Host {
    stack: Stack,
    connections: Vec<ConnId>,
    /// Bytes that have arrived and been taken.
    taken: u64,
    sent: Vec<Packet>,
    segments: u64,
    text: Vec<u8>,
}

impl Host {
    fn new(address: Ipv4Addr, way: Way) -> Self {
        let mut config = Config::with_addresses([IpAddr::V4(address)]);
        config.tcp.max_recv_buffer = 1 << 20;
        config.tcp.max_send_buffer = 1 << 20;
        let mut stack = Stack::new(config, [7; 32]).unwrap();
        stack.set_offload(way.offload);
        let packet = || Packet {
            bytes: Vec::with_capacity(66_000),
            segment_size: None,
            checksum: Checksum::Full,
        };
        let sent = (0..way.at_a_time).map(|_| packet()).collect();
        let text = vec![7; 256 << 10];
        Self { stack, connections: Vec::new(), taken: 0, sent, segments: 0, text }
    }

    /// The application writes to all its connections what fits of `len` bytes.
    fn writes(&mut self, len: usize) {
        for &id in &self.connections {
            if self.stack.writable(id) >= len {
                assert_eq!(self.stack.write(id, &self.text[..len]), Ok(len));
            }
        }
    }

    /// Lets timers run and sends packets; answers how many, at most as many as fit on the way.
    fn sends(&mut self, now: Instant) -> usize {
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.on_timeout(now);
        }
        let mut count = 0;
        while count < self.sent.len()
            && let Some(packet) = self.stack.poll_transmit(now)
        {
            let sent = &mut self.sent[count];
            sent.bytes.clear();
            packet.append_to(&mut sent.bytes);
            (sent.segment_size, sent.checksum) = (packet.segment_size, packet.checksum);
            count += 1;
        }
        count
    }

    /// Takes in a packet, and what it brings.
    fn receives(&mut self, now: Instant, packet: &Packet, taking: Taking) {
        let Packet { bytes, segment_size, checksum } = packet;
        let frame = Frame { bytes, segment_size: *segment_size, checksum: *checksum };
        if taking == Taking::Stored {
            self.stack.on_packet_stored(now, frame);
        } else if let Some((id, text)) = self.stack.on_packet(now, frame).data {
            let takes = if taking == Taking::Borrowed { text.len() } else { text.len() / 2 };
            self.taken += takes as u64;
            self.stack.store(id, &text[takes..]);
        }
    }

    /// Reads all that waits.
    fn reads(&mut self) {
        while self.stack.poll_event().is_some() {}
        for &id in &self.connections {
            while self.stack.readable(id) > 0 {
                self.taken += self.stack.read(id, &mut self.text).unwrap() as u64;
            }
        }
    }
}

/// Two hosts and a wire between them that loses nothing.
struct Pair {
    now: Instant,
    way: Way,
    left: Host,
    right: Host,
}

impl Pair {
    fn new(way: Way, connections: usize) -> Self {
        let (left, right) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let mut pair = Self {
            now: Instant::from_millis(1),
            way,
            left: Host::new(left, way),
            right: Host::new(right, way),
        };
        let remote = SocketAddr::from((right, PORT));
        let listener = pair.right.stack.listen(remote).unwrap();
        for _ in 0..connections {
            let id = pair.left.stack.connect(None, remote).unwrap();
            pair.left.connections.push(id);
            pair.settles();
            pair.right.connections.push(pair.right.stack.accept(listener).unwrap());
        }
        pair
    }

    /// Packets of one host reach the other; answers how many.
    fn passes(now: &mut Instant, from: &mut Host, to: &mut Host, taking: Taking) -> usize {
        *now += DELAY;
        let count = from.sends(*now);
        for packet in &from.sent[..count] {
            to.receives(*now, packet, taking);
        }
        from.segments = from.stack.counters().segments_out;
        to.reads();
        count
    }

    fn passes_both_ways(&mut self) -> usize {
        let Self { now, way, left, right } = self;
        Self::passes(now, left, right, way.taking) + Self::passes(now, right, left, way.taking)
    }

    /// Until no packet is under way.
    fn settles(&mut self) {
        while self.passes_both_ways() > 0 {}
    }

    /// What the stacks hold for connections when all has arrived and all timers have run out.
    fn idle_memory(&mut self) -> [usize; 2] {
        // It may take several times: ACKs are delayed, and what waited for them goes out.
        for _ in 0..10 {
            self.settles();
            self.now += Duration::from_secs(10);
        }
        for host in [&self.left, &self.right] {
            let idle = |&id: &ConnId| host.stack.unacknowledged(id) + host.stack.readable(id) == 0;
            assert!(host.connections.iter().all(idle));
        }
        [&self.left, &self.right].map(|host| host.stack.memory())
    }

    fn segments(&self) -> u64 {
        self.left.segments + self.right.segments
    }

    /// Runs until so many segments more have been sent.
    fn runs(&mut self, segments: u64, mut turn: impl FnMut(&mut Self)) {
        let end = self.segments() + segments;
        while self.segments() < end {
            turn(self);
        }
    }
}

fn ways() -> impl Iterator<Item = Way> {
    let takings = [Taking::Borrowed, Taking::Partly, Taking::Stored];
    let offloads = [Offload::Nothing, Offload::SegmentationAndChecksums];
    takings.into_iter().flat_map(move |taking| {
        offloads.into_iter().flat_map(move |offload| {
            [2, 1_000].into_iter().map(move |at_a_time| Way { taking, offload, at_a_time })
        })
    })
}

/// Segments in which everything gets to the size that it needs.
const WARM_UP: u64 = 3_000;
/// Segments for which allocations are counted. One in each flight of 64 KiB would be more than 60.
const COUNTED: u64 = 3_000;
/// How often something may still have to grow, with the congestion window.
const GROWTH: u64 = 8;

/// Insists that turns of this kind need no memory, once a while has passed, however packets pass, and
/// that nothing is held when they are over.
fn takes_no_memory(connections: usize, turn: impl Fn(&mut Pair)) {
    for way in ways() {
        let mut pair = Pair::new(way, connections);
        let before = pair.idle_memory();
        pair.runs(WARM_UP, &turn);
        let count = allocations(|| pair.runs(COUNTED, &turn));
        // The ordered set of deadlines takes a node now and then when a timer has come up: that goes
        // by time, and there is none with one connection.
        let nodes = if connections > 1 { COUNTED / 50 } else { 0 };
        assert!(count <= GROWTH + nodes, "{count} allocations, {way:?}");
        let taken = [pair.left.taken, pair.right.taken];
        assert!(taken.iter().any(|&taken| taken > 0), "nothing has arrived, {way:?}");
        let after = pair.idle_memory();
        assert!(after[0] <= before[0] && after[1] <= before[1], "{before:?}, {after:?}, {way:?}");
        for host in [&pair.left, &pair.right] {
            assert!(host.stack.spare_memory() <= MOST_SPARE, "{way:?}");
        }
    }
}

#[test]
fn a_bulk_transfer_one_way() {
    takes_no_memory(1, |pair| {
        pair.left.writes(64 << 10);
        pair.passes_both_ways();
    });
}

#[test]
fn a_bulk_transfer_both_ways() {
    takes_no_memory(1, |pair| {
        pair.left.writes(64 << 10);
        pair.right.writes(64 << 10);
        pair.passes_both_ways();
    });
}

#[test]
fn a_bulk_transfer_in_small_writes() {
    takes_no_memory(1, |pair| {
        for _ in 0..100 {
            pair.left.writes(1_000);
        }
        pair.passes_both_ways();
    });
}

#[test]
fn questions_and_answers() {
    for len in [1, 1_000, 40_000] {
        takes_no_memory(1, |pair| {
            pair.left.writes(len);
            pair.settles();
            pair.right.writes(len);
            pair.settles();
        });
    }
}

#[test]
fn questions_and_answers_of_many() {
    takes_no_memory(64, |pair| {
        pair.left.writes(100);
        pair.settles();
        pair.right.writes(100);
        pair.settles();
    });
}
