//! Two stacks and a wire between them on a virtual clock. Time jumps to whatever happens next: a
//! packet arrives or a deadline of a stack comes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;

use tunstack::device::Segments;
use tunstack::tcp::{ReadError, State};
use tunstack::time::{Duration, Instant};
use tunstack::wire::{Frame, Offload, Transmit};
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use super::audit::Audit;
use super::link::{Faults, Link};
use super::packet::{self, Packet};
use super::pattern;
use super::random::Random;
use super::transcript::Transcript;

/// Steps after which a run counts as one that hangs.
const STEP_LIMIT: u64 = 4_000_000;

/// The port that servers of these tests listen on.
pub const PORT: u16 = 80;

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// A packet under way. `order` keeps packets that arrive together in the order they were sent in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Instant,
    order: u64,
    to: Side,
    bytes: Vec<u8>,
}

/// How a host takes what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// The stack stores everything; events tell of it.
    Stored,
    /// In-order text is offered to the application straight from the packet; it takes a random
    /// part and the stack stores the rest.
    Direct,
}

/// What a host takes part with.
struct Host {
    stack: Stack,
    /// The wire that leads away from this host.
    link: Link,
    mtu: usize,
    taking: Taking,
}

/// Text that an application took straight from a packet.
pub struct Taken {
    pub side: Side,
    pub id: ConnId,
    pub text: Vec<u8>,
}

/// Two stacks and the wire between them.
pub struct Pair {
    pub now: Instant,
    ipv6: bool,
    hosts: [Host; 2],
    arrivals: BinaryHeap<Reverse<Arrival>>,
    /// What applications have taken straight from packets, until the test fetches it.
    pub taken: Vec<Taken>,
    /// A running hash of all packets, with their times and sides.
    pub digest: u64,
    /// Packets sent by either side.
    pub sent: u64,
    random: Random,
    steps: u64,
    audit: Audit,
    transcript: Transcript,
}

/// What to build a [`Pair`] from.
pub struct Plan {
    pub seed: u64,
    pub ipv6: bool,
    /// The settings of client and server.
    pub configs: [Config; 2],
    /// The wire that leads away from the client, and from the server.
    pub faults: [Faults; 2],
    pub taking: [Taking; 2],
    /// What is done for each with what it sends.
    pub offload: [Offload; 2],
}

impl Plan {
    /// Default settings and a wire without faults, 10 ms long.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ipv6: false,
            configs: [1, 2].map(|n| Config::with_addresses([packet::address(n, false)])),
            faults: [Faults::default(), Faults::default()],
            taking: [Taking::Stored; 2],
            offload: [Offload::Nothing; 2],
        }
    }

    /// Runs over IPv6 instead.
    pub fn over_ipv6(mut self) -> Self {
        self.ipv6 = true;
        for (n, config) in (1..).zip(&mut self.configs) {
            config.addresses = vec![packet::address(n, true)];
        }
        self
    }

    /// Initial sequence numbers of client and server.
    pub fn isns(mut self, client: u32, server: u32) -> Self {
        self.configs[0].fixed_iss = Some(client);
        self.configs[1].fixed_iss = Some(server);
        self
    }

    /// Changes the settings of both sides.
    pub fn both(mut self, change: impl Fn(&mut Config)) -> Self {
        self.configs.iter_mut().for_each(change);
        self
    }

    /// Changes both directions of the wire.
    pub fn wire(mut self, change: impl Fn(&mut Faults)) -> Self {
        self.faults.iter_mut().for_each(change);
        self
    }

    /// Builds it.
    pub fn build(self) -> Pair {
        Pair::new(self)
    }
}

impl Pair {
    /// When every run starts.
    pub const START: Instant = Instant::from_millis(5_000_000);

    fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let plenty = Config::default().max_buffer_memory;
        let scarce = plan.configs.iter().any(|config| config.max_buffer_memory < plenty);
        let [client, server] = plan.configs;
        let [to_server, to_client] = plan.faults;
        let mut host = |config: Config, faults, taking| Host {
            mtu: config.mtu,
            stack: Stack::new(config, random.bytes32()).expect("the settings make sense"),
            link: Link::new(faults, random.fork()),
            taking,
        };
        let mut hosts =
            [host(client, to_server, plan.taking[0]), host(server, to_client, plan.taking[1])];
        for (host, offload) in hosts.iter_mut().zip(plan.offload) {
            host.stack.set_offload(offload);
        }
        Self {
            now: Self::START,
            ipv6: plan.ipv6,
            hosts,
            arrivals: BinaryHeap::new(),
            taken: Vec::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            sent: 0,
            random,
            steps: 0,
            audit: Audit::new(scarce),
            transcript: Transcript::default(),
        }
    }

    pub fn stack(&mut self, side: Side) -> &mut Stack {
        &mut self.hosts[side.index()].stack
    }

    /// The wire that leads away from `side`.
    pub fn link_from(&mut self, side: Side) -> &mut Link {
        &mut self.hosts[side.index()].link
    }

    /// Ends all faults of the wire.
    pub fn heal(&mut self) {
        for side in Side::BOTH {
            self.link_from(side).heal();
        }
    }

    /// Listens on [`PORT`] of `side`.
    pub fn listen(&mut self, side: Side) -> ListenerId {
        let any = if self.ipv6 { "[::]:80" } else { "0.0.0.0:80" };
        let any = any.parse().expect("an address");
        self.stack(side).listen(any).expect("the port is free")
    }

    /// Where [`PORT`] of `side` is.
    pub fn address_of(&self, side: Side) -> SocketAddr {
        let host = packet::address(side.index() as u8 + 1, self.ipv6);
        SocketAddr::new(host, PORT)
    }

    /// Starts to connect from `side` to the other one.
    pub fn connect(&mut self, side: Side) -> ConnId {
        let remote = self.address_of(side.other());
        self.stack(side).connect(None, remote).expect("a port is free")
    }

    /// A connection from client to server, established on both sides.
    pub fn open(&mut self) -> (ConnId, ConnId) {
        let listener = self.listen(Side::Server);
        self.open_to(listener)
    }

    /// Another connection, to a listener of the server that is there.
    pub fn open_to(&mut self, listener: ListenerId) -> (ConnId, ConnId) {
        let client = self.connect(Side::Client);
        let mut server = None;
        self.run_until("the connection is open on both sides", |net| {
            server = server.or_else(|| net.stack(Side::Server).accept(listener));
            server.is_some() && net.state(Side::Client, client) == Some(State::Established)
        });
        (client, server.expect("accepted"))
    }

    pub fn state(&mut self, side: Side, id: ConnId) -> Option<State> {
        self.stack(side).state(id)
    }

    /// All events of `side` that wait.
    pub fn events(&mut self, side: Side) -> Vec<Event> {
        std::iter::from_fn(|| self.stack(side).poll_event()).collect()
    }

    /// Carries `total` bytes from `side`'s connection `from` to `to` and answers how long it took.
    /// The receiver reads as fast as text comes and checks every byte.
    pub fn transfer(&mut self, side: Side, from: ConnId, to: ConnId, total: u64) -> Duration {
        let start = self.now;
        let (mut written, mut read) = (0, 0);
        self.run_until("the transfer is complete", |net| {
            written += net.write_pattern(side, from, written, total - written);
            read += net.read_pattern(side.other(), to, read);
            read == total
        });
        self.now.since(start)
    }

    /// Writes up to `most` bytes of the pattern and answers how many fitted.
    pub fn write_pattern(&mut self, side: Side, id: ConnId, offset: u64, most: u64) -> u64 {
        let mut written = 0;
        while written < most {
            let piece = (most - written).min(16_384) as usize;
            let text = pattern::bytes(0, offset + written, piece);
            let took = self.stack(side).write(id, &text).expect("open for writing");
            written += took as u64;
            if took < piece {
                break;
            }
        }
        written
    }

    /// Reads what there is, which must be the pattern from `offset` on; answers how much it was.
    pub fn read_pattern(&mut self, side: Side, id: ConnId, offset: u64) -> u64 {
        let mut buffer = [0; 16_384];
        let mut read = 0;
        loop {
            match self.stack(side).read(id, &mut buffer) {
                Ok(0) | Err(ReadError::WouldBlock) => return read,
                Ok(n) => {
                    pattern::check(0, offset + read, &buffer[..n]);
                    read += n as u64;
                }
                Err(error) => panic!("{side:?} cannot read at {}: {error}", offset + read),
            }
        }
    }

    /// Whether everything has been read and the peer has closed.
    pub fn at_end(&mut self, side: Side, id: ConnId) -> bool {
        self.stack(side).read(id, &mut [0]) == Ok(0)
    }

    /// Runs until `done` answers true; a run in which nothing more can happen fails.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        while !done(self) {
            if !self.step() {
                // The question itself may have written something.
                assert!(
                    done(self),
                    "nothing happens any more, but not yet: {what}\n{}",
                    self.dump()
                );
                return;
            }
        }
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_to(end);
    }

    /// Lets time pass until `end`.
    pub fn run_to(&mut self, end: Instant) {
        self.drain();
        while self.next_event().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Runs until nothing more happens by itself.
    pub fn run_to_rest(&mut self) {
        while self.step() {}
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Instant> {
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
        let timeouts = self.hosts.iter().map(|host| host.stack.poll_timeout());
        timeouts.chain([arrival]).flatten().min()
    }

    /// Goes to the next thing that happens; answers whether there was one.
    pub fn step(&mut self) -> bool {
        self.drain();
        let Some(next) = self.next_event() else {
            return false;
        };
        self.steps += 1;
        assert!(self.steps < STEP_LIMIT, "the run hangs\n{}", self.dump());
        self.now = self.now.max(next);
        while self.arrivals.peek().is_some_and(|Reverse(a)| a.at <= self.now) {
            if let Some(Reverse(arrival)) = self.arrivals.pop() {
                self.deliver(arrival);
            }
        }
        for side in Side::BOTH {
            let now = self.now;
            self.stack(side).on_timeout(now);
            self.drain_side(side);
            let deadline = self.stack(side).poll_timeout();
            assert!(
                deadline.is_none_or(|at| at > now),
                "{side:?} has a deadline {deadline:?} that is over\n{}",
                self.dump()
            );
        }
        true
    }

    fn deliver(&mut self, arrival: Arrival) {
        let Arrival { to, bytes, .. } = arrival;
        let now = self.now;
        let frame = Frame::plain(&bytes);
        let host = &mut self.hosts[to.index()];
        let owed_now = match host.taking {
            Taking::Stored => host.stack.on_packet_stored(now, frame),
            Taking::Direct => {
                let received = host.stack.on_packet(now, frame);
                if let Some((id, text)) = received.data {
                    let takes = self.random.below(text.len() as u64 + 1) as usize;
                    let (taken, rest) = text.split_at(takes);
                    host.stack.store(id, rest);
                    self.taken.push(Taken { side: to, id, text: taken.to_vec() });
                }
                received.owed_now
            }
        };
        if owed_now {
            self.drain_side(to);
        }
    }

    /// Puts on the wire whatever the stacks have to send.
    pub fn drain(&mut self) {
        for side in Side::BOTH {
            self.drain_side(side);
        }
    }

    fn drain_side(&mut self, side: Side) {
        let now = self.now;
        let host = &mut self.hosts[side.index()];
        let mut order = self.sent;
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(transmit) = host.stack.poll_transmit(now) else { break };
                waiting = packets(&transmit);
            }
            let Some(bytes) = waiting.pop_front() else { continue };
            order += 1;
            self.digest = digest(self.digest, now, side, &bytes);
            let decoded = Packet::decode(&bytes);
            if let Some(packet) = &decoded {
                packet::check_well_formed(&bytes, host.mtu);
                self.transcript.note(format!("{now:?} {packet}"));
                self.audit.on_sent(packet, &bytes);
            }
            if let Some(bytes) = host.link.refusal(&bytes) {
                self.transcript.note("    (too big)".into());
                self.arrivals.push(Reverse(Arrival {
                    at: now + Duration::from_millis(1),
                    order,
                    to: side,
                    bytes,
                }));
                continue;
            }
            let lost_before = host.link.lost;
            for (at, bytes) in host.link.carry(now, bytes) {
                self.arrivals.push(Reverse(Arrival { at, order, to: side.other(), bytes }));
            }
            if host.link.lost > lost_before {
                self.transcript.note("    (lost or damaged)".into());
            }
        }
        self.sent = order;
    }

    /// What both stacks hold, for a test that fails.
    pub fn dump(&self) -> String {
        let mut text = format!("at {:?}, {} packets under way\n", self.now, self.arrivals.len());
        for (side, host) in Side::BOTH.iter().zip(&self.hosts) {
            let stack = &host.stack;
            text += &format!("{side:?}: {:?}, wakes {:?}\n", stack.totals(), stack.poll_timeout());
            for info in stack.connections() {
                text += &format!("    {info:?}\n");
            }
            for (name, value) in stack.counters().iter().filter(|&(_, value)| value > 0) {
                text += &format!("    {name} {value}\n");
            }
        }
        text
    }
}

/// What goes onto the wire for it: super-segments are cut.
fn packets(transmit: &Transmit<'_>) -> VecDeque<Vec<u8>> {
    let Some(segments) = Segments::of(transmit) else { return [transmit.to_vec()].into() };
    (0..segments.count()).map(|number| segments.get(number, &mut Vec::new()).to_vec()).collect()
}

/// FNV-1a over a packet, its time and its sender.
fn digest(mut hash: u64, now: Instant, side: Side, bytes: &[u8]) -> u64 {
    let time = now.as_nanos().to_le_bytes();
    for &byte in time.iter().chain(&[side as u8]).chain(bytes) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
