//! A TUN interface of the kernel, without packet information: a read gives one IP packet, a write
//! takes one.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd};
use std::thread;
use std::time::Duration;

use log::{info, warn};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use tun_tap::{Iface, Mode};

use super::{Device, Interface, Losses};
use crate::wire::{Frame, Transmit};

/// How often, a millisecond apart, the kernel is asked whether it has noticed that somebody holds the
/// other end of the interface.
const CARRIER_LOOKS: u32 = 1_000;

/// Packets longer than this are gathered from their pieces by the kernel; for shorter ones a copy
/// is cheaper.
const WORTH_GATHERING: usize = 4_096;

/// The file through which every TUN is opened.
const CONTROL_FILE: &str = "/dev/net/tun";

/// An open TUN interface.
#[derive(Debug)]
pub struct Tun {
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

impl Tun {
    /// Opens an interface that was found before. `mtu` is what the link is taken to carry, if less
    /// than what the interface says.
    ///
    /// # Errors
    /// Says what forbids it.
    pub fn open(interface: &Interface, mtu: Option<usize>) -> Result<Self, TunError> {
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
        let refused = |error: io::Error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY) => TunError::Busy(name.clone()),
            Some(Errno::EPERM | Errno::EACCES) => TunError::NotPermitted(name.clone()),
            Some(Errno::EINVAL) => TunError::NotPlain(name.clone()),
            _ => TunError::Open(name.clone(), error),
        };
        let iface = Iface::without_packet_info(&name, Mode::Tun).map_err(refused)?;
        iface.set_non_blocking().map_err(refused)?;
        // It may have been removed since it was found, and root's open has then made a new one,
        // which goes away with the descriptor.
        if if_nametoindex(name.as_str()) != Ok(interface.index()) {
            return Err(TunError::Replaced(name));
        }
        wait_for_carrier(&name);
        Ok(Self {
            file: into_file(iface),
            name,
            index: interface.index(),
            mtu,
            losses: Losses::default(),
            is_down: false,
            scratch: Vec::with_capacity(WORTH_GATHERING),
        })
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One system call. Gathering pieces costs the kernel more than it costs us to copy a packet of
    /// usual size.
    fn write(&mut self, packet: &Transmit<'_>) -> io::Result<usize> {
        if packet.len() > WORTH_GATHERING {
            let [first, second] = packet.payload;
            return self.file.write_vectored(&[packet.header, first, second].map(IoSlice::new));
        }
        self.scratch.clear();
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

/// The descriptor as a `File`, whose vectored write gathers a packet from its pieces.
#[allow(unsafe_code)]
fn into_file(iface: Iface) -> File {
    // SAFETY: `into_raw_fd` gives the only owner of an open descriptor away.
    unsafe { File::from_raw_fd(iface.into_raw_fd()) }
}

impl Device for Tun {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
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
        Ok(Frame::plain(&buffer[..len]))
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        loop {
            let Err(error) = self.write(packet) else {
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

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn failure(&self) -> io::Error {
        if if_nametoindex(self.name.as_str()) == Ok(self.index) {
            return io::Error::other(format!("interface {} reports an error", self.name));
        }
        self.removed()
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

/// Why a TUN cannot be opened; displayed as one line with the command that mends it.
#[derive(Debug)]
pub enum TunError {
    /// `/dev/net/tun` cannot be opened.
    ControlFile(io::Error),
    /// Another process has it open.
    Busy(String),
    /// It belongs to another user.
    NotPermitted(String),
    /// The kernel will not open it as a TUN with one queue.
    NotPlain(String),
    /// It was removed while it was being opened.
    Replaced(String),
    /// The link shall carry more than the interface does.
    Mtu {
        /// What was asked for.
        asked: usize,
        /// The name of the interface.
        interface: String,
        /// What the interface carries.
        carries: usize,
    },
    /// Anything else.
    Open(String, io::Error),
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlFile(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT) => write!(
                    f,
                    "there is no {CONTROL_FILE}: load the driver with `sudo modprobe tun`"
                ),
                Some(Errno::ENODEV | Errno::ENXIO) => write!(
                    f,
                    "{CONTROL_FILE} has no driver behind it: load it with `sudo modprobe tun`"
                ),
                Some(Errno::EACCES) => write!(
                    f,
                    "no permission to open {CONTROL_FILE}: allow it with `sudo chmod 666 {CONTROL_FILE}`, or run as root"
                ),
                Some(Errno::EPERM) => write!(
                    f,
                    "no permission to open {CONTROL_FILE}: run where it is allowed (a container needs `--device {CONTROL_FILE}`)"
                ),
                _ => write!(f, "cannot open {CONTROL_FILE}: {error}"),
            },
            Self::Busy(name) => write!(
                f,
                "interface {name} is busy, another process has it open: end that one, or make a second with `./setup.sh up NAME` and give `--tun NAME`"
            ),
            Self::NotPermitted(name) => write!(
                f,
                "no permission for interface {name}, it belongs to another user: make it yours with `./setup.sh down {name}` and `./setup.sh up {name}`, or run as root"
            ),
            Self::NotPlain(name) => write!(
                f,
                "{name} is not a TUN interface with one queue: make it anew with `./setup.sh down {name}` and `./setup.sh up {name}`"
            ),
            Self::Replaced(name) => write!(
                f,
                "interface {name} was removed just now: make it again with `./setup.sh up {name}`"
            ),
            Self::Mtu { asked, interface, carries } => write!(
                f,
                "an MTU of {asked} is more than interface {interface} carries: give at most `--mtu {carries}`, or raise it with `sudo ip link set {interface} mtu {asked}`"
            ),
            Self::Open(name, error) => write!(f, "cannot open interface {name}: {error}"),
        }
    }
}

impl std::error::Error for TunError {}
