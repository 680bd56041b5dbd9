//! Two stacks back to back in memory: one sends in bulk, the other takes and acknowledges.
//!
//! [`tunstack`] and [`smoltcp`] do the same things in the same order with the same frames:
//!
//! 1. the application writes 64 KiB whenever there is room for them;
//! 2. the sender builds full segments, as many as a super-segment has, each copied into a frame as a
//!    device would take it;
//! 3. the receiver takes two of them in, and the application takes their data;
//! 4. the receiver is polled until it has nothing more to send: one ACK, into a frame; and so on with
//!    the next two;
//! 5. the sender takes the ACKs in.
//!
//! tunstack works in super-segments, as with any device: where that takes none they are cut by
//! [`Segments`](::tunstack::device::Segments) into frames, and those are copied. Time is a number that moves on by the same steps for both, and timers are looked at every turn
//! (smoltcp does that inside its polls). Nothing is allocated on the way.

pub(crate) mod acks;
pub(crate) mod smoltcp;
pub(crate) mod tunstack;

use std::net::Ipv4Addr;

/// Bytes of the largest IP packet.
pub(crate) const MTU: usize = 1_500;
/// Bytes of data in a full segment: what IPv4, TCP and the timestamps option leave of the MTU.
pub(crate) const SEGMENT: usize = MTU - 20 - 20 - 12;
/// Bytes that the application writes at a time.
pub(crate) const CHUNK: usize = 64 << 10;
/// The most bytes that each buffer may hold.
pub(crate) const BUFFER: u32 = 1 << 20;
/// Data segments to one ACK.
pub(crate) const SEGMENTS_PER_ACK: usize = 2;
/// The most data segments that are under way together: those of the largest super-segment.
pub(crate) const MOST_FRAMES: usize = 65_535 / SEGMENT;
/// Nanoseconds from one end to the other.
pub(crate) const DELAY: u64 = 10_000;

pub(crate) const SENDER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const PORT: u16 = 9;

/// What has passed between the two stacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Packets from the sender to the receiver.
    pub(crate) segments: u64,
    /// Packets from the receiver to the sender.
    pub(crate) acks: u64,
    /// Bytes of data that the receiving application took.
    pub(crate) bytes: u64,
}

/// Two stacks with one connection that carries data, and maybe others that are idle.
pub(crate) trait Pair {
    /// Sends some segments there, and an ACK back for every two of them.
    fn turn(&mut self);

    /// What has passed so far.
    fn counts(&self) -> Counts;

    /// Sends this many segments there.
    fn run(&mut self, segments: u64) {
        let end = self.counts().segments + segments;
        while self.counts().segments < end {
            self.turn();
        }
    }
}

/// A few frames on their way in one direction.
pub(crate) struct Frames {
    frames: Box<[([u8; MTU], usize)]>,
    /// How many there are.
    len: usize,
    /// How many of them have been taken out.
    taken: usize,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self { frames: vec![([0; MTU], 0); MOST_FRAMES].into(), len: 0, taken: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == self.frames.len()
    }

    /// Adds a frame of `len` bytes, for which there must be room, to be filled in.
    pub(crate) fn push(&mut self, len: usize) -> &mut [u8] {
        let (frame, used) = &mut self.frames[self.len];
        self.len += 1;
        *used = len;
        &mut frame[..len]
    }

    /// The next frame.
    pub(crate) fn take(&mut self) -> Option<&[u8]> {
        let (frame, used) = self.frames[..self.len].get(self.taken)?;
        self.taken += 1;
        Some(&frame[..*used])
    }

    /// Throws away all of them.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.taken = 0;
    }
}

/// What the application sends, over and over: bytes without a pattern that a segment or a buffer
/// could fall in step with.
pub(crate) fn chunk() -> Box<[u8]> {
    let mut state = 1u32;
    let mut next = || {
        // Numerical Recipes' generator; its high bits are the better ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..CHUNK).map(|_| next()).collect()
}

/// Whether `data`, of at most a chunk, is what the application sent from byte `at` of the stream on.
pub(crate) fn is_as_sent(chunk: &[u8], at: u64, data: &[u8]) -> bool {
    let (_, rest) = chunk.split_at(at as usize % chunk.len());
    let before_wrap = data.len().min(rest.len());
    let (first, second) = data.split_at(before_wrap);
    first == &rest[..first.len()] && second == &chunk[..second.len()]
}
