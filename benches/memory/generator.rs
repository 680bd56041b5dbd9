//! The other end of any number of connections: it remembers none of them. What it says follows from
//! what the server has just said.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tunstack::time::Instant;
use tunstack::wire::codec::{self, HeaderBuffer, Packet, TcpHeader};
use tunstack::wire::{Flags, Flow, Frame, Options, Segment, SeqNum, Timestamps, WindowScale};

/// Connections from one address: a million come from 20.
const PORTS: usize = 50_000;
const FIRST_PORT: u16 = 10_000;
/// The scale of its windows, which it never fills.
const SCALE: WindowScale = WindowScale::new(7);

pub(crate) struct Generator {
    header: HeaderBuffer,
    /// The packet that it has made last.
    frame: Vec<u8>,
}

impl Generator {
    pub(crate) fn new() -> Self {
        Self { header: HeaderBuffer::new(), frame: Vec::with_capacity(1_500) }
    }

    /// The packet that was made last.
    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame::plain(&self.frame)
    }

    /// Asks `server` for the connection of this number, as Linux would.
    pub(crate) fn request(&mut self, number: usize, server: SocketAddr, now: Instant) {
        let client = SocketAddr::from((address(number / PORTS), FIRST_PORT + port(number)));
        // Any number does for a first one; not the same for all.
        let seq = SeqNum((number as u32).wrapping_mul(0x9e37_79b9));
        let options = Options {
            mss: Some(1_460),
            window_scale: Some(SCALE),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: clock(now), echo: 0 }),
            ..Options::default()
        };
        self.emit(Flow::new(client, server), seq, SeqNum(0), Flags::SYN, options, &[]);
    }

    /// Answers a packet of the server's: acknowledges all that is in it, with `flags` and `text`.
    pub(crate) fn answer(&mut self, packet: &[u8], flags: Flags, text: &[u8], now: Instant) {
        let (flow, segment) = read(packet);
        let timestamps = segment.options.timestamps.expect("they were agreed on");
        let timestamps = Some(Timestamps { value: clock(now), echo: timestamps.value });
        let options = Options { timestamps, ..Options::default() };
        let ack = segment.range().end;
        self.emit(flow, segment.ack, ack, flags | Flags::ACK, options, text);
    }

    fn emit(
        &mut self,
        flow: Flow,
        seq: SeqNum,
        ack: SeqNum,
        flags: Flags,
        options: Options,
        text: &[u8],
    ) {
        let fields = TcpHeader {
            flow,
            seq,
            ack,
            flags,
            window: 502,
            urgent: 0,
            options,
            traffic_class: 0,
            ttl: 64,
            ident: 0,
            dont_fragment: true,
        };
        codec::emit_tcp(&mut self.header, &fields, [text, &[]], false);
        self.frame.clear();
        self.frame.extend_from_slice(self.header.as_slice());
        self.frame.extend_from_slice(text);
    }
}

/// A packet of the server's, as the client sees it.
pub(crate) fn read(packet: &[u8]) -> (Flow, Segment<'_>) {
    match codec::parse(&Frame::plain(packet)) {
        Ok(Packet::Tcp { flow, segment }) => (flow, segment),
        other => panic!("the server sent {other:?}"),
    }
}

fn address(number: usize) -> IpAddr {
    let last = u8::try_from(number + 2).expect("few addresses are needed");
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn port(number: usize) -> u16 {
    (number % PORTS) as u16
}

/// A clock of a millisecond.
fn clock(now: Instant) -> u32 {
    now.as_millis() as u32
}
