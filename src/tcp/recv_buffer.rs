//! What has arrived and the application has not yet read: in-order text, and islands beyond a hole.
//!
//! Text is written to its final place at once, so overlaps cost no memory and no second copy; of
//! what lies beyond a hole only the ranges are kept (RFC 9293 section 3.10.7.4, seventh step:
//! "segments with higher beginning sequence numbers SHOULD be held for later processing",
//! SHLD-31).

use super::lent::{Lendable, Lent};
use super::ring::Ring;
use super::room::Room;
use crate::wire::{MAX_SACK_BLOCKS, SackBlocks, SeqNum, SeqRange};

/// The most islands kept. A segment that would make one more is dropped, and the peer sends it
/// again; a window of 6 MiB with every twentieth segment missing has about 200.
const MAX_ISLANDS: usize = 512;

/// The window that a connection starts with; as Linux's.
const FIRST_LIMIT: u32 = 65_535;

/// A range of text beyond a hole. It may end with the peer's FIN, which takes a sequence number but
/// no room.
#[derive(Debug)]
struct Island {
    range: SeqRange,
    /// When it last grew, by [`Held::arrivals`]: SACK blocks go out most recent first.
    touched: u32,
}

/// What has arrived. Offset 0 of the ring is the first unread byte; RCV.NXT lies `readable` bytes
/// further along.
#[derive(Debug, Default)]
pub(super) struct Held {
    ring: Ring,
    /// In-order bytes not yet read.
    readable: usize,
    /// Disjoint, not adjacent, in sequence order, all beyond RCV.NXT.
    islands: Vec<Island>,
    /// Counts insertions beyond a hole.
    arrivals: u32,
    /// What has arrived twice, and the peer has not been told of (RFC 2883).
    twice: Option<SeqRange>,
}

impl Lendable for Held {
    fn nothing() -> &'static Self {
        static NOTHING: Held =
            Held { ring: Ring::EMPTY, readable: 0, islands: Vec::new(), arrivals: 0, twice: None };
        &NOTHING
    }

    fn is_vacant(&self) -> bool {
        self.has_no_text() && self.twice.is_none()
    }

    fn memory(&self) -> usize {
        self.ring.capacity() + self.islands.capacity() * size_of::<Island>()
    }
}

impl Held {
    fn has_no_text(&self) -> bool {
        self.readable == 0 && self.islands.is_empty()
    }
}

/// What has arrived and is not yet read, and how much more may come.
#[derive(Debug)]
pub(super) struct RecvBuffer {
    pub(super) held: Lent<Held>,
    /// How much is offered to the peer: the window is this less what is unread.
    limit: u32,
}

impl RecvBuffer {
    pub(super) fn new(max: u32) -> Self {
        Self { held: Lent::default(), limit: FIRST_LIMIT.min(max) }
    }

    /// In-order bytes not yet read.
    pub(super) fn readable(&self) -> usize {
        self.held.readable
    }

    /// Bytes that may still be offered to the peer beyond RCV.NXT.
    pub(super) fn free(&self, room: Room) -> u32 {
        // `readable` never exceeds a window, so it fits.
        self.limit_within(room).saturating_sub(self.held.readable as u32)
    }

    /// How much would be offered when nothing is unread, if memory were no question.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// How much is offered when nothing is unread.
    pub(super) fn limit_within(&self, room: Room) -> u32 {
        self.held.ring.hold(self.limit as usize, room.for_new) as u32
    }

    /// Bytes that can be stored at RCV.NXT.
    pub(super) fn storable(&self, room: Room) -> u32 {
        let reach = self.held.ring.reach(room.for_promised);
        u32::try_from(reach.saturating_sub(self.held.readable)).unwrap_or(u32::MAX)
    }

    /// How many of `len` bytes that start at `seq` there is memory for. Beyond a hole it is all or
    /// none, for they have to be sent again in any case if the peer goes by what it is told.
    pub(super) fn fits(&self, rcv_nxt: SeqNum, seq: SeqNum, len: usize, room: Room) -> usize {
        if seq == rcv_nxt {
            return len.min(self.storable(room) as usize);
        }
        let end = self.held.readable + rcv_nxt.len_to(seq) as usize + len;
        // Records of islands take memory, too.
        let all = room.for_new > 0 && end <= self.held.ring.reach(room.for_new);
        if all { len } else { 0 }
    }

    /// Whether something lies beyond a hole.
    pub(super) fn has_hole(&self) -> bool {
        !self.held.islands.is_empty()
    }

    /// Whether text at RCV.NXT can go to the application without passing through here.
    pub(super) fn is_empty(&self) -> bool {
        self.held.has_no_text()
    }

    /// Notes what of `range`, which arrives now, has arrived before: what lies before `rcv_nxt`, or
    /// the first part that is in an island. Answers whether there is any. The peer is told once (RFC
    /// 2883 section 4): of what comes before that, the last counts.
    pub(super) fn note_twice(&mut self, rcv_nxt: SeqNum, range: SeqRange) -> bool {
        let twice = if range.start.is_before(rcv_nxt) {
            Some(SeqRange { start: range.start, end: range.end.earlier(rcv_nxt) })
        } else {
            let at =
                self.held.islands.partition_point(|i| i.range.end.is_at_or_before(range.start));
            self.held.islands.get(at).map(|island| SeqRange {
                start: range.start.later(island.range.start),
                end: range.end.earlier(island.range.end),
            })
        };
        let Some(mut twice) = twice.filter(|twice| !twice.is_empty()) else {
            return false;
        };
        if let Some(before) = self.held.twice
            && before.start.is_at_or_before(twice.end)
            && twice.start.is_at_or_before(before.end)
        {
            // No ACK has gone out in between: as if they had come as one.
            twice.start = twice.start.earlier(before.start);
            twice.end = twice.end.later(before.end);
        }
        self.held.twice = Some(twice);
        true
    }

    /// What has arrived twice, and the peer has not been told of.
    #[inline]
    pub(super) fn twice(&self) -> Option<SeqRange> {
        self.held.twice
    }

    /// The peer has been told.
    pub(super) fn forget_twice(&mut self) {
        if self.held.twice.is_some() {
            self.held.twice = None;
            if self.held.is_vacant() {
                // It was taken for this alone.
                self.held = Lent::default();
            }
        }
    }

    /// Takes in `text` that starts at `seq`, at or after `rcv_nxt` and within the window. Answers
    /// how far RCV.NXT moves, up to the FIN, where the peer has sent one.
    pub(super) fn insert(
        &mut self,
        rcv_nxt: SeqNum,
        seq: SeqNum,
        text: &[u8],
        fin: Option<SeqNum>,
    ) -> u32 {
        if text.is_empty() {
            return 0;
        }
        // The caller has trimmed the text to the window, so lengths fit.
        let range = SeqRange::new(seq, text.len() as u32);
        let used = self.span(rcv_nxt, fin);
        if seq != rcv_nxt && !self.touch(range) {
            return 0;
        }
        let offset = self.held.readable + rcv_nxt.len_to(seq) as usize;
        self.held.ring.reserve(used, offset + text.len());
        self.held.ring.write_at(offset, text);
        if seq != rcv_nxt {
            return 0;
        }
        let end = self.absorb(range.end);
        let end = fin.map_or(end, |fin| end.earlier(fin));
        let advanced = rcv_nxt.len_to(end);
        self.held.readable += advanced as usize;
        advanced
    }

    /// Puts bytes that were handed to the application straight from the frame, and not taken, in
    /// front of everything else: nothing was unread when they were handed out.
    pub(super) fn store(&mut self, rest: &[u8]) {
        debug_assert!(self.is_empty());
        self.held.ring.reserve(0, rest.len());
        self.held.ring.write_at(0, rest);
        self.held.readable = rest.len();
    }

    /// Copies the first unread bytes to `into`; answers how many.
    pub(super) fn read(&mut self, into: &mut [u8]) -> usize {
        let n = self.peek(into);
        self.held.readable -= n;
        self.held.ring.advance(n);
        if self.is_empty() {
            self.held.ring.clear();
        }
        n
    }

    /// The same, and leaves the bytes unread.
    pub(super) fn peek(&self, into: &mut [u8]) -> usize {
        let n = into.len().min(self.held.readable);
        let [a, b] = self.held.ring.slices(0, n);
        into[..a.len()].copy_from_slice(a);
        into[a.len()..n].copy_from_slice(b);
        n
    }

    /// Offers no more than `max` bytes from now on. What has been offered already is not taken back.
    pub(super) fn limit_to(&mut self, max: u32) {
        self.limit = self.limit.min(max);
    }

    /// Offers `wanted` bytes, unless more is offered already. Only the offer
    /// grows: memory is taken when bytes have to wait.
    pub(super) fn offer(&mut self, wanted: u32) {
        self.limit = self.limit.max(wanted);
    }

    /// Notes the peer's FIN beyond a hole, so that SACK blocks tell of it as Linux's do: the peer
    /// need not send it again. Answers false when there are too many islands already.
    pub(super) fn note_fin(&mut self, fin: SeqNum) -> bool {
        self.touch(SeqRange::new(fin, 1))
    }

    /// Where that ends which lies furthest beyond a hole.
    pub(super) fn furthest(&self) -> Option<SeqNum> {
        self.held.islands.last().map(|island| island.range.end)
    }

    /// Throws away what lies beyond a hole: the peer's FIN says that it was never sent.
    pub(super) fn forget_islands(&mut self) {
        if self.has_hole() {
            self.held.islands.clear();
        }
    }

    /// SACK blocks: what has arrived twice (RFC 2883 section 4), then the islands, the one that grew
    /// last first, the others by how recently they grew (RFC 2018 section 4). What has arrived twice
    /// beyond a hole is in the one that grew last.
    pub(super) fn sack_blocks(&self) -> SackBlocks {
        let mut recent: [Option<&Island>; MAX_SACK_BLOCKS] = [None; MAX_SACK_BLOCKS];
        for island in &self.held.islands {
            let mut candidate = Some(island);
            for slot in &mut recent {
                let newer = match (&candidate, &slot) {
                    (Some(a), Some(b)) => a.touched > b.touched,
                    (Some(_), None) => true,
                    (None, _) => break,
                };
                if newer {
                    core::mem::swap(slot, &mut candidate);
                }
            }
        }
        let mut blocks = SackBlocks::EMPTY;
        if let Some(twice) = self.held.twice {
            blocks.push(twice);
        }
        for island in recent.into_iter().flatten() {
            blocks.push(island.range);
        }
        blocks
    }

    /// Bytes of memory taken.
    pub(super) fn memory(&self) -> usize {
        self.held.memory()
    }

    /// Bytes of the ring in use, holes included. The FIN takes none, and may lie far behind the text.
    fn span(&self, rcv_nxt: SeqNum, fin: Option<SeqNum>) -> usize {
        let with_text = |island: &&Island| Some(island.range.start) != fin;
        let beyond = self.held.islands.iter().rev().find(with_text).map_or(0, |last| {
            let end = fin.map_or(last.range.end, |fin| last.range.end.earlier(fin));
            rcv_nxt.len_to(end)
        });
        self.held.readable + beyond as usize
    }

    /// Notes `range` as an island, merged with those it meets. Answers false when there are too
    /// many already.
    fn touch(&mut self, mut range: SeqRange) -> bool {
        let first = self.held.islands.partition_point(|i| i.range.end.is_before(range.start));
        let after = self.held.islands.partition_point(|i| i.range.start.is_at_or_before(range.end));
        if first == after && self.held.islands.len() >= MAX_ISLANDS {
            return false;
        }
        for island in &self.held.islands[first..after] {
            range.start = range.start.earlier(island.range.start);
            range.end = range.end.later(island.range.end);
        }
        self.held.arrivals = self.held.arrivals.wrapping_add(1);
        let touched = self.held.arrivals;
        self.held.islands.splice(first..after, [Island { range, touched }]);
        true
    }

    /// Drops the islands that the in-order text up to `end` has reached; answers where the text
    /// ends now.
    fn absorb(&mut self, mut end: SeqNum) -> SeqNum {
        let reached = self.held.islands.partition_point(|i| i.range.start.is_at_or_before(end));
        for island in self.held.islands.drain(..reached) {
            end = end.later(island.range.end);
        }
        end
    }
}

#[cfg(test)]
mod tests;
