//! What a connection has only as long as there is something in it: the records of what is in the
//! network, the bytes that wait. It is lent by the stack, which has a few to spare, and given back
//! when it is empty: an idle connection pays a pointer for it, and one that is at work allocates
//! nothing from one request to the next.

use core::ops::{Deref, DerefMut};
use std::collections::VecDeque;

use super::flight::Flight;
use super::recv_buffer::Held;
use super::send_buffer::SendBuffer;

/// The most of each kind that the stack keeps to spare: for as many connections as a batch of
/// packets sets to work.
const MOST_SPARE: usize = 64;

/// The most bytes of memory that are kept with all of a kind.
const MOST_KEPT: usize = 2 << 20;

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

    /// Takes one of the spares, if there is none here and it has no more than `most` bytes of memory.
    /// Answers whether it did.
    #[inline]
    fn lend(&mut self, from: &mut Spare<T>, most: u32) -> bool {
        if self.0.is_none() {
            self.0 = from.take(most as usize);
            return self.0.is_some();
        }
        false
    }

    /// Gives it back if there is nothing in it.
    #[inline]
    fn give_back(&mut self, to: &mut Spare<T>) {
        if let Some(vacant) = self.0.take_if(|lent| lent.is_vacant()) {
            to.put(vacant);
        }
    }
}

/// Those of one kind that nobody has, the one that was given back last at the end: its memory is
/// still in cache, and as large as is needed at the moment.
#[derive(Debug)]
struct Spare<T> {
    vacant: VecDeque<Box<T>>,
    /// Bytes of memory taken by all of them.
    kept: usize,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { vacant: VecDeque::new(), kept: 0 }
    }
}

impl<T: Lendable> Spare<T> {
    fn take(&mut self, most: usize) -> Option<Box<T>> {
        let vacant = self.vacant.pop_back_if(|vacant| vacant.memory() <= most)?;
        self.kept -= Self::size(&vacant);
        Some(vacant)
    }

    fn put(&mut self, vacant: Box<T>) {
        self.kept += Self::size(&vacant);
        self.vacant.push_back(vacant);
        while (self.kept > MOST_KEPT || self.vacant.len() > MOST_SPARE)
            && let Some(oldest) = self.vacant.pop_front()
        {
            self.kept -= Self::size(&oldest);
        }
    }

    fn size(vacant: &T) -> usize {
        size_of::<T>() + vacant.memory()
    }
}

/// What the stack has to spare: at most [`MOST_SPARE`] of each kind, with [`MOST_KEPT`] bytes in all.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    flights: Spare<Flight>,
    send_buffers: Spare<SendBuffer>,
    held: Spare<Held>,
}

impl Spares {
    /// Bytes of memory taken.
    pub(crate) fn memory(&self) -> usize {
        self.flights.kept + self.send_buffers.kept + self.held.kept
    }
}

impl super::Connection {
    /// The application is about to write. Answers whether memory was lent, within the room there is.
    #[inline]
    pub(crate) fn lend_for_sending(&mut self, spares: &mut Spares) -> bool {
        let most = self.room.for_new;
        self.send_buffer.lend(&mut spares.send_buffers, most)
            | self.flight.lend(&mut spares.flights, most)
    }

    /// Text is about to be stored. Answers whether memory was lent, within the room there is.
    #[inline]
    pub(crate) fn lend_for_receiving(&mut self, spares: &mut Spares) -> bool {
        self.recv_buffer.held.lend(&mut spares.held, self.room.for_new)
    }

    /// Gives back what is empty.
    #[inline]
    pub(crate) fn give_back(&mut self, spares: &mut Spares) {
        if self.send_buffer.is_vacant() {
            // What has been written is to be sent: the records are needed again.
            self.send_buffer.give_back(&mut spares.send_buffers);
            if self.is_measured() {
                // What has been measured is needed again.
                self.flight.shrink();
            } else {
                self.flight.give_back(&mut spares.flights);
            }
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
    fn few_spares_are_kept_and_the_latest() {
        let mut spare = Spare::<SendBuffer>::default();
        let sized = |size: usize| {
            let mut buffer = Box::<SendBuffer>::default();
            buffer.push(&vec![1; size], size);
            buffer.release(size);
            buffer
        };
        for _ in 0..2 * MOST_SPARE {
            spare.put(sized(512));
        }
        assert_eq!(spare.vacant.len(), MOST_SPARE);
        spare.put(sized(MOST_KEPT / 2));
        spare.put(sized(MOST_KEPT / 4));
        assert!(spare.kept <= MOST_KEPT && spare.vacant.len() == MOST_SPARE);
        assert!(spare.take(MOST_KEPT / 8).is_none(), "it is larger than that");
        assert!(spare.take(MOST_KEPT).is_some_and(|last| last.memory() == MOST_KEPT / 4));
        assert!(spare.take(MOST_KEPT).is_some_and(|last| last.memory() == MOST_KEPT / 2));
        spare.put(sized(2 * MOST_KEPT));
        assert_eq!(
            (spare.vacant.len(), spare.kept),
            (0, 0),
            "there is no room beside it, nor for it"
        );
    }
}
