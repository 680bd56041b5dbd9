//! What goes out, as whoever sends it sees it.

use core::fmt;
use core::num::NonZeroU16;

use crate::wire::{EcnField, Flags, Options, Segment, SeqNum};

/// Where a segment's text lies in the send buffer: offset and length.
pub(super) type Text = (usize, usize);

/// A segment on its way out, or several that differ in nothing but where they start, as one
/// super-segment; the text is named by where it lies in the send buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) seq: SeqNum,
    pub(crate) ack: SeqNum,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Options,
    /// The ECN field of its IP header.
    pub(crate) ecn: EcnField,
    /// Its text.
    pub(crate) text: Text,
    /// Of a super-segment: the text of each of its segments but the last, which alone has the FIN
    /// and the PSH, if there are.
    pub(crate) segment_size: Option<NonZeroU16>,
    /// Whether it has been sent before.
    pub(crate) retransmission: bool,
}

impl Outgoing {
    /// Whether its header has nothing that the last one of the connection did not have: no urgent
    /// pointer, and no options but timestamps.
    #[inline]
    pub(crate) fn is_ordinary(&self) -> bool {
        let Options { mss, window_scale, sack_permitted, timestamps: _, sack, ecn } = &self.options;
        let plain = mss.is_none() && window_scale.is_none() && !sack_permitted && sack.is_empty();
        let plain = plain && ecn.is_none();
        plain && self.urgent == 0 && !self.flags.contains(Flags::URG)
    }

    /// How many segments these are.
    #[inline]
    pub(crate) fn segments(&self) -> u32 {
        match self.segment_size {
            Some(size) => (self.text.1 as u32).div_ceil(u32::from(size.get())),
            None => 1,
        }
    }
}

/// One line in tcpdump's order of fields.
impl fmt::Display for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, ack, flags, window, urgent, options, ecn, text, segment_size, .. } = *self;
        let header =
            Segment { seq, ack, flags, window, urgent, options, ecn, payload: &[], segment_size };
        header.fmt_with_len(f, text.1)
    }
}
