//! One stack, and in place of the other a peer that a test drives by hand, segment by segment: it
//! can say what no well-behaved stack would, and sees exactly what comes back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use tunstack::tcp::{CloseReason, ReadError, State};
use tunstack::time::{Duration, Instant};
use tunstack::wire::{EcnField, Flags, Frame, Options, SackBlocks, SeqNum, SeqRange, Timestamps};
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use super::notation::{Noted, NotedOptions};
use super::packet::{self, Packet};
use super::pattern;
use super::transcript::Transcript;

/// The initial sequence numbers of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Isns {
    pub stack: u32,
    pub peer: u32,
}

/// Runs a scenario several times: with plain initial sequence numbers, with the SYN on the last
/// number of the circle, with a wrap soon after the start, and across the point where signed
/// arithmetic changes its sign.
pub fn with_each_isn(scenario: impl Fn(Isns)) {
    for (stack, peer) in [
        (1_000_000, 2_000_000),
        (u32::MAX, u32::MAX),
        (u32::MAX - 700, u32::MAX - 2_500),
        (0x7fff_ffff - 2_500, 0x7fff_ffff - 700),
    ] {
        let isns = Isns { stack, peer };
        let _context = Context(isns);
        scenario(isns);
    }
}

/// Says with which numbers a scenario failed.
struct Context(Isns);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the scenario failed with {:?}", self.0);
        }
    }
}

/// A segment that came out of the stack, and when.
struct Heard {
    at: Instant,
    packet: Packet,
}

/// The stack under test and the peer that talks to it.
pub struct Peer {
    pub stack: Stack,
    pub now: Instant,
    /// The connection of the test, once there is one.
    pub id: ConnId,
    pub listener: Option<ListenerId>,
    /// The stack's end and the peer's end.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The peer's initial sequence number.
    pub irs: SeqNum,
    /// The stack's initial sequence number, as its SYN had it.
    pub iss: SeqNum,
    /// The window of segments that say none; a field, not scaled.
    pub window: u16,
    /// The peer's TSval is this plus milliseconds; `None` until timestamps are agreed on.
    pub clock: Option<u32>,
    /// The stack's last TSval.
    pub ts_recent: u32,
    /// Bytes of text written to and read from the stack.
    pub written: u64,
    pub read: u64,
    mtu: usize,
    heard: VecDeque<Heard>,
    /// What came out that is not TCP.
    pub others: VecDeque<Vec<u8>>,
    transcript: Transcript,
}

impl Peer {
    /// A stack with default settings.
    pub fn new(isns: Isns) -> Self {
        Self::with(isns, |_| {})
    }

    /// A stack with other settings.
    pub fn with(isns: Isns, change: impl FnOnce(&mut Config)) -> Self {
        Self::build(isns, false, change)
    }

    /// The same over IPv6.
    pub fn over_ipv6(isns: Isns, change: impl FnOnce(&mut Config)) -> Self {
        Self::build(isns, true, change)
    }

    fn build(isns: Isns, ipv6: bool, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::with_addresses([packet::address(1, ipv6)]);
        config.fixed_iss = Some(isns.stack);
        change(&mut config);
        Self {
            mtu: config.mtu,
            stack: Stack::new(config, [7; 32]).expect("the settings make sense"),
            now: Instant::from_millis(5_000_000),
            id: ConnId::default(),
            listener: None,
            local: SocketAddr::new(packet::address(1, ipv6), 80),
            remote: SocketAddr::new(packet::address(2, ipv6), 4_000),
            irs: SeqNum(isns.peer),
            iss: SeqNum(isns.stack),
            window: 65_535,
            clock: None,
            ts_recent: 0,
            written: 0,
            read: 0,
            heard: VecDeque::new(),
            others: VecDeque::new(),
            transcript: Transcript::default(),
        }
    }
}

/// How connections come about.
impl Peer {
    /// The stack listens on port 80.
    pub fn listens(&mut self) {
        let listener = self.stack.listen(self.local).expect("the port is free");
        self.listener = Some(listener);
    }

    /// The stack starts to connect to the peer; the SYN is still to be heard.
    pub fn connects(&mut self) {
        self.remote.set_port(80);
        self.id = self.stack.connect(None, self.remote).expect("a port is free");
        let info = self.stack.info(self.id).expect("the connection is there");
        self.local = info.flow.local_addr();
    }

    /// The application accepts the connection that waits.
    #[track_caller]
    pub fn accepts(&mut self) {
        let listener = self.listener.expect("the stack listens");
        self.id = self.stack.accept(listener).expect("a connection waits");
    }

    /// A connection in ESTABLISHED by passive open, with the options that the peer's SYN offers
    /// (the part between `<` and `>`).
    #[track_caller]
    pub fn established(isns: Isns, options: &str) -> Self {
        Self::established_with(isns, options, |_| {})
    }

    /// The same, with other settings.
    #[track_caller]
    pub fn established_with(isns: Isns, options: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut peer = Self::with(isns, change);
        peer.listens();
        peer.shakes_hands(options);
        peer.accepts();
        peer.events();
        peer
    }

    /// The peer opens a connection to the listening stack.
    #[track_caller]
    pub fn shakes_hands(&mut self, options: &str) {
        self.sends(&format!("S 0:0(0) <{options}>"));
        self.hears("S. 0:0(0) ack 1");
        self.sends(". 1:1(0) ack 1");
    }

    /// The same with these three segments, and the application accepts.
    #[track_caller]
    pub fn opens(&mut self, [syn, syn_ack, ack]: [&str; 3]) {
        self.sends(syn);
        self.hears(syn_ack);
        self.sends(ack);
        self.accepts();
    }

    /// A connection by passive open over a path of this round-trip time, which the handshake has measured.
    #[track_caller]
    pub fn established_over(
        rtt: Duration,
        isns: Isns,
        options: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut peer = Self::with(isns, change);
        peer.listens();
        peer.sends(&format!("S 0:0(0) <{options}>"));
        peer.hears("S. 0:0(0) ack 1");
        peer.passes(rtt);
        peer.sends(". 1:1(0) ack 1");
        peer.accepts();
        peer
    }

    /// A connection in ESTABLISHED by active open; the peer's SYN-ACK has these options.
    #[track_caller]
    pub fn connected(isns: Isns, options: &str) -> Self {
        Self::connected_with(isns, options, |_| {})
    }

    /// The same, with other settings.
    #[track_caller]
    pub fn connected_with(isns: Isns, options: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut peer = Self::with(isns, change);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends(&format!("S. 0:0(0) ack 1 <{options}>"));
        peer.hears(". 1:1(0) ack 1");
        peer.events();
        peer
    }
}

/// What the peer says.
impl Peer {
    /// Sends the segment that `line` notes. Its text is the stream's pattern at that place.
    #[track_caller]
    pub fn sends(&mut self, line: &str) {
        let packet = self.packet(line);
        self.sends_packet(&packet);
    }

    /// Sends several segments that arrive in one batch: what the stack has to say to them comes
    /// after the last one, except what it owes at once.
    #[track_caller]
    pub fn sends_batch(&mut self, lines: &[&str]) {
        self.drain();
        for line in lines {
            let packet = self.packet(line);
            self.transcript.note(format!("{:?} < {packet}", self.now));
            if self.stack.on_packet_stored(self.now, Frame::plain(&packet.encode())) {
                self.drain();
            }
        }
        self.drain();
    }

    /// Sends a segment of the test's own making.
    pub fn sends_packet(&mut self, packet: &Packet) {
        if let (true, Some(stamp)) = (packet.has(Flags::SYN), packet.options.timestamps) {
            // The clock goes on from where the SYN has it.
            self.clock = Some(stamp.value.wrapping_sub(self.now.as_millis() as u32));
        }
        self.transcript.note(format!("{:?} < {packet}", self.now));
        self.sends_bytes(&packet.encode());
    }

    /// Sends a super-segment: what `line` notes is text of several segments of `size` behind one
    /// header.
    #[track_caller]
    pub fn sends_together(&mut self, line: &str, size: u16) {
        self.drain();
        let packet = self.packet(line);
        self.transcript.note(format!("{:?} < {packet} in segments of {size}", self.now));
        let bytes = packet.encode();
        let frame = Frame { segment_size: NonZeroU16::new(size), ..Frame::plain(&bytes) };
        self.stack.on_packet_stored(self.now, frame);
        self.drain();
    }

    /// Sends any bytes at all.
    pub fn sends_bytes(&mut self, bytes: &[u8]) {
        self.drain();
        self.stack.on_packet_stored(self.now, Frame::plain(bytes));
        self.drain();
    }

    /// The segment that `line` notes, to be changed before it is sent.
    #[track_caller]
    pub fn packet(&self, line: &str) -> Packet {
        let noted = Noted::parse(line);
        let text = pattern::bytes(0, text_offset(&noted), noted.len as usize);
        Packet {
            from: self.remote,
            to: self.local,
            seq: self.irs + noted.seq,
            ack: noted.ack.map_or(SeqNum(0), |ack| self.iss + ack),
            flags: noted.flags,
            window: noted.window.unwrap_or(self.window),
            urgent: noted.urgent.unwrap_or(0),
            options: self.options(&noted),
            text,
            traffic_class: noted.ecn.map_or(0, EcnField::bits),
            ttl: 64,
        }
    }

    fn options(&self, noted: &Noted) -> Options {
        let given = noted.options.clone().unwrap_or_default();
        let mut sack = SackBlocks::EMPTY;
        for (start, end) in given.sack {
            let range = SeqRange::new(self.iss + start, end.wrapping_sub(start));
            assert!(sack.push(range), "more SACK blocks than fit");
        }
        let timestamps = match given.timestamps {
            Some(Some((value, echo))) => Some(Timestamps { value, echo }),
            Some(None) => Some(self.own_timestamps()),
            // Once agreed on, they are in every segment unless its options are written out.
            None if noted.options.is_none() && self.clock.is_some() => Some(self.own_timestamps()),
            None => None,
        };
        Options {
            mss: given.mss,
            window_scale: given.window_scale,
            sack_permitted: given.sack_permitted,
            timestamps,
            sack,
            ecn: given.ecn,
        }
    }

    /// What a peer with a clock of milliseconds writes now.
    fn own_timestamps(&self) -> Timestamps {
        let millis = self.now.as_millis() as u32;
        Timestamps { value: self.clock.unwrap_or(0).wrapping_add(millis), echo: self.ts_recent }
    }
}

/// What the peer hears.
impl Peer {
    /// Takes what the stack has to send now.
    pub fn drain(&mut self) {
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            let bytes = transmit.to_vec();
            let Some(packet) = Packet::decode(&bytes) else {
                self.transcript.note(format!("{:?} > not TCP", self.now));
                self.others.push_back(bytes);
                continue;
            };
            packet::check_well_formed(&bytes, self.mtu);
            self.transcript.note(format!("{:?} > {packet}", self.now));
            if packet.has(Flags::SYN) && packet.to == self.remote {
                self.iss = packet.seq;
            }
            if let Some(timestamps) = packet.options.timestamps {
                self.ts_recent = timestamps.value;
                self.clock.get_or_insert(0);
            }
            self.heard.push_back(Heard { at: self.now, packet });
        }
    }

    /// The next segment that has come out.
    #[track_caller]
    pub fn next(&mut self) -> Packet {
        self.drain();
        match self.heard.pop_front() {
            Some(heard) => heard.packet,
            None => panic!("the stack is silent"),
        }
    }

    /// The next segment that has come out is the one that `line` notes. What the line leaves out
    /// (window, urgent pointer, options, PSH) is not looked at.
    #[track_caller]
    pub fn hears(&mut self, line: &str) -> Packet {
        self.drain();
        let Some(Heard { packet, .. }) = self.heard.pop_front() else {
            panic!("expected {line:?}, but the stack is silent");
        };
        self.compare(&packet, line);
        packet
    }

    /// Nothing more has come out.
    #[track_caller]
    pub fn hears_nothing(&mut self) {
        self.drain();
        if let Some(heard) = self.heard.pop_front() {
            panic!("expected silence, but heard {}", self.relative(&heard.packet));
        }
    }

    /// Lets time pass until a segment comes out, which must be within `wait` from now, and is the
    /// one that `line` notes.
    #[track_caller]
    pub fn hears_within(&mut self, wait: RangeInclusive<Duration>, line: &str) -> Packet {
        self.hears_nothing();
        let start = self.now;
        while self.heard.is_empty() && self.now < start + *wait.end() {
            self.passes_to_next(start + *wait.end());
        }
        let Some(Heard { at, packet }) = self.heard.pop_front() else {
            panic!("expected {line:?} within {wait:?}, but the stack is silent");
        };
        self.compare(&packet, line);
        let waited = at.since(start);
        assert!(wait.contains(&waited), "{line:?} came after {waited:?}, not within {wait:?}");
        packet
    }

    /// Forgets what has come out and has not been looked at; answers how many segments that was.
    pub fn ignores_the_rest(&mut self) -> usize {
        self.drain();
        self.heard.drain(..).count()
    }

    /// All segments that have come out and have not been looked at.
    pub fn all(&mut self) -> Vec<Packet> {
        self.drain();
        self.heard.drain(..).map(|heard| heard.packet).collect()
    }

    #[track_caller]
    fn compare(&self, packet: &Packet, line: &str) {
        let noted = Noted::parse(line);
        let seen = self.relative(packet);
        let told = packet.flags - (Flags::PSH - noted.flags);
        let mut agrees = told == noted.flags
            && packet.seq == self.iss + noted.seq
            && packet.text.len() == noted.len as usize;
        if let Some(ecn) = noted.ecn {
            agrees &= packet.ecn() == ecn;
        }
        if let Some(ack) = noted.ack {
            agrees &= packet.ack == self.irs + ack;
        }
        if let Some(window) = noted.window {
            agrees &= packet.window == window;
        }
        if let Some(urgent) = noted.urgent {
            agrees &= packet.urgent == urgent;
        }
        if let Some(options) = &noted.options {
            agrees &= self.options_agree(&packet.options, options);
        }
        assert!(agrees, "expected {line:?}, but heard {seen}");
        // Text of the stack's stream is the pattern that `writes` wrote.
        pattern::check(0, text_offset(&noted), &packet.text);
    }

    fn options_agree(&self, options: &Options, noted: &NotedOptions) -> bool {
        let blocks = options.sack.as_slice().iter();
        let sack: Vec<_> = blocks.map(|block| self.relative_block(block)).collect();
        let timestamps = match (options.timestamps, noted.timestamps) {
            (None, None) | (Some(_), Some(None)) => true,
            (Some(seen), Some(Some(values))) => (seen.value, seen.echo) == values,
            _ => false,
        };
        timestamps
            && options.mss == noted.mss
            && options.window_scale == noted.window_scale
            && options.sack_permitted == noted.sack_permitted
            && sack == noted.sack
            && options.ecn == noted.ecn
    }

    fn relative_block(&self, block: &SeqRange) -> (u32, u32) {
        let from_start = |seq: SeqNum| seq.0.wrapping_sub(self.irs.0);
        (from_start(block.start), from_start(block.end))
    }

    /// A segment of the stack with numbers that count from the initial ones.
    fn relative(&self, packet: &Packet) -> String {
        let mut relative = packet.clone();
        relative.seq = SeqNum(packet.seq.0.wrapping_sub(self.iss.0));
        relative.ack = SeqNum(packet.ack.0.wrapping_sub(self.irs.0));
        relative.to_string()
    }
}

/// Time, and the application above the stack.
impl Peer {
    /// Lets `duration` pass; timers run at the moment they are due.
    pub fn passes(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.drain();
        while self.now < end {
            self.passes_to_next(end);
        }
    }

    /// Goes to the stack's next deadline, but not beyond `end`.
    fn passes_to_next(&mut self, end: Instant) {
        let next = self.stack.poll_timeout().unwrap_or(end);
        self.now = next.clamp(self.now, end);
        self.stack.on_timeout(self.now);
        self.drain();
        let deadline = self.stack.poll_timeout();
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "at {:?} there is a deadline {deadline:?} that is over",
            self.now
        );
    }

    /// The application writes `len` bytes of its stream, all of which must fit.
    #[track_caller]
    pub fn writes(&mut self, len: usize) {
        let text = pattern::bytes(0, self.written, len);
        assert_eq!(self.stack.write(self.id, &text), Ok(len), "all of it fits");
        self.written += len as u64;
        self.drain();
    }

    /// The application reads all there is, which is exactly the next `len` bytes of the peer's
    /// stream.
    #[track_caller]
    pub fn reads(&mut self, len: usize) {
        assert_eq!(self.stack.readable(self.id), len, "bytes to read");
        self.reads_some(len);
    }

    /// The application reads the next `len` bytes of the peer's stream.
    #[track_caller]
    pub fn reads_some(&mut self, len: usize) {
        let mut buffer = vec![0; len];
        let got = self.stack.read(self.id, &mut buffer);
        assert_eq!(got, Ok(len), "bytes read");
        pattern::check(0, self.read, &buffer);
        self.read += len as u64;
        self.drain();
    }

    /// There is nothing to read yet, and the stream goes on.
    #[track_caller]
    pub fn reads_nothing(&mut self) {
        assert_eq!(self.read_one(), Err(ReadError::WouldBlock));
    }

    /// The stream has come to its end.
    #[track_caller]
    pub fn reads_end(&mut self) {
        assert_eq!(self.read_one(), Ok(0), "the end of the stream");
    }

    /// What a read of one byte answers.
    pub fn read_one(&mut self) -> Result<usize, ReadError> {
        self.stack.read(self.id, &mut [0])
    }

    /// The application closes its direction and goes on reading.
    pub fn shuts_down(&mut self) {
        self.stack.shutdown(self.id);
        self.drain();
    }

    /// The application closes the connection for good.
    pub fn closes(&mut self) {
        self.stack.close(self.id);
        self.drain();
    }

    /// The application aborts the connection.
    pub fn aborts(&mut self) {
        self.stack.abort(self.id);
        self.drain();
    }

    /// All events that wait.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stack.poll_event()).collect()
    }

    /// The state of the connection, also of one that the application has given back.
    pub fn state(&self) -> State {
        if let Some(state) = self.stack.state(self.id) {
            return state;
        }
        let ours = |flow: &tunstack::wire::Flow| {
            flow.local_addr() == self.local && flow.remote_addr() == self.remote
        };
        let live = self.stack.connections().find(|info| ours(&info.flow));
        live.map_or(State::Closed, |info| info.state)
    }

    /// Asserts the state, by name.
    #[track_caller]
    pub fn is_in(&self, state: State) {
        assert_eq!(self.state(), state);
    }

    /// Asserts that the connection is over, for this reason, and that the application was told.
    #[track_caller]
    pub fn is_over(&mut self, reason: CloseReason) {
        let closed = Event::Closed(self.id, reason);
        assert!(self.events().contains(&closed), "no event says {reason:?}");
        assert_eq!(self.stack.close_reason(self.id), Some(reason));
    }

    /// The value of the counter called `name`.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let counters = self.stack.counters();
        let found = counters.iter().find(|&(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no counter is called {name}")).1
    }
}

/// Where in its stream the text of a segment lies: a SYN takes the number before the first byte.
fn text_offset(noted: &Noted) -> u64 {
    let before = u32::from(!noted.flags.contains(Flags::SYN));
    u64::from(noted.seq.wrapping_sub(before))
}
