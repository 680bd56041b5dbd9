//! The attachment to a TUN interface that every kind of TUN device is built on: opening it, waiting
//! until the kernel has noticed, reading and writing, and what its errors mean.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use log::{info, warn};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use super::{Interface, Losses, TunError};
use crate::wire::Transmit;

/// How often, a millisecond apart, the kernel is asked whether it has noticed that somebody holds the
/// other end of the interface.
const CARRIER_LOOKS: u32 = 1_000;

/// Packets longer than this are gathered from their pieces by the kernel; for shorter ones a copy
/// is cheaper.
const WORTH_GATHERING: usize = 4_096;

/// The file through which every TUN is opened.
pub(super) const CONTROL_FILE: &str = "/dev/net/tun";

/// A descriptor through which packets of an interface pass.
#[derive(Debug)]
pub(super) struct Attachment {
    file: File,
    name: String,
    index: u32,
    mtu: usize,
    losses: Losses,
    /// The interface was down at the last write.
    is_down: bool,
    /// Where a packet of usual size is put together.
    scratch: Vec<u8>,
}

impl Attachment {
    /// Attaches to an interface that was found before, with `attach`, which is given its name and
    /// returns a descriptor that does not block. `mtu` is what the link is taken to carry, if less
    /// than what the interface says.
    ///
    /// # Errors
    /// Says what forbids it.
    pub(super) fn open(
        interface: &Interface,
        mtu: Option<usize>,
        attach: impl FnOnce(&str) -> Result<File, TunError>,
    ) -> Result<Self, TunError> {
        let name = interface.name().to_owned();
        let mtu = mtu.unwrap_or(interface.mtu());
        if mtu > interface.mtu() {
            return Err(TunError::Mtu { asked: mtu, interface: name, carries: interface.mtu() });
        }
        // Asked apart, so that what is wrong with the file and what is wrong with the interface
        // can be told apart: both may answer EPERM.
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(CONTROL_FILE)
            .map_err(TunError::ControlFile)?;
        let file = attach(&name)?;
        // It may have been removed since it was found, and root's open has then made a new one,
        // which goes away with the descriptor.
        if if_nametoindex(name.as_str()) != Ok(interface.index()) {
            return Err(TunError::Replaced(name));
        }
        wait_for_carrier(&name);
        Ok(Self {
            file,
            name,
            index: interface.index(),
            mtu,
            losses: Losses::default(),
            is_down: false,
            scratch: Vec::with_capacity(WORTH_GATHERING),
        })
    }

    /// The name of the interface.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the largest IP packet the link carries.
    pub(super) fn mtu(&self) -> usize {
        self.mtu
    }

    /// What to poll for readiness.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// What was lost so far.
    pub(super) fn losses(&self) -> Losses {
        self.losses
    }

    /// Reads one packet with what stands in front of it: how many bytes.
    ///
    /// # Errors
    /// As [`Device::receive`](super::Device::receive).
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = loop {
            match self.file.read(buffer) {
                Ok(len) => break len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
            }
        };
        if len == buffer.len() {
            self.losses.oversize += 1;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(len)
    }

    /// Writes one packet with `front` in front of it.
    ///
    /// # Errors
    /// As [`Device::send`](super::Device::send).
    pub(super) fn send(&mut self, front: &[u8], packet: &Transmit<'_>) -> io::Result<()> {
        loop {
            let Err(error) = self.write(front, packet) else {
                if self.is_down {
                    self.is_down = false;
                    info!("{} is up again", self.name);
                }
                return Ok(());
            };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINTR) => {}
                Some(errno @ (Errno::EIO | Errno::ENOBUFS | Errno::ENOMEM | Errno::EINVAL)) => {
                    self.lost(errno);
                    return Ok(());
                }
                _ => return Err(self.explain(error)),
            }
        }
    }

    /// What is wrong, asked when polling the descriptor reports an error.
    pub(super) fn failure(&self) -> io::Error {
        if if_nametoindex(self.name.as_str()) == Ok(self.index) {
            return io::Error::other(format!("interface {} reports an error", self.name));
        }
        self.removed()
    }

    /// One system call. Gathering pieces costs the kernel more than it costs us to copy a packet of
    /// usual size.
    fn write(&mut self, front: &[u8], packet: &Transmit<'_>) -> io::Result<usize> {
        if packet.len() > WORTH_GATHERING {
            let [first, second] = packet.payload;
            let pieces = [front, packet.header, first, second].map(IoSlice::new);
            return self.file.write_vectored(&pieces);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(front);
        packet.append_to(&mut self.scratch);
        self.file.write(&self.scratch)
    }

    /// EBADFD is how the kernel says that the interface behind the descriptor is no more.
    fn explain(&self, error: io::Error) -> io::Error {
        if error.raw_os_error() == Some(Errno::EBADFD as i32) {
            return self.removed();
        }
        error
    }

    fn removed(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("interface {0} was removed: make it again with `./setup.sh up {0}`", self.name),
        )
    }

    /// A packet that the kernel did not take counts as lost on the link.
    fn lost(&mut self, errno: Errno) {
        match errno {
            Errno::EIO => {
                self.losses.down += 1;
                if !self.is_down {
                    self.is_down = true;
                    warn!("{} is down: packets are lost until it is up", self.name);
                }
            }
            Errno::EINVAL => self.losses.refused += 1,
            _ => self.losses.no_buffer += 1,
        }
    }
}

/// Waits until the kernel sends packets into an interface that was just opened.
///
/// The open gives the interface a carrier, but the kernel acts on that a moment later (its link
/// watch gives the interface its queue), and until then drops without a word what it would send.
fn wait_for_carrier(name: &str) {
    for _ in 0..CARRIER_LOOKS {
        let running = getifaddrs().is_ok_and(|mut all| {
            all.any(|entry| {
                entry.interface_name == name && entry.flags.contains(InterfaceFlags::IFF_RUNNING)
            })
        });
        if running {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    warn!("interface {name} has no carrier yet: the first packets may be lost");
}
