//! Two smoltcps.
//!
//! It is driven by its finer verbs and not by `Interface::poll`: that would try to send more than
//! there are frames for, build the segment, and throw it away.

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use std::net::Ipv4Addr;

use super::{
    BUFFER, CHUNK, Counts, DELAY, Frames, MTU, PORT, Pair, RECEIVER, SEGMENTS_PER_ACK, SENDER,
};

/// Bytes of the buffers of idle connections, each way.
const IDLE_BUFFER: usize = 2_048;
/// The first local port of the sender.
const FIRST_PORT: u16 = 32_768;

/// One end.
struct End {
    interface: Interface,
    port: Port,
    sockets: SocketSet<'static>,
}

/// A device that is two short queues in memory.
///
/// Boxed, so that what one end has sent reaches the other without a copy.
struct Port {
    incoming: Box<Frames>,
    outgoing: Box<Frames>,
}

struct Incoming<'a>(&'a [u8]);
struct Outgoing<'a>(&'a mut Frames);

pub(crate) struct SmoltcpPair {
    sender: End,
    receiver: End,
    from: SocketHandle,
    to: SocketHandle,
    now: u64,
    chunk: Box<[u8]>,
    counts: Counts,
    checking: bool,
}

impl Device for Port {
    type RxToken<'a> = Incoming<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.incoming.take()?;
        Some((Incoming(frame), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        (!self.outgoing.is_full()).then_some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // Its checksum capabilities by default: all are computed and verified.
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        write(self.0.push(len))
    }
}

impl End {
    fn new(address: Ipv4Addr) -> Self {
        let mut port =
            Port { incoming: Box::new(Frames::new()), outgoing: Box::new(Frames::new()) };
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut port, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let address = IpCidr::new(address.into(), 24);
            addresses.push(address).expect("there is room for one");
        });
        Self { interface, port, sockets: SocketSet::new(Vec::new()) }
    }

    fn add(&mut self, buffer: usize) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; buffer]);
        let mut socket = Socket::new(buffer(), buffer());
        // As tunstack: NewReno, timestamps of a millisecond, SACK (which smoltcp offers by itself).
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_tsval_generator(Some(milliseconds));
        self.sockets.add(socket)
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Takes in so many packets of what has arrived; answers whether there was one.
    fn take_in(&mut self, now: Instant, most: usize) -> bool {
        for _ in 0..most {
            let result = self.interface.poll_ingress_single(now, &mut self.port, &mut self.sockets);
            if result == PollIngressSingleResult::None {
                self.port.incoming.clear();
                return false;
            }
        }
        true
    }

    /// Polls packets until the frames are full or there are none.
    fn fill(&mut self, now: Instant) {
        while !self.port.outgoing.is_full()
            && self.interface.poll_egress(now, &mut self.port, &mut self.sockets)
                != PollResult::None
        {}
    }
}

thread_local! {
    /// The generator of timestamps gets no argument, and there is no other clock here.
    static MILLISECONDS: core::cell::Cell<u32> = const { core::cell::Cell::new(0) };
}

fn milliseconds() -> u32 {
    MILLISECONDS.get()
}

impl SmoltcpPair {
    /// Two stacks with a connection that has carried a few segments, all of them compared byte
    /// for byte, and `idle` other connections with buffers of 2 KiB.
    pub(crate) fn new(idle: usize) -> Self {
        let (mut sender, mut receiver) = (End::new(SENDER), End::new(RECEIVER));
        let (from, to) = (sender.add(BUFFER as usize), receiver.add(BUFFER as usize));
        let mut pair = Self {
            sender,
            receiver,
            from,
            to,
            now: 0,
            chunk: super::chunk(),
            counts: Counts::default(),
            checking: true,
        };
        pair.connect(from, to, FIRST_PORT);
        for n in 0..idle {
            let (from, to) = (pair.sender.add(IDLE_BUFFER), pair.receiver.add(IDLE_BUFFER));
            let port = FIRST_PORT + 1 + u16::try_from(n).expect("there are ports enough");
            pair.connect(from, to, port);
        }
        pair.counts = Counts::default();
        pair.run(1_000);
        pair.checking = false;
        pair
    }

    fn connect(&mut self, from: SocketHandle, to: SocketHandle, port: u16) {
        self.receiver.socket(to).listen(PORT).expect("it is a fresh socket");
        let End { interface, sockets, .. } = &mut self.sender;
        sockets
            .get_mut::<Socket<'_>>(from)
            .connect(interface.context(), (RECEIVER, PORT), port)
            .expect("it is a fresh socket");
        for _ in 0..4 {
            let now = self.advance();
            self.sender.fill(now);
            self.cross();
            self.receiver.take_in(now, usize::MAX);
            self.receiver.fill(now);
            self.cross();
            self.sender.take_in(now, usize::MAX);
        }
        assert_eq!(self.sender.socket(from).state(), State::Established);
        assert_eq!(self.receiver.socket(to).state(), State::Established);
    }

    fn advance(&mut self) -> Instant {
        self.now += DELAY;
        MILLISECONDS.set((self.now / 1_000_000) as u32);
        Instant::from_micros((self.now / 1_000).cast_signed())
    }

    /// What one end has sent is what the other has to take in.
    fn cross(&mut self) {
        let (sender, receiver) = (&mut self.sender.port, &mut self.receiver.port);
        core::mem::swap(&mut sender.outgoing, &mut receiver.incoming);
        core::mem::swap(&mut receiver.outgoing, &mut sender.incoming);
    }

    fn take_data(&mut self) {
        let Self { receiver, to, chunk, counts, checking, .. } = self;
        let socket = receiver.socket(*to);
        while socket.can_recv() {
            // Read in place: the application copies nothing, as that of tunstack.
            let taken = socket.recv(|data| {
                if *checking {
                    assert!(super::is_as_sent(chunk, counts.bytes, data));
                }
                (data.len(), data.len())
            });
            counts.bytes += taken.expect("there is something") as u64;
        }
    }
}

impl Pair for SmoltcpPair {
    fn turn(&mut self) {
        let now = self.advance();
        let from = self.from;
        let socket = self.sender.socket(from);
        if socket.send_capacity() - socket.send_queue() >= CHUNK {
            let taken = socket.send_slice(&self.chunk);
            assert_eq!(taken, Ok(CHUNK));
        }
        self.sender.fill(now);
        self.counts.segments += self.sender.port.outgoing.len() as u64;

        self.cross();
        let now = self.advance();
        while self.receiver.take_in(now, SEGMENTS_PER_ACK) {
            self.take_data();
            self.receiver.fill(now);
        }
        self.take_data();
        self.receiver.fill(now);
        self.counts.acks += self.receiver.port.outgoing.len() as u64;

        self.cross();
        let now = self.advance();
        self.sender.take_in(now, usize::MAX);
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
