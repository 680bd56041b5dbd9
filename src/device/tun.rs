//! A TUN interface of the kernel, without packet information: a read gives one IP packet, a write
//! takes one.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd};

use tun_tap::{Iface, Mode};

use super::attachment::Attachment;
use super::{Device, Interface, Losses, TunError, tun_ioctl};
use crate::wire::{Frame, Transmit};

/// An open TUN interface.
#[derive(Debug)]
pub struct Tun {
    attachment: Attachment,
}

impl Tun {
    /// Opens an interface that was found before. `mtu` is what the link is taken to carry, if less
    /// than what the interface says.
    ///
    /// # Errors
    /// Says what forbids it.
    pub fn open(interface: &Interface, mtu: Option<usize>) -> Result<Self, TunError> {
        let attach = |name: &str| attach(name).map_err(|error| TunError::refused(name, error));
        Ok(Self { attachment: Attachment::open(interface, mtu, attach)? })
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        self.attachment.name()
    }
}

fn attach(name: &str) -> io::Result<File> {
    let iface = Iface::without_packet_info(name, Mode::Tun)?;
    iface.set_non_blocking()?;
    let file = into_file(iface);
    tun_ioctl::take_no_offload(&file)?;
    Ok(file)
}

/// The descriptor as a `File`, whose vectored write gathers a packet from its pieces.
#[allow(unsafe_code)]
fn into_file(iface: Iface) -> File {
    // SAFETY: `into_raw_fd` gives the only owner of an open descriptor away.
    unsafe { File::from_raw_fd(iface.into_raw_fd()) }
}

impl Device for Tun {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        let len = self.attachment.receive(buffer)?;
        Ok(Frame::plain(&buffer[..len]))
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        self.attachment.send(&[], packet)
    }

    fn mtu(&self) -> usize {
        self.attachment.mtu()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.attachment.fd())
    }

    fn failure(&self) -> io::Error {
        self.attachment.failure()
    }

    fn losses(&self) -> Losses {
        self.attachment.losses()
    }
}
