//! What crosses the seam between the stack and a device.

use core::num::NonZeroU16;

/// What is known of a packet's transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// On the way in: nothing is promised, so it is verified. On the way out: it is complete.
    Full,
    /// Somebody vouches for it (a kernel that has checked it); it is not summed again.
    Vouched,
    /// The field holds the pseudo-header's sum only, to be finished by a device: over the bytes
    /// from `start`, the result written at `start + offset`. On the way in such a packet never
    /// left this machine, and counts as vouched for.
    Partial {
        /// Where the transport header starts, counted from the first byte of the IP header.
        start: u16,
        /// Where the checksum field lies in the transport header.
        offset: u16,
    },
}

/// What a stack leaves to be done by whoever sends its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// Nothing: each packet is one segment, and complete.
    #[default]
    Nothing,
    /// The checksums of all connections' segments are to be finished; each packet is one segment.
    Checksums,
    /// Super-segments are to be split; their checksums, and no others, are
    /// [`Partial`](Checksum::Partial).
    Segmentation,
    /// Super-segments are to be split, and the checksums of all connections' segments finished.
    SegmentationAndChecksums,
}

/// A packet on its way in: an IP packet without link header.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'f> {
    /// The IP packet.
    pub bytes: &'f [u8],
    /// For a super-segment (many segments' payload behind one header): the payload bytes of each
    /// segment but the last.
    pub segment_size: Option<NonZeroU16>,
    /// Whether the transport checksum must be verified.
    pub checksum: Checksum,
}

impl<'f> Frame<'f> {
    /// A plain packet: one segment, nothing vouched for.
    pub fn plain(bytes: &'f [u8]) -> Self {
        Self { bytes, segment_size: None, checksum: Checksum::Full }
    }
}

/// A packet on its way out. The connection's state has already advanced: it is sent, copied aside,
/// or counts as lost on the link.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// IP and transport headers.
    pub header: &'a [u8],
    /// The payload, in two pieces where the send buffer wraps; either may be empty.
    pub payload: [&'a [u8]; 2],
    /// For a super-segment: the payload bytes of each segment but the last, to split at.
    pub segment_size: Option<NonZeroU16>,
    /// Whether the transport checksum is complete.
    pub checksum: Checksum,
}

impl Transmit<'_> {
    /// Bytes of the whole packet.
    pub fn len(&self) -> usize {
        self.header.len() + self.payload[0].len() + self.payload[1].len()
    }

    /// Whether there is no byte in it (never so for what a stack emits).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the packet to `buffer` in one piece.
    pub fn append_to(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(self.header);
        buffer.extend_from_slice(self.payload[0]);
        buffer.extend_from_slice(self.payload[1]);
    }

    /// The packet in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.append_to(&mut bytes);
        bytes
    }
}
