//! The calls that configure an attachment to a TUN interface (the kernel's
//! Documentation/networking/tuntap.rst and linux/if_tun.h).
//!
//! A persistent interface remembers of its last user what work it left to the other end
//! (TUNSETOFFLOAD), how long a virtio-net header is and in which byte order (TUNSETVNETHDRSZ,
//! TUNSETVNETLE). Only whether there is such a header comes new with each attachment. So each
//! sets all that matters to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::{self, c_int, c_uint};

use super::attachment::CONTROL_FILE;
use super::interface;
use super::virtio;

/// What the kernel may leave undone on packets to an offloading device: checksums, and cutting
/// text into segments, also of a segment that says that the window was reduced (CWR), which only
/// the first of the cut ones may say.
const ALL: c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;

mod request {
    #![allow(unsafe_code, missing_docs)]
    use nix::libc::{
        TUNGETIFF, TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETVNETLE, c_int, ifreq,
    };

    nix::ioctl_write_ptr_bad!(attach, TUNSETIFF, ifreq);
    nix::ioctl_read_bad!(attached, TUNGETIFF, ifreq);
    nix::ioctl_write_int_bad!(set_offload, TUNSETOFFLOAD);
    nix::ioctl_write_ptr_bad!(set_header_len, TUNSETVNETHDRSZ, c_int);
    nix::ioctl_write_ptr_bad!(set_little_endian, TUNSETVNETLE, c_int);
}

/// Attaches to the interface with a virtio-net header in front of each packet. The descriptor does
/// not block.
#[allow(unsafe_code)]
pub(super) fn attach_with_header(name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(CONTROL_FILE)?;
    let mut ifreq = interface::ifreq(name);
    ifreq.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as _;
    // SAFETY: the descriptor is open, and the call reads a name that ends with a zero and the
    // flags.
    unsafe { request::attach(file.as_raw_fd(), &ifreq) }?;
    Ok(file)
}

/// Has the kernel leave its work on checksums and segments to us, told in virtio-net headers of a
/// length and byte order that do not depend on who was here before, nor on the machine.
#[allow(unsafe_code)]
pub(super) fn take_offload(file: &File) -> io::Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open; the first two calls read a number, the third takes one.
    unsafe {
        request::set_header_len(fd, &(virtio::HEADER_LEN as c_int))?;
        request::set_little_endian(fd, &1)?;
        request::set_offload(fd, ALL as c_int)?;
    }
    check_header(file, true)
}

/// Has the kernel do all the work itself.
#[allow(unsafe_code)]
pub(super) fn take_no_offload(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the call takes a number.
    unsafe { request::set_offload(file.as_raw_fd(), 0) }?;
    check_header(file, false)
}

/// Makes sure that there is a virtio-net header in front of each packet, or that there is none.
#[allow(unsafe_code)]
fn check_header(file: &File, expected: bool) -> io::Result<()> {
    let mut ifreq = interface::ifreq("");
    // SAFETY: the descriptor is open, and the call writes the flags, which are read behind it.
    let flags = unsafe {
        request::attached(file.as_raw_fd(), &mut ifreq)?;
        ifreq.ifr_ifru.ifru_flags
    };
    let has_header = c_int::from(flags) & libc::IFF_VNET_HDR != 0;
    if has_header == expected {
        return Ok(());
    }
    Err(io::Error::other(if has_header {
        "packets come with a virtio-net header"
    } else {
        "packets come without a virtio-net header"
    }))
}
