//! What a connection has only as long as there is something in it: the records of what is in the
//! network, the bytes that wait. It is lent by the stack, which has a few to spare, and given back
//! when it is empty: an idle connection pays a pointer for it, and one that is at work allocates
//! nothing from one request to the next.

use core::ops::{Deref, DerefMut};

use super::flight::Flight;
use super::recv_buffer::Held;
use super::send_buffer::SendBuffer;

/// The most of each kind that the stack keeps to spare: for as many connections as a batch of
/// packets sets to work.
const MOST_SPARE: usize = 64;

/// The most bytes of memory that are kept with each: what a request or its response fills.
pub(super) const MOST_KEPT: usize = 16 << 10;

/// What can be lent.
pub(super) trait Lendable: Default + 'static {
    /// One with nothing in it.
    fn nothing() -> &'static Self;

    /// Whether there is nothing in it.
    fn is_vacant(&self) -> bool;

    /// Bytes of memory taken beside itself.
    fn memory(&self) -> usize;
}

/// A thing that is lent, or stands for one with nothing in it. To change it takes one.
#[derive(Debug)]
pub(super) struct Lent<T>(Option<Box<T>>);

impl<T> Default for Lent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Lendable> Deref for Lent<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(lent) => lent,
            None => T::nothing(),
        }
    }
}

impl<T: Lendable> DerefMut for Lent<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Lendable> Lent<T> {
    /// Bytes of memory taken beside the pointer.
    pub(super) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |lent| size_of::<T>() + lent.memory())
    }

    /// Takes one of the spares, if there is none here.
    #[inline]
    fn lend(&mut self, from: &mut Spare<T>) {
        if self.0.is_none() {
            self.0 = from.0.pop();
        }
    }

    /// Gives it back if there is nothing in it.
    #[inline]
    fn give_back(&mut self, to: &mut Spare<T>) {
        if let Some(vacant) = self.0.take_if(|lent| lent.is_vacant()) {
            to.put(vacant);
        }
    }
}

/// Those of one kind that nobody has.
#[derive(Debug)]
struct Spare<T>(Vec<Box<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Lendable> Spare<T> {
    fn put(&mut self, vacant: Box<T>) {
        if self.0.len() < MOST_SPARE && vacant.memory() <= MOST_KEPT {
            self.0.push(vacant);
        }
    }

    fn memory(&self) -> usize {
        self.0.iter().map(|spare| size_of::<T>() + spare.memory()).sum()
    }
}

/// What the stack has to spare. At most [`MOST_SPARE`] of each kind, with [`MOST_KEPT`] bytes each.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    flights: Spare<Flight>,
    send_buffers: Spare<SendBuffer>,
    held: Spare<Held>,
}

impl Spares {
    /// Bytes of memory taken.
    pub(crate) fn memory(&self) -> usize {
        self.flights.memory() + self.send_buffers.memory() + self.held.memory()
    }
}

impl super::Connection {
    /// The application is about to write.
    #[inline]
    pub(crate) fn lend_for_sending(&mut self, spares: &mut Spares) {
        self.send_buffer.lend(&mut spares.send_buffers);
        self.flight.lend(&mut spares.flights);
    }

    /// Text is about to be stored.
    #[inline]
    pub(crate) fn lend_for_receiving(&mut self, spares: &mut Spares) {
        self.recv_buffer.held.lend(&mut spares.held);
    }

    /// Gives back what is empty.
    #[inline]
    pub(crate) fn give_back(&mut self, spares: &mut Spares) {
        if self.send_buffer.is_vacant() {
            // What has been written is to be sent: the records are needed again.
            self.send_buffer.give_back(&mut spares.send_buffers);
            self.flight.give_back(&mut spares.flights);
        }
        self.recv_buffer.held.give_back(&mut spares.held);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Connection;
    use super::super::steps::{EMPTY, established};
    use super::*;
    use crate::time::Instant;
    use crate::wire::{Flags, Segment};

    const NOW: Instant = Instant::ZERO;

    /// Sends `text`, and has the peer acknowledge it.
    fn exchange(connection: &mut Connection, text: &[u8], spares: &mut Spares) {
        connection.lend_for_sending(spares);
        assert_eq!(connection.write(text), Ok(text.len()));
        while connection.poll_transmit(NOW, 0).is_some() {}
        let (seq, ack) = (connection.rcv.nxt, connection.snd.nxt);
        let ack = Segment { seq, ack, flags: Flags::ACK, window: 500, ..EMPTY };
        connection.on_segment(NOW, &ack, true);
        connection.give_back(spares);
    }

    #[test]
    fn an_idle_connection_pays_for_pointers_only() {
        let mut spares = Spares::default();
        let mut connection = established(false, false);
        exchange(&mut connection, b"hello", &mut spares);
        assert_eq!(connection.memory(), size_of::<Connection>());
        // What it had goes to the next one that writes.
        let kept = spares.memory();
        exchange(&mut connection, b"hello", &mut spares);
        assert_eq!(spares.memory(), kept);
        // Looking at it takes nothing.
        connection.poll_transmit(NOW, 0);
        connection.on_timeout(NOW);
        assert_eq!(connection.memory(), size_of::<Connection>());
    }

    #[test]
    fn few_spares_are_kept_and_no_large_ones() {
        let mut spares = Spares::default();
        let mut connections: Vec<_> =
            (0..2 * MOST_SPARE).map(|_| established(false, false)).collect();
        for connection in &mut connections {
            connection.lend_for_receiving(&mut spares);
            connection.store(&[1; 3 * MOST_KEPT]);
            exchange(connection, &[1; 1_000], &mut spares);
        }
        let kept = spares.memory();
        for connection in &mut connections {
            assert_eq!(connection.read(&mut [0; 3 * MOST_KEPT]), Ok(3 * MOST_KEPT));
            connection.give_back(&mut spares);
        }
        assert_eq!(spares.memory(), kept, "these are too large");
        let each = |spare: usize| spare + MOST_KEPT;
        let most =
            each(size_of::<Flight>()) + each(size_of::<SendBuffer>()) + each(size_of::<Held>());
        assert!(spares.memory() <= MOST_SPARE * most);
        assert_eq!(spares.send_buffers.0.len(), 1, "each had the one of the connection before");
    }
}
