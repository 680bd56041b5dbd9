//! A server, of which memory and time are measured, and the generator of its peers.

use std::net::{IpAddr, Ipv4Addr};

use tunstack::time::{Duration, Instant};
use tunstack::wire::Flags;
use tunstack::{Config, ConnId, ListenerId, Stack};

use crate::allocator::{counted, held};
use crate::generator::{self, Generator};
use crate::measure::processor_time;
use crate::pauses::Pauses;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 7;
/// How far time moves from one packet to the next: not so far that SYN-ACKs were sent again while a
/// million are sent.
const STEP: Duration = Duration::from_nanos(100);
/// What is idle has been so for this long: no timer of a connection that waits for nothing is later.
const IDLE: Duration = Duration::from_secs(30);
/// The text that is echoed.
const TEXT: [u8; 64] = [b'x'; 64];
/// Packets that a client sends at the most.
const PACKETS: usize = 4;

pub(crate) struct World {
    server: Stack,
    listener: ListenerId,
    generator: Generator,
    now: Instant,
    /// How many have come in so far.
    number: usize,
    /// The server's last packet.
    packet: Vec<u8>,
    /// What every `on_packet` takes, and everything from a SYN to `accept`, both ends.
    pub(crate) on_packet: Pauses,
    pub(crate) opening: Pauses,
}

impl World {
    pub(crate) fn new(count: usize) -> Self {
        let mut server = counted(|| {
            let mut config = Config::with_addresses([IpAddr::V4(SERVER)]);
            config.max_half_open = count;
            config.max_time_wait = count;
            Stack::new(config, [1; 32]).expect("the settings make sense")
        });
        let listener = counted(|| server.listen((SERVER, PORT).into()));
        Self {
            server,
            listener: listener.expect("the address is its own"),
            generator: Generator::new(),
            now: Instant::ZERO,
            number: 0,
            packet: Vec::with_capacity(1_500),
            on_packet: Pauses::with_room(PACKETS * count),
            opening: Pauses::with_room(count),
        }
    }

    /// Connections on which nothing was ever said.
    pub(crate) fn idle(&mut self, count: usize) {
        for _ in 0..count {
            self.open();
        }
        self.rest(count);
    }

    /// Connections that have echoed something.
    pub(crate) fn idle_after_an_echo(&mut self, count: usize) {
        for _ in 0..count {
            self.open();
            // The SYN-ACK is still the last that the server has said.
            self.generator.answer(&self.packet, Flags::PSH, &TEXT, self.now);
            self.bring();
            assert!(self.take(), "the echo");
            assert_eq!(generator::read(&self.packet).1.payload, TEXT);
            self.generator.answer(&self.packet, Flags::empty(), &[], self.now);
            self.bring();
            assert!(!self.take(), "there is nothing to be said");
        }
        self.rest(count);
    }

    /// Connections that the server has closed first, one after another.
    pub(crate) fn time_wait(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.open();
            counted(|| self.server.close(id));
            assert!(self.take(), "a FIN");
            self.generator.answer(&self.packet, Flags::FIN, &[], self.now);
            self.bring();
            assert!(self.take(), "an ACK");
        }
        let totals = self.server.totals();
        assert_eq!((totals.time_wait, totals.connections), (count, 0));
    }

    /// Connection requests whose answers are lost.
    pub(crate) fn half_open(&mut self, count: usize) {
        for _ in 0..count {
            let start = processor_time();
            self.request();
            self.opening.note(self.number, processor_time() - start);
            self.number += 1;
        }
        assert_eq!(self.server.totals().half_open, count);
    }

    /// Opens one more connection.
    fn open(&mut self) -> ConnId {
        let start = processor_time();
        self.request();
        self.generator.answer(&self.packet, Flags::empty(), &[], self.now);
        self.bring();
        while counted(|| self.server.poll_event()).is_some() {}
        let id = counted(|| self.server.accept(self.listener)).expect("it has come in");
        self.opening.note(self.number, processor_time() - start);
        self.number += 1;
        id
    }

    fn request(&mut self) {
        self.generator.request(self.number, (SERVER, PORT).into(), self.now);
        self.bring();
        assert!(self.take(), "a SYN-ACK");
    }

    /// Brings the generator's packet to the server, which echoes what there is in it.
    fn bring(&mut self) {
        self.now += STEP;
        let Self { server, generator, now, number, on_packet, .. } = self;
        if server.poll_timeout().is_some_and(|at| at <= *now) {
            counted(|| server.on_timeout(*now));
        }
        let frame = generator.frame();
        let received = on_packet.timed(*number, || counted(|| server.on_packet(*now, frame)));
        if let Some((id, text)) = received.data {
            assert_eq!(counted(|| server.write(id, text)), Ok(text.len()));
        }
    }

    /// Takes a packet from the server, if there is one.
    fn take(&mut self) -> bool {
        self.now += STEP;
        let Self { server, now, packet, .. } = self;
        let Some(transmit) = counted(|| server.poll_transmit(*now)) else {
            return false;
        };
        packet.clear();
        transmit.append_to(packet);
        true
    }

    /// Lets what is still waiting for a timer come to pass.
    fn rest(&mut self, count: usize) {
        self.now += IDLE;
        counted(|| self.server.on_timeout(self.now));
        assert!(!self.take(), "they are idle");
        let totals = self.server.totals();
        assert_eq!((totals.connections, totals.half_open), (count, 0));
    }

    /// What [`Stack::memory`] says.
    pub(crate) fn memory(&self) -> usize {
        self.server.memory()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let empty = Stack::new(Config::with_addresses([IpAddr::V4(SERVER)]), [1; 32]);
        let full = core::mem::replace(&mut self.server, empty.expect("the settings make sense"));
        counted(|| drop(full));
        assert_eq!(held(), (0, 0), "what was counted is all freed");
    }
}
