//! A network in simulated time: any number of flows, each of two stacks, that share a queue in each
//! direction.
//!
//! ```text
//! sender 1 -- access --\                                          /-- extra delay -- receiver 1
//! sender 2 -- access ---> queue -- rate -- wire (delay, faults) --+-- extra delay -- receiver 2
//! ```
//!
//! and the same from the receivers to the senders. Time is virtual and counts in nanoseconds, all
//! chance comes from one seed, and the arithmetic is that of integers: a seed gives the same run,
//! byte for byte, on every machine. The stacks are driven through their public face alone.
//!
//! The parts: [`link`] is one direction, with its [`queue`], [`codel`], [`loss`] and [`rate`];
//! [`flow`] is two stacks and their [`application`]; [`account`] is what can be seen of a flow from
//! outside; [`trace`] is what can be drawn of it; [`packets`] are the packets under way.

pub mod account;
pub mod application;
pub mod codel;
pub mod flow;
pub mod histogram;
pub mod link;
pub mod loss;
pub mod packets;
pub mod queue;
pub mod rate;
pub mod trace;

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use tunstack::time::Duration;

use crate::common::random::Random;

use application::{Application, Text};
use flow::{Common, EPOCH, Flow, FlowPlan, instant};
use link::{Direction, Link};
use packets::{End, PacketId, Packets};

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All chance comes from it.
    pub seed: u64,
    /// From the senders to the receivers, and back.
    pub links: [Link; 2],
    /// What the flows have in common.
    pub common: Common,
    /// The flows.
    pub flows: Vec<FlowPlan>,
}

/// Something that is going to happen.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A flow starts.
    Start(usize),
    /// The application of a flow has more to send.
    Burst(usize),
    /// A packet has crossed the access link of its host.
    Enter(PacketId),
    /// A direction has sent the packet that it was sending.
    Sent(End),
    /// A packet arrives at its host.
    Arrive(PacketId),
    /// A host may have a deadline.
    Wake(usize, End),
}

/// What happens when. `order` keeps what happens at the same time in the order in which it was
/// planned.
#[derive(Clone, Copy, Debug)]
struct Happening {
    at: u64,
    order: u64,
    what: What,
}

/// The greatest is what happens first, as the heap wants it.
impl Ord for Happening {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Happening {}

/// All that is going to happen.
///
/// What arrives is by far the most of it where windows are large, and nearly all of it is planned in
/// the order in which it happens. That stands in a line for each direction, where it costs nothing to
/// keep in order, and only the rest is in the heap.
#[derive(Debug, Default)]
struct Agenda {
    heap: BinaryHeap<Happening>,
    lines: [VecDeque<Happening>; 2],
    planned: u64,
}

impl Agenda {
    fn plan(&mut self, at: u64, what: What) {
        self.heap.push(Happening { at, order: self.planned, what });
        self.planned += 1;
    }

    /// A packet that comes from there arrives.
    fn plan_arrival(&mut self, at: u64, id: PacketId, from: End) {
        let line = &mut self.lines[from.index()];
        if line.back().is_some_and(|last| last.at > at) {
            return self.plan(at, What::Arrive(id));
        }
        line.push_back(Happening { at, order: self.planned, what: What::Arrive(id) });
        self.planned += 1;
    }

    /// What happens next, if that is no later than `end`.
    fn next(&mut self, end: u64) -> Option<Happening> {
        let [there, back] = &self.lines;
        let first = self.heap.peek().max(there.front()).max(back.front())?;
        let (at, order) = (first.at, first.order);
        if at > end {
            return None;
        }
        if self.heap.peek().is_some_and(|first| first.order == order) {
            return self.heap.pop();
        }
        let is_first = |line: &&mut VecDeque<Happening>| {
            line.front().is_some_and(|first| first.order == order)
        };
        self.lines.iter_mut().find(is_first)?.pop_front()
    }
}

/// Wake-ups in a row at the same time after which a run counts as one that hangs.
const PATIENCE: u32 = 10_000;

/// A network at work. All times are nanoseconds since the start.
pub struct Simulation {
    pub now: u64,
    pub packets: Packets,
    /// By [`End::index`] of where they lead away from.
    pub directions: [Direction; 2],
    pub flows: Vec<Flow>,
    /// A running hash of all packets sent, with their times.
    pub digest: u64,
    /// Packets that have arrived, by where they came from.
    pub arrived: [u64; 2],
    /// Packets on access links.
    pub on_access: u64,
    common: Common,
    text: Text,
    agenda: Agenda,
    measured_since: u64,
    wakes: u32,
}

impl Simulation {
    /// A network in which nothing has happened yet.
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let directions = plan.links.map(|link| Direction::new(link, random.fork()));
        let mut agenda = Agenda::default();
        let mut flows = Vec::with_capacity(plan.flows.len());
        for (number, plan_of_flow) in plan.flows.into_iter().enumerate() {
            agenda.plan(plan_of_flow.start.as_nanos() as u64, What::Start(number));
            flows.push(Flow::new(plan_of_flow, number, &plan.common, &mut random));
        }
        Self {
            now: 0,
            packets: Packets::default(),
            directions,
            flows,
            digest: 0xcbf2_9ce4_8422_2325,
            arrived: [0; 2],
            on_access: 0,
            common: plan.common,
            text: Text::new(),
            agenda,
            measured_since: 0,
            wakes: 0,
        }
    }

    /// The direction from the senders to the receivers.
    pub fn forward(&self) -> &Direction {
        &self.directions[End::Sender.index()]
    }

    /// Measures begin now: [`Flow::read_before`] and the times in queues.
    pub fn measure_from_now(&mut self) {
        self.measured_since = self.now;
        for flow in &mut self.flows {
            flow.read_before = flow.read;
        }
        for direction in &mut self.directions {
            direction.delays.clear();
        }
    }

    /// Bytes per second that a flow has carried since measuring began.
    pub fn goodput(&self, flow: usize) -> u64 {
        let flow = &self.flows[flow];
        let bytes = u128::from(flow.read - flow.read_before);
        let nanos = u128::from(self.now - self.measured_since).max(1);
        u64::try_from(bytes * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// Lets everything happen up to this time after the start.
    pub fn run_to(&mut self, end: Duration) {
        let end = end.as_nanos() as u64;
        while let Some(next) = self.agenda.next(end) {
            self.happen(next);
        }
        self.now = end;
    }

    /// Runs until all flows that end have ended. Answers whether they have by this time after the
    /// start.
    pub fn run_to_the_end(&mut self, limit: Duration) -> bool {
        let ends = |flow: &Flow| matches!(flow.plan.application, Application::Bytes(_));
        let limit = limit.as_nanos() as u64;
        while self.flows.iter().any(|flow| ends(flow) && flow.finished_at.is_none()) {
            let Some(next) = self.agenda.next(limit) else { return false };
            self.happen(next);
        }
        true
    }

    fn happen(&mut self, next: Happening) {
        let is_progress = next.at > self.now || !matches!(next.what, What::Wake(..));
        self.wakes = if is_progress { 0 } else { self.wakes + 1 };
        assert!(self.wakes < PATIENCE, "a stack wants to be woken without end at {}", self.now);
        self.now = next.at;
        match next.what {
            What::Start(flow) => self.start(flow),
            What::Burst(flow) => self.burst(flow),
            What::Enter(id) => {
                self.on_access -= 1;
                self.enter(id);
            }
            What::Sent(from) => self.sent(from),
            What::Arrive(id) => self.arrive(id),
            What::Wake(flow, end) => self.wake(flow, end),
        }
    }

    fn start(&mut self, flow: usize) {
        self.flows[flow].start(self.now);
        if matches!(self.flows[flow].plan.application, Application::Bursts(..)) {
            self.burst(flow);
        } else {
            self.serve(flow, End::Sender);
        }
    }

    fn burst(&mut self, flow: usize) {
        if let Application::Bursts(bytes, every) = self.flows[flow].plan.application {
            self.flows[flow].on_burst(bytes);
            self.agenda.plan(self.now + every.as_nanos() as u64, What::Burst(flow));
            // Writes happen at the time that the stack was told last.
            self.flows[flow].on_timeout(self.now, End::Sender);
            self.serve(flow, End::Sender);
        }
    }

    fn enter(&mut self, id: PacketId) {
        let from = self.packets[id].from;
        let direction = &mut self.directions[from.index()];
        if let Some(done) = direction.enter(self.now, id, &mut self.packets) {
            self.agenda.plan(done, What::Sent(from));
        }
        self.bury(from);
    }

    fn sent(&mut self, from: End) {
        let direction = &mut self.directions[from.index()];
        let (sent, next) = direction.sent(self.now, &mut self.packets);
        if let Some(sent) = sent {
            let extra = self.flows[self.packets[sent.id].flow].plan.extra_delay;
            self.agenda.plan_arrival(sent.arrives + extra.as_nanos() as u64, sent.id, from);
        }
        if let Some(done) = next {
            self.agenda.plan(done, What::Sent(from));
        }
        self.bury(from);
    }

    /// Packets that a direction has dropped are noted and removed.
    fn bury(&mut self, from: End) {
        while let Some(id) = self.directions[from.index()].fallen.pop() {
            let packet = &self.packets[id];
            if from == End::Sender {
                self.flows[packet.flow].account.on_lost(self.now, packet);
            }
            self.packets.remove(id);
        }
    }

    fn arrive(&mut self, id: PacketId) {
        let packet = &self.packets[id];
        let (number, to) = (packet.flow, packet.from.other());
        self.arrived[packet.from.index()] += 1;
        let flow = &mut self.flows[number];
        flow.on_packet(self.now, packet, &self.text, self.common.checksums);
        self.packets.remove(id);
        self.serve(number, to);
        if to == End::Sender {
            self.trace_state(number);
        }
    }

    fn wake(&mut self, number: usize, end: End) {
        let host = &mut self.flows[number].hosts[end.index()];
        if host.armed != Some(self.now) {
            // There was an earlier one.
            return;
        }
        host.armed = None;
        self.flows[number].on_timeout(self.now, end);
        self.serve(number, end);
        if end == End::Sender {
            self.trace_state(number);
        }
    }

    fn trace_state(&mut self, number: usize) {
        let queue = self.forward().queued();
        self.flows[number].trace_state(self.now, queue);
    }

    /// Something has happened to a host: its application acts, its packets leave, its next deadline
    /// is noted.
    fn serve(&mut self, number: usize, end: End) {
        self.flows[number].act(self.now, end, &self.text);
        while let Some(id) = self.transmit(number, end) {
            self.digest(id);
            let host = &mut self.flows[number].hosts[end.index()];
            let Some(access) = &mut host.access else {
                self.enter(id);
                continue;
            };
            if host.busy_until < self.now {
                access.rest();
                host.busy_until = self.now;
            }
            host.busy_until += access.nanos(self.packets[id].len());
            self.on_access += 1;
            self.agenda.plan(host.busy_until, What::Enter(id));
        }
        let host = &mut self.flows[number].hosts[end.index()];
        if let Some(deadline) = host.stack.poll_timeout() {
            let at = (deadline.since(EPOCH).as_nanos() as u64).max(self.now);
            if host.armed.is_none_or(|armed| at < armed) {
                host.armed = Some(at);
                self.agenda.plan(at, What::Wake(number, end));
            }
        }
    }

    /// The next packet of a host.
    fn transmit(&mut self, number: usize, end: End) -> Option<PacketId> {
        let flow = &mut self.flows[number];
        let transmit = flow.hosts[end.index()].stack.poll_transmit(instant(self.now))?;
        let id = self.packets.add(&transmit, number, end);
        if end == End::Sender {
            if let Some(capture) = &mut flow.capture {
                capture.on_sent(self.now, &transmit);
            }
            flow.account.on_sent(self.now, &self.packets[id]);
        } else {
            flow.account.on_answer(&self.packets[id]);
        }
        Some(id)
    }

    /// FNV-1a over what tells one packet from another.
    fn digest(&mut self, id: PacketId) {
        let packet = &self.packets[id];
        let (seq, ack) = (u64::from(packet.seq), u64::from(packet.ack));
        let whose = (packet.flow as u64) << 32 | packet.len() << 16;
        let rest = whose | u64::from(packet.flags.bits()) << 1 | packet.from.index() as u64;
        for word in [self.now, seq << 32 | ack, rest] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[test]
fn what_is_planned_for_the_same_time_happens_in_the_order_of_planning() {
    let mut agenda = Agenda::default();
    let mut packets = Packets::default();
    let mut arrivals = Vec::new();
    for number in 0..50 {
        let id = packets.add_blank(40, number, End::Sender);
        arrivals.push(id);
        match number % 3 {
            0 => agenda.plan(7, What::Enter(id)),
            1 => agenda.plan_arrival(7, id, End::Sender),
            _ => agenda.plan_arrival(7, id, End::Receiver),
        }
    }
    // Before those that stand in line already.
    let early = packets.add_blank(40, 50, End::Sender);
    agenda.plan_arrival(3, early, End::Sender);
    let first = agenda.next(6).map(|first| (first.at, first.what));
    assert!(matches!(first, Some((3, What::Arrive(id))) if id == early), "{first:?}");
    assert!(agenda.next(6).is_none());
    for id in arrivals {
        let next = agenda.next(7).expect("they are due");
        let (What::Arrive(found) | What::Enter(found)) = next.what else { panic!("{next:?}") };
        assert_eq!(found, id, "{next:?}");
    }
    assert!(agenda.next(u64::MAX).is_none());
}
