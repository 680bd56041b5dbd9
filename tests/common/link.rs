//! One direction of a wire with faults: delay, rate and queue, loss, reordering, duplication and
//! corruption. What it does follows from its seed.

use std::ops::Range;

use tunstack::time::{Duration, Instant};
use tunstack::wire::Flags;

use super::packet::Packet;
use super::random::Random;
use super::raw;

/// How a direction of the wire treats packets. Chances are in thousandths.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The time a packet is under way.
    pub delay: Duration,
    /// Chance that a packet is lost.
    pub loss: u64,
    /// Chance that a packet arrives twice.
    pub duplicate: u64,
    /// Chance that one bit of a packet is flipped.
    pub corrupt: u64,
    /// Chance that a packet whose transport understands ECN is marked as having met congestion.
    pub mark: u64,
    /// Chance that a packet is held back, so that later ones overtake it.
    pub reorder: u64,
    /// The longest that it is held back; `None`: three times the delay, and 20 ms.
    pub held_back: Option<Duration>,
    /// Bytes per second; `None` is as fast as one likes.
    pub rate: Option<u64>,
    /// The most bytes that wait for a wire that is busy; what does not fit is lost.
    pub queue: u64,
    /// The longest packet that passes; who sends a longer one is told so by ICMP.
    pub mtu: usize,
    /// A time in which nothing passes.
    pub outage: Range<Instant>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            loss: 0,
            duplicate: 0,
            corrupt: 0,
            mark: 0,
            reorder: 0,
            held_back: None,
            rate: None,
            queue: 1 << 20,
            mtu: 65_535,
            outage: Instant::ZERO..Instant::ZERO,
        }
    }
}

/// A question asked of every packet: is it to be lost?
type DropRule = Box<dyn FnMut(&Packet) -> bool>;

/// One direction of the wire.
pub struct Link {
    pub faults: Faults,
    random: Random,
    drop_rule: Option<DropRule>,
    /// When the last byte accepted so far will have left.
    busy_until: Instant,
    /// Packets that did not arrive, or not as they were.
    pub lost: u64,
    /// Packets that were marked instead.
    pub marked: u64,
}

impl Link {
    /// A direction that throws its dice from `random`.
    pub fn new(faults: Faults, random: Random) -> Self {
        Self { faults, random, drop_rule: None, busy_until: Instant::ZERO, lost: 0, marked: 0 }
    }

    /// Loses the packets for which `rule` answers true.
    pub fn drop_if(&mut self, rule: impl FnMut(&Packet) -> bool + 'static) {
        self.drop_rule = Some(Box::new(rule));
    }

    /// Loses the segments with text whose numbers are in `which`, counted from one as they are
    /// sent; retransmissions count too.
    pub fn drop_data(&mut self, which: &[usize]) {
        let which = which.to_vec();
        let mut number = 0;
        self.drop_if(move |packet| {
            number += usize::from(!packet.text.is_empty());
            !packet.text.is_empty() && which.contains(&number)
        });
    }

    /// Loses the first `count` packets that carry all of `flags`.
    pub fn drop_first(&mut self, count: usize, flags: Flags) {
        let mut left = count;
        self.drop_if(move |packet| {
            let hit = left > 0 && packet.has(flags);
            left -= usize::from(hit);
            hit
        });
    }

    /// Loses everything from now on.
    pub fn cut(&mut self) {
        self.drop_if(|_| true);
    }

    /// Ends all faults; delay, rate and MTU stay.
    pub fn heal(&mut self) {
        self.drop_rule = None;
        self.faults = Faults {
            delay: self.faults.delay,
            rate: self.faults.rate,
            mtu: self.faults.mtu,
            ..Faults::default()
        };
    }

    /// The message that a router at the near end of this wire returns if `packet` is too long to
    /// pass: "fragmentation needed" (RFC 1191 section 4), "packet too big" (RFC 4443 section 3.2).
    pub fn refusal(&self, packet: &[u8]) -> Option<Vec<u8>> {
        (packet.len() > self.faults.mtu).then(|| raw::too_big(packet, self.faults.mtu))
    }

    /// Takes a packet and answers when it arrives, and as what: not at all, once or twice.
    pub fn carry(&mut self, now: Instant, mut bytes: Vec<u8>) -> Vec<(Instant, Vec<u8>)> {
        let Some(sent) = self.serialize(now, bytes.len() as u64) else {
            self.lost += 1;
            return Vec::new();
        };
        let ruled_out = match (&mut self.drop_rule, Packet::decode(&bytes)) {
            (Some(rule), Some(packet)) => rule(&packet),
            _ => false,
        };
        let out = self.faults.outage.contains(&now);
        if ruled_out || out || self.random.chance(self.faults.loss) {
            self.lost += 1;
            return Vec::new();
        }
        if self.faults.mark > 0 && self.random.chance(self.faults.mark) && raw::mark(&mut bytes) {
            self.marked += 1;
        }
        let mut arrivals = Vec::new();
        if self.random.chance(self.faults.duplicate) {
            arrivals.push((self.arrival(sent), bytes.clone()));
        }
        let at = self.arrival(sent);
        arrivals.push((at, self.corrupted(bytes)));
        arrivals
    }

    /// When the last byte has left, or `None` when the queue is full.
    fn serialize(&mut self, now: Instant, len: u64) -> Option<Instant> {
        let Some(rate) = self.faults.rate else {
            return Some(now);
        };
        let start = self.busy_until.max(now);
        let waiting = start.since(now).as_nanos() as u64 * rate / 1_000_000_000;
        if waiting + len > self.faults.queue {
            return None;
        }
        self.busy_until = start + Duration::from_nanos(len * 1_000_000_000 / rate);
        Some(self.busy_until)
    }

    fn arrival(&mut self, sent: Instant) -> Instant {
        let delay = self.faults.delay;
        let mut at = sent + delay;
        if self.random.chance(self.faults.reorder) {
            let most = self.faults.held_back.unwrap_or(3 * delay + Duration::from_millis(20));
            at += Duration::from_micros(self.random.between(1_000, most.as_micros() as u64));
        }
        at
    }

    /// One flipped bit is what the Internet checksum always finds.
    fn corrupted(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.random.chance(self.faults.corrupt) {
            let bit = self.random.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            self.lost += 1;
        }
        bytes
    }
}
