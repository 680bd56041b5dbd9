//! One flow: a stack that sends, a stack that receives, and their applications.

use std::net::{IpAddr, SocketAddr};

use tunstack::tcp::congestion::Congestion;
use tunstack::tcp::{CloseReason, Ecn};
use tunstack::time::{Duration, Instant};
use tunstack::wire::{Checksum, Frame, Offload};
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use crate::common::random::Random;

use super::account::Account;
use super::application::{Application, Text};
use super::packets::{End, Packet};
use super::rate::Serializer;
use super::trace::{Capture, What};

/// What a stack's clock shows when the simulation starts.
pub const EPOCH: Instant = Instant::from_millis(5_000_000);

/// The port that receivers listen on.
const PORT: u16 = 9;

/// What a flow is to be.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// The controller of the sender.
    pub congestion: Congestion,
    /// Whether ECN is asked for, and which.
    pub ecn: Ecn,
    /// When the sender connects.
    pub start: Duration,
    /// What packets of this flow take longer than others, each way.
    pub extra_delay: Duration,
    /// What there is to send.
    pub application: Application,
}

impl FlowPlan {
    /// A flow that sends in bulk from the start on.
    pub fn new(congestion: Congestion) -> Self {
        Self {
            congestion,
            ecn: Ecn::Off,
            start: Duration::ZERO,
            extra_delay: Duration::ZERO,
            application: Application::Bulk,
        }
    }
}

/// A stack and its own link to the network.
pub struct Host {
    pub stack: Stack,
    /// The wake-up that is under way, in nanoseconds since the start.
    pub armed: Option<u64>,
    /// The link that leads to the queue, unless it is as fast as one likes.
    pub access: Option<Serializer>,
    /// When the last packet will have left.
    pub busy_until: u64,
}

/// A flow at work.
pub struct Flow {
    pub plan: FlowPlan,
    pub hosts: [Host; 2],
    pub account: Account,
    /// What the sender's side sees goes in here, if that is wanted.
    pub capture: Option<Capture>,
    number: usize,
    listener: ListenerId,
    connection: Option<ConnId>,
    /// Bytes that the sender's application has come up with, and written.
    released: u64,
    written: u64,
    /// Bytes that the receiver's application has read.
    pub read: u64,
    /// What that was when measuring began.
    pub read_before: u64,
    /// When everything had arrived, the end of the stream included.
    pub finished_at: Option<u64>,
    /// How the sender's connection ended.
    pub closed: Option<CloseReason>,
}

/// What all flows of a simulation have in common.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// Bits per second from each host to the queue; `None` is as fast as one likes.
    pub access: Option<u64>,
    /// The most that a buffer may hold; several times what can be under way.
    pub buffer: u32,
    /// Checksums are computed and verified; else each end vouches for them.
    pub checksums: bool,
}

impl Flow {
    /// The flow with this number, of up to 65,536.
    pub fn new(plan: FlowPlan, number: usize, common: &Common, random: &mut Random) -> Self {
        let hosts = End::BOTH.map(|end| {
            let mut config = Config::with_addresses([address(number, end)]);
            config.tcp.max_send_buffer = common.buffer;
            config.tcp.max_recv_buffer = common.buffer;
            config.max_buffer_memory = 4 << 30;
            config.tcp.congestion = plan.congestion;
            config.tcp.ecn = plan.ecn;
            let mut stack = Stack::new(config, random.bytes32()).expect("the settings make sense");
            if !common.checksums {
                stack.set_offload(Offload::Checksums);
            }
            stack.on_timeout(EPOCH);
            let access = common.access.map(Serializer::new);
            Host { stack, armed: None, access, busy_until: 0 }
        });
        let mut flow = Self {
            released: match plan.application {
                Application::Bulk => u64::MAX,
                Application::Bytes(bytes) => bytes,
                Application::Bursts(..) => 0,
            },
            plan,
            hosts,
            account: Account::default(),
            capture: None,
            number,
            listener: ListenerId::default(),
            connection: None,
            written: 0,
            read: 0,
            read_before: 0,
            finished_at: None,
            closed: None,
        };
        let here = SocketAddr::new(address(number, End::Receiver), PORT);
        let receiver = &mut flow.hosts[End::Receiver.index()].stack;
        flow.listener = receiver.listen(here).expect("the address is its own");
        flow
    }

    /// The sender connects.
    pub fn start(&mut self, now: u64) {
        let remote = SocketAddr::new(address(self.number, End::Receiver), PORT);
        let sender = &mut self.hosts[End::Sender.index()].stack;
        sender.on_timeout(instant(now));
        self.connection = Some(sender.connect(None, remote).expect("a port is free"));
    }

    /// The sender's application has more to send.
    pub fn on_burst(&mut self, bytes: u64) {
        self.released += bytes;
    }

    /// A packet has arrived.
    pub fn on_packet(&mut self, now: u64, packet: &Packet, text: &Text, checksums: bool) {
        let to = packet.from.other();
        if to == End::Sender {
            self.account.on_heard(now, packet);
            if let Some(capture) = &mut self.capture {
                capture.on_arrived(now, &packet.bytes);
            }
        }
        let checksum = if checksums { Checksum::Full } else { Checksum::Vouched };
        let frame = Frame { checksum, ..Frame::plain(&packet.bytes) };
        let received = self.hosts[to.index()].stack.on_packet(instant(now), frame);
        if let Some((_, arrived)) = received.data {
            text.check(self.number, self.read, arrived);
            self.read += arrived.len() as u64;
        }
    }

    /// A deadline of a host may have passed.
    pub fn on_timeout(&mut self, now: u64, end: End) {
        let stack = &mut self.hosts[end.index()].stack;
        let before = stack.counters().retransmission_timeouts;
        stack.on_timeout(instant(now));
        let count = stack.counters().retransmission_timeouts - before;
        if end == End::Sender && count > 0 {
            self.account.on_timeouts(count);
        }
    }

    /// The applications do what they can.
    pub fn act(&mut self, now: u64, end: End, text: &Text) {
        match end {
            End::Sender => self.send(text),
            End::Receiver => self.receive(now, text),
        }
    }

    fn send(&mut self, text: &Text) {
        let stack = &mut self.hosts[End::Sender.index()].stack;
        while let Some(event) = stack.poll_event() {
            if let Event::Closed(_, reason) = event {
                self.closed = Some(reason);
            }
        }
        let Some(id) = self.connection else { return };
        let before = self.written;
        while self.written < self.released {
            let most = usize::try_from(self.released - self.written).unwrap_or(usize::MAX);
            let chunk = text.from(self.number, self.written, most);
            // A connection that is over takes nothing, and `closed` tells why.
            let taken = stack.write(id, chunk).unwrap_or(0);
            self.written += taken as u64;
            if taken < chunk.len() {
                break;
            }
        }
        if let Application::Bytes(bytes) = self.plan.application
            && before < bytes
            && self.written == bytes
        {
            stack.shutdown(id);
        }
    }

    fn receive(&mut self, now: u64, text: &Text) {
        let stack = &mut self.hosts[End::Receiver.index()].stack;
        while let Some(event) = stack.poll_event() {
            match event {
                Event::Incoming(_) => while stack.accept(self.listener).is_some() {},
                Event::Readable(id) => {
                    let mut buffer = [0; 16_384];
                    while let Ok(len @ 1..) = stack.read(id, &mut buffer) {
                        text.check(self.number, self.read, &buffer[..len]);
                        self.read += len as u64;
                    }
                }
                Event::PeerClosed(id) => {
                    self.finished_at = Some(now);
                    stack.shutdown(id);
                }
                _ => {}
            }
        }
    }

    /// Where the sender stands, for the trace.
    pub fn trace_state(&mut self, now: u64, queue: u64) {
        if self.account.trace.is_none() {
            return;
        }
        let stack = &self.hosts[End::Sender.index()].stack;
        if let Some(info) = self.connection.and_then(|id| stack.info(id)) {
            let (cwnd, ssthresh, srtt) = (info.cwnd, info.ssthresh, info.rtt);
            let pacing = info.pacing_rate;
            self.account.trace(now, What::State { cwnd, ssthresh, srtt, queue, pacing });
        }
    }
}

/// What a stack's clock shows so many nanoseconds after the start.
pub fn instant(now: u64) -> Instant {
    EPOCH + Duration::from_nanos(now)
}

fn address(flow: usize, end: End) -> IpAddr {
    let [high, low] = u16::try_from(flow).expect("there are few flows").to_be_bytes();
    IpAddr::from([10 + end.index() as u8, high, low, 1])
}
