//! Two devices in one process, joined back to back: what one sends the other receives.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZeroU16;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Device, Losses};
use crate::wire::{Checksum, Frame, Transmit};

/// One end of a pair. There is no descriptor to poll: a loop that sleeps asks to be told with
/// [`MemoryDevice::on_change`]. The ends may live in different threads.
///
/// ```
/// use tunstack::device::{Device, MemoryDevice};
/// use tunstack::wire::{Checksum, Transmit};
///
/// let (mut left, mut right) = MemoryDevice::pair(1500, 8);
/// left.send(&Transmit {
///     header: b"head",
///     payload: [b"er ", b"and more"],
///     segment_size: None,
///     checksum: Checksum::Full,
/// })?;
/// let mut buffer = [0; 1500];
/// assert_eq!(right.receive(&mut buffer)?.bytes, b"header and more");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MemoryDevice {
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
    mtu: usize,
    losses: Losses,
}

type Notify = Arc<dyn Fn() + Send + Sync>;

/// The packets on their way in one direction.
struct Queue {
    packets: VecDeque<Packet>,
    /// The most packets that wait.
    capacity: usize,
    /// A send met a full queue: the sender wants to know when there is room.
    sender_waits: bool,
    tell_sender: Option<Notify>,
    tell_receiver: Option<Notify>,
}

struct Packet {
    bytes: Vec<u8>,
    segment_size: Option<NonZeroU16>,
    checksum: Checksum,
}

impl MemoryDevice {
    /// A pair of ends, with room for `capacity` packets in each direction.
    pub fn pair(mtu: usize, capacity: usize) -> (Self, Self) {
        let queue = || {
            Arc::new(Mutex::new(Queue {
                packets: VecDeque::new(),
                capacity,
                sender_waits: false,
                tell_sender: None,
                tell_receiver: None,
            }))
        };
        let (there, back) = (queue(), queue());
        let left = Self {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
            mtu,
            losses: Losses::default(),
        };
        let right = Self { incoming: there, outgoing: back, mtu, losses: Losses::default() };
        (left, right)
    }

    /// Has `notify` called, from the other end's thread, when a packet arrives in an empty queue
    /// or when there is room again after a send that met a full one. For a loop this is its
    /// waker's `wake`.
    pub fn on_change(&mut self, notify: impl Fn() + Send + Sync + 'static) {
        let notify: Notify = Arc::new(notify);
        lock(&self.incoming).tell_receiver = Some(Arc::clone(&notify));
        lock(&self.outgoing).tell_sender = Some(notify);
    }
}

/// A thread that panicked while it held the lock has left no half-done change behind.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls back without holding the lock, so that the callback may use the device's other end.
fn tell(notify: Option<Notify>) {
    if let Some(notify) = notify {
        notify();
    }
}

impl Device for MemoryDevice {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        let mut queue = lock(&self.incoming);
        let packet = queue.packets.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let notify =
            if std::mem::take(&mut queue.sender_waits) { queue.tell_sender.clone() } else { None };
        drop(queue);
        tell(notify);
        let Some(bytes) = buffer.get_mut(..packet.bytes.len()) else {
            self.losses.oversize += 1;
            return Err(io::ErrorKind::InvalidData.into());
        };
        bytes.copy_from_slice(&packet.bytes);
        Ok(Frame { bytes, segment_size: packet.segment_size, checksum: packet.checksum })
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        let mut queue = lock(&self.outgoing);
        if queue.packets.len() >= queue.capacity {
            queue.sender_waits = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let notify = if queue.packets.is_empty() { queue.tell_receiver.clone() } else { None };
        queue.packets.push_back(Packet {
            bytes: packet.to_vec(),
            segment_size: packet.segment_size,
            checksum: packet.checksum,
        });
        drop(queue);
        tell(notify);
        Ok(())
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

impl fmt::Debug for MemoryDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDevice")
            .field("mtu", &self.mtu)
            .field("incoming", &lock(&self.incoming).packets.len())
            .field("outgoing", &lock(&self.outgoing).packets.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn packet(payload: &[u8]) -> Transmit<'_> {
        Transmit {
            header: b"HH",
            payload: [payload, b"!"],
            segment_size: NonZeroU16::new(9),
            checksum: Checksum::Partial { start: 20, offset: 16 },
        }
    }

    #[test]
    fn packets_arrive_in_order_with_all_that_was_said_of_them() {
        let (mut left, mut right) = MemoryDevice::pair(1500, 4);
        left.send(&packet(b"one")).unwrap();
        left.send(&packet(b"two")).unwrap();
        let mut buffer = [0; 64];
        let frame = right.receive(&mut buffer).unwrap();
        assert_eq!(frame.bytes, b"HHone!");
        assert_eq!(frame.segment_size, NonZeroU16::new(9));
        assert_eq!(frame.checksum, packet(b"").checksum);
        assert_eq!(right.receive(&mut buffer).unwrap().bytes, b"HHtwo!");
        let nothing = right.receive(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_full_queue_takes_nothing_and_tells_when_there_is_room() {
        let (mut left, mut right) = MemoryDevice::pair(1500, 2);
        let (told_left, told_right) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let count = |counter: &Arc<AtomicUsize>| {
            let counter = Arc::clone(counter);
            move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        };
        left.on_change(count(&told_left));
        right.on_change(count(&told_right));

        left.send(&packet(b"1")).unwrap();
        left.send(&packet(b"2")).unwrap();
        assert_eq!(told_right.load(Ordering::SeqCst), 1, "told once, not per packet");
        let full = left.send(&packet(b"3")).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);

        assert_eq!(told_left.load(Ordering::SeqCst), 0);
        let mut buffer = [0; 64];
        right.receive(&mut buffer).unwrap();
        assert_eq!(told_left.load(Ordering::SeqCst), 1);
        right.receive(&mut buffer).unwrap();
        assert_eq!(told_left.load(Ordering::SeqCst), 1, "nobody waits any more");
        left.send(&packet(b"3")).unwrap();
        assert_eq!(right.receive(&mut buffer).unwrap().bytes, b"HH3!");
    }

    #[test]
    fn a_packet_too_long_for_the_buffer_is_dropped() {
        let (mut left, mut right) = MemoryDevice::pair(1500, 2);
        left.send(&packet(b"much too long")).unwrap();
        left.send(&packet(b"ok")).unwrap();
        let mut buffer = [0; 8];
        let unusable = right.receive(&mut buffer).unwrap_err();
        assert_eq!(unusable.kind(), io::ErrorKind::InvalidData);
        assert_eq!(right.receive(&mut buffer).unwrap().bytes, b"HHok!");
        assert_eq!(right.losses().oversize, 1);
    }
}
