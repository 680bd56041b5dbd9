//! The options of the segments of a synchronized connection, and how much room they leave for text (RFC
//! 7323 section 3.2, RFC 2018 section 4, RFC 9768 section 3.2.3.3).

use super::{Connection, Mark};
use crate::time::Instant;
use crate::wire::{Options, SackBlocks};

/// Bytes of the SACK option: padding and head, and each block (RFC 2018 section 3).
const SACK_HEAD: u32 = 4;
const SACK_BLOCK: u32 = 8;

impl Connection {
    /// Bytes of text in a full segment with the options it will carry. RFC 2018 section 4: "as
    /// many distinct SACK blocks as possible".
    pub(super) fn most_text(&self) -> u32 {
        if !self.sends_sack() && !self.has(Mark::ACCURATE_ECN) {
            return self.effective_mss().max(1);
        }
        let blocks = if self.sends_sack() { self.sack_blocks().as_slice().len() } else { 0 };
        // Beside a byte of text, so that nothing but the header limits the room for them.
        let (blocks, counters) = self.counters_beside(blocks, 1);
        let counters = counters.map_or(0, |counters| counters.len() as u32);
        let sack = if blocks > 0 { SACK_HEAD + SACK_BLOCK * blocks as u32 } else { 0 };
        self.effective_mss().saturating_sub(counters + sack).max(1)
    }

    fn sends_sack(&self) -> bool {
        self.negotiated.sack && (self.recv_buffer.has_hole() || self.recv_buffer.twice().is_some())
    }

    /// What lies beyond holes, as far as it fits beside the other options (RFC 2018 section 3):
    /// three blocks beside timestamps.
    fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = self.recv_buffer.sack_blocks();
        blocks.truncate(if self.negotiated.timestamps { 3 } else { 4 });
        blocks
    }

    /// The options of a segment with `len` bytes of text, but for those of accurate ECN.
    #[inline(always)]
    pub(super) fn options_beside(&mut self, now: Instant, len: u32) -> Options {
        let mut options = Options::default();
        let clock = self.ts_clock(now);
        if let Some(state) = &mut self.timestamps {
            options.timestamps = Some(state.stamp(clock, self.rcv.nxt));
        }
        if self.sends_sack() {
            options.sack = self.sack_blocks();
            // Text that is sent again may leave less room than it had.
            let left = self.effective_mss().saturating_sub(len + SACK_HEAD);
            options.sack.truncate((left / SACK_BLOCK) as usize);
            if !options.sack.is_empty() {
                self.recv_buffer.forget_twice();
            }
        }
        options
    }
}
