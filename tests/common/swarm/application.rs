//! One application's part of a conversation: it writes, reads, pauses and ends as its dice say,
//! and acts only when events have told it that there is something to do.

use tunstack::ConnId;
use tunstack::tcp::{CloseReason, ReadError, WriteError};
use tunstack::time::Instant;

use super::super::pair::{Pair, Side};
use super::super::pattern;
use super::super::random::Random;
use super::dice;

/// How an application ends its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Writes all, shuts down, reads to the end, closes.
    Orderly,
    /// Reads to the end first, then writes, shuts down and closes.
    AnswersLater,
    /// Writes all and closes at once, whatever may still come.
    Hasty,
    /// Aborts after so many bytes, read and written.
    Aborts(u64),
}

/// One application's part.
#[derive(Debug)]
pub struct Application {
    pub side: Side,
    pub id: Option<ConnId>,
    /// When it connects, if it is not the one that accepts.
    pub opens_at: Option<Instant>,
    /// Names the stream that it writes.
    name: u8,
    pub ending: Ending,
    /// Whether it marks some of its text as urgent.
    urgent: bool,
    to_write: u64,
    pub written: u64,
    pub read: u64,
    /// What events say: whether a read or a write may succeed.
    pub may_read: bool,
    pub may_write: bool,
    /// Whether it has shut down its direction.
    pub shut: bool,
    /// Whether it has read the end of the peer's stream.
    at_end: bool,
    /// Whether it has given its id back.
    pub gone: bool,
    pub reason: Option<CloseReason>,
    pub next_action: Instant,
}

/// What the peer of an application has done so far.
#[derive(Clone, Copy)]
pub struct PeerSaid {
    name: u8,
    written: u64,
    /// Whether it has said that no more will come.
    ended: bool,
}

impl Application {
    pub fn new(random: &mut Random, side: Side, name: u8, opens_at: Option<Instant>) -> Self {
        Self {
            side,
            id: None,
            opens_at,
            name,
            ending: match random.below(100) {
                0..70 => Ending::Orderly,
                70..80 => Ending::AnswersLater,
                80..90 => Ending::Hasty,
                _ => Ending::Aborts(random.below(30_000)),
            },
            urgent: random.chance(50),
            to_write: dice::amount(random),
            written: 0,
            read: 0,
            may_read: true,
            may_write: true,
            shut: false,
            at_end: false,
            gone: false,
            reason: None,
            next_action: Instant::ZERO,
        }
    }

    pub fn said(&self) -> PeerSaid {
        PeerSaid { name: self.name, written: self.written, ended: self.shut || self.gone }
    }

    /// Whether it means to hear its peer out and to be heard.
    pub fn is_orderly(&self) -> bool {
        matches!(self.ending, Ending::Orderly | Ending::AnswersLater)
    }

    /// Whether it has read all that its peer wrote, up to the end.
    pub fn has_heard_out(&self, peer: PeerSaid) -> bool {
        self.at_end && self.read == peer.written
    }

    /// When it acts next by itself.
    pub fn wakes_at(&self, finishing: bool) -> Option<Instant> {
        match self.id {
            _ if self.gone => None,
            None => self.opens_at,
            Some(_) => self.has_something_to_do(finishing).then_some(self.next_action),
        }
    }

    pub fn has_something_to_do(&self, finishing: bool) -> bool {
        let writes = self.may_write && !self.shut && self.wants_to_write(finishing);
        let closes = self.shut && self.at_end;
        let aborts = finishing && matches!(self.ending, Ending::Aborts(_));
        self.may_read || writes || closes || aborts || self.reason.is_some()
    }

    fn wants_to_write(&self, finishing: bool) -> bool {
        self.at_end || finishing || self.ending != Ending::AnswersLater
    }

    /// Does something.
    pub fn act(&mut self, peer: PeerSaid, net: &mut Pair, random: &mut Random, finishing: bool) {
        let Some(id) = self.id else { return };
        if let Ending::Aborts(after) = self.ending
            && (self.read + self.written >= after || finishing)
        {
            net.stack(self.side).abort(id);
            self.gone = true;
            return;
        }
        if self.may_write && !self.shut && self.wants_to_write(finishing) {
            self.write(id, net, random);
        }
        let hasty = self.ending == Ending::Hasty && self.written == self.to_write;
        let satisfied = self.shut && self.at_end;
        // Some close as soon as they are satisfied, some wait to be told that it is over.
        if hasty || (satisfied && (self.reason.is_some() || random.chance(500))) {
            self.close(net);
            return;
        }
        if self.may_read {
            self.read(id, peer, net, random, finishing);
        }
        if self.reason.is_some() && !self.may_read {
            self.close(net);
        }
    }

    /// Gives the connection back.
    pub fn close(&mut self, net: &mut Pair) {
        if let Some(id) = self.id {
            net.stack(self.side).close(id);
            self.gone = true;
        }
    }

    fn write(&mut self, id: ConnId, net: &mut Pair, random: &mut Random) {
        let most = self.to_write - self.written;
        let piece = most.min(random.between(1, 20_000)) as usize;
        let text = pattern::bytes(self.name, self.written, piece);
        let stack = net.stack(self.side);
        let wrote = if self.urgent && random.chance(200) {
            stack.write_urgent(id, &text)
        } else {
            stack.write(id, &text)
        };
        match wrote {
            Ok(took) => {
                self.written += took as u64;
                self.may_write = took == piece;
            }
            Err(WriteError::Closed(reason)) => {
                self.reason = Some(reason);
                (self.may_write, self.shut) = (false, true);
                return;
            }
            Err(error) => panic!("{:?} cannot write: {error}", self.side),
        }
        if self.written == self.to_write && self.ending != Ending::Hasty {
            net.stack(self.side).shutdown(id);
            (self.may_write, self.shut) = (false, true);
        }
    }

    fn read(
        &mut self,
        id: ConnId,
        peer: PeerSaid,
        net: &mut Pair,
        random: &mut Random,
        finishing: bool,
    ) {
        let size = if finishing { 65_536 } else { random.between(1, 30_000) };
        let mut buffer = vec![0; size as usize];
        match net.stack(self.side).read(id, &mut buffer) {
            Ok(0) => {
                assert!(peer.ended, "the end of a stream that goes on");
                assert_eq!(self.read, peer.written, "the end of the stream came too early");
                self.at_end = true;
                self.may_read = false;
            }
            Ok(n) => self.takes(&buffer[..n], peer),
            Err(ReadError::WouldBlock) => self.may_read = false,
            Err(ReadError::Closed(reason)) => {
                self.reason = Some(reason);
                self.may_read = false;
            }
            Err(error) => panic!("{:?} cannot read: {error}", self.side),
        }
    }

    /// Takes text that has arrived.
    pub fn takes(&mut self, text: &[u8], peer: PeerSaid) {
        pattern::check(peer.name, self.read, text);
        self.read += text.len() as u64;
        assert!(self.read <= peer.written, "more arrived than was sent");
    }

    /// It was told that the connection is over, with `waiting` bytes still to be read.
    pub fn is_over(&mut self, reason: CloseReason, waiting: usize, peer: PeerSaid) {
        self.reason = Some(reason);
        (self.may_read, self.may_write) = (true, true);
        if reason == CloseReason::Finished {
            let arrived = self.read + waiting as u64;
            assert_eq!(arrived, peer.written, "finished, but text is missing");
        }
    }
}
