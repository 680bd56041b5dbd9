//! The peer of one sequence towards one stack: it turns the steps into segments, by what it has
//! heard, and writes down what comes back.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tunstack::wire::Flags;

use super::case::{Base, Case, Choice, Fault, Open, Place, Shape};
use super::segment::{Field, Heard, Sent};
use super::transcript::{Arrival, Ip, Line, Named, Number, Said, Transcript, Window};
use crate::common::pattern;
use crate::common::random::Random;

/// The port of whoever listens, and that of the other side.
pub(crate) const LISTENING: u16 = 80;
pub(crate) const CONNECTING: u16 = 4_000;

/// The peer's first TSval, and how far its clock moves between steps.
const FIRST_STAMP: u32 = 1_000_000;
const STAMPS_A_STEP: u32 = 10;

/// The stream of the peer, and that of the stack.
pub(crate) const FROM_PEER: u8 = 0;
pub(crate) const FROM_STACK: u8 = 1;

/// What the numbers of a stack that has sent no SYN count from.
const NO_START: u32 = 0x10_0000;

/// Wider than any window that a stack announces.
const MOST_WINDOW: i64 = 70_000;

/// What is this far beyond the peer's next number may lie at the edge of the window.
const FAR: i64 = 400;

pub(crate) struct Peer<'c> {
    case: &'c Case,
    stack: Ipv4Addr,
    own: Ipv4Addr,
    isn: u32,
    /// What the peer sends next, counted from its initial sequence number.
    next: i64,
    /// The stack's initial sequence number.
    iss: Option<u32>,
    /// What the stack's last SYN,ACK acknowledged.
    syn_answered: Option<u32>,
    /// The end of what was heard, and of what was acknowledged, counted from `iss`.
    heard: i64,
    acked: i64,
    /// The end of what the stack has acknowledged, counted from `isn`.
    confirmed: i64,
    /// The end of all text that the stack may have kept, and the place of a FIN.
    text_end: i64,
    fin: Option<i64>,
    /// The right edge of the stack's window.
    edge: Option<u32>,
    /// The sequence numbers that the peer has counted from it.
    edges_used: Vec<u32>,
    /// The stack's window scale, when both sides scale.
    scale: u8,
    /// The peer has sent a SYN that offered to scale, and a stack's has as well.
    offered_scale: bool,
    /// Whether the first SYN at each number offered to.
    syns: HashMap<u32, bool>,
    stacks_scale: Option<u8>,
    /// The stack's last TSval, and that of the last segment that took sequence numbers: the one to
    /// echo. (An echo of a bare ACK does not complete a handshake with Linux.)
    newest: Option<u32>,
    stamp: Option<u32>,
    /// How often text or a SYN or FIN was heard, and when first, by where it starts.
    times_heard: HashMap<u32, (u32, Duration)>,
    pub(crate) transcript: Transcript,
}

impl<'c> Peer<'c> {
    pub(crate) fn new(case: &'c Case, stack: Ipv4Addr, own: Ipv4Addr) -> Self {
        Self {
            case,
            stack,
            own,
            isn: initial_number(case.seed),
            next: 0,
            iss: None,
            syn_answered: None,
            heard: 0,
            acked: 0,
            confirmed: 0,
            text_end: 0,
            fin: None,
            edge: None,
            edges_used: Vec::new(),
            scale: 0,
            offered_scale: false,
            syns: HashMap::new(),
            stacks_scale: None,
            newest: None,
            stamp: None,
            times_heard: HashMap::new(),
            transcript: Transcript::default(),
        }
    }

    /// The peer's end and the stack's.
    fn ports(&self) -> (u16, u16) {
        match self.case.open {
            Open::Passive | Open::Nobody => (CONNECTING, LISTENING),
            Open::Active => (LISTENING, CONNECTING),
        }
    }

    /// The segment of this shape, as it is sent now.
    pub(crate) fn segment(&mut self, shape: &Shape) -> Vec<u8> {
        let seq = self.seq(shape.seq);
        let ack = if shape.flags.contains(Flags::ACK) { self.ack(shape.ack) } else { 0 };
        let start = i64::from(seq.wrapping_sub(self.isn) as i32);
        let offset = (start.max(1) - 1) as u64;
        let ports = self.ports();
        let packet = Sent {
            from: (self.own, ports.0),
            to: (self.stack, ports.1),
            seq,
            ack,
            flags: shape.flags,
            window: shape.window.unwrap_or_else(|| self.open_window(shape.flags)),
            urgent: shape.urgent,
            options: self.options(shape),
            text: pattern::bytes(FROM_PEER, offset, shape.len),
            fault: shape.fault,
        }
        .encode();
        if shape.fault == Fault::None {
            self.on_sent(shape, start);
        }
        packet
    }

    fn seq(&mut self, place: Place) -> u32 {
        let next = self.isn.wrapping_add(self.next as u32);
        let base = match place.base {
            Base::Next => next,
            Base::Start => self.isn,
            Base::Edge => {
                let edge = self.edge.unwrap_or(next.wrapping_add(65_535));
                self.edges_used.push(edge.wrapping_add(place.offset as u32));
                edge
            }
        };
        base.wrapping_add(place.offset as u32)
    }

    fn ack(&self, place: Place) -> u32 {
        let base = match place.base {
            Base::Next => self.heard,
            Base::Start => 0,
            Base::Edge => self.acked,
        };
        self.start().wrapping_add((base + place.offset) as u32)
    }

    fn start(&self) -> u32 {
        self.iss.unwrap_or(NO_START)
    }

    /// 65,535 bytes, or a little less.
    fn open_window(&self, flags: Flags) -> u16 {
        match self.case.offer.window_scale {
            Some(shift) if self.offered_scale && !flags.contains(Flags::SYN) => {
                0xffff >> shift.min(14)
            }
            _ => 0xffff,
        }
    }

    /// Moves on over what the segment takes of the sequence space.
    fn on_sent(&mut self, shape: &Shape, start: i64) {
        let text = if shape.flags.contains(Flags::SYN) {
            // The text of a SYN is sent again behind it.
            0
        } else {
            shape.len as i64
        };
        let end = start
            + text
            + i64::from(shape.flags.contains(Flags::SYN))
            + i64::from(shape.flags.contains(Flags::FIN));
        self.note_contradiction(shape, start, start + text);
        if end > start && !shape.flags.contains(Flags::RST) {
            let step = self.transcript.times.len() - 1;
            self.transcript.arrivals.push(Arrival { step, start, end });
        }
        let in_line = start <= self.next && end - self.next < MOST_WINDOW;
        if shape.flags.contains(Flags::SYN) {
            let usual = !matches!(
                shape.options,
                Choice::None | Choice::Overrun | Choice::ZeroLength | Choice::AfterEnd
            );
            let offers = usual && self.case.offer.window_scale.is_some();
            if self.syns.is_empty() {
                self.offered_scale = offers;
                self.agree_on_scale();
            }
            self.syns.entry(self.isn.wrapping_add(start as u32)).or_insert(offers);
        }
        if in_line && end > self.next && !shape.flags.contains(Flags::RST) {
            self.next = end;
        }
        if shape.flags.contains(Flags::ACK) {
            let ack = i64::from(self.ack(shape.ack).wrapping_sub(self.start()) as i32);
            if ack <= self.heard {
                self.acked = self.acked.max(ack);
            }
            if ack < 1 {
                self.transcript.before_first_byte.push(self.transcript.times.len() - 1);
            }
        }
    }

    fn note_contradiction(&mut self, shape: &Shape, start: i64, text_end: i64) {
        let new = text_end >= self.confirmed && start - self.confirmed < MOST_WINDOW;
        if !new || shape.flags.intersects(Flags::SYN | Flags::RST) {
            return;
        }
        let fin = shape.flags.contains(Flags::FIN).then_some(text_end);
        let beyond_fin = self.fin.is_some_and(|fin| text_end > fin && shape.len > 0);
        let before_text = fin.is_some_and(|fin| fin < self.text_end);
        let other_fin = fin.is_some() && self.fin.is_some() && fin != self.fin;
        if beyond_fin || before_text || other_fin {
            let step = self.transcript.times.len() - 1;
            self.transcript.contradiction.get_or_insert(step);
        }
        self.fin = self.fin.or(fin);
        self.transcript.behind_fin = self.fin.map(|fin| fin + 1);
        if shape.len > 0 {
            self.text_end = self.text_end.max(text_end);
        }
    }

    fn options(&self, shape: &Shape) -> Vec<u8> {
        let mut bytes = match shape.options {
            Choice::None => return Vec::new(),
            Choice::Overrun => return vec![1, 1, 8, 10],
            Choice::ZeroLength => return vec![254, 0, 1, 1],
            Choice::AfterEnd => return vec![1, 0, 8, 10],
            Choice::Unknown => vec![254, 4, 1, 2],
            Choice::StraySack => {
                let start = self.start().wrapping_add(500_000);
                let mut block = vec![1, 1, 5, 10];
                block.extend(start.to_be_bytes());
                block.extend(start.wrapping_add(100).to_be_bytes());
                block
            }
            Choice::Usual | Choice::Old(_) | Choice::EchoNothing => Vec::new(),
        };
        let offer = &self.case.offer;
        let syn = shape.flags.contains(Flags::SYN);
        if syn {
            if let Some(mss) = offer.mss {
                bytes.extend([2, 4]);
                bytes.extend(mss.to_be_bytes());
            }
            if offer.sack {
                bytes.extend([4, 2, 1, 1]);
            }
        }
        if offer.timestamps {
            bytes.extend([1, 1, 8, 10]);
            bytes.extend(self.stamp_now(shape.options).to_be_bytes());
            let echo = match shape.options {
                Choice::EchoNothing => 0,
                _ if !shape.flags.contains(Flags::ACK) => 0,
                _ => self.stamp.unwrap_or(0),
            };
            bytes.extend(echo.to_be_bytes());
        }
        if let (true, Some(shift)) = (syn, offer.window_scale) {
            bytes.extend([1, 3, 3, shift]);
        }
        bytes
    }

    fn stamp_now(&self, choice: Choice) -> u32 {
        let steps = self.transcript.times.len() as u32;
        let now = FIRST_STAMP + STAMPS_A_STEP * steps;
        if let Choice::Old(ticks) = choice { now.wrapping_sub(u32::from(ticks)) } else { now }
    }

    /// A packet of the stack has come, at this time of the sequence.
    pub(crate) fn hear(&mut self, packet: &[u8], at: Duration) {
        let Some(heard) = Heard::decode(packet) else { return };
        let ports = self.ports();
        if heard.from != (self.stack, ports.1) || heard.to != (self.own, ports.0) {
            return;
        }
        if heard.flags.contains(Flags::SYN) {
            // A stack may start two connections at the same number; the SYNs they answer differ.
            let answers = heard.flags.contains(Flags::ACK).then_some(heard.ack);
            let other = self.syn_answered.is_some()
                && answers.is_some_and(|a| self.syn_answered != Some(a));
            let other_scale = self.stacks_scale != scale_of(&heard);
            // A SYN of a connection that has got further is the next one's.
            if self.iss != Some(heard.seq) || other || other_scale || self.heard > 1 {
                self.on_new_start(&heard);
            }
            self.syn_answered = answers.or(self.syn_answered);
            let offered = match self.case.open {
                // A listener's answer scales if the SYN that it has taken offered to.
                Open::Passive | Open::Nobody => answers.map(|_| scale_of(&heard).is_some()),
                Open::Active => {
                    answers.and_then(|ack| self.syns.get(&ack.wrapping_sub(1))).copied()
                }
            };
            if let Some(offered) = offered {
                self.offered_scale = offered;
                self.agree_on_scale();
            }
        }
        if heard.flags.contains(Flags::ACK) {
            let ack = i64::from(heard.ack.wrapping_sub(self.isn) as i32);
            self.confirmed = self.confirmed.max(ack);
        }
        let said = self.said(&heard);
        let takes = heard.text.len() as u32
            + u32::from(heard.flags.contains(Flags::SYN))
            + u32::from(heard.flags.contains(Flags::FIN));
        let (mut repeats, mut since_first) = (0, Duration::ZERO);
        if takes > 0 && self.iss.is_some() {
            let end = heard.seq.wrapping_add(takes).wrapping_sub(self.start()) as i32;
            self.heard = self.heard.max(i64::from(end));
            let (times, first) = self.times_heard.entry(heard.seq).or_insert((0, at));
            repeats = *times;
            since_first = at - *first;
            *times += 1;
        }
        let (step, last) = match self.transcript.times.last() {
            Some(&last) => (self.transcript.times.len() - 1, last),
            None => (0, Duration::ZERO),
        };
        let after = at.saturating_sub(last);
        self.transcript.lines.push(Line { at, step, after, repeats, since_first, said });
    }

    fn on_new_start(&mut self, heard: &Heard) {
        self.iss = Some(heard.seq);
        self.heard = 0;
        self.acked = 0;
        self.edge = None;
        self.stacks_scale = scale_of(heard);
        self.agree_on_scale();
    }

    fn agree_on_scale(&mut self) {
        self.scale = self.stacks_scale.filter(|_| self.offered_scale).unwrap_or(0);
    }

    fn said(&mut self, heard: &Heard) -> Said {
        let flags = heard.flags;
        let start = heard.seq.wrapping_sub(self.start()) as i32;
        let offset = (i64::from(start).max(1) - 1) as u64;
        let of_nobody = heard.seq == 0 && i64::from(start) != self.heard;
        let seq = if flags.contains(Flags::RST) && of_nobody {
            Number::Zero
        } else {
            Number::From(i64::from(start))
        };
        let ack = if !flags.contains(Flags::ACK) && heard.ack == 0 {
            Number::Zero
        } else {
            self.number(heard.ack)
        };
        let (window, edge_moved_left) = self.window(heard);
        let takes = !heard.text.is_empty() || flags.intersects(Flags::SYN | Flags::FIN);
        Said {
            flags,
            seq,
            len: heard.text.len(),
            text_is_right: pattern::bytes(FROM_STACK, offset, heard.text.len()) == heard.text,
            ack,
            window,
            edge_moved_left,
            urgent: heard.urgent,
            options: self.options_of(heard, takes),
            ip: Ip { ttl: heard.ttl, tos: heard.tos, dont_fragment: heard.dont_fragment },
        }
    }

    fn number(&self, number: u32) -> Number {
        let from_start = i64::from(number.wrapping_sub(self.isn) as i32);
        let from_edges =
            self.edges_used.iter().rev().map(|&edge| i64::from(number.wrapping_sub(edge) as i32));
        let near =
            from_edges.filter(|from_edge| from_edge.abs() <= 3_000).min_by_key(|from| from.abs());
        match near {
            Some(from_edge) if (from_start - self.next).abs() > FAR => Number::Edge(from_edge),
            _ => Number::From(from_start),
        }
    }

    fn window(&mut self, heard: &Heard) -> (Window, bool) {
        /// A window of 65,535 rounded down to whole segments of an Ethernet.
        const FULL: u16 = 65_535 - 1_460;
        let (flags, field) = (heard.flags, heard.window);
        if flags.contains(Flags::RST) {
            return (Window::Ignored, false);
        }
        let syn = flags.contains(Flags::SYN);
        if syn {
            self.edge = None;
        }
        let bytes = if syn { u32::from(field) } else { u32::from(field) << self.scale };
        let mut moved_left = false;
        if flags.contains(Flags::ACK) {
            let edge = heard.ack.wrapping_add(bytes);
            let back = self.edge.map_or(0, |old| old.wrapping_sub(edge) as i32);
            moved_left = back >= 1 << self.scale;
            self.edge = Some(edge);
        }
        let window = match field {
            _ if syn && field >= FULL => Window::Full,
            _ if syn => Window::Small(field),
            0 => Window::Closed,
            _ => Window::Open,
        };
        (window, moved_left)
    }

    /// SACK blocks in a reset ask for nothing and are left out.
    fn options_of(&mut self, heard: &Heard, takes_numbers: bool) -> Vec<Named> {
        let mut named: Vec<Named> =
            heard.options.iter().map(|field| self.named(field, takes_numbers)).collect();
        if heard.flags.contains(Flags::RST)
            && let Some(place) = named.iter().position(|option| matches!(option, Named::Sack(_)))
        {
            // With the two NOPs before it.
            named.drain(place.saturating_sub(2)..=place);
        }
        named
    }

    fn named(&mut self, field: &Field, takes_numbers: bool) -> Named {
        match field {
            Field::Timestamps(value, echo) => {
                let grows = self.newest.is_none_or(|old| value.wrapping_sub(old) as i32 >= 0);
                self.newest = Some(*value);
                if takes_numbers {
                    self.stamp = Some(*value);
                }
                let echo = (*echo != 0).then(|| i64::from(echo.wrapping_sub(FIRST_STAMP) as i32));
                Named::Timestamps { grows, echo }
            }
            Field::Sack(blocks) => {
                Named::Sack(blocks.iter().map(|&(a, b)| (self.number(a), self.number(b))).collect())
            }
            plain => Named::Plain(plain.clone()),
        }
    }

    /// The segment that ends whatever is left of the connection, wherever it stands.
    pub(crate) fn last_reset(&self, lines_back: usize) -> Option<Vec<u8>> {
        let line = self.transcript.lines.iter().rev().nth(lines_back)?;
        let Number::From(ack) = line.said.ack else { return None };
        let ports = self.ports();
        let reset = Sent {
            from: (self.own, ports.0),
            to: (self.stack, ports.1),
            seq: self.isn.wrapping_add(ack as u32),
            ack: self.ack(Place { base: Base::Next, offset: 0 }),
            flags: Flags::RST | Flags::ACK,
            window: 0,
            urgent: 0,
            options: Vec::new(),
            text: Vec::new(),
            fault: Fault::None,
        };
        Some(reset.encode())
    }
}

/// The window scale that a SYN offers.
fn scale_of(heard: &Heard) -> Option<u8> {
    heard.options.iter().find_map(|field| match field {
        Field::WindowScale(shift) => Some(*shift),
        _ => None,
    })
}

/// The peer's initial sequence number: often one that wraps, or changes its sign, soon.
fn initial_number(seed: u64) -> u32 {
    let mut random = Random::new(seed ^ 0x5eed);
    near_an_edge(&mut random)
}

/// The stack's, on our side, where it can be chosen.
pub(crate) fn stacks_initial_number(seed: u64) -> u32 {
    let mut random = Random::new(seed ^ 0x57ac);
    near_an_edge(&mut random)
}

fn near_an_edge(random: &mut Random) -> u32 {
    let back = random.below(3_000) as u32;
    match random.below(4) {
        0 => u32::MAX - back,
        1 => 0x7fff_ffff - back,
        _ => random.next() as u32,
    }
}
