//! Where sequences come from: a grammar that knows the way to each state, and what is worth trying
//! in it. It prefers what is nearly right: rubbish is thrown away by any stack at the first look.

use std::time::Duration;

use tunstack::wire::Flags;

use super::case::{
    Action, Base, Call, Case, Choice, Fault, Offer, Open, Pause, Place, Shape, Step,
};
use crate::common::random::Random;

const ACK: Flags = Flags::ACK;
const SYN: Flags = Flags::SYN;
const FIN: Flags = Flags::FIN;
const RST: Flags = Flags::RST;

/// The case of this seed.
pub(crate) fn case(seed: u64) -> Case {
    let mut grammar = Grammar { random: Random::new(seed), steps: Vec::new() };
    let open = grammar.weighted(&[(70, Open::Passive), (26, Open::Active), (4, Open::Nobody)]);
    let offer = grammar.offer();
    match open {
        Open::Passive => grammar.passive_open(),
        Open::Active => grammar.active_open(),
        Open::Nobody => grammar.strangers(),
    }
    if open != Open::Nobody {
        grammar.conversation();
    }
    let tail = grammar.weighted(&[(50, 300), (30, 1_500), (20, 3_600)]);
    Case { seed, open, offer, steps: grammar.steps, tail: Duration::from_millis(tail) }
}

struct Grammar {
    random: Random,
    steps: Vec<Step>,
}

impl Grammar {
    fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut throw = self.random.below(total);
        for &(weight, choice) in choices {
            if throw < weight {
                return choice;
            }
            throw -= weight;
        }
        unreachable!("the weights add up to the total")
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.random.below(100) < chance
    }

    fn offer(&mut self) -> Offer {
        if self.percent(30) {
            return Offer::PLAIN;
        }
        let mss = self.weighted(&[
            (50, Some(1460)),
            (20, Some(1000)),
            (10, Some(536)),
            (5, Some(100)),
            (5, Some(1)),
            (5, Some(9000)),
            (5, None),
        ]);
        let window_scale = self.weighted(&[
            (40, None),
            (20, Some(0)),
            (25, Some(7)),
            (10, Some(14)),
            (5, Some(20)),
        ]);
        Offer { mss, window_scale, sack: self.percent(50), timestamps: self.percent(50) }
    }

    fn push(&mut self, pause: Pause, action: Action) {
        self.steps.push(Step { pause, action });
    }

    fn segment(&mut self, pause: Pause, shape: Shape) {
        self.push(pause, Action::Segment(shape));
    }

    fn call(&mut self, pause: Pause, call: Call) {
        self.push(pause, Action::App(call));
    }

    fn pause(&mut self) -> Pause {
        self.weighted(&[
            (10, Pause::None),
            (25, Pause::Short),
            (58, Pause::Quiet),
            (7, Pause::Long),
        ])
    }

    // --- Opening ---

    fn passive_open(&mut self) {
        if self.percent(15) {
            let shape = self.anything();
            self.segment(Pause::Short, shape);
        }
        let mut syn = Shape { flags: SYN, ..Shape::ack() };
        if self.percent(15) {
            self.spoil_syn(&mut syn);
        }
        self.segment(Pause::Short, syn);
        while self.percent(20) {
            self.while_half_open();
        }
        let mut ack = Shape::ack();
        match self.random.below(20) {
            0 => ack.len = self.len(),
            1 => ack.flags |= FIN,
            2 => ack.window = Some(0),
            3 => self.spoil(&mut ack),
            _ => {}
        }
        self.segment(Pause::Short, ack);
        if self.percent(90) {
            self.call(Pause::Short, Call::Accept);
        }
    }

    fn active_open(&mut self) {
        while self.percent(20) {
            let pause = self.pause();
            let shape = self.anything();
            self.segment(pause, shape);
        }
        if self.percent(20) {
            // Simultaneous open.
            self.segment(Pause::Short, Shape { flags: SYN, ..Shape::ack() });
            while self.percent(20) {
                self.while_half_open();
            }
            let crossed = Shape {
                flags: SYN | ACK,
                seq: Place { base: Base::Start, offset: 0 },
                ..Shape::ack()
            };
            let shape = if self.percent(50) { crossed } else { Shape::ack() };
            self.segment(Pause::Short, shape);
            return;
        }
        let mut syn_ack = Shape { flags: SYN | ACK, ..Shape::ack() };
        if self.percent(15) {
            self.spoil_syn(&mut syn_ack);
        }
        self.segment(Pause::Short, syn_ack);
    }

    fn spoil_syn(&mut self, syn: &mut Shape) {
        match self.random.below(8) {
            0 => syn.len = self.len(),
            1 => syn.flags |= FIN,
            2 => syn.flags |= Flags::PSH | Flags::URG,
            3 => syn.flags |= Flags::ECE | Flags::CWR,
            4 => syn.window = Some(0),
            5 => syn.options = self.options(),
            6 => syn.fault = self.fault(),
            _ => self.spoil(syn),
        }
    }

    /// Something while the handshake is not over.
    fn while_half_open(&mut self) {
        let pause = self.pause();
        let start = Place { base: Base::Start, offset: 0 };
        let shape = match self.random.below(7) {
            0 => Shape { flags: SYN, seq: start, ..Shape::ack() },
            1 => Shape { flags: SYN, ..Shape::ack() },
            2 => Shape { flags: SYN | ACK, seq: start, ..Shape::ack() },
            3 => Shape { flags: RST, seq: self.near_next(), ..Shape::ack() },
            4 => Shape { ack: Place { base: Base::Next, offset: 1 }, ..Shape::ack() },
            _ => self.anything(),
        };
        self.segment(pause, shape);
    }

    fn strangers(&mut self) {
        for _ in 0..self.random.between(1, 5) {
            let pause = self.pause();
            let shape = self.anything();
            self.segment(pause, shape);
        }
    }

    // --- Talking ---

    fn conversation(&mut self) {
        let most = self.weighted(&[(30, 3), (40, 8), (30, 16)]);
        let topic = self.random.below(10);
        for _ in 0..self.random.between(0, most) {
            match topic {
                0..3 => self.peer_talks(),
                3..5 => self.we_talk(),
                5..7 => self.somebody_closes(),
                _ => {}
            }
            self.anybody();
        }
    }

    fn anybody(&mut self) {
        match self.random.below(100) {
            0..25 => self.peer_talks(),
            25..40 => self.we_talk(),
            40..55 => self.somebody_closes(),
            55..65 => {
                let pause = self.pause();
                let len = self.weighted(&[(60, 100_000), (20, 100), (20, 1)]);
                self.call(pause, Call::Read(len));
            }
            _ => {
                let pause = self.pause();
                let shape = self.anything();
                self.segment(pause, shape);
            }
        }
    }

    /// Text from the peer: in order, or with a hole that is filled afterwards, or not.
    fn peer_talks(&mut self) {
        let pause = self.pause();
        let len = self.len().max(1);
        let text = Shape { flags: ACK | Flags::PSH, len, ..Shape::ack() };
        match self.random.below(10) {
            0..4 => self.segment(pause, text),
            4..7 => {
                let gap = self.weighted(&[(30, 1), (40, 100), (20, 1_000), (10, 10_000)]);
                let mut beyond = text.clone();
                beyond.seq.offset = gap;
                if self.percent(15) {
                    beyond.flags |= FIN;
                }
                self.segment(pause, beyond);
                for _ in 0..self.random.below(3) {
                    let pause = self.pause();
                    let mut more = text.clone();
                    more.seq.offset = self.random.between(1, 3_000) as i64;
                    more.len = self.len().max(1);
                    self.segment(pause, more);
                }
                if self.percent(70) {
                    let pause = self.pause();
                    self.segment(pause, Shape { len: gap as usize % 1_461, ..text });
                }
            }
            7 => {
                let mut again = text;
                again.seq.offset = -(self.random.below(2_000) as i64);
                self.segment(pause, again);
            }
            _ => {
                for _ in 0..self.random.between(2, 6) {
                    self.segment(Pause::None, text.clone());
                }
            }
        }
    }

    /// Text from our side, and what the peer says to it.
    fn we_talk(&mut self) {
        let pause = self.pause();
        let len = self.weighted(&[
            (20, 1),
            (30, 100),
            (20, 1_460),
            (15, 3_000),
            (10, 10_000),
            (5, 40_000),
        ]);
        self.call(pause, Call::Write(len));
        for _ in 0..self.random.below(4) {
            let pause = self.pause();
            let mut ack = Shape::ack();
            match self.random.below(10) {
                0..5 => {}
                5 => ack.ack.base = Base::Edge,
                6 => ack.ack.offset = -(self.random.between(1, 3_000) as i64),
                7 => ack.window = Some(self.random.below(3_000) as u16),
                8 => ack.window = Some(0),
                _ => ack.len = self.len(),
            }
            self.segment(pause, ack);
        }
    }

    fn somebody_closes(&mut self) {
        let pause = self.pause();
        match self.random.below(12) {
            0..5 => {
                let mut fin = Shape { flags: FIN | ACK, len: self.len(), ..Shape::ack() };
                if self.percent(20) {
                    fin.ack.base = Base::Edge;
                }
                self.segment(pause, fin);
            }
            5..8 => self.call(pause, Call::Shutdown),
            8..10 => self.call(pause, Call::Close),
            10 => self.call(pause, Call::Abort),
            _ => {
                let call = if self.percent(80) { Call::Accept } else { Call::Unlisten };
                self.call(pause, call);
            }
        }
        if self.percent(50) {
            let pause = self.pause();
            self.segment(pause, Shape::ack());
        }
    }

    // --- Any segment ---

    fn anything(&mut self) -> Shape {
        let flags = self.flags();
        let mut shape = Shape { flags, ..Shape::ack() };
        if self.percent(50) {
            shape.seq = self.near_next();
        }
        if self.percent(40) {
            shape.len = self.len();
        }
        if self.percent(30) {
            self.spoil(&mut shape);
        }
        shape
    }

    /// Makes one thing about a segment odd.
    fn spoil(&mut self, shape: &mut Shape) {
        match self.random.below(8) {
            0 => shape.seq = self.near_next(),
            1 | 2 => shape.ack = self.near_ack(),
            3 => shape.window = Some(self.weighted(&[(50, 0), (20, 1), (30, 500)])),
            4 => {
                shape.flags |= Flags::URG;
                shape.urgent = self.weighted(&[(30, 0), (40, 1), (20, 100), (10, 60_000)]);
            }
            5 | 6 => shape.options = self.options(),
            _ => shape.fault = self.fault(),
        }
    }

    fn flags(&mut self) -> Flags {
        if self.percent(6) {
            return Flags::from_bits_retain(self.random.below(256) as u16);
        }
        self.weighted(&[
            (40, ACK),
            (10, ACK | Flags::PSH),
            (10, FIN | ACK),
            (7, RST),
            (6, RST | ACK),
            (7, SYN),
            (6, SYN | ACK),
            (4, FIN),
            (4, Flags::empty()),
            (3, ACK | Flags::URG),
            (2, SYN | FIN),
            (1, SYN | RST),
        ])
    }

    fn near_next(&mut self) -> Place {
        let base = self.weighted(&[(80, Base::Next), (12, Base::Edge), (8, Base::Start)]);
        let far = self.random.between(2, 2_000) as i64;
        let offset = self.weighted(&[
            (20, 0),
            (20, -1),
            (20, 1),
            (12, -far),
            (12, far),
            (4, 1_000_000),
            (4, -1_000_000),
            (4, 0x7fff_ffff),
            (4, -0x7fff_0000),
        ]);
        Place { base, offset }
    }

    fn near_ack(&mut self) -> Place {
        let base = self.weighted(&[(70, Base::Next), (20, Base::Edge), (10, Base::Start)]);
        let far = self.random.between(2, 2_000) as i64;
        let offset = self.weighted(&[
            (15, 0),
            (25, 1),
            (20, -1),
            (10, -far),
            (10, far),
            (5, -70_000),
            (5, -200_000),
            (5, 1_000_000),
            (5, -0x7fff_0000),
        ]);
        Place { base, offset }
    }

    fn len(&mut self) -> usize {
        let other = self.random.between(2, 1_400) as usize;
        self.weighted(&[(25, 0), (15, 1), (20, 10), (15, 100), (15, 1_000), (5, 1_460), (5, other)])
    }

    fn options(&mut self) -> Choice {
        let ticks = self.weighted(&[(30, 1), (30, 50), (20, 1_000), (20, 60_000)]);
        self.weighted(&[
            (20, Choice::None),
            (30, Choice::Old(ticks)),
            (10, Choice::EchoNothing),
            (10, Choice::Unknown),
            (10, Choice::Overrun),
            (10, Choice::ZeroLength),
            (5, Choice::AfterEnd),
            (5, Choice::StraySack),
        ])
    }

    fn fault(&mut self) -> Fault {
        self.weighted(&[(60, Fault::Checksum), (20, Fault::ShortOffset), (20, Fault::LongOffset)])
    }
}
