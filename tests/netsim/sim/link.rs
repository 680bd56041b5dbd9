//! One direction of a link: what it is made of, and the link at work.
//!
//! A packet passes the policer, waits in the queue, is sent bit by bit, and is then on the wire,
//! where it may be lost, and from which it arrives after the propagation delay.

use std::ops::Range;

use tunstack::time::Duration;

use crate::common::random::Random;

use super::codel::{Codel, Target};
use super::histogram::Histogram;
use super::loss::{Loss, LossState};
use super::packets::{PacketId, Packets};
use super::queue::Waiting;
use super::rate::{Bucket, Serializer};

/// Parts in a million.
pub type Ppm = u64;

/// What one direction is made of.
#[derive(Clone, Debug)]
pub struct Link {
    /// Bits per second, headers of IP included and nothing below them.
    pub rate: u64,
    /// From the end of sending to the arrival.
    pub delay: Duration,
    /// The most bytes that wait; a packet that does not fit is dropped. What is being sent waits no
    /// more.
    pub queue: u64,
    /// How the queue is managed besides.
    pub codel: Option<Target>,
    /// What may pass before the queue: bits per second, and bytes at once.
    pub policer: Option<(u64, u64)>,
    /// What the wire loses by chance.
    pub loss: Loss,
    /// A share of packets is held up on the wire by up to this time, so that later ones overtake
    /// them.
    pub reordering: Option<(Ppm, Duration)>,
    /// Every packet is held up by a random time up to this; none overtakes another of its flow.
    pub jitter: Duration,
    /// What becomes of bare ACKs.
    pub thinning: Thinning,
    /// Times since the start in which the wire loses everything.
    pub outages: Vec<Range<Duration>>,
    /// Of the segments with text that are sent, those with these numbers are lost on the wire; they
    /// count from one, and what is sent again counts again. In ascending order.
    pub lost_segments: Vec<u64>,
}

/// How a path makes fewer of the ACKs that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinning {
    /// It does not.
    None,
    /// A bare ACK replaces the one of the same flow that waits in the queue.
    Newest,
    /// Each bare ACK is dropped with this chance before the queue.
    Chance(Ppm),
}

impl Link {
    /// A link without faults, whose queue has no bound to speak of.
    pub fn new(rate: u64, delay: Duration) -> Self {
        Self {
            rate,
            delay,
            queue: u64::MAX / 2,
            codel: None,
            policer: None,
            loss: Loss::None,
            reordering: None,
            jitter: Duration::ZERO,
            thinning: Thinning::None,
            outages: Vec::new(),
            lost_segments: Vec::new(),
        }
    }
}

/// What has become of the packets of a direction. Every packet that entered is in exactly one of
/// the others, waits, or is being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came.
    pub entered: u64,
    /// Packets that went through, and arrive after the delay.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Dropped because they had waited for too long.
    pub aqm_dropped: u64,
    /// Dropped by the policer.
    pub policed: u64,
    /// Bare ACKs dropped for others.
    pub thinned: u64,
    /// Lost on the wire.
    pub lost: u64,
    /// The most bytes that have waited.
    pub most_queued: u64,
}

/// A packet that has been sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The packet.
    pub id: PacketId,
    /// When it arrives.
    pub arrives: u64,
}

/// A direction at work. All times are nanoseconds since the start.
#[derive(Debug)]
pub struct Direction {
    link: Link,
    random: Random,
    waiting: Waiting,
    codel: Option<Codel>,
    bucket: Option<Bucket>,
    loss: LossState,
    serializer: Serializer,
    sending: Option<PacketId>,
    /// When the last packet of each flow arrives that has not been held up.
    last_arrivals: Vec<u64>,
    segments: u64,
    /// What has become of the packets.
    pub counts: Counts,
    /// How long packets have waited, of those sent since it was last cleared.
    pub delays: Histogram,
    /// Packets that are gone, for whoever wants to know before they are removed. Those thinned out
    /// are not here: they are still in the line.
    pub fallen: Vec<PacketId>,
}

impl Direction {
    /// A direction in which nothing has happened yet.
    pub fn new(link: Link, random: Random) -> Self {
        Self {
            waiting: Waiting::default(),
            codel: link.codel.map(Codel::new),
            bucket: link.policer.map(|(rate, burst)| Bucket::new(rate, burst)),
            loss: LossState::default(),
            serializer: Serializer::new(link.rate),
            sending: None,
            last_arrivals: Vec::new(),
            segments: 0,
            counts: Counts::default(),
            delays: Histogram::default(),
            fallen: Vec::new(),
            random,
            link,
        }
    }

    /// Packets that were marked instead of dropped.
    pub fn marked(&self) -> u64 {
        self.codel.map_or(0, |codel| codel.marked)
    }

    /// Bytes that wait.
    pub fn queued(&self) -> u64 {
        self.waiting.bytes()
    }

    /// Packets that wait or are being sent.
    pub fn held(&self, packets: &Packets) -> u64 {
        self.waiting.len(packets) as u64 + u64::from(self.sending.is_some())
    }

    /// A packet has come. If the link was idle it is being sent now: answers when that is done.
    pub fn enter(&mut self, now: u64, id: PacketId, packets: &mut Packets) -> Option<u64> {
        self.counts.entered += 1;
        let len = packets[id].len();
        if self.bucket.as_mut().is_some_and(|bucket| !bucket.admits(now, len)) {
            self.counts.policed += 1;
            self.fallen.push(id);
            return None;
        }
        if self.link.thinning != Thinning::None && packets[id].is_bare_ack() {
            match self.link.thinning {
                Thinning::Chance(chance) if self.random.below(1_000_000) < chance => {
                    self.counts.thinned += 1;
                    self.fallen.push(id);
                    return None;
                }
                Thinning::Newest => {
                    let thinned = self.waiting.take_newest_ack(packets[id].flow, packets);
                    self.counts.thinned += u64::from(thinned);
                }
                _ => {}
            }
        }
        packets[id].queued_at = now;
        if self.sending.is_none() {
            // Nothing waits for a link that is idle.
            self.serializer.rest();
            return Some(self.send(now, id, packets));
        }
        if self.waiting.bytes() + len > self.link.queue {
            self.counts.overflowed += 1;
            self.fallen.push(id);
            return None;
        }
        self.waiting.push(id, packets);
        self.counts.most_queued = self.counts.most_queued.max(self.waiting.bytes());
        None
    }

    /// The packet that was being sent is on the wire. Answers it, unless it is lost there, and when
    /// the next one will have been sent.
    pub fn sent(&mut self, now: u64, packets: &mut Packets) -> (Option<Sent>, Option<u64>) {
        let id = self.sending.take().expect("a packet is being sent");
        let sent = if self.is_lost(now, id, packets) {
            self.counts.lost += 1;
            self.fallen.push(id);
            None
        } else {
            self.counts.passed += 1;
            self.counts.passed_bytes += packets[id].len();
            Some(Sent { id, arrives: self.arrival(now, packets[id].flow) })
        };
        let next = match &mut self.codel {
            None => self.waiting.pop(packets),
            Some(codel) => {
                let before = self.fallen.len();
                let next = codel.dequeue(now, &mut self.waiting, packets, &mut self.fallen);
                self.counts.aqm_dropped += (self.fallen.len() - before) as u64;
                next
            }
        };
        (sent, next.map(|id| self.send(now, id, packets)))
    }

    fn send(&mut self, now: u64, id: PacketId, packets: &Packets) -> u64 {
        self.delays.add(now - packets[id].queued_at);
        self.sending = Some(id);
        now + self.serializer.nanos(packets[id].len())
    }

    fn is_lost(&mut self, now: u64, id: PacketId, packets: &Packets) -> bool {
        let at = Duration::from_nanos(now);
        if packets[id].text > 0 && !self.link.lost_segments.is_empty() {
            self.segments += 1;
            if self.link.lost_segments.binary_search(&self.segments).is_ok() {
                return true;
            }
        }
        self.link.outages.iter().any(|outage| outage.contains(&at))
            || self.loss.strikes(&self.link.loss, &mut self.random)
    }

    fn arrival(&mut self, now: u64, flow: usize) -> u64 {
        let mut at = now + self.link.delay.as_nanos() as u64;
        if self.link.jitter.is_zero() && self.link.reordering.is_none() {
            return at;
        }
        if let Some((share, most)) = self.link.reordering
            && self.random.below(1_000_000) < share
        {
            return at + self.random.between(0, most.as_nanos() as u64);
        }
        if self.last_arrivals.len() <= flow {
            self.last_arrivals.resize(flow + 1, 0);
        }
        at += self.random.between(0, self.link.jitter.as_nanos() as u64);
        at = at.max(self.last_arrivals[flow]);
        self.last_arrivals[flow] = at;
        at
    }
}
