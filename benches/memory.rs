//! What a stack holds for each idle connection, TIME-WAIT record and half-open entry, after 100,000
//! of them have come in from a second stack in memory.
//!
//! ```text
//! cargo bench --bench memory
//! ```
//!
//! Every byte is counted that the stack has asked the allocator for and not given back, whatever
//! structure it is in, and what `malloc` adds: a header of 8 bytes, rounded up to 16. Beside it
//! stands what [`Stack::memory`] says, by which a running program can tell.

#![allow(clippy::expect_used)]
// A global allocator that counts has to be one, and that trait is unsafe.
#![allow(unsafe_code)]

mod measure;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use tunstack::time::{Duration, Instant};
use tunstack::wire::Frame;
use tunstack::{Config, ConnId, ListenerId, Stack};

use measure::{is_quick, verdict};

/// Bytes that an idle connection may take.
const GOAL_CONNECTION: f64 = 1_024.0;
/// Bytes that a TIME-WAIT record may take.
const GOAL_TIME_WAIT: f64 = 128.0;
/// Bytes that a half-open entry may take.
const GOAL_HALF_OPEN: f64 = 256.0;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 7;
/// Connections from one address of the client.
const PORTS: usize = 50_000;
/// How far time moves from one packet to the next.
const STEP: Duration = Duration::from_micros(1);

/// Counts what is allocated while [`COUNTING`] is set, and the same blocks when they are freed:
/// one stack's memory is only ever touched inside its own methods.
struct CountingAllocator;

static COUNTING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What glibc's `malloc` takes for a block: its size and a header of 8 bytes, in units of 16, at
/// least 32.
fn with_header(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Relaxed) {
            REQUESTED.fetch_add(layout.size(), Relaxed);
            TAKEN.fetch_add(with_header(layout.size()), Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if COUNTING.load(Relaxed) {
            REQUESTED.fetch_sub(layout.size(), Relaxed);
            TAKEN.fetch_sub(with_header(layout.size()), Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Does something of which the memory counts.
fn counted<T>(work: impl FnOnce() -> T) -> T {
    COUNTING.store(true, Relaxed);
    let result = work();
    COUNTING.store(false, Relaxed);
    result
}

/// A server whose memory is counted and a client whose memory is not.
struct World {
    server: Stack,
    listener: ListenerId,
    client: Stack,
    now: Instant,
    /// The packet on its way; it lives as long as the world, so that it counts for nobody.
    frame: Vec<u8>,
    /// What was counted when there was no connection yet.
    before: (usize, usize, usize),
}

impl World {
    fn new(connections: usize) -> Self {
        let mut server = counted(|| {
            let mut config = Config::with_addresses([IpAddr::V4(SERVER)]);
            config.max_half_open = connections;
            Stack::new(config, [1; 32]).expect("the settings make sense")
        });
        let on = SocketAddr::from((SERVER, PORT));
        let listener = counted(|| server.listen(on)).expect("the address is its own");
        let clients = (0..=connections / PORTS).map(client_address);
        let client = Stack::new(Config::with_addresses(clients), [2; 32]);
        let before = (REQUESTED.load(Relaxed), TAKEN.load(Relaxed), server.memory());
        Self {
            server,
            listener,
            client: client.expect("the settings make sense"),
            now: Instant::ZERO,
            frame: Vec::with_capacity(1_500),
            before,
        }
    }

    /// Starts the connection of this number.
    fn connect(&mut self, n: usize) -> ConnId {
        let port = u16::try_from(10_000 + n % PORTS).expect("a port");
        let local = SocketAddr::new(client_address(n / PORTS), port);
        let remote = SocketAddr::from((SERVER, PORT));
        let id = self.client.connect(Some(local), remote);
        id.expect("the port is free")
    }

    /// Opens the connection of this number: both ends.
    fn open(&mut self, n: usize) -> (ConnId, ConnId) {
        let ours = self.connect(n);
        self.settle();
        let theirs = counted(|| self.server.accept(self.listener));
        (ours, theirs.expect("it has come in"))
    }

    /// Brings one packet of the client to the server.
    fn go_there(&mut self) -> bool {
        self.now += STEP;
        let Some(packet) = self.client.poll_transmit(self.now) else {
            return false;
        };
        self.frame.clear();
        packet.append_to(&mut self.frame);
        counted(|| self.server.on_packet_stored(self.now, Frame::plain(&self.frame)));
        true
    }

    /// Takes one packet from the server, and brings it to the client unless it is to be lost.
    fn go_back(&mut self, lost: bool) -> bool {
        self.now += STEP;
        COUNTING.store(true, Relaxed);
        let packet = self.server.poll_transmit(self.now);
        COUNTING.store(false, Relaxed);
        let Some(packet) = packet else {
            return false;
        };
        self.frame.clear();
        packet.append_to(&mut self.frame);
        if !lost {
            self.client.on_packet_stored(self.now, Frame::plain(&self.frame));
        }
        true
    }

    /// Lets packets pass until there are none, and events be heard of.
    fn settle(&mut self) {
        while self.go_there() || self.go_back(false) {}
        while self.client.poll_event().is_some() {}
        while counted(|| self.server.poll_event()).is_some() {}
    }

    /// A row of the table.
    fn report(&self, what: &str, count: usize, goal: f64) {
        let each = |now: usize, before: usize| (now - before) as f64 / count as f64;
        let requested = each(REQUESTED.load(Relaxed), self.before.0);
        let taken = each(TAKEN.load(Relaxed), self.before.1);
        let said = each(self.server.memory(), self.before.2);
        println!(
            "| {what} | {taken:.0} | {requested:.0} | {said:.0} | {goal:.0} | {} |",
            verdict(taken, goal)
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let empty = Stack::new(Config::with_addresses([IpAddr::V4(SERVER)]), [1; 32]);
        let full = core::mem::replace(&mut self.server, empty.expect("the settings make sense"));
        counted(|| drop(full));
    }
}

fn client_address(n: usize) -> IpAddr {
    let last = u8::try_from(n + 2).expect("few addresses are needed");
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn main() {
    let count = if is_quick() { 5_000 } else { 100_000 };
    println!("Bytes for each of {count}, all structures counted.\n");
    println!("| | as malloc takes them | as asked for | `Stack::memory()` | goal | |");
    println!("|---|---|---|---|---|---|");
    idle_connections(count);
    idle_after_an_exchange(count);
    time_wait(count);
    half_open(count);
    assert_eq!(REQUESTED.load(Relaxed), 0, "what was counted is all freed");
}

/// Connections on which nothing was ever said.
fn idle_connections(count: usize) {
    let mut world = World::new(count);
    for n in 0..count {
        world.open(n);
    }
    assert_eq!(world.server.totals().connections, count);
    world.report("idle connection, just established", count, GOAL_CONNECTION);
}

/// Connections that have carried a request and an answer of 1 KiB, and are idle now.
fn idle_after_an_exchange(count: usize) {
    const TEXT: [u8; 1_024] = [b'x'; 1_024];
    let mut world = World::new(count);
    let mut text = TEXT;
    for n in 0..count {
        let (ours, theirs) = world.open(n);
        assert_eq!(world.client.write(ours, &TEXT), Ok(TEXT.len()));
        world.settle();
        let read = counted(|| world.server.read(theirs, &mut text));
        assert_eq!(read, Ok(TEXT.len()));
        let written = counted(|| world.server.write(theirs, &TEXT));
        assert_eq!(written, Ok(TEXT.len()));
        world.settle();
        assert_eq!(world.client.read(ours, &mut text), Ok(TEXT.len()));
        world.settle();
    }
    assert_eq!(world.server.totals().connections, count);
    let what = "idle connection, after 1 KiB each way";
    world.report(what, count, GOAL_CONNECTION);
}

/// Connections that the server has closed first, one after another.
fn time_wait(count: usize) {
    let mut world = World::new(count);
    for n in 0..count {
        let (ours, theirs) = world.open(n);
        counted(|| world.server.close(theirs));
        world.settle();
        world.client.close(ours);
        world.settle();
    }
    let totals = world.server.totals();
    assert_eq!((totals.time_wait, totals.connections), (count, 0));
    world.report("TIME-WAIT record", count, GOAL_TIME_WAIT);
}

/// Connection requests whose answers are lost.
fn half_open(count: usize) {
    let mut world = World::new(count);
    for n in 0..count {
        world.connect(n);
        assert!(world.go_there(), "a SYN");
        assert!(world.go_back(true), "a SYN-ACK");
    }
    assert_eq!(world.server.totals().half_open, count);
    world.report("half-open entry", count, GOAL_HALF_OPEN);
}
