//! A TCP segment as a value (RFC 9293 section 3.1, RFC 7323, RFC 2018).

use core::fmt;
use core::num::NonZeroU16;

use super::{EcnCounters, SeqNum, SeqRange};

bitflags::bitflags! {
    /// The control bits (RFC 9293 section 3.1, RFC 3168 section 6.1, RFC 9768 section 3.1.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u16 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronize sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Push: hand what has arrived to the application.
        const PSH = 0x08;
        /// The acknowledgment field is significant.
        const ACK = 0x10;
        /// The urgent pointer is significant.
        const URG = 0x20;
        /// ECN echo.
        const ECE = 0x40;
        /// Congestion window reduced.
        const CWR = 0x80;
        /// Accurate ECN; once called NS.
        const AE = 0x100;
    }
}

impl Flags {
    /// From the two bytes of a TCP header that hold them, which begin with its length. The three bits
    /// in between are reserved: "must be ignored in received segments".
    #[inline]
    pub const fn from_header(bytes: [u8; 2]) -> Self {
        Self::from_bits_truncate(u16::from_be_bytes(bytes))
    }
}

/// The ECN field of an IP header: what a packet says of congestion, or lets routers say (RFC 3168
/// section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum EcnField {
    /// The transport does not understand ECN: routers that are congested drop.
    #[default]
    NotEct = 0b00,
    /// ECN-capable transport, ECT(1).
    Ect1 = 0b01,
    /// ECN-capable transport, ECT(0).
    Ect0 = 0b10,
    /// Congestion experienced: a router has set this instead of dropping the packet.
    Ce = 0b11,
}

impl EcnField {
    /// Where it lies in a traffic class.
    pub const MASK: u8 = 0b11;

    /// The two low bits of a traffic class.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        const ALL: [EcnField; 4] = [EcnField::NotEct, EcnField::Ect1, EcnField::Ect0, EcnField::Ce];
        ALL[(bits & Self::MASK) as usize]
    }

    /// The two bits, as they stand at the low end of a traffic class.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// How many SACK blocks fit into 40 bytes of options when nothing else is there (RFC 2018
/// section 3).
pub const MAX_SACK_BLOCKS: usize = 4;

/// The SACK blocks of one segment, the most recent first (RFC 2018 section 4).
#[derive(Clone, Copy, Default)]
pub struct SackBlocks {
    blocks: [SeqRange; MAX_SACK_BLOCKS],
    /// A whole word: copying one that was written as a byte would wait for the write.
    len: u32,
}

impl SackBlocks {
    /// No block.
    pub const EMPTY: Self =
        Self { blocks: [SeqRange { start: SeqNum(0), end: SeqNum(0) }; MAX_SACK_BLOCKS], len: 0 };

    /// Adds a block behind the others; answers whether there was room.
    pub fn push(&mut self, block: SeqRange) -> bool {
        let Some(slot) = self.blocks.get_mut(self.len as usize) else {
            return false;
        };
        *slot = block;
        self.len += 1;
        true
    }

    /// The blocks, as a slice.
    pub fn as_slice(&self) -> &[SeqRange] {
        self.blocks.get(..self.len as usize).unwrap_or(&[])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops all but the first `n` blocks.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(u32::try_from(n).unwrap_or(u32::MAX));
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The timestamps option (RFC 7323 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the last TSval the sender has of the other side; valid with ACK only.
    pub echo: u32,
}

/// The shift of a scaled window, at most 14 (RFC 7323 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WindowScale(u8);

impl WindowScale {
    /// The largest shift there is.
    pub const MAX: Self = Self(14);

    /// A shift; one that is too large counts as 14, as RFC 7323 section 2.3 asks.
    pub const fn new(shift: u8) -> Self {
        if shift > 14 { Self::MAX } else { Self(shift) }
    }

    /// The smallest shift with which a window of `bytes` can be announced.
    pub const fn for_window(bytes: u32) -> Self {
        let mut shift = 0;
        while shift < 14 && bytes >> shift > 0xffff {
            shift += 1;
        }
        Self(shift)
    }

    /// The number of bits.
    pub const fn shift(self) -> u8 {
        self.0
    }

    /// The window in bytes that `field` of a segment means.
    pub const fn expand(self, field: u16) -> u32 {
        (field as u32) << self.0
    }

    /// The field that announces `bytes`, rounded down and held to 16 bits.
    pub const fn compress(self, bytes: u32) -> u16 {
        let field = bytes >> self.0;
        if field > 0xffff { 0xffff } else { field as u16 }
    }
}

/// The options of a segment. Unknown kinds are skipped when parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size (RFC 9293 section 3.7.1); on SYN segments.
    pub mss: Option<u16>,
    /// Window scale (RFC 7323 section 2); on SYN segments.
    pub window_scale: Option<WindowScale>,
    /// SACK permitted (RFC 2018 section 2); on SYN segments.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 section 3).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks (RFC 2018 section 3).
    pub sack: SackBlocks,
    /// Counters of marked bytes (RFC 9768 section 3.2.3).
    pub ecn: Option<EcnCounters>,
}

/// A TCP segment: header fields as values, payload as a slice of the frame it came in.
///
/// One exists only if lengths, options and (unless vouched for) the checksum were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'f> {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; significant when [`Flags::ACK`] is set.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The window field as it stands; scaled by who knows the scale.
    pub window: u16,
    /// The urgent pointer; significant when [`Flags::URG`] is set.
    pub urgent: u16,
    /// The options.
    pub options: Options,
    /// The ECN field of the IP header that it came with.
    pub ecn: EcnField,
    /// The text.
    pub payload: &'f [u8],
    /// For a super-segment: payload bytes of each of its segments but the last.
    pub segment_size: Option<NonZeroU16>,
}

#[cfg(test)]
impl Segment<'static> {
    /// What tests make segments from.
    pub(crate) const EMPTY: Self = Self {
        seq: SeqNum(0),
        ack: SeqNum(0),
        flags: Flags::empty(),
        window: 0,
        urgent: 0,
        options: Options {
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamps: None,
            sack: SackBlocks::EMPTY,
            ecn: None,
        },
        ecn: EcnField::NotEct,
        payload: &[],
        segment_size: None,
    };
}

impl Segment<'_> {
    /// SEG.LEN: text, plus one each for SYN and FIN (RFC 9293 section 3.4).
    pub fn len(&self) -> u32 {
        // A payload came out of one frame, so it fits.
        self.payload.len() as u32
            + u32::from(self.flags.contains(Flags::SYN))
            + u32::from(self.flags.contains(Flags::FIN))
    }

    /// Whether the segment occupies no sequence space.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence numbers the segment occupies.
    pub fn range(&self) -> SeqRange {
        SeqRange::new(self.seq, self.len())
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// What follows the SYN. Its urgent pointer names the same octet, one number closer: it counts from
    /// the sequence number of its segment (RFC 9293 section 3.1).
    pub(crate) fn behind_syn(&self) -> Self {
        Self {
            seq: self.seq + 1,
            flags: self.flags - Flags::SYN,
            urgent: self.urgent.saturating_sub(1),
            ..*self
        }
    }

    /// Bytes of text in the largest of the segments of the wire that this one stands for.
    pub fn size(&self) -> u32 {
        let len = self.payload.len() as u32;
        self.segment_size.map_or(len, |size| len.min(u32::from(size.get())))
    }

    /// SEG.SEQ of the last of the segments of the wire that this one stands for, of those that start
    /// no later than at `end`.
    #[inline]
    pub(crate) fn last_seq(&self, end: SeqNum) -> SeqNum {
        let Some(size) = self.segment_size else { return self.seq };
        let last = (self.payload.len() as u32).saturating_sub(1).min(self.seq.len_to(end));
        let size = u32::from(size.get());
        self.seq + last / size * size
    }

    /// How many segments of the wire this one stands for (one unless it is a super-segment).
    pub fn segments(&self) -> u32 {
        match self.segment_size {
            Some(size) => (self.payload.len() as u32).div_ceil(u32::from(size.get())).max(1),
            None => 1,
        }
    }
}

/// One line in tcpdump's order of fields.
impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with_len(f, self.payload.len())
    }
}

impl Segment<'_> {
    /// As `Display`, for a header whose text of `len` bytes lies elsewhere.
    pub(crate) fn fmt_with_len(&self, f: &mut fmt::Formatter<'_>, len: usize) -> fmt::Result {
        f.write_str("Flags [")?;
        for (flag, letter) in [
            (Flags::SYN, "S"),
            (Flags::FIN, "F"),
            (Flags::PSH, "P"),
            (Flags::RST, "R"),
            (Flags::URG, "U"),
            (Flags::CWR, "W"),
            (Flags::ECE, "E"),
            (Flags::AE, "e"),
            (Flags::ACK, "."),
        ] {
            if self.has(flag) {
                f.write_str(letter)?;
            }
        }
        write!(f, "], seq {}", self.seq)?;
        if len > 0 {
            write!(f, ":{}", self.seq + len as u32)?;
        }
        if self.has(Flags::ACK) {
            write!(f, ", ack {}", self.ack)?;
        }
        write!(f, ", win {}", self.window)?;
        if self.has(Flags::URG) {
            write!(f, ", urg {}", self.urgent)?;
        }
        let options = &self.options;
        if let Some(mss) = options.mss {
            write!(f, ", mss {mss}")?;
        }
        if options.sack_permitted {
            f.write_str(", sackOK")?;
        }
        if let Some(ts) = options.timestamps {
            write!(f, ", TS val {} ecr {}", ts.value, ts.echo)?;
        }
        if let Some(scale) = options.window_scale {
            write!(f, ", wscale {}", scale.shift())?;
        }
        if let Some(counters) = options.ecn {
            write!(f, ", {counters}")?;
        }
        for block in options.sack.as_slice() {
            write!(f, ", sack {block:?}")?;
        }
        write!(f, ", length {len}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_of_more_than_14_counts_as_14() {
        assert_eq!(WindowScale::new(15), WindowScale::MAX);
        assert_eq!(WindowScale::new(255).expand(1), 1 << 14);
    }

    #[test]
    fn the_smallest_scale_that_announces_a_window() {
        assert_eq!(WindowScale::for_window(65_535).shift(), 0);
        assert_eq!(WindowScale::for_window(65_536).shift(), 1);
        assert_eq!(WindowScale::for_window(6 << 20).shift(), 7);
        assert_eq!(WindowScale::for_window(u32::MAX).shift(), 14);
    }

    #[test]
    fn compressing_rounds_down_and_never_overflows() {
        let scale = WindowScale::new(7);
        assert_eq!(scale.compress(127), 0);
        assert_eq!(scale.compress(128), 1);
        assert_eq!(scale.compress(u32::MAX), 0xffff);
    }

    #[test]
    fn a_fifth_sack_block_finds_no_room() {
        let mut blocks = SackBlocks::default();
        for n in 0..4 {
            assert!(blocks.push(SeqRange::new(SeqNum(n * 10), 5)));
        }
        assert!(!blocks.push(SeqRange::new(SeqNum(100), 5)));
        assert_eq!(blocks.as_slice().len(), 4);
        blocks.truncate(3);
        assert_eq!(blocks.as_slice().len(), 3);
    }
}
