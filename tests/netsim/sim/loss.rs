//! Losses on a wire: each by itself, or in bursts.

use crate::common::random::Random;

use super::link::Ppm;

/// What a wire loses by chance.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Nothing.
    None,
    /// Each packet with this chance.
    Random(Ppm),
    /// The model of Gilbert and Elliott ("Capacity of a burst-noise channel", 1960; "Estimates of
    /// error rates for codes on burst-noise channels", 1963): a good state that loses nothing and
    /// a bad one. The state may change with each packet.
    Bursty {
        /// The chance that the good state ends.
        begin: Ppm,
        /// The chance that the bad state ends.
        end: Ppm,
        /// The chance that a packet is lost in the bad state.
        inside: Ppm,
    },
}

/// What a wire remembers of its losses.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossState {
    is_bad: bool,
}

impl LossState {
    /// Whether the next packet is lost.
    pub fn strikes(&mut self, loss: &Loss, random: &mut Random) -> bool {
        let mut happens = |chance: Ppm| random.below(1_000_000) < chance;
        match *loss {
            Loss::None => false,
            Loss::Random(chance) => happens(chance),
            Loss::Bursty { begin, end, inside } => {
                self.is_bad ^= happens(if self.is_bad { end } else { begin });
                self.is_bad && happens(inside)
            }
        }
    }
}
