//! A TUN interface of the kernel that leaves checksums and the cutting of text into segments to
//! whoever needs them: in front of each packet, both ways, stands a virtio-net header.
//!
//! A connection between this host and the stack needs neither. The kernel hands its segments over
//! as it holds them, up to 64 KiB in one read, and takes ours in the same way.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use super::attachment::Attachment;
use super::{Device, Interface, Losses, TunError, tun_ioctl, virtio};
use crate::wire::{Frame, Transmit};

/// An open TUN interface that takes and gives super-segments and unfinished checksums.
#[derive(Debug)]
pub struct OffloadTun {
    attachment: Attachment,
    /// Packets dropped for their virtio-net header.
    bad_headers: u64,
}

impl OffloadTun {
    /// Opens an interface that was found before. `mtu` is what the link is taken to carry, if less
    /// than what the interface says; a super-segment may be longer, its segments may not.
    ///
    /// # Errors
    /// Says what forbids it. Where [`TunError::may_be_plain`] is true, [`Tun`](super::Tun) may still
    /// open it.
    pub fn open(interface: &Interface, mtu: Option<usize>) -> Result<Self, TunError> {
        Ok(Self { attachment: Attachment::open(interface, mtu, attach)?, bad_headers: 0 })
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        self.attachment.name()
    }
}

fn attach(name: &str) -> Result<File, TunError> {
    let file =
        tun_ioctl::attach_with_header(name).map_err(|error| TunError::refused(name, error))?;
    tun_ioctl::take_offload(&file).map_err(|error| TunError::NoOffload(name.to_owned(), error))?;
    Ok(file)
}

impl Device for OffloadTun {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        let len = self.attachment.receive(buffer)?;
        let frame = virtio::decode(&buffer[..len]);
        self.bad_headers += u64::from(frame.is_none());
        frame.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        self.attachment.send(&virtio::encode(packet), packet)
    }

    fn mtu(&self) -> usize {
        self.attachment.mtu()
    }

    fn offload(&self) -> bool {
        true
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.attachment.fd())
    }

    fn failure(&self) -> io::Error {
        self.attachment.failure()
    }

    fn losses(&self) -> Losses {
        Losses { header: self.bad_headers, ..self.attachment.losses() }
    }
}
