//! The TUN of the do-nothing responder, with or without the virtio-net header that lets the kernel
//! hand over, and take, frames of up to 64 KiB without a checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::poll::{PollFd, PollFlags, ppoll};

/// `linux/if_tun.h`.
const IFF_TUN: i16 = 0x0001;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
/// `TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN`: what we take without the kernel's help.
const OFFLOADS: c_int = 0x01 | 0x02 | 0x04 | 0x08;

/// Bytes of the virtio-net header, without the field for merged buffers.
pub(crate) const VNET_HEADER: usize = 10;
/// Bytes of the largest frame there is.
pub(crate) const LARGEST: usize = VNET_HEADER + 65_535;

mod requests {
    use nix::libc::{c_int, ifreq};
    nix::ioctl_write_ptr_bad!(
        set_interface,
        nix::request_code_write!(b'T', 202, size_of::<c_int>()),
        ifreq
    );
    nix::ioctl_write_int_bad!(set_offload, nix::request_code_write!(b'T', 208, size_of::<c_int>()));
    nix::ioctl_write_ptr!(set_header_size, b'T', 216, c_int);
}

/// What the header before a frame says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offload {
    /// Bytes of payload of each segment that the frame stands for; 0 when it is one segment.
    pub(crate) segment: u16,
}

/// An open TUN.
pub(crate) struct Link {
    file: File,
    /// Bytes before each frame.
    pub(crate) before: usize,
}

impl Link {
    /// Attaches to an interface that is there. Reads wait for a frame if `waits`.
    ///
    /// # Errors
    /// When the kernel says no.
    #[allow(unsafe_code)]
    pub(crate) fn open(name: &str, vnet: bool, waits: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        if !waits {
            options.custom_flags(libc::O_NONBLOCK);
        }
        let file = options.read(true).write(true).open("/dev/net/tun")?;
        let fd = file.as_raw_fd();
        // SAFETY: all zeroes are a value of this plain structure of C.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero, and ends the name.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let kind = if vnet { IFF_VNET_HDR } else { 0 };
        request.ifr_ifru.ifru_flags = IFF_TUN | IFF_NO_PI | kind;
        // SAFETY: the descriptor is open, and the kernel reads and writes one `ifreq`, which is
        // what the pointer is to. Nobody else has it: the answer is not looked at.
        unsafe { requests::set_interface(fd, &raw const request) }?;
        if vnet {
            let size = VNET_HEADER as c_int;
            // SAFETY: the descriptor is open; the kernel reads one `int`.
            unsafe { requests::set_header_size(fd, &raw const size) }?;
            // SAFETY: the descriptor is open; the argument is a number.
            unsafe { requests::set_offload(fd, OFFLOADS) }?;
        }
        Ok(Self { file, before: if vnet { VNET_HEADER } else { 0 } })
    }

    /// Reads a frame with what is before it; `None` when there is none. A blocking read only comes
    /// back with one.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.file.read(buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Whether frames are read and written behind a virtio-net header.
    pub(crate) fn has_offload(&self) -> bool {
        self.before != 0
    }

    /// Writes a frame, with room before it for the header, from one piece. What the kernel does not
    /// take is lost: nothing here would send it again.
    pub(crate) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write(frame).map(drop)
    }

    /// The same, gathered from pieces.
    pub(crate) fn gather(&mut self, pieces: [&[u8]; 3]) -> io::Result<()> {
        self.file.write_vectored(&pieces.map(IoSlice::new)).map(drop)
    }

    /// Until there is something to read.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut readable = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut readable, None, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Offload {
    /// What the header of a frame that was read says; the rest of it does not matter to us.
    pub(crate) fn parse(header: &[u8]) -> Self {
        let segment = if header[1] == 0 { 0 } else { u16::from_ne_bytes([header[4], header[5]]) };
        Self { segment }
    }

    /// The header of a frame of IPv4 and TCP without options: the kernel is to fill in the
    /// checksum, of which the pseudo-header's part is there.
    pub(crate) fn emit(self) -> [u8; VNET_HEADER] {
        const NEEDS_CHECKSUM: u8 = 1;
        const TCP_OVER_IPV4: u8 = 1;
        let kind = if self.segment == 0 { 0 } else { TCP_OVER_IPV4 };
        let mut header = [0; VNET_HEADER];
        header[0] = NEEDS_CHECKSUM;
        header[1] = kind;
        header[2..4].copy_from_slice(&40u16.to_ne_bytes()); // bytes of headers
        header[4..6].copy_from_slice(&self.segment.to_ne_bytes());
        header[6..8].copy_from_slice(&20u16.to_ne_bytes()); // the checksum starts at TCP
        header[8..10].copy_from_slice(&16u16.to_ne_bytes()); // and is there in it
        header
    }
}
