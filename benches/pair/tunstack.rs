//! Two tunstacks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tunstack::time::Instant;
use tunstack::wire::Frame;
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use super::{BUFFER, CHUNK, Counts, DELAY, Frames, MTU, PORT, Pair, RECEIVER, SENDER};

pub(crate) struct TunstackPair {
    sender: Stack,
    receiver: Stack,
    connection: ConnId,
    listener: ListenerId,
    now: u64,
    there: Frames,
    back: Frames,
    chunk: Box<[u8]>,
    counts: Counts,
    /// Compare what arrives with what was sent.
    checking: bool,
}

impl TunstackPair {
    /// Two stacks with a connection that has carried a few segments, all of them compared byte
    /// for byte, and `idle` other connections.
    pub(crate) fn new(idle: usize) -> Self {
        let mut sender = stack(SENDER);
        let mut receiver = stack(RECEIVER);
        let remote = SocketAddr::from((RECEIVER, PORT));
        let listener = receiver.listen(remote).expect("the address is its own");
        let connection = sender.connect(None, remote).expect("a port is free");
        let mut pair = Self {
            sender,
            receiver,
            connection,
            listener,
            now: 0,
            there: Frames::new(),
            back: Frames::new(),
            chunk: super::chunk(),
            counts: Counts::default(),
            checking: true,
        };
        pair.settle();
        for _ in 0..idle {
            pair.sender.connect(None, remote).expect("a port is free");
            pair.settle();
        }
        let totals = (pair.sender.totals(), pair.receiver.totals());
        assert_eq!(totals.0.connections, idle + 1);
        assert_eq!(totals.1.connections, idle + 1);
        assert_eq!(totals.1.half_open, 0);
        pair.counts = Counts::default();
        pair.run(1_000);
        pair.checking = false;
        pair
    }

    /// Lets packets go to and fro until there are none, and accepts what comes.
    fn settle(&mut self) {
        loop {
            self.now += DELAY;
            let now = Instant::from_nanos(self.now);
            fill(&mut self.sender, now, &mut self.there);
            while let Some(frame) = self.there.take() {
                self.receiver.on_packet_stored(now, Frame::plain(frame));
            }
            while self.receiver.accept(self.listener).is_some() {}
            fill(&mut self.receiver, now, &mut self.back);
            while let Some(frame) = self.back.take() {
                self.sender.on_packet_stored(now, Frame::plain(frame));
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
        fill(&mut self.sender, now, &mut self.there);
        self.counts.segments += self.there.len() as u64;
    }

    fn receive(&mut self) {
        self.now += DELAY;
        let now = Instant::from_nanos(self.now);
        on_timers(&mut self.receiver, now);
        while let Some(frame) = self.there.take() {
            let received = self.receiver.on_packet(now, Frame::plain(frame));
            let (_, data) = received.data.expect("it is in order and nothing waits");
            if self.checking {
                assert!(super::is_as_sent(&self.chunk, self.counts.bytes, data));
            }
            self.counts.bytes += data.len() as u64;
        }
        self.there.clear();
        drain_events(&mut self.receiver);
        fill(&mut self.receiver, now, &mut self.back);
        self.counts.acks += self.back.len() as u64;
    }

    fn acknowledge(&mut self) {
        self.now += DELAY;
        let now = Instant::from_nanos(self.now);
        while let Some(frame) = self.back.take() {
            self.sender.on_packet(now, Frame::plain(frame));
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

fn stack(address: Ipv4Addr) -> Stack {
    let mut config = Config::with_addresses([IpAddr::V4(address)]);
    config.mtu = MTU;
    config.tcp.max_send_buffer = BUFFER;
    config.tcp.max_recv_buffer = BUFFER;
    Stack::new(config, [7; 32]).expect("the settings make sense")
}

/// Polls packets until the frames are full or there are none.
fn fill(stack: &mut Stack, now: Instant, frames: &mut Frames) {
    while !frames.is_full()
        && let Some(packet) = stack.poll_transmit(now)
    {
        let frame = frames.push(packet.len());
        let [first, second] = packet.payload;
        let (header, rest) = frame.split_at_mut(packet.header.len());
        let (before, after) = rest.split_at_mut(first.len());
        header.copy_from_slice(packet.header);
        before.copy_from_slice(first);
        after.copy_from_slice(second);
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
