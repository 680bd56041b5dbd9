//! The scenarios: links, and flows on them; and the controllers that go through them.

use tunstack::tcp::Ecn;
use tunstack::tcp::congestion::Congestion;
use tunstack::time::Duration;

use crate::common::{ms, secs};
use crate::sim::Plan;
use crate::sim::application::Application;
use crate::sim::codel::Target;
use crate::sim::flow::{Common, FlowPlan};
use crate::sim::link::{Link, Thinning};
use crate::sim::loss::Loss;

/// A controller and what it is called.
pub(crate) type Named = (&'static str, Congestion);

/// The controllers of the table; one more is one line more.
pub(crate) const CONTROLLERS: &[Named] =
    &[("newreno", Congestion::NewReno), ("cubic", Congestion::Cubic), ("bbr", Congestion::Bbr)];

/// The controller of this name.
pub(crate) fn controller(name: &str) -> Named {
    let named = CONTROLLERS.iter().find(|(called, _)| *called == name);
    *named.expect("it is one of them")
}

/// How long the scenarios are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// As long as a run without the optimizer can be, and some on slower links.
    Quick,
    /// As long as it takes to see what becomes of it.
    Full,
}

/// The flows of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flows {
    /// So many, a tenth of a second apart.
    Alike(usize),
    /// One for each of these round-trip times, in milliseconds, of which the first is the
    /// scenario's.
    RoundTrips(&'static [u64]),
    /// So many of each of two controllers.
    Mixed(usize),
    /// One whose application has so many bytes each time this long has passed.
    Bursts(u64, Duration),
}

/// A link, what is wrong with it, and who sends over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Bits per second, of the link that is the bottleneck.
    pub(crate) rate: u64,
    /// The time there and back, nothing waiting.
    pub(crate) rtt: Duration,
    /// Bytes that may wait.
    pub(crate) queue: u64,
    pub(crate) flows: Flows,
    /// When measuring begins and ends.
    pub(crate) times: (Duration, Duration),
    /// What else is different.
    pub(crate) change: fn(&mut Plan),
}

impl Scenario {
    /// Flows in bulk over a link without faults and with a queue of one bandwidth-delay product.
    fn new(name: &'static str, rate: u64, rtt: Duration) -> Self {
        Self {
            name,
            rate,
            rtt,
            queue: bandwidth_delay(rate, rtt),
            flows: Flows::Alike(1),
            times: (secs(1), secs(2)),
            change: |_| {},
        }
    }

    fn queue(self, bytes: u64) -> Self {
        Self { queue: bytes, ..self }
    }

    /// Bandwidth-delay products, in tenths.
    fn tenths(self, tenths: u64) -> Self {
        self.queue(bandwidth_delay(self.rate, self.rtt) * tenths / 10)
    }

    fn flows(self, flows: Flows) -> Self {
        Self { flows, ..self }
    }

    fn times(self, from: Duration, to: Duration) -> Self {
        Self { times: (from, to), ..self }
    }

    /// The same with other times to measure from and to.
    pub(crate) fn longer(self, from: Duration, to: Duration) -> Self {
        self.times(from, to)
    }

    /// The same with something else different.
    pub(crate) fn with(self, change: fn(&mut Plan)) -> Self {
        Self { change, ..self }
    }

    /// With these controllers: the flows of a mixed scenario take turns with both, all others use
    /// the first.
    pub(crate) fn plan(&self, seed: u64, controllers: [Congestion; 2]) -> Plan {
        let link = Link { queue: self.queue, ..Link::new(self.rate, self.rtt / 2) };
        let back = Link::new(self.rate, self.rtt / 2);
        let most = 8 * (bandwidth_delay(self.rate, self.rtt) + self.queue);
        let common = Common {
            // A host's own link is ten times as fast, but for the fastest, which are its own.
            access: (self.rate < 1_000_000_000).then_some(self.rate * 10),
            buffer: most.clamp(4 << 20, 1 << 30) as u32,
            checksums: false,
        };
        let flows = self.flow_plans(controllers);
        let mut plan = Plan { seed, links: [link, back], common, flows };
        (self.change)(&mut plan);
        plan
    }

    fn flow_plans(&self, controllers: [Congestion; 2]) -> Vec<FlowPlan> {
        let flow = FlowPlan::new(controllers[0]);
        let later = |n: u32| FlowPlan { start: ms(100) * n, ..flow.clone() };
        match self.flows {
            Flows::Alike(count) => (0..count as u32).map(later).collect(),
            Flows::RoundTrips(times) => (0..)
                .zip(times)
                .map(|(n, &rtt)| FlowPlan { extra_delay: (ms(rtt) - self.rtt) / 2, ..later(n) })
                .collect(),
            Flows::Mixed(each) => (0..2 * each as u32)
                .map(|n| FlowPlan { congestion: controllers[n as usize % 2], ..later(n) })
                .collect(),
            Flows::Bursts(bytes, every) => {
                vec![FlowPlan { application: Application::Bursts(bytes, every), ..flow }]
            }
        }
    }

    /// How many flows there are.
    pub(crate) fn flow_count(&self) -> usize {
        match self.flows {
            Flows::Alike(count) => count,
            Flows::RoundTrips(times) => times.len(),
            Flows::Mixed(each) => 2 * each,
            Flows::Bursts(..) => 1,
        }
    }

    /// Bytes of text per second that full segments, at a time, would fill the link with: of each
    /// 1,500 bytes of IPv4, TCP and timestamps take 52.
    pub(crate) fn capacity(&self) -> u64 {
        self.rate / 8 * 1_448 / 1_500
    }
}

/// Bytes.
pub(crate) fn bandwidth_delay(rate: u64, rtt: Duration) -> u64 {
    rate / 8 * rtt.as_micros() as u64 / 1_000_000
}

/// Megabits per second.
pub(crate) const fn mbit(rate: u64) -> u64 {
    rate * 1_000_000
}

fn forward(plan: &mut Plan) -> &mut Link {
    &mut plan.links[0]
}

fn backward(plan: &mut Plan) -> &mut Link {
    &mut plan.links[1]
}

/// Losses of one packet in a hundred, in bursts: of 1,010 packets ten come in a bad time, and lose
/// every one.
const BURSTY: Loss = Loss::Bursty { begin: 1_000, end: 100_000, inside: 1_000_000 };

/// All scenarios.
pub(crate) fn scenarios(length: Length) -> Vec<Scenario> {
    let mut all = single(length);
    all.extend(groups(length));
    all
}

/// 100 Mb/s, 40 ms there and back, a queue of one bandwidth-delay product: the scenario that others
/// are compared with. The quick one has a fifth of the rate.
pub(crate) fn wan(length: Length, name: &'static str) -> Scenario {
    match length {
        Length::Quick => Scenario::new(name, mbit(20), ms(40)).times(secs(1), secs(6)),
        Length::Full => Scenario::new(name, mbit(100), ms(40)).times(secs(10), secs(60)),
    }
}

/// The scenarios with one flow.
fn single(length: Length) -> Vec<Scenario> {
    let timed = |scenario: Scenario, quick: (u64, u64), full: (u64, u64)| {
        let (from, to) = if length == Length::Quick { quick } else { full };
        scenario.times(ms(from), ms(to))
    };
    let mut all = paths(length);
    all.extend([
        timed(lan("lan-1g", mbit(1_000)).queue(150_000), (20, 150), (500, 3_000)),
        timed(lan("lan-10g", mbit(10_000)).queue(1_500_000), (5, 25), (100, 600)),
        timed(lan("lan-loss-1%", mbit(1_000)).queue(150_000), (20, 400), (500, 20_000))
            .with(|plan| plan.links.iter_mut().for_each(|link| link.loss = Loss::Random(10_000))),
        timed(lan("lan-loss-5%", mbit(1_000)).queue(150_000), (20, 2_000), (500, 60_000))
            .with(|plan| plan.links.iter_mut().for_each(|link| link.loss = Loss::Random(50_000))),
        timed(
            Scenario::new("dsl-10m", mbit(10), ms(20)).tenths(40),
            (2_000, 15_000),
            (5_000, 120_000),
        ),
        timed(
            Scenario::new("slow-1m", mbit(1), ms(50)).queue(50_000),
            (5_000, 60_000),
            (10_000, 300_000),
        ),
        timed(Scenario::new("satellite", mbit(50), ms(600)), (6_000, 12_000), (20_000, 120_000)),
        timed(
            Scenario::new("satellite-loss", mbit(50), ms(600)),
            (6_000, 15_000),
            (20_000, 300_000),
        )
        .with(|plan| forward(plan).loss = Loss::Random(1_000)),
    ]);
    all
}

/// A link within a room.
fn lan(name: &'static str, rate: u64) -> Scenario {
    Scenario::new(name, rate, Duration::from_micros(100))
}

/// The bottleneck marks packets, and every flow asks for this.
fn mark(plan: &mut Plan, ecn: Ecn) {
    forward(plan).codel = Some(Target { marks: true, ..Target::USUAL });
    plan.flows.iter_mut().for_each(|flow| flow.ecn = ecn);
}

/// The same path with all that can be wrong with it.
fn paths(length: Length) -> Vec<Scenario> {
    let wan = |name| wan(length, name);
    // The fewer losses, the longer until they tell.
    let lossy = |name| {
        let to = if length == Length::Quick { secs(11) } else { secs(120) };
        wan(name).times(wan(name).times.0, to)
    };
    vec![
        wan("wan"),
        wan("wan-shallow").tenths(2),
        wan("wan-deep").tenths(40),
        wan("wan-codel").tenths(40).with(|plan| forward(plan).codel = Some(Target::USUAL)),
        wan("wan-codel-ecn").tenths(40).with(|plan| mark(plan, Ecn::Request)),
        wan("wan-codel-accecn").tenths(40).with(|plan| mark(plan, Ecn::Accurate)),
        lossy("wan-loss-0.1%").with(|plan| forward(plan).loss = Loss::Random(1_000)),
        lossy("wan-loss-1%").with(|plan| forward(plan).loss = Loss::Random(10_000)),
        lossy("wan-loss-bursty").with(|plan| forward(plan).loss = BURSTY),
        wan("wan-reordering").with(|plan| forward(plan).reordering = Some((50_000, ms(10)))),
        wan("wan-jitter").with(|plan| forward(plan).jitter = ms(10)),
        wan("wan-policer").with(|plan| {
            let link = forward(plan);
            link.policer = Some((link.rate / 2, 100_000));
        }),
        wan("wan-acks-lost").with(|plan| backward(plan).loss = Loss::Random(100_000)),
        wan("wan-acks-thinned").with(|plan| {
            let back = backward(plan);
            (back.rate, back.thinning) = (back.rate / 100, Thinning::Newest);
        }),
        wan("wan-acks-half").with(|plan| backward(plan).thinning = Thinning::Chance(500_000)),
        wan("wan-bursts").flows(Flows::Bursts(200_000, ms(200))),
        wan("wan-outage").with(|plan| {
            plan.links.iter_mut().for_each(|link| link.outages.push(secs(2)..secs(3)));
        }),
    ]
}

/// The scenarios with several flows and one queue.
fn groups(length: Length) -> Vec<Scenario> {
    let shared = |name, quick_rate| match length {
        Length::Quick => Scenario::new(name, quick_rate, ms(40)).times(secs(5), secs(15)),
        Length::Full => Scenario::new(name, mbit(100), ms(40)).times(secs(10), secs(70)),
    };
    vec![
        shared("share-2", mbit(10)).flows(Flows::Alike(2)),
        shared("share-8", mbit(10)).flows(Flows::Alike(8)),
        // A share must be some segments for each round trip.
        shared("share-32", mbit(20)).flows(Flows::Alike(32)),
        Scenario { rtt: ms(20), ..shared("share-20ms-80ms", mbit(10)) }
            .flows(Flows::RoundTrips(&[20, 80])),
        shared("beside-1-1", mbit(10)).flows(Flows::Mixed(1)),
        shared("beside-4-4", mbit(10)).flows(Flows::Mixed(4)),
    ]
}

/// 10 Gb/s, 100 ms there and back: a window of 125 MB.
pub(crate) fn long_fat() -> Scenario {
    Scenario::new("long-fat", mbit(10_000), ms(100)).times(secs(5), secs(10))
}
