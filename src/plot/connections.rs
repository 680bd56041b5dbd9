//! The connections of a capture, told apart.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::trace::Side;
use crate::time::Instant;
use crate::wire::codec::Observed;
use crate::wire::{Flags, Flow, SeqNum};

/// The most connections that are told apart, of some 200 bytes each; those that begin later are
/// only counted.
pub const MAX_CONNECTIONS: usize = 1 << 18;

/// One connection of a capture.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Local is the end that sent the first packet.
    flow: Flow,
    /// Of either end, that of the first packet first.
    packets: [u64; 2],
    bytes: [u64; 2],
    initial: [Option<SeqNum>; 2],
    first: Instant,
    last: Instant,
}

impl Connection {
    /// The end that sends more text; if none does, the one that sent the first packet.
    pub fn sender(&self) -> SocketAddr {
        if self.bytes[1] > self.bytes[0] { self.flow.remote_addr() } else { self.flow.local_addr() }
    }

    /// The other end.
    pub fn receiver(&self) -> SocketAddr {
        if self.bytes[1] > self.bytes[0] { self.flow.local_addr() } else { self.flow.remote_addr() }
    }

    /// Whether the end that this segment comes from is the sender.
    pub fn side(&self, seen: &Observed<'_>) -> Side {
        if seen.flow.local_addr() == self.sender() { Side::Sender } else { Side::Receiver }
    }

    /// Packets of both ends.
    pub fn packets(&self) -> u64 {
        self.packets.iter().sum()
    }

    /// Bytes of text of both ends; what was sent twice counts twice.
    pub fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Bytes of text of the sender.
    pub fn sender_bytes(&self) -> u64 {
        self.bytes[0].max(self.bytes[1])
    }

    /// From the first packet to the last.
    pub fn duration(&self) -> Duration {
        self.last.since(self.first)
    }

    /// Whether the segment opens another connection between the same two ends: a SYN that is neither the
    /// first of its end nor sent again.
    fn is_over_at(&self, seen: &Observed<'_>, end: usize) -> bool {
        seen.segment.has(Flags::SYN)
            && !seen.segment.has(Flags::ACK)
            && match self.initial[end] {
                Some(initial) => initial != seen.segment.seq,
                None => self.packets[end] > 0,
            }
    }
}

/// All connections of a capture, in the order of their first packets.
///
/// Handed the same packets once more, another of these gives them the same places, so that a second
/// pass knows which belong to a connection that the first has chosen.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    list: Vec<Connection>,
    /// The latest connection between two ends, the lower end first.
    places: HashMap<Flow, usize>,
    left_out: u64,
}

impl Connections {
    /// Takes in a segment; answers the place in the list of its connection. None if that is one too many.
    pub fn add(&mut self, at: Instant, seen: &Observed<'_>) -> Option<usize> {
        let (local, remote) = (seen.flow.local_addr(), seen.flow.remote_addr());
        let key = if local <= remote { seen.flow } else { seen.flow.reversed() };
        let end_of = |connection: &Connection| usize::from(connection.flow != seen.flow);
        let known = self.places.get(&key).copied().filter(|&place| {
            self.list.get(place).is_some_and(|known| !known.is_over_at(seen, end_of(known)))
        });
        let place = match known {
            Some(place) => place,
            None if self.list.len() == MAX_CONNECTIONS => {
                self.left_out += 1;
                return None;
            }
            None => {
                self.list.push(Connection {
                    flow: seen.flow,
                    packets: [0; 2],
                    bytes: [0; 2],
                    initial: [None; 2],
                    first: at,
                    last: at,
                });
                self.places.insert(key, self.list.len() - 1);
                self.list.len() - 1
            }
        };
        let connection = self.list.get_mut(place)?;
        let end = end_of(connection);
        connection.packets[end] += 1;
        connection.bytes[end] += u64::from(seen.text_len);
        connection.last = connection.last.max(at);
        if seen.segment.has(Flags::SYN) {
            connection.initial[end].get_or_insert(seen.segment.seq);
        }
        Some(place)
    }

    /// The connections.
    pub fn list(&self) -> &[Connection] {
        &self.list
    }

    /// Packets of connections beyond [`MAX_CONNECTIONS`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The place of the connection with the most text; of several, or without any text, of that with the
    /// most packets, and of those the first.
    pub fn busiest(&self) -> Option<usize> {
        let weight =
            |place: &usize| self.list.get(*place).map(|known| (known.bytes(), known.packets()));
        // The last of equals is taken, so backwards.
        (0..self.list.len()).rev().max_by_key(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Segment;

    fn seen(from: &str, to: &str, flags: Flags, seq: u32, text_len: u32) -> Observed<'static> {
        Observed {
            flow: Flow::new(from.parse().unwrap(), to.parse().unwrap()),
            segment: Segment { seq: SeqNum(seq), flags, ..Segment::EMPTY },
            text_len,
        }
    }

    const A: &str = "10.0.0.1:80";
    const B: &str = "10.0.0.2:4000";
    const C: &str = "[fd00::2]:4000";
    const D: &str = "[fd00::1]:80";

    #[test]
    fn both_directions_are_one_connection_and_the_busier_end_is_the_sender() {
        let mut connections = Connections::default();
        for (millis, segment) in [
            (0, seen(B, A, Flags::SYN, 5, 0)),
            (1, seen(A, B, Flags::SYN | Flags::ACK, 9, 0)),
            (2, seen(B, A, Flags::ACK, 6, 100)),
            (3, seen(C, D, Flags::ACK, 6, 50)),
            (9, seen(A, B, Flags::ACK, 10, 1_000)),
        ] {
            let place = connections.add(Instant::from_millis(millis), &segment);
            assert_eq!(place, Some(usize::from(millis == 3)));
        }
        let [first, second] = connections.list() else { panic!("{connections:?}") };
        assert_eq!((first.packets(), first.bytes(), first.sender_bytes()), (4, 1_100, 1_000));
        assert_eq!(first.duration(), Duration::from_millis(9));
        assert_eq!(
            (first.sender().to_string(), first.receiver().to_string()),
            (A.into(), B.into())
        );
        assert_eq!(first.side(&seen(A, B, Flags::ACK, 0, 0)), Side::Sender);
        assert_eq!(first.side(&seen(B, A, Flags::ACK, 0, 0)), Side::Receiver);
        assert_eq!(second.sender().to_string(), C);
        assert_eq!(connections.busiest(), Some(0));
    }

    #[test]
    fn a_syn_with_another_number_is_another_connection() {
        let mut connections = Connections::default();
        let mut place = |segment| connections.add(Instant::ZERO, &segment).unwrap();
        assert_eq!(place(seen(B, A, Flags::SYN, 5, 0)), 0);
        assert_eq!(place(seen(B, A, Flags::SYN, 5, 0)), 0, "sent again");
        assert_eq!(place(seen(A, B, Flags::SYN, 7, 0)), 0, "both at once");
        assert_eq!(place(seen(B, A, Flags::ACK, 6, 1)), 0);
        assert_eq!(place(seen(B, A, Flags::SYN, 99, 0)), 1);
        assert_eq!(place(seen(A, B, Flags::ACK, 99, 0)), 1);
        assert_eq!(place(seen(C, D, Flags::ACK, 6, 1)), 2, "joined late");
        assert_eq!(place(seen(C, D, Flags::SYN, 99, 0)), 3);
    }

    #[test]
    fn of_equals_the_first_is_the_busiest() {
        let mut connections = Connections::default();
        assert_eq!(connections.busiest(), None);
        connections.add(Instant::ZERO, &seen(C, D, Flags::SYN, 0, 0));
        connections.add(Instant::ZERO, &seen(A, B, Flags::SYN, 0, 0));
        assert_eq!(connections.busiest(), Some(0));
        connections.add(Instant::ZERO, &seen(B, A, Flags::ACK, 0, 0));
        assert_eq!(connections.busiest(), Some(1));
    }
}
