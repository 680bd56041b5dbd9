//! Where packets come from and go to: the seam between the stack and the world.
//!
//! A [`Device`] carries whole IP packets without a link header. [`Tun`] is the interface of the
//! kernel, [`OffloadTun`] the same with super-segments and without needless checksums,
//! [`MemoryDevice`] one half of a pair in this process, and [`Pcap`] wraps any of them and records
//! what passes.

mod attachment;
mod interface;
mod memory;
mod offload;
mod pcap;
mod segmentation;
mod tun;
mod tun_error;
mod tun_ioctl;
mod virtio;

use std::io;
use std::os::fd::BorrowedFd;

use crate::wire::{Frame, Transmit};

pub use interface::{Interface, InterfaceError};
pub use memory::MemoryDevice;
pub use offload::OffloadTun;
pub use pcap::Pcap;
pub use segmentation::Segments;
pub use tun::Tun;
pub use tun_error::TunError;

/// Bytes of the largest frame there is: a virtio-net header, an IPv6 header and the most payload
/// its length field can name. A packet that fills a buffer of this size has been cut off.
pub const LARGEST_FRAME: usize = 10 + 40 + 65_535;

/// A source and sink of IP packets that never blocks.
pub trait Device {
    /// Takes the next packet that has arrived. The frame borrows `buffer`, which should hold
    /// [`LARGEST_FRAME`] bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing has arrived, [`io::ErrorKind::InvalidData`] for
    /// a packet that could not be used: it is gone and counted, and the next call goes on behind
    /// it. Every other error means that the device is of no more use.
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>>;

    /// Sends a packet, or loses it as a link does: `Ok` promises no arrival, and what is lost here
    /// is counted in [`Device::losses`].
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room: the packet was not taken. Every other
    /// error means that the device is of no more use.
    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()>;

    /// Bytes of the largest IP packet the link carries.
    fn mtu(&self) -> usize;

    /// Whether it takes super-segments and unfinished checksums: packets of up to 65,535 bytes (over
    /// IPv6 its header comes on top) with a [`segment_size`](Transmit::segment_size), and those with
    /// [`Checksum::Partial`](crate::wire::Checksum::Partial). The [`mtu`](Self::mtu) holds for each
    /// segment. Any device may *give* such frames; whoever sends them to one that says no sends
    /// garbage.
    fn offload(&self) -> bool {
        false
    }

    /// What to poll for readiness; the same one for the device's whole life. A device without one
    /// must wake the loop by other means when a packet or room for one arrives.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// What is wrong, asked when polling the descriptor reports an error.
    fn failure(&self) -> io::Error {
        io::Error::other("the device reports an error")
    }

    /// Told before the loop sleeps: the time to write out what was buffered.
    fn idle(&mut self) {}

    /// What was lost so far.
    fn losses(&self) -> Losses {
        Losses::default()
    }
}

/// Packets that a device has lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Received, but longer than the read buffer.
    pub oversize: u64,
    /// Received behind a virtio-net header that is cut off or makes no sense.
    pub header: u64,
    /// Sent while the interface was down.
    pub down: u64,
    /// Sent while the kernel had no buffer for it.
    pub no_buffer: u64,
    /// Sent, but refused by the kernel as no IP packet.
    pub refused: u64,
}

impl Losses {
    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("DeviceOversize", self.oversize),
            ("DeviceBadHeader", self.header),
            ("DeviceDown", self.down),
            ("DeviceNoBuffer", self.no_buffer),
            ("DeviceRefused", self.refused),
        ]
        .into_iter()
    }
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        (**self).receive(buffer)
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        (**self).send(packet)
    }

    fn mtu(&self) -> usize {
        (**self).mtu()
    }

    fn offload(&self) -> bool {
        (**self).offload()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        (**self).fd()
    }

    fn failure(&self) -> io::Error {
        (**self).failure()
    }

    fn idle(&mut self) {
        (**self).idle();
    }

    fn losses(&self) -> Losses {
        (**self).losses()
    }
}
